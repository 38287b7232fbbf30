//! Rules that change by order: installed, rolled back, applied. What is live is what was ordered
//! last, whatever the folder has, and a restart changes nothing of it.

use serde_json::{Value, json};
use sha2::Digest;
use stampcard_tests::binary::{self, root, target};
use stampcard_tests::{Server, Shop, sale};
use std::fs;
use std::path::PathBuf;

/// A guest that gives points per dollar, as files beside each other.
fn per_dollar(shop: &Shop, version: &str) -> PathBuf {
    let built = stampcard_build::component(
        root().join("tests/guests/per-dollar"),
        target().join("plugins"),
    )
    .expect("the guest builds");
    let dir = shop.dir.with_file_name(format!("shipped-{version}"));
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(dir.join("per-dollar.wasm"), built).expect("a file");
    let manifest = format!(
        "name = \"per-dollar\"\nversion = \"{version}\"\nroles = [\"point-formula\"]\nevents = [\"sale.completed\"]\n"
    );
    fs::write(dir.join("per-dollar.toml"), manifest).expect("a file");
    dir.join("per-dollar.wasm")
}

fn install(shop: &Shop, version: &str) -> Value {
    let file = per_dollar(shop, version);
    let file = file.to_str().expect("paths are UTF-8");
    binary::run([
        "plugin",
        "install",
        shop.text(),
        file,
        "--reason",
        "a test",
        "--json",
    ])
    .json()
}

fn listed(shop: &Shop) -> Vec<Value> {
    let ran = binary::run(["plugin", "list", shop.text(), "--json"]);
    ran.json().as_array().expect("a list").clone()
}

fn of<'a>(plugins: &'a [Value], name: &str) -> &'a Value {
    plugins
        .iter()
        .find(|plugin| plugin["name"] == name)
        .unwrap_or(&Value::Null)
}

/// Which plugins gave points for a sale of 10.00.
fn earned(server: &Server, id: &str) -> Vec<String> {
    let at = jiff::Timestamp::now().to_string();
    let customer = json!({"email": format!("{id}@example.com")});
    let outcome = server.outcome(&sale(
        id,
        &at,
        json!({"customer": customer, "total": 1_000}),
    ));
    let points = outcome["points"].as_array().expect("a list");
    let name = |entry: &Value| entry["plugin"].as_str().unwrap_or_default().to_owned();
    points.iter().map(name).collect()
}

#[test]
fn a_plugin_is_installed_and_rolled_back_while_the_shop_is_open_and_a_restart_keeps_it() {
    let shop = Shop::new();
    let server = shop.serve();
    assert_eq!(earned(&server, "before"), ["starter-points"]);

    let first = install(&shop, "1.0.0");
    assert_eq!(
        (&first["name"], &first["state"]),
        (&json!("per-dollar"), &json!("live"))
    );
    assert!(
        first["digest"]
            .as_str()
            .is_some_and(|digest| digest.starts_with("sha256:"))
    );
    assert_eq!(
        earned(&server, "installed"),
        ["starter-points", "per-dollar"]
    );
    let live = server.get("/v1/plugins");
    assert_eq!(live["rule_book"], first["revision"]);
    assert_eq!(
        (&live["by"]["origin"], &live["by"]["reason"]),
        (&json!("install"), &json!("a test"))
    );

    let second = install(&shop, "2.0.0");
    assert!(second["revision"].as_i64() > first["revision"].as_i64());
    assert_eq!(of(&listed(&shop), "per-dollar")["version"], "2.0.0");
    let back = binary::run(["plugin", "rollback", shop.text(), "per-dollar", "--json"]).json();
    assert_eq!(
        (&back["version"], &back["digest"]),
        (&json!("1.0.0"), &first["digest"])
    );

    // Nothing of it is in the folder, and it is there after a restart.
    server.stop();
    let server = shop.serve();
    assert_eq!(
        earned(&server, "restarted"),
        ["starter-points", "per-dollar"]
    );
    let plugins = listed(&shop);
    let plugin = of(&plugins, "per-dollar");
    assert_eq!(
        (&plugin["version"], &plugin["health"]),
        (&json!("1.0.0"), &json!("ok"))
    );
    server.stop();
    shop.check();
}

