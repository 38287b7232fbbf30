//! What the server says about its rules: plugins, what calls what, the catalogue, segments.

use crate::client::{ago, get};
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, sale};
use std::collections::BTreeSet;

#[test]
fn the_catalogue_has_customers_orders_deliveries_what_is_looked_at_and_the_shops_own() {
    let shop = Shop::new();
    let server = shop.serve();
    let catalogue = server.get("/v1/catalogue");
    let kinds: BTreeSet<&str> = catalogue["kinds"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|kind| kind["support"] == "processed")
        .map(|kind| kind["name"].as_str().expect("a name"))
        .collect();
    for kind in [
        "customer.created",
        "sale.completed",
        "order.fulfilled",
        "order.delivered",
        "page.viewed",
        "ticket.opened",
    ] {
        assert!(kinds.contains(kind), "{kind} is not in {kinds:?}");
    }
    let customer = json!({"email": "ana@example.com"});
    let order = json!({"customer": customer, "order": {"system": "web", "id": "1001"}});
    server.outcome(&event("order.delivered", "d", &ago(5), order));
    server.outcome(&event(
        "x.fitting",
        "x",
        &ago(4),
        json!({"customer": customer}),
    ));
    let id = server.get("/v1/customers")["items"][0]["id"].clone();
    let timeline = server.get(&format!(
        "/v1/customers/{}/timeline",
        id.as_str().expect("an id")
    ));
    let seen: Vec<&Value> = timeline["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| &item["event"]["type"])
        .collect();
    assert_eq!(seen, [&json!("x.fitting"), &json!("order.delivered")]);
}

#[test]
fn plugins_are_listed_with_their_health_and_what_they_use_of_their_limits() {
    let shop = Shop::new();
    let server = shop.serve();
    let before = server.get("/v1/plugins");
    let names: Vec<&str> = before["plugins"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|plugin| plugin["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        BTreeSet::from_iter(names),
        BTreeSet::from([
            "starter-segments",
            "starter-points",
            "starter-tiers",
            "starter-follow-ups"
        ])
    );
    assert!(
        before["plugins"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|plugin| plugin["health"] == "unknown"),
        "{before}"
    );
    server.outcome(&sale(
        "1",
        &ago(5),
        json!({"customer": {"email": "ana@example.com"}, "total": 60_000}),
    ));
    let after = server.get("/v1/plugins");
    assert_eq!(
        (&after["not_loaded"], &after["rule_book"]),
        (&json!([]), &json!(1))
    );
    for plugin in after["plugins"].as_array().expect("a list") {
        assert_eq!(
            (&plugin["health"], plugin.get("last_error")),
            (&json!("ok"), None),
            "{plugin}"
        );
        let calls = &plugin["calls"][0];
        assert_eq!(calls["results"]["ok"], 1, "{plugin}");
        let share = calls["share_of_limit"].as_u64().expect("a share");
        assert!(share > 0 && share < 10_000, "{plugin}");
        assert!(
            plugin["digest"]
                .as_str()
                .is_some_and(|digest| digest.starts_with("sha256:"))
        );
    }
    let metrics = get("/metrics").to(&server).body;
    for line in [
        "stampcard_events_total{merchant=\"shop\",status=\"applied\"} 1",
        "stampcard_plugin_calls_total{merchant=\"shop\",plugin=\"starter-points\",role=\"point-formula\",result=\"ok\"} 1",
        "stampcard_award_visible_seconds_count{merchant=\"shop\"} 1",
        "stampcard_http_answers_total{merchant=\"shop\",method=\"POST\",route=\"/v1/events\",status=\"200\"} 1",
        "stampcard_customers{merchant=\"shop\"} 1",
        "stampcard_ready{merchant=\"shop\"} 1",
    ] {
        assert!(
            metrics
                .as_str()
                .is_some_and(|text| text.lines().any(|found| found == line)),
            "{line} is not in\n{metrics}"
        );
    }
}

#[test]
fn a_plugin_that_cannot_be_loaded_stays_listed_with_its_reason() {
    let shop = Shop::new();
    shop.write("plugins/broken.wasm", b"not a component");
    shop.write("plugins/broken.toml", "name = \"broken\"\nversion = \"1.0.0\"\nroles = [\"point-formula\"]\nevents = [\"sale.completed\"]\n");
    let server = shop.serve();
    let plugins = server.get("/v1/plugins");
    let failure = &plugins["not_loaded"][0];
    assert_eq!(
        (&failure["name"], &failure["live"]),
        (&json!("broken"), &Value::Null),
        "{plugins}"
    );
    assert!(
        failure["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("not WebAssembly")),
        "{failure}"
    );
    assert_eq!(
        get("/readyz").to(&server).ok()["not_loaded"],
        json!(["broken"])
    );
    let outcome = server.outcome(&sale(
        "1",
        &ago(5),
        json!({"customer": {"email": "ana@example.com"}, "total": 1_000}),
    ));
    assert_eq!(outcome["points"][0]["amount"], 10, "the others still run");
}

#[test]
fn the_graph_says_which_events_ask_which_plugins_and_what_those_may_do() {
    let shop = Shop::new();
    let server = shop.serve();
    let graph = server.get("/v1/rules/graph");
    let events = graph["events"].as_array().expect("a list");
    let sale = events
        .iter()
        .find(|event| event["event"] == "sale.completed")
        .expect("sales are there");
    let asks: Vec<(&str, &str)> = sale["asks"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|asked| {
            (
                asked["plugin"].as_str().expect("a name"),
                asked["role"].as_str().expect("a role"),
            )
        })
        .collect();
    assert_eq!(
        asks,
        [
            ("starter-segments", "segment-rule"),
            ("starter-points", "point-formula"),
            ("starter-tiers", "tier-rule"),
            ("starter-follow-ups", "follow-up-trigger")
        ]
    );
    assert!(
        sale["asks"][0]["decides"]
            .as_array()
            .is_some_and(|keys| keys.contains(&json!("vip"))),
        "{sale}"
    );
    assert_eq!(
        sale["asks"][2]["decides"],
        json!(["gold", "platinum", "silver"]),
        "{sale}"
    );
    assert!(
        sale["asks"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|asked| asked["actions"]
                .as_array()
                .is_some_and(|actions| !actions.is_empty()))
    );
    assert!(
        events
            .iter()
            .all(|event| event["event"] != "customer.archived"),
        "what is not processed asks nobody"
    );
}

/// A redemption of Ana's that an example can be about: one that waits for somebody, if it is about that.
fn redemption(server: &Server, kind: &str, which: &str) -> Value {
    let waits = matches!(kind, "redemption.approved" | "redemption.denied");
    let points = if waits { 200 } else { 10 };
    let body =
        json!({"customer": {"email": "ana@example.com"}, "points": points, "channel": "online"});
    let made = server.post_once(&server.keys.pos, "/v1/redemptions", kind, &body);
    assert_eq!(made.status, 201, "{}", made.body);
    match which {
        "code" => made.body["code"].clone(),
        _ => made.body["id"].clone(),
    }
}

#[test]
fn every_example_of_the_catalogue_is_taken_and_fits_its_schema() {
    let shop = Shop::new();
    let offline = "[redemption.offline]\npoints = 100\nbeyond = \"debt\"\n";
    let referral = "[referral]\nurl = \"https://shop.example/{code}\"\n";
    let redemption_policy = format!("[redemption]\napproval_from = 200\n{offline}{referral}");
    shop.lay_over("merchant.toml", &redemption_policy);
    let server = shop.serve();
    let catalogue = server.get("/v1/catalogue");
    let kinds = catalogue["kinds"].as_array().expect("a list");
    assert!(kinds.len() > 25, "{}", kinds.len());
    // Whoever is merged in an example has to be there, and so has whoever brings a friend.
    let mut code = Value::Null;
    let two = ["keep", "other"].map(|card| {
        let customer = json!({"customer": {"card": card}});
        let made = server.outcome(&event("loyalty.enrolled", card, &ago(60), customer));
        if code.is_null() {
            code = made["referral"]["code"].clone();
        }
        (card, made["customer"]["id"].clone())
    });
    // Whoever redeems needs points.
    let rich = json!({"customer": {"email": "ana@example.com"}, "total": 200_000});
    server.outcome(&sale("rich", &ago(60), rich));
    for kind in kinds {
        let name = &kind["name"];
        assert!(
            kind["meaning"]
                .as_str()
                .is_some_and(|meaning| meaning.ends_with('.')),
            "{name}"
        );
        let mut event = kind["example"].clone();
        event["id"] = name.clone();
        for (which, id) in &two {
            if event["data"].get(which).is_some() {
                event["data"][which] = id.clone();
            }
        }
        if name == "referral.signup" {
            event["data"]["code"] = code.clone();
        }
        // And whoever is forgotten is so after everything else that happened to them.
        if name == "customer.deleted" {
            event["data"]["customer"] = json!({"id": two[1].1});
            event["time"] = json!(ago(0));
        }
        for which in ["redemption", "code"] {
            if event["data"].get(which).is_some() && name != "referral.signup" {
                event["data"][which] = redemption(&server, name.as_str().unwrap(), which);
            }
        }
        let answer = server.post_as(&server.keys.operator, "/v1/events", &event);
        match kind["support"].as_str() {
            Some("processed") => {
                assert_eq!(answer.status, 200, "{name}: {}", answer.body);
                let schema = jsonschema::validator_for(&kind["schema"])
                    .unwrap_or_else(|error| panic!("{name}: {error}"));
                let wrong: Vec<String> = schema
                    .iter_errors(&event["data"])
                    .map(|error| error.to_string())
                    .collect();
                assert_eq!(wrong, [""; 0], "{name}");
            }
            Some("not-yet") => assert_eq!(
                (answer.status, &answer.body["code"]),
                (422, &json!("not-yet-supported")),
                "{name}"
            ),
            _ => assert_eq!(
                (answer.status, &answer.body["code"]),
                (422, &json!("host-only")),
                "{name}"
            ),
        }
    }
}

#[test]
fn the_fields_that_a_schema_names_are_exactly_those_that_are_taken() {
    let shop = Shop::new();
    let server = shop.serve();
    let catalogue = server.get("/v1/catalogue");
    for kind in catalogue["kinds"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|kind| kind["schema"]["additionalProperties"] == false)
    {
        let mut event = kind["example"].clone();
        event["id"] = json!("wrong");
        event["data"]["no-such-field"] = json!(1);
        let answer = server.post_as(&server.keys.operator, "/v1/events", &event);
        assert_eq!(
            (answer.status, &answer.body["pointer"]),
            (400, &json!("/data/no-such-field")),
            "{}",
            answer.body
        );
        // The refusal lists the fields that are known, each between backticks.
        let detail = answer.body["detail"].as_str().expect("a detail");
        let known: BTreeSet<&str> = detail
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|field| *field != "no-such-field")
            .collect();
        let described: BTreeSet<&str> = kind["schema"]["properties"]
            .as_object()
            .expect("fields")
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(described, known, "{}", kind["name"]);
    }
}

#[test]
fn segments_are_listed_with_their_meaning_and_how_many_are_in_them() {
    let shop = Shop::new();
    let server = shop.serve();
    server.outcome(&sale(
        "1",
        &ago(5),
        json!({"customer": {"email": "ana@example.com"}, "total": 60_000}),
    ));
    let listed = server.get("/v1/segments");
    let segments = listed["segments"].as_array().expect("a list");
    let of = |key: &str| {
        segments
            .iter()
            .find(|segment| segment["segment"] == key)
            .unwrap_or_else(|| panic!("no {key} in {listed}"))
    };
    for (key, members) in [
        ("vip", 1),
        ("first-timer", 1),
        ("weekly", 0),
        ("lapsed", 0),
        ("omnichannel", 0),
    ] {
        assert_eq!(of(key)["members"], members, "{key}");
        assert!(
            of(key)["meaning"]
                .as_str()
                .is_some_and(|meaning| meaning.contains(' ')),
            "{key}"
        );
    }
}

#[test]
fn health_and_the_catalogue_tell_the_versions_that_are_read_and_an_event_may_name_one() {
    let shop = Shop::new();
    let server = shop.serve();
    let health = server.get("/healthz");
    assert_eq!(
        (&health["cloudevents"], &health["data_versions"]),
        (&json!("1.0"), &json!(["v1"]))
    );
    let catalogue = server.get("/v1/catalogue");
    let kinds = catalogue["kinds"].as_array().expect("a list");
    let schemas = |name: &str| {
        let kind = kinds.iter().find(|kind| kind["name"] == name);
        kind.expect("it is there")["dataschema"].clone()
    };
    assert_eq!(schemas("review.due"), Value::Null, "nobody sends it");
    let newest = &schemas("sale.completed")[0];
    let bought = |id: &str| {
        let customer = json!({"email": format!("{id}@example.com")});
        sale(id, &ago(5), json!({"customer": customer, "total": 3_700}))
    };
    let without = server.outcome(&bought("a"));
    let mut named = bought("b");
    named["dataschema"] = newest.clone();
    let with = server.outcome(&named);
    for key in ["status", "segments", "receipt", "prompts"] {
        assert_eq!(with[key], without[key], "{key}");
    }
    assert_eq!(with["points"][0]["amount"], without["points"][0]["amount"]);
}
