//! Every condition at its edges, and what they make together.

mod life;

use life::{Life, START, at};
use stampcard_sdk::prelude::*;

/// A segment `s` with this condition, and whatever else the configuration needs.
fn when(condition: &str) -> Life {
    Life::new(&format!(
        "facts = [\"location\", \"category\", \"collection\"]\n\
         [segments.s]\nexplain = \"x\"\nwhen = {condition}"
    ))
}

fn start() -> Instant {
    at(START)
}

#[test]
fn spend_and_orders_have_exact_bounds_over_life_windows_and_channels() {
    // Sales as (days before T, total, channel), then the condition and whether it holds at T.
    use Channel::{Online, Pos};
    let sales = [
        (100, 10_000, Pos),
        (90, 5_000, Online),
        (89, 2_500, Pos),
        (0, 51, Pos),
    ];
    for (condition, expected) in [
        ("{ spend = { at_least = 17551 } }", true),
        ("{ spend = { over = 17551 } }", false),
        ("{ spend = { over = 17550 } }", true),
        ("{ spend = { at_most = 17551 } }", true),
        ("{ spend = { under = 17551 } }", false),
        ("{ spend = { exactly = 17551 } }", true),
        // Exactly 90 × 24 h old is out of the window.
        ("{ spend = { exactly = 2551, days = 90 } }", true),
        ("{ orders = { exactly = 2, days = 90 } }", true),
        ("{ orders = { exactly = 3, days = 91 } }", true),
        ("{ spend = { exactly = 7551, days = 91 } }", true),
        ("{ orders = { exactly = 4 } }", true),
        ("{ orders = { at_least = 2, at_most = 3 } }", false),
        ("{ orders = { exactly = 3, channel = \"pos\" } }", true),
        ("{ spend = { exactly = 5000, channel = \"online\" } }", true),
        (
            "{ spend = { exactly = 2551, channel = \"pos\", days = 90 } }",
            true,
        ),
        (
            "{ spend = { exactly = 0, channel = \"online\", days = 90 } }",
            true,
        ),
        (
            "{ spend = { exactly = 5000, channel = \"online\", days = 91 } }",
            true,
        ),
        ("{ orders = { at_least = 1, channel = \"phone\" } }", false),
    ] {
        let (mut life, t) = (when(condition), start());
        for (days, total, channel) in sales {
            life.sale_in(t - days * DAY, total, channel, None, None);
        }
        assert_eq!(
            life.is_in("s"),
            expected,
            "{condition}: {}",
            life.last_reason()
        );
    }
}

#[test]
fn windows_are_left_by_timer_at_the_instant() {
    for (condition, leaves_after) in [
        ("{ orders = { at_least = 2, days = 30 } }", 30),
        ("{ orders = { at_least = 2, days = 45 } }", 45),
        (
            "{ orders = { at_least = 2, days = 30, channel = \"pos\" } }",
            30,
        ),
        ("{ spend = { over = 250, days = 30 } }", 30),
    ] {
        let (mut life, t) = (when(condition), start());
        for day in 0..3 {
            life.sale_in(
                t + day * DAY,
                100,
                Channel::Pos,
                Some("soho"),
                Some("coffee"),
            );
        }
        life.until(t + 1_000 * DAY);
        let left = match condition.contains("250") {
            true => t + leaves_after * DAY,
            // Two of three are enough, so the second one decides.
            false => t + DAY + leaves_after * DAY,
        };
        assert_eq!(life.changes().last(), Some(&(left, "-s")), "{condition}");
        assert_eq!(
            life.review_at, None,
            "{condition}: nothing is left that could change"
        );
    }
}

