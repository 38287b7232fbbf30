//! Store credit in what is told: how money was paid back, what staff gave, and when it ends.

use super::acts::{EXPIRES_AT, ends_at, reason};
use super::data::Common;
use super::malformed;
use super::said::acts;
use super::sale::{at_rate, rate_of, too_many};
use super::sender::Sender;
use crate::event::{Body, CreditAdjustment, Instant, Money, Sale, ToCredit};
use crate::limits;
use crate::refusal::{Refusal, invalid};
use crate::shop::Shop;
use serde::Deserialize;

acts! {
    CreditEvent {
        /// Minor units of the shop's currency.
        amount: Money,
        /// The shop's, where it is said.
        currency: Option<String>,
        reason: String,
        expires_at: Option<String>,
        #[serde(default)]
        historical: bool,
    }
}

impl CreditEvent {
    pub fn check(
        mut self,
        common: &mut Common,
        shop: &Shop,
        by: &Sender,
        at: Instant,
    ) -> Result<Body, Refusal> {
        self.said().tell(common, by)?;
        common.historical = self.historical;
        if self.amount == 0 {
            return invalid(
                "no-amount",
                "/data/amount",
                "an amount of 0 changes nothing",
            );
        }
        let own = &shop.file.currency;
        if let Some(other) = self.currency.filter(|currency| currency != own) {
            return invalid(
                "another-currency",
                "/data/currency",
                format!(
                    "store credit is kept in {own}, and not in {other}; say what it comes to in {own}"
                ),
            );
        }
        if self.amount < 0 && self.expires_at.is_some() {
            return invalid(
                "expiry-without-credit",
                EXPIRES_AT,
                "credit that is taken does not expire",
            );
        }
        let expires_at = ends_at(self.expires_at.as_deref(), at)?;
        Ok(Body::CreditAdjustment(CreditAdjustment {
            amount: self.amount,
            reason: reason(self.reason)?,
            expires_at,
        }))
    }
}

/// How money was paid back.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum RefundTo {
    /// The customer's credit with the shop.
    StoreCredit,
    /// The way in which they had paid.
    Original,
    Cash,
    Card,
    GiftCard,
    Other,
}

/// A part of what was paid back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefundPart {
    to: RefundTo,
    amount: Money,
}

/// How all of it was paid back, or each part.
pub(super) struct PaidBack {
    pub all_to: Option<RefundTo>,
    pub parts: Vec<RefundPart>,
    /// As it was told, and its currency.
    pub amount: Money,
    pub currency: String,
}

impl PaidBack {
    /// What of it is store credit; `in_all` is the amount in the shop's currency.
    pub fn as_credit(&self, in_all: Money, shop: &Shop) -> Result<Option<ToCredit>, Refusal> {
        if self.parts.len() > limits::LIST_MAX {
            return too_many("refunds", self.parts.len(), limits::LIST_MAX);
        }
        let is_credit = |to: RefundTo| to == RefundTo::StoreCredit;
        let amount = match (self.all_to, self.parts.is_empty()) {
            (Some(_), false) => {
                return invalid(
                    "refund-and-refunds",
                    "/data/refunds",
                    "send `refund_to` for all of it, or `refunds` for its parts; not both",
                );
            }
            (None, true) => 0,
            (Some(to), true) => {
                if is_credit(to) {
                    in_all
                } else {
                    0
                }
            }
            (None, false) => {
                let mut sum = 0;
                for (index, part) in self.parts.iter().enumerate() {
                    if part.amount <= 0 {
                        return invalid(
                            "negative-amount",
                            format!("/data/refunds/{index}/amount"),
                            "what was paid back is above 0",
                        );
                    }
                    sum += i128::from(part.amount);
                }
                if sum != i128::from(self.amount) {
                    return invalid(
                        "sum",
                        "/data/refunds",
                        format!("refunds sum to {sum}, and amount is {}", self.amount),
                    );
                }
                let credit = self.parts.iter().filter(|part| is_credit(part.to));
                let told: Money = credit.map(|part| part.amount).sum();
                match self.currency == shop.file.currency {
                    true => told,
                    false => at_rate(told, rate_of(&self.currency, shop)?).min(in_all),
                }
            }
        };
        Ok((amount > 0).then_some(ToCredit {
            amount,
            expires_at: None,
        }))
    }
}

/// What the shop has decided about credit by now: that it keeps it with us, and when credit ends that the
/// event gives.
pub(super) fn complete(body: &mut Body, at: Instant, common: &Common, shop: &Shop) {
    let Some(policy) = &shop.file.store_credit else {
        return;
    };
    let end = policy.end(at, shop.zone_at(common.location.as_deref()));
    let of_sale = |sale: &mut Sale| {
        let tenders = sale.tenders.iter_mut();
        for tender in tenders.filter(|tender| tender.is_credit()) {
            // Where a history comes from, credit was kept elsewhere.
            tender.is_ours = !common.historical;
            tender.expires_at = end.filter(|_| tender.amount < 0);
        }
    };
    match body {
        Body::Sale(sale) => of_sale(sale),
        Body::Exchange(exchange) => of_sale(&mut exchange.bought),
        Body::Return(back) => {
            if let Some(to) = &mut back.to_credit {
                to.expires_at = end;
            }
        }
        Body::CreditAdjustment(it) if it.amount > 0 => it.expires_at = it.expires_at.or(end),
        _ => {}
    }
}

/// Credit that is set aside: how much.
pub(super) fn wanted(amount: Option<Money>) -> Result<Money, Refusal> {
    match amount {
        Some(amount) if amount > 0 => Ok(amount),
        Some(_) => invalid("no-amount", "/data/amount", "set aside an amount above 0"),
        None => malformed("/data/amount", "say how much store credit: `amount`"),
    }
}
