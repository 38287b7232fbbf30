//! `GET /v1/stream`: everything that was answered, in order, once, to whoever may see it; and nobody
//! waits for a reader.

use crate::client::{ago, get};
use serde_json::{Value, json};
use stampcard_tests::{Server, Shop, sale};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long a test waits for what must come.
const COMES_MAX: Duration = Duration::from_secs(30);

/// One reader, on a socket of its own.
struct Reader {
    lines: BufReader<TcpStream>,
    /// The last id, as a browser would keep it.
    token: Option<i64>,
}

/// What came.
#[derive(Debug, PartialEq)]
enum Came {
    Outcome(Value),
    Resume(Value),
    StillHere,
    End,
}

impl Reader {
    fn open(server: &Server, key: &str, query: &str, token: Option<i64>) -> Reader {
        let address = server.address.trim_start_matches("http://");
        let mut socket = TcpStream::connect(address).expect("the server listens");
        socket
            .set_read_timeout(Some(COMES_MAX))
            .expect("a time limit");
        let token_line = token.map_or(String::new(), |token| format!("last-event-id: {token}\r\n"));
        let request = format!(
            "GET /v1/stream{query} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n{token_line}\r\n"
        );
        socket.write_all(request.as_bytes()).expect("it is sent");
        Reader {
            lines: BufReader::new(socket),
            token,
        }
    }

    /// Reads the head, which must say that it is a stream.
    #[track_caller]
    fn begun(mut self) -> Reader {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(
                self.lines.read_line(&mut head).expect("a head") > 0,
                "{head}"
            );
        }
        let head = head.to_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        self
    }

    /// The next event. A chunk of the transfer is one event, because each is sent by itself; its
    /// size stands on a line before it.
    fn next(&mut self) -> Came {
        let mut size = String::new();
        self.lines.read_line(&mut size).expect("a chunk comes");
        let size = usize::from_str_radix(size.trim(), 16).expect("a size");
        if size == 0 {
            return Came::End;
        }
        let (mut kind, mut data, mut read) = (String::new(), None, 0);
        while read < size {
            let mut line = String::new();
            read += self.lines.read_line(&mut line).expect("a line");
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => self.token = Some(id.parse().expect("a number")),
                Some(("event", event)) => kind = event.to_owned(),
                Some(("data", text)) => data = Some(serde_json::from_str(text).expect("JSON")),
                _ => {}
            }
        }
        self.lines.read_line(&mut String::new()).expect("its end");
        match (kind.as_str(), data) {
            ("outcome", Some(item)) => Came::Outcome(item),
            ("resume", Some(item)) => Came::Resume(item),
            _ => Came::StillHere,
        }
    }

    /// The next outcome.
    #[track_caller]
    fn outcome(&mut self) -> Value {
        loop {
            match self.next() {
                Came::Outcome(item) => {
                    assert_eq!(item["number"], json!(self.token), "its id is its number");
                    return item;
                }
                Came::StillHere => {}
                other => panic!("{other:?} instead of an outcome"),
            }
        }
    }

    fn ids(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| id(&self.outcome())).collect()
    }
}

fn id(item: &Value) -> String {
    item["outcome"]["event"]["id"]
        .as_str()
        .expect("an outcome names its event")
        .to_owned()
}

fn of(who: &str, id: &str) -> Value {
    let customer = json!({"email": format!("{who}@example.com")});
    sale(id, &ago(5), json!({"customer": customer, "total": 1_000}))
}

#[test]
fn what_was_answered_comes_in_the_order_of_the_journal_with_the_answer_itself() {
    let shop = Shop::new();
    let server = shop.serve();
    server.outcome(&of("ana", "before"));
    let mut stream = Reader::open(&server, &server.keys.read, "", None).begun();
    assert_eq!(stream.next(), Came::StillHere, "a token comes first");
    let start = stream.token.expect("a token");
    let first = of("ana", "s-0");
    for number in 0..20 {
        let name = format!("s-{number}");
        let event = if number == 0 {
            first.clone()
        } else {
            of("ana", &name)
        };
        let told = server.outcome(&event);
        let item = stream.outcome();
        assert_eq!(id(&item), name, "what was there before is not told again");
        assert_eq!(item["outcome"]["customer"], told["customer"]);
        assert_eq!(item["outcome"]["points"], told["points"]);
        assert_eq!(item["type"], "sale.completed");
        assert!(item["number"].as_i64() > Some(start));
    }
    // A duplicate is answered and did nothing: it is not told.
    assert_eq!(server.outcome(&first)["status"], "duplicate");
    server.outcome(&of("ana", "last"));
    assert_eq!(id(&stream.outcome()), "last");
}

#[test]
fn who_comes_again_with_the_last_id_misses_nothing_and_gets_nothing_twice() {
    let shop = Shop::new();
    let server = shop.serve();
    let mut stream = Reader::open(&server, &server.keys.read, "", None).begun();
    server.outcome(&of("ana", "1"));
    server.outcome(&of("bea", "2"));
    assert_eq!(stream.ids(1), ["1"]);
    let token = stream.token;
    drop(stream);
    server.outcome(&of("ana", "3"));
    let mut again = Reader::open(&server, &server.keys.read, "", token).begun();
    assert_eq!(again.ids(2), ["2", "3"]);
    let mut whole = Reader::open(&server, &server.keys.read, "?after=0", None).begun();
    assert_eq!(whole.ids(3), ["1", "2", "3"]);
    let mut header_first = Reader::open(&server, &server.keys.read, "?after=0", token).begun();
    assert_eq!(header_first.ids(1), ["2"], "the token goes above `after`");

    // And over a restart: the token is a place in the journal, not in the server.
    let last = again.token;
    server.stop();
    let server = shop.serve();
    server.outcome(&of("bea", "4"));
    let mut later = Reader::open(&server, &server.keys.read, "", last).begun();
    assert_eq!(later.ids(1), ["4"]);
}

