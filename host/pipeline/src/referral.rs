//! Referral: customers bring friends, and rules may give points to both.
//!
//! A friend joins with somebody's code (`referral.signup`). That the code worked, and that the friend is
//! new, is checked when the event arrives, and is a fact from then on. What a step of the friend gives
//! whoever referred them, or takes from them again, is an event in *their* history, which the host makes
//! and which goes down the line like any other, in the same transaction: both have it, or neither.
//!
//! Such an event has its place by the friend's step and not by its own name. If a refold of the friend
//! finds that the step gives something else, the event that says so takes the place of the one before,
//! so that the order in which the friend's events arrive makes no difference.

use crate::admit::{HOST_SOURCE, Secret, base32, mac};
use crate::change::{
    CustomerId, Decider, LotKey, LotKind, ReferrerAward, ReviewItem, StepAwards, TakingKind,
};
use crate::currency::Currency;
use crate::event::{Awarded, Body, Event, EventName, Instant, Points, Position, Referral};
use crate::fold::{Fold, Referrals, Referred};
use crate::identity::Whose;
use crate::ledger::Taking;
use crate::line::Context;
use crate::outcome::ReferralView;
use crate::person::PersonField;
use crate::points::Award;
use crate::purse::TakingKey;
use crate::redemption::shown;
use crate::refusal::{Refusal, invalid};
use crate::rules::{Coverage, OnReturn};
use crate::shop::{Late, Shop};
use crate::store::Case;
use crate::walk::{Step, Walk};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Letters of a code: 49 bits, which nobody guesses.
const CODE_LETTERS: usize = 10;
/// What nobody confuses, read or heard: no 0 and O, no 1, I and L, no U that sounds like V.
const LETTERS: &[u8; 30] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The code that a customer gets with an event. It depends on nothing but the event's name and the
/// merchant's secret, so that a replay makes the same ones.
pub fn code_of(event: &Event, secret: &Secret) -> String {
    let name = [event.source.as_bytes(), event.id.as_bytes()];
    let hash = mac(secret, "referral-code", &name);
    let (bytes, _) = hash.split_at(8);
    let mut number = u64::from_le_bytes(bytes.try_into().expect("these are eight bytes"));
    let letters = (0..CODE_LETTERS).map(|_| {
        let letter = LETTERS[(number % LETTERS.len() as u64) as usize];
        number /= LETTERS.len() as u64;
        char::from(letter)
    });
    letters.collect()
}

/// A code as it was typed or read aloud, in the form in which it is kept; `None` if it is none.
pub fn normal_code(text: &str) -> Option<String> {
    let letters = text.chars().filter(|it| !it.is_whitespace() && *it != '-');
    let letters = letters.map(|letter| letter.to_ascii_uppercase());
    let code: String = letters.take(CODE_LETTERS + 1).collect();
    let is_code =
        code.len() == CODE_LETTERS && code.bytes().all(|letter| LETTERS.contains(&letter));
    is_code.then_some(code)
}

/// What links the two sides: made of the event with which the friend joined.
fn id_of(signup: &EventName, secret: &Secret) -> String {
    let name = [signup.source.as_bytes(), signup.id.as_bytes()];
    format!("ref_{}", base32(&mac(secret, "referral", &name)[..15]))
}

/// The place in the referrer's history of what a step of the friend gives.
fn place_of(referral: &str, step: &Position, secret: &Secret) -> String {
    let parts = [
        referral.as_bytes(),
        step.source.as_bytes(),
        step.id.as_bytes(),
    ];
    format!("rfa_{}", base32(&mac(secret, "referrer", &parts)[..15]))
}

/// What the store knows about the code of an event that enrols somebody, and about theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Referring {
    /// The code that the customer has.
    pub code: Option<String>,
    /// Whose code the event has.
    pub referrer: Option<ReferrerKnown>,
}

/// Whose code an event has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferrerKnown {
    pub customer: CustomerId,
    /// The code was taken back.
    pub is_revoked: bool,
    /// Who referred them, who referred those, and so on.
    pub above: Vec<CustomerId>,
    /// They live where the event says that the friend lives.
    pub same_address: bool,
}

