//! The contract for JavaScript: types for whoever writes, shapes for the check of what they answer.

use super::{ANSWERS, Contract};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use wit_parser::{Docs, Type, TypeDefKind};

const HEAD: &str = "// Made of wit/v0.1 by `cargo xtask sdk`; do not edit.\n";

/// What an answer may leave out, and what stands in its place. Lists are empty then, and what is
/// optional is nothing; everything else has to be said.
const DEFAULTS: [(&str, &str, &str); 5] = [
    ("award", "to", r#""customer""#),
    ("award", "covers", r#"{"tag":"whole"}"#),
    ("award", "on-return", r#"{"tag":"proportional"}"#),
    ("discount-offer", "scope", r#"{"tag":"basket"}"#),
    ("discount-offer", "code", r#"{"tag":"no-code"}"#),
];
/// The same for numbers.
const ZERO: [(&str, &str); 1] = [("discount-offer", "minimum")];

/// What every answer carries beside its decisions. The SDK makes the contract's `after` of it.
const AFTER: &str = r#"
/** What every answer can carry beside its decisions. */
export interface After {
  /** One sentence for whoever asks why, even if nothing was decided. */
  note?: string | null;
  /** What to remember about this customer from now on, as JSON of at most 4 KiB; `null` forgets. Left out, all stays as it was. */
  remember?: unknown;
  /** When to be asked again, whatever happens; `null` is never. Left out, all stays as it was. */
  reviewAt?: Instant | null;
  /** At most 256 bytes of JSON, given back if this sale is returned. */
  keepWithEvent?: unknown;
}
"#;

/// `contract.d.ts`.
pub fn types(contract: &Contract) -> String {
    let mut text = HEAD.to_owned();
    for (_, it) in contract.types() {
        let name = it.name.as_deref().unwrap_or_default();
        // What a plugin's code never sees, because the SDK speaks for it.
        if UNSEEN.contains(&name) {
            continue;
        }
        text.push('\n');
        text.push_str(&docs(&it.docs, ""));
        let title = pascal(name);
        match &it.kind {
            TypeDefKind::Record(record) => {
                let is_answer = ANSWERS.iter().any(|(_, answer)| *answer == name);
                let extends = if is_answer { " extends After" } else { "" };
                writeln!(text, "export interface {title}{extends} {{").expect(TEXT);
                for field in &record.fields {
                    if is_answer && field.name == "after" {
                        continue;
                    }
                    text.push_str(&docs(&field.docs, "  "));
                    let may = may_be_left_out(contract, name, &field.name, &field.ty);
                    let mark = if may { "?" } else { "" };
                    let ty = type_of(contract, &field.ty);
                    writeln!(text, "  {}{mark}: {ty};", camel(&field.name)).expect(TEXT);
                }
                text.push_str("}\n");
            }
            TypeDefKind::Variant(variant) => {
                writeln!(text, "export type {title} =").expect(TEXT);
                let last = variant.cases.len().saturating_sub(1);
                for (index, case) in variant.cases.iter().enumerate() {
                    text.push_str(&docs(&case.docs, "  "));
                    let tag = &case.name;
                    let end = if index == last { ";" } else { "" };
                    match &case.ty {
                        None => writeln!(text, "  | {{ tag: \"{tag}\" }}{end}"),
                        Some(ty) => {
                            let ty = type_of(contract, ty);
                            writeln!(text, "  | {{ tag: \"{tag}\"; val: {ty} }}{end}")
                        }
                    }
                    .expect(TEXT);
                }
            }
            TypeDefKind::Enum(it) => {
                let names: Vec<_> = it
                    .cases
                    .iter()
                    .map(|it| format!("\"{}\"", it.name))
                    .collect();
                writeln!(text, "export type {title} = {};", names.join(" | ")).expect(TEXT);
            }
            TypeDefKind::Type(ty) => {
                writeln!(text, "export type {title} = {};", type_of(contract, ty)).expect(TEXT);
            }
            kind => panic!(
                "{name}: the contract has a {}, which is new here",
                kind.as_str()
            ),
        }
    }
    text.push_str(AFTER);
    text
}

const TEXT: &str = "a string can be written to";
const UNSEEN: [&str; 5] = ["after", "memory", "next-review", "refusal", "fault"];

/// `contract.js`: the shapes of all that is answered.
pub fn shapes(contract: &Contract) -> String {
    let mut shapes = Map::new();
    for (_, it) in contract.types() {
        let name = it.name.as_deref().unwrap_or_default();
        if !contract.is_answered(name) {
            continue;
        }
        let shape = match &it.kind {
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter().map(|field| {
                    let mut shape = Map::new();
                    shape.insert("is".into(), shape_of(contract, &field.ty));
                    if let Some(default) = default_of(name, &field.name) {
                        shape.insert("or".into(), default);
                    }
                    (camel(&field.name), Value::Object(shape))
                });
                json!({ "record": fields.collect::<Map<_, _>>() })
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter().map(|case| {
                    let payload = case.ty.as_ref().map(|ty| shape_of(contract, ty));
                    (case.name.clone(), payload.unwrap_or(Value::Null))
                });
                json!({ "variant": cases.collect::<Map<_, _>>() })
            }
            TypeDefKind::Enum(it) => {
                let names: Vec<_> = it.cases.iter().map(|case| case.name.clone()).collect();
                json!({ "enum": names })
            }
            TypeDefKind::Type(ty) => shape_of(contract, ty),
            kind => panic!(
                "{name}: the contract has a {}, which is new here",
                kind.as_str()
            ),
        };
        shapes.insert(name.into(), shape);
    }
    let answers: Map<String, Value> = ANSWERS
        .iter()
        .map(|(role, answer)| (camel(role), json!(answer)))
        .collect();
    format!(
        "{HEAD}\n/** The shapes of all that a plugin answers, by their names in the contract. */\nexport const shapes = {};\n\n\
         /** The answer of each role. */\nexport const answers = {};\n",
        pretty(&Value::Object(shapes)),
        pretty(&Value::Object(answers)),
    )
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON can be written")
}

fn default_of(record: &str, field: &str) -> Option<Value> {
    let is_it = |of: &str, name: &str| of == record && name == field;
    if ZERO.iter().any(|(of, name)| is_it(of, name)) {
        return Some(json!(0));
    }
    let found = DEFAULTS.iter().find(|(of, name, _)| is_it(of, name));
    found.map(|(_, _, text)| serde_json::from_str(text).expect("the table holds JSON"))
}

/// Lists and options of an answer need not be said.
fn may_be_left_out(contract: &Contract, record: &str, field: &str, ty: &Type) -> bool {
    // What is also given to plugins is whole there, and has nothing to leave out.
    if !contract.is_answered(record) {
        return false;
    }
    let is_loose = match ty {
        Type::Id(id) => matches!(
            contract.get(*id).kind,
            TypeDefKind::List(_) | TypeDefKind::Option(_)
        ),
        _ => false,
    };
    // Goods that are any goods would be a gift of everything.
    let is_loose = is_loose && record != "goods";
    is_loose || default_of(record, field).is_some()
}

/// A type in TypeScript.
fn type_of(contract: &Contract, ty: &Type) -> String {
    match ty {
        Type::Bool => "boolean".into(),
        Type::String => "string".into(),
        Type::U8 | Type::U16 | Type::U32 | Type::S8 | Type::S16 | Type::S32 | Type::S64 => {
            "number".into()
        }
        Type::Id(id) => match &contract.get(*id).kind {
            _ if contract.name(*id).is_some() => pascal(contract.name(*id).unwrap_or_default()),
            TypeDefKind::List(Type::U8) => "Uint8Array".into(),
            TypeDefKind::List(ty) => match type_of(contract, ty) {
                simple if simple.chars().all(char::is_alphanumeric) => format!("{simple}[]"),
                other => format!("Array<{other}>"),
            },
            TypeDefKind::Option(ty) => format!("{} | null", type_of(contract, ty)),
            TypeDefKind::Tuple(tuple) => {
                let types = tuple.types.iter().map(|ty| type_of(contract, ty));
                format!("[{}]", types.collect::<Vec<_>>().join(", "))
            }
            kind => panic!("the contract has a {}, which is new here", kind.as_str()),
        },
        other => panic!("the contract has a {other:?}, which is new here"),
    }
}

/// A type as `component.js` checks it.
fn shape_of(contract: &Contract, ty: &Type) -> Value {
    match ty {
        Type::Bool => json!("bool"),
        Type::String => json!("string"),
        Type::U8 => json!("u8"),
        Type::U32 => json!("u32"),
        Type::S32 => json!("s32"),
        Type::S64 => json!("s64"),
        Type::Id(id) => match &contract.get(*id).kind {
            _ if contract.name(*id).is_some() => json!(contract.name(*id)),
            TypeDefKind::List(Type::U8) => json!("bytes"),
            TypeDefKind::List(ty) => json!({ "list": shape_of(contract, ty) }),
            TypeDefKind::Option(ty) => json!({ "option": shape_of(contract, ty) }),
            TypeDefKind::Tuple(tuple) => {
                let types = tuple.types.iter().map(|ty| shape_of(contract, ty));
                json!({ "tuple": types.collect::<Vec<_>>() })
            }
            kind => panic!("the contract has a {}, which is new here", kind.as_str()),
        },
        other => panic!("the contract has a {other:?}, which is new here"),
    }
}

fn docs(docs: &Docs, indent: &str) -> String {
    let Some(text) = docs.contents.as_deref().map(str::trim) else {
        return String::new();
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    match &lines[..] {
        [] => String::new(),
        [line] => format!("{indent}/** {line} */\n"),
        lines => {
            let lines: Vec<_> = lines
                .iter()
                .map(|line| format!("{indent} * {line}"))
                .collect();
            format!("{indent}/**\n{}\n{indent} */\n", lines.join("\n"))
        }
    }
}

fn pascal(name: &str) -> String {
    name.split('-').map(capital).collect()
}

fn camel(name: &str) -> String {
    let mut words = name.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &capital(word))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|it| it.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
