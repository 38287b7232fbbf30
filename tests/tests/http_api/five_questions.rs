//! The five questions that a shop asks about a customer and about its own rules, through the API and
//! nothing else, with a key that only reads.

use crate::client::ago;
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, binary, sale};

const DAY: i64 = 24 * 60;

/// Ana is known by her phone in the store and by both on the web; Bea came once.
fn shop_with_customers() -> (Shop, Server, String) {
    let shop = Shop::new();
    let server = shop.serve();
    let phone = json!({"phone": "(212) 555-0100"});
    let both = json!({"email": "ana@example.com", "phone": "+1 212 555 0100"});
    let joined = json!({"customer": both, "given_name": "Ana", "consents": [
        {"purpose": "email", "granted": true}, {"purpose": "sms", "granted": false}]});
    server.outcome(&event("customer.created", "made", &ago(26 * DAY), joined));
    let in_store = json!({"customer": phone, "total": 60_000});
    let first = server.outcome(&sale("1", &ago(25 * DAY), in_store));
    let online = json!({"customer": both, "channel": "online", "total": 2_500});
    server.outcome(&sale("2", &ago(5 * DAY), online));
    // This till was offline: what it tells last happened before.
    let late = json!({"customer": phone, "location": "brooklyn", "total": 1_000});
    server.outcome(&sale("3", &ago(15 * DAY), late));
    let bea = json!({"customer": {"email": "bea@example.com"}, "total": 1_000});
    server.outcome(&sale("4", &ago(20 * DAY), bea));
    let id = first["customer"]["id"].as_str().expect("an id").to_owned();
    (shop, server, id)
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    let list = of[key].as_array().map(Vec::as_slice);
    list.unwrap_or_else(|| panic!("{key} is no list: {of}"))
}

fn of<'a>(items: &'a [Value], key: &str, is: &str) -> &'a Value {
    let found = items.iter().find(|item| item[key] == is);
    found.unwrap_or_else(|| panic!("no {key} {is}: {items:?}"))
}

