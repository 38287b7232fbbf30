//! Logs are lines for machines, and nobody is in them.

use jiff::Timestamp;
use serde_json::{Value, json};
use stampcard_tests::{Server, Shop, sale};
use std::ffi::OsStr;

/// The loudest log that there is, over everything that says something about a person.
#[test]
fn the_loudest_log_is_json_and_names_nobody() {
    let shop = Shop::new();
    let loud = [("STAMPCARD_LOG", OsStr::new("trace"))];
    let server = Server::start_in(&shop.dir, &shop.keys, &["--log-format", "json"], &loud);
    let now = Timestamp::now().to_string();
    let person = json!({
        "customer": {"email": "ana.secret@example.com", "phone": "+12125550177", "card": "CARD-77-SECRET"},
        "total": 60_000, "note": "likes the Quetzal blend",
    });
    let outcome = server.outcome(&sale("1", &now, person.clone()));
    let id = outcome["customer"]["id"]
        .as_str()
        .expect("a customer")
        .to_owned();
    let named = json!({
        "specversion": "1.0", "source": "till-1", "id": "2", "type": "customer.updated", "time": now,
        "data": {"customer": {"email": "ana.secret@example.com"}, "given_name": "Anastasia", "family_name": "Verbena"},
    });
    let answer = server.send(&named);
    assert_eq!(answer.status, 200, "{}", answer.body);
    // What is refused says something about a person, too.
    let mut wrong = sale("3", &now, person.clone());
    wrong["data"]["total"] = json!(1);
    assert_eq!(server.send(&wrong).status, 422);
    let mut other = sale("1", &now, person);
    other["data"]["total"] = json!(70_000);
    other["data"]["lines"][0]["amount"] = json!(70_000);
    assert_eq!(server.send(&other).status, 409);
    for path in [
        "/v1/customers?email=ana.secret%40example.com".to_owned(),
        "/v1/customers?text=Anastasia".to_owned(),
        format!("/v1/customers/{id}"),
        format!("/v1/customers/{id}/timeline"),
    ] {
        assert!(
            server.get_as(&server.keys.operator, &path).status < 500,
            "{path}"
        );
    }
    let log = server.log();
    let keys = [
        shop.keys.operator.clone(),
        shop.keys.pos.clone(),
        shop.keys.read.clone(),
    ];
    server.stop();
    let secrets = [
        "ana.secret",
        "2125550177",
        "CARD-77",
        "Quetzal",
        "Anastasia",
        "anastasia",
        "Verbena",
    ];
    for secret in secrets.into_iter().chain(keys.iter().map(String::as_str)) {
        assert!(!log.contains(secret), "the log has {secret:?}:\n{log}");
    }
    let mut lines = 0;
    for line in log.lines() {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for key in ["timestamp", "level", "target", "fields"] {
            assert!(!line[key].is_null(), "no {key} in {line}");
        }
        lines += 1;
    }
    assert!(lines > 20, "the log is not loud:\n{log}");
}
