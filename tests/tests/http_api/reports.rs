//! Segments and tags as whoever tidies up sees them: where each comes from, how large it is, what
//! moves, who uses it, and what nobody would miss.

use crate::client::{ago, get, send};
use crate::staff::{staff_key, tell};
use serde_json::{Value, json};
use stampcard_tests::binary;
use stampcard_tests::event::event;
use stampcard_tests::{Shop, sale};

const DAY: i64 = 24 * 60;

fn sold_to(email: &str, time: &str, total: i64) -> Value {
    let customer = json!({"email": format!("{email}@example.com")});
    sale(
        &format!("{email}-{total}"),
        time,
        json!({"customer": customer, "total": total}),
    )
}

#[track_caller]
fn of<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let items = list.as_array().expect("a list");
    let found = items.iter().find(|item| item[key] == value);
    found.unwrap_or_else(|| panic!("{value} is not in {list}"))
}

#[test]
fn the_report_on_segments_has_their_size_what_moved_and_what_no_rule_looks_at() {
    let shop = Shop::new();
    // Bo lapsed twenty days ago.
    shop.ingest(&[
        sold_to("bo", &ago(50 * DAY), 1_000),
        sold_to("ana", &ago(3 * DAY), 60_000),
    ]);
    let server = shop.serve();
    let report = get("/v1/reports/segments")
        .key(&server.keys.read)
        .to(&server)
        .ok();
    let line = |segment: &str| {
        let line = of(&report["segments"], "segment", segment);
        ["members", "entered", "left", "used_by"].map(|key| line[key].clone())
    };
    let follow_ups = json!(["starter-follow-ups"]);
    let line_of = |members: u64, entered: u64, used_by: &Value| {
        [json!(members), json!(entered), json!(0), used_by.clone()]
    };
    assert_eq!(line("vip"), line_of(1, 1, &follow_ups));
    assert_eq!(line("lapsed"), line_of(1, 1, &follow_ups));
    assert_eq!(line("first-timer"), line_of(2, 1, &json!([])));
    assert_eq!(line("weekly"), line_of(0, 0, &json!([])));
    assert_eq!(
        ["customers", "empty", "unused", "unmoved"].map(|key| report[key].clone()),
        [2, 2, 3, 2].map(Value::from)
    );
    let advice = |segment: &str| of(&report["segments"], "segment", segment)["advice"].to_string();
    assert_eq!(advice("vip"), "[]");
    assert!(advice("first-timer").contains("no live rule looks at it"));
    assert!(advice("weekly").contains("nobody is in it"));

    let short = server.get("/v1/reports/segments?days=2");
    let unmoved = of(&short["segments"], "segment", "vip");
    assert!(
        unmoved["advice"].to_string().contains("in 2 days"),
        "{unmoved}"
    );
    let told = get("/v1/reports/segments?days=0")
        .key(&server.keys.read)
        .to(&server);
    assert_eq!((told.status, told.problem()), (400, "bad-query"));

    // The command line has the same, while the shop is open.
    let printed = binary::run(["report", "segments", shop.text(), "--json"]).json();
    assert_eq!(printed["segments"], report["segments"]);
    let printed = binary::run(["report", "segments", shop.text()]).ok();
    for told in [
        "first-timer: no live rule looks at it",
        "5 segments of 2 customers",
    ] {
        assert!(printed.contains(told), "{printed}");
    }
    let gone = binary::run(["report", "tags", "/nowhere"]);
    assert_eq!(gone.code, 2, "{}", gone.stderr);
}

#[test]
fn movements_are_counted_by_the_days_of_the_shop() {
    let shop = Shop::new();
    shop.ingest(&[
        sold_to("ana", "2024-03-02T23:50:00-05:00", 1_000),
        sold_to("bo", "2024-03-03T00:10:00-05:00", 1_000),
        sold_to("cy", "2024-03-03T09:00:00-05:00", 1_000),
        sold_to("cy", "2024-03-04T09:00:00-05:00", 70_000),
    ]);
    let arguments = ["--to", "2024-03-10T00:00:00-05:00", "--days", "9", "--json"];
    let printed =
        binary::run([&["report", "movements", shop.text()], &arguments[..]].concat()).json();
    let line = |day: &str, segment: &str, entered: u64, left: u64| json!({"day": day, "segment": segment, "entered": entered, "left": left});
    assert_eq!(
        printed["movements"],
        json!([
            line("2024-03-02", "first-timer", 1, 0),
            line("2024-03-03", "first-timer", 2, 0),
            line("2024-03-04", "first-timer", 0, 1),
            line("2024-03-04", "vip", 1, 0),
        ])
    );
    assert_eq!(printed["time_zone"], "America/New_York");

    let server = shop.serve();
    let from = "from=2024-03-03T00:00:00-05:00&to=2024-03-04T00:00:00-05:00&segment=first-timer";
    let day = server.get(&format!("/v1/reports/movements?{from}"));
    assert_eq!(
        day["movements"],
        json!([line("2024-03-03", "first-timer", 2, 0)])
    );
    for wrong in [
        "from=2024-03-03T00:00:00Z&to=2024-03-02T00:00:00Z",
        "from=2020-01-01T00:00:00Z&to=2024-03-02T00:00:00Z",
        "since=2024-03-03T00:00:00Z",
    ] {
        let told = get(&format!("/v1/reports/movements?{wrong}"))
            .key(&server.keys.read)
            .to(&server)
            .problem()
            .to_owned();
        assert_eq!(told, "bad-query", "{wrong}");
    }
}

