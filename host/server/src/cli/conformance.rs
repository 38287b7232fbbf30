//! `stampcard conformance`: does a shop treat its customers the same at the till and online?

use super::{End, Run, say, say_json};
use crate::clock;
use crate::config::{ConfigError, Folder, REQUESTS_PER_MINUTE};
use crate::conformance::{Report, State, Tried};
use crate::http;
use crate::merchant::{Merchant, Options, problems};
use crate::sandbox::Sandbox;
use crate::table::{Side, table};
use clap::Args;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// Try a shop's rules out in both channels: sales at a till and in a web store, the balance read in the
/// other one, the same order twice, a till that was offline. Each step has its delay.
///
/// It happens in a sandbox over HTTP, with a key for each channel; the shop itself is not touched and
/// may be open. Exit code 1 if a step fails.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard conformance shop\n  stampcard conformance shop --report conformance.json"
)]
pub struct Conformance {
    /// The shop's folder.
    dir: PathBuf,
    /// Also write the report into this file, as JSON.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
}

impl Conformance {
    pub fn run(self) -> Run {
        crate::log::start_quiet()?;
        let folder = Folder::of_one(&self.dir)?;
        let sandbox = Sandbox::of(&folder)?;
        let options = Options::of(&Folder::at(sandbox.dir()).server()?);
        let merchant = Merchant::open(sandbox.dir(), &options)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = runtime.spawn(http::serve(
            Arc::clone(&merchant),
            listener,
            REQUESTS_PER_MINUTE,
            None,
            async move { drop(stopped.await) },
        ));
        let live = merchant.live();
        let tried = Tried::new(&address, &sandbox.keys, &live.shop, clock::now())?;
        let report = tried.run(folder.name(), live.number, &problems(&live.book));
        drop(stop);
        runtime.block_on(serving)??;
        merchant.close()?;

        if let Some(path) = &self.report {
            let text = serde_json::to_string_pretty(&report)? + "\n";
            fs::write(path, text).map_err(|source| ConfigError::Write {
                path: path.clone(),
                source,
            })?;
        }
        match self.json {
            true => say_json(&report)?,
            false => say(tell(&report))?,
        }
        Ok(match report.failed {
            0 => End::Done,
            _ => End::Attention,
        })
    }
}

fn tell(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report
        .steps
        .iter()
        .map(|step| {
            vec![
                step.state.name().into(),
                step.name.into(),
                match step.state {
                    State::Skipped => "-".into(),
                    _ => format!("{}.{:03} ms", step.micros / 1_000, step.micros % 1_000),
                },
                step.says.clone(),
            ]
        })
        .collect();
    let heads = [
        ("", Side::Left),
        ("step", Side::Left),
        ("delay", Side::Right),
        ("", Side::Left),
    ];
    format!(
        "{}\n\n{} of {} steps passed, {} failed, {} skipped, with rule book {} in a sandbox of {}.",
        table(&heads, &rows),
        report.passed,
        report.steps.len(),
        report.failed,
        report.skipped,
        report.rule_book,
        report.shop
    )
}
