//! Bad input: each gets a clear, typed refusal that names what is wrong and where, changes nothing
//! and loses nothing.

use crate::client::{Answer, ago, get, send, send_as};
use serde_json::{Value, json};
use stampcard_tests::{Server, Shop, sale};

/// A sale that is right, with one thing changed at a JSON pointer; `null` takes the thing away.
fn broken(pointer: &str, value: Value) -> Value {
    let mut event = sale(
        "bad",
        &ago(5),
        json!({
            "customer": {"email": "ana@example.com"}, "total": 1_000,
            "lines": [{"sku": "A", "quantity": 2, "unit_price": 500}],
            "tenders": [{"kind": "cash", "amount": 1_000}],
        }),
    );
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = event.pointer_mut(parent).expect("the place is there");
    match (parent, value) {
        (Value::Object(fields), Value::Null) => drop(fields.remove(key)),
        (Value::Object(fields), value) => drop(fields.insert(key.to_owned(), value)),
        (other, value) => other[key.parse::<usize>().expect("an index")] = value,
    }
    event
}

fn count(server: &Server) -> (Value, usize) {
    let customers = server.get("/v1/customers?limit=500");
    let metrics = server.get("/metrics");
    let journal = metrics
        .as_str()
        .expect("text")
        .lines()
        .find(|line| line.starts_with("stampcard_journal_rows_total"))
        .map(str::to_owned);
    (
        json!(journal),
        customers["items"].as_array().expect("a list").len(),
    )
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, pointer: Option<&str>) {
    assert_eq!(
        (answer.status, answer.problem()),
        (status, code),
        "{answer:?}"
    );
    assert_eq!(answer.body["pointer"].as_str(), pointer, "{answer:?}");
}

