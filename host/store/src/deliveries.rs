//! Deliveries: whose turn it is in the outbox, and what became of it.
//!
//! Who was written to is no part of the fold: nothing here changes a customer. It is a fact, and the
//! outbox keeps it through every refold. What is noted is durable with the group that it is in, and
//! nobody waits for that: what is lost in a power cut is sent again, under the same name.

use crate::beside;
use crate::error::{OpenError, Trouble, store_error};
use crate::reads::Reads;
use crate::reads::customers::{OutboxRow, outbox_columns, outbox_row};
use crate::sql::Sql;
use crate::store::Shared;
use rusqlite::{Connection, ToSql, TransactionBehavior};
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::store::StoreError;
use std::path::Path;

/// What became of a follow-up whose turn it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The receiver took it.
    Sent { at: Instant },
    /// It did not, and is asked again.
    Failed { problem: String, next: Instant },
    /// It was tried often enough, or there is nowhere to send it to.
    Dead { problem: String, at: Instant },
    /// Nobody wants it any more.
    TooLate { at: Instant },
    /// The customer has not agreed, or has changed their mind.
    Suppressed,
    /// It is not the hour for it.
    Waits { until: Instant },
}

/// What somebody wants with a row of the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// It is tried again, now and as often as at first.
    Retry,
    /// It is not to be sent, and who said so.
    Drop { by: String },
}

/// What a wish came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granted {
    Done,
    NotThere,
    /// Not in this state.
    Not,
}

impl Wish {
    /// The states in which it can be granted.
    pub fn from(&self) -> &'static [&'static str] {
        match self {
            Wish::Retry => &["dead", "too-late", "dropped"],
            Wish::Drop { .. } => &["planned", "dead"],
        }
    }

    /// The statement: id, now, and by whom.
    fn text(&self) -> &'static str {
        match self {
            Wish::Retry => {
                "UPDATE outbox SET state = 'planned', attempts = 0, next_attempt = ?2, problem = ?3, ended_at = NULL
                 WHERE id = ?1 AND state IN ('dead', 'too-late', 'dropped')"
            }
            Wish::Drop { .. } => {
                "UPDATE outbox SET state = 'dropped', ended_at = ?2, problem = ?3
                 WHERE id = ?1 AND state IN ('planned', 'dead')"
            }
        }
    }

    fn problem(&self) -> Option<String> {
        match self {
            Wish::Retry => None,
            Wish::Drop { by } => Some(format!("dropped by {by}")),
        }
    }
}

/// The outbox of a shop for a command of the same machine, also beside the program that has it open.
pub struct OutboxDesk(Connection);

impl OutboxDesk {
    /// Opens a file that is there and current.
    pub fn open(path: &Path) -> Result<OutboxDesk, OpenError> {
        Ok(OutboxDesk(beside::open(path)?))
    }

    /// It is on disk when this returns.
    pub fn grant(&mut self, id: i64, wish: &Wish, now: Instant) -> Result<Granted, StoreError> {
        let granted = (|| {
            let transaction = self
                .0
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done =
                transaction.execute(wish.text(), rusqlite::params![id, now.0, wish.problem()])?;
            let is_there = transaction
                .prepare("SELECT 1 FROM outbox WHERE id = ?1")?
                .exists([id])?;
            transaction.commit()?;
            Ok(granted(done, is_there))
        })();
        granted.map_err(store_error)
    }
}

fn granted(done: usize, is_there: bool) -> Granted {
    match (done, is_there) {
        (0, false) => Granted::NotThere,
        (0, true) => Granted::Not,
        _ => Granted::Done,
    }
}

impl Shared {
    /// Grants a wish. It is on disk when this returns.
    pub fn grant(&self, id: i64, wish: &Wish, now: Instant) -> Result<Granted, StoreError> {
        self.group.change_on_disk(|writer| {
            let done = writer
                .sql
                .run(wish.text(), &[&id, &now.0, &wish.problem()])?;
            let customer = customer_of(&writer.sql, id)?;
            if let Some(customer) = &customer {
                writer.cache.forget_plans(customer);
            }
            Ok(granted(done, customer.is_some()))
        })
    }

