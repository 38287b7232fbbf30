//! The schema and its way from one format to the next.

use crate::error::{OpenError, store_error};
use rusqlite::{Connection, OptionalExtension};
use stampcard_pipeline::store::StoreError;
use std::path::Path;

/// Marks the file as ours in its first 100 bytes: "Stmp".
const APPLICATION_ID: i64 = 0x5374_6d70;

/// What brings an empty file to format 1, then to 2 …, each as it was released.
const MIGRATIONS: [&str; 17] = [
    include_str!("../schema/0001_first.sql"),
    include_str!("../schema/0002_revisions.sql"),
    include_str!("../schema/0003_acts_of_staff.sql"),
    include_str!("../schema/0004_key_uses.sql"),
    include_str!("../schema/0005_reviews.sql"),
    include_str!("../schema/0006_returns.sql"),
    include_str!("../schema/0007_devices_and_products.sql"),
    include_str!("../schema/0008_redemptions.sql"),
    include_str!("../schema/0009_merges.sql"),
    include_str!("../schema/0010_limits_and_closing.sql"),
    include_str!("../schema/0011_packs.sql"),
    include_str!("../schema/0012_store_credit.sql"),
    include_str!("../schema/0014_delivery.sql"),
    include_str!("../schema/0015_referral.sql"),
    include_str!("../schema/0016_stock.sql"),
    include_str!("../schema/0017_kept_instances.sql"),
    include_str!("../schema/0018_sources.sql"),
];

/// The format that this program writes.
pub const FORMAT: i64 = MIGRATIONS.len() as i64;

/// Brings a file to [`FORMAT`], all of it or nothing.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::Store {
        path: path.into(),
        error: store_error(error),
    };
    let found = format(connection, path)?;
    if found == FORMAT {
        return Ok(());
    }
    // A table that is written anew takes the place of one that others point to. That they still point
    // to something is looked at in the end; the pragma does nothing within a transaction.
    connection
        .pragma_update(None, "foreign_keys", false)
        .map_err(failed)?;
    let migration = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)
        .map_err(failed)?;
    for sql in &MIGRATIONS[found as usize..] {
        migration.execute_batch(sql).map_err(failed)?;
    }
    migration
        .pragma_update(None, "application_id", APPLICATION_ID)
        .map_err(failed)?;
    migration
        .pragma_update(None, "user_version", FORMAT)
        .map_err(failed)?;
    let dangling: Option<String> = migration
        .query_row("PRAGMA foreign_key_check", [], |row| row.get(0))
        .optional()
        .map_err(failed)?;
    if let Some(table) = dangling {
        let problem = format!("rows of {table} point to nothing");
        return Err(OpenError::Store {
            path: path.into(),
            error: StoreError::Corrupt(problem),
        });
    }
    migration.commit().map_err(failed)?;
    connection
        .pragma_update(None, "foreign_keys", true)
        .map_err(failed)
}

/// The file's format; 0 for an empty file. Refuses what is not ours and what is newer than us.
pub(crate) fn format(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    let number = |pragma: &str| {
        connection
            .pragma_query_value(None, pragma, |row| row.get::<_, i64>(0))
            .map_err(|error| OpenError::Store {
                path: path.into(),
                error: store_error(error),
            })
    };
    let (application, found) = (number("application_id")?, number("user_version")?);
    if application != APPLICATION_ID {
        let something: Option<String> = connection
            .query_row("SELECT name FROM sqlite_schema LIMIT 1", [], |row| {
                row.get(0)
            })
            .optional()
            .map_err(|error| OpenError::Store {
                path: path.into(),
                error: store_error(error),
            })?;
        return match something {
            None => Ok(0),
            Some(_) => Err(OpenError::NotStampcard { path: path.into() }),
        };
    }
    if !(0..=FORMAT).contains(&found) {
        return Err(OpenError::FromTheFuture {
            path: path.into(),
            found,
            known: FORMAT,
        });
    }
    Ok(found)
}

/// Lets a file be copied that is ours, of whatever format that we know.
pub(crate) fn require_known(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    match format(connection, path)? {
        0 => Err(OpenError::Missing { path: path.into() }),
        _ => Ok(()),
    }
}

/// Lets a file be read that needs no migration.
pub(crate) fn require_current(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    match format(connection, path)? {
        FORMAT => Ok(()),
        0 => Err(OpenError::Missing { path: path.into() }),
        found => Err(OpenError::NotMigrated {
            path: path.into(),
            found,
            known: FORMAT,
        }),
    }
}
