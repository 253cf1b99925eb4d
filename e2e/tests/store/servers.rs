//! The two API servers behind one face: requests in, answers and objects out.

use anyhow::{Result, bail};
use jiff::Timestamp;
use kube::Client;
use kube::core::params::{
    DeleteParams, GetParams, ListParams, Patch, PatchParams, PostParams, Preconditions,
    PropagationPolicy,
};
use kube::core::request::Request as Builder;
use serde_json::Value;
use sluice_rollout::Precondition;
use sluice_rollout::request::{Request, Target};
use sluice_simulation::requests;
use sluice_simulation::store::{Expected, Key, Refusal, Store};

use crate::kinds::Kind;
use crate::step::{Answer, Class, Send};

/// A real one.
pub(crate) struct Real {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Real {
    fn requests(&self, kind: &Kind) -> Builder {
        let root = match kind.api_version.as_str() {
            "v1" => "/api/v1".to_owned(),
            group => format!("/apis/{group}"),
        };
        Builder::new(format!(
            "{root}/namespaces/{}/{}",
            self.namespace, kind.plural
        ))
    }

    /// Sends a request as production does.
    pub(crate) async fn send(&self, kind: &Kind, name: &str, send: &Send) -> Result<Answer> {
        let builder = self.requests(kind);
        let params = PatchParams::default();
        let request = match send {
            Send::Create(object) => {
                builder.create(&PostParams::default(), serde_json::to_vec(object)?)?
            }
            Send::Merge(patch) => builder.patch(name, &params, &Patch::Merge(patch))?,
            Send::MergeStatus(patch) => {
                builder.patch_subresource("status", name, &params, &Patch::Merge(patch))?
            }
            Send::Json(patch) => {
                let patch = serde_json::from_value(patch.clone())?;
                builder.patch(name, &params, &Patch::<Value>::Json(patch))?
            }
            Send::Delete(expected) => {
                let field = |name: &str| Some(expected.get(name)?.as_str()?.to_owned());
                let preconditions = Preconditions {
                    uid: field("uid"),
                    resource_version: field("resourceVersion"),
                };
                let params = DeleteParams {
                    propagation_policy: Some(PropagationPolicy::Background),
                    preconditions: Some(preconditions),
                    ..DeleteParams::default()
                };
                builder.delete(name, &params)?
            }
        };
        match self.client.request::<Value>(request).await {
            Ok(_) if matches!(send, Send::Delete(_)) => Ok(Ok(None)),
            Ok(object) => Ok(Ok(Some(object))),
            Err(kube::Error::Api(status)) => {
                let causes = status.details.iter().flat_map(|details| &details.causes);
                let of_uid = causes.into_iter().any(|it| it.field == "metadata.uid");
                Ok(Err(match (status.code, status.reason.as_str()) {
                    (_, "AlreadyExists") => Class::AlreadyExists,
                    (404, _) => Class::NotFound,
                    (409, _) => Class::Conflict,
                    // A patch with the uid of another object of that name: production takes it for a conflict.
                    (422, _) if of_uid => Class::Conflict,
                    (400 | 422, _) => Class::Invalid,
                    // What a new object must not say has no code of its own.
                    (500, _)
                        if status
                            .message
                            .starts_with("resourceVersion should not be set") =>
                    {
                        Class::Invalid
                    }
                    _ => bail!("{} {name}: {status:?}", kind.kind),
                }))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn get(&self, kind: &Kind, name: &str) -> Result<Option<Value>> {
        let request = self.requests(kind).get(name, &GetParams::default())?;
        match self.client.request::<Value>(request).await {
            Ok(object) => Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// All objects of a kind, by name.
    pub(crate) async fn list(&self, kind: &Kind) -> Result<Vec<Value>> {
        let request = self.requests(kind).list(&ListParams::default())?;
        let list: Value = self.client.request(request).await?;
        let items = list["items"].as_array().into_iter().flatten();
        Ok(items.cloned().collect())
    }
}

/// The one in memory.
pub(crate) struct Simulated {
    store: Store,
    namespace: String,
}

impl Simulated {
    pub(crate) fn new(namespace: &str) -> Self {
        Self {
            store: Store::new(Timestamp::UNIX_EPOCH),
            namespace: namespace.to_owned(),
        }
    }

    fn key(&self, kind: &Kind, name: &str) -> Key {
        Key::new(&kind.kind, &self.namespace, name)
    }

    /// Sends a request as the engines do, where they can express it.
    pub(crate) fn send(&mut self, kind: &'static Kind, name: &str, send: &Send) -> Result<Answer> {
        let target = Target {
            api_version: &kind.api_version,
            kind: &kind.kind,
            plural: &kind.plural,
            namespace: self.namespace.clone(),
            name: name.to_owned(),
        };
        let key = self.key(kind, name);
        let merge = |status, patch: &Value| Request::Merge {
            target: target.clone(),
            status,
            patch: patch.clone(),
        };
        let store = &mut self.store;
        let answer = match send {
            Send::Create(object) => {
                let object = object.clone();
                requests::send(store, &Request::Create { target, object })
            }
            Send::Merge(patch) => requests::send(store, &merge(false, patch)),
            Send::MergeStatus(patch) => requests::send(store, &merge(true, patch)),
            Send::Json(patch) => requests::json_patch(store, &key, patch),
            Send::Delete(expected) => {
                let field = |name: &str| Some(expected.get(name)?.as_str()?.to_owned());
                match (field("uid"), field("resourceVersion")) {
                    (Some(uid), Some(resource_version)) => {
                        let precondition = Precondition {
                            uid,
                            resource_version,
                        };
                        let delete = Request::Delete {
                            target,
                            precondition,
                        };
                        requests::send(store, &delete)
                    }
                    (uid, resource_version) => {
                        let expected = Expected {
                            uid,
                            resource_version,
                        };
                        store.delete(&key, &expected).map(|()| None)
                    }
                }
            }
        };
        Ok(match answer {
            Ok(object) => Ok(object.map(|object| object.value().clone())),
            Err(Refusal::NotFound(_)) => Err(Class::NotFound),
            Err(Refusal::AlreadyExists(_)) => Err(Class::AlreadyExists),
            Err(Refusal::Conflict(_)) => Err(Class::Conflict),
            Err(Refusal::Invalid(..)) => Err(Class::Invalid),
            // Only the faults of a schedule refuse so.
            Err(refusal @ (Refusal::Forbidden(_) | Refusal::Unavailable(_))) => bail!(refusal),
        })
    }

    pub(crate) fn get(&self, kind: &Kind, name: &str) -> Option<Value> {
        self.store.get(&self.key(kind, name)).cloned()
    }

    /// All objects of a kind, by name.
    pub(crate) fn list(&self, kind: &Kind) -> Vec<Value> {
        self.store.list(&kind.kind).cloned().collect()
    }
}
