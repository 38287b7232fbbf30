//! One merchant's file: opens it, runs its threads, and is the line's store.

use crate::cache::Cache;
use crate::deliveries::{Delivered, Granted, Wish};
use crate::error::{OpenError, Trouble, store_error};
use crate::group::{Group, Grouping, Work};
use crate::hold::Holds;
use crate::log::{Log, flush_folder_of};
use crate::open::Conflicts;
use crate::reads::Reads;
use crate::review_items::{Closed, Closing};
use crate::reviews::Progress;
use crate::rule_books::{Books, Inbox, NewRuleBook, RuleBook};
use crate::schema;
use crate::sql::{Recording, Sql};
use crate::writer::Writer;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use stampcard_pipeline::admit::{Admitted, Secret};
use stampcard_pipeline::change::Change;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::store::{
    Ask, Case, Committed, Durable, Opened, Store, StoreError, Together,
};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::JoinHandle;

/// How a merchant's file is opened.
#[derive(Clone, Debug)]
pub struct Settings {
    pub grouping: Grouping,
    /// Memory for hot customers, in bytes.
    pub cache_bytes: usize,
    /// Memory of SQLite's page cache for the writer, in KiB; each reader has a quarter of it.
    pub page_cache_kib: u32,
    /// Reads that run at the same time; more wait.
    pub readers: usize,
    /// Pages of 4 KiB that the file may have: a quota. `None` is as many as the disk holds.
    pub pages_max: Option<u32>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            grouping: Grouping::default(),
            cache_bytes: 48 << 20,
            page_cache_kib: 32 << 10,
            readers: 4,
            pages_max: None,
        }
    }
}

/// What a new file is made with. Randomness and time come from the caller.
#[derive(Clone)]
pub struct Birth {
    pub secret: [u8; 32],
    pub at: Instant,
}

/// One merchant's database, open for writing. Only one program has it at a time.
pub struct SqliteStore {
    // Closed before the writer: the last connection to close takes the log away with it.
    reads: Reads,
    shared: Arc<Shared>,
    secret: Secret,
    threads: Vec<JoinHandle<()>>,
    /// Keeps others out for as long as it lives.
    _lock: File,
}

/// What the threads of the line share.
pub(crate) struct Shared {
    pub group: Arc<Group>,
    pub holds: Arc<Holds>,
    pub books: Books,
}

impl SqliteStore {
    /// Opens a file, making it if it is not there, and brings its schema up to date.
    pub fn open(path: &Path, birth: &Birth, settings: &Settings) -> Result<SqliteStore, OpenError> {
        let failed = |error: rusqlite::Error| OpenError::Store {
            path: path.into(),
            error: store_error(error),
        };
        let lock = lock(path)?;
        let mut connection = Connection::open(path).map_err(failed)?;
        // Before anything is written to a file that may not be ours.
        schema::format(&connection, path)?;
        prepare(&connection, settings.page_cache_kib).map_err(failed)?;
        schema::migrate(&mut connection, path)?;
        if let Some(pages) = settings.pages_max {
            connection
                .pragma_update(None, "max_page_count", pages)
                .map_err(failed)?;
        }
        let secret = secret(&connection, birth).map_err(failed)?;
        let wal_pages = Arc::new(AtomicI32::new(0));
        count_wal_pages(&mut connection, wal_pages.clone()).map_err(failed)?;
        let beside = open_beside(path).map_err(failed)?;
        let sql = Sql::new(connection);
        let told = |trouble: Trouble| OpenError::Store {
            path: path.into(),
            error: trouble.into(),
        };
        let books = Books::load(&sql).map_err(told)?;
        let writer = Writer::new(sql, Cache::new(settings.cache_bytes)).map_err(failed)?;
        let log = Log::of(path);
        let kept = log.flush().and_then(|()| {
            flush_folder_of(path).map_err(|error| StoreError::Failed(error.to_string()))
        });
        kept.map_err(|error| OpenError::Store {
            path: path.into(),
            error,
        })?;
        let group = Arc::new(Group::new(writer, settings.grouping, log, wal_pages));
        let shared = Arc::new(Shared {
            group: group.clone(),
            holds: Arc::default(),
            books,
        });
        let committing = group.clone();
        let threads = vec![
            spawn("stampcard-commit", move || {
                committing.commit_until_stopped()
            }),
            spawn("stampcard-log", move || {
                group.checkpoint_until_stopped(beside)
            }),
        ];
        let reads = Reads::open(path, settings.readers, settings.page_cache_kib / 4)?;
        Ok(SqliteStore {
            shared,
            reads,
            secret,
            threads,
            _lock: lock,
        })
    }

