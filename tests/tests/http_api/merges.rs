//! Two profiles that are one person, over HTTP: merged, taken apart, suggested, declined; and what a till
//! notices of it.

use crate::client::{Answer, ago, get, send};
use crate::staff::staff_key;
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, binary, sale};
use std::thread;

const ANA: &str = "ana@example.com";
const PHONE: &str = "+12125550100";

fn id_of(outcome: &Value) -> String {
    let id = outcome["customer"]["id"].as_str();
    id.unwrap_or_else(|| panic!("no customer in {outcome}"))
        .to_owned()
}

/// Somebody who bought by e-mail, and by phone, and is two customers.
fn two(server: &Server) -> (String, String) {
    let by = |id: &str, minutes: i64, customer: Value, total: i64| {
        let sold = json!({"customer": customer, "total": total});
        id_of(&server.outcome(&sale(id, &ago(minutes), sold)))
    };
    let keep = by("s1", 90, json!({"email": ANA}), 30_000);
    let other = by("s2", 80, json!({"phone": PHONE}), 40_000);
    (keep, other)
}

fn ask(server: &Server, key: &str, id: &str, what: &str, body: Value) -> Answer {
    send("POST", &format!("/v1/customers/{id}/{what}"), &body)
        .key(key)
        .to(server)
}

fn merge_of(other: &str) -> Value {
    json!({"other": other, "confirmed_on": "phone", "reason": "registered twice"})
}

fn balance(server: &Server, id: &str) -> i64 {
    server.get(&format!("/v1/customers/{id}"))["balance"]
        .as_i64()
        .expect("a balance")
}

/// The same shop, decided again from its journal.
fn replayed(shop: &Shop) {
    let copy = tempfile::tempdir().expect("a folder");
    let path = copy.path().join("copy");
    let text = path.to_str().expect("a path");
    shop.run("replay", &[text]).ok();
    binary::run(["check", text]).ok();
    for what in ["customers", "ledger", "events"] {
        let again = binary::run(["export", text, what]).ok();
        assert!(again == shop.export(what, &[]), "{what}");
    }
}

#[test]
fn a_merge_is_seen_before_it_is_made_and_every_old_name_leads_to_who_stays() {
    let shop = Shop::new();
    let mia = staff_key(&shop);
    let server = shop.serve();
    let (keep, other) = two(&server);
    let both = balance(&server, &keep) + balance(&server, &other);

    let mut wanted = merge_of(&other);
    wanted["dry_run"] = true.into();
    let seen = ask(&server, &mia, &keep, "merge", wanted).ok();
    assert_eq!(
        id_of(&server.get("/v1/events?source=till-1&id=s2")["outcome"]),
        other
    );
    let done = ask(&server, &mia, &keep, "merge", merge_of(&other)).ok();
    assert_eq!(done["customer"], seen["customer"]);
    assert!(
        done["customer"]["balance"].as_i64().expect("points") >= both,
        "{done}"
    );
    let moved: Vec<&Value> = done["points"].as_array().expect("entries").iter().collect();
    assert_eq!(
        (&moved[0]["kind"], &moved[0]["actor"]),
        (&json!("transfer"), &json!("mia"))
    );

    // The old id leads on, with all that hangs on it.
    for (path, place) in [
        (
            format!("/v1/customers/{other}"),
            format!("/v1/customers/{keep}"),
        ),
        (
            format!("/v1/customers/{other}/timeline?limit=1"),
            format!("/v1/customers/{keep}/timeline?limit=1"),
        ),
        (
            format!("/v1/customers/{other}/card"),
            format!("/v1/customers/{keep}/card"),
        ),
    ] {
        let led = get(&path).key(&server.keys.pos).to(&server);
        assert_eq!((led.status, led.problem()), (301, "merged"), "{path}");
        assert_eq!(led.header("location"), Some(place.as_str()));
        assert_eq!(led.body["merged_into"], keep);
    }
    let edit = send(
        "PATCH",
        &format!("/v1/customers/{other}"),
        &json!({"language": "es"}),
    )
    .header("if-match", "*")
    .key(&mia)
    .to(&server);
    assert_eq!((edit.status, edit.problem()), (308, "merged"));

    // So do the names by which people come, and the id in an event.
    let found = server.get("/v1/customers?phone=%2B12125550100");
    assert_eq!(found["items"][0]["id"], keep);
    assert_eq!(
        server.get("/v1/customers")["items"]
            .as_array()
            .expect("a list")
            .len(),
        1
    );
    let sold = json!({"customer": {"id": other}, "total": 1_000});
    assert_eq!(id_of(&server.outcome(&sale("s3", &ago(5), sold))), keep);
    let orders = server.get(&format!("/v1/customers/{keep}/orders"));
    assert_eq!(orders["items"].as_array().expect("a list").len(), 3);
    let told = server.get("/v1/events?source=till-1&id=s2");
    assert!(
        !told["explanations"].as_array().is_some_and(Vec::is_empty),
        "{told}"
    );

    // And it is taken back by what each event carried.
    let apart = json!({"other": other, "reason": "mother and daughter"});
    let undone = ask(&server, &mia, &keep, "unmerge", apart.clone()).ok();
    let notes = undone["notes"].to_string();
    assert!(
        notes.contains("till-1/s3"),
        "it named nobody but an old id: {notes}"
    );
    assert_eq!(server.get(&format!("/v1/customers/{other}"))["orders"], 1);
    assert_eq!(server.get(&format!("/v1/customers/{keep}"))["orders"], 2);
    let again = ask(&server, &mia, &keep, "unmerge", apart);
    assert_eq!((again.status, again.problem()), (409, "not-merged"));
    server.stop();
    shop.check();
    replayed(&shop);
}

