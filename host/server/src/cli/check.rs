//! `stampcard check`: is the database what the journal makes of it?

use super::{End, Run, progress, say, say_json};
use crate::config::Folder;
use crate::table::{Side, number, table};
use clap::Args;
use serde::Serialize;
use stampcard_store::Reads;
use stampcard_store::check::{Difference, Progress};
use std::path::PathBuf;

/// Recompute every balance, lot, membership, window and number, and list what differs.
///
/// It may run while the shop is open, and mends nothing. Exit code 1 if something differs.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard check shop && echo sound")]
pub struct Check {
    /// The shop's folder.
    dir: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Pages that the check keeps in memory, in KiB: it reads everything once.
const PAGE_CACHE_KIB: u32 = 16 << 10;

#[derive(Serialize)]
struct Checked {
    customers: u64,
    entries: u64,
    events: u64,
    differences: Vec<Row>,
}

/// A difference as it is printed.
#[derive(Serialize)]
pub(super) struct Row {
    customer: Option<String>,
    what: String,
    expected: String,
    found: String,
}

impl Check {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        let reads = Reads::open(&Folder::of_one(&self.dir)?.database(), 1, PAGE_CACHE_KIB)?;
        let bar = progress::steps(0);
        let differences = reads.check(&mut |Progress { part, done, of }| {
            bar.set_length(of);
            bar.set_position(done);
            bar.set_message(part);
        })?;
        bar.finish_and_clear();
        let counters = reads.counters()?;
        let checked = Checked {
            customers: counters.customers,
            entries: counters.entries,
            events: counters.journal_rows,
            differences: rows_of(differences),
        };
        if self.json {
            say_json(&checked)?
        } else {
            say(tell(&checked))?
        }
        Ok(if checked.differences.is_empty() {
            End::Done
        } else {
            End::Attention
        })
    }
}

fn tell(checked: &Checked) -> String {
    let count = |count: u64| number(count as i64);
    let seen = format!(
        "{} customers, {} ledger entries and {} journal rows were recomputed",
        count(checked.customers),
        count(checked.entries),
        count(checked.events)
    );
    if checked.differences.is_empty() {
        return format!("{seen}: nothing differs.");
    }
    format!(
        "{}\n\n{seen}: {} differ.",
        tell_rows(&checked.differences),
        count(checked.differences.len() as u64)
    )
}

pub(super) fn rows_of(differences: Vec<Difference>) -> Vec<Row> {
    let rows = differences.into_iter().map(|difference| {
        let Difference {
            customer,
            what,
            expected,
            found,
        } = difference;
        Row {
            customer: customer.map(|id| id.0),
            what,
            expected,
            found,
        }
    });
    rows.collect()
}

pub(super) fn tell_rows(rows: &[Row]) -> String {
    let row = |row: &Row| {
        let customer = row.customer.clone().unwrap_or_else(|| "the shop".into());
        vec![
            customer,
            row.what.clone(),
            row.expected.clone(),
            row.found.clone(),
        ]
    };
    let heads = ["customer", "what", "expected", "found"].map(|head| (head, Side::Left));
    table(&heads, &rows.iter().map(row).collect::<Vec<_>>())
}
