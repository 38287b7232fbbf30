//! One customer's life in a shop, counted from scratch at every event: what the host would tell
//! the rule, by a model that shares no code with it. Reviews are sent at the exact instant.

#![allow(dead_code, reason = "each test file uses its own part of a life")]

use jiff::tz::TimeZone;
use stampcard_sdk::prelude::*;
use stampcard_sdk::serde_json::Value;
use starter_segments::StarterSegments;

/// A Monday, noon in New York.
pub const START: &str = "2024-03-04T12:00:00-05:00[America/New_York]";

pub struct Life {
    rule: StarterSegments,
    zone: TimeZone,
    sales: Vec<Sold>,
    pub customer: Customer,
    pub state: Option<Vec<u8>>,
    pub review_at: Option<Instant>,
    /// What the rule decided: "+weekly" and "-weekly", with the instant and the reason.
    pub log: Vec<(Instant, String, String)>,
    pub note: Option<String>,
    pub reviews: u32,
    now: Instant,
}

#[derive(Clone)]
pub struct Sold {
    pub at: Instant,
    pub channel: Channel,
    pub location: Option<String>,
    pub category: Option<String>,
    pub total: Money,
}

/// The instant of a wall clock reading with its zone.
pub fn at(text: &str) -> Instant {
    text.parse::<jiff::Zoned>()
        .unwrap()
        .timestamp()
        .as_millisecond()
}

pub fn shop() -> Shop {
    Shop {
        currency: "USD".into(),
        minor_units: 100,
        time_zone: "America/New_York".into(),
        country: "US".into(),
        tiers: vec!["silver".into(), "gold".into()],
        ..Shop::default()
    }
}

