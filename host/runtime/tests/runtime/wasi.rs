//! Guests that bring WASI find nothing in it that the event did not say.

use crate::given::{book, candidate, input, sale};
use stampcard_pipeline::rules::{Failure, Rules, TierAnswer};
use stampcard_runtime::RuleBook;

fn curious(does: &str) -> RuleBook {
    let more = format!("[configuration]\ntype = 'object'\n[config]\ndoes = {does:?}");
    let book = book(vec![candidate("curious", "curious", "tier-rule", &more)]);
    assert!(book.not_loaded().is_empty(), "{:?}", book.not_loaded());
    book
}

fn ask(book: &RuleBook, event: &str) -> Result<TierAnswer, Failure> {
    book.tier_rule(0, &sale(event, 1), &input()).result
}

fn found(event: &str) -> String {
    ask(&curious("look"), event)
        .unwrap()
        .placement
        .unwrap()
        .reason
}

#[test]
fn there_is_nothing_to_find_but_the_time_of_the_event() {
    let found = found("a");
    let expected = "0 files, 0 variables, 0 arguments, cwd None, 0 read, \
                    1772470800.000000000 and 1772470800000000000 on the clocks, ";
    assert!(found.starts_with(expected), "{found}");
}

#[test]
fn what_looks_random_is_the_same_for_the_same_event_and_another_for_another() {
    assert_eq!(found("a"), found("a"));
    assert_ne!(found("a"), found("b"));
}

#[test]
fn what_has_no_meaning_ends_the_call_by_name() {
    for (does, words) in [
        ("exit", "a plugin has no wasi:cli/exit exit"),
        (
            "splice",
            "a plugin has no wasi:io/streams [method]output-stream.splice",
        ),
        (
            "random",
            "a plugin has no 1099511627776 random bytes at once",
        ),
    ] {
        match ask(&curious(does), "a") {
            Err(Failure::Trap { message }) => assert_eq!(message, words),
            other => panic!("{does}: {other:?}"),
        }
    }
}

#[test]
fn the_last_line_of_a_traceback_is_the_message_of_the_trap() {
    let trap = ask(&curious("traceback"), "a");
    assert_eq!(
        trap,
        Err(Failure::Trap {
            message: "ValueError: no tier 9".into()
        })
    );
}
