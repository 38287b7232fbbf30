//! What points can be given for: `[redemption]` and `[[rewards]]` of `merchant.toml`.

use super::{ShopError, Words, first_twice};
use crate::event::{Channel, Money, Points, Worth};
use crate::limits;
use serde::{Deserialize, Serialize};

/// How points are redeemed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedemptionPolicy {
    /// What points are worth where no reward is asked for: so many points, so many minor units.
    pub worth: PointsWorth,
    /// The fewest points that can be redeemed without a reward.
    pub minimum_points: Points,
    /// How long points stay set aside until somebody confirms, in minutes.
    pub hold_minutes: u32,
    /// From so many points on a second person has to agree. `None` is never.
    pub approval_from: Option<Points>,
    /// How long a redemption waits for that person, in hours.
    pub approval_hours: u32,
    /// What tills may redeem while they are not connected.
    pub offline: OfflinePolicy,
}

/// What tills may redeem while they are not connected: nothing, if nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OfflinePolicy {
    /// The most points that one allowance is for; 0 gives none.
    pub points: Points,
    /// How long a till may redeem by it, in minutes.
    pub minutes: u32,
    /// How long its points stay set aside after that, in hours, until tills that were not connected have
    /// told what they did.
    pub sync_hours: u32,
    /// What becomes of points that were redeemed without an allowance, or beyond it.
    pub beyond: Beyond,
}

