//! A small API server in memory, under the real client: lists, watches with resume and 410, optimistic concurrency,
//! patches, the status subresource, and faults on demand.
//!
//! It knows nothing of single kinds: an object is JSON under a path. Not modelled: admission, validation, server-side
//! apply (which is a merge here), garbage collection, finalizers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, Response, StatusCode};
use futures::channel::mpsc::{UnboundedSender, unbounded};
use serde_json::{Value, json};
use sluice_runtime::api::Api;
use sluice_runtime::kind::Kind;

/// What happens to one request instead of, or after, what it asks for.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Answer with this status, headers and body; nothing is done.
    Answer(u16, Vec<(&'static str, &'static str)>, &'static str),
    /// Never answer; nothing is done.
    Hang,
    /// Do it and break the connection instead of answering.
    LoseAnswer,
    /// Break the connection; nothing is done.
    Break,
}

struct Rule {
    method: &'static str,
    path: &'static str,
    times: usize,
    fault: Fault,
}

struct Watcher {
    collection: String,
    namespace: Option<String>,
    selector: String,
    sender: UnboundedSender<Result<Bytes, std::io::Error>>,
}

struct Past {
    version: u64,
    kind: &'static str,
    collection: String,
    object: Value,
}

#[derive(Default)]
struct State {
    version: u64,
    /// Versions up to this one are forgotten: watches from them get 410.
    forgotten: u64,
    uid: u64,
    collections: BTreeMap<String, BTreeMap<(String, String), Value>>,
    watchers: Vec<Watcher>,
    history: Vec<Past>,
    rules: VecDeque<Rule>,
    /// Watch events are held back while this is set.
    lagging: bool,
    held: Vec<Past>,
    requests: Vec<String>,
}

/// The server; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct FakeApi {
    state: Arc<Mutex<State>>,
}

impl FakeApi {
    /// A server that knows these kinds.
    pub(crate) fn with(kinds: &[&Kind]) -> Self {
        let server = Self::default();
        for kind in kinds {
            server.serve(kind);
        }
        server.lock().version = 100;
        server
    }

    /// Begins to know a kind.
    pub(crate) fn serve(&self, kind: &Kind) {
        self.lock()
            .collections
            .entry(kind.collection_path(None))
            .or_default();
    }

