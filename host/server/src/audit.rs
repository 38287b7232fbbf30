//! The audit: while a shop is open its customers are computed again from their events, a few at a
//! time and round and round, so that a ledger that differs is an alert and not a surprise.
//!
//! It reads, and mends nothing.

use crate::desk::Desk;
use parking_lot::{Condvar, Mutex};
use stampcard_pipeline::store::StoreError;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How often it looks.
const BEAT: Duration = Duration::from_secs(10);
/// Customers at each look: a few milliseconds of one reader, 400,000 customers a day.
const CUSTOMERS: u32 = 50;

/// What was found since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    /// Looks at a customer.
    pub looks: u64,
    /// What differed in the round that goes on or in the one before it, whichever is more.
    pub differences: u64,
}

/// The audit of an open shop. It stops when it is dropped.
pub struct Audit {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: Mutex<bool>,
    stopped: Condvar,
    round: Mutex<Round>,
}

#[derive(Default)]
struct Round {
    /// The row of the last customer that was looked at.
    after: i64,
    looks: u64,
    differences: u64,
    differences_before: u64,
}

impl Audit {
    pub fn start(desk: Arc<Desk>) -> Audit {
        let shared = Arc::new(Shared::default());
        let looking = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || looking.run(&desk))
            .expect("the operating system gives a thread at the start");
        Audit {
            shared,
            thread: Some(thread),
        }
    }

    pub fn audited(&self) -> Audited {
        let round = self.shared.round.lock();
        Audited {
            looks: round.looks,
            differences: round.differences.max(round.differences_before),
        }
    }
}

impl Shared {
    fn run(&self, desk: &Desk) {
        let mut stop = self.stop.lock();
        while !*stop {
            drop(stop);
            if let Err(error) = self.look(desk) {
                tracing::error!(%error, "customers cannot be computed again");
            }
            stop = self.stop.lock();
            if !*stop {
                self.stopped.wait_for(&mut stop, BEAT);
            }
        }
    }

    fn look(&self, desk: &Desk) -> Result<(), StoreError> {
        let after = self.round.lock().after;
        let (differences, looked, last) = desk.store.reads().check_some(after, CUSTOMERS)?;
        for difference in &differences {
            let customer = difference.customer.as_ref().map_or("", |id| id.0.as_str());
            tracing::error!(
                customer,
                what = difference.what,
                expected = difference.expected,
                found = difference.found,
                "a customer is not what their events make of them; see `stampcard check`"
            );
        }
        let mut round = self.round.lock();
        round.looks += looked;
        round.differences += differences.len() as u64;
        match last {
            Some(last) => round.after = last,
            None => {
                round.after = 0;
                round.differences_before = std::mem::take(&mut round.differences);
            }
        }
        Ok(())
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        *self.shared.stop.lock() = true;
        self.shared.stopped.notify_all();
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the audit panicked");
        }
    }
}
