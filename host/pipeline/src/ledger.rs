//! The ledger: what the steps of a walk come to, held against what was booked for them before.
//!
//! What is new becomes an entry; what differs becomes a correction, so that the ledger says what
//! happened and nothing in it ever changes.

use crate::admit::HOST_SOURCE;
use crate::change::{
    Allocation, Decider, EntryKind, LotKey, LotKind, LotRef, NewEntry, NewLot, Reapportioned,
    TakingKind, TakingRef, TakingRow,
};
use crate::currency::{ByCurrency, Currency};
use crate::event::{Body, Event, Instant, Merge, Points, Position, WhyMerged};
use crate::outcome::{EntryState, EntryView};
use crate::points::Award;
use crate::purse::{LotId, TakingId, TakingKey};
use crate::rules::Plugin;
use crate::shop::Late;
use crate::store::{BookedLot, BookedTaking};
use crate::walk::StepOrigin;
use std::collections::{BTreeMap, btree_map};

/// Points that a step takes.
#[derive(Clone, Debug)]
pub struct Taking {
    pub key: TakingKey,
    /// What leaves the balance; 0 where all of it is left as a debt.
    pub points: Points,
    /// What should have been taken and was not there: the next points pay for it.
    pub debt: Points,
    pub reason: String,
    pub by: Decider,
}

/// Points of a lot that pay for a taking, at some step.
#[derive(Clone, Debug)]
pub struct Draw {
    pub currency: Currency,
    pub taking: TakingId,
    pub lot: LotId,
    pub step: Position,
    pub points: Points,
}

/// What the steps of a walk did to points.
#[derive(Default)]
pub struct Moves {
    pub awards: Vec<(StepOrigin, Award)>,
    pub takings: Vec<(StepOrigin, Taking)>,
    pub draws: Vec<Draw>,
}

/// What the ledger writes.
pub struct Booked {
    pub lots: Vec<NewLot>,
    pub reapportioned: Vec<Reapportioned>,
    pub takings: Vec<TakingRow>,
    pub allocations: Vec<Allocation>,
    /// Those of points first.
    pub entries: Vec<NewEntry>,
    pub balance: ByCurrency<i64>,
    /// Points that a late event would have changed, where the policy only reports.
    pub reported: Option<Points>,
}

/// What the ledger has of the steps of a walk that is not the first.
#[derive(Default)]
pub struct Before {
    pub lots: Vec<BookedLot>,
    pub takings: Vec<BookedTaking>,
    pub balance: ByCurrency<i64>,
    /// What comes from the other customer of an event about two, or goes there.
    pub transfers: Vec<Transfer>,
}

/// What becomes another customer's, with the lots that hold it.
#[derive(Clone)]
pub struct Transfer {
    currency: Currency,
    amount: i64,
    reason: String,
    by: Decider,
    at: Instant,
}

impl Transfer {
    /// One for each currency of which there is something to move.
    pub fn of(event: &Event, amounts: ByCurrency<i64>) -> Vec<Transfer> {
        let (reason, by) = match &event.body {
            Body::Merge(Merge {
                why: WhyMerged::Staff { reason, .. },
                ..
            }) => (reason.clone(), Decider::Staff(event.actor())),
            Body::Merge(Merge {
                why: WhyMerged::Shared(kind),
                ..
            }) => (format!("the same {}", kind.name()), Decider::Host),
            Body::Unmerge(unmerge) => (unmerge.reason.clone(), Decider::Staff(event.actor())),
            _ => return Vec::new(),
        };
        let transfer = |currency| Transfer {
            currency,
            amount: amounts[currency],
            reason: reason.clone(),
            by: by.clone(),
            at: event.at,
        };
        let moved = Currency::ALL.into_iter().filter(|it| amounts[*it] != 0);
        moved.map(transfer).collect()
    }
}

