//! Tokens: what a phone shows as a QR code, so that a till knows who stands in front of it.
//!
//! A token names one customer for a few minutes and works once. It is signed with the shop's own
//! secret, so nobody can make one up, another shop's means nothing here, and it need not be kept
//! before it is used. That it works once is the store's to see to: what it leaves in its event is
//! a business key, as an order's name is.

use crate::admit::{Secret, base32, mac};
use crate::change::CustomerId;
use crate::event::{Instant, OrderName};
use crate::limits;

const PREFIX: &str = "sct_";
/// The system under which used tokens stand among the business keys. No order may use it.
pub const SYSTEM: &str = "stampcard-token";
/// Random bytes that tell two tokens of one customer and second apart.
pub const RANDOM_BYTES: usize = 10;
/// Bytes of the signature that are kept: 120 bits, which nobody guesses in five minutes.
const SIGNATURE_BYTES: usize = 15;

/// A token that was made for this shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub customer: CustomerId,
    pub expires_at: Instant,
    /// Tells it from all others.
    number: String,
}

/// Why a token is worth nothing. What it said is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("this is no token of this shop; ask the customer to show the code again")]
    NotOurs,
    #[error("this token has expired; ask the customer to show the code again")]
    Expired,
}

/// Makes a token. `random` must be different each time. `None` for a customer whose id has another
/// form than ours, of whom there are none yet.
pub fn mint(
    secret: &Secret,
    customer: &CustomerId,
    expires_at: Instant,
    random: [u8; RANDOM_BYTES],
) -> Option<String> {
    let name = customer.0.strip_prefix("cus_")?;
    let expires_s = expires_at.0.div_euclid(1_000);
    let number = base32(&random);
    let signature = signature(secret, name, expires_s, &number);
    Some(format!("{PREFIX}{name}.{expires_s}.{number}.{signature}"))
}

/// Reads a token that was shown at an instant. It counts from when it was made, with what tills'
/// clocks drift, until it expires.
pub fn read(text: &str, secret: &Secret, at: Instant) -> Result<Token, TokenError> {
    let parts: Vec<&str> = text
        .trim()
        .strip_prefix(PREFIX)
        .ok_or(TokenError::NotOurs)?
        .split('.')
        .collect();
    let [name, expires, number, signed] = parts[..] else {
        return Err(TokenError::NotOurs);
    };
    let expires_s: i64 = expires.parse().map_err(|_| TokenError::NotOurs)?;
    if !same(&signature(secret, name, expires_s, number), signed) {
        return Err(TokenError::NotOurs);
    }
    let expires_at = Instant(expires_s.saturating_mul(1_000));
    let made_at = expires_at.0 - limits::TOKEN_LIFETIME_MS - limits::AHEAD_MS_MAX;
    if !(made_at..expires_at.0).contains(&at.0) {
        return Err(TokenError::Expired);
    }
    Ok(Token {
        customer: CustomerId(format!("cus_{name}")),
        expires_at,
        number: number.to_owned(),
    })
}

impl Token {
    /// What the store takes once.
    pub fn business_key(&self) -> OrderName {
        OrderName {
            system: SYSTEM.into(),
            id: self.number.clone(),
        }
    }
}

fn signature(secret: &Secret, name: &str, expires_s: i64, number: &str) -> String {
    let parts = [name.as_bytes(), &expires_s.to_le_bytes(), number.as_bytes()];
    base32(&mac(secret, "token", &parts)[..SIGNATURE_BYTES])
}

/// Whether two texts are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let differing = one
        .bytes()
        .zip(other.bytes())
        .fold(0, |differing, (one, other)| differing | (one ^ other));
    one.len() == other.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: Secret = Secret([7; 32]);
    const MADE: Instant = Instant(1_772_463_600_000);
    const EXPIRES: Instant = Instant(MADE.0 + limits::TOKEN_LIFETIME_MS);

    fn ana() -> CustomerId {
        CustomerId("cus_0r6h3m9c1w8k2f7d5t4b9n1q".into())
    }

    fn token() -> String {
        mint(&SECRET, &ana(), EXPIRES, [3; RANDOM_BYTES]).unwrap()
    }

    #[test]
    fn a_token_names_its_customer_until_it_expires() {
        for (at, found) in [
            (MADE.0, Ok(ana())),
            (EXPIRES.0 - 1, Ok(ana())),
            (EXPIRES.0, Err(TokenError::Expired)),
            (MADE.0 - limits::AHEAD_MS_MAX, Ok(ana())),
            (MADE.0 - limits::AHEAD_MS_MAX - 1, Err(TokenError::Expired)),
        ] {
            let read = read(&token(), &SECRET, Instant(at));
            assert_eq!(read.map(|token| token.customer), found, "{at}");
        }
    }

    #[test]
    fn whatever_is_changed_of_a_token_makes_it_nobodys() {
        let good = token();
        for place in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(bytes).unwrap();
            assert_eq!(
                read(&forged, &SECRET, MADE),
                Err(TokenError::NotOurs),
                "{forged}"
            );
        }
        for text in [
            "",
            "sct_",
            "sct_a.b.c.d",
            "sct_...",
            "sk_pos_1",
            &good[..40],
        ] {
            assert_eq!(
                read(text, &SECRET, MADE),
                Err(TokenError::NotOurs),
                "{text}"
            );
        }
        let others = Secret([8; 32]);
        assert_eq!(read(&good, &others, MADE), Err(TokenError::NotOurs));
    }

    #[test]
    fn two_tokens_of_one_second_are_two() {
        let other = mint(&SECRET, &ana(), EXPIRES, [4; RANDOM_BYTES]).unwrap();
        let key = |text: &str| read(text, &SECRET, MADE).unwrap().business_key();
        assert_ne!(key(&token()), key(&other));
    }
}
