//! Delivery: follow-ups leave from the outbox when they are due, each by a signed POST of its own.
//!
//! What is sent was committed before: the outbox is the only place from which anything leaves. It is a
//! chore with threads of its own, so a receiver that is slow or gone holds up no till. What it comes to is
//! noted in the outbox; what was under way when the server ended is sent again under the same name, so a
//! receiver that remembers names has each message once.

mod message;
mod schedule;
mod signature;

use crate::chores::{Chores, Closing};
use crate::clock;
use crate::desk::{Desk, Live};
use crate::keys;
use message::{Message, Of};
use parking_lot::Mutex;
use schedule::{Failed, next_attempt, retry_after};
use signature::{SecretError, SigningSecret, seconds};
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::follow_ups::may_be_written;
use stampcard_pipeline::rules::Purpose;
use stampcard_pipeline::shop::Delivery;
use stampcard_pipeline::store::StoreError;
use stampcard_store::Delivered;
use stampcard_store::reads::{CustomerRecord, OutboxRow};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use ureq::Agent;

/// How soon after it is due a follow-up leaves.
const BEAT: Duration = Duration::from_secs(1);
/// Follow-ups that are taken from the outbox at once: some seconds of work for one receiver.
const ROUND_ROWS: u32 = 64;
/// The most of an answer that is read, in bytes: it says nothing that we need.
const ANSWER_BYTES_MAX: u64 = 4 << 10;
const HOUR_MS: i64 = 3_600_000;

/// What delivery has come to since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFigures {
    pub sent: u64,
    /// Attempts that the receiver did not take.
    pub failed: u64,
    /// Follow-ups that were given up.
    pub dead: u64,
}

/// The sender of one shop.
pub struct Sender {
    desk: Arc<Desk>,
    shop: String,
    sent: AtomicU64,
    failed: AtomicU64,
    dead: AtomicU64,
    /// The receiver wants to hear nothing before that.
    rests_until: Mutex<Instant>,
    /// The last round brought nothing through: the next one tries a single message.
    is_down: AtomicBool,
    /// Why nothing can be sent, as it was logged last.
    problem: Mutex<Option<SecretError>>,
    /// One for the settings that it was made for, so that connections are kept.
    agent: Mutex<Option<(Delivery, Agent)>>,
}

/// What a receiver said to one message.
enum Said {
    Took,
    Refused {
        problem: String,
        asked_ms: Option<i64>,
    },
}

impl Sender {
    /// Sends what is due for as long as the shop is tended.
    pub fn start(chores: &mut Chores, desk: Arc<Desk>, shop: &str) -> Arc<Sender> {
        let sender = Arc::new(Sender {
            desk,
            shop: shop.to_owned(),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dead: AtomicU64::new(0),
            rests_until: Mutex::new(Instant(0)),
            is_down: AtomicBool::new(false),
            problem: Mutex::default(),
            agent: Mutex::default(),
        });
        let sends = Arc::clone(&sender);
        chores.every(BEAT, "delivery", move |closing| sends.look(closing));
        sender
    }

    pub fn figures(&self) -> DeliveryFigures {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        DeliveryFigures {
            sent: read(&self.sent),
            failed: read(&self.failed),
            dead: read(&self.dead),
        }
    }

