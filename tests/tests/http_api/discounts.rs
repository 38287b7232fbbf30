//! Whoever holds a card to the till has the discounts that are theirs, and the sale says which it took.

use crate::client::{ago, get};
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, sale};

const FOLLOW_UPS: &str = r#"pack = "starter-follow-ups"

[config.rules.welcome]
on = ["identified"]
prompt = { text = "5 % off today.", offer = { share = 500 } }

[config.rules.five]
on = ["identified"]
prompt = { text = "$5 off from $20 on.", offer = { amount = 500, minimum = 2000, code_prefix = "FIVE-" } }

[config.rules.mug]
on = ["identified"]
prompt = { text = "A mug for nothing.", offer = { share = 10000, on = "gift", goods = { skus = ["MUG"] } } }
"#;

/// What the till may take off by itself for whoever was recognised.
fn tapped(server: &Server, id: &str, minutes: i64) -> Vec<Value> {
    let by_card = json!({"customer": {"card": "L-100"}, "channel": "pos", "location": "soho", "method": "nfc"});
    let answer = server.outcome(&event("customer.identified", id, &ago(minutes), by_card));
    let discounts = answer["card"]["discounts"].as_array();
    discounts.unwrap_or_else(|| panic!("{answer:#}")).clone()
}

fn ids(discounts: &[Value]) -> Vec<&str> {
    let ids = discounts.iter().map(|it| it["id"].as_str().expect("an id"));
    ids.collect()
}

#[test]
fn a_tap_lists_what_can_be_taken_off_and_the_sale_that_carries_its_id_has_used_it() {
    let shop = Shop::new();
    shop.write("plugins/starter-follow-ups.toml", FOLLOW_UPS);
    let server = shop.serve();
    let made =
        json!({"customer": {"card": "L-100", "email": "ana@example.com"}, "given_name": "Ana"});
    server.outcome(&event("customer.created", "made", &ago(60), made));

    let discounts = tapped(&server, "tap", 30);
    let [five, welcome] = &discounts[..] else {
        panic!("a gift is nothing that a till takes off by itself: {discounts:#?}");
    };
    assert_eq!(five["discount"]["value"], json!({"amount": 500}));
    assert_eq!(
        (&five["minimum"], &five["text"]),
        (&json!(2_000), &json!("$5 off from $20 on."))
    );
    let code = five["id"].as_str().expect("an id").to_owned();
    assert!(code.starts_with("FIVE-"), "{code}");
    let name = welcome["id"].as_str().expect("an id").to_owned();
    assert!(name.starts_with("starter-follow-ups/welcome"), "{name}");
    assert_eq!(welcome["discount"]["value"], json!({"share": 500}));
    assert_eq!(welcome["text"], "5 % off today.");
    // Nothing is used by being shown.
    assert_eq!(tapped(&server, "tap-2", 25), discounts);

    let with = |id: &str, taken: i64| {
        json!({"customer": {"card": "L-100"}, "lines": [{"sku": "TEE", "amount": 3_000}], "total": 3_000 - taken,
            "discounts": [{"code": id, "amount": taken}]})
    };
    server.outcome(&sale("1", &ago(20), with(&name, 150)));
    assert_eq!(ids(&tapped(&server, "tap-3", 15)), [code.as_str()]);
    server.outcome(&sale("2", &ago(10), with(&code, 500)));
    assert_eq!(tapped(&server, "tap-4", 5), [Value::Null; 0]);
    // The same card, when it is read.
    let id = server.get("/v1/customers")["items"][0]["id"].clone();
    let path = format!("/v1/customers/{}/card", id.as_str().expect("an id"));
    let card = get(&path).key(&server.keys.pos).to(&server).ok();
    assert_eq!(card["discounts"], json!([]));
    let used = card["offers"].as_array().expect("a list");
    assert_eq!(used.len(), 1, "the mug is still hers: {used:?}");
}
