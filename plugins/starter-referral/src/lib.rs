//! The starter pack's referral: points for customers who bring friends, and for the friends.
//!
//! The host knows who brought whom, refuses those who refer themselves, and ends a day that brings too
//! many friends. This says what it is worth: once when a friend joins, and once when they first buy.

use serde::{Deserialize, Serialize};
use stampcard_sdk::prelude::*;

/// Beyond this a number of points is a typing mistake.
pub const POINTS_MAX: Points = 1_000_000;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub joining: Option<Joining>,
    #[serde(default)]
    pub first_purchase: Option<FirstPurchase>,
    /// When points that were not spent are lost; left out, never.
    #[serde(default)]
    pub expires_after: Option<Span>,
}

/// A friend joins. These points stay, whatever comes back later.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joining {
    #[serde(default)]
    pub friend: Points,
    #[serde(default)]
    pub referrer: Points,
}

/// A friend buys for the first time. What comes back takes these points again.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirstPurchase {
    #[serde(default)]
    pub friend: Points,
    #[serde(default)]
    pub referrer: Points,
    /// The least total: a smaller purchase does not count as the first.
    #[serde(default)]
    pub minimum: Money,
    /// When the points can be spent; left out, at once.
    #[serde(default)]
    pub available_after: Option<Span>,
}

impl Config {
    fn check(&self) -> Result<()> {
        let refuse = |problem: &str| Err(Refusal::rejected(problem));
        let joining = self.joining.iter().map(|it| (it.friend, it.referrer));
        let buying = self
            .first_purchase
            .iter()
            .map(|it| (it.friend, it.referrer));
        let mut gives_something = false;
        for (friend, referrer) in joining.chain(buying) {
            for points in [friend, referrer] {
                if !(0..=POINTS_MAX).contains(&points) {
                    return refuse("points are from 0 to 1000000");
                }
                gives_something |= points > 0;
            }
        }
        if !gives_something {
            return refuse("it gives nobody any points: say joining or first_purchase");
        }
        if self
            .first_purchase
            .as_ref()
            .is_some_and(|it| it.minimum < 0)
        {
            return refuse("first_purchase.minimum must not be negative");
        }
        Ok(())
    }
}

/// The rule, configured.
pub struct StarterReferral {
    config: Config,
}

impl Rule for StarterReferral {
    type Config = Config;

    fn configure(config: Config, _: &Shop) -> Result<Self> {
        config.check()?;
        Ok(Self { config })
    }
}

impl PointFormula for StarterReferral {
    fn points(&self, input: &Input) -> Result<PointAnswer> {
        if input.customer.referred_by.is_none() {
            return Ok(PointAnswer::nothing());
        }
        match input.purchase() {
            Some(sale) => self.bought(sale, input),
            None if input.event.is("referral.signup") => Ok(self.joined()),
            None => Ok(PointAnswer::nothing()),
        }
    }
}

stampcard_sdk::export!(StarterReferral: PointFormula);

impl StarterReferral {
    fn joined(&self) -> PointAnswer {
        let Some(joining) = &self.config.joining else {
            return PointAnswer::nothing();
        };
        let bonus = |points, reason: &str| {
            let bonus = Award::bonus(points, reason).kept_on_return();
            bonus.expires_at(self.config.expires_after)
        };
        let mut answer = PointAnswer::nothing();
        if joining.friend > 0 {
            answer = answer.award(bonus(joining.friend, "joined with a friend's code"));
        }
        if joining.referrer > 0 {
            answer = answer.award(bonus(joining.referrer, "a friend joined").to_referrer());
        }
        answer
    }

    fn bought(&self, sale: &Sale, input: &Input) -> Result<PointAnswer> {
        let Some(first) = &self.config.first_purchase else {
            return Ok(PointAnswer::nothing());
        };
        if sale.total < first.minimum || input.remembered::<Remembered>()?.bought {
            return Ok(PointAnswer::nothing());
        }
        let bonus = |points, reason: &str| {
            let bonus = Award::bonus(points, reason).expires_at(self.config.expires_after);
            let bonus = bonus.available_from(first.available_after);
            match first.minimum {
                0 => bonus,
                minimum => bonus.whole_below(minimum),
            }
        };
        let mut answer = PointAnswer::nothing();
        if first.friend > 0 {
            answer = answer.award(bonus(first.friend, "first purchase after joining"));
        }
        if first.referrer > 0 {
            let reason = "a friend's first purchase";
            answer = answer.award(bonus(first.referrer, reason).to_referrer());
        }
        answer.remember(&Remembered { bought: true })
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remembered {
    bought: bool,
}
