//! What a shop may configure about its tiers, and what no schema can refuse. Amounts are in minor
//! units.

use serde::Deserialize;
use stampcard_sdk::prelude::*;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What counts towards a tier.
    #[serde(default)]
    pub window: Window,
    /// Whether one threshold of a tier is enough or all of them are needed.
    #[serde(default)]
    pub need: Need,
    /// How long a tier is kept once it is reached, whatever happens. Left out, it is kept as long
    /// as the window says.
    #[serde(default)]
    pub keep: Option<Span>,
    /// How much longer it is kept when it is not reached any more.
    #[serde(default)]
    pub grace: Option<Span>,
    /// False in a shop where nobody ever falls.
    #[serde(default = "yes")]
    pub falls: bool,
    /// From the lowest to the highest.
    pub tiers: Vec<Tier>,
}

fn yes() -> bool {
    true
}

/// The sales that count, less what was given back. The windows are those that the host offers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    #[default]
    Lifetime,
    /// The shop's calendar year: everybody begins again on 1 January.
    CalendarYear,
    #[serde(rename = "7_days")]
    Days7,
    #[serde(rename = "30_days")]
    Days30,
    #[serde(rename = "90_days")]
    Days90,
    #[serde(rename = "365_days")]
    Days365,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    #[default]
    Any,
    All,
}

/// A tier and what it takes: at least so much.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Its key, as in the shop's list of tiers and in this plugin's manifest.
    pub tier: String,
    #[serde(default)]
    pub spend: Option<Money>,
    #[serde(default)]
    pub points: Option<Points>,
    #[serde(default)]
    pub orders: Option<i64>,
}

/// What a schema cannot say. Each names the place and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("tiers: there is none")]
    NoTiers,
    #[error("the shop has no tier {tier:?}; its tiers are {known}")]
    UnknownTier { tier: String, known: String },
    #[error("tier {tier:?} stands behind {before:?}, but the shop ranks it below")]
    OutOfOrder { tier: String, before: String },
    #[error("tier {tier:?} needs at least one of spend, points and orders, and none below zero")]
    NoThreshold { tier: String },
    #[error("tier {tier:?} takes less {what} than {before:?}, which is below it")]
    NotHigher {
        tier: String,
        before: String,
        what: &'static str,
    },
}

impl Config {
    /// Refuses what would surprise later.
    pub fn check(&self, shop: &Shop) -> Result<(), ConfigError> {
        if self.tiers.is_empty() {
            return Err(ConfigError::NoTiers);
        }
        for tier in &self.tiers {
            if !shop.tiers.contains(&tier.tier) {
                return Err(ConfigError::UnknownTier {
                    tier: tier.tier.clone(),
                    known: shop.tiers.join(", "),
                });
            }
            let thresholds = [tier.spend, tier.points, tier.orders];
            let given: Vec<i64> = thresholds.into_iter().flatten().collect();
            if given.is_empty() || given.iter().any(|threshold| *threshold < 0) {
                return Err(ConfigError::NoThreshold {
                    tier: tier.tier.clone(),
                });
            }
        }
        for pair in self.tiers.windows(2) {
            pair[1].check_above(&pair[0], shop)?;
        }
        Ok(())
    }
}

impl Tier {
    fn check_above(&self, below: &Tier, shop: &Shop) -> Result<(), ConfigError> {
        let (tier, before) = (self.tier.clone(), below.tier.clone());
        if rank(shop, &tier) <= rank(shop, &before) {
            return Err(ConfigError::OutOfOrder { tier, before });
        }
        for (what, higher, lower) in [
            ("spend", self.spend, below.spend),
            ("points", self.points, below.points),
            ("orders", self.orders, below.orders),
        ] {
            if higher.is_some() && higher < lower {
                return Err(ConfigError::NotHigher { tier, before, what });
            }
        }
        Ok(())
    }
}

/// The place of a tier in the shop's list, from the lowest.
pub fn rank(shop: &Shop, tier: &str) -> Option<usize> {
    shop.tiers.iter().position(|it| it == tier)
}

impl Window {
    /// What the customer did within it.
    pub fn of(self, totals: &Totals) -> &Tally {
        match self {
            Window::Lifetime => &totals.lifetime,
            Window::CalendarYear => &totals.this_year,
            Window::Days7 => &totals.days7,
            Window::Days30 => &totals.days30,
            Window::Days90 => &totals.days90,
            Window::Days365 => &totals.days365,
        }
    }

    /// When the tally becomes less by time alone: the instant at which the oldest sale leaves.
    /// None if nothing ever leaves, or nothing is in it.
    pub fn moves_at(self, input: &Input) -> Option<Instant> {
        match (self, self.days()) {
            (Window::CalendarYear, _) => Some(input.event.local.next_year),
            (_, Some(days)) => Some(self.of(&input.totals).first_at? + days * DAY),
            (_, None) => None,
        }
    }

    /// "in 365 days", for reasons.
    pub fn words(self, input: &Input) -> String {
        match (self, self.days()) {
            (Window::CalendarYear, _) => format!("in {}", input.event.local.year),
            (_, Some(days)) => format!("in {days} days"),
            (_, None) => "so far".into(),
        }
    }

    fn days(self) -> Option<i64> {
        match self {
            Window::Lifetime | Window::CalendarYear => None,
            Window::Days7 => Some(7),
            Window::Days30 => Some(30),
            Window::Days90 => Some(90),
            Window::Days365 => Some(365),
        }
    }
}
