//! The honest promise: any order of arrival ends the same. And the independent model: plain sums
//! over plain events, which know nothing of folds.

use crate::memory_store::Customer;
use crate::{Bench, event, sale};
use proptest::prelude::*;
use serde_json::{Value, json};
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::TakingKind;
use stampcard_pipeline::currency::{ByCurrency, Currency};
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::fold::DAY_MS;
use stampcard_pipeline::shop::{ShopFile, TagRule};
use std::collections::BTreeMap;

/// What must not depend on the order of arrival.
#[derive(Debug, PartialEq)]
pub struct Ends {
    fold: stampcard_pipeline::fold::Fold,
    history: Vec<String>,
    lots: BTreeMap<String, (i64, i64)>,
    takings: BTreeMap<String, (i64, i64, i64)>,
    memberships: Vec<String>,
    follow_ups: Vec<String>,
}

pub fn ends(customer: &Customer) -> Ends {
    Ends {
        fold: customer.head.clone(),
        history: customer
            .history
            .iter()
            .map(|(position, (_, moved))| format!("{position:?} {moved:?}"))
            .collect(),
        lots: customer
            .lots
            .iter()
            .filter(|(_, (_, earned))| *earned != 0)
            .map(|(key, (id, earned))| {
                let left = earned - paid_by(customer, *id);
                (format!("{key:?}"), (*earned, left))
            })
            .collect(),
        takings: customer
            .takings
            .iter()
            .filter(|(_, taken)| taken.points != 0 || taken.debt != 0)
            .map(|(id, taken)| {
                let lot = customer
                    .lots
                    .iter()
                    .find(|(_, (id, _))| Some(*id) == taken.lot);
                let what = (&taken.step, taken.kind, lot.map(|(key, _)| key));
                let paid = customer.paid.iter().filter(|paid| paid.taking == *id);
                let paid = paid.map(|paid| paid.points).sum();
                (format!("{what:?}"), (taken.points, taken.debt, paid))
            })
            .collect(),
        memberships: customer
            .memberships
            .iter()
            .map(|row| format!("{row:?}"))
            .collect(),
        follow_ups: customer
            .follow_ups
            .iter()
            .map(|row| {
                format!(
                    "{} {} {} {:?}",
                    row.number, row.dedupe_key, row.send_at.0, row.state
                )
            })
            .collect(),
    }
}

fn paid_by(customer: &Customer, lot: i64) -> i64 {
    let paid = customer.paid.iter().filter(|paid| paid.lot == lot);
    paid.map(|paid| paid.points).sum()
}

/// What must hold of a ledger whatever happened.
pub fn check_lots(customer: &Customer) -> Result<(), TestCaseError> {
    let mut held: ByCurrency<i64> = ByCurrency::default();
    let mut owed = held;
    for (key, (id, earned)) in &customer.lots {
        let left = earned - paid_by(customer, *id);
        prop_assert!(left >= 0, "{left} of {earned} are left of {key:?}");
        held[key.currency] += left;
    }
    for (id, taken) in &customer.takings {
        let paid = customer.paid.iter().filter(|paid| paid.taking == *id);
        let paid: i64 = paid.map(|paid| paid.points).sum();
        prop_assert!(paid <= taken.points, "{paid} points paid for {taken:?}");
        owed[taken.currency] += taken.points - paid;
    }
    for currency in Currency::ALL {
        let account = customer.head.account(currency);
        prop_assert_eq!(owed[currency], account.owed);
        prop_assert_eq!(held[currency] - owed[currency], account.balance);
    }
    Ok(())
}

/// What a bookkeeper would say: points of each sale by how many orders came before it.
fn model(sales: &[(i64, i64)]) -> i64 {
    let mut sorted = sales.to_vec();
    // Events of one instant are in the order of their ids, which is the order of this list.
    sorted.sort_by_key(|(hour, _)| *hour);
    sorted
        .iter()
        .enumerate()
        .map(|(index, (_, cents))| cents / 100 + if index >= 2 { cents / 100 / 2 } else { 0 })
        .sum()
}

/// What staff does in a random history: something at an hour, with a number to vary it.
fn act(index: usize, hour: i64, what: u8, number: i64) -> Value {
    let start = calendar::parse("2024-01-01T00:00:00Z").unwrap().0;
    let at = |hours: i64| calendar::text(Instant(start + (hour + hours) * 3_600_000));
    let tier = ["silver", "gold"][(number % 2) as usize];
    let (kind, data) = match what {
        0 => ("points.adjusted", json!({"points": number})),
        1 => ("points.adjusted", json!({"points": -number})),
        2 => (
            "points.adjusted",
            json!({"points": number, "expires_at": at(number)}),
        ),
        3 => (
            "tier.overridden",
            json!({"tier": tier, "until": at(number)}),
        ),
        4 => ("tier.overridden", json!({"tier": tier})),
        5 => ("tier.overridden", json!({"tier": null})),
        6 => ("tag.added", json!({"tag": "spring"})),
        7 => ("tag.added", json!({"tag": "loud", "until": at(number)})),
        8 => (
            "tag.removed",
            json!({"tag": if number % 2 == 0 { "spring" } else { "loud" }}),
        ),
        9 => ("note.added", json!({"note": "Prefers linen."})),
        _ => ("customer.updated", json!({"fields": {"boot_size": number}})),
    };
    let mut told = event(&format!("a{index:02}"), kind, &at(0), data);
    told["data"]["customer"] = json!({"email": "ana@example.com"});
    if kind.starts_with("points") || kind.starts_with("tier") {
        told["data"]["reason"] = json!("because");
    }
    told
}

