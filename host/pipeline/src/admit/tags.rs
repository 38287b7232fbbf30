//! Tags as they come in: in the registry's spelling, and only from whom it lets set them.

use super::data::{Common, instant_after, own_id, short};
use super::said::{actor, acts};
use super::sender::Sender;
use crate::change::CustomerId;
use crate::event::{Body, Instant, TagChange};
use crate::limits;
use crate::refusal::{Refusal, invalid};
use crate::shop::{SetBy, Shop, TagPolicy};
use serde::{Deserialize, Serialize};

acts! {
    TagEvent {
        tag: String,
        /// When the tag ends by itself.
        until: Option<String>,
        /// Why, for acts of staff.
        reason: Option<String>,
    }
}

impl TagEvent {
    pub fn check(
        mut self,
        added: bool,
        common: &mut Common,
        shop: &Shop,
        by: &Sender,
        at: Instant,
    ) -> Result<Body, Refusal> {
        self.said().tell(common, by)?;
        if let Some(reason) = self.reason {
            common
                .attributes
                .insert("reason".into(), short(reason, "/data/reason")?);
        }
        let until = match &self.until {
            Some(_) if !added => {
                return invalid(
                    "until-without-tag",
                    "/data/until",
                    "only a tag that is set ends",
                );
            }
            Some(text) => Some(instant_after(text, at, "/data/until")?),
            None => None,
        };
        Ok(Body::Tag(TagChange {
            tag: tag(&self.tag, "/data/tag", shop, by)?,
            added,
            until,
        }))
    }
}

/// One tag for many customers: what the journal keeps of it. Each of them has an event of their own.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AssignedEvent {
    tag: String,
    action: Action,
    /// How many.
    customers: u32,
    /// Who, by our own ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    list: Vec<CustomerId>,
    /// The places of the list as it was sent that named nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What was asked for, as a hash: the same job is told from another one with its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<String>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Add,
    Remove,
}

impl AssignedEvent {
    pub fn check(self, common: &mut Common, shop: &Shop, by: &Sender) -> Result<Body, Refusal> {
        for id in &self.list {
            own_id(&id.0, "/data/customer/id")?;
        }
        let actor = actor(self.actor, by)?;
        common.staff = Some(actor.clone());
        let assigned = AssignedEvent {
            tag: tag(&self.tag, "/data/tag", shop, by)?,
            actor: Some(actor),
            reason: self
                .reason
                .map(|reason| short(reason, "/data/reason"))
                .transpose()?,
            ..self
        };
        let text = serde_json::to_string(&assigned).expect("plain data");
        Ok(Body::Other(text))
    }
}

/// A tag as the registry spells it, if this sender may set it. Upper and lower case are kept, and
/// differ, unless the registry has both spellings.
pub(super) fn tag(text: &str, at: &str, shop: &Shop, by: &Sender) -> Result<String, Refusal> {
    let tag = text.trim();
    match tag.chars().count() {
        0 => return invalid("empty-tag", at, "a tag is empty"),
        length if length > limits::TAG_CHARS_MAX => {
            return invalid(
                "long-tag",
                at,
                format!("a tag has at most {} characters", limits::TAG_CHARS_MAX),
            );
        }
        _ => {}
    }
    let who = by.sets_tags_as();
    let forbidden = |problem: String| {
        Err(Refusal::Forbidden {
            code: "tag-not-open",
            at: at.to_owned(),
            problem,
        })
    };
    let hint = || match shop.tags.nearest(tag) {
        Some(nearest) => format!("did you mean {nearest:?}?"),
        None => "merchant.toml has no [[tags]] yet".into(),
    };
    match (shop.tags.find(tag), who) {
        (Some(rule), Some(who)) if !rule.may_be_set_by(who) => {
            let may: Vec<&str> = rule.set_by.iter().map(|it| it.name()).collect();
            forbidden(format!(
                "the tag {:?} is set by {}, not by {}; set_by under [[tags]] in merchant.toml says who may",
                rule.key,
                may.join(" and "),
                who.name(),
            ))
        }
        (Some(rule), _) => Ok(rule.key.clone()),
        (None, _) if shop.file.policies.tags == TagPolicy::Registered => invalid(
            "unknown-tag",
            at,
            format!("{tag:?} is not a registered tag; {}", hint()),
        ),
        (None, Some(SetBy::Pos)) => forbidden(format!(
            "{tag:?} is not a tag that merchant.toml opens to tills; {}",
            hint()
        )),
        (None, _) => Ok(tag.to_owned()),
    }
}

/// The tags of a sale. A sale is never lost for a tag: one that cannot be set is named in the
/// answer instead.
pub(super) fn of_sale(
    given: Vec<String>,
    common: &mut Common,
    shop: &Shop,
    by: &Sender,
) -> Vec<String> {
    let mut tags = Vec::with_capacity(given.len());
    for (index, text) in given.iter().enumerate() {
        match tag(text, &format!("/data/tags_to_add/{index}"), shop, by) {
            Ok(tag) => tags.push(tag),
            Err(refusal) => common.notes.push(format!("a tag was not set: {refusal}")),
        }
    }
    tags
}
