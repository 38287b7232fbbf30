//! Visitors: browsers of which nobody has said whose they are.
//!
//! What a visitor does is kept apart: it is nobody's, and no rule is asked. When an event says both who the
//! browser is and who the customer is, what the visitor did becomes the customer's, if they have agreed to
//! be tracked, and no more of it than what came after they agreed. Otherwise it stays nobody's, and after a
//! month nobody can tell any more whose it was. A sale is never given to anybody by their browser: a guest
//! who wants the points claims it by its receipt.

use crate::event::{Body, Consent, Event, Instant};
use crate::fold::{DAY_MS, Fold};
use crate::limits;

/// What a customer agrees to whose visits may become theirs.
pub const TRACKING: &str = "tracking";

/// Whether an event of nobody waits for its visitor.
pub fn waits(event: &Event) -> bool {
    event.visitor.is_some() && event.sale().is_none() && event.speaks_of().is_none()
}

/// From when on what the visitor of this event did is the customer's; `None` if nothing is. `head` is the
/// customer as they are now, if there is one yet.
pub fn joins_since(event: &Event, head: Option<&Fold>) -> Option<Instant> {
    event.visitor.as_ref()?;
    let said: &[Consent] = match &event.body {
        Body::Profile(change) => &change.consents,
        Body::Consent(consent) => std::slice::from_ref(consent),
        _ => &[],
    };
    let known = head.and_then(|head| head.consents.get(TRACKING));
    let said = said.iter().filter(|consent| consent.purpose == TRACKING);
    // What they chose last; of two choices at the same instant the no.
    let chosen = said
        .chain(known)
        .max_by_key(|consent| (consent.at, !consent.granted))?;
    let oldest = Instant(event.at.0 - limits::VISITOR_DAYS * DAY_MS);
    chosen.granted.then(|| chosen.at.max(oldest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent(granted: bool, at: i64) -> Consent {
        Consent {
            purpose: TRACKING.into(),
            granted,
            at: Instant(at),
        }
    }

    fn since(said: Option<Consent>, known: Option<Consent>) -> Option<i64> {
        let mut head = Fold::default();
        head.consents
            .extend(known.map(|known| (known.purpose.clone(), known)));
        let event = Event {
            visitor: Some("v".into()),
            body: said.map_or(Body::Review, Body::Consent),
            ..Event::review(Instant(100 * DAY_MS))
        };
        joins_since(&event, Some(&head)).map(|since| since.0 / DAY_MS)
    }

    #[test]
    fn only_what_came_after_the_yes_that_stands() {
        let yes = |day| Some(consent(true, day * DAY_MS));
        let no = |day| Some(consent(false, day * DAY_MS));
        assert_eq!(since(None, None), None, "nobody was asked");
        assert_eq!(since(None, yes(90)), Some(90));
        assert_eq!(since(yes(95), None), Some(95));
        assert_eq!(since(no(95), yes(90)), None, "taken back");
        assert_eq!(since(yes(95), no(90)), Some(95));
        assert_eq!(
            since(no(95), yes(95)),
            None,
            "at the same instant the no stands"
        );
        assert_eq!(since(None, yes(10)), Some(70), "and no older than a month");
        let nobody = Event::review(Instant(0));
        assert_eq!(joins_since(&nobody, None), None);
    }
}
