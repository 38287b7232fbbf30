//! A customer's orders of all channels in one order of time.

use super::Door;
use super::ask::Query;
use super::event_view::Named;
use super::page::{Page, Paging};
use super::problem::Problem;
use super::profile::record;
use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Channel, Line, Money, Points, Position};
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::shop::ReferralPolicy;
use stampcard_store::reads::{OrderRow, Person};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// A sale, and its points as the ledger has them today.
#[derive(Debug, Serialize, ToSchema)]
pub struct Order {
    /// What a return or an exchange names as the original sale.
    pub event: Named,
    /// The order's own name in the system that took it.
    pub order: Option<OrderName>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    pub channel: Option<&'static str>,
    pub location: Option<String>,
    /// Minor units of the shop's currency.
    pub total: Money,
    #[schema(example = "USD")]
    pub currency: String,
    /// The sum of its ledger entries, corrections included.
    pub points: Points,
    /// As edits have left them; what returns took is not taken from them.
    pub lines: Vec<OrderLine>,
    /// What was printed for it, line by line: the same as the answer to the sale had it.
    pub receipt: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrderName {
    pub system: String,
    pub id: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrderLine {
    /// From 1, as returns count them.
    pub number: u32,
    pub sku: Option<String>,
    pub variant: Option<String>,
    pub name: Option<String>,
    /// As a decimal: `2`, or `0.340` for weighed goods.
    #[schema(example = "2")]
    pub quantity: String,
    /// How many of it can still come back; what that takes, POST /v1/preview says of the return.
    #[schema(example = "1")]
    pub returnable: String,
    pub amount: Money,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OrdersAsked {
    /// Only orders with a line of this SKU or variant: finds a sale without its receipt.
    #[param(example = "JKT-M")]
    pub sku: Option<String>,
    /// Rows of this page, from 1 to 500; 50 if it is not given.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
}

pub async fn orders(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
    Query(asked): Query<OrdersAsked>,
) -> Result<Json<Page<Order>>, Problem> {
    let OrdersAsked { sku, limit, cursor } = asked;
    let paging = Paging { limit, cursor };
    let (rows, before) = (paging.rows()?, paging.after::<Position>()?);
    let id = CustomerId(id);
    let (currency, policy) = (door.currency(), door.referral());
    let page = door
        .read(move |reads| {
            record(reads, &id)?;
            let found = reads.orders(&id, sku.as_deref(), before.as_ref(), rows + 1)?;
            let page = Page::of(found, rows, |row| row.event.position());
            let person = reads.person(&id)?;
            let policy = policy.as_ref();
            Ok(page.map(|row| order(row, &person, policy, &currency)))
        })
        .await?;
    Ok(Json(page))
}

fn order(row: OrderRow, person: &Person, policy: Option<&ReferralPolicy>, currency: &str) -> Order {
    let sale = row.sale;
    let mut outcome = row.outcome;
    outcome.fill(|field| person.value(field, policy));
    Order {
        receipt: outcome.receipt,
        at: Time(row.event.at),
        channel: row.event.channel.map(Channel::name),
        location: row.event.location,
        total: sale.total,
        currency: currency.to_owned(),
        points: row.points,
        lines: (1..)
            .zip(&sale.lines)
            .map(|(number, line)| order_line(number, line, row.came_back.left_of(&sale, number)))
            .collect(),
        order: sale.order.map(|name| OrderName {
            system: name.system,
            id: name.id,
        }),
        event: Named {
            source: row.event.source,
            id: row.event.id,
        },
    }
}

fn order_line(number: u32, line: &Line, left: i64) -> OrderLine {
    let quantity = |thousandths: i64| match line.measured {
        true => format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000),
        false => (thousandths / 1_000).to_string(),
    };
    OrderLine {
        number,
        sku: line.sku.clone(),
        variant: line.variant.clone(),
        name: line.name.clone(),
        quantity: quantity(line.quantity),
        returnable: quantity(left),
        amount: line.amount,
    }
}
