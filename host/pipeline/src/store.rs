//! The door to the store: every read an event needs, then its one commit.

use crate::admit::Admitted;
use crate::change::{
    Change, CustomerId, Explanation, LotKey, RedemptionState, ReferrerAward, TakingKind,
};
use crate::currency::{ByCurrency, Currency};
use crate::event::{Event, EventName, Identifier, Instant, Points, Position};
use crate::fold::{Fold, Moved};
use crate::identity::Who;
use crate::limited::Giver;
use crate::merges::{Apart, Told};
use crate::outcome::Outcome;
use crate::referral::Referring;
use crate::rules::Plugin;
use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

/// What the line needs of a store.
pub trait Store {
    /// Reads all that the event needs, and holds its customer until the case is committed or
    /// dropped: events of one customer are decided one after the other, others are not kept
    /// waiting.
    fn open(&self, event: &Admitted, ask: &dyn Ask) -> Result<Opened, StoreError>;

    /// Writes the change in one transaction and gives the answer its entry numbers. The answer
    /// may leave only when the returned commit is durable (see [`Committed::durable`]).
    fn commit(&self, case: Case, change: Change) -> Result<Committed, StoreError>;

    /// The same for the first of several changes that belong together: all that is committed until
    /// their end reaches the disk as one transaction, or none of it does.
    fn commit_first(
        &self,
        case: Case,
        change: Change,
    ) -> Result<(Committed, Box<dyn Together + '_>), StoreError>;
}

/// Changes that belong together. If this is dropped before their end, they are taken back.
pub trait Together {
    /// All of them were committed.
    fn end(self: Box<Self>) -> Result<(), StoreError>;
}

/// The questions that the line answers while the store reads.
pub trait Ask {
    /// Whose event it is, from what the store knows of its identifiers.
    fn identify(&self, known: &Known) -> Who;
    /// Whether the decisions for this event can begin at this fold. The head is asked first, then
    /// the checkpoints from the newest to the oldest, and last the empty fold, which always can.
    fn can_start_at(&self, fold: &Fold) -> bool;
    /// Who gives points with the event and has a limit for a day: the store says how much each has given.
    fn givers(&self) -> Vec<Giver>;
    /// Whether the event gives its customer a code with which they can refer others, or has somebody's.
    fn is_about_referral(&self) -> bool;
    /// How near, in milliseconds, another sale looks like this one; `None` if nobody wants to know.
    fn looks_twice_within(&self) -> Option<i64>;
    /// From when on what the visitor of this event did is the customer's; `None` if nothing is.
    fn visits_since(&self, head: Option<&Fold>) -> Option<Instant>;
    /// What goes back to the other customer when a merge is taken back.
    fn tell_apart(&self, told: &[Told], identifiers: &[(Identifier, bool)]) -> Apart;
}

pub enum Opened {
    /// The event, or its order, is known already.
    Seen(Box<Seen>),
    New(Box<Case>),
}

/// An event that came before.
#[derive(Debug)]
pub struct Seen {
    /// The event that was first.
    pub first: EventName,
    pub by: SeenBy,
    /// Its answer then.
    pub outcome: Outcome,
    /// The first event as it is in the journal, so that differences can be named.
    pub event: Arc<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenBy {
    /// The same source and id with the same body.
    Name,
    /// The same source and id with another body: refused, and kept for inspection.
    NameWithOtherBody,
    /// Another event with the same order.
    Order,
}

/// What the store knows of the identifiers of an event.
#[derive(Debug, Default)]
pub struct Known {
    /// Each identifier of the event, in the event's order, and the customer that it names.
    pub identifiers: Vec<(Identifier, Option<CustomerId>)>,
    /// The customer that the event names by our own id, if there is such a customer; whoever took them
    /// in, where somebody did.
    pub named: Option<CustomerId>,
    /// One of the identifiers is a card that was revoked before the event happened.
    pub shows_revoked_card: bool,
    /// Of the sale that the event speaks of, if it does.
    pub sale: Option<SaleKnown>,
    /// The redemption that the event speaks of, if there is one of that name.
    pub redemption: Option<RedemptionKnown>,
    /// Of the second customer of an event about two, if there is such a customer.
    pub other: Option<OtherKnown>,
    /// Where the identifiers name several customers: the pairs of them of whom somebody has said that
    /// they are two people.
    pub apart: Vec<(CustomerId, CustomerId)>,
    /// Likewise: those who have an e-mail.
    pub with_email: Vec<CustomerId>,
}

/// What the store knows of the redemption that an event speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedemptionKnown {
    pub id: String,
    pub customer: CustomerId,
    pub state: RedemptionState,
    pub reserved_at: Instant,
}

/// What the store knows of the second customer of an event about two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherKnown {
    pub id: CustomerId,
    /// The customer who took them in, if somebody did.
    pub merged_into: Option<CustomerId>,
}

