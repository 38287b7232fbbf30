//! Refusals as RFC 9457 has them: one form for everything that goes wrong.
//!
//! A [`Problem`] that a handler returns is written out by [`super::around`], which also knows the
//! request's id. Nothing in here repeats what a request said about a person.

use super::auth::Role;
use super::limits;
use crate::merchant::Rejected;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::store::StoreError;
use std::borrow::Cow;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Where the codes are explained; the code follows.
const TYPES: &str = "https://stampcard.dev/problems/";

/// What went wrong. It is small on its way through the handlers.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<Document>);

/// What went wrong, where, and what to do about it (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Document {
    /// Names the kind of problem for ever: `https://stampcard.dev/problems/` and the code.
    #[serde(rename = "type")]
    #[schema(example = "https://stampcard.dev/problems/unknown-location")]
    kind: String,
    /// The kind in words; the same for every problem of the kind.
    #[schema(example = "Unknown location")]
    title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// What is wrong with this request, and what to do.
    detail: String,
    /// The last part of `type`: the word to match on.
    #[schema(example = "unknown-location")]
    code: String,
    /// The place in the body that it is about, as a JSON pointer; absent for the whole of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/data/location")]
    pointer: Option<String>,
    /// Names this request in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    /// What some kinds say beside that, such as the customer that is there already.
    #[serde(flatten)]
    #[schema(ignore)]
    more: Map<String, Value>,
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Problem {
        Problem(Box::new(Document {
            kind: format!("{TYPES}{code}"),
            title: title(code),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
            pointer: None,
            request: None,
            more: Map::new(),
            headers: Vec::new(),
        }))
    }

    pub fn at(mut self, pointer: &str) -> Problem {
        self.0.pointer = (!pointer.is_empty()).then(|| pointer.to_owned());
        self
    }

    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Problem {
        self.0.more.insert(key.to_owned(), value.into());
        self
    }

    pub fn header(mut self, name: HeaderName, value: &str) -> Problem {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.push((name, value));
        }
        self
    }

    fn again_after(self, seconds: u32) -> Problem {
        self.header(header::RETRY_AFTER, &seconds.to_string())
    }

    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The same problem as another status has it.
    pub fn turn_into(&mut self, status: StatusCode) {
        self.0.status = status.as_u16();
    }

    /// Of a customer who was merged: who they are now.
    pub fn merged_into(&self) -> Option<&str> {
        self.0.more.get("merged_into").and_then(Value::as_str)
    }

    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Whether the same request may well be answered a little later.
    pub fn is_passing(&self) -> bool {
        self.0.status == StatusCode::SERVICE_UNAVAILABLE.as_u16()
    }

    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The pointer seen from a body that became part of an event: `/data/customer/email` of the
    /// event is `/email` of the body.
    pub fn seen_from_body(mut self) -> Problem {
        self.0.pointer = self.0.pointer.map(|pointer| {
            let inner = pointer.strip_prefix("/data").unwrap_or(&pointer);
            inner.strip_prefix("/customer").unwrap_or(inner).to_owned()
        });
        self.0.pointer = self.0.pointer.filter(|pointer| !pointer.is_empty());
        self
    }

    /// The whole answer, once the request's id is known.
    pub fn answer(mut self, request: &str) -> Response {
        self.0.request = Some(request.to_owned());
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).expect("a problem is plain data");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        for (name, value) in self.0.headers {
            headers.append(name, value);
        }
        response
    }
}

/// A handler's problem travels as a part of its response until [`Problem::answer`] writes it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        Document::schema()
    }
}

impl ToSchema for Problem {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Problem")
    }
}

/// The code in words: `unknown-location` is "Unknown location".
fn title(code: &str) -> String {
    let words = code.replace('-', " ");
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

pub fn bad_request(code: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail)
}

pub fn not_found(code: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, code, detail)
}

pub fn conflict(code: &str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::CONFLICT, code, detail)
}

pub fn unsupported_type(detail: impl Into<String>) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        detail,
    )
}

