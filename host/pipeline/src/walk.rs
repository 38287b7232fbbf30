//! The walk: moves one customer's fold along their events, step by step, and gathers what changes.
//!
//! A step is an event, or a review that fell due before it. The walk knows the order of steps, the
//! calls that were recorded before, and what of all this is new; the steps of the line
//! ([`crate::facts`], [`crate::segments`] …) decide.

use crate::admit::Admitted;
use crate::calendar::{self, LocalTime};
use crate::change::{
    Answered, Change, CustomerChange, Explanation, FollowUpRow, HistoryRow, LotKey, MembershipRow, Planned,
    RecordedCall, ReviewItem, Start, TierRow,
};
use crate::event::{Body, Event, EventName, Instant, Points, Position};
use crate::fold::{DAY_MS, Fold, Moved, Remembered};
use crate::identity::Whose;
use crate::limits;
use crate::line::Context;
use crate::outcome::{
    CustomerNow, FollowUpView, Outcome, PluginView, PromptView, SegmentChanges, Status, TagChanges, TierView, Time,
};
use crate::points::Award;
use crate::rules::{
    After, Birthday, Call, Customer, Fact, Failure, Input, Membership, Memory, Moment, NextReview, Place,
    ReviewCause, Role, SoFar, Standing,
};
use crate::store::{Case, CustomerCase, Recorded};
use crate::{facts, points};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// One customer on the way from a fold to a later one.
pub struct Walk<'a> {
    pub with: Context<'a>,
    pub fold: Fold,
    /// For each window, what can leave it, oldest first. New moves join at the end.
    pub leaving: [VecDeque<Moved>; 4],
    admitted: &'a Admitted,
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
    awards: Vec<(StepOrigin, Award)>,
    explanations: Vec<Explanation>,
    checkpoints: Vec<Fold>,
    review_items: Vec<ReviewItem>,
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

/// One event, or one review, on its way down the line.
pub struct Step {
    pub event: Arc<Event>,
    /// Something was due, and this is no event of the journal.
    pub is_review: bool,
    /// Who asked for this review; they are called whether they subscribe to reviews or not.
    pub asked: BTreeSet<(String, Role)>,
    /// What else was due.
    pub causes: Vec<ReviewCause>,
    pub journal: Option<i64>,
    /// This is what the answer to the till is about.
    pub is_answered: bool,
    was_decided: bool,
    pub local: LocalTime,
    pub place: Option<Place>,
    /// The customer as plugins see them: with the tier and the balance from before the event.
    pub customer: Customer,
    pub facts: HashMap<String, Vec<Fact>>,
    pub so_far: SoFar,
    pub moved: Moved,
    pub awards: Vec<Award>,
    pub calls: Vec<RecordedCall>,
    reused: usize,
    pub views: Vec<PluginView>,
    pub notes: Vec<String>,
    pub follow_ups: Vec<FollowUpRow>,
    pub prompts: Vec<PromptView>,
    pub receipt: Vec<String>,
    pub tier: Option<TierView>,
    pub tier_rows: Vec<TierRow>,
    pub membership_rows: Vec<MembershipRow>,
    /// Since when the customer had been in the segments that this step ended.
    pub left_since: HashMap<String, Instant>,
}

