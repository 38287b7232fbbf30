//! Stories: what happens in a shop and what must come of it, as a file that its owner could read.
//! `tests/scenarios/README.md` explains the format. Each story is played on the real binary, in a
//! shop of its own, step by step in the order in which they are written.

use crate::binary::{self, root};
use crate::event::with_goods;
use crate::matching::differences;
use crate::server::Server;
use crate::shop::Shop;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// What must be true, in one sentence.
    pub title: String,
    /// Why, for whom, and what was decided where more than one answer would do.
    #[serde(default)]
    pub about: String,
    /// What every sale and checkout of this story has in common.
    #[serde(default)]
    basket: Map<String, Value>,
    steps: Vec<Step>,
    #[serde(skip)]
    folder: PathBuf,
}

/// One thing that happens, or that somebody looks at.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Step {
    what: String,

    sale: Option<Value>,
    checkout: Option<Value>,
    event: Option<String>,
    data: Option<Value>,
    /// The id of an earlier step, whose event is sent once more, byte for byte.
    again: Option<String>,
    time: Option<String>,
    id: Option<String>,
    source: Option<String>,

    /// The shop's clock goes on to this time, and nothing else happens.
    until: Option<String>,
    /// Files of the shop that are replaced by files of the story.
    replace: BTreeMap<String, String>,

    /// A customer, by anything that identifies them, as the shop knows them now.
    look_at: Option<String>,
    /// The ledger of a customer.
    ledger_of: Option<String>,
    /// A path of the API. `{anything}` in it is the id of the customer whom it identifies.
    get: Option<String>,
    /// With which key to ask: `operator`, `pos` or `read`.
    key: Option<String>,
    status: Option<u16>,

    then: Option<Value>,
    refused: Option<String>,
}

/// Reads all stories, by name.
///
/// # Panics
/// If one is not well-formed.
pub fn load_all() -> BTreeMap<String, Story> {
    let scenarios = root().join("tests/scenarios");
    let folders = fs::read_dir(&scenarios).expect("tests/scenarios is there");
    folders
        .filter_map(|entry| {
            let folder = entry.expect("a folder can be read").path();
            let text = fs::read_to_string(folder.join("story.toml")).ok()?;
            let mut story: Story = toml::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
            let name = folder.file_name()?.to_string_lossy().into_owned();
            story.folder = folder;
            Some((name, story))
        })
        .collect()
}

impl Story {
    /// Plays it and says what did not come out as told.
    pub fn play(&self) -> Result<(), String> {
        let shop = self.shop();
        let mut play = Play {
            story: self,
            shop,
            sent: BTreeMap::new(),
            ids: BTreeMap::new(),
            now: String::new(),
            server: None,
        };
        let mut problems = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            let found = play.take(index, step);
            if !found.is_empty() {
                problems.push(format!(
                    "step {} ({}):\n    {}",
                    index + 1,
                    step.what,
                    found.join("\n    ")
                ));
            }
        }
        play.shop.check();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(format!("{}\n  {}", self.title, problems.join("\n  ")))
        }
    }

    /// A new shop, with what lies beside the story: a `merchant.toml` is laid over the one that
    /// `init` writes, and the files in `plugins` replace those of the same name.
    fn shop(&self) -> Shop {
        let shop = Shop::new();
        if let Ok(text) = fs::read_to_string(self.folder.join("merchant.toml")) {
            shop.lay_over("merchant.toml", &text);
        }
        for file in fs::read_dir(self.folder.join("plugins"))
            .into_iter()
            .flatten()
        {
            let path = file.expect("a folder can be read").path();
            shop.write(
                &format!("plugins/{}", name_of(&path)),
                fs::read(&path).expect("a file can be read"),
            );
        }
        shop
    }
}

/// A story on its way.
struct Play<'a> {
    story: &'a Story,
    shop: Shop,
    /// Events by id.
    sent: BTreeMap<String, Value>,
    /// The ids of customers whom the data of some step named.
    ids: BTreeMap<String, Value>,
    /// The latest time of the story so far.
    now: String,
    /// A copy of the shop that is open while somebody reads through the API: its clock is today's,
    /// and what that brings about is no part of the story.
    server: Option<(Server, Shop)>,
}

