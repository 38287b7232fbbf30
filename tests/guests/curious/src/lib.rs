//! A plugin that looks for what WASI could give away, and tells what it found as its reason.

use std::cell::Cell;

wit_bindgen::generate!({
    path: ["../../../wit/v0.1", "wit"],
    world: "stampcard:guest/curious",
    generate_all,
});

use exports::stampcard::plugin::{lifecycle, tier_rule};
use stampcard::plugin::types::*;
use wasi::cli::{environment, exit, stderr, stdin};
use wasi::clocks::{monotonic_clock, wall_clock};
use wasi::filesystem::preopens;
use wasi::random::{insecure_seed, random};

struct Curious;

thread_local! {
    /// What it does: look, or one of the things that end a call.
    static DOES: Cell<char> = const { Cell::new('l') };
}

impl lifecycle::Guest for Curious {
    fn configure(configuration: String, _: Shop) -> Result<(), Refusal> {
        let does = configuration
            .split('"')
            .nth(3)
            .and_then(|word| word.chars().next());
        DOES.set(does.unwrap_or('l'));
        Ok(())
    }
}

impl tier_rule::Guest for Curious {
    fn decide(_: Input) -> Result<TierAnswer, Refusal> {
        match DOES.get() {
            'e' => exit::exit(Ok(())),
            's' => _ = stderr::get_stderr().splice(&stdin::get_stdin(), 1),
            't' => {
                let lines =
                    "Traceback (most recent call last):\n  rule.py:7\nValueError: no tier 9\n";
                stderr::get_stderr()
                    .blocking_write_and_flush(lines.as_bytes())
                    .unwrap();
                core::arch::wasm32::unreachable()
            }
            'r' => _ = random::get_random_bytes(1 << 40),
            _ => {}
        }
        // Time stands still, so a sleep ends at once.
        monotonic_clock::subscribe_duration(3_600_000_000_000).block();
        let now = wall_clock::now();
        let found = format!(
            "{} files, {} variables, {} arguments, cwd {:?}, {} read, {}.{:09} and {} on the clocks, {:x} {:x?} {:?} drawn",
            preopens::get_directories().len(),
            environment::get_environment().len(),
            environment::get_arguments().len(),
            environment::initial_cwd(),
            stdin::get_stdin().read(1).map_or(0, |bytes| bytes.len()),
            now.seconds,
            now.nanoseconds,
            monotonic_clock::now(),
            random::get_random_u64(),
            random::get_random_bytes(5),
            insecure_seed::insecure_seed(),
        );
        Ok(TierAnswer {
            placement: Some(Placement {
                tier: None,
                reason: found,
                keep_until: None,
            }),
            next: None,
            after: After {
                memory: Memory::Keep,
                next_review: NextReview::Keep,
                keep_with_event: None,
                note: None,
                attributes: Vec::new(),
            },
        })
    }
}

export!(Curious);
