//! Writing a rule: from an empty folder to one that is live, in every language, by the commands that an
//! author types and with the tools that an author has.

use jiff::civil::date;
use serde_json::{Value, json};
use stampcard_tests::binary::{self, Ran, root, target};
use stampcard_tests::generated::{Generated, Size};
use stampcard_tests::js_builder::{self, js_builder};
use stampcard_tests::markdown::blocks;
use stampcard_tests::reader::Reader;
use stampcard_tests::{Shop, sale};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const ROLES: [&str; 4] = [
    "segment-rule",
    "point-formula",
    "tier-rule",
    "follow-up-trigger",
];

/// A folder in which an author works.
struct Desk(TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs the binary in one of its folders.
    fn run(&self, dir: &str, arguments: &[&str]) -> Ran {
        let mut command = binary::command(arguments);
        // What a project in Rust depends on is what our own build has fetched, in the versions of the
        // lock that comes with the project.
        command.env("CARGO_NET_OFFLINE", "true");
        finish(command.current_dir(self.path(dir)))
    }

    /// A new project with its tools.
    fn project(&self, name: &str, role: &str, language: &str) {
        let new = [
            "plugin",
            "new",
            name,
            "--role",
            role,
            "--language",
            language,
        ];
        self.run("", &new).ok();
        match language {
            "rust" => share_target(&self.path(name)),
            "python" => pip_install(&self.path(name)),
            _ => npm_install(&self.path(name)),
        }
    }

    #[track_caller]
    fn tested(&self, dir: &str) -> Value {
        let ran = self.run(dir, &["plugin", "test", "--json"]);
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        ran.json()
    }
}

/// What packages in Rust depend on is compiled once for all of our tests.
fn share_target(dir: &Path) {
    let shared = target().join("authoring");
    fs::create_dir_all(&shared).expect("a folder");
    std::os::unix::fs::symlink(shared, dir.join("target")).expect("a link");
}

fn finish(command: &mut Command) -> Ran {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?} is needed: {error}"));
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// As an author types it; what npm has fetched once it takes from its own cache.
fn npm_install(dir: &Path) {
    let mut npm = Command::new("npm");
    npm.args(["install", "--prefer-offline", "--no-audit", "--no-fund"])
        .current_dir(dir);
    let ran = finish(&mut npm);
    assert_eq!(
        ran.code, 0,
        "npm, of Node.js 20 or later, is needed: {}",
        ran.stderr
    );
}

/// A project in every role, each in a folder of its role's name.
#[track_caller]
fn every_role_passes(language: &str) -> Desk {
    let desk = Desk::new();
    for role in ROLES {
        desk.project(role, role, language);
        let report = desk.tested(role);
        assert!(report["passed"].as_u64() >= Some(3), "{role}: {report}");
        assert_eq!(report["failed"], 0, "{role}: {report}");
        let inspected = desk.run(role, &["plugin", "inspect", "--json"]).json();
        assert_eq!(inspected["roles"], json!([role]));
        assert_eq!(inspected["contract"], "0.1");
        assert_eq!(inspected["manifest"]["name"], role);
    }
    desk
}

/// What a season of a shop with three stores comes to in each role, byte for byte, without what differs
/// from component to component and from shop to shop.
fn season(desk: &Desk) -> Vec<String> {
    let size = Size {
        customers: 300,
        guests: 1,
    };
    let season = Generated::new(5, date(2025, 5, 17), size).season;
    let lines: Vec<String> = season.iter().map(Value::to_string).collect();
    fs::write(desk.path("season.ndjson"), lines.join("\n")).expect("a file");
    let decided = |role: &str| {
        let manifest = desk.path(role).join(format!("{role}.toml"));
        let text = fs::read_to_string(&manifest).expect("a manifest");
        // What that shop sells.
        let text = text.replace("category = \"coffee\"", "category = \"tops\"");
        fs::write(&manifest, text).expect("a manifest");
        let ran = desk.run(
            role,
            &["plugin", "run", "--event", "../season.ndjson", "--json"],
        );
        assert_eq!(ran.code, 0, "{role}: {}", ran.stderr);
        ran.stdout
    };
    let outcomes: Vec<String> = ROLES.iter().map(|role| decided(role)).collect();
    let decision = |outcome: &str| {
        let mut outcome: Value = serde_json::from_str(outcome).expect("JSON");
        let mut without = |place: &str, keys: &[&str]| {
            let found = outcome.pointer_mut(place);
            let found = found.into_iter().flat_map(|it| match it {
                Value::Array(items) => items.iter_mut().collect(),
                one => vec![one],
            });
            for fields in found.filter_map(Value::as_object_mut) {
                fields.retain(|key, _| !keys.contains(&key.as_str()));
            }
        };
        without("/customer", &["id"]);
        without("/follow_ups", &["id"]);
        without("/plugins", &["digest", "fuel", "micros"]);
        outcome.to_string()
    };
    let outcomes = outcomes.iter().flat_map(|outcomes| outcomes.lines());
    outcomes.map(decision).collect()
}

