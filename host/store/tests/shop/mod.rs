//! A small shop for the store's tests: real files, the real line, and rules in plain Rust.
#![allow(dead_code)]

use stampcard_pipeline::admit::{Arrival, Sender};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Event, Instant};
use stampcard_pipeline::line::{self, Context};
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::rules::*;
use stampcard_pipeline::shop::{Shop, ShopFile};
use stampcard_pipeline::store::{Committed, Store};
use stampcard_store::{Birth, NewRuleBook, Settings, SqliteStore};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;
/// 2024-05-01T12:00:00Z: the day on which the tests begin.
pub const MAY: i64 = 1_714_564_800_000;
/// The wall clock of the tests: long after everything.
pub const NOW: Instant = Instant(MAY + 400 * DAY);

/// One merchant on the disk.
pub struct TestShop {
    pub dir: TempDir,
    pub store: SqliteStore,
    pub shop: Shop,
    pub rules: TestRules,
    pub book: i64,
}

pub fn birth() -> Birth {
    Birth {
        secret: [7; 32],
        at: Instant(MAY),
    }
}

pub fn shop_file() -> ShopFile {
    serde_json::from_value(serde_json::json!({
        "name": "The Lamp Shop", "currency": "USD", "time_zone": "America/New_York", "country": "US",
        "tiers": ["silver", "gold"],
        "locations": [
            {"id": "downtown", "name": "Downtown"},
            {"id": "harbour", "name": "Harbour"}
        ]
    }))
    .unwrap()
}

impl TestShop {
    pub fn new() -> TestShop {
        TestShop::with(&Settings::default())
    }

    pub fn with(settings: &Settings) -> TestShop {
        let dir = tempfile::tempdir().unwrap();
        TestShop::at(dir, settings)
    }

    pub fn at(dir: TempDir, settings: &Settings) -> TestShop {
        let store = SqliteStore::open(&dir.path().join("shop.db"), &birth(), settings).unwrap();
        let rules = TestRules::new();
        let book = store
            .save_rule_book(
                &NewRuleBook::bare(rules.plugins(), &shop_file(), Instant(MAY)),
                None,
            )
            .unwrap()
            .number;
        TestShop {
            dir,
            store,
            shop: Shop::new(shop_file()).unwrap(),
            rules,
            book,
        }
    }

    /// Closes the file and opens it again.
    pub fn reopen(self) -> TestShop {
        let TestShop { dir, store, .. } = self;
        drop(store);
        TestShop::at(dir, &Settings::default())
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("shop.db")
    }

