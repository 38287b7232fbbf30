//! What a profile must and may have, as a till asks before it asks a customer, and how often it was
//! not so.

use super::Door;
use super::ask::Query;
use super::problem::{Problem, not_found};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use stampcard_pipeline::shop::{FieldKind, FieldRule, ProfileMode};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RulesAsked {
    /// Where the till stands; the shop's own rules, if it is not given.
    #[param(example = "soho")]
    pub location: Option<String>,
    /// Which device asks, as it calls itself in its events.
    #[param(example = "till-7")]
    pub device: Option<String>,
}

/// What a profile must and may have.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProfileRules {
    #[schema(example = "soho")]
    pub location: Option<String>,
    /// Of `given_name`, `family_name`, `email`, `phone`, `birthday` and `home_location`.
    pub required: Vec<String>,
    /// `strict` refuses a profile without them, `lenient` marks it as incomplete.
    #[schema(value_type = String, example = "lenient")]
    pub mode: ProfileMode,
    /// The shop's own fields.
    pub fields: Vec<OwnField>,
    /// How often a required field was missing since the server started.
    pub violations: Vec<Violations>,
}

/// A field that the shop has declared.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnField {
    #[schema(example = "boot_size")]
    pub key: String,
    /// `text`, `number`, `boolean`, `date` or `choice`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: FieldKind,
    /// Why the shop asks, for staff to say.
    pub purpose: String,
    pub personal: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
}

/// Profiles that were made without one field.
#[derive(Debug, Serialize, ToSchema)]
pub struct Violations {
    #[schema(example = "email")]
    pub field: String,
    /// Taken all the same, and marked as incomplete.
    pub accepted: u64,
    pub refused: u64,
}

pub async fn profile_rules(
    State(door): State<Arc<Door>>,
    Query(asked): Query<RulesAsked>,
) -> Result<Json<ProfileRules>, Problem> {
    let live = door.merchant.live();
    let shop = &live.shop;
    if let Some(id) = &asked.location
        && shop.place(id).is_none()
    {
        let detail = "merchant.toml has no location with this id";
        return Err(not_found("no-such-location", detail));
    }
    if let Some(device) = &asked.device {
        door.heard_of_device(device, asked.location.as_deref());
    }
    let missed = door.merchant.figures().missed_fields();
    Ok(Json(ProfileRules {
        required: shop.required_at(asked.location.as_deref()).to_vec(),
        location: asked.location,
        mode: shop.file.profile.mode,
        fields: shop.file.profile.fields.iter().map(own_field).collect(),
        violations: missed
            .into_iter()
            .map(|(field, [accepted, refused])| Violations {
                field,
                accepted,
                refused,
            })
            .collect(),
    }))
}

fn own_field(rule: &FieldRule) -> OwnField {
    OwnField {
        key: rule.key.clone(),
        kind: rule.kind,
        purpose: rule.purpose.clone(),
        personal: rule.personal,
        choices: rule.choices.clone(),
        min: rule.min,
        max: rule.max,
    }
}
