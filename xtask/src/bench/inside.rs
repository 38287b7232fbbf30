//! What is measured from the inside, by the program `measure` of this package: one rule in three
//! ways, and the line beside SQLite alone.

use super::Figure;
use crate::Failure;
use crate::cargo::{printed, program};
use serde_json::Value;
use stampcard_tests::binary;

pub fn measure(quick: bool) -> Result<Vec<Figure>, Failure> {
    let size = if quick { "quick" } else { "full" };
    let path = binary::target().join("release/measure");
    let text = printed(program(&path.to_string_lossy(), &[size]))?;
    let figures: Value = serde_json::from_str(&text).unwrap_or_default();
    let number = |part: &str, key: &str| {
        let found = figures[part][key].as_f64();
        found.ok_or_else(|| Failure::Printed {
            program: "measure".into(),
            printed: text.clone(),
        })
    };
    let (native, fresh, verified, reused) = (
        number("rule", "native_micros")?,
        number("rule", "fresh_micros")?,
        number("rule", "verified_micros")?,
        number("rule", "reused_micros")?,
    );
    let (ours, sqlite) = (
        number("line", "ours_a_second")?,
        number("line", "sqlite_a_second")?,
    );
    Ok(vec![
        Figure::new(
            "one rule, configured and asked, as native Rust",
            native,
            "µs",
            "",
        ),
        Figure::new(
            "the same rule in a fresh instance",
            fresh,
            "µs",
            "at most 10",
        ),
        Figure::new(
            "the same rule in kept instances, one in 16 compared",
            verified,
            "µs",
            "",
        ),
        Figure::new("the same rule in a kept instance", reused, "µs", ""),
        Figure::new("fresh over kept", fresh / reused, "times", ""),
        Figure::new(
            "the line, four starter plugins, durable",
            ours,
            "a second",
            "at least 3,000",
        ),
        Figure::new(
            "SQLite alone with the same statements and groups",
            sqlite,
            "a second",
            "",
        ),
        Figure::new(
            "the line over SQLite alone",
            ours / sqlite,
            "times",
            "at least 0.6",
        ),
    ])
}
