//! The doctor: looks at a shop from all sides and says what is wrong and what to type.
//!
//! It reads, beside whoever has the shop open, and mends nothing. [`setup`] is its second half:
//! whether the shop was set up in the order that works.

mod setup;

use crate::config::Folder;
use crate::disk;
use crate::http::auth::Role;
use crate::pack;
use crate::table::number;
use serde::Serialize;
use stampcard_pipeline::calendar;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::store::StoreError;
use stampcard_runtime::{Engine, RuleBook};
use stampcard_store::reads::{Condition, Counters};
use stampcard_store::{ApiKey, FORMAT, OpenError, Reads};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    /// There is nothing to see yet.
    Open,
    Warn,
    Fail,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Open => "open",
            State::Warn => "warn",
            State::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub name: &'static str,
    pub state: State,
    pub says: String,
    /// What to do about it, as a command where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Everything that was found. `--json` prints it; scripts lean on it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The worst of all.
    pub state: State,
    pub checks: Vec<Finding>,
    /// The steps of setting a shop up, in the order in which they build on each other.
    pub setup: Vec<Finding>,
}

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

/// Looks at everything. `chance` picks the customers that are computed again.
pub fn examine(folder: &Folder, now: Instant, chance: u32) -> Report {
    let mut checks = vec![files(folder), secrecy(folder), writable(folder)];
    checks.push(configuration(folder));
    let (plugins, book) = plugins(folder);
    checks.push(plugins);
    let setup = match Reads::open(&folder.database(), 1, 4 << 10) {
        Err(error) => {
            checks.push(no_database(folder, &error));
            Vec::new()
        }
        Ok(reads) => {
            let (more, setup) = inside(folder, &reads, book.as_ref(), now, chance);
            checks.extend(more);
            setup
        }
    };
    let all = checks.iter().chain(&setup);
    Report {
        state: all
            .map(|finding| finding.state)
            .max()
            .unwrap_or(State::Open),
        checks,
        setup,
    }
}

fn ok(name: &'static str, says: impl Into<String>) -> Finding {
    Finding {
        name,
        state: State::Ok,
        says: says.into(),
        remedy: None,
    }
}

fn bad(
    name: &'static str,
    state: State,
    says: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding {
        name,
        state,
        says: says.into(),
        remedy: Some(remedy.into()),
    }
}

fn count(count: u64) -> String {
    number(i64::try_from(count).unwrap_or(i64::MAX))
}

/// A length of time as people say it, in the largest unit that fits.
fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn files(folder: &Folder) -> Finding {
    const NAME: &str = "files";
    let plugins = match folder.plugin_files() {
        Ok(plugins) => plugins,
        Err(error) => return bad(NAME, State::Fail, error.to_string(), own(folder)),
    };
    let known = [crate::config::MERCHANT_FILE, crate::config::SERVER_FILE];
    let mut read = 0;
    for name in known.map(str::to_owned).into_iter().chain(plugins) {
        let path = folder.dir().join(&name);
        match File::open(&path) {
            Ok(_) => read += 1,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return bad(
                    NAME,
                    State::Fail,
                    format!("{} cannot be read: {error}", path.display()),
                    own(folder),
                );
            }
        }
    }
    ok(NAME, format!("{read} files can be read"))
}

/// What gives a shop back to whoever runs it.
fn own(folder: &Folder) -> String {
    format!("chown --recursive $(id -u) {}", folder.dir().display())
}

fn secrecy(folder: &Folder) -> Finding {
    const NAME: &str = "secrecy";
    let database = folder.database();
    let data = database.parent().unwrap_or(folder.dir());
    let mode = |path| fs::metadata(path).map_or(0, |found| found.permissions().mode());
    // Whoever may not enter one of the folders reads nothing in it.
    let is_open = mode(folder.dir()) & 0o001 != 0 && mode(data) & 0o001 != 0;
    if is_open && mode(&database) & 0o004 != 0 {
        return bad(
            NAME,
            State::Warn,
            "everybody on this machine may read the database, with people and the shop's secret",
            format!("chmod 700 {}", data.display()),
        );
    }
    ok(NAME, "others on this machine cannot read the database")
}

