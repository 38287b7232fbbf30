//! A second writer beside the program that has the shop open: for rows that are no part of the
//! line, a transaction of its own each.
//!
//! SQLite lets one writer in at a time, and the line waits for this one as it would for a slow
//! disk.

use crate::error::{OpenError, store_error};
use crate::schema;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// How often it is tried to get in between two groups of the line. The line leaves its writer for
/// microseconds at a time while it is busy, so the tries are near to each other: ten seconds in
/// all.
const TRIES_MAX: i32 = 20_000;
const BETWEEN_TRIES: Duration = Duration::from_micros(500);

/// Opens a file that is there and current.
pub(crate) fn open(path: &Path) -> Result<Connection, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing { path: path.into() });
    }
    let failed = |error| OpenError::Store {
        path: path.into(),
        error: store_error(error),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection
        .busy_handler(Some(is_worth_another_try))
        .map_err(failed)?;
    schema::require_current(&connection, path)?;
    // What was printed must be on disk; and whoever has the shop open empties the log.
    for (pragma, value) in [("synchronous", 2), ("wal_autocheckpoint", 0)] {
        connection
            .pragma_update(None, pragma, value)
            .map_err(failed)?;
    }
    Ok(connection)
}

fn is_worth_another_try(tried: i32) -> bool {
    std::thread::sleep(BETWEEN_TRIES);
    tried < TRIES_MAX
}
