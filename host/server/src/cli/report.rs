//! `stampcard report`: what moves, how large it is, what nobody would miss, and what is owed.

use super::{End, Run, say, say_json, time};
use crate::clock;
use crate::config::Folder;
use crate::http::tags::{self, Tags};
use crate::reports::{
    self, DAYS_DEFAULT, DAYS_MAX, LiabilityReport, LiabilitySpan, MovementsReport, PricesReport,
    SegmentsReport,
};
use crate::table::{Side, money, number, table};
use clap::{Args, Subcommand};
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::shop::Shop;
use stampcard_store::reads::SPANS_DAYS;
use stampcard_store::{Reads, RuleBook};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Report on segments, tags, prices and points that are owed, also while the shop is open.
#[derive(Subcommand)]
pub enum Report {
    Segments(Segments),
    Movements(Movements),
    Tags(TagsOf),
    Prices(Prices),
    Liability(Liability),
}

/// Every segment: its size, what moved, which rules look at it, and what may want tidying up.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard report segments shop\n  stampcard report segments shop --days 90 --json"
)]
pub struct Segments {
    /// The shop's folder.
    dir: PathBuf,
    /// How far back entries and exits are counted.
    #[arg(long, default_value_t = DAYS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    days: u32,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Who entered and who left each segment, by the days of the shop.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard report movements shop\n  stampcard report movements shop --segment lapsed --days 7"
)]
pub struct Movements {
    /// The shop's folder.
    dir: PathBuf,
    /// How many days back.
    #[arg(long, default_value_t = DAYS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    days: u32,
    /// Up to this time instead of now, such as 2026-03-02T00:00:00-05:00.
    #[arg(long, value_parser = time::parse, value_name = "TIME")]
    to: Option<Instant>,
    /// Of one segment only.
    #[arg(long)]
    segment: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Every tag: who may set it, which rules look at it, how many have it, and what may want tidying up.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard report tags shop")]
pub struct TagsOf {
    /// The shop's folder.
    dir: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Lines of the newest sales that were sold at another price than the catalogue has.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard report prices shop")]
pub struct Prices {
    /// The shop's folder.
    dir: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What the shop owes in points: what is left, by when it was earned and when it ends.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard report liability shop\n  stampcard report liability shop --json"
)]
pub struct Liability {
    /// The shop's folder.
    dir: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "no rules were ever live in this shop; `stampcard serve` and `stampcard ingest` bring them live"
)]
struct NeverOpen;

impl Report {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        match self {
            Report::Segments(segments) => segments.run(),
            Report::Movements(movements) => movements.run(),
            Report::Tags(tags) => tags.run(),
            Report::Prices(prices) => prices.run(),
            Report::Liability(liability) => liability.run(),
        }
    }
}

/// Pages that a report keeps in memory, in KiB: it reads one index from end to end.
const PAGE_CACHE_KIB: u32 = 4 << 10;

/// The shop's file, and the rules that are live in it.
fn open(dir: &Path) -> Result<(Reads, Arc<RuleBook>, Shop), Box<dyn std::error::Error>> {
    let reads = Reads::open(&Folder::of_one(dir)?.database(), 1, PAGE_CACHE_KIB)?;
    let book = reads.newest_rule_book()?.ok_or(NeverOpen)?;
    let shop = Shop::new(book.shop.clone())?;
    Ok((reads, book, shop))
}

impl Segments {
    fn run(self) -> Run {
        let (reads, book, _) = open(&self.dir)?;
        let report = reports::segments(&reads, &book.plugins, clock::now(), self.days)?;
        match self.json {
            true => say_json(&report)?,
            false => say(tell_segments(&report))?,
        }
        Ok(End::Done)
    }
}

fn tell_segments(report: &SegmentsReport) -> String {
    let row = |line: &reports::SegmentLine| {
        vec![
            line.segment.clone(),
            number(line.members as i64),
            number(line.entered as i64),
            number(line.left as i64),
            line.plugin.clone().unwrap_or_else(|| "-".into()),
            line.used_by.join(", "),
        ]
    };
    let heads = [
        ("segment", Side::Left),
        ("members", Side::Right),
        ("entered", Side::Right),
        ("left", Side::Right),
        ("plugin", Side::Left),
        ("used by", Side::Left),
    ];
    let rows: Vec<_> = report.segments.iter().map(row).collect();
    let advice = report
        .segments
        .iter()
        .map(|line| (&line.segment, &line.advice));
    format!(
        "{}\n\n{} segments of {} customers, {} days: {} empty, {} that no rule looks at, {} in which nobody moved{}",
        table(&heads, &rows),
        report.segments.len(),
        number(report.customers as i64),
        report.days,
        report.empty,
        report.unused,
        report.unmoved,
        tell_advice(advice)
    )
}

