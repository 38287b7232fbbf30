//! What the database tells: whether it is sound and its ledger right, how long its disk lasts, what is
//! late, and who holds a key.

use super::{Finding, State, bad, count, ok, remedy_of, setup, span};
use crate::config::Folder;
use crate::disk;
use crate::http::auth::Role;
use stampcard_pipeline::calendar;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::rules::Isolation;
use stampcard_pipeline::store::StoreError;
use stampcard_runtime::RuleBook;
use stampcard_store::reads::{Condition, Counters};
use stampcard_store::{ApiKey, FORMAT, OpenError, Reads};

/// Customers that are computed again: enough to see a ledger that is wrong as a whole, few enough
/// for every morning. `stampcard check` does all of them.
const SAMPLE: i64 = 200;
/// Below this many days of room somebody should order a disk; below the second today.
const DAYS_WARN: u64 = 30;
const DAYS_FAIL: u64 = 7;
/// Less free room than this is nearly none, however little the shop writes, in bytes.
const FREE_MIN: u64 = 256 << 20;
/// The log beside the database is emptied at 16 MiB. This much, in bytes, says that it is not.
const LOG_MAX: u64 = 256 << 20;
/// The clock drives what is due each second.
const OVERDUE_MAX_MS: i64 = 5 * 60_000;
/// A follow-up that is this late has missed its moment.
const FOLLOW_UP_LATE_MS: i64 = 60 * 60_000;
/// What clocks of two machines may differ without harm.
const CLOCK_AHEAD_MS: i64 = 60_000;
/// A key that was not used for a quarter of a year is a door that nobody watches.
const KEY_IDLE_MAX_MS: i64 = 90 * 24 * 60 * 60 * 1_000;

/// The checks, and the steps of setting up.
pub(super) fn look(
    folder: &Folder,
    reads: &Reads,
    book: Option<&RuleBook>,
    now: Instant,
    chance: u32,
) -> (Vec<Finding>, Vec<Finding>) {
    let mut checks = vec![ok("database", format!("format {FORMAT}, as this program"))];
    let damaged = |name, error: &StoreError| {
        bad(
            name,
            State::Fail,
            error.to_string(),
            remedy_of(error, folder),
        )
    };
    checks.push(match reads.unsound() {
        Ok(None) => ok("integrity", "SQLite finds the file sound"),
        Ok(Some(problem)) => bad(
            "integrity",
            State::Fail,
            problem,
            "stop the server; see docs/runbooks/restore.md",
        ),
        Err(error) => damaged("integrity", &error),
    });
    let known = reads.counters().and_then(|counters| {
        let condition = reads.condition(now)?;
        let keys = reads.keys()?;
        Ok((counters, condition, keys))
    });
    let (counters, condition, keys) = match known {
        Ok(known) => known,
        Err(error) => {
            checks.push(damaged("journal", &error));
            return (checks, Vec::new());
        }
    };
    checks.push(match ledger(folder, reads, &counters, chance) {
        Ok(finding) => finding,
        Err(error) => damaged("ledger", &error),
    });
    checks.push(match reads.owed() {
        Ok(owed) => answers(folder, &owed),
        Err(error) => damaged("answers", &error),
    });
    checks.push(match reads.newest_rule_book() {
        Ok(book) => isolation(folder, book.as_deref()),
        Err(error) => damaged("isolation", &error),
    });
    checks.push(room(folder, &counters, &condition));
    checks.push(log(folder, &counters));
    checks.push(timers(folder, &condition, now));
    checks.push(follow_ups(folder, &condition, now));
    checks.push(clock(&condition, now));
    let working: Vec<ApiKey> = keys
        .into_iter()
        .filter(|key| key.revoked_at.is_none())
        .collect();
    checks.push(keys_of(folder, &working, now));
    let roles: Vec<Role> = working
        .iter()
        .filter_map(|key| key.role.parse().ok())
        .collect();
    (
        checks,
        setup::steps(folder, &counters, &condition, &roles, book),
    )
}

