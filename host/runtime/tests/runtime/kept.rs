//! Instances that are kept between calls: an honest plugin answers as it would in fresh ones, and
//! what a dishonest or a leaky one tries comes to its end.

use crate::crimes::Crime;
use crate::given::{
    book, candidate, engine_in, hostile, input, logged_during, sale, shop, temporary,
};
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::rules::{Amount, Call, Instance, PointAnswer, Rules};
use stampcard_runtime::limits::{KEPT_CALLS_MAX, SAMPLE_ONE_IN};
use stampcard_runtime::{Candidate, Engine, KeepLimits, LoadError, Room, RuleBook};
use std::sync::Arc;

/// A process of its own, as far as kept instances are concerned.
fn process() -> Engine {
    engine_in(&temporary("compiled"), Room::default())
}

/// The same plugin, for an operator who lets its instances be kept.
fn kept(mut candidate: Candidate) -> Candidate {
    candidate.file = format!("isolation = 'verified-reuse'\n{}", candidate.file);
    candidate
}

fn load(engine: &Engine, candidates: Vec<Candidate>) -> RuleBook {
    let book = RuleBook::load(engine, &shop(), candidates, &[], None);
    assert!(book.not_loaded().is_empty(), "{:?}", book.not_loaded());
    book
}

/// Asks about the next sale of somebody.
fn ask(book: &RuleBook, number: usize) -> Call<PointAnswer> {
    let mut input = input();
    input.customer.id = format!("cus_{}", number % 3);
    book.point_formula(0, &sale(&format!("ord-{number}"), 2), &input)
}

#[test]
fn an_honest_plugin_answers_alike_and_about_one_in_sixteen_answers_is_compared() {
    let engine = process();
    let (fresh, kept) = (
        book(vec![hostile("None", "")]),
        load(&engine, vec![kept(hostile("None", ""))]),
    );
    let calls = 2 * KEPT_CALLS_MAX as usize;
    let mut seen = [0u64; 4];
    for number in 0..calls {
        let call = ask(&kept, number);
        assert_eq!(call.result, ask(&fresh, number).result, "call {number}");
        seen[call.usage.instance as usize] += 1;
    }
    let of = |instance: Instance| seen[instance as usize];
    assert_eq!(of(Instance::Fresh), 2, "each instance ends after its calls");
    assert_eq!(of(Instance::Differed), 0);
    let expected = calls as u64 / SAMPLE_ONE_IN;
    let compared = of(Instance::Compared);
    assert!(
        (expected / 2..expected * 2).contains(&compared),
        "{compared} were compared, and about {expected} should be"
    );
    let figures = engine.kept();
    assert_eq!(
        (figures.calls, figures.compared, figures.recycled),
        (calls as u64 - 2, compared, 2)
    );
    assert!(kept.found_out().is_empty());
}

/// What becomes of a crime in instances that are kept.
enum Fate {
    /// Nothing: it ends as in a fresh one.
    AsFresh,
    /// It is found out, and each call has a fresh instance from then on.
    FoundOut,
    /// Its instance is ended before it costs too much.
    Recycled,
    /// What a kept instance cannot answer a fresh one does.
    Repeated,
}

fn fate(crime: Crime) -> (Fate, &'static str) {
    let fate = match crime {
        Crime::Remember | Crime::Whisper => Fate::FoundOut,
        // They look at a good deal of memory.
        Crime::Secret => return (Fate::FoundOut, "fuel = 200000000"),
        Crime::Dawdle => return (Fate::AsFresh, "fuel = 200000000\ndeadline_ms = 20"),
        Crime::Leak => Fate::Recycled,
        Crime::Tire => Fate::Repeated,
        Crime::None
        | Crime::Loop
        | Crime::LoopInConfigure
        | Crime::Hoard
        | Crime::Grab
        | Crime::GrabInConfigure
        | Crime::Recurse
        | Crime::Trap
        | Crime::Convert
        | Crime::Stray
        | Crime::Panic
        | Crime::ManyAwards
        | Crime::LongReason
        | Crime::LongSentence
        | Crime::Amplify
        | Crime::NotText
        | Crime::RoundedNumber
        | Crime::AbsurdAward
        | Crime::NegativeAward
        | Crime::AbsurdTaking
        | Crime::LargeState
        | Crime::Reject
        | Crime::Fault
        | Crime::RejectInConfigure
        | Crime::Chatter
        | Crime::Smear
        | Crime::Shout
        | Crime::Gossip => Fate::AsFresh,
    };
    (fate, "")
}

