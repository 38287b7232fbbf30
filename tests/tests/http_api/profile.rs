//! What a profile may say of a person beside names and numbers: addresses, and where it stays.

use crate::client::{ago, get, send};
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Shop, sale};

#[test]
fn several_addresses_have_one_default_no_doubles_and_are_only_with_the_person() {
    let shop = Shop::new();
    let server = shop.serve();
    let home = json!({"label": "home", "line1": "1 Spring Street", "city": "New York", "region": "NY", "postal_code": "10012", "country": "us"});
    let office = json!({"label": "office", "line1": "2 Pier", "line2": "Floor 3", "city": "Brooklyn", "country": "US"});
    let made = json!({"email": "ana@example.com", "addresses": [home, office, home]});
    let made = send("POST", "/v1/customers", &made)
        .key(&server.keys.pos)
        .to(&server)
        .ok();
    let path = format!("/v1/customers/{}", made["id"].as_str().expect("an id"));
    let seen = |customer: &Value| -> Vec<(Value, Value)> {
        let addresses = customer["addresses"].as_array().expect("a list").iter();
        addresses
            .map(|it| (it["label"].clone(), it["default"].clone()))
            .collect()
    };
    let (is_home, is_office) = (json!("home"), json!("office"));
    assert_eq!(
        seen(&made),
        [
            (is_home.clone(), json!(true)),
            (is_office.clone(), json!(false))
        ],
        "the first is the default where none is said to be"
    );
    assert_eq!(made["addresses"][0]["country"], "US");
    assert_eq!(made["address"], "1 Spring Street, New York 10012, NY, US");
    let edit = |body: Value| {
        send("PATCH", &path, &body)
            .key(&server.keys.operator)
            .header("if-match", "*")
            .to(&server)
    };
    let mut usual = office.clone();
    usual["default"] = json!(true);
    let edited = edit(json!({"addresses": [home, usual]})).ok();
    assert_eq!(
        seen(&edited),
        [(is_home, json!(false)), (is_office, json!(true))]
    );
    assert_eq!(edited["address"], "2 Pier, Floor 3, Brooklyn, US");

    let mut other = home.clone();
    other["default"] = json!(true);
    let nowhere = json!({"line1": "1", "city": "A", "country": "Atlantis"});
    let empty = json!({"line1": " ", "city": "A", "country": "US"});
    for (body, code, pointer) in [
        (
            json!({"addresses": [usual, other]}),
            "one-default",
            "/addresses",
        ),
        (
            json!({"addresses": [nowhere]}),
            "unknown-country",
            "/addresses/0/country",
        ),
        (
            json!({"addresses": [empty]}),
            "address-incomplete",
            "/addresses/0/line1",
        ),
        (
            json!({"addresses": [], "address": "B"}),
            "address-twice",
            "/address",
        ),
        (
            json!({"addresses": vec![home.clone(); 21]}),
            "too-many",
            "/addresses",
        ),
    ] {
        let refused = edit(body);
        assert_eq!((refused.status, refused.problem()), (422, code));
        assert_eq!(refused.body["pointer"], pointer);
    }
    let in_one_line = edit(json!({"address": "3 Hudson Street, New York"})).ok();
    assert_eq!(
        (&in_one_line["address"], &in_one_line["addresses"]),
        (&json!("3 Hudson Street, New York"), &json!([])),
        "one line takes the place of them all"
    );
    assert_eq!(
        edit(json!({"addresses": null})).ok()["address"],
        Value::Null
    );

    edit(json!({"addresses": [home]})).ok();
    let sold = json!({"customer": {"email": "ana@example.com"}, "total": 1_000});
    server.outcome(&sale("1", &ago(1), sold));
    let timeline = server.get(&format!("{path}/timeline")).to_string();
    let decided = server.get("/v1/events?source=till-1&id=1").to_string();
    for told in [timeline, decided] {
        assert!(
            !told.contains("Spring") && !told.contains("10012"),
            "{told}"
        );
    }
    server.stop();
    for what in ["customers", "events"] {
        let exported = shop.export(what, &[]);
        assert!(!exported.contains("Spring"), "{exported}");
    }
    shop.check();
}

