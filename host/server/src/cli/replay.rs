//! `stampcard replay`: the same shop once more, from its journal alone.

use super::{End, Run, progress, say, say_json};
use crate::config::Folder;
use crate::replay::{Replayed, replay};
use crate::table::number;
use clap::Args;
use std::path::PathBuf;

/// Take the journal of a shop down the line again, into a new and empty folder.
///
/// Each event is decided by the rule book that decided it then, with the failures that were recorded
/// then; the exports of both shops are the same, byte for byte. The first shop is only read.
#[derive(Args)]
#[command(
    after_help = "Example:\n  stampcard replay shop again && diff <(stampcard export shop ledger) <(stampcard export again ledger)"
)]
pub struct Replay {
    /// The shop's folder.
    dir: PathBuf,
    /// The new folder; it is made, or it must be empty.
    new_dir: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        let bar = progress::steps(0);
        let replayed = replay(
            &Folder::of_one(&self.dir)?,
            &Folder::at(&self.new_dir),
            &mut |done, of| {
                bar.set_length(of);
                bar.set_position(done);
            },
        )?;
        bar.finish_and_clear();
        let Replayed {
            events,
            rule_books,
            failures,
            seconds,
        } = &replayed;
        if self.json {
            say_json(&replayed)?;
        } else {
            let count = |count: &u64| number(*count as i64);
            say(format_args!(
                "{} events under {} rule books, with {} recorded failures, in {seconds:.1} s",
                count(events),
                count(rule_books),
                count(failures)
            ))?;
        }
        Ok(End::Done)
    }
}
