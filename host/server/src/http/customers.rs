//! Customers: found, made, read and edited. Making and editing are events like all others; there
//! is no second way to change anybody.

use super::Door;
use super::ask::{ContentType, Query, object};
use super::auth::{Caller, POS_EDITS, POS_SAYS, Role};
use super::history::places;
use super::page::{Page, Paging};
use super::problem::{Problem, bad_request};
use super::profile::{Customer, record, view};
use super::tag_jobs::WhoIs;
use crate::clock;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use stampcard_pipeline::admit::{normal_card, normal_email, normal_phone};
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{IdentifierKind, Instant};
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::shop::Shop;
use stampcard_store::Reads;
use stampcard_store::reads::Find;
use std::sync::Arc;
use utoipa::IntoParams;

/// The source of the events that this file makes of requests.
pub const SOURCE: &str = "stampcard-api";

/// By what customers are looked for: one of these, or none for all of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// In any spelling of case and blanks.
    #[param(example = "ana@example.com")]
    pub email: Option<String>,
    /// In any format; without a plus it is read as a number of `location`'s country, or the shop's.
    #[param(example = "(212) 555-0100")]
    pub phone: Option<String>,
    /// The loyalty card as it is printed.
    pub card: Option<String>,
    /// An account elsewhere, as `source/id`.
    #[param(example = "web/8812")]
    pub external: Option<String>,
    pub tag: Option<String>,
    /// Who is in it now.
    pub segment: Option<String>,
    pub tier: Option<String>,
    /// Beginnings of words of a name or of an e-mail address, or any four digits of a phone number
    /// that follow each other.
    #[param(example = "ana ru")]
    pub text: Option<String>,
    /// The same as `text`.
    #[param(example = "0100")]
    pub q: Option<String>,
    /// Whose country reads `phone`.
    pub location: Option<String>,
    /// Rows of this page, from 1 to 500; 50 if it is not given.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[param(pattern = "^([0-9a-f]{2})+$")]
    pub cursor: Option<String>,
}

pub async fn find(
    State(door): State<Arc<Door>>,
    Query(filter): Query<Filter>,
) -> Result<Json<Page<Customer>>, Problem> {
    let live = door.merchant.live();
    let (limit, cursor) = (filter.limit, filter.cursor.clone());
    let paging = Paging { limit, cursor };
    let (rows, after) = (paging.rows()?, paging.after::<CustomerId>()?);
    let wanted = Wanted::of(filter, &live.shop)?;
    let page = door
        .read(move |reads| {
            let records = reads.customers(wanted.find(), after.as_ref(), rows + 1)?;
            let now = clock::now();
            let customers = records
                .into_iter()
                .map(|record| view(record, reads, &live.shop, now));
            let customers = customers.collect::<Result<Vec<_>, Problem>>()?;
            Ok(Page::of(customers, rows, |last: &Customer| {
                CustomerId(last.id.clone())
            }))
        })
        .await?;
    Ok(Json(page))
}

pub async fn read(
    State(door): State<Arc<Door>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let customer = one(&door, CustomerId(id)).await?;
    Ok(answer(StatusCode::OK, customer))
}