#[test]
fn what_was_rolled_back_is_drift_and_stays_out_until_its_file_changes() {
    let shop = Shop::new();
    let server = shop.serve();
    let points = |rate: i64| {
        format!("pack = \"starter-points\"\n\n[config]\npoints = {rate}\nbase = \"total\"\n")
    };
    let rate = |server: &Server, id: &str| {
        let at = jiff::Timestamp::now().to_string();
        let told = json!({"customer": {"email": "ana@example.com"}, "total": 1_000});
        server.outcome(&sale(id, &at, told))["points"][0]["amount"].clone()
    };
    let apply = || {
        let ran = binary::run(["plugin", "apply", shop.text(), "--json"]);
        ran.json()
    };
    assert_eq!(rate(&server, "one"), 10);
    shop.write("plugins/starter-points.toml", points(7));
    apply();
    assert_eq!(rate(&server, "seven"), 70);
    binary::run([
        "plugin",
        "rollback",
        shop.text(),
        "starter-points",
        "--reason",
        "too much",
    ])
    .ok();
    assert_eq!(rate(&server, "back"), 10);
    assert_eq!(apply()["drift"], json!(["starter-points"]));
    assert_eq!(rate(&server, "still"), 10);
    assert_eq!(of(&listed(&shop), "starter-points")["drift"], true);
    server.stop();
    let server = shop.serve();
    assert_eq!(rate(&server, "restarted"), 10);
    shop.write("plugins/starter-points.toml", points(3));
    apply();
    assert_eq!(rate(&server, "changed"), 30);
    assert_eq!(of(&listed(&shop), "starter-points")["drift"], false);
    server.stop();
    let copy = shop.dir.with_file_name("replayed");
    let copy = copy.to_str().expect("paths are UTF-8");
    shop.run("replay", &[copy]).ok();
    assert_eq!(
        binary::run(["export", copy, "events"]).ok(),
        shop.export("events", &[])
    );
}

