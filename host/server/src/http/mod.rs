//! The HTTP door: requests become events or reads, outcomes become answers.
//!
//! It decides nothing about customers. [`routes`] is the list of what there is; [`around`] is what
//! happens to every request.

mod allowances;
mod applicable;
mod around;
mod ask;
pub mod auth;
mod copy;
mod customers;
mod decision;
mod devices;
mod effect;
mod event_view;
mod events;
mod forgetting;
mod front;
mod health;
mod history;
mod hooks;
mod installing;
mod limits;
mod listen;
mod membership;
mod merges;
mod metrics;
mod next;
mod notes;
mod openapi;
mod operations;
mod orders;
pub mod outbox;
mod page;
mod plugins;
mod problem;
mod products;
mod profile;
mod profile_rules;
mod quota;
mod redemptions;
mod referral;
mod reports;
mod review_items;
mod routes;
mod rules;
mod schema;
mod segments;
mod stock;
mod stream;
mod tag_jobs;
mod tag_list;
pub mod tags;
mod tier;
mod till;
mod tokens;

use crate::clock;
use crate::merchant::Merchant;
use crate::merchants::Merchants;
use around::Around;
use auth::{Caller, KeyHash, Role};
use axum::Router;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
pub use listen::bind;
use parking_lot::Mutex;
use problem::Problem;
use quota::Quota;
use stampcard_pipeline::admit::Sender;
use stampcard_pipeline::change::CustomerId;
use stampcard_pipeline::event::Instant as Moment;
use stampcard_pipeline::outcome::{Outcome, Status};
use stampcard_pipeline::shop::ReferralPolicy;
use stampcard_store::{ApiKey, KeyRing, Reads};
use std::collections::HashMap;
use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// Answers requests to one shop until `stop` ends, and then those that are under way. `copy_of` is the instant
/// of which the shop is a copy, if it is one.
pub async fn serve(
    merchant: Arc<Merchant>,
    listener: TcpListener,
    requests_per_minute: NonZeroU32,
    copy_of: Option<Moment>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let house = House::new()?;
    let door = Arc::new(Door {
        copy_of,
        ..Door::new(merchant, &house, requests_per_minute, true)
    });
    listen::listen(listener, router(door), house.stop_streams_after(stop)).await
}

/// The same for several shops: which one a request is for follows from its key. `operations` is for
/// whoever runs the server.
pub async fn serve_all(
    merchants: Arc<Merchants>,
    listener: TcpListener,
    operations: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let house = House::new()?;
    let front = front::Front::new(merchants, house.clone());
    front.follow_changes();
    let (stopped, mut is_stopped) = watch::channel(false);
    let stop = house.stop_streams_after(stop);
    let stop = async move {
        stop.await;
        stopped.send_replace(true);
    };
    let operations = listen::listen(
        operations,
        operations::router(Arc::clone(&front)),
        async move { drop(is_stopped.wait_for(|is_stopped| *is_stopped).await) },
    );
    let (one, other) = tokio::join!(
        listen::listen(listener, front::router(front), stop),
        operations
    );
    one.and(other)
}

/// What the doors of all shops of a server share.
#[derive(Clone)]
struct House {
    ids: Arc<around::Ids>,
    /// True once the server stops.
    stopping: watch::Sender<bool>,
}

impl House {
    fn new() -> io::Result<House> {
        let start = u32::from_le_bytes(crate::keys::random().map_err(io::Error::other)?);
        Ok(House {
            ids: Arc::new(around::Ids::new(start)),
            stopping: watch::Sender::new(false),
        })
    }

    /// Streams have no end of their own.
    fn stop_streams_after(
        &self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let stopping = self.stopping.clone();
        async move {
            stop.await;
            stopping.send_replace(true);
        }
    }
}

/// What the handlers of one shop share.
pub struct Door {
    merchant: Arc<Merchant>,
    around: Arc<Around>,
    /// Keys that were looked up not long ago. Only keys that work get in, so it stays small.
    known_keys: Mutex<HashMap<KeyHash, (Caller, Instant)>>,
    /// Places for reads, and for those of them that run.
    reading: Arc<Semaphore>,
    running: Arc<Semaphore>,
    quota: Quota,
    /// Places for streams.
    streams: Arc<Semaphore>,
    /// True once the server stops.
    stopping: watch::Sender<bool>,
    /// Held while a profile is edited by hand.
    edits: tokio::sync::Mutex<()>,
    /// The server has no other shop, so its own figures are told with the shop's.
    alone: bool,
    /// The instant of which this shop is a copy, if it is one.
    copy_of: Option<Moment>,
}

