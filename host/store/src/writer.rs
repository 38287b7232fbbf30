//! The one write connection: what is in its open transaction, and what it counts.

use crate::cache::Cache;
use crate::group::{BEGIN, COMMIT};
use crate::sql::Sql;
use crate::ticket::Ticket;
use std::sync::Arc;

pub(crate) struct Writer {
    pub sql: Sql,
    pub cache: Cache,
    /// The next numbers. They are counted here and read again after a group was taken back.
    pub next: Next,
    /// How many have begun changes that belong together: the open group stays open until they have ended.
    pub bound: usize,
    /// How often a group was taken back.
    pub taken_back: u64,
    open: Option<OpenGroup>,
    /// The last group that was committed; it may be on its way to the disk.
    committed: Option<OpenGroup>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    pub seq: i64,
    pub entry: i64,
    pub customer: i64,
}

struct OpenGroup {
    ticket: Arc<Ticket>,
    /// The first journal row that may be in it.
    first_seq: i64,
}

impl Writer {
    pub fn new(sql: Sql, cache: Cache) -> rusqlite::Result<Writer> {
        let next = Next::read(&sql)?;
        Ok(Writer {
            sql,
            cache,
            next,
            bound: 0,
            taken_back: 0,
            open: None,
            committed: None,
        })
    }

    /// Opens a group, if none is open, and gives its ticket.
    pub fn begin(&mut self) -> rusqlite::Result<Arc<Ticket>> {
        if let Some(open) = &self.open {
            if self.sql.raw().is_autocommit() {
                return Err(lost());
            }
            return Ok(open.ticket.clone());
        }
        self.sql.run(BEGIN, &[])?;
        let ticket = Arc::new(Ticket::default());
        self.open = Some(OpenGroup {
            ticket: ticket.clone(),
            first_seq: self.next.seq,
        });
        Ok(ticket)
    }

    /// The ticket of the group that a journal row is in, if that is not on disk yet. Groups before
    /// the last committed one are: either their own flush has ended, or the last one's was made
    /// with the writer in hand, and a flush of the log takes all with it that came before.
    pub fn not_yet_durable(&self, seq: i64) -> Option<Arc<Ticket>> {
        let mut groups = self.open.iter().chain(self.on_its_way());
        let group = groups.find(|group| seq >= group.first_seq)?;
        Some(group.ticket.clone())
    }

    /// Whether something is committed and not on disk yet.
    pub fn is_on_its_way(&self) -> bool {
        self.on_its_way().is_some()
    }

    fn on_its_way(&self) -> Option<&OpenGroup> {
        self.committed
            .as_ref()
            .filter(|group| !group.ticket.is_settled())
    }

    /// Commits the open group. If that fails, the group is still open and must be rolled back.
    pub fn commit(&mut self) -> rusqlite::Result<Option<Arc<Ticket>>> {
        if self.open.is_none() {
            return Ok(None);
        }
        self.sql.run(COMMIT, &[])?;
        self.committed = self.open.take();
        Ok(self.committed.as_ref().map(|group| group.ticket.clone()))
    }

    /// Takes the open group back, and everything that was remembered of it.
    pub fn roll_back(&mut self) -> Option<Arc<Ticket>> {
        // After some errors SQLite has rolled back by itself; then there is nothing left to do.
        if !self.sql.raw().is_autocommit()
            && let Err(error) = self.sql.run("ROLLBACK", &[])
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
        self.cache.clear();
        self.taken_back += 1;
        match Next::read(&self.sql) {
            Ok(next) => self.next = next,
            // The numbers are then too high; the unique keys of the tables would not let them
            // through, and the next roll-back tries again.
            Err(error) => tracing::error!(%error, "the counters could not be read again"),
        }
        self.open.take().map(|open| open.ticket)
    }
}

/// SQLite ended the transaction by itself, as it does after some failures of the disk. What would
/// be written now would stand alone.
fn lost() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT_ROLLBACK);
    rusqlite::Error::SqliteFailure(
        code,
        Some("the transaction was taken back by SQLite".into()),
    )
}

impl Next {
    fn read(sql: &Sql) -> rusqlite::Result<Next> {
        let highest = |text| -> rusqlite::Result<i64> {
            Ok(sql
                .first(text, &[], |row| row.get::<_, i64>(0))?
                .unwrap_or(0)
                + 1)
        };
        Ok(Next {
            seq: highest("SELECT coalesce(max(seq), 0) FROM journal")?,
            entry: highest("SELECT coalesce(max(number), 0) FROM entries")?,
            customer: highest("SELECT coalesce(max(id), 0) FROM customers")?,
        })
    }
}
