//! Rules in plain Rust: one plugin for each role, as ordinary as a shop's.

use stampcard_pipeline::event::{Event, Instant};
use stampcard_pipeline::fold::DAY_MS;
use stampcard_pipeline::rules::*;
use std::sync::Arc;

type Rule<A> = Box<dyn Fn(&Event, &Input) -> Result<A, Failure> + Send + Sync>;

/// One plugin a role; a test replaces the rules that it is about.
pub struct NativeRules {
    pub plugins: Vec<Plugin>,
    pub segments: Rule<SegmentAnswer>,
    pub points: Rule<PointAnswer>,
    pub more_points: Option<Rule<PointAnswer>>,
    pub tier: Rule<TierAnswer>,
    pub follow_ups: Rule<FollowUpAnswer>,
}

impl NativeRules {
    pub fn new() -> NativeRules {
        let owned = |keys: &[&str]| {
            keys.iter()
                .map(|key| (key.to_string(), "A sentence.".to_string()))
                .collect()
        };
        let mut segments = plugin("segments", Role::SegmentRule);
        segments.segments = owned(&["regular", "lapsed", "fresh"]);
        segments.tags = owned(&["VIP"]);
        let mut tiers = plugin("tiers", Role::TierRule);
        tiers.tiers = owned(&["silver", "gold"]);
        NativeRules {
            plugins: vec![
                segments,
                plugin("points", Role::PointFormula),
                tiers,
                plugin("follow-ups", Role::FollowUpTrigger),
            ],
            segments: Box::new(segments_of_a_shop),
            points: Box::new(a_point_per_dollar),
            more_points: None,
            tier: Box::new(gold_at_500_a_year),
            follow_ups: Box::new(thank_you_and_win_back),
        }
    }

    /// A second point formula, declared after the others.
    pub fn add_points(
        &mut self,
        name: &str,
        rule: impl Fn(&Event, &Input) -> Result<PointAnswer, Failure> + Send + Sync + 'static,
    ) {
        self.plugins.push(plugin(name, Role::PointFormula));
        self.more_points = Some(Box::new(rule));
    }
}

impl Default for NativeRules {
    fn default() -> Self {
        NativeRules::new()
    }
}

pub fn plugin(name: &str, role: Role) -> Plugin {
    Plugin {
        name: name.into(),
        version: "0.1.0".into(),
        digest: format!("sha256:{name}"),
        configuration: "sha256:none".into(),
        roles: vec![role],
        events: vec!["*".into()],
        facts: vec!["location".into(), "category".into()],
        personal: Vec::new(),
        state_version: 1,
        segments: Vec::new(),
        tiers: Vec::new(),
        tags: Vec::new(),
        limits: Default::default(),
        quarantine: None,
        isolation: Default::default(),
        campaigns: None,
        messages_to: None,
    }
}

impl Rules for NativeRules {
    fn plugins(&self) -> &[Plugin] {
        &self.plugins
    }

    fn segment_rule(&self, _: usize, event: &Arc<Event>, input: &Input) -> Call<SegmentAnswer> {
        call((self.segments)(event, input))
    }

