//! Tiers: which tier now? The rule sees the points that the event has just earned. Where staff has
//! placed the customer, rules are asked as always, and what they say does not count.

use crate::calendar;
use crate::change::{Decider, TierRow};
use crate::event::{Body, ImportedTier, Instant, StaffPlacement};
use crate::fold::{Held, Placed};
use crate::limits;
use crate::outcome::TierView;
use crate::rules::{Failure, Placement, Plugin, Role, TierAnswer, TierChange};
use crate::walk::{Step, Walk};

pub fn decide(walk: &mut Walk, step: &mut Step) {
    end_what_is_due(walk, step);
    let event = step.event.clone();
    if let Body::Placement(placement) = &event.body {
        place_by_staff(walk, step, &event.actor(), placement);
    }
    if let Body::Import(import) = &event.body
        && let Some(tier) = &import.tier
    {
        place_as_before(walk, step, &event.actor(), tier, &import.reason);
    }
    let mut placed: Option<usize> = None;
    for plugin in walk.wanted(step, Role::TierRule) {
        let call = walk.ask::<TierAnswer>(step, plugin);
        let plugins = walk.with.rules.plugins();
        let checked = call.result.and_then(|answer| {
            walk.check_after(step, plugin, &answer.after)?;
            Ok((check(&plugins[plugin], &answer, walk, step)?, answer))
        });
        match checked {
            Ok((_, answer)) if is_held(walk, answer.placement.as_ref()) => {
                walk.fold.tier_doubts.remove(&plugins[plugin].name);
                hold(walk, step, plugin, answer.placement.as_ref());
                walk.after(step, plugin, Role::TierRule, call.usage, Ok(answer.after));
            }
            Ok((keep_until, answer)) => {
                walk.fold.tier_doubts.remove(&plugins[plugin].name);
                match (answer.placement, placed) {
                    (Some(placement), None) => {
                        placed = Some(plugin);
                        walk.fold.placed = None;
                        let by = Decider::Plugin(plugin as u32);
                        place(walk, step, by, placement, keep_until);
                        walk.fold.next_tier = answer.next.clone();
                        step.so_far.next_tier = answer.next;
                    }
                    (Some(lost), Some(winner)) => {
                        let tier = lost.tier.as_deref().unwrap_or("no tier");
                        step.note(format!(
                            "{} wanted {tier} and lost to {}, which is declared first",
                            plugins[plugin].name, plugins[winner].name
                        ));
                    }
                    (None, None) if answer.next.is_some() => {
                        walk.fold.next_tier = answer.next.clone();
                        step.so_far.next_tier = answer.next;
                    }
                    (None, _) => {}
                }
                walk.after(step, plugin, Role::TierRule, call.usage, Ok(answer.after));
            }
            Err(failure) => {
                let (name, class) = (plugins[plugin].name.clone(), failure.class());
                walk.fold.tier_doubts.insert(name, class.into());
                walk.after(step, plugin, Role::TierRule, call.usage, Err(&failure));
            }
        }
    }
}

/// At its time, or at the word of staff, the tier is the rules' again: they are asked in this step.
fn end_what_is_due(walk: &mut Walk, step: &mut Step) {
    let now = step.event.at;
    let placed = walk.fold.placed.as_ref();
    if placed.is_some_and(|placed| placed.until.is_some_and(|until| until <= now)) {
        walk.fold.placed = None;
        step.note("the time for which staff held the tier is over");
    }
}

fn place_by_staff(walk: &mut Walk, step: &mut Step, actor: &str, given: &StaffPlacement) {
    walk.fold.placed = given.tier.as_ref().map(|_| Placed {
        until: given.until,
        actor: actor.to_owned(),
        reason: given.reason.clone(),
        may_rise: false,
    });
    let Some(tier) = &given.tier else {
        // What staff had said about its end is void; the rules say what is kept until when.
        if let Some(held) = &mut walk.fold.standing {
            held.keep_until = None;
            step.customer.tier = walk.standing();
        }
        return;
    };
    let placement = Placement {
        tier: Some(tier.clone()),
        reason: given.reason.clone(),
        keep_until: None,
    };
    let by = Decider::Staff(actor.to_owned());
    place(walk, step, by, placement, given.until);
    walk.fold.next_tier = None;
    step.so_far.next_tier = None;
}

/// A tier that came over is the one that was held elsewhere, since then. Rules here have not seen what it
/// was for, so they may raise it, and take it away when its time is over.
fn place_as_before(
    walk: &mut Walk,
    step: &mut Step,
    actor: &str,
    given: &ImportedTier,
    reason: &str,
) {
    let placement = Placement {
        tier: Some(given.tier.clone()),
        reason: reason.to_owned(),
        keep_until: None,
    };
    let by = Decider::Staff(actor.to_owned());
    place(walk, step, by, placement, given.keep_until);
    if let Some(row) = step.tier_rows.last_mut() {
        row.since = given.since;
    }
    if let Some(held) = &mut walk.fold.standing {
        held.since = given.since;
    }
    walk.fold.placed = Some(Placed {
        until: given.keep_until,
        actor: actor.to_owned(),
        reason: reason.to_owned(),
        may_rise: true,
    });
}

