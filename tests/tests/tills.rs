//! What tills, web stores and people at the counter rely on, over real HTTP: an answer is true for
//! every reader the moment it is there, whoever asks and from wherever.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, binary, sale};
use std::time::{Duration, Instant};

/// A time today, so many minutes ago.
fn ago(minutes: i64) -> String {
    (Timestamp::now() - SignedDuration::from_mins(minutes)).to_string()
}

fn ana() -> Value {
    json!({"email": "ana@example.com"})
}

fn id_of(outcome: &Value) -> String {
    outcome["customer"]["id"]
        .as_str()
        .expect("the outcome names the customer")
        .to_owned()
}

#[test]
fn the_next_read_of_anybody_sees_what_was_answered() {
    let shop = Shop::new();
    let server = shop.serve();
    let mut balance = 0;
    for number in 1..=50 {
        let location = if number % 2 == 0 { "soho" } else { "brooklyn" };
        let outcome = server.outcome(&sale(
            &number.to_string(),
            &ago(100 - number),
            json!({"customer": ana(), "location": location, "total": number * 100}),
        ));
        balance += number;
        let id = id_of(&outcome);
        assert_eq!(outcome["customer"]["balance"], balance);
        let keys = [&server.keys.pos, &server.keys.read, &server.keys.operator];
        for (key, part) in keys
            .iter()
            .flat_map(|key| ["", "/balance", "/card"].map(|part| (key, part)))
        {
            let answer = server.get_as(key, &format!("/v1/customers/{id}{part}"));
            assert_eq!(
                (answer.status, &answer.body["balance"]),
                (200, &json!(balance)),
                "{part}: {}",
                answer.body
            );
        }
        let ledger = server.get(&format!("/v1/customers/{id}/ledger?limit=1"));
        assert_eq!(ledger["items"][0]["balance_after"], balance);
        let newest = server.get(&format!("/v1/customers/{id}/timeline?limit=1"));
        assert_eq!(newest["items"][0]["event"]["id"], number.to_string());
    }
    let as_of: Timestamp =
        server.get(&format!("/v1/customers/{}/balance", known(&server)))["as_of"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("a balance says as of when");
    assert!((Timestamp::now() - as_of).get_seconds() <= 1);
    let metrics = server
        .get_as(&server.keys.operator, "/metrics")
        .body
        .to_string();
    assert!(metrics.contains("award_visible_seconds"), "{metrics}");
}

/// The one customer of the shop.
fn known(server: &Server) -> String {
    server.get("/v1/customers?email=ana@example.com")["items"][0]["id"]
        .as_str()
        .expect("she is known")
        .to_owned()
}

#[test]
fn a_customer_who_was_just_made_is_found_by_the_very_next_request() {
    let shop = Shop::new();
    let server = shop.serve();
    let staff = &server.keys.operator;
    for number in 0..20 {
        let email = format!("new-{number}@example.com");
        let made = server.post_as(
            staff,
            "/v1/customers",
            &json!({"email": email, "given_name": "Ana"}),
        );
        assert_eq!(made.status, 201, "{}", made.body);
        let found = server.get_as(&server.keys.pos, &format!("/v1/customers?email={email}"));
        assert_eq!(
            found.body["items"][0]["id"], made.body["id"],
            "{}",
            found.body
        );
        assert_eq!(found.body["items"][0]["origin"], "manual");
    }
    let neither = server.post_as(staff, "/v1/customers", &json!({"given_name": "Ana"}));
    assert_eq!(neither.status, 422, "{}", neither.body);
}

#[test]
fn the_same_sale_from_many_tills_at_once_is_one_sale() {
    let shop = Shop::new();
    let server = shop.serve();
    let order = json!({"customer": ana(), "channel": "online", "total": 10_000, "order": {"system": "web", "id": "1001"}});
    let told = sale("1", &ago(5), order);
    let mut hook = told.clone();
    hook["source"] = "web-hook".into();
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8)
            .map(|door| {
                let (client, event) = (
                    server.client(),
                    if door % 2 == 0 {
                        told.clone()
                    } else {
                        hook.clone()
                    },
                );
                scope.spawn(move || client.send(&event).expect("the server answers").body)
            })
            .collect();
        asked
            .into_iter()
            .map(|asked| asked.join().expect("no till panicked"))
            .collect()
    });
    let status = |name: &str| {
        answers
            .iter()
            .filter(|answer| answer["status"] == name)
            .count()
    };
    assert_eq!(
        (status("applied"), status("duplicate")),
        (1, 7),
        "{answers:?}"
    );
    let second_door = answers
        .iter()
        .find(|answer| !answer["duplicate_of"].is_null())
        .expect("one came through the other door");
    assert_eq!(second_door["duplicate_of"]["id"], "1");
    let ledger = server.get(&format!("/v1/customers/{}/ledger", known(&server)));
    assert_eq!(
        ledger["items"].as_array().map(Vec::len),
        Some(1),
        "{ledger}"
    );
}

