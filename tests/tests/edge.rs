//! A store without a line: a copy of the shop answers its tills by the same rules, and the server says
//! afterwards how that differs.

use jiff::Timestamp;
use serde_json::{Value, json};
use stampcard_tests::event::event;
use stampcard_tests::{Server, Shop, binary, sale};

const EDGE: &str = "[edge]\nstale_after_seconds = 1\nnotice = { en = \"As of {as_of}.\", es = \"Saldo del {as_of}.\" }\n";

fn ago(minutes: i64) -> String {
    let seconds = Timestamp::now().as_second() - minutes * 60;
    Timestamp::from_second(seconds).expect("a time").to_string()
}

/// The copy of a shop as it was backed up, for the same keys.
fn edge(shop: &Shop, server: &Server) -> Server {
    let backup = shop.back_up("night.tar");
    let text = backup.to_str().expect("its name is UTF-8");
    let command = binary::command(["edge", text, "--listen", "127.0.0.1:0"]);
    Server::start_command(command, backup.with_extension("log"), &server.keys)
}

fn coat(id: &str, minutes: i64, total: i64) -> Value {
    let data = json!({"customer": {"email": "ana@example.com"}, "total": total});
    sale(id, &ago(minutes), data)
}

/// What the till that asked was told that a sale earns.
fn points(outcome: &Value) -> i64 {
    let entries = outcome["points"].as_array().expect("entries").iter();
    entries
        .map(|entry| entry["amount"].as_i64().expect("points"))
        .sum()
}

#[test]
fn a_copy_gives_the_figure_of_the_same_rules_and_the_server_says_how_its_own_differs() {
    let shop = Shop::new();
    shop.lay_over("merchant.toml", EDGE);
    let server = shop.serve();
    let ana = server.outcome(&coat("first", 60, 20_000))["customer"]["id"].clone();
    let ana = ana.as_str().expect("an id");
    let edge = edge(&shop, &server);
    let till = &server.keys.pos;

    // The same key, the same words, the same components.
    let figure = edge.post_as(till, "/v1/preview", &coat("coat", 5, 30_000));
    assert_eq!(
        (figure.status, points(&figure.body)),
        (200, 300),
        "{}",
        figure.body
    );
    let told = edge.post_as(till, "/v1/events", &coat("coat", 5, 30_000));
    assert_eq!(
        (told.status, points(&told.body)),
        (200, 300),
        "{}",
        told.body
    );
    assert_eq!(told.body["customer"]["balance"], 500);
    let notes = told.body["notes"].to_string();
    assert!(notes.contains("provisional: from a copy"), "{notes}");
    let meanwhile = server.get(&format!("/v1/customers/{ana}/balance"));
    assert_eq!(
        meanwhile["balance"], 200,
        "nothing of it reached the server"
    );

    // There is a line again. Meanwhile the shop has a rule that gives twice as much.
    let rule = shop.read("plugins/starter-points.toml");
    shop.write(
        "plugins/starter-points.toml",
        rule.replace("points = 1\n", "points = 2\n"),
    );
    binary::run(["plugin", "apply", shop.text()]).ok();
    let mut late = coat("coat", 5, 30_000);
    late["data"]["told_points"] = points(&told.body).into();
    let queue = json!([late]);
    let answers = server.post_as(till, "/v1/events", &queue);
    let counts = &answers.body[0];
    assert_eq!(
        counts["told_points"],
        json!({"told": 300, "earned": 600, "difference": 300}),
        "{counts}"
    );
    let notes = counts["notes"].to_string();
    assert!(
        notes.contains("the till told the customer 300 points, and it earned 600"),
        "{notes}"
    );
    let again = server.outcome(&late);
    assert_eq!(again["status"], "duplicate");
    assert_eq!(
        server.figure("stampcard_told_otherwise_total", &[]),
        Some(1.0)
    );
    assert_eq!(
        server.figure("stampcard_told_points_off_total", &[]),
        Some(300.0)
    );
    assert!(
        server
            .log()
            .contains("a till told another number of points"),
        "{}",
        server.log()
    );

    let mut right = coat("hat", 1, 1_000);
    right["data"]["told_points"] = 20.into();
    let right = server.outcome(&right);
    assert_eq!(right["told_points"]["difference"], 0, "{right}");
    assert!(
        !right["notes"].to_string().contains("told the customer"),
        "{right}"
    );
    shop.check();
}

