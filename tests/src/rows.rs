//! `tests/rows.toml`: every requirement row that works, with the test that shows it.

use crate::binary::root;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What works, in a few words.
    pub what: String,
    /// The tests that show it: `story NAME`, or `FILE::TEST` with a path from the root.
    pub shown_by: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rows: BTreeMap<String, Row>,
}

/// Reads the rows by their ids.
///
/// # Panics
/// If the file is not well-formed.
pub fn load() -> BTreeMap<String, Row> {
    let path = root().join("tests/rows.toml");
    let text = fs::read_to_string(&path).expect("tests/rows.toml is there");
    let file: File =
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.rows
}

/// A bug that was seen elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    pub what: String,
    /// Where it was reported.
    pub source: String,
    /// As [`Row::shown_by`].
    pub shown_by: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BugFile {
    bugs: BTreeMap<String, Bug>,
}

/// Reads `tests/bugs.toml`: bugs that others have shipped, by their numbers.
///
/// # Panics
/// If the file is not well-formed.
pub fn load_bugs() -> BTreeMap<String, Bug> {
    let path = root().join("tests/bugs.toml");
    let text = fs::read_to_string(&path).expect("tests/bugs.toml is there");
    let file: BugFile =
        toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.bugs
}

/// How many rows each group has, by the letters of their ids.
pub fn groups(rows: &BTreeMap<String, Row>) -> BTreeMap<&str, usize> {
    let mut groups = BTreeMap::new();
    for id in rows.keys() {
        // `PL-040` is of the group PL, and `C18`, where two sources say different things, of C.
        let letters = id.trim_end_matches(|sign: char| sign.is_ascii_digit() || sign == '-');
        *groups.entry(letters).or_default() += 1;
    }
    groups
}

/// Why a test that a row names cannot be the one, if so.
pub fn problem(test: &str) -> Option<String> {
    if let Some(name) = test.strip_prefix("story ") {
        let story = root().join("tests/scenarios").join(name).join("story.toml");
        return (!story.is_file()).then(|| format!("there is no {}", story.display()));
    }
    let Some((file, name)) = test.split_once("::") else {
        return Some("it is neither `story NAME` nor `FILE::TEST`".into());
    };
    let Ok(text) = fs::read_to_string(root().join(file)) else {
        return Some(format!("there is no file {file}"));
    };
    let is_there = if file.ends_with(".rs") {
        is_a_test(&text, name)
    } else {
        text.contains(&format!("\"{name}\""))
    };
    (!is_there).then(|| format!("{file} has no test {name}"))
}

/// A function with `#[test]` (or a test attribute of another name) on the lines before it.
fn is_a_test(text: &str, name: &str) -> bool {
    let mut attributed = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") && line.contains("test") {
            attributed = true;
        } else if line.contains("fn ") {
            let declared = line
                .split("fn ")
                .nth(1)
                .and_then(|rest| rest.split(['(', '<']).next());
            if attributed && declared == Some(name) {
                return true;
            }
            attributed = false;
        }
    }
    // Properties are functions inside of a macro that makes them tests.
    text.contains("proptest!") && text.contains(&format!("fn {name}("))
}

#[cfg(test)]
mod tests {
    use super::is_a_test;

    #[test]
    fn only_a_function_with_a_test_attribute_is_a_test() {
        let text = "fn helper() {}\n#[test]\n#[ignore]\nfn sums_add_up() {}\n#[tokio::test]\nasync fn answers() {}\n";
        let table = [
            ("sums_add_up", true),
            ("answers", true),
            ("helper", false),
            ("sums", false),
        ];
        for (name, expected) in table {
            assert_eq!(is_a_test(text, name), expected, "{name}");
        }
    }
}
