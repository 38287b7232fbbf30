//! Who comes to Juniper & Oak, and how often. Nobody of them exists.

use super::dice::Dice;
use jiff::civil::Date;
use serde_json::{Value, json};

const GIVEN: &[&str] = &[
    "Amara", "Bruno", "Carmen", "Darius", "Elena", "Farid", "Greta", "Hugo", "Imani", "Jonas",
    "Kavya", "Liam", "Mei", "Nadia", "Omar", "Paula", "Quinn", "Rosa", "Samir", "Tess", "Uma",
    "Viktor", "Wren", "Ximena", "Yusuf", "Zoe", "Aisha", "Bastien", "Celia", "Diego", "Esther",
    "Finn", "Gia", "Hana", "Ivo", "Jia", "Kofi", "Lena", "Mateo", "Noor",
];
const FAMILY: &[&str] = &[
    "Abbott", "Bakshi", "Castillo", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito",
    "Jensen", "Kaplan", "Lopez", "Moreau", "Nowak", "Osei", "Petrov", "Quist", "Rossi", "Silva",
    "Tanaka", "Ueda", "Vargas", "Walsh", "Xu", "Yilmaz", "Zeller", "Adeyemi", "Brandt", "Cohen",
    "Dias", "Ekman", "Fontaine", "Gupta", "Holm", "Ivanov", "Jackson", "Klein", "Larsen", "Mwangi",
    "Nguyen",
];
/// Codes of the city. With 555-0100 to 555-0197, which ring nowhere, they make 686 numbers; the
/// last two of each are for those whose day is told.
const NUMBERS: u32 = 98;
const AREAS: [u32; 7] = [212, 646, 718, 917, 347, 929, 332];

/// How somebody shops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// On one day of every week.
    Weekly,
    Monthly,
    NowAndThen,
    /// Came often, and then no more.
    Gone,
    /// Only online.
    Online,
    /// In store and online.
    Both,
    /// Comes for the first time on the day itself.
    New,
}

pub struct Person {
    number: u32,
    given: &'static str,
    family: &'static str,
    pub habit: Habit,
    /// The store around the corner.
    pub home: u32,
    /// Which day of their rhythm is theirs.
    offset: u64,
    has_phone: bool,
}

impl Person {
    pub fn new(number: u32, dice: &mut Dice) -> Person {
        let habit = match dice.below(100) {
            0..12 => Habit::Weekly,
            12..37 => Habit::Monthly,
            37..62 => Habit::NowAndThen,
            62..74 => Habit::Gone,
            74..84 => Habit::Online,
            84..97 => Habit::Both,
            _ => Habit::New,
        };
        let phones = AREAS.len() as u32 * NUMBERS;
        Person {
            number,
            given: dice.word(GIVEN),
            family: dice.word(FAMILY),
            habit,
            home: dice.below(3) as u32,
            offset: dice.below(1_000),
            has_phone: number < phones,
        }
    }

    /// Whether they shop on a day that lies so many days before the day itself.
    pub fn buys(&self, date: Date, ago: i64) -> bool {
        // Days since a fixed one, so that a rhythm does not begin anew with each season.
        let day = (date - Date::constant(2020, 1, 1)).get_days() as u64 + self.offset;
        match self.habit {
            Habit::Weekly => day.is_multiple_of(7),
            Habit::Monthly | Habit::Online => day.is_multiple_of(29),
            Habit::Both => day.is_multiple_of(19),
            Habit::NowAndThen => day.is_multiple_of(47),
            Habit::Gone => ago > 32 && day.is_multiple_of(13),
            Habit::New => false,
        }
    }

    fn email(&self) -> String {
        format!("{}.{}{}@example.com", self.given, self.family, self.number).to_lowercase()
    }

    fn phone(&self) -> Option<String> {
        let area = AREAS[(self.number / NUMBERS) as usize % AREAS.len()];
        self.has_phone
            .then(|| format!("({area}) 555-01{:02}", self.number % NUMBERS))
    }

    /// What a till knows of them: a phone, or the card.
    pub fn at_the_till(&self) -> Value {
        match self.phone() {
            Some(phone) => json!({"phone": phone, "card": self.card()}),
            None => json!({"card": self.card()}),
        }
    }

    /// What the web store knows: the e-mail, and once they have an account, the card.
    pub fn online(&self) -> Value {
        match self.habit {
            Habit::Both => json!({"email": self.email(), "card": self.card()}),
            _ => {
                json!({"email": self.email(), "external": {"source": "juniper-web", "id": self.number.to_string()}})
            }
        }
    }

    /// All that they go by in both.
    pub fn everything(&self) -> Value {
        let mut customer = self.at_the_till();
        customer["email"] = self.email().into();
        customer
    }

    /// The data of `customer.created`.
    pub fn profile(&self, store: &str) -> Value {
        json!({
            "customer": self.everything(), "given_name": self.given, "family_name": self.family, "home_location": store,
            "birthday": format!("{:02}-{:02}", 1 + self.offset % 12, 1 + self.offset % 28), "channel": "pos",
            "location": store, "consents": [{"purpose": "email", "granted": !self.offset.is_multiple_of(3)}],
        })
    }

    /// Two in three are in the programme.
    pub fn has_joined(&self) -> bool {
        !self.offset.is_multiple_of(3)
    }

    fn card(&self) -> String {
        format!("JO-{:06}", 100_000 + self.number)
    }
}
