//! Cases: what a rule must answer, as files that a shop owner could read. The same files are run
//! here against the rule as ordinary Rust and by the host against the component. Never part of a
//! plugin.
//!
//! A file holds many cases and what they share:
//!
//! ```json
//! {
//!   "role": "point-formula",
//!   "config": { "every": 100 },
//!   "cases": [
//!     {
//!       "name": "a dollar is a point, and what is less than a dollar is none",
//!       "input": { "event": { "body": { "Sale": { "total": 3749 } } } },
//!       "expect": { "awards": [{ "amount": { "Base": 37 } }] }
//!     }
//!   ]
//! }
//! ```
//!
//! - `config`, `shop` and `input` of a case are laid over those of the file, key by key; a list, or
//!   another variant, replaces what was there, and a `null` in a configuration takes a key away.
//!   The shop is one in New York with USD and the tiers silver, gold and platinum, unless
//!   something else is said.
//! - `input` has the shape of the contract's record, and what it leaves out is
//!   [completed](complete): a sale needs no more than its total.
//! - An instant may be written as `"2026-03-02T12:00:00Z"`, or from the step's `now` on as
//!   `"+30d"`, `"-365d +1ms"` (`w`, `d`, `h`, `m`, `s`, `ms`).
//! - `expect` names the parts of the answer that matter. A list has to have as many items as are
//!   expected.
//! - Instead of `expect` a case may say `refused`, with some of the words of the reason, or
//!   `fault`, with some of the message.
//! - Instead of `input` and `expect` a case may have `steps` with both. What one step remembers
//!   is the next one's state, and its `now` begins where the last one was. `remembers` says what
//!   must be remembered after a step, as JSON; `state` in the input is JSON, too.

mod complete;
mod instants;
mod matching;

use std::fmt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use serde_json::Value;

pub use complete::complete;
pub use matching::Difference;
pub use serde_json::json;

use crate::rule;
use crate::types::{Input, Instant, Memory, Refusal, Shop};
use crate::{Plugin, Role};

/// One case: questions in a row about the same customer.
#[derive(Debug, Clone)]
pub struct Case {
    /// The file it is from, if it is from one.
    pub file: PathBuf,
    pub name: String,
    steps: Vec<Step>,
}

impl Case {
    /// The configurations of its steps, for checking them against the schema of a manifest.
    pub fn configurations(&self) -> impl Iterator<Item = &Value> {
        self.steps.iter().map(|step| &step.config)
    }

    /// How many questions it asks.
    pub fn questions(&self) -> usize {
        self.steps.len()
    }

    /// True if the case is about a configuration or an event that is refused.
    pub fn is_refused(&self) -> bool {
        let refused = |step: &Step| matches!(step.expected, Expected::Refused(_));
        self.steps.iter().any(refused)
    }
}

#[derive(Debug, Clone)]
struct Step {
    role: Role,
    config: Value,
    shop: Shop,
    input: Value,
    expected: Expected,
    remembers: Option<Value>,
}

#[derive(Debug, Clone)]
enum Expected {
    Answer(Value),
    Refused(String),
    Fault(String),
}

/// A file that holds no cases.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{path}: {source}", path = .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path}: {source}", path = .path.display())]
    Format {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{path}, {case:?}: {problem}", path = .path.display())]
    Case {
        path: PathBuf,
        case: String,
        problem: String,
    },
    #[error("{path} has no cases: no file in it ends in .json", path = .path.display())]
    NoFiles { path: PathBuf },
}

/// A case that did not come out as it says.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{file}, {case:?}, step {step}: {problem}", file = .file.display())]
pub struct Failure {
    pub file: PathBuf,
    pub case: String,
    /// From 1.
    pub step: usize,
    pub problem: Problem,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("the input is none: {0}")]
    Input(String),
    #[error("the answer differs:\n{}", Lines(.0))]
    Differs(Vec<Difference>),
    #[error("{0}")]
    NoAnswer(NoAnswer),
    #[error("it was to be refused with other words; they were {0}")]
    OtherWords(NoAnswer),
    #[error("it was to be refused, and the answer was {0}")]
    NotRefused(Value),
    #[error("the same question got two answers: {0} and {1}")]
    NotRepeatable(String, String),
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoAnswer {
    #[error("{}", told(.0))]
    Refusal(Refusal),
    /// What no SDK can catch: a trap, a limit, an answer that the host refuses. Only a component
    /// comes to that.
    #[error("{0}")]
    Failed(String),
}

impl From<Refusal> for NoAnswer {
    fn from(refusal: Refusal) -> Self {
        NoAnswer::Refusal(refusal)
    }
}

fn told(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Rejected(reason) => format!("refused: {reason}"),
        Refusal::Fault(fault) if fault.trace.is_empty() => format!("fault: {}", fault.message),
        Refusal::Fault(fault) => format!("fault: {}\n{}", fault.message, fault.trace),
    }
}

