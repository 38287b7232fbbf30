//! Tags: the registry, what is in use, and one tag for many customers at once.

use crate::client::{Answer, ago, send};
use crate::staff::{staff_key, tell};
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, sale};

const REGISTRY: &str = r#"
[[tags]]
key = "VIP"
means = "Greeted by name."
set_by = ["staff", "pos"]
synonyms = ["vip", "V.I.P."]

[[tags]]
key = "spring"
means = "Came for the spring collection."
set_by = ["staff"]
expires_after_days = 30
"#;

fn shop() -> Shop {
    let shop = Shop::new();
    shop.append("merchant.toml", REGISTRY);
    shop
}

/// So many customers, by the e-mails c0@example.com, c1 …
fn customers(server: &Server, count: usize) {
    let batch: Vec<Value> = (0..count)
        .map(|number| {
            let customer = json!({"email": format!("c{number}@example.com")});
            sale(
                &format!("s{number}"),
                &ago(60),
                json!({"customer": customer, "total": 100}),
            )
        })
        .collect();
    let answer = server.post_as(&server.keys.pos, "/v1/events", &Value::from(batch));
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn bulk(server: &Server, key: &str, job: &Value) -> Answer {
    send("POST", "/v1/tags:bulk", job).key(key).to(server)
}

fn tagged(server: &Server, tag: &str) -> usize {
    let page = server.get(&format!("/v1/customers?tag={tag}&limit=500"));
    page["items"].as_array().expect("a list").len()
}

#[test]
fn a_till_sets_what_is_open_to_it_in_the_spelling_of_the_registry() {
    let shop = shop();
    let server = shop.serve();
    customers(&server, 1);
    let tag = |id: &str, tag: &str| {
        let data = json!({"customer": {"email": "c0@example.com"}, "tag": tag});
        tell(
            &server,
            &server.keys.pos,
            &event("tag.added", id, &ago(5), data),
        )
    };
    assert_eq!(tag("1", "V.I.P.").ok()["tags"]["set"], json!(["VIP"]));
    let refused = tag("2", "spring");
    assert_eq!((refused.status, refused.problem()), (403, "tag-not-open"));
    assert_eq!(refused.body["pointer"], "/data/tag");
    let refused = tag("3", "VPI");
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .contains("did you mean \"VIP\"?")
    );
    assert_eq!(tagged(&server, "vip"), 1, "it is found by any spelling");
}

#[test]
fn one_tag_for_a_list_is_an_event_for_each_and_one_for_the_job_however_often_it_is_sent() {
    let shop = shop();
    let staff = staff_key(&shop);
    let server = shop.serve();
    customers(&server, 12);
    let named: Vec<Value> = (0..10)
        .map(|number| json!({"email": format!(" C{number}@example.com")}))
        .chain([
            json!({"email": "nobody@example.com"}),
            json!({"email": "c0@example.com"}),
        ])
        .collect();
    let job = json!({"key": "spring-list", "action": "add", "tag": "spring", "customers": named, "reason": "asked for it"});
    let refused = bulk(&server, &server.keys.pos, &job);
    assert_eq!((refused.status, refused.problem()), (403, "staff-only"));
    let done = bulk(&server, &staff, &job).ok();
    let counts = |done: &Value| ["matched", "changed", "unchanged"].map(|it| done[it].clone());
    assert_eq!(counts(&done), [10, 10, 0].map(Value::from));
    assert_eq!(
        (&done["unknown"], &done["refused"]),
        (&json!([10]), &json!([]))
    );
    assert_eq!(tagged(&server, "spring"), 10);
    let again = bulk(&server, &staff, &job).ok();
    assert_eq!(again, done, "sent again it gets the same answer");
    let mut other = job.clone();
    other["tag"] = json!("VIP");
    let taken = bulk(&server, &staff, &other);
    assert_eq!((taken.status, taken.problem()), (409, "key-taken"));

    let audit = server.get("/v1/events?source=stampcard-api&id=tags:spring-list");
    assert_eq!(
        [
            &audit["event"]["type"],
            &audit["event"]["staff"],
            &audit["event"]["data"]["customers"]
        ],
        [&json!("tags.assigned"), &json!("mia"), &json!(10)]
    );
    assert_eq!(audit["event"]["data"]["reason"], "asked for it");
    assert!(
        !audit.to_string().contains("example.com"),
        "no address is in it"
    );
    let first = server.get("/v1/customers?email=c3@example.com")["items"][0]["id"].clone();
    let timeline = server.get(&format!(
        "/v1/customers/{}/timeline",
        first.as_str().unwrap()
    ));
    let added = &timeline["items"][0]["event"];
    assert_eq!(
        [&added["type"], &added["staff"], &added["attributes"]["job"]],
        [&json!("tag.added"), &json!("mia"), &json!("spring-list")]
    );
    server.stop();
    shop.check();
}

