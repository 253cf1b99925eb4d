//! Writes to the Kubernetes API: the only place that makes any.
//!
//! Each write has a time limit ([`crate::api::REQUEST_TIMEOUT`], shortened to what the [`Fence`] still allows), is
//! fenced by uid and resourceVersion where the caller gives them, and is sent again only where that is safe: a patch
//! that carries a resourceVersion, a deletion that carries a uid, an apply, and a create, whose second sending ends in
//! [`WriteError::AlreadyExists`] that the caller resolves by looking whose the object is. A conflict is never retried
//! here: the caller observes again and decides again.

use std::sync::Arc;
use std::time::Duration;

use kube::core::params::{
    DeleteParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
    ValidationDirective,
};
use kube::core::request::Request as RequestBuilder;
use serde_json::{Map, Value, json};
use sluice_crds::merge_patch::merge_diff;
use tokio::time::Instant;

use crate::api::{self, Api, ApiError, ErrorKind, Label, REQUEST_TIMEOUT, Retry};
use crate::fence::Fence;
use crate::kind::Kind;
use crate::object::Key;

/// A write that was confirmed.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// `metadata.uid` of the object.
    pub uid: String,
    /// Its `metadata.resourceVersion` after the write.
    pub resource_version: String,
    /// The object after the write. Metadata only, except after [`Executor::apply`].
    pub object: Value,
}

/// How far a deletion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The object is gone.
    Gone,
    /// The object is marked and waits for finalizers or for its grace period.
    Marked,
}

/// A write that was not confirmed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// The object is not what the caller thought: observe again.
    #[error("{0}")]
    Conflict(ApiError),
    /// The object (or its namespace, or its kind) does not exist.
    #[error("{0}")]
    Gone(ApiError),
    /// An object of that name exists: see whose it is.
    #[error("{0}")]
    AlreadyExists(ApiError),
    /// Our account may not do that.
    #[error("{0}")]
    Denied(ApiError),
    /// The API refuses the content; it will not go away by itself.
    #[error("{0}")]
    Invalid(ApiError),
    /// No answer, or the server is busy: try later. The write may have been carried out.
    #[error("{0}")]
    Unavailable(ApiError),
    /// This process is not the leader (any more); nothing was sent.
    #[error("not written, since this process is not the leader")]
    NotLeader,
}

impl WriteError {
    /// One word for metrics.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            WriteError::Conflict(_) => "conflict",
            WriteError::Gone(_) => "gone",
            WriteError::AlreadyExists(_) => "already_exists",
            WriteError::Denied(_) => "denied",
            WriteError::Invalid(_) => "invalid",
            WriteError::Unavailable(_) => "unavailable",
            WriteError::NotLeader => "not_leader",
        }
    }

    /// Whether the same write may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            WriteError::Conflict(_) | WriteError::Unavailable(_) | WriteError::NotLeader
        )
    }
}

impl From<ApiError> for WriteError {
    fn from(error: ApiError) -> Self {
        match error.kind {
            ErrorKind::NotFound => WriteError::Gone(error),
            ErrorKind::Conflict => WriteError::Conflict(error),
            ErrorKind::AlreadyExists => WriteError::AlreadyExists(error),
            ErrorKind::Denied => WriteError::Denied(error),
            ErrorKind::Invalid | ErrorKind::Expired => WriteError::Invalid(error),
            ErrorKind::Unavailable => WriteError::Unavailable(error),
        }
    }
}

/// What an existing object must still be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Must {
    /// `metadata.uid`.
    pub uid: Option<String>,
    /// `metadata.resourceVersion`.
    pub resource_version: Option<String>,
}

impl Must {
    /// No precondition: for orders that hold whatever the object is now (`spec.terminate` of a run).
    #[must_use]
    pub fn exist() -> Self {
        Self::default()
    }

    /// Still that object, in that version.
    #[must_use]
    pub fn be(uid: impl Into<String>, resource_version: impl Into<String>) -> Self {
        Self {
            uid: Some(uid.into()),
            resource_version: Some(resource_version.into()),
        }
    }

