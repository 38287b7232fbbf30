//! Acts of staff: points given and taken, tiers placed, notes written. Each has an actor and, where
//! it changes what somebody holds, a reason. What all of them say beside that is in `said`.

use super::data::{Common, bounded, instant_after};
use super::said::acts;
use super::sender::Sender;
use crate::catalogue::distance;
use crate::event::{
    Adjustment, Body, Erasure, EventName, Forfeit, Instant, NoteChange, Points, StaffPlacement,
};
use crate::limits;
use crate::refusal::{Refusal, invalid};
use crate::shop::Shop;

acts! {
    AdjustmentEvent {
        points: Points,
        reason: String,
        expires_at: Option<String>,
        #[serde(default)]
        historical: bool,
    }

    ForfeitEvent {
        /// All that there are, if nothing is said.
        points: Option<Points>,
        reason: String,
    }

    PlacementEvent {
        /// Must be said, so that a tier is not given back by leaving it out.
        #[serde(deserialize_with = "Option::deserialize")]
        tier: Option<String>,
        until: Option<String>,
        reason: String,
        #[serde(default)]
        historical: bool,
    }

    ErasureEvent {
        reason: String,
    }

    NoteEvent {
        note: String,
        /// For staff only, unless it says otherwise.
        #[serde(default = "yes")]
        internal: bool,
    }

    NoteEdit {
        /// The event that wrote the note.
        edits: EventName,
        /// `null` withdraws it. It must be said, so that nothing is withdrawn by leaving it out.
        #[serde(deserialize_with = "Option::deserialize")]
        note: Option<String>,
        #[serde(default = "yes")]
        internal: bool,
    }
}

impl AdjustmentEvent {
    pub fn check(mut self, common: &mut Common, by: &Sender, at: Instant) -> Result<Body, Refusal> {
        self.said().tell(common, by)?;
        common.historical = self.historical;
        if self.points == 0 {
            return invalid("no-points", "/data/points", "0 points change nothing");
        }
        if self.points < 0 && self.expires_at.is_some() {
            return invalid(
                "expiry-without-points",
                EXPIRES_AT,
                "points that are taken do not expire",
            );
        }
        let expires_at = ends_at(self.expires_at.as_deref(), at)?;
        Ok(Body::Adjustment(Adjustment {
            points: self.points,
            reason: reason(self.reason)?,
            expires_at,
        }))
    }
}

impl ForfeitEvent {
    pub fn check(mut self, common: &mut Common, by: &Sender) -> Result<Body, Refusal> {
        self.said().tell(common, by)?;
        if self.points.is_some_and(|points| points < 1) {
            return invalid(
                "no-points",
                "/data/points",
                "say how many are forfeited, from 1 on; leave it out for all of them",
            );
        }
        Ok(Body::Forfeit(Forfeit {
            points: self.points,
            reason: reason(self.reason)?,
        }))
    }
}

impl PlacementEvent {
    pub fn check(
        mut self,
        common: &mut Common,
        shop: &Shop,
        by: &Sender,
        at: Instant,
    ) -> Result<Body, Refusal> {
        self.said().tell(common, by)?;
        common.historical = self.historical;
        if let Some(tier) = &self.tier {
            known_tier(tier, "/data/tier", shop)?;
        }
        let until = match &self.until {
            Some(_) if self.tier.is_none() => {
                return invalid(
                    "until-without-tier",
                    "/data/until",
                    "a tier that goes back to the rules goes at once",
                );
            }
            Some(text) => Some(instant_after(text, at, "/data/until")?),
            None => None,
        };
        Ok(Body::Placement(StaffPlacement {
            tier: self.tier,
            until,
            reason: reason(self.reason)?,
        }))
    }
}

impl ErasureEvent {
    pub fn check(mut self, common: &mut Common, by: &Sender) -> Result<Body, Refusal> {
        self.said().tell(common, by)?;
        let reason = reason(self.reason)?;
        Ok(Body::Erasure(Erasure { reason }))
    }
}

impl NoteEvent {
    pub fn check(mut self, common: &mut Common, by: &Sender) -> Result<Body, Refusal> {
        self.said().tell(common, by)?;
        common.note = Some(text(self.note)?);
        Ok(Body::Note(NoteChange {
            edits: None,
            internal: self.internal,
            withdrawn: false,
        }))
    }
}

impl NoteEdit {
    pub fn check(mut self, common: &mut Common, by: &Sender) -> Result<Body, Refusal> {
        self.said().tell(common, by)?;
        common.note = self.note.map(text).transpose()?;
        Ok(Body::Note(NoteChange {
            edits: Some(self.edits),
            internal: self.internal,
            withdrawn: common.note.is_none(),
        }))
    }
}

pub(super) fn known_tier(tier: &str, at: &str, shop: &Shop) -> Result<(), Refusal> {
    if shop.rank(tier).is_some() {
        return Ok(());
    }
    let tiers = &shop.file.tiers;
    let nearest = tiers.iter().min_by_key(|known| distance(tier, known));
    let hint = nearest.map_or("the shop has none".to_owned(), |nearest| {
        format!("did you mean {nearest:?}?")
    });
    invalid(
        "unknown-tier",
        at,
        format!("{tier:?} is not a tier of merchant.toml; {hint}"),
    )
}

fn text(note: String) -> Result<String, Refusal> {
    if note.trim().is_empty() {
        return invalid("empty-note", "/data/note", "a note needs some words");
    }
    bounded(note, limits::NOTE_BYTES_MAX, "/data/note")
}

/// Where staff says when what they give ends.
pub(super) const EXPIRES_AT: &str = "/data/expires_at";

/// When what staff gives ends: after the event.
pub(super) fn ends_at(given: Option<&str>, at: Instant) -> Result<Option<Instant>, Refusal> {
    let ends = given.map(|text| instant_after(text, at, EXPIRES_AT));
    ends.transpose()
}

pub(super) fn reason(given: String) -> Result<String, Refusal> {
    if given.trim().is_empty() {
        return invalid(
            "reason-required",
            "/data/reason",
            "say why: whoever reads the ledger will ask",
        );
    }
    bounded(given, limits::REASON_BYTES_MAX, "/data/reason")
}

fn yes() -> bool {
    true
}