fn writable(folder: &Folder) -> Finding {
    const NAME: &str = "writable";
    let database = folder.database();
    let data = database.parent().unwrap_or(folder.dir());
    match disk::may_write(data)
        .and_then(|()| File::options().append(true).open(&database).map(|_| ()))
    {
        Ok(()) => ok(NAME, "the database can be written"),
        Err(error) => bad(
            NAME,
            State::Fail,
            format!("{} cannot be written: {error}", database.display()),
            format!(
                "findmnt --target {} --output TARGET,OPTIONS; then {}",
                data.display(),
                own(folder)
            ),
        ),
    }
}

fn configuration(folder: &Folder) -> Finding {
    const NAME: &str = "configuration";
    let read = folder
        .server()
        .and_then(|_| folder.shop())
        .map(|shop| shop.file);
    match read {
        Ok(file) => ok(
            NAME,
            format!(
                "{}, {}, {} locations",
                file.name,
                file.currency,
                count(file.locations.len() as u64)
            ),
        ),
        Err(error) => bad(
            NAME,
            State::Fail,
            error.to_string(),
            "correct that line; a server that runs keeps what it had",
        ),
    }
}

fn plugins(folder: &Folder) -> (Finding, Option<RuleBook>) {
    const NAME: &str = "plugins";
    let list = format!("stampcard plugin list {}", folder.dir().display());
    let loaded = (|| {
        let shop = folder.shop().map_err(|error| error.to_string())?;
        let cache = folder.cache().map_err(|error| error.to_string())?;
        let engine = Engine::new(&cache).map_err(|error| error.to_string())?;
        let candidates = folder.candidates().map_err(|error| error.to_string())?;
        Ok::<_, String>(RuleBook::load(
            &engine,
            &shop,
            candidates,
            &pack::packs(),
            None,
        ))
    })();
    let book = match loaded {
        Ok(book) => book,
        Err(problem) => return (bad(NAME, State::Fail, problem, list), None),
    };
    let finding = match book.not_loaded() {
        [] => ok(
            NAME,
            format!("{} of the folder load", count(loaded_of(&book))),
        ),
        [first, rest @ ..] => bad(
            NAME,
            State::Fail,
            match rest.len() {
                0 => first.reason.to_string(),
                more => format!("{}; and {more} more", first.reason),
            },
            format!("{list}; see docs/runbooks/bad-plugin.md"),
        ),
    };
    (finding, Some(book))
}

fn loaded_of(book: &RuleBook) -> u64 {
    use stampcard_pipeline::rules::Rules;
    book.plugins().len() as u64
}

fn no_database(folder: &Folder, error: &OpenError) -> Finding {
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

fn remedy_of(error: &StoreError, folder: &Folder) -> String {
    match error {
        StoreError::Full => "free some room; see docs/runbooks/full-disk.md".into(),
        StoreError::ReadOnly(_) => own(folder),
        StoreError::Corrupt(_) => "stop the server; see docs/runbooks/restore.md".into(),
        StoreError::Conflict | StoreError::Failed(_) => {
            "see the server's log, and run the doctor again".into()
        }
    }
}

/// What the database itself tells.
fn inside(
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
    checks.push(room(folder, &counters, &condition));
    checks.push(log(folder, &counters));
    checks.push(timers(folder, &condition, now));
    checks.push(follow_ups(&condition, now));
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

fn room(folder: &Folder, counters: &Counters, condition: &Condition) -> Finding {
    const NAME: &str = "disk";
    let free = match disk::room(folder.dir()) {
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

fn follow_ups(condition: &Condition, now: Instant) -> Finding {
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
            "this version plans and does not send: whoever sends them reads GET /v1/outbox",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_told_in_the_unit_that_fits() {
        for (ms, told) in [
            (-5, "0 s"),
            (119_000, "119 s"),
            (120_000, "2 min"),
            (7_200_000, "2 h"),
            (3 * 86_400_000, "3 days"),
        ] {
            assert_eq!(span(ms), told);
        }
    }

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
