//! A day through the server: eight tills, each with a connection of its own, in the order of the
//! day as nearly as eight tills keep it.

use serde_json::Value;
use stampcard_tests::server::Server;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const TILLS: usize = 8;

/// What came back.
pub struct Streamed {
    /// The outcomes, in the order of the events.
    pub answers: Vec<Value>,
    took: Duration,
    /// How long each till waited for its answer, in order.
    waits: Vec<Duration>,
}

/// # Panics
/// If an event is refused or a connection breaks: then the host and the demo disagree.
pub fn send(server: &Server, events: &[Value]) -> Streamed {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::with_capacity(events.len()));
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..TILLS {
            scope.spawn(|| {
                let till = server.client();
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(event) = events.get(place) else {
                        break;
                    };
                    let asked = Instant::now();
                    let answer = till.send(event).expect("the server answers");
                    assert_eq!(answer.status, 200, "{event}\n{}", answer.body);
                    answers.lock().expect("no till panicked").push((
                        place,
                        answer.body,
                        asked.elapsed(),
                    ));
                }
            });
        }
    });
    let took = began.elapsed();
    let mut answers = answers.into_inner().expect("no till panicked");
    answers.sort_by_key(|(place, ..)| *place);
    let mut waits: Vec<Duration> = answers.iter().map(|(_, _, wait)| *wait).collect();
    waits.sort();
    Streamed {
        answers: answers.into_iter().map(|(_, answer, _)| answer).collect(),
        took,
        waits,
    }
}

impl Streamed {
    pub fn print(&self) {
        let events = self.answers.len();
        let share =
            |percent: usize| self.waits[(events - 1) * percent / 100].as_secs_f64() * 1_000.0;
        println!(
            "\nMeasured: {events} events in {:.1} s, {:.0} a second, each on disk before its answer left; \
             a till waited {:.1} ms (median), {:.1} ms (99 %).",
            self.took.as_secs_f64(),
            events as f64 / self.took.as_secs_f64(),
            share(50),
            share(99),
        );
    }
}
