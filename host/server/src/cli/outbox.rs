//! `stampcard outbox`: what is to be sent, what was, and what somebody has to look at.

use super::{End, Run, say, say_json};
use crate::clock;
use crate::config::Folder;
use crate::http::outbox::STATES;
use crate::table::{Side, table};
use clap::{Args, Subcommand};
use serde::Serialize;
use stampcard_pipeline::calendar;
use stampcard_pipeline::follow_ups::message_name;
use stampcard_pipeline::store::StoreError;
use stampcard_store::reads::OutboxRow;
use stampcard_store::{Granted, OutboxDesk, Reads, Wish};
use std::path::{Path, PathBuf};

/// List what is to be sent, send it again, or not at all.
#[derive(Subcommand)]
pub enum Outbox {
    List(List),
    Retry(Retry),
    Drop(Drop),
}

/// List follow-ups: those that are planned, or those in another state. Exit code 1 if there are dead ones.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard outbox list shop\n  stampcard outbox list shop --state dead\n  stampcard outbox list shop --state sent --json"
)]
pub struct List {
    /// The shop's folder.
    dir: PathBuf,
    /// planned, sent, dead, too-late, dropped, suppressed, cancelled or withdrawn.
    #[arg(long, default_value = "planned", value_parser = STATES)]
    state: String,
    /// The most rows.
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
}

/// Send follow-ups again that are dead, were too late or were dropped. Exit code 1 if one is in another state.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard outbox retry shop 812 813\n  stampcard outbox retry shop --all-dead"
)]
pub struct Retry {
    /// The shop's folder.
    dir: PathBuf,
    /// Their numbers in `stampcard outbox list`.
    #[arg(required_unless_present = "all_dead")]
    numbers: Vec<i64>,
    /// All that are dead.
    #[arg(long, conflicts_with = "numbers")]
    all_dead: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Say that follow-ups are not to be sent. Exit code 1 if one is in another state.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard outbox drop shop 812 --by Mia")]
pub struct Drop {
    /// The shop's folder.
    dir: PathBuf,
    /// Their numbers in `stampcard outbox list`.
    #[arg(required = true)]
    numbers: Vec<i64>,
    /// Who says so.
    #[arg(long, default_value = "the operator")]
    by: String,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Listed {
    number: i64,
    message: String,
    state: String,
    customer: String,
    channel: String,
    template: String,
    due: String,
    attempts: u32,
    next_attempt: Option<String>,
    problem: Option<String>,
    ended_at: Option<String>,
}

/// Pages of dead ones that are read at once.
const PAGE: u32 = 500;
const PAGE_CACHE_KIB: u32 = 1 << 10;

impl Outbox {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        match self {
            Outbox::List(list) => list.run(),
            Outbox::Retry(retry) => retry.run(),
            Outbox::Drop(drop) => drop.run(),
        }
    }
}

impl List {
    fn run(self) -> Run {
        let reads = read(&self.dir)?;
        let rows = match self.state.as_str() {
            "planned" => reads.outbox(None, self.limit)?,
            state => reads.outbox_in(state, None, self.limit)?,
        };
        let secret = reads.secret()?;
        let listed: Vec<Listed> = rows
            .into_iter()
            .map(|row| {
                let message = message_name(&row.customer, &row.plugin, &row.dedupe_key, &secret);
                Listed::of(row, message)
            })
            .collect();
        let dead = reads.backlog(clock::now())?.follow_ups_dead;
        let end = match dead {
            0 => End::Done,
            _ => End::Attention,
        };
        if self.json {
            say_json(&listed)?;
            return Ok(end);
        }
        let heads = [
            ("number", Side::Right),
            ("due", Side::Left),
            ("channel", Side::Left),
            ("template", Side::Left),
            ("customer", Side::Left),
            ("tried", Side::Right),
            ("next", Side::Left),
            ("problem", Side::Left),
        ];
        let row = |row: &Listed| {
            vec![
                row.number.to_string(),
                row.due.clone(),
                row.channel.clone(),
                row.template.clone(),
                row.customer.clone(),
                row.attempts.to_string(),
                row.next_attempt.clone().unwrap_or_default(),
                row.problem.clone().unwrap_or_default(),
            ]
        };
        match listed.is_empty() {
            true => say(format!("no follow-up is {}", self.state))?,
            false => say(table(&heads, &listed.iter().map(row).collect::<Vec<_>>()))?,
        }
        if dead > 0 && self.state != "dead" {
            eprintln!(
                "stampcard: {dead} could not be delivered; see `stampcard outbox list {} --state dead`",
                self.dir.display()
            );
        }
        Ok(end)
    }
}

impl Listed {
    fn of(row: OutboxRow, message: String) -> Listed {
        Listed {
            number: row.id,
            message,
            state: row.state,
            customer: row.customer.0,
            channel: row.channel,
            template: row.template,
            due: calendar::text(row.due),
            attempts: row.attempts,
            next_attempt: row.next_attempt.map(calendar::text),
            problem: row.problem,
            ended_at: row.ended_at.map(calendar::text),
        }
    }
}

impl Retry {
    fn run(self) -> Run {
        let numbers = match self.all_dead {
            true => all_dead(&read(&self.dir)?)?,
            false => self.numbers,
        };
        grant(&self.dir, &numbers, &Wish::Retry, self.json)
    }
}

impl Drop {
    fn run(self) -> Run {
        let Drop {
            dir,
            numbers,
            by,
            json,
        } = self;
        grant(&dir, &numbers, &Wish::Drop { by }, json)
    }
}

fn read(dir: &Path) -> Result<Reads, Box<dyn std::error::Error>> {
    Ok(Reads::open(
        &Folder::of_one(dir)?.database(),
        1,
        PAGE_CACHE_KIB,
    )?)
}

fn all_dead(reads: &Reads) -> Result<Vec<i64>, StoreError> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = reads.outbox_in("dead", before, PAGE)?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        before = Some(last.id);
        all.extend(page.iter().map(|row| row.id));
    }
}

/// Grants a wish for each number, also while the shop is open; one that cannot be is named.
fn grant(dir: &Path, numbers: &[i64], wish: &Wish, json: bool) -> Run {
    let folder = Folder::of_one(dir)?;
    folder.shop()?;
    let mut desk = OutboxDesk::open(&folder.database())?;
    let (mut done, mut not) = (Vec::new(), Vec::new());
    for number in numbers {
        match desk.grant(*number, wish, clock::now())? {
            Granted::Done => done.push(*number),
            Granted::NotThere => not.push((*number, "is not in the outbox".to_owned())),
            Granted::Not => {
                let states = wish.from().join(", ");
                not.push((*number, format!("is in another state than {states}")));
            }
        }
    }
    if json {
        let not: Vec<i64> = not.iter().map(|(number, _)| *number).collect();
        say_json(&serde_json::json!({ "done": done, "not": not }))?;
    } else {
        for (number, why) in &not {
            eprintln!("stampcard: follow-up {number} {why}");
        }
        let verb = match wish {
            Wish::Retry => "to be sent again",
            Wish::Drop { .. } => "dropped",
        };
        say(format!("{} {verb}", done.len()))?;
    }
    Ok(match not.is_empty() {
        true => End::Done,
        false => End::Attention,
    })
}
