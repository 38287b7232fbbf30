//! `stampcard serve`: the shop is open until somebody sends it home.

use super::{End, Run, say};
use crate::config::{Folder, LogFormat, Place, REQUESTS_PER_MINUTE, ServerFile, ShopsFolder};
use crate::http;
use crate::log;
use crate::merchant::{Merchant, Options, Shared, problems};
use crate::merchants::Merchants;
use crate::reload::Watch;
use crate::telemetry;
use clap::Args;
use rustix::process::{Resource, getrlimit, setrlimit};
use stampcard_pipeline::event::Instant;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Open a shop, or all shops of a folder: take events over HTTP until it is stopped with Ctrl-C or
/// SIGTERM.
///
/// When it can answer it prints `listening on http://ADDRESS:PORT` as a line of its own on standard
/// output. Its log goes to standard error.
///
/// In a folder of shops each folder is one, with files, database and keys of its own; which shop a
/// request is for follows from its key. One that cannot be opened stops no other, and is tried again.
/// `operations on http://ADDRESS:PORT` then says where `/readyz` and `/metrics` of all shops are.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  stampcard serve shop\n  stampcard serve shop --listen 127.0.0.1:0 --log-format json\n  stampcard serve shops --operations 127.0.0.1:9377"
)]
pub struct Serve {
    /// The shop's folder, or a folder of shops.
    dir: PathBuf,
    /// Address and port; port 0 takes a free one. Goes above stampcard.toml.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where several shops are shown to whoever runs the server: the port after that of --listen, on
    /// this machine alone, if it is not given. Goes above stampcard.toml.
    #[arg(long)]
    operations: Option<SocketAddr>,
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
#[error("cannot listen on {address}: {source}; name another address with {option}")]
struct ListenError {
    address: SocketAddr,
    option: &'static str,
    #[source]
    source: std::io::Error,
}

/// How long a server of several shops waits for those that take long to open before it answers for
/// the others.
const OPENING_TIME_MAX: Duration = Duration::from_secs(10);

impl Serve {
    pub fn run(self) -> Run {
        let place = Place::at(&self.dir)?;
        let mut file = match &place {
            Place::Shop(folder) => folder.server()?,
            Place::Shops(shops) => shops.server()?,
        };
        match self.log_format.as_deref() {
            Some("json") => file.log.format = LogFormat::Json,
            Some(_) => file.log.format = LogFormat::Text,
            None => {}
        }
        let (spans, traces) = telemetry::start(&file.telemetry)?.unzip();
        log::start(&file.log, spans)?;
        take_all_descriptors();
        let address = self.listen.or(file.listen).unwrap_or(LISTEN_DEFAULT);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        match place {
            Place::Shop(folder) => one(&runtime, &folder, &file, address, None)?,
            Place::Shops(shops) => {
                let operations = self.operations.or(file.operations);
                let operations = operations.unwrap_or_else(|| beside(address));
                several(&runtime, shops, file, address, operations)?;
            }
        }
        drop(runtime);
        drop(traces);
        Ok(End::Done)
    }
}

/// Opens one shop and serves it until somebody stops it.
pub(super) fn serve_one(
    folder: &Folder,
    address: SocketAddr,
) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    one(&runtime, folder, &folder.server()?, address, None)
}

/// The same for a copy of a shop as it was at an instant.
pub(super) fn serve_copy(
    folder: &Folder,
    address: SocketAddr,
    as_of: Instant,
) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    one(&runtime, folder, &folder.server()?, address, Some(as_of))
}

/// Where the operations of several shops are shown where nobody says: on this machine, at the next
/// port.
fn beside(address: SocketAddr) -> SocketAddr {
    let port = match address.port() {
        0 => 0,
        port => port.checked_add(1).unwrap_or(port - 1),
    };
    SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, port))
}

/// Each shop has a dozen files open and each till a connection, and the usual limit is 1,024.
fn take_all_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

fn one(
    runtime: &Runtime,
    folder: &Folder,
    file: &ServerFile,
    address: SocketAddr,
    copy_of: Option<Instant>,
) -> Result<(), Box<dyn std::error::Error>> {
    let merchant = Merchant::open(folder.dir(), &Options::of(file))?;
    for problem in problems(&merchant.live().book) {
        tracing::error!("not taken: {problem}");
    }
    let quota = file.requests_per_minute.unwrap_or(REQUESTS_PER_MINUTE);
    let served = runtime.block_on(async {
        let (listener, address) = listen(address, "--listen")?;
        let stop = stop_asked()?;
        merchant.tend(runtime.handle(), Watch::start().as_ref());
        tracing::info!(
            shop = merchant.name(),
            rule_book = merchant.live().number,
            "the shop is open"
        );
        say(format_args!("listening on http://{address}"))?;
        http::serve(Arc::clone(&merchant), listener, quota, copy_of, stop).await?;
        Ok(())
    });
    // Requests are answered; now nothing that was taken may be lost.
    merchant.close()?;
    tracing::info!("the shop is closed");
    served
}

fn several(
    runtime: &Runtime,
    shops: ShopsFolder,
    file: ServerFile,
    address: SocketAddr,
    operations: SocketAddr,
) -> Result<(), Box<dyn std::error::Error>> {
    let shared = Shared::new(&Folder::at(shops.dir()).cache()?)?;
    let merchants = Arc::new(Merchants::new(shops, file, shared, runtime.handle()));
    let served = runtime.block_on(async {
        let (listener, address) = listen(address, "--listen")?;
        let (operations, shown_at) = listen(operations, "--operations")?;
        let stop = stop_asked()?;
        let tried = merchants.keep();
        let tried = tokio::task::spawn_blocking(move || tried.recv_timeout(OPENING_TIME_MAX));
        if tried.await.is_ok_and(|tried| tried.is_err()) {
            tracing::warn!("some shops take long to open; the others are answered for meanwhile");
        }
        say(format_args!("operations on http://{shown_at}"))?;
        say(format_args!("listening on http://{address}"))?;
        http::serve_all(Arc::clone(&merchants), listener, operations, stop).await?;
        Ok(())
    });
    let failed = merchants.close();
    for (shop, error) in &failed {
        tracing::error!(shop, %error, "the shop could not be closed as it should be");
    }
    tracing::info!("the shops are closed");
    match failed.into_iter().next() {
        Some((_, error)) => Err(error.into()),
        None => served,
    }
}

/// `option` is what names another address.
fn listen(
    address: SocketAddr,
    option: &'static str,
) -> Result<(TcpListener, SocketAddr), Box<dyn std::error::Error>> {
    let listener = http::bind(address).map_err(|source| ListenError {
        address,
        option,
        source,
    })?;
    let address = listener.local_addr()?;
    Ok((listener, address))
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
