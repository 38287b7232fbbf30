//! `stampcard serve`: the shop is open until somebody sends it home.

use super::{End, Run, say};
use crate::config::{Folder, LogFormat, REQUESTS_PER_MINUTE};
use crate::http;
use crate::log;
use crate::merchant::{Merchant, Options, problems};
use crate::telemetry;
use clap::Args;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Open a shop: take events over HTTP until it is stopped with Ctrl-C or SIGTERM.
///
/// When it can answer it prints `listening on http://ADDRESS:PORT` as a line of its own on standard
/// output. Its log goes to standard error.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard serve shop\n  stampcard serve shop --listen 127.0.0.1:0 --log-format json"
)]
pub struct Serve {
    /// The shop's folder.
    dir: PathBuf,
    /// Address and port; port 0 takes a free one. Goes above stampcard.toml.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Goes above stampcard.toml.
    #[arg(long, value_parser = ["text", "json"])]
    log_format: Option<String>,
}

/// Where a shop listens that says nothing.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(
    std::net::Ipv4Addr::LOCALHOST,
    8377,
));

/// SIGXFSZ, which has this number on every platform that we run on.
const FILE_TOO_LARGE: i32 = 25;

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; name another address with --listen")]
struct ListenError {
    address: SocketAddr,
    #[source]
    source: std::io::Error,
}

impl Serve {
    pub fn run(self) -> Run {
        let mut file = Folder::at(&self.dir).server()?;
        match self.log_format.as_deref() {
            Some("json") => file.log.format = LogFormat::Json,
            Some(_) => file.log.format = LogFormat::Text,
            None => {}
        }
        let (spans, traces) = telemetry::start(&file.telemetry)?.unzip();
        log::start(&file.log, spans)?;
        let served = open_and_serve(&self.dir, self.listen);
        drop(traces);
        served?;
        Ok(End::Done)
    }
}

/// Opens a shop and serves it until somebody stops it. `listen` goes above its file.
pub(super) fn open_and_serve(
    dir: &Path,
    listen: Option<SocketAddr>,
) -> Result<(), Box<dyn std::error::Error>> {
    let file = Folder::at(dir).server()?;
    let address = listen.or(file.listen).unwrap_or(LISTEN_DEFAULT);
    let merchant = Merchant::open(dir, &Options::of(&file))?;
    for problem in problems(&merchant.live().book) {
        tracing::error!("not taken: {problem}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let quota = file.requests_per_minute.unwrap_or(REQUESTS_PER_MINUTE);
    let served = runtime.block_on(serve(&merchant, address, quota));
    // Requests are answered; now nothing that was taken may be lost.
    merchant.close()?;
    drop(runtime);
    served?;
    tracing::info!("the shop is closed");
    Ok(())
}

async fn serve(
    merchant: &Arc<Merchant>,
    address: SocketAddr,
    requests_per_minute: NonZeroU32,
) -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ListenError { address, source })?;
    let address = listener.local_addr()?;
    let stop = stop_asked()?;
    merchant.tend();
    tracing::info!(
        shop = merchant.name(),
        rule_book = merchant.live().number,
        "the shop is open"
    );
    say(format_args!("listening on http://{address}"))?;
    http::serve(Arc::clone(merchant), listener, requests_per_minute, stop).await?;
    Ok(())
}

/// Ends when somebody asks us to stop. Who asks twice does not want to wait.
fn stop_asked() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // A limit on the size of files ends a process that does not take this; we would rather answer
    // that the disk failed, and go on when there is room.
    let file_too_large = signal(SignalKind::from_raw(FILE_TOO_LARGE))?;
    Ok(async move {
        let _taken = file_too_large;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("closing: what was taken is answered first; once more to stop at once");
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            // Everything that was answered is on disk already.
            std::process::exit(130);
        });
    })
}