    /// Reads for people: they see every answer that has left.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Keys the hashes that the line makes.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Says that a submission is on its way, so that the open group waits for it. Drop it when the
    /// submission is committed or refused. While nobody has one each event is flushed at once,
    /// so an import keeps one for as long as it runs.
    pub fn begin_work(&self) -> Work {
        self.shared.group.begin_work()
    }

    /// A store that decides like this one and leaves nothing behind.
    pub fn preview(&self) -> Preview<'_> {
        Preview(self)
    }

    /// See [`RuleBook`]. What it returns is on disk. `inbox` is what the folder has, where it was
    /// looked at.
    pub fn save_rule_book(
        &self,
        new: &NewRuleBook,
        inbox: Option<&Inbox>,
    ) -> Result<Arc<RuleBook>, StoreError> {
        self.shared.save_rule_book(new, inbox)
    }

    /// Keeps how far a round of reviews has come, and that it has ended.
    pub fn advance_round(
        &self,
        rule_book: i64,
        progress: &Progress,
        ended_at: Option<Instant>,
    ) -> Result<(), StoreError> {
        self.shared.advance_round(rule_book, progress, ended_at)
    }

    /// Notes what became of a follow-up whose turn it was; [`SqliteStore::flush`] waits for the disk.
    pub fn delivered(&self, id: i64, delivered: &Delivered) -> Result<(), StoreError> {
        self.shared.delivered(id, delivered)
    }

    /// Sends a row of the outbox again, or not at all.
    pub fn grant(&self, id: i64, wish: &Wish, now: Instant) -> Result<Granted, StoreError> {
        self.shared.grant(id, wish, now)
    }

    /// Closes an item that waits for a person; see [`Reads::review_items`].
    pub fn close_item(&self, id: i64, with: &Closed) -> Result<Closing, StoreError> {
        self.shared.close_item(id, with)
    }

    /// The rule book that is live, if the shop ever had one.
    pub fn rule_book(&self) -> Option<Arc<RuleBook>> {
        self.shared.books.newest()
    }

    /// A rule book by its number.
    pub fn rule_book_at(&self, number: i64) -> Option<Arc<RuleBook>> {
        self.shared.books.get(number)
    }

    /// Commits what is open and waits for the disk: everything that any read has shown is durable
    /// when this returns. An answer does not need it.
    pub fn flush(&self) -> Result<(), StoreError> {
        let mut writer = self.shared.group.lock_to_commit();
        self.shared.group.flush(&mut writer)
    }

    /// The last row of the journal that is on disk. A read may see a little more; who sends something
    /// out into the world because of a row sends nothing beyond this one.
    pub fn durable_through(&self) -> i64 {
        self.shared.group.durable_through()
    }

    /// Changes the quota; see [`Settings::pages_max`].
    pub fn set_pages_max(&self, pages: u32) -> Result<(), StoreError> {
        let writer = self.shared.group.lock();
        writer
            .sql
            .raw()
            .pragma_update(None, "max_page_count", pages)
            .map_err(store_error)
    }

    /// Begins to record the statements of the line, for [`Recording::replay`].
    pub fn start_recording(&self) {
        self.shared.group.lock().sql.start_recording();
    }

    pub fn take_recording(&self) -> Recording {
        self.shared.group.lock().sql.take_recording()
    }

    /// A connection on which a recording can be replayed: with the settings of the writer, but
    /// with nothing beside it. It flushes in each COMMIT and empties the log by itself.
    pub fn plain_connection(path: &Path) -> Result<Connection, StoreError> {
        let connection = Connection::open(path).map_err(store_error)?;
        prepare(&connection, Settings::default().page_cache_kib).map_err(store_error)?;
        connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(store_error)?;
        connection
            .pragma_update(None, "wal_autocheckpoint", crate::group::WAL_PAGES_MAX)
            .map_err(store_error)?;
        Ok(connection)
    }
}

