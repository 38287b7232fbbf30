//! `kill -9` under load, and the power that goes: no event that was answered is missing, and none is
//! there twice.

use jiff::Timestamp;
use serde_json::{Value, json};
use stampcard_tests::disk::ForgetfulDisk;
use stampcard_tests::{Server, Shop, sale};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

/// How often the server is killed; the soak does it more often.
const KILLS: u64 = 20;
/// How often the power goes; the soak lets it go as often as it kills.
const CUTS: u64 = 8;
const TILLS: u64 = 4;
const CUSTOMERS: u64 = 23;
static OPENING: LazyLock<Timestamp> =
    LazyLock::new(|| Timestamp::now() - jiff::SignedDuration::from_hours(2));

#[test]
fn no_answered_event_is_lost_when_the_server_is_killed_under_load() {
    let kills = number_of_kills(KILLS);
    let shop = Shop::new();
    let answered = sell(&shop, kills, || shop.serve(), Server::kill);
    nothing_is_missing(&shop, &answered);
}

#[test]
#[cfg(target_os = "linux")]
fn no_answered_event_is_lost_when_the_power_goes_and_the_disk_drops_what_was_not_synced() {
    let cuts = number_of_kills(CUTS);
    let shop = Shop::new();
    let disk = ForgetfulDisk::under(&shop);
    let before = disk.is_safe("stampcard.db");
    let answered = sell(
        &shop,
        cuts,
        || disk.serve(&shop),
        |server| disk.cut_power(server),
    );
    assert!(
        disk.is_safe("stampcard.db") > before,
        "the log was never brought into the database: half of what is synced was not looked at"
    );
    nothing_is_missing(&shop, &answered);
}

/// The test above can fail: this is what it sees where a sync is not one.
#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_only_says_that_it_synced_loses_what_was_answered() {
    let shop = Shop::new();
    let disk = ForgetfulDisk::that_lies_under(&shop);
    let server = disk.serve(&shop);
    let sold: Vec<Value> = (0..20).map(next_sale).collect();
    for event in &sold {
        assert_eq!(server.outcome(event)["status"], "applied");
    }
    disk.cut_power(server);
    let server = shop.serve();
    for event in &sold {
        assert_eq!(server.outcome(event)["status"], "applied", "it was kept");
    }
}

fn number_of_kills(usually: u64) -> u64 {
    std::env::var("STAMPCARD_KILLS").map_or(usually, |text| text.parse().expect("a number"))
}

/// Sells at several tills until the server dies, so many times, and gives what was answered.
fn sell(
    shop: &Shop,
    deaths: u64,
    serve: impl Fn() -> Server,
    die: impl Fn(Server),
) -> BTreeMap<String, Value> {
    let mut answered: BTreeMap<String, Value> = BTreeMap::new();
    let mut unsure: Vec<Value> = Vec::new();
    let number = AtomicU64::new(0);
    for death in 0..deaths {
        let server = serve();
        // What no answer came for is sent again, as a till does; it is there or it is not.
        for event in std::mem::take(&mut unsure) {
            let outcome = server.outcome(&event);
            assert!(
                ["applied", "duplicate"].contains(&outcome["status"].as_str().expect("a status")),
                "{outcome}"
            );
            remember(&mut answered, &event, outcome);
        }
        let dead = AtomicBool::new(false);
        let (told, untold) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..TILLS {
                let till = server.client();
                let (dead, told, untold, number) = (&dead, &told, &untold, &number);
                scope.spawn(move || {
                    while !dead.load(Ordering::Relaxed) {
                        let event = next_sale(number.fetch_add(1, Ordering::Relaxed));
                        match till.send(&event) {
                            Ok(answer) => {
                                assert_eq!(answer.status, 200, "{}", answer.body);
                                told.lock()
                                    .expect("no till panicked")
                                    .push((event, answer.body));
                            }
                            Err(_) => {
                                untold.lock().expect("no till panicked").push(event);
                                break;
                            }
                        }
                    }
                });
            }
            std::thread::sleep(life(death));
            die(server);
            dead.store(true, Ordering::Relaxed);
        });
        for (event, outcome) in told.into_inner().expect("no till panicked") {
            remember(&mut answered, &event, outcome);
        }
        unsure = untold.into_inner().expect("no till panicked");
    }
    assert!(
        answered.len() as u64 > deaths * TILLS,
        "only {} events were answered: no load\n{}",
        answered.len(),
        shop.text()
    );
    answered
}

