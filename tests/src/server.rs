//! A running server and a client that speaks to it as a till does: keep-alive, bearer keys, JSON.

use crate::binary;
use crate::shop::Keys;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer for the first time. Plugins that were never compiled on
/// this machine take most of it.
const START_MAX: Duration = Duration::from_secs(60);
/// How long it may take to end when it is asked to.
const STOP_MAX: Duration = Duration::from_secs(30);

pub struct Server {
    pub address: String,
    /// Where a server of several shops shows all of them; empty for one shop.
    pub operations: String,
    pub keys: Keys,
    child: Child,
    log: PathBuf,
    agent: ureq::Agent,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: Value,
}

impl Server {
    /// # Panics
    /// If it does not say that it listens.
    #[track_caller]
    pub fn start(dir: &Path, keys: &Keys, arguments: &[&str]) -> Server {
        Server::start_in(dir, keys, arguments, &[])
    }

    /// The same in an environment with more in it.
    ///
    /// # Panics
    /// If it does not say that it listens.
    #[track_caller]
    pub fn start_in(
        dir: &Path,
        keys: &Keys,
        arguments: &[&str],
        environment: &[(&str, &OsStr)],
    ) -> Server {
        let text = dir.to_str().expect("the folder's name is UTF-8");
        let mut command =
            binary::command([&["serve", text, "--listen", "127.0.0.1:0"], arguments].concat());
        command.envs(environment.iter().copied());
        Server::start_command(command, dir.with_extension("log"), keys)
    }

    /// Whatever else of the binary serves a shop.
    ///
    /// # Panics
    /// If it does not say that it listens.
    #[track_caller]
    pub fn start_command(mut command: Command, log: PathBuf, keys: &Keys) -> Server {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(
                File::options()
                    .create(true)
                    .append(true)
                    .open(&log)
                    .expect("the log can be written"),
            )
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("it is piped");
        let Some(Listening {
            address,
            operations,
        }) = listening(stdout)
        else {
            child.kill().ok();
            let code = child.wait();
            panic!(
                "the server did not start ({code:?}):\n{}",
                fs::read_to_string(&log).unwrap_or_default()
            );
        };
        Server {
            address,
            operations,
            keys: keys.clone(),
            child,
            log,
            agent: agent(),
        }
    }

    /// Sends one event with the till's key.
    pub fn send(&self, event: &Value) -> Answer {
        self.post_as(&self.keys.pos, "/v1/events", event)
    }

    /// The outcome of one event, which must be accepted.
    #[track_caller]
    pub fn outcome(&self, event: &Value) -> Value {
        let answer = self.send(event);
        assert_eq!(answer.status, 200, "{event}\n{}", answer.body);
        answer.body
    }

