//! Building answers: each reads as the sentence that it is.

use serde::Serialize;

use crate::types::{
    After, Amount, Award, Coverage, DiscountOffer, DiscountScope, DiscountValue, FollowUp,
    FollowUpAnswer, Goods, Instant, MembershipChange, Memory, Money, NextReview, NextTier,
    OfferCode, OnReturn, Placement, PointAnswer, Points, ProgressUnit, Prompt, Purpose, Recipient,
    SegmentAnswer, TagSetting, TierAnswer, Value,
};
use crate::{KEPT_MAX_BYTES, Result, STATE_MAX_BYTES, When, state};

/// What every answer can carry beside its decisions.
pub trait Answer: Default {
    fn after_mut(&mut self) -> &mut After;

    /// Nothing to decide.
    fn nothing() -> Self {
        Self::default()
    }

    /// One sentence for whoever asks why, even if nothing was decided.
    fn note(mut self, sentence: impl Into<String>) -> Self {
        self.after_mut().note = Some(sentence.into());
        self
    }

    /// Asks for a review at this instant, in place of the one that was asked for before; none
    /// asks for none any more. An answer that does not say leaves it as it was.
    fn review_at(mut self, instant: impl Into<Option<Instant>>) -> Self {
        self.after_mut().next_review = match instant.into() {
            Some(instant) => NextReview::At(instant),
            None => NextReview::Never,
        };
        self
    }

    /// Remembers this about the customer from now on; the next call reads it with
    /// [`Input::remembered`](crate::types::Input::remembered).
    #[track_caller]
    fn remember<T: Serialize>(mut self, state: &T) -> Result<Self> {
        let bytes = state::encode(state, STATE_MAX_BYTES)?;
        self.after_mut().memory = Memory::Replace(bytes);
        Ok(self)
    }

    /// Forgets what was remembered.
    fn forget(mut self) -> Self {
        self.after_mut().memory = Memory::Forget;
        self
    }

    /// Keeps this with the sale; if the sale is returned, the call reads it with
    /// [`OriginalSale::recall`](crate::types::OriginalSale::recall).
    #[track_caller]
    fn keep_with_event<T: Serialize>(mut self, kept: &T) -> Result<Self> {
        let bytes = state::encode(kept, KEPT_MAX_BYTES)?;
        self.after_mut().keep_with_event = Some(bytes);
        Ok(self)
    }
}

macro_rules! answer {
    ($($answer:ident),+) => {
        $(impl Answer for $answer {
            fn after_mut(&mut self) -> &mut After {
                &mut self.after
            }
        })+
    };
}

answer!(SegmentAnswer, PointAnswer, TierAnswer, FollowUpAnswer);

// ------------------------------------------------------------------ segments

impl SegmentAnswer {
    /// The customer belongs, until an answer says otherwise.
    pub fn enter(self, segment: impl Into<String>, reason: impl Into<String>) -> Self {
        self.member(segment, true, reason)
    }

    /// The customer belongs until then, when the host ends it by itself.
    pub fn enter_until(
        self,
        segment: impl Into<String>,
        until: impl When,
        reason: impl Into<String>,
    ) -> Self {
        self.change(MembershipChange {
            segment: segment.into(),
            member: true,
            reason: reason.into(),
            until: until.when(),
        })
    }

    /// The customer does not belong.
    pub fn leave(self, segment: impl Into<String>, reason: impl Into<String>) -> Self {
        self.member(segment, false, reason)
    }

    /// In or out, as `member` says.
    pub fn member(
        self,
        segment: impl Into<String>,
        member: bool,
        reason: impl Into<String>,
    ) -> Self {
        self.change(MembershipChange {
            segment: segment.into(),
            member,
            reason: reason.into(),
            until: None,
        })
    }

    fn change(mut self, change: MembershipChange) -> Self {
        self.memberships.push(change);
        self
    }

    /// Sets a tag that the manifest registers.
    pub fn set_tag(self, tag: impl Into<String>) -> Self {
        self.tag(tag, true)
    }

    /// Clears a tag that the manifest registers.
    pub fn clear_tag(self, tag: impl Into<String>) -> Self {
        self.tag(tag, false)
    }

    /// Set or cleared, as `set` says.
    pub fn tag(mut self, tag: impl Into<String>, set: bool) -> Self {
        self.tags.push(TagSetting {
            tag: tag.into(),
            set,
        });
        self
    }
}

