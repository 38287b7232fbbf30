//! Customers: found, made, read and edited. Making and editing are events like all others; there
//! is no second way to change anybody.

use super::ask::{ContentType, Query, object};
use super::page::{Page, Paging};
use super::problem::{Problem, bad_request, not_found};
use super::Door;
use crate::clock;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::Json;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use stampcard_pipeline::admit::{normal_card, normal_email, normal_phone};
use stampcard_pipeline::calendar;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::{Consent, Identifier, IdentifierKind, Instant, Money, MonthDay, Points};
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::refusal::Refusal;
use stampcard_pipeline::rules::ProgressUnit;
use stampcard_pipeline::shop::Shop;
use stampcard_store::Reads;
use stampcard_store::reads::{CustomerRecord, Find, Person};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// The source of the events that this file makes of requests.
const SOURCE: &str = "stampcard-api";

/// A customer: who they are, what they hold and where they belong.
#[derive(Debug, Serialize, ToSchema)]
pub struct Customer {
    #[schema(example = "cus_0r6h3m9c1w8k2f7d5t4b9n1q")]
    pub id: String,
    /// E-mail, phone, card and accounts elsewhere, in their normal form.
    pub identities: Vec<Identity>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub address: Option<String>,
    /// `1990-02-28`, or `02-28` where the year is not known.
    #[schema(example = "02-28")]
    pub birthday: Option<String>,
    /// BCP 47.
    pub language: Option<String>,
    /// The location that the customer calls theirs.
    pub home_location: Option<String>,
    pub tier: Option<String>,
    /// Since when and why the tier is held, and what the next one wants.
    pub standing: Standing,
    pub balance: Points,
    /// What can be spent now.
    pub available: Points,
    /// All points ever earned, less what was taken back.
    pub earned: Points,
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
    pub consents: Vec<ConsentView>,
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
    /// `email`, `sms`, `push`, `post`, `phone` or `profiling`.
    pub purpose: String,
    pub granted: bool,
    #[schema(value_type = String, format = DateTime)]
    pub at: Time,
}

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
    /// Beginnings of words of a name, or of an e-mail address.
    #[param(example = "ana ru")]
    pub text: Option<String>,
    /// Whose country reads `phone`.
    pub location: Option<String>,
    /// Rows of this page, from 1 to 500; 50 if it is not given.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
}

pub async fn find(State(door): State<Arc<Door>>, Query(filter): Query<Filter>) -> Result<Json<Page<Customer>>, Problem> {
    let live = door.merchant.live();
    let (limit, cursor) = (filter.limit, filter.cursor.clone());
    let paging = Paging { limit, cursor };
    let (rows, after) = (paging.rows()?, paging.after::<CustomerId>()?);
    let wanted = Wanted::of(filter, &live.shop)?;
    let page = door
        .read(move |reads| {
            let records = reads.customers(wanted.find(), after.as_ref(), rows + 1)?;
            let now = clock::now();
            let customers = records.into_iter().map(|record| Ok(view(record, reads, &live.shop, now)?));
            let customers = customers.collect::<Result<Vec<_>, Problem>>()?;
            Ok(Page::of(customers, rows, |last: &Customer| CustomerId(last.id.clone())))
        })
        .await?;
    Ok(Json(page))
}

pub async fn read(State(door): State<Arc<Door>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let customer = one(&door, CustomerId(id)).await?;
    Ok(answer(StatusCode::OK, customer))
}

pub async fn create(State(door): State<Arc<Door>>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let mut data = object(&headers, body, &[ContentType::Json]).await?;
    let who = take_identifiers(&mut data);
    refuse_if_there(&door, &who, data.get("location").and_then(Value::as_str)).await?;
    data.insert("customer".into(), Value::Object(who));
    let outcome = door.submit(event("customer.created", data)?).await.map_err(Problem::seen_from_body)?;
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
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let expected = if_match(&headers)?;
    let mut data = object(&headers, body, &[ContentType::MergePatch, ContentType::Json]).await?;
    let mut who = take_identifiers(&mut data);
    // One edit at a time: between the look at the revision and the event nobody else edits.
    let _turn = door.edits.lock().await;
    let now = one(&door, CustomerId(id.clone())).await?;
    if expected.is_some_and(|revision| revision != now.revision) {
        let detail = "somebody changed this customer since you read it: look at `current`, and send your change again with \
                      its revision in If-Match";
        let current = serde_json::to_value(&now).expect("a customer is plain data");
        let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "changed-meanwhile", detail);
        return Err(problem.with("current", current).header(header::ETAG, &etag(now.revision)));
    }
    who.insert("id".into(), Value::String(id.clone()));
    data.insert("customer".into(), Value::Object(who));
    door.submit(event("customer.updated", data)?).await.map_err(Problem::seen_from_body)?;
    Ok(answer(StatusCode::OK, one(&door, CustomerId(id)).await?))
}

