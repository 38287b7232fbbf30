//! A plugin whose answers are well formed and ask for what is not its to ask for, as its
//! configuration tells it: `{"tries":"UnknownTier"}`.

mod usurpations;

use std::cell::Cell;
use usurpations::Usurpation;

wit_bindgen::generate!({
    path: "../../../wit/v0.1",
    inline: "package stampcard:guest; world usurper {
        import stampcard:plugin/log@0.1.0;
        export stampcard:plugin/lifecycle@0.1.0;
        export stampcard:plugin/segment-rule@0.1.0;
        export stampcard:plugin/tier-rule@0.1.0;
        export stampcard:plugin/follow-up-trigger@0.1.0;
    }",
    world: "stampcard:guest/usurper",
    generate_all,
});

use exports::stampcard::plugin::{follow_up_trigger, lifecycle, segment_rule, tier_rule};
use stampcard::plugin::types::*;

struct Usurper;

thread_local! {
    static TRIES: Cell<Usurpation> = const { Cell::new(Usurpation::None) };
}

const SECOND: i64 = 1_000;
const DAY: i64 = 86_400 * SECOND;

impl lifecycle::Guest for Usurper {
    fn configure(configuration: String, _: Shop) -> Result<(), Refusal> {
        let named = configuration
            .split("\"tries\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap_or("None");
        let tries = Usurpation::ALL
            .iter()
            .find(|tries| format!("{tries:?}") == named);
        TRIES.set(*tries.ok_or_else(|| Refusal::Rejected(format!("{named} is nothing to try")))?);
        Ok(())
    }
}

impl segment_rule::Guest for Usurper {
    fn decide(input: Input) -> Result<SegmentAnswer, Refusal> {
        let now = input.event.occurred_at;
        let mut answer = SegmentAnswer {
            memberships: vec![MembershipChange {
                segment: "mine".into(),
                member: true,
                reason: "because".into(),
                until: None,
            }],
            tags: Vec::new(),
            after: after(),
        };
        let mine = &mut answer.memberships[0];
        match TRIES.get() {
            Usurpation::UnknownSegment => mine.segment = "everybody".into(),
            Usurpation::SegmentOfAnother => mine.segment = "vip".into(),
            Usurpation::ForeignTag => answer.tags.push(TagSetting {
                tag: "VIP".into(),
                set: true,
            }),
            Usurpation::EndsBeforeItBegins => mine.until = Some(Moment::At(now - DAY)),
            Usurpation::EndsInTenThousandYears => mine.until = Some(Moment::Days(3_652_500)),
            Usurpation::ReviewStorm => answer.after.next_review = NextReview::At(now + SECOND),
            Usurpation::ReviewYesterday => answer.after.next_review = NextReview::At(now - DAY),
            _ => {}
        }
        Ok(answer)
    }
}

impl tier_rule::Guest for Usurper {
    fn decide(input: Input) -> Result<TierAnswer, Refusal> {
        let (tier, keep_until) = match TRIES.get() {
            Usurpation::UnknownTier => ("diamond", None),
            Usurpation::TierOfAnother => ("gold", None),
            Usurpation::TierUntilYesterday => {
                let yesterday = input.event.occurred_at - DAY;
                ("silver", Some(Moment::At(yesterday)))
            }
            _ => ("silver", None),
        };
        let placement = Placement {
            tier: Some(tier.into()),
            reason: "because".into(),
            keep_until,
        };
        Ok(TierAnswer {
            placement: Some(placement),
            next: None,
            after: after(),
        })
    }
}

impl follow_up_trigger::Guest for Usurper {
    fn decide(input: Input) -> Result<FollowUpAnswer, Refusal> {
        let mut answer = FollowUpAnswer {
            follow_ups: Vec::new(),
            prompts: vec![prompt(DiscountValue::Share(500))],
            receipt: Vec::new(),
            after: after(),
        };
        match TRIES.get() {
            Usurpation::DiscountOverTheCap => {
                answer.prompts = vec![prompt(DiscountValue::Share(9_000))];
            }
            Usurpation::DiscountOverAll => {
                answer.prompts = vec![prompt(DiscountValue::Share(10_001))];
            }
            Usurpation::NegativeDiscount => {
                answer.prompts = vec![prompt(DiscountValue::Amount(-500))];
            }
            Usurpation::DiscountOnNoLine => {
                if let Some(offer) = &mut answer.prompts[0].discount {
                    offer.scope = DiscountScope::Lines(vec![99]);
                }
            }
            Usurpation::MessageFromThePast => {
                let then = Moment::At(input.event.occurred_at - DAY);
                answer.follow_ups = vec![message("late", Some(then))];
            }
            Usurpation::EndlessPrompt => answer.prompts[0].text = "x".repeat(201),
            Usurpation::EndlessReceipt => answer.receipt = vec!["x".repeat(81)],
            Usurpation::Indiscreet => {
                // The stand-in that the host fills in for whoever was granted it.
                answer.prompts[0].text = "Write to \u{E5C3}!".into();
            }
            Usurpation::Flood => {
                answer.follow_ups = (0..300)
                    .map(|number| message(&format!("m-{number}"), None))
                    .collect();
            }
            _ => {}
        }
        Ok(answer)
    }
}

fn prompt(value: DiscountValue) -> Prompt {
    Prompt {
        kind: "discount".into(),
        text: "Something off".into(),
        discount: Some(DiscountOffer {
            key: "mine".into(),
            scope: DiscountScope::Basket,
            value,
            minimum: 0,
            code: OfferCode::NoCode,
            valid_from: None,
            valid_until: None,
            reason: "because".into(),
            attributes: Vec::new(),
        }),
        attributes: Vec::new(),
    }
}

fn message(key: &str, send_at: Option<Moment>) -> FollowUp {
    FollowUp {
        channel: "email".into(),
        template: "thanks".into(),
        purpose: Purpose::Service,
        send_at,
        expires_at: None,
        data: Vec::new(),
        dedupe_key: key.into(),
        cancelled_by: Vec::new(),
        offer: None,
        reason: "because".into(),
        attributes: Vec::new(),
    }
}

fn after() -> After {
    After {
        memory: Memory::Keep,
        next_review: NextReview::Keep,
        keep_with_event: None,
        note: None,
        attributes: Vec::new(),
    }
}

export!(Usurper);
