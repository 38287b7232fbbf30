//! What alerts look at: what is late, what waits for a person, how sales come in, how much room there
//! is.

use super::Text;
use crate::disk::Room;
use stampcard_pipeline::event::Instant;
use stampcard_store::reads::{Backlog, Counters, Recent};

/// How the rules are that are live.
pub(super) struct RulesCondition {
    pub not_loaded: u64,
    pub quarantined: u64,
    pub found_out: u64,
    pub owed: u64,
    pub reviews_left: u64,
}

pub(super) fn text(
    page: &mut Text,
    store: &Counters,
    backlog: &Backlog,
    recent: &Recent,
    now: Instant,
    disk: Option<Room>,
    rules: &RulesCondition,
) {
    let seconds =
        |since: Option<Instant>| since.map_or(0, |since| (now.0 - since.0).max(0) as u64 / 1_000);
    let mut gauges = vec![
        (
            "stampcard_timers_overdue",
            "Customers of whom something is due that was not driven yet.",
            backlog.overdue,
        ),
        (
            "stampcard_timers_overdue_seconds",
            "For how long the first of them is.",
            seconds(backlog.overdue_since),
        ),
        (
            "stampcard_outbox_due",
            "Follow-ups that are due and were not sent, unless it is too late for them.",
            backlog.follow_ups_due,
        ),
        (
            "stampcard_outbox_oldest_due_seconds",
            "For how long the first of them is due.",
            seconds(backlog.follow_ups_due_since),
        ),
        (
            "stampcard_outbox_dead",
            "Follow-ups that could not be delivered and wait for a person.",
            backlog.follow_ups_dead,
        ),
        (
            "stampcard_recent_sales",
            "Sales among the newest 1,000 events.",
            recent.arrivals.sales,
        ),
        (
            "stampcard_recent_sales_with_customer",
            "Those of them that have a customer.",
            recent.arrivals.with_customer,
        ),
        (
            "stampcard_recent_sales_live",
            "Those of the last week that came within a day of when they happened.",
            recent.arrivals.live,
        ),
        (
            "stampcard_recent_sales_within_a_minute",
            "Those that came within a minute.",
            recent.arrivals.within_a_minute,
        ),
        (
            "stampcard_recent_follow_ups",
            "Follow-ups that were planned last, 1,000 at most.",
            recent.follow_ups,
        ),
        (
            "stampcard_recent_follow_ups_suppressed",
            "Those of them that a missing consent suppressed.",
            recent.suppressed,
        ),
        (
            "stampcard_conflicts",
            "Events that were refused because another body came under their name before; kept to be looked at.",
            store.conflicts,
        ),
        (
            "stampcard_plugins_not_loaded",
            "Plugins that are not live as the folder has them.",
            rules.not_loaded,
        ),
        (
            "stampcard_plugins_quarantined",
            "Plugins that failed for too many customers and are not called.",
            rules.quarantined,
        ),
        (
            "stampcard_plugins_found_out",
            "Plugins whose kept instance answered otherwise than a fresh one, and which have fresh ones since.",
            rules.found_out,
        ),
        (
            "stampcard_plugins_owe",
            "Customers to whom some plugin owes an answer, each once for each plugin.",
            rules.owed,
        ),
        (
            "stampcard_reviews_left",
            "Customers who are still to be asked since the rules changed.",
            rules.reviews_left,
        ),
    ];
    if let Some(Room { free, all }) = disk {
        gauges.push((
            "stampcard_disk_free_bytes",
            "What may still be written to the disk of the shop's database.",
            free,
        ));
        gauges.push(("stampcard_disk_bytes", "The size of that disk.", all));
    }
    for (name, help, value) in gauges {
        page.metric(name, "gauge", help);
        page.sample(&[], value);
    }
}
