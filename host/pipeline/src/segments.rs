//! Segments: where does this customer belong now?

use crate::change::MembershipRow;
use crate::event::Instant;
use crate::facts::set_tag;
use crate::fold::Member;
use crate::limits;
use crate::rules::{Failure, MembershipChange, Plugin, Role, SegmentAnswer, TagSetting};
use crate::shop::{PointsSee, SetBy, TagPolicy};
use crate::walk::{Step, Walk};

pub fn decide(walk: &mut Walk, step: &mut Step) {
    end_what_is_due(walk, step);
    for plugin in walk.wanted(step, Role::SegmentRule) {
        let call = walk.ask::<SegmentAnswer>(step, plugin);
        let info = &walk.with.rules.plugins()[plugin];
        let checked = call.result.and_then(|answer| {
            walk.check_after(step, plugin, &answer.after)?;
            Ok((check(info, &answer, walk, step)?, answer))
        });
        match checked {
            Ok((ends, answer)) => {
                for (change, until) in answer.memberships.into_iter().zip(ends) {
                    apply(walk, step, plugin, change, until);
                }
                for setting in &answer.tags {
                    set(walk, step, plugin, setting);
                }
                walk.after(
                    step,
                    plugin,
                    Role::SegmentRule,
                    call.usage,
                    Ok(answer.after),
                );
            }
            Err(failure) => walk.after(step, plugin, Role::SegmentRule, call.usage, Err(&failure)),
        }
        // A later segment rule may build on what this one decided.
        step.customer.segments = walk.memberships();
        step.customer.tags = walk.fold.tags.iter().cloned().collect();
    }
    if walk.with.shop.file.policies.points_see_segments == PointsSee::Before {
        before(walk, step);
    }
}

/// Gives the next steps the memberships from before this event.
fn before(walk: &Walk, step: &mut Step) {
    step.customer
        .segments
        .retain(|membership| !step.so_far.segments_entered.contains(&membership.segment));
    for row in &step.membership_rows {
        if let MembershipRow::Left { segment, .. } = row
            && !walk.fold.memberships.contains_key(segment)
            && let Some(since) = step.left_since.get(segment)
        {
            step.customer.segments.push(crate::rules::Membership {
                segment: segment.clone(),
                since: *since,
                until: None,
            });
        }
    }
    step.customer
        .segments
        .sort_by(|one, other| one.segment.cmp(&other.segment));
    step.customer
        .tags
        .retain(|tag| !step.so_far.tags_set.contains(tag));
    step.customer
        .tags
        .extend(step.so_far.tags_cleared.iter().cloned());
    step.customer.tags.sort();
}

/// The host ends a membership at its `until` by itself.
fn end_what_is_due(walk: &mut Walk, step: &mut Step) {
    let now = step.event.at;
    let due: Vec<String> = walk
        .fold
        .memberships
        .iter()
        .filter(|(_, member)| member.until.is_some_and(|until| until <= now))
        .map(|(segment, _)| segment.clone())
        .collect();
    for segment in due {
        leave(walk, step, None, segment, "its time is over".into());
    }
    if step.event.rules_changed().is_some() {
        end_what_nobody_decides(walk, step);
    }
    step.customer.segments = walk.memberships();
}

/// Ends what no rule that is live decides any more.
fn end_what_nobody_decides(walk: &mut Walk, step: &mut Step) {
    let plugins = walk.with.rules.plugins();
    let members = walk.fold.memberships.iter();
    let orphans: Vec<(String, String)> = members
        .filter(|(segment, _)| !plugins.iter().any(|plugin| plugin.owns_segment(segment)))
        .map(|(segment, member)| (segment.clone(), member.plugin.clone()))
        .collect();
    for (segment, plugin) in orphans {
        let reason = format!("{plugin} decides it no more");
        leave(walk, step, None, segment, reason);
    }
}

