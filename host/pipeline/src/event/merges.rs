//! Two profiles that are one person, or are not.

use super::IdentifierKind;
use crate::change::CustomerId;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Two profiles are one person: the customer of the event takes in another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    pub other: CustomerId,
    pub why: WhyMerged,
}

impl Merge {
    /// In the words of the catalogue.
    pub fn told(&self) -> serde_json::Value {
        match &self.why {
            WhyMerged::Staff {
                reason,
                confirmed_on,
            } => {
                json!({"other": self.other, "reason": reason, "confirmed_on": confirmed_on})
            }
            WhyMerged::Shared(kind) => json!({"other": self.other, "shared": kind}),
        }
    }
}

/// How somebody knows that two profiles are one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyMerged {
    /// Staff looked, and by what.
    Staff {
        reason: String,
        confirmed_on: ConfirmedOn,
    },
    /// Something that both go by, as the shop's policy wants.
    Shared(IdentifierKind),
}

/// What staff asked for to know that a customer is who they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfirmedOn {
    Email,
    Phone,
    Card,
    /// A paper with a name on it.
    Document,
}

/// A merge was wrong: the customer of the event gives back the one whom they took in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmerge {
    pub other: CustomerId,
    pub reason: String,
}

impl Unmerge {
    /// In the words of the catalogue.
    pub fn told(&self) -> serde_json::Value {
        json!({"other": self.other, "reason": self.reason})
    }
}

/// Two profiles that look like one person are two: nobody is asked again, and no policy merges them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    pub other: CustomerId,
    pub reason: String,
}

impl Declined {
    /// In the words of the catalogue.
    pub fn told(&self) -> serde_json::Value {
        json!({"other": self.other, "reason": self.reason})
    }
}
