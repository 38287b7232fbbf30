//! Quotas: a key that asks for too much is told so, and nobody else notices.

use crate::client::{Answer, ago, get, send};
use serde_json::{Value, json};
use stampcard_tests::{Server, Shop, sale};

fn shop() -> Shop {
    let shop = Shop::new();
    let server = shop.read("stampcard.toml");
    shop.write(
        "stampcard.toml",
        format!("requests_per_minute = 30\n{server}"),
    );
    shop
}

fn list(server: &Server, key: &str) -> Answer {
    get("/v1/segments").key(key).to(server)
}

fn one(id: &str) -> Value {
    sale(
        id,
        &ago(5),
        json!({"customer": {"email": "ana@example.com"}, "total": 1_000}),
    )
}

#[test]
fn each_key_has_its_quota_and_every_answer_says_what_is_left() {
    let shop = shop();
    let server = shop.serve();
    let first = list(&server, &server.keys.read);
    assert_eq!(first.header("ratelimit-policy"), Some("\"key\";q=30;w=60"));
    assert_eq!(first.header("ratelimit"), Some("\"key\";r=29;t=2"));
    // What is refused for another reason counts, and says so too.
    let wrong = get("/v1/segments?x=1").key(&server.keys.read).to(&server);
    assert_eq!(wrong.status, 400);
    assert_eq!(wrong.header("ratelimit-policy"), Some("\"key\";q=30;w=60"));
    let mut refused = None;
    for _ in 0..40 {
        let answer = list(&server, &server.keys.read);
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("forty are more than thirty");
    assert_eq!(
        (refused.status, refused.problem()),
        (429, "too-many-requests")
    );
    let wait: u64 = refused
        .header("retry-after")
        .and_then(|wait| wait.parse().ok())
        .expect("it says when to come again");
    assert!((1..=3).contains(&wait), "{refused:?}");
    assert!(
        refused
            .header("ratelimit")
            .is_some_and(|left| left.starts_with("\"key\";r=0;t=")),
        "{refused:?}"
    );
    assert!(
        refused.body["detail"]
            .to_string()
            .contains("requests_per_minute")
    );
    // Another key, and what needs none, is answered all the same.
    assert_eq!(list(&server, &server.keys.operator).status, 200);
    let open = get("/healthz").to(&server);
    assert_eq!((open.status, open.header("ratelimit")), (200, None));
    std::thread::sleep(std::time::Duration::from_secs(wait));
    assert_eq!(list(&server, &server.keys.read).status, 200, "as it said");
}

#[test]
fn a_batch_counts_each_of_its_events_and_nothing_that_was_refused_is_lost() {
    let shop = shop();
    let server = shop.serve();
    let batch: Vec<Value> = (0..50).map(|number| one(&format!("b-{number}"))).collect();
    let taken = send("POST", "/v1/events", &json!(batch))
        .key(&server.keys.pos)
        .to(&server);
    assert_eq!(taken.status, 200, "it is taken whole: {:?}", taken.body);
    let late = send("POST", "/v1/events", &one("late"))
        .key(&server.keys.pos)
        .to(&server);
    assert_eq!((late.status, late.problem()), (429, "too-many-requests"));
    // The same event under a key with something left: nothing of it was there before.
    let again = send("POST", "/v1/events", &one("late"))
        .key(&server.keys.operator)
        .to(&server);
    assert_eq!(again.ok()["status"], "applied");
    server.stop();
    shop.check();
    assert_eq!(shop.exported("ledger", &[]).len(), 51);
}

#[test]
fn a_quota_that_cannot_be_is_refused_with_its_place() {
    let shop = Shop::new();
    for (wrong, named) in [
        ("requests_per_minute = 0", "nonzero"),
        ("requests_per_minuet = 5", "requests_per_minute"),
    ] {
        let file = shop.read("stampcard.toml");
        shop.write("stampcard.toml", format!("{wrong}\n{file}"));
        let ran = shop.run("serve", &["--listen", "127.0.0.1:0"]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(
            ran.stderr.contains("stampcard.toml") && ran.stderr.contains(named),
            "{}",
            ran.stderr
        );
        shop.write("stampcard.toml", file);
    }
}
