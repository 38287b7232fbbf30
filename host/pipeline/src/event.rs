//! An event as the line sees it: admitted, typed, in the shop's currency, without personal data.
//!
//! What an event says about a person (identifiers, names, notes) is split off at admission into
//! [`Personal`] and lives in one room of the store; nothing in this file may hold it.

use crate::calendar;
use crate::change::{CustomerId, LotKey};
use crate::credit;
use crate::currency::Currency;
use crate::fold::Basket;
use crate::forfeit::Forfeit;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Instant(pub i64);

/// Minor units of the shop's currency.
pub type Money = i64;
/// Loyalty points.
pub type Points = i64;

/// One thing that happened, in the form that the journal keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The system that sent it; with `id` it names the event for ever.
    pub source: String,
    pub id: String,
    /// Its name in the catalogue, such as `sale.completed`.
    pub kind: String,
    pub at: Instant,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    /// The id of a location of the shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staff: Option<String>,
    /// From an import: it moves everything but sends nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub historical: bool,
    /// How the customer was told apart from all others; by what is in [`Personal`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identified_by: Vec<IdentifierKind>,
    /// What admission found worth saying: fields that the shop wants and that are missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    pub body: Body,
    /// The browser that it came from, under a name that only this shop can make of what the browser says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitor: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// What those left who give it, when it arrived.
    #[serde(default, skip_serializing_if = "Room::is_everything")]
    pub room: Room,
}

/// Points that the limits of a till and of whoever serves there leave; `None` where there is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Room {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<Points>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff: Option<Points>,
}

impl Room {
    pub fn is_everything(&self) -> bool {
        *self == Room::default()
    }
}

impl Event {
    /// What plugins are given when something of a customer is due: an event without a name.
    pub fn review(at: Instant) -> Event {
        Event {
            source: String::new(),
            id: String::new(),
            kind: "review.due".into(),
            at,
            channel: None,
            location: None,
            device: None,
            staff: None,
            historical: false,
            identified_by: Vec::new(),
            notes: Vec::new(),
            body: Body::Review,
            visitor: None,
            attributes: BTreeMap::new(),
            room: Room::default(),
        }
    }

    /// What plugins are given when nobody has paid for a basket in time. As a review it has no name.
    pub fn basket_left(at: Instant, basket: &Basket) -> Event {
        let data = serde_json::json!({
            "basket": {"source": basket.source, "id": basket.id},
            "since": calendar::text(basket.at), "total": basket.total,
        });
        Event {
            kind: "checkout.abandoned".into(),
            channel: basket.channel,
            location: basket.location.clone(),
            body: Body::Other(data.to_string()),
            ..Event::review(at)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    Pos,
    Online,
    Phone,
    Other,
}

impl Channel {
    pub const ALL: [Channel; 4] = [
        Channel::Pos,
        Channel::Online,
        Channel::Phone,
        Channel::Other,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Channel::Pos => "pos",
            Channel::Online => "online",
            Channel::Phone => "phone",
            Channel::Other => "other",
        }
    }
}

/// The part of an event that depends on its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Body {
    Sale(Sale),
    Checkout(Sale),
    Profile(ProfileChange),
    Consent(Consent),
    Tag(TagChange),
    Adjustment(Adjustment),
    CreditAdjustment(CreditAdjustment),
    Forfeit(Forfeit),
    Placement(StaffPlacement),
    Import(Import),
    Note(NoteChange),
    Visit(Visit),
    Return(Return),
    Exchange(Exchange),
    /// An order is not what it was: lines for other lines.
    Edit(Exchange),
    Payment(Payment),
    Redemption(RedemptionStep),
    /// Two profiles are one person.
    Merge(Merge),
    /// They are two after all.
    Unmerge(Unmerge),
    /// Two profiles that look like one person are two.
    Declined(Declined),
    /// A friend whom the customer referred joined, or did something that gives them points.
    Referral(Referral),
    /// The customer's code works no more; why.
    CodeRevoked(String),
    /// The person wants to be forgotten.
    Erasure(Erasure),
    /// Something was due; each plugin is told why it is asked.
    Review,
    /// Other rules are live than when the customer was asked last.
    RulesChanged(RulesChanged),
    /// The event's `data` as JSON text, for every other kind.
    Other(String),
}

