//! What comes in and what is refused: every refusal with its code and its place.

use crate::{Bench, event, sale};
use serde_json::{Value, json};
use stampcard_pipeline::catalogue::{KINDS, SCHEMAS, Support, schema_of};
use stampcard_pipeline::limits;
use stampcard_pipeline::outcome::Status;
use stampcard_pipeline::shop::{Beyond, OfflinePolicy};

const NOON: &str = "2024-05-01T12:00:00-04:00";

fn refused(bench: &Bench, event: &Value) -> (String, String) {
    match bench.tell(event) {
        Ok(outcome) => panic!("{event} was taken: {outcome:?}"),
        Err(refusal) => (refusal.code().to_owned(), refusal.pointer().to_owned()),
    }
}

/// A sale with one thing changed in its data.
fn with(path: &str, value: Value) -> Value {
    let mut event = sale("1", NOON, "ana@example.com", 1_000);
    *pointer(&mut event, path) = value;
    event
}

fn pointer<'a>(event: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('/')
        .skip(1)
        .fold(event, |value, step| match step.parse::<usize>() {
            Ok(index) => &mut value[index],
            Err(_) => &mut value[step],
        })
}

#[test]
fn bad_events_are_refused_with_a_code_and_a_place() {
    let bench = Bench::new();
    let table: &[(&str, Value, &str, &str)] = &[
        ("/specversion", json!("0.3"), "malformed", "/specversion"),
        ("/id", json!(""), "malformed", "/id"),
        ("/id", json!(7), "malformed", "/id"),
        ("/source", json!("stampcard"), "reserved-source", "/source"),
        ("/time", json!("yesterday"), "malformed", "/time"),
        ("/time", json!("2024-05-01T12:00:00"), "malformed", "/time"),
        (
            "/time",
            json!("2030-01-03T00:00:00Z"),
            "from-the-future",
            "/time",
        ),
        (
            "/time",
            json!("1969-01-03T00:00:00Z"),
            "from-the-past",
            "/time",
        ),
        ("/type", json!("sale.complete"), "unknown-kind", "/type"),
        (
            "/type",
            json!("customer.archived"),
            "not-yet-supported",
            "/type",
        ),
        ("/type", json!("review.due"), "host-only", "/type"),
        ("/Tpye", json!("x"), "malformed", "/Tpye"),
        ("/data", json!([]), "malformed", "/data"),
        ("/data/totl", json!(5), "malformed", "/data/totl"),
        ("/data/total", json!(999), "sum", "/data/total"),
        ("/data/total", json!("1000"), "malformed", "/data/total"),
        ("/data/total", json!(10.0), "malformed", "/data/total"),
        (
            "/data/total",
            json!(9_007_199_254_740_992i64),
            "malformed",
            "/data/total",
        ),
        (
            "/data/lines/0/unit_price",
            json!(9_007_199_254_740_993i64),
            "malformed",
            "/data/lines/0/unit_price",
        ),
        (
            "/data/lines/0/quantity",
            json!("1.2345"),
            "quantity",
            "/data/lines/0/quantity",
        ),
        (
            "/data/lines/0/quantity",
            json!(-1),
            "quantity",
            "/data/lines/0/quantity",
        ),
        (
            "/data/lines/0",
            json!({"sku": "A"}),
            "line-without-price",
            "/data/lines/0/amount",
        ),
        (
            "/data/lines",
            json!(vec![json!({"amount": 0}); limits::LINES_MAX + 1]),
            "too-many",
            "/data/lines",
        ),
        (
            "/data/tenders",
            json!([{"kind": "cash", "amount": 999}]),
            "tenders",
            "/data/tenders",
        ),
        (
            "/data/currency",
            json!("EUR"),
            "foreign-currency",
            "/data/currency",
        ),
        (
            "/data/currency",
            json!("XYZ"),
            "unknown-currency",
            "/data/currency",
        ),
        ("/data/channel", json!("shop"), "malformed", "/data/channel"),
        (
            "/data/location",
            json!(null),
            "location-required",
            "/data/location",
        ),
        (
            "/data/location",
            json!("sohoo"),
            "unknown-location",
            "/data/location",
        ),
        (
            "/data/discounts",
            json!([{"amount": -5}]),
            "negative-amount",
            "/data/discounts/0/amount",
        ),
        (
            "/data/customer",
            json!({"email": "nobody"}),
            "not-an-email",
            "/data/customer/email",
        ),
        (
            "/data/customer",
            json!({"phone": "12"}),
            "not-a-phone",
            "/data/customer/phone",
        ),
        (
            "/data/customer",
            json!({"card": "4242 4242 4242 4242"}),
            "payment-card",
            "/data/customer/card",
        ),
        (
            "/data/customer",
            json!({"external": {"source": "pos", "id": "4111111111111111"}}),
            "payment-card",
            "/data/customer/external/0",
        ),
        (
            "/data/customer",
            json!({"id": "42"}),
            "unknown-customer",
            "/data/customer/id",
        ),
        (
            "/data/customer",
            json!({"mail": "a@example.com"}),
            "malformed",
            "/data/customer/mail",
        ),
    ];
    for (path, value, code, at) in table {
        assert_eq!(
            refused(&bench, &with(path, value.clone())),
            (code.to_string(), at.to_string()),
            "{path} = {value}"
        );
    }
    assert!(
        bench.store.inner.borrow().journal.is_empty(),
        "what is refused changes nothing"
    );
}

