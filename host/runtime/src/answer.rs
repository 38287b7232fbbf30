//! Whether an answer has the size and the numbers that an answer may have.
//!
//! What it decides (whose segment, which line, how far ahead) is judged by the line; here is only
//! what would hurt before anybody looks at it.

use crate::limits::Limits;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::limits::{
    ATTRIBUTES_MAX, KEPT_BYTES_MAX, NUMBER_MAX, PROMPT_CHARS_MAX, REASON_BYTES_MAX,
    RECEIPT_CHARS_MAX, STATE_BYTES_MAX, TEXT_BYTES_MAX,
};
use stampcard_pipeline::person::{PersonField, stands_in};
use stampcard_pipeline::rules::{
    After, Amount, Coverage, DiscountOffer, DiscountScope, DiscountValue, FollowUpAnswer, Goods,
    Memory, Moment, NextReview, OfferCode, OnReturn, PointAnswer, SegmentAnswer, TierAnswer, Value,
};

/// An answer of some role.
pub(crate) trait Weighed {
    fn weigh(&self, scale: &mut Scale);
}

/// Refuses an answer that is too much, with the first reason found.
///
/// `personal` is what the plugin was granted: only that may its texts for people name, and no
/// other text of its may name anybody, because those are kept for ever.
pub(crate) fn weigh(
    answer: &impl Weighed,
    limits: &Limits,
    personal: &[PersonField],
) -> Result<(), String> {
    let mut scale = Scale {
        personal,
        ..Scale::default()
    };
    answer.weigh(&mut scale);
    if let Some(problem) = scale.problem {
        return Err(problem);
    }
    if scale.actions > limits.actions {
        return Err(format!(
            "{} actions, and at most {} are taken",
            scale.actions, limits.actions
        ));
    }
    if scale.bytes > limits.answer_bytes {
        return Err(format!(
            "{} bytes, and at most {} are taken",
            scale.bytes, limits.answer_bytes
        ));
    }
    Ok(())
}

/// What an answer weighs so far.
#[derive(Default)]
pub(crate) struct Scale<'a> {
    personal: &'a [PersonField],
    actions: u64,
    bytes: u64,
    problem: Option<String>,
}

impl Scale<'_> {
    fn action(&mut self) {
        self.actions += 1;
        // The parts of an action that are no text: numbers, dates, choices.
        self.bytes += 64;
    }

    fn number(&mut self, what: &str, number: i64) {
        if number.unsigned_abs() > NUMBER_MAX as u64 {
            self.object(|| {
                format!("{what} is {number}, beyond ±{NUMBER_MAX}, where some languages round")
            });
        }
    }

    fn moment(&mut self, what: &str, moment: Option<Moment>) {
        if let Some(Moment::At(Instant(at))) = moment {
            self.number(what, at);
        }
    }

    fn bytes(&mut self, what: &str, bytes: usize, most: usize) {
        self.bytes += bytes as u64;
        if bytes > most {
            self.object(|| format!("{what} has {bytes} bytes, and at most {most} are taken"));
        }
    }

    fn sentence(&mut self, what: &str, text: &str) {
        self.bytes(what, text.len(), REASON_BYTES_MAX);
        self.names_nobody(what, text);
    }

    fn name(&mut self, what: &str, text: &str) {
        self.bytes(what, text.len(), TEXT_BYTES_MAX);
        self.names_nobody(what, text);
    }

    fn names_nobody(&mut self, what: &str, text: &str) {
        if let Some(field) = stands_in(text) {
            self.object(|| {
                format!(
                    "{what} names the customer's {}, which only receipts, prompts and the data of follow-ups may",
                    field.name()
                )
            });
        }
    }

    /// Text that the host fills in where it leaves.
    fn names_granted(&mut self, what: &str, text: &str) {
        if let Some(field) = stands_in(text)
            && !self.personal.contains(&field)
            && !PersonField::SHARED.contains(&field)
        {
            self.object(|| {
                format!(
                    "{what} names the customer's {}, which was not granted",
                    field.name()
                )
            });
        }
    }

    /// What a template or a till is given.
    fn words(&mut self, what: &str, text: &str) {
        self.bytes(what, text.len(), REASON_BYTES_MAX);
        self.names_granted(what, text);
    }

    /// Text for people whose length a machine limits, in characters.
    fn shown(&mut self, what: &str, text: &str, most: usize) {
        self.bytes += text.len() as u64;
        self.names_granted(what, text);
        let chars = text.chars().count();
        if chars > most {
            self.object(|| format!("{what} has {chars} characters, and at most {most} are taken"));
        }
    }

    fn numbers(&mut self, numbers: &[u32]) {
        self.bytes += 4 * numbers.len() as u64;
    }

    fn count(&mut self, what: &str, entries: usize) {
        if entries > ATTRIBUTES_MAX {
            self.object(|| {
                format!("{what}: {entries} entries, and at most {ATTRIBUTES_MAX} are taken")
            });
        }
    }

    fn pairs(&mut self, what: &str, pairs: &[(String, String)]) {
        self.count(what, pairs.len());
        for (key, value) in pairs {
            self.name(what, key);
            self.sentence(what, value);
        }
    }

    fn object(&mut self, problem: impl FnOnce() -> String) {
        self.problem.get_or_insert_with(problem);
    }
}

