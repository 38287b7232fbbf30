//! Allowances: what tills ask for while they are connected, for when they are not.

use super::Door;
use super::ask::{ContentType, object};
use super::auth::Caller;
use super::customers::SOURCE;
use super::problem::{Problem, bad_request, internal};
use super::profile::record;
use super::redemptions::{idempotency_key, tell};
use crate::clock;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::{EventName, Money, Points, RedemptionAct, Worth};
use stampcard_pipeline::outcome::Time;
use std::sync::Arc;
use utoipa::ToSchema;

/// What a till carries while it is not connected.
#[derive(Debug, Serialize, ToSchema)]
pub struct AllowanceView {
    /// What it sends with `redemption.offline`. Nobody can make one up or change it.
    #[schema(
        example = "sca_red_0r6h3m9c1w8k2f7d5t4b9n1q.cus_0r6h3m9c1w8k2f7d5t4b9n1q.300.1772463600.b1c2d3"
    )]
    pub allowance: String,
    /// The redemption under which the points are set aside. Whoever cancels it gives back what was not
    /// used.
    #[schema(example = "red_0r6h3m9c1w8k2f7d5t4b9n1q")]
    pub redemption: String,
    pub customer: String,
    /// The till may redeem as many, at once.
    pub points: Points,
    /// What they are worth, in minor units.
    pub amount: Money,
    /// It may redeem them until then.
    #[schema(value_type = String, format = DateTime)]
    pub until: Time,
    /// The points stay set aside until then, so that there is time to tell.
    #[schema(value_type = String, format = DateTime)]
    pub set_aside_until: Time,
    /// What the customer has now, and what of it can be spent elsewhere.
    pub balance: Points,
    pub available: Points,
}

pub async fn allow(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let Some(key) = idempotency_key(&headers)? else {
        let detail = "send an Idempotency-Key of your own, new for each allowance: a request that is sent again with it \
                      sets no points aside twice";
        return Err(bad_request("idempotency-key-required", detail));
    };
    let name = EventName {
        source: SOURCE.into(),
        id: format!("allowance:{key}"),
    };
    let mut data = object(&headers, body, &[ContentType::Json]).await?;
    if data.contains_key("customer") {
        let detail = "the path says whose it is; leave `customer` out";
        return Err(bad_request("malformed", detail).at("/customer"));
    }
    let customer = CustomerId(id);
    let asked = customer.clone();
    door.read(move |reads| record(reads, &asked).map(drop))
        .await?;
    data.insert("customer".into(), json!({ "id": customer.0 }));
    tell(&door, &caller, name.clone(), "redemption.allowed", data).await?;
    let view = read(&door, name).await?;
    let place = format!("/v1/redemptions/{}", view.redemption);
    Ok((StatusCode::CREATED, [(header::LOCATION, place)], Json(view)).into_response())
}

/// The allowance that an event has given.
async fn read(door: &Arc<Door>, name: EventName) -> Result<AllowanceView, Problem> {
    door.read(move |reads| {
        let row = reads.event(&name)?.ok_or_else(internal)?;
        let made = row.outcome.redemptions.first();
        let RedemptionAct::Reserve(what) = &row.event.redemption().ok_or_else(internal)?.act else {
            return Err(internal());
        };
        let (Some(made), Some(until), Worth::Amount(amount)) =
            (made, what.offline_until, &what.worth)
        else {
            return Err(internal());
        };
        // Whoever was merged since is somebody else today; the allowance names who they were.
        let today = reads.redemption(&made.id)?.ok_or_else(internal)?.customer;
        let now = record(reads, &today)?;
        Ok(AllowanceView {
            allowance: made.allowance.clone().ok_or_else(internal)?,
            redemption: made.id.clone(),
            customer: today.0,
            points: what.points,
            amount: *amount,
            until: Time(until),
            set_aside_until: Time(what.until),
            balance: now.balance,
            available: now.head.available(Currency::Points, clock::now()),
        })
    })
    .await
}
