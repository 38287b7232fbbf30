//! Goods that were exchanged for others, and orders that were edited: something comes back of a sale,
//! and there is something else instead.

use super::data::{Common, CustomerData};
use super::returns::{AboutSale, LineBack, WhatIsBack, keep};
use super::sale::{DiscountData, Goods, LineData, TenderData, own_order};
use crate::event::{Body, Channel, EventName, Exchange, Money, OrderName, Sale};
use crate::refusal::{Refusal, invalid};
use crate::shop::Shop;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The tender with which rules see that new goods were paid by old ones.
pub const TENDER: &str = "exchange";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExchangeEvent {
    sale: Option<EventName>,
    order: Option<OrderName>,
    /// Whoever came; the points are the buyer's.
    customer: Option<CustomerData>,
    channel: Channel,
    location: Option<String>,
    device: Option<String>,
    staff: Option<String>,
    reason: Option<String>,
    method: Option<String>,
    currency: String,
    /// What came back, by the lines of the sale.
    #[serde(default)]
    returned: Vec<LineBack>,
    /// What it counted for.
    amount: Money,
    /// What the customer took instead.
    lines: Vec<LineData>,
    #[serde(default)]
    discounts: Vec<DiscountData>,
    #[serde(default)]
    shipping: Money,
    #[serde(default)]
    tip: Money,
    #[serde(default)]
    rounding: Money,
    #[serde(default)]
    tax: Money,
    #[serde(default)]
    tax_included: bool,
    /// What that cost.
    total: Money,
    /// The difference, as it was paid or given back.
    #[serde(default)]
    tenders: Vec<TenderData>,
    /// Where the new goods have an order of their own.
    new_order: Option<OrderName>,
    #[serde(default)]
    historical: bool,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EditEvent {
    sale: Option<EventName>,
    order: Option<OrderName>,
    customer: Option<CustomerData>,
    channel: Option<Channel>,
    location: Option<String>,
    device: Option<String>,
    staff: Option<String>,
    reason: Option<String>,
    currency: String,
    /// What is not in the order any more, by its lines.
    #[serde(default)]
    removed: Vec<LineBack>,
    /// What the order costs less by that.
    #[serde(default)]
    amount: Money,
    /// The part of it that was for shipping.
    #[serde(default)]
    shipping_removed: Money,
    /// What is in it now besides: lines of the order after those that it had.
    #[serde(default)]
    added: Vec<LineData>,
    #[serde(default)]
    discounts: Vec<DiscountData>,
    #[serde(default)]
    shipping: Money,
    #[serde(default)]
    rounding: Money,
    #[serde(default)]
    tax: Money,
    #[serde(default)]
    tax_included: bool,
    /// What the order costs more by that.
    #[serde(default)]
    total: Money,
    #[serde(default)]
    historical: bool,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

impl ExchangeEvent {
    pub fn check(self, common: &mut Common, shop: &Shop) -> Result<Body, Refusal> {
        if self.lines.is_empty() {
            return invalid(
                "nothing-new",
                "/data/lines",
                "an exchange gives something for what comes back; without new goods it is return.completed",
            );
        }
        let about = AboutSale {
            sale: self.sale,
            order: self.order,
            customer: self.customer,
            channel: Some(self.channel),
            location: self.location,
            device: self.device,
            staff: self.staff,
            reason: self.reason,
            historical: self.historical,
            attributes: self.attributes,
        };
        let of = about.check(common)?;
        keep("method", self.method, common)?;
        let tenders = with_what_came_back(self.tenders, self.amount, self.total)?;
        let back = WhatIsBack {
            currency: self.currency.clone(),
            amount: self.amount,
            shipping: 0,
            lines: self.returned,
        };
        let bought = Goods {
            currency: self.currency,
            tax_included: self.tax_included,
            lines: self.lines,
            discounts: self.discounts,
            shipping: self.shipping,
            tip: self.tip,
            rounding: self.rounding,
            tax: self.tax,
            total: self.total,
            tenders,
        };
        Ok(Body::Exchange(Exchange {
            of,
            back: back.check("returned", shop)?,
            bought: Sale {
                order: self
                    .new_order
                    .map(|order| own_order(order, "new_order"))
                    .transpose()?,
                ..bought.check("lines", common, shop)?
            },
        }))
    }
}

/// What the customer paid, or was given back, is the difference. Rules see the new goods as a sale, whose
/// tenders sum to its total, so what came back is a tender as well.
fn with_what_came_back(
    given: Vec<TenderData>,
    amount: Money,
    total: Money,
) -> Result<Vec<TenderData>, Refusal> {
    if given.is_empty() {
        return Ok(given);
    }
    let paid: i128 = given.iter().map(|tender| i128::from(tender.amount)).sum();
    let difference = i128::from(total) - i128::from(amount);
    if paid != difference {
        return invalid(
            "tenders",
            "/data/tenders",
            format!("tenders sum to {paid}, but total {total} - amount {amount} = {difference}"),
        );
    }
    let kind = TENDER.to_owned();
    let came_back = TenderData {
        kind,
        amount,
        code: None,
    };
    Ok([came_back].into_iter().chain(given).collect())
}

impl EditEvent {
    pub fn check(self, common: &mut Common, shop: &Shop) -> Result<Body, Refusal> {
        if self.removed.is_empty() && self.added.is_empty() && self.amount == 0 && self.total == 0 {
            return invalid(
                "nothing-edited",
                "/data",
                "an edit names what is `removed` from the order, or `added` to it",
            );
        }
        let about = AboutSale {
            sale: self.sale,
            order: self.order,
            customer: self.customer,
            channel: self.channel,
            location: self.location,
            device: self.device,
            staff: self.staff,
            reason: self.reason,
            historical: self.historical,
            attributes: self.attributes,
        };
        let of = about.check(common)?;
        let back = WhatIsBack {
            currency: self.currency.clone(),
            amount: self.amount,
            shipping: self.shipping_removed,
            lines: self.removed,
        };
        let bought = Goods {
            currency: self.currency,
            tax_included: self.tax_included,
            lines: self.added,
            discounts: self.discounts,
            shipping: self.shipping,
            tip: 0,
            rounding: self.rounding,
            tax: self.tax,
            total: self.total,
            tenders: Vec::new(),
        };
        Ok(Body::Edit(Exchange {
            of,
            back: back.check("removed", shop)?,
            bought: bought.check("added", common, shop)?,
        }))
    }
}
