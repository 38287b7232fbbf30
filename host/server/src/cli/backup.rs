//! `stampcard backup`: the shop as one file.

use super::{End, Run, progress, say, say_json};
use crate::backup::{Made, Step, make};
use crate::clock;
use crate::config::Folder;
use crate::table::number;
use clap::Args;
use std::path::PathBuf;

/// Write the shop into one file: its database as of one moment, and its folder. It may run while
/// the shop is open.
///
/// The file is a tar with the sums of its parts; it takes its name when all of it is on disk, in
/// place of an older one. Its folder needs room for the database twice while it is made.
///
/// The file is as secret as the shop: names, addresses and the shop's own secret are in it. Only
/// the user who makes it may read it; encrypt it before it leaves the machine.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard backup shop shop-$(date +%F).tar\n  \
    stampcard backup shop shop.tar --json && age --recipient age1… --output shop.tar.age shop.tar"
)]
pub struct Backup {
    /// The shop's folder.
    dir: PathBuf,
    /// The file to write.
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        let bar = progress::steps(0);
        let made = make(
            &Folder::of_one(&self.dir)?,
            &self.file,
            clock::now(),
            &mut |Step { what, done, of }| {
                bar.set_length(of);
                bar.set_position(done);
                bar.set_message(what);
            },
        );
        bar.finish_and_clear();
        let made = made?;
        if self.json {
            say_json(&made)?
        } else {
            say(tell(&made))?
        }
        Ok(End::Done)
    }
}

fn tell(made: &Made) -> String {
    let count = |count: u64| number(count as i64);
    format!(
        "{}: {} events, {} customers and {} ledger entries as of {}, in {} bytes.\n\n\
         It is as secret as the shop. To see whether it can be restored:\n  \
         stampcard restore {} restored --verify",
        made.file.display(),
        count(made.events),
        count(made.customers),
        count(made.entries),
        made.made_at,
        count(made.bytes),
        made.file.display()
    )
}
