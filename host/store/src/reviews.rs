//! Rounds of reviews: other rules went live, and customers are asked again. What the round is about
//! and how far it has come is kept here; that a customer was asked is an event of theirs.

use crate::error::Trouble;
use crate::reads::Reads;
use crate::row::{instant, some_instant};
use crate::sql::Sql;
use crate::store::Shared;
use crate::writer::Writer;
use rusqlite::Row;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Instant, Position};
use stampcard_pipeline::store::StoreError;

/// Whom a change of rules may affect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRound {
    /// The plugins that are new, or not as they were.
    pub asks: Vec<String>,
    /// Every customer is asked, and not only those to whom one of these plugins owes an answer.
    pub everyone: bool,
}

/// Answers of a plugin that stand no more: it owes others, and a round asks for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doubted {
    /// Its name.
    pub plugin: String,
    /// Each with the row of its customer.
    pub steps: Vec<(i64, Position)>,
}

/// Customers who are asked again because a rule book went live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    pub rule_book: i64,
    pub asks: Vec<String>,
    pub everyone: bool,
    /// How many it is about.
    pub customers: u64,
    pub progress: Progress,
    pub began_at: Instant,
    /// `None` while it is under way.
    pub ended_at: Option<Instant>,
    last: i64,
}

/// How far a round has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Customers up to this row were asked.
    pub done_to: i64,
    pub asked: u64,
    /// For whom something came of it.
    pub changed: u64,
    pub failed: u64,
}

/// A customer whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affected {
    pub row: i64,
    pub customer: CustomerId,
    /// The first step at which one of the plugins that are asked gave no answer.
    pub again_from: Option<Position>,
}

/// Everybody after ?2 and up to ?3. What is asked, ?1, makes no difference.
const ALL: &str =
    "SELECT id, public FROM customers WHERE id > ?2 AND id <= ?3 AND ?1 <> '' ORDER BY id LIMIT ?4";
/// Those of them to whom a plugin of ?1 owes an answer.
const OWED: &str = "SELECT id, public FROM customers WHERE id IN
         (SELECT customer FROM missed WHERE plugin IN (SELECT value FROM json_each(?1)))
     AND id > ?2 AND id <= ?3 ORDER BY id LIMIT ?4";
/// ?4 of them, spread evenly: their numbers have no gaps.
const SPREAD: &str = "SELECT id, public FROM customers WHERE id > ?2 AND id <= ?3 AND ?1 <> ''
     AND id % max(1, (SELECT max(id) FROM customers) / ?4) = 0 ORDER BY id LIMIT ?4";

impl Reads {
    /// The round of the newest rule book that had one.
    pub fn newest_round(&self) -> Result<Option<Round>, StoreError> {
        self.read(|sql| {
            sql.find(
                "SELECT rule_book, asks, everyone, last, customers, done_to, asked, changed, failed, began_at, ended_at
                 FROM rule_reviews ORDER BY rule_book DESC LIMIT 1",
                &[],
                |row| Ok(Some(round(row)?)),
            )
        })
    }

    /// Whom a round asks next, at most so many.
    pub fn next_affected(&self, round: &Round, most: u32) -> Result<Vec<Affected>, StoreError> {
        let customers = if round.everyone { ALL } else { OWED };
        let (after, last) = (round.progress.done_to, round.last);
        self.affected(&round.asks, customers, after, last, most)
    }

    /// Customers whom a round about these plugins would ask, for a look before there is one: all of
    /// those to whom one of them owes an answer, or some that are spread evenly over everybody, at
    /// most so many.
    pub fn some_affected(&self, new: &NewRound, most: u32) -> Result<Vec<Affected>, StoreError> {
        let customers = if new.everyone { SPREAD } else { OWED };
        self.affected(&new.asks, customers, 0, i64::MAX, most)
    }

    /// How many customers a round would be about.
    pub fn count_affected(&self, new: &NewRound) -> Result<u64, StoreError> {
        self.read(|sql| {
            let asks = serde_json::to_string(&new.asks)?;
            Ok(count(sql, new.everyone, &asks)?.0 as u64)
        })
    }

    fn affected(
        &self,
        asks: &[String],
        customers: &'static str,
        after: i64,
        last: i64,
        most: u32,
    ) -> Result<Vec<Affected>, StoreError> {
        self.read(|sql| {
            let asks = serde_json::to_string(asks)?;
            let found: Vec<(i64, String)> =
                sql.all(customers, &[&asks, &after, &last, &most], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?;
            let affected = found.into_iter().map(|(row, public)| {
                Ok(Affected {
                    row,
                    customer: CustomerId(public),
                    again_from: first_missed(sql, row, &asks)?,
                })
            });
            affected.collect()
        })
    }

    /// To how many customers each plugin owes an answer, by name.
    pub fn owed(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(|sql| {
            Ok(sql.all(
                "SELECT plugin, count(DISTINCT customer) FROM missed GROUP BY plugin",
                &[],
                |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)),
            )?)
        })
    }
}

