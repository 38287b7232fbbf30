//! A person who wants to be forgotten, over HTTP: what is gone, what is left, and that the books still add up.

use crate::client::{ago, get};
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, binary, sale};
use std::fs;

fn known(server: &Server, name: &str) -> String {
    let made = json!({
        "customer": {"email": format!("{name}@example.com"), "phone": "(212) 555-0100", "card": "L-100"},
        "given_name": "Anastasia", "family_name": "Quillfeather", "birthday": "1990-02-28", "language": "es",
        "addresses": [{"line1": "9 Wanderlust Lane", "city": "Troy", "country": "US"}],
        "consents": [{"purpose": "email", "granted": true}], "tags": ["VIP"],
        "note": "Prefers chartreuse.",
    });
    let made = event("customer.created", "made", &ago(30), made);
    let made = server.post_as(&server.keys.operator, "/v1/events", &made);
    assert_eq!(made.status, 200, "{}", made.body);
    let id = made.body["customer"]["id"].as_str().expect("an id");
    let id = id.to_owned();
    let bought = json!({"customer": {"email": format!("{name}@example.com")}, "total": 5_000});
    server.outcome(&sale("bought", &ago(20), bought));
    id
}

fn found(server: &Server, query: &str) -> usize {
    let page = server.get(&format!("/v1/customers?{query}"));
    page["items"].as_array().map_or(0, Vec::len)
}

