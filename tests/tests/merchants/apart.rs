//! Data, keys, rules and quotas of shops in one server are apart, and no answer to one of them tells
//! that there is another.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stampcard_tests::{Answer, Server, Shops, binary, sale};
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

pub fn bought(id: &str, who: &str) -> Value {
    let at = Timestamp::now() - SignedDuration::from_mins(5);
    let customer = json!({"email": format!("{who}@example.com")});
    sale(
        id,
        &at.to_string(),
        json!({"customer": customer, "total": 1_000}),
    )
}

/// The answer without what is of this request alone.
fn said(answer: Answer) -> (u16, Value) {
    let mut body = answer.body;
    if let Value::Object(fields) = &mut body {
        fields.remove("request");
    }
    (answer.status, body)
}

/// An answer, with what was asked for left out of its words.
fn said_of(answer: Answer, named: &str) -> (u16, String) {
    let (status, body) = said(answer);
    (status, body.to_string().replace(named, "IT"))
}

#[test]
fn a_key_of_one_shop_is_answered_about_another_as_about_what_does_not_exist() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let (soho, brooklyn) = (&shops["soho"].keys, &shops["brooklyn"].keys);
    let server = shops.serve();
    let sold = server.post_as(&brooklyn.pos, "/v1/events", &bought("1", "ana"));
    assert_eq!(sold.status, 200, "{}", sold.body);
    let ana = sold.body["customer"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    // The same shape, and nobody's.
    let nobody: String = ana
        .chars()
        .enumerate()
        .map(|(at, char)| match char {
            _ if at < 4 => char,
            '0' => '1',
            _ => '0',
        })
        .collect();
    assert_eq!(
        server
            .get_as(&brooklyn.operator, &format!("/v1/customers/{ana}"))
            .status,
        200
    );

    let api = server.get("/openapi.json");
    let paths = api["paths"].as_object().expect("paths");
    let mut asked = 0;
    for (path, methods) in paths {
        if !path.contains('{') {
            continue;
        }
        for method in methods.as_object().expect("methods").keys() {
            let method = method.to_uppercase();
            let ask = |key: &str, id: &str| {
                let path = path
                    .replace("{id}", id)
                    .replace("{key}", id)
                    .replace("{name}", id)
                    .replace("{note}", id);
                let body = (method != "GET").then(|| json!({}));
                server
                    .ask(&method, key, &path, body.as_ref())
                    .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
            };
            for key in [&soho.operator, &soho.pos, &soho.read] {
                let (there, nowhere) = (ask(key, &ana), ask(key, &nobody));
                assert!((400..500).contains(&there.status), "{method} {path}");
                assert_eq!(
                    said_of(there, &ana),
                    said_of(nowhere, &nobody),
                    "{method} {path}"
                );
            }
            asked += 1;
        }
    }
    assert!(asked >= 12, "{asked} routes were asked");

    for path in [
        "/v1/customers",
        "/v1/customers?email=ana%40example.com",
        "/v1/customers?q=ana",
        "/v1/segments/first-timer/members",
        "/v1/outbox",
    ] {
        let answer = server.get_as(&soho.operator, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(!answer.body.to_string().contains("ana"), "{path}");
        assert_eq!(answer.body["items"], json!([]), "{path}: {}", answer.body);
    }
    let event = "/v1/events?source=till-1&id=1";
    assert_eq!(server.get_as(&soho.operator, event).status, 404);
    assert_eq!(server.get_as(&brooklyn.operator, event).status, 200);
    let stream = format!("/v1/stream?customer={ana}");
    assert_eq!(server.get_as(&soho.operator, &stream).status, 404);
    server.stop();
    shops.check();
}

#[test]
fn no_answer_names_or_counts_other_shops() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let server = shops.serve();
    let keys = &shops["soho"].keys;
    let alone = stampcard_tests::Shop::new();
    let one = alone.serve();
    let about_nobody = ["", "sk_pos_00000000000000000000000000000000", "nonsense"];
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/v1/customers",
        "/v1/plugins",
        "/v1/nothing",
    ] {
        for key in about_nobody {
            let (status, body) = said(server.get_as(key, path));
            let text = body.to_string();
            for told in ["soho", "brooklyn", "merchant"] {
                // The description speaks of merchants in general.
                assert!(
                    path == "/openapi.json" || !text.contains(told),
                    "{path}: {text}"
                );
            }
            // A server of one shop says the same, but for what is about its shop.
            if !["/readyz", "/metrics"].contains(&path) {
                assert_eq!((status, body), said(one.get_as(key, path)), "{path} {key}");
            }
        }
        let own = server.get_as(&keys.operator, path).body.to_string();
        assert!(!own.contains("brooklyn"), "{path}: {own}");
    }
    assert_eq!(
        said(server.get_as("", "/readyz")),
        (200, json!({"status": "ready"}))
    );
    assert_eq!(server.get_as("", "/metrics").status, 401);
    // Each shop sees its own figures.
    let own = server.get_as(&keys.read, "/metrics").body;
    let text = own.as_str().expect("it is text");
    assert!(
        text.contains("stampcard_ready{merchant=\"soho\"} 1"),
        "{text}"
    );
    assert!(
        !text.contains("stampcard_components"),
        "what shops share is not told: {text}"
    );
    assert_eq!(
        server.get_as(&keys.read, "/readyz").body["merchant"],
        "soho"
    );
    server.stop();
    one.stop();
}

