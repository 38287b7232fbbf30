//! The fold: what we make of one customer's events in the order (`occurred_at`, source, id).
//!
//! It can be thrown away and built again from the journal at any time. [`crate::walk`] moves it;
//! the store keeps it as bytes, once as the customer's head and now and then as a checkpoint.

use crate::change::CustomerId;
use crate::currency::Currency;
use crate::event::{
    Channel, Consent, EventName, Instant, Money, MonthDay, Points, Position, Worth,
};
use crate::person::PersonField;
use crate::purse::Ending;
use crate::rules::{HeldOffer, NextTier, Role, Tally, Totals, WINDOW_DAYS};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Milliseconds of a day of 24 hours.
pub const DAY_MS: i64 = 86_400_000;

/// The layout of the stored bytes, their first byte. Whoever adds, moves or changes a field of the
/// fold counts it up: bytes without field names would be read as something else.
pub const FOLD_FORMAT: u8 = 12;

/// One customer at one place in their history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// The last event that is in it. The default for a customer without events.
    pub last: Position,
    /// Timers due by then were driven, and the windows end there.
    pub clock: Instant,
    /// Events so far.
    pub events: u32,
    /// Membership, tier and follow-up changes so far: it numbers their rows, so that a refold
    /// from here knows which rows came after.
    pub changes: u32,
    pub created_at: Instant,
    pub origin: String,
    pub enrolled_at: Option<Instant>,
    pub tags: BTreeSet<String>,
    /// When the host takes a tag again, for those that end.
    pub tag_ends: BTreeMap<String, Instant>,
    pub memberships: BTreeMap<String, Member>,
    pub standing: Option<Held>,
    /// While staff holds the customer in a tier, what the tier rules say does not count.
    pub placed: Option<Placed>,
    pub next_tier: Option<NextTier>,
    /// Tier rules that could not decide when they were last asked, and why. While there are any,
    /// nobody knows whether the tier is right.
    pub tier_doubts: BTreeMap<String, String>,
    pub totals: Totals,
    /// When the oldest entry leaves each window of [`WINDOW_DAYS`].
    pub leaves_at: [Option<Instant>; 4],
    /// The month and the year of the shop's calendar that the calendar tallies are of.
    pub calendar: (i32, u8),
    /// Discounts offered to the customer, oldest first, with the plugin that did.
    pub offers: Vec<(String, HeldOffer)>,
    /// Tallies by scope ("location") and key, for the scopes that some plugin asks for. A scope
    /// that is here is complete; one that is not has to be counted from the first event on.
    pub facts: BTreeMap<String, Group>,
    /// What each plugin remembers.
    pub memory: BTreeMap<String, Remembered>,
    /// When each plugin wants to be asked again.
    pub reviews: BTreeMap<(String, Role), Instant>,
    /// The day (since 1970, UTC) of the last review that a plugin asked for, and how many each
    /// plugin had on it.
    pub reviews_today: (i64, BTreeMap<String, u32>),
    /// What is known about the person; what it is stands in the store's own room.
    pub known: BTreeSet<PersonField>,
    pub consents: BTreeMap<String, Consent>,
    /// Channels through which the customer wants no marketing, whatever they agreed to.
    pub unwanted: BTreeSet<String>,
    pub language: Option<String>,
    pub birthday: Option<MonthDay>,
    pub birthday_known_since: Instant,
    pub home_location: Option<String>,
    /// How far the customer's default address is from locations, in whole kilometres.
    pub distances: BTreeMap<String, u32>,
    /// When the person was forgotten. Nothing is kept of them from then on.
    pub erased_at: Option<Instant>,
    /// What the shop's own fields say that is not personal, as texts.
    pub attributes: BTreeMap<String, String>,
    pub points: Account,
    /// Store credit; `None` for customers who never had any.
    pub credit: Option<Box<Account>>,
    /// Sales whose payment is not certain yet, by their place.
    pub provisional: BTreeMap<Position, Provisional>,
    /// What is set aside, by the id of the redemption that it is for.
    pub reservations: BTreeMap<String, Reservation>,
    /// Codes of sales of the last minutes that nothing was set aside for: the clock of the till may be
    /// behind the one that set it aside.
    pub early_codes: Vec<EarlyCode>,
    /// When the customer had each reward of which they may not have any number, the newest last.
    pub redeemed: BTreeMap<String, Vec<Instant>>,
    /// Who referred the customer, and whom they referred; `None` for most.
    pub referrals: Option<Box<Referrals>>,
    /// The basket that was open last, until it is a sale or was left.
    pub basket: Option<Basket>,
    /// The largest totals of sales, the largest first, for as long as they were not returned.
    pub largest: Vec<Largest>,
    /// What rules awarded on the last days of the calendar, each written as a number such as 20240229,
    /// if the shop has a limit for a day.
    pub earned_on: BTreeMap<i32, Points>,
    /// Everything earned, net of corrections and reversals.
    pub earned: Points,
    /// The same by earning channel, in the order of [`Channel::ALL`].
    pub earned_by_channel: [Points; 4],
}

