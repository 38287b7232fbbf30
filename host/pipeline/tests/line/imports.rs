//! What came over from another programme, and baskets that are left.

use crate::{Bench, event, sale};
use serde_json::{Value, json};
use stampcard_pipeline::calendar;
use stampcard_pipeline::rules::{FollowUpAnswer, Placement, TierAnswer};
use std::sync::{Arc, Mutex};

const ANA: &str = "ana@example.com";

fn imported(data: Value) -> Value {
    let mut data = data;
    data["customer"] = json!({"email": ANA});
    data["reason"] = json!("from the old programme");
    event("i", "points.imported", "2024-05-01T10:00:00-04:00", data)
}

/// The tier that somebody with so much spend belongs in, and nothing else.
fn by_spend(bench: &mut Bench) {
    bench.rules.tier = Box::new(|_, input| {
        let spend = input.totals.lifetime.spend;
        let tier = match spend {
            100_000.. => Some("gold"),
            50_000.. => Some("silver"),
            _ => None,
        };
        Ok(TierAnswer {
            placement: Some(Placement {
                tier: tier.map(str::to_owned),
                reason: "spend".into(),
                keep_until: None,
            }),
            ..TierAnswer::default()
        })
    });
}

fn tier(bench: &Bench) -> Option<(String, String)> {
    bench.store.only_customer(|customer| {
        let held = customer.head.standing.as_ref();
        held.map(|held| (held.tier.clone(), calendar::text(held.since)))
    })
}

#[test]
fn a_balance_comes_over_with_its_ends_and_was_not_earned_here() {
    let bench = Bench::new();
    let lots = json!({"lots": [{"points": 300, "expires_at": "2024-06-01T00:00:00-04:00"}, {"points": 50}]});
    let told = bench.tell(&imported(lots)).unwrap();
    let amounts: Vec<i64> = told.points.iter().map(|entry| entry.amount).collect();
    assert_eq!(amounts, [300, 50]);
    assert!(told.follow_ups.is_empty());
    bench.clock(calendar::parse("2024-06-02T00:00:00Z").unwrap());
    bench.store.only_customer(|customer| {
        assert_eq!(
            (customer.head.points.balance, customer.head.earned),
            (50, 0)
        );
        assert_eq!(customer.head.origin, "import");
    });
}

#[test]
fn an_imported_tier_keeps_its_date_and_is_raised_but_not_taken_until_its_time_is_over() {
    let mut bench = Bench::new();
    by_spend(&mut bench);
    let held = json!({"tier": {"key": "silver", "since": "2023-06-01T00:00:00-04:00", "keep_until": "2025-01-01T00:00:00-05:00"}});
    bench.tell(&imported(held)).unwrap();
    let silver = Some(("silver".to_owned(), "2023-06-01T04:00:00Z".to_owned()));
    bench
        .tell(&sale("a", "2024-05-02T10:00:00-04:00", ANA, 1_000))
        .unwrap();
    assert_eq!(tier(&bench), silver, "not demoted by the first sale");
    bench
        .tell(&sale("b", "2024-05-03T10:00:00-04:00", ANA, 120_000))
        .unwrap();
    assert_eq!(tier(&bench).unwrap().0, "gold", "but raised");

    let mut bench = Bench::new();
    by_spend(&mut bench);
    let held = json!({"tier": {"key": "gold", "since": "2023-06-01T00:00:00-04:00", "keep_until": "2025-01-01T00:00:00-05:00"}});
    bench.tell(&imported(held)).unwrap();
    bench
        .tell(&sale("a", "2024-05-02T10:00:00-04:00", ANA, 60_000))
        .unwrap();
    assert_eq!(tier(&bench).unwrap().0, "gold");
    bench.clock(calendar::parse("2025-01-02T00:00:00Z").unwrap());
    assert_eq!(tier(&bench).unwrap().0, "silver", "then the rules decide");
}

