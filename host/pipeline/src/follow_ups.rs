//! Follow-ups: what should happen next? The trigger sees everything that the event has decided.

use crate::admit::{Secret, base32, mac};
use crate::catalogue;
use crate::change::{CustomerId, FollowUpRow, Planned};
use crate::fold::Fold;
use crate::limits;
use crate::offers;
use crate::outcome::PromptView;
use crate::rules::{Failure, FollowUp, FollowUpAnswer, MessagesTo, Prompt, Purpose, Role};
use crate::shop::Shop;
use crate::walk::{Step, Walk};
use std::cmp::Reverse;

pub fn decide(walk: &mut Walk, step: &mut Step) {
    if step.event.rules_changed().is_some() {
        for plugin in walk.cancel_what_the_gone_planned() {
            step.note(format!(
                "what {plugin} was about to send is cancelled: it is live no more"
            ));
        }
    }
    if let Some(why) = nobody_is_asked(step, walk.with.shop) {
        step.note(why);
        return;
    }
    let mut prompts = Vec::new();
    for plugin in walk.wanted(step, Role::FollowUpTrigger) {
        let call = walk.ask::<FollowUpAnswer>(step, plugin);
        let decided = call.result.and_then(|answer| {
            walk.check_after(step, plugin, &answer.after)?;
            check(&answer, walk, step)?;
            Ok(answer)
        });
        match decided {
            Ok(answer) => {
                for follow_up in answer.follow_ups {
                    match outside_of_target(walk, plugin, &follow_up.channel) {
                        None => plan(walk, step, plugin, follow_up),
                        Some(targets) => step.note(format!(
                            "{} is not planned: {} writes to {targets}, and the customer is not among them",
                            follow_up.template,
                            walk.with.rules.plugins()[plugin].name,
                        )),
                    }
                }
                prompts.extend(answer.prompts.into_iter().map(|prompt| (plugin, prompt)));
                step.receipt.extend(answer.receipt);
                walk.after(
                    step,
                    plugin,
                    Role::FollowUpTrigger,
                    call.usage,
                    Ok(answer.after),
                );
            }
            Err(failure) => walk.after(
                step,
                plugin,
                Role::FollowUpTrigger,
                call.usage,
                Err(&failure),
            ),
        }
    }
    for (plugin, prompt) in ranked(prompts, step) {
        show(walk, step, plugin, prompt);
    }
}

/// The prompts that a person at the till has the time to read: those with the highest `priority`
/// among their attributes first (0 where there is none), then those with a discount, then as they
/// were said. What is not shown promises nobody a discount.
fn ranked(mut prompts: Vec<(usize, Prompt)>, step: &mut Step) -> Vec<(usize, Prompt)> {
    prompts.sort_by_key(|(_, prompt)| (Reverse(priority(prompt)), prompt.discount.is_none()));
    if let Some(more) = prompts
        .get(limits::PROMPTS_MAX..)
        .filter(|it| !it.is_empty())
    {
        step.note(format!(
            "{} more prompts were not shown; a till shows {}",
            more.len(),
            limits::PROMPTS_MAX
        ));
        prompts.truncate(limits::PROMPTS_MAX);
    }
    prompts
}

