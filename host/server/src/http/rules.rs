//! What the rules are made of: which events ask which plugins, and the catalogue of events.

use super::Door;
use super::schema;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use stampcard_pipeline::catalogue::{DATA_VERSIONS, KINDS, Support, schema_of};
use stampcard_pipeline::rules::{Plugin, Role, Rules};
use std::sync::Arc;
use utoipa::ToSchema;

/// Event → plugins → actions, from the manifests of the plugins that are live.
#[derive(Debug, Serialize, ToSchema)]
pub struct Graph {
    pub rule_book: i64,
    pub events: Vec<GraphEvent>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct GraphEvent {
    #[schema(example = "sale.completed")]
    pub event: String,
    pub meaning: String,
    /// Who is asked, in the order in which the line asks.
    pub asks: Vec<Asked>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Asked {
    pub plugin: String,
    pub version: String,
    #[schema(value_type = String, example = "segment-rule")]
    pub role: Role,
    /// What it may do in this role.
    pub actions: Vec<String>,
    /// The keys that it may decide in this role: segments and tags, or tiers.
    pub decides: Vec<String>,
}

pub async fn graph(State(door): State<Arc<Door>>) -> Json<Graph> {
    let live = door.merchant.live();
    let plugins = live.book.plugins();
    let known = KINDS
        .iter()
        .filter(|kind| kind.support != Support::NotYet)
        .map(|kind| (kind.name, kind.meaning));
    let own = live
        .shop
        .file
        .kinds
        .iter()
        .map(|(kind, meaning)| (kind.as_str(), meaning.as_str()));
    let events = known.chain(own).map(|(kind, meaning)| GraphEvent {
        event: kind.to_owned(),
        meaning: meaning.to_owned(),
        asks: Role::ALL
            .iter()
            .flat_map(|role| {
                plugins
                    .iter()
                    .filter(|plugin| plugin.wants(*role, kind))
                    .map(|plugin| asked(plugin, *role))
            })
            .collect(),
    });
    Json(Graph {
        rule_book: live.number,
        events: events.collect(),
    })
}

fn asked(plugin: &Plugin, role: Role) -> Asked {
    let keys =
        |owned: &[(String, String)]| owned.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
    let (actions, decides): (&[&str], Vec<String>) = match role {
        Role::SegmentRule => (
            &["enter or leave a segment", "set or clear a tag"],
            [keys(&plugin.segments), keys(&plugin.tags)].concat(),
        ),
        Role::PointFormula => (&["award points"], Vec::new()),
        Role::TierRule => (&["place in a tier"], keys(&plugin.tiers)),
        Role::FollowUpTrigger => (
            &[
                "plan a follow-up",
                "prompt the till",
                "print on the receipt",
                "offer a discount",
            ],
            Vec::new(),
        ),
    };
    let actions = actions.iter().map(|action| (*action).to_owned()).collect();
    Asked {
        plugin: plugin.name.clone(),
        version: plugin.version.clone(),
        role,
        actions,
        decides,
    }
}

/// Every kind of event that there is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Catalogue {
    pub kinds: Vec<KindInfo>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct KindInfo {
    #[schema(example = "sale.completed")]
    pub name: String,
    pub meaning: String,
    /// Who tells us.
    pub producer: String,
    /// `processed`, `not-yet` (refused in this version) or `host-only` (made by the host).
    pub support: &'static str,
    /// The versions of its data that are read, each as an event may name it in `dataschema`; one that
    /// names none is of the first. Absent for kinds that are not taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dataschema: Vec<String>,
    /// The JSON Schema of its `data`; absent for kinds that are not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// A whole event of the kind.
    #[schema(value_type = Object)]
    pub example: Value,
}

pub async fn catalogue(State(door): State<Arc<Door>>) -> Json<Catalogue> {
    let kinds = KINDS.iter().map(|kind| KindInfo {
        name: kind.name.to_owned(),
        meaning: kind.meaning.to_owned(),
        producer: kind.producer.to_owned(),
        support: match kind.support {
            Support::Processed => "processed",
            Support::NotYet => "not-yet",
            Support::HostOnly => "host-only",
        },
        dataschema: match kind.support {
            Support::Processed => data_versions(kind.name),
            Support::NotYet | Support::HostOnly => Vec::new(),
        },
        schema: (kind.support == Support::Processed).then(|| schema::of_data(kind.name)),
        example: schema::example(kind),
    });
    let own = door.merchant.live();
    let own = own.shop.file.kinds.iter().map(|(name, meaning)| KindInfo {
        name: name.clone(),
        meaning: meaning.clone(),
        producer: "this shop".into(),
        support: "processed",
        dataschema: data_versions(name),
        schema: Some(schema::of_data(name)),
        example: json!({
            "specversion": "1.0", "source": "shop", "id": "1", "type": name, "time": schema::EXAMPLE_TIME,
            "data": {"customer": {"email": "ana@example.com"}},
        }),
    });
    Json(Catalogue {
        kinds: kinds.chain(own).collect(),
    })
}

fn data_versions(kind: &str) -> Vec<String> {
    let versions = DATA_VERSIONS.iter();
    versions.map(|version| schema_of(kind, version)).collect()
}
