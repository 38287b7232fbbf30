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
        let asked: Vec<_> = (0..100)
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

fn edit_as(server: &Server, key: &str, id: &Value, change: &Value) -> Answer {
    let path = format!("/v1/customers/{}", id.as_str().expect("an id"));
    send("PATCH", &path, change)
        .header("if-match", "*")
        .key(key)
        .to(server)
}

#[test]
fn a_till_edits_what_people_say_at_a_counter_and_nothing_that_they_hold() {
    let shop = Shop::new();
    let server = shop.serve();
    let id = create(&server, &json!({"email": "ana@example.com"})).ok()["id"].clone();
    let as_till = |change: Value| edit_as(&server, &server.keys.pos, &id, &change);
    let change = json!({"given_name": "Ana", "family_name": "Ruiz", "email": "ana@ruiz.example",
        "phone": "212 555 0100", "note": "Prefers linen."});
    let edited = as_till(change).ok();
    assert_eq!(
        [
            &edited["given_name"],
            &edited["family_name"],
            &edited["identities"][0]["value"]
        ],
        [&json!("Ana"), &json!("Ruiz"), &json!("ana@ruiz.example")]
    );
    for field in [
        "balance",
        "tier",
        "consents",
        "tags",
        "card",
        "fields",
        "home_location",
    ] {
        let refused = as_till(json!({"given_name": "Eve", field: null}));
        assert_eq!(
            (refused.status, refused.problem()),
            (403, "field-not-open"),
            "{field}"
        );
        assert_eq!(refused.body["pointer"], format!("/{field}"));
    }
    assert_eq!(
        one(&server, &id)["given_name"],
        "Ana",
        "nothing came of any of them"
    );
}

fn one(server: &Server, id: &Value) -> Value {
    server.get(&format!("/v1/customers/{}", id.as_str().expect("an id")))
}

#[test]
fn another_email_takes_the_place_of_the_old_one_which_still_names_them() {
    let shop = Shop::new();
    let server = shop.serve();
    let id = create(&server, &json!({"email": "ana@example.com"})).ok()["id"].clone();
    create(&server, &json!({"email": "bo@example.com"})).ok();
    let taken = edit(
        &server,
        &id,
        "*",
        &json!({"email": "bo@example.com", "given_name": "Ana"}),
    );
    assert_eq!((taken.status, taken.problem()), (409, "identifier-taken"));
    assert_eq!(
        one(&server, &id)["given_name"],
        Value::Null,
        "nothing was changed"
    );

    let edited = edit(&server, &id, "*", &json!({"email": "ana@ruiz.example"})).ok();
    assert_eq!(
        edited["identities"],
        json!([{"kind": "email", "value": "ana@ruiz.example"}])
    );
    assert_eq!(
        edited["retired"],
        json!([{"kind": "email", "value": "ana@example.com"}])
    );
    // A sale from before that arrives now says the old one.
    let old = json!({"customer": {"email": "ana@example.com"}, "total": 1_000});
    let outcome = server.outcome(&sale("late", &ago(60), old));
    assert_eq!(outcome["customer"]["id"], id);
    let back = edit(&server, &id, "*", &json!({"email": "ana@example.com"})).ok();
    assert_eq!(
        back["identities"],
        json!([{"kind": "email", "value": "ana@example.com"}])
    );
    assert_eq!(back["retired"][0]["value"], "ana@ruiz.example");
    shop_is_sound(&shop, server);
}

