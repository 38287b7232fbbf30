//! `cargo xtask bench`: the figures that the project is held to, each beside what it is compared
//! with in the same run, because machines differ. A table for people, `target/bench.json` for
//! whoever compares two of them.

mod agency;
mod growth;
mod ingest;
mod inside;
mod neighbours;
mod post;

use crate::cargo::{cargo, must};
use crate::{Failure, setup};
use clap::Args;
use serde_json::{Value, json};
use stampcard_tests::binary::root;

#[derive(Args)]
pub struct Options {
    /// Fewer rounds: a glance instead of a measurement
    #[arg(long)]
    quick: bool,
}

/// One figure.
pub struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    /// What it should be, in words.
    aim: &'static str,
}

impl Figure {
    pub fn new(
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        aim: &'static str,
    ) -> Figure {
        Figure {
            name: name.into(),
            value,
            unit,
            aim,
        }
    }
}

pub fn run(options: &Options) -> Result<(), Failure> {
    setup::wasm_target()?;
    // Everything in one call, the binary too: by itself it would be built with other features of
    // what it shares with the tests, and wasmtime would be compiled a second time.
    must(cargo(&[
        "build",
        "--release",
        "--workspace",
        "--all-targets",
        "--features",
        "xtask/measure",
    ]))?;
    let mut figures = Vec::new();
    figures.extend(inside::measure(options.quick)?);
    figures.extend(ingest::measure(options.quick)?);
    figures.extend(post::measure(options.quick)?);
    figures.extend(growth::measure(options.quick)?);
    figures.extend(neighbours::measure(options.quick));
    figures.extend(agency::measure(options.quick));
    println!();
    for figure in &figures {
        println!(
            "{:<58}{:>14}  {:<12}{}",
            figure.name,
            written(figure.value),
            figure.unit,
            figure.aim
        );
    }
    let path = root().join("target/bench.json");
    let text = serde_json::to_string_pretty(&as_json(&figures)).expect("figures are JSON");
    std::fs::write(&path, text).map_err(|source| Failure::File {
        path: path.display().to_string(),
        source,
    })?;
    println!("\nwritten to {}", path.display());
    Ok(())
}

fn as_json(figures: &[Figure]) -> Value {
    let figures = figures.iter().map(|figure| {
        json!({"name": figure.name, "value": figure.value, "unit": figure.unit, "aim": figure.aim})
    });
    json!({"processors": std::thread::available_parallelism().map_or(0, usize::from), "figures": figures.collect::<Vec<_>>()})
}

/// Three digits that matter.
fn written(value: f64) -> String {
    match value.abs() {
        huge if huge >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
