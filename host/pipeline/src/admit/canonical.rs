//! The canonical form of JSON (RFC 8785): one way to write what is said, however it was written.
//!
//! Every event that arrives is written so to be compared with those that came before. The crate
//! for it copies each value once for every object around it, which was 8 % of all the time that a
//! month of supermarket baskets took; it is what the tests compare with.

use serde_json::{Map, Number, Value};
use std::cmp::Ordering;

/// Appends the canonical form.
pub(super) fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend(b"null"),
        Value::Bool(true) => out.extend(b"true"),
        Value::Bool(false) => out.extend(b"false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(members) => write_object(members, out),
    }
}

fn write_object(members: &Map<String, Value>, out: &mut Vec<u8>) {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    // Most of the time it is in order already, which sorting finds out in one pass.
    sorted.sort_by(|(one, _), (other, _)| by_utf16(one, other));
    out.push(b'{');
    for (index, (key, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_text(key, out);
        out.push(b':');
        write(value, out);
    }
    out.push(b'}');
}

/// The order of JavaScript's strings, which differs from that of bytes above U+FFFF.
fn by_utf16(one: &str, other: &str) -> Ordering {
    if one.is_ascii() && other.is_ascii() {
        one.cmp(other)
    } else {
        one.encode_utf16().cmp(other.encode_utf16())
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("text can be written to memory");
}

/// JavaScript has doubles only, so every number is written as the double that it is there.
fn write_number(number: &Number, out: &mut Vec<u8>) {
    const EXACT: i64 = 1 << 53;
    match number.as_i64() {
        Some(whole) if (-EXACT..=EXACT).contains(&whole) => {
            serde_json::to_writer(out, &whole).expect("a number can be written to memory");
        }
        _ => {
            let double = number.as_f64().expect("JSON has finite numbers");
            out.extend(ryu_js::Buffer::new().format_finite(double).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(value: &Value) -> String {
        let mut out = Vec::new();
        write(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            ".*",
            "[a-c]{0,3}",
            "[\u{e000}\u{ffff}\u{10000}é\"\\\\\n]{0,3}"
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1_000_000i64..1_000_000).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((text.clone(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_what_the_reference_writes(value in any_json()) {
            let reference = serde_json_canonicalizer::to_string(&value).unwrap();
            prop_assert_eq!(written(&value), reference);
        }
    }

    #[test]
    fn numbers_and_keys_are_as_in_the_rfc() {
        let value = serde_json::from_str(
            r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001,-0.0,1e2,9007199254740993],
                "\u20ac":"Euro Sign","\r":"CR","\ufb33":"Dalet","1":"One","\ud83d\ude00":"Smile","\u0080":"Control"}"#,
        )
        .unwrap();
        let expected = "{\"\\r\":\"CR\",\"1\":\"One\",\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27,0,100,9007199254740992],\"\u{80}\":\"Control\",\"€\":\"Euro Sign\",\"😀\":\"Smile\",\"\u{fb33}\":\"Dalet\"}";
        assert_eq!(written(&value), expected);
    }
}