#[track_caller]
fn same(one: &[String], other: &[String]) {
    assert!(one.len() > 4_000, "{} decisions", one.len());
    for part in [
        "\"amount\"",
        "\"entered\":[\"segment-rule\"]",
        "\"to\":\"silver\"",
        "\"welcome\"",
    ] {
        assert!(one.iter().any(|decision| decision.contains(part)), "{part}");
    }
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(other) {
        assert_eq!(one, other);
    }
}

#[test]
fn a_new_project_builds_and_passes_its_cases_in_every_role_and_decides_a_season_alike_in_rust_and_javascript()
 {
    let rust = season(&every_role_passes("rust"));
    let javascript = season(&every_role_passes("js"));
    same(&rust, &javascript);
}

#[test]
fn a_new_project_in_typescript_builds_and_passes_its_cases_in_every_role() {
    every_role_passes("ts");
}

/// The example in one of its languages, with what it shares with the others, outside of the repository.
fn stamp_card(desk: &Desk, language: &str) {
    copy(
        &root().join("examples/tenth-coffee"),
        &desk.path("examples/tenth-coffee"),
    );
    let example = format!("examples/three-languages/{language}");
    copy(&root().join(&example), &desk.path(&example));
    copy(
        &root().join("sdk").join(language),
        &desk.path("sdk").join(language),
    );
    match language {
        "python" => pip_install(&desk.path(&example)),
        _ => npm_install(&desk.path(&example)),
    }
    let report = desk.tested(&example);
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&json!(4), &json!(0))
    );
}

#[test]
fn the_stamp_card_in_javascript_decides_and_remembers_as_the_one_in_rust() {
    stamp_card(&Desk::new(), "js");
    // The one in Rust passes the same cases as a component, too.
    let desk = Desk::new();
    copy(
        &root().join("examples/tenth-coffee"),
        &desk.path("tenth-coffee"),
    );
    let manifest = desk.path("tenth-coffee/Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    let sdk = root().join("sdk/rust");
    let text = text.replace("../../sdk/rust", sdk.to_str().expect("UTF-8"));
    fs::write(&manifest, text).expect("a manifest");
    share_target(&desk.path("tenth-coffee"));
    let report = desk.tested("tenth-coffee");
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&json!(4), &json!(0))
    );
}

#[test]
#[ignore = "cargo xtask soak"]
fn the_stamp_card_in_python_decides_and_remembers_as_the_one_in_rust() {
    stamp_card(&Desk::new(), "python");
}

/// Python's builder comes from PyPI, and a component of it has 18 MB: this takes minutes.
#[test]
#[ignore = "cargo xtask soak"]
fn a_new_project_in_python_builds_and_passes_its_cases_in_every_role_and_decides_a_season_as_javascript()
 {
    let python = season(&every_role_passes("python"));
    let javascript = season(&every_role_passes("js"));
    same(&python, &javascript);
}

/// What Python answers is checked by the SDK, because the builder would end the call without a word.
#[test]
#[ignore = "cargo xtask soak"]
fn a_mistake_in_python_is_a_fault_that_names_the_authors_line() {
    let desk = Desk::new();
    desk.project("extra", "point-formula", "python");
    let cases = json!({"role": "point-formula", "config": {"category": "coffee", "points": 5}, "cases": [
        {"name": "it", "input": {"event": {"body": {"Sale": {"lines": [{"category": "coffee", "amount": 1}]}}}}, "expect": {}}
    ]});
    fs::write(desk.path("extra/cases/extra.json"), cases.to_string()).expect("cases");
    let rule = desk.path("extra/rule.py");
    let text = fs::read_to_string(&rule).expect("the rule");
    for (given, instead, words) in [
        (
            "count = pieces(goods)",
            "count = goods[5]",
            "IndexError: list index out of range\n    at points (rule.py:20)",
        ),
        (
            "count * config",
            "1.5 * config",
            "TypeError: awards[0].amount.value: 7.5 is no int",
        ),
        (
            "count * config",
            "2**51 * config",
            "is not a whole number from",
        ),
        (
            "covers=covers",
            "covers=None, to=\"friend\"",
            "TypeError: awards[0].to: 'friend' is no Recipient",
        ),
    ] {
        assert!(text.contains(given));
        fs::write(&rule, text.replace(given, instead)).expect("the rule");
        let ran = desk.run("extra", &["plugin", "test", "--json"]);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let report = ran.json();
        let problem = report["cases"][0]["problem"].as_str().expect("words");
        assert!(
            problem.contains("fault:") && problem.contains(words),
            "{problem}"
        );
    }
}

