//! Bugs that others have shipped, by their numbers in `tests/bugs.toml`. Those that a story or another
//! test shows are only there.

use crate::native_rules::award;
use crate::{Bench, event, sale};
use serde_json::{Value, json};
use stampcard_pipeline::calendar;
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::rules::{Amount, Moment, PointAnswer};

const ANA: &str = "ana@example.com";

fn back(id: &str, currency: &str, amount: i64, lines: Value) -> Value {
    let data = json!({
        "sale": {"source": "till-1", "id": "s"}, "channel": "online", "currency": currency,
        "amount": amount, "lines": lines,
    });
    event(id, "return.completed", "2024-05-02T10:00:00Z", data)
}

/// odoo 150833, 177312: 6 points instead of 5.
#[test]
fn bug_3_a_line_that_is_a_discount_earns_less_than_nothing() {
    let bench = Bench::new();
    let mut told = sale("s", "2024-05-01T10:00:00Z", ANA, 500);
    told["data"]["lines"] = json!([
        {"sku": "MUG", "quantity": 1, "unit_price": 600},
        {"sku": "REWARD", "quantity": 1, "unit_price": -100},
    ]);
    assert_eq!(bench.tell(&told).unwrap().points[0].amount, 5);
    // The mug comes back for what was paid for it: nothing is left over, and nothing is taken twice.
    let mug = back(
        "r",
        "USD",
        500,
        json!([{"line": 1, "quantity": 1, "amount": 500}]),
    );
    assert_eq!(bench.tell(&mug).unwrap().customer.unwrap().balance, 0);
    let reward = back("q", "USD", 0, json!([{"line": 2, "quantity": 1}]));
    assert_eq!(bench.tell(&reward).unwrap().customer.unwrap().balance, 0);
}

/// woocommerce-payments 2848: yen taken for cents.
#[test]
fn bug_10_a_sale_in_another_currency_earns_and_loses_what_it_is_worth_in_the_shops() {
    let bench = Bench::with(|file| {
        // A dollar has 100 cents, and is worth 150 yen, which have none.
        file.rates.insert("JPY".into(), 666_667);
    });
    let mut told = sale("s", "2024-05-01T10:00:00Z", ANA, 15_000);
    told["data"]["currency"] = json!("JPY");
    assert_eq!(bench.tell(&told).unwrap().points[0].amount, 100);
    let half = back("r", "JPY", 7_500, json!([]));
    assert_eq!(bench.tell(&half).unwrap().points[0].amount, -50);
}

/// LoyaltyLion 1965601.
#[test]
fn bug_16_goods_that_all_came_back_are_a_whole_return_without_the_shipping() {
    for lines in [
        json!([]),
        json!([{"line": 1, "quantity": 1, "amount": 10_000}]),
    ] {
        let bench = Bench::new();
        let mut told = sale("s", "2024-05-01T10:00:00Z", ANA, 10_000);
        told["data"]["shipping"] = json!(900);
        told["data"]["total"] = json!(10_900);
        assert_eq!(bench.tell(&told).unwrap().points[0].amount, 109);
        let told = bench.tell(&back("r", "USD", 10_000, lines)).unwrap();
        assert_eq!(told.customer.unwrap().balance, 0);
    }
}

/// The ids in Shopify's documentation have 19 digits.
#[test]
fn bug_19_an_id_of_19_digits_is_kept_to_the_last_and_refused_as_a_number() {
    let bench = Bench::new();
    let id = "1234567890123456789";
    let mut told = sale(id, "2024-05-01T10:00:00Z", ANA, 1_000);
    told["data"]["order"] = json!({"system": "shopify", "id": id});
    bench.tell(&told).unwrap();
    let known = bench.store.inner.borrow().journal[0].0.clone();
    assert_eq!(
        (known.id.as_str(), known.business_key().unwrap().id.as_str()),
        (id, id)
    );
    told["id"] = json!("2");
    told["data"]["order"]["id"] = json!(1_234_567_890_123_456_789_i64);
    let refusal = bench.tell(&told).unwrap_err();
    assert_eq!(
        (refusal.code(), refusal.pointer()),
        ("malformed", "/data/order/id")
    );
}

#[test]
fn bug_21_points_that_are_pending_come_when_they_were_to_come_though_their_rule_is_gone() {
    let mut bench = Bench::new();
    bench.rules.points = Box::new(|event, _| {
        let mut pending = award(Amount::Base(100), "later");
        pending.available_from = Some(Moment::Days(14));
        Ok(PointAnswer {
            awards: event.sale().map(|_| pending).into_iter().collect(),
            ..PointAnswer::default()
        })
    });
    bench
        .tell(&sale("s", "2024-05-01T10:00:00Z", ANA, 1_000))
        .unwrap();
    bench.rules.plugins.retain(|plugin| plugin.name != "points");
    let available = |time: &str| {
        let at = calendar::parse(time).unwrap();
        bench.store.only_customer(|customer| {
            (
                customer.head.points.balance,
                customer.head.available(Currency::Points, at),
            )
        })
    };
    assert_eq!(available("2024-05-15T03:59:00Z"), (100, 0));
    assert_eq!(available("2024-05-16T10:00:00Z"), (100, 100));
    // Nor does anything that is decided again take them.
    bench
        .tell(&sale("late", "2024-04-30T10:00:00Z", ANA, 1_000))
        .unwrap();
    assert_eq!(available("2024-05-16T10:00:00Z"), (100, 100));
}
