//! The parts of a customer as a till, a dashboard or a person at the desk reads them.

use crate::client::{ago, get, quoted, send};
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, sale};

/// A customer with a history: two stores, the web, a consent, and a sale that makes them VIP.
fn ana(server: &Server) -> String {
    let customer = json!({"email": "ana@example.com"});
    let profile = json!({"customer": customer, "given_name": "Ana", "consents": [{"purpose": "email", "granted": true}]});
    server.outcome(&event("customer.created", "made", &ago(60), profile));
    for (id, minutes, data) in [
        (
            "1",
            50,
            json!({"location": "soho", "total": 10_000, "lines": [{"sku": "JKT", "name": "Jacket", "amount": 10_000}]}),
        ),
        ("2", 40, json!({"location": "brooklyn", "total": 2_000})),
        ("3", 30, json!({"location": "soho", "total": 3_000})),
        ("4", 20, json!({"channel": "online", "total": 5_000})),
    ] {
        let mut data = data;
        data["customer"] = customer.clone();
        server.outcome(&sale(id, &ago(minutes), data));
    }
    let last = server.outcome(&sale(
        "5",
        &ago(10),
        json!({"customer": customer, "total": 60_000}),
    ));
    last["customer"]["id"].as_str().expect("an id").to_owned()
}

fn list<'a>(value: &'a Value, field: &str) -> Vec<&'a Value> {
    value[field]
        .as_array()
        .unwrap_or_else(|| panic!("no list {field} in {value}"))
        .iter()
        .collect()
}

