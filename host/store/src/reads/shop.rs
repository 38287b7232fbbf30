//! The shop as a whole: events by name, segments, the outbox, the clock's list, counters.

use super::Reads;
use super::customers::{OutboxRow, outbox_columns, outbox_row};
use crate::error::Trouble;
use crate::people;
use crate::row::{self, instant, position, some_instant};
use crate::sql::Sql;
use rusqlite::Row;
use stampcard_pipeline::change::{CustomerId, Explanation, Sameness};
use stampcard_pipeline::event::{Event, EventName, Instant, Personal, Position};
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::store::StoreError;
use std::path::Path;

/// One row of the journal, complete: a replay needs nothing else.
#[derive(Clone, Debug)]
pub struct JournalRow {
    pub seq: i64,
    pub event: Event,
    pub received_at: Instant,
    /// Whose it was on arrival.
    pub customer: Option<CustomerId>,
    pub rule_book: Option<i64>,
    pub sameness: Sameness,
    pub outcome: Outcome,
    /// What it said about a person; empty if nothing, or if that was erased.
    pub personal: Personal,
}

impl JournalRow {
    /// True for a row that says that a rule book went live.
    pub fn is_rule_book(&self) -> bool {
        self.event.kind == crate::rule_books::RULE_BOOK_CHANGED
    }
}

/// Why a step came out as it did. A step that was decided again has several; the last one stands.
#[derive(Clone, Debug)]
pub struct ExplanationRow {
    pub number: i64,
    /// The step; a review has an empty source and id.
    pub position: Position,
    /// The event on whose arrival it was decided.
    pub caused_by: Option<EventName>,
    /// The book that its calls index into.
    pub rule_book: i64,
    pub explanation: Explanation,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentCount {
    pub segment: String,
    pub members: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub customer: CustomerId,
    pub since: Instant,
    pub until: Option<Instant>,
    pub reason: String,
}

/// Sizes for people who watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub database_bytes: u64,
    /// The write-ahead log beside it.
    pub log_bytes: u64,
    pub journal_rows: u64,
    pub customers: u64,
    pub entries: u64,
    pub follow_ups_waiting: u64,
    pub review_items_open: u64,
    /// Refused bodies that are kept for somebody to look at.
    pub conflicts: u64,
}

impl Counters {
    pub(crate) fn read(sql: &Sql, path: &Path) -> rusqlite::Result<Counters> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let log_bytes = std::fs::metadata(log).map_or(0, |file| file.len());
        let number = |text: &'static str| -> rusqlite::Result<u64> {
            Ok(sql
                .first(text, &[], |row| row.get::<_, i64>(0))?
                .unwrap_or(0) as u64)
        };
        Ok(Counters {
            database_bytes: number("PRAGMA page_count")? * number("PRAGMA page_size")?,
            log_bytes,
            journal_rows: number("SELECT coalesce(max(seq), 0) FROM journal")?,
            customers: number("SELECT coalesce(max(id), 0) FROM customers")?,
            entries: number("SELECT coalesce(max(number), 0) FROM entries")?,
            follow_ups_waiting: number("SELECT count(*) FROM outbox WHERE state = 'planned'")?,
            review_items_open: number(
                "SELECT count(*) FROM review_items WHERE resolved_at IS NULL",
            )?,
            conflicts: number("SELECT count(*) FROM conflicts")?,
        })
    }
}

/// Two customers who look like one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeSuggestion {
    pub number: i64,
    pub keep: CustomerId,
    pub other: CustomerId,
    /// The event that named both.
    pub event: Option<EventName>,
    pub at: Instant,
}

/// The columns that [`journal_row`] reads.
macro_rules! journal_columns {
    () => {
        "SELECT j.seq, j.body, j.received_at, c.public, j.rule_book, j.sameness, j.outcome, j.first_entry, s.body
         FROM journal j LEFT JOIN customers c ON c.id = j.customer LEFT JOIN said s ON s.journal = j.seq"
    };
}
impl Reads {
    /// An event by its name.
    pub fn event(&self, name: &EventName) -> Result<Option<JournalRow>, StoreError> {
        self.read(|sql| {
            sql.find(
                concat!(journal_columns!(), " WHERE j.source = ?1 AND j.id = ?2"),
                &[&name.source, &name.id],
                |row| journal_row(row).map(Some),
            )
        })
    }

    /// The journal in the order of arrival, after the row at which the last page ended.
    pub fn journal(&self, after: i64, limit: u32) -> Result<Vec<JournalRow>, StoreError> {
        self.read(|sql| {
            let mut rows = Vec::new();
            sql.each::<Trouble>(
                concat!(
                    journal_columns!(),
                    " WHERE j.seq > ?1 ORDER BY j.seq LIMIT ?2"
                ),
                &[&after, &limit],
                |row| {
                    rows.push(journal_row(row)?);
                    Ok(())
                },
            )?;
            Ok(rows)
        })
    }

