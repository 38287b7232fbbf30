//! The catalogue for people: every kind of event, what a rule is told and what it can answer.

use super::Contract;
use std::fmt::Write;
use wit_parser::{Docs, Type, TypeDef, TypeDefKind};

/// The list that the host itself goes by. It is read here and not linked, so that making this page
/// builds nothing of the host.
#[path = "../../../host/pipeline/src/catalogue.rs"]
#[allow(dead_code)]
mod kinds;

use kinds::{KINDS, Kind, Support};

const HEAD: &str = "\
# The catalogue

What can happen in a shop, what a rule is told of it, and what a rule can answer. Made of the contract in
[wit/v0.1](../wit/v0.1) and of the list by which the host itself goes, by `cargo xtask sdk`; do not edit. A
server tells the same with the schema of each kind's `data`, and with the kinds that its shop has made up
itself, under `GET /v1/catalogue`.

## Kinds of events

A rule names in its manifest those that it wants: `events = [\"sale.completed\"]`, or `[\"*\"]`. A shop's own
begin with `x.`.
";

const TOLD: &str = "
## What a rule is told

A rule is given an `input`, and everything else is part of it. Names are those of the contract: Rust writes
`occurred_at`, JavaScript `occurredAt`.
";

const ANSWERED: &str = "
## What a rule can answer

Each role has an answer of its own: `segment-answer`, `point-answer`, `tier-answer`, `follow-up-answer`.
";

/// A string can be written to.
const TEXT: &str = "a string";

/// `docs/catalogue.md`.
pub fn page(contract: &Contract) -> String {
    let mut page = HEAD.to_owned();
    for (support, title) in [
        (Support::Processed, "Taken"),
        (Support::HostOnly, "Made by the host"),
        (Support::NotYet, "Not yet taken"),
    ] {
        write!(
            page,
            "\n### {title}\n\n| kind | what happened | told by |\n|---|---|---|\n"
        )
        .expect(TEXT);
        let kinds = KINDS.iter().filter(|kind| kind.support == support);
        for Kind {
            name,
            meaning,
            producer,
            ..
        } in kinds
        {
            writeln!(page, "| `{name}` | {meaning} | {producer} |").expect(TEXT);
        }
    }
    page.push_str("\n### The `data` of each, as an example\n\n```\n");
    for kind in KINDS
        .iter()
        .filter(|kind| kind.support == Support::Processed)
    {
        writeln!(page, "{}\n  {}", kind.name, kind.example).expect(TEXT);
    }
    page.push_str("```\n");
    for (head, answered) in [(TOLD, false), (ANSWERED, true)] {
        page.push_str(head);
        for (_, it) in contract.types() {
            let name = it.name.as_deref().unwrap_or_default();
            if contract.is_answered(name) == answered {
                section(&mut page, contract, name, it);
            }
        }
    }
    page
}

fn section(page: &mut String, contract: &Contract, name: &str, it: &TypeDef) {
    let rows: Vec<[String; 3]> = match &it.kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            fields
                .map(|field| {
                    let ty = type_of(contract, &field.ty);
                    [field.name.clone(), ty, line(&field.docs)]
                })
                .collect()
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter();
            cases
                .map(|case| {
                    let ty = case.ty.as_ref().map(|ty| type_of(contract, ty));
                    [case.name.clone(), ty.unwrap_or_default(), line(&case.docs)]
                })
                .collect()
        }
        TypeDefKind::Enum(one) => {
            let cases = one.cases.iter();
            cases
                .map(|case| [case.name.clone(), String::new(), line(&case.docs)])
                .collect()
        }
        _ => Vec::new(),
    };
    write!(page, "\n### {name}\n").expect(TEXT);
    let about = line(&it.docs);
    if !about.is_empty() {
        write!(page, "\n{about}\n").expect(TEXT);
    }
    if rows.is_empty() {
        return;
    }
    let is_record = matches!(it.kind, TypeDefKind::Record(_));
    let what = if is_record { "field" } else { "one of" };
    write!(page, "\n| {what} | is | means |\n|---|---|---|\n").expect(TEXT);
    for [name, ty, docs] in rows {
        writeln!(page, "| `{name}` | {ty} | {docs} |").expect(TEXT);
    }
}

/// What is said of something, in one line of a table.
fn line(docs: &Docs) -> String {
    let said = docs.contents.as_deref().unwrap_or_default();
    let words: Vec<&str> = said.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

fn type_of(contract: &Contract, ty: &Type) -> String {
    match ty {
        Type::Bool => "yes or no".into(),
        Type::String | Type::Char => "text".into(),
        Type::Id(id) => match (contract.name(*id), &contract.get(*id).kind) {
            (Some(name), _) => format!("[{name}](#{name})"),
            (None, TypeDefKind::Option(ty)) => format!("{}, or none", type_of(contract, ty)),
            (None, TypeDefKind::List(Type::U8)) => "bytes".into(),
            (None, TypeDefKind::List(ty)) => format!("list of {}", type_of(contract, ty)),
            (None, TypeDefKind::Tuple(tuple)) => {
                let types = tuple.types.iter().map(|ty| type_of(contract, ty));
                types.collect::<Vec<_>>().join(" with ")
            }
            _ => "value".into(),
        },
        _ => "whole number".into(),
    }
}
