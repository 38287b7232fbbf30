//! A change: everything that one event does, ready to be committed in one transaction.
//!
//! The line builds it, the store writes it as it is. There is no other way to change a customer.

use crate::currency::Currency;
use crate::event::{
    Channel, Event, EventName, Identifier, Instant, Money, OrderName, Personal, Points, Position,
    SaleName,
};
use crate::fold::{Fold, Moved, Reservation};
use crate::limited::Giver;
use crate::outcome::{DiscountView, Outcome};
use crate::rules::{
    AwardKind, Call, Coverage, Failure, FollowUpAnswer, OnReturn, PointAnswer, Purpose, Role,
    SegmentAnswer, TierAnswer, Usage, Value,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A customer's opaque, stable name: `cus_…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomerId(pub String);

/// What one event does.
#[derive(Debug)]
pub struct Change {
    pub event: Arc<Event>,
    pub personal: Personal,
    /// Keyed hash of the canonical body: the same body sent again is a duplicate.
    pub sameness: Sameness,
    /// When it reached us; kept for people, never decided by.
    pub received_at: Instant,
    /// The number of the rule book by which it was decided, as the store gave it out when the
    /// rule book was saved. Every `plugin: u32` below is an index into that book.
    pub rule_book: i64,
    /// Business keys that this event takes for ever.
    pub orders: Vec<OrderName>,
    /// A guest sale that this event gives to the customer.
    pub claims: Option<EventName>,
    /// `None` for a guest sale or a head count: kept, nothing decided.
    pub customer: Option<CustomerChange>,
    /// What those who referred the customer are told: events of theirs, which go down the line after
    /// this one and in the same transaction.
    pub for_referrers: Vec<(CustomerId, Event)>,
    /// The code with which the customer can refer others, if this event gives them one.
    pub code: Option<String>,
    /// The second customer, of an event that makes two of them one or one of them two. It is written in
    /// the same transaction, after the first.
    pub other: Option<CustomerChange>,
    /// The answer. The store fills in the numbers of the entries when it has them.
    pub outcome: Outcome,
    /// False for a review that changed nothing that anybody can see: the fold moves, the journal
    /// does not.
    pub in_journal: bool,
    /// What givers with a limit have given with this event.
    pub given: Vec<(Giver, Points)>,
    /// What somebody should look at: suggestions to merge, events that came too late.
    pub review_items: Vec<ReviewItem>,
}

/// Keyed hash of a body in its canonical form.
pub type Sameness = [u8; 32];

#[derive(Debug)]
pub struct CustomerChange {
    pub id: CustomerId,
    pub is_new: bool,
    /// What the customer's revision was when it was read; another one means: decide again.
    pub revision: u64,
    /// Identifiers that now name this customer.
    pub links: Vec<Identifier>,
    /// The customer after this change.
    pub head: Fold,
    /// How far their timers have been driven. The head may be behind it, where a refold found that the
    /// last of them was never due.
    pub clock: Instant,
    /// Where the walk began. Rows numbered above `start.changes`, and history and checkpoints
    /// after `start.last`, are replaced by what is here.
    pub start: Start,
    pub memberships: Vec<MembershipRow>,
    pub tiers: Vec<TierRow>,
    pub history: Vec<HistoryRow>,
    pub follow_ups: Vec<FollowUpRow>,
    /// Plugins whose follow-ups from before the start are not sent, if they wait.
    pub cancels: Vec<String>,
    /// Steps whose follow-ups from before the start are not sent, if they wait: their sale was taken
    /// back. The journal rows of their events.
    pub undone: Vec<i64>,
    pub lots: Vec<NewLot>,
    /// Lots that were there and whose points are for other lines now.
    pub reapportioned: Vec<Reapportioned>,
    /// What plugins keep with the sales of this walk.
    pub kept: Vec<KeptRow>,
    /// Sales of this walk whose payment was not certain.
    pub provisional: Vec<ProvisionalRow>,
    /// Sales whose points are certain from now on, one way or the other.
    pub settled: Vec<SettledRow>,
    /// Redemptions as they are after the walk, each that it moved.
    pub redemptions: Vec<RedemptionRow>,
    /// What its steps gave whoever referred the customer, for each step that is not as it was.
    pub referrer_awards: Vec<StepAwards>,
    pub takings: Vec<TakingRow>,
    /// Of a refold all from its start on; those that were there after it are replaced.
    pub allocations: Vec<Allocation>,
    pub entries: Vec<NewEntry>,
    pub explanations: Vec<Explanation>,
    pub checkpoints: Vec<Fold>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    pub last: Position,
    /// Reviews up to here are behind it.
    pub clock: Instant,
    pub changes: u32,
    /// True if events after the start are decided again.
    pub is_refold: bool,
}

/// A membership that began, or that ended. `number` is unique for the customer and rises along
/// the fold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MembershipRow {
    Entered {
        number: u32,
        segment: String,
        since: Instant,
        until: Option<Instant>,
        plugin: u32,
        reason: String,
    },
    /// A later answer moved the end of a membership that goes on.
    Prolonged {
        segment: String,
        until: Option<Instant>,
    },
    Left {
        number: u32,
        segment: String,
        at: Instant,
        plugin: Option<u32>,
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierRow {
    pub number: u32,
    pub from: Option<String>,
    pub to: Option<String>,
    pub since: Instant,
    pub keep_until: Option<Instant>,
    pub by: Decider,
    pub reason: String,
}

/// Who decided something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decider {
    /// A plugin, by its index in the rule book.
    Plugin(u32),
    /// A person of the shop, by what the event calls them.
    Staff(String),
    /// The host itself, as the shop's file says: what came back, what was not used in time.
    Host,
}

/// One event's place in the customer's history and what it moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    pub position: Position,
    /// `None` is the event of this change.
    pub journal: Option<i64>,
    pub moved: Moved,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowUpRow {
    pub number: u32,
    pub plugin: u32,
    /// When the step that planned it happened.
    pub at: Instant,
    /// The event it was planned for; `None` is the event of this change or a review.
    pub journal: Option<i64>,
    pub channel: String,
    pub template: String,
    pub purpose: Purpose,
    pub send_at: Instant,
    pub expires_at: Option<Instant>,
    pub data: Vec<(String, Value)>,
    pub dedupe_key: String,
    pub cancelled_by: Vec<String>,
    pub offer: Option<DiscountView>,
    pub reason: String,
    pub state: Planned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planned {
    Planned,
    /// The consent that it needs is missing.
    Suppressed,
    /// An event after it, already known, cancels it.
    Cancelled,
}

/// Points that were earned together: they become available, expire and are taken back together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLot {
    pub key: LotKey,
    /// `None` is the event of this change or a review that it drove.
    pub journal: Option<i64>,
    pub by: Decider,
    /// The award apportioned to lines (number from 1, points); empty where there are none.
    pub shares: Vec<(u32, Points)>,
}

/// What makes two awards of one step the same lot when a step is decided again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LotKey {
    /// The event's position; a review has an empty source and id.
    pub origin: Position,
    pub currency: Currency,
    /// The plugin's name; empty for what staff gave.
    pub plugin: String,
    pub kind: LotKind,
    pub reason: String,
    pub covers: Coverage,
    pub available_from: Option<Instant>,
    pub expires_at: Option<Instant>,
    pub on_return: OnReturn,
    /// Counts awards that are alike in everything else.
    pub ordinal: u32,
}

