//! A shop that is flooded, or whose plugin never ends, is turned away by itself; the tills of the
//! other shop do not notice.
//!
//! Here the bound is loose and the calmest rounds are compared, because the gate runs beside other
//! tests on machines of which nobody knows anything; `cargo xtask bench` has the strict figure, of
//! the middle round: at most 1.5 times.

use stampcard_tests::neighbours::{Flood, Measured, measure};
use std::time::Duration;

const ROUNDS: u32 = 4;
const ROUND: Duration = Duration::from_millis(1_500);
/// Of what the tills wait alone, and beyond that what a busy machine does to any of them.
const TIMES_MAX: u32 = 3;
const NOISE: Duration = Duration::from_millis(50);

#[track_caller]
fn nobody_waits_for_the_neighbour(measured: &Measured) {
    assert!(measured.alone.samples() >= 400);
    let (alone, beside) = (measured.alone.calmest(), measured.beside.calmest());
    assert!(
        beside <= alone * TIMES_MAX + NOISE,
        "{beside:?} beside the flood, and {alone:?} without"
    );
}

#[test]
fn a_shop_under_ten_times_its_quota_is_turned_away_and_the_other_sells_as_before() {
    let measured = measure(Flood::TenTimesItsQuota, ROUNDS, ROUND);
    nobody_waits_for_the_neighbour(&measured);
    let (taken, refused) = (measured.flood[&200], measured.flood[&429]);
    assert!(
        refused > taken * 2,
        "what it saved up between the rounds is taken, and no more: {:?}",
        measured.flood
    );
    assert_eq!(measured.flood.len(), 2, "{:?}", measured.flood);
}

#[test]
fn a_shop_whose_plugin_never_ends_slows_itself_and_not_the_other() {
    let measured = measure(Flood::EndlessPlugin, ROUNDS, ROUND);
    nobody_waits_for_the_neighbour(&measured);
    let answers: u64 = measured.flood.values().sum();
    assert!(
        answers > 50,
        "the flooded shop takes its share: {:?}",
        measured.flood
    );
}
