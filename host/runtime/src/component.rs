//! What the bytes of a component say about it, before anything of it is compiled or run: that it
//! is one, what it imports and whether it may, and which roles of the contract it exports.

use crate::contract::Contract;
use crate::digest::Digest;
use crate::limits::COMPONENT_BYTES_MAX;
use crate::wasi;
use semver::Version;
use serde::Serialize;
use stampcard_pipeline::rules::Role;
use wasmparser::{ComponentTypeRef, Encoding, Parser, Payload, Validator, WasmFeatures};

/// What a component is, for people and for the loader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// `sha256:…` of the bytes.
    pub digest: String,
    /// Its size.
    pub bytes: usize,
    /// The contract that it speaks, such as `0.1`; `None` if it exports nothing of any.
    pub contract: Option<String>,
    pub roles: Vec<Role>,
    pub imports: Vec<Import>,
}

/// One import of a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import {
    /// As the component has it, such as `wasi:cli/stderr@0.2.6`.
    pub name: String,
    /// Why it may not be imported; `None` if it may.
    pub refused: Option<String>,
}

/// Why some bytes are no plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComponentError {
    #[error(
        "the component has {bytes} bytes, more than the {most} that a plugin may have; build it in release mode and strip it"
    )]
    TooLarge { bytes: usize, most: usize },
    #[error(
        "this is machine code that was compiled elsewhere, which is never accepted; give the component (.wasm) itself"
    )]
    Precompiled,
    #[error("this is not WebAssembly: {reason}")]
    NotWasm { reason: String },
    #[error(
        "this is a core module, not a component; turn it into one with the SDK's build, or with `wasm-tools component new`"
    )]
    CoreModule,
    #[error(
        "the component is not valid, so it may be damaged or cut off: {reason} (at byte {offset})"
    )]
    Invalid { reason: String, offset: usize },
    #[error("the component imports what a plugin may not have: {}", list(.refused))]
    Imports { refused: Vec<Import> },
    #[error("the component exports no role of the contract; it exports {}", if .exports.is_empty() { "nothing".into() } else { .exports.join(", ") })]
    NoRole { exports: Vec<String> },
    #[error(
        "the component exports a role but not stampcard:plugin/lifecycle, which every plugin must; the SDK's export macro adds it"
    )]
    NoLifecycle,
    #[error(
        "the component speaks version {found} of the plugin contract, and this host speaks {known}; {advice}"
    )]
    UnknownContract {
        found: Version,
        known: &'static str,
        advice: &'static str,
    },
}

fn list(refused: &[Import]) -> String {
    let sentences = refused.iter().map(|import| match &import.refused {
        Some(reason) => format!("{} ({reason})", import.name),
        None => import.name.clone(),
    });
    sentences.collect::<Vec<_>>().join("; ")
}

/// Looks at a component for whoever wants to know what it is. It may have imports that a loader
/// would refuse, and no role at all.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, ComponentError> {
    let seen = See::look(bytes)?;
    let contract = seen
        .contract_versions()
        .find_map(|version| Contract::of(&version));
    let roles = contract.map_or(Vec::new(), |contract| seen.roles(contract));
    Ok(Inspection {
        digest: Digest::of(bytes).to_string(),
        bytes: bytes.len(),
        contract: seen
            .contract_versions()
            .next()
            .map(|version| format!("{}.{}", version.major, version.minor)),
        roles,
        imports: seen.imports(),
    })
}

/// What a component that may be loaded is made of.
pub(crate) struct Shape {
    pub contract: Contract,
    /// In the order of [`Role::ALL`], never empty.
    pub roles: Vec<Role>,
    pub imports_wasi: bool,
}

/// Checks that a component may be loaded, without compiling or running any of it.
pub(crate) fn check(bytes: &[u8]) -> Result<Shape, ComponentError> {
    let seen = See::look(bytes)?;
    let imports = seen.imports();
    let refused: Vec<Import> = imports
        .iter()
        .filter(|import| import.refused.is_some())
        .cloned()
        .collect();
    if !refused.is_empty() {
        return Err(ComponentError::Imports { refused });
    }
    let newest = seen.contract_versions().next();
    let contract = match newest {
        None => {
            return Err(ComponentError::NoRole {
                exports: seen.exports,
            });
        }
        Some(found) => Contract::of(&found).ok_or(ComponentError::UnknownContract {
            known: Contract::KNOWN,
            advice: Contract::advice(&found),
            found,
        })?,
    };
    let roles = seen.roles(contract);
    if roles.is_empty() {
        return Err(ComponentError::NoRole {
            exports: seen.exports,
        });
    }
    if !seen
        .exports
        .iter()
        .any(|name| contract.item(name) == Some("lifecycle"))
    {
        return Err(ComponentError::NoLifecycle);
    }
    Ok(Shape {
        contract,
        roles,
        imports_wasi: imports
            .iter()
            .any(|import| import.name.starts_with("wasi:")),
    })
}

/// The outermost imports and exports of a valid component, by name.
struct See {
    /// Each with whether it is an instance.
    imported: Vec<(String, bool)>,
    exports: Vec<String>,
}

