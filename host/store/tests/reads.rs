//! Reads: they see what was answered, page without gaps, and find people.

mod shop;

use serde_json::json;
use shop::*;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{EventName, IdentifierKind, Instant};
use stampcard_store::KeyRing;
use stampcard_store::reads::Find;
use std::collections::BTreeSet;

fn name(id: &str) -> EventName {
    EventName {
        source: "till-1".into(),
        id: id.into(),
    }
}

#[test]
fn the_very_next_read_sees_what_was_answered() {
    let shop = TestShop::new();
    for n in 0..50 {
        let answered = shop
            .send(&sale(&format!("s-{n}"), "C-1", MAY + n * HOUR, 2_000))
            .customer
            .unwrap();
        let read = shop
            .store
            .reads()
            .customer(&CustomerId(answered.id))
            .unwrap()
            .unwrap();
        assert_eq!(read.balance, answered.balance);
        assert_eq!(read.revision, n as u64 + 1);
    }
}

#[test]
fn an_event_is_read_back_with_its_answer_and_its_explanation() {
    let shop = TestShop::new();
    let answer = shop.send(&sale("s-1", "C-1", MAY, 60_000));
    let reads = shop.store.reads();
    let row = reads.event(&name("s-1")).unwrap().unwrap();
    assert_eq!(row.outcome, answer);
    assert_eq!(row.personal.identifiers[0].value, "C-1");
    assert_eq!(row.customer.unwrap().0, answer.customer.unwrap().id);
    let explanations = reads.explanations(&name("s-1")).unwrap();
    assert_eq!(explanations.len(), 1);
    assert_eq!(explanations[0].explanation.calls.len(), 4);
    assert_eq!(explanations[0].rule_book, shop.book);
    // A late event decides the step again; both decisions are there, the newer one last.
    shop.send(&sale("s-0", "C-1", MAY - HOUR, 60_000));
    let explanations = reads.explanations(&name("s-1")).unwrap();
    assert_eq!(explanations.len(), 2);
    assert_eq!(explanations[1].caused_by, Some(name("s-0")));
    assert!(reads.event(&name("never")).unwrap().is_none());
}

#[test]
fn customers_are_found_in_every_way_and_page_by_page() {
    let shop = TestShop::new();
    let people = [
        ("Ann", "O'Hara", "ann@example.com"),
        ("Anna-Lena", "Öz", "lena@example.com"),
        ("Bo", "Anders", "bo@example.org"),
    ];
    for (n, (given, family, email)) in people.iter().enumerate() {
        shop.send(&event(
            "customer.created",
            &format!("c-{n}"),
            MAY,
            json!({
                "customer": {"email": email}, "given_name": given, "family_name": family
            }),
        ));
        let who = json!({"email": email});
        shop.send(&sale_of(
            &format!("s-{n}"),
            who,
            MAY + DAY,
            if n == 0 { 120_000 } else { 1_000 },
        ));
    }
    let reads = shop.store.reads();
    let found = |find: Find| -> Vec<String> {
        let page = reads.customers(find, None, 10).unwrap();
        page.iter()
            .map(|record| reads.person(&record.id).unwrap().fields["given_name"].clone())
            .collect()
    };
    let cases = [
        (Find::All, vec!["Ann", "Anna-Lena", "Bo"]),
        (
            Find::Identifier(IdentifierKind::Email, "bo@example.org"),
            vec!["Bo"],
        ),
        (
            Find::Identifier(IdentifierKind::Phone, "bo@example.org"),
            vec![],
        ),
        (Find::Tag("spender"), vec!["Ann"]),
        (Find::Segment("recent"), vec!["Ann", "Anna-Lena", "Bo"]),
        (Find::Segment("big"), vec!["Ann"]),
        (Find::Tier("silver"), vec!["Ann"]),
        (Find::Text("an"), vec!["Ann", "Anna-Lena", "Bo"]),
        (Find::Text("AN o'h"), vec!["Ann"]),
        (Find::Text("öz"), vec!["Anna-Lena"]),
        (Find::Text("lena@"), vec!["Anna-Lena"]),
        (Find::Text("%"), vec![]),
        (Find::Text("'; DROP TABLE names; --"), vec![]),
    ];
    for (find, expected) in cases {
        assert_eq!(found(find), expected, "{find:?}");
    }
    let mut paged = Vec::new();
    let mut after: Option<CustomerId> = None;
    loop {
        let page = reads.customers(Find::All, after.as_ref(), 1).unwrap();
        let Some(record) = page.into_iter().next() else {
            break;
        };
        after = Some(record.id.clone());
        paged.push(record.id);
    }
    assert_eq!(paged.len(), 3);
}

