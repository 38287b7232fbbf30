//! The `data` of each kind of event: typed, unknown fields refused.

use super::acts::{
    AdjustmentEvent, ErasureEvent, ForfeitEvent, NoteEdit, NoteEvent, PlacementEvent,
};
use super::allowances::{AllowEvent, OfflineEvent};
use super::credit::CreditEvent;
use super::exchange::{EditEvent, ExchangeEvent};
use super::import::ImportEvent;
use super::merges::{DeclinedEvent, MergeEvent, UnmergeEvent};
use super::products::CatalogueEvent;
use super::redemptions::{AboutRedemption, ReserveEvent};
use super::referrals::{self, CodeRevokedEvent};
use super::returns::{AboutSale, ReturnEvent};
use super::sale::SaleData;
use super::stock::StockEvent;
use super::tags::{AssignedEvent, TagEvent, tag};
use super::{Address, By, Envelope, Secret, addresses, identifiers, malformed};
use crate::calendar;
use crate::catalogue::distance;
use crate::change::CustomerId;
use crate::event::{
    Body, Channel, Consent, Edit, EventName, IdentifierKind, Instant, MonthDay, Personal,
    ProfileChange, Visit,
};
use crate::limits;
use crate::products;
use crate::refusal::{Refusal, invalid};
use crate::shop::{ProfileMode, Shop};
use crate::stock;
use crate::token::{self, Token, TokenError};
use crate::visitors::TRACKING;
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
    /// What of the customer's identifiers the sender has verified.
    pub verified: Vec<IdentifierKind>,
    /// What the customer's browser calls itself.
    pub anon: Option<String>,
    /// Whom a token names.
    pub shown: Option<CustomerId>,
    pub wants_account: bool,
    pub as_guest: bool,
    /// Personal fields and notes on their way to the personal room.
    pub fields: BTreeMap<String, Option<String>>,
    pub note: Option<String>,
    pub notes: Vec<String>,
}

