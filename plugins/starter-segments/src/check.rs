//! One pass over all conditions before they go live: what they need, what they name, and what is
//! wrong with them. Nothing here looks at a customer.

use stampcard_sdk::prelude::*;

use crate::config::{
    Bounds, ChannelName, Condition, Config, Happened, Ladder, Measured, Segment, Tag, ThisSale,
};
use crate::plan::{Needs, Range, fingerprint, is_own_window, refuse};
use crate::rhythm::WINDOWS_MAX;

/// The most spans of 7 days and the most months that a rhythm may ask for: half a year of weeks,
/// two years of months. What is remembered for each customer grows with them.
const SPANS_MAX: u32 = 26;
const MONTHS_MAX: u32 = 24;
/// The longest window that this plugin counts itself, in days.
const LEDGER_DAYS_MAX: u32 = 730;

/// The most kinds of events that are counted: each takes up to ten bytes of every customer.
const COUNTS_MAX: u32 = 50;

/// Refuses what cannot be, with its place, and says what has to be remembered for the rest.
pub fn check(config: &Config) -> Result<Needs> {
    let mut walk = Walk::over(config);
    for (key, segment) in &config.segments {
        walk.segment(&format!("segments.{key}"), segment)?;
    }
    for (key, tag) in &config.tags {
        walk.tag(&format!("tags.{key}"), tag)?;
    }
    let mut others = config.others.iter();
    if let Some(key) = others.find(|key| config.segments.contains_key(*key)) {
        return refuse("others", format!("{key:?} is a segment of this plugin"));
    }
    walk.no_cycle()?;
    Ok(walk.needs)
}

struct Walk<'a> {
    config: &'a Config,
    needs: Needs,
    /// For each segment, then for each tag, which of them it names.
    names: Vec<Vec<usize>>,
    /// The condition at hand names `this_sale` or `sale_after`.
    fleeting: bool,
}

impl<'a> Walk<'a> {
    fn over(config: &'a Config) -> Self {
        Walk {
            config,
            needs: Needs::default(),
            names: Vec::new(),
            fleeting: false,
        }
    }

    fn begin(&mut self) {
        self.names.push(Vec::new());
        self.fleeting = false;
    }

    fn segment(&mut self, place: &str, segment: &Segment) -> Result<()> {
        self.begin();
        match (&segment.when, &segment.step) {
            (Some(condition), None) => self.condition(place, condition)?,
            (None, Some(step)) => {
                let Some(ladder) = self.config.ladders.get(&step.ladder) else {
                    return refuse(place, format!("there is no ladder {:?}", step.ladder));
                };
                if step.over.is_some() && step.at_least.is_some() {
                    return refuse(place, "a step has `over` or `at_least`, not both");
                }
                if !segment.leaves || segment.stays_days.is_some() {
                    return refuse(
                        place,
                        "a step of a ladder is left as soon as another is reached",
                    );
                }
                self.ladder(place, ladder)?;
            }
            _ => return refuse(place, "say either `when = …` or `step = …`"),
        }
        if !segment.leaves && segment.stays_days.is_some() {
            return refuse(place, "nobody leaves it, so `stays_days` says nothing");
        }
        if self.fleeting && segment.leaves && segment.stays_days.is_none() {
            return refuse(
                place,
                "one sale is over at once; say `leaves = false` or `stays_days = …`",
            );
        }
        Ok(())
    }

    fn tag(&mut self, place: &str, tag: &Tag) -> Result<()> {
        self.begin();
        self.condition(place, &tag.when)?;
        match self.fleeting && tag.leaves {
            true => refuse(place, "one sale is over at once; say `leaves = false`"),
            false => Ok(()),
        }
    }

    fn ladder(&mut self, place: &str, ladder: &Ladder) -> Result<()> {
        for scope in [&ladder.spend, &ladder.orders].into_iter().flatten() {
            self.window(place, scope.days, scope.channel)?;
        }
        Ok(())
    }

