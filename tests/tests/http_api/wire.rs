//! On the wire: what a client library never sends and somebody does.

use crate::client::{ago, get, send};
use serde_json::{Value, json};
use stampcard_tests::{Server, Shop, sale};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

fn connect(server: &Server) -> TcpStream {
    let address = server.address.strip_prefix("http://").expect("an address");
    let stream = TcpStream::connect(address).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a time limit");
    stream
}

/// Sends bytes and reads until the server closes or nothing more comes.
fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = connect(server);
    stream.write_all(bytes).expect("it is taken");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn every_answer_has_a_request_id_and_is_kept_by_nobody() {
    let shop = Shop::new();
    let server = shop.serve();
    let mine = get("/v1/customers")
        .key(&server.keys.pos)
        .header("x-request-id", "till-1.42")
        .to(&server);
    assert_eq!(mine.header("x-request-id"), Some("till-1.42"));
    assert_eq!(
        (
            mine.header("cache-control"),
            mine.header("x-content-type-options")
        ),
        (Some("no-store"), Some("nosniff"))
    );
    let evil = get("/v1/nothing")
        .header("x-request-id", "a b{}")
        .to(&server);
    let id = evil.header("x-request-id").expect("a new one").to_owned();
    assert!(!id.contains(' ') && evil.body["request"] == id, "{evil:?}");
    assert_ne!(
        get("/healthz").to(&server).header("x-request-id"),
        get("/healthz").to(&server).header("x-request-id")
    );
    assert!(
        server.log().contains(&id),
        "the log knows the request by its id:\n{}",
        server.log()
    );
}

#[test]
fn what_is_not_http_is_turned_away_and_the_server_goes_on() {
    let shop = Shop::new();
    let server = shop.serve();
    let long = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx-long: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00".as_slice(),
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        long.as_bytes(),
    ] {
        let mut stream = connect(&server);
        // The server may close before it has read everything.
        stream.write_all(bytes).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    assert_eq!(get("/healthz").to(&server).status, 200);
}

#[test]
fn a_body_that_is_declared_too_large_is_refused_before_it_is_sent() {
    let shop = Shop::new();
    let server = shop.serve();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\nconnection: close\r\n\r\n",
        server.keys.pos
    );
    let answer = raw(&server, head.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(
        answer.contains("application/problem+json") && answer.contains("\"too-large\""),
        "{answer}"
    );
}

#[test]
fn a_till_that_goes_away_in_the_middle_of_a_body_leaves_nothing() {
    let shop = Shop::new();
    let server = shop.serve();
    let event = sale(
        "1",
        &ago(5),
        json!({"customer": {"email": "ana@example.com"}, "total": 1_000}),
    )
    .to_string();
    let mut stream = connect(&server);
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        server.keys.pos,
        event.len()
    );
    stream.write_all(head.as_bytes()).expect("it is taken");
    stream
        .write_all(&event.as_bytes()[..event.len() - 1])
        .expect("it is taken");
    drop(stream);
    assert_eq!(
        get("/v1/customers").key(&server.keys.pos).to(&server).body["items"],
        json!([])
    );
    let whole: Value = serde_json::from_str(&event).expect("JSON");
    assert_eq!(server.outcome(&whole)["status"], "applied");
}

#[test]
fn head_and_get_answer_alike_and_a_connection_serves_many_requests() {
    let shop = Shop::new();
    let server = shop.serve();
    let answer = raw(
        &server,
        b"HEAD /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    );
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
    let two = "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answers = raw(&server, two.as_bytes());
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
}

#[test]
fn a_server_that_has_too_much_to_do_says_when_to_come_again_and_loses_nothing() {
    let shop = Shop::new();
    shop.lay_over("stampcard.toml", "lanes = 1\nqueue = 1");
    let server = shop.serve();
    let event = |till: usize, number: usize| {
        sale(
            &format!("{till}-{number}"),
            &ago(300 - number as i64),
            json!({"customer": {"email": format!("c{till}@example.com")}, "total": 1_000}),
        )
    };
    let turned_away: usize = std::thread::scope(|scope| {
        let (server, event) = (&server, &event);
        let tills: Vec<_> = (0..16)
            .map(|till| {
                scope.spawn(move || {
                    let mut again = 0;
                    for number in 0..20 {
                        loop {
                            let answer = send("POST", "/v1/events", &event(till, number))
                                .key(&server.keys.pos)
                                .to(server);
                            if answer.status == 200 {
                                break;
                            }
                            assert_eq!((answer.status, answer.problem()), (503, "overloaded"));
                            assert_eq!(answer.header("retry-after"), Some("1"));
                            again += 1;
                        }
                    }
                    again
                })
            })
            .collect();
        tills
            .into_iter()
            .map(|till| till.join().expect("no till panicked"))
            .sum()
    });
    assert!(turned_away > 0, "sixteen tills at one place are too many");
    let batch: Vec<Value> = (100..200).map(|number| event(0, number)).collect();
    let answers = send("POST", "/v1/events", &Value::from(batch))
        .key(&server.keys.pos)
        .to(&server)
        .ok();
    assert!(
        answers
            .as_array()
            .is_some_and(|items| items.iter().all(|item| item["status"] == "applied")),
        "a batch waits for its own places"
    );
    for till in 0..16 {
        let found = server.get(&format!("/v1/customers?email=c{till}@example.com"));
        assert_eq!(
            found["items"][0]["orders"],
            if till == 0 { 120 } else { 20 },
            "{found}"
        );
    }
    server.stop();
    shop.check();
}

#[test]
fn a_server_that_is_asked_to_end_answers_what_it_has_taken() {
    let shop = Shop::new();
    let server = shop.serve();
    let batch: Vec<Value> = (0..300)
        .map(|number| sale(&number.to_string(), &ago(600 - number), json!({"customer": {"email": format!("c{}@example.com", number % 7)}, "total": 1_000})))
        .collect();
    let answers = std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            send("POST", "/v1/events", &Value::from(batch))
                .key(&server.keys.pos)
                .to(&server)
        });
        // Not before the server has begun with it.
        while server.get("/v1/customers")["items"] == json!([]) {
            std::thread::sleep(Duration::from_millis(1));
        }
        server.signal(rustix::process::Signal::TERM);
        asked.join().expect("the till got an answer")
    });
    assert_eq!(answers.status, 200, "{answers:?}");
    let applied = answers
        .body
        .as_array()
        .expect("a list")
        .iter()
        .filter(|item| item["status"] == "applied")
        .count();
    let began = Instant::now();
    while TcpStream::connect(server.address.strip_prefix("http://").expect("an address")).is_ok() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "it still takes connections"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    server.wait();
    let kept = shop
        .exported("events", &[])
        .iter()
        .filter(|row| row["event"]["kind"] == "sale.completed")
        .count();
    assert_eq!(
        kept, applied,
        "what was answered is there, and nothing else"
    );
    assert_eq!(applied, 300, "a request that was taken is answered whole");
    shop.check();
}