    /// A client of the server.
    pub(crate) fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let server = server.clone();
            async move { server.handle(request).await }
        });
        kube::Client::new(service, "default")
    }

    /// The client as the runtime uses it.
    pub(crate) fn api(&self) -> Api {
        Api::new(self.client(), 0.0, 1)
    }

    /// The next `times` requests whose method is `method` (`WATCH` for watches) and whose path contains `path` fail.
    pub(crate) fn fail(
        &self,
        method: &'static str,
        path: &'static str,
        times: usize,
        fault: Fault,
    ) {
        self.lock().rules.push_back(Rule {
            method,
            path,
            times,
            fault,
        });
    }

    /// Ends all watches, as a server that restarts does.
    pub(crate) fn drop_watches(&self) {
        self.lock().watchers.clear();
    }

    /// Forgets the past: watches that resume from before now get 410.
    pub(crate) fn forget_history(&self) {
        let mut state = self.lock();
        state.version += 1;
        state.forgotten = state.version;
        state.history.clear();
    }

    /// Holds watch events back, or lets those that were held back go.
    pub(crate) fn lag(&self, lagging: bool) {
        let mut state = self.lock();
        state.lagging = lagging;
        if !lagging {
            for past in std::mem::take(&mut state.held) {
                state.send(&past);
            }
        }
    }

    /// Requests so far, as in `PATCH /api/v1/namespaces/a/services/b`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    /// Number of requests so far that contain a text.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.lock()
            .requests
            .iter()
            .filter(|request| request.contains(text))
            .count()
    }

    /// Puts an object there, as another client would: created or replaced, with a new version.
    pub(crate) fn put(&self, kind: &Kind, mut object: Value) -> Value {
        let mut state = self.lock();
        let collection = kind.collection_path(None);
        let id = id_of(&object);
        let existing = state
            .collections
            .get(&collection)
            .and_then(|all| all.get(&id))
            .cloned();
        match existing {
            Some(old) => {
                object["metadata"]["uid"] = old["metadata"]["uid"].clone();
                object["metadata"]["generation"] = old["metadata"]["generation"].clone();
                state.store(&collection, id, object, "MODIFIED")
            }
            None => state.create(&collection, object),
        }
    }

    /// Puts an object there that was recorded somewhere else: it keeps its uid, its generation and when it was made.
    pub(crate) fn restore(&self, kind: &Kind, object: Value) -> Value {
        let collection = kind.collection_path(None);
        self.lock()
            .store(&collection, id_of(&object), object, "ADDED")
    }

    /// Changes an object in place, as another client would.
    pub(crate) fn edit(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) {
        let mut state = self.lock();
        let collection = kind.collection_path(None);
        let id = (namespace.to_owned(), name.to_owned());
        let mut object = state.collections[&collection][&id].clone();
        let spec = object["spec"].clone();
        change(&mut object);
        if object["spec"] != spec {
            object["metadata"]["generation"] =
                json!(object["metadata"]["generation"].as_i64().unwrap_or(0) + 1);
        }
        state.store(&collection, id, object, "MODIFIED");
    }

    /// Deletes an object, as another client would.
    pub(crate) fn delete(&self, kind: &Kind, namespace: &str, name: &str) {
        let mut state = self.lock();
        let collection = kind.collection_path(None);
        state.delete(&collection, &(namespace.to_owned(), name.to_owned()));
    }

    /// An object as it is now.
    pub(crate) fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Option<Value> {
        let state = self.lock();
        state
            .collections
            .get(&kind.collection_path(None))?
            .get(&(namespace.to_owned(), name.to_owned()))
            .cloned()
    }

    /// All objects of a kind.
    pub(crate) fn all(&self, kind: &Kind) -> Vec<Value> {
        let state = self.lock();
        state
            .collections
            .get(&kind.collection_path(None))
            .into_iter()
            .flatten()
            .map(|(_, o)| o.clone())
            .collect()
    }

    /// Sends a line to all watchers of a kind, whatever it is.
    pub(crate) fn send_raw(&self, kind: &Kind, line: &str) {
        let state = self.lock();
        for watcher in state
            .watchers
            .iter()
            .filter(|w| w.collection == kind.collection_path(None))
        {
            let _ = watcher
                .sender
                .unbounded_send(Ok(Bytes::from(format!("{line}\n"))));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn handle(
        &self,
        request: Request<kube::client::Body>,
    ) -> Result<Response<Body>, std::io::Error> {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let content_type = request
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let body = request
            .into_body()
            .collect_bytes()
            .await
            .map_err(std::io::Error::other)?;
        let verb = if query.contains("watch=") {
            "WATCH".to_owned()
        } else {
            method.to_string()
        };
        let fault = {
            let mut state = self.lock();
            state.requests.push(format!("{verb} {path}"));
            state.fault(&verb, &path)
        };
        match fault {
            None => {}
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Break) => return Err(std::io::ErrorKind::ConnectionReset.into()),
            Some(Fault::Answer(code, headers, body)) => {
                let mut response = Response::builder().status(code);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                return Ok(response.body(Body::from(body)).unwrap());
            }
            Some(Fault::LoseAnswer) => {
                self.lock()
                    .answer(&method, &path, &query, &content_type, &body);
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
        }
        if verb == "WATCH" {
            return Ok(self.lock().watch(&path, &query));
        }
        let (code, value) = self
            .lock()
            .answer(&method, &path, &query, &content_type, &body);
        Ok(Response::builder()
            .status(code)
            .body(Body::from(value.to_string()))
            .unwrap())
    }
}

impl State {
    fn fault(&mut self, verb: &str, path: &str) -> Option<Fault> {
        let rule = self
            .rules
            .iter_mut()
            .find(|rule| rule.times > 0 && rule.method == verb && path.contains(rule.path))?;
        rule.times -= 1;
        Some(rule.fault.clone())
    }

    /// Splits a path into collection (without namespace), namespace, name and subresource.
    fn parse(&self, path: &str) -> Option<(String, String, String, String)> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let root = if parts.first() == Some(&"api") { 2 } else { 3 };
        let (head, rest) = parts.split_at_checked(root)?;
        let (namespace, rest) = match rest {
            ["namespaces", namespace, _, ..] => (*namespace, &rest[2..]),
            _ => ("", rest),
        };
        let collection = format!("/{}/{}", head.join("/"), rest.first()?);
        let part = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
        self.collections
            .contains_key(&collection)
            .then(|| (collection, namespace.to_owned(), part(1), part(2)))
    }

    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        content_type: &str,
        body: &[u8],
    ) -> (StatusCode, Value) {
        let Some((collection, namespace, name, subresource)) = self.parse(path) else {
            return refuse(
                404,
                "NotFound",
                "the server could not find the requested resource",
            );
        };
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let id = (namespace.clone(), name.clone());
        let existing = self.collections[&collection].get(&id).cloned();
        match (method.as_str(), name.as_str()) {
            ("GET", "") => (StatusCode::OK, self.list(&collection, &namespace, query)),
            ("POST", "") => {
                let mut object = body;
                object["metadata"]["namespace"] = json!(namespace);
                let id = id_of(&object);
                if self.collections[&collection].contains_key(&id) {
                    return refuse(409, "AlreadyExists", "already exists");
                }
                (StatusCode::CREATED, self.create(&collection, object))
            }
            ("GET", _) => match existing {
                Some(object) => (StatusCode::OK, object),
                None => refuse(404, "NotFound", "not found"),
            },
            ("DELETE", _) => {
                let Some(object) = existing else {
                    return refuse(404, "NotFound", "not found");
                };
                for field in ["uid", "resourceVersion"] {
                    let wanted = &body["preconditions"][field];
                    if !wanted.is_null() && *wanted != object["metadata"][field] {
                        return refuse(409, "Conflict", "precondition failed");
                    }
                }
                self.delete(&collection, &id);
                (
                    StatusCode::OK,
                    json!({"kind": "Status", "status": "Success"}),
                )
            }
            ("PATCH", _) => {
                let apply = content_type.contains("apply-patch");
                let Some(old) = existing else {
                    return if apply {
                        let mut object = body;
                        object["metadata"]["namespace"] = json!(namespace);
                        (StatusCode::CREATED, self.create(&collection, object))
                    } else {
                        refuse(404, "NotFound", "not found")
                    };
                };
                let mut new = old.clone();
                if content_type.contains("json-patch") {
                    let operations: json_patch::Patch = serde_json::from_value(body).unwrap();
                    if json_patch::patch(&mut new, &operations).is_err() {
                        let text = "the server rejected our request due to an error in our request";
                        return refuse(422, "Invalid", text);
                    }
                } else {
                    for field in ["uid", "resourceVersion"] {
                        let wanted = &body["metadata"][field];
                        if !wanted.is_null() && *wanted != old["metadata"][field] {
                            return refuse(409, "Conflict", "the object has been modified");
                        }
                    }
                    json_patch::merge(&mut new, &body);
                }
                // Of the kinds of argoproj.io only Rollouts have the subresource, as upstream.
                let has_subresource =
                    !collection.contains("/argoproj.io/") || collection.ends_with("/rollouts");
                if subresource == "status" && !has_subresource {
                    return refuse(404, "NotFound", "no such subresource");
                } else if subresource == "status" {
                    let status = new["status"].take();
                    new = old.clone();
                    new["status"] = status;
                } else if has_subresource {
                    match old.get("status") {
                        Some(status) => new["status"] = status.clone(),
                        None => {
                            new.as_object_mut().unwrap().remove("status");
                        }
                    }
                }
                if new == old {
                    return (StatusCode::OK, old);
                }
                if new["spec"] != old["spec"] {
                    let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
                    new["metadata"]["generation"] = json!(generation);
                }
                (StatusCode::OK, self.store(&collection, id, new, "MODIFIED"))
            }
            _ => refuse(405, "MethodNotAllowed", "not modelled"),
        }
    }

    fn list(&self, collection: &str, namespace: &str, query: &str) -> Value {
        let selector = parameter(query, "labelSelector");
        let items: Vec<&Value> = self.collections[collection]
            .iter()
            .filter(|((ns, _), object)| {
                (namespace.is_empty() || ns == namespace) && selects(&selector, object)
            })
            .map(|(_, object)| object)
            .collect();
        json!({"kind": "List", "metadata": {"resourceVersion": self.version.to_string()}, "items": items})
    }

    fn watch(&mut self, path: &str, query: &str) -> Response<Body> {
        let Some((collection, namespace, _, _)) = self.parse(path) else {
            let (code, body) = refuse(
                404,
                "NotFound",
                "the server could not find the requested resource",
            );
            return Response::builder()
                .status(code)
                .body(Body::from(body.to_string()))
                .unwrap();
        };
        let from: u64 = parameter(query, "resourceVersion").parse().unwrap_or(0);
        if from < self.forgotten {
            let (code, body) = refuse(410, "Expired", "too old resource version");
            return Response::builder()
                .status(code)
                .body(Body::from(body.to_string()))
                .unwrap();
        }
        let (sender, receiver) = unbounded();
        let watcher = Watcher {
            collection,
            namespace: Some(namespace).filter(|namespace| !namespace.is_empty()),
            selector: parameter(query, "labelSelector"),
            sender,
        };
        for past in self.history.iter().filter(|past| past.version > from) {
            if !self.held.iter().any(|held| held.version == past.version) {
                watcher.send(past);
            }
        }
        self.watchers.push(watcher);
        Response::new(Body::from_stream(receiver))
    }

    fn create(&mut self, collection: &str, mut object: Value) -> Value {
        self.uid += 1;
        object["metadata"]["uid"] = json!(format!("uid-{}", self.uid));
        object["metadata"]["generation"] = json!(1);
        object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        let id = id_of(&object);
        self.store(collection, id, object, "ADDED")
    }

    fn store(
        &mut self,
        collection: &str,
        id: (String, String),
        mut object: Value,
        kind: &'static str,
    ) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.collections
            .get_mut(collection)
            .unwrap()
            .insert(id, object.clone());
        self.happened(kind, collection, object.clone());
        object
    }

    fn delete(&mut self, collection: &str, id: &(String, String)) {
        if let Some(mut object) = self.collections.get_mut(collection).unwrap().remove(id) {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.happened("DELETED", collection, object);
        }
    }

    fn happened(&mut self, kind: &'static str, collection: &str, object: Value) {
        let past = Past {
            version: self.version,
            kind,
            collection: collection.to_owned(),
            object,
        };
        if self.lagging {
            self.held.push(past.copy());
        } else {
            self.send(&past);
        }
        self.history.push(past);
    }

    fn send(&mut self, past: &Past) {
        self.watchers.retain(|watcher| !watcher.sender.is_closed());
        for watcher in &self.watchers {
            watcher.send(past);
        }
    }
}