#[test]
fn frequent_shoppers_enter_with_the_nth_sale_and_cost_no_timer_while_time_cannot_add() {
    let (mut life, t) = (when("{ orders = { at_least = 5, days = 90 } }"), start());
    for day in 0..4 {
        life.sale(t + day * DAY, 100);
        assert_eq!(
            life.review_at, None,
            "too few sales do not become more by waiting"
        );
    }
    life.sale(t + 4 * DAY, 100);
    assert_eq!(life.changes(), [(t + 4 * DAY, "+s")]);
    assert_eq!(life.last_reason(), "5 sales in 90 days.");
}

#[test]
fn spend_tiers_have_no_gap_and_exactly_one_member_at_a_time() {
    let config = |zero: &str| {
        format!(
            "[ladders.spend]\nspend = {{}}\nzero = \"{zero}\"\n\
             [segments.spend-0-100]\nexplain = \"x\"\nstep = {{ ladder = \"spend\" }}\n\
             [segments.spend-101-500]\nexplain = \"x\"\nstep = {{ ladder = \"spend\", over = 10000 }}\n\
             [segments.spend-501]\nexplain = \"x\"\nstep = {{ ladder = \"spend\", over = 50000 }}\n"
        )
    };
    for zero in ["lowest", "outside"] {
        for (spend, expected) in [
            (0, if zero == "lowest" { "spend-0-100" } else { "" }),
            (1, "spend-0-100"),
            (10_000, "spend-0-100"),
            (10_001, "spend-101-500"),
            (10_050, "spend-101-500"),
            (10_100, "spend-101-500"),
            (50_000, "spend-101-500"),
            (50_001, "spend-501"),
            (50_100, "spend-501"),
            (9_000_000, "spend-501"),
        ] {
            let mut life = Life::new(&config(zero));
            life.event(start(), "customer.created")
                .sale(start() + 1, spend);
            let segments: Vec<_> = life
                .customer
                .segments
                .iter()
                .map(|it| &*it.segment)
                .collect();
            assert_eq!(segments.join(","), expected, "{spend} {zero}");
        }
    }
    let mut life = Life::new(&config("lowest"));
    life.sale(start(), 10_000).sale(start() + 1, 40_001);
    assert_eq!(
        life.changes(),
        [
            (start(), "+spend-0-100"),
            (start() + 1, "-spend-0-100"),
            (start() + 1, "+spend-501")
        ],
        "the sale that crosses moves the customer at once"
    );
    assert_eq!(life.last_reason(), "Spent 500.01 so far.");
}

#[test]
fn ladders_over_a_window_are_climbed_down_by_timer() {
    for days in [30, 60] {
        let mut life = Life::new(&format!(
            "[ladders.l]\norders = {{ days = {days} }}\nzero = \"outside\"\n\
             [segments.some]\nexplain = \"x\"\nstep = {{ ladder = \"l\" }}\n\
             [segments.many]\nexplain = \"x\"\nstep = {{ ladder = \"l\", at_least = 2 }}\n"
        ));
        let t = start();
        life.sale(t, 100).sale(t + DAY, 100).until(t + 200 * DAY);
        assert_eq!(
            life.changes(),
            [
                (t, "+some"),
                (t + DAY, "+many"),
                (t + DAY, "-some"),
                (t + days * DAY, "-many"),
                (t + days * DAY, "+some"),
                (t + (days + 1) * DAY, "-some"),
            ]
        );
    }
}

