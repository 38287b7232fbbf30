//! Asking the input without unwraps. Nothing here decides; it only reads.

use crate::types::{
    Body, Channel, Customer, Event, Exchange, Fact, HeldOffer, Input, Line, Membership, Money,
    PastAward, Place, Return, Review, Sale, Shop, SoFar, Tally, Totals,
};

impl Input {
    /// The sale, if this event is one. A basket that is not paid yet is not: see
    /// [`basket`](Self::basket).
    pub fn sale(&self) -> Option<&Sale> {
        match &self.event.body {
            Body::Sale(sale) => Some(sale),
            _ => None,
        }
    }

    /// What was bought: the sale, or the goods taken in an exchange.
    pub fn purchase(&self) -> Option<&Sale> {
        match &self.event.body {
            Body::Sale(sale) | Body::Exchange(Exchange { bought: sale, .. }) => Some(sale),
            _ => None,
        }
    }

    /// The basket at a till or in a cart that is not paid yet.
    pub fn checkout(&self) -> Option<&Sale> {
        match &self.event.body {
            Body::Checkout(sale) => Some(sale),
            _ => None,
        }
    }

    /// Paid or not: what was bought, or the basket. Points that a formula awards for a basket are
    /// shown ("you will earn 79 points") and not booked.
    pub fn basket(&self) -> Option<&Sale> {
        self.purchase().or_else(|| self.checkout())
    }

    /// What came back: the return, or the goods given in an exchange.
    pub fn returned(&self) -> Option<&Return> {
        match &self.event.body {
            Body::Return(returned) | Body::Exchange(Exchange { returned, .. }) => Some(returned),
            _ => None,
        }
    }

    /// The review, if the host asks again without anything having happened.
    pub fn review(&self) -> Option<&Review> {
        match &self.event.body {
            Body::Review(review) => Some(review),
            _ => None,
        }
    }

    /// A fact over the customer's whole life: `input.fact("location", "soho")`. None if the
    /// customer never touched it, if the manifest does not ask for the scope, or if it is beyond
    /// the 64 that are sent.
    pub fn fact(&self, scope: &str, key: &str) -> Option<&Tally> {
        self.find_fact(scope, key, None)
    }

    /// A fact over the last `days`: 7, 30, 90 or 365.
    pub fn fact_within(&self, days: u32, scope: &str, key: &str) -> Option<&Tally> {
        self.find_fact(scope, key, Some(days))
    }

    /// All facts of a scope over the customer's whole life: every location, every category.
    pub fn facts_of<'a>(&'a self, scope: &'a str) -> impl Iterator<Item = &'a Fact> {
        self.facts
            .iter()
            .filter(move |fact| fact.scope == scope && fact.days.is_none())
    }

    fn find_fact(&self, scope: &str, key: &str, days: Option<u32>) -> Option<&Tally> {
        self.facts
            .iter()
            .find(|fact| fact.scope == scope && fact.key == key && fact.days == days)
            .map(|fact| &fact.tally)
    }

    /// The tier after this event as far as it is decided: the new one if there is one, else the
    /// one from before.
    pub fn tier_now(&self) -> Option<&str> {
        match &self.so_far.tier {
            Some(change) => change.to.as_deref(),
            None => self.customer.tier_name(),
        }
    }
}

impl Event {
    /// True for a kind by its name in the catalogue: `event.is("loyalty.enrolled")`.
    pub fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// True if it came in through this channel.
    pub fn came_by(&self, channel: Channel) -> bool {
        self.channel == Some(channel)
    }

    /// The location's id, if the event has a location.
    pub fn location_id(&self) -> Option<&str> {
        self.location.as_ref().map(|place| place.id.as_str())
    }
}

impl Channel {
    pub const ALL: [Channel; 4] = [
        Channel::Pos,
        Channel::Online,
        Channel::Phone,
        Channel::Other,
    ];

    /// The name that events and configurations use: "pos", "online", "phone", "other".
    pub fn name(self) -> &'static str {
        match self {
            Channel::Pos => "pos",
            Channel::Online => "online",
            Channel::Phone => "phone",
            Channel::Other => "other",
        }
    }
}

impl Sale {
    /// The goods at their prices, before any discount.
    pub fn goods_before_discount(&self) -> Money {
        self.lines.iter().map(Line::before_discount).sum()
    }

    /// The goods after the discounts on lines and on the order: the sum of `net`.
    pub fn goods(&self) -> Money {
        self.lines.iter().map(|line| line.net).sum()
    }

