//! Who is being decided right now: events that could touch the same customer wait for each other,
//! and nobody else does.

use crate::cache::Hot;
use crate::group::Work;
use crate::open::Way;
use parking_lot::{Condvar, Mutex};
use stampcard_pipeline::admit::Admitted;
use stampcard_pipeline::event::{Body, Event, EventName, Identifier, OrderName, SaleName};
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::limited::Giver;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// Everything that is held by some case. A key is the hash of what it stands for: if two fall
/// together, somebody waits in vain for a moment, and nothing worse.
#[derive(Default)]
pub(crate) struct Holds {
    held: Mutex<HashSet<u64>>,
    released: Condvar,
    hasher: RandomState,
}

#[derive(Hash)]
enum Key<'a> {
    Event(&'a str, &'a str),
    Order(&'a str, &'a str),
    Identifier(&'a Identifier),
    Customer(&'a str),
    Giver(&'a Giver),
}

impl Holds {
    /// What an event needs for itself, whoever it turns out to be about.
    pub fn keys_of(&self, event: &Admitted) -> Vec<u64> {
        let mut keys = Vec::with_capacity(4);
        keys.push(self.key(Key::Event(&event.event.source, &event.event.id)));
        for order in orders(event) {
            keys.push(self.key(Key::Order(&order.system, &order.id)));
        }
        for identifier in &event.personal.identifiers {
            keys.push(self.key(Key::Identifier(identifier)));
        }
        match event.event.speaks_of() {
            Some(SaleName::Sale(sale)) => keys.push(self.key(Key::Event(&sale.source, &sale.id))),
            Some(SaleName::Order(order)) => {
                keys.push(self.key(Key::Order(&order.system, &order.id)))
            }
            None => {}
        }
        if let Some(guest) = claims(event) {
            keys.push(self.key(Key::Event(&guest.source, &guest.id)));
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    pub fn customer(&self, public: &str) -> u64 {
        self.key(Key::Customer(public))
    }

    /// What somebody holds who speaks of this sale; nothing of what is none.
    pub fn sale(&self, event: &Event) -> Vec<u64> {
        let Some(sale) = event.sale() else {
            return Vec::new();
        };
        let order = sale.order.as_ref();
        let by_order = order.map(|order| self.key(Key::Order(&order.system, &order.id)));
        let by_event = self.key(Key::Event(&event.source, &event.id));
        by_order.into_iter().chain([by_event]).collect()
    }

    pub fn giver(&self, giver: &Giver) -> u64 {
        self.key(Key::Giver(giver))
    }

    fn key(&self, key: Key) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The writer, if none of these keys is held. Otherwise it is let go, and this waits until
    /// something was released; then look again. Keys are only taken with the writer, so they stay
    /// free as long as it is not let go.
    pub fn free_or_wait<W>(&self, keys: &[u64], writer: W) -> Option<W> {
        let mut held = self.held.lock();
        if keys.iter().any(|key| held.contains(key)) {
            drop(writer);
            self.released.wait(&mut held);
            return None;
        }
        Some(writer)
    }

    fn release(&self, keys: &[u64]) {
        let mut held = self.held.lock();
        for key in keys {
            held.remove(key);
        }
        self.released.notify_all();
    }
}

/// The order keys that an event takes: only a sale does.
pub(crate) fn orders(event: &Admitted) -> impl Iterator<Item = &OrderName> {
    event.event.business_key().into_iter()
}

/// The guest sale that an event claims.
pub(crate) fn claims(event: &Admitted) -> Option<&EventName> {
    match &event.event.body {
        Body::Profile(change) => change.claims.as_ref(),
        _ => None,
    }
}

/// What a case holds, and what its commit needs to remember of the reading.
pub(crate) struct Token {
    holds: Arc<Holds>,
    keys: Vec<u64>,
    /// The customer as they were read; `None` for an event of nobody and for a new customer.
    pub hot: Option<Hot>,
    /// The checkpoint where a refold starts; `None` when it starts at the head.
    pub start: Option<Arc<Fold>>,
    /// The guest sale that is claimed.
    pub claimed: Option<i64>,
    /// Events that waited for the sale.
    pub waited: Vec<i64>,
    /// What a visitor did that becomes the customer's.
    pub visited: Vec<i64>,
    /// The second customer of an event about two, and what becomes of the rows of both.
    pub other: Option<(Box<Token>, Way)>,
    // Last, so that it is dropped last: the group may only close when the hold is gone.
    _work: Work,
}

impl Token {
    /// Takes keys that [`Holds::free_or_wait`] found free.
    pub fn take(holds: &Arc<Holds>, keys: Vec<u64>, work: Work) -> Token {
        holds.held.lock().extend(&keys);
        Token {
            holds: holds.clone(),
            keys,
            hot: None,
            start: None,
            claimed: None,
            waited: Vec::new(),
            visited: Vec::new(),
            other: None,
            _work: work,
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.holds.release(&self.keys);
    }
}
