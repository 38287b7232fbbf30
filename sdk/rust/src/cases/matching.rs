//! Laying sparse JSON over other JSON, and comparing an answer with the parts that matter.

use std::fmt;

use serde_json::Value;

/// `above` over `below`: objects key by key, everything else replaced. A variant, an object with
/// one key that begins with a capital, replaces another variant, too.
pub fn over(below: &Value, above: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (below, above) else {
        return above.clone();
    };
    if let (Some(old), Some(new)) = (variant(below), variant(above))
        && old != new
    {
        return above.clone();
    }
    let mut merged = old.clone();
    for (key, value) in new {
        let laid = match old.get(key) {
            Some(old) => over(old, value),
            None => value.clone(),
        };
        merged.insert(key.clone(), laid);
    }
    Value::Object(merged)
}

fn variant(value: &Value) -> Option<&str> {
    let mut keys = value.as_object()?.keys();
    let key = keys.next()?;
    let alone = keys.next().is_none();
    (alone && key.starts_with(char::is_uppercase)).then_some(key)
}

/// A place where the answer is not as expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Such as `.awards[0].amount`.
    pub place: String,
    pub expected: Value,
    /// None if the contract has no such field.
    pub found: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place, expected, ..
        } = self;
        match &self.found {
            Some(found) => write!(f, "  {place}: expected {expected}, found {found}"),
            None => write!(f, "  {place}: the contract has no such field"),
        }
    }
}

/// Where the answer is not as expected; `place` is where both stand.
pub fn differences(place: &str, expected: &Value, actual: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare(place, expected, actual, &mut found);
    found
}

fn compare(place: &str, expected: &Value, actual: &Value, found: &mut Vec<Difference>) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (key, expected) in expected {
                let place = format!("{place}.{key}");
                match actual.get(key) {
                    Some(actual) => compare(&place, expected, actual, found),
                    None => found.push(Difference {
                        place,
                        expected: expected.clone(),
                        found: None,
                    }),
                }
            }
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                compare(&format!("{place}[{index}]"), expected, actual, found);
            }
        }
        _ if expected == actual => {}
        _ => found.push(Difference {
            place: place.into(),
            expected: expected.clone(),
            found: Some(actual.clone()),
        }),
    }
}
