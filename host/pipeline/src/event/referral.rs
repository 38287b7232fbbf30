//! What a friend's step gives whoever brought them.

use super::{EventName, Points};
use crate::change::{CustomerId, LotKey};
use serde::{Deserialize, Serialize};

/// What a step of a friend gives the customer who referred them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    /// `ref_…`: links it to the event with which the friend joined.
    pub referral: String,
    pub friend: CustomerId,
    /// The friend's event.
    pub of: EventName,
    /// Makes its place in the history, whatever the event is called: a later one of the same place
    /// takes its place.
    pub place: String,
    /// The friend joined with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joined: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awards: Vec<Awarded>,
}

/// Points for a friend's step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awarded {
    /// The lot that it makes, or from which it takes.
    pub lot: LotKey,
    /// Below zero for what it takes.
    pub points: Points,
}
