//! `stampcard pack push` and `pull`: packs in a registry.

use super::super::plugin::building::put;
use super::super::{End, Run, say, say_json};
use super::pack_file;
use crate::packs::Pack;
use crate::packs::registry::{self, Credentials, Reference, Transferred};
use crate::table::number;
use clap::Args;
use std::path::PathBuf;

/// Put a pack into an OCI registry, as an artifact of WebAssembly.
///
/// Its signature travels with it. The name and password are those of STAMPCARD_REGISTRY_USER and
/// STAMPCARD_REGISTRY_PASSWORD, or what `docker login` has left.
#[derive(Args)]
#[command(
    after_help = "Example:\n  stampcard pack push coffee-house-1.0.0.pack ghcr.io/corner/coffee-house:1.0.0"
)]
pub struct Push {
    /// The pack's file.
    file: PathBuf,
    /// Registry, name and version.
    reference: Reference,
    /// Speak HTTP without TLS, also to a registry on another machine.
    #[arg(long)]
    plain_http: bool,
    #[arg(long)]
    json: bool,
}

/// Take a pack out of an OCI registry. What is not as its manifest and its list of sums say is refused.
///
/// Who signed it is looked at when it is installed, or with `stampcard pack verify`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard pack pull ghcr.io/corner/coffee-house:1.0.0\n  stampcard pack pull ghcr.io/corner/coffee-house@sha256:9f2c… -o coffee-house.pack"
)]
pub struct Pull {
    /// Registry, name and version.
    reference: Reference,
    /// The file; NAME-VERSION.pack if it is not said.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Speak HTTP without TLS, also to a registry on another machine.
    #[arg(long)]
    plain_http: bool,
    #[arg(long)]
    json: bool,
}

impl Push {
    pub fn run(self) -> Run {
        let pack = Pack::read(&pack_file(&self.file)?)?;
        let credentials = Credentials::of(&self.reference.registry, self.plain_http);
        let pushed = registry::push(&pack, &self.reference, &credentials)?;
        tell(&pushed, "is there now", self.json)
    }
}

impl Pull {
    pub fn run(self) -> Run {
        let credentials = Credentials::of(&self.reference.registry, self.plain_http);
        let (pack, pulled) = registry::pull(&self.reference, &credentials)?;
        let named = format!("{}-{}.pack", pack.about.name, pack.about.version);
        let file = self.output.unwrap_or_else(|| PathBuf::from(named));
        put(&file, &pack.bytes())?;
        tell(&pulled, &format!("is {}", file.display()), self.json)
    }
}

fn tell(transferred: &Transferred, what: &str, json: bool) -> Run {
    if json {
        say_json(transferred)?;
    } else {
        say(format_args!(
            "{} {what}: {} files and {} bytes travelled\ndigest {}",
            transferred.reference,
            number(transferred.files as i64),
            number(transferred.bytes as i64),
            transferred.digest
        ))?;
    }
    Ok(End::Done)
}