fn ledger(
    folder: &Folder,
    reads: &Reads,
    counters: &Counters,
    chance: u32,
) -> Result<Finding, StoreError> {
    let all = counters.customers as i64;
    let stride = (all / SAMPLE).max(1);
    let mut after = i64::from(chance) % stride;
    let (mut looked, mut differences) = (0, Vec::new());
    while after < all {
        let (found, looks, _) = reads.check_some(after, 1)?;
        differences.extend(found);
        looked += looks;
        after += stride;
    }
    Ok(match differences.first() {
        None => ok(
            "ledger",
            format!(
                "{} of {} customers computed again, and nothing differs",
                count(looked),
                count(counters.customers)
            ),
        ),
        Some(first) => bad(
            "ledger",
            State::Fail,
            format!(
                "of {} customers {} things differ, such as {}: {} where {} is right",
                count(looked),
                count(differences.len() as u64),
                first.what,
                first.found,
                first.expected
            ),
            format!("stampcard check {}", folder.dir().display()),
        ),
    })
}

/// Whom plugins that fail or are quarantined owe an answer.
fn answers(folder: &Folder, owed: &[(String, u64)]) -> Finding {
    if owed.is_empty() {
        return ok("answers", "no plugin owes a customer an answer");
    }
    let each = owed
        .iter()
        .map(|(plugin, customers)| format!("{plugin} owes {} customers one", count(*customers)));
    bad(
        "answers",
        State::Warn,
        each.collect::<Vec<_>>().join(", "),
        format!(
            "stampcard plugin list {}; see docs/runbooks/bad-plugin.md",
            folder.dir().display()
        ),
    )
}

/// Which plugins were found to remember what they were asked before.
fn isolation(folder: &Folder, book: Option<&stampcard_store::RuleBook>) -> Finding {
    const NAME: &str = "isolation";
    let plugins = book.map_or(&[][..], |book| book.plugins.as_slice());
    let found_out = plugins.iter().filter_map(|plugin| {
        let when = plugin.isolation.found_out()?;
        Some(format!("{}: {when}", plugin.name))
    });
    let found_out: Vec<String> = found_out.collect();
    if !found_out.is_empty() {
        return bad(
            NAME,
            State::Warn,
            found_out.join("; "),
            format!(
                "stampcard plugin list {}; see docs/runbooks/bad-plugin.md",
                folder.dir().display()
            ),
        );
    }
    let kept = plugins
        .iter()
        .filter(|plugin| plugin.isolation == Isolation::VerifiedReuse);
    ok(
        NAME,
        match kept.count() as u64 {
            0 => "each call has a fresh instance".into(),
            some => format!(
                "{} of {} plugins keep their instances, and none was found to remember",
                count(some),
                count(plugins.len() as u64)
            ),
        },
    )
}

fn room(folder: &Folder, counters: &Counters, condition: &Condition) -> Finding {
    const NAME: &str = "disk";
    let free = match disk::room(&folder.data()) {
        Ok(room) => room.free,
        Err(error) => {
            return bad(
                NAME,
                State::Warn,
                format!("its room is not known: {error}"),
                "df",
            );
        }
    };
    let row = counters
        .database_bytes
        .checked_div(counters.journal_rows)
        .unwrap_or(0);
    let a_day = row * condition.rows_in_week / 7;
    let days = free.checked_div(a_day).filter(|days| *days < 3_650);
    let says = format!(
        "{} MiB free; the shop has {} MiB and grows by {} KiB a day{}",
        count(free >> 20),
        count(counters.database_bytes >> 20),
        count(a_day >> 10),
        days.map_or(String::new(), |days| format!(
            ": enough for {} days",
            count(days)
        ))
    );
    let remedy = format!(
        "du --max-depth=1 {}; see docs/runbooks/full-disk.md",
        folder.dir().display()
    );
    let days = days.unwrap_or(u64::MAX);
    if free < FREE_MIN || days < DAYS_FAIL {
        bad(NAME, State::Fail, says, remedy)
    } else if days < DAYS_WARN {
        bad(NAME, State::Warn, says, remedy)
    } else {
        ok(NAME, says)
    }
}

fn log(folder: &Folder, counters: &Counters) -> Finding {
    let says = format!(
        "the log beside the database has {} MiB",
        count(counters.log_bytes >> 20)
    );
    if counters.log_bytes > LOG_MAX {
        return bad(
            "log",
            State::Warn,
            says,
            format!(
                "a long read keeps it: see who reads with `fuser {}-wal`, and end that",
                folder.database().display()
            ),
        );
    }
    ok("log", says)
}

fn timers(folder: &Folder, condition: &Condition, now: Instant) -> Finding {
    let backlog = &condition.backlog;
    let late = backlog.overdue_since.map_or(0, |since| now.0 - since.0);
    if late > OVERDUE_MAX_MS {
        return bad(
            "timers",
            State::Warn,
            format!(
                "something is due of {} customers, of the first for {}",
                count(backlog.overdue),
                span(late)
            ),
            format!(
                "stampcard serve {} drives them; if it runs, see docs/runbooks/stuck-timers.md",
                folder.dir().display()
            ),
        );
    }
    ok("timers", "nothing is overdue")
}

