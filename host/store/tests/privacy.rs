//! Personal data is in its own tables, and nowhere else in the file.

mod shop;

use rusqlite::types::ValueRef;
use serde_json::json;
use shop::*;

const PERSONAL: [&str; 4] = ["identifiers", "people", "names", "said"];

/// Every text and every blob of a table, blobs also as they are unpacked by the reads.
fn contents(shop: &TestShop, table: &str) -> Vec<Vec<u8>> {
    let eyes = shop.eyes();
    let mut statement = eyes.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = statement.column_count();
    let mut rows = statement.query([]).unwrap();
    let mut contents = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        for column in 0..columns {
            match row.get_ref(column).unwrap() {
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => contents.push(bytes.to_vec()),
                _ => {}
            }
        }
    }
    contents
}

#[test]
fn an_email_a_phone_a_name_and_a_note_are_found_in_the_personal_tables_only() {
    let shop = TestShop::new();
    let who = json!({"email": "Grace.Hopper@Example.COM", "phone": "(212) 555-0100", "card": "CARD-778899"});
    shop.send(&event(
        "customer.created",
        "c-1",
        MAY,
        json!({
            "customer": who, "given_name": "Gracie", "family_name": "Hopperton"
        }),
    ));
    for n in 0..40 {
        let mut sale = sale_of(&format!("s-{n}"), who.clone(), MAY + (n + 1) * DAY, 30_000);
        sale["data"]["note"] = "rings at the Hopperton door".into();
        shop.send(&sale);
    }
    shop.send(&sale_of("late", who, MAY + 3 * DAY + 1, 30_000));
    let secrets = [
        "grace.hopper",
        "555-0100",
        "2125550100",
        "CARD-778899",
        "Gracie",
        "Hopperton",
        "rings at",
    ];
    let eyes = shop.eyes();
    let tables: Vec<String> = eyes
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(tables.len() > 20);
    let holds = |bytes: &[u8], secret: &str| {
        String::from_utf8_lossy(bytes)
            .to_lowercase()
            .contains(&secret.to_lowercase())
    };
    for secret in secrets {
        let found: Vec<&String> = tables
            .iter()
            .filter(|table| {
                contents(&shop, table)
                    .iter()
                    .any(|bytes| holds(bytes, secret))
            })
            .collect();
        assert!(!found.is_empty(), "{secret} is not even where it belongs");
        assert!(
            found.iter().all(|table| PERSONAL.contains(&table.as_str())),
            "{secret} is in {found:?}"
        );
    }
    // Packed columns hide what they hold from a search of the bytes, so they are read as well.
    let reads = shop.store.reads();
    let mut unpacked = String::new();
    for row in reads.journal(0, 1_000).unwrap() {
        unpacked.push_str(&format!("{:?} {:?}", row.event, row.outcome));
        let name = stampcard_pipeline::event::EventName {
            source: row.event.source,
            id: row.event.id,
        };
        for explanation in reads.explanations(&name).unwrap() {
            unpacked.push_str(&format!("{:?}", explanation.explanation.notes));
            for call in explanation.explanation.calls {
                unpacked.push_str(&String::from_utf8_lossy(&call.input));
                unpacked.push_str(&format!("{:?}", call.answer));
            }
        }
    }
    for record in reads
        .customers(stampcard_store::reads::Find::All, None, 10)
        .unwrap()
    {
        unpacked.push_str(&format!("{:?}", record.head));
        unpacked.push_str(&String::from_utf8_lossy(&record.head.to_bytes()));
    }
    assert!(
        unpacked.contains("LAMP-40"),
        "the search sees what is packed"
    );
    for secret in secrets {
        assert!(
            !holds(unpacked.as_bytes(), secret),
            "{secret} is packed somewhere"
        );
    }
}

#[test]
fn deleting_the_personal_rows_leaves_a_sound_file() {
    let shop = TestShop::new();
    shop.send(&sale_of(
        "s-1",
        json!({"email": "grace@example.com"}),
        MAY,
        30_000,
    ));
    let eyes = shop.eyes();
    // As the writer has it.
    eyes.pragma_update(None, "secure_delete", true).unwrap();
    for table in PERSONAL {
        eyes.execute(&format!("DELETE FROM {table}"), []).unwrap();
    }
    let differences = shop.store.reads().check(&mut |_| ()).unwrap();
    assert!(differences.is_empty(), "{differences:#?}");
    drop(eyes);
    let TestShop { dir, store, .. } = shop;
    drop(store);
    let bytes = std::fs::read(dir.path().join("shop.db")).unwrap();
    let left = bytes
        .windows(17)
        .any(|window| window == b"grace@example.com");
    assert!(!left, "what is deleted is overwritten");
}
