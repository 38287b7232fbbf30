//! What a customer is called, without anybody being told.
//!
//! Names and addresses live in one room of the store and nowhere else. A rule that was granted
//! some of them is given one character for each that is known, writes it into the texts that it
//! makes, and never sees what it stands for. The journal and every explanation keep that
//! character. Only where a text leaves for the till or for the customer does [`fill`] put in what
//! the customer is called on that day, so that who is renamed or forgotten is so everywhere.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One thing that is known about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PersonField {
    GivenName,
    FamilyName,
    Email,
    Phone,
    Address,
    /// With which the customer brings friends. Every rule may write it into a text.
    ReferralCode,
    ReferralUrl,
}

impl PersonField {
    pub const ALL: [PersonField; 7] = [
        PersonField::GivenName,
        PersonField::FamilyName,
        PersonField::Email,
        PersonField::Phone,
        PersonField::Address,
        PersonField::ReferralCode,
        PersonField::ReferralUrl,
    ];
    /// What is no secret: the customer is to tell everybody.
    pub const SHARED: [PersonField; 2] = [PersonField::ReferralCode, PersonField::ReferralUrl];

    /// As the API and the store call it.
    pub fn name(self) -> &'static str {
        match self {
            PersonField::GivenName => "given_name",
            PersonField::FamilyName => "family_name",
            PersonField::Email => "email",
            PersonField::Phone => "phone",
            PersonField::Address => "address",
            PersonField::ReferralCode => "referral_code",
            PersonField::ReferralUrl => "referral_url",
        }
    }

    pub fn by_name(name: &str) -> Option<PersonField> {
        PersonField::ALL.into_iter().find(|it| it.name() == name)
    }

    /// What a rule is given in its place: a character that no language and no printer uses, one
    /// unit long in every encoding that a plugin may count in, and the same in capitals.
    pub fn stand_in(self) -> char {
        const FIRST: u32 = 0xE5C1;
        char::from_u32(FIRST + self as u32).expect("these are characters for private use")
    }

    /// What stands in a text for whoever may not know.
    pub fn hidden(self) -> String {
        format!("{{{}}}", self.name())
    }

    fn of(stand_in: char) -> Option<PersonField> {
        // Most text has no character for private use, and this is asked of every one of them.
        if !('\u{E5C1}'..='\u{E5C7}').contains(&stand_in) {
            return None;
        }
        PersonField::ALL
            .into_iter()
            .find(|it| it.stand_in() == stand_in)
    }
}

/// The first field that a text has a stand-in of.
pub fn stands_in(text: &str) -> Option<PersonField> {
    text.chars().find_map(PersonField::of)
}

/// The text with every stand-in replaced. What is not known any more leaves nothing behind.
pub fn fill<'a>(text: &'a str, value: impl Fn(PersonField) -> Option<String>) -> Cow<'a, str> {
    if stands_in(text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut filled = String::with_capacity(text.len() + 32);
    for letter in text.chars() {
        match PersonField::of(letter) {
            Some(field) => filled.push_str(&value(field).unwrap_or_default()),
            None => filled.push(letter),
        }
    }
    Cow::Owned(filled)
}

/// The text for whoever may not know: `Thanks, {given_name}!`
pub fn hide(text: &str) -> Cow<'_, str> {
    fill(text, |field| Some(field.hidden()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_is_one_unit_and_survives_what_rules_do_to_text() {
        for field in PersonField::ALL {
            let letter = field.stand_in();
            assert_eq!(letter.len_utf16(), 1);
            assert_eq!(
                letter.to_uppercase().collect::<String>(),
                letter.to_string()
            );
            assert_eq!(
                letter.to_lowercase().collect::<String>(),
                letter.to_string()
            );
            assert!(!letter.is_whitespace() && !letter.is_control());
            assert_eq!(stands_in(&format!("Thanks, {letter}!")), Some(field));
            assert_eq!(PersonField::by_name(field.name()), Some(field));
        }
        assert_eq!(stands_in("Grüße, 你好 \u{E5C0}\u{E5C8}"), None);
    }

    #[test]
    fn texts_are_filled_hidden_and_left_alone() {
        let (given, family) = (
            PersonField::GivenName.stand_in(),
            PersonField::FamilyName.stand_in(),
        );
        let ana = |field| (field == PersonField::GivenName).then(|| "Ana".to_owned());
        assert_eq!(fill(&format!("Thanks, {given}!"), ana), "Thanks, Ana!");
        assert_eq!(fill(&format!("{given} {family}."), ana), "Ana .");
        assert!(matches!(fill("Thanks!", ana), Cow::Borrowed("Thanks!")));
        assert_eq!(hide(&format!("Thanks, {given}!")), "Thanks, {given_name}!");
    }
}
