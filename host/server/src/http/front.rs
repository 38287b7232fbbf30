//! The door of a server of several shops: which shop a request is for follows from its key.
//!
//! Behind it each shop has the router, the quotas and the limits that it has alone, so nothing of one
//! can be reached with a key of another. Whoever shows no key that is known is answered here, in the
//! lobby, where no shop is named or counted.
//!
//! Keys may be made beside the open server. A key that is not known waits for the next round, which
//! asks every shop for its new ones: so whoever guesses keys costs ten short rounds a second at most.

use super::around::{self, Around};
use super::problem::{Problem, not_open, overloaded};
use super::{Door, House, ask, auth, health, hooks, limits, openapi, routes};
use crate::merchants::{Merchants, Shop, State as ShopState};
use arc_swap::ArcSwap;
use auth::KeyHash;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, get, on, post};
use axum::{Extension, Json, Router};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use serde::Serialize;
use stampcard_store::Reads;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tracing::{Instrument, Span};

/// The least time between the beginnings of two rounds.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(100);
/// How long a request waits until its key is known.
const KEY_TIME_MAX: Duration = Duration::from_secs(5);
/// Memory of the page cache with which keys are read, in KiB: a hundred keys are one page.
const KEYS_CACHE_KIB: u32 = 64;

pub struct Front {
    pub merchants: Arc<Merchants>,
    house: House,
    /// What is counted of requests without a key.
    pub lobby: Arc<Around>,
    index: ArcSwap<HashMap<KeyHash, Arc<Gate>>>,
    gates: Mutex<BTreeMap<String, Keyed>>,
    /// When the last round began. It is held during a round.
    round: tokio::sync::Mutex<Option<Instant>>,
    /// There are shops whose keys cannot be read, so a key that is not known may yet be one.
    is_blind: AtomicBool,
}

/// The way to one shop.
struct Gate {
    /// Empty until the shop is open.
    way: OnceLock<Way>,
}

struct Way {
    door: Arc<Door>,
    router: TowerToHyperService<Router>,
    /// Places for requests that are under way.
    places: Arc<Semaphore>,
    /// Names the shop in the log.
    span: Span,
}

/// A gate, and how far the keys of its shop were read.
struct Keyed {
    gate: Arc<Gate>,
    /// Kept once the shop is open: until then its file may be replaced by another.
    reads: Option<Reads>,
    last: i64,
}

/// Why a request that shows a key is answered in the lobby.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TurnedAway {
    /// The shop is not open, or nobody can say now whether it is one that is not.
    NotOpen,
    /// The shop has as many requests under way as it may have.
    Overloaded,
}

impl Front {
    pub fn new(merchants: Arc<Merchants>, house: House) -> Arc<Front> {
        Arc::new(Front {
            merchants,
            lobby: Arc::new(Around::new(&house.ids)),
            house,
            index: ArcSwap::default(),
            gates: Mutex::default(),
            round: tokio::sync::Mutex::new(None),
            is_blind: AtomicBool::new(false),
        })
    }

    /// Learns of every shop that opens.
    pub fn follow_changes(self: &Arc<Self>) {
        let front = Arc::clone(self);
        let mut changed = self.merchants.changed();
        changed.mark_changed();
        tokio::spawn(async move {
            while changed.changed().await.is_ok() {
                front.look_around().await;
            }
        });
    }

    /// The doors of all shops that are open, by their names.
    pub fn doors(&self) -> Vec<Arc<Door>> {
        let gates = self.gates.lock();
        let ways = gates.values().filter_map(|keyed| keyed.gate.way.get());
        ways.map(|way| Arc::clone(&way.door)).collect()
    }

    /// The gates of all shops, by their names.
    fn gates(&self) -> Vec<Arc<Gate>> {
        let gates = self.gates.lock();
        gates
            .values()
            .map(|keyed| Arc::clone(&keyed.gate))
            .collect()
    }

    /// The gate of the shop that a key belongs to.
    async fn gate_of(self: &Arc<Self>, key: &KeyHash) -> Option<Arc<Gate>> {
        let known = || self.index.load().get(key).cloned();
        if let Some(gate) = known()
            && gate.way.get().is_some()
        {
            return Some(gate);
        }
        // It may have been made, or its shop opened, a moment ago.
        let asked = Instant::now();
        let mut last = self.round.lock().await;
        if last.is_none_or(|last| last <= asked) {
            if let Some(last) = *last {
                tokio::time::sleep_until((last + BETWEEN_ROUNDS).into()).await;
            }
            // Written down when it is done: whoever waits for a round that somebody gave up begins
            // another one.
            let began = Instant::now();
            self.look_around().await;
            *last = Some(began);
        }
        known()
    }

