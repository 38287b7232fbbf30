//! The audit: while a shop is open its customers are computed again from their events, a few at a
//! time and round and round, so that a ledger that differs is an alert and not a surprise. And some
//! events are decided again, in the plugins and the configuration of then: the figures must be equal.
//!
//! It reads, and mends nothing.

use crate::chores::Chores;
use crate::desk::Desk;
use crate::rerun::{Rerun, RerunError, Reruns};
use parking_lot::Mutex;
use stampcard_pipeline::event::EventName;
use stampcard_pipeline::store::StoreError;
use stampcard_runtime::Engine;
use stampcard_store::reads::JournalRow;
use std::sync::Arc;
use std::time::Duration;

/// How often it looks.
const BEAT: Duration = Duration::from_secs(10);
/// Customers at each look: a few milliseconds of one reader, 400,000 customers a day.
const CUSTOMERS: u32 = 50;
/// Looks in a day: at each one event is decided again, so that a day's walk is through all of the
/// journal.
const LOOKS_A_DAY: i64 = 24 * 60 * 60 / BEAT.as_secs() as i64;
/// Rows of the journal that are looked at for an event: between two of them are rule books.
const ROWS: u32 = 16;
/// Shops that are looked at in one beat. Of more than these each waits longer, so that the audits of
/// forty shops take no more of the machine than those of eight.
const SHOPS_A_BEAT: usize = 8;

/// What was found since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    /// Looks at a customer.
    pub looks: u64,
    /// What differed in the round that goes on or in the one before it, whichever is more.
    pub differences: u64,
    /// Events that were decided again.
    pub reruns: u64,
    /// Places in their answers that came out otherwise, since the start.
    pub rerun_differences: u64,
}

/// The audit of an open shop.
#[derive(Default)]
pub struct Audit {
    round: Mutex<Round>,
}

#[derive(Default)]
struct Round {
    /// The row of the last customer that was looked at.
    after: i64,
    looks: u64,
    differences: u64,
    differences_before: u64,
    /// The row of the last event that was decided again.
    after_event: i64,
    reruns: u64,
    rerun_differences: u64,
}

impl Audit {
    /// Looks for as long as the shop is open. `shops` is how many the process has.
    pub fn start(chores: &mut Chores, desk: Arc<Desk>, engine: Engine, shops: usize) -> Arc<Audit> {
        let audit = Arc::new(Audit::default());
        let looking = Arc::clone(&audit);
        let beat = BEAT * u32::try_from(shops.div_ceil(SHOPS_A_BEAT).max(1)).unwrap_or(u32::MAX);
        let mut reruns = Reruns::new(engine);
        chores.every(beat, "audit", move |_| {
            if let Err(error) = looking.look(&desk) {
                tracing::error!(%error, "customers cannot be computed again");
            }
            if let Err(error) = looking.decide_again(&desk, &mut reruns) {
                tracing::error!(%error, "an event cannot be decided again");
            }
        });
        audit
    }

    pub fn audited(&self) -> Audited {
        let round = self.round.lock();
        Audited {
            looks: round.looks,
            differences: round.differences.max(round.differences_before),
            reruns: round.reruns,
            rerun_differences: round.rerun_differences,
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

    /// The next event of the walk, in the rules of then.
    fn decide_again(&self, desk: &Desk, reruns: &mut Reruns) -> Result<(), RerunError> {
        let reads = desk.store.reads();
        let last = desk.store.durable_through();
        let after = self.round.lock().after_event;
        let next = reads.journal(after, ROWS)?;
        let is_event = |row: &&JournalRow| row.seq <= last && !row.is_rule_book();
        let Some(row) = next.iter().find(is_event) else {
            // Past the end it begins anew.
            self.round.lock().after_event = next.last().map_or(0, |row| row.seq);
            return Ok(());
        };
        // A long journal is walked in steps.
        self.round.lock().after_event = row.seq + last / LOOKS_A_DAY;
        let name = EventName {
            source: row.event.source.clone(),
            id: row.event.id.clone(),
        };
        let rerun = reruns.of(reads, row, &reads.explanations(&name)?)?;
        let mut round = self.round.lock();
        round.reruns += 1;
        let Rerun::Differs(differences) = rerun else {
            return Ok(());
        };
        // What has a reason, such as a deadline, need not be a mistake of anybody.
        for difference in differences.iter().filter(|it| it.because.is_none()) {
            round.rerun_differences += 1;
            tracing::error!(
                source = name.source,
                id = name.id,
                plugin = difference.plugin,
                version = difference.version,
                place = difference.place,
                "a decision does not come out again as it was; see `stampcard explain`"
            );
        }
        Ok(())
    }
}