#[test]
fn a_till_that_was_offline_sends_its_day_in_any_order_and_ends_where_it_would_have() {
    let sales: Vec<Value> = (0..40)
        .map(|number| {
            sale(
                &number.to_string(),
                &ago(600 - number * 10),
                json!({"customer": ana(), "total": 2_000 + number}),
            )
        })
        .collect();
    let settle = |sales: &[Value]| {
        let shop = Shop::new();
        let server = shop.serve();
        let answer = server.post_as(&server.keys.pos, "/v1/events", &Value::from(sales));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let outcomes = answer
            .body
            .as_array()
            .expect("a batch is answered by a list")
            .clone();
        assert_eq!(outcomes.len(), sales.len());
        for (sale, outcome) in sales.iter().zip(&outcomes) {
            assert_eq!(
                outcome["event"]["id"], sale["id"],
                "answers are in the order of the events"
            );
        }
        let customer = server.get(&format!("/v1/customers/{}", known(&server)));
        ["orders", "spend", "balance", "tier", "segments"].map(|field| customer[field].clone())
    };
    let mut backwards = sales.clone();
    backwards.reverse();
    assert_eq!(settle(&sales), settle(&backwards));
}

#[test]
fn a_queue_goes_through_whole_whatever_is_poison_in_it_or_comes_twice() {
    let shop = Shop::new();
    let server = shop.serve();
    let mut queue: Vec<Value> = (0..30)
        .map(|number| {
            sale(
                &number.to_string(),
                &ago(600 - number * 10),
                json!({"customer": ana(), "total": 1_000}),
            )
        })
        .collect();
    // One does not add up, one is no event, and one is in it twice.
    queue[7]["data"]["total"] = json!(999);
    queue[11] = json!({"id": 7});
    queue.push(queue[3].clone());
    // The line breaks before the answer arrives, and the till sends all of it again.
    for attempt in 0..3 {
        let answer = server.post_as(&server.keys.pos, "/v1/events", &Value::from(queue.clone()));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let items = answer.body.as_array().expect("a list");
        assert_eq!(items.len(), queue.len());
        for (index, item) in items.iter().enumerate() {
            match index {
                7 => assert_eq!(
                    (&item["status"], &item["code"]),
                    (&json!(422), &json!("sum"))
                ),
                11 => assert!(item["status"].as_u64().is_some_and(|it| it < 500), "{item}"),
                30 => assert_eq!(item["status"], "duplicate"),
                _ if attempt == 0 => assert_eq!(item["status"], "applied", "{index}"),
                _ => assert_eq!(item["status"], "duplicate", "{index}"),
            }
        }
        let customer = server.get(&format!("/v1/customers/{}", known(&server)));
        assert_eq!(
            (&customer["orders"], &customer["balance"]),
            (&json!(28), &json!(280))
        );
    }
    // Somebody is told: there is a figure, and an alert on it.
    assert_eq!(
        server.figure("stampcard_refusals_total", &["code=\"sum\""]),
        Some(3.0)
    );
    let alerts = std::fs::read_to_string(binary::root().join("examples/operations/alerts.yml"));
    assert!(
        alerts
            .expect("alerts")
            .contains("stampcard_refusals_total{code!=")
    );
    // The poison is mended, and nothing else has to be done by hand.
    queue[7]["data"]["total"] = json!(1_000);
    assert_eq!(server.outcome(&queue[7])["status"], "applied");
    let customer = server.get(&format!("/v1/customers/{}", known(&server)));
    assert_eq!(customer["balance"], 290);
}