/// A sale whose sums have been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderName>,
    /// How the order came about within its channel, such as `marketplace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    pub lines: Vec<Line>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounts: Vec<Discount>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shipping: Money,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tip: Money,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rounding: Money,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tax: Money,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tax_included: bool,
    pub total: Money,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenders: Vec<Tender>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub payment_pending: bool,
    /// The foreign currency that the till sent, and the rate that turned it into the shop's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub converted: Option<Conversion>,
    /// Tags that the till sets with the sale, as the shop's registry has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags_to_add: Vec<String>,
    /// What the till told the customer that the sale earns, where it worked that out by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_points: Option<Points>,
    /// What was asked at the checkout for the profile's own fields, as far as it is not personal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Edit<String>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

impl Sale {
    /// Lines that an edit adds stand after those that there are.
    pub fn add(&mut self, more: &Sale) {
        self.lines.extend(more.lines.iter().cloned());
        self.shipping += more.shipping;
        self.tip += more.tip;
        self.total += more.total;
    }
}

/// An order's own name in the system that took it: a business key, unique for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderName {
    pub system: String,
    pub id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversion {
    pub currency: String,
    /// Shop minor units for one million foreign minor units.
    pub rate_millionths: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collections: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Thousandths of a unit.
    pub quantity: i64,
    /// Weighed or measured: the till sent the quantity as a decimal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub measured: bool,
    pub unit_price: Money,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub discount: Money,
    pub amount: Money,
    /// `amount` less the line's share of the order's discounts.
    pub net: Money,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tax: Money,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gift_card: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discount {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    pub amount: Money,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tender {
    pub kind: String,
    pub amount: Money,
    /// Of store credit that was set aside: the code, in capitals and without its dash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Store credit of a shop that keeps it with us. Elsewhere a till may call its own so, and it is taken
    /// only from customers who have some here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_ours: bool,
    /// Of store credit that the customer is given: when it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
}

impl Tender {
    /// Whether it is the customer's credit with the shop.
    pub fn is_credit(&self) -> bool {
        self.kind == credit::TENDER
    }
}

/// Money that a customer is given as store credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToCredit {
    /// Above zero.
    pub amount: Money,
    /// As the shop had it when it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Instant>,
}

/// The sale that an event speaks of, as its sender knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaleName {
    /// The event with which it was told.
    Sale(EventName),
    Order(OrderName),
}

/// Something of a sale was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    pub of: SaleName,
    pub back: Back,
    /// What of the money is store credit from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_credit: Option<ToCredit>,
}

/// What comes back of a sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Back {
    /// Goods, or money.
    Goods(Refund),
    /// Everything that is left: it was as if nothing had been sold.
    Everything,
}

/// Money that the customer got back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// All of it, at least 0.
    pub amount: Money,
    /// The part of it that was paid for shipping, which earned nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shipping: Money,
    /// What it is for; empty where the sender says only how much.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<ReturnedLine>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedLine {
    /// The line of the sale, from 1.
    pub line: u32,
    /// Thousandths of a unit that came back; 0 where the customer keeps the goods.
    pub quantity: i64,
    /// What was given back for it, at least 0.
    pub amount: Money,
}

/// Goods of a sale for other goods; or lines of an order that is not what it was for other lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    pub of: SaleName,
    /// What came back, and what it counted for.
    pub back: Refund,
    /// What there is instead. Of an exchange this is a sale like any other: it can come back, too. What
    /// an edit adds are more lines of its order, numbered after those that the order had.
    pub bought: Sale,
}

/// The payment of a sale that was pending arrived, or failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    pub of: SaleName,
    pub arrived: bool,
}

/// Points that a customer gives for something: what somebody did about one such redemption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedemptionStep {
    pub of: RedemptionName,
    pub act: RedemptionAct,
}

/// A redemption, as the sender knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedemptionName {
    /// `red_…`.
    Id(String),
    /// The code that the customer shows, in capitals and without its dash.
    Code(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedemptionAct {
    /// Points are set aside.
    Reserve(Reserve),
    /// They were given while nobody could be asked.
    Offline(Offline),
    /// It was given to the customer, with this sale where one is named.
    Confirm(Option<SaleName>),
    /// It was not given: the points are free again.
    Cancel(String),
    /// A second person agreed. It is held until then.
    Approve(Instant),
    /// A second person did not: the points are free again.
    Deny(String),
}

/// What is set aside, and for what: as the shop had it when it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    #[serde(default, skip_serializing_if = "Currency::is_points")]
    pub currency: Currency,
    /// Above zero; minor units of store credit.
    pub points: Points,
    /// The key of the reward; `None` for points at their general worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<String>,
    pub worth: Worth,
    /// The least total of a basket with which it is given.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub minimum: Money,
    /// The points are free again then, if nobody says anything before.
    pub until: Instant,
    /// A second person has to agree first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub needs_approval: bool,
    /// How often one customer may have it within so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<(u32, u32)>,
    /// No other redemption may be open beside it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// It is an allowance: a till may redeem as much until then while it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline_until: Option<Instant>,
}

