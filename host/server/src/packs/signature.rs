//! Signatures as minisign makes them: Ed25519 over the BLAKE2b of the list of sums, with a comment
//! that is signed, too. They are verified without a network, and by the tool of that name as well.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox, SignatureBox};
use stampcard_store::Signer;
use std::io::Cursor;

/// A key that a shop trusts, under the name that the shop gives to whoever holds it.
#[derive(Clone, Debug)]
pub struct TrustedKey {
    pub name: String,
    key: PublicKey,
}

/// What is wrong with a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "{name}: this is no public key of minisign's, which is the line of 56 letters in NAME.pub"
    )]
    NotPublic { name: String },
    #[error(
        "this is no secret key of minisign's, which is a file of two lines as `stampcard pack key` makes it"
    )]
    NotSecret,
    #[error("the key has a password, and nobody is here to type it; set STAMPCARD_KEY_PASSWORD")]
    NoPassword,
    #[error("the password is wrong, or the key is damaged: {0}")]
    Password(String),
    #[error("a key cannot be made: {0}")]
    Make(String),
    #[error("it cannot be signed: {0}")]
    Sign(String),
}

/// Why nobody trusted has signed something.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    #[error("nobody has signed it")]
    Unsigned,
    #[error("its signature is none of minisign's: {0}")]
    NotASignature(&'static str),
    #[error("it is signed with the key {key}, and no key is trusted here")]
    NoKeys { key: String },
    #[error("it is signed with the key {key}, which is not trusted here; those that are: {}", .known.join(", "))]
    UnknownKey { key: String, known: Vec<String> },
    #[error("the signature is not that of {name} over what is in it: somebody has changed it")]
    Wrong { name: String },
}

impl TrustedKey {
    /// `key` is the line of letters in `NAME.pub`, or all of that file.
    pub fn new(name: &str, key: &str) -> Result<TrustedKey, KeyError> {
        let not_one = || KeyError::NotPublic { name: name.into() };
        let line = key.lines().rfind(|line| !line.trim().is_empty());
        let line = line.ok_or_else(not_one)?.trim();
        Ok(TrustedKey {
            name: name.into(),
            key: PublicKey::from_base64(line).map_err(|_| not_one())?,
        })
    }

    fn signer(&self) -> Signer {
        Signer {
            name: self.name.clone(),
            key: number(self.key.keynum()),
        }
    }
}

/// The number of a key as the tool writes it.
fn number(bytes: &[u8]) -> String {
    let digits = bytes.iter().rev();
    digits.map(|byte| format!("{byte:02X}")).collect()
}

/// Who of those who are trusted has signed a text.
pub fn signed_by(
    text: &[u8],
    signature: Option<&str>,
    trusted: &[TrustedKey],
) -> Result<Signer, NotSigned> {
    let signature = signature.ok_or(NotSigned::Unsigned)?;
    let signature = read(signature)?;
    let key = number(signature.keynum());
    if trusted.is_empty() {
        return Err(NotSigned::NoKeys { key });
    }
    let held = |it: &&TrustedKey| it.key.keynum() == signature.keynum();
    let Some(holder) = trusted.iter().find(held) else {
        let known = trusted.iter().map(|it| it.name.clone()).collect();
        return Err(NotSigned::UnknownKey { key, known });
    };
    let verified = minisign::verify(
        &holder.key,
        &signature,
        Cursor::new(text),
        true,
        false,
        false,
    );
    match verified {
        Ok(()) => Ok(holder.signer()),
        Err(_) => Err(NotSigned::Wrong {
            name: holder.name.clone(),
        }),
    }
}

/// Algorithm, number of the key and signature of one that is over a hash; and one signature alone.
const SIGNATURE_BYTES: [usize; 2] = [2 + 8 + 64, 64];

/// Reads four lines of exactly the lengths that the format has: the library counts on them.
fn read(text: &str) -> Result<SignatureBox, NotSigned> {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let [_, signature, _, over_comment] = lines[..] else {
        return Err(NotSigned::NotASignature("it does not have four lines"));
    };
    for (line, bytes) in [signature, over_comment].into_iter().zip(SIGNATURE_BYTES) {
        let found = BASE64.decode(line.trim());
        if found.is_ok_and(|found| found.len() == bytes) {
            continue;
        }
        return Err(NotSigned::NotASignature("a line has another length"));
    }
    SignatureBox::from_string(text)
        .map_err(|_| NotSigned::NotASignature("its comments or its algorithm are others"))
}

