//! The line on a real file: what was decided is there, in order, late, twice and after a restart.

mod shop;

use shop::*;
use stampcard_pipeline::outcome::Status;
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::store::StoreError;

#[test]
fn a_sale_is_committed_with_its_entries_numbered_and_found_again_after_a_restart() {
    let shop = TestShop::new();
    let first = shop.send(&sale("1", "C-1", MAY, 12_345));
    assert_eq!(first.status, Status::Applied);
    assert_eq!(
        first
            .points
            .iter()
            .map(|entry| (entry.entry, entry.amount, entry.balance_after))
            .collect::<Vec<_>>(),
        [(1, 123, 123)]
    );
    let second = shop.send(&sale("2", "C-1", MAY + DAY, 50_000));
    assert_eq!(second.points[0].entry, 2);
    assert_eq!(second.customer.as_ref().unwrap().balance, 623);
    let shop = shop.reopen();
    let third = shop.send(&sale("3", "C-1", MAY + 2 * DAY, 100));
    assert_eq!(
        third
            .points
            .iter()
            .map(|entry| (entry.entry, entry.balance_after))
            .collect::<Vec<_>>(),
        [(3, 624), (4, 634)]
    );
    assert_eq!(third.customer.unwrap().segments, ["big", "recent"]);
    assert_eq!(shop.count("SELECT count(*) FROM customers"), 1);
}

#[test]
fn the_same_event_again_gets_the_same_answer_and_another_body_is_refused_and_kept() {
    let shop = TestShop::new();
    let first = shop.send(&sale("1", "C-1", MAY, 5_000));
    let again = shop.send(&sale("1", "C-1", MAY, 5_000));
    assert_eq!(again.status, Status::Duplicate);
    assert_eq!(again.points, first.points);
    for _ in 0..2 {
        let refused = shop.process(&sale("1", "C-1", MAY, 5_001));
        assert!(matches!(refused, Err(Refusal::Conflict { .. })));
    }
    shop.store.flush().unwrap();
    assert_eq!(
        shop.count("SELECT count(*) FROM conflicts"),
        1,
        "the same refused body is kept once"
    );
    let mut other_door = sale("web-1", "C-1", MAY, 5_000);
    other_door["data"]["order"]["id"] = "1".into();
    let twice = shop.send(&other_door);
    assert_eq!(twice.status, Status::Duplicate);
    assert_eq!(twice.duplicate_of.unwrap().id, "1");
    assert_eq!(shop.count("SELECT count(*) FROM entries"), 1);
}

#[test]
fn a_preview_leaves_nothing_behind() {
    let shop = TestShop::new();
    let seen = shop
        .process_on(&shop.store.preview(), &sale("1", "C-1", MAY, 12_345))
        .unwrap();
    assert_eq!(seen.outcome.points[0].amount, 123);
    shop.send(&sale("2", "C-1", MAY, 100));
    let conflict = shop.process_on(&shop.store.preview(), &sale("2", "C-1", MAY, 200));
    assert!(matches!(conflict, Err(Refusal::Conflict { .. })));
    shop.store.flush().unwrap();
    assert_eq!(
        shop.count("SELECT count(*) FROM journal WHERE kind <> 'rule-book.changed'"),
        1
    );
    assert_eq!(shop.count("SELECT count(*) FROM conflicts"), 0);
}

#[test]
fn a_guest_sale_is_kept_and_claimed_once() {
    let shop = TestShop::new();
    let guest = shop.send(&guest_sale("g-1", MAY, 60_000));
    assert_eq!(guest.status, Status::Guest);
    let claim = |id: &str, card: &str, at: i64| {
        event(
            "customer.identified",
            id,
            at,
            serde_json::json!({
                "customer": {"card": card}, "sale": {"source": "till-1", "id": "g-1"}
            }),
        )
    };
    let claimed = shop.send(&claim("c-1", "C-1", MAY + HOUR));
    assert_eq!(
        claimed.customer.as_ref().unwrap().balance,
        600,
        "{claimed:?}"
    );
    let too_late = shop.send(&claim("c-2", "C-2", MAY + 2 * HOUR));
    assert_eq!(too_late.customer.unwrap().balance, 0);
    assert_eq!(shop.count("SELECT count(*) FROM claims"), 1);
}

#[test]
fn what_cancels_a_follow_up_and_what_was_sent_before_is_told() {
    let shop = TestShop::new();
    let first = shop.send(&sale("1", "C-1", MAY, 1_000));
    assert_eq!(
        first
            .follow_ups
            .iter()
            .map(|row| row.state.as_str())
            .collect::<Vec<_>>(),
        ["planned", "planned"]
    );
    let second = shop.send(&sale("2", "C-1", MAY + HOUR, 1_000));
    assert_eq!(
        second
            .follow_ups
            .iter()
            .map(|row| row.state.as_str())
            .collect::<Vec<_>>(),
        ["planned", "known"]
    );
    assert_eq!(
        second.notes,
        ["cancelled: thank-you by email, which was due 2024-05-02T12:00:00Z"]
    );
    // After it was due it is not cancelled any more.
    let third = shop.send(&sale("3", "C-1", MAY + 3 * DAY, 1_000));
    assert!(third.notes.is_empty(), "{:?}", third.notes);
    assert_eq!(
        shop.count("SELECT count(*) FROM outbox WHERE state = 'planned'"),
        3
    );
    assert_eq!(
        shop.count("SELECT count(*) FROM outbox WHERE state = 'cancelled'"),
        1
    );
}

