//! /metrics, /healthz and /readyz, and nothing else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

/// What the process says of itself.
pub(crate) trait Status: Send + Sync + 'static {
    /// Is it of use now, as the leader or in waiting?
    fn is_ready(&self) -> bool;
    /// The metrics' text.
    fn metrics(&self) -> String;
}

/// Serves until dropped.
pub(crate) async fn serve(listener: TcpListener, status: Arc<dyn Status>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let status = status.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(&request, status.as_ref());
                async move { Ok::<_, Infallible>(answer) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(5))
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
}

fn answer<B>(request: &Request<B>, status: &dyn Status) -> Response<Full<Bytes>> {
    let (code, text) = match request.uri().path() {
        "/healthz" => (StatusCode::OK, "ok\n".to_owned()),
        "/readyz" if status.is_ready() => (StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "the watches are not there yet\n".to_owned()),
        "/metrics" => (StatusCode::OK, status.metrics()),
        _ => (StatusCode::NOT_FOUND, "/metrics, /healthz, /readyz\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = code;
    response
}