impl Weighed for SegmentAnswer {
    fn weigh(&self, scale: &mut Scale) {
        for change in &self.memberships {
            scale.action();
            scale.name("a segment", &change.segment);
            scale.sentence("the reason of a membership", &change.reason);
            scale.moment("the `until` of a membership", change.until);
        }
        for setting in &self.tags {
            scale.action();
            scale.name("a tag", &setting.tag);
        }
        self.after.weigh(scale);
    }
}

impl Weighed for PointAnswer {
    fn weigh(&self, scale: &mut Scale) {
        for award in &self.awards {
            scale.action();
            if let Amount::Base(points) | Amount::Bonus(points) = award.amount {
                scale.number("the amount of an award", points);
            }
            if let OnReturn::WholeBelow(amount) = award.on_return {
                scale.number("the `whole-below` of an award", amount);
            }
            if let Coverage::Lines(lines) = &award.covers {
                scale.numbers(lines);
            }
            scale.sentence("the reason of an award", &award.reason);
            scale.moment("the `available-from` of an award", award.available_from);
            scale.moment("the `expires-at` of an award", award.expires_at);
            scale.pairs("the attributes of an award", &award.attributes);
        }
        self.after.weigh(scale);
    }
}

impl Weighed for TierAnswer {
    fn weigh(&self, scale: &mut Scale) {
        if let Some(placement) = &self.placement {
            scale.action();
            scale.name("a tier", placement.tier.as_deref().unwrap_or_default());
            scale.sentence("the reason of a placement", &placement.reason);
            scale.moment("the `keep-until` of a placement", placement.keep_until);
        }
        if let Some(next) = &self.next {
            scale.name("the next tier", &next.tier);
            scale.number("what is missing for the next tier", next.missing);
        }
        self.after.weigh(scale);
    }
}

