//! What waits for a person: who sees it, who closes it, and what they found.

use crate::client::{ago, get, send};
use crate::staff::{staff_key, tell};
use serde_json::{Value, json};
use stampcard_tests::{Server, Shop, sale};

/// Two sales that look like one.
fn twice(server: &Server) {
    for id in ["first", "second"] {
        let sold = json!({"customer": {"email": "ana@example.com"}, "total": 12_900});
        server.outcome(&sale(id, &ago(60), sold));
    }
}

#[test]
fn an_item_is_closed_once_by_somebody_with_what_they_found() {
    let shop = Shop::new();
    let staff = staff_key(&shop);
    let server = shop.serve();
    twice(&server);
    let waiting = || get("/v1/review-items").key(&staff).to(&server).ok();
    let item = waiting()["items"][0].clone();
    assert_eq!(item["kind"], "looks-twice");
    assert_eq!(item["event"]["id"], "second");
    assert_eq!(
        item["details"],
        json!({"sale": {"source": "till-1", "id": "first"}})
    );
    assert!(
        item["customer"]
            .as_str()
            .is_some_and(|id| id.starts_with("cus_"))
    );
    assert_eq!(server.figure("stampcard_review_items_open", &[]), Some(1.0));

    let path = format!("/v1/review-items/{}/close", item["id"]);
    let found = json!({"reason": "two coats, both on the receipt"});
    let pos = send("POST", &path, &found)
        .key(&server.keys.pos)
        .to(&server);
    assert_eq!((pos.status, pos.problem()), (403, "forbidden"));
    for (body, place) in [
        (json!({"reason": " "}), "/reason"),
        (json!({"reason": "x".repeat(10_000)}), "/reason"),
        (json!({"reason": "seen", "actor": ""}), "/actor"),
    ] {
        let refused = send("POST", &path, &body).key(&staff).to(&server);
        assert_eq!(
            (refused.status, refused.problem()),
            (400, "malformed"),
            "{body}"
        );
        assert_eq!(refused.body["pointer"], place);
    }
    assert_eq!(waiting()["items"].as_array().map(Vec::len), Some(1));

    let closed = send("POST", &path, &found).key(&staff).to(&server).ok();
    assert_eq!(closed["closed"]["actor"], "mia");
    assert_eq!(closed["closed"]["reason"], "two coats, both on the receipt");
    assert_eq!(waiting()["items"], json!([]));
    assert_eq!(server.figure("stampcard_review_items_open", &[]), Some(0.0));
    let done = get("/v1/review-items?closed=1")
        .key(&staff)
        .to(&server)
        .ok();
    assert_eq!(done["items"], json!([closed]));

    let again = json!({"reason": "one coat", "actor": "Leo"});
    let again = send("POST", &path, &again).key(&staff).to(&server);
    assert_eq!((again.status, again.problem()), (409, "already-closed"));
    for path in ["/v1/review-items/9999/close", "/v1/review-items/x/close"] {
        let nothing = send("POST", path, &found).key(&staff).to(&server);
        assert_eq!(
            (nothing.status, nothing.problem()),
            (404, "no-such-item"),
            "{path}"
        );
    }
}

#[test]
fn items_come_in_pages_oldest_first() {
    let shop = Shop::new();
    let staff = staff_key(&shop);
    let server = shop.serve();
    for index in 0..4 {
        let sold = json!({"customer": {"email": "ana@example.com"}, "total": 500});
        let told = tell(&server, &staff, &sale(&format!("s{index}"), &ago(60), sold));
        assert_eq!(told.status, 200, "{told:?}");
    }
    let page = |path: &str| get(path).key(&staff).to(&server).ok();
    let ids = |page: &Value| -> Vec<i64> {
        let items = page["items"].as_array().expect("a list");
        items
            .iter()
            .filter_map(|item| item["id"].as_i64())
            .collect()
    };
    let first = page("/v1/review-items?limit=2");
    let cursor = first["next"].as_str().expect("there is more");
    let second = page(&format!("/v1/review-items?limit=2&cursor={cursor}"));
    let all = [ids(&first), ids(&second)].concat();
    assert!(all.is_sorted() && all.len() == 3, "{all:?}");
    assert!(second.get("next").is_none());
}
