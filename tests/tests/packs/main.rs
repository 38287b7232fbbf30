//! Packs: from the projects of an agency to the shops that trust it, and what of them no shop takes.

mod registries;
mod tampering;

use serde_json::{Value, json};
use stampcard_tests::binary::{self, Ran, root, target};
use stampcard_tests::markdown::blocks;
use stampcard_tests::reader::Reader;
use stampcard_tests::{Server, Shop, Shops, sale};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The folder of whoever keeps rules for several shops.
struct Agency {
    room: TempDir,
}

const SCHEMA: &str = r#"{"type": "object", "required": ["points"], "additionalProperties": false,
  "properties": {"points": {"type": "integer", "minimum": 1, "maximum": 10}, "breaks_on": {"type": "string"}}}"#;

fn guest(name: &str) -> Vec<u8> {
    let source = root().join("tests/guests").join(name);
    stampcard_build::component(source, target().join("plugins")).expect("the guest builds")
}

impl Agency {
    /// Two rules and a pack of them: `per-dollar`, which takes no configuration, and `extra`, which
    /// does.
    fn new() -> Agency {
        let agency = Agency {
            room: tempfile::tempdir().expect("a temporary folder"),
        };
        agency.write("per-dollar/per-dollar.wasm", guest("per-dollar"));
        agency.write(
            "per-dollar/per-dollar.toml",
            "name = \"per-dollar\"\nversion = \"1.0.0\"\nroles = [\"point-formula\"]\nevents = [\"sale.completed\"]\n",
        );
        agency.write("per-dollar/cases/dollars.json", "{}");
        agency.write("extra/extra.wasm", guest("brittle"));
        agency.write("extra/extra.schema.json", SCHEMA);
        agency.extra("1.0.0", "points = 2");
        agency
            .run(&["pack", "new", "corner", "per-dollar", "extra"])
            .ok();
        agency
            .run(&["pack", "key", "agency.key", "--no-password"])
            .ok();
        agency
    }

    /// Writes the manifest of `extra`.
    fn extra(&self, version: &str, config: &str) {
        let manifest = format!(
            "name = \"extra\"\nversion = \"{version}\"\nroles = [\"point-formula\"]\nevents = [\"sale.completed\"]\n\
             configuration = \"extra.schema.json\"\n\n[config]\n{config}\n"
        );
        self.write("extra/extra.toml", manifest);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }

    #[track_caller]
    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    /// Runs the binary in the agency's folder.
    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = binary::command(arguments);
        finish(command.current_dir(self.room.path()))
    }

    /// Says something else in `pack.toml`.
    fn about(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.path("corner/pack.toml")).expect("a file");
        assert!(text.contains(from), "{text}");
        self.write("corner/pack.toml", text.replace(from, to));
    }

    /// Builds and signs the pack.
    #[track_caller]
    fn signed(&self, file: &str) -> PathBuf {
        self.run(&["pack", "build", "corner", "-o", file]).ok();
        self.run(&["pack", "sign", file, "--key", "agency.key"])
            .ok();
        self.path(file)
    }

    /// Lets a shop trust it.
    fn trusted_by(&self, stampcard_toml: &Path) {
        let public = fs::read_to_string(self.path("agency.key.pub")).expect("a key");
        let line = public.lines().last().expect("a line");
        let before = fs::read_to_string(stampcard_toml).unwrap_or_default();
        let text = format!("{before}\n[trusted_keys]\n\"Corner Agency\" = \"{line}\"\n");
        fs::write(stampcard_toml, text).expect("a file");
    }

    fn install(&self, shop: &Shop, file: &str, more: &[&str]) -> Ran {
        self.run(&[&["pack", "install", shop.text(), file, "--json"], more].concat())
    }
}

