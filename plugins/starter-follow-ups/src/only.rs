//! For whom a rule is, and for which sales. Nothing here decides what happens then.

use stampcard_sdk::prelude::*;

use crate::config::{GoodsName, Only};
use crate::occasion::Marks;

impl Only {
    /// True if everything that is said is true of this customer and event.
    pub fn admits(&self, input: &Input, marks: &Marks) -> bool {
        self.admits_event(input) && self.admits_customer(input, marks)
    }

    fn admits_event(&self, input: &Input) -> bool {
        let event = &input.event;
        let place = event.location.as_ref();
        let basket = input.purchase().or(input.checkout());
        let orders = input.totals.lifetime.orders;
        let has = |goods: &GoodsName| {
            basket.is_some_and(|sale| sale.lines.iter().any(|line| goods.names(line)))
        };
        let is_kind = |kinds: &[String]| place.is_some_and(|place| kinds.contains(&place.kind));

        (self.channels.is_empty() || self.channels.iter().any(|it| event.came_by(it.channel())))
            && (self.locations.is_empty()
                || place.is_some_and(|place| self.locations.contains(&place.id)))
            && (self.location_kinds.is_empty() || is_kind(&self.location_kinds))
            && !is_kind(&self.not_location_kinds)
            && self.orders_at_least.is_none_or(|least| orders >= least)
            && self.orders_at_most.is_none_or(|most| orders <= most)
            && self
                .total_at_least
                .is_none_or(|least| basket.is_some_and(|sale| sale.total >= least))
            && self.goods.as_ref().is_none_or(has)
            && !self.not_goods.as_ref().is_some_and(has)
    }

    fn admits_customer(&self, input: &Input, marks: &Marks) -> bool {
        let customer = &input.customer;
        let in_segment = |key: &String| is_in(input, key);
        let tagged = |tag: &String| has_tag(input, tag);

        (self.segments.is_empty() || self.segments.iter().any(in_segment))
            && !self.not_segments.iter().any(in_segment)
            && (self.tags.is_empty() || self.tags.iter().any(tagged))
            && !self.not_tags.iter().any(tagged)
            && (!self.won_before_today || self.won_before(input, marks))
            && (self.tiers.is_empty()
                || input
                    .tier_now()
                    .is_some_and(|tier| self.tiers.iter().any(|it| it == tier)))
            && self
                .members
                .is_none_or(|wanted| customer.enrolled_at.is_some() == wanted)
            && (self.consents.is_empty()
                || self
                    .consents
                    .iter()
                    .any(|purpose| customer.consents_to(purpose)))
    }

    /// One of the segments or tags has been there since before the local day began.
    fn won_before(&self, input: &Input, marks: &Marks) -> bool {
        let today = input.event.local.day_began;
        let segment = |key: &String| {
            input
                .customer
                .segment(key)
                .is_some_and(|membership| membership.since < today)
        };
        let tag = |tag: &String| {
            // A tag that was not seen to be set is older than this plugin.
            has_tag(input, tag) && marks.tag_since(tag).is_none_or(|since| since < today)
        };
        self.segments.iter().any(segment) || self.tags.iter().any(tag)
    }
}

fn is_in(input: &Input, key: &str) -> bool {
    (input.customer.in_segment(key) || input.so_far.entered(key)) && !input.so_far.left(key)
}

fn has_tag(input: &Input, tag: &String) -> bool {
    let so_far = &input.so_far;
    (input.customer.has_tag(tag) || so_far.tags_set.contains(tag))
        && !so_far.tags_cleared.contains(tag)
}

impl GoodsName {
    /// True for a line of such goods.
    pub fn names(&self, line: &Line) -> bool {
        let among = |names: &[String], name: &Option<String>| {
            name.as_ref().is_some_and(|name| names.contains(name))
        };
        among(&self.skus, &line.sku)
            || among(&self.categories, &line.category)
            || line
                .collections
                .iter()
                .any(|it| self.collections.contains(it))
    }

    /// The same for an offer.
    pub fn goods(&self) -> Goods {
        Goods {
            skus: self.skus.clone(),
            categories: self.categories.clone(),
            collections: self.collections.clone(),
            quantity: i64::from(self.pieces.unwrap_or(1)) * 1_000,
        }
    }
}