impl LotKey {
    /// Of a lot that no rule decided: nobody takes it back with a sale.
    pub fn of_no_rule(
        origin: Position,
        currency: Currency,
        kind: LotKind,
        reason: impl Into<String>,
    ) -> LotKey {
        LotKey {
            origin,
            currency,
            plugin: String::new(),
            kind,
            reason: reason.into(),
            covers: Coverage::Whole,
            available_from: None,
            expires_at: None,
            on_return: OnReturn::Keep,
            ordinal: 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LotKind {
    Base,
    Bonus,
    /// Staff gave them.
    Adjustment,
    /// They were redeemed, and what they were given for came back.
    GivenBack,
    /// Money that a customer was given back, as store credit.
    Refund,
}

impl LotKind {
    pub const ALL: [LotKind; 5] = [
        LotKind::Base,
        LotKind::Bonus,
        LotKind::Adjustment,
        LotKind::GivenBack,
        LotKind::Refund,
    ];

    pub fn name(self) -> &'static str {
        match self {
            LotKind::Base => "base",
            LotKind::Bonus => "bonus",
            LotKind::Adjustment => "adjustment",
            LotKind::GivenBack => "given-back",
            LotKind::Refund => "refund",
        }
    }
}

impl LotKind {
    /// As rules call it; no rule gave what staff and the host did.
    pub fn award(self) -> Option<AwardKind> {
        match self {
            LotKind::Base => Some(AwardKind::Base),
            LotKind::Bonus => Some(AwardKind::Bonus),
            LotKind::Adjustment | LotKind::GivenBack | LotKind::Refund => None,
        }
    }
}

impl From<AwardKind> for LotKind {
    fn from(kind: AwardKind) -> LotKind {
        match kind {
            AwardKind::Base => LotKind::Base,
            AwardKind::Bonus => LotKind::Bonus,
        }
    }
}

/// What one step gives whoever referred the customer, or takes from them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepAwards {
    pub step: Position,
    /// Its place in the history of the referrer.
    pub place: String,
    pub referral: String,
    pub referrer: CustomerId,
    pub awards: Vec<ReferrerAward>,
}

impl StepAwards {
    pub fn award(&self, key: LotKey, points: Points, shares: Vec<(u32, Points)>) -> ReferrerAward {
        ReferrerAward {
            step: self.step.clone(),
            place: self.place.clone(),
            referral: self.referral.clone(),
            referrer: self.referrer.clone(),
            key,
            points,
            shares,
        }
    }
}

/// One award of a step to whoever referred the customer, as it is kept with the customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferrerAward {
    pub step: Position,
    pub place: String,
    pub referral: String,
    pub referrer: CustomerId,
    /// As the step's own awards have it; of the sale that it was for, where something is taken back.
    pub key: LotKey,
    /// Below zero for what is taken.
    pub points: Points,
    pub shares: Vec<(u32, Points)>,
}

