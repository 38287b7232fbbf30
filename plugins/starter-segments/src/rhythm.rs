//! When a customer buys: sliding spans of 7 days, calendar months, seasons. Pure, exact to the
//! millisecond, and small enough to be remembered for every customer. Nothing here knows segments.

use stampcard_sdk::types::{Instant, LocalTime};
use stampcard_sdk::{DAY, Date};

/// An instant that never comes: what cannot change by time alone changes then.
pub const NEVER: Instant = Instant::MAX;

/// The length of a span of the weekly rhythm, in milliseconds.
pub const SPAN_MS: i64 = 7 * DAY;

/// For so long after a sale its till may still void it, in milliseconds. Until then the sales
/// around it are remembered whole.
const VOID_MS: i64 = DAY;

/// The most visits that are remembered, whatever happened in the last 24 hours. 26 spans, the
/// most that a rule may ask for, need at most 54.
const VISITS_MAX: usize = 64;

/// The times of sales, oldest first, thinned to those that can decide a span.
///
/// A sale between two others that are no more than 7 days apart never decides: every span of
/// 7 days that holds it holds one of its neighbours too. Dropping it, again and again, leaves at
/// most two sales for every 7 days, and every answer as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visits(pub Vec<Instant>);

impl Visits {
    /// Remembers a sale. Sales come in the order of their times.
    pub fn add(&mut self, at: Instant) {
        self.0.push(at);
        self.thin(at - VOID_MS);
        if self.0.len() > VISITS_MAX {
            self.thin(at);
        }
    }

    /// Forgets a sale that was voided.
    pub fn remove(&mut self, at: Instant) {
        if let Some(found) = self.0.iter().rposition(|visit| *visit == at) {
            self.0.remove(found);
        }
    }

    /// Forgets what no span of the last `spans` can hold any more.
    pub fn prune(&mut self, now: Instant, spans: u32) {
        let horizon = now - i64::from(spans) * SPAN_MS;
        self.0.retain(|visit| *visit > horizon);
    }

    /// In how many of the last `spans` spans (T − 7 d, T], (T − 14 d, T − 7 d] … there is a sale.
    pub fn filled(&self, now: Instant, spans: u32) -> u32 {
        let mut seen = 0u64;
        for visit in &self.0 {
            let span = (now - visit) / SPAN_MS;
            if (0..i64::from(spans)).contains(&span) {
                seen |= 1 << span;
            }
        }
        seen.count_ones()
    }

    /// The first instant after now at which "a sale in every span" turns by time alone: false
    /// because a span runs empty, or true because a sale grows into an older span.
    pub fn turns_at(&self, now: Instant, spans: u32) -> Instant {
        if self.0.len() < spans as usize {
            return NEVER;
        }
        let full = self.filled(now, spans) == spans;
        let mut at = now;
        loop {
            let next = self.next_shift(at, spans);
            if next == NEVER || (self.filled(next, spans) == spans) != full {
                return next;
            }
            at = next;
        }
    }

    /// The first instant after `at` at which some sale passes into the next span.
    fn next_shift(&self, at: Instant, spans: u32) -> Instant {
        let ages = self.0.iter().map(|visit| (visit, (at - visit) / SPAN_MS));
        ages.filter(|(_, span)| *span < i64::from(spans))
            .map(|(visit, span)| visit + (span + 1) * SPAN_MS)
            .min()
            .unwrap_or(NEVER)
    }

    /// Drops the sales between two others, the later of them no younger than `settled_until`.
    fn thin(&mut self, settled_until: Instant) {
        let mut kept: Vec<Instant> = Vec::with_capacity(self.0.len());
        for &visit in &self.0 {
            while let [.., before, _between] = kept[..]
                && visit <= settled_until
                && visit - before <= SPAN_MS
            {
                kept.pop();
            }
            kept.push(visit);
        }
        self.0 = kept;
    }
}

/// In which calendar months there was a sale: the newest, and one bit for each month before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Months {
    /// Months since year 0.
    pub newest: i32,
    /// Bit n is the month n months before the newest.
    pub bought: u32,
    /// Sales in the newest month, so that a void can take one back.
    pub in_newest: u32,
}

