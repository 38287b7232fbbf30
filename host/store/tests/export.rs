//! Exports: stable, as of a day, and the same for every order of arrival.

mod shop;

use serde_json::{Value, json};
use shop::*;
use stampcard_pipeline::event::Instant;
use stampcard_store::export::View;

fn lines(bytes: Vec<u8>) -> Vec<Value> {
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn customers(shop: &TestShop, view: View) -> Vec<u8> {
    let mut bytes = Vec::new();
    shop.store
        .reads()
        .export_customers(view, &mut bytes)
        .unwrap();
    bytes
}

fn ledger(shop: &TestShop, view: View) -> Vec<u8> {
    let mut bytes = Vec::new();
    shop.store.reads().export_ledger(view, &mut bytes).unwrap();
    bytes
}

fn events(shop: &TestShop, view: View) -> Vec<u8> {
    let mut bytes = Vec::new();
    shop.store.reads().export_events(view, &mut bytes).unwrap();
    bytes
}

const CANONICAL: View = View {
    as_of: None,
    canonical: true,
};

/// A month of three customers and some passers-by, in the order in which it happened.
fn month() -> Vec<Value> {
    let mut month = Vec::new();
    // Within the late window: what comes later than that is decided without what was known before.
    for day in 0..28i64 {
        let at = MAY + day * DAY;
        month.push(sale(
            &format!("a-{day:02}"),
            "A",
            at + HOUR,
            1_500 + day * 100,
        ));
        if day % 3 == 0 {
            month.push(sale_of(
                &format!("b-{day:02}"),
                json!({"card": "B", "email": "b@example.com"}),
                at,
                15_000,
            ));
        }
        if day == 5 {
            month.push(sale(&format!("c-{day:02}"), "C", at, 70_000));
        }
        if day % 7 == 0 {
            month.push(guest_sale(&format!("g-{day:02}"), at, 999));
        }
    }
    month.push(event(
        "tag.added",
        "t-1",
        MAY + 9 * DAY,
        json!({"customer": {"card": "A"}, "tag": "friend"}),
    ));
    month.push(event(
        "consent.changed",
        "k-1",
        MAY + 12 * DAY,
        json!({"customer": {"card": "B"}, "purpose": "email", "granted": true}),
    ));
    month
}

/// Sends the events in this order and then lets everything fall due up to the end.
fn shop_after(order: &[Value]) -> TestShop {
    let shop = TestShop::new();
    for event in order {
        shop.send(event);
    }
    let end = MAY + 80 * DAY;
    for _ in 0..10 {
        for (customer, _) in shop.store.reads().due_customers(Instant(end), 100).unwrap() {
            shop.tick(&customer.0, end);
        }
    }
    assert_eq!(
        shop.store.reads().due_customers(Instant(end), 100).unwrap(),
        []
    );
    shop
}

fn shuffled(mut events: Vec<Value>, seed: u64) -> Vec<Value> {
    let mut state = seed * 2 + 1;
    for end in (1..events.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        events.swap(end, (state >> 33) as usize % (end + 1));
    }
    events
}

/// The first field that differs: whole lines are too long to be read.
fn first_difference(expected: Vec<Value>, found: Vec<Value>) -> String {
    for (number, (expected, found)) in expected.iter().zip(&found).enumerate() {
        let fields = expected.as_object().unwrap();
        if let Some((field, value)) = fields
            .iter()
            .find(|(field, value)| found.get(field) != Some(value))
        {
            let found = found.get(field).map(Value::to_string);
            return format!(
                "line {number}, {field}:\nexpected {value}\nfound    {}",
                found.unwrap_or_default()
            );
        }
    }
    format!("{} lines expected, {} found", expected.len(), found.len())
}

#[test]
fn any_order_of_arrival_exports_the_same_bytes() {
    let in_order = shop_after(&month());
    let expected = [
        customers(&in_order, CANONICAL),
        ledger(&in_order, CANONICAL),
        events(&in_order, CANONICAL),
    ];
    assert!(expected.iter().all(|export| !export.is_empty()));
    for seed in 1..=6 {
        let shop = shop_after(&shuffled(month(), seed));
        let differences = shop.store.reads().check(&mut |_| ()).unwrap();
        assert!(differences.is_empty(), "seed {seed}: {differences:#?}");
        for (name, (expected, found)) in
            ["customers", "ledger", "events"]
                .into_iter()
                .zip(expected.iter().zip([
                    customers(&shop, CANONICAL),
                    ledger(&shop, CANONICAL),
                    events(&shop, CANONICAL),
                ]))
        {
            if *expected != found {
                panic!(
                    "seed {seed}, {name}: {}",
                    first_difference(lines(expected.clone()), lines(found))
                );
            }
        }
    }
}

#[test]
fn a_customer_has_what_scripts_lean_on() {
    let shop = shop_after(&month());
    let all = lines(customers(&shop, View::default()));
    assert_eq!(all.len(), 3);
    let mut ids: Vec<&str> = all
        .iter()
        .map(|line| line["id"].as_str().unwrap())
        .collect();
    assert!(ids.is_sorted());
    ids.dedup();
    assert_eq!(ids.len(), 3);
    let b = all
        .iter()
        .find(|line| line["identities"][0]["value"] == "B")
        .unwrap();
    assert_eq!(
        b["identities"],
        json!([{"kind": "card", "value": "B"}, {"kind": "email", "value": "b@example.com"}])
    );
    assert_eq!(
        (&b["orders"], &b["spend"]),
        (&json!(10), &json!(10 * 15_000))
    );
    assert_eq!(b["tier"], "gold");
    assert_eq!(b["segments"], json!(["lapsed"]));
    assert_eq!(b["earned_by_channel"]["pos"], b["balance"]);
    let a = all
        .iter()
        .find(|line| line["identities"][0]["value"] == "A")
        .unwrap();
    assert_eq!(a["tags"], json!(["friend"]));
}

#[test]
fn as_of_a_day_shows_what_had_happened_by_then_however_late_it_arrived() {
    let shop = shop_after(&shuffled(month(), 3));
    let as_of = |day: i64| View {
        as_of: Some(Instant(MAY + day * DAY + 2 * HOUR)),
        canonical: false,
    };
    let at = |day: i64, card: &str| {
        lines(customers(&shop, as_of(day)))
            .into_iter()
            .find(|line| line["identities"][0]["value"] == card)
    };
    assert!(at(4, "C").is_none(), "C came on day 5");
    let b = at(6, "B").unwrap();
    assert_eq!(
        (&b["orders"], &b["spend"], &b["balance"]),
        (&json!(3), &json!(45_000), &json!(450))
    );
    assert_eq!(b["tier"], Value::Null);
    let b = at(9, "B").unwrap();
    assert_eq!(
        (&b["orders"], &b["tier"], &b["balance"]),
        (&json!(4), &json!("silver"), &json!(600))
    );
    let c = at(5, "C").unwrap();
    assert_eq!(
        (&c["tier"], &c["segments"]),
        (&json!("silver"), &json!(["big", "recent"]))
    );
    let c = at(13, "C").unwrap();
    assert_eq!(c["segments"], json!(["big"]));
    let c = at(40, "C").unwrap();
    assert_eq!(c["segments"], json!(["big", "lapsed"]));
    let entries = lines(ledger(&shop, as_of(6)));
    assert!(
        entries
            .iter()
            .all(|entry| entry["at"].as_str().unwrap() <= "2024-05-07T14:00:00Z")
    );
    assert_eq!(
        entries
            .iter()
            .filter(|entry| entry["customer"] == at(6, "B").unwrap()["id"])
            .count(),
        3,
    );
    assert!(lines(events(&shop, as_of(6))).len() < month().len());
}

#[test]
fn a_ledger_line_names_the_plugin_and_both_events() {
    let shop = TestShop::new();
    shop.send(&sale("1", "A", MAY, 60_000));
    shop.send(&sale("3", "A", MAY + 2 * DAY, 1_000));
    shop.send(&sale("0", "A", MAY - DAY, 60_000));
    let lines = lines(ledger(&shop, View::default()));
    let numbers: Vec<i64> = lines
        .iter()
        .map(|line| line["entry"].as_i64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());
    let correction = lines
        .iter()
        .find(|line| line["kind"] == "correction")
        .expect("sale 1 is silver now");
    assert_eq!(correction["event"]["id"], "1");
    assert_eq!(correction["caused_by"]["id"], "0");
    for (field, value) in [
        ("plugin", "points"),
        ("version", "1.0.0"),
        ("digest", "sha256:points"),
        ("channel", "pos"),
    ] {
        assert_eq!(lines[0][field], value);
    }
}