#[test]
fn a_name_that_is_changed_is_not_found_by_the_old_one() {
    let shop = TestShop::new();
    let named = |id: &str, name: serde_json::Value, at: i64| {
        event(
            "customer.updated",
            id,
            at,
            json!({"customer": {"card": "C-1"}, "given_name": name}),
        )
    };
    shop.send(&sale("s", "C-1", MAY, 100));
    shop.send(&named("u-1", json!("Robert"), MAY + 1));
    shop.send(&named("u-2", json!("Bob"), MAY + 2));
    let count = |text: &str| {
        shop.store
            .reads()
            .customers(Find::Text(text), None, 10)
            .unwrap()
            .len()
    };
    assert_eq!((count("rob"), count("bob")), (0, 1));
    shop.send(&named("u-3", serde_json::Value::Null, MAY + 3));
    assert_eq!((count("rob"), count("bob")), (0, 0));
}

#[test]
fn timeline_and_ledger_page_backwards_without_gaps() {
    let shop = TestShop::new();
    let mut id = None;
    // Arrival is not the order of happening.
    for n in [5, 1, 9, 3, 7, 0, 2, 8, 4, 6] {
        id = shop
            .send(&sale(&format!("s-{n}"), "C-1", MAY + n * HOUR, 1_000))
            .customer;
    }
    let id = CustomerId(id.unwrap().id);
    let reads = shop.store.reads();
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = reads.timeline(&id, before.as_ref(), 3).unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.event.position());
        seen.extend(page.into_iter().map(|row| row.event.id));
    }
    assert_eq!(
        seen,
        (0..10).rev().map(|n| format!("s-{n}")).collect::<Vec<_>>()
    );
    let mut numbers = Vec::new();
    let mut before = None;
    loop {
        let page = reads.ledger(&id, None, before, 4).unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.number);
        numbers.extend(page.iter().map(|row| row.number));
    }
    assert_eq!(numbers, (1..=10).rev().collect::<Vec<_>>());
    assert_eq!(
        reads
            .lots(&id)
            .unwrap()
            .iter()
            .map(|lot| lot.remaining)
            .sum::<i64>(),
        100
    );
}

#[test]
fn segments_and_tiers_have_their_history_and_their_past() {
    let shop = TestShop::new();
    let customer = shop
        .send(&sale("s-1", "C-1", MAY, 60_000))
        .customer
        .unwrap();
    let id = CustomerId(customer.id.clone());
    shop.tick(&customer.id, MAY + 40 * DAY);
    let reads = shop.store.reads();
    let at = |day: i64| -> BTreeSet<String> {
        let views = reads
            .memberships(&id, Some(Instant(MAY + day * DAY + 1)))
            .unwrap();
        views.into_iter().map(|view| view.segment).collect()
    };
    assert_eq!(at(-1), BTreeSet::new());
    assert_eq!(at(1), BTreeSet::from(["big".into(), "recent".into()]));
    assert_eq!(at(10), BTreeSet::from(["big".into()]));
    assert_eq!(at(35), BTreeSet::from(["big".into(), "lapsed".into()]));
    let recent = reads
        .memberships(&id, None)
        .unwrap()
        .into_iter()
        .find(|view| view.segment == "recent")
        .unwrap();
    assert_eq!(recent.left_at, Some(Instant(MAY + 7 * DAY)));
    assert_eq!(recent.plugin, "segments");
    let counts: Vec<(String, u64)> = reads
        .segments()
        .unwrap()
        .into_iter()
        .map(|count| (count.segment, count.members))
        .collect();
    assert_eq!(counts, [("big".into(), 1), ("lapsed".into(), 1)]);
    assert_eq!(
        reads
            .members("recent", Some(Instant(MAY + DAY)), None, 10)
            .unwrap()
            .len(),
        1
    );
    assert_eq!(reads.members("recent", None, None, 10).unwrap().len(), 0);
    let tiers = reads.tiers(&id).unwrap();
    assert_eq!(tiers.len(), 1);
    assert_eq!(
        (tiers[0].from.as_deref(), tiers[0].to.as_deref()),
        (None, Some("silver"))
    );
}

