//! Laying sparse JSON over other JSON, and comparing an answer with the parts that matter.

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

/// Where the answer is not as expected, one line for each place.
pub fn differences(expected: &Value, actual: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", expected, actual, &mut found);
    found
}

fn compare(path: &str, expected: &Value, actual: &Value, found: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (key, expected) in expected {
                let path = format!("{path}.{key}");
                match actual.get(key) {
                    Some(actual) => compare(&path, expected, actual, found),
                    None => found.push(format!("  {path}: the contract has no such field")),
                }
            }
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                compare(&format!("{path}[{index}]"), expected, actual, found);
            }
        }
        _ if expected == actual => {}
        _ => found.push(format!("  {path}: expected {expected}, found {actual}")),
    }
}
