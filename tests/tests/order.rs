//! Order of arrival, repetition and replay: what must not make a difference.

use jiff::civil::date;
use serde_json::{Value, json};
use stampcard_tests::binary::{root, target};
use stampcard_tests::every_kind::{self, Told};
use stampcard_tests::generated::{self, Generated, SMALL, shuffled};
use stampcard_tests::{Shop, binary, event, sale};
use std::collections::BTreeSet;

/// Orders of arrival that are tried; the soak tries more.
const SHUFFLES: u64 = 10;
/// Wide enough that nothing of a season is too late to be decided in its place.
const LATE_WINDOW: &str = "[policies]\nlate_window_days = 150\n";
/// What staff needs for what it does in [`by_staff`].
const STAFF: &str = r#"
tags = [{ key = "spring", means = "Came for the spring collection.", expires_after_days = 20 }]

[policies]
adjust_below_zero = true

[profile]
fields = [{ key = "boot_size", type = "number", purpose = "Which boots to bring." }]
"#;

/// Three stores and nothing in the ledger yet, but for those whom somebody names.
fn shop() -> Shop {
    let shop = Shop::bare(&[]);
    shop.append("merchant.toml", generated::LOCATIONS);
    shop.lay_over("merchant.toml", LATE_WINDOW);
    shop.lay_over("merchant.toml", STAFF);
    shop.lay_over("merchant.toml", every_kind::MERCHANT);
    shop.write("plugins/starter-referral.toml", every_kind::REFERRAL);
    shop.lay_over("stampcard.toml", every_kind::SERVER);
    // Staff does nothing to somebody whom nobody knows.
    let customer = json!({"customer": {"email": "sam@example.com"}});
    let created = event::event(
        "customer.created",
        "sam",
        "2025-02-14T12:00:00-05:00",
        customer,
    );
    let people = [vec![created], every_kind::people()].concat();
    shop.ingest(&people);
    shop
}

/// A season, and a day with every kind of event, for a shop that has begun.
fn season_and_day(shop: &Shop) -> Told {
    let mut told = every_kind::day(shop);
    told.events = [season(), told.events].concat();
    told
}

/// What names nobody by what a shop made up.
fn season() -> Vec<Value> {
    let generated = Generated::new(11, date(2025, 5, 17), SMALL);
    [generated.season, generated.day, by_staff()].concat()
}

/// What Sam bought, exchanged and brought back, and what staff did to them in between.
fn by_staff() -> Vec<Value> {
    let sam = |index: usize| json!({"source": "till-1", "id": format!("sam-{index}")});
    #[rustfmt::skip]
    let acts = [
        ("sale.completed", "02-20", json!({"total": 30_000})),
        ("points.adjusted", "02-22", json!({"points": 200, "reason": "a broken zip", "expires_at": "2025-04-01T00:00:00-04:00"})),
        ("points.adjusted", "02-23", json!({"points": -650, "reason": "a mistake"})),
        ("tag.added", "02-25", json!({"tag": "spring"})),
        ("tier.overridden", "03-01", json!({"tier": "gold", "reason": "press", "until": "2025-04-20T00:00:00-04:00"})),
        ("sale.completed", "03-05", json!({"total": 60_000, "tags_to_add": ["spring"]})),
        ("note.added", "03-06", json!({"note": "Prefers linen."})),
        ("customer.updated", "03-10", json!({"fields": {"boot_size": "42.5"}})),
        ("sale.completed", "04-02", json!({"total": 4_500})),
        ("tag.added", "04-10", json!({"tag": "loud", "until": "2025-05-01T00:00:00-04:00"})),
        ("tag.removed", "04-12", json!({"tag": "loud"})),
        ("tier.overridden", "04-25", json!({"tier": "platinum", "reason": "a friend"})),
        ("sale.completed", "05-02", json!({"total": 9_900})),
        ("tier.overridden", "05-06", json!({"tier": null, "reason": "no friend any more"})),
        ("points.adjusted", "05-08", json!({"points": -2_000, "reason": "a long story"})),
        // What was bought on 5 March is exchanged, and comes back; the order of 2 April is edited.
        ("exchange.completed", "03-08", json!({"sale": sam(5), "channel": "online", "currency": "USD", "returned": [{"line": 1, "quantity": 1}], "amount": 20_000, "lines": [{"sku": "COAT", "unit_price": 45_000}], "total": 45_000})),
        ("order.edited", "04-03", json!({"sale": sam(8), "currency": "USD", "removed": [{"line": 1, "amount": 500}], "amount": 500, "added": [{"sku": "SCARF", "unit_price": 1_900}], "total": 1_900})),
        // A part of it is store credit, which pays for something, until that is undone.
        ("return.completed", "03-20", json!({"sale": sam(0), "currency": "USD", "amount": 9_000, "refunds": [{"to": "store_credit", "amount": 6_000}, {"to": "cash", "amount": 3_000}]})),
        ("credit.adjusted", "03-21", json!({"amount": 1_500, "reason": "late delivery", "expires_at": "2025-04-30T00:00:00-04:00"})),
        ("sale.completed", "04-15", json!({"total": 7_000, "tenders": [{"kind": "store_credit", "amount": 5_000}, {"kind": "card", "amount": 2_000}]})),
        ("sale.completed", "05-10", json!({"total": 4_000, "tenders": [{"kind": "store_credit", "amount": 4_000}]})),
        ("sale.voided", "05-11", json!({"sale": sam(20)})),
        ("return.completed", "04-20", json!({"sale": sam(15), "channel": "online", "currency": "USD", "amount": 45_000})),
    ];
    let told = acts
        .into_iter()
        .enumerate()
        .map(|(index, (kind, day, mut data))| {
            data["customer"] = json!({"email": "sam@example.com"});
            if kind == "sale.completed" {
                data = event::with_goods(data);
            }
            let time = format!("2025-{day}T10:00:00-04:00");
            event::event(kind, &format!("sam-{index}"), &time, data)
        });
    told.collect()
}

