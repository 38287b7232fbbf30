//! One person, however they come: the register, the web store, a card, a telephone.

use crate::client::{ago, get};
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, sale};

fn id_of(outcome: &Value) -> String {
    outcome["customer"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no customer in {outcome}"))
        .to_owned()
}

fn kinds(server: &Server, id: &str) -> Vec<String> {
    let timeline = server.get(&format!("/v1/customers/{id}/timeline"));
    timeline["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|item| item["event"]["type"].as_str().expect("a kind").to_owned())
        .collect()
}

#[test]
fn a_phone_number_is_one_customer_however_it_is_written() {
    let shop = Shop::new();
    let server = shop.serve();
    let spellings = [
        "(212) 555-0100",
        "212.555.0100",
        "+12125550100",
        "1-212-555-0100",
        " 212 555 0100 ",
    ];
    let ids: Vec<String> = spellings
        .iter()
        .enumerate()
        .map(|(number, phone)| {
            id_of(&server.outcome(&sale(
                &number.to_string(),
                &ago(50 - number as i64),
                json!({"customer": {"phone": phone}, "total": 1_000}),
            )))
        })
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(kinds(&server, &ids[0]), ["sale.completed"; 5]);
    let customer = server.get(&format!("/v1/customers/{}", ids[0]));
    assert_eq!(
        customer["identities"],
        json!([{"kind": "phone", "value": "+12125550100"}])
    );
    assert_eq!(
        (&customer["orders"], &customer["spend"]),
        (&json!(5), &json!(5_000))
    );
}

#[test]
fn a_web_account_and_the_register_are_one_record_and_the_register_sees_it_at_once() {
    let shop = Shop::new();
    let server = shop.serve();
    let web = json!({"email": "ana@example.com", "phone": "+1 212 555 0100", "external": {"source": "web", "id": "8812"}});
    let made = server.outcome(&event(
        "customer.created",
        "1",
        &ago(30),
        json!({"customer": web, "channel": "online"}),
    ));
    let online = server.outcome(&sale("2", &ago(20), json!({"channel": "online", "customer": {"external": {"source": "web", "id": "8812"}}, "total": 5_000})));
    let register = server.outcome(&sale(
        "3",
        &ago(10),
        json!({"customer": {"phone": "212 555 0100"}, "total": 2_000}),
    ));
    let by_mail = server.outcome(&sale(
        "4",
        &ago(5),
        json!({"customer": {"email": " ANA@example.com"}, "total": 1_000}),
    ));
    let ids = [&made, &online, &register, &by_mail].map(id_of);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(
        (
            &register["customer"]["balance"],
            &by_mail["customer"]["balance"]
        ),
        (&json!(70), &json!(80))
    );
    let browsed = server.outcome(&event(
        "page.viewed",
        "5",
        &ago(1),
        json!({"customer": {"email": "ana@example.com"}, "channel": "online", "page": "/jackets"}),
    ));
    assert_eq!(id_of(&browsed), ids[0]);
    assert_eq!(
        kinds(&server, &ids[0]),
        [
            "page.viewed",
            "sale.completed",
            "sale.completed",
            "sale.completed",
            "customer.created"
        ]
    );
    let balance = server.get(&format!("/v1/customers/{}/balance", ids[0]));
    assert_eq!(
        (
            &balance["earned_by_channel"]["online"],
            &balance["earned_by_channel"]["pos"]
        ),
        (&json!(50), &json!(30))
    );
}

#[test]
fn a_guest_order_by_mail_and_a_sale_with_phone_and_the_same_mail_are_one_customer() {
    let shop = Shop::new();
    let server = shop.serve();
    let online = server.outcome(&sale(
        "1",
        &ago(20),
        json!({"channel": "online", "customer": {"email": "ana@example.com"}, "total": 3_000}),
    ));
    let store = server.outcome(&sale(
        "2",
        &ago(10),
        json!({"customer": {"phone": "2125550100", "email": "ana@example.com"}, "total": 4_000}),
    ));
    assert_eq!(id_of(&online), id_of(&store));
    assert_eq!(
        server.get("/v1/customers")["items"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    let customer = server.get(&format!("/v1/customers/{}", id_of(&online)));
    assert_eq!(
        (&customer["origin"], &customer["orders"], &customer["spend"]),
        (&json!("online"), &json!(2), &json!(7_000))
    );
    assert_eq!(kinds(&server, &id_of(&online)).len(), 2);
}

#[test]
fn where_identifiers_name_different_people_the_documented_order_decides_and_nobody_is_merged() {
    let shop = Shop::new();
    let server = shop.serve();
    let of = |id: &str, customer: Value| {
        id_of(&server.outcome(&sale(
            id,
            &ago(50),
            json!({"customer": customer, "total": 1_000}),
        )))
    };
    let mail = of("1", json!({"email": "a@example.com"}));
    let phone = of("2", json!({"phone": "2125550101"}));
    let card = of("3", json!({"card": "L-1"}));
    let account = of("4", json!({"external": {"source": "web", "id": "1"}}));
    let people = [&mail, &phone, &card, &account];
    assert!(
        (0..4).all(|one| (0..one).all(|other| people[one] != people[other])),
        "{people:?}"
    );
    let all = json!({"email": "a@example.com", "phone": "2125550101", "card": "L-1", "external": {"source": "web", "id": "1"}});
    let mut named = all.clone();
    named["id"] = json!(account);
    let without = |keys: &[&str]| {
        let mut customer = all.clone();
        keys.iter()
            .for_each(|key| drop(customer.as_object_mut().expect("an object").remove(*key)));
        customer
    };
    for (number, (customer, decides)) in [
        (named, &account),
        (all.clone(), &mail),
        (without(&["email"]), &phone),
        (without(&["email", "phone"]), &card),
        (without(&["email", "phone", "card"]), &account),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(
            of(&format!("all-{number}"), customer.clone()),
            *decides,
            "{customer}"
        );
    }
    assert_eq!(
        server.get("/v1/customers")["items"]
            .as_array()
            .map(Vec::len),
        Some(4)
    );
}

#[test]
fn whether_a_sale_makes_a_customer_is_the_shops_choice_and_an_account_can_always_be_asked_for() {
    let shop = Shop::new();
    shop.lay_over("merchant.toml", "[policies]\nunknown_customer = \"guest\"");
    let server = shop.serve();
    let guest = server.outcome(&sale(
        "1",
        &ago(9),
        json!({"customer": {"phone": "2125550100"}, "total": 1_000}),
    ));
    assert_eq!(
        (&guest["status"], guest.get("customer"), &guest["points"]),
        (&json!("guest"), None, &json!([]))
    );
    assert!(guest["notes"].to_string().contains("guest"), "{guest}");
    let found = get("/v1/customers?phone=2125550100")
        .key(&server.keys.pos)
        .to(&server)
        .ok();
    assert_eq!(found["items"], json!([]), "no profile row appears");
    let asked = server.outcome(&sale(
        "2",
        &ago(8),
        json!({"customer": {"phone": "2125550100"}, "account_intent": "create", "total": 1_000}),
    ));
    assert_eq!(asked["status"], "applied");
    let known = server.outcome(&sale(
        "3",
        &ago(7),
        json!({"customer": {"phone": "212-555-0100"}, "total": 1_000}),
    ));
    assert_eq!(id_of(&known), id_of(&asked));
}

#[test]
fn a_guest_sale_is_kept_and_can_be_claimed_once() {
    let shop = Shop::new();
    let server = shop.serve();
    let guest = server.outcome(&sale("1", &ago(30), json!({"customer": {"email": "ana@example.com"}, "account_intent": "guest", "total": 4_000})));
    assert_eq!(guest["status"], "guest");
    let claim = |id: &str, email: &str| {
        server.outcome(&event("customer.identified", id, &ago(5), json!({
            "customer": {"email": email}, "channel": "online", "method": "receipt", "sale": {"source": "till-1", "id": "1"},
        })))
    };
    let claimed = claim("2", "ana@example.com");
    assert_eq!(claimed["customer"]["balance"], 40, "{claimed}");
    let second = claim("3", "bo@example.com");
    assert_eq!(second["customer"]["balance"], 0, "{second}");
    assert_eq!(
        kinds(&server, &id_of(&claimed))
            .iter()
            .filter(|kind| *kind == "sale.completed")
            .count(),
        1
    );
}

#[test]
fn what_the_shop_owns_cannot_be_set_from_outside() {
    let shop = Shop::new();
    let server = shop.serve();
    let made = server.outcome(&event(
        "customer.created",
        "1",
        &ago(9),
        json!({"customer": {"email": "ana@example.com"}}),
    ));
    for (number, field) in ["balance", "points", "tier", "segments"]
        .into_iter()
        .enumerate()
    {
        let mut data = json!({"customer": {"email": "ana@example.com"}});
        data[field] = json!("gold");
        let answer = server.send(&event(
            "customer.updated",
            &format!("set-{number}"),
            &ago(5),
            data,
        ));
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (400, &json!("malformed")),
            "{field}: {}",
            answer.body
        );
    }
    let customer = server.get(&format!("/v1/customers/{}", id_of(&made)));
    assert_eq!(
        (&customer["balance"], &customer["tier"]),
        (&json!(0), &Value::Null)
    );
}