const LISTS: &str = r#"
[[tags]]
key = "press & radio"
means = "Writes about us."
set_by = ["staff"]
synonyms = ["journalist"]
"#;

#[test]
fn a_segment_names_its_rule_and_nobody_is_put_into_it_by_hand() {
    let shop = Shop::new();
    shop.append("merchant.toml", LISTS);
    let staff = staff_key(&shop);
    let server = shop.serve();
    server.outcome(&sold_to("ana", &ago(60), 60_000));
    server.outcome(&sold_to("bo", &ago(50), 1_000));

    let vip = server.get("/v1/segments/vip");
    assert_eq!(
        [&vip["manual"], &vip["members"], &vip["used_by"]],
        [&json!(false), &json!(1), &json!(["starter-follow-ups"])]
    );
    assert_eq!(
        vip["rule"]["configured"]["when"],
        json!({"largest_sale": {"over": 50_000}})
    );
    let live = server.get("/v1/plugins");
    let plugin = of(&live["plugins"], "name", "starter-segments");
    for key in ["version", "digest", "configuration"] {
        assert_eq!(vip["rule"][key], plugin[key], "{key}");
    }

    let list = server.get("/v1/segments/journalist");
    assert_eq!(
        [
            &list["segment"],
            &list["manual"],
            &list["rule"],
            &list["meaning"]
        ],
        [
            &json!("press & radio"),
            &json!(true),
            &Value::Null,
            &json!("Writes about us.")
        ]
    );

    let job = |key: &str| json!({"key": key, "action": "add", "customers": [{"email": "bo@example.com"}, {"card": "nobody"}], "reason": "the spring issue"});
    let put = |key: &str, segment: &str| {
        let path = format!("/v1/segments/{segment}/members");
        send("POST", &path, &job("spring")).key(key).to(&server)
    };
    let refused = put(&staff, "vip");
    assert_eq!((refused.status, refused.problem()), (409, "rule-segment"));
    assert_eq!(
        server.get("/v1/segments/vip")["members"],
        1,
        "nothing was written"
    );
    assert_eq!(put(&staff, "no-such").problem(), "no-such-segment");
    let refused = put(&server.keys.pos, "journalist");
    assert_eq!((refused.status, refused.problem()), (403, "staff-only"));
    let done = put(&staff, "journalist").ok();
    assert_eq!(
        (&done["changed"], &done["unknown"]),
        (&json!(1), &json!([1]))
    );
    assert_eq!(put(&staff, "journalist").ok(), done, "it is done once");
    let list = server.get("/v1/segments/press%20&%20radio");
    assert_eq!(list["members"], 1);
    let members = server.get(list["members_at"].as_str().expect("a path"));
    assert_eq!(members["items"].as_array().map(Vec::len), Some(1));
    server.stop();
    shop.check();
}

const REGISTRY: &str = r#"
[[tags]]
key = "VIP"
means = "Greeted by name."
set_by = ["staff"]

[[tags]]
key = "summer-2024"
means = "Came for the summer collection."
set_by = ["staff"]
expires_after_days = 30
"#;

#[test]
fn tags_that_no_rule_uses_that_one_customer_has_that_are_not_registered_or_over_are_counted() {
    let shop = Shop::new();
    shop.append("merchant.toml", REGISTRY);
    shop.append(
        "plugins/starter-points.toml",
        "\n[[config.multipliers]]\ntag = \"VIP\"\nextra_percent = 100\n",
    );
    let server = shop.serve();
    server.outcome(&sold_to("ana", &ago(60), 1_000));
    server.outcome(&sold_to("bo", &ago(50), 1_000));
    for (id, email, tag) in [
        ("1", "ana", "VIP"),
        ("2", "ana", "likes-tea"),
        ("3", "ana", "wholesale"),
        ("4", "bo", "wholesale"),
    ] {
        let data = json!({"customer": {"email": format!("{email}@example.com")}, "tag": tag});
        let added = event("tag.added", id, &ago(5), data);
        tell(&server, &server.keys.operator, &added).ok();
    }
    let tags = server.get("/v1/tags");
    assert_eq!(
        ["unregistered", "unused", "one_off", "expired"].map(|key| tags[key].clone()),
        [2, 2, 1, 1].map(Value::from),
        "{tags}"
    );
    let tag = |key: &str| of(&tags["tags"], "tag", key);
    assert_eq!(tag("VIP")["used_by"], json!(["starter-points"]));
    assert_eq!(tag("VIP")["manual"], true);
    for (key, told) in [
        ("likes-tea", "one customer has it, and no rule looks at it"),
        ("wholesale", "no live rule sets it or looks at it"),
        ("summer-2024", "take it out of [[tags]]"),
    ] {
        let advice = tag(key)["advice"].to_string();
        assert!(advice.contains(told), "{key}: {advice}");
    }
    let printed = binary::run(["report", "tags", shop.text()]).ok();
    assert!(
        printed.contains(
            "4 tags: 2 not registered, 1 of campaigns that are over, 2 that no rule uses, 1 of these on one customer"
        ),
        "{printed}"
    );
}
