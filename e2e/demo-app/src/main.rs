//! The application of the demo and of the e2e scenarios: an HTTP server whose version says how often it fails.
//!
//! `GET /` answers with its version in the body and in the header `x-version`; `--fail-percent` of the requests get a
//! 500, spread evenly (no chance is involved, so tests can count). `/healthz` is the readiness probe, which fails
//! until `--ready-after` seconds have passed; `/metrics` counts requests by code.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use clap::Parser;

#[derive(Parser)]
struct Args {
    /// Version that it says it is.
    #[arg(long, env = "VERSION", default_value = "v0")]
    version: String,
    /// Percentage of requests that fail, 0 to 100.
    #[arg(long, env = "FAIL_PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=100))]
    fail_percent: u64,
    /// Seconds until it says that it is ready.
    #[arg(long, env = "READY_AFTER", default_value_t = 0)]
    ready_after: u64,
    /// Port to listen on.
    #[arg(long, env = "PORT", default_value_t = 8080)]
    port: u16,
}

struct App {
    version: String,
    fail_percent: u64,
    ready_at: Instant,
    requests: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let app = Arc::new(App {
        version: args.version,
        fail_percent: args.fail_percent,
        ready_at: Instant::now() + Duration::from_secs(args.ready_after),
        requests: AtomicU64::new(0),
        succeeded: AtomicU64::new(0),
        failed: AtomicU64::new(0),
    });
    let listener = tokio::net::TcpListener::bind(("0.0.0.0", args.port)).await?;
    axum::serve(listener, router(app))
        .with_graceful_shutdown(terminated())
        .await
}

/// Resolves on SIGTERM, after a moment in which endpoints and routers take the pod out: requests that are still sent to
/// it in that moment are answered.
async fn terminated() {
    if let Ok(mut signal) =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
    {
        signal.recv().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .fallback(answer)
        .with_state(app)
}

async fn answer(State(app): State<Arc<App>>) -> Response {
    let nth = app.requests.fetch_add(1, Ordering::Relaxed);
    let fails = fails(nth, app.fail_percent);
    let counter = if fails { &app.failed } else { &app.succeeded };
    counter.fetch_add(1, Ordering::Relaxed);
    let code = if fails {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::OK
    };
    (
        code,
        [("x-version", app.version.clone())],
        format!("{}\n", app.version),
    )
        .into_response()
}

/// Whether the request with this number (from 0) fails, so that of any 100 in a row exactly `percent` do.
fn fails(nth: u64, percent: u64) -> bool {
    (nth % 100 + 1) * percent / 100 > (nth % 100) * percent / 100
}

async fn healthz(State(app): State<Arc<App>>) -> StatusCode {
    if Instant::now() >= app.ready_at {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

async fn metrics(State(app): State<Arc<App>>) -> String {
    let version = &app.version;
    let (succeeded, failed) = (
        app.succeeded.load(Ordering::Relaxed),
        app.failed.load(Ordering::Relaxed),
    );
    format!(
        "# HELP http_requests_total Requests answered.\n\
         # TYPE http_requests_total counter\n\
         http_requests_total{{version=\"{version}\",code=\"200\"}} {succeeded}\n\
         http_requests_total{{version=\"{version}\",code=\"500\"}} {failed}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_any_hundred_requests_exactly_the_percentage_fails() {
        for percent in [0, 1, 20, 33, 99, 100] {
            let failed = (0..100).filter(|nth| fails(*nth, percent)).count();
            assert_eq!(failed as u64, percent);
        }
        let first_twenty = (0..20).filter(|nth| fails(*nth, 20)).count();
        assert_eq!(first_twenty, 4, "failures are spread evenly");
    }
}
