//! Reports over HTTP: what `stampcard report` prints.

use super::Door;
use super::ask::{At, Query};
use super::problem::{Problem, bad_request};
use crate::clock;
use crate::reports::{
    self, DAYS_DEFAULT, DAYS_MAX, LiabilityReport, MovementsReport, PricesReport, SegmentsReport,
};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::rules::Rules;
use std::sync::Arc;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SegmentsAsked {
    /// How far back entries and exits are counted, in days of 24 hours; 30 if it is not given.
    #[param(minimum = 1, maximum = 366)]
    pub days: Option<u32>,
}

pub async fn segments(
    State(door): State<Arc<Door>>,
    Query(asked): Query<SegmentsAsked>,
) -> Result<Json<SegmentsReport>, Problem> {
    let days = asked.days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(too_long().with("parameter", "days"));
    }
    let live = door.merchant.live();
    let report = door
        .read(move |reads| {
            let plugins = live.book.plugins();
            Ok(reports::segments(reads, plugins, clock::now(), days)?)
        })
        .await?;
    Ok(Json(report))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MovementsAsked {
    /// 30 days before `to` if it is not given.
    #[param(value_type = Option<String>, format = DateTime)]
    pub from: Option<At>,
    /// Not included; now if it is not given.
    #[param(value_type = Option<String>, format = DateTime)]
    pub to: Option<At>,
    /// Of one segment only.
    pub segment: Option<String>,
}

pub async fn movements(
    State(door): State<Arc<Door>>,
    Query(asked): Query<MovementsAsked>,
) -> Result<Json<MovementsReport>, Problem> {
    let (from, to) = window(asked.from, asked.to)?;
    let live = door.merchant.live();
    let report = door
        .read(move |reads| {
            let segment = asked.segment.as_deref();
            Ok(reports::movements(reads, &live.shop, from, to, segment)?)
        })
        .await?;
    Ok(Json(report))
}

pub async fn prices(State(door): State<Arc<Door>>) -> Result<Json<PricesReport>, Problem> {
    let currency = door.currency();
    let report = door
        .read(move |reads| Ok(reports::prices(reads, &currency, clock::now())?))
        .await?;
    Ok(Json(report))
}

/// The time that a report is about: 30 days up to now, where nothing else is said.
pub(super) fn window(from: Option<At>, to: Option<At>) -> Result<(Instant, Instant), Problem> {
    let to = to.map_or_else(clock::now, |to| to.0);
    let from = from.map_or_else(|| reports::days_before(to, DAYS_DEFAULT), |from| from.0);
    if from < reports::days_before(to, DAYS_MAX) || from > to {
        return Err(too_long().with("parameter", "from"));
    }
    Ok((from, to))
}

fn too_long() -> Problem {
    let detail = format!("a report is about a time from 1 to {DAYS_MAX} days; narrow it");
    bad_request("bad-query", detail)
}

/// What the shop owes in points.
pub async fn liability(State(door): State<Arc<Door>>) -> Result<Json<LiabilityReport>, Problem> {
    let live = door.merchant.live();
    let report = door
        .read(move |reads| Ok(reports::liability(reads, &live.shop, clock::now())?))
        .await?;
    Ok(Json(report))
}
