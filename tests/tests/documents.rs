//! What the documents say is true: commands run, paths exist, rows have tests, dependencies have
//! reasons.

use stampcard_tests::binary::root;
use stampcard_tests::markdown::{Block, blocks, paths};
use stampcard_tests::matching::differences;
use stampcard_tests::reader::Reader;
use stampcard_tests::{rows, story};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_path_that_a_document_names_exists() {
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "docs/why.md",
        "docs/first-rule.md",
        "docs/ship-a-pack.md",
        "docs/catalogue.md",
        "examples/three-languages/README.md",
        "docs/hardening.md",
        "docs/sizing.md",
        "docs/webhooks.md",
        "docs/runbooks/bad-plugin.md",
        "docs/runbooks/double-award.md",
        "docs/runbooks/failed-import.md",
        "docs/runbooks/full-disk.md",
        "docs/runbooks/people-and-tills.md",
        "docs/runbooks/restore.md",
        "docs/runbooks/shop-not-open.md",
        "docs/runbooks/stuck-timers.md",
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
    const FILES: [&str; 14] = [
        "merchant.toml",
        "stampcard.toml",
        "story.toml",
        "pack.toml",
        "plugins/NAME.toml",
        "plugins/NAME.wasm",
        "plugins/NAME.js",
        "shop/plugins",
        "examples/my-rule",
        "my-rule.toml",
        "extra-coffee.toml",
        "plugins/starter-tiers.toml",
        "src/lib.rs",
        "data/stampcard.db",
    ];
    let is_in_it = ["shop/", "shops/", "data/", "plugins/starter-"];
    FILES.contains(&path) || is_in_it.iter().any(|folder| path.starts_with(folder))
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
fn every_known_bug_names_tests_that_exist() {
    let bugs = rows::load_bugs();
    let problems = bugs.iter().flat_map(|(number, bug)| {
        let is_number = number.parse::<u8>().is_ok_and(|it| it > 0);
        let unnumbered = (!is_number).then(|| format!("{number:?} is no number"));
        let unsaid = (bug.what.is_empty() || bug.source.is_empty() || bug.shown_by.is_empty())
            .then(|| format!("{number}: it needs `what`, `source` and a test in `shown_by`"));
        let wrong = bug.shown_by.iter();
        let wrong =
            wrong.filter_map(move |test| Some(format!("{number}: {}", rows::problem(test)?)));
        unnumbered.into_iter().chain(unsaid).chain(wrong)
    });
    let problems: Vec<String> = problems.collect();
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
    let reader = Reader::new();
    reader.write("past-sales.ndjson", PAST_SALE);
    let mut server = None;
    let mut answers = Vec::new();
    for Block { info, text } in &readme {
        match info.as_str() {
            "sh run" => answers.push(reader.run(text)),
            "sh server" => server = Some(reader.serve(text)),
            "sh operator" => {
                server
                    .take()
                    .expect("the README opened the shop before")
                    .stop();
                for command in text.lines() {
                    reader.run(command);
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

const PAST_SALE: &str = r#"{"specversion":"1.0","source":"till-1","id":"9","type":"sale.completed","time":"2026-01-05T10:00:00-05:00","data":{"channel":"online","currency":"USD","lines":[{"sku":"TEA","amount":900}],"total":900}}"#;

/// The JSON object at the end of what a block printed.
fn json_in(printed: &str) -> &str {
    printed.find('{').map_or("", |start| &printed[start..])
}
