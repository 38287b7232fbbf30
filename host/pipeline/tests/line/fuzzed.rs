//! No bytes that a till sends and no answer that a plugin gives make the line panic, and whatever
//! they are, the sums of the ledger stay right.

use crate::{Bench, event, sale};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use stampcard_pipeline::admit::{Arrival, Sender};
use stampcard_pipeline::catalogue::KINDS;
use stampcard_pipeline::limits::NUMBER_MAX;
use stampcard_pipeline::line::process;
use stampcard_pipeline::outcome::Outcome;
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::rules::{
    After, Amount, Award, Coverage, DiscountOffer, DiscountScope, DiscountValue, FollowUp,
    FollowUpAnswer, MembershipChange, Memory, Moment, NextReview, NextTier, OfferCode, OnReturn,
    Placement, PointAnswer, ProgressUnit, Prompt, Purpose, Recipient, SegmentAnswer, TagSetting,
    TierAnswer,
};

#[path = "../../../../tests/fuzz/fuzz.rs"]
mod fuzz;

const AT: &str = "2026-03-02T10:00:00-05:00";

/// What came of it, in a word: what is told apart.
fn came(decided: &Result<Outcome, Refusal>) -> String {
    match decided {
        Ok(outcome) => {
            let calls: Vec<&str> = outcome
                .plugins
                .iter()
                .map(|call| call.status.as_str())
                .collect();
            format!(
                "{:?} {calls:?} {} {}",
                outcome.status,
                outcome.points.len(),
                outcome.notes.len()
            )
        }
        Err(refusal) => format!("{} {}", refusal.code(), refusal.pointer()),
    }
}

#[test]
fn no_bytes_of_an_event_make_the_line_panic() {
    let mut inputs: Vec<Vec<u8>> = KINDS
        .iter()
        .map(|kind| {
            let data: Value = serde_json::from_str(kind.example).expect("an example is JSON");
            event("1", kind.name, AT, data).to_string().into_bytes()
        })
        .collect();
    inputs.push(sale("1", AT, "ana@example.com", 1_000).to_string().into());
    let words = [
        "null",
        "true",
        "[]",
        "{}",
        "\"\"",
        "[[[[",
        "{\"a\":",
        "\\u0000",
        "\\ud800",
        "é",
        "𝒜",
        "\"customer\":{\"email\":\"a@b.c\"}",
        "\"lines\":[{\"amount\":1}]",
        "\"currency\":\"EUR\"",
        "\"channel\":\"pos\"",
        "\"quantity\":\"0.340\"",
        "\"payment_state\":\"pending\"",
        "2026-02-29T25:61:61Z",
        "9999-12-31T23:59:59+23:59",
        "-0001-01-01T00:00:00Z",
        "+1",
        "4111111111111111",
    ];
    fuzz::fuzz("event-bytes", inputs, &words, |bytes| {
        let bench = Bench::new();
        let decided = process(
            &bench.store,
            bench.context(),
            &Arrival::Told(bytes, &Sender::operator("till")),
            bench.now,
        )
        .map(|committed| committed.outcome);
        // And again: it is a duplicate, or refused as it was.
        let again = process(
            &bench.store,
            bench.context(),
            &Arrival::Told(bytes, &Sender::operator("till")),
            bench.now,
        );
        assert_eq!(decided.is_ok(), again.is_ok());
        came(&decided)
    });
}

