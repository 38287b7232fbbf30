//! What the shop owes its customers, in points or in store credit: what is left in lots, by how old they
//! are and by when they end.

use super::Reads;
use crate::error::Trouble;
use crate::row;
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::{Instant, Points};
use stampcard_pipeline::store::StoreError;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Where one span of days ends and the next one begins; after the last one comes everything else.
pub const SPANS_DAYS: [i64; 4] = [30, 90, 180, 365];

/// Points, or credit, that came in within one span and end within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenLots {
    /// An index into [`SPANS_DAYS`], or its length for what is older.
    pub age: usize,
    /// Likewise, for what ends later; one more for what never ends.
    pub ends: usize,
    pub customers: u64,
    pub points: Points,
}

/// What stands against the lots that are open, and beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The sum of all balances.
    pub balance: Points,
    /// Customers with points.
    pub customers: u64,
    /// Balances below zero, as a number above it.
    pub below_zero: Points,
    /// What is set aside for redemptions.
    pub reserved: Points,
    /// Of sales whose payment is not certain.
    pub provisional: Points,
}

impl Reads {
    /// What is left in lots, by age and by end, at an instant that is now.
    pub fn open_lots(&self, currency: Currency, now: Instant) -> Result<Vec<OpenLots>, StoreError> {
        self.read(|sql| {
            let [a, b, c, d] = SPANS_DAYS.map(|days| days * DAY_MS);
            let rows = sql.all(
                "SELECT CASE WHEN ?1 - at <= ?2 THEN 0 WHEN ?1 - at <= ?3 THEN 1 WHEN ?1 - at <= ?4 THEN 2
                             WHEN ?1 - at <= ?5 THEN 3 ELSE 4 END AS age,
                        CASE WHEN expires_at IS NULL THEN 5 WHEN expires_at - ?1 <= ?2 THEN 0
                             WHEN expires_at - ?1 <= ?3 THEN 1 WHEN expires_at - ?1 <= ?4 THEN 2
                             WHEN expires_at - ?1 <= ?5 THEN 3 ELSE 4 END AS ends,
                        count(DISTINCT customer), sum(remaining)
                 FROM lots WHERE remaining > 0 AND currency = ?6 GROUP BY age, ends ORDER BY age, ends",
                &[&now.0, &a, &b, &c, &d, &row::currency_column(currency)],
                |row| {
                    Ok(OpenLots {
                        age: row.get::<_, u8>(0)?.into(),
                        ends: row.get::<_, u8>(1)?.into(),
                        customers: row.get::<_, i64>(2)? as u64,
                        points: row.get(3)?,
                    })
                },
            )?;
            Ok::<_, Trouble>(rows)
        })
    }

    pub fn standing(&self, currency: Currency) -> Result<Standing, StoreError> {
        self.read(|sql| {
            let found = sql.first(
                "SELECT coalesce(sum(balance), 0), count(*) FILTER (WHERE balance > 0),
                        coalesce(-sum(balance) FILTER (WHERE balance < 0), 0),
                        (SELECT coalesce(sum(points), 0) FROM redemptions
                         WHERE state IN ('reserved', 'pending-approval') AND currency = ?1),
                        (SELECT coalesce(sum(l.remaining), 0) FROM provisional p JOIN lots l
                         ON (l.customer, l.at, l.source, l.event) = (p.customer, p.at, p.source, p.event)
                         WHERE p.how IS NULL AND l.currency = ?1)
                 FROM (SELECT CASE ?1 WHEN 0 THEN balance ELSE credit END AS balance FROM customers)",
                &[&row::currency_column(currency)],
                |row| {
                    Ok(Standing {
                        balance: row.get(0)?,
                        customers: row.get::<_, i64>(1)? as u64,
                        below_zero: row.get(2)?,
                        reserved: row.get(3)?,
                        provisional: row.get(4)?,
                    })
                },
            )?;
            Ok::<_, Trouble>(found.unwrap_or_default())
        })
    }
}
