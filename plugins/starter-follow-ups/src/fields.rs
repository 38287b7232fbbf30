//! The fields that texts and templates may name, with their types. What is not known is none;
//! nothing here makes something up.

use stampcard_sdk::grouped;
use stampcard_sdk::prelude::*;

use crate::config::{Config, Offer};
use crate::dates;

/// Every field, for checking configurations. What begins with `event.` or `customer.` names an
/// attribute instead.
pub const NAMES: [&str; 25] = [
    "first_name",
    "last_name",
    "location",
    "location_id",
    "date",
    "total",
    "orders",
    "orders_here",
    "points",
    "balance",
    "available",
    "points_ending",
    "points_last_day",
    "tier",
    "tier_before",
    "next_tier",
    "missing",
    "segment",
    "tag",
    "days_silent",
    "offer_value",
    "offer_code",
    "offer_until",
    "referral_code",
    "referral_url",
];

/// What a field is asked about.
pub struct Fields<'a> {
    pub input: &'a Input,
    pub shop: &'a Shop,
    pub config: &'a Config,
    /// The segment or tag that set the rule off.
    pub subject: Subject<'a>,
    /// The discount that goes with it.
    pub offer: Option<&'a Offer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    Nothing,
    Segment(&'a str),
    Tag(&'a str),
}

/// Points that end next, as the host tells follow-ups.
pub struct PointsEnding {
    pub points: Points,
    /// The last day on which they can be used.
    pub last_day: Date,
    /// When it is over.
    pub day_ends: Instant,
}

impl PointsEnding {
    pub fn of(input: &Input) -> Option<PointsEnding> {
        Some(PointsEnding {
            points: input.attribute("points_ending")?.parse().ok()?,
            last_day: input.attribute("points_last_day")?.parse().ok()?,
            day_ends: input.attribute("points_end_at")?.parse().ok()?,
        })
    }
}

impl Fields<'_> {
    /// The value of a field with its type, if it is known.
    pub fn value(&self, name: &str) -> Option<Value> {
        let text = |text: &str| {
            Some(text)
                .filter(|it| !it.is_empty())
                .map(|it| Value::Text(it.into()))
        };
        let number = |number: i64| Some(Value::Number(number));
        let input = self.input;
        let so_far = &input.so_far;
        let person = input.customer.person.as_ref();
        match name {
            "first_name" => text(person?.given_name.as_deref()?),
            "last_name" => text(person?.family_name.as_deref()?),
            "location" => text(&input.event.location.as_ref()?.name),
            "location_id" => text(&input.event.location.as_ref()?.id),
            "date" => text(&self.date(input.event.local.date())),
            "total" => Some(Value::Money(input.purchase().or(input.checkout())?.total)),
            "orders" => number(input.totals.lifetime.orders.into()),
            "orders_here" => number(input.totals.channel(input.event.channel?).orders.into()),
            "points" => Some(Value::Points(so_far.points)).filter(|_| so_far.points != 0),
            "balance" => Some(Value::Points(so_far.balance_after)),
            "available" => Some(Value::Points(input.customer.available)),
            "points_ending" => Some(Value::Points(PointsEnding::of(input)?.points)),
            "points_last_day" => text(&self.date(PointsEnding::of(input)?.last_day)),
            "tier" => text(&self.tier_name(input.tier_now()?)),
            "tier_before" => text(&self.tier_name(so_far.tier.as_ref()?.from.as_deref()?)),
            "next_tier" => text(&self.tier_name(&so_far.next_tier.as_ref()?.tier)),
            "missing" => {
                let next = so_far.next_tier.as_ref()?;
                Some(match next.unit {
                    ProgressUnit::Spend => Value::Money(next.missing),
                    ProgressUnit::Points => Value::Points(next.missing),
                    ProgressUnit::Orders => Value::Number(next.missing),
                })
            }
            "segment" => match self.subject {
                Subject::Segment(key) => text(key),
                _ => None,
            },
            "tag" => match self.subject {
                Subject::Tag(tag) => text(tag),
                _ => None,
            },
            "days_silent" => number((input.now - input.totals.lifetime.last_at?) / DAY),
            "referral_code" | "referral_url" => text(input.attribute(name)?),
            "offer_value" => text(&self.offer_value()?),
            "offer_code" => text(self.offer?.code.as_deref()?),
            "offer_until" => {
                text(&self.date(dates::last_day(&input.event.local, self.offer?.valid?)))
            }
            _ => match name.split_once('.')? {
                ("event", name) => text(input.event.attribute(name)?),
                ("customer", name) => text(input.customer.attribute(name)?),
                _ => None,
            },
        }
    }

    /// The same as the till prints it.
    pub fn written(&self, name: &str) -> Option<String> {
        Some(match self.value(name)? {
            Value::Text(text) => text,
            Value::Number(number) | Value::Points(number) => grouped(number),
            Value::Money(amount) => self.shop.money(amount),
            Value::At(at) => at.to_string(),
        })
    }

    fn offer_value(&self) -> Option<String> {
        let offer = self.offer?;
        match (offer.share, offer.amount) {
            (Some(share), _) => {
                let percent = format!("{}.{:02}", share / 100, share % 100);
                let percent = percent.trim_end_matches('0').trim_end_matches('.');
                Some(format!("{percent} %"))
            }
            (None, Some(amount)) => Some(self.shop.money_in_words(amount)),
            (None, None) => None,
        }
    }

    fn tier_name(&self, tier: &str) -> String {
        match self.config.tier_names.get(tier) {
            Some(name) => name.clone(),
            None => capitalised(tier),
        }
    }

    fn date(&self, date: Date) -> String {
        let country = self
            .input
            .event
            .location
            .as_ref()
            .map(|place| place.country.as_str());
        let country = country
            .filter(|country| !country.is_empty())
            .unwrap_or(&self.shop.country);
        dates::written(date, self.config.dates, country)
    }
}

fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
