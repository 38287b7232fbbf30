//! What the tills of one shop wait for while another shop of the same server is flooded.

use super::Figure;
use stampcard_tests::neighbours::{Flood, measure as measured};
use std::time::Duration;

pub fn measure(quick: bool) -> Vec<Figure> {
    let rounds = if quick { 4 } else { 20 };
    let floods = [
        (
            Flood::TenTimesItsQuota,
            "a neighbour at ten times its quota",
        ),
        (Flood::EndlessPlugin, "a neighbour whose plugin never ends"),
    ];
    let figures = floods.map(|(flood, neighbour)| {
        let measured = measured(flood, rounds, Duration::from_secs(3));
        let millis = |wait: Duration| wait.as_secs_f64() * 1_000.0;
        let what = format!("beside {neighbour}, 99 %");
        [
            Figure::new(what.clone(), millis(measured.beside.typical()), "ms", ""),
            Figure::new(
                format!("{what}, over alone"),
                measured.times(),
                "times",
                "at most 1.5",
            ),
        ]
    });
    figures.into_iter().flatten().collect()
}
