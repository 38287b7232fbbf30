//! Instances that are kept between calls, for plugins whose operator wants it so.
//!
//! What an instance remembers of one customer could reach the next one's answer. So some of its
//! answers, and nobody but this process knows which, are given again by a fresh instance and
//! compared. Where they differ the fresh one counts, and no instance of that plugin is kept any
//! more. An answer that a kept instance cannot give is asked of a fresh one.
//!
//! The instances of all plugins of a process stand on one [`Shelf`], which has room for so many and
//! no more.

use crate::bindings as wit;
use crate::call::{self, Decided, Running, Session, Subject, fuel_limit};
use crate::limits::{
    EVENT_FUEL, KEPT_BYTES_MAX, KEPT_CALLS_MAX, KEPT_GROWTH_MAX, KEPT_INSTANCES_MAX, SAMPLE_ONE_IN,
};
use parking_lot::Mutex;
use stampcard_pipeline::rules::{Call, Failure, Instance as RanIn, Role};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use wasmtime::Store;
use wasmtime::component::Instance;

/// How much of a process may be kept between calls.
#[derive(Clone, Copy, Debug)]
pub struct KeepLimits {
    /// See [`KEPT_INSTANCES_MAX`].
    pub instances: u32,
    /// See [`KEPT_BYTES_MAX`].
    pub bytes: u64,
}

impl Default for KeepLimits {
    fn default() -> KeepLimits {
        KeepLimits {
            instances: KEPT_INSTANCES_MAX,
            bytes: KEPT_BYTES_MAX,
        }
    }
}

/// What was done with instances that are kept, for whoever watches the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptFigures {
    /// Instances that wait for their next call.
    pub instances: u64,
    /// Bytes of their memories.
    pub bytes: u64,
    /// Calls that a kept instance answered, since the start.
    pub calls: u64,
    /// Of them, those that a fresh one was asked as well.
    pub compared: u64,
    /// Of these, those that it answered otherwise.
    pub differed: u64,
    /// Calls that a kept instance could not answer, and a fresh one was asked.
    pub repeated: u64,
    /// Instances that were ended: after their last call, grown too large, or in favour of others.
    pub recycled: u64,
}

/// An instance that is configured and has answered.
struct Kept {
    store: Store<Session>,
    instance: Instance,
    calls: u32,
    /// Bytes of its memory after its first call, and now.
    began_with: u64,
    has: u64,
}

/// The kept instances of all plugins of a process.
pub(crate) struct Shelf {
    limits: KeepLimits,
    places: Mutex<Places>,
    /// Decides which answers are compared. It is drawn at random when the process starts, and no
    /// plugin is told anything that depends on it.
    key: RandomState,
    owners: AtomicU64,
    calls: AtomicU64,
    compared: AtomicU64,
    differed: AtomicU64,
    repeated: AtomicU64,
    recycled: AtomicU64,
}

#[derive(Default)]
struct Places {
    /// By owner; what was asked longest ago comes first.
    kept: Vec<(u64, Kept)>,
    bytes: u64,
}

impl Places {
    fn remove(&mut self, place: usize) -> Kept {
        let (_, kept) = self.kept.remove(place);
        self.bytes -= kept.has;
        kept
    }
}

impl Shelf {
    pub fn new(limits: KeepLimits) -> Shelf {
        Shelf {
            limits,
            places: Mutex::default(),
            key: RandomState::new(),
            owners: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            compared: AtomicU64::new(0),
            differed: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            recycled: AtomicU64::new(0),
        }
    }

    pub fn figures(&self) -> KeptFigures {
        let (instances, bytes) = {
            let places = self.places.lock();
            (places.kept.len() as u64, places.bytes)
        };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        KeptFigures {
            instances,
            bytes,
            calls: count(&self.calls),
            compared: count(&self.compared),
            differed: count(&self.differed),
            repeated: count(&self.repeated),
            recycled: count(&self.recycled),
        }
    }

    /// The instance of a plugin that was asked last, whose memory is most likely still at hand.
    fn take(&self, owner: u64) -> Option<Kept> {
        let mut places = self.places.lock();
        let place = places.kept.iter().rposition(|(of, _)| *of == owner)?;
        Some(places.remove(place))
    }

    fn put(&self, owner: u64, kept: Kept) {
        let has_had_its_calls = kept.calls >= KEPT_CALLS_MAX;
        let has_grown = kept.has > kept.began_with.saturating_mul(KEPT_GROWTH_MAX);
        // They are ended after the lock is given back: unmapping takes its time.
        let mut ended = Vec::new();
        if has_had_its_calls || has_grown {
            ended.push(kept);
        } else {
            let mut places = self.places.lock();
            places.bytes += kept.has;
            places.kept.push((owner, kept));
            while places.kept.len() > self.limits.instances as usize
                || places.bytes > self.limits.bytes
            {
                ended.push(places.remove(0));
            }
        }
        self.recycled
            .fetch_add(ended.len() as u64, Ordering::Relaxed);
    }

    fn clear(&self, owner: u64) {
        let mut ended = Vec::new();
        let mut places = self.places.lock();
        while let Some(place) = places.kept.iter().position(|(of, _)| *of == owner) {
            ended.push(places.remove(place));
        }
        drop(places);
    }
}

/// What one loaded plugin has to do with the shelf. Its instances go with it.
pub(crate) struct Keeping {
    shelf: Arc<Shelf>,
    owner: u64,
    /// When a kept instance answered otherwise than a fresh one, in words.
    found_out: Mutex<Option<String>>,
}

