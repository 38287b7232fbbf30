//! What the line gives a call, in the types of the contract.
//!
//! One event is asked about several times, so its translation is made once and lent to each
//! call; the rest of the input differs from call to call. It decides nothing and refuses nothing.
//!
//! Empty `attributes` are what later versions of the line have to say without a new contract.

use crate::bindings as wit;
use serde_json::json;
use stampcard_pipeline::calendar::{self, LocalTime};
use stampcard_pipeline::event as line;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::limits::NUMBER_MAX;
use stampcard_pipeline::person::PersonField;
use stampcard_pipeline::rules::{self, Ending};

/// Watches the numbers that go in: none may be beyond ±(2^53 − 1), which JavaScript would round
/// in silence.
#[derive(Default)]
pub(crate) struct Numbers {
    /// Every magnitude seen, laid over each other: one bit too high in any of them shows.
    magnitudes: u64,
}

impl Numbers {
    fn see(&mut self, number: i64) -> i64 {
        self.magnitudes |= number.unsigned_abs();
        number
    }

    fn at(&mut self, instant: Instant) -> i64 {
        self.see(instant.0)
    }

    fn at_if(&mut self, instant: Option<Instant>) -> Option<i64> {
        instant.map(|instant| self.at(instant))
    }

    /// Whether every number that was seen is exact in every language.
    pub fn are_exact(&self) -> bool {
        self.magnitudes <= NUMBER_MAX as u64
    }
}

// ------------------------------------------------------------------ the event

/// The parts of an event that are the same for every call. Its local time and place are the
/// input's, and [`input`] adds them.
pub(crate) fn event(event: &line::Event, currency: &str, n: &mut Numbers) -> wit::Event {
    wit::Event {
        source: event.source.clone(),
        id: event.id.clone(),
        kind: event.kind.clone(),
        occurred_at: n.at(event.at),
        local: NO_TIME,
        channel: event.channel.map(channel),
        location: None,
        device: event.device.clone(),
        staff: event.staff.clone(),
        historical: event.historical,
        body: body(&event.body, currency, n),
        attributes: pairs(&event.attributes),
    }
}

const NO_TIME: wit::LocalTime = wit::LocalTime {
    year: 0,
    month: 0,
    day: 0,
    hour: 0,
    minute: 0,
    weekday: 0,
    utc_offset: 0,
    day_began: 0,
    month_began: 0,
    year_began: 0,
    next_day: 0,
    next_month: 0,
    next_year: 0,
};

