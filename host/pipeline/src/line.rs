//! The line. Everything that changes a customer goes through [`process`], and nothing else does.
//!
//! ```text
//! event ─► admit ─► identity ─► facts ─► segments ─► points ─► tiers ─► follow-ups ─► ONE commit ─► answer
//! ```

use crate::admit::{Admitted, Arrival, Secret, admit, admit_merge, admit_referral};
use crate::change::{Change, CustomerId};
use crate::event::{Body, Event, Identifier, Instant, RedemptionName, SaleName};
use crate::fold::Fold;
use crate::identity::{Who, Whose, identify};
use crate::limited::{self, Giver, GiverKind};
use crate::merges::{Apart, Told};
use crate::outcome::{Outcome, Status};
use crate::refusal::{Refusal, invalid};
use crate::rules::Rules;
use crate::shop::Shop;
use crate::stock;
use crate::store::{
    Ask, Case, Committed, Durable, Known, Opened, OtherCase, Seen, SeenBy, Store, StoreError,
};
use crate::walk::Walk;
use crate::{
    credit, erasure, facts, follow_ups, merges, points, redemption, referral, segments, tiers,
    visitors,
};
use tracing::debug_span;

/// What one event is decided with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub shop: &'a Shop,
    pub rules: &'a dyn Rules,
    /// The number under which the store keeps these rules.
    pub rule_book: i64,
    pub secret: &'a Secret,
}

/// How often an event is decided again because its customer changed meanwhile. The store holds the
/// customer, so once is already rare.
const ATTEMPTS_MAX: u32 = 5;

/// Takes one event down the whole line and commits what it does. The answer may leave when its
/// commit is durable.
pub fn process(
    store: &impl Store,
    with: Context,
    arrival: &Arrival,
    now: Instant,
) -> Result<Committed, Refusal> {
    let event = debug_span!("admit").in_scope(|| admit(arrival, with.shop, with.secret, now))?;
    take(store, with, &event, Referrers::AreTold)
}

/// The same for an event of the journal that is taken down the line again. What referrers were told of
/// it is in the journal, too.
pub fn process_admitted(
    store: &impl Store,
    with: Context,
    event: &Admitted,
) -> Result<Committed, Refusal> {
    take(store, with, event, Referrers::WereTold)
}

/// Whether an event that gives somebody else points tells them so.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Referrers {
    AreTold,
    WereTold,
}

fn take(
    store: &impl Store,
    with: Context,
    event: &Admitted,
    referrers: Referrers,
) -> Result<Committed, Refusal> {
    for _ in 0..ATTEMPTS_MAX {
        match store.open(event, &Line { event, with })? {
            Opened::Seen(seen) => return answer_again(event, *seen),
            Opened::New(mut case) => {
                check(event, &case, with.shop)?;
                if let Some(merges) = automatic_merges(event, &case, with) {
                    drop(case);
                    for merge in merges {
                        match take(store, with, &merge, referrers) {
                            // Somebody else was first, or has said that they are two: look again.
                            Ok(_) | Err(Refusal::Invalid { .. }) => {}
                            Err(refusal) => return Err(refusal),
                        }
                    }
                    continue;
                }
                let mut change = decide(event, &mut case, with)?;
                let told = match referrers {
                    Referrers::AreTold => std::mem::take(&mut change.for_referrers),
                    Referrers::WereTold => Vec::new(),
                };
                match debug_span!("commit").in_scope(|| commit(store, with, *case, change, told)) {
                    Err(Refusal::Store(StoreError::Conflict)) => continue,
                    committed => return committed,
                }
            }
        }
    }
    Err(Refusal::Store(StoreError::Conflict))
}

/// Commits a change, and with it what those are told whom it gives something else: each in an event of
/// their own, and all of them in one transaction.
fn commit(
    store: &impl Store,
    with: Context,
    case: Case,
    change: Change,
    told: Vec<(CustomerId, Event)>,
) -> Result<Committed, Refusal> {
    if told.is_empty() {
        return Ok(store.commit(case, change)?);
    }
    let received_at = change.received_at;
    let (committed, together) = store.commit_first(case, change)?;
    for (referrer, event) in told {
        let event = admit_referral(&referrer, event, with.secret, received_at);
        take(store, with, &event, Referrers::AreTold)?;
    }
    together.end()?;
    Ok(committed)
}

