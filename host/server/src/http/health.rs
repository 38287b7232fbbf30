//! Whether the server runs, and whether the shop takes events.

use super::Door;
use super::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use serde::Serialize;
use stampcard_pipeline::admit::ENVELOPE;
use stampcard_pipeline::catalogue::DATA_VERSIONS;
use std::sync::Arc;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub struct Alive {
    /// Always `alive`.
    pub status: &'static str,
    pub version: &'static str,
    /// The envelope that events come in.
    pub cloudevents: &'static str,
    /// The versions of their data that are read side by side; an event that names none is of the
    /// first.
    pub data_versions: Vec<&'static str>,
}

pub async fn alive() -> Json<Alive> {
    Json(Alive {
        status: "alive",
        version: env!("CARGO_PKG_VERSION"),
        cloudevents: ENVELOPE,
        data_versions: DATA_VERSIONS.to_vec(),
    })
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Ready {
    /// Always `ready`; a shop that is not answers 503.
    pub status: &'static str,
    pub merchant: String,
    /// The rule book that is live.
    pub rule_book: i64,
    /// Events that wait in front of the lanes, and how many may.
    pub waiting: usize,
    pub places: usize,
    /// Plugins that are not live as the shop's folder has them; GET /v1/plugins says why.
    pub not_loaded: Vec<String>,
}

pub async fn ready(State(door): State<Arc<Door>>) -> Result<Json<Ready>, Problem> {
    let health = door.merchant.health();
    if let Some(why_not) = health.why_not {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", why_not);
        return Err(problem.header(header::RETRY_AFTER, "1"));
    }
    // A database that cannot be read is not ready, whatever the lanes say.
    door.read(|reads| Ok(reads.next_due()?)).await?;
    let live = door.merchant.live();
    Ok(Json(Ready {
        status: "ready",
        merchant: door.merchant.name().to_owned(),
        rule_book: live.number,
        waiting: health.waiting,
        places: health.places,
        not_loaded: live
            .book
            .not_loaded()
            .iter()
            .map(|failure| failure.name.clone())
            .collect(),
    }))
}