#[test]
fn device_and_staff_are_bounded_whatever_the_event() {
    let bench = Bench::new();
    let long = "x".repeat(limits::TEXT_BYTES_MAX + 1);
    let whose = json!({"customer": {"email": "ana@example.com"}});
    let of = json!({"sale": {"source": "till-1", "id": "1"}, "currency": "USD", "amount": 5});
    let told = [
        ("return.completed", &of, "staff"),
        ("return.completed", &of, "device"),
        ("customer.identified", &whose, "staff"),
        ("customer.identified", &whose, "device"),
        ("page.viewed", &whose, "device"),
        ("note.added", &whose, "device"),
    ];
    for (kind, data, field) in told {
        let mut told = event("1", kind, NOON, data.clone());
        told["data"][field] = json!(long);
        if kind == "note.added" {
            told["data"]["note"] = json!("Prefers linen.");
        }
        let expected = ("malformed".to_owned(), format!("/data/{field}"));
        assert_eq!(refused(&bench, &told), expected, "{kind}");
    }
}

#[test]
fn a_negative_total_is_sent_to_the_return() {
    let bench = Bench::new();
    let mut event = sale("1", NOON, "ana@example.com", 1_000);
    event["data"]["lines"][0]["amount"] = json!(-1_000);
    event["data"]["total"] = json!(-1_000);
    assert_eq!(refused(&bench, &event).0, "negative-total");
}

#[test]
fn sums_hold_with_every_part_of_a_sale() {
    let bench = Bench::new();
    let data = json!({
        "channel": "online", "currency": "USD", "customer": {"email": "ana@example.com"},
        "lines": [
            {"sku": "A", "quantity": 2, "unit_price": 1_000, "discount": 100},
            {"sku": "B", "quantity": "0.340", "unit_price": 995},
        ],
        "discounts": [{"code": "SPRING", "amount": 50}],
        "shipping": 500, "tip": 100, "rounding": -2, "tax": 180,
        "total": 1_900 + 338 - 50 + 500 + 100 - 2 + 180,
        "tenders": [{"kind": "card", "amount": 2_000}, {"kind": "points", "amount": 966}],
    });
    bench
        .tell(&event("1", "sale.completed", NOON, data))
        .unwrap();
    let inner = bench.store.inner.borrow();
    let sale = inner.journal[0].0.sale().unwrap();
    assert_eq!(
        sale.lines
            .iter()
            .map(|line| (line.amount, line.net, line.measured))
            .collect::<Vec<_>>(),
        [(1_900, 1_858, false), (338, 330, true)]
    );
}