/// The same, with nothing committed: "you will earn 79 points".
pub fn preview(
    store: &impl Store,
    with: Context,
    arrival: &Arrival,
    now: Instant,
) -> Result<Outcome, Refusal> {
    let event = admit(arrival, with.shop, with.secret, now)?;
    match store.open(
        &event,
        &Line {
            event: &event,
            with,
        },
    )? {
        Opened::Seen(seen) => Ok(answer_again(&event, *seen)?.outcome),
        Opened::New(mut case) => {
            check(&event, &case, with.shop)?;
            let same = std::mem::take(&mut case.who.same);
            let mut outcome = decide(&event, &mut case, with)?.outcome;
            let notes = same.into_iter().map(|(other, kind)| {
                format!("{} would be merged: the same {}", other.0, kind.name())
            });
            outcome.notes.extend(notes);
            Ok(outcome)
        }
    }
}

/// The merges that come before an event by the shop's policy: then it is decided for whoever both are.
fn automatic_merges(event: &Admitted, case: &Case, with: Context) -> Option<Vec<Admitted>> {
    let Whose::Existing(keep) = &case.who.customer else {
        return None;
    };
    let merges = case.who.same.iter();
    let merges: Vec<Admitted> = merges
        .map(|(other, shared)| admit_merge(event, keep, other, *shared, with.secret))
        .collect();
    (!merges.is_empty()).then_some(merges)
}

/// The decisions: pure, in the order of the drawing, for each step of the walk. An event in its
/// place is one step, after those of the timers that were due before it; for a late event the walk
/// begins further back and takes the later events again. That is the refold.
fn decide(event: &Admitted, case: &mut Case, with: Context) -> Result<Change, Refusal> {
    let other = case.other.take();
    let Some(walk) = Walk::begin(event, case, with) else {
        return Ok(Change::of_nobody(event, &case.who, with));
    };
    let change = walked(walk)?;
    match other {
        None => Ok(change),
        Some(OtherCase { customer, unclear }) => {
            let other = walked(Walk::beside(event, customer, with))?;
            Ok(merges::of_two(change, other, &unclear))
        }
    }
}

fn walked(mut walk: Walk) -> Result<Change, Refusal> {
    while let Some(mut step) = walk.next_step() {
        debug_span!("facts").in_scope(|| facts::count(&mut walk, &mut step));
        debug_span!("segments").in_scope(|| segments::decide(&mut walk, &mut step));
        debug_span!("points").in_scope(|| points::decide(&mut walk, &mut step));
        debug_span!("tiers").in_scope(|| tiers::decide(&mut walk, &mut step));
        debug_span!("follow-ups").in_scope(|| follow_ups::decide(&mut walk, &mut step));
        walk.done(step);
    }
    walk.finish()
}

/// What only the case can say is wrong with an event.
fn check(event: &Admitted, case: &Case, shop: &Shop) -> Result<(), Refusal> {
    check_named(event, case)?;
    erasure::check(event, case)?;
    merges::check(event, &case.who)?;
    check_identifiers(event, case)?;
    check_act(event, case, shop)?;
    check_redemption(event, case)?;
    stock::check(&event.event, case)?;
    referral::check(&event.event, case, shop)?;
    check_return(event, case)
}

/// An event that names a customer whom nobody knows is refused: its points would be nobody's.
fn check_named(event: &Admitted, case: &Case) -> Result<(), Refusal> {
    match (&event.named, &case.who.customer) {
        (None, _) => Ok(()),
        (Some(_), Whose::Existing(found)) if case.who.named.as_ref() == Some(found) => Ok(()),
        (Some(_), Whose::Nobody) if event.event.speaks_of().is_some() => Ok(()),
        (Some(named), Whose::Existing(found)) if event.event.speaks_of().is_some() => invalid(
            "another-customer",
            "/data/customer/id",
            format!(
                "the sale is of {}, not of {}; leave `customer` out",
                found.0, named.0
            ),
        ),
        (Some(named), _) => invalid(
            "unknown-customer",
            match event.event.other() {
                Some(_) => "/data/keep",
                None => "/data/customer/id",
            },
            format!("there is no customer {}", named.0),
        ),
    }
}

