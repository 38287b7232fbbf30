//! A pack: plugins that travel together, as one file that can be signed.
//!
//! The file is a tar, so that it can be looked into with anything, and it is not compressed, so that
//! it is never larger than it looks:
//!
//! ```text
//! LICENSE                    and README.md, NOTICE: for people
//! cases/extra-coffee/….json  what each rule must answer
//! pack.toml                  what it is and what it needs
//! plugins/extra-coffee.toml  the manifest, whose [config] a shop has that says nothing else
//! plugins/extra-coffee.wasm  the component; the schema that the manifest names is beside it
//! SHA256SUMS                 the sums of everything before it, as `sha256sum --check` reads them
//! SHA256SUMS.minisig         a signature over the sums, as `minisign -V` reads it
//! ```
//!
//! What is signed is the list of sums, and the list has to be exactly that of what is there: nothing
//! can be changed, added or left out beside it. The same components make the same bytes.

mod about;
mod contents;
pub mod registry;
mod signature;

pub use about::{About, AboutError, is_name};
pub use contents::{COMPONENT_ENDING, Contents, ContentsError, MANIFEST_ENDING, PACK_BYTES_MAX};
pub use signature::{KeyError, NotSigned, TrustedKey, new_key_pair, secret_key, sign, signed_by};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stampcard_runtime::manifest::{schema_file_of, toml_problem};
use stampcard_runtime::{Candidate, LoadError, examine};
use stampcard_store::Signer;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The list of sums, which is what is signed.
pub const SUMS: &str = "SHA256SUMS";
/// The signature over it.
pub const SIGNATURE: &str = "SHA256SUMS.minisig";
/// What the pack is.
pub const ABOUT: &str = "pack.toml";

/// A pack whose parts fit together. Whether somebody trusted signed it is another question.
#[derive(Clone, Debug)]
pub struct Pack {
    pub about: About,
    contents: Contents,
    signature: Option<String>,
}

/// Why something is no pack, or not for this host.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error(transparent)]
    Contents(#[from] ContentsError),
    #[error("{ABOUT}: {0}")]
    About(#[from] AboutError),
    #[error("{path} is missing; it belongs to the plugin {plugin}")]
    Missing { path: String, plugin: String },
    #[error("{path} belongs to none of the plugins that {ABOUT} names: {}", .plugins.join(", "))]
    Stray { path: String, plugins: Vec<String> },
    #[error(
        "plugins/{plugin}.toml says `{key}`, which is for the shop to say; take it out of the pack"
    )]
    ForTheShop { plugin: String, key: &'static str },
    #[error(transparent)]
    Plugin(#[from] LoadError),
    #[error(
        "{name} {version} speaks version {found} of the plugin contract, and {ABOUT} says that the pack needs {needs}"
    )]
    Contract {
        name: String,
        version: String,
        found: String,
        needs: String,
    },
    #[error("{SUMS} is missing; `stampcard pack build` makes a pack with one")]
    NoSums,
    #[error("{path} is not what was packed: its sum differs; take another copy of the pack")]
    Altered { path: String },
    #[error("{path} is not in the list of sums; somebody has added it")]
    Added { path: String },
    #[error("{path} is in the list of sums and not in the pack; somebody has taken it out")]
    TakenOut { path: String },
    #[error("{SUMS} is not the list that `stampcard pack build` writes")]
    Sums,
}

/// What a shop says to the plugins of a pack, in the place of what the pack says: for each plugin its
/// whole configuration, what it may see of people, and what its calls run in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Words(BTreeMap<String, Said>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    isolation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<toml::Table>,
}

/// What is wrong with a shop's words.
#[derive(Debug, thiserror::Error)]
pub enum WordsError {
    #[error("the shop's words for the pack are not as they must be: {0}")]
    Toml(String),
    #[error(
        "the shop's words are for {found}, and the pack has {}; a file of words has [NAME.config] for a plugin's configuration and `grant` or `isolation` under [NAME]",
        .known.join(", ")
    )]
    Unknown { found: String, known: Vec<String> },
}

