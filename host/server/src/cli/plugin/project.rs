//! A plugin's project: the folder in which its author works.
//!
//! ```text
//! double-weekend/
//!   double-weekend.toml    the manifest, with the configuration that the author tries out
//!   double-weekend.wasm    the component, once it is built
//!   cases/                 what the rule must answer
//!   src/lib.rs             the rule in Rust, with Cargo.toml; or
//!   rule.js, rule.ts       the rule in JavaScript or TypeScript, with package.json; or
//!   rule.py                the rule in Python
//! ```
//!
//! Commands find it by its manifest, so that inside of it they need no argument.

use super::ReadError;
use crate::config::Folder;
use stampcard_pipeline::rules::Role;
use stampcard_pipeline::shop::{Shop, ShopFile};
use stampcard_runtime::manifest::{schema_file_of, toml_problem};
use stampcard_runtime::trial::Trial;
use stampcard_runtime::{Candidate, Engine};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// In what a rule is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    Rust,
    #[value(name = "js", alias = "javascript")]
    JavaScript,
    #[value(name = "ts", alias = "typescript")]
    TypeScript,
    Python,
}

impl Language {
    const ALL: [Language; 4] = [
        Language::Rust,
        Language::JavaScript,
        Language::TypeScript,
        Language::Python,
    ];

    /// The file by which a project's language is known.
    pub fn source(self) -> &'static str {
        match self {
            Language::Rust => "Cargo.toml",
            Language::JavaScript => "rule.js",
            Language::TypeScript => "rule.ts",
            Language::Python => "rule.py",
        }
    }
}

/// Why a folder is no project.
#[derive(Debug, thiserror::Error)]
pub enum NoProject {
    #[error(
        "{} is no plugin's project: no file in it ends in .toml and names `roles`; `stampcard plugin new NAME --role point-formula --language js` makes one",
        .dir.display()
    )]
    NoManifest { dir: PathBuf },
    #[error("{} holds several manifests, {}; a project has one", .dir.display(), .names.join(" and "))]
    Manifests { dir: PathBuf, names: Vec<String> },
    #[error("{}: {problem}", .path.display())]
    Toml { path: PathBuf, problem: String },
    #[error(
        "{} has no rule: it needs Cargo.toml with src/lib.rs, rule.js, rule.ts or rule.py",
        .dir.display()
    )]
    NoSource { dir: PathBuf },
    #[error("{} has both {} and {}; a project has one rule", .dir.display(), .first, .second)]
    Sources {
        dir: PathBuf,
        first: &'static str,
        second: &'static str,
    },
}

/// A plugin's project.
#[derive(Clone, Debug)]
pub struct Project {
    pub dir: PathBuf,
    pub name: String,
    pub language: Language,
}

impl Project {
    pub fn at(dir: &Path) -> Result<Project, Box<dyn Error>> {
        let name = manifest_of(dir)?;
        let languages: Vec<Language> = Language::ALL
            .into_iter()
            .filter(|language| dir.join(language.source()).is_file())
            .collect();
        let dir = dir.to_owned();
        match languages[..] {
            [language] => Ok(Project {
                dir,
                name,
                language,
            }),
            [] => Err(NoProject::NoSource { dir }.into()),
            [first, second, ..] => Err(NoProject::Sources {
                dir,
                first: first.source(),
                second: second.source(),
            }
            .into()),
        }
    }

    pub fn manifest(&self) -> PathBuf {
        self.dir.join(format!("{}.toml", self.name))
    }

    pub fn component(&self) -> PathBuf {
        self.dir.join(format!("{}.wasm", self.name))
    }

    pub fn cases(&self) -> PathBuf {
        self.dir.join("cases")
    }

    /// The roles that the manifest names; empty if it cannot be read, which loading it explains.
    pub fn roles(&self) -> Vec<String> {
        let manifest: toml::Table = fs::read_to_string(self.manifest())
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or_default();
        let roles = manifest.get("roles").and_then(toml::Value::as_array);
        let roles = roles.into_iter().flatten();
        roles
            .filter_map(|role| Some(role.as_str()?.to_owned()))
            .collect()
    }

    /// What a shop would be given.
    pub fn candidate(&self) -> Result<Candidate, ReadError> {
        candidate(&self.dir, &self.name)
    }

    /// The plugin as a shop would load it, ready to be asked.
    pub fn trial(&self) -> Result<(Trial, Engine), Box<dyn Error>> {
        let engine = Engine::new(&Folder::at(&self.dir).cache()?)?;
        let trial = Trial::load(&engine, &shop_of_cases()?, &self.candidate()?)?;
        Ok((trial, engine))
    }

    /// Whether something that the component is made of is younger than it.
    pub fn is_stale(&self) -> bool {
        let changed = |path: &Path| fs::metadata(path).and_then(|it| it.modified()).ok();
        let Some(built) = changed(&self.component()) else {
            return true;
        };
        let newest = |path: &PathBuf| changed(path) > Some(built);
        self.files(Part::Code).iter().any(newest)
    }

    /// The author's files, without what tools have made or fetched.
    pub fn files(&self, part: Part) -> Vec<PathBuf> {
        let mut found = Vec::new();
        collect(&self.dir, &mut found);
        let cases = self.cases();
        found.retain(|path| match part {
            Part::Code => !path.starts_with(&cases) && !path.ends_with("README.md"),
            Part::All => true,
        });
        found
    }

