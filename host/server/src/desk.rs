//! The desk: what every lane decides with. The store, the rules that are live, and the figures.

use crate::failing::Failing;
use crate::figures::Figures;
use arc_swap::ArcSwap;
use stampcard_pipeline::line::Context;
use stampcard_pipeline::shop::Shop;
use stampcard_runtime::RuleBook;
use stampcard_store::SqliteStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// What events are decided with. It is swapped whole, between two events: what is in flight ends
/// on the one that it began with.
pub struct Live {
    pub shop: Shop,
    pub book: Arc<RuleBook>,
    /// The number under which the store keeps this rule book.
    pub number: i64,
}

impl Live {
    pub fn context<'a>(&'a self, store: &'a SqliteStore) -> Context<'a> {
        Context {
            shop: &self.shop,
            rules: &*self.book,
            rule_book: self.number,
            secret: store.secret(),
        }
    }
}

pub struct Desk {
    pub store: SqliteStore,
    pub figures: Figures,
    /// What decides about a quarantine.
    pub failing: Failing,
    /// Customers may still have to be asked about new rules. It saves a look into the database.
    pub round_is_open: AtomicBool,
    /// Told whenever an answer became durable; who listens looks at the journal.
    pub bell: Arc<watch::Sender<()>>,
    live: ArcSwap<Live>,
}

impl Desk {
    pub fn new(store: SqliteStore, live: Live) -> Desk {
        Desk {
            store,
            figures: Figures::default(),
            failing: Failing::default(),
            round_is_open: AtomicBool::new(true),
            bell: Arc::new(watch::Sender::new(())),
            live: ArcSwap::from_pointee(live),
        }
    }

    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    pub fn swap(&self, live: Live) {
        self.live.store(Arc::new(live));
        self.round_is_open.store(true, Ordering::Release);
    }
}