/// Each time it dies at another moment of the work; the first time late enough for a log that is
/// brought into the database.
fn life(death: u64) -> Duration {
    match death {
        0 => Duration::from_secs(4),
        _ => Duration::from_millis(30 + death * 37 % 170),
    }
}

/// Everything that was answered is there, once, as it was answered.
fn nothing_is_missing(shop: &Shop, answered: &BTreeMap<String, Value>) {
    shop.check();
    let server = shop.serve();
    for (id, outcome) in answered {
        let again = server.outcome(&next_sale(id.parse().expect("ids are numbers")));
        assert_eq!(
            again["status"], "duplicate",
            "the answered sale {id} is missing"
        );
        assert_eq!(
            again["points"], outcome["points"],
            "the sale {id} is remembered otherwise than it was answered"
        );
    }
    server.stop();
    shop.check();
    let points: i64 = shop
        .exported("ledger", &[])
        .iter()
        .map(|entry| entry["amount"].as_i64().expect("an amount"))
        .sum();
    let events = shop.exported("events", &[]);
    let ids: std::collections::BTreeSet<&str> = events
        .iter()
        .filter(|line| is_sale(line))
        .filter_map(|line| line["event"]["id"].as_str())
        .collect();
    let sales = events.iter().filter(|line| is_sale(line)).count();
    assert_eq!(ids.len(), sales, "a sale is there twice");
    assert_eq!(
        points,
        sales as i64 * 10,
        "each sale of 10.00 earns 10 points once"
    );
}

fn is_sale(line: &Value) -> bool {
    line["event"]["source"] == "till-1"
}

/// What was answered first is what counts; an answer to a repetition must be the same.
fn remember(answered: &mut BTreeMap<String, Value>, event: &Value, outcome: Value) {
    let id = event["id"].as_str().expect("an id").to_owned();
    answered.entry(id).or_insert(outcome);
}

fn next_sale(number: u64) -> Value {
    let customer = json!({"email": format!("customer-{}@example.com", number % CUSTOMERS)});
    // Apart, so that the order of the sales is that of their numbers; and of today, so that nothing
    // else comes due.
    let at = *OPENING + jiff::SignedDuration::from_millis(number as i64 * 20);
    sale(
        &number.to_string(),
        &at.to_string(),
        json!({"customer": customer, "total": 1_000}),
    )
}

#[test]
fn a_graceful_stop_answers_everything_that_it_took() {
    let shop = Shop::new();
    let server = shop.serve();
    let number = AtomicU64::new(0);
    let taken = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..TILLS {
            let till = server.client();
            let (number, taken) = (&number, &taken);
            scope.spawn(move || {
                // Once the door is closed, connections are refused; nothing in between breaks.
                while let Ok(answer) = till.send(&next_sale(number.fetch_add(1, Ordering::Relaxed)))
                {
                    match answer.status {
                        200 => taken.fetch_add(1, Ordering::Relaxed),
                        503 => break,
                        status => panic!("{status}: {}", answer.body),
                    };
                }
            });
        }
        std::thread::sleep(Duration::from_millis(300));
        server.stop();
    });
    shop.check();
    let events = shop.exported("events", &[]);
    let sales = events.iter().filter(|line| is_sale(line)).count() as u64;
    assert_eq!(sales, taken.into_inner());
}
