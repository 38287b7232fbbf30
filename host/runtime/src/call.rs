//! One call of one plugin: a fresh instance, its limits, its answer or the class of its failure.
//!
//! Nothing outlives a call, so nothing that a plugin remembers can cross from one customer to
//! another; where an operator wants it otherwise, `kept.rs` sees to that. What happened is told by
//! types, never by the text of an error.

use crate::answer::{Weighed, weigh};
use crate::bindings as wit;
use crate::code::Code;
use crate::limits::{EVENT_FUEL, Limits};
use crate::log::{Level, Line, Log, harmless};
use crate::wasi::{Unavailable, World};
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::person::PersonField;
use stampcard_pipeline::rules::{self, Call, Failure, Role, Usage};
use wasmtime::component::{ComponentType, Instance, Lift, TypedFunc};
use wasmtime::{PoolConcurrencyLimitError, ResourceLimiter, Store, Trap};

/// What a call needs besides its input.
pub(crate) struct Subject<'a> {
    pub name: &'a str,
    pub code: &'a Code,
    pub limits: &'a Limits,
    /// The operator's configuration as JSON.
    pub configuration: &'a str,
    pub shop: &'a wit::Shop,
    /// What its texts may name.
    pub personal: &'a [PersonField],
}

/// A role's answer in the contract's types, and what it becomes in the line's.
pub(crate) trait Decided: ComponentType + Lift + Send + Sync + 'static {
    const ROLE: Role;
    type Answer: From<Self> + Weighed + PartialEq;
}

impl Decided for wit::SegmentAnswer {
    const ROLE: Role = Role::SegmentRule;
    type Answer = rules::SegmentAnswer;
}

impl Decided for wit::PointAnswer {
    const ROLE: Role = Role::PointFormula;
    type Answer = rules::PointAnswer;
}

impl Decided for wit::TierAnswer {
    const ROLE: Role = Role::TierRule;
    type Answer = rules::TierAnswer;
}

impl Decided for wit::FollowUpAnswer {
    const ROLE: Role = Role::FollowUpTrigger;
    type Answer = rules::FollowUpAnswer;
}

type Configure<'a> = TypedFunc<(&'a str, &'a wit::Shop), (Result<(), wit::Refusal>,)>;
type Decide<'a, D> = TypedFunc<(&'a wit::Input,), (Result<D, wit::Refusal>,)>;

/// Asks a plugin in one of its roles. `fuel_left` is what the other plugins have left of the
/// event's fuel.
pub(crate) fn decide<D: Decided>(
    subject: &Subject,
    input: &wit::Input,
    fuel_left: u64,
) -> Call<D::Answer> {
    let Call { result, usage } = ask(subject, input, fuel_left, |_| ());
    Call {
        result: result.and_then(|answer: D| weighed(answer.into(), subject)),
        usage,
    }
}

/// The same for a case of the plugin's author, whose answers are written in the contract's words,
/// and who reads what the plugin said.
pub(crate) fn decide_case<D>(
    subject: &Subject,
    input: &wit::Input,
) -> (Call<serde_json::Value>, Vec<Line>)
where
    D: Decided + serde::Serialize,
{
    let mut lines = Vec::new();
    let Call { result, usage } = ask(subject, input, EVENT_FUEL, |log| lines = log.read());
    let result = result.and_then(|answer: D| {
        let written = serde_json::to_value(&answer).expect("every answer can be written as JSON");
        weighed::<D::Answer>(answer.into(), subject).map(|_| written)
    });
    (Call { result, usage }, lines)
}

fn weighed<A: Weighed>(answer: A, subject: &Subject) -> Result<A, Failure> {
    match weigh(&answer, subject.limits, subject.personal) {
        Ok(()) => Ok(answer),
        Err(problem) => Err(Failure::Answer { problem }),
    }
}

fn ask<D: Decided>(
    subject: &Subject,
    input: &wit::Input,
    fuel_left: u64,
    hear: impl FnOnce(&Log),
) -> Call<D> {
    let began = std::time::Instant::now();
    let fuel_limit = fuel_limit(subject, input, fuel_left);
    let mut call = Running::new(subject, &input.event, fuel_limit);
    let asked = call.ask::<D>(input).map(|(_, answer)| answer);
    let result = call.came_to(asked);
    let usage = call.usage(&result, began.elapsed());
    call.tell();
    hear(&call.store.data().log);
    Call { result, usage }
}