pub fn book(moves: Moves, before: Before, plugins: &[Plugin], late: Late) -> Booked {
    let mut book = Book {
        late,
        numbers: BTreeMap::new(),
        booked: Booked {
            lots: Vec::new(),
            reapportioned: Vec::new(),
            takings: Vec::new(),
            allocations: Vec::new(),
            entries: Vec::new(),
            balance: before.balance,
            reported: None,
        },
    };
    for transfer in before.transfers {
        book.transfer(transfer);
    }
    book.awards(moves.awards, before.lots, plugins);
    let taken = book.takings(moves.takings, before.takings);
    book.allocations(moves.draws, &taken);
    book.booked.entries.sort_by_key(|entry| entry.currency);
    book.booked
}

struct Book {
    late: Late,
    /// The lots of the walk's steps.
    numbers: BTreeMap<LotKey, LotRef>,
    booked: Booked,
}

impl Book {
    fn transfer(&mut self, transfer: Transfer) {
        let entry = Entry {
            lot: None,
            taking: None,
            currency: transfer.currency,
            kind: EntryKind::Transfer,
            amount: transfer.amount,
            reason: transfer.reason,
            by: transfer.by,
            at: transfer.at,
        };
        self.enter(entry, None);
    }

    fn awards(
        &mut self,
        awards: Vec<(StepOrigin, Award)>,
        old: Vec<BookedLot>,
        plugins: &[Plugin],
    ) {
        // Two profiles that are one person may each have had the same at the same instant, for the same
        // birthday for example. One of them stays.
        let (mut old, doubles) = by_place(old, |lot| lot.key.clone());
        for (key, lot) in &old {
            self.numbers.insert(key.clone(), LotRef::Existing(lot.id));
        }
        for (origin, award) in awards {
            let known = old.remove(&award.key);
            let amount = award.amount - known.as_ref().map_or(0, |lot| lot.earned);
            let shares_moved = known.as_ref().is_some_and(|lot| lot.shares != award.shares);
            if amount == 0 && !shares_moved {
                continue;
            }
            let kind = match award.key.kind {
                _ if origin.was_decided => EntryKind::Correction,
                LotKind::Base => EntryKind::Base,
                LotKind::Bonus => EntryKind::Bonus,
                LotKind::Adjustment => EntryKind::Adjustment,
                LotKind::GivenBack => EntryKind::GivenBack,
                LotKind::Refund => EntryKind::Refund,
            };
            if kind == EntryKind::Correction
                && amount != 0
                && !self.may_correct(award.key.currency, amount)
            {
                continue;
            }
            let lot = match known {
                Some(lot) => {
                    self.booked.reapportioned.push(Reapportioned {
                        lot: lot.id,
                        shares: award.shares,
                    });
                    LotRef::Existing(lot.id)
                }
                None => {
                    self.booked.lots.push(NewLot {
                        key: award.key.clone(),
                        journal: origin.journal,
                        by: award.by.clone(),
                        shares: award.shares,
                    });
                    let lot = LotRef::New(self.booked.lots.len() - 1);
                    self.numbers.insert(award.key.clone(), lot);
                    lot
                }
            };
            if amount != 0 {
                let entry = Entry {
                    lot: Some(lot),
                    taking: None,
                    currency: award.key.currency,
                    kind,
                    amount,
                    reason: award.key.reason,
                    by: award.by,
                    at: award.key.origin.at,
                };
                self.enter(entry, Some(&origin));
            }
        }
        // What was earned before and is not earned any more. Of a plugin that is live no more nobody
        // can say that, so it stays.
        for lot in old.into_values().chain(doubles) {
            let key = lot.key;
            let plugin = plugins.iter().position(|it| it.name == key.plugin);
            let by = match (plugin, key.kind) {
                (Some(plugin), _) => Decider::Plugin(plugin as u32),
                (None, LotKind::GivenBack | LotKind::Refund) => Decider::Host,
                (None, _) => continue,
            };
            if lot.earned != 0 && self.may_correct(key.currency, -lot.earned) {
                // A return that comes later finds nothing of it to take.
                self.booked.reapportioned.push(Reapportioned {
                    lot: lot.id,
                    shares: Vec::new(),
                });
                let entry = Entry {
                    lot: Some(LotRef::Existing(lot.id)),
                    taking: None,
                    currency: key.currency,
                    kind: EntryKind::Correction,
                    amount: -lot.earned,
                    reason: key.reason,
                    by,
                    at: key.origin.at,
                };
                self.enter(entry, None);
            }
        }
    }

