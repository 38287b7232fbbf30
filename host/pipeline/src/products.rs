//! Products as the shop's catalogue has them: reference data, for people and for checks.
//!
//! No rule is given any of it. What a sale is worth follows from the price on its lines, which is what
//! the customer paid; a catalogue that says something else is a mistake to be found, not a price.

use crate::event::{Body, Event, Money};
use serde::{Deserialize, Serialize};

/// The kind of event that tells of products.
pub const KIND: &str = "catalog.updated";

/// A product, or one variant of it, as it is from the event on that tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    pub product: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What tills send on lines, where that is not the variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Of one unit, in the shop's currency.
    pub price: Money,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<String>,
    /// Words of the shop's own, such as `clearance`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

/// What the journal keeps of an event that tells of products.
#[derive(Serialize, Deserialize)]
pub(crate) struct Told {
    pub products: Vec<Product>,
}

/// The products of which an event tells; none, for any other event.
pub fn told_in(event: &Event) -> Vec<Product> {
    match &event.body {
        Body::Other(text) if event.kind == KIND => {
            let told: Result<Told, _> = serde_json::from_str(text);
            told.map_or_else(|_| Vec::new(), |told| told.products)
        }
        _ => Vec::new(),
    }
}
