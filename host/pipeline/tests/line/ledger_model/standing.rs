//! What the bookkeeper knows beside points: the tier that somebody stands in, what a rule remembers,
//! and the kinds of events that move no points.

use super::Told;
use crate::event;
use serde_json::{Value, json};
use stampcard_pipeline::catalogue::{self, KINDS, Support};
use stampcard_pipeline::event::Event;
use stampcard_pipeline::rules::{Failure, Input, Memory, NextReview, Placement, TierAnswer};
use std::collections::BTreeSet;

/// Kinds of which the ledger hears nothing. They are told as the catalogue's example has them.
pub const OTHERS: [&str; 18] = [
    "checkout.started",
    "checkout.updated",
    "checkout.abandoned",
    "customer.identified",
    "customer.updated",
    "consent.changed",
    "loyalty.enrolled",
    "note.added",
    "note.edited",
    "order.delivered",
    "order.fulfilled",
    "page.viewed",
    "pickup.collected",
    "receipt.reissued",
    "store_event.attended",
    "tag.added",
    "ticket.closed",
    "ticket.opened",
];
/// Kinds of which the model writes its own data.
pub const BOOKED: [&str; 19] = [
    "sale.completed",
    "sale.voided",
    "order.edited",
    "payment.settled",
    "payment.failed",
    "return.completed",
    "exchange.completed",
    "points.adjusted",
    "points.forfeited",
    "credit.adjusted",
    "points.imported",
    "tier.overridden",
    "redemption.reserved",
    "redemption.allowed",
    "redemption.offline",
    "redemption.confirmed",
    "redemption.cancelled",
    "redemption.approved",
    "redemption.denied",
];
/// Kinds that are not about one customer who is there. The store's own model has merges, over two
/// histories, and what friends do has one, too; the others are of nobody, or begin
/// or end this history.
const NOT_OF_ONE: [&str; 11] = [
    "customer.created",
    "customer.deleted",
    "customer.merged",
    "customer.unmerged",
    "merge.declined",
    "referral.signup",
    "referral.revoked",
    "catalog.updated",
    "stock.updated",
    "tags.assigned",
    "visit.counted",
];
/// Told beside `tag.added`, which sets what it clears.
const CLEARS: &str = "tag.removed";

/// A kind by a number, as the catalogue's example has it.
pub fn other(number: usize) -> (&'static str, Value) {
    let kinds = OTHERS.len() + 1;
    let name = OTHERS.get(number % kinds).copied().unwrap_or(CLEARS);
    let example = catalogue::find(name).expect("it is a kind").example;
    let mut data: Value = serde_json::from_str(example).expect("an example is JSON");
    data["customer"] = json!({"email": "ana@example.com"});
    (name, data)
}

/// Silver from three orders on, gold from six.
fn by_orders(orders: u64) -> Option<&'static str> {
    match orders {
        0..3 => None,
        3..6 => Some("silver"),
        _ => Some("gold"),
    }
}

pub fn tier_rule(_: &Event, input: &Input) -> Result<TierAnswer, Failure> {
    let orders = u64::from(input.totals.lifetime.orders);
    let placement = Placement {
        tier: by_orders(orders).map(str::to_owned),
        reason: "orders".into(),
        keep_until: None,
    };
    let mut answer = TierAnswer {
        placement: Some(placement),
        ..TierAnswer::default()
    };
    answer.after.next_review = NextReview::Never;
    Ok(answer)
}

/// A chain of the names of what a rule was asked about: it comes out the same only if it was asked
/// about everything, once, in the order in which it happened.
pub fn chain(before: Option<&[u8]>, id: &str, kind: &str) -> [u8; 8] {
    let before = before.unwrap_or(&[0; 8]);
    let said = before.iter().copied().chain(id.bytes()).chain(kind.bytes());
    let hash = said.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.to_le_bytes()
}

/// What the point rule remembers after an event; of what is due it remembers nothing.
pub fn remember(event: &Event, input: &Input) -> Memory {
    match event.id.is_empty() {
        true => Memory::Keep,
        false => {
            let chained = chain(input.state.as_deref(), &event.id, &event.kind);
            Memory::Replace(chained.into())
        }
    }
}

/// Where the bookkeeper says that the customer stands.
#[derive(Debug, Default)]
pub struct Standing {
    orders: u64,
    /// The tier, and since which hour.
    pub tier: Option<(&'static str, i64)>,
    /// While staff holds it: until which hour, if that was said.
    held: Option<Option<i64>>,
    pub remembered: Option<[u8; 8]>,
}

impl Standing {
    fn stand(&mut self, tier: Option<&'static str>, hour: i64) {
        if self.tier.map(|(tier, _)| tier) != tier {
            self.tier = tier.map(|tier| (tier, hour));
        }
    }

    /// What staff said for a time is over by itself.
    pub fn until(&mut self, hour: i64) {
        if let Some(Some(until)) = self.held.filter(|held| held.is_some_and(|it| it <= hour)) {
            self.held = None;
            self.stand(by_orders(self.orders), until);
        }
    }

    pub fn place(&mut self, tier: Option<&'static str>, until: Option<i64>, hour: i64) {
        self.held = tier.map(|_| until);
        if tier.is_some() {
            self.stand(tier, hour);
        }
    }

    pub fn buy(&mut self) {
        self.orders += 1;
    }

    /// Rules are asked at the end of everything that happens.
    pub fn ask(&mut self, told: &Told, kind: &str) {
        // Of a basket that is open a point formula remembers nothing: nothing is earned yet.
        if !matches!(kind, "checkout.started" | "checkout.updated") {
            let before = self.remembered.as_ref().map(<[u8; 8]>::as_slice);
            self.remembered = Some(chain(before, &told.id, kind));
        }
        if self.held.is_none() {
            self.stand(by_orders(self.orders), told.hour);
        }
    }
}

#[test]
fn the_model_has_every_kind_of_event_that_somebody_tells_of_a_customer() {
    let known = OTHERS.iter().chain(&BOOKED).chain(&NOT_OF_ONE);
    let known: BTreeSet<&str> = known.copied().chain([CLEARS]).collect();
    let told = KINDS.iter().filter(|it| it.support == Support::Processed);
    let told: BTreeSet<&str> = told.map(|kind| kind.name).collect();
    assert_eq!(known, told);
    for number in 0..=OTHERS.len() {
        let (kind, data) = other(number);
        let shop = super::shop(false);
        let told = event("o", kind, "2024-01-02T00:00:00Z", data);
        let outcome = shop.tell(&told).expect("an example is accepted");
        assert_eq!(outcome.points.len(), 0, "{kind} moves points");
    }
}