/// Calls within which whoever remembers is found out: the chance that none of them is compared is one
/// in 10^14.
const FOUND_OUT_WITHIN: usize = 500;

#[test]
fn every_crime_has_its_fate_in_an_instance_that_is_kept() {
    for crime in Crime::ALL.iter().copied() {
        let (fate, limits) = fate(crime);
        let engine = process();
        let plugin = || hostile(&format!("{crime:?}"), limits);
        let kept = RuleBook::load(&engine, &shop(), vec![kept(plugin())], &[], None);
        if let [refused] = kept.not_loaded() {
            let in_configure = matches!(&*refused.reason, LoadError::Configure { .. });
            assert!(in_configure, "{crime:?}: {}", refused.reason);
            continue;
        }
        let right = ask(&book(vec![plugin()]), 0).result;
        let is_right = |number: usize| {
            let answer = ask(&kept, number).result;
            assert_eq!(answer, right, "{crime:?}, call {number}");
        };
        match fate {
            Fate::AsFresh => {
                (0..10).for_each(is_right);
                assert_eq!(engine.kept().repeated, 0, "{crime:?}");
            }
            Fate::Recycled => {
                (0..40).for_each(is_right);
                let figures = engine.kept();
                assert!(figures.recycled >= 10, "{crime:?}: {figures:?}");
                assert!(figures.bytes < 8 << 20, "{crime:?}: {figures:?}");
            }
            Fate::Repeated => {
                (0..40).for_each(is_right);
                let figures = engine.kept();
                assert!(figures.repeated >= 10, "{crime:?}: {figures:?}");
            }
            Fate::FoundOut => {
                let calls = || (0..FOUND_OUT_WITHIN).map(|number| ask(&kept, number));
                let found = calls().find(|call| call.usage.instance == Instance::Differed);
                let found = found.unwrap_or_else(|| panic!("{crime:?} is not found out"));
                assert_eq!(found.result, right, "{crime:?}: the fresh answer counts");
                let [(name, when)] = &kept.found_out()[..] else {
                    panic!("{crime:?} is not told");
                };
                assert_eq!(*name, "hostile");
                assert!(
                    when.contains("as point-formula about till-1/ord-"),
                    "{when}"
                );
                for number in 0..10 {
                    let call = ask(&kept, number);
                    assert_eq!(call.result, right, "{crime:?}");
                    assert_eq!(call.usage.instance, Instance::Fresh, "{crime:?}");
                }
                assert_eq!(engine.kept().instances, 0, "{crime:?}");
            }
        }
    }
}

#[test]
fn a_call_that_tires_a_kept_instance_is_paid_and_limited_as_a_fresh_one() {
    let engine = process();
    let plugin = load(&engine, vec![kept(hostile("Tire", ""))]);
    let fresh = ask(&book(vec![hostile("Tire", "")]), 0).usage;
    // The third call of an instance never ends, and begins the next one.
    let usage: Vec<_> = (0..5).map(|number| ask(&plugin, number).usage).collect();
    for number in [0, 2, 4] {
        assert_eq!(usage[number].fuel, fresh.fuel, "call {number}");
        assert_eq!(usage[number].instance, Instance::Fresh, "call {number}");
    }
    assert_eq!(engine.kept().repeated, 2);
}

#[test]
fn the_clock_and_what_looks_random_are_those_of_the_event() {
    let engine = process();
    let curious = || {
        let more = "[configuration]\ntype = 'object'\n[config]\ndoes = 'look'";
        candidate("curious", "curious", "tier-rule", more)
    };
    let (fresh, kept) = (book(vec![curious()]), load(&engine, vec![kept(curious())]));
    for number in 0..50 {
        let mut event = sale(&format!("ord-{number}"), 1);
        Arc::make_mut(&mut event).at = Instant(1_772_470_800_000 + number * 60_000);
        let ask = |book: &RuleBook| book.tier_rule(0, &event, &input()).result.unwrap();
        assert_eq!(ask(&kept), ask(&fresh), "sale {number}");
    }
    assert_eq!(engine.kept().calls, 49);
    assert!(kept.found_out().is_empty());
}

