//! How many events a second the four starter plugins decide durably, beside SQLite alone replaying
//! what a recorded run wrote; what an event takes on disk; what an import takes in memory.

use super::Figure;
use crate::Failure;
use jiff::civil::date;
use stampcard_tests::generated::{self, BUSY, Generated, Size};
use stampcard_tests::{Shop, binary, event};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

pub fn measure(quick: bool) -> Result<Vec<Figure>, Failure> {
    let size = if quick {
        Size {
            customers: 400,
            guests: 6,
        }
    } else {
        BUSY
    };
    let generated = Generated::new(5, date(2025, 5, 17), size);
    let events = [generated.season, generated.day].concat();
    let shop = Shop::bare(&[]);
    shop.append("merchant.toml", generated::LOCATIONS);
    let file = shop.path("events.ndjson");
    fs::write(&file, event::lines(&events)).map_err(|source| Failure::File {
        path: file.display().to_string(),
        source,
    })?;

    let mut child = binary::command([
        "ingest".as_ref(),
        shop.dir.as_os_str(),
        file.as_os_str(),
        "--json".as_ref(),
    ])
    .stdout(Stdio::piped())
    .spawn()
    .map_err(|source| Failure::Start {
        program: "stampcard ingest".into(),
        source,
    })?;
    let peak = peak_memory(&mut child);
    let printed = child.wait_with_output().map_err(|source| Failure::Start {
        program: "stampcard ingest".into(),
        source,
    })?;
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    let summary: serde_json::Value = serde_json::from_str(&printed).unwrap_or_default();
    let Some(seconds) = summary["seconds"].as_f64() else {
        return Err(Failure::Printed {
            program: "stampcard ingest".into(),
            printed,
        });
    };
    let a_second = events.len() as f64 / seconds;
    let bytes = size_of_database(&shop.dir);
    let mut figures = vec![
        Figure::new(
            format!(
                "durable events, four starter plugins ({} events)",
                events.len()
            ),
            a_second,
            "a second",
            "at least 3,000",
        ),
        Figure::new(
            "on disk",
            bytes as f64 / events.len() as f64,
            "bytes/event",
            "at most 6,144",
        ),
    ];
    if let Some(peak) = peak {
        figures.push(Figure::new(
            "most memory of that import",
            peak as f64 / f64::from(1 << 20),
            "MiB",
            "at most 300",
        ));
    }
    Ok(figures)
}

/// The file and its log, wherever the shop keeps them.
fn size_of_database(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => size_of_database(&entry.path()),
        Ok(data) if entry.file_name().to_string_lossy().contains(".db") => data.len(),
        _ => 0,
    });
    sizes.sum()
}

/// Looks at a running process until it ends, where the system tells.
fn peak_memory(child: &mut std::process::Child) -> Option<u64> {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = None;
    while let Ok(None) = child.try_wait() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("VmHWM:"));
        let kib = line
            .and_then(|line| line.split_whitespace().nth(1))
            .and_then(|text| text.parse::<u64>().ok());
        peak = kib.map(|kib| kib * 1_024).max(peak);
        std::thread::sleep(Duration::from_millis(20));
    }
    peak
}