#[test]
fn a_bad_event_is_refused_by_name_and_place_and_changes_nothing() {
    let shop = Shop::new();
    let server = shop.serve();
    let before = count(&server);
    let long = "x".repeat(600);
    let tomorrow = ago(-3 * 24 * 60);
    #[rustfmt::skip]
    let table: Vec<(&str, Value, u16, &str, &str)> = vec![
        // The envelope.
        ("/specversion", json!("0.3"), 400, "malformed", "/specversion"),
        ("/specversion", Value::Null, 400, "malformed", "/specversion"),
        ("/id", Value::Null, 400, "malformed", "/id"),
        ("/id", json!(""), 400, "malformed", "/id"),
        ("/id", json!(7), 400, "malformed", "/id"),
        ("/id", json!(long), 400, "malformed", "/id"),
        ("/source", json!("stampcard"), 422, "reserved-source", "/source"),
        ("/type", json!("sale.complete"), 422, "unknown-kind", "/type"),
        ("/type", json!("customer.archived"), 422, "not-yet-supported", "/type"),
        ("/type", json!("points.adjusted"), 403, "staff-only", "/type"),
        ("/type", json!("review.due"), 422, "host-only", "/type"),
        ("/time", json!("yesterday"), 400, "malformed", "/time"),
        ("/time", json!("2024-05-01T10:00:00"), 400, "malformed", "/time"),
        ("/time", json!(tomorrow), 422, "from-the-future", "/time"),
        ("/datacontenttype", json!("text/xml"), 400, "malformed", "/datacontenttype"),
        ("/dataschema", json!("https://stampcard.dev/schemas/sale.completed/v9"), 422, "unknown-data-version", "/dataschema"),
        ("/Subject", json!("x"), 400, "malformed", "/Subject"),
        ("/data", json!([]), 400, "malformed", "/data"),
        ("/data", Value::Null, 400, "malformed", "/data"),
        // The sale.
        ("/data/total", json!(999), 422, "sum", "/data/total"),
        ("/data/total", json!("1000"), 400, "malformed", "/data/total"),
        ("/data/total", json!(1000.5), 400, "malformed", "/data/total"),
        ("/data/total", json!(9_007_199_254_740_993_i64), 400, "malformed", "/data/total"),
        ("/data/tenders/0/amount", json!(1), 422, "tenders", "/data/tenders"),
        ("/data/currency", json!("EUR"), 422, "foreign-currency", "/data/currency"),
        ("/data/currency", json!("USX"), 422, "unknown-currency", "/data/currency"),
        ("/data/channel", json!("shop"), 400, "malformed", "/data/channel"),
        ("/data/location", json!("sohoo"), 422, "unknown-location", "/data/location"),
        ("/data/location", Value::Null, 422, "location-required", "/data/location"),
        ("/data/lines/0/quantity", json!(-1), 422, "quantity", "/data/lines/0/quantity"),
        ("/data/lines/0/quantity", json!("1.2345"), 422, "quantity", "/data/lines/0/quantity"),
        ("/data/lines/0/unit_price", Value::Null, 422, "line-without-price", "/data/lines/0/amount"),
        ("/data/lines/0/colour", json!("red"), 400, "malformed", "/data/lines/0/colour"),
        ("/data/lines", Value::Null, 400, "malformed", "/data"),
        ("/data/balance", json!(5_000), 400, "malformed", "/data/balance"),
        // The customer.
        ("/data/customer/email", json!("ana.example.com"), 422, "not-an-email", "/data/customer/email"),
        ("/data/customer/phone", json!("12"), 422, "not-a-phone", "/data/customer/phone"),
        ("/data/customer/card", json!("4242 4242 4242 4242"), 422, "payment-card", "/data/customer/card"),
        ("/data/customer/id", json!("ana"), 422, "unknown-customer", "/data/customer/id"),
        ("/data/customer/name", json!("Ana"), 400, "malformed", "/data/customer/name"),
    ];
    for (pointer, value, status, code, named) in table {
        let event = broken(pointer, value);
        let answer = send("POST", "/v1/events", &event)
            .key(&server.keys.pos)
            .to(&server);
        assert_eq!(
            (answer.status, answer.problem()),
            (status, code),
            "{event}\n{answer:?}"
        );
        assert_eq!(answer.body["pointer"], named, "{event}\n{answer:?}");
        let preview = send("POST", "/v1/preview", &event)
            .key(&server.keys.pos)
            .to(&server);
        assert_eq!(
            (preview.status, preview.problem()),
            (status, code),
            "a preview refuses what an event would be refused for"
        );
    }
    assert_eq!(count(&server), before, "a refused event leaves nothing");
    let right = sale(
        "bad",
        &ago(5),
        json!({"customer": {"email": "ana@example.com"}, "total": 1_000}),
    );
    assert_eq!(
        server.outcome(&right)["status"],
        "applied",
        "its name is still free"
    );
}

#[test]
fn what_a_card_number_was_is_neither_told_nor_logged() {
    let shop = Shop::new();
    let server = shop.serve();
    let event = broken("/data/customer/card", json!("4242424242424242"));
    let answer = send("POST", "/v1/events", &event)
        .key(&server.keys.pos)
        .to(&server);
    refused(&answer, 422, "payment-card", Some("/data/customer/card"));
    assert!(!answer.body.to_string().contains("424242"));
    let search = get("/v1/customers?card=4242424242424242")
        .key(&server.keys.pos)
        .to(&server);
    assert_eq!((search.status, search.problem()), (400, "payment-card"));
    assert!(!search.body.to_string().contains("424242"));
    server.outcome(&sale("1", &ago(5), json!({"customer": {"email": "secret@example.com", "phone": "+12125550177"}, "total": 1_000})));
    get("/v1/customers?email=secret@example.com")
        .key(&server.keys.pos)
        .to(&server)
        .ok();
    let log = server.log();
    for private in ["424242", "secret@example.com", "secret%40", "2125550177"] {
        assert!(!log.contains(private), "the log has {private}:\n{log}");
    }
    assert!(
        log.contains("/v1/customers"),
        "the log names routes:\n{log}"
    );
}