impl ReferrerAward {
    /// Whether the referrer is told nothing new by it.
    pub fn is_same(&self, other: &ReferrerAward) -> bool {
        (&self.key, self.points) == (&other.key, other.points)
    }
}

/// What a plugin is given back when a sale is returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRow {
    pub sale: Position,
    pub plugin: String,
    pub bytes: Vec<u8>,
}

/// A sale whose points may have to be given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisionalRow {
    pub sale: Position,
    pub until: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledRow {
    pub sale: Position,
    /// When, along the fold.
    pub step: Position,
    pub how: Settled,
}

/// How a provisional sale ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settled {
    /// The payment arrived.
    Paid,
    /// Nobody said otherwise in time.
    InTime,
    Failed,
}

impl Settled {
    pub fn name(self) -> &'static str {
        match self {
            Settled::Paid => "paid",
            Settled::InTime => "in-time",
            Settled::Failed => "failed",
        }
    }
}

/// A redemption as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedemptionRow {
    pub id: String,
    pub held: Reservation,
    /// What was taken for it: nothing before it is confirmed, and of credit what the basket needed.
    pub taken: Points,
    pub state: RedemptionState,
    /// When it came into this state.
    pub at: Instant,
    /// Where it was used, and by which sale, where that is known.
    pub channel: Option<Channel>,
    pub location: Option<String>,
    pub sale: Option<SaleName>,
    /// Who did it, and why, where somebody said so.
    pub actor: Option<String>,
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RedemptionState {
    /// A second person has to agree.
    PendingApproval,
    /// The points are set aside.
    Reserved,
    /// It was given, and the points are gone.
    Confirmed,
    Cancelled,
    Denied,
    /// Nobody said anything in time.
    TimedOut,
}

impl RedemptionState {
    pub const ALL: [RedemptionState; 6] = [
        RedemptionState::PendingApproval,
        RedemptionState::Reserved,
        RedemptionState::Confirmed,
        RedemptionState::Cancelled,
        RedemptionState::Denied,
        RedemptionState::TimedOut,
    ];

