//! The command line: what is wrong is told with what to do, exit codes mean something, and what is
//! refused changes nothing.

use serde_json::{Value, json};
use stampcard_tests::binary::{self, Ran};
use stampcard_tests::event::lines;
use stampcard_tests::{Shop, sale};

const DONE: i32 = 0;
const ATTENTION: i32 = 1;
const FAILED: i32 = 2;

#[track_caller]
fn says(ran: &Ran, code: i32, words: &[&str]) {
    let told = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, code, "{told}");
    for word in words {
        assert!(told.contains(word), "it does not say {word:?}:\n{told}");
    }
    assert!(!told.contains("panicked"), "{told}");
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in [
        &["init"][..],
        &["serve"],
        &["ingest"],
        &["check"],
        &["explain"],
        &["export"],
        &["replay"],
        &["backup"],
        &["restore"],
        &["doctor"],
        &["sandbox"],
        &["edge"],
        &["conformance"],
        &["report", "segments"],
        &["report", "movements"],
        &["report", "tags"],
        &["plugin", "new"],
        &["plugin", "build"],
        &["plugin", "test"],
        &["plugin", "bench"],
        &["plugin", "run"],
        &["plugin", "watch"],
        &["plugin", "list"],
        &["plugin", "install"],
        &["plugin", "rollback"],
        &["plugin", "apply"],
        &["plugin", "inspect"],
        &["pack", "new"],
        &["pack", "build"],
        &["pack", "key"],
        &["pack", "sign"],
        &["pack", "verify"],
        &["pack", "push"],
        &["pack", "pull"],
        &["pack", "install"],
        &["pack", "list"],
        &["pack", "status"],
        &["pack", "remove"],
        &["key", "add"],
        &["key", "list"],
        &["key", "revoke"],
    ] {
        let help = binary::run([command, &["--help"]].concat());
        says(&help, DONE, &["Example", "Usage: stampcard"]);
    }
}

#[test]
fn a_command_that_cannot_be_done_says_why_and_what_to_do() {
    let shop = Shop::new();
    let text = shop.text();
    let nowhere = format!("{text}/nowhere");
    let table: &[(&[&str], i32, &[&str])] = &[
        (&["init", text], FAILED, &["not empty"]),
        (
            &["init", &nowhere, "--currency", "DOLLARS"],
            FAILED,
            &["currency", "USD"],
        ),
        (
            &["init", &nowhere, "--time-zone", "Mars/Olympus"],
            FAILED,
            &["time_zone", "America/New_York"],
        ),
        (
            &["init", &nowhere, "--country", "Atlantis"],
            FAILED,
            &["country"],
        ),
        (&["serve", &nowhere], FAILED, &["stampcard init"]),
        (&["check", &nowhere], FAILED, &[]),
        (&["export", text, "tables"], FAILED, &["customers"]),
        (
            &["export", text, "customers", "--as-of", "yesterday"],
            FAILED,
            &["as-of"],
        ),
        (
            &["explain", text, "till-1", "no-such"],
            ATTENTION,
            &["no-such"],
        ),
        (
            &["explain", text, "--customer", "nobody@example.com"],
            ATTENTION,
            &[],
        ),
        (&["ingest", text, "no-such-file"], FAILED, &["no-such-file"]),
        (&["key", "add", text, "king"], FAILED, &["pos"]),
        (&["key", "revoke", text, "99"], ATTENTION, &["99"]),
        (&["replay", text, text], FAILED, &[]),
        (
            &["plugin", "inspect", "no-such.wasm"],
            FAILED,
            &["no-such.wasm"],
        ),
        (&["frobnicate"], FAILED, &["stampcard"]),
    ];
    for (arguments, code, words) in table {
        let ran = binary::run(*arguments);
        let what = arguments.join(" ");
        assert_eq!(ran.code, *code, "{what}: {}{}", ran.stdout, ran.stderr);
        says(&ran, *code, words);
    }
    assert!(
        !std::path::Path::new(&nowhere).exists(),
        "what failed left something behind"
    );
}