fn body(body: &line::Body, currency: &str, n: &mut Numbers) -> wit::Body {
    match body {
        line::Body::Sale(it) => wit::Body::Sale(sale(it, currency, n)),
        line::Body::Checkout(it) => wit::Body::Checkout(sale(it, currency, n)),
        line::Body::Profile(it) => wit::Body::Profile(wit::ProfileChange {
            changed: it.changed.clone(),
            method: it.method.clone(),
        }),
        line::Body::Consent(it) => wit::Body::Consent(wit::ConsentChange {
            consent: consent(it, n),
        }),
        line::Body::Tag(it) => wit::Body::Tag(wit::TagChange {
            tag: it.tag.clone(),
            added: it.added,
        }),
        line::Body::Visit(it) => wit::Body::Visit(wit::Visit { count: it.count }),
        // What comes back, and of what sale, the input says; without it nothing did.
        line::Body::Return(_) => wit::Body::Return(NOTHING_BACK),
        // Lines for other lines are what an exchange is: the kind of the event says which it was.
        line::Body::Exchange(it) | line::Body::Edit(it) => wit::Body::Exchange(wit::Exchange {
            returned: NOTHING_BACK,
            bought: sale(&it.bought, currency, n),
        }),
        line::Body::Payment(it) if !it.arrived => wit::Body::Return(NOTHING_BACK),
        line::Body::Payment(it) => other(json!(it.of)),
        // Why it is asked is each plugin's own, so `input` says it.
        line::Body::Review | line::Body::RulesChanged(_) => {
            wit::Body::Review(wit::Review { causes: Vec::new() })
        }
        // What came after the contract goes as JSON, in the words of the catalogue.
        line::Body::Adjustment(it) => other(json!({
            "points": it.points, "reason": it.reason, "expires_at": it.expires_at.map(calendar::text),
        })),
        line::Body::CreditAdjustment(it) => other(json!({
            "amount": it.amount, "reason": it.reason, "expires_at": it.expires_at.map(calendar::text),
        })),
        line::Body::Forfeit(it) => other(it.told()),
        line::Body::Redemption(it) => other(redemption(it)),
        line::Body::Placement(it) => other(json!({
            "tier": it.tier, "until": it.until.map(calendar::text), "reason": it.reason,
        })),
        line::Body::Import(it) => other(json!({
            "points": it.lots.iter().map(|lot| lot.points).sum::<i64>(),
            "tier": it.tier.as_ref().map(|tier| &tier.tier), "reason": it.reason,
        })),
        line::Body::Note(it) => other(json!({
            "internal": it.internal, "edits": it.edits, "withdrawn": it.withdrawn,
        })),
        line::Body::Merge(it) => other(it.told()),
        line::Body::Unmerge(it) => other(it.told()),
        line::Body::Declined(it) => other(it.told()),
        line::Body::Referral(it) => other(it.told()),
        line::Body::CodeRevoked(reason) => other(json!({ "reason": reason })),
        line::Body::Erasure(it) => other(it.told()),
        line::Body::Other(data) => wit::Body::Other(data.clone()),
    }
}

/// What somebody did about a redemption; nothing that a rule could use as a code.
fn redemption(step: &line::RedemptionStep) -> serde_json::Value {
    let mut data = match &step.act {
        line::RedemptionAct::Reserve(what) if !what.currency.is_points() => json!({
            "currency": what.currency, "amount": what.points,
        }),
        line::RedemptionAct::Reserve(what) => json!({
            "points": what.points, "reward": what.reward, "worth": what.worth,
        }),
        line::RedemptionAct::Offline(what) => json!({
            "points": what.points, "worth": what.worth, "of": what.sale,
        }),
        line::RedemptionAct::Confirm(sale) => json!({ "of": sale }),
        line::RedemptionAct::Cancel(reason) | line::RedemptionAct::Deny(reason) => {
            json!({ "reason": reason })
        }
        line::RedemptionAct::Approve(_) => json!({}),
    };
    if let line::RedemptionName::Id(id) = &step.of {
        data["redemption"] = id.as_str().into();
    }
    data
}

const NOTHING_BACK: wit::Return = wit::Return {
    original: None,
    amount: 0,
    lines: Vec::new(),
    attributes: Vec::new(),
};

fn other(data: serde_json::Value) -> wit::Body {
    wit::Body::Other(data.to_string())
}

fn sale(sale: &line::Sale, currency: &str, n: &mut Numbers) -> wit::Sale {
    wit::Sale {
        order: sale.order.as_ref().map(|order| wit::Order {
            system: order.system.clone(),
            id: order.id.clone(),
        }),
        origin: sale.origin.clone(),
        currency: currency.into(),
        lines: (1..)
            .zip(&sale.lines)
            .map(|(number, it)| sale_line(number, it, n))
            .collect(),
        discounts: sale.discounts.iter().map(|it| discount(it, n)).collect(),
        shipping: n.see(sale.shipping),
        tip: n.see(sale.tip),
        rounding: n.see(sale.rounding),
        tax: n.see(sale.tax),
        tax_included: sale.tax_included,
        total: n.see(sale.total),
        tenders: sale.tenders.iter().map(|it| tender(it, n)).collect(),
        payment: if sale.payment_pending {
            wit::PaymentState::Pending
        } else {
            wit::PaymentState::Paid
        },
        attributes: pairs(&sale.attributes),
    }
}

