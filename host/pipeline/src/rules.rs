//! The door to the plugins: what a call is given and what it may answer, in our own types.
//!
//! The runtime implements [`Rules`] and translates to and from the contract in `wit/`; this file
//! mirrors that contract and is explained there. Everything here is plain data that encodes to
//! bytes, because the input of each call is recorded and can be run again.

use crate::calendar::{self, LocalTime};
use crate::event::{Channel, Consent, Event, Instant, Money, Points, ReturnedLine, Sale};
use crate::fold::Basket;
use crate::person::PersonField;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The rule book that is live: plugins in their declared order.
pub trait Rules: Send + Sync {
    fn plugins(&self) -> &[Plugin];
    /// Each calls the plugin at that index of [`Rules::plugins`]; it has the role.
    fn segment_rule(&self, plugin: usize, event: &Arc<Event>, input: &Input)
    -> Call<SegmentAnswer>;
    fn point_formula(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<PointAnswer>;
    fn tier_rule(&self, plugin: usize, event: &Arc<Event>, input: &Input) -> Call<TierAnswer>;
    fn follow_up_trigger(
        &self,
        plugin: usize,
        event: &Arc<Event>,
        input: &Input,
    ) -> Call<FollowUpAnswer>;
}

/// What the line needs to know of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    pub name: String,
    pub version: String,
    /// `sha256:…` of the component.
    pub digest: String,
    /// `sha256:…` of the canonical configuration.
    pub configuration: String,
    pub roles: Vec<Role>,
    /// The kinds it is called for; `*` is every kind.
    pub events: Vec<String>,
    pub facts: Vec<String>,
    /// Personal data that its texts may name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub personal: Vec<PersonField>,
    pub state_version: u32,
    /// Segment keys, tier keys and tags that it may decide, each with its sentence.
    pub segments: Vec<(String, String)>,
    pub tiers: Vec<(String, String)>,
    pub tags: Vec<(String, String)>,
    /// The key of its configuration under which its campaigns stand, if it has some to tell of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaigns: Option<String>,
    /// Whom its messages are for. `None` in rule books from before plugins had to say so, which is
    /// everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_to: Option<MessagesTo>,
    /// What one call may use, by the names of the manifest's `[limits]`: the same call fails the
    /// same only within the same limits. Empty in rule books from before they were kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, u64>,
    /// It failed for too many customers and is not called; why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// What its calls run in.
    #[serde(default, skip_serializing_if = "Isolation::is_fresh")]
    pub isolation: Isolation,
}

/// What the calls of a plugin run in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Each in an instance of its own.
    #[default]
    Fresh,
    /// In instances that are kept. Some of the calls are decided again in a fresh one, and compared.
    VerifiedReuse,
    /// It was to have kept instances, and one of them answered otherwise than a fresh one: in words,
    /// when. Each of its calls has a fresh one.
    FoundOut(String),
}

impl Isolation {
    fn is_fresh(&self) -> bool {
        *self == Isolation::Fresh
    }

    /// As an operator writes it, for whoever looks.
    pub fn name(&self) -> &'static str {
        match self {
            Isolation::Fresh => "fresh",
            Isolation::VerifiedReuse => "verified-reuse",
            Isolation::FoundOut(_) => "found-out",
        }
    }

    /// When a kept instance answered otherwise than a fresh one.
    pub fn found_out(&self) -> Option<&str> {
        match self {
            Isolation::FoundOut(when) => Some(when),
            Isolation::Fresh | Isolation::VerifiedReuse => None,
        }
    }
}

impl Plugin {
    pub fn wants(&self, role: Role, kind: &str) -> bool {
        self.roles.contains(&role)
            && self
                .events
                .iter()
                .any(|wanted| wanted == kind || wanted == "*")
    }

    /// Whether it decides as another one does: the same code with the same configuration.
    pub fn is_same_as(&self, other: &Plugin) -> bool {
        self.name == other.name
            && self.version == other.version
            && self.digest == other.digest
            && self.configuration == other.configuration
    }

    /// Whether nothing about it is different, apart from being called at all, and in what.
    pub fn is_just_like(&self, other: &Plugin) -> bool {
        let called_alike = Plugin {
            quarantine: other.quarantine.clone(),
            isolation: other.isolation.clone(),
            ..self.clone()
        };
        called_alike == *other
    }

