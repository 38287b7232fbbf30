//! Stock, as whoever keeps it tells us: how many pieces there are at a location, or for a channel.
//!
//! We count nothing ourselves. It is asked in one place: a reward that is a product is not promised where
//! there is none. What nobody has told of is there.

use crate::event::{Body, Channel, Event};
use crate::refusal::Refusal;
use crate::store::Case;
use serde::{Deserialize, Serialize};

/// The kind of event that tells of stock.
pub const KIND: &str = "stock.updated";

/// How many pieces there are from the event on that tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// What tills send on lines.
    pub sku: String,
    pub place: StockPlace,
    /// Below zero where more was sold than there is.
    pub quantity: i64,
}

/// Where pieces are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StockPlace {
    /// The id of one of the shop's.
    Location(String),
    /// For a channel that sells from somewhere else.
    Channel(Channel),
}

impl StockPlace {
    /// From the id of a location, or the name of a channel; `None` if there is no such channel.
    pub fn named(location: String, channel: &str) -> Option<StockPlace> {
        if !location.is_empty() {
            return Some(StockPlace::Location(location));
        }
        let channel = Channel::ALL.into_iter().find(|it| it.name() == channel)?;
        Some(StockPlace::Channel(channel))
    }

    /// The id of the location and the name of the channel; one of them is empty.
    pub fn names(&self) -> (&str, &str) {
        match self {
            StockPlace::Location(id) => (id, ""),
            StockPlace::Channel(channel) => ("", channel.name()),
        }
    }
}

/// What the journal keeps of an event that tells of stock.
#[derive(Serialize, Deserialize)]
pub(crate) struct Told {
    pub stock: Vec<Stock>,
}

/// The stock of which an event tells; none, for any other event.
pub fn told_in(event: &Event) -> Vec<Stock> {
    match &event.body {
        Body::Other(text) if event.kind == KIND => {
            let told: Result<Told, _> = serde_json::from_str(text);
            told.map_or_else(|_| Vec::new(), |told| told.stock)
        }
        _ => Vec::new(),
    }
}

/// Nobody gives points for what is not there.
pub(crate) fn check(event: &Event, case: &Case) -> Result<(), Refusal> {
    let (Some(sku), Some(quantity)) = (event.reserves_product(), case.stock) else {
        return Ok(());
    };
    if quantity > 0 {
        return Ok(());
    }
    let channel = event.channel.map_or("any channel", Channel::name);
    let place = event.location.as_deref().unwrap_or(channel);
    Err(Refusal::NotNow {
        code: "reward-unavailable",
        at: "/data/reward".into(),
        problem: format!("{sku} is out of stock in {place}; /offers has what is there instead"),
    })
}