impl Months {
    /// The month on a wall, counted since year 0.
    pub fn of(local: &LocalTime) -> i32 {
        local.year * 12 + i32::from(local.month) - 1
    }

    pub fn add(&mut self, month: i32) {
        let ahead = month - self.newest;
        if self.bought == 0 || ahead >= 32 {
            *self = Months {
                newest: month,
                bought: 1,
                in_newest: 1,
            };
        } else if ahead > 0 {
            *self = Months {
                newest: month,
                bought: self.bought << ahead | 1,
                in_newest: 1,
            };
        } else if ahead == 0 {
            self.bought |= 1;
            self.in_newest += 1;
        } else if ahead > -32 {
            // A location further west is still in the month before.
            self.bought |= 1 << -ahead;
        }
    }

    /// Takes a voided sale back. What it was alone in an older month stays: those months are only
    /// bits.
    pub fn remove(&mut self, month: i32) {
        if self.bought != 0 && month == self.newest {
            self.in_newest = self.in_newest.saturating_sub(1);
            if self.in_newest == 0 {
                self.bought &= !1;
            }
        }
    }

    /// How many months in a row have a sale, up to the present one. The present month counts as
    /// soon as it has a sale, and is not held against the customer before.
    pub fn in_a_row(&self, present: i32) -> u32 {
        match present - self.newest {
            ..=0 if self.bought & 1 == 0 => (self.bought >> 1).trailing_ones(),
            ..=1 => self.bought.trailing_ones(),
            _ => 0,
        }
    }

    /// An instant before which a row of months that is unbroken now does not break. Without a
    /// sale in the present month it breaks when the next begins; with one, a month later: that
    /// is at least 28 days, or an hour less where the clocks change.
    pub fn holds_until(&self, local: &LocalTime) -> Instant {
        let bought_now = self.newest >= Months::of(local) && self.bought & 1 == 1;
        match bought_now {
            true => local.next_month + 27 * DAY,
            false => local.next_month,
        }
    }
}

/// What a customer bought inside and outside of the windows of one seasonal rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeasonCount {
    pub inside: u32,
    pub outside: u32,
    /// Seasons with at least one sale.
    pub seasons: u32,
    /// The newest of them, as `year × 16 + window`.
    pub newest: i32,
    /// Sales in the newest, so that a void can take one back.
    pub in_newest: u32,
}

/// From a day of the year to another, both included, as (month, day). It may go over the turn of
/// the year.
pub type SeasonWindow = [(u8, u8); 2];

/// The most windows of one seasonal rule.
pub const WINDOWS_MAX: usize = 16;

impl SeasonCount {
    /// `season` is what [`season_of`] says of the day of the sale.
    pub fn add(&mut self, season: Option<i32>) {
        match season {
            None => self.outside += 1,
            Some(season) => {
                self.inside += 1;
                if self.seasons > 0 && self.newest == season {
                    self.in_newest += 1;
                } else {
                    self.seasons += 1;
                    self.newest = season;
                    self.in_newest = 1;
                }
            }
        }
    }

    pub fn remove(&mut self, season: Option<i32>) {
        match season {
            None => self.outside = self.outside.saturating_sub(1),
            Some(season) => {
                self.inside = self.inside.saturating_sub(1);
                if self.newest == season && self.in_newest > 0 {
                    self.in_newest -= 1;
                    if self.in_newest == 0 {
                        self.seasons -= 1;
                    }
                }
            }
        }
    }
}

/// The season that a day is in, as `year × 16 + window`: the year in which it began.
pub fn season_of(windows: impl IntoIterator<Item = SeasonWindow>, date: Date) -> Option<i32> {
    let day = (date.month, date.day);
    windows
        .into_iter()
        .enumerate()
        .find_map(|(index, [from, to])| {
            let year = if from <= to {
                (from <= day && day <= to).then_some(date.year)
            } else if day >= from {
                Some(date.year)
            } else {
                (day <= to).then_some(date.year - 1)
            };
            year.map(|year| year * WINDOWS_MAX as i32 + index as i32)
        })
}
