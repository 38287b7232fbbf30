//! A customer as callers see them.

use super::merges::is_now;
use super::problem::{Problem, not_found};
use super::schema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::currency::Currency;
use stampcard_pipeline::event::{
    Channel, Consent, Identifier, IdentifierKind, Instant, Money, MonthDay, Points,
};
use stampcard_pipeline::facts::TAX_EXEMPT;
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::outcome::{CreditNow, Time};
use stampcard_pipeline::rules::ProgressUnit;
use stampcard_pipeline::shop::Shop;
use stampcard_store::Reads;
use stampcard_store::reads::{CustomerRecord, Person};
use utoipa::ToSchema;

/// Points that end next: all that can be used for the last time on the same day of the shop's calendar.
#[derive(Debug, Serialize, ToSchema)]
pub struct PointsEnding {
    pub points: Points,
    #[schema(example = "2026-12-31")]
    pub last_day: String,
    /// When the first of them do.
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
}

impl PointsEnding {
    pub fn of(head: &Fold, shop: &Shop) -> Option<PointsEnding> {
        let next = head.account(Currency::Points).next_expiry?;
        Some(PointsEnding {
            points: next.amount,
            last_day: calendar::last_day(next.at, &shop.zone).to_string(),
            at: Time(next.at),
        })
    }
}

/// A customer: who they are, what they hold and where they belong.
#[derive(Debug, Serialize, ToSchema)]
pub struct Customer {
    #[schema(example = "cus_0r6h3m9c1w8k2f7d5t4b9n1q")]
    pub id: String,
    /// E-mail, phone, card and accounts elsewhere, in their normal form.
    pub identities: Vec<Identity>,
    /// What they went by before: an old address still names them, an old card does not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<Identity>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    /// In one line: the default of `addresses`, where there are any.
    pub address: Option<String>,
    pub addresses: Vec<Address>,
    /// Why the customer pays no tax; null for those who do.
    pub tax_exempt: Option<TaxExempt>,
    /// `1990-02-28`, or `02-28` where the year is not known.
    #[schema(example = "02-28")]
    pub birthday: Option<String>,
    /// BCP 47.
    pub language: Option<String>,
    /// The location that the customer calls theirs.
    pub home_location: Option<String>,
    /// The fields that this shop has declared, each in its type.
    #[schema(value_type = Object)]
    pub fields: Map<String, Value>,
    pub tier: Option<String>,
    /// Since when and why the tier is held, and what the next one wants.
    pub standing: Standing,
    pub balance: Points,
    /// What can be spent now.
    pub available: Points,
    /// Points that end next; absent where none do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_expiry: Option<PointsEnding>,
    /// Points that are set aside for redemptions; they are in the balance.
    pub reserved: Points,
    /// Points of sales whose payment is not certain yet; they are in the balance.
    pub provisional: Points,
    /// Points that a return should have taken and that were not there: the next that are earned pay
    /// for them. They are not in the balance.
    pub debt: Points,
    /// All points ever earned, less what was taken back.
    pub earned: Points,
    /// Money that the shop owes the customer; absent for those who never had any, unless the shop has
    /// `[store_credit]` in merchant.toml.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::StoreCredit>)]
    pub store_credit: Option<CreditNow>,
    pub segments: Vec<String>,
    pub tags: Vec<String>,
    /// Sales so far, and what they came to in minor units of the shop's currency.
    pub orders: u32,
    pub spend: Money,
    #[schema(example = "USD")]
    pub currency: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_order_at: Option<Time>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_order_at: Option<Time>,
    /// The last thing that happened, of whatever kind; the first is at `created_at`.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_event_at: Option<Time>,
    /// The channels in which the customer has bought.
    #[schema(value_type = Vec<String>)]
    pub channels: Vec<&'static str>,
    /// The locations at which they have, the last visited first. They are looked up for one customer
    /// only, and are absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locations: Option<Vec<String>>,
    /// Where the customer stands with the shop (`new`, `active`, `lapsed` …), if a rule says so: the
    /// segment whose key begins with `lifecycle-`.
    #[schema(example = "active")]
    pub lifecycle: Option<String>,
    pub consents: Vec<ConsentView>,
    /// Channels through which the customer wants no marketing, whatever they agreed to.
    pub unwanted: Vec<String>,
    /// Whether the profile has every field that this shop wants, and which it lacks.
    pub complete: bool,
    pub missing: Vec<String>,
    /// Where the customer came from: `pos`, `online`, `manual` or `import`.
    pub origin: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    /// When they joined the programme, if they did.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub enrolled_at: Option<Time>,
    /// When the person was forgotten because they wanted it. What is left is for the books.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Time>,
    /// Rises with every change; the ETag of this customer.
    pub revision: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Identity {
    /// `email`, `phone`, `card` or `external`.
    pub kind: &'static str,
    #[schema(example = "+12125550100")]
    pub value: String,
}

/// One postal address.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Address {
    /// What the customer calls it.
    #[schema(example = "home")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    pub line1: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    pub city: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[schema(example = "US")]
    pub country: String,
    /// Where on the earth it is, if whoever wrote it down knew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geo: Option<Geo>,
    /// Where to send things if nothing else is said; one of them is.
    pub default: bool,
}

