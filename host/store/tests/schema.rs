//! The file: made once, opened by one program at a time, and never by one that is too old for it.

mod shop;

use rusqlite::Connection;
use shop::*;
use stampcard_pipeline::rules::Rules;
use stampcard_store::reads::Reads;
use stampcard_store::{FORMAT, NewRuleBook, OpenError, Settings, SqliteStore};

fn open(path: &std::path::Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, &birth(), &Settings::default())
}

#[test]
fn a_new_file_gets_the_newest_format_and_keeps_its_secret() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    let secret = open(&path).unwrap().secret().0;
    assert_eq!(secret, birth().secret);
    let format: i64 = Connection::open(&path)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(format, FORMAT);
    let mut other = birth();
    other.secret = [9; 32];
    let again = SqliteStore::open(&path, &other, &Settings::default()).unwrap();
    assert_eq!(again.secret().0, secret, "the secret is made once");
}

#[test]
fn a_file_from_the_future_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    drop(open(&path).unwrap());
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", FORMAT + 1)
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = open(&path).err().expect("refused");
    assert!(
        matches!(&refused, OpenError::FromTheFuture { found, known, .. } if (*found, *known) == (FORMAT + 1, FORMAT)),
        "{refused}"
    );
    assert!(matches!(
        Reads::open(&path, 1, 100).err(),
        Some(OpenError::FromTheFuture { .. })
    ));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn somebody_elses_database_is_refused_and_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE recipes (name TEXT)")
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(
        open(&path).err(),
        Some(OpenError::NotStampcard { .. })
    ));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    std::fs::write(
        &path,
        b"Not a database at all, but long enough to look like one. ".repeat(40),
    )
    .unwrap();
    assert!(matches!(open(&path).err(), Some(OpenError::Store { .. })));
}

#[test]
fn two_programs_cannot_write_and_a_reader_needs_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    assert!(matches!(
        Reads::open(&path, 1, 100).err(),
        Some(OpenError::Missing { .. })
    ));
    let first = open(&path).unwrap();
    assert!(matches!(open(&path).err(), Some(OpenError::InUse { .. })));
    assert!(
        Reads::open(&path, 1, 100).is_ok(),
        "reading beside a writer is allowed"
    );
    drop(first);
    assert!(open(&path).is_ok());
}

#[test]
fn a_migration_that_fails_leaves_the_file_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    drop(open(&path).unwrap());
    // A file of format 0 that is marked as ours and in which a table stands in the way.
    std::fs::remove_file(&path).unwrap();
    let made = Connection::open(&path).unwrap();
    made.execute_batch("PRAGMA application_id = 0x53746d70; CREATE TABLE outbox (x)")
        .unwrap();
    drop(made);
    assert!(matches!(open(&path).err(), Some(OpenError::Store { .. })));
    let tables: Vec<String> = Connection::open(&path)
        .unwrap()
        .prepare("SELECT name FROM sqlite_schema")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(tables, ["outbox"]);
}

#[test]
fn what_happened_cannot_be_changed_or_removed() {
    let shop = TestShop::new();
    shop.send(&sale("1", "C-1", MAY, 10_000));
    let eyes = shop.eyes();
    eyes.execute_batch("INSERT INTO allocations (entry, lot, amount) VALUES (1, 1, 5)")
        .unwrap();
    for (table, column) in [
        ("journal", "received_at"),
        ("entries", "amount"),
        ("allocations", "amount"),
        ("rule_books", "created_at"),
    ] {
        for sql in [
            format!("UPDATE {table} SET {column} = {column} + 1"),
            format!("DELETE FROM {table}"),
        ] {
            let error = eyes.execute(&sql, []).expect_err(&sql).to_string();
            assert!(error.contains("append-only"), "{sql}: {error}");
        }
    }
}

#[test]
fn every_table_is_strict_and_says_so() {
    let shop = TestShop::new();
    let loose: Vec<String> = shop
        .eyes()
        .prepare("SELECT name FROM pragma_table_list WHERE schema = 'main' AND NOT strict AND name NOT LIKE 'sqlite_%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(loose.is_empty(), "{loose:?}");
}

#[test]
fn a_rule_book_that_says_the_same_is_the_same_and_another_one_gets_the_next_number() {
    let shop = TestShop::new();
    let save = |plugins: &[stampcard_pipeline::rules::Plugin]| {
        shop.store
            .save_rule_book(
                &NewRuleBook::bare(
                    plugins,
                    &shop_file(),
                    stampcard_pipeline::event::Instant(MAY + DAY),
                ),
                None,
            )
            .unwrap()
    };
    assert_eq!(save(shop.rules.plugins()).number, shop.book);
    let mut plugins = shop.rules.plugins().to_vec();
    plugins[0].version = "1.0.1".into();
    let next = save(&plugins);
    assert_eq!(next.number, shop.book + 1);
    assert_eq!(
        shop.count("SELECT count(*) FROM journal WHERE kind = 'rule-book.changed'"),
        2
    );
    assert_eq!(
        shop.count("SELECT count(*) FROM plugin_versions"),
        5,
        "what did not change is not there twice"
    );
    let store = shop.reopen().store;
    // Opening the shop again saves its first rule book again; all three are there.
    assert_eq!(
        store.rule_book_at(next.number).unwrap().plugins[0].version,
        "1.0.1"
    );
    assert_eq!(store.rule_book().unwrap().number, next.number + 1);
}
