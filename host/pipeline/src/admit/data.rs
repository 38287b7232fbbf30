//! The `data` of each kind of event: typed, unknown fields refused.

use super::acts::{AdjustmentEvent, NoteEdit, NoteEvent, PlacementEvent};
use super::sale::SaleData;
use super::sender::Sender;
use super::tags::{AssignedEvent, TagEvent, tag};
use super::{identifiers, malformed};
use crate::calendar;
use crate::catalogue::distance;
use crate::event::{
    Body, Channel, Consent, Edit, EventName, IdentifierKind, Instant, MonthDay, Personal,
    ProfileChange, Visit,
};
use crate::limits;
use crate::refusal::{Refusal, invalid};
use crate::shop::{ProfileMode, Shop};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;
use std::collections::BTreeMap;

/// What many kinds share.
#[derive(Default)]
pub(super) struct Common {
    pub channel: Option<Channel>,
    pub location: Option<String>,
    pub device: Option<String>,
    pub staff: Option<String>,
    pub historical: bool,
    pub attributes: BTreeMap<String, String>,
    pub customer: Option<CustomerData>,
    pub wants_account: bool,
    pub as_guest: bool,
    /// Personal fields and notes on their way to the personal room.
    pub fields: BTreeMap<String, Option<String>>,
    pub note: Option<String>,
    pub notes: Vec<String>,
}

