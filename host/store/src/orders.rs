//! Orders: what a command on this machine asks of the server that has the shop open.
//!
//! Only one process may decide events, so a command that wants a plugin installed while the shop
//! is open leaves an order in the file, which is as private as the shop itself, and waits for the
//! answer.

use crate::beside;
use crate::error::{OpenError, store_error};
use rusqlite::{Connection, OptionalExtension, params};
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::store::StoreError;
use std::path::Path;

/// Orders that are kept after they were answered, for whoever wonders.
const KEPT: i64 = 100;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub number: i64,
    /// JSON.
    pub body: String,
    pub component: Option<Vec<u8>>,
}

/// Where a command leaves its orders, beside the server, and where the server finds them.
pub struct OrderDesk(Connection);

impl OrderDesk {
    /// Opens a file that is there and up to date.
    pub fn open(path: &Path) -> Result<OrderDesk, OpenError> {
        Ok(OrderDesk(beside::open(path)?))
    }

    /// Leaves an order and returns its number.
    pub fn place(
        &self,
        body: &str,
        component: Option<&[u8]>,
        at: Instant,
    ) -> Result<i64, StoreError> {
        self.0
            .execute(
                "INSERT INTO requests (placed_at, body, component) VALUES (?1, ?2, ?3)",
                params![at.0, body, component],
            )
            .map_err(store_error)?;
        Ok(self.0.last_insert_rowid())
    }

    /// What became of an order, once it is known.
    pub fn answer(&self, number: i64) -> Result<Option<String>, StoreError> {
        self.0
            .query_row(
                "SELECT answer FROM requests WHERE number = ?1",
                [number],
                |row| row.get(0),
            )
            .optional()
            .map(Option::flatten)
            .map_err(store_error)
    }

    /// Takes an order back that nobody has answered.
    pub fn withdraw(&self, number: i64) -> Result<(), StoreError> {
        self.0
            .execute(
                "DELETE FROM requests WHERE number = ?1 AND answer IS NULL",
                [number],
            )
            .map(drop)
            .map_err(store_error)
    }

    /// The oldest order that waits.
    pub fn next(&self) -> Result<Option<Order>, StoreError> {
        self.0
            .query_row(
                "SELECT number, body, component FROM requests WHERE answer IS NULL ORDER BY number LIMIT 1",
                [],
                |row| {
                    Ok(Order {
                        number: row.get(0)?,
                        body: row.get(1)?,
                        component: row.get(2)?,
                    })
                },
            )
            .optional()
            .map_err(store_error)
    }

    /// Answers an order. The component that came with it is kept with the rule book by now, or
    /// nobody wants it.
    pub fn settle(&mut self, number: i64, answer: &str, at: Instant) -> Result<(), StoreError> {
        let settled = (|| {
            let transaction = self.0.transaction()?;
            transaction.execute(
                "UPDATE requests SET answer = ?2, answered_at = ?3, component = NULL WHERE number = ?1",
                params![number, answer, at.0],
            )?;
            transaction.execute(
                "DELETE FROM requests WHERE answer IS NOT NULL AND number <= ?1 - ?2",
                params![number, KEPT],
            )?;
            transaction.commit()
        })();
        settled.map_err(store_error)
    }
}
