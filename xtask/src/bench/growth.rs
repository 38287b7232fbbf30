//! What grows with what: an event costs the same among many customers as among few, and each
//! plugin adds its own share.

use super::Figure;
use crate::Failure;
use crate::cargo::{cargo, must};
use serde_json::{Value, json};
use stampcard_tests::binary::root;
use stampcard_tests::{Shop, event, sale};
use std::fs;

/// Sales that are measured.
const SALES: usize = 10_000;

pub fn measure(quick: bool) -> Result<Vec<Figure>, Failure> {
    let sales = if quick { SALES / 10 } else { SALES };
    let many = if quick { 10_000 } else { 100_000 };
    let few = among(1_000, sales);
    let crowd = among(many, sales);
    let mut figures = vec![
        Figure::new("a sale among 1,000 customers", few, "µs", ""),
        Figure::new(format!("a sale among {many} customers"), crowd, "µs", ""),
        Figure::new("the second over the first", crowd / few, "times", "flat"),
    ];
    must(cargo(&[
        "xtask",
        "plugin",
        "examples/tenth-coffee",
        "--into",
        "target/plugins",
    ]))?;
    for plugins in [1, 10, 100] {
        figures.push(Figure::new(
            format!("a sale with {plugins} more plugins"),
            with_plugins(plugins, sales / 4),
            "µs",
            "linear",
        ));
    }
    Ok(figures)
}

/// Microseconds for each sale in a shop that knows so many customers.
fn among(customers: usize, sales: usize) -> f64 {
    let shop = Shop::new();
    let known: Vec<Value> = (0..customers)
        .map(|number| one_sale("known", number, number))
        .collect();
    shop.ingest(&known);
    // Spread over all of them, so that no cache of the newest helps.
    let measured: Vec<Value> = (0..sales)
        .map(|number| one_sale("measured", number, number * 7_919 % customers))
        .collect();
    micros(&shop, &measured)
}

fn with_plugins(plugins: usize, sales: usize) -> f64 {
    let shop = Shop::new();
    let read =
        |name: &str| fs::read(root().join("target/plugins").join(name)).expect("it was just built");
    let (component, manifest) = (
        read("tenth-coffee.wasm"),
        String::from_utf8(read("tenth-coffee.toml")).expect("a manifest is UTF-8"),
    );
    for number in 1..=plugins {
        let name = format!("coffee-{number}");
        shop.write(&format!("plugins/{name}.wasm"), &component);
        shop.write(
            &format!("plugins/{name}.toml"),
            manifest.replace("\"tenth-coffee\"", &format!("\"{name}\"")),
        );
    }
    // What is loaded at the first start is not part of it.
    shop.ingest(&[one_sale("known", 0, 0)]);
    let measured: Vec<Value> = (0..sales)
        .map(|number| one_sale("measured", number, number % 500))
        .collect();
    micros(&shop, &measured)
}

fn micros(shop: &Shop, events: &[Value]) -> f64 {
    let summary = shop.ingest_bytes(&event::lines(events), &[]);
    summary["seconds"].as_f64().expect("a summary has seconds") * 1e6 / events.len() as f64
}

/// The sale of a sequence, by one of so many customers. What is measured happens an hour after all
/// that is known, so that nothing is late and nothing comes due.
fn one_sale(source: &str, number: usize, customer: usize) -> Value {
    let begins = if source == "known" {
        1_774_000_000_000
    } else {
        1_774_003_600_000
    };
    let at = jiff::Timestamp::from_millisecond(begins + number as i64 * 20).expect("a time");
    let customer = json!({"email": format!("customer-{customer}@example.com")});
    let data = json!({"customer": customer, "total": 2_500});
    sale(&format!("{source}-{number}"), &at.to_string(), data)
}
