//! Referral: how a customer brings friends, and how many they brought.

use super::Door;
use super::problem::Problem;
use super::profile::record;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::Points;
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::person::PersonField;
use stampcard_pipeline::redemption::shown;
use std::sync::Arc;
use utoipa::ToSchema;

/// A customer's code and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Referral {
    /// What a friend says or types, in any case and with or without the dash; null for a customer who
    /// has not joined the programme (`loyalty.enrolled`), whose code was revoked, and in a shop without
    /// `[referral]`.
    #[schema(example = "7K3MQ-2PRXZ")]
    pub code: Option<String>,
    /// The link to share, and what a QR code says. A parameter that names the channel may be added to it
    /// and sent as `via`.
    #[schema(example = "https://shop.example/join?code=7K3MQ2PRXZ")]
    pub url: Option<String>,
    /// Friends who joined with a code of theirs.
    pub friends: u32,
    /// What they were given for their friends, less what was taken again.
    pub points: Points,
    /// Who referred them, and when.
    pub referred_by: Option<ReferredBy>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ReferredBy {
    pub customer: String,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
}

pub async fn of_customer(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Json<Referral>, Problem> {
    let id = CustomerId(id);
    let policy = door.referral();
    let referral = door.read(move |reads| {
        let record = record(reads, &id)?;
        let person = reads.person(&record.id)?;
        let code = person.referral_code.as_deref().filter(|_| policy.is_some());
        let known = record.head.referrals.as_deref();
        Ok(Referral {
            code: code.map(shown),
            url: person.value(PersonField::ReferralUrl, policy.as_ref()),
            friends: known.map_or(0, |known| known.friends),
            points: known.map_or(0, |known| known.points),
            referred_by: known
                .and_then(|known| known.by.as_ref())
                .map(|referred| ReferredBy {
                    customer: referred.by.0.clone(),
                    at: Time(referred.at),
                }),
        })
    });
    Ok(Json(referral.await?))
}
