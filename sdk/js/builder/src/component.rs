//! The component: the rule, the SDK's entry and the contract, evaluated once and frozen.

use crate::file::{Fault, Place};
use crate::files::Files;
use crate::lines::{Lines, Map, SDK};
use crate::manifest::{Manifest, SECTION, camel};
use crate::{Job, NotBuilt};
use componentize_qjs::{ComponentizeOpts, Runtime, componentize};
use std::fs;
use std::path::{Path, PathBuf};

/// The SDK's files that go into a component, as they are in this release.
const SDK_FILES: [(&str, &str); 4] = [
    ("package.json", include_str!("../../package.json")),
    ("component.js", include_str!("../../component.js")),
    ("contract.js", include_str!("../../contract.js")),
    ("index.js", include_str!("../../index.js")),
];
const CONTRACT: [(&str, &str); 2] = [
    ("types.wit", include_str!("../../wit/types.wit")),
    ("roles.wit", include_str!("../../wit/roles.wit")),
];
const WORLD: &str = "this-plugin";
const ENTRY: &str = "stampcard-sdk-entry.js";

/// Builds the component, and puts it where it is wanted once it is whole.
pub fn build(job: &Job) -> Result<(), NotBuilt> {
    let files = Files::of(&job.rule)?;
    let rule = &files.all[&files.rule];
    let roles = roles(job, rule.manifest.as_ref(), &files.rule)?;
    let Some(exported) = &rule.default_export else {
        let start = start(&files.rule);
        return Err(start
            .fault("the rule has no default export; write: export default rule({ … })")
            .into());
    };
    let beside = job.output.parent().filter(|it| !it.as_os_str().is_empty());
    let beside = beside.unwrap_or(Path::new("."));
    let room = tempfile::Builder::new()
        .prefix(".stampcard-js-")
        .tempdir_in(beside)
        .map_err(failed(beside))?;
    let lines = lay(room.path(), &files, &roles)?;
    let mut component =
        freeze(room.path()).map_err(|thrown| at_build(&thrown, &lines, exported))?;
    if let Some(manifest) = &rule.manifest {
        let text = manifest.table.to_string();
        append_section(&mut component, SECTION, text.as_bytes());
    }
    let part = room.path().join("made.wasm");
    fs::write(&part, component).map_err(failed(&part))?;
    Ok(fs::rename(&part, &job.output).map_err(failed(&job.output))?)
}

/// The roles that the component exports.
fn roles(job: &Job, manifest: Option<&Manifest>, rule: &Path) -> Result<Vec<String>, Fault> {
    match manifest {
        _ if !job.roles.is_empty() => Ok(job.roles.clone()),
        Some(manifest) => manifest.roles(),
        None => Err(start(rule).fault(
            "there is no manifest; write: export const manifest = { roles: [\"point-formula\"], events: [\"sale.completed\"] };",
        )),
    }
}

fn start(rule: &Path) -> Place {
    Place {
        file: rule.display().to_string(),
        line: 1,
        column: 1,
    }
}

/// Lays everything into a folder: modules, each at lines of its own, and the contract.
fn lay(room: &Path, files: &Files, roles: &[String]) -> Result<Lines, NotBuilt> {
    let modules = room.join("modules");
    let mut lines = Lines::default();
    let names: Vec<&str> = roles.iter().filter_map(|role| camel(role)).collect();
    let rule = format!("./{}", files.rule.display());
    let entry = format!(
        "import {{ exported }} from \"stampcard-sdk/component.js\";\n\
         import rule from {};\n\
         export const {{ lifecycle, {} }} = exported(rule, {});\n",
        serde_json::json!(rule),
        names.join(", "),
        serde_json::json!(names),
    );
    lines.place(&format!("{SDK}entry.js"), &entry, Map::Same);
    for (name, text) in SDK_FILES {
        let path = modules.join("node_modules/stampcard-sdk").join(name);
        match name.ends_with(".js") {
            true => put(
                &path,
                &lines.place(&format!("{SDK}{name}"), text, Map::Same),
            )?,
            false => put(&path, text)?,
        }
    }
    for (path, file) in &files.all {
        let name = path.display().to_string();
        let code = lines.place(&name, &file.code, file.map.clone());
        put(&modules.join(path), &code)?;
    }
    for (alias, path) in &files.aliases {
        let alias = modules.join(alias);
        std::os::unix::fs::symlink(modules.join(path), &alias).map_err(failed(&alias))?;
    }
    let table = lines.table();
    put(
        &modules.join(ENTRY),
        &format!("{entry}globalThis.stampcardLines = {table};\n"),
    )?;
    for (name, text) in CONTRACT {
        put(&room.join("wit").join(name), text)?;
    }
    let exports: String = roles
        .iter()
        .map(|role| format!(" export {role};"))
        .collect();
    put(
        &room.join("wit/plugin.wit"),
        &format!("world {WORLD} {{ import log; export lifecycle;{exports} }}\n"),
    )?;
    Ok(lines)
}

