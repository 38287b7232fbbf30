//! What a call costs: one rule in a fresh instance for each call, as shops have it, against the
//! same rule in instances that are kept and compared, as shops may have it, and in one that is kept
//! and trusted. Nothing here is part of a shop.

use crate::bindings as wit;
use crate::call;
use crate::rule_book::RuleBook;
use crate::to_contract::{self, Numbers};
use stampcard_pipeline::event::Event;
use stampcard_pipeline::rules::{Input, Isolation, Rules};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Calls a second, of all threads together.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub threads: usize,
    /// As shops have it.
    pub fresh: f64,
    /// As those have it that let instances be kept.
    pub verified: f64,
    /// In an instance that is kept, with nothing around it.
    pub reused: f64,
}

/// Measures the first point formula of a rule book for so long, with an event and an input.
pub fn point_formula(
    book: &RuleBook,
    event: &Event,
    input: &Input,
    threads: usize,
    each: Duration,
) -> Figures {
    let name = &book.plugins()[0].name;
    let kept = book.with_isolation(name, Isolation::VerifiedReuse);
    let kept = kept.expect("the plugin is in its own rule book");
    let in_a_shop = |book: &RuleBook| {
        let event = Arc::new(event.clone());
        rate(each, || {
            (0..BATCH)
                .filter(|_| book.point_formula(0, &event, input).result.is_ok())
                .count() as u64
        })
    };
    let reused = || {
        let mut numbers = Numbers::default();
        let currency = book.plugin(0).currency();
        let translated = to_contract::event(event, currency, &mut numbers);
        let input = to_contract::input(translated, currency, input, &mut numbers);
        let subject = book.plugin(0).subject();
        rate(each, || {
            call::decide_reused::<wit::PointAnswer>(&subject, &input, BATCH * 10)
        })
    };
    Figures {
        threads,
        fresh: together(threads, || in_a_shop(book)),
        verified: together(threads, || in_a_shop(&kept)),
        reused: together(threads, reused),
    }
}

/// Calls between two looks at the clock.
const BATCH: u64 = 100;

fn together(threads: usize, one: impl Fn() -> f64 + Sync) -> f64 {
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(&one)).collect();
        started
            .into_iter()
            .map(|thread| thread.join().expect("the measurement ends"))
            .sum()
    })
}

/// Calls a second of a thread that is warm.
fn rate(each: Duration, batch: impl Fn() -> u64) -> f64 {
    batch();
    let began = Instant::now();
    let mut calls = 0;
    while began.elapsed() < each {
        calls += batch();
    }
    calls as f64 / began.elapsed().as_secs_f64()
}
