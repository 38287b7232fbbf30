//! `stampcard plugin watch`: a rule is built, tested and live in an open shop moments after its
//! author saves it.

use super::super::{Run, say};
use super::ReadError;
use super::building::{build, put};
use super::cases::{tell, test};
use super::project::{Project, read, text};
use crate::config::{Folder, PLUGINS};
use crate::orders::{self, Order};
use clap::Args;
use notify::{RecursiveMode, Watcher};
use stampcard_runtime::manifest::schema_file_of;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Build and test a plugin whenever its source is saved, and bring it live in a shop if its cases
/// pass.
///
/// The shop may be open: its next event has the new rule. What the shop has set in NAME.toml stays.
/// It ends with Ctrl-C.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard plugin watch\n  stampcard plugin watch --into ../shop"
)]
pub struct Watch {
    /// The project.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// A shop into whose plugins it goes.
    #[arg(long, value_name = "SHOP_DIR")]
    into: Option<PathBuf>,
}

/// How long the folder must be quiet: an editor saves a file in several steps.
const QUIET: Duration = Duration::from_millis(200);

impl Watch {
    pub fn run(self) -> Run {
        let project = Project::at(&self.dir)?;
        let shop = self.into.as_deref().map(Folder::of_one).transpose()?;
        if let Some(shop) = &shop {
            // A folder that is none is told before anything is built.
            shop.shop()?;
        }
        let (tell, told) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |_: notify::Result<notify::Event>| {
            // Nobody listens any more when the command ends.
            let _ = tell.send(());
        })?;
        for dir in folders(&project) {
            watcher.watch(&dir, RecursiveMode::NonRecursive)?;
        }
        loop {
            // What tools write into the folder, such as the component, changes no stamp.
            let stamp = project.stamp();
            if let Err(error) = round(&project, shop.as_ref()) {
                eprintln!("stampcard: {error}");
            }
            say("watching; save a file to go on")?;
            while project.stamp() == stamp {
                quiet(&told);
            }
            for dir in folders(&project) {
                // A folder that is watched already stays so.
                watcher.watch(&dir, RecursiveMode::NonRecursive)?;
            }
        }
    }
}

/// The folders of the author's files. Those of tools, which hold thousands, are not watched.
fn folders(project: &Project) -> Vec<PathBuf> {
    let files = project.files(super::project::Part::All);
    let parents = files.iter().filter_map(|file| file.parent());
    let mut folders: Vec<PathBuf> = parents.map(Path::to_owned).collect();
    folders.push(project.dir.clone());
    folders.sort();
    folders.dedup();
    folders
}

/// Waits for a change, and then until there was none for a while.
fn quiet(told: &Receiver<()>) {
    if told.recv().is_err() {
        return;
    }
    while !matches!(told.recv_timeout(QUIET), Err(RecvTimeoutError::Timeout)) {}
}

/// Builds, tests, and lays the plugin into the shop if it passes.
fn round(project: &Project, shop: Option<&Folder>) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let built = build(project)?;
    let report = test(project)?;
    if report.failed > 0 {
        say(tell(&report))?;
        return Ok(());
    }
    let live = match shop {
        Some(shop) => into(project, shop)?,
        None => "not in a shop".into(),
    };
    say(format_args!(
        "{} passed, {live}, {:.1} s, {}",
        report.passed,
        began.elapsed().as_secs_f64(),
        built.digest,
    ))?;
    Ok(())
}

/// Lays a plugin into a shop's folder, and waits until an open shop has taken it.
fn into(project: &Project, shop: &Folder) -> Result<String, Box<dyn Error>> {
    let plugins = shop.plugins();
    fs::create_dir_all(&plugins).map_err(|source| ReadError {
        path: plugins.clone(),
        source,
    })?;
    let manifest = text(&project.manifest())?;
    if let Some(schema) = schema_file_of(&manifest) {
        put(&plugins.join(&schema), &read(&project.dir.join(&schema))?)?;
    }
    // What the operator has set stays.
    let settings = plugins.join(format!("{}.toml", project.name));
    if !settings.exists() {
        put(&settings, manifest.as_bytes())?;
    }
    let component = plugins.join(format!("{}.wasm", project.name));
    put(&component, &read(&project.component())?)?;
    if !stampcard_store::is_in_use(&shop.database()) {
        return Ok(format!("laid into {}/{PLUGINS}", shop.dir().display()));
    }
    let done = orders::give(shop, &Order::Apply, None)?;
    let problems = done["problems"].as_array().map_or(&[][..], Vec::as_slice);
    match problems.first().and_then(|problem| problem.as_str()) {
        Some(problem) => Ok(format!("NOT LIVE ({problem})")),
        None => Ok(format!("live with rule book {}", done["revision"])),
    }
}
