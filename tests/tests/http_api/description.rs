//! `/openapi.json` is true: it is a valid document, and every answer is as it says.

use crate::client::{Request, ago, get, send};
use serde_json::{Map, Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, sale};
use std::collections::BTreeSet;

/// The description, with every object closed: an answer may have nothing that it does not name.
struct Description {
    document: Value,
}

impl Description {
    fn read(server: &Server) -> Description {
        let answer = get("/openapi.json").to(server);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let mut document = answer.ok();
        let schemas = document
            .pointer_mut("/components/schemas")
            .and_then(Value::as_object_mut)
            .expect("schemas");
        for (name, schema) in schemas.iter_mut() {
            // A problem may say more than what all problems say.
            if name != "Problem" {
                close(schema);
            }
        }
        Description { document }
    }

    fn operations(&self) -> Vec<(String, String, Value)> {
        let paths = self.document["paths"].as_object().expect("paths");
        let of_path = |(path, methods): (&String, &Value)| {
            let methods = methods.as_object().expect("methods").clone();
            methods
                .into_iter()
                .map(|(method, operation)| (method, path.clone(), operation))
                .collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    }

    /// What is wrong with a value that should fit a schema of the document.
    fn differences(&self, schema: &Value, value: &Value) -> Vec<String> {
        let whole = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "components": self.document["components"], "allOf": [schema]});
        let validator =
            jsonschema::validator_for(&whole).unwrap_or_else(|error| panic!("{schema}: {error}"));
        validator
            .iter_errors(value)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect()
    }
}

/// Adds `additionalProperties: false` to every object that has properties and does not say.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") && !fields.contains_key("additionalProperties") {
                fields.insert("additionalProperties".into(), json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[test]
fn the_document_is_openapi_3_1_and_complete_enough_for_a_generated_client() {
    let shop = Shop::new();
    let server = shop.serve();
    let description = Description::read(&server);
    assert_eq!(description.document["openapi"], "3.1.0");
    let mut names = BTreeSet::new();
    for (method, path, operation) in description.operations() {
        let name = operation["operationId"]
            .as_str()
            .unwrap_or_else(|| panic!("{method} {path} has no name"));
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        let responses = operation["responses"].as_object().expect("responses");
        let good: Vec<&String> = responses
            .keys()
            .filter(|status| status.starts_with('2'))
            .collect();
        assert_eq!(good.len(), 1, "{name}: {good:?}");
        for (status, response) in responses {
            let content = response["content"]
                .as_object()
                .unwrap_or_else(|| panic!("{name} {status} has no content"));
            if !status.starts_with('2') {
                assert_eq!(
                    content.keys().collect::<Vec<_>>(),
                    ["application/problem+json"],
                    "{name} {status}"
                );
            }
            assert!(
                content
                    .values()
                    .all(|content| content["schema"].is_object()),
                "{name} {status}"
            );
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                parameter["schema"].is_object()
                    && parameter["name"].is_string()
                    && parameter["in"].is_string(),
                "{name}: {parameter}"
            );
            assert!(
                parameter["description"].is_string() || parameter["in"] == "query",
                "{name}: {parameter}"
            );
        }
        let secured = operation.get("security").is_some();
        // The signature of a webhook is its key.
        let has_a_key = path.starts_with("/v1/") && !path.starts_with("/v1/hooks/");
        assert_eq!(secured, has_a_key, "{name}");
    }
    assert!(names.len() >= 27, "{names:?}");
    for (name, schema) in description.document["components"]["schemas"]
        .as_object()
        .expect("schemas")
    {
        assert!(
            schema.as_object().is_some_and(|schema| !schema.is_empty()),
            "{name} says nothing"
        );
        assert_eq!(
            description
                .differences(
                    &json!({"$ref": format!("#/components/schemas/{name}")}),
                    &json!("\u{0}nothing")
                )
                .is_empty(),
            name == "TheEmptySchema",
            "{name} takes anything"
        );
    }
}

