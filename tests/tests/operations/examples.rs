//! What an operator copies from `examples/operations/` speaks of figures that the server has.

use crate::tills::numbered;
use serde_json::Value;
use stampcard_tests::binary::root;
use stampcard_tests::{Shop, binary};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

fn example(name: &str) -> String {
    let path = root().join("examples/operations").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every name of a figure that a text has.
fn figures(text: &str) -> BTreeSet<String> {
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
    words
        .filter(|word| word.starts_with("stampcard_"))
        .map(str::to_owned)
        .collect()
}

/// What `/metrics` exports, with the parts of its histograms.
fn exported() -> BTreeSet<String> {
    let shop = Shop::new();
    let server = shop.serve();
    server.outcome(&numbered(1));
    let metrics = server.get("/metrics");
    let text = metrics.as_str().expect("it is text");
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = kinds.flat_map(|line| {
        let (name, kind) = line.split_once(' ').expect("a name and a kind");
        let endings: &[&str] = match kind {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        endings
            .iter()
            .map(move |ending| format!("{name}{ending}"))
            .collect::<Vec<_>>()
    });
    names.collect()
}

#[test]
fn alerts_and_dashboard_speak_only_of_figures_that_the_server_exports() {
    let exported = exported();
    let alerts = figures(&example("alerts.yml"));
    let dashboard = figures(&example("dashboard.json"));
    for (file, named) in [("alerts.yml", &alerts), ("dashboard.json", &dashboard)] {
        let unknown: Vec<_> = named.difference(&exported).collect();
        assert!(
            unknown.is_empty(),
            "{file} has {unknown:?}, of {exported:?}"
        );
    }
    // What a page in the night is about.
    for needed in [
        "stampcard_ready",
        "stampcard_queue_events",
        "stampcard_plugin_calls_total",
        "stampcard_plugins_not_loaded",
        "stampcard_ledger_differences",
        "stampcard_disk_free_bytes",
        "stampcard_timers_overdue_seconds",
        "stampcard_outbox_oldest_due_seconds",
        "stampcard_recent_sales_within_a_minute",
        "stampcard_recent_follow_ups_suppressed",
    ] {
        assert!(alerts.contains(needed), "no alert on {needed}");
    }
    // Whatever waits for a person has a figure, and somebody is told of it.
    for queue in [
        "stampcard_review_items_open",
        "stampcard_conflicts",
        "stampcard_outbox_due",
    ] {
        assert!(
            dashboard.contains(queue) && alerts.contains(queue),
            "{queue}"
        );
    }
}

#[test]
fn every_alert_says_what_it_means_and_names_a_runbook_that_exists() {
    let text = example("alerts.yml");
    let alerts: Vec<&str> = text.split("- alert: ").skip(1).collect();
    assert!(alerts.len() >= 15, "{} alerts", alerts.len());
    for alert in alerts {
        let name = alert.lines().next().unwrap_or_default();
        for key in ["expr:", "severity:", "summary:", "runbook:"] {
            assert!(alert.contains(key), "{name} has no {key}");
        }
        let runbook = alert
            .lines()
            .find_map(|line| line.trim().strip_prefix("runbook: "))
            .expect("it was there");
        assert!(
            root().join(runbook).is_file(),
            "{name}: there is no {runbook}"
        );
    }
}

#[test]
fn the_dashboard_is_one_that_grafana_reads() {
    let dashboard: Value = serde_json::from_str(&example("dashboard.json")).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{panel}");
        for key in ["title", "type", "gridPos", "targets"] {
            assert!(!panel[key].is_null(), "no {key} in {panel}");
        }
        for target in panel["targets"].as_array().expect("targets") {
            assert!(
                target["expr"].as_str().is_some_and(|expr| !expr.is_empty()),
                "{panel}"
            );
        }
    }
    assert!(panels.len() >= 10);
}

/// The number in the first row of the sizing guide that begins with these words.
fn stated(guide: &str, row: &str) -> u64 {
    let line = guide
        .lines()
        .find(|line| line.starts_with(&format!("| {row}")))
        .unwrap_or_else(|| panic!("the guide has no row {row:?}"));
    let cell = line.split('|').nth(2).expect("a row has two cells");
    let digits: String = cell
        .split_whitespace()
        .next()
        .expect("a figure")
        .replace(',', "");
    digits
        .parse()
        .unwrap_or_else(|_| panic!("{row}: {cell:?} begins with no number"))
}

/// What does not depend on how fast the machine is.
#[test]
fn what_the_sizing_guide_says_of_disk_and_memory_holds_here() {
    let guide = fs::read_to_string(root().join("docs/sizing.md")).expect("the guide");
    assert!(guide.contains("cargo xtask bench"), "it names no command");
    let shop = Shop::new();
    let events: Vec<Value> = (0..4_000).map(numbered).collect();
    shop.ingest(&events);
    let bytes = fs::metadata(shop.database()).expect("the database").len() / 4_000;
    let most = stated(&guide, "disk for an event, at most");
    assert!(
        bytes <= most,
        "{bytes} bytes for an event, and the guide says {most}"
    );
    let server = shop.serve();
    for number in 0..200 {
        server.outcome(&numbered(number));
    }
    let Some(memory) = server.memory() else {
        return;
    };
    let most = stated(&guide, "memory of a server, at most") << 20;
    assert!(
        memory <= most,
        "{memory} bytes of memory, and the guide says {most}"
    );
}

/// Where systemd is, it reads the unit, too.
#[test]
fn the_unit_gives_the_server_its_folder_and_nothing_else() {
    let unit = example("stampcard.service");
    for line in [
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "UMask=0077",
        "StateDirectory=stampcard",
        "TimeoutStopSec=",
    ] {
        assert!(
            unit.lines().any(|found| found.starts_with(line)),
            "no {line}"
        );
    }
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        return;
    };
    assert!(version.status.success());
    let room = tempfile::tempdir().expect("a temporary folder");
    let path = room.path().join("stampcard.service");
    let here = unit.replace(
        "/usr/local/bin/stampcard",
        binary::path().to_str().expect("UTF-8"),
    );
    fs::write(&path, here).expect("a file");
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&path)
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let about_us: Vec<&str> = told
        .lines()
        .filter(|line| line.contains("stampcard.service"))
        .collect();
    assert!(about_us.is_empty(), "{told}");
}
