//! What is true of one customer now, and until when it can stay so by time alone. Every condition
//! is judged to the millisecond. Nothing here writes, and nothing here finds words: see `words`.

use stampcard_sdk::prelude::*;

use crate::config::{ChannelName, Condition};
use crate::memory::Remembered;
use crate::plan::{NodeRule, Plan, Quantity, Range};
use crate::rhythm::NEVER;

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
        Judge {
            plan,
            input,
            remembered,
            verdicts: vec![None; plan.nodes.len()],
        }
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
            NodeRule::Step {
                measure,
                scope,
                range,
            } => self.sales(*measure, scope.days, scope.channel, *range),
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
            Condition::Events(counted) => {
                let range = counted.bounds().range();
                Verdict::for_ever(range.holds(self.happened(counted)))
            }
            Condition::Channels(channels) => self.channels(channels),
            Condition::Crossed(crossing) => {
                let first = |name: ChannelName| self.input.totals.channel(name.channel()).first_at;
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
            Condition::BirthdayMonth(month) => Verdict::for_ever(
                customer
                    .birthday
                    .is_some_and(|birthday| birthday.month == *month),
            ),
            Condition::Language(wanted) => Verdict::for_ever(
                customer
                    .language
                    .as_deref()
                    .is_some_and(|it| speaks(it, wanted)),
            ),
            Condition::HomeLocation(wanted) => {
                Verdict::for_ever(customer.home_location.as_ref() == Some(wanted))
            }
            Condition::Distance(wanted) => {
                let km = self.input.customer.distance_km(&wanted.location);
                let range = wanted.bounds().range();
                Verdict::for_ever(km.is_some_and(|km| range.holds(km)))
            }
            Condition::Field(wanted) => {
                let mut known = customer.attributes.iter();
                let kept = known.find(|(key, _)| *key == wanted.key);
                Verdict::for_ever(kept.is_some_and(|(_, kept)| {
                    let values = wanted.is.as_ref().map(|is| is.values());
                    values.is_none_or(|values| values.iter().any(|value| value.is(kept)))
                }))
            }
            Condition::Origin(wanted) => Verdict::for_ever(customer.origin == *wanted),
        }
    }

    /// `all` is decided by the first no, `any` by the first yes. What is decided cannot turn
    /// before every condition that decides it has turned.
    fn combine(&mut self, inner: &[Condition], deciding: Truth) -> Verdict {
        let verdicts: Vec<_> = inner
            .iter()
            .map(|condition| self.condition(condition))
            .collect();
        let turns = |verdict: &Verdict| verdict.turns_at;
        let decisive = verdicts.iter().filter(|verdict| verdict.truth == deciding);
        if let Some(turns_at) = decisive.map(turns).max() {
            return Verdict {
                truth: deciding,
                turns_at,
            };
        }
        let unknown = verdicts
            .iter()
            .any(|verdict| verdict.truth == Truth::Unknown);
        Verdict {
            truth: if unknown {
                Truth::Unknown
            } else {
                deciding.not()
            },
            turns_at: verdicts.iter().map(turns).min().unwrap_or(NEVER),
        }
    }

    /// A segment of another plugin, as far as this event has decided.
    fn in_other(&self, key: &str) -> bool {
        let so_far = &self.input.so_far;
        (self.input.customer.in_segment(key) || so_far.entered(key)) && !so_far.left(key)
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
    pub fn of(holds: bool, turns_at: Instant) -> Verdict {
        Verdict {
            truth: if holds { Truth::Yes } else { Truth::No },
            turns_at,
        }
    }

    /// What time alone doesn't change.
    pub fn for_ever(holds: bool) -> Verdict {
        Verdict::of(holds, NEVER)
    }

    pub fn unknown() -> Verdict {
        Verdict {
            truth: Truth::Unknown,
            turns_at: NEVER,
        }
    }

    fn not(self) -> Verdict {
        Verdict {
            truth: self.truth.not(),
            ..self
        }
    }
}

/// "fr-CA" speaks "fr".
fn speaks(language: &str, wanted: &str) -> bool {
    let rest = language
        .get(..wanted.len())
        .filter(|it| it.eq_ignore_ascii_case(wanted));
    rest.is_some() && matches!(language.as_bytes().get(wanted.len()), None | Some(b'-'))
}