// -------------------------------------------------------------------- points

impl PointAnswer {
    /// Adds an award.
    pub fn award(mut self, award: Award) -> Self {
        self.awards.push(award);
        self
    }
}

impl Award {
    /// So many points for the customer, for the whole event, taken back in proportion to returns.
    pub fn base(points: Points, reason: impl Into<String>) -> Self {
        Self::new(Amount::Base(points), reason)
    }

    /// The same as an extra on top of the base.
    pub fn bonus(points: Points, reason: impl Into<String>) -> Self {
        Self::new(Amount::Bonus(points), reason)
    }

    /// An extra in basis points of the base awards of all plugins: 10,000 doubles them. Shares
    /// add up and do not compound.
    pub fn bonus_share(basis_points: u32, reason: impl Into<String>) -> Self {
        Self::new(Amount::BonusShare(basis_points), reason)
    }

    fn new(amount: Amount, reason: impl Into<String>) -> Self {
        Self {
            amount,
            reason: reason.into(),
            ..Self::default()
        }
    }

    /// For these lines only, by number. No lines are none.
    pub fn on_lines(self, lines: impl IntoIterator<Item = u32>) -> Self {
        self.covering(Coverage::Lines(lines.into_iter().collect()))
    }

    /// For the whole event, or for some lines.
    pub fn covering(mut self, coverage: Coverage) -> Self {
        self.covers = coverage;
        self
    }

    /// For whoever referred the customer.
    pub fn to_referrer(mut self) -> Self {
        self.to = Recipient::Referrer;
        self
    }

    /// Cannot be spent before.
    pub fn available_from(mut self, when: impl When) -> Self {
        self.available_from = when.when();
        self
    }

    /// Is lost then if it was not spent.
    pub fn expires_at(mut self, when: impl When) -> Self {
        self.expires_at = when.when();
        self
    }

    /// A return takes nothing of it back.
    pub fn kept_on_return(mut self) -> Self {
        self.on_return = OnReturn::Keep;
        self
    }

    /// A return takes all of it back as soon as what is left of the sale is below this amount.
    pub fn whole_below(mut self, amount: Money) -> Self {
        self.on_return = OnReturn::WholeBelow(amount);
        self
    }
}

// --------------------------------------------------------------------- tiers

impl TierAnswer {
    /// Leaves the tier, and its keep-until, as they are.
    pub fn unchanged() -> Self {
        Self::default()
    }

    /// Puts the customer into a tier that the manifest owns.
    pub fn place(tier: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::placement(Some(tier.into()), reason)
    }

    /// Takes the tier away.
    pub fn no_tier(reason: impl Into<String>) -> Self {
        Self::placement(None, reason)
    }

    fn placement(tier: Option<String>, reason: impl Into<String>) -> Self {
        Self {
            placement: Some(Placement {
                tier,
                reason: reason.into(),
                keep_until: None,
            }),
            ..Self::default()
        }
    }

    /// The tier is kept at least until then, and the host asks again at that instant. It belongs
    /// to the placement, so it does nothing where the tier is left unchanged.
    pub fn keep_until(mut self, when: impl When) -> Self {
        if let Some(placement) = &mut self.placement {
            placement.keep_until = when.when();
        }
        self
    }

    /// What is missing for the next tier, for receipts and progress bars.
    pub fn next(mut self, tier: impl Into<String>, missing: i64, unit: ProgressUnit) -> Self {
        self.next = Some(NextTier {
            tier: tier.into(),
            missing,
            unit,
        });
        self
    }
}

// ---------------------------------------------------------------- follow-ups

impl FollowUpAnswer {
    /// Plans a message or a task.
    pub fn follow_up(mut self, follow_up: FollowUp) -> Self {
        self.follow_ups.push(follow_up);
        self
    }

    /// Shows something at the till.
    pub fn prompt(mut self, prompt: Prompt) -> Self {
        self.prompts.push(prompt);
        self
    }

    /// Prints a line on the receipt, at most 80 characters.
    pub fn receipt(mut self, line: impl Into<String>) -> Self {
        self.receipt.push(line.into());
        self
    }
}

