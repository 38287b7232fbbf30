//! Friends who join over HTTP, at tills and in the web store, with one code: both customers in one
//! transaction, whoever asks, and again in a replay.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, binary, sale};
use std::time::{Duration, Instant};

const MERCHANT: &str =
    "[referral]\nurl = \"https://shop.example/join?code={code}\"\nfriends_per_day = 1000\n";
const RULE: &str = "pack = \"starter-referral\"\n[config.joining]\nfriend = 100\nreferrer = 200\n[config.first_purchase]\nreferrer = 500\n";

/// How long a file that was saved may take to be live, on a machine that does much else.
const TAKEN_MAX: Duration = Duration::from_secs(60);

fn ago(minutes: i64) -> String {
    (Timestamp::now() - SignedDuration::from_mins(minutes)).to_string()
}

fn joins(id: &str, code: &str, channel: &str) -> Value {
    let customer = json!({"email": format!("{id}@example.com")});
    let mut data =
        json!({"customer": customer, "code": code, "channel": channel, "via": "instagram"});
    if channel == "pos" {
        data["location"] = "soho".into();
    }
    event("referral.signup", id, &ago(30), data)
}

/// Ana joins and has a code.
fn ana(server: &Server) -> (String, String) {
    let customer = json!({"customer": {"email": "ana@example.com"}, "channel": "online"});
    let told = server.outcome(&event("loyalty.enrolled", "ana", &ago(60), customer));
    let text = |value: &Value| value.as_str().expect("it is a text").to_owned();
    (
        text(&told["customer"]["id"]),
        text(&told["referral"]["code"]),
    )
}

fn balance(server: &Server, key: &str, id: &str) -> Value {
    let told = server.get_as(key, &format!("/v1/customers/{id}/balance"));
    assert_eq!(told.status, 200, "{}", told.body);
    told.body["balance"].clone()
}