    /// Reads with the operator's key; the answer must be 200.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let answer = self.get_as(&self.keys.operator, path);
        assert_eq!(answer.status, 200, "GET {path}\n{}", answer.body);
        answer.body
    }

    /// A figure of `/metrics` by its name and some of its labels, such as `code="sum"`.
    #[track_caller]
    pub fn figure(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let page = self.get("/metrics");
        let mut lines = page.as_str().expect("a page of text").lines();
        lines.find_map(|line| {
            let (sample, value) = line.rsplit_once(' ')?;
            let (of, labelled) = sample.split_once('{').unwrap_or((sample, ""));
            let is_it = of == name && labels.iter().all(|label| labelled.contains(label));
            is_it.then(|| value.parse().expect("a number"))
        })
    }

    pub fn get_as(&self, key: &str, path: &str) -> Answer {
        self.ask("GET", key, path, None)
            .unwrap_or_else(|error| panic!("GET {path}: {error}\n{}", self.log()))
    }

    pub fn post_as(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.ask("POST", key, path, Some(body))
            .unwrap_or_else(|error| panic!("POST {path}: {error}\n{}", self.log()))
    }

    pub fn delete_as(&self, key: &str, path: &str) -> Answer {
        self.ask("DELETE", key, path, None)
            .unwrap_or_else(|error| panic!("DELETE {path}: {error}\n{}", self.log()))
    }

    /// The same with a name of the caller's own for it.
    pub fn post_once(&self, key: &str, path: &str, name: &str, body: &Value) -> Answer {
        let headers = [("idempotency-key", name)];
        ask(
            &self.agent,
            &self.address,
            "POST",
            key,
            path,
            Some(body),
            &headers,
        )
        .unwrap_or_else(|error| panic!("POST {path}: {error}\n{}", self.log()))
    }

    /// One request; an error is a connection that broke, whatever the server had done by then.
    pub fn ask(
        &self,
        method: &str,
        key: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ureq::Error> {
        ask(&self.agent, &self.address, method, key, path, body, &[])
    }

    /// Reads from the operations of a server of several shops, without a key.
    #[track_caller]
    pub fn operations(&self, path: &str) -> Value {
        ask(&self.agent, &self.operations, "GET", "", path, None, &[])
            .unwrap_or_else(|error| panic!("GET {path}: {error}\n{}", self.log()))
            .body
    }

    /// Another client with connections of its own, for another thread.
    pub fn client(&self) -> Client {
        Client::new(&self.address, &self.keys.pos)
    }

    /// Memory that the server holds now, in bytes, where the system tells it.
    pub fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1_024)
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Ends it as a power cut would, as far as one process can.
    pub fn kill(mut self) {
        self.child.kill().expect("the server runs");
        self.child.wait().expect("it can be waited for");
    }

    /// Asks it to end and waits until it has.
    #[track_caller]
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let began = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("it can be waited for") {
                Some(status) => break status,
                None if began.elapsed() > STOP_MAX => {
                    panic!("the server did not end when asked to:\n{}", self.log())
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        assert!(
            status.success(),
            "the server ended with {status}:\n{}",
            self.log()
        );
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the server runs");
    }

    /// Waits until the server ends by itself, as it does when somebody presses Ctrl-C.
    pub fn wait(mut self) {
        self.child.wait().expect("it can be waited for");
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already if it was stopped or killed.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// One till.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    address: String,
    key: String,
}

impl Client {
    pub fn new(address: &str, key: &str) -> Client {
        Client {
            agent: agent(),
            address: address.to_owned(),
            key: key.to_owned(),
        }
    }

    pub fn send(&self, event: &Value) -> Result<Answer, ureq::Error> {
        ask(
            &self.agent,
            &self.address,
            "POST",
            &self.key,
            "/v1/events",
            Some(event),
            &[],
        )
    }

    /// A request with a name of the caller's own for it.
    pub fn post_once(&self, path: &str, name: &str, body: &Value) -> Result<Answer, ureq::Error> {
        let headers = [("idempotency-key", name)];
        ask(
            &self.agent,
            &self.address,
            "POST",
            &self.key,
            path,
            Some(body),
            &headers,
        )
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
}

fn ask(
    agent: &ureq::Agent,
    address: &str,
    method: &str,
    key: &str,
    path: &str,
    body: Option<&Value>,
    headers: &[(&str, &str)],
) -> Result<Answer, ureq::Error> {
    let uri = format!("{address}{path}");
    let bearer = format!("Bearer {key}");
    let mut response = match body {
        Some(body) => {
            let content = match body {
                Value::Array(_) => "application/cloudevents-batch+json",
                _ => "application/json",
            };
            let request = match method {
                "PATCH" => agent.patch(uri),
                "PUT" => agent.put(uri),
                _ => agent.post(uri),
            };
            let request = headers.iter().fold(request, |request, (name, value)| {
                request.header(*name, *value)
            });
            request
                .header("authorization", bearer)
                .content_type(content)
                .send(body.to_string())?
        }
        None => {
            let request = match method {
                "DELETE" => agent.delete(uri),
                _ => agent.get(uri),
            };
            request.header("authorization", bearer).call()?
        }
    };
    let header = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let (status, content_type) = (response.status().as_u16(), header("content-type"));
    let text = response
        .body_mut()
        .with_config()
        .limit(u64::MAX)
        .read_to_string()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer {
        status,
        content_type,
        body,
    })
}

/// Where a server answers.
#[derive(Default)]
struct Listening {
    address: String,
    operations: String,
}

/// Reads standard output up to the line that says where the server listens. The rest is read and
/// dropped, so that the pipe never fills.
fn listening(stdout: std::process::ChildStdout) -> Option<Listening> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut listening = Listening::default();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(address) = line.strip_prefix("operations on ") {
                listening.operations = address.to_owned();
            }
            if let Some(address) = line.strip_prefix("listening on ") {
                listening.address = address.to_owned();
                sender.send(std::mem::take(&mut listening)).ok();
            }
        }
    });
    receiver.recv_timeout(START_MAX).ok()
}
