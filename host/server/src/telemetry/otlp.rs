//! OTLP over HTTP with a body of JSON, as the OpenTelemetry protocol has it (1.x, `ExportTraceServiceRequest`).
//! A collector takes it at `/v1/traces`.

use super::Finished;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use ureq::Agent;

/// How long one request to the collector may take.
const REQUEST_MAX: Duration = Duration::from_secs(2);
/// The kinds of spans, as the protocol numbers them.
const KIND_INTERNAL: u8 = 1;
const KIND_SERVER: u8 = 2;
/// The span of a request; all others are ours alone.
const REQUEST: &str = "request";

/// Sends spans to one collector.
pub struct Sender {
    agent: Agent,
    uri: String,
    service: String,
}

impl Sender {
    /// `None` for an address that is not one.
    pub fn new(address: &str, service: &str) -> Option<Sender> {
        let base = address.trim_end_matches('/');
        let rest = base.strip_prefix("http://")?;
        let host = rest.split('/').next().filter(|host| !host.is_empty())?;
        if host.contains(|letter: char| letter.is_whitespace() || letter == '@') {
            return None;
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(REQUEST_MAX))
            .build();
        Some(Sender {
            agent: agent.into(),
            uri: format!("{base}/v1/traces"),
            service: service.to_owned(),
        })
    }

    pub fn send(&self, spans: &[Finished]) -> Result<(), String> {
        let body = request(&self.service, spans).to_string();
        let sent = self
            .agent
            .post(&self.uri)
            .content_type("application/json")
            .send(body);
        sent.map(drop).map_err(|error| error.to_string())
    }
}

fn request(service: &str, spans: &[Finished]) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [
        text("service.name", service),
        text("service.version", version),
    ];
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{
            "scope": {"name": "stampcard", "version": version},
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }]})
}

fn span(finished: &Finished) -> Value {
    let begun = finished
        .begun
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let is_request = finished.name == REQUEST;
    let status = finished
        .attributes
        .iter()
        .find(|(key, _)| *key == "http.response.status_code");
    let failed = status.is_some_and(|(_, status)| status.starts_with('5'));
    let mut span = json!({
        "traceId": hex(&finished.trace),
        "spanId": hex(&finished.span),
        "name": finished.name,
        "kind": if is_request { KIND_SERVER } else { KIND_INTERNAL },
        // 64-bit integers are texts in the JSON of protobuf.
        "startTimeUnixNano": begun.as_nanos().to_string(),
        "endTimeUnixNano": (begun + finished.took).as_nanos().to_string(),
        "attributes": finished.attributes.iter().map(|(key, value)| attribute(key, value)).collect::<Vec<_>>(),
        // 2 is an error; 0 says nothing.
        "status": {"code": if failed { 2 } else { 0 }},
    });
    if let Some(parent) = finished.parent {
        span["parentSpanId"] = hex(&parent).into();
    }
    span
}

fn attribute(key: &str, value: &str) -> Value {
    match value.parse::<i64>() {
        Ok(number) => json!({"key": key, "value": {"intValue": number.to_string()}}),
        Err(_) => text(key, value),
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_a_collector_without_tls() {
        for (address, uri) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector/otlp/", "http://collector/otlp/v1/traces"),
        ] {
            assert_eq!(Sender::new(address, "s").unwrap().uri, uri);
        }
        for wrong in [
            "",
            "127.0.0.1:4318",
            "https://collector",
            "http://",
            "http:///x",
            "http://user@collector",
            "http://a b",
        ] {
            assert!(Sender::new(wrong, "s").is_none(), "{wrong:?}");
        }
    }
}
