//! A store in memory: the plainest thing that keeps the promises of the trait.

use stampcard_pipeline::admit::Admitted;
use stampcard_pipeline::change::{
    Allocation, Change, CustomerId, Explanation, FollowUpRow, KeptRow, LotKey, LotRef,
    MembershipRow, Planned, RedemptionRow, ReferrerAward, ReviewItem, TakingKind, TakingRef,
};
use stampcard_pipeline::currency::{ByCurrency, Currency};
use stampcard_pipeline::event::{
    Body, Event, EventName, Identifier, Instant, Points, Position, RedemptionName, SaleName,
};
use stampcard_pipeline::fold::{Fold, Moved, window_ms};
use stampcard_pipeline::identity::{Who, Whose};
use stampcard_pipeline::limited::Giver;
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::referral::{ReferrerKnown, Referring};
use stampcard_pipeline::rules::Plugin;
use stampcard_pipeline::store::{
    Ask, BookedLot, BookedTaking, Case, Committed, CustomerCase, Durable, Hold, Known, Later,
    OpenLot, Opened, PurseRows, Recorded, Redeemed, RedemptionKnown, SaleKnown, Seen, SeenBy,
    SoldLot, SoldRows, Store, StoreError, Together, end_of_walk, moves_lots,
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
    /// All entries of the merchant.
    pub entries: Vec<Entered>,
    pub review_items: Vec<ReviewItem>,
    /// Redemptions as they stand, and whose they are.
    pub redemptions: BTreeMap<String, (CustomerId, RedemptionRow)>,
    /// Events of the journal that wait for their sale.
    waiting: Vec<i64>,
    given: BTreeMap<Giver, Points>,
    /// Codes with which customers refer others, whose they are, and whether they still work.
    pub codes: BTreeMap<String, (CustomerId, bool)>,
    lots: i64,
    takings: i64,
}

/// An entry of the ledger.
pub struct Entered {
    pub customer: CustomerId,
    pub currency: Currency,
    /// `None` for a debit.
    pub lot: Option<i64>,
    pub amount: Points,
    pub balance_after: Points,
}

/// Points that a step took.
#[derive(Clone, Debug)]
pub struct Taken {
    pub step: Position,
    pub currency: Currency,
    pub kind: TakingKind,
    pub lot: Option<i64>,
    redemption: Option<String>,
    pub points: Points,
    pub debt: Points,
    reason: String,
    journal: i64,
}

/// Points of a lot that paid for a taking, at some step.
#[derive(Clone, Debug)]
pub struct Paid {
    pub taking: i64,
    pub lot: i64,
    pub step: Position,
    pub points: Points,
}

