//! What ships with this plugin holds together: cases, schema, default configuration and README.

use std::path::{Path, PathBuf};

use stampcard_sdk::serde_json::{Value, from_str, json};
use stampcard_sdk::{Role, cases};
use starter_follow_ups::StarterFollowUps;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn file(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn toml(text: &str) -> Value {
    toml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn schema() -> jsonschema::Validator {
    let schema: Value = from_str(&file("config.schema.json")).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

#[test]
fn the_cases_hold() {
    cases::check_all::<StarterFollowUps>(path("cases"));
}

#[test]
fn the_schema_takes_what_the_rule_takes() {
    let schema = schema();
    for case in cases::load(path("cases")).unwrap() {
        for config in case.configurations().filter(|_| !case.is_refused()) {
            let taken = schema.validate(config);
            assert!(taken.is_ok(), "{}: {}", case.name, taken.unwrap_err());
        }
    }
}

/// The default configuration at one event.
fn default(input: Value, expect: Value) {
    let default = toml(&file("default.toml"));
    assert!(schema().is_valid(&default));
    cases::check::<StarterFollowUps>(Role::FollowUpTrigger, default, input, expect);
}

#[test]
fn the_default_welcomes_thanks_and_prints_at_the_first_sale() {
    default(
        json!({
            "event": {
                "body": { "Sale": { "total": 3749 } },
                "location": { "id": "soho", "name": "SoHo" }
            },
            "customer": { "consents": ["email"] },
            "so_far": { "points": 37, "balance_after": 37, "next_tier": { "tier": "silver", "missing": 46251, "unit": "Spend" } }
        }),
        json!({
            "follow_ups": [
                { "template": "local_welcome", "channel": "email" },
                { "template": "thank_you", "send_at": { "Hours": 24 } },
                { "template": "welcome", "dedupe_key": "welcome" }
            ],
            "prompts": [{ "kind": "enrol" }],
            "receipt": ["Earned 37", "Balance 37", "462.51 to Silver"],
            "after": { "memory": "Keep", "next_review": "Never", "note": null }
        }),
    );
}

#[test]
fn the_default_wins_back_who_lapsed_and_has_staff_call_a_vip() {
    default(
        json!({ "event": { "kind": "review.due" }, "so_far": { "segments_entered": ["lapsed"] } }),
        json!({ "follow_ups": [{ "template": "win_back", "cancelled_by": ["sale.completed", "exchange.completed"] }] }),
    );
    default(
        json!({
            "event": { "body": { "Sale": { "total": 50001 } }, "channel": "Online" },
            "totals": { "lifetime": { "orders": 2 }, "online": { "orders": 2 } },
            "so_far": { "segments_entered": ["vip"] }
        }),
        json!({
            "follow_ups": [
                { "template": "thank_you" },
                { "channel": "task", "template": "call_vip", "data": [["total", { "Money": 50001 }], ["due", { "At": "+3d" }]] }
            ]
        }),
    );
}

#[test]
fn the_readme_shows_every_key_of_the_schema_and_nothing_that_is_refused() {
    let readme = file("README.md");
    let blocks = readme.split("```toml\n").skip(1);
    let shown: Vec<Value> = blocks
        .map(|block| toml(block.split("```").next().unwrap()))
        .collect();
    assert!(shown.len() > 3, "the README shows configurations");
    let schema_text: Value = from_str(&file("config.schema.json")).unwrap();
    for config in &shown {
        let schema = schema();
        let taken = schema.validate(config);
        assert!(taken.is_ok(), "{config}: {}", taken.unwrap_err());
        let event = json!({ "event": { "kind": "customer.updated" } });
        cases::check::<StarterFollowUps>(
            Role::FollowUpTrigger,
            config.clone(),
            event,
            json!({ "prompts": [] }),
        );
    }
    // Every property anywhere in the schema is somewhere in the README.
    let mut missing = Vec::new();
    properties(&schema_text, &mut |key| {
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
