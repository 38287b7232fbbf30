//! Postal addresses of a profile. They are personal: they are read here, go to the personal room,
//! and are nowhere else.

use super::data::short;
use crate::geo::Geo;
use crate::limits;
use crate::refusal::{Refusal, invalid};
use crate::shop::Shop;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One address, in the parts in which shops and carriers want it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// What the customer calls it: "home", "office".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    pub line1: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    pub city: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// Where on the earth it is, if the sender knows. Nothing here looks it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geo: Option<Geo>,
    /// Where to send things if nothing else is said. One of them is.
    #[serde(default)]
    pub default: bool,
}

impl Address {
    /// How far it is from each location of the shop that says where it is, in whole kilometres.
    pub(super) fn distances(&self, shop: &Shop) -> BTreeMap<String, u32> {
        let Some(here) = &self.geo else {
            return BTreeMap::new();
        };
        let locations = shop.file.locations.iter();
        locations
            .filter_map(|it| Some((it.id.clone(), here.km_to(it.geo.as_ref()?))))
            .collect()
    }

    /// The same for everybody who lives there, however it is written.
    pub fn household(&self) -> String {
        let code = self
            .postal_code
            .as_deref()
            .map(|code| match code.split_once('-') {
                // In the US four more digits say which side of the street it is.
                Some((town, _)) if self.country == "US" => town,
                _ => code,
            });
        // Where there is a code, people call the town as they like.
        let town = code.unwrap_or(&self.city);
        let second = self.line2.as_deref().unwrap_or_default();
        household(&[&self.line1, second, town, &self.country])
    }

    /// All of it in one line, as it is written on a parcel.
    pub fn in_one_line(&self) -> String {
        let town = match &self.postal_code {
            Some(code) => format!("{} {code}", self.city),
            None => self.city.clone(),
        };
        let parts = [
            Some(&self.line1),
            self.line2.as_ref(),
            Some(&town),
            self.region.as_ref(),
            Some(&self.country),
        ];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        parts.join(", ")
    }
}

/// Checks a customer's addresses: without doubles, and with one default, which is the first where
/// none is said to be.
pub(super) fn check(given: Vec<Address>) -> Result<Vec<Address>, Refusal> {
    const AT: &str = "/data/addresses";
    if given.len() > limits::ADDRESSES_MAX {
        return invalid(
            "too-many",
            AT,
            format!(
                "{} addresses, and {} is the limit",
                given.len(),
                limits::ADDRESSES_MAX
            ),
        );
    }
    let mut addresses: Vec<Address> = Vec::with_capacity(given.len());
    for (index, address) in given.into_iter().enumerate() {
        let address = one(address, &format!("{AT}/{index}"))?;
        let place = |it: &Address| (it.in_one_line().to_lowercase(), it.label.clone());
        if addresses
            .iter()
            .any(|known| place(known) == place(&address))
        {
            continue;
        }
        addresses.push(address);
    }
    match addresses.iter().filter(|it| it.default).count() {
        0 => {
            if let Some(first) = addresses.first_mut() {
                first.default = true;
            }
        }
        1 => {}
        more => {
            return invalid(
                "one-default",
                AT,
                format!("{more} addresses are said to be the default; one can be"),
            );
        }
    }
    Ok(addresses)
}

fn one(given: Address, at: &str) -> Result<Address, Refusal> {
    let text = |text: String, part: &str| short(text.trim().to_owned(), &format!("{at}/{part}"));
    let some = |given: Option<String>, part: &str| {
        let read = given.map(|it| text(it, part)).transpose()?;
        Ok::<_, Refusal>(read.filter(|it| !it.is_empty()))
    };
    let address = Address {
        label: some(given.label, "label")?,
        line1: text(given.line1, "line1")?,
        line2: some(given.line2, "line2")?,
        city: text(given.city, "city")?,
        region: some(given.region, "region")?,
        postal_code: some(given.postal_code, "postal_code")?,
        country: text(given.country, "country")?.to_uppercase(),
        geo: given.geo,
        default: given.default,
    };
    for (part, value) in [("line1", &address.line1), ("city", &address.city)] {
        if value.is_empty() {
            return invalid(
                "address-incomplete",
                format!("{at}/{part}"),
                format!("{part} is empty"),
            );
        }
    }
    let known: Result<phonenumber::country::Id, _> = address.country.parse();
    if known.is_err() {
        return invalid(
            "unknown-country",
            format!("{at}/country"),
            format!(
                "{:?} is not an ISO 3166-1 alpha-2 country; US is",
                address.country
            ),
        );
    }
    Ok(address)
}

/// How people shorten words of an address.
const SHORT: [(&str, &str); 18] = [
    ("apartment", "apt"),
    ("avenue", "ave"),
    ("boulevard", "blvd"),
    ("circle", "cir"),
    ("court", "ct"),
    ("drive", "dr"),
    ("east", "e"),
    ("floor", "fl"),
    ("highway", "hwy"),
    ("lane", "ln"),
    ("north", "n"),
    ("place", "pl"),
    ("road", "rd"),
    ("south", "s"),
    ("square", "sq"),
    ("street", "st"),
    ("suite", "ste"),
    ("west", "w"),
];

/// Parts of an address in one form: in lower case, without what stands between words, and with the words
/// shortened that people shorten.
pub fn household(parts: &[&str]) -> String {
    let mut words = Vec::new();
    for part in parts {
        let part = part.to_lowercase();
        let found = part.split(|letter: char| !letter.is_alphanumeric());
        words.extend(found.filter(|word| !word.is_empty()).map(|word| {
            let short = SHORT.iter().find(|(long, _)| *long == word);
            short.map_or(word, |(_, short)| *short).to_owned()
        }));
    }
    words.join(" ")
}

/// The addresses of two profiles that are one person: each once, with the default of the first.
pub fn join(kept: Vec<Address>, other: Vec<Address>) -> Vec<Address> {
    let mut addresses = kept;
    for address in other {
        let line = address.in_one_line().to_lowercase();
        let is_known = |known: &Address| known.in_one_line().to_lowercase() == line;
        if !addresses.iter().any(is_known) && addresses.len() < limits::ADDRESSES_MAX {
            addresses.push(Address {
                default: addresses.is_empty(),
                ..address
            });
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lives(line1: &str, line2: Option<&str>, code: Option<&str>) -> String {
        let address = Address {
            label: None,
            line1: line1.into(),
            line2: line2.map(str::to_owned),
            city: "New York".into(),
            region: None,
            postal_code: code.map(str::to_owned),
            country: "US".into(),
            geo: None,
            default: true,
        };
        address.household()
    }

    #[test]
    fn one_household_is_written_in_many_ways_and_the_neighbours_are_another() {
        let here = lives("12 West 3rd Street", Some("Apartment 4"), Some("10012"));
        for same in [
            lives("12 W. 3rd St.", Some("apt 4"), Some("10012-1234")),
            lives("12 west 3rd st, Apt #4", None, Some("10012")),
        ] {
            assert_eq!(same, here);
        }
        for other in [
            lives("12 West 3rd Street", Some("Apartment 5"), Some("10012")),
            lives("14 West 3rd Street", Some("Apartment 4"), Some("10012")),
            lives("12 West 3rd Street", Some("Apartment 4"), Some("10013")),
            lives("12 West 3rd Street", Some("Apartment 4"), None),
        ] {
            assert_ne!(other, here);
        }
    }
}
