//! What staff gives and takes by hand. Each is a fact: no rule decides it again.

use super::{Instant, Money, Points};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Points that staff gave (above zero) or took. It is a fact: no rule decides it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    pub points: Points,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
}

/// Store credit that staff gave (above zero) or took. It is a fact, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditAdjustment {
    pub amount: Money,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
}

/// Points that the customer loses by what they did, or because they are a customer no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forfeit {
    /// `None` is all that there are.
    pub points: Option<Points>,
    pub reason: String,
}

impl Forfeit {
    /// The data of the event.
    pub fn told(&self) -> serde_json::Value {
        json!({"points": self.points, "reason": self.reason})
    }
}

/// Staff placed the customer in a tier, whatever the rules say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffPlacement {
    /// `None` gives the tier back to the rules.
    pub tier: Option<String>,
    /// When the rules decide again by themselves; without it, when staff says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
    pub reason: String,
}

/// What came over from another programme. Nothing of it was earned here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lots: Vec<ImportedLot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<ImportedTier>,
    /// Where it came from.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedLot {
    /// Above zero.
    pub points: Points,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedTier {
    pub tier: String,
    pub since: Instant,
    /// Until when rules may only raise it; without it, until staff says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<Instant>,
}