/// What a call may use, of what the other plugins have left of the event's.
pub(crate) fn fuel_limit(subject: &Subject, input: &wit::Input, fuel_left: u64) -> u64 {
    let lines = lines(&input.event.body);
    subject.limits.fuel_for(lines).min(fuel_left)
}

/// Asks one instance again and again, which no shop does, to measure what a fresh one costs.
/// Says how many of the calls had an answer.
pub(crate) fn decide_reused<D: Decided>(subject: &Subject, input: &wit::Input, times: u64) -> u64 {
    let mut call = Running::new(subject, &input.event, subject.limits.fuel);
    let Ok((instance, Ok(()))) = call.configured() else {
        return 0;
    };
    let again = |_: &u64| {
        call.stage(subject.limits.fuel).is_ok()
            && matches!(call.decide_in::<D>(&instance, input), Ok(Ok(_)))
    };
    (0..times).filter(again).count() as u64
}

/// The same, with the time of each call. It ends at the first that has no answer, or another one than
/// a fresh instance.
pub(crate) fn time_reused<D: Decided>(
    subject: &Subject,
    input: &wit::Input,
    fresh: &D::Answer,
    times: usize,
) -> Vec<std::time::Duration> {
    let mut call = Running::new(subject, &input.event, subject.limits.fuel);
    let Ok((instance, Ok(()))) = call.configured() else {
        return Vec::new();
    };
    let fuel = subject.limits.fuel_for(lines(&input.event.body));
    let one = || {
        call.stage(fuel).ok()?;
        let began = std::time::Instant::now();
        let asked = call.decide_in::<D>(&instance, input);
        let took = began.elapsed();
        let answer = D::Answer::from(asked.ok()?.ok()?);
        (answer == *fresh).then_some(took)
    };
    std::iter::repeat_with(one)
        .map_while(|took| took)
        .take(times)
        .collect()
}

/// Lets a plugin look at its configuration, as before every call.
pub(crate) fn configure(subject: &Subject) -> Result<(), Failure> {
    let nothing = Moment {
        at: Instant(0),
        source: "",
        id: "configure",
    };
    let mut call = Running::at(subject, nothing, subject.limits.fuel);
    let configured = call.configured().map(|(_, configured)| configured);
    let result = call.came_to(configured);
    call.tell();
    result
}

fn lines(body: &wit::Body) -> usize {
    match body {
        wit::Body::Sale(sale) | wit::Body::Checkout(sale) => sale.lines.len(),
        wit::Body::Exchange(exchange) => {
            exchange.bought.lines.len() + returned_lines(&exchange.returned)
        }
        wit::Body::Return(returned) => returned_lines(returned),
        _ => 0,
    }
}

fn returned_lines(returned: &wit::Return) -> usize {
    returned.lines.len()
        + returned
            .original
            .as_ref()
            .map_or(0, |original| original.sale.lines.len())
}

fn refused(refusal: wit::Refusal) -> Failure {
    match refusal {
        wit::Refusal::Rejected(reason) => Failure::Rejected {
            reason: said(&reason),
        },
        wit::Refusal::Fault(fault) => Failure::Fault {
            message: said(&fault.message),
            trace: said(&fault.trace),
        },
    }
}

/// What is kept of a plugin's own words about a failure, in bytes: they stand in answers and
/// explanations.
const WORDS_BYTES_MAX: usize = 2_048;

fn said(words: &str) -> String {
    let end = words.floor_char_boundary(WORDS_BYTES_MAX);
    // Line ends are what makes a trace readable; everything else that is invisible goes.
    words[..end]
        .lines()
        .map(harmless)
        .collect::<Vec<_>>()
        .join("\n")
}

/// When and about what a call is made, for the log and for the world of guests with WASI.
struct Moment<'a> {
    at: Instant,
    source: &'a str,
    id: &'a str,
}

impl Moment<'_> {
    fn of(event: &wit::Event) -> Moment<'_> {
        Moment {
            at: Instant(event.occurred_at),
            source: &event.source,
            id: &event.id,
        }
    }

    /// `None` for plugins that import no WASI.
    fn world(&self, code: &Code) -> Option<World> {
        let world = || World::of(self.at, self.source, self.id, &code.digest);
        code.wasi.then(world)
    }
}

/// What the host keeps for one call.
pub(crate) struct Session {
    memory: MemoryLimit,
    pub(crate) log: Log,
    /// `None` for plugins that import no WASI.
    pub(crate) world: Option<World>,
}

