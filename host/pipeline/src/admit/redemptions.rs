//! Redemptions: points that are set aside for something, and what becomes of them.

use super::credit;
use super::data::{Common, CustomerData, attributes, bounded, short};
use super::returns::sale_name;
use super::said::actor;
use super::sender::Sender;
use super::{By, Envelope, malformed};
use crate::catalogue::distance;
use crate::currency::Currency;
use crate::event::{
    Body, Channel, EventName, Instant, Money, OrderName, Points, RedemptionAct, RedemptionName,
    RedemptionStep, Reserve, Worth,
};
use crate::limits;
use crate::redemption;
use crate::refusal::{Refusal, invalid};
use crate::shop::Shop;
use serde::Deserialize;
use std::collections::BTreeMap;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReserveEvent {
    customer: CustomerData,
    /// What is set aside: points, where nothing else is said.
    #[serde(default)]
    currency: Currency,
    /// Store credit, in minor units of the shop's currency.
    amount: Option<Money>,
    /// Points at their general worth; a reward has its own.
    points: Option<Points>,
    reward: Option<String>,
    channel: Channel,
    location: Option<String>,
    device: Option<String>,
    /// The total of the open basket, where there is one.
    basket: Option<Money>,
    /// Who asked for it.
    actor: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AboutRedemption {
    redemption: Option<String>,
    /// What the customer shows.
    code: Option<String>,
    channel: Option<Channel>,
    location: Option<String>,
    device: Option<String>,
    /// The sale that it is a part of.
    sale: Option<EventName>,
    order: Option<OrderName>,
    reason: Option<String>,
    actor: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

impl ReserveEvent {
    pub fn check(
        self,
        common: &mut Common,
        shop: &Shop,
        with: By,
        name: &Envelope,
    ) -> Result<Body, Refusal> {
        common.customer = Some(self.customer);
        let staff = Some(actor(self.actor, with.sender)?);
        common.tell_where(Some(self.channel), self.location, self.device, staff)?;
        common.attributes = attributes(self.attributes)?;
        let policy = &shop.file.redemption;
        let hold = i64::from(policy.hold_minutes) * MINUTE_MS;
        let mut reserve = match (self.points, self.reward) {
            _ if self.currency.is_points() && self.amount.is_some() => {
                return malformed(
                    "/data/amount",
                    "an amount is of store credit: say `currency`: \"store_credit\", or `points`",
                );
            }
            (None, None) if !self.currency.is_points() => of_credit(credit::wanted(self.amount)?),
            _ if !self.currency.is_points() => {
                return malformed(
                    "/data",
                    "store credit is neither points nor a reward; say its `amount` alone",
                );
            }
            (Some(points), None) => loose(points, shop)?,
            (None, Some(key)) => of_reward(&key, self.channel, self.basket, shop)?,
            (None, None) => {
                return malformed("/data", "say what for: `points`, or the key of a `reward`");
            }
            (Some(_), Some(_)) => {
                return invalid(
                    "points-and-reward",
                    "/data/points",
                    "a reward has its own price; leave `points` out",
                );
            }
        };
        let needs_approval = policy
            .approval_from
            .is_some_and(|from| reserve.currency.is_points() && reserve.points >= from);
        let wait = i64::from(policy.approval_hours) * HOUR_MS;
        reserve.needs_approval = needs_approval;
        reserve.until = Instant(name.at.0 + if needs_approval { wait } else { hold });
        Ok(Body::Redemption(RedemptionStep {
            of: RedemptionName::Id(redemption::id_of(&name.source, &name.id, with.secret)),
            act: RedemptionAct::Reserve(reserve),
        }))
    }
}

/// The customer's own money: nobody has to agree, and it is worth what it says.
fn of_credit(amount: Money) -> Reserve {
    Reserve {
        currency: Currency::StoreCredit,
        points: amount,
        reward: None,
        worth: Worth::Amount(amount),
        minimum: 0,
        until: Instant::default(),
        needs_approval: false,
        limit: None,
        alone: false,
        offline_until: None,
    }
}

/// Points at their general worth.
pub(super) fn loose(points: Points, shop: &Shop) -> Result<Reserve, Refusal> {
    let policy = &shop.file.redemption;
    let least = policy.minimum_points;
    if points < least {
        return invalid(
            "too-few-to-redeem",
            "/data/points",
            format!("{points} points; {least} is the least that can be redeemed"),
        );
    }
    let amount = policy.worth.of(points);
    if amount == 0 {
        return invalid(
            "worth-nothing",
            "/data/points",
            format!(
                "{points} points are worth less than a minor unit; {} are worth {}",
                policy.worth.points, policy.worth.amount
            ),
        );
    }
    Ok(Reserve {
        currency: Currency::Points,
        points,
        reward: None,
        worth: Worth::Amount(amount),
        minimum: 0,
        until: Instant::default(),
        needs_approval: false,
        limit: None,
        alone: false,
        offline_until: None,
    })
}

fn of_reward(
    key: &str,
    channel: Channel,
    basket: Option<Money>,
    shop: &Shop,
) -> Result<Reserve, Refusal> {
    let Some(reward) = shop.reward(key) else {
        let rewards = shop.file.rewards.iter();
        let nearest = rewards.min_by_key(|known| distance(key, &known.key));
        let hint = nearest.map_or("the shop has none".to_owned(), |nearest| {
            format!("did you mean {:?}?", nearest.key)
        });
        return invalid(
            "unknown-reward",
            "/data/reward",
            format!("{key:?} is not a reward of merchant.toml; {hint}"),
        );
    };
    if !reward.is_for(Some(channel)) {
        let names: Vec<&str> = reward.channels.iter().map(|it| it.name()).collect();
        return invalid(
            "reward-elsewhere",
            "/data/channel",
            format!(
                "{key} is not to be had in {}, but in {}",
                channel.name(),
                names.join(", ")
            ),
        );
    }
    if let Some(basket) = basket.filter(|basket| *basket < reward.minimum_basket) {
        return invalid(
            "basket-too-small",
            "/data/basket",
            format!(
                "the basket is {basket}, and {key} needs {}",
                reward.minimum_basket
            ),
        );
    }
    Ok(Reserve {
        currency: Currency::Points,
        points: reward.points,
        reward: Some(reward.key.clone()),
        worth: reward.worth(),
        minimum: reward.minimum_basket,
        until: Instant::default(),
        needs_approval: false,
        limit: reward.limit.map(|limit| (limit.times, limit.days)),
        alone: !reward.stacks,
        offline_until: None,
    })
}

impl AboutRedemption {
    pub fn confirmed(mut self, common: &mut Common, by: &Sender) -> Result<Body, Refusal> {
        let sale = match (self.sale.take(), self.order.take()) {
            (None, None) => None,
            (sale, order) => Some(sale_name(sale, order)?),
        };
        self.step(RedemptionAct::Confirm(sale), common, by)
    }

    pub fn cancelled(mut self, common: &mut Common, by: &Sender) -> Result<Body, Refusal> {
        let reason = self.reason()?;
        self.step(RedemptionAct::Cancel(reason), common, by)
    }

    pub fn approved(
        self,
        common: &mut Common,
        shop: &Shop,
        by: &Sender,
        at: Instant,
    ) -> Result<Body, Refusal> {
        let hold = i64::from(shop.file.redemption.hold_minutes) * MINUTE_MS;
        self.step(RedemptionAct::Approve(Instant(at.0 + hold)), common, by)
    }

    pub fn denied(mut self, common: &mut Common, by: &Sender) -> Result<Body, Refusal> {
        let reason = self.reason()?;
        self.step(RedemptionAct::Deny(reason), common, by)
    }

    fn reason(&mut self) -> Result<String, Refusal> {
        let reason = self.reason.take().unwrap_or_default();
        bounded(reason, limits::REASON_BYTES_MAX, "/data/reason")
    }

    fn step(self, act: RedemptionAct, common: &mut Common, by: &Sender) -> Result<Body, Refusal> {
        for (field, is_there) in [
            ("reason", self.reason.is_some()),
            ("sale", self.sale.is_some()),
            ("order", self.order.is_some()),
        ] {
            if is_there {
                return malformed(
                    &format!("/data/{field}"),
                    format!("{field} means nothing here; leave it out"),
                );
            }
        }
        let staff = Some(actor(self.actor, by)?);
        common.tell_where(self.channel, self.location, self.device, staff)?;
        common.attributes = attributes(self.attributes)?;
        let of = match (self.redemption, self.code) {
            (Some(id), None) => RedemptionName::Id(short(id, "/data/redemption")?),
            (None, Some(code)) => {
                let Some(code) = redemption::normal_code(&code) else {
                    return invalid(
                        "unknown-redemption",
                        "/data/code",
                        "this is no code of a redemption",
                    );
                };
                RedemptionName::Code(code)
            }
            _ => {
                return malformed(
                    "/data",
                    "say which: `redemption` with its id, or `code` with what the customer shows",
                );
            }
        };
        Ok(Body::Redemption(RedemptionStep { of, act }))
    }
}