/// What the SDK for Python has of the contract is what the builder makes of it.
#[test]
#[ignore = "cargo xtask soak"]
fn the_types_of_the_python_sdk_are_those_of_the_contract() {
    let desk = Desk::new();
    desk.project("extra", "point-formula", "python");
    let mut bindings = Command::new(desk.path("extra/.venv/bin/componentize-py"));
    bindings
        .args(["--wit-path", "sdk/stampcard_sdk/wit"])
        .args(["--world", "point-formula-plugin", "bindings", "made"]);
    let ran = finish(bindings.current_dir(desk.path("extra")));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let types = |path: &str| -> Vec<String> {
        let text = fs::read_to_string(desk.path("extra").join(path)).expect(path);
        // Its head names the tool, and what it has of no use outside of a component.
        let body = text.split_once("@dataclass").expect("types").1;
        body.lines().map(str::to_owned).collect()
    };
    let made = types("made/wit_world/imports/types.py");
    assert_eq!(types("sdk/stampcard_sdk/contract.py"), made);
}

/// One customer's sale of so many coffees.
fn coffees(id: &str, quantity: i64) -> Value {
    let data = json!({
        "customer": {"phone": "(212) 555-0100"},
        "lines": [{"category": "coffee", "quantity": quantity, "unit_price": 400}],
        "total": 400 * quantity,
    });
    sale(id, "2026-03-02T12:00:00Z", data)
}

fn bonus(answer: &Value, plugin: &str) -> Option<i64> {
    let points = answer["points"].as_array()?;
    let entry = points.iter().find(|entry| entry["plugin"] == plugin)?;
    entry["amount"].as_i64()
}

#[test]
fn from_an_empty_folder_to_a_rule_that_is_live_in_an_open_shop_are_five_commands_and_two_minutes() {
    const MINUTES: Duration = Duration::from_secs(120);
    let shop = Shop::new();
    let server = shop.serve();
    let desk = Desk::new();
    let began = Instant::now();
    let new = [
        "plugin",
        "new",
        "extra",
        "--role",
        "point-formula",
        "--language",
        "js",
    ];
    desk.run("", &new).ok();
    npm_install(&desk.path("extra"));
    desk.run("extra", &["plugin", "test"]).ok();
    desk.run("extra", &["plugin", "install", shop.text()]).ok();
    let took = began.elapsed();
    assert!(took < MINUTES, "{took:?}");
    let answer = server
        .post_as(&server.keys.pos, "/v1/events", &coffees("1", 3))
        .body;
    assert_eq!(bonus(&answer, "extra"), Some(15), "{answer}");
}

#[test]
fn what_javascript_answers_is_held_to_the_contract_and_a_mistake_names_the_authors_line() {
    let desk = Desk::new();
    let dir = desk.path("strict");
    copy(&root().join("sdk/js/tests/strict"), &dir);
    copy(&root().join("sdk/js"), &dir.join("sdk"));
    npm_install(&dir);
    let report = desk.tested("strict");
    assert!(report["passed"].as_u64() > Some(30), "{report}");
    a_mistake_names_its_line(&desk);
}

fn a_mistake_names_its_line(desk: &Desk) {
    let dir = desk.path("strict");
    // What is not expected is shown with the place in the source.
    let case = json!({"role": "point-formula", "cases": [
        {"name": "it", "config": {"do": "a mistake"}, "expect": {}}
    ]});
    fs::write(dir.join("cases/points.json"), case.to_string()).expect("a file");
    let ran = desk.run("strict", &["plugin", "test", "--json"]);
    assert_eq!(ran.code, 1);
    let report = ran.json();
    let cases = report["cases"].as_array().expect("cases");
    let failed = cases.iter().find(|case| case["passed"] == false);
    let problem = failed.expect("it fails")["problem"]
        .as_str()
        .expect("words");
    for words in ["TypeError", "lib/birthday.js:4", "rule.js:"] {
        assert!(problem.contains(words), "{problem}");
    }
    assert!(!problem.contains("stampcard-sdk"), "{problem}");
}