/// Points that were given at a till while it was not connected. It has happened; what is checked is
/// what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offline {
    /// Above zero.
    pub points: Points,
    pub worth: Worth,
    /// The allowance that the till had for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowance: Option<RedemptionName>,
    /// The allowance had been used, or given back, when this arrived.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub came_too_late: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<SaleName>,
    /// What no allowance covers is taken all the same, and what is not there is owed.
    pub may_exceed: bool,
}

/// What a redemption is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Worth {
    /// Off the basket.
    Amount(Money),
    /// Off the basket, in basis points.
    Share(u32),
    /// A product for nothing.
    Product(String),
}

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

/// What names an event for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventName {
    pub source: String,
    pub id: String,
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

/// A rule book went live, and the host asks again for everybody whom it may affect. What plugins
/// that are live no more have left behind ends with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesChanged {
    /// The number of the rule book.
    pub rule_book: i64,
    /// The plugins that are new in it, or not as they were.
    pub asks: Vec<String>,
    /// The first step at which one of them gave no answer. From there on what was missed is asked
    /// for again, and what was decided stays as far as it does not follow from that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_from: Option<Position>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    pub count: u32,
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

impl Event {
    pub fn sale(&self) -> Option<&Sale> {
        match &self.body {
            Body::Sale(sale) => Some(sale),
            Body::Exchange(it) => Some(&it.bought),
            _ => None,
        }
    }

    /// A sale, a basket that may become one, or what was added to one.
    pub fn basket(&self) -> Option<&Sale> {
        match &self.body {
            Body::Checkout(sale) => Some(sale),
            Body::Edit(it) => Some(&it.bought),
            _ => self.sale(),
        }
    }

    /// What comes back with it by its lines, and the field of its `data` that says so.
    pub fn brings_back(&self) -> Option<(&'static str, &Refund)> {
        match &self.body {
            Body::Return(Return {
                back: Back::Goods(refund),
                ..
            }) => Some(("lines", refund)),
            Body::Exchange(it) => Some(("returned", &it.back)),
            Body::Edit(it) => Some(("removed", &it.back)),
            _ => None,
        }
    }

    /// What may come once only, whatever the event is called: the order of a sale, and the token
    /// that a customer showed.
    pub fn business_key(&self) -> Option<&OrderName> {
        match &self.body {
            Body::Profile(change) => change.token.as_ref(),
            _ => self.sale()?.order.as_ref(),
        }
    }

    /// What staff does to somebody's standing needs somebody who is there: a misspelt address must
    /// not become a customer with points.
    pub fn needs_a_known_customer(&self) -> bool {
        matches!(
            self.body,
            Body::Adjustment(_)
                | Body::CreditAdjustment(_)
                | Body::Forfeit(_)
                | Body::Placement(_)
                | Body::Note(_)
                | Body::CodeRevoked(_)
                | Body::Erasure(_)
                | Body::Redemption(RedemptionStep {
                    act: RedemptionAct::Reserve(_)
                        | RedemptionAct::Offline(Offline {
                            allowance: None,
                            ..
                        }),
                    ..
                })
        )
    }

    /// What it does about a redemption.
    pub fn redemption(&self) -> Option<&RedemptionStep> {
        match &self.body {
            Body::Redemption(step) => Some(step),
            _ => None,
        }
    }

    /// The product that it sets points aside for, by what tills call it.
    pub fn reserves_product(&self) -> Option<&str> {
        match &self.redemption()?.act {
            RedemptionAct::Reserve(Reserve {
                worth: Worth::Product(sku),
                ..
            }) => Some(sku),
            _ => None,
        }
    }

    /// The redemption that the event speaks of, if it is not the one that it begins.
    pub fn speaks_of_redemption(&self) -> Option<&RedemptionName> {
        match &self.body {
            Body::Redemption(RedemptionStep {
                act: RedemptionAct::Reserve(_),
                ..
            }) => None,
            Body::Redemption(RedemptionStep {
                act: RedemptionAct::Offline(it),
                ..
            }) => it.allowance.as_ref(),
            Body::Redemption(step) => Some(&step.of),
            _ => None,
        }
    }

    /// What was given at a till that was not connected.
    pub fn offline(&self) -> Option<&Offline> {
        match &self.redemption()?.act {
            RedemptionAct::Offline(it) => Some(it),
            _ => None,
        }
    }