    /// Paid with this kind of tender ("points", "gift-card").
    pub fn paid_with(&self, tender: &str) -> Money {
        self.tenders
            .iter()
            .filter(|it| it.kind == tender)
            .map(|it| it.amount)
            .sum()
    }

    /// How many pieces the lines that count have.
    pub fn pieces(&self, counts: impl Fn(&Line) -> bool) -> i64 {
        self.lines
            .iter()
            .filter(|line| counts(line))
            .map(Line::pieces)
            .sum()
    }

    /// The line at a position, from 1.
    pub fn line(&self, number: u32) -> Option<&Line> {
        self.lines.iter().find(|line| line.number == number)
    }
}

impl Line {
    /// Pieces; what is weighed or measured is one, however much of it there is.
    pub fn pieces(&self) -> i64 {
        match self.measured {
            true => 1,
            false => self.quantity / 1_000,
        }
    }

    /// What it would cost without the line's own discount.
    pub fn before_discount(&self) -> Money {
        self.amount + self.discount
    }

    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|it| it == tag)
    }

    pub fn in_category(&self, category: &str) -> bool {
        self.category.as_deref() == Some(category)
    }

    pub fn in_collection(&self, collection: &str) -> bool {
        self.collections.iter().any(|it| it == collection)
    }
}

impl Customer {
    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|it| it == tag)
    }

    pub fn in_segment(&self, segment: &str) -> bool {
        self.segment(segment).is_some()
    }

    /// Whole kilometres from the customer's address to a location, rounded up. `None` where either is not
    /// known, or the plugin was not granted addresses (`personal = ["address"]`).
    pub fn distance_km(&self, location: &str) -> Option<i64> {
        let mut known = self.attributes.iter();
        let (_, km) =
            known.find(|(name, _)| name.strip_prefix("distance_km/") == Some(location))?;
        km.parse().ok()
    }

    /// The membership, with since when and until when.
    pub fn segment(&self, segment: &str) -> Option<&Membership> {
        self.segments.iter().find(|it| it.segment == segment)
    }

    /// The tier from before this event. For the one after it see [`Input::tier_now`].
    pub fn tier_name(&self) -> Option<&str> {
        self.tier.as_ref().map(|standing| standing.tier.as_str())
    }

    /// True if the customer said yes to this purpose. Silence is a no.
    pub fn consents_to(&self, purpose: &str) -> bool {
        self.consents
            .iter()
            .any(|it| it.purpose == purpose && it.granted)
    }

    /// The offer that this plugin made under a key, if the customer holds it.
    pub fn offer(&self, key: &str) -> Option<&HeldOffer> {
        self.offers.iter().find(|it| it.key == key)
    }

    /// True if today is the customer's birthday on the shop's calendar.
    pub fn has_birthday(&self) -> bool {
        self.birthday.is_some_and(|birthday| birthday.today)
    }
}

impl Tally {
    /// Spend less what was given back.
    pub fn net_spend(&self) -> Money {
        self.spend - self.returned
    }
}

impl Totals {
    /// The windows that the contract offers, in days.
    pub const WINDOWS: [u32; 4] = [7, 30, 90, 365];

    /// Lifetime spend less what was given back.
    pub fn net_spend(&self) -> Money {
        self.lifetime.net_spend()
    }

    /// The tally of the last `days`; none unless it is one of [`WINDOWS`](Self::WINDOWS).
    pub fn within(&self, days: u32) -> Option<&Tally> {
        match days {
            7 => Some(&self.days7),
            30 => Some(&self.days30),
            90 => Some(&self.days90),
            365 => Some(&self.days365),
            _ => None,
        }
    }

    pub fn channel(&self, channel: Channel) -> &Tally {
        match channel {
            Channel::Pos => &self.pos,
            Channel::Online => &self.online,
            Channel::Phone => &self.phone,
            Channel::Other => &self.other,
        }
    }
}

impl SoFar {
    /// True if this event has brought the customer into the segment.
    pub fn entered(&self, segment: &str) -> bool {
        self.segments_entered.iter().any(|it| it == segment)
    }

    /// True if this event has taken the customer out of the segment.
    pub fn left(&self, segment: &str) -> bool {
        self.segments_left.iter().any(|it| it == segment)
    }
}

macro_rules! attributes {
    ($($record:ident),+) => {
        $(impl $record {
            /// An attribute by its name: what later versions add without a new contract.
            pub fn attribute(&self, name: &str) -> Option<&str> {
                let found = self.attributes.iter().find(|(key, _)| key == name)?;
                Some(&found.1)
            }
        })+
    };
}

attributes!(
    Input, Event, Place, Sale, Line, Return, Customer, Shop, PastAward
);