fn finish(command: &mut std::process::Command) -> Ran {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} is needed: {error}"));
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Which plugins gave how much for a sale of 10.00.
fn earned(server: &Server, id: &str) -> Vec<(String, i64)> {
    let at = jiff::Timestamp::now().to_string();
    let customer = json!({"email": format!("{id}@example.com")});
    let outcome = server.outcome(&sale(
        id,
        &at,
        json!({"customer": customer, "total": 1_000}),
    ));
    let points = outcome["points"].as_array().expect("a list");
    let entry = |entry: &Value| {
        let plugin = entry["plugin"].as_str().unwrap_or_default().to_owned();
        (plugin, entry["amount"].as_i64().expect("an amount"))
    };
    points.iter().map(entry).collect()
}

fn got(pairs: &[(&str, i64)]) -> Vec<(String, i64)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, points)| ((*name).to_owned(), *points))
        .collect()
}

fn packs(shop: &Shop) -> Value {
    binary::run(["pack", "list", shop.text(), "--json"]).json()
}

/// A shop that trusts an agency.
fn trusting(agency: &Agency) -> Shop {
    let shop = Shop::new();
    agency.trusted_by(&shop.path("stampcard.toml"));
    shop
}

#[test]
fn a_pack_of_a_trusted_agency_goes_live_as_one_in_an_open_shop_and_who_signed_it_stays_known() {
    let agency = Agency::new();
    let shop = trusting(&agency);
    agency.signed("corner.pack");
    let verified = agency.run(&[
        "pack",
        "verify",
        "corner.pack",
        "--shop",
        shop.text(),
        "--json",
    ]);
    assert_eq!(verified.code, 0, "{}", verified.stdout);
    assert_eq!(verified.json()["signer"]["name"], "Corner Agency");

    let inspect = [
        "plugin",
        "inspect",
        "corner.pack",
        "--shop",
        shop.text(),
        "--json",
    ];
    let inspected = agency.run(&inspect).json();
    assert_eq!(inspected["signer"], verified.json()["signer"]);
    assert_eq!(
        (
            &inspected["plugins"][0]["roles"],
            &inspected["plugins"][1]["manifest"]["name"]
        ),
        (&json!(["point-formula"]), &json!("extra"))
    );

    let server = shop.serve();
    let before = server.get("/v1/plugins")["rule_book"].as_i64();
    let done = agency.install(&shop, "corner.pack", &["--reason", "autumn"]);
    let done = serde_json::from_str::<Value>(&done.ok()).expect("JSON");
    assert_eq!(done["revision"].as_i64(), before.map(|number| number + 1));
    assert_eq!(done["signer"]["name"], "Corner Agency");
    assert_eq!(
        earned(&server, "installed"),
        got(&[("starter-points", 10), ("extra", 20), ("per-dollar", 10)])
    );
    let live = server.get("/v1/plugins");
    let from = |live: &Value, name: &str| {
        let plugins = live["plugins"].as_array().expect("a list").iter();
        let mut plugins = plugins.filter(|plugin| plugin["name"] == name);
        plugins.next().expect("it is live")["from"].clone()
    };
    let extra = from(&live, "extra");
    assert_eq!(
        (&extra["pack"], &extra["version"], &extra["signer"]),
        (&json!("corner"), &json!("1.0.0"), &json!("Corner Agency"))
    );
    assert_eq!(extra["key"], done["signer"]["key"]);
    assert_eq!(from(&live, "starter-points"), Value::Null);
    assert_eq!(live["by"]["reason"], "autumn");
    let listed = binary::run(["plugin", "list", shop.text()]).ok();
    assert!(
        listed.contains("extra came with the pack corner 1.0.0, signed by Corner Agency"),
        "{listed}"
    );

    // The same again is nothing new; a restart changes nothing.
    let again = agency.install(&shop, "corner.pack", &[]).json();
    assert_eq!(again["revision"], done["revision"]);
    server.stop();
    let closed = packs(&shop);
    let listed = binary::run(["plugin", "list", shop.text(), "--json"]).json();
    let mut plugins = listed.as_array().expect("a list").iter();
    let listed = plugins
        .find(|plugin| plugin["name"] == "extra")
        .expect("it is listed");
    assert_eq!(
        (&listed["state"], &listed["from"]),
        (&json!("live"), &extra)
    );
    let server = shop.serve();
    assert_eq!(earned(&server, "restarted").len(), 3);
    let open = packs(&shop);
    assert_eq!(open[0]["digest"], done["digest"]);
    assert_eq!(open[0]["plugins"][1]["health"], "ok");
    assert_eq!(
        (&closed[0]["name"], &closed[0]["plugins"][1]["state"]),
        (&json!("corner"), &json!("live"))
    );

    let removed = agency
        .run(&["pack", "remove", shop.text(), "corner", "--json"])
        .json();
    assert_eq!(removed["plugins"], json!(["extra", "per-dollar"]));
    assert_eq!(earned(&server, "removed"), got(&[("starter-points", 10)]));
    assert_eq!(packs(&shop), json!([]));
    let nothing = agency.run(&["pack", "remove", shop.text(), "corner"]);
    assert_eq!(nothing.code, 2);
    assert!(
        nothing.stderr.contains("there is no pack corner"),
        "{}",
        nothing.stderr
    );
    server.stop();
    shop.check();
}