    fn point_formula(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<PointAnswer> {
        match &self.more_points {
            Some(rule) if plugin > 1 => call(rule(event, input)),
            _ => call((self.points)(event, input)),
        }
    }

    fn tier_rule(&self, _: usize, event: &Arc<Event>, input: &Input) -> Call<TierAnswer> {
        call((self.tier)(event, input))
    }

    fn follow_up_trigger(
        &self,
        _: usize,
        event: &Arc<Event>,
        input: &Input,
    ) -> Call<FollowUpAnswer> {
        call((self.follow_ups)(event, input))
    }
}

fn call<A>(result: Result<A, Failure>) -> Call<A> {
    Call {
        result,
        usage: Usage::default(),
    }
}

pub fn member(segment: &str, member: bool) -> MembershipChange {
    MembershipChange {
        segment: segment.into(),
        member,
        reason: "because".into(),
        until: None,
    }
}

/// Regular from the third order on; lapsed 30 days after the last sale; fresh for two days after
/// each sale, ended by the host. It counts sales in its memory to see that memory is folded.
fn segments_of_a_shop(event: &Event, input: &Input) -> Result<SegmentAnswer, Failure> {
    let last = input.totals.lifetime.last_at;
    let lapses = last.map(|last| Instant(last.0 + 30 * DAY_MS));
    let is_lapsed = lapses.is_some_and(|lapses| lapses <= event.at);
    let mut memberships = vec![
        member("regular", input.totals.lifetime.orders >= 3),
        member("lapsed", is_lapsed),
    ];
    let mut memory = Memory::Keep;
    if event.sale().is_some() {
        memberships.push(MembershipChange {
            until: Some(Moment::Hours(48)),
            ..member("fresh", true)
        });
        let count = input.state.as_ref().map_or(0, |bytes| bytes[0]);
        memory = Memory::Replace(vec![count.wrapping_add(1)]);
    }
    let next_review = lapses
        .filter(|at| *at > event.at)
        .map_or(NextReview::Never, NextReview::At);
    Ok(SegmentAnswer {
        memberships,
        tags: Vec::new(),
        after: After {
            memory,
            next_review,
            ..After::default()
        },
    })
}

/// A point for each dollar, half as much again for regulars.
fn a_point_per_dollar(event: &Event, input: &Input) -> Result<PointAnswer, Failure> {
    let Some(sale) = event.sale() else {
        return Ok(PointAnswer::default());
    };
    let mut awards = vec![award(Amount::Base(sale.total / 100), "1 point per dollar")];
    if input
        .customer
        .segments
        .iter()
        .any(|membership| membership.segment == "regular")
    {
        awards.push(award(
            Amount::BonusShare(5_000),
            "half as much again for regulars",
        ));
    }
    Ok(PointAnswer {
        awards,
        after: After::default(),
    })
}

pub fn award(amount: Amount, reason: &str) -> Award {
    Award {
        amount,
        to: Recipient::Customer,
        covers: Coverage::Whole,
        reason: reason.into(),
        available_from: None,
        expires_at: None,
        on_return: OnReturn::Proportional,
        attributes: Vec::new(),
    }
}

/// Gold at 500.00 in 365 days, lost as soon as a sale leaves the window.
fn gold_at_500_a_year(_: &Event, input: &Input) -> Result<TierAnswer, Failure> {
    let year = &input.totals.windows[3];
    let tier = (year.spend >= 50_000).then(|| "gold".to_string());
    let next_review = match (&tier, year.first_at) {
        (Some(_), Some(first)) => NextReview::At(Instant(first.0 + 365 * DAY_MS)),
        _ => NextReview::Never,
    };
    let placement = Placement {
        tier,
        reason: "spend in 365 days".into(),
        keep_until: None,
    };
    Ok(TierAnswer {
        placement: Some(placement),
        next: None,
        after: After {
            next_review,
            ..After::default()
        },
    })
}

fn thank_you_and_win_back(event: &Event, input: &Input) -> Result<FollowUpAnswer, Failure> {
    let mut answer = FollowUpAnswer::default();
    if event.sale().is_some() {
        answer.follow_ups.push(follow_up(
            "thank-you",
            &format!("thank-you/{}/{}", event.source, event.id),
            Some(Moment::Hours(24)),
        ));
        answer
            .receipt
            .push(format!("Earned {}", input.so_far.points));
    }
    if input
        .so_far
        .segments_entered
        .iter()
        .any(|segment| segment == "lapsed")
    {
        answer.follow_ups.push(follow_up(
            "win-back",
            &format!("win-back/{}", event.at.0),
            None,
        ));
    }
    Ok(answer)
}

pub fn follow_up(template: &str, key: &str, send_at: Option<Moment>) -> FollowUp {
    FollowUp {
        channel: "email".into(),
        template: template.into(),
        purpose: Purpose::Service,
        send_at,
        expires_at: None,
        data: Vec::new(),
        dedupe_key: key.into(),
        cancelled_by: vec!["sale.completed".into()],
        offer: None,
        reason: "because".into(),
        attributes: Vec::new(),
    }
}
