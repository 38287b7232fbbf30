//! What a plugin answers, in the types of the line. It takes every answer as it is: `answer.rs` has
//! weighed it, and the line judges it.

use crate::bindings as wit;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::rules;

impl From<wit::SegmentAnswer> for rules::SegmentAnswer {
    fn from(answer: wit::SegmentAnswer) -> Self {
        rules::SegmentAnswer {
            memberships: each(answer.memberships, |it| rules::MembershipChange {
                segment: it.segment,
                member: it.member,
                reason: it.reason,
                until: it.until.map(moment),
            }),
            tags: each(answer.tags, |it| rules::TagSetting {
                tag: it.tag,
                set: it.set,
            }),
            after: answer.after.into(),
        }
    }
}

impl From<wit::PointAnswer> for rules::PointAnswer {
    fn from(answer: wit::PointAnswer) -> Self {
        rules::PointAnswer {
            awards: each(answer.awards, |it| rules::Award {
                amount: match it.amount {
                    wit::Amount::Base(points) => rules::Amount::Base(points),
                    wit::Amount::Bonus(points) => rules::Amount::Bonus(points),
                    wit::Amount::BonusShare(basis_points) => {
                        rules::Amount::BonusShare(basis_points)
                    }
                },
                to: match it.to {
                    wit::Recipient::Customer => rules::Recipient::Customer,
                    wit::Recipient::Referrer => rules::Recipient::Referrer,
                },
                covers: match it.covers {
                    wit::Coverage::Whole => rules::Coverage::Whole,
                    wit::Coverage::Lines(lines) => rules::Coverage::Lines(lines),
                },
                reason: it.reason,
                available_from: it.available_from.map(moment),
                expires_at: it.expires_at.map(moment),
                on_return: match it.on_return {
                    wit::OnReturn::Proportional => rules::OnReturn::Proportional,
                    wit::OnReturn::WholeBelow(amount) => rules::OnReturn::WholeBelow(amount),
                    wit::OnReturn::Keep => rules::OnReturn::Keep,
                },
                attributes: it.attributes,
            }),
            after: answer.after.into(),
        }
    }
}

impl From<wit::TierAnswer> for rules::TierAnswer {
    fn from(answer: wit::TierAnswer) -> Self {
        rules::TierAnswer {
            placement: answer.placement.map(|it| rules::Placement {
                tier: it.tier,
                reason: it.reason,
                keep_until: it.keep_until.map(moment),
            }),
            next: answer.next.map(|it| rules::NextTier {
                tier: it.tier,
                missing: it.missing,
                unit: match it.unit {
                    wit::ProgressUnit::Spend => rules::ProgressUnit::Spend,
                    wit::ProgressUnit::Points => rules::ProgressUnit::Points,
                    wit::ProgressUnit::Orders => rules::ProgressUnit::Orders,
                },
            }),
            after: answer.after.into(),
        }
    }
}

impl From<wit::FollowUpAnswer> for rules::FollowUpAnswer {
    fn from(answer: wit::FollowUpAnswer) -> Self {
        rules::FollowUpAnswer {
            follow_ups: each(answer.follow_ups, |it| rules::FollowUp {
                channel: it.channel,
                template: it.template,
                purpose: match it.purpose {
                    wit::Purpose::Marketing => rules::Purpose::Marketing,
                    wit::Purpose::Service => rules::Purpose::Service,
                },
                send_at: it.send_at.map(moment),
                expires_at: it.expires_at.map(moment),
                data: each(it.data, |(key, filled)| (key, value(filled))),
                dedupe_key: it.dedupe_key,
                cancelled_by: it.cancelled_by,
                offer: it.offer.map(discount_offer),
                reason: it.reason,
                attributes: it.attributes,
            }),
            prompts: each(answer.prompts, |it| rules::Prompt {
                kind: it.kind,
                text: it.text,
                discount: it.discount.map(discount_offer),
                attributes: it.attributes,
            }),
            receipt: answer.receipt,
            after: answer.after.into(),
        }
    }
}

fn discount_offer(offer: wit::DiscountOffer) -> rules::DiscountOffer {
    rules::DiscountOffer {
        key: offer.key,
        scope: match offer.scope {
            wit::DiscountScope::Basket => rules::DiscountScope::Basket,
            wit::DiscountScope::Lines(lines) => rules::DiscountScope::Lines(lines),
            wit::DiscountScope::Gift(it) => rules::DiscountScope::Gift(goods(it)),
            wit::DiscountScope::NextPurchase => rules::DiscountScope::NextPurchase,
            wit::DiscountScope::NextGoods(it) => rules::DiscountScope::NextGoods(goods(it)),
        },
        value: match offer.value {
            wit::DiscountValue::Amount(amount) => rules::DiscountValue::Amount(amount),
            wit::DiscountValue::Share(basis_points) => rules::DiscountValue::Share(basis_points),
        },
        minimum: offer.minimum,
        code: match offer.code {
            wit::OfferCode::NoCode => rules::OfferCode::NoCode,
            wit::OfferCode::Shared(code) => rules::OfferCode::Shared(code),
            wit::OfferCode::Unique(prefix) => rules::OfferCode::Unique(prefix),
        },
        valid_from: offer.valid_from.map(moment),
        valid_until: offer.valid_until.map(moment),
        reason: offer.reason,
        attributes: offer.attributes,
    }
}

fn goods(goods: wit::Goods) -> rules::Goods {
    rules::Goods {
        skus: goods.skus,
        categories: goods.categories,
        collections: goods.collections,
        quantity: goods.quantity,
    }
}

fn value(value: wit::Value) -> rules::Value {
    match value {
        wit::Value::Text(text) => rules::Value::Text(text),
        wit::Value::Number(number) => rules::Value::Number(number),
        wit::Value::Points(points) => rules::Value::Points(points),
        wit::Value::Money(money) => rules::Value::Money(money),
        wit::Value::At(at) => rules::Value::At(Instant(at)),
    }
}

fn moment(moment: wit::Moment) -> rules::Moment {
    match moment {
        wit::Moment::At(at) => rules::Moment::At(Instant(at)),
        wit::Moment::Hours(count) => rules::Moment::Hours(count),
        wit::Moment::Days(count) => rules::Moment::Days(count),
        wit::Moment::Months(count) => rules::Moment::Months(count),
        wit::Moment::EndOfMonth(count) => rules::Moment::EndOfMonth(count),
        wit::Moment::EndOfYear(count) => rules::Moment::EndOfYear(count),
    }
}

impl From<wit::After> for rules::After {
    fn from(after: wit::After) -> Self {
        rules::After {
            memory: match after.memory {
                wit::Memory::Keep => rules::Memory::Keep,
                wit::Memory::Replace(bytes) => rules::Memory::Replace(bytes),
                wit::Memory::Forget => rules::Memory::Forget,
            },
            next_review: match after.next_review {
                wit::NextReview::Keep => rules::NextReview::Keep,
                wit::NextReview::At(at) => rules::NextReview::At(Instant(at)),
                wit::NextReview::Never => rules::NextReview::Never,
            },
            keep_with_event: after.keep_with_event,
            note: after.note,
        }
    }
}

fn each<A, B>(list: Vec<A>, translate: impl FnMut(A) -> B) -> Vec<B> {
    list.into_iter().map(translate).collect()
}
