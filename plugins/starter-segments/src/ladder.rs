//! Ladders: exclusive groups without a gap or an overlap, because each step ends where the next one
//! begins. Nothing here looks at a customer.

use stampcard_sdk::prelude::*;

use crate::config::{Bounds, Config, Scope, Zero};
use crate::plan::{Quantity, Range, refuse};

/// A segment that is a step of a ladder.
pub struct LadderStep {
    pub segment: String,
    pub measure: Quantity,
    pub scope: Scope,
    pub range: Range,
}

/// Every step with the range from its threshold to just below the next one: no gap, no overlap.
pub fn ladder_steps(config: &Config) -> Result<Vec<LadderStep>> {
    let mut all = Vec::new();
    for (name, ladder) in &config.ladders {
        let place = format!("ladders.{name}");
        let (measure, scope) = match (&ladder.spend, &ladder.orders) {
            (Some(scope), None) => (Quantity::Spend, scope),
            (None, Some(scope)) => (Quantity::Orders, scope),
            _ => return refuse(&place, "say either `spend = {}` or `orders = {}`"),
        };
        let mut steps = Vec::new();
        for (key, segment) in &config.segments {
            if let Some(step) = segment.step.as_ref().filter(|step| step.ladder == *name) {
                let bounds = Bounds {
                    at_least: step.at_least,
                    over: step.over,
                    ..Bounds::default()
                };
                steps.push((bounds.range().least, key.clone()));
            }
        }
        steps.sort();
        check_steps(&place, &steps)?;
        if ladder.zero == Zero::Outside {
            steps[0].0 = 1;
            if let Some((1, key)) = steps.get(1) {
                return refuse(
                    &place,
                    format!("{key:?} leaves nothing for the lowest step"),
                );
            }
        }
        let tops = steps[1..]
            .iter()
            .map(|(least, _)| least - 1)
            .chain([i64::MAX]);
        let ranges: Vec<_> = steps.iter().map(|(least, _)| *least).zip(tops).collect();
        for ((_, segment), (least, most)) in steps.into_iter().zip(ranges) {
            all.push(LadderStep {
                segment,
                measure,
                scope: scope.clone(),
                range: Range { least, most },
            });
        }
    }
    Ok(all)
}

fn check_steps(place: &str, steps: &[(i64, String)]) -> Result<()> {
    let [(lowest, _), higher @ ..] = steps else {
        return refuse(place, "no segment is a step of it");
    };
    if *lowest != i64::MIN {
        return refuse(
            place,
            "the lowest step must have no threshold, so that there is no gap",
        );
    }
    for (least, key) in higher {
        match least {
            &i64::MIN => {
                return refuse(
                    place,
                    format!("{key:?} is a second step without a threshold"),
                );
            }
            ..=0 => return refuse(place, format!("the threshold of {key:?} is below zero")),
            _ => {}
        }
    }
    match higher.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => refuse(
            place,
            format!(
                "{:?} and {:?} have the same threshold",
                pair[0].1, pair[1].1
            ),
        ),
        None => Ok(()),
    }
}