    /// Says under which reference each taking of the walk is kept.
    fn takings(
        &mut self,
        takings: Vec<(StepOrigin, Taking)>,
        old: Vec<BookedTaking>,
    ) -> BTreeMap<TakingKey, TakingRef> {
        let place = |step: &Position, what, lot: Option<LotRef>, of: Option<&String>| {
            let (currency, kind): (Currency, TakingKind) = what;
            (step.clone(), currency, kind, lot.map(number), of.cloned())
        };
        let (mut old, doubles) = by_place(old, |taking| {
            let lot = taking.lot.map(LotRef::Existing);
            let what = (taking.currency, taking.kind);
            place(&taking.step, what, lot, taking.redemption.as_ref())
        });
        let mut kept = BTreeMap::new();
        for (origin, taking) in takings {
            let lot = taking.key.lot.as_ref().and_then(|lot| self.number(lot));
            let redemption = taking.key.redemption.clone();
            let known = old.remove(&place(
                &taking.key.step,
                (taking.key.currency, taking.key.kind),
                lot,
                redemption.as_ref(),
            ));
            let mut points = taking.points;
            let amount = known.as_ref().map_or(0, |known| known.points) - points;
            let kind = match origin.was_decided {
                true => EntryKind::Correction,
                false => taking.key.kind.entry(),
            };
            // What somebody was given for their points is a fact, whatever the shop does about what
            // comes late.
            let is_fact = taking.key.kind == TakingKind::Redeem;
            let may = amount == 0
                || kind != EntryKind::Correction
                || is_fact
                || self.may_correct(taking.key.currency, amount);
            if !may {
                points = known.as_ref().map_or(0, |known| known.points);
            }
            let taking_ref = TakingRef::New(self.booked.takings.len());
            kept.insert(taking.key.clone(), taking_ref);
            self.booked.takings.push(TakingRow {
                known: known.map(|known| known.id),
                step: taking.key.step.clone(),
                currency: taking.key.currency,
                kind: taking.key.kind,
                lot,
                redemption,
                points,
                debt: taking.debt,
                reason: taking.reason.clone(),
                journal: origin.journal,
            });
            if amount != 0 && may {
                let entry = Entry {
                    lot,
                    taking: Some(taking_ref),
                    currency: taking.key.currency,
                    kind,
                    amount,
                    reason: taking.reason,
                    by: taking.by,
                    at: taking.key.step.at,
                };
                self.enter(entry, Some(&origin));
            }
        }
        // What was taken before and is not taken any more.
        for known in old.into_values().chain(doubles) {
            let gives_back = known.points != 0 && self.may_correct(known.currency, known.points);
            let taking_ref = TakingRef::New(self.booked.takings.len());
            self.booked.takings.push(TakingRow {
                known: Some(known.id),
                step: known.step.clone(),
                currency: known.currency,
                kind: known.kind,
                lot: known.lot.map(LotRef::Existing),
                redemption: known.redemption.clone(),
                points: if gives_back { 0 } else { known.points },
                debt: 0,
                reason: known.reason.clone(),
                journal: Some(known.journal),
            });
            if gives_back {
                let entry = Entry {
                    lot: known.lot.map(LotRef::Existing),
                    taking: Some(taking_ref),
                    currency: known.currency,
                    kind: EntryKind::Correction,
                    amount: known.points,
                    reason: known.reason,
                    by: Decider::Host,
                    at: known.step.at,
                };
                self.enter(entry, None);
            }
        }
        kept
    }