    pub fn owns_segment(&self, key: &str) -> bool {
        self.segments.iter().any(|(owned, _)| owned == key)
    }

    pub fn owns_tier(&self, key: &str) -> bool {
        self.tiers.iter().any(|(owned, _)| owned == key)
    }

    pub fn owns_tag(&self, tag: &str) -> bool {
        self.tags.iter().any(|(owned, _)| owned == tag)
    }
}

/// Whom the messages of a plugin are for. Nobody is written to because somebody forgot to say whom
/// a rule is for: it names segments, or says in so many words that it is for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessagesTo {
    Everybody,
    /// Each rule of its configuration says for itself whom it is for, and the plugin refuses one that
    /// does not.
    AsConfigured,
    /// Whoever is in one of these after the event; the host holds it to them. None at all sends no
    /// messages.
    Segments(Vec<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    SegmentRule,
    PointFormula,
    TierRule,
    FollowUpTrigger,
}

impl Role {
    pub const ALL: [Role; 4] = [
        Role::SegmentRule,
        Role::PointFormula,
        Role::TierRule,
        Role::FollowUpTrigger,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Role::SegmentRule => "segment-rule",
            Role::PointFormula => "point-formula",
            Role::TierRule => "tier-rule",
            Role::FollowUpTrigger => "follow-up-trigger",
        }
    }
}

/// What one call is given beside the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Why the host asks again, for a review; empty otherwise.
    pub review: Vec<ReviewCause>,
    pub local: LocalTime,
    pub place: Option<Place>,
    pub customer: Customer,
    pub totals: Totals,
    pub facts: Vec<Fact>,
    pub facts_truncated: bool,
    pub state: Option<Vec<u8>>,
    pub so_far: SoFar,
    /// What comes back, for a return. It is encoded after everything else, so that inputs which were
    /// recorded before there were returns can still be read.
    #[serde(skip)]
    pub returned: Option<Box<Returned>>,
    /// Who referred the customer, and how many they referred themselves; `None` for most. It is encoded
    /// like what comes back.
    #[serde(skip)]
    pub referral: Option<Referral>,
    /// Points that end next, for follow-ups. It is encoded like what comes back.
    #[serde(skip)]
    pub ending: Option<Ending>,
}

/// Points that can be used for the last time on the same day of the shop's calendar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    pub points: Points,
    pub last_day: Date,
    /// When that day is over.
    pub day_ends: Instant,
}

/// Who referred a customer, and how many they referred themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    /// Our own id, and since when.
    pub by: Option<(String, Instant)>,
    pub friends: u32,
}

/// What stands behind an encoded input that has more than a return.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Behind {
    referral: Option<Referral>,
    returned: Option<Box<Returned>>,
    ending: Option<Ending>,
}

#[derive(Serialize)]
struct BehindRef<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    referral: &'a Option<Referral>,
    #[serde(skip_serializing_if = "Option::is_none")]
    returned: &'a Option<Box<Returned>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ending: &'a Option<Ending>,
}

impl Input {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = postcard::to_stdvec(self).expect("an input is plain data");
        // A sale leaves out what it does not have, which postcard could not read.
        let written = match self {
            Input {
                referral: None,
                ending: None,
                returned,
                ..
            } => match returned {
                None => Ok(()),
                Some(returned) => serde_json::to_writer(&mut bytes, returned),
            },
            Input {
                referral,
                returned,
                ending,
                ..
            } => {
                let behind = BehindRef {
                    referral,
                    returned,
                    ending,
                };
                serde_json::to_writer(&mut bytes, &behind)
            }
        };
        written.expect("what stands behind an input is plain data");
        bytes
    }

    /// `None` if the bytes are no input.
    pub fn decode(bytes: &[u8]) -> Option<Input> {
        let (mut input, rest) = postcard::take_from_bytes::<Input>(bytes).ok()?;
        if let Ok(behind) = serde_json::from_slice::<Behind>(rest) {
            (input.referral, input.returned) = (behind.referral, behind.returned);
            input.ending = behind.ending;
        } else if !rest.is_empty() {
            input.returned = Some(serde_json::from_slice(rest).ok()?);
        }
        Some(input)
    }

    /// Whether two encoded inputs ask the same, sums of points aside.
    pub fn ask_alike(one: &[u8], other: &[u8]) -> bool {
        let question = |bytes| Input::decode(bytes).map(Input::without_points);
        question(one).is_some_and(|asked| question(other) == Some(asked))
    }

    fn without_points(mut self) -> Input {
        let customer = &mut self.customer;
        (customer.balance, customer.available, customer.earned) = (0, 0, 0);
        self.so_far.balance_after = 0;
        let totals = &mut self.totals;
        let windows = totals.channels.iter_mut().chain(&mut totals.windows);
        let calendar = [
            &mut totals.lifetime,
            &mut totals.this_month,
            &mut totals.this_year,
            &mut totals.last_year,
        ];
        for tally in windows.chain(calendar) {
            tally.earned = 0;
        }
        self
    }
}