/// One customer, or a 404.
pub async fn one(door: &Arc<Door>, id: CustomerId) -> Result<Customer, Problem> {
    let live = door.merchant.live();
    door.read(move |reads| {
        let record = record(reads, &id)?;
        view(record, reads, &live.shop, clock::now())
    })
    .await
}

/// The record of one customer, or a 404.
pub fn record(reads: &Reads, id: &CustomerId) -> Result<CustomerRecord, Problem> {
    let detail = "there is no customer with this id; GET /v1/customers?email=… finds customers by what they go by";
    reads.customer(id)?.ok_or_else(|| not_found("no-such-customer", detail))
}

fn view(record: CustomerRecord, reads: &Reads, shop: &Shop, now: Instant) -> Result<Customer, Problem> {
    let person = reads.person(&record.id)?;
    let missing = missing(&person, &record.head, shop);
    let CustomerRecord { id, revision, balance, head, .. } = record;
    let field = |name: &str| person.fields.get(name).cloned();
    let lifetime = head.totals.lifetime;
    Ok(Customer {
        id: id.0,
        given_name: field("given_name"),
        family_name: field("family_name"),
        address: field("address"),
        birthday: head.birthday.map(|day| birthday(day, field("birth_year"))),
        identities: person.identifiers.into_iter().map(identity).collect(),
        tier: head.standing.as_ref().map(|held| held.tier.clone()),
        standing: standing(&head),
        balance,
        available: head.available(now),
        earned: head.earned,
        segments: head.memberships.keys().cloned().collect(),
        tags: head.tags.iter().cloned().collect(),
        orders: lifetime.orders,
        spend: lifetime.spend,
        currency: shop.file.currency.clone(),
        first_order_at: lifetime.first_at.map(Time),
        last_order_at: lifetime.last_at.map(Time),
        consents: consents(&head),
        complete: missing.is_empty(),
        missing,
        created_at: Time(head.created_at),
        enrolled_at: head.enrolled_at.map(Time),
        language: head.language,
        home_location: head.home_location,
        origin: head.origin,
        revision,
    })
}

fn identity(identifier: Identifier) -> Identity {
    Identity { kind: identifier.kind.name(), value: identifier.value }
}

pub fn standing(head: &Fold) -> Standing {
    let held = head.standing.as_ref();
    Standing {
        since: held.map(|held| Time(held.since)),
        keep_until: held.and_then(|held| held.keep_until).map(Time),
        reason: held.map(|held| held.reason.clone()),
        next: head.next_tier.as_ref().map(|next| NextTier { tier: next.tier.clone(), missing: next.missing, unit: next.unit }),
    }
}

pub fn consents(head: &Fold) -> Vec<ConsentView> {
    let view = |consent: &Consent| ConsentView { purpose: consent.purpose.clone(), granted: consent.granted, at: Time(consent.at) };
    head.consents.values().map(view).collect()
}

fn birthday(day: MonthDay, year: Option<String>) -> String {
    let date = format!("{:02}-{:02}", day.month, day.day);
    year.map_or_else(|| date.clone(), |year| format!("{year}-{date}"))
}

/// The fields that the shop wants of a profile and this one lacks.
fn missing(person: &Person, head: &Fold, shop: &Shop) -> Vec<String> {
    let has = |kind| person.identifiers.iter().any(|identifier| identifier.kind == kind);
    let present = |field: &str| match field {
        "email" => has(IdentifierKind::Email),
        "phone" => has(IdentifierKind::Phone),
        "birthday" => head.birthday.is_some(),
        "home_location" => head.home_location.is_some(),
        name => person.fields.contains_key(name),
    };
    shop.file.profile.required.iter().filter(|field| !present(field)).cloned().collect()
}