impl Past {
    fn copy(&self) -> Self {
        Self {
            collection: self.collection.clone(),
            object: self.object.clone(),
            ..*self
        }
    }
}

impl Watcher {
    fn send(&self, past: &Past) {
        let namespace = past.object["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default();
        if past.collection != self.collection
            || self
                .namespace
                .as_deref()
                .is_some_and(|wanted| wanted != namespace)
            || !selects(&self.selector, &past.object)
        {
            return;
        }
        let line = format!("{}\n", json!({"type": past.kind, "object": past.object}));
        let _ = self.sender.unbounded_send(Ok(Bytes::from(line)));
    }
}

fn id_of(object: &Value) -> (String, String) {
    let text = |key: &str| {
        object["metadata"][key]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (text("namespace"), text("name"))
}

fn refuse(code: u16, reason: &str, message: &str) -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message
    });
    (StatusCode::from_u16(code).unwrap(), status)
}

fn parameter(query: &str, name: &str) -> String {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| {
            value
                .replace("%3D", "=")
                .replace("%2F", "/")
                .replace("%2C", ",")
                .replace("%21", "!")
        })
        .unwrap_or_default()
}

fn selects(selector: &str, object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    selector
        .split(',')
        .filter(|part| !part.is_empty())
        .all(|part| {
            if let Some(key) = part.strip_prefix('!') {
                labels.get(key).is_none()
            } else if let Some((key, value)) = part.split_once('=') {
                labels.get(key).and_then(Value::as_str) == Some(value)
            } else {
                labels.get(part).is_some()
            }
        })
}

/// Lets everything that is ready run, without letting time pass beyond a few milliseconds.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// A Service of namespace `a`.
pub(crate) fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": "a"},
        "spec": {"selector": {"app": name}}
    })
}
