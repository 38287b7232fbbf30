//! Standard Webhooks 1.0 (standardwebhooks.com), for whoever has no form of their own: the type and
//! the data are those of the catalogue.

use super::{Delivery, Heard, HookError, body, event, header, is_signed};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use stampcard_pipeline::event::Instant;
use stampcard_pipeline::shop::Hook;

/// The standard's own tolerance, in both directions.
const TOLERANCE_S: i64 = 5 * 60;
/// What a secret may begin with, as senders show it.
const PREFIX: &str = "whsec_";
/// What is taken: payments, and what is taken back. All else has a key of its own and
/// `POST /v1/events`.
const KINDS: [&str; 4] = [
    "payment.failed",
    "payment.settled",
    "return.completed",
    "sale.voided",
];

#[derive(Deserialize)]
struct Told {
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    data: Value,
}

pub fn verify(secrets: &[String], given: Delivery, now: Instant) -> Result<(), HookError> {
    let id = header(given, "webhook-id")?;
    let signed_at = header(given, "webhook-timestamp")?;
    let signatures = header(given, "webhook-signature")?;
    let at: i64 = signed_at
        .parse()
        .map_err(|_| HookError::NotSigned("webhook-timestamp"))?;
    let keys: Vec<Vec<u8>> = secrets.iter().map(|secret| key(secret)).collect();
    let parts = [id.as_bytes(), b".", signed_at.as_bytes(), b".", given.body];
    // Senders sign with the old key and the new one while they change it.
    let mut symmetric = signatures
        .split(' ')
        .filter_map(|it| it.strip_prefix("v1,"));
    if !symmetric.any(|signature| is_signed(&keys, &parts, signature)) {
        return Err(HookError::WrongSignature);
    }
    let seconds = now.0.div_euclid(1_000).saturating_sub(at);
    match seconds.saturating_abs() > TOLERANCE_S {
        true => Err(HookError::OutOfTime {
            seconds,
            most: TOLERANCE_S,
        }),
        false => Ok(()),
    }
}

/// The key is what stands behind `whsec_`, in Base64; a secret in another form is taken as it is.
fn key(secret: &str) -> Vec<u8> {
    let encoded = secret.strip_prefix(PREFIX);
    let decoded = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
    decoded.unwrap_or_else(|| secret.as_bytes().to_vec())
}

pub fn hear(hook: &Hook, given: Delivery) -> Result<Heard, HookError> {
    let id = header(given, "webhook-id")?.to_owned();
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    if !KINDS.contains(&body::<Kind>(given)?.kind.as_str()) {
        return Ok(Heard::Nothing(
            "this type is about nothing that is taken here",
        ));
    }
    let told: Told = body(given)?;
    Ok(event(hook, &told.kind, id, &told.timestamp, told.data))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{headers, hook};
    use super::*;
    use serde_json::json;
    use stampcard_pipeline::shop::HookFormat;

    /// Secret, id, timestamp, body and signature.
    const VECTORS: [[&str; 5]; 2] = [
        [
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            "1649367553",
            r#"{"email":"test@example.com","username":"test_user"}"#,
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ],
        [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ],
    ];

    fn check(vector: [&str; 5], after_s: i64) -> Result<(), HookError> {
        let [secret, id, at, body, signature] = vector;
        let headers = headers(&[
            ("webhook-id", id),
            ("webhook-timestamp", at),
            ("webhook-signature", signature),
        ]);
        let now = Instant((at.parse::<i64>().unwrap_or_default() + after_s) * 1_000);
        let given = Delivery {
            headers: &headers,
            body: body.as_bytes(),
        };
        verify(&[secret.to_owned()], given, now)
    }

    #[test]
    fn what_the_standard_signs_is_taken_within_five_minutes_and_nothing_else() {
        for vector in VECTORS {
            for after in [0, 300, -300] {
                assert_eq!(check(vector, after), Ok(()));
            }
            for after in [301, -301] {
                let late = check(vector, after);
                assert!(matches!(late, Err(HookError::OutOfTime { .. })), "{late:?}");
            }
            let with = |place: usize, text: &str| {
                let mut changed = vector;
                changed[place] = text;
                changed.map(str::to_owned)
            };
            let both = format!("v1,AAAA v1a,xyz {}", vector[4]);
            let rotated = with(4, &both);
            assert_eq!(check(rotated.each_ref().map(String::as_str), 0), Ok(()));
            for (place, text) in [
                (0, "whsec_AAAAsBQIhrscChlQIMV+b5sSYspob7oD"),
                (1, "msg_other"),
                (3, "{}"),
                (4, "v1,AAAA"),
                (4, &vector[4][3..]),
                (4, ""),
            ] {
                let changed = with(place, text);
                let refused = check(changed.each_ref().map(String::as_str), 0);
                assert_eq!(refused, Err(HookError::WrongSignature), "{place}: {text}");
            }
            let no_time = with(2, "yesterday");
            let refused = check(no_time.each_ref().map(String::as_str), 0);
            assert_eq!(refused, Err(HookError::NotSigned("webhook-timestamp")));
        }
    }

    #[test]
    fn what_is_inside_is_an_event_of_the_catalogue_under_the_name_of_the_message() {
        let heard = |body: Value| {
            let (headers, body) = (headers(&[("webhook-id", "msg_1")]), body.to_string());
            let given = Delivery {
                headers: &headers,
                body: body.as_bytes(),
            };
            hear(&hook(HookFormat::Standard), given)
        };
        let data = json!({"order": {"system": "web", "id": "1001"}});
        let told =
            json!({"type": "payment.failed", "timestamp": "2026-03-02T10:00:00Z", "data": data});
        let event = json!({
            "specversion": "1.0", "source": "hook/web", "id": "msg_1", "type": "payment.failed",
            "time": "2026-03-02T10:00:00Z", "data": data,
        });
        assert_eq!(heard(told), Ok(Heard::Event(event)));
        let gift = json!({"type": "points.adjusted", "timestamp": "2026-03-02T10:00:00Z", "data": {"points": 9_000}});
        assert!(matches!(heard(gift), Ok(Heard::Nothing(_))));
        let empty = heard(json!({"type": "payment.failed"}));
        assert!(matches!(empty, Err(HookError::Malformed(_))), "{empty:?}");
    }
}