#[test]
fn one_tag_for_everybody_whom_a_query_finds_stays_with_whom_it_found_first() {
    let shop = shop();
    let staff = staff_key(&shop);
    let server = shop.serve();
    customers(&server, 4);
    let job =
        json!({"key": "k", "action": "add", "tag": "vip", "query": {"segment": "first-timer"}});
    let done = bulk(&server, &staff, &job).ok();
    assert_eq!((&done["matched"], &done["tag"]), (&json!(4), &json!("VIP")));
    customers(&server, 6);
    assert_eq!(bulk(&server, &staff, &job).ok()["matched"], 4);
    assert_eq!(tagged(&server, "VIP"), 4);
    let clear = json!({"key": "k2", "action": "remove", "tag": "VIP", "query": {"tag": "V.I.P."}});
    assert_eq!(bulk(&server, &staff, &clear).ok()["changed"], 4);
    assert_eq!(tagged(&server, "VIP"), 0);
}

#[test]
fn a_job_that_cannot_be_is_refused_and_does_nothing() {
    let shop = shop();
    shop.lay_over("merchant.toml", "[policies]\ntags = \"registered\"");
    let staff = staff_key(&shop);
    let server = shop.serve();
    customers(&server, 1);
    let job = |change: Value| {
        let mut job =
            json!({"key": "k", "action": "add", "tag": "VIP", "query": {"segment": "first-timer"}});
        for (key, value) in change.as_object().expect("changes") {
            job[key] = value.clone();
        }
        let answer = bulk(&server, &staff, &job);
        (answer.status, answer.problem().to_owned())
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(job(json!({"tag": "VIPS"})), is(422, "unknown-tag"));
    assert_eq!(job(json!({"action": "toggle"})), is(400, "malformed"));
    assert_eq!(job(json!({"key": " "})), is(400, "bad-key"));
    assert_eq!(job(json!({"query": {}})), is(400, "bad-query"));
    assert_eq!(job(json!({"query": null})), is(400, "customers-or-query"));
    assert_eq!(job(json!({"customers": []})), is(400, "customers-or-query"));
    let list = json!({"query": null, "customers": [{"email": "ana"}]});
    assert_eq!(job(list), is(422, "not-an-email"));
    let list = json!({"query": null, "customers": [{}]});
    assert_eq!(job(list), is(400, "bad-customer"));
    let many = vec![json!({"card": "L-1"}); 5_001];
    assert_eq!(
        job(json!({"query": null, "customers": many})),
        is(413, "too-many-customers")
    );
    assert_eq!(tagged(&server, "VIP"), 0);
    assert_eq!(job_is_free(&server, &staff), 200, "the key was not used up");
}

fn job_is_free(server: &Server, key: &str) -> u16 {
    let job =
        json!({"key": "k", "action": "add", "tag": "VIP", "query": {"segment": "first-timer"}});
    bulk(server, key, &job).status
}

#[test]
fn the_list_of_tags_says_what_each_means_who_has_it_and_what_wants_tidying_up() {
    let shop = shop();
    let server = shop.serve();
    customers(&server, 3);
    for (id, tag) in [("1", "VIP"), ("2", "Soho"), ("3", "vips")] {
        let data = json!({"customer": {"email": "c0@example.com"}, "tag": tag});
        tell(
            &server,
            &server.keys.operator,
            &event("tag.added", id, &ago(5), data),
        )
        .ok();
    }
    let listed = server.get("/v1/tags");
    assert_eq!(listed["unregistered"], 2);
    let of = |key: &str| {
        let tags = listed["tags"].as_array().expect("a list");
        tags.iter()
            .find(|tag| tag["tag"] == key)
            .unwrap_or_else(|| panic!("{key}: {listed}"))
    };
    let vip = of("VIP");
    assert_eq!(
        [
            &vip["registered"],
            &vip["means"],
            &vip["customers"],
            &vip["advice"]
        ],
        [
            &json!(true),
            &json!("Greeted by name."),
            &json!(1),
            &json!([])
        ]
    );
    assert_eq!(vip["set_by"], json!(["staff", "pos"]));
    assert_eq!(
        (
            &of("spring")["customers"],
            &of("spring")["expires_after_days"]
        ),
        (&json!(0), &json!(30))
    );
    assert!(
        of("Soho")["advice"][0]
            .as_str()
            .unwrap()
            .contains("only repeats the location \"soho\"")
    );
    assert!(
        of("vips")["advice"][0]
            .as_str()
            .unwrap()
            .contains("is it \"VIP\"?")
    );
}

#[test]
fn a_table_of_tags_changes_exactly_whom_it_names_and_goes_round() {
    let shop = shop();
    shop.append(
        "plugins/starter-segments.toml",
        "\n[config.segments.press]\nexplain = \"Is on the list of the press.\"\nwhen = { tag = \"press; daily\" }\n\
         [config.tags.Online]\nexplain = \"Buys online.\"\nwhen = { channels = { bought_any = [\"pos\"] } }\n",
    );
    let staff = staff_key(&shop);
    let server = shop.serve();
    customers(&server, 4);
    let import = |key: &str, mode: &str, table: &str| {
        let job =
            json!({"key": key, "mode": mode, "csv": table, "reason": "a list from the office"});
        send("POST", "/v1/tags:import", &job)
            .key(&staff)
            .to(&server)
    };
    let tags_of = |number: u64| -> Value {
        let page = server.get(&format!("/v1/customers?email=c{number}@example.com"));
        page["items"][0]["tags"].clone()
    };
    // Another column, another spelling, a quote, a tag with a semicolon, and a row that names nobody.
    let table = "name,email,tags\r\n\
                 \"Ana, the first\",C0@example.com,v.i.p.; V.I.P.\r\n\
                 Bo,c1@example.com,\"VIP;press\\; daily\"\r\n\
                 Nobody,nobody@example.com,VIP\r\n";
    let done = import("one", "add", table).ok();
    assert_eq!(
        ["rows", "customers", "changed", "unknown"].map(|key| done[key].clone()),
        [json!(3), json!(2), json!(4), json!([4])],
        "{done:#}"
    );
    assert_eq!(
        tags_of(0),
        json!(["Online", "VIP", "v.i.p."]),
        "as it is registered, and as it is not"
    );
    assert_eq!(tags_of(1), json!(["Online", "VIP", "press; daily"]));
    assert_eq!(tags_of(2), json!(["Online"]), "who is not in it");
    assert_eq!(
        server.get("/v1/segments/press")["members"],
        1,
        "segments are asked again"
    );
    assert_eq!(import("one", "add", table).ok(), done, "it is done once");

    let table = "email,tags\nc0@example.com,v.i.p.\n";
    assert_eq!(import("two", "remove", table).ok()["changed"], 1);
    assert_eq!(tags_of(0), json!(["Online", "VIP"]));

    // Out and in again: nothing changes. Then a row is edited.
    let exported = server.get("/v1/tags:export");
    let exported = exported.as_str().expect("a table");
    assert_eq!(exported.lines().count(), 5, "{exported}");
    assert_eq!(import("three", "replace", exported).ok()["changed"], 0);
    let edited = exported.replace("Online;VIP;press\\; daily", "spring");
    assert_ne!(edited, exported, "{exported}");
    assert_eq!(import("four", "replace", &edited).ok()["changed"], 3);
    assert_eq!(
        tags_of(1),
        json!(["Online", "spring"]),
        "what a rule sets is the rule's"
    );
    assert_eq!(tags_of(0), json!(["Online", "VIP"]));
    assert_eq!(server.get("/v1/segments/press")["members"], 0);

    for (table, told) in [
        ("email\nc0@example.com\n", "must have a column tags"),
        ("tags\nVIP\n", "one of id, email, phone, card"),
        ("email,tags\n\"c0@example.com,VIP\n", "line 2: a quote"),
        ("email,tags\nc0@example.com,VIP\nc0,VIP\n", "line 3: "),
        ("email,tags\n,VIP\n", "line 2: name a customer"),
    ] {
        let refused = import("five", "add", table);
        assert_eq!(
            (refused.status, refused.problem()),
            (422, "bad-table"),
            "{table}"
        );
        let detail = refused.body["detail"].as_str().expect("a sentence");
        assert!(detail.contains(told), "{detail}");
    }
    let many = format!("card,tags\n{}", "L-1,VIP\n".repeat(5_001));
    assert_eq!(import("six", "add", &many).problem(), "too-many-customers");
    let forbidden = send(
        "POST",
        "/v1/tags:import",
        &json!({"key": "x", "mode": "add", "csv": "card,tags\nC,spring\n"}),
    );
    let forbidden = forbidden.key(&server.keys.read).to(&server);
    assert_eq!(forbidden.status, 403);
    server.stop();
    shop.check();
}
