//! A rule that is saved as its source: a `.js` or `.ts` in a shop's folder is built, and decides the next
//! sale. In the gate the builder is what npm brings; in `cargo xtask soak` it is `stampcard-js`.

use jiff::Timestamp;
use serde_json::{Value, json};
use stampcard_tests::binary::{self, Ran};
use stampcard_tests::js_builder::{VARIABLE, js_builder};
use stampcard_tests::{Server, Shop, sale};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a saved source may take to be live: quiet, building, compiling, on a busy machine.
const TAKEN_MAX: Duration = Duration::from_secs(180);
/// A builder that is not there.
const NOWHERE: &str = "/nowhere/stampcard-js";

/// A rule that gives so many points for each piece of coffee.
fn extra(points: i64) -> String {
    format!(
        r#"import {{ basket, bonus, pieces, rule }} from "stampcard-sdk";

export const manifest = {{
  roles: ["point-formula"],
  events: ["sale.completed"],
}};

export default rule({{
  points(input) {{
    const count = pieces(basket(input).lines.filter((line) => line.category === "coffee"));
    return {{ awards: [bonus(count * {points}, `${{count}} coffees`)] }};
  }},
}});
"#
    )
}

/// The same with types, and with what the shop sets in `extra.toml`.
const TYPED: &str = r#"import { basket, bonus, pieces, rule, type Line } from "stampcard-sdk";

enum Kind { Coffee = "coffee" }
interface Config { points: number }

export const manifest = {
  roles: ["point-formula"],
  events: ["sale.completed"],
  configuration: {
    type: "object",
    required: ["points"],
    properties: { points: { type: "integer", minimum: 1 } },
  },
} as const;

export default rule<Config>({
  points(input, config: Config) {
    const isCoffee = (line: Line): boolean => line.category === Kind.Coffee;
    const count: number = pieces(basket(input)!.lines.filter(isCoffee));
    if (count > 9) {
      throw new Error("too many");
    }
    return { awards: [bonus(count * config.points, "coffee")] };
  },
});
"#;

fn coffees(id: &str, quantity: i64) -> Value {
    let data = json!({
        "customer": {"phone": "(212) 555-0100"},
        "lines": [{"category": "coffee", "quantity": quantity, "unit_price": 400}],
        "total": 400 * quantity,
    });
    sale(id, &Timestamp::now().to_string(), data)
}

/// What the next sale of three coffees earns by the rule `extra`.
fn earned(server: &Server, id: &str) -> Option<i64> {
    let outcome = server.outcome(&coffees(id, 3));
    let points = outcome["points"].as_array().expect("an outcome has points");
    let entry = points.iter().find(|entry| entry["plugin"] == "extra")?;
    entry["amount"].as_i64()
}

fn serve(shop: &Shop, builder: &Path) -> Server {
    let environment = [(VARIABLE, builder.as_os_str())];
    Server::start_in(&shop.dir, &shop.keys, &[], &environment)
}

/// `stampcard …` on a machine with a builder.
fn run(arguments: &[&str]) -> Ran {
    with(&js_builder(), arguments)
}

