//! `stampcard plugin new`: a project that builds, with a rule that is tested.

use super::super::{End, Run, say, say_json};
use super::building::NotBuilt;
use super::project::Language;
use clap::Args;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// Make the project of a new plugin: a folder with a rule, its manifest with the schema of its
/// configuration, cases, the SDK and a README.
///
/// Nothing is fetched and nothing is run.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard plugin new extra-coffee --role point-formula --language js\n  stampcard plugin new regulars --role segment-rule --language rust"
)]
pub struct New {
    /// The folder to make; its last part is the plugin's name.
    name: PathBuf,
    /// What the rule decides.
    #[arg(long, value_enum)]
    role: NewRole,
    /// In what it is written.
    #[arg(long, value_enum)]
    language: Language,
    #[arg(long)]
    json: bool,
}

/// The roles, as manifests name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum NewRole {
    SegmentRule,
    PointFormula,
    TierRule,
    FollowUpTrigger,
}

mod carried {
    //! What the build script carries.
    include!(concat!(env!("OUT_DIR"), "/sdk.rs"));
}

#[derive(Debug, thiserror::Error)]
enum NotNew {
    #[error(
        "`{0}` is no name for a plugin; it has small letters, digits and `-`, begins with a letter, and has at most 64 of them"
    )]
    Name(String),
    #[error("{} is there already; a new project needs a folder of its own", .0.display())]
    IsThere(PathBuf),
}

impl NewRole {
    fn name(self) -> &'static str {
        match self {
            NewRole::SegmentRule => "segment-rule",
            NewRole::PointFormula => "point-formula",
            NewRole::TierRule => "tier-rule",
            NewRole::FollowUpTrigger => "follow-up-trigger",
        }
    }
}

impl New {
    pub fn run(self) -> Run {
        let name = self.name.file_name().unwrap_or_default().to_string_lossy();
        if !is_name(&name) {
            return Err(NotNew::Name(name.into_owned()).into());
        }
        if self.name.exists() {
            return Err(NotNew::IsThere(self.name).into());
        }
        let files = files(&name, self.role, self.language);
        for (path, text) in &files {
            write(&self.name.join(path), text).inspect_err(|_| {
                // Half a project is worse than none; what cannot be removed is as it was found.
                let _ = fs::remove_dir_all(&self.name);
            })?;
        }
        if self.json {
            let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
            say_json(&json!({ "name": name, "dir": self.name, "files": paths }))?;
        } else {
            say(next_steps(&self.name, self.language))?;
        }
        Ok(End::Done)
    }
}

/// The name of a plugin, of a Cargo package and of an npm package at once.
fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.ends_with(|last: char| last != '-')
        && name
            .chars()
            .all(|letter| matches!(letter, 'a'..='z' | '0'..='9' | '-'))
}

fn next_steps(dir: &Path, language: Language) -> String {
    let first = match language {
        Language::Rust => "",
        Language::JavaScript | Language::TypeScript => "  npm install\n",
        Language::Python => {
            "  python3 -m venv .venv && .venv/bin/pip install --requirement requirements.txt\n"
        }
    };
    format!(
        "{0} is made. What comes next:\n\n  cd {0}\n{first}  stampcard plugin test\n  stampcard plugin install SHOP",
        dir.display()
    )
}

/// Every file of a new project.
fn files(name: &str, role: NewRole, language: Language) -> Vec<(String, String)> {
    let (folder, rule, kind) = match language {
        Language::Rust => ("rust", "src/lib.rs", "rs"),
        Language::JavaScript => ("js", "rule.js", "js"),
        Language::TypeScript => ("ts", "rule.ts", "ts"),
        Language::Python => ("python", "rule.py", "py"),
    };
    let role = role.name();
    let template = |file: &str| {
        let wanted = format!("templates/{file}");
        let found = carried::TEMPLATES.iter().find(|(path, _)| *path == wanted);
        found.map(|(_, text)| text.replace("{{name}}", name))
    };
    let must = |file: String| template(&file).unwrap_or_else(|| panic!("there is no {file}"));
    let of_role = |file: &str| must(format!("roles/{role}/{file}"));
    let readme = must("readme.md".into())
        .replace("{{about}}", of_role("about.md").trim())
        .replace("{{source}}", rule)
        .replace("{{setup}}", &must(format!("{folder}/setup.md")));
    let mut files = vec![
        (rule.to_owned(), must(format!("{folder}/{role}.{kind}"))),
        (format!("{name}.toml"), of_role("manifest.toml")),
        (format!("cases/{name}.json"), of_role("cases.json")),
        ("README.md".into(), readme),
        (".gitignore".into(), must(format!("{folder}/gitignore"))),
    ];
    for file in [
        "Cargo.toml",
        "package.json",
        "tsconfig.json",
        "requirements.txt",
    ] {
        let text = template(&format!("{folder}/{file}"));
        files.extend(text.map(|text| (file.to_owned(), text)));
    }
    let sdk = match language {
        Language::Rust => {
            files.push(("Cargo.lock".into(), carried::LOCK.into()));
            carried::RUST
        }
        Language::JavaScript | Language::TypeScript => carried::JAVASCRIPT,
        Language::Python => carried::PYTHON,
    };
    files.extend(
        sdk.iter()
            .map(|(path, text)| (format!("sdk/{path}"), (*text).to_owned())),
    );
    files
}

fn write(path: &Path, text: &str) -> Result<(), NotBuilt> {
    let failed = |source| NotBuilt::Write {
        path: path.into(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_role_has_a_project_in_every_language_with_nothing_left_to_fill_in() {
        for role in NewRole::value_variants() {
            for language in Language::value_variants() {
                let files = files("some-rule", *role, *language);
                for (path, text) in &files {
                    let left = !path.starts_with("sdk/") && text.contains("{{");
                    assert!(!left, "{path}");
                }
                let has = |path: &str| files.iter().any(|(it, _)| it == path);
                assert!(has("some-rule.toml") && has("cases/some-rule.json") && has("README.md"));
            }
        }
    }

    #[test]
    fn a_name_is_one_for_cargo_and_npm_too() {
        for (name, is_one) in [
            ("extra-coffee", true),
            ("a1", true),
            ("", false),
            ("Extra", false),
            ("1a", false),
            ("a-", false),
            ("a b", false),
            ("über", false),
        ] {
            assert_eq!(is_name(name), is_one, "{name}");
        }
    }
}
