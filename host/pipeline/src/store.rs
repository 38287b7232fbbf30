//! The door to the store: every read an event needs, then its one commit.

use crate::admit::Admitted;
use crate::change::{Change, CustomerId, Explanation, LotKey};
use crate::event::{Event, EventName, Identifier, Instant, Points};
use crate::fold::{Fold, Moved};
use crate::identity::Who;
use crate::outcome::Outcome;
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
}

/// The two questions that the line answers while the store reads.
pub trait Ask {
    /// Whose event it is, from what the store knows of its identifiers.
    fn identify(&self, known: &Known) -> Who;
    /// Whether the decisions for this event can begin at this fold. The head is asked first, then
    /// the checkpoints from the newest to the oldest, and last the empty fold, which always can.
    fn can_start_at(&self, fold: &Fold) -> bool;
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
    /// The customer that the event names by our own id, if there is such a customer.
    pub named: Option<CustomerId>,
    /// One of the identifiers is a card that was revoked before the event happened.
    pub shows_revoked_card: bool,
}

/// Everything that was read for one event.
pub struct Case {
    /// `None` for an event of nobody.
    pub customer: Option<CustomerCase>,
    pub who: Who,
    /// A guest sale that the event claims, if it is there and still nobody's.
    pub claimed: Option<(i64, Arc<Event>)>,
    /// Releases the customer when dropped.
    pub hold: Hold,
}

/// The store's own token; it is dropped with the case.
pub struct Hold(pub Box<dyn Any + Send>);

/// One customer from the place where this event's decisions begin.
pub struct CustomerCase {
    pub id: CustomerId,
    pub is_new: bool,
    pub revision: u64,
    /// The ledger's balance now.
    pub balance: Points,
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
    pub lots: Vec<(i64, LotKey, Points)>,
    /// The lots that hold points, for an event that takes some (see [`Event::points_taken`]);
    /// empty for all others.
    pub open_lots: Vec<OpenLot>,
    /// The plugins with follow-ups that wait to be sent, for an event about changed rules; empty for
    /// all others.
    pub planned_by: Vec<String>,
    /// When the start is not the head: the last recorded decision of each step after `start.last`.
    pub recorded: Vec<Recorded>,
}

/// A lot from which points can be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenLot {
    pub id: i64,
    /// Above zero.
    pub remaining: Points,
    pub earned_at: Instant,
    pub expires_at: Option<Instant>,
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