/// A call that is under way.
pub(crate) struct Running<'a> {
    subject: &'a Subject<'a>,
    /// The id of the event.
    about: &'a str,
    store: Store<Session>,
    fuel_limit: u64,
    /// The fuel that this stage of the call began with: to come to life first, then `fuel_limit`.
    stage_fuel: u64,
}

impl<'a> Running<'a> {
    /// In an instance of its own.
    pub fn new(subject: &'a Subject<'a>, event: &'a wit::Event, fuel_limit: u64) -> Self {
        Running::at(subject, Moment::of(event), fuel_limit)
    }

    /// In an instance that has answered before. Nothing that the host knows of those calls is left.
    pub fn again(
        subject: &'a Subject<'a>,
        mut store: Store<Session>,
        event: &'a wit::Event,
        fuel_limit: u64,
    ) -> Self {
        let moment = Moment::of(event);
        let session = store.data_mut();
        session.log = Log::new(subject.limits.log_bytes);
        session.world = moment.world(subject.code);
        Running {
            subject,
            about: moment.id,
            store,
            fuel_limit,
            stage_fuel: 0,
        }
    }

    fn at(subject: &'a Subject<'a>, moment: Moment<'a>, fuel_limit: u64) -> Self {
        let Subject { code, limits, .. } = subject;
        let world = moment.world(code);
        let session = Session {
            memory: MemoryLimit {
                used: 0,
                most: limits.memory_bytes as usize,
                refused: false,
            },
            log: Log::new(limits.log_bytes),
            world,
        };
        let mut store = Store::new(code.engine(), session);
        store.limiter(|session| &mut session.memory);
        // The most that a guest can make the host copy, beyond which `weigh` need not look: the
        // text of an answer, and what its records take on this side.
        store.set_hostcall_fuel((limits.answer_bytes + limits.actions * 1_024) as usize);
        Running {
            subject,
            about: moment.id,
            store,
            fuel_limit,
            stage_fuel: 0,
        }
    }

    /// The first answer of an instance. It is `None` where none was configured that could be asked
    /// again.
    pub fn first<D: Decided>(
        &mut self,
        input: &wit::Input,
    ) -> (Option<Instance>, Result<D::Answer, Failure>) {
        let (instance, asked) = match self.ask::<D>(input) {
            Ok((instance, answer)) => (instance, Ok(answer)),
            Err(error) => (None, Err(error)),
        };
        let answer = self.came_to(asked);
        let weighed = answer.and_then(|answer| weighed(answer.into(), self.subject));
        (instance, weighed)
    }

    /// The next answer of an instance that has answered before.
    pub fn next<D: Decided>(
        &mut self,
        instance: &Instance,
        input: &wit::Input,
    ) -> Result<D::Answer, Failure> {
        let staged = self.stage(self.fuel_limit);
        let asked = staged.and_then(|()| self.decide_in::<D>(instance, input));
        let answer = self.came_to(asked)?;
        weighed(answer.into(), self.subject)
    }

    /// Hands what the plugin said to the operator's log.
    pub fn tell(&self) {
        self.store.data().log.emit(self.subject.name, self.about);
    }

    /// Bytes of the memories of the instance.
    pub fn memory_bytes(&self) -> u64 {
        self.store.data().memory.used as u64
    }

    pub fn into_store(self) -> Store<Session> {
        self.store
    }

