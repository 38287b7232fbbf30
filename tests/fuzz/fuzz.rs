//! A fuzzer as small as one can be: inputs that did something new are kept and changed again.
//!
//! It needs no instrumented compiler: a target says itself what an input came to, such as the code
//! and the place of a refusal, and what no input came to before is something new. The tests of the
//! gate run it for a moment, `cargo xtask soak` for as long as it is told to. Included by path where
//! it is used, because a target knows the inside of its room.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// Seconds for each target, in the gate.
const SECONDS: u64 = 2;
/// The longest input, in bytes: longer ones are refused before anybody looks at them.
const INPUT_BYTES_MAX: usize = 64 << 10;
/// Inputs that are kept.
const KEPT_MAX: usize = 4_096;

/// Feeds a target with changed inputs until its time is over. `words` are pieces that the inputs
/// are made of; what the target returns says what came of an input.
///
/// # Panics
/// If the target panics; the input is in `target/fuzz` then, under the name of the target.
pub fn fuzz(name: &str, inputs: Vec<Vec<u8>>, words: &[&str], target: impl Fn(&[u8]) -> String) {
    let variable = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let time = Duration::from_secs(variable("STAMPCARD_FUZZ_SECONDS").unwrap_or(SECONDS));
    let mut dice = Dice(variable("STAMPCARD_FUZZ_SEED").unwrap_or(1) | 1);
    let mut kept = inputs;
    // By their hashes: refusals quote what they refuse, and there is no end of that.
    let mut seen: HashSet<u64> = HashSet::new();
    for input in &kept {
        seen.insert(hashed(&run(name, input, &target)));
    }
    let (begun, mut tried) = (Instant::now(), 0_u64);
    while begun.elapsed() < time {
        let mut input = kept[dice.below(kept.len())].clone();
        for _ in 0..=dice.below(4) {
            change(&mut input, &kept, words, &mut dice);
        }
        input.truncate(INPUT_BYTES_MAX);
        tried += 1;
        if seen.insert(hashed(&run(name, &input, &target))) && kept.len() < KEPT_MAX {
            kept.push(input);
        }
    }
    println!(
        "{name}: {tried} inputs, {} outcomes, none a panic",
        seen.len()
    );
    assert!(tried > 0 && seen.len() > 1, "{name} tells nothing apart");
}

fn hashed(outcome: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    outcome.hash(&mut hasher);
    hasher.finish()
}

fn run(name: &str, input: &[u8], target: &impl Fn(&[u8]) -> String) -> String {
    catch_unwind(AssertUnwindSafe(|| target(input))).unwrap_or_else(|_| {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fuzz");
        std::fs::create_dir_all(&kept).expect("a folder for the input");
        let file = kept.join(name);
        std::fs::write(&file, input).expect("the input can be kept");
        panic!("{name} panicked over {}", file.display());
    })
}

fn change(input: &mut Vec<u8>, kept: &[Vec<u8>], words: &[&str], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    let some = dice.below(24).min(input.len() - at);
    match dice.below(8) {
        0 if at < input.len() => input[at] ^= 1 << dice.below(8),
        1 if at < input.len() => input[at] = dice.below(256) as u8,
        2 => drop(input.drain(at..at + some)),
        3 => {
            let copy = input[at..at + some].to_vec();
            let times = 1 + dice.below(64);
            let to = dice.below(input.len() + 1);
            drop(input.splice(to..to, copy.repeat(times)));
        }
        4 => {
            let other = &kept[dice.below(kept.len())];
            let from = dice.below(other.len() + 1);
            let part = from..(from + dice.below(200)).min(other.len());
            drop(input.splice(at..at + some, other[part].iter().copied()));
        }
        5 => number(input, at, dice),
        _ if !words.is_empty() => {
            let word = words[dice.below(words.len())];
            drop(input.splice(at..at + some, word.bytes()));
        }
        _ => input.push(dice.below(256) as u8),
    }
}

/// Puts another number in the place of the next one.
fn number(input: &mut Vec<u8>, at: usize, dice: &mut Dice) {
    const NUMBERS: [&str; 12] = [
        "0",
        "-1",
        "1",
        "255",
        "4294967296",
        "9007199254740991",
        "9007199254740992",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551616",
        "1e400",
        "0.1",
    ];
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let Some(begins) = input[at..]
        .iter()
        .position(is_digit)
        .map(|found| at + found)
    else {
        return;
    };
    let length = input[begins..]
        .iter()
        .take_while(|byte| is_digit(byte))
        .count();
    let other = NUMBERS[dice.below(NUMBERS.len())];
    drop(input.splice(begins..begins + length, other.bytes()));
}

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }
}
