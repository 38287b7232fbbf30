//! Who may do what.

use crate::client::{Request, ago, get, send};
use serde_json::json;
use stampcard_tests::{Shop, sale};

/// A key of every role, in the order of [`ROLES`].
const ROLES: [&str; 5] = ["pos", "staff", "operator", "agency", "read"];

fn keys(shop: &Shop) -> [String; 5] {
    ROLES.map(|role| {
        let ran = stampcard_tests::binary::run([
            "key",
            "add",
            shop.text(),
            role,
            "--label",
            "test",
            "--json",
        ]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.json()["key"].as_str().expect("a key").to_owned()
    })
}

#[test]
fn each_role_may_do_what_the_table_says_and_nothing_else() {
    let shop = Shop::new();
    let keys = keys(&shop);
    let server = shop.serve();
    let event = sale(
        "1",
        &ago(5),
        json!({"customer": {"email": "ana@example.com"}, "total": 1_000}),
    );
    let outcome = server.outcome(&event);
    let ana = format!(
        "/v1/customers/{}",
        outcome["customer"]["id"].as_str().expect("an id")
    );
    let parts = [
        "",
        "/timeline",
        "/ledger",
        "/segments",
        "/follow-ups",
        "/next",
        "/offers",
        "/consents",
        "/balance",
        "/card",
        "/tier",
        "/locations",
    ];
    #[rustfmt::skip]
    let mut table: Vec<(&str, String, [bool; 5])> = vec![
        //                                     pos    staff  operator agency read
        ("POST", "/v1/events".into(),         [true,  true,  true,    false, false]),
        ("POST", "/v1/preview".into(),        [true,  true,  true,    false, false]),
        ("GET", "/v1/events?source=till-1&id=1".into(), [true, true, true, true, true]),
        ("GET", "/v1/customers".into(),       [true,  true,  true,    false, true]),
        ("POST", "/v1/customers".into(),      [true,  true,  true,    false, false]),
        ("PATCH", ana.clone(),                [true,  true,  true,    false, false]),
        ("POST", format!("{ana}/token"),      [true,  true,  true,    false, false]),
        ("GET", "/v1/segments".into(),        [true,  true,  true,    true,  true]),
        ("GET", "/v1/segments/vip/members".into(), [true, true, true, true,  true]),
        ("GET", "/v1/plugins".into(),         [false, false, true,    true,  true]),
        ("GET", "/v1/rules/graph".into(),     [false, false, true,    true,  true]),
        ("GET", "/v1/catalogue".into(),       [true,  true,  true,    true,  true]),
        ("GET", "/v1/profile-rules".into(),   [true,  true,  true,    true,  true]),
        ("GET", "/v1/outbox".into(),          [false, true,  true,    false, true]),
        ("GET", "/v1/redemptions".into(),     [true,  true,  true,    false, true]),
        ("GET", "/v1/review-items".into(),    [false, true,  true,    false, true]),
    ];
    table.extend(parts.map(|part| {
        (
            "GET",
            format!("{ana}{part}"),
            [true, true, true, false, true],
        )
    }));
    for (method, path, may) in &table {
        for ((role, key), may) in ROLES.iter().zip(&keys).zip(may) {
            let request = match *method {
                "GET" => get(path),
                "PATCH" => {
                    send(method, path, &json!({"given_name": "Ana"})).header("if-match", "*")
                }
                _ if path.ends_with("customers") => send(
                    method,
                    path,
                    &json!({"email": format!("{role}@example.com")}),
                ),
                _ => send(method, path, &event),
            };
            let answer = request.key(key).to(&server);
            match may {
                true => assert!(
                    (200..300).contains(&answer.status),
                    "{role} {method} {path}: {answer:?}"
                ),
                false => {
                    assert_eq!(
                        (answer.status, answer.problem()),
                        (403, "forbidden"),
                        "{role} {method} {path}"
                    );
                    let roles = answer.body["roles"].as_array().expect("it says who may");
                    assert!(!roles.contains(&json!(role)), "{answer:?}");
                }
            }
        }
    }
}

#[test]
fn without_a_key_there_is_nothing_but_what_is_about_the_server_itself() {
    let shop = Shop::new();
    let server = shop.serve();
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(get(path).to(&server).status, 200, "{path}");
    }
    let with = |name, value: &str| get("/v1/customers").header(name, value);
    let shown: Vec<(Request, &str)> = vec![
        (get("/v1/customers"), "no-key"),
        (with("authorization", "sk_pos_1"), "bad-authorization"),
        (
            with("authorization", &format!("Basic {}", server.keys.pos)),
            "bad-authorization",
        ),
        (
            get("/v1/customers").key("sk_pos_00000000000000000000000000000000"),
            "unknown-key",
        ),
        (get("/v1/customers").key(""), "bad-authorization"),
        (with("x-api-key", &server.keys.pos), "no-key"),
    ];
    for (request, code) in shown {
        let answer = request.to(&server);
        assert_eq!((answer.status, answer.problem()), (401, code), "{answer:?}");
        assert!(
            answer
                .header("www-authenticate")
                .is_some_and(|challenge| challenge.starts_with("Bearer")),
            "{answer:?}"
        );
    }
    let open = get(&format!("/v1/customers?key={}", server.keys.pos)).to(&server);
    assert_eq!(open.status, 401, "a key is not taken from a query");
}

#[test]
fn a_revoked_key_is_unknown() {
    let shop = Shop::new();
    let key = keys(&shop)[4].clone();
    let listed = stampcard_tests::binary::run(["key", "list", shop.text(), "--json"]).json();
    let number = listed
        .as_array()
        .expect("a list")
        .iter()
        .map(|key| key["number"].as_i64().expect("a number"))
        .max()
        .expect("keys");
    stampcard_tests::binary::run(["key", "revoke", shop.text(), &number.to_string()]).ok();
    let server = shop.serve();
    assert_eq!(
        get("/v1/customers").key(&key).to(&server).problem(),
        "unknown-key"
    );
    assert_eq!(
        get("/v1/customers")
            .key(&server.keys.read)
            .to(&server)
            .status,
        200,
        "the others go on"
    );
}
