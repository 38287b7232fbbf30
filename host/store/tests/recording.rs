//! A recorded run, replayed with SQLite alone, ends in the same database.

mod shop;

use shop::*;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::rules::Rules;
use stampcard_store::{NewRuleBook, Settings, SqliteStore};

#[test]
fn a_replayed_recording_makes_the_same_rows_in_the_same_groups() {
    let shop = TestShop::new();
    shop.store.start_recording();
    for n in 0..60 {
        shop.send(&sale(
            &format!("s-{n}"),
            &format!("C-{}", n % 7),
            MAY + n * HOUR,
            9_000,
        ));
    }
    let recording = shop.store.take_recording();
    assert!(recording.groups() >= 1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("again.db");
    let empty = SqliteStore::open(&path, &birth(), &Settings::default()).unwrap();
    empty
        .save_rule_book(
            &NewRuleBook::bare(shop.rules.plugins(), &shop_file(), Instant(MAY)),
            None,
        )
        .unwrap();
    drop(empty);
    let connection = SqliteStore::plain_connection(&path).unwrap();
    recording.replay(&connection).unwrap();
    let again: Vec<i64> = [
        "journal",
        "entries",
        "history",
        "explanations",
        "outbox",
        "memberships",
    ]
    .iter()
    .map(|table| {
        connection
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap()
    })
    .collect();
    let there: Vec<i64> = [
        "journal",
        "entries",
        "history",
        "explanations",
        "outbox",
        "memberships",
    ]
    .iter()
    .map(|table| shop.count(&format!("SELECT count(*) FROM {table}")))
    .collect();
    assert_eq!(again, there);
    drop(connection);
    let store = SqliteStore::open(&path, &birth(), &Settings::default()).unwrap();
    assert!(store.reads().check(&mut |_| ()).unwrap().is_empty());
}
