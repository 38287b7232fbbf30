//! What points are given for, and what becomes of it.

use super::{Instant, Money, Points, SaleName, is_zero};
use crate::currency::Currency;
use serde::{Deserialize, Serialize};

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
