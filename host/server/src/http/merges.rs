//! Two profiles that are one person: merged, taken apart, or told apart. Each is an event as any other;
//! here are the requests that become one, what is suggested, and where an old id leads.

use super::Door;
use super::ask::{ContentType, Query, body};
use super::auth::Caller;
use super::customers::event;
use super::event_view::Named;
use super::limits;
use super::page::{Page, Paging};
use super::problem::{Problem, bad_request};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::outcome::{Outcome, Time};
use std::sync::Arc;
use utoipa::ToSchema;

/// Makes two profiles one.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MergeAsked {
    /// The customer who is taken in by the one of the path.
    #[schema(example = "cus_0r6h3m9c1w8k2f7d5t4b9n1q")]
    pub other: String,
    /// By what it is known that both are one: `email`, `phone`, `card` or `document`.
    #[schema(example = "phone")]
    pub confirmed_on: String,
    /// It stays in the ledger for ever: no names in it.
    #[schema(example = "registered twice")]
    pub reason: String,
    /// Who did it; the name of the key, where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Only says what would come of it.
    #[serde(default, skip_serializing)]
    pub dry_run: bool,
}

/// Takes a merge back, or says that there should be none.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApartAsked {
    /// The other customer.
    #[schema(example = "cus_0r6h3m9c1w8k2f7d5t4b9n1q")]
    pub other: String,
    #[schema(example = "mother and daughter")]
    pub reason: String,
    /// Who did it; the name of the key, where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Only says what would come of it.
    #[serde(default, skip_serializing)]
    pub dry_run: bool,
}

pub async fn merge(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    given: Body,
) -> Result<Json<Outcome>, Problem> {
    let asked: MergeAsked = read(&headers, given).await?;
    tell(&door, &caller, "customer.merged", id, &asked, asked.dry_run).await
}

pub async fn unmerge(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    given: Body,
) -> Result<Json<Outcome>, Problem> {
    let asked: ApartAsked = read(&headers, given).await?;
    tell(
        &door,
        &caller,
        "customer.unmerged",
        id,
        &asked,
        asked.dry_run,
    )
    .await
}

pub async fn decline(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    given: Body,
) -> Result<Json<Outcome>, Problem> {
    let asked: ApartAsked = read(&headers, given).await?;
    tell(&door, &caller, "merge.declined", id, &asked, asked.dry_run).await
}

async fn read<T: DeserializeOwned>(headers: &HeaderMap, given: Body) -> Result<T, Problem> {
    ContentType::read(headers, &[ContentType::Json])?;
    let bytes = body(headers, given, limits::BODY_BYTES_MAX).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| bad_request("malformed", format!("{error}; nothing was done")))
}

async fn tell(
    door: &Arc<Door>,
    caller: &Caller,
    kind: &str,
    keep: String,
    asked: &impl Serialize,
    dry_run: bool,
) -> Result<Json<Outcome>, Problem> {
    let Ok(Value::Object(mut data)) = serde_json::to_value(asked) else {
        return Err(super::problem::internal());
    };
    data.insert("keep".into(), Value::String(keep));
    let event = event(kind, data)?;
    let answer = match dry_run {
        true => door.preview(event, caller.sender()).await,
        false => door.submit(event, caller.sender()).await,
    };
    answer.map(Json).map_err(Problem::seen_from_body)
}

/// Two customers who look like one person.
#[derive(Debug, Serialize, ToSchema)]
pub struct MergeSuggestion {
    /// Counts them; it is the place in the list.
    pub number: i64,
    /// The customer to whom the event was given that showed it.
    pub keep: String,
    /// The one whom something else in the same event names.
    pub other: String,
    pub event: Option<Named>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
}

pub async fn suggestions(
    State(door): State<Arc<Door>>,
    Query(paging): Query<Paging>,
) -> Result<Json<Page<MergeSuggestion>>, Problem> {
    let (rows, after) = (paging.rows()?, paging.after::<i64>()?);
    let page = door
        .read(move |reads| {
            let found = reads.merge_suggestions(after.unwrap_or(0), rows + 1)?;
            let page = Page::of(found, rows, |row| row.number);
            Ok(page.map(|row| MergeSuggestion {
                number: row.number,
                keep: row.keep.0,
                other: row.other.0,
                event: row.event.map(Named::from),
                at: Time(row.at),
            }))
        })
        .await?;
    Ok(Json(page))
}

/// What is told of a customer whom somebody took in: who they are now.
pub fn is_now(into: &CustomerId) -> Problem {
    let detail = format!(
        "this customer is {} now: two profiles were one person",
        into.0
    );
    Problem::new(StatusCode::MOVED_PERMANENTLY, "merged", detail)
        .with("merged_into", into.0.as_str())
}

/// Leads a request about a customer who was merged to the same path of who they are now. A request that
/// changes something is to be sent again as it was.
pub fn lead_on(response: &mut Response, method: &Method, uri: &Uri) {
    let Some(problem) = response.extensions_mut().get_mut::<Problem>() else {
        return;
    };
    let Some(into) = problem.merged_into().map(str::to_owned) else {
        return;
    };
    let mut parts: Vec<&str> = uri.path().split('/').collect();
    // "", "v1", "customers", the id, and what of them.
    let is_of_customer = parts.get(2) == Some(&"customers");
    let Some(id) = parts.get_mut(3).filter(|_| is_of_customer) else {
        return;
    };
    *id = &into;
    let mut place = parts.join("/");
    if let Some(query) = uri.query() {
        place.push('?');
        place.push_str(query);
    }
    let reads = [Method::GET, Method::HEAD].contains(method);
    if !reads {
        problem.turn_into(StatusCode::PERMANENT_REDIRECT);
    }
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
}
