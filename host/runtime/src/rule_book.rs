//! The rule book: the plugins of one shop in their order, and those that could not be loaded with
//! the reason.
//!
//! It never changes. Whoever has one keeps it until the event is done; a new one takes its place
//! between two events.

use crate::bindings as wit;
use crate::call::{self, Decided};
use crate::deciding;
use crate::digest::Digest;
use crate::engine::Engine;
use crate::kept;
use crate::limits::Limits;
use crate::manifest::PackPlugin;
use crate::plugin::{Candidate, LoadError, Plugin};
use crate::seats::{Seat, order};
use stampcard_pipeline::campaigns::Campaign;
use stampcard_pipeline::change::Answered;
use stampcard_pipeline::event::Event;
use stampcard_pipeline::rules::{
    self, Call, Failure, FollowUpAnswer, Input, Isolation, PointAnswer, Role, Rules, SegmentAnswer,
    TierAnswer, Usage,
};
use stampcard_pipeline::shop::Shop;
use std::sync::Arc;

/// The plugins of one shop, ready to be called.
#[derive(Clone)]
pub struct RuleBook {
    /// In the order in which they run.
    loaded: Vec<Arc<Loaded>>,
    /// The same plugins, as the line knows them.
    about: Vec<rules::Plugin>,
    not_loaded: Vec<NotLoaded>,
}

/// A plugin, and what says whether a candidate is the same.
pub(crate) struct Loaded {
    pub plugin: Plugin,
    made_of: Digest,
}

/// A plugin that is not loaded as its files have it.
#[derive(Clone, Debug)]
pub struct NotLoaded {
    pub name: String,
    pub reason: Arc<LoadError>,
    /// The version that stays live instead, from the rule book before.
    pub live: Option<String>,
}