#[test]
fn an_import_that_cannot_be_is_refused_by_name() {
    let bench = Bench::new();
    let tier = |key: &str, since: &str| json!({"tier": {"key": key, "since": since}});
    for (data, code, place) in [
        (json!({}), "malformed", "/data"),
        (
            json!({"points": 5, "lots": [{"points": 5}]}),
            "points-and-lots",
            "/data/lots",
        ),
        (
            json!({"lots": [{"points": 0}]}),
            "no-points",
            "/data/lots/0/points",
        ),
        (
            json!({"lots": [{"points": 5, "expires_at": "2024-01-01T00:00:00Z"}]}),
            "not-ahead",
            "/data/lots/0/expires_at",
        ),
        (
            tier("bronze", "2023-06-01T00:00:00Z"),
            "unknown-tier",
            "/data/tier/key",
        ),
        (
            tier("gold", "2024-06-01T00:00:00Z"),
            "not-yet",
            "/data/tier/since",
        ),
        (tier("gold", "yesterday"), "malformed", "/data/tier/since"),
    ] {
        let refusal = bench.tell(&imported(data.clone())).unwrap_err();
        assert_eq!((refusal.code(), refusal.pointer()), (code, place), "{data}");
    }
}

/// The kinds of events that the follow-up rule was asked about, and the data of baskets that were left.
fn asked(bench: &mut Bench) -> Arc<Mutex<Vec<String>>> {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = seen.clone();
    bench.rules.follow_ups = Box::new(move |event, _| {
        if event.kind == "checkout.abandoned" {
            told.lock().unwrap().push(calendar::text(event.at));
        }
        Ok(FollowUpAnswer::default())
    });
    seen
}

fn basket(id: &str, time: &str) -> Value {
    let mut told = sale(id, time, ANA, 4_000);
    told["type"] = json!("checkout.started");
    told
}

#[test]
fn a_basket_that_nobody_pays_for_is_left_once_and_a_sale_or_a_later_basket_keeps_it() {
    let patient = || {
        let mut bench = Bench::with(|file| file.policies.abandoned_after_minutes = 30);
        let seen = asked(&mut bench);
        (bench, seen)
    };
    let evening = calendar::parse("2024-05-01T20:00:00Z").unwrap();

    let (bench, seen) = patient();
    bench.tell(&basket("b", "2024-05-01T10:00:00Z")).unwrap();
    bench.clock(evening);
    assert_eq!(*seen.lock().unwrap(), ["2024-05-01T10:30:00Z"]);
    bench.clock(evening);
    assert_eq!(seen.lock().unwrap().len(), 1, "once");

    let (bench, seen) = patient();
    bench.tell(&basket("b", "2024-05-01T10:00:00Z")).unwrap();
    bench
        .tell(&sale("s", "2024-05-01T10:29:00Z", ANA, 4_000))
        .unwrap();
    bench.clock(evening);
    assert!(seen.lock().unwrap().is_empty(), "it was paid");

    let (bench, seen) = patient();
    bench.tell(&basket("b", "2024-05-01T10:00:00Z")).unwrap();
    bench.tell(&basket("c", "2024-05-01T10:20:00Z")).unwrap();
    bench.clock(evening);
    assert_eq!(
        *seen.lock().unwrap(),
        ["2024-05-01T10:50:00Z"],
        "it was still in use"
    );

    // The next event drives what came due before it, and a late sale takes it back.
    let (bench, seen) = patient();
    bench.tell(&basket("b", "2024-05-01T10:00:00Z")).unwrap();
    bench
        .tell(&sale("s", "2024-05-02T10:00:00Z", ANA, 4_000))
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), ["2024-05-01T10:30:00Z"]);
    bench
        .tell(&sale("late", "2024-05-01T10:10:00Z", ANA, 4_000))
        .unwrap();
    bench
        .store
        .only_customer(|customer| assert_eq!(customer.head.basket, None));
    assert_eq!(seen.lock().unwrap().len(), 1, "nobody was asked again");

    let (bench, seen) = patient();
    let mut bench = bench;
    bench.shop = Bench::new().shop;
    bench.tell(&basket("b", "2024-05-01T10:00:00Z")).unwrap();
    bench.clock(evening);
    assert!(
        seen.lock().unwrap().is_empty(),
        "a shop that leaves it to its web store"
    );
}
