//! One of an author's files: read, checked, and with its types taken off.

use crate::limits::SOURCE_BYTES_MAX;
use crate::lines::Map;
use crate::manifest::Manifest;
use oxc::allocator::Allocator;
use oxc::ast::ast::{ModuleDeclaration, ModuleExportName, Program};
use oxc::codegen::{Codegen, CodegenOptions};
use oxc::diagnostics::OxcDiagnostic;
use oxc::parser::Parser;
use oxc::semantic::SemanticBuilder;
use oxc::span::{SourceType, Span};
use oxc::transformer::{TransformOptions, Transformer};
use std::fmt;
use std::path::Path;

/// Mistakes that are told at once; the others often come from the first.
const MISTAKES_MAX: usize = 5;

/// A place in an author's file, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

/// What is wrong with a source: lines for people, each with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(pub String);

/// A file that can be linked.
pub struct File {
    /// JavaScript.
    pub code: String,
    pub map: Map,
    pub imports: Vec<Import>,
    pub manifest: Option<Manifest>,
    /// Where its default export is.
    pub default_export: Option<Place>,
}

/// What a file imports, and where it says so.
pub struct Import {
    pub specifier: String,
    pub at: Place,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl Place {
    pub fn fault(&self, problem: impl fmt::Display) -> Fault {
        Fault(format!("{self}: {problem}"))
    }

    /// The place of a byte of a text.
    fn of(file: &str, text: &str, offset: usize) -> Place {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Place {
            file: file.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// The text of a file, if it is one for people.
pub fn text(name: &str, path: &Path) -> Result<String, Fault> {
    let told = |error| Fault(format!("{name} cannot be read: {error}"));
    let bytes = std::fs::metadata(path).map_err(told)?.len();
    if bytes > SOURCE_BYTES_MAX {
        return Err(Fault(format!(
            "{name} has {bytes} bytes, and a source may have {SOURCE_BYTES_MAX}"
        )));
    }
    String::from_utf8(std::fs::read(path).map_err(told)?)
        .map_err(|_| Fault(format!("{name} is not JavaScript: it is not even UTF-8")))
}

/// Reads a source. `name` is what its author calls it.
pub fn read(name: &str, text: &str) -> Result<File, Fault> {
    let is_typed = name.ends_with(".ts") || name.ends_with(".mts");
    let kind = match is_typed {
        true => SourceType::ts(),
        false => SourceType::mjs(),
    };
    let place = |span: Span| Place::of(name, text, span.start as usize);
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, text, kind).parse();
    whole(&parsed.diagnostics, &place)?;
    let mut program = parsed.program;
    let checked = SemanticBuilder::new_compiler()
        .with_enum_eval(true)
        .with_excess_capacity(2.0)
        .build(&program);
    whole(&checked.diagnostics, &place)?;
    let manifest = Manifest::of(&program, &place)?;
    let (code, map) = if is_typed {
        // Types go, and what is imported for them alone. Everything else stays as it is written.
        let scoping = checked.semantic.into_scoping();
        let options = TransformOptions::default();
        let transformed = Transformer::new(&allocator, Path::new(name), &options)
            .build_with_scoping(scoping, &mut program);
        whole(&transformed.diagnostics, &place)?;
        let made = Codegen::new()
            .with_options(CodegenOptions {
                source_map_path: Some(name.into()),
                ..CodegenOptions::default()
            })
            .build(&program);
        let map = made.map.expect("it was asked for").into_owned();
        (made.code, Map::Made(Box::new(map)))
    } else {
        (text.to_owned(), Map::Same)
    };
    Ok(File {
        code,
        map,
        imports: imports(&program, &place),
        manifest,
        default_export: default_export(&program, &place),
    })
}

/// Nothing is wrong, or it is told with its place.
fn whole<'a>(
    mistakes: impl IntoIterator<Item = &'a OxcDiagnostic>,
    place: &impl Fn(Span) -> Place,
) -> Result<(), Fault> {
    let told = mistakes.into_iter().take(MISTAKES_MAX).map(|mistake| {
        let offset = mistake.labels.first().map_or(0, |label| label.offset());
        let place = place(Span::empty(offset as u32));
        match &mistake.help {
            Some(help) => format!("{place}: {}: {help}", mistake.message),
            None => format!("{place}: {}", mistake.message),
        }
    });
    let told: Vec<String> = told.collect();
    match told.is_empty() {
        true => Ok(()),
        false => Err(Fault(told.join("\n"))),
    }
}

/// What is imported when the file is linked.
fn imports(program: &Program, place: &impl Fn(Span) -> Place) -> Vec<Import> {
    let declarations = program
        .body
        .iter()
        .filter_map(|it| it.as_module_declaration());
    let sources = declarations.filter_map(|it| match it {
        ModuleDeclaration::ImportDeclaration(it) => Some(&it.source),
        ModuleDeclaration::ExportAllDeclaration(it) => Some(&it.source),
        ModuleDeclaration::ExportFromDeclaration(it) => Some(&it.source),
        _ => None,
    });
    let import = |source: &oxc::ast::ast::StringLiteral| Import {
        specifier: source.value.to_string(),
        at: place(source.span),
    };
    sources.map(import).collect()
}

fn default_export(program: &Program, place: &impl Fn(Span) -> Place) -> Option<Place> {
    let is_default = |name: &ModuleExportName| name.name() == "default";
    program.body.iter().find_map(|statement| {
        let found = match statement.as_module_declaration()? {
            ModuleDeclaration::ExportDefaultDeclaration(it) => Some(it.span),
            ModuleDeclaration::ExportNamedDeclaration(it) => {
                let mut specifiers = it.specifiers.iter();
                specifiers
                    .find(|it| is_default(&it.exported))
                    .map(|it| it.span)
            }
            ModuleDeclaration::ExportFromDeclaration(it) => {
                let mut specifiers = it.specifiers.iter();
                specifiers
                    .find(|it| is_default(&it.exported))
                    .map(|it| it.span)
            }
            _ => None,
        };
        found.map(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, text: &str) -> String {
        match read(name, text) {
            Ok(_) => panic!("it is none: {text}"),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn types_go_and_what_is_imported_for_them_alone_and_the_lines_stay_known() {
        let text = "import { rule, Line } from \"stampcard-sdk\";\nimport { Kind } from \"./kinds\";\n\n\
             enum Size { Small = 1 }\ninterface Config {\n  points: number;\n}\n\
             export default rule<Config>({\n  points: (it: Kind, line?: Line) => it!.x(Size.Small),\n});\n";
        let file = read("rule.ts", text).expect("it is TypeScript");
        assert!(
            !file.code.contains("Config") && !file.code.contains("Line"),
            "{}",
            file.code
        );
        let specifiers: Vec<&str> = file
            .imports
            .iter()
            .map(|it| it.specifier.as_str())
            .collect();
        assert_eq!(specifiers, ["stampcard-sdk"]);
        let mut lines = crate::lines::Lines::default();
        lines.place("stampcard-sdk/entry.js", "one\ntwo", Map::Same);
        let placed = lines.place("rule.ts", &file.code, file.map);
        let (number, line) = placed
            .lines()
            .enumerate()
            .find(|(_, line)| line.contains("points:"))
            .expect("it is there");
        let column = line.find("points").expect("it is there") + 1;
        let place = lines
            .author(number + 1, column)
            .expect("it is the author's");
        assert_eq!(place.to_string(), "rule.ts:9:3");
        assert_eq!(lines.table()["lines"][number][1], 9);
    }

    #[test]
    fn a_mistake_has_its_place_in_both_languages() {
        for (name, text, place) in [
            ("a.js", "const a = 1;\nconst b = {;\n", "a.js:2:12: "),
            ("a.js", "let a = 1;\nlet a = 2;\n", "a.js:1:5: "),
            ("a.js", "const é = 1; const b: number = 1;", "a.js:1:"),
            ("a.ts", "const a: = 1;\n", "a.ts:1:10: "),
            (
                "a.ts",
                "export default {\n  points(: number) {}\n};",
                "a.ts:2:10: ",
            ),
        ] {
            let said = refused(name, text);
            assert!(said.starts_with(place), "{said}");
        }
    }

    #[test]
    fn a_manifest_is_read_and_not_run() {
        let text = "export const manifest: Manifest = {\n  roles: ['tier-rule'],\n  'events': [`*`],\n  \
             facts: [], limits: { fuel: 5_000, share: -1.5 }, tiers: { silver: { explain: 'x' } },\n} as const;\n";
        let file = read("a.ts", text).expect("it is TypeScript");
        let manifest = file.manifest.expect("there is one");
        assert_eq!(manifest.roles().expect("roles"), ["tier-rule"]);
        let written = manifest.table.to_string();
        for words in [
            "events = [\"*\"]",
            "fuel = 5000",
            "share = -1.5",
            "explain = \"x\"",
        ] {
            assert!(written.contains(words), "{written}");
        }
        for (written, place) in [
            ("{ roles: roles() }", "a.js:1:34: "),
            ("{ ...more }", "a.js:1:27: "),
            ("{ [key]: 1 }", "a.js:1:27: "),
            ("{ roles() {} }", "a.js:1:27: "),
            ("made()", "a.js:1:14: "),
            ("{ facts: null }", "a.js:1:34: "),
        ] {
            let said = refused("a.js", &format!("export const manifest = {written};"));
            assert!(
                said.starts_with(place) && said.contains("without running"),
                "{said}"
            );
        }
        let roles = |written: &str| {
            let text = format!("export const manifest = {{ {written} }};");
            let file = read("a.js", &text).expect("it is JavaScript");
            file.manifest
                .expect("there is one")
                .roles()
                .map_err(|fault| fault.to_string())
        };
        assert!(roles("events: []").unwrap_err().contains("no `roles`"));
        assert!(roles("roles: []").unwrap_err().contains("no `roles`"));
        assert!(
            roles("roles: ['point-formla']")
                .unwrap_err()
                .contains("point-formla is no role")
        );
    }

    #[test]
    fn a_default_export_is_found_however_it_is_written() {
        for (text, line) in [
            ("export default {};", Some(1)),
            ("const a = {};\nexport { a as default };", Some(2)),
            ("\n\nexport { default } from './other.js';", Some(3)),
            ("export const a = {};", None),
        ] {
            let file = read("a.js", text).expect("it is JavaScript");
            assert_eq!(file.default_export.map(|place| place.line), line, "{text}");
        }
    }
}
