//! Store credit: how it comes in, how it goes out, and what is refused.

use crate::{Bench, event, sale};
use serde_json::{Value, json};
use stampcard_pipeline::change::RedemptionState;
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::shop::{CreditPolicy, OfReturns, ShopFile, Span};

const ANA: &str = "ana@example.com";

/// A shop that keeps store credit with us, and Ana, who bought a coat for 100.00.
fn shop(change: impl FnOnce(&mut ShopFile)) -> Bench {
    let bench = Bench::with(|file| {
        file.store_credit = Some(CreditPolicy::default());
        change(file);
    });
    bench
        .tell(&sale("coat", "2024-05-01T10:00:00Z", ANA, 10_000))
        .unwrap();
    bench
}

/// The same, and 30.00 of it were given back as credit.
fn refunded() -> Bench {
    let bench = shop(|_| {});
    let told = bench.tell(&back("back", "2024-05-02T10:00:00Z", 3_000));
    assert_eq!(amounts(&told.unwrap()), [(3_000, "refund", 3_000)]);
    bench
}

fn back(id: &str, time: &str, amount: i64) -> Value {
    let data = json!({
        "sale": {"source": "till-1", "id": "coat"}, "currency": "USD", "amount": amount,
        "refund_to": "store_credit",
    });
    event(id, "return.completed", time, data)
}

/// A sale of 50.00 that is paid with some credit and a card.
fn paid(id: &str, time: &str, credit: i64, code: Option<&str>) -> Value {
    let mut told = sale(id, time, ANA, 5_000);
    told["data"]["tenders"] = json!([
        {"kind": "store_credit", "amount": credit, "code": code},
        {"kind": "card", "amount": 5_000 - credit},
    ]);
    told
}

fn voided(id: &str, time: &str, sale: &str) -> Value {
    let data = json!({"sale": {"source": "till-1", "id": sale}});
    event(id, "sale.voided", time, data)
}

fn set_aside(id: &str, time: &str, amount: i64) -> Value {
    let data = json!({
        "customer": {"email": ANA}, "currency": "store_credit", "amount": amount, "channel": "online",
    });
    event(id, "redemption.reserved", time, data)
}

fn amounts(outcome: &Outcome) -> Vec<(i64, &'static str, i64)> {
    let entries = outcome.store_credit.iter();
    entries
        .map(|entry| (entry.amount, entry.kind.name(), entry.balance_after))
        .collect()
}

/// What there is, what can be spent, and what is owed.
fn credit(bench: &Bench) -> (i64, i64, i64) {
    bench.store.only_customer(|customer| {
        let (head, currency) = (&customer.head, Currency::StoreCredit);
        let account = head.account(currency);
        let available = head.available(currency, head.clock);
        (account.balance, available, account.debt)
    })
}

fn code_of(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Invalid { code, .. } | Refusal::NotNow { code, .. } => code,
        Refusal::Malformed { .. } => "malformed",
        other => panic!("{other}"),
    }
}

#[test]
fn a_refund_pays_for_the_next_sale_and_the_rest_stays() {
    let bench = refunded();
    let told = bench
        .tell(&paid("bag", "2024-05-03T10:00:00Z", 1_200, None))
        .unwrap();
    assert_eq!(amounts(&told), [(-1_200, "redeem", 1_800)]);
    assert_eq!(told.receipt[0], "Store credit -12.00 USD, 18.00 USD left");
    assert_eq!(credit(&bench), (1_800, 1_800, 0));
    let now = told.customer.unwrap();
    assert_eq!(now.balance, 100 - 30 + 50, "points know nothing of it");
    let credit = now.store_credit.unwrap();
    assert_eq!((credit.amount, credit.currency.as_str()), (1_800, "USD"));
}

#[test]
fn whoever_has_no_credit_carries_nothing_for_it() {
    let bench = Bench::new();
    let told = bench
        .tell(&paid("bag", "2024-05-01T10:00:00Z", 1_200, None))
        .unwrap();
    assert!(
        told.store_credit.is_empty(),
        "this till's credit is its own"
    );
    assert_eq!(told.customer.unwrap().store_credit, None);
    // Nor is it taken for what happened elsewhere, before the shop came to us.
    let history = shop(|_| {});
    let mut old = paid("old", "2024-04-01T10:00:00Z", 1_200, None);
    old["data"]["historical"] = true.into();
    history.tell(&old).unwrap();
    assert_eq!(credit(&history), (0, 0, 0));
    bench
        .store
        .only_customer(|ana| assert!(ana.head.credit.is_none() && ana.takings.is_empty()));
}

