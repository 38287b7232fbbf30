//! Recorded decisions in words.

use super::state;
use crate::table::{money, number};
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::Answered;
use stampcard_pipeline::event::{Body, Event, Merge, Return, WhyMerged};
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::person::hide;
use stampcard_pipeline::returns;
use stampcard_pipeline::rules::{
    After, Amount, Award, Call, DiscountOffer, DiscountValue, Failure, FollowUpAnswer, Input,
    Instance, Moment, Placement, PointAnswer, Recipient, SegmentAnswer, TierAnswer, Usage,
    WINDOW_DAYS,
};
use stampcard_pipeline::shop::Shop;

/// A line of an answer: what kind of line, and its words.
type Line = (&'static str, String);

pub fn event(shop: &Shop, event: &Event) -> String {
    let mut told = format!(
        "{} {}/{}\n  happened {}",
        event.kind,
        event.source,
        event.id,
        calendar::text(event.at)
    );
    if let Some(location) = &event.location {
        let name = shop
            .place(location)
            .map_or(location.as_str(), |place| place.place.name.as_str());
        told.push_str(&format!(" in {name}"));
    }
    if let Some(channel) = event.channel {
        told.push_str(&format!(" ({})", channel.name()));
    }
    let is_act = matches!(event.body, Body::Tag(_) | Body::Declined(_)) || event.is_about_two();
    if event.needs_a_known_customer() || is_act {
        let reason = match &event.body {
            Body::Adjustment(adjustment) => Some(&adjustment.reason),
            Body::CreditAdjustment(adjustment) => Some(&adjustment.reason),
            Body::Forfeit(forfeit) => Some(&forfeit.reason),
            Body::Placement(placement) => Some(&placement.reason),
            Body::Erasure(erasure) => Some(&erasure.reason),
            Body::Merge(Merge {
                why: WhyMerged::Staff { reason, .. },
                ..
            }) => Some(reason),
            Body::Unmerge(unmerge) => Some(&unmerge.reason),
            Body::Declined(declined) => Some(&declined.reason),
            Body::CodeRevoked(reason) => Some(reason),
            _ => event.attributes.get("reason"),
        };
        let why = reason.map_or(String::new(), |reason| format!(": {reason}"));
        told.push_str(&format!("\n  by {}{why}", event.actor()));
    }
    if let Some(referral) = event.referral() {
        told.push_str(&format!(
            "\n  {} by {}, of {}/{}",
            referral.referral, referral.friend.0, referral.of.source, referral.of.id
        ));
    }
    if let Some(sale) = event.speaks_of() {
        told.push_str(&format!("\n  of {}", returns::words(sale)));
    }
    if let Some((_, refund)) = event.brings_back() {
        let words = match event.body {
            Body::Return(_) => "given back",
            Body::Edit(_) => "taken out of it",
            _ => "exchanged",
        };
        told.push_str(&format!(", {} {words}", amount(shop, refund.amount)));
    }
    if let Body::Return(Return {
        to_credit: Some(to),
        ..
    }) = &event.body
    {
        let credit = amount(shop, to.amount);
        told.push_str(&format!(", {credit} of it as store credit"));
    }
    if let Some(basket) = event.basket() {
        let lines = basket.lines.len();
        let lines = if lines == 1 {
            "1 line".to_owned()
        } else {
            format!("{lines} lines")
        };
        told.push_str(&format!("\n  {lines}, {}", amount(shop, basket.total)));
        let credit = basket.tenders.iter().filter(|tender| tender.is_credit());
        let credit: i64 = credit.map(|tender| tender.amount).sum();
        if credit != 0 {
            let credit = amount(shop, credit);
            told.push_str(&format!(", {credit} of it paid with store credit"));
        }
    }
    told
}

pub fn outcome(shop: &Shop, outcome: &Outcome) -> String {
    let mut told = String::new();
    let mut line = |text: String| told.push_str(&format!("  {text}\n"));
    match &outcome.customer {
        None => line("of nobody: it was kept and counted, and no rules ran".into()),
        Some(customer) => {
            let tier = customer.tier.as_deref().unwrap_or("no tier");
            let credit = customer.store_credit.as_ref();
            let credit = credit.map(|credit| amount(shop, credit.amount));
            line(format!(
                "customer {}, afterwards {tier}, balance {}{}",
                customer.id,
                number(customer.balance),
                credit.map_or(String::new(), |credit| format!(", store credit {credit}"))
            ));
        }
    }
    for segment in &outcome.segments.entered {
        line(format!("entered {segment}"));
    }
    for segment in &outcome.segments.left {
        line(format!("left {segment}"));
    }
    for entry in &outcome.points {
        let kind = entry.kind.name();
        line(format!(
            "{:+} points ({kind}{}): {}, by {}",
            entry.amount,
            state(entry.state),
            entry.reason,
            entry
                .plugin
                .as_ref()
                .or(entry.actor.as_ref())
                .map_or("nobody", String::as_str)
        ));
    }
    for entry in &outcome.store_credit {
        let sign = if entry.amount > 0 { "+" } else { "" };
        line(format!(
            "{sign}{} of store credit ({}): {}, by {}",
            amount(shop, entry.amount),
            entry.kind.name(),
            entry.reason,
            entry.actor.as_deref().unwrap_or("nobody")
        ));
    }
    if let Some(tier) = &outcome.tier {
        let name = |tier: &Option<String>| tier.clone().unwrap_or_else(|| "no tier".into());
        line(format!(
            "{} → {}: {}",
            name(&tier.from),
            name(&tier.to),
            tier.reason
        ));
    }
    for tag in &outcome.tags.set {
        line(format!("tag {tag} was set"));
    }
    for tag in &outcome.tags.cleared {
        line(format!("tag {tag} was cleared"));
    }
    for follow_up in &outcome.follow_ups {
        let at = calendar::text(follow_up.send_at.0);
        let why = match follow_up.state.as_str() {
            "suppressed" => format!(" (there is no consent to {})", follow_up.channel),
            _ => String::new(),
        };
        line(format!(
            "{}{why} {} by {} at {at}: {}",
            follow_up.state, follow_up.template, follow_up.channel, follow_up.reason
        ));
    }
    for prompt in &outcome.prompts {
        let discount = prompt
            .discount
            .as_ref()
            .map(|discount| value(shop, &discount.value));
        line(format!(
            "prompt: {}{}",
            hide(&prompt.text),
            discount.map_or(String::new(), |value| format!(" ({value} off)"))
        ));
    }
    for receipt in &outcome.receipt {
        line(format!("receipt: {}", hide(receipt)));
    }
    for note in &outcome.notes {
        line(format!("note: {note}"));
    }
    told
}

/// What a plugin saw, as far as it fits a line.
pub fn input(shop: &Shop, input: &Input) -> String {
    let year = WINDOW_DAYS
        .iter()
        .position(|days| *days == 365)
        .unwrap_or_default();
    let totals = &input.totals;
    let mut parts = vec![
        format!(
            "{} orders, {}",
            totals.lifetime.orders,
            amount(shop, totals.lifetime.spend)
        ),
        format!("{} in 365 days", amount(shop, totals.windows[year].spend)),
        format!("balance {}", number(input.customer.balance)),
    ];
    parts.push(match &input.customer.tier {
        Some(standing) => format!("tier {}", standing.tier),
        None => "no tier".into(),
    });
    let segments: Vec<&str> = input
        .customer
        .segments
        .iter()
        .map(|member| member.segment.as_str())
        .collect();
    if !segments.is_empty() {
        parts.push(format!("in {}", segments.join(", ")));
    }
    let so_far = &input.so_far;
    for entered in &so_far.segments_entered {
        parts.push(format!("just entered {entered}"));
    }
    if so_far.points != 0 {
        parts.push(format!("{:+} points so far", so_far.points));
    }
    if let Some(tier) = &so_far.tier {
        parts.push(format!(
            "just {}",
            tier.to.as_deref().unwrap_or("without a tier")
        ));
    }
    if !input.facts.is_empty() {
        parts.push(format!("{} facts", input.facts.len()));
    }
    if let Some(state) = &input.state {
        parts.push(format!("{} bytes of its own memory", state.len()));
    }
    parts.join("; ")
}

pub fn answer(shop: &Shop, answer: &Answered) -> Vec<Line> {
    match answer {
        Answered::Segments(call) => lines(call, segments, |answer| &answer.after),
        Answered::Points(call) => lines(call, points, |answer| &answer.after),
        Answered::Tier(call) => lines(call, |answer| tier(shop, answer), |answer| &answer.after),
        Answered::FollowUps(call) => lines(
            call,
            |answer| follow_ups(shop, answer),
            |answer| &answer.after,
        ),
    }
}

fn lines<A>(
    call: &Call<A>,
    decided: impl FnOnce(&A) -> Vec<String>,
    after: impl FnOnce(&A) -> &After,
) -> Vec<Line> {
    let mut lines = Vec::new();
    match &call.result {
        Ok(answer) => {
            let decided = decided(answer);
            if decided.is_empty() {
                lines.push(("decided", "nothing to do".into()));
            }
            lines.extend(decided.into_iter().map(|line| ("decided", line)));
            if let Some(note) = &after(answer).note {
                lines.push(("noted", note.clone()));
            }
        }
        Err(failure @ Failure::Rejected { .. }) => lines.push(("refused", failure.to_string())),
        Err(failure) => {
            lines.push(("failed", failure.to_string()));
            // The author's own file and line, as far as the SDK knows them.
            if let Failure::Fault { trace, .. } = failure {
                let frames = trace.lines().map(|frame| frame.trim().to_owned());
                lines.extend(frames.map(|frame| ("where", frame)));
            }
        }
    }
    lines.push(("used", usage(&call.usage)));
    lines
}

fn usage(usage: &Usage) -> String {
    let share = usage.fuel as f64 * 100.0 / usage.fuel_limit.max(1) as f64;
    format!(
        "{} fuel ({share:.2} % of its limit), {} KiB, {} µs{}",
        number(usage.fuel as i64),
        usage.memory_bytes >> 10,
        usage.micros,
        match usage.instance {
            Instance::Fresh => "",
            Instance::Kept => ", in a kept instance",
            Instance::Compared => "; a kept instance answered the same",
            Instance::Differed => "; a kept instance answered otherwise, which did not count",
        }
    )
}

fn segments(answer: &SegmentAnswer) -> Vec<String> {
    let memberships = answer.memberships.iter().map(|change| {
        let way = if change.member { "in" } else { "out of" };
        let until = change
            .until
            .map_or(String::new(), |until| format!(", until {}", moment(until)));
        format!("{way} {}: {}{until}", change.segment, change.reason)
    });
    let tags = answer.tags.iter().map(|tag| {
        format!(
            "{} the tag {}",
            if tag.set { "sets" } else { "clears" },
            tag.tag
        )
    });
    memberships.chain(tags).collect()
}

fn points(answer: &PointAnswer) -> Vec<String> {
    answer.awards.iter().map(award).collect()
}

fn award(award: &Award) -> String {
    let amount = match award.amount {
        Amount::Base(points) => format!("{points:+} base points"),
        Amount::Bonus(points) => format!("{points:+} bonus points"),
        Amount::BonusShare(share) => format!("{} of the base as a bonus", share_of(share)),
    };
    let to = if award.to == Recipient::Referrer {
        " to the referrer"
    } else {
        ""
    };
    let from = award
        .available_from
        .map_or(String::new(), |from| format!(", from {}", moment(from)));
    let until = award
        .expires_at
        .map_or(String::new(), |until| format!(", until {}", moment(until)));
    format!("{amount}{to}: {}{from}{until}", award.reason)
}

fn tier(shop: &Shop, answer: &TierAnswer) -> Vec<String> {
    let mut lines: Vec<String> = answer.placement.iter().map(placement).collect();
    if let Some(next) = &answer.next {
        let missing = match next.unit {
            stampcard_pipeline::rules::ProgressUnit::Spend => amount(shop, next.missing),
            stampcard_pipeline::rules::ProgressUnit::Points => {
                format!("{} points", number(next.missing))
            }
            stampcard_pipeline::rules::ProgressUnit::Orders => {
                format!("{} orders", number(next.missing))
            }
        };
        lines.push(format!("{missing} to {}", next.tier));
    }
    lines
}

fn placement(placement: &Placement) -> String {
    let keep = placement.keep_until.map_or(String::new(), |until| {
        format!(", kept until {}", moment(until))
    });
    format!(
        "{}: {}{keep}",
        placement.tier.as_deref().unwrap_or("no tier"),
        placement.reason
    )
}

fn follow_ups(shop: &Shop, answer: &FollowUpAnswer) -> Vec<String> {
    let planned = answer.follow_ups.iter().map(|planned| {
        let when = planned.send_at.map_or("now".into(), moment);
        let offer = planned
            .offer
            .as_ref()
            .map_or(String::new(), |it| format!(", with {}", offer(shop, it)));
        format!(
            "{} by {} {when}: {}{offer}",
            planned.template, planned.channel, planned.reason
        )
    });
    let prompts = answer.prompts.iter().map(|prompt| {
        let offer = prompt
            .discount
            .as_ref()
            .map_or(String::new(), |it| format!(", with {}", offer(shop, it)));
        format!("prompt {:?}{offer}", hide(&prompt.text))
    });
    let receipt = answer
        .receipt
        .iter()
        .map(|line| format!("receipt {:?}", hide(line)));
    planned.chain(prompts).chain(receipt).collect()
}

fn offer(shop: &Shop, offer: &DiscountOffer) -> String {
    format!("{} off ({})", value(shop, &offer.value), offer.reason)
}

fn value(shop: &Shop, value: &DiscountValue) -> String {
    match value {
        DiscountValue::Amount(minor) => amount(shop, *minor),
        DiscountValue::Share(share) => share_of(*share),
    }
}

/// Basis points in per cent.
fn share_of(basis_points: u32) -> String {
    match (basis_points / 100, basis_points % 100) {
        (whole, 0) => format!("{whole} %"),
        (whole, rest) => format!("{whole}.{rest:02} %"),
    }
}

fn moment(moment: Moment) -> String {
    let count =
        |count: u32, unit: &str| format!("in {count} {unit}{}", if count == 1 { "" } else { "s" });
    match moment {
        Moment::At(at) => calendar::text(at),
        Moment::Hours(hours) => count(hours, "hour"),
        Moment::Days(days) => count(days, "day"),
        Moment::Months(months) => count(months, "month"),
        Moment::EndOfMonth(0) => "the end of this month".into(),
        Moment::EndOfMonth(months) => format!("the end of the month {}", count(months, "month")),
        Moment::EndOfYear(0) => "the end of this year".into(),
        Moment::EndOfYear(years) => format!("the end of the year {}", count(years, "year")),
    }
}

fn amount(shop: &Shop, minor: i64) -> String {
    format!("{} {}", money(minor, shop.minor_units), shop.file.currency)
}
