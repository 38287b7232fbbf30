//! Keys that a file may not have, and what was probably meant: a right key in the wrong table is
//! found too.

use super::ConfigError;
use std::fmt;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// A key that a file may not have, and what was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// Where: `policies`, `locations`, or nothing for the top of the file.
    pub place: &'static str,
    pub key: String,
    pub nearest: &'static str,
    /// The nearest key is at another place of the file.
    pub nearest_place: &'static str,
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let inside = |place: &str| {
            if place.is_empty() {
                String::new()
            } else {
                format!(" of [{place}]")
            }
        };
        write!(
            f,
            "`{}` is not a key{}; did you mean `{}`",
            self.key,
            inside(self.place),
            self.nearest
        )?;
        match (self.place == self.nearest_place, self.nearest_place) {
            (true, _) => write!(f, "?"),
            (false, "") => write!(
                f,
                ", which belongs at the top of the file, above the first [table]?"
            ),
            (false, place) => write!(f, ", which belongs under [{place}]?"),
        }
    }
}

/// The tables of a file and the keys that each may have; "" is the file itself.
pub type Keys = [(&'static str, &'static [&'static str])];

/// Tables whose keys are the shop's own words.
const FREE: [&str; 4] = ["rates", "kinds", "tier", "trusted_keys"];

pub const MERCHANT_KEYS: &Keys = &[
    (
        "",
        &[
            "name",
            "currency",
            "time_zone",
            "country",
            "language",
            "tiers",
            "tier",
            "plugins",
            "policies",
            "caps",
            "redemption",
            "referral",
            "store_credit",
            "edge",
            "rewards",
            "hooks",
            "failures",
            "profile",
            "kinds",
            "rates",
            "delivery",
            "reload",
            "locations",
            "tags",
        ],
    ),
    (
        "policies",
        &[
            "points_see_segments",
            "late",
            "late_window_days",
            "abandoned_after_minutes",
            "looks_twice_seconds",
            "unknown_customer",
            "awards",
            "tags",
            "adjust_below_zero",
            "auto_merge",
            "pos_may",
            "provisional_hours",
            "provisional_tenders",
            "returns",
            "spend_provisional",
        ],
    ),
    (
        "caps",
        &[
            "points_per_event",
            "points_per_day",
            "points_per_device_day",
            "points_per_staff_day",
            "discount_amount",
            "discount_share",
        ],
    ),
    (
        "redemption",
        &[
            "worth",
            "minimum_points",
            "hold_minutes",
            "approval_from",
            "approval_hours",
            "offline",
        ],
    ),
    ("worth", &["points", "amount"]),
    ("referral", &["url", "friends_per_day"]),
    ("store_credit", &["expires_after", "receipt"]),
    ("edge", &["stale_after_seconds", "notice"]),
    ("expires_after", &["days", "months"]),
    ("offline", &["points", "minutes", "sync_hours", "beyond"]),
    (
        "rewards",
        &[
            "key",
            "name",
            "points",
            "amount",
            "share",
            "product",
            "minimum_basket",
            "channels",
            "limit",
            "alternative",
            "stacks",
        ],
    ),
    ("limit", &["times", "days"]),
    ("hooks", &["name", "format", "secrets", "system", "url"]),
    ("failures", &["customers", "minutes", "then"]),
    ("profile", &["required", "mode", "fields"]),
    (
        "fields",
        &[
            "key", "type", "purpose", "personal", "choices", "min", "max",
        ],
    ),
    (
        "tags",
        &["key", "means", "set_by", "synonyms", "expires_after_days"],
    ),
    (
        "locations",
        &[
            "id",
            "name",
            "kind",
            "country",
            "time_zone",
            "geo",
            "opened",
            "closed",
            "required",
        ],
    ),
    ("geo", &["lat", "lon"]),
    (
        "delivery",
        &[
            "url",
            "secret",
            "timeout_seconds",
            "attempts",
            "retry_seconds",
            "at_once",
            "late_hours",
            "quiet",
            "plain_http",
        ],
    ),
    ("quiet", &["from", "to"]),
];

pub const SERVER_KEYS: &Keys = &[
    (
        "",
        &[
            "listen",
            "operations",
            "lanes",
            "queue",
            "requests_per_minute",
            "log",
            "telemetry",
            "trusted_keys",
        ],
    ),
    ("log", &["format", "level"]),
    ("telemetry", &["otlp", "service", "one_in"]),
];

/// Looks for keys that the file may not have. What is not TOML at all is left to the reader.
pub fn check_keys(path: &Path, text: &str, keys: &Keys) -> Result<(), ConfigError> {
    let Ok(file) = DeTable::parse(text) else {
        return Ok(());
    };
    let found = unknown(file.get_ref(), "", keys);
    match found.into_iter().min_by_key(|(at, _)| *at) {
        None => Ok(()),
        Some((at, key)) => {
            let line = text.as_bytes()[..at]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            Err(ConfigError::UnknownKey {
                path: path.into(),
                line,
                key,
            })
        }
    }
}

/// Every unknown key with the byte at which it stands.
fn unknown(table: &DeTable, place: &'static str, keys: &Keys) -> Vec<(usize, UnknownKey)> {
    let known = keys
        .iter()
        .find(|(table, _)| *table == place)
        .map_or(&[][..], |(_, known)| known);
    let mut found = Vec::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        if !known.contains(&name) {
            found.push((key.span().start, nearest(place, name, keys)));
            continue;
        }
        let Some((inside, _)) = keys
            .iter()
            .find(|(table, _)| *table == name && !FREE.contains(table))
        else {
            continue;
        };
        match value.get_ref() {
            DeValue::Table(table) => found.extend(unknown(table, inside, keys)),
            DeValue::Array(entries) => {
                for entry in entries.iter() {
                    if let DeValue::Table(table) = entry.get_ref() {
                        found.extend(unknown(table, inside, keys));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// The nearest known key, preferring the same table: a right key in the wrong place is found too.
fn nearest(place: &'static str, key: &str, keys: &Keys) -> UnknownKey {
    let known = keys
        .iter()
        .flat_map(|(place, known)| known.iter().map(move |known| (*place, *known)));
    let (nearest_place, nearest) = known
        .min_by_key(|(other, known)| (strsim::damerau_levenshtein(key, known), *other != place))
        .expect("there are keys");
    UnknownKey {
        place,
        key: key.into(),
        nearest,
        nearest_place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LogFile, ServerFile, TelemetryFile};
    use serde::Serialize;
    use stampcard_pipeline::shop::ShopFile;

    const GOOD: &str =
        "name = \"A\"\ncurrency = \"USD\"\ntime_zone = \"America/New_York\"\ncountry = \"US\"\n";

    /// The keys of a value of ours as it would be written, table by table.
    fn keys_of(value: &impl Serialize) -> Vec<(String, Vec<String>)> {
        let toml::Value::Table(file) = toml::Value::try_from(value).unwrap() else {
            panic!("a file is a table")
        };
        let keys = |table: &toml::Table| table.keys().cloned().collect::<Vec<_>>();
        let mut all = vec![(String::new(), keys(&file))];
        for (name, value) in &file {
            match value {
                toml::Value::Table(table) if !FREE.contains(&name.as_str()) => {
                    all.push((name.clone(), keys(table)))
                }
                toml::Value::Array(entries) => {
                    all.extend(
                        entries
                            .iter()
                            .filter_map(|entry| Some((name.clone(), keys(entry.as_table()?)))),
                    );
                }
                _ => {}
            }
        }
        all
    }

    fn assert_known(found: Vec<(String, Vec<String>)>, known: &Keys) {
        for (place, mut found) in found {
            let mut known = known
                .iter()
                .find(|(known, _)| *known == place)
                .expect(&place)
                .1
                .to_vec();
            found.sort();
            known.sort();
            assert_eq!(found, known, "[{place}]");
        }
    }

    #[test]
    fn the_lists_of_known_keys_are_those_of_the_files() {
        let text = "kinds = { \"x.a\" = \"A\" }\nrates = { EUR = 1 }\n";
        let shop: ShopFile = toml::from_str(&format!(
            "{GOOD}{text}[caps]\npoints_per_event = 1\npoints_per_day = 1\npoints_per_device_day = 1\npoints_per_staff_day = 1\ndiscount_amount = 1\ndiscount_share = 1\n\
             [[tags]]\nkey = \"A\"\nmeans = \"A.\"\nexpires_after_days = 1\n\
             [[locations]]\nid = \"a\"\nname = \"A\"\ncountry = \"US\"\ntime_zone = \"UTC\"\nopened = \"2024-01-01\"\nclosed = \"2024-01-02\"\nrequired = []\ngeo = {{ lat = 1, lon = 2 }}\n\
             [redemption]\napproval_from = 1\n\
             [referral]\nurl = \"https://a/{{code}}\"\n\
             [delivery]\nurl = \"https://a\"\nsecret = \"env:S\"\nquiet = {{ from = \"21:00\", to = \"09:00\" }}\nplain_http = true\n\
             [[rewards]]\nkey = \"a\"\nname = \"A\"\npoints = 1\namount = 1\nshare = 1\nproduct = \"A\"\nminimum_basket = 1\nchannels = [\"pos\"]\nlimit = {{ times = 1, days = 1 }}\nalternative = \"b\"\n\
             [store_credit]\nexpires_after = {{ months = 24 }}\nreceipt = \"A\"\n\
             [[hooks]]\nname = \"a\"\nformat = \"square\"\nsecrets = []\nsystem = \"a\"\nurl = \"a\"\n\
             [tier.gold]\nname = \"Gold\"\n"
        ))
        .unwrap();
        assert_known(keys_of(&shop), MERCHANT_KEYS);
        let server = ServerFile {
            listen: Some(([127, 0, 0, 1], 80).into()),
            operations: Some(([127, 0, 0, 1], 81).into()),
            lanes: Some(1),
            queue: Some(1),
            requests_per_minute: Some(crate::config::REQUESTS_PER_MINUTE),
            log: LogFile::default(),
            telemetry: TelemetryFile {
                otlp: Some("http://127.0.0.1:4318".into()),
                ..TelemetryFile::default()
            },
            trusted_keys: [("Corner".into(), "RW".into())].into(),
        };
        assert_known(keys_of(&server), SERVER_KEYS);
    }
}
