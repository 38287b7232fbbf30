//! What a shop may say about what should happen next, as it is written. What a schema cannot say
//! is checked in `check`; nothing here decides.

use std::collections::BTreeMap;

use stampcard_sdk::Span;
use stampcard_sdk::prelude::*;

use crate::text::Text;

/// The whole configuration. Rules are a table, so that a name is there once: what was sent is
/// known by it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub rules: BTreeMap<String, Rule>,
    /// Lines for the receipt of every sale. A line with a field that is not known is left out.
    pub receipt: Vec<Text>,
    /// How tiers are called in texts. Without it "gold" is "Gold".
    pub tier_names: BTreeMap<String, String>,
    /// How dates are written in texts for the till.
    pub dates: DateStyle,
}

/// When something happens, do something.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Any of these sets it off.
    pub on: Vec<Trigger>,
    /// For whom and for which sales.
    #[serde(default)]
    pub only: Only,
    /// Its message is meant for every customer. It must be said: whom a message is for is not left
    /// to what somebody forgot to write.
    #[serde(default)]
    pub everybody: bool,
    /// How often for one customer.
    #[serde(default)]
    pub repeat: Repeat,
    /// Not again within so many times 24 hours.
    #[serde(default)]
    pub every_days: Option<u32>,
    /// Fields that must be known; without them it is skipped, and the note says so.
    #[serde(default)]
    pub requires: Vec<String>,
    #[serde(default)]
    pub message: Option<Message>,
    #[serde(default)]
    pub task: Option<Task>,
    #[serde(default)]
    pub prompt: Option<Prompting>,
    #[serde(default)]
    pub receipt: Vec<Text>,
}

/// What sets a rule off.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Every sale.
    Sale,
    /// The first sale in any channel.
    FirstSale,
    FirstInStoreSale,
    FirstOnlineSale,
    /// Goods or money came back.
    Return,
    /// Joined the programme.
    Enrolled,
    /// Was recognised at the till or online.
    Identified,
    /// A basket that is not paid yet.
    Checkout,
    /// Reached a higher tier.
    TierUp,
    SegmentEntered(String),
    SegmentLeft(String),
    TagSet(String),
    Birthday(BirthdayTrigger),
    /// Has bought, but not for a while.
    Silence(Silence),
    /// Points will end that can still be used.
    PointsEnding(EndingTrigger),
    /// Any other kind of event, by its name.
    Event(String),
}

impl Rule {
    /// Whether it names a group of customers: the segments, tags or tiers that `only` wants, or for
    /// each trigger the segment or the tag that sets it off.
    pub fn names_a_group(&self) -> bool {
        let only = &self.only;
        let wants = !only.segments.is_empty() || !only.tags.is_empty() || !only.tiers.is_empty();
        wants || self.on.iter().all(Trigger::names_a_group)
    }
}