#[test]
fn a_pack_of_which_one_plugin_cannot_go_live_changes_nothing() {
    let agency = Agency::new();
    let shop = trusting(&agency);
    // What only a shop can say: there is nobody after whom it could decide.
    let manifest = fs::read_to_string(agency.path("per-dollar/per-dollar.toml")).expect("a file");
    agency.write(
        "per-dollar/per-dollar.toml",
        format!("{manifest}after = [\"nobody\"]\n"),
    );
    agency.signed("corner.pack");
    let server = shop.serve();
    let before = server.get("/v1/plugins");
    let refused = agency.install(&shop, "corner.pack", &[]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("nobody"), "{}", refused.stderr);
    let after = server.get("/v1/plugins");
    assert_eq!(after["rule_book"], before["rule_book"]);
    assert_eq!(after["plugins"], before["plugins"]);
    assert_eq!(packs(&shop), json!([]));
    assert_eq!(earned(&server, "refused"), got(&[("starter-points", 10)]));
}

#[test]
fn a_pack_takes_the_place_of_a_plugin_that_is_not_its_own_only_when_it_is_told_to() {
    let agency = Agency::new();
    let shop = trusting(&agency);
    agency.signed("corner.pack");
    let wasm = agency.path("extra/extra.wasm");
    let wasm = wasm.to_str().expect("UTF-8");
    binary::run(["plugin", "install", shop.text(), wasm]).ok();
    let refused = agency.install(&shop, "corner.pack", &[]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("the shop has extra already")
            && refused.stderr.contains("--replace"),
        "{}",
        refused.stderr
    );
    agency.install(&shop, "corner.pack", &["--replace"]).ok();
    assert_eq!(packs(&shop)[0]["plugins"][1]["state"], "live");
    // One that is replaced by itself later is no longer the pack's, and stays when the pack goes.
    agency.extra("3.0.0", "points = 3");
    binary::run(["plugin", "install", shop.text(), wasm]).ok();
    let listed = binary::run(["pack", "list", shop.text(), "--json"]);
    assert_eq!(listed.code, 1);
    assert_eq!(listed.json()[0]["plugins"][1]["state"], "replaced");
    let removed = agency
        .run(&["pack", "remove", shop.text(), "corner", "--json"])
        .json();
    assert_eq!(
        (&removed["plugins"], &removed["kept"]),
        (&json!(["per-dollar"]), &json!(["extra"]))
    );
}

