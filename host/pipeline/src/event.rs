//! An event as the line sees it: admitted, typed, in the shop's currency, without personal data.
//!
//! What an event says about a person (identifiers, names, notes) is split off at admission into
//! [`Personal`] and lives in one room of the store; nothing else of an event may hold it.

mod acts;
mod merges;
mod person;
mod redemption;
mod referral;
mod sale;

pub use acts::{
    Adjustment, CreditAdjustment, Forfeit, Import, ImportedLot, ImportedTier, StaffPlacement,
};
pub use merges::{ConfirmedOn, Declined, Merge, Unmerge, WhyMerged};
pub use person::{
    Consent, Edit, Erasure, Identifier, IdentifierKind, MonthDay, NoteChange, Personal,
    ProfileChange, SignUp, TagChange,
};
pub use redemption::{Offline, RedemptionAct, RedemptionName, RedemptionStep, Reserve, Worth};
pub use referral::{Awarded, Referral};
pub use sale::{
    Back, Conversion, Discount, Exchange, Line, OrderName, Payment, Refund, Return, ReturnedLine,
    Sale, SaleName, Tender, ToCredit,
};

use crate::calendar;
use crate::change::CustomerId;
use crate::currency::Currency;
use crate::fold::Basket;
use serde::{Deserialize, Serialize};
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

/// What names an event for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventName {
    pub source: String,
    pub id: String,
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
