//! What came over from another programme: a balance with the ends that it had, and a tier since when it was
//! held.

use super::acts::{known_tier, reason};
use super::data::{Common, CustomerData, attributes, instant_after};
use super::malformed;
use super::said::actor;
use super::sale::too_many;
use super::sender::Sender;
use crate::calendar;
use crate::event::{Body, Import, ImportedLot, ImportedTier, Instant, Points};
use crate::limits;
use crate::refusal::{Refusal, invalid};
use crate::shop::Shop;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportEvent {
    customer: CustomerData,
    /// All of it, where nothing is known of its parts.
    points: Option<Points>,
    /// Or its parts, each with its end.
    #[serde(default)]
    lots: Vec<LotData>,
    tier: Option<TierData>,
    /// Where it came from.
    reason: String,
    /// Who did it.
    actor: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LotData {
    points: Points,
    expires_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TierData {
    key: String,
    since: String,
    /// Until when no rule takes it away; without it, until staff says so.
    keep_until: Option<String>,
}

impl ImportEvent {
    pub fn check(
        self,
        common: &mut Common,
        shop: &Shop,
        by: &Sender,
        at: Instant,
    ) -> Result<Body, Refusal> {
        common.customer = Some(self.customer);
        common.attributes = attributes(self.attributes)?;
        common.staff = Some(actor(self.actor, by)?);
        // Nobody is written to because of what they had long ago.
        common.historical = true;
        if self.lots.len() > limits::LIST_MAX {
            return too_many("lots", self.lots.len(), limits::LIST_MAX);
        }
        let lots = match (self.points, self.lots.is_empty()) {
            (Some(_), false) => {
                return invalid(
                    "points-and-lots",
                    "/data/lots",
                    "send `points`, or `lots` with their ends; not both",
                );
            }
            (Some(points), true) => vec![LotData {
                points,
                expires_at: None,
            }],
            (None, _) => self.lots,
        };
        if lots.is_empty() && self.tier.is_none() {
            return malformed("/data", "an import brings points, lots or a tier");
        }
        let lots = lots.into_iter().enumerate();
        let lots = lots.map(|(index, lot)| lot.check(index, at));
        Ok(Body::Import(Import {
            lots: lots.collect::<Result<_, _>>()?,
            tier: self.tier.map(|tier| tier.check(shop, at)).transpose()?,
            reason: reason(self.reason)?,
        }))
    }
}

impl LotData {
    fn check(self, index: usize, at: Instant) -> Result<ImportedLot, Refusal> {
        let place = format!("/data/lots/{index}");
        if self.points <= 0 {
            return invalid(
                "no-points",
                format!("{place}/points"),
                "a balance that comes over is above zero",
            );
        }
        let end = |text: String| instant_after(&text, at, &format!("{place}/expires_at"));
        Ok(ImportedLot {
            points: self.points,
            expires_at: self.expires_at.map(end).transpose()?,
        })
    }
}

impl TierData {
    fn check(self, shop: &Shop, at: Instant) -> Result<ImportedTier, Refusal> {
        known_tier(&self.key, "/data/tier/key", shop)?;
        let since = calendar::parse(&self.since).or_else(|problem| {
            let since = &self.since;
            malformed(
                "/data/tier/since",
                format!("{since:?} is not an RFC 3339 time with an offset ({problem})"),
            )
        })?;
        if since > at {
            return invalid(
                "not-yet",
                "/data/tier/since",
                "a tier that comes over was held before",
            );
        }
        let until = |text: String| instant_after(&text, at, "/data/tier/keep_until");
        Ok(ImportedTier {
            tier: self.key,
            since,
            keep_until: self.keep_until.map(until).transpose()?,
        })
    }
}