impl Trigger {
    fn names_a_group(&self) -> bool {
        matches!(
            self,
            Trigger::SegmentEntered(_) | Trigger::SegmentLeft(_) | Trigger::TagSet(_)
        )
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BirthdayTrigger {
    /// So many days of 24 hours ahead of it.
    pub days_before: u32,
    /// At this hour of the day.
    pub hour: u32,
    /// Only if the shop has known the birthday for so many days: it may have been set to get
    /// the gift.
    pub known_days: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndingTrigger {
    /// So many days of 24 hours ahead of the last day on which they can be used.
    pub days_before: u32,
    /// At this hour of the day.
    #[serde(default)]
    pub hour: u32,
    /// Not for fewer points than these.
    #[serde(default)]
    pub at_least: Points,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// So many times 24 hours since the last sale; at least so many with `rhythm_percent`.
    pub days: u32,
    /// This share of the customer's own mean gap between sales, if they have bought three times:
    /// 200 is twice as long as usual.
    #[serde(default)]
    pub rhythm_percent: Option<u32>,
}

/// All that is said must be true.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Only {
    pub channels: Vec<ChannelName>,
    /// Locations by their ids.
    pub locations: Vec<String>,
    /// Kinds of locations, such as "store".
    pub location_kinds: Vec<String>,
    pub not_location_kinds: Vec<String>,
    /// Is in any of these segments, after this event.
    pub segments: Vec<String>,
    pub not_segments: Vec<String>,
    /// Has any of these tags, after this event.
    pub tags: Vec<String>,
    pub not_tags: Vec<String>,
    /// Was in the segment, or had the tag, before the local day began.
    pub won_before_today: bool,
    /// Is in any of these tiers, after this event.
    pub tiers: Vec<String>,
    /// Has joined the programme, or has not.
    pub members: Option<bool>,
    /// Agrees to any of these purposes.
    pub consents: Vec<String>,
    /// Sales so far, this one included.
    pub orders_at_least: Option<u32>,
    pub orders_at_most: Option<u32>,
    /// What the sale or the basket comes to, in minor units.
    pub total_at_least: Option<Money>,
    /// Goods of which the sale or the basket has some.
    pub goods: Option<GoodsName>,
    /// Goods of which it has none: what was just put into it is not suggested any more.
    pub not_goods: Option<GoodsName>,
}

/// Goods by any of their names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GoodsName {
    pub skus: Vec<String>,
    pub categories: Vec<String>,
    pub collections: Vec<String>,
    /// Pieces, for goods that are given.
    pub pieces: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repeat {
    /// Each time it is set off.
    #[default]
    Each,
    /// Once in a customer's life.
    Once,
    /// Once in a local year.
    Yearly,
}

/// A message through one channel: the first that the customer has agreed to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    pub template: String,
    /// In the order in which they are preferred.
    pub channels: Vec<String>,
    #[serde(default)]
    pub purpose: PurposeName,
    /// So long after the event; at once, if nothing is said.
    #[serde(default)]
    pub after: Option<Span>,
    /// Not sent any more so long after the event.
    #[serde(default)]
    pub expires: Option<Span>,
    /// What the template needs: `"{points}"` gives a field with its type, anything else a text.
    #[serde(default)]
    pub data: BTreeMap<String, Text>,
    /// Kinds of events that cancel it while it is not sent.
    #[serde(default)]
    pub cancelled_by: Vec<String>,
    #[serde(default)]
    pub offer: Option<Offer>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PurposeName {
    /// Only with the customer's consent to the channel.
    #[default]
    Marketing,
    /// Part of what was bought or asked for.
    Service,
}

/// Something for staff to do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    pub template: String,
    /// Due so many days of 24 hours later; the template finds it as `due`.
    #[serde(default)]
    pub due_days: Option<u32>,
    #[serde(default)]
    pub data: BTreeMap<String, Text>,
    #[serde(default)]
    pub cancelled_by: Vec<String>,
}

/// Something for the till to show, with or without a discount.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompting {
    /// "discount" with an offer and "message" without, if nothing else is said.
    #[serde(default)]
    pub kind: Option<String>,
    pub text: Text,
    /// A till shows few prompts: those with the highest number come first.
    #[serde(default)]
    pub priority: i32,
    #[serde(default)]
    pub offer: Option<Offer>,
}

/// A discount: a share or an amount, on something.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Basis points: 1000 is 10 %.
    #[serde(default)]
    pub share: Option<u32>,
    /// Minor units.
    #[serde(default)]
    pub amount: Option<Money>,
    #[serde(default)]
    pub on: OfferOn,
    /// What is given, for `gift` and `next_goods`.
    #[serde(default)]
    pub goods: Option<GoodsName>,
    /// The basket must come to at least this, in minor units.
    #[serde(default)]
    pub minimum: Money,
    /// The same code for everybody.
    #[serde(default)]
    pub code: Option<String>,
    /// A code of the customer's own that nobody can guess, with this in front.
    #[serde(default)]
    pub code_prefix: Option<String>,
    /// Good from the next local day on.
    #[serde(default)]
    pub from_tomorrow: bool,
    /// Good for so long.
    #[serde(default)]
    pub valid: Option<Span>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferOn {
    /// All of this basket while it is not paid, else all of the next purchase.
    #[default]
    Basket,
    /// The lines of this basket that `only.goods` names.
    MatchingLines,
    /// Goods that are put into this basket.
    Gift,
    NextPurchase,
    /// Goods of the next purchase.
    NextGoods,
}

/// How a date is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateStyle {
    /// As people write it in the country of the location.
    #[default]
    ByCountry,
    /// 2026-05-31
    Iso,
    /// 05/31/2026
    MonthFirst,
    /// 31/05/2026
    DayFirst,
    /// 31.05.2026
    DayFirstDots,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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
