//! Plugins that go live by order: installed from a request, or rolled back.

use super::ask::{ContentType, body};
use super::auth::Caller;
use super::problem::{Problem, bad_request, internal, not_found};
use super::{Door, limits};
use crate::merchant::{Foreseen, Installed, Merchant, NotLive};
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use stampcard_runtime::Candidate;
use std::sync::Arc;
use utoipa::ToSchema;

/// A plugin to bring live.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlugin {
    /// The text of its `NAME.toml`: the manifest, with `[config]` and `grant` as the operator wants
    /// them.
    manifest: String,
    /// The component's bytes in Base64; none for a plugin of the starter pack, whose manifest names
    /// its `pack`.
    component: Option<String>,
    /// The JSON Schema that the manifest names as `configuration`.
    schema: Option<String>,
    /// Why, for whoever reads the history.
    #[serde(default)]
    reason: String,
}

impl NewPlugin {
    fn candidate(self, name: String) -> Result<Candidate, Problem> {
        let component = self.component.map(|text| BASE64.decode(text)).transpose();
        let component = component.map_err(|error| {
            bad_request("malformed", format!("component is not Base64: {error}")).at("/component")
        })?;
        Ok(Candidate {
            name,
            file: self.manifest,
            component,
            schema: self.schema,
            was_live: false,
            source: None,
        })
    }
}

/// Why a plugin is rolled back, or released.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangeAsked {
    /// Why, for whoever reads the history.
    reason: String,
}

/// `PUT /v1/plugins/{name}`
pub async fn install(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    given: Body,
) -> Result<Json<Installed>, Problem> {
    let new: NewPlugin = read(&headers, given).await?;
    let reason = new.reason.clone();
    let candidate = new.candidate(name)?;
    order(door, move |merchant| {
        merchant.install(candidate, &caller.name, &reason)
    })
    .await
}

/// `POST /v1/plugins/{name}/preview`
pub async fn preview(
    State(door): State<Arc<Door>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    given: Body,
) -> Result<Json<Foreseen>, Problem> {
    let new: NewPlugin = read(&headers, given).await?;
    let candidate = new.candidate(name)?;
    order(door, move |merchant| merchant.foresee(candidate)).await
}

/// `POST /v1/plugins/{name}/release`
pub async fn release(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    given: Body,
) -> Result<Json<Installed>, Problem> {
    let asked: ChangeAsked = read(&headers, given).await?;
    order(door, move |merchant| {
        merchant.release(&name, &caller.name, &asked.reason)
    })
    .await
}

/// `POST /v1/plugins/{name}/rollback`
pub async fn roll_back(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    given: Body,
) -> Result<Json<Installed>, Problem> {
    let asked: ChangeAsked = read(&headers, given).await?;
    order(door, move |merchant| {
        merchant.roll_back(&name, &caller.name, &asked.reason)
    })
    .await
}

/// Compiling takes a while, and nobody's answer may wait for it.
async fn order<T: Send + 'static>(
    door: Arc<Door>,
    work: impl FnOnce(&Merchant) -> Result<T, NotLive> + Send + 'static,
) -> Result<Json<T>, Problem> {
    let merchant = Arc::clone(&door.merchant);
    let done = tokio::task::spawn_blocking(move || work(&merchant)).await;
    match done {
        Ok(done) => Ok(Json(done?)),
        Err(_) => Err(internal()),
    }
}

impl From<NotLive> for Problem {
    fn from(error: NotLive) -> Problem {
        let detail = error.to_string();
        match error {
            NotLive::NotLoaded(_) => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not-loaded", detail)
            }
            NotLive::NoPlugin { .. } => not_found("no-such-plugin", detail),
            NotLive::NoEarlier { .. } => {
                Problem::new(StatusCode::CONFLICT, "no-earlier-version", detail)
            }
            NotLive::NotQuarantined { .. } => {
                Problem::new(StatusCode::CONFLICT, "not-quarantined", detail)
            }
            NotLive::Store(error) => error.into(),
            NotLive::Folder(_) | NotLive::Currency(_) | NotLive::Recorded(_) => {
                tracing::error!(problem = detail, "a plugin could not be brought live");
                internal()
            }
        }
    }
}

async fn read<T: DeserializeOwned>(headers: &HeaderMap, given: Body) -> Result<T, Problem> {
    ContentType::read(headers, &[ContentType::Json])?;
    let bytes = body(headers, given, limits::INSTALL_BYTES_MAX).await?;
    serde_json::from_slice(&bytes)
        .map_err(|error| bad_request("malformed", format!("not what this takes: {error}")))
}