#[test]
fn combinations_build_on_segments_of_this_and_of_other_plugins() {
    let config = "others = [\"local\"]\n\
        [ladders.spend]\nspend = {}\nzero = \"outside\"\n\
        [segments.low]\nexplain = \"x\"\nstep = { ladder = \"spend\" }\n\
        [segments.high]\nexplain = \"x\"\nstep = { ladder = \"spend\", over = 50000 }\n\
        [segments.weekly]\nexplain = \"x\"\nwhen = { every_week = 4 }\n\
        [segments.high-value-weekly]\nexplain = \"x\"\n\
        when = { all = [{ segment = \"high\" }, { segment = \"weekly\" }] }\n\
        [segments.promising]\nexplain = \"x\"\n\
        when = { all = [{ any = [{ segment = \"local\" }, { tag = \"VIP\" }] }, { not = { segment = \"high-value-weekly\" } }] }\n";
    let (mut life, t) = (Life::new(config), start());
    for week in 0..4 {
        life.sale(t + week * 7 * DAY, 12_501);
    }
    let last = t + 21 * DAY;
    assert!(life.is_in("high-value-weekly"));
    life.customer.segments.push(Membership {
        segment: "local".into(),
        since: last,
        until: None,
    });
    life.event(last + 1, "customer.identified");
    assert!(!life.is_in("promising"));
    life.until(last + 7 * DAY);
    assert!(
        !life.is_in("high-value-weekly"),
        "leaves together with weekly"
    );
    assert!(life.is_in("promising"));
    assert_eq!(life.changes().last(), Some(&(last + 7 * DAY, "-weekly")));
    life.customer.segments.retain(|it| it.segment != "local");
    life.event(last + 8 * DAY, "customer.identified");
    assert!(!life.is_in("promising"));
    life.customer.tags.push("VIP".into());
    life.event(last + 9 * DAY, "tag.added");
    assert!(life.is_in("promising"));
}

#[test]
fn a_tag_is_a_segment_from_the_event_that_sets_it() {
    let (mut life, t) = (when("{ tag = \"Wholesale\" }"), start());
    life.customer.tags.push("Wholesale".into());
    life.event(t, "tag.added");
    assert_eq!(life.changes(), [(t, "+s")]);
    assert_eq!(life.last_reason(), "Has the tag Wholesale.");
    life.customer.tags.clear();
    life.event(t + 1, "tag.removed");
    assert!(!life.is_in("s"));
}

#[test]
fn a_rule_sets_the_tag_vip_over_50_000_in_one_visit_to_a_store() {
    let config = "[tags.VIP]\nexplain = \"x\"\nleaves = false\n\
        when = { this_sale = { over = 50000, channel = \"pos\" } }\n\
        [segments.tagged]\nexplain = \"x\"\nwhen = { tag = \"VIP\" }\n";
    let (mut life, t) = (Life::new(config), start());
    life.sale(t, 50_000);
    life.sale(t + HOUR, 30_000).sale(t + 2 * HOUR, 30_000);
    life.sale_in(t + DAY, 50_001, Channel::Online, None, None);
    assert!(
        life.log.is_empty(),
        "a visit is one sale in a store, and over is over"
    );
    life.sale(t + 2 * DAY, 50_001);
    assert_eq!(
        life.changes(),
        [(t + 2 * DAY, "+tagged"), (t + 2 * DAY, "+#VIP")]
    );
    life.sale(t + 3 * DAY, 100);
    assert_eq!(life.log.len(), 2, "the tag stays");
}

#[test]
fn whoever_may_not_leave_stays_and_whoever_stays_some_days_leaves_by_timer() {
    let sale = "when = { this_sale = { over = 50000 } }";
    let mut life = Life::new(&format!(
        "[segments.s]\nexplain = \"x\"\nleaves = false\n{sale}"
    ));
    let t = start();
    life.sale(t, 50_001).sale(t + 1, 1).until(t + 1_000 * DAY);
    assert_eq!(life.changes(), [(t, "+s")]);

    let mut life = Life::new(&format!(
        "[segments.s]\nexplain = \"x\"\nstays_days = 14\n{sale}"
    ));
    life.sale(t, 50_001)
        .sale(t + 13 * DAY, 50_001)
        .until(t + 1_000 * DAY);
    assert_eq!(life.changes(), [(t, "+s"), (t + 14 * DAY, "-s")]);

    // A condition that goes on holds longer than the days that are promised.
    let mut life = Life::new(
        "[segments.s]\nexplain = \"x\"\nstays_days = 3\nwhen = { orders = { at_least = 1, days = 7 } }",
    );
    life.sale(t, 1).until(t + 1_000 * DAY);
    assert_eq!(life.changes(), [(t, "+s"), (t + 7 * DAY, "-s")]);
}

