//! A store in memory: the plainest thing that keeps the promises of the trait.

use stampcard_pipeline::admit::Admitted;
use stampcard_pipeline::change::{
    Change, CustomerId, Explanation, FollowUpRow, LotKey, LotRef, MembershipRow, Planned,
};
use stampcard_pipeline::event::{Event, EventName, Identifier, Instant, Points, Position};
use stampcard_pipeline::fold::{Fold, Moved, window_ms};
use stampcard_pipeline::identity::Whose;
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::rules::Plugin;
use stampcard_pipeline::store::{
    Ask, Case, Committed, CustomerCase, Durable, Hold, Known, Later, OpenLot, Opened, Recorded,
    Seen, SeenBy, Store, StoreError,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

#[derive(Default)]
pub struct MemoryStore {
    pub inner: RefCell<Inner>,
    /// The plugins of the only rule book.
    pub plugins: RefCell<Arc<Vec<Plugin>>>,
}

#[derive(Default)]
pub struct Inner {
    pub journal: Vec<(Arc<Event>, [u8; 32], Outcome)>,
    pub customers: BTreeMap<CustomerId, Customer>,
    identifiers: HashMap<Identifier, CustomerId>,
    /// All entries of the merchant: customer, lot (none for a debit), amount, balance after.
    pub entries: Vec<(CustomerId, Option<i64>, Points, Points)>,
    /// What debits took from each lot.
    pub taken: BTreeMap<i64, Points>,
    lots: i64,
}

#[derive(Default)]
pub struct Customer {
    revision: u64,
    pub head: Fold,
    checkpoints: Vec<Fold>,
    pub history: BTreeMap<Position, (i64, Moved)>,
    pub lots: BTreeMap<LotKey, (i64, Points)>,
    recorded: BTreeMap<Position, (Arc<Vec<Plugin>>, Explanation)>,
    pub memberships: Vec<MembershipThen>,
    pub follow_ups: Vec<FollowUpRow>,
    /// Who planned each follow-up, by its number.
    planners: BTreeMap<u32, String>,
}

/// Number, segment, since, and the number and instant of its end.
pub type MembershipThen = (u32, String, Instant, Option<(u32, Instant)>);

impl MemoryStore {
    pub fn next_due(&self, until: Instant) -> Option<(CustomerId, Instant)> {
        let inner = self.inner.borrow();
        let due = inner
            .customers
            .iter()
            .filter_map(|(id, customer)| Some((customer.head.next_due()?, id.clone())));
        due.min()
            .filter(|(at, _)| *at <= until)
            .map(|(at, id)| (id, at))
    }

    pub fn only_customer<T>(&self, look: impl FnOnce(&Customer) -> T) -> T {
        let inner = self.inner.borrow();
        assert_eq!(inner.customers.len(), 1, "there is exactly one customer");
        look(inner.customers.values().next().unwrap())
    }
}

impl Store for MemoryStore {
    fn open(&self, event: &Admitted, ask: &dyn Ask) -> Result<Opened, StoreError> {
        let inner = self.inner.borrow();
        let seen = |index: usize, by: SeenBy| {
            let (first, _, outcome) = &inner.journal[index];
            let name = EventName {
                source: first.source.clone(),
                id: first.id.clone(),
            };
            Ok(Opened::Seen(Box::new(Seen {
                first: name,
                by,
                outcome: outcome.clone(),
                event: first.clone(),
            })))
        };
        let same_name =
            |known: &Event| known.source == event.event.source && known.id == event.event.id;
        if let Some(index) = inner
            .journal
            .iter()
            .position(|(known, ..)| same_name(known))
        {
            let is_same = inner.journal[index].1 == event.sameness;
            return seen(
                index,
                if is_same {
                    SeenBy::Name
                } else {
                    SeenBy::NameWithOtherBody
                },
            );
        }
        if let Some(order) = event.event.sale().and_then(|sale| sale.order.as_ref())
            && let Some(index) = inner.journal.iter().position(|(known, ..)| {
                known.sale().and_then(|sale| sale.order.as_ref()) == Some(order)
            })
        {
            return seen(index, SeenBy::Order);
        }
        let known = Known {
            identifiers: event
                .personal
                .identifiers
                .iter()
                .map(|id| (id.clone(), inner.identifiers.get(id).cloned()))
                .collect(),
            named: event
                .named
                .clone()
                .filter(|id| inner.customers.contains_key(id)),
            shows_revoked_card: false,
        };
        let who = ask.identify(&known);
        let customer = match &who.customer {
            Whose::Nobody => None,
            Whose::New(id) => Some(new_case(id.clone())),
            Whose::Existing(id) => Some(inner.case(id, event, ask)),
        };
        Ok(Opened::New(Box::new(Case {
            customer,
            who,
            claimed: None,
            hold: Hold(Box::new(())),
        })))
    }

    fn commit(&self, _case: Case, change: Change) -> Result<Committed, StoreError> {
        let mut inner = self.inner.borrow_mut();
        let outcome = change.outcome.clone();
        let journal = inner.journal.len() as i64;
        if change.in_journal {
            inner
                .journal
                .push((change.event.clone(), change.sameness, outcome.clone()));
        }
        if let Some(customer) = change.customer {
            inner.apply(customer, journal, &change.event, &self.plugins.borrow());
        }
        Ok(Committed {
            outcome,
            durable: Box::new(Now),
        })
    }
}

struct Now;

impl Durable for Now {
    fn wait(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }

    fn then(self: Box<Self>, done: Box<dyn FnOnce(Result<(), StoreError>) + Send>) {
        done(Ok(()));
    }
}

fn new_case(id: CustomerId) -> CustomerCase {
    CustomerCase {
        id,
        is_new: true,
        revision: 0,
        balance: 0,
        clock: Instant(0),
        start: Fold::default(),
        leaving: Default::default(),
        later: Vec::new(),
        lots: Vec::new(),
        open_lots: Vec::new(),
        planned_by: Vec::new(),
        recorded: Vec::new(),
    }
}

impl Inner {
    fn case(&self, id: &CustomerId, event: &Admitted, ask: &dyn Ask) -> CustomerCase {
        let customer = &self.customers[id];
        let folds = std::iter::once(&customer.head).chain(customer.checkpoints.iter().rev());
        let start = folds
            .into_iter()
            .find(|fold| ask.can_start_at(fold))
            .cloned()
            .unwrap_or_default();
        let end = event.event.at.max(customer.head.clock);
        let leaving = std::array::from_fn(|window| {
            if start.leaves_at[window].is_none_or(|leaves| leaves > end) {
                return VecDeque::new();
            }
            let edge = start.clock.0 - window_ms(window);
            let moves = customer.history.iter().filter(|(position, (_, moved))| {
                **position <= start.last && moved.at.0 > edge && !moved.is_nothing()
            });
            moves.map(|(_, (_, moved))| *moved).collect()
        });
        let after = |position: &Position| *position > start.last;
        let is_head = start == customer.head;
        CustomerCase {
            id: id.clone(),
            is_new: false,
            revision: customer.revision,
            balance: self
                .entries
                .iter()
                .filter(|(owner, ..)| owner == id)
                .map(|(_, _, amount, _)| amount)
                .sum(),
            clock: customer.head.clock,
            leaving,
            later: customer
                .history
                .iter()
                .filter(|(position, _)| after(position))
                .map(|(_, (journal, _))| Later {
                    journal: *journal,
                    event: self.journal[*journal as usize].0.clone(),
                })
                .collect(),
            lots: if is_head {
                Vec::new()
            } else {
                customer
                    .lots
                    .iter()
                    .filter(|(key, _)| after(&key.origin))
                    .map(|(key, (lot, earned))| (*lot, key.clone(), *earned))
                    .collect()
            },
            open_lots: customer
                .lots
                .iter()
                .filter(|_| event.event.points_taken() > 0)
                .map(|(key, (lot, earned))| OpenLot {
                    id: *lot,
                    remaining: earned - self.taken.get(lot).copied().unwrap_or_default(),
                    earned_at: key.origin.at,
                    expires_at: key.expires_at,
                })
                .filter(|lot| lot.remaining > 0)
                .collect(),
            recorded: if is_head {
                Vec::new()
            } else {
                let steps = customer
                    .recorded
                    .iter()
                    .filter(|(position, _)| after(position));
                steps
                    .map(|(_, (plugins, explanation))| Recorded {
                        plugins: plugins.clone(),
                        explanation: explanation.clone(),
                    })
                    .collect()
            },
            planned_by: customer
                .follow_ups
                .iter()
                .filter(|row| {
                    event.event.rules_changed().is_some() && row.state == Planned::Planned
                })
                .map(|row| customer.planners[&row.number].clone())
                .collect(),
            start,
        }
    }

    fn apply(
        &mut self,
        change: stampcard_pipeline::change::CustomerChange,
        journal: i64,
        event: &Event,
        plugins: &Arc<Vec<Plugin>>,
    ) {
        for link in change.links {
            self.identifiers.insert(link, change.id.clone());
        }
        let customer = self.customers.entry(change.id.clone()).or_default();
        assert_eq!(
            customer.revision, change.revision,
            "nobody changed the customer in between"
        );
        customer.revision += 1;
        if change.start.is_refold {
            customer
                .memberships
                .retain(|(number, ..)| *number <= change.start.changes);
            for (.., left) in &mut customer.memberships {
                *left = left.filter(|(number, _)| *number <= change.start.changes);
            }
            customer
                .follow_ups
                .retain(|row| row.number <= change.start.changes);
            customer
                .history
                .retain(|position, _| *position <= change.start.last);
            customer
                .checkpoints
                .retain(|fold| fold.last <= change.start.last);
        }
        for row in change.history {
            customer
                .history
                .insert(row.position, (row.journal.unwrap_or(journal), row.moved));
        }
        for row in change.memberships {
            match row {
                MembershipRow::Entered {
                    number,
                    segment,
                    since,
                    ..
                } => customer.memberships.push((number, segment, since, None)),
                MembershipRow::Prolonged { .. } => {}
                MembershipRow::Left {
                    number,
                    segment,
                    at,
                    ..
                } => {
                    let open = customer
                        .memberships
                        .iter_mut()
                        .find(|(_, of, _, left)| *of == segment && left.is_none());
                    open.expect("only members leave").3 = Some((number, at));
                }
            }
        }
        for row in &mut customer.follow_ups {
            if row.state == Planned::Planned
                && row.send_at > event.at
                && row.cancelled_by.contains(&event.kind)
            {
                row.state = Planned::Cancelled;
            }
            if row.state == Planned::Planned
                && change.cancels.contains(&customer.planners[&row.number])
            {
                row.state = Planned::Cancelled;
            }
        }
        for row in change.follow_ups {
            let planner = plugins[row.plugin as usize].name.clone();
            customer.planners.insert(row.number, planner);
            customer.follow_ups.push(row);
        }
        for explanation in change.explanations {
            let known = (plugins.clone(), explanation.clone());
            customer.recorded.insert(explanation.position, known);
        }
        let new: Vec<i64> = change
            .lots
            .iter()
            .map(|lot| {
                self.lots += 1;
                customer.lots.insert(lot.key.clone(), (self.lots, 0));
                self.lots
            })
            .collect();
        let number = |lot: LotRef| match lot {
            LotRef::New(index) => new[index],
            LotRef::Existing(id) => id,
        };
        for entry in change.entries {
            let lot = entry.lot.map(number);
            if let Some(lot) = lot {
                let earned = customer
                    .lots
                    .values_mut()
                    .find(|(id, _)| *id == lot)
                    .expect("the lot is this customer's");
                earned.1 += entry.amount;
            }
            for (lot, points) in entry.allocations {
                *self.taken.entry(number(lot)).or_default() += points;
            }
            self.entries
                .push((change.id.clone(), lot, entry.amount, entry.balance_after));
        }
        customer.checkpoints.extend(change.checkpoints);
        customer.head = change.head;
    }
}
