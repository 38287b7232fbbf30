//! Conditions on when a customer buys or has a day of their own. Nothing here knows how conditions
//! come together.

use stampcard_sdk::prelude::*;

use crate::config::{BirthdayWhen, MeanGap, Seasons, Silent};
use crate::judge::{Judge, Verdict};
use crate::plan::{Range, fingerprint};
use crate::rhythm::{Months, NEVER, SeasonCount};

impl Judge<'_> {
    pub fn every_month(&self, wanted: u32) -> Verdict {
        let local = &self.input.event.local;
        let months = &self.remembered.months;
        match months.in_a_row(Months::of(local)) >= wanted {
            true => Verdict::of(true, months.holds_until(local)),
            false => Verdict::for_ever(false),
        }
    }

    pub fn seasons(&self, wanted: &Seasons) -> bool {
        let count = self.season_count(wanted);
        count.seasons >= wanted.seasons
            && count.inside >= wanted.orders
            && (count.outside == 0 || !wanted.only)
    }

    pub fn season_count(&self, wanted: &Seasons) -> SeasonCount {
        let plan = fingerprint(&wanted.days());
        let mut known = self.remembered.seasons.iter();
        known
            .find(|(of, _)| *of == plan)
            .map_or_else(SeasonCount::default, |(_, count)| *count)
    }

    pub fn mean_gap(&self, wanted: &MeanGap) -> bool {
        let bought = &self.input.totals.lifetime;
        match (bought.first_at, bought.last_at) {
            (Some(first), Some(last)) if bought.orders >= wanted.orders => {
                last - first <= i64::from(wanted.at_most_days) * DAY * i64::from(bought.orders - 1)
            }
            _ => false,
        }
    }

    pub fn silent(&self, wanted: &Silent) -> Verdict {
        let Some(last) = self.input.totals.lifetime.last_at else {
            return Verdict::for_ever(false);
        };
        let quiet_before = |orders: u32| self.active(wanted) < orders;
        if wanted.after_orders.is_some_and(quiet_before) {
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

    pub fn days_since(&self, since: Instant, range: Range) -> Verdict {
        let days = (self.input.now - since).div_euclid(DAY);
        let ends = [range.least, range.most.saturating_add(1)].into_iter();
        let next = ends.filter(|day| *day > days && *day < i64::MAX).min();
        Verdict::of(
            range.holds(days),
            next.map_or(NEVER, |day| since.saturating_add(day.saturating_mul(DAY))),
        )
    }

    pub fn birthday(&self, when: BirthdayWhen) -> Verdict {
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
                let begins =
                    birthday.next - i64::from(birthday.day - 1) * DAY - stampcard_sdk::HOUR;
                Verdict::of(false, begins.max(local.next_month))
            }
        }
    }
}
