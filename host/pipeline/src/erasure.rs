//! Erasure: a person wants to be forgotten.
//!
//! The store deletes what is known of them; here goes what the fold has made of it, and what rules
//! remember. What the books need stays: the ledger, what was bought, and that consents were given and
//! taken back. From then on nothing is taken about them by their name; what was sold to them can still
//! come back, because it is found by its sale.

use crate::admit::Admitted;
use crate::event::Consent;
use crate::facts;
use crate::refusal::{Refusal, invalid};
use crate::segments;
use crate::store::{Case, CustomerCase};
use crate::walk::{Step, Walk};

/// Empties the fold of everything that is about the person.
pub(crate) fn forget(walk: &mut Walk, step: &mut Step) {
    let at = step.event.at;
    let segments: Vec<String> = walk.fold.memberships.keys().cloned().collect();
    for segment in segments {
        segments::leave(walk, step, None, segment, "the person is forgotten".into());
    }
    let tags: Vec<String> = walk.fold.tags.iter().cloned().collect();
    for tag in tags {
        facts::set_tag(walk, step, &tag, false, None);
    }
    let fold = &mut walk.fold;
    fold.erased_at.get_or_insert(at);
    for (purpose, consent) in &mut fold.consents {
        *consent = Consent {
            purpose: purpose.clone(),
            granted: false,
            at: at.max(consent.at),
        };
    }
    fold.known.clear();
    fold.unwanted.clear();
    fold.language = None;
    fold.birthday = None;
    fold.home_location = None;
    fold.distances.clear();
    fold.attributes.clear();
    fold.memory.clear();
    fold.reviews.clear();
    fold.offers.clear();
    fold.basket = None;
    step.note("the person is forgotten; the ledger stays");
}

/// Nobody is forgotten before the last that happened to them, and nothing is kept about them afterwards.
pub(crate) fn check(event: &Admitted, case: &Case) -> Result<(), Refusal> {
    let Some(customer) = &case.customer else {
        return Ok(());
    };
    let other = case.other.iter().map(|other| &other.customer);
    let is_found_by_what_it_is_about = event.due
        || event.event.rules_changed().is_some()
        || event.event.speaks_of().is_some()
        || event.event.speaks_of_redemption().is_some()
        || event.event.referral().is_some();
    if !is_found_by_what_it_is_about && [customer].into_iter().chain(other).any(is_forgotten) {
        return invalid(
            "customer-forgotten",
            "/data/customer",
            "this person was forgotten because they wanted it; if they come again, they are somebody new",
        );
    }
    match customer.later.last() {
        Some(last) if event.event.is_erasure() => invalid(
            "not-the-last",
            "/time",
            format!(
                "{}/{} happened after that; a person is forgotten now, not in the past",
                last.event.source, last.event.id
            ),
        ),
        _ => Ok(()),
    }
}

fn is_forgotten(customer: &CustomerCase) -> bool {
    let mut later = customer.later.iter();
    customer.start.erased_at.is_some() || later.any(|later| later.event.is_erasure())
}
