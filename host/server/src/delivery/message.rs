//! One follow-up as its receiver gets it. Only here are names put in, and an address is looked up: as they
//! are at the moment of sending, so that who was renamed is called so and who was forgotten is not written to.

use serde::Serialize;
use serde_json::Value as Json;
use stampcard_pipeline::admit::Secret;
use stampcard_pipeline::calendar;
use stampcard_pipeline::event::{IdentifierKind, Instant};
use stampcard_pipeline::fold::Fold;
use stampcard_pipeline::follow_ups::message_name;
use stampcard_pipeline::outcome::{DiscountView, Time, fill_data};
use stampcard_pipeline::person::PersonField;
use stampcard_pipeline::rules::Value;
use stampcard_pipeline::shop::ReferralPolicy;
use stampcard_store::reads::{OutboxRow, Person};
use std::collections::BTreeMap;

/// What the type of every message says, in the field that Standard Webhooks has for it.
const KIND: &str = "follow-up.due";

/// A message, ready to be signed.
#[derive(Debug)]
pub struct Message {
    /// The same for each attempt, and for a shop that was restored: the receiver takes each once.
    pub id: String,
    pub body: String,
}

/// Why there is nothing to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} to write to")]
pub struct NoAddress {
    what: &'static str,
}

#[derive(Serialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    id: &'a str,
    shop: &'a str,
    channel: &'a str,
    to: To,
    template: &'a str,
    data: &'a BTreeMap<String, Value>,
    /// In which language to write it, and whose that is.
    language: &'a str,
    language_of: &'static str,
    shop_language: &'a str,
    purpose: &'a str,
    offer: &'a Option<DiscountView>,
    send_at: Time,
    expires_at: Option<Time>,
    reason: &'a str,
    plugin: &'a str,
    dedupe_key: &'a str,
    customer: &'a str,
    event: Named<'a>,
    attempt: u32,
}

#[derive(Serialize)]
struct Named<'a> {
    source: &'a str,
    id: &'a str,
}

/// Where it goes: what the channel needs of the person, and nothing else.
#[derive(Serialize, Debug, Default, PartialEq)]
struct To {
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    /// Who is written to on paper, and where.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Json>,
    /// Accounts elsewhere, as `source/id`: an app knows whom it pushes to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external: Vec<String>,
}

/// What a message is made of beside its row.
pub struct Of<'a> {
    pub shop: &'a str,
    pub shop_language: &'a str,
    pub referral: Option<&'a ReferralPolicy>,
    pub secret: &'a Secret,
    pub person: &'a Person,
    pub head: &'a Fold,
}

impl Message {
    /// The message of a follow-up, for this attempt, from 1.
    pub fn of(
        mut row: OutboxRow,
        of: &Of,
        attempt: u32,
        now: Instant,
    ) -> Result<Message, NoAddress> {
        let to = address(&row.channel, of.person)?;
        fill_data(&mut row.data, |field| of.person.value(field, of.referral));
        let id = message_name(&row.customer, &row.plugin, &row.dedupe_key, of.secret);
        let envelope = Envelope {
            kind: KIND,
            timestamp: calendar::text(now),
            data: Data {
                id: &id,
                shop: of.shop,
                channel: &row.channel,
                to,
                template: &row.template,
                data: &row.data,
                language: of.head.language.as_deref().unwrap_or(of.shop_language),
                language_of: match of.head.language {
                    Some(_) => "customer",
                    None => "shop",
                },
                shop_language: of.shop_language,
                purpose: &row.purpose,
                offer: &row.offer,
                send_at: Time(row.due),
                expires_at: row.expires_at.map(Time),
                reason: &row.reason,
                plugin: &row.plugin,
                dedupe_key: &row.dedupe_key,
                customer: &row.customer.0,
                event: Named {
                    source: &row.event.source,
                    id: &row.event.id,
                },
                attempt,
            },
        };
        let body = serde_json::to_string(&envelope).expect("our own types are JSON");
        Ok(Message { id, body })
    }
}

fn address(channel: &str, person: &Person) -> Result<To, NoAddress> {
    let none = |what| Err(NoAddress { what });
    let email = person.value(PersonField::Email, None);
    let phone = person.value(PersonField::Phone, None);
    match channel {
        "email" if email.is_none() => none("e-mail address"),
        "email" => Ok(To {
            email,
            ..To::default()
        }),
        "sms" | "phone" | "whatsapp" if phone.is_none() => none("phone number"),
        "sms" | "phone" | "whatsapp" => Ok(To {
            phone,
            ..To::default()
        }),
        "post" => match paper(person) {
            None => none("address"),
            address => Ok(To {
                address,
                name: full_name(person),
                ..To::default()
            }),
        },
        "push" => {
            let external = person.identifiers.iter();
            let external = external.filter(|it| it.kind == IdentifierKind::External);
            Ok(To {
                external: external.map(|it| it.value.clone()).collect(),
                ..To::default()
            })
        }
        // A task is for staff, and a channel of the shop's own goes by the customer's id.
        _ => Ok(To::default()),
    }
}

/// The default address in its parts, or the one line that is known.
fn paper(person: &Person) -> Option<Json> {
    let all = person.fields.get("addresses");
    let all: Vec<Json> = all
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let first = all.into_iter().find(|it| it["default"] == true);
    first.or_else(|| Some(Json::String(person.fields.get("address")?.clone())))
}

fn full_name(person: &Person) -> Option<String> {
    let parts = ["given_name", "family_name"];
    let parts: Vec<&str> = parts
        .iter()
        .filter_map(|part| Some(person.fields.get(*part)?.as_str()))
        .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stampcard_pipeline::event::Identifier;

    fn person(email: Option<&str>, fields: &[(&str, &str)]) -> Person {
        let identifiers = email.map(|email| Identifier {
            kind: IdentifierKind::Email,
            value: email.into(),
        });
        let fields = fields.iter();
        Person {
            identifiers: identifiers.into_iter().collect(),
            fields: fields
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            ..Person::default()
        }
    }

    #[test]
    fn a_channel_is_told_what_it_needs_and_nothing_else() {
        let addresses = r#"[{"line1":"9 Elm St","city":"Troy","country":"US","default":false},
                            {"line1":"1 Main St","city":"Troy","country":"US","default":true}]"#;
        let ana = person(
            Some("ana@example.com"),
            &[
                ("given_name", "Ana"),
                ("family_name", "Ruiz"),
                ("addresses", addresses),
            ],
        );
        let told = |channel: &str| serde_json::to_value(address(channel, &ana).expect("a place"));
        let told = |channel: &str| told(channel).expect("JSON");
        assert_eq!(
            told("email"),
            serde_json::json!({"email": "ana@example.com"})
        );
        let paper = told("post");
        assert_eq!(
            (&paper["name"], &paper["address"]["line1"]),
            (&"Ana Ruiz".into(), &"1 Main St".into())
        );
        assert_eq!(told("task"), serde_json::json!({}));
        let problem = address("sms", &ana).expect_err("there is none");
        assert_eq!(problem.to_string(), "there is no phone number to write to");
        let nobody = person(None, &[]);
        for channel in ["email", "sms", "post"] {
            assert!(address(channel, &nobody).is_err(), "{channel}");
        }
    }
}
