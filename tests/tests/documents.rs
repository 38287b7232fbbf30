//! What the documents say is true: commands run, paths exist, rows have tests, dependencies have
//! reasons.

use stampcard_tests::binary::{self, root};
use stampcard_tests::markdown::{Block, blocks, paths};
use stampcard_tests::matching::differences;
use stampcard_tests::{rows, story};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_path_that_a_document_names_exists() {
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "docs/why.md",
        "tests/scenarios/README.md",
    ] {
        let text = document(name);
        let home = Path::new(name)
            .parent()
            .expect("a document lies in a folder");
        let missing: Vec<String> = paths(&text)
            .into_iter()
            .filter(|path| !root().join(path).exists() && !root().join(home).join(path).exists())
            // What a shop's folder has, and what is built, is not in the repository.
            .filter(|path| !is_of_a_shop(path) && !path.starts_with("target/"))
            .collect();
        assert_eq!(missing, [""; 0], "{name} names what is not there");
    }
}

fn is_of_a_shop(path: &str) -> bool {
    const FILES: [&str; 11] = [
        "merchant.toml",
        "stampcard.toml",
        "story.toml",
        "plugins/NAME.toml",
        "plugins/NAME.wasm",
        "shop/plugins",
        "examples/my-rule",
        "my-rule.toml",
        "plugins/starter-tiers.toml",
        "src/lib.rs",
        "data/stampcard.db",
    ];
    FILES.contains(&path)
}

