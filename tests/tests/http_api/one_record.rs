//! One customer, whatever comes from wherever: tills, the web store, an events desk.

use crate::client::{ago, get, quoted};
use serde_json::{Value, json};
use stampcard_tests::event::with_goods;
use stampcard_tests::{Server, Shop};

/// An event of some system about Ana, by whatever that system knows her by.
fn from(source: &str, kind: &str, id: &str, minutes: i64, who: Value, data: Value) -> Value {
    let mut data = if kind == "sale.completed" {
        with_goods(data)
    } else {
        data
    };
    data["customer"] = who;
    json!({"specversion": "1.0", "source": source, "id": id, "type": kind, "time": ago(minutes), "data": data})
}

fn shop() -> Shop {
    let shop = Shop::new();
    shop.append(
        "merchant.toml",
        "\n[kinds]\n\"x.fitting\" = \"Somebody tried something on.\"\n",
    );
    shop
}

fn record(server: &Server, id: &str) -> Value {
    server.get(&format!("/v1/customers/{id}"))
}

#[test]
fn each_sale_moves_the_one_record_wherever_it_was_made() {
    let shop = shop();
    let server = shop.serve();
    let who = || json!({"email": "ana@example.com"});
    let first = server.outcome(&from(
        "till-1",
        "sale.completed",
        "1",
        30,
        who(),
        json!({"total": 1_000}),
    ));
    let id = first["customer"]["id"].as_str().expect("an id").to_owned();
    let in_store = record(&server, &id);
    let web = json!({"total": 2_500, "channel": "online"});
    server.outcome(&from("web", "sale.completed", "2", 20, who(), web));
    let online = record(&server, &id);
    for (shown, orders, spend) in [(&in_store, 1, 1_000), (&online, 2, 3_500)] {
        assert_eq!(
            (&shown["orders"], &shown["spend"]),
            (&json!(orders), &json!(spend)),
            "{shown}"
        );
    }
    assert!(online["revision"].as_i64() > in_store["revision"].as_i64());
    assert!(online["last_order_at"].as_str() > in_store["last_order_at"].as_str());
}

#[test]
fn the_timeline_has_every_kind_of_event_of_every_source_with_where_it_came_from() {
    let shop = shop();
    let server = shop.serve();
    let both = json!({"email": "ana@example.com", "phone": "+12125550100"});
    let events = [
        from(
            "till-1",
            "sale.completed",
            "1",
            50,
            both.clone(),
            json!({"total": 1_000}),
        ),
        from(
            "web",
            "page.viewed",
            "2",
            40,
            json!({"email": "ana@example.com"}),
            json!({"channel": "online", "page": "/jackets"}),
        ),
        from(
            "desk",
            "x.fitting",
            "3",
            30,
            json!({"phone": "+12125550100"}),
            json!({"jacket": "blue"}),
        ),
        from(
            "desk",
            "x.nobody-explained",
            "4",
            20,
            json!({"phone": "+12125550100"}),
            json!({"what": "ever"}),
        ),
        from(
            "desk",
            "store_event.attended",
            "5",
            10,
            both,
            json!({"location": "soho", "store_event": "spring-party"}),
        ),
    ];
    let mut id = String::new();
    for event in &events {
        let outcome = server.outcome(event);
        id = outcome["customer"]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
    }
    let timeline = server.get(&format!("/v1/customers/{id}/timeline"));
    let items = timeline["items"].as_array().expect("a list");
    let shown: Vec<(&str, &str)> = items
        .iter()
        .rev()
        .map(|item| {
            let of = |field: &str| item["event"][field].as_str().unwrap_or_default();
            (of("source"), of("type"))
        })
        .collect();
    let sent: Vec<(&str, &str)> = events
        .iter()
        .map(|event| {
            (
                event["source"].as_str().expect("a source"),
                event["type"].as_str().expect("a kind"),
            )
        })
        .collect();
    assert_eq!(shown, sent);
    assert_eq!(items[2]["event"]["data"]["jacket"], "blue", "{timeline:#}");
}

#[test]
fn a_till_reads_the_record_in_one_request_by_whatever_the_customer_shows() {
    let shop = shop();
    let server = shop.serve();
    let who = json!({"email": "ana@example.com", "phone": "+12125550100", "card": "L-7", "external": {"source": "web", "id": "88"}});
    server.outcome(&from(
        "till-1",
        "sale.completed",
        "1",
        30,
        who,
        json!({"total": 60_000}),
    ));
    for query in [
        format!("email={}", quoted("Ana@Example.com")),
        format!("phone={}", quoted("(212) 555-0100")),
        "card=L-7".into(),
        format!("external={}", quoted("web/88")),
    ] {
        let path = format!("/v1/customers?{query}");
        let found = get(&path).key(&server.keys.pos).to(&server).ok();
        let [ana] = found["items"].as_array().expect("a list").as_slice() else {
            panic!("{query}: {found}");
        };
        assert_eq!(
            (&ana["balance"], &ana["orders"]),
            (&json!(600), &json!(1)),
            "{query}"
        );
        assert!(
            ana["segments"].to_string().contains("vip"),
            "{query}: {ana}"
        );
    }
}