    /// Notes what became of a follow-up. What was cancelled while it was on its way was sent all the same.
    pub fn delivered(&self, id: i64, delivered: &Delivered) -> Result<(), StoreError> {
        let _work = self.group.begin_work();
        let mut writer = self.group.lock();
        self.group.change(&mut writer, |writer| {
            note(&writer.sql, id, delivered)?;
            if let Some(customer) = customer_of(&writer.sql, id)? {
                writer.cache.forget_plans(&customer);
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn note(sql: &Sql, id: i64, delivered: &Delivered) -> Result<(), Trouble> {
    let (text, bound): (_, &[&dyn ToSql]) = match delivered {
        Delivered::Sent { at } => (
            "UPDATE outbox SET state = 'sent', attempts = attempts + 1, next_attempt = NULL, problem = NULL, ended_at = ?2
             WHERE id = ?1",
            &[&id, &at.0],
        ),
        Delivered::Failed { problem, next } => (
            "UPDATE outbox SET attempts = attempts + 1, next_attempt = ?3, problem = ?2 WHERE id = ?1 AND state = 'planned'",
            &[&id, problem, &next.0],
        ),
        Delivered::Dead { problem, at } => (
            "UPDATE outbox SET state = 'dead', attempts = attempts + 1, next_attempt = NULL, problem = ?2, ended_at = ?3
             WHERE id = ?1 AND state = 'planned'",
            &[&id, problem, &at.0],
        ),
        Delivered::TooLate { at } => (
            "UPDATE outbox SET state = 'too-late', next_attempt = NULL, ended_at = ?2 WHERE id = ?1 AND state = 'planned'",
            &[&id, &at.0],
        ),
        Delivered::Suppressed => (
            "UPDATE outbox SET state = 'suppressed', next_attempt = NULL WHERE id = ?1 AND state = 'planned'",
            &[&id],
        ),
        Delivered::Waits { until } => (
            "UPDATE outbox SET next_attempt = ?2 WHERE id = ?1 AND state = 'planned'",
            &[&id, &until.0],
        ),
    };
    sql.run(text, bound)?;
    Ok(())
}

fn customer_of(sql: &Sql, id: i64) -> Result<Option<String>, Trouble> {
    Ok(sql.first(
        "SELECT c.public FROM outbox o JOIN customers c ON c.id = o.customer WHERE o.id = ?1",
        &[&id],
        |row| row.get(0),
    )?)
}

impl Reads {
    /// The follow-ups whose turn it is, those that have waited longest first.
    pub fn whose_turn_it_is(&self, now: Instant, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        self.outbox_rows(
            concat!(
                outbox_columns!(),
                " WHERE o.state = 'planned' AND coalesce(o.next_attempt, o.due) <= ?1
                  ORDER BY coalesce(o.next_attempt, o.due), o.id LIMIT ?2"
            ),
            &[&now.0, &limit],
        )
    }

    /// One row of the outbox.
    pub fn follow_up(&self, id: i64) -> Result<Option<OutboxRow>, StoreError> {
        let found = self.outbox_rows(concat!(outbox_columns!(), " WHERE o.id = ?1"), &[&id]);
        Ok(found?.pop())
    }

    /// Follow-ups in one state, the newest first, before the id at which the last page ended.
    pub fn outbox_in(
        &self,
        state: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.outbox_rows(
            concat!(
                outbox_columns!(),
                " WHERE o.state = ?1 AND o.id < ?2 ORDER BY o.id DESC LIMIT ?3"
            ),
            &[&state, &before.unwrap_or(i64::MAX), &limit],
        )
    }

    fn outbox_rows(
        &self,
        text: &'static str,
        bound: &[&dyn ToSql],
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.read(|sql| {
            let mut rows = Vec::new();
            sql.each::<Trouble>(text, bound, |row| {
                rows.push(outbox_row(row)?);
                Ok(())
            })?;
            Ok(rows)
        })
    }
}
