//! Identity: whose event is this?
//!
//! The order is documented and deterministic: our own customer id, then e-mail, phone, card,
//! external ids, each in its normal form. The first identifier that somebody has names the
//! customer; identifiers that nobody has are linked to them. What is brought back is the buyer's. If others name somebody else, that
//! is a suggestion to merge, never a guess.

use crate::admit::Admitted;
use crate::change::CustomerId;
use crate::event::{Body, Identifier, IdentifierKind};
use crate::merges;
use crate::outcome::{Found, IdentityView};
use crate::shop::{Shop, UnknownCustomer};
use crate::store::{Known, OtherKnown, SaleKnown};

/// Whose event it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    pub customer: Whose,
    /// The first identifier of the event that named them already; `None` where our own id or a token
    /// did, or nothing.
    pub by: Option<IdentifierKind>,
    /// Identifiers of the event that nobody had before.
    pub links: Vec<Identifier>,
    /// Other customers whom identifiers of this event name, each once, in the order of deciding, but for
    /// those of whom somebody has said that they are not this one.
    pub suggested: Vec<CustomerId>,
    /// Those of them who are this customer by the shop's policy, and by what.
    pub same: Vec<(CustomerId, IdentifierKind)>,
    /// The event shows a card that was revoked before it happened.
    pub shows_revoked_card: bool,
    /// The event speaks of a sale that has not come yet.
    pub waits_for_sale: bool,
    /// Whom the event names by our own id, as they are called today.
    pub named: Option<CustomerId>,
    /// The second customer of an event about two.
    pub other: Option<OtherKnown>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Kept and counted; no rules run. A guest sale can be claimed once.
    Nobody,
    Existing(CustomerId),
    New(CustomerId),
}

pub fn identify(event: &Admitted, known: &Known, shop: &Shop) -> Who {
    let mut who = match &known.sale {
        Some(sale) => of_sale(sale),
        None if event.event.speaks_of_redemption().is_some() => {
            let owner = known.redemption.as_ref().map(|it| it.customer.clone());
            named_by_event(owner.map_or(Whose::Nobody, Whose::Existing), false)
        }
        None => by_names(event, known, shop),
    };
    if let Whose::Existing(keep) = &who.customer {
        who.suggested
            .retain(|other| !merges::are_apart(keep, other, known));
        who.same = merges::same_by_policy(event, keep, &who.suggested, known, shop);
    }
    Who {
        named: known.named.clone(),
        other: known.other.clone(),
        ..who
    }
}

fn by_names(event: &Admitted, known: &Known, shop: &Shop) -> Who {
    let mut named: Vec<&CustomerId> = Vec::new();
    if let Some(customer) = &known.named {
        named.push(customer);
    }
    let mut found: Vec<&(Identifier, Option<CustomerId>)> = known.identifiers.iter().collect();
    found.sort_by_key(|(identifier, _)| identifier.kind);
    for customer in found.iter().filter_map(|(_, customer)| customer.as_ref()) {
        if !named.contains(&customer) {
            named.push(customer);
        }
    }
    let unowned = || {
        known
            .identifiers
            .iter()
            .filter(|(_, customer)| customer.is_none())
            .map(|(id, _)| id.clone())
            .collect()
    };
    let shows_revoked_card = known.shows_revoked_card;
    match named.split_first() {
        Some((customer, others)) => Who {
            by: found
                .iter()
                .find(|(_, owner)| owner.as_ref() == Some(*customer))
                .map(|(identifier, _)| identifier.kind),
            customer: Whose::Existing((*customer).clone()),
            links: unowned(),
            suggested: others.iter().map(|other| (*other).clone()).collect(),
            shows_revoked_card,
            waits_for_sale: false,
            named: None,
            other: None,
            same: Vec::new(),
        },
        None if may_create(event, shop) => Who {
            by: found.first().map(|(identifier, _)| identifier.kind),
            customer: Whose::New(event.new_customer.clone()),
            links: unowned(),
            suggested: Vec::new(),
            shows_revoked_card,
            waits_for_sale: false,
            named: None,
            other: None,
            same: Vec::new(),
        },
        None => Who {
            customer: Whose::Nobody,
            by: None,
            links: Vec::new(),
            suggested: Vec::new(),
            shows_revoked_card,
            waits_for_sale: false,
            named: None,
            other: None,
            same: Vec::new(),
        },
    }
}

/// Whoever bought it brings it back, whoever comes to the till: a gift is returned by somebody else.
fn of_sale(sale: &SaleKnown) -> Who {
    let customer = match sale {
        SaleKnown::Of(customer) => Whose::Existing(customer.clone()),
        SaleKnown::Guest | SaleKnown::Not => Whose::Nobody,
    };
    named_by_event(customer, *sale == SaleKnown::Not)
}

/// What the event is about says whose it is.
fn named_by_event(customer: Whose, waits_for_sale: bool) -> Who {
    Who {
        customer,
        by: None,
        links: Vec::new(),
        suggested: Vec::new(),
        shows_revoked_card: false,
        waits_for_sale,
        named: None,
        other: None,
        same: Vec::new(),
    }
}

/// The decision as people read it. It says kinds and our own ids, and nothing that is personal.
/// What it says is the same when the journal is taken down the line again.
pub fn log(event: &Admitted, who: &Who) -> Option<IdentityView> {
    if let Some(then) = &event.found_then {
        return Some(then.clone());
    }
    let told = &event.event;
    // A replay names everybody by what was found out then; what follows from a sale or a redemption had
    // nothing to find out.
    let follows = told.speaks_of().is_some() || told.speaks_of_redemption().is_some();
    let says_nothing = event.personal.identifiers.is_empty() && (event.named.is_none() || follows);
    if event.due || says_nothing && told.sale().is_none() {
        return None;
    }
    let has_token = matches!(&event.event.body, Body::Profile(change) if change.token.is_some());
    let by = match (&who.customer, who.by) {
        (Whose::Nobody, _) => None,
        (_, Some(kind)) => Some(kind.name()),
        (_, None) if has_token => Some("token"),
        (_, None) if event.event.speaks_of().is_some() => Some("sale"),
        (_, None) if event.event.speaks_of_redemption().is_some() => Some("redemption"),
        (_, None) => Some("id"),
    };
    let mut linked: Vec<IdentifierKind> = who.links.iter().map(|it| it.kind).collect();
    linked.sort_unstable();
    linked.dedup();
    Some(IdentityView {
        found: match who.customer {
            Whose::Nobody => Found::Nobody,
            Whose::Existing(_) => Found::Known,
            Whose::New(_) => Found::New,
        },
        by: by.map(str::to_owned),
        linked: linked.iter().map(|kind| kind.name().to_owned()).collect(),
        others: who.suggested.iter().map(|other| other.0.clone()).collect(),
    })
}

/// An event creates a customer if it says who they are, and if the shop wants that or the event
/// is about the customer's own account.
fn may_create(event: &Admitted, shop: &Shop) -> bool {
    // Not by what the event still says of them: whoever was forgotten since came by something, too.
    if event.event.identified_by.is_empty() || event.as_guest {
        return false;
    }
    match event.event.body {
        Body::Profile(_) | Body::Import(_) => true,
        _ => event.wants_account || shop.file.policies.unknown_customer == UnknownCustomer::Create,
    }
}
