//! The listener: takes connections, bounds their number and their patience, and lets what is under
//! way end when the server stops.

use super::limits;
use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Answers on `listener` until `stop` ends; then takes no more connections and returns when the
/// requests that are under way are answered.
pub async fn listen(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_TIME_MAX)
        .keep_alive(true);
    let connections = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let place = Arc::clone(&connections).acquire_owned();
        let (place, stream) = tokio::select! {
            () = &mut stop => break,
            taken = async {
                let place = place.await;
                (place, accept(&listener).await)
            } => taken,
        };
        // Small answers leave at once.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(limits::DRAIN_TIME_MAX, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            "some requests were not answered in time and are cut off; what they sent may be taken"
        );
    }
    Ok(())
}

/// The next connection. What goes wrong with one is no reason to stop; without file descriptors
/// there is nothing to do but to wait for some to be closed.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_about_one(&error) => {}
            Err(error) => {
                tracing::error!(%error, "connections cannot be taken");
                tokio::time::sleep(limits::ACCEPT_AGAIN_AFTER).await;
            }
        }
    }
}

fn is_about_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}
