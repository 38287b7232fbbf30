//! Allowances: nobody spends the same points twice, whatever a till did while it was not connected.

use crate::{Bench, event, sale};
use serde_json::{Value, json};
use stampcard_pipeline::admit::Secret;
use stampcard_pipeline::allowance::Allowance;
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::{RedemptionState, ReviewItem};
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::shop::{Beyond, OfflinePolicy};

const ANA: &str = "ana@example.com";

fn bench(beyond: Beyond) -> Bench {
    let bench = Bench::with(|file| {
        file.redemption.offline = OfflinePolicy {
            points: 300,
            beyond,
            ..OfflinePolicy::default()
        };
    });
    let coat = sale("coat", "2024-05-01T10:00:00Z", ANA, 50_000);
    bench.tell(&coat).unwrap();
    bench
}

/// 300 of Ana's 500 points for a till, from ten o'clock until two: the text that it carries.
fn allowed(bench: &Bench) -> String {
    let told = event(
        "allowed",
        "redemption.allowed",
        "2024-05-02T10:00:00Z",
        json!({"customer": {"email": ANA}, "points": 300, "channel": "pos", "location": "soho"}),
    );
    let outcome = bench.tell(&told).unwrap();
    outcome.redemptions[0]
        .allowance
        .clone()
        .expect("an allowance")
}

fn given(id: &str, time: &str, allowance: &str, points: i64) -> Value {
    let data =
        json!({"allowance": allowance, "points": points, "channel": "pos", "location": "soho"});
    event(id, "redemption.offline", &format!("2024-05-{time}Z"), data)
}

fn code(refused: Result<Outcome, Refusal>) -> &'static str {
    match refused {
        Ok(outcome) => panic!("it was taken: {outcome:?}"),
        Err(refusal) => refusal.code(),
    }
}

/// The balance, what of it can be spent, and what is owed.
fn standing(bench: &Bench) -> (i64, i64, i64) {
    bench.store.only_customer(|customer| {
        let head = &customer.head;
        (
            head.points.balance,
            head.available(Currency::Points, head.clock),
            head.points.debt,
        )
    })
}

fn reserve(id: &str, time: &str, points: i64) -> Value {
    let data = json!({"customer": {"email": ANA}, "points": points, "channel": "online"});
    event(id, "redemption.reserved", &format!("2024-05-{time}Z"), data)
}

#[test]
fn what_an_allowance_holds_nobody_else_spends_and_what_is_not_used_of_it_is_free_again() {
    let bench = bench(Beyond::Refuse);
    let allowance = allowed(&bench);
    assert_eq!(standing(&bench), (500, 200, 0));
    let online = bench.tell(&reserve("web", "02T11:00:00", 201));
    assert_eq!(code(online), "insufficient-points");
    // Told a day after the till lost its connection; it counts when it happened.
    bench
        .tell(&sale("bag", "2024-05-02T13:00:00Z", ANA, 1_000))
        .unwrap();
    let told = bench
        .tell(&given("g", "02T12:00:00", &allowance, 120))
        .unwrap();
    let states: Vec<_> = told
        .redemptions
        .iter()
        .map(|it| (it.points, it.state))
        .collect();
    assert_eq!(
        states,
        [
            (300, RedemptionState::Cancelled),
            (120, RedemptionState::Confirmed)
        ]
    );
    assert_eq!(standing(&bench), (390, 390, 0));
    assert_eq!(bench.store.inner.borrow().review_items.len(), 0);
    // The same again, by the same till or by another one that has a copy of it.
    let again = bench.tell(&given("g-2", "02T12:30:00", &allowance, 100));
    assert_eq!(code(again), "redemption-closed");
    assert_eq!(standing(&bench), (390, 390, 0));
}

#[test]
fn an_allowance_that_was_forged_has_ended_or_is_another_shops_is_refused() {
    let bench = bench(Beyond::Debt);
    let good = allowed(&bench);
    let more = good.replace(".300.", ".900.");
    let secret = Secret([9; 32]);
    let until = calendar::parse("2024-05-02T14:00:00Z").unwrap();
    let foreign = Allowance::read(
        &good,
        &bench.secret,
        calendar::parse("2024-05-02T10:00:00Z").unwrap(),
    );
    let foreign = Allowance {
        until,
        ..foreign.unwrap()
    }
    .sign(&secret);
    for (id, time, allowance) in [
        ("more", "02T12:00:00", more.as_str()),
        ("foreign", "02T12:00:00", &foreign),
        ("ended", "02T14:00:00", &good),
        ("none", "02T12:00:00", "sca_"),
    ] {
        let refused = bench.tell(&given(id, time, allowance, 100));
        assert_eq!(code(refused), "bad-allowance", "{id}");
    }
    let mut both = given("both", "02T12:00:00", &good, 100);
    both["data"]["customer"] = json!({"email": "bo@example.com"});
    assert_eq!(code(bench.tell(&both)), "malformed");
    // By its id it opens nothing, as by the code that it has.
    let id = good.split('.').next().unwrap().trim_start_matches("sca_");
    let confirmed = event(
        "c",
        "redemption.confirmed",
        "2024-05-02T12:00:00Z",
        json!({"redemption": id}),
    );
    assert_eq!(code(bench.tell(&confirmed)), "an-allowance");
    assert_eq!(standing(&bench), (500, 200, 0), "nothing happened");
    let cancelled = event(
        "d",
        "redemption.cancelled",
        "2024-05-02T12:00:00Z",
        json!({"redemption": id}),
    );
    bench.tell(&cancelled).unwrap();
    assert_eq!(standing(&bench), (500, 500, 0), "the till gave it back");
}