impl FollowUp {
    /// Advertising, to be sent at once through a channel of the shop ("email") from a template of
    /// the shop, and only with the customer's consent to the channel. A second one of this
    /// customer with the same `dedupe_key` is not planned.
    pub fn marketing(
        channel: impl Into<String>,
        template: impl Into<String>,
        dedupe_key: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            channel: channel.into(),
            template: template.into(),
            purpose: Purpose::Marketing,
            dedupe_key: dedupe_key.into(),
            reason: reason.into(),
            ..Self::default()
        }
    }

    /// The same for what is part of a purchase or was asked for, or for a task of the staff: it
    /// needs no consent.
    pub fn service(
        channel: impl Into<String>,
        template: impl Into<String>,
        dedupe_key: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            purpose: Purpose::Service,
            ..Self::marketing(channel, template, dedupe_key, reason)
        }
    }

    /// Not before then.
    pub fn send_at(mut self, when: impl When) -> Self {
        self.send_at = when.when();
        self
    }

    /// Not after then.
    pub fn expires_at(mut self, when: impl When) -> Self {
        self.expires_at = when.when();
        self
    }

    /// Something that the template needs. Numbers, money and dates are written by the host in the
    /// customer's language: `.data("total", Value::Money(sale.total))`.
    pub fn data(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.data.push((name.into(), value.into()));
        self
    }

    /// An event of this kind cancels it while it is not sent.
    pub fn cancelled_by(mut self, kind: impl Into<String>) -> Self {
        self.cancelled_by.push(kind.into());
        self
    }

    /// A discount to go with it, whose code the template shows.
    pub fn with_offer(mut self, offer: DiscountOffer) -> Self {
        self.offer = Some(offer);
        self
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(number)
    }
}

impl Prompt {
    /// A kind ("message", "enrol", "task", or the shop's own word) and a text of at most 200
    /// characters.
    pub fn new(kind: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            text: text.into(),
            ..Self::default()
        }
    }

    /// Words for whoever stands at the till.
    pub fn message(text: impl Into<String>) -> Self {
        Self::new("message", text)
    }

    /// A discount for the till to give.
    pub fn discount(text: impl Into<String>, offer: DiscountOffer) -> Self {
        Self {
            discount: Some(offer),
            ..Self::new("discount", text)
        }
    }

    /// A detail for the till's own software.
    pub fn attribute(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.attributes.push((name.into(), value.to_string()));
        self
    }
}

impl DiscountOffer {
    /// An amount off this basket. The key names the offer: the same key for the same customer is
    /// the same offer.
    pub fn amount_off(key: impl Into<String>, amount: Money, reason: impl Into<String>) -> Self {
        Self::new(key, DiscountValue::Amount(amount), reason)
    }

    /// A share of this basket off, in basis points: 1,000 is 10 %.
    pub fn share_off(key: impl Into<String>, share: u32, reason: impl Into<String>) -> Self {
        Self::new(key, DiscountValue::Share(share), reason)
    }

    fn new(key: impl Into<String>, value: DiscountValue, reason: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value,
            reason: reason.into(),
            ..Self::default()
        }
    }

    /// Off these lines only, by number.
    pub fn on_lines(self, lines: impl IntoIterator<Item = u32>) -> Self {
        self.on(DiscountScope::Lines(lines.into_iter().collect()))
    }

    /// Off something that is put into this basket for it.
    pub fn on_gift(self, goods: Goods) -> Self {
        self.on(DiscountScope::Gift(goods))
    }

    /// Off a later purchase.
    pub fn on_next_purchase(self) -> Self {
        self.on(DiscountScope::NextPurchase)
    }

    /// Off something in a later purchase.
    pub fn on_next_goods(self, goods: Goods) -> Self {
        self.on(DiscountScope::NextGoods(goods))
    }

    fn on(mut self, scope: DiscountScope) -> Self {
        self.scope = scope;
        self
    }

    /// Only for baskets of at least so much.
    pub fn minimum(mut self, amount: Money) -> Self {
        self.minimum = amount;
        self
    }

    /// With a code that is the same for everybody.
    pub fn shared_code(mut self, code: impl Into<String>) -> Self {
        self.code = OfferCode::Shared(code.into());
        self
    }

    /// With a code that the host makes, good once, with this in front.
    pub fn unique_code(mut self, prefix: impl Into<String>) -> Self {
        self.code = OfferCode::Unique(prefix.into());
        self
    }

    /// From when it is good.
    pub fn valid_from(mut self, when: impl When) -> Self {
        self.valid_from = when.when();
        self
    }

    /// Until when it is good.
    pub fn valid_until(mut self, when: impl When) -> Self {
        self.valid_until = when.when();
        self
    }
}
