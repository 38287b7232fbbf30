//! The doctor: for each ailment one line that names it, and what to type.

use crate::tills::numbered;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stampcard_tests::{Shop, binary, sale};
use std::fs;
use std::os::unix::fs::PermissionsExt;

const STEPS: [&str; 7] = [
    "identity",
    "consent",
    "events",
    "sync",
    "segments",
    "actions",
    "reporting",
];

fn report(shop: &Shop) -> (i32, Value) {
    let ran = binary::run(["doctor", shop.text(), "--json"]);
    assert!(ran.code <= 1, "{}", ran.stderr);
    (ran.code, ran.json())
}

fn found<'a>(report: &'a Value, part: &str, name: &str) -> &'a Value {
    report[part]
        .as_array()
        .and_then(|findings| findings.iter().find(|finding| finding["name"] == name))
        .unwrap_or_else(|| panic!("no {name} in {report}"))
}

fn clumsy_hand(shop: &Shop, sql: &str) {
    rusqlite::Connection::open(shop.database())
        .and_then(|connection| connection.execute_batch(sql))
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

#[test]
fn a_sound_shop_is_said_to_be_sound_open_or_closed() {
    let shop = Shop::new();
    let (code, new) = report(&shop);
    assert_eq!(code, 0, "{new}");
    let server = shop.serve();
    for number in 0..30 {
        server.outcome(&numbered(number));
    }
    let (code, open) = report(&shop);
    // The sales are two hours old and nobody was asked for a consent: that is all there is to say.
    assert_eq!(code, 1, "{open}");
    for part in ["checks", "setup"] {
        for finding in open[part].as_array().expect("a list") {
            let name = finding["name"].as_str().expect("a name");
            let state = finding["state"].as_str().expect("a state");
            let is_well = ["ok", "open"].contains(&state);
            assert_eq!(is_well, !["sync", "consent"].contains(&name), "{finding}");
            assert_eq!(finding["remedy"].is_null(), is_well, "{finding}");
        }
    }
    assert_eq!(
        found(&open, "checks", "ledger")["says"],
        "23 of 23 customers computed again, and nothing differs"
    );
    server.stop();
    let told = binary::run(["doctor", shop.text()]);
    assert!(told.stdout.contains("ok    ledger"), "{}", told.stdout);
    assert!(told.stdout.contains("→ let tills send"), "{}", told.stdout);
}

/// A line's name, its state, words of what it says and of its remedy; and what hurts a shop so.
type Ailment = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Box<dyn Fn(&Shop)>,
);

