//! A pack in an OCI registry, as the artifact that `wkg` and others use for WebAssembly: a manifest
//! whose configuration is one of Wasm, and a layer for each file, the components first.
//!
//! Each layer is the file itself under its own digest, so a component that several packs share is in
//! the registry once, and `oras pull` writes the same files. What a registry answers is believed as
//! far as it can be checked: sizes before they are read, digests after.

mod client;
mod reference;

pub use client::{Credentials, RegistryError};
pub use reference::Reference;

use super::contents::{FILES_MAX, PACK_BYTES_MAX, most_bytes};
use super::{COMPONENT_ENDING, Contents, ContentsError, Pack, PackError, hex};
use client::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use stampcard_runtime::inspect;
use std::collections::BTreeMap;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
const COMPONENT_TYPE: &str = "application/wasm";
/// What `oras` and others call a layer's file.
const TITLE: &str = "org.opencontainers.image.title";

/// Why a pack is not in a registry, or does not come out of one.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("{reference} is no pack: {why}")]
    NotAPack { reference: String, why: String },
    #[error(
        "{path} is not what the registry says it is: its digest is {found}, and the manifest says {claimed}"
    )]
    WrongDigest {
        path: String,
        claimed: String,
        found: String,
    },
    #[error(transparent)]
    Contents(#[from] ContentsError),
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// The manifest of an artifact, as far as it matters for a pack.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// What was pushed or pulled.
#[derive(Debug, Serialize)]
pub struct Transferred {
    pub reference: String,
    /// Of the manifest: `NAME@sha256:…` is this pack and no other.
    pub digest: String,
    /// Files that had to travel; what the registry has already stays.
    pub files: usize,
    pub bytes: usize,
}

/// Puts a pack into a registry under a tag.
pub fn push(
    pack: &Pack,
    reference: &Reference,
    credentials: &Credentials,
) -> Result<Transferred, TransferError> {
    let mut client = Client::new(reference, credentials, "pull,push");
    let mut parts = pack.parts();
    // Whoever knows components alone takes the first layer.
    parts.sort_by_key(|(path, _)| !path.ends_with(COMPONENT_ENDING));
    let config = config_of(pack, &parts);
    let mut transferred = Transferred {
        reference: reference.to_string(),
        digest: String::new(),
        files: 0,
        bytes: 0,
    };
    let mut put = |bytes: &[u8]| -> Result<(), TransferError> {
        if client.put_blob(&digest(bytes), bytes)? {
            transferred.files += 1;
            transferred.bytes += bytes.len();
        }
        Ok(())
    };
    put(&config)?;
    for (_, bytes) in &parts {
        put(bytes)?;
    }
    let about = &pack.about;
    let note = |key: &str, text: &str| (format!("org.opencontainers.image.{key}"), text.to_owned());
    let mut annotations = BTreeMap::from([
        note("title", &about.name),
        note("version", &about.version.to_string()),
        note("description", &about.description),
        note("licenses", &about.license),
    ]);
    annotations.extend(
        about
            .author
            .as_deref()
            .map(|author| note("authors", author)),
    );
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST_TYPE.into()),
        config: descriptor(CONFIG_TYPE, &config),
        layers: parts
            .iter()
            .map(|(path, bytes)| Descriptor {
                annotations: [(TITLE.to_owned(), (*path).to_owned())].into(),
                ..descriptor(type_of(path), bytes)
            })
            .collect(),
        annotations,
    };
    let manifest = serde_json::to_vec(&manifest).expect("a manifest is plain data");
    transferred.digest = digest(&manifest);
    client.put_manifest(&manifest, MANIFEST_TYPE)?;
    Ok(transferred)
}