    /// Still that object, in whatever version.
    #[must_use]
    pub fn be_uid(uid: impl Into<String>) -> Self {
        Self {
            uid: Some(uid.into()),
            resource_version: None,
        }
    }
}

/// How [`Executor::apply`] applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Take fields over from other managers.
    pub force: bool,
    /// Ask what would come out, and change nothing.
    pub dry_run: bool,
    /// Refuse fields that the API does not know, instead of dropping them.
    pub strict: bool,
}

/// Makes writes under one field manager; cheap to clone.
#[derive(Clone)]
pub struct Executor {
    api: Api,
    fence: Fence,
    manager: Arc<str>,
    timeout: Duration,
}

impl Executor {
    /// Writes as `manager` while the fence is open.
    #[must_use]
    pub fn new(api: Api, fence: Fence, manager: &str) -> Self {
        Self {
            api,
            fence,
            manager: manager.into(),
            timeout: REQUEST_TIMEOUT,
        }
    }

    /// The same under another field manager.
    #[must_use]
    pub fn with_manager(&self, manager: &str) -> Self {
        Self {
            manager: manager.into(),
            ..self.clone()
        }
    }

    /// The same in another cluster, under the same fence.
    #[must_use]
    pub fn with_api(&self, api: Api) -> Self {
        Self {
            api,
            ..self.clone()
        }
    }

