//! Webhooks: what a processor, a point of sale or a web store tells by itself, signed with a secret.
//!
//! An adapter is pure: the headers and the bytes of a delivery become an event of ours, or nothing.
//! It names the event by what the delivery is about, not by the delivery, so that the same news twice
//! is one event. What becomes of it is the line's to say. A format is a file beside this one.

mod shopify;
mod square;
mod standard;

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::shop::{Hook, HookFormat};
use std::fs;
use std::io;
use std::path::Path;

/// A delivery as it came.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    pub headers: &'a HeaderMap,
    /// As it was sent: a body that was read and written again is not what was signed.
    pub body: &'a [u8],
}

/// What a delivery says.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// A CloudEvent for the line.
    Event(Value),
    /// Nothing for us, and why.
    Nothing(&'static str),
}

/// Why a delivery is not taken. What it said is not repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HookError {
    #[error("the header {0} is missing or is none; only what is signed is taken here")]
    NotSigned(&'static str),
    #[error(
        "no secret of this hook makes this signature; compare `secrets` with what the sender has"
    )]
    WrongSignature,
    #[error(
        "it was signed {seconds} s away from now, and {most} s is the limit; compare the clocks, or it is an old one that \
         somebody sends again"
    )]
    OutOfTime { seconds: i64, most: i64 },
    #[error("the body is not what this format has: {0}")]
    Malformed(String),
}

/// Why a secret is not there.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the variable {0} is not set")]
    Variable(String),
    #[error("{path} cannot be read: {source}")]
    File {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("{0} is empty")]
    Empty(String),
}

/// Reads the secrets of a hook from where they are. `dir` is the shop's folder.
pub fn secrets(hook: &Hook, dir: &Path) -> Result<Vec<String>, SecretError> {
    hook.secrets
        .iter()
        .map(|place| secret(place, dir))
        .collect()
}

fn secret(place: &str, dir: &Path) -> Result<String, SecretError> {
    let text = match place.strip_prefix("file:") {
        Some(path) => fs::read_to_string(dir.join(path)).map_err(|source| SecretError::File {
            path: path.into(),
            source,
        })?,
        None => {
            let name = place.strip_prefix("env:").unwrap_or(place);
            std::env::var(name).map_err(|_| SecretError::Variable(name.into()))?
        }
    };
    // An editor ends a file with a line.
    match text.trim() {
        "" => Err(SecretError::Empty(place.into())),
        text => Ok(text.into()),
    }
}

/// Whether one of the secrets signed it, and not too long ago where the format says when.
pub fn verify(
    hook: &Hook,
    secrets: &[String],
    given: Delivery,
    now: Instant,
) -> Result<(), HookError> {
    match hook.format {
        HookFormat::Shopify => shopify::verify(secrets, given),
        HookFormat::Square => {
            square::verify(hook.url.as_deref().unwrap_or_default(), secrets, given)
        }
        HookFormat::Standard => standard::verify(secrets, given, now),
    }
}

/// What a delivery that was verified says.
pub fn hear(hook: &Hook, given: Delivery) -> Result<Heard, HookError> {
    match hook.format {
        HookFormat::Shopify => shopify::hear(hook, given),
        HookFormat::Square => square::hear(hook, given),
        HookFormat::Standard => standard::hear(hook, given),
    }
}

/// The header that a format cannot do without.
fn header<'a>(given: Delivery<'a>, name: &'static str) -> Result<&'a str, HookError> {
    let found = given
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok());
    found.ok_or(HookError::NotSigned(name))
}

fn body<'a, T: Deserialize<'a>>(given: Delivery<'a>) -> Result<T, HookError> {
    serde_json::from_slice(given.body).map_err(|error| HookError::Malformed(error.to_string()))
}

/// Whether a signature is the HMAC-SHA256 of these parts, in Base64, under one of the keys. How long
/// that takes does not tell where two differ.
fn is_signed<K: AsRef<[u8]>>(
    keys: impl IntoIterator<Item = K>,
    parts: &[&[u8]],
    signature: &str,
) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else {
        return false;
    };
    keys.into_iter().any(|key| {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key.as_ref()).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(part);
        }
        mac.verify_slice(&signature).is_ok()
    })
}

/// An event of this hook. `about` names what it says for ever.
fn event(hook: &Hook, kind: &str, about: String, time: &str, data: Value) -> Heard {
    Heard::Event(json!({
        "specversion": "1.0", "source": hook.source(), "id": about, "type": kind, "time": time, "data": data,
    }))
}

fn order(hook: &Hook, id: &str) -> Value {
    json!({"system": hook.system(), "id": id})
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    pub fn hook(format: HookFormat) -> Hook {
        Hook {
            name: "web".into(),
            format,
            secrets: vec!["env:WEB".into()],
            system: None,
            url: None,
        }
    }

    pub fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| {
            let value = HeaderValue::from_str(value).expect("a header");
            (HeaderName::from_static(name), value)
        };
        given.iter().map(header).collect()
    }

    #[test]
    fn secrets_are_read_from_where_the_file_says() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("web.txt"), "hush\n").expect("it is written");
        fs::write(dir.path().join("empty"), "\n").expect("it is written");
        let read = |place: &str| {
            let mut hook = hook(HookFormat::Shopify);
            hook.secrets = vec![place.into()];
            secrets(&hook, dir.path()).map_err(|error| error.to_string())
        };
        assert_eq!(read("file:web.txt"), Ok(vec!["hush".into()]));
        assert_eq!(read("file:empty"), Err("file:empty is empty".into()));
        assert!(read("file:none").is_err_and(|it| it.starts_with("none cannot be read")));
        assert_eq!(
            read("env:NO_SUCH_VARIABLE"),
            Err("the variable NO_SUCH_VARIABLE is not set".into())
        );
    }
}
