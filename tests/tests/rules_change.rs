//! Rules that change, and what becomes of the customers there are: they are asked again, what a
//! plugin that failed owed them is made good once, and what a removed one left behind ends.

use jiff::Timestamp;
use serde_json::{Value, json};
use stampcard_tests::binary::{self, root, target};
use stampcard_tests::{Server, Shop, sale};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the host may take: it looks once a second.
const DONE_MAX: Duration = Duration::from_secs(30);

/// Waits until the list of plugins is as it should be.
#[track_caller]
fn until(server: &Server, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let listed = server.get("/v1/plugins");
        if is_so(&listed) {
            return listed;
        }
        assert!(
            began.elapsed() < DONE_MAX,
            "{what} did not happen: {listed}\n{}",
            server.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until every customer was asked since the newest change.
#[track_caller]
fn reviewed(server: &Server) -> Value {
    let is_done = |listed: &Value| {
        listed["reviews"]["state"] == "done"
            && listed["reviews"]["rule_book"] == listed["rule_book"]
    };
    until(server, "asking again", is_done)["reviews"].clone()
}

fn plugin<'a>(listed: &'a Value, name: &str) -> &'a Value {
    let plugins = listed["plugins"].as_array().expect("a list");
    let found = plugins.iter().find(|plugin| plugin["name"] == name);
    found.unwrap_or(&Value::Null)
}

/// Puts a version of the brittle guest beside the shop: so many points per dollar, and goods over
/// which it panics.
fn brittle(shop: &Shop, version: &str, points: i64, breaks_on: Option<&str>) -> PathBuf {
    let built = stampcard_build::component(
        root().join("tests/guests/brittle"),
        target().join("plugins"),
    )
    .expect("the guest builds");
    let dir = shop.dir.with_file_name(format!("brittle-{version}"));
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(dir.join("brittle.wasm"), built).expect("a file");
    let breaks_on = breaks_on.map_or(String::new(), |sku| format!("breaks_on = {sku:?}\n"));
    let manifest = format!(
        "name = \"brittle\"\nversion = \"{version}\"\nroles = [\"point-formula\"]\nevents = [\"sale.completed\"]\n\n[configuration]\n\n[config]\npoints = {points}\n{breaks_on}"
    );
    fs::write(dir.join("brittle.toml"), manifest).expect("a file");
    dir.join("brittle.wasm")
}

fn install(shop: &Shop, file: &Path) -> Value {
    let file = file.to_str().expect("paths are UTF-8");
    binary::run(["plugin", "install", shop.text(), file, "--json"]).json()
}

/// A sale of 10.00 to somebody, of these goods.
fn buy(server: &Server, id: &str, who: &str, sku: &str) -> Value {
    let data = json!({
        "customer": {"email": format!("{who}@example.com")}, "total": 1_000,
        "lines": [{"sku": sku, "quantity": 1, "unit_price": 1_000}],
    });
    server.outcome(&sale(id, &Timestamp::now().to_string(), data))
}

fn balance(server: &Server, who: &str) -> i64 {
    let found = server.get(&format!("/v1/customers?email={who}@example.com"));
    found["items"][0]["balance"].as_i64().expect("a balance")
}

/// What the brittle plugin gave or took since a sale was told.
fn result_of(outcome: &Value, name: &str) -> String {
    let plugins = outcome["plugins"].as_array().expect("a list");
    let call = plugins.iter().find(|call| call["name"] == name);
    call.map_or("not called".into(), |call| {
        call["status"].as_str().unwrap_or_default().into()
    })
}

/// A shop without other rules, that puts up with failures for two customers.
fn shop(then: &str) -> Shop {
    let shop = Shop::new();
    for pack in ["points", "segments", "tiers", "follow-ups"] {
        fs::remove_file(shop.path(&format!("plugins/starter-{pack}.toml"))).expect("a file");
    }
    shop.lay_over(
        "merchant.toml",
        &format!("[failures]\ncustomers = 3\nthen = \"{then}\""),
    );
    shop
}

/// The same journal gives the same bytes in an empty database, and nothing in it differs from what it
/// should be.
fn check_and_replay(shop: &Shop) {
    shop.check();
    let copy = shop.dir.with_file_name("replayed");
    let copy = copy.to_str().expect("paths are UTF-8");
    shop.run("replay", &[copy]).ok();
    for what in ["events", "customers", "ledger"] {
        assert_eq!(
            binary::run(["export", copy, what]).ok(),
            shop.export(what, &[]),
            "{what}"
        );
    }
    binary::run(["check", copy]).ok();
}

