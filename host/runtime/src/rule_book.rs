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
use crate::manifest::PackPlugin;
use crate::plugin::{Candidate, LoadError, Plugin};
use serde::Deserialize;
use stampcard_pipeline::event::Event;
use stampcard_pipeline::rules::{
    self, Call, Failure, FollowUpAnswer, Input, PointAnswer, Role, Rules, SegmentAnswer, TierAnswer, Usage,
};
use stampcard_pipeline::shop::Shop;
use std::collections::HashMap;
use std::sync::Arc;

/// The plugins of one shop, ready to be called.
pub struct RuleBook {
    /// In the order in which they run.
    loaded: Vec<Arc<Loaded>>,
    /// The same plugins, as the line knows them.
    about: Vec<rules::Plugin>,
    not_loaded: Vec<NotLoaded>,
}

/// A plugin, and what says whether a candidate is the same.
struct Loaded {
    plugin: Plugin,
    made_of: Digest,
}

/// A plugin that is not loaded as its files have it.
#[derive(Debug)]
pub struct NotLoaded {
    pub name: String,
    pub reason: LoadError,
    /// The version that stays live instead, from the rule book before.
    pub live: Option<String>,
}

/// Why a case of a plugin's author cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error("there is no plugin {0} in the rule book")]
    NoPlugin(String),
    #[error("{plugin} has no role {}", .role.name())]
    NoRole { plugin: String, role: Role },
    #[error("the input does not have the contract's shape: {0}")]
    Input(#[source] serde_json::Error),
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
            let declared = shop.file.plugins.iter().position(|name| *name == candidate.name);
            (declared.unwrap_or(usize::MAX), candidate.name.clone())
        });
        let mut not_loaded = Vec::new();
        let mut seats: Vec<Seat> = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let live = previous.and_then(|book| book.find(&candidate.name)).cloned();
            match Loaded::load(engine, shop, &candidate, packs, live.as_ref()) {
                Ok(loaded) => seats.push(Seat { taken: Some(loaded), live }),
                Err(reason) => {
                    seats.push(Seat { taken: live.clone(), live });
                    not_loaded.push(NotLoaded { name: candidate.name, reason, live: None });
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
                        not_loaded.push(NotLoaded { name, reason, live: None });
                    }
                }
            }
        };
        let loaded: Vec<Arc<Loaded>> = order.into_iter().filter_map(|seat| seats[seat].taken.clone()).collect();
        let about: Vec<rules::Plugin> = loaded.iter().map(|loaded| loaded.plugin.about.clone()).collect();
        for failure in &mut not_loaded {
            failure.live = about.iter().find(|about| about.name == failure.name).map(|about| about.version.clone());
        }
        RuleBook { loaded, about, not_loaded }
    }

    /// What is not loaded as its files have it, and why.
    pub fn not_loaded(&self) -> &[NotLoaded] {
        &self.not_loaded
    }

    /// Runs a case of a plugin's author: a whole input of the contract as JSON, and the answer as
    /// JSON. The names are those of the contract in Rust, as the SDK's cases have them.
    pub fn run_case(&self, plugin: &str, role: Role, input: &serde_json::Value) -> Result<Call<serde_json::Value>, CaseError> {
        let loaded = self.find(plugin).ok_or_else(|| CaseError::NoPlugin(plugin.into()))?;
        if !loaded.plugin.about.roles.contains(&role) {
            return Err(CaseError::NoRole { plugin: plugin.into(), role });
        }
        let input = wit::Input::deserialize(input).map_err(CaseError::Input)?;
        let subject = loaded.plugin.subject();
        Ok(match role {
            Role::SegmentRule => call::decide_case::<wit::SegmentAnswer>(&subject, &input),
            Role::PointFormula => call::decide_case::<wit::PointAnswer>(&subject, &input),
            Role::TierRule => call::decide_case::<wit::TierAnswer>(&subject, &input),
            Role::FollowUpTrigger => call::decide_case::<wit::FollowUpAnswer>(&subject, &input),
        })
    }

    pub(crate) fn plugin(&self, index: usize) -> &Plugin {
        &self.loaded[index].plugin
    }

    fn find(&self, name: &str) -> Option<&Arc<Loaded>> {
        self.loaded.iter().find(|loaded| loaded.plugin.about.name == name)
    }

    fn call<D: Decided>(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<D::Answer> {
        let plugin_index = plugin;
        let plugin = &self.loaded[plugin].plugin;
        deciding::turn(event, plugin.currency(), input, (D::ROLE, plugin_index), |turned| {
            if !turned.exact {
                let message = "a number of the input is beyond ±9007199254740991".into();
                return (Call { result: Err(Failure::Unavailable { message }), usage: Usage::default() }, 0);
            }
            let call = call::decide::<D>(&plugin.subject(), &turned.input, turned.fuel_left);
            let used = call.usage.fuel;
            (call, used)
        })
    }
}

impl Rules for RuleBook {
    fn plugins(&self) -> &[rules::Plugin] {
        &self.about
    }

