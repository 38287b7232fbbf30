//! The outbox: what is to be sent, what was, and what somebody has to look at.

use super::Door;
use super::ask::Query;
use super::auth::Caller;
use super::next::{FollowUp, follow_ups_of};
use super::page::{Page, Paging};
use super::problem::{Problem, bad_request, internal, not_found};
use crate::clock;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use stampcard_pipeline::event::Instant;
use stampcard_store::{Granted, Wish};
use std::sync::Arc;
use utoipa::IntoParams;

/// The states of a row, as they are asked for.
pub const STATES: [&str; 8] = [
    "planned",
    "sent",
    "dead",
    "too-late",
    "dropped",
    "suppressed",
    "cancelled",
    "withdrawn",
];

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OutboxAsked {
    /// Only those in this state, the newest first; without it those that are planned, the next due first.
    #[param(
        example = "dead",
        pattern = "^(planned|sent|dead|too-late|dropped|suppressed|cancelled|withdrawn)$"
    )]
    pub state: Option<String>,
    /// Rows of this page, from 1 to 500; 50 if it is not given.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[param(pattern = "^([0-9a-f]{2})+$")]
    pub cursor: Option<String>,
}

/// `GET /v1/outbox`
pub async fn list(
    State(door): State<Arc<Door>>,
    Query(asked): Query<OutboxAsked>,
) -> Result<Json<Page<FollowUp>>, Problem> {
    let OutboxAsked {
        state,
        limit,
        cursor,
    } = asked;
    let paging = Paging { limit, cursor };
    let rows = paging.rows()?;
    let (shops, policy) = (door.language(), door.referral());
    let Some(state) = state else {
        let after = paging.after::<(Instant, i64)>()?;
        let page = door.read(move |reads| {
            let found = reads.outbox(after, rows + 1)?;
            let page = Page::of(found, rows, |row| (row.due, row.id));
            page.try_map(|rows| follow_ups_of(reads, rows, &shops, policy.as_ref()))
        });
        return Ok(Json(page.await?));
    };
    if !STATES.contains(&state.as_str()) {
        let detail = format!("{state:?} is no state; they are {}", STATES.join(", "));
        return Err(bad_request("bad-query", detail).with("parameter", "state"));
    }
    let before = paging.after::<i64>()?;
    let page = door.read(move |reads| {
        let found = reads.outbox_in(&state, before, rows + 1)?;
        let page = Page::of(found, rows, |row| row.id);
        page.try_map(|rows| follow_ups_of(reads, rows, &shops, policy.as_ref()))
    });
    Ok(Json(page.await?))
}

/// `GET /v1/outbox/{id}`
pub async fn one(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Json<FollowUp>, Problem> {
    let number = number(&id)?;
    Ok(Json(read(&door, number).await?))
}

/// `POST /v1/outbox/{id}/retry`
pub async fn retry(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Json<FollowUp>, Problem> {
    grant(&door, &id, Wish::Retry).await
}

/// `POST /v1/outbox/{id}/drop`
pub async fn drop(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<FollowUp>, Problem> {
    let by = caller.name.to_string();
    grant(&door, &id, Wish::Drop { by }).await
}

async fn grant(door: &Arc<Door>, id: &str, wish: Wish) -> Result<Json<FollowUp>, Problem> {
    let number = number(id)?;
    let states = wish.from().join(" or ");
    let merchant = Arc::clone(&door.merchant);
    let granting =
        tokio::task::spawn_blocking(move || merchant.store().grant(number, &wish, clock::now()));
    match granting.await.map_err(|_| internal())?? {
        Granted::Done => Ok(Json(read(door, number).await?)),
        Granted::NotThere => Err(no_such_follow_up(id)),
        Granted::Not => {
            let now = read(door, number).await?;
            let detail = format!("it is {}, and that is for one that is {states}", now.state);
            Err(Problem::new(
                StatusCode::CONFLICT,
                "not-in-this-state",
                detail,
            ))
        }
    }
}

async fn read(door: &Arc<Door>, id: i64) -> Result<FollowUp, Problem> {
    let (shops, policy) = (door.language(), door.referral());
    let found = door.read(move |reads| {
        let rows = reads.follow_up(id)?.into_iter().collect();
        follow_ups_of(reads, rows, &shops, policy.as_ref())
    });
    let mut found = found.await?;
    found
        .pop()
        .ok_or_else(|| no_such_follow_up(&id.to_string()))
}

fn number(id: &str) -> Result<i64, Problem> {
    id.parse().map_err(|_| no_such_follow_up(id))
}

fn no_such_follow_up(id: &str) -> Problem {
    not_found(
        "no-such-follow-up",
        format!("there is no follow-up {id} in the outbox"),
    )
}