/// A place on the earth, in degrees.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Geo {
    #[schema(example = 40.7233)]
    pub lat: f64,
    #[schema(example = -74.003)]
    pub lon: f64,
}

/// The customer pays no tax.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaxExempt {
    pub reason: Option<String>,
}

/// A customer's place among the tiers.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Standing {
    #[schema(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// The tier is kept until then, whatever happens.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub keep_until: Option<Time>,
    pub reason: Option<String>,
    pub next: Option<NextTier>,
    /// Who of the shop's people holds the customer in this tier, whatever the rules say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct NextTier {
    pub tier: String,
    /// What is missing, in `unit`; money in minor units.
    pub missing: i64,
    /// `spend`, `points` or `orders`.
    #[schema(value_type = String)]
    pub unit: ProgressUnit,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ConsentView {
    /// `email`, `sms`, `push`, `post`, `phone`, `profiling` or `tracking`.
    pub purpose: String,
    pub granted: bool,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
}

/// The record of one customer, or a 404; of one who was merged, who they are now.
pub fn record(reads: &Reads, id: &CustomerId) -> Result<CustomerRecord, Problem> {
    let detail = "there is no customer with this id; GET /v1/customers?email=… finds customers by what they go by";
    let found = reads
        .customer(id)?
        .ok_or_else(|| not_found("no-such-customer", detail))?;
    match &found.merged_into {
        None => Ok(found),
        Some(into) => Err(is_now(into)),
    }
}

/// The whole of one customer.
pub fn view(
    record: CustomerRecord,
    reads: &Reads,
    shop: &Shop,
    now: Instant,
) -> Result<Customer, Problem> {
    let person = reads.person(&record.id)?;
    let missing = missing(&person, &record.head, shop);
    let CustomerRecord {
        id,
        revision,
        balance,
        head,
        ..
    } = record;
    let field = |name: &str| person.fields.get(name).cloned();
    let lifetime = head.totals.lifetime;
    Ok(Customer {
        id: id.0,
        given_name: field("given_name"),
        family_name: field("family_name"),
        address: field("address"),
        addresses: addresses(&person),
        tax_exempt: head.attributes.contains_key(TAX_EXEMPT).then(|| TaxExempt {
            reason: field("tax_exempt_reason"),
        }),
        birthday: head.birthday.map(|day| birthday(day, field("birth_year"))),
        identities: person.identifiers.iter().cloned().map(identity).collect(),
        retired: person.retired.iter().cloned().map(identity).collect(),
        tier: head.standing.as_ref().map(|held| held.tier.clone()),
        standing: standing(&head),
        balance,
        available: head.available(Currency::Points, now),
        next_expiry: PointsEnding::of(&head, shop),
        reserved: head.reserved(Currency::Points),
        provisional: head.provisional.values().map(|sale| sale.points).sum(),
        debt: head.points.debt,
        earned: head.earned,
        store_credit: CreditNow::of(&head, shop, now),
        segments: head.memberships.keys().cloned().collect(),
        tags: head.tags.iter().cloned().collect(),
        orders: lifetime.orders,
        spend: lifetime.spend,
        currency: shop.file.currency.clone(),
        first_order_at: lifetime.first_at.map(Time),
        last_order_at: lifetime.last_at.map(Time),
        last_event_at: (head.events > 0).then_some(Time(head.last.at)),
        channels: channels(&head),
        locations: None,
        lifecycle: lifecycle(&head),
        unwanted: head.unwanted.iter().cloned().collect(),
        consents: consents(&head),
        complete: missing.is_empty(),
        missing,
        created_at: Time(head.created_at),
        enrolled_at: head.enrolled_at.map(Time),
        erased_at: head.erased_at.map(Time),
        fields: own_fields(&head, Some(&person), shop),
        language: head.language,
        home_location: head.home_location,
        origin: head.origin,
        revision,
    })
}

