//! A sale's data and its sums.

use super::data::{
    AccountIntent, Common, CustomerData, attributes, bounded, fields, intent, short,
};
use super::sender::Sender;
use super::{malformed, tags};
use crate::credit;
use crate::event::{Channel, Conversion, Discount, Line, Money, OrderName, Points, Sale, Tender};
use crate::limits;
use crate::redemption;
use crate::refusal::{Refusal, invalid};
use crate::shop::{Shop, minor_units_of};
use crate::token;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaleData {
    channel: Channel,
    location: Option<String>,
    device: Option<String>,
    staff: Option<String>,
    order: Option<OrderName>,
    customer: Option<CustomerData>,
    account_intent: Option<AccountIntent>,
    currency: String,
    #[serde(default)]
    tax_included: bool,
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
    total: Money,
    #[serde(default)]
    tenders: Vec<TenderData>,
    payment_state: Option<PaymentState>,
    origin: Option<String>,
    note: Option<String>,
    /// What the till told the customer that it earns, where it worked that out by itself.
    told_points: Option<Points>,
    /// Tags that the till sets with the sale.
    #[serde(default)]
    tags_to_add: Vec<String>,
    /// Fields of the shop's own that were asked at the checkout.
    #[serde(default)]
    fields: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    historical: bool,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LineData {
    sku: Option<String>,
    product: Option<String>,
    variant: Option<String>,
    name: Option<String>,
    category: Option<String>,
    #[serde(default)]
    collections: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
    quantity: Option<Quantity>,
    unit_price: Option<Money>,
    #[serde(default)]
    discount: Money,
    amount: Option<Money>,
    #[serde(default)]
    tax: Money,
    #[serde(default)]
    gift_card: bool,
}

/// `3`, or `"0.340"` for weighed goods.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Quantity {
    Whole(i64),
    Decimal(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscountData {
    code: Option<String>,
    amount: Money,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TenderData {
    pub kind: String,
    pub amount: Money,
    /// Of store credit that was set aside: what the customer shows.
    pub code: Option<String>,
}

impl TenderData {
    fn check(self, index: usize, common: &mut Common) -> Result<Tender, Refusal> {
        let is_credit = self.kind == credit::TENDER;
        if self.code.is_some() && !is_credit {
            return invalid(
                "code-without-credit",
                format!("/data/tenders/{index}/code"),
                format!("only a tender of kind {:?} has a code", credit::TENDER),
            );
        }
        let code = self.code.as_deref().and_then(redemption::normal_code);
        if self.code.is_some() && code.is_none() {
            let note = format!("tenders/{index}: its code is none of ours, and was not looked at");
            common.notes.push(note);
        }
        Ok(Tender {
            kind: self.kind,
            amount: self.amount,
            code,
            is_ours: false,
            expires_at: None,
        })
    }
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum PaymentState {
    Paid,
    Pending,
}

impl SaleData {
    pub fn check(self, common: &mut Common, shop: &Shop, by: &Sender) -> Result<Sale, Refusal> {
        common.tell_where(Some(self.channel), self.location, self.device, self.staff)?;
        common.historical = self.historical;
        common.customer = self.customer;
        common.note = self
            .note
            .map(|note| bounded(note, limits::NOTE_BYTES_MAX, "/data/note"))
            .transpose()?;
        intent(self.account_intent, common);
        if self.tags_to_add.len() > limits::LIST_MAX {
            return too_many("tags_to_add", self.tags_to_add.len(), limits::LIST_MAX);
        }
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
            tenders: self.tenders,
        };
        Ok(Sale {
            order: self
                .order
                .map(|order| own_order(order, "order"))
                .transpose()?,
            origin: self
                .origin
                .map(|text| short(text, "/data/origin"))
                .transpose()?,
            payment_pending: self.payment_state == Some(PaymentState::Pending),
            told_points: self.told_points,
            tags_to_add: tags::of_sale(self.tags_to_add, common, shop, by),
            fields: fields(self.fields, common, shop)?,
            attributes: attributes(self.attributes)?,
            ..bought.check("lines", common, shop)?
        })
    }
}

/// An order's own name, which is not one that the host gives.
pub(super) fn own_order(order: OrderName, field: &str) -> Result<OrderName, Refusal> {
    if order.system == token::SYSTEM {
        return invalid(
            "reserved-system",
            format!("/data/{field}/system"),
            format!("the system {:?} is the host's own", token::SYSTEM),
        );
    }
    Ok(order)
}

/// What was bought, and what it sums to.
pub(super) struct Goods {
    pub currency: String,
    pub tax_included: bool,
    pub lines: Vec<LineData>,
    pub discounts: Vec<DiscountData>,
    pub shipping: Money,
    pub tip: Money,
    pub rounding: Money,
    pub tax: Money,
    pub total: Money,
    pub tenders: Vec<TenderData>,
}

impl Goods {
    /// `list` is what the event calls its lines.
    pub fn check(self, list: &str, common: &mut Common, shop: &Shop) -> Result<Sale, Refusal> {
        for (list, length, max) in [
            (list, self.lines.len(), limits::LINES_MAX),
            ("discounts", self.discounts.len(), limits::LIST_MAX),
            ("tenders", self.tenders.len(), limits::LIST_MAX),
        ] {
            if length > max {
                return too_many(list, length, max);
            }
        }
        let lines = self.lines.into_iter().enumerate();
        let lines = lines
            .map(|(index, line)| line.check(&format!("/data/{list}/{index}")))
            .collect::<Result<Vec<_>, _>>()?;
        let discounts = self.discounts.into_iter().map(|given| Discount {
            code: given.code,
            amount: given.amount,
        });
        let tenders = self.tenders.into_iter().enumerate();
        let tenders = tenders
            .map(|(index, tender)| tender.check(index, common))
            .collect::<Result<Vec<_>, _>>()?;
        let mut sale = Sale {
            lines,
            discounts: discounts.collect(),
            shipping: self.shipping,
            tip: self.tip,
            rounding: self.rounding,
            tax: self.tax,
            tax_included: self.tax_included,
            total: self.total,
            tenders,
            ..Sale::default()
        };
        check_signs(&sale)?;
        check_sums(&sale)?;
        if self.currency != shop.file.currency {
            convert(&mut sale, &self.currency, shop)?;
        }
        apportion_discounts(&mut sale);
        let unnamed = sale
            .lines
            .iter()
            .filter(|line| line.variant.is_none() && line.sku.is_none())
            .count();
        if unnamed > 0 {
            common
                .notes
                .push(format!("{unnamed} lines have neither a variant nor a sku"));
        }
        Ok(sale)
    }
}

pub(super) fn too_many<T>(list: &str, length: usize, max: usize) -> Result<T, Refusal> {
    invalid(
        "too-many",
        format!("/data/{list}"),
        format!("{length} {list}, and {max} is the limit"),
    )
}

impl LineData {
    fn check(self, place: &str) -> Result<Line, Refusal> {
        let at = |field: &str| format!("{place}/{field}");
        let measured = matches!(self.quantity, Some(Quantity::Decimal(_)));
        let quantity = match self.quantity {
            Some(quantity) => quantity.thousandths().map_or_else(
                || invalid("quantity", at("quantity"), "a quantity is an integer, or a decimal string with at most three decimals, at least 0"),
                Ok,
            )?,
            None => 1_000,
        };
        let computed = self
            .unit_price
            .map(|price| line_amount(price, quantity, self.discount));
        let amount = match (self.amount, computed) {
            (Some(amount), _) => amount,
            (None, Some(Some(computed))) => computed,
            (None, Some(None)) => {
                return invalid(
                    "overflow",
                    at("unit_price"),
                    "price times quantity is beyond 2^53 - 1",
                );
            }
            (None, None) => {
                return invalid(
                    "line-without-price",
                    at("amount"),
                    "a line needs an amount or a unit_price",
                );
            }
        };
        if self.collections.len() > limits::LIST_MAX || self.tags.len() > limits::LIST_MAX {
            return invalid(
                "too-many",
                at("tags"),
                format!("more than {} tags or collections", limits::LIST_MAX),
            );
        }
        for (field, text) in [
            ("sku", &self.sku),
            ("product", &self.product),
            ("variant", &self.variant),
            ("name", &self.name),
            ("category", &self.category),
        ] {
            if text
                .as_ref()
                .is_some_and(|text| text.len() > limits::TEXT_BYTES_MAX)
            {
                return malformed(
                    &at(field),
                    format!("longer than {} bytes", limits::TEXT_BYTES_MAX),
                );
            }
        }
        Ok(Line {
            sku: self.sku,
            product: self.product,
            variant: self.variant,
            name: self.name,
            category: self.category,
            collections: self.collections,
            tags: self.tags,
            quantity,
            measured,
            unit_price: self.unit_price.unwrap_or(0),
            discount: self.discount,
            amount,
            net: amount,
            tax: self.tax,
            gift_card: self.gift_card,
        })
    }
}

impl Quantity {
    pub fn thousandths(&self) -> Option<i64> {
        let whole = |units: i64| {
            units
                .checked_mul(1_000)
                .filter(|value| (0..=limits::NUMBER_MAX).contains(value))
        };
        match self {
            Quantity::Whole(units) => whole(*units),
            Quantity::Decimal(text) => {
                let (units, fraction) = text.split_once('.').unwrap_or((text, ""));
                let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
                if units.is_empty()
                    || fraction.len() > 3
                    || !all_digits(units)
                    || !all_digits(fraction)
                {
                    return None;
                }
                let fraction: i64 = format!("{fraction:0<3}").parse().ok()?;
                whole(units.parse().ok()?)?.checked_add(fraction)
            }
        }
    }
}

/// `unit_price × quantity − discount`, the product rounded half up to a minor unit.
fn line_amount(price: Money, thousandths: i64, discount: Money) -> Option<Money> {
    let product = i128::from(price) * i128::from(thousandths);
    let rounded = (product + 500).div_euclid(1_000);
    i64::try_from(rounded - i128::from(discount))
        .ok()
        .filter(|amount| amount.abs() <= limits::NUMBER_MAX)
}

fn check_signs(sale: &Sale) -> Result<(), Refusal> {
    if sale.total < 0 {
        return invalid(
            "negative-total",
            "/data/total",
            "a sale's total is at least 0; money given back is return.completed",
        );
    }
    for (field, amount) in [
        ("shipping", sale.shipping),
        ("tip", sale.tip),
        ("tax", sale.tax),
    ] {
        if amount < 0 {
            return invalid(
                "negative-amount",
                format!("/data/{field}"),
                format!("{field} is at least 0"),
            );
        }
    }
    if let Some(index) = sale
        .discounts
        .iter()
        .position(|discount| discount.amount < 0)
    {
        return invalid(
            "negative-amount",
            format!("/data/discounts/{index}/amount"),
            "a discount is written as a positive amount",
        );
    }
    Ok(())
}

/// `total = Σ line amounts − Σ discounts + shipping + tip + rounding + (tax_included ? 0 : tax)`,
/// and tenders, where given, sum to it.
fn check_sums(sale: &Sale) -> Result<(), Refusal> {
    let wide = |amounts: &mut dyn Iterator<Item = Money>| amounts.map(i128::from).sum::<i128>();
    let lines = wide(&mut sale.lines.iter().map(|line| line.amount));
    let discounts = wide(&mut sale.discounts.iter().map(|discount| discount.amount));
    let tax = if sale.tax_included { 0 } else { sale.tax };
    let expected = lines - discounts
        + i128::from(sale.shipping)
        + i128::from(sale.tip)
        + i128::from(sale.rounding)
        + i128::from(tax);
    if expected != i128::from(sale.total) {
        return invalid(
            "sum",
            "/data/total",
            format!(
                "total is {}, but lines {lines} - discounts {discounts} + shipping {} + tip {} + rounding {} + tax {tax}{} = {expected}",
                sale.total,
                sale.shipping,
                sale.tip,
                sale.rounding,
                if sale.tax_included { " (included)" } else { "" },
            ),
        );
    }
    let tendered = wide(&mut sale.tenders.iter().map(|tender| tender.amount));
    if !sale.tenders.is_empty() && tendered != i128::from(sale.total) {
        return invalid(
            "tenders",
            "/data/tenders",
            format!("tenders sum to {tendered}, and the total is {}", sale.total),
        );
    }
    Ok(())
}

/// Turns every amount into the shop's currency. What rounding each of them leaves over goes to
/// `rounding` and the last tender, so that the sums still hold.
fn convert(sale: &mut Sale, currency: &str, shop: &Shop) -> Result<(), Refusal> {
    let rate = rate_of(currency, shop)?;
    let into_shop = |amount: Money| at_rate(amount, rate);
    for line in &mut sale.lines {
        (line.unit_price, line.discount) = (into_shop(line.unit_price), into_shop(line.discount));
        (line.amount, line.tax) = (into_shop(line.amount), into_shop(line.tax));
    }
    sale.discounts
        .iter_mut()
        .for_each(|discount| discount.amount = into_shop(discount.amount));
    sale.tenders
        .iter_mut()
        .for_each(|tender| tender.amount = into_shop(tender.amount));
    for amount in [
        &mut sale.shipping,
        &mut sale.tip,
        &mut sale.rounding,
        &mut sale.tax,
        &mut sale.total,
    ] {
        *amount = into_shop(*amount);
    }
    if sale.total > limits::NUMBER_MAX {
        return invalid(
            "overflow",
            "/data/total",
            "the total in the shop's currency is beyond 2^53 - 1",
        );
    }
    let lines: Money = sale.lines.iter().map(|line| line.amount).sum();
    let discounts: Money = sale.discounts.iter().map(|discount| discount.amount).sum();
    let tax = if sale.tax_included { 0 } else { sale.tax };
    sale.rounding = sale.total - (lines - discounts + sale.shipping + sale.tip + tax);
    let tendered: Money = sale.tenders.iter().map(|tender| tender.amount).sum();
    if let Some(last) = sale.tenders.last_mut() {
        last.amount += sale.total - tendered;
    }
    sale.converted = Some(Conversion {
        currency: currency.to_owned(),
        rate_millionths: rate,
    });
    Ok(())
}

/// Shop minor units for one million minor units of a foreign currency.
pub(super) fn rate_of(currency: &str, shop: &Shop) -> Result<i64, Refusal> {
    if minor_units_of(currency).is_none() {
        return invalid(
            "unknown-currency",
            "/data/currency",
            format!("{currency:?} is not an ISO 4217 code in use"),
        );
    }
    let Some(rate) = shop.file.rates.get(currency).copied() else {
        return invalid(
            "foreign-currency",
            "/data/currency",
            format!(
                "this shop's ledger is in {}; configure a rate for {currency} under [rates] in merchant.toml to accept it",
                shop.file.currency
            ),
        );
    };
    Ok(rate)
}

/// Rounded half up to a minor unit.
pub(super) fn at_rate(amount: Money, rate: i64) -> Money {
    let product = i128::from(amount) * i128::from(rate);
    i64::try_from((product + 500_000).div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

/// Takes the order's discounts off the lines in proportion to their amounts.
fn apportion_discounts(sale: &mut Sale) {
    let discounts: Money = sale.discounts.iter().map(|discount| discount.amount).sum();
    if discounts == 0 {
        return;
    }
    let weights: Vec<i64> = sale.lines.iter().map(|line| line.amount.max(0)).collect();
    for (line, share) in sale
        .lines
        .iter_mut()
        .zip(crate::points::apportion(discounts, &weights))
    {
        line.net = line.amount - share;
    }
}
