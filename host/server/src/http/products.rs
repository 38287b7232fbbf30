//! The shop's catalogue, as events have told it.

use super::Door;
use super::ask::Query;
use super::page::{Page, Paging};
use super::problem::Problem;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use stampcard_pipeline::event::Money;
use stampcard_pipeline::outcome::Time;
use stampcard_store::reads::ProductRow;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProductsAsked {
    /// The variants of one product.
    pub product: Option<String>,
    /// What tills send on lines.
    pub sku: Option<String>,
    /// Rows of this page, from 1 to 500; 50 if it is not given.
    #[param(minimum = 1, maximum = 500, default = 50)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[param(pattern = "^([0-9a-f]{2})+$")]
    pub cursor: Option<String>,
}

/// A product, or one variant of it, as the newest event about it says. It is for people and for
/// checks: a rule goes by the price on the line of the sale.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductView {
    #[schema(example = "jacket")]
    pub product: String,
    #[schema(example = "JKT-M")]
    pub variant: Option<String>,
    pub sku: Option<String>,
    pub name: Option<String>,
    /// Of one unit, in minor units.
    pub price: Money,
    #[schema(example = "USD")]
    pub currency: String,
    pub collections: Vec<String>,
    /// Words of the shop's own.
    pub flags: Vec<String>,
    /// Since when it is so: the time of the event that told it.
    #[schema(value_type = String, format = DateTime)]
    pub since: Time,
    /// The name of that event.
    pub source: String,
    pub id: String,
}

pub async fn products(
    State(door): State<Arc<Door>>,
    Query(asked): Query<ProductsAsked>,
) -> Result<Json<Page<ProductView>>, Problem> {
    let ProductsAsked {
        product,
        sku,
        limit,
        cursor,
    } = asked;
    let paging = Paging { limit, cursor };
    let (rows, after) = (paging.rows()?, paging.after::<(String, String)>()?);
    let currency = door.currency();
    let page = door
        .read(move |reads| {
            let after = after
                .as_ref()
                .map(|(product, variant)| (&**product, &**variant));
            let found = reads.products(product.as_deref(), sku.as_deref(), after, rows + 1)?;
            let page = Page::of(found, rows, |row| {
                let variant = row.product.variant.clone().unwrap_or_default();
                (row.product.product.clone(), variant)
            });
            Ok(page.map(|row| view(row, &currency)))
        })
        .await?;
    Ok(Json(page))
}

fn view(ProductRow { product, told }: ProductRow, currency: &str) -> ProductView {
    ProductView {
        product: product.product,
        variant: product.variant,
        sku: product.sku,
        name: product.name,
        price: product.price,
        currency: currency.to_owned(),
        collections: product.collections,
        flags: product.flags,
        since: Time(told.at),
        source: told.source,
        id: told.id,
    }
}