/// Whether what a rule wants does not count, because of somebody who placed the customer.
fn is_held(walk: &Walk, wanted: Option<&Placement>) -> bool {
    let Some(placed) = &walk.fold.placed else {
        return false;
    };
    let rank = |tier: &str| walk.with.shop.rank(tier);
    let wanted = wanted.and_then(|wanted| wanted.tier.as_deref());
    let held = walk.fold.standing.as_ref().map(|held| held.tier.as_str());
    let rises = wanted.and_then(rank) > held.and_then(rank);
    !(placed.may_rise && rises)
}

/// A rule that wants another tier than the one that staff gave is told that it lost.
fn hold(walk: &Walk, step: &mut Step, plugin: usize, wanted: Option<&Placement>) {
    let held = walk.fold.standing.as_ref().map(|held| held.tier.as_str());
    let Some(wanted) = wanted.filter(|wanted| wanted.tier.as_deref() != held) else {
        return;
    };
    let until = walk.fold.placed.as_ref().and_then(|placed| placed.until);
    step.note(format!(
        "{} wanted {}; staff holds {}{}",
        walk.with.rules.plugins()[plugin].name,
        wanted.tier.as_deref().unwrap_or("no tier"),
        held.unwrap_or("no tier"),
        until.map_or(String::new(), |until| format!(
            " until {}",
            calendar::text(until)
        )),
    ));
}

/// Until when the tier is kept, if nothing is wrong with the answer.
fn check(
    plugin: &Plugin,
    answer: &TierAnswer,
    walk: &Walk,
    step: &Step,
) -> Result<Option<Instant>, Failure> {
    let shop = walk.with.shop;
    let refuse = |problem: String| Err(Failure::Answer { problem });
    if let Some(next) = &answer.next
        && (next.missing <= 0 || shop.rank(&next.tier).is_none())
    {
        return refuse(format!(
            "next tier {:?} with {} missing",
            next.tier, next.missing
        ));
    }
    let Some(placement) = &answer.placement else {
        return Ok(None);
    };
    if placement.reason.is_empty() || placement.reason.len() > limits::REASON_BYTES_MAX {
        return refuse(format!(
            "a placement needs a reason of at most {} bytes",
            limits::REASON_BYTES_MAX
        ));
    }
    let keep_until = step.moment(walk, placement.keep_until)?;
    if keep_until.is_some_and(|until| until <= step.event.at) {
        return refuse("keep-until is not ahead".into());
    }
    let Some(tier) = &placement.tier else {
        return if keep_until.is_some() {
            refuse("keep-until without a tier".into())
        } else {
            Ok(None)
        };
    };
    if shop.rank(tier).is_none() {
        return refuse(format!("tier {tier:?} is not a tier of the shop"));
    }
    if !plugin.owns_tier(tier) {
        return refuse(format!(
            "tier {tier:?} is not in the manifest of {}",
            plugin.name
        ));
    }
    Ok(keep_until)
}

fn place(
    walk: &mut Walk,
    step: &mut Step,
    by: Decider,
    placement: Placement,
    keep_until: Option<Instant>,
) {
    let from = walk.fold.standing.as_ref().map(|held| held.tier.clone());
    let Placement {
        tier: to, reason, ..
    } = placement;
    let plugin = match &by {
        Decider::Plugin(index) => Some(walk.with.rules.plugins()[*index as usize].name.clone()),
        Decider::Staff(_) | Decider::Host => None,
    };
    if from == to {
        if let Some(held) = &mut walk.fold.standing {
            held.keep_until = keep_until;
            if plugin.is_none() {
                (held.plugin, held.reason) = (plugin, reason);
            }
        }
        return;
    }
    walk.fold.changes += 1;
    step.tier_rows.push(TierRow {
        number: walk.fold.changes,
        from: from.clone(),
        to: to.clone(),
        since: step.event.at,
        keep_until,
        by,
        reason: reason.clone(),
    });
    let shop = walk.with.shop;
    let rank = |tier: &Option<String>| tier.as_deref().and_then(|tier| shop.rank(tier));
    walk.fold.standing = to.clone().map(|tier| Held {
        tier,
        since: step.event.at,
        keep_until,
        plugin,
        reason: reason.clone(),
    });
    step.so_far.tier = Some(TierChange {
        upgrade: rank(&to) > rank(&from),
        from: from.clone(),
        to: to.clone(),
        reason: reason.clone(),
    });
    step.tier = Some(TierView { from, to, reason });
}
