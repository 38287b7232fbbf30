//! `stampcard export`: what the database holds, for other people's scripts.

use super::{End, Run, time};
use crate::config::Folder;
use clap::{Args, ValueEnum};
use stampcard_pipeline::event::Instant;
use stampcard_store::Reads;
use stampcard_store::export::View;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Write customers, ledger entries or events to standard output: one JSON object on each line, in a
/// stable order. It may run while the shop is open.
///
/// `mail` is for letters: whoever agreed to post, one line for each household, with names and addresses.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard export shop customers > customers.ndjson\n  \
    stampcard export shop ledger --as-of 2024-06-30T23:59:59Z\n  stampcard export shop mail > letters.ndjson"
)]
pub struct Export {
    /// The shop's folder.
    dir: PathBuf,
    what: What,
    /// As it was at that time, by when things happened.
    #[arg(long, value_parser = time::parse, value_name = "TIME")]
    as_of: Option<Instant>,
    /// Leave out what follows the order of arrival (entry numbers, our ids, arrival times): shops
    /// that were told the same export the same bytes.
    #[arg(long)]
    canonical: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Customers,
    Ledger,
    Events,
    Mail,
}

/// Pages that an export keeps in memory, in KiB: it reads everything once.
const PAGE_CACHE_KIB: u32 = 16 << 10;

impl Export {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        let reads = Reads::open(&Folder::of_one(&self.dir)?.database(), 1, PAGE_CACHE_KIB)?;
        let view = View {
            as_of: self.as_of,
            canonical: self.canonical,
        };
        let mut out = Out {
            to: BufWriter::with_capacity(64 << 10, io::stdout().lock()),
            closed: false,
        };
        let exported = match self.what {
            What::Customers => reads.export_customers(view, &mut out),
            What::Ledger => reads.export_ledger(view, &mut out),
            What::Events => reads.export_events(view, &mut out),
            What::Mail if view.canonical || view.as_of.is_some() => {
                return Err(
                    "letters go to who lives somewhere today: leave --as-of and --canonical out"
                        .into(),
                );
            }
            What::Mail => reads.export_mail(&mut out),
        };
        if out.closed {
            // Whoever reads has seen enough, such as `head`.
            return Ok(End::Done);
        }
        exported?;
        out.to.flush()?;
        Ok(End::Done)
    }
}

/// Standard output that remembers whether its reader went away.
struct Out<W: Write> {
    to: BufWriter<W>,
    closed: bool,
}

impl<W: Write> Write for Out<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes);
        self.closed |= matches!(&written, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