#[test]
fn goods_that_have_left_are_paid_for_below_zero_and_somebody_looks_at_it() {
    let bench = refunded();
    bench
        .tell(&paid("bag", "2024-05-03T10:00:00Z", 4_000, None))
        .unwrap();
    assert_eq!(credit(&bench), (-1_000, -1_000, 0));
    let items = format!("{:?}", bench.store.inner.borrow().review_items);
    assert!(items.contains("CreditOverspent"), "{items}");
    assert!(items.contains("amount: 1000"), "{items}");
    bench
        .tell(&back("more", "2024-05-04T10:00:00Z", 2_500))
        .unwrap();
    assert_eq!(credit(&bench), (1_500, 1_500, 0));
}

#[test]
fn a_shop_that_keeps_debts_leaves_the_balance_at_zero_and_the_next_credit_pays() {
    let bench = shop(|file| file.policies.returns = OfReturns::Debt);
    bench
        .tell(&back("back", "2024-05-02T10:00:00Z", 3_000))
        .unwrap();
    bench
        .tell(&paid("bag", "2024-05-03T10:00:00Z", 4_000, None))
        .unwrap();
    assert_eq!(credit(&bench), (0, 0, 1_000));
    let items = format!("{:?}", bench.store.inner.borrow().review_items);
    assert!(items.contains("amount: 1000"), "{items}");
    let told = bench
        .tell(&back("more", "2024-05-04T10:00:00Z", 2_500))
        .unwrap();
    let entries = [(2_500, "refund", 2_500), (-1_000, "recovery", 1_500)];
    assert_eq!(amounts(&told), entries);
    assert_eq!(credit(&bench), (1_500, 1_500, 0));
}

#[test]
fn a_sale_that_is_undone_gives_back_what_paid_for_it_with_the_end_that_it_had() {
    let bench = shop(|file| {
        file.store_credit = Some(CreditPolicy {
            expires_after: Some(Span::Days(10)),
            ..CreditPolicy::default()
        });
    });
    bench
        .tell(&back("back", "2024-05-02T10:00:00Z", 3_000))
        .unwrap();
    bench
        .tell(&paid("bag", "2024-05-03T10:00:00Z", 2_000, None))
        .unwrap();
    let told = bench
        .tell(&voided("void", "2024-05-04T10:00:00Z", "bag"))
        .unwrap();
    assert_eq!(amounts(&told), [(2_000, "given-back", 3_000)]);
    let again = bench
        .tell(&voided("again", "2024-05-05T10:00:00Z", "bag"))
        .unwrap();
    assert_eq!(amounts(&again), [], "once");
    // Ten days after it was given, on the shop's calendar.
    let ended = bench
        .tell(&sale("hat", "2024-05-12T10:00:01Z", ANA, 1_000))
        .unwrap();
    assert_eq!(ended.customer.unwrap().store_credit.unwrap().amount, 0);
}

#[test]
fn an_undone_sale_gives_back_no_more_than_what_is_left_to_be_paid_back() {
    let bench = refunded();
    bench
        .tell(&paid("bag", "2024-05-03T10:00:00Z", 3_000, None))
        .unwrap();
    let part = json!({
        "sale": {"source": "till-1", "id": "bag"}, "currency": "USD", "amount": 4_000,
        "refunds": [{"to": "store_credit", "amount": 3_000}, {"to": "original", "amount": 1_000}],
    });
    let part = event("part", "return.completed", "2024-05-04T10:00:00Z", part);
    bench.tell(&part).unwrap();
    assert_eq!(credit(&bench), (3_000, 3_000, 0));
    bench
        .tell(&voided("void", "2024-05-05T10:00:00Z", "bag"))
        .unwrap();
    assert_eq!(credit(&bench), (4_000, 4_000, 0), "50.00 less 40.00");
}

#[test]
fn a_payment_that_fails_gives_the_credit_back() {
    let bench = refunded();
    let mut pending = paid("bag", "2024-05-03T10:00:00Z", 2_000, None);
    pending["data"]["payment_state"] = "pending".into();
    bench.tell(&pending).unwrap();
    assert_eq!(credit(&bench), (1_000, 1_000, 0));
    let failed = json!({"sale": {"source": "till-1", "id": "bag"}});
    let failed = event("no", "payment.failed", "2024-05-03T12:00:00Z", failed);
    bench.tell(&failed).unwrap();
    assert_eq!(credit(&bench), (3_000, 3_000, 0));
}

