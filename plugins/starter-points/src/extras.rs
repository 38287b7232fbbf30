//! What comes on top of the base: multipliers for some customers, bonuses for some days. Each
//! extra is a bonus entry that counts from the base awards, never from another extra.

use stampcard_sdk::prelude::*;

use crate::config::{Bonus, Combine, Config, EXTRA_PERCENT_MAX, Multiplier};
use crate::eligible::Eligible;

/// The bonus awards of a sale whose base is `points`.
pub fn for_sale(
    config: &Config,
    sale: &Sale,
    eligible: &Eligible,
    points: Points,
    input: &Input,
) -> Vec<Award> {
    let mut awards = Vec::new();
    if points > 0 {
        for (basis_points, reason) in multiplied(config, &input.customer) {
            let extra = Award::bonus_share(basis_points, reason);
            awards.push(extra.covering(eligible.coverage()));
        }
    }
    let running = config
        .bonuses
        .iter()
        .filter(|bonus| bonus.runs(&input.event));
    for bonus in running {
        awards.extend(bonus.award(sale, eligible, points));
    }
    awards
}

/// The extra of this customer's multipliers, in basis points with a reason each.
fn multiplied(config: &Config, customer: &Customer) -> Vec<(u32, String)> {
    let fits: Vec<&Multiplier> = config
        .multipliers
        .iter()
        .filter(|multiplier| multiplier.fits(customer))
        .collect();
    match config.combine {
        Combine::Add => fits.iter().map(|it| it.extra()).collect(),
        Combine::Best => {
            // `max_by_key` takes the last of equals; the first is the one that was written first.
            let best = fits.iter().rev().max_by_key(|it| it.extra_percent);
            best.map(|it| it.extra()).into_iter().collect()
        }
        Combine::Multiply if fits.is_empty() => Vec::new(),
        Combine::Multiply => {
            let most = u128::from(EXTRA_PERCENT_MAX) * 100 + 10_000;
            let product = fits.iter().fold(10_000u128, |product, it| {
                (product * u128::from(100 + it.extra_percent) / 100).min(most)
            });
            let reasons: Vec<String> = fits.iter().map(|it| it.extra().1).collect();
            vec![((product - 10_000) as u32, reasons.join(", times "))]
        }
    }
}

impl Multiplier {
    fn fits(&self, customer: &Customer) -> bool {
        match (&self.tag, &self.segment, &self.tier) {
            (Some(tag), _, _) => customer.has_tag(tag),
            (_, Some(segment), _) => customer.in_segment(segment),
            (_, _, tier) => tier.is_some() && tier.as_deref() == customer.tier_name(),
        }
    }

    fn extra(&self) -> (u32, String) {
        let reason = match &self.reason {
            Some(reason) => reason.clone(),
            None => format!("{} for {}", times(self.extra_percent), self.who()),
        };
        (self.extra_percent * 100, reason)
    }

    fn who(&self) -> String {
        match (&self.tag, &self.segment, &self.tier) {
            (Some(tag), _, _) => format!("the tag {tag}"),
            (_, Some(segment), _) => format!("the segment {segment}"),
            (_, _, tier) => format!("the tier {}", tier.as_deref().unwrap_or_default()),
        }
    }
}

fn times(extra_percent: u32) -> String {
    match extra_percent {
        100 => "double points".into(),
        200 => "triple points".into(),
        percent => format!("{percent} % more points"),
    }
}

impl Bonus {
    /// True on its days, in its channels and at its locations. Days are those of the wall where
    /// the event happened.
    fn runs(&self, event: &Event) -> bool {
        let today = event.local.date();
        let on_day = self.from.is_none_or(|from| from <= today)
            && self.until.is_none_or(|until| today <= until);
        let on_weekday = self.weekdays.is_empty()
            || self
                .weekdays
                .iter()
                .any(|weekday| *weekday as u8 == event.local.weekday);
        let in_channel = self.channels.is_empty()
            || event
                .channel
                .is_some_and(|channel| self.channels.contains(&channel.into()));
        let at_location = self.locations.is_empty()
            || event
                .location_id()
                .is_some_and(|id| self.locations.iter().any(|it| it == id));
        on_day && on_weekday && in_channel && at_location
    }

    fn award(&self, sale: &Sale, eligible: &Eligible, points: Points) -> Option<Award> {
        if self.at_least.is_some_and(|least| eligible.amount() < least) {
            return None;
        }
        if let Some(bonus) = self.points {
            let award = Award::bonus(bonus, &self.reason).covering(eligible.coverage());
            // Points for a threshold are all or nothing: below it they are taken back whole.
            return Some(match self.at_least {
                Some(least) => award.whole_below(least),
                None => award,
            });
        }
        let covers = match self.categories.is_empty() {
            true => eligible.coverage(),
            false => Coverage::Lines(self.lines_of_categories(sale, eligible)?),
        };
        let basis_points = self.extra_percent.filter(|_| points > 0)? * 100;
        Some(Award::bonus_share(basis_points, &self.reason).covering(covers))
    }

    /// None if the sale has none of these goods.
    fn lines_of_categories(&self, sale: &Sale, eligible: &Eligible) -> Option<Vec<u32>> {
        let wanted = |line: &&Line| {
            eligible.has(line) && self.categories.iter().any(|it| line.in_category(it))
        };
        let lines: Vec<u32> = sale
            .lines
            .iter()
            .filter(wanted)
            .map(|line| line.number)
            .collect();
        (!lines.is_empty()).then_some(lines)
    }
}
