//! Plugins whose operator lets their instances be kept: an honest one decides as it would in fresh
//! ones, and one that remembers is found out, falls back, and what it gave wrongly is put right.

use jiff::Timestamp;
use jiff::civil::date;
use serde_json::{Value, json};
use stampcard_tests::binary::{self, root, target};
use stampcard_tests::generated::{self, Generated, SMALL};
use stampcard_tests::{Server, Shop, event, sale};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

const PEOPLE: [&str; 3] = ["ana", "ben", "cleo"];
/// Sales within which whoever remembers is found out: that none of them is compared happens once in
/// 10^16 runs.
const SALES_MAX: usize = 600;
/// How long the host may take: it judges once a second.
const DONE_MAX: Duration = Duration::from_secs(30);

/// A shop whose one rule gives a point for each sale, and a hundred more to whoever comes after somebody
/// else, if it can remember them.
fn shop() -> Shop {
    let shop = Shop::new();
    for pack in ["points", "segments", "tiers", "follow-ups"] {
        fs::remove_file(shop.path(&format!("plugins/starter-{pack}.toml"))).expect("a file");
    }
    let package = root().join("tests/guests/hostile");
    let component = stampcard_build::component(package, target().join("plugins"));
    shop.write("plugins/hostile.wasm", component.expect("the guest builds"));
    shop.write(
        "plugins/hostile.toml",
        "name = \"hostile\"\nversion = \"1.0.0\"\nroles = [\"point-formula\"]\nevents = [\"sale.completed\"]\n\
         isolation = \"verified-reuse\"\n\n[configuration]\n\n[config]\ncrime = \"Remember\"\n",
    );
    // Whoever comes next meets the instance that the last one met.
    shop.lay_over("stampcard.toml", "lanes = 1");
    shop
}

/// What was sold, and what the till was told at once.
#[derive(Default)]
struct Told {
    sales: usize,
    /// By customer.
    counts: BTreeMap<&'static str, i64>,
    /// Sales for which a kept instance gave too much.
    wrong: Vec<String>,
}

impl Told {
    /// Sells something to the next one, and says in what the rule ran.
    fn sell(&mut self, server: &Server) -> Option<String> {
        let who = PEOPLE[self.sales % PEOPLE.len()];
        let id = format!("ord-{}", self.sales);
        let data = json!({"customer": {"email": format!("{who}@example.com")}, "total": 1_000});
        let outcome = server.outcome(&sale(&id, &Timestamp::now().to_string(), data));
        self.sales += 1;
        *self.counts.entry(who).or_default() += 1;
        let call = &outcome["plugins"][0];
        assert_eq!(call["status"], "ok", "{outcome}");
        if outcome["points"][0]["amount"] == 101 {
            assert_eq!(call["instance"], "kept", "{outcome}");
            self.wrong.push(id);
        }
        call["instance"].as_str().map(str::to_owned)
    }

    /// A point for each sale, and nothing more.
    fn is_right(&self, server: &Server) {
        for (who, count) in &self.counts {
            let found = server.get(&format!("/v1/customers?email={who}@example.com"));
            assert_eq!(found["items"][0]["balance"], *count, "{who}: {found}");
        }
    }
}

fn hostile(listed: &Value) -> &Value {
    &listed["plugins"][0]
}