/// An answer with everything in it that an answer can have.
fn answers() -> [Value; 4] {
    fn value(answer: &impl serde::Serialize) -> Value {
        serde_json::to_value(answer).expect("an answer is plain data")
    }
    let after = After {
        memory: Memory::Replace(vec![1, 2]),
        next_review: NextReview::At(stampcard_pipeline::event::Instant(1_900_000_000_000)),
        keep_with_event: Some(vec![3]),
        note: Some("noted".into()),
    };
    let segments = SegmentAnswer {
        memberships: vec![MembershipChange {
            segment: "regular".into(),
            member: true,
            reason: "because".into(),
            until: Some(Moment::Days(30)),
        }],
        tags: vec![TagSetting {
            tag: "VIP".into(),
            set: true,
        }],
        after: after.clone(),
    };
    let award = |amount, covers| Award {
        amount,
        to: Recipient::Customer,
        covers,
        reason: "because".into(),
        available_from: Some(Moment::Hours(1)),
        expires_at: Some(Moment::EndOfYear(1)),
        on_return: OnReturn::WholeBelow(5),
        attributes: Vec::new(),
    };
    let points = PointAnswer {
        awards: vec![
            award(Amount::Base(10), Coverage::Whole),
            award(Amount::Bonus(5), Coverage::Lines(vec![1])),
            award(Amount::BonusShare(5_000), Coverage::Whole),
        ],
        after: after.clone(),
    };
    let tier = TierAnswer {
        placement: Some(Placement {
            tier: Some("silver".into()),
            reason: "because".into(),
            keep_until: Some(Moment::Months(12)),
        }),
        next: Some(NextTier {
            tier: "gold".into(),
            missing: 5,
            unit: ProgressUnit::Spend,
        }),
        after: after.clone(),
    };
    let offer = DiscountOffer {
        key: "mine".into(),
        scope: DiscountScope::Lines(vec![1]),
        value: DiscountValue::Share(500),
        minimum: 0,
        code: OfferCode::Unique("X".into()),
        valid_from: Some(Moment::Days(1)),
        valid_until: Some(Moment::EndOfMonth(2)),
        reason: "because".into(),
        attributes: Vec::new(),
    };
    let follow_ups = FollowUpAnswer {
        follow_ups: vec![FollowUp {
            channel: "email".into(),
            template: "thanks".into(),
            purpose: Purpose::Marketing,
            send_at: Some(Moment::Hours(2)),
            expires_at: Some(Moment::Days(9)),
            data: Vec::new(),
            dedupe_key: "once".into(),
            cancelled_by: vec!["sale.completed".into()],
            offer: Some(offer.clone()),
            reason: "because".into(),
            attributes: Vec::new(),
        }],
        prompts: vec![Prompt {
            kind: "discount".into(),
            text: "Something off".into(),
            discount: Some(offer),
            attributes: Vec::new(),
        }],
        receipt: vec!["Thanks!".into()],
        after,
    };
    [
        value(&segments),
        value(&points),
        value(&tier),
        value(&follow_ups),
    ]
}

/// No number goes beyond what the runtime lets through.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => number
            .as_i64()
            .is_some_and(|number| number.abs() <= NUMBER_MAX),
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(fields) => fields.values().all(is_exact),
        _ => true,
    }
}

/// The answer of a role, if these bytes are one.
fn answer<A: DeserializeOwned>(whole: &Value, role: usize) -> Option<A> {
    serde_json::from_value(whole.get(role)?.clone()).ok()
}

#[test]
fn no_answer_of_a_plugin_makes_the_line_panic_or_the_ledger_wrong() {
    let inputs = vec![json!(answers()).to_string().into_bytes()];
    let words = [
        "null",
        "\"Whole\"",
        "{\"Lines\":[1,99]}",
        "{\"Base\":1}",
        "{\"Bonus\":7}",
        "{\"BonusShare\":1000000}",
        "{\"Days\":36525}",
        "{\"Hours\":4294967295}",
        "{\"EndOfYear\":100}",
        "{\"At\":0}",
        "\"Never\"",
        "\"Forget\"",
        "\"gold\"",
        "\"nobody\"",
        "\"referrer\"",
        "{\"Shared\":\"X\"}",
        "{\"amount\":-5}",
        "é",
        "\\ud83d\\ude00",
    ];
    fuzz::fuzz("plugin-answers", inputs, &words, |bytes| {
        let Ok(whole) = serde_json::from_slice::<Value>(bytes) else {
            return "no JSON".into();
        };
        if !is_exact(&whole) {
            return "refused by the runtime".into();
        }
        let (Some(segments), Some(points), Some(tier), Some(follow_ups)) = (
            answer::<SegmentAnswer>(&whole, 0),
            answer::<PointAnswer>(&whole, 1),
            answer::<TierAnswer>(&whole, 2),
            answer::<FollowUpAnswer>(&whole, 3),
        ) else {
            return "no answer".into();
        };
        let mut bench = Bench::new();
        bench.rules.segments = Box::new(move |_, _| Ok(segments.clone()));
        bench.rules.points = Box::new(move |_, _| Ok(points.clone()));
        bench.rules.tier = Box::new(move |_, _| Ok(tier.clone()));
        bench.rules.follow_ups = Box::new(move |_, _| Ok(follow_ups.clone()));
        let first = bench.tell(&sale("1", AT, "ana@example.com", 1_000));
        let late = bench.tell(&sale(
            "0",
            "2026-03-01T10:00:00-05:00",
            "ana@example.com",
            500,
        ));
        for outcome in [&first, &late] {
            let outcome = outcome
                .as_ref()
                .expect("a sale is taken, whatever a plugin says");
            let last = outcome.points.last();
            let balance = outcome.customer.as_ref().map(|customer| customer.balance);
            assert!(last.is_none_or(|last| Some(last.balance_after) == balance));
        }
        format!("{} {}", came(&first), came(&late))
    });
}