impl<'a> Walk<'a> {
    /// `None` for an event of nobody: a guest sale, a head count.
    pub fn begin(admitted: &'a Admitted, case: &mut Case, with: Context<'a>) -> Option<Walk<'a>> {
        let customer = case.customer.take()?;
        let mut review_items = Vec::new();
        if let Whose::Existing(keep) = &case.who.customer {
            for other in &case.who.suggested {
                review_items.push(ReviewItem::MergeSuggested { keep: keep.clone(), other: other.clone() });
            }
        }
        let mut upcoming: VecDeque<Upcoming> = customer
            .later
            .iter()
            .map(|later| Upcoming { event: later.event.clone(), journal: Some(later.journal), was_decided: true })
            .collect();
        if let Some((journal, event)) = &case.claimed {
            upcoming.push_back(Upcoming { event: event.clone(), journal: Some(*journal), was_decided: false });
        }
        if !admitted.due {
            upcoming.push_back(Upcoming { event: admitted.event.clone(), journal: None, was_decided: false });
        }
        let is_refold = upcoming.iter().any(|event| event.was_decided) || customer.clock > customer.start.clock && !customer.is_new;
        upcoming.make_contiguous().sort_by_cached_key(|upcoming| upcoming.event.position());
        let days_late = customer.later.last().map_or(0, |last| (last.event.at.0 - admitted.event.at.0) / DAY_MS);
        let too_late = days_late > i64::from(with.shop.file.policies.late_window_days);
        if too_late && !admitted.due {
            review_items.push(ReviewItem::TooLate { days: days_late });
        }
        let recorded =
            customer.recorded.iter().enumerate().map(|(index, known)| (known.explanation.position.clone(), index)).collect();
        let start = Start { last: customer.start.last.clone(), changes: customer.start.changes, is_refold };
        Some(Walk {
            with,
            fold: customer.start.clone(),
            leaving: customer.leaving.clone(),
            admitted,
            links: std::mem::take(&mut case.who.links),
            start,
            upcoming,
            until: if admitted.due { customer.clock.max(admitted.event.at) } else { customer.clock },
            recorded,
            too_late,
            out: Gathered { review_items, outcome: Outcome::of(admitted), ..Gathered::default() },
            case: customer,
        })
    }

    /// The next step: whatever is due first. A review at the instant of an event comes before it.
    pub fn next(&mut self) -> Option<Step> {
        let horizon = self.upcoming.front().map_or(self.until, |next| next.event.at);
        if let Some(due) = self.fold.next_due().filter(|due| *due <= horizon) {
            return Some(self.review(due));
        }
        let next = self.upcoming.pop_front()?;
        if self.fold.events == 0 {
            facts::begin(&mut self.fold, &next.event, self.with);
        }
        let is_answered = next.journal.is_none();
        Some(self.step(next, false, BTreeSet::new(), is_answered))
    }

    fn review(&mut self, at: Instant) -> Step {
        let asked: BTreeSet<(String, Role)> =
            self.fold.reviews.iter().filter(|(_, due)| **due <= at).map(|(who, _)| who.clone()).collect();
        self.fold.reviews.retain(|_, due| *due > at);
        self.count_reviews(at, &asked);
        let mut causes: Vec<ReviewCause> = Vec::new();
        let ended = self.fold.memberships.iter().filter(|(_, member)| member.until.is_some_and(|until| until <= at));
        causes.extend(ended.map(|(segment, _)| ReviewCause::MembershipUntil(segment.clone())));
        let kept = self.fold.standing.iter().filter(|held| held.keep_until == Some(at));
        causes.extend(kept.map(|held| ReviewCause::TierKeepUntil(held.tier.clone())));
        let event = Arc::new(Event {
            source: String::new(),
            id: String::new(),
            kind: "review.due".into(),
            at,
            channel: None,
            location: None,
            device: None,
            staff: None,
            historical: false,
            body: Body::Review,
            attributes: Default::default(),
        });
        let is_answered = self.admitted.due;
        let mut step = self.step(Upcoming { event, journal: None, was_decided: self.start.is_refold }, true, asked, is_answered);
        step.causes = causes;
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

    fn step(&mut self, next: Upcoming, is_review: bool, asked: BTreeSet<(String, Role)>, is_answered: bool) -> Step {
        let event = next.event;
        self.fold.clock = event.at;
        if !is_review {
            self.fold.last = event.position();
            self.fold.events += 1;
        }
        let shop = self.with.shop;
        let zone = shop.zone_at(event.location.as_deref());
        let local = LocalTime::at(event.at, zone);
        let place = event.location.as_deref().and_then(|id| shop.place(id)).map(|place| place.place.clone());
        Step {
            customer: self.view(),
            moved: Moved { at: event.at, channel: event.channel, ..Moved::default() },
            so_far: SoFar { balance_after: self.fold.balance, ..SoFar::default() },
            event,
            is_review,
            asked,
            causes: Vec::new(),
            journal: next.journal,
            is_answered,
            was_decided: next.was_decided,
            local,
            place,
            facts: HashMap::new(),
            awards: Vec::new(),
            calls: Vec::new(),
            reused: 0,
            views: Vec::new(),
            notes: Vec::new(),
            follow_ups: Vec::new(),
            prompts: Vec::new(),
            receipt: Vec::new(),
            tier: None,
            tier_rows: Vec::new(),
            membership_rows: Vec::new(),
            left_since: HashMap::new(),
        }
    }

    /// The customer as plugins see them now.
    fn view(&self) -> Customer {
        let fold = &self.fold;
        let zone = &self.with.shop.zone;
        Customer {
            id: self.case.id.0.clone(),
            created_at: fold.created_at,
            enrolled_at: fold.enrolled_at,
            origin: fold.origin.clone(),
            tags: fold.tags.iter().cloned().collect(),
            segments: self.memberships(),
            tier: fold.standing.as_ref().map(|held| Standing {
                tier: held.tier.clone(),
                since: held.since,
                keep_until: held.keep_until,
            }),
            balance: fold.balance,
            available: fold.available(fold.clock),
            earned: fold.earned,
            consents: fold.consents.values().cloned().collect(),
            language: fold.language.clone(),
            birthday: fold.birthday.map(|born| {
                let (next, today) = calendar::birthday(born, &LocalTime::at(fold.clock, zone), zone);
                Birthday { month: born.month, day: born.day, next, today, known_since: fold.birthday_known_since }
            }),
            home_location: fold.home_location.clone(),
            offers: fold.offers.iter().rev().map(|(_, offer)| offer.clone()).collect(),
        }
    }

    pub fn memberships(&self) -> Vec<Membership> {
        self.fold
            .memberships
            .iter()
            .map(|(segment, member)| Membership { segment: segment.clone(), since: member.since, until: member.until })
            .collect()
    }

    /// Brings the profile in the view up to date after the facts step has edited it.
    pub fn refresh(&self, step: &mut Step) {
        step.customer = self.view();
    }

    /// Which plugins of a role this step is for, in the declared order.
    pub fn wanted(&self, step: &Step, role: Role) -> Vec<usize> {
        let kind = step.event.kind.as_str();
        let frozen = if self.is_frozen(step) && !step.is_review { self.recorded.get(&step.event.position()) } else { None };
        let plugins = self.with.rules.plugins().iter().enumerate();
        plugins
            .filter(|(_, plugin)| frozen.is_none_or(|index| was_asked(&self.case.recorded[*index], &plugin.name, role)))
            .filter(|(_, plugin)| {
                plugin.wants(role, kind)
                    || plugin.roles.contains(&role)
                        && !step.asked.is_empty()
                        && step.asked.contains(&(plugin.name.clone(), role))
            })
            .map(|(index, _)| index)
            .collect()
    }

    /// Asks one plugin, or takes what it answered before to the same question.
    pub fn ask<A: Answer>(&mut self, step: &mut Step, plugin: usize) -> Call<A> {
        let info = &self.with.rules.plugins()[plugin];
        let facts = step.facts_for(&info.facts);
        let remembered = self.fold.memory.get(&info.name).filter(|memory| memory.state_version == info.state_version);
        let input = Input {
            review: step.causes_for(&info.name),
            local: step.local.clone(),
            place: step.place.clone(),
            customer: step.customer.clone(),
            totals: self.fold.totals.clone(),
            facts: facts.0,
            facts_truncated: facts.1 || info.facts.iter().any(|scope| self.fold.facts.get(scope).is_some_and(|group| group.truncated)),
            state: remembered.map(|memory| memory.bytes.clone()),
            so_far: step.so_far.clone(),
        };
        let encoded = postcard::to_stdvec(&input).expect("an input is plain data");
        let call = match self.recorded::<A>(step, plugin, &encoded) {
            Some(call) => {
                step.reused += 1;
                call
            }
            None => A::call(self.with, plugin, &step.event, &input),
        };
        step.calls.push(RecordedCall { plugin: plugin as u32, role: A::ROLE, input: encoded, answer: call.clone().recorded() });
        call
    }

    fn recorded<A: Answer>(&self, step: &Step, plugin: usize, input: &[u8]) -> Option<Call<A>> {
        let known = &self.case.recorded[*self.recorded.get(&step.event.position())?];
        let info = &self.with.rules.plugins()[plugin];
        let call = known.explanation.calls.iter().find(|call| {
            let then = &known.plugins[call.plugin as usize];
            call.role == A::ROLE && then.name == info.name
        })?;
        let then = &known.plugins[call.plugin as usize];
        let answer = A::from_recorded(&call.answer)?;
        let is_same = then.digest == info.digest && then.configuration == info.configuration && call.input == input;
        // A failure was an outcome, but a refold is the occasion to try again.
        let failed = matches!(&answer.result, Err(failure) if failure.counts());
        (self.is_frozen(step) || is_same && !failed).then(|| answer.clone())
    }

    /// What was decided before the place of the new event stays as it was, whatever the rules say
    /// today; so does everything else if the event came too late.
    fn is_frozen(&self, step: &Step) -> bool {
        step.was_decided && (self.too_late || step.event.position() < self.admitted.event.position())
    }

    /// Books what every answer carries beside its decisions, and reports the call.
    pub fn after(&mut self, step: &mut Step, plugin: usize, role: Role, usage: crate::rules::Usage, result: Result<After, &Failure>) {
        let info = &self.with.rules.plugins()[plugin];
        let mut view = PluginView {
            name: info.name.clone(),
            version: info.version.clone(),
            digest: info.digest.clone(),
            role: role.name().into(),
            status: "ok".into(),
            message: None,
            fuel: usage.fuel,
            micros: usage.micros,
        };
        match result {
            Ok(after) => {
                // A basket that is not paid yet may never be: what a formula learns from it is not kept.
                let is_draft = role == Role::PointFormula && matches!(step.event.body, Body::Checkout(_));
                match after.memory {
                    _ if is_draft => {}
                    Memory::Keep => {}
                    Memory::Forget => drop(self.fold.memory.remove(&info.name)),
                    Memory::Replace(bytes) => {
                        let remembered = Remembered { state_version: info.state_version, bytes };
                        self.fold.memory.insert(info.name.clone(), remembered);
                    }
                }
                let who = (info.name.clone(), role);
                match after.next_review {
                    NextReview::Keep => {}
                    NextReview::At(at) => drop(self.fold.reviews.insert(who, at)),
                    NextReview::Never => drop(self.fold.reviews.remove(&who)),
                }
                view.message = after.note;
            }
            Err(failure) => {
                view.status = failure.class().into();
                view.message = Some(failure.to_string());
            }
        }
        step.views.push(view);
    }

    /// What is wrong with the part that every answer carries, if anything.
    pub fn check_after(&self, step: &Step, plugin: usize, after: &After) -> Result<(), Failure> {
        let refuse = |problem: String| Err(Failure::Answer { problem });
        if let Memory::Replace(bytes) = &after.memory
            && bytes.len() > limits::STATE_BYTES_MAX
        {
            return refuse(format!("state of {} bytes; {} is the limit", bytes.len(), limits::STATE_BYTES_MAX));
        }
        if after.keep_with_event.as_ref().is_some_and(|bytes| bytes.len() > limits::KEPT_BYTES_MAX) {
            return refuse(format!("keep-with-event of more than {} bytes", limits::KEPT_BYTES_MAX));
        }
        if after.note.as_ref().is_some_and(|note| note.len() > limits::REASON_BYTES_MAX) {
            return refuse(format!("a note of more than {} bytes", limits::REASON_BYTES_MAX));
        }
        let NextReview::At(at) = after.next_review else { return Ok(()) };
        if at <= step.event.at {
            return refuse(format!("next-review {} is not ahead of {}", calendar::text(at), calendar::text(step.event.at)));
        }
        let asked = self.fold.reviews_today.1.get(&self.with.rules.plugins()[plugin].name);
        if step.is_review && asked.is_some_and(|count| *count > limits::REVIEWS_A_DAY_MAX) {
            return refuse(format!("more than {} reviews of one customer in a day", limits::REVIEWS_A_DAY_MAX));
        }
        Ok(())
    }

    /// Puts a finished step away.
    pub fn done(&mut self, mut step: Step) {
        facts::keep(self, &mut step);
        let visible = !step.so_far.segments_entered.is_empty()
            || !step.so_far.segments_left.is_empty()
            || !step.so_far.tags_set.is_empty()
            || !step.so_far.tags_cleared.is_empty()
            || !step.awards.is_empty()
            || !step.tier_rows.is_empty()
            || !step.follow_ups.is_empty()
            || !step.prompts.is_empty()
            || step.views.iter().any(|view| view.status != "ok");
        if !step.is_review {
            self.out.history.push(HistoryRow { position: step.event.position(), journal: step.journal, moved: step.moved });
            if self.fold.events.is_multiple_of(limits::CHECKPOINT_EVENTS) {
                self.out.checkpoints.push(self.fold.clone());
            }
        }
        let is_new = !step.was_decided || step.reused < step.calls.len();
        let says_something = !step.is_review || visible;
        if is_new && says_something {
            self.out.explanations.push(Explanation {
                position: step.event.position(),
                journal: step.journal,
                is_review: step.is_review,
                calls: std::mem::take(&mut step.calls),
                notes: step.notes.clone(),
            });
        }
        if step.is_answered {
            self.answer(&mut step);
        }
        self.out.visible |= visible && (step.is_answered || is_new);
        let origin = StepOrigin { journal: step.journal, event: step.event.clone(), was_decided: step.was_decided };
        self.out.awards.extend(step.awards.into_iter().map(|award| (origin.clone(), award)));
        self.out.memberships.append(&mut step.membership_rows);
        self.out.tiers.append(&mut step.tier_rows);
        for row in &mut step.follow_ups {
            row.journal = step.journal;
        }
        self.cancel_follow_ups(&step.event);
        self.out.follow_ups.append(&mut step.follow_ups);
    }

    /// In a refold an event that comes later along the fold cancels what was planned before it.
    fn cancel_follow_ups(&mut self, event: &Event) {
        for row in &mut self.out.follow_ups {
            if row.state == Planned::Planned && row.send_at > event.at && row.cancelled_by.contains(&event.kind) {
                row.state = Planned::Cancelled;
            }
        }
    }

    fn answer(&mut self, step: &mut Step) {
        let outcome = &mut self.out.outcome;
        outcome.segments.entered.extend(step.so_far.segments_entered.iter().cloned());
        outcome.segments.left.extend(step.so_far.segments_left.iter().cloned());
        outcome.tags.set.extend(step.so_far.tags_set.iter().cloned());
        outcome.tags.cleared.extend(step.so_far.tags_cleared.iter().cloned());
        outcome.tier = step.tier.take().or(outcome.tier.take());
        outcome.prompts.append(&mut step.prompts);
        outcome.receipt.append(&mut step.receipt);
        outcome.plugins.append(&mut step.views);
        outcome.notes.append(&mut step.notes);
        let plugins = self.with.rules.plugins();
        outcome.follow_ups.extend(step.follow_ups.iter().map(|row| FollowUpView {
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
        }));
    }

    /// Everything that the steps did, as one change.
    pub fn finish(mut self) -> Change {
        let plugins = self.with.rules.plugins();
        let old: Vec<(i64, LotKey, Points)> = std::mem::take(&mut self.case.lots);
        let booked = points::book(std::mem::take(&mut self.out.awards), old, self.case.balance, plugins, self.with.shop);
        if let Some(points) = booked.reported {
            self.out.review_items.push(ReviewItem::LateReported { points });
        }
        // Under a policy that does not correct both ways the ledger, not the fold, is right.
        self.fold.balance = booked.balance;
        let mut outcome = self.out.outcome;
        outcome.points = points::views(&booked.entries, plugins, self.fold.clock, &booked.lots);
        outcome.customer = Some(CustomerNow {
            id: self.case.id.0.clone(),
            tier: self.fold.standing.as_ref().map(|held| held.tier.clone()),
            balance: self.fold.balance,
            available: self.fold.available(self.fold.clock),
            segments: self.fold.memberships.keys().cloned().collect(),
        });
        let in_journal = !self.admitted.due || self.out.visible || !booked.entries.is_empty();
        Change {
            event: self.admitted.event.clone(),
            personal: self.admitted.personal.clone(),
            sameness: self.admitted.sameness,
            received_at: self.admitted.received_at,
            rule_book: self.with.rule_book,
            orders: orders(&self.admitted.event),
            claims: claims(&self.admitted.event),
            outcome,
            in_journal,
            review_items: self.out.review_items,
            customer: Some(CustomerChange {
                id: self.case.id,
                is_new: self.case.is_new,
                revision: self.case.revision,
                links: self.links,
                head: self.fold,
                start: self.start,
                memberships: self.out.memberships,
                tiers: self.out.tiers,
                history: self.out.history,
                follow_ups: self.out.follow_ups,
                lots: booked.lots,
                entries: booked.entries,
                explanations: self.out.explanations,
                checkpoints: self.out.checkpoints,
            }),
        }
    }
}