impl Keeping {
    pub fn new(shelf: &Arc<Shelf>) -> Keeping {
        Keeping {
            owner: shelf.owners.fetch_add(1, Ordering::Relaxed),
            shelf: Arc::clone(shelf),
            found_out: Mutex::default(),
        }
    }

    /// When a kept instance answered otherwise than a fresh one, if one did.
    pub fn found_out(&self) -> Option<String> {
        self.found_out.lock().clone()
    }

    /// Instances may be kept again, but none that was asked when it was found out.
    pub fn forgive(&self) {
        self.shelf.clear(self.owner);
        *self.found_out.lock() = None;
    }

    fn is_found_out(&self) -> bool {
        self.found_out.lock().is_some()
    }

    fn finds_out(&self, role: Role, event: &wit::Event) {
        let when = format!(
            "as {} about {}/{} a kept instance answered otherwise than a fresh one",
            role.name(),
            event.source,
            event.id
        );
        self.shelf.differed.fetch_add(1, Ordering::Relaxed);
        self.find_out(when);
    }

    /// No instance is kept any more; `when` says in words what was found out.
    pub fn find_out(&self, when: String) {
        self.found_out.lock().get_or_insert(when);
        self.shelf.clear(self.owner);
    }

    /// Whether a kept instance's answer is compared. The answer is given by then, and nothing that
    /// the plugin is told depends on it.
    fn is_sample(&self, role: Role, event: &wit::Event, calls: u32) -> bool {
        let drawn = (self.owner, &event.source, &event.id, role as u8, calls);
        self.shelf.key.hash_one(drawn).is_multiple_of(SAMPLE_ONE_IN)
    }

    fn put(&self, kept: Kept) {
        if !self.is_found_out() {
            self.shelf.put(self.owner, kept);
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.shelf.clear(self.owner);
    }
}

/// Asks a plugin in one of its roles, in a kept instance if it has one. Says beside the answer what
/// the event pays for it in fuel, which does not depend on whether the answer was compared.
pub(crate) fn decide<D: Decided>(
    subject: &Subject,
    keeping: &Keeping,
    input: &wit::Input,
    fuel_left: u64,
) -> (Call<D::Answer>, u64) {
    if keeping.is_found_out() {
        let call = call::decide::<D>(subject, input, fuel_left);
        let used = call.usage.fuel;
        return (call, used);
    }
    let Some(kept) = keeping.shelf.take(keeping.owner) else {
        return first::<D>(subject, keeping, input, fuel_left);
    };
    let began = Instant::now();
    let (event, limit) = (&input.event, fuel_limit(subject, input, fuel_left));
    let mut running = Running::again(subject, kept.store, event, limit);
    let result = running.next::<D>(&kept.instance, input);
    if !is_answer(&result) {
        drop(running);
        keeping.shelf.repeated.fetch_add(1, Ordering::Relaxed);
        let (mut call, used) = first::<D>(subject, keeping, input, fuel_left);
        call.usage.micros = began.elapsed().as_micros() as u64;
        return (call, used);
    }
    keeping.shelf.calls.fetch_add(1, Ordering::Relaxed);
    let mut usage = running.usage(&result, began.elapsed());
    usage.instance = RanIn::Kept;
    let used = usage.fuel;
    let mut call = Call { result, usage };
    let calls = kept.calls + 1;
    let compared = keeping
        .is_sample(D::ROLE, event, calls)
        .then(|| call::decide::<D>(subject, input, EVENT_FUEL))
        .filter(|fresh| can_be_compared(&fresh.result));
    match compared {
        None => running.tell(),
        Some(fresh) => {
            keeping.shelf.compared.fetch_add(1, Ordering::Relaxed);
            let is_same = fresh.result == call.result;
            call = fresh;
            call.usage.instance = match is_same {
                true => RanIn::Compared,
                false => RanIn::Differed,
            };
            call.usage.micros = began.elapsed().as_micros() as u64;
            if !is_same {
                keeping.finds_out(D::ROLE, event);
                return (call, used);
            }
        }
    }
    keeping.put(Kept {
        calls,
        has: running.memory_bytes(),
        store: running.into_store(),
        ..kept
    });
    (call, used)
}

/// The same in a fresh instance, which is kept if it has an answer.
fn first<D: Decided>(
    subject: &Subject,
    keeping: &Keeping,
    input: &wit::Input,
    fuel_left: u64,
) -> (Call<D::Answer>, u64) {
    let began = Instant::now();
    let limit = fuel_limit(subject, input, fuel_left);
    let mut running = Running::new(subject, &input.event, limit);
    let (instance, result) = running.first::<D>(input);
    let usage = running.usage(&result, began.elapsed());
    running.tell();
    if is_answer(&result)
        && let Some(instance) = instance
    {
        let has = running.memory_bytes();
        keeping.put(Kept {
            store: running.into_store(),
            instance,
            calls: 1,
            began_with: has,
            has,
        });
    }
    (Call { result, usage }, usage.fuel)
}

/// What a rule refuses, it has answered.
fn is_answer<A>(result: &Result<A, Failure>) -> bool {
    matches!(result, Ok(_) | Err(Failure::Rejected { .. }))
}

/// A fresh instance that had no slot, or no time on a busy machine, says nothing about the kept one.
fn can_be_compared<A>(fresh: &Result<A, Failure>) -> bool {
    !matches!(
        fresh,
        Err(Failure::Unavailable { .. } | Failure::Deadline { .. })
    )
}