#[test]
fn what_cannot_be_merged_is_told_at_its_place_and_by_whom_it_may_be_done() {
    let shop = Shop::new();
    let mia = staff_key(&shop);
    let server = shop.serve();
    let (keep, other) = two(&server);
    for key in [&server.keys.pos, &server.keys.read] {
        assert_eq!(
            ask(&server, key, &keep, "merge", merge_of(&other)).status,
            403
        );
    }
    let mut unsaid = merge_of(&other);
    unsaid
        .as_object_mut()
        .expect("a body")
        .remove("confirmed_on");
    #[rustfmt::skip]
    let table = [
        (keep.as_str(), merge_of(&keep),          422, "same-customer",    Some("/other")),
        (&keep,         merge_of("cus_nobody"),   422, "unknown-customer", Some("/other")),
        ("cus_nobody",  merge_of(&keep),          422, "unknown-customer", Some("/keep")),
        (&keep,         unsaid,                   400, "malformed",        None),
        (&keep,         json!({"other": other, "confirmed_on": "face", "reason": "r"}), 400, "malformed", Some("/confirmed_on")),
        (&keep,         json!({"other": other, "confirmed_on": "card", "reason": " "}), 422, "reason-required", Some("/reason")),
    ];
    for (id, body, status, code, at) in table {
        let answer = ask(&server, &mia, id, "merge", body.clone());
        assert_eq!(
            (answer.status, answer.problem()),
            (status, code),
            "{body}: {answer:?}"
        );
        assert_eq!(answer.body["pointer"].as_str(), at, "{body}");
    }
    ask(&server, &mia, &keep, "merge", merge_of(&other)).ok();
    for (id, gone, code) in [
        (&keep, &other, "already-merged"),
        (&other, &keep, "already-merged"),
    ] {
        let answer = ask(&server, &mia, id, "merge", merge_of(gone));
        assert_eq!((answer.status, answer.problem()), (409, code));
    }
    server.stop();
    shop.check();
}

#[test]
fn a_merge_while_both_are_buying_loses_nothing() {
    const SALES: i64 = 60;
    let shop = Shop::new();
    let mia = staff_key(&shop);
    let server = shop.serve();
    let (keep, other) = two(&server);
    let buying = |name: &'static str, customer: Value| {
        let client = server.client();
        thread::spawn(move || {
            for number in 0..SALES {
                let sold = json!({"customer": customer, "total": 1_000});
                let told = sale(&format!("{name}-{number}"), &ago(60 - number % 50), sold);
                let answer = client.send(&told).expect("an answer");
                assert_eq!(answer.status, 200, "{}", answer.body);
            }
        })
    };
    let buyers = [
        buying("e", json!({"email": ANA})),
        buying("p", json!({"phone": PHONE})),
    ];
    let apart = json!({"other": other, "reason": "a mistake"});
    for round in 0..5 {
        ask(&server, &mia, &keep, "merge", merge_of(&other)).ok();
        if round < 4 {
            ask(&server, &mia, &keep, "unmerge", apart.clone()).ok();
        }
    }
    for buyer in buyers {
        buyer.join().expect("a buyer");
    }
    let customer = server.get(&format!("/v1/customers/{keep}"));
    assert_eq!(customer["orders"], 2 * SALES + 2);
    assert_eq!(customer["spend"], 70_000 + 2 * SALES * 1_000);
    server.stop();
    shop.check();
    replayed(&shop);
}

fn suggested(server: &Server) -> Vec<(String, String)> {
    let page = server.get("/v1/merge-suggestions");
    let items = page["items"].as_array().expect("a list").iter();
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    items
        .map(|it| (text(&it["keep"]), text(&it["other"])))
        .collect()
}

