//! One rule: as ordinary Rust, in a fresh instance for every call, and in one that is kept. The
//! runtime measures itself and prints JSON.

use super::Figure;
use crate::Failure;
use crate::cargo::{cargo, printed};
use serde_json::Value;

pub fn measure() -> Result<Vec<Figure>, Failure> {
    let program = ["run", "--release", "--quiet", "--package", "stampcard-runtime", "--example", "one_rule", "--", "--json"];
    let text = printed(cargo(&program))?;
    let figures: Value = serde_json::from_str(&text).unwrap_or_default();
    let micros = |key: &str| {
        figures[key].as_f64().ok_or_else(|| Failure::Printed { program: "the runtime's example one_rule".into(), printed: text.clone() })
    };
    let (native, fresh, reused) = (micros("native_micros")?, micros("fresh_micros")?, micros("reused_micros")?);
    Ok(vec![
        Figure::new("one rule as native Rust", native, "µs", ""),
        Figure::new("the same in a fresh instance", fresh, "µs", "at most 10"),
        Figure::new("the same in a kept instance", reused, "µs", ""),
        Figure::new("fresh over kept", fresh / reused, "times", ""),
    ])
}
