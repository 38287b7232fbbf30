//! Traces for OpenTelemetry: the spans of a request and of the steps of the line, sent as OTLP (JSON
//! over HTTP) to a collector that `stampcard.toml` names. Without one none of this runs.
//!
//! A span that ends is put into a queue, and a thread of its own sends what is in it. When the queue
//! is full, or the collector is away, spans are dropped and counted: no event ever waits for one.
//!
//! What leaves has been chosen by name ([`ATTRIBUTES`]): a route, a status, a kind of work. No path,
//! no query, no body, no customer.

mod otlp;

use crate::config::TelemetryFile;
use otlp::Sender;
use parking_lot::Mutex;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// The fields of spans that may leave. Whatever else a span has stays here.
const ATTRIBUTES: [&str; 4] = [
    "http.request.method",
    "http.route",
    "http.response.status_code",
    "stampcard.work",
];
/// The header, and the field of a request's span, with which a caller's trace is carried on. It is no
/// attribute.
pub const TRACEPARENT: &str = "traceparent";

/// Spans that wait to be sent: some hundreds of events, in about a megabyte.
const QUEUE_MAX: usize = 4_096;
/// Spans in one request to the collector.
const BATCH_MAX: usize = 512;
/// How long a span waits for others.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How often it is told that spans were dropped.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// How long the server's end waits for the last of them.
const END_MAX: Duration = Duration::from_secs(2);

/// A span that has ended.
pub struct Finished {
    trace: [u8; 16],
    span: [u8; 8],
    parent: Option<[u8; 8]>,
    name: &'static str,
    begun: SystemTime,
    took: Duration,
    attributes: Vec<(&'static str, String)>,
}

/// Takes spans as they end. It is a layer of the subscriber.
pub struct Spans {
    queue: SyncSender<Finished>,
    dropped: Arc<AtomicU64>,
    /// One in so many traces is kept.
    one_in: NonZeroU64,
    traces: AtomicU64,
    ids: Ids,
}

/// The thread that sends. It ends what it has when it is dropped.
pub struct Telemetry {
    thread: Option<JoinHandle<()>>,
    ending: Arc<Mutex<Option<Instant>>>,
}

/// Why traces cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error(
        "otlp under [telemetry] of stampcard.toml is {0:?}; it must be the address of a collector without TLS, \
         such as http://127.0.0.1:4318"
    )]
    Address(String),
    #[error("the operating system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// The layer and its thread, if the file names a collector.
pub fn start(file: &TelemetryFile) -> Result<Option<(Spans, Telemetry)>, TelemetryError> {
    let Some(address) = &file.otlp else {
        return Ok(None);
    };
    let sender = Sender::new(address, &file.service)
        .ok_or_else(|| TelemetryError::Address(address.clone()))?;
    let (queue, waiting) = sync_channel(QUEUE_MAX);
    let dropped = Arc::new(AtomicU64::new(0));
    let ending = Arc::new(Mutex::new(None));
    let (counted, told_to_end) = (dropped.clone(), ending.clone());
    let thread = std::thread::Builder::new()
        .name("telemetry".into())
        .spawn(move || send_until_closed(&waiting, &sender, &counted, &told_to_end))
        .expect("the operating system gives a thread at the start");
    let spans = Spans {
        queue,
        dropped,
        one_in: file.one_in,
        traces: AtomicU64::new(0),
        ids: Ids {
            seed: u64::from_le_bytes(crate::keys::random()?),
            count: AtomicU64::new(0),
        },
    };
    let telemetry = Telemetry {
        thread: Some(thread),
        ending,
    };
    Ok(Some((spans, telemetry)))
}

impl Spans {
    /// Only the spans of this program; what is logged is no part of a trace.
    pub fn filter() -> FilterFn {
        let is_ours: fn(&Metadata) -> bool =
            |metadata| metadata.is_span() && metadata.target().starts_with("stampcard");
        FilterFn::new(is_ours)
    }

    fn is_kept(&self) -> bool {
        self.traces.fetch_add(1, Ordering::Relaxed) % self.one_in == 0
    }
}

/// What is remembered of a span of a trace that is kept.
struct Open {
    trace: [u8; 16],
    span: [u8; 8],
    parent: Option<[u8; 8]>,
    begun: SystemTime,
    clock: Instant,
    said: Said,
}

