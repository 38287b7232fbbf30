//! Admission: from bytes to an event that the line can decide.
//!
//! Reads a CloudEvents 1.0 envelope, checks its data against the catalogue, the shop and the sums,
//! turns identifiers into their normal form, and splits off what is personal. What is refused here
//! has changed nothing.

mod acts;
mod addresses;
mod allowances;
mod canonical;
mod credit;
mod data;
mod exchange;
mod identifiers;
mod import;
mod merges;
mod products;
mod redemptions;
mod referrals;
mod returns;
mod said;
mod sale;
mod sender;
mod stock;
mod tags;
mod version;

pub use addresses::{Address, household, join as join_addresses};
pub use data::{FIELD_REQUIRED, missing_in};
pub use identifiers::{normal_card, normal_email, normal_phone};
pub use sender::{Sender, SenderKind};

use crate::calendar;
use crate::catalogue::{self, Support};
use crate::change::{CustomerId, Sameness};
use crate::event::{
    Body, Channel, Event, IdentifierKind, Instant, Merge, Offline, Personal, RedemptionAct,
    RedemptionStep, Room, RulesChanged, WhyMerged,
};
use crate::limits;
use crate::outcome::IdentityView;
use crate::refusal::{Refusal, invalid};
use crate::shop::Shop;
use data::Common;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;
use std::sync::Arc;

/// The merchant's secret for keyed hashes: sameness of bodies, and names of new customers.
#[derive(Clone)]
pub struct Secret(pub [u8; 32]);

/// What comes to the line.
pub enum Arrival<'a> {
    /// Somebody told us.
    Told(&'a [u8], &'a Sender),
    /// The shop's clock reached an instant at which something of this customer is due.
    Due { customer: CustomerId, at: Instant },
    /// Other rules went live, which may affect this customer.
    RulesChanged {
        customer: CustomerId,
        at: Instant,
        change: RulesChanged,
    },
}

/// An event that may go down the line.
pub struct Admitted {
    pub event: Arc<Event>,
    pub personal: Personal,
    pub sameness: Sameness,
    pub received_at: Instant,
    /// The customer, where the event names them by our own id.
    pub named: Option<CustomerId>,
    /// The id that a customer gets who is new with this event. It depends on nothing but the
    /// event's name and the merchant's secret, so that a replay makes the same customers.
    pub new_customer: CustomerId,
    /// The event asks for an account, whatever the shop does with unknown customers.
    pub wants_account: bool,
    /// The event asks to be anonymous.
    pub as_guest: bool,
    /// The shop's clock sent it: only what is due is driven.
    pub due: bool,
    /// How its customer was found when it came, for an event of the journal: who was forgotten since cannot
    /// be found in that way again.
    pub found_then: Option<IdentityView>,
    /// What of the identifiers the sender has seen to be the customer's. It counts with this event only.
    pub verified: Vec<IdentifierKind>,
}

pub fn admit(
    arrival: &Arrival,
    shop: &Shop,
    secret: &Secret,
    now: Instant,
) -> Result<Admitted, Refusal> {
    match arrival {
        Arrival::Told(bytes, by) => admit_told(bytes, by, shop, secret, now),
        Arrival::Due { customer, at } => Ok(admit_due(customer, *at, secret, now)),
        Arrival::RulesChanged {
            customer,
            at,
            change,
        } => Ok(admit_rules_changed(customer, *at, change, secret, now)),
    }
}