fn tell_advice<'a>(advice: impl Iterator<Item = (&'a String, &'a Vec<String>)>) -> String {
    let lines = advice.flat_map(|(key, advice)| {
        let line = move |advice: &String| format!("\n{key}: {advice}");
        advice.iter().map(line)
    });
    let lines: Vec<String> = lines.collect();
    match lines.is_empty() {
        true => ".".into(),
        false => format!(".\n{}", lines.concat()),
    }
}

impl Movements {
    fn run(self) -> Run {
        let (reads, _, shop) = open(&self.dir)?;
        let to = self.to.unwrap_or_else(clock::now);
        let from = reports::days_before(to, self.days);
        let report = reports::movements(&reads, &shop, from, to, self.segment.as_deref())?;
        match self.json {
            true => say_json(&report)?,
            false => say(tell_movements(&report))?,
        }
        Ok(End::Done)
    }
}

fn tell_movements(report: &MovementsReport) -> String {
    if report.movements.is_empty() {
        return "Nobody entered or left a segment.".into();
    }
    let row = |line: &reports::MovementLine| {
        vec![
            line.day.clone(),
            line.segment.clone(),
            number(line.entered as i64),
            number(line.left as i64),
        ]
    };
    let heads = [
        ("day", Side::Left),
        ("segment", Side::Left),
        ("entered", Side::Right),
        ("left", Side::Right),
    ];
    let rows: Vec<_> = report.movements.iter().map(row).collect();
    format!(
        "{}\n\nDays are those of {}.",
        table(&heads, &rows),
        report.time_zone
    )
}

impl TagsOf {
    fn run(self) -> Run {
        let (reads, book, shop) = open(&self.dir)?;
        let tags = tags::listed(&reads, &book.plugins, &shop)?;
        match self.json {
            true => say_json(&tags)?,
            false => say(tell_tags(&tags))?,
        }
        Ok(End::Done)
    }
}

fn tell_tags(tags: &Tags) -> String {
    if tags.tags.is_empty() {
        return "There are no tags.".into();
    }
    let row = |tag: &tags::TagInfo| {
        let set_by = match tag.registered {
            true => tag.set_by.join(", "),
            false => "not registered".into(),
        };
        vec![
            tag.tag.clone(),
            number(tag.customers as i64),
            set_by,
            tag.used_by.join(", "),
        ]
    };
    let heads = [
        ("tag", Side::Left),
        ("customers", Side::Right),
        ("set by", Side::Left),
        ("used by", Side::Left),
    ];
    let rows: Vec<_> = tags.tags.iter().map(row).collect();
    let advice = tags.tags.iter().map(|tag| (&tag.tag, &tag.advice));
    format!(
        "{}\n\n{} tags: {} not registered, {} of campaigns that are over, {} that no rule uses, {} of these on one customer{}",
        table(&heads, &rows),
        tags.tags.len(),
        tags.unregistered,
        tags.expired,
        tags.unused,
        tags.one_off,
        tell_advice(advice)
    )
}

impl Prices {
    fn run(self) -> Run {
        let (reads, _, shop) = open(&self.dir)?;
        let report = reports::prices(&reads, &shop.file.currency, clock::now())?;
        match self.json {
            true => say_json(&report)?,
            false => say(tell_prices(&report, shop.minor_units))?,
        }
        Ok(End::Done)
    }
}

