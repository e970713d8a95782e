//! Takes connections and ends them in good order.

use super::head_timer::HeadTimer;
use super::{App, Front};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Longest time for the head of a request to arrive, on a new connection or on one that was kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest head of a request, request line and headers together, in bytes.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Most headers of a request.
const HEADERS_MAX: usize = 100;
/// How long to wait after a connection could not be taken, as when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Answers connections on `listener` until `shutdown` ends; then takes no more, ends the streams of
/// events and lets requests go on for `grace` at most.
///
/// # Errors
///
/// When requests had to be cut off because the grace was over.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    front: Front,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) -> io::Result<()> {
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(
        app.limits.connections_max.min(Semaphore::MAX_PERMITS),
    ));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let place = tokio::select! {
            () = &mut shutdown => break,
            place = Arc::clone(&places).acquire_owned() => place.map_err(io::Error::other)?,
        };
        let stream = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let connection = connection(stream, front.clone(), &connections);
        tokio::spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    app.stop();
    tokio::time::timeout(grace, connections.shutdown())
        .await
        .map_err(|_| {
            let why = format!(
                "requests were cut off {} s after the signal to stop",
                grace.as_secs_f64()
            );
            io::Error::new(io::ErrorKind::TimedOut, why)
        })
}

/// Answers the requests of one connection, one after the other.
fn connection(
    stream: TcpStream,
    front: Front,
    connections: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its small packets back");
    }
    let connection = http1::Builder::new()
        .timer(HeadTimer::new(HEAD_TIMEOUT))
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        // Bodies are small: to copy one behind its head costs less than to hand over two pieces.
        .writev(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(front));
    let watched = connections.watch(connection);
    async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "a connection ended");
        }
    }
}