#[test]
fn a_late_sale_starts_from_the_last_checkpoint_before_it_and_corrects_the_ledger() {
    let shop = TestShop::new();
    for day in 0..40 {
        shop.send(&sale(&format!("d-{day:02}"), "C-1", MAY + day * DAY, 2_000));
    }
    // A sale of day 20 that makes the customer silver from then on: ten points for each later sale.
    let late = shop.send(&sale("late", "C-1", MAY + 20 * DAY + HOUR, 20_000));
    let corrections: i64 = late
        .points
        .iter()
        .filter(|entry| entry.kind.name() == "correction")
        .map(|entry| entry.amount)
        .sum();
    let silver_before = shop.count("SELECT count(*) FROM entries WHERE kind = 'bonus'");
    assert!(corrections > 0 && silver_before > 0, "{:?}", late.points);
    assert_eq!(
        shop.count("SELECT sum(amount) FROM entries"),
        40 * 20
            + 200
            + 10 * shop
                .count("SELECT count(*) FROM history h WHERE h.earned > 20 AND h.id <> 'late'"),
    );
    assert_eq!(shop.count("SELECT count(*) FROM history"), 41);
    assert_eq!(shop.count("SELECT count(*) FROM checkpoints"), 2);
}

#[test]
fn the_clock_drives_a_silent_customer_and_the_journal_holds_what_that_did() {
    let shop = TestShop::new();
    let customer = shop.send(&sale("1", "C-1", MAY, 1_000)).customer.unwrap();
    assert_eq!(customer.segments, ["recent"]);
    let lapsed = shop.tick(&customer.id, MAY + 30 * DAY);
    assert_eq!(lapsed.segments.entered, ["lapsed"]);
    assert_eq!(lapsed.customer.unwrap().segments, ["lapsed"]);
    let quiet = shop.tick(&customer.id, MAY + 32 * DAY);
    assert_eq!(quiet.customer.unwrap().segments, ["lapsed"]);
    assert_eq!(
        shop.count("SELECT count(*) FROM journal WHERE kind = 'review.due'"),
        1
    );
    assert_eq!(shop.store.reads().check(&mut |_| ()).unwrap(), []);
}

#[test]
fn a_full_disk_takes_the_group_back_and_later_events_work_again() {
    let shop = TestShop::new();
    shop.send(&sale("1", "C-1", MAY, 1_000));
    let pages: u32 = shop
        .eyes()
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    shop.store.set_pages_max(pages + 4).unwrap();
    let mut answered = 1;
    let full = (0..400).find_map(|n| {
        let event = sale(&format!("fill-{n}"), &format!("F-{n}"), MAY + n, 1_000);
        match shop.process(&event) {
            Ok(committed) => match committed.durable.wait() {
                Ok(()) => {
                    answered += 1;
                    None
                }
                Err(error) => Some((event, error)),
            },
            Err(Refusal::Store(error)) => Some((event, error)),
            Err(refusal) => panic!("{refusal}"),
        }
    });
    let (event, error) = full.expect("four pages do not hold four hundred sales");
    assert_eq!(error, StoreError::Full);
    assert_eq!(
        shop.count("SELECT count(*) FROM journal WHERE kind = 'sale.completed'"),
        answered
    );
    shop.store.set_pages_max(u32::MAX - 1).unwrap();
    assert_eq!(shop.send(&event).status, Status::Applied);
    assert_eq!(
        shop.count("SELECT max(number) FROM entries"),
        answered + 1,
        "numbers have no gap"
    );
}

#[test]
fn a_customer_kept_by_another_version_is_built_again_with_the_next_event() {
    let shop = TestShop::new();
    for day in 0..40 {
        shop.send(&sale(&format!("d-{day:02}"), "C-1", MAY + day * DAY, 2_000));
    }
    let TestShop { dir, store, .. } = shop;
    drop(store);
    // Plain bytes of a format that this program does not have.
    let eyes = rusqlite::Connection::open(dir.path().join("shop.db")).unwrap();
    eyes.execute("UPDATE customers SET head = x'00fe01'", [])
        .unwrap();
    eyes.execute(
        "UPDATE checkpoints SET fold = x'00fe01' WHERE number = 2",
        [],
    )
    .unwrap();
    drop(eyes);
    let shop = TestShop::at(dir, &stampcard_store::Settings::default());
    let unreadable = shop.store.reads().check(&mut |_| ()).unwrap();
    assert_eq!(unreadable.len(), 1, "{unreadable:#?}");
    let next = shop.send(&sale("next", "C-1", MAY + 40 * DAY, 2_000));
    assert_eq!(
        next.customer.unwrap().balance,
        41 * 20 + 10 * 16,
        "silver from the 25th sale on"
    );
    assert_eq!(
        next.points.len(),
        2,
        "nothing is booked twice: {:?}",
        next.points
    );
    assert_eq!(shop.store.reads().check(&mut |_| ()).unwrap(), []);
}
