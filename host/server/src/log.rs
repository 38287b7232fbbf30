//! The program's own log, on standard error: what people read is on standard output.

use crate::config::{LogFile, LogFormat};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::FmtSpan;

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

/// Begins to log. It is called once, before anything that logs.
pub fn start(file: &LogFile) -> Result<(), LogError> {
    let level = std::env::var(VARIABLE).unwrap_or_else(|_| file.level.clone());
    let filter = EnvFilter::builder()
        .parse(&level)
        .map_err(|problem| LogError { level, problem })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        // It would tell of a line that cannot be written by writing a line, and panic over that:
        // a log on a full disk must not take the shop with it.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match file.format {
        LogFormat::Text => subscriber
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}

/// The log of a command that people watch: only what is wrong.
pub fn start_quiet() -> Result<(), LogError> {
    start(&LogFile {
        format: LogFormat::Text,
        level: "warn".into(),
    })
}
