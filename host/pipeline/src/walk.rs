//! The walk: moves one customer's fold along their events, step by step, and gathers what changes.
//!
//! A step is an event, or a review that fell due before it. The walk knows the order of steps, the
//! calls that were recorded before, and what of all this is new; the steps of the line
//! ([`crate::facts`], [`crate::segments`] …) decide.

use crate::admit::Admitted;
use crate::allowance;
use crate::calendar::{self, LocalTime};
use crate::change::{
    Explanation, FollowUpRow, HistoryRow, KeptRow, LotKey, MembershipRow, Planned, ProvisionalRow,
    RedemptionRow, ReviewItem, SettledRow, Start, TierRow,
};
use crate::currency::{ByCurrency, Currency};
use crate::event::{Body, Consent, Event, EventName, Instant, Points, Position};
use crate::facts;
use crate::fold::{DAY_MS, Fold, Moved};
use crate::identity::{self, Who, Whose};
use crate::ledger::Moves;
use crate::limited::{self, Giver};
use crate::limits;
use crate::line::Context;
use crate::outcome::{FollowUpView, Outcome, RedemptionView, Time, ToldPoints};
use crate::purse::Purse;
use crate::redemption::{self, Given};
use crate::referral::{self, Gave, Referring};
use crate::refusal::Refusal;
use crate::returns::{self, Returning, Sold};
use crate::rules::{Birthday, Customer, Membership, Plugin, ReviewCause, Role, SoFar, Standing};
use crate::store::{Case, CustomerCase, Hold};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

mod ask;
mod basket;
mod finish;
mod lots;
mod step;

pub use ask::Answer;
pub use step::Step;

/// One customer on the way from a fold to a later one.
pub struct Walk<'a> {
    pub with: Context<'a>,
    pub fold: Fold,
    /// For each window, what can leave it, oldest first. New moves join at the end.
    pub leaving: [VecDeque<Moved>; 4],
    /// The lots along the walk.
    pub purses: ByCurrency<Purse>,
    /// Sales of which an event of the walk speaks.
    pub sold: Vec<Sold>,
    /// Points that were given with sales along the walk.
    pub given: Vec<Given>,
    /// Redemptions of this change for which nobody could be asked: by the code that a sale carried, or
    /// by an allowance.
    pub given_unasked: Vec<String>,
    /// The sale of this change, if it was paid with store credit.
    pub paid_with_credit: Option<EventName>,
    /// Why the event cannot be.
    refused: Option<Refusal>,
    /// Sales of the walk so far, if an event may speak of them.
    passed: Vec<(Arc<Event>, Option<i64>)>,
    /// The last instant that the walk may reach.
    end: Instant,
    admitted: &'a Admitted,
    /// The event of this change, with the room that it has.
    event: Arc<Event>,
    /// Who gives with it and has a limit.
    givers: Vec<Giver>,
    /// What is known of codes.
    referring: Referring,
    case: CustomerCase,
    links: Vec<crate::event::Identifier>,
    start: Start,
    upcoming: VecDeque<Upcoming>,
    /// Timers are driven at least up to here.
    until: Instant,
    recorded: HashMap<Position, usize>,
    /// The event came so late that nothing decided for others may change.
    too_late: bool,
    out: Gathered,
}

/// An event on its way to its step.
struct Upcoming {
    event: Arc<Event>,
    /// `None` for the event of this change.
    journal: Option<i64>,
    /// Known before and decided for a customer already.
    was_decided: bool,
}

/// What the steps came to.
#[derive(Default)]
struct Gathered {
    memberships: Vec<MembershipRow>,
    tiers: Vec<TierRow>,
    history: Vec<HistoryRow>,
    follow_ups: Vec<FollowUpRow>,
    moves: Moves,
    kept: Vec<KeptRow>,
    provisional: Vec<ProvisionalRow>,
    settled: Vec<SettledRow>,
    redemptions: Vec<RedemptionRow>,
    /// What steps gave whoever referred the customer.
    for_referrers: Vec<Gave>,
    /// Journal rows of sales that were taken back as a whole.
    undone: Vec<i64>,
    explanations: Vec<Explanation>,
    checkpoints: Vec<Fold>,
    review_items: Vec<ReviewItem>,
    /// Points that rules or staff gave with the event of this change.
    given: Points,
    /// What is said of the event before any rule is asked.
    notices: Vec<String>,
    /// Plugins whose unsent follow-ups are cancelled.
    cancels: Vec<String>,
    outcome: Outcome,
    /// Something happened that people can see.
    visible: bool,
}