/// Takes a pack out of a registry, and holds every byte of it against its digest.
pub fn pull(
    reference: &Reference,
    credentials: &Credentials,
) -> Result<(Pack, Transferred), TransferError> {
    let not_a_pack = |why: String| TransferError::NotAPack {
        reference: reference.to_string(),
        why,
    };
    let mut client = Client::new(reference, credentials, "pull");
    let text = client.manifest(MANIFEST_TYPE)?;
    let found = digest(&text);
    if let Some(claimed) = reference.digest().filter(|claimed| *claimed != found) {
        return Err(TransferError::WrongDigest {
            path: "the manifest".into(),
            claimed: claimed.into(),
            found,
        });
    }
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| not_a_pack(error.to_string()))?;
    let what = &manifest.config.media_type;
    if what != CONFIG_TYPE {
        return Err(not_a_pack(format!("its configuration is `{what}`")));
    }
    // One for the list of sums, and one for the signature.
    if manifest.layers.len() > FILES_MAX + 2 {
        return Err(ContentsError::TooMany.into());
    }
    let files = files(&manifest).map_err(|error| match error {
        NotFiles::Contents(error) => error.into(),
        NotFiles::Why(why) => not_a_pack(why),
    })?;
    let mut parts = Contents::default();
    let mut bytes = 0;
    for (path, layer) in files {
        let held = client.blob(&layer.digest, layer.size)?;
        let found = digest(&held);
        if found != layer.digest {
            return Err(TransferError::WrongDigest {
                path: path.into(),
                claimed: layer.digest.clone(),
                found,
            });
        }
        bytes += held.len();
        parts.add(path, held)?;
    }
    let transferred = Transferred {
        reference: reference.to_string(),
        digest: found,
        files: manifest.layers.len(),
        bytes,
    };
    Ok((Pack::of_parts(parts)?, transferred))
}

enum NotFiles {
    Contents(ContentsError),
    Why(String),
}

/// The layers with their paths, none of which is read if one cannot be in a pack.
fn files(manifest: &Manifest) -> Result<Vec<(&str, &Descriptor)>, NotFiles> {
    let mut all: u64 = 0;
    let mut files = Vec::with_capacity(manifest.layers.len());
    for layer in &manifest.layers {
        let path = layer.annotations.get(TITLE);
        let path = path
            .ok_or_else(|| NotFiles::Why(format!("a layer ({}) has no name", layer.media_type)))?;
        let most = most_bytes(path).map_err(NotFiles::Contents)?;
        if layer.media_type != type_of(path) {
            return Err(NotFiles::Why(format!(
                "the layer {path} is `{}`, and a pack has it as `{}`",
                layer.media_type,
                type_of(path)
            )));
        }
        if layer.size > most as u64 {
            return Err(NotFiles::Contents(ContentsError::FileTooLarge {
                path: path.clone(),
                bytes: layer.size,
                most,
            }));
        }
        all += layer.size;
        if all > PACK_BYTES_MAX as u64 {
            let bytes = all as usize;
            return Err(NotFiles::Contents(ContentsError::TooLarge { bytes }));
        }
        if !reference::is_digest(&layer.digest) {
            return Err(NotFiles::Why(format!(
                "`{}` is no digest of SHA-256",
                layer.digest
            )));
        }
        files.push((path.as_str(), layer));
    }
    Ok(files)
}

/// What the Wasm artifact says of its components. It tells no time, so that the same pack is the same
/// artifact.
fn config_of(pack: &Pack, parts: &[(&str, std::borrow::Cow<[u8]>)]) -> Vec<u8> {
    let components = parts.iter();
    let components = components.filter(|(path, _)| path.ends_with(COMPONENT_ENDING));
    let inspections: Vec<_> = components
        .filter_map(|(_, bytes)| inspect(bytes).ok())
        .collect();
    let mut imports: Vec<&String> = inspections
        .iter()
        .flat_map(|it| it.imports.iter().map(|import| &import.name))
        .collect();
    imports.sort();
    imports.dedup();
    let contract = &pack.about.requires.contract;
    let mut exports: Vec<String> = inspections
        .iter()
        .flat_map(|it| it.roles.iter())
        .map(|role| format!("stampcard:plugin/{}@{contract}.0", role.name()))
        .collect();
    exports.sort();
    exports.dedup();
    let layers: Vec<String> = parts.iter().map(|(_, bytes)| digest(bytes)).collect();
    let config: Value = json!({
        "created": "1970-01-01T00:00:00Z", "author": pack.about.author,
        "architecture": "wasm", "os": "wasip2", "layerDigests": layers,
        "component": { "exports": exports, "imports": imports, "target": null },
    });
    serde_json::to_vec(&config).expect("it is plain data")
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.into(),
        digest: digest(bytes),
        size: bytes.len() as u64,
        annotations: BTreeMap::new(),
    }
}

fn type_of(path: &str) -> &'static str {
    match path.rsplit_once('.') {
        Some((_, "wasm")) => COMPONENT_TYPE,
        Some((_, "toml")) => "application/toml",
        Some((_, "json")) => "application/json",
        Some((_, "md")) => "text/markdown",
        _ => "text/plain",
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}
