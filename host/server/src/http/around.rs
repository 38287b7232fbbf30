//! What happens around every request: its id, its time limit, panics, problems and figures.
//!
//! Nothing in here looks at a query or a body, and the log has neither: they may name a person.

use super::limits;
use super::metrics::Meters;
use super::problem::{self, Problem};
use crate::telemetry::{TRACEPARENT, is_trace};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tracing::{Instrument, Span, debug_span, field};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What is counted of the requests to one shop.
pub struct Around {
    pub meters: Meters,
    ids: Arc<Ids>,
}

impl Around {
    /// `ids` are those of the whole server.
    pub fn new(ids: &Arc<Ids>) -> Around {
        Around {
            meters: Meters::default(),
            ids: Arc::clone(ids),
        }
    }
}

pub async fn around(State(it): State<Arc<Around>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = id_of(request.headers(), &it.ids);
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unknown", MatchedPath::as_str)
        .to_owned();
    let span = span_of(&request, &route);
    let answer = guarded(next.run(request), limits::ANSWER_TIME_MAX).instrument(span.clone());
    let response = finish(answer.await, &id);
    let (status, took) = (response.status(), begun.elapsed());
    span.record("http.response.status_code", status.as_u16());
    it.meters.answered(&method, &route, status, took);
    log(&id, &method, &route, status, took);
    response
}

/// The span that the steps of the line belong to, in the trace of whoever asked.
fn span_of(request: &Request, route: &str) -> Span {
    let given = request.headers().get(TRACEPARENT);
    let traceparent = given
        .and_then(|given| given.to_str().ok())
        .filter(|given| is_trace(given));
    debug_span!(
        "request",
        http.request.method = %request.method(),
        http.route = route,
        http.response.status_code = field::Empty,
        traceparent,
    )
}

/// An answer in time, or the problem that there is none.
async fn guarded(answer: impl Future<Output = Response>, time_max: Duration) -> Response {
    match tokio::time::timeout(time_max, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(response)) => response,
        // The panic itself is in the log already.
        Ok(Err(_)) => problem::internal().into_response(),
        Err(_) => problem::too_slow().into_response(),
    }
}

/// What goes well is for those who look closely; a busy shop has thousands of it a second.
fn log(request: &str, method: &Method, route: &str, status: StatusCode, took: Duration) {
    let (status, micros) = (status.as_u16(), took.as_micros() as u64);
    match status {
        500.. => tracing::error!(request, %method, route, status, micros, "answered"),
        // Whoever asks ten times too often would fill the log ten times as fast; it is counted.
        429 => tracing::debug!(request, %method, route, status, micros, "answered"),
        400.. => tracing::info!(request, %method, route, status, micros, "answered"),
        _ => tracing::debug!(request, %method, route, status, micros, "answered"),
    }
}

/// Writes problems out, also for what axum refuses by itself, and adds what every answer has.
fn finish(mut response: Response, id: &str) -> Response {
    let status = response.status();
    let is_bare = (status.is_client_error() || status.is_server_error())
        && response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_none_or(|kind| kind != "application/problem+json" && kind != "application/json");
    if let Some(problem) = response
        .extensions_mut()
        .remove::<Problem>()
        .or_else(|| is_bare.then(|| bare(status)))
    {
        let carried = std::mem::take(response.headers_mut());
        response = problem.answer(id);
        // Such as Allow, which only the router knows.
        for (name, value) in carried {
            if let Some(name) =
                name.filter(|name| *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH)
            {
                response.headers_mut().insert(name, value);
            }
        }
    }
    let headers = response.headers_mut();
    // Answers are about people and change with every sale: nobody on the way keeps them.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

fn bare(status: StatusCode) -> Problem {
    let code = status
        .canonical_reason()
        .unwrap_or("refused")
        .to_ascii_lowercase()
        .replace(' ', "-");
    Problem::new(
        status,
        &code,
        "the request cannot be read as it is; /openapi.json says what is taken here",
    )
}

/// The caller's own id where it is harmless in a log, or a new one.
fn id_of(headers: &HeaderMap, ids: &Ids) -> String {
    let given = headers
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(|id| {
            let harmless =
                |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_' | b'.');
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
        Ids {
            start,
            count: AtomicU64::new(0),
        }
    }

    fn next(&self) -> String {
        format!(
            "{:08x}-{}",
            self.start,
            self.count.fetch_add(1, Ordering::Relaxed)
        )
    }
}

pub async fn no_such_path() -> Problem {
    problem::not_found(
        "no-such-path",
        "there is nothing under this path; /openapi.json lists what there is",
    )
}

pub async fn no_such_method() -> Problem {
    let detail = "this path does not take this method; the header Allow names those that it takes";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, headers and body of an answer as it leaves.
    fn finished(
        answer: impl Future<Output = Response>,
    ) -> (StatusCode, HeaderMap, serde_json::Value) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let response = finish(guarded(answer, Duration::from_millis(20)).await, "r-1");
            let (head, body) = response.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            (
                head.status,
                head.headers,
                serde_json::from_slice(&body).unwrap_or_default(),
            )
        })
    }

    #[test]
    fn a_handler_that_panics_or_takes_too_long_is_answered_by_a_problem() {
        let panicking = async { panic!("a bug") };
        let (status, headers, body) = finished(panicking);
        assert_eq!(
            (status.as_u16(), &body["code"], &body["request"]),
            (500, &"internal".into(), &"r-1".into())
        );
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        let (status, headers, body) = finished(std::future::pending());
        assert_eq!((status.as_u16(), &body["code"]), (503, &"timeout".into()));
        assert_eq!(headers[header::RETRY_AFTER], "1");
    }

    #[test]
    fn what_axum_refuses_by_itself_is_a_problem_too_and_keeps_its_headers() {
        let refused = async {
            (
                StatusCode::METHOD_NOT_ALLOWED,
                [(header::ALLOW, "GET")],
                "no",
            )
                .into_response()
        };
        let (status, headers, body) = finished(refused);
        assert_eq!(
            (status.as_u16(), &body["code"]),
            (405, &"method-not-allowed".into())
        );
        assert_eq!(
            (&headers[header::ALLOW], &headers[header::CONTENT_TYPE]),
            (
                &"GET".parse().unwrap(),
                &"application/problem+json".parse().unwrap()
            )
        );
    }

    #[test]
    fn an_answer_that_is_right_is_left_as_it_is() {
        let right = async { axum::Json(serde_json::json!({"status": "alive"})).into_response() };
        let (status, headers, body) = finished(right);
        assert_eq!((status.as_u16(), &body["status"]), (200, &"alive".into()));
        assert_eq!(
            (&headers[REQUEST_ID], &headers[header::CACHE_CONTROL]),
            (&"r-1".parse().unwrap(), &"no-store".parse().unwrap())
        );
    }

    #[test]
    fn a_request_id_of_the_caller_is_kept_only_if_it_is_harmless_in_a_log() {
        let ids = Ids::new(7);
        let long = "x".repeat(65);
        for (given, kept) in [
            ("till-1_42.a", true),
            ("a b", false),
            ("", false),
            ("x\"y", false),
            (long.as_str(), false),
        ] {
            let headers = HeaderMap::from_iter([(REQUEST_ID, given.parse().unwrap())]);
            assert_eq!(id_of(&headers, &ids) == given, kept, "{given:?}");
        }
        assert_ne!(
            id_of(&HeaderMap::new(), &ids),
            id_of(&HeaderMap::new(), &ids)
        );
    }
}