    pub fn name(self) -> &'static str {
        match self {
            RedemptionState::PendingApproval => "pending-approval",
            RedemptionState::Reserved => "reserved",
            RedemptionState::Confirmed => "confirmed",
            RedemptionState::Cancelled => "cancelled",
            RedemptionState::Denied => "denied",
            RedemptionState::TimedOut => "timed-out",
        }
    }

    pub fn is_open(self) -> bool {
        matches!(
            self,
            RedemptionState::PendingApproval | RedemptionState::Reserved
        )
    }
}

/// A lot's points by line, where a step was decided again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reapportioned {
    pub lot: i64,
    pub shares: Vec<(u32, Points)>,
}

/// Why points are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TakingKind {
    /// Staff took them.
    Adjustment,
    /// What they were given for came back.
    Reversal,
    /// They were not used in time.
    Expiry,
    /// They pay for what a return could not take.
    Recovery,
    /// The customer gave them for something.
    Redeem,
    /// The customer lost them by what they did, or because they are a customer no more.
    Forfeit,
}

impl TakingKind {
    pub const ALL: [TakingKind; 6] = [
        TakingKind::Adjustment,
        TakingKind::Reversal,
        TakingKind::Expiry,
        TakingKind::Recovery,
        TakingKind::Redeem,
        TakingKind::Forfeit,
    ];

    pub fn name(self) -> &'static str {
        self.entry().name()
    }

    pub fn entry(self) -> EntryKind {
        match self {
            TakingKind::Adjustment => EntryKind::Adjustment,
            TakingKind::Reversal => EntryKind::Reversal,
            TakingKind::Expiry => EntryKind::Expiry,
            TakingKind::Recovery => EntryKind::Recovery,
            TakingKind::Redeem => EntryKind::Redeem,
            TakingKind::Forfeit => EntryKind::Forfeit,
        }
    }
}

/// Points that a step takes for one reason, from one lot or from all that there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakingRow {
    /// The same taking as it was, where a step is decided again.
    pub known: Option<i64>,
    pub step: Position,
    pub currency: Currency,
    pub kind: TakingKind,
    /// The lot that is taken back.
    pub lot: Option<LotRef>,
    /// The redemption that they were given for.
    pub redemption: Option<String>,
    /// What its entries sum to, as a number of points above zero, or 0.
    pub points: Points,
    /// What should have been taken and was not there.
    pub debt: Points,
    pub reason: String,
    /// The journal row of its event; `None` is the event of this change.
    pub journal: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakingRef {
    /// An index into [`CustomerChange::takings`].
    New(usize),
    Existing(i64),
}

/// Points of a lot that pay for a taking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    pub currency: Currency,
    pub taking: TakingRef,
    pub lot: LotRef,
    /// The step at which they did: the taking's own, or a later one for what was owed.
    pub step: Position,
    /// Above zero.
    pub points: Points,
}

/// One ledger entry to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// The lot that it adds to, or of which it takes something back. A transfer has none: the lots
    /// themselves go along, each with its age and its end.
    pub lot: Option<LotRef>,
    /// What it takes, for points that are taken.
    pub taking: Option<TakingRef>,
    pub currency: Currency,
    pub kind: EntryKind,
    pub amount: Points,
    /// The customer's balance of that currency with it.
    pub balance_after: Points,
    pub reason: String,
    pub by: Decider,
    /// When the event that it is for happened.
    pub occurred_at: Instant,
    /// The journal row of that event; `None` is the event of this change.
    pub journal: Option<i64>,
    pub channel: Option<Channel>,
    pub location: Option<String>,
    pub device: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LotRef {
    /// An index into [`CustomerChange::lots`].
    New(usize),
    Existing(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    Base,
    Bonus,
    /// What a refold found different from what was booked.
    Correction,
    /// Staff gave or took points.
    Adjustment,
    Reversal,
    Expiry,
    Recovery,
    /// The customer gave points for something.
    Redeem,
    /// What they gave them for came back.
    GivenBack,
    /// Money that the customer was given back, as store credit.
    Refund,
    /// The customer lost points by what they did, or because they are a customer no more.
    Forfeit,
    /// The points of one customer became another's: two profiles are one person, or they are not. The
    /// other entry of the pair has the same event.
    Transfer,
}

impl EntryKind {
    pub fn name(self) -> &'static str {
        match self {
            EntryKind::Base => "base",
            EntryKind::Bonus => "bonus",
            EntryKind::Correction => "correction",
            EntryKind::Adjustment => "adjustment",
            EntryKind::Reversal => "reversal",
            EntryKind::Expiry => "expiry",
            EntryKind::Recovery => "recovery",
            EntryKind::Redeem => "redeem",
            EntryKind::GivenBack => "given-back",
            EntryKind::Refund => "refund",
            EntryKind::Forfeit => "forfeit",
            EntryKind::Transfer => "transfer",
        }
    }
}