impl Step {
    /// The facts of the scopes that a plugin asks for, at most [`limits::FACTS_MAX`].
    fn facts_for(&self, scopes: &[String]) -> (Vec<Fact>, bool) {
        let mut wanted: Vec<Fact> = scopes.iter().filter_map(|scope| self.facts.get(scope)).flatten().cloned().collect();
        let truncated = wanted.len() > limits::FACTS_MAX;
        wanted.truncate(limits::FACTS_MAX);
        (wanted, truncated)
    }

    /// Why the host asks this plugin.
    fn causes_for(&self, plugin: &str) -> Vec<ReviewCause> {
        let mut causes = self.causes.clone();
        if self.asked.iter().any(|(asker, _)| asker == plugin) {
            causes.insert(0, ReviewCause::Asked);
        } else if !self.asked.is_empty() {
            causes.insert(0, ReviewCause::AskedByOther);
        }
        causes
    }

    /// Works out a moment on the event's calendar.
    pub fn moment(&self, walk: &Walk, moment: Option<Moment>) -> Result<Option<Instant>, Failure> {
        let Some(moment) = moment else { return Ok(None) };
        let zone = walk.with.shop.zone_at(self.event.location.as_deref());
        match calendar::resolve(moment, self.event.at, &self.local, zone) {
            Some(at) if at.0.abs() <= limits::NUMBER_MAX => Ok(Some(at)),
            _ => Err(Failure::Answer { problem: format!("{moment:?} is too far ahead") }),
        }
    }

