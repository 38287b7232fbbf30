//! Every runbook is walked: the shop gets the trouble, and somebody types what the page says.

use crate::tills::numbered;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stampcard_tests::binary::root;
use stampcard_tests::event::{event, lines};
use stampcard_tests::markdown::{Block, blocks};
use stampcard_tests::reader::{Reader, Serving};
use stampcard_tests::receiver::{Receiver, Reply};
use stampcard_tests::sale;
use std::fs;

/// A reader with a new shop, and its operator's key.
fn reader() -> Reader {
    let reader = Reader::new();
    reader.run(
        "stampcard init shop --json > keys.json\n\
         OPERATOR=$(sed 's/.*\"operator\":\"\\([^\"]*\\)\".*/\\1/' keys.json)\n\
         printf '\\n[[locations]]\\nid = \"soho\"\\nname = \"SoHo\"\\n' >> shop/merchant.toml",
    );
    reader
}

/// The same after a few sales.
fn reader_with_sales() -> Reader {
    let reader = reader();
    ingest(&reader, &(0..20).map(numbered).collect::<Vec<_>>());
    reader
}

fn ingest(reader: &Reader, events: &[Value]) {
    let text = String::from_utf8(lines(events)).expect("events are UTF-8");
    reader.write("events.ndjson", &text);
    reader.run("stampcard ingest shop events.ndjson");
}

/// Types a runbook from top to bottom, and gives what each block printed.
#[track_caller]
fn walk(reader: &Reader, name: &str, mut open: Option<Serving>) -> Vec<String> {
    let path = root().join("docs/runbooks").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut printed = Vec::new();
    for Block { info, text } in blocks(&text) {
        match info.as_str() {
            "sh run" => printed.push(reader.run(&text)),
            "sh server" => open = Some(reader.serve("stampcard serve shop")),
            // The page stops the service; here it is a process.
            "sh stop" => open.take().expect("a server is open").stop(),
            other => assert!(
                ["sh", "text", ""].contains(&other),
                "{name}: nobody knows what a block {other:?} is"
            ),
        }
    }
    printed
}

fn serve(reader: &Reader) -> Option<Serving> {
    Some(reader.serve("stampcard serve shop"))
}

#[test]
fn bad_plugin() {
    let reader = reader_with_sales();
    fs::write(reader.path("shop/plugins/broken.wasm"), "no component").expect("a file");
    fs::write(
        reader.path("shop/plugins/broken.toml"),
        "version = \"1.0.0\"\n",
    )
    .expect("a file");
    let printed = walk(&reader, "bad-plugin.md", serve(&reader));
    assert!(printed[0].contains("broken"), "{printed:?}");
    assert!(!reader.path("shop/plugins/broken.wasm").exists());
    let last = printed.last().expect("it looks again");
    assert!(last.contains("\"not_loaded\":[]"), "{printed:?}");
}

#[test]
fn shop_not_open() {
    let reader = Reader::new();
    reader.run(
        "stampcard init shops/soho --json > keys.json\nstampcard init shops/brooklyn --json > keys.json\n\
         sed -i 's/^currency = .*/currency = \"DOLLARS\"/' shops/soho/merchant.toml",
    );
    let open = reader.serve("stampcard serve shops --operations 127.0.0.1:8378");
    let printed = walk(&reader, "shop-not-open.md", Some(open));
    assert!(
        printed[0].contains("\"not-open\"") && printed[0].contains("DOLLARS"),
        "{printed:?}"
    );
    let last = printed.last().expect("it looks again");
    assert!(!last.contains("not-open"), "{printed:?}");
}

#[test]
fn stuck_timers() {
    let reader = reader();
    let long_ago = Timestamp::now() - SignedDuration::from_hours(24 * 200);
    let person = json!({"customer": {"email": "ana@example.com"}, "total": 60_000});
    ingest(&reader, &[sale("old", &long_ago.to_string(), person)]);
    let printed = walk(&reader, "stuck-timers.md", None);
    assert!(
        printed[0].contains("something is due of 1 customers"),
        "{printed:?}"
    );
    let last = printed.last().expect("it looks again");
    assert!(last.contains("nothing is overdue"), "{printed:?}");
}

#[test]
fn full_disk() {
    let reader = reader_with_sales();
    fs::create_dir(reader.path("other-disk")).expect("a folder");
    let printed = walk(&reader, "full-disk.md", serve(&reader));
    let last = printed.last().expect("it checks");
    assert!(last.contains("nothing differs"), "{printed:?}");
    assert!(reader.path("other-disk/shop/data/stampcard.db").is_file());
}