#[test]
fn a_body_that_cannot_be_read_is_refused() {
    let shop = Shop::new();
    let server = shop.serve();
    let key = &server.keys.pos;
    let right = sale("1", &ago(5), json!({"total": 1_000})).to_string();
    let big = format!("{{\"pad\":\"{}\"}}", "x".repeat(1 << 20));
    let huge = format!("[{}]", vec!["1"; (8 << 20) / 2 + 8].join(","));
    let many = format!("[{}]", vec!["{}"; 1_001].join(","));
    #[rustfmt::skip]
    let table: Vec<(&str, &[u8], u16, &str)> = vec![
        ("application/json", b"", 400, "malformed"),
        ("application/json", b"{", 400, "malformed"),
        ("application/json", b"nonsense", 400, "malformed"),
        ("application/json", b"17", 400, "malformed"),
        ("application/json", b"\"\"", 400, "malformed"),
        ("application/json", b"{\"id\": \"\xff\"}", 400, "malformed"),
        ("application/json", b"[{},", 400, "malformed"),
        ("application/json", big.as_bytes(), 413, "too-large"),
        ("application/json", huge.as_bytes(), 413, "too-large"),
        ("application/json", many.as_bytes(), 413, "too-many-events"),
        ("application/cloudevents-batch+json", right.as_bytes(), 400, "malformed"),
        ("application/cloudevents+json", b"[]", 400, "malformed"),
        ("text/plain", right.as_bytes(), 415, "unsupported-media-type"),
        ("application/xml", right.as_bytes(), 415, "unsupported-media-type"),
        ("application/json; charset=latin1", right.as_bytes(), 415, "unsupported-media-type"),
    ];
    for (content, body, status, code) in table {
        let answer = send_as("POST", "/v1/events", content, body)
            .key(key)
            .to(&server);
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
        assert_eq!(
            (answer.status, answer.problem()),
            (status, code),
            "{content}: {shown}\n{answer:?}"
        );
    }
    let zipped = send_as("POST", "/v1/events", "application/json", right.as_bytes())
        .key(key)
        .header("content-encoding", "gzip");
    assert_eq!(zipped.to(&server).problem(), "unsupported-media-type");
    let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let answer = send_as("POST", "/v1/events", "application/json", deep.as_bytes())
        .key(key)
        .to(&server);
    assert_eq!((answer.status, answer.problem()), (400, "malformed"));
}

#[test]
fn one_bad_event_of_a_batch_takes_nothing_from_the_others() {
    let shop = Shop::new();
    let server = shop.serve();
    let good = |id: &str| {
        sale(
            id,
            &ago(5),
            json!({"customer": {"email": "ana@example.com"}, "total": 1_000}),
        )
    };
    let mut wrong = good("2");
    wrong["data"]["total"] = json!(7);
    let first = good("1");
    let batch = json!([first, wrong, 17, first, good("3")]);
    let answer = send("POST", "/v1/events", &batch)
        .key(&server.keys.pos)
        .to(&server);
    assert_eq!(answer.status, 200, "{answer:?}");
    let items = answer.body.as_array().expect("a list");
    let said: Vec<(&Value, &Value)> = items
        .iter()
        .map(|item| (&item["status"], &item["code"]))
        .collect();
    let (applied, duplicate) = (json!("applied"), json!("duplicate"));
    assert_eq!(
        said,
        [
            (&applied, &Value::Null),
            (&json!(422), &json!("sum")),
            (&json!(400), &json!("malformed")),
            (&duplicate, &Value::Null),
            (&applied, &Value::Null)
        ]
    );
    assert_eq!(items[1]["pointer"], "/data/total");
    assert_eq!(items[4]["customer"]["balance"], 20);
    let empty = send("POST", "/v1/events", &json!([]))
        .key(&server.keys.pos)
        .to(&server);
    assert_eq!((empty.status, empty.body), (200, json!([])));
}