/// The fields that a span has said.
#[derive(Default)]
struct Said {
    attributes: Vec<(&'static str, String)>,
    caller: Option<Caller>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut said = Said::default();
        attributes.record(&mut said);
        let above = span.parent().map(|parent| {
            let extensions = parent.extensions();
            extensions.get::<Open>().map(|open| (open.trace, open.span))
        });
        let (trace, parent) = match (above, &said.caller) {
            (Some(Some((trace, parent))), _) => (trace, Some(parent)),
            // Of a trace that is not kept.
            (Some(None), _) => return,
            (None, Some(caller)) if !caller.is_sampled => return,
            (None, Some(caller)) => (caller.trace, Some(caller.span)),
            (None, None) if !self.is_kept() => return,
            (None, None) => (self.ids.trace(), None),
        };
        span.extensions_mut().insert(Open {
            trace,
            span: self.ids.span(),
            parent,
            begun: SystemTime::now(),
            clock: Instant::now(),
            said,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(&mut open.said);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let Some(open) = span.extensions_mut().remove::<Open>() else {
            return;
        };
        let finished = Finished {
            trace: open.trace,
            span: open.span,
            parent: open.parent,
            name: span.name(),
            begun: open.begun,
            took: open.clock.elapsed(),
            attributes: open.said.attributes,
        };
        if self.queue.try_send(finished).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == TRACEPARENT {
            self.caller = Caller::read(value);
        } else if ATTRIBUTES.contains(&field.name()) {
            self.attributes.push((field.name(), value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == TRACEPARENT || ATTRIBUTES.contains(&field.name()) {
            self.record_str(field, &format!("{value:?}"));
        }
    }
}

/// Whether the header of a caller names a trace. What is anything else goes into no span.
pub fn is_trace(header: &str) -> bool {
    Caller::read(header).is_some()
}

/// The trace that a caller began: the header `traceparent` of W3C Trace Context.
#[derive(Debug, PartialEq, Eq)]
struct Caller {
    trace: [u8; 16],
    span: [u8; 8],
    is_sampled: bool,
}

impl Caller {
    /// None for what is no such header, which is then as good as none.
    fn read(text: &str) -> Option<Caller> {
        let mut parts = text.split('-');
        let [version, trace, span, flags] =
            [(); 4].map(|()| parts.next().unwrap_or_default().as_bytes());
        let [version] = hex(version)?;
        let [flags] = hex(flags)?;
        let caller = Caller {
            trace: hex(trace)?,
            span: hex(span)?,
            is_sampled: flags & 1 == 1,
        };
        let is_whole = version == 0 && parts.next().is_none();
        let is_somebody = caller.trace != [0; 16] && caller.span != [0; 8];
        (is_whole && is_somebody).then_some(caller)
    }
}

fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |letter: u8| match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Ids that nobody else has: a count, mixed with where it began (SplitMix64).
struct Ids {
    seed: u64,
    count: AtomicU64,
}

impl Ids {
    fn next(&self) -> u64 {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut mixed = self
            .seed
            .wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Zero is no id.
        (mixed ^ mixed >> 31).max(1)
    }

    fn span(&self) -> [u8; 8] {
        self.next().to_be_bytes()
    }

    fn trace(&self) -> [u8; 16] {
        (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes()
    }
}

fn send_until_closed(
    waiting: &Receiver<Finished>,
    sender: &Sender,
    dropped: &AtomicU64,
    ending: &Mutex<Option<Instant>>,
) {
    let mut told_at: Option<Instant> = None;
    let mut lost = 0;
    loop {
        let (batch, is_over) = gather(waiting, ending);
        if !batch.is_empty()
            && let Err(problem) = sender.send(&batch)
        {
            lost += batch.len() as u64;
            tracing::debug!(problem, "the collector does not take traces");
        }
        lost += dropped.swap(0, Ordering::Relaxed);
        if lost > 0 && told_at.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            tracing::warn!(
                spans = lost,
                "traces were dropped: the collector is away or too slow; no event waited for it"
            );
            (lost, told_at) = (0, Some(Instant::now()));
        }
        let is_late = ending.lock().is_some_and(|end| Instant::now() >= end);
        if is_over || is_late {
            return;
        }
    }
}

/// The next spans to send, and whether they are the last ones.
fn gather(waiting: &Receiver<Finished>, ending: &Mutex<Option<Instant>>) -> (Vec<Finished>, bool) {
    let mut batch = Vec::new();
    let mut until = Instant::now() + WAIT_MAX;
    loop {
        let is_ending = ending.lock().is_some();
        if is_ending {
            until = Instant::now();
        }
        match waiting.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(finished) => batch.push(finished),
            Err(RecvTimeoutError::Timeout) => return (batch, is_ending),
            Err(RecvTimeoutError::Disconnected) => return (batch, true),
        }
        if batch.len() >= BATCH_MAX {
            return (batch, false);
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        *self.ending.lock() = Some(Instant::now() + END_MAX);
        if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the thread of the traces panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_trace_is_read_and_nonsense_is_none() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let caller = Caller::read(header).unwrap();
        assert_eq!(caller.trace[..2], [0x4b, 0xf9]);
        assert_eq!(caller.span[7], 0xb7);
        assert!(caller.is_sampled);
        assert!(
            !Caller::read(&header.replace("-01", "-00"))
                .unwrap()
                .is_sampled
        );
        for wrong in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Caller::read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn ids_are_not_given_twice() {
        let ids = Ids {
            seed: 7,
            count: AtomicU64::new(0),
        };
        let seen: std::collections::HashSet<u64> = (0..10_000).map(|_| ids.next()).collect();
        assert_eq!(seen.len(), 10_000);
    }
}