#[derive(Default)]
pub struct Customer {
    revision: u64,
    pub head: Fold,
    /// How far the timers were driven.
    clock: Instant,
    checkpoints: Vec<Fold>,
    pub history: BTreeMap<Position, (i64, Moved)>,
    pub lots: BTreeMap<LotKey, (i64, Points)>,
    shares: BTreeMap<i64, Vec<(u32, Points)>>,
    pub takings: BTreeMap<i64, Taken>,
    pub paid: Vec<Paid>,
    kept: Vec<KeptRow>,
    /// What steps gave whoever referred the customer.
    pub referrer_awards: Vec<ReferrerAward>,
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
            other: None,
            apart: Vec::new(),
            with_email: Vec::new(),
            sale: event.event.speaks_of().map(|name| {
                let Some(sale) = inner.sale(name) else {
                    return SaleKnown::Not;
                };
                let owner = inner.customers.iter().find(|(_, customer)| {
                    customer
                        .history
                        .values()
                        .any(|(journal, _)| *journal == sale)
                });
                match owner {
                    None if inner.waiting.contains(&sale) => SaleKnown::Not,
                    None => SaleKnown::Guest,
                    Some((id, _)) => SaleKnown::Of(id.clone()),
                }
            }),
            redemption: event
                .event
                .speaks_of_redemption()
                .and_then(|name| inner.redemption(name)),
        };
        let who = ask.identify(&known);
        let referring = match ask.is_about_referral() {
            true => inner.referring(event, &who),
            false => Referring::default(),
        };
        let mut waited: Vec<(i64, Arc<Event>)> = Vec::new();
        let mut sales = vec![event.event.clone()];
        while let Some(sale) = sales.pop() {
            for journal in &inner.waiting {
                let waiting = &inner.journal[*journal as usize].0;
                if waiting.speaks_of().is_some_and(|name| sale.is_sale(name)) {
                    sales.push(waiting.clone());
                    waited.push((*journal, waiting.clone()));
                }
            }
        }
        let customer = match &who.customer {
            Whose::Nobody => None,
            Whose::New(id) => Some(new_case(id.clone())),
            Whose::Existing(id) => Some(inner.case(id, event, ask, &waited)),
        };
        Ok(Opened::New(Box::new(Case {
            customer,
            other: None,
            who,
            claimed: None,
            waited,
            redemption: known.redemption,
            stock: None,
            referring,
            given: ask
                .givers()
                .into_iter()
                .map(|giver| (giver.clone(), inner.given.get(&giver).copied().unwrap_or(0)))
                .collect(),
            hold: Hold(Box::new(())),
        })))
    }

    fn commit(&self, case: Case, change: Change) -> Result<Committed, StoreError> {
        let mut inner = self.inner.borrow_mut();
        let outcome = change.outcome.clone();
        let journal = inner.journal.len() as i64;
        inner.review_items.extend(change.review_items.clone());
        for (giver, points) in &change.given {
            *inner.given.entry(giver.clone()).or_default() += points;
        }
        if change.in_journal {
            inner
                .journal
                .push((change.event.clone(), change.sameness, outcome.clone()));
        }
        let joined: Vec<i64> = case.waited.iter().map(|(journal, _)| *journal).collect();
        if change.customer.is_some() {
            inner.waiting.retain(|journal| !joined.contains(journal));
        } else if change.event.speaks_of().is_some() {
            inner.waiting.push(journal);
        }
        if let (Body::CodeRevoked(_), Some(customer)) = (&change.event.body, &change.customer) {
            let mut codes = inner.codes.values_mut();
            codes
                .by_ref()
                .filter(|(owner, _)| *owner == customer.id)
                .for_each(|(_, works)| *works = false);
        }
        if let (Some(code), Some(customer)) = (&change.code, &change.customer) {
            let owner = (customer.id.clone(), true);
            inner.codes.insert(code.clone(), owner);
        }
        if let Some(customer) = change.customer {
            inner.apply(customer, journal, &change.event, &self.plugins.borrow());
        }
        Ok(Committed {
            outcome,
            durable: Box::new(Now),
        })
    }

    fn commit_first(
        &self,
        case: Case,
        change: Change,
    ) -> Result<(Committed, Box<dyn Together + '_>), StoreError> {
        Ok((self.commit(case, change)?, Box::new(Now)))
    }
}

/// Nothing fails here, so nothing has to be taken back.
impl Together for Now {
    fn end(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
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
        balance: ByCurrency::default(),
        transfer: ByCurrency::default(),
        clock: Instant(0),
        start: Fold::default(),
        leaving: Default::default(),
        later: Vec::new(),
        lots: Vec::new(),
        takings: Vec::new(),
        referrer_awards: Vec::new(),
        purse: Some(PurseRows::default()),
        sold: Vec::new(),
        planned_by: Vec::new(),
        looks_like: None,
        recorded: Vec::new(),
    }
}

impl Inner {
    /// The journal row of a sale.
    fn sale(&self, name: &SaleName) -> Option<i64> {
        let found = self
            .journal
            .iter()
            .position(|(event, ..)| event.is_sale(name));
        found.map(|row| row as i64)
    }

    fn referring(&self, event: &Admitted, who: &Who) -> Referring {
        let mut codes = self.codes.iter();
        let own = codes.find(|(_, (owner, works))| {
            matches!(&who.customer, Whose::Existing(id) if id == owner) && *works
        });
        let referrer = event.event.signup().and_then(|signup| {
            let (customer, works) = self.codes.get(&signup.code)?;
            let mut above = Vec::new();
            let mut next = Some(customer);
            while let Some(referred) = next.and_then(|id| self.customers[id].head.referred()) {
                above.push(referred.by.clone());
                next = Some(&referred.by);
            }
            Some(ReferrerKnown {
                customer: customer.clone(),
                is_revoked: !works,
                above,
                same_address: false,
            })
        });
        Referring {
            code: own.map(|(code, _)| code.clone()),
            referrer,
        }
    }

    fn sum(&self, customer: &CustomerId, currency: Currency) -> i64 {
        let entries = self.entries.iter();
        let entries = entries.filter(|it| it.customer == *customer && it.currency == currency);
        entries.map(|entry| entry.amount).sum()
    }