/// How long a key that worked is taken without a look. A revoked one ends within this time.
const KEY_KNOWN_FOR: Duration = Duration::from_secs(2);
/// How long the note of a key's use is good enough, in milliseconds: a day.
const KEY_USE_NOTED_FOR_MS: i64 = 24 * 60 * 60 * 1_000;

impl Door {
    fn new(
        merchant: Arc<Merchant>,
        house: &House,
        requests_per_minute: NonZeroU32,
        alone: bool,
    ) -> Door {
        let readers = merchant.store().reads().connections();
        Door {
            merchant,
            around: Arc::new(Around::new(&house.ids)),
            known_keys: Mutex::default(),
            reading: Arc::new(Semaphore::new(limits::READS_MAX)),
            running: Arc::new(Semaphore::new(readers)),
            quota: Quota::new(requests_per_minute),
            streams: Arc::new(Semaphore::new(limits::STREAMS_MAX)),
            stopping: house.stopping.clone(),
            edits: tokio::sync::Mutex::default(),
            alone,
            copy_of: None,
        }
    }

    /// What every amount of the ledger is in.
    fn currency(&self) -> String {
        self.merchant.live().shop.file.currency.clone()
    }

    /// The language of customers who have told none.
    fn language(&self) -> String {
        self.merchant.live().shop.file.language.clone()
    }

    /// How customers bring friends.
    fn referral(&self) -> Option<ReferralPolicy> {
        self.merchant.live().shop.file.referral.clone()
    }

    /// Runs a read on a thread that may block.
    async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Reads) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let Ok(place) = self.reading.clone().try_acquire_owned() else {
            return Err(problem::overloaded(limits::RETRY_AFTER_S));
        };
        // Whoever waits for one of the shop's connections holds no thread: other shops need them.
        let Ok(turn) = self.running.clone().acquire_owned().await else {
            return Err(problem::internal());
        };
        let merchant = self.merchant.clone();
        let read = tokio::task::spawn_blocking(move || {
            let (_place, _turn) = (place, turn);
            work(merchant.store().reads())
        });
        read.await.unwrap_or_else(|_| Err(problem::internal()))
    }

    /// Takes an event; what it did can be read when this returns.
    async fn submit(self: &Arc<Self>, event: Bytes, by: Sender) -> Result<Outcome, Problem> {
        self.may_take(&event)?;
        let came = Instant::now();
        let outcome = self.merchant.submit(event, by).await?;
        self.compare(&outcome);
        if !outcome.points.is_empty() {
            self.around.meters.award_visible(came.elapsed());
        }
        self.named(outcome).await
    }

    /// Writes down where a till has told a customer something else.
    fn compare(&self, outcome: &Outcome) {
        let told = outcome.told_points.filter(|told| told.difference != 0);
        let Some(told) = told.filter(|_| outcome.status != Status::Duplicate) else {
            return;
        };
        self.around.meters.told_otherwise(told.difference);
        tracing::info!(
            source = outcome.event.source,
            id = outcome.event.id,
            told = told.told,
            earned = told.earned,
            "a till told another number of points"
        );
    }

    /// Takes events one after the other, each a commit of its own.
    async fn submit_all(
        self: &Arc<Self>,
        events: Vec<Bytes>,
        by: Sender,
    ) -> Vec<Result<Outcome, Problem>> {
        let mut named = Vec::with_capacity(events.len());
        if self.copy_of.is_some() {
            for event in events {
                named.push(self.submit(event, by.clone()).await);
            }
            return named;
        }
        let answers = self.merchant.submit_in_turn(events, by).await;
        for answer in answers {
            named.push(match answer {
                Ok(outcome) => {
                    self.compare(&outcome);
                    self.named(outcome).await
                }
                Err(refused) => Err(refused.into()),
            });
        }
        named
    }

    /// What an event would do; nothing is committed.
    async fn preview(self: &Arc<Self>, event: Bytes, by: Sender) -> Result<Outcome, Problem> {
        let outcome = self.merchant.preview(event, by).await?;
        self.named(outcome).await
    }

    /// An answer with what its customer is called, where its texts say so.
    async fn named(self: &Arc<Self>, mut outcome: Outcome) -> Result<Outcome, Problem> {
        self.mark(&mut outcome);
        if !outcome.names_somebody() {
            return Ok(outcome);
        }
        let id = outcome
            .customer
            .as_ref()
            .map(|customer| customer.id.clone());
        let id = CustomerId(id.unwrap_or_default());
        let person = self.read(move |reads| Ok(reads.person(&id)?)).await?;
        let policy = self.referral();
        outcome.fill(|field| person.value(field, policy.as_ref()));
        Ok(outcome)
    }

    async fn caller_of(self: &Arc<Self>, hash: KeyHash) -> Result<Caller, Problem> {
        let now = Instant::now();
        let known = self.known_keys.lock().get(&hash).cloned();
        if let Some((caller, since)) = known
            && now.duration_since(since) < KEY_KNOWN_FOR
        {
            return Ok(caller);
        }
        let key = self.read(move |reads| Ok(reads.key(&hash)?)).await?;
        // Whatever the clock says: it may have been set back since.
        let key = key.filter(|key| key.revoked_at.is_none());
        if let Some(key) = &key {
            self.note_use(key);
        }
        let caller = key.and_then(|key| {
            Some(Caller {
                key: hash,
                role: key.role.parse().ok()?,
                name: key.label.into(),
            })
        });
        match &caller {
            Some(caller) => self.known_keys.lock().insert(hash, (caller.clone(), now)),
            None => self.known_keys.lock().remove(&hash),
        };
        caller.ok_or_else(auth::unknown_key)
    }

    /// Writes down once a day that a key is used, beside the request that used it.
    fn note_use(&self, key: &ApiKey) {
        let now = clock::now();
        if key
            .last_used_at
            .is_some_and(|last| now.0 - last.0 < KEY_USE_NOTED_FOR_MS)
        {
            return;
        }
        let id = key.id;
        let path = self.merchant.store().reads().path().to_owned();
        tokio::task::spawn_blocking(move || {
            let noted = KeyRing::open(&path)
                .map_err(|error| error.to_string())
                .and_then(|mut ring| ring.used(id, now).map_err(|error| error.to_string()));
            if let Err(problem) = noted {
                tracing::warn!(key = id, problem, "the use of a key could not be noted");
            }
        });
    }
}