#[test]
fn a_plugin_that_fails_for_many_is_quarantined_and_what_it_missed_is_made_good_once() {
    let shop = shop("quarantine");
    let server = shop.serve();
    install(&shop, &brittle(&shop, "1.0.0", 1, Some("LAMP")));
    let good = buy(&server, "good", "ana", "MUG");
    assert_eq!(result_of(&good, "brittle"), "ok");
    for (id, who) in [("b1", "ana"), ("b2", "ana"), ("b3", "ben"), ("b4", "cleo")] {
        let outcome = buy(&server, id, who, "LAMP");
        assert_eq!(outcome["status"], "applied");
        assert_ne!(result_of(&outcome, "brittle"), "ok");
    }
    let listed = until(&server, "the quarantine", |listed| {
        plugin(listed, "brittle")["state"] == "quarantined"
    });
    let reason = &plugin(&listed, "brittle")["quarantine"];
    assert!(
        reason.to_string().contains("3 customers within 10 minutes"),
        "{reason}"
    );
    assert_eq!(listed["by"]["origin"], "quarantine");
    assert_eq!(plugin(&listed, "brittle")["owed"], 3);

    // It is not called, the sale is taken, and the answer says what is missing.
    let missed = buy(&server, "missed", "dora", "MUG");
    assert_eq!(
        (&missed["status"], result_of(&missed, "brittle").as_str()),
        (&json!("applied"), "quarantined")
    );
    let told = binary::run(["plugin", "list", shop.text()]);
    assert_eq!(told.code, 1);
    assert!(
        told.stdout.contains("brittle is quarantined"),
        "{}",
        told.stdout
    );
    assert_eq!(
        server.figure("stampcard_plugins_quarantined", &[]),
        Some(1.0)
    );

    // The mended version pays three times as much, which is for what it is asked about.
    let mended = brittle(&shop, "1.0.1", 3, None);
    let foreseen = binary::run([
        "plugin",
        "install",
        shop.text(),
        mended.to_str().unwrap(),
        "--preview",
        "--json",
    ])
    .json();
    assert_eq!(
        (&foreseen["customers"], &foreseen["points"]),
        (&json!(4), &json!(150))
    );
    assert_eq!(balance(&server, "ana"), 10, "a preview keeps nothing");
    let installed = install(&shop, &mended);
    assert_eq!(installed["state"], "live");
    let reviews = reviewed(&server);
    assert_eq!(
        (
            &reviews["customers"],
            &reviews["asked"],
            &reviews["changed"]
        ),
        (&json!(4), &json!(4), &json!(4))
    );
    let balances = ["ana", "ben", "cleo", "dora"].map(|who| balance(&server, who));
    assert_eq!(
        balances,
        [10 + 2 * 30, 30, 30, 30],
        "what was missed, once, and what was not stays"
    );
    assert_eq!(plugin(&server.get("/v1/plugins"), "brittle")["owed"], 0);

    // Going live again changes nothing more.
    install(&shop, &brittle(&shop, "1.0.2", 5, None));
    buy(&server, "after", "ana", "LAMP");
    assert_eq!(balance(&server, "ana"), 70 + 50);
    server.stop();
    check_and_replay(&shop);
}

#[test]
fn where_the_shop_says_so_the_version_before_comes_back_and_makes_good_what_was_missed() {
    let shop = shop("roll-back");
    let server = shop.serve();
    install(&shop, &brittle(&shop, "1.0.0", 1, None));
    buy(&server, "first", "ana", "LAMP");
    install(&shop, &brittle(&shop, "2.0.0", 2, Some("LAMP")));
    for who in ["ana", "ben", "cleo"] {
        buy(&server, &format!("broken-{who}"), who, "LAMP");
    }
    let listed = until(&server, "going back", |listed| {
        plugin(listed, "brittle")["version"] == "1.0.0"
    });
    assert_eq!(
        (&listed["by"]["origin"], &listed["by"]["actor"]),
        (&json!("rollback"), &json!("stampcard"))
    );
    let reviews = reviewed(&server);
    let balances = ["ana", "ben", "cleo"].map(|who| balance(&server, who));
    assert_eq!(
        reviews["changed"],
        3,
        "{reviews} {balances:?}\n{}",
        server.log()
    );
    assert_eq!(balances, [20, 10, 10]);
    server.stop();
    // It stays so.
    let server = shop.serve();
    assert_eq!(
        plugin(&server.get("/v1/plugins"), "brittle")["version"],
        "1.0.0"
    );
    server.stop();
    check_and_replay(&shop);
}

