//! Conditions on what was bought: how much, how often, in which window, where. Nothing here knows
//! how conditions come together.

use stampcard_sdk::prelude::*;

use crate::config::{ChannelName, Channels, Happened, Measured, SaleAfter, ThisSale};
use crate::judge::{Judge, Verdict};
use crate::plan::{Quantity, Range, is_own_window};
use crate::rhythm::NEVER;

impl<'a> Judge<'a> {
    pub fn measured(&mut self, quantity: Quantity, measured: &Measured) -> Verdict {
        let range = measured.bounds().range();
        match measured.group() {
            Some((scope, key)) => match self.group(scope, key, measured.days) {
                Some(tally) => self.tally(quantity, &tally, measured.days, range),
                None => Verdict::unknown(),
            },
            None => self.sales(quantity, measured.days, measured.channel, range),
        }
    }

    pub fn sales(
        &self,
        quantity: Quantity,
        days: Option<u32>,
        channel: Option<ChannelName>,
        range: Range,
    ) -> Verdict {
        match days {
            Some(days) if is_own_window(Some(days), channel) => {
                self.own_window(quantity, days, channel, range)
            }
            _ => self.tally(quantity, self.counted(days, channel), days, range),
        }
    }

    /// The host's own tally of a window or of a channel.
    pub fn counted(&self, days: Option<u32>, channel: Option<ChannelName>) -> &'a Tally {
        let totals = &self.input.totals;
        match (days.and_then(|days| totals.within(days)), channel) {
            (Some(window), _) => window,
            (None, Some(channel)) => totals.channel(channel.channel()),
            (None, None) => &totals.lifetime,
        }
    }

    /// The tally of a group; zeros for one that the customer never touched, and none if it may
    /// be among the facts that were too many to be sent.
    pub fn group(&self, scope: &str, key: &str, days: Option<u32>) -> Option<Tally> {
        let found = match days {
            Some(days) => self.input.fact_within(days, scope, key),
            None => self.input.fact(scope, key),
        };
        match found {
            Some(tally) => Some(*tally),
            // A group with a lifetime but without a window has nothing in the window.
            None if self.input.fact(scope, key).is_some() => Some(Tally::default()),
            None => (!self.input.facts_truncated).then(Tally::default),
        }
    }

    fn tally(&self, quantity: Quantity, tally: &Tally, days: Option<u32>, range: Range) -> Verdict {
        let number = quantity.of(tally);
        let shrinks_at = match (days, tally.first_at) {
            (Some(days), Some(first)) => first + i64::from(days) * DAY,
            _ => NEVER,
        };
        // Sales leave a window and so does what was given back: then the spend may also grow.
        let grows = quantity == Quantity::Spend && tally.returns > 0;
        let turns = match range.holds(number) {
            true => range.least > 0 || grows,
            false => number > range.most || grows,
        };
        Verdict::of(range.holds(number), if turns { shrinks_at } else { NEVER })
    }

    /// A window that only we count: exact, because each sale in it is remembered.
    fn own_window(
        &self,
        quantity: Quantity,
        days: u32,
        channel: Option<ChannelName>,
        range: Range,
    ) -> Verdict {
        let mut number = self.own_number(quantity, days, channel);
        let holds = range.holds(number);
        let mut turns_at = NEVER;
        for (at, part) in self.own_parts(quantity, days, channel) {
            number -= part;
            if range.holds(number) != holds {
                turns_at = at + i64::from(days) * DAY;
                break;
            }
        }
        Verdict::of(holds, turns_at)
    }

    /// What was bought in a window that only we count.
    pub fn own_number(&self, quantity: Quantity, days: u32, channel: Option<ChannelName>) -> i64 {
        self.own_parts(quantity, days, channel)
            .map(|(_, part)| part)
            .sum()
    }

    /// What each sale and return adds to a window that only we count, oldest first.
    fn own_parts(
        &self,
        quantity: Quantity,
        days: u32,
        channel: Option<ChannelName>,
    ) -> impl Iterator<Item = (Instant, i64)> {
        let begin = self.input.now - i64::from(days) * DAY;
        let channel = channel.map(ChannelName::channel);
        let entries = self.remembered.ledger.iter().filter(move |entry| {
            entry.at > begin && (channel.is_none() || entry.channel == channel)
        });
        entries.map(move |entry| match quantity {
            Quantity::Spend => (entry.at, entry.amount),
            Quantity::Orders => (entry.at, i64::from(entry.is_sale)),
        })
    }

    pub fn share(&self, measured: &Measured) -> Verdict {
        let Some((part, whole)) = self.part_and_whole(measured) else {
            return Verdict::unknown();
        };
        let range = measured.bounds().range();
        let leaves = |tally: &Tally| match (measured.days, tally.first_at) {
            (Some(days), Some(first)) => first + i64::from(days) * DAY,
            _ => NEVER,
        };
        Verdict::of(
            range.holds(share(&part, &whole)),
            leaves(&part).min(leaves(&whole)),
        )
    }

    /// The tallies that a share compares.
    pub fn part_and_whole(&self, measured: &Measured) -> Option<(Tally, Tally)> {
        let (scope, key) = measured.group()?;
        let part = self.group(scope, key, measured.days)?;
        Some((part, *self.counted(measured.days, None)))
    }

    pub fn this_sale(&self, wanted: &ThisSale) -> bool {
        let event = &self.input.event;
        let Some(sale) = self.input.purchase() else {
            return false;
        };
        wanted
            .channel
            .is_none_or(|channel| event.came_by(channel.channel()))
            && wanted
                .location
                .as_deref()
                .is_none_or(|wanted| event.location_id() == Some(wanted))
            && wanted.at_least.is_none_or(|least| sale.total >= least)
            && wanted.over.is_none_or(|over| sale.total > over)
            && wanted
                .category
                .as_deref()
                .is_none_or(|category| sale.lines.iter().any(|line| line.in_category(category)))
            && wanted.collection.as_deref().is_none_or(|collection| {
                sale.lines.iter().any(|line| line.in_collection(collection))
            })
            && wanted.from.is_none_or(|from| event.local.date() >= from)
            && wanted.until.is_none_or(|until| event.local.date() <= until)
    }

    /// How often something happened.
    pub fn happened(&self, counted: &Happened) -> i64 {
        let of = counted.fingerprint();
        let mut counts = self.remembered.counts.iter();
        let found = counts.find(|(known, _)| *known == of);
        found.map_or(0, |(_, count)| i64::from(*count))
    }

    pub fn sale_after(&self, wanted: &SaleAfter) -> bool {
        let of = wanted.fingerprint();
        let mut waits = self.remembered.waits.iter();
        self.input.purchase().is_some()
            && waits.any(|wait| wait.of == of && wait.bought_at == Some(self.input.now))
    }

    /// What is true of this event alone is over with it.
    pub fn only_now(&self, holds: bool) -> Verdict {
        Verdict::of(holds, if holds { self.input.now + 1 } else { NEVER })
    }

    pub fn channels(&self, wanted: &Channels) -> Verdict {
        // A channel counts until its last sale is too old.
        let until = |name: &ChannelName| {
            let last = self.input.totals.channel(name.channel()).last_at?;
            match wanted.days {
                Some(days) => {
                    Some(last + i64::from(days) * DAY).filter(|end| *end > self.input.now)
                }
                None => Some(NEVER),
            }
        };
        let ever = |name: &ChannelName| self.input.totals.channel(name.channel()).orders > 0;
        let bought: Option<Vec<_>> = wanted.bought.iter().map(until).collect();
        let any = wanted.bought_any.iter().filter_map(until).max();
        match (bought, any) {
            _ if wanted.never.iter().any(ever) => Verdict::for_ever(false),
            (None, _) => Verdict::for_ever(false),
            (_, None) if !wanted.bought_any.is_empty() => Verdict::for_ever(false),
            (Some(bought), any) => {
                Verdict::of(true, bought.into_iter().chain(any).min().unwrap_or(NEVER))
            }
        }
    }

    pub fn locations(&self, range: Range) -> Verdict {
        let visited = self
            .input
            .facts_of("location")
            .filter(|fact| fact.tally.orders > 0);
        let count = visited.count() as i64;
        match self.input.facts_truncated {
            false => Verdict::for_ever(range.holds(count)),
            // There may be more.
            true if count > range.most => Verdict::for_ever(false),
            true if count >= range.least && range.most == i64::MAX => Verdict::for_ever(true),
            true => Verdict::unknown(),
        }
    }
}

/// The share of the spend in basis points, rounded down.
pub fn share(part: &Tally, whole: &Tally) -> i64 {
    match whole.spend {
        ..=0 => 0,
        spend => (i128::from(part.spend) * 10_000 / i128::from(spend)) as i64,
    }
}

impl Quantity {
    pub fn of(self, tally: &Tally) -> i64 {
        match self {
            Quantity::Spend => tally.net_spend(),
            Quantity::Orders => tally.orders.into(),
        }
    }
}
