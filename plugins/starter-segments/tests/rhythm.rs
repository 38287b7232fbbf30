//! The rhythms against models that remember everything.

mod life;

use life::{Life, at};
use proptest::prelude::*;
use stampcard_sdk::{DAY, Date, HOUR};
use starter_segments::rhythm::{Months, NEVER, SPAN_MS, Visits, season_of};

/// The definition, word for word, over every sale there ever was.
fn every_span_has_one(sales: &[i64], now: i64, spans: u32) -> bool {
    (0..i64::from(spans)).all(|span| {
        let (begin, end) = (now - (span + 1) * SPAN_MS, now - span * SPAN_MS);
        sales.iter().any(|sale| begin < *sale && *sale <= end)
    })
}

/// Gaps that sit on the edges of spans as often as anywhere else.
fn gaps() -> impl Strategy<Value = Vec<i64>> {
    let gap = prop_oneof![
        Just(0),
        Just(1),
        Just(SPAN_MS),
        Just(SPAN_MS - 1),
        Just(SPAN_MS + 1),
        Just(SPAN_MS / 2),
        0..3 * DAY,
        0..2 * SPAN_MS,
    ];
    prop::collection::vec(gap, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn thinned_visits_answer_as_all_of_them_do(gaps in gaps(), spans in 1u32..=8, waits in prop::collection::vec(0..3 * SPAN_MS, 8)) {
        let (mut visits, mut sales, mut now) = (Visits::default(), Vec::new(), 0);
        for gap in gaps {
            now += gap;
            sales.push(now);
            visits.add(now);
            visits.prune(now, spans);
            for probe in waits.iter().map(|wait| now + wait).chain([now, now + SPAN_MS]) {
                let expected = every_span_has_one(&sales, probe, spans);
                prop_assert_eq!(visits.filled(probe, spans) == spans, expected);
            }
        }
    }

    #[test]
    fn the_next_turn_is_neither_early_nor_late(gaps in gaps(), spans in 1u32..=5) {
        let (mut visits, mut sales, mut now) = (Visits::default(), Vec::new(), 0);
        for gap in gaps {
            now += gap;
            sales.push(now);
            visits.add(now);
        }
        let holds = every_span_has_one(&sales, now, spans);
        let turns_at = visits.turns_at(now, spans);
        // Only where some sale grows into the next span can anything change.
        let mut shifts: Vec<_> = sales
            .iter()
            .flat_map(|sale| (1..=i64::from(spans)).map(move |span| sale + span * SPAN_MS))
            .filter(|shift| *shift > now)
            .collect();
        shifts.sort();
        let expected = shifts.into_iter().find(|shift| every_span_has_one(&sales, *shift, spans) != holds);
        prop_assert_eq!(turns_at, expected.unwrap_or(NEVER));
    }

    #[test]
    fn a_void_within_a_day_leaves_no_trace(gaps in gaps(), voided in 0..DAY, after in 0..4 * SPAN_MS) {
        let (mut visits, mut sales, mut now) = (Visits::default(), Vec::new(), 0);
        for gap in &gaps {
            now += gap + 1;
            sales.push(now);
            visits.add(now);
        }
        let taken_back = now + 1;
        visits.add(taken_back);
        // Meanwhile others buy: the void comes up to a day later.
        let between = taken_back + voided / 2;
        if between > taken_back {
            visits.add(between);
            sales.push(between);
        }
        visits.remove(taken_back);
        let probe = taken_back + voided + after;
        prop_assert_eq!(visits.filled(probe, 4) == 4, every_span_has_one(&sales, probe, 4));
    }
}

#[test]
fn what_is_remembered_stays_small_however_often_somebody_buys() {
    let mut visits = Visits::default();
    let mut most = 0;
    for sale in 0..20_000 {
        let now = sale * 10 * 60 * 1_000;
        visits.add(now);
        visits.prune(now, 26);
        most = most.max(visits.0.len());
    }
    assert!(most <= 64, "{most}");
}

#[test]
fn months_are_those_of_the_wall_at_every_edge_of_the_calendar() {
    // Sales, then instants and whether "each of the last 3 months" holds there.
    for (zone, sales, probes) in [
        // Month ends of 31, 29 and 31 days, to the last millisecond.
        (
            "America/New_York",
            vec![
                "2024-01-31T23:59:59.999-05:00",
                "2024-02-29T23:59:59.999-05:00",
                "2024-03-01T00:00-05:00",
            ],
            vec![
                ("2024-03-01T00:00-05:00", true),
                ("2024-04-30T23:59:59.999-04:00", true),
                ("2024-05-01T00:00-04:00", false),
            ],
        ),
        // A year of 28 days in February, over the turn of the year.
        (
            "America/New_York",
            vec![
                "2022-12-31T10:00-05:00",
                "2023-01-01T10:00-05:00",
                "2023-02-28T23:59-05:00",
            ],
            vec![
                ("2023-02-28T23:59-05:00", true),
                ("2023-03-31T23:59:59.999-04:00", true),
                ("2023-04-01T00:00-04:00", false),
            ],
        ),
        // Berlin: the clocks go forward on 31 March 2024 and back on 27 October.
        (
            "Europe/Berlin",
            vec![
                "2024-01-15T10:00+01:00",
                "2024-02-15T10:00+01:00",
                "2024-03-31T23:59:59+02:00",
            ],
            vec![
                ("2024-03-31T23:59:59+02:00", true),
                ("2024-04-30T23:59:59.999+02:00", true),
                ("2024-05-01T00:00+02:00", false),
            ],
        ),
        (
            "Europe/Berlin",
            vec![
                "2024-08-31T23:30+02:00",
                "2024-09-30T23:30+02:00",
                "2024-10-31T23:30+01:00",
            ],
            vec![
                ("2024-10-31T23:30+01:00", true),
                ("2024-11-30T23:59:59.999+01:00", true),
                ("2024-12-01T00:00+01:00", false),
            ],
        ),
        // Santiago: midnight of 8 September 2024 does not exist; the months don't mind.
        (
            "America/Santiago",
            vec![
                "2024-07-31T23:30-04:00",
                "2024-08-01T00:00-04:00",
                "2024-09-08T01:00-03:00",
            ],
            vec![
                ("2024-09-08T01:00-03:00", true),
                ("2024-10-31T23:59:59.999-03:00", true),
                ("2024-11-01T00:00-03:00", false),
            ],
        ),
        // A month is missing.
        (
            "America/New_York",
            vec![
                "2024-01-15T10:00-05:00",
                "2024-03-15T10:00-04:00",
                "2024-04-15T10:00-04:00",
            ],
            vec![("2024-04-15T10:00-04:00", false)],
        ),
    ] {
        let config = "[segments.monthly]\nexplain = \"x\"\nwhen = { every_month = 3 }";
        for (probe, expected) in probes {
            let mut life = Life::new(config).zone(zone);
            for sale in &sales {
                life.sale(at(&format!("{sale}[{zone}]")), 100);
            }
            let probe_at = at(&format!("{probe}[{zone}]"));
            life.until(probe_at);
            assert_eq!(
                life.is_in("monthly"),
                expected,
                "{zone} {sales:?} at {probe}"
            );
            if !expected && sales.last() != Some(&probe) {
                assert_eq!(life.changes().last(), Some(&(probe_at, "-monthly")));
            }
        }
    }
}

#[test]
fn monthly_shoppers_are_asked_about_rarely() {
    let config = "[segments.monthly]\nexplain = \"x\"\nwhen = { every_month = 3 }";
    let mut life = Life::new(config);
    for month in 1..=12 {
        life.sale(
            at(&format!("2024-{month:02}-10T10:00[America/New_York]")),
            100,
        );
    }
    assert_eq!(life.reviews, 0, "whoever buys each month needs no timer");
    assert!(life.is_in("monthly"));
}

#[test]
fn a_void_in_the_present_month_takes_it_back() {
    let config = "[segments.monthly]\nexplain = \"x\"\nwhen = { every_month = 2 }";
    let mut life = Life::new(config);
    let [first, second, third] = ["2024-01-10T10:00", "2024-02-10T10:00", "2024-02-11T10:00"]
        .map(|day| at(&format!("{day}[America/New_York]")));
    life.sale(first, 100).sale(second, 100).sale(third, 100);
    life.void(third + HOUR, third);
    assert!(life.is_in("monthly"), "another sale of the month is left");
    life.void(third + 2 * HOUR, second);
    assert!(!life.is_in("monthly"));
}

#[test]
fn months_in_a_row_count_up_to_the_present_one() {
    let mut months = Months::default();
    assert_eq!(months.in_a_row(24_000), 0);
    for month in [24_000, 24_001, 24_001, 24_003] {
        months.add(month);
    }
    assert_eq!(months.in_a_row(24_003), 1);
    months.add(24_002); // from a location where it is still last month
    for (present, expected) in [(24_003, 4), (24_004, 4), (24_005, 0), (24_100, 0)] {
        assert_eq!(months.in_a_row(present), expected, "{present}");
    }
    months.add(24_003 + 40);
    assert_eq!(months.in_a_row(24_043), 1);
}

#[test]
fn seasons_have_the_year_in_which_they_began() {
    let windows = [[(11, 15), (1, 6)], [(2, 29), (2, 29)], [(6, 1), (6, 30)]];
    for (day, expected) in [
        ("2023-11-14", None),
        ("2023-11-15", Some((2023, 0))),
        ("2023-12-31", Some((2023, 0))),
        ("2024-01-01", Some((2023, 0))),
        ("2024-01-06", Some((2023, 0))),
        ("2024-01-07", None),
        ("2024-02-28", None),
        ("2024-02-29", Some((2024, 1))),
        ("2023-02-28", None),
        ("2024-06-30", Some((2024, 2))),
        ("2024-07-01", None),
    ] {
        let day: Date = day.parse().unwrap();
        let season = season_of(windows, day).map(|season| (season / 16, season % 16));
        assert_eq!(season, expected, "{day}");
    }
}