#[test]
fn what_was_agreed_to_for_one_number_is_not_carried_over_to_another() {
    let shop = Shop::new();
    let server = shop.serve();
    let consents =
        json!([{"purpose": "sms", "granted": true}, {"purpose": "email", "granted": true}]);
    let made = json!({"email": "ana@example.com", "phone": "212 555 0100", "consents": consents});
    let id = create(&server, &made).ok()["id"].clone();
    let agreed = |customer: &Value| -> Vec<Value> {
        let list = customer["consents"].as_array().expect("a list");
        list.iter().map(|it| it["purpose"].clone()).collect()
    };
    let same = edit(&server, &id, "*", &json!({"phone": "+1 (212) 555-0100"})).ok();
    assert_eq!(
        agreed(&same),
        ["email", "sms"],
        "the same number in another spelling"
    );
    let other = edit(&server, &id, "*", &json!({"phone": "212 555 0199"})).ok();
    assert_eq!(agreed(&other), ["email"]);
    assert_eq!(other["retired"][0]["value"], "+12125550100");
    let anew = json!({"phone": "212 555 0188", "consents": [{"purpose": "sms", "granted": true}]});
    assert_eq!(
        agreed(&edit(&server, &id, "*", &anew).ok()),
        ["email", "sms"]
    );
    shop_is_sound(&shop, server);
}

#[test]
fn a_lost_card_is_refused_and_the_new_one_is_the_same_customers() {
    let shop = Shop::new();
    let server = shop.serve();
    let sold = |id: &str, minutes: i64, card: &str| {
        let data = json!({"customer": {"card": card}, "total": 1_000});
        server.send(&sale(id, &ago(minutes), data))
    };
    let first = sold("1", 60, "L-1");
    let id = first.body["customer"]["id"].clone();
    let reissued = json!({"customer": {"id": id, "card": "L-2"}, "replace": ["card"]});
    let event = stampcard_tests::event::event("customer.updated", "2", &ago(30), reissued);
    server.outcome(&event);
    let lost = sold("3", 10, "L-1");
    assert_eq!(
        (lost.status, &lost.body["code"], &lost.body["pointer"]),
        (422, &json!("card-revoked"), &json!("/data/customer/card"))
    );
    assert_eq!(sold("4", 5, "L-2").body["customer"]["balance"], 20);
    let offline = sold("5", 45, "L-1");
    assert_eq!(
        offline.body["customer"]["balance"], 30,
        "it was theirs then"
    );
    assert!(ids(&server, "card=L-1").is_empty());
    assert_eq!(ids(&server, "card=L-2"), std::slice::from_ref(&id));
    // Lost, with no new one yet.
    let lost = json!({"customer": {"id": id}, "replace": ["card"]});
    let event = stampcard_tests::event::event("customer.updated", "6", &ago(2), lost);
    server.outcome(&event);
    assert_eq!(sold("7", 1, "L-2").body["code"], "card-revoked");
    assert_eq!(one(&server, &id)["identities"], json!([]));
    shop_is_sound(&shop, server);
}

#[test]
fn a_search_finds_by_parts_of_names_addresses_and_numbers() {
    let shop = Shop::new();
    let server = shop.serve();
    let ana =
        json!({"email": "ruiz.ana@example.com", "phone": "212 555 0100", "given_name": "Ana"});
    let ana = create(&server, &ana).ok()["id"].clone();
    let bo = json!({"email": "bo@example.com", "phone": "212 555 7788", "given_name": "Bo"});
    let bo = create(&server, &bo).ok()["id"].clone();
    for (query, found) in [
        ("an", vec![&ana]),
        ("ruiz.ana@", vec![&ana]),
        ("ruiz", vec![&ana]),
        ("0100", vec![&ana]),
        ("555 77", vec![&bo]),
        ("(212) 555", vec![&ana, &bo]),
        ("zz", vec![]),
        ("9999", vec![]),
    ] {
        let asked = ids(&server, &format!("q={}", quoted(query)));
        assert_eq!(asked.iter().collect::<Vec<_>>(), found, "{query}");
    }
    let page = server.get("/v1/customers?q=555%20&limit=1");
    assert_eq!(
        page["items"].as_array().map(Vec::len),
        Some(0),
        "three digits are no search"
    );
    let page = server.get("/v1/customers?q=21255&limit=1");
    let next = page["next"].as_str().expect("there are two");
    let rest = server.get(&format!("/v1/customers?q=21255&limit=1&cursor={next}"));
    assert_eq!(rest["items"][0]["id"], bo);
}
