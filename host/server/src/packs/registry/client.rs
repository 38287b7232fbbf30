//! What of the OCI distribution specification a pack needs, over HTTP: blobs and manifests, put and
//! got, and the token that a registry asks for.

use super::reference::Reference;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use ureq::http::{Request, Response, Uri};
use ureq::{Agent, Body};

/// How long a connection may take, and how long all of a request: 128 MiB at 500 KB a second.
const CONNECT: Duration = Duration::from_secs(15);
const REQUEST: Duration = Duration::from_secs(300);
/// The largest manifest, token or error that is read, in bytes.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// Letters of a registry's answer that people are shown.
const SAID_LETTERS_MAX: usize = 300;

/// Who we are to a registry.
pub struct Credentials {
    /// `name:password`.
    basic: Option<String>,
    /// Speak HTTP without TLS, also to another machine.
    plain: bool,
}

/// Why a registry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("{registry} cannot be reached: {reason}")]
    Unreachable { registry: String, reason: String },
    #[error("{registry} has no {what}")]
    NotFound { registry: String, what: String },
    #[error(
        "{registry} lets nobody do that without a name and a password; set STAMPCARD_REGISTRY_USER and STAMPCARD_REGISTRY_PASSWORD, or `docker login {registry}`"
    )]
    Unauthorized { registry: String },
    #[error("{registry} refuses it: {status} {said}")]
    Refused {
        registry: String,
        status: u16,
        said: String,
    },
    #[error("{registry} answers otherwise than a registry does: {why}")]
    Strange { registry: String, why: String },
    #[error("{registry} sends other than the {size} bytes that it announced for {digest}")]
    Size {
        registry: String,
        digest: String,
        size: u64,
    },
}

impl Credentials {
    /// Those of the environment, or else those that `docker login` has left.
    pub fn of(registry: &str, plain: bool) -> Credentials {
        let variable = |name| {
            std::env::var(name)
                .ok()
                .filter(|text: &String| !text.is_empty())
        };
        let named = variable("STAMPCARD_REGISTRY_USER")
            .zip(variable("STAMPCARD_REGISTRY_PASSWORD"))
            .map(|(user, password)| format!("{user}:{password}"));
        Credentials {
            basic: named.or_else(|| left_by_docker(registry)),
            plain,
        }
    }
}

fn left_by_docker(registry: &str) -> Option<String> {
    let dir = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let dir = dir.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")))?;
    let text = std::fs::read_to_string(dir.join("config.json")).ok()?;
    let config: Value = serde_json::from_str(&text).ok()?;
    let encoded = config["auths"][registry]["auth"].as_str()?;
    String::from_utf8(BASE64.decode(encoded).ok()?).ok()
}

/// A conversation with a registry about one repository.
pub struct Client<'a> {
    agent: Agent,
    reference: &'a Reference,
    credentials: &'a Credentials,
    scope: &'static str,
    /// What it has asked for and been given.
    authorization: Option<String>,
}

struct Ask<'a> {
    method: &'static str,
    url: String,
    headers: &'a [(&'static str, &'a str)],
    body: &'a [u8],
}

