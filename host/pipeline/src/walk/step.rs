//! A step: one event, or one review, on its way down the line.

use super::Walk;
use crate::calendar::{self, LocalTime};
use crate::change::{FollowUpRow, MembershipRow, RecordedCall, RedemptionRow, TierRow};
use crate::event::{Event, Instant};
use crate::fold::Moved;
use crate::ledger::Taking;
use crate::limits;
use crate::outcome::{PluginView, PromptView, TierView};
use crate::points::Award;
use crate::returns::Returning;
use crate::rules::{Customer, Fact, Failure, Moment, Place, ReviewCause, Role, SoFar};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// One event, or one review, on its way down the line.
pub struct Step {
    pub event: Arc<Event>,
    /// Something was due, and this is no event of the journal.
    pub is_review: bool,
    /// Who asked for this review; they are called whether they subscribe to reviews or not.
    pub asked: BTreeSet<(String, Role)>,
    /// A tier that staff held comes back to the rules: all of them are asked, whatever they want.
    pub asks_every_tier_rule: bool,
    /// What else was due.
    pub causes: Vec<ReviewCause>,
    pub journal: Option<i64>,
    /// This is what the answer to the till is about.
    pub is_answered: bool,
    pub(super) was_decided: bool,
    pub local: LocalTime,
    pub place: Option<Place>,
    /// The customer as plugins see them: with the tier and the balance from before the event.
    pub customer: Customer,
    pub facts: HashMap<String, Vec<Fact>>,
    pub so_far: SoFar,
    pub moved: Moved,
    pub awards: Vec<Award>,
    /// What whoever referred the customer is given; below zero, what they have to give back.
    pub for_referrer: Vec<Award>,
    /// The customer joins with somebody's code.
    pub joined: bool,
    /// Points that the event takes.
    pub takings: Vec<Taking>,
    /// Redemptions that it moves.
    pub redemptions: Vec<RedemptionRow>,
    /// What of a sale it takes back.
    pub returning: Option<Returning>,
    pub calls: Vec<RecordedCall>,
    pub(super) reused: usize,
    pub views: Vec<PluginView>,
    pub notes: Vec<String>,
    /// Answers that the host did not take, in words. The answer to the till has them by plugin, the
    /// explanation needs them beside the recorded answers, which look as if they counted.
    pub(super) not_taken: Vec<String>,
    pub follow_ups: Vec<FollowUpRow>,
    pub prompts: Vec<PromptView>,
    pub receipt: Vec<String>,
    pub tier: Option<TierView>,
    pub tier_rows: Vec<TierRow>,
    pub membership_rows: Vec<MembershipRow>,
    /// Since when the customer had been in the segments that this step ended.
    pub left_since: HashMap<String, Instant>,
}

impl Step {
    /// Whether it was decided before: what it did is done.
    pub fn was_decided(&self) -> bool {
        self.was_decided
    }

    /// The facts of the scopes that a plugin asks for, at most [`limits::FACTS_MAX`].
    pub(super) fn facts_for(&self, scopes: &[String]) -> (Vec<Fact>, bool) {
        let mut wanted: Vec<Fact> = scopes
            .iter()
            .filter_map(|scope| self.facts.get(scope))
            .flatten()
            .cloned()
            .collect();
        let truncated = wanted.len() > limits::FACTS_MAX;
        wanted.truncate(limits::FACTS_MAX);
        (wanted, truncated)
    }

    /// Whether this step is for a plugin whether it subscribes to it or not: it asked for the review,
    /// or it is new and says where the customer belongs. What a new one would award or send by itself
    /// it says where it subscribes to reviews.
    pub(super) fn is_asked(&self, plugin: &str, role: Role) -> bool {
        let asked = || {
            self.asked
                .iter()
                .any(|(name, of)| name == plugin && *of == role)
        };
        let is_new = || match self.event.rules_changed() {
            Some(change) if matches!(role, Role::SegmentRule | Role::TierRule) => {
                change.asks.iter().any(|asked| asked == plugin)
            }
            _ => false,
        };
        asked() || is_new()
    }

    /// Why the host asks this plugin.
    pub(super) fn causes_for(&self, plugin: &str) -> Vec<ReviewCause> {
        let mut causes = self.causes.clone();
        if self.asked.iter().any(|(asker, _)| asker == plugin) {
            causes.insert(0, ReviewCause::Asked);
        } else if !self.asked.is_empty() {
            causes.insert(0, ReviewCause::AskedByOther);
        }
        causes
    }

    /// Works out a moment on the event's calendar.
    pub fn moment(&self, walk: &Walk, moment: Option<Moment>) -> Result<Option<Instant>, Failure> {
        let Some(moment) = moment else {
            return Ok(None);
        };
        let zone = walk.with.shop.zone_at(self.event.location.as_deref());
        match calendar::resolve(moment, self.event.at, &self.local, zone) {
            Some(at) if at.0.abs() <= limits::NUMBER_MAX => Ok(Some(at)),
            _ => Err(Failure::Answer {
                problem: format!("{moment:?} is too far ahead"),
            }),
        }
    }

    /// A moment that [`Step::moment`] has accepted before.
    pub fn checked_moment(&self, walk: &Walk, moment: Option<Moment>) -> Option<Instant> {
        self.moment(walk, moment).expect("the moment was checked")
    }

    /// Says something in the answer and in the explanation.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}
