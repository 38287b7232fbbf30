//! Figures: what was counted on the line since the server started, for whoever watches it.
//!
//! They are told to people and never decide anything.

use parking_lot::Mutex;
use stampcard_pipeline::admit::{FIELD_REQUIRED, missing_in};
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::outcome::{Outcome, PluginView, Status};
use stampcard_pipeline::refusal::Refusal;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the lanes count.
#[derive(Default)]
pub struct Figures {
    applied: AtomicU64,
    duplicate: AtomicU64,
    guest: AtomicU64,
    parked: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    /// Required fields that profiles were made without: how often that was taken, and refused.
    missed: Mutex<BTreeMap<String, [u64; 2]>>,
    /// By name and role.
    plugins: Mutex<BTreeMap<(String, String), PluginFigures>>,
}

/// What was seen of one plugin in one of its roles.
#[derive(Clone, Debug, Default)]
pub struct PluginFigures {
    /// By `ok` or the class of the failure.
    pub calls: BTreeMap<String, u64>,
    pub fuel: u64,
    /// The most that one call took.
    pub fuel_most: u64,
    pub micros: u64,
    pub last_failure: Option<LastFailure>,
    /// Calls since then that went well.
    pub well_since: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    pub class: String,
    pub message: String,
    pub version: String,
    pub at: Instant,
}