#[test]
fn a_foreign_sale_is_converted_at_the_shops_rate_and_its_sums_still_hold() {
    let bench = Bench::with(|file| file.rates = [("EUR".into(), 1_085_000)].into());
    let mut event = sale("1", NOON, "ana@example.com", 1_001);
    event["data"]["currency"] = json!("EUR");
    event["data"]["lines"] =
        json!([{"unit_price": 333, "quantity": 3, "amount": 999}, {"amount": 2}]);
    let outcome = bench.tell(&event).unwrap();
    assert_eq!(outcome.points[0].amount, 10);
    let inner = bench.store.inner.borrow();
    let sale = inner.journal[0].0.sale().unwrap();
    assert_eq!(sale.total, 1_086);
    assert_eq!(
        sale.lines.iter().map(|line| line.amount).sum::<i64>() + sale.rounding,
        sale.total
    );
    assert_eq!(sale.converted.as_ref().unwrap().rate_millionths, 1_085_000);
}

#[test]
fn loyalty_cards_that_pass_luhn_by_chance_are_taken() {
    let bench = Bench::new();
    // An EAN-13 card and a store card of the range 6035.
    for (id, card) in [
        ("1", "2000000000008"),
        ("2", "6035711111111113"),
        ("3", "L-4242424242424242"),
    ] {
        let mut event = sale(id, NOON, "ana@example.com", 1_000);
        event["data"]["customer"] = json!({"card": card});
        bench.tell(&event).unwrap();
    }
}

#[test]
fn a_profile_needs_an_identifier_and_what_the_shop_requires() {
    let strict = |mode| {
        Bench::with(move |file| {
            file.profile.required = vec!["given_name".into(), "family_name".into()];
            file.profile.mode = mode;
        })
    };
    let created = |data: Value| event("1", "customer.created", NOON, data);
    let bench = strict(stampcard_pipeline::shop::ProfileMode::Strict);
    assert_eq!(
        refused(&bench, &created(json!({"customer": {"card": "L-1"}}))).0,
        "identifier-required"
    );
    let ana = json!({"customer": {"email": "ana@example.com"}, "given_name": "Ana"});
    assert_eq!(
        refused(&bench, &created(ana.clone())),
        ("field-required".into(), "/data/family_name".into())
    );
    let lenient = strict(stampcard_pipeline::shop::ProfileMode::Lenient);
    assert_eq!(
        lenient.tell(&created(ana)).unwrap().notes,
        ["incomplete: missing family_name"]
    );
    for (field, value, code) in [
        ("birthday", json!("1990-02-30"), "not-a-date"),
        ("birthday", json!("tomorrow"), "not-a-date"),
        ("home_location", json!("moon"), "unknown-location"),
        ("language", json!("english please"), "not-a-language"),
        ("tags", json!([" "]), "empty-tag"),
        (
            "consents",
            json!([{"purpose": "fax", "granted": true}]),
            "unknown-purpose",
        ),
    ] {
        let mut data = json!({"customer": {"email": "ana@example.com"}, "given_name": "Ana", "family_name": "Ruiz"});
        data[field] = value;
        assert_eq!(refused(&bench, &created(data)).0, code, "{field}");
    }
}

#[test]
fn every_example_of_the_catalogue_does_what_its_entry_says() {
    let offline = OfflinePolicy {
        points: 100,
        beyond: Beyond::Debt,
        ..OfflinePolicy::default()
    };
    for kind in KINDS {
        let bench = Bench::with(|file| file.redemption.offline = offline);
        let data: Value = serde_json::from_str(kind.example).unwrap();
        // Acts of staff are about somebody whom the shop knows.
        let ana = json!({"customer": {"email": "ana@example.com"}});
        bench
            .tell(&event("0", "customer.created", "2024-04-01T12:00:00Z", ana))
            .unwrap();
        let given =
            json!({"customer": {"email": "ana@example.com"}, "points": 500, "reason": "a start"});
        bench
            .tell(&event(
                "points",
                "points.adjusted",
                "2024-04-01T12:00:00Z",
                given,
            ))
            .unwrap();
        let data_names_two = data["keep"].is_string();
        let told = bench.tell(&event("1", kind.name, NOON, data));
        match (kind.support, told) {
            (Support::Processed, Ok(_)) => {}
            // Two customers are more than this shop has.
            (Support::Processed, Err(refusal)) if data_names_two => {
                assert_eq!(refusal.code(), "unknown-customer");
            }
            (Support::NotYet, Err(refusal)) => assert_eq!(refusal.code(), "not-yet-supported"),
            // It speaks of a redemption that this shop does not have.
            (Support::Processed, Err(refusal)) if kind.name.starts_with("redemption.") => {
                assert_eq!(refusal.code(), "unknown-redemption")
            }
            // Nor has it a referral programme.
            (Support::Processed, Err(refusal)) if kind.name == "referral.signup" => {
                assert_eq!(refusal.code(), "no-referral")
            }
            (Support::HostOnly, Err(refusal)) => assert_eq!(refusal.code(), "host-only"),
            (support, told) => panic!("{} is {support:?} and gave {told:?}", kind.name),
        }
        assert!(
            kind.meaning.ends_with('.') && !kind.producer.is_empty(),
            "{}",
            kind.name
        );
    }
}

