//! A plugin that does what no plugin may do, as its configuration tells it: `{"crime":"Loop"}`.

mod crimes;

use crimes::Crime;
use std::cell::{Cell, RefCell};
use std::hint::black_box;

wit_bindgen::generate!({
    path: "../../../wit/v0.1",
    inline: "package stampcard:guest; world hostile {
        import stampcard:plugin/log@0.1.0;
        export stampcard:plugin/lifecycle@0.1.0;
        export stampcard:plugin/point-formula@0.1.0;
    }",
    world: "stampcard:guest/hostile",
    generate_all,
});

use exports::stampcard::plugin::{lifecycle, point_formula};
use stampcard::plugin::log::{Level, log};
use stampcard::plugin::types::*;

struct Hostile;

thread_local! {
    static CRIME: Cell<Crime> = const { Cell::new(Crime::None) };
    /// Whom it was asked about, for crimes of instances that are kept.
    static ASKED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

impl lifecycle::Guest for Hostile {
    fn configure(configuration: String, _: Shop) -> Result<(), Refusal> {
        std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())));
        let named = configuration
            .split("\"crime\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let named = named.unwrap_or("None");
        let crime = Crime::ALL
            .iter()
            .copied()
            .find(|crime| format!("{crime:?}") == named);
        let crime = crime.ok_or_else(|| Refusal::Rejected(format!("{named} is no crime")))?;
        CRIME.set(crime);
        match crime {
            Crime::LoopInConfigure => turn_for_ever(),
            Crime::GrabInConfigure => drop(black_box(vec![1u8; 600 << 20])),
            Crime::RejectInConfigure => return Err(Refusal::Rejected("not like this".into())),
            _ => {}
        }
        Ok(())
    }
}

impl point_formula::Guest for Hostile {
    fn decide(input: Input) -> Result<PointAnswer, Refusal> {
        let mut answer = PointAnswer {
            awards: vec![award(1)],
            after: after(),
        };
        match CRIME.get() {
            Crime::None
            | Crime::LoopInConfigure
            | Crime::GrabInConfigure
            | Crime::RejectInConfigure => {}
            Crime::Loop => turn_for_ever(),
            Crime::Dawdle => dawdle(),
            Crime::Hoard => hoard(),
            Crime::Grab => drop(black_box(vec![1u8; 600 << 20])),
            Crime::Recurse => _ = black_box(recurse(black_box(1))),
            Crime::Trap => core::arch::wasm32::unreachable(),
            Crime::Convert => _ = black_box(convert(black_box(f64::NAN))),
            // SAFETY: none; that is the point.
            Crime::Stray => _ = black_box(unsafe { (0xffff_0000 as *const u8).read_volatile() }),
            Crime::Panic => panic!("the till is on fire"),
            Crime::ManyAwards => answer.awards = (0..10_000).map(award).collect(),
            Crime::LongReason => answer.awards[0].reason = "x".repeat(1 << 20),
            Crime::LongSentence => answer.awards[0].reason = "x".repeat(513),
            Crime::Amplify => answer.awards[0].attributes = amplified(),
            // SAFETY: none; that is the point.
            Crime::NotText => {
                answer.awards[0].reason = unsafe { String::from_utf8_unchecked(vec![0xff, 0xfe]) }
            }
            Crime::RoundedNumber => answer.awards = vec![award(1 << 53)],
            Crime::AbsurdAward => answer.awards = vec![award(i64::MAX)],
            Crime::NegativeAward => answer.awards = vec![award(-5)],
            Crime::AbsurdTaking => answer.awards = vec![award(i64::MIN)],
            Crime::LargeState => answer.after.memory = Memory::Replace(vec![7; 4_097]),
            Crime::Reject => {
                return Err(Refusal::Rejected("wholesale customers earn nothing".into()));
            }
            Crime::Fault => {
                let trace = "rule.rs:7".into();
                return Err(Refusal::Fault(Fault {
                    message: "no line 9".into(),
                    trace,
                }));
            }
            Crime::Secret => {
                // Before and after it grows: what is new must be as empty as what was there.
                nothing_is_told()?;
                let grown = grow();
                nothing_is_told()?;
                leave_secret(grown);
                sees_its_own()?;
            }
            Crime::Whisper => {
                nothing_is_told()?;
                whisper();
                sees_its_own()?;
            }
            Crime::Chatter => {
                (0..20_000).for_each(|line| log(Level::Info, &format!("line {line}")))
            }
            Crime::Smear => log(Level::Warn, "\u{1b}[2J\u{202e}all is well"),
            Crime::Shout => log(Level::Info, &"x".repeat(1 << 20)),
            Crime::Remember => {
                let asked = asked(input.customer.id);
                if asked.len() > 1 && asked[asked.len() - 1] != asked[asked.len() - 2] {
                    answer.awards[0].amount = Amount::Base(101);
                }
            }
            Crime::Leak => std::mem::forget(black_box(vec![1u8; 1 << 20])),
            Crime::Tire => {
                if asked(input.customer.id).len() > 2 {
                    turn_for_ever();
                }
            }
            Crime::Gossip => log(Level::Info, &input.customer.id),
        }
        Ok(answer)
    }
}

