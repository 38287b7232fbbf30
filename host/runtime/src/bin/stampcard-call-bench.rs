//! Prints what a call of a point formula costs.
//!
//! `stampcard-call-bench RULE.wasm [RULE.toml]` measures it in a fresh instance for each call, in
//! instances that are kept and compared, and in one that is kept and trusted, on one thread and on
//! two. Without a manifest the rule has no configuration.

use stampcard_pipeline::event::{Body, Channel, Event, Instant, Line, Sale, Tender};
use stampcard_pipeline::rules::{Customer, Input, Membership, SoFar, Standing, Totals};
use stampcard_pipeline::shop::{Shop, ShopFile};
use stampcard_runtime::{Candidate, Engine, RuleBook, bench, child_main};
use std::process::ExitCode;
use std::time::Duration;

const MANIFEST: &str =
    "name = 'rule'\nversion = '0.0.0'\nroles = ['point-formula']\nevents = ['*']";
const SHOP: &str =
    "name = 'Bean & Leaf'\ncurrency = 'USD'\ntime_zone = 'America/New_York'\ncountry = 'US'";
const EACH: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    child_main();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let component = arguments
        .next()
        .ok_or("stampcard-call-bench RULE.wasm [RULE.toml]")?;
    let file = arguments.next().map(std::fs::read_to_string).transpose()?;
    let candidate = Candidate {
        name: "rule".into(),
        file: file.unwrap_or_else(|| MANIFEST.into()),
        component: Some(std::fs::read(component)?),
        schema: None,
        was_live: false,
        source: None,
    };
    let shop = Shop::new(toml::from_str::<ShopFile>(SHOP)?)?;
    let engine = Engine::new(&std::env::temp_dir().join("stampcard-call-bench"))?;
    let book = RuleBook::load(&engine, &shop, vec![candidate], &[], None);
    if let Some(failure) = book.not_loaded().first() {
        return Err(failure.reason.to_string().into());
    }
    let (event, input) = (event(), input());
    println!("threads  fresh/s      µs  verified/s      µs   reused/s      µs");
    for threads in [1, 2] {
        let it = bench::point_formula(&book, &event, &input, threads, EACH);
        let micros = |rate: f64| 1e6 * threads as f64 / rate;
        println!(
            "{threads:7} {:8.0} {:7.2} {:11.0} {:7.2} {:10.0} {:7.2}",
            it.fresh,
            micros(it.fresh),
            it.verified,
            micros(it.verified),
            it.reused,
            micros(it.reused)
        );
    }
    Ok(())
}

/// Five lines, as an ordinary basket has.
fn event() -> Event {
    let line = |number: i64| Line {
        sku: Some(format!("SKU-{number}")),
        name: Some("Ground coffee, 250 g".into()),
        category: Some("coffee".into()),
        quantity: 1_000,
        unit_price: 1_000 + number,
        amount: 1_000 + number,
        net: 1_000 + number,
        ..Line::default()
    };
    let lines: Vec<Line> = (0..5).map(line).collect();
    let total = lines.iter().map(|line| line.amount).sum();
    let sale = Sale {
        total,
        lines,
        tenders: vec![Tender {
            kind: "card".into(),
            amount: total,
            ..Tender::default()
        }],
        ..Sale::default()
    };
    Event {
        source: "till-1".into(),
        id: "ord-1001".into(),
        kind: "sale.completed".into(),
        at: NOON,
        channel: Some(Channel::Pos),
        location: None,
        device: Some("till-1".into()),
        staff: None,
        historical: false,
        identified_by: Vec::new(),
        notes: Vec::new(),
        body: Body::Sale(sale),
        room: Default::default(),
        visitor: None,
        attributes: Default::default(),
    }
}

fn input() -> Input {
    Input {
        review: Vec::new(),
        local: stampcard_pipeline::calendar::LocalTime::at(NOON, &jiff::tz::TimeZone::UTC),
        place: None,
        customer: Customer {
            id: "cus_01J0000000000000000000".into(),
            created_at: NOON,
            enrolled_at: Some(NOON),
            origin: "pos".into(),
            tags: vec!["VIP".into()],
            segments: vec![Membership {
                segment: "weekly".into(),
                since: NOON,
                until: None,
            }],
            tier: Some(Standing {
                tier: "silver".into(),
                since: NOON,
                keep_until: None,
            }),
            balance: 450,
            available: 450,
            earned: 900,
            consents: Vec::new(),
            language: Some("en".into()),
            birthday: None,
            home_location: None,
            attributes: Vec::new(),
            offers: Vec::new(),
            known: Vec::new(),
        },
        totals: Totals::default(),
        facts: Vec::new(),
        facts_truncated: false,
        state: None,
        so_far: SoFar::default(),
        returned: None,
        referral: None,
        ending: None,
    }
}

/// Noon in New York on Monday, 2 March 2026.
const NOON: Instant = Instant(1_772_470_800_000);
