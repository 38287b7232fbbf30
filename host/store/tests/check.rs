//! `check` finds every kind of damage and names it; a sound file has none.

mod shop;

use serde_json::json;
use shop::*;
use stampcard_store::check::Difference;
use stampcard_store::reads::Reads;

/// A shop in which everything has happened that can.
fn busy_shop() -> TestShop {
    let shop = TestShop::new();
    for day in 0..40 {
        shop.send(&sale(&format!("a-{day:02}"), "C-1", MAY + day * DAY, 4_000));
        if day % 9 == 0 {
            shop.send(&sale(
                &format!("b-{day:02}"),
                "C-2",
                MAY + day * DAY,
                60_000,
            ));
        }
    }
    shop.send(&sale("late", "C-1", MAY + 20 * DAY + HOUR, 20_000));
    shop.send(&guest_sale("guest", MAY, 100));
    let quiet = shop
        .send(&sale("quiet", "C-3", MAY, 1_000))
        .customer
        .unwrap();
    shop.tick(&quiet.id, MAY + 31 * DAY);
    shop.send(&sale("failing", "C-4", MAY, 1_000));
    let jacket = json!({"product": "jacket", "variant": "JKT-M", "price": 12_900});
    let told = json!({"currency": "USD", "products": [jacket]});
    shop.send(&event("catalog.updated", "products", MAY, told));
    let [keep, other] = ["C-5", "C-6"].map(|card| {
        let sold = shop.send(&sale(&format!("of-{card}"), card, MAY, 2_000));
        sold.customer.unwrap().id
    });
    let merge =
        json!({"keep": keep, "other": other, "confirmed_on": "card", "reason": "two cards"});
    shop.send(&event("customer.merged", "merge", MAY + DAY, merge));
    shop
}

fn differences(shop: &TestShop) -> Vec<Difference> {
    shop.store.reads().check(&mut |_| ()).unwrap()
}

#[test]
fn a_sound_file_has_no_differences_and_progress_reaches_its_end() {
    let shop = busy_shop();
    let mut seen = Vec::new();
    let found = shop
        .store
        .reads()
        .check(&mut |progress| seen.push(progress))
        .unwrap();
    assert!(found.is_empty(), "{found:#?}");
    for part in ["file", "journal", "entries", "explanations", "customers"] {
        assert!(
            seen.iter()
                .any(|progress| progress.part == part && progress.done == progress.of),
            "{part}: {seen:?}"
        );
    }
}

