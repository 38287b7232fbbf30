//! What is true of one customer now, and until when it can stay so by time alone. Every condition
//! is judged to the millisecond. Nothing here writes, and nothing here finds words: see `words`.

use stampcard_sdk::prelude::*;

use crate::config::{BirthdayWhen, ChannelName, Channels, Condition, Measured, MeanGap, SaleAfter, Seasons, Silent, ThisSale};
use crate::memory::Remembered;
use crate::plan::{NodeRule, Plan, Quantity, Range, fingerprint, is_own_window};
use crate::rhythm::{Months, NEVER, SeasonCount};

/// Yes, no, or not to be known because the host had more facts than it may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    Yes,
    No,
    Unknown,
}

/// A truth, and the earliest instant after now at which time alone could change it. It may be
/// earlier than the true one, never later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub truth: Truth,
    pub turns_at: Instant,
}

/// One customer at one event.
pub struct Judge<'a> {
    pub plan: &'a Plan,
    pub input: &'a Input,
    pub remembered: &'a Remembered,
    /// What was judged already, because segments build on each other.
    verdicts: Vec<Option<Verdict>>,
}

impl<'a> Judge<'a> {
    pub fn new(plan: &'a Plan, input: &'a Input, remembered: &'a Remembered) -> Self {
        Judge { plan, input, remembered, verdicts: vec![None; plan.nodes.len()] }
    }

    /// Does the customer belong to this segment, or carry this tag, after this event?
    pub fn node(&mut self, index: usize) -> Verdict {
        if let Some(verdict) = self.verdicts[index] {
            return verdict;
        }
        let plan = self.plan;
        let node = &plan.nodes[index];
        let mut verdict = match &node.rule {
            NodeRule::When(condition) => self.condition(condition),
            NodeRule::Step { measure, scope, range } => {
                self.sales(*measure, scope.days, scope.channel, *range)
            }
        };
        let since = self.member_since(node.is_tag, &node.key);
        if !node.leaves && (verdict.truth == Truth::Yes || since.is_some()) {
            verdict = Verdict::for_ever(true);
        }
        if let Some(stays_ms) = node.stays_ms {
            let since = since.or((verdict.truth == Truth::Yes).then_some(self.input.now));
            verdict = match since.map(|since| since + stays_ms) {
                Some(end) if end > self.input.now => Verdict {
                    truth: Truth::Yes,
                    // Without a condition that holds longer it ends then.
                    turns_at: match verdict.truth {
                        Truth::Yes => verdict.turns_at.max(end),
                        _ => end,
                    },
                },
                _ => verdict,
            };
        }
        self.verdicts[index] = Some(verdict);
        verdict
    }

    /// Since when the customer has been in a segment, or some instant for a tag.
    pub fn member_since(&self, is_tag: bool, key: &str) -> Option<Instant> {
        let customer = &self.input.customer;
        match is_tag {
            true => customer.has_tag(key).then_some(customer.created_at),
            false => customer.segment(key).map(|membership| membership.since),
        }
    }

    pub fn condition(&mut self, condition: &Condition) -> Verdict {
        let customer = &self.input.customer;
        match condition {
            Condition::All(inner) => self.combine(inner, Truth::No),
            Condition::Any(inner) => self.combine(inner, Truth::Yes),
            Condition::Not(inner) => self.condition(inner).not(),
            Condition::Segment(key) => match self.plan.node(false, key) {
                Some(index) => self.node(index),
                None => Verdict::for_ever(self.in_other(key)),
            },
            Condition::Tag(tag) => match self.plan.node(true, tag) {
                Some(index) => self.node(index),
                None => Verdict::for_ever(customer.has_tag(tag)),
            },
            Condition::Spend(measured) => self.measured(Quantity::Spend, measured),
            Condition::Orders(measured) => self.measured(Quantity::Orders, measured),
            Condition::Share(measured) => self.share(measured),
            Condition::LargestSale(bounds) => {
                Verdict::for_ever(bounds.range().holds(self.input.totals.largest_sale))
            }
            Condition::ThisSale(wanted) => self.only_now(self.this_sale(wanted)),
            Condition::SaleAfter(wanted) => self.only_now(self.sale_after(wanted)),
            Condition::Channels(channels) => self.channels(channels),
            Condition::Crossed(crossing) => {
                let first = |name: ChannelName| {
                    self.input.totals.channel(name.channel()).first_at
                };
                Verdict::for_ever(match (first(crossing.from), first(crossing.to)) {
                    (Some(from), Some(to)) => from < to,
                    _ => false,
                })
            }
            Condition::EveryWeek(spans) => {
                let visits = &self.remembered.visits;
                let full = visits.filled(self.input.now, *spans) == *spans;
                Verdict::of(full, visits.turns_at(self.input.now, *spans))
            }
            Condition::EveryMonth(months) => self.every_month(*months),
            Condition::Seasons(seasons) => Verdict::for_ever(self.seasons(seasons)),
            Condition::MeanGap(gap) => Verdict::for_ever(self.mean_gap(gap)),
            Condition::Silent(silent) => self.silent(silent),
            Condition::Locations(bounds) => self.locations(bounds.range()),
            Condition::Balance(bounds) => Verdict::for_ever(bounds.range().holds(customer.balance)),
            Condition::Available(bounds) => {
                Verdict::for_ever(bounds.range().holds(customer.available))
            }
            Condition::Earned(bounds) => Verdict::for_ever(bounds.range().holds(customer.earned)),
            Condition::Tier(tiers) => {
                let tier = customer.tier_name();
                Verdict::for_ever(tiers.iter().any(|wanted| Some(wanted.as_str()) == tier))
            }
            Condition::Enrolled(wanted) => {
                Verdict::for_ever(customer.enrolled_at.is_some() == *wanted)
            }
            Condition::EnrolledDays(bounds) => match customer.enrolled_at {
                Some(since) => self.days_since(since, bounds.range()),
                None => Verdict::for_ever(false),
            },
            Condition::Consent(purpose) => Verdict::for_ever(customer.consents_to(purpose)),
            Condition::Birthday(when) => self.birthday(*when),
            Condition::BirthdayMonth(month) => {
                Verdict::for_ever(customer.birthday.is_some_and(|birthday| birthday.month == *month))
            }
            Condition::Language(wanted) => {
                Verdict::for_ever(customer.language.as_deref().is_some_and(|it| speaks(it, wanted)))
            }
            Condition::HomeLocation(wanted) => {
                Verdict::for_ever(customer.home_location.as_ref() == Some(wanted))
            }
            Condition::Origin(wanted) => Verdict::for_ever(customer.origin == *wanted),
        }
    }

