//! Every crime of the hostile guest has its typed end, and the calls after it are as if it had
//! not been.

use crate::crimes::Crime;
use crate::given::{
    book, component, engine, engine_in, engine_with, hostile, input, logged_during, sale, shop,
    temporary,
};
use stampcard_pipeline::rules::{Amount, Call, Failure, PointAnswer, Rules};
use stampcard_runtime::limits::PARTS_PER_COMPONENT;
use stampcard_runtime::{KeepLimits, LoadError, Room, RuleBook};

/// How a crime ends.
enum End {
    /// It is answered as if nothing were.
    Answered,
    /// The answer is well formed; the line refuses it, which tests/tests/hostile.rs shows.
    LeftToTheLine(Amount),
    /// The call fails.
    Failed(Failure),
    /// The answer is refused for a reason with these words.
    Refused(&'static str),
    /// The call ends with a trap that says these words.
    Trapped(&'static str),
    /// It is not loaded.
    NotLoaded(Failure),
}

/// How it must end, and the limits that the manifest asks for.
fn expected(crime: Crime) -> (End, &'static str) {
    const MIB: u64 = 1 << 20;
    let end = match crime {
        Crime::None | Crime::Chatter | Crime::Smear | Crime::Whisper => End::Answered,
        // A fresh instance has nobody to remember; kept.rs has what becomes of them in one that is kept.
        Crime::Remember | Crime::Leak | Crime::Tire | Crime::Gossip => End::Answered,
        // It looks at a good deal of memory, three times.
        Crime::Secret => return (End::Answered, "fuel = 200000000"),
        Crime::NegativeAward => End::LeftToTheLine(Amount::Base(-5)),
        Crime::AbsurdAward => End::Refused("9223372036854775807, beyond"),
        Crime::AbsurdTaking => End::Refused("-9223372036854775808, beyond"),
        Crime::Loop => End::Failed(Failure::Fuel {
            limit: 20_000_000 + 3 * 50_000,
        }),
        Crime::LoopInConfigure => End::NotLoaded(Failure::Fuel { limit: 20_000_000 }),
        Crime::Dawdle => {
            return (
                End::Failed(Failure::Deadline { limit_ms: 20 }),
                "fuel = 200000000\ndeadline_ms = 20",
            );
        }
        Crime::Hoard | Crime::Grab => End::Failed(Failure::Memory {
            limit_bytes: 64 * MIB,
        }),
        Crime::GrabInConfigure => End::NotLoaded(Failure::Memory {
            limit_bytes: 64 * MIB,
        }),
        Crime::Recurse => End::Failed(Failure::Stack),
        Crime::Trap => End::Trapped("unreachable"),
        Crime::Convert => End::Trapped("invalid conversion to integer"),
        Crime::Stray => End::Trapped("out of bounds memory access"),
        Crime::Panic => End::Trapped("the till is on fire"),
        Crime::ManyAwards | Crime::LongReason | Crime::Amplify | Crime::Shout => {
            End::Refused("too much data")
        }
        Crime::LongSentence => End::Refused("the reason of an award has 513 bytes"),
        Crime::NotText => End::Refused("utf-8"),
        Crime::RoundedNumber => End::Refused("9007199254740992, beyond"),
        Crime::LargeState => End::Refused("the state has 4097 bytes"),
        Crime::Reject => End::Failed(Failure::Rejected {
            reason: "wholesale customers earn nothing".into(),
        }),
        Crime::Fault => End::Failed(Failure::Fault {
            message: "no line 9".into(),
            trace: "rule.rs:7".into(),
        }),
        Crime::RejectInConfigure => End::NotLoaded(Failure::Rejected {
            reason: "not like this".into(),
        }),
    };
    (end, "")
}

#[test]
fn every_crime_has_its_end() {
    for crime in Crime::ALL.iter().copied() {
        let (end, limits) = expected(crime);
        let book = book(vec![hostile(&format!("{crime:?}"), limits)]);
        if let End::NotLoaded(expected) = &end {
            match &*book.not_loaded()[0].reason {
                LoadError::Configure { failure, .. } => assert_eq!(failure, expected, "{crime:?}"),
                other => panic!("{crime:?}: {other}"),
            }
            continue;
        }
        assert!(
            book.not_loaded().is_empty(),
            "{crime:?}: {:?}",
            book.not_loaded()
        );
        let call = ask(&book);
        match (&end, &call.result) {
            (End::Answered, Ok(answer)) => {
                assert_eq!(answer.awards[0].amount, Amount::Base(1), "{crime:?}")
            }
            (End::LeftToTheLine(amount), Ok(answer)) => {
                assert_eq!(answer.awards[0].amount, *amount, "{crime:?}")
            }
            (End::Failed(expected), Err(failure)) => assert_eq!(failure, expected, "{crime:?}"),
            (End::Refused(words), Err(Failure::Answer { problem })) => {
                assert!(problem.contains(words), "{crime:?}: {problem}")
            }
            (End::Trapped(words), Err(Failure::Trap { message })) => {
                assert!(message.contains(words), "{crime:?}: {message}")
            }
            (_, result) => panic!("{crime:?}: {result:?}"),
        }
        assert_eq!(
            ask(&honest()).result,
            ask(&honest()).result,
            "after {crime:?}"
        );
        assert!(ask(&honest()).result.is_ok(), "after {crime:?}");
    }
}

fn honest() -> RuleBook {
    book(vec![hostile("None", "")])
}

fn ask(book: &RuleBook) -> Call<PointAnswer> {
    book.point_formula(0, &sale("a", 3), &input())
}

#[test]
fn what_one_call_leaves_in_memory_no_other_call_can_read() {
    let book = book(vec![hostile("Secret", "fuel = 200000000")]);
    for round in 0..50 {
        let call = ask(&book);
        assert!(call.result.is_ok(), "round {round}: {:?}", call.result);
    }
    // Several threads use several slots, and give them to each other.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..25).for_each(|_| assert!(ask(&book).result.is_ok())));
        }
    });
}