fn follow_ups(folder: &Folder, condition: &Condition, now: Instant) -> Finding {
    let backlog = &condition.backlog;
    let late = backlog
        .follow_ups_due_since
        .map_or(0, |since| now.0 - since.0);
    if late > FOLLOW_UP_LATE_MS {
        return bad(
            "follow-ups",
            State::Warn,
            format!(
                "{} are due and were not sent, the first for {}",
                count(backlog.follow_ups_due),
                span(late)
            ),
            "see docs/runbooks/outbox.md: without [delivery] in merchant.toml nothing is sent",
        );
    }
    if backlog.follow_ups_dead > 0 {
        return bad(
            "follow-ups",
            State::Warn,
            format!("{} could not be delivered", count(backlog.follow_ups_dead)),
            format!(
                "stampcard outbox list {} --state dead says why; see docs/runbooks/outbox.md",
                folder.dir().display()
            ),
        );
    }
    ok(
        "follow-ups",
        format!("{} are due", count(backlog.follow_ups_due)),
    )
}

fn clock(condition: &Condition, now: Instant) -> Finding {
    let Some(newest) = condition.arrivals.newest else {
        return ok("clock", "nothing to compare it with yet");
    };
    let ahead = newest.0 - now.0;
    if ahead > CLOCK_AHEAD_MS {
        return bad(
            "clock",
            State::Warn,
            format!(
                "the newest event was received at {}, which is in {}: this clock was set back, or was ahead then",
                calendar::text(newest),
                span(ahead)
            ),
            "timedatectl; see docs/runbooks/stuck-timers.md",
        );
    }
    ok(
        "clock",
        format!("the newest event was received {} ago", span(-ahead)),
    )
}

fn keys_of(folder: &Folder, working: &[ApiKey], now: Instant) -> Finding {
    const NAME: &str = "keys";
    let dir = folder.dir().display();
    if working.is_empty() {
        return bad(
            NAME,
            State::Warn,
            "no key works: nobody can call the API",
            format!("stampcard key add {dir} --role operator"),
        );
    }
    let idle = |key: &&ApiKey| now.0 - key.last_used_at.unwrap_or(key.created_at).0;
    let longest = working.iter().max_by_key(idle);
    if let Some(key) = longest.filter(|key| idle(key) > KEY_IDLE_MAX_MS) {
        let since = match key.last_used_at {
            Some(_) => "was not used",
            None => "was never used",
        };
        return bad(
            NAME,
            State::Warn,
            format!(
                "{} work, and key {} ({}) {since} in {}",
                working.len(),
                key.id,
                key.role,
                span(idle(&key))
            ),
            format!("stampcard key revoke {dir} {}", key.id),
        );
    }
    ok(NAME, format!("{} work", working.len()))
}

/// There is nothing to look into.
pub(super) fn cannot_be_opened(folder: &Folder, error: &OpenError) -> Finding {
    const NAME: &str = "database";
    let dir = folder.dir().display();
    let remedy = match error {
        OpenError::Missing { .. } => format!(
            "stampcard serve {dir} makes one; if there was one before, see docs/runbooks/restore.md"
        ),
        OpenError::NotMigrated { .. } => {
            format!("stampcard backup {dir} before.tar && stampcard serve {dir}")
        }
        OpenError::FromTheFuture { .. } => "install the version of stampcard that wrote it".into(),
        OpenError::NotStampcard { .. } => "see docs/runbooks/restore.md".into(),
        OpenError::InUse { .. } => "wait for the other program".into(),
        OpenError::Store { error, .. } => remedy_of(error, folder),
    };
    bad(NAME, State::Fail, error.to_string(), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_behind_the_journal_is_told() {
        let condition = |newest| {
            let mut condition = Condition::default();
            condition.arrivals.newest = newest;
            condition
        };
        let now = Instant(1_800_000_000_000);
        for (newest, state) in [
            (None, State::Ok),
            (Some(Instant(now.0 - 5)), State::Ok),
            (Some(Instant(now.0 + 30_000)), State::Ok),
            (Some(Instant(now.0 + 3_600_000)), State::Warn),
        ] {
            assert_eq!(clock(&condition(newest), now).state, state, "{newest:?}");
        }
    }
}