#[test]
fn why_somebody_pays_no_tax_is_with_the_person_and_that_it_is_so_is_not() {
    let shop = Shop::new();
    let server = shop.serve();
    let customer = json!({"email": "ana@example.com"});
    let exempt = json!({"customer": customer, "tax_exempt": {"reason": "certificate 12-345"}});
    server.outcome(&event("customer.created", "a", &ago(9), exempt));
    let ana = server.get("/v1/customers?email=ana@example.com")["items"][0].clone();
    assert_eq!(ana["tax_exempt"]["reason"], "certificate 12-345");
    let kept = server.get("/v1/events?source=till-1&id=a");
    assert_eq!(kept["event"]["data"]["tax_exempt"], true);
    assert!(!kept.to_string().contains("12-345"), "{kept}");
    let ends = json!({"customer": customer, "tax_exempt": null});
    server.outcome(&event("customer.updated", "b", &ago(8), ends));
    let ana = server.get("/v1/customers?email=ana@example.com")["items"][0].clone();
    assert_eq!(ana["tax_exempt"], Value::Null);
    server.stop();
    assert!(!shop.export("customers", &[]).contains("12-345"));
    shop.check();
}

#[test]
fn a_till_asks_what_it_must_ask_at_its_location_and_what_was_missed_is_counted() {
    let shop = Shop::new();
    shop.lay_over(
        "merchant.toml",
        r#"
[profile]
required = ["given_name", "phone"]

[[profile.fields]]
key = "boot_size"
type = "number"
purpose = "Which boots to bring from the back."
min = 1
max = 60

[[locations]]
id = "soho"
name = "SoHo"
required = ["email"]

[[locations]]
id = "brooklyn"
name = "Brooklyn"
"#,
    );
    let server = shop.serve();
    let rules = |query: &str| {
        let path = format!("/v1/profile-rules{query}");
        get(&path).key(&server.keys.pos).to(&server)
    };
    let at = |query: &str| rules(query).ok()["required"].clone();
    assert_eq!(at("?location=soho"), json!(["email"]));
    assert_eq!(at("?location=brooklyn"), json!(["given_name", "phone"]));
    assert_eq!(at(""), json!(["given_name", "phone"]));
    let nowhere = rules("?location=harlem");
    assert_eq!(
        (nowhere.status, nowhere.problem()),
        (404, "no-such-location")
    );
    let field = &rules("").ok()["fields"][0];
    assert_eq!(
        (&field["key"], &field["type"], &field["max"]),
        (&json!("boot_size"), &json!("number"), &json!(60))
    );
    assert_eq!(field["purpose"], "Which boots to bring from the back.");

    let make = |id: &str, location: &str, customer: Value| {
        let data = json!({"customer": customer, "channel": "pos", "location": location});
        server.send(&event("customer.created", id, &ago(9), data))
    };
    make("1", "soho", json!({"phone": "(212) 555-0100"}));
    make("1", "soho", json!({"phone": "(212) 555-0100"}));
    make("2", "soho", json!({"email": "ana@example.com"}));
    make("3", "brooklyn", json!({"email": "bo@example.com"}));
    let seen = |rules: &Value| -> Vec<(Value, Value, Value)> {
        let violations = rules["violations"].as_array().expect("a list").iter();
        violations
            .map(|it| {
                (
                    it["field"].clone(),
                    it["accepted"].clone(),
                    it["refused"].clone(),
                )
            })
            .collect()
    };
    assert_eq!(
        seen(&rules("").ok()),
        [
            (json!("email"), json!(1), json!(0)),
            (json!("given_name"), json!(1), json!(0)),
            (json!("phone"), json!(1), json!(0)),
        ],
        "an event that is sent twice is one"
    );
    server.stop();
    shop.lay_over("merchant.toml", "[profile]\nmode = \"strict\"");
    let server = shop.serve();
    let data =
        json!({"customer": {"phone": "(212) 555-0177"}, "channel": "pos", "location": "soho"});
    let refused = send(
        "POST",
        "/v1/events",
        &event("customer.created", "4", &ago(8), data),
    )
    .key(&server.keys.pos)
    .to(&server);
    assert_eq!((refused.status, refused.problem()), (422, "field-required"));
    assert_eq!(refused.body["pointer"], "/data/email");
    let rules = server.get("/v1/profile-rules?location=soho");
    assert_eq!(seen(&rules), [(json!("email"), json!(0), json!(1))]);
    let refused = ["field=\"email\"", "result=\"refused\""];
    assert_eq!(
        server.figure("stampcard_profile_violations_total", &refused),
        Some(1.0)
    );
}
