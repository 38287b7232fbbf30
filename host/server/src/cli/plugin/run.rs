//! `stampcard plugin run`: an event goes down the line of a shop that has the plugin, and the
//! decision comes out.

use super::super::{End, Run, say, say_json};
use super::building::build_if_stale;
use super::project::{Project, text};
use crate::config::{Folder, MERCHANT_FILE, PLUGINS};
use crate::merchant::{Merchant, Options, problems};
use crate::sandbox::Sandbox;
use crate::table::number;
use bytes::Bytes;
use clap::Args;
use serde_json::Value;
use stampcard_pipeline::admit::Sender;
use stampcard_runtime::manifest::schema_file_of;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Send events down the line of a shop that has the plugin, and print what is decided about each.
///
/// The shop is made for it and is gone afterwards. Without --shop it has no other rule; with it, it
/// has the rules and the settings of that one, which is not touched and may be open. What the plugin
/// says is on standard error. Exit code 1 if an event is refused, or the plugin fails.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard plugin run --event sale.json\n  stampcard plugin run --event history.ndjson --shop ../shop --json"
)]
pub struct RunEvents {
    /// The project.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// One CloudEvent, or one on each line, in the order in which they happened.
    #[arg(long, value_name = "FILE")]
    event: PathBuf,
    /// A shop whose rules and settings it has.
    #[arg(long, value_name = "SHOP_DIR")]
    shop: Option<PathBuf>,
    /// Print the outcome of each event as one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum NotRun {
    #[error("{}, line {line}, is not JSON: {source}", .path.display())]
    NotJson {
        path: PathBuf,
        line: usize,
        #[source]
        source: serde_json::Error,
    },
    #[error("{} holds no event", .path.display())]
    NoEvent { path: PathBuf },
    #[error("{0}")]
    NotLive(String),
    #[error("{} cannot be written: {source}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Who sends the events.
const AUTHOR: &str = "plugin run";

impl RunEvents {
    pub fn run(self) -> Run {
        let project = Project::at(&self.dir)?;
        build_if_stale(&project)?;
        let events = events(&self.event, &text(&self.event)?)?;
        // It goes when this function ends.
        let room = tempfile::Builder::new()
            .prefix("stampcard-run-")
            .tempdir()?;
        let sandbox = match &self.shop {
            Some(shop) => Some(Sandbox::of(&Folder::of_one(shop)?)?),
            None => None,
        };
        let dir = match &sandbox {
            Some(sandbox) => sandbox.dir(),
            None => {
                write(&room.path().join(MERCHANT_FILE), &merchant(&events))?;
                room.path()
            }
        };
        lay(&project, &dir.join(PLUGINS))?;
        let merchant = Merchant::open(dir, &Options::of(&Folder::at(dir).server()?))?;
        let is_ours = |problem: &&String| problem.starts_with(&project.name);
        let problems = problems(&merchant.live().book);
        if let Some(problem) = problems.iter().find(is_ours).or(problems.first()) {
            return Err(NotRun::NotLive(problem.clone()).into());
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut end = End::Done;
        for event in events {
            let bytes = Bytes::from(event.to_string());
            let taken = runtime.block_on(merchant.submit(bytes, Sender::operator(AUTHOR)));
            match taken {
                Ok(outcome) => {
                    let outcome = serde_json::to_value(&outcome)?;
                    if !is_well(&outcome, &project.name) {
                        end = End::Attention;
                    }
                    match self.json {
                        true => say_json(&outcome)?,
                        false => say(tell(&outcome))?,
                    }
                }
                Err(refusal) => {
                    end = End::Attention;
                    let problem = refusal.to_string();
                    match self.json {
                        true => say_json(&serde_json::json!({ "refused": problem }))?,
                        false => say(format_args!("refused: {problem}"))?,
                    }
                }
            }
        }
        merchant.close()?;
        Ok(end)
    }
}

/// One event, or one on each line.
fn events(path: &Path, text: &str) -> Result<Vec<Value>, NotRun> {
    if let Ok(event) = serde_json::from_str(text) {
        return Ok(match event {
            Value::Array(events) => events,
            event => vec![event],
        });
    }
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let event = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|source| NotRun::NotJson {
            path: path.into(),
            line: index + 1,
            source,
        })
    };
    let events: Vec<Value> = lines.map(event).collect::<Result<_, _>>()?;
    match events.is_empty() {
        false => Ok(events),
        true => Err(NotRun::NoEvent { path: path.into() }),
    }
}

