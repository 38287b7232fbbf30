//! Webhooks of others: what is signed is taken once, in any order; what is not is refused.

use crate::client::{Answer, ago, get, send_as};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stampcard_tests::{Server, Shop, Shops, sale};

const HOOKS: &str = r#"
[[hooks]]
name = "square"
format = "square"
secrets = ["file:secrets/square"]
url = "https://loyalty.example.com/v1/hooks/square"

[[hooks]]
name = "web"
format = "shopify"
secrets = ["file:secrets/before", "file:secrets/web"]
system = "juniper-web"

[[hooks]]
name = "bank"
format = "standard"
secrets = ["file:secrets/bank"]
"#;
const BANK: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn shop() -> Shop {
    let shop = Shop::new();
    with_hooks(&shop, "hush");
    shop
}

fn with_hooks(shop: &Shop, web: &str) {
    std::fs::create_dir(shop.path("secrets")).expect("a folder");
    for (name, secret) in [
        ("square", "asdf1234"),
        ("before", "an older one"),
        ("web", web),
        ("bank", BANK),
    ] {
        shop.write(&format!("secrets/{name}"), format!("{secret}\n"));
    }
    shop.append("merchant.toml", HOOKS);
}

/// HMAC as RFC 2104 has it, in Base64.
fn hmac(key: &[u8], said: &[u8]) -> String {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let with = |pad: u8, said: &[u8]| {
        let padded: Vec<u8> = block.iter().map(|byte| byte ^ pad).collect();
        Sha256::digest([&padded, said].concat())
    };
    let inner = with(0x36, said);
    STANDARD.encode(with(0x5c, &inner))
}