/// What the real builder makes decides as what npm's makes, and names the same lines.
#[test]
#[ignore = "cargo xtask soak"]
fn what_is_built_without_npm_decides_a_season_as_what_npm_builds_and_is_held_to_the_same_contract()
{
    assert!(js_builder::is_real(), "cargo xtask soak names it");
    let with_npm = season(&every_role_passes("js"));
    for language in ["js", "ts"] {
        let desk = Desk::new();
        for role in ROLES {
            let new = [
                "plugin",
                "new",
                role,
                "--role",
                role,
                "--language",
                language,
            ];
            desk.run("", &new).ok();
            let report = desk.tested(role);
            assert!(report["passed"].as_u64() >= Some(3), "{role}: {report}");
        }
        same(&season(&desk), &with_npm);
    }
    let desk = Desk::new();
    copy(&root().join("sdk/js/tests/strict"), &desk.path("strict"));
    let report = desk.tested("strict");
    assert!(report["passed"].as_u64() > Some(30), "{report}");
    a_mistake_names_its_line(&desk);
}

/// The same for Python.
fn pip_install(dir: &Path) {
    let steps =
        "python3 -m venv .venv && .venv/bin/pip install --quiet --requirement requirements.txt";
    let mut pip = Command::new("bash");
    let ran = finish(pip.args(["-c", steps]).current_dir(dir));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

/// A folder without what tools have put there.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        if path.is_dir() {
            if !["tests", "node_modules", "target", ".venv"]
                .contains(&name.to_str().expect("UTF-8"))
            {
                copy(&path, &to.join(name));
            }
        } else {
            fs::copy(&path, to.join(name)).expect("a file");
        }
    }
}

