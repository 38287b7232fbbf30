//! What a shop may say about its segments, as it is written. Whether it makes sense together is
//! checked in `plan`; what it means for a customer is decided in `judge`. Nothing here decides.

use std::collections::BTreeMap;

use stampcard_sdk::prelude::*;

/// The whole configuration. Segments and tags are tables, so that a key is there once.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub segments: BTreeMap<String, Segment>,
    /// Exclusive groups without gaps, such as spend tiers. Segments are their steps.
    pub ladders: BTreeMap<String, Ladder>,
    /// Tags that a rule sets and clears.
    pub tags: BTreeMap<String, Tag>,
    /// Segments of other plugins that conditions may name.
    pub others: Vec<String>,
    /// The groups of facts that the conditions need: "location", "category", "collection".
    pub facts: Vec<String>,
}

/// A named group of customers: by a condition, or as a step of a ladder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// One sentence for people. The host shows it; the rule has no use for it.
    pub explain: String,
    #[serde(default)]
    pub when: Option<Condition>,
    #[serde(default)]
    pub step: Option<Step>,
    /// False for a segment that nobody leaves.
    #[serde(default = "yes")]
    pub leaves: bool,
    /// Whoever enters stays at least so many days of 24 hours.
    #[serde(default)]
    pub stays_days: Option<u32>,
}

/// A tag that a condition sets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// One sentence for people, as for a segment.
    pub explain: String,
    pub when: Condition,
    /// False for a tag that the rule never takes away.
    #[serde(default = "yes")]
    pub leaves: bool,
}

/// What the steps of a ladder measure.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    #[serde(default)]
    pub spend: Option<Scope>,
    #[serde(default)]
    pub orders: Option<Scope>,
    /// Whether the lowest step takes in customers who measure nothing at all. It must be said.
    pub zero: Zero,
}

/// Where customers belong whose measure is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Zero {
    /// On the lowest step.
    Lowest,
    /// On no step.
    Outside,
}

/// A step of a ladder, from its threshold up to the next one's. The lowest has no threshold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub ladder: String,
    #[serde(default)]
    pub over: Option<i64>,
    #[serde(default)]
    pub at_least: Option<i64>,
}

/// What is true of a customer, or not. In TOML each is a table with one key:
/// `{ orders = { at_least = 5, days = 90 } }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    /// Is in another segment, after this event.
    Segment(String),
    /// Minor units, less what was given back.
    Spend(Measured),
    /// How many sales.
    Orders(Measured),
    /// The share of the spend that went to one group, in basis points.
    Share(Measured),
    /// The largest total of one sale that was not returned, in minor units.
    LargestSale(Bounds),
    /// This very event is such a sale.
    ThisSale(ThisSale),
    /// This very event is the first such sale since something else happened.
    SaleAfter(SaleAfter),
    /// How often an event of some kind happened.
    Events(Happened),
    Channels(Channels),
    /// Bought in one channel before ever buying in the other.
    Crossed(Crossing),
    /// At least one sale in each of the last so many spans of 7 days.
    EveryWeek(u32),
    /// At least one sale in each of the last so many calendar months.
    EveryMonth(u32),
    Seasons(Seasons),
    /// The mean time between sales.
    MeanGap(MeanGap),
    /// Has bought, but not for a while.
    Silent(Silent),
    /// At how many locations the customer has bought.
    Locations(Bounds),
    Balance(Bounds),
    Available(Bounds),
    /// Points ever earned, net of reversals.
    Earned(Bounds),
    /// Is in one of these tiers.
    Tier(Vec<String>),
    Enrolled(bool),
    /// Whole days of 24 hours since joining the programme.
    EnrolledDays(Bounds),
    Tag(String),
    Consent(String),
    Birthday(BirthdayWhen),
    /// Was born in this month, 1 to 12.
    BirthdayMonth(u8),
    /// The language begins with this tag: "fr" takes in "fr-CA".
    Language(String),
    HomeLocation(String),
    /// How far the customer's address is from a location.
    Distance(Distance),
    /// A field that the shop has declared itself has one of these values.
    Field(FieldIs),
    /// Where the profile came from: "pos", "online", "manual", "import".
    Origin(String),
}

/// Whole kilometres from the customer's address to a location, within bounds. Whoever's address is not
/// known is nowhere near and nowhere far.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distance {
    pub location: String,
    pub at_least: Option<i64>,
    pub over: Option<i64>,
    pub at_most: Option<i64>,
    pub under: Option<i64>,
    pub exactly: Option<i64>,
}

/// A field of the shop's own, and what it may say. Without `is`, anything that is known will do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldIs {
    pub key: String,
    #[serde(default)]
    pub is: Option<OneOrMany>,
}

/// One value, or several of which one will do.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(FieldValue),
    Many(Vec<FieldValue>),
}

/// A value as the field has it; numbers with decimals are written as texts, such as "10.5".
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum FieldValue {
    Flag(bool),
    Whole(i64),
    Text(String),
}

