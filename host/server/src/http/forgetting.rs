//! Forgetting a person who wants it: the event that deletes what is known of them.

use super::Door;
use super::ask::Query;
use super::auth::Caller;
use super::customers::{answer, event_at, one};
use super::problem::Problem;
use crate::clock;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, json};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::Instant;
use std::sync::Arc;
use utoipa::IntoParams;

/// Why, and who saw to it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ForgetAsked {
    /// It stays in the journal for ever: no names in it. `asked for it`, where it is not given.
    #[param(example = "asked for it in store")]
    pub reason: Option<String>,
    /// Who did it; the name of the key, where it is not given.
    pub actor: Option<String>,
}

/// Once forgotten they stay so: asked again, it is no error and no second event.
pub async fn forget(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Path(id): Path<String>,
    Query(asked): Query<ForgetAsked>,
) -> Result<Response, Problem> {
    let _turn = door.edits.lock().await;
    let now = one(&door, CustomerId(id.clone())).await?;
    if now.erased_at.is_some() {
        return Ok(answer(StatusCode::OK, now));
    }
    let mut data = Map::new();
    data.insert("customer".into(), json!({"id": id}));
    let reason = asked.reason.unwrap_or_else(|| "asked for it".into());
    data.insert("reason".into(), reason.into());
    if let Some(actor) = asked.actor {
        data.insert("actor".into(), actor.into());
    }
    // The clock of a till may be ahead of ours, and a person is forgotten after all that happened.
    let last = now.last_event_at.map_or(0, |last| last.0.0);
    let at = clock::now().max(Instant(last + 1));
    door.submit(event_at("customer.deleted", data, at)?, caller.sender())
        .await?;
    Ok(answer(StatusCode::OK, one(&door, CustomerId(id)).await?))
}
