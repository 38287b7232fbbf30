//! Packs in registries: one that keeps what it is given, one that wants to know who asks, and one that
//! lies. A real one is asked in `cargo xtask soak`.

use crate::tampering::Parts;
use crate::{Agency, finish};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A registry that keeps blobs and manifests in memory, as the specification says.
struct Registry {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Kept {
    /// By their path after `/v2/NAME/`.
    things: BTreeMap<String, Vec<u8>>,
    /// Blobs that were sent, however often.
    sent: usize,
    /// `name:password` of whoever may come in, if not everybody may.
    only: Option<String>,
}

impl Registry {
    fn start() -> Registry {
        let runtime = Runtime::new().expect("threads");
        let kept = Arc::new(Mutex::new(Kept::default()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let app = Router::new()
            .fallback(answer)
            .with_state((address, Arc::clone(&kept)));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
            axum::serve(listener, app).await
        });
        Registry {
            address,
            kept,
            _runtime: runtime,
        }
    }

    fn reference(&self, version: &str) -> String {
        format!("{}/agency/corner{version}", self.address)
    }

    /// Changes what is kept.
    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) {
        change(&mut self.kept.lock().expect("it is whole").things);
    }

    /// Changes the manifest of a version.
    fn lie(&self, change: impl FnOnce(&mut Value)) {
        self.change(|things| {
            let manifest = things.get_mut("manifests/1.0.0").expect("it was pushed");
            let mut told: Value = serde_json::from_slice(manifest).expect("JSON");
            change(&mut told);
            *manifest = told.to_string().into_bytes();
        });
    }
}

fn digest(bytes: &[u8]) -> String {
    let digits: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{digits}")
}

type Here = (SocketAddr, Arc<Mutex<Kept>>);

async fn answer(State((address, kept)): State<Here>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 28).await.expect("a body");
    let path = parts.uri.path().to_owned();
    let mut kept = kept.lock().expect("it is whole");
    if path == "/token" {
        let asked = parts.uri.query().unwrap_or_default();
        assert!(
            asked.contains("service=corner") && asked.contains("repository"),
            "{asked}"
        );
        let shown = kept
            .only
            .as_ref()
            .map(|it| format!("Basic {}", BASE64.encode(it)));
        return match shown_by(&parts.headers) == shown {
            true => json!({"token": "let-me-in"}).to_string().into_response(),
            false => StatusCode::UNAUTHORIZED.into_response(),
        };
    }
    if kept.only.is_some() && shown_by(&parts.headers).as_deref() != Some("Bearer let-me-in") {
        let wanted = format!("Bearer realm=\"http://{address}/token\",service=\"corner\"");
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", wanted)]).into_response();
    }
    let Some(path) = path.strip_prefix("/v2/agency/corner/") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    respond(
        &mut kept,
        parts.method,
        path,
        parts.uri.query().unwrap_or_default(),
        body,
    )
}

fn shown_by(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("authorization")?.to_str().ok()?.to_owned())
}

