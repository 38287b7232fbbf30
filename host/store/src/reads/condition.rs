//! The condition of a shop: what is late, what piles up, how fast the file grows, whether sales
//! come with a customer. For people who run it; nothing is decided by it.

use super::Reads;
use crate::error::Trouble;
use crate::row::some_instant;
use crate::sql::Sql;
use rusqlite::{Row, ToSql};
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::store::StoreError;

/// What should have happened by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Customers of whom something is due, and since when the first of them is.
    pub overdue: u64,
    pub overdue_since: Option<Instant>,
    /// Follow-ups that are due, not sent and not too late yet, and since when the first is.
    pub follow_ups_due: u64,
    pub follow_ups_due_since: Option<Instant>,
    /// Follow-ups that could not be delivered and wait for a person.
    pub follow_ups_dead: u64,
}

/// How the newest events of the journal came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// Sales among them, and those with a customer.
    pub sales: u64,
    pub with_customer: u64,
    /// Sales of the last week that came within a day of when they happened, so that they are no
    /// import; and those of them that came within a minute.
    pub live: u64,
    pub within_a_minute: u64,
    /// Consents that people gave or took back.
    pub consents: u64,
    /// When the newest event reached us.
    pub newest: Option<Instant>,
}

/// What a look at the whole shop finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    pub backlog: Backlog,
    pub arrivals: Arrivals,
    /// Journal rows of the last seven days.
    pub rows_in_week: u64,
    /// Memberships that go on.
    pub members: u64,
    /// Follow-ups that were ever planned, and those of them that a missing consent suppressed.
    pub follow_ups: u64,
    pub suppressed: u64,
}

/// The newest rows, for alerts: cheap enough to be asked each few seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    pub arrivals: Arrivals,
    /// The newest follow-ups that were planned, and those that a missing consent suppressed.
    pub follow_ups: u64,
    pub suppressed: u64,
}

/// Rows of the journal that [`Condition`] looks at: a day of a busy shop, read in milliseconds.
const NEWEST_ROWS: i64 = 10_000;
/// Rows that [`Recent`] looks at.
const RECENT_ROWS: i64 = 1_000;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

impl Reads {
    /// Costs no more in a shop with many customers than in one with few, unless much is due.
    pub fn backlog(&self, now: Instant) -> Result<Backlog, StoreError> {
        self.read(|sql| Ok(backlog(sql, now)?))
    }

    pub fn recent(&self, now: Instant) -> Result<Recent, StoreError> {
        self.read(|sql| {
            let (follow_ups, suppressed) = pair(
                sql,
                "SELECT count(*), coalesce(sum(state = 'suppressed'), 0)
                 FROM (SELECT state FROM outbox ORDER BY id DESC LIMIT ?1)",
                &[&RECENT_ROWS],
            )?;
            Ok(Recent {
                arrivals: arrivals(sql, now, RECENT_ROWS)?,
                follow_ups,
                suppressed,
            })
        })
    }

    pub fn condition(&self, now: Instant) -> Result<Condition, StoreError> {
        self.read(|sql| {
            let (follow_ups, suppressed) = pair(
                sql,
                "SELECT count(*), coalesce(sum(state = 'suppressed'), 0) FROM outbox",
                &[],
            )?;
            Ok(Condition {
                backlog: backlog(sql, now)?,
                arrivals: arrivals(sql, now, NEWEST_ROWS)?,
                rows_in_week: received_since(sql, now.0 - 7 * DAY_MS)?,
                members: sql
                    .first(
                        "SELECT count(*) FROM memberships WHERE left_at IS NULL",
                        &[],
                        |row| count(row, 0),
                    )?
                    .unwrap_or(0),
                follow_ups,
                suppressed,
            })
        })
    }
}

fn count(row: &Row, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.max(0) as u64)
}

fn pair(sql: &Sql, text: &'static str, bound: &[&dyn ToSql]) -> rusqlite::Result<(u64, u64)> {
    let pair = sql.first(text, bound, |row| Ok((count(row, 0)?, count(row, 1)?)))?;
    Ok(pair.unwrap_or_default())
}

fn backlog(sql: &Sql, now: Instant) -> rusqlite::Result<Backlog> {
    let due = |text| {
        let found = sql.first(text, &[&now.0], |row| {
            Ok((count(row, 0)?, some_instant(row, 1)?))
        })?;
        Ok::<_, rusqlite::Error>(found.unwrap_or_default())
    };
    let (overdue, overdue_since) =
        due("SELECT count(*), min(next_due) FROM customers WHERE next_due <= ?1")?;
    let (follow_ups_due, follow_ups_due_since) = due("SELECT count(*), min(due) FROM outbox
         WHERE state = 'planned' AND due <= ?1 AND coalesce(expires_at, ?1 + 1) > ?1")?;
    Ok(Backlog {
        overdue,
        overdue_since,
        follow_ups_due,
        follow_ups_due_since,
        follow_ups_dead: sql
            .first(
                "SELECT count(*) FROM outbox WHERE state = 'dead'",
                &[],
                |row| count(row, 0),
            )?
            .unwrap_or(0),
    })
}

fn arrivals(sql: &Sql, now: Instant, rows: i64) -> Result<Arrivals, Trouble> {
    let found = sql.first(
        "WITH newest AS (
             SELECT kind, status, occurred_at, received_at FROM journal
             WHERE seq > (SELECT coalesce(max(seq), 0) FROM journal) - ?1
         ), live AS (
             SELECT received_at - occurred_at AS late FROM newest
             WHERE kind = 'sale.completed' AND received_at > ?2 AND received_at - occurred_at < ?3
         )
         SELECT (SELECT count(*) FROM newest WHERE kind = 'sale.completed'),
                (SELECT count(*) FROM newest WHERE kind = 'sale.completed' AND status <> 'guest'),
                (SELECT count(*) FROM live),
                (SELECT count(*) FROM live WHERE late < ?4),
                (SELECT count(*) FROM newest WHERE kind = 'consent.changed'),
                (SELECT max(received_at) FROM newest)",
        &[&rows, &(now.0 - 7 * DAY_MS), &DAY_MS, &MINUTE_MS],
        |row| {
            Ok(Arrivals {
                sales: count(row, 0)?,
                with_customer: count(row, 1)?,
                live: count(row, 2)?,
                within_a_minute: count(row, 3)?,
                consents: count(row, 4)?,
                newest: some_instant(row, 5)?,
            })
        },
    )?;
    Ok(found.unwrap_or_default())
}

/// Journal rows that were received after an instant. Rows arrive in the order of their numbers, so
/// the first of them is found by halving; a clock that was set back makes the answer inexact.
fn received_since(sql: &Sql, since: i64) -> rusqlite::Result<u64> {
    let received = |seq: i64| {
        sql.first(
            "SELECT received_at FROM journal WHERE seq = ?1",
            &[&seq],
            |row| row.get::<_, i64>(0),
        )
    };
    let last: i64 = sql
        .first("SELECT coalesce(max(seq), 0) FROM journal", &[], |row| {
            row.get(0)
        })?
        .unwrap_or(0);
    let (mut before, mut after) = (0, last + 1);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if received(middle)?.is_some_and(|at| at > since) {
            after = middle;
        } else {
            before = middle;
        }
    }
    Ok((last - before).max(0) as u64)
}