    fn redemption(&self, name: &RedemptionName) -> Option<RedemptionKnown> {
        let mut all = self.redemptions.iter();
        let (id, (customer, row)) = all.find(|(id, (_, row))| match name {
            RedemptionName::Id(name) => *id == name,
            RedemptionName::Code(code) => row.held.code == *code,
        })?;
        Some(RedemptionKnown {
            id: id.clone(),
            customer: customer.clone(),
            state: row.state,
            reserved_at: row.held.reserved_at,
        })
    }

    fn case(
        &self,
        id: &CustomerId,
        event: &Admitted,
        ask: &dyn Ask,
        waited: &[(i64, Arc<Event>)],
    ) -> CustomerCase {
        let customer = &self.customers[id];
        let folds = std::iter::once(&customer.head).chain(customer.checkpoints.iter().rev());
        let start = folds
            .into_iter()
            .find(|fold| ask.can_start_at(fold))
            .cloned()
            .unwrap_or_default();
        let end = end_of_walk(event, customer.clock, waited);
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
        let after = |position: &Position| is_after(position, &start);
        let is_head = start == customer.head && start.clock >= customer.clock;
        let later: Vec<Later> = customer
            .history
            .iter()
            .filter(|(position, _)| after(position))
            .map(|(position, (journal, _))| Later {
                journal: *journal,
                event: placed(&self.journal[*journal as usize].0, position),
            })
            .collect();

        let speak = later.iter().map(|later| &later.event);
        let names = speak
            .chain([&event.event])
            .filter_map(|event| event.speaks_of());
        let mut sold: Vec<SoldRows> = Vec::new();
        for name in names {
            let row = self.sale(name).expect("it was found before");
            if sold.iter().any(|sold| sold.journal == row) {
                continue;
            }
            let place = customer.history.iter().find(|(_, (of, _))| *of == row);
            let sale = placed(
                &self.journal[row as usize].0,
                place.expect("it is theirs").0,
            );
            if !after(&sale.position()) {
                let redeemed = self.redemptions.values().map(|(_, row)| row);
                sold.push(customer.sold(row, sale, &self.journal, redeemed, &start));
            }
        }
        let takings: Vec<BookedTaking> = customer
            .takings
            .iter()
            .filter(|(_, taken)| !is_head && after(&taken.step))
            .map(|(id, taken)| BookedTaking {
                id: *id,
                step: taken.step.clone(),
                currency: taken.currency,
                kind: taken.kind,
                lot: taken.lot,
                redemption: taken.redemption.clone(),
                points: taken.points,
                reason: taken.reason.clone(),
                journal: taken.journal,
            })
            .collect();
        let is_open = !waited.is_empty() || moves_lots(&event.event, &start, end, &later, &takings);
        CustomerCase {
            id: id.clone(),
            is_new: false,
            revision: customer.revision,
            balance: ByCurrency {
                points: self.sum(id, Currency::Points),
                store_credit: self.sum(id, Currency::StoreCredit),
            },
            transfer: ByCurrency::default(),
            clock: customer.clock,
            leaving,
            later,
            lots: customer
                .lots
                .iter()
                .filter(|(key, _)| !is_head && after(&key.origin))
                .map(|(key, (lot, earned))| BookedLot {
                    id: *lot,
                    key: key.clone(),
                    earned: *earned,
                    shares: customer.shares[lot].clone(),
                })
                .collect(),
            takings,
            referrer_awards: customer
                .referrer_awards
                .iter()
                .filter(|award| !is_head && after(&award.step))
                .cloned()
                .collect(),
            purse: is_open.then(|| customer.purse(&start)),
            sold,
            looks_like: ask.looks_twice_within().and_then(|within| {
                let sales = customer
                    .history
                    .values()
                    .map(|(row, _)| &self.journal[*row as usize].0);
                let mut near = sales.filter(|sale| (sale.at.0 - event.event.at.0).abs() <= within);
                let total = |event: &Event| event.sale().map(|sale| sale.total);
                let found = near.find(|sale| {
                    sale.kind == event.event.kind
                        && total(sale) == total(&event.event)
                        && sale.location == event.event.location
                });
                found.map(|sale| EventName {
                    source: sale.source.clone(),
                    id: sale.id.clone(),
                })
            }),
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
                        doubted: Vec::new(),
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
            customer.kept.retain(|kept| kept.sale <= change.start.last);
            let start = &change.start;
            customer.paid.retain(|paid| {
                paid.step <= start.last
                    || paid.step.source.is_empty() && paid.step.at <= start.clock
            });
        }
        customer.kept.extend(change.kept);
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
        for row in &mut customer.follow_ups {
            let is_undone = row.journal.is_some_and(|row| change.undone.contains(&row));
            if row.state == Planned::Planned && row.send_at > event.at && is_undone {
                row.state = Planned::Cancelled;
            }
        }
        for mut row in change.follow_ups {
            row.journal = row.journal.or(Some(journal));
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
        for lot in &change.lots {
            let (id, _) = customer.lots[&lot.key];
            customer.shares.insert(id, lot.shares.clone());
        }
        for lot in change.reapportioned {
            customer.shares.insert(lot.lot, lot.shares);
        }
        let mut taken = Vec::new();
        for row in change.takings {
            let id = row.known.unwrap_or_else(|| {
                self.takings += 1;
                self.takings
            });
            taken.push(id);
            let taking = Taken {
                step: row.step,
                currency: row.currency,
                kind: row.kind,
                lot: row.lot.map(number),
                redemption: row.redemption,
                points: row.points,
                debt: row.debt,
                reason: row.reason,
                journal: row.journal.unwrap_or(journal),
            };
            customer.takings.insert(id, taking);
        }
        for Allocation {
            currency,
            taking,
            lot,
            step,
            points,
        } in change.allocations
        {
            let taking = match taking {
                TakingRef::New(index) => taken[index],
                TakingRef::Existing(id) => id,
            };
            let lot = number(lot);
            assert_eq!(customer.takings[&taking].currency, currency);
            customer.paid.push(Paid {
                taking,
                lot,
                step,
                points,
            });
        }
        for entry in change.entries {
            let lot = entry.lot.map(number);
            if let (Some(lot), None) = (lot, entry.taking) {
                let earned = customer
                    .lots
                    .values_mut()
                    .find(|(id, _)| *id == lot)
                    .expect("the lot is this customer's");
                earned.1 += entry.amount;
            }
            let of_lot = lot.filter(|_| entry.taking.is_none());
            self.entries.push(Entered {
                customer: change.id.clone(),
                currency: entry.currency,
                lot: of_lot,
                amount: entry.amount,
                balance_after: entry.balance_after,
            });
        }
        for step in change.referrer_awards {
            customer
                .referrer_awards
                .retain(|award| (&award.step, &award.place) != (&step.step, &step.place));
            customer.referrer_awards.extend(step.awards);
        }
        for row in change.redemptions {
            let known = (change.id.clone(), row);
            self.redemptions.insert(known.1.id.clone(), known);
        }
        let kept = Fold::from_bytes(&change.head.to_bytes());
        assert_eq!(kept.as_ref(), Some(&change.head), "it can be kept");
        customer.checkpoints.extend(change.checkpoints);
        (customer.head, customer.clock) = (change.head, change.clock);
    }
}

/// An event in its place, which for what comes back is after its sale.
fn placed(event: &Event, place: &Position) -> Arc<Event> {
    Arc::new(Event {
        at: place.at,
        ..event.clone()
    })
}

/// Whether a step comes after a fold.
fn is_after(step: &Position, start: &Fold) -> bool {
    *step > start.last && !(step.source.is_empty() && step.at <= start.clock)
}

impl Customer {
    /// What a lot has had taken from it by the start.
    fn taken_of(&self, lot: i64, start: &Fold, kind: Option<TakingKind>) -> Points {
        let paid = self.paid.iter().filter(|paid| {
            let of_kind = kind.is_none_or(|kind| self.takings[&paid.taking].kind == kind);
            paid.lot == lot && of_kind && !is_after(&paid.step, start)
        });
        paid.map(|paid| paid.points).sum()
    }

