//! Asking a plugin: who is asked, with what, what was answered before, and what an answer carries
//! beside its decisions.

use super::{Step, Walk};
use crate::calendar;
use crate::change::{Answered, KeptRow, RecordedCall};
use crate::event::{Body, Event};
use crate::fold::Remembered;
use crate::limits;
use crate::line::Context;
use crate::outcome::PluginView;
use crate::person::PersonField;
use crate::rules::{self, After, Call, Customer, Failure, Input, Memory, NextReview, Plugin, Role};
use crate::store::Recorded;
use std::sync::Arc;

/// What the name of an attribute begins with that says how far it is from the customer's address to a
/// location, in whole kilometres: `distance_km/soho`. Only a rule that was granted addresses has it.
const DISTANCE_KM: &str = "distance_km/";

impl Walk<'_> {
    /// Which plugins of a role this step is for, in the declared order.
    pub fn wanted(&self, step: &Step, role: Role) -> Vec<usize> {
        // No rule remembers whom nobody knows any more.
        if step.event.is_erasure() {
            return Vec::new();
        }
        // A step that stands was for those who were asked then, whatever is live today.
        let stands = self.stands(step);
        let as_then = match role {
            Role::PointFormula | Role::FollowUpTrigger => true,
            Role::SegmentRule | Role::TierRule => stands != Stands::WhatWasPromised,
        };
        let standing = if step.is_review || stands == Stands::WhatIsTheSame || !as_then {
            None
        } else {
            self.recorded_of(step)
        };
        let is_wanted = |plugin: &Plugin| match standing {
            Some(known) => was_asked(known, &plugin.name, role),
            None => {
                plugin.wants(role, &step.event.kind)
                    || step.is_asked(&plugin.name, role)
                    || role == Role::TierRule && step.asks_every_tier_rule
            }
        };
        let plugins = self.with.rules.plugins().iter().enumerate();
        plugins
            .filter(|(_, plugin)| plugin.roles.contains(&role) && is_wanted(plugin))
            .map(|(index, _)| index)
            .collect()
    }

    /// Asks one plugin, or takes what it answered before to the same question.
    pub fn ask<A: Answer>(&mut self, step: &mut Step, plugin: usize) -> Call<A> {
        let info = &self.with.rules.plugins()[plugin];
        let facts = step.facts_for(&info.facts);
        let remembered = self
            .fold
            .memory
            .get(&info.name)
            .filter(|memory| memory.state_version == info.state_version);
        let known = &self.fold.known;
        let mut attributes = step.customer.attributes.clone();
        if info.personal.contains(&PersonField::Address) {
            let distances = self.fold.distances.iter();
            attributes.extend(distances.map(|(location, km)| {
                let name = format!("{DISTANCE_KM}{location}");
                (name, km.to_string())
            }));
        }
        let customer = Customer {
            attributes,
            known: info
                .personal
                .iter()
                .chain(&PersonField::SHARED)
                .filter(|field| known.contains(field))
                .copied()
                .collect(),
            ..step.customer.clone()
        };
        let input = Input {
            review: step.causes_for(&info.name),
            local: step.local.clone(),
            place: step.place.clone(),
            customer,
            totals: self.fold.totals.clone(),
            facts: facts.0,
            facts_truncated: facts.1
                || info.facts.iter().any(|scope| {
                    self.fold
                        .facts
                        .get(scope)
                        .is_some_and(|group| group.truncated)
                }),
            state: remembered.map(|memory| memory.bytes.clone()),
            so_far: step.so_far.clone(),
            returned: step
                .returning
                .as_ref()
                .map(|it| Box::new(it.told_to(&info.name, self))),
            ending: match A::ROLE {
                Role::FollowUpTrigger => self.points_ending(step.event.at),
                _ => None,
            },
            referral: self.fold.referrals.as_ref().map(|known| rules::Referral {
                by: known.by.as_ref().map(|it| (it.by.0.clone(), it.at)),
                friends: known.friends,
            }),
        };
        let encoded = input.encode();
        let call = match self.recorded::<A>(step, plugin, &encoded) {
            Some(call) => {
                step.reused += 1;
                call
            }
            None => A::call(self.with, plugin, &step.event, &input),
        };
        step.calls.push(RecordedCall {
            plugin: plugin as u32,
            role: A::ROLE,
            input: encoded,
            answer: call.clone().recorded(),
        });
        call
    }

    fn recorded_of(&self, step: &Step) -> Option<&Recorded> {
        let index = self.recorded.get(&step.event.position())?;
        Some(&self.case.recorded[*index])
    }

    fn recorded<A: Answer>(&self, step: &Step, plugin: usize, input: &[u8]) -> Option<Call<A>> {
        let known = self.recorded_of(step)?;
        let info = &self.with.rules.plugins()[plugin];
        let call = known.explanation.calls.iter().find(|call| {
            let then = &known.plugins[call.plugin as usize];
            call.role == A::ROLE && then.name == info.name
        })?;
        let then = &known.plugins[call.plugin as usize];
        let answer = A::from_recorded(&call.answer)?;
        // A failure was an outcome, but a refold is the occasion to try again; and so it is for an
        // answer that nobody believes any more.
        let missed = || {
            matches!(&answer.result, Err(failure) if failure.counts())
                || known.doubted.contains(&info.name)
        };
        let stands = match self.stands(step) {
            Stands::Everything => true,
            Stands::WhatWasNotMissed => {
                let may_differ = A::ROLE == Role::PointFormula;
                !missed()
                    && (call.input == input || may_differ && Input::ask_alike(&call.input, input))
            }
            Stands::WhatWasPromised if !then.is_same_as(info) => {
                !missed() && matches!(A::ROLE, Role::PointFormula | Role::FollowUpTrigger)
            }
            Stands::WhatIsTheSame | Stands::WhatWasPromised => {
                then.is_same_as(info) && !missed() && call.input == input
            }
        };
        stands.then(|| answer.clone())
    }

    /// What was decided before the place of the new event stays as it was, whatever the rules say
    /// today; so does everything else if the event came too late.
    fn stands(&self, step: &Step) -> Stands {
        if !step.was_decided || self.case.recorded.is_empty() {
            return Stands::WhatIsTheSame;
        }
        if self.admitted.event.is_about_two() {
            return Stands::WhatWasPromised;
        }
        let place = step.event.position();
        let again = self.admitted.event.rules_changed();
        match again.and_then(|change| change.again_from.as_ref()) {
            Some(from) if place < *from => Stands::Everything,
            Some(_) if place < self.admitted.event.position() => Stands::WhatWasNotMissed,
            None if self.too_late || place < self.admitted.event.position() => Stands::Everything,
            _ => Stands::WhatIsTheSame,
        }
    }

    /// Books what every answer carries beside its decisions, and reports the call.
    pub fn after(
        &mut self,
        step: &mut Step,
        plugin: usize,
        role: Role,
        usage: crate::rules::Usage,
        result: Result<After, &Failure>,
    ) {
        let info = &self.with.rules.plugins()[plugin];
        let mut view = PluginView {
            name: info.name.clone(),
            version: info.version.clone(),
            digest: info.digest.clone(),
            role: role.name().into(),
            status: "ok".into(),
            message: None,
            fuel: usage.fuel,
            micros: usage.micros,
            instance: usage.instance.word().map(str::to_owned),
        };
        match result {
            Ok(after) => {
                // A basket that is not paid yet may never be: what a formula learns from it is not kept.
                let is_draft =
                    role == Role::PointFormula && matches!(step.event.body, Body::Checkout(_));
                match after.memory {
                    _ if is_draft => {}
                    Memory::Keep => {}
                    Memory::Forget => drop(self.fold.memory.remove(&info.name)),
                    Memory::Replace(bytes) => {
                        let remembered = Remembered {
                            state_version: info.state_version,
                            bytes,
                        };
                        self.fold.memory.insert(info.name.clone(), remembered);
                    }
                }
                if let Some(bytes) = after.keep_with_event
                    && step.event.sale().is_some()
                {
                    self.out.kept.push(KeptRow {
                        sale: step.event.position(),
                        plugin: info.name.clone(),
                        bytes,
                    });
                }
                let who = (info.name.clone(), role);
                match after.next_review {
                    NextReview::Keep => {}
                    NextReview::At(at) => drop(self.fold.reviews.insert(who, at)),
                    NextReview::Never => drop(self.fold.reviews.remove(&who)),
                }
                view.message = after.note;
            }
            Err(failure) => {
                let answered = step.calls.last().is_some_and(|call| call.answer.is_ok());
                if answered {
                    let (name, role) = (&info.name, role.name());
                    step.not_taken.push(format!(
                        "{name} as {role}: {failure}; nothing of it counted"
                    ));
                }
                view.status = failure.class().into();
                view.message = Some(failure.to_string());
            }
        }
        step.views.push(view);
    }

    /// What is wrong with the part that every answer carries, if anything.
    pub fn check_after(&self, step: &Step, plugin: usize, after: &After) -> Result<(), Failure> {
        let refuse = |problem: String| Err(Failure::Answer { problem });
        if let Memory::Replace(bytes) = &after.memory
            && bytes.len() > limits::STATE_BYTES_MAX
        {
            return refuse(format!(
                "state of {} bytes; {} is the limit",
                bytes.len(),
                limits::STATE_BYTES_MAX
            ));
        }
        if after
            .keep_with_event
            .as_ref()
            .is_some_and(|bytes| bytes.len() > limits::KEPT_BYTES_MAX)
        {
            return refuse(format!(
                "keep-with-event of more than {} bytes",
                limits::KEPT_BYTES_MAX
            ));
        }
        if after
            .note
            .as_ref()
            .is_some_and(|note| note.len() > limits::REASON_BYTES_MAX)
        {
            return refuse(format!(
                "a note of more than {} bytes",
                limits::REASON_BYTES_MAX
            ));
        }
        let NextReview::At(at) = after.next_review else {
            return Ok(());
        };
        if at <= step.event.at {
            return refuse(format!(
                "next-review {} is not ahead of {}",
                calendar::text(at),
                calendar::text(step.event.at)
            ));
        }
        let asked = self
            .fold
            .reviews_today
            .1
            .get(&self.with.rules.plugins()[plugin].name);
        if step.is_review && asked.is_some_and(|count| *count > limits::REVIEWS_A_DAY_MAX) {
            return refuse(format!(
                "more than {} reviews of one customer in a day",
                limits::REVIEWS_A_DAY_MAX
            ));
        }
        Ok(())
    }
}

