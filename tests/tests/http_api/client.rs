//! A client that sends what it is told to, right or wrong, and shows the whole answer.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use stampcard_tests::Server;
use std::time::Duration;

/// One answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The code of the problem that this answer is; it must be a whole problem document.
    #[track_caller]
    pub fn problem(&self) -> &str {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let code = self.body["code"]
            .as_str()
            .unwrap_or_else(|| panic!("no code: {self:?}"));
        assert_eq!(
            self.body["type"],
            format!("https://stampcard.dev/problems/{code}"),
            "{self:?}"
        );
        assert_eq!(self.body["status"], self.status, "{self:?}");
        assert!(
            self.body["title"]
                .as_str()
                .is_some_and(|title| !title.is_empty()),
            "{self:?}"
        );
        assert!(
            self.body["detail"]
                .as_str()
                .is_some_and(|detail| detail.len() > 8),
            "{self:?}"
        );
        assert_eq!(
            self.body["request"].as_str(),
            self.header("x-request-id"),
            "{self:?}"
        );
        code
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.body
    }
}

/// One request: method, path, headers, body.
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: Vec<(&'a str, String)>,
    pub body: Option<Vec<u8>>,
}

pub fn get(path: &str) -> Request<'_> {
    Request {
        method: "GET",
        path,
        headers: Vec::new(),
        body: None,
    }
}

/// A JSON body under `application/json`.
pub fn send<'a>(method: &'a str, path: &'a str, body: &Value) -> Request<'a> {
    send_as(
        method,
        path,
        "application/json",
        body.to_string().as_bytes(),
    )
}

pub fn send_as<'a>(method: &'a str, path: &'a str, content: &str, body: &[u8]) -> Request<'a> {
    Request {
        method,
        path,
        headers: vec![("content-type", content.to_owned())],
        body: Some(body.to_vec()),
    }
}

impl<'a> Request<'a> {
    pub fn key(self, key: &str) -> Request<'a> {
        self.header("authorization", &format!("Bearer {key}"))
    }

    pub fn header(mut self, name: &'a str, value: &str) -> Request<'a> {
        self.headers.push((name, value.to_owned()));
        self
    }

    #[track_caller]
    pub fn to(self, server: &Server) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let mut request = ureq::http::Request::builder()
            .method(self.method)
            .uri(format!("{}{}", server.address, self.path));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let sent = match self.body {
            Some(body) => agent.run(request.body(body).expect("a request")),
            None => agent.run(request.body(()).expect("a request")),
        };
        let mut response = sent.unwrap_or_else(|error| {
            panic!("{} {}: {error}\n{}", self.method, self.path, server.log())
        });
        let headers = response.headers().iter().map(|(name, value)| {
            (
                name.to_string(),
                value.to_str().unwrap_or_default().to_owned(),
            )
        });
        let headers = headers.collect();
        let text = response
            .body_mut()
            .with_config()
            .limit(u64::MAX)
            .read_to_string()
            .expect("the answer is text");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer {
            status: response.status().as_u16(),
            headers,
            body,
        }
    }
}

/// A time so many minutes ago.
pub fn ago(minutes: i64) -> String {
    (Timestamp::now() - SignedDuration::from_mins(minutes)).to_string()
}

/// A text as it stands in a query.
pub fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                (byte as char).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