#[test]
fn the_outbox_and_the_clock_list_what_is_next() {
    let shop = TestShop::new();
    let a = shop.send(&sale("s-1", "C-1", MAY, 1_000)).customer.unwrap();
    shop.send(&sale("s-2", "C-2", MAY + DAY, 1_000));
    let reads = shop.store.reads();
    let all = reads.outbox(None, 100).unwrap();
    assert_eq!(all.len(), 4);
    assert!(all.is_sorted_by_key(|row| (row.due, row.id)));
    let rest = reads.outbox(Some((all[1].due, all[1].id)), 100).unwrap();
    assert_eq!(rest, all[2..]);
    let ana = CustomerId(a.id.clone());
    let hers = reads.follow_ups(&ana, true, None, 100).unwrap();
    assert_eq!(hers.len(), 2);
    let first = Some((hers[0].due, hers[0].id));
    assert_eq!(reads.follow_ups(&ana, true, first, 100).unwrap(), hers[1..]);
    assert_eq!(reads.follow_ups(&ana, true, None, 1).unwrap(), hers[..1]);
    assert_eq!(reads.next_due().unwrap(), Some(Instant(MAY + 7 * DAY)));
    assert_eq!(
        reads.due_customers(Instant(MAY + 7 * DAY), 10).unwrap(),
        [(CustomerId(a.id), Instant(MAY + 7 * DAY))]
    );
    assert_eq!(reads.newest_event_at().unwrap(), Some(Instant(MAY + DAY)));
    let counters = reads.counters().unwrap();
    assert_eq!(
        (
            counters.customers,
            counters.entries,
            counters.follow_ups_waiting
        ),
        (2, 2, 4)
    );
}

#[test]
fn the_condition_of_a_shop_counts_what_came_lately_and_what_does_not_wait() {
    let shop = TestShop::new();
    for number in 0..5 {
        shop.send(&sale(&format!("s-{number}"), "C-1", MAY + number, 2_000));
    }
    let reads = shop.store.reads();
    // The rule book's own row is older than a week; the events came at the tests' wall clock.
    let today = reads.condition(NOW).unwrap();
    assert_eq!((today.rows_in_week, today.arrivals.sales), (5, 5));
    assert_eq!(today.arrivals.with_customer, 5);
    assert_eq!(today.arrivals.newest, Some(NOW));
    // They happened a year before they came: an import, of which nothing live can be said.
    assert_eq!(today.arrivals.live, 0);
    let later = reads.condition(Instant(NOW.0 + 8 * DAY)).unwrap();
    assert_eq!((later.rows_in_week, later.arrivals.sales), (0, 5));
    let due = reads.next_due().unwrap();
    let backlog = |at: i64| reads.backlog(Instant(at)).unwrap().overdue;
    if let Some(due) = due {
        assert_eq!((backlog(due.0 - 1), backlog(due.0)), (0, 1));
    }
    let (differences, looked, last) = reads.check_some(0, 10).unwrap();
    assert!(differences.is_empty(), "{differences:?}");
    assert_eq!(looked, 1);
    assert_eq!(
        reads.check_some(last.unwrap(), 10).unwrap(),
        (Vec::new(), 0, None)
    );
}

#[test]
fn keys_are_kept_as_hashes_and_can_be_ended() {
    let shop = TestShop::new();
    // A second door: the shop stays open.
    let mut ring = KeyRing::open(shop.store.reads().path()).unwrap();
    let id = ring.add(&[1; 32], "pos", "till 1", Instant(MAY)).unwrap();
    assert!(
        ring.add(&[1; 32], "pos", "till 2", Instant(MAY)).is_err(),
        "a hash is unique"
    );
    let key = shop.store.reads().key(&[1; 32]).unwrap().unwrap();
    assert_eq!(
        (
            key.id,
            key.role.as_str(),
            key.label.as_str(),
            key.revoked_at
        ),
        (id, "pos", "till 1", None)
    );
    assert!(shop.store.reads().key(&[2; 32]).unwrap().is_none());
    assert!(ring.revoke(id, Instant(MAY + 1)).unwrap());
    assert!(!ring.revoke(id, Instant(MAY + 2)).unwrap());
    assert_eq!(
        shop.store.reads().keys().unwrap()[0].revoked_at,
        Some(Instant(MAY + 1))
    );
}

#[test]
fn two_accounts_in_one_event_leave_an_item_for_somebody() {
    let shop = TestShop::new();
    shop.send(&sale_of("s-1", json!({"card": "C-1"}), MAY, 100));
    shop.send(&sale_of("s-2", json!({"email": "x@example.com"}), MAY, 100));
    shop.send(&sale_of(
        "s-3",
        json!({"card": "C-1", "email": "x@example.com"}),
        MAY + 1,
        200,
    ));
    let items = shop.store.reads().review_items(0, 10).unwrap();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].kind, "merge-suggested");
    assert_eq!(items[0].event, Some(name("s-3")));
}
