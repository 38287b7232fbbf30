//! The conformance run: what a shop promises its customers in both channels, tried out over HTTP as a
//! till and a web store would, with how long each of them waited.

use crate::sandbox::SandboxKeys;
use serde::Serialize;
use serde_json::{Value, json};
use stampcard_pipeline::calendar;
use stampcard_pipeline::event::Instant as Moment;
use stampcard_pipeline::outcome::Time;
use stampcard_pipeline::shop::{PointsWorth, Shop};
use std::time::{Duration, Instant};
use ureq::Agent;

/// How long one request may take.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// The person who buys. Nobody has this address: the domain is kept free for examples.
const EMAIL: &str = "conformance@example.com";
const CARD: &str = "CONFORMANCE-1";
/// A number of the range that is kept free for fiction.
const PHONE: &str = "+12125550100";
const MINUTE_MS: i64 = 60_000;

/// What a run came to. Scripts lean on it.
#[derive(Debug, Serialize)]
pub struct Report {
    pub shop: String,
    pub rule_book: i64,
    pub at: Time,
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
    pub steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
pub struct Step {
    pub name: &'static str,
    pub state: State,
    /// From the request to its answer; for what one channel sees of the other from the answer in the
    /// one to the answer in the other.
    pub micros: u64,
    /// What was found, or what is wrong.
    pub says: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Pass,
    Fail,
    Skipped,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Pass => "pass",
            State::Fail => "FAIL",
            State::Skipped => "skipped",
        }
    }
}

/// Why a shop cannot be tried out at all.
#[derive(Debug, thiserror::Error)]
#[error(
    "no location in merchant.toml is open for good, and a sale at a till needs one; add one under [[locations]]"
)]
pub struct NoLocation;

/// A shop that is tried out.
pub struct Tried<'a> {
    agent: Agent,
    address: String,
    keys: &'a SandboxKeys,
    location: String,
    currency: String,
    /// A hundred whole units of the currency, in minor units.
    total: i64,
    /// The fewest points that are worth something.
    redeemed: i64,
    now: Moment,
}

/// What one step found out: a sentence, and what later steps build on.
type Found<T> = Result<(String, T), String>;

