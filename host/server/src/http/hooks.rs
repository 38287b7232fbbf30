//! `POST /v1/hooks/{source}`: webhooks of others. The signature is the key.
//!
//! Whoever sends it tries again until it is answered with 2xx, and gives up for good after some days
//! without one. So whatever was understood is answered with 200: news that was told before, news of a
//! sale that nobody has told yet (it is kept until the sale comes), and news that is nothing to us.

use super::Door;
use super::ask;
use super::limits;
use super::problem::{Problem, internal, not_found, unauthorized};
use crate::clock;
use crate::hooks::{self, Delivery, Heard, HookError};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use stampcard_pipeline::admit::{Sender, SenderKind};
use stampcard_pipeline::outcome::Status;
use stampcard_pipeline::shop::Hook;
use std::sync::Arc;
use utoipa::ToSchema;

/// What became of a delivery.
#[derive(Debug, Serialize, ToSchema)]
pub struct HookAnswer {
    /// `applied`; `duplicate` for what was told before; `parked` while its sale has not come; `guest`
    /// for a sale of nobody; `ignored` for what is nothing to us.
    #[schema(example = "applied")]
    pub status: &'static str,
    /// The event that it became: `GET /v1/events` tells what it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<super::event_view::Named>,
    /// Why it was ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
}

pub async fn take(
    State(door): State<Arc<Door>>,
    Path(source): Path<String>,
    headers: HeaderMap,
    given: Body,
) -> Result<Json<HookAnswer>, Problem> {
    let Some(hook) = door.hook(&source) else {
        return Err(unknown());
    };
    let bytes = ask::body(&headers, given, limits::HOOK_BYTES_MAX).await?;
    door.verify(&hook, &headers, &bytes).await?;
    let given = Delivery {
        headers: &headers,
        body: &bytes,
    };
    let event = match hooks::hear(&hook, given).map_err(refused)? {
        Heard::Event(event) => event,
        Heard::Nothing(why) => {
            return Ok(Json(HookAnswer {
                status: "ignored",
                event: None,
                why: Some(why),
            }));
        }
    };
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let named = super::event_view::Named {
        source: text("source"),
        id: text("id"),
    };
    let sender = Sender::new(SenderKind::Pos, &hook.source());
    let status = match door.submit(written(&event), sender).await {
        Ok(outcome) => name_of(outcome.status),
        // Another delivery told the same with another time, and what was told first stands.
        Err(problem) if problem.code() == "conflict" => name_of(Status::Duplicate),
        Err(problem) => return Err(problem),
    };
    Ok(Json(HookAnswer {
        status,
        event: Some(named),
        why: None,
    }))
}

fn written(event: &Value) -> Bytes {
    Bytes::from(event.to_string())
}

fn name_of(status: Status) -> &'static str {
    match status {
        Status::Applied => "applied",
        Status::Duplicate => "duplicate",
        Status::Guest => "guest",
        Status::Parked => "parked",
    }
}

impl Door {
    /// A hook of the shop as it is live now.
    fn hook(&self, source: &str) -> Option<Hook> {
        let live = self.merchant.live();
        let mut hooks = live.shop.file.hooks.iter();
        hooks.find(|hook| hook.name == source).cloned()
    }

    /// Whether the shop's hook signed it. A secret that is not there is the shop's own mistake, and the
    /// sender comes again.
    async fn verify(
        self: &Arc<Self>,
        hook: &Hook,
        headers: &HeaderMap,
        bytes: &Bytes,
    ) -> Result<(), Problem> {
        let (asked, dir) = (hook.clone(), self.merchant.folder().dir().to_owned());
        let read = tokio::task::spawn_blocking(move || hooks::secrets(&asked, &dir));
        let secrets = read.await.map_err(|_| internal())?;
        let secrets = secrets.map_err(|error| {
            tracing::error!(hook = hook.name, %error, "a webhook cannot be verified: its secret is not there");
            let detail = "this hook has no secret to verify it with; the server's log says which is missing";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "hook-without-secret", detail)
        })?;
        let given = Delivery {
            headers,
            body: bytes,
        };
        hooks::verify(hook, &secrets, given, clock::now()).map_err(|error| {
            tracing::warn!(hook = hook.name, %error, "a webhook was refused");
            refused(error)
        })
    }

    /// Of several shops: whether this one signed that; `None` if it has no such hook.
    pub async fn signed(
        self: &Arc<Self>,
        source: &str,
        headers: &HeaderMap,
        bytes: &Bytes,
    ) -> Option<bool> {
        let hook = self.hook(source)?;
        Some(self.verify(&hook, headers, bytes).await.is_ok())
    }
}

/// The hook that a path names.
pub fn source_of(path: &str) -> Option<&str> {
    let source = path.strip_prefix("/v1/hooks/")?;
    (!source.is_empty() && !source.contains('/')).then_some(source)
}

/// Of several shops, where none takes it: because of what was found out before, or none has it.
pub async fn refuse(found: Option<Extension<Problem>>) -> Problem {
    found.map_or_else(unknown, |Extension(problem)| problem)
}

fn unknown() -> Problem {
    not_found(
        "unknown-hook",
        "there is no hook of this name; merchant.toml has them under [[hooks]]",
    )
}

fn refused(error: HookError) -> Problem {
    match error {
        HookError::Malformed(_) => super::problem::bad_request("malformed", error.to_string()),
        HookError::NotSigned(_) => unauthorized("hook-not-signed", error.to_string()),
        HookError::WrongSignature => unauthorized("wrong-signature", error.to_string()),
        HookError::OutOfTime { .. } => unauthorized("signed-too-long-ago", error.to_string()),
    }
}
