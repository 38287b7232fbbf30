//! Tokens: what a storefront shows on a customer's phone, for a till to read as a QR code.

use super::Door;
use super::problem::{Problem, internal};
use super::profile::record;
use crate::{clock, keys};
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::limits;
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::token;
use std::sync::Arc;
use utoipa::ToSchema;

/// A token for one customer. It is kept nowhere.
#[derive(Debug, Serialize, ToSchema)]
pub struct Token {
    /// What the QR code says; the till sends it in `customer.identified`, as `token`.
    #[schema(
        example = "sct_0r6h3m9c1w8k2f7d5t4b9n1q.1714573800.5t4b9n1q0r6h3m9c.2f7d5t4b9n1q0r6h3m9c1w8k"
    )]
    pub token: String,
    /// It works once, and until then.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Time,
}

pub async fn mint(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Json<Token>, Problem> {
    let id = CustomerId(id);
    let id = door.read(move |reads| Ok(record(reads, &id)?.id)).await?;
    let random = keys::random().map_err(|error| {
        tracing::error!(%error, "no random numbers");
        internal()
    })?;
    // To the second, as the token says it.
    let expires_at = (clock::now().0 + limits::TOKEN_LIFETIME_MS).div_euclid(1_000) * 1_000;
    let expires_at = Instant(expires_at);
    let token = token::mint(door.merchant.store().secret(), &id, expires_at, random);
    let token = token.ok_or_else(internal)?;
    let expires_at = Time(expires_at);
    Ok(Json(Token { token, expires_at }))
}
