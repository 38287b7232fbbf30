//! The rules of then: a call that failed then fails again, and what a call used is what it used
//! then, whatever this machine would make of it. What a kept instance answered that remembered others
//! is answered again, because what it remembered is nowhere.

use parking_lot::Mutex;
use stampcard_pipeline::change::Answered;
use stampcard_pipeline::event::{Event, EventName, Position};
use stampcard_pipeline::rules::{
    Call, Failure, FollowUpAnswer, Input, Instance, Plugin, PointAnswer, Role, Rules,
    SegmentAnswer, TierAnswer, Usage,
};
use stampcard_pipeline::store::StoreError;
use stampcard_pipeline::walk::Answer;
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
    fn call<A: Answer>(
        &self,
        plugin: usize,
        event: &Event,
        call: impl FnOnce() -> Call<A>,
    ) -> Call<A> {
        let key = (
            event.position(),
            self.book.plugins()[plugin].name.clone(),
            A::ROLE,
        );
        if let Some(call) = self.then.taken_again::<A>(&key) {
            return call;
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
        self.call(plugin, event, || {
            self.book.segment_rule(plugin, event, input)
        })
    }

    fn point_formula(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<PointAnswer> {
        self.call(plugin, event, || {
            self.book.point_formula(plugin, event, input)
        })
    }

    fn tier_rule(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<TierAnswer> {
        self.call(plugin, event, || self.book.tier_rule(plugin, event, input))
    }

    fn follow_up_trigger(
        &self,
        plugin: usize,
        event: &Arc<Event>,
        input: &Input,
    ) -> Call<FollowUpAnswer> {
        self.call(plugin, event, || {
            self.book.follow_up_trigger(plugin, event, input)
        })
    }
}

/// One call: the step, the plugin's name, and its role.
type CallKey = (Position, String, Role);

/// What was recorded of the calls then.
pub(super) struct Then {
    /// The calls that failed, and what kept instances answered of plugins that were found out. There
    /// are few: either is an event of its own for whoever watches.
    to_take: HashMap<CallKey, Vec<ToTake>>,
    now: Mutex<Now>,
}

struct ToTake {
    /// On whose arrival; `None` for a review that the journal does not hold.
    caused_by: Option<EventName>,
    answer: Answered,
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
        let mut to_take: HashMap<_, Vec<ToTake>> = HashMap::new();
        let mut books = Books::default();
        let found_out = found_out(reads)?;
        let mut after = 0;
        loop {
            let page = reads.all_explanations(after, PAGE)?;
            let Some(last) = page.last() else { break };
            after = last.number;
            for row in page {
                let plugins = books.plugins(reads, row.rule_book)?;
                for call in row.explanation.calls {
                    let Some(plugin) = plugins.get(call.plugin as usize) else {
                        continue;
                    };
                    // A rule that says no says so again.
                    let failed = call.answer.failure().is_some_and(Failure::counts);
                    let remembered = call.answer.usage().instance == Instance::Kept
                        && found_out.iter().any(|found| found.is_same_as(plugin));
                    if failed || remembered {
                        let key = (row.position.clone(), plugin.name.clone(), call.role);
                        to_take.entry(key).or_default().push(ToTake {
                            caused_by: row.caused_by.clone(),
                            answer: call.answer,
                        });
                    }
                }
            }
        }
        Ok(Then {
            to_take,
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
                    call.answer.usage(),
                );
            }
        }
        (now.arrived, now.usage) = (arrived, usage);
        Ok(())
    }

    /// What this call came to then, if that is to be taken.
    fn taken_again<A: Answer>(&self, key: &CallKey) -> Option<Call<A>> {
        let to_take = self.to_take.get(key)?;
        let mut now = self.now.lock();
        let found = to_take
            .iter()
            .find(|it| it.caused_by.as_ref().is_none_or(|by| *by == now.arrived))?;
        now.taken += u64::from(!found.answer.is_ok());
        A::from_recorded(&found.answer).cloned()
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

/// The plugins that were found to remember, as they were then.
fn found_out(reads: &Reads) -> Result<Vec<Plugin>, StoreError> {
    let newest = reads.newest_rule_book()?.map_or(0, |book| book.number);
    let mut found = Vec::new();
    for number in 1..=newest {
        let Some(book) = reads.rule_book(number)? else {
            continue;
        };
        let plugins = book.plugins.iter();
        found.extend(
            plugins
                .filter(|it| it.isolation.found_out().is_some())
                .cloned(),
        );
    }
    Ok(found)
}