/// How many customers a round is about, and the last one there is.
fn count(sql: &Sql, everyone: bool, asks: &str) -> rusqlite::Result<(i64, Option<i64>)> {
    let counted = sql.first(
        "SELECT CASE WHEN ?1 THEN (SELECT count(*) FROM customers) ELSE
             (SELECT count(DISTINCT customer) FROM missed WHERE plugin IN (SELECT value FROM json_each(?2))) END,
             (SELECT max(id) FROM customers)",
        &[&everyone, &asks],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    counted.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

fn first_missed(sql: &Sql, customer: i64, asks: &str) -> Result<Option<Position>, Trouble> {
    Ok(sql.first(
        "SELECT at, source, id FROM missed
         WHERE customer = ?1 AND plugin IN (SELECT value FROM json_each(?2))
         ORDER BY at, source, id LIMIT 1",
        &[&customer, &asks],
        |row| {
            Ok(Position {
                at: instant(row, 0)?,
                source: row.get(1)?,
                id: row.get(2)?,
            })
        },
    )?)
}

fn round(row: &Row) -> Result<Round, Trouble> {
    let count = |column: usize| row.get::<_, i64>(column).map(|count| count as u64);
    let asks = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(Round {
        rule_book: row.get(0)?,
        asks: serde_json::from_str(asks)?,
        everyone: row.get(2)?,
        last: row.get(3)?,
        customers: count(4)?,
        progress: Progress {
            done_to: row.get(5)?,
            asked: count(6)?,
            changed: count(7)?,
            failed: count(8)?,
        },
        began_at: instant(row, 9)?,
        ended_at: some_instant(row, 10)?,
    })
}

/// Begins a round with a rule book that goes live. What an older one has not done it takes over. A
/// round that is about nobody is none.
pub(crate) fn begin(
    writer: &Writer,
    rule_book: i64,
    new: &NewRound,
    at: Instant,
) -> Result<(), Trouble> {
    let NewRound {
        mut asks,
        mut everyone,
    } = new.clone();
    writer.sql.each::<Trouble>(
        "SELECT asks, everyone FROM rule_reviews WHERE ended_at IS NULL",
        &[],
        |row| {
            let older: Vec<String> =
                serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?;
            asks.extend(older);
            everyone |= row.get::<_, bool>(1)?;
            Ok(())
        },
    )?;
    asks.sort();
    asks.dedup();
    let asks = serde_json::to_string(&asks)?;
    let (customers @ 1.., Some(last)) = count(&writer.sql, everyone, &asks)? else {
        return Ok(());
    };
    writer.sql.run(
        "UPDATE rule_reviews SET ended_at = ?1 WHERE ended_at IS NULL",
        &[&at.0],
    )?;
    writer.sql.run(
        "INSERT INTO rule_reviews
             (rule_book, asks, everyone, last, customers, done_to, asked, changed, failed, began_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 0, 0, ?6)",
        &[&rule_book, &asks, &everyone, &last, &customers, &at.0],
    )?;
    Ok(())
}

/// Keeps that a plugin owes an answer to each of these steps.
pub(crate) fn doubt(writer: &Writer, doubted: &Doubted) -> Result<(), Trouble> {
    for (customer, step) in &doubted.steps {
        // Whoever was merged since they were looked for has their steps with the other one.
        writer.sql.run(
            "INSERT OR IGNORE INTO missed (customer, at, source, id, plugin)
             SELECT coalesce(merged_into, id), ?2, ?3, ?4, ?5 FROM customers WHERE id = ?1",
            &[
                customer,
                &step.at.0,
                &step.source,
                &step.id,
                &doubted.plugin,
            ],
        )?;
    }
    Ok(())
}

impl Shared {
    /// Keeps how far a round has come, and that it has ended. It is on disk when this returns, so the
    /// next read sees it.
    pub fn advance_round(
        &self,
        rule_book: i64,
        progress: &Progress,
        ended_at: Option<Instant>,
    ) -> Result<(), StoreError> {
        self.group.change_on_disk(|writer| {
            writer.sql.run(
                "UPDATE rule_reviews SET done_to = ?2, asked = ?3, changed = ?4, failed = ?5, ended_at = ?6
                 WHERE rule_book = ?1 AND ended_at IS NULL",
                &[
                    &rule_book,
                    &progress.done_to,
                    &(progress.asked as i64),
                    &(progress.changed as i64),
                    &(progress.failed as i64),
                    &ended_at.map(|at| at.0),
                ],
            )?;
            Ok(())
        })
    }
}
