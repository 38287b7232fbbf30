//! The tiers as steps: which one a tally reaches, what is missing for the next one, and the words
//! for both.

use stampcard_sdk::count;
use stampcard_sdk::prelude::*;

use crate::config::{Config, Need, rank};

pub struct Ladder {
    /// From the lowest to the highest.
    steps: Vec<Step>,
    need: Need,
    shop: Shop,
}

/// One tier.
pub struct Step {
    pub tier: String,
    /// Its place among all tiers of the shop.
    pub rank: usize,
    thresholds: Vec<Threshold>,
}

/// At least so much of something.
struct Threshold {
    unit: ProgressUnit,
    at_least: i64,
}

impl Ladder {
    /// The configuration was checked against this shop.
    pub fn new(config: Config, shop: &Shop) -> Self {
        let steps = config.tiers.into_iter().filter_map(|tier| {
            let thresholds = [
                (ProgressUnit::Spend, tier.spend),
                (ProgressUnit::Points, tier.points),
                (ProgressUnit::Orders, tier.orders),
            ];
            let threshold = |(unit, at_least): (_, Option<i64>)| {
                at_least.map(|at_least| Threshold { unit, at_least })
            };
            Some(Step {
                rank: rank(shop, &tier.tier)?,
                thresholds: thresholds.into_iter().filter_map(threshold).collect(),
                tier: tier.tier,
            })
        });
        Self {
            steps: steps.collect(),
            need: config.need,
            shop: shop.clone(),
        }
    }

    /// The highest tier that this is enough for.
    pub fn reached(&self, tally: &Tally) -> Option<&Step> {
        let enough = |step: &&Step| match self.need {
            Need::Any => step.thresholds.iter().any(|it| it.missing(tally) == 0),
            Need::All => step.thresholds.iter().all(|it| it.missing(tally) == 0),
        };
        self.steps.iter().rev().find(enough)
    }

    /// The step of a tier, if it is one of ours.
    pub fn step(&self, tier: Option<&str>) -> Option<&Step> {
        let tier = tier?;
        self.steps.iter().find(|step| step.tier == tier)
    }

    /// True if the shop ranks the step above this tier, whoever gave it.
    pub fn is_above(&self, step: &Step, tier: Option<&str>) -> bool {
        let other = tier.and_then(|tier| rank(&self.shop, tier));
        Some(step.rank) > other
    }

    /// What is missing for the tier above this one: of several thresholds the nearest where one is
    /// enough, else the farthest.
    pub fn next(&self, after: Option<&Step>, tally: &Tally) -> Option<NextTier> {
        let above = |step: &&Step| after.is_none_or(|after| step.rank > after.rank);
        let step = self.steps.iter().find(above)?;
        let open = step.thresholds.iter().filter(|it| it.missing(tally) > 0);
        // Both take the first of equals.
        let shown = match self.need {
            Need::Any => open.min_by_key(|it| it.share_missing(tally)),
            Need::All => open.rev().max_by_key(|it| it.share_missing(tally)),
        }?;
        Some(NextTier {
            tier: step.tier.clone(),
            missing: shown.missing(tally),
            unit: shown.unit,
        })
    }

    /// Why a tier is reached: "spend of 1,532.10 in 365 days".
    pub fn why(&self, step: &Step, tally: &Tally, window: &str) -> String {
        let met = step.thresholds.iter().filter(|it| it.missing(tally) == 0);
        let words: Vec<String> = met
            .map(|it| self.amount(it.unit, it.unit.of(tally)))
            .collect();
        format!("{} {window}", words.join(" and "))
    }

    /// Why it is not: "spend of 480.00 in 365 days, silver takes 500.00".
    pub fn why_not(&self, step: &Step, tally: &Tally, window: &str) -> String {
        let open = step.thresholds.iter().filter(|it| it.missing(tally) > 0);
        let (mut have, mut take) = (Vec::new(), Vec::new());
        for threshold in open {
            have.push(self.amount(threshold.unit, threshold.unit.of(tally)));
            take.push(match threshold.unit {
                ProgressUnit::Spend => self.shop.money(threshold.at_least),
                unit => self.amount(unit, threshold.at_least),
            });
        }
        let between = match self.need {
            Need::Any => " or ",
            Need::All => " and ",
        };
        let (have, take) = (have.join(" and "), take.join(between));
        format!("{have} {window}, {} takes {take}", step.tier)
    }

    fn amount(&self, unit: ProgressUnit, amount: i64) -> String {
        match unit {
            ProgressUnit::Spend => format!("spend of {}", self.shop.money(amount)),
            ProgressUnit::Points => count(amount, "point"),
            ProgressUnit::Orders => count(amount, "order"),
        }
    }
}

impl Threshold {
    /// Zero if it is met.
    fn missing(&self, tally: &Tally) -> i64 {
        (self.at_least - self.unit.of(tally)).max(0)
    }

    /// What is missing in millionths of the whole, to compare money with orders.
    fn share_missing(&self, tally: &Tally) -> i128 {
        i128::from(self.missing(tally)) * 1_000_000 / i128::from(self.at_least.max(1))
    }
}

trait Measure {
    fn of(self, tally: &Tally) -> i64;
}

impl Measure for ProgressUnit {
    /// What the tally has of it.
    fn of(self, tally: &Tally) -> i64 {
        match self {
            ProgressUnit::Spend => tally.net_spend(),
            ProgressUnit::Points => tally.earned,
            ProgressUnit::Orders => tally.orders.into(),
        }
    }
}