    /// When each of the author's files changed last.
    pub fn stamp(&self) -> Vec<(PathBuf, Option<SystemTime>)> {
        let changed = |path: &PathBuf| fs::metadata(path).and_then(|it| it.modified()).ok();
        let mut stamp: Vec<_> = self
            .files(Part::All)
            .into_iter()
            .map(|path| (changed(&path), path))
            .map(|(at, path)| (path, at))
            .collect();
        stamp.sort();
        stamp
    }
}

/// Which of a project's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What the component is made of.
    Code,
    All,
}

/// Folders that tools fill.
const NOT_OURS: [&str; 3] = ["target", "node_modules", "__pycache__"];
/// Files that tools write.
const WRITTEN: [&str; 2] = ["Cargo.lock", "package-lock.json"];

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|name| !name.starts_with('.')) else {
            continue;
        };
        if path.is_dir() {
            if !NOT_OURS.contains(&name) {
                collect(&path, found);
            }
        } else if !name.ends_with(".wasm") && !WRITTEN.contains(&name) {
            found.push(path);
        }
    }
}

/// A plugin in a folder as a shop would be given it.
pub fn candidate(dir: &Path, name: &str) -> Result<Candidate, ReadError> {
    let file = text(&dir.join(format!("{name}.toml")))?;
    let schema = schema_file_of(&file)
        .map(|schema| dir.join(schema))
        .filter(|schema| schema.is_file());
    Ok(Candidate {
        name: name.into(),
        component: Some(read(&dir.join(format!("{name}.wasm")))?),
        schema: schema.map(|schema| text(&schema)).transpose()?,
        file,
        was_live: false,
        source: None,
    })
}

/// The name of the one manifest in a folder.
pub fn manifest_of(dir: &Path) -> Result<String, Box<dyn Error>> {
    let failed = |source| ReadError {
        path: dir.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let manifest: toml::Table =
            text(&path)?
                .parse()
                .map_err(|error: toml::de::Error| NoProject::Toml {
                    path: path.clone(),
                    problem: toml_problem(&error),
                })?;
        if manifest.contains_key("roles") {
            let name = path.file_stem().unwrap_or_default();
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    match &names[..] {
        [name] => Ok(name.clone()),
        [] => Err(NoProject::NoManifest {
            dir: dir.to_owned(),
        }
        .into()),
        _ => Err(NoProject::Manifests {
            dir: dir.to_owned(),
            names,
        }
        .into()),
    }
}

/// The shop of cases that name none, as a merchant's file would have it.
fn shop_of_cases() -> Result<Shop, Box<dyn Error>> {
    let said = stampcard_sdk::cases::default_shop();
    let file = serde_json::json!({
        "name": "cases", "currency": said.currency, "time_zone": said.time_zone,
        "country": said.country, "language": said.language, "tiers": said.tiers,
    });
    Ok(Shop::new(serde_json::from_value::<ShopFile>(file)?)?)
}

pub fn read(path: &Path) -> Result<Vec<u8>, ReadError> {
    fs::read(path).map_err(|source| ReadError {
        path: path.into(),
        source,
    })
}

pub fn text(path: &Path) -> Result<String, ReadError> {
    fs::read_to_string(path).map_err(|source| ReadError {
        path: path.into(),
        source,
    })
}

/// The role of a case in the line's own words.
pub fn role(role: stampcard_sdk::Role) -> Role {
    match role {
        stampcard_sdk::Role::SegmentRule => Role::SegmentRule,
        stampcard_sdk::Role::PointFormula => Role::PointFormula,
        stampcard_sdk::Role::TierRule => Role::TierRule,
        stampcard_sdk::Role::FollowUpTrigger => Role::FollowUpTrigger,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    const MANIFEST: &str = "name = 'a'\nversion = '1.0.0'\nroles = ['tier-rule']\nevents = ['*']\n";

    #[test]
    fn a_project_is_known_by_its_manifest_and_its_rule() {
        let dir = project(&[
            ("a.toml", MANIFEST),
            ("Cargo.toml", "[package]\nname = 'a'\n"),
        ]);
        let found = Project::at(dir.path()).unwrap();
        assert_eq!((found.name.as_str(), found.language), ("a", Language::Rust));
        assert_eq!(found.roles(), ["tier-rule"]);
    }

    #[test]
    fn what_is_missing_of_a_project_is_named() {
        let problem = |files: &[(&str, &str)]| {
            let dir = project(files);
            Project::at(dir.path()).unwrap_err().to_string()
        };
        for (files, words) in [
            (&[("rule.js", "")][..], "plugin new NAME"),
            (&[("a.toml", MANIFEST)], "rule.ts or rule.py"),
            (
                &[("a.toml", MANIFEST), ("b.toml", MANIFEST), ("rule.js", "")],
                "a and b",
            ),
            (
                &[("a.toml", MANIFEST), ("rule.ts", ""), ("rule.js", "")],
                "rule.js and rule.ts",
            ),
            (&[("a.toml", "roles ="), ("rule.js", "")], "a.toml"),
        ] {
            let problem = problem(files);
            assert!(problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn only_what_the_author_writes_makes_a_component_stale() {
        let dir = project(&[("a.toml", MANIFEST), ("rule.js", "")]);
        let found = Project::at(dir.path()).unwrap();
        assert!(found.is_stale(), "it was never built");
        fs::write(found.component(), "").unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        let touch = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = fs::File::create(path).unwrap();
            file.set_modified(later).unwrap();
        };
        for name in [
            "cases/some.json",
            "README.md",
            "node_modules/x/index.js",
            "package-lock.json",
            ".hidden",
        ] {
            touch(name);
            assert!(!found.is_stale(), "{name}");
        }
        touch("lib/more.js");
        assert!(found.is_stale());
    }
}