impl Common {
    /// Where it happened, at which device, and who served. What tills send of that is kept with every
    /// event, so it has an end.
    pub fn tell_where(
        &mut self,
        channel: Option<Channel>,
        location: Option<String>,
        device: Option<String>,
        staff: Option<String>,
    ) -> Result<(), Refusal> {
        let bounded = |text: Option<String>, at: &str| text.map(|it| short(it, at)).transpose();
        self.channel = channel;
        self.location = bounded(location, "/data/location")?;
        self.device = bounded(device, "/data/device")?;
        self.staff = bounded(staff, "/data/staff")?;
        Ok(())
    }
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
    /// What a browser calls itself, such as the value of a cookie. It names nobody.
    pub anon: Option<String>,
    /// What of it the sender has seen to be the customer's: they logged in with it, or read out a code.
    #[serde(default)]
    pub verified: Vec<IdentifierKind>,
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
    /// Left out only where a token says who it is.
    customer: Option<CustomerData>,
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
    addresses: Option<Option<Vec<Address>>>,
    #[serde(default, deserialize_with = "present")]
    tax_exempt: Option<Option<TaxExemptData>>,
    #[serde(default)]
    marketing: BTreeMap<String, bool>,
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
    /// What the customer's phone showed.
    token: Option<String>,
    /// The basket that is open at the till.
    basket: Option<String>,
    /// A guest sale to claim.
    sale: Option<EventName>,
    /// The code of whoever brought a friend, and where they shared it.
    code: Option<String>,
    via: Option<String>,
    note: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaxExemptData {
    /// Why; it may say something about the person, and is kept with them.
    reason: String,
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
    name: &Envelope,
    data: Map<String, Value>,
    common: &mut Common,
    shop: &Shop,
    with: By,
) -> Result<Body, Refusal> {
    let (by, kind, at) = (with.sender, name.kind.as_str(), name.at);
    match kind {
        "sale.completed" => Ok(Body::Sale(
            typed::<SaleData>(data)?.check(common, shop, by)?,
        )),
        "checkout.started" | "checkout.updated" => Ok(Body::Checkout(
            typed::<SaleData>(data)?.check(common, shop, by)?,
        )),
        "customer.created"
        | "customer.updated"
        | "customer.identified"
        | "loyalty.enrolled"
        | "referral.signup" => profile(kind, typed(data)?, common, shop, with, at),
        "referral.revoked" => typed::<CodeRevokedEvent>(data)?.check(common, by),
        "consent.changed" => {
            let event: ConsentEvent = typed(data)?;
            common.tell_where(event.channel, event.location, event.device, event.staff)?;
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
        products::KIND => typed::<CatalogueEvent>(data)?.check(common, shop),
        stock::KIND => typed::<StockEvent>(data)?.check(common, shop),
        "tags.assigned" => typed::<AssignedEvent>(data)?.check(common, shop, by),
        "return.completed" => typed::<ReturnEvent>(data)?.check(common, shop),
        "exchange.completed" => typed::<ExchangeEvent>(data)?.check(common, shop),
        "order.edited" => typed::<EditEvent>(data)?.check(common, shop),
        "sale.voided" => typed::<AboutSale>(data)?.voided(common),
        "payment.settled" | "payment.failed" => {
            typed::<AboutSale>(data)?.payment(kind == "payment.settled", common)
        }
        "redemption.reserved" => typed::<ReserveEvent>(data)?.check(common, shop, with, name),
        "redemption.allowed" => typed::<AllowEvent>(data)?.check(common, shop, with, name),
        "redemption.offline" => typed::<OfflineEvent>(data)?.check(common, shop, with, name),
        "redemption.confirmed" => typed::<AboutRedemption>(data)?.confirmed(common, by),
        "redemption.cancelled" => typed::<AboutRedemption>(data)?.cancelled(common, by),
        "redemption.approved" => typed::<AboutRedemption>(data)?.approved(common, shop, by, at),
        "redemption.denied" => typed::<AboutRedemption>(data)?.denied(common, by),
        "points.adjusted" => typed::<AdjustmentEvent>(data)?.check(common, by, at),
        "points.forfeited" => typed::<ForfeitEvent>(data)?.check(common, by),
        "credit.adjusted" => typed::<CreditEvent>(data)?.check(common, shop, by, at),
        "points.imported" => typed::<ImportEvent>(data)?.check(common, shop, by, at),
        "tier.overridden" => typed::<PlacementEvent>(data)?.check(common, shop, by, at),
        "customer.deleted" => typed::<ErasureEvent>(data)?.check(common, by),
        "note.added" => typed::<NoteEvent>(data)?.check(common, by),
        "note.edited" => typed::<NoteEdit>(data)?.check(common, by),
        "customer.merged" => typed::<MergeEvent>(data)?.check(common, by),
        "customer.unmerged" => typed::<UnmergeEvent>(data)?.check(common, by),
        "merge.declined" => typed::<DeclinedEvent>(data)?.check(common, by),
        "visit.counted" => {
            let event: VisitEvent = typed(data)?;
            common.tell_where(None, Some(event.location), event.device, None)?;
            common.attributes = attributes(event.attributes)?;
            Ok(Body::Visit(Visit { count: event.count }))
        }
        _ => {
            let event: OtherEvent = typed(data)?;
            common.tell_where(event.channel, event.location, event.device, event.staff)?;
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
    with: By,
    at: Instant,
) -> Result<Body, Refusal> {
    let by = with.sender;
    common.tell_where(data.channel, data.location, data.device, data.staff)?;
    common.historical = data.historical;
    let is_recognised = kind == "customer.identified";
    if is_recognised && common.channel == Some(Channel::Pos) {
        // Whoever asks later who looked at this customer is told.
        common.staff.get_or_insert_with(|| by.name.to_string());
    }
    let method = data.method.map(|it| method(it, kind)).transpose()?;
    let token = match (data.token, &data.customer) {
        (None, None) => return malformed("/data", "customer is missing"),
        (None, Some(_)) => None,
        (Some(_), _) if !is_recognised => {
            return invalid(
                "token-out-of-place",
                "/data/token",
                format!("{kind} takes no token"),
            );
        }
        (Some(_), Some(_)) => {
            return invalid(
                "token-and-customer",
                "/data/customer",
                "a token says who the customer is; leave `customer` out",
            );
        }
        (Some(text), None) => Some(shown(&text, with.secret, at)?),
    };
    common.shown = token.as_ref().map(|token| token.customer.clone());
    common.customer = data.customer;
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
        method,
        token: token.map(|token| token.business_key()),
        basket: data
            .basket
            .map(|basket| short(basket, "/data/basket"))
            .transpose()?,
        claims: data.sale,
        replaces: data.replace,
        enrolled: matches!(kind, "loyalty.enrolled" | "referral.signup"),
        referral: referrals::signup(kind, data.code, data.via)?,
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
    if let Some(given) = data.addresses {
        if change.changed.iter().any(|name| name == "address") {
            return invalid(
                "address-twice",
                "/data/address",
                "send `address`, in one line, or `addresses`, in parts; not both",
            );
        }
        let given = addresses::check(given.unwrap_or_default())?;
        let first = given.iter().find(|address| address.default);
        for name in ["address", "addresses"] {
            change.changed.push(name.into());
            if first.is_none() {
                change.cleared.push(name.into());
            }
        }
        change.distances = Some(first.map(|it| it.distances(shop)).unwrap_or_default());
        let whole = serde_json::to_string(&given).expect("addresses are plain data");
        common
            .fields
            .insert("address".into(), first.map(Address::in_one_line));
        common
            .fields
            .insert("addresses".into(), first.map(|_| whole));
    } else if change.changed.iter().any(|name| name == "address") {
        // One line takes the place of them all: two truths would be one too many.
        common.fields.insert("addresses".into(), None);
        change.distances = Some(BTreeMap::new());
    }
    if let Some(given) = data.tax_exempt {
        change.changed.push("tax_exempt".into());
        change.tax_exempt = Some(given.is_some());
        let reason = match given {
            Some(TaxExemptData { reason }) if reason.trim().is_empty() => {
                return invalid(
                    "reason-required",
                    "/data/tax_exempt/reason",
                    "say why this customer pays no tax: whoever checks the books will ask",
                );
            }
            Some(TaxExemptData { reason }) => Some(short(reason, "/data/tax_exempt/reason")?),
            None => {
                change.cleared.push("tax_exempt".into());
                None
            }
        };
        common.fields.insert("tax_exempt_reason".into(), reason);
    }
    for channel in data.marketing.keys() {
        check_purpose(channel, "/data/marketing")?;
    }
    change.marketing = data.marketing;
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

/// The code with which a profile is refused that lacks a field.
pub const FIELD_REQUIRED: &str = "field-required";
/// How the note begins of one that is taken all the same.
const INCOMPLETE: &str = "incomplete: missing ";

/// The fields that a note says are missing; none, for any other note.
pub fn missing_in(note: &str) -> impl Iterator<Item = &str> {
    let fields = note.strip_prefix(INCOMPLETE);
    fields.into_iter().flat_map(|fields| fields.split(", "))
}

/// A profile must have an e-mail or a phone to be made by hand, and whatever the shop requires.
pub(super) fn check_profile(
    kind: &str,
    body: &Body,
    personal: &Personal,
    shop: &Shop,
    location: Option<&str>,
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
        .required_at(location)
        .iter()
        .map(String::as_str)
        .filter(|field| !present(field))
        .collect();
    match (missing.first(), shop.file.profile.mode) {
        (None, _) => Ok(()),
        (Some(field), ProfileMode::Strict) => invalid(
            FIELD_REQUIRED,
            format!("/data/{field}"),
            format!("this shop's profiles need {}", missing.join(", ")),
        ),
        (Some(_), ProfileMode::Lenient) => {
            notes.push(format!("{INCOMPLETE}{}", missing.join(", ")));
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

/// How a customer was recognised.
fn method(given: String, kind: &str) -> Result<String, Refusal> {
    const METHODS: [&str; 8] = [
        "qr", "nfc", "card", "phone", "email", "name", "login", "receipt",
    ];
    if kind == "customer.identified" && !METHODS.contains(&given.as_str()) {
        return invalid(
            "unknown-method",
            "/data/method",
            format!("{given:?} is none; they are {}", METHODS.join(", ")),
        );
    }
    short(given, "/data/method")
}

/// Whom a token names, if it is ours and still good.
fn shown(text: &str, secret: &Secret, at: Instant) -> Result<Token, Refusal> {
    token::read(text, secret, at).map_err(|error| Refusal::Unauthorized {
        code: match error {
            TokenError::NotOurs => "token-unknown",
            TokenError::Expired => "token-expired",
        },
        at: "/data/token".into(),
        problem: error.to_string(),
    })
}

fn check_purpose(purpose: &str, at: &str) -> Result<(), Refusal> {
    const PURPOSES: [&str; 7] = [
        "email",
        "sms",
        "push",
        "post",
        "phone",
        "profiling",
        TRACKING,
    ];
    if PURPOSES.contains(&purpose) {
        return Ok(());
    }
    invalid(
        "unknown-purpose",
        at,
        format!(
            "{purpose:?} is not a purpose; they are {}",
            PURPOSES.join(", ")
        ),
    )
}

fn consent(data: ConsentData, at: &str, now: Instant) -> Result<Consent, Refusal> {
    check_purpose(&data.purpose, &format!("{at}/purpose"))?;
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
pub(super) fn own_id(id: &str, at: &str) -> Result<crate::change::CustomerId, Refusal> {
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
        at,
        format!("{id:?} is not a customer id; they begin with cus_"),
    )
}
