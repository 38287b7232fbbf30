//! Tills that sell as fast as they are answered.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use stampcard_tests::{Server, sale};
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const TILLS: usize = 4;
const CUSTOMERS: u64 = 23;
static OPENING: LazyLock<Timestamp> =
    LazyLock::new(|| Timestamp::now() - SignedDuration::from_hours(2));

/// The sale with a number, the same each time; it earns 10 points.
pub fn numbered(number: u64) -> Value {
    let at = *OPENING + SignedDuration::from_millis(number as i64 * 20);
    sale(
        &number.to_string(),
        &at.to_string(),
        json!({"customer": {"email": format!("customer-{}@example.com", number % CUSTOMERS)}, "total": 1_000}),
    )
}

/// What was answered, by number.
#[derive(Default)]
pub struct Answered(Mutex<Vec<(u64, Value)>>);

impl Answered {
    pub fn so_far(&self) -> Vec<(u64, Value)> {
        self.0.lock().expect("no till panicked").clone()
    }

    /// Waits until this many were answered.
    pub fn wait_for(&self, count: usize) {
        while self.0.lock().expect("no till panicked").len() < count {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// Lets tills sell while `meanwhile` does its work; every sale must be accepted.
pub fn while_tills_sell<T>(
    server: &Server,
    answered: &Answered,
    meanwhile: impl FnOnce() -> T,
) -> T {
    let (next, enough) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..TILLS {
            let till = server.client();
            let (next, enough) = (&next, &enough);
            scope.spawn(move || {
                while !enough.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let answer = till.send(&numbered(number)).expect("the server answers");
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    answered
                        .0
                        .lock()
                        .expect("no till panicked")
                        .push((number, answer.body));
                }
            });
        }
        // If it fails, the tills must end before the test does.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
        enough.store(true, Ordering::Relaxed);
        done
    })
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
