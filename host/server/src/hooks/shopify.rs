//! Shopify's classic webhooks, and those of its newer "Events", whose headers have no `X-`.
//!
//! Nothing says when a delivery was signed, so one that is sent again is told apart by what it is about
//! alone. Trials from the admin's pages are signed with another key, which is one more of the secrets.

use super::{Delivery, Heard, HookError, body, event, is_signed, order};
use serde::Deserialize;
use serde_json::{Number, json};
use stampcard_pipeline::shop::Hook;

const SIGNATURE: [&str; 2] = ["x-shopify-hmac-sha256", "shopify-hmac-sha256"];
const TOPIC: [&str; 2] = ["x-shopify-topic", "shopify-topic"];

/// What we read of an order. Ids have up to 19 figures.
#[derive(Deserialize)]
struct Order {
    id: Number,
    cancelled_at: Option<String>,
    processed_at: Option<String>,
    #[serde(default)]
    test: bool,
}

fn header<'a>(given: Delivery<'a>, names: [&'static str; 2]) -> Result<&'a str, HookError> {
    super::header(given, names[0]).or_else(|missing| {
        let newer = super::header(given, names[1]);
        newer.map_err(|_| missing)
    })
}

pub fn verify(secrets: &[String], given: Delivery) -> Result<(), HookError> {
    match is_signed(secrets, &[given.body], header(given, SIGNATURE)?) {
        true => Ok(()),
        false => Err(HookError::WrongSignature),
    }
}

pub fn hear(hook: &Hook, given: Delivery) -> Result<Heard, HookError> {
    let topic = header(given, TOPIC)?;
    if !matches!(topic, "orders/cancelled" | "orders/paid") {
        return Ok(Heard::Nothing(
            "this topic is about nothing that is taken here",
        ));
    }
    let told: Order = body(given)?;
    if told.test {
        return Ok(Heard::Nothing("it is an order for trial"));
    }
    let (kind, what, time) = match topic {
        "orders/cancelled" => ("sale.voided", "cancelled", &told.cancelled_at),
        _ => ("payment.settled", "paid", &told.processed_at),
    };
    let id = told.id.to_string();
    let Some(time) = time else {
        return Err(HookError::Malformed(format!(
            "it does not say when it was {what}"
        )));
    };
    let data = json!({"order": order(hook, &id)});
    Ok(event(hook, kind, format!("order/{id}/{what}"), time, data))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{headers, hook};
    use super::*;
    use stampcard_pipeline::shop::HookFormat;

    const BODY: &[u8] = br#"{"id":820982911946154508,"total_price":"59.99"}"#;
    const SIGNED: &str = "+OK/aC7PeQGKDH+2qkeINHkJNIRuvwe8ZbDw+ZFWfo8=";

    #[test]
    fn only_what_is_signed_with_one_of_the_secrets_is_shopifys() {
        let check = |secrets: &[&str], name: &'static str, signature: &str, body: &[u8]| {
            let headers = headers(&[(name, signature)]);
            let secrets: Vec<String> = secrets.iter().map(|it| it.to_string()).collect();
            verify(
                &secrets,
                Delivery {
                    headers: &headers,
                    body,
                },
            )
        };
        let [old, new] = SIGNATURE;
        assert_eq!(check(&["hush"], old, SIGNED, BODY), Ok(()));
        assert_eq!(check(&["hush"], new, SIGNED, BODY), Ok(()));
        assert_eq!(check(&["before", "hush"], old, SIGNED, BODY), Ok(()));
        for (secrets, signature, body) in [
            (&["other"][..], SIGNED, BODY),
            (
                &["hush"],
                "+OK/aC7PeQGKDH+2qkeINHkJNIRuvwe8ZbDw+ZFWfo4=",
                BODY,
            ),
            (&["hush"], &SIGNED[..20], BODY),
            (&["hush"], "", BODY),
            (&["hush"], "not base64", BODY),
            (
                &["hush"],
                SIGNED,
                br#"{"id":820982911946154508, "total_price":"59.99"}"#,
            ),
        ] {
            assert_eq!(
                check(secrets, old, signature, body),
                Err(HookError::WrongSignature)
            );
        }
        let missing = check(&["hush"], "x-other", SIGNED, BODY);
        assert_eq!(missing, Err(HookError::NotSigned(old)));
    }

    #[test]
    fn a_cancelled_order_is_a_voided_sale_whatever_delivery_says_so() {
        let hear = |topic: &str, body: &str| {
            let headers = headers(&[("x-shopify-topic", topic)]);
            let hook = hook(HookFormat::Shopify);
            hear(
                &hook,
                Delivery {
                    headers: &headers,
                    body: body.as_bytes(),
                },
            )
        };
        let order = r#"{"id":820982911946154508,"cancelled_at":"2026-03-02T10:00:00-05:00","processed_at":"2026-03-01T10:00:00-05:00"}"#;
        let cancelled = json!({
            "specversion": "1.0", "source": "hook/web", "id": "order/820982911946154508/cancelled", "type": "sale.voided",
            "time": "2026-03-02T10:00:00-05:00", "data": {"order": {"system": "web", "id": "820982911946154508"}},
        });
        assert_eq!(hear("orders/cancelled", order), Ok(Heard::Event(cancelled)));
        let Ok(Heard::Event(paid)) = hear("orders/paid", order) else {
            panic!("a payment that arrived is an event");
        };
        assert_eq!(paid["type"], "payment.settled");
        assert!(matches!(
            hear("orders/create", order),
            Ok(Heard::Nothing(_))
        ));
        let trial = r#"{"id":1,"test":true,"cancelled_at":"2026-03-02T10:00:00-05:00"}"#;
        assert!(matches!(
            hear("orders/cancelled", trial),
            Ok(Heard::Nothing(_))
        ));
        for body in ["{}", r#"{"id":1}"#, r#"{"id":"x""#, "[]"] {
            let heard = hear("orders/cancelled", body);
            assert!(
                matches!(heard, Err(HookError::Malformed(_))),
                "{body}: {heard:?}"
            );
        }
    }
}