/// Why the host asks again, as far as it concerns the plugin that is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReviewCause {
    Asked,
    AskedByOther,
    MembershipUntil(String),
    TierKeepUntil(String),
    RulesChanged,
    PointsExpired(Points),
    /// Nobody has paid for it: what is asked about is no review, but `checkout.abandoned`.
    BasketLeft(Basket),
}

impl ReviewCause {
    /// The event of a step that has no place in the journal.
    pub fn event(causes: &[ReviewCause], at: Instant) -> Event {
        let left = causes.iter().find_map(|cause| match cause {
            ReviewCause::BasketLeft(basket) => Some(Event::basket_left(at, basket)),
            _ => None,
        });
        left.unwrap_or_else(|| Event::review(at))
    }
}

/// What a return brings back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    pub original: OriginalSale,
    /// Given back to the customer.
    pub amount: Money,
    pub lines: Vec<ReturnedLine>,
}

/// The sale that a return takes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OriginalSale {
    pub source: String,
    pub id: String,
    pub at: Instant,
    pub local: LocalTime,
    pub channel: Option<Channel>,
    pub place: Option<Place>,
    pub sale: Sale,
    /// What earlier returns took back of it.
    pub returned: Vec<ReturnedLine>,
    pub returned_amount: Money,
    /// What the plugin that is asked awarded for it.
    pub awards: Vec<PastAward>,
    /// What that plugin keeps with it.
    pub kept: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAward {
    pub kind: AwardKind,
    pub amount: Points,
    /// What earlier returns took of it.
    pub reversed: Points,
    pub covers: Coverage,
    pub reason: String,
}

/// A later instant, as a rule would say it; [`crate::calendar::resolve`] works it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    At(Instant),
    Hours(u32),
    Days(u32),
    Months(u32),
    EndOfMonth(u32),
    EndOfYear(u32),
}

/// Which lines something is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coverage {
    #[default]
    Whole,
    Lines(Vec<u32>),
}

