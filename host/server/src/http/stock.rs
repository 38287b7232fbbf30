//! What there is of products, as events have told it.

use super::Door;
use super::ask::Query;
use super::page::{Page, Paging};
use super::problem::Problem;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use stampcard_pipeline::event::Channel;
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::stock::StockPlace;
use stampcard_store::reads::StockRow;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StockAsked {
    /// What tills send on lines.
    #[param(example = "MUG")]
    pub sku: Option<String>,
    /// Rows of this page, from 1 to 500; 50 if it is not given.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[param(pattern = "^([0-9a-f]{2})+$")]
    pub cursor: Option<String>,
}

/// How many pieces of a product are at a place, as the newest event about it says. We count none
/// ourselves.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockView {
    #[schema(example = "MUG")]
    pub sku: String,
    /// The location where it is.
    #[schema(example = "soho")]
    pub location: Option<String>,
    /// Or the channel that sells it from somewhere else.
    #[schema(value_type = Option<String>)]
    pub channel: Option<Channel>,
    /// Below zero where more was sold than there is.
    pub quantity: i64,
    /// The time of the event that told it.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Time,
    /// The name of that event.
    pub source: String,
    pub id: String,
}

pub async fn stock(
    State(door): State<Arc<Door>>,
    Query(asked): Query<StockAsked>,
) -> Result<Json<Page<StockView>>, Problem> {
    let StockAsked { sku, limit, cursor } = asked;
    let paging = Paging { limit, cursor };
    let (rows, after) = (paging.rows()?, paging.after::<(String, String, String)>()?);
    let page = door
        .read(move |reads| {
            let after = after
                .as_ref()
                .map(|(sku, location, channel)| (&**sku, &**location, &**channel));
            let found = reads.stock(sku.as_deref(), after, rows + 1)?;
            let page = Page::of(found, rows, |row| {
                let (location, channel) = row.stock.place.names();
                (
                    row.stock.sku.clone(),
                    location.to_owned(),
                    channel.to_owned(),
                )
            });
            Ok(page.map(view))
        })
        .await?;
    Ok(Json(page))
}

fn view(StockRow { stock, told }: StockRow) -> StockView {
    let (location, channel) = match stock.place {
        StockPlace::Location(id) => (Some(id), None),
        StockPlace::Channel(channel) => (None, Some(channel)),
    };
    StockView {
        sku: stock.sku,
        location,
        channel,
        quantity: stock.quantity,
        as_of: Time(told.at),
        source: told.source,
        id: told.id,
    }
}
