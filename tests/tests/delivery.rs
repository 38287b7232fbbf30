//! Follow-ups that leave: signed, in time, once for each occasion, and only to whoever still wants them;
//! with receivers that fail, are slow and die, and a server that is killed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stampcard_tests::binary::{self, Ran};
use stampcard_tests::event::event;
use stampcard_tests::receiver::{Received, Receiver, Reply, delivery};
use stampcard_tests::{Server, Shop, sale};
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A shop that sends to this receiver.
fn shop_for(receiver: &Receiver, more: &str) -> Shop {
    let shop = Shop::new();
    let file = with_secret(&shop);
    shop.lay_over("merchant.toml", &receiver.delivery(&file, more));
    shop
}

/// Writes the secret beside the shop, and says where it is.
fn with_secret(shop: &Shop) -> String {
    shop.write("secret", SECRET);
    format!("file:{}", shop.path("secret").display())
}

fn ago(minutes: i64) -> String {
    let now = jiff::Timestamp::now();
    (now - jiff::SignedDuration::from_mins(minutes)).to_string()
}

/// Somebody who agreed to e-mail buys for the first time: a welcome is due at once.
fn comes(server: &Server, name: &str, minutes_ago: i64) {
    let email = format!("{name}@example.com");
    let made = json!({
        "customer": {"email": email}, "given_name": name, "language": "es",
        "consents": [{"purpose": "email", "granted": true}],
    });
    let id = format!("made-{name}");
    server.outcome(&event("customer.created", &id, &ago(minutes_ago + 1), made));
    let bought = json!({"channel": "online", "customer": {"email": email}, "total": 1_000});
    server.outcome(&sale(&format!("sale-{name}"), &ago(minutes_ago), bought));
}

/// The rows of the outbox in a state.
fn rows(server: &Server, state: &str) -> Vec<Value> {
    let page = server.get(&format!("/v1/outbox?state={state}&limit=500"));
    page["items"].as_array().expect("a list").clone()
}

#[track_caller]
fn wait_for_rows(server: &Server, state: &str, count: usize) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let rows = rows(server, state);
        if rows.len() >= count {
            return rows;
        }
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "{} of {count} are {state}; {:#}\n{}",
            rows.len(),
            server.get("/v1/outbox"),
            server.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `stampcard outbox VERB`, beside the server.
fn outbox(shop: &Shop, verb: &str, arguments: &[&str]) -> Ran {
    binary::run([&["outbox", verb, shop.text()], arguments].concat())
}

/// HMAC-SHA256 as RFC 2104 has it, written anew so that nothing is checked against itself.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let pad = |byte: u8| -> Vec<u8> {
        let mut block = vec![byte; 64];
        block.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
        block
    };
    let inner = Sha256::digest([pad(0x36), text.to_vec()].concat());
    Sha256::digest([pad(0x5c), inner.to_vec()].concat()).to_vec()
}

fn is_signed(message: &Received) -> bool {
    let secret = SECRET.strip_prefix("whsec_").expect("it begins so");
    let secret = BASE64.decode(secret).expect("it is base64");
    let (id, at) = (message.id(), &message.headers["webhook-timestamp"]);
    let signed = format!("{id}.{at}.{}", message.text);
    let wanted = format!("v1,{}", BASE64.encode(hmac(&secret, signed.as_bytes())));
    message.headers["webhook-signature"] == wanted
}

#[test]
fn a_follow_up_leaves_signed_with_what_its_channel_needs_and_leaves_once() {
    let receiver = Receiver::start(|_, _| Reply::status(204));
    let shop = shop_for(&receiver, "");
    let server = shop.serve();
    comes(&server, "Ana", 5);
    let message = receiver.wait_for(1).remove(0);
    assert!(is_signed(&message), "{message:?}");
    let now = jiff::Timestamp::now().as_second();
    let at: i64 = message.headers["webhook-timestamp"]
        .parse()
        .expect("seconds");
    assert!((now - 60..=now).contains(&at), "{at}");
    let body = message.body();
    assert_eq!(body["type"], "follow-up.due");
    let data = &body["data"];
    for (field, wanted) in [
        ("id", json!(message.id())),
        ("shop", json!("shop")),
        ("channel", json!("email")),
        ("to", json!({"email": "ana@example.com"})),
        ("template", json!("welcome")),
        ("language", json!("es")),
        ("purpose", json!("marketing")),
        ("attempt", json!(1)),
        ("event", json!({"source": "till-1", "id": "sale-Ana"})),
    ] {
        assert_eq!(data[field], wanted, "{field}: {data:#}");
    }
    let sent = wait_for_rows(&server, "sent", 1).remove(0);
    assert_eq!(
        (&sent["message"], &sent["attempts"]),
        (&json!(message.id()), &json!(1))
    );
    // A sale that comes late has everything since decided again, and nobody is welcomed twice.
    let late = json!({"channel": "online", "customer": {"email": "ana@example.com"}, "total": 500});
    server.outcome(&sale("late", &ago(6), late));
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(receiver.received().len(), 1);
    assert_eq!(
        server.figure("stampcard_deliveries_total", &["sent"]),
        Some(1.0)
    );
    server.stop();
    shop.check();
}

