//! Why it came out as it did, for people and for scripts; and that what was recorded can be run
//! again, in the rules of then, whatever is live now.

use serde_json::{Value, json};
use stampcard_tests::binary::{self, root, target};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, sale};

const AT: &str = "2026-03-02T10:00:00-05:00";

fn bought(id: &str, total: i64) -> Value {
    sale(
        id,
        AT,
        json!({"customer": {"email": "ana@example.com"}, "total": total}),
    )
}

/// `explain --json`, and how it ended.
#[track_caller]
fn explained(shop: &Shop, id: &str) -> (Value, i32) {
    let ran = shop.run("explain", &["till-1", id, "--json"]);
    assert!(ran.code < 2, "{}", ran.stderr);
    (ran.json(), ran.code)
}

/// The same in words.
#[track_caller]
fn told(shop: &Shop, id: &str, words: &[&str]) -> String {
    let ran = shop.run("explain", &["till-1", id]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for word in words {
        assert!(
            ran.stdout.contains(word),
            "it does not say {word:?}:\n{}",
            ran.stdout
        );
    }
    ran.stdout
}

fn guest(name: &str) -> Vec<u8> {
    let package = root().join("tests/guests").join(name);
    stampcard_build::component(package, stampcard_build::shared_target_dir(target()))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn lay(shop: &Shop, component: &[u8], version: &str, more: &str) {
    shop.write("plugins/house.wasm", component);
    shop.write(
        "plugins/house.toml",
        format!(
            "name = \"house\"\nversion = {version:?}\nroles = [\"point-formula\"]\nevents = [\"sale.completed\"]\n\
             configuration = {{ type = \"object\" }}\n{more}"
        ),
    );
}

fn hostile(crime: &str, limits: &str) -> String {
    format!("[limits]\n{limits}\n[config]\ncrime = {crime:?}\n")
}

#[test]
fn what_was_recorded_runs_again_in_the_rules_of_then_and_not_in_those_that_are_live() {
    let shop = Shop::new();
    lay(&shop, &guest("per-dollar"), "1.0.0", "");
    shop.ingest(&[bought("first", 1_000)]);
    // The rate of one plugin changes, and the other becomes a different program.
    shop.lay_over("plugins/starter-points.toml", "[config]\npoints = 3");
    lay(&shop, &guest("hostile"), "2.0.0", &hostile("None", ""));
    shop.ingest(&[bought("second", 1_000)]);
    for (id, starter, house, version) in [("first", 10, 10, "1.0.0"), ("second", 30, 1, "2.0.0")] {
        let (it, code) = explained(&shop, id);
        assert_eq!((&it["rerun"], code), (&json!("same"), 0), "{id}: {it:#}");
        let of = |name: &str| {
            let points = it["outcome"]["points"].as_array().expect("points").clone();
            let entry = points.into_iter().find(|entry| entry["plugin"] == name);
            entry.map(|entry| entry["amount"].clone())
        };
        assert_eq!(of("starter-points"), Some(json!(starter)), "{id}");
        assert_eq!(of("house"), Some(json!(house)), "{id}");
        let asked = it["plugins"].as_array().expect("plugins");
        let house = asked
            .iter()
            .find(|plugin| plugin["name"] == "house")
            .expect("it was asked");
        assert_eq!(
            (&house["version"], &house["status"]),
            (&json!(version), &json!("ok"))
        );
        assert!(house["notes"].is_array(), "{house}");
        assert!(
            it["event"]["id"] == id
                && it["steps"]
                    .as_array()
                    .is_some_and(|steps| !steps.is_empty())
        );
    }
    told(
        &shop,
        "first",
        &["house 1.0.0 as point-formula", "the same answers"],
    );
    // What is not there any more on the shop's folder is run from the database.
    std::fs::remove_file(shop.path("plugins/house.wasm")).expect("it is there");
    std::fs::remove_file(shop.path("plugins/house.toml")).expect("it is there");
    assert_eq!(explained(&shop, "second").0["rerun"], "same");
}

#[test]
fn a_step_that_was_due_by_itself_and_a_text_with_a_name_run_again_too() {
    let shop = Shop::new();
    shop.write(
        "plugins/starter-follow-ups.toml",
        "pack = \"starter-follow-ups\"\npersonal = [\"name\"]\ngrant = [\"name\"]\n\n[config.rules.thanks]\non = [\"sale\"]\n\
         receipt = [\"Thank you, {first_name|friend}.\"]\n",
    );
    let customer = json!({"email": "ana@example.com"});
    shop.ingest(&[
        event(
            "customer.created",
            "made",
            AT,
            json!({"customer": customer, "given_name": "Ana"}),
        ),
        bought("1", 1_000),
        sale(
            "2",
            "2026-06-02T10:00:00-05:00",
            json!({"customer": customer, "total": 1_000}),
        ),
    ]);
    let (it, _) = explained(&shop, "1");
    assert_eq!(it["rerun"], "same", "{it:#}");
    let (it, _) = explained(&shop, "2");
    assert_eq!(it["rerun"], "same", "{it:#}");
    // A replay gives texts with names back as well.
    let copy = shop.path("../copy");
    let copy = copy.to_str().expect("UTF-8");
    binary::run(["replay", shop.text(), copy]).ok();
    let whole = |dir: &str| binary::run(["export", dir, "events"]).ok();
    assert_eq!(whole(copy), whole(shop.text()));
}

#[test]
fn a_call_that_failed_fails_again_within_the_limits_of_then() {
    for (crime, limits, class, says) in [
        (
            "Loop",
            "fuel = 1000000\nfuel_per_line = 10",
            "fuel",
            "used more than 1000010 fuel",
        ),
        (
            "Grab",
            "memory_bytes = 4000000",
            "memory",
            "wanted more than 4000000 bytes",
        ),
        ("Recurse", "", "stack", "overflowed its stack"),
        ("Panic", "", "trap", "the till is on fire"),
        ("LargeState", "", "answer", "4097 bytes"),
        ("Reject", "", "rejected", "wholesale customers earn nothing"),
    ] {
        let shop = Shop::new();
        lay(&shop, &guest("hostile"), "1.0.0", &hostile(crime, limits));
        shop.ingest(&[bought("1", 1_000)]);
        // It is mended, and nobody has been asked again yet.
        lay(&shop, &guest("hostile"), "1.0.1", &hostile("None", ""));
        binary::run(["plugin", "apply", shop.text()]).ok();
        let (it, code) = explained(&shop, "1");
        assert_eq!(
            (&it["rerun"], code),
            (&json!("same"), 0),
            "{crime}: {:#}",
            it["rerun"]
        );
        let asked = it["plugins"].as_array().expect("plugins");
        let house = asked
            .iter()
            .find(|plugin| plugin["name"] == "house")
            .expect("it was asked");
        assert_eq!(house["status"], class, "{crime}");
        assert!(
            house["notes"].to_string().contains(says),
            "{crime}: {house}"
        );
        told(&shop, "1", &[says, "the same answers"]);
    }
}

#[test]
fn what_depends_on_the_clock_is_not_run_again_and_says_so() {
    let shop = Shop::new();
    let slow = hostile("Dawdle", "fuel = 200000000\ndeadline_ms = 20");
    lay(&shop, &guest("hostile"), "1.0.0", &slow);
    shop.ingest(&[bought("1", 1_000)]);
    let (it, code) = explained(&shop, "1");
    assert_eq!(code, 1, "it wants attention");
    let differs = &it["rerun"]["differs"][0];
    assert_eq!(
        (&differs["plugin"], &differs["now"]),
        (&json!("house"), &Value::Null),
        "{differs}"
    );
    assert!(
        differs["because"].to_string().contains("deadline"),
        "{differs}"
    );
}

#[test]
fn an_answer_that_cannot_be_had_again_is_named_with_its_place_then_and_now() {
    let shop = Shop::new();
    shop.ingest(&[bought("1", 1_000)]);
    shop.lay_over("plugins/starter-points.toml", "[config]\npoints = 3");
    shop.ingest(&[bought("2", 1_000)]);
    // Somebody's hand puts one configuration in the place of the other.
    let database = rusqlite::Connection::open(shop.database()).expect("a database");
    let configuration = |book: i64| -> String {
        let plugins: String = database
            .query_row(
                "SELECT plugins FROM rule_books WHERE number = ?1",
                [book],
                |row| row.get(0),
            )
            .expect("a rule book");
        let plugins: Value = serde_json::from_str(&plugins).expect("JSON");
        let plugins = plugins.as_array().expect("a list");
        let points = plugins
            .iter()
            .find(|plugin| plugin["name"] == "starter-points");
        points.expect("it is there")["configuration"]
            .as_str()
            .expect("a digest")
            .to_owned()
    };
    database
        .execute(
            "UPDATE artifacts SET body = (SELECT body FROM artifacts WHERE digest = ?2) WHERE digest = ?1",
            [configuration(1), configuration(2)],
        )
        .expect("a clumsy hand");
    drop(database);
    let (it, code) = explained(&shop, "1");
    assert_eq!(code, 1);
    let differs = it["rerun"]["differs"].as_array().expect("a list");
    let amount = differs.iter().find(|place| {
        place["place"]
            .as_str()
            .is_some_and(|place| place.starts_with("/awards/0/amount"))
    });
    let amount = amount.unwrap_or_else(|| panic!("{differs:#?}"));
    assert_eq!(
        (&amount["plugin"], &amount["then"], &amount["now"]),
        (&json!("starter-points"), &json!(10), &json!(30))
    );
    let words = shop.run("explain", &["till-1", "1"]);
    assert!(
        words.code == 1 && words.stdout.contains("10 then, 30 now"),
        "{}",
        words.stdout
    );
    assert_eq!(explained(&shop, "2").0["rerun"], "same");
    // Nobody has to ask for it: the audit of the open shop finds it by itself.
    let server = shop.serve();
    let differs = audited(&server, "stampcard_audit_rerun_differences");
    assert!(differs > 0, "{}", server.log());
    assert!(server.log().contains("does not come out again as it was"));
}

/// A figure of the audit, once it has decided an event again.
fn audited(server: &Server, figure: &str) -> u64 {
    let read = |name: &str| server.figure(name, &[]).expect("the figure is there") as u64;
    let began = std::time::Instant::now();
    while read("stampcard_audit_reruns_total") < 1 {
        assert!(
            began.elapsed() < std::time::Duration::from_secs(60),
            "{}",
            server.log()
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    read(figure)
}

#[test]
fn an_open_shop_decides_a_sample_of_its_sales_again_and_finds_the_same_points() {
    let shop = Shop::new();
    shop.ingest(&[bought("1", 1_000), bought("2", 2_000)]);
    shop.lay_over("plugins/starter-points.toml", "[config]\npoints = 3");
    shop.ingest(&[bought("3", 1_000)]);
    let server = shop.serve();
    assert_eq!(audited(&server, "stampcard_audit_rerun_differences"), 0);
    assert_eq!(audited(&server, "stampcard_ledger_differences"), 0);
}

#[test]
fn nothing_is_decided_again_about_whom_was_erased() {
    let shop = Shop::new();
    shop.ingest(&[bought("1", 1_000)]);
    // What an erasure deletes: the personal room, and nothing else.
    let database = rusqlite::Connection::open(shop.database()).expect("a database");
    for table in ["said", "identifiers", "people", "names"] {
        database
            .execute(&format!("DELETE FROM {table}"), [])
            .expect(table);
    }
    drop(database);
    let (it, code) = explained(&shop, "1");
    assert_eq!((&it["rerun"], code), (&json!("erased"), 0), "{it:#}");
    assert_eq!(
        it["outcome"]["points"][0]["amount"], 10,
        "why it was so is still told"
    );
    told(&shop, "1", &["Not run again", "erased"]);
}

/// Lays over merchant.toml and says what one sale came to: in words, and over HTTP.
#[track_caller]
fn with_rules(shop: &Shop, merchant: &str, event: &Value, words: &[&str]) {
    shop.lay_over("merchant.toml", merchant);
    shop.ingest(std::slice::from_ref(event));
    let id = event["id"].as_str().expect("an id");
    told(shop, id, words);
    let (server, _copy) = shop.serve_copy();
    let record = server.get(&format!("/v1/events?source=till-1&id={id}"));
    let explanation = record["explanation"].to_string();
    let in_notes = words
        .iter()
        .filter(|word| word.contains(':') || word.contains(" lost "));
    for word in in_notes {
        assert!(
            explanation.contains(&word.replace('"', "\\\"")),
            "{word}: {explanation}"
        );
    }
}

#[test]
fn what_the_caps_did_and_what_lost_to_what_is_told_in_words() {
    let capped = Shop::new();
    with_rules(
        &capped,
        "[caps]\npoints_per_event = 7",
        &bought("1", 1_000),
        &[
            "points_per_event: 10 points were capped to 7",
            "+10 base points",
            "+7 points",
        ],
    );

    let best = Shop::new();
    lay(&best, &guest("hostile"), "1.0.0", &hostile("None", ""));
    with_rules(
        &best,
        "[policies]\nawards = \"best\"",
        &bought("1", 1_000),
        &["house lost with 1 points to starter-points with 10"],
    );

    let offered = Shop::new();
    offered.write(
        "plugins/starter-follow-ups.toml",
        "pack = \"starter-follow-ups\"\n\n[config.rules.half]\non = [\"sale\"]\nprompt = { text = \"Half off!\", offer = { share = 5000, on = \"next_purchase\" } }\n\
         \n[config.rules.come]\non = [\"sale\"]\neverybody = true\nmessage = { template = \"come\", channels = [\"email\"], purpose = \"marketing\" }\n",
    );
    with_rules(
        &offered,
        "[caps]\ndiscount_share = 2000",
        &bought("1", 1_000),
        &[
            "was capped from 5000 to 2000 basis points",
            "suppressed (there is no consent to email) come",
        ],
    );
}

#[test]
fn an_answer_that_the_host_did_not_take_does_not_look_as_if_it_counted() {
    let shop = Shop::new();
    lay(
        &shop,
        &guest("hostile"),
        "1.0.0",
        &hostile("NegativeAward", ""),
    );
    with_rules(
        &shop,
        "",
        &bought("1", 1_000),
        &[
            "house as point-formula: answer refused: an award of -5 points",
            "nothing of it counted",
        ],
    );
    let (it, _) = explained(&shop, "1");
    assert_eq!(it["outcome"]["customer"]["balance"], 10);
}
