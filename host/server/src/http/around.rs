//! What happens around every request: its id, its time limit, panics, problems and figures.
//!
//! Nothing in here looks at a query or a body, and the log has neither: they may name a person.

use super::limits;
use super::problem::{self, Problem};
use super::Door;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub async fn around(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = id_of(request.headers(), &door.ids);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    let response = match tokio::time::timeout(limits::ANSWER_TIME_MAX, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!(request = %id, %method, route, "a request panicked; the panic is above");
            problem::internal().into_response()
        }
        Err(_) => problem::too_slow().into_response(),
    };
    let response = finish(response, &id);
    let (status, took) = (response.status(), begun.elapsed());
    door.meters.answered(&method, &route, status, took);
    log(&id, &method, &route, status, took);
    response
}

/// What goes well is for those who look closely; a busy shop has thousands of it a second.
fn log(request: &str, method: &Method, route: &str, status: StatusCode, took: Duration) {
    let (status, micros) = (status.as_u16(), took.as_micros() as u64);
    match status {
        500.. => tracing::error!(request, %method, route, status, micros, "answered"),
        400.. => tracing::info!(request, %method, route, status, micros, "answered"),
        _ => tracing::debug!(request, %method, route, status, micros, "answered"),
    }
}

/// Writes problems out, also for what axum refuses by itself, and adds what every answer has.
fn finish(mut response: Response, id: &str) -> Response {
    let status = response.status();
    let is_bare = (status.is_client_error() || status.is_server_error()) && response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| {
        kind != "application/problem+json" && kind != "application/json"
    });
    if let Some(problem) = response.extensions_mut().remove::<Problem>().or_else(|| is_bare.then(|| bare(status))) {
        let carried = std::mem::take(response.headers_mut());
        response = problem.answer(id);
        // Such as Allow, which only the router knows.
        for (name, value) in carried {
            if let Some(name) = name.filter(|name| *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH) {
                response.headers_mut().insert(name, value);
            }
        }
    }
    let headers = response.headers_mut();
    // Answers are about people and change with every sale: nobody on the way keeps them.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

fn bare(status: StatusCode) -> Problem {
    let code = status.canonical_reason().unwrap_or("refused").to_ascii_lowercase().replace(' ', "-");
    Problem::new(status, &code, "the request cannot be read as it is; /openapi.json says what is taken here")
}

/// The caller's own id where it is harmless in a log, or a new one.
fn id_of(headers: &HeaderMap, ids: &Ids) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| {
        let harmless = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_' | b'.');
        !id.is_empty() && id.len() <= limits::REQUEST_ID_BYTES_MAX && id.bytes().all(harmless)
    });
    given.map_or_else(|| ids.next(), str::to_owned)
}

/// Request ids: unique while the server runs, and different after a restart.
pub struct Ids {
    start: u32,
    count: AtomicU64,
}

impl Ids {
    /// `start` is different for every start of the server.
    pub fn new(start: u32) -> Ids {
        Ids { start, count: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        format!("{:08x}-{}", self.start, self.count.fetch_add(1, Ordering::Relaxed))
    }
}

pub async fn no_such_path() -> Problem {
    problem::not_found("no-such-path", "there is nothing under this path; /openapi.json lists what there is")
}

pub async fn no_such_method() -> Problem {
    let detail = "this path does not take this method; the header Allow names those that it takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_of_the_caller_is_kept_only_if_it_is_harmless_in_a_log() {
        let ids = Ids::new(7);
        let long = "x".repeat(65);
        for (given, kept) in [("till-1_42.a", true), ("a b", false), ("", false), ("x\"y", false), (long.as_str(), false)] {
            let headers = HeaderMap::from_iter([(REQUEST_ID, given.parse().unwrap())]);
            assert_eq!(id_of(&headers, &ids) == given, kept, "{given:?}");
        }
        assert_ne!(id_of(&HeaderMap::new(), &ids), id_of(&HeaderMap::new(), &ids));
    }
}
