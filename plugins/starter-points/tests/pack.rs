//! What ships with this plugin holds together: cases, schema, default configuration and README.

use std::path::Path;

use serde_json::{Value, json};
use stampcard_sdk::{Role, cases};
use starter_points::StarterPoints;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn toml(text: &str) -> Value {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn schema() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&file("config.schema.json")).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

/// The configurations that the README shows.
fn shown() -> Vec<Value> {
    let readme = file("README.md");
    let blocks = readme.split("```toml\n").skip(1);
    blocks
        .map(|block| toml(block.split("```").next().unwrap()))
        .collect()
}

#[test]
fn the_cases_hold() {
    cases::check_all::<StarterPoints>(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"));
}

#[test]
fn the_schema_takes_what_the_rule_takes() {
    let schema = schema();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    for case in cases::load(dir).unwrap() {
        for config in case.configurations().filter(|_| !case.is_refused()) {
            let taken = schema.validate(config);
            assert!(taken.is_ok(), "{}: {}", case.name, taken.unwrap_err());
        }
    }
}

#[test]
fn the_default_is_one_point_per_whole_unit_of_the_total() {
    let default = toml(&file("default.toml"));
    assert!(schema().is_valid(&default));
    for (total, points) in [(100, 1), (3_749, 37), (1_000_000, 10_000)] {
        cases::check::<StarterPoints>(
            Role::PointFormula,
            default.clone(),
            json!({"event": {"body": {"Sale": {"total": total}}}}),
            json!({"awards": [{"amount": {"Base": points}}]}),
        );
    }
}

#[test]
fn the_readme_shows_every_setting_in_examples_that_are_taken() {
    let shown = shown();
    assert!(shown.len() > 1, "the README shows configurations");
    let schema_text: Value = serde_json::from_str(&file("config.schema.json")).unwrap();
    let mut missing = Vec::new();
    for key in schema_text["properties"].as_object().unwrap().keys() {
        if !shown.iter().any(|config| config.get(key).is_some()) {
            missing.push(key.clone());
        }
    }
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "the README does not show these"
    );
    for config in shown {
        let schema = schema();
        let taken = schema.validate(&config);
        assert!(taken.is_ok(), "{config}: {}", taken.unwrap_err());
        let event = json!({"event": {"kind": "review.due"}});
        cases::check::<StarterPoints>(Role::PointFormula, config, event, json!({"awards": []}));
    }
}
