//! Fields of the profile that the shop declares itself: `[[profile.fields]]` of `merchant.toml`.
//! Each has a type and a purpose; what is sent for it is checked and kept as text in one form.

use super::{PROFILE_FIELDS, ShopError};
use crate::facts::TAX_EXEMPT;
use crate::limits;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One declared field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldRule {
    pub key: String,
    #[serde(rename = "type")]
    pub kind: FieldKind,
    /// Why the shop asks, in one sentence: for the customer who wants to know, and for staff.
    pub purpose: String,
    /// It says who somebody is: kept with names and addresses, and never shown to a plugin.
    #[serde(default)]
    pub personal: bool,
    /// For `choice`.
    #[serde(default)]
    pub choices: Vec<String>,
    /// For `number`, both included.
    #[serde(default)]
    pub min: Option<i64>,
    #[serde(default)]
    pub max: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldKind {
    Text,
    /// A decimal with at most four places, kept exactly.
    Number,
    Boolean,
    /// `2024-05-01`.
    Date,
    Choice,
}

impl FieldRule {
    pub(super) fn check(&self) -> Result<(), ShopError> {
        let wrong = |problem: &str| {
            Err(ShopError::Field {
                key: self.key.clone(),
                problem: problem.to_owned(),
            })
        };
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if self.key.is_empty() || self.key.len() > 64 || !self.key.bytes().all(is_name) {
            return wrong("a key has lower-case letters, digits and _, at most 64 of them");
        }
        if PROFILE_FIELDS.contains(&self.key.as_str()) || self.key == TAX_EXEMPT {
            return wrong("every profile has this field; choose another key");
        }
        if self.purpose.trim().is_empty() {
            return wrong("purpose must say in a sentence why the shop asks");
        }
        if (self.kind == FieldKind::Choice) == self.choices.is_empty() {
            return wrong("a choice needs choices, and nothing else has any");
        }
        if self.kind != FieldKind::Number && (self.min.is_some() || self.max.is_some()) {
            return wrong("only a number has min and max");
        }
        match (self.min, self.max) {
            (Some(min), Some(max)) if min > max => wrong("min is above max"),
            _ => Ok(()),
        }
    }

    /// The value in the one form in which it is kept, or what is wrong with it.
    pub fn read(&self, value: &Value) -> Result<String, String> {
        match (self.kind, value) {
            (FieldKind::Text, Value::String(text)) => self.text(text),
            (FieldKind::Number, Value::Number(number)) => self.number(&number.to_string()),
            (FieldKind::Number, Value::String(text)) => self.number(text.trim()),
            (FieldKind::Boolean, Value::Bool(flag)) => Ok(flag.to_string()),
            (FieldKind::Date, Value::String(text)) => match text.parse::<jiff::civil::Date>() {
                Ok(date) if text.len() == 10 => Ok(date.to_string()),
                _ => Err(format!("{text:?} is not a date; 2024-05-01 is")),
            },
            (FieldKind::Choice, Value::String(text)) if self.choices.contains(text) => {
                Ok(text.clone())
            }
            (FieldKind::Choice, _) => Err(format!("it is one of {}", self.choices.join(", "))),
            (kind, _) => Err(format!("it is a {}", kind.name())),
        }
    }

    fn text(&self, text: &str) -> Result<String, String> {
        let text = text.trim();
        match text.len() {
            0 => Err("it is empty; null clears a field".into()),
            length if length > limits::TEXT_BYTES_MAX => {
                Err(format!("longer than {} bytes", limits::TEXT_BYTES_MAX))
            }
            _ => Ok(text.to_owned()),
        }
    }

    /// `10.50` is `10.5`: two ways to write one number would be two values to a rule.
    fn number(&self, text: &str) -> Result<String, String> {
        let not_one = || format!("{text:?} is not a number with at most four decimals");
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty()
            || whole.len() > 11
            || decimals.len() > 4
            || !all_digits(whole)
            || !all_digits(decimals)
        {
            return Err(not_one());
        }
        let parsed: i64 = format!("{whole}{decimals:0<4}")
            .parse()
            .map_err(|_| not_one())?;
        let ten_thousandths = sign * parsed;
        if self
            .min
            .is_some_and(|min| ten_thousandths < min.saturating_mul(10_000))
        {
            return Err(format!("it is at least {}", self.min.unwrap_or_default()));
        }
        if self
            .max
            .is_some_and(|max| ten_thousandths > max.saturating_mul(10_000))
        {
            return Err(format!("it is at most {}", self.max.unwrap_or_default()));
        }
        let (whole, rest) = (parsed / 10_000, parsed % 10_000);
        let sign = if ten_thousandths < 0 { "-" } else { "" };
        let decimals = format!("{rest:04}");
        let decimals = decimals.trim_end_matches('0');
        Ok(match decimals {
            "" => format!("{sign}{whole}"),
            _ => format!("{sign}{whole}.{decimals}"),
        })
    }

    /// A kept value as JSON of the field's type. What was kept under another type is a text.
    pub fn shown(&self, kept: &str) -> Value {
        match self.kind {
            FieldKind::Number | FieldKind::Boolean => {
                serde_json::from_str(kept).unwrap_or_else(|_| kept.into())
            }
            FieldKind::Text | FieldKind::Date | FieldKind::Choice => kept.into(),
        }
    }
}

impl FieldKind {
    pub fn name(self) -> &'static str {
        match self {
            FieldKind::Text => "text",
            FieldKind::Number => "number",
            FieldKind::Boolean => "boolean",
            FieldKind::Date => "date",
            FieldKind::Choice => "choice",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(kind: FieldKind) -> FieldRule {
        FieldRule {
            key: "boot_size".into(),
            kind,
            purpose: "Which boots to bring.".into(),
            personal: false,
            choices: Vec::new(),
            min: None,
            max: None,
        }
    }

    #[test]
    fn a_value_is_kept_in_one_form_or_refused() {
        let number = FieldRule {
            min: Some(0),
            max: Some(20),
            ..field(FieldKind::Number)
        };
        for (given, kept) in [
            (json!(10.5), Ok("10.5")),
            (json!("10.50"), Ok("10.5")),
            (json!(9), Ok("9")),
            (json!("0.0001"), Ok("0.0001")),
            (json!(20), Ok("20")),
            (json!("20.0001"), Err("it is at most 20")),
            (json!(-1), Err("it is at least 0")),
            (json!(true), Err("it is a number")),
        ] {
            let read = number.read(&given);
            assert_eq!(read.as_deref().map_err(String::as_str), kept, "{given}");
        }
        for text in [
            "",
            "1e3",
            "1,5",
            "0.00001",
            "٣",
            "NaN",
            "--1",
            "123456789012",
        ] {
            assert!(number.read(&json!(text)).is_err(), "{text:?}");
        }
        let choice = FieldRule {
            choices: vec!["S".into(), "M".into()],
            ..field(FieldKind::Choice)
        };
        assert_eq!(choice.read(&json!("M")), Ok("M".into()));
        assert_eq!(choice.read(&json!("m")), Err("it is one of S, M".into()));
        assert_eq!(
            field(FieldKind::Date).read(&json!("2024-02-29")),
            Ok("2024-02-29".into())
        );
        assert!(field(FieldKind::Date).read(&json!("2023-02-29")).is_err());
        assert!(field(FieldKind::Text).read(&json!("  ")).is_err());
        assert_eq!(
            field(FieldKind::Boolean).read(&json!(false)),
            Ok("false".into())
        );
    }

    #[test]
    fn a_kept_value_is_shown_in_its_type() {
        assert_eq!(field(FieldKind::Number).shown("10.5"), json!(10.5));
        assert_eq!(field(FieldKind::Boolean).shown("true"), json!(true));
        assert_eq!(field(FieldKind::Text).shown("42"), json!("42"));
        assert_eq!(field(FieldKind::Number).shown("wide"), json!("wide"));
    }
}