#[test]
fn a_receiver_that_fails_is_asked_again_under_the_same_name() {
    let receiver = Receiver::start(|number, _| Reply::status(if number < 2 { 500 } else { 200 }));
    let shop = shop_for(&receiver, "retry_seconds = 1\nattempts = 3");
    let server = shop.serve();
    comes(&server, "Ana", 5);
    let received = receiver.wait_for(3);
    let names: BTreeSet<&str> = received.iter().map(Received::id).collect();
    assert_eq!(names.len(), 1, "each attempt has the same name");
    let attempts: Vec<Value> = received
        .iter()
        .map(|it| it.body()["data"]["attempt"].clone())
        .collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert!(received.iter().all(is_signed));
    let waits: Vec<u128> = received
        .windows(2)
        .map(|pair| (pair[1].at - pair[0].at).as_millis())
        .collect();
    assert!(waits[0] >= 800 && waits[1] >= 2_400, "{waits:?}");
    assert_eq!(wait_for_rows(&server, "sent", 1)[0]["attempts"], 3);
    assert_eq!(
        server.figure("stampcard_deliveries_total", &["failed"]),
        Some(2.0)
    );
}

#[test]
fn what_was_tried_often_enough_waits_for_a_person_who_sends_it_again_or_drops_it() {
    let receiver = Receiver::start(|number, _| Reply::status(if number < 4 { 500 } else { 200 }));
    let shop = shop_for(&receiver, "retry_seconds = 1\nattempts = 2");
    let server = shop.serve();
    comes(&server, "Ana", 5);
    comes(&server, "Bo", 5);
    let dead = wait_for_rows(&server, "dead", 2);
    assert_eq!(
        dead[0]["problem"],
        "the receiver answered 500 Internal Server Error"
    );
    assert_eq!(server.figure("stampcard_outbox_dead", &[]), Some(2.0));
    let listed = outbox(&shop, "list", &["--state", "dead", "--json"]);
    assert_eq!(listed.code, 1, "somebody should look");
    assert_eq!(listed.json().as_array().map(Vec::len), Some(2));
    let said = shop.run("doctor", &[]).stdout;
    assert!(said.contains("2 could not be delivered"), "{said}");
    // The receiver is mended: one is sent again by the command, beside the server, and one is dropped.
    let number = |row: &Value| row["id"].to_string();
    let again = outbox(&shop, "retry", &[&number(&dead[0]), "--json"]);
    assert_eq!(
        (again.json()["done"].clone(), again.code),
        (json!([dead[0]["id"]]), 0)
    );
    let sent = wait_for_rows(&server, "sent", 1).remove(0);
    assert_eq!(
        sent["message"], dead[0]["message"],
        "under the name that it had"
    );
    let path = format!("/v1/outbox/{}/drop", number(&dead[1]));
    let dropped = server.post_as(&server.keys.operator, &path, &json!({}));
    assert_eq!(
        (dropped.status, &dropped.body["state"]),
        (200, &json!("dropped"))
    );
    let retry = format!("/v1/outbox/{}/retry", number(&dead[0]));
    let twice = server.post_as(&server.keys.operator, &retry, &json!({}));
    assert_eq!(
        (twice.status, &twice.body["code"]),
        (409, &json!("not-in-this-state"))
    );
    let till = server.post_as(&server.keys.pos, &path, &json!({}));
    assert_eq!(till.status, 403);
    let nobody = server.post_as(&server.keys.operator, "/v1/outbox/999/retry", &json!({}));
    assert_eq!(nobody.status, 404);
    assert_eq!(outbox(&shop, "retry", &["999"]).code, 1);
    assert_eq!(rows(&server, "dead").len(), 0);
}

#[test]
fn a_receiver_that_asks_for_time_gets_it() {
    let busy = Reply {
        retry_after: Some(4),
        ..Reply::status(429)
    };
    let receiver = Receiver::start(move |number, _| match number {
        0 => busy.clone(),
        _ => Reply::status(200),
    });
    let shop = shop_for(&receiver, "retry_seconds = 1\nat_once = 1");
    let server = shop.serve();
    comes(&server, "Ana", 5);
    receiver.wait_for(1);
    comes(&server, "Bo", 5);
    let received = receiver.wait_for(3);
    for later in &received[1..] {
        let waited = later.at - received[0].at;
        assert!(waited >= Duration::from_millis(3_900), "{waited:?}");
    }
}

