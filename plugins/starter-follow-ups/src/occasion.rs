//! What sets a rule off, and how often: for each trigger the occasion that this event is, or when
//! time alone will make it one. Nothing here writes texts or plans messages.

use std::collections::BTreeMap;

use stampcard_sdk::HOUR;
use stampcard_sdk::prelude::*;

use crate::config::{BirthdayTrigger, EndingTrigger, Repeat, Rule, Silence, Trigger};
use crate::fields::{PointsEnding, Subject};

/// What is remembered about a customer: for each rule that counts, how often it was set off and
/// when last; for `#tag`, when the tag was set. Occasions are counted, not named by their events,
/// so that the second look at a history gives them the same names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Marks {
    #[serde(rename = "m", skip_serializing_if = "BTreeMap::is_empty")]
    marks: BTreeMap<String, Mark>,
}

/// A count and an instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark(i64, Instant);

/// Something happened that a rule waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occasion<'a> {
    /// The same for the same occasion, however often it is looked at.
    pub name: String,
    pub subject: Subject<'a>,
    /// For people, in a sentence.
    pub reason: String,
}

/// Whether a trigger fires at this event, and when it may fire by time alone.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Looked<'a> {
    pub occasion: Option<Occasion<'a>>,
    pub look_again_at: Option<Instant>,
}