/// Why one step came out as it did: each call with its input and its answer, and what the host
/// itself did to them. It is kept as long as the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The step: an event's position, or a review's instant with empty source and id.
    pub position: Position,
    /// `None` is the event of this change (or no event, for a review).
    pub journal: Option<i64>,
    pub is_review: bool,
    pub calls: Vec<RecordedCall>,
    /// Caps that bit, answers that lost, keys that were not the plugin's: in words.
    pub notes: Vec<String>,
}

/// One call as it was: it can be run again and must give the same answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedCall {
    /// The index in the rule book of the commit.
    pub plugin: u32,
    pub role: Role,
    /// The encoded [`crate::rules::Input`].
    pub input: Vec<u8>,
    pub answer: Answered,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answered {
    Segments(Call<SegmentAnswer>),
    Points(Call<PointAnswer>),
    Tier(Call<TierAnswer>),
    FollowUps(Call<FollowUpAnswer>),
}

impl Answered {
    /// Whether the plugin answered; the host may still not have taken it.
    pub fn is_ok(&self) -> bool {
        self.failure().is_none()
    }

    /// Why there is no answer.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Answered::Segments(call) => call.result.as_ref().err(),
            Answered::Points(call) => call.result.as_ref().err(),
            Answered::Tier(call) => call.result.as_ref().err(),
            Answered::FollowUps(call) => call.result.as_ref().err(),
        }
    }

    /// What it used, to be completed by whoever reads it.
    pub fn usage_mut(&mut self) -> &mut Usage {
        match self {
            Answered::Segments(call) => &mut call.usage,
            Answered::Points(call) => &mut call.usage,
            Answered::Tier(call) => &mut call.usage,
            Answered::FollowUps(call) => &mut call.usage,
        }
    }

    pub fn usage(&self) -> Usage {
        match self {
            Answered::Segments(call) => call.usage,
            Answered::Points(call) => call.usage,
            Answered::Tier(call) => call.usage,
            Answered::FollowUps(call) => call.usage,
        }
    }

    /// What the plugin noted for people.
    pub fn note(&self) -> Option<&str> {
        let after = match self {
            Answered::Segments(call) => call.result.as_ref().ok().map(|answer| &answer.after),
            Answered::Points(call) => call.result.as_ref().ok().map(|answer| &answer.after),
            Answered::Tier(call) => call.result.as_ref().ok().map(|answer| &answer.after),
            Answered::FollowUps(call) => call.result.as_ref().ok().map(|answer| &answer.after),
        };
        after?.note.as_deref()
    }
}

/// Something for a person to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ReviewItem {
    /// Identifiers of one event name different customers.
    MergeSuggested { keep: CustomerId, other: CustomerId },
    /// An event came after the late window; it was decided alone.
    TooLate { days: i64 },
    /// A late event would have changed the ledger, and the policy says to report only.
    LateReported { points: Points },
    /// A payment failed when its points were final already, or had never been provisional.
    PaymentFailedLate { sale: EventName },
    /// A code was used at a till that was not connected, and by the time that it told us its points
    /// were spent: the balance is below zero by so many.
    RedeemedTooMuch { redemption: String, points: Points },
    /// More friends joined on one day than points are given for.
    ManyFriends { friend: CustomerId },
    /// Whoever referred the customer is the same person, as a merge has it.
    ReferredThemselves { referrer: CustomerId },
    /// A sale was paid with more store credit than its customer had: by so much.
    CreditOverspent { sale: EventName, amount: Money },
    /// A till that was not connected redeemed so many points that no allowance covers, of which so many
    /// were not there and are owed.
    RedeemedBeyond {
        redemption: String,
        points: Points,
        debt: Points,
    },
    /// A sale looks like another one: the same customer, amount and place, at nearly the same time.
    LooksTwice { sale: EventName },
}
