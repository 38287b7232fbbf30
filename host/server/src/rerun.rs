//! Recorded calls, run again: the input of then, in the plugin, with the configuration and within
//! the limits of then. The answer must be that of then, whatever is live now.

use crate::recorded::{self, For, RecordedError};
use serde::Serialize;
use serde_json::Value;
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::{Answered, Explanation, RecordedCall};
use stampcard_pipeline::event::Event;
use stampcard_pipeline::rules::{Failure, Input, Instance, ReviewCause};
use stampcard_runtime::{Engine, EngineError, RuleBook};
use stampcard_store::Reads;
use stampcard_store::reads::{ExplanationRow, JournalRow};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// What came of running it again.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rerun {
    /// Every call gave the answer of then.
    Same,
    /// What was said about the person is erased, and nothing is decided about them again.
    Erased,
    Differs(Vec<Difference>),
}

/// One place in which an answer is not that of then.
#[derive(Debug, PartialEq, Serialize)]
pub struct Difference {
    /// When the step happened.
    pub at: String,
    pub plugin: String,
    pub version: String,
    pub role: &'static str,
    /// The place in the answer, as a JSON pointer; empty for all of it.
    pub place: String,
    pub then: Value,
    /// Null where there is nothing now.
    pub now: Value,
    /// Why it need not be a mistake of anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<&'static str>,
}

/// Why it cannot be run again.
#[derive(Debug, thiserror::Error)]
pub enum RerunError {
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Store(#[from] stampcard_pipeline::store::StoreError),
    #[error(
        "rule book {0} decided this and is not in the database; `stampcard check` looks for what else is missing"
    )]
    NoRuleBook(i64),
    #[error("rule book {number} cannot be loaded again: {error}")]
    Rules { number: i64, error: RecordedError },
}

/// Places that are named of one answer; more say nothing more.
const PLACES_MAX: usize = 8;

const BY_THE_CLOCK: &str =
    "a deadline depends on the machine and not on the input, so it was not run again";
const FROM_KEPT: &str = "a kept instance answered then, and it remembered what it was asked before; where that was found out it was asked again";
const OTHER_VERSION: &str =
    "the input was recorded by a version of the host that this one cannot read";

/// Rule books that are kept loaded: an event and what came late to it have one or two.
const BOOKS_MAX: usize = 4;

/// Runs recorded calls again. It keeps the rules of then that it loaded last.
pub struct Reruns {
    engine: Engine,
    books: HashMap<i64, RuleBook>,
}

impl Reruns {
    pub fn new(engine: Engine) -> Reruns {
        Reruns {
            engine,
            books: HashMap::new(),
        }
    }

    /// The calls of one event, in the order of deciding.
    pub fn of(
        &mut self,
        reads: &Reads,
        row: &JournalRow,
        explanations: &[ExplanationRow],
    ) -> Result<Rerun, RerunError> {
        if is_erased(row) {
            return Ok(Rerun::Erased);
        }
        let own = Arc::new(row.event.clone());
        let mut differences = Vec::new();
        for row in explanations {
            if row.explanation.calls.is_empty() {
                continue;
            }
            let event = match row.explanation.is_review {
                true => Arc::new(of_no_journal(&row.explanation)),
                false => own.clone(),
            };
            let book = self.book(reads, row.rule_book)?;
            for call in &row.explanation.calls {
                differences.extend(again(book, &event, call));
            }
        }
        Ok(if differences.is_empty() {
            Rerun::Same
        } else {
            Rerun::Differs(differences)
        })
    }

    fn book(&mut self, reads: &Reads, number: i64) -> Result<&RuleBook, RerunError> {
        if self.books.len() >= BOOKS_MAX && !self.books.contains_key(&number) {
            self.books.clear();
        }
        match self.books.entry(number) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => Ok(place.insert(load(&self.engine, reads, number)?)),
        }
    }
}

/// What a step was about that has no event in the journal: what its calls were told says it.
fn of_no_journal(step: &Explanation) -> Event {
    let told = step
        .calls
        .iter()
        .find_map(|call| Input::decode(&call.input));
    let causes = told.map_or_else(Vec::new, |input| input.review);
    ReviewCause::event(&causes, step.position.at)
}

/// The event named somebody, and nothing of what it said about them is there any more.
fn is_erased(row: &JournalRow) -> bool {
    !row.event.identified_by.is_empty() && row.personal.identifiers.is_empty()
}

fn load(engine: &Engine, reads: &Reads, number: i64) -> Result<RuleBook, RerunError> {
    let book = reads
        .rule_book(number)?
        .ok_or(RerunError::NoRuleBook(number))?;
    let (_, rules) = recorded::load(engine, reads, &book, For::Rerun)
        .map_err(|error| RerunError::Rules { number, error })?;
    Ok(rules)
}