#[test]
fn an_attendee_who_buys_online_in_time_converts_once_per_store_event() {
    let mut life = Life::new(
        "[segments.s]\nexplain = \"x\"\nstays_days = 1\n\
         when = { sale_after = { event = \"store_event.attended\", within_days = 14, channel = \"online\" } }",
    );
    let t = start();
    let online = |life: &mut Life, at| {
        life.sale_in(at, 100, Channel::Online, None, None);
    };
    online(&mut life, t);
    life.event(t + 1, "store_event.attended").sale(t + 2, 100);
    assert!(
        life.log.is_empty(),
        "neither a sale before nor one in the store"
    );
    online(&mut life, t + DAY);
    online(&mut life, t + 5 * DAY);
    assert_eq!(
        life.changes(),
        [(t + DAY, "+s"), (t + 2 * DAY, "-s")],
        "once per event"
    );
    life.event(t + 20 * DAY, "store_event.attended");
    online(&mut life, t + 34 * DAY);
    assert_eq!(life.log.len(), 2, "exactly 14 days is too late");
    life.event(t + 40 * DAY, "store_event.attended");
    online(&mut life, t + 54 * DAY - 1);
    assert_eq!(life.changes().last(), Some(&(t + 54 * DAY - 1, "+s")));
}

#[test]
fn events_of_a_kind_are_counted_and_no_others() {
    let mut life = when("{ events = { event = \"x.fitting\", at_least = 2, at_most = 3 } }");
    let t = start();
    life.event(t, "x.fitting").event(t + 1, "x.parking");
    life.sale(t + 2, 100);
    assert!(!life.is_in("s"), "one of them");
    life.event(t + 3, "x.fitting");
    assert_eq!(life.last_reason(), "2 times x.fitting so far.");
    assert_eq!(life.review_at, None, "time alone changes nothing of it");
    life.event(t + 4, "x.fitting").event(t + 5, "x.fitting");
    assert_eq!(life.changes(), [(t + 3, "+s"), (t + 5, "-s")]);

    let mut life = when("{ events = { event = \"x.review\", exactly = 0 } }");
    life.sale(t, 100);
    assert!(life.is_in("s"), "what never happened is counted as well");
}

#[test]
fn a_sale_of_a_collection_counts_on_the_days_that_are_said() {
    let mut life = Life::new(
        "[segments.s]\nexplain = \"x\"\nstays_days = 1\n\
         when = { this_sale = { category = \"coffee\", from = \"2024-03-04\", until = \"2024-03-05\" } }",
    );
    let buy = |life: &mut Life, time: &str, category: &str| {
        let at = at(time);
        life.sale_in(at, 100, Channel::Pos, Some("soho"), Some(category));
        life.is_in("s")
    };
    // Days are those on the wall in New York.
    assert!(!buy(
        &mut life,
        "2024-03-03T23:59:00-05:00[America/New_York]",
        "coffee"
    ));
    assert!(!buy(
        &mut life,
        "2024-03-04T10:00:00-05:00[America/New_York]",
        "tea"
    ));
    assert!(buy(
        &mut life,
        "2024-03-05T23:59:00-05:00[America/New_York]",
        "coffee"
    ));
    life.until(at("2024-03-07T00:00:00-05:00[America/New_York]"));
    assert!(!buy(
        &mut life,
        "2024-03-07T00:00:00-05:00[America/New_York]",
        "coffee"
    ));
}