impl Weighed for FollowUpAnswer {
    fn weigh(&self, scale: &mut Scale) {
        for follow_up in &self.follow_ups {
            scale.action();
            scale.name("the channel of a follow-up", &follow_up.channel);
            scale.name("the template of a follow-up", &follow_up.template);
            scale.moment("the `send-at` of a follow-up", follow_up.send_at);
            scale.moment("the `expires-at` of a follow-up", follow_up.expires_at);
            scale.count("the data of a follow-up", follow_up.data.len());
            for (key, value) in &follow_up.data {
                scale.name("the data of a follow-up", key);
                value.weigh(scale);
            }
            scale.name("the dedupe key of a follow-up", &follow_up.dedupe_key);
            scale.count("what cancels a follow-up", follow_up.cancelled_by.len());
            for kind in &follow_up.cancelled_by {
                scale.name("a kind that cancels a follow-up", kind);
            }
            if let Some(offer) = &follow_up.offer {
                offer.weigh(scale);
            }
            scale.sentence("the reason of a follow-up", &follow_up.reason);
            scale.pairs("the attributes of a follow-up", &follow_up.attributes);
        }
        for prompt in &self.prompts {
            scale.action();
            scale.name("the kind of a prompt", &prompt.kind);
            scale.shown("the text of a prompt", &prompt.text, PROMPT_CHARS_MAX);
            scale.count("the attributes of a prompt", prompt.attributes.len());
            for (key, value) in &prompt.attributes {
                scale.name("the attributes of a prompt", key);
                scale.words("the attributes of a prompt", value);
            }
            if let Some(discount) = &prompt.discount {
                discount.weigh(scale);
            }
        }
        for line in &self.receipt {
            scale.action();
            scale.shown("a receipt line", line, RECEIPT_CHARS_MAX);
        }
        self.after.weigh(scale);
    }
}

impl Weighed for DiscountOffer {
    fn weigh(&self, scale: &mut Scale) {
        scale.name("the key of a discount", &self.key);
        match &self.scope {
            DiscountScope::Lines(lines) => scale.numbers(lines),
            DiscountScope::Gift(goods) | DiscountScope::NextGoods(goods) => goods.weigh(scale),
            DiscountScope::Basket | DiscountScope::NextPurchase => {}
        }
        if let DiscountValue::Amount(amount) = self.value {
            scale.number("the amount of a discount", amount);
        }
        scale.number("the minimum of a discount", self.minimum);
        if let OfferCode::Shared(code) | OfferCode::Unique(code) = &self.code {
            scale.name("the code of a discount", code);
        }
        scale.moment("the `valid-from` of a discount", self.valid_from);
        scale.moment("the `valid-until` of a discount", self.valid_until);
        scale.sentence("the reason of a discount", &self.reason);
        scale.pairs("the attributes of a discount", &self.attributes);
    }
}

impl Weighed for Goods {
    fn weigh(&self, scale: &mut Scale) {
        for names in [&self.skus, &self.categories, &self.collections] {
            for name in names {
                scale.name("the goods of a discount", name);
            }
        }
        scale.number("the quantity of a discount's goods", self.quantity);
    }
}

impl Weighed for Value {
    fn weigh(&self, scale: &mut Scale) {
        match self {
            Value::Text(text) => scale.words("the data of a follow-up", text),
            Value::Number(number)
            | Value::Points(number)
            | Value::Money(number)
            | Value::At(Instant(number)) => {
                scale.number("the data of a follow-up", *number);
            }
        }
    }
}

