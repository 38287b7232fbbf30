//! What a shop may configure about its points, and what no schema can refuse. Amounts are in
//! minor units, days are 24 hours unless they are dates.

use std::collections::BTreeMap;

use serde::Deserialize;
use stampcard_sdk::prelude::*;

/// Beyond this a rate is a typing mistake; it also keeps every sum far inside of 2^53.
pub const POINTS_MAX: Points = 1_000_000;

/// 10,000 % extra is a hundred times the base; more is a typing mistake.
pub const EXTRA_PERCENT_MAX: u32 = 10_000;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// So many points …
    pub points: Points,
    /// … for so much. Left out, it is one whole unit of the shop's currency.
    #[serde(default)]
    pub per: Option<Money>,
    /// The words of the base award ("1 point per dollar").
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub base: Base,
    /// Takes the tax out of the base.
    #[serde(default)]
    pub exclude_tax: bool,
    #[serde(default)]
    pub rounding: Rounding,
    /// When points can be spent; left out, at once.
    #[serde(default)]
    pub available_after: Option<Span>,
    /// When points that were not spent are lost; left out, never.
    #[serde(default)]
    pub expires_after: Option<Span>,
    #[serde(default)]
    pub exclude: Exclude,
    /// Must be true before channels may have rates of their own: most shops want a dollar to be
    /// a dollar wherever it is spent.
    #[serde(default)]
    pub allow_channel_rates: bool,
    #[serde(default)]
    pub channel_rates: BTreeMap<ChannelName, Rate>,
    #[serde(default)]
    pub multipliers: Vec<Multiplier>,
    #[serde(default)]
    pub combine: Combine,
    #[serde(default)]
    pub bonuses: Vec<Bonus>,
    #[serde(default)]
    pub welcome: Option<Welcome>,
}

/// Which amount of a sale earns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// What the customer pays in the end, with shipping, tip and tax.
    #[default]
    Total,
    /// The goods at their prices.
    GoodsBeforeDiscount,
    /// The goods after the discounts on lines and on the order.
    GoodsAfterDiscount,
}

/// What happens to a part of a point, once per sale.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    #[default]
    Down,
    Nearest,
    Up,
    /// Only every full `per` earns: 10 points per 10.00 are 10 for 19.99.
    WholeSteps,
}

/// What earns nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exclude {
    /// Kinds of tenders ("points", "gift-card"): what is paid with them earns nothing.
    pub tenders: Vec<String>,
    pub categories: Vec<String>,
    /// Tags of goods.
    pub product_tags: Vec<String>,
    /// Sold gift cards: they are paid for twice if they earn, now and when they are used.
    pub gift_cards: bool,
    pub customer_tags: Vec<String>,
}

/// So many points for so much.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub points: Points,
    #[serde(default)]
    pub per: Option<Money>,
    #[serde(default)]
    pub reason: Option<String>,
}

/// More points for some customers. Exactly one of tag, segment and tier says for whom.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Multiplier {
    /// 100 doubles, 50 adds half.
    pub extra_percent: u32,
    #[serde(default)]
    pub tag: Option<String>,
    #[serde(default)]
    pub segment: Option<String>,
    /// The tier from before the sale.
    #[serde(default)]
    pub tier: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
}

/// What several multipliers that fit do together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// Only the largest counts; the first of equals.
    #[default]
    Best,
    /// Each adds its extra: double and half more are two and a half times.
    Add,
    /// They multiply each other: double and half more are three times.
    Multiply,
}

/// More points for a while: a campaign. It adds to every other extra.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bonus {
    pub reason: String,
    /// Extra points in percent of the base …
    #[serde(default)]
    pub extra_percent: Option<u32>,
    /// … or so many for each sale.
    #[serde(default)]
    pub points: Option<Points>,
    /// The first and the last local day, both inclusive. Left out, it is open.
    #[serde(default)]
    pub from: Option<Date>,
    #[serde(default)]
    pub until: Option<Date>,
    #[serde(default)]
    pub weekdays: Vec<Weekday>,
    /// Left out, it is for every channel.
    #[serde(default)]
    pub channels: Vec<ChannelName>,
    #[serde(default)]
    pub locations: Vec<String>,
    /// Only for goods of these categories.
    #[serde(default)]
    pub categories: Vec<String>,
    /// Only for sales of which at least so much is eligible.
    #[serde(default)]
    pub at_least: Option<Money>,
}

/// Points for joining.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Welcome {
    pub points: Points,
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelName {
    Pos,
    Online,
    Phone,
    Other,
}

/// In the order of ISO 8601, where Monday is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    Monday = 1,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl From<Channel> for ChannelName {
    fn from(channel: Channel) -> Self {
        match channel {
            Channel::Pos => ChannelName::Pos,
            Channel::Online => ChannelName::Online,
            Channel::Phone => ChannelName::Phone,
            Channel::Other => ChannelName::Other,
        }
    }
}

