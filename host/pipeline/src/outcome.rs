//! The answer to the till, and what is read back for as long as the journal lives.

use crate::calendar;
use crate::change::{EntryKind, RedemptionRow, RedemptionState};
use crate::currency::Currency;
use crate::event::{EventName, Instant, Money, Points, Worth};
use crate::fold::Fold;
use crate::limits;
use crate::person::{self, PersonField};
use crate::redemption;
use crate::rules::{DiscountScope, DiscountValue, Value};
use crate::shop::Shop;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What came of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub event: EventName,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<EventName>,
    /// For a duplicate order: the fields in which the second event differs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerNow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityView>,
    #[serde(default)]
    pub segments: SegmentChanges,
    #[serde(default)]
    pub points: Vec<EntryView>,
    /// How what it earns compares with what the till told the customer, where it told something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_points: Option<ToldPoints>,
    /// Entries of the customer's store credit, in minor units.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub store_credit: Vec<EntryView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierView>,
    #[serde(default, skip_serializing_if = "TagChanges::is_empty")]
    pub tags: TagChanges,
    /// Redemptions that it began, confirmed or ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redemptions: Vec<RedemptionView>,
    /// The customer's code, where they joined with this event, and what went to whoever referred them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<ReferralView>,
    #[serde(default)]
    pub follow_ups: Vec<FollowUpView>,
    #[serde(default)]
    pub prompts: Vec<PromptView>,
    #[serde(default)]
    pub receipt: Vec<String>,
    #[serde(default)]
    pub plugins: Vec<PluginView>,
    /// What somebody may want to know: "skipped: guest", a cap that bit, fields that were missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Outcome {
    /// Whether some text in here names personal data.
    pub fn names_somebody(&self) -> bool {
        let named = |text: &str| person::stands_in(text).is_some();
        self.receipt.iter().any(|line| named(line))
            || self.prompts.iter().any(|prompt| {
                named(&prompt.text) || prompt.attributes.values().any(|text| named(text))
            })
            || self.follow_ups.iter().any(|it| names_somebody(&it.data))
    }

    /// For whoever may not know what anybody is called.
    pub fn hidden(mut self) -> Outcome {
        self.fill(|field| Some(field.hidden()));
        self
    }

    /// Puts into every text for people what the customer is called, and cuts what then is longer
    /// than the machines that show it can.
    pub fn fill(&mut self, value: impl Fn(PersonField) -> Option<String>) {
        for line in &mut self.receipt {
            put(line, &value, limits::RECEIPT_CHARS_MAX);
        }
        for prompt in &mut self.prompts {
            prompt.fill(&value);
        }
        for follow_up in &mut self.follow_ups {
            fill_data(&mut follow_up.data, &value);
        }
    }
}

impl RedemptionView {
    pub fn of(row: &RedemptionRow, allowance: Option<String>) -> RedemptionView {
        RedemptionView {
            id: row.id.clone(),
            state: row.state,
            currency: row.held.currency,
            points: match row.held.currency {
                Currency::Points => row.held.points,
                Currency::StoreCredit => 0,
            },
            amount: (!row.held.currency.is_points()).then_some(row.held.points),
            used: (!row.held.currency.is_points() && row.state == RedemptionState::Confirmed)
                .then_some(row.taken),
            reward: row.held.reward.clone(),
            worth: row.held.worth.clone(),
            minimum: row.held.minimum,
            code: redemption::shown(&row.held.code),
            expires_at: Time(row.held.until),
            allowance,
        }
    }
}

impl PromptView {
    /// As [`Outcome::fill`].
    pub fn fill(&mut self, value: impl Fn(PersonField) -> Option<String>) {
        put(&mut self.text, &value, limits::PROMPT_CHARS_MAX);
        for text in self.attributes.values_mut() {
            put(text, &value, usize::MAX);
        }
    }
}

/// Whether some text of a follow-up's data names personal data.
pub fn names_somebody(data: &BTreeMap<String, Value>) -> bool {
    data.values()
        .any(|value| matches!(value, Value::Text(text) if person::stands_in(text).is_some()))
}

/// As [`Outcome::fill`], for the data of a follow-up.
pub fn fill_data(
    data: &mut BTreeMap<String, Value>,
    value: impl Fn(PersonField) -> Option<String>,
) {
    for entry in data.values_mut() {
        if let Value::Text(text) = entry {
            put(text, &value, usize::MAX);
        }
    }
}

fn put(text: &mut String, value: impl Fn(PersonField) -> Option<String>, chars_max: usize) {
    let Cow::Owned(mut filled) = person::fill(text, value) else {
        return;
    };
    if filled.chars().count() > chars_max {
        let kept = filled.char_indices().nth(chars_max - 1);
        filled.truncate(kept.map_or(0, |(end, _)| end));
        filled.push('…');
    }
    *text = filled;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    #[default]
    Applied,
    Duplicate,
    Guest,
    Parked,
}