/// Signs a text. Whoever verifies it reads the comment, which is signed as well.
pub fn sign(text: &str, comment: &str, key: &SecretKey) -> Result<String, KeyError> {
    let failed = |error: minisign::PError| KeyError::Sign(error.to_string());
    let public = PublicKey::from_secret_key(key).map_err(failed)?;
    let untrusted = format!(
        "signature of a stampcard pack, key {}",
        number(public.keynum())
    );
    let signature = minisign::sign(
        Some(&public),
        key,
        Cursor::new(text),
        Some(comment),
        Some(&untrusted),
    );
    Ok(signature.map_err(failed)?.into_string())
}

/// Of a secret key, in bytes: three algorithms, a salt, two limits, its number, the key itself and a
/// checksum.
const SECRET_BYTES: usize = 3 * 2 + 32 + 2 * 8 + 8 + 64 + 32;

/// Reads a secret key, as `minisign -G` or [`new_key_pair`] writes it. `password` is asked for a
/// key that has one.
pub fn secret_key(
    text: &str,
    password: impl FnOnce() -> Option<String>,
) -> Result<SecretKey, KeyError> {
    let line = text.lines().nth(1).unwrap_or_default();
    let bytes = BASE64.decode(line.trim()).unwrap_or_default();
    if bytes.len() != SECRET_BYTES || !bytes.starts_with(b"Ed") {
        return Err(KeyError::NotSecret);
    }
    if bytes[2..4] == [0, 0] {
        // It has no password. The tool leaves its checksum empty then, which the library minds; a key
        // that is damaged is found out when what it has signed is not its own.
        return SecretKey::from_bytes(&bytes).map_err(|_| KeyError::NotSecret);
    }
    let password = password().ok_or(KeyError::NoPassword)?;
    let key = SecretKeyBox::from_string(text).map_err(|_| KeyError::NotSecret)?;
    key.into_secret_key(Some(password))
        .map_err(|error| KeyError::Password(error.to_string()))
}