fn with(builder: &Path, arguments: &[&str]) -> Ran {
    let mut command = binary::command(arguments);
    let output = command
        .env(VARIABLE, builder)
        .output()
        .expect("the binary starts");
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[track_caller]
fn until(server: &Server, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let listed = server.get("/v1/plugins");
        if is_so(&listed) {
            return listed;
        }
        assert!(
            began.elapsed() < TAKEN_MAX,
            "{what} did not happen: {listed}\n{}",
            server.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn book(server: &Server) -> i64 {
    let listed = server.get("/v1/plugins");
    listed["rule_book"].as_i64().expect("a number")
}

/// Saves a file and waits until it is live.
#[track_caller]
fn save(shop: &Shop, server: &Server, file: &str, text: &str) {
    let before = book(server);
    shop.write(file, text);
    until(server, file, |listed| {
        listed["rule_book"].as_i64() > Some(before)
    });
}

fn told(listed: &Value) -> String {
    format!("{} {}", listed["not_loaded"], listed["last_reload_problem"])
}

#[test]
fn a_source_that_is_saved_decides_the_next_sale_and_a_broken_one_leaves_the_last_good_one() {
    let shop = Shop::new();
    let server = serve(&shop, &js_builder());
    assert_eq!(earned(&server, "none"), None);
    save(&shop, &server, "plugins/extra.js", &extra(5));
    assert_eq!(earned(&server, "first"), Some(15));
    save(&shop, &server, "plugins/extra.js", &extra(7));
    assert_eq!(earned(&server, "edited"), Some(21));

    // It says of which file it was built, and tells its versions apart by itself.
    let extra_of = |listed: &Value| {
        let mut plugins = listed["plugins"].as_array().expect("plugins").iter();
        plugins
            .find(|it| it["name"] == "extra")
            .expect("it")
            .clone()
    };
    let listed = extra_of(&server.get("/v1/plugins"));
    assert_eq!(listed["source"], "extra.js");
    let version = listed["version"].as_str().expect("a version");
    assert!(version.starts_with("0.0.0+"), "{version}");

    // Broken: the old one stays, and everybody who is asked says where.
    let good = book(&server);
    let broken = extra(9).replace("const count =", "const count");
    shop.write("plugins/extra.js", &broken);
    until(&server, "the refusal", |listed| {
        told(listed).contains("extra.js:10:")
    });
    assert_eq!(earned(&server, "broken"), Some(21));
    assert_eq!(book(&server), good);
    let list = run(&["plugin", "list", shop.text()]);
    assert_eq!(list.code, 1);
    assert!(list.stdout.contains("extra.js:10:"), "{}", list.stdout);
    let apply = run(&["plugin", "apply", shop.text()]);
    assert_eq!(apply.code, 1);
    let stays = format!("(version {version} of it stays live)");
    assert!(
        apply.stdout.contains("not taken: extra.js:10:"),
        "{}",
        apply.stdout
    );
    assert!(apply.stdout.contains(&stays), "{}", apply.stdout);
    let doctor = run(&["doctor", shop.text()]);
    assert!(doctor.stdout.contains("extra.js:10:"), "{}", doctor.stdout);
    assert!(server.log().contains("extra.js:10:"), "{}", server.log());
    server.stop();

    // It is broken in the folder, there is no builder, and the shop opens with what was good.
    let server = serve(&shop, Path::new(NOWHERE));
    assert_eq!(earned(&server, "again"), Some(21));
    assert_eq!(book(&server), good);
    // What it was before is known, so it is taken without a builder.
    shop.write("plugins/extra.js", extra(7));
    until(&server, "the mended file", |listed| {
        listed["not_loaded"] == json!([])
    });
    assert_eq!(earned(&server, "mended"), Some(21));
    assert_eq!(book(&server), good);
    // What nobody has built yet cannot be, which is told.
    shop.write("plugins/extra.js", extra(8));
    until(&server, "the missing builder", |listed| {
        let told = told(listed);
        told.contains("extra.js: ") && told.contains(NOWHERE)
    });
    assert_eq!(earned(&server, "not built"), Some(21));
    server.stop();
    shop.check();
}

#[test]
fn a_restart_with_the_same_sources_makes_no_new_rule_book_and_builds_nothing() {
    let shop = Shop::new();
    shop.write("plugins/extra.ts", TYPED);
    shop.write("plugins/extra.toml", "[config]\npoints = 4\n");
    // What only tells an editor types is no plugin.
    shop.write("plugins/stampcard.d.ts", "export interface Input {}\n");
    let server = serve(&shop, &js_builder());
    assert_eq!(earned(&server, "first"), Some(12));
    let good = book(&server);
    server.stop();

    let server = serve(&shop, Path::new(NOWHERE));
    assert_eq!(earned(&server, "restarted"), Some(12));
    assert_eq!(book(&server), good);
    // What stands beside it changes without it.
    save(
        &shop,
        &server,
        "plugins/extra.toml",
        "[config]\npoints = 6\n",
    );
    assert_eq!(earned(&server, "configured"), Some(18));
    shop.write("plugins/extra.toml", "[config]\npoints = 0\n");
    until(&server, "the refusal", |listed| {
        told(listed).contains("extra.toml")
    });
    assert_eq!(earned(&server, "not configured"), Some(18));
    // What it throws in the shop names the author's own line.
    let outcome = server.outcome(&coffees("many", 10));
    assert!(outcome.to_string().contains("fault"), "{outcome}");
    let explained = run(&["explain", shop.text(), "till-1", "many"]);
    assert!(
        explained.stdout.contains("extra.ts:21"),
        "{}",
        explained.stdout
    );
    // Another one is ordered, and the folder is left alone.
    let rolled = run(&["plugin", "rollback", shop.text(), "extra"]);
    assert_eq!(rolled.code, 0, "{}", rolled.stderr);
    assert_eq!(earned(&server, "rolled back"), Some(12));
    server.stop();

    // A backup has the source, and the shop that is restored from it needs no builder.
    shop.write("plugins/extra.toml", "[config]\npoints = 6\n");
    let restored = shop.restored(&shop.back_up("shop.backup"));
    assert_eq!(restored.read("plugins/extra.ts"), TYPED);
    let server = serve(&restored, Path::new(NOWHERE));
    assert_eq!(server.get("/v1/plugins")["not_loaded"], json!([]));
    assert!(earned(&server, "restored").is_some());
}

#[test]
fn what_is_no_rule_is_refused_by_name_and_says_what_to_do() {
    let shop = Shop::new();
    let server = serve(&shop, &js_builder());
    let (good, nothing) = (extra(1), "");
    let manifest = r#"export const manifest = { roles: ["point-formula"], events: ["*"] };"#;
    let with = |line: &str| format!("{line}\n{manifest}\nexport default {{ points() {{}} }};\n");
    let table = [
        (
            "both",
            "js",
            good.clone(),
            "both.js and both.wasm are both there",
        ),
        (
            "twice",
            "js",
            good.clone(),
            "twice.js and twice.ts are both there",
        ),
        (
            "giant",
            "js",
            format!("// {}\n{good}", "-".repeat(2 << 20)),
            "giant.js has more than the 1048576 bytes",
        ),
        (
            "picture",
            "js",
            "\u{1}PNG\r\n\u{1a}\n\0\0".into(),
            "picture.js",
        ),
        (
            "bare",
            "js",
            "export default { points() {} };\n".into(),
            "bare.js:1:1: there is no manifest",
        ),
        (
            "unknown",
            "js",
            good.replace("events:", "event:"),
            "unknown.js: `event` is not a key; did you mean `events`?",
        ),
        (
            "grant",
            "js",
            good.replace("events:", "grant: [\"name\"], events:"),
            "grant.js: `grant` is not a key",
        ),
        (
            "silent",
            "js",
            with(nothing).replace("points()", "tier()"),
            "has no function points(input, config)",
        ),
        (
            "homeless",
            "js",
            with(nothing).replace("export default", "const it ="),
            "default",
        ),
        (
            "thrower",
            "js",
            with("if (1 + 1 === 2) throw new Error(\"at the top\");"),
            "at the top",
        ),
        (
            "neighbour",
            "js",
            with("import { it } from \"./other.js\"; it();"),
            "neighbour.js:1:",
        ),
        (
            "server",
            "ts",
            with("import { readFileSync as it } from \"node:fs\"; it(\"x\");"),
            "a rule has no files",
        ),
        (
            "endless",
            "js",
            with("for (;;);"),
            "is there a loop at its top level that does not end?",
        ),
        ("packed", "js", good.clone(), "packed.js is there, too"),
    ];
    for (name, ending, text, _) in &table {
        shop.write(&format!("plugins/{name}.{ending}"), text);
    }
    shop.write("plugins/both.wasm", "\0asm");
    shop.write("plugins/twice.ts", TYPED);
    shop.write("plugins/packed.toml", "pack = \"starter-points\"\n");
    let listed = until(&server, "all of it", |listed| {
        let refused = listed["not_loaded"].as_array().expect("a list");
        refused.len() == table.len()
    });
    for (name, _, _, words) in &table {
        let mut refused = listed["not_loaded"].as_array().expect("a list").iter();
        let refused = refused.find(|it| it["name"] == *name);
        let reason = refused.expect(name)["reason"].as_str().expect("words");
        assert!(reason.contains(words), "{name}: {reason}");
        assert!(reason.contains(name), "{name}: {reason}");
    }
    // The shop sells on.
    server.outcome(&coffees("1", 3));
}

#[test]
fn a_shop_without_the_builder_says_what_is_missing_and_where_it_belongs() {
    let shop = Shop::new();
    shop.write("plugins/extra.js", extra(5));
    // A machine on which nobody has named one.
    let room = tempfile::tempdir().expect("a folder");
    let program = room.path().join("stampcard");
    fs::copy(binary::path(), &program).expect("a copy");
    let usual = binary::command(["plugin", "list", shop.text()]);
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&program);
        let environment = usual
            .get_envs()
            .filter_map(|(key, value)| Some((key, value?)));
        let environment = environment.map(|(key, value)| (key.to_owned(), value.to_owned()));
        command.args(arguments).envs(environment);
        let output = command
            .env_remove(VARIABLE)
            .env("PATH", "/nowhere")
            .output()
            .expect("the binary starts");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    for command in [&["plugin", "list"][..], &["doctor"]] {
        let (code, said) = run(&[command, &[shop.text()]].concat());
        assert_ne!(code, Some(0));
        let words = format!(
            "extra.js: there is no stampcard-js on this machine, which builds it: lay it beside {}",
            program.display()
        );
        assert!(said.contains(&words), "{said}");
    }
    // Beside the program it is found.
    std::os::unix::fs::symlink(js_builder(), room.path().join("stampcard-js")).expect("a link");
    let (code, said) = run(&["plugin", "list", shop.text()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("extra"), "{said}");
}

#[test]
fn a_source_is_installed_by_order_and_the_folder_may_have_it_later() {
    let shop = Shop::new();
    let room = tempfile::tempdir().expect("a folder");
    let file = room.path().join("extra.js");
    fs::write(&file, extra(5)).expect("a file");
    let path = file.to_str().expect("UTF-8");
    let server = serve(&shop, Path::new(NOWHERE));
    let installed = run(&["plugin", "install", shop.text(), path, "--json"]);
    assert_eq!(installed.code, 0, "{}", installed.stderr);
    assert_eq!(installed.json()["name"], "extra");
    assert_eq!(earned(&server, "installed"), Some(15));
    let listed = run(&["plugin", "list", shop.text()]);
    assert!(
        listed.stdout.contains("extra is built from extra.js"),
        "{}",
        listed.stdout
    );

    // The same file in the folder is what is live already.
    let good = book(&server);
    fs::copy(&file, shop.path("plugins/extra.js")).expect("a copy");
    let apply = with(
        Path::new(NOWHERE),
        &["plugin", "apply", shop.text(), "--json"],
    );
    assert_eq!(apply.code, 0, "{}", apply.stdout);
    assert_eq!(book(&server), good);

    fs::write(&file, extra(5).replace("bonus(count", "bonus(count (")).expect("a file");
    let refused = run(&["plugin", "install", shop.text(), path]);
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("extra.js:11:"),
        "{}",
        refused.stderr
    );
    assert_eq!(earned(&server, "refused"), Some(15));
}

#[test]
fn from_an_empty_folder_to_a_saved_source_that_is_live_are_two_commands_and_two_minutes() {
    const MINUTES: Duration = Duration::from_secs(120);
    let builder = js_builder();
    let began = Instant::now();
    let shop = Shop::bare(&[]);
    let server = serve(&shop, &builder);
    save(&shop, &server, "plugins/extra.js", &extra(5));
    let mut sold = coffees("first", 3);
    // A shop that names no places takes sales from anywhere.
    sold["data"]["channel"] = json!("online");
    if let Some(data) = sold["data"].as_object_mut() {
        data.remove("location");
    }
    let outcome = server.outcome(&sold);
    let took = began.elapsed();
    assert!(took < MINUTES, "{took:?}");
    assert!(outcome.to_string().contains("3 coffees"), "{outcome}");
}

#[test]
fn a_project_is_built_without_npm_where_the_builder_is() {
    let room = tempfile::tempdir().expect("a folder");
    let run = |dir: &Path, arguments: &[&str]| {
        let mut command = binary::command(arguments);
        let output = command
            .current_dir(dir)
            .env(VARIABLE, js_builder())
            .env("PATH", OsStr::new("/nowhere"))
            .output()
            .expect("the binary starts");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for language in ["js", "ts"] {
        let new = [
            "plugin",
            "new",
            language,
            "--role",
            "tier-rule",
            "--language",
            language,
        ];
        run(room.path(), &new);
        let project = room.path().join(language);
        // In two files, one of which has types whatever the other has.
        let rule = project.join(format!("rule.{language}"));
        let text = fs::read_to_string(&rule).expect("the rule");
        let text = text.replace(
            "export default rule",
            "import { sure } from \"./lib/sure\";\n\nsure(rule);\nexport default rule",
        );
        fs::write(&rule, text).expect("the rule");
        fs::create_dir(project.join("lib")).expect("a folder");
        let lib = "export const sure = <T>(it: T): T => it;\n";
        fs::write(project.join("lib/sure.ts"), lib).expect("a file");
        let report = run(&project, &["plugin", "test", "--json"]);
        let report: Value = serde_json::from_str(&report).expect("JSON");
        assert_eq!(report["failed"], 0, "{report}");
        assert!(report["passed"].as_u64() >= Some(3), "{report}");
    }
}
