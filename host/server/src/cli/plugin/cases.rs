//! `stampcard plugin test`: what a rule must answer, asked of its component.
//!
//! The component is loaded as a shop would load it, compiled in a process of its own and held to its
//! limits, so that what passes here passes there.

use super::super::{End, Run, say, say_json};
use super::building::build_if_stale;
use super::project::{Project, role};
use crate::table::{Side, number, table};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use stampcard_pipeline::rules::{Failure, Usage};
use stampcard_runtime::trial::{Question, Trial};
use stampcard_runtime::{Level, Line};
use stampcard_sdk::cases::{self, Case, NoAnswer, Problem};
use stampcard_sdk::types::{Fault, Refusal};
use std::error::Error;
use std::path::PathBuf;

/// Ask a plugin's component every case in its folder `cases`, under the limits of a shop.
///
/// It is built first if its source has changed. Exit code 1 if a case fails.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard plugin test\n  stampcard plugin test double-weekend --json"
)]
pub struct Test {
    /// The project.
    #[arg(default_value = ".")]
    dir: PathBuf,
    #[arg(long)]
    json: bool,
}

/// How all cases came out.
#[derive(Serialize)]
pub struct Report {
    pub passed: usize,
    pub failed: usize,
    pub cases: Vec<Outcome>,
}

/// How one case came out.
#[derive(Serialize)]
pub struct Outcome {
    /// Its file, without the folder.
    file: String,
    case: String,
    passed: bool,
    /// The step that failed, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<usize>,
    /// What is wrong, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<Difference>,
    /// The most that one call used.
    fuel: u64,
    fuel_limit: u64,
    memory_bytes: u64,
    micros: u64,
    /// What the plugin said in the call that stood last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    log: Vec<Line>,
}

#[derive(Serialize)]
struct Difference {
    at: String,
    expected: Value,
    /// Null where the contract has no such field.
    got: Option<Value>,
}

impl Test {
    pub fn run(self) -> Run {
        let project = Project::at(&self.dir)?;
        build_if_stale(&project)?;
        let report = test(&project)?;
        if self.json {
            say_json(&report)?;
        } else {
            say(tell(&report))?;
        }
        Ok(match report.failed {
            0 => End::Done,
            _ => End::Attention,
        })
    }
}

/// Runs every case of a project against its component.
pub fn test(project: &Project) -> Result<Report, Box<dyn Error>> {
    let cases = cases::load(project.cases())?;
    let (trial, _) = project.trial()?;
    let cases: Vec<Outcome> = cases.iter().map(|case| run(&trial, case)).collect();
    let failed = cases.iter().filter(|case| !case.passed).count();
    Ok(Report {
        passed: cases.len() - failed,
        failed,
        cases,
    })
}

fn run(trial: &Trial, case: &Case) -> Outcome {
    let file = case.file.file_name().unwrap_or_default();
    let mut outcome = Outcome {
        file: file.to_string_lossy().into_owned(),
        case: case.name.clone(),
        passed: false,
        step: None,
        problem: None,
        differences: Vec::new(),
        fuel: 0,
        fuel_limit: 0,
        memory_bytes: 0,
        micros: 0,
        log: Vec::new(),
    };
    // A shop would not load it, unless that is what the case is about.
    if !case.is_refused() {
        let problems = case.configurations().flat_map(|it| trial.problems(it));
        let problems: Vec<String> = problems.collect();
        if !problems.is_empty() {
            let problem = format!("the manifest's schema refuses: {}", problems.join("; "));
            outcome.problem = Some(problem);
            return outcome;
        }
    }
    let ran = ask_all(trial, case, |usage, log| {
        if usage.fuel >= outcome.fuel {
            (outcome.fuel, outcome.fuel_limit) = (usage.fuel, usage.fuel_limit);
        }
        outcome.memory_bytes = outcome.memory_bytes.max(usage.memory_bytes);
        outcome.micros = outcome.micros.max(usage.micros);
        outcome.log = log;
    });
    match ran {
        Ok(()) => outcome.passed = true,
        Err(failure) => {
            outcome.step = Some(failure.step);
            if let Problem::Differs(differences) = &failure.problem {
                let difference = |it: &cases::Difference| Difference {
                    at: it.place.clone(),
                    expected: it.expected.clone(),
                    got: it.found.clone(),
                };
                outcome.differences = differences.iter().map(difference).collect();
            }
            outcome.problem = Some(failure.problem.to_string());
        }
    }
    outcome
}