impl Coverage {
    pub fn has(&self, line: u32) -> bool {
        match self {
            Coverage::Whole => true,
            Coverage::Lines(lines) => lines.contains(&line),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub id: String,
    pub name: String,
    pub kind: String,
    pub country: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    pub id: String,
    pub created_at: Instant,
    pub enrolled_at: Option<Instant>,
    pub origin: String,
    pub tags: Vec<String>,
    pub segments: Vec<Membership>,
    pub tier: Option<Standing>,
    pub balance: Points,
    pub available: Points,
    pub earned: Points,
    pub consents: Vec<Consent>,
    pub language: Option<String>,
    pub birthday: Option<Birthday>,
    pub home_location: Option<String>,
    /// What the shop's own fields say that is not personal.
    pub attributes: Vec<(String, String)>,
    pub offers: Vec<HeldOffer>,
    /// What is known about the person, of what this plugin was granted.
    pub known: Vec<PersonField>,
}

/// A discount that was offered to the customer before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldOffer {
    pub key: String,
    pub code: Option<String>,
    pub offered_at: Instant,
    pub valid_until: Option<Instant>,
    pub used_at: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    pub segment: String,
    pub since: Instant,
    pub until: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub tier: String,
    pub since: Instant,
    pub keep_until: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Birthday {
    pub month: u8,
    pub day: u8,
    pub next: Instant,
    pub today: bool,
    pub known_since: Instant,
}

/// What a customer did within some window or channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub orders: u32,
    pub spend: Money,
    pub returns: u32,
    pub returned: Money,
    pub earned: Points,
    pub first_at: Option<Instant>,
    pub last_at: Option<Instant>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub lifetime: Tally,
    /// In the order of [`Channel::ALL`].
    pub channels: [Tally; 4],
    /// In the order of [`WINDOW_DAYS`].
    pub windows: [Tally; 4],
    /// On the shop's calendar.
    pub this_month: Tally,
    pub this_year: Tally,
    pub last_year: Tally,
    pub largest_sale: Money,
    pub previous_sale_at: Option<Instant>,
}

/// The exact sliding windows that the host keeps, in days of 24 hours.
pub const WINDOW_DAYS: [u32; 4] = [7, 30, 90, 365];

impl Totals {
    pub fn channel(&self, channel: Channel) -> &Tally {
        &self.channels[channel as usize]
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    pub scope: String,
    pub key: String,
    pub days: Option<u32>,
    pub tally: Tally,
}

/// What this event has decided before this call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoFar {
    pub segments_entered: Vec<String>,
    pub segments_left: Vec<String>,
    pub tags_set: Vec<String>,
    pub tags_cleared: Vec<String>,
    pub awards: Vec<Earned>,
    pub points: Points,
    pub balance_after: Points,
    pub tier: Option<TierChange>,
    pub next_tier: Option<NextTier>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earned {
    pub plugin: String,
    pub kind: AwardKind,
    pub amount: Points,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierChange {
    pub from: Option<String>,
    /// `None` when the tier is taken away.
    pub to: Option<String>,
    pub upgrade: bool,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextTier {
    pub tier: String,
    pub missing: i64,
    pub unit: ProgressUnit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgressUnit {
    Spend,
    Points,
    Orders,
}

/// What a call came to: an answer, a refusal of the rule, or a failure of the plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call<A> {
    pub result: Result<A, Failure>,
    pub usage: Usage,
}

/// What a call used, and the most that it was allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub fuel: u64,
    pub fuel_limit: u64,
    pub memory_bytes: u64,
    /// Wall time; it is told to people and never decides anything.
    pub micros: u64,
    /// What it ran in. It is kept beside what is encoded here, which was there before it.
    #[serde(skip)]
    pub instance: Instance,
}

/// What a call ran in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instance {
    /// An instance of its own.
    #[default]
    Fresh,
    /// One that had answered others before.
    Kept,
    /// Both, and they answered alike. What it used is what the fresh one did.
    Compared,
    /// Both, and the fresh one answered otherwise, which is what counts.
    Differed,
}

impl Instance {
    pub const ALL: [Instance; 4] = [
        Instance::Fresh,
        Instance::Kept,
        Instance::Compared,
        Instance::Differed,
    ];

    /// For answers and people; `None` for what needs no word.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Instance::Fresh => None,
            Instance::Kept => Some("kept"),
            Instance::Compared => Some("compared"),
            Instance::Differed => Some("differed"),
        }
    }
}

/// Why a call has no answer. Every class but `rejected` counts against the plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    #[error("rejected: {reason}")]
    Rejected { reason: String },
    #[error("fault in the plugin: {message}")]
    Fault { message: String, trace: String },
    #[error("trapped: {message}")]
    Trap { message: String },
    #[error("used more than {limit} fuel")]
    Fuel { limit: u64 },
    #[error("ran longer than {limit_ms} ms")]
    Deadline { limit_ms: u64 },
    #[error("wanted more than {limit_bytes} bytes of memory")]
    Memory { limit_bytes: u64 },
    #[error("overflowed its stack")]
    Stack,
    #[error("answer refused: {problem}")]
    Answer { problem: String },
    #[error("could not be called: {message}")]
    Unavailable { message: String },
    #[error("quarantined: it is called again when it was mended, or released")]
    Quarantined,
}

