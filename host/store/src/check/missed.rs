//! Who owes an answer to which step: what the explanations say, and what is kept so that a mended
//! plugin is asked again.

use super::Findings;
use crate::error::Trouble;
use crate::row::position;
use crate::sql::Sql;
use stampcard_pipeline::change::{Answered, CustomerId, Explanation};
use stampcard_pipeline::event::Position;
use stampcard_pipeline::rules::{Failure, Instance};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What the explanations say, for the steps at which some call failed once.
pub(super) struct Owed {
    /// The name of each plugin of each rule book, by its index there.
    names: HashMap<(i64, u32), String>,
    /// Steps to which somebody is kept to owe an answer.
    kept: HashSet<(i64, Position)>,
    steps: BTreeMap<(i64, Position), Step>,
}

#[derive(Default)]
struct Step {
    /// Plugins that gave no answer when it was decided last.
    last: BTreeSet<String>,
    /// Those that ever gave none.
    ever: BTreeSet<String>,
    /// Those whose answer was of a kept instance then: it may be doubted.
    from_kept: BTreeSet<String>,
}

impl Owed {
    pub fn new(sql: &Sql) -> Result<Owed, Trouble> {
        let names = sql.all(
            "SELECT p.rule_book, p.position, v.name FROM rule_book_plugins p
             JOIN plugin_versions v ON v.id = p.plugin_version",
            &[],
            |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)),
        )?;
        let kept = sql.all("SELECT customer, at, source, id FROM missed", &[], |row| {
            Ok((row.get(0)?, position(row, 1)?))
        })?;
        Ok(Owed {
            names: names.into_iter().collect(),
            kept: kept.into_iter().collect(),
            steps: BTreeMap::new(),
        })
    }

    /// Takes the next explanation, in the order in which they were written.
    pub fn see(&mut self, customer: i64, rule_book: i64, explanation: &Explanation) {
        let names_of = |is_it: &dyn Fn(&Answered) -> bool| -> BTreeSet<String> {
            let calls = explanation.calls.iter();
            let calls = calls.filter(|call| is_it(&call.answer));
            calls
                .filter_map(|call| self.names.get(&(rule_book, call.plugin)).cloned())
                .collect()
        };
        let failed = names_of(&|answer| answer.failure().is_some_and(Failure::counts));
        let key = (customer, explanation.position.clone());
        if failed.is_empty() && !self.kept.contains(&key) && !self.steps.contains_key(&key) {
            return;
        }
        let from_kept = names_of(&|answer| answer.usage().instance == Instance::Kept);
        let step = self.steps.entry(key).or_default();
        step.ever.extend(failed.iter().cloned());
        step.last = failed;
        step.from_kept = from_kept;
    }

    pub fn compare(mut self, sql: &Sql, findings: &mut Findings) -> Result<(), Trouble> {
        let mut kept: BTreeMap<(i64, Position), (CustomerId, BTreeSet<String>)> = BTreeMap::new();
        sql.each::<Trouble>(
            "SELECT m.customer, c.public, m.at, m.source, m.id, m.plugin
             FROM missed m JOIN customers c ON c.id = m.customer",
            &[],
            |row| {
                let key = (row.get(0)?, position(row, 2)?);
                let id = CustomerId(row.get(1)?);
                let (_, plugins) = kept.entry(key).or_insert_with(|| (id, BTreeSet::new()));
                plugins.insert(row.get(5)?);
                Ok(())
            },
        )?;
        for (key, (id, found)) in kept {
            let step = self.steps.remove(&key).unwrap_or_default();
            // Two reviews of one instant are one step, and what the first missed stays owed.
            let without_answer = match key.1.source.is_empty() {
                true => &step.ever,
                false => &step.last,
            };
            let may_be_owed = without_answer | &step.from_kept;
            if !step.last.is_subset(&found) || !found.is_subset(&may_be_owed) {
                differ(findings, Some(&id), &key.1, &step.last, &found);
            }
        }
        for ((_, position), step) in self.steps {
            if !step.last.is_empty() {
                differ(findings, None, &position, &step.last, &BTreeSet::new());
            }
        }
        Ok(())
    }
}

fn differ(
    findings: &mut Findings,
    customer: Option<&CustomerId>,
    at: &Position,
    expected: &BTreeSet<String>,
    found: &BTreeSet<String>,
) {
    let text = |plugins: &BTreeSet<String>| match plugins.is_empty() {
        true => "nobody".to_owned(),
        false => plugins.iter().cloned().collect::<Vec<_>>().join(", "),
    };
    let step = match at.source.is_empty() {
        true => format!("the review at {}", at.at.0),
        false => format!("{}/{}", at.source, at.id),
    };
    findings.differ(
        customer,
        format!("who owes an answer to {step}"),
        text(expected),
        text(found),
    );
}