impl Store for SqliteStore {
    fn open(&self, event: &Admitted, ask: &dyn Ask) -> Result<Opened, StoreError> {
        self.shared.open_case(event, ask, Conflicts::Keep)
    }

    fn commit(&self, case: Case, change: Change) -> Result<Committed, StoreError> {
        self.shared.commit_case(case, change)
    }

    fn commit_first(
        &self,
        case: Case,
        change: Change,
    ) -> Result<(Committed, Box<dyn Together + '_>), StoreError> {
        let group = &self.shared.group;
        let bind = |writer: &mut Writer| group.bind(writer);
        let (committed, bound) = self.shared.commit_and(case, change, bind)?;
        Ok((committed, Box::new(bound)))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.shared.group.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
        // The last connection that closes empties the log into the file; it is this one's writer.
        let writer = self.shared.group.lock();
        if let Err(error) =
            writer
                .sql
                .raw()
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        {
            tracing::warn!(%error, "the write-ahead log stays beside the database");
        }
    }
}

/// See [`SqliteStore::preview`].
pub struct Preview<'a>(&'a SqliteStore);

impl Store for Preview<'_> {
    fn open(&self, event: &Admitted, ask: &dyn Ask) -> Result<Opened, StoreError> {
        self.0.shared.open_case(event, ask, Conflicts::Forget)
    }

    fn commit(&self, _case: Case, change: Change) -> Result<Committed, StoreError> {
        Ok(Committed {
            outcome: change.outcome,
            durable: Box::new(NothingToWaitFor),
        })
    }

    fn commit_first(
        &self,
        case: Case,
        change: Change,
    ) -> Result<(Committed, Box<dyn Together + '_>), StoreError> {
        Ok((self.commit(case, change)?, Box::new(NothingToWaitFor)))
    }
}

struct NothingToWaitFor;

impl Together for NothingToWaitFor {
    fn end(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Durable for NothingToWaitFor {
    fn wait(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }

    fn then(self: Box<Self>, done: Box<dyn FnOnce(Result<(), StoreError>) + Send>) {
        done(Ok(()));
    }
}

/// Whether another program has a file open for writing.
pub fn is_in_use(path: &Path) -> bool {
    path.exists() && matches!(lock(path), Err(OpenError::InUse { .. }))
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let failed = |error: std::io::Error| OpenError::Store {
        path: path.into(),
        error: StoreError::ReadOnly(format!("the lock file beside it cannot be opened: {error}")),
    };
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(PathBuf::from(name))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.into() }),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn prepare(connection: &Connection, page_cache_kib: u32) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // The flush that FULL adds to COMMIT comes right after it; see log.rs.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What is deleted is overwritten: an erased person is not left in free pages.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Plans do not look at what is bound, so that a statement is prepared once and not each time.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", -i64::from(page_cache_kib))?;
    // After a burst the log goes back to this many bytes.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)
}

fn open_beside(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(connection)
}

/// The log is emptied by a thread of its own, so SQLite only counts.
fn count_wal_pages(connection: &mut Connection, pages: Arc<AtomicI32>) -> rusqlite::Result<()> {
    connection.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, in_log| {
        pages.store(in_log, Ordering::Relaxed);
        Ok(())
    }))
}

fn secret(connection: &Connection, birth: &Birth) -> rusqlite::Result<Secret> {
    connection.execute(
        "INSERT OR IGNORE INTO meta (only, secret, created_at) VALUES (1, ?1, ?2)",
        rusqlite::params![birth.secret, birth.at.0],
    )?;
    connection.query_row("SELECT secret FROM meta", [], |row| row.get(0).map(Secret))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .expect("a thread can be started")
}