    /// What staff takes with it from what the customer has; 0 for nearly all.
    pub fn taken_by_staff(&self) -> (Currency, i64) {
        match &self.body {
            Body::Adjustment(it) => (Currency::Points, (-it.points).max(0)),
            Body::CreditAdjustment(it) => (Currency::StoreCredit, (-it.amount).max(0)),
            Body::Forfeit(it) => (Currency::Points, it.points.unwrap_or(0)),
            _ => (Currency::Points, 0),
        }
    }

    /// Whether it may take points or credit from what the customer has.
    pub fn may_take(&self) -> bool {
        let takes = |referral: &Referral| referral.awards.iter().any(|award| award.points < 0);
        self.taken_by_staff().1 > 0
            || self.speaks_of().is_some()
            || self.redemption().is_some()
            || self.referral().is_some_and(takes)
            || matches!(
                self.body,
                Body::CreditAdjustment(_) | Body::Forfeit(_) | Body::Erasure(_)
            )
            || self.pays_with_credit(false)
    }

    /// What a friend's step gives the customer.
    pub fn referral(&self) -> Option<&Referral> {
        match &self.body {
            Body::Referral(referral) => Some(referral),
            _ => None,
        }
    }

    /// The code with which the customer joined.
    pub fn signup(&self) -> Option<&SignUp> {
        match &self.body {
            Body::Profile(change) => change.referral.as_ref(),
            _ => None,
        }
    }

    /// Whether the customer joins the programme with it.
    pub fn enrols(&self) -> bool {
        matches!(&self.body, Body::Profile(change) if change.enrolled)
    }

    /// Whether it is a sale that was paid with store credit, of a customer who has some here or not.
    pub fn pays_with_credit(&self, has_some: bool) -> bool {
        let tenders = self.sale().map_or(&[][..], |sale| &sale.tenders);
        let mut tenders = tenders.iter().filter(|tender| tender.is_credit());
        tenders.any(|tender| tender.is_ours || has_some)
    }

    /// The sale of which the event takes something back, or whose payment it is about.
    pub fn speaks_of(&self) -> Option<&SaleName> {
        match &self.body {
            Body::Return(it) => Some(&it.of),
            Body::Exchange(it) | Body::Edit(it) => Some(&it.of),
            Body::Payment(it) => Some(&it.of),
            _ => None,
        }
    }

    /// The sale to which it adds lines.
    pub fn edits(&self) -> Option<&SaleName> {
        match &self.body {
            Body::Edit(it) => Some(&it.of),
            _ => None,
        }
    }

    /// Whether it is the sale of that name.
    pub fn is_sale(&self, name: &SaleName) -> bool {
        let Some(sale) = self.sale() else {
            return false;
        };
        match name {
            SaleName::Sale(name) => name.source == self.source && name.id == self.id,
            SaleName::Order(order) => sale.order.as_ref() == Some(order),
        }
    }

    /// Whether the person of the event is forgotten with it.
    pub fn is_erasure(&self) -> bool {
        matches!(self.body, Body::Erasure(_))
    }

    /// The second customer of an event about two.
    pub fn other(&self) -> Option<&CustomerId> {
        match &self.body {
            Body::Merge(it) => Some(&it.other),
            Body::Unmerge(it) => Some(&it.other),
            Body::Declined(it) => Some(&it.other),
            _ => None,
        }
    }

    /// Whether it makes two customers one, or one two.
    pub fn is_about_two(&self) -> bool {
        matches!(self.body, Body::Merge(_) | Body::Unmerge(_))
    }

    /// The kinds of identifiers that the event puts in the place of older ones.
    pub fn replaces(&self) -> &[IdentifierKind] {
        match &self.body {
            Body::Profile(change) => &change.replaces,
            _ => &[],
        }
    }

    pub fn rules_changed(&self) -> Option<&RulesChanged> {
        match &self.body {
            Body::RulesChanged(change) => Some(change),
            _ => None,
        }
    }

    /// Who did it, for acts of staff.
    pub fn actor(&self) -> String {
        self.staff.clone().unwrap_or_else(|| "staff".into())
    }

    pub fn name(&self) -> EventName {
        EventName {
            source: self.source.clone(),
            id: self.id.clone(),
        }
    }

    pub fn position(&self) -> Position {
        let id = self.referral().map_or(&self.id, |it| &it.place);
        Position {
            at: self.at,
            source: self.source.clone(),
            id: id.clone(),
        }
    }
}

/// A place in one customer's history: the order of the fold, whatever the order of arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub at: Instant,
    pub source: String,
    pub id: String,
}

fn is_zero(amount: &Money) -> bool {
    *amount == 0
}