#[test]
fn a_shop_that_is_open_gets_a_referral_programme_and_both_see_their_points_at_once() {
    let shop = Shop::new();
    let server = shop.serve();
    let early = server.send(&joins("early", "ABCDEFGHJK", "online"));
    assert_eq!(
        (early.status, &early.body["code"]),
        (422, &json!("no-referral"))
    );
    shop.lay_over("merchant.toml", MERCHANT);
    shop.write("plugins/starter-referral.toml", RULE);
    let began = Instant::now();
    while !server.get("/v1/plugins")["plugins"]
        .as_array()
        .is_some_and(|plugins| plugins.iter().any(|it| it["name"] == "starter-referral"))
    {
        assert!(began.elapsed() < TAKEN_MAX, "{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let (ana, code) = ana(&server);
    let told = server.send(&joins("bo", &code, "online"));
    assert_eq!(told.status, 200, "{}", told.body);
    let bo = told.body["customer"]["id"].as_str().unwrap().to_owned();
    for key in [&server.keys.pos, &server.keys.read, &server.keys.operator] {
        assert_eq!(balance(&server, key, &ana), 200);
        assert_eq!(balance(&server, key, &bo), 100);
    }
    let referral = server.get(&format!("/v1/customers/{ana}/referral"));
    assert_eq!(referral["code"], code);
    assert_eq!(referral["friends"], 1);
    let url = format!("https://shop.example/join?code={}", code.replace('-', ""));
    assert_eq!(referral["url"], url);
    let of_bo = server.get(&format!("/v1/customers/{bo}/referral"));
    assert_eq!(of_bo["referred_by"]["customer"], ana);
    let of_bo = server.get(&format!("/v1/customers/{bo}/timeline"));
    let signup = &of_bo["items"][0]["event"]["data"];
    assert_eq!(
        (&signup["via"], &signup["referrer"]),
        (&json!("instagram"), &json!(ana))
    );
    // What leaves for the customer has the link; the journal has only that there is one.
    shop.write(
        "plugins/starter-follow-ups.toml",
        "pack = \"starter-follow-ups\"\n[config]\nreceipt = [\"Bring a friend: {referral_url}\"]\n",
    );
    let began = Instant::now();
    let mut receipt = Value::Null;
    for number in 0.. {
        let bought = json!({"customer": {"email": "ana@example.com"}, "total": 100});
        let told = server.outcome(&sale(&format!("ana-{number}"), &ago(1), bought));
        receipt = told["receipt"][0].clone();
        if receipt
            .as_str()
            .is_some_and(|line| line.starts_with("Bring"))
        {
            break;
        }
        assert!(began.elapsed() < TAKEN_MAX, "{receipt}: {}", server.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(receipt, format!("Bring a friend: {url}"));
    // Both events name the referral.
    let id = &told.body["referral"]["id"];
    let timeline = server.get(&format!("/v1/customers/{ana}/timeline"));
    let joined = timeline["items"].as_array().unwrap().iter();
    let mut joined = joined.filter(|item| item["event"]["type"] == "referral.joined");
    let newest = &joined.next().unwrap()["event"];
    assert_eq!(
        (&newest["type"], &newest["data"]["referral"]),
        (&json!("referral.joined"), id)
    );
    assert_eq!(newest["data"]["friend"], bo);
}

#[test]
fn a_message_may_have_the_link() {
    let shop = Shop::new();
    shop.lay_over("merchant.toml", MERCHANT);
    shop.write(
        "plugins/starter-follow-ups.toml",
        "pack = \"starter-follow-ups\"\n[config.rules.bring-a-friend]\non = [\"enrolled\"]\neverybody = true\n\
         message = { channels = [\"email\"], template = \"bring\", purpose = \"service\", data = { link = \"{referral_url}\" } }\n",
    );
    let server = shop.serve();
    let (ana, code) = ana(&server);
    let planned = server.get(&format!("/v1/customers/{ana}/follow-ups"));
    let link = format!("https://shop.example/join?code={}", code.replace('-', ""));
    assert_eq!(
        planned["follow_ups"][0]["data"]["link"],
        json!({"text": link}),
        "{planned}"
    );
}

#[test]
fn friends_who_join_at_tills_and_online_at_once_are_all_counted_and_a_replay_says_the_same() {
    let shop = Shop::new();
    shop.lay_over("merchant.toml", MERCHANT);
    shop.write("plugins/starter-referral.toml", RULE);
    let server = shop.serve();
    let (ana, code) = ana(&server);
    std::thread::scope(|scope| {
        for door in 0..4 {
            let (server, code) = (&server, &code);
            scope.spawn(move || {
                let client = server.client();
                for n in 0..25 {
                    let id = format!("friend-{door}-{n}");
                    let channel = if door % 2 == 0 { "pos" } else { "online" };
                    for told in [
                        joins(&id, code, channel),
                        sale(
                            &format!("{id}-buys"),
                            &ago(20 - n),
                            json!({"customer": {"email": format!("{id}@example.com")}, "total": 100}),
                        ),
                    ] {
                        let answer = client.send(&told).expect("the server answers");
                        assert_eq!(answer.status, 200, "{}", answer.body);
                    }
                }
            });
        }
    });
    assert_eq!(balance(&server, &server.keys.pos, &ana), 100 * (200 + 500));
    let referral = server.get(&format!("/v1/customers/{ana}/referral"));
    assert_eq!(
        (&referral["friends"], &referral["points"]),
        (&json!(100), &json!(70_000))
    );
    server.stop();
    shop.check();
    let copy = shop.dir.with_file_name("again");
    let copy = copy
        .to_str()
        .expect("temporary folders have names in UTF-8");
    shop.run("replay", &[copy]).ok();
    binary::run(["check", copy]).ok();
    for what in ["customers", "ledger", "events"] {
        let again = binary::run(["export", copy, what]).ok();
        assert!(shop.export(what, &[]) == again, "{what}");
    }
}
