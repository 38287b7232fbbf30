//! Customers made, found and edited by hand.

use crate::client::{Answer, ago, get, quoted, send, send_as};
use serde_json::{Value, json};
use stampcard_tests::{Server, Shop, sale};

fn create(server: &Server, profile: &Value) -> Answer {
    send("POST", "/v1/customers", profile)
        .key(&server.keys.operator)
        .to(server)
}

fn edit(server: &Server, id: &Value, tag: &str, change: &Value) -> Answer {
    let path = format!("/v1/customers/{}", id.as_str().expect("an id"));
    send_as(
        "PATCH",
        &path,
        "application/merge-patch+json",
        change.to_string().as_bytes(),
    )
    .header("if-match", tag)
    .key(&server.keys.operator)
    .to(server)
}

fn ids(server: &Server, query: &str) -> Vec<Value> {
    let page = server.get(&format!("/v1/customers?{query}"));
    page["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["id"].clone())
        .collect()
}

#[test]
fn a_profile_made_by_hand_is_answered_whole_and_found_by_everything_it_says() {
    let shop = Shop::new();
    let server = shop.serve();
    let made = create(
        &server,
        &json!({
            "email": " Ana@Example.com ", "phone": "(212) 555-0100", "card": "L-100", "external": {"source": "web", "id": "8812"},
            "given_name": "Ana", "family_name": "Ruiz García", "birthday": "1990-02-28", "language": "es",
            "home_location": "soho", "tags": ["VIP"], "consents": [{"purpose": "email", "granted": true}],
        }),
    );
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.body["id"].clone();
    assert_eq!(
        made.header("location"),
        Some(format!("/v1/customers/{}", id.as_str().expect("an id")).as_str())
    );
    assert_eq!(
        made.header("etag").map(str::to_owned),
        Some(format!("\"{}\"", made.body["revision"]))
    );
    let identities = json!([
        {"kind": "email", "value": "ana@example.com"}, {"kind": "phone", "value": "+12125550100"},
        {"kind": "card", "value": "L-100"}, {"kind": "external", "value": "web/8812"},
    ]);
    assert_eq!(made.body["identities"], identities);
    for (field, value) in [
        ("given_name", json!("Ana")),
        ("family_name", json!("Ruiz García")),
        ("birthday", json!("1990-02-28")),
        ("language", json!("es")),
        ("home_location", json!("soho")),
        ("tags", json!(["VIP"])),
        ("tier", Value::Null),
        ("balance", json!(0)),
        ("orders", json!(0)),
        ("origin", json!("manual")),
        ("complete", json!(true)),
    ] {
        assert_eq!(made.body[field], value, "{field}");
    }
    assert_eq!(made.body["consents"][0]["granted"], true);
    assert_eq!(
        server.get(&format!("/v1/customers/{}", id.as_str().expect("an id"))),
        made.body,
        "read back it is the same"
    );
    for query in [
        "email=ANA@example.com",
        "phone=212.555.0100",
        "phone=%2B1%20212%20555%200100",
        "card=L-100",
        "external=web/8812",
        "tag=VIP",
        "text=ana",
        "text=ru%20an",
        "text=garc",
        "text=ana@ex",
        "limit=1",
    ] {
        assert_eq!(ids(&server, query), std::slice::from_ref(&id), "{query}");
    }
    assert_eq!(
        ids(&server, &format!("text={}", quoted("GARCÍA"))),
        std::slice::from_ref(&id)
    );
    for query in [
        "email=bo@example.com",
        "tag=vip",
        "text=ben",
        "segment=vip",
        "tier=gold",
        "card=L-101",
    ] {
        assert!(ids(&server, query).is_empty(), "{query}");
    }
    let made_event = server.get(&format!(
        "/v1/customers/{}/timeline",
        id.as_str().expect("an id")
    ));
    assert_eq!(
        made_event["items"][0]["event"]["type"], "customer.created",
        "making a customer is an event as any other"
    );
    shop_is_sound(&shop, server);
}

fn shop_is_sound(shop: &Shop, server: Server) {
    server.stop();
    shop.check();
}

#[test]
fn a_profile_needs_an_email_or_a_phone_at_every_counter() {
    let shop = Shop::new();
    let server = shop.serve();
    for (key, who) in [
        (&server.keys.pos, "till"),
        (&server.keys.operator, "portal"),
    ] {
        let post = |profile: Value| send("POST", "/v1/customers", &profile).key(key).to(&server);
        let neither = post(json!({"given_name": "Ana", "card": "L-7"}));
        assert_eq!(
            (neither.status, neither.problem()),
            (422, "identifier-required"),
            "{who}"
        );
        assert_eq!(
            post(json!({"email": format!("{who}@example.com")})).status,
            201,
            "{who}"
        );
        let phone = if who == "till" {
            "212 555 0101"
        } else {
            "212 555 0102"
        };
        assert_eq!(post(json!({"phone": phone})).status, 201, "{who}");
    }
    for (profile, code, pointer) in [
        (json!({"email": "ana"}), "not-an-email", "/email"),
        (json!({"phone": "77"}), "not-a-phone", "/phone"),
        (
            json!({"email": "a@b.co", "card": "4111111111111111"}),
            "payment-card",
            "/card",
        ),
        (
            json!({"email": "a@b.co", "birthday": "02-30"}),
            "not-a-date",
            "/birthday",
        ),
        (
            json!({"email": "a@b.co", "home_location": "moon"}),
            "unknown-location",
            "/home_location",
        ),
        (
            json!({"email": "a@b.co", "language": "Spanish!"}),
            "not-a-language",
            "/language",
        ),
        (
            json!({"email": "a@b.co", "consents": [{"purpose": "x", "granted": true}]}),
            "unknown-purpose",
            "/consents/0/purpose",
        ),
    ] {
        let answer = create(&server, &profile);
        assert_eq!((answer.status, answer.problem()), (422, code), "{profile}");
        assert_eq!(
            answer.body["pointer"], pointer,
            "{profile}: the place is in the body as it was sent"
        );
    }
    let unknown = create(&server, &json!({"email": "a@b.co", "points": 500}));
    assert_eq!(
        (unknown.status, unknown.problem(), &unknown.body["pointer"]),
        (400, "malformed", &json!("/points"))
    );
    assert!(ids(&server, "email=a@b.co").is_empty());
}

#[test]
fn a_profile_that_is_there_is_not_made_twice() {
    let shop = Shop::new();
    let server = shop.serve();
    let first = create(
        &server,
        &json!({"email": "ana@example.com", "phone": "212-555-0100"}),
    )
    .ok();
    for profile in [
        json!({"email": "ANA@example.com"}),
        json!({"phone": "+1 212 555 0100", "email": "other@example.com"}),
    ] {
        let again = create(&server, &profile);
        assert_eq!(
            (again.status, again.problem()),
            (409, "customer-exists"),
            "{profile}"
        );
        assert_eq!(again.body["customer"], first["id"]);
        assert_eq!(
            again.header("location"),
            Some(format!("/v1/customers/{}", first["id"].as_str().expect("an id")).as_str())
        );
    }
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let server = &server;
        let asked: Vec<_> = (0..12)
            .map(|_| {
                scope.spawn(move || create(server, &json!({"email": "rush@example.com"})).status)
            })
            .collect();
        asked
            .into_iter()
            .map(|asked| asked.join().expect("no client panicked"))
            .collect()
    });
    assert!(
        answers.iter().all(|status| [201, 409].contains(status)) && answers.contains(&201),
        "{answers:?}"
    );
    assert_eq!(ids(&server, "email=rush@example.com").len(), 1);
    assert_eq!(ids(&server, "").len(), 2);
}