impl Play<'_> {
    fn take(&mut self, index: usize, step: &Step) -> Vec<String> {
        self.replace(step);
        if let Some(until) = &step.until {
            self.server = None;
            self.shop.ingest_bytes(b"", &["--until", until]);
            self.now = until.clone();
        }
        let found = if let Some(event) = self.event(index, step) {
            return self.tell(&event, step);
        } else if let Some(identifier) = &step.look_at {
            self.customer(identifier).unwrap_or(Value::Null)
        } else if let Some(identifier) = &step.ledger_of {
            let id = self
                .customer(identifier)
                .map_or(Value::Null, |customer| customer["id"].clone());
            let entries = self.shop.exported("ledger", &["--as-of", &self.now]);
            entries
                .into_iter()
                .filter(|entry| entry["customer"] == id)
                .collect()
        } else if let Some(path) = &step.get {
            let answer = self.read(path, step.key.as_deref());
            let status = step.status.unwrap_or(200);
            if answer.status != status {
                return vec![format!(
                    "GET {path}: expected {status} and found {}: {}",
                    answer.status, answer.body
                )];
            }
            answer.body
        } else {
            return Vec::new();
        };
        step.then
            .as_ref()
            .map_or_else(Vec::new, |expected| differences(expected, &found))
    }

    /// Sends an event and compares what came of it.
    fn tell(&mut self, event: &Value, step: &Step) -> Vec<String> {
        self.server = None;
        let time = event["time"].as_str().unwrap_or_default();
        if self.now.is_empty() || instant(time) > instant(&self.now) {
            self.now = time.to_owned();
        }
        let line = format!("{event}\n");
        let ran =
            binary::run_with_input(["ingest", self.shop.text(), "-", "--json"], line.as_bytes());
        let summary = ran.json();
        match (&step.refused, summary["refused"].as_u64()) {
            (None, Some(0)) => {}
            (None, _) => return vec![format!("it was refused: {}", refusals(&self.shop.dir))],
            (Some(code), Some(1)) => {
                let refusal = refusals(&self.shop.dir);
                let found = refusal["code"].as_str().unwrap_or_default();
                return if found == code {
                    vec![]
                } else {
                    vec![format!(
                        "expected to be refused as {code} and found {refusal}"
                    )]
                };
            }
            (Some(code), _) => {
                return vec![format!(
                    "expected to be refused as {code} and was taken: {summary}"
                )];
            }
        }
        let Some(expected) = &step.then else {
            return Vec::new();
        };
        if let Some(status) = step.then.as_ref().and_then(|then| then["status"].as_str())
            && status == "duplicate"
        {
            let found = summary["duplicate"] == json!(1);
            return if found {
                Vec::new()
            } else {
                vec![format!("expected a duplicate and found {summary}")]
            };
        }
        differences(expected, &self.outcome(event))
    }

    /// The event of a step, if it is one.
    fn event(&mut self, index: usize, step: &Step) -> Option<Value> {
        if let Some(id) = &step.again {
            return Some(
                self.sent
                    .get(id)
                    .unwrap_or_else(|| panic!("no step before has the id {id:?}"))
                    .clone(),
            );
        }
        let (kind, data) = match (&step.sale, &step.checkout, &step.event) {
            (Some(sale), None, None) => ("sale.completed", self.basket(sale)),
            (None, Some(basket), None) => ("checkout.started", self.basket(basket)),
            (None, None, Some(kind)) => (
                kind.as_str(),
                step.data.clone().unwrap_or_else(|| json!({})),
            ),
            (None, None, None) => return None,
            _ => panic!("step {}: one event at a time", index + 1),
        };
        let mut data = data;
        self.fill(&mut data);
        let id = step
            .id
            .clone()
            .unwrap_or_else(|| format!("step-{}", index + 1));
        let time = step
            .time
            .as_ref()
            .unwrap_or_else(|| panic!("step {}: an event needs a time", index + 1));
        let source = step.source.as_deref().unwrap_or("till-1");
        let data = self.with_ids(data);
        let event = json!({"specversion": "1.0", "source": source, "id": id, "type": kind, "time": time, "data": data});
        self.sent.insert(id, event.clone());
        Some(event)
    }

    /// `{redemption of ID}` and `{code of ID}` are what the step of that id was answered.
    fn fill(&self, data: &mut Value) {
        match data {
            Value::Object(fields) => fields.values_mut().for_each(|field| self.fill(field)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.fill(item)),
            Value::String(text) => {
                let asked = text.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
                let Some((what, id)) = asked.and_then(|asked| asked.split_once(" of ")) else {
                    return;
                };
                let field = match what {
                    "redemption" => "id",
                    "code" => "code",
                    "allowance" => "allowance",
                    other => panic!("{other:?} is nothing that a step is answered"),
                };
                let event = self.sent.get(id);
                let event = event.unwrap_or_else(|| panic!("no step before has the id {id:?}"));
                let told = self.outcome(event);
                let told = [&told["redemptions"][0][field], &told["referral"][field]];
                let mut told = told.into_iter().filter_map(Value::as_str);
                *text = told
                    .next()
                    .expect("the step began a redemption, or somebody joined")
                    .to_owned();
            }
            _ => {}
        }
    }

    /// Data with the ids of customers in the place of `{identifier}`. Whoever was named once keeps that
    /// id, whatever becomes of them.
    fn with_ids(&mut self, data: Value) -> Value {
        let Value::Object(mut data) = data else {
            return data;
        };
        for value in data.values_mut() {
            let text = value.as_str().unwrap_or_default();
            let identifier = text.strip_prefix('{').and_then(|it| it.strip_suffix('}'));
            let Some(identifier) = identifier.map(str::to_owned) else {
                continue;
            };
            if !self.ids.contains_key(&identifier) {
                let customer = self.customer(&identifier);
                let customer = customer.unwrap_or_else(|| panic!("nobody is {identifier}"));
                self.ids.insert(identifier.clone(), customer["id"].clone());
            }
            *value = self.ids[&identifier].clone();
        }
        Value::Object(data)
    }

    fn basket(&self, given: &Value) -> Value {
        let mut basket = self.story.basket.clone();
        let given = given.as_object().expect("a basket is a table");
        basket.extend(
            given
                .iter()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
        with_goods(Value::Object(basket))
    }

    fn replace(&mut self, step: &Step) {
        for (file, with) in &step.replace {
            self.server = None;
            let content = fs::read(self.story.folder.join(with))
                .unwrap_or_else(|error| panic!("{with}: {error}"));
            self.shop.write(file, content);
        }
    }

    /// The customer as they were at this time of the story.
    fn customer(&self, identifier: &str) -> Option<Value> {
        let customers = self.shop.exported("customers", &["--as-of", &self.now]);
        customers.into_iter().find(|customer| {
            let identities = customer["identities"]
                .as_array()
                .expect("a customer has identities");
            identities
                .iter()
                .any(|identity| identity["value"] == identifier)
        })
    }

    /// What became of an event, as the journal has it.
    fn outcome(&self, event: &Value) -> Value {
        let lines = self.shop.exported("events", &[]);
        let found = lines.into_iter().find(|line| {
            line["event"]["source"] == event["source"] && line["event"]["id"] == event["id"]
        });
        found.expect("what was taken is in the journal")["outcome"].clone()
    }

    fn read(&mut self, path: &str, key: Option<&str>) -> crate::Answer {
        let path = match (path.find('{'), path.find('}')) {
            (Some(start), Some(end)) => {
                let customer = self
                    .customer(&path[start + 1..end])
                    .expect("somebody has this identifier");
                let id = customer["id"].as_str().expect("a customer has an id");
                format!("{}{id}{}", &path[..start], &path[end + 1..])
            }
            _ => path.to_owned(),
        };
        let (server, _) = self.server.get_or_insert_with(|| self.shop.serve_copy());
        let key = match key {
            None | Some("operator") => &server.keys.operator,
            Some("pos") => &server.keys.pos,
            Some("read") => &server.keys.read,
            Some(other) => panic!("{other:?} is not a key of the shop"),
        };
        server.get_as(key, &path)
    }
}

/// The last refusal that `ingest` wrote down.
fn refusals(dir: &Path) -> Value {
    let files = fs::read_dir(dir).expect("the shop can be read");
    let refused = files
        .filter_map(|file| Some(file.ok()?.path()))
        .filter(|path| name_of(path).starts_with("refused"));
    let last = refused.max_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
    let text =
        fs::read_to_string(last.expect("ingest names a file of refusals")).expect("it can be read");
    serde_json::from_str(text.lines().last().unwrap_or_default()).expect("a refusal is JSON")
}

fn instant(text: &str) -> jiff::Timestamp {
    text.parse()
        .unwrap_or_else(|error| panic!("{text:?} is no time: {error}"))
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
