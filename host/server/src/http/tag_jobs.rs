//! One tag for many customers at once: an event for each of them, and one for the job, which makes it
//! safe to send again.

use super::Door;
use super::ask::{ContentType, body};
use super::auth::Caller;
use super::customers::{self, Looked};
use super::event_view::Named;
use super::limits;
use super::problem::{Problem, bad_request};
use crate::clock;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Body as EventBody, EventName, Instant};
use stampcard_pipeline::outcome::{Outcome, Time};
use stampcard_store::Reads;
use stampcard_store::reads::Find;
use std::collections::BTreeSet;
use std::sync::Arc;
use utoipa::ToSchema;

/// One tag for many customers. Sent again with the same key it does nothing twice and gets the same
/// answer.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TagsBulk {
    /// Names this job for ever, in the caller's own words.
    #[schema(example = "spring-list-2026")]
    pub key: String,
    pub action: BulkAction,
    #[schema(example = "VIP")]
    pub tag: String,
    /// The customers, at most 5,000, by our own id or anything that they go by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customers: Option<Vec<WhoIs>>,
    /// Instead of a list: everybody whom this finds, at most 5,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<BulkQuery>,
    /// Who wants it; the name of the key, where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BulkAction {
    Add,
    Remove,
}

/// A customer by one of these.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhoIs {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

/// By what customers are found: one of these.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulkDone {
    /// The event that the journal keeps of the job: its tag, its customers, who and why.
    pub event: Named,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    pub tag: String,
    /// Customers who were found.
    pub matched: u64,
    /// Customers whose tags are now others than before.
    pub changed: u64,
    /// Customers who had it already, or never had it.
    pub unchanged: u64,
    /// The places in the list, from 0, that named nobody.
    pub unknown: Vec<u64>,
    /// What could not be done, each a problem as a single event would have got it.
    pub refused: Vec<Problem>,
}

/// The job as its journal entry has it.
#[derive(Deserialize)]
struct Job {
    tag: String,
    action: BulkAction,
    #[serde(default)]
    list: Vec<CustomerId>,
    #[serde(default)]
    unknown: Vec<u64>,
    actor: String,
    #[serde(default)]
    reason: Option<String>,
    request: String,
}

pub async fn bulk(
    State(door): State<Arc<Door>>,
    caller: Caller,
    headers: HeaderMap,
    given: Body,
) -> Result<Json<BulkDone>, Problem> {
    ContentType::read(&headers, &[ContentType::Json])?;
    let bytes = body(&headers, given, limits::BULK_BYTES_MAX).await?;
    let asked: TagsBulk = serde_json::from_slice(&bytes).map_err(|error| {
        bad_request(
            "malformed",
            format!("this is not a bulk assignment of a tag: {error}; nothing was done"),
        )
    })?;
    Ok(Json(assign(&door, &caller, &asked).await?))
}

/// Does a job, or what is left of it.
pub async fn assign(
    door: &Arc<Door>,
    caller: &Caller,
    asked: &TagsBulk,
) -> Result<BulkDone, Problem> {
    if asked.key.trim().is_empty() || asked.key.len() > limits::BULK_KEY_BYTES_MAX {
        let detail = format!("a key has from 1 to {} bytes", limits::BULK_KEY_BYTES_MAX);
        return Err(bad_request("bad-key", detail).at("/key"));
    }
    let name = EventName {
        source: customers::SOURCE.into(),
        id: format!("tags:{}", asked.key),
    };
    let (job, at) = begin(door, caller, asked, &name).await?;
    let events = job
        .list
        .iter()
        .map(|customer| event_of(&asked.key, &job, customer, at));
    let answers = door.submit_all(events.collect(), caller.sender()).await;
    let mut done = BulkDone {
        event: name.into(),
        at: Time(at),
        matched: job.list.len() as u64,
        tag: job.tag,
        changed: 0,
        unchanged: 0,
        unknown: job.unknown,
        refused: Vec::new(),
    };
    for answer in answers {
        match answer {
            Ok(outcome) if moved(&outcome) => done.changed += 1,
            Ok(_) => done.unchanged += 1,
            Err(problem) if problem.status() >= 500 => {
                // What was done is done, and the same request does the rest.
                return Err(problem);
            }
            Err(problem) => done.refused.push(problem),
        }
    }
    Ok(done)
}

fn moved(outcome: &Outcome) -> bool {
    !outcome.tags.set.is_empty() || !outcome.tags.cleared.is_empty()
}