#[test]
fn a_slow_receiver_holds_up_no_till_and_is_sent_no_more_than_it_bears() {
    let slow = Reply {
        after: Duration::from_secs(4),
        ..Reply::status(200)
    };
    let receiver = Receiver::start(move |_, _| slow.clone());
    let shop = shop_for(&receiver, "at_once = 2");
    let server = shop.serve();
    for name in ["Ana", "Bo", "Cy"] {
        comes(&server, name, 5);
    }
    receiver.wait_for(2);
    for number in 0..20 {
        server.outcome(&sale(&format!("n{number}"), &ago(0), json!({"total": 100})));
    }
    assert!(
        rows(&server, "sent").is_empty(),
        "the tills were faster than the receiver"
    );
    wait_for_rows(&server, "sent", 3);
    assert_eq!((receiver.received().len(), receiver.most_at_once()), (3, 2));
}

#[test]
fn a_server_that_is_killed_goes_on_where_it_was_and_loses_nothing() {
    let slow = Reply {
        after: Duration::from_millis(30),
        ..Reply::status(200)
    };
    let receiver = Receiver::start(move |_, _| slow.clone());
    // They come while nobody sends.
    let shop = Shop::new();
    let secret = with_secret(&shop);
    let names: Vec<String> = (0..40).map(|number| format!("c{number}")).collect();
    let server = shop.serve();
    for name in &names {
        comes(&server, name, 5);
    }
    server.stop();
    let sends = receiver.delivery(&secret, "at_once = 2");
    shop.lay_over("merchant.toml", &sends);
    let kills = [8, 20];
    for wanted in kills {
        let server = shop.serve();
        receiver.wait_for(wanted);
        server.kill();
    }
    let server = shop.serve();
    wait_for_rows(&server, "sent", names.len());
    let mut by_name: BTreeMap<String, u32> = BTreeMap::new();
    let mut whom = BTreeSet::new();
    for message in receiver.received() {
        *by_name.entry(message.id().to_owned()).or_default() += 1;
        whom.insert(message.body()["data"]["to"]["email"].to_string());
    }
    assert_eq!(
        (by_name.len(), whom.len()),
        (names.len(), names.len()),
        "each occasion has one name"
    );
    // What was under way, or sent and not noted yet, is sent again: a round for each kill at the most.
    let again: u32 = by_name.values().map(|count| count - 1).sum();
    assert!(again <= kills.len() as u32 * 64, "{again}");
    server.stop();
    shop.check();
}

#[test]
fn whoever_has_changed_their_mind_or_is_forgotten_is_not_written_to() {
    // Nobody is there yet, so everything waits.
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("it is bound")
    };
    let shop = Shop::new();
    let secret = with_secret(&shop);
    shop.lay_over(
        "merchant.toml",
        &delivery(&address, &secret, "retry_seconds = 2"),
    );
    let server = shop.serve();
    for name in ["Ana", "Bo", "Cy"] {
        comes(&server, name, 5);
    }
    // A week ago is too late to be welcomed.
    comes(&server, "Old", 7 * 24 * 60);
    let no =
        json!({"customer": {"email": "Ana@example.com"}, "purpose": "email", "granted": false});
    server.outcome(&event("consent.changed", "no", &ago(0), no));
    let of_bo = server.get("/v1/customers?email=Bo@example.com")["items"][0]["id"].clone();
    let bo = format!("/v1/customers/{}", of_bo.as_str().expect("an id"));
    let deleted = server.delete_as(&server.keys.operator, &bo);
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    let receiver = Receiver::at(&address.to_string(), |_, _| Reply::status(200));
    wait_for_rows(&server, "sent", 1);
    wait_for_rows(&server, "suppressed", 1);
    wait_for_rows(&server, "too-late", 1);
    assert!(!rows(&server, "cancelled").is_empty(), "those of Bo");
    std::thread::sleep(Duration::from_millis(2_500));
    let received = receiver.received();
    let whom: Vec<Value> = received
        .iter()
        .map(|it| it.body()["data"]["to"]["email"].clone())
        .collect();
    assert_eq!(whom, ["cy@example.com"]);
}