    /// `all` is decided by the first no, `any` by the first yes. What is decided cannot turn
    /// before every condition that decides it has turned.
    fn combine(&mut self, inner: &[Condition], deciding: Truth) -> Verdict {
        let verdicts: Vec<_> = inner.iter().map(|condition| self.condition(condition)).collect();
        let turns = |verdict: &Verdict| verdict.turns_at;
        let decisive = verdicts.iter().filter(|verdict| verdict.truth == deciding);
        if let Some(turns_at) = decisive.map(turns).max() {
            return Verdict { truth: deciding, turns_at };
        }
        let unknown = verdicts.iter().any(|verdict| verdict.truth == Truth::Unknown);
        Verdict {
            truth: if unknown { Truth::Unknown } else { deciding.not() },
            turns_at: verdicts.iter().map(turns).min().unwrap_or(NEVER),
        }
    }

    /// A segment of another plugin, as far as this event has decided.
    fn in_other(&self, key: &str) -> bool {
        let so_far = &self.input.so_far;
        (self.input.customer.in_segment(key) || so_far.entered(key)) && !so_far.left(key)
    }

    // -------------------------------------------------------------- what was bought

    fn measured(&mut self, quantity: Quantity, measured: &Measured) -> Verdict {
        let range = measured.bounds().range();
        match measured.group() {
            Some((scope, key)) => match self.group(scope, key, measured.days) {
                Some(tally) => self.tally(quantity, &tally, measured.days, range),
                None => Verdict::unknown(),
            },
            None => self.sales(quantity, measured.days, measured.channel, range),
        }
    }