/// What a schema cannot say. Each names the place and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{place}: points must be from {least} to {POINTS_MAX}")]
    PointsOutOfRange { place: String, least: Points },
    #[error("{place}: per must be above zero; left out, it is one whole unit of the currency")]
    PerOutOfRange { place: String },
    #[error(
        "channel_rates: customers expect the same points for the same money in every channel; \
         if other rates are meant, set allow_channel_rates = true"
    )]
    ChannelRates,
    #[error("multipliers, number {number}: exactly one of tag, segment and tier must be set")]
    WhoIsMultiplied { number: usize },
    #[error("multipliers, number {number}: the shop has no tier {tier:?}; add it or take it out")]
    UnknownTier { number: usize, tier: String },
    #[error("{place}: extra_percent must be from 1 to {EXTRA_PERCENT_MAX}")]
    ExtraOutOfRange { place: String },
    #[error("bonus {reason:?}: exactly one of extra_percent and points must be set")]
    HowMuchBonus { reason: String },
    #[error("bonus {reason:?}: it ends on {until}, before it begins on {from}")]
    EndsBeforeItBegins {
        reason: String,
        from: Date,
        until: Date,
    },
    #[error("bonus {reason:?}: points are for a whole sale, so categories do not go with them")]
    PointsForCategories { reason: String },
    #[error("expires_after: the points would expire before available_after is over")]
    ExpiresBeforeAvailable,
}

impl Config {
    /// The base rate of a channel.
    pub fn rate_in(&self, channel: Option<Channel>) -> Rate {
        let own = channel.and_then(|channel| self.channel_rates.get(&channel.into()));
        own.cloned().unwrap_or_else(|| Rate {
            points: self.points,
            per: self.per,
            reason: self.reason.clone(),
        })
    }

    /// Refuses what would fail or surprise later.
    pub fn check(&self, shop: &Shop) -> Result<(), ConfigError> {
        self.rate_in(None).check("points")?;
        if !self.channel_rates.is_empty() && !self.allow_channel_rates {
            return Err(ConfigError::ChannelRates);
        }
        for (channel, rate) in &self.channel_rates {
            rate.check(&format!("channel_rates, {channel:?}"))?;
        }
        for (index, multiplier) in self.multipliers.iter().enumerate() {
            multiplier.check(index + 1, shop)?;
        }
        for bonus in &self.bonuses {
            bonus.check()?;
        }
        if let Some(welcome) = &self.welcome {
            in_range("welcome", welcome.points, 1)?;
        }
        // Only spans of one kind can be compared without a calendar.
        match (self.available_after, self.expires_after) {
            (Some(Span::Hours(held)), Some(Span::Hours(lost)))
            | (Some(Span::Days(held)), Some(Span::Days(lost)))
            | (Some(Span::Months(held)), Some(Span::Months(lost)))
                if lost <= held =>
            {
                Err(ConfigError::ExpiresBeforeAvailable)
            }
            _ => Ok(()),
        }
    }
}

impl Rate {
    /// Nothing at all is a rate, too: a channel that earns no points.
    fn check(&self, place: &str) -> Result<(), ConfigError> {
        if self.per.is_some_and(|per| per <= 0) {
            return Err(ConfigError::PerOutOfRange {
                place: place.to_owned(),
            });
        }
        in_range(place, self.points, 0)
    }
}

impl Multiplier {
    fn check(&self, number: usize, shop: &Shop) -> Result<(), ConfigError> {
        let who = [&self.tag, &self.segment, &self.tier];
        if who.iter().filter(|it| it.is_some()).count() != 1 {
            return Err(ConfigError::WhoIsMultiplied { number });
        }
        if let Some(tier) = &self.tier
            && !shop.tiers.contains(tier)
        {
            let tier = tier.clone();
            return Err(ConfigError::UnknownTier { number, tier });
        }
        extra_in_range(&format!("multipliers, number {number}"), self.extra_percent)
    }
}

impl Bonus {
    fn check(&self) -> Result<(), ConfigError> {
        let place = format!("bonus {:?}", self.reason);
        let reason = self.reason.clone();
        match (self.extra_percent, self.points) {
            (Some(extra), None) => extra_in_range(&place, extra)?,
            (None, Some(points)) => in_range(&place, points, 1)?,
            _ => return Err(ConfigError::HowMuchBonus { reason }),
        }
        if self.points.is_some() && !self.categories.is_empty() {
            return Err(ConfigError::PointsForCategories { reason });
        }
        match (self.from, self.until) {
            (Some(from), Some(until)) if until < from => Err(ConfigError::EndsBeforeItBegins {
                reason,
                from,
                until,
            }),
            _ => Ok(()),
        }
    }
}

fn in_range(place: &str, points: Points, least: Points) -> Result<(), ConfigError> {
    match (least..=POINTS_MAX).contains(&points) {
        true => Ok(()),
        false => Err(ConfigError::PointsOutOfRange {
            place: place.to_owned(),
            least,
        }),
    }
}

fn extra_in_range(place: &str, percent: u32) -> Result<(), ConfigError> {
    match (1..=EXTRA_PERCENT_MAX).contains(&percent) {
        true => Ok(()),
        false => Err(ConfigError::ExtraOutOfRange {
            place: place.to_owned(),
        }),
    }
}