pub fn too_large(max: usize) -> Problem {
    let detail = format!(
        "the body has more than {max} bytes, which is the limit here; send it in smaller parts"
    );
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
}

pub fn unauthorized(code: &str, detail: impl Into<String>) -> Problem {
    let challenge = match code {
        "no-key" => r#"Bearer realm="stampcard""#,
        _ => r#"Bearer realm="stampcard", error="invalid_token""#,
    };
    Problem::new(StatusCode::UNAUTHORIZED, code, detail).header(header::WWW_AUTHENTICATE, challenge)
}

pub fn forbidden(role: Role, may: &[Role]) -> Problem {
    let names: Vec<&str> = may.iter().map(|role| role.name()).collect();
    let detail = format!(
        "a key with the role {} may not do this; {} may. `stampcard key add` makes one",
        role.name(),
        names.join(", ")
    );
    Problem::new(StatusCode::FORBIDDEN, "forbidden", detail).with("roles", names)
}

pub fn too_many_requests(a_minute: u32, seconds: u64) -> Problem {
    let detail = format!(
        "this key may send {a_minute} requests a minute, the events of a batch counted each, and has sent more; come again \
         after the time in Retry-After. `requests_per_minute` of stampcard.toml sets the quota"
    );
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail)
        .header(header::RETRY_AFTER, &seconds.to_string())
}

pub fn overloaded(seconds: u32) -> Problem {
    let detail = "there is more to do than can be done at once; send it again after the time in Retry-After. \
                  An event that is sent twice is never counted twice";
    unavailable("overloaded", detail).again_after(seconds)
}

/// For a key whose shop is not open, or may be one of a shop that is not.
pub fn not_open(seconds: u32) -> Problem {
    let detail = "this cannot be answered now: the shop is not open; send it again";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-open", detail).again_after(seconds)
}

pub fn too_slow() -> Problem {
    let detail = "no answer came in time. What was sent may still be taken: send the same event again, with the same \
                  source and id, to learn what became of it; it is never counted twice";
    unavailable("timeout", detail).again_after(limits::RETRY_AFTER_S)
}

pub fn body_too_slow() -> Problem {
    let detail = "the body did not arrive in time; nothing was taken of it. Send it again";
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body-timeout", detail)
        .header(header::CONNECTION, "close")
}

pub fn internal() -> Problem {
    let detail = "a fault of the server, which is in its log under this request's id. An event may be sent again; it is \
                  never counted twice";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
}