    fn purse(&self, start: &Fold) -> PurseRows {
        let lots = self
            .lots
            .iter()
            .filter(|(key, _)| !is_after(&key.origin, start));
        let owed = self.takings.iter();
        let mut owed: Vec<(&i64, &Taken)> = owed
            .filter(|(_, taken)| !is_after(&taken.step, start))
            .collect();
        owed.sort_by_key(|(id, taken)| (&taken.step, **id));
        PurseRows {
            lots: lots
                .map(|(key, (id, earned))| OpenLot {
                    id: *id,
                    key: key.clone(),
                    remaining: earned - self.taken_of(*id, start, None),
                })
                .filter(|lot| lot.remaining > 0)
                .collect(),
            owed: owed
                .into_iter()
                .map(|(id, taken)| {
                    let paid = self.paid.iter().filter(|paid| paid.taking == *id);
                    let paid = paid.filter(|paid| !is_after(&paid.step, start));
                    (
                        *id,
                        taken.currency,
                        taken.points - paid.map(|paid| paid.points).sum::<Points>(),
                    )
                })
                .filter(|(.., owed)| *owed > 0)
                .collect(),
        }
    }

    /// What lots had paid by the start for a redemption that was given with the sale.
    fn redeemed(&self, sale: &Event, row: &RedemptionRow, start: &Fold) -> Option<Redeemed> {
        row.sale.as_ref().filter(|name| sale.is_sale(name))?;
        let mut takings = self.takings.iter();
        let (taking, taken) =
            takings.find(|(_, taken)| taken.redemption.as_ref() == Some(&row.id))?;
        self.given_for(*taking, taken, row.held.reward.clone(), start)
    }

