//! Redemptions whose tills' clocks disagree, and what a refold makes of them.

use crate::{Bench, event, sale};
use serde_json::{Value, json};
use stampcard_pipeline::change::RedemptionState;
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::outcome::Outcome;

const ANA: &str = "ana@example.com";

/// 100 points, and 40 of them set aside at ten o'clock.
fn reserved() -> (Bench, Outcome) {
    let bench = Bench::new();
    bench
        .tell(&sale("coat", "2024-05-01T10:00:00Z", ANA, 10_000))
        .unwrap();
    let told = bench
        .tell(&event(
            "asked",
            "redemption.reserved",
            "2024-05-02T10:00:00Z",
            json!({"customer": {"email": ANA}, "points": 40, "channel": "online"}),
        ))
        .unwrap();
    (bench, told)
}

fn with_code(id: &str, time: &str, code: &str) -> Value {
    let mut told = sale(id, time, ANA, 960);
    told["data"]["lines"] = json!([{"sku": "A", "amount": 1_000}]);
    told["data"]["discounts"] = json!([{"code": code, "amount": 40}]);
    told
}

fn state(bench: &Bench) -> RedemptionState {
    let inner = bench.store.inner.borrow();
    inner.redemptions.values().next().unwrap().1.state
}

fn balance(bench: &Bench) -> (i64, i64) {
    bench.store.only_customer(|customer| {
        let head = &customer.head;
        (
            head.points.balance,
            head.available(Currency::Points, head.clock),
        )
    })
}

#[test]
fn a_till_whose_clock_is_behind_confirms_what_was_set_aside_a_moment_ago() {
    let (bench, asked) = reserved();
    let id = &asked.redemptions[0].id;
    let used = bench
        .tell(&event(
            "used",
            "redemption.confirmed",
            "2024-05-02T09:58:00Z",
            json!({"redemption": id}),
        ))
        .unwrap();
    assert_eq!(used.redemptions[0].state, RedemptionState::Confirmed);
    assert_eq!(balance(&bench), (60, 60));
}

#[test]
fn a_sale_whose_clock_is_behind_uses_the_code_that_it_carries_whatever_arrives_late() {
    let (bench, asked) = reserved();
    let code = asked.redemptions[0].code.clone();
    bench
        .tell(&with_code("bag", "2024-05-02T09:58:00Z", &code))
        .unwrap();
    assert_eq!(state(&bench), RedemptionState::Confirmed);
    assert_eq!(balance(&bench), (69, 69));
    // A sale between the two begins the refold after the one that had the code.
    for (id, time) in [
        ("late", "2024-05-02T09:59:00Z"),
        ("later", "2024-05-01T09:00:00Z"),
    ] {
        bench.tell(&sale(id, time, ANA, 1_000)).unwrap();
        assert_eq!(state(&bench), RedemptionState::Confirmed, "{id}");
    }
    let inner = bench.store.inner.borrow();
    let taken = inner.entries.iter().map(|entry| entry.amount);
    let taken: Vec<i64> = taken.filter(|amount| *amount < 0).collect();
    assert_eq!(taken, [-40], "once, and nothing of it is corrected");
}

#[test]
fn a_code_that_was_used_long_before_is_another_one() {
    let (bench, asked) = reserved();
    let code = asked.redemptions[0].code.clone();
    bench
        .tell(&with_code("bag", "2024-05-02T09:50:00Z", &code))
        .unwrap();
    assert_eq!(state(&bench), RedemptionState::Reserved);
    assert_eq!(balance(&bench), (109, 69));
}

#[test]
fn a_till_that_was_offline_uses_a_code_in_its_time_and_what_was_spent_meanwhile_is_for_a_person_to_see()
 {
    let (bench, asked) = reserved();
    let code = asked.redemptions[0].code.clone();
    // Nobody said anything for half an hour, and staff takes what there is.
    let taken = json!({"customer": {"email": ANA}, "points": -100, "reason": "booked twice"});
    bench
        .tell(&event(
            "taken",
            "points.adjusted",
            "2024-05-02T12:00:00Z",
            taken,
        ))
        .unwrap();
    assert_eq!(state(&bench), RedemptionState::TimedOut);
    bench
        .tell(&with_code("bag", "2024-05-02T10:10:00Z", &code))
        .unwrap();
    assert_eq!(state(&bench), RedemptionState::Confirmed);
    assert_eq!(balance(&bench), (-31, -31));
    let inner = bench.store.inner.borrow();
    let told = format!("{:?}", inner.review_items);
    assert!(told.contains("RedeemedTooMuch"), "{told}");
    assert!(told.contains("points: 31"), "{told}");
}
