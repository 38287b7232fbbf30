//! Why a customer is in a segment or out of it, in sentences that a shop assistant could read
//! out. They say how things are, so the same words serve entering and leaving. Nothing here
//! decides.

use stampcard_sdk::prelude::*;
use stampcard_sdk::{count, grouped};

use crate::bought::share;
use crate::config::{BirthdayWhen, ChannelName, Condition, Measured};
use crate::judge::{Judge, Truth};
use crate::plan::{Node, NodeRule, Quantity, is_own_window};
use crate::rhythm::Months;

/// The longest reason, in bytes: the host takes 512, and nobody reads more than this aloud.
const REASON_MAX: usize = 300;

impl Judge<'_> {
    /// Why this segment or tag is as it is now.
    pub fn reason(&mut self, node: &Node) -> String {
        let mut text = match &node.rule {
            NodeRule::When(condition) => self.describe(condition),
            NodeRule::Step { measure, scope, .. } => {
                self.describe_sales(*measure, scope.days, scope.channel)
            }
        };
        if text.len() > REASON_MAX {
            text.truncate(text.floor_char_boundary(REASON_MAX - '…'.len_utf8()));
            text.push('…');
        }
        text
    }

    fn describe(&mut self, condition: &Condition) -> String {
        let input = self.input;
        let customer = &input.customer;
        match condition {
            Condition::All(inner) => self.describe_several(inner, Truth::No),
            Condition::Any(inner) => self.describe_several(inner, Truth::Yes),
            Condition::Not(inner) => self.describe(inner),
            Condition::Segment(key) => {
                let is_in = self.condition(condition).truth == Truth::Yes;
                format!("{} {key}.", if is_in { "Is in" } else { "Isn't in" })
            }
            Condition::Tag(tag) => {
                let has = self.condition(condition).truth == Truth::Yes;
                format!(
                    "{} the tag {tag}.",
                    if has { "Has" } else { "Doesn't have" }
                )
            }
            Condition::Spend(measured) => self.describe_measured(Quantity::Spend, measured),
            Condition::Orders(measured) => self.describe_measured(Quantity::Orders, measured),
            Condition::Share(measured) => {
                let (part, whole) = self.part_and_whole(measured).unwrap_or_default();
                let (scope, key) = measured.group().unwrap_or_default();
                let percent = share(&part, &whole) / 100;
                format!(
                    "{percent} % of the spend{} is for {scope} {key}.",
                    window(measured.days)
                )
            }
            Condition::LargestSale(_) => match input.totals.largest_sale {
                0 => "Has no sale that was kept.".into(),
                largest => format!("The largest sale is {}.", self.money(largest)),
            },
            Condition::ThisSale(_) => match input.purchase() {
                Some(sale) => format!("This sale is {}.", self.money(sale.total)),
                None => "This is no sale.".into(),
            },
            Condition::SaleAfter(wanted) => {
                let bought = self.condition(condition).truth == Truth::Yes;
                let verb = if bought {
                    "Has bought"
                } else {
                    "Hasn't bought"
                };
                format!(
                    "{verb} within {} of {}.",
                    count(wanted.within_days.into(), "day"),
                    wanted.event
                )
            }
            Condition::Events(counted) => {
                let times = count(self.happened(counted), "time");
                match (&counted.attribute, counted.attribute_at_least) {
                    (Some(name), Some(least)) => {
                        format!("{times} {} with {name} {least} or more.", counted.event)
                    }
                    (Some(name), None) => format!("{times} {} with {name}.", counted.event),
                    (None, _) => format!("{times} {} so far.", counted.event),
                }
            }
            Condition::Channels(_) | Condition::Crossed(_) => self.describe_channels(),
            Condition::EveryWeek(spans) => {
                let filled = self.remembered.visits.filled(input.now, *spans);
                format!(
                    "Bought in {} of 7 days.",
                    of_the_last(filled, *spans, "span")
                )
            }
            Condition::EveryMonth(months) => {
                let row = self
                    .remembered
                    .months
                    .in_a_row(Months::of(&input.event.local));
                format!(
                    "Bought in {} in a row; {months} are asked for.",
                    count(row.into(), "month")
                )
            }
            Condition::Seasons(seasons) => {
                let bought = self.season_count(seasons);
                format!(
                    "Bought {} in {} and {} outside of them.",
                    count(bought.inside.into(), "time"),
                    count(bought.seasons.into(), "season"),
                    count(bought.outside.into(), "time"),
                )
            }
            Condition::MeanGap(_) => match self.mean_gap_days() {
                Some(days) => format!("Buys every {} on average.", count(days, "day")),
                None => "Has not bought twice yet.".into(),
            },
            Condition::Silent(_) => match input.totals.lifetime.last_at {
                Some(last) if last == input.now => "Has just bought.".into(),
                Some(last) => {
                    format!(
                        "Last bought {} ago.",
                        count((input.now - last) / DAY, "day")
                    )
                }
                None => "Has never bought.".into(),
            },
            Condition::Locations(_) => {
                let visited = input
                    .facts_of("location")
                    .filter(|fact| fact.tally.orders > 0);
                format!(
                    "Has bought at {}.",
                    count(visited.count() as i64, "location")
                )
            }
            Condition::Balance(_) => format!("The balance is {}.", grouped(customer.balance)),
            Condition::Available(_) => {
                format!("{} can be spent.", count(customer.available, "point"))
            }
            Condition::Earned(_) => format!("{} earned so far.", count(customer.earned, "point")),
            Condition::Tier(_) => match customer.tier_name() {
                Some(tier) => format!("The tier is {tier}."),
                None => "Has no tier.".into(),
            },
            Condition::Enrolled(_) | Condition::EnrolledDays(_) => match customer.enrolled_at {
                Some(since) => match (input.now - since).div_euclid(DAY) {
                    ..=0 => "Has joined the programme.".into(),
                    days => format!("Joined the programme {} ago.", count(days, "day")),
                },
                None => "Isn't in the programme.".into(),
            },
            Condition::Consent(purpose) => {
                let agrees = customer.consents_to(purpose);
                format!(
                    "{} to {purpose}.",
                    if agrees { "Agrees" } else { "Doesn't agree" }
                )
            }
            Condition::Birthday(when) => {
                let is_now = self.condition(condition).truth == Truth::Yes;
                let when = match when {
                    BirthdayWhen::Today => "today",
                    BirthdayWhen::ThisMonth => "this month",
                };
                match customer.birthday {
                    Some(_) => format!(
                        "The birthday {} {when}.",
                        if is_now { "is" } else { "isn't" }
                    ),
                    None => "The birthday isn't known.".into(),
                }
            }
            Condition::BirthdayMonth(_) => match &customer.birthday {
                Some(birthday) => format!("Was born in month {}.", birthday.month),
                None => "The birthday isn't known.".into(),
            },
            Condition::Language(_) => match &customer.language {
                Some(language) => format!("Speaks {language}."),
                None => "The language isn't known.".into(),
            },
            Condition::HomeLocation(_) => match &customer.home_location {
                Some(location) => format!("Prefers location {location}."),
                None => "Prefers no location.".into(),
            },
            Condition::Distance(wanted) => match customer.distance_km(&wanted.location) {
                Some(km) => format!("Lives {km} km from {}.", wanted.location),
                None => format!("How far it is to {} isn't known.", wanted.location),
            },
            Condition::Field(wanted) => {
                let mut known = customer.attributes.iter();
                match known.find(|(key, _)| *key == wanted.key) {
                    Some((key, kept)) => format!("The field {key} says {kept}."),
                    None => format!("The field {} isn't known.", wanted.key),
                }
            }
            Condition::Origin(_) => format!("The profile came from {}.", customer.origin),
        }
    }

    /// Only what decided is told, or everything if all of it did.
    fn describe_several(&mut self, inner: &[Condition], deciding: Truth) -> String {
        for condition in inner {
            if self.condition(condition).truth == deciding {
                return self.describe(condition);
            }
        }
        let all: Vec<_> = inner
            .iter()
            .map(|condition| self.describe(condition))
            .collect();
        all.join(" ")
    }

    fn describe_measured(&self, quantity: Quantity, measured: &Measured) -> String {
        let Some((scope, key)) = measured.group() else {
            return self.describe_sales(quantity, measured.days, measured.channel);
        };
        let tally = self.group(scope, key, measured.days).unwrap_or_default();
        let number = self.number(quantity, quantity.of(&tally));
        format!("{number} for {scope} {key}{}.", so_far(measured.days))
    }

    fn describe_sales(
        &self,
        quantity: Quantity,
        days: Option<u32>,
        channel: Option<ChannelName>,
    ) -> String {
        let number = match days {
            Some(days) if is_own_window(Some(days), channel) => {
                self.own_number(quantity, days, channel)
            }
            _ => quantity.of(self.counted(days, channel)),
        };
        let place = channel.map_or(String::new(), |channel| format!(" {}", place(channel)));
        format!("{}{place}{}.", self.number(quantity, number), so_far(days))
    }

    fn describe_channels(&self) -> String {
        let all = [
            ChannelName::Pos,
            ChannelName::Online,
            ChannelName::Phone,
            ChannelName::Other,
        ];
        let bought =
            |channel: &ChannelName| self.input.totals.channel(channel.channel()).orders > 0;
        let places: Vec<_> = all.into_iter().filter(bought).map(place).collect();
        match &places[..] {
            [] => "Has not bought yet.".into(),
            [only] => format!("Has bought only {only}."),
            [first @ .., last] => format!("Has bought {} and {last}.", first.join(", ")),
        }
    }

    fn mean_gap_days(&self) -> Option<i64> {
        let bought = &self.input.totals.lifetime;
        let gaps = i64::from(bought.orders)
            .checked_sub(1)
            .filter(|gaps| *gaps > 0)?;
        Some((bought.last_at? - bought.first_at?) / gaps / DAY)
    }

    fn number(&self, quantity: Quantity, number: i64) -> String {
        match quantity {
            Quantity::Spend => format!("Spent {}", self.money(number)),
            Quantity::Orders => count(number, "sale"),
        }
    }

    fn money(&self, amount: Money) -> String {
        self.plan.shop.money(amount)
    }
}

fn place(channel: ChannelName) -> &'static str {
    match channel {
        ChannelName::Pos => "in store",
        ChannelName::Online => "online",
        ChannelName::Phone => "by phone",
        ChannelName::Other => "elsewhere",
    }
}

fn window(days: Option<u32>) -> String {
    days.map_or(String::new(), |days| {
        format!(" in {}", count(days.into(), "day"))
    })
}

fn so_far(days: Option<u32>) -> String {
    match days {
        Some(_) => window(days),
        None => " so far".into(),
    }
}

fn of_the_last(some: u32, all: u32, noun: &str) -> String {
    match some == all {
        true => format!("each of the last {}", count(all.into(), noun)),
        false => format!("{some} of the last {}", count(all.into(), noun)),
    }
}
