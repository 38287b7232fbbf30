//! Tiers: which tier now? The rule sees the points that the event has just earned.

use crate::change::TierRow;
use crate::event::Instant;
use crate::fold::Held;
use crate::limits;
use crate::outcome::TierView;
use crate::rules::{Failure, Placement, Plugin, Role, TierAnswer, TierChange};
use crate::walk::{Step, Walk};

pub fn decide(walk: &mut Walk, step: &mut Step) {
    let mut placed: Option<usize> = None;
    for plugin in walk.wanted(step, Role::TierRule) {
        let call = walk.ask::<TierAnswer>(step, plugin);
        let plugins = walk.with.rules.plugins();
        let checked = call.result.and_then(|answer| {
            walk.check_after(step, plugin, &answer.after)?;
            Ok((check(&plugins[plugin], &answer, walk, step)?, answer))
        });
        match checked {
            Ok((keep_until, answer)) => {
                match (answer.placement, placed) {
                    (Some(placement), None) => {
                        placed = Some(plugin);
                        place(walk, step, plugin, placement, keep_until);
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
            Err(failure) => walk.after(step, plugin, Role::TierRule, call.usage, Err(&failure)),
        }
    }
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
    plugin: usize,
    placement: Placement,
    keep_until: Option<Instant>,
) {
    let from = walk.fold.standing.as_ref().map(|held| held.tier.clone());
    let Placement {
        tier: to, reason, ..
    } = placement;
    if from == to {
        if let Some(held) = &mut walk.fold.standing {
            held.keep_until = keep_until;
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
        plugin: plugin as u32,
        reason: reason.clone(),
    });
    let shop = walk.with.shop;
    let rank = |tier: &Option<String>| tier.as_deref().and_then(|tier| shop.rank(tier));
    walk.fold.standing = to.clone().map(|tier| Held {
        tier,
        since: step.event.at,
        keep_until,
        plugin: walk.with.rules.plugins()[plugin].name.clone(),
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
