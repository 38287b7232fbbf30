//! The program's own log, on standard error: what people read is on standard output.

use crate::config::{LogFile, LogFormat};
use crate::telemetry::Spans;
use std::io::{IsTerminal, stderr};
use tracing::Subscriber;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry};

/// Goes above what a file says.
const VARIABLE: &str = "STAMPCARD_LOG";

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
#[error(
    "the log level {level:?} cannot be read: {problem}; `info` and `info,stampcard_store=debug` can"
)]
pub struct LogError {
    level: String,
    problem: ParseError,
}

/// Begins to log. It is called once, before anything that logs. `spans` also takes the traces.
pub fn start(file: &LogFile, spans: Option<Spans>) -> Result<(), LogError> {
    let level = std::env::var(VARIABLE).unwrap_or_else(|_| file.level.clone());
    let filter = EnvFilter::builder()
        .parse(&level)
        .map_err(|problem| LogError { level, problem })?;
    match spans {
        // One filter for all, so that what is not logged costs nothing.
        None => registry().with(filter).with(lines(file)).init(),
        Some(spans) => registry()
            .with(lines(file).with_filter(filter))
            .with(spans.with_filter(Spans::filter()))
            .init(),
    }
    Ok(())
}

fn lines<S: Subscriber + for<'a> LookupSpan<'a>>(
    file: &LogFile,
) -> Box<dyn Layer<S> + Send + Sync> {
    let lines = fmt::layer()
        .with_span_events(FmtSpan::NONE)
        // It would tell of a line that cannot be written by writing a line, and panic over that:
        // a log on a full disk must not take the shop with it.
        .log_internal_errors(false)
        .with_writer(stderr);
    match file.format {
        LogFormat::Text => lines.with_ansi(stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    }
}

/// The log of a command that people watch: only what is wrong.
pub fn start_quiet() -> Result<(), LogError> {
    start_at("warn")
}

/// The log of a command that has a level of its own.
pub fn start_at(level: &str) -> Result<(), LogError> {
    let file = LogFile {
        format: LogFormat::Text,
        level: level.into(),
    };
    start(&file, None)
}
