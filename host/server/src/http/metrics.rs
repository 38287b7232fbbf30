//! `GET /metrics`: figures in the text form that Prometheus reads. No label names a customer.

mod condition;

use super::Door;
use super::problem::Problem;
use crate::clock;
use crate::disk;
use crate::figures::Figures;
use crate::merchant::Health;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use stampcard_pipeline::rules::Rules;
use stampcard_store::reads::Counters;
use std::collections::BTreeMap;
use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper ends of the buckets of times, in seconds: from a commit on a fast disk to a till's patience.
const BUCKETS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// What the HTTP door counts.
#[derive(Default)]
pub struct Meters {
    answers: Mutex<BTreeMap<(String, String, u16), u64>>,
    times: Mutex<BTreeMap<String, Arc<Times>>>,
    visible: Times,
    cards_left_out: AtomicU64,
}

/// A histogram of times.
#[derive(Default)]
pub struct Times {
    buckets: [AtomicU64; BUCKETS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Times {
    fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(bucket) = BUCKETS.iter().position(|end| seconds <= *end) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros
            .fetch_add(took.as_micros() as u64, Ordering::Relaxed);
    }
}

impl Meters {
    /// `route` is the path as the router has it, without anything of the request in it.
    pub fn answered(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        // Whatever method somebody makes up, it is one label.
        let method = if is_known(method) {
            method.as_str()
        } else {
            "other"
        };
        *self
            .answers
            .lock()
            .entry((method.to_owned(), route.to_owned(), status.as_u16()))
            .or_default() += 1;
        let times = self
            .times
            .lock()
            .entry(route.to_owned())
            .or_default()
            .clone();
        times.add(took);
    }

    /// A card was not to be had in time.
    pub fn card_left_out(&self) {
        self.cards_left_out.fetch_add(1, Ordering::Relaxed);
    }

