//! The devices that call a shop, kept so that a restart forgets nobody.
//!
//! They are no part of the line, so they do not go through the line's one writer: a short second
//! connection writes those that were heard, now and then.

use crate::beside;
use crate::error::{OpenError, store_error};
use crate::reads::Reads;
use crate::row::instant;
use rusqlite::{Connection, TransactionBehavior};
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::store::StoreError;
use std::path::Path;

/// A till, or whatever else says who it is when it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub name: String,
    /// Where it said last that it stands.
    pub location: Option<String>,
    pub seen_at: Instant,
    /// The newest rule book of which it has been told.
    pub rule_book: i64,
}

/// Writes devices beside the line.
pub struct DeviceBook(Connection);

impl DeviceBook {
    /// Opens the devices of a file that is there and current.
    pub fn open(path: &Path) -> Result<DeviceBook, OpenError> {
        Ok(DeviceBook(beside::open(path)?))
    }

    /// Keeps what was heard, forgets who was not heard since `oldest`, and of the others those
    /// unseen longest beyond `most`; all in one transaction.
    pub fn keep(
        &mut self,
        heard: &[Device],
        oldest: Instant,
        most: usize,
    ) -> Result<(), StoreError> {
        let kept = (|| {
            let transaction = self
                .0
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut keep = transaction.prepare(
                    "INSERT INTO devices (name, location, seen_at, rule_book) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (name) DO UPDATE SET location = ?2, seen_at = ?3, rule_book = ?4",
                )?;
                for device in heard {
                    keep.execute(rusqlite::params![
                        device.name,
                        device.location,
                        device.seen_at.0,
                        device.rule_book
                    ])?;
                }
            }
            transaction.execute("DELETE FROM devices WHERE seen_at < ?1", [oldest.0])?;
            transaction.execute(
                "DELETE FROM devices WHERE name IN
                     (SELECT name FROM devices ORDER BY seen_at DESC, name LIMIT -1 OFFSET ?1)",
                [most as i64],
            )?;
            transaction.commit()
        })();
        kept.map_err(store_error)
    }
}

impl Reads {
    /// Every device that was kept, by name.
    pub fn devices(&self) -> Result<Vec<Device>, StoreError> {
        self.read(|sql| {
            Ok(sql.all(
                "SELECT name, location, seen_at, rule_book FROM devices ORDER BY name",
                &[],
                |row| {
                    Ok(Device {
                        name: row.get(0)?,
                        location: row.get(1)?,
                        seen_at: instant(row, 2)?,
                        rule_book: row.get(3)?,
                    })
                },
            )?)
        })
    }
}