fn admit_told(
    bytes: &[u8],
    by: &Sender,
    shop: &Shop,
    secret: &Secret,
    now: Instant,
) -> Result<Admitted, Refusal> {
    if bytes.len() > limits::EVENT_BYTES_MAX {
        return Err(Refusal::TooLarge {
            bytes: bytes.len(),
            max: limits::EVENT_BYTES_MAX,
        });
    }
    let mut whole: Value = serde_json::from_slice(bytes).map_err(|error| Refusal::Malformed {
        at: String::new(),
        problem: format!("not JSON: {error}"),
    })?;
    check_numbers(&whole, &mut String::new())?;
    let schema = version::take(&mut whole)?;
    let sameness = sameness(&whole, secret);
    let Value::Object(mut envelope) = whole else {
        return malformed("", "a CloudEvent is a JSON object");
    };
    let name = Envelope::read(&envelope)?;
    let kind = catalogue::find(&name.kind);
    match kind.map(|kind| kind.support) {
        Some(Support::Processed) => {}
        Some(Support::NotYet) => return Err(Refusal::NotYetSupported { kind: name.kind }),
        Some(Support::HostOnly) => {
            return invalid(
                "host-only",
                "/type",
                format!("{} is made by the host and cannot be sent", name.kind),
            );
        }
        None if name.kind.starts_with(catalogue::OWN_PREFIX) => {}
        None => {
            let nearest = catalogue::nearest(&name.kind).to_owned();
            return Err(Refusal::UnknownKind {
                kind: name.kind,
                nearest,
            });
        }
    }
    if let Some(schema) = schema {
        version::check(&schema, &name.kind)?;
    }
    by.check_may_send(&name.kind, shop)?;
    if name.at.0 > now.0 + limits::AHEAD_MS_REFUSED {
        return invalid(
            "from-the-future",
            "/time",
            format!(
                "{} is more than a day ahead of now ({})",
                calendar::text(name.at),
                calendar::text(now)
            ),
        );
    }
    let Some(Value::Object(data)) = envelope.remove("data") else {
        return malformed("/data", "data must be a JSON object");
    };
    let mut common = Common::default();
    let by = By { sender: by, secret };
    let mut body = data::read(&name, data, &mut common, shop, by)?;
    credit::complete(&mut body, name.at, &common, shop);
    check_place(&name, &body, &common, shop)?;
    let (personal, named) = identifiers::read(&mut common, shop)?;
    let place = common.location.as_deref();
    data::check_profile(&name.kind, &body, &personal, shop, place, &mut common.notes)?;
    if let Body::Tag(_)
    | Body::Consent(_)
    | Body::Adjustment(_)
    | Body::CreditAdjustment(_)
    | Body::Forfeit(_)
    | Body::Placement(_)
    | Body::Note(_)
    | Body::Import(_)
    | Body::CodeRevoked(_)
    | Body::Erasure(_)
    | Body::Redemption(RedemptionStep {
        act:
            RedemptionAct::Reserve(_)
            | RedemptionAct::Offline(Offline {
                allowance: None, ..
            }),
        ..
    }) = body
        && personal.identifiers.is_empty()
        && named.is_none()
    {
        return invalid(
            "identifier-required",
            "/data/customer",
            format!("{} needs a customer", name.kind),
        );
    }
    let new_customer = new_customer(&name.source, &name.id, secret);
    let event = Event {
        source: name.source,
        id: name.id,
        kind: name.kind,
        at: name.at,
        channel: common.channel,
        location: common.location,
        device: common.device,
        staff: common.staff,
        historical: common.historical,
        identified_by: identified_by(&personal),
        notes: common.notes,
        body,
        visitor: common.anon.map(|anon| visitor(&anon, secret)),
        attributes: common.attributes,
        room: Room::default(),
    };
    if event.speaks_of().is_some_and(|name| event.is_sale(name)) {
        return invalid(
            "its-own-sale",
            "/data",
            "an exchange names the sale of which something came back, and not itself",
        );
    }
    Ok(Admitted {
        event: Arc::new(event),
        personal,
        sameness,
        received_at: now,
        named,
        new_customer,
        wants_account: common.wants_account,
        as_guest: common.as_guest,
        due: false,
        found_then: None,
        verified: common.verified,
    })
}

/// Who sends an event, and what the shop signs with.
#[derive(Clone, Copy)]
struct By<'a> {
    sender: &'a Sender,
    secret: &'a Secret,
}