/// The configuration as the host takes it: TOML, checked against the schema, then given as JSON.
pub fn configure(text: &str) -> std::result::Result<StarterSegments, String> {
    let config: Value = toml::from_str(text).map_err(|error| error.to_string())?;
    let schema: Value =
        stampcard_sdk::serde_json::from_str(include_str!("../../config.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    if let Err(error) = schema.validate(&config) {
        return Err(format!("schema: {} at {}", error, error.instance_path()));
    }
    let config =
        stampcard_sdk::serde_json::from_str(&config.to_string()).map_err(|it| it.to_string())?;
    match StarterSegments::configure(config, &shop()) {
        Ok(rule) => Ok(rule),
        Err(Refusal::Rejected(reason)) => Err(reason),
        Err(Refusal::Fault(fault)) => panic!("{fault:?}"),
    }
}

pub fn local(zone: &TimeZone, at: Instant) -> LocalTime {
    let here = jiff::Timestamp::from_millisecond(at)
        .unwrap()
        .to_zoned(zone.clone());
    let day = here.date();
    let begins = |date: jiff::civil::Date| {
        date.to_zoned(zone.clone())
            .unwrap()
            .timestamp()
            .as_millisecond()
    };
    let tomorrow = day.tomorrow().unwrap();
    let month = day.first_of_month();
    let year = day.first_of_year();
    LocalTime {
        year: day.year().into(),
        month: day.month() as u8,
        day: day.day() as u8,
        hour: here.hour() as u8,
        minute: here.minute() as u8,
        weekday: day.weekday().to_monday_one_offset() as u8,
        utc_offset: here.offset().seconds(),
        day_began: begins(day),
        month_began: begins(month),
        year_began: begins(year),
        next_day: begins(tomorrow),
        next_month: begins(day.last_of_month().tomorrow().unwrap()),
        next_year: begins(day.last_of_year().tomorrow().unwrap()),
    }
}

impl Life {
    pub fn new(config: &str) -> Life {
        let rule = configure(config).unwrap_or_else(|problem| panic!("{problem}\n{config}"));
        Life {
            rule,
            zone: TimeZone::get("America/New_York").unwrap(),
            sales: Vec::new(),
            customer: Customer {
                id: "cus_1".into(),
                origin: "pos".into(),
                ..Customer::default()
            },
            state: None,
            review_at: None,
            log: Vec::new(),
            note: None,
            reviews: 0,
            now: Instant::MIN,
        }
    }

    pub fn zone(mut self, name: &str) -> Life {
        self.zone = TimeZone::get(name).unwrap();
        self
    }

    /// Everything that comes due by then, each at its instant.
    pub fn until(&mut self, now: Instant) -> &mut Life {
        while let Some(due) = self.review_at.filter(|due| *due <= now) {
            self.review_at = None;
            self.reviews += 1;
            self.decide(due, |event| {
                event.kind = "review.due".into();
                event.body = Body::Review(Review {
                    causes: vec![ReviewCause::Asked],
                });
            });
        }
        self
    }

    pub fn sale(&mut self, at: Instant, total: Money) -> &mut Life {
        self.sale_in(at, total, Channel::Pos, None, None)
    }

    pub fn sale_in(
        &mut self,
        at: Instant,
        total: Money,
        channel: Channel,
        location: Option<&str>,
        category: Option<&str>,
    ) -> &mut Life {
        let sold = Sold {
            at,
            channel,
            location: location.map(Into::into),
            category: category.map(Into::into),
            total,
        };
        self.until(at);
        self.sales.push(sold);
        self.decide(at, |event| {
            event.kind = "sale.completed".into();
            event.channel = Some(channel);
            event.location = location.map(|id| Place {
                id: id.into(),
                ..Place::default()
            });
            let line = category.map(|category| Line {
                category: Some(category.into()),
                amount: total,
                ..Line::default()
            });
            event.body = Body::Sale(Sale {
                total,
                lines: line.into_iter().collect(),
                ..Sale::default()
            });
        });
        self
    }

    /// Takes the sale at that instant back as if it had never been.
    pub fn void(&mut self, now: Instant, sold_at: Instant) -> &mut Life {
        self.until(now);
        let local = local(&self.zone, sold_at);
        self.sales.retain(|sold| sold.at != sold_at);
        self.decide(now, |event| {
            event.kind = "sale.voided".into();
            event.body = Body::Return(Return {
                original: Some(OriginalSale {
                    occurred_at: sold_at,
                    local,
                    ..OriginalSale::default()
                }),
                ..Return::default()
            });
        });
        self
    }

    /// Any other event, with the customer as the test has left them.
    pub fn event(&mut self, at: Instant, kind: &str) -> &mut Life {
        self.until(at);
        self.decide(at, |event| {
            event.kind = kind.into();
            event.body = Body::Other("{}".into());
        });
        self
    }

    pub fn is_in(&self, segment: &str) -> bool {
        self.customer.in_segment(segment)
    }

    /// What was decided, without the reasons.
    pub fn changes(&self) -> Vec<(Instant, &str)> {
        self.log
            .iter()
            .map(|(at, change, _)| (*at, change.as_str()))
            .collect()
    }

    pub fn last_reason(&self) -> &str {
        self.log.last().map_or("", |(_, _, reason)| reason)
    }

    fn decide(&mut self, now: Instant, fill: impl FnOnce(&mut Event)) {
        assert!(now >= self.now, "events come in order");
        self.now = now;
        let mut event = Event {
            source: "test".into(),
            occurred_at: now,
            local: local(&self.zone, now),
            ..Event::default()
        };
        fill(&mut event);
        let previous = self.sales.iter().rev().skip(1).map(|sold| sold.at).next();
        let input = Input {
            now,
            event,
            customer: self.customer.clone(),
            totals: Totals {
                lifetime: tally(self.sales.iter()),
                pos: tally(
                    self.sales
                        .iter()
                        .filter(|sold| sold.channel == Channel::Pos),
                ),
                online: tally(
                    self.sales
                        .iter()
                        .filter(|sold| sold.channel == Channel::Online),
                ),
                phone: tally(
                    self.sales
                        .iter()
                        .filter(|sold| sold.channel == Channel::Phone),
                ),
                other: tally(
                    self.sales
                        .iter()
                        .filter(|sold| sold.channel == Channel::Other),
                ),
                days7: tally(self.within(7)),
                days30: tally(self.within(30)),
                days90: tally(self.within(90)),
                days365: tally(self.within(365)),
                largest_sale: self.sales.iter().map(|sold| sold.total).max().unwrap_or(0),
                previous_sale_at: previous,
                ..Totals::default()
            },
            facts: self.facts(),
            state: self.state.clone(),
            ..Input::default()
        };
        let answer = self.rule.segments(&input).unwrap();
        for change in &answer.memberships {
            assert_ne!(
                self.customer.in_segment(&change.segment),
                change.member,
                "{change:?}"
            );
            assert!(!change.reason.is_empty());
            let sign = if change.member { '+' } else { '-' };
            self.log.push((
                now,
                format!("{sign}{}", change.segment),
                change.reason.clone(),
            ));
            match change.member {
                true => self.customer.segments.push(Membership {
                    segment: change.segment.clone(),
                    since: now,
                    until: None,
                }),
                false => self
                    .customer
                    .segments
                    .retain(|it| it.segment != change.segment),
            }
        }
        for change in &answer.tags {
            assert_ne!(self.customer.has_tag(&change.tag), change.set, "{change:?}");
            let sign = if change.set { '+' } else { '-' };
            self.log
                .push((now, format!("{sign}#{}", change.tag), String::new()));
            match change.set {
                true => self.customer.tags.push(change.tag.clone()),
                false => self.customer.tags.retain(|it| *it != change.tag),
            }
        }
        match answer.after.memory {
            Memory::Keep => {}
            Memory::Forget => self.state = None,
            Memory::Replace(bytes) => self.state = Some(bytes),
        }
        match answer.after.next_review {
            NextReview::Keep => {}
            NextReview::Never => self.review_at = None,
            NextReview::At(at) => {
                assert!(at > now, "{at} is not after {now}");
                self.review_at = Some(at);
            }
        }
        self.note = answer.after.note;
    }

    fn within(&self, days: i64) -> impl Iterator<Item = &Sold> {
        let now = self.now;
        self.sales
            .iter()
            .filter(move |sold| sold.at > now - days * DAY)
    }

    fn facts(&self) -> Vec<Fact> {
        let mut facts = Vec::new();
        type Key = fn(&Sold) -> &Option<String>;
        let scopes: [(&str, Key); 2] = [
            ("location", |sold| &sold.location),
            ("category", |sold| &sold.category),
        ];
        for (scope, of) in scopes {
            let mut keys: Vec<_> = self
                .sales
                .iter()
                .filter_map(|sold| of(sold).clone())
                .collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                for days in [None, Some(7), Some(30), Some(90), Some(365)] {
                    let begin = days.map_or(Instant::MIN, |days| self.now - i64::from(days) * DAY);
                    let sales = self.sales.iter();
                    let sales =
                        sales.filter(|sold| sold.at > begin && of(sold).as_ref() == Some(&key));
                    facts.push(Fact {
                        scope: scope.into(),
                        key: key.clone(),
                        days,
                        tally: tally(sales),
                    });
                }
            }
        }
        facts
    }
}

fn tally<'a>(sales: impl Iterator<Item = &'a Sold>) -> Tally {
    let sales: Vec<_> = sales.collect();
    Tally {
        orders: sales.len() as u32,
        spend: sales.iter().map(|sold| sold.total).sum(),
        first_at: sales.first().map(|sold| sold.at),
        last_at: sales.last().map(|sold| sold.at),
        ..Tally::default()
    }
}
