//! Which part of a sale earns: the configured base, without the goods and the tenders that are
//! excluded. Amounts stay exact here; points are rounded once, later.

use stampcard_sdk::prelude::*;

use crate::config::{Base, Config, Exclude};

/// The part of a sale that earns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eligible {
    /// The base of the lines that earn, in minor units.
    base: Money,
    /// What of the total was paid with tenders that earn …
    paid: Money,
    /// … and the total.
    total: Money,
    /// The lines that earn.
    covers: Coverage,
}

/// Why a sale earns nothing at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Nothing {
    #[error("nothing was paid for")]
    Free,
    #[error("none of these goods earn points")]
    Goods,
    #[error("what is paid with {0} earns no points")]
    Tenders(String),
}

impl Eligible {
    pub fn of(sale: &Sale, config: &Config) -> Result<Self, Nothing> {
        let exclude = &config.exclude;
        if sale.total <= 0 {
            return Err(Nothing::Free);
        }
        let (out, earning): (Vec<&Line>, Vec<&Line>) =
            sale.lines.iter().partition(|line| exclude.has(line));
        if earning.is_empty() && !out.is_empty() {
            return Err(Nothing::Goods);
        }
        let unpaid: Money = exclude
            .tenders
            .iter()
            .map(|tender| sale.paid_with(tender))
            .sum();
        if unpaid >= sale.total {
            return Err(Nothing::Tenders(exclude.tenders.join(", ")));
        }

        let tax = |lines: &[&Line]| match config.exclude_tax {
            true => tax_of(sale, lines),
            false => 0,
        };
        let base = match config.base {
            Base::Total => {
                // Whole sales keep what belongs to no line: shipping, tip, rounding.
                let without: Money = out.iter().map(|line| line.net).sum();
                let untaxed = if config.exclude_tax { sale.tax } else { 0 };
                let taxed_out = match (config.exclude_tax, sale.tax_included) {
                    (false, false) => tax_of(sale, &out),
                    (true, true) => -tax_of(sale, &out),
                    _ => 0,
                };
                sale.total - untaxed - without - taxed_out
            }
            Base::GoodsBeforeDiscount => {
                let prices: Money = earning.iter().map(|line| line.before_discount()).sum();
                prices - included(sale, tax(&earning))
            }
            Base::GoodsAfterDiscount => {
                let prices: Money = earning.iter().map(|line| line.net).sum();
                prices - included(sale, tax(&earning))
            }
        };
        if base <= 0 {
            return Err(Nothing::Free);
        }
        Ok(Self {
            base,
            paid: sale.total - unpaid.max(0),
            total: sale.total,
            covers: match out.is_empty() {
                true => Coverage::Whole,
                false => Coverage::Lines(earning.iter().map(|line| line.number).collect()),
            },
        })
    }

    /// What earns, as a fraction of minor units, so that nothing is rounded twice.
    pub fn fraction(&self) -> (i128, i128) {
        (
            i128::from(self.base) * i128::from(self.paid),
            i128::from(self.total),
        )
    }

    /// What earns in whole minor units, for sentences and thresholds.
    pub fn amount(&self) -> Money {
        let (amount, of) = self.fraction();
        (amount / of) as Money
    }

    /// What an award for it covers.
    pub fn coverage(&self) -> Coverage {
        self.covers.clone()
    }

    /// True if this line earns.
    pub fn has(&self, line: &Line) -> bool {
        match &self.covers {
            Coverage::Whole => true,
            Coverage::Lines(numbers) => numbers.contains(&line.number),
        }
    }
}

impl Exclude {
    fn has(&self, line: &Line) -> bool {
        self.gift_cards && line.gift_card
            || self.categories.iter().any(|it| line.in_category(it))
            || self.product_tags.iter().any(|it| line.has_tag(it))
    }
}

/// The tax on these lines. Where the till tells only the sale's, it is shared by price.
fn tax_of(sale: &Sale, lines: &[&Line]) -> Money {
    if sale.lines.iter().any(|line| line.tax != 0) {
        return lines.iter().map(|line| line.tax).sum();
    }
    let share: Money = lines.iter().map(|line| line.net).sum();
    match sale.goods() {
        0 => 0,
        goods => (i128::from(sale.tax) * i128::from(share) / i128::from(goods)) as Money,
    }
}

/// The tax that is inside of the prices of goods.
fn included(sale: &Sale, tax: Money) -> Money {
    match sale.tax_included {
        true => tax,
        false => 0,
    }
}