#[test]
fn every_room_of_the_workspace_is_on_the_map() {
    let map = document("ARCHITECTURE.md");
    let manifest: toml::Table = document("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let members = manifest["workspace"]["members"]
        .as_array()
        .expect("the workspace has members");
    for member in members {
        let member = member.as_str().expect("a member is a path");
        let room = member.split('/').take(2).collect::<Vec<_>>().join("/");
        let shelf = member.split('/').next().expect("a path has a first part");
        assert!(
            map.contains(&format!("`{room}/`")) || map.contains(&format!("`{shelf}/`")),
            "ARCHITECTURE.md does not speak of {member}"
        );
    }
}

#[test]
fn every_row_names_tests_that_exist() {
    let rows = rows::load();
    let problems: Vec<String> = rows
        .iter()
        .flat_map(|(id, row)| {
            let none = row
                .shown_by
                .is_empty()
                .then(|| format!("{id}: no test shows it"));
            let wrong = row
                .shown_by
                .iter()
                .filter_map(move |test| Some(format!("{id}: {}", rows::problem(test)?)));
            none.into_iter().chain(wrong)
        })
        .collect();
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_story_shows_a_row() {
    let shown: BTreeSet<String> = rows::load()
        .into_values()
        .flat_map(|row| row.shown_by)
        .collect();
    let unused: Vec<String> = story::load_all()
        .into_keys()
        .filter(|name| !shown.contains(&format!("story {name}")))
        .collect();
    assert_eq!(
        unused, [""; 0],
        "tests/rows.toml does not name these stories"
    );
}

#[test]
fn every_dependency_has_a_reason() {
    let why = document("docs/why.md");
    let manifest: toml::Table = document("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let dependencies = manifest["workspace"]["dependencies"]
        .as_table()
        .expect("a table");
    let missing: Vec<&String> = dependencies
        .keys()
        .filter(|name| !name.starts_with("stampcard-") && !why.contains(&format!("`{name}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/why.md has no reason for {missing:?}"
    );
}

#[test]
fn the_rule_in_the_readme_is_the_example() {
    let shown = blocks(&document("README.md"))
        .into_iter()
        .find(|block| block.info == "rust")
        .expect("a rule");
    let source = document("examples/tenth-coffee/src/lib.rs");
    let rule = source
        .split("#[cfg(test)]")
        .next()
        .expect("a file has a beginning");
    let code = rule
        .lines()
        .filter(|line| !line.starts_with("//!"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(code.trim(), shown.text.trim());
    assert!(
        shown.text.lines().count() <= 36,
        "the rule has grown too long for a first screen"
    );
}

/// Plays the README from top to bottom in an empty folder, as a reader would, with two changes:
/// the server listens on a port of its own, and what has to be built was built before.
#[test]
fn the_commands_of_the_readme_run_and_answer_as_shown() {
    let readme = blocks(&document("README.md"));
    let room = tempfile::tempdir().expect("a temporary folder");
    prepare(room.path());
    let mut server = None;
    let mut answers = Vec::new();
    for Block { info, text } in &readme {
        match info.as_str() {
            "sh run" => answers.push(shell(room.path(), text)),
            "sh server" => server = Some(Serving::start(room.path(), text)),
            "sh operator" => {
                server
                    .take()
                    .expect("the README opened the shop before")
                    .stop();
                for command in text.lines() {
                    shell(room.path(), command);
                }
            }
            _ => {}
        }
    }
    let shown = readme
        .iter()
        .find(|block| block.info == "json")
        .expect("the answer of the till");
    let shown: serde_json::Value =
        serde_json::from_str(&shown.text).expect("the README shows JSON");
    let found = answers
        .iter()
        .filter_map(|answer| serde_json::from_str::<serde_json::Value>(json_in(answer)).ok());
    let found = found
        .into_iter()
        .find(|answer| answer["status"] == "applied")
        .expect("the sale was answered");
    assert_eq!(differences(&shown, &found), [""; 0], "{found}");
}

const PORT: &str = "127.0.0.1:8377";

/// The folder that a reader works in: the clone's files, and the binary on the path.
fn prepare(room: &Path) {
    for name in [
        "examples",
        "sdk",
        "wit",
        "plugins",
        "Cargo.toml",
        "tests",
        "host",
        "xtask",
    ] {
        std::os::unix::fs::symlink(root().join(name), room.join(name)).expect("a link");
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let bin = binary::path()
        .parent()
        .expect("a binary lies in a folder")
        .to_owned();
    let prelude = format!(
        "set -euo pipefail\n\
         {curl}\n\
         cargo() {{ if [ \"$1\" = xtask ]; then shift; {xtask} \"$@\"; else command cargo \"$@\"; fi; }}\n\
         export PATH={bin}:$PATH XDG_CACHE_HOME={cache}\n\
         if [ -f keys.sh ]; then . ./keys.sh; fi\n",
        curl = binary::curl(),
        bin = bin.display(),
        xtask = binary::xtask().display(),
        cache = root().join("target/test-cache").display(),
    );
    fs::write(room.join("prelude.sh"), prelude).expect("a file");
    fs::write(room.join("address"), port.to_string()).expect("a file");
    let past = r#"{"specversion":"1.0","source":"till-1","id":"9","type":"sale.completed","time":"2026-01-05T10:00:00-05:00","data":{"channel":"online","currency":"USD","lines":[{"sku":"TEA","amount":900}],"total":900}}"#;
    fs::write(room.join("past-sales.ndjson"), past).expect("a file");
}

/// Runs a block in bash and returns what it printed. Variables live on in the next block.
#[track_caller]
fn shell(room: &Path, text: &str) -> String {
    let address = fs::read_to_string(room.join("address")).expect("prepared");
    let text = text.replace(PORT, &address);
    let script = format!(
        ". ./prelude.sh\n{text}\nset +u\ndeclare -p POS READ 2>/dev/null > keys.sh || true\n"
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(room)
        .output()
        .expect("bash runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}\n{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}

/// The JSON object at the end of what a block printed.
fn json_in(printed: &str) -> &str {
    printed.find('{').map_or("", |start| &printed[start..])
}

struct Serving(Child);

impl Serving {
    fn start(room: &Path, command: &str) -> Serving {
        let address = fs::read_to_string(room.join("address")).expect("prepared");
        let script = format!(
            ". ./prelude.sh\nexec {} --listen {address}\n",
            command.trim()
        );
        let child = Command::new("bash")
            .args(["-c", &script])
            .current_dir(room)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("bash runs");
        let began = Instant::now();
        while std::net::TcpStream::connect(&address).is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "the server of the README does not listen"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        Serving(child)
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the server runs");
        assert!(self.0.wait().expect("it can be waited for").success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
