//! Reading requests: queries, bodies and their types. What is wrong is told in one form.

use super::limits;
use super::problem::{Problem, bad_request, body_too_slow, too_large, unsupported_type};
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, Query as AxumQuery};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use stampcard_pipeline::calendar;
use stampcard_pipeline::event::Instant;
use utoipa::IntoParams;
use utoipa::openapi::path::ParameterIn;

/// A query whose parameters are all known: a misspelt filter would otherwise find everybody.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + IntoParams> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Query<T>, Problem> {
        let AxumQuery(given) = AxumQuery::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| {
                bad_request(
                    "bad-query",
                    "the query is not of the form name=value&name=value",
                )
            })?;
        let known: Vec<String> = T::into_params(|| Some(ParameterIn::Query))
            .into_iter()
            .map(|known| known.name)
            .collect();
        for (index, (name, _)) in given.iter().enumerate() {
            if !known.contains(name) {
                return Err(unknown_parameter(name, &known));
            }
            if given[..index].iter().any(|(before, _)| before == name) {
                return Err(bad_request("bad-query", format!("{name} is given twice"))
                    .with("parameter", name.as_str()));
            }
        }
        match AxumQuery::<T>::from_request_parts(parts, state).await {
            Ok(AxumQuery(query)) => Ok(Query(query)),
            Err(rejected) => Err(bad_request("bad-query", rejected.body_text())),
        }
    }
}

/// A place for a query on routes that take none.
#[derive(Deserialize, IntoParams)]
pub struct Nothing {}

/// `1` and `true`, `0` and `false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Flag, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "1" | "true" => Ok(Flag(true)),
            "0" | "false" => Ok(Flag(false)),
            other => Err(D::Error::custom(format!("{other:?} is neither 1 nor 0"))),
        }
    }
}

/// An instant in a query. A plus that was not written as %2B arrives as a blank, and is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(pub Instant);

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<At, D::Error> {
        let text = String::deserialize(deserializer)?.replace(' ', "+");
        calendar::parse(&text).map(At).map_err(|_| {
            D::Error::custom(format!(
                "{text:?} is not a time with an offset, such as 2024-05-01T10:30:00-04:00"
            ))
        })
    }
}

/// What a query is told where none is taken.
pub fn no_query() -> Problem {
    bad_request(
        "bad-query",
        "there are no parameters here; leave the query out",
    )
}

fn unknown_parameter(name: &str, known: &[String]) -> Problem {
    if known.is_empty() {
        return bad_request(
            "bad-query",
            format!("{name:?} is not a parameter here; there are none"),
        )
        .with("parameter", name);
    }
    let nearest = known
        .iter()
        .min_by_key(|known| strsim::levenshtein(name, known))
        .expect("it is not empty");
    let detail = format!(
        "{name:?} is not a parameter here; did you mean {nearest}? They are {}",
        known.join(", ")
    );
    bad_request("bad-query", detail).with("parameter", name)
}

/// What a body is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    Json,
    /// One CloudEvent.
    Event,
    /// A list of CloudEvents.
    Events,
    /// Changes to a resource (RFC 7396).
    MergePatch,
}

impl ContentType {
    /// The type of the body, if it is one of those that are taken here.
    pub fn read(headers: &HeaderMap, taken: &[ContentType]) -> Result<ContentType, Problem> {
        let names = || {
            taken
                .iter()
                .map(|known| known.name())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let Some(given) = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
        else {
            return Err(unsupported_type(format!(
                "say what the body is with the header Content-Type: {}",
                names()
            )));
        };
        if headers
            .get(header::CONTENT_ENCODING)
            .is_some_and(|encoding| encoding != "identity")
        {
            return Err(unsupported_type("send the body without a Content-Encoding"));
        }
        let (essence, parameters) = given.split_once(';').unwrap_or((given, ""));
        let essence = essence.trim().to_ascii_lowercase();
        let Some(found) = taken.iter().find(|known| known.name() == essence) else {
            return Err(unsupported_type(format!(
                "the body is said to be {essence:?}; send {}",
                names()
            )));
        };
        let charset = parameters
            .split(';')
            .find_map(|parameter| parameter.trim().strip_prefix("charset="));
        match charset.map(|charset| charset.trim_matches('"').to_ascii_lowercase()) {
            None => Ok(*found),
            Some(charset) if charset == "utf-8" || charset == "us-ascii" => Ok(*found),
            Some(charset) => Err(unsupported_type(format!(
                "the body is said to be in {charset:?}; send UTF-8"
            ))),
        }
    }

    fn name(self) -> &'static str {
        match self {
            ContentType::Json => "application/json",
            ContentType::Event => "application/cloudevents+json",
            ContentType::Events => "application/cloudevents-batch+json",
            ContentType::MergePatch => "application/merge-patch+json",
        }
    }
}

