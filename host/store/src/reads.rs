//! Reads for people and for the server, on connections of their own.
//!
//! A read that begins after an answer left sees what the answer says: the answer left after its
//! commit, and each read begins with the newest commit. It may see a few milliseconds more, what
//! is committed and still on its way to the disk: whoever sends something out into the world
//! because of a row calls [`crate::SqliteStore::flush`] first.

mod again;
mod chain;
mod condition;
pub(crate) mod customers;
mod effects;
mod kept;
mod liability;
mod movements;
mod orders;
mod products;
mod redemptions;
mod shop;
mod staff;
mod stock;

pub use condition::{Arrivals, Backlog, Condition, Recent};
pub use customers::{
    CustomerRecord, Decider, Find, LedgerRow, LotRow, MembershipView, OutboxRow, Person,
    TierRecord, TimelineRow,
};
pub use effects::{MessageEffect, PointsEffect, SegmentEffect, TierEffect, VersionEffect};
pub use kept::{KeptAnswers, Look};
pub use liability::{OpenLots, SPANS_DAYS, Standing};
pub use movements::{Movement, SegmentMoves};
pub use orders::OrderRow;
pub use products::{Mispriced, PriceCheck, ProductRow};
pub use redemptions::{RedemptionRow, Redemptions};
pub use shop::{Counters, ExplanationRow, JournalRow, Member, MergeSuggestion, SegmentCount};
pub use staff::{Note, NoteVersion};
pub use stock::StockRow;

pub(crate) use customers::{identifier, not_rebuilt, referral_code};
pub(crate) use products::product_row;
pub(crate) use stock::{in_stock, stock_row};

use crate::error::{OpenError, Trouble, store_error};
use crate::schema;
use crate::sql::Sql;
use parking_lot::{Condvar, Mutex};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use stampcard_pipeline::event::{Instant, Position};
use stampcard_pipeline::store::StoreError;
use std::path::{Path, PathBuf};

/// After everything that happened: where a history that is read backwards begins.
static END_OF_HISTORY: Position = Position {
    at: Instant(i64::MAX),
    source: String::new(),
    id: String::new(),
};

/// Read-only connections to one merchant's file.
pub struct Reads {
    path: PathBuf,
    connections: usize,
    idle: Mutex<Vec<Sql>>,
    returned: Condvar,
}

impl Reads {
    /// Opens a file that is there and current, for reading alone; another program may be writing.
    pub fn open(path: &Path, connections: usize, page_cache_kib: u32) -> Result<Reads, OpenError> {
        Reads::open_if(path, connections, page_cache_kib, schema::require_current)
    }

    /// Opens a file that may be of an older format, for [`Reads::snapshot`] and nothing else: before
    /// a file is brought up to date, somebody may want a copy of it as it was.
    pub fn open_to_copy(path: &Path, page_cache_kib: u32) -> Result<Reads, OpenError> {
        Reads::open_if(path, 1, page_cache_kib, schema::require_known)
    }

    fn open_if(
        path: &Path,
        connections: usize,
        page_cache_kib: u32,
        is_right: fn(&Connection, &Path) -> Result<(), OpenError>,
    ) -> Result<Reads, OpenError> {
        if !path.exists() {
            return Err(OpenError::Missing { path: path.into() });
        }
        let mut idle = Vec::with_capacity(connections.max(1));
        for _ in 0..connections.max(1) {
            let connection = open(path, page_cache_kib).map_err(|error| OpenError::Store {
                path: path.into(),
                error: store_error(error),
            })?;
            is_right(&connection, path)?;
            idle.push(Sql::new(connection));
        }
        Ok(Reads {
            path: path.into(),
            connections: idle.len(),
            idle: Mutex::new(idle),
            returned: Condvar::new(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads that run at the same time; more wait.
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// Runs a read in one transaction, so that all of it is of one moment.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Sql) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let borrowed = Borrowed {
            sql: Some(self.borrow()),
            reads: self,
        };
        let sql = borrowed.sql.as_ref().expect("it is given back on drop");
        sql.run("BEGIN", &[]).map_err(store_error)?;
        let done = work(sql);
        sql.run("COMMIT", &[]).map_err(store_error)?;
        done.map_err(StoreError::from)
    }

    fn borrow(&self) -> Sql {
        let mut idle = self.idle.lock();
        loop {
            if let Some(sql) = idle.pop() {
                return sql;
            }
            self.returned.wait(&mut idle);
        }
    }
}

/// A connection that goes back when the read is over, however it ends.
struct Borrowed<'a> {
    sql: Option<Sql>,
    reads: &'a Reads,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Some(sql) = self.sql.take() {
            if !sql.raw().is_autocommit() {
                // A panic in the middle of a read; there is nothing to lose.
                let _ = sql.run("ROLLBACK", &[]);
            }
            self.reads.idle.lock().push(sql);
            self.reads.returned.notify_one();
        }
    }
}

fn open(path: &Path, page_cache_kib: u32) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "query_only", true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", -i64::from(page_cache_kib))?;
    Ok(connection)
}