    fn allocations(&mut self, draws: Vec<Draw>, taken: &BTreeMap<TakingKey, TakingRef>) {
        for draw in draws {
            let taking = match &draw.taking {
                TakingId::Known(id) => Some(TakingRef::Existing(*id)),
                TakingId::Step(key) => taken.get(key.as_ref()).copied(),
            };
            let (Some(taking), Some(lot)) = (taking, self.number(&draw.lot)) else {
                continue;
            };
            self.booked.allocations.push(Allocation {
                currency: draw.currency,
                taking,
                lot,
                step: draw.step,
                points: draw.points,
            });
        }
    }

    fn number(&self, lot: &LotId) -> Option<LotRef> {
        match lot {
            LotId::Known(id) => Some(LotRef::Existing(*id)),
            LotId::Step(key) => self.numbers.get(key).copied(),
        }
    }

    /// No rule decides what becomes of money, so that is always set right.
    fn may_correct(&mut self, currency: Currency, amount: i64) -> bool {
        let may = currency == Currency::StoreCredit || self.policy_allows(amount);
        if !may {
            *self.booked.reported.get_or_insert(0) += amount;
        }
        may
    }

    fn policy_allows(&self, amount: Points) -> bool {
        match self.late {
            Late::Correct => true,
            Late::InFavour => amount > 0,
            Late::Report => false,
        }
    }

    fn enter(&mut self, entry: Entry, origin: Option<&StepOrigin>) {
        let balance = &mut self.booked.balance[entry.currency];
        *balance += entry.amount;
        let balance_after = *balance;
        let event: Option<&Event> = origin.map(|origin| &*origin.event);
        self.booked.entries.push(NewEntry {
            lot: entry.lot,
            taking: entry.taking,
            currency: entry.currency,
            kind: entry.kind,
            amount: entry.amount,
            balance_after,
            reason: entry.reason,
            by: entry.by,
            occurred_at: entry.at,
            journal: origin.and_then(|origin| origin.journal),
            channel: event.and_then(|event| event.channel),
            location: event.and_then(|event| event.location.clone()),
            device: event.and_then(|event| event.device.clone()),
        });
    }
}

struct Entry {
    lot: Option<LotRef>,
    taking: Option<TakingRef>,
    currency: Currency,
    kind: EntryKind,
    amount: Points,
    reason: String,
    by: Decider,
    at: Instant,
}

/// What was booked by its place, the first of each; and what else was booked for the same place.
fn by_place<T, K: Ord>(all: Vec<T>, place: impl Fn(&T) -> K) -> (BTreeMap<K, T>, Vec<T>) {
    let mut first = BTreeMap::new();
    let mut doubles = Vec::new();
    for one in all {
        match first.entry(place(&one)) {
            btree_map::Entry::Vacant(free) => {
                free.insert(one);
            }
            btree_map::Entry::Occupied(_) => doubles.push(one),
        }
    }
    (first, doubles)
}

/// To compare references by.
fn number(lot: LotRef) -> (bool, i64) {
    match lot {
        LotRef::Existing(id) => (false, id),
        LotRef::New(index) => (true, index as i64),
    }
}

/// The entries of a currency as the answer shows them; the store fills in their numbers.
pub fn views(
    booked: &Booked,
    currency: Currency,
    plugins: &[Plugin],
    state_of: impl Fn(&LotKey) -> EntryState,
) -> Vec<EntryView> {
    let view = |entry: &NewEntry| {
        let (plugin, actor) = match &entry.by {
            Decider::Plugin(index) => (plugins.get(*index as usize), None),
            Decider::Staff(actor) => (None, Some(actor.clone())),
            Decider::Host => (None, Some(HOST_SOURCE.to_owned())),
        };
        EntryView {
            entry: 0,
            amount: entry.amount,
            kind: entry.kind,
            state: match (entry.taking, entry.lot) {
                (None, Some(LotRef::New(index))) => state_of(&booked.lots[index].key),
                _ => EntryState::Final,
            },
            balance_after: entry.balance_after,
            reason: entry.reason.clone(),
            plugin: plugin.map(|plugin| plugin.name.clone()),
            actor,
        }
    };
    let entries = booked.entries.iter();
    entries
        .filter(|it| it.currency == currency)
        .map(view)
        .collect()
}
