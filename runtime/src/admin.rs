//! The admin port: `/healthz`, `/readyz`, `/metrics`, `/debug/decisions?kind=&namespace=&name=`.
//!
//! Nothing here changes anything, and nothing secret is shown: decisions hold field names, values of the spec, and
//! results of metrics.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::caches::Caches;
use crate::decision_log::DecisionLog;
use crate::object::Key;
use crate::telemetry::Metrics;

/// What the admin port shows.
#[derive(Clone)]
pub struct Admin {
    /// The metrics page.
    pub metrics: Metrics,
    /// Named in the answer while the process is not ready.
    pub caches: Caches,
    /// Decisions of all loops.
    pub decisions: Arc<DecisionLog>,
    /// Set once the caches that the loops need are there.
    pub ready: Arc<AtomicBool>,
}

/// The routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .route("/debug/decisions", get(decisions))
        .with_state(admin)
}

async fn readyz(State(admin): State<Admin>) -> Response {
    if admin.ready.load(Ordering::Acquire) {
        return "ok".into_response();
    }
    let waiting: Vec<String> = admin
        .caches
        .unsettled()
        .into_iter()
        .map(|(kind, state)| format!("{kind}: {state:?}"))
        .collect();
    let text = format!("not ready; waiting for caches: {}", waiting.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn metrics_page(State(admin): State<Admin>) -> Response {
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        admin.metrics.render(),
    )
        .into_response()
}

async fn decisions(
    State(admin): State<Admin>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    if text("name").is_empty() {
        let error = "say which object: /debug/decisions?kind=Rollout&namespace=NAMESPACE&name=NAME";
        return (StatusCode::BAD_REQUEST, error).into_response();
    }
    let kind = match text("kind") {
        "" => "Rollout",
        kind => kind,
    };
    let key = Key::new(text("namespace"), text("name"));
    let entries = admin.decisions.of(kind, &key);
    Json(json!({
        "kind": kind, "namespace": text("namespace"), "name": text("name"), "decisions": entries
    }))
    .into_response()
}

/// Binds a port and serves a router on it until `stop`.
///
/// # Errors
/// When the port cannot be bound.
pub async fn serve(
    address: SocketAddr,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<(SocketAddr, impl Future<Output = ()> + Send + 'static)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let serving = async move {
        let graceful = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = graceful.await {
            tracing::error!(%error, %bound, "stopped serving");
        }
    };
    Ok((bound, serving))
}