impl Words {
    /// Reads `[extra-coffee.config]` and the like.
    pub fn read(text: &str) -> Result<Words, WordsError> {
        toml::from_str(text).map_err(|error| WordsError::Toml(toml_problem(&error)))
    }

    /// As they are kept; `None` if nothing is said.
    pub fn text(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| toml::to_string(self).expect("it was read as TOML"))
    }

    /// Those for the plugins that a pack has.
    pub fn for_those_of(mut self, pack: &Pack) -> Words {
        self.0.retain(|name, _| pack.about.plugins.contains(name));
        self
    }
}

/// Why a pack is not let into a shop.
#[derive(Debug, thiserror::Error)]
pub enum NotAdmitted {
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error("{name} {version}: {error}")]
    DoesNotFit {
        name: String,
        version: String,
        #[source]
        error: AboutError,
    },
    #[error(
        "{name} {version}: {error}; put the key of whoever you trust under [trusted_keys] in stampcard.toml, or say --allow-unsigned"
    )]
    NotSigned {
        name: String,
        version: String,
        #[source]
        error: NotSigned,
    },
}

/// Reads a pack that is for this host and that somebody trusted has signed, or of which the operator
/// has said that nobody needs to have.
pub fn admit(
    bytes: &[u8],
    trusted: &[TrustedKey],
    allow_unsigned: bool,
) -> Result<(Pack, Option<Signer>), NotAdmitted> {
    let pack = Pack::read(bytes)?;
    let (name, version) = (pack.about.name.clone(), pack.about.version.to_string());
    if let Err(error) = pack.about.fits() {
        return Err(NotAdmitted::DoesNotFit {
            name,
            version,
            error,
        });
    }
    let signer = match pack.signer(trusted) {
        Ok(signer) => Some(signer),
        Err(_) if allow_unsigned => None,
        Err(error) => {
            return Err(NotAdmitted::NotSigned {
                name,
                version,
                error,
            });
        }
    };
    Ok((pack, signer))
}

impl Pack {
    /// A pack of its parts, unsigned unless there is a signature.
    pub fn of(contents: Contents, signature: Option<String>) -> Result<Pack, PackError> {
        let about = About::read(contents.text(ABOUT)?)?;
        let pack = Pack {
            about,
            contents,
            signature,
        };
        pack.check()?;
        Ok(pack)
    }

    /// Reads a pack's file.
    pub fn read(bytes: &[u8]) -> Result<Pack, PackError> {
        Pack::of_parts(Contents::unpack(bytes)?)
    }

    /// A pack of everything that belongs to its file.
    pub fn of_parts(mut parts: Contents) -> Result<Pack, PackError> {
        let sums = parts.take_text(SUMS)?.ok_or(PackError::NoSums)?;
        let signature = parts.take_text(SIGNATURE)?;
        compare(&sums, &parts)?;
        Pack::of(parts, signature)
    }

