//! What an operator copies from `examples/operations/` speaks of figures that the server has.

use crate::tills::numbered;
use serde_json::Value;
use stampcard_tests::binary::root;
use stampcard_tests::{Server, Shop, Shops, binary};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

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

/// Time of a processor that a process has used, in hundredths of a second, and its threads that are
/// not lent out and gone again.
fn used(server: &Server) -> Option<(u64, usize)> {
    let process = format!("/proc/{}", server.pid().as_raw_nonzero());
    let stat = fs::read_to_string(format!("{process}/stat")).ok()?;
    // Behind the name, which may have blanks.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let threads = fs::read_dir(format!("{process}/task")).ok()?.flatten();
    let names = threads.filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    let lasting = names.filter(|name| !name.starts_with("tokio-rt-worker"));
    Some((ticks, lasting.count()))
}

#[test]
fn what_the_sizing_guide_says_of_shops_in_which_nothing_happens_holds_here() {
    const SHOPS: usize = 12;
    let guide = fs::read_to_string(root().join("docs/sizing.md")).expect("the guide");
    let names: Vec<String> = (0..SHOPS).map(|number| format!("shop-{number}")).collect();
    let shops = Shops::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let server = shops.serve();
    let (Some(memory), Some((before, threads))) = (server.memory(), used(&server)) else {
        return;
    };
    let alone = stated(&guide, "memory of a server, at most");
    let each = stated(&guide, "memory of each further shop of a server, at most");
    let most = (alone + each * SHOPS as u64) << 20;
    assert!(memory <= most, "{memory} bytes, and the guide says {most}");
    let each = stated(&guide, "threads of each shop of a server, all asleep") as usize;
    assert!(threads <= each * SHOPS + 8, "{threads} threads");
    std::thread::sleep(Duration::from_secs(4));
    let (after, _) = used(&server).expect("it was there before");
    // In 4 s one processor has 400.
    assert!(
        after - before <= 20,
        "{} hundredths of a second",
        after - before
    );
    server.stop();
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
