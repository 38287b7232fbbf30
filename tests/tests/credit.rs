//! Store credit over HTTP, and in what the shop's books say of it.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, binary, sale};
use std::sync::atomic::{AtomicUsize, Ordering};

fn ago(minutes: i64) -> String {
    (Timestamp::now() - SignedDuration::from_mins(minutes)).to_string()
}

/// A shop in which Ana has 30.00 of store credit, and her id.
fn shop_with_credit() -> (Shop, Server, String) {
    let shop = Shop::new();
    shop.lay_over("merchant.toml", "[store_credit]\n");
    let server = shop.serve();
    let coat =
        json!({"customer": {"email": "ana@example.com"}, "channel": "online", "total": 10_000});
    let outcome = server.outcome(&sale("coat", &ago(60), coat));
    let id = outcome["customer"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let back = json!({
        "sale": {"source": "till-1", "id": "coat"}, "currency": "USD", "amount": 3_000, "refund_to": "store_credit",
    });
    let back = server.outcome(&event("return.completed", "back", &ago(50), back));
    assert_eq!(back["store_credit"][0]["amount"], 3_000);
    (shop, server, id)
}

fn credit(server: &Server, id: &str) -> (i64, i64) {
    let found = server.get(&format!("/v1/customers/{id}/balance"));
    let number = |field: &str| found["store_credit"][field].as_i64().expect("a number");
    (number("amount"), number("available"))
}

fn wanted(id: &str, amount: i64) -> Value {
    json!({"customer": id, "currency": "store_credit", "amount": amount, "channel": "online"})
}

#[test]
fn credit_that_was_set_aside_is_taken_once_by_the_tender_that_carries_its_code() {
    let (shop, server, id) = shop_with_credit();
    let pos = &server.keys.pos;
    let made = server.post_once(pos, "/v1/redemptions", "app-1", &wanted(&id, 1_250));
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(
        (
            &made.body["currency"],
            &made.body["points"],
            &made.body["amount"]
        ),
        (&json!("store_credit"), &json!(0), &json!(1_250))
    );
    assert_eq!(
        (&made.body["balance"], &made.body["available"]),
        (&json!(3_000), &json!(1_750))
    );
    assert_eq!(credit(&server, &id), (3_000, 1_750));
    let again = server.post_once(pos, "/v1/redemptions", "app-1", &wanted(&id, 1_250));
    assert_eq!((again.status, &again.body), (201, &made.body));
    let more = server.post_once(pos, "/v1/redemptions", "app-2", &wanted(&id, 1_751));
    assert_eq!(more.status, 409, "{}", more.body);
    assert_eq!(
        (&more.body["type"], &more.body["pointer"]),
        (
            &json!("https://stampcard.dev/problems/insufficient-credit"),
            &json!("/amount")
        )
    );

    let (red, code) = (&made.body["id"], &made.body["code"]);
    let path = format!("/v1/redemptions/{}", red.as_str().expect("an id"));
    let confirm = server.post_as(pos, &format!("{path}/confirm"), &json!({}));
    assert_eq!(
        (confirm.status, &confirm.body["code"]),
        (409, &json!("taken-by-its-tender"))
    );
    let tender = json!([{"kind": "store_credit", "amount": 900, "code": code}, {"kind": "card", "amount": 4_100}]);
    let bag = json!({"customer": {"email": "ana@example.com"}, "total": 5_000, "tenders": tender});
    let bag = sale("bag", &Timestamp::now().to_string(), bag);
    let outcome = server.outcome(&bag);
    assert_eq!(outcome["customer"]["store_credit"]["available"], 2_100);
    assert_eq!(server.outcome(&bag)["status"], "duplicate");
    assert_eq!(credit(&server, &id), (2_100, 2_100));
    let used = server.get(&path);
    assert_eq!(
        (&used["state"], &used["amount"], &used["used"]),
        (&json!("confirmed"), &json!(1_250), &json!(900))
    );
    assert_eq!(used["sale"], json!({"source": "till-1", "id": "bag"}));

    // Its code is nobody else's to read.
    let told = server.get("/v1/events?source=till-1&id=bag");
    let tender = json!({"kind": "store_credit", "amount": 900});
    assert_eq!(told["event"]["data"]["tenders"][0], tender);
    let explained = shop.run("explain", &["till-1", "bag"]).ok();
    assert!(
        explained.contains("-9.00 USD of store credit (redeem): paid with store credit"),
        "{explained}"
    );
    drop(server);
    shop.check();
    let server = shop.serve();
    assert_eq!(credit(&server, &id), (2_100, 2_100), "after a restart");
}

#[test]
fn of_many_who_want_the_same_credit_at_once_one_has_it() {
    let (shop, server, id) = shop_with_credit();
    let (won, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (client, id, won, lost) = (server.client(), &id, &won, &lost);
            scope.spawn(move || {
                let name = format!("app-{number}");
                let answer = client.post_once("/v1/redemptions", &name, &wanted(id, 3_000));
                let answer = answer.expect("the server answers");
                match answer.status {
                    201 => won.fetch_add(1, Ordering::Relaxed),
                    409 if answer.body["code"] == "insufficient-credit" => {
                        lost.fetch_add(1, Ordering::Relaxed)
                    }
                    other => panic!("{other}: {}", answer.body),
                };
            });
        }
    });
    assert_eq!((won.into_inner(), lost.into_inner()), (1, 15));
    assert_eq!(credit(&server, &id), (3_000, 0));
    drop(server);
    shop.check();
}