/// What a shop comes to that is told these from its beginning on, without numbers, our own ids and
/// times of arrival.
fn canonical(shop: &Shop, events: &[Value], until: &str) -> String {
    let shop = shop.copied();
    shop.ingest_bytes(&event::lines(events), &["--until", until]);
    shop.check();
    shop.exported_whole(&["--canonical"])
}

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |text| text.parse().expect("a number"))
}

#[test]
fn any_order_of_arrival_ends_in_the_same_canonical_export() {
    let shop = shop();
    let told = season_and_day(&shop);
    let until = "2025-05-18T00:00:00-04:00";
    let in_order = canonical(&shop, &told.events, until);
    assert!(
        in_order.lines().count() > told.events.len(),
        "the export holds every event and every customer"
    );
    for seed in 1..=number("STAMPCARD_SHUFFLES", SHUFFLES) {
        // Every event comes twice, in any order; the second one of each is a duplicate.
        let other = canonical(&shop, &told.arriving(seed, 2), until);
        assert_eq!(
            first_difference(&in_order, &other),
            None,
            "shuffled with seed {seed}"
        );
    }
}

#[test]
fn the_day_that_is_shuffled_has_every_kind_of_event_that_somebody_tells() {
    let shop = shop();
    let told = every_kind::day(&shop);
    let server = shop.serve();
    let catalogue = server.get("/v1/catalogue");
    let kinds = catalogue["kinds"].as_array().expect("a list").iter();
    let told_by_somebody: BTreeSet<&str> = kinds
        .filter(|kind| kind["support"] == "processed")
        .map(|kind| kind["name"].as_str().expect("a kind has a name"))
        .collect();
    let kinds = told.kinds();
    let missing: Vec<&&str> = told_by_somebody.difference(&kinds).collect();
    assert_eq!(missing, [&""; 0], "tell of them in tests/src/every_kind.rs");
}

/// The soak gives it the busiest month of a real year.
#[test]
#[ignore = "needs STAMPCARD_MONTH, which `cargo xtask soak` sets"]
fn any_order_of_a_real_month_ends_in_the_same_canonical_export() {
    let file = std::env::var("STAMPCARD_MONTH").expect("STAMPCARD_MONTH names the events");
    let locations =
        std::env::var("STAMPCARD_LOCATIONS").expect("STAMPCARD_LOCATIONS names the stores");
    let read = |path: &str| {
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let events: Vec<Value> = read(&file)
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event"))
        .collect();
    let until = events.last().expect("a month has events")["time"]
        .as_str()
        .expect("a time")
        .to_owned();
    let export = |events: &[Value]| {
        let shop = Shop::bare(&[]);
        shop.append("merchant.toml", &read(&locations));
        shop.lay_over("merchant.toml", LATE_WINDOW);
        shop.ingest_bytes(&event::lines(events), &["--until", &until]);
        shop.check();
        shop.exported_whole(&["--canonical"])
    };
    let in_order = export(&events);
    for seed in 1..=number("STAMPCARD_SHUFFLES", SHUFFLES) {
        let other = export(&shuffled(events.clone(), seed));
        assert_eq!(
            first_difference(&in_order, &other),
            None,
            "shuffled with seed {seed}"
        );
    }
}

/// Buy ten, bring back nine, buy one: with a stamp card.
#[test]
fn ten_bought_nine_brought_back_and_one_bought_end_the_same_in_every_order_of_arrival() {
    let base = shop();
    let package = root().join("examples/tenth-coffee");
    let component =
        stampcard_build::component(&package, stampcard_build::shared_target_dir(target()))
            .expect("the stamp card builds");
    base.write("plugins/tenth-coffee.wasm", component);
    let manifest = std::fs::read(package.join("tenth-coffee.toml")).expect("it has a manifest");
    base.write("plugins/tenth-coffee.toml", manifest);

    let coffees = |id: &str, hour: u32, pieces: i64| {
        let line = json!({"sku": "FLAT-WHITE", "category": "coffee", "quantity": pieces, "unit_price": 400});
        let data = json!({"customer": {"email": "sam@example.com"}, "lines": [line], "total": pieces * 400});
        sale(id, &format!("2025-05-17T{hour}:00:00-04:00"), data)
    };
    let back = json!({"sale": {"source": "till-1", "id": "ten"}, "channel": "pos", "location": "soho",
        "currency": "USD", "amount": 3_600, "lines": [{"line": 1, "quantity": 9, "amount": 3_600}]});
    let told = [
        coffees("ten", 10, 10),
        event::event(
            "return.completed",
            "nine",
            "2025-05-17T11:00:00-04:00",
            back,
        ),
        coffees("one", 12, 1),
    ];
    let mut ends: BTreeSet<String> = BTreeSet::new();
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let shop = base.copied();
        for at in order {
            shop.ingest(&[told[at].clone()]);
        }
        let again = shop.ingest(&order.map(|at| told[at].clone()));
        assert_eq!(again["duplicate"], 3, "{again}");
        shop.check();
        let lots = shop.exported("ledger", &["--canonical"]);
        let points: i64 = lots
            .iter()
            .map(|lot| lot["points"].as_i64().expect("points"))
            .sum();
        assert_eq!(
            points,
            8 + 500,
            "a full card, and a point a dollar for two: {order:?} {lots:?}"
        );
        ends.insert(shop.exported_whole(&["--canonical"]));
        // The eight stamps that are owed are filled first, and then ten for the next card.
        for (id, pieces, cards) in [("eight", 8, 0), ("nine-more", 9, 0), ("tenth", 1, 1)] {
            shop.ingest(&[coffees(id, 13, pieces)]);
            let lots = shop.export("ledger", &["--canonical"]);
            assert_eq!(
                lots.matches("a full stamp card").count(),
                1 + cards,
                "{order:?} {id}"
            );
        }
    }
    assert_eq!(ends.len(), 1, "{ends:?}");
}