/// A shop that lets staff do all that, however late it is heard of.
fn patient(file: &mut ShopFile) {
    file.policies.late_window_days = 1_000;
    file.policies.adjust_below_zero = true;
    file.tags = vec![TagRule {
        key: "spring".into(),
        means: "Came for the spring collection.".into(),
        set_by: Vec::new(),
        synonyms: Vec::new(),
        expires_after_days: Some(20),
    }];
    file.profile.fields = vec![
        serde_json::from_value(json!({"key": "boot_size", "type": "number", "purpose": "Boots."}))
            .unwrap(),
    ];
}

/// How many random histories are tried: enough for the gate, more in the soak.
fn orders_tried() -> u32 {
    std::env::var("STAMPCARD_ORDERS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(150)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: orders_tried(), failure_persistence: None, max_shrink_iters: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_arrival_ends_the_same(
        sales in prop::collection::vec((0i64..420 * 24, 0i64..30_000), 1..40),
        acts in prop::collection::vec((0i64..420 * 24, 0u8..11, 1i64..900), 0..16),
        shuffle in prop::collection::vec(any::<u32>(), 56),
        clocks in prop::collection::vec(prop::option::weighted(0.2, 0i64..420 * 24), 56),
    ) {
        let start = calendar::parse("2024-01-01T00:00:00Z").unwrap().0;
        let mut events: Vec<_> = sales.iter().enumerate().map(|(index, (hour, cents))| {
            sale(&format!("s{index:02}"), &calendar::text(Instant(start + hour * 3_600_000)), "ana@example.com", *cents)
        }).collect();
        events.extend(acts.iter().enumerate().map(|(index, (hour, what, number))| act(index, *hour, *what, *number)));
        let given: i64 = acts.iter().map(|(_, what, number)| match what {
            0 | 2 => *number,
            1 => -*number,
            _ => 0,
        }).sum();
        // Somebody must be there for staff to do something to.
        let created = event("0", "customer.created", "2023-12-31T00:00:00Z", json!({"customer": {"email": "ana@example.com"}}));
        let patient = || {
            let bench = Bench::with(patient);
            bench.tell(&created).unwrap();
            bench
        };
        let end = Instant(start + 500 * DAY_MS);

        let in_order = patient();
        let mut sorted: Vec<usize> = (0..events.len()).collect();
        sorted.sort_by_key(|index| {
            let told = &events[*index];
            (told["time"].as_str().unwrap().to_owned(), told["id"].as_str().unwrap().to_owned())
        });
        for index in sorted {
            in_order.tell(&events[index]).unwrap();
        }
        in_order.clock(end);

        let shuffled = patient();
        let mut order: Vec<usize> = (0..events.len()).collect();
        order.sort_by_key(|index| shuffle[*index]);
        for (turn, index) in order.into_iter().enumerate() {
            shuffled.tell(&events[index]).unwrap();
            if let Some(hour) = clocks[turn] {
                shuffled.clock(Instant(start + hour * 3_600_000));
            }
        }
        shuffled.clock(end);

        prop_assert_eq!(in_order.store.only_customer(ends), shuffled.store.only_customer(ends));
        for bench in [&in_order, &shuffled] {
            let inner = bench.store.inner.borrow();
            let mut balance = 0;
            for entry in &inner.entries {
                balance += entry.amount;
                prop_assert_eq!(balance, entry.balance_after);
            }
            drop(inner);
            let expired: i64 = bench.store.only_customer(|customer| {
                let expiries = customer.takings.values().filter(|it| it.kind == TakingKind::Expiry);
                expiries.map(|taken| taken.points).sum()
            });
            prop_assert_eq!(balance, model(&sales) + given - expired);
            bench.store.only_customer(check_lots)?;
        }
    }
}

#[test]
fn a_late_sale_corrects_what_came_after_it_and_says_so() {
    let bench = Bench::new();
    for (id, day) in [("a", "01"), ("b", "03"), ("d", "07")] {
        bench
            .tell(&sale(
                id,
                &format!("2024-05-{day}T10:00:00Z"),
                "ana@example.com",
                1_000,
            ))
            .unwrap();
    }
    let late = bench
        .tell(&sale("c", "2024-05-05T10:00:00Z", "ana@example.com", 2_000))
        .unwrap();
    let amounts: Vec<(i64, String)> = late
        .points
        .iter()
        .map(|entry| (entry.amount, entry.kind.name().to_owned()))
        .collect();
    // The third order in time is now c: it earns the regulars' half, and d keeps its own.
    assert_eq!(amounts, [(20, "base".into()), (10, "bonus".into())]);
    assert_eq!(late.customer.unwrap().balance, 10 + 10 + 10 + 5 + 20 + 10);
}

#[test]
fn beyond_the_late_window_an_event_is_decided_alone_and_leaves_a_review_item() {
    let bench = Bench::new();
    for (id, day) in [("a", "01"), ("b", "03")] {
        bench
            .tell(&sale(
                id,
                &format!("2024-05-{day}T10:00:00Z"),
                "ana@example.com",
                1_000,
            ))
            .unwrap();
    }
    bench
        .tell(&sale("d", "2024-08-01T10:00:00Z", "ana@example.com", 1_000))
        .unwrap();
    let before = bench.store.inner.borrow().entries.len();
    let late = bench
        .tell(&sale("c", "2024-05-04T10:00:00Z", "ana@example.com", 2_000))
        .unwrap();
    // c is the third order: it earns its own half, and d, now the fourth, is left alone.
    assert_eq!(
        late.points.iter().map(|entry| entry.amount).sum::<i64>(),
        30
    );
    assert_eq!(bench.store.inner.borrow().entries.len(), before + 2);
    bench
        .store
        .only_customer(|customer| assert_eq!(customer.head.totals.lifetime.spend, 5_000));
}
