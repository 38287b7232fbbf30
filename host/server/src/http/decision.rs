//! Decisions as they are read back: what each plugin saw, decided and noted. Plugins see nothing that
//! is personal, and neither does whoever reads this.

use super::event_view::Named;
use super::profile::NextTier;
use serde::Serialize;
use serde_json::{Value, json};
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::{Answered, RecordedCall};
use stampcard_pipeline::event::{Instant, Points};
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::person::hide;
use stampcard_pipeline::rules::{
    After, Amount, Call, Failure, Input, Moment, Plugin, Returned, ReviewCause,
};
use stampcard_store::reads::ExplanationRow;
use utoipa::ToSchema;

/// Why one step came out as it did. A late event has several: those that came after it were
/// decided again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Step {
    /// The event of the step; absent for a review, which the host makes when something is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<Named>,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
    /// The event on whose arrival it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<Named>,
    /// The rule book that was live then.
    pub rule_book: i64,
    /// Each plugin that was asked, in order.
    pub calls: Vec<CallView>,
    /// What the host did to the answers, in words: caps that bit, answers that lost.
    pub notes: Vec<String>,
}

/// One call: what the plugin saw, what it said, what it used.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallView {
    pub plugin: String,
    pub version: String,
    pub digest: String,
    pub configuration: String,
    #[schema(example = "point-formula")]
    pub role: String,
    /// `ok`, or the class of the failure.
    pub status: String,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saw: Option<Saw>,
    /// What it decided, by its role.
    #[schema(value_type = Object)]
    pub decided: Value,
    /// What it noted for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub fuel: u64,
    pub fuel_limit: u64,
    pub memory_bytes: u64,
    pub micros: u64,
    /// What it ran in, where that was not an instance of its own: `kept`, `compared` where a kept one
    /// and a fresh one answered alike, `differed` where they did not and the fresh one counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<&'static str>,
}

/// The customer as the plugin saw them, in short.
#[derive(Debug, Serialize, ToSchema)]
pub struct Saw {
    /// Why the host asked again, for a review.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub review: Vec<String>,
    pub segments: Vec<String>,
    pub tags: Vec<String>,
    pub tier: Option<String>,
    pub balance: Points,
    /// Everything so far, this event included.
    pub orders: u32,
    pub spend: i64,
    /// In the 365 days of 24 hours before.
    pub orders_365_days: u32,
    pub spend_365_days: i64,
    /// What this event had decided before the call.
    pub entered: Vec<String>,
    pub left: Vec<String>,
    pub points: Points,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_tier: Option<NextTier>,
    pub has_state: bool,
    /// What came back, for a return.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<SawReturned>,
}

/// What came back of a sale, as the plugin saw it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SawReturned {
    /// The sale.
    pub of: Named,
    #[schema(value_type = String, format = DateTime)]
    pub sold_at: Time,
    /// Given back to the customer with this event, and before.
    pub amount: i64,
    pub amount_before: i64,
    /// The lines that came back with this event.
    pub lines: Vec<u32>,
    /// What the plugin had awarded for the sale, and what earlier returns took of that.
    pub awarded: Points,
    pub reversed: Points,
}

/// The steps of an event; `plugins` are those of a rule book, by its number.
pub fn steps<'a>(
    rows: Vec<ExplanationRow>,
    plugins: impl Fn(i64) -> Option<&'a [Plugin]>,
) -> Vec<Step> {
    rows.into_iter().map(|row| step(row, &plugins)).collect()
}

fn step<'a>(row: ExplanationRow, plugins: &impl Fn(i64) -> Option<&'a [Plugin]>) -> Step {
    let book = plugins(row.rule_book).unwrap_or_default();
    let calls = row
        .explanation
        .calls
        .iter()
        .map(|call| call_view(call, book.get(call.plugin as usize)))
        .collect();
    let position = row.position;
    Step {
        at: Time(position.at),
        event: (!position.source.is_empty()).then_some(Named {
            source: position.source,
            id: position.id,
        }),
        caused_by: row.caused_by.map(Named::from),
        rule_book: row.rule_book,
        calls,
        notes: row.explanation.notes,
    }
}

