//! The rules of then: a call that failed then fails again, and what a call used is what it used
//! then, whatever this machine would make of it.

use parking_lot::Mutex;
use stampcard_pipeline::change::Answered;
use stampcard_pipeline::event::{Event, EventName, Position};
use stampcard_pipeline::rules::{
    Call, Failure, FollowUpAnswer, Input, Plugin, PointAnswer, Role, Rules, SegmentAnswer,
    TierAnswer, Usage,
};
use stampcard_pipeline::store::StoreError;
use stampcard_runtime::RuleBook;
use stampcard_store::Reads;
use std::collections::HashMap;
use std::sync::Arc;

/// Explanations that are read at once.
const PAGE: u32 = 512;

/// A rule book with the failures of then.
pub(super) struct AsThen<'a> {
    pub book: &'a RuleBook,
    pub then: &'a Then,
}

impl AsThen<'_> {
    fn call<A>(
        &self,
        plugin: usize,
        role: Role,
        event: &Event,
        call: impl FnOnce() -> Call<A>,
    ) -> Call<A> {
        let key = (
            event.position(),
            self.book.plugins()[plugin].name.clone(),
            role,
        );
        if let Some((failure, usage)) = self.then.failure(&key) {
            return Call {
                result: Err(failure),
                usage,
            };
        }
        let call = call();
        Call {
            usage: self.then.usage(&key).unwrap_or(call.usage),
            ..call
        }
    }
}

impl Rules for AsThen<'_> {
    fn plugins(&self) -> &[Plugin] {
        self.book.plugins()
    }

    fn segment_rule(
        &self,
        plugin: usize,
        event: &Arc<Event>,
        input: &Input,
    ) -> Call<SegmentAnswer> {
        self.call(plugin, Role::SegmentRule, event, || {
            self.book.segment_rule(plugin, event, input)
        })
    }

    fn point_formula(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<PointAnswer> {
        self.call(plugin, Role::PointFormula, event, || {
            self.book.point_formula(plugin, event, input)
        })
    }

    fn tier_rule(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<TierAnswer> {
        self.call(plugin, Role::TierRule, event, || {
            self.book.tier_rule(plugin, event, input)
        })
    }

    fn follow_up_trigger(
        &self,
        plugin: usize,
        event: &Arc<Event>,
        input: &Input,
    ) -> Call<FollowUpAnswer> {
        self.call(plugin, Role::FollowUpTrigger, event, || {
            self.book.follow_up_trigger(plugin, event, input)
        })
    }
}

/// One call: the step, the plugin's name, and its role.
type CallKey = (Position, String, Role);

/// What was recorded of the calls then.
pub(super) struct Then {
    /// The calls that failed. There are few: a failure is an event of its own for whoever watches.
    failures: HashMap<CallKey, Vec<Failed>>,
    now: Mutex<Now>,
}

struct Failed {
    /// On whose arrival; `None` for a review that the journal does not hold.
    caused_by: Option<EventName>,
    failure: Failure,
    usage: Usage,
}

/// The event that is being decided.
#[derive(Default)]
struct Now {
    arrived: EventName,
    /// What its own calls used.
    usage: HashMap<CallKey, Usage>,
    books: Books,
    /// Failures that were taken since the start.
    taken: u64,
}

impl Then {
    pub fn find(reads: &Reads) -> Result<Then, StoreError> {
        let mut failures: HashMap<_, Vec<Failed>> = HashMap::new();
        let mut books = Books::default();
        let mut after = 0;
        loop {
            let page = reads.all_explanations(after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.number;
            for row in page {
                let plugins = books.plugins(reads, row.rule_book)?;
                for call in &row.explanation.calls {
                    let (Some(failure), usage) = came_to(&call.answer) else {
                        continue;
                    };
                    let Some(plugin) = plugins.get(call.plugin as usize) else {
                        continue;
                    };
                    let failed = Failed {
                        caused_by: row.caused_by.clone(),
                        failure,
                        usage,
                    };
                    failures
                        .entry((row.position.clone(), plugin.name.clone(), call.role))
                        .or_default()
                        .push(failed);
                }
            }
        }
        Ok(Then {
            failures,
            now: Mutex::default(),
        })
    }

    /// Says which event is being decided.
    pub fn begin(&self, reads: &Reads, arrived: EventName) -> Result<(), StoreError> {
        let mut usage = HashMap::new();
        let mut now = self.now.lock();
        for row in reads.explanations(&arrived)? {
            if row.caused_by.as_ref() != Some(&arrived) {
                continue;
            }
            let plugins = now.books.plugins(reads, row.rule_book)?;
            for call in row.explanation.calls {
                let Some(plugin) = plugins.get(call.plugin as usize) else {
                    continue;
                };
                usage.insert(
                    (row.position.clone(), plugin.name.clone(), call.role),
                    came_to(&call.answer).1,
                );
            }
        }
        (now.arrived, now.usage) = (arrived, usage);
        Ok(())
    }

    /// How this call failed then, if it did.
    fn failure(&self, key: &CallKey) -> Option<(Failure, Usage)> {
        let failed = self.failures.get(key)?;
        let mut now = self.now.lock();
        let found = failed.iter().find(|failed| {
            failed
                .caused_by
                .as_ref()
                .is_none_or(|by| *by == now.arrived)
        })?;
        now.taken += 1;
        Some((found.failure.clone(), found.usage))
    }

    fn usage(&self, key: &CallKey) -> Option<Usage> {
        self.now.lock().usage.get(key).copied()
    }

    pub fn taken(&self) -> u64 {
        self.now.lock().taken
    }
}

/// The plugins of rule books that were looked up.
#[derive(Default)]
struct Books(HashMap<i64, Arc<Vec<Plugin>>>);

impl Books {
    fn plugins(&mut self, reads: &Reads, number: i64) -> Result<Arc<Vec<Plugin>>, StoreError> {
        if let Some(plugins) = self.0.get(&number) {
            return Ok(Arc::clone(plugins));
        }
        let plugins = reads
            .rule_book(number)?
            .map_or_else(Arc::default, |book| Arc::clone(&book.plugins));
        self.0.insert(number, Arc::clone(&plugins));
        Ok(plugins)
    }
}

/// How a call failed, if it did, and what it used.
fn came_to(answer: &Answered) -> (Option<Failure>, Usage) {
    fn of<A>(call: &Call<A>) -> (Option<Failure>, Usage) {
        // A rule that says no says so again.
        (
            call.result
                .as_ref()
                .err()
                .filter(|failure| failure.counts())
                .cloned(),
            call.usage,
        )
    }
    match answer {
        Answered::Segments(call) => of(call),
        Answered::Points(call) => of(call),
        Answered::Tier(call) => of(call),
        Answered::FollowUps(call) => of(call),
    }
}