impl Figures {
    /// Counts what came of an event.
    pub fn decided(&self, outcome: &Outcome, now: Instant) {
        let counter = match outcome.status {
            Status::Applied => &self.applied,
            Status::Duplicate => &self.duplicate,
            Status::Guest => &self.guest,
            Status::Parked => &self.parked,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if outcome.status != Status::Duplicate {
            for field in outcome.notes.iter().flat_map(|note| missing_in(note)) {
                self.missed(field, 0);
            }
        }
        // A duplicate repeats the answer of the first; nothing was called for it.
        if outcome.status != Status::Duplicate && !outcome.plugins.is_empty() {
            let mut plugins = self.plugins.lock();
            for call in &outcome.plugins {
                count(&mut plugins, call, now);
            }
        }
    }

    pub fn refused(&self, refusal: &Refusal) {
        *self.refused.lock().entry(refusal.code()).or_default() += 1;
        if refusal.code() == FIELD_REQUIRED
            && let Some(field) = refusal.pointer().strip_prefix("/data/")
        {
            self.missed(field, 1);
        }
    }

    fn missed(&self, field: &str, what: usize) {
        let mut missed = self.missed.lock();
        missed.entry(field.to_owned()).or_default()[what] += 1;
    }

    /// By field: how often a profile without it was taken, and refused.
    pub fn missed_fields(&self) -> BTreeMap<String, [u64; 2]> {
        self.missed.lock().clone()
    }

    /// Events by what came of them.
    pub fn events(&self) -> [(&'static str, u64); 4] {
        [
            ("applied", &self.applied),
            ("duplicate", &self.duplicate),
            ("guest", &self.guest),
            ("parked", &self.parked),
        ]
        .map(|(status, count)| (status, count.load(Ordering::Relaxed)))
    }

    /// Refusals by code.
    pub fn refusals(&self) -> BTreeMap<&'static str, u64> {
        self.refused.lock().clone()
    }

    /// Calls by plugin and role.
    pub fn plugins(&self) -> BTreeMap<(String, String), PluginFigures> {
        self.plugins.lock().clone()
    }
}

fn count(plugins: &mut BTreeMap<(String, String), PluginFigures>, call: &PluginView, now: Instant) {
    let figures = plugins
        .entry((call.name.clone(), call.role.clone()))
        .or_default();
    match figures.calls.get_mut(&call.status) {
        Some(calls) => *calls += 1,
        None => {
            figures.calls.insert(call.status.clone(), 1);
        }
    }
    figures.fuel += call.fuel;
    figures.fuel_most = figures.fuel_most.max(call.fuel);
    figures.micros += call.micros;
    if matches!(call.status.as_str(), "ok" | "rejected") {
        figures.well_since += 1;
    } else if call.status != "quarantined" {
        figures.well_since = 0;
        figures.last_failure = Some(LastFailure {
            class: call.status.clone(),
            message: call.message.clone().unwrap_or_default(),
            version: call.version.clone(),
            at: now,
        });
    }
}

/// Calls in a row that must go well before a failure is history.
const WELL_AGAIN: u64 = 100;

/// How a plugin does that is called: `unknown` before its first call, `ok`, `recovering` or `failing`.
/// It is as healthy as its sickest role.
pub fn health(seen: &[(&str, &PluginFigures)]) -> &'static str {
    let of_role = |seen: &PluginFigures| match seen.last_failure {
        None => "ok",
        Some(_) if seen.well_since >= WELL_AGAIN => "ok",
        Some(_) if seen.well_since > 0 => "recovering",
        Some(_) => "failing",
    };
    let roles: Vec<&str> = seen.iter().map(|(_, seen)| of_role(seen)).collect();
    if roles.is_empty() {
        return "unknown";
    }
    ["failing", "recovering"]
        .into_iter()
        .find(|state| roles.contains(state))
        .unwrap_or("ok")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: Status, calls: &[(&str, u64)]) -> Outcome {
        let plugins = calls
            .iter()
            .map(|(status, fuel)| PluginView {
                name: "points".into(),
                version: "1.0.0".into(),
                digest: "sha256:0".into(),
                role: "point-formula".into(),
                status: (*status).into(),
                message: None,
                fuel: *fuel,
                micros: 7,
                instance: None,
            })
            .collect();
        Outcome {
            status,
            plugins,
            ..Outcome::default()
        }
    }

    #[test]
    fn a_duplicate_counts_as_an_event_and_not_as_a_call() {
        let figures = Figures::default();
        figures.decided(&outcome(Status::Applied, &[("ok", 100)]), Instant(1));
        figures.decided(&outcome(Status::Duplicate, &[("ok", 100)]), Instant(2));
        assert_eq!(
            figures.events(),
            [
                ("applied", 1),
                ("duplicate", 1),
                ("guest", 0),
                ("parked", 0)
            ]
        );
        let plugins = figures.plugins();
        assert_eq!(
            plugins[&("points".to_owned(), "point-formula".to_owned())].calls["ok"],
            1
        );
    }

    #[test]
    fn the_last_failure_stays_until_the_next_and_a_rules_own_refusal_is_none() {
        let figures = Figures::default();
        figures.decided(
            &outcome(
                Status::Applied,
                &[("trap", 30), ("ok", 90), ("rejected", 20)],
            ),
            Instant(5),
        );
        let plugins = figures.plugins();
        let seen = &plugins[&("points".to_owned(), "point-formula".to_owned())];
        assert_eq!(
            (seen.fuel, seen.fuel_most, seen.micros, seen.well_since),
            (140, 90, 21, 2)
        );
        assert_eq!(
            seen.last_failure
                .as_ref()
                .map(|last| (last.class.as_str(), last.at)),
            Some(("trap", Instant(5)))
        );
    }

    fn seen(well_since: u64, failed: bool) -> PluginFigures {
        let failure = LastFailure {
            class: "trap".into(),
            message: String::new(),
            version: "1".into(),
            at: Instant(0),
        };
        PluginFigures {
            well_since,
            last_failure: failed.then_some(failure),
            ..PluginFigures::default()
        }
    }

    #[test]
    fn a_plugin_is_as_healthy_as_its_sickest_role() {
        let (never, just, recovering, long_ago) = (
            seen(5, false),
            seen(0, true),
            seen(7, true),
            seen(WELL_AGAIN, true),
        );
        for (roles, expected) in [
            (vec![], "unknown"),
            (vec![("a", &never)], "ok"),
            (vec![("a", &long_ago), ("b", &never)], "ok"),
            (vec![("a", &never), ("b", &recovering)], "recovering"),
            (vec![("a", &just), ("b", &recovering)], "failing"),
        ] {
            assert_eq!(health(&roles), expected, "{roles:?}");
        }
    }
}
