//! The line on a store in memory and rules in plain Rust: tables, and an independent model of the
//! ledger's sums. The real store and real plugins are tested by the rooms that own them.

mod abuse;
mod acts;
mod admission;
mod allowances;
mod credit;
mod erasure;
mod exchanges;
mod fuzzed;
mod imports;
mod known_bugs;
mod ledger_model;
mod memory_store;
mod native_rules;
mod order_of_arrival;
mod redemptions;
mod referrals;
mod returns;
mod rules_changed;
mod steps;

use memory_store::MemoryStore;
use native_rules::NativeRules;
use serde_json::{Value, json};
use stampcard_pipeline::admit::{Arrival, Secret, Sender, SenderKind};
use stampcard_pipeline::calendar;
use stampcard_pipeline::event::{Instant, RulesChanged};
use stampcard_pipeline::line::{Context, preview, process};
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::shop::{Location, Shop, ShopFile};

/// A shop with its store and its rules.
pub struct Bench {
    pub shop: Shop,
    pub rules: NativeRules,
    pub store: MemoryStore,
    pub secret: Secret,
    /// The wall clock: far enough ahead of every event.
    pub now: Instant,
}

impl Bench {
    #[expect(clippy::new_without_default, reason = "a test names what it builds")]
    pub fn new() -> Bench {
        Bench::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut ShopFile)) -> Bench {
        let mut file = ShopFile {
            name: "Test".into(),
            currency: "USD".into(),
            time_zone: "America/New_York".into(),
            country: "US".into(),
            language: "en".into(),
            tiers: vec!["silver".into(), "gold".into()],
            tier: Default::default(),
            plugins: Vec::new(),
            policies: Default::default(),
            redemption: Default::default(),
            rewards: Vec::new(),
            referral: None,
            store_credit: None,
            edge: Default::default(),
            hooks: Vec::new(),
            caps: Default::default(),
            failures: Default::default(),
            profile: Default::default(),
            kinds: Default::default(),
            rates: Default::default(),
            delivery: None,
            tags: Vec::new(),
            reload: Default::default(),
            locations: ["soho", "pier"]
                .map(|id| Location {
                    id: id.into(),
                    name: id.to_uppercase(),
                    kind: String::new(),
                    country: None,
                    time_zone: None,
                    geo: None,
                    opened: None,
                    closed: None,
                    required: None,
                })
                .into(),
        };
        change(&mut file);
        Bench {
            shop: Shop::new(file).unwrap(),
            rules: NativeRules::new(),
            store: MemoryStore::default(),
            secret: Secret([7; 32]),
            now: calendar::parse("2030-01-01T00:00:00Z").unwrap(),
        }
    }

    fn context(&self) -> Context<'_> {
        *self.store.plugins.borrow_mut() = std::sync::Arc::new(self.rules.plugins.clone());
        Context {
            shop: &self.shop,
            rules: &self.rules,
            rule_book: 1,
            secret: &self.secret,
        }
    }

    /// As the operator does.
    pub fn tell(&self, event: &Value) -> Result<Outcome, Refusal> {
        self.tell_as(SenderKind::Operator, event)
    }

    /// As somebody whom people call Mia does.
    pub fn tell_as(&self, kind: SenderKind, event: &Value) -> Result<Outcome, Refusal> {
        let bytes = serde_json::to_vec(event).unwrap();
        process(
            &self.store,
            self.context(),
            &Arrival::Told(&bytes, &Sender::new(kind, "Mia")),
            self.now,
        )
        .map(|committed| committed.outcome)
    }

    pub fn preview(&self, event: &Value) -> Result<Outcome, Refusal> {
        let bytes = serde_json::to_vec(event).unwrap();
        preview(
            &self.store,
            self.context(),
            &Arrival::Told(&bytes, &Sender::operator("Mia")),
            self.now,
        )
    }

    /// Asks the only customer again because other rules are live.
    pub fn ask_again(&self, time: &str, change: RulesChanged) -> Outcome {
        let customer = self.store.inner.borrow().customers.keys().next().cloned();
        let customer = customer.unwrap();
        let at = calendar::parse(time).unwrap();
        let arrival = Arrival::RulesChanged {
            customer,
            at,
            change,
        };
        let committed = process(&self.store, self.context(), &arrival, self.now);
        committed.unwrap().outcome
    }

    /// Drives everything that is due by then, as the shop's clock does.
    pub fn clock(&self, until: Instant) {
        let mut before = None;
        while let Some((customer, at)) = self.store.next_due(until) {
            let due = Some((customer.clone(), at));
            assert_ne!(before, due, "what was due is done");
            before = due;
            process(
                &self.store,
                self.context(),
                &Arrival::Due { customer, at },
                self.now,
            )
            .unwrap();
        }
    }
}

pub fn event(id: &str, kind: &str, time: &str, data: Value) -> Value {
    json!({"specversion": "1.0", "source": "till-1", "id": id, "type": kind, "time": time, "data": data})
}

/// A sale of one line to somebody with this e-mail.
pub fn sale(id: &str, time: &str, email: &str, cents: i64) -> Value {
    event(
        id,
        "sale.completed",
        time,
        json!({
            "channel": "pos", "location": "soho", "currency": "USD", "customer": {"email": email},
            "lines": [{"sku": "A", "quantity": 1, "unit_price": cents}], "total": cents,
        }),
    )
}
