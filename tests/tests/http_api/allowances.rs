//! What tills redeem while they are not connected: asked for before, told afterwards, in a batch.

use crate::client::{Answer, ago, send};
use jiff::Timestamp;
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, sale};

const OFFLINE: &str = "[redemption.offline]\npoints = 300\n";

/// A shop in which Ana has 500 points, and her id.
fn shop(merchant: &str) -> (Shop, Server, String) {
    let shop = Shop::new();
    shop.lay_over("merchant.toml", merchant);
    let server = shop.serve();
    let ana = json!({"customer": {"email": "ana@example.com"}, "total": 50_000});
    let outcome = server.outcome(&sale("coat", &ago(60), ana));
    let id = outcome["customer"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    (shop, server, id)
}

fn ask(server: &Server, id: &str, key: &str, body: &Value) -> Answer {
    send("POST", &format!("/v1/customers/{id}/allowances"), body)
        .key(&server.keys.pos)
        .header("idempotency-key", key)
        .to(server)
}

fn at_soho(points: i64) -> Value {
    json!({"points": points, "channel": "pos", "location": "soho", "device": "till-7"})
}

fn given(id: &str, minutes: i64, allowance: &Value, points: i64) -> Value {
    let mut data = at_soho(points);
    data["allowance"] = allowance.clone();
    event("redemption.offline", id, &ago(minutes), data)
}

fn balance(server: &Server, id: &str) -> (i64, i64) {
    let found = server.get(&format!("/v1/customers/{id}/balance"));
    let number = |field: &str| found[field].as_i64().expect("points");
    (number("balance"), number("available"))
}

#[test]
fn a_till_asks_while_it_can_and_tells_its_queue_when_it_is_back() {
    let (shop, server, id) = shop(OFFLINE);
    let made = ask(&server, &id, "till-7/1", &at_soho(300)).ok();
    assert_eq!(
        (&made["points"], &made["amount"], &made["available"]),
        (&json!(300), &json!(300), &json!(200)),
        "{made}"
    );
    let time = |field: &str| -> Timestamp {
        let text = made[field].as_str().expect("a time");
        text.parse().expect("a time")
    };
    let hours =
        |from: Timestamp, to: Timestamp| (to.as_second() - from.as_second()) as f64 / 3_600.0;
    assert_eq!(hours(Timestamp::now(), time("until")).round(), 4.0);
    assert_eq!(hours(time("until"), time("set_aside_until")), 72.0);
    let again = ask(&server, &id, "till-7/1", &at_soho(300)).ok();
    assert_eq!(again, made, "the same request sets nothing aside twice");
    let other = ask(&server, &id, "till-7/1", &at_soho(100));
    assert_eq!((other.status, other.problem()), (409, "key-taken"));

    // The queue of a morning without a line: the sale, what was given with it, and the same once more.
    let bag = json!({"customer": {"id": id}, "total": 4_000});
    let mut first = given("g", -1, &made["allowance"], 120);
    first["data"]["sale"] = json!({"source": "till-1", "id": "bag"});
    let queue = json!([first, sale("bag", &ago(1), bag), first]);
    let answers = server.post_as(&server.keys.pos, "/v1/events", &queue);
    assert_eq!(answers.status, 200, "{}", answers.body);
    let states = ["applied", "applied", "duplicate"].map(|status| json!(status));
    let told = answers.body.as_array().expect("a list").iter();
    assert_eq!(
        told.map(|it| it["status"].clone()).collect::<Vec<_>>(),
        states
    );
    assert_eq!(balance(&server, &id), (420, 420));
    let used = server.get(&format!("/v1/customers/{id}/redemptions"));
    assert_eq!(
        (&used["items"][0]["points"], &used["items"][0]["state"]),
        (&json!(120), &json!("confirmed")),
        "{used}"
    );
    let back = server.post_as(
        &server.keys.pos,
        "/v1/events",
        &given("g-2", -1, &made["allowance"], 50),
    );
    assert_eq!(
        (back.status, &back.body["code"]),
        (409, &json!("redemption-closed"))
    );
    drop(server);
    shop.check();
}

#[test]
fn an_allowance_that_was_made_up_changed_or_is_of_another_shop_opens_nothing() {
    let (_shop, server, id) = shop(OFFLINE);
    let (_others, other_server, other_id) = shop_of_others();
    let made = ask(&server, &id, "1", &at_soho(300)).ok();
    let text = made["allowance"].as_str().expect("a text").to_owned();
    let foreign = ask(&other_server, &other_id, "1", &at_soho(300)).ok();
    let larger = text.replace(".300.", ".900.");
    for (name, allowance) in [
        ("larger", json!(larger)),
        ("foreign", foreign["allowance"].clone()),
        ("cut", json!(text[..text.len() - 1])),
        ("empty", json!("")),
    ] {
        let refused = server.post_as(
            &server.keys.pos,
            "/v1/events",
            &given(name, -1, &allowance, 10),
        );
        assert_eq!(
            (
                refused.status,
                &refused.body["code"],
                &refused.body["pointer"]
            ),
            (401, &json!("bad-allowance"), &json!("/data/allowance")),
            "{name}"
        );
    }
    let mut ended = given("ended", 0, &made["allowance"], 10);
    ended["time"] = json!((Timestamp::now() + jiff::SignedDuration::from_hours(5)).to_string());
    let ended = server.post_as(&server.keys.pos, "/v1/events", &ended);
    assert_eq!(
        (ended.status, &ended.body["code"]),
        (401, &json!("bad-allowance"))
    );
    assert_eq!(balance(&server, &id), (500, 200));
    // What is not needed after all is given back.
    let cancel = format!(
        "/v1/redemptions/{}/cancel",
        made["redemption"].as_str().expect("an id")
    );
    let freed = server.post_as(&server.keys.pos, &cancel, &json!({}));
    assert_eq!((freed.status, balance(&server, &id)), (200, (500, 500)));
}

fn shop_of_others() -> (Shop, Server, String) {
    shop(OFFLINE)
}

#[test]
fn what_cannot_be_allowed_is_refused_and_sets_nothing_aside() {
    let (_none, closed, id) = shop("");
    let refused = ask(&closed, &id, "1", &at_soho(10));
    assert_eq!((refused.status, refused.problem()), (422, "no-allowances"));
    drop(closed);
    let (_shop, server, id) = shop(OFFLINE);
    for (body, status, code) in [
        (at_soho(301), 422, "too-large-an-allowance"),
        (at_soho(0), 422, "too-few-to-redeem"),
        (json!({"points": 10}), 400, "malformed"),
        (
            json!({"points": 10, "channel": "pos", "customer": {"email": "bo@example.com"}}),
            400,
            "malformed",
        ),
    ] {
        let refused = ask(&server, &id, "1", &body);
        assert_eq!(
            (refused.status, refused.problem()),
            (status, code),
            "{body}"
        );
    }
    for (key, points) in [("a", 300), ("b", 200)] {
        assert_eq!(ask(&server, &id, key, &at_soho(points)).status, 201);
    }
    let more = ask(&server, &id, "c", &at_soho(1));
    assert_eq!((more.status, more.problem()), (409, "insufficient-points"));
    let nobody = ask(&server, "cus_000000000000000000000000", "1", &at_soho(10));
    assert_eq!((nobody.status, nobody.problem()), (404, "no-such-customer"));
    let keyless = server.post_as(
        &server.keys.pos,
        &format!("/v1/customers/{id}/allowances"),
        &at_soho(10),
    );
    assert_eq!(
        (keyless.status, &keyless.body["code"]),
        (400, &json!("idempotency-key-required"))
    );
    let path = format!("/v1/customers/{id}/allowances");
    let read = send("POST", &path, &at_soho(10)).key(&server.keys.read);
    assert_eq!(read.to(&server).status, 403);
    assert_eq!(balance(&server, &id), (500, 0));
}