#[test]
fn what_goes_beyond_is_refused_or_owed_and_looked_at_as_the_shop_says() {
    let strict = bench(Beyond::Refuse);
    let allowance = allowed(&strict);
    let more = strict.tell(&given("g", "02T12:00:00", &allowance, 301));
    assert_eq!(code(more), "beyond-the-allowance");
    let without =
        json!({"customer": {"email": ANA}, "points": 10, "channel": "pos", "location": "soho"});
    let without = event("w", "redemption.offline", "2024-05-02T11:20:00Z", without);
    assert_eq!(code(strict.tell(&without)), "allowance-required");
    assert_eq!(standing(&strict), (500, 200, 0));

    let lenient = bench(Beyond::Debt);
    let allowance = allowed(&lenient);
    lenient.tell(&reserve("web", "02T11:00:00", 150)).unwrap();
    // 300 are set aside for it, 50 are free, and 70 more were given.
    let told = lenient
        .tell(&given("g", "02T11:10:00", &allowance, 420))
        .unwrap();
    assert_eq!(told.points.iter().map(|it| it.amount).sum::<i64>(), -350);
    assert_eq!(standing(&lenient), (150, 0, 70));
    // The allowance was used; all of the next one is beyond.
    lenient
        .tell(&given("g-2", "02T11:15:00", &allowance, 30))
        .unwrap();
    assert_eq!(standing(&lenient), (150, 0, 100));
    lenient.tell(&without).unwrap();
    assert_eq!(standing(&lenient), (150, 0, 110));
    let beyond: Vec<(i64, i64)> = lenient
        .store
        .inner
        .borrow()
        .review_items
        .iter()
        .filter_map(|item| match item {
            ReviewItem::RedeemedBeyond { points, debt, .. } => Some((*points, *debt)),
            _ => None,
        })
        .collect();
    assert_eq!(beyond, [(120, 70), (30, 30), (10, 10)]);
    // What is owed is paid with the next points.
    lenient
        .tell(&sale("bag", "2024-05-03T10:00:00Z", ANA, 20_000))
        .unwrap();
    let (balance, _, debt) = standing(&lenient);
    assert_eq!((balance, debt), (150 + 200 - 110, 0));
}

#[test]
fn a_till_that_comes_back_after_days_is_heard_and_what_was_spent_meanwhile_is_never_silent() {
    let bench = bench(Beyond::Debt);
    let allowance = allowed(&bench);
    let hours = |days: i64| calendar::parse(&format!("2024-05-{days:02}T10:00:00Z")).unwrap();
    bench.clock(hours(5));
    assert_eq!(standing(&bench), (500, 200, 0), "three days after it ended");
    bench.clock(hours(6));
    assert_eq!(standing(&bench), (500, 500, 0), "nobody came in time");
    let all = json!({"customer": {"email": ANA}, "points": -450, "reason": "booked twice"});
    let all = event("all", "points.adjusted", "2024-05-06T11:00:00Z", all);
    bench.tell(&all).unwrap();
    bench
        .tell(&given("g", "02T12:00:00", &allowance, 300))
        .unwrap();
    assert_eq!(standing(&bench), (-250, -250, 0));
    let told = format!("{:?}", bench.store.inner.borrow().review_items);
    assert!(
        told.contains("RedeemedTooMuch") && told.contains("points: 250"),
        "{told}"
    );
}

#[test]
fn points_that_were_given_offline_come_back_with_their_goods() {
    let bench = bench(Beyond::Refuse);
    let allowance = allowed(&bench);
    let mut told = given("g", "02T12:00:00", &allowance, 200);
    told["data"]["sale"] = json!({"source": "till-1", "id": "bag"});
    let back = json!({"sale": {"source": "till-1", "id": "bag"}, "channel": "online", "currency": "USD", "amount": 1_000});
    let back = event("back", "return.completed", "2024-05-03T10:00:00Z", back);
    let bag = sale("bag", "2024-05-02T11:59:59Z", ANA, 1_000);
    for told in [&back, &told, &bag] {
        bench.tell(told).unwrap();
    }
    assert_eq!(standing(&bench), (500, 500, 0));
}