/// The kinds of identifiers that an event names, each once.
fn identified_by(personal: &Personal) -> Vec<IdentifierKind> {
    let mut kinds: Vec<IdentifierKind> = personal
        .identifiers
        .iter()
        .map(|identifier| identifier.kind)
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

/// The source of events that the host makes itself.
pub const HOST_SOURCE: &str = "stampcard";

fn admit_due(customer: &CustomerId, at: Instant, secret: &Secret, now: Instant) -> Admitted {
    let id = format!("{}@{}", customer.0, calendar::text(at));
    Admitted {
        due: true,
        ..made_by_host(customer, id, Event::review(at), secret, now)
    }
}

fn admit_rules_changed(
    customer: &CustomerId,
    at: Instant,
    change: &RulesChanged,
    secret: &Secret,
    now: Instant,
) -> Admitted {
    let id = format!("rules/{}/{}", change.rule_book, customer.0);
    let event = Event {
        body: Body::RulesChanged(change.clone()),
        ..Event::review(at)
    };
    made_by_host(customer, id, event, secret, now)
}

fn made_by_host(
    customer: &CustomerId,
    id: String,
    event: Event,
    secret: &Secret,
    now: Instant,
) -> Admitted {
    Admitted {
        sameness: mac(secret, "review", &[id.as_bytes()]),
        new_customer: customer.clone(),
        event: Arc::new(Event {
            source: HOST_SOURCE.into(),
            id,
            ..event
        }),
        personal: Personal::default(),
        received_at: now,
        named: Some(customer.clone()),
        wants_account: false,
        as_guest: false,
        due: false,
        found_then: None,
        verified: Vec::new(),
    }
}

/// A merge that the shop's policy wants because of what this event says.
pub(crate) fn admit_merge(
    because_of: &Admitted,
    keep: &CustomerId,
    other: &CustomerId,
    shared: IdentifierKind,
    secret: &Secret,
) -> Admitted {
    let event = &because_of.event;
    let id = format!("merge/{}/{}/{}", other.0, event.source, event.id);
    let merge = Event {
        kind: "customer.merged".into(),
        body: Body::Merge(Merge {
            other: other.clone(),
            why: WhyMerged::Shared(shared),
        }),
        ..Event::review(event.at)
    };
    made_by_host(keep, id, merge, secret, because_of.received_at)
}

/// What a friend's step gives the customer who referred them.
pub(crate) fn admit_referral(
    referrer: &CustomerId,
    event: Event,
    secret: &Secret,
    now: Instant,
) -> Admitted {
    let id = event.id.clone();
    made_by_host(referrer, id, event, secret, now)
}

/// The version of CloudEvents that is read.
pub const ENVELOPE: &str = "1.0";

/// The parts of the envelope that every event has.
struct Envelope {
    source: String,
    id: String,
    kind: String,
    at: Instant,
}

impl Envelope {
    fn read(envelope: &Map<String, Value>) -> Result<Envelope, Refusal> {
        let version = text(envelope, "specversion")?;
        if version != ENVELOPE {
            return malformed(
                "/specversion",
                format!("specversion is {version:?}; this host reads CloudEvents {ENVELOPE}"),
            );
        }
        if let Some(Value::String(content)) = envelope.get("datacontenttype")
            && !content.starts_with("application/json")
        {
            return malformed(
                "/datacontenttype",
                format!("data is {content:?}; this host reads application/json"),
            );
        }
        if envelope.contains_key("data_base64") {
            return malformed("/data_base64", "send data as JSON, not as base64");
        }
        for (key, value) in envelope {
            check_envelope_key(key, value)?;
        }
        let time = text(envelope, "time")?;
        let at = calendar::parse(time).or_else(|problem| {
            malformed("/time", format!("{time:?} is not an RFC 3339 time with an offset, such as 2024-05-01T10:30:00-04:00 ({problem})"))
        })?;
        if at.0 < 0 {
            return invalid("from-the-past", "/time", format!("{time} is before 1970"));
        }
        let envelope = Envelope {
            source: text(envelope, "source")?.to_owned(),
            id: text(envelope, "id")?.to_owned(),
            kind: text(envelope, "type")?.to_owned(),
            at,
        };
        if envelope.source == HOST_SOURCE {
            return invalid(
                "reserved-source",
                "/source",
                format!("the source {HOST_SOURCE:?} is the host's own"),
            );
        }
        Ok(envelope)
    }
}

/// CloudEvents allows extension attributes of lower-case letters and digits; a misspelt context
/// attribute, which CloudEvents would let pass as one, is worth an error.
fn check_envelope_key(key: &str, value: &Value) -> Result<(), Refusal> {
    const KNOWN: [&str; 9] = [
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "data",
        "datacontenttype",
        "dataschema",
        "subject",
    ];
    if KNOWN.contains(&key) {
        return Ok(());
    }
    let is_extension = key.len() <= 20
        && key
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && !value.is_object()
        && !value.is_array();
    if is_extension {
        return Ok(());
    }
    malformed(
        &format!("/{key}"),
        format!(
            "{key:?} is not an attribute of a CloudEvent; what the shop says belongs into data"
        ),
    )
}

fn text<'a>(envelope: &'a Map<String, Value>, key: &str) -> Result<&'a str, Refusal> {
    let at = || format!("/{key}");
    match envelope.get(key) {
        Some(Value::String(text)) if text.trim().is_empty() => {
            malformed(&at(), format!("{key} is empty"))
        }
        Some(Value::String(text)) if text.len() > limits::TEXT_BYTES_MAX => malformed(
            &at(),
            format!("{key} is longer than {} bytes", limits::TEXT_BYTES_MAX),
        ),
        Some(Value::String(text)) => Ok(text),
        Some(_) => malformed(&at(), format!("{key} must be a string")),
        None => malformed(&at(), format!("{key} is missing")),
    }
}