fn sale_line(number: u32, line: &line::Line, n: &mut Numbers) -> wit::Line {
    wit::Line {
        number,
        sku: line.sku.clone(),
        product: line.product.clone(),
        variant: line.variant.clone(),
        name: line.name.clone(),
        category: line.category.clone(),
        collections: line.collections.clone(),
        tags: line.tags.clone(),
        quantity: n.see(line.quantity),
        measured: line.measured,
        unit_price: n.see(line.unit_price),
        discount: n.see(line.discount),
        amount: n.see(line.amount),
        net: n.see(line.net),
        tax: n.see(line.tax),
        gift_card: line.gift_card,
        attributes: Vec::new(),
    }
}

fn discount(discount: &line::Discount, n: &mut Numbers) -> wit::Discount {
    wit::Discount {
        code: discount.code.clone(),
        amount: n.see(discount.amount),
    }
}

fn tender(tender: &line::Tender, n: &mut Numbers) -> wit::Tender {
    wit::Tender {
        kind: tender.kind.clone(),
        amount: n.see(tender.amount),
    }
}

fn channel(channel: line::Channel) -> wit::Channel {
    match channel {
        line::Channel::Pos => wit::Channel::Pos,
        line::Channel::Online => wit::Channel::Online,
        line::Channel::Phone => wit::Channel::Phone,
        line::Channel::Other => wit::Channel::Other,
    }
}

fn consent(consent: &line::Consent, n: &mut Numbers) -> wit::Consent {
    wit::Consent {
        purpose: consent.purpose.clone(),
        granted: consent.granted,
        at: n.at(consent.at),
    }
}