#[test]
fn one_sale_moves_segment_points_tier_follow_up_prompt_and_receipt_in_one_answer() {
    let shop = Shop::new();
    let server = shop.serve();
    server.outcome(&event(
        "consent.changed",
        "1",
        &ago(9),
        json!({"customer": ana(), "purpose": "email", "granted": true}),
    ));
    let outcome = server.outcome(&sale(
        "2",
        &ago(5),
        json!({"customer": ana(), "total": 60_000}),
    ));
    let has = |part: &str, what: &str| {
        assert!(
            outcome[part].to_string().contains(what),
            "{part} lacks {what}: {outcome}"
        )
    };
    has("segments", "vip");
    has("points", "\"amount\":600");
    has("tier", "silver");
    has("follow_ups", "thank_you");
    has("follow_ups", "call_vip");
    has("prompts", "enrol");
    has("receipt", "Earned 600");
    let roles: Vec<&str> = outcome["plugins"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|call| call["role"].as_str())
        .collect();
    assert_eq!(
        roles,
        [
            "segment-rule",
            "point-formula",
            "tier-rule",
            "follow-up-trigger"
        ]
    );
}

#[test]
fn nobody_sets_a_balance_or_a_tier_from_outside() {
    let shop = Shop::new();
    let server = shop.serve();
    let id = id_of(&server.outcome(&sale(
        "1",
        &ago(5),
        json!({"customer": ana(), "total": 1_000}),
    )));
    for (kind, status, data) in [
        (
            "points.adjusted",
            403,
            json!({"customer": ana(), "points": 50, "actor": "staff-7", "reason": "goodwill"}),
        ),
        (
            "points.imported",
            403,
            json!({"customer": ana(), "points": 350, "reason": "from before"}),
        ),
        (
            "tier.overridden",
            403,
            json!({"customer": ana(), "tier": "gold", "actor": "staff-7", "reason": "press"}),
        ),
        (
            "points.expired",
            422,
            json!({"customer": ana(), "points": 50}),
        ),
    ] {
        let answer = server.send(&event(kind, kind, &ago(1), data));
        assert_eq!(answer.status, status, "{kind}: {}", answer.body);
        assert_eq!(answer.content_type, "application/problem+json");
    }
    for edit in [
        json!({"balance": 1_000}),
        json!({"tier": "gold"}),
        json!({"segments": ["vip"]}),
    ] {
        let body = edit.to_string();
        let answer = server.ask(
            "PATCH",
            &server.keys.operator,
            &format!("/v1/customers/{id}"),
            Some(&edit),
        );
        let answer = answer.expect("the server answers");
        assert!(
            (400..=428).contains(&answer.status),
            "{body}: {} {}",
            answer.status,
            answer.body
        );
    }
    let customer = server.get(&format!("/v1/customers/{id}"));
    assert_eq!(
        (&customer["balance"], &customer["tier"]),
        (&json!(10), &Value::Null)
    );
}

