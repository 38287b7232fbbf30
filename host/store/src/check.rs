//! `stampcard check`: recomputes whatever can be recomputed, and says what differs.
//!
//! It reads, and mends nothing. It can run beside a server: everything is of one moment.

mod customer;
mod merges;
mod missed;
mod products;
mod redemptions;
mod referrals;
mod stock;

use crate::error::Trouble;
use crate::reads::Reads;
use crate::row;
use crate::sql::Sql;
use missed::Owed;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::store::StoreError;
use std::collections::HashMap;
use std::fmt::Display;

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whose; `None` for the shop as a whole.
    pub customer: Option<CustomerId>,
    /// What differs, such as `balance` or `lot 17: earned`.
    pub what: String,
    /// As computed from what cannot be wrong unless that is.
    pub expected: String,
    pub found: String,
}

/// What is being checked, and how far that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub part: &'static str,
    pub done: u64,
    pub of: u64,
}

/// After this many differences the check stops: the file is not slightly wrong.
pub const DIFFERENCES_MAX: usize = 10_000;

/// Rows between two reports of progress.
const PROGRESS_ROWS: u64 = 1_000;

impl Reads {
    /// Checks the whole file and lists what differs.
    pub fn check(&self, progress: &mut dyn FnMut(Progress)) -> Result<Vec<Difference>, StoreError> {
        self.read(|sql| {
            let mut findings = Findings {
                differences: Vec::new(),
                progress,
            };
            sqlite(sql, &mut findings)?;
            journal(sql, &mut findings)?;
            entries(sql, &mut findings)?;
            explanations(sql, &mut findings)?;
            orders(sql, &mut findings)?;
            products::products(sql, &mut findings)?;
            stock::stock(sql, &mut findings)?;
            merges::merges(sql, &mut findings)?;
            referrals::referrals(sql, &mut findings)?;
            customer::check_all(sql, &mut findings)?;
            Ok(findings.differences)
        })
    }

    /// Checks a few customers beside the rest of the file: the first `most` whose row comes after
    /// `after`. It also says how many it looked at, and the last row of them.
    pub fn check_some(
        &self,
        after: i64,
        most: u32,
    ) -> Result<(Vec<Difference>, u64, Option<i64>), StoreError> {
        self.read(|sql| {
            let mut findings = Findings {
                differences: Vec::new(),
                progress: &mut |_| (),
            };
            let (looked, last) = customer::check_some(sql, after, most, &mut findings)?;
            Ok((findings.differences, looked, last))
        })
    }
}

/// What was found so far.
pub(crate) struct Findings<'a> {
    differences: Vec<Difference>,
    progress: &'a mut dyn FnMut(Progress),
}

impl Findings<'_> {
    pub fn compare<T: PartialEq + Display>(
        &mut self,
        customer: Option<&CustomerId>,
        what: impl FnOnce() -> String,
        expected: T,
        found: T,
    ) {
        if expected != found {
            self.differ(customer, what(), expected.to_string(), found.to_string());
        }
    }

    pub fn differ(
        &mut self,
        customer: Option<&CustomerId>,
        what: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(Difference {
                customer: customer.cloned(),
                what: what.into(),
                expected: expected.into(),
                found: found.into(),
            });
        }
    }

    pub fn at(&mut self, part: &'static str, done: u64, of: u64) {
        if done.is_multiple_of(PROGRESS_ROWS) || done == of {
            (self.progress)(Progress { part, done, of });
        }
    }
}

pub(crate) fn number(sql: &Sql, text: &'static str) -> rusqlite::Result<i64> {
    Ok(sql.first(text, &[], |row| row.get(0))?.unwrap_or(0))
}