#[test]
fn the_log_of_a_call_has_nothing_of_those_before_it() {
    let engine = process();
    let kept = load(&engine, vec![kept(hostile("Gossip", ""))]);
    let written = logged_during(|| (0..100).for_each(|number| _ = ask(&kept, number)));
    let said: Vec<&str> = written
        .lines()
        .filter(|line| line.contains("cus_"))
        .collect();
    assert_eq!(
        said.len(),
        100,
        "each call is told once, also one that is compared"
    );
    for (number, line) in said.iter().enumerate() {
        let (event, customer) = (format!("ord-{number}\""), format!("cus_{}", number % 3));
        assert!(line.contains(&event) && line.contains(&customer), "{line}");
    }
}

#[test]
fn instances_go_with_the_rule_book_that_kept_them_and_stay_with_what_did_not_change() {
    let engine = process();
    let configured = |crime: &str| vec![kept(hostile(crime, ""))];
    let first = load(&engine, configured("None"));
    ask(&first, 0);
    assert_eq!(engine.kept().instances, 1);
    let same = RuleBook::load(&engine, &shop(), configured("None"), &[], Some(&first));
    drop(first);
    assert_eq!(ask(&same, 1).usage.instance, Instance::Kept);
    // Another configuration is another plugin: whoever was configured otherwise must not answer for it.
    let other = RuleBook::load(
        &engine,
        &shop(),
        configured("NegativeAward"),
        &[],
        Some(&same),
    );
    let answer = ask(&other, 2);
    assert_eq!(answer.usage.instance, Instance::Fresh);
    assert_eq!(answer.result.unwrap().awards[0].amount, Amount::Base(-5));
    assert_eq!(engine.kept().instances, 2);
    drop(same);
    assert_eq!(engine.kept().instances, 1);
    drop(other);
    assert_eq!(engine.kept().bytes, 0);
}

#[test]
fn no_more_instances_are_kept_than_there_is_room_for() {
    let keep = KeepLimits {
        instances: 2,
        ..KeepLimits::default()
    };
    let room = Room {
        keep,
        ..Room::default()
    };
    let engine = engine_in(&temporary("compiled"), room);
    let books: Vec<RuleBook> = (0..3)
        .map(|_| load(&engine, vec![kept(hostile("None", ""))]))
        .collect();
    for number in 0..30 {
        assert!(ask(&books[number % 3], number).result.is_ok());
        assert!(engine.kept().instances <= 2);
    }
    // Each in turn is the one that was asked longest ago.
    assert_eq!((engine.kept().calls, engine.kept().recycled), (0, 28));
    // Whoever is asked again soon is still there.
    ask(&books[2], 30);
    assert_eq!(engine.kept().calls, 1);
}

#[test]
fn threads_that_ask_at_once_have_an_instance_each_and_all_answers_are_right() {
    let engine = process();
    let kept = load(&engine, vec![kept(hostile("None", ""))]);
    let right = ask(&book(vec![hostile("None", "")]), 0).result;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (kept, right) = (&kept, &right);
            scope.spawn(move || {
                (0..400)
                    .for_each(|number| assert_eq!(ask(kept, thread * 400 + number).result, *right));
            });
        }
    });
    let figures = engine.kept();
    assert!((1..=4).contains(&figures.instances), "{figures:?}");
    assert!(figures.calls > 1_500, "{figures:?}");
}

#[test]
fn only_an_operator_lets_instances_be_kept_and_a_misspelt_word_names_the_nearest() {
    let refused = |candidate: Candidate| {
        let book = book(vec![candidate]);
        book.not_loaded()[0].reason.to_string()
    };
    let mut misspelt = hostile("None", "");
    misspelt.file = format!("isolation = 'verified'\n{}", misspelt.file);
    let reason = refused(misspelt);
    assert!(
        reason.contains("isolation: `verified` is none; did you mean `verified-reuse`?"),
        "{reason}"
    );
    let author = stampcard_runtime::manifest::Manifest::read(
        "name = 'a'\nversion = '1.0.0'\nroles = ['point-formula']\nevents = ['*']\nisolation = 'verified-reuse'",
    );
    assert!(
        author
            .unwrap_err()
            .to_string()
            .contains("`isolation` is not a key")
    );
}