struct Lines<'a>(&'a [Difference]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Difference::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// Runs every case in a folder against a rule, and panics with all that failed. It is what a
/// plugin's test calls: `stampcard_sdk::cases::check_all::<MyRule>("cases")`.
#[track_caller]
pub fn check_all<R: Plugin>(dir: impl AsRef<Path>) {
    let cases = load(dir).unwrap_or_else(|error| panic!("{error}"));
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| run(case, ask::<R>).err())
        .map(|failure| failure.to_string())
        .collect();
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

/// Runs one case that is written in code, for tables and properties; it panics if the answer is
/// another. `input` and `expect` are as in a file.
#[track_caller]
pub fn check<R: Plugin>(role: Role, config: Value, input: Value, expect: Value) {
    let case = Case {
        file: PathBuf::from("(in code)"),
        name: "check".into(),
        steps: vec![Step {
            role,
            config,
            shop: default_shop(),
            input,
            expected: Expected::Answer(expect),
            remembers: None,
        }],
    };
    if let Err(failure) = run(&case, ask::<R>) {
        panic!("{failure}");
    }
}

/// Configures the rule and asks it, as ordinary Rust. This is how [`run`] is given a rule; a host
/// gives it a component instead.
pub fn ask<R: Plugin>(
    role: Role,
    configuration: &str,
    shop: &Shop,
    input: &Input,
) -> Result<Value, Refusal> {
    let rule: R = rule::configure(configuration, shop)?;
    let answer = rule.decide(role, input)?;
    Ok(serde_json::to_value(answer)?)
}

/// Runs one case. `ask` gets the role, the configuration as JSON, the shop and the input, and
/// returns the role's answer record as serde writes it.
pub fn run<E: Into<NoAnswer>>(
    case: &Case,
    mut ask: impl FnMut(Role, &str, &Shop, &Input) -> Result<Value, E>,
) -> Result<(), Failure> {
    let mut ask = |role: Role, configuration: &str, shop: &Shop, input: &Input| {
        ask(role, configuration, shop, input).map_err(E::into)
    };
    let mut before = Before::default();
    for (index, step) in case.steps.iter().enumerate() {
        run_step(step, &mut before, &mut ask).map_err(|problem| Failure {
            file: case.file.clone(),
            case: case.name.clone(),
            step: index + 1,
            problem,
        })?;
    }
    Ok(())
}

/// What one step hands to the next.
#[derive(Debug, Default)]
struct Before {
    now: Option<Instant>,
    state: Option<Vec<u8>>,
}

fn run_step(
    step: &Step,
    before: &mut Before,
    ask: &mut impl FnMut(Role, &str, &Shop, &Input) -> Result<Value, NoAnswer>,
) -> Result<(), Problem> {
    let mut input =
        complete::complete_after(&step.input, &step.shop, before.now).map_err(Problem::Input)?;
    if input.state.is_none() {
        input.state = before.state.take();
    }
    let configuration = step.config.to_string();
    let answer = ask(step.role, &configuration, &step.shop, &input);
    let again = ask(step.role, &configuration, &step.shop, &input);
    if answer != again {
        let text = |answer| format!("{answer:?}");
        return Err(Problem::NotRepeatable(text(answer), text(again)));
    }

    before.now = Some(input.now);
    before.state = match &answer {
        Ok(answer) => remembered(answer, input.state)?,
        Err(_) => input.state,
    };
    let mut differences = match (&step.expected, answer) {
        (Expected::Answer(expected), Ok(answer)) => {
            let expected = instants::resolved(expected, input.now).map_err(Problem::Input)?;
            matching::differences("", &expected, &answer)
        }
        (Expected::Refused(words), Err(NoAnswer::Refusal(Refusal::Rejected(reason))))
            if reason.contains(words) =>
        {
            Vec::new()
        }
        (Expected::Fault(words), Err(NoAnswer::Refusal(Refusal::Fault(fault))))
            if fault.message.contains(words) =>
        {
            Vec::new()
        }
        (Expected::Answer(_), Err(none)) => return Err(Problem::NoAnswer(none)),
        (_, Err(none)) => return Err(Problem::OtherWords(none)),
        (_, Ok(answer)) => return Err(Problem::NotRefused(answer)),
    };
    if let Some(expected) = &step.remembers {
        let state = before.state.as_deref().unwrap_or(b"null");
        let state = serde_json::from_slice(state).unwrap_or(Value::from(state));
        differences.extend(matching::differences("remembered", expected, &state));
    }
    match differences.is_empty() {
        true => Ok(()),
        false => Err(Problem::Differs(differences)),
    }
}

