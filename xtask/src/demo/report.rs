//! What came of a day, as a table; one customer's explanation; where to look next.

use crate::Failure;
use crate::cargo::must;
use serde_json::{Value, json};
use stampcard_tests::binary;
use stampcard_tests::server::Server;
use stampcard_tests::shop::Keys;
use std::collections::BTreeMap;
use std::path::Path;

/// Sums over the outcomes of a day.
#[derive(Default)]
pub struct Report {
    events: u64,
    by_status: BTreeMap<String, u64>,
    entered: BTreeMap<String, u64>,
    left: BTreeMap<String, u64>,
    /// Points by plugin and reason, and how many entries they are.
    points: BTreeMap<(String, String), (i64, u64)>,
    tiers: BTreeMap<(String, String), u64>,
    follow_ups: BTreeMap<(String, String, String), u64>,
    prompts: BTreeMap<String, u64>,
    calls: u64,
    micros: u64,
    failures: u64,
}

impl Report {
    pub fn add(&mut self, outcome: &Value) {
        self.events += 1;
        *self.by_status.entry(text(&outcome["status"])).or_default() += 1;
        for key in list(&outcome["segments"]["entered"]) {
            *self.entered.entry(text(key)).or_default() += 1;
        }
        for key in list(&outcome["segments"]["left"]) {
            *self.left.entry(text(key)).or_default() += 1;
        }
        // A basket that is not paid yet shows its points under entry 0; nothing of it is booked.
        for entry in list(&outcome["points"])
            .iter()
            .filter(|entry| entry["entry"] != 0)
        {
            let sum = self
                .points
                .entry((text(&entry["plugin"]), text(&entry["reason"])))
                .or_default();
            sum.0 += entry["amount"].as_i64().unwrap_or(0);
            sum.1 += 1;
        }
        if let Some(tier) = outcome.get("tier").filter(|tier| !tier.is_null()) {
            *self
                .tiers
                .entry((text(&tier["from"]), text(&tier["to"])))
                .or_default() += 1;
        }
        for planned in list(&outcome["follow_ups"]) {
            let name = (
                text(&planned["template"]),
                text(&planned["channel"]),
                text(&planned["state"]),
            );
            *self.follow_ups.entry(name).or_default() += 1;
        }
        for prompt in list(&outcome["prompts"]) {
            *self.prompts.entry(text(&prompt["text"])).or_default() += 1;
        }
        for call in list(&outcome["plugins"]) {
            self.calls += 1;
            self.micros += call["micros"].as_u64().unwrap_or(0);
            self.failures += u64::from(call["status"] != "ok");
        }
    }

    pub fn print(&self, server: &Server) {
        let status: Vec<String> = self
            .by_status
            .iter()
            .map(|(status, count)| format!("{count} {status}"))
            .collect();
        println!("{} events: {}.", self.events, status.join(", "));

        println!(
            "\n{:<34}{:>9}{:>9}{:>9}",
            "segments", "entered", "left", "now in"
        );
        for segment in list(&server.get("/v1/segments")["segments"]) {
            let key = text(&segment["segment"]);
            let count = |from: &BTreeMap<String, u64>| from.get(&key).copied().unwrap_or(0);
            println!(
                "{key:<34}{:>9}{:>9}{:>9}",
                count(&self.entered),
                count(&self.left),
                segment["members"].as_u64().unwrap_or(0)
            );
        }
        println!("\n{:<52}{:>9}{:>9}", "points", "entries", "points");
        for ((plugin, reason), (points, entries)) in &self.points {
            println!(
                "{:<52}{entries:>9}{points:>9}",
                short(&format!("{reason} ({plugin})"), 51)
            );
        }
        println!("\n{:<52}{:>9}", "tiers", "customers");
        for ((from, to), customers) in &self.tiers {
            println!("{:<52}{customers:>9}", format!("{from} → {to}"));
        }
        println!("\n{:<52}{:>9}", "follow-ups", "planned");
        for ((template, channel, state), count) in &self.follow_ups {
            let name = if state == "planned" {
                format!("{template} by {channel}")
            } else {
                format!("{template} by {channel}: {state}")
            };
            println!("{:<52}{count:>9}", short(&name, 51));
        }
        // Prompts have names in them, and there are as many texts as customers.
        let prompts: u64 = self.prompts.values().sum();
        println!("{:<52}{prompts:>9}", "prompts for the till");
        if let Some(example) = self.prompts.keys().next() {
            println!("    such as: {}", short(example, 90));
        }
        println!(
            "\n{} calls of plugins, each in a fresh sandbox: {:.0} µs on average, {} failed.",
            self.calls,
            self.micros as f64 / self.calls.max(1) as f64,
            self.failures
        );
    }
}

/// How a customer stands, and why one event came out as it did, in the words of `stampcard explain`.
pub fn print_explanation(dir: &Path, customer: &str, event: Option<&Value>) -> Result<(), Failure> {
    let dir = dir.as_os_str();
    let explain = |arguments: &[&str]| {
        let arguments = arguments.iter().map(|argument| argument.as_ref());
        must(binary::command(
            ["explain".as_ref(), dir].into_iter().chain(arguments),
        ))
    };
    explain(&["--customer", customer])?;
    if let Some(event) = event {
        println!();
        explain(&[&text(&event["source"]), &text(&event["id"])])?;
    }
    Ok(())
}

/// Commands that work as they stand.
pub fn print_addresses(dir: &Path, keys: &Keys, server: &Server) {
    let address = &server.address;
    let stampcard = binary::path();
    println!("\nTry it (the keys are those of this shop):\n");
    println!(
        "  curl -s {address}/v1/segments -H 'authorization: Bearer {}'",
        keys.read
    );
    println!(
        "  curl -s '{address}/v1/customers?segment=vip' -H 'authorization: Bearer {}'",
        keys.operator
    );
    println!(
        "  curl -s {address}/v1/plugins -H 'authorization: Bearer {}'",
        keys.operator
    );
    println!(
        "  curl -s {address}/v1/events -H 'authorization: Bearer {}' -H 'content-type: application/json' -d '{}'",
        keys.pos,
        example()
    );
    println!(
        "  curl -s {address}/metrics -H 'authorization: Bearer {}'",
        keys.operator
    );
    println!(
        "\nEdit {} while it runs: the next event is decided by it.",
        dir.join("plugins/starter-points.toml").display()
    );
    println!(
        "When the server is down: {} check {}",
        stampcard.display(),
        dir.display()
    );
}

/// A sale that was not sent yet.
fn example() -> Value {
    json!({
        "specversion": "1.0", "source": "curl", "id": "1", "type": "sale.completed",
        "time": jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "data": {
            "channel": "online", "currency": "USD", "customer": {"email": "you@example.com"},
            "lines": [{"sku": "TEE-OAT-M", "quantity": 2, "unit_price": 2800}], "total": 5600,
        },
    })
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".into(),
        other => other.to_string(),
    }
}

fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