#[test]
fn double_award() {
    let reader = reader_with_sales();
    // The same basket under two names: somebody pressed the key twice.
    let now = Timestamp::now().to_string();
    let basket = json!({"customer": {"email": "ana@example.com"}, "total": 60_000});
    ingest(
        &reader,
        &[
            sale("1001", &now, basket.clone()),
            sale("1001-again", &now, basket),
        ],
    );
    let printed = walk(&reader, "double-award.md", None);
    assert!(printed[0].contains("1001-again"), "{printed:?}");
    assert!(
        !printed[0].contains("till-1 7"),
        "only what is alike is listed: {printed:?}"
    );
    assert!(
        printed.iter().any(|text| text.contains("starter-points")),
        "{printed:?}"
    );
}

#[test]
fn restore() {
    let reader = reader_with_sales();
    reader.run("mkdir -p backups && stampcard backup shop backups/shop.tar");
    let printed = walk(&reader, "restore.md", serve(&reader));
    let last = printed.last().expect("it checks");
    assert!(last.contains("nothing differs"), "{printed:?}");
    assert!(
        fs::read_dir(reader.path("."))
            .expect("a folder")
            .any(|entry| {
                let name = entry.expect("an entry").file_name();
                name.to_string_lossy().starts_with("shop.damaged")
            })
    );
}

#[test]
fn failed_import() {
    let reader = reader_with_sales();
    let good = sale("5001", "2026-03-02T10:00:00-05:00", json!({"total": 900}));
    let mut bad = sale("5002", "2026-03-02T11:00:00-05:00", json!({"total": 900}));
    bad["data"]["location"] = json!("sohoo");
    reader.write(
        "past-sales.ndjson",
        &String::from_utf8(lines(&[good, bad])).expect("UTF-8"),
    );
    let printed = walk(&reader, "failed-import.md", None);
    assert!(
        printed.iter().any(|text| text.contains("unknown-location")),
        "{printed:?}"
    );
    let last = printed.last().expect("it imports again");
    assert!(last.contains("\"refused\":0"), "{printed:?}");
}

#[test]
fn people_and_tills() {
    let reader = reader_with_sales();
    let guests: Vec<Value> = (0..40)
        .map(|number| {
            let now = Timestamp::now().to_string();
            sale(&format!("g{number}"), &now, json!({"total": 900}))
        })
        .collect();
    ingest(&reader, &guests);
    let printed = walk(&reader, "people-and-tills.md", serve(&reader));
    assert!(
        printed[0].contains("33 % of the last 60 sales have a customer"),
        "{printed:?}"
    );
    assert!(
        printed[1].contains("stampcard_conflicts{merchant=\"shop\"} 0"),
        "{printed:?}"
    );
}

#[test]
fn every_runbook_is_walked() {
    let own = include_str!("runbooks.rs");
    let folder = fs::read_dir(root().join("docs/runbooks")).expect("the runbooks");
    for entry in folder {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("UTF-8");
        assert!(
            own.contains(&format!("\"{name}\", ")),
            "nobody walks {name}"
        );
    }
}

#[test]
fn outbox() {
    let receiver = Receiver::start(|number, _| Reply::status(if number == 0 { 500 } else { 200 }));
    let reader = reader();
    reader.write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let secret = format!("file:{}", reader.path("secret").display());
    let merchant = reader.path("shop/merchant.toml");
    let text = fs::read_to_string(&merchant).expect("the shop has one");
    let delivery = receiver.delivery(&secret, "attempts = 1");
    fs::write(&merchant, format!("{text}\n{delivery}")).expect("it can be written");
    let now = Timestamp::now();
    let ana = json!({"email": "ana@example.com"});
    let made = json!({"customer": ana, "consents": [{"purpose": "email", "granted": true}]});
    let before = now - SignedDuration::from_mins(1);
    let made = event("customer.created", "made", &before.to_string(), made);
    let bought = json!({"channel": "online", "customer": ana, "total": 500});
    let bought = sale("bought", &now.to_string(), bought);
    ingest(&reader, &[made, bought]);
    let _open = serve(&reader);
    receiver.wait_for(1);
    reader.run("until (stampcard outbox list shop --state dead || true) | grep welcome; do sleep 0.1; done");
    // The server stays: what is to be sent again leaves when the page is read.
    let printed = walk(&reader, "outbox.md", None);
    assert!(
        printed[0].contains("the receiver answered 500"),
        "{printed:?}"
    );
    assert_eq!(printed[1].trim(), "1 to be sent again");
    receiver.wait_for(2);
}