#[test]
fn each_ailment_has_a_line_that_names_it_and_a_remedy() {
    #[rustfmt::skip]
    let table: Vec<Ailment> = vec![
        ("configuration", "fail", "currencies", "correct that line",
            Box::new(|shop| shop.write("merchant.toml", shop.read("merchant.toml").replace("currency", "currencies")))),
        ("plugins", "fail", "broken", "bad-plugin.md",
            Box::new(|shop| { shop.write("plugins/broken.wasm", "no component"); shop.write("plugins/broken.toml", "version = \"1.0.0\"\n"); })),
        ("secrecy", "warn", "everybody", "chmod 700",
            Box::new(|shop| fs::set_permissions(shop.path("data"), fs::Permissions::from_mode(0o755)).expect("it is ours"))),
        ("ledger", "fail", "balance", "stampcard check",
            Box::new(|shop| clumsy_hand(shop, "UPDATE customers SET balance = balance + 1"))),
        ("answers", "warn", "brittle owes 2 customers one", "bad-plugin.md",
            Box::new(|shop| clumsy_hand(shop, "INSERT INTO missed (customer, at, source, id, plugin) SELECT id, 0, '', '', 'brittle' FROM customers"))),
        ("database", "fail", "format 900", "install the version",
            Box::new(|shop| clumsy_hand(shop, "PRAGMA user_version = 900"))),
        ("database", "fail", "not one of stampcard's", "restore.md",
            Box::new(|shop| clumsy_hand(shop, "PRAGMA application_id = 7"))),
        ("database", "fail", "no database", "restore.md",
            Box::new(|shop| fs::remove_file(shop.database()).expect("it is there"))),
        ("integrity", "fail", "", "restore.md",
            Box::new(|shop| crate::faults::overwrite_a_page(shop, "journal"))),
        ("keys", "warn", "no key works", "stampcard key add",
            Box::new(|shop| clumsy_hand(shop, "UPDATE api_keys SET revoked_at = 1"))),
        ("keys", "warn", "key 2 (pos) was never used in", "stampcard key revoke",
            Box::new(|shop| clumsy_hand(shop, "UPDATE api_keys SET created_at = created_at - 100 * 86400000 WHERE id = 2"))),
        ("keys", "warn", "key 3 (read) was not used in", "stampcard key revoke",
            Box::new(|shop| clumsy_hand(shop, "UPDATE api_keys SET last_used_at = created_at - 100 * 86400000 WHERE id = 3"))),
        ("clock", "warn", "set back", "timedatectl",
            Box::new(|shop| clumsy_hand(shop, "DROP TRIGGER journal_never_changes; UPDATE journal SET received_at = received_at + 7200000"))),
    ];
    for (name, state, says, remedy, hurt) in table {
        let shop = Shop::new();
        shop.ingest(&[numbered(1), numbered(2)]);
        hurt(&shop);
        let (code, report) = report(&shop);
        let finding = found(&report, "checks", name);
        assert_eq!(
            (code, finding["state"].as_str()),
            (1, Some(state)),
            "{report}"
        );
        let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        assert!(text("says").contains(says), "{finding}");
        assert!(text("remedy").contains(remedy), "{finding}");
    }
    let ran = binary::run(["doctor", "/nowhere/at/all"]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(ran.stderr.contains("stampcard init"), "{}", ran.stderr);
}

#[test]
fn what_is_overdue_is_told_until_a_server_has_driven_it() {
    let shop = Shop::new();
    let long_ago = Timestamp::now() - SignedDuration::from_hours(24 * 200);
    let person = json!({"customer": {"email": "ana@example.com"}, "total": 60_000});
    shop.ingest(&[sale("1", &long_ago.to_string(), person)]);
    let (_, before) = report(&shop);
    let timers = found(&before, "checks", "timers");
    assert_eq!(timers["state"], "warn", "{before}");
    assert!(
        timers["remedy"]
            .as_str()
            .is_some_and(|remedy| remedy.contains("stampcard serve"))
    );
    let server = shop.serve();
    let began = std::time::Instant::now();
    while found(&report(&shop).1, "checks", "timers")["state"] != "ok" {
        assert!(began.elapsed().as_secs() < 30, "{}", server.log());
    }
    server.stop();
    shop.check();
}

#[test]
fn the_seven_steps_come_in_their_order_and_follow_ups_before_identities_are_warned_of() {
    let guests = |known: usize| {
        let shop = Shop::new();
        let sales: Vec<Value> = (0..40)
            .map(|number: usize| {
                let customer = match number < known {
                    true => json!({"customer": {"email": format!("c{number}@example.com")}, "total": 1_000}),
                    false => json!({"total": 1_000}),
                };
                sale(&number.to_string(), &Timestamp::now().to_string(), customer)
            })
            .collect();
        shop.ingest(&sales);
        report(&shop).1
    };
    let few = guests(4);
    let names: Vec<&str> = few["setup"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|step| step["name"].as_str())
        .collect();
    assert_eq!(names, STEPS);
    assert_eq!(found(&few, "setup", "identity")["state"], "warn", "{few}");
    assert_eq!(
        found(&few, "setup", "identity")["says"],
        "10 % of the last 40 sales have a customer"
    );
    let actions = found(&few, "setup", "actions");
    assert_eq!(actions["state"], "warn", "{few}");
    assert!(
        actions["says"]
            .as_str()
            .is_some_and(|says| says.contains("follow-ups are on")),
        "{actions}"
    );
    let many = guests(36);
    for (step, state) in [
        ("identity", "ok"),
        ("events", "ok"),
        ("sync", "ok"),
        ("segments", "ok"),
        ("reporting", "ok"),
    ] {
        assert_eq!(found(&many, "setup", step)["state"], state, "{many}");
    }
    assert_ne!(found(&many, "setup", "actions")["state"], "warn", "{many}");
}