/// Where an award comes from, for the ledger.
#[derive(Clone)]
pub struct StepOrigin {
    pub journal: Option<i64>,
    pub event: Arc<Event>,
    /// The step had been decided before: what differs is a correction.
    pub was_decided: bool,
}

impl<'a> Walk<'a> {
    /// `None` for an event of nobody: a guest sale, a head count.
    pub fn begin(admitted: &'a Admitted, case: &mut Case, with: Context<'a>) -> Option<Walk<'a>> {
        let customer = case.customer.take()?;
        Some(Walk::of(admitted, customer, case, with, true))
    }

    /// The walk of the second customer of an event about two. The event itself is not a step of it.
    pub fn beside(admitted: &'a Admitted, customer: CustomerCase, with: Context<'a>) -> Walk<'a> {
        let mut case = Case {
            customer: None,
            other: None,
            who: Who {
                customer: Whose::Existing(customer.id.clone()),
                by: None,
                links: Vec::new(),
                suggested: Vec::new(),
                shows_revoked_card: false,
                waits_for_sale: false,
                named: None,
                other: None,
                same: Vec::new(),
            },
            claimed: None,
            redemption: None,
            stock: None,
            referring: Referring::default(),
            given: Vec::new(),
            waited: Vec::new(),
            hold: Hold(Box::new(())),
        };
        Walk::of(admitted, customer, &mut case, with, false)
    }

    fn of(
        admitted: &'a Admitted,
        mut customer: CustomerCase,
        case: &mut Case,
        with: Context<'a>,
        has_event: bool,
    ) -> Walk<'a> {
        let identity = identity::log(admitted, &case.who);
        let mut review_items = Vec::new();
        if let Whose::Existing(keep) = &case.who.customer {
            for other in &case.who.suggested {
                review_items.push(ReviewItem::MergeSuggested {
                    keep: keep.clone(),
                    other: other.clone(),
                });
            }
        }
        let mut notices = Vec::new();
        if let Some(sale) = customer.looks_like.take() {
            notices.push(format!(
                "this looks like {}/{}: the same customer, amount and place; somebody should look at it",
                sale.source, sale.id
            ));
            review_items.push(ReviewItem::LooksTwice { sale });
        }
        let mut event = admitted.event.clone();
        // In a replay the event has the room that it had.
        if event.room.is_everything() && !case.given.is_empty() {
            Arc::make_mut(&mut event).room = limited::room(&case.given, with.shop);
        }
        allowance::note_what_is_left(&mut event, case.redemption.as_ref());
        let referring = std::mem::take(&mut case.referring);
        if let Some(referrer) = &referring.referrer {
            let whose = &referrer.customer;
            referral::say_whose(Arc::make_mut(&mut event), whose);
        }
        // What a friend's step gives is said anew: it takes the place of what was said before.
        let place = event.referral().map(|_| event.position());
        let is_said_anew = |known: &Event| place.as_ref().is_some_and(|it| known.position() == *it);
        let mut upcoming: VecDeque<Upcoming> = customer
            .later
            .iter()
            .filter(|later| !is_said_anew(&later.event))
            .map(|later| Upcoming {
                event: later.event.clone(),
                journal: Some(later.journal),
                was_decided: true,
            })
            .collect();
        if let Some((journal, event)) = &case.claimed {
            upcoming.push_back(Upcoming {
                event: event.clone(),
                journal: Some(*journal),
                was_decided: false,
            });
        }
        for (journal, event) in &case.waited {
            upcoming.push_back(Upcoming {
                event: event.clone(),
                journal: Some(*journal),
                was_decided: false,
            });
        }
        let says_nothing = event.referral().is_some_and(|it| it.says_nothing());
        if has_event && !admitted.due && !says_nothing {
            upcoming.push_back(Upcoming {
                event: redemption::come_after_it_began(&event, case.redemption.as_ref()),
                journal: None,
                was_decided: false,
            });
        }
        lots::come_after_their_sales(&mut upcoming, &customer.sold);
        let is_about_two = admitted.event.is_about_two();
        let is_refold = is_about_two
            || customer
                .later
                .iter()
                .any(|later| is_said_anew(&later.event))
            || upcoming.iter().any(|event| event.was_decided)
            || customer.clock > customer.start.clock && !customer.is_new;
        upcoming
            .make_contiguous()
            .sort_by_cached_key(|upcoming| upcoming.event.position());
        let days_late = customer
            .later
            .last()
            .map_or(0, |last| (last.event.at.0 - admitted.event.at.0) / DAY_MS);
        // What was decided of two customers apart is decided again of both together, however old it is.
        let too_late =
            !is_about_two && days_late > i64::from(with.shop.file.policies.late_window_days);
        if too_late && !admitted.due {
            review_items.push(ReviewItem::TooLate { days: days_late });
        }
        let recorded = customer
            .recorded
            .iter()
            .enumerate()
            .map(|(index, known)| (known.explanation.position.clone(), index))
            .collect();
        let start = Start {
            last: customer.start.last.clone(),
            clock: customer.start.clock,
            changes: customer.start.changes,
            is_refold,
        };
        let until = match admitted.due {
            true => customer.clock.max(admitted.event.at),
            false => customer.clock,
        };
        let last = upcoming.back().map_or(until, |last| last.event.at);
        Walk {
            with,
            fold: customer.start.clone(),
            leaving: customer.leaving.clone(),
            purses: {
                let rows = customer.purse.take();
                lots::purses(rows, &customer.start, &customer.sold, with.shop)
            },
            sold: std::mem::take(&mut customer.sold)
                .into_iter()
                .map(Sold::of)
                .collect(),
            given: Vec::new(),
            given_unasked: Vec::new(),
            paid_with_credit: None,
            refused: None,
            passed: Vec::new(),
            end: until.max(last),
            admitted,
            links: std::mem::take(&mut case.who.links),
            start,
            upcoming,
            until,
            recorded,
            too_late,
            event,
            givers: std::mem::take(&mut case.given)
                .into_iter()
                .map(|(giver, _)| giver)
                .collect(),
            referring,
            out: Gathered {
                review_items,
                notices,
                outcome: Outcome {
                    identity,
                    ..Outcome::of(admitted)
                },
                ..Gathered::default()
            },
            case: customer,
        }
    }

    /// The next step: whatever is due first. A review at the instant of an event comes before it.
    pub fn next_step(&mut self) -> Option<Step> {
        let horizon = self
            .upcoming
            .front()
            .map_or(self.until, |next| next.event.at);
        if let Some(due) = self.fold.next_due().filter(|due| *due <= horizon) {
            return Some(match self.take_left_basket(due) {
                Some(basket) => self.basket_left(due, basket),
                None => self.review(due),
            });
        }
        let next = self.upcoming.pop_front()?;
        if self.fold.events == 0 {
            facts::begin(&mut self.fold, &next.event, self.with);
        }
        let is_answered = next.journal.is_none();
        let mut step = self.step(next, false, BTreeSet::new(), is_answered);
        if is_answered {
            step.notes.append(&mut self.out.notices);
        }
        Some(step)
    }

    fn review(&mut self, at: Instant) -> Step {
        let asked: BTreeSet<(String, Role)> = self
            .fold
            .reviews
            .iter()
            .filter(|(_, due)| **due <= at)
            .map(|(who, _)| who.clone())
            .collect();
        self.fold.reviews.retain(|_, due| *due > at);
        self.count_reviews(at, &asked);
        let mut causes: Vec<ReviewCause> = Vec::new();
        let ended = self
            .fold
            .memberships
            .iter()
            .filter(|(_, member)| member.until.is_some_and(|until| until <= at));
        causes.extend(ended.map(|(segment, _)| ReviewCause::MembershipUntil(segment.clone())));
        let kept = self
            .fold
            .standing
            .iter()
            .filter(|held| held.keep_until == Some(at));
        causes.extend(kept.map(|held| ReviewCause::TierKeepUntil(held.tier.clone())));
        let event = Arc::new(Event::review(at));
        // What was due earlier and said nothing is not what this one is about.
        let is_answered = self.admitted.due && at == self.admitted.event.at;
        let mut step = self.step(
            Upcoming {
                event,
                journal: None,
                was_decided: self.start.is_refold,
            },
            true,
            asked,
            is_answered,
        );
        step.causes = causes;
        redemption::time_out(self, &mut step);
        self.expire(&mut step);
        self.make_final(at);
        let placed = self.fold.placed.as_ref();
        step.asks_every_tier_rule =
            placed.is_some_and(|placed| placed.until.is_some_and(|until| until <= at));
        step
    }

    fn count_reviews(&mut self, at: Instant, asked: &BTreeSet<(String, Role)>) {
        let day = at.0.div_euclid(DAY_MS);
        if self.fold.reviews_today.0 != day {
            self.fold.reviews_today = (day, BTreeMap::new());
        }
        for (plugin, _) in asked {
            *self.fold.reviews_today.1.entry(plugin.clone()).or_default() += 1;
        }
    }

    fn step(
        &mut self,
        next: Upcoming,
        is_review: bool,
        asked: BTreeSet<(String, Role)>,
        is_answered: bool,
    ) -> Step {
        let event = next.event;
        self.fold.clock = event.at;
        if !is_review {
            self.fold.last = event.position();
            self.fold.events += 1;
        }
        if event.rules_changed().is_some() {
            let plugins = self.with.rules.plugins();
            self.fold.reviews.retain(|(name, role), _| {
                let is_it = |plugin: &Plugin| plugin.name == *name && plugin.roles.contains(role);
                plugins.iter().any(is_it)
            });
        }
        if self.purses.points.is_open() && event.sale().is_some() {
            self.passed.push((event.clone(), next.journal));
        }
        let returning = returns::begin(self, &event);
        let shop = self.with.shop;
        let zone = shop.zone_at(event.location.as_deref());
        let local = LocalTime::at(event.at, zone);
        let place = event
            .location
            .as_deref()
            .and_then(|id| shop.place(id))
            .map(|place| place.place.clone());
        let asks_every_tier_rule = match &event.body {
            Body::Placement(placement) => placement.tier.is_none(),
            Body::RulesChanged(_) => self.tier_has_no_rule(),
            _ => false,
        };
        let causes = match &event.body {
            Body::RulesChanged(_) => vec![ReviewCause::RulesChanged],
            _ => Vec::new(),
        };
        Step {
            asks_every_tier_rule,
            customer: self.view(),
            moved: Moved {
                at: event.at,
                channel: event.channel,
                ..Moved::default()
            },
            so_far: SoFar {
                balance_after: self.fold.points.balance,
                ..SoFar::default()
            },
            event,
            is_review,
            asked,
            causes,
            journal: next.journal,
            is_answered,
            was_decided: next.was_decided,
            local,
            place,
            facts: HashMap::new(),
            awards: Vec::new(),
            for_referrer: Vec::new(),
            joined: false,
            takings: Vec::new(),
            redemptions: Vec::new(),
            returning,
            calls: Vec::new(),
            reused: 0,
            views: Vec::new(),
            notes: Vec::new(),
            not_taken: Vec::new(),
            follow_ups: Vec::new(),
            prompts: Vec::new(),
            receipt: Vec::new(),
            tier: None,
            tier_rows: Vec::new(),
            membership_rows: Vec::new(),
            left_since: HashMap::new(),
        }
    }

    /// The plugin that placed the customer is live no more. They stay until another rule speaks.
    fn tier_has_no_rule(&self) -> bool {
        let held = self.fold.standing.as_ref();
        let plugin = held.and_then(|held| held.plugin.as_deref());
        plugin.is_some_and(|plugin| self.live(plugin).is_none())
    }

    /// What plugins that are live no more had earned the customer in this step. Nobody can be asked
    /// about it again, so it stays.
    pub fn earned_by_the_gone(&self, step: &Step) -> Vec<(LotKey, Points)> {
        let is_told = step.event.referral().is_some();
        if !step.was_decided || self.case.lots.is_empty() || is_told {
            return Vec::new();
        }
        let lots = self.lots_of_the_gone(step.event.position());
        lots.map(|lot| (lot.key.clone(), lot.earned)).collect()
    }

    /// Nothing is sent in the name of a plugin that is live no more. Says whose plans these were.
    pub fn cancel_what_the_gone_planned(&mut self) -> Vec<String> {
        let planned_by = std::mem::take(&mut self.case.planned_by);
        let gone = planned_by
            .into_iter()
            .filter(|name| self.live(name).is_none());
        self.out.cancels = gone.collect();
        self.out.cancels.clone()
    }

    /// A plugin of the rules that are live.
    pub fn live(&self, name: &str) -> Option<&Plugin> {
        let plugins = self.with.rules.plugins();
        plugins.iter().find(|plugin| plugin.name == name)
    }

    /// The customer as plugins see them now.
    fn view(&self) -> Customer {
        let fold = &self.fold;
        // A rule that looks for a channel looks for one that may be used and is wanted.
        let usable = |consent: &Consent| Consent {
            granted: consent.granted && !fold.unwanted.contains(&consent.purpose),
            ..consent.clone()
        };
        let zone = &self.with.shop.zone;
        Customer {
            id: self.case.id.0.clone(),
            created_at: fold.created_at,
            enrolled_at: fold.enrolled_at,
            origin: fold.origin.clone(),
            tags: fold.tags.iter().cloned().collect(),
            segments: self.memberships(),
            tier: self.standing(),
            balance: fold.points.balance,
            available: fold.available(Currency::Points, fold.clock),
            earned: fold.earned,
            consents: fold.consents.values().map(usable).collect(),
            language: fold.language.clone(),
            birthday: fold.birthday.map(|born| {
                let (next, today) =
                    calendar::birthday(born, &LocalTime::at(fold.clock, zone), zone);
                Birthday {
                    month: born.month,
                    day: born.day,
                    next,
                    today,
                    known_since: fold.birthday_known_since,
                }
            }),
            home_location: fold.home_location.clone(),
            attributes: fold
                .attributes
                .iter()
                .map(|(field, value)| (field.clone(), value.clone()))
                .collect(),
            offers: fold
                .offers
                .iter()
                .rev()
                .map(|(_, offer)| offer.clone())
                .collect(),
            // Each plugin is told of what it was granted, where it is asked.
            known: Vec::new(),
        }
    }

    pub fn standing(&self) -> Option<Standing> {
        self.fold.standing.as_ref().map(|held| Standing {
            tier: held.tier.clone(),
            since: held.since,
            keep_until: held.keep_until,
        })
    }

    pub fn memberships(&self) -> Vec<Membership> {
        self.fold
            .memberships
            .iter()
            .map(|(segment, member)| Membership {
                segment: segment.clone(),
                since: member.since,
                until: member.until,
            })
            .collect()
    }

    /// Points were given; what limits whoever gave them is told with the event of this change.
    pub(crate) fn gave(&mut self, step: &Step, points: Points) {
        if step.is_answered && !step.is_review {
            self.out.given += points;
        }
    }

    /// A person should look at something.
    pub(crate) fn look_at(&mut self, item: ReviewItem) {
        self.out.review_items.push(item);
    }

    /// Brings the profile in the view up to date after the facts step has edited it.
    pub fn refresh(&self, step: &mut Step) {
        step.customer = self.view();
    }

    /// Puts a finished step away.
    pub fn done(&mut self, mut step: Step) {
        facts::keep(self, &mut step);
        self.see_next_expiry();
        let visible = !step.so_far.segments_entered.is_empty()
            || !step.so_far.segments_left.is_empty()
            || !step.so_far.tags_set.is_empty()
            || !step.so_far.tags_cleared.is_empty()
            || !step.awards.is_empty()
            || !step.for_referrer.is_empty()
            || !step.takings.is_empty()
            || !step.redemptions.is_empty()
            || !step.tier_rows.is_empty()
            || !step.follow_ups.is_empty()
            || !step.prompts.is_empty()
            || step.views.iter().any(|view| view.status != "ok");
        if !step.is_review {
            self.out.history.push(HistoryRow {
                position: step.event.position(),
                journal: step.journal,
                moved: step.moved,
            });
            if self.fold.events.is_multiple_of(limits::CHECKPOINT_EVENTS) {
                self.out.checkpoints.push(self.fold.clone());
            }
        }
        let is_new = !step.was_decided || step.reused < step.calls.len();
        // A review that said something before and is silent now has to say that, or a later refold
        // would take the old answer for the last one.
        let spoke_before = self.recorded.remove(&step.event.position()).is_some();
        let says_something = !step.is_review || visible || spoke_before;
        if is_new && says_something {
            self.out.explanations.push(Explanation {
                position: step.event.position(),
                journal: step.journal,
                is_review: step.is_review,
                calls: std::mem::take(&mut step.calls),
                notes: [step.notes.as_slice(), &step.not_taken].concat(),
            });
        }
        if step.is_answered {
            self.answer(&mut step);
        }
        self.out.visible |= visible && (step.is_answered || is_new);
        let origin = StepOrigin {
            journal: step.journal,
            event: step.event.clone(),
            was_decided: step.was_decided,
        };
        self.add_to_its_sale(&step);
        self.out
            .for_referrers
            .extend(Gave::of(&mut step, &self.fold));
        let moves = &mut self.out.moves;
        let awards = step.awards.into_iter();
        moves
            .awards
            .extend(awards.map(|award| (origin.clone(), award)));
        let takings = step.takings.into_iter();
        moves
            .takings
            .extend(takings.map(|taking| (origin.clone(), taking)));
        self.out.redemptions.append(&mut step.redemptions);
        self.out.memberships.append(&mut step.membership_rows);
        self.out.tiers.append(&mut step.tier_rows);
        for row in &mut step.follow_ups {
            row.journal = step.journal;
        }
        self.cancel_follow_ups(&step.event);
        self.out.follow_ups.append(&mut step.follow_ups);
        self.cancel_what_the_sale_planned(step.event.at, step.returning.as_ref());
    }

    /// In a refold an event that comes later along the fold cancels what was planned before it.
    fn cancel_follow_ups(&mut self, event: &Event) {
        for row in &mut self.out.follow_ups {
            let ends_it = row.send_at > event.at && row.cancelled_by.contains(&event.kind);
            if row.state == Planned::Planned && (ends_it || event.is_erasure()) {
                row.state = Planned::Cancelled;
            }
        }
    }

    /// Nobody is thanked for what they have brought back.
    fn cancel_what_the_sale_planned(&mut self, at: Instant, returning: Option<&Returning>) {
        let Some(returning) = returning.filter(|it| it.is_whole) else {
            return;
        };
        let sold = &self.sold[returning.sale()];
        for row in &mut self.out.follow_ups {
            let is_of_sale = row.journal == sold.journal && row.at == sold.event.at;
            if is_of_sale && row.state == Planned::Planned && row.send_at > at {
                row.state = Planned::Cancelled;
            }
        }
        self.out.undone.extend(sold.journal);
    }

    fn answer(&mut self, step: &mut Step) {
        let outcome = &mut self.out.outcome;
        outcome
            .segments
            .entered
            .extend(step.so_far.segments_entered.iter().cloned());
        outcome
            .segments
            .left
            .extend(step.so_far.segments_left.iter().cloned());
        outcome
            .tags
            .set
            .extend(step.so_far.tags_set.iter().cloned());
        outcome
            .tags
            .cleared
            .extend(step.so_far.tags_cleared.iter().cloned());
        outcome.tier = step.tier.take().or(outcome.tier.take());
        if let Some(told) = step.event.sale().and_then(|sale| sale.told_points) {
            let told = ToldPoints::of(told, step.so_far.points);
            outcome.notes.extend(told.note());
            outcome.told_points = Some(told);
        }
        let (id, secret) = (&self.case.id, self.with.secret);
        let redemptions = step.redemptions.iter();
        let redemptions =
            redemptions.map(|row| RedemptionView::of(row, allowance::text_of(row, id, secret)));
        outcome.redemptions.extend(redemptions);
        outcome.prompts.append(&mut step.prompts);
        outcome.receipt.append(&mut step.receipt);
        outcome.plugins.append(&mut step.views);
        outcome.notes.append(&mut step.notes);
        let plugins = self.with.rules.plugins();
        outcome.follow_ups.extend(step.follow_ups.iter().map(|row| {
            FollowUpView {
                channel: row.channel.clone(),
                template: row.template.clone(),
                send_at: Time(row.send_at),
                state: match row.state {
                    Planned::Planned => "planned",
                    Planned::Suppressed => "suppressed",
                    Planned::Cancelled => "cancelled",
                }
                .into(),
                reason: row.reason.clone(),
                plugin: plugins[row.plugin as usize].name.clone(),
                data: row.data.iter().cloned().collect(),
                dedupe_key: row.dedupe_key.clone(),
                offer: row.offer.clone(),
            }
        }));
    }
}
