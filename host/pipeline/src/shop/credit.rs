//! Store credit: `[store_credit]` of `merchant.toml`.

use super::{ShopError, Words};
use crate::calendar::{self, LocalTime};
use crate::event::Instant;
use crate::limits;
use crate::rules::Moment;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// How the shop gives store credit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CreditPolicy {
    /// When credit ends that was not spent; `None` is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Span>,
    /// What a receipt says where credit came or went; `{moved}` and `{left}` are amounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Words>,
}

/// What a receipt says in a shop that has not said it otherwise.
const RECEIPT: &str = "Store credit {moved}, {left} left";

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

    /// The line of a receipt, in the first of these languages that the shop has; the last one is its own.
    pub fn receipt(&self, moved: &str, left: &str, languages: &[&str]) -> String {
        let words = self.receipt.as_ref();
        let words = words.map_or(RECEIPT, |words| words.spoken(languages).0);
        let line = words.replace("{moved}", moved).replace("{left}", left);
        line.chars().take(limits::RECEIPT_CHARS_MAX).collect()
    }
}

pub(super) fn check(policy: Option<&CreditPolicy>, language: &str) -> Result<(), ShopError> {
    let wrong = |problem: String| Err(ShopError::StoreCredit(problem));
    if let Some(words) = policy.and_then(|policy| policy.receipt.as_ref())
        && let Err(problem) = words.check(language)
    {
        return wrong(format!("receipt {problem}"));
    }
    let Some(span) = policy.and_then(|policy| policy.expires_after) else {
        return Ok(());
    };
    let (number, most, unit) = match span {
        Span::Days(days) => (days, limits::MOMENT_DAYS_MAX, "days"),
        Span::Months(months) => (months, limits::MOMENT_DAYS_MAX / 30, "months"),
    };
    match (1..=most).contains(&number) {
        true => Ok(()),
        false => wrong(format!(
            "expires_after is {number} {unit}; it is from 1 to {most}, and left out for never"
        )),
    }
}