/// Everybody whom this instance was asked about, with one more.
fn asked(customer: String) -> Vec<String> {
    ASKED.with_borrow_mut(|asked| {
        asked.push(customer);
        asked.clone()
    })
}

fn award(points: i64) -> Award {
    Award {
        amount: Amount::Base(points),
        to: Recipient::Customer,
        covers: Coverage::Whole,
        reason: "one point".into(),
        available_from: None,
        expires_at: None,
        on_return: OnReturn::Proportional,
        attributes: Vec::new(),
    }
}

fn after() -> After {
    After {
        memory: Memory::Keep,
        next_review: NextReview::Keep,
        keep_with_event: None,
        note: None,
        attributes: Vec::new(),
    }
}

fn turn_for_ever() {
    let mut turns = 0u64;
    while turns < u64::MAX {
        turns = black_box(turns) | 1;
    }
}

/// Each step waits for a far place in memory that the last one named: much time for little fuel.
fn dawdle() {
    let hall = black_box(vec![0u32; 8 << 20]);
    let mut place = black_box(1u32);
    loop {
        let next = place.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        place = black_box(next ^ hall[(next >> 9) as usize]);
    }
}

fn hoard() {
    let mut hoarded = Vec::new();
    while hoarded.len() < 1_000_000 {
        hoarded.push(black_box(Vec::<u8>::with_capacity(64 << 10)));
    }
}

fn convert(number: f64) -> i32 {
    // SAFETY: none; that is the point. `as` would give zero, the instruction itself traps.
    unsafe { number.to_int_unchecked() }
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == u64::MAX {
        0
    } else {
        recurse(depth + 1).wrapping_mul(3) ^ depth
    }
}

/// A thousand pairs whose texts are one and the same megabyte.
fn amplified() -> Vec<(String, String)> {
    let text = "x".repeat(1 << 20).leak();
    // SAFETY: the texts are never freed: the host refuses the answer before it hands them back.
    let again =
        || unsafe { String::from_raw_parts(text.as_ptr().cast_mut(), text.len(), text.len()) };
    (0..1_000).map(|_| (again(), again())).collect()
}

/// Bytes that stand nowhere in the plugin's own data.
fn secret() -> u64 {
    black_box(0x5afe_0000_dead_beef_u64).wrapping_mul(black_box(0x9e37_79b9_7f4a_7c15))
}

/// Pages of 64 KiB that a secret keeper adds: more than a slot keeps in memory between calls.
const GROWTH: usize = 24;

/// Where the static data of the program begin; below it is the stack.
const LOW: usize = 1_024;

#[inline(never)]
fn nothing_is_told() -> Result<(), Refusal> {
    let secret = secret();
    let end = core::arch::wasm32::memory_size(0) << 16;
    for address in (LOW..end).step_by(8) {
        // SAFETY: within the memory.
        if unsafe { (address as *const u64).read_volatile() } == secret
            && address.abs_diff(&raw const secret as usize) > 256
        {
            return Err(Refusal::Rejected(format!("found at {address:#x}")));
        }
    }
    Ok(())
}

/// Whoever is blind to what it left itself would find nothing of others either.
fn sees_its_own() -> Result<(), Refusal> {
    match nothing_is_told() {
        Ok(()) => Err(Refusal::Rejected("blind to its own secret".into())),
        Err(_) => Ok(()),
    }
}

/// Where what was grown begins.
fn grow() -> usize {
    let pages = core::arch::wasm32::memory_grow(0, GROWTH);
    assert_ne!(pages, usize::MAX, "there is room for that");
    pages << 16
}

/// On the heap, and in every page that was grown.
fn leave_secret(grown: usize) {
    let secret = secret();
    std::mem::forget(black_box(vec![secret; 16 << 10]));
    for address in (grown..grown + (GROWTH << 16)).step_by(8) {
        // SAFETY: pages that were just grown, of which nobody else knows.
        unsafe { (address as *mut u64).write_volatile(secret) };
    }
}

/// Where the memory was from the beginning.
fn whisper() {
    static mut OWN: [u64; 4_096] = [0; 4_096];
    let own = &raw mut OWN;
    for place in 0..4_096 {
        // SAFETY: within the array, and there is one thread.
        unsafe { (&raw mut (*own)[place]).write_volatile(secret()) };
    }
}

export!(Hostile);