fn tell_prices(report: &PricesReport, minor_units: u32) -> String {
    let looked_at = format!(
        "{} lines of sales among the newest {} events; {} of them have a price in the catalogue, and {} were sold at another one.",
        number(report.lines as i64),
        number(i64::from(report.events)),
        number(report.compared as i64),
        number(report.differing as i64),
    );
    if report.products.is_empty() {
        return looked_at;
    }
    let row = |found: &reports::MispricedProduct| {
        vec![
            found.product.clone(),
            found.variant.clone().unwrap_or_else(|| "-".into()),
            money(found.price, minor_units),
            money(found.sold_at, minor_units),
            number(found.lines as i64),
            format!("{}/{}", found.source, found.id),
        ]
    };
    let heads = [
        ("product", Side::Left),
        ("variant", Side::Left),
        ("catalogue", Side::Right),
        ("sold at", Side::Right),
        ("lines", Side::Right),
        ("newest sale", Side::Left),
    ];
    let rows: Vec<_> = report.products.iter().map(row).collect();
    format!("{}\n\n{looked_at}", table(&heads, &rows))
}

impl Liability {
    fn run(self) -> Run {
        let (reads, _, shop) = open(&self.dir)?;
        let report = reports::liability(&reads, &shop, clock::now())?;
        match self.json {
            true => say_json(&report)?,
            false => say(tell_liability(&report, shop.minor_units))?,
        }
        Ok(End::Done)
    }
}

/// Ages down, ends across.
fn tell_liability(report: &LiabilityReport, minor_units: u32) -> String {
    let ends: [(Option<i64>, bool, String); 6] = [
        (SPANS_DAYS[0], false),
        (SPANS_DAYS[1], false),
        (SPANS_DAYS[2], false),
        (SPANS_DAYS[3], false),
        (0, false),
        (0, true),
    ]
    .map(|(days, never)| match (days, never) {
        (0, false) => (None, false, "ends later".to_owned()),
        (0, true) => (None, true, "never ends".to_owned()),
        (days, _) => (Some(days), false, format!("in {days} days")),
    });
    let ages = SPANS_DAYS.map(Some).into_iter().chain([None]);
    let cell = |age: Option<i64>, ends: &(Option<i64>, bool, String)| -> i64 {
        let is_it = |span: &&LiabilitySpan| {
            span.at_most_days == age && (span.ends_within_days, span.never_ends) == (ends.0, ends.1)
        };
        let spans = report.spans.iter().filter(is_it);
        spans.map(|span| span.points).sum()
    };
    let mut rows: Vec<Vec<String>> = ages
        .clone()
        .map(|age| {
            let name = match age {
                Some(days) => format!("at most {days} days"),
                None => "older".into(),
            };
            let cells: Vec<i64> = ends.iter().map(|ends| cell(age, ends)).collect();
            let sum = cells.iter().sum();
            let numbers = cells.into_iter().chain([sum]).map(number);
            [name].into_iter().chain(numbers).collect()
        })
        .collect();
    let sums = ends
        .iter()
        .map(|ends| number(ages.clone().map(|age| cell(age, ends)).sum()));
    let sums = ["all".to_owned()]
        .into_iter()
        .chain(sums)
        .chain([number(report.points)]);
    rows.push(sums.collect());
    let heads: Vec<(&str, Side)> = [("earned", Side::Left)]
        .into_iter()
        .chain(ends.iter().map(|(_, _, name)| (name.as_str(), Side::Right)))
        .chain([("all", Side::Right)])
        .collect();
    format!(
        "{}\n\n{} points are open, worth {} {}. Customers with points: {}. Set aside for redemptions: {}. Of sales whose payment is not certain: {}. Owed by customers: {}.",
        table(&heads, &rows),
        number(report.points),
        money(report.worth, minor_units),
        report.currency,
        number(report.customers as i64),
        number(report.reserved),
        number(report.provisional),
        number(report.below_zero),
    ) + &tell_credit(report, minor_units)
}

/// What the shop owes in money, if it ever owed any.
fn tell_credit(report: &LiabilityReport, minor_units: u32) -> String {
    let credit = &report.store_credit;
    if credit.amount == 0 && credit.below_zero == 0 {
        return String::new();
    }
    let amount = |minor| money(minor, minor_units);
    let ends = credit.spans.iter().filter(|span| !span.never_ends);
    format!(
        "\n\nStore credit: {} {} are open, of which {} end some day. Customers with credit: {}. Set aside: {}. Owed by customers: {}.",
        amount(credit.amount),
        report.currency,
        amount(ends.map(|span| span.points).sum()),
        number(credit.customers as i64),
        amount(credit.reserved),
        amount(credit.below_zero),
    )
}
