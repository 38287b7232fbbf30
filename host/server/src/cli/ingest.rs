//! `stampcard ingest`: past events, from a file.

use super::{End, Run, progress, say, say_json, time};
use crate::config::Folder;
use crate::ingest::{Summary, ingest};
use crate::merchant::{Merchant, Options, problems};
use crate::table::{Side, number, table};
use clap::Args;
use indicatif::ProgressBar;
use stampcard_pipeline::event::Instant;
use stampcard_store::Grouping;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Take a file of events, one CloudEvent as JSON on each line, while the server is down.
///
/// It is safe to do twice: events that are known are counted as duplicates. Exit code 1 if anything
/// was refused; the refused lines and their reasons are then in a file that it names.
#[derive(Args)]
#[command(after_help = "Examples:\n  stampcard ingest shop sales.ndjson\n  \
    zcat sales.ndjson.gz | stampcard ingest shop - --until 2024-12-31T00:00:00Z --json")]
pub struct Ingest {
    /// The shop's folder.
    dir: PathBuf,
    /// The file, or - for standard input.
    file: PathBuf,
    /// Drive the shop's clock on to this time, past the last event.
    #[arg(long, value_parser = time::parse, value_name = "TIME")]
    until: Option<Instant>,
    /// Print one JSON object at the end.
    #[arg(long)]
    json: bool,
}

/// An import is not answered event by event, so its groups are as large as saves anything.
const GROUPING: Grouping = Grouping {
    changes_max: 2_048,
    wait_max: Duration::from_millis(250),
};
/// Bytes that are read from the file at once.
const READ_BYTES: usize = 256 << 10;

#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {source}", .path.display())]
struct OpenError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl Ingest {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        let (input, bytes) = open(&self.file)?;
        let options = Options::of(&Folder::of_one(&self.dir)?.server()?);
        let merchant = Merchant::open(
            &self.dir,
            &Options {
                grouping: GROUPING,
                ..options
            },
        )?;
        for problem in problems(&merchant.live().book) {
            eprintln!("stampcard: not live: {problem}");
        }
        let bar = progress::bytes(bytes);
        let summary = ingest(&merchant, input, self.until, |bytes, lines| {
            show(&bar, bytes, lines)
        });
        bar.finish_and_clear();
        merchant.close()?;
        let summary = summary?;
        if self.json {
            say_json(&summary)?
        } else {
            say(tell(&summary))?
        }
        Ok(if summary.refused > 0 {
            End::Attention
        } else {
            End::Done
        })
    }
}

fn open(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), OpenError> {
    if path == Path::new("-") {
        return Ok((
            Box::new(BufReader::with_capacity(READ_BYTES, io::stdin())),
            None,
        ));
    }
    let failed = |source| OpenError {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    let bytes = found.is_file().then_some(found.len());
    Ok((Box::new(BufReader::with_capacity(READ_BYTES, file)), bytes))
}

fn show(bar: &ProgressBar, bytes: u64, lines: u64) {
    // Often enough for an eye, seldom enough to cost nothing.
    if lines.is_multiple_of(256) {
        bar.set_position(bytes);
        bar.set_message(format!("{} events", number(lines as i64)));
    }
}

fn tell(summary: &Summary) -> String {
    let Summary {
        applied,
        duplicate,
        guest,
        parked,
        refused,
        driven,
        points,
        seconds,
        ..
    } = summary;
    let all = applied + duplicate + guest + parked + refused;
    let count = |count: &u64| number(*count as i64);
    let mut rows = vec![
        vec!["applied".to_owned(), count(applied)],
        vec!["duplicate".into(), count(duplicate)],
        vec!["guest".into(), count(guest)],
        vec!["parked".into(), count(parked)],
        vec!["refused".into(), count(refused)],
        vec!["all events".into(), count(&all)],
        vec!["timers driven".into(), count(driven)],
        vec!["points earned".into(), number(*points)],
    ];
    rows.push(vec!["seconds".into(), format!("{seconds:.1}")]);
    rows.push(vec![
        "events a second".into(),
        number((all as f64 / seconds.max(0.001)) as i64),
    ]);
    let mut text = table(&[("", Side::Left), ("", Side::Right)], &rows)
        .trim_start()
        .to_owned();
    if let Some(clock) = &summary.clock {
        text.push_str(&format!("\n\nThe shop's clock stands at {clock}."));
    }
    if let Some(path) = &summary.refused_file {
        text.push_str(&format!(
            "\nRefused lines and their reasons: {}",
            path.display()
        ));
    }
    text
}