    /// The events among some rows of the journal, beyond `after` and up to `through`: of everybody,
    /// or of one customer. Rows for rule books are none.
    pub fn outcomes(
        &self,
        after: i64,
        through: i64,
        customer: Option<&CustomerId>,
    ) -> Result<Vec<JournalRow>, StoreError> {
        let customer = customer.map(|id| id.0.as_str());
        self.read(|sql| {
            let mut rows = Vec::new();
            sql.each::<Trouble>(
                concat!(
                    journal_columns!(),
                    " WHERE j.seq > ?1 AND j.seq <= ?2 AND (?3 IS NULL OR c.public = ?3)
                      AND j.kind <> 'rule-book.changed' ORDER BY j.seq"
                ),
                &[&after, &through, &customer],
                |row| {
                    rows.push(journal_row(row)?);
                    Ok(())
                },
            )?;
            Ok(rows)
        })
    }

    /// How an event was decided, and the reviews that it drove; in the order of deciding.
    pub fn explanations(&self, name: &EventName) -> Result<Vec<ExplanationRow>, StoreError> {
        self.read(|sql| {
            let mut rows = Vec::new();
            sql.each::<Trouble>(
                "SELECT x.number, x.at, x.source, x.id, c.source, c.id, x.rule_book, x.body, x.journal
                 FROM journal j
                 LEFT JOIN claims l ON l.guest = j.seq LEFT JOIN given_back g ON g.journal = j.seq
                 JOIN customers w ON w.id = coalesce(g.customer, l.customer, j.customer)
                 JOIN explanations x ON x.customer = coalesce(w.merged_into, w.id)
                 LEFT JOIN journal c ON c.seq = x.caused_by
                 WHERE j.source = ?1 AND j.id = ?2
                 -- What a friend's step gives has its place by that step, which its name begins with.
                 AND (x.at = j.occurred_at AND x.source = j.source
                      AND x.id = iif(j.kind IN ('referral.joined', 'referral.awarded'), substr(j.id, 1, instr(j.id, '/') - 1), j.id)
                      OR x.caused_by = j.seq AND x.source = '')
                 ORDER BY x.number",
                &[&name.source, &name.id],
                |row| {
                    rows.push(explanation_row(row)?);
                    Ok(())
                },
            )?;
            Ok(rows)
        })
    }

    /// The segments that have members now.
    pub fn segments(&self) -> Result<Vec<SegmentCount>, StoreError> {
        self.read(|sql| {
            Ok(sql.all(
                "SELECT segment, count(*) FROM memberships WHERE left_at IS NULL GROUP BY segment ORDER BY segment",
                &[],
                |row| Ok(SegmentCount { segment: row.get(0)?, members: row.get::<_, i64>(1)? as u64 }),
            )?)
        })
    }

    /// Who is in a segment now, or was at some moment, in the order in which the customers came.
    pub fn members(
        &self,
        segment: &str,
        as_of: Option<Instant>,
        after: Option<&CustomerId>,
        limit: u32,
    ) -> Result<Vec<Member>, StoreError> {
        let read = |row: &Row| {
            Ok(Member {
                customer: CustomerId(row.get(0)?),
                since: instant(row, 1)?,
                until: some_instant(row, 2)?,
                reason: row.get(3)?,
            })
        };
        let after = after.map(|id| id.0.as_str());
        self.read(|sql| match as_of {
            None => Ok(sql.all(
                "SELECT c.public, m.since, m.until, m.reason FROM memberships m JOIN customers c ON c.id = m.customer
                 WHERE m.segment = ?1 AND m.left_at IS NULL
                 AND m.customer > coalesce((SELECT id FROM customers WHERE public = ?2), 0)
                 ORDER BY m.customer LIMIT ?3",
                &[&segment, &after, &limit],
                read,
            )?),
            Some(at) => Ok(sql.all(
                "SELECT c.public, m.since, m.until, m.reason FROM memberships m JOIN customers c ON c.id = m.customer
                 WHERE m.segment = ?1 AND m.since <= ?4 AND coalesce(m.left_at, m.until, ?4 + 1) > ?4
                 AND m.customer > coalesce((SELECT id FROM customers WHERE public = ?2), 0)
                 ORDER BY m.customer LIMIT ?3",
                &[&segment, &after, &limit, &at.0],
                read,
            )?),
        })
    }

    /// Follow-ups in the order in which they are due, after the (due, id) at which the last page
    /// ended.
    pub fn outbox(
        &self,
        after: Option<(Instant, i64)>,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let (due, id) = after.map_or((i64::MIN, 0), |(due, id)| (due.0, id));
        self.read(|sql| {
            let mut rows = Vec::new();
            sql.each::<Trouble>(
                concat!(
                    outbox_columns!(),
                    " WHERE o.state = 'planned' AND (o.due, o.id) > (?1, ?2) ORDER BY o.due, o.id LIMIT ?3"
                ),
                &[&due, &id, &limit],
                |row| {
                    rows.push(outbox_row(row)?);
                    Ok(())
                },
            )?;
            Ok(rows)
        })
    }

