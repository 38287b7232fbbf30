//! The listener for whoever runs a server of several shops: how each of them is, and the figures of
//! all. It needs no key and names every shop, so it is for this machine alone unless somebody says
//! otherwise.

use super::around;
use super::front::Front;
use super::{health, limits, metrics};
use crate::merchants::State as ShopState;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde::Serialize;
use std::sync::Arc;

pub fn router(front: Arc<Front>) -> Router {
    let around = Arc::clone(&front.lobby);
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(show))
        .fallback(around::no_such_path)
        .method_not_allowed_fallback(around::no_such_method)
        .layer(middleware::from_fn_with_state(around, around::around))
        .with_state(front)
}

/// How all shops are.
#[derive(Debug, Serialize)]
struct AllReady {
    /// `ready`, or `not-ready` if none takes events.
    status: &'static str,
    merchants: Vec<OneReady>,
}

#[derive(Debug, Serialize)]
struct OneReady {
    name: String,
    /// `ready`, `not-ready`, or `not-open`.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    /// The rule book that is live.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_book: Option<i64>,
    /// Events that wait in front of the lanes.
    waiting: usize,
    /// Plugins that are not live as the shop's folder has them.
    not_loaded: Vec<String>,
}

/// 503 only if no shop takes events: one that is not open is no reason to send the tills of the
/// others away.
async fn ready(State(front): State<Arc<Front>>) -> Response {
    let shops = front.merchants.all().into_iter();
    let merchants: Vec<OneReady> = shops.map(|(name, shop)| one(name, shop.state)).collect();
    let is_ready = merchants.iter().any(|one| one.status == READY);
    let status = if is_ready { READY } else { NOT_READY };
    let body = Json(AllReady { status, merchants });
    if is_ready {
        return body.into_response();
    }
    let again = limits::RETRY_AFTER_NOT_OPEN_S.to_string();
    let head = [(header::RETRY_AFTER, again)];
    (StatusCode::SERVICE_UNAVAILABLE, head, body).into_response()
}

const READY: &str = "ready";
const NOT_READY: &str = "not-ready";
const NOT_OPEN: &str = "not-open";

fn one(name: String, state: ShopState) -> OneReady {
    let (status, why_not, open) = match state {
        ShopState::Open(merchant) => {
            let health = merchant.health();
            let status = if health.ready { READY } else { NOT_READY };
            (status, health.why_not.clone(), Some((merchant, health)))
        }
        ShopState::Opening => (NOT_OPEN, Some("it is being opened".into()), None),
        ShopState::NotOpen(reason) => (NOT_OPEN, Some(reason.to_string()), None),
    };
    let live = open.as_ref().map(|(merchant, _)| merchant.live());
    OneReady {
        name,
        status,
        why_not,
        rule_book: live.as_ref().map(|live| live.number),
        waiting: open.map_or(0, |(_, health)| health.waiting),
        not_loaded: live.map_or_else(Vec::new, |live| {
            let failures = live.book.not_loaded().iter();
            failures.map(|failure| failure.name.clone()).collect()
        }),
    }
}

async fn show(State(front): State<Arc<Front>>) -> Response {
    metrics::show_all(&front).await
}