    pub fn context(&self) -> Context<'_> {
        Context {
            shop: &self.shop,
            rules: &self.rules,
            rule_book: self.book,
            secret: self.store.secret(),
        }
    }

    pub fn process(&self, event: &serde_json::Value) -> Result<Committed, Refusal> {
        self.process_on(&self.store, event)
    }

    pub fn process_on(
        &self,
        store: &impl Store,
        event: &serde_json::Value,
    ) -> Result<Committed, Refusal> {
        let bytes = serde_json::to_vec(event).unwrap();
        line::process(
            store,
            self.context(),
            &Arrival::Told(&bytes, &Sender::operator("till")),
            NOW,
        )
    }

    /// Sends an event and waits until it is on disk.
    pub fn send(&self, event: &serde_json::Value) -> Outcome {
        let committed = self
            .process(event)
            .unwrap_or_else(|refusal| panic!("{event}: {refusal}"));
        committed.durable.wait().unwrap();
        committed.outcome
    }

    /// The shop's clock reaches an instant at which something of a customer is due.
    pub fn tick(&self, customer: &str, at: i64) -> Outcome {
        let arrival = Arrival::Due {
            customer: CustomerId(customer.into()),
            at: Instant(at),
        };
        let committed = line::process(&self.store, self.context(), &arrival, NOW).unwrap();
        committed.durable.wait().unwrap();
        committed.outcome
    }

    /// A plain connection beside the store, to look with other eyes.
    pub fn eyes(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    pub fn count(&self, sql: &str) -> i64 {
        self.eyes().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// A sale at the till: `cents` for the customer with this card, at an instant.
/// What `stampcard check` looks at is as it should be.
pub fn no_difference(shop: &TestShop) {
    let differences = shop.store.reads().check(&mut |_| ()).unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
}

pub fn sale(id: &str, card: &str, at: i64, cents: i64) -> serde_json::Value {
    sale_of(id, serde_json::json!({"card": card}), at, cents)
}

pub fn sale_of(id: &str, customer: serde_json::Value, at: i64, cents: i64) -> serde_json::Value {
    serde_json::json!({
        "specversion": "1.0", "id": id, "source": "till-1", "type": "sale.completed", "time": time(at),
        "data": {
            "channel": "pos", "location": "downtown", "device": "till-1", "currency": "USD",
            "order": {"system": "pos", "id": id}, "customer": customer,
            "lines": [{"sku": "LAMP-40", "category": "lighting", "quantity": 1, "unit_price": cents}],
            "total": cents, "tenders": [{"kind": "card", "amount": cents}]
        }
    })
}

pub fn guest_sale(id: &str, at: i64, cents: i64) -> serde_json::Value {
    let mut sale = sale(id, "", at, cents);
    sale["data"].as_object_mut().unwrap().remove("customer");
    sale
}

pub fn event(kind: &str, id: &str, at: i64, data: serde_json::Value) -> serde_json::Value {
    serde_json::json!({
        "specversion": "1.0", "id": id, "source": "desk", "type": kind, "time": time(at), "data": data
    })
}

pub fn time(at: i64) -> String {
    stampcard_pipeline::calendar::text(Instant(at))
}

/// Four rules, as simple as they come, that touch everything a customer has.
pub struct TestRules {
    plugins: Vec<Plugin>,
}

const SEGMENTS: usize = 0;
const POINTS: usize = 1;
const TIERS: usize = 2;
const FOLLOW_UPS: usize = 3;

impl TestRules {
    pub fn new() -> TestRules {
        let plugin = |name: &str, role: Role| Plugin {
            quarantine: None,
            isolation: Default::default(),
            name: name.into(),
            version: "1.0.0".into(),
            digest: format!("sha256:{name}"),
            configuration: "sha256:none".into(),
            roles: vec![role],
            events: match role {
                Role::PointFormula => vec!["sale.completed".into(), "referral.signup".into()],
                _ => vec!["sale.completed".into()],
            },
            facts: vec!["location".into()],
            personal: Vec::new(),
            state_version: 1,
            segments: Vec::new(),
            tiers: Vec::new(),
            tags: Vec::new(),
            limits: Default::default(),
            campaigns: None,
            messages_to: None,
        };
        let owned = |keys: &[&str]| {
            keys.iter()
                .map(|key| (key.to_string(), format!("{key}, in a sentence")))
                .collect()
        };
        let mut plugins = vec![
            plugin("segments", Role::SegmentRule),
            plugin("points", Role::PointFormula),
            plugin("tiers", Role::TierRule),
            plugin("follow-ups", Role::FollowUpTrigger),
        ];
        plugins[SEGMENTS].segments = owned(&["big", "recent", "lapsed"]);
        plugins[SEGMENTS].tags = owned(&["spender"]);
        plugins[TIERS].tiers = owned(&["silver", "gold"]);
        TestRules { plugins }
    }
}

fn answered<A>(answer: A) -> Call<A> {
    Call {
        result: Ok(answer),
        usage: Usage {
            fuel: 5_120,
            fuel_limit: 20_000_000,
            memory_bytes: 65_536,
            micros: 18,
            instance: Default::default(),
        },
    }
}

impl Rules for TestRules {
    fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    /// `big` for ever after 500.00 in one sale, `recent` for 7 days after each sale, `lapsed` 30 days
    /// after the last one; the tag `spender` from 1,000.00 in all.
    fn segment_rule(&self, _: usize, event: &Arc<Event>, input: &Input) -> Call<SegmentAnswer> {
        let mut answer = SegmentAnswer::default();
        let mut member = |segment: &str, member: bool, until: Option<Moment>| {
            answer.memberships.push(MembershipChange {
                segment: segment.into(),
                member,
                reason: format!("{segment} after {} orders", input.totals.lifetime.orders),
                until,
            });
        };
        match event.sale() {
            Some(sale) => {
                if sale.total >= 50_000 {
                    member("big", true, None);
                }
                member("recent", true, Some(Moment::Days(7)));
                member("lapsed", false, None);
                if input.totals.lifetime.spend >= 100_000 {
                    answer.tags.push(TagSetting {
                        tag: "spender".into(),
                        set: true,
                    });
                }
                let visits = input.state.as_ref().map_or(0, |state| state[0]);
                answer.after.memory = Memory::Replace(vec![visits.wrapping_add(1)]);
                let review = Instant(event.at.0 + 30 * DAY);
                answer.after.next_review = NextReview::At(review);
            }
            None if input.review.contains(&ReviewCause::Asked) => {
                member("lapsed", true, None);
                answer.after.next_review = NextReview::Never;
            }
            None => {}
        }
        answered(answer)
    }

    /// 100 points for a friend who joins and 200 for whoever brought them, and 500 more for their first
    /// purchase. A point for each whole dollar, and ten more for those who are silver before the sale. It fails at
    /// the event "failing".
    fn point_formula(&self, _: usize, event: &Arc<Event>, input: &Input) -> Call<PointAnswer> {
        if event.id == "failing" {
            return Call {
                result: Err(Failure::Stack),
                usage: Usage::default(),
            };
        }
        let mut answer = PointAnswer::default();
        let mut award_to = |to: Recipient, amount: Amount, reason: &str| {
            answer.awards.push(Award {
                amount,
                to,
                covers: Coverage::Whole,
                reason: reason.into(),
                available_from: None,
                expires_at: None,
                on_return: OnReturn::Proportional,
                attributes: Vec::new(),
            });
        };
        if event.signup().is_some() {
            award_to(Recipient::Customer, Amount::Bonus(100), "welcome");
            award_to(Recipient::Referrer, Amount::Bonus(200), "a friend joined");
        }
        let is_referred = input.referral.as_ref().is_some_and(|it| it.by.is_some());
        if event.sale().is_some() && is_referred && input.totals.lifetime.orders == 1 {
            award_to(
                Recipient::Referrer,
                Amount::Bonus(500),
                "a friend's first purchase",
            );
        }
        let mut award = |amount, reason: &str| award_to(Recipient::Customer, amount, reason);
        if let Some(sale) = event.sale() {
            award(Amount::Base(sale.total / 100), "1 point per dollar");
            if input
                .customer
                .tier
                .as_ref()
                .is_some_and(|standing| standing.tier == "silver")
            {
                award(Amount::Bonus(10), "a thank-you to silver");
            }
        }
        answered(answer)
    }

    /// Silver at 500.00 and gold at 1,500.00 in 365 days.
    fn tier_rule(&self, _: usize, _: &Arc<Event>, input: &Input) -> Call<TierAnswer> {
        let spend = input.totals.windows[3].spend;
        let tier = match spend {
            150_000.. => Some("gold"),
            50_000.. => Some("silver"),
            _ => None,
        };
        let placement = Placement {
            tier: tier.map(str::to_owned),
            reason: format!("spend of {spend} in 365 days"),
            keep_until: None,
        };
        answered(TierAnswer {
            placement: Some(placement),
            ..TierAnswer::default()
        })
    }

    /// A thank-you a day later, which the next sale cancels, and one welcome in a lifetime.
    fn follow_up_trigger(&self, _: usize, event: &Arc<Event>, _: &Input) -> Call<FollowUpAnswer> {
        let mut answer = FollowUpAnswer::default();
        if event.sale().is_some() {
            let follow_up = |template: &str, key: String, cancelled_by: &[&str]| FollowUp {
                channel: "email".into(),
                template: template.into(),
                purpose: Purpose::Service,
                send_at: Some(Moment::Hours(24)),
                expires_at: None,
                data: vec![("order".into(), Value::Text(event.id.clone()))],
                dedupe_key: key,
                cancelled_by: cancelled_by.iter().map(|kind| kind.to_string()).collect(),
                offer: None,
                reason: "after a purchase".into(),
                attributes: Vec::new(),
            };
            answer.follow_ups.push(follow_up(
                "thank-you",
                format!("thanks/{}", event.id),
                &["sale.completed"],
            ));
            answer
                .follow_ups
                .push(follow_up("welcome", "welcome".into(), &[]));
            answer.receipt.push("Thank you".into());
        }
        answered(answer)
    }
}
