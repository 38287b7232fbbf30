//! `stampcard restore`: a shop of a backup.

use super::check::{Row, rows_of, tell_rows};
use super::{End, Run, progress, say, say_json};
use crate::backup::{Restored, Step, restore};
use crate::table::number;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Make a shop of a backup, in a folder that does not exist yet or is empty.
///
/// The sum of every part is checked. With --verify the database is also looked through by SQLite
/// and everything in it is computed again, as `stampcard check` does. What is wrong with the file
/// leaves nothing behind; what only differs is listed, with exit code 1.
#[derive(Args)]
#[command(
    after_help = "Example:\n  stampcard restore shop.tar shop --verify && stampcard serve shop"
)]
pub struct Restore {
    /// The file that `stampcard backup` wrote.
    file: PathBuf,
    /// The shop's folder.
    dir: PathBuf,
    /// Compute everything again before the folder gets its name.
    #[arg(long)]
    verify: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What `--json` prints. Scripts lean on it.
#[derive(Serialize)]
struct Told {
    dir: PathBuf,
    made_at: String,
    customers: u64,
    entries: u64,
    events: u64,
    files: Vec<String>,
    verified: bool,
    differences: Vec<Row>,
}

impl Restore {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        let bar = progress::steps(0);
        let restored = restore(
            &self.file,
            &self.dir,
            self.verify,
            &mut |Step { what, done, of }| {
                bar.set_length(of);
                bar.set_position(done);
                bar.set_message(what);
            },
        );
        bar.finish_and_clear();
        let Restored {
            made_at,
            customers,
            entries,
            events,
            files,
            differences,
        } = restored?;
        let told = Told {
            dir: self.dir,
            made_at,
            customers,
            entries,
            events,
            files,
            verified: differences.is_some(),
            differences: rows_of(differences.unwrap_or_default()),
        };
        if self.json {
            say_json(&told)?
        } else {
            say(tell(&told))?
        }
        Ok(if told.differences.is_empty() {
            End::Done
        } else {
            End::Attention
        })
    }
}

fn tell(told: &Told) -> String {
    let count = |count: u64| number(count as i64);
    let seen = format!(
        "{}: {} events, {} customers and {} ledger entries as of {}",
        told.dir.display(),
        count(told.events),
        count(told.customers),
        count(told.entries),
        told.made_at
    );
    match (told.verified, told.differences.is_empty()) {
        (false, _) => {
            format!("{seen}. Every sum is right; `--verify` would also compute it again.")
        }
        (true, true) => format!("{seen}. Every sum is right, and nothing differs."),
        (true, false) => format!(
            "{}\n\n{seen}. Every sum is right; the shop differed like this when it was backed up.",
            tell_rows(&told.differences)
        ),
    }
}