#[test]
fn a_mistake_in_the_shops_files_is_told_with_file_line_key_and_the_nearest_one() {
    // In each file something is written otherwise, and the message has to name something.
    let table = [
        ("merchant.toml", "currency =", "currencies =", "currency"),
        ("merchant.toml", "\nlate =", "\nlats =", "late"),
        (
            "merchant.toml",
            "id = \"brooklyn\"",
            "id = \"soho\"",
            "soho",
        ),
        (
            "stampcard.toml",
            "level = \"info\"",
            "levels = \"info\"",
            "level",
        ),
        (
            "stampcard.toml",
            "# listen = \"127.0.0.1:8377\"",
            "listen = \"everywhere\"",
            "listen",
        ),
    ];
    for (file, right, wrong, named) in table {
        let shop = Shop::new();
        let text = shop.read(file);
        assert!(text.contains(right), "{file} has no {right:?}");
        shop.write(file, text.replace(right, wrong));
        let ran = shop.run("serve", &["--listen", "127.0.0.1:0"]);
        says(&ran, FAILED, &[file, named]);
    }
}

#[test]
fn refused_lines_are_kept_with_their_reasons_and_the_others_are_taken() {
    let good = sale(
        "1",
        "2026-03-02T10:00:00-05:00",
        json!({"customer": {"email": "ana@example.com"}, "total": 1_000}),
    );
    let wrong_sum = sale(
        "2",
        "2026-03-02T10:00:00-05:00",
        json!({"lines": [{"amount": 1}], "total": 1_000}),
    );
    let far = sale("3", "2999-01-01T00:00:00Z", json!({"total": 1_000}));
    let mut input = lines(&[good.clone(), wrong_sum, far]);
    input.extend_from_slice(b"this is not JSON\n\n[1, 2]\n");
    input.extend_from_slice(&lines(&[good]));
    let shop = Shop::new();
    let ran = binary::run_with_input(["ingest", shop.text(), "-", "--json"], &input);
    assert_eq!(ran.code, ATTENTION, "{}", ran.stderr);
    let summary = ran.json();
    let count = |key: &str| summary[key].as_u64();
    assert_eq!(
        (count("applied"), count("duplicate"), count("refused")),
        (Some(1), Some(1), Some(4)),
        "{summary}"
    );
    let file = summary["refused_file"].as_str().expect("it names the file");
    let kept = std::fs::read_to_string(file).expect("the file is there");
    let codes: Vec<(u64, String)> = kept
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"))
        .map(|row| {
            (
                row["line"].as_u64().unwrap_or(0),
                row["code"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let mut codes: Vec<(u64, &str)> = codes
        .iter()
        .map(|(line, code)| (*line, code.as_str()))
        .collect();
    codes.sort();
    assert_eq!(
        codes,
        [
            (2, "sum"),
            (3, "from-the-future"),
            (4, "malformed"),
            (6, "malformed")
        ]
    );
    assert_eq!(shop.exported("customers", &[]).len(), 1);
    shop.check();
}

#[test]
fn one_program_at_a_time_writes_a_shop_and_readers_are_welcome() {
    let shop = Shop::new();
    let server = shop.serve();
    server.outcome(&sale(
        "1",
        &jiff::Timestamp::now().to_string(),
        json!({"customer": {"email": "ana@example.com"}, "total": 1_000}),
    ));
    for (command, more) in [
        ("ingest", &["-"][..]),
        ("serve", &["--listen", "127.0.0.1:0"]),
    ] {
        says(
            &shop.run(command, more),
            FAILED,
            &["another stampcard has it open"],
        );
    }
    assert_eq!(shop.exported("customers", &[])[0]["balance"], 10);
    says(
        &shop.run("explain", &["till-1", "1"]),
        DONE,
        &["starter-points", "+10"],
    );
    server.stop();
}

#[test]
fn a_damaged_shop_is_found_and_a_file_that_is_no_database_is_refused() {
    let shop = Shop::new();
    shop.ingest(&[sale(
        "1",
        "2026-03-02T10:00:00-05:00",
        json!({"customer": {"email": "ana@example.com"}, "total": 1_000}),
    )]);
    shop.check();
    let database = shop.database();
    let connection = rusqlite::Connection::open(&database).expect("a database");
    connection
        .execute("UPDATE customers SET balance = balance + 1", [])
        .expect("a clumsy hand");
    drop(connection);
    says(&shop.run("check", &[]), ATTENTION, &["balance"]);
    std::fs::write(&database, "no database").expect("it can be written");
    says(
        &shop.run("serve", &["--listen", "127.0.0.1:0"]),
        FAILED,
        &[],
    );
}