fn check_place(name: &Envelope, body: &Body, common: &Common, shop: &Shop) -> Result<(), Refusal> {
    let is_sale = matches!(body, Body::Sale(_) | Body::Checkout(_) | Body::Exchange(_));
    let Some(id) = &common.location else {
        if is_sale && common.channel == Some(Channel::Pos) {
            return invalid(
                "location-required",
                "/data/location",
                "a sale at the till (channel pos) needs its location",
            );
        }
        return Ok(());
    };
    let Some(place) = shop.place(id) else {
        return unknown_location(id, "/data/location", shop);
    };
    let today = calendar::LocalTime::at(name.at, &place.zone).date();
    if is_sale
        && (place.opened.is_some_and(|day| today < day)
            || place.closed.is_some_and(|day| today > day))
    {
        return invalid(
            "location-closed",
            "/data/location",
            format!("{id:?} was not open on {today}"),
        );
    }
    Ok(())
}

fn unknown_location<T>(id: &str, at: &str, shop: &Shop) -> Result<T, Refusal> {
    let nearest = shop
        .location_ids()
        .min_by_key(|known| catalogue::distance(id, known));
    let hint = nearest.map_or("the shop has no locations yet".to_owned(), |nearest| {
        format!("did you mean {nearest:?}?")
    });
    invalid(
        "unknown-location",
        at,
        format!("{id:?} is not a location of merchant.toml; {hint}"),
    )
}

/// Integers beyond ±(2^53 − 1) are refused wherever they stand: some reader on the way would round
/// them in silence. Ids belong into strings.
fn check_numbers(value: &Value, at: &mut String) -> Result<(), Refusal> {
    match value {
        Value::Number(number) => {
            let fits = match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => whole.unsigned_abs() <= limits::NUMBER_MAX as u64,
                (None, Some(float)) => !number.is_u64() && float.is_finite(),
                (None, None) => false,
            };
            if fits {
                return Ok(());
            }
            malformed(
                at,
                format!("{number} is beyond 2^53 - 1; send ids as strings"),
            )
        }
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            within(at, &index.to_string(), |at| check_numbers(item, at))
        }),
        Value::Object(fields) => fields
            .iter()
            .try_for_each(|(key, field)| within(at, key, |at| check_numbers(field, at))),
        _ => Ok(()),
    }
}

fn within(
    at: &mut String,
    step: &str,
    check: impl FnOnce(&mut String) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let length = at.len();
    at.push('/');
    at.push_str(step);
    let checked = check(at);
    at.truncate(length);
    checked
}

/// A keyed hash of the canonical form (RFC 8785): equal bodies are equal however they are written,
/// and the hash tells nobody what was in them.
fn sameness(whole: &Value, secret: &Secret) -> Sameness {
    let mut written = Vec::with_capacity(CANONICAL_BYTES);
    canonical::write(whole, &mut written);
    mac(secret, "body", &[&written])
}

/// What most events take in their canonical form.
const CANONICAL_BYTES: usize = 4 << 10;

/// A browser under a name that says nothing, and that nobody can make who does not have the shop's secret.
fn visitor(anon: &str, secret: &Secret) -> String {
    base32(&mac(secret, "visitor", &[anon.as_bytes()])[..15])
}

fn new_customer(source: &str, id: &str, secret: &Secret) -> CustomerId {
    let hash = mac(secret, "customer", &[source.as_bytes(), id.as_bytes()]);
    CustomerId(format!("cus_{}", base32(&hash[..15])))
}

pub(crate) fn mac(secret: &Secret, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret.0).expect("HMAC takes keys of any length");
    mac.update(purpose.as_bytes());
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Crockford's alphabet in lower case: no letters that people confuse. 15 bytes are 24 letters.
pub(crate) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let (mut text, mut bits, mut held) = (String::with_capacity(bytes.len() * 8 / 5), 0u32, 0u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(ALPHABET[(held >> bits) as usize & 31] as char);
        }
    }
    text
}

fn malformed<T>(at: &str, problem: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Malformed {
        at: at.to_owned(),
        problem: problem.into(),
    })
}