#[test]
fn what_a_shop_says_to_a_pack_stays_said_and_what_a_new_version_does_not_take_is_told() {
    let agency = Agency::new();
    let shop = trusting(&agency);
    agency.signed("1.pack");
    agency.write("soho.toml", "[extra.config]\npoints = 5\n");
    agency
        .install(&shop, "1.pack", &["--config", "soho.toml"])
        .ok();
    let server = shop.serve();
    let of = |id: &str| {
        let earned = earned(&server, id);
        let extra = earned.iter().find(|(name, _)| name == "extra");
        extra.map(|(_, points)| *points)
    };
    assert_eq!(of("said"), Some(50));

    // A new version with another default: the shop's word holds.
    agency.about("version = \"1.0.0\"", "version = \"1.1.0\"");
    agency.extra("1.1.0", "points = 3");
    agency.signed("2.pack");
    let upgraded = agency.install(&shop, "2.pack", &[]).json();
    assert_eq!(
        (&upgraded["was"], &upgraded["version"]),
        (&json!("1.0.0"), &json!("1.1.0"))
    );
    assert_eq!(of("upgraded"), Some(50));
    assert_eq!(packs(&shop)[0]["words"], "[extra.config]\npoints = 5\n");

    // One that does not take it any more is refused with the place, and nothing changes.
    agency.about("version = \"1.1.0\"", "version = \"2.0.0\"");
    agency.write(
        "extra/extra.schema.json",
        SCHEMA.replace("\"maximum\": 10", "\"maximum\": 4"),
    );
    agency.signed("3.pack");
    let refused = agency.install(&shop, "3.pack", &[]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("extra.toml: config.points: 5"),
        "{}",
        refused.stderr
    );
    assert_eq!(packs(&shop)[0]["version"], "1.1.0");
    agency.write("soho.toml", "[extra.config]\npoints = 4\n");
    agency
        .install(&shop, "3.pack", &["--config", "soho.toml"])
        .ok();
    assert_eq!(of("said-anew"), Some(40));

    // Without a word the pack's own holds again; a version back is a version, too.
    agency.write("nothing.toml", "");
    agency
        .install(&shop, "3.pack", &["--config", "nothing.toml"])
        .ok();
    assert_eq!(of("unsaid"), Some(30));
    let back = agency.install(&shop, "1.pack", &[]).json();
    assert_eq!(back["was"], "2.0.0");
    assert_eq!(of("back"), Some(20));

    for (words, told) in [
        ("[extras.config]\npoints = 1\n", "words are for extras"),
        ("[extra]\nconfigs = 1\n", "unknown field `configs`"),
        ("points = ", "not as they must be"),
    ] {
        agency.write("wrong.toml", words);
        let refused = agency.install(&shop, "1.pack", &["--config", "wrong.toml"]);
        assert_eq!(refused.code, 2);
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
}

#[test]
fn a_rule_that_leaves_a_pack_leaves_the_shop_with_its_upgrade() {
    let agency = Agency::new();
    let shop = trusting(&agency);
    agency.signed("1.pack");
    agency.install(&shop, "1.pack", &[]).ok();
    agency.about("version = \"1.0.0\"", "version = \"2.0.0\"");
    agency.about("\"../per-dollar\",", "");
    agency.signed("2.pack");
    let upgraded = agency.install(&shop, "2.pack", &[]).json();
    assert_eq!(upgraded["gone"], json!(["per-dollar"]));
    let server = shop.serve();
    assert_eq!(
        earned(&server, "after"),
        got(&[("starter-points", 10), ("extra", 20)])
    );
}

#[test]
fn a_plugin_that_was_rolled_back_is_still_known_by_the_pack_that_brought_it() {
    let agency = Agency::new();
    let shop = trusting(&agency);
    agency.signed("1.pack");
    agency.install(&shop, "1.pack", &[]).ok();
    agency.about("version = \"1.0.0\"", "version = \"1.1.0\"");
    agency.extra("1.1.0", "points = 3");
    agency.signed("2.pack");
    agency.install(&shop, "2.pack", &[]).ok();
    binary::run(["plugin", "rollback", shop.text(), "extra"]).ok();
    let server = shop.serve();
    let live = server.get("/v1/plugins");
    let mut plugins = live["plugins"].as_array().expect("a list").iter();
    let extra = plugins
        .find(|plugin| plugin["name"] == "extra")
        .expect("it is live");
    assert_eq!(
        (
            &extra["version"],
            &extra["from"]["version"],
            &extra["from"]["signer"]
        ),
        (&json!("1.0.0"), &json!("1.0.0"), &json!("Corner Agency"))
    );
    assert_eq!(packs(&shop)[0]["plugins"][1]["state"], "replaced");
}

#[test]
fn a_restored_shop_and_a_replayed_one_know_by_whom_their_plugins_are_signed() {
    let agency = Agency::new();
    let shop = trusting(&agency);
    agency.signed("corner.pack");
    agency.install(&shop, "corner.pack", &[]).ok();
    let at = jiff::Timestamp::now().to_string();
    shop.ingest(&[sale(
        "1",
        &at,
        json!({"customer": {"email": "ana@example.com"}, "total": 1_000}),
    )]);
    let installed = packs(&shop);
    assert_eq!(installed[0]["signer"]["name"], "Corner Agency");

    let restored = shop.restored(&shop.back_up("corner.tar"));
    assert_eq!(packs(&restored), installed);
    let again = shop.dir.with_file_name("again");
    let again = again.to_str().expect("UTF-8");
    shop.run("replay", &[again]).ok();
    let replayed = binary::run(["pack", "list", again, "--json"]).json();
    assert_eq!(replayed, installed);
}

#[test]
fn the_same_folder_makes_the_same_file_wherever_and_whenever_it_is_packed() {
    let (one, other) = (Agency::new(), Agency::new());
    one.run(&["pack", "build", "corner", "-o", "corner.pack"])
        .ok();
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    for file in ["corner/pack.toml", "extra/extra.wasm"] {
        let bytes = fs::read(other.path(file)).expect("a file");
        other.write(file, bytes);
    }
    other
        .run(&["pack", "build", "corner", "-o", "corner.pack"])
        .ok();
    let bytes = |agency: &Agency| fs::read(agency.path("corner.pack")).expect("a file");
    assert_eq!(bytes(&one), bytes(&other));
    // And it says so: whoever unpacks it with the usual tools finds the sums right.
    let out = one.path("out");
    fs::create_dir(&out).expect("a folder");
    let mut tar = std::process::Command::new("tar");
    finish(tar.args(["xf", "../corner.pack"]).current_dir(&out)).ok();
    let mut sums = std::process::Command::new("sha256sum");
    finish(
        sums.args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(&out),
    )
    .ok();
    assert!(out.join("cases/per-dollar/dollars.json").is_file());
}

#[test]
fn an_agency_sees_which_of_its_shops_runs_which_version_and_what_fails_there() {
    let agency = Agency::new();
    let shops = Shops::new(&["brooklyn", "harlem", "queens", "soho"]);
    // One key for all shops of the server.
    agency.trusted_by(&shops.dir.join("stampcard.toml"));
    agency.signed("1.pack");
    agency.about("version = \"1.0.0\"", "version = \"1.1.0\"");
    agency.signed("2.pack");
    agency.write(
        "brooklyn.toml",
        "[extra.config]\npoints = 2\nbreaks_on = \"SKU-1\"\n",
    );
    agency
        .install(&shops["brooklyn"], "2.pack", &["--config", "brooklyn.toml"])
        .ok();
    agency.install(&shops["soho"], "1.pack", &[]).ok();
    fs::write(shops["queens"].path("data/stampcard.db"), "not a database").expect("a file");

    let status = || agency.run(&["pack", "status", shops.text(), "--all", "--json"]);
    let closed = status();
    assert_eq!(closed.code, 1, "queens cannot be read");
    let closed = closed.json();
    let told = |status: &Value| -> Vec<(String, String)> {
        let shops = status.as_array().expect("a list").iter();
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        shops
            .map(|shop| (text(&shop["shop"]), text(&shop["packs"][0]["version"])))
            .collect()
    };
    let expected = [
        ("brooklyn", "1.1.0"),
        ("harlem", "-"),
        ("queens", "-"),
        ("soho", "1.0.0"),
    ];
    let expected = expected.map(|(shop, version)| (shop.to_owned(), version.to_owned()));
    assert_eq!(told(&closed), expected);
    assert!(closed[2]["problem"].is_string(), "{closed}");

    fs::remove_dir_all(&shops["queens"].dir).expect("it is gone");
    assert_eq!(status().code, 0);
    let server = shops.serve();
    let broken = sale(
        "broken",
        &jiff::Timestamp::now().to_string(),
        json!({"customer": {"email": "a@example.com"}, "lines": [{"sku": "SKU-1", "quantity": 1, "unit_price": 500}], "total": 500}),
    );
    let till = &shops["brooklyn"].keys.pos;
    assert_eq!(server.post_as(till, "/v1/events", &broken).status, 200);
    let open = status();
    assert_eq!(open.code, 1);
    let extra = &open.json()[0]["packs"][0]["plugins"][1];
    assert_eq!(extra["health"], "failing", "{extra}");
    assert!(
        extra["last_error"]["message"]
            .as_str()
            .is_some_and(|it| it.contains("nobody thought of")),
        "{extra}"
    );
    let table = agency
        .run(&["pack", "status", shops.text(), "--all"])
        .stdout;
    assert!(
        table.contains("brooklyn")
            && table.contains("extra (failing)")
            && table.contains("Corner Agency"),
        "{table}"
    );
    // A folder of shops is one only when all of them are meant.
    let one = agency.run(&["pack", "status", shops.text()]);
    assert_eq!(one.code, 2);
    assert!(one.stderr.contains("several shops"), "{}", one.stderr);
}

#[test]
fn one_pack_in_many_shops_that_each_say_something_else_has_its_code_once() {
    let agency = Agency::new();
    let names = ["bronx", "brooklyn", "chelsea", "harlem", "queens", "soho"];
    let shops = Shops::new(&names);
    agency.trusted_by(&shops.dir.join("stampcard.toml"));
    agency.signed("corner.pack");
    for (at, name) in names.iter().enumerate() {
        agency.write(
            "words.toml",
            format!("[extra.config]\npoints = {}\n", at + 1),
        );
        agency
            .install(&shops[*name], "corner.pack", &["--config", "words.toml"])
            .ok();
    }
    let server = shops.serve();
    let metrics = server.operations("/metrics");
    let metrics = metrics.as_str().expect("a page of text");
    // Four plugins of the starter pack and two of this one.
    assert!(
        metrics.contains("\nstampcard_components_in_memory 6\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\nstampcard_components_compiled_total 0\n"),
        "{metrics}"
    );
    for (at, name) in names.iter().enumerate() {
        let at_once = jiff::Timestamp::now().to_string();
        let customer = json!({"customer": {"email": "ana@example.com"}, "total": 1_000});
        let sold = server.post_as(
            &shops[*name].keys.pos,
            "/v1/events",
            &sale("1", &at_once, customer),
        );
        let points = sold.body["points"].as_array().expect("a list").iter();
        let extra: Vec<_> = points.filter(|entry| entry["plugin"] == "extra").collect();
        assert_eq!(extra[0]["amount"], json!(10 * (at + 1)), "{name}");
    }
}

#[test]
fn the_guide_to_a_pack_runs_as_it_is_written() {
    let guide = fs::read_to_string(root().join("docs/ship-a-pack.md")).expect("the guide");
    let blocks = blocks(&guide);
    let reader = Reader::new();
    let commands = blocks.iter().filter(|block| block.info == "sh run");
    let printed: Vec<String> = commands.map(|block| reader.run(&block.text)).collect();
    for (printed, told) in printed.iter().zip([
        "coffee-house 1.0.0 with extra-coffee, regulars",
        "coffee-house 1.0.0 is whole and signed by",
        "signed by Corner Agency",
        "is live with rule book",
        "before it was 1.0.0",
        "coffee-house 1.1.0 is gone",
    ]) {
        assert!(printed.contains(told), "{told}: {printed}");
    }
    // The file that is shown is the one that `pack new` has written, without its remarks.
    let shown = blocks
        .iter()
        .find(|block| block.info == "toml")
        .expect("a pack.toml");
    let table = |text: &str| text.parse::<toml::Table>().expect("TOML");
    let made = fs::read_to_string(reader.path("coffee-house/pack.toml")).expect("a file");
    assert_eq!(table(&shown.text), table(&made.replace("1.1.0", "1.0.0")));
}