#[test]
fn every_answer_is_as_the_description_says() {
    let shop = Shop::new();
    shop.lay_over("merchant.toml", "[redemption.offline]\npoints = 100\n");
    let server = shop.serve();
    let description = Description::read(&server);
    let customer = json!({"email": "ana@example.com", "phone": "2125550100"});
    let profile = json!({"customer": customer, "given_name": "Ana", "birthday": "1990-02-28", "consents": [{"purpose": "email", "granted": true}]});
    server.outcome(&event("customer.created", "made", &ago(60), profile));
    // The last two look like one, and leave an item for somebody.
    for (id, minutes, total) in [
        ("1", 50, 10_000),
        ("2", 40, 60_000),
        ("3", 30, 100_000),
        ("4", 30, 100_000),
    ] {
        server.outcome(&sale(id, &ago(minutes), json!({"customer": customer, "total": total, "channel": if id < "3" { "pos" } else { "online" }})));
    }
    server.outcome(&event(
        "visit.counted",
        "door",
        &ago(3),
        json!({"location": "soho", "count": 3}),
    ));
    let id = server.get("/v1/customers")["items"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let acts = [
        (
            "points.adjusted",
            json!({"points": 50, "reason": "goodwill"}),
        ),
        (
            "points.adjusted",
            json!({"points": -20, "reason": "a mistake"}),
        ),
        (
            "credit.adjusted",
            json!({"amount": 1_250, "reason": "goodwill"}),
        ),
        (
            "tier.overridden",
            json!({"tier": "platinum", "reason": "press"}),
        ),
        ("note.added", json!({"note": "Prefers linen."})),
        ("customer.updated", json!({"replace": ["phone"]})),
    ];
    for (index, (kind, mut data)) in acts.into_iter().enumerate() {
        data["customer"] = json!({"id": id});
        let act = event(kind, &format!("act-{index}"), &ago(20), data);
        let told = server.post_as(&server.keys.operator, "/v1/events", &act);
        assert_eq!(told.status, 200, "{}", told.body);
    }
    let bo = json!({"customer": {"email": "bo@example.com"}});
    let bo =
        server.outcome(&event("loyalty.enrolled", "bo", &ago(10), bo))["customer"]["id"].clone();
    // Somebody who is forgotten has nothing to show afterwards.
    let cy = json!({"customer": {"email": "cy@example.com"}});
    let cy = server.outcome(&event("loyalty.enrolled", "cy", &ago(10), cy));
    let cy = cy["customer"]["id"].as_str().expect("an id").to_owned();
    let basket = sale(
        "next",
        &ago(1),
        json!({"customer": customer, "total": 5_000}),
    );
    let wanted = json!({"customer": id, "points": 10, "channel": "online"});
    let made = server.post_once(&server.keys.pos, "/v1/redemptions", "first", &wanted);
    let redemption = made.body["id"].as_str().expect("an id").to_owned();
    let queries = Map::from_iter([
        ("/v1/events".to_owned(), json!("?source=till-1&id=2")),
        (
            "/v1/customers/{id}/segments".to_owned(),
            json!("?explain=1&history=1"),
        ),
    ]);
    let mut asked = 0;
    for (method, path, operation) in description.operations() {
        // It has no end; its own tests read it.
        if path == "/v1/stream" {
            continue;
        }
        let query = queries
            .get(&path)
            .filter(|_| method == "get")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let target = format!(
            "{}{query}",
            path.replace("review-items/{id}", "review-items/1")
                .replace("redemptions/{id}", &format!("redemptions/{redemption}"))
                .replace("outbox/{id}", "outbox/1")
                .replace("{id}", if method == "delete" { &cy } else { &id })
                .replace("{key}", "vip")
                .replace("{name}", "starter-points")
                // What it answers who has signed is in its own tests.
                .replace("{source}", "nobody")
        );
        let request = match (method.as_str(), path.as_str()) {
            ("get", _) => get(&target),
            ("post", "/v1/customers") => {
                send("POST", &target, &json!({"email": "new@example.com"}))
            }
            ("post", "/v1/events") => send("POST", &target, &json!([basket, {"id": 7}])),
            ("post", "/v1/customers/{id}/token") => Request {
                method: "POST",
                ..get(&target)
            },
            ("post", "/v1/preview") => send("POST", &target, &basket),
            ("put", "/v1/plugins/{name}") => send(
                "PUT",
                &target,
                &json!({"manifest": "pack = 'starter-points'\n[config]\npoints = 2\nbase = 'total'\n"}),
            ),
            ("post", "/v1/plugins/{name}/preview") => send(
                "POST",
                &target,
                &json!({"manifest": "pack = 'starter-points'\n[config]\npoints = 2\nbase = 'total'\n"}),
            ),
            ("post", "/v1/plugins/{name}/rollback" | "/v1/plugins/{name}/release") => {
                send("POST", &target, &json!({"reason": "a test"}))
            }
            ("post", "/v1/review-items/{id}/close") => {
                send("POST", &target, &json!({"reason": "two of them were sold"}))
            }
            ("post", "/v1/customers/{id}/merge") => {
                let with = json!({"other": bo, "confirmed_on": "card", "reason": "a test", "dry_run": true});
                send("POST", &target, &with)
            }
            ("post", "/v1/customers/{id}/unmerge" | "/v1/customers/{id}/decline-merge") => {
                send("POST", &target, &json!({"other": bo, "reason": "a test"}))
            }
            ("post", "/v1/hooks/{source}") => send("POST", &target, &json!({})),
            ("post", "/v1/customers/{id}/allowances") => {
                let wanted = json!({"points": 10, "channel": "online"});
                send("POST", &target, &wanted).header("idempotency-key", "third")
            }
            ("post", "/v1/redemptions") => {
                send("POST", &target, &wanted).header("idempotency-key", "second")
            }
            ("post", "/v1/redemptions/{id}/approve" | "/v1/redemptions/{id}/deny") => {
                send("POST", &target, &json!({"actor": "Leo"}))
            }
            ("post", "/v1/redemptions/{id}/confirm" | "/v1/redemptions/{id}/cancel") => {
                send("POST", &target, &json!({"channel": "online"}))
            }
            ("post", "/v1/tags:bulk") => {
                let who = json!([{"id": id}, {"email": "nobody@example.com"}]);
                send(
                    "POST",
                    &target,
                    &json!({"key": "k", "action": "add", "tag": "VIP", "customers": who}),
                )
            }
            ("post", "/v1/tags:import") => {
                let table = format!("id,tags\n{id},press\n");
                let job = json!({"key": "t", "mode": "add", "csv": table});
                send("POST", &target, &job)
            }
            ("post", "/v1/segments/{key}/members") => {
                let job = json!({"key": "m", "action": "add", "customers": [{"id": id}]});
                send("POST", &target, &job)
            }
            ("post", "/v1/outbox/{id}/retry" | "/v1/outbox/{id}/drop") => Request {
                method: "POST",
                ..get(&target)
            },
            ("delete", "/v1/customers/{id}") => Request {
                method: "DELETE",
                ..get(&target)
            },
            ("patch", _) => {
                send("PATCH", &target, &json!({"language": "es"})).header("if-match", "*")
            }
            other => panic!("how is {other:?} asked?"),
        };
        let answer = request.key(&server.keys.operator).to(&server);
        let content = answer
            .header("content-type")
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned();
        let said =
            &operation["responses"][answer.status.to_string()]["content"][&content]["schema"];
        assert!(
            said.is_object(),
            "{method} {path} answered {} {content}: {}",
            answer.status,
            answer.body
        );
        assert_eq!(
            description.differences(said, &answer.body),
            [""; 0],
            "{method} {path}\n{:#}",
            answer.body
        );
        asked += 1;
    }
    assert!(asked >= 27, "{asked}");
    let one = server.outcome(&sale(
        "one",
        &ago(1),
        json!({"customer": customer, "total": 100}),
    ));
    assert_eq!(
        description.differences(&json!({"$ref": "#/components/schemas/Outcome"}), &one),
        [""; 0],
        "{one:#}"
    );
    let known =
        json!({"customer": customer, "channel": "pos", "location": "soho", "method": "phone"});
    let recognised = server.outcome(&event("customer.identified", "known", &ago(1), known));
    assert!(recognised["card"].is_object(), "{recognised}");
    assert_eq!(
        description.differences(
            &json!({"$ref": "#/components/schemas/Outcome"}),
            &recognised
        ),
        [""; 0],
        "{recognised:#}"
    );
    for path in [
        "/v1/customers/cus_nobody",
        "/v1/customers?emial=x",
        "/v1/nothing",
    ] {
        let problem = get(path).key(&server.keys.operator).to(&server).body;
        assert_eq!(
            description.differences(&json!({"$ref": "#/components/schemas/Problem"}), &problem),
            [""; 0],
            "{problem:#}"
        );
    }
}
