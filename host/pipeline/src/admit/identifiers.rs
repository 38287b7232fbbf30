//! Identifiers in their normal form.

use super::data::{Common, CustomerData, own_id, short};
use crate::change::CustomerId;
use crate::event::{Identifier, IdentifierKind, Personal};
use crate::limits;
use crate::refusal::{Refusal, invalid};
use crate::shop::Shop;

/// Takes what is personal out of the common fields.
pub(super) fn read(
    common: &mut Common,
    shop: &Shop,
) -> Result<(Personal, Option<CustomerId>), Refusal> {
    let mut personal = Personal {
        fields: std::mem::take(&mut common.fields),
        note: common.note.take(),
        ..Personal::default()
    };
    let Some(customer) = common.customer.take() else {
        return Ok((personal, common.shown.take()));
    };
    let CustomerData {
        id,
        email,
        phone,
        card,
        external,
        anon,
        verified,
    } = customer;
    if let Some(anon) = &anon
        && anon.trim().len() < limits::VISITOR_BYTES_MIN
    {
        return invalid(
            "visitor-too-short",
            "/data/customer/anon",
            format!(
                "what a browser calls itself has {} bytes at least: a short name is another browser's, too",
                limits::VISITOR_BYTES_MIN
            ),
        );
    }
    common.anon = anon
        .map(|anon| short(anon.trim().to_owned(), "/data/customer/anon"))
        .transpose()?;
    common.verified = verified;
    let named = id
        .as_deref()
        .map(|id| own_id(id, "/data/customer/id"))
        .transpose()?;
    if let Some(text) = email {
        add(
            &mut personal,
            IdentifierKind::Email,
            normal_email(&text)?,
            text,
        );
    }
    if let Some(text) = phone {
        let country = common
            .location
            .as_deref()
            .and_then(|id| shop.place(id))
            .map_or(&shop.file.country, |place| &place.place.country);
        add(
            &mut personal,
            IdentifierKind::Phone,
            normal_phone(&text, country)?,
            text,
        );
    }
    if let Some(text) = card {
        add(
            &mut personal,
            IdentifierKind::Card,
            normal_card(&text)?,
            text,
        );
    }
    for (index, external) in external
        .map(|given| given.into_vec())
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let at = format!("/data/customer/external/{index}");
        if external.source.is_empty() || external.id.is_empty() || external.source.contains('/') {
            return invalid(
                "external-id",
                at,
                "an external id needs a source without a slash, and an id",
            );
        }
        refuse_pan(&external.id, &at)?;
        let value = short(format!("{}/{}", external.source, external.id), &at)?;
        add(
            &mut personal,
            IdentifierKind::External,
            value.clone(),
            value,
        );
    }
    if personal.identifiers.len() > limits::IDENTIFIERS_MAX {
        return invalid(
            "many-identifiers",
            "/data/customer",
            format!("more than {} identifiers", limits::IDENTIFIERS_MAX),
        );
    }
    Ok((personal, named))
}

fn add(personal: &mut Personal, kind: IdentifierKind, value: String, written: String) {
    if written != value {
        personal.as_written.push((kind, written));
    }
    let identifier = Identifier { kind, value };
    if !personal.identifiers.contains(&identifier) {
        personal.identifiers.push(identifier);
    }
}

/// Trimmed, in lower case, with something on both sides of one @ and a dot in the domain.
pub fn normal_email(text: &str) -> Result<String, Refusal> {
    let email = text.trim().to_lowercase();
    let well_formed = email.len() <= 254
        && !email.contains(|letter: char| {
            letter.is_whitespace() || letter.is_control() || "<>()[],;:\\\"".contains(letter)
        })
        && email.split_once('@').is_some_and(|(local, domain)| {
            let labels = domain.split('.').count();
            (1..=64).contains(&local.len())
                && !domain.contains('@')
                && labels >= 2
                && domain.split('.').all(|label| !label.is_empty())
        });
    if well_formed {
        Ok(email)
    } else {
        invalid(
            "not-an-email",
            "/data/customer/email",
            "this is not an e-mail address; leave it out if there is none",
        )
    }
}

/// E.164, read as a number of the country unless it begins with +.
pub fn normal_phone(text: &str, country: &str) -> Result<String, Refusal> {
    let country = country.parse().ok();
    let number = phonenumber::parse(country, text.trim())
        .ok()
        .filter(phonenumber::is_valid);
    match number {
        Some(number) => Ok(number.format().mode(phonenumber::Mode::E164).to_string()),
        None => invalid(
            "not-a-phone",
            "/data/customer/phone",
            "this is not a telephone number of the location's country; write it with + and the country code, or leave it out",
        ),
    }
}

/// Without blanks; never a payment card.
pub fn normal_card(text: &str) -> Result<String, Refusal> {
    let card: String = text
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    if card.is_empty() {
        return invalid("empty-card", "/data/customer/card", "the card id is empty");
    }
    refuse_pan(&card, "/data/customer/card")?;
    short(card, "/data/customer/card")
}

/// A payment card's number has no business here, and is not repeated in the refusal. Loyalty cards
/// pass the Luhn check by chance, so the brands' own ranges and lengths decide with it.
fn refuse_pan(text: &str, at: &str) -> Result<(), Refusal> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|byte| byte - b'0')
        .collect();
    let only_digits = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b' ');
    if only_digits && in_a_brand_range(&digits) && passes_luhn(&digits) {
        return invalid(
            "payment-card",
            at,
            "this is the number of a payment card; send the loyalty card or a payment token instead",
        );
    }
    Ok(())
}

fn in_a_brand_range(digits: &[u8]) -> bool {
    if digits.len() < 14 {
        return false;
    }
    let prefix = digits[..4]
        .iter()
        .fold(0u32, |number, digit| number * 10 + u32::from(*digit));
    match digits.len() {
        14 => matches!(prefix, 3000..=3059 | 3095 | 3600..=3699 | 3800..=3999),
        15 => matches!(prefix, 3400..=3499 | 3700..=3799),
        16 => {
            matches!(prefix, 4000..=4999 | 5100..=5599 | 2221..=2720 | 3528..=3589 | 6011 | 6440..=6599 | 6200..=6299)
        }
        17..=19 => matches!(prefix, 4000..=4999 | 6200..=6299 | 6011 | 6440..=6599),
        _ => false,
    }
}

fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit) * 2) {
            (0, _) => u32::from(*digit),
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        })
        .sum();
    sum.is_multiple_of(10)
}

pub(super) fn refuse<T>(code: &'static str, at: &str, problem: String) -> Result<T, Refusal> {
    invalid(code, at, problem)
}
