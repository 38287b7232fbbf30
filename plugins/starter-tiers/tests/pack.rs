//! What ships with this plugin holds together: cases, schema, default configuration and README.

use std::path::Path;

use serde_json::{Value, json};
use stampcard_sdk::{Role, cases};
use starter_tiers::StarterTiers;

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
    cases::check_all::<StarterTiers>(Path::new(env!("CARGO_MANIFEST_DIR")).join("cases"));
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
fn the_default_is_silver_gold_and_platinum_by_spend_in_365_days() {
    let default = toml(&file("default.toml"));
    assert!(schema().is_valid(&default));
    for (spend, tier) in [
        (49_999, None),
        (50_000, Some("silver")),
        (149_999, Some("silver")),
        (150_000, Some("gold")),
        (499_999, Some("gold")),
        (500_000, Some("platinum")),
    ] {
        let placement = match tier {
            Some(tier) => json!({"tier": tier}),
            None => json!(null),
        };
        cases::check::<StarterTiers>(
            Role::TierRule,
            default.clone(),
            json!({"event": {"body": {"Sale": {"total": spend}}}}),
            json!({"placement": placement}),
        );
    }
}

#[test]
fn the_manifest_owns_the_tiers_of_the_default() {
    let manifest = toml(&file("plugin.toml"));
    let owned: Vec<&String> = manifest["tiers"].as_object().unwrap().keys().collect();
    let default = toml(&file("default.toml"));
    let mut configured: Vec<&str> = default["tiers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tier| tier["tier"].as_str().unwrap())
        .collect();
    configured.sort();
    assert_eq!(owned, configured);
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
        cases::check::<StarterTiers>(Role::TierRule, config, event, json!({"placement": null}));
    }
}
