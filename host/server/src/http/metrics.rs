//! `GET /metrics`: figures in the text form that Prometheus reads. No label names a customer.

mod condition;

use super::Door;
use super::front::Front;
use super::limits;
use super::problem::Problem;
use crate::clock;
use crate::devices;
use crate::disk;
use crate::figures::Figures;
use crate::merchant::Health;
use crate::merchants::State as ShopState;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use parking_lot::Mutex;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::rules::Rules;
use stampcard_runtime::{KeptFigures, LibraryFigures};
use stampcard_store::Round;
use stampcard_store::reads::{Backlog, Counters, PriceCheck, Recent};
use std::collections::{BTreeMap, HashMap};
use std::fmt::{Display, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::timeout;

/// Upper ends of the buckets of times, in seconds: from a commit on a fast disk to a till's patience.
const BUCKETS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// Events whose lines are compared with the catalogue.
const PRICED_EVENTS: u32 = 1_000;

/// What the HTTP door counts.
#[derive(Default)]
pub struct Meters {
    answers: Mutex<BTreeMap<(String, String, u16), u64>>,
    times: Mutex<BTreeMap<String, Arc<Times>>>,
    visible: Times,
    cards_left_out: AtomicU64,
    told_otherwise: AtomicU64,
    told_points_off: AtomicU64,
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

    /// A till told a customer another number of points than a sale earned: so many more, or fewer.
    pub fn told_otherwise(&self, difference: i64) {
        self.told_otherwise.fetch_add(1, Ordering::Relaxed);
        let points = difference.unsigned_abs();
        self.told_points_off.fetch_add(points, Ordering::Relaxed);
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
    let shop = gather(Arc::clone(&door)).await?;
    let mut page = Text::default();
    if door.alone {
        library(&mut page, door.merchant.library());
        kept(&mut page, door.merchant.kept());
        page.shop(door.merchant.name());
        page.open(true);
    }
    page.shop(door.merchant.name());
    shop.tell(&mut page, &door);
    Ok(page.into_response())
}

/// The figures of all shops of a server, for whoever runs it.
pub async fn show_all(front: &Arc<Front>) -> Response {
    let mut page = Text::default();
    library(&mut page, front.merchants.shared().engine.figures());
    kept(&mut page, front.merchants.shared().engine.kept());
    page.http(&front.lobby.meters);
    for (name, shop) in front.merchants.all() {
        page.shop(&name);
        page.open(matches!(shop.state, ShopState::Open(_)));
    }
    // All at once: one shop that is busy must not hold up the figures of the others.
    let gathering = front.doors().into_iter().map(|door| {
        let gathered = timeout(limits::FIGURES_TIME_MAX, gather(Arc::clone(&door)));
        let gathered = tokio::spawn(gathered);
        async move { (door, gathered.await) }
    });
    for (door, gathered) in join_all(gathering).await {
        page.shop(door.merchant.name());
        match gathered {
            Ok(Ok(Ok(shop))) => shop.tell(&mut page, &door),
            // What needs no look into the database is told all the same.
            _ => ready(&mut page, &door.merchant.health()),
        }
    }
    page.into_response()
}

/// What is read of one shop's database.
struct Gathered {
    counters: Counters,
    backlog: Backlog,
    recent: Recent,
    /// Customers to whom each plugin owes an answer.
    owed: Vec<(String, u64)>,
    round: Option<Round>,
    prices: PriceCheck,
    now: Instant,
}

async fn gather(door: Arc<Door>) -> Result<Gathered, Problem> {
    let now = clock::now();
    door.read(move |reads| {
        Ok(Gathered {
            counters: reads.counters()?,
            backlog: reads.backlog(now)?,
            recent: reads.recent(now)?,
            owed: reads.owed()?,
            round: reads.newest_round()?,
            prices: reads.price_check(PRICED_EVENTS, 0)?,
            now,
        })
    })
    .await
}

impl Gathered {
    fn tell(&self, page: &mut Text, door: &Door) {
        let merchant = &door.merchant;
        let live = merchant.live();
        text(
            page,
            &door.around.meters,
            merchant.figures(),
            &merchant.health(),
            &self.counters,
            live.number,
        );
        page.prices(&self.prices);
        page.devices(merchant.devices().count(live.number));
        let disk = disk::room(&merchant.folder().data()).ok();
        let Gathered {
            counters,
            backlog,
            recent,
            owed,
            round,
            now,
            ..
        } = self;
        let plugins = live.book.plugins().iter();
        let round = round.as_ref().filter(|round| round.ended_at.is_none());
        let rules = condition::RulesCondition {
            not_loaded: live.book.not_loaded().len() as u64,
            quarantined: plugins.clone().filter(|it| it.quarantine.is_some()).count() as u64,
            found_out: plugins
                .filter(|it| it.isolation.found_out().is_some())
                .count() as u64,
            owed: owed.iter().map(|(_, customers)| customers).sum(),
            reviews_left: round.map_or(0, |round| {
                round.customers.saturating_sub(round.progress.asked)
            }),
        };
        condition::text(page, counters, backlog, recent, *now, disk, &rules);
    }
}

/// What the process has once for all shops.
fn library(page: &mut Text, figures: LibraryFigures) {
    page.metric(
        "stampcard_components_compiled_total",
        "counter",
        "Plugins that were compiled since the start; the others were compiled before, or for another shop.",
    );
    page.sample(&[], figures.compiled);
    page.metric(
        "stampcard_components_in_memory",
        "gauge",
        "Plugins whose code is in memory, each once for all shops.",
    );
    page.sample(&[], figures.in_memory);
}

fn kept(page: &mut Text, figures: KeptFigures) {
    let metrics = [
        (
            "stampcard_kept_instances",
            "gauge",
            "Instances of plugins that wait for their next call.",
            figures.instances,
        ),
        (
            "stampcard_kept_instances_bytes",
            "gauge",
            "Bytes of their memories.",
            figures.bytes,
        ),
        (
            "stampcard_kept_calls_total",
            "counter",
            "Calls that a kept instance answered.",
            figures.calls,
        ),
        (
            "stampcard_kept_calls_compared_total",
            "counter",
            "Of them, those that a fresh instance was asked as well.",
            figures.compared,
        ),
        (
            "stampcard_kept_calls_differed_total",
            "counter",
            "Of these, those that it answered otherwise.",
            figures.differed,
        ),
        (
            "stampcard_kept_calls_repeated_total",
            "counter",
            "Calls that a kept instance could not answer, and that a fresh one was asked.",
            figures.repeated,
        ),
        (
            "stampcard_kept_instances_recycled_total",
            "counter",
            "Kept instances that were ended: after their last call, grown too large, or in favour of others.",
            figures.recycled,
        ),
    ];
    for (name, kind, help, value) in metrics {
        page.metric(name, kind, help);
        page.sample(&[], value);
    }
}

fn ready(page: &mut Text, health: &Health) {
    page.metric("stampcard_ready", "gauge", "1 while the shop takes events.");
    page.sample(&[], u64::from(health.ready));
}

fn text(
    page: &mut Text,
    meters: &Meters,
    figures: &Figures,
    health: &Health,
    store: &Counters,
    rule_book: i64,
) {
    ready(page, health);
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
    page.metric(
        "stampcard_deliveries_total",
        "counter",
        "What became of attempts to send a follow-up, since the start.",
    );
    let delivery = health.delivery;
    for (result, count) in [
        ("sent", delivery.sent),
        ("failed", delivery.failed),
        ("dead", delivery.dead),
    ] {
        page.sample(&[("result", result)], count);
    }
    plugins(page, figures);
    page.metric(
        "stampcard_award_visible_seconds",
        "histogram",
        "From the arrival of an event until a read of the balance sees its points.",
    );
    page.histogram(&[], &meters.visible);
    page.http(meters);
    let gauges: [(&str, &str, u64); 9] = [
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
    let counters: [(&str, &str, u64); 8] = [
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
            "stampcard_told_otherwise_total",
            "Sales of which a till told the customer another number of points.",
            meters.told_otherwise.load(Ordering::Relaxed),
        ),
        (
            "stampcard_told_points_off_total",
            "By how many points those were off, more or fewer.",
            meters.told_points_off.load(Ordering::Relaxed),
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
pub(super) struct Text {
    /// In the order in which they came; the samples of one stand together, whatever shop they are of.
    metrics: Vec<Metric>,
    by_name: HashMap<String, usize>,
    /// The metric whose samples follow.
    at: usize,
    /// The shop of which they are; empty is none.
    shop: String,
}

struct Metric {
    name: String,
    head: String,
    samples: String,
}

impl Text {
    /// What follows is of this shop.
    fn shop(&mut self, name: &str) {
        self.shop = name.to_owned();
    }

    fn open(&mut self, is_open: bool) {
        self.metric(
            "stampcard_merchant_open",
            "gauge",
            "1 if the shop is open, 0 if it could not be opened.",
        );
        self.sample(&[], u64::from(is_open));
    }

    fn prices(&mut self, check: &PriceCheck) {
        let gauges = [
            (
                "stampcard_recent_lines_compared",
                "Lines of sales among the newest 1,000 events whose product has a price in the catalogue.",
                check.compared,
            ),
            (
                "stampcard_recent_lines_mispriced",
                "Those of them that were sold at another price.",
                check.differing,
            ),
        ];
        for (name, help, value) in gauges {
            self.metric(name, "gauge", help);
            self.sample(&[], value);
        }
    }

    fn devices(&mut self, count: devices::Count) {
        let gauges = [
            (
                "stampcard_devices",
                "Tills and web stores that have said who they are.",
                count.known,
            ),
            (
                "stampcard_devices_behind",
                "Those that have not called since other rules went live.",
                count.behind,
            ),
        ];
        for (name, help, value) in gauges {
            self.metric(name, "gauge", help);
            self.sample(&[], value);
        }
    }

    fn http(&mut self, meters: &Meters) {
        self.metric(
            "stampcard_http_answers_total",
            "counter",
            "Answers by method, route and status.",
        );
        for ((method, route, status), count) in &*meters.answers.lock() {
            self.sample(
                &[
                    ("method", method),
                    ("route", route),
                    ("status", &status.to_string()),
                ],
                count,
            );
        }
        self.metric(
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
            self.histogram(&[("route", route)], times);
        }
    }

    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        if let Some(at) = self.by_name.get(name) {
            self.at = *at;
            return;
        }
        self.at = self.metrics.len();
        self.by_name.insert(name.to_owned(), self.at);
        self.metrics.push(Metric {
            name: name.to_owned(),
            head: format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"),
            samples: String::new(),
        });
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
        let shop = ("merchant", self.shop.as_str());
        let shop = Some(&shop).filter(|(_, name)| !name.is_empty());
        let labels: Vec<String> = shop
            .into_iter()
            .chain(labels)
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let Metric { name, samples, .. } = &mut self.metrics[self.at];
        let _ = writeln!(samples, "{name}{suffix}{labels} {value}");
    }

    fn whole(&self) -> String {
        let metrics = self.metrics.iter();
        metrics
            .flat_map(|metric| [metric.head.as_str(), metric.samples.as_str()])
            .collect()
    }
}

impl IntoResponse for Text {
    fn into_response(self) -> Response {
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        ([(header::CONTENT_TYPE, kind)], self.whole()).into_response()
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
                page.whole().lines().any(|found| found == line),
                "{line} is not in\n{}",
                page.whole()
            );
        }
    }

    #[test]
    fn samples_of_one_figure_stand_together_and_say_of_which_shop_they_are() {
        let mut page = Text::default();
        for shop in ["soho", "a \"b\""] {
            page.shop(shop);
            page.metric("one", "gauge", "One.");
            page.sample(&[("x", "y")], 1);
            page.metric("two", "gauge", "Two.");
            page.sample(&[], 2);
        }
        let lines = [
            "# HELP one One.",
            "# TYPE one gauge",
            r#"one{merchant="soho",x="y"} 1"#,
            r#"one{merchant="a \"b\"",x="y"} 1"#,
            "# HELP two Two.",
            "# TYPE two gauge",
            r#"two{merchant="soho"} 2"#,
            r#"two{merchant="a \"b\""} 2"#,
        ];
        assert_eq!(page.whole().lines().collect::<Vec<_>>(), lines);
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
