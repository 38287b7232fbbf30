//! `stampcard plugin inspect`: what a component is, and what its manifest says of it.

use super::super::pack::pack_file;
use super::super::{End, Run, say, say_json};
use super::ReadError;
use super::building::build_if_stale;
use super::project::{Project, text};
use crate::config::Folder;
use crate::pack;
use crate::packs::{NotSigned, Pack, Words};
use crate::table::number;
use clap::Args;
use serde_json::{Value, json};
use stampcard_runtime::{Inspection, PluginFile, inspect};
use std::path::{Path, PathBuf};

/// Say what a component is: its roles, its contract, its imports and which of them are refused, and
/// what the manifest beside it says.
///
/// Nothing of it is run. Exit code 1 if a shop could not load it.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard plugin inspect\n  stampcard plugin inspect double-weekend.wasm --json\n  stampcard plugin inspect coffee-house-1.0.0.pack --shop shop"
)]
pub struct Inspect {
    /// The component, or a pack of them; the component of the project in this folder if none is named.
    file: Option<PathBuf>,
    /// A shop's folder: whose keys it trusts says who signed a pack.
    #[arg(long, value_name = "SHOP_DIR")]
    shop: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub fn run(self) -> Run {
        let file = match self.file {
            Some(file) => file,
            None => {
                let project = Project::at(Path::new("."))?;
                build_if_stale(&project)?;
                project.component()
            }
        };
        if file.extension().is_some_and(|ending| ending == "pack") {
            return inspect_pack(&file, self.shop.as_deref(), self.json);
        }
        let bytes = std::fs::read(&file).map_err(|source| ReadError {
            path: file.clone(),
            source,
        })?;
        let inspection = match inspect(&bytes) {
            Ok(inspection) => inspection,
            Err(error) => {
                if self.json {
                    say_json(&json!({ "refused": error.to_string() }))?;
                } else {
                    eprintln!("stampcard: {}: {error}", file.display());
                }
                return Ok(End::Attention);
            }
        };
        let manifest = manifest(&file)?;
        let lies = match &manifest {
            Some(Ok(manifest)) => {
                let mut claimed = manifest.manifest.roles.clone();
                claimed.sort();
                claimed != inspection.roles
            }
            _ => false,
        };
        let is_read = !matches!(manifest, Some(Err(_)));
        let fits = is_read && !lies && fits(&inspection);
        if self.json {
            let mut told = json!(inspection);
            told["manifest"] = match &manifest {
                Some(Ok(file)) => told_manifest(file),
                Some(Err(problem)) => json!({ "refused": problem }),
                None => Value::Null,
            };
            // A component by itself is signed by nobody: packs are.
            told["signer"] = Value::Null;
            say_json(&told)?
        } else {
            say(describe(&inspection))?;
            say("signer    none: a component by itself is not signed, a pack is")?;
            match &manifest {
                Some(Ok(file)) => say(describe_manifest(file, lies))?,
                Some(Err(problem)) => say(format_args!("manifest  REFUSED: {problem}"))?,
                None => {}
            }
        }
        Ok(if fits { End::Done } else { End::Attention })
    }
}

fn told_manifest(file: &PluginFile) -> Value {
    let limits = file.manifest.limits.named();
    let limits: serde_json::Map<String, Value> = limits
        .map(|(name, most)| (name.to_owned(), most.into()))
        .collect();
    json!({
        "name": file.manifest.name, "version": file.manifest.version.to_string(),
        "events": file.manifest.events, "facts": file.manifest.facts,
        "state_version": file.manifest.state_version,
        "limits": limits,
    })
}