fn put(path: &Path, text: &str) -> Result<(), NotBuilt> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    fs::write(path, text).map_err(failed(path))
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> NotBuilt {
    let path = PathBuf::from(path);
    move |source| NotBuilt::File { path, source }
}

/// Evaluates the modules inside of QuickJS, and keeps what that came to. The error is what was thrown.
fn freeze(room: &Path) -> Result<Vec<u8>, String> {
    let modules = room.join("modules");
    let entry = modules.join(ENTRY);
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let source = fs::read_to_string(&entry).map_err(|error| told(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| told(&error))?;
    let options = ComponentizeOpts {
        wit_path: &room.join("wit"),
        js_source: &source,
        js_path: Some(&entry),
        module_root: Some(&modules),
        world_name: Some(WORLD),
        // WASI stays imported: the host gives one that has nothing but the event's own time and a random
        // source that the event determines, and an exception that nobody caught can say what it was.
        stub_wasi: false,
        disable_gc: false,
        runtime: Runtime::builtin(true, false),
    };
    let made = runtime.block_on(componentize(&options));
    made.map_err(|error| format!("{error:#}"))
}

/// What the rule's files threw while they were evaluated, with the author's own lines.
fn at_build(thrown: &str, lines: &Lines, exported: &Place) -> Fault {
    let mut thrown = thrown.find("Failed to ").map_or(thrown, |at| &thrown[at..]);
    while let Some((_, cause)) = thrown
        .strip_prefix("Failed to ")
        .and_then(|rest| rest.split_once(": "))
    {
        thrown = cause;
    }
    let mut first = None;
    let mut told = Vec::new();
    for line in thrown.trim_end().lines() {
        let Some((words, place)) = frame(line) else {
            told.push(line.to_owned());
            continue;
        };
        match lines.author(place.0, place.1) {
            // What is ours is of no use to the author.
            Some(at) if at.file.starts_with(SDK) => {}
            Some(at) => {
                told.push(format!("{words}({at})"));
                first.get_or_insert(at);
            }
            None => told.push(line.to_owned()),
        }
    }
    let at = first.as_ref().unwrap_or(exported);
    at.fault(format!("the rule cannot be evaluated: {}", told.join("\n")))
}

/// The words of a line of a stack, and the line and column that it names.
fn frame(line: &str) -> Option<(&str, (usize, usize))> {
    let place = line.trim_end().trim_end_matches(')');
    let mut parts = place.rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let number = parts.next()?.parse().ok()?;
    let path = parts.next()?;
    let start = path.rfind(['(', ' '])?;
    let is_frame = line.trim_start().starts_with("at ") && path[start + 1..].starts_with('/');
    let words = path[..start].trim_end();
    is_frame.then(|| (&line[..words.len() + 1], (number, column)))
}

/// Appends a custom section, which any reader of WebAssembly passes over.
fn append_section(component: &mut Vec<u8>, name: &str, body: &[u8]) {
    let mut section = Vec::new();
    leb(&mut section, name.len());
    section.extend_from_slice(name.as_bytes());
    section.extend_from_slice(body);
    component.push(0);
    leb(component, section.len());
    component.extend(section);
}

/// An unsigned number as WebAssembly writes it: seven bits in each byte, the lowest first.
fn leb(bytes: &mut Vec<u8>, mut number: usize) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        bytes.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return;
        }
    }
}