#[test]
fn the_same_sale_in_two_shops_is_two_sales() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let server = shops.serve();
    let sale = bought("1", "ana");
    let mut ids = Vec::new();
    for name in ["soho", "brooklyn"] {
        let keys = &shops[name].keys;
        let sold = server.post_as(&keys.pos, "/v1/events", &sale).body;
        assert_eq!(sold["status"], "applied", "{name}: {sold}");
        assert_eq!(sold["customer"]["balance"], 10, "{name}: {sold}");
        let again = server.post_as(&keys.pos, "/v1/events", &sale).body;
        assert_eq!(again["status"], "duplicate", "{name}");
        ids.push(sold["customer"]["id"].clone());
    }
    assert_ne!(
        ids[0], ids[1],
        "customers are named under each shop's secret"
    );
    let more = server.post_as(&shops["soho"].keys.pos, "/v1/events", &bought("2", "ana"));
    assert_eq!(more.body["customer"]["balance"], 20, "{}", more.body);
    server.stop();
    shops.check();
    assert_eq!(shops["soho"].exported("ledger", &[]).len(), 2);
    assert_eq!(shops["brooklyn"].exported("ledger", &[]).len(), 1);
}

#[test]
fn keys_are_made_and_ended_beside_the_open_server_for_their_shop_alone() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let server = shops.serve();
    let add = |name: &str| {
        let made = binary::run([
            "key",
            "add",
            shops[name].text(),
            "--role",
            "staff",
            "--json",
        ])
        .json();
        let key = made["key"].as_str().expect("a key").to_owned();
        (key, made["number"].to_string())
    };
    for _ in 0..3 {
        let ((one, number), (other, same)) = (add("soho"), add("brooklyn"));
        assert_eq!(number, same, "each shop counts its own keys");
        for (key, name) in [(&one, "soho"), (&other, "brooklyn")] {
            assert_eq!(server.get_as(key, "/readyz").body["merchant"], name);
            assert_eq!(server.get_as(key, "/v1/customers").status, 200);
        }
        binary::run(["key", "revoke", shops["soho"].text(), &number]).ok();
        let revoked = Instant::now();
        while server.get_as(&one, "/v1/customers").status != 401 {
            assert!(revoked.elapsed() < Duration::from_secs(5), "it still works");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(server.get_as(&other, "/v1/customers").status, 200);
    }
    server.stop();
}

/// Whoever guesses keys must not keep the server from knowing those that are right.
#[test]
fn guesses_of_keys_cost_those_who_have_one_nothing() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let server = shops.serve();
    let enough = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for guesser in 0..8 {
            let (server, enough) = (&server, &enough);
            scope.spawn(move || {
                for guess in 0.. {
                    if enough.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("sk_operator_{guesser:016}{guess:016}");
                    let answer = server.get_as(&key, "/v1/customers");
                    assert_eq!(
                        (answer.status, &answer.body["code"]),
                        (401, &json!("unknown-key"))
                    );
                }
            });
        }
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..5 {
                let made = binary::run([
                    "key",
                    "add",
                    shops["brooklyn"].text(),
                    "--role",
                    "pos",
                    "--json",
                ])
                .json();
                let key = made["key"].as_str().expect("a key");
                let sale = bought(&round.to_string(), "ana");
                assert_eq!(server.post_as(key, "/v1/events", &sale).status, 200);
            }
        }));
        enough.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Err(panic) = tried {
            std::panic::resume_unwind(panic);
        }
    });
    server.stop();
}