    fn sales(
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
        self.own_parts(quantity, days, channel).map(|(_, part)| part).sum()
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

    fn share(&self, measured: &Measured) -> Verdict {
        let Some((part, whole)) = self.part_and_whole(measured) else {
            return Verdict::unknown();
        };
        let range = measured.bounds().range();
        let leaves = |tally: &Tally| match (measured.days, tally.first_at) {
            (Some(days), Some(first)) => first + i64::from(days) * DAY,
            _ => NEVER,
        };
        Verdict::of(range.holds(share(&part, &whole)), leaves(&part).min(leaves(&whole)))
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
        wanted.channel.is_none_or(|channel| event.came_by(channel.channel()))
            && wanted.location.as_deref().is_none_or(|wanted| event.location_id() == Some(wanted))
            && wanted.at_least.is_none_or(|least| sale.total >= least)
            && wanted.over.is_none_or(|over| sale.total > over)
    }

    fn sale_after(&self, wanted: &SaleAfter) -> bool {
        let of = wanted.fingerprint();
        let mut waits = self.remembered.waits.iter();
        self.input.purchase().is_some()
            && waits.any(|wait| wait.of == of && wait.bought_at == Some(self.input.now))
    }

    /// What is true of this event alone is over with it.
    fn only_now(&self, holds: bool) -> Verdict {
        Verdict::of(holds, if holds { self.input.now + 1 } else { NEVER })
    }

    fn channels(&self, wanted: &Channels) -> Verdict {
        // A channel counts until its last sale is too old.
        let until = |name: &ChannelName| {
            let last = self.input.totals.channel(name.channel()).last_at?;
            match wanted.days {
                Some(days) => Some(last + i64::from(days) * DAY).filter(|end| *end > self.input.now),
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

    fn locations(&self, range: Range) -> Verdict {
        let visited = self.input.facts_of("location").filter(|fact| fact.tally.orders > 0);
        let count = visited.count() as i64;
        match self.input.facts_truncated {
            false => Verdict::for_ever(range.holds(count)),
            // There may be more.
            true if count > range.most => Verdict::for_ever(false),
            true if count >= range.least && range.most == i64::MAX => Verdict::for_ever(true),
            true => Verdict::unknown(),
        }
    }

    // ------------------------------------------------------------------ when it was

    fn every_month(&self, wanted: u32) -> Verdict {
        let local = &self.input.event.local;
        let months = &self.remembered.months;
        match months.in_a_row(Months::of(local)) >= wanted {
            true => Verdict::of(true, months.holds_until(local)),
            false => Verdict::for_ever(false),
        }
    }

    fn seasons(&self, wanted: &Seasons) -> bool {
        let count = self.season_count(wanted);
        count.seasons >= wanted.seasons
            && count.inside >= wanted.orders
            && (count.outside == 0 || !wanted.only)
    }

    pub fn season_count(&self, wanted: &Seasons) -> SeasonCount {
        let plan = fingerprint(&wanted.days());
        let mut known = self.remembered.seasons.iter();
        known.find(|(of, _)| *of == plan).map_or_else(SeasonCount::default, |(_, count)| *count)
    }

    fn mean_gap(&self, wanted: &MeanGap) -> bool {
        let bought = &self.input.totals.lifetime;
        match (bought.first_at, bought.last_at) {
            (Some(first), Some(last)) if bought.orders >= wanted.orders => {
                last - first <= i64::from(wanted.at_most_days) * DAY * i64::from(bought.orders - 1)
            }
            _ => false,
        }
    }

    fn silent(&self, wanted: &Silent) -> Verdict {
        let Some(last) = self.input.totals.lifetime.last_at else {
            return Verdict::for_ever(false);
        };
        if !wanted.after_orders.is_none_or(|orders| self.active(wanted) >= orders) {
            return Verdict::for_ever(false);
        }
        let silent_at = last + i64::from(wanted.days) * DAY;
        match silent_at <= self.input.now {
            true => Verdict::for_ever(true),
            false => Verdict::of(false, silent_at),
        }
    }

    /// How many sales there were in the window that ended with the last one.
    fn active(&self, wanted: &Silent) -> u32 {
        let mut remembered = self.remembered.active.iter();
        match remembered.find(|(days, _)| *days == wanted.within_days) {
            Some((_, orders)) => *orders,
            // Nobody bought since the plugin came: what the host still counts is all there is.
            None => self.counted(Some(wanted.within_days), None).orders,
        }
    }

    fn days_since(&self, since: Instant, range: Range) -> Verdict {
        let days = (self.input.now - since).div_euclid(DAY);
        let ends = [range.least, range.most.saturating_add(1)].into_iter();
        let next = ends.filter(|day| *day > days && *day < i64::MAX).min();
        Verdict::of(range.holds(days), next.map_or(NEVER, |day| since.saturating_add(day.saturating_mul(DAY))))
    }

    fn birthday(&self, when: BirthdayWhen) -> Verdict {
        let local = &self.input.event.local;
        let Some(birthday) = self.input.customer.birthday else {
            return Verdict::for_ever(false);
        };
        match when {
            BirthdayWhen::Today if birthday.today => Verdict::of(true, local.next_day),
            BirthdayWhen::Today => Verdict::of(false, birthday.next),
            BirthdayWhen::ThisMonth if birthday.month == local.month => {
                Verdict::of(true, local.next_month)
            }
            BirthdayWhen::ThisMonth => {
                // The month begins so many days before; an hour early, because the clocks may
                // change in it, and then we look again.
                let begins = birthday.next - i64::from(birthday.day - 1) * DAY - stampcard_sdk::HOUR;
                Verdict::of(false, begins.max(local.next_month))
            }
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

impl Range {
    pub fn holds(self, number: i64) -> bool {
        (self.least..=self.most).contains(&number)
    }
}

impl Truth {
    fn not(self) -> Truth {
        match self {
            Truth::Yes => Truth::No,
            Truth::No => Truth::Yes,
            Truth::Unknown => Truth::Unknown,
        }
    }
}

impl Verdict {
    fn of(holds: bool, turns_at: Instant) -> Verdict {
        Verdict { truth: if holds { Truth::Yes } else { Truth::No }, turns_at }
    }

    /// What time alone doesn't change.
    fn for_ever(holds: bool) -> Verdict {
        Verdict::of(holds, NEVER)
    }

    fn unknown() -> Verdict {
        Verdict { truth: Truth::Unknown, turns_at: NEVER }
    }

    fn not(self) -> Verdict {
        Verdict { truth: self.truth.not(), ..self }
    }
}

/// "fr-CA" speaks "fr".
fn speaks(language: &str, wanted: &str) -> bool {
    let rest = language.get(..wanted.len()).filter(|it| it.eq_ignore_ascii_case(wanted));
    rest.is_some() && matches!(language.as_bytes().get(wanted.len()), None | Some(b'-'))
}