/// Whether two addresses are the same place, however they are written.
pub fn same_address(one: &str, other: &str) -> bool {
    let letters = |text: &str| -> String {
        let letters = text.chars().filter(|letter| letter.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    let one = letters(one);
    !one.is_empty() && one == letters(other)
}

/// What is wrong with a friend's sign-up: nobody is referred by themselves, in a circle, or twice.
pub(crate) fn check(event: &Event, case: &Case, shop: &Shop) -> Result<(), Refusal> {
    // In a replay it was checked before.
    let Some(signup) = event.signup().filter(|it| it.referrer.is_none()) else {
        return Ok(());
    };
    let refuse = |code: &'static str, problem: &str| invalid(code, "/data/code", problem);
    if shop.file.referral.is_none() {
        return refuse(
            "no-referral",
            "this shop has no referral programme; [referral] in merchant.toml begins one",
        );
    }
    let Some(referrer) = &case.referring.referrer else {
        return refuse(
            "unknown-code",
            &format!("nobody has the code {:?}", signup.code),
        );
    };
    if referrer.is_revoked {
        return refuse("code-revoked", "this code was taken back");
    }
    let (Whose::Existing(id) | Whose::New(id)) = &case.who.customer else {
        return Ok(());
    };
    let goes_by_theirs = case.who.suggested.contains(&referrer.customer);
    if *id == referrer.customer || goes_by_theirs {
        return refuse("own-code", "the code is this customer's own");
    }
    if referrer.same_address {
        return refuse("own-code", "whoever has the code lives at the same address");
    }
    if referrer.above.contains(id) {
        return refuse(
            "circular-referral",
            "this customer referred whoever has the code",
        );
    }
    let Some(customer) = &case.customer else {
        return Ok(());
    };
    let place = event.position();
    let before = customer.later.iter().map(|later| &later.event);
    let mut before = before.filter(|event| event.position() < place);
    let was_referred = customer.start.referred().is_some();
    if was_referred || before.clone().any(|event| event.signup().is_some()) {
        return refuse(
            "referred-before",
            "somebody referred this customer before: once is all there is",
        );
    }
    let has_joined = |event: &Arc<Event>| event.sale().is_some() || event.enrols();
    let is_member =
        customer.start.enrolled_at.is_some() || customer.start.totals.lifetime.orders > 0;
    if is_member || before.any(has_joined) {
        return refuse(
            "already-a-customer",
            "this customer was here before; only new ones are referred",
        );
    }
    Ok(())
}

/// The customer joined with somebody's code.
pub(crate) fn join(walk: &mut Walk, step: &mut Step) {
    let Some(referrer) = step.event.signup().and_then(|it| it.referrer.clone()) else {
        return;
    };
    if walk.fold.referred().is_some() {
        step.note("somebody referred this customer before");
        return;
    }
    step.joined = true;
    walk.fold.referrals_mut().by = Some(Referred {
        by: referrer,
        signup: step.event.name(),
        at: step.event.at,
    });
}

/// Whoever joins has a code from then on, and texts for them may have it.
pub(crate) fn know_code(walk: &mut Walk, event: &Event) {
    if event.enrols() && walk.with.shop.file.referral.is_some() {
        walk.fold.known.extend(PersonField::SHARED);
    }
}

/// A friend joined.
pub(crate) fn count(fold: &mut Fold, referral: &Referral) {
    if referral.joined {
        fold.referrals_mut().friends += 1;
    }
}

impl Fold {
    /// Who referred the customer.
    pub fn referred(&self) -> Option<&Referred> {
        self.referrals.as_ref()?.by.as_ref()
    }

    fn referrals_mut(&mut self) -> &mut Referrals {
        self.referrals.get_or_insert_default()
    }
}

/// Says in a sign-up whose code it has: from then on that is a fact.
pub(crate) fn say_whose(event: &mut Event, referrer: &CustomerId) {
    if let Body::Profile(change) = &mut event.body
        && let Some(signup) = &mut change.referral
    {
        signup.referrer.get_or_insert_with(|| referrer.clone());
    }
}

/// The code that an event gives its customer: whoever joins gets one, once.
pub(crate) fn new_code(event: &Event, known: &Referring, with: Context) -> Option<String> {
    let gives = event.enrols() && with.shop.file.referral.is_some() && known.code.is_none();
    gives.then(|| code_of(event, with.secret))
}

/// What the answer says of it.
pub(crate) fn view(
    event: &Event,
    new: Option<&String>,
    known: &Referring,
    settled: &Settled,
    with: Context,
) -> Option<ReferralView> {
    let code = new.or(known.code.as_ref()).filter(|_| event.enrols());
    let policy = with.shop.file.referral.as_ref();
    let first = settled.kept.first();
    if code.is_none() && first.is_none() {
        return None;
    }
    let awards = settled
        .told
        .iter()
        .filter_map(|(_, event)| event.referral());
    Some(ReferralView {
        code: code.map(|code| shown(code)),
        url: code.and_then(|code| Some(policy?.link(code))),
        id: first.map(|step| step.referral.clone()),
        referrer_points: first.map(|_| awards.map(Referral::points).sum()),
    })
}

/// What a step of the friend gave whoever referred them.
pub struct Gave {
    event: Arc<Event>,
    was_decided: bool,
    joined: bool,
    to: Referred,
    awards: Vec<Award>,
}

impl Gave {
    /// `None` if the step gave nothing and the customer did not join with it.
    pub(crate) fn of(step: &mut Step, fold: &Fold) -> Option<Gave> {
        if step.for_referrer.is_empty() && !step.joined {
            return None;
        }
        let mut awards = std::mem::take(&mut step.for_referrer);
        if step.joined {
            awards.push(joining(step.event.position()));
        }
        Some(Gave {
            event: step.event.clone(),
            was_decided: step.was_decided(),
            joined: step.joined,
            to: fold.referred()?.clone(),
            awards,
        })
    }

    /// What the sale of this place gave.
    pub(crate) fn at<'a>(&'a self, origin: &'a Position) -> impl Iterator<Item = &'a Award> {
        let awards = self.awards.iter();
        awards.filter(move |award| award.amount > 0 && award.key.origin == *origin)
    }
}

/// Stands among what was given for that somebody joined, which is told even if it gave nothing.
fn joining(step: Position) -> Award {
    Award {
        by: Decider::Host,
        key: LotKey::of_no_rule(step, Currency::Points, LotKind::Adjustment, "joined"),
        amount: 0,
        shares: Vec::new(),
    }
}

/// What the friend's walk comes to for those who referred them.
#[derive(Default)]
pub(crate) struct Settled {
    /// What is kept with the friend, for each step that is not as it was.
    pub kept: Vec<StepAwards>,
    /// What the referrers are told.
    pub told: Vec<(CustomerId, Event)>,
}

/// Holds what the steps gave against what they gave before.
pub(crate) fn settle(
    friend: &CustomerId,
    cause: &Event,
    gave: Vec<Gave>,
    booked: Vec<ReferrerAward>,
    is_live: impl Fn(&str) -> bool,
    late: Late,
    secret: &Secret,
) -> Settled {
    let mut before: BTreeMap<(Position, String), Vec<ReferrerAward>> = BTreeMap::new();
    for award in booked {
        let at = (award.step.clone(), award.place.clone());
        before.entry(at).or_default().push(award);
    }
    let mut settled = Settled::default();
    let mut tell = |of: &Event, joined: bool, at: Instant, now: &StepAwards| {
        settled.told.push((
            now.referrer.clone(),
            told(friend, cause, of, joined, at, now, secret),
        ));
    };
    for gave in gave {
        let step = gave.event.position();
        let referral = id_of(&gave.to.signup, secret);
        let place = place_of(&referral, &step, secret);
        let mut now = StepAwards {
            step: step.clone(),
            place: place.clone(),
            referral: referral.clone(),
            referrer: gave.to.by.clone(),
            awards: Vec::new(),
        };
        let known = before.remove(&(step, place)).unwrap_or_default();
        let award = |award: Award| now.award(award.key, award.amount, award.shares);
        let awards: Vec<ReferrerAward> = gave.awards.into_iter().map(award).collect();
        now.awards = awards;
        // Of a plugin that is live no more nobody can say what it would give, so it stays.
        let gone =
            |award: &&ReferrerAward| !award.key.plugin.is_empty() && !is_live(&award.key.plugin);
        now.awards.extend(known.iter().filter(gone).cloned());
        now.awards.sort_by(|one, other| one.key.cmp(&other.key));
        let was = sum(&known);
        let is_same = known.len() == now.awards.len()
            && known
                .iter()
                .all(|was| now.awards.iter().any(|is| is.is_same(was)));
        let may = !gave.was_decided
            || known.is_empty() && sum(&now.awards) == 0
            || match late {
                Late::Correct => true,
                Late::InFavour => sum(&now.awards) > was,
                Late::Report => false,
            };
        if is_same || !may {
            continue;
        }
        tell(&gave.event, gave.joined, gave.event.at, &now);
        settled.kept.push(now);
    }
    // What was given before and is not given any more.
    for ((step, place), known) in before {
        let stays =
            |award: &ReferrerAward| !award.key.plugin.is_empty() && !is_live(&award.key.plugin);
        let may = late == Late::Correct || late == Late::InFavour && sum(&known) < 0;
        let Some(first) = known.first().filter(|_| may && !known.iter().all(stays)) else {
            continue;
        };
        let now = StepAwards {
            step: step.clone(),
            place,
            referral: first.referral.clone(),
            referrer: first.referrer.clone(),
            awards: known.iter().filter(|award| stays(award)).cloned().collect(),
        };
        let of = Event {
            source: step.source,
            id: step.id,
            ..Event::review(step.at)
        };
        tell(&of, false, step.at, &now);
        settled.kept.push(now);
    }
    settled
}

fn sum(awards: &[ReferrerAward]) -> Points {
    awards.iter().map(|award| award.points).sum()
}

/// The event in the referrer's history.
fn told(
    friend: &CustomerId,
    cause: &Event,
    of: &Event,
    joined: bool,
    at: Instant,
    now: &StepAwards,
    secret: &Secret,
) -> Event {
    let theirs = |award: &ReferrerAward| Awarded {
        lot: LotKey {
            origin: Position {
                at: award.key.origin.at,
                source: HOST_SOURCE.into(),
                id: place_of(&now.referral, &award.key.origin, secret),
            },
            covers: Coverage::Whole,
            on_return: OnReturn::Keep,
            ..award.key.clone()
        },
        points: award.points,
    };
    let awards = now.awards.iter().filter(|award| award.points != 0);
    let kind = match joined {
        true => JOINED,
        false => AWARDED,
    };
    Event {
        id: format!("{}/{}/{}", now.place, cause.source, cause.id),
        kind: kind.into(),
        historical: of.historical,
        body: Body::Referral(Referral {
            referral: now.referral.clone(),
            friend: friend.clone(),
            of: of.name(),
            place: now.place.clone(),
            joined,
            awards: awards.map(theirs).collect(),
        }),
        ..Event::review(at)
    }
}

/// A friend joined with a customer's code.
pub const JOINED: &str = "referral.joined";
/// A friend did something for which the customer is given points, or has to give some back.
pub const AWARDED: &str = "referral.awarded";

impl Referral {
    /// Nothing is given, and nobody joined: what was said before is taken back.
    pub fn says_nothing(&self) -> bool {
        !self.joined && self.awards.is_empty()
    }

    /// What it gives, less what it takes.
    pub fn points(&self) -> Points {
        self.awards.iter().map(|award| award.points).sum()
    }

    /// In the words of the catalogue.
    pub fn told(&self) -> serde_json::Value {
        serde_json::json!({
            "referral": self.referral, "friend": self.friend, "of": self.of, "points": self.points(),
        })
    }
}

/// What a friend's step gives this customer, unless they were given points for many friends today.
pub(crate) fn awards(walk: &mut Walk, step: &mut Step) -> Vec<Award> {
    let event = step.event.clone();
    let Body::Referral(referral) = &event.body else {
        return Vec::new();
    };
    let given = referral.awards.iter().filter(|award| award.points > 0);
    let awards: Vec<Award> = given
        .map(|award| {
            let plugins = walk.with.rules.plugins();
            let plugin = plugins.iter().position(|it| it.name == award.lot.plugin);
            Award {
                by: plugin.map_or(Decider::Host, |plugin| Decider::Plugin(plugin as u32)),
                key: award.lot.clone(),
                amount: award.points,
                shares: Vec::new(),
            }
        })
        .collect();
    if awards.is_empty() {
        return awards;
    }
    if walk.fold.erased_at.is_some() {
        step.note("whoever brought the friend is forgotten, and is given nothing");
        return Vec::new();
    }
    let policy = walk.with.shop.file.referral.as_ref();
    let most = policy.map_or(u32::MAX, |policy| policy.friends_per_day);
    let today = step.local.number();
    let day = &mut walk.fold.referrals_mut().day;
    if day.0 != today {
        *day = (today, 0);
    }
    if day.1 >= most {
        step.note(format!(
            "referral.friends_per_day: points for {most} friends were given today, and no more are"
        ));
        if !step.was_decided() {
            let friend = referral.friend.clone();
            walk.look_at(ReviewItem::ManyFriends { friend });
        }
        return Vec::new();
    }
    day.1 += 1;
    awards
}

/// A friend brought back what they were given for: the points go again, from the lots that they made
/// first.
pub(crate) fn take_back(walk: &mut Walk, step: &mut Step) -> Vec<(LotKey, Points)> {
    let event = step.event.clone();
    let Body::Referral(referral) = &event.body else {
        return Vec::new();
    };
    let mut taken: Vec<(LotKey, Points)> = Vec::new();
    if walk.fold.erased_at.is_some() {
        step.note("whoever brought the friend is forgotten, and has no points to be taken");
        return taken;
    }
    for award in referral.awards.iter().filter(|award| award.points < 0) {
        match award.lot.expires_at.is_some_and(|ends| ends <= event.at) {
            true => step.note("points that had ended are not taken again"),
            false => taken.push((award.lot.clone(), -award.points)),
        }
    }
    let points: Points = taken.iter().map(|(_, points)| points).sum();
    if points == 0 {
        return taken;
    }
    let lots = taken
        .iter()
        .filter_map(|(key, _)| walk.purses[Currency::Points].find(key));
    let lots: Vec<_> = lots.collect();
    let debt = walk.debt_for(step, Currency::Points, points);
    let taking = Taking {
        key: TakingKey {
            step: event.position(),
            currency: Currency::Points,
            kind: TakingKind::Reversal,
            lot: None,
            redemption: None,
        },
        points: points - debt,
        debt,
        reason: taken[0].0.reason.clone(),
        by: Decider::Host,
    };
    walk.take_first_from(step, taking, &lots);
    taken
}

/// Counts what the customer was given for friends, net.
pub(crate) fn count_points(walk: &mut Walk, step: &Step, net: Points) {
    if matches!(step.event.body, Body::Referral(_)) && net != 0 {
        walk.fold.referrals_mut().points += net;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_again_however_it_is_said() {
        let secret = Secret([7; 32]);
        let event = Event {
            source: "shop".into(),
            id: "1".into(),
            ..Event::review(Instant(0))
        };
        let code = code_of(&event, &secret);
        assert_eq!(normal_code(&code), Some(code.clone()));
        let (front, back) = code.split_at(5);
        let said = format!(" {}-{} ", front.to_lowercase(), back.to_lowercase());
        assert_eq!(normal_code(&said), Some(code.clone()));
        for none in ["", "ABC", "ABCDE-FGHJ0", "ABCDEFGHJKM", "ABCDEFGHJ\u{212a}"] {
            assert_eq!(normal_code(none), None, "{none}");
        }
        assert!(!code.contains(['0', 'O', '1', 'I', 'L', 'U']));
    }

    #[test]
    fn two_spellings_of_an_address_are_one() {
        assert!(same_address("12 Mercer St., Apt 4", "12 mercer st apt 4"));
        assert!(!same_address("12 Mercer St.", "14 Mercer St."));
        assert!(!same_address("", " - "));
    }
}
