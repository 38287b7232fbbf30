//! `cargo xtask soak`: the tests of the gate with numbers that take hours, on real data; and strangers
//! that come over the network.

use crate::cargo::{cargo, must, program};
use crate::{Failure, setup};
use clap::Args;
use stampcard_tests::binary::root;
use stampcard_tests::js_builder;

#[derive(Args)]
pub struct Options {
    /// How often a loaded server is killed, and how often its power goes
    #[arg(long, default_value_t = 200)]
    kills: u64,
    /// How many orders of arrival are tried, of a generated season and of a real month
    #[arg(long, default_value_t = 100)]
    shuffles: u64,
    /// How many random histories of a customer are told in random orders, against models of them
    #[arg(long, default_value_t = 5_000)]
    histories: u64,
    /// How many minutes each fuzz target is fed
    #[arg(long, default_value_t = 60)]
    fuzz_minutes: u64,
}

/// Feeds each fuzz target, beginning at another place than the gate does. What makes one panic is in
/// `target/fuzz`.
fn fuzz(minutes: u64) -> Result<(), Failure> {
    let seed = std::process::id();
    println!("fuzzing with STAMPCARD_FUZZ_SEED={seed}");
    // Every target is in a module of this name. The whole workspace, so that nothing is built anew.
    let mut command = cargo(&[
        "test",
        "--release",
        "--workspace",
        "fuzzed::",
        "--",
        "--nocapture",
    ]);
    command
        .env("STAMPCARD_FUZZ_SECONDS", (minutes * 60).to_string())
        .env("STAMPCARD_FUZZ_SEED", seed.to_string());
    must(command)
}

/// Histories against models that know nothing of folds.
fn histories(count: u64) -> Result<(), Failure> {
    let mut command = cargo(&[
        "test",
        "--release",
        "--workspace",
        "--",
        "any_order_of_arrival_ends_the_same",
        "the_ledger_is_what_a_bookkeeper_would_write",
        "a_merge_comes_to_what_one_profile_would_have_come_to",
        "a_merge_that_is_taken_back_leaves_what_there_would_be",
    ]);
    command
        .env("STAMPCARD_ORDERS", count.to_string())
        .env("STAMPCARD_LEDGERS", count.to_string());
    must(command)
}

pub fn run(options: &Options) -> Result<(), Failure> {
    setup::binary()?;
    let builder = setup::js_builder()?;
    must(setup::js_builder_cargo("test"))?;
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
    histories(options.histories)?;
    fuzz(options.fuzz_minutes)?;
    let tests = [
        "test",
        "--release",
        "--package",
        "stampcard-tests",
        "--test",
        "crash",
        "--test",
        "order",
        // It measures, and asks for more here than in the gate, where others run beside it.
        "--test",
        "swaps",
        // Clients that come from PyPI.
        "--test",
        "clients",
        // Python's builder does, too, and what it builds is large.
        "--test",
        "authoring",
        // The same with the real builder for JavaScript.
        "--test",
        "sources",
        // A real registry and the real minisign, which Debian has.
        "--test",
        "packs",
    ];
    let mut command = cargo(&[&tests[..], &["--", "--include-ignored", "--nocapture"]].concat());
    command
        .env("STAMPCARD_KILLS", options.kills.to_string())
        .env("STAMPCARD_SWAPS_STRICT", "1")
        .env(js_builder::VARIABLE, &builder)
        .env("STAMPCARD_SHUFFLES", options.shuffles.to_string())
        .env("STAMPCARD_MONTH", work.join("events.ndjson"))
        .env("STAMPCARD_LOCATIONS", work.join("locations.toml"));
    must(command)
}
