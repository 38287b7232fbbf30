//! The five segments that a shop has without having configured anything.

mod life;

use life::{Life, START, at, configure};
use stampcard_sdk::prelude::*;

const DEFAULT: &str = include_str!("../default.toml");

fn life() -> (Life, Instant) {
    (Life::new(DEFAULT), at(START))
}

#[test]
fn the_configuration_that_ships_is_taken() {
    assert!(configure(DEFAULT).is_ok());
}

#[test]
fn first_timer_is_exactly_one_order() {
    let (mut life, t) = life();
    life.event(t - DAY, "customer.created");
    assert!(life.log.is_empty());
    life.sale(t, 1_000).sale(t + 1, 1_000).sale(t + 2, 1_000);
    assert_eq!(
        life.changes(),
        [(t, "+first-timer"), (t + 1, "-first-timer")]
    );
    assert_eq!(life.log[0].2, "1 sale so far.");
    assert_eq!(life.log[1].2, "2 sales so far.");
}

#[test]
fn vip_is_one_order_over_500_00_and_is_left_if_it_is_taken_back() {
    let (mut life, t) = life();
    life.sale(t, 50_000)
        .sale(t + HOUR, 30_000)
        .sale(t + 2 * HOUR, 30_000);
    assert!(
        !life.is_in("vip"),
        "500.00 is not over 500.00, nor are two sales of 300.00"
    );
    life.sale(t + 3 * HOUR, 50_001);
    assert!(life.is_in("vip"));
    assert_eq!(life.last_reason(), "The largest sale is 500.01.");
    life.sale(t + 4 * HOUR, 1);
    assert!(life.is_in("vip"), "once over is enough");
    life.void(t + 5 * HOUR, t + 3 * HOUR);
    assert!(!life.is_in("vip"));
}

#[test]
fn lapsed_is_entered_at_the_instant_and_left_with_the_next_sale() {
    let (mut life, t) = life();
    life.sale(t, 1_000).until(t + 30 * DAY - 1);
    assert!(!life.is_in("lapsed"));
    life.until(t + 30 * DAY);
    assert_eq!(life.changes().last(), Some(&(t + 30 * DAY, "+lapsed")));
    assert_eq!(life.last_reason(), "Last bought 30 days ago.");
    life.until(t + 400 * DAY).sale(t + 400 * DAY, 1_000);
    assert!(!life.is_in("lapsed"));
    assert_eq!(life.reviews, 1, "the host is asked once, when it matters");
}

#[test]
fn omnichannel_is_ever_both_in_store_and_online() {
    let (mut life, t) = life();
    life.sale_in(t, 1_000, Channel::Online, None, None).sale_in(
        t + 1,
        1_000,
        Channel::Phone,
        None,
        None,
    );
    assert!(!life.is_in("omnichannel"));
    life.sale_in(t + 2 * 365 * DAY, 1_000, Channel::Pos, None, None);
    assert!(life.is_in("omnichannel"));
    assert_eq!(
        life.last_reason(),
        "Has bought in store, online and by phone."
    );
}

#[test]
fn weekly_is_a_sale_in_each_of_four_spans_that_are_open_at_the_old_end() {
    // Each row: sales in milliseconds relative to T, and whether the customer is in at T.
    let span = 7 * DAY;
    for (sales, expected) in [
        (vec![0, -span, -2 * span, -3 * span], true),
        (
            vec![-span + 1, -2 * span + 1, -3 * span + 1, -4 * span + 1],
            true,
        ),
        // Exactly 4 × 7 days old: out of the last span.
        (
            vec![-span + 1, -2 * span + 1, -3 * span + 1, -4 * span],
            false,
        ),
        // Exactly 7 days old belongs to the second span, so the first is empty.
        (vec![-span, -2 * span, -3 * span, -3 * span - 1], false),
        (vec![0, -1, -2, -3], false),
        (vec![0, -span, -2 * span], false),
        (vec![0, -10 * DAY, -20 * DAY, -25 * DAY], true),
        (vec![0, -13 * DAY, -14 * DAY, -27 * DAY], true),
        (vec![0, -13 * DAY, -27 * DAY, -27 * DAY - 1], false),
    ] {
        let (mut life, t) = life();
        for sale in sales.iter().rev() {
            life.sale(t + sale, 100);
        }
        life.event(t, "customer.identified");
        assert_eq!(life.is_in("weekly"), expected, "{sales:?}");
    }
}

#[test]
fn weekly_is_left_by_timer_at_the_instant_at_which_a_span_runs_empty() {
    let (mut life, t) = life();
    for week in 0..4 {
        life.sale(t + week * 7 * DAY, 100);
    }
    let last = t + 21 * DAY;
    assert_eq!(life.changes().last(), Some(&(last, "+weekly")));
    assert_eq!(
        life.last_reason(),
        "Bought in each of the last 4 spans of 7 days."
    );
    life.until(last + 7 * DAY - 1);
    assert!(life.is_in("weekly"));
    life.until(last + 7 * DAY);
    assert_eq!(life.changes().last(), Some(&(last + 7 * DAY, "-weekly")));
    assert_eq!(
        life.last_reason(),
        "Bought in 3 of the last 4 spans of 7 days."
    );
}

#[test]
fn weekly_can_be_entered_by_time_alone() {
    let config = "[segments.weekly]\nexplain = \"x\"\nwhen = { every_week = 2 }";
    let (mut life, t) = (Life::new(config), at(START));
    // At the second sale both are in the same span; then the first grows into the older one.
    life.sale(t, 100).sale(t + DAY, 100);
    assert!(!life.is_in("weekly"));
    life.until(t + 100 * DAY);
    assert_eq!(
        life.changes(),
        [(t + 7 * DAY, "+weekly"), (t + 8 * DAY, "-weekly")]
    );
}
