//! The configuration, checked and put in order. What a schema cannot say is refused here, with
//! the place and what to write instead. Nothing here looks at a customer.

use stampcard_sdk::prelude::*;

use crate::config::{
    Bounds, ChannelName, Condition, Config, Ladder, Measured, SaleAfter, Scope, Seasons,
    Segment, Zero,
};
use crate::rhythm::WINDOWS_MAX;

/// The most spans of 7 days and the most months that a rhythm may ask for: half a year of weeks,
/// two years of months. What is remembered for each customer grows with them.
pub const SPANS_MAX: u32 = 26;
pub const MONTHS_MAX: u32 = 24;
/// The longest window that this plugin counts itself, in days.
pub const LEDGER_DAYS_MAX: u32 = 730;

/// What the rule does, ready for any customer.
#[derive(Debug)]
pub struct Plan {
    pub shop: Shop,
    /// Segments first, by key, then tags.
    pub nodes: Vec<Node>,
    pub needs: Needs,
}

/// A segment or a tag.
#[derive(Debug)]
pub struct Node {
    pub key: String,
    pub is_tag: bool,
    pub rule: NodeRule,
    pub leaves: bool,
    /// How long whoever enters stays at least, in milliseconds.
    pub stays_ms: Option<i64>,
}

#[derive(Debug)]
pub enum NodeRule {
    When(Condition),
    Step { measure: Quantity, scope: Scope, range: Range },
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    Spend,
    Orders,
}

/// Both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub least: i64,
    pub most: i64,
}

/// What has to be remembered for the rules that are configured.
#[derive(Debug, Default)]
pub struct Needs {
    /// The longest weekly rhythm, in spans; 0 if there is none.
    pub spans: u32,
    pub months: bool,
    /// The windows of each seasonal rule, by fingerprint.
    pub seasons: Vec<(u32, Vec<[(u8, u8); 2]>)>,
    /// The longest window that the host doesn't count, in days; 0 if there is none.
    pub ledger_days: u32,
    pub active_days: Vec<u32>,
    /// The sales that are waited for after something else happened.
    pub awaited: Vec<SaleAfter>,
    /// Something depends on the balance or the tier, which this event may move after us.
    pub standing: bool,
    /// Something can change by time alone as often as the customer buys.
    pub often: bool,
}

impl Plan {
    pub fn new(config: Config, shop: &Shop) -> Result<Plan> {
        let mut walk = Walk::over(&config);
        for (key, segment) in &config.segments {
            let place = format!("segments.{key}");
            walk.segment(&place, segment)?;
        }
        for (key, tag) in &config.tags {
            let place = format!("tags.{key}");
            walk.begin();
            walk.condition(&place, &tag.when)?;
            if walk.fleeting && tag.leaves {
                return refuse(&place, "one sale is over at once; say `leaves = false`");
            }
        }
        if let Some(key) = config.others.iter().find(|key| config.segments.contains_key(*key)) {
            return refuse("others", format!("{key:?} is a segment of this plugin"));
        }
        walk.no_cycle()?;
        let needs = walk.needs;
        let ladders = ladder_steps(&config)?;
        Ok(Plan { shop: shop.clone(), nodes: nodes(config, ladders), needs })
    }

    pub fn node(&self, is_tag: bool, key: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.is_tag == is_tag && node.key == key)
    }
}

impl Bounds {
    /// The integers within the bounds.
    pub fn range(&self) -> Range {
        let over = self.over.map(|over| over.saturating_add(1));
        let under = self.under.map(|under| under.saturating_sub(1));
        Range {
            least: self.at_least.max(over).max(self.exactly).unwrap_or(i64::MIN),
            most: [self.at_most, under, self.exactly].into_iter().flatten().min().unwrap_or(i64::MAX),
        }
    }
}

impl Measured {
    pub fn bounds(&self) -> Bounds {
        Bounds {
            at_least: self.at_least,
            over: self.over,
            at_most: self.at_most,
            under: self.under,
            exactly: self.exactly,
        }
    }

    /// The scope and the key of the facts that it asks for, if it is about a group.
    pub fn group(&self) -> Option<(&'static str, &str)> {
        let named = [
            ("location", &self.location),
            ("category", &self.category),
            ("collection", &self.collection),
        ];
        named.into_iter().find_map(|(scope, key)| Some((scope, key.as_deref()?)))
    }
}

impl Seasons {
    /// The windows as (month, day) pairs.
    pub fn days(&self) -> Vec<[(u8, u8); 2]> {
        let days = self.windows.iter().map(|window| {
            [window.from, window.to].map(|it| (it.month, it.day))
        });
        days.collect()
    }
}

