//! What waits for a person: items that events left, and what somebody found who looked at them.
//!
//! Closing an item changes no customer. What should change for one is an event of its own.

use crate::reads::Reads;
use crate::row::{instant, some_instant};
use crate::store::Shared;
use rusqlite::Row;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{EventName, Instant};
use stampcard_pipeline::store::StoreError;

/// Something that waits for a person, or waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewItemRow {
    pub id: i64,
    pub customer: Option<CustomerId>,
    /// The event that left it.
    pub event: Option<EventName>,
    pub kind: String,
    /// JSON, by kind.
    pub body: String,
    pub occurred_at: Instant,
    /// `None` while it waits.
    pub closed: Option<Closed>,
}

/// What somebody found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    pub at: Instant,
    pub by: String,
    pub because: String,
}

/// What closing an item came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    Done,
    NotThere,
    /// Somebody was faster; what they found stands.
    Before(Closed),
}

macro_rules! items {
    ($where:literal) => {
        concat!(
            "SELECT r.id, c.public, j.source, j.id, r.kind, r.body, r.occurred_at,
                    r.resolved_at, coalesce(r.closed_by, ''), coalesce(r.closed_because, '')
             FROM review_items r LEFT JOIN customers c ON c.id = r.customer LEFT JOIN journal j ON j.seq = r.journal
             WHERE ",
            $where
        )
    };
}

impl Reads {
    /// What waits for a person, oldest first, after the id at which the last page ended.
    pub fn review_items(&self, after: i64, limit: u32) -> Result<Vec<ReviewItemRow>, StoreError> {
        let open = items!("r.resolved_at IS NULL AND r.id > ?1 ORDER BY r.id LIMIT ?2");
        self.read(|sql| Ok(sql.all(open, &[&after, &limit], item)?))
    }

    /// What somebody has looked at, newest first, before the id at which the last page ended.
    pub fn closed_items(&self, before: i64, limit: u32) -> Result<Vec<ReviewItemRow>, StoreError> {
        let closed = items!("r.resolved_at IS NOT NULL AND r.id < ?1 ORDER BY r.id DESC LIMIT ?2");
        self.read(|sql| Ok(sql.all(closed, &[&before, &limit], item)?))
    }

    pub fn review_item(&self, id: i64) -> Result<Option<ReviewItemRow>, StoreError> {
        self.read(|sql| Ok(sql.first(items!("r.id = ?1"), &[&id], item)?))
    }
}

fn item(row: &Row) -> rusqlite::Result<ReviewItemRow> {
    let customer: Option<String> = row.get(1)?;
    let source: Option<String> = row.get(2)?;
    let closed = some_instant(row, 7)?;
    Ok(ReviewItemRow {
        id: row.get(0)?,
        customer: customer.map(CustomerId),
        event: match source {
            Some(source) => Some(EventName {
                source,
                id: row.get(3)?,
            }),
            None => None,
        },
        kind: row.get(4)?,
        body: row.get(5)?,
        occurred_at: instant(row, 6)?,
        closed: match closed {
            Some(at) => Some(Closed {
                at,
                by: row.get(8)?,
                because: row.get(9)?,
            }),
            None => None,
        },
    })
}

impl Shared {
    /// Closes an item. It is on disk when this returns.
    pub fn close_item(&self, id: i64, with: &Closed) -> Result<Closing, StoreError> {
        self.group.change_on_disk(|writer| {
            let before = writer.sql.first(items!("r.id = ?1"), &[&id], item)?;
            match before.map(|item| item.closed) {
                None => return Ok(Closing::NotThere),
                Some(Some(closed)) => return Ok(Closing::Before(closed)),
                Some(None) => {}
            }
            writer.sql.run(
                "UPDATE review_items SET resolved_at = ?2, closed_by = ?3, closed_because = ?4 WHERE id = ?1",
                &[&id, &with.at.0, &with.by, &with.because],
            )?;
            Ok(Closing::Done)
        })
    }
}