#[test]
fn channels_tell_store_web_and_both_apart_without_a_gap() {
    let config = "[segments.omnichannel]\nexplain = \"x\"\nwhen = { channels = { bought = [\"pos\"], bought_any = [\"online\", \"phone\", \"other\"] } }\n\
        [segments.pos-only]\nexplain = \"x\"\nwhen = { channels = { bought = [\"pos\"], never = [\"online\", \"phone\", \"other\"] } }\n\
        [segments.online-only]\nexplain = \"x\"\nwhen = { channels = { bought_any = [\"online\", \"phone\", \"other\"], never = [\"pos\"] } }\n";
    use Channel::{Online, Other, Phone, Pos};
    for bought in [
        vec![Pos],
        vec![Online],
        vec![Pos, Online],
        vec![Phone],
        vec![Other, Pos],
        vec![Online, Phone],
    ] {
        let mut life = Life::new(config);
        for (index, channel) in bought.iter().enumerate() {
            life.sale_in(start() + index as i64, 100, *channel, None, None);
        }
        let expected = match (bought.contains(&Pos), bought.iter().any(|it| *it != Pos)) {
            (true, true) => "omnichannel",
            (true, false) => "pos-only",
            _ => "online-only",
        };
        let segments: Vec<_> = life
            .customer
            .segments
            .iter()
            .map(|it| &*it.segment)
            .collect();
        assert_eq!(segments, [expected], "{bought:?}");
    }
    let (mut life, t) = (
        when("{ channels = { bought = [\"pos\", \"online\"], days = 60 } }"),
        start(),
    );
    life.sale(t, 100)
        .sale_in(t + DAY, 100, Online, None, None)
        .until(t + 400 * DAY);
    assert_eq!(life.changes(), [(t + DAY, "+s"), (t + 60 * DAY, "-s")]);
}

#[test]
fn crossing_from_one_channel_to_the_other_has_a_direction() {
    let t = start();
    for (first, second, expected) in [
        (Channel::Online, Channel::Pos, true),
        (Channel::Pos, Channel::Online, false),
        (Channel::Phone, Channel::Pos, false),
    ] {
        let mut life = when("{ crossed = { from = \"online\", to = \"pos\" } }");
        life.sale_in(t, 100, first, None, None)
            .sale_in(t + 1, 100, second, None, None);
        assert_eq!(life.is_in("s"), expected, "{first:?} then {second:?}");
    }
}

#[test]
fn locations_and_categories_are_counted_by_group() {
    let sales = [
        ("soho", "coffee", 6_000),
        ("soho", "tea", 3_000),
        ("soho", "coffee", 1_000),
    ];
    for (condition, expected) in [
        ("{ locations = { exactly = 1 } }", true),
        ("{ orders = { location = \"soho\", at_least = 3 } }", true),
        (
            "{ orders = { location = \"harlem\", at_least = 1 } }",
            false,
        ),
        ("{ orders = { location = \"harlem\", exactly = 0 } }", true),
        (
            "{ spend = { category = \"coffee\", at_least = 7000 } }",
            true,
        ),
        (
            "{ share = { category = \"coffee\", at_least = 7000 } }",
            true,
        ),
        ("{ share = { category = \"coffee\", over = 7000 } }", false),
        ("{ share = { category = \"tea\", at_least = 3000 } }", true),
        ("{ share = { category = \"tea\", at_least = 3001 } }", false),
        ("{ share = { collection = \"new\", at_least = 1 } }", false),
    ] {
        let (mut life, t) = (when(condition), start());
        for (index, (location, category, total)) in sales.into_iter().enumerate() {
            life.sale_in(
                t + index as i64,
                total,
                Channel::Pos,
                Some(location),
                Some(category),
            );
        }
        assert_eq!(life.is_in("s"), expected, "{condition}");
    }
    let (mut life, t) = (when("{ locations = { exactly = 1 } }"), start());
    life.sale_in(t, 100, Channel::Pos, Some("soho"), None);
    assert!(life.is_in("s"));
    life.sale_in(t + 1, 100, Channel::Pos, Some("harlem"), None);
    assert_eq!(life.changes().last(), Some(&(t + 1, "-s")));
    assert_eq!(life.last_reason(), "Has bought at 2 locations.");
}