/// Whether the file itself is sound, by SQLite's own measures.
fn sqlite(sql: &Sql, findings: &mut Findings) -> Result<(), Trouble> {
    findings.at("file", 0, 1);
    sql.each::<Trouble>("PRAGMA integrity_check(100)", &[], |row| {
        let said: String = row.get(0)?;
        if said != "ok" {
            findings.differ(None, "file", "ok", said);
        }
        Ok(())
    })?;
    sql.each::<Trouble>("PRAGMA foreign_key_check", &[], |row| {
        let (table, id, parent): (String, Option<i64>, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let id = id.map_or_else(String::new, |id| format!(" {id}"));
        findings.differ(
            None,
            format!("{table}{id}"),
            format!("a row of {parent}"),
            "none",
        );
        Ok(())
    })?;
    findings.at("file", 1, 1);
    Ok(())
}

/// Rows without gaps, readable, named as their events are, and with the entries that they speak of.
fn journal(sql: &Sql, findings: &mut Findings) -> Result<(), Trouble> {
    let rows = number(sql, "SELECT count(*) FROM journal")? as u64;
    let mut written: HashMap<i64, (i64, i64)> = HashMap::new();
    sql.each::<Trouble>(
        "SELECT caused_by, min(number), count(*) FROM entries GROUP BY caused_by",
        &[],
        |row| {
            written.insert(row.get(0)?, (row.get(1)?, row.get(2)?));
            Ok(())
        },
    )?;
    let mut done = 0;
    sql.each::<Trouble>(
        "SELECT seq, source, id, kind, occurred_at, first_entry, entries, body, outcome FROM journal ORDER BY seq",
        &[],
        |row| {
            done += 1;
            findings.at("journal", done, rows);
            let seq: i64 = row.get(0)?;
            let name = format!("journal {seq}");
            findings.compare(None, || format!("{name}: number"), done as i64, seq);
            let spoken_of = (row.get::<_, Option<i64>>(5)?.unwrap_or(0), row.get::<_, i64>(6)?);
            let there = written.get(&seq).copied().unwrap_or((0, 0));
            if spoken_of != there {
                let text = |(first, count): (i64, i64)| format!("{count} from number {first}");
                findings.differ(None, format!("{name}: entries"), text(spoken_of), text(there));
            }
            match row::event(&row.get::<_, Vec<u8>>(7)?) {
                Err(error) => findings.differ(None, format!("{name}: event"), "readable", error.to_string()),
                Ok(event) => {
                    let columns = (row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?, row.get(4)?);
                    let body = (event.source, event.id, event.kind, event.at.0);
                    if body != columns {
                        findings.differ(None, format!("{name}: name"), format!("{body:?}"), format!("{columns:?}"));
                    }
                }
            }
            if let Err(error) = row::outcome(&row.get::<_, Vec<u8>>(8)?, None) {
                findings.differ(None, format!("{name}: answer"), "readable", error.to_string());
            }
            Ok(())
        },
    )
}

/// Numbers without gaps.
fn entries(sql: &Sql, findings: &mut Findings) -> Result<(), Trouble> {
    let rows = number(sql, "SELECT count(*) FROM entries")? as u64;
    let mut done = 0;
    sql.each::<Trouble>("SELECT number FROM entries ORDER BY number", &[], |row| {
        done += 1;
        findings.at("entries", done, rows);
        let number: i64 = row.get(0)?;
        if number != done as i64 {
            findings.differ(
                None,
                format!("entry {number}: number"),
                done.to_string(),
                number.to_string(),
            );
            done = number as u64;
        }
        Ok(())
    })
}

/// Readable, every call points to a plugin of its rule book, and the calls that failed are owed.
fn explanations(sql: &Sql, findings: &mut Findings) -> Result<(), Trouble> {
    let rows = number(sql, "SELECT count(*) FROM explanations")? as u64;
    let mut books: HashMap<i64, u32> = HashMap::new();
    sql.each::<Trouble>(
        "SELECT rule_book, count(*) FROM rule_book_plugins GROUP BY rule_book",
        &[],
        |row| {
            books.insert(row.get(0)?, row.get(1)?);
            Ok(())
        },
    )?;
    let mut owed = Owed::new(sql)?;
    let mut done = 0;
    sql.each::<Trouble>(
        "SELECT number, rule_book, at, source, id, body, customer FROM explanations ORDER BY number",
        &[],
        |row| {
            done += 1;
            findings.at("explanations", done, rows);
            let name = format!("explanation {}", row.get::<_, i64>(0)?);
            let plugins = books.get(&row.get(1)?).copied().unwrap_or(0);
            let position = row::position(row, 2)?;
            match row::explanation(&row.get::<_, Vec<u8>>(5)?) {
                Err(error) => findings.differ(None, name, "readable", error.to_string()),
                Ok(explanation) => {
                    owed.see(row.get(6)?, row.get(1)?, &explanation);
                    if explanation.position != position {
                        findings.differ(
                            None,
                            format!("{name}: step"),
                            format!("{:?}", explanation.position),
                            format!("{position:?}"),
                        );
                    }
                    if let Some(call) = explanation.calls.iter().find(|call| call.plugin >= plugins)
                    {
                        let known = format!("a plugin below {plugins}");
                        findings.differ(
                            None,
                            format!("{name}: plugin"),
                            known,
                            call.plugin.to_string(),
                        );
                    }
                }
            }
            Ok(())
        },
    )?;
    owed.compare(sql, findings)
}

/// An order belongs to an event that says so.
fn orders(sql: &Sql, findings: &mut Findings) -> Result<(), Trouble> {
    sql.each::<Trouble>(
        "SELECT o.system, o.id, j.body FROM orders o JOIN journal j ON j.seq = o.journal",
        &[],
        |row| {
            let name: (String, String) = (row.get(0)?, row.get(1)?);
            let Ok(event) = row::event(&row.get::<_, Vec<u8>>(2)?) else {
                return Ok(());
            };
            let order = event.business_key().cloned();
            let said = order.map(|order| (order.system, order.id));
            if said.as_ref() != Some(&name) {
                findings.differ(
                    None,
                    format!("order {}/{}", name.0, name.1),
                    "its event's order",
                    format!("{said:?}"),
                );
            }
            Ok(())
        },
    )
}