#[test]
fn an_edit_needs_the_revision_that_was_read_and_nobody_overwrites_anybody() {
    let shop = Shop::new();
    let server = shop.serve();
    let made = create(
        &server,
        &json!({"email": "ana@example.com", "given_name": "Ana", "language": "es", "birthday": "02-28"}),
    );
    let (id, tag) = (
        made.body["id"].clone(),
        made.header("etag").expect("a tag").to_owned(),
    );
    let path = format!("/v1/customers/{}", id.as_str().expect("an id"));
    let without = send("PATCH", &path, &json!({"given_name": "Anna"}))
        .key(&server.keys.operator)
        .to(&server);
    assert_eq!(
        (without.status, without.problem()),
        (428, "if-match-required")
    );
    let wrong = edit(&server, &id, "seven", &json!({"given_name": "Anna"}));
    assert_eq!((wrong.status, wrong.problem()), (400, "bad-if-match"));
    let edited = edit(
        &server,
        &id,
        &tag,
        &json!({"given_name": "Anna", "language": null, "birthday": null, "card": "L-9", "tags": ["regular"]}),
    );
    assert_eq!(edited.status, 200, "{edited:?}");
    let shown =
        ["given_name", "language", "birthday", "tags"].map(|field| edited.body[field].clone());
    assert_eq!(
        shown,
        [json!("Anna"), Value::Null, Value::Null, json!(["regular"])]
    );
    assert_eq!(
        edited.body["identities"].as_array().map(Vec::len),
        Some(2),
        "an identifier was added"
    );
    let late = edit(&server, &id, &tag, &json!({"given_name": "Annie"}));
    assert_eq!((late.status, late.problem()), (412, "changed-meanwhile"));
    assert_eq!(
        late.body["yours"],
        json!({"given_name": "Annie"}),
        "and has what they sent beside it"
    );
    assert_eq!(
        late.body["current"], edited.body,
        "the second writer sees what the first one wrote"
    );
    assert_eq!(late.header("etag"), edited.header("etag"));
    let now = edit(
        &server,
        &id,
        edited.header("etag").expect("a tag"),
        &json!({"given_name": "Annie"}),
    );
    assert_eq!(
        (now.status, &now.body["given_name"]),
        (200, &json!("Annie"))
    );
    let bad = edit(&server, &id, "*", &json!({"balance": 1_000_000}));
    assert_eq!(
        (bad.status, bad.problem(), &bad.body["pointer"]),
        (400, "malformed", &json!("/balance"))
    );
    let nobody = edit(
        &server,
        &json!("cus_nobody"),
        "*",
        &json!({"given_name": "X"}),
    );
    assert_eq!((nobody.status, nobody.problem()), (404, "no-such-customer"));
}

