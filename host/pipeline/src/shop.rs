//! What the shop has decided: the rule parts of `merchant.toml`, checked.
//!
//! Reading files is the server's; this file says what the words mean and refuses what cannot be.

mod credit;
mod delivery;
mod edge;
mod fields;
mod hooks;
mod referral;
mod rewards;
mod tags;
mod tiers;

pub use credit::{CreditPolicy, Span};
pub use delivery::{Delivery, Quiet};
pub use edge::EdgePolicy;
pub use fields::{FieldKind, FieldRule};
pub use hooks::{Hook, HookFormat};
pub use referral::ReferralPolicy;
pub use rewards::{Beyond, OfflinePolicy, PointsWorth, RedemptionPolicy, Reward, RewardLimit};
pub use tags::{Registry, SetBy, TagPolicy, TagRule};
pub use tiers::{Benefit, TierCard, UNKNOWN, Words};

use crate::event::{Money, Points};
use crate::geo::Geo;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// `merchant.toml` as it is written. Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShopFile {
    /// What people call the shop.
    pub name: String,
    /// ISO 4217. It never changes once the shop has a ledger.
    pub currency: String,
    /// IANA name.
    pub time_zone: String,
    /// ISO 3166-1 alpha-2; reads local phone numbers.
    pub country: String,
    /// BCP 47; the language of customers who have told none.
    #[serde(default = "english")]
    pub language: String,
    /// From the lowest to the highest.
    #[serde(default)]
    pub tiers: Vec<String>,
    /// What customers are shown of each tier.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub tier: std::collections::BTreeMap<String, TierCard>,
    /// Plugins in the order in which they run; those not named run after them by name.
    #[serde(default)]
    pub plugins: Vec<String>,
    #[serde(default)]
    pub policies: Policies,
    #[serde(default)]
    pub caps: Caps,
    /// How points are redeemed.
    #[serde(default)]
    pub redemption: RedemptionPolicy,
    /// What customers can have for points.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rewards: Vec<Reward>,
    /// How customers bring friends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<ReferralPolicy>,
    /// How the shop gives store credit, if it wants every customer to see that there is such a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_credit: Option<CreditPolicy>,
    /// Who tells of payments and sales by a webhook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// What a copy of the shop says of itself while it stands in for the server.
    #[serde(default)]
    pub edge: EdgePolicy,
    #[serde(default)]
    pub failures: FailurePolicy,
    #[serde(default)]
    pub profile: ProfilePolicy,
    /// Kinds of the shop's own (`x.…`) that may plan follow-ups, each with a sentence on what it means.
    #[serde(default)]
    pub kinds: std::collections::BTreeMap<String, String>,
    /// Foreign currency → shop minor units for one million of its minor units.
    #[serde(default)]
    pub rates: std::collections::BTreeMap<String, i64>,
    /// `watch` takes changed files between two events; `apply` waits for the operator.
    #[serde(default)]
    pub reload: Reload,
    #[serde(default, rename = "locations")]
    pub locations: Vec<Location>,
    /// What each tag means, and who may set it.
    #[serde(default)]
    pub tags: Vec<TagRule>,
    /// Where follow-ups go when they are due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policies {
    /// Whether point formulas see the segments as they are `after` or `before` this event.
    pub points_see_segments: PointsSee,
    /// What a late event may change.
    pub late: Late,
    /// How late an event may be and still be folded in its place, in days.
    pub late_window_days: u32,
    /// What an identifier that nobody has does: `create` a customer, or count as a `guest`.
    pub unknown_customer: UnknownCustomer,
    /// How the awards of several formulas come together.
    pub awards: Combine,
    /// What happens to tags that are not registered under `[[tags]]`.
    pub tags: TagPolicy,
    /// Whether staff may take more points than a customer has.
    pub adjust_below_zero: bool,
    /// What a return does that wants more points than are left.
    pub returns: OfReturns,
    /// Kinds of tenders with which a sale's points are provisional until the payment is certain.
    pub provisional_tenders: Vec<String>,
    /// When provisional points are final if nobody says otherwise, in hours after the sale.
    pub provisional_hours: u32,
    /// Whether provisional points can be spent.
    pub spend_provisional: bool,
    /// After so many minutes without a sale an open basket was left, and `checkout.abandoned` follows; 0
    /// leaves that to whoever tells us of baskets.
    pub abandoned_after_minutes: u32,
    /// A second sale to the same customer, of the same amount, at the same place and within so many
    /// seconds is for somebody to look at; 0 looks at none.
    pub looks_twice_seconds: u32,
    /// Acts of staff that a till's key may send as well, of [`ACTS_OF_STAFF`].
    pub pos_may: Vec<String>,
    /// By what two profiles are made one without anybody being asked.
    pub auto_merge: AutoMerge,
}

