//! No bytes of a plugin and no text of a manifest make the host panic, whatever they are.

use crate::given::component;
use stampcard_runtime::{PluginFile, inspect};

#[path = "../../../../tests/fuzz/fuzz.rs"]
mod fuzz;

/// A message without what differs from input to input.
fn kind_of(message: &str) -> String {
    message
        .chars()
        .filter(|letter| !letter.is_ascii_digit())
        .take(60)
        .collect()
}

#[test]
fn no_bytes_of_a_component_make_the_host_panic() {
    let small = |text: &str| wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
    let inputs = vec![
        component("hostile"),
        small("(module (memory 1) (func))"),
        small("(component)"),
        small(
            r#"(component (import "stampcard:plugin/log@0.1.0" (instance))
                (core module $m (memory 1) (table 1 funcref) (func (export "f")))
                (core instance (instantiate $m)) (instance $i)
                (export "stampcard:plugin/lifecycle@0.1.0" (instance $i))
                (export "stampcard:plugin/point-formula@0.1.0" (instance $i)))"#,
        ),
    ];
    let words = [
        "\0asm\x0d\0\x01\0",
        "\0asm\x01\0\0\0",
        "stampcard:plugin/",
        "wasi:",
        "@0.1.0",
        "@9.9.9-\u{ff}",
    ];
    fuzz::fuzz("plugin-bytes", inputs, &words, |bytes| {
        match inspect(bytes) {
            Ok(seen) => format!("{} imports, {} roles", seen.imports.len(), seen.roles.len()),
            Err(error) => kind_of(&error.to_string()),
        }
    });
}

#[test]
fn no_text_of_a_manifest_makes_the_host_panic() {
    let inputs = [
        "name = 'x'\nversion = '1.0.0'\nroles = ['point-formula']\nevents = ['*']\nafter = ['y']\nfacts = ['category']\n\
         state_version = 2\npersonal = ['name']\ngrant = ['name']\nconfiguration = { type = 'object' }\n\
         [segments.vip]\nexplain = 'Spends.'\n[limits]\nfuel = 5\n[config]\nx = 1\ny = [1.5, { z = 1979-05-27T07:32:00Z }]\n",
        "pack = 'starter-points'\n[config]\npoints = 1\n",
    ];
    let words = [
        "=",
        "[",
        "]",
        "[[",
        "{",
        "}",
        "'''",
        "\"\"\"",
        "inf",
        "nan",
        "-0.0",
        "1979-05-27",
        "0x7fffffffffffffff",
        "true",
        "[limits]",
        "roles",
        "configuration = 'x.json'",
        "[tiers.a.b]",
        "\u{0}",
        "é",
    ];
    let inputs = inputs.map(|text| text.as_bytes().to_vec()).to_vec();
    fuzz::fuzz(
        "manifest-text",
        inputs,
        &words,
        |bytes| match PluginFile::read("x", &String::from_utf8_lossy(bytes), &[]) {
            Ok(file) => format!("{} roles", file.manifest.roles.len()),
            Err(error) => kind_of(&error.to_string()),
        },
    );
}
