//! A person who wants to be forgotten: what goes, what stays, and what is refused afterwards.

use crate::{Bench, event, sale};
use serde_json::{Value, json};
use stampcard_pipeline::admit::SenderKind;
use stampcard_pipeline::change::TakingKind;

const ANA: &str = "ana@example.com";

fn forget(id: &str, time: &str) -> Value {
    let data = json!({"customer": {"email": ANA}, "reason": "asked for it", "actor": "staff-7"});
    event(id, "customer.deleted", time, data)
}

/// A shop that knows much of Ana, who bought for 100.00 on the first of May and is a regular.
fn with_ana() -> Bench {
    let bench = Bench::with(|_| {});
    for (id, day) in [("s1", 1), ("s2", 2), ("s3", 3)] {
        let time = format!("2024-05-0{day}T10:00:00Z");
        bench.tell(&sale(id, &time, ANA, 10_000)).unwrap();
    }
    let known = json!({
        "customer": {"email": ANA}, "given_name": "Ana", "birthday": "1990-02-28", "language": "es",
        "home_location": "soho", "tags": ["VIP"], "consents": [{"purpose": "email", "granted": true}],
    });
    let known = event("p1", "customer.updated", "2024-05-04T10:00:00Z", known);
    bench.tell(&known).unwrap();
    bench
}

fn code(bench: &Bench, event: &Value) -> String {
    bench.tell(event).unwrap_err().code().into()
}

#[test]
fn what_the_fold_made_of_a_person_goes_and_the_ledger_stays() {
    let bench = with_ana();
    let balance = bench.store.only_customer(|it| it.head.points.balance);
    assert!(balance > 0);
    let outcome = bench.tell(&forget("f", "2024-05-05T10:00:00Z")).unwrap();
    assert!(outcome.plugins.is_empty(), "no rule is asked about it");
    assert_eq!(outcome.tags.cleared, ["VIP"]);
    assert!(!outcome.segments.left.is_empty());
    bench.store.only_customer(|it| {
        let head = &it.head;
        assert_eq!(head.points.balance, 0, "nobody can spend them any more");
        let lost: Vec<_> = it.takings.values().map(|it| (it.kind, it.points)).collect();
        assert_eq!(lost, [(TakingKind::Forfeit, balance)]);
        assert_eq!(head.totals.lifetime.orders, 3);
        assert!(head.erased_at.is_some());
        assert!(head.memberships.is_empty() && head.tags.is_empty() && head.known.is_empty());
        assert!(head.memory.is_empty() && head.reviews.is_empty() && head.attributes.is_empty());
        assert_eq!((&head.language, &head.home_location), (&None, &None));
        assert_eq!(head.birthday, None);
        assert!(!head.consents["email"].granted, "that it was is known");
        assert!(it.follow_ups.iter().all(|row| row.state
            != stampcard_pipeline::change::Planned::Planned
            || row.at < head.last.at),);
    });
}

#[test]
fn a_person_is_forgotten_now_and_by_staff() {
    let bench = with_ana();
    assert_eq!(
        code(&bench, &forget("f", "2024-05-02T10:00:00Z")),
        "not-the-last",
        "what came later would bring it all back"
    );
    let refused = bench.tell_as(SenderKind::Pos, &forget("f", "2024-05-05T10:00:00Z"));
    assert_eq!(refused.unwrap_err().code(), "staff-only");
    let mut of_nobody = forget("f", "2024-05-05T10:00:00Z");
    of_nobody["data"]["customer"]["email"] = json!("bo@example.com");
    assert_eq!(code(&bench, &of_nobody), "unknown-customer");
    let mut no_reason = forget("f", "2024-05-05T10:00:00Z");
    no_reason["data"]["reason"] = json!(" ");
    assert_eq!(code(&bench, &no_reason), "reason-required");
    bench.store.only_customer(|it| {
        assert!(it.head.erased_at.is_none() && it.head.language.is_some());
    });
}

#[test]
fn nothing_is_taken_about_whom_was_forgotten_but_what_they_bought_still_comes_back() {
    let bench = with_ana();
    bench.tell(&forget("f", "2024-05-05T10:00:00Z")).unwrap();
    // The store deletes the e-mail; whoever has kept our own id gets no further.
    let again = [
        sale("s4", "2024-05-06T10:00:00Z", ANA, 100),
        sale("s0", "2024-04-30T10:00:00Z", ANA, 100),
        forget("g", "2024-05-06T10:00:00Z"),
    ];
    for event in &again {
        assert_eq!(code(&bench, event), "customer-forgotten");
    }
    let data = json!({
        "channel": "pos", "location": "soho", "sale": {"source": "till-1", "id": "s1"}, "currency": "USD",
        "amount": 10_000,
        "lines": [{"line": 1, "quantity": 1, "amount": 10_000}],
    });
    let back = event("r", "return.completed", "2024-05-07T10:00:00Z", data);
    bench.tell(&back).unwrap();
    bench
        .store
        .only_customer(|it| assert_eq!(it.head.points.balance, 0, "they are gone already"));
}
