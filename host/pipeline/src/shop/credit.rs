//! Store credit: `[store_credit]` of `merchant.toml`.

use super::ShopError;
use crate::calendar::{self, LocalTime};
use crate::event::Instant;
use crate::limits;
use crate::rules::Moment;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// How the shop gives store credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CreditPolicy {
    /// When credit ends that was not spent; `None` is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Span>,
}

/// A span of the calendar where the credit is given: `{ days = 365 }` or `{ months = 24 }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    Days(u32),
    Months(u32),
}

impl CreditPolicy {
    /// When credit ends that is given at an instant.
    pub fn end(&self, at: Instant, zone: &TimeZone) -> Option<Instant> {
        let moment = match self.expires_after? {
            Span::Days(days) => Moment::Days(days),
            Span::Months(months) => Moment::Months(months),
        };
        calendar::resolve(moment, at, &LocalTime::at(at, zone), zone)
    }
}

pub(super) fn check(policy: Option<&CreditPolicy>) -> Result<(), ShopError> {
    let Some(span) = policy.and_then(|policy| policy.expires_after) else {
        return Ok(());
    };
    let (number, most, unit) = match span {
        Span::Days(days) => (days, limits::MOMENT_DAYS_MAX, "days"),
        Span::Months(months) => (months, limits::MOMENT_DAYS_MAX / 30, "months"),
    };
    match (1..=most).contains(&number) {
        true => Ok(()),
        false => Err(ShopError::StoreCredit(format!(
            "expires_after is {number} {unit}; it is from 1 to {most}, and left out for never"
        ))),
    }
}
