//! A plugin that its author tries out: loaded as a shop would load it, and then asked with whatever
//! configuration, shop and input a case has, under the limits that it has in a shop.
//!
//! Inputs and answers are JSON in the contract's words as Rust has them, which is how the SDK's
//! cases are written.

use crate::bindings as wit;
use crate::call::{self, Decided, Subject};
use crate::engine::Engine;
use crate::limits::{EVENT_FUEL, Limits};
use crate::log::Line;
use crate::plugin::{Candidate, LoadError, Plugin, Source, canonical, problems};
use serde::Deserialize;
use serde_json::Value;
use stampcard_pipeline::rules::{self, Call, Role, Usage};
use stampcard_pipeline::shop::Shop;
use std::time::{Duration, Instant};

/// A plugin on trial.
pub struct Trial {
    plugin: Plugin,
    schema: Option<jsonschema::Validator>,
}

/// One question of a case.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub role: Role,
    pub configuration: &'a Value,
    /// The contract's record `shop`.
    pub shop: &'a Value,
    /// The contract's record `input`, whole.
    pub input: &'a Value,
}

/// What came of a question.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The answer, and what it took.
    pub call: Call<Value>,
    /// What the plugin said meanwhile.
    pub log: Vec<Line>,
}

/// What a question took, asked many times.
#[derive(Clone, Debug, Default)]
pub struct Timed {
    /// Of the last call in a fresh instance; fuel is the same for all.
    pub usage: Usage,
    /// In a fresh instance for each call, as a shop has it unless its operator wants it otherwise.
    pub fresh: Vec<Duration>,
    /// In one instance that is kept. There are fewer if a call has no answer, or not that of a fresh
    /// instance.
    pub reused: Vec<Duration>,
    /// Whether a fresh instance has an answer at all.
    pub is_answered: bool,
}

fn time<D: Decided>(subject: &Subject, input: &wit::Input, times: usize) -> Timed {
    let mut timed = Timed::default();
    let mut answer = None;
    for _ in 0..times {
        let began = Instant::now();
        let call = call::decide::<D>(subject, input, EVENT_FUEL);
        timed.fresh.push(began.elapsed());
        timed.usage = call.usage;
        answer = call.result.ok();
    }
    if let Some(answer) = answer {
        timed.is_answered = true;
        timed.reused = call::time_reused::<D>(subject, input, &answer, times);
    }
    timed
}

/// Why a question cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error("{plugin} has no role {}", .role.name())]
    NoRole { plugin: String, role: Role },
    #[error("the {what} does not have the contract's shape: {source}")]
    Shape {
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

impl Trial {
    /// Loads a plugin with the configuration that its own file has, and refuses it as a shop would.
    pub fn load(engine: &Engine, shop: &Shop, candidate: &Candidate) -> Result<Trial, LoadError> {
        let plugin = Plugin::load(engine, shop, candidate, &[])?;
        let schema = Source::of(candidate, &[])?.schema(&candidate.name)?;
        Ok(Trial { plugin, schema })
    }

    /// The plugin, as the line knows it.
    pub fn about(&self) -> &rules::Plugin {
        &self.plugin.about
    }

    /// What one call of it may use.
    pub fn limits(&self) -> &Limits {
        self.plugin.subject().limits
    }

    /// Why the manifest's schema refuses a configuration; empty if it does not.
    pub fn problems(&self, configuration: &Value) -> Vec<String> {
        let schema = self.schema.as_ref();
        schema.map_or_else(Vec::new, |schema| problems(schema, configuration))
    }

    /// Asks a fresh instance, as every call of a shop does.
    pub fn ask(&self, question: Question) -> Result<Tried, CaseError> {
        let (call, log) = self.with(question, |subject, role, input| match role {
            Role::SegmentRule => call::decide_case::<wit::SegmentAnswer>(subject, input),
            Role::PointFormula => call::decide_case::<wit::PointAnswer>(subject, input),
            Role::TierRule => call::decide_case::<wit::TierAnswer>(subject, input),
            Role::FollowUpTrigger => call::decide_case::<wit::FollowUpAnswer>(subject, input),
        })?;
        Ok(Tried { call, log })
    }

    /// Asks so many times, each in a fresh instance, and then as often in one that is kept.
    pub fn time(&self, question: Question, times: usize) -> Result<Timed, CaseError> {
        self.with(question, |subject, role, input| match role {
            Role::SegmentRule => time::<wit::SegmentAnswer>(subject, input, times),
            Role::PointFormula => time::<wit::PointAnswer>(subject, input, times),
            Role::TierRule => time::<wit::TierAnswer>(subject, input, times),
            Role::FollowUpTrigger => time::<wit::FollowUpAnswer>(subject, input, times),
        })
    }

    fn with<T>(
        &self,
        question: Question,
        ask: impl FnOnce(&Subject, Role, &wit::Input) -> T,
    ) -> Result<T, CaseError> {
        let Question { role, .. } = question;
        if !self.plugin.about.roles.contains(&role) {
            return Err(CaseError::NoRole {
                plugin: self.plugin.about.name.clone(),
                role,
            });
        }
        let shape = |what| move |source| CaseError::Shape { what, source };
        let input = wit::Input::deserialize(question.input).map_err(shape("input"))?;
        let shop = wit::Shop::deserialize(question.shop).map_err(shape("shop"))?;
        let configuration = canonical(question.configuration);
        let subject = Subject {
            configuration: &configuration,
            shop: &shop,
            ..self.plugin.subject()
        };
        Ok(ask(&subject, role, &input))
    }
}
