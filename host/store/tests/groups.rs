//! Group commit and holds: many at once, nobody twice, nobody in the wrong order, nothing lost.

mod shop;

use shop::*;
use stampcard_pipeline::admit::{Arrival, Sender, admit};
use stampcard_pipeline::event::Identifier;
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::identity::{Who, Whose};
use stampcard_pipeline::limited::Giver;
use stampcard_pipeline::merges::{Apart, Told};
use stampcard_pipeline::outcome::Status;
use stampcard_pipeline::store::{Ask, Known, Opened, Store, StoreError};
use stampcard_store::{Grouping, Settings, SqliteStore};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

#[test]
fn many_threads_number_the_ledger_without_gaps_and_every_answer_is_on_disk() {
    let shop = TestShop::new();
    let next = AtomicUsize::new(0);
    let numbers = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= 400 {
                        return;
                    }
                    // Twenty customers, so that threads meet at the same one.
                    let outcome = shop.send(&sale(
                        &format!("s-{n}"),
                        &format!("C-{}", n % 20),
                        MAY + n as i64,
                        2_000,
                    ));
                    let seen =
                        shop.count(&format!("SELECT count(*) FROM journal WHERE id = 's-{n}'"));
                    assert_eq!(seen, 1, "answered before it was there");
                    for entry in outcome.points {
                        assert!(
                            numbers.lock().unwrap().insert(entry.entry),
                            "entry {} was given twice",
                            entry.entry
                        );
                    }
                }
            });
        }
    });
    let numbers = numbers.into_inner().unwrap();
    assert!(numbers.len() >= 400);
    assert_eq!(
        numbers.iter().copied().collect::<Vec<_>>(),
        (1..=numbers.len() as i64).collect::<Vec<_>>()
    );
    no_difference(&shop);
}

#[test]
fn the_same_event_from_many_doors_at_once_is_applied_once() {
    let shop = TestShop::new();
    let statuses: Vec<Status> = std::thread::scope(|scope| {
        let doors: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| shop.send(&sale("one", "C-1", MAY, 7_700)).status))
            .collect();
        doors.into_iter().map(|door| door.join().unwrap()).collect()
    });
    assert_eq!(
        statuses
            .iter()
            .filter(|status| **status == Status::Applied)
            .count(),
        1,
        "{statuses:?}"
    );
    assert_eq!(shop.count("SELECT sum(amount) FROM entries"), 77);
}

#[test]
fn many_events_with_one_new_phone_make_one_customer() {
    let shop = TestShop::new();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let shop = &shop;
            scope.spawn(move || {
                let who = serde_json::json!({"phone": "+12125550100"});
                shop.send(&sale_of(&format!("p-{n}"), who, MAY + n, 1_000));
            });
        }
    });
    assert_eq!(shop.count("SELECT count(*) FROM customers"), 1);
    assert_eq!(shop.count("SELECT sum(amount) FROM entries"), 80);
    no_difference(&shop);
}

/// Answers the store's questions for a customer with one card.
struct ByCard;

impl Ask for ByCard {
    fn identify(&self, known: &Known) -> Who {
        let customer = known.identifiers[0]
            .1
            .clone()
            .expect("the customer is known");
        Who {
            customer: Whose::Existing(customer),
            by: None,
            links: Vec::new(),
            suggested: Vec::new(),
            named: None,
            same: Vec::new(),
            other: None,
            shows_revoked_card: false,
            waits_for_sale: false,
        }
    }

    fn tell_apart(&self, _: &[Told], _: &[(Identifier, bool)]) -> Apart {
        Apart::default()
    }

    fn can_start_at(&self, _: &Fold) -> bool {
        true
    }

    fn givers(&self) -> Vec<Giver> {
        Vec::new()
    }

    fn is_about_referral(&self) -> bool {
        false
    }

    fn looks_twice_within(&self) -> Option<i64> {
        None
    }

    fn visits_since(&self, _: Option<&Fold>) -> Option<stampcard_pipeline::event::Instant> {
        None
    }
}