#[test]
fn churn_risk_is_a_gap_of_30_days_among_those_who_were_active() {
    let condition = "{ silent = { days = 30, after_orders = 2, within_days = 90 } }";
    let t = start();
    // Days of the sales, and whether the customer is at risk 30 days after the last.
    for (sales, expected) in [
        (vec![0, 10], true),
        (vec![0], false),
        (vec![0, 89], true),
        // The earlier sale is exactly 90 days before the last: out of its window.
        (vec![0, 90], false),
        (vec![0, 91, 92], true),
    ] {
        let mut life = when(condition);
        for day in &sales {
            life.sale(t + day * DAY, 100);
        }
        let due = t + (sales.last().unwrap() + 30) * DAY;
        life.until(due - 1);
        assert!(!life.is_in("s"), "{sales:?}");
        life.until(due);
        assert_eq!(life.is_in("s"), expected, "{sales:?}");
        life.until(due + 500 * DAY);
        assert_eq!(
            life.is_in("s"),
            expected,
            "{sales:?}: until the next sale, not until a window passes"
        );
        life.sale(due + 500 * DAY, 100);
        assert!(!life.is_in("s"));
    }
}

#[test]
fn seasonal_buyers_buy_in_their_windows() {
    let holidays = "windows = [{ from = \"11-15\", to = \"12-31\" }]";
    let local = |day: &str| at(&format!("{day}T18:00[America/New_York]"));
    for (rule, days, expected) in [
        ("orders = 2", vec!["2022-11-15", "2022-12-31"], true),
        ("orders = 2", vec!["2022-11-15"], false),
        ("seasons = 2", vec!["2022-11-15", "2022-12-31"], false),
        ("seasons = 2", vec!["2022-11-15", "2023-12-31"], true),
        (
            "seasons = 2, only = true",
            vec!["2022-11-15", "2023-06-01", "2023-12-31"],
            false,
        ),
        (
            "seasons = 2, only = false",
            vec!["2022-11-15", "2023-06-01", "2023-12-31"],
            true,
        ),
        ("orders = 1", vec!["2022-11-14", "2023-01-01"], false),
    ] {
        let condition = format!("{{ seasons = {{ {holidays}, {rule} }} }}");
        let mut life = when(&condition);
        for day in &days {
            life.sale(local(day), 100);
        }
        assert_eq!(life.is_in("s"), expected, "{rule} {days:?}");
    }
    let mut life = when(&format!("{{ seasons = {{ {holidays}, orders = 2 }} }}"));
    life.sale(local("2022-11-15"), 100)
        .sale(local("2022-11-16"), 100);
    assert!(life.is_in("s"));
    life.void(local("2022-11-16") + HOUR, local("2022-11-16"));
    assert!(!life.is_in("s"));
}

#[test]
fn the_mean_gap_is_between_the_first_and_the_last_sale() {
    for (days, expected) in [
        (vec![0, 7, 14], true),
        (vec![0, 1, 14], true),
        (vec![0, 7, 15], false),
        (vec![0, 7], false),
    ] {
        let (mut life, t) = (
            when("{ mean_gap = { at_most_days = 7, orders = 3 } }"),
            start(),
        );
        for day in &days {
            life.sale(t + day * DAY, 100);
        }
        assert_eq!(life.is_in("s"), expected, "{days:?}");
    }
}