fn respond(kept: &mut Kept, method: Method, path: &str, query: &str, body: Bytes) -> Response {
    if method == Method::POST && path == "blobs/uploads/" {
        let place = "/v2/agency/corner/uploads/1?state=x";
        return (StatusCode::ACCEPTED, [("location", place)]).into_response();
    }
    if method == Method::PUT && path == "uploads/1" {
        let name = query.strip_prefix("state=x&digest=").expect("a digest");
        assert_eq!(name, digest(&body), "a blob is put under its digest");
        kept.things.insert(format!("blobs/{name}"), body.to_vec());
        kept.sent += 1;
        return StatusCode::CREATED.into_response();
    }
    if method == Method::PUT && path.starts_with("manifests/") {
        kept.things
            .insert(format!("manifests/{}", digest(&body)), body.to_vec());
        kept.things.insert(path.to_owned(), body.to_vec());
        return StatusCode::CREATED.into_response();
    }
    match kept.things.get(path) {
        Some(bytes) => bytes.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[test]
fn a_pack_comes_out_of_a_registry_as_it_went_in_with_its_signature_and_travels_once() {
    let agency = Agency::new();
    let file = agency.signed("corner.pack");
    let registry = Registry::start();
    let at = registry.reference(":1.0.0");
    let pushed = agency
        .run(&["pack", "push", "corner.pack", &at, "--json"])
        .json();
    // pack.toml, README.md, two manifests, a schema, cases, two components, sums, signature; and the
    // artifact's own configuration.
    assert_eq!(pushed["files"], 11);
    let again = agency
        .run(&["pack", "push", "corner.pack", &at, "--json"])
        .json();
    assert_eq!(
        (&again["files"], &again["digest"]),
        (&json!(0), &pushed["digest"])
    );
    assert_eq!(registry.kept.lock().expect("it is whole").sent, 11);

    let by_digest = registry.reference(&format!(
        "@{}",
        pushed["digest"].as_str().expect("a digest")
    ));
    for reference in [&at, &by_digest] {
        agency
            .run(&["pack", "pull", reference, "-o", "pulled.pack"])
            .ok();
        assert_eq!(
            fs::read(agency.path("pulled.pack")).expect("a pack"),
            fs::read(&file).expect("a pack")
        );
    }
    agency
        .run(&["pack", "verify", "pulled.pack", "--key", "agency.key.pub"])
        .ok();

    // It is an artifact of WebAssembly, whose first layers are the components.
    let kept = registry.kept.lock().expect("it is whole");
    let manifest: Value = serde_json::from_slice(&kept.things["manifests/1.0.0"]).expect("JSON");
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    let layers = manifest["layers"].as_array().expect("a list");
    let kinds: Vec<_> = layers
        .iter()
        .map(|layer| layer["mediaType"].as_str())
        .collect();
    assert_eq!(kinds[..2], [Some("application/wasm"); 2]);
    assert!(!kinds[2..].contains(&Some("application/wasm")));
    assert_eq!(
        layers[0]["annotations"]["org.opencontainers.image.title"],
        "plugins/extra.wasm"
    );
    let config = format!(
        "blobs/{}",
        manifest["config"]["digest"].as_str().expect("a digest")
    );
    let config: Value = serde_json::from_slice(&kept.things[&config]).expect("JSON");
    assert_eq!(
        (&config["architecture"], &config["os"]),
        (&json!("wasm"), &json!("wasip2"))
    );
    assert_eq!(
        config["component"]["exports"],
        json!(["stampcard:plugin/point-formula@0.1.0"])
    );
}

#[test]
fn a_registry_that_wants_to_know_who_asks_is_shown_a_token_and_nobody_else_gets_in() {
    let agency = Agency::new();
    agency.signed("corner.pack");
    let registry = Registry::start();
    registry.kept.lock().expect("it is whole").only = Some("corner:open sesame".into());
    let at = registry.reference(":1.0.0");
    let push = |user: &str, password: &str| {
        let mut command = stampcard_tests::binary::command(["pack", "push", "corner.pack", &at]);
        command.env("STAMPCARD_REGISTRY_USER", user);
        command.env("STAMPCARD_REGISTRY_PASSWORD", password);
        finish(command.current_dir(agency.path("")))
    };
    for (user, password) in [("", ""), ("corner", "guess")] {
        let refused = push(user, password);
        assert_eq!(refused.code, 2);
        assert!(
            refused.stderr.contains("STAMPCARD_REGISTRY_PASSWORD")
                && !refused.stderr.contains("guess"),
            "{}",
            refused.stderr
        );
    }
    push("corner", "open sesame").ok();
    // As `docker login` leaves it.
    let encoded = BASE64.encode("corner:open sesame");
    let login = json!({"auths": {(registry.address.to_string()): {"auth": encoded}}});
    agency.write("docker/config.json", login.to_string());
    let mut pull = stampcard_tests::binary::command(["pack", "pull", &at, "-o", "pulled.pack"]);
    pull.env("DOCKER_CONFIG", agency.path("docker"));
    finish(pull.current_dir(agency.path(""))).ok();
}

#[test]
fn what_a_registry_says_is_held_against_limits_and_digests_and_nothing_is_written_that_is_not_so() {
    let agency = Agency::new();
    let file = agency.signed("corner.pack");
    let whole = Parts::of(&file);
    let component = digest(whole.get("plugins/extra.wasm"));
    let pushed = || {
        let registry = Registry::start();
        let at = registry.reference(":1.0.0");
        agency.run(&["pack", "push", "corner.pack", &at]).ok();
        registry
    };
    let refused = |registry: &Registry, version: &str, told: &str| {
        let at = registry.reference(version);
        let ran = agency.run(&["pack", "pull", &at, "-o", "pulled.pack"]);
        assert_eq!(ran.code, 2, "{told}");
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
        assert!(!agency.path("pulled.pack").exists(), "{told}");
    };
    let title = "org.opencontainers.image.title";
    type Lie<'a> = (&'a dyn Fn(&mut Value), &'a str);
    let lies: [Lie; 8] = [
        (
            &|told| told["layers"][0]["size"] = json!(1_u64 << 40),
            "has 1099511627776 bytes",
        ),
        (
            &|told| told["layers"][0]["annotations"][title] = json!("../../extra.wasm"),
            "`../../extra.wasm` may not be in a pack",
        ),
        (
            &|told| told["layers"][0]["annotations"] = json!({}),
            "has no name",
        ),
        (
            &|told| told["layers"][0]["mediaType"] = json!("application/wasm+gzip"),
            "is `application/wasm+gzip`, and a pack has it as `application/wasm`",
        ),
        (
            &|told| told["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json"),
            "is no pack: its configuration is",
        ),
        (
            &|told| told["layers"][0]["digest"] = json!("sha256:abc"),
            "is no digest",
        ),
        (
            &|told| {
                let layer = told["layers"][0].clone();
                told["layers"] = json!(vec![layer; 1_100]);
            },
            "more files than",
        ),
        (&|told| *told = json!([]), "is no pack"),
    ];
    for (lie, told) in lies {
        let registry = pushed();
        registry.lie(lie);
        refused(&registry, ":1.0.0", told);
    }
    // Other bytes under a digest: of the same length, and without end.
    let registry = pushed();
    registry.change(|things| {
        let blob = things
            .get_mut(&format!("blobs/{component}"))
            .expect("it was pushed");
        let last = blob.len() - 1;
        blob[last] ^= 1;
    });
    refused(
        &registry,
        ":1.0.0",
        "plugins/extra.wasm is not what the registry says it is",
    );
    registry.change(|things| {
        let blob = things
            .get_mut(&format!("blobs/{component}"))
            .expect("it was pushed");
        blob.resize(64 << 20, 0);
    });
    refused(&registry, ":1.0.0", "sends other than the");
    registry.change(|things| {
        things.remove(&format!("blobs/{component}"));
    });
    refused(&registry, ":1.0.0", &format!("has no {component}"));
    // A manifest that is not the one that was asked for.
    let registry = pushed();
    registry.change(|things| {
        let other = things["manifests/1.0.0"].clone();
        things.insert(format!("manifests/sha256:{}", "0".repeat(64)), other);
    });
    refused(
        &registry,
        &format!("@sha256:{}", "0".repeat(64)),
        "the manifest is not what the registry says it is",
    );
    refused(&registry, ":7.0.0", "has no agency/corner 7.0.0");
    // A whole pack with other sums than its signature: refused where it is installed.
    let registry = pushed();
    registry.lie(|told| {
        let layers = told["layers"].as_array_mut().expect("a list");
        layers.retain(|layer| layer["annotations"][title] != "README.md");
    });
    refused(
        &registry,
        ":1.0.0",
        "README.md is in the list of sums and not in the pack",
    );
    let gone = registry.reference(":1.0.0");
    drop(registry);
    let ran = agency.run(&["pack", "pull", &gone]);
    assert!(ran.stderr.contains("cannot be reached"), "{}", ran.stderr);
}

/// Debian's `docker-registry`, on this machine for as long as the test lasts.
struct Real {
    child: Child,
    address: SocketAddr,
    _room: tempfile::TempDir,
}

impl Real {
    fn start() -> Real {
        let room = tempfile::tempdir().expect("a temporary folder");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
            room.path().join("kept").display()
        );
        let file = room.path().join("config.yml");
        fs::write(&file, config).expect("a file");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is needed: apt-get install docker-registry");
        let real = Real {
            child,
            address,
            _room: room,
        };
        let began = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "the registry does not answer"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        real
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "cargo xtask soak"]
fn a_real_registry_keeps_a_pack_and_gives_it_back_as_it_was() {
    let agency = Agency::new();
    let file = agency.signed("corner.pack");
    let real = Real::start();
    let at = format!("{}/agency/corner:1.0.0", real.address);
    let pushed = agency.run(&["pack", "push", "corner.pack", &at, "--json"]);
    let pushed: Value = serde_json::from_str(&pushed.ok()).expect("JSON");
    assert_eq!(pushed["files"], 11);
    let by_digest = format!(
        "{}/agency/corner@{}",
        real.address,
        pushed["digest"].as_str().expect("it")
    );
    for reference in [&at, &by_digest] {
        agency
            .run(&["pack", "pull", reference, "-o", "pulled.pack"])
            .ok();
        assert_eq!(
            fs::read(agency.path("pulled.pack")).expect("a pack"),
            fs::read(&file).expect("a pack")
        );
    }
    let missing = format!("{}/agency/corner:9.0.0", real.address);
    let ran = agency.run(&["pack", "pull", &missing]);
    assert!(
        ran.stderr.contains("has no agency/corner 9.0.0"),
        "{}",
        ran.stderr
    );
}