#[test]
fn a_quarantine_outlives_a_restart_and_ends_by_release() {
    let shop = shop("quarantine");
    let server = shop.serve();
    install(&shop, &brittle(&shop, "1.0.0", 1, Some("LAMP")));
    let release = || {
        binary::run([
            "plugin",
            "release",
            shop.text(),
            "brittle",
            "--reason",
            "no more lamps",
        ])
    };
    let early = release();
    assert!(
        early.code == 2 && early.stderr.contains("not quarantined"),
        "{}",
        early.stderr
    );
    for who in ["ana", "ben", "cleo"] {
        buy(&server, &format!("lamp-{who}"), who, "LAMP");
    }
    let is_quarantined = |listed: &Value| plugin(listed, "brittle")["state"] == "quarantined";
    until(&server, "the quarantine", is_quarantined);
    server.stop();
    let server = shop.serve();
    until(&server, "the quarantine after a restart", is_quarantined);
    buy(&server, "mug", "dora", "MUG");
    assert!(release().ok().contains("brittle 1.0.0 is live"));
    let reviews = reviewed(&server);
    assert_eq!(
        (&reviews["asked"], &reviews["changed"]),
        (&json!(4), &json!(1))
    );
    assert_eq!(balance(&server, "dora"), 10, "what it was not asked");
    assert_eq!(balance(&server, "ana"), 0, "what it still cannot answer");
    assert_eq!(plugin(&server.get("/v1/plugins"), "brittle")["owed"], 3);
    server.stop();
    check_and_replay(&shop);
}

fn vip_at(cents: i64) -> String {
    format!(
        "pack = \"starter-segments\"\n\n[config.segments.vip]\nexplain = \"Has spent enough.\"\nwhen = {{ spend = {{ at_least = {cents} }} }}\n"
    )
}

fn members(server: &Server, segment: &str) -> usize {
    let page = server.get(&format!("/v1/segments/{segment}/members"));
    page["items"].as_array().map_or(0, Vec::len)
}

#[test]
fn a_segment_that_is_configured_anew_has_the_right_members_without_a_sale() {
    let shop = Shop::new();
    shop.write("plugins/starter-segments.toml", vip_at(100_000));
    let server = shop.serve();
    for who in ["ana", "ben", "cleo"] {
        buy(&server, who, who, "MUG");
    }
    buy(&server, "more", "ana", "MUG");
    assert_eq!(members(&server, "vip"), 0);
    let apply = || binary::run(["plugin", "apply", shop.text()]).ok();

    shop.write("plugins/starter-segments.toml", vip_at(2_000));
    apply();
    let reviews = reviewed(&server);
    assert_eq!(
        (
            &reviews["customers"],
            &reviews["asked"],
            &reviews["changed"],
            &reviews["failed"]
        ),
        (&json!(3), &json!(3), &json!(1), &json!(0))
    );
    assert_eq!(members(&server, "vip"), 1);
    let why = server.get("/v1/segments/vip/members")["items"][0].clone();
    let timeline = server.get(&format!(
        "/v1/customers/{}/timeline",
        why["customer"].as_str().unwrap()
    ));
    assert!(timeline.to_string().contains("review.due"), "{timeline}");

    fs::remove_file(shop.path("plugins/starter-segments.toml")).expect("a file");
    apply();
    assert_eq!(reviewed(&server)["changed"], 1);
    let ana = server.get("/v1/customers?email=ana@example.com")["items"][0].clone();
    assert_eq!(ana["segments"], json!([]), "nobody decides it any more");
    server.stop();
    check_and_replay(&shop);
}

#[test]
fn an_import_asks_again_as_of_the_last_thing_that_the_shop_has_seen() {
    let shop = Shop::new();
    shop.write("plugins/starter-segments.toml", vip_at(100_000));
    let told = |id: &str, time: &str| {
        let data = json!({"customer": {"email": "ana@example.com"}, "total": 5_000});
        sale(id, time, data)
    };
    shop.ingest(&[told("s1", "2024-05-01T10:00:00Z")]);
    shop.write("plugins/starter-segments.toml", vip_at(2_000));
    shop.ingest(&[told("s2", "2024-06-01T10:00:00Z")]);
    let events = shop.exported("events", &[]);
    let is_asked = |row: &&Value| row["event"]["kind"] == "review.due";
    let asked: Vec<&Value> = events.iter().filter(is_asked).collect();
    assert_eq!(asked.len(), 1, "{events:?}");
    let first_sale = &events
        .iter()
        .find(|row| row["event"]["id"] == "s1")
        .unwrap()["event"];
    let at = |row: &Value| row["at"].as_i64().expect("an instant");
    assert_eq!(at(&asked[0]["event"]), at(first_sale) + 1);
    assert_eq!(
        asked[0]["outcome"]["segments"]["entered"],
        json!(["vip"]),
        "{asked:?}"
    );
    check_and_replay(&shop);
}