/// A lost card is nobody's any more, and nobody takes over what somebody else goes by.
fn check_identifiers(event: &Admitted, case: &Case) -> Result<(), Refusal> {
    if case.who.shows_revoked_card {
        return invalid(
            "card-revoked",
            "/data/customer/card",
            "this card was revoked; ask for the new one, or for an e-mail or a phone number",
        );
    }
    if !event.event.replaces().is_empty() && !case.who.suggested.is_empty() {
        return invalid(
            "identifier-taken",
            "/data/customer",
            "somebody else goes by what would replace the old one; nothing was changed",
        );
    }
    Ok(())
}

/// What staff does needs somebody whom the shop knows, and takes no more than there is. What there
/// is follows arrival, as the ledger does: a refold never undoes what staff did.
fn check_act(event: &Admitted, case: &Case, shop: &Shop) -> Result<(), Refusal> {
    if !event.event.needs_a_known_customer() {
        return Ok(());
    }
    let customer = match (&case.who.customer, &case.customer) {
        (Whose::Existing(_), Some(customer)) => customer,
        _ => {
            return invalid(
                "unknown-customer",
                "/data/customer",
                format!(
                    "nobody is known by this; {} makes no customer",
                    event.event.kind
                ),
            );
        }
    };
    check_room(event, case, shop)?;
    let (currency, taken) = event.event.taken_by_staff();
    let balance = customer.balance[currency];
    if taken > balance.max(0) && !shop.file.policies.adjust_below_zero {
        let wanted = currency.told(taken);
        return credit::not_enough(
            currency,
            format!(
                "the balance is {balance}, so {wanted} cannot be taken; policies.adjust_below_zero in merchant.toml allows it"
            ),
        );
    }
    Ok(())
}

/// What becomes of a redemption can be said once. What was said first stands, whatever the clocks of
/// two tills say.
fn check_redemption(event: &Admitted, case: &Case) -> Result<(), Refusal> {
    let Some(name) = event.event.speaks_of_redemption() else {
        return Ok(());
    };
    match &case.redemption {
        Some(known) if known.state.is_open() => Ok(()),
        // It has happened, and the shop takes what no allowance covers.
        Some(_) if event.event.offline().is_some_and(|it| it.may_exceed) => Ok(()),
        Some(known) => Err(redemption::closed(name, known.state)),
        None => invalid(
            "unknown-redemption",
            match name {
                RedemptionName::Id(_) => "/data/redemption",
                RedemptionName::Code(_) => "/data/code",
            },
            "there is no such redemption",
        ),
    }
}

/// What staff gives by hand counts as what they give by sales, and is not given by halves.
fn check_room(event: &Admitted, case: &Case, shop: &Shop) -> Result<(), Refusal> {
    let Body::Adjustment(adjustment) = &event.event.body else {
        return Ok(());
    };
    let room = limited::room(&case.given, shop);
    let limits = [
        (GiverKind::Device, room.device),
        (GiverKind::Staff, room.staff),
    ];
    for (kind, left) in limits {
        if let Some(left) = left.filter(|left| *left < adjustment.points) {
            return invalid(
                "over-the-limit",
                "/data/points",
                format!(
                    "{} points are left of caps.{} in merchant.toml today",
                    left,
                    kind.cap()
                ),
            );
        }
    }
    Ok(())
}

/// What comes back must have been sold.
fn check_return(event: &Admitted, case: &Case) -> Result<(), Refusal> {
    let (Some(name), Some(customer)) = (event.event.speaks_of(), &case.customer) else {
        return Ok(());
    };
    let before = customer.sold.iter().map(|sold| &sold.event);
    let later = customer.later.iter().map(|later| &later.event);
    let sold = before.chain(later).find(|sale| sale.is_sale(name));
    let Some((sold, sale)) = sold.and_then(|sold| Some((sold, sold.sale()?))) else {
        return Ok(());
    };
    let is_sale = |name: &SaleName| sold.is_sale(name);
    // What edits have added are lines of the sale as well.
    let edits = customer.sold.iter().flat_map(|sold| &sold.returns);
    let edits = edits.chain(customer.later.iter().map(|later| &later.event));
    let added = edits.filter(|edit| edit.edits().is_some_and(is_sale));
    let added = added.filter_map(|edit| Some(edit.basket()?.lines.len()));
    let lines = sale.lines.len() + added.sum::<usize>();
    let Some((field, refund)) = event.event.brings_back() else {
        return Ok(());
    };
    let mut numbers = refund.lines.iter().map(|line| line.line as usize);
    match numbers.position(|number| !(1..=lines).contains(&number)) {
        None => Ok(()),
        Some(index) => invalid(
            "unknown-line",
            format!("/data/{field}/{index}/line"),
            format!(
                "the sale has {lines} lines; {} is none of them",
                refund.lines[index].line
            ),
        ),
    }
}

