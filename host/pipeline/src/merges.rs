//! Merges: two profiles that are one person, and two that are not after all.
//!
//! A merge is an event of the customer who stays. From then on the events of both are one history, and
//! the customer is folded again over all of it, from the first event on: what that comes to, cap by cap
//! and segment by segment, is what would have come of it had there been one profile from the start. Lots
//! and what was taken from them go along as they are; one entry for each of the two ledgers moves the
//! balance. Of the other customer only the name is left, which leads here.
//!
//! What both say of a person is settled by the order of the history, as within one profile: what was
//! said last stands, of consents what was chosen last ([`crate::facts`]).
//!
//! A policy may make two one where an event shows that both go by the same verified e-mail or phone; all
//! else is a suggestion, which staff accepts with a merge or declines.
//!
//! Taking it back asks of each event whose it would have been had there been no merge.

use crate::admit::{Admitted, Secret};
use crate::change::{Change, CustomerChange, CustomerId};
use crate::currency::Currency;
use crate::event::{Body, Event, EventName, Identifier, IdentifierKind, SaleName};
use crate::identity::{Who, Whose};
use crate::redemption;
use crate::refusal::{Refusal, invalid};
use crate::shop::{AutoMerge, Shop};
use crate::store::Known;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An event of a customer who took in another one.
#[derive(Clone, Debug)]
pub struct Told {
    pub journal: i64,
    pub event: Arc<Event>,
    pub when: ToldWhen,
    /// What it said that the customer goes by.
    pub identifiers: Vec<Identifier>,
}

/// On which side of the merge an event arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToldWhen {
    /// Before, and then it was the other customer's.
    BeforeToOther,
    /// Before, and then it was already the customer's.
    BeforeToKept,
    After,
}

/// What goes back to the other customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apart {
    /// The journal rows of the events that are theirs.
    pub events: BTreeSet<i64>,
    /// What they go by.
    pub identifiers: BTreeSet<Identifier>,
    /// Events that came after the merge and do not say whose they are. They stay.
    pub unclear: Vec<EventName>,
}

/// Tells the events of two customers apart: those before the merge are whose they were, and those after
/// it are decided by what they carry, in the order in which they came. `identifiers` are those that were
/// known at the merge, each with whether it was the other customer's.
pub fn tell_apart(told: &[Told], identifiers: &[(Identifier, bool)], secret: &Secret) -> Apart {
    let mut whose: BTreeMap<&Identifier, bool> =
        identifiers.iter().map(|(it, other)| (it, *other)).collect();
    let mut apart = Apart::default();
    for told in told {
        let is_others = match told.when {
            ToldWhen::BeforeToOther => true,
            ToldWhen::BeforeToKept => false,
            ToldWhen::After => after_the_merge(told, &whose, &mut apart),
        };
        let carried = told.identifiers.iter();
        for new in carried
            .filter(|it| !whose.contains_key(it))
            .collect::<Vec<_>>()
        {
            whose.insert(new, is_others);
        }
        if is_others {
            apart.events.insert(told.journal);
        }
    }
    // What becomes of a redemption follows whoever asked for it.
    let (begun, closing): (Vec<&Told>, Vec<&Told>) = told
        .iter()
        .filter(|told| told.event.redemption().is_some())
        .partition(|told| told.event.speaks_of_redemption().is_none());
    for told in closing {
        let is_it = |begun: &&&Told| redemption::is_of(&told.event, &begun.event, secret);
        if let Some(begun) = begun.iter().find(is_it) {
            apart.give(told.journal, apart.events.contains(&begun.journal));
        }
    }
    // What comes back of a sale is the buyer's, whoever brought it.
    let sales: Vec<&Told> = told.iter().filter(|it| it.event.sale().is_some()).collect();
    for told in told {
        let Some(name) = told.event.speaks_of() else {
            continue;
        };
        if let Some(sale) = sold_as(&sales, name) {
            apart.give(told.journal, apart.events.contains(&sale.journal));
        }
    }
    let theirs = whose.into_iter().filter(|(_, is_others)| *is_others);
    apart.identifiers = theirs.map(|(it, _)| it.clone()).collect();
    apart
}

impl Apart {
    fn give(&mut self, journal: i64, to_other: bool) {
        match to_other {
            true => self.events.insert(journal),
            false => self.events.remove(&journal),
        };
    }
}

fn sold_as<'a>(sales: &[&'a Told], name: &SaleName) -> Option<&'a Told> {
    sales.iter().find(|sale| sale.event.is_sale(name)).copied()
}

/// Whose an event is that came when both were one: the first identifier that either had decides.
fn after_the_merge(told: &Told, whose: &BTreeMap<&Identifier, bool>, apart: &mut Apart) -> bool {
    let event = &told.event;
    let is_about_both = event.other().is_some() || event.rules_changed().is_some();
    let follows = event.speaks_of().is_some() || event.speaks_of_redemption().is_some();
    if is_about_both || follows || matches!(event.body, Body::Review) {
        return false;
    }
    let mut carried: Vec<&Identifier> = told.identifiers.iter().collect();
    carried.sort_by_key(|it| it.kind);
    let known = carried.iter().filter_map(|it| whose.get(it).copied());
    let known: Vec<bool> = known.collect();
    let names_both = known.contains(&true) && known.contains(&false);
    if known.is_empty() || names_both {
        apart.unclear.push(event.name());
    }
    known.first().copied().unwrap_or(false)
}

