//! What is taken back of a sale, and whether its payment arrived.

use super::credit::{PaidBack, RefundPart, RefundTo};
use super::data::{Common, CustomerData, attributes, short};
use super::malformed;
use super::sale::{Quantity, at_rate, rate_of, too_many};
use crate::event::{
    Back, Body, Channel, EventName, Money, OrderName, Payment, Refund, Return, ReturnedLine,
    SaleName,
};
use crate::limits;
use crate::refusal::{Refusal, invalid};
use crate::shop::Shop;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What every event has that speaks of a sale.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AboutSale {
    pub sale: Option<EventName>,
    pub order: Option<OrderName>,
    /// Whoever came; the points are the buyer's.
    pub customer: Option<CustomerData>,
    pub channel: Option<Channel>,
    pub location: Option<String>,
    pub device: Option<String>,
    pub staff: Option<String>,
    pub reason: Option<String>,
    #[serde(default)]
    pub historical: bool,
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnEvent {
    sale: Option<EventName>,
    order: Option<OrderName>,
    customer: Option<CustomerData>,
    channel: Option<Channel>,
    location: Option<String>,
    device: Option<String>,
    staff: Option<String>,
    reason: Option<String>,
    /// How it came back, such as `mail`.
    method: Option<String>,
    currency: String,
    /// What the customer got back.
    amount: Money,
    /// The part of it that was paid for shipping.
    #[serde(default)]
    shipping: Money,
    #[serde(default)]
    lines: Vec<LineBack>,
    /// How all of the amount was paid back.
    refund_to: Option<RefundTo>,
    /// Or how each part of it was.
    #[serde(default)]
    refunds: Vec<RefundPart>,
    #[serde(default)]
    historical: bool,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LineBack {
    /// The position in the sale, from 1.
    line: u32,
    /// Left out where the customer keeps the goods and gets money for them.
    quantity: Option<Quantity>,
    amount: Option<Money>,
}

impl AboutSale {
    pub fn voided(self, common: &mut Common) -> Result<Body, Refusal> {
        let of = self.check(common)?;
        let back = Back::Everything;
        Ok(Body::Return(Return {
            of,
            back,
            to_credit: None,
        }))
    }

    pub fn payment(self, arrived: bool, common: &mut Common) -> Result<Body, Refusal> {
        let of = self.check(common)?;
        Ok(Body::Payment(Payment { of, arrived }))
    }

    pub fn check(self, common: &mut Common) -> Result<SaleName, Refusal> {
        common.tell_where(self.channel, self.location, self.device, self.staff)?;
        common.historical = self.historical;
        common.customer = self.customer;
        common.attributes = attributes(self.attributes)?;
        keep("reason", self.reason, common)?;
        sale_name(self.sale, self.order)
    }
}

impl ReturnEvent {
    pub fn check(self, common: &mut Common, shop: &Shop) -> Result<Body, Refusal> {
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
        keep("method", self.method, common)?;
        let paid_back = PaidBack {
            all_to: self.refund_to,
            parts: self.refunds,
            amount: self.amount,
            currency: self.currency.clone(),
        };
        let back = WhatIsBack {
            currency: self.currency,
            amount: self.amount,
            shipping: self.shipping,
            lines: self.lines,
        };
        let refund = back.check("lines", shop)?;
        Ok(Body::Return(Return {
            of,
            to_credit: paid_back.as_credit(refund.amount, shop)?,
            back: Back::Goods(refund),
        }))
    }
}

/// What comes back, and what it counts for.
pub(super) struct WhatIsBack {
    pub currency: String,
    pub amount: Money,
    pub shipping: Money,
    pub lines: Vec<LineBack>,
}

impl WhatIsBack {
    /// `list` is what the event calls its lines.
    pub fn check(self, list: &str, shop: &Shop) -> Result<Refund, Refusal> {
        if self.lines.len() > limits::LINES_MAX {
            return too_many(list, self.lines.len(), limits::LINES_MAX);
        }
        for (field, amount) in [("amount", self.amount), ("shipping", self.shipping)] {
            if amount < 0 {
                return invalid(
                    "negative-amount",
                    format!("/data/{field}"),
                    format!("{field} is what the customer got back: at least 0"),
                );
            }
        }
        let lines = self.lines.into_iter().enumerate();
        let mut lines = lines
            .map(|(index, line)| line.check(&format!("/data/{list}/{index}")))
            .collect::<Result<Vec<_>, _>>()?;
        let told: i128 = lines.iter().map(|line| i128::from(line.amount)).sum();
        if told + i128::from(self.shipping) > i128::from(self.amount) {
            return invalid(
                "sum",
                "/data/amount",
                format!(
                    "amount is {}, but {list} {told} + shipping {} are more",
                    self.amount, self.shipping
                ),
            );
        }
        let (mut amount, mut shipping) = (self.amount, self.shipping);
        if self.currency != shop.file.currency {
            let rate = rate_of(&self.currency, shop)?;
            amount = at_rate(amount, rate);
            shipping = at_rate(shipping, rate).min(amount);
            for line in &mut lines {
                line.amount = at_rate(line.amount, rate);
            }
        }
        Ok(Refund {
            amount,
            shipping,
            lines,
        })
    }
}

impl LineBack {
    fn check(self, place: &str) -> Result<ReturnedLine, Refusal> {
        let at = |field: &str| format!("{place}/{field}");
        let quantity = match self.quantity.as_ref().map(Quantity::thousandths) {
            None => 0,
            Some(Some(quantity)) => quantity,
            Some(None) => {
                return invalid(
                    "quantity",
                    at("quantity"),
                    "a quantity is an integer, or a decimal string with at most three decimals, at least 0",
                );
            }
        };
        let amount = self.amount.unwrap_or(0);
        if amount < 0 {
            return invalid(
                "negative-amount",
                at("amount"),
                "what the customer got back is at least 0",
            );
        }
        if quantity == 0 && amount == 0 {
            return invalid(
                "nothing-back",
                at("quantity"),
                "a line that comes back has a quantity, or an amount where the customer keeps the goods",
            );
        }
        Ok(ReturnedLine {
            line: self.line,
            quantity,
            amount,
        })
    }
}

pub(super) fn sale_name(
    sale: Option<EventName>,
    order: Option<OrderName>,
) -> Result<SaleName, Refusal> {
    match (sale, order) {
        (Some(sale), None) => {
            short(sale.source.clone(), "/data/sale/source")?;
            short(sale.id.clone(), "/data/sale/id")?;
            Ok(SaleName::Sale(sale))
        }
        (None, Some(order)) => {
            short(order.system.clone(), "/data/order/system")?;
            short(order.id.clone(), "/data/order/id")?;
            Ok(SaleName::Order(order))
        }
        (None, None) => malformed(
            "/data",
            "say which sale: `sale` with the source and id of its event, or `order` with system and id",
        ),
        (Some(_), Some(_)) => invalid(
            "sale-and-order",
            "/data/order",
            "one name is enough: `sale` or `order`",
        ),
    }
}

/// What rules may read and no step decides by.
pub(super) fn keep(name: &str, text: Option<String>, common: &mut Common) -> Result<(), Refusal> {
    if let Some(text) = text {
        let text = short(text, &format!("/data/{name}"))?;
        common.attributes.insert(name.to_owned(), text);
    }
    Ok(())
}