#[test]
fn marketing_waits_for_the_morning_and_service_does_not() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let here = jiff::Zoned::now()
        .in_tz("America/New_York")
        .expect("a zone");
    let wall = |hours: i64| {
        let then = &here + jiff::SignedDuration::from_hours(hours);
        format!("{:02}:{:02}", then.hour(), then.minute())
    };
    let quiet = format!(
        "quiet = {{ from = \"{}\", to = \"{}\" }}",
        wall(-2),
        wall(2)
    );
    let shop = shop_for(&receiver, &quiet);
    let server = shop.serve();
    comes(&server, "Ana", 5);
    let back = json!({
        "sale": {"source": "till-1", "id": "sale-Ana"}, "channel": "pos", "location": "soho",
        "currency": "USD", "amount": 1_000, "lines": [{"line": 1, "quantity": 1, "amount": 1_000}],
    });
    server.outcome(&event("return.completed", "back", &ago(1), back));
    let received = receiver.wait_for(1);
    assert_eq!(received[0].body()["data"]["template"], "return_received");
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(receiver.received().len(), 1);
    let waiting = server.get("/v1/outbox");
    let waiting = waiting["items"].as_array().expect("a list");
    let welcome = waiting.iter().find(|row| row["template"] == "welcome");
    if let Some(welcome) = welcome {
        assert!(welcome["next_attempt_at"].is_string(), "{welcome}");
    }
    assert!(rows(&server, "dead").is_empty());
}

#[test]
fn without_its_secret_nothing_leaves_and_the_log_says_why() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let shop = shop_for(&receiver, "");
    shop.write("secret", "not-a-secret");
    let server = shop.serve();
    comes(&server, "Ana", 5);
    std::thread::sleep(Duration::from_millis(2_500));
    assert!(receiver.received().is_empty());
    let log = server.log();
    assert_eq!(log.matches("nothing is sent").count(), 1, "{log}");
    assert!(!log.contains("not-a-secret"), "{log}");
    shop.write("secret", SECRET);
    receiver.wait_for(1);
}

#[test]
fn a_letter_goes_to_each_household_once_and_to_nobody_who_has_not_agreed() {
    let shop = Shop::new();
    let lives = |name: &str, minutes_ago: i64, line1: &str, agrees: bool| {
        let address =
            json!({"line1": line1, "city": "New York", "postal_code": "10012", "country": "US"});
        let data = json!({
            "customer": {"email": format!("{name}@example.com")}, "given_name": name, "addresses": [address],
            "consents": [{"purpose": "post", "granted": agrees}],
        });
        event("customer.created", name, &ago(minutes_ago), data)
    };
    shop.ingest(&[
        lives("Ana", 13, "12 West 3rd Street, Apt 4", true),
        lives("Bo", 12, "12 W 3rd St Apartment #4", true),
        lives("Cy", 11, "14 West 3rd Street", true),
        lives("Di", 10, "14 West 3rd Street", false),
    ]);
    let letters = shop.exported("mail", &[]);
    let told: Vec<(&Value, usize)> = letters
        .iter()
        .map(|it| (&it["name"], it["others"].as_array().map_or(0, Vec::len)))
        .collect();
    assert_eq!(told, [(&json!("Ana"), 1), (&json!("Cy"), 0)]);
    assert_eq!(letters[0]["others"][0]["name"], "Bo");
    assert_eq!(letters[0]["address"]["line1"], "12 West 3rd Street, Apt 4");
    let ran = shop.run("export", &["mail", "--canonical"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

#[test]
fn what_was_sent_to_two_is_not_sent_again_when_they_become_one_or_two_again() {
    let receiver = Receiver::start(|_, _| Reply::status(200));
    let shop = shop_for(&receiver, "");
    let server = shop.serve();
    comes(&server, "Ana", 5);
    comes(&server, "Bo", 4);
    wait_for_rows(&server, "sent", 2);
    let [ana, bo] = ["Ana", "Bo"].map(|name| {
        let found = server.get(&format!("/v1/customers?email={name}@example.com"));
        found["items"][0]["id"].as_str().expect("an id").to_owned()
    });
    let asked = json!({"other": bo, "confirmed_on": "document", "reason": "registered twice"});
    let path = format!("/v1/customers/{ana}/merge");
    let merged = server.post_as(&server.keys.operator, &path, &asked);
    assert_eq!(merged.status, 200, "{}", merged.body);
    let asked = json!({"other": bo, "reason": "mother and daughter"});
    let path = format!("/v1/customers/{ana}/unmerge");
    let parted = server.post_as(&server.keys.operator, &path, &asked);
    assert_eq!(parted.status, 200, "{}", parted.body);
    std::thread::sleep(Duration::from_millis(2_500));
    let received = receiver.received();
    let names: Vec<&str> = received.iter().map(Received::id).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    server.stop();
    shop.check();
}
