//! A basket that nobody has paid for in time: a step of its own, which as a review has no place in the
//! journal.

use super::{Step, Upcoming, Walk};
use crate::event::{Event, Instant};
use crate::fold::Basket;
use crate::rules::ReviewCause;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Walk<'_> {
    /// The basket that is left now. What else is due at that instant comes before it.
    pub(super) fn take_left_basket(&mut self, at: Instant) -> Option<Basket> {
        let is_first = self.fold.next_review().is_none_or(|review| review > at);
        let basket = self.fold.basket.as_mut()?;
        if basket.left_at <= at && !is_first {
            basket.left_at = Instant(at.0 + 1);
        }
        self.fold.basket.take_if(|basket| basket.left_at <= at)
    }

    pub(super) fn basket_left(&mut self, at: Instant, basket: Basket) -> Step {
        let next = Upcoming {
            event: Arc::new(Event::basket_left(at, &basket)),
            journal: None,
            was_decided: self.start.is_refold,
        };
        let is_answered = self.admitted.due && at == self.admitted.event.at;
        let mut step = self.step(next, true, BTreeSet::new(), is_answered);
        step.causes = vec![ReviewCause::BasketLeft(basket)];
        step
    }
}
