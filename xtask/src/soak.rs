//! `cargo xtask soak`: the tests of the gate with numbers that take hours, on real data.

use crate::cargo::{cargo, must, program};
use crate::{Failure, setup};
use clap::Args;
use stampcard_tests::binary::root;

#[derive(Args)]
pub struct Options {
    /// How often a loaded server is killed
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// How many orders of arrival are tried, of a generated season and of a real month
    #[arg(long, default_value_t = 50)]
    shuffles: u64,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    setup::binary()?;
    // The busiest month of the Complete Journey, taken and compared by the example itself first.
    let work = root().join("target/soak");
    let text = work.to_str().expect("the root has a name in UTF-8");
    must(program(
        "python3",
        &[
            "examples/complete-journey/run.py",
            "--month",
            "busiest",
            "--work",
            text,
        ],
    ))?;
    let tests = [
        "test",
        "--release",
        "--package",
        "stampcard-tests",
        "--test",
        "crash",
        "--test",
        "order",
    ];
    let mut command = cargo(&[&tests[..], &["--", "--include-ignored", "--nocapture"]].concat());
    command
        .env("STAMPCARD_KILLS", options.kills.to_string())
        .env("STAMPCARD_SHUFFLES", options.shuffles.to_string())
        .env("STAMPCARD_MONTH", work.join("events.ndjson"))
        .env("STAMPCARD_LOCATIONS", work.join("locations.toml"));
    must(command)
}