/// What a customer has of one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The sum of the ledger.
    pub balance: i64,
    /// Part of the balance that can be spent only from a later instant.
    pub maturing: BTreeMap<Instant, i64>,
    /// What ends next, of lots in which something is left.
    pub next_expiry: Option<Ending>,
    /// What was taken and no lot has paid for; it is in the balance.
    pub owed: i64,
    /// What should have been taken and was not there; it is not in the balance, and what comes in next
    /// pays for it.
    pub debt: i64,
}

impl Account {
    const NOTHING: Account = Account {
        balance: 0,
        maturing: BTreeMap::new(),
        next_expiry: None,
        owed: 0,
        debt: 0,
    };
}

impl Default for Account {
    fn default() -> Account {
        Account::NOTHING
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub since: Instant,
    pub until: Option<Instant>,
    /// The plugin that decided it.
    pub plugin: String,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub tier: String,
    pub since: Instant,
    pub keep_until: Option<Instant>,
    /// `None` if staff did.
    pub plugin: Option<String>,
    pub reason: String,
}

/// A sale whose points may have to be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisional {
    /// They are final then, if nobody says otherwise.
    pub until: Instant,
    /// What is left of what it earned.
    pub points: Points,
}

/// A code that a sale carried before anything was set aside for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlyCode {
    pub code: String,
    pub sale: EventName,
    pub at: Instant,
}

/// Points, or credit, set aside for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// What the customer shows for it.
    pub code: String,
    pub currency: Currency,
    /// How much, in its own unit.
    pub points: Points,
    /// The key of the reward; `None` for points at their general worth.
    pub reward: Option<String>,
    pub worth: Worth,
    /// The least total of a basket with which it is given.
    pub minimum: Money,
    /// How often the customer may have it within so many days.
    pub limit: Option<(u32, u32)>,
    /// No other redemption may be open beside it.
    pub alone: bool,
    pub reserved_at: Instant,
    pub until: Instant,
    pub awaits_approval: bool,
    pub channel: Option<Channel>,
    /// Who asked for it; a second person is somebody else.
    pub asked_by: String,
    /// For an allowance: until when a till may redeem it without being connected.
    pub offline_until: Option<Instant>,
}

/// Who referred a customer, and whom they referred.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referrals {
    pub by: Option<Referred>,
    /// Friends who joined with their code.
    pub friends: u32,
    /// The last day on which points were given for friends, as a number such as 20240229, and how often.
    pub day: (i32, u32),
    /// Points that were given for friends, less what was taken again.
    pub points: Points,
}

/// Somebody joined with a code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referred {
    /// Whose code it was.
    pub by: CustomerId,
    /// The event with which they joined.
    pub signup: EventName,
    pub at: Instant,
}

/// A basket that is open and not paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basket {
    /// The event that opened it, or changed it last.
    pub source: String,
    pub id: String,
    pub at: Instant,
    /// It was left if it is no sale by then.
    pub left_at: Instant,
    pub channel: Option<Channel>,
    pub location: Option<String>,
    pub total: Money,
}

/// One of a customer's largest sales.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Largest {
    pub total: Money,
    /// Of the sale's name, to know it again.
    pub hash: u64,
}

/// A tier that staff gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    pub until: Option<Instant>,
    pub actor: String,
    pub reason: String,
    /// Rules may raise it: it came over from another programme.
    pub may_rise: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub tallies: BTreeMap<String, Tally>,
    /// Some keys beyond the limit were not kept.
    pub truncated: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    pub state_version: u32,
    pub bytes: Vec<u8>,
}

/// What one event added to the totals: the row that a window gives back when it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub at: Instant,
    pub channel: Option<Channel>,
    pub orders: u32,
    pub spend: Money,
    pub returns: u32,
    pub returned: Money,
    pub earned: Points,
}

impl Moved {
    pub fn is_nothing(&self) -> bool {
        *self
            == Moved {
                at: self.at,
                channel: self.channel,
                ..Moved::default()
            }
    }
}

