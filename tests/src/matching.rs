//! Whether an answer has what a story expects of it.
//!
//! An object has to have the keys that are expected, and may have others; `"absent"` says that a
//! key must not be there (or be null or empty). A list has to have as many items as are expected,
//! unless the last of them is `"…"`: then each expected item must be somewhere in it. A text may
//! have one `…`, which stands for any text.

use serde_json::Value;

/// Every place that does not match, as a sentence with its path.
pub fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    compare(expected, found, "", &mut differences);
    differences
}

fn compare(expected: &Value, found: &Value, at: &str, differences: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (key, expected) in expected {
                compare(
                    expected,
                    found.get(key).unwrap_or(&Value::Null),
                    &format!("{at}/{key}"),
                    differences,
                );
            }
        }
        (Value::Array(expected), Value::Array(found)) => match expected.split_last() {
            Some((Value::String(last), expected)) if last == "…" => {
                for expected in expected {
                    if !found
                        .iter()
                        .any(|found| self::differences(expected, found).is_empty())
                    {
                        differences.push(format!(
                            "{at}: {expected} is not in {}",
                            Value::from(found.clone())
                        ));
                    }
                }
            }
            _ if expected.len() != found.len() => {
                let found = Value::from(found.clone());
                differences.push(format!(
                    "{at}: expected {} items and found {found}",
                    expected.len()
                ));
            }
            _ => {
                for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                    compare(expected, found, &format!("{at}/{index}"), differences);
                }
            }
        },
        (Value::String(text), found) if text == "absent" => {
            let empty = match found {
                Value::Null => true,
                Value::Array(items) => items.is_empty(),
                Value::Object(fields) => fields.is_empty(),
                _ => false,
            };
            if !empty {
                differences.push(format!("{at}: expected nothing and found {found}"));
            }
        }
        (Value::String(expected), Value::String(found)) => {
            let matches = match expected.split_once('…') {
                Some((start, end)) => {
                    found.len() >= start.len() + end.len()
                        && found.starts_with(start)
                        && found.ends_with(end)
                }
                None => expected == found,
            };
            if !matches {
                differences.push(format!("{at}: expected {expected:?} and found {found:?}"));
            }
        }
        (expected, found) if expected == found => {}
        (expected, found) => {
            differences.push(format!("{at}: expected {expected} and found {found}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::differences;
    use serde_json::json;

    #[test]
    fn what_is_expected_must_be_there_and_nothing_else_matters() {
        let found = json!({"points": [{"amount": 37, "kind": "base"}], "receipt": ["Earned 37", "Balance 37"], "code": "THANKS-7Q", "tier": null});
        let table = [
            (json!({}), None),
            (json!({"points": [{"amount": 37}]}), None),
            (
                json!({"points": [{"amount": 38}]}),
                Some("/points/0/amount: expected 38 and found 37"),
            ),
            (
                json!({"receipt": ["Earned 37"]}),
                Some("/receipt: expected 1 items"),
            ),
            (json!({"receipt": ["Balance …", "…"]}), None),
            (
                json!({"receipt": ["Bonus …", "…"]}),
                Some("/receipt: \"Bonus …\" is not in"),
            ),
            (json!({"code": "THANKS-…"}), None),
            (json!({"code": "THANKS-7Q…Q"}), Some("/code: expected")),
            (json!({"tier": "absent", "prompts": "absent"}), None),
            (
                json!({"points": "absent"}),
                Some("/points: expected nothing"),
            ),
            (
                json!({"balance": 37}),
                Some("/balance: expected 37 and found null"),
            ),
        ];
        for (expected, difference) in table {
            let differences = differences(&expected, &found);
            match difference {
                None => assert_eq!(differences, [""; 0], "{expected}"),
                Some(start) => {
                    assert_eq!(differences.len(), 1, "{expected}");
                    assert!(
                        differences[0].starts_with(start),
                        "{expected}: {differences:?}"
                    );
                }
            }
        }
    }
}