/// The texts of a new pair of keys: the secret one, which has a password unless it is `None`, and the
/// public one.
pub fn new_key_pair(password: Option<String>) -> Result<(String, String), KeyError> {
    let failed = |error: minisign::PError| KeyError::Make(error.to_string());
    let pair = match password {
        Some(password) => KeyPair::generate_encrypted_keypair(Some(password)),
        None => KeyPair::generate_unencrypted_keypair(),
    }
    .map_err(failed)?;
    let secret = pair
        .sk
        .to_box(Some("stampcard secret key"))
        .map_err(failed)?;
    let public = pair.pk.to_box().map_err(failed)?;
    Ok((secret.into_string(), public.into_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMS: &str = "0000  pack.toml\n";

    struct Signed {
        key: TrustedKey,
        signature: String,
    }

    fn signed() -> Signed {
        let (secret, public) = new_key_pair(None).unwrap();
        let secret = secret_key(&secret, || panic!("it has no password")).unwrap();
        Signed {
            key: TrustedKey::new("Corner", &public).unwrap(),
            signature: sign(SUMS, "coffee-house 1.0.0", &secret).unwrap(),
        }
    }

    /// Made by minisign 0.11 of Debian: `minisign -GW`, and `minisign -Sm SHA256SUMS`.
    mod real {
        pub const PUBLIC: &str = "untrusted comment: minisign public key 7F28D24773E842D2\nRWTSQuhzR9Iof9/ViOVNMjp+p4NE03d2M8H+5LXLwgz9m/wU4iEEsYbq\n";
        pub const SECRET: &str = "untrusted comment: minisign encrypted secret key\nRWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA0kLoc0fSKH/WevK9myX3SRSnoYNZvRDOZa0u9fUOtJpOPiqArvVV4d/ViOVNMjp+p4NE03d2M8H+5LXLwgz9m/wU4iEEsYbqAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
        pub const TEXT: &str = "0000  pack.toml\n";
        pub const SIGNATURE: &str = "untrusted comment: signature from minisign secret key\nRUTSQuhzR9Iof3S2aJ28bGlJHmAr0DwC2GUw70yBPqnTA5QwhB1QnrsfF3coKE2Ce9msaOeINbW2I/8FKdEVS3jh2SRB0LxjwgU=\ntrusted comment: coffee-house 1.0.0\nYU4U7P5KetbX1aHedC8jXAbjAFBpXiOqKFmZza2BHM6OOwAyGLyjN1xP1grnCxHDNxM+W9oiX2IkVl9NAsWaDg==\n";
    }

    #[test]
    fn what_the_tool_has_signed_is_signed() {
        let trusted = [TrustedKey::new("Corner", real::PUBLIC).unwrap()];
        let by = |text: &str| signed_by(text.as_bytes(), Some(real::SIGNATURE), &trusted);
        assert_eq!(by(real::TEXT).unwrap().name, "Corner");
        let changed = real::TEXT.replace("pack", "Pack");
        assert_eq!(
            by(&changed),
            Err(NotSigned::Wrong {
                name: "Corner".into()
            })
        );
        // And its secret key signs here.
        let secret = secret_key(real::SECRET, || panic!("it has no password")).unwrap();
        let signature = sign(real::TEXT, "a pack", &secret).unwrap();
        assert!(signed_by(real::TEXT.as_bytes(), Some(&signature), &trusted).is_ok());
    }

    #[test]
    fn a_signature_is_of_one_who_is_trusted_over_exactly_this() {
        let Signed { key, signature } = signed();
        let by = |text: &str, signature: &str, trusted: &[TrustedKey]| {
            signed_by(text.as_bytes(), Some(signature), trusted)
        };
        let trusted = [key.clone()];
        let signer = by(SUMS, &signature, &trusted).unwrap();
        assert_eq!((signer.name.as_str(), signer.key.len()), ("Corner", 16));
        assert_eq!(
            by("0001  pack.toml\n", &signature, &trusted),
            Err(NotSigned::Wrong {
                name: "Corner".into()
            })
        );
        // The comment is signed, too.
        let renamed = signature.replace("coffee-house 1.0.0", "coffee-house 9.0.0");
        assert_eq!(
            by(SUMS, &renamed, &trusted),
            Err(NotSigned::Wrong {
                name: "Corner".into()
            })
        );
        let other = TrustedKey {
            name: "Other".into(),
            ..signed().key
        };
        assert!(matches!(
            by(SUMS, &signature, std::slice::from_ref(&other)),
            Err(NotSigned::UnknownKey { known, .. }) if known == ["Other"]
        ));
        assert!(matches!(
            by(SUMS, &signature, &[]),
            Err(NotSigned::NoKeys { .. })
        ));
        assert!(by(SUMS, &signature, &[other, key]).is_ok());
        assert_eq!(signed_by(b"x", None, &trusted), Err(NotSigned::Unsigned));
    }

    #[test]
    fn a_signature_that_is_cut_short_is_refused_and_harms_nobody() {
        let Signed { key, signature } = signed();
        let trusted = [key];
        for most in 0..signature.len() - 1 {
            let Some(part) = signature.get(..most) else {
                continue;
            };
            let found = signed_by(SUMS.as_bytes(), Some(part), &trusted);
            assert!(found.is_err(), "{part}");
        }
        let lines: Vec<&str> = signature.lines().collect();
        for at in [1, 3] {
            let mut lines = lines.clone();
            for line in ["", "AAAA", "RUQ=", "no base64 at all"] {
                lines[at] = line;
                let found = signed_by(SUMS.as_bytes(), Some(&lines.join("\n")), &trusted);
                assert!(matches!(found, Err(NotSigned::NotASignature(_))), "{line}");
            }
        }
    }

    #[test]
    fn a_key_with_a_password_signs_with_it_alone() {
        let (secret, public) = new_key_pair(Some("open sesame".into())).unwrap();
        let with = |password: &str| secret_key(&secret, || Some(password.to_owned()));
        assert!(matches!(with("guess"), Err(KeyError::Password(_))));
        let signature = sign(SUMS, "x", &with("open sesame").unwrap()).unwrap();
        let key = TrustedKey::new("Corner", &public).unwrap();
        assert!(signed_by(SUMS.as_bytes(), Some(&signature), &[key]).is_ok());
    }

    #[test]
    fn what_is_no_key_is_none() {
        for text in ["", "RWQ", "untrusted comment: x\n", &"A".repeat(57)] {
            assert!(TrustedKey::new("x", text).is_err(), "{text}");
        }
        assert!(secret_key("x", || None).is_err());
    }
}