/// What is in a pack, and who signed it.
fn inspect_pack(file: &Path, shop: Option<&Path>, json: bool) -> Run {
    let read = Pack::read(&pack_file(file)?);
    let pack = match read {
        Ok(pack) => pack,
        Err(error) => {
            if json {
                say_json(&json!({ "refused": error.to_string() }))?;
            } else {
                eprintln!("stampcard: {}: {error}", file.display());
            }
            return Ok(End::Attention);
        }
    };
    let trusted = match shop {
        Some(shop) => Folder::of_one(shop)?.trusted_keys()?,
        None => Vec::new(),
    };
    let (signer, by) = match pack.signer(&trusted) {
        Ok(signer) => {
            let by = format!("{}, key {}", signer.name, signer.key);
            (json!(signer), by)
        }
        Err(NotSigned::NoKeys { key }) if shop.is_none() => {
            let by = format!("it names the key {key}; --shop SHOP_DIR verifies it");
            (json!({ "name": null, "key": key }), by)
        }
        Err(error) => (Value::Null, error.to_string()),
    };
    let mut plugins = Vec::new();
    for candidate in pack.candidates(&Words::default())? {
        let inspection = inspect(candidate.component.as_deref().unwrap_or_default())?;
        let manifest = PluginFile::read(&candidate.name, &candidate.file, &[])?;
        plugins.push((inspection, manifest));
    }
    let about = &pack.about;
    if json {
        let plugins = plugins.iter().map(|(inspection, manifest)| {
            let mut told = json!(inspection);
            told["manifest"] = told_manifest(manifest);
            told
        });
        say_json(&json!({
            "pack": about.name, "version": about.version.to_string(), "digest": pack.digest(),
            "signer": signer, "plugins": plugins.collect::<Vec<_>>(),
        }))?;
    } else {
        say(format_args!(
            "pack      {} {}\ndigest    {}\nsigner    {by}\nlicense   {}",
            about.name,
            about.version,
            pack.digest(),
            about.license
        ))?;
        for (inspection, manifest) in &plugins {
            say(format_args!(
                "\n{}\n{}",
                describe(inspection),
                describe_manifest(manifest, false)
            ))?;
        }
    }
    Ok(End::Done)
}

fn fits(inspection: &Inspection) -> bool {
    let is_allowed = |import: &stampcard_runtime::Import| import.refused.is_none();
    !inspection.roles.is_empty() && inspection.imports.iter().all(is_allowed)
}

/// The manifest beside a component; `None` if there is none.
fn manifest(component: &Path) -> Result<Option<Result<PluginFile, String>>, ReadError> {
    let path = component.with_extension("toml");
    if !path.is_file() {
        return Ok(None);
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let file = PluginFile::read(&name, &text(&path)?, &pack::packs());
    Ok(Some(file.map_err(|error| error.to_string())))
}

fn or_none(words: String) -> String {
    if words.is_empty() {
        "none".into()
    } else {
        words
    }
}

fn describe(inspection: &Inspection) -> String {
    let roles: Vec<&str> = inspection.roles.iter().map(|role| role.name()).collect();
    let mut told = format!(
        "digest    {}\nsize      {} bytes\ncontract  {}\nroles     {}",
        inspection.digest,
        number(inspection.bytes as i64),
        inspection.contract.as_deref().unwrap_or("none"),
        or_none(roles.join(", ")),
    );
    for import in &inspection.imports {
        told.push_str(&format!("\nimport    {}", import.name));
        if let Some(reason) = &import.refused {
            told.push_str(&format!("  REFUSED: {reason}"));
        }
    }
    told
}

fn describe_manifest(file: &PluginFile, lies: bool) -> String {
    let manifest = &file.manifest;
    let roles: Vec<&str> = manifest.roles.iter().map(|role| role.name()).collect();
    let mut told = format!(
        "manifest  {} {}\nevents    {}\nfacts     {}",
        manifest.name,
        manifest.version,
        manifest.events.join(", "),
        or_none(manifest.facts.join(", ")),
    );
    if lies {
        told.push_str(&format!(
            "\nREFUSED: it claims the roles {}, and the component has others",
            or_none(roles.join(", "))
        ));
    }
    told
}