/// One call at a time has room for this many memories; more plugins than that must share.
const MEMORIES: usize = PARTS_PER_COMPONENT.memories as usize;

#[test]
fn what_one_plugin_leaves_in_memory_no_other_plugin_can_read_that_gets_its_place() {
    let room = Room {
        calls_at_once: 1,
        keep: KeepLimits {
            instances: 0,
            ..KeepLimits::default()
        },
        ..Room::default()
    };
    let engine = engine_in(&temporary("compiled"), room);
    // Each is another program, whose memory begins otherwise: some grow, some do not.
    let different = |number: usize| {
        let crime = ["Secret", "Whisper"][number % 2];
        let mut candidate = hostile(crime, "fuel = 200000000");
        candidate.component = Some(with_custom_section(component("hostile"), number as u8));
        let book = RuleBook::load(&engine, &shop(), vec![candidate], &[], None);
        assert!(book.not_loaded().is_empty(), "{:?}", book.not_loaded());
        book
    };
    let books: Vec<RuleBook> = (0..MEMORIES + 2).map(different).collect();
    for round in 0..10 {
        for (number, book) in books.iter().enumerate() {
            let call = ask(book);
            assert!(
                call.result.is_ok(),
                "round {round}, plugin {number}: {:?}",
                call.result
            );
        }
        // Backwards, so that the one that grew follows the one that did not, and the other way.
        for (number, book) in books.iter().enumerate().rev() {
            let call = ask(book);
            assert!(
                call.result.is_ok(),
                "round {round}, plugin {number} again: {:?}",
                call.result
            );
        }
    }
}

/// The same program under another digest.
fn with_custom_section(mut component: Vec<u8>, number: u8) -> Vec<u8> {
    // A section of id 0 and four bytes: a name of two bytes, and what it holds.
    component.extend([0, 4, 2, b'n', b'o', number]);
    component
}

#[test]
fn the_same_call_uses_the_same_fuel_in_any_thread() {
    let book = honest();
    let fuel = ask(&book).usage.fuel;
    assert!(fuel > 0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..50).for_each(|_| assert_eq!(ask(&book).usage.fuel, fuel)));
        }
    });
}

#[test]
fn fuel_grows_with_the_lines_of_a_sale() {
    let book = book(vec![hostile("Loop", "fuel = 1000000\nfuel_per_line = 10")]);
    for (lines, limit) in [(0, 1_000_000), (1, 1_000_010), (200, 1_002_000)] {
        let call = book.point_formula(0, &sale("a", lines), &input());
        assert_eq!(call.usage.fuel_limit, limit, "{lines} lines");
        assert_eq!(call.result, Err(Failure::Fuel { limit }), "{lines} lines");
    }
}