/// How an event names its customer.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerData {
    /// Our own id.
    pub id: Option<String>,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub card: Option<String>,
    pub external: Option<OneOrMany<ExternalData>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub fn into_vec(self) -> Vec<T> {
        match self {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(many) => many,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExternalData {
    pub source: String,
    pub id: String,
}

/// `account_intent`: what the customer said about an account.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AccountIntent {
    Create,
    Guest,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProfileData {
    customer: CustomerData,
    channel: Option<Channel>,
    location: Option<String>,
    device: Option<String>,
    staff: Option<String>,
    #[serde(default)]
    historical: bool,
    #[serde(default, deserialize_with = "present")]
    given_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    family_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    address: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    birthday: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    language: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    home_location: Option<Option<String>>,
    #[serde(default)]
    consents: Vec<ConsentData>,
    #[serde(default)]
    tags: Vec<String>,
    /// Fields of the shop's own.
    #[serde(default)]
    fields: Map<String, Value>,
    /// Identifiers of which the customer has only these from now on.
    #[serde(default)]
    replace: Vec<IdentifierKind>,
    method: Option<String>,
    /// A guest sale to claim.
    sale: Option<EventName>,
    note: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentData {
    purpose: String,
    granted: bool,
    at: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsentEvent {
    customer: CustomerData,
    channel: Option<Channel>,
    location: Option<String>,
    staff: Option<String>,
    device: Option<String>,
    purpose: String,
    granted: bool,
    at: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VisitEvent {
    location: String,
    count: u32,
    device: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// The fields that kinds without a shape of their own share; the rest of their data is kept as it
/// is. It is not personal: personal data belongs into `customer`.
#[derive(Deserialize)]
struct OtherEvent {
    customer: Option<CustomerData>,
    channel: Option<Channel>,
    location: Option<String>,
    device: Option<String>,
    staff: Option<String>,
    #[serde(default)]
    historical: bool,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

pub(super) fn read(
    kind: &str,
    data: Map<String, Value>,
    common: &mut Common,
    shop: &Shop,
    by: &Sender,
    at: Instant,
) -> Result<Body, Refusal> {
    match kind {
        "sale.completed" => Ok(Body::Sale(
            typed::<SaleData>(data)?.check(common, shop, by)?,
        )),
        "checkout.started" | "checkout.updated" => Ok(Body::Checkout(
            typed::<SaleData>(data)?.check(common, shop, by)?,
        )),
        "customer.created" | "customer.updated" | "customer.identified" | "loyalty.enrolled" => {
            profile(kind, typed(data)?, common, shop, by, at)
        }
        "consent.changed" => {
            let event: ConsentEvent = typed(data)?;
            (common.channel, common.location, common.staff, common.device) =
                (event.channel, event.location, event.staff, event.device);
            common.customer = Some(event.customer);
            common.attributes = attributes(event.attributes)?;
            let data = ConsentData {
                purpose: event.purpose,
                granted: event.granted,
                at: event.at,
            };
            Ok(Body::Consent(consent(data, "/data", at)?))
        }
        "tag.added" | "tag.removed" => {
            typed::<TagEvent>(data)?.check(kind == "tag.added", common, shop, by, at)
        }
        "tags.assigned" => typed::<AssignedEvent>(data)?.check(common, shop, by),
        "points.adjusted" => typed::<AdjustmentEvent>(data)?.check(common, by, at),
        "tier.overridden" => typed::<PlacementEvent>(data)?.check(common, shop, by, at),
        "note.added" => typed::<NoteEvent>(data)?.check(common, by),
        "note.edited" => typed::<NoteEdit>(data)?.check(common, by),
        "visit.counted" => {
            let event: VisitEvent = typed(data)?;
            common.location = Some(event.location);
            common.device = event.device;
            common.attributes = attributes(event.attributes)?;
            Ok(Body::Visit(Visit { count: event.count }))
        }
        _ => {
            let event: OtherEvent = typed(data)?;
            (common.channel, common.location, common.device, common.staff) =
                (event.channel, event.location, event.device, event.staff);
            common.historical = event.historical;
            common.customer = event.customer;
            common.attributes = attributes(event.attributes)?;
            Ok(Body::Other(Value::Object(event.rest).to_string()))
        }
    }
}

fn profile(
    kind: &str,
    data: ProfileData,
    common: &mut Common,
    shop: &Shop,
    by: &Sender,
    at: Instant,
) -> Result<Body, Refusal> {
    (common.channel, common.location, common.device, common.staff) =
        (data.channel, data.location, data.device, data.staff);
    common.historical = data.historical;
    common.customer = Some(data.customer);
    common.attributes = attributes(data.attributes)?;
    if data.replace.contains(&IdentifierKind::External) {
        return invalid(
            "not-replaced",
            "/data/replace",
            "accounts elsewhere are added, not replaced; email, phone and card are replaced",
        );
    }
    common.note = data
        .note
        .map(|note| bounded(note, limits::NOTE_BYTES_MAX, "/data/note"))
        .transpose()?;
    let mut change = ProfileChange {
        method: data
            .method
            .map(|method| short(method, "/data/method"))
            .transpose()?,
        claims: data.sale,
        replaces: data.replace,
        enrolled: kind == "loyalty.enrolled",
        ..ProfileChange::default()
    };
    for (name, value) in [
        ("given_name", data.given_name),
        ("family_name", data.family_name),
        ("address", data.address),
    ] {
        if let Some(value) = value {
            let value = value
                .map(|text| short(text.trim().to_owned(), &format!("/data/{name}")))
                .transpose()?;
            let value = value.filter(|text| !text.is_empty());
            change.changed.push(name.into());
            if value.is_none() {
                change.cleared.push(name.into());
            }
            common.fields.insert(name.into(), value);
        }
    }
    if let Some(value) = data.birthday {
        change.changed.push("birthday".into());
        let (edit, year) = match value {
            Some(text) => {
                let (day, year) = birthday(&text)?;
                (Edit::Set(day), year)
            }
            None => (Edit::Clear, None),
        };
        change.birthday = Some(edit);
        common.fields.insert("birth_year".into(), year);
    }
    if let Some(value) = data.language {
        change.changed.push("language".into());
        change.language = Some(edit(value.map(|text| language(&text)).transpose()?));
    }
    if let Some(value) = data.home_location {
        if let Some(id) = &value
            && shop.place(id).is_none()
        {
            return invalid(
                "unknown-location",
                "/data/home_location",
                format!("{id:?} is not a location of merchant.toml"),
            );
        }
        change.changed.push("home_location".into());
        change.home_location = Some(edit(value));
    }
    for (index, given) in data.consents.into_iter().take(limits::LIST_MAX).enumerate() {
        change
            .consents
            .push(consent(given, &format!("/data/consents/{index}"), at)?);
    }
    for (index, given) in data.tags.iter().take(limits::LIST_MAX).enumerate() {
        change
            .tags
            .push(tag(given, &format!("/data/tags/{index}"), shop, by)?);
    }
    for name in data.fields.keys() {
        change.changed.push(own_field(name));
        if data.fields[name].is_null() {
            change.cleared.push(own_field(name));
        }
    }
    change.fields = fields(data.fields, common, shop)?;
    Ok(Body::Profile(change))
}

/// A profile must have an e-mail or a phone to be made by hand, and whatever the shop requires.
pub(super) fn check_profile(
    kind: &str,
    body: &Body,
    personal: &Personal,
    shop: &Shop,
    notes: &mut Vec<String>,
) -> Result<(), Refusal> {
    let Body::Profile(change) = body else {
        return Ok(());
    };
    if kind != "customer.created" {
        return Ok(());
    }
    let has = |kind| {
        personal
            .identifiers
            .iter()
            .any(|identifier| identifier.kind == kind)
    };
    if !has(IdentifierKind::Email) && !has(IdentifierKind::Phone) {
        return invalid(
            "identifier-required",
            "/data/customer",
            "a profile needs an e-mail or a phone",
        );
    }
    let present = |field: &str| match field {
        "email" => has(IdentifierKind::Email),
        "phone" => has(IdentifierKind::Phone),
        "birthday" => matches!(change.birthday, Some(Edit::Set(_))),
        "home_location" => matches!(change.home_location, Some(Edit::Set(_))),
        name => matches!(personal.fields.get(name), Some(Some(_))),
    };
    let missing: Vec<&str> = shop
        .file
        .profile
        .required
        .iter()
        .map(String::as_str)
        .filter(|field| !present(field))
        .collect();
    match (missing.first(), shop.file.profile.mode) {
        (None, _) => Ok(()),
        (Some(field), ProfileMode::Strict) => invalid(
            "field-required",
            format!("/data/{field}"),
            format!("this shop's profiles need {}", missing.join(", ")),
        ),
        (Some(_), ProfileMode::Lenient) => {
            notes.push(format!("incomplete: missing {}", missing.join(", ")));
            Ok(())
        }
    }
}

/// A field of the shop's own, as the personal room and the lists of changed fields call it.
fn own_field(key: &str) -> String {
    format!("fields/{key}")
}

/// Checks fields of the shop's own. What is personal of them goes to the personal room; the rest is
/// returned.
pub(super) fn fields(
    given: Map<String, Value>,
    common: &mut Common,
    shop: &Shop,
) -> Result<BTreeMap<String, Edit<String>>, Refusal> {
    let mut open = BTreeMap::new();
    for (key, value) in given {
        let at = format!("/data/fields/{}", key.replace('~', "~0").replace('/', "~1"));
        let Some(rule) = shop.field(&key) else {
            let declared = shop.file.profile.fields.iter().map(|it| it.key.as_str());
            let hint = match declared.min_by_key(|known| distance(&key, known)) {
                Some(nearest) => format!("did you mean {nearest:?}?"),
                None => "declare it under [[profile.fields]]".into(),
            };
            return invalid(
                "unknown-field",
                at,
                format!("{key:?} is not a field of this shop's profiles; {hint}"),
            );
        };
        let value = match value {
            Value::Null => None,
            value => match rule.read(&value) {
                Ok(value) => Some(value),
                Err(problem) => {
                    return invalid("field-value", at, format!("{key}: {problem}"));
                }
            },
        };
        if rule.personal {
            common.fields.insert(own_field(&key), value);
        } else {
            open.insert(key, edit(value));
        }
    }
    Ok(open)
}

/// Reads typed data; only when that fails, reads once more to know where.
pub(super) fn typed<T: DeserializeOwned>(data: Map<String, Value>) -> Result<T, Refusal> {
    let data = Value::Object(data);
    if let Ok(typed) = T::deserialize(&data) {
        return Ok(typed);
    }
    match serde_path_to_error::deserialize::<_, T>(&data) {
        Ok(typed) => Ok(typed),
        Err(error) => {
            let at: String = error.path().iter().map(pointer_step).collect();
            malformed(&format!("/data{at}"), error.into_inner().to_string())
        }
    }
}

/// One step of a path as a part of a JSON pointer (RFC 6901).
fn pointer_step(step: &Segment) -> String {
    match step {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    }
}

/// `null` clears a field; a field that is not there is left as it is.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// An instant that must be ahead of the event.
pub(super) fn instant_after(text: &str, event: Instant, at: &str) -> Result<Instant, Refusal> {
    let instant = calendar::parse(text).or_else(|problem| {
        malformed(
            at,
            format!("{text:?} is not an RFC 3339 time with an offset ({problem})"),
        )
    })?;
    if instant <= event {
        return invalid(
            "not-ahead",
            at,
            format!("{text} is not after the event's own time"),
        );
    }
    Ok(instant)
}

fn edit<T>(value: Option<T>) -> Edit<T> {
    value.map_or(Edit::Clear, Edit::Set)
}

/// `1990-02-28`, or `02-28` without the year.
fn birthday(text: &str) -> Result<(MonthDay, Option<String>), Refusal> {
    let refused = || {
        invalid(
            "not-a-date",
            "/data/birthday",
            format!("{text:?} is not a birthday; 1990-02-28 and 02-28 are"),
        )
    };
    let (year, month_day) = match text.len() {
        10 => (Some(&text[..4]), text),
        5 => (None, text),
        _ => return refused(),
    };
    // A leap year stands in for an unknown one, so that 29 February is a birthday.
    let whole = if year.is_some() {
        month_day.to_owned()
    } else {
        format!("2000-{month_day}")
    };
    match whole.parse::<jiff::civil::Date>() {
        Ok(date) => Ok((
            MonthDay {
                month: date.month() as u8,
                day: date.day() as u8,
            },
            year.map(str::to_owned),
        )),
        Err(_) => refused(),
    }
}

fn language(text: &str) -> Result<String, Refusal> {
    let is_tag = (2..=35).contains(&text.len())
        && text.split('-').all(|part| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
    if is_tag {
        Ok(text.to_owned())
    } else {
        invalid(
            "not-a-language",
            "/data/language",
            format!("{text:?} is not a BCP 47 tag; en and pt-BR are"),
        )
    }
}

fn consent(data: ConsentData, at: &str, now: Instant) -> Result<Consent, Refusal> {
    const PURPOSES: [&str; 6] = ["email", "sms", "push", "post", "phone", "profiling"];
    if !PURPOSES.contains(&data.purpose.as_str()) {
        return invalid(
            "unknown-purpose",
            format!("{at}/purpose"),
            format!(
                "{:?} is not a purpose; they are {}",
                data.purpose,
                PURPOSES.join(", ")
            ),
        );
    }
    let given_at = match &data.at {
        Some(text) => {
            calendar::parse(text).or_else(|problem| malformed(&format!("{at}/at"), problem))?
        }
        None => now,
    };
    Ok(Consent {
        purpose: data.purpose,
        granted: data.granted,
        at: given_at,
    })
}

pub(super) fn attributes(
    given: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    if given.len() > limits::ATTRIBUTES_MAX {
        return malformed(
            "/data/attributes",
            format!("more than {} attributes", limits::ATTRIBUTES_MAX),
        );
    }
    for (key, value) in &given {
        if key.len() > limits::TEXT_BYTES_MAX || value.len() > limits::TEXT_BYTES_MAX {
            return malformed(
                &format!("/data/attributes/{key}"),
                format!("longer than {} bytes", limits::TEXT_BYTES_MAX),
            );
        }
    }
    Ok(given)
}

pub(super) fn short(text: String, at: &str) -> Result<String, Refusal> {
    bounded(text, limits::TEXT_BYTES_MAX, at)
}

pub(super) fn bounded(text: String, max: usize, at: &str) -> Result<String, Refusal> {
    if text.len() > max {
        malformed(at, format!("longer than {max} bytes"))
    } else {
        Ok(text)
    }
}

pub(super) fn intent(intent: Option<AccountIntent>, common: &mut Common) {
    common.wants_account = intent == Some(AccountIntent::Create);
    common.as_guest = intent == Some(AccountIntent::Guest);
}

/// A customer id of ours, checked for its form.
pub(super) fn own_id(id: &str) -> Result<crate::change::CustomerId, Refusal> {
    if id.starts_with("cus_")
        && id.len() <= 64
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    {
        return Ok(crate::change::CustomerId(id.to_owned()));
    }
    identifiers::refuse(
        "unknown-customer",
        "/data/customer/id",
        format!("{id:?} is not a customer id; they begin with cus_"),
    )
}