impl See {
    fn look(bytes: &[u8]) -> Result<See, ComponentError> {
        if bytes.len() > COMPONENT_BYTES_MAX {
            return Err(ComponentError::TooLarge {
                bytes: bytes.len(),
                most: COMPONENT_BYTES_MAX,
            });
        }
        if wasmtime::Engine::detect_precompiled(bytes).is_some() {
            return Err(ComponentError::Precompiled);
        }
        match Parser::new(0).parse_all(bytes).next() {
            Some(Ok(Payload::Version {
                encoding: Encoding::Component,
                ..
            })) => {}
            Some(Ok(Payload::Version {
                encoding: Encoding::Module,
                ..
            })) => return Err(ComponentError::CoreModule),
            Some(Err(error)) => {
                return Err(ComponentError::NotWasm {
                    reason: error.message().into(),
                });
            }
            _ => {
                return Err(ComponentError::NotWasm {
                    reason: "there is nothing in it".into(),
                });
            }
        }
        let invalid = |error: wasmparser::BinaryReaderError| ComponentError::Invalid {
            reason: error.message().into(),
            offset: error.offset(),
        };
        Validator::new_with_features(features())
            .validate_all(bytes)
            .map_err(invalid)?;
        outermost(bytes).map_err(invalid)
    }

    fn imports(&self) -> Vec<Import> {
        let judged = self.imported.iter().map(|(name, is_instance)| Import {
            refused: why_refused(name, *is_instance),
            name: name.clone(),
        });
        judged.collect()
    }

    /// The versions of the contract's exported interfaces, the newest first.
    fn contract_versions(&self) -> impl Iterator<Item = Version> {
        let mut versions: Vec<Version> = self
            .exports
            .iter()
            .filter_map(|name| Some(contract_item(name)?.1))
            .collect();
        versions.sort_by(|one, other| other.cmp(one));
        versions.into_iter()
    }

    fn roles(&self, contract: Contract) -> Vec<Role> {
        let exported = |role: &Role| {
            self.exports
                .iter()
                .any(|name| contract.item(name) == Some(role.name()))
        };
        Role::ALL.into_iter().filter(exported).collect()
    }
}

fn outermost(bytes: &[u8]) -> wasmparser::Result<See> {
    let mut seen = See {
        imported: Vec::new(),
        exports: Vec::new(),
    };
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    let import = import?;
                    let is_instance = matches!(import.ty, ComponentTypeRef::Instance(_));
                    seen.imported.push((import.name.name.into(), is_instance));
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    seen.exports.push(export?.name.name.into());
                }
            }
            _ => {}
        }
    }
    Ok(seen)
}

/// A custom section of the outermost component; `None` if it has none of that name, or is no component.
pub(crate) fn custom_section<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.ok()? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::CustomSection(section) if depth == 0 && section.name() == name => {
                return Some(section.data());
            }
            _ => {}
        }
    }
    None
}

/// What `engine.rs` has; wasmtime checks again when it compiles.
fn features() -> WasmFeatures {
    WasmFeatures::WASM2
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::EXTENDED_CONST
}

/// Splits `stampcard:plugin/point-formula@0.1.0` into the item and the version.
pub(crate) fn contract_item(name: &str) -> Option<(&str, Version)> {
    let (item, version) = name.strip_prefix("stampcard:plugin/")?.split_once('@')?;
    Some((item, version.parse().ok()?))
}

fn why_refused(name: &str, is_instance: bool) -> Option<String> {
    if let Some((item, version)) = contract_item(name) {
        return match Contract::of(&version) {
            Some(_) if matches!(item, "log" | "types") => None,
            Some(_) => Some(format!("the contract gives plugins no {item}")),
            None => Some(format!(
                "this host speaks version {} of the contract",
                Contract::KNOWN
            )),
        };
    }
    if !is_instance {
        return Some("a plugin imports interfaces only".into());
    }
    let interface = name
        .split_once('@')
        .map_or(name, |(interface, _)| interface);
    let package = interface
        .split_once('/')
        .map_or(interface, |(package, _)| package);
    let reason = match package {
        _ if wasi::gives(name) => return None,
        "wasi:sockets" | "wasi:http" | "wasi:tls" => {
            "a rule has no network: what it needs to know comes as facts and configuration"
        }
        "wasi:keyvalue" | "wasi:blobstore" | "wasi:sql" => {
            "a rule has no storage: what it remembers about a customer is its state"
        }
        "wasi:config" | "wasi:runtime-config" => "a rule is configured through `configure`",
        "wasi:threads" | "wasi:thread" => "a rule has one thread",
        "wasi:io" | "wasi:cli" | "wasi:clocks" | "wasi:random" | "wasi:filesystem" => {
            "this version or part of WASI is not known here; 0.2 is"
        }
        _ => "a plugin imports only stampcard:plugin/log, and WASI 0.2 where its language needs it",
    };
    Some(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_refused_by_name_and_with_a_reason() {
        for (name, reason) in [
            ("stampcard:plugin/log@0.1.0", None),
            ("stampcard:plugin/log@0.1.7", None),
            ("stampcard:plugin/types@0.1.0", None),
            ("wasi:io/streams@0.2.12", None),
            ("wasi:filesystem/preopens@0.2.3", None),
            ("stampcard:plugin/log@0.2.0", Some("speaks version 0.1")),
            (
                "stampcard:plugin/lifecycle@0.1.0",
                Some("gives plugins no lifecycle"),
            ),
            ("wasi:sockets/tcp@0.2.0", Some("no network")),
            ("wasi:http/outgoing-handler@0.2.0", Some("no network")),
            ("wasi:keyvalue/store@0.2.0", Some("no storage")),
            ("wasi:clocks/monotonic-clock@0.3.0", Some("0.2 is")),
            ("acme:till/drawer@1.0.0", Some("only stampcard:plugin/log")),
        ] {
            let refused = why_refused(name, true);
            match reason {
                None => assert_eq!(refused, None, "{name}"),
                Some(part) => assert!(
                    refused.as_ref().is_some_and(|why| why.contains(part)),
                    "{name}: {refused:?}"
                ),
            }
        }
        assert!(why_refused("print", false).is_some());
    }
}