#[test]
fn profile_conditions_read_the_profile() {
    type Edit = fn(&mut Customer);
    for (condition, edit, reason) in [
        (
            "{ enrolled = true }",
            (|it| it.enrolled_at = Some(at(START))) as Edit,
            "Has joined the programme.",
        ),
        (
            "{ balance = { at_least = 500 } }",
            |it| it.balance = 500,
            "The balance is 500.",
        ),
        (
            "{ available = { over = 499 } }",
            |it| it.available = 500,
            "500 points can be spent.",
        ),
        (
            "{ earned = { at_least = 1000 } }",
            |it| it.earned = 1_000,
            "1,000 points earned so far.",
        ),
        (
            "{ tier = [\"gold\", \"silver\"] }",
            |it| {
                it.tier = Some(Standing {
                    tier: "silver".into(),
                    ..Standing::default()
                })
            },
            "The tier is silver.",
        ),
        (
            "{ consent = \"email\" }",
            |it| {
                it.consents = vec![Consent {
                    purpose: "email".into(),
                    granted: true,
                    at: 0,
                }]
            },
            "Agrees to email.",
        ),
        (
            "{ language = \"fr\" }",
            |it| it.language = Some("FR-ca".into()),
            "Speaks FR-ca.",
        ),
        (
            "{ home_location = \"soho\" }",
            |it| it.home_location = Some("soho".into()),
            "Prefers location soho.",
        ),
        (
            "{ distance = { location = \"soho\", at_most = 5 } }",
            |it| it.attributes = vec![("distance_km/soho".into(), "5".into())],
            "Lives 5 km from soho.",
        ),
        (
            "{ distance = { location = \"soho\", over = 4, under = 6 } }",
            |it| it.attributes = vec![("distance_km/soho".into(), "5".into())],
            "Lives 5 km from soho.",
        ),
        (
            "{ field = { key = \"shoe_size\", is = [42, \"42.5\"] } }",
            |it| it.attributes = vec![("shoe_size".into(), "42".into())],
            "The field shoe_size says 42.",
        ),
        (
            "{ field = { key = \"fit\", is = \"wide\" } }",
            |it| it.attributes = vec![("fit".into(), "wide".into())],
            "The field fit says wide.",
        ),
        (
            "{ field = { key = \"tax_exempt\", is = true } }",
            |it| it.attributes = vec![("tax_exempt".into(), "true".into())],
            "The field tax_exempt says true.",
        ),
        (
            "{ field = { key = \"pet\" } }",
            |it| it.attributes = vec![("pet".into(), "a dog".into())],
            "The field pet says a dog.",
        ),
        (
            "{ origin = \"import\" }",
            |it| it.origin = "import".into(),
            "The profile came from import.",
        ),
        (
            "{ birthday_month = 5 }",
            |it| {
                it.birthday = Some(Birthday {
                    month: 5,
                    day: 2,
                    next: i64::MAX,
                    today: false,
                    known_since: 0,
                })
            },
            "Was born in month 5.",
        ),
    ] {
        let (mut life, t) = (when(condition), start());
        let before = life.customer.clone();
        life.event(t, "customer.created");
        assert!(!life.is_in("s"), "{condition}");
        edit(&mut life.customer);
        life.event(t + 1, "customer.updated");
        assert!(life.is_in("s"), "{condition}");
        assert_eq!(life.last_reason(), reason);
        let segments = std::mem::replace(&mut life.customer, before).segments;
        life.customer.segments = segments;
        life.event(t + 2, "customer.updated");
        assert!(!life.is_in("s"), "{condition}");
    }
    let mut life = when("{ language = \"fr\" }");
    life.customer.language = Some("fry".into());
    life.event(start(), "customer.updated");
    assert!(!life.is_in("s"), "West Frisian is not French");
}

#[test]
fn what_is_decided_after_the_segments_is_looked_at_a_minute_later() {
    let (mut life, t) = (when("{ balance = { at_least = 500 } }"), start());
    life.sale(t, 50_000);
    assert_eq!(
        life.review_at,
        Some(t + MINUTE),
        "the sale may have moved the balance"
    );
    life.customer.balance = 500;
    life.until(t + MINUTE);
    assert_eq!(life.changes(), [(t + MINUTE, "+s")]);
    assert_eq!(life.review_at, None, "and then it is settled");
}

#[test]
fn days_in_the_programme_come_by_timer() {
    let (mut life, t) = (
        when("{ enrolled_days = { at_least = 30, under = 60 } }"),
        start(),
    );
    life.customer.enrolled_at = Some(t);
    life.event(t, "loyalty.enrolled").until(t + 400 * DAY);
    assert_eq!(life.changes(), [(t + 30 * DAY, "+s"), (t + 60 * DAY, "-s")]);
}