fn pairs(attributes: &std::collections::BTreeMap<String, String>) -> Vec<(String, String)> {
    attributes
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

// ------------------------------------------------------------------ the input

/// The input of one call around an event that is translated already. What is not the same for
/// every call of the event is set anew: its local time, its place, and the causes of a review.
pub(crate) fn input(
    mut event: wit::Event,
    currency: &str,
    given: &rules::Input,
    n: &mut Numbers,
) -> wit::Input {
    event.local = local_time(&given.local, n);
    event.location = given.place.as_ref().map(place);
    if let wit::Body::Review(review) = &mut event.body {
        review.causes = given.review.iter().filter_map(review_cause).collect();
    }
    let returned_of = match &mut event.body {
        wit::Body::Return(it) => Some(it),
        wit::Body::Exchange(it) => Some(&mut it.returned),
        _ => None,
    };
    if let Some(body) = returned_of {
        *body = match &given.returned {
            Some(it) => returned(it, currency, n),
            None => NOTHING_BACK,
        };
    }
    let mut attributes = first_pos(&event, &given.totals);
    attributes.extend(shared(&given.customer.known));
    attributes.extend(given.ending.iter().flat_map(ending));
    wit::Input {
        now: event.occurred_at,
        event,
        customer: customer(&given.customer, given.referral.as_ref(), n),
        totals: totals(&given.totals, n),
        facts: given.facts.iter().map(|it| fact(it, n)).collect(),
        facts_truncated: given.facts_truncated,
        state: given.state.clone(),
        so_far: so_far(&given.so_far, n),
        attributes,
    }
}

/// Whether a sale at a till is the customer's first there. A rule could tell from the totals, and need not.
fn first_pos(event: &wit::Event, totals: &rules::Totals) -> Vec<(String, String)> {
    let is_sale = match event.body {
        wit::Body::Sale(_) => true,
        wit::Body::Exchange(_) => event.kind != "order.edited",
        _ => false,
    };
    if !is_sale || event.channel != Some(wit::Channel::Pos) {
        return Vec::new();
    }
    let is_first = totals.channel(line::Channel::Pos).orders == 1;
    vec![("first_pos".into(), is_first.to_string())]
}

fn returned(it: &rules::Returned, currency: &str, n: &mut Numbers) -> wit::Return {
    let original = &it.original;
    wit::Return {
        original: Some(wit::OriginalSale {
            source: original.source.clone(),
            id: original.id.clone(),
            occurred_at: n.at(original.at),
            local: local_time(&original.local, n),
            channel: original.channel.map(channel),
            location: original.place.as_ref().map(place),
            sale: sale(&original.sale, currency, n),
            returned: original
                .returned
                .iter()
                .map(|it| line_back(it, n))
                .collect(),
            returned_amount: n.see(original.returned_amount),
            awards: original.awards.iter().map(|it| past_award(it, n)).collect(),
            kept: original.kept.clone(),
        }),
        amount: n.see(it.amount),
        lines: it.lines.iter().map(|it| line_back(it, n)).collect(),
        attributes: Vec::new(),
    }
}

fn line_back(line: &line::ReturnedLine, n: &mut Numbers) -> wit::ReturnedLine {
    wit::ReturnedLine {
        line: line.line,
        quantity: n.see(line.quantity),
        amount: n.see(line.amount),
    }
}

fn past_award(award: &rules::PastAward, n: &mut Numbers) -> wit::PastAward {
    wit::PastAward {
        kind: award_kind(award.kind),
        amount: n.see(award.amount),
        reversed: n.see(award.reversed),
        covers: match &award.covers {
            rules::Coverage::Whole => wit::Coverage::Whole,
            rules::Coverage::Lines(lines) => wit::Coverage::Lines(lines.clone()),
        },
        reason: award.reason.clone(),
        attributes: Vec::new(),
    }
}

fn award_kind(kind: rules::AwardKind) -> wit::AwardKind {
    match kind {
        rules::AwardKind::Base => wit::AwardKind::Base,
        rules::AwardKind::Bonus => wit::AwardKind::Bonus,
    }
}

/// `None` for what is no review, but an event that the body tells.
fn review_cause(cause: &rules::ReviewCause) -> Option<wit::ReviewCause> {
    Some(match cause {
        rules::ReviewCause::Asked => wit::ReviewCause::Asked,
        rules::ReviewCause::AskedByOther => wit::ReviewCause::AskedByOther,
        rules::ReviewCause::MembershipUntil(segment) => {
            wit::ReviewCause::MembershipUntil(segment.clone())
        }
        rules::ReviewCause::TierKeepUntil(tier) => wit::ReviewCause::TierKeepUntil(tier.clone()),
        rules::ReviewCause::RulesChanged => wit::ReviewCause::RulesChanged,
        rules::ReviewCause::PointsExpired(points) => wit::ReviewCause::PointsExpired(*points),
        rules::ReviewCause::BasketLeft(_) => return None,
    })
}

fn local_time(local: &LocalTime, n: &mut Numbers) -> wit::LocalTime {
    wit::LocalTime {
        year: local.year,
        month: local.month,
        day: local.day,
        hour: local.hour,
        minute: local.minute,
        weekday: local.weekday,
        utc_offset: local.utc_offset,
        day_began: n.at(local.day_began),
        month_began: n.at(local.month_began),
        year_began: n.at(local.year_began),
        next_day: n.at(local.next_day),
        next_month: n.at(local.next_month),
        next_year: n.at(local.next_year),
    }
}

fn place(place: &rules::Place) -> wit::Place {
    wit::Place {
        id: place.id.clone(),
        name: place.name.clone(),
        kind: place.kind.clone(),
        country: place.country.clone(),
        attributes: Vec::new(),
    }
}

fn customer(
    customer: &rules::Customer,
    referral: Option<&rules::Referral>,
    n: &mut Numbers,
) -> wit::Customer {
    let referred_by = referral.and_then(|it| it.by.as_ref());
    wit::Customer {
        id: customer.id.clone(),
        created_at: n.at(customer.created_at),
        enrolled_at: n.at_if(customer.enrolled_at),
        origin: customer.origin.clone(),
        tags: customer.tags.clone(),
        segments: customer
            .segments
            .iter()
            .map(|it| membership(it, n))
            .collect(),
        tier: customer.tier.as_ref().map(|it| standing(it, n)),
        balance: n.see(customer.balance),
        available: n.see(customer.available),
        earned: n.see(customer.earned),
        consents: customer.consents.iter().map(|it| consent(it, n)).collect(),
        language: customer.language.clone(),
        birthday: customer.birthday.as_ref().map(|it| birthday(it, n)),
        home_location: customer.home_location.clone(),
        offers: customer.offers.iter().map(|it| held_offer(it, n)).collect(),
        referred_by: referred_by.map(|(customer, at)| wit::Referral {
            customer: customer.clone(),
            at: n.at(*at),
        }),
        referrals: referral.map_or(0, |it| it.friends),
        person: person(&customer.known),
        attributes: customer.attributes.clone(),
    }
}

/// Points that end next: how many can be used for the last time on which day, and when that day is over.
fn ending(ending: &Ending) -> [(String, String); 3] {
    [
        ("points_ending", ending.points.to_string()),
        ("points_last_day", ending.last_day.to_string()),
        ("points_end_at", ending.day_ends.0.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
}

/// What a customer is to tell everybody, in stand-ins: `referral_code` and `referral_url`.
fn shared(known: &[PersonField]) -> impl Iterator<Item = (String, String)> + use<'_> {
    let shared = PersonField::SHARED.into_iter();
    shared
        .filter(|field| known.contains(field))
        .map(|field| (field.name().to_owned(), field.stand_in().to_string()))
}

/// A stand-in for whatever is known: what a person is called stays in the store, and is put into
/// the texts that leave.
fn person(known: &[PersonField]) -> Option<wit::Person> {
    if known
        .iter()
        .all(|field| PersonField::SHARED.contains(field))
    {
        return None;
    }
    let field = |field: PersonField| known.contains(&field).then(|| field.stand_in().to_string());
    Some(wit::Person {
        given_name: field(PersonField::GivenName),
        family_name: field(PersonField::FamilyName),
        email: field(PersonField::Email),
        phone: field(PersonField::Phone),
        address: field(PersonField::Address),
    })
}

fn held_offer(offer: &rules::HeldOffer, n: &mut Numbers) -> wit::HeldOffer {
    wit::HeldOffer {
        key: offer.key.clone(),
        code: offer.code.clone(),
        offered_at: n.at(offer.offered_at),
        valid_until: n.at_if(offer.valid_until),
        used_at: n.at_if(offer.used_at),
    }
}

fn membership(membership: &rules::Membership, n: &mut Numbers) -> wit::Membership {
    wit::Membership {
        segment: membership.segment.clone(),
        since: n.at(membership.since),
        until: n.at_if(membership.until),
    }
}

fn standing(standing: &rules::Standing, n: &mut Numbers) -> wit::Standing {
    wit::Standing {
        tier: standing.tier.clone(),
        since: n.at(standing.since),
        keep_until: n.at_if(standing.keep_until),
    }
}

fn birthday(birthday: &rules::Birthday, n: &mut Numbers) -> wit::Birthday {
    wit::Birthday {
        month: birthday.month,
        day: birthday.day,
        next: n.at(birthday.next),
        today: birthday.today,
        known_since: n.at(birthday.known_since),
    }
}

fn totals(totals: &rules::Totals, n: &mut Numbers) -> wit::Totals {
    let [pos, online, phone, other] = totals.channels;
    let [days7, days30, days90, days365] = totals.windows;
    wit::Totals {
        lifetime: tally(&totals.lifetime, n),
        pos: tally(&pos, n),
        online: tally(&online, n),
        phone: tally(&phone, n),
        other: tally(&other, n),
        days7: tally(&days7, n),
        days30: tally(&days30, n),
        days90: tally(&days90, n),
        days365: tally(&days365, n),
        this_month: tally(&totals.this_month, n),
        this_year: tally(&totals.this_year, n),
        last_year: tally(&totals.last_year, n),
        largest_sale: n.see(totals.largest_sale),
        previous_sale_at: n.at_if(totals.previous_sale_at),
    }
}

fn tally(tally: &rules::Tally, n: &mut Numbers) -> wit::Tally {
    wit::Tally {
        orders: tally.orders,
        spend: n.see(tally.spend),
        returns: tally.returns,
        returned: n.see(tally.returned),
        earned: n.see(tally.earned),
        first_at: n.at_if(tally.first_at),
        last_at: n.at_if(tally.last_at),
    }
}

fn fact(fact: &rules::Fact, n: &mut Numbers) -> wit::Fact {
    wit::Fact {
        scope: fact.scope.clone(),
        key: fact.key.clone(),
        days: fact.days,
        tally: tally(&fact.tally, n),
    }
}

fn so_far(so_far: &rules::SoFar, n: &mut Numbers) -> wit::SoFar {
    wit::SoFar {
        segments_entered: so_far.segments_entered.clone(),
        segments_left: so_far.segments_left.clone(),
        tags_set: so_far.tags_set.clone(),
        tags_cleared: so_far.tags_cleared.clone(),
        awards: so_far.awards.iter().map(|it| earned(it, n)).collect(),
        points: n.see(so_far.points),
        balance_after: n.see(so_far.balance_after),
        tier: so_far.tier.as_ref().map(|it| wit::TierChange {
            from: it.from.clone(),
            to: it.to.clone(),
            upgrade: it.upgrade,
            reason: it.reason.clone(),
        }),
        next_tier: so_far.next_tier.as_ref().map(|it| wit::NextTier {
            tier: it.tier.clone(),
            missing: n.see(it.missing),
            unit: match it.unit {
                rules::ProgressUnit::Spend => wit::ProgressUnit::Spend,
                rules::ProgressUnit::Points => wit::ProgressUnit::Points,
                rules::ProgressUnit::Orders => wit::ProgressUnit::Orders,
            },
        }),
    }
}

fn earned(earned: &rules::Earned, n: &mut Numbers) -> wit::Earned {
    wit::Earned {
        plugin: earned.plugin.clone(),
        kind: award_kind(earned.kind),
        amount: n.see(earned.amount),
        reason: earned.reason.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stampcard_pipeline::event::{Body, Channel, Event, Exchange, Refund, Sale, SaleName};
    use stampcard_pipeline::rules::Totals;

    fn told(body: Body, kind: &str, channel: Option<Channel>, orders: u32) -> Option<String> {
        let event = Event {
            kind: kind.into(),
            channel,
            body,
            ..Event::review(Instant(1))
        };
        let mut totals = Totals::default();
        totals.channels[Channel::Pos as usize].orders = orders;
        let event = super::event(&event, "USD", &mut Numbers::default());
        let told = first_pos(&event, &totals);
        told.into_iter()
            .next()
            .map(|(name, value)| format!("{name}={value}"))
    }

    #[test]
    fn a_sale_at_a_till_says_whether_it_is_the_first_there() {
        let sale = || Body::Sale(Sale::default());
        let exchange = || Exchange {
            of: SaleName::Sale(Default::default()),
            back: Refund::default(),
            bought: Sale::default(),
        };
        let (pos, online) = (Some(Channel::Pos), Some(Channel::Online));
        let table = [
            (
                told(sale(), "sale.completed", pos, 1),
                Some("first_pos=true"),
            ),
            (
                told(sale(), "sale.completed", pos, 2),
                Some("first_pos=false"),
            ),
            (told(sale(), "sale.completed", online, 1), None),
            (
                told(Body::Exchange(exchange()), "exchange.completed", pos, 1),
                Some("first_pos=true"),
            ),
            (told(Body::Edit(exchange()), "order.edited", pos, 1), None),
            (
                told(Body::Checkout(Sale::default()), "checkout.started", pos, 0),
                None,
            ),
        ];
        for (index, (found, expected)) in table.into_iter().enumerate() {
            assert_eq!(found.as_deref(), expected, "{index}");
        }
    }
}