#[test]
fn a_customer_is_held_until_the_case_is_dropped_and_others_are_not_kept_waiting() {
    let shop = TestShop::new();
    for card in ["C-1", "C-2"] {
        shop.send(&sale(&format!("first-{card}"), card, MAY, 1_000));
    }
    let admitted = |event: &serde_json::Value| {
        let bytes = serde_json::to_vec(event).unwrap();
        admit(
            &Arrival::Told(&bytes, &Sender::operator("till")),
            &shop.shop,
            shop.store.secret(),
            NOW,
        )
        .unwrap()
    };
    let first = admitted(&sale("held", "C-1", MAY + 1, 1_000));
    let Opened::New(case) = shop.store.open(&first, &ByCard).unwrap() else {
        panic!("it is new")
    };
    std::thread::scope(|scope| {
        let (said, heard) = mpsc::channel();
        let shop = &shop;
        let same = said.clone();
        scope.spawn(move || {
            shop.send(&sale("second", "C-1", MAY + 2, 1_000));
            same.send("the same customer").unwrap();
        });
        scope.spawn(move || {
            shop.send(&sale("other", "C-2", MAY + 2, 1_000));
            said.send("another customer").unwrap();
        });
        assert_eq!(heard.recv().unwrap(), "another customer");
        assert!(
            heard.recv_timeout(Duration::from_millis(50)).is_err(),
            "the customer is held"
        );
        drop(case);
        assert_eq!(heard.recv().unwrap(), "the same customer");
    });
}

#[test]
fn a_lone_event_does_not_wait_for_company_and_a_crowd_shares_a_flush() {
    let grouping = Grouping {
        changes_max: 64,
        wait_max: Duration::from_secs(20),
    };
    let shop = TestShop::with(&Settings {
        grouping,
        ..Settings::default()
    });
    let alone = Instant::now();
    shop.send(&sale("alone", "C-1", MAY, 1_000));
    assert!(
        alone.elapsed() < Duration::from_secs(10),
        "{:?}",
        alone.elapsed()
    );
    shop.store.start_recording();
    // Somebody is always on the way, so groups close when they are full.
    let on_the_way = shop.store.begin_work();
    let waiting: Vec<_> = (0..128)
        .map(|n| {
            shop.process(&sale(&format!("c-{n}"), "C-2", MAY + n, 1_000))
                .unwrap()
        })
        .collect();
    drop(on_the_way);
    for committed in waiting {
        committed.durable.wait().unwrap();
    }
    let groups = shop.store.take_recording().groups();
    assert!((2..=8).contains(&groups), "{groups} flushes for 128 sales");
}

#[test]
fn a_promise_calls_back_and_may_come_back_to_the_store() {
    let shop = TestShop::new();
    let (said, heard) = mpsc::channel();
    std::thread::scope(|scope| {
        let committed = shop.process(&sale("1", "C-1", MAY, 1_000)).unwrap();
        let store: &SqliteStore = &shop.store;
        // The callback must be 'static, so it hands the work on, as a server would.
        committed
            .durable
            .then(Box::new(move |result| said.send(result).unwrap()));
        scope.spawn(move || {
            assert_eq!(heard.recv().unwrap(), Ok(()));
            store.flush().unwrap();
        });
    });
}

#[test]
fn a_process_that_dies_loses_nothing_that_was_answered() {
    let shop = TestShop::with(&Settings {
        // Nobody is told before the group is closed, and nobody closes it here.
        grouping: Grouping {
            changes_max: 1_000_000,
            wait_max: Duration::from_secs(3_600),
        },
        ..Settings::default()
    });
    for n in 0..30 {
        shop.send(&sale(&format!("answered-{n}"), "C-1", MAY + n, 1_000));
    }
    let on_the_way = shop.store.begin_work();
    let unanswered: Vec<_> = (0..30)
        .map(|n| {
            shop.process(&sale(
                &format!("unanswered-{n}"),
                "C-1",
                MAY + 100 + n,
                1_000,
            ))
            .unwrap()
        })
        .collect();
    // The machine's view at this moment: the file and its log, without what was not flushed.
    let dead = tempfile::tempdir().unwrap();
    for name in ["shop.db", "shop.db-wal"] {
        std::fs::copy(shop.dir.path().join(name), dead.path().join(name)).unwrap();
    }
    drop((unanswered, on_the_way));
    let store =
        SqliteStore::open(&dead.path().join("shop.db"), &birth(), &Settings::default()).unwrap();
    assert!(store.reads().check(&mut |_| ()).unwrap().is_empty());
    let ids: Vec<String> = store
        .reads()
        .journal(0, 1_000)
        .unwrap()
        .into_iter()
        .map(|row| row.event.id)
        .collect();
    assert_eq!(
        ids.iter().filter(|id| id.starts_with("answered")).count(),
        30
    );
    assert_eq!(
        ids.iter().filter(|id| id.starts_with("unanswered")).count(),
        0
    );
}

