//! Two profiles that are one person, and two that are not: acts of staff about two customers, whom they
//! name by our own ids.

use super::acts::reason;
use super::data::{Common, CustomerData, own_id};
use super::said::actor;
use super::sender::Sender;
use crate::change::CustomerId;
use crate::event::{Body, ConfirmedOn, Declined, Merge, Unmerge, WhyMerged};
use crate::refusal::{Refusal, invalid};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MergeEvent {
    /// The customer who stays.
    keep: String,
    /// The one who is taken in.
    other: String,
    /// By what staff knew that both are one: nobody else's points are given away by a guess.
    confirmed_on: ConfirmedOn,
    actor: Option<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnmergeEvent {
    /// The customer who took the other one in.
    keep: String,
    /// The one who is given back.
    other: String,
    actor: Option<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclinedEvent {
    keep: String,
    other: String,
    actor: Option<String>,
    reason: String,
}

impl MergeEvent {
    pub fn check(self, common: &mut Common, by: &Sender) -> Result<Body, Refusal> {
        let other = two(&self.keep, &self.other)?;
        let why = WhyMerged::Staff {
            reason: reason(self.reason)?,
            confirmed_on: self.confirmed_on,
        };
        tell(common, self.keep, self.actor, by)?;
        Ok(Body::Merge(Merge { other, why }))
    }
}

impl UnmergeEvent {
    pub fn check(self, common: &mut Common, by: &Sender) -> Result<Body, Refusal> {
        let other = two(&self.keep, &self.other)?;
        let reason = reason(self.reason)?;
        tell(common, self.keep, self.actor, by)?;
        Ok(Body::Unmerge(Unmerge { other, reason }))
    }
}

impl DeclinedEvent {
    pub fn check(self, common: &mut Common, by: &Sender) -> Result<Body, Refusal> {
        let other = two(&self.keep, &self.other)?;
        let reason = reason(self.reason)?;
        tell(common, self.keep, self.actor, by)?;
        Ok(Body::Declined(Declined { other, reason }))
    }
}

fn two(keep: &str, other: &str) -> Result<CustomerId, Refusal> {
    if keep == other {
        return invalid(
            "same-customer",
            "/data/other",
            "`keep` and `other` are the same customer",
        );
    }
    own_id(other, "/data/other")
}

fn tell(
    common: &mut Common,
    keep: String,
    by_name: Option<String>,
    by: &Sender,
) -> Result<(), Refusal> {
    own_id(&keep, "/data/keep")?;
    common.customer = Some(CustomerData {
        id: Some(keep),
        ..CustomerData::default()
    });
    common.staff = Some(actor(by_name, by)?);
    Ok(())
}