fn priority(prompt: &Prompt) -> i64 {
    let mut attributes = prompt.attributes.iter();
    let found = attributes.find(|(name, _)| name == "priority");
    found.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

fn nobody_is_asked(step: &Step, shop: &Shop) -> Option<String> {
    let kind = &step.event.kind;
    if step.event.historical {
        return Some("no follow-ups: the event is historical".into());
    }
    if kind.starts_with(catalogue::OWN_PREFIX) && !shop.file.kinds.contains_key(kind) {
        return Some(format!(
            "no follow-ups: {kind} is not under [kinds] of merchant.toml"
        ));
    }
    None
}

fn check(answer: &FollowUpAnswer, walk: &Walk, step: &Step) -> Result<(), Failure> {
    let refuse = |problem: String| Err(Failure::Answer { problem });
    for follow_up in &answer.follow_ups {
        let names = [
            ("channel", &follow_up.channel),
            ("template", &follow_up.template),
            ("dedupe-key", &follow_up.dedupe_key),
        ];
        if let Some((field, _)) = names
            .iter()
            .find(|(_, text)| text.is_empty() || text.len() > limits::TEXT_BYTES_MAX)
        {
            return refuse(format!(
                "a follow-up needs a {field} of at most {} bytes",
                limits::TEXT_BYTES_MAX
            ));
        }
        if follow_up.reason.len() > limits::REASON_BYTES_MAX {
            return refuse(format!(
                "a reason of more than {} bytes",
                limits::REASON_BYTES_MAX
            ));
        }
        let send_at = step
            .moment(walk, follow_up.send_at)?
            .unwrap_or(step.event.at);
        if send_at < step.event.at {
            return refuse("a follow-up that should have been sent before the event".into());
        }
        if step
            .moment(walk, follow_up.expires_at)?
            .is_some_and(|expires| expires <= send_at)
        {
            return refuse("a follow-up that expires before it is sent".into());
        }
    }
    for prompt in &answer.prompts {
        if prompt.text.chars().count() > limits::PROMPT_CHARS_MAX {
            return refuse(format!(
                "a prompt of more than {} characters",
                limits::PROMPT_CHARS_MAX
            ));
        }
    }
    let offers = answer
        .follow_ups
        .iter()
        .filter_map(|follow_up| follow_up.offer.as_ref());
    for offer in offers.chain(
        answer
            .prompts
            .iter()
            .filter_map(|prompt| prompt.discount.as_ref()),
    ) {
        offers::check(offer, walk, step)?;
    }
    match answer
        .receipt
        .iter()
        .find(|line| line.chars().count() > limits::RECEIPT_CHARS_MAX)
    {
        Some(_) => refuse(format!(
            "a receipt line of more than {} characters",
            limits::RECEIPT_CHARS_MAX
        )),
        None => Ok(()),
    }
}

fn plan(walk: &mut Walk, step: &mut Step, plugin: usize, follow_up: FollowUp) {
    let is_wanted = !walk.fold.unwanted.contains(&follow_up.channel);
    let is_allowed = may_be_written(&walk.fold, &follow_up.channel, follow_up.purpose);
    if !is_allowed && !is_wanted {
        step.note(format!(
            "{} is suppressed: the customer wants no marketing by {}",
            follow_up.template, follow_up.channel
        ));
    }
    let name = walk.with.rules.plugins()[plugin].name.clone();
    let offer = follow_up
        .offer
        .map(|offer| offers::make(walk, step, &name, offer));
    walk.fold.changes += 1;
    step.follow_ups.push(FollowUpRow {
        number: walk.fold.changes,
        plugin: plugin as u32,
        at: step.event.at,
        journal: None,
        channel: follow_up.channel,
        template: follow_up.template,
        purpose: follow_up.purpose,
        send_at: step
            .checked_moment(walk, follow_up.send_at)
            .unwrap_or(step.event.at),
        expires_at: step.checked_moment(walk, follow_up.expires_at),
        data: follow_up.data,
        dedupe_key: follow_up.dedupe_key,
        cancelled_by: follow_up.cancelled_by,
        offer,
        reason: follow_up.reason,
        state: if is_allowed {
            Planned::Planned
        } else {
            Planned::Suppressed
        },
    });
}

/// The channel of what is for staff to do: a task is no message.
const TASK: &str = "task";

/// Whom a plugin writes to, in words, where this customer is not among them.
fn outside_of_target(walk: &Walk, plugin: usize, channel: &str) -> Option<String> {
    let messages_to = walk.with.rules.plugins()[plugin].messages_to.as_ref();
    let Some(MessagesTo::Segments(targets)) = messages_to else {
        return None;
    };
    let members = &walk.fold.memberships;
    let is_among_them = targets.iter().any(|target| members.contains_key(target));
    (channel != TASK && !is_among_them).then(|| match targets.as_slice() {
        [] => "nobody".into(),
        targets => targets.join(" and "),
    })
}

/// What a follow-up is called wherever it goes. It depends on nothing but whose it is and what its plugin
/// calls the occasion, so it is the same for every attempt, after a refold, and in a shop that was restored.
pub fn message_name(
    customer: &CustomerId,
    plugin: &str,
    dedupe_key: &str,
    secret: &Secret,
) -> String {
    let parts = [
        customer.0.as_bytes(),
        plugin.as_bytes(),
        dedupe_key.as_bytes(),
    ];
    let hash = mac(secret, "follow-up", &parts);
    format!("msg_{}", base32(&hash[..15]))
}

/// Whether the customer may be written to. Marketing needs their consent to its channel, and that they
/// have not said that they want none there. It is asked when a message is planned, and again when it leaves.
pub fn may_be_written(fold: &Fold, channel: &str, purpose: Purpose) -> bool {
    let consent = fold.consents.get(channel);
    let has_consent = consent.is_some_and(|consent| consent.granted);
    purpose == Purpose::Service || has_consent && !fold.unwanted.contains(channel)
}

/// A prompt for the till.
fn show(walk: &mut Walk, step: &mut Step, plugin: usize, prompt: Prompt) {
    let name = walk.with.rules.plugins()[plugin].name.clone();
    let discount = prompt
        .discount
        .map(|offer| offers::make(walk, step, &name, offer));
    step.prompts.push(PromptView {
        kind: prompt.kind,
        text: prompt.text,
        plugin: name,
        discount,
        attributes: prompt.attributes.into_iter().collect(),
    });
}
