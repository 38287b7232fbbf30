//! Devices: who calls, from where, and who has not heard of the rules that are live.

use crate::client::{Request, ago, get, send};
use serde_json::{Value, json};
use stampcard_tests::{Server, Shop, binary, sale};

fn bought(id: &str, device: &str, location: &str) -> Value {
    let customer = json!({"phone": "(212) 555-0100"});
    let data =
        json!({"customer": customer, "total": 1_000, "device": device, "location": location});
    sale(id, &ago(10), data)
}

/// The rule book of which an answer tells.
fn told(server: &Server, request: Request) -> i64 {
    let answer = request.key(&server.keys.pos).to(server);
    assert_eq!(answer.status, 200, "{answer:?}");
    let number = answer.header("stampcard-rule-book");
    number.and_then(|it| it.parse().ok()).expect("a number")
}

/// Each device with its location and whether it is behind.
fn listed(server: &Server, query: &str) -> Vec<[Value; 3]> {
    let list = server.get(&format!("/v1/devices{query}"));
    let devices = list["devices"].as_array().expect("a list").iter();
    devices
        .map(|it| ["device", "location", "behind"].map(|key| it[key].clone()))
        .collect()
}

#[test]
fn a_change_of_policy_is_there_at_each_devices_next_call_and_who_has_not_called_is_behind() {
    let shop = Shop::new();
    let server = shop.serve();
    let first = told(
        &server,
        send("POST", "/v1/events", &bought("1", "till-a", "soho")),
    );
    told(
        &server,
        send(
            "POST",
            "/v1/events",
            &json!([bought("2", "till-b", "brooklyn")]),
        ),
    );
    let whom = server.outcome(&bought("3", "till-a", "soho"));
    let id = whom["customer"]["id"].as_str().expect("an id");
    let card = format!("/v1/customers/{id}/card?device=tablet-1");
    told(&server, get(&card));
    let standing = |behind: [bool; 3]| -> Vec<[Value; 3]> {
        let stand = [
            ("tablet-1", Value::Null),
            ("till-a", json!("soho")),
            ("till-b", json!("brooklyn")),
        ];
        let stand = stand.into_iter().zip(behind);
        stand
            .map(|((device, location), behind)| [json!(device), location, json!(behind)])
            .collect()
    };
    assert_eq!(listed(&server, ""), standing([false; 3]));

    shop.lay_over("merchant.toml", "[caps]\npoints_per_event = 500");
    binary::run(["plugin", "apply", shop.text()]).ok();
    let list = server.get("/v1/devices");
    let live = list["rule_book"].as_i64().expect("a number");
    assert!(live > first, "a change of policy is another rule book");
    assert_eq!((&list["known"], &list["behind"]), (&json!(3), &json!(3)));
    assert_eq!(listed(&server, ""), standing([true; 3]));
    assert_eq!(server.figure("stampcard_devices_behind", &[]), Some(3.0));

    // Whatever it asks, its next call sees it.
    assert_eq!(told(&server, get(&card)), live);
    let moved = bought("4", "till-a", "brooklyn");
    assert_eq!(told(&server, send("POST", "/v1/preview", &moved)), live);
    let behind = listed(&server, "?behind=1");
    assert_eq!(behind, [[json!("till-b"), json!("brooklyn"), json!(true)]]);
    let asked = get("/v1/profile-rules?location=soho&device=till-b");
    assert_eq!(told(&server, asked), live);
    let page = server.get("/v1/devices?limit=2");
    assert_eq!(page["behind"], 0);
    let next = page["next"].as_str().expect("there is one more");
    let rest = listed(&server, &format!("?limit=2&cursor={next}"));
    assert_eq!(rest, [[json!("till-b"), json!("soho"), json!(false)]]);
}

#[test]
fn a_restart_forgets_no_device_and_what_is_refused_makes_none() {
    let shop = Shop::new();
    let server = shop.serve();
    server.outcome(&bought("1", "till-a", "soho"));
    let mut wrong = bought("2", "till-wrong", "soho");
    wrong["data"]["total"] = json!(1);
    assert_eq!(server.send(&wrong).status, 422);
    // An event needs no device.
    server.outcome(&sale("3", &ago(9), json!({"total": 500})));
    let known = [[json!("till-a"), json!("soho"), json!(false)]];
    assert_eq!(listed(&server, ""), known);
    let seen = |server: &Server| server.get("/v1/devices")["devices"][0]["last_seen"].clone();
    let before = seen(&server);
    server.stop();
    let again = shop.serve();
    assert_eq!(listed(&again, ""), known);
    assert_eq!(seen(&again), before);
    again.stop();
    shop.check();
}
