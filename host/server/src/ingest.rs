//! Importing: a file of events, one JSON object on each line, taken down the line as fast as the
//! lanes go.
//!
//! The shop's clock is the highest time that was seen. It is safe to do twice: an event that is
//! known is a duplicate. What is refused is kept in a file beside the shop, with the reason.

mod lines;
mod refused;

use crate::clock;
use crate::lanes::NotTaken;
use crate::merchant::Merchant;
use bytes::Bytes;
use lines::{next_line, time_of};
use parking_lot::{Condvar, Mutex};
use refused::Refusals;
use serde::Serialize;
use stampcard_pipeline::admit::Sender;
use stampcard_pipeline::calendar;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::limits::AHEAD_MS_MAX;
use stampcard_pipeline::outcome::{Outcome, Status};
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::store::StoreError;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// How far the shop's clock runs before silent customers are driven, in milliseconds. The outcome
/// does not depend on it: a customer's own events drive what was due before them.
const DRIVE_EVERY_MS: i64 = 24 * 60 * 60 * 1_000;

/// What an import came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    pub applied: u64,
    pub duplicate: u64,
    pub guest: u64,
    pub parked: u64,
    pub refused: u64,
    /// Customers who were driven because something of theirs came due.
    pub driven: u64,
    /// Points that the ledger gained.
    pub points: i64,
    /// Where the shop's clock stands now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    pub seconds: f64,
    /// The file with the refused lines and their reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_file: Option<PathBuf>,
}

/// Why an import stopped. What was taken until then is kept; importing the same file again goes on.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("line {line} cannot be read: {source}")]
    Read {
        line: u64,
        #[source]
        source: io::Error,
    },
    #[error("{}: {source}", .path.display())]
    Refused {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the import was stopped")]
    Stopped,
}