impl<'a> Tried<'a> {
    pub fn new(
        address: &str,
        keys: &'a SandboxKeys,
        shop: &Shop,
        now: Moment,
    ) -> Result<Tried<'a>, NoLocation> {
        let mut open = shop.file.locations.iter();
        let location = open
            .find(|location| location.opened.is_none() && location.closed.is_none())
            .ok_or(NoLocation)?;
        let policy = &shop.file.redemption;
        // Rounded up: a part of a minor unit is nothing.
        let PointsWorth { points, amount } = policy.worth;
        let redeemed = (points + amount - 1) / amount;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_MAX))
            .build();
        Ok(Tried {
            agent: agent.into(),
            address: address.to_owned(),
            keys,
            location: location.id.clone(),
            currency: shop.file.currency.clone(),
            total: 100 * i64::from(shop.minor_units),
            redeemed: redeemed.max(policy.minimum_points),
            now,
        })
    }

    /// `problems` are the plugins that the shop's folder has and that could not be loaded.
    pub fn run(&self, shop: String, rule_book: i64, problems: &[String]) -> Report {
        let mut steps = Vec::new();
        let (till, web) = (self.keys.till.as_str(), self.keys.web.as_str());
        step(
            &mut steps,
            "every plugin of the shop's folder is live",
            || match problems {
                [] => Ok((format!("in rule book {rule_book}"), ())),
                problems => Err(problems.join("; ")),
            },
        );
        let made = step(&mut steps, "a profile is made at the till", || {
            self.make_profile()
        });
        let in_store = step(
            &mut steps,
            "a sale at the till is answered with its points",
            || {
                made.as_ref().ok_or_else(after_failure)?;
                self.sell(till, "till-1", "pos", 10)
            },
        );
        step(
            &mut steps,
            "the web store sees that balance by e-mail",
            || {
                let balance = in_store.ok_or_else(after_failure)?;
                self.sees(web, "email", EMAIL, balance)
            },
        );
        let online = step(
            &mut steps,
            "a sale online is answered with its points",
            || {
                in_store.ok_or_else(after_failure)?;
                self.sell(web, "web-1", "online", 5)
            },
        );
        step(&mut steps, "the till sees that balance by card", || {
            let balance = online.ok_or_else(after_failure)?;
            self.sees(till, "card", CARD, balance)
        });
        step(
            &mut steps,
            "the same basket would earn in both channels",
            || {
                online.ok_or_else(after_failure)?;
                self.compares()
            },
        );
        step(
            &mut steps,
            "the same order from both channels counts once",
            || {
                let balance = online.ok_or_else(after_failure)?;
                self.sells_once(balance)
            },
        );
        let late = step(
            &mut steps,
            "a till that was offline sends its sale twice, late",
            || {
                online.ok_or_else(after_failure)?;
                self.comes_late()
            },
        );
        step(
            &mut steps,
            "both channels see one balance after that",
            || {
                let balance = late.ok_or_else(after_failure)?;
                self.sees(till, "card", CARD, balance)?;
                self.sees(web, "email", EMAIL, balance)
            },
        );
        step(&mut steps, "the ledger sums to the balance", || {
            self.adds_up(late.ok_or_else(after_failure)?)
        });
        let mut balance = late;
        for (name, asked, used) in [
            (
                "points from the till are redeemed online",
                (web, "online"),
                (till, "pos"),
            ),
            (
                "points from online are redeemed at the till",
                (till, "pos"),
                (web, "online"),
            ),
        ] {
            if balance.is_some_and(|balance| balance < self.redeemed) {
                steps.push(Step {
                    name,
                    state: State::Skipped,
                    micros: 0,
                    says: format!(
                        "{} points are the least that can be redeemed",
                        self.redeemed
                    ),
                });
                continue;
            }
            balance = step(&mut steps, name, || {
                self.redeems(asked, used, balance.ok_or_else(after_failure)?)
            });
        }
        let count = |state: State| steps.iter().filter(|step| step.state == state).count();
        Report {
            shop,
            rule_book,
            at: Time(self.now),
            passed: count(State::Pass),
            failed: count(State::Fail),
            skipped: count(State::Skipped),
            steps,
        }
    }

    /// With every field that a strict shop may ask for.
    fn make_profile(&self) -> Found<()> {
        let data = json!({
            "customer": {"email": EMAIL, "card": CARD, "phone": PHONE}, "given_name": "Con", "family_name": "Formance",
            "birthday": "1990-01-02", "home_location": self.location,
        });
        let outcome = self.tell(
            &self.keys.till,
            "till-1",
            "customer.created",
            "profile",
            11,
            data,
        )?;
        Ok((format!("as {}", outcome["customer"]["id"]), ()))
    }

    fn sell(&self, key: &str, source: &str, channel: &str, minutes_ago: i64) -> Found<i64> {
        let outcome = self.tell(
            key,
            source,
            "sale.completed",
            &format!("{channel}-sale"),
            minutes_ago,
            self.sale(channel, &format!("{channel}-order")),
        )?;
        if outcome["status"] != "applied" {
            return Err(format!("it was answered with {}", outcome["status"]));
        }
        let failed = outcome["plugins"].as_array().into_iter().flatten();
        let failed: Vec<String> = failed
            .filter(|call| call["status"] != "ok")
            .map(|call| format!("{} ({})", call["name"], call["status"]))
            .collect();
        if !failed.is_empty() {
            return Err(format!("plugins failed: {}", failed.join(", ")));
        }
        let earned = earned(&outcome);
        let balance = outcome["customer"]["balance"].as_i64().unwrap_or_default();
        Ok((format!("earned {earned}, balance {balance}"), balance))
    }

    fn sale(&self, channel: &str, order: &str) -> Value {
        let mut sale = json!({
            "channel": channel, "currency": self.currency, "total": self.total,
            "customer": match channel {
                "pos" => json!({"card": CARD}),
                _ => json!({"email": EMAIL}),
            },
            "lines": [{"sku": "CONFORMANCE", "variant": "one", "name": "Conformance", "quantity": 1, "unit_price": self.total}],
            "order": {"system": "conformance", "id": order},
        });
        if channel == "pos" {
            sale["location"] = self.location.as_str().into();
        }
        sale
    }

    /// The very next read of the other channel has it.
    fn sees(&self, key: &str, by: &str, value: &str, balance: i64) -> Found<()> {
        let path = format!("/v1/customers?{by}={value}");
        let found = self.get(key, &path)?;
        let seen = found["items"][0]["balance"].as_i64();
        match seen == Some(balance) {
            true => Ok((format!("balance {balance}"), ())),
            false => Err(format!(
                "balance {balance} was answered, and {} is seen",
                found["items"][0]["balance"]
            )),
        }
    }

    /// One basket, one customer, one moment. A shop may have another rate in a channel; then it is
    /// told, and not a failure.
    fn compares(&self) -> Found<()> {
        let would_earn = |key: &str, channel: &str| -> Result<i64, String> {
            let sale = self.sale(channel, "preview");
            let event = self.event("preview-1", "sale.completed", "preview", 3, sale);
            Ok(earned(&self.post(key, "/v1/preview", &event)?))
        };
        let in_store = would_earn(&self.keys.till, "pos")?;
        let online = would_earn(&self.keys.web, "online")?;
        let says = match in_store == online {
            true => format!("{in_store} in each"),
            false => {
                format!("{in_store} at the till and {online} online: the rules tell them apart")
            }
        };
        Ok((says, ()))
    }

    fn sells_once(&self, balance: i64) -> Found<()> {
        let data = self.sale("online", "pos-order");
        let outcome = self.tell(&self.keys.web, "web-1", "sale.completed", "copy", 4, data)?;
        if outcome["status"] != "duplicate" {
            return Err(format!("it was answered with {}", outcome["status"]));
        }
        self.sees(&self.keys.web, "email", EMAIL, balance)
    }

    fn comes_late(&self) -> Found<i64> {
        let mut told = Vec::new();
        for _ in 0..2 {
            let data = self.sale("pos", "late-order");
            let outcome =
                self.tell(&self.keys.till, "till-2", "sale.completed", "late", 9, data)?;
            told.push((
                outcome["status"].clone(),
                outcome["customer"]["balance"].as_i64(),
            ));
        }
        match &told[..] {
            [(first, balance), (second, again)]
                if first == "applied" && second == "duplicate" && balance == again =>
            {
                let balance = balance.unwrap_or_default();
                Ok((format!("counted once, balance {balance}"), balance))
            }
            _ => Err(format!("the two were answered with {told:?}")),
        }
    }

    /// Points are set aside in one channel: it is seen in the other one at once, and the code works there,
    /// once.
    fn redeems(
        &self,
        (asks, channel): (&str, &str),
        (gives, elsewhere): (&str, &str),
        balance: i64,
    ) -> Found<i64> {
        let mut asked =
            json!({"customer": {"card": CARD}, "points": self.redeemed, "channel": channel});
        let mut used = json!({"channel": elsewhere});
        let at_till = if channel == "pos" {
            &mut asked
        } else {
            &mut used
        };
        at_till["location"] = self.location.as_str().into();
        let made = self.post_named(asks, "/v1/redemptions", channel, &asked)?;
        let available = |key: &str| -> Result<Option<i64>, String> {
            let found = self.get(key, &format!("/v1/customers?card={CARD}"))?;
            Ok(found["items"][0]["available"].as_i64())
        };
        let left = available(gives)?;
        if left != Some(balance - self.redeemed) {
            return Err(format!(
                "{} points were set aside, and {left:?} are seen to be left",
                self.redeemed
            ));
        }
        if made["state"] == "pending-approval" {
            return Ok((
                "set aside, and a second person has to agree".into(),
                balance - self.redeemed,
            ));
        }
        let code = made["code"].as_str().unwrap_or_default();
        let path = format!("/v1/redemptions/{code}/confirm");
        self.post_named(gives, &path, &format!("{elsewhere}-gives"), &used)?;
        if self
            .post_named(gives, &path, &format!("{elsewhere}-gives-again"), &used)
            .is_ok()
        {
            return Err("the code worked twice".into());
        }
        let balance = balance - self.redeemed;
        self.sees(asks, "card", CARD, balance)?;
        Ok((
            format!("{} redeemed, balance {balance}", self.redeemed),
            balance,
        ))
    }

    fn get(&self, key: &str, path: &str) -> Result<Value, String> {
        self.ask(
            self.agent
                .get(self.uri(path))
                .header("authorization", bearer(key))
                .call(),
        )
    }

    fn adds_up(&self, balance: i64) -> Found<()> {
        let key = &self.keys.operator;
        let found = self.get(key, &format!("/v1/customers?card={CARD}"))?;
        let id = found["items"][0]["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let ledger = self.get(key, &format!("/v1/customers/{id}/ledger?limit=500"))?;
        let entries = ledger["items"].as_array().cloned().unwrap_or_default();
        let amounts = entries.iter().filter_map(|entry| entry["amount"].as_i64());
        let sum: i64 = amounts.sum();
        match sum == balance {
            true => Ok((format!("{} entries, {sum}", entries.len()), ())),
            false => Err(format!(
                "{} entries sum to {sum}, and the balance is {balance}",
                entries.len()
            )),
        }
    }

    fn tell(
        &self,
        key: &str,
        source: &str,
        kind: &str,
        id: &str,
        minutes_ago: i64,
        data: Value,
    ) -> Result<Value, String> {
        let event = self.event(source, kind, id, minutes_ago, data);
        self.post(key, "/v1/events", &event)
    }

    fn event(&self, source: &str, kind: &str, id: &str, minutes_ago: i64, data: Value) -> Value {
        let at = Moment(self.now.0 - minutes_ago * MINUTE_MS);
        json!({
            "specversion": "1.0", "source": source, "id": id, "type": kind, "time": calendar::text(at), "data": data,
        })
    }

    /// A request that does nothing twice, however often it is sent.
    fn post_named(&self, key: &str, path: &str, name: &str, body: &Value) -> Result<Value, String> {
        self.ask(
            self.agent
                .post(self.uri(path))
                .header("authorization", bearer(key))
                .header("idempotency-key", name)
                .content_type("application/json")
                .send(body.to_string()),
        )
    }

    fn post(&self, key: &str, path: &str, event: &Value) -> Result<Value, String> {
        self.ask(
            self.agent
                .post(self.uri(path))
                .header("authorization", bearer(key))
                .content_type("application/json")
                .send(event.to_string()),
        )
    }

    fn ask(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, String> {
        let mut answer = answer.map_err(|error| error.to_string())?;
        let text = answer.body_mut().read_to_string();
        let text = text.map_err(|error| error.to_string())?;
        let body: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        match answer.status().is_success() {
            true => Ok(body),
            false => Err(format!(
                "refused with {} {}: {}",
                answer.status().as_u16(),
                body["code"].as_str().unwrap_or_default(),
                body["detail"].as_str().unwrap_or_default()
            )),
        }
    }

    fn uri(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }
}

fn step<T>(
    steps: &mut Vec<Step>,
    name: &'static str,
    work: impl FnOnce() -> Found<T>,
) -> Option<T> {
    let begun = Instant::now();
    let found = work();
    let micros = begun.elapsed().as_micros() as u64;
    let (state, says, built) = match found {
        Ok((says, built)) => (State::Pass, says, Some(built)),
        Err(says) => (State::Fail, says, None),
    };
    steps.push(Step {
        name,
        state,
        micros,
        says,
    });
    built
}

fn after_failure() -> String {
    "it builds on a step that failed".into()
}

fn earned(outcome: &Value) -> i64 {
    let entries = outcome["points"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["amount"].as_i64()).sum()
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}