#[test]
fn five_questions_are_answered_through_the_api_alone() {
    let (_shop, server, _) = shop_with_customers();
    let ask = |path: &str| {
        let answer = server.get_as(&server.keys.read, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    };

    // Who is this customer, in stores and online?
    let found = ask("/v1/customers?phone=%2B12125550100");
    let [ana] = list(&found, "items") else {
        panic!("one person is one customer: {found}")
    };
    let id = ana["id"].as_str().expect("an id");
    let ana = ask(&format!("/v1/customers/{id}"));
    let identities = list(&ana, "identities");
    assert_eq!(of(identities, "kind", "email")["value"], "ana@example.com");
    assert_eq!(of(identities, "kind", "phone")["value"], "+12125550100");
    assert_eq!(
        ["channels", "locations", "orders", "spend", "balance"].map(|key| ana[key].clone()),
        [
            json!(["pos", "online"]),
            json!(["brooklyn", "soho"]),
            json!(3),
            json!(63_500),
            json!(635)
        ]
    );
    assert_eq!(ana["tier"], "silver");
    assert!(list(&ana, "segments").contains(&json!("vip")), "{ana}");

    // What are we allowed to send them?
    let consents = ask(&format!("/v1/customers/{id}/consents"));
    let consents = list(&consents, "consents");
    for (purpose, granted) in [("email", true), ("sms", false)] {
        let consent = of(consents, "purpose", purpose);
        assert_eq!(consent["granted"], granted);
        assert!(consent["at"].is_string(), "{consent}");
    }

    // What did they do most recently?
    let last = ask(&format!("/v1/customers/{id}/timeline?limit=1"));
    let [last] = list(&last, "items") else {
        panic!("the newest alone: {last}")
    };
    assert_eq!(
        (
            &last["event"]["id"],
            &last["event"]["channel"],
            &last["earned"]
        ),
        (&json!("2"), &json!("online"), &json!(25)),
        "by when it happened, whatever came last"
    );

    // What should happen next?
    let next = ask(&format!("/v1/customers/{id}/next"));
    let call = of(list(&next, "follow_ups"), "template", "call_vip");
    assert_eq!(
        (&call["plugin"], &call["reason"]),
        (&json!("starter-follow-ups"), &json!("Entered vip."))
    );
    let lapse = of(list(&next, "reviews"), "plugin", "starter-segments");
    assert!(lapse["at"].as_str() > Some(ago(0).as_str()), "{lapse}");

    // How will we know whether that action worked?
    let effect = ask("/v1/plugins/starter-follow-ups/effect");
    let [rules] = list(&effect, "versions") else {
        panic!("one version was live: {effect}")
    };
    assert_eq!(
        (&rules["live"], &rules["customers"]),
        (&json!(true), &json!(2))
    );
    // A thank-you for each sale. Ana bought again after one; Bea did not, and agreed to nothing.
    let thanks = of(list(rules, "messages"), "template", "thank_you");
    assert_eq!(
        [
            "channel",
            "planned",
            "suppressed",
            "cancelled",
            "customers",
            "bought_after"
        ]
        .map(|key| thanks[key].clone()),
        [
            json!("email"),
            json!(3),
            json!(1),
            json!(0),
            json!(1),
            json!(1)
        ]
    );
    let points = ask("/v1/plugins/starter-points/effect");
    assert_eq!(
        points["versions"][0]["points"],
        json!({"customers": 2, "entries": 4, "given": 645, "taken": 0})
    );
    let segments = ask("/v1/plugins/starter-segments/effect");
    let vip = of(list(&segments["versions"][0], "segments"), "segment", "vip");
    assert_eq!(
        ["entered", "left", "members"].map(|key| vip[key].clone()),
        [1, 0, 1].map(Value::from)
    );
}

#[test]
fn what_a_plugin_did_is_told_by_its_versions_in_a_time_and_after_it_is_gone() {
    let (shop, server, _) = shop_with_customers();
    let effect = |query: &str| server.get(&format!("/v1/plugins/starter-points/effect{query}"));
    shop.append(
        "plugins/starter-points.toml",
        "\n[[config.multipliers]]\ntag = \"VIP\"\nextra_percent = 100\n",
    );
    binary::run(["plugin", "apply", shop.text()]).ok();
    let more = json!({"customer": {"email": "cyd@example.com"}, "total": 2_000});
    server.outcome(&sale("5", &ago(60), more));
    let by_version = |effect: &Value| -> Vec<[Value; 3]> {
        let versions = list(effect, "versions").iter();
        versions
            .map(|it| {
                [
                    it["live"].clone(),
                    it["customers"].clone(),
                    it["points"]["given"].clone(),
                ]
            })
            .collect()
    };
    let told = effect("");
    assert_eq!(
        by_version(&told),
        [
            [json!(false), json!(2), json!(645)],
            [json!(true), json!(1), json!(20)]
        ]
    );
    assert_eq!(told["customers"], 3);
    assert_ne!(
        told["versions"][0]["configuration"],
        told["versions"][1]["configuration"]
    );

    // Of a time only: the sale of 5 days ago, and not the one of today.
    let of_a_time = effect(&format!("?from={}&to={}", ago(10 * DAY), ago(2 * DAY)));
    assert_eq!(
        by_version(&of_a_time),
        [
            [json!(false), json!(1), json!(25)],
            [json!(true), json!(0), json!(0)]
        ]
    );

    std::fs::remove_file(shop.path("plugins/starter-points.toml")).expect("it is there");
    binary::run(["plugin", "apply", shop.text()]).ok();
    let gone = effect("");
    assert_eq!(
        by_version(&gone),
        [
            [json!(false), json!(2), json!(645)],
            [json!(false), json!(1), json!(20)]
        ]
    );

    let never = server.get_as(&server.keys.read, "/v1/plugins/starter-point/effect");
    assert_eq!(
        (never.status, &never.body["code"]),
        (404, &json!("unknown-plugin"))
    );
    let too_long = format!("/v1/plugins/starter-points/effect?from={}", ago(400 * DAY));
    let too_long = server.get_as(&server.keys.read, &too_long);
    assert_eq!(
        (too_long.status, &too_long.body["parameter"]),
        (400, &json!("from"))
    );
}