/// Finds whom the job is about and puts that into the journal, or takes from there what the same
/// job found the first time.
async fn begin(
    door: &Arc<Door>,
    caller: &Caller,
    asked: &TagsBulk,
    name: &EventName,
) -> Result<(Job, Instant), Problem> {
    let request = fingerprint(asked);
    // Two of the same key do not begin at once.
    let _turn = door.edits.lock().await;
    if let Some((job, at)) = kept(door, name.clone()).await? {
        if job.request != request {
            let detail =
                "this key belongs to another job; nothing was done. Give this one a key of its own";
            let problem = Problem::new(StatusCode::CONFLICT, "key-taken", detail).at("/key");
            return Err(problem);
        }
        return Ok((job, at));
    }
    let at = clock::now();
    let (list, unknown) = found(door, asked).await?;
    let action = asked.action;
    let data = json!({
        "tag": asked.tag, "action": action, "customers": list.len(), "list": list, "unknown": unknown,
        "actor": asked.actor.clone().unwrap_or_else(|| caller.name.to_string()),
        "reason": asked.reason, "request": request,
    });
    let event = json!({
        "specversion": "1.0", "source": name.source, "id": name.id, "type": "tags.assigned",
        "time": calendar::text(at), "data": data,
    });
    let event = Bytes::from(event.to_string());
    door.submit(event, caller.sender())
        .await
        .map_err(Problem::seen_from_body)?;
    match kept(door, name.clone()).await? {
        Some(job) => Ok(job),
        None => Err(super::problem::internal()),
    }
}

async fn kept(door: &Arc<Door>, name: EventName) -> Result<Option<(Job, Instant)>, Problem> {
    door.read(move |reads| {
        let Some(row) = reads.event(&name)? else {
            return Ok(None);
        };
        let job = match &row.event.body {
            EventBody::Other(text) => serde_json::from_str(text).ok(),
            _ => None,
        };
        job.map(|job| Some((job, row.event.at)))
            .ok_or_else(super::problem::internal)
    })
    .await
}

/// Sameness of two requests under one key.
fn fingerprint(asked: &TagsBulk) -> String {
    let text = serde_json::to_vec(asked).expect("a request is plain data");
    let hash = Sha256::digest(text);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The customers, each once, and the places of the list that name nobody.
async fn found(door: &Arc<Door>, asked: &TagsBulk) -> Result<(Vec<CustomerId>, Vec<u64>), Problem> {
    let live = door.merchant.live();
    let too_many = |count: usize| {
        let detail = format!(
            "{count} customers or more, and {} is the limit of one job; nothing was done. Narrow it, or send several with \
             keys of their own",
            limits::BULK_CUSTOMERS_MAX
        );
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-many-customers", detail)
    };
    match (&asked.customers, &asked.query) {
        (Some(list), None) => {
            if list.len() > limits::BULK_CUSTOMERS_MAX {
                return Err(too_many(list.len()));
            }
            let mut looked = Vec::with_capacity(list.len());
            for (index, named) in list.iter().enumerate() {
                let looked_for = Looked::of(named, &live.shop);
                looked.push(looked_for.map_err(|it| it.at(&format!("/customers/{index}")))?);
            }
            door.read(move |reads| each_of(reads, &looked)).await
        }
        (None, Some(query)) => {
            let BulkQuery { tag, segment, tier } = query;
            let (tag, segment, tier) = (tag.clone(), segment.clone(), tier.clone());
            let max = limits::BULK_CUSTOMERS_MAX as u32;
            let ids = door
                .read(move |reads| {
                    let find = match (&tag, &segment, &tier) {
                        (Some(tag), None, None) => Find::Tag(live.shop.tags.key_of(tag)),
                        (None, Some(segment), None) => Find::Segment(segment),
                        (None, None, Some(tier)) => Find::Tier(tier),
                        _ => {
                            let detail = "a query is one of tag, segment and tier";
                            return Err(bad_request("bad-query", detail).at("/query"));
                        }
                    };
                    let found = reads.customers(find, None, max + 1)?;
                    Ok(found.into_iter().map(|it| it.id).collect::<Vec<_>>())
                })
                .await?;
            if ids.len() > limits::BULK_CUSTOMERS_MAX {
                return Err(too_many(ids.len()));
            }
            Ok((ids, Vec::new()))
        }
        _ => {
            let detail = "say whom: either customers, a list, or query";
            Err(bad_request("customers-or-query", detail))
        }
    }
}

fn each_of(reads: &Reads, looked: &[Looked]) -> Result<(Vec<CustomerId>, Vec<u64>), Problem> {
    let (mut list, mut unknown, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (index, looked) in looked.iter().enumerate() {
        match looked.find(reads)? {
            Some(id) if seen.insert(id.0.clone()) => list.push(id),
            Some(_) => {}
            None => unknown.push(index as u64),
        }
    }
    Ok((list, unknown))
}

/// One customer's part. Its name and its time are the job's, so that it is the same event when the
/// job is sent again.
fn event_of(key: &str, job: &Job, customer: &CustomerId, at: Instant) -> Bytes {
    let kind = match job.action {
        BulkAction::Add => "tag.added",
        BulkAction::Remove => "tag.removed",
    };
    let event = json!({
        "specversion": "1.0", "source": customers::SOURCE, "id": format!("tags:{key}:{}", customer.0), "type": kind,
        "time": calendar::text(at),
        "data": {
            "customer": {"id": customer.0}, "tag": job.tag, "actor": job.actor, "reason": job.reason,
            "attributes": {"job": key},
        },
    });
    Bytes::from(event.to_string())
}