#[test]
fn all_plugins_of_an_event_share_its_fuel_and_a_second_pass_has_it_again() {
    let looping: Vec<_> = (0..12)
        .map(|n| {
            let mut candidate = hostile("Loop", "fuel_per_line = 1");
            candidate.name = format!("loop-{n:02}");
            candidate.file = candidate
                .file
                .replace("\"hostile\"", &format!("{:?}", candidate.name));
            candidate
        })
        .collect();
    let book = book(looping);
    let event = sale("a", 0);
    let pass = || -> Vec<u64> {
        (0..12)
            .map(|plugin| {
                book.point_formula(plugin, &event, &input())
                    .usage
                    .fuel_limit
            })
            .collect()
    };
    let first = pass();
    assert_eq!(first[..10], [20_000_000; 10]);
    assert_eq!(first[10..], [0, 0], "two hundred millions for all of them");
    assert_eq!(pass(), first);
}

#[test]
fn a_number_that_some_languages_round_reaches_no_plugin() {
    let book = honest();
    for (balance, is_given) in [
        ((1 << 53) - 1, true),
        (1 << 53, false),
        (-(1 << 53), false),
        (i64::MIN, false),
    ] {
        let mut input = input();
        input.customer.balance = balance;
        let result = book.point_formula(0, &sale("a", 1), &input).result;
        assert_eq!(result.is_ok(), is_given, "{balance}: {result:?}");
    }
}

#[test]
fn bytes_of_any_kind_are_refused_and_never_run_away() {
    let whole = component("hostile");
    let refused = |bytes: Vec<u8>, what: String| {
        let mut candidate = hostile("None", "");
        candidate.component = Some(bytes);
        let book = book(vec![candidate]);
        let reason = book
            .not_loaded()
            .first()
            .unwrap_or_else(|| panic!("{what} was loaded"))
            .reason
            .to_string();
        assert!(reason.starts_with("hostile.wasm: "), "{what}: {reason}");
    };
    for cut in [0, 1, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        refused(whole[..cut].to_vec(), format!("{cut} bytes"));
    }
    refused(b"name = 'hostile'".to_vec(), "text".into());
    refused(vec![0; 4_096], "zeros".into());
    // As deep as bytes go: components within components.
    refused(
        b"\0asm\x0d\0\x01\0\x04\xff\xff\xff\xff\x0f".repeat(4_000),
        "a deep nest".into(),
    );
    let mut large = whole.clone();
    large.resize(33 << 20, 0);
    refused(large, "33 MiB".into());
}

#[test]
fn a_damaged_component_is_refused_or_fails_but_harms_nobody() {
    let whole = component("hostile");
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_with(dir.path());
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..40 {
        let mut damaged = whole.clone();
        for _ in 0..3 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = (random % damaged.len() as u64) as usize;
            damaged[at] ^= 1 << (random >> 61);
        }
        let mut candidate = hostile("None", "");
        candidate.component = Some(damaged);
        let book = RuleBook::load(&engine, &shop(), vec![candidate], &[], None);
        if !book.plugins().is_empty() {
            // Whatever it answers now, it answers.
            let _ = ask(&book);
        }
    }
    assert!(ask(&honest()).result.is_ok());
}

#[test]
fn what_a_plugin_logs_has_its_name_and_the_events_is_bounded_and_moves_no_terminal() {
    let smeared = logged("Smear");
    let line = r#" WARN plugin: \u{1b}[2J\u{202e}all is well plugin="hostile" event="a""#;
    assert!(smeared.contains(line), "{smeared}");
    let chatter = logged("Chatter");
    assert!(chatter.contains("line 0 "), "{chatter}");
    assert!(chatter.contains("the log of this call was cut"));
    let said: usize = chatter
        .lines()
        .filter_map(|line| line.split("plugin: ").nth(1))
        .filter_map(|line| line.find(" plugin="))
        .sum();
    assert!(said <= (16 << 10) + 100, "{said} bytes");
}

/// What reaches the operator's log in one call.
fn logged(crime: &str) -> String {
    let book = book(vec![hostile(crime, "")]);
    logged_during(|| assert!(ask(&book).result.is_ok()))
}

#[test]
fn the_fingerprint_of_the_engine_says_whose_fuel_it_is() {
    let fingerprint = engine().fingerprint();
    assert!(fingerprint.starts_with("wasmtime-48-"), "{fingerprint}");
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(engine_with(dir.path()).fingerprint(), fingerprint);
}