#[test]
fn a_tender_takes_what_it_needs_of_what_was_set_aside_and_never_twice() {
    let bench = refunded();
    let held = bench
        .tell(&set_aside("held", "2024-05-03T10:00:00Z", 2_500))
        .unwrap();
    let held = &held.redemptions[0];
    assert_eq!((held.points, held.amount), (0, Some(2_500)));
    assert_eq!(credit(&bench), (3_000, 500, 0));
    // In the other channel, at the same time.
    let wanted = set_aside("other", "2024-05-03T10:01:00Z", 600);
    let refused = bench.tell(&wanted).unwrap_err();
    assert_eq!(code_of(refused), "insufficient-credit");
    let confirm = json!({"redemption": held.id});
    let confirm = event(
        "told",
        "redemption.confirmed",
        "2024-05-03T10:02:00Z",
        confirm,
    );
    let refused = bench.tell(&confirm).unwrap_err();
    assert_eq!(code_of(refused), "taken-by-its-tender");
    let code = Some(held.code.as_str());
    let told = bench
        .tell(&paid("bag", "2024-05-03T10:05:00Z", 1_200, code))
        .unwrap();
    let used = &told.redemptions[0];
    assert_eq!(used.state, RedemptionState::Confirmed);
    assert_eq!((used.amount, used.used), (Some(2_500), Some(1_200)));
    assert_eq!(credit(&bench), (1_800, 1_800, 0));
    // A sale that happened before, and is told later, changes nothing of it.
    bench
        .tell(&sale("late", "2024-05-02T12:00:00Z", ANA, 1_000))
        .unwrap();
    assert_eq!(credit(&bench), (1_800, 1_800, 0));
}

#[test]
fn a_tender_that_is_larger_than_what_was_set_aside_takes_the_rest_of_what_is_free() {
    let bench = refunded();
    let held = bench
        .tell(&set_aside("held", "2024-05-03T10:00:00Z", 1_000))
        .unwrap();
    let code = Some(held.redemptions[0].code.as_str());
    let told = bench
        .tell(&paid("bag", "2024-05-03T10:05:00Z", 1_500, code))
        .unwrap();
    let entries = [(-1_000, "redeem", 2_000), (-500, "redeem", 1_500)];
    assert_eq!(amounts(&told), entries);
    let told = bench
        .tell(&voided("void", "2024-05-04T10:00:00Z", "bag"))
        .unwrap();
    assert_eq!(amounts(&told).last().unwrap().2, 3_000);
}

#[test]
fn a_till_whose_clock_is_behind_pays_once_with_what_was_set_aside_a_moment_ago() {
    let bench = refunded();
    let held = bench
        .tell(&set_aside("held", "2024-05-03T10:00:00Z", 1_000))
        .unwrap();
    let code = Some(held.redemptions[0].code.as_str());
    bench
        .tell(&paid("bag", "2024-05-03T09:58:00Z", 800, code))
        .unwrap();
    assert_eq!(credit(&bench), (2_200, 2_200, 0));
    let inner = bench.store.inner.borrow();
    let row = &inner.redemptions.values().next().unwrap().1;
    assert_eq!(row.state, RedemptionState::Confirmed);
}

#[test]
fn what_an_exchange_leaves_over_is_credit_until_the_exchange_is_undone() {
    let bench = shop(|_| {});
    let cheaper = json!({
        "sale": {"source": "till-1", "id": "coat"}, "channel": "pos", "location": "soho", "currency": "USD",
        "returned": [{"line": 1, "quantity": 1}], "amount": 10_000,
        "lines": [{"sku": "HAT", "quantity": 1, "unit_price": 7_500}], "total": 7_500,
        "tenders": [{"kind": "store_credit", "amount": -2_500}],
    });
    let cheaper = event(
        "swap",
        "exchange.completed",
        "2024-05-02T10:00:00Z",
        cheaper,
    );
    let told = bench.tell(&cheaper).unwrap();
    assert_eq!(amounts(&told), [(2_500, "refund", 2_500)]);
    bench
        .tell(&voided("void", "2024-05-03T10:00:00Z", "swap"))
        .unwrap();
    assert_eq!(credit(&bench), (0, 0, 0));
}