impl Marks {
    /// Remembers when tags were set that a rule wants to have been won before today.
    pub fn observe_tags<'a>(&mut self, input: &Input, tags: impl Iterator<Item = &'a String>) {
        for tag in tags {
            let by_staff = matches!(&input.event.body, Body::Tag(change) if change.added && change.tag == *tag);
            if by_staff || input.so_far.tags_set.contains(tag) {
                self.marks.insert(tag_key(tag), Mark(0, input.now));
            }
        }
    }

    /// When the tag was set, if that was seen.
    pub fn tag_since(&self, tag: &str) -> Option<Instant> {
        Some(self.marks.get(&tag_key(tag))?.1)
    }

    /// Looks at one trigger of one rule.
    pub fn look<'a>(
        &mut self,
        name: &str,
        rule: &Rule,
        trigger: &'a Trigger,
        input: &'a Input,
    ) -> Looked<'a> {
        let mut looked = match trigger {
            Trigger::Birthday(birthday) => self.birthday(name, birthday, input),
            Trigger::Silence(silence) => self.silence(name, rule, silence, input),
            Trigger::PointsEnding(ending) => self.points_ending(name, ending, input),
            _ => Looked {
                occasion: self.event(name, trigger, input),
                look_again_at: None,
            },
        };
        if let Some(occasion) = &mut looked.occasion {
            match rule.repeat {
                Repeat::Each => {}
                Repeat::Once => occasion.name = name.into(),
                Repeat::Yearly => occasion.name = format!("{name}:{}", input.event.local.year),
            }
        }
        looked
    }

    /// True if the rule did something in the last so many times 24 hours.
    pub fn is_within(&self, days: u32, name: &str, now: Instant) -> bool {
        let last = self.marks.get(&last_key(name));
        last.is_some_and(|mark| now - mark.1 < i64::from(days) * DAY)
    }

    /// Remembers that the rule did something.
    pub fn done(&mut self, name: &str, rule: &Rule, now: Instant) {
        if rule.every_days.is_some() {
            self.marks.insert(last_key(name), Mark(0, now));
        }
    }

    /// An event that is an occasion by itself.
    fn event<'a>(
        &mut self,
        name: &str,
        trigger: &'a Trigger,
        input: &'a Input,
    ) -> Option<Occasion<'a>> {
        let event = &input.event;
        let totals = &input.totals;
        // An order that is edited is the sale that it was.
        let is_edit = event.is("order.edited");
        let bought = input.purchase().is_some() && !is_edit;
        let first = |channel: Channel| {
            bought && event.came_by(channel) && totals.channel(channel).orders == 1
        };
        let here = |happened: bool, reason: &str| {
            happened.then(|| Occasion {
                name: format!("{name}:{}:{}", event.source, event.id),
                subject: Subject::Nothing,
                reason: reason.into(),
            })
        };
        // A till asks again and again while somebody stands at it.
        let today = |happened: bool, reason: &str| {
            happened.then(|| Occasion {
                name: format!("{name}:{}", event.local.date()),
                subject: Subject::Nothing,
                reason: reason.into(),
            })
        };
        match trigger {
            Trigger::Sale => here(bought, "A sale."),
            Trigger::FirstSale => here(bought && totals.lifetime.orders == 1, "The first sale."),
            Trigger::FirstInStoreSale => here(first(Channel::Pos), "The first sale in a store."),
            Trigger::FirstOnlineSale => here(first(Channel::Online), "The first sale online."),
            Trigger::Return => here(
                input.returned().is_some() && !is_edit && !event.is("sale.voided"),
                "Something was returned.",
            ),
            Trigger::Enrolled => here(
                event.is("loyalty.enrolled") || input.customer.enrolled_at == Some(input.now),
                "Joined the programme.",
            ),
            Trigger::Identified => today(event.is("customer.identified"), "Was recognised."),
            Trigger::Checkout => today(input.checkout().is_some(), "A basket is at the till."),
            Trigger::Event(kind) => here(event.is(kind), kind),
            Trigger::TierUp => {
                let change = input.so_far.tier.as_ref().filter(|change| change.upgrade)?;
                let tier = change.to.as_deref()?;
                let count = self.count(format!("{name}:t:{tier}"), input.now);
                Some(Occasion {
                    name: format!("{name}:{tier}:{count}"),
                    subject: Subject::Nothing,
                    reason: format!("Reached the tier {tier}."),
                })
            }
            Trigger::SegmentEntered(key) if input.so_far.entered(key) => Some(self.counted(
                name,
                'e',
                Subject::Segment(key),
                format!("Entered {key}."),
                input.now,
            )),
            Trigger::SegmentLeft(key) if input.so_far.left(key) => Some(self.counted(
                name,
                'l',
                Subject::Segment(key),
                format!("Left {key}."),
                input.now,
            )),
            Trigger::TagSet(tag) if input.so_far.tags_set.contains(tag) => Some(self.counted(
                name,
                'g',
                Subject::Tag(tag),
                format!("Got the tag {tag}."),
                input.now,
            )),
            Trigger::SegmentEntered(_)
            | Trigger::SegmentLeft(_)
            | Trigger::TagSet(_)
            | Trigger::Birthday(_)
            | Trigger::Silence(_)
            | Trigger::PointsEnding(_) => None,
        }
    }

    /// `sort` tells the counts of a rule's triggers apart.
    fn counted<'a>(
        &mut self,
        name: &str,
        sort: char,
        subject: Subject<'a>,
        reason: String,
        now: Instant,
    ) -> Occasion<'a> {
        let count = self.count(format!("{name}:{sort}"), now);
        Occasion {
            name: format!("{name}:{sort}{count}"),
            subject,
            reason,
        }
    }

    fn count(&mut self, key: String, now: Instant) -> i64 {
        let mark = self.marks.entry(key).or_default();
        *mark = Mark(mark.0 + 1, now);
        mark.0
    }

    /// Once for each birthday, on the day or some days ahead.
    fn birthday<'a>(&mut self, name: &str, wanted: &BirthdayTrigger, input: &Input) -> Looked<'a> {
        let Some(birthday) = &input.customer.birthday else {
            return Looked::default();
        };
        let local = &input.event.local;
        let hour = i64::from(wanted.hour) * HOUR;
        let ahead = i64::from(wanted.days_before) * DAY;
        let next_at = birthday.next - ahead + hour;
        // The day itself, or one of the days ahead of it.
        let (year, due) = match birthday.today {
            true => (local.year, local.day_began - ahead + hour),
            false => (
                local.year + i32::from(birthday.next >= local.next_year),
                next_at,
            ),
        };
        if input.now < due {
            return Looked {
                look_again_at: Some(due),
                ..Looked::default()
            };
        }
        // After it: the next one, or the day after, when the next one is known.
        let look_again_at = Some(if next_at > input.now {
            next_at
        } else {
            birthday.next + DAY
        });
        let known_ms = i64::from(wanted.known_days) * DAY;
        let key = format!("{name}:b");
        let given = self
            .marks
            .get(&key)
            .is_some_and(|mark| mark.0 >= i64::from(year));
        if given || input.now - birthday.known_since < known_ms {
            return Looked {
                look_again_at,
                ..Looked::default()
            };
        }
        self.marks.insert(key, Mark(year.into(), input.now));
        let occasion = Occasion {
            name: format!("{name}:b{year}"),
            subject: Subject::Nothing,
            reason: "The birthday.".into(),
        };
        Looked {
            occasion: Some(occasion),
            look_again_at,
        }
    }

    /// Once for each day on which points end, some days ahead of it.
    fn points_ending<'a>(
        &mut self,
        name: &str,
        wanted: &EndingTrigger,
        input: &Input,
    ) -> Looked<'a> {
        let Some(ending) = PointsEnding::of(input) else {
            return Looked::default();
        };
        let last_day_began = ending.day_ends - DAY;
        let ahead = i64::from(wanted.days_before) * DAY;
        let due = last_day_began - ahead + i64::from(wanted.hour) * HOUR;
        if input.now < due {
            return Looked {
                look_again_at: Some(due),
                ..Looked::default()
            };
        }
        // What ends after that day is known when it is over.
        let mut looked = Looked {
            look_again_at: Some(ending.day_ends),
            ..Looked::default()
        };
        let key = format!("{name}:p");
        let day = ending.day_ends;
        let told = self.marks.get(&key).is_some_and(|mark| mark.0 >= day);
        if told || ending.points < wanted.at_least {
            return looked;
        }
        self.marks.insert(key, Mark(day, input.now));
        looked.occasion = Some(Occasion {
            name: format!("{name}:p{}", ending.last_day),
            subject: Subject::Nothing,
            reason: format!("Points end on {}.", ending.last_day),
        });
        looked
    }

    /// Once for each silence, when it has lasted long enough.
    fn silence<'a>(
        &mut self,
        name: &str,
        rule: &Rule,
        wanted: &Silence,
        input: &Input,
    ) -> Looked<'a> {
        let bought = &input.totals.lifetime;
        let (Some(first), Some(last)) = (bought.first_at, bought.last_at) else {
            return Looked::default();
        };
        let key = format!("{name}:s");
        let mark = self.marks.get(&key).copied().unwrap_or_default();
        if mark.0 == i64::from(bought.orders) {
            return Looked::default();
        }
        let mut gap = i64::from(wanted.days) * DAY;
        if let (Some(percent), 3..) = (wanted.rhythm_percent, bought.orders) {
            let mean = (last - first) / i64::from(bought.orders - 1);
            gap = gap.max(mean / 100 * i64::from(percent));
        }
        let mut due = last + gap;
        if let (Some(days), Some(done)) = (rule.every_days, self.marks.get(&last_key(name))) {
            due = due.max(done.1 + i64::from(days) * DAY);
        }
        if input.now < due {
            return Looked {
                look_again_at: Some(due),
                ..Looked::default()
            };
        }
        self.marks
            .insert(key, Mark(bought.orders.into(), input.now));
        let days = (input.now - last) / DAY;
        let occasion = Occasion {
            name: format!("{name}:s{}", bought.orders),
            subject: Subject::Nothing,
            reason: format!("Has not bought for {}.", stampcard_sdk::count(days, "day")),
        };
        Looked {
            occasion: Some(occasion),
            look_again_at: None,
        }
    }
}

/// Marks of tags and of `every_days` are told from those of rules, whose names have neither sign.
fn tag_key(tag: &str) -> String {
    format!("#{tag}")
}

fn last_key(name: &str) -> String {
    format!("{name}!")
}