    fn condition(&mut self, place: &str, condition: &Condition) -> Result<()> {
        match condition {
            Condition::All(inner) | Condition::Any(inner) => {
                if inner.is_empty() {
                    return refuse(place, "`all` and `any` need at least one condition");
                }
                for condition in inner {
                    self.condition(place, condition)?;
                }
                Ok(())
            }
            Condition::Not(inner) => self.condition(place, inner),
            Condition::Segment(key) => self.names_segment(place, key),
            Condition::Tag(tag) => {
                if let Some(index) = self.config.tags.keys().position(|known| known == tag) {
                    self.name(self.config.segments.len() + index);
                }
                Ok(())
            }
            Condition::Spend(measured) | Condition::Orders(measured) => {
                self.measured(place, measured)
            }
            Condition::Share(measured) => {
                if measured.group().is_none() {
                    return refuse(
                        place,
                        "a share needs a location, a category or a collection",
                    );
                }
                self.measured(place, measured)
            }
            Condition::LargestSale(bounds) => self.bounds(place, bounds),
            Condition::Locations(bounds) => {
                self.facts(place, "location")?;
                self.bounds(place, bounds)
            }
            Condition::EnrolledDays(bounds) => self.bounds(place, bounds),
            Condition::Balance(bounds)
            | Condition::Available(bounds)
            | Condition::Earned(bounds) => {
                self.needs.standing = true;
                self.bounds(place, bounds)
            }
            Condition::Tier(_) => {
                self.needs.standing = true;
                Ok(())
            }
            Condition::ThisSale(sale) => {
                self.fleeting = true;
                this_sale(place, sale)
            }
            Condition::Distance(distance) if distance.location.is_empty() => {
                refuse(place, "distance.location must name a location")
            }
            Condition::Distance(distance) => self.bounds(place, &distance.bounds()),
            Condition::Events(counted) => self.events(place, counted),
            Condition::SaleAfter(wanted) => {
                self.fleeting = true;
                if !self.needs.awaited.contains(wanted) {
                    self.needs.awaited.push(wanted.clone());
                }
                within(
                    place,
                    "sale_after.within_days",
                    wanted.within_days,
                    LEDGER_DAYS_MAX,
                )
            }
            Condition::Channels(channels) => {
                let [bought, any, never] =
                    [&channels.bought, &channels.bought_any, &channels.never];
                match bought.is_empty() && any.is_empty() && never.is_empty() {
                    true => refuse(place, "channels needs `bought`, `bought_any` or `never`"),
                    false => Ok(()),
                }
            }
            Condition::EveryWeek(spans) => {
                self.needs.spans = self.needs.spans.max(*spans);
                within(place, "every_week", *spans, SPANS_MAX)
            }
            Condition::EveryMonth(months) => {
                self.needs.months = true;
                within(place, "every_month", *months, MONTHS_MAX)
            }
            Condition::Seasons(seasons) => {
                let windows = seasons.days();
                within(
                    place,
                    "seasons.windows",
                    windows.len() as u32,
                    WINDOWS_MAX as u32,
                )?;
                let plan = fingerprint(&windows);
                if self.needs.seasons.iter().all(|(known, _)| *known != plan) {
                    self.needs.seasons.push((plan, windows));
                }
                Ok(())
            }
            Condition::Silent(silent) if silent.after_orders.is_some() => {
                let days = silent.within_days;
                if !self.needs.active_days.contains(&days) {
                    self.needs.active_days.push(days);
                }
                host_window(place, "silent.within_days", days)
            }
            Condition::Field(field) if field.key.is_empty() => {
                refuse(place, "field.key must name a field of [[profile.fields]]")
            }
            Condition::Field(field)
                if field.is.as_ref().is_some_and(|is| is.values().is_empty()) =>
            {
                refuse(place, "field.is must have a value, or be left out")
            }
            Condition::BirthdayMonth(month) => within(place, "birthday_month", (*month).into(), 12),
            Condition::MeanGap(gap) => within(
                place,
                "mean_gap.orders, less one,",
                gap.orders.saturating_sub(1),
                u32::MAX,
            ),
            Condition::Silent(_)
            | Condition::Crossed(_)
            | Condition::Enrolled(_)
            | Condition::Consent(_)
            | Condition::Birthday(_)
            | Condition::Language(_)
            | Condition::HomeLocation(_)
            | Condition::Field(_)
            | Condition::Origin(_) => Ok(()),
        }
    }

    fn measured(&mut self, place: &str, measured: &Measured) -> Result<()> {
        self.bounds(place, &measured.bounds())?;
        let named = [&measured.location, &measured.category, &measured.collection];
        let groups = named.into_iter().flatten().count() + usize::from(measured.channel.is_some());
        if groups > 1 {
            return refuse(
                place,
                "one of channel, location, category and collection, not several",
            );
        }
        match measured.group() {
            None => self.window(place, measured.days, measured.channel),
            Some((scope, _)) => {
                self.facts(place, scope)?;
                match measured.days {
                    None => Ok(()),
                    Some(_) => refuse(
                        place,
                        "days do not go with a location, category or collection: \
                         those are counted over the customer's whole life",
                    ),
                }
            }
        }
    }

