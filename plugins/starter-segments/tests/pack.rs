//! What ships with this plugin holds together: cases, schema and README. The default
//! configuration has tests of its own, in `fixed_points`.

mod life;

use std::path::{Path, PathBuf};

use stampcard_sdk::cases;
use stampcard_sdk::serde_json::{Value, from_str};
use starter_segments::StarterSegments;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn file(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn schema() -> Value {
    from_str(&file("config.schema.json")).unwrap()
}

#[test]
fn the_cases_hold() {
    cases::check_all::<StarterSegments>(path("cases"));
}

#[test]
fn the_schema_takes_what_the_rule_takes() {
    let schema = jsonschema::draft202012::new(&schema()).unwrap();
    for case in cases::load(path("cases")).unwrap() {
        for config in case.configurations().filter(|_| !case.is_refused()) {
            let taken = schema.validate(config);
            assert!(taken.is_ok(), "{}: {}", case.name, taken.unwrap_err());
        }
    }
}

#[test]
fn the_readme_shows_configurations_that_are_taken_and_tells_of_every_key() {
    let readme = file("README.md");
    let blocks = readme.split("```toml\n").skip(1);
    let shown: Vec<_> = blocks
        .map(|block| block.split("```").next().unwrap())
        .collect();
    assert!(shown.len() > 3, "the README shows configurations");
    for config in shown {
        life::configure(config).unwrap_or_else(|problem| panic!("{problem}\n{config}"));
    }
    let mut missing = Vec::new();
    properties(&schema(), &mut |key| {
        let told = [format!("`{key}`"), format!("{key} ="), format!("[{key}.")];
        if !told.iter().any(|told| readme.contains(told)) {
            missing.push(key.to_owned());
        }
    });
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "the README does not tell of these"
    );
}

fn properties(schema: &Value, seen: &mut impl FnMut(&str)) {
    match schema {
        Value::Object(fields) => {
            for key in fields
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(|it| it.keys())
            {
                seen(key);
            }
            fields.values().for_each(|inner| properties(inner, seen));
        }
        Value::Array(items) => items.iter().for_each(|inner| properties(inner, seen)),
        _ => {}
    }
}