#[test]
fn each_shop_has_its_own_quota() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let file = shops["soho"].read("stampcard.toml");
    shops["soho"].write(
        "stampcard.toml",
        format!("requests_per_minute = 10\n{file}"),
    );
    let server = shops.serve();
    let statuses = |name: &str| -> Vec<u16> {
        let key = &shops[name].keys.read;
        (0..20)
            .map(|_| server.get_as(key, "/v1/segments").status)
            .collect()
    };
    let soho = statuses("soho");
    assert_eq!(soho[0], 200);
    assert!(soho.contains(&429), "{soho:?}");
    assert_eq!(statuses("brooklyn"), [200; 20]);
    server.stop();
}

#[test]
fn rules_of_one_shop_change_while_those_of_another_stay() {
    let shops = Shops::new(&["soho", "brooklyn"]);
    let server = shops.serve();
    let book = |server: &Server, name: &str| {
        server
            .get_as(&shops[name].keys.operator, "/v1/plugins")
            .body["rule_book"]
            .as_i64()
            .expect("a number")
    };
    let before = (book(&server, "soho"), book(&server, "brooklyn"));
    // By the folder, and by an order of a command.
    shops["soho"].lay_over("plugins/starter-points.toml", "[config]\npoints = 3");
    let began = Instant::now();
    while book(&server, "soho") == before.0 {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{}",
            server.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let rolled_back = binary::run([
        "plugin",
        "rollback",
        shops["soho"].text(),
        "starter-points",
        "--json",
    ]);
    assert_eq!(rolled_back.code, 0, "{}", rolled_back.stderr);
    assert_eq!(book(&server, "soho"), before.0 + 2);
    assert_eq!(book(&server, "brooklyn"), before.1);
    let told = server.log();
    assert!(
        told.contains("shop{name=\"soho\"}"),
        "the log says whose it is: {told}"
    );
    server.stop();
}

/// Requests whose bodies never come hold places, and one shop has no more than its own.
#[test]
fn a_shop_that_keeps_its_requests_open_is_turned_away_and_no_other() {
    const PLACES: usize = 768;
    let shops = Shops::new(&["soho", "brooklyn"]);
    let server = shops.serve();
    let (soho, brooklyn) = (&shops["soho"].keys, &shops["brooklyn"].keys);
    let address = server.address.strip_prefix("http://").expect("an address");
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: 100\r\n\r\n",
        soho.pos
    );
    let mut open: Vec<TcpStream> = Vec::new();
    let mut hold = |requests: usize| {
        for _ in 0..requests {
            let mut connection = TcpStream::connect(address).expect("a connection");
            connection.write_all(head.as_bytes()).expect("it is taken");
            open.push(connection);
        }
    };
    hold(PLACES);
    // On a busy machine some of them are turned away while their keys are looked up, and others come
    // in their place.
    let began = Instant::now();
    let mut turned_away = 0;
    while turned_away < 5 {
        let answer = server.post_as(&soho.pos, "/v1/events", &bought("1", "ana"));
        if answer.status == 503 {
            let code = &answer.body["code"];
            assert_eq!(code, "overloaded", "{} {}", answer.body, server.log());
            turned_away += 1;
        } else {
            turned_away = 0;
            hold(32);
        }
        let log = || format!("{} {}", answer.body, server.log());
        assert!(began.elapsed() < Duration::from_secs(40), "{}", log());
    }
    for id in 0..20 {
        let sold = server.post_as(&brooklyn.pos, "/v1/events", &bought(&id.to_string(), "ana"));
        assert_eq!(sold.status, 200, "{} {}", sold.body, server.log());
    }
    drop(open);
    let began = Instant::now();
    while server
        .post_as(&soho.pos, "/v1/events", &bought("2", "ana"))
        .status
        != 200
    {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{}",
            server.log()
        );
    }
    server.stop();
    shops.check();
}
