//! Two shops in one server, one of which is flooded: what the tills of the other wait for.
//!
//! Their tills send at a beat of their own, whether answers are slow or not, and waits are counted
//! from the beat. Rounds with the flood and without it take turns, so that whatever else the machine
//! does is in both.

use crate::server::{Client, Server};
use crate::shops::{Shops, state};
use crate::waits::Rounds;
use crate::{binary, event};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The shop that is flooded, and the one whose tills are looked at.
const FLOODED: &str = "flooded";
const CALM: &str = "calm";

const TILLS: usize = 4;
/// Between two sales of one till: a hundred a second in all, a chain of stores on a Saturday.
const BEAT: Duration = Duration::from_millis(40);
/// Requests a minute of the flooded shop's key, and how many it sends instead.
const QUOTA: u32 = 1_200;
const TIMES_ITS_QUOTA: u32 = 10;
/// Threads that flood.
const FLOODING: usize = 4;

/// What the flooded shop does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// Its key sends ten times what it may.
    TenTimesItsQuota,
    /// Its plugin never ends, and it sends as fast as it is answered.
    EndlessPlugin,
}

/// What came of it.
pub struct Measured {
    /// What the calm shop's tills waited without the flood, and with it.
    pub alone: Rounds,
    pub beside: Rounds,
    /// What the flood was answered, by status, as often.
    pub flood: BTreeMap<u16, u64>,
}

impl Measured {
    pub fn times(&self) -> f64 {
        self.beside.typical().as_secs_f64() / self.alone.typical().as_secs_f64()
    }
}

/// Makes two shops, opens them, and measures for so many rounds with the flood and without it. Every
/// sale of the calm shop must be taken.
///
/// # Panics
/// If a sale of the calm shop is not taken.
pub fn measure(flood: Flood, rounds: u32, round: Duration) -> Measured {
    let shops = Shops::new(&[FLOODED, CALM]);
    let flooded = &shops[FLOODED];
    match flood {
        Flood::TenTimesItsQuota => {
            let file = flooded.read("stampcard.toml");
            let quota = format!("requests_per_minute = {QUOTA}\n{file}");
            flooded.write("stampcard.toml", quota);
        }
        Flood::EndlessPlugin => {
            let package = binary::root().join("tests/guests/hostile");
            let builds = stampcard_build::shared_target_dir(binary::target());
            let component =
                stampcard_build::component(package, builds).expect("the hostile guest builds");
            flooded.write("plugins/hostile.wasm", component);
            flooded.write(
                "plugins/hostile.toml",
                "name = \"hostile\"\nversion = \"1.0.0\"\nroles = [\"point-formula\"]\nevents = [\"*\"]\n\
                 configuration = { type = \"object\" }\n\n[config]\ncrime = \"Loop\"\n",
            );
        }
    }
    let server = shops.serve();
    let calm: Vec<Client> = (0..TILLS)
        .map(|_| Client::new(&server.address, &shops[CALM].keys.pos))
        .collect();
    let floods: Vec<Client> = (0..FLOODING)
        .map(|_| Client::new(&server.address, &flooded.keys.pos))
        .collect();
    let next = AtomicU64::new(0);
    let answers = Mutex::new(BTreeMap::new());
    if flood == Flood::TenTimesItsQuota {
        // A key that was silent has a minute's worth; the flood is about what comes after.
        while floods[0].send(&sale("f", &next)).expect("an answer").status != 429 {}
    }
    paced(&calm, &next, round);
    let (mut alone, mut beside) = (Rounds::default(), Rounds::default());
    for _ in 0..rounds {
        until_nothing_waits(&server);
        alone.push(paced(&calm, &next, round));
        let enough = AtomicBool::new(false);
        beside.push(std::thread::scope(|scope| {
            for client in &floods {
                let (enough, next, answers) = (&enough, &next, &answers);
                scope.spawn(move || {
                    let began = Instant::now();
                    for number in 0.. {
                        if enough.load(Ordering::Relaxed) {
                            return;
                        }
                        if flood == Flood::TenTimesItsQuota {
                            let a_second = QUOTA * TIMES_ITS_QUOTA / 60 / FLOODING as u32;
                            let due = began + Duration::from_secs(1) * number / a_second;
                            std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        }
                        let answer = client.send(&sale("f", next)).expect("an answer");
                        let mut answers = answers.lock().expect("no thread panicked");
                        *answers.entry(answer.status).or_default() += 1;
                    }
                });
            }
            // The flood has begun before anybody looks.
            std::thread::sleep(round / 10);
            let waits = paced(&calm, &next, round);
            enough.store(true, Ordering::Relaxed);
            waits
        }));
    }
    server.stop();
    shops.check();
    Measured {
        alone,
        beside,
        flood: answers.into_inner().expect("no thread panicked"),
    }
}

/// Sends sales at the beat for so long, and says how long each answer took from its beat on.
fn paced(tills: &[Client], next: &AtomicU64, length: Duration) -> Vec<Duration> {
    let began = Instant::now();
    let each = (length.as_micros() / BEAT.as_micros()) as u32;
    let till = |till: usize| {
        let wait = |number: u32| {
            let first = began + BEAT * till as u32 / tills.len() as u32;
            let due = first + BEAT * number;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let answer = tills[till].send(&sale("c", next)).expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.body);
            due.elapsed()
        };
        (0..each).map(wait).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let till = &till;
        let tills: Vec<_> = (0..tills.len())
            .map(|number| scope.spawn(move || till(number)))
            .collect();
        tills
            .into_iter()
            .flat_map(|till| till.join().expect("no till panicked"))
            .collect()
    })
}

/// The flood sells to one customer, and the calm shop to many.
fn sale(kind: &str, next: &AtomicU64) -> Value {
    let number = next.fetch_add(1, Ordering::Relaxed);
    let who = if kind == "f" { 0 } else { number % 500 };
    event::sale(
        &format!("{kind}-{number}"),
        &jiff::Timestamp::now().to_string(),
        json!({"customer": {"email": format!("customer-{who}@example.com")}, "total": 1_000}),
    )
}

fn until_nothing_waits(server: &Server) {
    while state(server, FLOODED)["waiting"] != 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
}