/// What the plugin remembers after this answer.
fn remembered(answer: &Value, state: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Problem> {
    let memory = answer["after"]["memory"].clone();
    match serde_json::from_value(memory) {
        Ok(Memory::Keep) => Ok(state),
        Ok(Memory::Replace(bytes)) => Ok(Some(bytes)),
        Ok(Memory::Forget) => Ok(None),
        Err(error) => Err(Problem::NoAnswer(NoAnswer::Failed(format!(
            "after.memory is not the contract's: {error}"
        )))),
    }
}

/// The shop of a case that names none.
pub fn default_shop() -> Shop {
    Shop {
        currency: "USD".into(),
        minor_units: 100,
        time_zone: "America/New_York".into(),
        country: "US".into(),
        language: "en-US".into(),
        tiers: ["silver", "gold", "platinum"].map(String::from).into(),
        attributes: Vec::new(),
    }
}

/// Reads every `.json` file of a folder, in the order of their names.
pub fn load(dir: impl AsRef<Path>) -> Result<Vec<Case>, LoadError> {
    let dir = dir.as_ref();
    let mut files = files_in(dir).map_err(|source| LoadError::Read {
        path: dir.to_owned(),
        source,
    })?;
    files.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    files.sort();
    if files.is_empty() {
        return Err(LoadError::NoFiles {
            path: dir.to_owned(),
        });
    }
    let mut cases = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).map_err(|source| LoadError::Read {
            path: path.clone(),
            source,
        })?;
        cases.extend(parse(&path, &text)?);
    }
    Ok(cases)
}

fn files_in(dir: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}

/// Reads the cases of one file. The path is only for messages.
pub fn parse(path: &Path, text: &str) -> Result<Vec<Case>, LoadError> {
    let file: File = serde_json::from_str(text).map_err(|source| LoadError::Format {
        path: path.to_owned(),
        source,
    })?;
    let shared = &file.shared;
    let cases = file.cases.into_iter().map(|case| {
        let name = case.name.clone();
        steps(shared, case).map_or_else(
            |problem| {
                Err(LoadError::Case {
                    path: path.to_owned(),
                    case: name.clone(),
                    problem,
                })
            },
            |steps| {
                Ok(Case {
                    file: path.to_owned(),
                    name: name.clone(),
                    steps,
                })
            },
        )
    });
    cases.collect()
}

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// For the reader.
    #[serde(default, rename = "about")]
    _about: String,
    #[serde(flatten)]
    shared: Shared,
    cases: Vec<CaseText>,
}

#[derive(Deserialize, Default)]
struct Shared {
    role: Option<Role>,
    #[serde(default = "empty")]
    config: Value,
    #[serde(default = "empty")]
    shop: Value,
    #[serde(default = "empty")]
    input: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseText {
    name: String,
    role: Option<Role>,
    #[serde(default = "empty")]
    config: Value,
    #[serde(default = "empty")]
    shop: Value,
    #[serde(default = "empty")]
    input: Value,
    #[serde(default)]
    expect: Option<Value>,
    #[serde(default)]
    refused: Option<String>,
    #[serde(default)]
    fault: Option<String>,
    #[serde(default, deserialize_with = "given")]
    remembers: Option<Value>,
    #[serde(default)]
    steps: Vec<StepText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepText {
    role: Option<Role>,
    #[serde(default = "empty")]
    input: Value,
    #[serde(default)]
    expect: Option<Value>,
    #[serde(default)]
    refused: Option<String>,
    #[serde(default)]
    fault: Option<String>,
    #[serde(default, deserialize_with = "given")]
    remembers: Option<Value>,
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Tells `null` from nothing at all.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn steps(shared: &Shared, case: CaseText) -> Result<Vec<Step>, String> {
    let config = without_nulls(matching::over(&shared.config, &case.config));
    let shop = serde_json::to_value(default_shop()).map_err(|error| error.to_string())?;
    let shop = matching::over(&matching::over(&shop, &shared.shop), &case.shop);
    let shop: Shop = serde_json::from_value(shop).map_err(|error| format!("shop: {error}"))?;
    let input = matching::over(&shared.input, &case.input);
    let role = case.role.or(shared.role);

    let single = StepText {
        role,
        input: empty(),
        expect: case.expect,
        refused: case.refused,
        fault: case.fault,
        remembers: case.remembers,
    };
    let outcome = single.expect.is_some() || single.refused.is_some() || single.fault.is_some();
    let texts = match (case.steps.is_empty(), outcome) {
        (true, _) => vec![single],
        (false, false) => case.steps,
        (false, true) => return Err("it has steps, so only they say what to expect".into()),
    };
    let step = |text: StepText| {
        let expected = match (text.expect, text.refused, text.fault) {
            (Some(answer), None, None) => Expected::Answer(answer),
            (None, Some(words), None) => Expected::Refused(words),
            (None, None, Some(words)) => Expected::Fault(words),
            _ => return Err("it needs one of expect, refused and fault".to_owned()),
        };
        Ok(Step {
            role: text.role.or(role).ok_or("it needs a role")?,
            config: config.clone(),
            shop: shop.clone(),
            input: matching::over(&input, &text.input),
            expected,
            remembers: text.remembers,
        })
    };
    texts.into_iter().map(step).collect()
}

/// A configuration is written in TOML, which has no null: here it takes a key away.
fn without_nulls(config: Value) -> Value {
    match config {
        Value::Object(fields) => {
            let given = fields.into_iter().filter(|(_, value)| !value.is_null());
            given
                .map(|(key, value)| (key, without_nulls(value)))
                .collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