fn answer(status: StatusCode, customer: Customer) -> Response {
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
        return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, "if-match-required", detail));
    };
    let text = given.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let revision = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|text| text.parse().ok());
    revision.map(Some).ok_or_else(|| bad_request("bad-if-match", "If-Match must be the ETag of the customer, such as \"7\", or *"))
}

/// Moves what names the customer out of a body; what it means is checked at admission.
fn take_identifiers(data: &mut Map<String, Value>) -> Map<String, Value> {
    let names = ["email", "phone", "card", "external"];
    names.into_iter().filter_map(|name| Some((name.to_owned(), data.remove(name)?))).collect()
}

/// A profile that is there already is not made twice. Two that come at the same moment still end in
/// one customer, because the line attaches the second to the first.
async fn refuse_if_there(door: &Arc<Door>, who: &Map<String, Value>, location: Option<&str>) -> Result<(), Problem> {
    let live = door.merchant.live();
    let text = |name: &str| who.get(name).and_then(Value::as_str).map(str::to_owned);
    let country = country(&live.shop, location);
    // What is malformed is told by admission, with its place.
    let normal: Vec<(IdentifierKind, String)> = [
        text("email").and_then(|email| Some((IdentifierKind::Email, normal_email(&email).ok()?))),
        text("phone").and_then(|phone| Some((IdentifierKind::Phone, normal_phone(&phone, country).ok()?))),
        text("card").and_then(|card| Some((IdentifierKind::Card, normal_card(&card).ok()?))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let there = door
        .read(move |reads| {
            for (kind, value) in &normal {
                if let Some(found) = reads.customers(Find::Identifier(*kind, value), None, 1)?.pop() {
                    return Ok(Some((*kind, found.id)));
                }
            }
            Ok(None)
        })
        .await?;
    match there {
        None => Ok(()),
        Some((kind, id)) => {
            let detail = format!("there is a customer with this {} already: edit that one", kind.name());
            let place = format!("/v1/customers/{}", id.0);
            let problem = Problem::new(StatusCode::CONFLICT, "customer-exists", detail).at(&format!("/{}", kind.name()));
            Err(problem.with("customer", id.0).header(header::LOCATION, &place))
        }
    }
}

/// The event that a request becomes. Its name is new: a request is not sent twice by anybody but
/// people, and what they make twice is found by its identifiers.
fn event(kind: &str, data: Map<String, Value>) -> Result<Bytes, Problem> {
    let random: [u8; 16] = crate::keys::random().map_err(|error| {
        tracing::error!(%error, "no random numbers");
        super::problem::internal()
    })?;
    let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let event = json!({
        "specversion": "1.0", "source": SOURCE, "id": id, "type": kind,
        "time": calendar::text(clock::now()), "data": data,
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
        let Filter { email, phone, card, external, tag, segment, tier, text, location, .. } = filter;
        let given = [
            ("email", email),
            ("phone", phone),
            ("card", card),
            ("external", external),
            ("tag", tag),
            ("segment", segment),
            ("tier", tier),
            ("text", text),
        ];
        let mut given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let Some((name, value)) = given.next() else { return Ok(Wanted::All) };
        if let Some((other, _)) = given.next() {
            let detail = format!("look for customers by {name} or by {other}, not by both");
            return Err(bad_request("bad-query", detail).with("parameter", other));
        }
        let identifier = |kind, normal: Result<String, Refusal>| {
            let told = |refusal: Refusal| bad_request(refusal.code(), refusal.to_string()).with("parameter", name);
            Ok(Wanted::Identifier(kind, normal.map_err(told)?))
        };
        match name {
            "email" => identifier(IdentifierKind::Email, normal_email(&value)),
            "phone" => identifier(IdentifierKind::Phone, normal_phone(&value, country(shop, location.as_deref()))),
            "card" => identifier(IdentifierKind::Card, normal_card(&value)),
            "external" => identifier(IdentifierKind::External, Ok(value)),
            "tag" => Ok(Wanted::Tag(value.trim().to_owned())),
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

fn country<'a>(shop: &'a Shop, location: Option<&str>) -> &'a str {
    location.and_then(|id| shop.place(id)).map_or(&shop.file.country, |place| &place.place.country)
}
