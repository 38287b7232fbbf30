//! The audit: while a shop is open its customers are computed again from their events, a few at a
//! time and round and round, so that a ledger that differs is an alert and not a surprise.
//!
//! It reads, and mends nothing.

use crate::chores::Chores;
use crate::desk::Desk;
use parking_lot::Mutex;
use stampcard_pipeline::store::StoreError;
use std::sync::Arc;
use std::time::Duration;

/// How often it looks.
const BEAT: Duration = Duration::from_secs(10);
/// Customers at each look: a few milliseconds of one reader, 400,000 customers a day.
const CUSTOMERS: u32 = 50;
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
}

impl Audit {
    /// Looks for as long as the shop is open. `shops` is how many the process has.
    pub fn start(chores: &mut Chores, desk: Arc<Desk>, shops: usize) -> Arc<Audit> {
        let audit = Arc::new(Audit::default());
        let looking = Arc::clone(&audit);
        let beat = BEAT * u32::try_from(shops.div_ceil(SHOPS_A_BEAT).max(1)).unwrap_or(u32::MAX);
        chores.every(beat, "audit", move |_| {
            if let Err(error) = looking.look(&desk) {
                tracing::error!(%error, "customers cannot be computed again");
            }
        });
        audit
    }

    pub fn audited(&self) -> Audited {
        let round = self.round.lock();
        Audited {
            looks: round.looks,
            differences: round.differences.max(round.differences_before),
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
