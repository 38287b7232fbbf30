//! Hot customers, so that a regular's next visit reads nothing that the last one wrote.
//!
//! The cache belongs to the writer and is only touched with it: it shows what is in the open
//! transaction. When a group is taken back it is emptied.

use hashlink::LruCache;
use stampcard_pipeline::currency::ByCurrency;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::fold::Fold;
use std::sync::Arc;

/// One customer as of the open transaction.
#[derive(Clone)]
pub(crate) struct Hot {
    /// The short id inside the database.
    pub row: i64,
    pub revision: u64,
    pub balance: ByCurrency<i64>,
    pub clock: Instant,
    /// `None` if the stored bytes are of another version of this program.
    pub head: Option<Arc<Fold>>,
    /// The follow-ups that wait and could be cancelled; `None` if nobody has looked yet.
    pub plans: Option<Arc<Vec<Plan>>>,
    /// The encoded head's length: what the customer weighs here, in proportion.
    pub head_bytes: usize,
}

/// A follow-up that waits.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub id: i64,
    pub number: u32,
    pub due: Instant,
    pub channel: String,
    pub template: String,
    pub cancelled_by: Vec<String>,
}

pub(crate) struct Cache {
    customers: LruCache<String, Hot>,
    bytes: usize,
    bytes_max: usize,
}

/// A fold in memory weighs about this many times its encoded bytes, seen with the starter pack.
const WEIGHT: usize = 5;
/// And this much in any case: names, the entry itself.
const WEIGHT_MIN: usize = 600;

impl Cache {
    pub fn new(bytes_max: usize) -> Cache {
        Cache {
            customers: LruCache::new_unbounded(),
            bytes: 0,
            bytes_max,
        }
    }

    pub fn get(&mut self, public: &str) -> Option<&Hot> {
        self.customers.get(public)
    }

    pub fn put(&mut self, public: &str, hot: Hot) {
        self.bytes += weight(&hot);
        if let Some(before) = self.customers.insert(public.to_owned(), hot) {
            self.bytes -= weight(&before);
        }
        while self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.customers.remove_lru() else {
                break;
            };
            self.bytes -= weight(&oldest);
        }
    }

    /// The outbox moved beside the line: whoever wants to know what waits looks again.
    pub fn forget_plans(&mut self, public: &str) {
        if let Some(hot) = self.customers.get_mut(public) {
            hot.plans = None;
        }
    }

    pub fn clear(&mut self) {
        self.customers.clear();
        self.bytes = 0;
    }
}

fn weight(hot: &Hot) -> usize {
    WEIGHT_MIN + hot.head_bytes * WEIGHT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hot(head_bytes: usize) -> Hot {
        Hot {
            row: 1,
            revision: 1,
            balance: ByCurrency::default(),
            clock: Instant(0),
            head: None,
            plans: None,
            head_bytes,
        }
    }

    #[test]
    fn the_cache_stays_within_its_bytes_and_keeps_who_came_last() {
        let mut cache = Cache::new(20_000);
        for round in 0..3 {
            for customer in 0..50 {
                cache.put(&format!("cus_{customer}"), hot(400 + round * customer));
                cache.get("cus_0");
                assert!(cache.bytes <= 20_000);
            }
        }
        assert!(cache.get("cus_49").is_some());
        assert!(cache.get("cus_0").is_some(), "who is asked for stays");
        assert!(cache.get("cus_20").is_none());
        cache.clear();
        assert_eq!(cache.bytes, 0);
    }
}
