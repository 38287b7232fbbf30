//! The shop's clock: sees to it that silent customers are driven when something of theirs is due.
//!
//! It decides nothing. What is due goes down the line as any event does, behind the tills.

use crate::chores::Chores;
use crate::desk::Desk;
use crate::lanes::Lanes;
use crate::merchant::reviews;
use stampcard_pipeline::admit::Arrival;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::store::StoreError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// How often the clock looks. Timers are set in minutes and days; a second more is not noticed.
const BEAT: Duration = Duration::from_secs(1);
/// Customers that are driven before the clock looks again, and before it stops when the shop closes.
const BATCH: u32 = 256;

/// The wall clock.
pub fn now() -> Instant {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Instant(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What driving came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Driven {
    pub done: u64,
    pub failed: u64,
}

/// Drives every customer of whom something is due by an instant, each at the instant at which it
/// is due, until nothing is or somebody says that it is enough. What it did is durable when this
/// returns.
pub fn drive(
    desk: &Desk,
    lanes: &Lanes,
    until: Instant,
    is_enough: impl Fn() -> bool,
) -> Result<Driven, StoreError> {
    let mut all = Driven::default();
    while !is_enough() {
        let due = desk.store.reads().due_customers(until, BATCH)?;
        if due.is_empty() {
            return Ok(all);
        }
        let due = due.into_iter().map(|(customer, at)| {
            let arrival = Arrival::Due {
                customer: customer.clone(),
                at,
            };
            (customer, arrival)
        });
        let Some(told) = lanes.send_all_own(due, "what was due could not be driven") else {
            // The shop is closing; what is due stays due.
            return Ok(all);
        };
        let done = told.iter().filter(|outcome| outcome.is_ok()).count() as u64;
        let batch = Driven {
            done,
            failed: told.len() as u64 - done,
        };
        all.done += batch.done;
        all.failed += batch.failed;
        if batch.done == 0 {
            // Asking for the same ones again at once would fail again.
            return Ok(all);
        }
    }
    Ok(all)
}

/// The clock of an open shop, which counts what it drove.
#[derive(Default)]
pub struct Clock {
    done: AtomicU64,
    failed: AtomicU64,
}

impl Clock {
    /// Looks at every beat for as long as the shop is open.
    pub fn start(chores: &mut Chores, desk: Arc<Desk>, lanes: Arc<Lanes>) -> Arc<Clock> {
        let clock = Arc::new(Clock::default());
        let beating = Arc::clone(&clock);
        chores.every(BEAT, "clock", move |closing| {
            match drive(&desk, &lanes, now(), || closing.is_near()) {
                Ok(driven) => {
                    beating.done.fetch_add(driven.done, Ordering::Relaxed);
                    beating.failed.fetch_add(driven.failed, Ordering::Relaxed);
                }
                Err(error) => tracing::error!(%error, "the clock cannot read what is due"),
            }
            if desk.round_is_open.load(Ordering::Acquire)
                && let Err(error) =
                    reviews::go_on(&desk, &lanes, now(), Some(BEAT), || closing.is_near())
            {
                tracing::error!(%error, "customers cannot be asked about the new rules");
            }
        });
        clock
    }

    /// Since the start.
    pub fn driven(&self) -> Driven {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Driven {
            done: count(&self.done),
            failed: count(&self.failed),
        }
    }
}
