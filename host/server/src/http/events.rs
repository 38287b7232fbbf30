//! Events: taken one by one or in a batch, tried out, and read back with what became of them.

use super::Door;
use super::ask::{ContentType, Query, body};
use super::auth::Caller;
use super::decision::{Step, steps};
use super::devices::Speaker;
use super::event_view::EventView;
use super::limits;
use super::problem::{Problem, bad_request, not_found, too_large};
use super::schema;
use super::till::{Card, card_in_time};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::EventName;
use stampcard_pipeline::outcome::{Outcome, Time};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;
use utoipa::{IntoParams, ToSchema};

/// What came of one event of a batch. Each is a commit of its own, so a problem with one takes
/// nothing from the others.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum BatchItem {
    #[schema(value_type = schema::Outcome)]
    Outcome(Box<Outcome>),
    Problem(Problem),
}

/// `POST /v1/events`
pub async fn take(
    State(door): State<Arc<Door>>,
    caller: Caller,
    headers: HeaderMap,
    given: Body,
) -> Result<Response, Problem> {
    match read(&headers, given).await? {
        Sent::One(event) => {
            let wants_card = is_recognition(&event);
            let speaker = Speaker::of(&event);
            let outcome = door.submit(event, caller.sender()).await?;
            door.heard_of(speaker);
            let whom = outcome.customer.as_ref().filter(|_| wants_card);
            let card = match whom.map(|customer| CustomerId(customer.id.clone())) {
                Some(id) => card_in_time(&door, id).await,
                None => None,
            };
            Ok(Json(Answered { outcome, card }).into_response())
        }
        Sent::Batch(events) => {
            let more = events.len().saturating_sub(1);
            door.quota.take_more(caller.key, more, Instant::now());
            let speakers: Vec<_> = events.iter().map(|event| Speaker::of(event)).collect();
            let answers = door.submit_all(events, caller.sender()).await;
            let answers = answers
                .into_iter()
                .zip(speakers)
                .map(|(answer, speaker)| match answer {
                    Ok(outcome) => {
                        door.heard_of(speaker);
                        BatchItem::Outcome(Box::new(outcome))
                    }
                    Err(problem) => BatchItem::Problem(problem),
                });
            Ok(Json(answers.collect::<Vec<_>>()).into_response())
        }
    }
}

/// What a till is answered: the outcome, and where somebody was recognised their card as well.
#[derive(Serialize)]
struct Answered {
    #[serde(flatten)]
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<Card>,
}

const RECOGNISED: &str = "customer.identified";

/// Whether an event says that somebody was recognised. Most do not even have the word.
fn is_recognition(event: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    let word = RECOGNISED.as_bytes();
    let has_word = event.windows(word.len()).any(|part| part == word);
    has_word && serde_json::from_slice::<Kind>(event).is_ok_and(|it| it.kind == RECOGNISED)
}

/// `POST /v1/preview`
pub async fn preview(
    State(door): State<Arc<Door>>,
    caller: Caller,
    headers: HeaderMap,
    given: Body,
) -> Result<Json<Outcome>, Problem> {
    match read(&headers, given).await? {
        Sent::One(event) => {
            let speaker = Speaker::of(&event);
            let outcome = door.preview(event, caller.sender()).await?;
            door.heard_of(speaker);
            Ok(Json(outcome))
        }
        Sent::Batch(_) => Err(bad_request(
            "one-at-a-time",
            "a preview is of one event: nothing of a first would be there for a second",
        )),
    }
}

enum Sent {
    One(Bytes),
    Batch(Vec<Bytes>),
}

async fn read(headers: &HeaderMap, given: Body) -> Result<Sent, Problem> {
    let kind = ContentType::read(
        headers,
        &[ContentType::Json, ContentType::Event, ContentType::Events],
    )?;
    let max = if kind == ContentType::Event {
        limits::EVENT_BYTES_MAX
    } else {
        limits::BATCH_BYTES_MAX
    };
    let bytes = body(headers, given, max).await?;
    let is_list = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    match kind {
        ContentType::Events => batch(&bytes),
        ContentType::Json if is_list => batch(&bytes),
        _ if bytes.len() > limits::EVENT_BYTES_MAX => Err(too_large(limits::EVENT_BYTES_MAX)),
        _ => Ok(Sent::One(bytes)),
    }
}

fn batch(bytes: &Bytes) -> Result<Sent, Problem> {
    let events: Vec<&RawValue> = serde_json::from_slice(bytes).map_err(|error| {
        bad_request(
            "malformed",
            format!("a batch is a JSON array of CloudEvents: {error}. Nothing of it was taken"),
        )
    })?;
    if events.len() > limits::BATCH_EVENTS_MAX {
        let detail = format!(
            "{} events, and {} is the limit of one batch; nothing of it was taken. `stampcard ingest` takes whole files",
            events.len(),
            limits::BATCH_EVENTS_MAX
        );
        return Err(Problem::new(
            axum::http::StatusCode::PAYLOAD_TOO_LARGE,
            "too-many-events",
            detail,
        ));
    }
    Ok(Sent::Batch(
        events
            .into_iter()
            .map(|event| bytes.slice_ref(event.get().as_bytes()))
            .collect(),
    ))
}

/// Which event to read.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    #[param(example = "till-1")]
    pub source: String,
    #[param(example = "ord-1001")]
    pub id: String,
}

/// An event, what became of it, and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventRecord {
    pub event: EventView,
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Time,
    /// Whose it was on arrival.
    pub customer: Option<String>,
    /// The answer that it got.
    #[schema(value_type = schema::Outcome)]
    pub outcome: Outcome,
    /// Each step in the order of deciding; the last one of an event stands.
    pub explanation: Vec<Step>,
}

/// `GET /v1/events?source=…&id=…`
pub async fn one(
    State(door): State<Arc<Door>>,
    Query(which): Query<Which>,
) -> Result<Json<EventRecord>, Problem> {
    let merchant = door.merchant.clone();
    let currency = door.currency();
    let record = door
        .read(move |reads| {
            let name = EventName { source: which.source, id: which.id };
            let found = reads.event(&name)?.ok_or_else(|| {
                not_found("no-such-event", "no event of this source has this id; a refused event is not kept, so send it again")
            })?;
            let rows = reads.explanations(&name)?;
            let books: Vec<_> = rows.iter().filter_map(|row| merchant.store().rule_book_at(row.rule_book)).collect();
            let plugins = |number: i64| books.iter().find(|book| book.number == number).map(|book| book.plugins.as_slice());
            Ok(EventRecord {
                event: EventView::of(&found.event, &currency),
                received_at: Time(found.received_at),
                customer: found.customer.map(|id| id.0),
                outcome: found.outcome.hidden(),
                explanation: steps(rows, plugins),
            })
        })
        .await?;
    Ok(Json(record))
}
