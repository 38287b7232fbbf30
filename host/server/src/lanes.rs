//! Lanes: the threads that take events down the line.
//!
//! An event goes to a lane by its customer, so that events of one customer are decided in the
//! order in which they came. Nothing depends on that but speed: the store holds a customer while an
//! event of theirs is decided. Timers, and whatever else is our own, wait behind tills. A lane decides
//! the next event while the last one is on its way to the disk.

use crate::clock;
use crate::desk::Desk;
use crate::turns::Turns;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use stampcard_pipeline::admit::{Arrival, Sender};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::line::{preview, process};
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::store::{Committed, StoreError};
use stampcard_store::Work;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tracing::{Span, debug_span};

/// After this many tills in a row one of our own has its turn, so that a rush does not stop the clock.
const TILLS_PER_OWN: u32 = 64;
/// What is asked of a till that finds every place taken, in seconds.
pub const RETRY_AFTER_S: u32 = 1;

/// Who is told what came of an event. It is called once, on a thread of the store or of a lane, and
/// must return at once.
pub type Reply = Box<dyn FnOnce(Result<Outcome, Refusal>) + Send>;

/// One event on its way.
pub struct Job {
    what: What,
    reply: Reply,
    /// Where in the trace it belongs.
    span: Span,
    /// The open group of the store waits for it.
    _work: Work,
}

enum What {
    Told(Bytes, Sender),
    Preview(Bytes, Sender),
    /// Something that the host itself brings.
    Own(Arrival<'static>),
}

/// Why a job is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Every place in its lane's queue is taken.
    Full,
    Closed,
}

pub struct Lanes {
    lanes: Vec<Arc<Lane>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    desk: Arc<Desk>,
    /// Jobs that one lane's queue may hold.
    places: usize,
}

#[derive(Default)]
struct Lane {
    queue: Mutex<Queue>,
    /// Something came, or the lane is closed.
    came: Condvar,
    /// Something was taken away, or finished.
    went: Condvar,
    /// Jobs that wait or are being decided.
    open: AtomicUsize,
    /// Jobs that were begun, and that were decided, since the start.
    begun: AtomicU64,
    decided: AtomicU64,
    panics: AtomicU64,
}

#[derive(Default)]
struct Queue {
    tills: VecDeque<Job>,
    own: VecDeque<Job>,
    /// Tills since the last of our own.
    in_a_row: u32,
    closed: bool,
}

impl Queue {
    fn pop(&mut self) -> Option<Job> {
        if self.in_a_row >= TILLS_PER_OWN || self.tills.is_empty() {
            self.in_a_row = 0;
            if let Some(own) = self.own.pop_front() {
                return Some(own);
            }
        }
        self.in_a_row += 1;
        self.tills.pop_front()
    }

    fn waiting(&self) -> usize {
        self.tills.len() + self.own.len()
    }
}

impl Lanes {
    /// Starts the threads. `places` is how many events wait in each lane before tills are turned
    /// away; `turns` are those of all shops of the process.
    pub fn start(desk: Arc<Desk>, turns: &Arc<Turns>, lanes: usize, places: usize) -> Lanes {
        // What a lane says in the log is said of its shop.
        let shop = Span::current();
        let lanes: Vec<Arc<Lane>> = (0..lanes.max(1)).map(|_| Arc::default()).collect();
        let threads = lanes.iter().enumerate().map(|(number, lane)| {
            let (lane, desk, turns) = (Arc::clone(lane), Arc::clone(&desk), Arc::clone(turns));
            let shop = shop.clone();
            std::thread::Builder::new()
                .name(format!("lane-{number}"))
                .spawn(move || shop.in_scope(|| lane.run(&desk, &turns)))
                .expect("the operating system gives a thread at the start")
        });
        let threads = Mutex::new(threads.collect());
        Lanes {
            threads,
            lanes,
            desk,
            places: places.max(1),
        }
    }

    /// Takes an event if its lane has a place.
    pub fn offer(&self, event: Bytes, by: Sender, reply: Reply) -> Result<(), NotTaken> {
        let lane = self.lane_of(customer_of(&event));
        self.put(lane, What::Told(event, by), reply, Wait::No)
    }

    /// Takes an event down the lane of `first`, whoever its customer is: events that go along with
    /// the same first one are decided in the order in which they come.
    pub fn offer_along(
        &self,
        first: &[u8],
        event: Bytes,
        by: Sender,
        reply: Reply,
    ) -> Result<(), NotTaken> {
        let lane = self.lane_of(customer_of(first));
        self.put(lane, What::Told(event, by), reply, Wait::No)
    }