    /// Customers of whom something is due by an instant, the longest due first.
    pub fn due_customers(
        &self,
        until: Instant,
        limit: u32,
    ) -> Result<Vec<(CustomerId, Instant)>, StoreError> {
        self.read(|sql| {
            Ok(sql.all(
                "SELECT public, next_due FROM customers WHERE next_due <= ?1 ORDER BY next_due, id LIMIT ?2",
                &[&until.0, &limit],
                |row| Ok((CustomerId(row.get(0)?), instant(row, 1)?)),
            )?)
        })
    }

    /// When the next thing is due by itself, for the clock.
    pub fn next_due(&self) -> Result<Option<Instant>, StoreError> {
        self.read(|sql| {
            let next = sql.first(
                "SELECT min(next_due) FROM customers WHERE next_due IS NOT NULL",
                &[],
                |row| some_instant(row, 0),
            )?;
            Ok(next.flatten())
        })
    }

    /// When the newest event of the journal happened; an import drives the clock up to there.
    pub fn newest_event_at(&self) -> Result<Option<Instant>, StoreError> {
        self.read(|sql| {
            let newest = sql.first(
                "SELECT max(occurred_at) FROM journal WHERE kind NOT IN ('rule-book.changed', 'review.due')",
                &[],
                |row| some_instant(row, 0),
            )?;
            Ok(newest.flatten())
        })
    }

    pub fn counters(&self) -> Result<Counters, StoreError> {
        self.read(|sql| Ok(Counters::read(sql, self.path())?))
    }

    /// Customers who look like one person and of whom nobody has decided, oldest first, after the number at
    /// which the last page ended; as they are called today.
    pub fn merge_suggestions(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<MergeSuggestion>, StoreError> {
        self.read(|sql| {
            Ok(sql.all(
                "SELECT r.id, coalesce(km.public, k.public) AS keep, coalesce(om.public, o.public) AS other, j.source, j.id, r.occurred_at
                 FROM review_items r JOIN customers k ON k.public = r.body ->> 'keep' LEFT JOIN customers km ON km.id = k.merged_into
                 JOIN customers o ON o.public = r.body ->> 'other' LEFT JOIN customers om ON om.id = o.merged_into
                 LEFT JOIN journal j ON j.seq = r.journal
                 WHERE r.kind = 'merge-suggested' AND r.resolved_at IS NULL AND r.id > ?1
                 AND coalesce(k.merged_into, k.id) <> coalesce(o.merged_into, o.id)
                 ORDER BY r.id LIMIT ?2",
                &[&after, &limit],
                |row| {
                    let source: Option<String> = row.get(3)?;
                    Ok(MergeSuggestion {
                        number: row.get(0)?,
                        keep: CustomerId(row.get(1)?),
                        other: CustomerId(row.get(2)?),
                        event: match source {
                            Some(source) => Some(EventName { source, id: row.get(4)? }),
                            None => None,
                        },
                        at: instant(row, 5)?,
                    })
                },
            )?)
        })
    }

    /// The bytes that a rule book names by their digest.
    pub fn artifact(&self, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|sql| {
            sql.find(
                "SELECT body FROM artifacts WHERE digest = ?1",
                &[&digest],
                |row| Ok(Some(crate::codec::unpack(&row.get::<_, Vec<u8>>(0)?)?)),
            )
        })
    }
}

/// The columns `number, at, source, id`, the name of the causing event, `rule_book, body, journal`.
pub(super) fn explanation_row(row: &Row) -> Result<ExplanationRow, Trouble> {
    let mut explanation = row::explanation(&row.get::<_, Vec<u8>>(7)?)?;
    explanation.journal = row.get(8)?;
    let caused_by: Option<String> = row.get(4)?;
    Ok(ExplanationRow {
        number: row.get(0)?,
        position: position(row, 1)?,
        caused_by: match caused_by {
            Some(source) => Some(EventName {
                source,
                id: row.get(5)?,
            }),
            None => None,
        },
        rule_book: row.get(6)?,
        explanation,
    })
}

fn journal_row(row: &Row) -> Result<JournalRow, Trouble> {
    let customer: Option<String> = row.get(3)?;
    let said: Option<String> = row.get(8)?;
    Ok(JournalRow {
        seq: row.get(0)?,
        event: row::event(&row.get::<_, Vec<u8>>(1)?)?,
        received_at: instant(row, 2)?,
        customer: customer.map(CustomerId),
        rule_book: row.get(4)?,
        sameness: row.get(5)?,
        outcome: row::outcome(&row.get::<_, Vec<u8>>(6)?, row.get(7)?)?,
        personal: people::personal(said.as_deref())?,
    })
}