#[test]
fn a_case_that_fails_is_shown_with_what_was_expected_and_what_came() {
    let desk = Desk::new();
    desk.project("extra", "point-formula", "js");
    let cases = desk.path("extra/cases/extra.json");
    let text = fs::read_to_string(&cases).expect("cases");
    fs::write(&cases, text.replace("\"Bonus\": 15", "\"Bonus\": 16")).expect("cases");
    let ran = desk.run("extra", &["plugin", "test"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    for words in [
        "FAILED  extra.json: each piece of the category earns, and nothing else",
        ".awards[0].amount.Bonus  16        15",
        "4 passed, 1 failed",
    ] {
        assert!(ran.stdout.contains(words), "{}", ran.stdout);
    }
    let report = desk.run("extra", &["plugin", "test", "--json"]).json();
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&json!(4), &json!(1))
    );
    let difference = &report["cases"][0]["differences"][0];
    assert_eq!(difference["expected"], 16);
    assert_eq!(difference["got"], 15);

    // A configuration that no shop could set is one that no case may have.
    let cases = json!({"role": "point-formula", "cases": [
        {"name": "it", "config": {"category": "coffee", "points": 0}, "expect": {}}
    ]});
    fs::write(desk.path("extra/cases/extra.json"), cases.to_string()).expect("cases");
    let ran = desk.run("extra", &["plugin", "test"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("config.points"), "{}", ran.stdout);
}

#[test]
fn an_event_goes_down_the_line_with_the_plugin_and_a_shop_is_not_touched() {
    let shop = Shop::new();
    let desk = Desk::new();
    desk.project("extra", "point-formula", "js");
    let rule = desk.path("extra/rule.js");
    let text = fs::read_to_string(&rule).expect("the rule");
    let said = text.replace(
        "const count",
        "console.warn(\"looking at\", goods.length);\n    const count",
    );
    fs::write(&rule, said).expect("the rule");
    let events = format!("{}\n{}\n", coffees("1", 3), coffees("2", 1));
    fs::write(desk.path("events.ndjson"), events).expect("a file");

    let run = ["plugin", "run", "--event", "../events.ndjson", "--json"];
    let ran = desk.run("extra", &run);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("looking at 1"), "{}", ran.stderr);
    let decisions: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let points: Vec<_> = decisions.iter().map(|it| bonus(it, "extra")).collect();
    assert_eq!(points, [Some(15), Some(5)]);
    assert_eq!(decisions[0]["plugins"].as_array().map(Vec::len), Some(1));

    let with = desk.run("extra", &[&run[..], &["--shop", shop.text()]].concat());
    let first: Value =
        serde_json::from_str(with.stdout.lines().next().expect("a line")).expect("JSON");
    assert_eq!(bonus(&first, "starter-points"), Some(12), "{first}");
    assert_eq!(bonus(&first, "extra"), Some(15));
    assert_eq!(shop.exported("customers", &[]), [Value::Null; 0]);

    let refused = json!({"specversion": "1.0", "source": "a", "id": "1", "type": "sale.completed"});
    fs::write(desk.path("refused.json"), refused.to_string()).expect("a file");
    let ran = desk.run("extra", &["plugin", "run", "--event", "../refused.json"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("refused:"), "{}", ran.stdout);
}

#[test]
fn fuel_time_and_memory_of_each_question_are_measured_fresh_and_reused() {
    let desk = Desk::new();
    desk.project("often", "segment-rule", "js");
    let figures = desk.run("often", &["plugin", "bench", "--calls", "20", "--json"]);
    let figures = figures.json();
    let questions = figures["questions"].as_array().expect("questions");
    assert_eq!(questions.len(), 4);
    assert!(figures["bytes"].as_u64() > Some(1_000_000));
    for question in questions {
        assert!(question["fuel"].as_u64() > Some(0), "{question}");
        assert!(question["memory_bytes"].as_u64() > Some(0), "{question}");
        let fresh = &question["fresh"];
        assert!(fresh["p50_ns"].as_u64() > Some(0), "{question}");
        assert!(fresh["p99_ns"].as_u64() >= fresh["p50_ns"].as_u64());
    }
    let recommended = &figures["recommended"];
    assert!(
        ["fresh", "verified-reuse"]
            .contains(&recommended["isolation"].as_str().unwrap_or_default()),
        "{recommended}"
    );
    assert!(
        recommended["because"].to_string().contains(" µs"),
        "{recommended}"
    );
    let again = desk.run("often", &["plugin", "bench", "--calls", "20", "--json"]);
    let fuel = |figures: &Value| -> Vec<Value> {
        let questions = figures["questions"].as_array().expect("questions");
        questions.iter().map(|it| it["fuel"].clone()).collect()
    };
    assert_eq!(fuel(&again.json()), fuel(&figures), "fuel is exact");
}

/// A command that goes on until it is told to end.
struct Going(Child);

impl Drop for Going {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn a_rule_that_is_saved_is_live_in_an_open_shop_and_one_that_fails_its_cases_is_not() {
    const PATIENCE: Duration = Duration::from_secs(60);
    let shop = Shop::new();
    let server = shop.serve();
    let desk = Desk::new();
    desk.project("extra", "point-formula", "js");
    let log = desk.path("watch.log");
    let file = fs::File::create(&log).expect("a file");
    let mut watch = binary::command(["plugin", "watch", "--into", shop.text()]);
    watch
        .current_dir(desk.path("extra"))
        .stdout(file.try_clone().expect("a file"))
        .stderr(Stdio::from(file));
    let _going = Going(watch.spawn().expect("the binary starts"));
    let said = || fs::read_to_string(&log).unwrap_or_default();
    let wait = |words: &str, times: usize| {
        let began = Instant::now();
        while said().matches(words).count() < times {
            assert!(began.elapsed() < PATIENCE, "{words}: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let earned = |id: &str| {
        let answer = server
            .post_as(&server.keys.pos, "/v1/events", &coffees(id, 3))
            .body;
        bonus(&answer, "extra")
    };
    wait("watching", 1);
    assert!(said().contains("live with rule book"), "{}", said());
    assert_eq!(earned("1"), Some(15));

    let rule = desk.path("extra/rule.js");
    let text = fs::read_to_string(&rule).expect("the rule");
    let write = |text: &str| fs::write(&rule, text).expect("the rule");
    write(&text.replace("count * points", "count * points + 1"));
    wait("watching", 2);
    assert!(said().contains("2 passed, 3 failed"), "{}", said());
    assert_eq!(earned("2"), Some(15), "what fails its cases is not live");

    write("export default rule({ nonsense");
    wait("watching", 3);
    assert!(said().contains("rule.js:1:"), "{}", said());
    assert_eq!(earned("3"), Some(15));

    let cases = desk.path("extra/cases/extra.json");
    let expected = fs::read_to_string(&cases).expect("cases");
    let expected = expected.replace("\"Bonus\": 15", "\"Bonus\": 16");
    fs::write(&cases, expected.replace("\"Bonus\": 5", "\"Bonus\": 6")).expect("cases");
    write(&text.replace("count * points", "count * points + 1"));
    let began = Instant::now();
    while earned(&format!("after {}", began.elapsed().as_nanos())) != Some(16) {
        assert!(began.elapsed() < PATIENCE, "{}", said());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_is_missing_on_the_machine_is_told_in_one_line_with_how_to_get_it() {
    let desk = Desk::new();
    // Where `stampcard-js` is not beside it, as it may be in the folder in which it was built.
    let program = desk.path("stampcard");
    fs::copy(binary::path(), &program).expect("a copy");
    let alone = || {
        let mut build = Command::new(&program);
        build
            .args(["plugin", "build"])
            .env_remove(js_builder::VARIABLE);
        build
    };
    for (language, words) in [
        (
            "rust",
            "cargo is not on this machine; get Rust at https://rustup.rs",
        ),
        ("js", "type: npm install"),
        ("ts", "type: npm install"),
        ("python", "pip install --requirement requirements.txt"),
    ] {
        let new = [
            "plugin",
            "new",
            language,
            "--role",
            "tier-rule",
            "--language",
            language,
        ];
        desk.run("", &new).ok();
        let ran = finish(
            alone()
                .current_dir(desk.path(language))
                .env("PATH", "/nowhere")
                .env_remove("CARGO"),
        );
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        let line = ran.stderr.lines().last().unwrap_or_default();
        assert!(line.contains(words), "{language}: {}", ran.stderr);
    }
    npm_install(&desk.path("js"));
    let ran = finish(alone().current_dir(desk.path("js")).env("PATH", "/nowhere"));
    assert!(ran.stderr.contains("https://nodejs.org"), "{}", ran.stderr);
}

#[test]
fn what_a_new_project_cannot_be_and_what_is_no_project_is_told() {
    let desk = Desk::new();
    let new = |name: &str, language: &str| {
        let new = [
            "plugin",
            "new",
            name,
            "--role",
            "tier-rule",
            "--language",
            language,
        ];
        desk.run("", &new)
    };
    fs::create_dir(desk.path("there")).expect("a folder");
    for (ran, words) in [
        (new("Über Uns", "js"), "is no name for a plugin"),
        (new("there", "js"), "is there already"),
        (new("a", "cobol"), "rust, js, ts, python"),
        (desk.run("there", &["plugin", "test"]), "plugin new NAME"),
        (desk.run("there", &["plugin", "inspect"]), "plugin new NAME"),
        (
            desk.run("there", &["plugin", "install", "shop"]),
            "plugin new NAME",
        ),
    ] {
        assert_eq!(ran.code, 2, "{}", ran.stdout);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    assert_eq!(fs::read_dir(desk.path("there")).expect("it").count(), 0);
}

#[test]
fn the_guide_to_a_first_rule_runs_as_it_is_written() {
    let guide = fs::read_to_string(root().join("docs/first-rule.md")).expect("the guide");
    let blocks = blocks(&guide);
    let reader = Reader::new();
    let prelude = fs::read_to_string(reader.path("prelude.sh")).expect("the prelude");
    let builder = js_builder().display().to_string();
    let variable = js_builder::VARIABLE;
    reader.write(
        "prelude.sh",
        &format!("{prelude}export {variable}={builder}\n"),
    );
    let mut printed = Vec::new();
    let mut open = None;
    for block in &blocks {
        match block.info.as_str() {
            "sh run" => printed.push(reader.run(&block.text)),
            "sh server" => open = Some(reader.serve(&block.text)),
            _ => {}
        }
    }
    assert!(open.is_some(), "the guide opens a shop");
    for (number, words) in [
        (1, "is live now"),
        (1, "extra-coffee is built from extra-coffee.js"),
        (2, "5 passed, 0 failed"),
        (3, "is live with rule book"),
        (4, "15 points: 3 × coffee"),
    ] {
        let printed = &printed[number];
        assert!(printed.contains(words), "{printed}");
    }

    let shown = blocks
        .iter()
        .find(|block| block.info == "js")
        .expect("a rule");
    let rule = fs::read_to_string(reader.path("extra-coffee/rule.js")).expect("the rule");
    assert!(rule.contains(shown.text.trim()), "{rule}");
}
