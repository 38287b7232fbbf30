//! Group commit: many changes, one flush to the disk.
//!
//! Changes gather in the open transaction of the one write connection. A thread of its own commits
//! them: at once when nobody is deciding any more, because then nothing is gained by waiting, and
//! under load when the group is large or its first change has waited long enough. Then it flushes
//! them to the disk ([`crate::log`]), while the next group fills. Whatever fails before takes the
//! whole group back, and everybody in it is told; nobody was answered before.

use crate::error::{Trouble, store_error};
use crate::log::Log;
use crate::ticket::Ticket;
use crate::writer::Writer;
use parking_lot::{Condvar, Mutex, MutexGuard};
use stampcard_pipeline::store::{StoreError, Together};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";
pub(crate) const COMMIT: &str = "COMMIT";

/// When a group is closed although somebody is still deciding.
#[derive(Clone, Copy, Debug)]
pub struct Grouping {
    /// Changes in one group. More would save nothing: the flush is shared by this many already.
    pub changes_max: u32,
    /// How long the first change of a group waits for others.
    pub wait_max: Duration,
}

impl Default for Grouping {
    fn default() -> Grouping {
        Grouping {
            changes_max: 256,
            wait_max: Duration::from_millis(5),
        }
    }
}

/// Pages in the write-ahead log (of 4 KiB each) after which they are brought into the database:
/// often enough that the log stays near 16 MiB, seldom enough that a page that changes often is
/// written once.
pub(crate) const WAL_PAGES_MAX: i32 = 4_000;

/// The least time between two copies of the log.
const BETWEEN_COPIES: Duration = Duration::from_millis(100);

/// The writer and everything that decides when it commits.
pub(crate) struct Group {
    writer: Mutex<Writer>,
    pulse: Mutex<Pulse>,
    /// Wakes the thread that commits.
    beat: Condvar,
    /// Wakes whoever waits for changes that belong together, with the writer.
    unbound: Condvar,
    deciding: AtomicUsize,
    grouping: Grouping,
    log: Log,
    /// The last row of the journal that is on disk.
    durable: AtomicI64,
    /// Pages in the log after the last commit, as SQLite counts them.
    pub wal_pages: Arc<AtomicI32>,
    /// Wakes the thread that empties the log.
    log_is_long: Condvar,
    stop: Mutex<bool>,
}

/// What the committing thread needs to know.
#[derive(Default)]
struct Pulse {
    /// Changes of the open group, and when the first of them was made.
    changes: u32,
    since: Option<Instant>,
    /// Somebody waits for exactly this group.
    urgent: bool,
    /// Groups that came to their end and whose people have not been told yet. They are told
    /// without any lock, so that they may come back to the store.
    ended: Vec<(Arc<Ticket>, Result<(), StoreError>)>,
    /// The committing thread sleeps without an end: it does not know of an open group yet.
    asleep: bool,
    stop: bool,
}

impl Pulse {
    /// Says whether the group has any change; some were opened for reads that nothing followed.
    fn close_group(&mut self) -> bool {
        self.since = None;
        self.urgent = false;
        std::mem::take(&mut self.changes) > 0
    }
}

impl Group {
    pub fn new(writer: Writer, grouping: Grouping, log: Log, wal_pages: Arc<AtomicI32>) -> Group {
        Group {
            // All that was there before was flushed when the file was opened.
            durable: AtomicI64::new(writer.next.seq - 1),
            writer: Mutex::new(writer),
            pulse: Mutex::default(),
            beat: Condvar::new(),
            unbound: Condvar::new(),
            deciding: AtomicUsize::new(0),
            grouping,
            log,
            wal_pages,
            log_is_long: Condvar::new(),
            stop: Mutex::new(false),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock()
    }

    /// The writer for whoever is going to commit: changes that belong together have come to their end.
    pub fn lock_to_commit(&self) -> MutexGuard<'_, Writer> {
        let mut writer = self.lock();
        while writer.bound > 0 {
            self.unbound.wait(&mut writer);
        }
        writer
    }