#[test]
fn a_plugin_that_cannot_be_loaded_is_refused_and_nothing_changes() {
    let shop = Shop::new();
    let file = per_dollar(&shop, "1.0.0");
    let path = file.to_str().expect("paths are UTF-8");
    let server = shop.serve();
    let before = server.get("/v1/plugins")["rule_book"].clone();
    let text = fs::read_to_string(file.with_extension("toml")).expect("a manifest");
    for (manifest, word) in [
        (
            text.replace("point-formula", "tier-rule"),
            "claims the roles",
        ),
        (
            text.replace("version = \"1.0.0\"", "version = \"one\""),
            "version",
        ),
        (format!("{text}colour = \"red\"\n"), "colour"),
    ] {
        fs::write(file.with_extension("toml"), manifest).expect("a file");
        let ran = binary::run(["plugin", "install", shop.text(), path]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    let ran = binary::run(["plugin", "rollback", shop.text(), "no-such"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("there is no plugin no-such"),
        "{}",
        ran.stderr
    );
    let ran = binary::run(["plugin", "rollback", shop.text(), "starter-points"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("none to go back to"),
        "{}",
        ran.stderr
    );
    assert_eq!(server.get("/v1/plugins")["rule_book"], before);
    assert_eq!(earned(&server, "after"), ["starter-points"]);
}

#[test]
fn an_operator_key_orders_rules_and_what_cannot_be_is_told_by_code() {
    let shop = Shop::new();
    let server = shop.serve();
    let put = |key: &str, body: Value| {
        server
            .ask("PUT", key, "/v1/plugins/starter-points", Some(&body))
            .expect("the server answers")
    };
    let manifest = |rate: i64| json!({"manifest": format!("pack = \"starter-points\"\n[config]\npoints = {rate}\nbase = \"total\"\n"), "reason": "a test"});
    let (operator, pos) = (server.keys.operator.clone(), server.keys.pos.clone());
    assert_eq!(put(&pos, manifest(2)).status, 403);
    let bad = json!({"manifest": "", "component": "?"});
    assert_eq!(put(&operator, bad).body["pointer"], "/component");
    let refused = put(&operator, manifest(-1));
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (422, &json!("not-loaded"))
    );
    let back = |name: &str| {
        let path = format!("/v1/plugins/{name}/rollback");
        server
            .ask("POST", &operator, &path, Some(&json!({})))
            .expect("the server answers")
    };
    assert_eq!(back("no-such").status, 404);
    assert_eq!(back("starter-points").status, 409);
    let done = put(&operator, manifest(2));
    assert_eq!((done.status, &done.body["state"]), (200, &json!("live")));
    assert_eq!(server.get("/v1/plugins")["by"]["actor"], "operator");
    assert_eq!(back("starter-points").status, 200);
    assert_eq!(server.get("/v1/plugins")["by"]["origin"], "rollback");
}

#[test]
fn a_shop_whose_folder_is_broken_opens_with_the_last_good_rules() {
    let shop = Shop::new();
    let server = shop.serve();
    assert_eq!(earned(&server, "before"), ["starter-points"]);
    let rules = server.get("/v1/plugins")["rule_book"].clone();
    server.stop();
    shop.write("merchant.toml", "name = ");
    shop.write("plugins/starter-points.toml", "pack = \"no-such-pack\"\n");
    let server = shop.serve();
    assert_eq!(earned(&server, "broken"), ["starter-points"]);
    let live = server.get("/v1/plugins");
    assert_eq!(live["rule_book"], rules);
    assert!(
        live["last_reload_problem"]
            .as_str()
            .is_some_and(|problem| problem.contains("merchant.toml")),
        "{live}"
    );
    assert!(
        live["not_loaded"].to_string().contains("no-such-pack"),
        "{live}"
    );
}

/// `examples/tenth-coffee` as it was built for the contract of the first release. It is never built
/// again: that it runs is what is promised to whoever shipped one.
const SHIPPED: &str = "tests/guests/shipped/tenth-coffee-contract-0.1.0.wasm";
const SHIPPED_DIGEST: &str = "31b0a2c81ecd77a32399fc16281d8cc580c7af316d9472254e55ffcc6922a996";

#[test]
fn a_plugin_that_was_built_for_an_earlier_release_runs_as_it_did() {
    let shop = Shop::new();
    let component = fs::read(root().join(SHIPPED)).expect("it is kept");
    let hash: [u8; 32] = sha2::Sha256::digest(&component).into();
    let digest: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, SHIPPED_DIGEST, "nobody may build it again");
    let manifest = "name = \"tenth-coffee\"\nversion = \"0.1.0\"\nroles = [\"point-formula\"]\n\
                    events = [\"sale.completed\"]\nconfiguration = { type = \"object\" }\n\n\
                    [config]\nevery = 10\npoints = 500\n";
    shop.write("plugins/tenth-coffee.wasm", component);
    shop.write("plugins/tenth-coffee.toml", manifest);
    let server = shop.serve();
    // It remembers the coffees of three visits.
    for (id, coffees, earned) in [("1", 4, 16), ("2", 5, 20), ("3", 1, 504)] {
        let at = jiff::Timestamp::now().to_string();
        let told = json!({
            "customer": {"email": "ana@example.com"}, "total": coffees * 400,
            "lines": [{"sku": "FLAT-WHITE", "category": "coffee", "quantity": coffees, "unit_price": 400}],
        });
        let outcome = server.outcome(&sale(id, &at, told));
        let points = outcome["points"].as_array().expect("a list").iter();
        let sum: i64 = points.filter_map(|entry| entry["amount"].as_i64()).sum();
        assert_eq!(sum, earned, "{outcome}");
    }
    let plugins = server.get("/v1/plugins");
    let plugins = plugins["plugins"].as_array().expect("a list");
    let plugin = of(plugins, "tenth-coffee");
    assert_eq!(
        (&plugin["digest"], &plugin["health"]),
        (&json!(format!("sha256:{digest}")), &json!("ok"))
    );
}