/// Asks a component every question of a case; `used` is told of each call.
pub fn ask_all(
    trial: &Trial,
    case: &Case,
    mut used: impl FnMut(Usage, Vec<Line>),
) -> Result<(), cases::Failure> {
    let failed = |problem: String| NoAnswer::Failed(problem);
    cases::run(case, |asked, configuration, shop, input| {
        let written = |error: serde_json::Error| failed(error.to_string());
        let configuration = serde_json::from_str(configuration).map_err(written)?;
        let question = Question {
            role: role(asked),
            configuration: &configuration,
            shop: &json!(shop),
            input: &json!(input),
        };
        let tried = trial.ask(question).map_err(|it| failed(it.to_string()))?;
        used(tried.call.usage, tried.log);
        tried.call.result.map_err(no_answer)
    })
}

fn no_answer(failure: Failure) -> NoAnswer {
    match failure {
        Failure::Rejected { reason } => Refusal::Rejected(reason).into(),
        Failure::Fault { message, trace } => Refusal::Fault(Fault { message, trace }).into(),
        other => NoAnswer::Failed(other.to_string()),
    }
}

/// For people: a line for each case, then what differs.
pub fn tell(report: &Report) -> String {
    let row = |case: &Outcome| {
        let mark = if case.passed { "ok" } else { "FAILED" };
        vec![
            mark.to_owned(),
            case.case.clone(),
            number(case.fuel as i64),
            share(case.fuel, case.fuel_limit),
            number(case.micros as i64),
            number((case.memory_bytes / 1_024) as i64),
        ]
    };
    let heads = [
        ("", Side::Left),
        ("case", Side::Left),
        ("fuel", Side::Right),
        ("of its limit", Side::Right),
        ("µs", Side::Right),
        ("KiB", Side::Right),
    ];
    let rows: Vec<_> = report.cases.iter().map(row).collect();
    let mut told = table(&heads, &rows);
    for case in report.cases.iter().filter(|case| !case.passed) {
        told.push_str(&failed(case));
    }
    told.push_str(&format!(
        "\n\n{} passed, {} failed",
        report.passed, report.failed
    ));
    told
}

fn failed(case: &Outcome) -> String {
    let mut told = format!("\n\nFAILED  {}: {}", case.file, case.case);
    if let Some(step) = case.step.filter(|step| *step > 1) {
        told.push_str(&format!(", step {step}"));
    }
    if case.differences.is_empty() {
        let problem = case.problem.as_deref().unwrap_or_default();
        told.push_str(&format!("\n{}", indented(problem)));
    } else {
        let row = |it: &Difference| {
            let got = it.got.as_ref().map(Value::to_string);
            let got = got.unwrap_or_else(|| "no such field in the contract".into());
            vec![it.at.clone(), it.expected.to_string(), got]
        };
        let heads = ["where", "expected", "got"].map(|head| (head, Side::Left));
        let rows: Vec<_> = case.differences.iter().map(row).collect();
        told.push_str(&format!("\n{}", indented(&table(&heads, &rows))));
    }
    for Line { level, text } in &case.log {
        told.push_str(&format!("\n  it said ({}): {text}", word(*level)));
    }
    told
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

/// A share in percent with two places, rounded down.
pub fn share(used: u64, most: u64) -> String {
    if most == 0 {
        return "-".into();
    }
    let hundredths = u128::from(used) * 10_000 / u128::from(most);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_told_with_two_places() {
        for (used, most, told) in [
            (0, 20_000_000, "0.00 %"),
            (336_073, 20_000_000, "1.68 %"),
            (20_000_000, 20_000_000, "100.00 %"),
            (1, 0, "-"),
        ] {
            assert_eq!(share(used, most), told);
        }
    }
}
