//! Offers: discounts that plugins promise, with their codes, under the shop's caps.

use crate::admit::{base32, mac};
use crate::event::{Body, Event, Instant, Money, Sale};
use crate::fold::Fold;
use crate::limits;
use crate::outcome::{DiscountView, Time};
use crate::rules::{DiscountOffer, DiscountScope, DiscountValue, Failure, HeldOffer, OfferCode};
use crate::walk::{Step, Walk};

/// What is wrong with an offer, if anything.
pub fn check(offer: &DiscountOffer, walk: &Walk, step: &Step) -> Result<(), Failure> {
    let refuse = |problem: &str| {
        Err(Failure::Answer {
            problem: problem.to_owned(),
        })
    };
    let fits = match offer.value {
        DiscountValue::Amount(amount) => (0..=limits::NUMBER_MAX).contains(&amount),
        DiscountValue::Share(share) => share <= 10_000,
    };
    if !fits {
        return refuse("a discount below nothing or above 100 %");
    }
    if offer.key.is_empty() || offer.key.len() > limits::TEXT_BYTES_MAX {
        return refuse("an offer needs a key of at most 512 bytes");
    }
    if !(0..=limits::NUMBER_MAX).contains(&offer.minimum) {
        return refuse("an offer with a minimum below 0");
    }
    let lines = step
        .event
        .basket()
        .map_or(0, |sale| sale.lines.len() as u32);
    if let DiscountScope::Lines(numbers) = &offer.scope
        && numbers.iter().any(|line| !(1..=lines).contains(line))
    {
        return refuse("a discount on a line that the basket does not have");
    }
    let valid_from = step
        .moment(walk, offer.valid_from)?
        .unwrap_or(step.event.at);
    if step
        .moment(walk, offer.valid_until)?
        .is_some_and(|until| until <= valid_from)
    {
        return refuse("an offer that ends before it begins");
    }
    Ok(())
}

/// Makes an offer that was checked good: caps it, gives it its code and remembers it. The same key of the same
/// plugin and customer is the same offer and keeps its code.
pub fn make(walk: &mut Walk, step: &mut Step, plugin: &str, offer: DiscountOffer) -> DiscountView {
    let valid_from = step.checked_moment(walk, offer.valid_from);
    let valid_until = step.checked_moment(walk, offer.valid_until);
    let caps = &walk.with.shop.file.caps;
    let value = match offer.value {
        DiscountValue::Amount(amount) => {
            DiscountValue::Amount(caps.discount_amount.map_or(amount, |cap| amount.min(cap)))
        }
        DiscountValue::Share(share) => {
            DiscountValue::Share(caps.discount_share.map_or(share, |cap| share.min(cap)))
        }
    };
    if value != offer.value {
        step.note(capped(plugin, &offer.key, offer.value, value));
    }
    let held = walk
        .fold
        .offers
        .iter()
        .find(|(by, held)| by == plugin && held.key == offer.key)
        .map(|(_, held)| held.clone());
    let code = match (&held, offer.code) {
        (_, OfferCode::NoCode) => None,
        (_, OfferCode::Shared(code)) => Some(code),
        (
            Some(HeldOffer {
                code: Some(code), ..
            }),
            OfferCode::Unique(_),
        ) => Some(code.clone()),
        (_, OfferCode::Unique(front)) => {
            let hash = mac(
                walk.with.secret,
                "offer",
                &[
                    step.customer.id.as_bytes(),
                    plugin.as_bytes(),
                    offer.key.as_bytes(),
                ],
            );
            Some(format!("{front}{}", base32(&hash[..5]).to_uppercase()))
        }
    };
    if held.is_none() {
        if walk.fold.offers.len() >= limits::OFFERS_MAX {
            walk.fold.offers.remove(0);
        }
        let offered = HeldOffer {
            key: offer.key.clone(),
            code: code.clone(),
            offered_at: step.event.at,
            valid_until,
            used_at: None,
        };
        walk.fold.offers.push((plugin.to_owned(), offered));
    }
    DiscountView {
        comes_to: comes_to(&step.event, &offer.scope, value),
        key: offer.key,
        scope: offer.scope,
        value,
        minimum: offer.minimum,
        code,
        valid_from: valid_from.map(Time),
        valid_until: valid_until.map(Time),
        reason: offer.reason,
    }
}

/// What a discount takes off the basket that is open, a share of it rounded half up to a minor unit and
/// never more than there is.
fn comes_to(event: &Event, scope: &DiscountScope, value: DiscountValue) -> Option<Money> {
    let Body::Checkout(basket) = &event.body else {
        return None;
    };
    let lines = (1..).zip(&basket.lines);
    let of: Money = lines
        .filter(|(number, _)| match scope {
            DiscountScope::Basket => true,
            DiscountScope::Lines(numbers) => numbers.contains(number),
            DiscountScope::Gift(_) | DiscountScope::NextPurchase | DiscountScope::NextGoods(_) => {
                false
            }
        })
        .map(|(_, line)| line.net.max(0))
        .sum();
    let is_on_it = matches!(scope, DiscountScope::Basket | DiscountScope::Lines(_));
    let taken = match value {
        DiscountValue::Amount(amount) => amount.min(of),
        DiscountValue::Share(share) => {
            let exact = i128::from(of) * i128::from(share);
            Money::try_from((exact + 5_000).div_euclid(10_000)).unwrap_or(of)
        }
    };
    is_on_it.then_some(taken)
}

/// What a cap of `merchant.toml` did, in its own units.
fn capped(plugin: &str, key: &str, wanted: DiscountValue, given: DiscountValue) -> String {
    let (cap, unit) = match given {
        DiscountValue::Amount(_) => ("discount_amount", "minor units"),
        DiscountValue::Share(_) => ("discount_share", "basis points"),
    };
    let number = |value| match value {
        DiscountValue::Amount(amount) => amount,
        DiscountValue::Share(share) => i64::from(share),
    };
    format!(
        "{cap}: the discount {key:?} of {plugin} was capped from {} to {} {unit}",
        number(wanted),
        number(given)
    )
}

/// What a sale carries as a code to say that it used the offer. One without a code has its name for that.
pub fn id_of(plugin: &str, offer: &HeldOffer) -> String {
    let code = offer.code.clone();
    code.unwrap_or_else(|| format!("{plugin}/{}", offer.key))
}

/// A sale that carries the code of an offer, or its name, has used it.
pub fn mark_used(fold: &mut Fold, sale: &Sale, now: Instant) {
    for (plugin, offer) in &mut fold.offers {
        let id = id_of(plugin, offer);
        let carries = |code: &Option<String>| code.as_ref() == Some(&id);
        if offer.used_at.is_none()
            && sale
                .discounts
                .iter()
                .any(|discount| carries(&discount.code))
        {
            offer.used_at = Some(now);
        }
    }
}
