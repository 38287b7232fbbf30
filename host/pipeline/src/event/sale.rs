//! What is sold, paid and brought back.

use super::{Edit, EventName, Instant, Money, Points, is_zero};
use crate::credit;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