/// Reads a body whole, up to `max` bytes.
pub async fn body(headers: &HeaderMap, body: Body, max: usize) -> Result<Bytes, Problem> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if let Some(bytes) = declared.filter(|bytes| *bytes > max) {
        // Who waits to be asked for the body need not send it.
        if bytes <= limits::DISCARD_BYTES_MAX && !headers.contains_key(header::EXPECT) {
            discard(body).await;
        }
        return Err(too_large(max));
    }
    let collected = tokio::time::timeout(limits::BODY_TIME_MAX, Limited::new(body, max).collect());
    match collected.await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(max)),
        Ok(Err(_)) => Err(bad_request(
            "body-broken",
            "the body broke off before its end; nothing was taken of it",
        )),
        Err(_) => Err(body_too_slow()),
    }
}

/// Lets a body that is not wanted arrive: most clients look for an answer only when they have sent
/// all they have, and would see a broken connection instead of it.
async fn discard(mut body: Body) {
    let arrives = async { while let Some(Ok(_)) = body.frame().await {} };
    if tokio::time::timeout(limits::DISCARD_TIME_MAX, arrives)
        .await
        .is_err()
    {
        tracing::debug!("a body that was too large did not arrive in time to be discarded");
    }
}

/// Reads a small body that must be one JSON object.
pub async fn object(
    headers: &HeaderMap,
    given: Body,
    taken: &[ContentType],
) -> Result<Map<String, Value>, Problem> {
    ContentType::read(headers, taken)?;
    let bytes = body(headers, given, limits::BODY_BYTES_MAX).await?;
    object_in(&bytes)
}

/// A JSON object, or no body at all, which says nothing.
pub async fn some_object(headers: &HeaderMap, given: Body) -> Result<Map<String, Value>, Problem> {
    let bytes = body(headers, given, limits::BODY_BYTES_MAX).await?;
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    ContentType::read(headers, &[ContentType::Json])?;
    object_in(&bytes)
}

fn object_in(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(bad_request("malformed", "the body must be a JSON object")),
        Err(error) => Err(bad_request("malformed", format!("not JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(content_type: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::CONTENT_TYPE, content_type.parse().unwrap())])
    }

    #[test]
    fn a_content_type_is_read_whatever_its_spelling() {
        let taken = [ContentType::Json, ContentType::Event];
        for (given, found) in [
            ("application/json", Some(ContentType::Json)),
            ("Application/JSON; charset=UTF-8", Some(ContentType::Json)),
            (
                "application/cloudevents+json;charset=\"utf-8\"",
                Some(ContentType::Event),
            ),
            ("application/json; charset=latin1", None),
            ("application/cloudevents-batch+json", None),
            ("text/plain", None),
            ("application/x-www-form-urlencoded", None),
        ] {
            assert_eq!(
                ContentType::read(&typed(given), &taken).ok(),
                found,
                "{given}"
            );
        }
        assert!(ContentType::read(&HeaderMap::new(), &taken).is_err());
    }

    #[test]
    fn a_compressed_body_is_refused_before_it_is_read_as_json() {
        let mut headers = typed("application/json");
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert_eq!(
            ContentType::read(&headers, &[ContentType::Json])
                .unwrap_err()
                .code(),
            "unsupported-media-type"
        );
    }
}
