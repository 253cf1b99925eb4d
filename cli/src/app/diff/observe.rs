//! What is in the cluster, and what the API server says each target would become: a server-side apply as the sync loop's
//! field manager, as a dry run.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, anyhow};
use futures::StreamExt;
use kube::Client;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::discovery::{Discovery, Scope as KindScope};
use serde_json::Value;
use sluice_crds::application::Application;
use sluice_crds::names::GITOPS_FIELD_MANAGER;
use sluice_crds::rollout::Rollout;
use sluice_gitops::compare::{LiveState, Prediction, PredictionError};
use sluice_gitops::key::{GroupKind, Key};
use sluice_gitops::manifest::{Target, Targets};
use sluice_gitops::scope::Scope;

use super::Predictions;
use crate::cluster::Cluster;
use crate::failure;

/// Requests under way at once.
const AT_ONCE: usize = 8;

/// What the API serves.
pub(super) struct Api {
    client: Client,
    kinds: BTreeMap<(String, String), ApiResource>,
    preferred: BTreeMap<GroupKind, ApiResource>,
    scope: Scope,
    /// `apps/v1` and `apps/v1/Deployment`, for charts that ask.
    pub(super) api_versions: Vec<String>,
    /// As in `1.36.3`.
    pub(super) kube_version: String,
}

/// What was observed.
pub(super) struct Observed {
    /// What is there.
    pub(super) live: LiveState,
    /// What would be there.
    pub(super) predictions: Predictions,
}

impl Api {
    /// Asks which kinds there are.
    pub(super) async fn discover(cluster: &Cluster) -> Result<Self> {
        let client = cluster.client.clone();
        let discovery = Discovery::new(client.clone())
            .run_aggregated()
            .await
            .context("which kinds the API serves")?;
        let version = client
            .apiserver_version()
            .await
            .context("the version of the API server")?;
        // As in `v1.36.3-eks-1`: charts compare the first part.
        let number = version.git_version.trim_start_matches('v');
        let kube_version = number
            .split(['-', '+'])
            .next()
            .unwrap_or_default()
            .to_owned();
        let mut kinds = BTreeMap::new();
        let mut preferred = BTreeMap::new();
        let mut scopes = Vec::new();
        let mut api_versions = Vec::new();
        for group in discovery.groups() {
            let best = group.recommended_resources();
            for (resource, _) in best {
                preferred.insert(GroupKind::new(&resource.group, &resource.kind), resource);
            }
            for number in group.versions() {
                for (resource, capabilities) in group.versioned_resources(number) {
                    if !api_versions.contains(&resource.api_version) {
                        api_versions.push(resource.api_version.clone());
                    }
                    api_versions.push(format!("{}/{}", resource.api_version, resource.kind));
                    let namespaced = capabilities.scope == KindScope::Namespaced;
                    scopes.push((GroupKind::new(&resource.group, &resource.kind), namespaced));
                    kinds.insert(
                        (resource.api_version.clone(), resource.kind.clone()),
                        resource,
                    );
                }
            }
        }
        Ok(Self {
            client,
            kinds,
            preferred,
            scope: Scope::new(scopes),
            api_versions,
            kube_version,
        })
    }

    /// Which kinds have namespaces.
    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    fn api(&self, resource: &ApiResource, key: &Key) -> kube::Api<DynamicObject> {
        if key.namespace.is_empty() {
            kube::Api::all_with(self.client.clone(), resource)
        } else {
            kube::Api::namespaced_with(self.client.clone(), &key.namespace, resource)
        }
    }

