//! Carries what `stampcard plugin new` writes: the SDKs of this very release, and the templates. A new
//! project needs nothing of ours from a registry, and is built with what this release was tested with.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Writes `sdk.rs` with a table of files for each SDK, for the templates, and the versions of what a
/// project in Rust depends on.
pub fn carry(root: &Path, out: &Path) {
    let mut code = String::new();
    let rust = root.join("sdk/rust");
    let manifest = out.join("sdk-Cargo.toml");
    write(&manifest, &alone(root, &rust.join("Cargo.toml")));
    let lock = out.join("sdk-Cargo.lock");
    write(&lock, &locked(root, "stampcard-sdk"));

    let mut files = vec![("Cargo.toml".to_owned(), manifest)];
    for part in ["README.md", "src", "wit/v0.1"] {
        files.extend(files_of(&rust, part));
    }
    table(&mut code, "RUST", &files);
    let mut files = Vec::new();
    for part in [
        "README.md",
        "build.mjs",
        "component.js",
        "contract.d.ts",
        "contract.js",
        "index.d.ts",
        "index.js",
        "package.json",
        "wit",
    ] {
        files.extend(files_of(&root.join("sdk/js"), part));
    }
    table(&mut code, "JAVASCRIPT", &files);
    let mut files = Vec::new();
    for part in [
        "README.md",
        "pyproject.toml",
        "stampcard_sdk/__init__.py",
        "stampcard_sdk/component.py",
        "stampcard_sdk/contract.py",
        "stampcard_sdk/py.typed",
        "stampcard_sdk/types.py",
        "stampcard_sdk/wit",
    ] {
        files.extend(files_of(&root.join("sdk/python"), part));
    }
    table(&mut code, "PYTHON", &files);
    table(
        &mut code,
        "TEMPLATES",
        &files_of(&root.join("sdk"), "templates"),
    );
    writeln!(code, "pub static LOCK: &str = include_str!({lock:?});").expect(TEXT);
    write(&out.join("sdk.rs"), &code);
}

const TEXT: &str = "a string can be written to";

fn table(code: &mut String, name: &str, files: &[(String, PathBuf)]) {
    writeln!(code, "pub static {name}: &[(&str, &str)] = &[").expect(TEXT);
    for (name, path) in files {
        writeln!(code, "({name:?}, include_str!({path:?})),").expect(TEXT);
    }
    code.push_str("];\n");
}

/// A file, or everything in a folder, each with its path below `home`.
fn files_of(home: &Path, part: &str) -> Vec<(String, PathBuf)> {
    let path = home.join(part);
    if path.is_file() {
        return vec![(part.into(), path)];
    }
    let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("the folder can be read").file_name())
        .map(|name| name.into_string().expect("our files have names in UTF-8"))
        .collect();
    names.sort();
    let below = |name: &String| files_of(home, &format!("{part}/{name}"));
    names.iter().flat_map(below).collect()
}

/// The manifest of a package of this workspace as it stands alone.
fn alone(root: &Path, manifest: &Path) -> String {
    let workspace = read(&root.join("Cargo.toml"));
    let workspace = workspace["workspace"]
        .as_table()
        .expect("it is a workspace");
    let mut manifest = read(manifest);
    inherit(&mut manifest["package"], &workspace["package"]);
    for (key, value) in manifest.iter_mut() {
        if key == "dependencies" {
            inherit(value, &workspace["dependencies"]);
        }
        for target in value
            .as_table_mut()
            .filter(|_| key == "target")
            .into_iter()
            .flatten()
        {
            inherit(&mut target.1["dependencies"], &workspace["dependencies"]);
        }
    }
    toml::to_string(&manifest).expect("a manifest can be written")
}

/// Puts in what `NAME.workspace = true` stands for.
fn inherit(table: &mut Value, shared: &Value) {
    for (name, value) in table.as_table_mut().expect("it is a table").iter_mut() {
        let inherits = value.get("workspace").is_some();
        if inherits {
            *value = shared[name.as_str()].clone();
        }
    }
}

/// The part of our Cargo.lock that a package needs, without the packages of this workspace.
fn locked(root: &Path, package: &str) -> String {
    let lock = read(&root.join("Cargo.lock"));
    let packages = lock["package"].as_array().expect("a lock has packages");
    let text =
        |package: &Value, field: &str| package[field].as_str().unwrap_or_default().to_owned();
    let mut open = vec![package.to_owned()];
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    while let Some(wanted) = open.pop() {
        if !seen.insert(wanted.clone()) {
            continue;
        }
        // `name`, or `name version` where there are several.
        let mut words = wanted.split(' ');
        let name = words.next().unwrap_or_default();
        let version = words.next();
        let found = packages.iter().filter(|it| {
            text(it, "name") == name && version.is_none_or(|version| text(it, "version") == version)
        });
        for found in found {
            let needs = found.get("dependencies").and_then(Value::as_array);
            let needs = needs.into_iter().flatten().filter_map(Value::as_str);
            open.extend(needs.map(str::to_owned));
            if found.get("source").is_some() && !kept.contains(found) {
                kept.push(found.clone());
            }
        }
    }
    kept.sort_by_key(|package| (text(package, "name"), text(package, "version")));
    let lock = Table::from_iter([
        ("version".into(), lock["version"].clone()),
        ("package".into(), Value::Array(kept)),
    ]);
    toml::to_string(&lock).expect("a lock can be written")
}

fn read(path: &Path) -> Table {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