    /// Sends round after round until nothing is due, or the receiver takes nothing.
    fn look(&self, closing: &Closing) {
        loop {
            let live = self.desk.live();
            let Some(delivery) = live.shop.file.delivery.clone() else {
                return;
            };
            if closing.is_near() || *self.rests_until.lock() > clock::now() {
                return;
            }
            match self.round(&live, &delivery, closing) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(%error, "the outbox cannot be read or written, and nothing is sent");
                    return;
                }
            }
        }
    }

    /// Whether there may be more to do at once.
    fn round(
        &self,
        live: &Live,
        delivery: &Delivery,
        closing: &Closing,
    ) -> Result<bool, StoreError> {
        let is_down = self.is_down.load(Ordering::Relaxed);
        let rows = if is_down { 1 } else { ROUND_ROWS };
        let due = self
            .desk
            .store
            .reads()
            .whose_turn_it_is(clock::now(), rows)?;
        if due.is_empty() {
            return Ok(false);
        }
        let Some(secret) = self.secret(delivery) else {
            return Ok(false);
        };
        let (agent, got_through) = (self.agent(delivery), AtomicBool::new(false));
        let (waiting, broken) = (Mutex::new(VecDeque::from(due)), Mutex::new(None));
        std::thread::scope(|scope| {
            for _ in 0..delivery.at_once {
                scope.spawn(|| {
                    loop {
                        let Some(row) = waiting.lock().pop_front() else {
                            return;
                        };
                        // What the receiver said to one counts for all that are left of the round.
                        if closing.is_near() || *self.rests_until.lock() > clock::now() {
                            return;
                        }
                        let to = Receiver {
                            delivery,
                            secret: &secret,
                            agent: &agent,
                        };
                        match self.one(row, live, &to) {
                            Ok(true) => got_through.store(true, Ordering::Relaxed),
                            Ok(false) => {}
                            Err(error) => *broken.lock() = Some(error),
                        }
                    }
                });
            }
        });
        if let Some(error) = broken.into_inner() {
            return Err(error);
        }
        // Reads see what is committed: what was noted is, before the outbox is asked again.
        self.desk.store.flush()?;
        let got_through = got_through.into_inner();
        self.is_down.store(!got_through, Ordering::Relaxed);
        Ok(got_through)
    }

    /// Settles one row; false where the receiver did not take it.
    fn one(&self, row: OutboxRow, live: &Live, to: &Receiver) -> Result<bool, StoreError> {
        let (id, reads) = (row.id, self.desk.store.reads());
        // It may have been cancelled since the round began.
        let Some(row) = reads.follow_up(id)?.filter(|row| row.state == "planned") else {
            return Ok(true);
        };
        let Some(customer) = reads.customer(&row.customer)? else {
            return Ok(true);
        };
        let now = clock::now();
        if let Some(settled) = without_sending(&row, &customer, live, to.delivery, now) {
            self.desk.store.delivered(id, &settled)?;
            return Ok(true);
        }
        let person = reads.person(&row.customer)?;
        let of = Of {
            shop: &self.shop,
            shop_language: &live.shop.file.language,
            referral: live.shop.file.referral.as_ref(),
            secret: self.desk.store.secret(),
            person: &person,
            head: &customer.head,
        };
        let attempts = row.attempts + 1;
        let message = match Message::of(row, &of, attempts, now) {
            Ok(message) => message,
            Err(problem) => {
                self.dead.fetch_add(1, Ordering::Relaxed);
                let problem = problem.to_string();
                let dead = Delivered::Dead { problem, at: now };
                self.desk.store.delivered(id, &dead)?;
                return Ok(true);
            }
        };
        let said = to.send(&message, now);
        let now = clock::now();
        let Said::Refused { problem, asked_ms } = said else {
            self.sent.fetch_add(1, Ordering::Relaxed);
            self.desk
                .store
                .delivered(id, &Delivered::Sent { at: now })?;
            return Ok(true);
        };
        self.failed.fetch_add(1, Ordering::Relaxed);
        if asked_ms.is_some() {
            let failed = Failed {
                attempts: 0,
                now,
                asked_ms,
            };
            // How long is bounded by the same rule as for the message itself.
            if let Some(until) = next_attempt(failed, to.delivery, chance()) {
                let mut rests_until = self.rests_until.lock();
                *rests_until = until.max(*rests_until);
            }
        }
        let failed = Failed {
            attempts,
            now,
            asked_ms,
        };
        let delivered = match next_attempt(failed, to.delivery, chance()) {
            Some(next) => {
                tracing::warn!(
                    message = message.id,
                    attempts,
                    problem,
                    "a follow-up was not taken"
                );
                Delivered::Failed { problem, next }
            }
            None => {
                self.dead.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    message = message.id,
                    attempts,
                    problem,
                    "a follow-up is given up"
                );
                Delivered::Dead { problem, at: now }
            }
        };
        self.desk.store.delivered(id, &delivered)?;
        Ok(false)
    }

    /// What to sign with; a problem is logged once and not every second.
    fn secret(&self, delivery: &Delivery) -> Option<SigningSecret> {
        let mut known = self.problem.lock();
        match SigningSecret::find(&delivery.secret) {
            Ok(secret) => {
                *known = None;
                Some(secret)
            }
            Err(problem) => {
                if known.as_ref() != Some(&problem) {
                    tracing::error!("nothing is sent: {problem}");
                }
                *known = Some(problem);
                None
            }
        }
    }

    fn agent(&self, delivery: &Delivery) -> Agent {
        let mut known = self.agent.lock();
        if let Some((of, agent)) = known.as_ref()
            && of == delivery
        {
            return agent.clone();
        }
        let timeout = Duration::from_secs(delivery.timeout_seconds.into());
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A signed message goes where the shop said and nowhere else.
            .max_redirects(0)
            .timeout_global(Some(timeout))
            .max_idle_connections_per_host(delivery.at_once as usize)
            .user_agent(concat!("stampcard/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = config.new_agent();
        *known = Some((delivery.clone(), agent.clone()));
        agent
    }
}

/// Why a follow-up is not sent now, if it is not.
fn without_sending(
    row: &OutboxRow,
    customer: &CustomerRecord,
    live: &Live,
    delivery: &Delivery,
    now: Instant,
) -> Option<Delivered> {
    let has_expired = row.expires_at.is_some_and(|end| end <= now);
    let late_ms = i64::from(delivery.late_hours) * HOUR_MS;
    // Whoever was promised a message after a night, or after a receiver was mended, still gets it.
    let is_new = row.attempts == 0 && row.next_attempt.is_none();
    if has_expired || is_new && now.0 - row.due.0 > late_ms {
        return Some(Delivered::TooLate { at: now });
    }
    let purpose = match row.purpose.as_str() {
        "service" => Purpose::Service,
        _ => Purpose::Marketing,
    };
    if !may_be_written(&customer.head, &row.channel, purpose) {
        return Some(Delivered::Suppressed);
    }
    let quiet = delivery.quiet_until(now, &live.shop);
    let until = quiet.filter(|_| purpose == Purpose::Marketing)?;
    Some(Delivered::Waits { until })
}

/// Who is written to on behalf of customers.
struct Receiver<'a> {
    delivery: &'a Delivery,
    secret: &'a SigningSecret,
    agent: &'a Agent,
}

impl Receiver<'_> {
    fn send(&self, message: &Message, now: Instant) -> Said {
        let signature = self.secret.sign(&message.id, now, &message.body);
        let answered = self
            .agent
            .post(&self.delivery.url)
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds(now).to_string())
            .header("webhook-signature", signature)
            .content_type("application/json")
            .send(message.body.as_str());
        let mut answer = match answered {
            Ok(answer) => answer,
            Err(error) => {
                return Said::Refused {
                    problem: error.to_string(),
                    asked_ms: None,
                };
            }
        };
        let status = answer.status();
        let header = answer.headers().get("retry-after");
        let asked = header.and_then(|header| header.to_str().ok());
        let asked_ms = asked.and_then(|asked| retry_after(asked, clock::now()));
        // Read to its end, so that the connection can be used again.
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        drop(body.read_to_vec());
        match status.is_success() {
            true => Said::Took,
            false => Said::Refused {
                problem: format!("the receiver answered {status}"),
                asked_ms: asked_ms.filter(|_| matches!(status.as_u16(), 429 | 503)),
            },
        }
    }
}

/// Any number; where the system gives none, all wait alike, which does no harm.
fn chance() -> u64 {
    keys::random().map_or(0, u64::from_le_bytes)
}