fn deliver(server: &Server, hook: &str, headers: &[(&'static str, String)], body: &str) -> Answer {
    let path = format!("/v1/hooks/{hook}");
    let mut request = send_as("POST", &path, "application/json", body.as_bytes());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.to(server)
}

fn from_shopify(server: &Server, secret: &str, topic: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let headers = [
        ("x-shopify-topic", topic.to_owned()),
        (
            "x-shopify-hmac-sha256",
            hmac(secret.as_bytes(), body.as_bytes()),
        ),
    ];
    deliver(server, "web", &headers, &body)
}

fn from_square(server: &Server, body: &Value) -> Answer {
    let body = body.to_string();
    let signed = format!("https://loyalty.example.com/v1/hooks/square{body}");
    let signature = hmac(b"asdf1234", signed.as_bytes());
    deliver(
        server,
        "square",
        &[("x-square-hmacsha256-signature", signature)],
        &body,
    )
}

fn from_the_bank(server: &Server, id: &str, at: i64, body: &Value) -> Answer {
    let body = body.to_string();
    let key = STANDARD.decode(&BANK["whsec_".len()..]).expect("a key");
    let signature = hmac(&key, format!("{id}.{at}.{body}").as_bytes());
    let headers = [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", format!("v1,{signature}")),
    ];
    deliver(server, "bank", &headers, &body)
}

/// A sale online, with this order.
fn sold(server: &Server, system: &str, order: &str, state: &str) -> Value {
    let data = json!({
        "customer": {"email": "ana@example.com"}, "channel": "online", "total": 10_000, "payment_state": state,
        "order": {"system": system, "id": order},
    });
    server.outcome(&sale(order, &ago(60), data))
}

fn balance(server: &Server) -> i64 {
    let found = server.get("/v1/customers?email=ana@example.com");
    found["items"][0]["balance"].as_i64().unwrap_or_default()
}

#[test]
fn a_payment_that_fails_takes_back_what_its_sale_earned_however_often_it_is_told() {
    let shop = shop();
    let server = shop.serve();
    sold(&server, "square", "o-1", "pending");
    assert_eq!(balance(&server), 100);
    let told = |event: &str, minutes: i64| {
        json!({"merchant_id": "M1", "type": "payment.updated", "event_id": event, "created_at": ago(minutes),
            "data": {"type": "payment", "id": "p-1", "object": {"payment": {"id": "p-1", "status": "FAILED", "order_id": "o-1"}}}})
    };
    let first = told("e-1", 30);
    let answer = from_square(&server, &first).ok();
    assert_eq!(
        answer,
        json!({"status": "applied", "event": {"source": "hook/square", "id": "payment/p-1/failed"}})
    );
    assert_eq!(balance(&server), 0);
    // The same delivery again, and another one of the same news.
    for told in [first, told("e-2", 20)] {
        let again = from_square(&server, &told).ok();
        assert_eq!(again["status"], "duplicate", "{again}");
    }
    assert_eq!(balance(&server), 0);
    let event = server.get("/v1/events?source=hook/square&id=payment/p-1/failed");
    assert_eq!(event["event"]["type"], "payment.failed", "{event}");
    assert_eq!(event["outcome"]["points"][0]["amount"], -100, "{event}");
    drop(server);
    shop.check();
}

#[test]
fn news_of_an_order_that_nobody_has_told_yet_waits_for_it() {
    let shop = shop();
    let server = shop.serve();
    let cancelled = json!({"id": 820_982_911_946_154_508_u64, "cancelled_at": ago(10)});
    let early = from_shopify(&server, "hush", "orders/cancelled", &cancelled).ok();
    assert_eq!(early["status"], "parked", "{early}");
    let again = from_shopify(&server, "hush", "orders/cancelled", &cancelled).ok();
    assert_eq!(again["status"], "duplicate", "{again}");
    drop(server);
    let server = shop.serve();
    let late = sold(&server, "juniper-web", "820982911946154508", "paid");
    assert_eq!(late["customer"]["balance"], 0, "{late}");
    let ledger: i64 = server.get(&format!(
        "/v1/customers/{}/ledger",
        late["customer"]["id"].as_str().expect("an id")
    ))["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| entry["amount"].as_i64().expect("points"))
        .sum();
    assert_eq!((ledger, balance(&server)), (0, 0));
    drop(server);
    shop.check();
}

#[test]
fn money_that_went_back_takes_its_part_and_what_is_nothing_to_us_is_ignored() {
    let shop = shop();
    let server = shop.serve();
    sold(&server, "square", "o-2", "paid");
    let refund = |status: &str| {
        json!({"type": "refund.updated", "event_id": status, "created_at": ago(5), "data": {"object": {"refund": {
            "id": "r-1", "status": status, "order_id": "o-2", "amount_money": {"amount": 2_500, "currency": "USD"}}}}})
    };
    let pending = from_square(&server, &refund("PENDING")).ok();
    assert_eq!(
        (&pending["status"], balance(&server)),
        (&json!("ignored"), 100)
    );
    assert!(pending["why"].as_str().is_some_and(|why| !why.is_empty()));
    let done = from_square(&server, &refund("COMPLETED")).ok();
    assert_eq!((&done["status"], balance(&server)), (&json!("applied"), 75));
    let created = json!({"id": 1, "cancelled_at": null});
    let other = from_shopify(&server, "hush", "orders/create", &created).ok();
    assert_eq!(other["status"], "ignored");

    let at = Timestamp::now().as_second();
    let voided = json!({"type": "sale.voided", "timestamp": ago(1), "data": {"order": {"system": "square", "id": "o-2"}}});
    let told = from_the_bank(&server, "msg_1", at, &voided).ok();
    assert_eq!((&told["status"], balance(&server)), (&json!("applied"), 0));
    let again = from_the_bank(&server, "msg_1", at + 1, &voided).ok();
    assert_eq!(again["status"], "duplicate");
    // A hook speaks of payments; it gives nobody points.
    let gift = json!({"type": "points.adjusted", "timestamp": ago(1), "data": {"customer": {"email": "ana@example.com"}, "points": 9_000, "reason": "x"}});
    let gift = from_the_bank(&server, "msg_2", at, &gift).ok();
    assert_eq!((&gift["status"], balance(&server)), (&json!("ignored"), 0));
}

#[test]
fn what_nobody_signed_or_somebody_signed_long_ago_is_refused_and_changes_nothing() {
    let shop = shop();
    let server = shop.serve();
    sold(&server, "juniper-web", "7", "paid");
    let cancelled = json!({"id": 7, "cancelled_at": ago(10)});
    let wrong = from_shopify(&server, "guessed", "orders/cancelled", &cancelled);
    assert_eq!((wrong.status, wrong.problem()), (401, "wrong-signature"));
    let body = cancelled.to_string();
    let topic = ("x-shopify-topic", "orders/cancelled".to_owned());
    let unsigned = deliver(&server, "web", std::slice::from_ref(&topic), &body);
    assert_eq!(
        (unsigned.status, unsigned.problem()),
        (401, "hook-not-signed")
    );
    // Signed, and then written again with one blank more.
    let signature = hmac(b"hush", body.as_bytes());
    let headers = [topic, ("x-shopify-hmac-sha256", signature)];
    let changed = deliver(&server, "web", &headers, &format!("{body} "));
    assert_eq!(
        (changed.status, changed.problem()),
        (401, "wrong-signature")
    );

    let voided = json!({"type": "sale.voided", "timestamp": ago(1), "data": {"order": {"system": "juniper-web", "id": "7"}}});
    let now = Timestamp::now().as_second();
    for at in [now - 400, now + 400] {
        let old = from_the_bank(&server, "msg_1", at, &voided);
        assert_eq!((old.status, old.problem()), (401, "signed-too-long-ago"));
    }
    let nowhere = deliver(&server, "nobody", &[], "{}");
    assert_eq!((nowhere.status, nowhere.problem()), (404, "unknown-hook"));
    let broken = json!({"id": 7});
    let broken = from_shopify(&server, "hush", "orders/cancelled", &broken);
    assert_eq!((broken.status, broken.problem()), (400, "malformed"));
    let large = "x".repeat(2 << 20);
    let large = deliver(&server, "web", &[], &large);
    assert_eq!((large.status, large.problem()), (413, "too-large"));
    assert_eq!(balance(&server), 100);

    // A secret of its own for trials, or the one before while it is changed, is as good.
    let older = from_shopify(&server, "an older one", "orders/cancelled", &cancelled).ok();
    assert_eq!((&older["status"], balance(&server)), (&json!("applied"), 0));
    std::fs::remove_file(shop.path("secrets/square")).expect("it was there");
    let blind = from_square(&server, &json!({"type": "x"}));
    assert_eq!(
        (blind.status, blind.problem()),
        (503, "hook-without-secret")
    );
}

#[test]
fn of_several_shops_the_one_whose_secret_it_is_hears_it() {
    let shops = Shops::new(&["brooklyn", "soho"]);
    with_hooks(&shops["soho"], "sohos");
    with_hooks(&shops["brooklyn"], "brooklyns");
    let server = shops.serve();
    let keys = ["brooklyn", "soho"].map(|name| &shops[name].keys);
    let data = json!({"customer": {"email": "ana@example.com"}, "channel": "online", "total": 10_000, "order": {"system": "juniper-web", "id": "7"}});
    for key in keys {
        let told = sale("7", &ago(60), data.clone());
        let sold = server.post_as(&key.pos, "/v1/events", &told);
        assert_eq!(sold.status, 200, "{}", sold.body);
    }
    let cancelled = json!({"id": 7, "cancelled_at": ago(10)});
    let heard = from_shopify(&server, "sohos", "orders/cancelled", &cancelled).ok();
    assert_eq!(heard["status"], "applied");
    let balances = keys.map(|key| {
        let found = get("/v1/customers?email=ana@example.com").key(&key.pos);
        found.to(&server).ok()["items"][0]["balance"].clone()
    });
    assert_eq!(balances, [json!(100), json!(0)]);
    let wrong = from_shopify(&server, "nobodys", "orders/cancelled", &cancelled);
    assert_eq!((wrong.status, wrong.problem()), (401, "wrong-signature"));
    let nowhere = deliver(&server, "nobody", &[], "{}");
    assert_eq!((nowhere.status, nowhere.problem()), (404, "unknown-hook"));
    let large = deliver(&server, "web", &[], &"x".repeat(2 << 20));
    assert_eq!((large.status, large.problem()), (413, "too-large"));
}
