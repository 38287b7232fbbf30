//! `GET /v1/stream`: outcomes as they become durable, in the order of the journal, as server-sent
//! events (WHATWG HTML, "Server-sent events").
//!
//! The journal is the only queue. Each stream reads it at its own pace and holds no more than
//! [`limits::STREAM_FRAMES`] of it, so a slow reader costs nobody anything and can lose nothing: the
//! number of the last row that it has is all that it takes to go on.

use super::ask::Query;
use super::auth::{self, Caller, SEES_DECISIONS};
use super::limits;
use super::problem::{Problem, bad_request, overloaded};
use super::profile::record;
use super::{Door, schema};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::poll_fn;
use serde::{Deserialize, Serialize};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::outcome::{Outcome, Time};
use stampcard_store::reads::JournalRow;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use utoipa::{IntoParams, ToSchema};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StreamAsked {
    /// The number after which to begin, where no Last-Event-ID is sent: 0 is the beginning of the
    /// journal. Without either it begins with what comes next.
    #[param(minimum = 0)]
    pub after: Option<i64>,
    /// Only what happens to this customer.
    #[param(example = "cus_01J")]
    pub customer: Option<String>,
}

/// The data of an event `outcome` of the stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamItem {
    /// The number of the journal's row, which is also the `id`: send it back as Last-Event-ID.
    pub number: i64,
    /// The kind of the event in the catalogue.
    #[serde(rename = "type")]
    #[schema(example = "sale.completed")]
    pub kind: String,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub time: Time,
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Time,
    /// What it was answered. Texts do not have anybody's name.
    #[schema(value_type = schema::Outcome)]
    pub outcome: Outcome,
}

impl From<JournalRow> for StreamItem {
    fn from(row: JournalRow) -> StreamItem {
        StreamItem {
            number: row.seq,
            time: Time(row.event.at),
            kind: row.event.kind,
            received_at: Time(row.received_at),
            outcome: row.outcome.hidden(),
        }
    }
}

