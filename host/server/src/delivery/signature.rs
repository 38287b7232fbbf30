//! Signatures as [Standard Webhooks](https://www.standardwebhooks.com) has them: HMAC-SHA256 over the
//! message's name, the time and the body, with a secret that both sides know.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use stampcard_pipeline::event::Instant;
use std::path::Path;

/// How a secret begins when it is written down.
const PREFIX: &str = "whsec_";
/// Bytes of a secret, as the standard wants it.
const BYTES_MIN: usize = 24;
const BYTES_MAX: usize = 64;

/// What both sides know.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

/// Why there is no secret to sign with. It never says what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error(
        "delivery.secret: the variable {0} is not set; set it to whsec_ and the secret in base64, where the server is started"
    )]
    NoVariable(String),
    #[error("delivery.secret: {path} cannot be read: {problem}")]
    NoFile { path: String, problem: String },
    #[error(
        "delivery.secret: {0} does not hold a secret: whsec_ and {BYTES_MIN} to {BYTES_MAX} random bytes in base64; \
         `openssl rand -base64 32` makes one"
    )]
    NotASecret(String),
}

impl SigningSecret {
    /// Reads the secret where `merchant.toml` says that it is: `env:NAME` or `file:/path`.
    pub fn find(reference: &str) -> Result<SigningSecret, SecretError> {
        let text = match reference.split_once(':') {
            Some(("env", name)) => {
                std::env::var(name).map_err(|_| SecretError::NoVariable(name.into()))?
            }
            Some((_, path)) => std::fs::read_to_string(Path::new(path)).map_err(|error| {
                let (path, problem) = (path.to_owned(), error.to_string());
                SecretError::NoFile { path, problem }
            })?,
            None => return Err(SecretError::NotASecret(reference.into())),
        };
        SigningSecret::read(&text).ok_or_else(|| SecretError::NotASecret(reference.into()))
    }

    fn read(text: &str) -> Option<SigningSecret> {
        let bytes = BASE64.decode(text.trim().strip_prefix(PREFIX)?).ok()?;
        (BYTES_MIN..=BYTES_MAX)
            .contains(&bytes.len())
            .then_some(SigningSecret(bytes))
    }

    /// The header `webhook-signature` of a message.
    pub fn sign(&self, id: &str, at: Instant, body: &str) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{}.{body}", seconds(at)).as_bytes());
        format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    }
}

/// The header `webhook-timestamp`: seconds since 1970.
pub fn seconds(at: Instant) -> i64 {
    at.0.div_euclid(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_standard() {
        // The example of the specification.
        let secret = SigningSecret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("one");
        let body = r#"{"test": 2432232314}"#;
        let at = Instant(1_614_265_330_000);
        assert_eq!(
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn what_is_no_secret_is_not_signed_with_and_not_repeated() {
        for text in [
            "",
            "whsec_",
            "whsec_c2hvcnQ=",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert!(SigningSecret::read(text).is_none(), "{text}");
        }
        let missing = SigningSecret::find("file:/nowhere/at/all")
            .err()
            .expect("an error");
        assert!(missing.to_string().contains("/nowhere/at/all"));
        let unset = SigningSecret::find("env:STAMPCARD_NO_SUCH_SECRET").err();
        let told = unset.expect("an error").to_string();
        assert!(
            told.contains("STAMPCARD_NO_SUCH_SECRET is not set"),
            "{told}"
        );
    }
}