pub async fn create(
    State(door): State<Arc<Door>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let mut data = object(&headers, body, &[ContentType::Json]).await?;
    let who = take_identifiers(&mut data);
    refuse_if_there(&door, &who, data.get("location").and_then(Value::as_str)).await?;
    data.insert("customer".into(), Value::Object(who));
    let outcome = door
        .submit(event("customer.created", data)?, caller.sender())
        .await
        .map_err(Problem::seen_from_body)?;
    let Some(customer) = outcome.customer else {
        return Err(super::problem::internal());
    };
    let customer = one(&door, CustomerId(customer.id)).await?;
    let place = format!("/v1/customers/{}", customer.id);
    let mut response = answer(StatusCode::CREATED, customer);
    if let Ok(place) = HeaderValue::from_str(&place) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

pub async fn edit(
    State(door): State<Arc<Door>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let expected = if_match(&headers)?;
    let mut data = object(
        &headers,
        body,
        &[ContentType::MergePatch, ContentType::Json],
    )
    .await?;
    if caller.role == Role::Pos
        && let Some(field) = data
            .keys()
            .find(|it| !POS_EDITS.contains(&it.as_str()) && !POS_SAYS.contains(&it.as_str()))
    {
        let detail = format!(
            "a key of a till edits {} and nothing else; send this with a key of staff",
            POS_EDITS.join(", ")
        );
        let problem = Problem::new(StatusCode::FORBIDDEN, "field-not-open", detail);
        return Err(problem.at(&format!("/{field}")));
    }
    let mut who = take_identifiers(&mut data);
    if let Some(name) = who
        .iter()
        .find_map(|(name, value)| value.is_null().then_some(name))
    {
        let detail = "an identifier is not taken away by an edit: events that carry it would make another customer of the \
                      same person. Leave it out";
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "identifier-stays", detail);
        return Err(problem.at(&format!("/{name}")));
    }
    // One edit at a time: between the look at the revision and the event nobody else edits.
    let _turn = door.edits.lock().await;
    let now = one(&door, CustomerId(id.clone())).await?;
    if expected.is_some_and(|revision| revision != now.revision) {
        let detail = "somebody changed this customer since you read it: hold `yours` against `current`, and send your change again with \
                      its revision in If-Match";
        let current = serde_json::to_value(&now).expect("a customer is plain data");
        let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "changed-meanwhile", detail);
        data.append(&mut who);
        return Err(problem
            .with("current", current)
            .with("yours", data)
            .header(header::ETAG, &etag(now.revision)));
    }
    // Whoever asks later who wrote this is told.
    data.entry("staff")
        .or_insert_with(|| Value::String(caller.name.to_string()));
    let replaced = replaced(&who, &now, &door.merchant.live().shop);
    if !replaced.is_empty() {
        data.insert("replace".into(), json!(replaced));
    }
    who.insert("id".into(), Value::String(id.clone()));
    data.insert("customer".into(), Value::Object(who));
    door.submit(event("customer.updated", data)?, caller.sender())
        .await
        .map_err(Problem::seen_from_body)?;
    Ok(answer(StatusCode::OK, one(&door, CustomerId(id)).await?))
}

/// The kinds of identifiers that an edit gives another value to. One that is sent as it was is no
/// change: a customer whose number is only confirmed keeps what they agreed to.
fn replaced(who: &Map<String, Value>, now: &Customer, shop: &Shop) -> Vec<&'static str> {
    let text = |name: &str| who.get(name).and_then(Value::as_str);
    let normal = [
        ("email", text("email").map(normal_email)),
        (
            "phone",
            text("phone").map(|phone| normal_phone(phone, &shop.file.country)),
        ),
        ("card", text("card").map(normal_card)),
    ];
    let given = normal
        .into_iter()
        .filter_map(|(kind, value)| Some((kind, value?.ok()?)));
    given
        .filter(|(kind, value)| {
            let mut same = now.identities.iter().filter(|it| it.kind == *kind);
            same.all(|it| it.value != *value) && now.identities.iter().any(|it| it.kind == *kind)
        })
        .map(|(kind, _)| kind)
        .collect()
}

/// One customer, or a 404.
pub async fn one(door: &Arc<Door>, id: CustomerId) -> Result<Customer, Problem> {
    let live = door.merchant.live();
    door.read(move |reads| {
        let record = record(reads, &id)?;
        let (places, _) = places(reads, &id)?;
        let customer = view(record, reads, &live.shop, clock::now())?;
        Ok(Customer {
            locations: Some(places.into_iter().map(|at| at.location).collect()),
            ..customer
        })
    })
    .await
}