/// Waits until the plugin has fallen back and everybody was asked again.
#[track_caller]
fn fallen_back(server: &Server) -> Value {
    let began = Instant::now();
    loop {
        let listed = server.get("/v1/plugins");
        let plugin = hostile(&listed);
        if plugin["isolation"] == "found-out" && plugin["owed"] == 0 {
            return listed;
        }
        assert!(began.elapsed() < DONE_MAX, "{listed}\n{}", server.log());
        std::thread::sleep(Duration::from_millis(50));
    }
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
fn a_plugin_that_remembers_is_found_out_falls_back_and_what_it_gave_wrongly_is_taken_again() {
    let shop = shop();
    let server = shop.serve();
    let mut told = Told::default();
    assert_eq!(
        told.sell(&server),
        None,
        "the first call is in a fresh instance"
    );
    let is_found = |instance: Option<String>| instance.as_deref() == Some("differed");
    let found = (0..SALES_MAX).any(|_| is_found(told.sell(&server)));
    assert!(found, "nobody finds out: {}", server.get("/v1/plugins"));
    let listed = fallen_back(&server);
    assert_eq!((told.sell(&server), told.sell(&server)), (None, None));
    told.is_right(&server);
    assert_eq!(listed["by"]["origin"], "fall-back");
    let reason = &hostile(&listed)["found_out"];
    let counted = format!(
        "{} answers of kept instances are asked again",
        told.wrong.len()
    );
    assert!(reason.to_string().contains(&counted), "{reason}");
    assert_eq!(hostile(&listed)["state"], "live");
    for (figure, value) in [
        ("stampcard_plugins_found_out", 1.0),
        ("stampcard_kept_calls_differed_total", 1.0),
        ("stampcard_kept_instances", 0.0),
    ] {
        assert_eq!(server.figure(figure, &[]), Some(value), "{figure}");
    }
    assert!(
        server.log().contains("a plugin remembers"),
        "{}",
        server.log()
    );
    let listed = binary::run(["plugin", "list", shop.text()]);
    assert_eq!(listed.code, 1);
    assert!(
        listed
            .stdout
            .contains("hostile remembers what it was asked before"),
        "{}",
        listed.stdout
    );
    let doctor = binary::run(["doctor", shop.text()]);
    assert!(
        doctor.stdout.contains("warn  isolation"),
        "{}",
        doctor.stdout
    );

    // It stays so, until somebody says otherwise.
    server.stop();
    if let Some(wrong) = told.wrong.first() {
        let explained = shop.run("explain", &["till-1", wrong, "--json"]).json();
        let because = explained["rerun"]["differs"][0]["because"].to_string();
        assert!(
            because.contains("a kept instance answered then"),
            "{explained}"
        );
    }
    let server = shop.serve();
    assert_eq!(told.sell(&server), None);
    assert_eq!(
        hostile(&server.get("/v1/plugins"))["isolation"],
        "found-out"
    );
    let released = binary::run(["plugin", "release", shop.text(), "hostile", "--json"]);
    released.ok();
    assert_eq!(
        hostile(&server.get("/v1/plugins"))["isolation"],
        "verified-reuse"
    );
    told.sell(&server);
    let found = (0..SALES_MAX).any(|_| is_found(told.sell(&server)));
    assert!(found, "nobody finds out again");
    fallen_back(&server);
    told.is_right(&server);
    server.stop();
    check_and_replay(&shop);
}

#[test]
fn what_was_answered_before_the_power_went_is_taken_again_too() {
    let shop = shop();
    let mut told = Told::default();
    // Nobody has the time to write down that something was found out.
    for _ in 0..SALES_MAX {
        let server = shop.serve();
        if hostile(&server.get("/v1/plugins"))["isolation"] == "found-out" {
            server.kill();
            break;
        }
        let found = (0..8).any(|_| told.sell(&server).as_deref() == Some("differed"));
        server.kill();
        if found {
            break;
        }
    }
    let server = shop.serve();
    let listed = fallen_back(&server);
    told.is_right(&server);
    let reason = &hostile(&listed)["found_out"];
    let counted = format!("{} answers of kept instances", told.wrong.len());
    assert!(reason.to_string().contains(&counted), "{reason}");
    server.stop();
    check_and_replay(&shop);
}

#[test]
fn an_honest_plugin_comes_to_the_same_bytes_in_kept_instances_as_in_fresh_ones() {
    let whole = |is_kept: bool| {
        let shop = Shop::bare(&[]);
        shop.append("merchant.toml", generated::LOCATIONS);
        shop.lay_over("merchant.toml", "[policies]\nlate_window_days = 150");
        shop.lay_over("stampcard.toml", "lanes = 1");
        for pack in ["points", "segments", "tiers", "follow-ups"] {
            let file = format!("plugins/starter-{pack}.toml");
            let isolation = if is_kept { "verified-reuse" } else { "fresh" };
            // A machine that is busy must not make a difference between them, nor which lane is faster.
            let said = format!("isolation = \"{isolation}\"\nlimits.deadline_ms = 2000\n");
            shop.write(&file, said + &shop.read(&file));
        }
        let generated = Generated::new(7, date(2025, 5, 17), SMALL);
        let told = [generated.season, generated.day].concat();
        shop.ingest_bytes(
            &event::lines(&told),
            &["--until", "2025-05-18T00:00:00-04:00"],
        );
        shop
    };
    let (fresh, kept) = (whole(false), whole(true));
    let exported = |shop: &Shop| shop.exported_whole(&["--canonical"]);
    assert_eq!(exported(&fresh), exported(&kept));
    // They were kept indeed, and compared, and none was found out.
    let events = kept.exported("events", &[]);
    let calls = events
        .iter()
        .flat_map(|event| event["outcome"]["plugins"].as_array().into_iter().flatten());
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for call in calls {
        let ran_in = call["instance"].as_str().unwrap_or("fresh");
        *seen.entry(ran_in.to_owned()).or_default() += 1;
    }
    let of = |what: &str| seen.get(what).copied().unwrap_or_default();
    assert!(
        of("kept") > 5 * of("compared") && of("compared") > of("fresh"),
        "{seen:?}"
    );
    assert_eq!(of("differed"), 0);
    check_and_replay(&kept);
}