fn again(book: &RuleBook, event: &Arc<Event>, call: &RecordedCall) -> Vec<Difference> {
    use stampcard_pipeline::rules::Rules;
    let index = call.plugin as usize;
    let plugin = &book.plugins()[index];
    let difference = |place: String, then: Value, now: Value, because| Difference {
        at: calendar::text(event.at),
        plugin: plugin.name.clone(),
        version: plugin.version.clone(),
        role: call.role.name(),
        place,
        then,
        now,
        because,
    };
    let then = result(&call.answer);
    if let Some(Failure::Deadline { .. }) = call.answer.failure() {
        return vec![difference(
            String::new(),
            then,
            Value::Null,
            Some(BY_THE_CLOCK),
        )];
    }
    let Some(input) = Input::decode(&call.input) else {
        return vec![difference(
            String::new(),
            then,
            Value::Null,
            Some(OTHER_VERSION),
        )];
    };
    let fuel = match call.answer.failure() {
        // It was not run at all then.
        Some(Failure::Unavailable { .. }) => u64::MAX,
        _ => call.answer.usage().fuel_limit,
    };
    let now = result(&book.again(index, call.role, event, &input, fuel));
    let mut places = Vec::new();
    compare(&then, &now, String::new(), &mut places);
    let from_kept = call.answer.usage().instance == Instance::Kept;
    let because = from_kept.then_some(FROM_KEPT);
    places
        .into_iter()
        .map(|(place, then, now)| difference(place, then, now, because))
        .collect()
}

/// What was answered, without what it cost.
fn result(answered: &Answered) -> Value {
    let whole = serde_json::to_value(answered).expect("an answer is plain data");
    let call = whole.as_object().and_then(|role| role.values().next());
    let result = call.and_then(|call| call.get("result")).cloned();
    let result = result.unwrap_or_default();
    match result.get("Ok") {
        Some(answer) => answer.clone(),
        None => result,
    }
}

type Place = (String, Value, Value);

fn compare(then: &Value, now: &Value, at: String, places: &mut Vec<Place>) {
    if then == now || places.len() >= PLACES_MAX {
        return;
    }
    match (then, now) {
        (Value::Object(one), Value::Object(other)) => {
            let keys = one
                .keys()
                .chain(other.keys().filter(|key| !one.contains_key(*key)));
            for key in keys {
                let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned();
                let (then, now) = (of(one).unwrap_or_default(), of(other).unwrap_or_default());
                compare(&then, &now, format!("{at}/{key}"), places);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (then, now)) in one.iter().zip(other).enumerate() {
                compare(then, now, format!("{at}/{index}"), places);
            }
        }
        _ => places.push((at, then.clone(), now.clone())),
    }
}

/// The same for people.
pub fn tell(rerun: &Rerun) -> String {
    match rerun {
        Rerun::Same => {
            "Run again with the recorded inputs, in the recorded versions: the same answers.".into()
        }
        Rerun::Erased => "Not run again: what the event said about the person is erased.".into(),
        Rerun::Differs(differences) => {
            let mut told =
                String::from("Run again with the recorded inputs, in the recorded versions:");
            for it in differences {
                let place = if it.place.is_empty() {
                    "all of it"
                } else {
                    &it.place
                };
                told.push_str(&format!(
                    "\n  {} {} as {} at {} differs in {place}: {} then, {} now",
                    it.plugin, it.version, it.role, it.at, it.then, it.now
                ));
                if let Some(because) = it.because {
                    told.push_str(&format!(" ({because})"));
                }
            }
            told
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_is_named_by_its_place() {
        let then = json!({"awards": [{"amount": 40}, {"amount": 5}], "note": "x"});
        let now = json!({"awards": [{"amount": 80}, {"amount": 5}], "left": true});
        let mut places = Vec::new();
        compare(&then, &now, String::new(), &mut places);
        places.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(
            places,
            [
                ("/awards/0/amount".into(), json!(40), json!(80)),
                ("/left".into(), Value::Null, json!(true)),
                ("/note".into(), json!("x"), Value::Null),
            ]
        );
    }

    #[test]
    fn a_script_reads_one_word_where_all_is_well() {
        assert_eq!(serde_json::to_value(Rerun::Same).unwrap(), "same");
        assert_eq!(serde_json::to_value(Rerun::Erased).unwrap(), "erased");
        let differs = serde_json::to_value(Rerun::Differs(Vec::new())).unwrap();
        assert_eq!(differs, json!({"differs": []}));
    }
}