#[test]
fn every_kind_of_damage_is_found_and_named() {
    let damages = [
        (
            "UPDATE entries SET amount = amount + 1 WHERE number = 3",
            "entry 3: balance after",
        ),
        (
            "UPDATE entries SET balance_after = 7 WHERE number = 4",
            "entry 4: balance after",
        ),
        (
            "UPDATE customers SET balance = balance + 5 WHERE id = 1",
            "balance",
        ),
        ("DELETE FROM entries WHERE number = 5", "entry 6: number"),
        ("DELETE FROM entries WHERE number = 5", "entries"),
        (
            "DELETE FROM entries WHERE number = (SELECT max(number) FROM entries)",
            "entries",
        ),
        (
            "UPDATE customers SET credit = credit + 5 WHERE id = 1",
            "balance of store credit",
        ),
        (
            "UPDATE lots SET currency = 1 WHERE id = 2",
            "points in lots",
        ),
        (
            "UPDATE lots SET earned = earned + 1 WHERE id = 2",
            "lot 2: earned",
        ),
        (
            "UPDATE lots SET remaining = 0 WHERE id = 2",
            "lot 2: remaining",
        ),
        (
            "INSERT INTO allocations VALUES (1, 0, '', '', 1, 1, 3)",
            "lot 1: remaining",
        ),
        ("DELETE FROM lots WHERE id = 1", "lot 1"),
        (
            "UPDATE history SET spend = spend + 1 WHERE id = 'a-03'",
            "history of till-1/a-03",
        ),
        (
            "UPDATE history SET orders = 0 WHERE id = 'a-03'",
            "orders in all",
        ),
        (
            "UPDATE entries SET kind = 'correction' WHERE kind = 'transfer' AND amount < 0",
            "points transferred",
        ),
        (
            "UPDATE customers SET merged_into = NULL WHERE id = 6",
            "merged into",
        ),
        (
            "UPDATE customers SET merged_into = 1 WHERE id = 6",
            "merged into",
        ),
        (
            "UPDATE lots SET customer = 6 WHERE id = (SELECT max(id) FROM lots)",
            "rows of one who was merged",
        ),
        (
            "UPDATE identifiers SET customer = 6 WHERE value = 'C-6'",
            "rows of one who was merged",
        ),
        ("DELETE FROM history WHERE id = 'a-39'", "last event"),
        ("DELETE FROM history WHERE id = 'a-03'", "spend by pos"),
        ("DELETE FROM history WHERE id = 'a-39'", "spend in 7 days"),
        (
            "UPDATE memberships SET left_at = 1, left_number = 1 WHERE segment = 'big'",
            "membership in big",
        ),
        (
            "UPDATE memberships SET until = until + 1 WHERE segment = 'recent' AND left_at IS NULL",
            "membership in recent",
        ),
        (
            "INSERT INTO memberships (customer, number, segment, since, reason, plugin) VALUES (3, 900, 'big', 1, '', 1)",
            "memberships numbered after the head",
        ),
        (
            "DELETE FROM tiers WHERE customer = 2",
            "last change of tier",
        ),
        ("UPDATE customers SET tier = 'gold' WHERE id = 3", "tier"),
        (
            "UPDATE customers SET next_due = next_due + 1 WHERE id = 1",
            "next due",
        ),
        ("UPDATE customers SET clock = 1 WHERE id = 1", "clock"),
        (
            "UPDATE customers SET created_at = 1 WHERE id = 1",
            "created at",
        ),
        ("UPDATE customers SET head = x'00' WHERE id = 1", "head"),
        (
            "UPDATE customers SET head = (SELECT head FROM customers WHERE id = 2) WHERE id = 1",
            "head: balance",
        ),
        (
            "UPDATE journal SET body = x'0102' WHERE seq = 4",
            "journal 4: event",
        ),
        (
            "UPDATE journal SET outcome = x'0102' WHERE seq = 4",
            "journal 4: answer",
        ),
        (
            "UPDATE journal SET id = 'other' WHERE seq = 4",
            "journal 4: name",
        ),
        ("UPDATE journal SET seq = 900 WHERE id = 'guest'", "number"),
        ("DELETE FROM journal WHERE seq = 4", "foreign keys"),
        (
            "DELETE FROM explanations WHERE id = 'a-07'",
            "explanation of till-1/a-07",
        ),
        (
            "UPDATE explanations SET body = x'01' WHERE number = 3",
            "explanation 3",
        ),
        (
            "UPDATE explanations SET at = at + 1 WHERE number = 3",
            "explanation 3: step",
        ),
        (
            "DELETE FROM rule_book_plugins WHERE position = 3",
            "explanation 1: plugin",
        ),
        (
            "UPDATE orders SET id = 'other' WHERE id = 'a-03'",
            "order pos/other",
        ),
        (
            "INSERT INTO customer_tags (tag, customer) VALUES ('spender', 3)",
            "tags",
        ),
        (
            "INSERT INTO missed (customer, at, source, id, plugin) SELECT customer, at, source, id, 'points' FROM history WHERE id = 'a-03'",
            "who owes an answer to till-1/a-03",
        ),
        (
            "DELETE FROM missed WHERE id = 'failing'",
            "who owes an answer to till-1/failing",
        ),
        (
            "UPDATE missed SET plugin = 'tiers' WHERE id = 'failing'",
            "who owes an answer to till-1/failing",
        ),
        (
            "UPDATE products SET price = price + 1 WHERE product = 'jacket'",
            "product jacket/JKT-M",
        ),
        ("DELETE FROM products", "product jacket/JKT-M"),
        (
            "INSERT INTO products SELECT 'scarf', '', NULL, NULL, 1, '[]', '[]', 1, 'x', '1'",
            "product scarf",
        ),
        (
            "UPDATE outbox SET number = 900 WHERE id = 1",
            "follow-up 1: number",
        ),
        (
            "UPDATE checkpoints SET fold = (SELECT fold FROM checkpoints WHERE number = 1) WHERE number = 2",
            "checkpoint 2: events",
        ),
        (
            "UPDATE checkpoints SET fold = x'01' WHERE number = 1",
            "checkpoint 1",
        ),
    ];
    let sound = busy_shop();
    sound.store.flush().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let template = dir.path().join("sound.db");
    sound
        .eyes()
        .execute("VACUUM INTO ?1", [template.to_str().unwrap()])
        .unwrap();
    for (sql, named) in damages {
        let path = dir.path().join("damaged.db");
        std::fs::copy(&template, &path).unwrap();
        let damage = rusqlite::Connection::open(&path).unwrap();
        damage.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        let triggers: Vec<String> = damage
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for trigger in triggers {
            damage
                .execute_batch(&format!("DROP TRIGGER {trigger}"))
                .unwrap();
        }
        assert!(damage.execute(sql, []).unwrap() > 0, "{sql} does no damage");
        drop(damage);
        let found = Reads::open(&path, 1, 1_000)
            .unwrap()
            .check(&mut |_| ())
            .unwrap();
        let is_named = found.iter().any(|difference| match named {
            "foreign keys" => difference.expected == "a row of journal",
            "entries" | "number" | "points transferred" => difference.what.ends_with(named),
            _ => difference.what == named,
        });
        assert!(is_named, "{sql}: {named} is not among {found:#?}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_damaged_page_is_found() {
    let sound = busy_shop();
    sound.store.flush().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.db");
    sound
        .eyes()
        .execute("VACUUM INTO ?1", [path.to_str().unwrap()])
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    // The first index of the customers: its order is then wrong, which only SQLite itself can see.
    let root: u32 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'outbox_by_due'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let page = &mut bytes[(root as usize - 1) * 4096..root as usize * 4096];
    page[4000..].fill(0x11);
    std::fs::write(&path, bytes).unwrap();
    let found = Reads::open(&path, 1, 1_000).unwrap().check(&mut |_| ());
    assert!(
        found.as_ref().map_or(true, |found| found
            .iter()
            .any(|difference| difference.what == "file")),
        "{found:?}"
    );
}

#[test]
fn refolds_leave_nothing_that_differs() {
    let shop = busy_shop();
    for (n, day) in [35, 3, 17, 0, 28, 9].into_iter().enumerate() {
        shop.send(&sale(
            &format!("later-{n}"),
            "C-1",
            MAY + day * DAY + 2 * HOUR,
            30_000,
        ));
        let found = differences(&shop);
        assert!(found.is_empty(), "after day {day}: {found:#?}");
    }
}
