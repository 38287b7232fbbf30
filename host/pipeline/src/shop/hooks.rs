//! Who tells of payments and sales by a webhook: `[[hooks]]` of `merchant.toml`. Secrets are elsewhere;
//! the file says where.

use super::{ShopError, first_twice};
use serde::{Deserialize, Serialize};

/// One source of webhooks, behind `POST /v1/hooks/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The last part of its address. Its events have the source `hook/NAME`.
    pub name: String,
    pub format: HookFormat,
    /// Where its secrets are: `env:NAME` for a variable of the server's, `file:PATH` for a file, from
    /// the shop's folder on. Each of them is good, so that one can take another's place.
    pub secrets: Vec<String>,
    /// The `system` that sales give its orders; the hook's own name, where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// The address as the sender has it, byte for byte. Square signs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Whose form a webhook has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookFormat {
    Shopify,
    Square,
    /// Signed as standardwebhooks.com has it, with an event of the catalogue inside.
    Standard,
}

/// Secrets of one hook: the one that is used, the one before, and the one that a platform signs its
/// trials with.
const SECRETS_MAX: usize = 4;
const NAME_BYTES_MAX: usize = 64;
/// How a place of a secret begins.
pub const SECRET_IN: [&str; 2] = ["env:", "file:"];

impl Hook {
    /// What its orders are told apart by from those of others.
    pub fn system(&self) -> &str {
        self.system.as_deref().unwrap_or(&self.name)
    }

    /// The source of its events.
    pub fn source(&self) -> String {
        format!("hook/{}", self.name)
    }

    fn check(&self) -> Result<(), String> {
        let letters = self.name.bytes();
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.is_empty()
            || self.name.len() > NAME_BYTES_MAX
            || !letters.clone().all(is_plain)
        {
            return Err(format!(
                "a name has from 1 to {NAME_BYTES_MAX} of a-z, 0-9 and -; it is a part of an address"
            ));
        }
        if self.secrets.is_empty() || self.secrets.len() > SECRETS_MAX {
            return Err(format!("secrets has from 1 to {SECRETS_MAX} places"));
        }
        let is_place = |place: &&String| {
            let rest = SECRET_IN.iter().find_map(|begin| place.strip_prefix(begin));
            rest.is_some_and(|rest| !rest.is_empty())
        };
        if let Some(place) = self.secrets.iter().position(|place| !is_place(&place)) {
            // What stands there may be the secret itself, which no message repeats.
            return Err(format!(
                "secrets[{place}] must say where the secret is, as \"env:NAME\" or \"file:PATH\""
            ));
        }
        if self.system.as_deref().is_some_and(str::is_empty) {
            return Err("system is empty".into());
        }
        match (self.format, &self.url) {
            (HookFormat::Square, None) => {
                Err("url is missing: Square signs the address, so write it as Square has it".into())
            }
            (HookFormat::Shopify | HookFormat::Standard, Some(_)) => {
                Err("url means nothing in this format; leave it out".into())
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn check(hooks: &[Hook]) -> Result<(), ShopError> {
    let names: Vec<String> = hooks.iter().map(|hook| hook.name.clone()).collect();
    if let Some(name) = first_twice(&names) {
        let problem = "appears twice".into();
        return Err(ShopError::Hook { name, problem });
    }
    for hook in hooks {
        hook.check().map_err(|problem| ShopError::Hook {
            name: hook.name.clone(),
            problem,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook() -> Hook {
        Hook {
            name: "web".into(),
            format: HookFormat::Shopify,
            secrets: vec!["env:WEB".into()],
            system: None,
            url: None,
        }
    }

    #[test]
    fn a_hook_says_where_its_secrets_are_and_never_what_they_are() {
        assert_eq!(hook().check(), Ok(()));
        assert_eq!(
            (hook().system(), hook().source()),
            ("web", "hook/web".into())
        );
        let with = |change: fn(&mut Hook)| {
            let mut hook = hook();
            change(&mut hook);
            hook.check()
        };
        for (change, part) in [
            ((|hook| hook.name = "a/b".into()) as fn(&mut Hook), "a-z"),
            (|hook| hook.secrets.clear(), "from 1 to 4"),
            (|hook| hook.secrets.push("hush".into()), "secrets[1]"),
            (|hook| hook.secrets.push("env:".into()), "secrets[1]"),
            (|hook| hook.format = HookFormat::Square, "url is missing"),
            (|hook| hook.url = Some("https://a.b".into()), "leave it out"),
            (|hook| hook.system = Some(String::new()), "system is empty"),
        ] {
            let problem = with(change).unwrap_err();
            assert!(problem.contains(part), "{problem}");
            assert!(!problem.contains("hush"), "{problem}");
        }
        let twice = [hook(), hook()];
        assert!(matches!(check(&twice), Err(ShopError::Hook { .. })));
    }
}