    /// What fits together, without compiling or running anything of it.
    fn check(&self) -> Result<(), PackError> {
        let names: BTreeSet<&str> = self.about.plugins.iter().map(String::as_str).collect();
        let mut belong = BTreeSet::new();
        for candidate in self.candidates(&Words::default())? {
            let plugin = candidate.name.clone();
            for key in ["pack", "grant", "isolation"] {
                let manifest = candidate.file.parse::<toml::Table>().unwrap_or_default();
                if manifest.contains_key(key) {
                    return Err(PackError::ForTheShop { plugin, key });
                }
            }
            let found = examine(&candidate)?;
            let contract = found.contract.unwrap_or_default();
            if contract != self.about.requires.contract {
                return Err(PackError::Contract {
                    name: self.about.name.clone(),
                    version: self.about.version.to_string(),
                    found: contract,
                    needs: self.about.requires.contract.clone(),
                });
            }
            belong.insert(format!("plugins/{plugin}{MANIFEST_ENDING}"));
            belong.insert(format!("plugins/{plugin}{COMPONENT_ENDING}"));
            belong.extend(schema_file_of(&candidate.file).map(|file| format!("plugins/{file}")));
        }
        let stray = self.contents.paths().find(|path| {
            let mut parts = path.split('/');
            match (parts.next(), parts.next()) {
                (Some("plugins"), _) => !belong.contains(*path),
                (Some("cases"), Some(plugin)) => !names.contains(plugin),
                _ => false,
            }
        });
        match stray {
            None => Ok(()),
            Some(path) => Err(PackError::Stray {
                path: path.to_owned(),
                plugins: self.about.plugins.clone(),
            }),
        }
    }

    /// The plugins as a shop is given them, in the order of `pack.toml`.
    pub fn candidates(&self, words: &Words) -> Result<Vec<Candidate>, PackError> {
        let plugins = self.about.plugins.iter();
        plugins
            .map(|name| {
                let part = |path: String| {
                    let bytes = self.contents.get(&path);
                    bytes.ok_or_else(|| PackError::Missing {
                        path: path.clone(),
                        plugin: name.clone(),
                    })
                };
                part(format!("plugins/{name}{MANIFEST_ENDING}"))?;
                let file = self
                    .contents
                    .text(&format!("plugins/{name}{MANIFEST_ENDING}"))?;
                let schema = match schema_file_of(file) {
                    None => None,
                    Some(schema) => {
                        part(format!("plugins/{schema}"))?;
                        Some(self.contents.text(&format!("plugins/{schema}"))?.to_owned())
                    }
                };
                Ok(Candidate {
                    name: name.clone(),
                    component: Some(part(format!("plugins/{name}{COMPONENT_ENDING}"))?.to_vec()),
                    schema,
                    file: words.above(name, file),
                    was_live: false,
                    source: None,
                })
            })
            .collect()
    }

    /// Refuses words for plugins that the pack does not have.
    pub fn check_words(&self, words: &Words) -> Result<(), WordsError> {
        let known = &self.about.plugins;
        match words.0.keys().find(|name| !known.contains(name)) {
            None => Ok(()),
            Some(found) => Err(WordsError::Unknown {
                found: found.clone(),
                known: known.clone(),
            }),
        }
    }

    /// The list of sums.
    pub fn sums(&self) -> String {
        self.contents.sums()
    }

    /// `sha256:…` of the list of sums: two packs with the same have the same in them.
    pub fn digest(&self) -> String {
        format!("sha256:{}", hex(&Sha256::digest(self.sums())))
    }

    pub fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    /// The same pack with another signature, or with none.
    pub fn with_signature(self, signature: Option<String>) -> Pack {
        Pack { signature, ..self }
    }

    /// Who signed it, of those who are trusted.
    pub fn signer(&self, trusted: &[TrustedKey]) -> Result<Signer, NotSigned> {
        signed_by(self.sums().as_bytes(), self.signature(), trusted)
    }

    /// Everything that its file has, in its order.
    pub fn parts(&self) -> Vec<(&str, Cow<'_, [u8]>)> {
        let contents = self.contents.iter();
        let mut parts: Vec<_> = contents
            .map(|(path, bytes)| (path, Cow::Borrowed(bytes)))
            .collect();
        parts.push((SUMS, Cow::Owned(self.sums().into_bytes())));
        if let Some(signature) = &self.signature {
            parts.push((SIGNATURE, Cow::Borrowed(signature.as_bytes())));
        }
        parts
    }

    /// The bytes of its file.
    pub fn bytes(&self) -> Vec<u8> {
        contents::pack(&self.parts())
    }
}