/// One change of what an event does to two customers.
pub(crate) fn of_two(first: Change, other: Change, unclear: &[EventName]) -> Change {
    let mut change = first;
    let id = |of: &Option<CustomerChange>| {
        of.as_ref()
            .map_or(String::new(), |customer| customer.id.0.clone())
    };
    let (kept, gone) = (id(&change.customer), id(&other.customer));
    let notes = &mut change.outcome.notes;
    match (&change.event.body, other.outcome.customer) {
        (Body::Merge(_), _) => notes.push(format!("{gone} is {kept} from now on")),
        (_, Some(now)) => {
            let credit = now.store_credit.filter(|credit| credit.amount != 0);
            let credit = credit.map(|it| Currency::StoreCredit.told(it.amount));
            let credit = credit.map_or(String::new(), |told| format!(" and {told}"));
            notes.push(format!(
                "{gone} is a customer again, with {} points{credit}",
                now.balance
            ));
        }
        _ => {}
    }
    notes.extend(told(unclear));
    change.review_items.extend(other.review_items);
    change.for_referrers.extend(other.for_referrers);
    change.other = other.customer;
    change
}

/// How many events are named that might be somebody else's; all of them are counted.
const NAMED: usize = 5;

fn told(unclear: &[EventName]) -> Option<String> {
    let names = unclear.iter().take(NAMED);
    let names: Vec<String> = names
        .map(|event| format!("{}/{}", event.source, event.id))
        .collect();
    let more = match unclear.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!unclear.is_empty()).then(|| {
        format!(
            "{} events came while both were one and do not say whose they are; they stay: {}{more}",
            unclear.len(),
            names.join(", ")
        )
    })
}

/// Whether somebody has said that these are two people, or has taken their merge back.
pub(crate) fn are_apart(one: &CustomerId, other: &CustomerId, known: &Known) -> bool {
    let pair = [(one, other), (other, one)];
    let mut apart = known.apart.iter();
    apart.any(|(first, second)| pair.contains(&(first, second)))
}

/// Who is this customer by the shop's policy: whoever sends the event has seen that what names the one
/// and what names the other are the customer's, and one of them is what the policy goes by. A number that
/// somebody only says to be theirs gives nobody's points away.
pub(crate) fn same_by_policy(
    event: &Admitted,
    keep: &CustomerId,
    others: &[CustomerId],
    known: &Known,
    shop: &Shop,
) -> Vec<(CustomerId, IdentifierKind)> {
    let kind = match shop.file.policies.auto_merge {
        AutoMerge::Off => return Vec::new(),
        AutoMerge::ExactEmail => IdentifierKind::Email,
        AutoMerge::ExactPhone => IdentifierKind::Phone,
    };
    // What takes the place of something else, and what speaks of a sale, names nobody anew.
    let names_anew = event.event.replaces().is_empty() && event.event.speaks_of().is_none();
    if !names_anew || !event.verified.contains(&kind) {
        return Vec::new();
    }
    let mut identifiers = known.identifiers.iter();
    let shared = identifiers.find(|(identifier, _)| identifier.kind == kind);
    let Some(owner) = shared.and_then(|(_, owner)| owner.as_ref()) else {
        return Vec::new();
    };
    let is_verified = |customer: &CustomerId| {
        let mut names = known.identifiers.iter();
        names.any(|(it, owner)| {
            owner.as_ref() == Some(customer) && event.verified.contains(&it.kind)
        })
    };
    let both_have_email =
        |other: &CustomerId| known.with_email.contains(keep) && known.with_email.contains(other);
    let is_same = |other: &&CustomerId| {
        (owner == keep || owner == *other)
            && is_verified(keep)
            && is_verified(other)
            && (kind == IdentifierKind::Email || !both_have_email(other))
    };
    let same = others.iter().filter(is_same);
    same.map(|other| (other.clone(), kind)).collect()
}

/// What is wrong with an event about two customers.
pub(crate) fn check(event: &Admitted, who: &Who) -> Result<(), Refusal> {
    let Some(other) = event.event.other() else {
        return Ok(());
    };
    let is_merge = matches!(event.event.body, Body::Merge(_));
    let Some(found) = &who.other else {
        return invalid(
            "unknown-customer",
            "/data/other",
            format!("there is no customer {}", other.0),
        );
    };
    let Whose::Existing(keep) = &who.customer else {
        // An id that nobody has was refused before.
        return Ok(());
    };
    if event.named.as_ref() != Some(keep) {
        return invalid(
            if keep == other {
                "already-merged"
            } else {
                "merged-away"
            },
            "/data/keep",
            format!(
                "{} was merged into {}; name that one",
                event.named.as_ref().map_or("", |named| &named.0),
                keep.0
            ),
        );
    }
    if !event.event.is_about_two() {
        return match &found.merged_into {
            None => Ok(()),
            Some(into) => invalid(
                "merged-away",
                "/data/other",
                format!("{} was merged into {}", other.0, into.0),
            ),
        };
    }
    match (&found.merged_into, is_merge) {
        (None, true) => Ok(()),
        (Some(into), true) if into == keep => invalid(
            "already-merged",
            "/data/other",
            format!("{} was merged into {} before", other.0, keep.0),
        ),
        (Some(into), false) if into == keep => Ok(()),
        (Some(into), true) => invalid(
            "merged-away",
            "/data/other",
            format!("{} was merged into {}; name that one", other.0, into.0),
        ),
        (Some(into), false) => invalid(
            "not-merged",
            "/data/other",
            format!(
                "{} was merged into {}: take that back, with it as `keep`",
                other.0, into.0
            ),
        ),
        (None, false) => invalid(
            "not-merged",
            "/data/other",
            format!("{} is not merged into anybody", other.0),
        ),
    }
}