fn unavailable(code: &str, detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Problem {
        match rejected {
            Rejected::Refused(refusal) => refusal.into(),
            Rejected::Overloaded { retry_after_s } => overloaded(retry_after_s),
            Rejected::Closing => unavailable(
                "closing",
                "the server is stopping and takes nothing new; send it again when it is back",
            )
            .again_after(limits::RETRY_AFTER_S),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let status = match &refusal {
            Refusal::Malformed { .. } => StatusCode::BAD_REQUEST,
            Refusal::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::Invalid {
                code: "identifier-taken" | "already-merged" | "merged-away" | "not-merged",
                ..
            } => StatusCode::CONFLICT,
            Refusal::Invalid {
                code: "unknown-redemption",
                ..
            } => StatusCode::NOT_FOUND,
            Refusal::UnknownKind { .. }
            | Refusal::NotYetSupported { .. }
            | Refusal::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::Forbidden { .. } => StatusCode::FORBIDDEN,
            Refusal::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
            Refusal::NotNow { .. } | Refusal::Conflict { .. } => StatusCode::CONFLICT,
            Refusal::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let pointer = refusal.pointer().to_owned();
        match refusal {
            Refusal::Store(error) => error.into(),
            // Every 401 says how else to come; whose key it is was right.
            Refusal::Unauthorized { code, problem, .. } => Problem::new(status, code, problem)
                .at(&pointer)
                .header(header::WWW_AUTHENTICATE, r#"Bearer realm="stampcard""#),
            refusal => Problem::new(status, refusal.code(), refusal.to_string()).at(&pointer),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        tracing::error!(%error, "the store");
        match error {
            StoreError::Full => {
                let detail = "the server's disk is full: nothing was taken. Free some space there and send it again";
                unavailable("storage-full", detail).again_after(limits::RETRY_AFTER_FULL_S)
            }
            StoreError::Conflict => {
                let detail = "the customer changed again and again while this was decided; nothing was taken. Send it again";
                unavailable("busy", detail).again_after(limits::RETRY_AFTER_S)
            }
            StoreError::ReadOnly(_) | StoreError::Failed(_) => {
                let detail = "the shop's database cannot be used just now; nothing was taken. Its log says why. Send it again";
                unavailable("storage-failed", detail).again_after(limits::RETRY_AFTER_S)
            }
            StoreError::Corrupt(_) => {
                let detail = "the shop's database is damaged; nothing was taken. `stampcard check` says what differs, and a \
                              backup can be restored";
                unavailable("storage-damaged", detail)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_status_and_what_may_pass_says_when_to_come_again() {
        let text = String::new;
        let at = || "/data/x".to_owned();
        let store = |error| Rejected::Refused(Refusal::Store(error));
        #[rustfmt::skip]
        let table: Vec<(Rejected, u16, &str, Option<&str>)> = vec![
            (Refusal::Malformed { at: at(), problem: text() }.into(), 400, "malformed", None),
            (Refusal::TooLarge { bytes: 2, max: 1 }.into(), 413, "too-large", None),
            (Refusal::UnknownKind { kind: text(), nearest: text() }.into(), 422, "unknown-kind", None),
            (Refusal::NotYetSupported { kind: text() }.into(), 422, "not-yet-supported", None),
            (Refusal::Invalid { code: "sum", at: at(), problem: text() }.into(), 422, "sum", None),
            (Refusal::Unauthorized { code: "token-used", at: at(), problem: text() }.into(), 401, "token-used", None),
            (Refusal::NotNow { code: "insufficient-points", at: at(), problem: text() }.into(), 409, "insufficient-points", None),
            (Refusal::Invalid { code: "unknown-redemption", at: at(), problem: text() }.into(), 404, "unknown-redemption", None),
            (Refusal::Conflict { source_name: text(), id: text() }.into(), 409, "conflict", None),
            (store(StoreError::Full), 503, "storage-full", Some("30")),
            (store(StoreError::Conflict), 503, "busy", Some("1")),
            (store(StoreError::ReadOnly(text())), 503, "storage-failed", Some("1")),
            (store(StoreError::Failed(text())), 503, "storage-failed", Some("1")),
            (store(StoreError::Corrupt(text())), 503, "storage-damaged", None),
            (Rejected::Overloaded { retry_after_s: 3 }, 503, "overloaded", Some("3")),
            (Rejected::Closing, 503, "closing", Some("1")),
        ];
        for (rejected, status, code, again) in table {
            let problem = Problem::from(rejected);
            assert_eq!((problem.0.status, problem.0.code.as_str()), (status, code));
            let answer = problem.answer("r-1");
            assert_eq!(answer.status().as_u16(), status, "{code}");
            let retry_after = answer
                .headers()
                .get(header::RETRY_AFTER)
                .map(|value| value.to_str().unwrap());
            assert_eq!(retry_after, again, "{code}");
        }
    }

    #[test]
    fn the_place_of_a_problem_is_told_in_the_body_that_was_sent() {
        for (in_event, in_body) in [
            ("/data/customer/email", Some("/email")),
            ("/data/given_name", Some("/given_name")),
            ("/data/consents/0/purpose", Some("/consents/0/purpose")),
            ("/data/customer", None),
            ("/data", None),
            ("", None),
        ] {
            let problem = bad_request("malformed", "").at(in_event).seen_from_body();
            assert_eq!(problem.0.pointer.as_deref(), in_body, "{in_event}");
        }
    }

    #[test]
    fn a_code_in_words_is_the_title() {
        assert_eq!(title("unknown-location"), "Unknown location");
    }
}