pub(super) fn answer(status: StatusCode, customer: Customer) -> Response {
    let tag = etag(customer.revision);
    let mut response = (status, Json(customer)).into_response();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

fn etag(revision: u64) -> String {
    format!("\"{revision}\"")
}

/// The revision that an edit was made on; `None` where the caller says that any will do.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(given) = headers.get(header::IF_MATCH) else {
        let detail = "send the ETag of the customer that you edited as If-Match, so that nobody's change is overwritten";
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "if-match-required",
            detail,
        ));
    };
    let text = given.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let revision = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .and_then(|text| text.parse().ok());
    revision.map(Some).ok_or_else(|| {
        bad_request(
            "bad-if-match",
            "If-Match must be the ETag of the customer, such as \"7\", or *",
        )
    })
}

/// Moves what names the customer out of a body; what it means is checked at admission.
fn take_identifiers(data: &mut Map<String, Value>) -> Map<String, Value> {
    let names = ["email", "phone", "card", "external"];
    names
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), data.remove(name)?)))
        .collect()
}

/// A profile that is there already is not made twice. Two that come at the same moment still end in
/// one customer, because the line attaches the second to the first.
async fn refuse_if_there(
    door: &Arc<Door>,
    who: &Map<String, Value>,
    location: Option<&str>,
) -> Result<(), Problem> {
    let live = door.merchant.live();
    let text = |name: &str| who.get(name).and_then(Value::as_str).map(str::to_owned);
    let country = country(&live.shop, location);
    // What is malformed is told by admission, with its place.
    let normal: Vec<(IdentifierKind, String)> = [
        text("email").and_then(|email| Some((IdentifierKind::Email, normal_email(&email).ok()?))),
        text("phone")
            .and_then(|phone| Some((IdentifierKind::Phone, normal_phone(&phone, country).ok()?))),
        text("card").and_then(|card| Some((IdentifierKind::Card, normal_card(&card).ok()?))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let there = door
        .read(move |reads| {
            for (kind, value) in &normal {
                if let Some(found) = reads
                    .customers(Find::Identifier(*kind, value), None, 1)?
                    .pop()
                {
                    return Ok(Some((*kind, found.id)));
                }
            }
            Ok(None)
        })
        .await?;
    match there {
        None => Ok(()),
        Some((kind, id)) => {
            let detail = format!(
                "there is a customer with this {} already: edit that one",
                kind.name()
            );
            let place = format!("/v1/customers/{}", id.0);
            let problem = Problem::new(StatusCode::CONFLICT, "customer-exists", detail)
                .at(&format!("/{}", kind.name()));
            Err(problem
                .with("customer", id.0)
                .header(header::LOCATION, &place))
        }
    }
}

/// The event that a request becomes. Its name is new: a request is not sent twice by anybody but
/// people, and what they make twice is found by its identifiers.
pub(super) fn event(kind: &str, data: Map<String, Value>) -> Result<Bytes, Problem> {
    event_at(kind, data, clock::now())
}

/// The same, of an instant that need not be now.
pub(super) fn event_at(
    kind: &str,
    data: Map<String, Value>,
    at: Instant,
) -> Result<Bytes, Problem> {
    let random: [u8; 16] = crate::keys::random().map_err(|error| {
        tracing::error!(%error, "no random numbers");
        super::problem::internal()
    })?;
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let event = json!({
        "specversion": "1.0", "source": SOURCE, "id": id, "type": kind,
        "time": calendar::text(at), "data": data,
    });
    Ok(Bytes::from(event.to_string()))
}

/// What is looked for, in its normal form.
enum Wanted {
    All,
    Identifier(IdentifierKind, String),
    Tag(String),
    Segment(String),
    Tier(String),
    Text(String),
}

impl Wanted {
    fn of(filter: Filter, shop: &Shop) -> Result<Wanted, Problem> {
        let Filter {
            email,
            phone,
            card,
            external,
            tag,
            segment,
            tier,
            text,
            q,
            location,
            ..
        } = filter;
        let given = [
            ("email", email),
            ("phone", phone),
            ("card", card),
            ("external", external),
            ("tag", tag),
            ("segment", segment),
            ("tier", tier),
            ("text", text),
            ("q", q),
        ];
        let mut given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let Some((name, value)) = given.next() else {
            return Ok(Wanted::All);
        };
        if let Some((other, _)) = given.next() {
            let detail = format!("look for customers by {name} or by {other}, not by both");
            return Err(bad_request("bad-query", detail).with("parameter", other));
        }
        let identifier = |kind, normal: Result<String, Refusal>| {
            let told = |refusal: Refusal| {
                bad_request(refusal.code(), refusal.to_string()).with("parameter", name)
            };
            Ok(Wanted::Identifier(kind, normal.map_err(told)?))
        };
        match name {
            "email" => identifier(IdentifierKind::Email, normal_email(&value)),
            "phone" => identifier(
                IdentifierKind::Phone,
                normal_phone(&value, country(shop, location.as_deref())),
            ),
            "card" => identifier(IdentifierKind::Card, normal_card(&value)),
            "external" => identifier(IdentifierKind::External, Ok(value)),
            "tag" => Ok(Wanted::Tag(shop.tags.key_of(value.trim()).to_owned())),
            "segment" => Ok(Wanted::Segment(value)),
            "tier" => Ok(Wanted::Tier(value)),
            _ => Ok(Wanted::Text(value)),
        }
    }

    fn find(&self) -> Find<'_> {
        match self {
            Wanted::All => Find::All,
            Wanted::Identifier(kind, value) => Find::Identifier(*kind, value),
            Wanted::Tag(tag) => Find::Tag(tag),
            Wanted::Segment(segment) => Find::Segment(segment),
            Wanted::Tier(tier) => Find::Tier(tier),
            Wanted::Text(text) => Find::Text(text),
        }
    }
}

/// One customer by one thing that they go by, in its normal form.
pub enum Looked {
    Id(CustomerId),
    Identifier(IdentifierKind, String),
}

impl Looked {
    pub fn of(named: &WhoIs, shop: &Shop) -> Result<Looked, Problem> {
        let told = |refusal: Refusal| {
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                refusal.code(),
                refusal.to_string(),
            )
        };
        let identifier = |kind, normal: Result<String, Refusal>| {
            Ok(Looked::Identifier(kind, normal.map_err(told)?))
        };
        match named {
            WhoIs {
                id: Some(id),
                email: None,
                phone: None,
                card: None,
            } => Ok(Looked::Id(CustomerId(id.clone()))),
            WhoIs {
                id: None,
                email: Some(email),
                phone: None,
                card: None,
            } => identifier(IdentifierKind::Email, normal_email(email)),
            WhoIs {
                id: None,
                email: None,
                phone: Some(phone),
                card: None,
            } => identifier(
                IdentifierKind::Phone,
                normal_phone(phone, &shop.file.country),
            ),
            WhoIs {
                id: None,
                email: None,
                phone: None,
                card: Some(card),
            } => identifier(IdentifierKind::Card, normal_card(card)),
            _ => {
                let detail = "name a customer by one of id, email, phone and card";
                Err(bad_request("bad-customer", detail))
            }
        }
    }

    pub fn find(&self, reads: &Reads) -> Result<Option<CustomerId>, Problem> {
        let found = match self {
            Looked::Id(id) => reads.customer(id)?,
            Looked::Identifier(kind, value) => reads
                .customers(Find::Identifier(*kind, value), None, 1)?
                .pop(),
        };
        Ok(found.map(|customer| customer.id))
    }
}

fn country<'a>(shop: &'a Shop, location: Option<&str>) -> &'a str {
    location
        .and_then(|id| shop.place(id))
        .map_or(&shop.file.country, |place| &place.place.country)
}