/// When each membership ends, if nothing is wrong with the answer.
fn check(
    plugin: &Plugin,
    answer: &SegmentAnswer,
    walk: &Walk,
    step: &Step,
) -> Result<Vec<Option<Instant>>, Failure> {
    let refuse = |problem: String| Err(Failure::Answer { problem });
    let mut ends = Vec::with_capacity(answer.memberships.len());
    for change in &answer.memberships {
        if !plugin.owns_segment(&change.segment) {
            return refuse(format!(
                "segment {:?} is not in the manifest of {}",
                change.segment, plugin.name
            ));
        }
        if change.reason.len() > limits::REASON_BYTES_MAX {
            return refuse(format!(
                "a reason of more than {} bytes",
                limits::REASON_BYTES_MAX
            ));
        }
        let until = step.moment(walk, change.until)?;
        match until {
            Some(_) if !change.member => {
                return refuse(format!(
                    "segment {:?}: until without membership",
                    change.segment
                ));
            }
            Some(until) if until <= step.event.at => {
                return refuse(format!("segment {:?}: until is not ahead", change.segment));
            }
            _ => ends.push(until),
        }
    }
    match answer
        .tags
        .iter()
        .find(|setting| !plugin.owns_tag(&setting.tag))
    {
        Some(setting) => refuse(format!(
            "tag {:?} is not registered in the manifest of {}",
            setting.tag, plugin.name
        )),
        None => Ok(ends),
    }
}

/// A rule sets only tags that the registry gives to rules; one that repeats where something happened
/// is set, and somebody is told that it need not be.
fn set(walk: &mut Walk, step: &mut Step, plugin: usize, setting: &TagSetting) {
    let (shop, tag) = (walk.with.shop, &setting.tag);
    let name = &walk.with.rules.plugins()[plugin].name;
    let is_open = match shop.tags.find(tag) {
        Some(rule) => rule.may_be_set_by(SetBy::Rules),
        None => shop.file.policies.tags == TagPolicy::Open,
    };
    if !is_open {
        step.note(format!(
            "{name}: tag {tag:?} was left alone; set_by under [[tags]] of merchant.toml does not give it to rules"
        ));
        return;
    }
    if let Some(location) = shop.location_named(tag).filter(|_| setting.set) {
        step.note(format!(
            "{name}: tag {tag:?} only repeats the location {location:?}, which every event says"
        ));
    }
    set_tag(walk, step, tag, setting.set, None);
}

fn apply(
    walk: &mut Walk,
    step: &mut Step,
    plugin: usize,
    change: MembershipChange,
    until: Option<Instant>,
) {
    let now = step.event.at;
    let is_member = walk.fold.memberships.contains_key(&change.segment);
    match (is_member, change.member) {
        (false, true) => {
            walk.fold.changes += 1;
            step.membership_rows.push(MembershipRow::Entered {
                number: walk.fold.changes,
                segment: change.segment.clone(),
                since: now,
                until,
                plugin: plugin as u32,
                reason: change.reason.clone(),
            });
            let name = walk.with.rules.plugins()[plugin].name.clone();
            let member = Member {
                since: now,
                until,
                plugin: name,
                reason: change.reason,
            };
            walk.fold.memberships.insert(change.segment.clone(), member);
            // Left and entered again within one event is no change that anybody should hear of.
            if !forget(&mut step.so_far.segments_left, &change.segment) {
                step.so_far.segments_entered.push(change.segment);
            }
        }
        (true, true) => {
            let member = walk
                .fold
                .memberships
                .get_mut(&change.segment)
                .expect("just looked at");
            if member.until != until {
                member.until = until;
                step.membership_rows.push(MembershipRow::Prolonged {
                    segment: change.segment,
                    until,
                });
            }
        }
        (true, false) => leave(
            walk,
            step,
            Some(plugin as u32),
            change.segment,
            change.reason,
        ),
        (false, false) => {}
    }
}

pub(crate) fn leave(
    walk: &mut Walk,
    step: &mut Step,
    plugin: Option<u32>,
    segment: String,
    reason: String,
) {
    let member = walk
        .fold
        .memberships
        .remove(&segment)
        .expect("only members leave");
    walk.fold.changes += 1;
    let number = walk.fold.changes;
    step.membership_rows.push(MembershipRow::Left {
        number,
        segment: segment.clone(),
        at: step.event.at,
        plugin,
        reason,
    });
    step.left_since.insert(segment.clone(), member.since);
    if !forget(&mut step.so_far.segments_entered, &segment) {
        step.so_far.segments_left.push(segment);
    }
}

fn forget(list: &mut Vec<String>, segment: &str) -> bool {
    let length = list.len();
    list.retain(|known| known != segment);
    list.len() < length
}
