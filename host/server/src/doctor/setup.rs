//! The seven steps of setting a shop up, in the order in which each builds on those before it:
//! identity, consent, events, sync, segments, actions, reporting. Follow-ups before identities
//! write to the wrong people, or to nobody.

use super::{Finding, State, bad, count, ok};
use crate::config::Folder;
use crate::http::auth::Role;
use stampcard_pipeline::rules::Rules;
use stampcard_runtime::RuleBook;
use stampcard_store::reads::{Condition, Counters};

/// Sales before a share of them says anything.
const SALES_MIN: u64 = 20;
/// Of a hundred sales, those that must have a customer before it makes sense to write to customers:
/// below it, what is known of people is less than half of what they do.
const IDENTITY_PERCENT_MIN: u64 = 50;
/// Of a hundred sales, those that must arrive within a minute: a till that is offline now and then
/// is allowed for.
const SYNC_PERCENT_MIN: u64 = 95;

pub(super) fn steps(
    folder: &Folder,
    counters: &Counters,
    condition: &Condition,
    working: &[Role],
    book: Option<&RuleBook>,
) -> Vec<Finding> {
    let role = |role: &str| {
        book.is_some_and(|book| {
            book.plugins()
                .iter()
                .any(|plugin| plugin.roles.iter().any(|has| has.name() == role))
        })
    };
    let identity = identity(condition);
    let actions = actions(condition, identity.state, role("follow-up-trigger"));
    vec![
        identity,
        consent(condition),
        events(counters, condition),
        sync(condition),
        segments(condition, role("segment-rule")),
        actions,
        reporting(folder, working),
    ]
}

fn open(name: &'static str, says: &str) -> Finding {
    Finding {
        name,
        state: State::Open,
        says: says.into(),
        remedy: None,
    }
}

fn percent(part: u64, of: u64) -> u64 {
    (part * 100).checked_div(of).unwrap_or(0)
}

fn identity(condition: &Condition) -> Finding {
    const NAME: &str = "identity";
    let arrivals = &condition.arrivals;
    if arrivals.sales < SALES_MIN {
        return open(NAME, "too few sales to say");
    }
    let known = percent(arrivals.with_customer, arrivals.sales);
    let says = format!(
        "{known} % of the last {} sales have a customer",
        count(arrivals.sales)
    );
    if known < IDENTITY_PERCENT_MIN {
        return bad(
            NAME,
            State::Warn,
            says,
            "let tills ask for a phone or an e-mail before they take the money",
        );
    }
    ok(NAME, says)
}

fn consent(condition: &Condition) -> Finding {
    const NAME: &str = "consent";
    let says = format!(
        "{} consents among the newest events; {} of {} follow-ups were suppressed for want of one",
        count(condition.arrivals.consents),
        count(condition.suppressed),
        count(condition.follow_ups)
    );
    match (condition.arrivals.consents, condition.follow_ups) {
        (0, 0) => open(NAME, "nobody was asked yet, and nothing was planned"),
        _ if condition.suppressed * 2 > condition.follow_ups => bad(
            NAME,
            State::Warn,
            says,
            "send consent.changed when people agree at the till or online; see GET /v1/catalogue",
        ),
        _ => ok(NAME, says),
    }
}

fn events(counters: &Counters, condition: &Condition) -> Finding {
    const NAME: &str = "events";
    match condition.arrivals.sales {
        0 => open(NAME, "no sale came yet"),
        _ => ok(
            NAME,
            format!(
                "{} events, {} of them in the last seven days",
                count(counters.journal_rows),
                count(condition.rows_in_week)
            ),
        ),
    }
}

fn sync(condition: &Condition) -> Finding {
    const NAME: &str = "sync";
    let arrivals = &condition.arrivals;
    if arrivals.live < SALES_MIN {
        return open(NAME, "too few sales of the last seven days to say");
    }
    let soon = percent(arrivals.within_a_minute, arrivals.live);
    let says = format!(
        "{soon} % of the last {} sales came within a minute",
        count(arrivals.live)
    );
    if soon < SYNC_PERCENT_MIN {
        return bad(
            NAME,
            State::Warn,
            says,
            "let tills send each sale when it is closed, and look at their clocks",
        );
    }
    ok(NAME, says)
}

fn segments(condition: &Condition, is_on: bool) -> Finding {
    const NAME: &str = "segments";
    match (is_on, condition.members) {
        (false, _) => bad(
            NAME,
            State::Warn,
            "no plugin decides segments",
            "write plugins/starter-segments.toml; `stampcard init` shows one",
        ),
        (true, 0) => open(NAME, "nobody is in a segment yet"),
        (true, members) => ok(NAME, format!("{} memberships", count(members))),
    }
}

/// Rules that write to people before it is known who they are inherit bad data.
fn actions(condition: &Condition, identity: State, is_on: bool) -> Finding {
    const NAME: &str = "actions";
    match (is_on, identity) {
        (false, _) => open(NAME, "no plugin plans follow-ups"),
        (true, State::Warn | State::Fail) => bad(
            NAME,
            State::Warn,
            "follow-ups are on, and too few sales have a customer",
            "take plugins/starter-follow-ups.toml away until step 1 is ok",
        ),
        (true, _) => match condition.follow_ups {
            0 => open(NAME, "nothing was planned yet"),
            planned => ok(NAME, format!("{} follow-ups were planned", count(planned))),
        },
    }
}

fn reporting(folder: &Folder, working: &[Role]) -> Finding {
    const NAME: &str = "reporting";
    if working.contains(&Role::Read) {
        return ok(NAME, "a key with the role read works");
    }
    bad(
        NAME,
        State::Warn,
        "no key with the role read works: reports would need one that may write",
        format!("stampcard key add {} --role read", folder.dir().display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sales(with_customer: u64, of: u64) -> Condition {
        let mut condition = Condition {
            follow_ups: 3,
            ..Condition::default()
        };
        condition.arrivals.sales = of;
        condition.arrivals.with_customer = with_customer;
        condition
    }

    #[test]
    fn follow_ups_before_identities_are_warned_of() {
        for (with_customer, of, step, on) in [
            (0, SALES_MIN - 1, State::Open, State::Ok),
            (49, 100, State::Warn, State::Warn),
            (50, 100, State::Ok, State::Ok),
        ] {
            let condition = sales(with_customer, of);
            let found = identity(&condition).state;
            assert_eq!(found, step, "{with_customer} of {of}");
            assert_eq!(actions(&condition, found, true).state, on);
            assert_eq!(actions(&condition, found, false).state, State::Open);
        }
    }
}
