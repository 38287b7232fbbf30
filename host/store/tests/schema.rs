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
    for (table, column) in [
        ("journal", "received_at"),
        ("entries", "amount"),
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

#[test]
fn a_file_of_the_first_format_keeps_its_ledger_when_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shop.db");
    let file = Connection::open(&path).unwrap();
    file.execute_batch(include_str!("../schema/0001_first.sql"))
        .unwrap();
    let shop = serde_json::to_string(&shop_file()).unwrap();
    file.execute("INSERT INTO rule_books VALUES (1, 0, '[]', ?1)", [shop])
        .unwrap();
    file.execute_batch(
        "PRAGMA application_id = 0x53746d70;
         PRAGMA user_version = 1;
         INSERT INTO meta VALUES (1, zeroblob(32), 0);
         INSERT INTO plugin_versions VALUES (1, 'points', '1', 'sha256:a', 'sha256:b');
         INSERT INTO customers VALUES (1, 'cus_a', 1, 0, 0, NULL, 7, 'gold', x'');
         INSERT INTO journal VALUES (1, 'till', '1', 'sale.completed', 0, 0, 1, 1, x'', 'applied', 1, 2, x'', x'');
         INSERT INTO lots VALUES (1, 1, 0, 'till', '1', 'points', 'base', 'a reason', '\"whole\"', NULL, 9, 'keep', 0,
                                  10, 7, '[]', 1, 1);
         INSERT INTO entries VALUES (1, 1, 1, 'base', 10, 10, 'a reason', 1, 1, 1, 0, 0, 'soho', NULL);
         INSERT INTO entries VALUES (2, 1, NULL, 'correction', -3, 7, 'a reason', 1, 1, 1, 0, 0, 'soho', NULL);
         INSERT INTO allocations VALUES (2, 1, 3);
         INSERT INTO tiers VALUES (1, 1, NULL, 'gold', 0, NULL, 'a reason', 1);
         INSERT INTO identifiers VALUES ('card', 'L-1', 1);",
    )
    .unwrap();
    drop(file);
    drop(open(&path).unwrap());
    let file = Connection::open(&path).unwrap();
    let text = |sql: &str| -> String { file.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(
        text(
            "SELECT group_concat(number || ' ' || amount || ' ' || balance_after || ' ' || location, ', ') FROM entries"
        ),
        "1 10 10 soho, 2 -3 7 soho"
    );
    assert_eq!(
        text("SELECT kind || ' ' || earned || ' ' || remaining || ' ' || expires_at FROM lots"),
        "base 10 7 9"
    );
    assert_eq!(
        text("SELECT taking || ' ' || lot || ' ' || amount || ' ' || event FROM allocations"),
        "2 1 3 1"
    );
    assert_eq!(
        text("SELECT id || ' ' || kind || ' ' || points || ' ' || source FROM takings"),
        "2 adjustment 3 till"
    );
    assert_eq!(
        text("SELECT group_concat(coalesce(taking, 'none'), ', ') FROM entries"),
        "none, 2"
    );
    assert_eq!(text("SELECT to_tier || ' ' || plugin FROM tiers"), "gold 1");
    assert_eq!(
        text("SELECT value FROM identifiers WHERE retired_at IS NULL"),
        "L-1"
    );
    let loose: i64 = file
        .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(loose, 0, "everything still points to what it pointed to");
    for sql in ["UPDATE entries SET amount = 0", "DELETE FROM entries"] {
        let error = file.execute(sql, []).expect_err(sql).to_string();
        assert!(error.contains("append-only"), "{sql}: {error}");
    }
    let both = "INSERT INTO entries VALUES (3, 1, 1, 'base', 1, 8, 'r', 1, 'Mia', 1, 1, 0, 0, NULL, NULL, NULL)";
    assert!(
        file.execute(both, []).is_err(),
        "either a plugin decided or a person"
    );
}
