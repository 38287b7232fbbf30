//! The doctor: looks at a shop from all sides and says what is wrong and what to type.
//!
//! It reads, beside whoever has the shop open, and mends nothing. [`setup`] is its second half:
//! whether the shop was set up in the order that works.

mod database;
mod folder;
mod setup;

use crate::config::Folder;
use crate::table::number;
use serde::Serialize;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::store::StoreError;
use stampcard_store::Reads;

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

/// Looks at everything. `chance` picks the customers that are computed again.
pub fn examine(folder: &Folder, now: Instant, chance: u32) -> Report {
    let (mut checks, book) = folder::look(folder);
    let setup = match Reads::open(&folder.database(), 1, 4 << 10) {
        Err(error) => {
            checks.push(database::cannot_be_opened(folder, &error));
            Vec::new()
        }
        Ok(reads) => {
            let (more, setup) = database::look(folder, &reads, book.as_ref(), now, chance);
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

/// What gives a shop back to whoever runs it.
fn own(folder: &Folder) -> String {
    format!("chown --recursive $(id -u) {}", folder.dir().display())
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
}