impl Fold {
    /// Why nobody knows the tier, if that is so. Where staff holds the customer, staff knows.
    pub fn tier_doubt(&self) -> Option<(&str, &str)> {
        let doubt = self.tier_doubts.iter().next();
        let doubt = doubt.filter(|_| self.placed.is_none());
        doubt.map(|(plugin, why)| (plugin.as_str(), why.as_str()))
    }

    /// The next instant at which something is due by itself.
    pub fn next_due(&self) -> Option<Instant> {
        let left_at = self.basket.iter().map(|basket| basket.left_at);
        self.next_review().into_iter().chain(left_at).min()
    }

    /// The same, but for a basket that is left: that is an event of its own, and not why rules are asked
    /// again.
    pub fn next_review(&self) -> Option<Instant> {
        let reviews = self.reviews.values().copied();
        let memberships = self.memberships.values().filter_map(|member| member.until);
        let keep = self
            .standing
            .iter()
            .filter_map(|held| held.keep_until)
            .filter(|at| *at > self.clock);
        let placed = self.placed.iter().filter_map(|placed| placed.until);
        let tags = self.tag_ends.values().copied();
        let finals = self.provisional.values().map(|sale| sale.until);
        let held = self.reservations.values().map(|held| held.until);
        let ends = |currency| self.account(currency).next_expiry.map(|next| next.at);
        reviews
            .chain(memberships)
            .chain(keep)
            .chain(placed)
            .chain(tags)
            .chain(finals)
            .chain(held)
            .chain(ends(Currency::Points))
            .chain(ends(Currency::StoreCredit))
            .min()
    }

    pub fn account(&self, currency: Currency) -> &Account {
        static NOTHING: Account = Account::NOTHING;
        match currency {
            Currency::Points => &self.points,
            Currency::StoreCredit => self.credit.as_deref().unwrap_or(&NOTHING),
        }
    }

    /// The same, to be moved: from then on the customer has one.
    pub fn account_mut(&mut self, currency: Currency) -> &mut Account {
        match currency {
            Currency::Points => &mut self.points,
            Currency::StoreCredit => self.credit.get_or_insert_default(),
        }
    }

    /// Those that the customer has.
    pub fn accounts_mut(&mut self) -> impl Iterator<Item = &mut Account> {
        std::iter::once(&mut self.points).chain(self.credit.as_deref_mut())
    }

    /// What is set aside.
    pub fn reserved(&self, currency: Currency) -> i64 {
        let held = self.reservations.values();
        let held = held.filter(|held| held.currency == currency);
        held.map(|held| held.points).sum()
    }

    /// What can be spent at this instant.
    pub fn available(&self, currency: Currency, at: Instant) -> i64 {
        let account = self.account(currency);
        let later = (std::ops::Bound::Excluded(at), std::ops::Bound::Unbounded);
        let maturing = account.maturing.range(later);
        account.balance - self.reserved(currency) - maturing.map(|(_, amount)| amount).sum::<i64>()
    }

    /// Whether an event at this position comes after everything that is in here. Anything else
    /// is a late event and starts from an earlier checkpoint.
    pub fn is_before(&self, position: &Position) -> bool {
        self.last < *position && self.clock <= position.at
    }

    /// Whether the step at this position is still to come. A review's has no name, and an event at
    /// the same instant comes after it.
    pub fn precedes(&self, step: &Position) -> bool {
        if step.source.is_empty() {
            return self.clock < step.at;
        }
        self.last < *step
    }

    /// What rules have decided and remember, apart from points: whether two folds of a customer
    /// differ in anything but the passing of time.
    pub fn decided(&self) -> impl PartialEq + use<'_> {
        (
            (&self.memberships, &self.standing, &self.next_tier),
            (&self.tags, &self.tag_ends, &self.offers),
            (&self.memory, &self.reviews, &self.facts),
        )
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let bytes = vec![FOLD_FORMAT];
        postcard::to_extend(self, bytes).expect("a fold is plain data")
    }

    /// `None` if the bytes are of another version of this program: the fold is then built again.
    pub fn from_bytes(bytes: &[u8]) -> Option<Fold> {
        let (&FOLD_FORMAT, fields) = bytes.split_first()? else {
            return None;
        };
        postcard::from_bytes(fields).ok()
    }
}

/// The length of each window of [`WINDOW_DAYS`] in milliseconds.
pub fn window_ms(window: usize) -> i64 {
    i64::from(WINDOW_DAYS[window]) * DAY_MS
}