impl Weighed for After {
    fn weigh(&self, scale: &mut Scale) {
        if let Memory::Replace(state) = &self.memory {
            scale.bytes("the state", state.len(), STATE_BYTES_MAX);
        }
        if let NextReview::At(Instant(at)) = self.next_review {
            scale.number("`next-review`", at);
        }
        if let Some(kept) = &self.keep_with_event {
            scale.bytes("`keep-with-event`", kept.len(), KEPT_BYTES_MAX);
        }
        scale.sentence("the note", self.note.as_deref().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stampcard_pipeline::rules::{Award, FollowUp, Prompt, Purpose, Recipient};

    fn award(points: i64) -> Award {
        Award {
            amount: Amount::Base(points),
            to: Recipient::Customer,
            covers: Coverage::Lines(vec![1]),
            reason: "1 point per dollar".into(),
            available_from: None,
            expires_at: None,
            on_return: OnReturn::Proportional,
            attributes: Vec::new(),
        }
    }

    fn judge(answer: &impl Weighed) -> String {
        weigh(answer, &Limits::default(), &[PersonField::GivenName])
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn what_is_at_its_limit_is_taken_and_one_more_is_not() {
        let points = |amount| PointAnswer {
            awards: vec![award(amount)],
            ..PointAnswer::default()
        };
        let awards = |count| PointAnswer {
            awards: vec![award(1); count],
            ..PointAnswer::default()
        };
        let state = |bytes| TierAnswer {
            after: After {
                memory: Memory::Replace(vec![0; bytes]),
                ..After::default()
            },
            ..TierAnswer::default()
        };
        let note = |bytes| SegmentAnswer {
            after: After {
                note: Some("x".repeat(bytes)),
                ..After::default()
            },
            ..SegmentAnswer::default()
        };
        let receipt = |chars| FollowUpAnswer {
            receipt: vec!["ü".repeat(chars)],
            ..FollowUpAnswer::default()
        };
        assert_eq!(judge(&points(NUMBER_MAX)), "");
        assert!(judge(&points(NUMBER_MAX + 1)).contains("the amount of an award"));
        assert!(judge(&points(i64::MIN)).contains("the amount of an award"));
        assert_eq!(judge(&awards(256)), "");
        assert!(judge(&awards(257)).contains("257 actions"));
        assert_eq!(judge(&state(4_096)), "");
        assert!(judge(&state(4_097)).contains("the state has 4097 bytes"));
        assert_eq!(judge(&note(512)), "");
        assert!(judge(&note(513)).contains("the note has 513 bytes"));
        assert_eq!(judge(&receipt(80)), "");
        assert!(judge(&receipt(81)).contains("a receipt line has 81 characters"));
    }

    #[test]
    fn only_texts_for_people_name_somebody_and_only_with_what_was_granted() {
        let says = |field: PersonField| format!("Thanks, {}!", field.stand_in());
        let receipt = |field| FollowUpAnswer {
            receipt: vec![says(field)],
            ..FollowUpAnswer::default()
        };
        let note = |field| SegmentAnswer {
            after: After {
                note: Some(says(field)),
                ..After::default()
            },
            ..SegmentAnswer::default()
        };
        assert_eq!(judge(&receipt(PersonField::GivenName)), "");
        assert!(
            judge(&receipt(PersonField::Email))
                .contains("a receipt line names the customer's email, which was not granted")
        );
        assert!(
            judge(&note(PersonField::GivenName))
                .contains("the note names the customer's given_name")
        );
    }

    #[test]
    fn many_small_texts_are_one_large_answer() {
        let prompt = |_| Prompt {
            kind: "message".into(),
            text: "x".repeat(200),
            discount: None,
            attributes: vec![("k".into(), "v".repeat(512)); 2],
        };
        let answer = FollowUpAnswer {
            prompts: (0..60).map(prompt).collect(),
            ..FollowUpAnswer::default()
        };
        assert!(
            judge(&answer).contains("at most 65536"),
            "{}",
            judge(&answer)
        );
    }

    #[test]
    fn names_and_lists_have_their_limits() {
        let follow_up = FollowUp {
            channel: "email".into(),
            template: "t".repeat(513),
            purpose: Purpose::Service,
            send_at: None,
            expires_at: None,
            data: vec![("k".into(), Value::Number(1)); 51],
            dedupe_key: "k".into(),
            cancelled_by: Vec::new(),
            offer: None,
            reason: "r".into(),
            attributes: Vec::new(),
        };
        let with_data = FollowUp {
            template: "t".into(),
            ..follow_up.clone()
        };
        let answer = |it| FollowUpAnswer {
            follow_ups: vec![it],
            ..FollowUpAnswer::default()
        };
        assert!(judge(&answer(follow_up)).contains("the template of a follow-up has 513 bytes"));
        assert!(judge(&answer(with_data)).contains("the data of a follow-up: 51 entries"));
    }
}
