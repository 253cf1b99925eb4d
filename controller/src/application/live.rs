//! The cluster as one Application sees it: live objects of its targets and of what it owns, and what the API server
//! predicts for each target.
//!
//! The watches say which objects there are and in which version; only those whose version is new are read. Predictions
//! are asked for again only when the target or the live object (its status aside) has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{self, StreamExt};
use serde_json::Value;
use sluice_crds::application::{Application, ApplicationStatus};
use sluice_crds::rollout::Rollout;
use sluice_gitops::compare::{LiveState, Prediction, PredictionError};
use sluice_gitops::key::{GroupKind, Key as ObjectKey};
use sluice_gitops::manifest::Targets;
use sluice_runtime::api::{ApiError, ErrorKind};
use sluice_runtime::execute::ApplyOptions;
use sluice_runtime::{Cache, Context, Executor, Key, Kind, SyncState, WriteError};
use tokio::time::timeout;

use super::catalog::Known;
use super::memory::{Memories, Predicted, Remembered, basis};
use super::watches::{ByKind, Watches, object_key};

/// Requests of one Application that are under way at once.
const AT_ONCE: usize = 8;
/// How long the first view of a kind is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the cluster.
pub(crate) struct Live<'a> {
    pub(crate) ctx: &'a Context,
    /// Writes as the sync loop; used for dry runs only.
    pub(crate) executor: &'a Executor,
    pub(crate) watches: &'a Watches,
    pub(crate) memories: &'a Memories,
    pub(crate) known: &'a Known,
    pub(crate) app: &'a Key,
}

/// An object that could not be read.
#[derive(Debug)]
pub(crate) struct Unreadable(pub(crate) ApiError);

impl Live<'_> {
    /// Reads the live objects: those that are named, and those that the Application owns.
    pub(crate) async fn state(
        &self,
        tracking_name: &str,
        named: BTreeSet<ObjectKey>,
        kinds: BTreeSet<GroupKind>,
    ) -> Result<LiveState, Unreadable> {
        let kinds: BTreeSet<GroupKind> = kinds
            .into_iter()
            .chain(named.iter().map(|key| key.kind.clone()))
            .collect();
        let caches = self.caches(kinds).await;
        let mut wanted = named;
        wanted.extend(
            self.watches
                .index
                .owned(tracking_name)
                .into_iter()
                .filter(|key| caches.contains_key(&key.kind)),
        );
        let mut reads = Vec::new();
        for key in wanted {
            if let Some((kind, cache)) = caches.get(&key.kind) {
                reads.push(self.read(key, kind, cache).boxed());
            }
        }
        let found: Vec<_> = stream::iter(reads)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut objects = BTreeMap::new();
        for result in found {
            let (key, object) = result.map_err(Unreadable)?;
            if let Some(object) = object {
                objects.insert(key, object);
            }
        }
        self.memories.with(self.app, |memory| {
            memory.live.retain(|key, _| objects.contains_key(key));
            memory
                .predictions
                .retain(|key, _| caches.contains_key(&key.kind));
        });
        Ok(LiveState {
            objects,
            scope: self.known.scope.clone(),
        })
    }

    /// The watches of the kinds, each with its first view.
    async fn caches(&self, kinds: BTreeSet<GroupKind>) -> ByKind {
        let mut caches = ByKind::new();
        for kind in kinds {
            if let Some(served) = self.known.preferred(&kind) {
                let cache = self.watches.managed(served);
                caches.insert(kind, (served.clone(), cache));
            }
        }
        let settled = caches.values().map(|(_, cache)| cache.settled());
        // A kind that cannot be watched is read object by object.
        let _ = timeout(PATIENCE, futures::future::join_all(settled)).await;
        caches
    }

    async fn read(
        &self,
        key: ObjectKey,
        kind: &Kind,
        cache: &Arc<Cache>,
    ) -> Result<(ObjectKey, Option<Value>), ApiError> {
        let name = Key::new(&key.namespace, &key.name);
        if cache.state() == SyncState::Synced {
            let Some(seen) = cache.get(&name) else {
                return Ok((key, None));
            };
            let remembered = self.memories.with(self.app, |memory| {
                let remembered = memory.live.get(&key)?;
                (remembered.resource_version == *seen.resource_version).then(|| remembered.value())
            });
            if let Some(value) = remembered {
                return Ok((key, Some(value)));
            }
        }
        match self.ctx.api.get(kind, &name).await {
            Ok(Some(value)) => {
                let remembered = Remembered::new(&value);
                self.memories.with(self.app, |memory| {
                    memory.live.insert(key.clone(), remembered)
                });
                Ok((key, Some(value)))
            }
            Ok(None) => Ok((key, None)),
            // What may not be read cannot be compared; applying it will say so.
            Err(error) if error.kind == ErrorKind::Denied => {
                tracing::debug!(%error, "an object may not be read");
                Ok((key, None))
            }
            Err(error) => Err(error),
        }
    }

    /// Asks the API server what the targets would become.
    pub(crate) async fn predict(
        &self,
        targets: &Targets,
        live: &LiveState,
    ) -> BTreeMap<ObjectKey, Prediction> {
        let mut asks = Vec::new();
        for target in targets
            .objects
            .iter()
            .filter(|target| target.hook.is_none())
        {
            let live = live.objects.get(&target.key);
            let kind = self.known.kind(&target.api_version, &target.key.kind.kind);
            let ask = async move {
                let prediction = match kind {
                    Some(kind) => self.ask(&target.key, kind, &target.object, live).await,
                    None => Err(PredictionError::UnknownKind(format!(
                        "the API server does not serve {} {}",
                        target.api_version, target.key.kind.kind
                    ))),
                };
                (target.key.clone(), prediction)
            };
            asks.push(ask.boxed());
        }
        stream::iter(asks).buffer_unordered(AT_ONCE).collect().await
    }

    async fn ask(
        &self,
        key: &ObjectKey,
        kind: &Kind,
        target: &Value,
        live: Option<&Value>,
    ) -> Prediction {
        let basis = basis(target, live);
        let remembered = self.memories.with(self.app, |memory| {
            memory
                .predictions
                .get(key)
                .and_then(|known| known.value(&basis, live))
        });
        if let Some(value) = remembered {
            return Ok(value);
        }
        let options = ApplyOptions {
            force: true,
            dry_run: true,
            strict: false,
        };
        let name = Key::new(&key.namespace, &key.name);
        match self.executor.apply(kind, &name, target, options).await {
            Ok(written) => {
                let predicted = Predicted::new(basis, live, &written.object);
                self.memories.with(self.app, |memory| {
                    memory.predictions.insert(key.clone(), predicted)
                });
                Ok(written.object)
            }
            Err(error) => Err(classify(key, &error)),
        }
    }

    /// The Rollouts of the namespaces that targets are in; a malformed one is left out.
    pub(crate) fn rollouts(&self, targets: &Targets) -> Vec<Rollout> {
        let namespaces: BTreeSet<&str> = targets
            .objects
            .iter()
            .map(|target| target.key.namespace.as_str())
            .collect();
        namespaces
            .into_iter()
            .filter(|namespace| !namespace.is_empty())
            .flat_map(|namespace| self.watches.rollouts.in_namespace(namespace))
            .filter_map(|object| object.decode().ok())
            .collect()
    }
}