#[test]
fn birthdays_come_and_go_by_timer_at_local_midnight() {
    let local = |text: &str| at(&format!("{text}[America/New_York]"));
    let next = local("2024-03-10T00:00");
    let born = |month, day| {
        Some(Birthday {
            month,
            day,
            next,
            today: false,
            known_since: 0,
        })
    };
    // The clocks go forward on that day, so it has 23 hours.
    let mut life = when("{ birthday = \"today\" }");
    life.customer.birthday = born(3, 10);
    life.event(start(), "customer.updated");
    assert_eq!(life.review_at, Some(next));
    life.customer.birthday = Some(Birthday {
        month: 3,
        day: 10,
        next: local("2025-03-10T00:00"),
        today: true,
        known_since: 0,
    });
    life.until(next);
    assert_eq!(life.changes(), [(next, "+s")]);
    assert_eq!(life.review_at, Some(next + 23 * HOUR));

    let mut life = when("{ birthday = \"this_month\" }");
    life.customer.birthday = Some(Birthday {
        month: 5,
        day: 31,
        next: local("2024-05-31T00:00"),
        today: false,
        known_since: 0,
    });
    life.event(start(), "customer.updated")
        .until(local("2024-06-30T00:00"));
    assert_eq!(
        life.changes(),
        [
            (local("2024-05-01T00:00"), "+s"),
            (local("2024-06-01T00:00"), "-s")
        ]
    );
    assert!(life.reviews <= 4, "not every month is looked at");
}

#[test]
fn a_customer_who_buys_all_day_is_not_asked_about_more_often_than_the_host_allows() {
    let (mut life, t) = (when("{ orders = { at_least = 3, days = 7 } }"), start());
    for quarter in 0..200 {
        life.sale(t + quarter * 15 * MINUTE, 100);
    }
    life.until(t + 100 * DAY);
    assert!(!life.is_in("s"));
    let days = (200 * 15 * MINUTE) / DAY + 2;
    assert!(i64::from(life.reviews) <= days * 24, "{}", life.reviews);
    // What many sales cost in precision is told: at most a day.
    let left = life.changes().last().unwrap().0;
    let exact = t + 197 * 15 * MINUTE + 7 * DAY;
    assert!(
        (exact..exact + DAY).contains(&left),
        "{}",
        (left - exact) / HOUR
    );
}

#[test]
fn what_the_host_could_not_send_leaves_a_segment_as_it_was() {
    let rule = life::configure(
        "facts = [\"location\"]\n[segments.s]\nexplain = \"x\"\nwhen = { orders = { location = \"soho\", at_least = 1 } }\n\
         [segments.one]\nexplain = \"x\"\nwhen = { locations = { exactly = 1 } }\n\
         [segments.many]\nexplain = \"x\"\nwhen = { locations = { at_least = 2 } }",
    )
    .unwrap();
    let fact = |key: &str| Fact {
        scope: "location".into(),
        key: key.into(),
        days: None,
        tally: Tally {
            orders: 1,
            ..Tally::default()
        },
    };
    let mut input = Input {
        facts: vec![fact("harlem"), fact("bronx")],
        facts_truncated: true,
        ..Input::default()
    };
    input.customer.segments = vec![Membership {
        segment: "s".into(),
        ..Membership::default()
    }];
    let answer = rule.segments(&input).unwrap();
    let changed: Vec<_> = answer
        .memberships
        .iter()
        .map(|it| (&*it.segment, it.member))
        .collect();
    assert_eq!(
        changed,
        [("many", true)],
        "two are at least two, and more than one"
    );
    assert_eq!(
        answer.after.note.as_deref(),
        Some("More facts than are sent; left as they were: s.")
    );
}
