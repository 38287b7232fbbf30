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
use stampcard_runtime::limits::SAMPLE_ONE_IN;
use stampcard_runtime::trial::{Question, Trial};
use stampcard_sdk::cases::{self, Case, NoAnswer};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// Measure what a plugin's calls cost: fuel, time and memory of each question of its cases.
///
/// A fresh instance for each call is what a shop has, unless its operator writes `isolation =
/// "verified-reuse"` beside `[config]`; what that would save is told. Fuel is exact and the same on
/// every machine of this version; times are of this machine as it is now.
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
    /// What is recommended to operators; absent where no question has an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    recommended: Option<Recommended>,
}

/// What a plugin's calls should run in, and why.
#[derive(Debug, PartialEq, Serialize)]
struct Recommended {
    isolation: &'static str,
    because: String,
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
    /// In one that is kept; absent where a call has no answer, or not that of a fresh instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    reused: Option<Times>,
    /// A fresh instance has an answer. What it refuses says nothing about instances that are kept.
    #[serde(skip)]
    is_answered: bool,
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
            recommended: recommended(&questions),
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
            is_answered: timed.is_answered,
        })
    }
}

/// What a call must cost in a fresh instance before anything is worth doing about it, in nanoseconds. A
/// sale takes twenty times as long to reach the disk.
const WORTH_IT_NS: u64 = 100_000;
/// How many times cheaper it must get: there is no saving without a risk.
const CHEAPER_MIN: u64 = 2;

/// What the questions say about keeping instances; `None` if none of them has an answer.
fn recommended(questions: &[Asked]) -> Option<Recommended> {
    let answered = || questions.iter().filter(|asked| asked.is_answered);
    let count = answered().count() as u64;
    if count == 0 {
        return None;
    }
    let fresh = |because| {
        Some(Recommended {
            isolation: "fresh",
            because,
        })
    };
    if let Some(asked) = answered().find(|asked| asked.reused.is_none()) {
        return fresh(format!(
            "an instance that is kept does not answer {} step {} as a fresh one does",
            asked.case, asked.step
        ));
    }
    let of_fresh = answered().map(|asked| asked.fresh.p50_ns).sum::<u64>() / count;
    let reused = answered().filter_map(|asked| asked.reused);
    let of_kept = reused.map(|times| times.p50_ns).sum::<u64>() / count;
    let compared = of_kept + of_fresh / SAMPLE_ONE_IN;
    let (now, then) = (micros(of_fresh), micros(compared));
    if of_fresh < WORTH_IT_NS {
        return fresh(format!(
            "a call costs {now} µs, and with kept instances it would be {then} µs: nobody would notice"
        ));
    }
    if compared * CHEAPER_MIN > of_fresh {
        return fresh(format!(
            "a call costs {now} µs, and with kept instances it would be {then} µs: too little is saved"
        ));
    }
    Some(Recommended {
        isolation: "verified-reuse",
        because: format!(
            "a call would cost {then} µs instead of {now} µs, with one in {SAMPLE_ONE_IN} answers compared"
        ),
    })
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
    let recommended = figures.recommended.as_ref().map(|it| {
        format!(
            "\n\nRecommended: isolation = \"{}\", because {}.",
            it.isolation, it.because
        )
    });
    format!(
        "{}\n\nThe component has {} bytes. Each question was asked {} times; fuel is that of {}.{}",
        table(&heads, &rows),
        number(figures.bytes as i64),
        number(figures.calls.into()),
        figures.engine,
        recommended.unwrap_or_default(),
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

    /// A question with these times in nanoseconds.
    fn asked(fresh: u64, reused: Option<u64>) -> Asked {
        let times = |ns| Times {
            p50_ns: ns,
            p99_ns: ns,
        };
        Asked {
            case: "a sale".into(),
            step: 1,
            fuel: 1,
            fuel_limit: 1,
            memory_bytes: 1,
            fresh: times(fresh),
            reused: reused.map(times),
            is_answered: true,
        }
    }

    #[test]
    fn keeping_instances_is_recommended_where_it_saves_much_and_changes_nothing() {
        let told = |questions: &[Asked]| recommended(questions).expect("there are questions");
        let is = |questions: &[Asked], isolation, words: &str| {
            let told = told(questions);
            assert_eq!(told.isolation, isolation, "{told:?}");
            assert!(told.because.contains(words), "{told:?}");
        };
        is(&[asked(8_000, Some(2_000))], "fresh", "nobody would notice");
        is(
            &[asked(300_000, Some(200_000))],
            "fresh",
            "too little is saved",
        );
        let of_two = [asked(190_000, Some(26_000)), asked(210_000, Some(34_000))];
        is(&of_two, "verified-reuse", "42.5 µs instead of 200.0 µs");
        is(
            &[asked(1_300_000, Some(35_000)), asked(1, None)],
            "fresh",
            "does not answer a sale step 1",
        );
        let refused = Asked {
            is_answered: false,
            ..asked(1, None)
        };
        assert_eq!(recommended(&[refused]), None, "nothing is asked");
    }
}