/// A shop in which these events can happen: their currency, their locations.
fn merchant(events: &[Value]) -> String {
    let said = |field: &str| {
        let texts = events
            .iter()
            .filter_map(|event| event["data"][field].as_str());
        let mut texts: Vec<&str> = texts.collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    };
    let quoted = |text: &str| toml::Value::String(text.into()).to_string();
    let currency = said("currency").first().copied().unwrap_or("USD");
    let mut file = format!(
        "name = \"plugin run\"\ncurrency = {}\ntime_zone = \"America/New_York\"\ncountry = \"US\"\n\
         tiers = [\"silver\", \"gold\", \"platinum\"]\n",
        quoted(currency)
    );
    for location in said("location") {
        let id = quoted(location);
        file.push_str(&format!("\n[[locations]]\nid = {id}\nname = {id}\n"));
    }
    file
}

/// Puts a project's plugin into a folder of plugins, in the place of one of that name.
fn lay(project: &Project, plugins: &Path) -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(plugins)?;
    let file = text(&project.manifest())?;
    if let Some(schema) = schema_file_of(&file) {
        fs::copy(project.dir.join(&schema), plugins.join(&schema))?;
    }
    for path in [project.manifest(), project.component()] {
        let name = path.file_name().unwrap_or_default();
        fs::copy(&path, plugins.join(name))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), NotRun> {
    fs::write(path, text).map_err(|source| NotRun::Write {
        path: path.into(),
        source,
    })
}

fn calls<'a>(outcome: &'a Value, plugin: &'a str) -> impl Iterator<Item = &'a Value> {
    let calls = outcome["plugins"].as_array().into_iter().flatten();
    calls.filter(move |call| call["name"] == plugin)
}

fn is_well(outcome: &Value, plugin: &str) -> bool {
    calls(outcome, plugin).all(|call| call["status"] == "ok" || call["status"] == "rejected")
}

/// What was decided, for people.
fn tell(outcome: &Value) -> String {
    let list = |field: &Value| field.as_array().cloned().unwrap_or_default();
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let amount = |value: &Value| number(value["amount"].as_i64().unwrap_or_default());
    let mut told = format!(
        "{} {}: {}",
        text(&outcome["event"], "source"),
        text(&outcome["event"], "id"),
        text(outcome, "status")
    );
    let mut line = |words: String| told.push_str(&format!("\n  {words}"));
    for (field, verb) in [("entered", "enters"), ("left", "leaves")] {
        for segment in list(&outcome["segments"][field]) {
            line(format!("{verb} {}", segment.as_str().unwrap_or_default()));
        }
    }
    for entry in list(&outcome["points"]) {
        let words = format!("{} points: {}", amount(&entry), text(&entry, "reason"));
        line(words);
    }
    if let Some(tier) = outcome["tier"].as_object() {
        let name = |side: &str| tier[side].as_str().unwrap_or("no tier").to_owned();
        let reason = tier["reason"].as_str().unwrap_or_default();
        line(format!("from {} to {}: {reason}", name("from"), name("to")));
    }
    for follow_up in list(&outcome["follow_ups"]) {
        let (channel, template) = (text(&follow_up, "channel"), text(&follow_up, "template"));
        line(format!("plans {channel} {template}"));
    }
    for prompt in list(&outcome["prompts"]) {
        line(format!("prompt: {}", text(&prompt, "text")));
    }
    for receipt in list(&outcome["receipt"]) {
        line(format!("receipt: {}", receipt.as_str().unwrap_or_default()));
    }
    for call in list(&outcome["plugins"]) {
        let fuel = number(call["fuel"].as_i64().unwrap_or_default());
        let micros = number(call["micros"].as_i64().unwrap_or_default());
        let (name, role) = (text(&call, "name"), text(&call, "role"));
        let status = text(&call, "status");
        line(format!(
            "{name}, {role}: {status}, {fuel} fuel, {micros} µs"
        ));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_one_or_a_list_or_lines_and_a_bad_line_is_named() {
        let read = |text: &str| events(Path::new("e.json"), text);
        assert_eq!(read("{\n \"id\": 1\n}").unwrap(), [json!({"id": 1})]);
        assert_eq!(read("[{}, {}]").unwrap().len(), 2);
        assert_eq!(read("{}\n\n{}\n").unwrap().len(), 2);
        let problem = read("{}\n{").unwrap_err().to_string();
        assert!(problem.contains("line 2"), "{problem}");
        assert!(matches!(read("\n"), Err(NotRun::NoEvent { .. })));
    }

    #[test]
    fn the_shop_is_one_in_which_the_events_can_happen() {
        let sale = json!({"data": {"currency": "EUR", "location": "a\"b"}});
        let file: toml::Table = merchant(&[sale.clone(), sale]).parse().unwrap();
        assert_eq!(file["currency"].as_str(), Some("EUR"));
        assert_eq!(file["locations"].as_array().unwrap().len(), 1);
    }
}