/// True if the host doesn't count this window of this channel, so that we have to.
pub fn is_own_window(days: Option<u32>, channel: Option<ChannelName>) -> bool {
    days.is_some_and(|days| channel.is_some() || !Totals::WINDOWS.contains(&days))
}

/// Names the windows of a seasonal rule by what they are.
pub fn fingerprint(windows: &[[(u8, u8); 2]]) -> u32 {
    hash(windows.iter().flatten().flat_map(|(month, day)| [*month, *day]))
}

impl SaleAfter {
    /// Names the wait by what is waited for, so that a changed rule starts to wait anew.
    pub fn fingerprint(&self) -> u32 {
        let channel = self.channel.map_or("", |channel| channel.channel().name());
        let days = self.within_days.to_le_bytes();
        hash(self.event.bytes().chain([0]).chain(channel.bytes()).chain(days))
    }
}

/// FNV-1a: a short name for what a rule is about. It guards nothing.
fn hash(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn refuse<T>(place: &str, problem: impl AsRef<str>) -> Result<T> {
    Err(Refusal::rejected(format!("{place}: {}", problem.as_ref())))
}

fn nodes(config: Config, ladders: Vec<(String, Quantity, Scope, Range)>) -> Vec<Node> {
    let segments = config.segments.into_iter().map(|(key, segment)| {
        let step = ladders.iter().find(|(of, ..)| *of == key);
        let rule = match (step, segment.when) {
            (Some((_, measure, scope, range)), _) => {
                NodeRule::Step { measure: *measure, scope: scope.clone(), range: *range }
            }
            (None, when) => NodeRule::When(when.unwrap_or(Condition::Any(Vec::new()))),
        };
        let stays_ms = segment.stays_days.map(|days| i64::from(days) * DAY);
        Node { key, is_tag: false, rule, leaves: segment.leaves, stays_ms }
    });
    let tags = config.tags.into_iter().map(|(key, tag)| Node {
        key,
        is_tag: true,
        rule: NodeRule::When(tag.when),
        leaves: tag.leaves,
        stays_ms: None,
    });
    segments.chain(tags).collect()
}

/// Every step with the range from its threshold to just below the next one: no gap, no overlap.
fn ladder_steps(config: &Config) -> Result<Vec<(String, Quantity, Scope, Range)>> {
    let mut all = Vec::new();
    for (name, ladder) in &config.ladders {
        let place = format!("ladders.{name}");
        let (measure, scope) = match (&ladder.spend, &ladder.orders) {
            (Some(scope), None) => (Quantity::Spend, scope),
            (None, Some(scope)) => (Quantity::Orders, scope),
            _ => return refuse(&place, "say either `spend = {}` or `orders = {}`"),
        };
        let mut steps = Vec::new();
        for (key, segment) in &config.segments {
            if let Some(step) = segment.step.as_ref().filter(|step| step.ladder == *name) {
                let bounds = Bounds { at_least: step.at_least, over: step.over, ..Bounds::default() };
                steps.push((bounds.range().least, key.clone()));
            }
        }
        steps.sort();
        check_steps(&place, &steps)?;
        if ladder.zero == Zero::Outside {
            steps[0].0 = 1;
            if let Some((1, key)) = steps.get(1) {
                return refuse(&place, format!("{key:?} leaves nothing for the lowest step"));
            }
        }
        let tops = steps[1..].iter().map(|(least, _)| least - 1).chain([i64::MAX]);
        let ranges: Vec<_> = steps.iter().map(|(least, _)| *least).zip(tops).collect();
        for ((_, key), (least, most)) in steps.into_iter().zip(ranges) {
            all.push((key, measure, scope.clone(), Range { least, most }));
        }
    }
    Ok(all)
}

fn check_steps(place: &str, steps: &[(i64, String)]) -> Result<()> {
    let [(lowest, _), higher @ ..] = steps else {
        return refuse(place, "no segment is a step of it");
    };
    if *lowest != i64::MIN {
        return refuse(place, "the lowest step must have no threshold, so that there is no gap");
    }
    for (least, key) in higher {
        match least {
            &i64::MIN => {
                return refuse(place, format!("{key:?} is a second step without a threshold"));
            }
            ..=0 => return refuse(place, format!("the threshold of {key:?} is below zero")),
            _ => {}
        }
    }
    match higher.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => refuse(
            place,
            format!("{:?} and {:?} have the same threshold", pair[0].1, pair[1].1),
        ),
        None => Ok(()),
    }
}