    /// A moment that [`Step::moment`] has accepted before.
    pub fn checked_moment(&self, walk: &Walk, moment: Option<Moment>) -> Option<Instant> {
        self.moment(walk, moment).expect("the moment was checked")
    }

    /// Says something in the answer and in the explanation.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}

impl Change {
    /// The change of an event of nobody: it is kept and counted.
    pub fn of_nobody(admitted: &Admitted, with: Context) -> Change {
        let mut outcome = Outcome::of(admitted);
        if admitted.event.sale().is_some() {
            outcome.status = Status::Guest;
            outcome.notes.push("skipped: guest".into());
        }
        Change {
            event: admitted.event.clone(),
            personal: admitted.personal.clone(),
            sameness: admitted.sameness,
            received_at: admitted.received_at,
            rule_book: with.rule_book,
            orders: orders(&admitted.event),
            claims: None,
            customer: None,
            outcome,
            in_journal: !admitted.due,
            review_items: Vec::new(),
        }
    }
}

impl Outcome {
    fn of(admitted: &Admitted) -> Outcome {
        Outcome {
            event: EventName { source: admitted.event.source.clone(), id: admitted.event.id.clone() },
            status: Status::Applied,
            duplicate_of: None,
            differs: Vec::new(),
            customer: None,
            segments: SegmentChanges::default(),
            points: Vec::new(),
            tier: None,
            tags: TagChanges::default(),
            follow_ups: Vec::new(),
            prompts: Vec::new(),
            receipt: Vec::new(),
            plugins: Vec::new(),
            notes: admitted.notes.clone(),
        }
    }
}

fn was_asked(known: &Recorded, plugin: &str, role: Role) -> bool {
    known.explanation.calls.iter().any(|call| call.role == role && known.plugins[call.plugin as usize].name == plugin)
}

/// A sale takes its order's name; whatever else speaks of an order only points to it.
fn orders(event: &Event) -> Vec<crate::event::OrderName> {
    event.sale().and_then(|sale| sale.order.clone()).into_iter().collect()
}

fn claims(event: &Event) -> Option<EventName> {
    match &event.body {
        Body::Profile(change) => change.claims.clone(),
        _ => None,
    }
}

/// A role's answer, as the walk needs to know it.
pub trait Answer: Clone {
    const ROLE: Role;
    fn call(with: Context, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<Self>;
    fn recorded(call: Call<Self>) -> Answered;
    fn from_recorded(answered: &Answered) -> Option<&Call<Self>>;
}

impl<A: Answer> Call<A> {
    fn recorded(self) -> Answered {
        A::recorded(self)
    }
}

macro_rules! answers {
    ($($answer:ty, $role:ident, $method:ident, $variant:ident;)*) => {$(
        impl Answer for $answer {
            const ROLE: Role = Role::$role;
            fn call(with: Context, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<Self> {
                with.rules.$method(plugin, event, input)
            }
            fn recorded(call: Call<Self>) -> Answered {
                Answered::$variant(call)
            }
            fn from_recorded(answered: &Answered) -> Option<&Call<Self>> {
                match answered {
                    Answered::$variant(call) => Some(call),
                    _ => None,
                }
            }
        }
    )*};
}

answers! {
    crate::rules::SegmentAnswer, SegmentRule, segment_rule, Segments;
    crate::rules::PointAnswer, PointFormula, point_formula, Points;
    crate::rules::TierAnswer, TierRule, tier_rule, Tier;
    crate::rules::FollowUpAnswer, FollowUpTrigger, follow_up_trigger, FollowUps;
}