#[test]
fn an_event_that_names_its_version_is_the_one_that_names_none_and_an_unknown_one_is_refused() {
    let told = |schema: Value| {
        let mut event = sale("1", NOON, "ana@example.com", 3_749);
        event["dataschema"] = schema;
        event
    };
    let schema = |kind: &str, version: &str| json!(schema_of(kind, version));
    let (unnamed, named) = (Bench::new(), Bench::new());
    let mut plain = told(Value::Null);
    plain.as_object_mut().unwrap().remove("dataschema");
    let before = unnamed.tell(&plain).unwrap();
    let now = named.tell(&told(schema("sale.completed", "v1"))).unwrap();
    assert_eq!(now, before, "both are read the same");
    assert_eq!(
        named.store.inner.borrow().journal[0].0,
        unnamed.store.inner.borrow().journal[0].0
    );
    // A till that was brought up to date in between sends again what it sent before.
    let again = unnamed.tell(&told(schema("sale.completed", "v1"))).unwrap();
    assert_eq!(again.status, Status::Duplicate);
    for (schema, code, words) in [
        (
            schema("sale.completed", "v2"),
            "unknown-data-version",
            "it reads v1 of sale.completed",
        ),
        (json!(SCHEMAS), "unknown-data-version", "it reads v1"),
        (
            schema("tag.added", "v1"),
            "data-of-another-kind",
            "\"tag.added\"",
        ),
        (json!(7), "malformed", "must be a string"),
    ] {
        let refusal = Bench::new().tell(&told(schema)).unwrap_err();
        assert_eq!((refusal.code(), refusal.pointer()), (code, "/dataschema"));
        assert!(refusal.to_string().contains(words), "{refusal}");
    }
    let own = told(json!("https://tills.example/sale-2024.json"));
    assert_eq!(Bench::new().tell(&own).unwrap().status, Status::Applied);
}

#[test]
fn nothing_personal_is_in_the_event_that_the_journal_keeps() {
    let bench = Bench::new();
    let data = json!({
        "customer": {"email": "ana.ruiz@example.com", "phone": "(212) 555-0100"},
        "given_name": "Ana", "family_name": "Ruiz", "address": "1 Main St", "birthday": "1990-05-01", "note": "Allergic to wool.",
    });
    bench
        .tell(&event("1", "customer.created", NOON, data))
        .unwrap();
    let inner = bench.store.inner.borrow();
    let kept = serde_json::to_string(&*inner.journal[0].0).unwrap()
        + &serde_json::to_string(&inner.journal[0].2).unwrap();
    for secret in ["ana.ruiz", "555", "Ruiz", "Main St", "1990", "wool"] {
        assert!(!kept.contains(secret), "{secret:?} is in {kept}");
    }
}

#[test]
fn an_event_over_the_limit_is_refused_before_it_is_read() {
    let bench = Bench::new();
    let mut event = sale("1", NOON, "ana@example.com", 1_000);
    event["data"]["note"] = json!("x".repeat(limits::EVENT_BYTES_MAX));
    assert_eq!(refused(&bench, &event).0, "too-large");
}
