//! The shop's catalogue: kept for reference by events, read by nobody's rule, compared with what was
//! sold.

use crate::client::ago;
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, sale};

const DAY: i64 = 24 * 60;

fn told(id: &str, minutes: i64, products: Value) -> Value {
    let data = json!({"currency": "USD", "products": products});
    event("catalog.updated", id, &ago(minutes), data)
}

fn jacket(price: i64) -> Value {
    json!({"product": "jacket", "variant": "JKT-M", "name": "Jacket, M", "price": price,
        "collections": ["spring"], "flags": ["new"]})
}

fn prices(server: &Server) -> Vec<[Value; 3]> {
    let list = server.get("/v1/catalogue/products");
    let items = list["items"].as_array().expect("a list").iter();
    items
        .map(|it| ["product", "variant", "price"].map(|key| it[key].clone()))
        .collect()
}

#[test]
fn the_newest_event_about_a_product_stands_whichever_comes_first() {
    let beans = json!({"product": "beans", "sku": "B-1", "price": 900});
    let events = [
        told("a", 3 * DAY, json!([jacket(12_900), beans])),
        told("b", 2 * DAY, json!([jacket(9_900)])),
        told(
            "c",
            DAY,
            json!([{"product": "jacket", "variant": "JKT-L", "price": 13_500}]),
        ),
    ];
    let mut shown = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let shop = Shop::new();
        let server = shop.serve();
        for index in order {
            let outcome = server.outcome(&events[index]);
            assert_eq!(
                (&outcome["status"], &outcome["customer"]),
                (&json!("applied"), &Value::Null)
            );
        }
        let again = server.outcome(&events[0]);
        assert_eq!(again["status"], "duplicate");
        shown.push(server.get("/v1/catalogue/products"));
        assert_eq!(
            prices(&server),
            [
                [json!("beans"), Value::Null, json!(900)],
                [json!("jacket"), json!("JKT-L"), json!(13_500)],
                [json!("jacket"), json!("JKT-M"), json!(9_900)],
            ]
        );
        server.stop();
        shop.check();
    }
    assert_eq!(shown[0], shown[1]);
    assert_eq!(shown[0], shown[2]);
    let medium = &shown[0]["items"][2];
    assert_eq!(
        ["name", "currency", "collections", "flags", "id"].map(|key| medium[key].clone()),
        [
            json!("Jacket, M"),
            json!("USD"),
            json!(["spring"]),
            json!(["new"]),
            json!("b")
        ]
    );
}

#[test]
fn points_go_by_the_price_on_the_line_and_one_that_differs_is_counted() {
    let shop = Shop::new();
    let server = shop.serve();
    let sold = |id: &str, minutes: i64, lines: Value, total: i64| {
        let customer = json!({"email": format!("{id}@example.com")});
        let data = json!({"customer": customer, "lines": lines, "total": total});
        server.outcome(&sale(id, &ago(minutes), data))["points"][0]["amount"].clone()
    };
    let one = |price: i64| json!([{"sku": "JKT-M", "quantity": 1, "unit_price": price}]);
    let count = || {
        let report = server.get("/v1/reports/prices");
        ["lines", "compared", "differing"].map(|key| report[key].as_u64().expect("a number"))
    };
    assert_eq!(sold("before", 3 * DAY, one(15_000), 15_000), 150);
    assert_eq!(count(), [0, 0, 0], "there is nothing to compare with");
    server.outcome(&told("a", 2 * DAY, json!([jacket(12_900)])));
    // The same price; another one; one of which the catalogue does not know; no price of its own.
    assert_eq!(sold("same", DAY, one(12_900), 12_900), 129);
    assert_eq!(
        sold("less", 60, one(9_900), 9_900),
        99,
        "what was paid is what counts"
    );
    let mixed = json!([{"sku": "SOCKS", "unit_price": 700}, {"variant": "JKT-M", "amount": 5_000}]);
    assert_eq!(sold("mixed", 50, mixed, 5_700), 57);
    assert_eq!(
        count(),
        [5, 2, 1],
        "a sale from before the price is not compared"
    );
    assert_eq!(
        server.figure("stampcard_recent_lines_compared", &[]),
        Some(2.0)
    );
    assert_eq!(
        server.figure("stampcard_recent_lines_mispriced", &[]),
        Some(1.0)
    );
    let report = server.get("/v1/reports/prices");
    let found = &report["products"][0];
    assert_eq!(
        ["product", "price", "sold_at", "lines", "id"].map(|key| found[key].clone()),
        [
            json!("jacket"),
            json!(12_900),
            json!(9_900),
            json!(1),
            json!("less")
        ]
    );
    let printed = stampcard_tests::binary::run(["report", "prices", shop.text()]).ok();
    assert!(
        printed.contains("jacket   JKT-M")
            && printed.contains("129.00")
            && printed.contains("till-1/less"),
        "{printed}"
    );
    server.stop();
    shop.check();
}

#[test]
fn what_cannot_be_a_catalogue_is_refused_by_name_and_place() {
    let shop = Shop::new();
    let server = shop.serve();
    let many: Vec<Value> = (0..1_001)
        .map(|number| json!({"product": format!("p-{number}"), "price": 1}))
        .collect();
    let dollars = |products: Value| json!({"currency": "USD", "products": products});
    for (data, status, code, pointer) in [
        (dollars(json!(many)), 422, "too-many", "/data/products"),
        (dollars(json!([])), 400, "malformed", "/data/products"),
        (
            dollars(json!([jacket(1), jacket(2)])),
            422,
            "product-twice",
            "/data/products/1",
        ),
        (
            dollars(json!([{"product": "a", "price": -1}])),
            422,
            "price",
            "/data/products/0/price",
        ),
        (
            dollars(json!([{"product": "", "price": 1}])),
            400,
            "malformed",
            "/data/products/0/product",
        ),
        (
            dollars(json!([{"product": "a", "price": 1.5}])),
            400,
            "malformed",
            "/data/products/0/price",
        ),
        (
            dollars(json!([{"product": "a", "cost": 1}])),
            400,
            "malformed",
            "/data/products/0/cost",
        ),
        (
            json!({"currency": "EUR", "products": [jacket(1)]}),
            422,
            "foreign-currency",
            "/data/currency",
        ),
    ] {
        let answer = server.send(&event("catalog.updated", "1", &ago(5), data));
        assert_eq!(
            (answer.status, &answer.body["code"], &answer.body["pointer"]),
            (status, &json!(code), &json!(pointer)),
            "{}",
            answer.body
        );
    }
    assert!(prices(&server).is_empty());
    // As many as may be, in pages.
    server.outcome(&told("1", 5, json!(many[..1_000])));
    let mut cursor = String::new();
    let mut seen = 0;
    loop {
        let page = server.get(&format!("/v1/catalogue/products?limit=300{cursor}"));
        seen += page["items"].as_array().expect("a list").len();
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, 1_000);
    let one = server.get("/v1/catalogue/products?product=p-77");
    assert_eq!(one["items"].as_array().map(Vec::len), Some(1));
}
