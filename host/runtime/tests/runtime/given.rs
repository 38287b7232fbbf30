//! What the tests begin with: components, an engine, a shop, an event and an input.

use jiff::tz::TimeZone;
use stampcard_pipeline::calendar::LocalTime;
use stampcard_pipeline::event::{Body, Event, Instant, Line, Sale};
use stampcard_pipeline::rules::{Customer, Input, SoFar, Totals};
use stampcard_pipeline::shop::{Shop, ShopFile};
use stampcard_runtime::{Candidate, Engine, Room, RuleBook};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Noon in New York on Monday, 2 March 2026.
pub const NOON: Instant = Instant(1_772_470_800_000);

/// A component of `tests/guests`, built once.
pub fn component(guest: &'static str) -> Vec<u8> {
    static BUILT: OnceLock<parking_lot::Mutex<BTreeMap<&'static str, Vec<u8>>>> = OnceLock::new();
    let mut built = BUILT.get_or_init(Default::default).lock();
    let build = || {
        let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/guests");
        let package = guests
            .join(guest)
            .canonicalize()
            .unwrap_or_else(|error| panic!("{guest}: {error}"));
        stampcard_build::component(package, temporary("guests"))
            .unwrap_or_else(|error| panic!("{guest}: {error}"))
    };
    built.entry(guest).or_insert_with(build).clone()
}

/// The engine that all tests share, with a cache that lasts.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| engine_with(&temporary("compiled")))
}

/// An engine with a cache of its own.
pub fn engine_with(cache: &Path) -> Engine {
    Engine::with_compiler(cache, compiler()).unwrap()
}

/// An engine with less room than a server has.
pub fn engine_in(cache: &Path, room: Room) -> Engine {
    Engine::with_room(cache, compiler(), room).unwrap()
}

fn compiler() -> PathBuf {
    env!("CARGO_BIN_EXE_stampcard-call-bench").into()
}

pub fn temporary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

pub fn shop() -> Shop {
    shop_with(&["silver", "gold"], &[])
}

/// A shop with these tiers, that declares this order of plugins.
pub fn shop_with(tiers: &[&str], plugins: &[&str]) -> Shop {
    let file = format!(
        "name = 'Bean & Leaf'\ncurrency = 'USD'\ntime_zone = 'America/New_York'\ncountry = 'US'\n\
         tiers = {tiers:?}\nplugins = {plugins:?}"
    );
    Shop::new(toml::from_str::<ShopFile>(&file).unwrap()).unwrap()
}

/// A candidate of that name made of a guest, with what else its `NAME.toml` says.
pub fn candidate(name: &str, guest: &'static str, role: &str, more: &str) -> Candidate {
    Candidate {
        name: name.into(),
        file: format!(
            "name = {name:?}\nversion = '1.0.0'\nroles = [{role:?}]\nevents = ['*']\n{more}"
        ),
        component: Some(component(guest)),
        schema: None,
        was_live: false,
        source: None,
    }
}

/// The hostile guest, told to commit a crime.
pub fn hostile(crime: &str, limits: &str) -> Candidate {
    let more = format!(
        "[configuration]\ntype = 'object'\n[limits]\n{limits}\n[config]\ncrime = {crime:?}",
    );
    candidate("hostile", "hostile", "point-formula", &more)
}

/// A rule book of these candidates alone.
pub fn book(candidates: Vec<Candidate>) -> RuleBook {
    RuleBook::load(engine(), &shop(), candidates, &[], None)
}

/// A sale of so many lines of one dollar.
pub fn sale(id: &str, lines: usize) -> Arc<Event> {
    let line = Line {
        quantity: 1_000,
        unit_price: 100,
        amount: 100,
        net: 100,
        ..Line::default()
    };
    let sale = Sale {
        lines: vec![line; lines],
        total: 100 * lines as i64,
        ..Sale::default()
    };
    Arc::new(Event {
        source: "till-1".into(),
        id: id.into(),
        kind: "sale.completed".into(),
        at: NOON,
        channel: None,
        location: None,
        device: None,
        staff: None,
        historical: false,
        identified_by: Vec::new(),
        notes: Vec::new(),
        body: Body::Sale(sale),
        room: Default::default(),
        visitor: None,
        attributes: BTreeMap::new(),
    })
}

pub fn input() -> Input {
    Input {
        review: Vec::new(),
        local: LocalTime::at(NOON, &TimeZone::UTC),
        place: None,
        customer: Customer {
            id: "cus_1".into(),
            created_at: NOON,
            enrolled_at: None,
            origin: "pos".into(),
            tags: Vec::new(),
            segments: Vec::new(),
            tier: None,
            balance: 0,
            available: 0,
            earned: 0,
            consents: Vec::new(),
            language: None,
            birthday: None,
            home_location: None,
            attributes: Vec::new(),
            offers: Vec::new(),
            known: Vec::new(),
        },
        referral: None,
        ending: None,
        totals: Totals::default(),
        facts: Vec::new(),
        facts_truncated: false,
        state: None,
        so_far: SoFar::default(),
        returned: None,
    }
}

/// What reaches the operator's log meanwhile.
pub fn logged_during(work: impl FnOnce()) -> String {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    String::from_utf8(written.0.lock().clone()).unwrap()
}

#[derive(Clone, Default)]
struct Written(Arc<parking_lot::Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
