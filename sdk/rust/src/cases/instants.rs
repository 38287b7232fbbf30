//! Instants that people can read, in the fields of the contract that hold instants.

use serde_json::Value;

use crate::types::Instant;
use crate::{DAY, HOUR, MINUTE, SECOND};

/// Every field of the contract whose type is `instant`, and the variant that holds one.
pub(super) const FIELDS: [&str; 23] = [
    "At",
    "at",
    "created_at",
    "day_began",
    "enrolled_at",
    "first_at",
    "keep_until",
    "known_since",
    "last_at",
    "month_began",
    "next",
    "next_day",
    "next_month",
    "next_year",
    "now",
    "occurred_at",
    "offered_at",
    "previous_sale_at",
    "since",
    "until",
    "used_at",
    "valid_until",
    "year_began",
];

/// The same JSON with every written instant as milliseconds; spans count from `now`.
pub fn resolved(value: &Value, now: Instant) -> Result<Value, String> {
    Ok(match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| {
                let value = match value {
                    Value::String(text) if FIELDS.contains(&key.as_str()) => {
                        Value::from(read(text, now).map_err(|error| format!("{key}: {error}"))?)
                    }
                    other => resolved(other, now)?,
                };
                Ok((key.clone(), value))
            })
            .collect::<Result<_, String>>()?,
        Value::Array(items) => items
            .iter()
            .map(|item| resolved(item, now))
            .collect::<Result<_, String>>()?,
        other => other.clone(),
    })
}

/// An instant as RFC 3339, or as spans from `now` on: "+30d", "-365d +1ms".
pub fn read(text: &str, now: Instant) -> Result<Instant, String> {
    if text == "now" {
        return Ok(now);
    }
    if text.starts_with(['+', '-']) {
        return text.split_whitespace().try_fold(now, |instant, span| {
            let milliseconds = span_of(span)
                .ok_or_else(|| format!("{span:?} is no span; write it like -30d or +90m"))?;
            instant
                .checked_add(milliseconds)
                .ok_or_else(|| format!("{text:?} is out of time"))
        });
    }
    let instant: jiff::Timestamp = text
        .parse()
        .map_err(|_| format!("{text:?} is no instant; write it like 2026-03-02T12:00:00Z"))?;
    Ok(instant.as_millisecond())
}

fn span_of(text: &str) -> Option<i64> {
    let digits = text.find(|it: char| it.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "ms" => 1,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        "w" => 7 * DAY,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit)
}