/// What the store asks the line while it reads.
struct Line<'a> {
    event: &'a Admitted,
    with: Context<'a>,
}

impl Ask for Line<'_> {
    fn identify(&self, known: &Known) -> Who {
        debug_span!("identity").in_scope(|| identify(self.event, known, self.with.shop))
    }

    fn can_start_at(&self, fold: &Fold) -> bool {
        let event = &self.event.event;
        let in_place = self.event.due || fold.is_before(&event.position());
        let again_from = event.rules_changed().and_then(|it| it.again_from.as_ref());
        in_place
            && again_from.is_none_or(|from| fold.precedes(from))
            && facts::are_complete(fold, self.with.rules)
    }

    fn givers(&self) -> Vec<Giver> {
        match self.event.due {
            true => Vec::new(),
            false => limited::givers(&self.event.event, self.with.shop),
        }
    }

    fn is_about_referral(&self) -> bool {
        let event = &self.event.event;
        let has_code = matches!(&event.body, Body::CodeRevoked(_)) || event.enrols();
        has_code && self.with.shop.file.referral.is_some()
    }

    fn looks_twice_within(&self) -> Option<i64> {
        let seconds = self.with.shop.file.policies.looks_twice_seconds;
        let is_looked_at = match &self.event.event.body {
            Body::Sale(sale) => sale.total > 0 && !self.event.event.historical,
            _ => false,
        };
        (is_looked_at && seconds > 0).then(|| i64::from(seconds) * 1_000)
    }

    fn visits_since(&self, head: Option<&Fold>) -> Option<Instant> {
        visitors::joins_since(&self.event.event, head)
    }

    fn tell_apart(&self, told: &[Told], identifiers: &[(Identifier, bool)]) -> Apart {
        merges::tell_apart(told, identifiers, self.with.secret)
    }
}

/// The answer to an event that came before: the same one, marked as a duplicate.
fn answer_again(event: &Admitted, seen: Seen) -> Result<Committed, Refusal> {
    let mut outcome = seen.outcome;
    match seen.by {
        SeenBy::NameWithOtherBody => {
            return Err(Refusal::Conflict {
                source_name: event.event.source.clone(),
                id: event.event.id.clone(),
            });
        }
        SeenBy::Name => {}
        SeenBy::Order if event.event.sale().is_none() => {
            return Err(Refusal::Unauthorized {
                code: "token-used",
                at: "/data/token".into(),
                problem: "this token was used; ask the customer to show the code again".into(),
            });
        }
        SeenBy::Order => {
            outcome.event = event.event.name();
            outcome.duplicate_of = Some(seen.first);
            outcome.differs = differences(&event.event, &seen.event);
        }
    }
    outcome.status = Status::Duplicate;
    Ok(Committed {
        outcome,
        durable: Box::new(Already),
    })
}

/// A duplicate was durable before it was asked for again: [`Store::open`] waits for that.
struct Already;

impl Durable for Already {
    fn wait(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }

    fn then(self: Box<Self>, done: Box<dyn FnOnce(Result<(), StoreError>) + Send>) {
        done(Ok(()));
    }
}

/// The fields in which the same order differs when it comes through a second door.
fn differences(second: &crate::event::Event, first: &crate::event::Event) -> Vec<String> {
    let (Some(second_sale), Some(first_sale)) = (second.sale(), first.sale()) else {
        return vec!["type".into()];
    };
    [
        ("time", second.at != first.at),
        ("channel", second.channel != first.channel),
        ("location", second.location != first.location),
        ("lines", second_sale.lines != first_sale.lines),
        ("discounts", second_sale.discounts != first_sale.discounts),
        ("tenders", second_sale.tenders != first_sale.tenders),
        ("total", second_sale.total != first_sale.total),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(field, _)| field.to_owned())
    .collect()
}