#[test]
fn the_timeline_tells_what_happened_and_what_it_did_newest_first_and_in_pages() {
    let shop = Shop::new();
    let server = shop.serve();
    let id = ana(&server);
    let whole = server.get(&format!("/v1/customers/{id}/timeline"));
    let ids: Vec<&str> = list(&whole, "items")
        .iter()
        .map(|item| item["event"]["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(ids, ["5", "4", "3", "2", "1", "made"]);
    let jacket = &whole["items"][4];
    assert_eq!(jacket["event"]["data"]["lines"][0]["name"], "Jacket");
    assert_eq!(
        (&jacket["event"]["location"], &jacket["earned"]),
        (&json!("soho"), &json!(100))
    );
    assert!(
        whole["items"][0]["segments"]["entered"]
            .to_string()
            .contains("vip")
    );
    assert_eq!(whole["items"][0]["tier"], "silver");
    assert!(
        !whole.to_string().contains("ana@example.com"),
        "the timeline holds nothing that is personal"
    );
    let mut seen = Vec::new();
    let mut path = format!("/v1/customers/{id}/timeline?limit=4");
    while !path.is_empty() {
        let page = server.get(&path);
        seen.extend(list(&page, "items").into_iter().cloned());
        path = page["next"]
            .as_str()
            .map(|next| format!("/v1/customers/{id}/timeline?limit=4&cursor={next}"))
            .unwrap_or_default();
    }
    assert_eq!(json!(seen), whole["items"]);
}

#[test]
fn the_ledger_adds_up_and_names_who_decided_each_entry() {
    let shop = Shop::new();
    let server = shop.serve();
    let id = ana(&server);
    let ledger = server.get(&format!("/v1/customers/{id}/ledger"));
    let entries = list(&ledger, "items");
    let sum: i64 = entries
        .iter()
        .map(|entry| entry["amount"].as_i64().expect("points"))
        .sum();
    assert_eq!(sum, 800);
    assert_eq!(entries[0]["balance_after"], 800);
    for entry in entries {
        assert_eq!(entry["plugin"]["name"], "starter-points");
        assert!(
            entry["plugin"]["digest"]
                .as_str()
                .is_some_and(|digest| digest.starts_with("sha256:")),
            "{entry}"
        );
        assert_eq!(entry["event"], entry["caused_by"]);
    }
    let balance = server.get(&format!("/v1/customers/{id}/balance"));
    let shown = ["balance", "available", "earned"].map(|field| balance[field].clone());
    assert_eq!(shown, [json!(800), json!(800), json!(800)]);
    assert_eq!(
        balance["earned_by_channel"],
        json!({"pos": 750, "online": 50, "phone": 0, "other": 0})
    );
    for key in [&server.keys.pos, &server.keys.read, &server.keys.operator] {
        let same = get(&format!("/v1/customers/{id}/balance"))
            .key(key)
            .to(&server)
            .ok();
        assert_eq!(same["balance"], 800, "one number for every key");
    }
}

#[test]
fn segments_say_since_when_and_why_and_what_they_were_on_any_day() {
    let shop = Shop::new();
    let server = shop.serve();
    let id = ana(&server);
    let path = format!("/v1/customers/{id}/segments");
    let keys = |found: &Value| {
        list(found, "segments")
            .iter()
            .map(|held| held["segment"].as_str().expect("a key").to_owned())
            .collect::<Vec<_>>()
    };
    let now = server.get(&path);
    assert!(
        keys(&now).contains(&"vip".to_owned()) && keys(&now).contains(&"omnichannel".to_owned()),
        "{now}"
    );
    assert!(!keys(&now).contains(&"first-timer".to_owned()), "{now}");
    assert_eq!(
        now["segments"][0].get("reason"),
        None,
        "reasons are for those who ask"
    );
    let explained = server.get(&format!("{path}?explain=1"));
    for held in list(&explained, "segments") {
        assert!(
            held["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{held}"
        );
        assert!(
            held["meaning"]
                .as_str()
                .is_some_and(|meaning| meaning.contains(' ')),
            "{held}"
        );
        assert_eq!(held["plugin"], "starter-segments");
    }
    let before = server.get(&format!("{path}?as_of={}", quoted(&ago(45))));
    assert_eq!(keys(&before), ["first-timer"], "{before}");
    let with_offset = server.get(&format!("{path}?as_of={}", ago(45).replace('Z', "+00:00")));
    assert_eq!(
        keys(&with_offset),
        ["first-timer"],
        "a plus that is not escaped is meant"
    );
    let history = server.get(&format!("{path}?history=1"));
    let left = list(&history, "segments")
        .into_iter()
        .find(|held| held["segment"] == "first-timer")
        .expect("it is kept")
        .clone();
    assert!(
        left["left_at"].is_string() && left["left_reason"].is_string(),
        "{left}"
    );
    let members = server.get("/v1/segments/vip/members");
    assert_eq!(members["items"][0]["customer"], id.as_str());
    assert_eq!(
        server.get("/v1/segments/first-timer/members")["items"],
        json!([])
    );
    let then = server.get(&format!(
        "/v1/segments/first-timer/members?as_of={}",
        quoted(&ago(45))
    ));
    assert_eq!(
        then["items"][0]["customer"],
        id.as_str(),
        "who was in it on that day"
    );
}

#[test]
fn the_card_shows_what_a_till_wants_to_see_at_a_glance() {
    let shop = Shop::new();
    let server = shop.serve();
    let id = ana(&server);
    let card = get(&format!("/v1/customers/{id}/card"))
        .key(&server.keys.pos)
        .to(&server)
        .ok();
    assert_eq!(
        (&card["given_name"], &card["tier"]["key"], &card["balance"]),
        (&json!("Ana"), &json!("silver"), &json!(800))
    );
    let purchases: Vec<&str> = list(&card, "purchases")
        .iter()
        .map(|purchase| purchase["event"]["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(purchases, ["5", "4", "3", "2", "1"]);
    assert_eq!(card["purchases"][4]["items"], json!(["Jacket"]));
    assert_eq!(
        (
            &card["purchases"][1]["channel"],
            &card["purchases"][1]["total"]
        ),
        (&json!("online"), &json!(5_000))
    );
    assert_eq!(card["tier"]["next"]["key"], "gold");
    for field in ["offers", "prompts", "segments", "tags", "as_of"] {
        assert!(
            card.get(field).is_some_and(|value| !value.is_null()),
            "{field} is missing: {card}"
        );
    }
}

#[test]
fn locations_are_those_of_the_sales_with_first_last_count_and_spend() {
    let shop = Shop::new();
    let server = shop.serve();
    let id = ana(&server);
    let found = server.get(&format!("/v1/customers/{id}/locations"));
    assert_eq!(found["truncated"], false);
    let rows: Vec<[Value; 4]> = list(&found, "locations")
        .iter()
        .map(|at| ["location", "name", "orders", "spend"].map(|field| at[field].clone()))
        .collect();
    assert_eq!(
        rows,
        [
            [json!("soho"), json!("SoHo"), json!(3), json!(73_000)],
            [json!("brooklyn"), json!("Brooklyn"), json!(1), json!(2_000)],
        ]
    );
    let soho = &found["locations"][0];
    assert!(
        soho["first_at"].as_str() < soho["last_at"].as_str(),
        "{soho}"
    );
}

#[test]
fn what_comes_next_is_told_with_the_rule_that_says_so() {
    let shop = Shop::new();
    let server = shop.serve();
    let id = ana(&server);
    let all = server.get(&format!("/v1/customers/{id}/follow-ups"));
    let waiting = server.get(&format!("/v1/customers/{id}/follow-ups?waiting=1"));
    let next = server.get(&format!("/v1/customers/{id}/next"));
    assert_eq!(next["follow_ups"], waiting["follow_ups"]);
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!(
            "/v1/customers/{id}/follow-ups?waiting=1&limit=1{cursor}"
        ));
        paged.extend(list(&page, "follow_ups").into_iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(
        json!(paged),
        waiting["follow_ups"],
        "in pages it is the same"
    );
    let planned = list(&next, "follow_ups");
    assert!(!planned.is_empty(), "{all}");
    let times: Vec<&str> = planned
        .iter()
        .map(|planned| planned["send_at"].as_str().expect("a time"))
        .collect();
    assert!(times.is_sorted(), "the next one is first: {times:?}");
    for planned in &planned {
        assert_eq!(
            (&planned["state"], &planned["plugin"]),
            (&json!("planned"), &json!("starter-follow-ups"))
        );
        assert!(
            planned["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{planned}"
        );
    }
    assert!(
        list(&next, "reviews")
            .iter()
            .all(|review| review["why"].is_string() && review["at"].is_string()),
        "{next}"
    );
    let outbox = server.get("/v1/outbox?limit=500");
    let of_ana = list(&outbox, "items")
        .iter()
        .filter(|row| row["customer"] == id.as_str())
        .count();
    assert_eq!(of_ana, planned.len());
    let consents = server.get(&format!("/v1/customers/{id}/consents"));
    let email = list(&consents, "consents")
        .into_iter()
        .find(|consent| consent["purpose"] == "email")
        .expect("it was given")
        .clone();
    assert_eq!(email["granted"], true);
    server.outcome(&event(
        "consent.changed",
        "no",
        &ago(1),
        json!({"customer": {"email": "ana@example.com"}, "purpose": "email", "granted": false}),
    ));
    let consents = server.get(&format!("/v1/customers/{id}/consents"));
    assert!(
        list(&consents, "consents")
            .iter()
            .any(|consent| consent["purpose"] == "email" && consent["granted"] == false),
        "{consents}"
    );
}

#[test]
fn an_event_is_read_back_with_its_outcome_and_why() {
    let shop = Shop::new();
    let server = shop.serve();
    let id = ana(&server);
    let outcome = server.outcome(&sale(
        "6",
        &ago(5),
        json!({"customer": {"email": "ana@example.com"}, "total": 1_234}),
    ));
    let record = server.get("/v1/events?source=till-1&id=6");
    assert_eq!(
        record["outcome"], outcome,
        "the same answer as the till got"
    );
    assert_eq!(
        (&record["customer"], &record["event"]["type"]),
        (&json!(id), &json!("sale.completed"))
    );
    assert_eq!(record["event"]["data"]["total"], 1_234);
    let step = record["explanation"]
        .as_array()
        .and_then(|steps| steps.last())
        .expect("a step");
    let calls = list(step, "calls");
    assert_eq!(calls.len(), 4, "{step}");
    let points = calls
        .iter()
        .find(|call| call["role"] == "point-formula")
        .expect("points were asked");
    assert_eq!(
        (&points["status"], &points["decided"]["awards"][0]["amount"]),
        (&json!("ok"), &json!(12))
    );
    assert_eq!(
        (&points["saw"]["orders"], &points["saw"]["tier"]),
        (&json!(6), &json!("silver"))
    );
    assert!(
        points["fuel"]
            .as_u64()
            .is_some_and(|fuel| fuel > 0 && fuel < points["fuel_limit"].as_u64().expect("a limit")),
        "{points}"
    );
    let visit = event(
        "visit.counted",
        "7",
        &ago(4),
        json!({"location": "soho", "count": 3}),
    );
    server.outcome(&visit);
    let counted = server.get("/v1/events?source=till-1&id=7");
    assert_eq!(
        (
            &counted["customer"],
            &counted["explanation"],
            &counted["event"]["data"]
        ),
        (&Value::Null, &json!([]), &json!({"count": 3}))
    );
}

#[test]
fn a_preview_says_what_a_sale_would_do_and_keeps_nothing() {
    let shop = Shop::new();
    let server = shop.serve();
    let basket = sale(
        "9",
        &ago(5),
        json!({"customer": {"email": "new@example.com"}, "total": 7_999}),
    );
    let preview = send("POST", "/v1/preview", &basket)
        .key(&server.keys.pos)
        .to(&server)
        .ok();
    assert_eq!(
        (
            &preview["points"][0]["amount"],
            &preview["points"][0]["entry"]
        ),
        (&json!(79), &json!(0))
    );
    assert_eq!(server.get("/v1/customers")["items"], json!([]));
    let missing = get("/v1/events?source=till-1&id=9")
        .key(&server.keys.pos)
        .to(&server);
    assert_eq!((missing.status, missing.problem()), (404, "no-such-event"));
    let outcome = server.outcome(&basket);
    assert_eq!(
        (&outcome["status"], &outcome["points"][0]["amount"]),
        (&json!("applied"), &json!(79))
    );
    let batch = send("POST", "/v1/preview", &json!([basket]))
        .key(&server.keys.pos)
        .to(&server);
    assert_eq!((batch.status, batch.problem()), (400, "one-at-a-time"));
}