/// The router of all routes, each behind its roles.
fn router(door: Arc<Door>) -> Router {
    let mut router = Router::new();
    for route in routes::all() {
        let takes_query = route.takes_query();
        let handler = match route.may {
            None => route.handler,
            Some(may) => route.handler.route_layer(middleware::from_fn_with_state(
                (door.clone(), may, takes_query),
                only_for,
            )),
        };
        router = router.route(route.path, handler);
    }
    router
        .fallback(around::no_such_path)
        .method_not_allowed_fallback(around::no_such_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&door.around),
            around::around,
        ))
        .with_state(door)
}

/// Lets a request through whose key has one of the roles, and something left of its quota. A query
/// where none is taken is refused, as a misspelt one is elsewhere.
async fn only_for(
    State((door, may, takes_query)): State<(Arc<Door>, &'static [Role], bool)>,
    mut request: Request,
    next: Next,
) -> Response {
    let shown = auth::shown(request.headers());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or(String::new(), |route| route.as_str().to_owned());
    let let_in = async {
        let key = shown?;
        let caller = door.caller_of(key).await?;
        auth::allow(caller.role, may)?;
        door.may_be_told(&method, &route)?;
        Ok::<_, Problem>((caller, door.quota.take(key, Instant::now())?))
    };
    let (caller, left) = match let_in.await {
        Ok(let_in) => let_in,
        Err(problem) => return problem.into_response(),
    };
    let mut response = if takes_query || request.uri().query().is_none_or(str::is_empty) {
        request.extensions_mut().insert(caller);
        next.run(request).await
    } else {
        ask::no_query().into_response()
    };
    merges::lead_on(&mut response, &method, &uri);
    left.tell(response.headers_mut());
    let live = door.merchant.live().number;
    response
        .headers_mut()
        .insert(devices::RULE_BOOK, HeaderValue::from(live));
    response
}

/// Who asks, on the routes that need a key.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.ok_or_else(problem::internal)
    }
}
