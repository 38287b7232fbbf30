//! Where a pack is in a registry: `ghcr.io/corner/coffee-house:1.0.0`, or `…@sha256:…`.

use std::fmt;
use std::str::FromStr;

/// The name of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Host and port.
    pub registry: String,
    pub repository: String,
    /// A tag, or a digest.
    version: String,
}

/// Why something is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{written}` names no pack in a registry: {why}; such a name is ghcr.io/corner/coffee-house:1.0.0"
)]
pub struct NotAReference {
    written: String,
    why: &'static str,
}

/// The longest name that registries take, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// The longest tag, in bytes.
const TAG_BYTES_MAX: usize = 128;

impl Reference {
    /// The digest by which it is named, if it is not named by a tag.
    pub fn digest(&self) -> Option<&str> {
        is_digest(&self.version).then_some(self.version.as_str())
    }

    /// The tag or the digest.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(written: &str) -> Result<Reference, NotAReference> {
        let wrong = |why| NotAReference {
            written: written.into(),
            why,
        };
        let (registry, rest) = written
            .split_once('/')
            .ok_or(wrong("it has no registry before the first `/`"))?;
        let is_host = registry == "localhost" || registry.contains(['.', ':']);
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        if !is_host || !registry.bytes().all(fits) {
            return Err(wrong("what is before the first `/` is no registry"));
        }
        let (repository, version) = match rest.split_once('@') {
            Some((repository, digest)) if is_digest(digest) => (repository, digest),
            Some(_) => return Err(wrong("what follows the `@` is no digest of SHA-256")),
            None => rest
                .rsplit_once(':')
                .ok_or(wrong("it names no version after a `:`"))?,
        };
        let fits = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
                && part.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte)
                })
        };
        if repository.len() > NAME_BYTES_MAX || !repository.split('/').all(fits) {
            return Err(wrong("its name has letters that a registry does not take"));
        }
        let is_tag = |tag: &str| {
            let mut bytes = tag.bytes();
            let first = bytes.next();
            first.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        if !is_digest(version) && (version.len() > TAG_BYTES_MAX || !is_tag(version)) {
            return Err(wrong(
                "its version has letters that a registry does not take",
            ));
        }
        Ok(Reference {
            registry: registry.into(),
            repository: repository.into(),
            version: version.into(),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mark = if self.digest().is_some() { '@' } else { ':' };
        write!(
            f,
            "{}/{}{mark}{}",
            self.registry, self.repository, self.version
        )
    }
}

/// `sha256:` and 64 hexadecimal digits.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64
            && digits
                .bytes()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_is_named_by_registry_name_and_version() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (written, registry, repository, version) in [
            (
                "ghcr.io/corner/coffee-house:1.0.0",
                "ghcr.io",
                "corner/coffee-house",
                "1.0.0",
            ),
            ("localhost:5000/a:_x", "localhost:5000", "a", "_x"),
            (
                &format!("127.0.0.1:5000/a/b@{digest}"),
                "127.0.0.1:5000",
                "a/b",
                &digest,
            ),
        ] {
            let read: Reference = written.parse().unwrap();
            assert_eq!(
                (
                    read.registry.as_str(),
                    read.repository.as_str(),
                    read.version()
                ),
                (registry, repository, version)
            );
            assert_eq!(read.to_string(), written);
            assert_eq!(read.digest().is_some(), written.contains('@'));
        }
    }

    #[test]
    fn what_names_no_pack_says_what_is_missing() {
        for (written, why) in [
            ("coffee-house", "no registry"),
            ("corner/coffee-house:1", "no registry"),
            ("ghcr.io/corner/coffee-house", "no version"),
            ("ghcr.io/Corner/x:1", "letters"),
            ("ghcr.io/../x:1", "letters"),
            ("ghcr.io/x:../y", "letters"),
            ("ghcr.io/x:", "letters"),
            ("ghcr.io/x@sha256:abc", "no digest"),
            ("a b.io/x:1", "no registry"),
        ] {
            let problem = written.parse::<Reference>().unwrap_err().to_string();
            assert!(problem.contains(why), "{problem}");
        }
    }
}
