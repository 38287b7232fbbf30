//! `stampcard pack key`, `sign` and `verify`: who stands for a pack.

use super::super::plugin::building::put;
use super::super::plugin::project::text;
use super::super::{End, Run, say, say_json};
use super::pack_file;
use crate::config::Folder;
use crate::packs::{
    NotAdmitted, NotSigned, Pack, TrustedKey, admit, new_key_pair, secret_key, sign,
};
use clap::{ArgGroup, Args};
use serde_json::json;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The password of a key, for those who cannot type.
const PASSWORD: &str = "STAMPCARD_KEY_PASSWORD";

/// Make a pair of keys: FILE, with which packs are signed, and FILE.pub, which shops trust.
///
/// They are minisign's, as `minisign -G` makes them. The password is asked for, or read from
/// STAMPCARD_KEY_PASSWORD.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard pack key agency.key\n  stampcard pack key agency.key --no-password"
)]
pub struct Key {
    /// The file of the secret key; nobody else may read it.
    file: PathBuf,
    /// For a machine that signs by itself and keeps the file safe.
    #[arg(long)]
    no_password: bool,
    #[arg(long)]
    json: bool,
}

/// Sign a pack. Its earlier signature gives way.
///
/// `tar xf FILE && sha256sum --check SHA256SUMS && minisign -Vm SHA256SUMS -p KEY.pub` verifies it
/// with nothing of ours.
#[derive(Args)]
#[command(after_help = "Example:\n  stampcard pack sign coffee-house-1.0.0.pack --key agency.key")]
pub struct Sign {
    /// The pack's file.
    file: PathBuf,
    /// The secret key, as `stampcard pack key` or `minisign -G` makes it.
    #[arg(long)]
    key: PathBuf,
    #[arg(long)]
    json: bool,
}

/// Say whether a pack is whole, fits together, and is signed with a key that is trusted.
///
/// Exit code 1 if not, with the reason.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard pack verify coffee-house-1.0.0.pack --key agency.key.pub\n  stampcard pack verify coffee-house-1.0.0.pack --shop shop",
    group(ArgGroup::new("trusted").required(true).args(["key", "shop"]))
)]
pub struct Verify {
    /// The pack's file.
    file: PathBuf,
    /// The file of a public key, or the key itself.
    #[arg(long)]
    key: Option<String>,
    /// A shop's folder: the keys that its stampcard.toml names.
    #[arg(long, value_name = "SHOP_DIR")]
    shop: Option<PathBuf>,
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
enum NotKept {
    #[error("{} is there already; a key that is gone signs nothing any more", .0.display())]
    IsThere(PathBuf),
    #[error("{} cannot be written: {source}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "a key has a password, and nobody is here to type one; set {PASSWORD}, or say --no-password"
    )]
    NoPassword,
}

impl Key {
    pub fn run(self) -> Run {
        let public = beside(&self.file);
        for file in [&self.file, &public] {
            if file.exists() {
                return Err(NotKept::IsThere(file.clone()).into());
            }
        }
        let password = match self.no_password {
            true => None,
            false => Some(typed()?),
        };
        let (secret, open) = new_key_pair(password)?;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| NotKept::Write { path, source }
        };
        let kept = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.file);
        let mut kept = kept.map_err(failed(&self.file))?;
        let written = kept.write_all(secret.as_bytes());
        written.map_err(failed(&self.file))?;
        fs::write(&public, &open).map_err(failed(&public))?;
        let line = open.lines().last().unwrap_or_default();
        if self.json {
            say_json(&json!({ "secret": self.file, "public": public, "key": line }))?;
        } else {
            say(format_args!(
                "{} signs packs: keep it, and let nobody read it.\n{} is for shops, whose stampcard.toml says:\n\n[trusted_keys]\n\"Your name\" = \"{line}\"",
                self.file.display(),
                public.display()
            ))?;
        }
        Ok(End::Done)
    }
}

fn beside(secret: &Path) -> PathBuf {
    let mut name = secret.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// A new password, from whoever sits here or from the environment.
fn typed() -> Result<String, NotKept> {
    if let Ok(password) = std::env::var(PASSWORD) {
        return Ok(password);
    }
    let ask = |prompt: &str| rpassword::prompt_password(prompt).map_err(|_| NotKept::NoPassword);
    loop {
        let password = ask("Password of the key: ")?;
        if !password.is_empty() && password == ask("Once more: ")? {
            return Ok(password);
        }
        eprintln!("They differ, or there is none.");
    }
}

impl Sign {
    pub fn run(self) -> Run {
        let pack = Pack::read(&pack_file(&self.file)?)?;
        let key = secret_key(&text(&self.key)?, || {
            let known = std::env::var(PASSWORD).ok();
            known.or_else(|| rpassword::prompt_password("Password of the key: ").ok())
        })?;
        let about = &pack.about;
        let comment = format!("stampcard pack {} {}", about.name, about.version);
        let signature = sign(&pack.sums(), &comment, &key)?;
        let pack = pack.with_signature(Some(signature));
        put(&self.file, &pack.bytes())?;
        if self.json {
            say_json(&json!({ "file": self.file, "digest": pack.digest() }))?;
        } else {
            say(format_args!(
                "{} is signed: {} {}\ndigest {}",
                self.file.display(),
                pack.about.name,
                pack.about.version,
                pack.digest()
            ))?;
        }
        Ok(End::Done)
    }
}

impl Verify {
    pub fn run(self) -> Run {
        let bytes = pack_file(&self.file)?;
        let trusted = match (&self.key, &self.shop) {
            (_, Some(shop)) => Folder::of_one(shop)?.trusted_keys()?,
            (Some(key), None) => vec![given(key)?],
            (None, None) => Vec::new(),
        };
        match admit(&bytes, &trusted, false) {
            Ok((pack, signer)) => {
                let about = &pack.about;
                if self.json {
                    say_json(&json!({
                        "ok": true, "name": about.name, "version": about.version.to_string(),
                        "digest": pack.digest(), "plugins": about.plugins, "signer": signer,
                    }))?;
                } else {
                    let by = signer.map_or(String::new(), |it| {
                        format!("signed by {}, key {}", it.name, it.key)
                    });
                    say(format_args!(
                        "{} {} is whole and {by}\ndigest {}",
                        about.name,
                        about.version,
                        pack.digest()
                    ))?;
                }
                Ok(End::Done)
            }
            Err(error) => {
                if self.json {
                    let is_unsigned = matches!(
                        error,
                        NotAdmitted::NotSigned {
                            error: NotSigned::Unsigned,
                            ..
                        }
                    );
                    say_json(
                        &json!({ "ok": false, "unsigned": is_unsigned, "problem": error.to_string() }),
                    )?;
                } else {
                    eprintln!("stampcard: {}: {error}", self.file.display());
                }
                Ok(End::Attention)
            }
        }
    }
}

/// A key, or the file that has it.
fn given(key: &str) -> Result<TrustedKey, Box<dyn std::error::Error>> {
    let path = Path::new(key);
    Ok(match path.is_file() {
        true => TrustedKey::new(key, &text(path)?)?,
        false => TrustedKey::new("this key", key)?,
    })
}