#[test]
fn the_books_tell_credit_from_points() {
    let (shop, server, id) = shop_with_credit();
    let made = server.post_once(
        &server.keys.pos,
        "/v1/redemptions",
        "app-1",
        &wanted(&id, 500),
    );
    assert_eq!(made.status, 201, "{}", made.body);
    let report = server.get("/v1/reports/liability");
    assert_eq!(
        (&report["points"], &report["reserved"], &report["customers"]),
        (&json!(70), &json!(0), &json!(1))
    );
    let owed = &report["store_credit"];
    assert_eq!(
        (
            &owed["amount"],
            &owed["balance"],
            &owed["reserved"],
            &owed["customers"]
        ),
        (&json!(3_000), &json!(3_000), &json!(500), &json!(1))
    );
    assert_eq!(owed["spans"][0]["points"], 3_000);
    for (currency, amounts) in [("points", vec![-30, 100]), ("store_credit", vec![3_000])] {
        let ledger = server.get(&format!("/v1/customers/{id}/ledger?currency={currency}"));
        let items = ledger["items"].as_array().expect("a list");
        let found: Vec<_> = items.iter().map(|it| it["amount"].as_i64()).collect();
        assert_eq!(found, amounts.into_iter().map(Some).collect::<Vec<_>>());
        assert!(items.iter().all(|item| item["currency"] == currency));
    }
    let odd = server.get_as(
        &server.keys.pos,
        &format!("/v1/customers/{id}/ledger?currency=USD"),
    );
    assert_eq!(odd.status, 400, "{}", odd.body);
    server.stop();

    let told = binary::run(["report", "liability", shop.text()]).ok();
    assert!(told.contains("Store credit: 30.00 USD are open"), "{told}");
    for line in shop.export("ledger", &[]).lines() {
        let ends = [r#","currency":"points"}"#, r#","currency":"store_credit"}"#];
        assert!(ends.iter().any(|end| line.ends_with(end)), "{line}");
    }
    let customer = &shop.exported("customers", &[])[0];
    assert_eq!(
        (&customer["balance"], &customer["store_credit"]),
        (&json!(70), &json!(3_000))
    );
    let then = shop.exported("customers", &["--as-of", &ago(55)]);
    assert_eq!(
        (&then[0]["balance"], &then[0]["store_credit"]),
        (&json!(100), &json!(0))
    );
}