/// By what two profiles are made one, where whoever sends the event has seen that what names each of them
/// is the customer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoMerge {
    /// Nothing: they are suggested to staff.
    #[default]
    Off,
    ExactEmail,
    /// Not where both have an e-mail of their own.
    ExactPhone,
}

/// Kinds of events that change what a customer holds because somebody of the shop says so.
pub const ACTS_OF_STAFF: [&str; 10] = [
    "points.adjusted",
    "points.forfeited",
    "credit.adjusted",
    "points.imported",
    "tier.overridden",
    "tags.assigned",
    "customer.merged",
    "customer.unmerged",
    "merge.declined",
    "customer.deleted",
];

impl Default for Policies {
    fn default() -> Self {
        Policies {
            points_see_segments: PointsSee::After,
            late: Late::Correct,
            late_window_days: 30,
            unknown_customer: UnknownCustomer::Create,
            awards: Combine::Add,
            tags: TagPolicy::Open,
            adjust_below_zero: false,
            returns: OfReturns::Negative,
            provisional_tenders: Vec::new(),
            provisional_hours: 24,
            spend_provisional: false,
            abandoned_after_minutes: 0,
            looks_twice_seconds: 60,
            pos_may: Vec::new(),
            auto_merge: AutoMerge::Off,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PointsSee {
    #[default]
    After,
    Before,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Late {
    /// Correct the ledger both ways.
    #[default]
    Correct,
    /// Correct only what is to the customer's advantage.
    InFavour,
    /// Change nothing in the ledger and leave an item for review.
    Report,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OfReturns {
    /// The balance falls below zero.
    #[default]
    Negative,
    /// The balance stays at zero, and the next points that are earned pay for the rest.
    Debt,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownCustomer {
    #[default]
    Create,
    Guest,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    #[default]
    Add,
    /// The plugin with the highest sum, multipliers included; the others get nothing.
    Best,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reload {
    #[default]
    Watch,
    Apply,
}

/// What happens to a plugin that fails for many customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FailurePolicy {
    /// So many different customers, of whom one with a hundred sales counts once.
    pub customers: u32,
    /// Within so many minutes.
    pub minutes: u32,
    pub then: ThenWhat,
}

impl Default for FailurePolicy {
    fn default() -> Self {
        FailurePolicy {
            customers: 10,
            minutes: 10,
            then: ThenWhat::Quarantine,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThenWhat {
    /// It is not called until it is mended or released; what it misses is made good then.
    #[default]
    Quarantine,
    /// Its version from before comes back; where there is none, it is quarantined.
    RollBack,
    /// It goes on failing.
    Nothing,
}

/// What no plugin gets past. `None` is no cap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Caps {
    pub points_per_event: Option<Points>,
    /// What rules can award to one customer within a day of the calendar where the sale was.
    pub points_per_day: Option<Points>,
    /// What can be given at one till within such a day, to all customers together.
    pub points_per_device_day: Option<Points>,
    /// What one person of the shop can give within such a day, by sales and by hand.
    pub points_per_staff_day: Option<Points>,
    /// A prompt's discount, in minor units.
    pub discount_amount: Option<Money>,
    /// A prompt's discount, in basis points.
    pub discount_share: Option<u32>,
}

/// What a profile must have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProfilePolicy {
    /// Of `given_name`, `family_name`, `email`, `phone`, `birthday`, `home_location`.
    pub required: Vec<String>,
    pub mode: ProfileMode,
    /// Fields of the shop's own.
    pub fields: Vec<FieldRule>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileMode {
    /// Accepted, and marked as incomplete.
    #[default]
    Lenient,
    /// Refused, naming the field.
    Strict,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Location {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub kind: String,
    /// The shop's, where it is not given.
    #[serde(default)]
    pub country: Option<String>,
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Where on the earth it is, so that rules may ask how far a customer has to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geo: Option<Geo>,
    /// Local dates, `2024-05-01`. A pop-up has both. Sales outside them are refused.
    #[serde(default)]
    pub opened: Option<String>,
    #[serde(default)]
    pub closed: Option<String>,
    /// What a profile that is made here must have, where that is not what [`ProfilePolicy`] says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<Vec<String>>,
}

pub const PROFILE_FIELDS: [&str; 6] = [
    "given_name",
    "family_name",
    "email",
    "phone",
    "birthday",
    "home_location",
];

/// The shop, checked and ready for the line.
#[derive(Clone, Debug)]
pub struct Shop {
    pub file: ShopFile,
    pub zone: TimeZone,
    /// Minor units in one whole unit of the currency.
    pub minor_units: u32,
    pub tags: Registry,
    places: HashMap<String, Place>,
}

/// A location, checked.
#[derive(Clone, Debug)]
pub struct Place {
    pub place: crate::rules::Place,
    pub zone: TimeZone,
    pub opened: Option<jiff::civil::Date>,
    pub closed: Option<jiff::civil::Date>,
}

/// Why a `merchant.toml` cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShopError {
    #[error("currency: {0:?} is not an ISO 4217 code in use; USD, EUR and JPY are")]
    Currency(String),
    #[error("{place}: {zone:?} is not an IANA time zone; America/New_York is")]
    TimeZone { place: String, zone: String },
    #[error("{place}: {country:?} is not an ISO 3166-1 alpha-2 country; US is")]
    Country { place: String, country: String },
    #[error("locations: the id {0:?} appears twice")]
    LocationTwice(String),
    #[error("locations: an id is empty")]
    LocationEmpty,
    #[error("location {location:?}: {date:?} is not a date; 2024-05-01 is")]
    Date { location: String, date: String },
    #[error("tiers: {0:?} appears twice")]
    TierTwice(String),
    #[error("plugins: {0:?} appears twice")]
    PluginTwice(String),
    #[error("{place}: {field:?} is not a field; they are {}", PROFILE_FIELDS.join(", "))]
    ProfileField { place: String, field: String },
    #[error("tier.{tier}: {problem}")]
    TierCard { tier: String, problem: String },
    #[error("rates: {0:?} must be an ISO 4217 code with a rate above zero")]
    Rate(String),
    #[error("kinds: {0:?} must begin with x. and have a sentence")]
    Kind(String),
    #[error("referral: {0}")]
    Referral(String),
    #[error("[edge]: {0}")]
    Edge(String),
    #[error("store_credit: {0}")]
    StoreCredit(String),
    #[error("redemption: {0}")]
    Redemption(String),
    #[error("rewards: {key:?}: {problem}")]
    Reward { key: String, problem: String },
    #[error("hooks: {name:?}: {problem}")]
    Hook { name: String, problem: String },
    #[error("delivery.{key} {problem}")]
    Delivery { key: &'static str, problem: String },
    #[error("caps.{0} must not be negative")]
    Cap(&'static str),
    #[error("failures.{0} must be at least 1; `then = \"nothing\"` lets a plugin fail for ever")]
    Failures(&'static str),
    #[error("tags: {0:?} appears twice among keys and synonyms")]
    TagTwice(String),
    #[error("tags: {0:?} is empty or has blanks around it")]
    TagSpelling(String),
    #[error("tags: {0:?} needs a sentence in `means`")]
    TagWithoutMeaning(String),
    #[error("profile.fields: {key:?}: {problem}")]
    Field { key: String, problem: String },
    #[error("profile.fields: {0:?} appears twice")]
    FieldTwice(String),
    #[error("policies.pos_may: {kind:?} is not an act of staff; they are {}", ACTS_OF_STAFF.join(", "))]
    PosMay { kind: String },
}

impl Shop {
    pub fn new(file: ShopFile) -> Result<Shop, ShopError> {
        let minor_units = minor_units_of(&file.currency)
            .ok_or_else(|| ShopError::Currency(file.currency.clone()))?;
        let zone = zone_of("time_zone", &file.time_zone)?;
        check_country("country", &file.country)?;
        let mut places = HashMap::with_capacity(file.locations.len());
        for location in &file.locations {
            let place = Place::new(location, &file, &zone)?;
            if places.insert(location.id.clone(), place).is_some() {
                return Err(ShopError::LocationTwice(location.id.clone()));
            }
        }
        if let Some(twice) = first_twice(&file.tiers) {
            return Err(ShopError::TierTwice(twice));
        }
        if let Some(twice) = first_twice(&file.plugins) {
            return Err(ShopError::PluginTwice(twice));
        }
        tiers::check(&file)?;
        credit::check(file.store_credit.as_ref(), &file.language)?;
        edge::check(&file.edge, &file.language)?;
        rewards::check(&file.redemption, &file.rewards, &file.language)?;
        file.referral
            .as_ref()
            .map_or(Ok(()), ReferralPolicy::check)?;
        hooks::check(&file.hooks)?;
        check_required("profile.required".into(), &file.profile.required)?;
        for location in &file.locations {
            let place = format!("location {:?}: required", location.id);
            check_required(place, location.required.as_deref().unwrap_or_default())?;
        }
        if let Some((code, _)) = file
            .rates
            .iter()
            .find(|(code, rate)| minor_units_of(code).is_none() || **rate <= 0)
        {
            return Err(ShopError::Rate(code.clone()));
        }
        if let Some((kind, _)) = file
            .kinds
            .iter()
            .find(|(kind, meaning)| !kind.starts_with("x.") || meaning.is_empty())
        {
            return Err(ShopError::Kind(kind.clone()));
        }
        let caps = &file.caps;
        for (key, cap) in [
            ("points_per_event", caps.points_per_event),
            ("points_per_day", caps.points_per_day),
            ("points_per_device_day", caps.points_per_device_day),
            ("points_per_staff_day", caps.points_per_staff_day),
            ("discount_amount", caps.discount_amount),
        ] {
            if cap.is_some_and(|cap| cap < 0) {
                return Err(ShopError::Cap(key));
            }
        }
        let FailurePolicy {
            customers, minutes, ..
        } = file.failures;
        for (key, number) in [("customers", customers), ("minutes", minutes)] {
            if number == 0 {
                return Err(ShopError::Failures(key));
            }
        }
        let acts = &file.policies.pos_may;
        if let Some(kind) = acts
            .iter()
            .find(|kind| !ACTS_OF_STAFF.contains(&kind.as_str()))
        {
            return Err(ShopError::PosMay { kind: kind.clone() });
        }
        for field in &file.profile.fields {
            field.check()?;
        }
        if let Some(delivery) = &file.delivery {
            delivery.check()?;
        }
        let keys: Vec<String> = file
            .profile
            .fields
            .iter()
            .map(|it| it.key.clone())
            .collect();
        if let Some(twice) = first_twice(&keys) {
            return Err(ShopError::FieldTwice(twice));
        }
        Ok(Shop {
            tags: Registry::new(&file)?,
            zone,
            minor_units,
            places,
            file,
        })
    }

    pub fn place(&self, id: &str) -> Option<&Place> {
        self.places.get(id)
    }

    /// The zone of an event's location, or the shop's.
    pub fn zone_at(&self, location: Option<&str>) -> &TimeZone {
        location
            .and_then(|id| self.places.get(id))
            .map_or(&self.zone, |place| &place.zone)
    }

    /// How high a tier ranks; higher is better. `None` for a tier that the shop does not have.
    pub fn rank(&self, tier: &str) -> Option<usize> {
        self.file.tiers.iter().position(|known| known == tier)
    }

    /// The fields that a profile needs that is made at a location, or elsewhere.
    pub fn required_at(&self, location: Option<&str>) -> &[String] {
        let mut locations = self.file.locations.iter();
        let found = location.and_then(|id| locations.find(|it| it.id == id));
        let own = found.and_then(|location| location.required.as_ref());
        own.unwrap_or(&self.file.profile.required)
    }

    /// A reward by its key.
    pub fn reward(&self, key: &str) -> Option<&Reward> {
        self.file.rewards.iter().find(|reward| reward.key == key)
    }

    /// A field that the shop has declared.
    pub fn field(&self, key: &str) -> Option<&FieldRule> {
        self.file.profile.fields.iter().find(|it| it.key == key)
    }

    /// The location that a tag only repeats: events say where they happened, so a tag for it grows
    /// old and tells a rule nothing.
    pub fn location_named(&self, tag: &str) -> Option<&str> {
        let plain = |text: &str| -> String {
            let letters = text.chars().filter(|letter| letter.is_alphanumeric());
            letters.flat_map(char::to_lowercase).collect()
        };
        let tag = plain(tag);
        let mut locations = self.file.locations.iter();
        let found = locations.find(|it| plain(&it.id) == tag || plain(&it.name) == tag);
        found.map(|location| location.id.as_str())
    }

    pub fn location_ids(&self) -> impl Iterator<Item = &str> {
        self.file
            .locations
            .iter()
            .map(|location| location.id.as_str())
    }
}

impl Place {
    fn new(location: &Location, file: &ShopFile, shop_zone: &TimeZone) -> Result<Place, ShopError> {
        if location.id.is_empty() {
            return Err(ShopError::LocationEmpty);
        }
        let name = format!("location {:?}", location.id);
        let country = location
            .country
            .clone()
            .unwrap_or_else(|| file.country.clone());
        check_country(&name, &country)?;
        let zone = match &location.time_zone {
            Some(zone) => zone_of(&name, zone)?,
            None => shop_zone.clone(),
        };
        let date = |text: &Option<String>| {
            text.as_deref()
                .map(|text| {
                    text.parse().map_err(|_| ShopError::Date {
                        location: location.id.clone(),
                        date: text.into(),
                    })
                })
                .transpose()
        };
        Ok(Place {
            place: crate::rules::Place {
                id: location.id.clone(),
                name: location.name.clone(),
                kind: location.kind.clone(),
                country,
            },
            zone,
            opened: date(&location.opened)?,
            closed: date(&location.closed)?,
        })
    }
}

fn check_required(place: String, required: &[String]) -> Result<(), ShopError> {
    let mut required = required.iter();
    match required.find(|field| !PROFILE_FIELDS.contains(&field.as_str())) {
        None => Ok(()),
        Some(field) => Err(ShopError::ProfileField {
            place,
            field: field.clone(),
        }),
    }
}

fn zone_of(place: &str, zone: &str) -> Result<TimeZone, ShopError> {
    TimeZone::get(zone).map_err(|_| ShopError::TimeZone {
        place: place.into(),
        zone: zone.into(),
    })
}

fn check_country(place: &str, country: &str) -> Result<(), ShopError> {
    // The phone-number library knows every country that has a telephone network.
    let known: Result<phonenumber::country::Id, _> = country.parse();
    match known {
        Ok(_) => Ok(()),
        Err(_) => Err(ShopError::Country {
            place: place.into(),
            country: country.into(),
        }),
    }
}

fn english() -> String {
    "en".into()
}

fn first_twice(names: &[String]) -> Option<String> {
    let mut seen = std::collections::HashSet::new();
    names.iter().find(|name| !seen.insert(*name)).cloned()
}

/// Minor units in one whole unit of a currency in use (ISO 4217, list one). `None` for others.
pub fn minor_units_of(code: &str) -> Option<u32> {
    const NONE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
    const THREE: &str = "BHD IQD JOD KWD LYD OMR TND";
    const TWO: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD \
        CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD \
        HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK \
        MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB \
        SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD \
        UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";
    let listed =
        |list: &str| code.len() == 3 && list.split_ascii_whitespace().any(|known| known == code);
    if listed(TWO) {
        Some(100)
    } else if listed(NONE) {
        Some(1)
    } else if listed(THREE) {
        Some(1_000)
    } else {
        None
    }
}