fn call_view(call: &RecordedCall, plugin: Option<&Plugin>) -> CallView {
    let of = |field: fn(&Plugin) -> &String| plugin.map(field).cloned().unwrap_or_default();
    let (usage, said) = match &call.answer {
        Answered::Segments(call) => (
            call.usage,
            said(call, |answer| {
                let memberships: Vec<Value> = answer.memberships.iter().map(|change| {
                json!({"segment": change.segment, "member": change.member, "reason": change.reason, "until": change.until.map(moment)})
            }).collect();
                let tags: Vec<Value> = answer
                    .tags
                    .iter()
                    .map(|tag| json!({"tag": tag.tag, "set": tag.set}))
                    .collect();
                (
                    json!({"memberships": memberships, "tags": tags}),
                    &answer.after,
                )
            }),
        ),
        Answered::Points(call) => (
            call.usage,
            said(call, |answer| {
                let awards: Vec<Value> = answer.awards.iter().map(|award| {
                json!({
                    "kind": award.amount.kind(), "amount": amount(award.amount), "reason": award.reason,
                    "available_from": award.available_from.map(moment), "expires_at": award.expires_at.map(moment),
                })
            }).collect();
                (json!({"awards": awards}), &answer.after)
            }),
        ),
        Answered::Tier(call) => (
            call.usage,
            said(call, |answer| {
                let placement = answer.placement.as_ref().map(|placement| {
                json!({"tier": placement.tier, "reason": placement.reason, "keep_until": placement.keep_until.map(moment)})
            });
                (
                    json!({"placement": placement, "next": answer.next}),
                    &answer.after,
                )
            }),
        ),
        Answered::FollowUps(call) => (
            call.usage,
            said(call, |answer| {
                let follow_ups: Vec<Value> = answer.follow_ups.iter().map(|planned| {
                json!({
                    "channel": planned.channel, "template": planned.template, "reason": planned.reason,
                    "dedupe_key": planned.dedupe_key, "send_at": planned.send_at.map(moment),
                })
            }).collect();
                let prompts: Vec<Value> = answer
                    .prompts
                    .iter()
                    .map(|prompt| json!({"kind": prompt.kind, "text": hide(&prompt.text)}))
                    .collect();
                (
                    json!({"follow_ups": follow_ups, "prompts": prompts, "receipt": answer.receipt.iter().map(|line| hide(line)).collect::<Vec<_>>()}),
                    &answer.after,
                )
            }),
        ),
    };
    CallView {
        plugin: of(|plugin| &plugin.name),
        version: of(|plugin| &plugin.version),
        digest: of(|plugin| &plugin.digest),
        configuration: of(|plugin| &plugin.configuration),
        role: call.role.name().to_owned(),
        status: said.status,
        failure: said.failure,
        saw: postcard::from_bytes(&call.input).ok().map(saw),
        decided: said.decided,
        note: said.note,
        fuel: usage.fuel,
        fuel_limit: usage.fuel_limit,
        memory_bytes: usage.memory_bytes,
        micros: usage.micros,
        instance: usage.instance.word(),
    }
}

struct Said {
    status: String,
    failure: Option<String>,
    decided: Value,
    note: Option<String>,
}

fn said<A>(call: &Call<A>, decided: impl FnOnce(&A) -> (Value, &After)) -> Said {
    match &call.result {
        Ok(answer) => {
            let (decided, after) = decided(answer);
            Said {
                status: "ok".into(),
                failure: None,
                decided,
                note: after.note.clone(),
            }
        }
        Err(failure) => Said {
            status: Failure::class(failure).into(),
            failure: Some(failure.to_string()),
            decided: Value::Null,
            note: None,
        },
    }
}

fn saw(input: Input) -> Saw {
    let year = input.totals.windows[3];
    Saw {
        review: input.review.iter().map(cause).collect(),
        segments: input
            .customer
            .segments
            .into_iter()
            .map(|membership| membership.segment)
            .collect(),
        tags: input.customer.tags,
        tier: input.customer.tier.map(|standing| standing.tier),
        balance: input.customer.balance,
        orders: input.totals.lifetime.orders,
        spend: input.totals.lifetime.spend,
        orders_365_days: year.orders,
        spend_365_days: year.spend,
        entered: input.so_far.segments_entered,
        left: input.so_far.segments_left,
        points: input.so_far.points,
        next_tier: input.so_far.next_tier.map(|next| NextTier {
            tier: next.tier,
            missing: next.missing,
            unit: next.unit,
        }),
        has_state: input.state.is_some(),
        returned: input.returned.map(|it| saw_returned(*it)),
    }
}

fn saw_returned(it: Returned) -> SawReturned {
    let awards = &it.original.awards;
    SawReturned {
        awarded: awards.iter().map(|award| award.amount).sum(),
        reversed: awards.iter().map(|award| award.reversed).sum(),
        sold_at: Time(it.original.at),
        amount: it.amount,
        amount_before: it.original.returned_amount,
        lines: it.lines.iter().map(|line| line.line).collect(),
        of: Named {
            source: it.original.source,
            id: it.original.id,
        },
    }
}

fn cause(cause: &ReviewCause) -> String {
    match cause {
        ReviewCause::Asked => "the plugin asked for it".into(),
        ReviewCause::AskedByOther => "another plugin asked for it".into(),
        ReviewCause::MembershipUntil(segment) => format!("the membership in {segment} ends"),
        ReviewCause::TierKeepUntil(tier) => format!("the tier {tier} was kept until now"),
        ReviewCause::RulesChanged => "the rules changed".into(),
        ReviewCause::PointsExpired(points) => format!("{points} points were not used in time"),
        ReviewCause::BasketLeft(basket) => {
            format!("nobody paid for the basket {}/{}", basket.source, basket.id)
        }
    }
}

fn amount(amount: Amount) -> Value {
    match amount {
        Amount::Base(points) | Amount::Bonus(points) => points.into(),
        Amount::BonusShare(basis_points) => format!(
            "{}.{:02} % of the base",
            basis_points / 100,
            basis_points % 100
        )
        .into(),
    }
}

/// A later instant in the plugin's own words.
fn moment(moment: Moment) -> String {
    match moment {
        Moment::At(Instant(at)) => calendar::text(Instant(at)),
        Moment::Hours(hours) => format!("in {hours} hours"),
        Moment::Days(days) => format!("in {days} days"),
        Moment::Months(months) => format!("in {months} months"),
        Moment::EndOfMonth(months) => format!("at the end of the month, {months} on"),
        Moment::EndOfYear(years) => format!("at the end of the year, {years} on"),
    }
}
