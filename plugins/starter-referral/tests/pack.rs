//! What ships with this plugin holds together: cases, schema, default configuration and README.

use std::path::Path;

use serde_json::{Value, json};
use stampcard_sdk::{Role, cases};
use starter_referral::StarterReferral;

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn schema() -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&file("config.schema.json")).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

fn toml(text: &str) -> Value {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn the_cases_hold() {
    cases::check_all::<StarterReferral>(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"));
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
fn the_default_and_what_the_readme_shows_are_taken() {
    let readme = file("README.md");
    let blocks = readme.split("```toml\n").skip(1);
    let shown: Vec<Value> = blocks
        .map(|block| toml(block.split("```").next().unwrap()))
        .chain([toml(&file("default.toml"))])
        .collect();
    assert_eq!(shown.len(), 3);
    let keys: Value = serde_json::from_str(&file("config.schema.json")).unwrap();
    for key in keys["properties"].as_object().unwrap().keys() {
        assert!(
            shown.iter().any(|config| config.get(key).is_some()),
            "the README does not show {key}"
        );
    }
    for config in shown {
        assert!(schema().is_valid(&config), "{config}");
        let event = json!({"event": {"kind": "review.due"}});
        cases::check::<StarterReferral>(Role::PointFormula, config, event, json!({"awards": []}));
    }
}