#[test]
fn ingesting_the_same_file_twice_changes_nothing() {
    let shop = shop();
    let events = season_and_day(&shop).events;
    let first = shop.ingest(&events);
    assert_eq!(first["refused"], 0, "{first}");
    let before = shop.exported_whole(&[]);
    let second = shop.ingest(&events);
    assert_eq!(
        second["duplicate"].as_u64(),
        Some(events.len() as u64),
        "{second}"
    );
    assert_eq!(second["applied"], 0, "{second}");
    assert_eq!(first_difference(&before, &shop.exported_whole(&[])), None);
}

#[test]
fn the_same_order_gives_the_same_export_byte_for_byte_up_to_ids_and_arrival() {
    let events = season();
    let export = || {
        let shop = shop();
        shop.ingest(&events);
        shop.exported_whole(&["--canonical"])
    };
    assert_eq!(first_difference(&export(), &export()), None);
}

#[test]
fn a_replay_of_the_journal_into_an_empty_database_gives_byte_equal_exports() {
    let shop = shop();
    let told = season_and_day(&shop);
    let events = told.arriving(3, 1);
    let (early, late) = events.split_at(events.len() / 2);
    // A profile that admission finds incomplete.
    let profile = "[profile]\nrequired = [\"given_name\", \"birthday\"]\nmode = \"lenient\"\n";
    shop.lay_over("merchant.toml", profile);
    let customer = json!({"customer": {"email": "ana@example.com"}, "given_name": "Ana"});
    let created = event::event(
        "customer.created",
        "ana",
        "2025-02-01T12:00:00-05:00",
        customer,
    );
    shop.ingest(&[created]);
    assert!(
        shop.export("events", &[])
            .contains("incomplete: missing birthday")
    );
    // Two sittings with other rules in between, and all of it shuffled: the journal has late events,
    // rule books and timers.
    shop.ingest(early);
    shop.lay_over("plugins/starter-points.toml", "[config]\npoints = 2\n");
    shop.ingest_bytes(
        &event::lines(late),
        &["--until", "2025-07-01T00:00:00-04:00"],
    );

    let copy = shop.dir.with_file_name("replayed");
    let copy_text = copy
        .to_str()
        .expect("temporary folders have names in UTF-8");
    shop.run("replay", &[copy_text]).ok();
    binary::run(["check", copy_text]).ok();
    for what in ["customers", "ledger", "events"] {
        let replayed = binary::run(["export", copy_text, what]).ok();
        assert_eq!(
            first_difference(&shop.export(what, &[]), &replayed),
            None,
            "{what}"
        );
    }
}

/// The first place in which two exports differ: what both begin with, and how each goes on.
fn first_difference(one: &str, other: &str) -> Option<[String; 3]> {
    if one == other {
        return None;
    }
    let line = one
        .lines()
        .zip(other.lines())
        .take_while(|(one, other)| one == other)
        .count();
    let [one, other] = [one, other].map(|text| text.lines().nth(line).unwrap_or("(end)"));
    let same = one
        .chars()
        .zip(other.chars())
        .take_while(|(one, other)| one == other)
        .count();
    let part = |text: &str, from: usize, most: usize| {
        text.chars().skip(from).take(most).collect::<String>()
    };
    let around = format!(
        "line {}: {} … {}",
        line + 1,
        part(one, 0, 120),
        part(one, same.saturating_sub(120), 120.min(same))
    );
    Some([around, part(one, same, 200), part(other, same, 200)])
}