impl<'a> Client<'a> {
    pub fn new(
        reference: &'a Reference,
        credentials: &'a Credentials,
        scope: &'static str,
    ) -> Client<'a> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(REQUEST))
            .user_agent(concat!("stampcard/", env!("CARGO_PKG_VERSION")))
            .build();
        Client {
            agent: config.new_agent(),
            reference,
            credentials,
            scope,
            authorization: None,
        }
    }

    /// Puts bytes where they are not yet; whether they had to travel.
    pub fn put_blob(&mut self, digest: &str, bytes: &[u8]) -> Result<bool, RegistryError> {
        let there = self.ask(Ask {
            method: "HEAD",
            url: self.url(&format!("blobs/{digest}")),
            headers: &[],
            body: &[],
        })?;
        if there.status().is_success() {
            return Ok(false);
        }
        let begun = self.ask(Ask {
            method: "POST",
            url: self.url("blobs/uploads/"),
            headers: &[("content-length", "0")],
            body: &[],
        })?;
        let begun = self.good(begun, "place for a file")?;
        let location = begun.headers().get("location");
        let location = location.and_then(|location| location.to_str().ok());
        let location =
            location.ok_or_else(|| self.strange("it names no place for a file that is sent"))?;
        let place = if location.starts_with('/') {
            format!("{}{location}", self.origin())
        } else {
            location.to_owned()
        };
        let mark = if place.contains('?') { '&' } else { '?' };
        let put = self.ask(Ask {
            method: "PUT",
            url: format!("{place}{mark}digest={digest}"),
            headers: &[("content-type", "application/octet-stream")],
            body: bytes,
        })?;
        self.good(put, "place for a file")?;
        Ok(true)
    }

    /// The bytes of a blob, as many as were announced.
    pub fn blob(&mut self, digest: &str, size: u64) -> Result<Vec<u8>, RegistryError> {
        let got = self.ask(Ask {
            method: "GET",
            url: self.url(&format!("blobs/{digest}")),
            headers: &[],
            body: &[],
        })?;
        let mut got = self.good(got, digest)?;
        let wrong = || RegistryError::Size {
            registry: self.reference.registry.clone(),
            digest: digest.into(),
            size,
        };
        let bytes = got.body_mut().with_config().limit(size + 1).read_to_vec();
        let bytes = bytes.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => wrong(),
            error => self.unreachable(&error),
        })?;
        if bytes.len() as u64 != size {
            return Err(wrong());
        }
        Ok(bytes)
    }

    pub fn put_manifest(&mut self, text: &[u8], kind: &str) -> Result<(), RegistryError> {
        let put = self.ask(Ask {
            method: "PUT",
            url: self.url(&format!("manifests/{}", self.reference.version())),
            headers: &[("content-type", kind)],
            body: text,
        })?;
        self.good(put, "place for a manifest").map(drop)
    }

    pub fn manifest(&mut self, kind: &str) -> Result<Vec<u8>, RegistryError> {
        let version = self.reference.version();
        let got = self.ask(Ask {
            method: "GET",
            url: self.url(&format!("manifests/{version}")),
            headers: &[("accept", kind)],
            body: &[],
        })?;
        let named = format!("{} {version}", self.reference.repository);
        let mut got = self.good(got, &named)?;
        self.text(&mut got)
    }

    /// Asks, and asks again with what the registry wants to see first.
    fn ask(&mut self, ask: Ask) -> Result<Response<Body>, RegistryError> {
        let answer = self.send(&ask)?;
        if answer.status() != 401 {
            return Ok(answer);
        }
        let wanted = answer.headers().get("www-authenticate");
        let wanted = wanted.and_then(|wanted| wanted.to_str().ok());
        let wanted = wanted.unwrap_or_default().to_owned();
        self.authorization = Some(self.authorize(&wanted)?);
        self.send(&ask)
    }

    fn send(&self, ask: &Ask) -> Result<Response<Body>, RegistryError> {
        let mut request = Request::builder().method(ask.method).uri(&ask.url);
        for (name, value) in ask.headers {
            request = request.header(*name, *value);
        }
        // Storage elsewhere, to which a registry sends us, is not told who we are.
        let is_ours = ask.url.starts_with(&format!("{}/", self.origin()));
        if let Some(authorization) = self.authorization.as_deref().filter(|_| is_ours) {
            request = request.header("authorization", authorization);
        }
        let answer = if ask.body.is_empty() && ask.method != "PUT" && ask.method != "POST" {
            let request = request
                .body(())
                .map_err(|error| self.strange(&error.to_string()))?;
            self.agent.run(request)
        } else {
            let request = request.body(ask.body);
            let request = request.map_err(|error| self.strange(&error.to_string()))?;
            self.agent.run(request)
        };
        answer.map_err(|error| self.unreachable(&error))
    }

    /// What to show, as the registry's `WWW-Authenticate` says.
    fn authorize(&self, wanted: &str) -> Result<String, RegistryError> {
        let basic = self.credentials.basic.as_ref();
        let basic = basic.map(|basic| format!("Basic {}", BASE64.encode(basic)));
        let unauthorized = || RegistryError::Unauthorized {
            registry: self.reference.registry.clone(),
        };
        let (scheme, rest) = wanted.split_once(' ').unwrap_or((wanted, ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return basic.ok_or_else(unauthorized);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(self.strange("it asks for a way of showing who one is that is not known"));
        }
        let of = |key: &str| {
            let at = rest.find(&format!("{key}=\""))? + key.len() + 2;
            rest[at..].split('"').next()
        };
        let realm = of("realm").ok_or_else(|| self.strange("it does not say where tokens are"))?;
        let is_safe = realm.starts_with("https://") || self.origin().starts_with("http://");
        if !is_safe {
            return Err(self.strange("it asks for a password over an open line"));
        }
        let scope = format!("repository:{}:{}", self.reference.repository, self.scope);
        let mut request = self.agent.get(realm).query("scope", &scope);
        if let Some(service) = of("service") {
            request = request.query("service", service);
        }
        if let Some(basic) = &basic {
            request = request.header("authorization", basic);
        }
        let mut answer = request.call().map_err(|error| self.unreachable(&error))?;
        if answer.status() == 401 || answer.status() == 403 {
            return Err(unauthorized());
        }
        let text = self.text(&mut answer)?;
        let token: Value = serde_json::from_slice(&text).unwrap_or_default();
        let token = token["token"].as_str().or(token["access_token"].as_str());
        let token = token.ok_or_else(|| self.strange("it gives no token"))?;
        Ok(format!("Bearer {token}"))
    }

    fn good(
        &self,
        mut answer: Response<Body>,
        what: &str,
    ) -> Result<Response<Body>, RegistryError> {
        let registry = self.reference.registry.clone();
        let status = answer.status();
        match status.as_u16() {
            _ if status.is_success() => Ok(answer),
            401 => Err(RegistryError::Unauthorized { registry }),
            404 => Err(RegistryError::NotFound {
                registry,
                what: what.into(),
            }),
            status => {
                let said = self.text(&mut answer).unwrap_or_default();
                let said = String::from_utf8_lossy(&said);
                Err(RegistryError::Refused {
                    registry,
                    status,
                    said: said.trim().chars().take(SAID_LETTERS_MAX).collect(),
                })
            }
        }
    }

    fn text(&self, answer: &mut Response<Body>) -> Result<Vec<u8>, RegistryError> {
        let body = answer.body_mut().with_config().limit(TEXT_BYTES_MAX);
        body.read_to_vec().map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => self.strange("its answer has no end"),
            error => self.unreachable(&error),
        })
    }

    fn url(&self, rest: &str) -> String {
        format!("{}/v2/{}/{rest}", self.origin(), self.reference.repository)
    }

    /// Registries on this machine are spoken to as they are: without TLS.
    fn origin(&self) -> String {
        let registry = &self.reference.registry;
        let host: Option<Uri> = format!("http://{registry}").parse().ok();
        let host = host.as_ref().and_then(Uri::host).unwrap_or_default();
        let is_here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        match is_here || self.credentials.plain {
            true => format!("http://{registry}"),
            false => format!("https://{registry}"),
        }
    }

    fn unreachable(&self, error: &ureq::Error) -> RegistryError {
        RegistryError::Unreachable {
            registry: self.reference.registry.clone(),
            reason: error.to_string(),
        }
    }

    fn strange(&self, why: &str) -> RegistryError {
        RegistryError::Strange {
            registry: self.reference.registry.clone(),
            why: why.into(),
        }
    }
}
