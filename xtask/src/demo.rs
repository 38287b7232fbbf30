//! `cargo xtask demo`: a shop that never was, one season and one day of it, through the real
//! binary; then a look at what came of it.

mod journey;
mod report;
mod stream;

use crate::{Failure, setup};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use report::Report;
use serde_json::Value;
use stampcard_tests::binary::{self, root};
use stampcard_tests::event;
use stampcard_tests::generated::{self, BUSY, Generated, SMALL, TIME_ZONE};
use stampcard_tests::server::Server;
use stampcard_tests::shop::{self, Keys};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Options {
    /// A generated day of a three-store shop, or a real year of supermarket baskets
    #[arg(long, value_enum, default_value_t = Data::Generated)]
    data: Data,
    /// Stop the server at the end
    #[arg(long)]
    exit: bool,
    /// What the generated day is drawn from; the same seed and date give the same events
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A hundred customers in place of thousands: a glance instead of a day
    #[arg(long)]
    small: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Data {
    Generated,
    CompleteJourney,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    setup::binary()?;
    let (dir, keys, server) = match options.data {
        Data::Generated => generated_day(options)?,
        Data::CompleteJourney => journey::run()?,
    };
    report::print_addresses(&dir, &keys, &server);
    if options.exit {
        server.stop();
        println!(
            "\nThe server has stopped. `stampcard serve {}` starts it again.",
            dir.display()
        );
    } else {
        println!("\nThe server is up until you press Ctrl-C.");
        server.wait();
    }
    Ok(())
}

/// Makes the shop, tells it its season, and streams the day through its server.
fn generated_day(options: &Options) -> Result<(PathBuf, Keys, Server), Failure> {
    // Yesterday is the last day that is over everywhere in the shop.
    let zone = TimeZone::get(TIME_ZONE).expect("the zone is known");
    let day = Timestamp::now()
        .to_zoned(zone)
        .date()
        .saturating_sub(1.day());
    let generated = Generated::new(options.seed, day, if options.small { SMALL } else { BUSY });

    let (dir, keys) = new_shop(
        if options.small { "demo-small" } else { "demo" },
        generated::LOCATIONS,
    )?;
    println!(
        "\nA season of Juniper & Oak, {} events up to {}, is told to the shop:",
        generated.season.len(),
        day
    );
    ingest(&dir, &event::lines(&generated.season))?;

    let server = Server::start(&dir, &keys, &[]);
    println!(
        "\nThe day itself, {day}: {} events from eight tills, through {}.",
        generated.day.len(),
        server.address
    );
    let streamed = stream::send(&server, &generated.day);
    let mut report = Report::default();
    streamed
        .answers
        .iter()
        .for_each(|answer| report.add(answer));
    report.print(&server);
    streamed.print();
    println!("\nAna, who spent 600.00 before tax in one visit, and that visit:\n");
    let vip = &generated.cast.vip;
    let is_hers = |event: &&Value| {
        event["type"] == "sale.completed" && event["data"]["customer"]["email"] == *vip
    };
    report::print_explanation(&dir, vip, generated.day.iter().find(is_hers))?;
    Ok((dir, keys, server))
}

/// A new shop in `target/NAME`, in place of the one from before.
fn new_shop(name: &str, locations: &str) -> Result<(PathBuf, Keys), Failure> {
    let dir = root().join("target").join(name).join("shop");
    let failed = |source| Failure::File {
        path: dir.display().to_string(),
        source,
    };
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(failed)?;
    }
    fs::create_dir_all(dir.parent().expect("it lies in target")).map_err(failed)?;
    let keys = shop::init(&dir, &[]);
    let merchant = dir.join("merchant.toml");
    let text = fs::read_to_string(&merchant).map_err(failed)? + locations;
    fs::write(&merchant, text).map_err(failed)?;
    Ok((dir, keys))
}

/// `stampcard ingest`, with its own progress bar and summary on the terminal.
fn ingest(dir: &Path, ndjson: &[u8]) -> Result<(), Failure> {
    let file = dir.with_file_name("season.ndjson");
    fs::write(&file, ndjson).map_err(|source| Failure::File {
        path: file.display().to_string(),
        source,
    })?;
    crate::cargo::must(binary::command([
        "ingest".as_ref(),
        dir.as_os_str(),
        file.as_os_str(),
    ]))
}