    fn window(
        &mut self,
        place: &str,
        days: Option<u32>,
        channel: Option<ChannelName>,
    ) -> Result<()> {
        let Some(days) = days else {
            return Ok(());
        };
        self.needs.often = true;
        if is_own_window(Some(days), channel) {
            self.needs.ledger_days = self.needs.ledger_days.max(days);
        }
        within(place, "days", days, LEDGER_DAYS_MAX)
    }

    fn bounds(&mut self, place: &str, bounds: &Bounds) -> Result<()> {
        let range = bounds.range();
        if range
            == (Range {
                least: i64::MIN,
                most: i64::MAX,
            })
        {
            return refuse(
                place,
                "a bound is missing: at_least, over, at_most, under or exactly",
            );
        }
        match range.least > range.most {
            true => refuse(place, "no number is within these bounds"),
            false => Ok(()),
        }
    }

    fn events(&mut self, place: &str, counted: &Happened) -> Result<()> {
        if counted.attribute_at_least.is_some() && counted.attribute.is_none() {
            return refuse(
                place,
                "attribute_at_least needs `attribute`, such as \"rating\"",
            );
        }
        let of = counted.fingerprint();
        if self.needs.counted.iter().all(|it| it.fingerprint() != of) {
            self.needs.counted.push(counted.clone());
        }
        within(
            place,
            "the number of counts",
            self.needs.counted.len() as u32,
            COUNTS_MAX,
        )?;
        self.bounds(place, &counted.bounds())
    }

    fn facts(&self, place: &str, scope: &str) -> Result<()> {
        match self.config.facts.iter().any(|asked| asked == scope) {
            true => Ok(()),
            false => refuse(
                place,
                format!("it needs facts by {scope}; add {scope:?} to `facts`"),
            ),
        }
    }

    fn names_segment(&mut self, place: &str, key: &str) -> Result<()> {
        match self.config.segments.keys().position(|known| known == key) {
            Some(index) => {
                self.name(index);
                Ok(())
            }
            None if self.config.others.iter().any(|other| other == key) => Ok(()),
            None => refuse(
                place,
                format!(
                    "there is no segment {key:?}; if another plugin has it, add it to `others`"
                ),
            ),
        }
    }

    fn name(&mut self, index: usize) {
        if let Some(names) = self.names.last_mut() {
            names.push(index);
        }
    }

    /// Segments may build on each other, but not in a circle.
    fn no_cycle(&self) -> Result<()> {
        let mut done = vec![false; self.names.len()];
        for start in 0..self.names.len() {
            self.descend(start, &mut Vec::new(), &mut done)?;
        }
        Ok(())
    }

    fn descend(&self, at: usize, path: &mut Vec<usize>, done: &mut [bool]) -> Result<()> {
        if let Some(begin) = path.iter().position(|passed| *passed == at) {
            let circle = path[begin..]
                .iter()
                .chain([&at])
                .map(|index| self.key(*index));
            let circle: Vec<_> = circle.collect();
            return refuse(
                "segments",
                format!("they go in a circle: {}", circle.join(" → ")),
            );
        }
        if done[at] {
            return Ok(());
        }
        path.push(at);
        for next in &self.names[at] {
            self.descend(*next, path, done)?;
        }
        path.pop();
        done[at] = true;
        Ok(())
    }

    fn key(&self, index: usize) -> &str {
        let mut keys = self.config.segments.keys().chain(self.config.tags.keys());
        keys.nth(index).map_or("", String::as_str)
    }
}

fn this_sale(place: &str, sale: &ThisSale) -> Result<()> {
    if sale.at_least.is_some() && sale.over.is_some() {
        return refuse(place, "this_sale has `over` or `at_least`, not both");
    }
    match (sale.from, sale.until) {
        (Some(from), Some(until)) if until < from => {
            refuse(place, format!("this_sale ends on {until}, before {from}"))
        }
        _ => Ok(()),
    }
}

fn within(place: &str, what: &str, number: u32, most: u32) -> Result<()> {
    match (1..=most).contains(&number) {
        true => Ok(()),
        false => refuse(
            place,
            format!("{what} is {number}; it must be from 1 to {most}"),
        ),
    }
}

fn host_window(place: &str, what: &str, days: u32) -> Result<()> {
    match Totals::WINDOWS.contains(&days) {
        true => Ok(()),
        false => refuse(
            place,
            format!("{what} is {days}; it must be 7, 30, 90 or 365 here"),
        ),
    }
}
