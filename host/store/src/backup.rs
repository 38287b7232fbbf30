//! A copy of the whole database as of one moment, while others go on writing.

use crate::error::{Trouble, store_error};
use crate::reads::{Counters, Reads};
use crate::sql::Sql;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode};
use stampcard_pipeline::store::StoreError;
use std::path::{Path, PathBuf};

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The schema's format, as in [`crate::FORMAT`].
    pub format: i64,
    /// Sizes at the moment of the copy; its log is in it.
    pub counters: Counters,
}

/// Why there is no copy. What was written of it may be deleted.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("the shop's database cannot be read: {0}")]
    Source(#[from] StoreError),
    #[error("the copy {} cannot be written: {error}", .path.display())]
    Target { path: PathBuf, error: StoreError },
    #[error(
        "the database is damaged ({problem}), and so would be its copy: keep your last backup, and see the runbook \
         on restoring one"
    )]
    Damaged { problem: String },
}

/// Pages that are copied between two reports of progress: 4 MiB.
const PAGES_AT_ONCE: i32 = 1_000;

impl Reads {
    /// Copies the database into a new file, and looks whether the copy is sound. All of it is of
    /// the moment at which this was called; the copy is one file, with no log beside it. Until it is
    /// made, the shop's log grows by what is written meanwhile. The caller flushes the file.
    pub fn snapshot(
        &self,
        to: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Snapshot, SnapshotError> {
        // The read transaction around it holds the moment still, over all steps of the copy.
        self.read(|sql| Ok(copy(self.path(), sql, to, progress)))?
    }
}

fn copy(
    path: &Path,
    sql: &Sql,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Snapshot, SnapshotError> {
    let counters = Counters::read(sql, path).map_err(store_error)?;
    let format = sql
        .raw()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(store_error)?;
    let target = |error: rusqlite::Error| SnapshotError::Target {
        path: to.into(),
        error: store_error(error),
    };
    let mut copy = Connection::open(to).map_err(target)?;
    // If this fails, the whole file is thrown away.
    copy.pragma_update(None, "synchronous", "OFF")
        .map_err(target)?;
    {
        let backup = Backup::new(sql.raw(), &mut copy).map_err(target)?;
        loop {
            let step = backup.step(PAGES_AT_ONCE).map_err(|error| {
                match store_error(error) {
                    // The only one of the two that is read is the shop's.
                    StoreError::Corrupt(problem) => SnapshotError::Damaged { problem },
                    error => SnapshotError::Target {
                        path: to.into(),
                        error,
                    },
                }
            })?;
            let pages = backup.progress();
            let of = pages.pagecount.max(0) as u64;
            progress(of - pages.remaining.max(0) as u64, of);
            match step {
                StepResult::Done => break,
                // The source is read in a transaction, so nothing is in the way for long.
                StepResult::Busy | StepResult::Locked => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                _ => {}
            }
        }
    }
    // Else whoever opens the copy makes a log beside it.
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
        .map_err(target)?;
    if let Some(problem) = unsound(&copy).map_err(target)? {
        return Err(SnapshotError::Damaged { problem });
    }
    Ok(Snapshot { format, counters })
}

/// The first thing that SQLite finds wrong with a file, if anything is.
fn unsound(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let said = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match said {
        Ok(said) => Ok((said != "ok").then_some(said)),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Ok(Some(error.to_string()))
            }
            _ => Err(error),
        },
    }
}

impl Reads {
    /// The first thing that SQLite finds wrong with the file without looking into indexes, if
    /// anything is. It reads all of the file.
    pub fn unsound(&self) -> Result<Option<String>, StoreError> {
        self.read(|sql| unsound(sql.raw()).map_err(Trouble::from))
    }
}
