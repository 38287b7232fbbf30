//! A receiver of follow-ups, as a shop might run one: real HTTP on a port of its own, and as unreliable as a
//! test wants it.

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a test waits for what must come.
const COMES_WITHIN: Duration = Duration::from_secs(30);

/// One message as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub text: String,
    pub at: Instant,
}

impl Received {
    /// What the sender calls it.
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// # Panics
    /// If it is not JSON.
    pub fn body(&self) -> Value {
        serde_json::from_str(&self.text).expect("a message is JSON")
    }
}

/// What a receiver does with a message.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub retry_after: Option<u32>,
    pub after: Duration,
}

impl Reply {
    pub fn status(status: u16) -> Reply {
        Reply {
            status,
            retry_after: None,
            after: Duration::ZERO,
        }
    }
}

type Answer = dyn Fn(usize, &Received) -> Reply + Send + Sync;

pub struct Receiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    answer: Box<Answer>,
    received: Mutex<Vec<Received>>,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
    stop: AtomicBool,
}

impl Receiver {
    /// One that answers as it is told: by the number of the message, from 0, and the message.
    pub fn start(answer: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> Receiver {
        Receiver::at("127.0.0.1:0", answer)
    }

    /// The same at an address at which another one was before.
    ///
    /// # Panics
    /// If somebody else has it.
    pub fn at(
        address: &str,
        answer: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static,
    ) -> Receiver {
        let listener = TcpListener::bind(address).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            received: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let of_thread = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if of_thread.stop.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&of_thread);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        Receiver {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    /// `[delivery]` of a shop that sends to it, with more keys.
    pub fn delivery(&self, secret: &str, more: &str) -> String {
        delivery(&self.address, secret, more)
    }

    /// What has come so far.
    ///
    /// # Panics
    /// If a thread of it panicked.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no panic").clone()
    }

    /// Waits until so many have come.
    ///
    /// # Panics
    /// If they do not.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        let began = Instant::now();
        loop {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            assert!(
                began.elapsed() < COMES_WITHIN,
                "{} of {count} messages came",
                received.len()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The most that were under way at the same time.
    pub fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }
}

/// `[delivery]` of a shop that sends to an address, with more keys.
pub fn delivery(address: &SocketAddr, secret: &str, more: &str) -> String {
    format!("[delivery]\nurl = \"http://{address}/stampcard\"\nsecret = \"{secret}\"\n{more}\n")
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, so that the port is free when this returns.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            accepting.join().ok();
        }
    }
}

impl Shared {
    /// One connection, for as many messages as come over it.
    fn serve(&self, stream: TcpStream) {
        let Ok(mut answers) = stream.try_clone() else {
            return;
        };
        let mut lines = BufReader::new(stream);
        while let Some(received) = read(&mut lines) {
            let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(now, Ordering::SeqCst);
            let number = {
                let mut all = self.received.lock().expect("no panic");
                all.push(received.clone());
                all.len() - 1
            };
            let reply = (self.answer)(number, &received);
            std::thread::sleep(reply.after);
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            let asks = reply.retry_after;
            let asks = asks.map_or(String::new(), |s| format!("retry-after: {s}\r\n"));
            let head = format!(
                "HTTP/1.1 {} X\r\ncontent-length: 0\r\n{asks}\r\n",
                reply.status
            );
            let is_over = self.stop.load(Ordering::SeqCst);
            if is_over || answers.write_all(head.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn read(from: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut first = String::new();
    if from.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    Some(Received {
        headers,
        text: String::from_utf8(body).ok()?,
        at: Instant::now(),
    })
}