#[test]
fn a_thousand_locations_are_a_shop_like_any_other() {
    let shop = Shop::bare(&[]);
    let mut stores = String::new();
    for number in 0..1_000 {
        stores += &format!("\n[[locations]]\nid = \"store-{number}\"\nname = \"Store {number}\"\n");
    }
    shop.append("merchant.toml", &stores);
    let server = shop.serve();
    let mut id = String::new();
    for number in (0..1_000).step_by(37) {
        let data =
            json!({"customer": ana(), "location": format!("store-{number}"), "total": 1_000});
        id = id_of(&server.outcome(&sale(&number.to_string(), &ago(1_000 - number), data)));
    }
    let locations = server.get(&format!("/v1/customers/{id}/locations"));
    assert_eq!(
        locations["locations"].as_array().map(Vec::len),
        Some(28),
        "{locations}"
    );
}

#[test]
fn a_sale_is_answered_and_readable_within_a_second_under_load() {
    let shop = Shop::new();
    let server = shop.serve();
    let mut waits: Vec<Duration> = std::thread::scope(|scope| {
        let tills: Vec<_> = (0..4)
            .map(|till| {
                let (client, server) = (server.client(), &server);
                scope.spawn(move || {
                    let one = |number: i64| {
                        let customer = json!({"card": format!("C-{till}-{number}")});
                        let event = sale(
                            &format!("{till}-{number}"),
                            &ago(60),
                            json!({"customer": customer, "total": 1_000}),
                        );
                        let asked = Instant::now();
                        let outcome = client.send(&event).expect("the server answers").body;
                        let balance =
                            server.get(&format!("/v1/customers/{}/balance", id_of(&outcome)));
                        assert_eq!(balance["balance"], 10);
                        asked.elapsed()
                    };
                    (0..100).map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        tills
            .into_iter()
            .flat_map(|till| till.join().expect("no till panicked"))
            .collect()
    });
    waits.sort();
    let p99 = waits[waits.len() * 99 / 100];
    assert!(p99 < Duration::from_secs(1), "99 % took {p99:?}");
}

#[test]
fn the_graph_of_the_rules_says_which_event_asks_whom_for_what() {
    let shop = Shop::new();
    let server = shop.serve();
    let graph = server.get("/v1/rules/graph");
    let sale = graph["events"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|event| event["event"] == "sale.completed");
    let asked: Vec<(&str, &str)> = sale.expect("sales ask somebody")["asks"]
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
        asked,
        [
            ("starter-segments", "segment-rule"),
            ("starter-points", "point-formula"),
            ("starter-tiers", "tier-rule"),
            ("starter-follow-ups", "follow-up-trigger"),
        ]
    );
}

#[test]
fn a_card_at_the_counter_shows_the_last_five_purchases_and_no_key_sees_more_than_its_role() {
    let shop = Shop::new();
    let server = shop.serve();
    let mut id = String::new();
    for number in 1..=7 {
        let online = json!({"customer": ana(), "channel": "online", "total": number * 1_000});
        id = id_of(&server.outcome(&sale(&number.to_string(), &ago(100 - number), online)));
    }
    let card = server.get_as(&server.keys.pos, &format!("/v1/customers/{id}/card"));
    assert_eq!(card.status, 200, "{}", card.body);
    let purchases = card.body["purchases"].as_array().expect("a list");
    assert_eq!(purchases.len(), 5, "{}", card.body);
    assert_eq!(
        (&card.body["balance"], &card.body["tier"]["state"]),
        (&json!(280), &json!("none"))
    );
    assert!(card.body["offers"].is_array(), "{}", card.body);

    let agency = shop_key(&shop, server, "agency");
    let server = shop.serve();
    let refused = server.get_as(&agency, &format!("/v1/customers/{id}/card"));
    assert_eq!(refused.status, 403, "{}", refused.body);
    let unknown = server.get_as("sk_nobody", &format!("/v1/customers/{id}/card"));
    assert_eq!(unknown.status, 401, "{}", unknown.body);
}

/// Makes a key, with the shop closed.
fn shop_key(shop: &Shop, server: Server, role: &str) -> String {
    server.stop();
    let made = binary::run(["key", "add", shop.text(), role, "--json"]);
    made.json()["key"]
        .as_str()
        .expect("a key is printed once")
        .to_owned()
}