#[test]
fn what_a_copy_knows_is_as_old_as_it_is_and_says_so() {
    let shop = Shop::new();
    shop.lay_over("merchant.toml", EDGE);
    let server = shop.serve();
    let ana = server.outcome(&coat("first", 60, 20_000))["customer"]["id"].clone();
    let ana = ana.as_str().expect("an id");
    let language = json!({"customer": {"id": ana}, "language": "es"});
    server.outcome(&event("customer.updated", "language", &ago(50), language));
    let before = Timestamp::now();
    let edge = edge(&shop, &server);
    server.outcome(&coat("later", 0, 10_000));
    let read = |at: &Server, page: &str| {
        let answer = at.get_as(&server.keys.pos, &format!("/v1/customers/{ana}/{page}"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    };
    // Until it is older than the shop wants.
    let oldest = std::time::Duration::from_millis(2_500);
    std::thread::sleep(oldest);
    for page in ["balance", "card", "offers"] {
        let old = read(&edge, page);
        let as_of: Timestamp = old["as_of"]
            .as_str()
            .expect("a time")
            .parse()
            .expect("a time");
        assert!(
            (before.as_second() - as_of.as_second()).abs() <= 10,
            "{old}"
        );
        let notice = old["notice"].as_str().expect("it is old");
        assert!(
            notice.starts_with("Saldo del 20"),
            "in the customer's language: {notice}"
        );
        assert_eq!(
            read(&server, page)["notice"],
            Value::Null,
            "the server itself is never old"
        );
    }
    assert_eq!(
        read(&edge, "balance")["balance"],
        200,
        "what it does not know"
    );
    assert_eq!(read(&server, "balance")["balance"], 300);
}

#[test]
fn nothing_is_done_at_a_copy_but_what_a_till_may_tell_afterwards() {
    let shop = Shop::new();
    let server = shop.serve();
    let ana = server.outcome(&coat("first", 60, 20_000))["customer"]["id"].clone();
    let edge = edge(&shop, &server);
    let refused = |path: &str, body: &Value| {
        let answer = edge.post_once(&server.keys.operator, path, "once", body);
        let kind = answer.body["type"].as_str().unwrap_or_default().to_owned();
        assert!(
            answer.status == 409 && kind.ends_with("/a-copy"),
            "{path}: {}",
            answer.body
        );
    };
    let wanted = json!({"customer": ana, "points": 100, "channel": "online"});
    refused("/v1/redemptions", &wanted);
    refused("/v1/customers", &json!({"email": "bo@example.com"}));
    let reserve = event("redemption.reserved", "r", &ago(1), wanted);
    refused("/v1/events", &reserve);
    let queue = edge.post_as(
        &server.keys.pos,
        "/v1/events",
        &json!([coat("coat", 1, 100), reserve]),
    );
    assert_eq!(
        (&queue.body[0]["status"], &queue.body[1]["code"]),
        (&json!("applied"), &json!("a-copy")),
        "{}",
        queue.body
    );
    let unknown = edge.get_as("sck_pos_nobody", "/v1/customers");
    assert_eq!(
        unknown.status, 401,
        "a key of nobody opens no copy: {}",
        unknown.body
    );
}

#[test]
fn what_is_no_backup_makes_no_copy() {
    let shop = Shop::new();
    shop.write("night.tar", "not a backup");
    let file = shop.path("night.tar");
    let ran = binary::run(["edge", file.to_str().expect("its name is UTF-8")]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("night.tar"), "{}", ran.stderr);
}