/// What the store knows of the sale that an event speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaleKnown {
    /// It has not come yet.
    Not,
    /// It is nobody's.
    Guest,
    Of(CustomerId),
}

/// Everything that was read for one event.
pub struct Case {
    /// `None` for an event of nobody.
    pub customer: Option<CustomerCase>,
    /// The second customer of an event that makes two of them one or one of them two.
    pub other: Option<OtherCase>,
    pub who: Who,
    /// A guest sale that the event claims, if it is there and still nobody's.
    pub claimed: Option<(i64, Arc<Event>)>,
    /// Events that spoke of this sale, or of the claimed one, before it was somebody's; and what a visitor did
    /// of whom this event says who they are.
    pub waited: Vec<(i64, Arc<Event>)>,
    /// The redemption that the event speaks of.
    pub redemption: Option<RedemptionKnown>,
    /// How many pieces there are, where it is to be given, of the product that the event reserves; `None` if
    /// nobody has told.
    pub stock: Option<i64>,
    /// What is known of codes, if [`Ask::is_about_referral`] wants to know.
    pub referring: Referring,
    /// What those of [`Ask::givers`] have given on the event's day.
    pub given: Vec<(Giver, Points)>,
    /// Releases the customer when dropped.
    pub hold: Hold,
}

/// The second customer of an event about two. Both have what they have then, and begin at the empty fold:
/// who has been merged has nothing left to decide about.
pub struct OtherCase {
    pub customer: CustomerCase,
    /// Events of the first that might be theirs.
    pub unclear: Vec<EventName>,
}

/// The store's own token; it is dropped with the case.
pub struct Hold(pub Box<dyn Any + Send>);

/// One customer from the place where this event's decisions begin.
pub struct CustomerCase {
    pub id: CustomerId,
    pub is_new: bool,
    pub revision: u64,
    /// The ledger's balances now.
    pub balance: ByCurrency<i64>,
    /// What comes to the customer from the other one of an event about two, or goes there (below
    /// zero); it is not in the balance yet.
    pub transfer: ByCurrency<i64>,
    /// How far the customer's timers have been driven; a refold drives them as far again.
    pub clock: Instant,
    /// The head, or for a late event the last checkpoint before it.
    pub start: Fold,
    /// For each window whose `start.leaves_at` is not after the end of the walk (the event, or
    /// `clock` if that is later): the moves of history at or before `start.last` that are in it at
    /// `start.clock` and leave it by the end of the walk, oldest first, and after them those that
    /// stay up to and including the first with an order. Empty for the other windows.
    pub leaving: [VecDeque<Moved>; 4],
    /// When the start is not the head: the events after `start.last`, in the order of the fold.
    pub later: Vec<Later>,
    /// Likewise: the lots of steps after `start.last` with what they earned in the end.
    pub lots: Vec<BookedLot>,
    /// Likewise: what steps after `start.last` took in the end.
    pub takings: Vec<BookedTaking>,
    /// Likewise: what they gave whoever referred the customer.
    pub referrer_awards: Vec<ReferrerAward>,
    /// The lots as they are at the start, if anything can move them (see [`moves_lots`]).
    pub purse: Option<PurseRows>,
    /// The sales at or before `start.last` of which an event of the walk speaks.
    pub sold: Vec<SoldRows>,
    /// The plugins with follow-ups that wait to be sent, for an event about changed rules; empty for
    /// all others.
    pub planned_by: Vec<String>,
    /// Another sale of the same amount at the same place, as near as [`Ask::looks_twice_within`].
    pub looks_like: Option<EventName>,
    /// When the start is not the head: the last recorded decision of each step after `start.last`.
    pub recorded: Vec<Recorded>,
}

/// A lot of a step that is decided again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedLot {
    pub id: i64,
    pub key: LotKey,
    pub earned: Points,
    pub shares: Vec<(u32, Points)>,
}

/// What a step took that is decided again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedTaking {
    pub id: i64,
    pub step: Position,
    pub currency: Currency,
    pub kind: TakingKind,
    pub lot: Option<i64>,
    pub redemption: Option<String>,
    pub points: Points,
    pub reason: String,
    pub journal: i64,
}

