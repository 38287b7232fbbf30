//! What the shop owes in points and in store credit, for whoever keeps its books.

use serde::Serialize;
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::{Instant, Money, Points};
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::shop::Shop;
use stampcard_pipeline::store::StoreError;
use stampcard_store::Reads;
use stampcard_store::reads::{SPANS_DAYS, Standing};
use utoipa::ToSchema;

/// Points that customers can still claim, by when they were earned and when they end.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiabilityReport {
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Time,
    #[schema(example = "USD")]
    pub currency: String,
    /// Customers with points.
    pub customers: u64,
    /// What is left in lots: the sum of `spans`.
    pub points: Points,
    /// What that is worth without a reward, in minor units.
    pub worth: Money,
    /// The sum of all balances: `points` less what customers owe.
    pub balance: Points,
    /// What customers owe whose balance is below zero.
    pub below_zero: Points,
    /// What of the points is set aside for redemptions.
    pub reserved: Points,
    /// What of the points is of sales whose payment is not certain.
    pub provisional: Points,
    pub spans: Vec<LiabilitySpan>,
    /// The same of store credit, in minor units.
    pub store_credit: CreditLiability,
}

/// Money that customers can still claim, by when it was given and when it ends.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditLiability {
    /// Customers with credit.
    pub customers: u64,
    /// What is left in lots: the sum of `spans`.
    pub amount: Money,
    /// The sum of all balances: `amount` less what customers owe.
    pub balance: Money,
    /// What customers owe whose balance is below zero.
    pub below_zero: Money,
    /// What of the amount is set aside.
    pub reserved: Money,
    /// `points` of each is an amount of credit.
    pub spans: Vec<LiabilitySpan>,
}

/// Points of one age that end within one span.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LiabilitySpan {
    /// Earned more than so many days of 24 hours ago …
    pub older_than_days: i64,
    /// … and at most so many; null for everything older.
    pub at_most_days: Option<i64>,
    /// They end within so many days; null for what ends later, or never.
    pub ends_within_days: Option<i64>,
    pub never_ends: bool,
    pub customers: u64,
    pub points: Points,
}

pub fn liability(reads: &Reads, shop: &Shop, now: Instant) -> Result<LiabilityReport, StoreError> {
    let (spans, standing) = of_currency(reads, Currency::Points, now)?;
    let (credit_spans, credit) = of_currency(reads, Currency::StoreCredit, now)?;
    let left = |spans: &[LiabilitySpan]| spans.iter().map(|span| span.points).sum();
    let points: Points = left(&spans);
    Ok(LiabilityReport {
        as_of: Time(now),
        currency: shop.file.currency.clone(),
        customers: standing.customers,
        points,
        worth: shop.file.redemption.worth.of(points),
        balance: standing.balance,
        below_zero: standing.below_zero,
        reserved: standing.reserved,
        provisional: standing.provisional,
        spans,
        store_credit: CreditLiability {
            customers: credit.customers,
            amount: left(&credit_spans),
            balance: credit.balance,
            below_zero: credit.below_zero,
            reserved: credit.reserved,
            spans: credit_spans,
        },
    })
}

fn of_currency(
    reads: &Reads,
    currency: Currency,
    now: Instant,
) -> Result<(Vec<LiabilitySpan>, Standing), StoreError> {
    let open = reads.open_lots(currency, now)?;
    let spans = open.iter().map(|open| LiabilitySpan {
        older_than_days: match open.age {
            0 => 0,
            age => SPANS_DAYS[age - 1],
        },
        at_most_days: SPANS_DAYS.get(open.age).copied(),
        ends_within_days: SPANS_DAYS.get(open.ends).copied(),
        never_ends: open.ends > SPANS_DAYS.len(),
        customers: open.customers,
        points: open.points,
    });
    Ok((spans.collect(), reads.standing(currency)?))
}