    /// What a sale's tenders of store credit took by the start, but for what was set aside before.
    fn tendered(&self, sale: &Event, start: &Fold) -> Option<Redeemed> {
        let mut takings = self.takings.iter();
        let (taking, taken) = takings.find(|(_, taken)| {
            taken.step == sale.position()
                && taken.currency == Currency::StoreCredit
                && taken.kind == TakingKind::Redeem
                && taken.redemption.is_none()
        })?;
        self.given_for(*taking, taken, None, start)
    }

    fn given_for(
        &self,
        taking: i64,
        taken: &Taken,
        reward: Option<String>,
        start: &Fold,
    ) -> Option<Redeemed> {
        if is_after(&taken.step, start) {
            return None;
        }
        let paid = self.paid.iter().filter(|paid| paid.taking == taking);
        let ends = |lot: i64| self.lots.iter().find(|(_, (id, _))| *id == lot);
        let drawn = paid
            .filter(|paid| paid.step == taken.step)
            .filter_map(|paid| Some((ends(paid.lot)?.0, paid.points)));
        Some(Redeemed {
            currency: taken.currency,
            id: taken.redemption.clone(),
            given_at: taken.step.clone(),
            reward,
            points: taken.points + taken.debt,
            drawn: drawn
                .map(|(lot, points)| (lot.expires_at, points))
                .collect(),
        })
    }

    fn sold<'a>(
        &self,
        journal: i64,
        event: Arc<Event>,
        all: &[(Arc<Event>, [u8; 32], Outcome)],
        redemptions: impl Iterator<Item = &'a RedemptionRow>,
        start: &Fold,
    ) -> SoldRows {
        let origin = event.position();
        let returns = self.history.iter().filter(|(position, (row, _))| {
            let speaks_of = all[*row as usize].0.speaks_of();
            !is_after(position, start) && speaks_of.is_some_and(|name| event.is_sale(name))
        });
        let returns: Vec<Arc<Event>> = returns
            .map(|(position, (row, _))| placed(&all[*row as usize].0, position))
            .collect();
        let is_of_edit = |origin: &Position| {
            let mut edits = returns.iter().filter(|event| event.edits().is_some());
            edits.any(|edit| edit.position() == *origin)
        };
        let lots = self
            .lots
            .iter()
            .filter(|(key, _)| key.origin == origin || is_of_edit(&key.origin));
        let lots = lots.map(|(key, (id, earned))| SoldLot {
            id: *id,
            key: key.clone(),
            earned: *earned,
            shares: self.shares[id].clone(),
            remaining: earned - self.taken_of(*id, start, None),
            reversed: self
                .takings
                .values()
                .filter(|taken| taken.lot == Some(*id) && !is_after(&taken.step, start))
                .map(|taken| taken.points + taken.debt)
                .sum(),
            lapsed: self.taken_of(*id, start, Some(TakingKind::Expiry))
                + self.taken_of(*id, start, Some(TakingKind::Forfeit)),
        });
        let kept = self.kept.iter().filter(|kept| kept.sale == origin);
        let mut redeemed: Vec<Redeemed> = redemptions
            .filter_map(|row| self.redeemed(&event, row, start))
            .collect();
        redeemed.extend(self.tendered(&event, start));
        redeemed.sort_by(|one, other| one.given_at.cmp(&other.given_at));
        SoldRows {
            journal,
            lots: lots.collect(),
            kept: kept
                .map(|kept| (kept.plugin.clone(), kept.bytes.clone()))
                .collect(),
            for_referrer: self
                .referrer_awards
                .iter()
                .filter(|award| award.points > 0 && award.step == award.key.origin)
                .filter(|award| {
                    award.key.origin == event.position() || is_of_edit(&award.key.origin)
                })
                .cloned()
                .collect(),
            returns,
            redeemed,
            event,
        }
    }
}
