//! Square's webhooks: payments and refunds.
//!
//! The signature covers the address too, as Square has it, so a server behind a proxy is told it. What
//! is refunded names no lines, so it is money for the whole sale.

use super::{Delivery, Heard, HookError, body, event, header, is_signed, order};
use serde::Deserialize;
use serde_json::json;
use stampcard_pipeline::shop::Hook;

const SIGNATURE: &str = "x-square-hmacsha256-signature";

/// The envelope of every notification, as far as we read it.
#[derive(Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    created_at: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    payment: Option<Payment>,
    refund: Option<Refund>,
}

#[derive(Deserialize)]
struct Payment {
    id: String,
    status: String,
    order_id: Option<String>,
}

#[derive(Deserialize)]
struct Refund {
    id: String,
    status: String,
    order_id: Option<String>,
    amount_money: Amount,
}

/// Minor units.
#[derive(Deserialize)]
struct Amount {
    amount: i64,
    currency: String,
}

pub fn verify(url: &str, secrets: &[String], given: Delivery) -> Result<(), HookError> {
    let signature = header(given, SIGNATURE)?;
    match is_signed(secrets, &[url.as_bytes(), given.body], signature) {
        true => Ok(()),
        false => Err(HookError::WrongSignature),
    }
}

pub fn hear(hook: &Hook, given: Delivery) -> Result<Heard, HookError> {
    let missing = |what: &str| HookError::Malformed(format!("there is no {what} in data.object"));
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    // Others have other objects, of which nothing has to be understood.
    let kind = body::<Kind>(given)?.kind;
    if !matches!(
        kind.as_str(),
        "payment.created" | "payment.updated" | "refund.created" | "refund.updated"
    ) {
        return Ok(Heard::Nothing(
            "this type is about nothing that is taken here",
        ));
    }
    let told: Told = body(given)?;
    if told.kind.starts_with("refund.") {
        let refund = told.data.object.refund.ok_or_else(|| missing("refund"))?;
        return Ok(refunded(hook, &told.created_at, refund));
    }
    let payment = told.data.object.payment.ok_or_else(|| missing("payment"))?;
    let Some(id) = payment.order_id else {
        return Ok(Heard::Nothing("a payment without an order is of no sale"));
    };
    let (kind, what) = match payment.status.as_str() {
        "COMPLETED" => ("payment.settled", "settled"),
        "FAILED" | "CANCELED" => ("payment.failed", "failed"),
        _ => return Ok(Heard::Nothing("the payment has not come to anything yet")),
    };
    let about = format!("payment/{}/{what}", payment.id);
    let data = json!({"order": order(hook, &id)});
    Ok(event(hook, kind, about, &told.created_at, data))
}

fn refunded(hook: &Hook, time: &str, refund: Refund) -> Heard {
    if refund.status != "COMPLETED" {
        return Heard::Nothing("the refund has not come to anything yet");
    }
    let Some(id) = refund.order_id else {
        return Heard::Nothing("a refund without an order is of no sale");
    };
    let money = refund.amount_money;
    let data = json!({
        "order": order(hook, &id), "channel": "other", "currency": money.currency, "amount": money.amount,
    });
    event(
        hook,
        "return.completed",
        format!("refund/{}", refund.id),
        time,
        data,
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{headers, hook};
    use super::*;
    use serde_json::Value;
    use stampcard_pipeline::shop::HookFormat;

    #[test]
    fn what_square_signs_is_the_address_and_the_body() {
        let check = |key: &str, url: &str, body: &str, signature: &str| {
            let headers = headers(&[(SIGNATURE, signature)]);
            let given = Delivery {
                headers: &headers,
                body: body.as_bytes(),
            };
            verify(url, &[key.to_owned()], given)
        };
        let (key, url) = ("signature-key", "https://webhook.site/webhooks");
        let own = "https://example.com/webhooks/square";
        for (key, url, body, signature) in [
            (
                key,
                url,
                r#"{"data":{"type":"webhooks","id":"fake_id"}}"#,
                "W3FlCNk5IA3ZQ2LHTWoajvzfaDu/OwY2tNHIHC3IUOA=",
            ),
            (
                key,
                url,
                r#"{"data":{"type":"webhooks","id":">id<"}}"#,
                "Cxt7+aTi4rKgcA0bC4g9EHdVtLSDWdqccmL5MvihU4U=",
            ),
            (
                "asdf1234",
                own,
                r#"{"merchant_id":"M1","type":"refund.created","event_id":"e1"}"#,
                "co6Cy/KL+jfLMbO1+c5kVdhgqqtoE3sm79sywiwOEZg=",
            ),
        ] {
            assert_eq!(check(key, url, body, signature), Ok(()), "{body}");
            for (key, url, body) in [
                ("other", url, body),
                (key, "https://example.com/", body),
                (key, url, "{}"),
            ] {
                let refused = check(key, url, body, signature);
                assert_eq!(
                    refused,
                    Err(HookError::WrongSignature),
                    "{key} {url} {body}"
                );
            }
        }
    }

    fn hear_of(told: Value) -> Result<Heard, HookError> {
        let (headers, body) = (headers(&[]), told.to_string());
        let given = Delivery {
            headers: &headers,
            body: body.as_bytes(),
        };
        hear(&hook(HookFormat::Square), given)
    }

    #[test]
    fn a_payment_that_fails_and_a_refund_are_told_once_whatever_says_so() {
        let payment = |status: &str, event: &str| {
            json!({"merchant_id": "M1", "type": "payment.updated", "event_id": event, "created_at": "2026-03-02T15:00:00Z",
                "data": {"type": "payment", "id": "p-1", "object": {"payment": {"id": "p-1", "status": status, "order_id": "o-1"}}}})
        };
        let failed = json!({
            "specversion": "1.0", "source": "hook/web", "id": "payment/p-1/failed", "type": "payment.failed",
            "time": "2026-03-02T15:00:00Z", "data": {"order": {"system": "web", "id": "o-1"}},
        });
        for (status, event) in [("FAILED", "e1"), ("FAILED", "e2"), ("CANCELED", "e3")] {
            assert_eq!(
                hear_of(payment(status, event)),
                Ok(Heard::Event(failed.clone()))
            );
        }
        assert!(matches!(
            hear_of(payment("APPROVED", "e4")),
            Ok(Heard::Nothing(_))
        ));
        let refund = |status: &str| {
            json!({"type": "refund.updated", "created_at": "2026-03-02T15:00:00Z", "data": {"object": {"refund": {
                "id": "r-1", "status": status, "order_id": "o-1", "amount_money": {"amount": 1250, "currency": "USD"}}}}})
        };
        let Ok(Heard::Event(back)) = hear_of(refund("COMPLETED")) else {
            panic!("money that went back is an event");
        };
        assert_eq!(
            (&back["type"], &back["id"]),
            (&json!("return.completed"), &json!("refund/r-1"))
        );
        assert_eq!(back["data"]["amount"], 1250);
        assert!(matches!(hear_of(refund("PENDING")), Ok(Heard::Nothing(_))));
        let other = json!({"type": "customer.created", "data": {"object": {"customer": {}}}});
        assert!(matches!(hear_of(other), Ok(Heard::Nothing(_))));
        let empty = json!({"type": "payment.updated", "created_at": "x", "data": {"object": {}}});
        assert!(matches!(hear_of(empty), Err(HookError::Malformed(_))));
    }
}
