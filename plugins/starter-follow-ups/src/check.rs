//! What a schema cannot say about a configuration, refused with its place. Nothing here looks at
//! a customer.

use stampcard_sdk::prelude::*;

use crate::config::{Config, Offer, OfferOn, Rule};
use crate::fields::NAMES;
use crate::text::Text;

/// Refuses what could never work, before it goes live.
pub fn check(config: &Config) -> Result<()> {
    for (name, rule) in &config.rules {
        check_rule(&format!("rules.{name}"), rule)?;
    }
    texts("receipt", &config.receipt)
}

fn check_rule(place: &str, rule: &Rule) -> Result<()> {
    if rule.on.is_empty() {
        return refuse(place, "`on` must name what sets it off");
    }
    let nothing = rule.message.is_none() && rule.task.is_none() && rule.prompt.is_none();
    if nothing && rule.receipt.is_empty() {
        return refuse(
            place,
            "it does nothing; give it a message, a task, a prompt or receipt lines",
        );
    }
    for field in &rule.requires {
        known(&format!("{place}.requires"), field)?;
    }
    if rule.only.won_before_today && rule.only.segments.is_empty() && rule.only.tags.is_empty() {
        return refuse(
            place,
            "`won_before_today` needs segments or tags to be about",
        );
    }
    if let Some(message) = &rule.message {
        if message.channels.is_empty() {
            return refuse(place, "a message needs a channel");
        }
        check_target(place, rule)?;
        texts(&format!("{place}.message.data"), message.data.values())?;
        check_offer(
            &format!("{place}.message.offer"),
            rule,
            message.offer.as_ref(),
        )?;
    }
    if let Some(task) = &rule.task {
        texts(&format!("{place}.task.data"), task.data.values())?;
    }
    if let Some(prompt) = &rule.prompt {
        texts(&format!("{place}.prompt.text"), [&prompt.text])?;
        check_offer(
            &format!("{place}.prompt.offer"),
            rule,
            prompt.offer.as_ref(),
        )?;
    }
    texts(&format!("{place}.receipt"), &rule.receipt)
}

/// A message names whom it is for, or says that it is for all; never neither.
fn check_target(place: &str, rule: &Rule) -> Result<()> {
    match (rule.everybody, rule.names_a_group()) {
        (false, false) => refuse(
            place,
            "its message names nobody whom it is for; write `only = { segments = [\"vip\"] }`, or tags or tiers, or \
             `everybody = true` if it is meant for every customer",
        ),
        (true, true) => refuse(
            place,
            "`everybody = true` and a segment, tag or tier contradict each other; leave one of them out",
        ),
        _ => Ok(()),
    }
}

fn check_offer(place: &str, rule: &Rule, offer: Option<&Offer>) -> Result<()> {
    let Some(offer) = offer else {
        return Ok(());
    };
    if offer.share.is_some() == offer.amount.is_some() {
        return refuse(place, "an offer has either a `share` or an `amount`");
    }
    if offer.code.is_some() && offer.code_prefix.is_some() {
        return refuse(
            place,
            "an offer has a `code` for everybody or a `code_prefix`, not both",
        );
    }
    match offer.on {
        OfferOn::Gift | OfferOn::NextGoods if offer.goods.is_none() => {
            refuse(place, "it needs `goods`: what is given")
        }
        OfferOn::MatchingLines if rule.only.goods.is_none() => refuse(
            place,
            "matching lines are those of `only.goods`, which is missing",
        ),
        _ => Ok(()),
    }
}

fn texts<'a>(place: &str, texts: impl IntoIterator<Item = &'a Text>) -> Result<()> {
    let mut fields = texts.into_iter().flat_map(Text::fields);
    fields.try_for_each(|field| known(place, field))
}

fn known(place: &str, field: &str) -> Result<()> {
    let attribute = |name: &str| matches!(name.split_once('.'), Some(("event" | "customer", attribute)) if !attribute.is_empty());
    match NAMES.contains(&field) || attribute(field) {
        true => Ok(()),
        false => refuse(
            place,
            format!(
                "there is no field {{{field}}}; there are {}, and event.… and customer.… for attributes",
                NAMES.join(", ")
            ),
        ),
    }
}

fn refuse<T>(place: &str, problem: impl AsRef<str>) -> Result<T> {
    Err(Refusal::rejected(format!("{place}: {}", problem.as_ref())))
}