impl OneOrMany {
    pub fn values(&self) -> &[FieldValue] {
        match self {
            OneOrMany::One(value) => std::slice::from_ref(value),
            OneOrMany::Many(values) => values,
        }
    }
}

impl FieldValue {
    /// The host keeps every field as a text in one form.
    pub fn is(&self, kept: &str) -> bool {
        match self {
            FieldValue::Flag(flag) => kept == if *flag { "true" } else { "false" },
            FieldValue::Whole(number) => kept.parse() == Ok(*number),
            FieldValue::Text(text) => kept == text,
        }
    }
}

/// A number within bounds. At least one bound must be there.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    pub at_least: Option<i64>,
    pub over: Option<i64>,
    pub at_most: Option<i64>,
    pub under: Option<i64>,
    pub exactly: Option<i64>,
}

/// A measure within bounds, of all sales or of those in one window, channel or group.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Measured {
    pub at_least: Option<i64>,
    pub over: Option<i64>,
    pub at_most: Option<i64>,
    pub under: Option<i64>,
    pub exactly: Option<i64>,
    pub days: Option<u32>,
    pub channel: Option<ChannelName>,
    pub location: Option<String>,
    pub category: Option<String>,
    pub collection: Option<String>,
}

/// Which sales a ladder measures.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scope {
    pub days: Option<u32>,
    pub channel: Option<ChannelName>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThisSale {
    pub at_least: Option<i64>,
    pub over: Option<i64>,
    pub channel: Option<ChannelName>,
    pub location: Option<String>,
    /// Some line of it is of this category, or of this collection.
    pub category: Option<String>,
    pub collection: Option<String>,
    /// From this day to that one, both included, on the wall of the location.
    pub from: Option<Date>,
    pub until: Option<Date>,
}

/// Events of one kind, or those of them whose attribute is a number that is large enough.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Happened {
    /// Its kind, such as "store_event.attended" or "x.review".
    pub event: String,
    pub attribute: Option<String>,
    pub attribute_at_least: Option<i64>,
    pub at_least: Option<i64>,
    pub over: Option<i64>,
    pub at_most: Option<i64>,
    pub under: Option<i64>,
    pub exactly: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaleAfter {
    /// The kind of the event that came before, such as "store_event.attended".
    pub event: String,
    /// Less than so many times 24 hours before.
    pub within_days: u32,
    #[serde(default)]
    pub channel: Option<ChannelName>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Channels {
    /// Has bought in each of these …
    pub bought: Vec<ChannelName>,
    /// … and in at least one of these …
    pub bought_any: Vec<ChannelName>,
    /// … and never in any of these.
    pub never: Vec<ChannelName>,
    /// Counts only what was bought in so many days; `never` is for life.
    pub days: Option<u32>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crossing {
    pub from: ChannelName,
    pub to: ChannelName,
}

/// Buys in some windows of the year.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seasons {
    pub windows: Vec<Window>,
    /// In how many seasons at least. The same window of another year is another season.
    #[serde(default = "one")]
    pub seasons: u32,
    /// How many sales at least, in all seasons together.
    #[serde(default = "one")]
    pub orders: u32,
    /// True if a sale outside of the windows disqualifies.
    #[serde(default)]
    pub only: bool,
}

/// From a day of the year to another, both included. It may go over the turn of the year.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    pub from: MonthDay,
    pub to: MonthDay,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanGap {
    pub at_most_days: u32,
    /// Of at least so many sales; one gap is no rhythm.
    #[serde(default = "three")]
    pub orders: u32,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silent {
    /// So many times 24 hours since the last sale.
    pub days: u32,
    /// Only whoever was active before: so many sales …
    #[serde(default)]
    pub after_orders: Option<u32>,
    /// … in the 7, 30, 90 or 365 days that ended with the last sale.
    #[serde(default = "ninety")]
    pub within_days: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BirthdayWhen {
    Today,
    ThisMonth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelName {
    Pos,
    Online,
    Phone,
    Other,
}

impl ChannelName {
    pub fn channel(self) -> Channel {
        match self {
            ChannelName::Pos => Channel::Pos,
            ChannelName::Online => Channel::Online,
            ChannelName::Phone => Channel::Phone,
            ChannelName::Other => Channel::Other,
        }
    }
}

/// A day of any year, written `11-27`. 29 February is one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MonthDay {
    pub month: u8,
    pub day: u8,
}

impl<'de> Deserialize<'de> for MonthDay {
    fn deserialize<D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // A leap year has every day that any year has.
        match format!("2024-{text}").parse::<Date>() {
            Ok(date) => Ok(MonthDay {
                month: date.month,
                day: date.day,
            }),
            Err(_) => Err(serde::de::Error::custom(format_args!(
                "{text:?} is not a day of the year; write it like 11-27"
            ))),
        }
    }
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn three() -> u32 {
    3
}

fn ninety() -> u32 {
    90
}