    /// Creates an object.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn create(
        &self,
        kind: &Kind,
        namespace: &str,
        object: &Value,
    ) -> Result<Written, WriteError> {
        let name = object
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or("(generated)");
        let key = Key::new(namespace, name);
        let label = Label {
            verb: "create",
            kind,
            target: &key,
        };
        let params = PostParams {
            dry_run: false,
            field_manager: Some(self.manager.to_string()),
        };
        let body = serde_json::to_vec(object).map_err(|error| api::malformed(label, &error))?;
        let mut request = RequestBuilder::new(kind.collection_path(Some(namespace)))
            .create(&params, body)
            .map_err(|error| api::malformed(label, &error))?;
        api::accept_metadata_only(&mut request);
        self.send(label, request, Retry::Safe).await
    }

    /// Merges `patch` into an object (RFC 7386), with the preconditions as part of the patch.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn merge(
        &self,
        kind: &Kind,
        key: &Key,
        must: &Must,
        patch: Value,
    ) -> Result<Written, WriteError> {
        self.merge_into(kind, key, None, must, patch).await
    }

    /// Merges into the status the difference between the old and the new one, with the preconditions as part of the
    /// patch. `None` when they are equal: nothing is sent.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn status(
        &self,
        kind: &Kind,
        key: &Key,
        must: &Must,
        old: &Value,
        new: &Value,
    ) -> Result<Option<Written>, WriteError> {
        let Some(patch) = merge_diff(old, new) else {
            return Ok(None);
        };
        self.merge_status(kind, key, must, json!({ "status": patch }))
            .await
            .map(Some)
    }

    /// Merges a patch whose content is the status, by the subresource where the kind has one.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn merge_status(
        &self,
        kind: &Kind,
        key: &Key,
        must: &Must,
        patch: Value,
    ) -> Result<Written, WriteError> {
        let subresource = kind.has_status_subresource().then_some("status");
        self.merge_into(kind, key, subresource, must, patch).await
    }

    async fn merge_into(
        &self,
        kind: &Kind,
        key: &Key,
        subresource: Option<&str>,
        must: &Must,
        mut patch: Value,
    ) -> Result<Written, WriteError> {
        if let Some(patch) = patch.as_object_mut() {
            let metadata = patch
                .entry("metadata")
                .or_insert_with(|| Value::Object(Map::new()));
            if let Some(metadata) = metadata.as_object_mut() {
                for (field, value) in [
                    ("uid", &must.uid),
                    ("resourceVersion", &must.resource_version),
                ] {
                    if let Some(value) = value {
                        metadata.insert(field.to_owned(), value.as_str().into());
                    }
                }
                if metadata.is_empty() {
                    patch.remove("metadata");
                }
            }
        }
        // Without a resourceVersion a merge patch is still idempotent: it says what fields shall be.
        self.patch(kind, key, subresource, &Patch::Merge(patch), Retry::Safe)
            .await
    }

    /// Applies a JSON patch (RFC 6902). Its `test` operations fence it; [`Must`] adds tests of uid and resourceVersion
    /// before them.
    ///
    /// # Errors
    /// See [`WriteError`]; a patch that does not fit the object any more is a [`WriteError::Conflict`].
    pub async fn json_patch(
        &self,
        kind: &Kind,
        key: &Key,
        must: &Must,
        operations: Vec<Value>,
    ) -> Result<Written, WriteError> {
        let label = Label {
            verb: "patch",
            kind,
            target: key,
        };
        let test = |path: &str, value: &Option<String>| {
            Some(json!({"op": "test", "path": path, "value": value.as_ref()?}))
        };
        let fence = [
            test("/metadata/uid", &must.uid),
            test("/metadata/resourceVersion", &must.resource_version),
        ];
        let all: Vec<Value> = fence.into_iter().flatten().chain(operations).collect();
        // Operations on lists are not idempotent; a test makes the server refuse the second sending.
        let fenced = all
            .iter()
            .any(|operation| operation.get("op") == Some(&json!("test")));
        let retry = if fenced { Retry::Safe } else { Retry::Never };
        let patch = serde_json::from_value(Value::Array(all))
            .map_err(|error| api::malformed(label, &error))?;
        match self
            .patch(kind, key, None, &Patch::<Value>::Json(patch), retry)
            .await
        {
            // The API server says neither which operation did not fit nor that one did not: it answers 422 without
            // naming a field, as it always does for an object that is refused for its content.
            Err(WriteError::Invalid(error)) if error.code == 422 && error.fields.is_empty() => {
                Err(WriteError::Conflict(error))
            }
            other => other,
        }
    }

    /// Server-side apply; the answer holds the whole object as it is (or would be) afterwards.
    ///
    /// # Errors
    /// See [`WriteError`]; fields of other managers are a [`WriteError::Conflict`] unless forced.
    pub async fn apply(
        &self,
        kind: &Kind,
        key: &Key,
        object: &Value,
        options: ApplyOptions,
    ) -> Result<Written, WriteError> {
        let label = Label {
            verb: "apply",
            kind,
            target: key,
        };
        let params = PatchParams {
            dry_run: options.dry_run,
            force: options.force,
            field_manager: Some(self.manager.to_string()),
            field_validation: options.strict.then_some(ValidationDirective::Strict),
        };
        let request = RequestBuilder::new(kind.collection_path(Some(&key.namespace)))
            .patch(&key.name, &params, &Patch::Apply(object))
            .map_err(|error| api::malformed(label, &error))?;
        self.send(label, request, Retry::Safe).await
    }

    /// Replaces a whole object. With a resourceVersion in it, only that version is replaced.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn replace(
        &self,
        kind: &Kind,
        key: &Key,
        object: &Value,
    ) -> Result<Written, WriteError> {
        let label = Label {
            verb: "replace",
            kind,
            target: key,
        };
        let params = PostParams {
            dry_run: false,
            field_manager: Some(self.manager.to_string()),
        };
        let body = serde_json::to_vec(object).map_err(|error| api::malformed(label, &error))?;
        let mut request = RequestBuilder::new(kind.collection_path(Some(&key.namespace)))
            .replace(&key.name, &params, body)
            .map_err(|error| api::malformed(label, &error))?;
        api::accept_metadata_only(&mut request);
        let fenced = object
            .pointer("/metadata/resourceVersion")
            .is_some_and(Value::is_string);
        let retry = if fenced { Retry::Safe } else { Retry::Never };
        self.send(label, request, retry).await
    }

    /// Deletes an object; one that is gone already counts as deleted.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn delete(
        &self,
        kind: &Kind,
        key: &Key,
        must: &Must,
        propagation: PropagationPolicy,
    ) -> Result<Deleted, WriteError> {
        let label = Label {
            verb: "delete",
            kind,
            target: key,
        };
        let preconditions = (*must != Must::exist()).then(|| Preconditions {
            resource_version: must.resource_version.clone(),
            uid: must.uid.clone(),
        });
        let params = DeleteParams {
            propagation_policy: Some(propagation),
            preconditions,
            ..DeleteParams::default()
        };
        let request = RequestBuilder::new(kind.collection_path(Some(&key.namespace)))
            .delete(&key.name, &params)
            .map_err(|error| api::malformed(label, &error))?;
        let retry = if must.uid.is_some() {
            Retry::Safe
        } else {
            Retry::Never
        };
        match self.send(label, request, retry).await {
            Ok(written) => {
                let marked = written
                    .object
                    .pointer("/metadata/deletionTimestamp")
                    .is_some();
                Ok(if marked {
                    Deleted::Marked
                } else {
                    Deleted::Gone
                })
            }
            Err(WriteError::Gone(_)) => Ok(Deleted::Gone),
            Err(error) => Err(error),
        }
    }

    /// Asks for the eviction of a pod with this uid. True when it goes, or is gone already; false when a disruption budget
    /// does not allow it now.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn evict(&self, kind: &Kind, key: &Key, uid: &str) -> Result<bool, WriteError> {
        let label = Label {
            verb: "evict",
            kind,
            target: key,
        };
        let eviction = json!({
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": { "name": &*key.name, "namespace": &*key.namespace },
            "deleteOptions": { "preconditions": { "uid": uid } }
        });
        let body = serde_json::to_vec(&eviction).map_err(|error| api::malformed(label, &error))?;
        let request = RequestBuilder::new(kind.collection_path(Some(&key.namespace)))
            .create_subresource("eviction", &key.name, &PostParams::default(), body)
            .map_err(|error| api::malformed(label, &error))?;
        // A refusal is an answer: whoever asked looks again later.
        match self.send(label, request, Retry::Never).await {
            Ok(_) | Err(WriteError::Gone(_) | WriteError::Conflict(_)) => Ok(true),
            Err(WriteError::Unavailable(error)) if error.code == 429 => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn patch(
        &self,
        kind: &Kind,
        key: &Key,
        subresource: Option<&str>,
        patch: &Patch<Value>,
        retry: Retry,
    ) -> Result<Written, WriteError> {
        let label = Label {
            verb: "patch",
            kind,
            target: key,
        };
        let params = PatchParams {
            field_manager: Some(self.manager.to_string()),
            ..PatchParams::default()
        };
        let builder = RequestBuilder::new(kind.collection_path(Some(&key.namespace)));
        let mut request = match subresource {
            None => builder.patch(&key.name, &params, patch),
            Some(subresource) => builder.patch_subresource(subresource, &key.name, &params, patch),
        }
        .map_err(|error| api::malformed(label, &error))?;
        api::accept_metadata_only(&mut request);
        self.send(label, request, retry).await
    }

    async fn send(
        &self,
        label: Label<'_>,
        request: axum::http::Request<Vec<u8>>,
        retry: Retry,
    ) -> Result<Written, WriteError> {
        let outcome = match self.fence.remaining() {
            None => Err(WriteError::NotLeader),
            Some(left) => {
                let deadline = Instant::now() + self.timeout.min(left);
                self.api
                    .call(label, request, retry, deadline)
                    .await
                    .map_err(WriteError::from)
            }
        };
        let result = outcome.as_ref().map_or_else(WriteError::label, |_| "done");
        metrics::counter!(
            "sluice_writes_total",
            "kind" => label.kind.kind.clone(), "verb" => label.verb, "outcome" => result
        )
        .increment(1);
        match &outcome {
            Ok(_) => tracing::debug!(request = %label, "written"),
            Err(error) => tracing::debug!(request = %label, %error, "not written"),
        }
        outcome.map(|object| {
            let text = |pointer: &str| {
                object
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            Written {
                uid: text("/metadata/uid"),
                resource_version: text("/metadata/resourceVersion"),
                object,
            }
        })
    }
}
