//! What staff does to a customer: points, tiers, notes; who may, and where it shows.

use crate::client::{Answer, ago, get, send};
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, binary, sale};

/// A key of staff that people call Mia.
pub fn staff_key(shop: &Shop) -> String {
    let ran = binary::run([
        "key",
        "add",
        shop.text(),
        "staff",
        "--label",
        "mia",
        "--json",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.json()["key"].as_str().expect("a key").to_owned()
}

pub fn tell(server: &Server, key: &str, event: &Value) -> Answer {
    send("POST", "/v1/events", event).key(key).to(server)
}

/// Ana, who spent 100.00, and her path.
pub fn ana(server: &Server) -> String {
    let sold = json!({"customer": {"email": "ana@example.com"}, "total": 10_000});
    let outcome = server.outcome(&sale("s1", &ago(60), sold));
    let id = outcome["customer"]["id"].as_str().expect("an id");
    format!("/v1/customers/{id}")
}

fn act(kind: &str, id: &str, minutes: i64, mut data: Value) -> Value {
    data["customer"] = json!({"email": "ana@example.com"});
    event(kind, id, &ago(minutes), data)
}

#[test]
fn each_act_is_for_those_whom_the_table_says_and_is_done_by_the_key_that_sent_it() {
    let shop = Shop::new();
    let staff = staff_key(&shop);
    let server = shop.serve();
    ana(&server);
    let keys = [
        &server.keys.pos,
        &staff,
        &server.keys.operator,
        &server.keys.read,
    ];
    #[rustfmt::skip]
    let table = [
        //                                                                  pos    staff  operator read
        ("points.adjusted", json!({"points": 5, "reason": "goodwill"}),    [false, true,  true,    false]),
        ("credit.adjusted", json!({"amount": 5, "reason": "goodwill"}),    [false, true,  true,    false]),
        ("tier.overridden", json!({"tier": "gold", "reason": "press"}),    [false, true,  true,    false]),
        ("points.imported", json!({"points": 5, "reason": "from before"}), [false, true,  true,    false]),
        ("tags.assigned",   json!({"tag": "VIP", "action": "add", "customers": 0}), [false, true, true, false]),
        ("tag.added",       json!({"tag": "press"}),                       [false, true,  true,    false]),
        ("note.added",      json!({"note": "Prefers linen."}),             [true,  true,  true,    false]),
    ];
    for (kind, data, may) in table {
        for (index, (key, may)) in keys.iter().zip(may).enumerate() {
            let mut told = act(kind, &format!("{kind}-{index}"), 10, data.clone());
            if kind == "tags.assigned" {
                told["data"]
                    .as_object_mut()
                    .expect("data")
                    .remove("customer");
            }
            let answer = tell(&server, key, &told);
            let status = if may { 200 } else { 403 };
            assert_eq!(answer.status, status, "{kind} with key {index}: {answer:?}");
            if !may {
                assert!(["forbidden", "staff-only", "tag-not-open"].contains(&answer.problem()));
            }
            let preview = send("POST", "/v1/preview", &told).key(key).to(&server);
            assert_eq!(preview.status, status, "a preview lets nobody do more");
        }
    }
}

#[test]
fn a_shop_may_let_its_tills_give_points() {
    let shop = Shop::new();
    shop.lay_over(
        "merchant.toml",
        "[policies]\npos_may = [\"points.adjusted\"]",
    );
    let server = shop.serve();
    ana(&server);
    let given = act(
        "points.adjusted",
        "a",
        10,
        json!({"points": 50, "reason": "goodwill"}),
    );
    let outcome = server.outcome(&given);
    assert_eq!(
        outcome["points"][0]["actor"], "pos",
        "init calls its keys by their roles"
    );
}

#[test]
fn points_of_staff_show_in_the_ledger_the_timeline_and_the_explanation() {
    let shop = Shop::new();
    let staff = staff_key(&shop);
    let server = shop.serve();
    let path = ana(&server);
    let given = act(
        "points.adjusted",
        "a",
        20,
        json!({"points": 50, "reason": "a broken zip"}),
    );
    let outcome = tell(&server, &staff, &given).ok();
    let entry = &outcome["points"][0];
    assert_eq!(
        [
            &entry["amount"],
            &entry["kind"],
            &entry["actor"],
            &entry["balance_after"]
        ],
        [&json!(50), &json!("adjustment"), &json!("mia"), &json!(150)]
    );
    assert_eq!(entry.get("plugin"), None);
    let again = tell(&server, &staff, &given).ok();
    assert_eq!(
        (&again["status"], &again["points"]),
        (&json!("duplicate"), &outcome["points"])
    );

    let too_many = act(
        "points.adjusted",
        "b",
        15,
        json!({"points": -151, "reason": "a mistake"}),
    );
    let refused = tell(&server, &staff, &too_many);
    assert_eq!(
        (refused.status, refused.problem()),
        (422, "not-enough-points")
    );
    let taken = act(
        "points.adjusted",
        "c",
        10,
        json!({"points": -150, "reason": "a mistake", "actor": "Leo"}),
    );
    assert_eq!(tell(&server, &staff, &taken).ok()["customer"]["balance"], 0);

    let ledger = server.get(&format!("{path}/ledger"));
    let shown: Vec<_> = ledger["items"].as_array().expect("a list").iter().collect();
    let fields = |field: &str| shown.iter().map(|it| it[field].clone()).collect::<Vec<_>>();
    assert_eq!(fields("amount"), [-150, 50, 100]);
    assert_eq!(fields("actor"), [json!("Leo"), json!("mia"), Value::Null]);
    assert_eq!(fields("reason")[..2], ["a mistake", "a broken zip"]);
    assert_eq!(
        (&shown[0]["plugin"], &shown[0]["lot"]),
        (&Value::Null, &Value::Null)
    );
    let timeline = server.get(&format!("{path}/timeline"));
    let item = &timeline["items"][1]["event"];
    assert_eq!(
        [
            &item["type"],
            &item["staff"],
            &item["data"]["points"],
            &item["data"]["reason"]
        ],
        [
            &json!("points.adjusted"),
            &json!("mia"),
            &json!(50),
            &json!("a broken zip")
        ]
    );
    assert_eq!(
        server.get(&path)["earned"],
        100,
        "nobody earned what staff gave"
    );
    server.stop();
    let told = shop.run("explain", &["till-1", "a"]).ok();
    for words in ["by mia: a broken zip", "+50 points (adjustment", "by mia"] {
        assert!(told.contains(words), "{words:?} is not in\n{told}");
    }
    let told = shop.run("explain", &["--customer", "ana@example.com"]).ok();
    assert!(told.contains("Leo") && told.contains("-150"), "{told}");
    shop.check();
}

#[test]
fn a_tier_of_staff_is_shown_with_who_holds_it_and_survives_what_the_rules_say() {
    let shop = Shop::new();
    let staff = staff_key(&shop);
    let server = shop.serve();
    let path = ana(&server);
    let until = "2099-01-01T00:00:00Z";
    let placed = act(
        "tier.overridden",
        "a",
        20,
        json!({"tier": "gold", "reason": "press", "until": until}),
    );
    assert_eq!(tell(&server, &staff, &placed).ok()["tier"]["to"], "gold");
    // The next look at the till, as the event of being recognised has it.
    let known = act(
        "customer.identified",
        "b",
        10,
        json!({"channel": "pos", "location": "soho"}),
    );
    assert_eq!(server.outcome(&known)["customer"]["tier"], "gold");
    let standing = &server.get(&path)["standing"];
    assert_eq!(
        [
            &standing["held_by"],
            &standing["keep_until"],
            &standing["reason"]
        ],
        [&json!("mia"), &json!(until), &json!("press")]
    );
    let next = server.get(&format!("{path}/next"));
    assert!(
        next["reviews"]
            .to_string()
            .contains("mia holds the tier gold"),
        "{next}"
    );
    let back = act(
        "tier.overridden",
        "c",
        5,
        json!({"tier": null, "reason": "the article is out"}),
    );
    let outcome = tell(&server, &staff, &back).ok();
    assert_eq!(
        (&outcome["customer"]["tier"], &outcome["tier"]["from"]),
        (&Value::Null, &json!("gold"))
    );
    assert_eq!(server.get(&path)["standing"].get("held_by"), None);
    server.stop();
    shop.check();
}

#[test]
fn a_note_keeps_what_it_said_before_and_who_said_it() {
    let shop = Shop::new();
    let staff = staff_key(&shop);
    let server = shop.serve();
    let path = ana(&server);
    let notes = || server.get(&format!("{path}/notes"))["notes"].clone();
    server.outcome(&act(
        "note.added",
        "n1",
        50,
        json!({"note": "Prefers linen.", "actor": "Leo"}),
    ));
    let open = act(
        "note.added",
        "n2",
        40,
        json!({"note": "Asked for a catalogue.", "internal": false}),
    );
    tell(&server, &staff, &open).ok();
    let name = json!({"source": "till-1", "id": "n1"});
    let edited = act(
        "note.edited",
        "n3",
        30,
        json!({"edits": name, "note": "Prefers linen and wool."}),
    );
    tell(&server, &staff, &edited).ok();
    let all = notes();
    assert_eq!(
        [
            &all[0]["text"],
            &all[0]["by"],
            &all[0]["note"],
            &all[0]["internal"]
        ],
        [
            &json!("Prefers linen and wool."),
            &json!("mia"),
            &name,
            &json!(true)
        ]
    );
    assert_eq!(
        [&all[0]["before"][0]["text"], &all[0]["before"][0]["by"]],
        [&json!("Prefers linen."), &json!("Leo")]
    );
    assert_eq!(all[1]["text"], "Asked for a catalogue.");
    let given = server.get(&format!("{path}/notes?internal=0"))["notes"].clone();
    assert_eq!(given.as_array().map(Vec::len), Some(1), "{given}");
    assert_eq!(given[0]["text"], "Asked for a catalogue.");

    let withdrawn = act(
        "note.edited",
        "n4",
        20,
        json!({"edits": name, "note": null}),
    );
    tell(&server, &staff, &withdrawn).ok();
    let all = notes();
    assert_eq!(
        (&all[0]["text"], all[0]["before"].as_array().map(Vec::len)),
        (&Value::Null, Some(2))
    );
    // A note that came with a profile is one, too.
    let profile = json!({"note": "Has a dog.", "staff": "Leo"});
    server.outcome(&act("customer.updated", "p", 10, profile));
    assert_eq!(
        [&notes()[0]["text"], &notes()[0]["by"]],
        [&json!("Has a dog."), &json!("Leo")]
    );
    let timeline = server.get(&format!("{path}/timeline")).to_string();
    assert!(
        !timeline.contains("linen") && timeline.contains("note.edited"),
        "{timeline}"
    );
    let agency = binary::run([
        "key",
        "add",
        shop.text(),
        "agency",
        "--label",
        "a",
        "--json",
    ]);
    let agency = agency.json()["key"].as_str().expect("a key").to_owned();
    let answer = get(&format!("{path}/notes")).key(&agency).to(&server);
    assert_eq!(answer.problem(), "forbidden");
    server.stop();
    shop.check();
    assert!(
        !shop.export("events", &[]).contains("linen"),
        "no export has it"
    );
}

#[test]
fn an_edit_that_comes_before_its_note_stands_for_it() {
    let shop = Shop::new();
    let server = shop.serve();
    let path = ana(&server);
    let name = json!({"source": "till-1", "id": "n1"});
    server.outcome(&act(
        "note.edited",
        "n2",
        10,
        json!({"edits": name, "note": "Linen and wool."}),
    ));
    server.outcome(&act("note.added", "n1", 20, json!({"note": "Linen."})));
    let notes = server.get(&format!("{path}/notes"))["notes"].clone();
    assert_eq!(notes.as_array().map(Vec::len), Some(1), "{notes}");
    assert_eq!(
        [&notes[0]["text"], &notes[0]["before"][0]["text"]],
        [&json!("Linen and wool."), &json!("Linen.")]
    );
}

#[test]
fn a_return_begins_at_the_profile_with_what_can_come_back_and_what_that_would_take() {
    let shop = Shop::new();
    let server = shop.serve();
    let path = ana(&server);
    let customer = json!({"email": "ana@example.com"});
    let jackets = json!({"customer": customer, "channel": "online", "order": {"system": "web", "id": "77"}, "total": 13_500,
        "lines": [{"sku": "JKT-M", "quantity": 2, "unit_price": 6_500}, {"sku": "SOCKS", "quantity": 1, "unit_price": 500}]});
    server.outcome(&sale("s2", &ago(50), jackets));
    let lines = || {
        let found = server.get(&format!("{path}/orders?sku=JKT-M"));
        let lines = found["items"][0]["lines"].as_array().unwrap().clone();
        let returnable = lines.iter().map(|line| line["returnable"].clone());
        returnable.collect::<Vec<_>>()
    };
    assert_eq!(lines(), ["2", "1"]);
    let back = json!({"order": {"system": "web", "id": "77"}, "channel": "pos", "location": "soho", "currency": "USD",
        "amount": 6_500, "lines": [{"line": 1, "quantity": 1, "amount": 6_500}]});
    let told = event("return.completed", "r1", &ago(10), back);
    let seen = server.post_as(&server.keys.pos, "/v1/preview", &told);
    assert_eq!(
        (seen.status, &seen.body["points"][0]["amount"]),
        (200, &json!(-65)),
        "{}",
        seen.body
    );
    assert_eq!(lines(), ["2", "1"], "a preview takes nothing");
    let taken = server.outcome(&told);
    assert_eq!(taken["points"][0]["amount"], -65);
    assert_eq!(lines(), ["1", "1"]);
    let void = json!({"order": {"system": "web", "id": "77"}});
    server.outcome(&event("sale.voided", "v1", &ago(5), void));
    assert_eq!(lines(), ["0", "0"]);
}

#[test]
fn orders_of_all_channels_stand_in_one_order_with_their_points_and_are_found_by_article() {
    let shop = Shop::new();
    let server = shop.serve();
    let path = ana(&server);
    let customer = json!({"email": "ana@example.com"});
    let jacket = json!({"customer": customer, "channel": "online", "order": {"system": "web", "id": "77"}, "total": 13_000,
        "lines": [{"sku": "JKT-M", "quantity": 2, "unit_price": 6_500}]});
    server.outcome(&sale("s2", &ago(50), jacket));
    server.outcome(&sale(
        "s3",
        &ago(40),
        json!({"customer": customer, "total": 500}),
    ));
    server.outcome(&sale(
        "late",
        &ago(55),
        json!({"customer": customer, "total": 2_000, "location": "brooklyn"}),
    ));
    let orders = server.get(&format!("{path}/orders"));
    let list = orders["items"].as_array().expect("a list");
    let of = |field: &str| list.iter().map(|it| it[field].clone()).collect::<Vec<_>>();
    assert_eq!(
        list.iter()
            .map(|it| it["event"]["id"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["s3", "s2", "late", "s1"]
    );
    assert_eq!(of("points"), [5, 130, 20, 100]);
    assert_eq!(of("channel"), ["pos", "online", "pos", "pos"]);
    assert_eq!(
        of("location"),
        [json!("soho"), Value::Null, json!("brooklyn"), json!("soho")]
    );
    let found = server.get(&format!("{path}/orders?sku=JKT-M"));
    let found = found["items"].as_array().expect("a list");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["order"], json!({"system": "web", "id": "77"}));
    assert_eq!(found[0]["lines"][0]["quantity"], "2");
    assert_eq!(
        server.get(&format!("{path}/orders?sku=NONE"))["items"],
        json!([])
    );
    let page = server.get(&format!("{path}/orders?limit=3"));
    let rest = server.get(&format!(
        "{path}/orders?limit=3&cursor={}",
        page["next"].as_str().unwrap()
    ));
    assert_eq!(rest["items"], json!([list[3]]));
}