    /// Reads what the targets name and what the Application had, and predicts each target that is there.
    pub(super) async fn observe(
        &self,
        application: &Application,
        targets: &Targets,
    ) -> Result<Observed> {
        let mut observed = Observed {
            live: LiveState {
                scope: self.scope.clone(),
                ..LiveState::default()
            },
            predictions: BTreeMap::new(),
        };
        let rollouts = self.rollouts(targets).await?;
        let rollouts: Vec<&Rollout> = rollouts.iter().collect();
        let plain = targets
            .objects
            .iter()
            .filter(|target| target.hook.is_none());
        let mut looks = futures::stream::iter(plain.map(|target| self.look(target, &rollouts)))
            .buffer_unordered(AT_ONCE);
        while let Some(looked) = looks.next().await {
            let (key, live, prediction) = looked?;
            if let Some(live) = live {
                observed.live.objects.insert(key.clone(), live);
            }
            if let Some(prediction) = prediction {
                observed.predictions.insert(key, prediction);
            }
        }
        drop(looks);
        for key in former(application) {
            let Some(resource) = self
                .preferred
                .get(&key.kind)
                .filter(|_| targets.plain(&key).is_none())
            else {
                continue;
            };
            if let Some(found) = self.read(resource, &key).await? {
                observed.live.objects.insert(key, found);
            }
        }
        Ok(observed)
    }

    /// The Rollouts of the namespaces that targets are in: what they drive is no difference.
    async fn rollouts(&self, targets: &Targets) -> Result<Vec<Rollout>> {
        let kind = ("argoproj.io/v1alpha1".to_owned(), "Rollout".to_owned());
        let Some(resource) = self.kinds.get(&kind) else {
            return Ok(Vec::new());
        };
        let namespaces: BTreeSet<&str> = targets
            .objects
            .iter()
            .map(|target| target.key.namespace.as_str())
            .filter(|namespace| !namespace.is_empty())
            .collect();
        let mut rollouts = Vec::new();
        for namespace in namespaces {
            let api: kube::Api<DynamicObject> =
                kube::Api::namespaced_with(self.client.clone(), namespace, resource);
            let listed = api
                .list(&ListParams::default())
                .await
                .with_context(|| format!("which Rollouts there are in {namespace}"))?;
            for object in listed {
                rollouts.extend(serde_json::from_value(serde_json::to_value(object)?).ok());
            }
        }
        Ok(rollouts)
    }

    async fn look(
        &self,
        target: &Target,
        rollouts: &[&Rollout],
    ) -> Result<(Key, Option<Value>, Option<Prediction>)> {
        let key = target.key.clone();
        let Some(resource) = self
            .kinds
            .get(&(target.api_version.clone(), key.kind.kind.clone()))
        else {
            let why = format!(
                "the cluster does not serve {} of {}",
                key.kind.kind, target.api_version
            );
            return Ok((key, None, Some(Err(PredictionError::UnknownKind(why)))));
        };
        let Some(live) = self.read(resource, &key).await? else {
            return Ok((key, None, None));
        };
        let parameters = PatchParams::apply(GITOPS_FIELD_MANAGER).force().dry_run();
        let mut wanted = target.object.clone();
        sluice_traffic::overlay_controlled(&mut wanted, &live, rollouts);
        let patch = Patch::Apply(&wanted);
        let prediction = match self
            .api(resource, &key)
            .patch(&key.name, &parameters, &patch)
            .await
        {
            Ok(predicted) => Ok(serde_json::to_value(predicted)?),
            Err(kube::Error::Api(status))
                if (400..500).contains(&status.code) && status.code != 403 =>
            {
                Err(PredictionError::Rejected(status.message.clone()))
            }
            Err(error) => {
                return Err(
                    anyhow!(error).context(format!("asking what {key} would become (a dry run)"))
                );
            }
        };
        Ok((key, Some(live), Some(prediction)))
    }

    async fn read(&self, resource: &ApiResource, key: &Key) -> Result<Option<Value>> {
        match self.api(resource, key).get_opt(&key.name).await {
            Ok(found) => Ok(found.map(serde_json::to_value).transpose()?),
            Err(error) => Err(anyhow!("reading {key}: {}", failure::of_client(&error))),
        }
    }
}

/// The objects that the Application had when it was compared last.
fn former(application: &Application) -> Vec<Key> {
    let resources = application
        .status
        .as_ref()
        .and_then(|status| status.resources.as_ref());
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    resources
        .into_iter()
        .flatten()
        .filter(|resource| resource.hook != Some(true))
        .map(|resource| {
            Key::new(
                &part(&resource.group),
                &part(&resource.kind),
                &part(&resource.namespace),
                &part(&resource.name),
            )
        })
        .collect()
}
