//! How plugins stand to each other: one owner for each key, tiers that the shop has, and an order
//! in which each decides behind those that it builds on. Whoever does not fit must give way.

use crate::plugin::{LoadError, Plugin};
use crate::rule_book::Loaded;
use stampcard_pipeline::rules::MessagesTo;
use stampcard_pipeline::shop::Shop;
use std::collections::HashMap;
use std::sync::Arc;

/// A place in the declared order.
pub(crate) struct Seat {
    /// Who has it now.
    pub taken: Option<Arc<Loaded>>,
    /// Who had it in the rule book before.
    pub live: Option<Arc<Loaded>>,
}

impl Seat {
    fn plugin(&self) -> Option<&Plugin> {
        self.taken.as_ref().map(|loaded| &loaded.plugin)
    }

    fn is_new(&self) -> bool {
        match (&self.taken, &self.live) {
            (Some(taken), Some(live)) => !Arc::ptr_eq(taken, live),
            (taken, _) => taken.is_some(),
        }
    }

    /// Leaves the seat to the version from before, or empty, and says whose it was.
    pub fn give_way(&mut self) -> String {
        let next = if self.is_new() {
            self.live.clone()
        } else {
            None
        };
        let left = std::mem::replace(&mut self.taken, next).expect("only who sits can give way");
        left.plugin.about.name.clone()
    }
}

/// The seat that must give way, and why.
pub(crate) type Misfit = (usize, LoadError);

/// The order in which the plugins run: as declared, but each behind those that it names in
/// `after`.
pub(crate) fn order(seats: &[Seat], shop: &Shop) -> Result<Vec<usize>, Misfit> {
    check_tiers(seats, shop)?;
    check_owners(seats)?;
    check_after(seats)?;
    check_targets(seats)?;
    let mut waiting: Vec<usize> = taken(seats).map(|(seat, _)| seat).collect();
    let mut order = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let name = |seat: &usize| {
            seats[*seat]
                .plugin()
                .map(|plugin| plugin.about.name.as_str())
        };
        let ready = waiting.iter().position(|seat| {
            let after = seats[*seat]
                .plugin()
                .map(|plugin| plugin.after.as_slice())
                .unwrap_or_default();
            !waiting.iter().any(|other| {
                after
                    .iter()
                    .any(|after| Some(after.as_str()) == name(other))
            })
        });
        match ready {
            Some(ready) => order.push(waiting.remove(ready)),
            None => return Err(cycle(seats, &waiting)),
        }
    }
    Ok(order)
}

fn taken(seats: &[Seat]) -> impl Iterator<Item = (usize, &Plugin)> {
    seats
        .iter()
        .enumerate()
        .filter_map(|(seat, it)| Some((seat, it.plugin()?)))
}

fn check_tiers(seats: &[Seat], shop: &Shop) -> Result<(), Misfit> {
    for (seat, plugin) in taken(seats) {
        if let Some((tier, _)) = plugin
            .about
            .tiers
            .iter()
            .find(|(tier, _)| shop.rank(tier).is_none())
        {
            let name = plugin.about.name.clone();
            return Err((
                seat,
                LoadError::NoTier {
                    name,
                    tier: tier.clone(),
                    known: shop.file.tiers.clone(),
                },
            ));
        }
    }
    Ok(())
}

fn check_owners(seats: &[Seat]) -> Result<(), Misfit> {
    let mut owners: HashMap<(&'static str, &str), usize> = HashMap::new();
    for (seat, plugin) in taken(seats) {
        let about = &plugin.about;
        let kinds = [
            ("segment", &about.segments),
            ("tier", &about.tiers),
            ("tag", &about.tags),
        ];
        for (kind, owned) in kinds {
            for (key, _) in owned {
                let Some(first) = owners.insert((kind, key), seat) else {
                    continue;
                };
                // Who changed gives way to who did not; otherwise the later to the earlier.
                let (misfit, owner) = if seats[first].is_new() && !seats[seat].is_new() {
                    (first, seat)
                } else {
                    (seat, first)
                };
                let name = |seat: usize| {
                    seats[seat]
                        .plugin()
                        .map_or(String::new(), |it| it.about.name.clone())
                };
                let (name, owner) = (name(misfit), name(owner));
                return Err((
                    misfit,
                    LoadError::Owned {
                        name,
                        kind,
                        key: key.clone(),
                        owner,
                    },
                ));
            }
        }
    }
    Ok(())
}

fn check_after(seats: &[Seat]) -> Result<(), Misfit> {
    let there = |name: &str| taken(seats).any(|(_, plugin)| plugin.about.name == name);
    for (seat, plugin) in taken(seats) {
        if let Some(after) = plugin.after.iter().find(|after| !there(after)) {
            return Err((
                seat,
                LoadError::AfterNobody {
                    name: plugin.about.name.clone(),
                    after: after.clone(),
                },
            ));
        }
    }
    Ok(())
}

/// A segment that nobody decides has no members: what is for them would never be sent.
fn check_targets(seats: &[Seat]) -> Result<(), Misfit> {
    let known = || {
        let owned = taken(seats).flat_map(|(_, plugin)| &plugin.about.segments);
        owned.map(|(segment, _)| segment)
    };
    for (seat, plugin) in taken(seats) {
        let Some(MessagesTo::Segments(targets)) = &plugin.about.messages_to else {
            continue;
        };
        let nobodys = |target: &&String| !known().any(|segment| segment == *target);
        if let Some(segment) = targets.iter().find(nobodys) {
            return Err((
                seat,
                LoadError::NoSegment {
                    name: plugin.about.name.clone(),
                    segment: segment.clone(),
                    known: known().cloned().collect(),
                },
            ));
        }
    }
    Ok(())
}

/// Every plugin in `waiting` waits for another one in it. Following whom leads round.
fn cycle(seats: &[Seat], waiting: &[usize]) -> Misfit {
    let name = |seat: usize| {
        seats[seat]
            .plugin()
            .map_or("", |plugin| plugin.about.name.as_str())
    };
    let mut path = vec![waiting[0]];
    let round = loop {
        let last = path[path.len() - 1];
        let after = seats[last]
            .plugin()
            .map(|plugin| plugin.after.as_slice())
            .unwrap_or_default();
        let next = waiting
            .iter()
            .copied()
            .find(|seat| after.iter().any(|after| after == name(*seat)));
        let next = next.expect("whoever waits names one that waits");
        if let Some(begin) = path.iter().position(|seat| *seat == next) {
            break path.split_off(begin);
        }
        path.push(next);
    };
    let misfit = round
        .iter()
        .copied()
        .find(|seat| seats[*seat].is_new())
        .unwrap_or(round[0]);
    let round = round
        .iter()
        .chain(&round[..1])
        .map(|seat| name(*seat).to_owned())
        .collect();
    (
        misfit,
        LoadError::Cycle {
            name: name(misfit).into(),
            round,
        },
    )
}