    /// From the arrival of an event that came alone until a read of the balance sees its points.
    pub fn award_visible(&self, took: Duration) {
        self.visible.add(took);
    }
}

fn is_known(method: &Method) -> bool {
    [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ]
    .contains(method)
}

pub async fn show(State(door): State<Arc<Door>>) -> Result<Response, Problem> {
    let now = clock::now();
    let (counters, backlog, recent, owed, round) = door
        .read(move |reads| {
            let (backlog, recent) = (reads.backlog(now)?, reads.recent(now)?);
            let (owed, round) = (reads.owed()?, reads.newest_round()?);
            Ok((reads.counters()?, backlog, recent, owed, round))
        })
        .await?;
    let live = door.merchant.live();
    let mut text = text(
        &door.meters,
        door.merchant.figures(),
        &door.merchant.health(),
        &counters,
        live.number,
    );
    let disk = disk::room(&door.merchant.folder().data()).ok();
    let plugins = live.book.plugins().iter();
    let round = round.filter(|round| round.ended_at.is_none());
    let rules = condition::RulesCondition {
        not_loaded: live.book.not_loaded().len() as u64,
        quarantined: plugins.filter(|it| it.quarantine.is_some()).count() as u64,
        owed: owed.iter().map(|(_, customers)| customers).sum(),
        reviews_left: round.map_or(0, |round| {
            round.customers.saturating_sub(round.progress.asked)
        }),
    };
    text.push_str(&condition::text(
        &counters, &backlog, &recent, now, disk, &rules,
    ));
    Ok((
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response())
}

fn text(
    meters: &Meters,
    figures: &Figures,
    health: &Health,
    store: &Counters,
    rule_book: i64,
) -> String {
    let mut page = Text::default();
    page.metric(
        "stampcard_events_total",
        "counter",
        "Events by what came of them.",
    );
    for (status, count) in figures.events() {
        page.sample(&[("status", status)], count);
    }
    page.metric(
        "stampcard_refusals_total",
        "counter",
        "Refused events by the code of their problem.",
    );
    for (code, count) in figures.refusals() {
        page.sample(&[("code", code)], count);
    }
    page.metric(
        "stampcard_profile_violations_total",
        "counter",
        "Profiles that were made without a required field, by field and by what came of them.",
    );
    for (field, counts) in figures.missed_fields() {
        for (result, count) in ["accepted", "refused"].iter().zip(counts) {
            page.sample(&[("field", &field), ("result", result)], count);
        }
    }
    plugins(&mut page, figures);
    page.metric(
        "stampcard_award_visible_seconds",
        "histogram",
        "From the arrival of an event until a read of the balance sees its points.",
    );
    page.histogram(&[], &meters.visible);
    page.metric(
        "stampcard_http_answers_total",
        "counter",
        "Answers by method, route and status.",
    );
    for ((method, route, status), count) in &*meters.answers.lock() {
        page.sample(
            &[
                ("method", method),
                ("route", route),
                ("status", &status.to_string()),
            ],
            count,
        );
    }
    page.metric(
        "stampcard_http_answer_seconds",
        "histogram",
        "Times of answers by route.",
    );
    let times: Vec<(String, Arc<Times>)> = meters
        .times
        .lock()
        .iter()
        .map(|(route, times)| (route.clone(), times.clone()))
        .collect();
    for (route, times) in &times {
        page.histogram(&[("route", route)], times);
    }
    let gauges: [(&str, &str, u64); 10] = [
        (
            "stampcard_ready",
            "1 while the shop takes events.",
            health.ready.into(),
        ),
        (
            "stampcard_queue_events",
            "Events that wait in front of the lanes.",
            health.waiting as u64,
        ),
        (
            "stampcard_queue_places",
            "Events that may wait before tills are told to come again.",
            health.places as u64,
        ),
        (
            "stampcard_lanes",
            "Threads that decide events.",
            health.lanes as u64,
        ),
        (
            "stampcard_database_bytes",
            "Size of the database.",
            store.database_bytes,
        ),
        (
            "stampcard_database_log_bytes",
            "Size of its write-ahead log.",
            store.log_bytes,
        ),
        (
            "stampcard_customers",
            "Customers that there are.",
            store.customers,
        ),
        (
            "stampcard_follow_ups_waiting",
            "Planned follow-ups that are not due or not sent yet.",
            store.follow_ups_waiting,
        ),
        (
            "stampcard_review_items_open",
            "What waits for a person to look at.",
            store.review_items_open,
        ),
        (
            "stampcard_rule_book",
            "Number of the rule book that is live.",
            rule_book as u64,
        ),
    ];
    for (name, help, value) in gauges {
        page.metric(name, "gauge", help);
        page.sample(&[], value);
    }
    let counters: [(&str, &str, u64); 6] = [
        (
            "stampcard_journal_rows_total",
            "Events that the journal holds.",
            store.journal_rows,
        ),
        (
            "stampcard_ledger_entries_total",
            "Entries of the ledger.",
            store.entries,
        ),
        (
            "stampcard_clock_driven_total",
            "Customers whom the shop's clock drove since the start.",
            health.driven,
        ),
        (
            "stampcard_clock_failed_total",
            "How often that failed.",
            health.driven_failed,
        ),
        (
            "stampcard_cards_left_out_total",
            "Customers who were recognised and whose card was not to be had in time.",
            meters.cards_left_out.load(Ordering::Relaxed),
        ),
        (
            "stampcard_panics_total",
            "Events over which the host itself panicked.",
            health.panics,
        ),
    ];
    for (name, help, value) in counters {
        page.metric(name, "counter", help);
        page.sample(&[], value);
    }
    page.metric(
        "stampcard_audit_looks_total",
        "counter",
        "How often a customer was computed again since the start.",
    );
    page.sample(&[], health.audited.looks);
    page.metric(
        "stampcard_ledger_differences",
        "gauge",
        "What differed when customers were computed again; `stampcard check` lists it.",
    );
    page.sample(&[], health.audited.differences);
    page.metric(
        "stampcard_audit_reruns_total",
        "counter",
        "Events that were decided again in the rules of then, since the start.",
    );
    page.sample(&[], health.audited.reruns);
    page.metric(
        "stampcard_audit_rerun_differences",
        "gauge",
        "What came out otherwise when events were decided again; the log names them for `stampcard explain`.",
    );
    page.sample(&[], health.audited.rerun_differences);
    page.metric(
        "stampcard_reloads_total",
        "counter",
        "Changes of the shop's folder by what came of them.",
    );
    page.sample(&[("result", "taken")], health.reloads.taken);
    page.sample(&[("result", "refused")], health.reloads.refused);
    page.text
}

fn plugins(page: &mut Text, figures: &Figures) {
    let plugins = figures.plugins();
    page.metric(
        "stampcard_plugin_calls_total",
        "counter",
        "Calls by plugin, role and result.",
    );
    for ((name, role), seen) in &plugins {
        for (result, calls) in &seen.calls {
            page.sample(
                &[("plugin", name), ("role", role), ("result", result)],
                calls,
            );
        }
    }
    page.metric(
        "stampcard_plugin_fuel_total",
        "counter",
        "Fuel by plugin and role.",
    );
    for ((name, role), seen) in &plugins {
        page.sample(&[("plugin", name), ("role", role)], seen.fuel);
    }
    page.metric(
        "stampcard_plugin_fuel_most",
        "gauge",
        "The most fuel that one call took.",
    );
    for ((name, role), seen) in &plugins {
        page.sample(&[("plugin", name), ("role", role)], seen.fuel_most);
    }
    page.metric(
        "stampcard_plugin_seconds_total",
        "counter",
        "Time of calls by plugin and role.",
    );
    for ((name, role), seen) in &plugins {
        page.sample(
            &[("plugin", name), ("role", role)],
            seen.micros as f64 / 1e6,
        );
    }
}

/// The text form, version 0.0.4.
#[derive(Default)]
struct Text {
    text: String,
    /// The metric whose samples follow.
    name: String,
}

impl Text {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        self.name = name.to_owned();
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.sample_of("", labels, value);
    }

    fn histogram(&mut self, labels: &[(&str, &str)], times: &Times) {
        let mut below = 0;
        for (end, bucket) in BUCKETS.iter().zip(&times.buckets) {
            below += bucket.load(Ordering::Relaxed);
            let end = end.to_string();
            self.sample_of("_bucket", &[labels, &[("le", &end)]].concat(), below);
        }
        // Read last, so that no bucket is above it.
        let count = times.count.load(Ordering::Relaxed).max(below);
        self.sample_of("_bucket", &[labels, &[("le", "+Inf")]].concat(), count);
        self.sample_of(
            "_sum",
            labels,
            times.micros.load(Ordering::Relaxed) as f64 / 1e6,
        );
        self.sample_of("_count", labels, count);
    }

    fn sample_of(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _ = writeln!(self.text, "{}{suffix}{labels} {value}", self.name);
    }
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_upwards_and_ends_with_everything() {
        let times = Times::default();
        for millis in [0, 2, 2, 40, 60_000] {
            times.add(Duration::from_millis(millis));
        }
        let mut page = Text::default();
        page.metric("t", "histogram", "Times.");
        page.histogram(&[("route", "/a\"b")], &times);
        for line in [
            r#"t_bucket{route="/a\"b",le="0.0005"} 1"#,
            r#"t_bucket{route="/a\"b",le="0.0025"} 3"#,
            r#"t_bucket{route="/a\"b",le="10"} 4"#,
            r#"t_bucket{route="/a\"b",le="+Inf"} 5"#,
            r#"t_sum{route="/a\"b"} 60.044"#,
            r#"t_count{route="/a\"b"} 5"#,
        ] {
            assert!(
                page.text.lines().any(|found| found == line),
                "{line} is not in\n{}",
                page.text
            );
        }
    }

    #[test]
    fn methods_that_somebody_makes_up_are_one_label() {
        let meters = Meters::default();
        for method in ["BREW", "WHEN"] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            meters.answered(&method, "unknown", StatusCode::NOT_FOUND, Duration::ZERO);
        }
        assert_eq!(meters.answers.lock().len(), 1);
    }
}