/// The lots of a customer at some place in their history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurseRows {
    /// Those that hold points.
    pub lots: Vec<OpenLot>,
    /// Takings for which no lot has paid yet: which, and how much, the oldest first.
    pub owed: Vec<(i64, Currency, Points)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenLot {
    pub id: i64,
    pub key: LotKey,
    /// Above zero.
    pub remaining: Points,
}

/// A sale before the start, with what came of it until there.
#[derive(Clone, Debug)]
pub struct SoldRows {
    pub journal: i64,
    pub event: Arc<Event>,
    pub lots: Vec<SoldLot>,
    /// What it gave whoever referred the customer.
    pub for_referrer: Vec<ReferrerAward>,
    /// What each plugin keeps with it.
    pub kept: Vec<(String, Vec<u8>)>,
    /// The events between it and the start that took something back of it, in the order of the fold.
    pub returns: Vec<Arc<Event>>,
    /// What was given for a part of it, in the order of the fold: points, and its tenders of credit.
    pub redeemed: Vec<Redeemed>,
}

/// Points, or store credit, that a customer gave for a part of a sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redeemed {
    pub currency: Currency,
    /// The redemption; `None` for credit that was not set aside before.
    pub id: Option<String>,
    /// The step at which they were.
    pub given_at: Position,
    pub reward: Option<String>,
    pub points: Points,
    /// What lots paid: when the points end, and how many.
    pub drawn: Vec<(Option<Instant>, Points)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoldLot {
    pub id: i64,
    pub key: LotKey,
    pub earned: Points,
    pub shares: Vec<(u32, Points)>,
    /// What is left of it at the start.
    pub remaining: Points,
    /// What returns have taken back of it, debts among it.
    pub reversed: Points,
    /// What of it was not used in time, or forfeited.
    pub lapsed: Points,
}

/// The last instant that the walk for an event may reach, with those that waited for it. What came back
/// before it was sold comes a moment after.
pub fn end_of_walk(event: &Admitted, clock: Instant, waited: &[(i64, Arc<Event>)]) -> Instant {
    let waited_until = waited.iter().map(|(_, event)| event.at).max();
    let last = waited_until.map_or(event.event.at, |at| at.max(event.event.at));
    Instant(last.0 + waited.len() as i64).max(clock)
}

/// Whether lots from before the start can be moved by a walk that begins at this fold and ends then:
/// the event, those that come after it, and what their steps took before.
pub fn moves_lots(
    event: &Event,
    start: &Fold,
    end: Instant,
    later: &[Later],
    takings: &[BookedTaking],
) -> bool {
    let has_credit = start.credit.is_some();
    let takes = |event: &Event| event.may_take() || event.pays_with_credit(has_credit);
    takes(event)
        || later.iter().any(|later| takes(&later.event))
        || !takings.is_empty()
        || Currency::ALL.into_iter().any(|currency| {
            let account = start.account(currency);
            account.owed > 0
                || account.debt > 0
                || account.next_expiry.is_some_and(|next| next.at <= end)
        })
        || !start.reservations.is_empty()
}

/// An event that is known already and comes after the late one.
pub struct Later {
    pub journal: i64,
    pub event: Arc<Event>,
}

/// A decision as it was taken before, with the rule book that its calls point into.
pub struct Recorded {
    pub plugins: Arc<Vec<Plugin>>,
    pub explanation: Explanation,
    /// Plugins whose answer to this step does not stand any more, by name: a kept instance gave it,
    /// and was found to remember others.
    pub doubted: Vec<String>,
}

/// A change that is in the transaction.
pub struct Committed {
    pub outcome: Outcome,
    /// Waits until the change is on disk.
    pub durable: Box<dyn Durable>,
}

/// A promise that a commit reaches the disk.
pub trait Durable: Send {
    /// Blocks until it has, or says why it never will.
    fn wait(self: Box<Self>) -> Result<(), StoreError>;

    /// Calls back when it has, on the thread that commits: hand the answer on and return at once.
    /// It lets a lane decide the next event while this one is on its way to the disk.
    fn then(self: Box<Self>, done: Box<dyn FnOnce(Result<(), StoreError>) + Send>);
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Somebody else changed the customer in between: decide again.
    #[error("the customer changed while the event was decided")]
    Conflict,
    #[error("the disk is full: nothing was committed; free some space and send the event again")]
    Full,
    #[error("the database cannot be written: {0}")]
    ReadOnly(String),
    #[error("the database is damaged: {0}; see the runbook on restoring a backup")]
    Corrupt(String),
    #[error("the database failed: {0}")]
    Failed(String),
}