    async fn look_around(self: &Arc<Self>) {
        let front = Arc::clone(self);
        if tokio::task::spawn_blocking(move || front.look_around_here())
            .await
            .is_err()
        {
            tracing::error!("the keys of the shops could not be looked through");
        }
    }

    /// Makes the doors of shops that have opened, and reads the keys that are new.
    fn look_around_here(&self) {
        let shops = self.merchants.all();
        let mut gates = self.gates.lock();
        let mut new: Vec<(KeyHash, Arc<Gate>)> = Vec::new();
        let mut is_blind = false;
        for (name, shop) in shops {
            let keyed = gates.entry(name).or_insert_with(Keyed::new);
            if let ShopState::Open(merchant) = &shop.state {
                keyed.gate.way.get_or_init(|| {
                    let merchant = Arc::clone(merchant);
                    let span = merchant.span().clone();
                    let door = Door::new(merchant, &self.house, shop.requests_per_minute, false);
                    let door = Arc::new(door);
                    let router = TowerToHyperService::new(super::router(Arc::clone(&door)));
                    let places = Arc::new(Semaphore::new(limits::REQUESTS_OF_A_SHOP_MAX));
                    Way {
                        door,
                        router,
                        places,
                        span,
                    }
                });
            }
            match keyed.read(&shop) {
                Some(keys) => {
                    new.extend(keys.into_iter().map(|key| (key, Arc::clone(&keyed.gate))))
                }
                None => is_blind = true,
            }
        }
        self.is_blind.store(is_blind, Ordering::Release);
        let index = self.index.load();
        // A key leads to one shop. Of a copy of a shop, which is not opened, it leads to none.
        let is_news = |(key, gate): &(KeyHash, Arc<Gate>)| match index.get(key) {
            None => true,
            Some(known) => known.way.get().is_none() && gate.way.get().is_some(),
        };
        new.retain(is_news);
        new.sort_by_key(|(_, gate)| gate.way.get().is_some());
        if !new.is_empty() {
            let mut more = HashMap::clone(&index);
            more.extend(new);
            self.index.store(Arc::new(more));
        }
    }
}

impl Keyed {
    fn new() -> Keyed {
        Keyed {
            gate: Arc::new(Gate {
                way: OnceLock::new(),
            }),
            reads: None,
            last: 0,
        }
    }

    /// The keys that are new to us; `None` if they cannot be read.
    fn read(&mut self, shop: &Shop) -> Option<Vec<KeyHash>> {
        let is_open = matches!(shop.state, ShopState::Open(_));
        if self.reads.is_none() {
            let opened = Reads::open(&shop.folder.database(), 1, KEYS_CACHE_KIB);
            match opened {
                Ok(reads) => {
                    self.last = 0;
                    self.reads = Some(reads);
                }
                Err(error) => {
                    tracing::debug!(%error, "the keys of a shop cannot be read");
                    return None;
                }
            }
        }
        let read = self.reads.as_ref()?.key_hashes_after(self.last);
        if !is_open {
            self.reads = None;
        }
        match read {
            Ok(keys) => {
                if let Some((last, _)) = keys.last() {
                    self.last = *last;
                }
                Some(keys.into_iter().map(|(_, key)| key).collect())
            }
            Err(error) => {
                tracing::warn!(%error, shop = shop.folder.name(), "the keys of a shop cannot be read");
                None
            }
        }
    }
}

/// The router of a server of several shops.
pub fn router(front: Arc<Front>) -> Router {
    let lobby = TowerToHyperService::new(lobby(&front));
    Router::new().fallback(move |request| enter(Arc::clone(&front), lobby.clone(), request))
}

/// Hands a request to the shop whose key it shows, and to the lobby if it shows none.
async fn enter(
    front: Arc<Front>,
    lobby: TowerToHyperService<Router>,
    mut request: Request,
) -> Response {
    let gate = match auth::shown(request.headers()) {
        Ok(key) => tokio::time::timeout(KEY_TIME_MAX, front.gate_of(&key)).await,
        Err(_) => return without_a_key(&front, &lobby, request).await,
    };
    let turned_away = match gate {
        Ok(Some(gate)) => match gate.way.get() {
            Some(way) => match way.places.try_acquire() {
                Ok(_place) => {
                    let answer = through(&way.router, request);
                    return answer.instrument(way.span.clone()).await;
                }
                Err(_) => Some(TurnedAway::Overloaded),
            },
            None => Some(TurnedAway::NotOpen),
        },
        Ok(None) if !front.is_blind.load(Ordering::Acquire) => None,
        Ok(None) | Err(_) => Some(TurnedAway::NotOpen),
    };
    if let Some(turned_away) = turned_away {
        request.extensions_mut().insert(turned_away);
    }
    through(&lobby, request).await
}