/// Takes every line of `input`. `progress` is told how many bytes and lines were read.
pub fn ingest(
    merchant: &Merchant,
    mut input: impl BufRead,
    until: Option<Instant>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Summary, IngestError> {
    let began = std::time::Instant::now();
    let before = merchant.store().reads().newest_event_at()?;
    if let Some(before) = before {
        // Whoever was there under other rules is asked as of the last thing that the shop has seen.
        merchant.finish_reviews(before)?;
    }
    let told = Arc::new(Told::new(merchant.folder().dir(), before));
    let mut driven = 0;
    let mut driven_to = before;
    let (mut line, mut bytes) = (0, 0);
    while let Some(text) = next_line(&mut input).map_err(|source| IngestError::Read {
        line: line + 1,
        source,
    })? {
        line += 1;
        bytes += text.read;
        progress(bytes, line);
        if text.bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        take(merchant, &told, line, text.bytes)?;
        told.stopped()?;
        let clock = told.clock();
        if clock > driven_to && clock.map(|at| at.0 - DRIVE_EVERY_MS) >= driven_to.map(|at| at.0) {
            settle(merchant, &told)?;
            driven += drive(merchant, clock)?;
            driven_to = clock;
        }
    }
    settle(merchant, &told)?;
    let clock = told.clock().max(until);
    driven += drive(merchant, clock)?;
    told.stopped()?;
    let refused_file = told.close()?;
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    Ok(Summary {
        applied: count(&told.applied),
        duplicate: count(&told.duplicate),
        guest: count(&told.guest),
        parked: count(&told.parked),
        refused: count(&told.refused),
        driven,
        points: told.points.load(Ordering::Relaxed),
        clock: clock.map(calendar::text),
        seconds: began.elapsed().as_secs_f64(),
        refused_file,
    })
}

/// Who did what an import's acts of staff name nobody for.
const INGESTS: &str = "ingest";

/// Sends one event to its lane.
fn take(merchant: &Merchant, told: &Arc<Told>, line: u64, event: Bytes) -> Result<(), IngestError> {
    let at = time_of(&event);
    let telling = Arc::clone(told);
    let kept = event.clone();
    let reply =
        Box::new(move |outcome: Result<Outcome, Refusal>| telling.tell(line, &kept, at, outcome));
    *told.open.lock() += 1;
    match merchant
        .lanes()
        .send(event, Sender::operator(INGESTS), reply)
    {
        Ok(()) => Ok(()),
        Err(NotTaken::Closed | NotTaken::Full) => Err(IngestError::Stopped),
    }
}

/// Waits until everything that was sent is on disk, and counted. Only then may the clock drive: an
/// event that waits in a lane and happened before would come late.
fn settle(merchant: &Merchant, told: &Told) -> Result<(), IngestError> {
    merchant.lanes().drain();
    merchant.store().flush()?;
    told.wait_for_all();
    told.stopped()
}

/// Drives whom something is due for by the shop's clock.
fn drive(merchant: &Merchant, clock: Option<Instant>) -> Result<u64, IngestError> {
    match clock {
        Some(clock) => {
            merchant.judge();
            merchant.finish_reviews(clock)?;
            let driven = clock::drive(merchant.desk(), merchant.lanes(), clock, || false)?;
            Ok(driven.done)
        }
        None => Ok(0),
    }
}

/// What the lanes told us.
struct Told {
    applied: AtomicU64,
    duplicate: AtomicU64,
    guest: AtomicU64,
    parked: AtomicU64,
    refused: AtomicU64,
    points: AtomicI64,
    /// The highest time of an event that was taken; `i64::MIN` before the first.
    clock: AtomicI64,
    /// Events further ahead than this move no clock.
    ahead: Instant,
    refusals: Refusals,
    failed: Mutex<Option<StoreError>>,
    /// Events of which nothing was told yet.
    open: Mutex<u64>,
    all_told: Condvar,
}

impl Told {
    fn new(dir: &Path, clock: Option<Instant>) -> Told {
        let now = clock::now();
        Told {
            applied: AtomicU64::new(0),
            duplicate: AtomicU64::new(0),
            guest: AtomicU64::new(0),
            parked: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            points: AtomicI64::new(0),
            clock: AtomicI64::new(clock.map_or(i64::MIN, |at| at.0)),
            ahead: Instant(now.0 + AHEAD_MS_MAX),
            refusals: Refusals::at(dir.join(format!("refused-{}.ndjson", now.0))),
            failed: Mutex::new(None),
            open: Mutex::new(0),
            all_told: Condvar::new(),
        }
    }

    fn tell(
        &self,
        line: u64,
        event: &Bytes,
        at: Option<Instant>,
        outcome: Result<Outcome, Refusal>,
    ) {
        self.count(line, event, at, outcome);
        let mut open = self.open.lock();
        *open -= 1;
        if *open == 0 {
            self.all_told.notify_all();
        }
    }

    /// Waits until something was told of every event.
    fn wait_for_all(&self) {
        let mut open = self.open.lock();
        while *open > 0 {
            self.all_told.wait(&mut open);
        }
    }

    fn count(
        &self,
        line: u64,
        event: &Bytes,
        at: Option<Instant>,
        outcome: Result<Outcome, Refusal>,
    ) {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(Refusal::Store(error)) => {
                self.failed.lock().get_or_insert(error);
                return;
            }
            Err(refusal) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                self.refusals.keep(line, event, &refusal);
                return;
            }
        };
        let count = match outcome.status {
            Status::Applied => &self.applied,
            Status::Duplicate => &self.duplicate,
            Status::Guest => &self.guest,
            Status::Parked => &self.parked,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if outcome.status != Status::Duplicate {
            self.points.fetch_add(
                outcome.points.iter().map(|entry| entry.amount).sum(),
                Ordering::Relaxed,
            );
        }
        if let Some(at) = at.filter(|at| *at <= self.ahead) {
            self.clock.fetch_max(at.0, Ordering::Relaxed);
        }
    }

    fn clock(&self) -> Option<Instant> {
        Some(Instant(self.clock.load(Ordering::Relaxed))).filter(|at| at.0 > i64::MIN)
    }

    fn stopped(&self) -> Result<(), IngestError> {
        match &*self.failed.lock() {
            Some(error) => Err(error.clone().into()),
            None => Ok(()),
        }
    }

    fn close(&self) -> Result<Option<PathBuf>, IngestError> {
        let failed = |source| IngestError::Refused {
            path: self.refusals.path.clone(),
            source,
        };
        self.refusals.close().map_err(failed)
    }
}
