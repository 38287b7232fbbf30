//! `stampcard doctor`: what is wrong, and what to type.

use super::{End, Run, say, say_json};
use crate::config::{ConfigError, Folder, MERCHANT_FILE};
use crate::doctor::{Finding, Report, State, examine};
use crate::{clock, keys};
use clap::Args;
use std::path::PathBuf;

/// Look at a shop from all sides: files, rules, database, ledger, disk, clock, keys, and the seven
/// steps of setting one up. Each line says what is wrong and what to type.
///
/// It may run while the shop is open, and mends nothing. Exit code 1 if something is not right.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard doctor shop\n  stampcard doctor shop --json | jq '.checks[] | select(.state != \"ok\")'"
)]
pub struct Doctor {
    /// The shop's folder.
    dir: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        if !self.dir.is_dir() {
            let path = self.dir.join(MERCHANT_FILE);
            return Err(ConfigError::NotAShop { path }.into());
        }
        let chance = u32::from_le_bytes(keys::random()?);
        let report = examine(&Folder::at(&self.dir), clock::now(), chance);
        if self.json {
            say_json(&report)?
        } else {
            say(tell(&report))?
        }
        Ok(match report.state {
            State::Ok | State::Open => End::Done,
            State::Warn | State::Fail => End::Attention,
        })
    }
}

fn tell(report: &Report) -> String {
    let mut lines = Vec::new();
    lines.extend(report.checks.iter().map(line));
    if !report.setup.is_empty() {
        lines.push("\nSetting up, in the order in which it builds up:".into());
        lines.extend(report.setup.iter().map(line));
    }
    lines.join("\n")
}

fn line(finding: &Finding) -> String {
    let remedy = finding
        .remedy
        .as_ref()
        .map_or(String::new(), |remedy| format!("\n{:21}→ {remedy}", ""));
    format!(
        "{:<6}{:<15}{}{remedy}",
        finding.state.name(),
        finding.name,
        finding.says
    )
}
