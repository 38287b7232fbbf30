//! What a till waits for: one `POST /v1/events` under load, beside a server that does nothing but
//! write one row durably; and how long a start takes.
//!
//! Two loads. *Full speed*: each till sends the next sale when it has the answer, which tells how
//! many answers a second there are. *Paced*: each sends at its own beat whether answers are slow or
//! not, and waits are counted from the beat, which tells what a till waits for in an open shop.

use super::Figure;
use crate::Failure;
use crate::cargo::{cargo, must};
use serde_json::{Value, json};
use stampcard_tests::binary;
use stampcard_tests::server::Client;
use stampcard_tests::{Shop, sale};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TILLS: usize = 8;
/// Between two sales of one till: 400 sales a second in all, far more than shops have and less
/// than either server can do.
const BEAT: Duration = Duration::from_millis(20);

pub fn measure(quick: bool) -> Result<Vec<Figure>, Failure> {
    let posts = if quick { 2_000 } else { 20_000 };
    let shop = Shop::new();
    let server = shop.serve();
    let clients: Vec<Client> = (0..TILLS).map(|_| server.client()).collect();
    let ours = Waits::of(posts, &clients);
    let memory = server.memory();
    server.stop();
    let start = Instant::now();
    let server = shop.serve();
    let warm = start.elapsed();
    server.stop();

    must(cargo(&[
        "build",
        "--release",
        "--package",
        "stampcard-tests",
        "--example",
        "one_row",
    ]))?;
    let one_row = OneRow::start()?;
    let clients: Vec<Client> = (0..TILLS)
        .map(|_| Client::new(&one_row.address, "none"))
        .collect();
    let theirs = Waits::of(posts, &clients);

    let mut figures = vec![
        Figure::new("POST /v1/events, 8 tills, median", ours.median, "ms", ""),
        Figure::new("POST /v1/events, 8 tills, 99 %", ours.p99, "ms", ""),
        Figure::new(
            "one row written durably by axum, median",
            theirs.median,
            "ms",
            "",
        ),
        Figure::new(
            "one row written durably by axum, 99 %",
            theirs.p99,
            "ms",
            "",
        ),
        Figure::new(
            "99 % of the POST over 99 % of the row",
            ours.p99 / theirs.p99,
            "times",
            "at most 2",
        ),
        Figure::new(
            "POST /v1/events at full speed",
            ours.a_second,
            "a second",
            "",
        ),
        Figure::new(
            "one row by axum at full speed",
            theirs.a_second,
            "a second",
            "",
        ),
        Figure::new(
            "start, plugins compiled before",
            warm.as_secs_f64() * 1_000.0,
            "ms",
            "at most 500",
        ),
    ];
    if let Some(memory) = memory {
        figures.push(Figure::new(
            "memory of the server after that",
            memory as f64 / f64::from(1 << 20),
            "MiB",
            "",
        ));
    }
    Ok(figures)
}

/// What the tills of one server saw.
struct Waits {
    /// Paced, in milliseconds.
    median: f64,
    p99: f64,
    /// At full speed.
    a_second: f64,
}

impl Waits {
    fn of(posts: usize, clients: &[Client]) -> Waits {
        let began = Instant::now();
        send(posts, clients, None);
        let a_second = posts as f64 / began.elapsed().as_secs_f64();
        let mut waits = send(posts / 4, clients, Some(BEAT));
        waits.sort();
        let share =
            |percent: usize| waits[(waits.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
        Waits {
            median: share(50),
            p99: share(99),
            a_second,
        }
    }
}

/// Sends so many sales, one after the other from each till or each at its beat, and says how long
/// the answers took.
fn send(posts: usize, clients: &[Client], beat: Option<Duration>) -> Vec<Duration> {
    let began = Instant::now();
    let each = posts / clients.len();
    let till = |till: usize| {
        let wait = |number: usize| {
            let sale = one_sale(till * each + number, beat.is_some());
            let asked = match beat {
                Some(beat) => {
                    // The beats of the tills lie evenly beside each other.
                    let first = began + beat * till as u32 / clients.len() as u32;
                    let due = first + beat * number as u32;
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    due
                }
                None => Instant::now(),
            };
            let answer = clients[till].send(&sale).expect("the server answers");
            assert_eq!(answer.status, 200, "{}", answer.body);
            asked.elapsed()
        };
        (0..each).map(wait).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let tills: Vec<_> = (0..clients.len())
            .map(|number| scope.spawn(move || till(number)))
            .collect();
        tills
            .into_iter()
            .flat_map(|till| till.join().expect("no till panicked"))
            .collect()
    })
}

fn one_sale(number: usize, paced: bool) -> Value {
    let load = if paced { "paced" } else { "full" };
    let customer = json!({"email": format!("customer-{}@example.com", number % 1_000)});
    let at = jiff::Timestamp::now();
    sale(
        &format!("{load}-{number}"),
        &at.to_string(),
        json!({"customer": customer, "total": 1_000 + number}),
    )
}

/// The server to compare with.
struct OneRow {
    child: std::process::Child,
    address: String,
}

impl OneRow {
    fn start() -> Result<OneRow, Failure> {
        let path = binary::target().join("release/examples/one_row");
        let program = path.display().to_string();
        let mut child = Command::new(&path)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| Failure::Start {
                program: program.clone(),
                source,
            })?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped"))
            .read_line(&mut line)
            .ok();
        match line.trim().strip_prefix("listening on ") {
            Some(address) => Ok(OneRow {
                child,
                address: address.to_owned(),
            }),
            None => Err(Failure::Printed {
                program,
                printed: line,
            }),
        }
    }
}

impl Drop for OneRow {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
