//! Tags: what the registry says, what is in use, and one tag for many customers at once.

use super::Door;
use super::ask::{ContentType, body};
use super::auth::Caller;
use super::customers::{self, Looked};
use super::event_view::Named;
use super::limits;
use super::problem::{Problem, bad_request};
use crate::clock;
use crate::reports::Uses;
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
use stampcard_pipeline::rules::{Plugin, Rules};
use stampcard_pipeline::shop::{SetBy, Shop};
use stampcard_pipeline::store::StoreError;
use stampcard_store::Reads;
use stampcard_store::reads::Find;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use utoipa::ToSchema;

/// Every tag that is registered, that a rule may set, or that some customer has.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tags {
    pub tags: Vec<TagInfo>,
    /// Tags in use that the registry does not have.
    pub unregistered: u64,
    /// Tags in use that no live rule sets or looks at.
    pub unused: u64,
    /// Of those, the ones that a single customer has.
    pub one_off: u64,
    /// Registered tags of campaigns that nobody has any more.
    pub expired: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TagInfo {
    #[schema(example = "VIP")]
    pub tag: String,
    pub registered: bool,
    /// In one sentence, from the registry or from the manifest of a plugin.
    pub means: Option<String>,
    /// Of `rules`, `pos` and `staff`; empty where the registry does not have it.
    pub set_by: Vec<&'static str>,
    pub synonyms: Vec<String>,
    pub expires_after_days: Option<u32>,
    /// The live plugins that may set it.
    pub rules: Vec<String>,
    /// The live plugins whose configuration names it.
    pub used_by: Vec<String>,
    /// Only people set it: it is a list made by hand.
    pub manual: bool,
    pub customers: u64,
    /// What somebody may want to tidy up.
    pub advice: Vec<String>,
}

pub async fn tags(State(door): State<Arc<Door>>) -> Result<Json<Tags>, Problem> {
    let live = door.merchant.live();
    let listed = door
        .read(move |reads| Ok(listed(reads, live.book.plugins(), &live.shop)?))
        .await?;
    Ok(Json(listed))
}

/// The tags of a shop, by key.
pub fn listed(reads: &Reads, plugins: &[Plugin], shop: &Shop) -> Result<Tags, StoreError> {
    let uses = Uses::read(reads, plugins)?;
    let mut tags: BTreeMap<String, TagInfo> = BTreeMap::new();
    for rule in shop.tags.all() {
        let mut info = TagInfo::unknown(&rule.key);
        info.registered = true;
        info.means = Some(rule.means.clone());
        info.set_by = rule.set_by.iter().map(|it| it.name()).collect();
        info.synonyms = rule.synonyms.clone();
        info.expires_after_days = rule.expires_after_days;
        tags.insert(rule.key.clone(), info);
    }
    for plugin in plugins {
        for (tag, means) in &plugin.tags {
            let info = tags
                .entry(tag.clone())
                .or_insert_with(|| TagInfo::unknown(tag));
            info.means.get_or_insert_with(|| means.clone());
            info.rules.push(plugin.name.clone());
        }
    }
    for (tag, customers) in reads.tags()? {
        let info = tags
            .entry(tag.clone())
            .or_insert_with(|| TagInfo::unknown(&tag));
        info.customers = customers;
    }
    for info in tags.values_mut() {
        info.used_by = uses.of(&info.tag);
        info.manual = info.rules.is_empty();
        info.advice = advice(info, shop);
    }
    let tags: Vec<TagInfo> = tags.into_values().collect();
    let count = |is_so: fn(&TagInfo) -> bool| {
        let counted = tags.iter().filter(|info| is_so(info));
        counted.count() as u64
    };
    Ok(Tags {
        unregistered: count(|info| !info.registered && info.customers > 0),
        unused: count(TagInfo::is_unused),
        one_off: count(|info| info.is_unused() && info.customers == 1),
        expired: count(TagInfo::is_expired),
        tags,
    })
}

impl TagInfo {
    fn unknown(tag: &str) -> TagInfo {
        TagInfo {
            tag: tag.to_owned(),
            registered: false,
            means: None,
            set_by: Vec::new(),
            synonyms: Vec::new(),
            expires_after_days: None,
            rules: Vec::new(),
            used_by: Vec::new(),
            manual: true,
            customers: 0,
            advice: Vec::new(),
        }
    }

    /// Some have it, and no rule would miss it.
    fn is_unused(&self) -> bool {
        self.customers > 0 && self.manual && self.used_by.is_empty()
    }

    /// A campaign's tag that has ended for everybody.
    fn is_expired(&self) -> bool {
        self.expires_after_days.is_some() && self.customers == 0
    }
}

fn advice(info: &TagInfo, shop: &Shop) -> Vec<String> {
    let mut advice = Vec::new();
    if let Some(location) = shop.location_named(&info.tag) {
        advice.push(format!(
            "it only repeats the location {location:?}: every event says where it happened, and rules have totals by location"
        ));
    }
    if let Some(key) = shop.tags.find(&info.tag).filter(|it| it.key != info.tag) {
        advice.push(format!(
            "it is another spelling of {:?}: set that, and clear this one with POST /v1/tags:bulk",
            key.key
        ));
    } else if !info.registered && info.customers > 0 {
        let nearest = shop.tags.nearest(&info.tag);
        advice.push(match nearest {
            Some(nearest) => format!(
                "it is not registered; is it {nearest:?}? Then make it a synonym, or register it under [[tags]]"
            ),
            None => "it is not registered: say under [[tags]] what it means".into(),
        });
    }
    // What is registered says what it is for; people may use it without any rule.
    if info.is_unused() && !info.registered {
        advice.push(match info.customers {
            1 => "one customer has it, and no rule looks at it: clear it, or make it a note".into(),
            _ => "no live rule sets it or looks at it: build a segment on it, or clear it".into(),
        });
    }
    if info.is_expired() {
        advice.push(
            "nobody has it any more: if the campaign is over, take it out of [[tags]]".into(),
        );
    }
    let rules_may = info.set_by.contains(&SetBy::Rules.name());
    if info.registered && !info.rules.is_empty() && !rules_may {
        advice.push(format!(
            "{} may set it, and set_by does not give it to rules: it is left alone",
            info.rules.join(", ")
        ));
    }
    advice
}

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