/// A figure that a till worked out by itself, and the one that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldPoints {
    pub told: Points,
    pub earned: Points,
    /// Above zero, the customer has more than they were told.
    pub difference: i64,
}

impl ToldPoints {
    pub fn of(told: Points, earned: Points) -> ToldPoints {
        ToldPoints {
            told,
            earned,
            difference: earned - told,
        }
    }

    /// For whoever looks at the event, if the two differ.
    pub fn note(self) -> Option<String> {
        let ToldPoints { told, earned, .. } = self;
        (told != earned)
            .then(|| format!("the till told the customer {told} points, and it earned {earned}"))
    }
}

/// How the event found its customer: identity's own log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityView {
    pub found: Found,
    /// What decided: `id`, `token`, `email`, `phone`, `card` or `external`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Kinds of identifiers that nobody had, and that name this customer from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<String>,
    /// Other customers whom the event names as well: somebody should look whether they are one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    Known,
    New,
    Nobody,
}

/// The customer after the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerNow {
    pub id: String,
    pub tier: Option<String>,
    pub balance: Points,
    pub available: Points,
    /// Absent where they never had any and the shop does not speak of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_credit: Option<CreditNow>,
    pub segments: Vec<String>,
}

/// Money that the shop owes a customer, and with which they pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditNow {
    /// The sum of the ledger, in minor units.
    pub amount: Money,
    /// The shop's.
    pub currency: String,
    /// What can be spent now.
    pub available: Money,
    /// When the next part of it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_expiry: Option<Time>,
}

impl CreditNow {
    pub fn of(fold: &Fold, shop: &Shop, at: Instant) -> Option<CreditNow> {
        let is_shown = fold.credit.is_some() || shop.file.store_credit.is_some();
        let account = fold.account(Currency::StoreCredit);
        is_shown.then(|| CreditNow {
            amount: account.balance,
            currency: shop.file.currency.clone(),
            available: fold.available(Currency::StoreCredit, at),
            next_expiry: account.next_expiry.map(|next| Time(next.at)),
        })
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentChanges {
    pub entered: Vec<String>,
    pub left: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagChanges {
    pub set: Vec<String>,
    pub cleared: Vec<String>,
}

impl TagChanges {
    fn is_empty(&self) -> bool {
        self.set.is_empty() && self.cleared.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryView {
    /// The entry's number in the ledger; 0 in a preview, which has none.
    pub entry: i64,
    pub amount: Points,
    pub kind: EntryKind,
    pub state: EntryState,
    pub balance_after: Points,
    pub reason: String,
    /// The plugin that decided it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Who of the shop's people did it, where no plugin decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryState {
    Final,
    /// Not available before a later instant.
    Pending,
    /// The payment is not certain yet.
    Provisional,
}

/// What an event has to do with referral.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralView {
    /// The code with which the customer brings friends, and the link that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// `ref_…`: the same in the event of whoever referred the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What whoever referred them was given; below zero, what they have to give back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer_points: Option<Points>,
}

/// A redemption after the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedemptionView {
    pub id: String,
    pub state: RedemptionState,
    #[serde(default, skip_serializing_if = "Currency::is_points")]
    pub currency: Currency,
    /// 0 for store credit.
    pub points: Points,
    /// Store credit that is set aside, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// What the sale's tender took of it; the rest is free again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<String>,
    pub worth: Worth,
    /// The least total of a basket with which it is given.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub minimum: Money,
    /// What the customer shows for it.
    pub code: String,
    /// The points are free again then, if nobody says anything before.
    pub expires_at: Time,
    /// What a till carries that may redeem them while it is not connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowance: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierView {
    pub from: Option<String>,
    pub to: Option<String>,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUpView {
    pub channel: String,
    pub template: String,
    pub send_at: Time,
    /// `planned`, `suppressed`, `cancelled` or `known` (its dedupe key was used before).
    pub state: String,
    pub reason: String,
    pub plugin: String,
    pub data: BTreeMap<String, Value>,
    pub dedupe_key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<DiscountView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptView {
    pub kind: String,
    pub text: String,
    pub plugin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<DiscountView>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscountView {
    pub key: String,
    pub scope: DiscountScope,
    pub value: DiscountValue,
    /// What it takes off the basket that is open, in minor units; a share is rounded half up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comes_to: Option<Money>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub minimum: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Time>,
    pub reason: String,
}

/// One call, for people and for agencies that watch their plugins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginView {
    pub name: String,
    pub version: String,
    pub digest: String,
    pub role: String,
    /// `ok`, or the class of the failure.
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub fuel: u64,
    pub micros: u64,
    /// What it ran in, where that was not an instance of its own: `kept`, `compared` where a kept one
    /// and a fresh one answered alike, `differed` where they did not and the fresh one counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// An instant that is written as RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Instant);

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&calendar::text(self.0))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        calendar::parse(&text)
            .map(Time)
            .map_err(serde::de::Error::custom)
    }
}

fn is_zero(amount: &Money) -> bool {
    *amount == 0
}
