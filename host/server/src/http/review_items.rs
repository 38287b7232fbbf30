//! What waits for a person, and what somebody found who looked at it.

use super::ask::{ContentType, Flag, Query, body};
use super::auth::Caller;
use super::event_view::Named;
use super::page::{Page, Paging};
use super::problem::{Problem, bad_request, internal, not_found};
use super::{Door, limits};
use crate::clock;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use stampcard_pipeline::limits::{REASON_BYTES_MAX, TEXT_BYTES_MAX};
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::store::StoreError;
use stampcard_store::{Closed, Closing, ReviewItemRow};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ItemsAsked {
    /// 1 lists those that somebody has closed, newest first, instead of those that wait.
    #[serde(default)]
    #[param(value_type = Option<String>, pattern = "^(0|1|true|false)$")]
    pub closed: Flag,
    /// Rows of this page, from 1 to 500; 50 if it is not given.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[param(pattern = "^([0-9a-f]{2})+$")]
    pub cursor: Option<String>,
}

/// Something for a person to look at. It has taken nothing and given nothing; what should follow from
/// it is an event of its own, such as `points.adjusted`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewItem {
    pub id: i64,
    /// `merge-suggested`, `too-late`, `late-reported`, `payment-failed-late`, `looks-twice`,
    /// `redeemed-too-much`, `credit-overspent`, `many-friends` or `referred-themselves`.
    #[schema(example = "looks-twice")]
    pub kind: String,
    /// What it is about, in a sentence.
    pub about: String,
    pub customer: Option<String>,
    /// The event that left it.
    pub event: Option<Named>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// What belongs to its kind: the other sale, the other customer, the days, the points.
    #[schema(value_type = Object)]
    pub details: Value,
    /// What somebody found; null while it waits.
    pub closed: Option<ItemClosed>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ItemClosed {
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// Who looked at it.
    pub actor: String,
    pub reason: String,
}

/// What somebody found.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseItem {
    /// Who looked at it; the name of the key, where it is not given.
    actor: Option<String>,
    /// What they found.
    #[schema(min_length = 1)]
    reason: String,
}

/// `GET /v1/review-items`
pub async fn list(
    State(door): State<Arc<Door>>,
    Query(asked): Query<ItemsAsked>,
) -> Result<Json<Page<ReviewItem>>, Problem> {
    let ItemsAsked {
        closed: Flag(closed),
        limit,
        cursor,
    } = asked;
    let paging = Paging { limit, cursor };
    let (rows, after) = (paging.rows()?, paging.after::<i64>()?);
    let page = door
        .read(move |reads| {
            let found = match closed {
                false => reads.review_items(after.unwrap_or(0), rows + 1)?,
                true => reads.closed_items(after.unwrap_or(i64::MAX), rows + 1)?,
            };
            Ok(Page::of(found, rows, |row| row.id).map(view))
        })
        .await?;
    Ok(Json(page))
}

/// `POST /v1/review-items/{id}/close`
pub async fn close(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    given: Body,
) -> Result<Json<ReviewItem>, Problem> {
    ContentType::read(&headers, &[ContentType::Json])?;
    let bytes = body(&headers, given, limits::BODY_BYTES_MAX).await?;
    let asked: CloseItem = serde_json::from_slice(&bytes)
        .map_err(|error| bad_request("malformed", format!("not what this takes: {error}")))?;
    let with = Closed {
        at: clock::now(),
        by: said(
            asked.actor.unwrap_or_else(|| caller.name.to_string()),
            "actor",
            TEXT_BYTES_MAX,
        )?,
        because: said(asked.reason, "reason", REASON_BYTES_MAX)?,
    };
    let Ok(number) = id.parse::<i64>() else {
        return Err(no_such_item(&id));
    };
    let merchant = Arc::clone(&door.merchant);
    let closing = tokio::task::spawn_blocking(move || {
        let closing = merchant.store().close_item(number, &with)?;
        Ok::<_, StoreError>((closing, merchant.store().reads().review_item(number)?))
    });
    match closing.await.map_err(|_| internal())?? {
        (Closing::Done, Some(row)) => Ok(Json(view(row))),
        (Closing::Before(closed), _) => Err(Problem::new(
            StatusCode::CONFLICT,
            "already-closed",
            format!("{} closed it: {}", closed.by, closed.because),
        )),
        _ => Err(no_such_item(&id)),
    }
}

fn no_such_item(id: &str) -> Problem {
    not_found("no-such-item", format!("there is no review item {id}"))
}

fn said(text: String, field: &str, most: usize) -> Result<String, Problem> {
    let problem = match text.trim().len() {
        0 => format!("{field} is empty; say who looked at it, and what they found"),
        length if length > most => format!("{field} is longer than {most} bytes"),
        _ => return Ok(text.trim().to_owned()),
    };
    Err(bad_request("malformed", problem).at(&format!("/{field}")))
}

fn view(row: ReviewItemRow) -> ReviewItem {
    let mut details: Value = serde_json::from_str(&row.body).unwrap_or_default();
    if let Some(details) = details.as_object_mut() {
        details.remove("kind");
    }
    ReviewItem {
        id: row.id,
        about: about(&row.kind).into(),
        kind: row.kind,
        customer: row.customer.map(|customer| customer.0),
        event: row.event.map(|event| Named {
            source: event.source,
            id: event.id,
        }),
        at: Time(row.occurred_at),
        details,
        closed: row.closed.map(|closed| ItemClosed {
            at: Time(closed.at),
            actor: closed.by,
            reason: closed.because,
        }),
    }
}

fn about(kind: &str) -> &'static str {
    match kind {
        "merge-suggested" => "What an event says names two customers: are they one person?",
        "too-late" => {
            "An event came after the late window and was decided alone: should others change?"
        }
        "late-reported" => {
            "A late event would have changed the ledger, and the shop only reports that."
        }
        "payment-failed-late" => {
            "A payment failed when its points were final: should they be taken back?"
        }
        "looks-twice" => {
            "Two sales to one customer are of the same amount, at one place and nearly at one time: is it one sale?"
        }
        "redeemed-too-much" => {
            "A code was used at a till that was not connected, and its points were spent by then: should the customer be asked?"
        }
        "credit-overspent" => {
            "A sale was paid with more store credit than its customer had: should the customer be asked?"
        }
        "many-friends" => {
            "More friends joined with one code on one day than points are given for: are they friends?"
        }
        "referred-themselves" => {
            "Two profiles that are one person had referred each other: should the points go?"
        }
        _ => "Somebody should look at this.",
    }
}