/// One pass over all conditions: what they need, what they name, and what is wrong with them.
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
        Walk { config, needs: Needs::default(), names: Vec::new(), fleeting: false }
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
                    return refuse(place, "a step of a ladder is left as soon as another is reached");
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
                    return refuse(place, "a share needs a location, a category or a collection");
                }
                self.measured(place, measured)
            }
            Condition::LargestSale(bounds) => self.bounds(place, bounds),
            Condition::Locations(bounds) => {
                self.facts(place, "location")?;
                self.bounds(place, bounds)
            }
            Condition::EnrolledDays(bounds) => self.bounds(place, bounds),
            Condition::Balance(bounds) | Condition::Available(bounds) | Condition::Earned(bounds) => {
                self.needs.standing = true;
                self.bounds(place, bounds)
            }
            Condition::Tier(_) => {
                self.needs.standing = true;
                Ok(())
            }
            Condition::ThisSale(sale) => {
                self.fleeting = true;
                match sale.at_least.is_some() && sale.over.is_some() {
                    true => refuse(place, "this_sale has `over` or `at_least`, not both"),
                    false => Ok(()),
                }
            }
            Condition::SaleAfter(wanted) => {
                self.fleeting = true;
                if !self.needs.awaited.contains(wanted) {
                    self.needs.awaited.push(wanted.clone());
                }
                within(place, "sale_after.within_days", wanted.within_days, LEDGER_DAYS_MAX)
            }
            Condition::Channels(channels) => {
                let [bought, any, never] = [&channels.bought, &channels.bought_any, &channels.never];
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
                within(place, "seasons.windows", windows.len() as u32, WINDOWS_MAX as u32)?;
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
            Condition::BirthdayMonth(month) => within(place, "birthday_month", (*month).into(), 12),
            Condition::MeanGap(gap) => within(place, "mean_gap.orders, less one,", gap.orders.saturating_sub(1), u32::MAX),
            Condition::Silent(_)
            | Condition::Crossed(_)
            | Condition::Enrolled(_)
            | Condition::Consent(_)
            | Condition::Birthday(_)
            | Condition::Language(_)
            | Condition::HomeLocation(_)
            | Condition::Origin(_) => Ok(()),
        }
    }

    fn measured(&mut self, place: &str, measured: &Measured) -> Result<()> {
        self.bounds(place, &measured.bounds())?;
        let named = [&measured.location, &measured.category, &measured.collection];
        let groups = named.into_iter().flatten().count() + usize::from(measured.channel.is_some());
        if groups > 1 {
            return refuse(place, "one of channel, location, category and collection, not several");
        }
        match measured.group() {
            None => self.window(place, measured.days, measured.channel),
            Some((scope, _)) => {
                self.facts(place, scope)?;
                match measured.days {
                    None => Ok(()),
                    Some(days) => {
                        self.needs.often = true;
                        host_window(place, "days", days)
                    }
                }
            }
        }
    }

    fn window(&mut self, place: &str, days: Option<u32>, channel: Option<ChannelName>) -> Result<()> {
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
        if range == (Range { least: i64::MIN, most: i64::MAX }) {
            return refuse(place, "a bound is missing: at_least, over, at_most, under or exactly");
        }
        match range.least > range.most {
            true => refuse(place, "no number is within these bounds"),
            false => Ok(()),
        }
    }

    fn facts(&self, place: &str, scope: &str) -> Result<()> {
        match self.config.facts.iter().any(|asked| asked == scope) {
            true => Ok(()),
            false => refuse(place, format!("it needs facts by {scope}; add {scope:?} to `facts`")),
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
                format!("there is no segment {key:?}; if another plugin has it, add it to `others`"),
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
            let circle = path[begin..].iter().chain([&at]).map(|index| self.key(*index));
            let circle: Vec<_> = circle.collect();
            return refuse("segments", format!("they go in a circle: {}", circle.join(" → ")));
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

fn within(place: &str, what: &str, number: u32, most: u32) -> Result<()> {
    match (1..=most).contains(&number) {
        true => Ok(()),
        false => refuse(place, format!("{what} is {number}; it must be from 1 to {most}")),
    }
}

fn host_window(place: &str, what: &str, days: u32) -> Result<()> {
    match Totals::WINDOWS.contains(&days) {
        true => Ok(()),
        false => refuse(place, format!("{what} is {days}; it must be 7, 30, 90 or 365 here")),
    }
}