impl Default for OfflinePolicy {
    fn default() -> Self {
        OfflinePolicy {
            points: 0,
            minutes: 240,
            sync_hours: 72,
            beyond: Beyond::Refuse,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Beyond {
    /// The event is refused: tills of this shop give nothing without an allowance.
    #[default]
    Refuse,
    /// They are taken, what is not there is owed, and somebody looks at it.
    Debt,
}

impl Default for RedemptionPolicy {
    fn default() -> Self {
        RedemptionPolicy {
            worth: PointsWorth {
                points: 1,
                amount: 1,
            },
            minimum_points: 1,
            hold_minutes: 30,
            approval_from: None,
            approval_hours: 72,
            offline: OfflinePolicy::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointsWorth {
    pub points: Points,
    pub amount: Money,
}

impl PointsWorth {
    /// What points are worth, rounded down to whole minor units.
    pub fn of(self, points: Points) -> Money {
        let exact = i128::from(points) * i128::from(self.amount) / i128::from(self.points.max(1));
        Money::try_from(exact).unwrap_or(limits::NUMBER_MAX)
    }
}

/// Something that customers can have for points. One of `amount`, `share` and `product` says what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reward {
    /// What tills and rules call it.
    pub key: String,
    /// What customers call it.
    pub name: Words,
    /// What it costs.
    pub points: Points,
    /// Minor units off the basket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// Basis points off the basket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<u32>,
    /// A product for nothing, by its SKU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The least total of a basket with which it is given, in minor units.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub minimum_basket: Money,
    /// Where it is to be had; everywhere, if nothing is said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Channel>,
    /// How often one customer may have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<RewardLimit>,
    /// The reward that is offered instead where the product is out of stock, by its key; the dearest that the
    /// customer can have for no more points, if nothing is said or that is sold out, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternative: Option<String>,
    /// Whether it can be had while another redemption of the customer is open.
    #[serde(default = "yes")]
    pub stacks: bool,
}

/// So often within so many days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardLimit {
    pub times: u32,
    pub days: u32,
}

impl Reward {
    pub fn is_for(&self, channel: Option<Channel>) -> bool {
        channel.is_none_or(|channel| self.channels.is_empty() || self.channels.contains(&channel))
    }

    /// What it is worth. A reward was checked to say exactly one thing.
    pub fn worth(&self) -> Worth {
        match (self.amount, self.share, &self.product) {
            (Some(amount), _, _) => Worth::Amount(amount),
            (_, Some(share), _) => Worth::Share(share),
            (_, _, product) => Worth::Product(product.clone().unwrap_or_default()),
        }
    }

    fn check(&self, language: &str) -> Result<(), String> {
        if self.key.trim().is_empty() || self.key.len() > limits::TEXT_BYTES_MAX {
            return Err(format!(
                "a key has from 1 to {} bytes",
                limits::TEXT_BYTES_MAX
            ));
        }
        self.name
            .check(language)
            .map_err(|problem| format!("name {problem}"))?;
        if !(1..=limits::NUMBER_MAX).contains(&self.points) {
            return Err("points must be at least 1".into());
        }
        let worths = [
            self.amount.is_some(),
            self.share.is_some(),
            self.product.is_some(),
        ];
        if worths.into_iter().filter(|given| *given).count() != 1 {
            return Err("say what it is worth: one of amount, share and product".into());
        }
        if self
            .amount
            .is_some_and(|amount| !(1..=limits::NUMBER_MAX).contains(&amount))
        {
            return Err("amount must be at least 1 minor unit".into());
        }
        if self
            .share
            .is_some_and(|share| !(1..=10_000).contains(&share))
        {
            return Err("share is in basis points, from 1 to 10000; 1000 is 10 %".into());
        }
        if self
            .product
            .as_ref()
            .is_some_and(|product| product.trim().is_empty())
        {
            return Err("product is empty".into());
        }
        if !(0..=limits::NUMBER_MAX).contains(&self.minimum_basket) {
            return Err("minimum_basket must not be negative".into());
        }
        if self
            .limit
            .is_some_and(|limit| limit.times == 0 || limit.days == 0)
        {
            return Err("limit needs times and days of at least 1".into());
        }
        if self
            .limit
            .is_some_and(|limit| limit.times > limits::REWARD_TIMES_MAX)
        {
            return Err(format!(
                "limit.times is at most {}",
                limits::REWARD_TIMES_MAX
            ));
        }
        Ok(())
    }
}

pub(super) fn check(
    policy: &RedemptionPolicy,
    rewards: &[Reward],
    language: &str,
) -> Result<(), ShopError> {
    let wrong = |problem: &str| Err(ShopError::Redemption(problem.to_owned()));
    let PointsWorth { points, amount } = policy.worth;
    if points < 1 || amount < 1 || points.max(amount) > limits::NUMBER_MAX {
        return wrong(
            "worth needs points and amount of at least 1: { points = 100, amount = 100 }",
        );
    }
    if policy.minimum_points < 1 {
        return wrong("minimum_points must be at least 1");
    }
    if policy.hold_minutes == 0 || policy.approval_hours == 0 {
        return wrong("hold_minutes and approval_hours must be at least 1");
    }
    let offline = policy.offline;
    if !(0..=limits::NUMBER_MAX).contains(&offline.points) {
        return wrong("offline.points must not be negative; 0 gives no allowances");
    }
    if offline.minutes == 0 || offline.minutes > limits::OFFLINE_MINUTES_MAX {
        return wrong("offline.minutes is from 1 to 10080, which is a week");
    }
    if offline.sync_hours == 0 || offline.sync_hours > limits::SYNC_HOURS_MAX {
        return wrong("offline.sync_hours is from 1 to 720, which is thirty days");
    }
    if policy
        .approval_from
        .is_some_and(|from| offline.points >= from)
    {
        return wrong(
            "offline.points must be below approval_from: nobody can be asked at a till that is not connected",
        );
    }
    if policy.approval_from.is_some_and(|from| from < 1) {
        return wrong("approval_from must be at least 1; leave it out where nobody has to agree");
    }
    let keys: Vec<String> = rewards.iter().map(|reward| reward.key.clone()).collect();
    if let Some(key) = first_twice(&keys) {
        let problem = "appears twice".into();
        return Err(ShopError::Reward { key, problem });
    }
    for reward in rewards {
        if let Some(other) = reward
            .alternative
            .as_ref()
            .filter(|other| **other == reward.key || !rewards.iter().any(|it| it.key == **other))
        {
            return Err(ShopError::Reward {
                key: reward.key.clone(),
                problem: format!("alternative {other:?} is not the key of another reward"),
            });
        }
        let checked = reward.check(language);
        checked.map_err(|problem| ShopError::Reward {
            key: reward.key.clone(),
            problem,
        })?;
    }
    Ok(())
}

fn is_zero(amount: &Money) -> bool {
    *amount == 0
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_worth_what_the_shop_says_multiplied_and_never_divided() {
        let worth = |points, amount| PointsWorth { points, amount };
        for (rate, points, amount) in [
            (worth(1, 1), 77, 77),
            (worth(100, 500), 77, 385),
            (worth(3, 1), 100, 33),
            (worth(20, 1), 77, 3),
            (worth(1, 1), limits::NUMBER_MAX, limits::NUMBER_MAX),
        ] {
            assert_eq!(rate.of(points), amount, "{rate:?} {points}");
        }
    }
}