#[test]
fn a_refund_that_is_told_late_comes_before_what_it_paid_for() {
    let bench = shop(|_| {});
    bench
        .tell(&paid("bag", "2024-05-03T10:00:00Z", 2_000, None))
        .unwrap();
    assert_eq!(credit(&bench), (-2_000, -2_000, 0));
    let told = bench
        .tell(&back("back", "2024-05-02T10:00:00Z", 3_000))
        .unwrap();
    assert_eq!(amounts(&told), [(3_000, "refund", 1_000)]);
    assert_eq!(credit(&bench), (1_000, 1_000, 0));
}

#[test]
fn staff_gives_and_takes_credit_but_no_more_than_there_is() {
    let bench = refunded();
    let adjust = |id: &str, amount: i64, more: Value| {
        let mut data = json!({"customer": {"email": ANA}, "amount": amount, "reason": "goodwill"});
        data.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        bench.tell(&event(id, "credit.adjusted", "2024-05-03T10:00:00Z", data))
    };
    let told = adjust("a", 500, json!({"currency": "USD"})).unwrap();
    assert_eq!(amounts(&told), [(500, "adjustment", 3_500)]);
    assert_eq!(told.store_credit[0].actor.as_deref(), Some("Mia"));
    adjust("b", -1_500, json!({})).unwrap();
    assert_eq!(credit(&bench), (2_000, 2_000, 0));
    for (id, amount, more, code) in [
        ("c", -2_001, json!({}), "not-enough-credit"),
        ("d", 0, json!({}), "no-amount"),
        ("e", 100, json!({"currency": "EUR"}), "another-currency"),
        (
            "f",
            -100,
            json!({"expires_at": "2025-01-01T00:00:00Z"}),
            "expiry-without-credit",
        ),
        ("g", 100, json!({"points": 1}), "malformed"),
    ] {
        assert_eq!(code_of(adjust(id, amount, more).unwrap_err()), code, "{id}");
    }
    bench
        .tell(&set_aside("held", "2024-05-03T10:30:00Z", 1_800))
        .unwrap();
    let taken = json!({"customer": {"email": ANA}, "amount": -300, "reason": "a mistake"});
    let taken = event("h", "credit.adjusted", "2024-05-03T10:31:00Z", taken);
    let refused = bench.tell(&taken).unwrap_err();
    assert_eq!(code_of(refused), "not-enough-credit", "it is set aside");
    assert_eq!(credit(&bench), (2_000, 200, 0));
}

#[test]
fn what_is_said_of_credit_and_cannot_be_is_refused_and_changes_nothing() {
    let bench = refunded();
    let refuses = |mut told: Value, at: &str, value: Value, code: &str| {
        *told.pointer_mut(at).unwrap() = value.clone();
        let refused = bench.tell(&told).unwrap_err();
        assert_eq!(code_of(refused), code, "{at} {value}");
    };
    let mut parts = back("parts", "2024-05-03T10:00:00Z", 1_000);
    parts["data"]["refunds"] = json!([]);
    let part = |to: &str, amount: i64| json!([{"to": to, "amount": amount}]);
    refuses(
        parts.clone(),
        "/data/refund_to",
        json!("store-credit"),
        "malformed",
    );
    refuses(
        parts.clone(),
        "/data/refunds",
        part("cash", 1_000),
        "refund-and-refunds",
    );
    parts["data"]["refund_to"] = Value::Null;
    refuses(
        parts.clone(),
        "/data/refunds",
        part("store_credit", 999),
        "sum",
    );
    refuses(
        parts,
        "/data/refunds",
        part("store_credit", -1),
        "negative-amount",
    );
    let sale = paid("bag", "2024-05-03T10:00:00Z", 1_000, None);
    let tender = json!({"kind": "card", "amount": 4_000, "code": "7K3MQ-0P1XZ"});
    refuses(sale, "/data/tenders/1", tender, "code-without-credit");
    let held = set_aside("held", "2024-05-03T10:00:00Z", 1_000);
    refuses(held.clone(), "/data/amount", json!(0), "no-amount");
    refuses(held.clone(), "/data/amount", Value::Null, "malformed");
    refuses(held.clone(), "/data/currency", json!("points"), "malformed");
    refuses(held, "/data/currency", json!("USD"), "malformed");
    assert_eq!(credit(&bench), (3_000, 3_000, 0));
}
