//! `stampcard doctor`: what is wrong, and what to type.

use super::{End, Run, say, say_json};
use crate::config::{ConfigError, Folder, MERCHANT_FILE, Place, ShopsFolder};
use crate::doctor::{Finding, Report, State, examine};
use crate::{clock, keys};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Look at a shop from all sides: files, rules, database, ledger, disk, clock, keys, and the seven
/// steps of setting one up. Each line says what is wrong and what to type.
///
/// In a folder of shops it looks at each of them. It may run while the shop is open, and mends
/// nothing. Exit code 1 if something is not right.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard doctor shop\n  stampcard doctor shop --json | jq '.checks[] | select(.state != \"ok\")'"
)]
pub struct Doctor {
    /// The shop's folder, or a folder of shops.
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
        let state = match Place::at(&self.dir)? {
            Place::Shop(folder) => {
                let report = look_at(&folder)?;
                if self.json {
                    say_json(&report)?
                } else {
                    say(tell(&report))?
                }
                report.state
            }
            Place::Shops(shops) => {
                let report = look_at_all(&shops)?;
                if self.json {
                    say_json(&report)?
                } else {
                    for shop in &report.shops {
                        say(format_args!(
                            "{}\n\n{}\n",
                            shop.merchant,
                            tell(&shop.report)
                        ))?
                    }
                }
                report.state
            }
        };
        Ok(match state {
            State::Ok | State::Open => End::Done,
            State::Warn | State::Fail => End::Attention,
        })
    }
}

/// What was found in a folder of shops. `--json` prints it; scripts lean on it.
#[derive(Serialize)]
struct AllReports {
    /// The worst of all.
    state: State,
    shops: Vec<OneReport>,
}

#[derive(Serialize)]
struct OneReport {
    merchant: String,
    #[serde(flatten)]
    report: Report,
}

fn look_at(folder: &Folder) -> Result<Report, Box<dyn std::error::Error>> {
    let chance = u32::from_le_bytes(keys::random()?);
    Ok(examine(folder, clock::now(), chance))
}

fn look_at_all(shops: &ShopsFolder) -> Result<AllReports, Box<dyn std::error::Error>> {
    // The server's own file is looked at first: with a mistake in it no shop opens.
    shops.server()?;
    let mut all = Vec::new();
    for folder in shops.folders()? {
        all.push(OneReport {
            merchant: folder.name(),
            report: look_at(&folder)?,
        });
    }
    let states = all.iter().map(|shop| shop.report.state);
    Ok(AllReports {
        state: states.max().unwrap_or(State::Open),
        shops: all,
    })
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