/// The signature of a webhook is its key: it goes to the shop whose hook signed it. Where none did, a
/// shop that has such a hook says so.
async fn without_a_key(
    front: &Arc<Front>,
    lobby: &TowerToHyperService<Router>,
    request: Request,
) -> Response {
    let source = match hooks::source_of(request.uri().path()) {
        Some(source) if request.method() == Method::POST => source.to_owned(),
        _ => return through(lobby, request).await,
    };
    let (mut parts, body) = request.into_parts();
    let bytes = match ask::body(&parts.headers, body, limits::HOOK_BYTES_MAX).await {
        Ok(bytes) => bytes,
        Err(problem) => {
            parts.extensions.insert(problem);
            return through(lobby, Request::from_parts(parts, Body::empty())).await;
        }
    };
    let mut found = None;
    for gate in front.gates() {
        let Some(way) = gate.way.get() else {
            continue;
        };
        match way.door.signed(&source, &parts.headers, &bytes).await {
            Some(true) => {
                found = Some(gate);
                break;
            }
            Some(false) => found = Some(gate),
            None => {}
        }
    }
    let mut request = Request::from_parts(parts, Body::from(bytes));
    let Some(way) = found.as_ref().and_then(|gate| gate.way.get()) else {
        return through(lobby, request).await;
    };
    match way.places.try_acquire() {
        Ok(_place) => {
            let answer = through(&way.router, request);
            answer.instrument(way.span.clone()).await
        }
        Err(_) => {
            let problem = overloaded(limits::RETRY_AFTER_S);
            request.extensions_mut().insert(problem);
            through(lobby, request).await
        }
    }
}

async fn through(router: &TowerToHyperService<Router>, request: Request) -> Response {
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// For requests without a key that is known: the same paths, with nothing behind them.
fn lobby(front: &Arc<Front>) -> Router {
    let mut lobby = Router::new()
        .route("/healthz", get(health::alive))
        .route("/openapi.json", get(openapi::show))
        .route("/readyz", get(ready).with_state(Arc::clone(front)))
        // Figures name shops: each shop's are shown for its keys, and all for whoever runs the server.
        .route("/metrics", get(refuse))
        .route("/v1/hooks/{source}", post(hooks::refuse));
    for route in routes::all() {
        if route.may.is_some() {
            let method = match route.method {
                "post" => MethodFilter::POST,
                "put" => MethodFilter::PUT,
                "patch" => MethodFilter::PATCH,
                "delete" => MethodFilter::DELETE,
                _ => MethodFilter::GET,
            };
            lobby = lobby.route(route.path, on(method, refuse));
        }
    }
    lobby
        .fallback(around::no_such_path)
        .method_not_allowed_fallback(around::no_such_method)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&front.lobby),
            around::around,
        ))
}

async fn refuse(turned_away: Option<Extension<TurnedAway>>, request: Request) -> Problem {
    match (turned_away, auth::shown(request.headers())) {
        (Some(Extension(turned_away)), _) => turned_away.problem(),
        (None, Ok(_)) => auth::unknown_key(),
        (None, Err(problem)) => problem,
    }
}

impl TurnedAway {
    fn problem(self) -> Problem {
        match self {
            TurnedAway::NotOpen => not_open(limits::RETRY_AFTER_NOT_OPEN_S),
            TurnedAway::Overloaded => overloaded(limits::RETRY_AFTER_S),
        }
    }
}

/// What everybody may know of the whole server.
#[derive(Debug, Serialize)]
struct Ready {
    /// Always `ready`; a server that takes events for nobody answers 503.
    status: &'static str,
}

async fn ready(
    State(front): State<Arc<Front>>,
    turned_away: Option<Extension<TurnedAway>>,
) -> Result<Response, Problem> {
    // Whoever asks with the key of a shop asks for that shop.
    if let Some(Extension(turned_away)) = turned_away {
        return Err(turned_away.problem());
    }
    let is_ready = |door: &Arc<Door>| door.merchant.health().ready;
    if !front.doors().iter().any(is_ready) {
        return Err(not_open(limits::RETRY_AFTER_NOT_OPEN_S));
    }
    Ok(Json(Ready { status: "ready" }).into_response())
}