    fn came_to<A>(&self, asked: wasmtime::Result<Result<A, wit::Refusal>>) -> Result<A, Failure> {
        match asked {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(refusal)) => Err(refused(refusal)),
            Err(error) => Err(self.failure(error)),
        }
    }

    fn ask<D: Decided>(
        &mut self,
        input: &wit::Input,
    ) -> wasmtime::Result<(Option<Instance>, Result<D, wit::Refusal>)> {
        match self.configured()? {
            (instance, Ok(())) => Ok((Some(instance), self.decide_in(&instance, input)?)),
            (_, Err(refusal)) => Ok((None, Err(refusal))),
        }
    }

    fn decide_in<D: Decided>(
        &mut self,
        instance: &Instance,
        input: &wit::Input,
    ) -> wasmtime::Result<Result<D, wit::Refusal>> {
        let index = self.subject.code.decide(D::ROLE);
        let function = instance
            .get_func(&mut self.store, index)
            .expect("the index is of this component");
        // SAFETY: `Code::load` compared the type of this export with the contract's.
        let decide: Decide<D> = unsafe { TypedFunc::new_unchecked(function) };
        Ok(decide.call(&mut self.store, (input,))?.0)
    }

    fn configured(&mut self) -> wasmtime::Result<(Instance, Result<(), wit::Refusal>)> {
        let instance = self.instance()?;
        let index = &self.subject.code.configure;
        let function = instance
            .get_func(&mut self.store, index)
            .expect("the index is of this component");
        // SAFETY: as in `decide_in`.
        let configure: Configure = unsafe { TypedFunc::new_unchecked(function) };
        let (configured,) = configure.call(
            &mut self.store,
            (self.subject.configuration, self.subject.shop),
        )?;
        Ok((instance, configured))
    }

    /// A fresh instance, with the fuel and the time of the call before it.
    fn instance(&mut self) -> wasmtime::Result<Instance> {
        let limits = self.subject.limits;
        self.stage(limits.start_fuel)?;
        let instance = self.subject.code.instance(&mut self.store)?;
        self.stage(self.fuel_limit)?;
        Ok(instance)
    }

    fn stage(&mut self, fuel: u64) -> wasmtime::Result<()> {
        self.stage_fuel = fuel;
        self.store
            .set_epoch_deadline(self.subject.limits.deadline_ticks());
        self.store.set_fuel(fuel)
    }

    fn failure(&self, error: wasmtime::Error) -> Failure {
        let Subject { limits, .. } = self.subject;
        let session = self.store.data();
        if session.memory.refused {
            return Failure::Memory {
                limit_bytes: limits.memory_bytes,
            };
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return match trap {
                Trap::OutOfFuel => Failure::Fuel {
                    limit: self.stage_fuel,
                },
                Trap::Interrupt => Failure::Deadline {
                    limit_ms: limits.deadline_ms,
                },
                Trap::StackOverflow => Failure::Stack,
                // A panic or an exception says what happened before it aborts.
                _ => Failure::Trap {
                    message: said(session.log.last_error().unwrap_or(&trap.to_string())),
                },
            };
        }
        if let Some(used) = error.downcast_ref::<Unavailable>() {
            return Failure::Trap {
                message: said(session.log.last_error().unwrap_or(&used.to_string())),
            };
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return Failure::Unavailable {
                message: error.to_string(),
            };
        }
        // What is left broke the rules by which values are handed over: text that is not UTF-8,
        // addresses outside of memory, more data than an answer may have.
        Failure::Answer {
            problem: said(&format!("{error:#}")),
        }
    }

    pub fn usage<A>(&self, result: &Result<A, Failure>, took: std::time::Duration) -> Usage {
        let left = self.store.get_fuel().unwrap_or(0);
        let fuel = match result {
            // Fuel is counted in a register that an interruption does not write back.
            Err(Failure::Deadline { .. }) => 0,
            _ => self.stage_fuel.saturating_sub(left),
        };
        Usage {
            fuel,
            fuel_limit: self.stage_fuel,
            memory_bytes: self.memory_bytes(),
            micros: took.as_micros() as u64,
            instance: rules::Instance::Fresh,
        }
    }
}

/// Counts the memory of all parts of an instance together, and remembers that it said no.
struct MemoryLimit {
    used: usize,
    most: usize,
    refused: bool,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.most {
            // An error ends the call. Saying no politely would let a guest report it as its own
            // decision, and every language would do so differently.
            self.refused = true;
            return Err(MemoryRefused.into());
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > crate::limits::TABLE_ENTRIES_MAX {
            self.refused = true;
            return Err(MemoryRefused.into());
        }
        Ok(true)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("more memory than the limit")]
struct MemoryRefused;

/// The one import of every plugin.
pub(crate) fn define_log(
    linker: &mut wasmtime::component::Linker<Session>,
    name: &str,
) -> wasmtime::Result<()> {
    use wit::stampcard::plugin::log::Level as Said;
    linker.instance(name)?.func_wrap(
        "log",
        |mut at: wasmtime::StoreContextMut<Session>,
         (level, message): (Said, wasmtime::component::WasmStr)| {
            // A full log costs nothing: the message is not even read.
            if at.data().log.is_full() {
                return Ok(());
            }
            let level = match level {
                Said::Debug => Level::Debug,
                Said::Info => Level::Info,
                Said::Warn => Level::Warn,
                Said::Error => Level::Error,
            };
            let message = message.to_str(&at)?.into_owned();
            at.data_mut().log.line(level, &message);
            Ok(())
        },
    )
}