/// What is known of the shop's own fields; those that are personal only with the person.
pub fn own_fields(head: &Fold, person: Option<&Person>, shop: &Shop) -> Map<String, Value> {
    let declared = shop.file.profile.fields.iter();
    let known = declared.filter_map(|field| {
        let kept = match (field.personal, person) {
            (false, _) => head.attributes.get(&field.key),
            (true, Some(person)) => person.fields.get(&format!("fields/{}", field.key)),
            (true, None) => None,
        };
        Some((field.key.clone(), field.shown(kept?)))
    });
    known.collect()
}

/// The kind of segment of which a customer has one at most: where they stand with the shop.
const LIFECYCLE: &str = "lifecycle-";

/// Where the customer stands with the shop, if a rule says so; the latest word, if there are several.
pub fn lifecycle(head: &Fold) -> Option<String> {
    let stages = head.memberships.iter();
    let stages =
        stages.filter_map(|(key, member)| Some((member.since, key.strip_prefix(LIFECYCLE)?)));
    stages.max().map(|(_, stage)| stage.to_owned())
}

fn channels(head: &Fold) -> Vec<&'static str> {
    let bought = |channel: &Channel| head.totals.channels[*channel as usize].orders > 0;
    let channels = Channel::ALL.into_iter().filter(bought);
    channels.map(Channel::name).collect()
}

/// What admission wrote is read back; an address in one line has no parts.
fn addresses(person: &Person) -> Vec<Address> {
    let kept = person.fields.get("addresses");
    kept.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn identity(identifier: Identifier) -> Identity {
    Identity {
        kind: identifier.kind.name(),
        value: identifier.value,
    }
}

pub fn standing(head: &Fold) -> Standing {
    let held = head.standing.as_ref();
    Standing {
        since: held.map(|held| Time(held.since)),
        keep_until: held.and_then(|held| held.keep_until).map(Time),
        reason: held.map(|held| held.reason.clone()),
        next: head.next_tier.as_ref().map(|next| NextTier {
            tier: next.tier.clone(),
            missing: next.missing,
            unit: next.unit,
        }),
        held_by: head.placed.as_ref().map(|placed| placed.actor.clone()),
    }
}

pub fn consents(head: &Fold) -> Vec<ConsentView> {
    let view = |consent: &Consent| ConsentView {
        purpose: consent.purpose.clone(),
        granted: consent.granted,
        at: Time(consent.at),
    };
    head.consents.values().map(view).collect()
}

fn birthday(day: MonthDay, year: Option<String>) -> String {
    let date = format!("{:02}-{:02}", day.month, day.day);
    year.map_or_else(|| date.clone(), |year| format!("{year}-{date}"))
}

/// The fields that the shop wants of a profile and this one lacks.
fn missing(person: &Person, head: &Fold, shop: &Shop) -> Vec<String> {
    let has = |kind| {
        person
            .identifiers
            .iter()
            .any(|identifier| identifier.kind == kind)
    };
    let present = |field: &str| match field {
        "email" => has(IdentifierKind::Email),
        "phone" => has(IdentifierKind::Phone),
        "birthday" => head.birthday.is_some(),
        "home_location" => head.home_location.is_some(),
        name => person.fields.contains_key(name),
    };
    shop.file
        .profile
        .required
        .iter()
        .filter(|field| !present(field))
        .cloned()
        .collect()
}