#[test]
fn what_was_not_flushed_is_flushed_when_the_store_closes() {
    let shop = TestShop::with(&Settings {
        grouping: Grouping {
            changes_max: 1_000,
            wait_max: Duration::from_secs(3_600),
        },
        ..Settings::default()
    });
    let on_the_way = shop.store.begin_work();
    let committed = shop.process(&sale("1", "C-1", MAY, 1_000)).unwrap();
    let TestShop { dir, store, .. } = shop;
    // A lane that never finishes must not keep the door open.
    let closing = std::thread::spawn(move || drop(store));
    committed.durable.wait().unwrap();
    closing.join().unwrap();
    drop(on_the_way);
    assert!(
        !dir.path().join("shop.db-wal").exists(),
        "the log is in the file"
    );
    let store =
        SqliteStore::open(&dir.path().join("shop.db"), &birth(), &Settings::default()).unwrap();
    assert_eq!(store.reads().counters().unwrap().entries, 1);
}

#[test]
fn a_failed_group_tells_everybody_in_it_and_their_customers_are_as_before() {
    let shop = TestShop::with(&Settings {
        grouping: Grouping {
            changes_max: 1_000,
            wait_max: Duration::from_secs(3_600),
        },
        ..Settings::default()
    });
    shop.send(&sale("before", "C-1", MAY, 1_000));
    let on_the_way = shop.store.begin_work();
    let pages: u32 = shop
        .eyes()
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    shop.store.set_pages_max(pages + 8).unwrap();
    let mut promised = Vec::new();
    let error = (0..1_000)
        .find_map(
            |n| match shop.process(&sale(&format!("g-{n}"), "C-1", MAY + 1 + n, 1_000)) {
                Ok(committed) => {
                    promised.push(committed);
                    None
                }
                Err(refusal) => Some(refusal.to_string()),
            },
        )
        .expect("eight pages do not hold a thousand sales");
    assert!(error.contains("disk is full"), "{error}");
    assert!(promised.len() > 2);
    for committed in promised {
        assert_eq!(committed.durable.wait(), Err(StoreError::Full));
    }
    shop.store.set_pages_max(u32::MAX - 1).unwrap();
    let again = shop.process(&sale("g-0", "C-1", MAY + 1, 1_000)).unwrap();
    drop(on_the_way);
    again.durable.wait().unwrap();
    assert_eq!(again.outcome.status, Status::Applied);
    assert_eq!(again.outcome.points[0].entry, 2);
    assert_eq!(again.outcome.customer.unwrap().balance, 20);
    no_difference(&shop);
}

#[test]
fn the_log_stays_short_while_events_flood_in() {
    let shop = TestShop::new();
    std::thread::scope(|scope| {
        for lane in 0..2 {
            let shop = &shop;
            scope.spawn(move || {
                for n in 0..1_500 {
                    let committed = shop
                        .process(&sale(
                            &format!("{lane}-{n}"),
                            &format!("C-{lane}-{n}"),
                            MAY + n,
                            3_000,
                        ))
                        .unwrap();
                    if n % 50 == 49 {
                        committed.durable.wait().unwrap();
                    }
                }
            });
        }
    });
    let counters = shop.store.reads().counters().unwrap();
    assert!(
        counters.log_bytes < 48 << 20,
        "{} MiB of log",
        counters.log_bytes >> 20
    );
    assert_eq!(counters.customers, 3_000);
}