    /// Takes an event as soon as its lane has a place.
    pub fn send(&self, event: Bytes, by: Sender, reply: Reply) -> Result<(), NotTaken> {
        let lane = self.lane_of(customer_of(&event));
        self.put(lane, What::Told(event, by), reply, Wait::ForAPlace)
    }

    /// Takes an event that is only to be answered, not kept.
    pub fn offer_preview(&self, event: Bytes, by: Sender, reply: Reply) -> Result<(), NotTaken> {
        let lane = self.lane_of(customer_of(&event));
        self.put(lane, What::Preview(event, by), reply, Wait::No)
    }

    /// Takes what the host itself has about a customer, as soon as the lane has a place. It waits
    /// behind the tills.
    fn send_own(
        &self,
        customer: &CustomerId,
        arrival: Arrival<'static>,
        reply: Reply,
    ) -> Result<(), NotTaken> {
        let lane = self.lane_of(customer.0.as_bytes());
        self.put(lane, What::Own(arrival), reply, Wait::ForAPlace)
    }

    /// Sends a batch of our own work and waits for what comes of all of it, in the order in which it is
    /// done. `None` if the shop closes meanwhile: what was not sent is still to do. `what` says in the
    /// log what could not be done.
    pub fn send_all_own(
        &self,
        batch: impl IntoIterator<Item = (CustomerId, Arrival<'static>)>,
        what: &'static str,
    ) -> Option<Vec<Result<Outcome, Refusal>>> {
        let (tell, told) = mpsc::channel();
        for (customer, arrival) in batch {
            let (tell, name) = (tell.clone(), customer.clone());
            let reply = Box::new(move |outcome: Result<Outcome, Refusal>| {
                if let Err(refusal) = &outcome {
                    tracing::error!(customer = name.0, %refusal, "{what}");
                }
                // Nobody listens any more if the rest could not be sent.
                let _ = tell.send(outcome);
            });
            self.send_own(&customer, arrival, reply).ok()?;
        }
        drop(tell);
        Some(told.into_iter().collect())
    }

    /// Waits until nothing that was taken is undecided. Others may go on putting.
    pub fn drain(&self) {
        for lane in &self.lanes {
            let mut queue = lane.queue.lock();
            while lane.open.load(Ordering::Acquire) > 0 {
                lane.went.wait(&mut queue);
            }
        }
    }

    /// Waits until nothing is under way of which somebody has begun to decide. What waits goes on
    /// waiting, and what is begun meanwhile is not waited for.
    pub fn settle(&self) {
        for lane in &self.lanes {
            let begun = lane.begun.load(Ordering::Acquire);
            let mut queue = lane.queue.lock();
            while lane.decided.load(Ordering::Acquire) < begun {
                lane.went.wait(&mut queue);
            }
        }
    }

    /// Decides what was taken, takes nothing more, and ends the threads.
    pub fn close(&self) {
        for lane in &self.lanes {
            lane.queue.lock().closed = true;
            lane.came.notify_all();
            lane.went.notify_all();
        }
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a lane panicked");
            }
        }
    }

    /// Events that wait.
    pub fn waiting(&self) -> usize {
        self.lanes
            .iter()
            .map(|lane| lane.queue.lock().waiting())
            .sum()
    }

    /// Events that may wait.
    pub fn places(&self) -> usize {
        self.places * self.lanes.len()
    }

    pub fn count(&self) -> usize {
        self.lanes.len()
    }

    /// Events that made the host itself panic since it started.
    pub fn panics(&self) -> u64 {
        self.lanes
            .iter()
            .map(|lane| lane.panics.load(Ordering::Relaxed))
            .sum()
    }

    fn lane_of(&self, customer: &[u8]) -> &Lane {
        let mut hasher = DefaultHasher::new();
        customer.hash(&mut hasher);
        &self.lanes[(hasher.finish() % self.lanes.len() as u64) as usize]
    }

    fn put(&self, lane: &Lane, what: What, reply: Reply, wait: Wait) -> Result<(), NotTaken> {
        let job = Job {
            what,
            reply,
            span: Span::current(),
            _work: self.desk.store.begin_work(),
        };
        let is_own = matches!(job.what, What::Own(_));
        let mut queue = lane.queue.lock();
        loop {
            if queue.closed {
                return Err(NotTaken::Closed);
            }
            if queue.waiting() < self.places {
                break;
            }
            match wait {
                Wait::No => return Err(NotTaken::Full),
                Wait::ForAPlace => lane.went.wait(&mut queue),
            }
        }
        lane.open.fetch_add(1, Ordering::AcqRel);
        if is_own {
            queue.own.push_back(job)
        } else {
            queue.tills.push_back(job)
        }
        drop(queue);
        lane.came.notify_one();
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Wait {
    No,
    ForAPlace,
}

impl Lane {
    fn run(&self, desk: &Desk, turns: &Turns) {
        while let Some(job) = self.next() {
            let turn = turns.take();
            self.begun.fetch_add(1, Ordering::AcqRel);
            self.decide(desk, job);
            self.decided.fetch_add(1, Ordering::AcqRel);
            drop(turn);
            self.open.fetch_sub(1, Ordering::AcqRel);
            // Whoever waits looks at the number with the lock held, and would sleep on without it.
            drop(self.queue.lock());
            self.went.notify_all();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.pop() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            self.came.wait(&mut queue);
        }
    }

    /// Takes one event down the line. A bug of ours that panics costs this event and no other.
    fn decide(&self, desk: &Desk, job: Job) {
        let Job {
            what,
            reply,
            span,
            _work,
        } = job;
        let decided = catch_unwind(AssertUnwindSafe(|| span.in_scope(|| decide(desk, what))));
        let decided = decided.unwrap_or_else(|_| {
            self.panics.fetch_add(1, Ordering::Relaxed);
            let what =
                "the host panicked over this event; nothing of it was kept. Please report it";
            Err(Refusal::Store(StoreError::Failed(what.into())))
        });
        match decided {
            Err(refusal) => {
                desk.figures.refused(&refusal);
                reply(Err(refusal));
            }
            Ok(Decided::Preview(outcome)) => reply(Ok(*outcome)),
            Ok(Decided::Committed(committed)) => {
                let Committed { outcome, durable } = *committed;
                let now = clock::now();
                desk.figures.decided(&outcome, now);
                desk.failing
                    .decided(&outcome, || desk.live().shop.file.failures, now);
                let bell = Arc::clone(&desk.bell);
                durable.then(Box::new(move |durable| {
                    reply(durable.map(|()| outcome).map_err(Refusal::Store));
                    bell.send_replace(());
                }));
            }
        }
    }
}

enum Decided {
    Preview(Box<Outcome>),
    Committed(Box<Committed>),
}

fn decide(desk: &Desk, what: What) -> Result<Decided, Refusal> {
    let work = match what {
        What::Told(..) => "event",
        What::Preview(..) => "preview",
        What::Own(_) => "own",
    };
    let _span = debug_span!("line", stampcard.work = work).entered();
    let live = desk.live();
    let context = live.context(&desk.store);
    let committed = match what {
        What::Told(event, by) => process(
            &desk.store,
            context,
            &Arrival::Told(&event, &by),
            clock::now(),
        )?,
        What::Own(arrival) => process(&desk.store, context, &arrival, clock::now())?,
        What::Preview(event, by) => {
            let outcome = preview(
                &desk.store.preview(),
                context,
                &Arrival::Told(&event, &by),
                clock::now(),
            )?;
            return Ok(Decided::Preview(Box::new(outcome)));
        }
    };
    Ok(Decided::Committed(Box::new(committed)))
}

/// The bytes by which the event names its customer, found without reading all of its JSON. Where
/// there are none it is the whole event, which spreads guests over the lanes.
fn customer_of(event: &[u8]) -> &[u8] {
    let key = b"\"customer\"";
    let Some(at) = memchr::memmem::find(event, key) else {
        return event;
    };
    let value = &event[at + key.len()..];
    let mut depth = 0;
    for (index, byte) in value.iter().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth <= 1 => return &value[..index],
            b'}' => depth -= 1,
            b',' if depth == 0 => return &value[..index],
            _ => {}
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lane_depends_on_the_customer_alone() {
        let of = |event: &'static str| std::str::from_utf8(customer_of(event.as_bytes())).unwrap();
        for (event, customer) in [
            (
                r#"{"data":{"customer":{"email":"a@b.c"},"total":1}}"#,
                r#":{"email":"a@b.c""#,
            ),
            (
                r#"{"data":{"total":2,"customer":{"external":{"source":"x","id":"7"}}}}"#,
                r#":{"external":{"source":"x","id":"7"}"#,
            ),
            (r#"{"data":{"customer":"cus_1","total":3}}"#, r#":"cus_1""#),
            (r#"{"data":{"customer":null}}"#, ":null"),
            (r#"{"data":{"customer":{"email"#, r#":{"email"#),
        ] {
            assert_eq!(of(event), customer);
        }
        assert_eq!(of(r#"{"data":{}}"#), r#"{"data":{}}"#);
    }
}