impl Words {
    /// A manifest with what the shop says in the place of what it says.
    fn above(&self, plugin: &str, manifest: &str) -> String {
        let Some(said) = self.0.get(plugin) else {
            return manifest.to_owned();
        };
        // What is no TOML is for the loader to say.
        let Ok(mut file) = manifest.parse::<toml::Table>() else {
            return manifest.to_owned();
        };
        if let Some(config) = &said.config {
            file.insert("config".into(), toml::Value::Table(config.clone()));
        }
        if let Some(grant) = &said.grant {
            let grant = grant.iter().cloned().map(toml::Value::String).collect();
            file.insert("grant".into(), toml::Value::Array(grant));
        }
        if let Some(isolation) = &said.isolation {
            let isolation = toml::Value::String(isolation.clone());
            file.insert("isolation".into(), isolation);
        }
        file.to_string()
    }
}

/// Holds a list of sums against what is there, and names what differs.
fn compare(sums: &str, contents: &Contents) -> Result<(), PackError> {
    if sums == contents.sums() {
        return Ok(());
    }
    let listed: BTreeMap<&str, &str> = sums
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, path)| (path, sum))
        .collect();
    for (path, bytes) in contents.iter() {
        let path = path.to_owned();
        match listed.get(path.as_str()) {
            None => return Err(PackError::Added { path }),
            Some(sum) if *sum != hex(&Sha256::digest(bytes)) => {
                return Err(PackError::Altered { path });
            }
            Some(_) => {}
        }
    }
    let gone = listed.keys().find(|path| contents.get(path).is_none());
    Err(match gone {
        Some(path) => PackError::TakenOut {
            path: (*path).to_owned(),
        },
        None => PackError::Sums,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod fuzzed {
    use super::*;
    use crate::config::fuzz;

    #[test]
    fn no_bytes_of_a_pack_make_the_host_panic() {
        let about =
            "name = 'a'\nversion = '1.0.0'\ndescription = 'A.'\nlicense = 'MIT'\nplugins = ['b']\n";
        let manifest = "name = 'b'\nversion = '1.0.0'\nroles = ['point-formula']\nevents = ['*']\nconfiguration = 'b.json'\n";
        let (secret, public) = new_key_pair(None).unwrap();
        let secret = secret_key(&secret, || None).unwrap();
        let trusted = [TrustedKey::new("a", &public).unwrap()];
        let mut contents = Contents::default();
        for (path, bytes) in [
            (ABOUT, about.as_bytes()),
            ("plugins/b.toml", manifest.as_bytes()),
            ("plugins/b.json", b"{}"),
            ("plugins/b.wasm", b"\0asm\x0d\0\x01\0"),
        ] {
            contents.add(path, bytes.to_vec()).unwrap();
        }
        let sums = contents.sums();
        let mut parts: Vec<_> = contents
            .iter()
            .map(|(path, it)| (path, it.into()))
            .collect();
        let signature = sign(&sums, "a 1.0.0", &secret).unwrap();
        parts.push((SUMS, sums.as_bytes().into()));
        parts.push((SIGNATURE, signature.as_bytes().into()));
        let whole = contents::pack(&parts);
        let words = [
            "pack.toml",
            "plugins/",
            "../",
            "\0",
            "ustar",
            "00000000777",
            SUMS,
            "=",
            "RW",
        ];
        fuzz::fuzz("pack", vec![whole], &words, |bytes| {
            let signature = String::from_utf8_lossy(bytes);
            let at = signature.find("untrusted comment").unwrap_or_default();
            let signed = signed_by(sums.as_bytes(), Some(&signature[at..]), &trusted);
            let told = match Pack::read(bytes) {
                Ok(pack) => pack.digest(),
                Err(error) => error.to_string(),
            };
            let told: String = told
                .chars()
                .filter(|it| !it.is_ascii_digit())
                .take(50)
                .collect();
            format!("{told} {}", signed.is_ok())
        });
    }
}
