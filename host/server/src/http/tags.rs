//! Tags: what the registry says, what is in use, and what may want tidying up.

use super::Door;
use super::problem::Problem;
use crate::reports::Uses;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use stampcard_pipeline::rules::{Plugin, Rules};
use stampcard_pipeline::shop::{SetBy, Shop};
use stampcard_pipeline::store::StoreError;
use stampcard_store::Reads;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Every tag that is registered, that a rule may set, or that some customer has.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tags {
    pub tags: Vec<TagInfo>,
    /// Tags in use that the registry does not have.
    pub unregistered: u64,
    /// Tags in use that no live rule sets or looks at.
    pub unused: u64,
    /// Of those, the ones that a single customer has.
    pub one_off: u64,
    /// Registered tags of campaigns that nobody has any more.
    pub expired: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TagInfo {
    #[schema(example = "VIP")]
    pub tag: String,
    pub registered: bool,
    /// In one sentence, from the registry or from the manifest of a plugin.
    pub means: Option<String>,
    /// Of `rules`, `pos` and `staff`; empty where the registry does not have it.
    pub set_by: Vec<&'static str>,
    pub synonyms: Vec<String>,
    pub expires_after_days: Option<u32>,
    /// The live plugins that may set it.
    pub rules: Vec<String>,
    /// The live plugins whose configuration names it.
    pub used_by: Vec<String>,
    /// Only people set it: it is a list made by hand.
    pub manual: bool,
    pub customers: u64,
    /// What somebody may want to tidy up.
    pub advice: Vec<String>,
}

pub async fn tags(State(door): State<Arc<Door>>) -> Result<Json<Tags>, Problem> {
    let live = door.merchant.live();
    let listed = door
        .read(move |reads| Ok(listed(reads, live.book.plugins(), &live.shop)?))
        .await?;
    Ok(Json(listed))
}

/// The tags of a shop, by key.
pub fn listed(reads: &Reads, plugins: &[Plugin], shop: &Shop) -> Result<Tags, StoreError> {
    let uses = Uses::read(reads, plugins)?;
    let mut tags: BTreeMap<String, TagInfo> = BTreeMap::new();
    for rule in shop.tags.all() {
        let mut info = TagInfo::unknown(&rule.key);
        info.registered = true;
        info.means = Some(rule.means.clone());
        info.set_by = rule.set_by.iter().map(|it| it.name()).collect();
        info.synonyms = rule.synonyms.clone();
        info.expires_after_days = rule.expires_after_days;
        tags.insert(rule.key.clone(), info);
    }
    for plugin in plugins {
        for (tag, means) in &plugin.tags {
            let info = tags
                .entry(tag.clone())
                .or_insert_with(|| TagInfo::unknown(tag));
            info.means.get_or_insert_with(|| means.clone());
            info.rules.push(plugin.name.clone());
        }
    }
    for (tag, customers) in reads.tags()? {
        let info = tags
            .entry(tag.clone())
            .or_insert_with(|| TagInfo::unknown(&tag));
        info.customers = customers;
    }
    for info in tags.values_mut() {
        info.used_by = uses.of(&info.tag);
        info.manual = info.rules.is_empty();
        info.advice = advice(info, shop);
    }
    let tags: Vec<TagInfo> = tags.into_values().collect();
    let count = |is_so: fn(&TagInfo) -> bool| {
        let counted = tags.iter().filter(|info| is_so(info));
        counted.count() as u64
    };
    Ok(Tags {
        unregistered: count(|info| !info.registered && info.customers > 0),
        unused: count(TagInfo::is_unused),
        one_off: count(|info| info.is_unused() && info.customers == 1),
        expired: count(TagInfo::is_expired),
        tags,
    })
}

impl TagInfo {
    fn unknown(tag: &str) -> TagInfo {
        TagInfo {
            tag: tag.to_owned(),
            registered: false,
            means: None,
            set_by: Vec::new(),
            synonyms: Vec::new(),
            expires_after_days: None,
            rules: Vec::new(),
            used_by: Vec::new(),
            manual: true,
            customers: 0,
            advice: Vec::new(),
        }
    }

    /// Some have it, and no rule would miss it.
    fn is_unused(&self) -> bool {
        self.customers > 0 && self.manual && self.used_by.is_empty()
    }

    /// A campaign's tag that has ended for everybody.
    fn is_expired(&self) -> bool {
        self.expires_after_days.is_some() && self.customers == 0
    }
}

fn advice(info: &TagInfo, shop: &Shop) -> Vec<String> {
    let mut advice = Vec::new();
    if let Some(location) = shop.location_named(&info.tag) {
        advice.push(format!(
            "it only repeats the location {location:?}: every event says where it happened, and rules have totals by location"
        ));
    }
    if let Some(key) = shop.tags.find(&info.tag).filter(|it| it.key != info.tag) {
        advice.push(format!(
            "it is another spelling of {:?}: set that, and clear this one with POST /v1/tags:bulk",
            key.key
        ));
    } else if !info.registered && info.customers > 0 {
        let nearest = shop.tags.nearest(&info.tag);
        advice.push(match nearest {
            Some(nearest) => format!(
                "it is not registered; is it {nearest:?}? Then make it a synonym, or register it under [[tags]]"
            ),
            None => "it is not registered: say under [[tags]] what it means".into(),
        });
    }
    // What is registered says what it is for; people may use it without any rule.
    if info.is_unused() && !info.registered {
        advice.push(match info.customers {
            1 => "one customer has it, and no rule looks at it: clear it, or make it a note".into(),
            _ => "no live rule sets it or looks at it: build a segment on it, or clear it".into(),
        });
    }
    if info.is_expired() {
        advice.push(
            "nobody has it any more: if the campaign is over, take it out of [[tags]]".into(),
        );
    }
    let rules_may = info.set_by.contains(&SetBy::Rules.name());
    if info.registered && !info.rules.is_empty() && !rules_may {
        advice.push(format!(
            "{} may set it, and set_by does not give it to rules: it is left alone",
            info.rules.join(", ")
        ));
    }
    advice
}
