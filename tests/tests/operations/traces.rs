//! Traces for OpenTelemetry: what a collector gets, and that nobody waits for one.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};
use stampcard_tests::{Server, Shop, sale};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Spans are sent a second after they ended, at the latest.
const SENT_MAX: Duration = Duration::from_secs(20);

/// A collector that keeps what it gets.
struct Collector {
    address: String,
    got: Arc<Mutex<Vec<Value>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Collector {
    fn start() -> Collector {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let got: Arc<Mutex<Vec<Value>>> = Arc::default();
        let take = |State(got): State<Arc<Mutex<Vec<Value>>>>, body: String| async move {
            let body = serde_json::from_str(&body).expect("OTLP in JSON");
            got.lock().expect("nobody panicked").push(body);
            "{}"
        };
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(got.clone());
        runtime.spawn(async move { axum::serve(listener, router).await });
        Collector {
            address: format!("http://{address}"),
            got,
            _runtime: runtime,
        }
    }

    fn spans(&self) -> Vec<Value> {
        let got = self.got.lock().expect("nobody panicked");
        let spans = got
            .iter()
            .flat_map(|body| body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array());
        spans.flatten().cloned().collect()
    }

    /// The spans of one trace, once there is one of a name in it.
    #[track_caller]
    fn trace(&self, id: &str, name: &str) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let spans = self.spans().into_iter();
            let spans: Vec<Value> = spans.filter(|span| span["traceId"] == id).collect();
            if spans.iter().any(|span| span["name"] == name) {
                return spans;
            }
            assert!(began.elapsed() < SENT_MAX, "no {name} of {id}: {spans:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn traced_to(address: &str) -> Shop {
    let shop = Shop::new();
    shop.append(
        "stampcard.toml",
        &format!("\n[telemetry]\notlp = \"{address}\"\nservice = \"corner-shop\"\n"),
    );
    shop
}

fn a_sale(id: &str) -> Value {
    let customer = json!({"email": "ana@example.com", "phone": "(212) 555-0100"});
    sale(
        id,
        &jiff::Timestamp::now().to_string(),
        json!({"customer": customer, "total": 1_000}),
    )
}

/// Sends a sale with the trace of a caller.
fn sell_in_trace(server: &Server, id: &str, traceparent: &str) {
    let sent = ureq::post(format!("{}/v1/events", server.address))
        .header("authorization", format!("Bearer {}", server.keys.pos))
        .header("traceparent", traceparent)
        .content_type("application/json")
        .send(a_sale(id).to_string());
    assert_eq!(sent.expect("it is taken").status(), 200);
}

#[test]
fn a_sale_is_a_trace_with_a_span_for_each_step_of_the_line_and_nobodys_name() {
    let collector = Collector::start();
    let shop = traced_to(&collector.address);
    let server = shop.serve();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    sell_in_trace(&server, "1", &format!("00-{trace}-00f067aa0ba902b7-01"));
    // What its caller does not trace is left out.
    let untraced = "5bf92f3577b34da6a3ce929d0e0e4736";
    sell_in_trace(&server, "2", &format!("00-{untraced}-00f067aa0ba902b7-00"));
    sell_in_trace(&server, "3", "nonsense ana@example.com");

    let spans = collector.trace(trace, "request");
    let of = |name: &str| {
        let mut found = spans.iter().filter(|span| span["name"] == name);
        let span = found
            .next()
            .unwrap_or_else(|| panic!("no {name}: {spans:?}"));
        assert!(found.next().is_none(), "{name} is there twice");
        span
    };
    let request = of("request");
    assert_eq!(
        (&request["parentSpanId"], &request["kind"]),
        (&json!("00f067aa0ba902b7"), &json!(2))
    );
    assert_eq!(
        request["attributes"],
        json!([
            {"key": "http.request.method", "value": {"stringValue": "POST"}},
            {"key": "http.route", "value": {"stringValue": "/v1/events"}},
            {"key": "http.response.status_code", "value": {"intValue": "200"}},
        ])
    );
    assert_eq!(of("line")["parentSpanId"], request["spanId"]);
    let nanos = |span: &Value, key: &str| -> u128 {
        let text = span[key].as_str().expect("a time is a text");
        text.parse().expect("of nanoseconds")
    };
    let steps = [
        "admit",
        "identity",
        "facts",
        "segments",
        "points",
        "tiers",
        "follow-ups",
        "commit",
    ];
    let mut before = nanos(request, "startTimeUnixNano");
    for step in steps {
        let span = of(step);
        assert_eq!(span["parentSpanId"], of("line")["spanId"], "{step}");
        let (begun, ended) = (
            nanos(span, "startTimeUnixNano"),
            nanos(span, "endTimeUnixNano"),
        );
        assert!(before <= begun && begun <= ended, "{step} is in its place");
        before = begun;
    }

    server.stop();
    let all = collector.spans();
    assert!(all.iter().all(|span| span["traceId"] != untraced));
    let told = format!("{:?}", collector.got.lock().expect("nobody panicked"));
    for name in ["example.com", "2125550100", "555-0100", "cus_"] {
        assert!(!told.contains(name), "{name} left: {told}");
    }
    assert!(told.contains("corner-shop"), "{told}");
    let requests = all.iter().filter(|span| span["name"] == "request").count();
    assert_eq!(requests, 2, "the last ones are sent before the server ends");
}

#[test]
fn no_sale_waits_for_a_collector_that_is_away_or_never_answers() {
    // Nobody takes what comes to this one, and nothing is at the other address any more.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let gone = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addresses = [&silent, &gone].map(|it| it.local_addr().expect("it is bound"));
    drop(gone);
    for address in addresses {
        let shop = traced_to(&format!("http://{address}"));
        let server = shop.serve();
        let began = Instant::now();
        for number in 0..1_000 {
            assert_eq!(
                server.outcome(&a_sale(&number.to_string()))["status"],
                "applied"
            );
        }
        let took = began.elapsed();
        assert!(took < Duration::from_secs(30), "a thousand took {took:?}");
        server.stop();
        shop.check();
        let events = shop.exported("events", &[]);
        let sales = events.iter().filter(|it| it["event"]["source"] == "till-1");
        assert_eq!(sales.count(), 1_000);
        let log = std::fs::read_to_string(shop.dir.with_extension("log")).expect("a log");
        assert!(log.contains("traces were dropped"), "{log}");
    }
}

#[test]
fn an_address_that_is_none_is_refused_before_the_shop_opens() {
    let shop = traced_to("https://collector.example");
    let ran = shop.run("serve", &["--listen", "127.0.0.1:0"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("[telemetry] of stampcard.toml") && ran.stderr.contains("without TLS"),
        "{}",
        ran.stderr
    );
}
