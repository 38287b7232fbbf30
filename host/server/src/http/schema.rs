//! The JSON forms that are not made in this room: events as the line takes them, and its answers.
//!
//! `schemas.json` is written by hand, because what it describes knows nothing of HTTP. Tests hold it
//! to the code: every example of the catalogue fits it, and admission knows exactly its fields.

use serde_json::{Map, json};
use stampcard_pipeline::catalogue::Kind;
use std::borrow::Cow;
use std::sync::LazyLock;
use utoipa::openapi::{Object, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

type Json = serde_json::Value;

const FILE: &str = include_str!("schemas.json");

/// By their names, as they stand under `components/schemas`.
pub static SCHEMAS: LazyLock<Map<String, Json>> =
    LazyLock::new(|| serde_json::from_str(FILE).expect("schemas.json is JSON; a test reads it"));

/// The time of examples.
pub const EXAMPLE_TIME: &str = "2024-05-01T10:30:00-04:00";

/// Types of the line, by the names of their schemas.
macro_rules! named {
    ($($name:ident)*) => { $(
        #[derive(Debug)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                // Only its name is used; the schema itself comes from the file.
                Schema::Object(Object::new()).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )* };
}

named! {
    Event NewCustomer CustomerEdit NewRedemption NewAllowance RedemptionAct Webhook Outcome SegmentChanges Prompt Discount TemplateValue Worth StoreCredit
}

/// The name of the schema of a kind's `data`.
pub fn name_of_data(kind: &str) -> &'static str {
    match kind {
        "sale.completed" | "checkout.started" | "checkout.updated" => "SaleData",
        "customer.created"
        | "customer.updated"
        | "customer.identified"
        | "loyalty.enrolled"
        | "referral.signup" => "ProfileData",
        "referral.revoked" => "CodeRevokedData",
        "consent.changed" => "ConsentData",
        "tag.added" | "tag.removed" => "TagData",
        "tags.assigned" => "TagsAssignedData",
        "sale.voided" | "payment.settled" | "payment.failed" => "AboutSaleData",
        "return.completed" => "ReturnData",
        "redemption.reserved" => "ReserveData",
        "redemption.allowed" => "AllowData",
        "redemption.offline" => "OfflineData",
        "redemption.confirmed"
        | "redemption.cancelled"
        | "redemption.approved"
        | "redemption.denied" => "AboutRedemptionData",
        "exchange.completed" => "ExchangeData",
        "order.edited" => "EditData",
        "points.adjusted" => "AdjustmentData",
        "points.forfeited" => "ForfeitData",
        "credit.adjusted" => "CreditData",
        "points.imported" => "ImportData",
        "tier.overridden" => "PlacementData",
        "customer.merged" => "MergeData",
        "customer.unmerged" | "merge.declined" => "ApartData",
        "customer.deleted" => "ErasureData",
        "note.added" => "NoteData",
        "note.edited" => "NoteEditData",
        "catalog.updated" => "CatalogueData",
        "stock.updated" => "StockData",
        "visit.counted" => "VisitData",
        _ => "OtherData",
    }
}

/// The whole JSON Schema of a kind's `data`: what it refers to comes with it.
pub fn of_data(kind: &str) -> Json {
    let name = name_of_data(kind);
    let mut definitions = Map::new();
    collect(name, &mut definitions);
    let mut schema = definitions.remove(name).unwrap_or_default();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    if !definitions.is_empty() {
        schema["$defs"] = Json::Object(definitions);
    }
    schema
}

const COMPONENTS: &str = "#/components/schemas/";

fn collect(name: &str, into: &mut Map<String, Json>) {
    if into.contains_key(name) {
        return;
    }
    let mut schema = SCHEMAS.get(name).cloned().unwrap_or_default();
    into.insert(name.to_owned(), Json::Null);
    refer_within(&mut schema, into);
    into.insert(name.to_owned(), schema);
}

/// Turns references to components into references within the schema.
fn refer_within(schema: &mut Json, into: &mut Map<String, Json>) {
    match schema {
        Json::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                match value
                    .as_str()
                    .filter(|_| key == "$ref")
                    .and_then(|target| target.strip_prefix(COMPONENTS))
                {
                    Some(name) => {
                        collect(name, into);
                        *value = format!("#/$defs/{name}").into();
                    }
                    None => refer_within(value, into),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| refer_within(item, into)),
        _ => {}
    }
}

/// A whole event of a kind.
pub fn example(kind: &Kind) -> Json {
    let data: Json = serde_json::from_str(kind.example)
        .expect("the catalogue's examples are JSON; its tests read them");
    json!({
        "specversion": "1.0", "source": "till-1", "id": "1001", "type": kind.name, "time": EXAMPLE_TIME, "data": data,
    })
}