#[test]
fn whoever_is_deleted_is_found_by_nothing_and_the_ledger_adds_up() {
    let shop = Shop::new();
    let server = shop.serve();
    let id = known(&server, "zephyrine");
    let path = format!("/v1/customers/{id}");
    for query in [
        "email=zephyrine@example.com",
        "card=L-100",
        "text=quillf",
        "tag=VIP",
    ] {
        assert_eq!(found(&server, query), 1, "{query}");
    }
    let before = server.get(&path);
    let refused = server.delete_as(&server.keys.pos, &path);
    assert_eq!(refused.status, 403);
    let gone = server.delete_as(
        &server.keys.operator,
        &format!("{path}?reason=asked%20in%20store&actor=Mia"),
    );
    assert_eq!(gone.status, 200, "{}", gone.body);
    assert!(gone.body["erased_at"].is_string());
    for field in [
        "given_name",
        "family_name",
        "address",
        "birthday",
        "language",
    ] {
        assert_eq!(gone.body[field], Value::Null, "{field}");
    }
    for field in ["identities", "addresses", "tags", "segments"] {
        assert_eq!(gone.body[field], json!([]), "{field}");
    }
    // Nobody can spend the points any more; the ledger says where they went.
    assert_eq!(gone.body["balance"], 0);
    let ledger = server.get(&format!("{path}/ledger"));
    let last = &ledger["items"][0];
    assert_eq!(last["kind"], "forfeit", "{ledger}");
    assert_eq!(
        last["amount"].as_i64(),
        before["balance"].as_i64().map(|all| -all)
    );
    assert_eq!(gone.body["orders"], 1);
    assert_eq!(gone.body["consents"][0]["granted"], false);
    for query in [
        "email=zephyrine@example.com",
        "phone=%2B12125550100",
        "card=L-100",
        "text=quillf",
        "text=0100",
        "tag=VIP",
    ] {
        assert_eq!(found(&server, query), 0, "{query}");
    }
    // The same again changes nothing, and an edit is refused.
    assert_eq!(
        server.delete_as(&server.keys.operator, &path).body,
        gone.body
    );
    let edit = json!({"customer": {"id": id}, "given_name": "Anastasia"});
    let edit = server.post_as(
        &server.keys.operator,
        "/v1/events",
        &event("customer.updated", "edit", &ago(0), edit),
    );
    assert_eq!(
        (edit.status, &edit.body["code"]),
        (422, &json!("customer-forgotten"))
    );
    let timeline = server.get(&format!("{path}/timeline")).to_string();
    let notes = server.get(&format!("{path}/notes")).to_string();
    let event = server.get("/v1/events?source=till-1&id=made").to_string();
    for text in [timeline, notes, event] {
        for word in [
            "zephyrine",
            "Quillfeather",
            "Wanderlust",
            "chartreuse",
            "5550100",
        ] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
    // If they come again, they are somebody new.
    let again = json!({"customer": {"email": "zephyrine@example.com"}, "total": 100});
    let again = server.outcome(&sale("again", &ago(0), again));
    assert_ne!(again["customer"]["id"], json!(id));
    let nobody = server.delete_as(&server.keys.operator, "/v1/customers/cus_nobody");
    assert_eq!(nobody.status, 404);
    server.stop();
    shop.check();
}

#[test]
fn nothing_of_whom_was_deleted_is_in_the_file_and_the_journal_is_replayed_without_it() {
    let shop = Shop::new();
    let server = shop.serve();
    let id = known(&server, "zephyrine");
    let other = json!({"customer": {"email": "bo@example.com"}, "total": 700});
    server.outcome(&sale("other", &ago(10), other));
    let deleted = server.delete_as(&server.keys.operator, &format!("/v1/customers/{id}"));
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    server.stop();
    let database = rusqlite::Connection::open(shop.database()).expect("a database");
    database
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("the log is emptied");
    drop(database);
    let bytes = fs::read(shop.database()).expect("a file");
    for word in [
        "zephyrine",
        "Quillfeather",
        "Wanderlust",
        "chartreuse",
        "2125550100",
    ] {
        let is_there = bytes
            .windows(word.len())
            .any(|part| part == word.as_bytes());
        assert!(!is_there, "{word} is in the file");
    }
    let again = shop.dir.with_file_name("again");
    let to = again.to_str().expect("a name in UTF-8");
    binary::run(["replay", shop.text(), to]).ok();
    for what in ["customers", "ledger"] {
        let export = |dir: &str| binary::run(["export", dir, what, "--canonical"]).ok();
        assert_eq!(export(to), export(shop.text()), "{what}");
    }
}

#[test]
fn how_far_it_is_to_a_store_is_known_to_rules_that_may_see_addresses_and_to_no_others() {
    let shop = Shop::new();
    let text = shop.read("merchant.toml");
    let placed = text.replace(
        "name = \"SoHo\"",
        "name = \"SoHo\"\ngeo = { lat = 40.7233, lon = -74.003 }",
    );
    shop.write("merchant.toml", placed);
    let near = "[config.segments.near]\nexplain = 'Lives within 5 km of SoHo.'\n\
                when = { distance = { location = 'soho', at_most = 5 } }\n";
    shop.lay_over("plugins/starter-segments.toml", near);
    let server = shop.serve();
    let lives = |id: &str, minutes: i64, lat: f64| {
        let address = json!({
            "line1": "1 Main St", "city": "New York", "country": "US", "geo": {"lat": lat, "lon": -74.0},
        });
        let data = json!({"customer": {"email": "ana@example.com"}, "addresses": [address]});
        server.outcome(&event("customer.updated", id, &ago(minutes), data))
    };
    let moved = lives("near", 30, 40.73);
    assert_eq!(
        moved["customer"]["segments"],
        json!([]),
        "the rule may not see addresses"
    );
    shop.lay_over(
        "plugins/starter-segments.toml",
        "personal = ['address']\ngrant = ['address']\n",
    );
    let began = std::time::Instant::now();
    while server.get("/v1/customers?segment=near")["items"] == json!([]) {
        assert!(began.elapsed().as_secs() < 30, "{}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let profile = &server.get("/v1/customers?segment=near")["items"][0];
    assert_eq!(
        profile["addresses"][0]["geo"],
        json!({"lat": 40.73, "lon": -74.0})
    );
    let far = lives("far", 0, 41.5);
    assert_eq!(far["segments"]["left"], json!(["near"]));
    let unknown = json!({"customer": {"email": "ana@example.com"}, "address": "somewhere"});
    let unknown = server.outcome(&event("customer.updated", "x", &ago(0), unknown));
    assert_eq!(
        unknown["segments"]["entered"],
        json!([]),
        "who knows is not near"
    );
    // Where somebody lives is in no event of the journal.
    let kept = get("/v1/events?source=till-1&id=near").key(&server.keys.operator);
    let kept = kept.to(&server).body["event"].to_string();
    assert!(
        !kept.contains("Main St") && !kept.contains("40.73"),
        "{kept}"
    );
    let wrong = json!({"customer": {"email": "ana@example.com"}, "addresses": [
        {"line1": "1 Main St", "city": "New York", "country": "US", "geo": {"lat": 91, "lon": 0}}]});
    let wrong = server.send(&event("customer.updated", "w", &ago(0), wrong));
    assert_eq!(wrong.status, 400, "{}", wrong.body);
    assert_eq!(
        wrong.body["pointer"], "/data/addresses/0/geo/lat",
        "{}",
        wrong.body
    );
}