#[test]
fn one_customers_stream_has_nothing_of_others_and_its_token_moves_on_all_the_same() {
    let shop = Shop::new();
    let server = shop.serve();
    let ana = server.outcome(&of("ana", "1"))["customer"]["id"].clone();
    let ana = ana.as_str().expect("an id");
    let query = format!("?customer={ana}");
    let mut stream = Reader::open(&server, &server.keys.pos, &query, None).begun();
    assert_eq!(stream.next(), Came::StillHere);
    let start = stream.token;
    for number in 0..5 {
        server.outcome(&of("bea", &format!("b-{number}")));
    }
    server.outcome(&of("ana", "2"));
    assert_eq!(stream.ids(1), ["2"]);
    server.outcome(&of("bea", "b-last"));
    let before = stream.token;
    // The heartbeat of a silent stream carries the token past what is not for it.
    assert_eq!(stream.next(), Came::StillHere);
    assert!(stream.token > before && before > start);
    let nobody = get("/v1/stream?customer=cus_nobody")
        .key(&server.keys.pos)
        .to(&server);
    assert_eq!((nobody.status, nobody.problem()), (404, "no-such-customer"));
}

#[test]
fn a_token_that_cannot_be_is_refused_and_says_where_the_journal_ends() {
    let shop = Shop::new();
    let server = shop.serve();
    server.outcome(&of("ana", "1"));
    for (token, query) in [("999999", ""), ("-1", ""), ("x", ""), ("", "?after=999999")] {
        let answer = get(&format!("/v1/stream{query}"))
            .key(&server.keys.read)
            .header("last-event-id", token)
            .to(&server);
        assert_eq!(
            (answer.status, answer.problem()),
            (400, "bad-cursor"),
            "{token:?} {query}"
        );
    }
    let misspelt = get("/v1/stream?custommer=x")
        .key(&server.keys.read)
        .to(&server);
    assert_eq!((misspelt.status, misspelt.problem()), (400, "bad-query"));
}

#[test]
fn nobody_is_named_in_a_stream() {
    let shop = Shop::new();
    shop.write(
        "plugins/starter-follow-ups.toml",
        "pack = \"starter-follow-ups\"\npersonal = [\"name\"]\ngrant = [\"name\"]\n\n[config.rules.thanks]\non = [\"sale\"]\n\
         receipt = [\"Thank you, {first_name|friend}.\"]\n",
    );
    let server = shop.serve();
    let mut stream = Reader::open(&server, &server.keys.operator, "", None).begun();
    let profile = json!({"customer": {"email": "ana@example.com"}, "given_name": "Anastasia"});
    server.outcome(&stampcard_tests::event::event(
        "customer.created",
        "made",
        &ago(60),
        profile,
    ));
    let told = server.outcome(&of("ana", "1"));
    assert!(
        told.to_string().contains("Anastasia"),
        "the till may say her name: {told}"
    );
    for _ in 0..2 {
        let item = stream.outcome().to_string();
        assert!(
            !item.contains("Anastasia") && !item.contains("example.com"),
            "{item}"
        );
    }
}

#[test]
fn a_reader_that_does_not_read_slows_no_till_and_loses_nothing() {
    const SALES: usize = 1_500;
    let shop = Shop::new();
    let server = shop.serve();
    // It has a stream, and reads nothing of it.
    let asleep = Reader::open(&server, &server.keys.read, "?after=0", None);
    let names: Vec<String> = (0..SALES).map(|number| format!("s-{number}")).collect();
    let begun = Instant::now();
    for part in names.chunks(100) {
        let batch: Vec<Value> = part.iter().map(|name| of("ana", name)).collect();
        let answer = server.send(&json!(batch));
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert!(begun.elapsed() < COMES_MAX, "{:?}", begun.elapsed());
    // Now it wakes up. If it was told to come again meanwhile, it does.
    let mut stream = asleep.begun();
    let mut got = Vec::new();
    while got.len() < SALES {
        match stream.next() {
            Came::Outcome(item) => got.push(id(&item)),
            Came::StillHere => {}
            Came::Resume(_) => {}
            Came::End => {
                stream = Reader::open(&server, &server.keys.read, "", stream.token).begun();
            }
        }
    }
    assert_eq!(got, names);
}

#[test]
fn streams_end_when_the_server_stops_and_when_their_key_does() {
    let shop = Shop::new();
    let server = shop.serve();
    let without = get("/v1/stream").to(&server);
    assert_eq!((without.status, without.problem()), (401, "no-key"));
    let mut doomed = Reader::open(&server, &server.keys.pos, "", None).begun();
    let mut other = Reader::open(&server, &server.keys.read, "", None).begun();
    assert_eq!(doomed.next(), Came::StillHere);
    assert_eq!(other.next(), Came::StillHere);
    let database = rusqlite::Connection::open(shop.database()).expect("a database");
    database
        .execute("UPDATE api_keys SET revoked_at = 0 WHERE role = 'pos'", [])
        .expect("the key is revoked");
    drop(database);
    while doomed.next() != Came::End {}
    let refused = get("/v1/stream").key(&server.keys.pos).to(&server);
    assert_eq!((refused.status, refused.problem()), (401, "unknown-key"));
    let begun = Instant::now();
    server.stop();
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    let mut last = Vec::new();
    loop {
        match other.next() {
            Came::End => break,
            came => last.push(came),
        }
    }
    assert!(
        matches!(last.last(), Some(Came::Resume(resume)) if resume["after"] == json!(other.token)),
        "{last:?}"
    );
}
