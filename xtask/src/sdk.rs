//! `cargo xtask sdk`: what the SDKs and the catalogue for people have of the contract, made from `wit/`
//! and nothing by hand.
//!
//! What is made is committed, so that an author needs no tool of ours to read it; a test sees to it
//! that it is what the contract says.

mod catalogue;
mod javascript;

use crate::Failure;
use stampcard_tests::binary::root;
use std::fs;
use std::path::PathBuf;
use wit_parser::{Resolve, Type, TypeDef, TypeDefKind, TypeId};

/// The folder of the contract's released version.
const CONTRACT: &str = "wit/v0.1";

pub fn run() -> Result<(), Failure> {
    for (path, text) in files() {
        let whole = root().join(&path);
        let failed = |source| Failure::File {
            path: path.display().to_string(),
            source,
        };
        if let Some(folder) = whole.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        fs::write(&whole, text).map_err(failed)?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// Everything that is made, each with its text.
fn files() -> Vec<(PathBuf, String)> {
    let contract = Contract::read();
    let mut files = vec![
        ("sdk/js/contract.d.ts".into(), javascript::types(&contract)),
        ("sdk/js/contract.js".into(), javascript::shapes(&contract)),
        ("docs/catalogue.md".into(), catalogue::page(&contract)),
    ];
    for name in ["types.wit", "roles.wit"] {
        let text = fs::read_to_string(root().join(CONTRACT).join(name));
        let text = text.unwrap_or_else(|error| panic!("{CONTRACT}/{name}: {error}"));
        let python = format!("sdk/python/stampcard_sdk/wit/{name}");
        files.push((python.into(), text.clone()));
        files.push((format!("sdk/js/wit/{name}").into(), text));
    }
    files
}

/// The contract's types, in the order in which it has them.
pub struct Contract {
    resolve: Resolve,
    types: Vec<TypeId>,
}

/// The answers, each with the role that gives it.
pub const ANSWERS: [(&str, &str); 4] = [
    ("segment-rule", "segment-answer"),
    ("point-formula", "point-answer"),
    ("tier-rule", "tier-answer"),
    ("follow-up-trigger", "follow-up-answer"),
];

impl Contract {
    fn read() -> Contract {
        let mut resolve = Resolve::default();
        let (package, _) = resolve
            .push_dir(root().join(CONTRACT))
            .unwrap_or_else(|error| panic!("{CONTRACT}: {error:#}"));
        let types = resolve.packages[package].interfaces["types"];
        let types = resolve.interfaces[types].types.values().copied().collect();
        Contract { resolve, types }
    }

    /// Every type with a name.
    pub fn types(&self) -> impl Iterator<Item = (TypeId, &TypeDef)> {
        self.types.iter().map(|id| (*id, &self.resolve.types[*id]))
    }

    pub fn get(&self, id: TypeId) -> &TypeDef {
        &self.resolve.types[id]
    }

    pub fn name(&self, id: TypeId) -> Option<&str> {
        self.get(id).name.as_deref()
    }

    /// Whether a type is part of what a plugin answers.
    pub fn is_answered(&self, name: &str) -> bool {
        let answers = ANSWERS.iter().map(|(_, answer)| *answer);
        let mut open: Vec<TypeId> = answers.filter_map(|answer| self.find(answer)).collect();
        let mut seen = Vec::new();
        while let Some(id) = open.pop() {
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            open.extend(self.parts(id));
        }
        seen.iter().any(|id| self.name(*id) == Some(name))
    }

    fn find(&self, name: &str) -> Option<TypeId> {
        let mut types = self.types();
        types.find_map(|(id, it)| (it.name.as_deref() == Some(name)).then_some(id))
    }

    /// The types that a type is made of.
    fn parts(&self, id: TypeId) -> Vec<TypeId> {
        let of = |ty: &Type| match ty {
            Type::Id(id) => Some(*id),
            _ => None,
        };
        match &self.get(id).kind {
            TypeDefKind::Record(record) => {
                record.fields.iter().filter_map(|it| of(&it.ty)).collect()
            }
            TypeDefKind::Variant(variant) => {
                let payloads = variant.cases.iter().filter_map(|case| case.ty.as_ref());
                payloads.filter_map(of).collect()
            }
            TypeDefKind::Tuple(tuple) => tuple.types.iter().filter_map(of).collect(),
            TypeDefKind::List(ty) | TypeDefKind::Option(ty) | TypeDefKind::Type(ty) => {
                of(ty).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_sdks_have_of_the_contract_is_what_it_says() {
        for (path, made) in files() {
            let committed = fs::read_to_string(root().join(&path)).unwrap_or_default();
            assert!(
                committed == made,
                "{} is not what the contract says; type: cargo xtask sdk",
                path.display()
            );
        }
    }

    #[test]
    fn what_is_answered_is_told_from_what_is_given() {
        let contract = Contract::read();
        for (name, is_answered) in [("award", true), ("moment", true), ("sale", false)] {
            assert_eq!(contract.is_answered(name), is_answered, "{name}");
        }
    }
}
