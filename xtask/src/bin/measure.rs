//! What can only be measured from the inside, printed as JSON for `cargo xtask bench`:
//!
//! - one rule as ordinary Rust, in a fresh instance for each call, and in one that is kept;
//! - the line with the four starter plugins, durable, beside SQLite alone replaying the statements
//!   of the very same run in the same groups.

use serde_json::{Value, json};
use stampcard_pipeline::admit::{Arrival, Secret, Sender, admit};
use stampcard_pipeline::calendar::LocalTime;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::line::{self, Context};
use stampcard_pipeline::rules::{Customer, Input, Rules, SoFar, Totals};
use stampcard_pipeline::shop::{Shop, ShopFile};
use stampcard_runtime::{Candidate, Engine, PackPlugin, RuleBook, bench, child_main};
use stampcard_sdk::{PointFormula, Rule, cases};
use stampcard_store::{Birth, NewRuleBook, Settings, SqliteStore};
use stampcard_tests::binary::root;
use stampcard_tests::generated::{BUSY, Generated, LOCATIONS, Size};
use stampcard_tests::sale;
use starter_points::StarterPoints;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant as Clock};

/// The same as in the binary, whose line is measured here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PACK: [&str; 4] = [
    "starter-segments",
    "starter-points",
    "starter-tiers",
    "starter-follow-ups",
];
/// How long each way of calling the rule is measured.
const EACH: Duration = Duration::from_secs(2);
/// Threads that decide, as the server has them on a machine with two processors.
const LANES: usize = 2;
/// After every event that is measured.
const NOW: Instant = Instant(1_790_000_000_000);

fn main() {
    child_main();
    let size = match std::env::args().nth(1).as_deref() {
        Some("quick") => Size {
            customers: 400,
            guests: 6,
        },
        _ => BUSY,
    };
    let pack = Pack::build();
    let figures = json!({"rule": rule(&pack), "line": durable_line(&pack, size)});
    println!("{figures}");
}

/// The starter pack, as the binary carries it.
struct Pack(Vec<Packed>);

struct Packed {
    name: &'static str,
    manifest: String,
    schema: String,
    /// `NAME.toml` of a new shop.
    file: String,
    component: Vec<u8>,
}

impl Pack {
    fn build() -> Pack {
        let read = |path: &Path| fs::read_to_string(path).expect("the pack is in the repository");
        let packed = PACK.map(|name| {
            let folder = root().join("plugins").join(name);
            let config: Value =
                toml::from_str(&read(&folder.join("default.toml"))).expect("defaults are TOML");
            let file =
                toml::to_string(&json!({"pack": name, "config": config})).expect("a table is TOML");
            Packed {
                name,
                manifest: read(&folder.join("plugin.toml")),
                schema: read(&folder.join("config.schema.json")),
                file,
                component: stampcard_build::component(&folder, root().join("target/measure"))
                    .expect("the pack builds"),
            }
        });
        Pack(packed.into())
    }

    fn load(&self, engine: &Engine, shop: &Shop, only: Option<&str>) -> RuleBook {
        let packs: Vec<PackPlugin> = self.0.iter().map(Packed::plugin).collect();
        let wanted = self
            .0
            .iter()
            .filter(|packed| only.is_none_or(|name| packed.name == name));
        let candidates: Vec<Candidate> = wanted
            .map(|packed| Candidate {
                name: packed.name.into(),
                file: packed.file.clone(),
                component: None,
                schema: None,
                was_live: false,
                source: None,
            })
            .collect();
        let book = RuleBook::load(engine, shop, candidates, &packs, None);
        assert!(
            book.not_loaded().is_empty(),
            "{:?}",
            book.not_loaded()
                .first()
                .map(|failure| failure.reason.to_string())
        );
        book
    }
}

impl Packed {
    fn plugin(&self) -> PackPlugin<'_> {
        PackPlugin {
            name: self.name,
            manifest: &self.manifest,
            schema: Some(&self.schema),
            component: &self.component,
        }
    }
}

fn shop() -> Shop {
    let text = format!(
        "name = 'Juniper & Oak'\ncurrency = 'USD'\ntime_zone = 'America/New_York'\ncountry = 'US'\n\
         tiers = ['silver', 'gold', 'platinum']\nplugins = {PACK:?}\n{LOCATIONS}"
    );
    Shop::new(toml::from_str::<ShopFile>(&text).expect("a shop")).expect("a shop that can be")
}

fn engine() -> Engine {
    Engine::new(&root().join("target/measure/cache")).expect("an engine")
}

/// `starter-points` as it comes, for a basket of five lines.
fn rule(pack: &Pack) -> Value {
    let book = pack.load(&engine(), &shop(), Some("starter-points"));
    let lines: Vec<Value> = (0..5)
        .map(|number| json!({"sku": format!("SKU-{number}"), "amount": 890}))
        .collect();
    let told = sale(
        "1001",
        "2026-03-02T10:00:00-05:00",
        json!({"lines": lines, "total": 4_450}),
    );
    let told = told.to_string().into_bytes();
    let shop = shop();
    let admitted = admit(
        &Arrival::Told(&told, &Sender::operator("till")),
        &shop,
        &Secret([7; 32]),
        NOW,
    )
    .expect("a sale");
    let event = &*admitted.event;
    let input = Input {
        review: Vec::new(),
        local: LocalTime::at(event.at, &shop.zone),
        place: None,
        customer: Customer {
            id: "cus_1".into(),
            created_at: event.at,
            enrolled_at: None,
            origin: "pos".into(),
            tags: Vec::new(),
            segments: Vec::new(),
            tier: None,
            balance: 450,
            available: 450,
            earned: 450,
            consents: Vec::new(),
            language: None,
            birthday: None,
            home_location: None,
            offers: Vec::new(),
            known: Vec::new(),
            attributes: Vec::new(),
        },
        totals: Totals::default(),
        facts: Vec::new(),
        facts_truncated: false,
        state: None,
        so_far: SoFar::default(),
        referral: None,
        ending: None,
        returned: None,
    };
    let figures = bench::point_formula(&book, event, &input, 1, EACH);
    json!({"native_micros": native(), "fresh_micros": 1e6 / figures.fresh, "verified_micros": 1e6 / figures.verified, "reused_micros": 1e6 / figures.reused})
}