/// What of a step that was decided before is taken as it was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    Everything,
    /// Answers that there were, of whichever version, as far as they were to the same question. A
    /// point formula's also where only points differ: what others were given later changes no award.
    WhatWasNotMissed,
    /// Two histories became one, or one became two: the rules of then are asked again, if they are still
    /// live. Where others are, nobody gets more or less for what was earned then, and no message is
    /// planned for it; where the customer belongs, the rules of today say.
    WhatWasPromised,
    /// Answers of the very same rules to the very same question.
    WhatIsTheSame,
}

fn was_asked(known: &Recorded, plugin: &str, role: Role) -> bool {
    known
        .explanation
        .calls
        .iter()
        .any(|call| call.role == role && known.plugins[call.plugin as usize].name == plugin)
}

/// A role's answer, as the walk needs to know it.
pub trait Answer: Clone {
    const ROLE: Role;
    fn call(with: Context, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<Self>;
    fn recorded(call: Call<Self>) -> Answered;
    fn from_recorded(answered: &Answered) -> Option<&Call<Self>>;
}

impl<A: Answer> Call<A> {
    fn recorded(self) -> Answered {
        A::recorded(self)
    }
}

macro_rules! answers {
    ($($answer:ty, $role:ident, $method:ident, $variant:ident;)*) => {$(
        impl Answer for $answer {
            const ROLE: Role = Role::$role;
            fn call(with: Context, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<Self> {
                with.rules.$method(plugin, event, input)
            }
            fn recorded(call: Call<Self>) -> Answered {
                Answered::$variant(call)
            }
            fn from_recorded(answered: &Answered) -> Option<&Call<Self>> {
                match answered {
                    Answered::$variant(call) => Some(call),
                    _ => None,
                }
            }
        }
    )*};
}

answers! {
    crate::rules::SegmentAnswer, SegmentRule, segment_rule, Segments;
    crate::rules::PointAnswer, PointFormula, point_formula, Points;
    crate::rules::TierAnswer, TierRule, tier_rule, Tier;
    crate::rules::FollowUpAnswer, FollowUpTrigger, follow_up_trigger, FollowUps;
}
