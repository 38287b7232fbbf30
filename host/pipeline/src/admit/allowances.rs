//! What tills ask for before they lose their connection, and what they tell when they have it again.

use super::data::{Common, CustomerData, attributes};
use super::redemptions::loose;
use super::returns::sale_name;
use super::said::actor;
use super::{By, Envelope, malformed};
use crate::allowance::Allowance;
use crate::event::{
    Body, Channel, EventName, Instant, Offline, OrderName, Points, RedemptionAct, RedemptionName,
    RedemptionStep,
};
use crate::redemption;
use crate::refusal::{Refusal, invalid};
use crate::shop::{Beyond, Shop};
use serde::Deserialize;
use std::collections::BTreeMap;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AllowEvent {
    customer: CustomerData,
    points: Points,
    channel: Channel,
    location: Option<String>,
    device: Option<String>,
    actor: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfflineEvent {
    allowance: Option<String>,
    customer: Option<CustomerData>,
    points: Points,
    channel: Channel,
    location: Option<String>,
    device: Option<String>,
    sale: Option<EventName>,
    order: Option<OrderName>,
    actor: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

impl AllowEvent {
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
        let policy = shop.file.redemption.offline;
        if policy.points == 0 {
            return invalid(
                "no-allowances",
                "/type",
                "this shop gives no allowances; [redemption.offline] in merchant.toml says how many points one may be for",
            );
        }
        if self.points > policy.points {
            return invalid(
                "too-large-an-allowance",
                "/data/points",
                format!(
                    "{} points; redemption.offline.points in merchant.toml allows {}",
                    self.points, policy.points
                ),
            );
        }
        let mut reserve = loose(self.points, shop)?;
        // The allowance names a second, and ends with it.
        let ends = name.at.0 + i64::from(policy.minutes) * MINUTE_MS;
        let ends = Instant(ends.div_euclid(SECOND_MS) * SECOND_MS);
        reserve.offline_until = Some(ends);
        reserve.until = Instant(ends.0 + i64::from(policy.sync_hours) * HOUR_MS);
        Ok(Body::Redemption(RedemptionStep {
            of: own_name(name, with),
            act: RedemptionAct::Reserve(reserve),
        }))
    }
}

impl OfflineEvent {
    pub fn check(
        self,
        common: &mut Common,
        shop: &Shop,
        with: By,
        name: &Envelope,
    ) -> Result<Body, Refusal> {
        let may_exceed = shop.file.redemption.offline.beyond == Beyond::Debt;
        let allowance = match (self.allowance, self.customer) {
            (Some(text), None) => {
                let read = Allowance::read(&text, with.secret, name.at);
                let allowance = read.map_err(|error| Refusal::Unauthorized {
                    code: "bad-allowance",
                    at: "/data/allowance".into(),
                    problem: error.to_string(),
                })?;
                Some(RedemptionName::Id(allowance.redemption))
            }
            (None, Some(customer)) if may_exceed => {
                common.customer = Some(customer);
                None
            }
            (None, Some(_)) => {
                return invalid(
                    "allowance-required",
                    "/data",
                    "this shop gives nothing offline without an allowance; redemption.offline.beyond in merchant.toml says so",
                );
            }
            _ => {
                return malformed(
                    "/data",
                    "say by what: `allowance`, which says whose it is, or without one the `customer`",
                );
            }
        };
        let staff = Some(actor(self.actor, with.sender)?);
        common.tell_where(Some(self.channel), self.location, self.device, staff)?;
        common.attributes = attributes(self.attributes)?;
        let sale = match (self.sale, self.order) {
            (None, None) => None,
            (sale, order) => Some(sale_name(sale, order)?),
        };
        let what = loose(self.points, shop)?;
        Ok(Body::Redemption(RedemptionStep {
            of: own_name(name, with),
            act: RedemptionAct::Offline(Offline {
                points: what.points,
                worth: what.worth,
                allowance,
                came_too_late: false,
                sale,
                may_exceed,
            }),
        }))
    }
}

fn own_name(name: &Envelope, with: By) -> RedemptionName {
    RedemptionName::Id(redemption::id_of(&name.source, &name.id, with.secret))
}
