//! An API server for tests: a function from a request to an answer, and a record of the requests.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::cluster::Cluster;

/// One request: method and path with query, and its body.
pub(crate) type Call = (String, Value);

/// An answer: HTTP status and body.
pub(crate) type Answer = (u16, Value);

/// The requests that came in, in order.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<VecDeque<Call>>>);

impl Record {
    /// Requests that change something.
    pub(crate) fn writes(&self) -> Vec<Call> {
        let calls = self.0.lock().unwrap();
        calls
            .iter()
            .filter(|(line, _)| !line.starts_with("GET "))
            .cloned()
            .collect()
    }
}

/// A cluster of namespace `demo` whose API server answers as `answer` says.
pub(crate) fn cluster(
    answer: impl Fn(&str, &Value) -> Answer + Send + Sync + 'static,
) -> (Cluster, Record) {
    let record = Record::default();
    let (answer, kept) = (Arc::new(answer), record.clone());
    let service = tower::service_fn(move |request: Request<Body>| {
        let (answer, kept) = (Arc::clone(&answer), kept.clone());
        async move {
            let path = request
                .uri()
                .path_and_query()
                .map_or("", |path| path.as_str());
            let line = format!("{} {path}", request.method());
            let bytes = request
                .into_body()
                .collect_bytes()
                .await
                .map_err(std::io::Error::other)?;
            let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            kept.0
                .lock()
                .unwrap()
                .push_back((line.clone(), body.clone()));
            let (status, body) = answer(&line, &body);
            let response = Response::builder()
                .status(status)
                .body(Body::from(body.to_string().into_bytes()));
            response.map_err(std::io::Error::other)
        }
    });
    let client = Client::new(service, "demo");
    (
        Cluster {
            client,
            namespace: "demo".to_owned(),
        },
        record,
    )
}

/// What the API server says of an object that is not there.
pub(crate) fn not_found(what: &str) -> Answer {
    failure(404, "NotFound", &format!("{what} not found"))
}

/// What the API server says when it refuses.
pub(crate) fn failure(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": message, "reason": reason, "code": code
    });
    (code, status)
}

/// A list of objects.
pub(crate) fn list(items: &[Value]) -> Answer {
    (
        200,
        json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": items }),
    )
}