impl RuleBook {
    /// Loads what is in a shop's folder. It never fails as a whole: what cannot be loaded is
    /// listed with its reason, and where the rule book before had a version of it that version
    /// stays live.
    pub fn load(
        engine: &Engine,
        shop: &Shop,
        mut candidates: Vec<Candidate>,
        packs: &[PackPlugin],
        previous: Option<&RuleBook>,
    ) -> RuleBook {
        // In declared order, and then by name.
        candidates.sort_by_cached_key(|candidate| {
            let declared = shop
                .file
                .plugins
                .iter()
                .position(|name| *name == candidate.name);
            (declared.unwrap_or(usize::MAX), candidate.name.clone())
        });
        let mut not_loaded = Vec::new();
        let mut seats: Vec<Seat> = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let live = previous
                .and_then(|book| book.find(&candidate.name))
                .cloned();
            match Loaded::load(engine, shop, &candidate, packs, live.as_ref()) {
                Ok(loaded) => seats.push(Seat {
                    taken: Some(loaded),
                    live,
                }),
                Err(reason) => {
                    seats.push(Seat {
                        taken: live.clone(),
                        live,
                    });
                    not_loaded.push(NotLoaded {
                        name: candidate.name,
                        reason: Arc::new(reason),
                        live: None,
                    });
                }
            }
        }
        // Whoever does not fit to the others gives way to its own version from before, or leaves.
        let order = loop {
            match order(&seats, shop) {
                Ok(order) => break order,
                Err((seat, reason)) => {
                    let name = seats[seat].give_way();
                    if !not_loaded.iter().any(|known| known.name == name) {
                        not_loaded.push(NotLoaded {
                            name,
                            reason: Arc::new(reason),
                            live: None,
                        });
                    }
                }
            }
        };
        let loaded: Vec<Arc<Loaded>> = order
            .into_iter()
            .filter_map(|seat| seats[seat].taken.clone())
            .collect();
        let about: Vec<rules::Plugin> = loaded
            .iter()
            .map(|loaded| loaded.plugin.about.clone())
            .collect();
        for failure in &mut not_loaded {
            failure.live = about
                .iter()
                .find(|about| about.name == failure.name)
                .map(|about| about.version.clone());
        }
        RuleBook {
            loaded,
            about,
            not_loaded,
        }
    }

    /// What is not loaded as its files have it, and why.
    pub fn not_loaded(&self) -> &[NotLoaded] {
        &self.not_loaded
    }

    /// Does not call the plugins that are quarantined in a recorded rule book, and keeps no instances
    /// of those that were found out there, as far as they are still the same: whoever changes one has
    /// mended it, or thinks so.
    pub fn judged_as(mut self, recorded: &[rules::Plugin]) -> RuleBook {
        for about in &mut self.about {
            let then = recorded.iter().find(|then| then.is_same_as(about));
            about.quarantine = then.and_then(|then| then.quarantine.clone());
            let found_out = then.filter(|then| then.isolation.found_out().is_some());
            if let Some(then) = found_out.filter(|_| about.isolation == Isolation::VerifiedReuse) {
                about.isolation = then.isolation.clone();
            }
        }
        self
    }

    /// The same plugins, with one that is not called any more, for a reason in words, or is called
    /// again. `None` if there is no such plugin.
    pub fn with_quarantine(&self, name: &str, reason: Option<String>) -> Option<RuleBook> {
        let mut book = self.clone();
        let about = book.about.iter_mut().find(|about| about.name == name)?;
        about.quarantine = reason;
        Some(book)
    }

    /// The same plugins, one of which runs in something else. `None` if there is no such plugin.
    pub fn with_isolation(&self, name: &str, isolation: Isolation) -> Option<RuleBook> {
        let mut book = self.clone();
        let index = book.about.iter().position(|about| about.name == name)?;
        if isolation == Isolation::VerifiedReuse {
            book.plugin(index).keeping.forgive();
        }
        book.about[index].isolation = isolation;
        Some(book)
    }

    /// Plugins whose kept instance answered otherwise than a fresh one, and of which this rule book
    /// does not know it: the name of each, and when it was, in words. No instance of them is kept any
    /// more.
    pub fn found_out(&self) -> Vec<(&str, String)> {
        let plugins = self.about.iter().enumerate();
        let kept = plugins.filter(|(_, about)| about.isolation == Isolation::VerifiedReuse);
        kept.filter_map(|(index, about)| {
            let when = self.plugin(index).keeping.found_out()?;
            Some((about.name.as_str(), when))
        })
        .collect()
    }

    /// No instance of a plugin is kept any more: it was found out in words.
    pub fn find_out(&self, name: &str, when: &str) {
        if let Some(loaded) = self.find(name) {
            loaded.plugin.keeping.find_out(when.into());
        }
    }

    /// The same plugins, beside what could not be loaded when they were looked at last.
    pub fn with_not_loaded(self, not_loaded: &[NotLoaded]) -> RuleBook {
        RuleBook {
            not_loaded: not_loaded.to_vec(),
            ..self
        }
    }

    /// The campaigns of all plugins, each with the plugin whose configuration has it.
    pub fn campaigns(&self) -> impl Iterator<Item = (&str, Campaign)> {
        self.loaded.iter().flat_map(|loaded| {
            let name = loaded.plugin.about.name.as_str();
            let campaigns = loaded.plugin.campaigns().into_iter();
            campaigns.map(move |campaign| (name, campaign))
        })
    }

    /// What one call of a plugin may use.
    pub fn limits(&self, plugin: usize) -> &Limits {
        self.loaded[plugin].plugin.subject().limits
    }

    pub(crate) fn plugin(&self, index: usize) -> &Plugin {
        &self.loaded[index].plugin
    }

    fn find(&self, name: &str) -> Option<&Arc<Loaded>> {
        self.loaded
            .iter()
            .find(|loaded| loaded.plugin.about.name == name)
    }

    /// Runs a recorded call again: the same input in the same plugin, with the fuel that it was
    /// allowed then, whatever other plugins have used of the event's.
    pub fn again(
        &self,
        plugin: usize,
        role: Role,
        event: &Arc<Event>,
        input: &Input,
        fuel_limit: u64,
    ) -> Answered {
        let fuel = Some(fuel_limit);
        match role {
            Role::SegmentRule => {
                Answered::Segments(self.call::<wit::SegmentAnswer>(plugin, event, input, fuel))
            }
            Role::PointFormula => {
                Answered::Points(self.call::<wit::PointAnswer>(plugin, event, input, fuel))
            }
            Role::TierRule => {
                Answered::Tier(self.call::<wit::TierAnswer>(plugin, event, input, fuel))
            }
            Role::FollowUpTrigger => {
                Answered::FollowUps(self.call::<wit::FollowUpAnswer>(plugin, event, input, fuel))
            }
        }
    }

    /// `fuel` is what the call may use; `None` is what is left of the event's.
    fn call<D: Decided>(
        &self,
        plugin: usize,
        event: &Arc<Event>,
        input: &Input,
        fuel: Option<u64>,
    ) -> Call<D::Answer> {
        if self.about[plugin].quarantine.is_some() {
            return Call {
                result: Err(Failure::Quarantined),
                usage: Usage::default(),
            };
        }
        let turn = (D::ROLE, plugin);
        // What was recorded is run again as if it were for the first time.
        let keeps = fuel.is_none() && self.about[plugin].isolation == Isolation::VerifiedReuse;
        let plugin = self.plugin(plugin);
        deciding::turn(event, plugin.currency(), input, turn, |turned| {
            if !turned.exact {
                let message = "a number of the input is beyond ±9007199254740991".into();
                return (
                    Call {
                        result: Err(Failure::Unavailable { message }),
                        usage: Usage::default(),
                    },
                    0,
                );
            }
            let fuel = fuel.unwrap_or(turned.fuel_left);
            if keeps {
                return kept::decide::<D>(&plugin.subject(), &plugin.keeping, &turned.input, fuel);
            }
            let call = call::decide::<D>(&plugin.subject(), &turned.input, fuel);
            let used = call.usage.fuel;
            (call, used)
        })
    }
}

impl Rules for RuleBook {
    fn plugins(&self) -> &[rules::Plugin] {
        &self.about
    }

    fn segment_rule(
        &self,
        plugin: usize,
        event: &Arc<Event>,
        input: &Input,
    ) -> Call<SegmentAnswer> {
        self.call::<wit::SegmentAnswer>(plugin, event, input, None)
    }

    fn point_formula(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<PointAnswer> {
        self.call::<wit::PointAnswer>(plugin, event, input, None)
    }

    fn tier_rule(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<TierAnswer> {
        self.call::<wit::TierAnswer>(plugin, event, input, None)
    }

    fn follow_up_trigger(
        &self,
        plugin: usize,
        event: &Arc<Event>,
        input: &Input,
    ) -> Call<FollowUpAnswer> {
        self.call::<wit::FollowUpAnswer>(plugin, event, input, None)
    }
}

impl Loaded {
    /// Loads a candidate, unless it is the one that is live.
    fn load(
        engine: &Engine,
        shop: &Shop,
        candidate: &Candidate,
        packs: &[PackPlugin],
        live: Option<&Arc<Loaded>>,
    ) -> Result<Arc<Loaded>, LoadError> {
        let made_of = candidate.digest(shop, packs);
        match live {
            Some(live) if live.made_of == made_of => Ok(Arc::clone(live)),
            _ => Ok(Arc::new(Loaded {
                plugin: Plugin::load(engine, shop, candidate, packs)?,
                made_of,
            })),
        }
    }
}