/// The same rule, called as Rust: configured and asked, as a fresh instance is.
fn native() -> f64 {
    let lines: Vec<Value> = (0..5)
        .map(|number| json!({"sku": format!("SKU-{number}"), "quantity": 1_000, "amount": 890}))
        .collect();
    let input = cases::complete(
        &json!({"event": {"body": {"Sale": {"lines": lines}}}}),
        &cases::default_shop(),
    )
    .expect("an input");
    let shop = cases::default_shop();
    let (mut calls, began) = (0u64, Clock::now());
    while began.elapsed() < EACH {
        for _ in 0..1_000 {
            let config = serde_json::from_str(
                r#"{"points":1,"base":"total","exclude":{"gift_cards":true}}"#,
            )
            .expect("a configuration");
            let rule = StarterPoints::configure(config, &shop).expect("it is taken");
            std::hint::black_box(
                rule.points(std::hint::black_box(&input))
                    .expect("an answer"),
            );
            calls += 1;
        }
    }
    began.elapsed().as_secs_f64() * 1e6 / calls as f64
}

/// A season and a day down the line on two lanes; then SQLite alone with what was written.
fn durable_line(pack: &Pack, size: Size) -> Value {
    let generated = Generated::new(5, jiff::civil::date(2025, 5, 17), size);
    let events: Vec<Vec<u8>> = generated
        .season
        .iter()
        .chain(&generated.day)
        .map(|event| event.to_string().into_bytes())
        .collect();
    let (shop, engine) = (shop(), engine());
    let book = pack.load(&engine, &shop, None);

    let timed = Run::new(&shop, &book);
    let ours = timed.send(&events, &shop, &book);

    // Recording costs time of its own, so what is timed is not what is recorded.
    let recorded = Run::new(&shop, &book);
    recorded.store.start_recording();
    recorded.send(&events, &shop, &book);
    let recording = recorded.store.take_recording();

    let empty = Run::new(&shop, &book);
    let path = empty.room.path().join("shop.db");
    drop(empty.store);
    let connection = SqliteStore::plain_connection(&path).expect("a connection");
    let began = Clock::now();
    recording.replay(&connection).expect("it replays");
    let theirs = began.elapsed();
    json!({
        "events": events.len(), "groups": recording.groups(),
        "ours_a_second": events.len() as f64 / ours.as_secs_f64(),
        "sqlite_a_second": events.len() as f64 / theirs.as_secs_f64(),
    })
}

/// A database that knows the rules and nothing else.
struct Run {
    store: SqliteStore,
    number: i64,
    room: tempfile::TempDir,
}

impl Run {
    fn new(shop: &Shop, book: &RuleBook) -> Run {
        let room = tempfile::tempdir().expect("a temporary folder");
        let birth = Birth {
            secret: [7; 32],
            at: Instant(1_760_000_000_000),
        };
        let store = SqliteStore::open(&room.path().join("shop.db"), &birth, &Settings::default())
            .expect("a store");
        let number = store
            .save_rule_book(
                &NewRuleBook::bare(book.plugins(), &shop.file, birth.at),
                None,
            )
            .expect("a rule book")
            .number;
        Run {
            store,
            number,
            room,
        }
    }

    /// Sends every event, those of one customer down one lane, and waits until all are on disk.
    fn send(&self, events: &[Vec<u8>], shop: &Shop, book: &RuleBook) -> Duration {
        let context = Context {
            shop,
            rules: book,
            rule_book: self.number,
            secret: self.store.secret(),
        };
        let lanes: Vec<Vec<&Vec<u8>>> = (0..LANES)
            .map(|lane| {
                events
                    .iter()
                    .filter(|event| lane_of(event) == lane)
                    .collect()
            })
            .collect();
        let began = Clock::now();
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            for lane in &lanes {
                let tell = tell.clone();
                scope.spawn(move || {
                    for event in lane {
                        let committed = line::process(
                            &self.store,
                            context,
                            &Arrival::Told(event, &Sender::operator("till")),
                            NOW,
                        )
                        .expect("it is taken");
                        let tell = tell.clone();
                        committed
                            .durable
                            .then(Box::new(move |durable| drop(tell.send(durable))));
                    }
                });
            }
        });
        self.store.flush().expect("it reaches the disk");
        drop(tell);
        let durable = told.iter().filter(Result::is_ok).count();
        assert_eq!(durable, events.len(), "every event is on disk");
        began.elapsed()
    }
}

fn lane_of(event: &[u8]) -> usize {
    let event: Value = serde_json::from_slice(event).expect("an event is JSON");
    let mut hasher = DefaultHasher::new();
    event["data"]["customer"].to_string().hash(&mut hasher);
    hasher.finish() as usize % LANES
}
