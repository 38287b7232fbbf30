//! `stampcard plugin bench`: what a plugin's calls cost, case by case.

use super::super::{End, Run, say, say_json};
use super::building::build_if_stale;
use super::cases::share;
use super::project::{Project, read, role};
use crate::table::{Side, number, table};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use stampcard_pipeline::rules::Role;
use stampcard_runtime::trial::{Question, Trial};
use stampcard_sdk::cases::{self, Case, NoAnswer};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// Measure what a plugin's calls cost: fuel, time and memory of each question of its cases.
///
/// A fresh instance for each call is what a shop has. Fuel is exact and the same on every machine of
/// this version; times are of this machine as it is now.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard plugin bench\n  stampcard plugin bench double-weekend --calls 2000 --json"
)]
pub struct Bench {
    /// The project.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// How often each question is asked.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    calls: u32,
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Figures {
    /// The component, in bytes.
    bytes: usize,
    digest: String,
    /// The build of the engine under which the fuel is exact.
    engine: String,
    calls: u32,
    questions: Vec<Asked>,
}

/// One question of a case.
#[derive(Serialize)]
struct Asked {
    case: String,
    /// From 1.
    step: usize,
    fuel: u64,
    fuel_limit: u64,
    memory_bytes: u64,
    /// In a fresh instance for each call.
    fresh: Times,
    /// In one that is kept; absent where a call has no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    reused: Option<Times>,
}

/// Of many calls, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Times {
    p50_ns: u64,
    p99_ns: u64,
}

/// What a case asks, kept to be asked again.
struct Kept {
    role: Role,
    configuration: Value,
    shop: Value,
    input: Value,
}

impl Bench {
    pub fn run(self) -> Run {
        let project = Project::at(&self.dir)?;
        build_if_stale(&project)?;
        let cases = cases::load(project.cases())?;
        let (trial, engine) = project.trial()?;
        let mut questions = Vec::new();
        for case in &cases {
            for (index, kept) in questions_of(&trial, case).iter().enumerate() {
                questions.push(self.ask(&trial, case, index + 1, kept)?);
            }
        }
        let figures = Figures {
            bytes: read(&project.component())?.len(),
            digest: trial.about().digest.clone(),
            engine: engine.fingerprint().to_owned(),
            calls: self.calls,
            questions,
        };
        if self.json {
            say_json(&figures)?;
        } else {
            say(tell(&figures))?;
        }
        Ok(End::Done)
    }

    fn ask(
        &self,
        trial: &Trial,
        case: &Case,
        step: usize,
        kept: &Kept,
    ) -> Result<Asked, Box<dyn Error>> {
        let timed = trial.time(kept.question(), self.calls as usize)?;
        let is_whole = timed.reused.len() == timed.fresh.len();
        Ok(Asked {
            case: case.name.clone(),
            step,
            fuel: timed.usage.fuel,
            fuel_limit: timed.usage.fuel_limit,
            memory_bytes: timed.usage.memory_bytes,
            fresh: Times::of(timed.fresh),
            reused: is_whole.then(|| Times::of(timed.reused)),
        })
    }
}

/// What a case asks, step by step, with what each step before remembered.
fn questions_of(trial: &Trial, case: &Case) -> Vec<Kept> {
    let mut kept: Vec<Kept> = Vec::new();
    let mut is_second = true;
    // Whether the answers are right is what `test` says.
    let _ = cases::run(case, |asked, configuration, shop, input| {
        let question = Kept {
            role: role(asked),
            configuration: serde_json::from_str(configuration).unwrap_or_default(),
            shop: json!(shop),
            input: json!(input),
        };
        let tried = trial.ask(question.question());
        // Every question is asked twice, to see that it has one answer.
        is_second = !is_second;
        if !is_second {
            kept.push(question);
        }
        match tried {
            Ok(tried) => tried
                .call
                .result
                .map_err(|it| NoAnswer::Failed(it.to_string())),
            Err(error) => Err(NoAnswer::Failed(error.to_string())),
        }
    });
    kept
}

impl Kept {
    fn question(&self) -> Question<'_> {
        Question {
            role: self.role,
            configuration: &self.configuration,
            shop: &self.shop,
            input: &self.input,
        }
    }
}

impl Times {
    /// # Panics
    /// If there are none.
    fn of(mut times: Vec<Duration>) -> Times {
        times.sort();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_nanos() as u64;
        Times {
            p50_ns: at(50),
            p99_ns: at(99),
        }
    }
}

fn micros(nanos: u64) -> String {
    format!("{}.{}", number((nanos / 1_000) as i64), nanos % 1_000 / 100)
}

fn tell(figures: &Figures) -> String {
    let row = |asked: &Asked| {
        let name = match asked.step {
            1 => asked.case.clone(),
            step => format!("{}, step {step}", asked.case),
        };
        let [p50, p99] = match asked.reused {
            Some(times) => [times.p50_ns, times.p99_ns].map(micros),
            None => ["-", "-"].map(String::from),
        };
        vec![
            name,
            number(asked.fuel as i64),
            share(asked.fuel, asked.fuel_limit),
            number((asked.memory_bytes / 1_024) as i64),
            micros(asked.fresh.p50_ns),
            micros(asked.fresh.p99_ns),
            p50,
            p99,
        ]
    };
    let heads = [
        ("case", Side::Left),
        ("fuel", Side::Right),
        ("of its limit", Side::Right),
        ("KiB", Side::Right),
        ("fresh p50 µs", Side::Right),
        ("p99", Side::Right),
        ("reused p50 µs", Side::Right),
        ("p99", Side::Right),
    ];
    let rows: Vec<_> = figures.questions.iter().map(row).collect();
    format!(
        "{}\n\nThe component has {} bytes. Each question was asked {} times; fuel is that of {}.",
        table(&heads, &rows),
        number(figures.bytes as i64),
        number(figures.calls.into()),
        figures.engine,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times = (1..=100).rev().map(Duration::from_micros).collect();
        let expected = Times {
            p50_ns: 50_000,
            p99_ns: 99_000,
        };
        assert_eq!(Times::of(times), expected);
        assert_eq!(micros(1_234_567), "1,234.5");
    }
}
