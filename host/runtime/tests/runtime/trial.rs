//! What an author tries out is what a shop would have: the same refusals, the same limits.

use crate::given::{candidate, engine, hostile, shop};
use serde_json::{Value, json};
use stampcard_pipeline::rules::{Failure, Role};
use stampcard_runtime::LoadError;
use stampcard_runtime::trial::{CaseError, Question, Trial, Tried};

fn us_shop() -> Value {
    json!({
        "currency": "USD", "minor_units": 100, "time_zone": "America/New_York", "country": "US",
        "language": "en-US", "tiers": [], "attributes": []
    })
}

fn ask(
    trial: &Trial,
    role: Role,
    configuration: &Value,
    input: &Value,
) -> Result<Tried, CaseError> {
    trial.ask(Question {
        role,
        configuration,
        shop: &us_shop(),
        input,
    })
}

#[test]
fn a_case_runs_a_component_in_the_contracts_words() {
    let plugin = candidate("a", "hostile", "point-formula", "");
    let trial = Trial::load(engine(), &shop(), &plugin).unwrap();
    let none = json!({});
    let missing = ask(&trial, Role::PointFormula, &none, &json!({}));
    assert!(matches!(missing, Err(CaseError::Shape { .. })));
    let other = ask(&trial, Role::TierRule, &none, &case());
    assert!(matches!(other, Err(CaseError::NoRole { .. })));

    let tried = ask(&trial, Role::PointFormula, &none, &case()).unwrap();
    let answer = tried.call.result.unwrap();
    assert_eq!(answer["awards"][0]["amount"], json!({"Base": 1}));
    assert!(tried.call.usage.fuel > 0);
}

#[test]
fn a_case_has_its_own_configuration_and_the_limits_of_a_call() {
    let trial = Trial::load(engine(), &shop(), &hostile("Panic", "")).unwrap();
    let result = |crime: &str| {
        let tried = ask(
            &trial,
            Role::PointFormula,
            &json!({"crime": crime}),
            &case(),
        )
        .unwrap();
        (tried.call.result.unwrap_err(), tried.log)
    };
    assert_eq!(result("Loop").0, Failure::Fuel { limit: 20_000_000 });
    let (failure, log) = result("Panic");
    assert!(matches!(failure, Failure::Trap { .. }), "{failure:?}");
    assert!(!log.is_empty(), "the author reads what the panic said");
}

#[test]
fn what_a_shop_refuses_is_refused_and_a_configuration_is_held_to_the_schema() {
    let more = "[configuration]\ntype = 'object'\nrequired = ['per']";
    let plugin = candidate("a", "hostile", "point-formula", more);
    let refused = Trial::load(engine(), &shop(), &plugin)
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(refused, LoadError::Configuration { .. }),
        "{refused}"
    );
    let lies = candidate("a", "hostile", "tier-rule", "");
    let refused = Trial::load(engine(), &shop(), &lies)
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(refused, LoadError::Lies { .. }), "{refused}");

    let more = "[configuration]\ntype = 'object'\nproperties.per = { minimum = 1 }";
    let plugin = candidate("a", "hostile", "point-formula", more);
    let trial = Trial::load(engine(), &shop(), &plugin).unwrap();
    assert!(trial.problems(&json!({"per": 1})).is_empty());
    assert!(trial.problems(&json!({"per": 0}))[0].contains("config.per"));
}

#[test]
fn fresh_instances_and_one_that_is_kept_are_timed_call_by_call() {
    let plugin = candidate("a", "hostile", "point-formula", "");
    let trial = Trial::load(engine(), &shop(), &plugin).unwrap();
    let times = |configuration: Value| {
        let question = Question {
            role: Role::PointFormula,
            configuration: &configuration,
            shop: &us_shop(),
            input: &case(),
        };
        let timed = trial.time(question, 5).unwrap();
        (timed.fresh.len(), timed.reused.len(), timed.is_answered)
    };
    assert_eq!(times(json!({})), (5, 5, true));
    assert_eq!(times(json!({"crime": "Panic"})), (5, 0, false));
    // The second answer is not what a fresh instance would say.
    assert_eq!(times(json!({"crime": "Whisper"})), (5, 1, true));
}

/// A whole input, as the SDK completes the sparse ones that authors write.
fn case() -> serde_json::Value {
    let tally = serde_json::json!({
        "orders": 0, "spend": 0, "returns": 0, "returned": 0, "earned": 0, "first_at": null, "last_at": null
    });
    let local = serde_json::json!({
        "year": 2026, "month": 3, "day": 2, "hour": 12, "minute": 0, "weekday": 1, "utc_offset": 0, "day_began": 0,
        "month_began": 0, "year_began": 0, "next_day": 0, "next_month": 0, "next_year": 0
    });
    serde_json::json!({
        "now": 0,
        "event": {
            "source": "cases", "id": "event-1", "kind": "visit.counted", "occurred_at": 0, "local": local,
            "channel": "Pos", "location": null, "device": null, "staff": null, "historical": false,
            "body": {"Visit": {"count": 1}}, "attributes": []
        },
        "customer": {
            "id": "cus_1", "created_at": 0, "enrolled_at": null, "origin": "pos", "tags": [], "segments": [],
            "tier": null, "balance": 0, "available": 0, "earned": 0, "consents": [], "language": null,
            "birthday": null, "home_location": null, "offers": [], "referred_by": null, "referrals": 0,
            "person": null, "attributes": []
        },
        "totals": {
            "lifetime": tally, "pos": tally, "online": tally, "phone": tally, "other": tally, "days7": tally,
            "days30": tally, "days90": tally, "days365": tally, "this_month": tally, "this_year": tally,
            "last_year": tally, "largest_sale": 0, "previous_sale_at": null
        },
        "facts": [], "facts_truncated": false, "state": null,
        "so_far": {
            "segments_entered": [], "segments_left": [], "tags_set": [], "tags_cleared": [], "awards": [],
            "points": 0, "balance_after": 0, "tier": null, "next_tier": null
        },
        "attributes": []
    })
}
