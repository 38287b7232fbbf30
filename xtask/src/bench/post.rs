//! What a till waits for: one `POST /v1/events` under load, beside a server that does nothing but
//! write one row durably; and how long a start takes.

use super::Figure;
use crate::Failure;
use crate::cargo::{cargo, must};
use serde_json::{Value, json};
use stampcard_tests::binary;
use stampcard_tests::server::Client;
use stampcard_tests::{Shop, sale};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TILLS: usize = 8;

pub fn measure(quick: bool) -> Result<Vec<Figure>, Failure> {
    let posts = if quick { 2_000 } else { 20_000 };
    let shop = Shop::new();
    let server = shop.serve();
    let clients: Vec<Client> = (0..TILLS).map(|_| server.client()).collect();
    let ours = waits(posts, &clients, "200");
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
    let theirs = waits(posts, &clients, "one row");

    let ms = |wait: Duration| wait.as_secs_f64() * 1_000.0;
    let (p50, p99) = (share(&ours, 50), share(&ours, 99));
    let mut figures = vec![
        Figure::new("POST /v1/events, 8 tills, median", ms(p50), "ms", ""),
        Figure::new("POST /v1/events, 8 tills, 99 %", ms(p99), "ms", ""),
        Figure::new(
            "one row written durably by axum, 99 %",
            ms(share(&theirs, 99)),
            "ms",
            "",
        ),
        Figure::new(
            "99 % of the POST over 99 % of the row",
            ms(p99) / ms(share(&theirs, 99)),
            "times",
            "at most 2",
        ),
        Figure::new(
            "start, plugins compiled before",
            ms(warm),
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

/// How long each answer took, from the shortest to the longest.
fn waits(posts: usize, clients: &[Client], what: &str) -> Vec<Duration> {
    let next = AtomicUsize::new(0);
    let waits = Mutex::new(Vec::with_capacity(posts));
    std::thread::scope(|scope| {
        for client in clients {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= posts {
                        break;
                    }
                    let event = one_sale(number);
                    let asked = Instant::now();
                    let answer = client.send(&event).expect("the server answers");
                    assert_eq!(answer.status, 200, "{what}: {}", answer.body);
                    waits
                        .lock()
                        .expect("no till panicked")
                        .push(asked.elapsed());
                }
            });
        }
    });
    let mut waits = waits.into_inner().expect("no till panicked");
    waits.sort();
    waits
}

fn one_sale(number: usize) -> Value {
    let customer = json!({"email": format!("customer-{}@example.com", number % 1_000)});
    let at = jiff::Timestamp::now();
    sale(
        &number.to_string(),
        &at.to_string(),
        json!({"customer": customer, "total": 1_000 + number}),
    )
}

fn share(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
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
