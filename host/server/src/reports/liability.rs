//! What the shop owes in points, for whoever keeps its books.

use serde::Serialize;
use stampcard_pipeline::event::{Instant, Money, Points};
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::shop::Shop;
use stampcard_pipeline::store::StoreError;
use stampcard_store::Reads;
use stampcard_store::reads::SPANS_DAYS;
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
    let (open, standing) = (reads.open_points(now)?, reads.standing()?);
    let points: Points = open.iter().map(|open| open.points).sum();
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
        spans: spans.collect(),
    })
}