/// Sorts a refused dry run.
fn classify(key: &ObjectKey, error: &WriteError) -> PredictionError {
    let message = message(key, error);
    match error {
        WriteError::Gone(error) if error.message.starts_with("namespaces ") => {
            PredictionError::NoNamespace(message)
        }
        WriteError::Gone(_) => PredictionError::UnknownKind(message),
        WriteError::Unavailable(_) | WriteError::NotLeader => PredictionError::Unavailable(message),
        WriteError::Conflict(_)
        | WriteError::AlreadyExists(_)
        | WriteError::Denied(_)
        | WriteError::Invalid(_) => PredictionError::Rejected(message),
    }
}

/// What the server said; of a Secret, only which fields it did not like, since its words may hold values.
pub(crate) fn message(key: &ObjectKey, error: &WriteError) -> String {
    let (WriteError::Conflict(said)
    | WriteError::Gone(said)
    | WriteError::AlreadyExists(said)
    | WriteError::Denied(said)
    | WriteError::Invalid(said)
    | WriteError::Unavailable(said)) = error
    else {
        return error.to_string();
    };
    let is_secret = key.kind == GroupKind::new("", "Secret");
    if !is_secret || said.kind != ErrorKind::Invalid {
        return said.message.clone();
    }
    let fields = if said.fields.is_empty() {
        String::new()
    } else {
        said.fields.join(", ")
    };
    format!(
        "the API server refuses this Secret (HTTP {}){}{fields}; its words may hold values and are not shown",
        said.code,
        if fields.is_empty() { "" } else { ": " }
    )
}

/// The kinds that an Application managed when its status was written.
pub(crate) fn known_kinds(status: Option<&ApplicationStatus>) -> BTreeSet<GroupKind> {
    status
        .and_then(|status| status.resources.as_deref())
        .unwrap_or(&[])
        .iter()
        .map(|resource| {
            GroupKind::new(
                resource.group.as_deref().unwrap_or(""),
                resource.kind.as_deref().unwrap_or(""),
            )
        })
        .collect()
}

/// The objects that are listed in an Application's status.
pub(crate) fn known_objects(status: Option<&ApplicationStatus>) -> BTreeSet<ObjectKey> {
    let resources = status
        .and_then(|status| status.resources.as_deref())
        .unwrap_or(&[]);
    resources
        .iter()
        .map(|resource| {
            let kind = GroupKind::new(
                resource.group.as_deref().unwrap_or(""),
                resource.kind.as_deref().unwrap_or(""),
            );
            let name = Key::new(
                resource.namespace.as_deref().unwrap_or(""),
                resource.name.as_deref().unwrap_or(""),
            );
            object_key(&kind, &name)
        })
        .collect()
}

/// The namespace of a destination, as an object.
pub(crate) fn destination_namespace(app: &Application) -> Option<ObjectKey> {
    let name = app.spec.destination.namespace();
    (!name.is_empty()).then(|| ObjectKey::new("", "Namespace", "", name))
}