#[test]
fn of_many_who_edit_the_same_revision_one_wins() {
    let shop = Shop::new();
    let server = shop.serve();
    let made = create(&server, &json!({"email": "ana@example.com"}));
    let (id, tag) = (&made.body["id"], made.header("etag").expect("a tag"));
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let server = &server;
        let asked: Vec<_> = (0..10)
            .map(|number| {
                scope.spawn(move || {
                    edit(
                        server,
                        id,
                        tag,
                        &json!({"given_name": format!("Name {number}")}),
                    )
                    .status
                })
            })
            .collect();
        asked
            .into_iter()
            .map(|asked| asked.join().expect("no client panicked"))
            .collect()
    });
    let won = answers.iter().filter(|status| **status == 200).count();
    let lost = answers.iter().filter(|status| **status == 412).count();
    assert_eq!((won, lost), (1, 9), "{answers:?}");
}

#[test]
fn a_list_is_read_in_pages_and_nobody_is_missed_or_shown_twice() {
    let shop = Shop::new();
    let server = shop.serve();
    let batch: Vec<Value> = (0..23)
        .map(|number| {
            sale(
                &number.to_string(),
                &ago(100 - number),
                json!({"customer": {"email": format!("c{number}@example.com")}, "total": 100}),
            )
        })
        .collect();
    server.post_as(&server.keys.pos, "/v1/events", &Value::from(batch));
    let everybody = ids(&server, "limit=500");
    assert_eq!(everybody.len(), 23);
    let mut seen = Vec::new();
    let mut path = "/v1/customers?limit=10".to_owned();
    let sizes: Vec<usize> = std::iter::from_fn(|| {
        let page = (!path.is_empty()).then(|| server.get(&path))?;
        let items = page["items"].as_array().expect("a list");
        seen.extend(items.iter().map(|item| item["id"].clone()));
        path = page["next"]
            .as_str()
            .map(|next| format!("/v1/customers?limit=10&cursor={next}"))
            .unwrap_or_default();
        // Somebody new comes while the list is read.
        server.outcome(&sale(
            &format!("new-{}", seen.len()),
            &ago(1),
            json!({"customer": {"email": format!("n{}@example.com", seen.len())}, "total": 100}),
        ));
        Some(items.len())
    })
    .collect();
    assert_eq!(
        sizes,
        [10, 10, 5],
        "those who came meanwhile are at the end"
    );
    assert_eq!(seen[..23], everybody);
}

#[test]
fn customers_are_found_by_segment_and_tier_as_of_the_last_sale() {
    let shop = Shop::new();
    let server = shop.serve();
    let outcome = server.outcome(&sale(
        "1",
        &ago(5),
        json!({"customer": {"email": "ana@example.com"}, "total": 60_000}),
    ));
    let id = outcome["customer"]["id"].clone();
    for query in ["segment=vip", "segment=first-timer", "tier=silver"] {
        assert_eq!(ids(&server, query), std::slice::from_ref(&id), "{query}");
    }
    server.outcome(&sale(
        "2",
        &ago(4),
        json!({"customer": {"email": "ana@example.com"}, "total": 100_000}),
    ));
    assert!(ids(&server, "segment=first-timer").is_empty());
    assert!(ids(&server, "tier=silver").is_empty());
    assert_eq!(ids(&server, "tier=gold"), [id]);
}

#[test]
fn an_incomplete_profile_is_taken_where_the_shop_is_lenient_and_says_what_it_lacks() {
    let shop = Shop::new();
    shop.lay_over(
        "merchant.toml",
        "[profile]\nrequired = [\"given_name\", \"family_name\"]\nmode = \"lenient\"",
    );
    let server = shop.serve();
    let made = create(
        &server,
        &json!({"email": "ana@example.com", "given_name": "Ana"}),
    );
    assert_eq!(
        (made.status, &made.body["complete"], &made.body["missing"]),
        (201, &json!(false), &json!(["family_name"]))
    );
    let edited = edit(
        &server,
        &made.body["id"],
        "*",
        &json!({"family_name": "Ruiz"}),
    )
    .ok();
    assert_eq!(
        (&edited["complete"], &edited["missing"]),
        (&json!(true), &json!([]))
    );
    server.stop();
    shop.lay_over("merchant.toml", "[profile]\nmode = \"strict\"");
    let server = shop.serve();
    let refused = create(
        &server,
        &json!({"email": "bo@example.com", "given_name": "Bo"}),
    );
    assert_eq!(
        (refused.status, refused.problem(), &refused.body["pointer"]),
        (422, "field-required", &json!("/family_name"))
    );
    assert_eq!(
        get("/v1/customers?email=bo@example.com")
            .key(&server.keys.pos)
            .to(&server)
            .body["items"],
        json!([])
    );
}