    fn segment_rule(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<SegmentAnswer> {
        self.call::<wit::SegmentAnswer>(plugin, event, input)
    }

    fn point_formula(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<PointAnswer> {
        self.call::<wit::PointAnswer>(plugin, event, input)
    }

    fn tier_rule(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<TierAnswer> {
        self.call::<wit::TierAnswer>(plugin, event, input)
    }

    fn follow_up_trigger(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<FollowUpAnswer> {
        self.call::<wit::FollowUpAnswer>(plugin, event, input)
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
            _ => Ok(Arc::new(Loaded { plugin: Plugin::load(engine, shop, candidate, packs)?, made_of })),
        }
    }
}

// ------------------------------------------------- how plugins fit together

/// A place in the declared order.
struct Seat {
    /// Who has it now.
    taken: Option<Arc<Loaded>>,
    /// Who had it in the rule book before.
    live: Option<Arc<Loaded>>,
}

impl Seat {
    fn plugin(&self) -> Option<&Plugin> {
        self.taken.as_ref().map(|loaded| &loaded.plugin)
    }

    fn is_new(&self) -> bool {
        match (&self.taken, &self.live) {
            (Some(taken), Some(live)) => !Arc::ptr_eq(taken, live),
            (taken, _) => taken.is_some(),
        }
    }

    /// Leaves the seat to the version from before, or empty, and says whose it was.
    fn give_way(&mut self) -> String {
        let next = if self.is_new() { self.live.clone() } else { None };
        let left = std::mem::replace(&mut self.taken, next).expect("only who sits can give way");
        left.plugin.about.name.clone()
    }
}

/// The seat that must give way, and why.
type Misfit = (usize, LoadError);

/// The order in which the plugins run: as declared, but each behind those that it names in
/// `after`.
fn order(seats: &[Seat], shop: &Shop) -> Result<Vec<usize>, Misfit> {
    check_tiers(seats, shop)?;
    check_owners(seats)?;
    check_after(seats)?;
    let mut waiting: Vec<usize> = taken(seats).map(|(seat, _)| seat).collect();
    let mut order = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let name = |seat: &usize| seats[*seat].plugin().map(|plugin| plugin.about.name.as_str());
        let ready = waiting.iter().position(|seat| {
            let after = seats[*seat].plugin().map(|plugin| plugin.after.as_slice()).unwrap_or_default();
            !waiting.iter().any(|other| after.iter().any(|after| Some(after.as_str()) == name(other)))
        });
        match ready {
            Some(ready) => order.push(waiting.remove(ready)),
            None => return Err(cycle(seats, &waiting)),
        }
    }
    Ok(order)
}

fn taken(seats: &[Seat]) -> impl Iterator<Item = (usize, &Plugin)> {
    seats.iter().enumerate().filter_map(|(seat, it)| Some((seat, it.plugin()?)))
}

fn check_tiers(seats: &[Seat], shop: &Shop) -> Result<(), Misfit> {
    for (seat, plugin) in taken(seats) {
        if let Some((tier, _)) = plugin.about.tiers.iter().find(|(tier, _)| shop.rank(tier).is_none()) {
            let name = plugin.about.name.clone();
            return Err((seat, LoadError::NoTier { name, tier: tier.clone(), known: shop.file.tiers.clone() }));
        }
    }
    Ok(())
}

fn check_owners(seats: &[Seat]) -> Result<(), Misfit> {
    let mut owners: HashMap<(&'static str, &str), usize> = HashMap::new();
    for (seat, plugin) in taken(seats) {
        let about = &plugin.about;
        let kinds = [("segment", &about.segments), ("tier", &about.tiers), ("tag", &about.tags)];
        for (kind, owned) in kinds {
            for (key, _) in owned {
                let Some(first) = owners.insert((kind, key), seat) else { continue };
                // Who changed gives way to who did not; otherwise the later to the earlier.
                let (misfit, owner) = if seats[first].is_new() && !seats[seat].is_new() { (first, seat) } else { (seat, first) };
                let name = |seat: usize| seats[seat].plugin().map_or(String::new(), |it| it.about.name.clone());
                let (name, owner) = (name(misfit), name(owner));
                return Err((misfit, LoadError::Owned { name, kind, key: key.clone(), owner }));
            }
        }
    }
    Ok(())
}

fn check_after(seats: &[Seat]) -> Result<(), Misfit> {
    let there = |name: &str| taken(seats).any(|(_, plugin)| plugin.about.name == name);
    for (seat, plugin) in taken(seats) {
        if let Some(after) = plugin.after.iter().find(|after| !there(after)) {
            return Err((seat, LoadError::AfterNobody { name: plugin.about.name.clone(), after: after.clone() }));
        }
    }
    Ok(())
}

/// Every plugin in `waiting` waits for another one in it. Following whom leads round.
fn cycle(seats: &[Seat], waiting: &[usize]) -> Misfit {
    let name = |seat: usize| seats[seat].plugin().map_or("", |plugin| plugin.about.name.as_str());
    let mut path = vec![waiting[0]];
    let round = loop {
        let last = path[path.len() - 1];
        let after = seats[last].plugin().map(|plugin| plugin.after.as_slice()).unwrap_or_default();
        let next = waiting.iter().copied().find(|seat| after.iter().any(|after| after == name(*seat)));
        let next = next.expect("whoever waits names one that waits");
        if let Some(begin) = path.iter().position(|seat| *seat == next) {
            break path.split_off(begin);
        }
        path.push(next);
    };
    let misfit = round.iter().copied().find(|seat| seats[*seat].is_new()).unwrap_or(round[0]);
    let round = round.iter().chain(&round[..1]).map(|seat| name(*seat).to_owned()).collect();
    (misfit, LoadError::Cycle { name: name(misfit).into(), round })
}