impl Failure {
    /// The stable name of the class, for answers, metrics and people who search.
    pub fn class(&self) -> &'static str {
        match self {
            Failure::Rejected { .. } => "rejected",
            Failure::Fault { .. } => "fault",
            Failure::Trap { .. } => "trap",
            Failure::Fuel { .. } => "fuel",
            Failure::Deadline { .. } => "deadline",
            Failure::Memory { .. } => "memory",
            Failure::Stack => "stack",
            Failure::Answer { .. } => "answer",
            Failure::Unavailable { .. } => "unavailable",
            Failure::Quarantined => "quarantined",
        }
    }

    /// Whether an answer was missed: a refold asks again. What a rule refuses, it has answered.
    pub fn counts(&self) -> bool {
        !matches!(self, Failure::Rejected { .. })
    }
}

/// What a plugin remembers about this customer from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Memory {
    #[default]
    Keep,
    Replace(Vec<u8>),
    Forget,
}

/// What every answer carries beside its decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    pub memory: Memory,
    pub next_review: NextReview,
    /// Given back to the plugin if this sale is returned.
    pub keep_with_event: Option<Vec<u8>>,
    pub note: Option<String>,
}

/// When the plugin wants to be asked again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NextReview {
    #[default]
    Keep,
    At(Instant),
    Never,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentAnswer {
    pub memberships: Vec<MembershipChange>,
    pub tags: Vec<TagSetting>,
    pub after: After,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipChange {
    pub segment: String,
    pub member: bool,
    pub reason: String,
    pub until: Option<Moment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagSetting {
    pub tag: String,
    pub set: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointAnswer {
    pub awards: Vec<Award>,
    pub after: After,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Award {
    pub amount: Amount,
    pub to: Recipient,
    pub covers: Coverage,
    pub reason: String,
    pub available_from: Option<Moment>,
    pub expires_at: Option<Moment>,
    pub on_return: OnReturn,
    pub attributes: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Amount {
    Base(Points),
    Bonus(Points),
    /// Basis points of the base awards for the same lines.
    BonusShare(u32),
}

impl Amount {
    pub fn kind(self) -> AwardKind {
        match self {
            Amount::Base(_) => AwardKind::Base,
            Amount::Bonus(_) | Amount::BonusShare(_) => AwardKind::Bonus,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AwardKind {
    Base,
    Bonus,
}

impl AwardKind {
    pub fn name(self) -> &'static str {
        match self {
            AwardKind::Base => "base",
            AwardKind::Bonus => "bonus",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recipient {
    Customer,
    Referrer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnReturn {
    Proportional,
    WholeBelow(Money),
    Keep,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierAnswer {
    pub placement: Option<Placement>,
    pub next: Option<NextTier>,
    pub after: After,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    pub tier: Option<String>,
    pub reason: String,
    pub keep_until: Option<Moment>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUpAnswer {
    pub follow_ups: Vec<FollowUp>,
    pub prompts: Vec<Prompt>,
    pub receipt: Vec<String>,
    pub after: After,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    pub channel: String,
    pub template: String,
    pub purpose: Purpose,
    pub send_at: Option<Moment>,
    pub expires_at: Option<Moment>,
    pub data: Vec<(String, Value)>,
    pub dedupe_key: String,
    pub cancelled_by: Vec<String>,
    pub offer: Option<DiscountOffer>,
    pub reason: String,
    pub attributes: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    Marketing,
    Service,
}

/// What a template is filled with; whoever writes it knows the language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    Text(String),
    Number(i64),
    Points(Points),
    Money(Money),
    /// An instant: in JSON as all others, in RFC 3339.
    #[serde(with = "calendar::readable")]
    At(Instant),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    pub kind: String,
    pub text: String,
    pub discount: Option<DiscountOffer>,
    pub attributes: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscountOffer {
    pub key: String,
    pub scope: DiscountScope,
    pub value: DiscountValue,
    pub minimum: Money,
    pub code: OfferCode,
    pub valid_from: Option<Moment>,
    pub valid_until: Option<Moment>,
    pub reason: String,
    pub attributes: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiscountScope {
    Basket,
    Lines(Vec<u32>),
    Gift(Goods),
    NextPurchase,
    NextGoods(Goods),
}

/// Any of these, so many thousandths of a unit of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goods {
    pub skus: Vec<String>,
    pub categories: Vec<String>,
    pub collections: Vec<String>,
    pub quantity: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OfferCode {
    NoCode,
    Shared(String),
    /// The host makes one that nobody can guess, with this in front.
    Unique(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiscountValue {
    Amount(Money),
    Share(u32),
}