    /// Keeps the open group open for what belongs to the change that was just made.
    pub fn bind(&self, writer: &mut Writer) -> Bound<'_> {
        writer.bound += 1;
        Bound {
            group: self,
            taken_back: writer.taken_back,
            has_ended: false,
        }
    }

    /// The last row of the journal that is on disk: whoever was answered finds theirs at or before
    /// it.
    pub fn durable_through(&self) -> i64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Says that a submission is under way: the group waits for it, within its limits.
    pub fn begin_work(self: &Arc<Self>) -> Work {
        self.deciding.fetch_add(1, Ordering::AcqRel);
        Work(self.clone())
    }

    /// Adds one change to the open group, or opens one. What fails takes the group back, except for
    /// a conflict, which is found before anything is written.
    pub fn change<T>(
        &self,
        writer: &mut Writer,
        work: impl FnOnce(&mut Writer) -> Result<T, Trouble>,
    ) -> Result<(T, Arc<Ticket>), StoreError> {
        self.log.check()?;
        let ticket = match writer.begin() {
            Ok(ticket) => ticket,
            Err(error) => return Err(self.abandon(writer, store_error(error))),
        };
        match work(writer) {
            Ok(done) => {
                self.pulse(1);
                Ok((done, ticket))
            }
            Err(Trouble::Store(StoreError::Conflict)) => {
                // The transaction may be new and empty; then somebody has to close it.
                self.pulse(1);
                Err(StoreError::Conflict)
            }
            Err(trouble) => Err(self.abandon(writer, trouble.into())),
        }
    }

    /// Adds one change to the open group and waits until it is on disk, without the writer: others go on
    /// meanwhile.
    pub fn change_on_disk<T>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        let (done, ticket) = {
            let mut writer = self.lock();
            self.change(&mut writer, work)?
        };
        self.hurry();
        ticket.wait()?;
        Ok(done)
    }

    /// Opens a group, if none is open, for reads that a change will follow: inside a transaction
    /// each of them is spared its own locks.
    pub fn begin(&self, writer: &mut Writer) -> Result<(), StoreError> {
        self.log.check()?;
        match writer.begin() {
            Ok(_) => self.pulse(0),
            Err(error) => return Err(self.abandon(writer, store_error(error))),
        }
        Ok(())
    }

    /// The committing thread is woken by whoever ends their work, which everybody does after their
    /// change; only a full group need not wait for that.
    fn pulse(&self, changes: u32) {
        let mut pulse = self.pulse.lock();
        pulse.changes += changes;
        pulse.since.get_or_insert_with(Instant::now);
        if changes > 0 && pulse.changes == self.grouping.changes_max {
            self.beat.notify_one();
        }
    }

    /// Asks for the open group to be committed now, because somebody waits for it.
    pub fn hurry(&self) {
        self.pulse.lock().urgent = true;
        self.beat.notify_one();
    }

    /// Commits the open group, if there is one, and waits until it is on disk, with the writer in
    /// hand: for the few who change something beside the line.
    pub fn flush(&self, writer: &mut Writer) -> Result<(), StoreError> {
        let before = writer.is_on_its_way();
        let closed = self.commit(writer)?;
        let has_changes = closed.as_ref().is_some_and(|closed| closed.has_changes);
        let on_disk = if has_changes || before {
            self.flush_through(writer.next.seq - 1)
        } else {
            Ok(())
        };
        if let Some(Closed { ticket, .. }) = closed {
            self.tell(ticket, on_disk.clone());
        }
        on_disk
    }

    /// Flushes what is committed, of which this is the last row. Whoever is told of it afterwards
    /// finds the number moved.
    fn flush_through(&self, row: i64) -> Result<(), StoreError> {
        self.log.flush()?;
        self.durable.fetch_max(row, Ordering::AcqRel);
        Ok(())
    }

    fn commit(&self, writer: &mut Writer) -> Result<Option<Closed>, StoreError> {
        let has_changes = self.pulse.lock().close_group();
        match writer.commit() {
            Ok(ticket) => Ok(ticket.map(|ticket| Closed {
                ticket,
                has_changes,
            })),
            Err(error) => Err(self.abandon(writer, store_error(error))),
        }
    }

    /// What the committing thread does: commits with the writer, flushes without it.
    fn commit_and_flush(&self) {
        let (closed, last_row) = {
            let mut writer = self.lock_to_commit();
            (self.commit(&mut writer), writer.next.seq - 1)
        };
        // If it fails, everybody in the group is told by `abandon`; nobody else has to know.
        let Ok(Some(Closed {
            ticket,
            has_changes,
        })) = closed
        else {
            return;
        };
        ticket.settle(if has_changes {
            self.flush_through(last_row)
        } else {
            Ok(())
        });
        if self.wal_pages.load(Ordering::Relaxed) > WAL_PAGES_MAX {
            self.log_is_long.notify_one();
        }
    }

    /// Takes the open group back and tells everybody in it.
    fn abandon(&self, writer: &mut Writer, error: StoreError) -> StoreError {
        tracing::error!(%error, "a group of changes was taken back");
        self.pulse.lock().close_group();
        if let Some(ticket) = writer.roll_back() {
            self.tell(ticket, Err(error.clone()));
        }
        error
    }

    fn tell(&self, ticket: Arc<Ticket>, result: Result<(), StoreError>) {
        self.pulse.lock().ended.push((ticket, result));
        self.beat.notify_one();
    }

    /// The committing thread.
    pub fn commit_until_stopped(&self) {
        loop {
            match self.wait_for_work() {
                Todo::Commit => self.commit_and_flush(),
                Todo::Tell(ended) => {
                    for (ticket, result) in ended {
                        ticket.settle(result);
                    }
                }
                Todo::Stop => return,
            }
        }
    }

    fn wait_for_work(&self) -> Todo {
        let mut pulse = self.pulse.lock();
        loop {
            if !pulse.ended.is_empty() {
                return Todo::Tell(std::mem::take(&mut pulse.ended));
            }
            let Some(since) = pulse.since else {
                if pulse.stop {
                    return Todo::Stop;
                }
                pulse.asleep = true;
                self.beat.wait(&mut pulse);
                pulse.asleep = false;
                continue;
            };
            let due = since + self.grouping.wait_max;
            let is_complete = self.deciding.load(Ordering::Acquire) == 0
                || pulse.changes >= self.grouping.changes_max
                || pulse.urgent
                || pulse.stop
                || Instant::now() >= due;
            if is_complete {
                return Todo::Commit;
            }
            self.beat.wait_until(&mut pulse, due);
        }
    }

    /// The thread that brings the log into the database, so that it stays short. The pages are
    /// copied beside the writer; only the few that came meanwhile are copied while it is held,
    /// because the log starts again from its beginning only when all of it has been copied.
    pub fn checkpoint_until_stopped(&self, beside: rusqlite::Connection) {
        while self.wait_for_long_log() {
            let copied = copy_log(&beside).and_then(|()| {
                let mut writer = self.lock_to_commit();
                match self.flush(&mut writer) {
                    Ok(()) => copy_log(writer.sql.raw()),
                    Err(_) => Ok(()),
                }
            });
            if let Err(error) = copied {
                tracing::warn!(%error, "the write-ahead log could not be brought into the database");
            }
            // The next commit says how long the log is now. A long read keeps it from starting
            // again, and then trying all the time would only be in the way.
            self.wal_pages.store(0, Ordering::Relaxed);
            self.pause(BETWEEN_COPIES);
        }
    }

    /// True when the log is long, false when the store is closing.
    fn wait_for_long_log(&self) -> bool {
        let mut stop = self.stop.lock();
        while !*stop && self.wal_pages.load(Ordering::Relaxed) <= WAL_PAGES_MAX {
            // A notice that comes between the look and the wait is only late, never lost.
            self.log_is_long.wait_for(&mut stop, Duration::from_secs(1));
        }
        !*stop
    }

    fn pause(&self, length: Duration) {
        let end = Instant::now() + length;
        let mut stop = self.stop.lock();
        while !*stop && !self.log_is_long.wait_until(&mut stop, end).timed_out() {}
    }

    /// Commits what is open and lets both threads end.
    pub fn stop(&self) {
        *self.stop.lock() = true;
        self.pulse.lock().stop = true;
        self.beat.notify_all();
        self.log_is_long.notify_all();
    }
}