pub async fn stream(
    State(door): State<Arc<Door>>,
    caller: Caller,
    headers: HeaderMap,
    Query(asked): Query<StreamAsked>,
) -> Result<Response, Problem> {
    let heard = door.merchant.heard();
    let end = door.merchant.store().durable_through();
    let after = begins_after(&headers, asked.after, end)?;
    let customer = match asked.customer {
        None => None,
        Some(id) => {
            let id = CustomerId(id);
            Some(door.read(move |reads| Ok(record(reads, &id)?.id)).await?)
        }
    };
    let Ok(place) = door.streams.clone().try_acquire_owned() else {
        return Err(overloaded(limits::STREAM_RETRY_AFTER_S));
    };
    let (frames, mut reading) = mpsc::channel(limits::STREAM_FRAMES);
    let tail = Tail {
        stopping: door.stopping.subscribe(),
        door,
        caller,
        customer,
        position: after,
        heard,
        frames,
        _place: place,
    };
    tokio::spawn(tail.run());
    let frames = poll_fn(move |context| {
        reading
            .poll_recv(context)
            .map(|frame| frame.map(Ok::<_, Infallible>))
    });
    let mut response = Body::from_stream(frames).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    // Proxies that collect answers would hold it back.
    response.headers_mut().insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// The row after which the stream begins: the caller's, or the end of the journal.
fn begins_after(headers: &HeaderMap, after: Option<i64>, end: i64) -> Result<i64, Problem> {
    let sent = headers.get(LAST_EVENT_ID);
    let token = match sent.map(|sent| sent.to_str().unwrap_or_default().trim()) {
        // What a reader sends that has not been told any.
        None | Some("") => after,
        Some(text) => match text.parse() {
            Ok(number) => Some(number),
            Err(_) => {
                let detail = "Last-Event-ID must be the `id` of the last event that came, a number";
                return Err(bad_request("bad-cursor", detail));
            }
        },
    };
    match token {
        None => Ok(end),
        Some(number) if (0..=end).contains(&number) => Ok(number),
        Some(number) => {
            let detail = format!(
                "the journal has no row {number}: it ends with {end}. If the shop was restored from a backup, read what you \
                 show again, and begin without a number"
            );
            Err(bad_request("bad-cursor", detail).with("last", end))
        }
    }
}

/// One stream on its way along the journal.
struct Tail {
    door: Arc<Door>,
    caller: Caller,
    customer: Option<CustomerId>,
    /// The last row that was looked at.
    position: i64,
    /// Changes when something may have become durable.
    heard: watch::Receiver<()>,
    stopping: watch::Receiver<bool>,
    frames: mpsc::Sender<Bytes>,
    /// Given back when the stream ends.
    _place: OwnedSemaphorePermit,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nobody reads any more.
    Gone,
    /// The reader took nothing for too long.
    Slow,
    /// The server stops.
    Stopping,
    /// The key does not work any more.
    Key,
}

impl Tail {
    async fn run(mut self) {
        // The place for the last word is taken first, so that there is one for a slow reader.
        let Ok(last) = self.frames.clone().reserve_owned().await else {
            return;
        };
        let end = match self.tell().await {
            Err(end) => end,
            Ok(never) => match never {},
        };
        tracing::debug!(?end, position = self.position, "a stream ended");
        if end != End::Gone {
            last.send(resume(self.position));
        }
    }

    async fn tell(&mut self) -> Result<Infallible, End> {
        // A reader has a token before anything happens.
        self.put(still_here(self.position)).await?;
        loop {
            self.heard.borrow_and_update();
            let end = self.door.merchant.store().durable_through();
            while self.position < end {
                self.part(end).await?;
            }
            let heard = tokio::select! {
                heard = self.heard.changed() => heard.is_ok(),
                () = tokio::time::sleep(limits::STREAM_HEARTBEAT) => false,
                () = self.frames.closed() => return Err(End::Gone),
                _ = self.stopping.wait_for(|stopping| *stopping) => return Err(End::Stopping),
            };
            if heard {
                tokio::time::sleep(limits::STREAM_PAUSE).await;
            } else {
                self.check_key().await?;
                self.put(still_here(self.position)).await?;
            }
        }
    }

    /// One part of the journal, up to `end` at most.
    async fn part(&mut self, end: i64) -> Result<(), End> {
        let (after, customer) = (self.position, self.customer.clone());
        let through = end.min(after + limits::STREAM_ROWS);
        let read = self
            .door
            .read(move |reads| Ok(reads.outcomes(after, through, customer.as_ref())?))
            .await;
        let Ok(rows) = read else {
            // It is in the log, or the readers are all busy; either way the row is still there.
            tokio::time::sleep(limits::STREAM_HEARTBEAT).await;
            return if *self.stopping.borrow() {
                Err(End::Stopping)
            } else {
                Ok(())
            };
        };
        for row in rows {
            let number = row.seq;
            self.put(frame(&row.into())).await?;
            self.position = number;
        }
        self.position = through;
        Ok(())
    }

    /// Hands a frame over as soon as the reader has room for it.
    async fn put(&mut self, frame: Bytes) -> Result<(), End> {
        tokio::select! {
            sent = tokio::time::timeout(limits::STREAM_SLOW_MAX, self.frames.send(frame)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(End::Gone),
                Err(_) => Err(End::Slow),
            },
            _ = self.stopping.wait_for(|stopping| *stopping) => Err(End::Stopping),
        }
    }

    /// A key that was revoked meanwhile ends its streams.
    async fn check_key(&self) -> Result<(), End> {
        match self.door.caller_of(self.caller.key).await {
            Ok(caller) if auth::allow(caller.role, SEES_DECISIONS).is_ok() => Ok(()),
            Err(problem) if problem.is_passing() => Ok(()),
            _ => Err(End::Key),
        }
    }
}

fn frame(item: &StreamItem) -> Bytes {
    let data = serde_json::to_string(item).expect("an outcome is plain data");
    // JSON has no line ends outside of its texts, and escapes those within.
    format!("id: {}\nevent: outcome\ndata: {data}\n\n", item.number).into()
}

/// Keeps proxies from giving up, and moves a filtered stream's token on; nobody is told of it.
fn still_here(position: i64) -> Bytes {
    format!("id: {position}\n: still here\n\n").into()
}

/// The last word: come again, with this token.
fn resume(position: i64) -> Bytes {
    format!(
        "retry: {}\nid: {position}\nevent: resume\ndata: {{\"after\":{position}}}\n\n",
        Duration::from_secs(limits::STREAM_RETRY_AFTER_S.into()).as_millis()
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(LAST_EVENT_ID, token.parse().unwrap())])
    }

    #[test]
    fn a_stream_begins_after_its_token_or_with_what_comes_next() {
        assert_eq!(begins_after(&HeaderMap::new(), None, 9).unwrap(), 9);
        assert_eq!(begins_after(&HeaderMap::new(), Some(0), 9).unwrap(), 0);
        assert_eq!(begins_after(&headers("7"), Some(0), 9).unwrap(), 7);
        assert_eq!(begins_after(&headers(""), None, 9).unwrap(), 9);
    }

    #[test]
    fn a_token_that_cannot_be_is_told_where_the_journal_ends() {
        for token in ["10", "-1", "seven", "9999999999999999999999", "7,8"] {
            let problem = begins_after(&headers(token), None, 9).unwrap_err();
            assert_eq!(problem.code(), "bad-cursor", "{token}");
        }
    }
}