#[test]
fn the_same_name_with_another_body_is_a_conflict_and_the_first_stands() {
    let shop = Shop::new();
    let server = shop.serve();
    let first = sale(
        "1",
        &ago(5),
        json!({"customer": {"email": "ana@example.com"}, "total": 1_000}),
    );
    let outcome = server.outcome(&first);
    let mut other = first.clone();
    other["data"]["total"] = json!(2_000);
    other["data"]["lines"][0]["amount"] = json!(2_000);
    refused(
        &send("POST", "/v1/events", &other)
            .key(&server.keys.pos)
            .to(&server),
        409,
        "conflict",
        Some("/id"),
    );
    // The same body in another order of fields is the same event.
    let shuffled: Value = serde_json::from_str(&format!("{{\"data\":{},\"id\":\"1\",\"time\":{},\"type\":\"sale.completed\",\"source\":\"till-1\",\"specversion\":\"1.0\"}}", first["data"], first["time"])).expect("JSON");
    let again = server.outcome(&shuffled);
    assert_eq!(again["status"], "duplicate");
    assert_eq!(
        (&again["points"], &again["customer"]),
        (&outcome["points"], &outcome["customer"])
    );
}

#[test]
fn a_bad_query_is_refused_by_the_name_of_its_parameter() {
    let shop = Shop::new();
    let server = shop.serve();
    #[rustfmt::skip]
    let table = [
        ("/v1/customers?emial=ana@example.com", "bad-query", "emial"),
        ("/v1/customers?email=a@b.co&phone=2125550100", "bad-query", "phone"),
        ("/v1/customers?tag=a&tag=b", "bad-query", "tag"),
        ("/v1/customers?email=nobody", "not-an-email", "email"),
        ("/v1/customers?phone=12", "not-a-phone", "phone"),
        ("/v1/customers?limit=0", "bad-query", "limit"),
        ("/v1/customers?limit=501", "bad-query", "limit"),
        ("/v1/customers?cursor=nonsense", "bad-cursor", "cursor"),
        ("/v1/outbox?page=2", "bad-query", "page"),
    ];
    for (path, code, parameter) in table {
        let answer = get(path).key(&server.keys.operator).to(&server);
        assert_eq!((answer.status, answer.problem()), (400, code), "{path}");
        assert_eq!(answer.body["parameter"], parameter, "{path}: {answer:?}");
    }
    let misspelt = get("/v1/customers?emial=ana@example.com")
        .key(&server.keys.operator)
        .to(&server);
    assert!(
        misspelt.body["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("did you mean email?")),
        "{misspelt:?}"
    );
    for path in [
        "/v1/customers?limit=many",
        "/v1/events",
        "/v1/events?source=till-1",
        "/v1/segments/vip/members?as_of=yesterday",
    ] {
        let answer = get(path).key(&server.keys.operator).to(&server);
        assert_eq!(
            (answer.status, answer.problem()),
            (400, "bad-query"),
            "{path}: {answer:?}"
        );
    }
}

#[test]
fn what_is_not_there_is_told_as_a_problem() {
    let shop = Shop::new();
    let server = shop.serve();
    for (path, code) in [
        ("/v1/nothing", "no-such-path"),
        ("/", "no-such-path"),
        ("/v1/customers/cus_nobody", "no-such-customer"),
        ("/v1/customers/cus_nobody/card", "no-such-customer"),
        ("/v1/customers/cus_nobody/timeline", "no-such-customer"),
        ("/v1/events?source=till-1&id=none", "no-such-event"),
        ("/v1/segments/nonsense/members", "no-such-segment"),
    ] {
        let answer = get(path).key(&server.keys.operator).to(&server);
        assert_eq!((answer.status, answer.problem()), (404, code), "{path}");
    }
    for (method, path, allowed) in [
        ("DELETE", "/v1/events", "GET,HEAD,POST"),
        ("PUT", "/v1/customers", "GET,HEAD,POST"),
        ("POST", "/v1/plugins", "GET,HEAD"),
        ("BREW", "/healthz", "GET,HEAD"),
    ] {
        let answer = send(method, path, &json!({}))
            .key(&server.keys.operator)
            .to(&server);
        assert_eq!(
            (answer.status, answer.problem()),
            (405, "method-not-allowed"),
            "{method} {path}"
        );
        let mut allow: Vec<&str> = answer
            .header("allow")
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .collect();
        allow.sort_unstable();
        assert_eq!(allow.join(","), allowed, "{method} {path}");
    }
}