fn copy_log(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Changes that belong together, all of them in the open group.
pub(crate) struct Bound<'a> {
    group: &'a Group,
    /// What it was when they began: if it is more now, some of them are lost.
    taken_back: u64,
    has_ended: bool,
}

impl Bound<'_> {
    /// Lets the group close, if nothing is missing; if something is, it takes with it what is left.
    fn unbind(&self, is_complete: bool) -> Result<(), StoreError> {
        let mut writer = self.group.lock();
        writer.bound -= 1;
        self.group.unbound.notify_all();
        if is_complete && writer.taken_back == self.taken_back {
            return Ok(());
        }
        let error = StoreError::Failed(
            "a part of what belongs together could not be kept, so nothing of it was".into(),
        );
        Err(self.group.abandon(&mut writer, error))
    }
}

impl Together for Bound<'_> {
    fn end(mut self: Box<Self>) -> Result<(), StoreError> {
        self.has_ended = true;
        self.unbind(true)
    }
}

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            // Everybody in the group is told.
            let _ = self.unbind(false);
        }
    }
}

/// A group that is committed and not yet flushed.
struct Closed {
    ticket: Arc<Ticket>,
    has_changes: bool,
}

/// What the committing thread does next.
enum Todo {
    Commit,
    Tell(Vec<(Arc<Ticket>, Result<(), StoreError>)>),
    Stop,
}

/// One submission under way; when it is dropped, the group no longer waits for it.
pub struct Work(Arc<Group>);

impl Drop for Work {
    fn drop(&mut self) {
        let was_last = self.0.deciding.fetch_sub(1, Ordering::AcqRel) == 1;
        let pulse = self.0.pulse.lock();
        if pulse.since.is_some() && (was_last || pulse.asleep) {
            self.0.beat.notify_one();
        }
    }
}
