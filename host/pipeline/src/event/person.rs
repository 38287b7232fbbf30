//! What becomes known of a person, and what is forgotten.

use super::{EventName, Instant, OrderName};
use crate::change::CustomerId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// The person wants to be forgotten: what is known of them goes, and what the books need stays under a
/// name that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    pub reason: String,
}

impl Erasure {
    /// In the words of the catalogue.
    pub fn told(&self) -> serde_json::Value {
        json!({"reason": self.reason})
    }
}

/// The customer was created, identified, enrolled or edited. What was said about the person is in
/// [`Personal`]; here are the names of the fields and what is not personal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileChange {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Those of them that were cleared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cleared: Vec<String>,
    /// Kinds of identifiers of which the customer from now on has only those of this event. What
    /// they had before still names them, except for cards, which are refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<IdentifierKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The token that the customer showed, which works once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<OrderName>,
    /// What the till calls the basket that is open before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basket: Option<String>,
    /// Channels through which the customer wants marketing, or does not. It is a wish beside what
    /// they have agreed to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marketing: BTreeMap<String, bool>,
    /// Whether the customer pays no tax; why is personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_exempt: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Edit<String>>,
    /// Month and day, which rules may see; a year of birth is personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birthday: Option<Edit<MonthDay>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_location: Option<Edit<String>>,
    /// How far the customer's default address is from each location that says where it is, in whole
    /// kilometres. The address itself is personal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distances: Option<BTreeMap<String, u32>>,
    /// The shop's own fields that are not personal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Edit<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<Consent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub enrolled: bool,
    /// The customer joined with somebody's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<SignUp>,
    /// A guest sale that this event claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<EventName>,
}

/// A friend joined with a customer's code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignUp {
    /// In capitals and without its dash.
    pub code: String,
    /// Where the link was shared, such as `instagram`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Whose code it was, when it arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer: Option<CustomerId>,
}

/// A field of the profile that an event sets or clears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit<T> {
    Set(T),
    Clear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthDay {
    pub month: u8,
    pub day: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// `email`, `sms`, `push`, `post`, `phone`, `profiling` or `tracking`.
    pub purpose: String,
    pub granted: bool,
    pub at: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagChange {
    pub tag: String,
    pub added: bool,
    /// When the host takes it again by itself, where that is not what the shop's registry says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Instant>,
}

/// Staff wrote about the customer. The text is in [`Personal::note`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoteChange {
    /// The event that wrote the note which this one changes; `None` for a new note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edits: Option<EventName>,
    /// For staff only: it is in nothing that the customer is given.
    pub internal: bool,
    /// It takes the note back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

/// What an event said about a person. It goes to the personal room of the store and nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Personal {
    pub identifiers: Vec<Identifier>,
    /// `given_name`, `family_name`, `address`, `addresses`, `birth_year`, `tax_exempt_reason`: set,
    /// or cleared with `None`.
    pub fields: BTreeMap<String, Option<String>>,
    /// A free note on the order or on the customer.
    pub note: Option<String>,
    /// Spellings that normalisation changed, kept for audit: (kind, as it was written).
    pub as_written: Vec<(IdentifierKind, String)>,
}

/// Something that names a customer outside Stampcard, in its normal form.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identifier {
    pub kind: IdentifierKind,
    /// E-mail in lower case, phone in E.164, card as printed, external id as `source/id`.
    pub value: String,
}

/// In the order in which they decide: the first that is known names the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentifierKind {
    Email,
    Phone,
    Card,
    External,
}

impl IdentifierKind {
    pub fn name(self) -> &'static str {
        match self {
            IdentifierKind::Email => "email",
            IdentifierKind::Phone => "phone",
            IdentifierKind::Card => "card",
            IdentifierKind::External => "external",
        }
    }
}
