//! Keys of the API: who may call us. They are made and ended while the shop is open.
//!
//! A key is no part of the line, so it does not go through the line's one writer. A short second
//! connection writes a row in a transaction of its own, from whatever program; SQLite lets one
//! writer in at a time, and the line waits for it as it would for a slow disk.

use crate::beside;
use crate::error::{OpenError, store_error};
use crate::reads::Reads;
use crate::row::{instant, some_instant};
use rusqlite::{Connection, Row, TransactionBehavior};
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::store::StoreError;
use std::path::Path;

/// A key of the API. The key itself is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: i64,
    pub role: String,
    pub label: String,
    pub created_at: Instant,
    pub revoked_at: Option<Instant>,
    /// To the day; `None` is never.
    pub last_used_at: Option<Instant>,
}

/// Writes keys, also beside a program that has the shop open.
pub struct KeyRing(Connection);

impl KeyRing {
    /// Opens the keys of a file that is there and current.
    pub fn open(path: &Path) -> Result<KeyRing, OpenError> {
        Ok(KeyRing(beside::open(path)?))
    }

    /// Keeps the hash of a new key and gives its id. It is on disk when this returns.
    pub fn add(
        &mut self,
        hash: &[u8],
        role: &str,
        label: &str,
        at: Instant,
    ) -> Result<i64, StoreError> {
        self.change(|connection| {
            connection.execute(
                "INSERT INTO api_keys (hash, role, label, created_at) VALUES (?1, ?2, ?3, ?4)",
                rusqlite::params![hash, role, label, at.0],
            )?;
            Ok(connection.last_insert_rowid())
        })
    }

    /// Ends a key; false if there is no such key or it has ended before.
    pub fn revoke(&mut self, id: i64, at: Instant) -> Result<bool, StoreError> {
        self.change(|connection| {
            let ended = connection.execute(
                "UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
                rusqlite::params![id, at.0],
            )?;
            Ok(ended > 0)
        })
    }

    /// Notes that a key was used.
    pub fn used(&mut self, id: i64, at: Instant) -> Result<(), StoreError> {
        self.change(|connection| {
            connection.execute(
                "UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1",
                rusqlite::params![id, at.0],
            )?;
            Ok(())
        })
    }

    fn change<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let changed = (|| {
            let transaction = self
                .0
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })();
        changed.map_err(store_error)
    }
}

impl Reads {
    /// The key with this hash, revoked or not.
    pub fn key(&self, hash: &[u8]) -> Result<Option<ApiKey>, StoreError> {
        self.read(|sql| {
            Ok(sql.first(
                "SELECT id, role, label, created_at, revoked_at, last_used_at FROM api_keys WHERE hash = ?1",
                &[&hash],
                api_key,
            )?)
        })
    }

    /// The hashes of keys that were made after the one with this id, revoked or not, each with its id:
    /// keys are never deleted, so 0 gives all of them.
    pub fn key_hashes_after(&self, id: i64) -> Result<Vec<(i64, [u8; 32])>, StoreError> {
        self.read(|sql| {
            Ok(sql.all(
                "SELECT id, hash FROM api_keys WHERE id > ?1 ORDER BY id",
                &[&id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?)
        })
    }

    /// All keys in the order in which they were made.
    pub fn keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        self.read(|sql| {
            Ok(sql.all(
                "SELECT id, role, label, created_at, revoked_at, last_used_at FROM api_keys ORDER BY id",
                &[],
                api_key,
            )?)
        })
    }
}

fn api_key(row: &Row) -> rusqlite::Result<ApiKey> {
    Ok(ApiKey {
        id: row.get(0)?,
        role: row.get(1)?,
        label: row.get(2)?,
        created_at: instant(row, 3)?,
        revoked_at: some_instant(row, 4)?,
        last_used_at: some_instant(row, 5)?,
    })
}