#[test]
fn an_event_that_names_two_customers_suggests_them_once_until_somebody_decides() {
    let shop = Shop::new();
    let mia = staff_key(&shop);
    let server = shop.serve();
    let (keep, other) = two(&server);
    let both = |id: &str, minutes: i64| {
        let sold = json!({"customer": {"email": ANA, "phone": PHONE, "verified": ["email", "phone"]}, "total": 1_000});
        id_of(&server.outcome(&sale(id, &ago(minutes), sold)))
    };
    assert_eq!(
        (both("b1", 30), both("b2", 29)),
        (keep.clone(), keep.clone())
    );
    assert_eq!(
        suggested(&server),
        [(keep.clone(), other.clone())],
        "auto_merge is off"
    );
    let no = json!({"other": other, "reason": "father and son"});
    ask(&server, &mia, &keep, "decline-merge", no).ok();
    assert_eq!(suggested(&server), []);
    both("b3", 28);
    assert_eq!(suggested(&server), [], "nobody is asked twice");
    // Staff may still think better of it.
    ask(&server, &mia, &keep, "merge", merge_of(&other)).ok();
    assert_eq!(server.get(&format!("/v1/customers/{keep}"))["orders"], 5);
    server.stop();
    shop.check();
    replayed(&shop);
}

#[test]
fn profiles_that_come_to_share_a_verified_email_are_one_before_the_till_is_answered() {
    let shop = Shop::new();
    shop.lay_over("merchant.toml", "[policies]\nauto_merge = \"exact_email\"");
    let mia = staff_key(&shop);
    let server = shop.serve();
    let (keep, other) = two(&server);
    let told = |id: &str, minutes: i64, verified: Value| {
        let customer = json!({"email": ANA, "phone": PHONE, "verified": verified});
        sale(
            id,
            &ago(minutes),
            json!({"customer": customer, "total": 1_000}),
        )
    };
    server.outcome(&told("v0", 31, json!(["phone"])));
    server.outcome(&told("v1", 30, json!(["email"])));
    assert_eq!(
        suggested(&server).len(),
        1,
        "nobody gets the points of a number that they only say to be theirs"
    );
    let sold = told("v2", 29, json!(["email", "phone"]));
    let seen = server.post_as(&mia, "/v1/preview", &sold);
    assert!(
        seen.body["notes"].to_string().contains(&other),
        "{}",
        seen.body
    );
    let outcome = server.outcome(&sold);
    let customer = server.get(&format!("/v1/customers/{keep}"));
    assert_eq!(customer["orders"], 5);
    assert_eq!(
        outcome["customer"]["balance"], customer["balance"],
        "with the points of both"
    );
    assert_eq!(suggested(&server), []);
    let timeline = server
        .get(&format!("/v1/customers/{keep}/timeline"))
        .to_string();
    assert!(timeline.contains("customer.merged"), "{timeline}");
    // Taken back, it stays so.
    let no = json!({"other": other, "reason": "father and son"});
    ask(&server, &mia, &keep, "unmerge", no).ok();
    assert_eq!(
        id_of(&server.outcome(&told("v3", 5, json!(["email", "phone"])))),
        keep
    );
    assert_eq!(server.get(&format!("/v1/customers/{other}"))["orders"], 1);
    server.stop();
    shop.check();
    replayed(&shop);
}

#[test]
fn two_accounts_with_an_email_each_are_not_one_because_of_a_phone() {
    let shop = Shop::new();
    shop.lay_over("merchant.toml", "[policies]\nauto_merge = \"exact_phone\"");
    let server = shop.serve();
    let made = |id: &str, customer: Value| {
        id_of(&server.outcome(&event(
            "customer.created",
            id,
            &ago(60),
            json!({"customer": customer}),
        )))
    };
    let ana = made("c1", json!({"email": ANA, "phone": PHONE}));
    let bo = made("c2", json!({"email": "bo@example.com"}));
    let card = made("c3", json!({"email": "x@example.com", "card": "L-1"}));
    let by = |id: &str, customer: Value| {
        id_of(&server.outcome(&sale(
            id,
            &ago(20),
            json!({"customer": customer, "total": 1_000}),
        )))
    };
    by(
        "s1",
        json!({"email": "bo@example.com", "phone": PHONE, "verified": ["phone", "email"]}),
    );
    assert_eq!(suggested(&server), [(bo, ana.clone())]);
    by(
        "s2",
        json!({"phone": PHONE, "card": "L-1", "verified": ["phone", "card"]}),
    );
    assert_eq!(suggested(&server).len(), 2);
    assert_eq!(server.get(&format!("/v1/customers/{card}"))["orders"], 0);
    // A profile that has nothing but a card is whoever has the phone.
    let loose = json!({"customer": {"card": "L-2"}, "total": 500});
    let loose = id_of(&server.outcome(&sale("s3", &ago(15), loose)));
    assert_eq!(
        by(
            "s4",
            json!({"phone": PHONE, "card": "L-2", "verified": ["phone", "card"]})
        ),
        ana
    );
    let gone = get(&format!("/v1/customers/{loose}"))
        .key(&server.keys.pos)
        .to(&server);
    assert_eq!(gone.status, 301);
    server.stop();
    shop.check();
}
