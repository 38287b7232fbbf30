//! A sandbox to try things out in, and the run that tries both channels out: the rules are the
//! shop's, everything else is gone afterwards.

use serde_json::{Value, json};
use stampcard_tests::binary::{self, Ran};
use stampcard_tests::server::Client;
use stampcard_tests::{Shop, sale};
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

fn run(shop: &Shop, arguments: &[&str]) -> Ran {
    binary::run([&["conformance", shop.text()], arguments].concat())
}

fn step<'a>(report: &'a Value, name: &str) -> &'a Value {
    let steps = report["steps"].as_array().expect("steps");
    let found = steps
        .iter()
        .find(|step| step["name"].as_str().is_some_and(|it| it.contains(name)));
    found.unwrap_or_else(|| panic!("{name} is not in {report:#}"))
}

#[test]
fn both_channels_are_tried_out_and_each_step_has_its_delay() {
    let shop = Shop::new();
    let file = shop.dir.with_file_name("conformance.json");
    let text = file.to_str().expect("paths are UTF-8");
    let ran = run(&shop, &["--report", text]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for told in [
        "the web store sees that balance by e-mail",
        "13 of 13 steps passed, 0 failed, 0 skipped",
    ] {
        assert!(ran.stdout.contains(told), "{}", ran.stdout);
    }
    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(&file).expect("the report")).expect("JSON");
    assert_eq!(
        (&report["passed"], &report["failed"], &report["shop"]),
        (&json!(13), &json!(0), &json!("shop"))
    );
    for (name, says) in [
        ("a sale at the till", "earned 100, balance 100"),
        ("the web store sees", "balance 100"),
        ("a sale online", "earned 100, balance 200"),
        ("the till sees", "balance 200"),
        ("the same basket", "100 in each"),
        ("the same order", "balance 200"),
        ("a till that was offline", "counted once, balance 300"),
        ("one balance after that", "balance 300"),
        ("the ledger sums", "3 entries, 300"),
        ("redeemed online", "1 redeemed, balance 299"),
        ("redeemed at the till", "1 redeemed, balance 298"),
    ] {
        let step = step(&report, name);
        assert_eq!(
            (&step["state"], step["says"].as_str()),
            (&json!("pass"), Some(says)),
            "{name}"
        );
        let micros = step["micros"].as_u64().expect("a delay");
        assert!((1..30_000_000).contains(&micros), "{name}: {micros}");
    }
    assert_eq!(
        shop.exported("customers", &[]).len(),
        0,
        "nothing of it is in the shop"
    );
}

#[test]
fn rules_that_tell_channels_apart_are_told_and_rules_that_break_fail() {
    let shop = Shop::new();
    shop.lay_over(
        "plugins/starter-points.toml",
        "[config]\nallow_channel_rates = true\n[config.channel_rates.online]\npoints = 2\nreason = \"double online\"\n",
    );
    let ran = run(&shop, &["--json"]);
    let report = ran.json();
    assert_eq!(ran.code, 0, "{report:#}");
    assert_eq!(
        step(&report, "the same basket")["says"],
        "100 at the till and 200 online: the rules tell them apart"
    );

    let shop = Shop::new();
    shop.lay_over("plugins/starter-points.toml", "[config]\npoints = -1\n");
    let ran = run(&shop, &["--json"]);
    let report = ran.json();
    assert_eq!(ran.code, 1, "{report:#}");
    let first = step(&report, "every plugin");
    assert_eq!(first["state"], "fail");
    let says = first["says"].as_str().expect("a sentence");
    assert!(says.contains("starter-points"), "{says}");

    let ran = run(&Shop::bare(&[]), &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("[[locations]]"), "{}", ran.stderr);
}

/// A sandbox that is open, and what it printed.
struct Sandbox {
    child: Child,
    keys: Value,
    address: String,
}

impl Sandbox {
    fn of(shop: &Shop) -> Sandbox {
        let mut child =
            binary::command(["sandbox", shop.text(), "--listen", "127.0.0.1:0", "--json"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut line = || lines.next().expect("a line").expect("a line of text");
        let keys = serde_json::from_str(&line()).expect("keys");
        let address = line();
        let address = address.strip_prefix("listening on ").expect("an address");
        Sandbox {
            keys,
            address: address.to_owned(),
            child,
        }
    }

    fn key(&self, name: &str) -> &str {
        self.keys[name].as_str().expect("a key")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_sandbox_has_the_rules_of_the_shop_a_key_for_each_channel_and_nothing_else_of_it() {
    let shop = Shop::new();
    let server = shop.serve();
    let told = json!({"customer": {"card": "A-1"}, "total": 1_000});
    let at = jiff::Timestamp::now().to_string();
    assert_eq!(
        server.outcome(&sale("1", &at, told.clone()))["customer"]["balance"],
        10
    );
    let sandbox = Sandbox::of(&shop);
    let (till, web) = (
        Client::new(&sandbox.address, sandbox.key("till")),
        Client::new(&sandbox.address, sandbox.key("web")),
    );
    // The same event: in here nobody has sent it.
    let first = till.send(&sale("1", &at, told.clone())).expect("an answer");
    assert_eq!(
        (
            first.status,
            &first.body["status"],
            &first.body["customer"]["balance"]
        ),
        (200, &json!("applied"), &json!(10))
    );
    let mut online = told.clone();
    online["channel"] = json!("online");
    let second = web.send(&sale("2", &at, online)).expect("an answer");
    assert_eq!(second.body["customer"]["balance"], 20, "{}", second.body);
    let stranger = Client::new(&sandbox.address, &server.keys.operator);
    let refused = stranger.send(&sale("3", &at, told)).expect("an answer");
    assert_eq!(refused.status, 401, "no key of the shop works here");
    assert_eq!(
        server.get("/v1/customers")["items"][0]["balance"],
        10,
        "the shop has heard nothing"
    );
}
