//! What a measurement runs on: an API server of its own, simulated nodes, and the controller that is measured.
//!
//! etcd, kube-apiserver, controller-manager and scheduler are real; nodes are kwok's, so pods are ready at once and the
//! controller is what is waited for. Everything ends with the value.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::Value;

use super::Settings;
use super::manifests::{self, rollouts};
use super::subject::{self, Running, SYSTEM, Subject};
use super::watch::Watch;
use crate::cluster::{self, ControlPlane};
use crate::demo::stage::text;
use crate::install;
use crate::product::checkout;
use crate::progress::Reporter;
use crate::wait::eventually;

/// The namespace of the objects that are measured.
pub const NAMESPACE: &str = "bench";

/// How many requests this program has under way at once.
const AT_ONCE: usize = 24;

/// Pods for which one simulated node is made; a node has room for 1,000.
const PODS_PER_NODE: usize = 500;

/// The stage.
pub struct Stage {
    /// The control plane.
    pub cluster: ControlPlane,
    /// A client with the rights of an administrator.
    pub client: kube::Client,
    /// The controller.
    pub subject: Subject,
    /// What was asked for.
    pub settings: Settings,
    /// Where progress is shown.
    pub reporter: Reporter,
}

impl Stage {
    /// Starts a control plane with room for so many pods, and installs what Rollouts need.
    ///
    /// # Errors
    /// When a component does not start.
    pub async fn start(
        subject: &Subject,
        settings: &Settings,
        reporter: &Reporter,
        pods: usize,
    ) -> Result<Self> {
        let step = reporter.step("control plane");
        let cluster = cluster::control_plane(true).await?;
        let client = cluster.client().await?;
        let mut crds = install::manifests(reporter).await?.crds;
        let folder = checkout()?.join("crds/yaml");
        let files = std::fs::read_dir(&folder);
        for file in files.with_context(|| format!("cannot read {}", folder.display()))? {
            crds.extend(cluster::parse(&std::fs::read_to_string(file?.path())?)?);
        }
        cluster::apply::crds(&client, &crds).await?;
        cluster.kwok_nodes(pods.div_ceil(PODS_PER_NODE) + 1).await?;
        let namespaces = [SYSTEM, NAMESPACE].map(manifests::namespace);
        cluster::apply::objects(&client, &namespaces, None).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), NAMESPACE);
        let account = || async {
            let account = accounts.get_opt("default").await?;
            account.map(drop).context("it is not there")
        };
        eventually("the service account", Duration::from_secs(20), account).await?;
        step.done(cluster.server());
        Ok(Self {
            cluster,
            client,
            subject: subject.clone(),
            settings: settings.clone(),
            reporter: reporter.clone(),
        })
    }

    /// Starts the controller, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn controller(&self) -> Result<Running> {
        self.subject.start(&self.cluster).await
    }

    /// An error with the last lines of the controller's log, which ends with the stage.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        self.cluster.processes().with_log(subject::NAME, error)
    }

    /// Objects of a kind in the measured namespace.
    #[must_use]
    pub fn api(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), NAMESPACE, resource)
    }

    /// Creates objects in the measured namespace, in their order.
    ///
    /// # Errors
    /// When the API server refuses one; the error names it.
    pub async fn create(&self, objects: Vec<Value>) -> Result<()> {
        for object in objects {
            let object: DynamicObject = serde_json::from_value(object)?;
            let types = object.types.clone().context("an object has no kind")?;
            let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
            let created = self
                .api(&resource)
                .create(&PostParams::default(), &object)
                .await;
            let name = object.metadata.name.unwrap_or_default();
            created.with_context(|| format!("cannot create {} {name}", types.kind))?;
        }
        Ok(())
    }

    /// Merges a patch into an object.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn merge(&self, resource: &ApiResource, name: &str, patch: &Value) -> Result<()> {
        let patched = self
            .api(resource)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        patched.with_context(|| format!("cannot patch {} {name}", resource.kind))?;
        Ok(())
    }

    /// Merges a patch into the status of a Rollout, as the kubectl plugin and UIs do.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn merge_status(&self, rollout: &str, patch: &Value) -> Result<()> {
        let patched = self
            .api(&rollouts())
            .patch_status(rollout, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        patched.with_context(|| format!("cannot patch the status of {rollout}"))?;
        Ok(())
    }

    /// Gives a Rollout another version of its app.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn update(&self, rollout: &str, version: &str) -> Result<()> {
        let patch = serde_json::from_value(manifests::update(version))?;
        let patched = self
            .api(&rollouts())
            .patch(
                rollout,
                &PatchParams::default(),
                &Patch::<Value>::Json(patch),
            )
            .await;
        patched.with_context(|| format!("cannot update {rollout}"))?;
        Ok(())
    }

    /// Does something for each name and its index, with a bounded number under way at once; shows how far it is.
    ///
    /// # Errors
    /// The first error; what had not begun by then is not done.
    pub async fn for_each<F, Fut>(&self, what: &str, names: &[String], each: F) -> Result<()>
    where
        F: Fn(usize, String) -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        let step = self.reporter.step(what);
        let mut done = 0_usize;
        let each = |(index, name): (usize, &String)| each(index, name.clone());
        let mut work = stream::iter(names.iter().enumerate().map(each)).buffer_unordered(AT_ONCE);
        while work.try_next().await?.is_some() {
            done += 1;
            step.detail(format!("{done} of {}", names.len()));
        }
        step.done(format!("{done}"));
        Ok(())
    }

    /// Watches the Rollouts.
    #[must_use]
    pub fn watch_rollouts(&self) -> Watch<RolloutState> {
        Watch::start(self.api(&rollouts()), |object| {
            Some(RolloutState::of(object))
        })
    }

    /// Waits until as many Rollouts as there are names are healthy in the spec that they have now.
    ///
    /// # Errors
    /// When for `patience` none of the missing became healthy; the error names one of them.
    pub async fn all_healthy(
        &self,
        what: &str,
        watch: &mut Watch<RolloutState>,
        names: &[String],
        patience: Duration,
        wanted: impl Fn(&RolloutState) -> bool,
    ) -> Result<Instant> {
        let step = self.reporter.step(what);
        let mut missing: BTreeSet<&String> = names.iter().collect();
        let mut last = Instant::now();
        while let Some(example) = missing.first().map(|name| (*name).clone()) {
            let healthy = |state: &RolloutState| {
                state.is_healthy() && wanted(state) && missing.contains(&state.name)
            };
            let waiting = format!("{example} to be healthy");
            let seen = match watch.until(&waiting, patience, healthy).await {
                Ok(seen) => seen,
                Err(error) => bail!("{error:#} ({} of {} are not)", missing.len(), names.len()),
            };
            missing.remove(&seen.what.name);
            last = seen.at;
            step.detail(format!(
                "{} of {}",
                names.len() - missing.len(),
                names.len()
            ));
        }
        step.done(format!("{}", names.len()));
        Ok(last)
    }
}

/// What is of interest in a Rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutState {
    /// Its name.
    pub name: String,
    /// `status.phase`.
    pub phase: String,
    /// Whether the status belongs to the spec.
    pub observed: bool,
    /// `status.currentStepIndex`.
    pub step: i64,
    /// Whether there is a pause condition of a step.
    pub waiting: bool,
    /// `status.abort`.
    pub aborted: bool,
    /// `status.stableRS`.
    pub stable: String,
    /// `status.currentPodHash`.
    pub current: String,
}

impl RolloutState {
    fn of(object: &DynamicObject) -> Self {
        let data = &object.data;
        let generation = object.metadata.generation.unwrap_or(0).to_string();
        Self {
            name: object.metadata.name.clone().unwrap_or_default(),
            phase: text(data, "/status/phase"),
            observed: text(data, "/status/observedGeneration") == generation,
            step: data
                .pointer("/status/currentStepIndex")
                .and_then(Value::as_i64)
                .unwrap_or(0),
            waiting: data.pointer("/status/pauseConditions/0").is_some(),
            aborted: data.pointer("/status/abort") == Some(&Value::Bool(true)),
            stable: text(data, "/status/stableRS"),
            current: text(data, "/status/currentPodHash"),
        }
    }

    /// Whether all of it runs the revision of its spec.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.observed && self.phase == "Healthy" && self.stable == self.current
    }

    /// Whether it waits in a pause step.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.observed && self.phase == "Paused" && self.waiting && !self.aborted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn state(status: Value) -> RolloutState {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "a", "generation": 2}, "status": status,
        });
        RolloutState::of(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_rollout_is_healthy_only_in_the_spec_that_it_has() {
        let status = |generation: &str, stable: &str| {
            json!({
                "phase": "Healthy", "observedGeneration": generation,
                "stableRS": stable, "currentPodHash": "b",
            })
        };
        assert!(state(status("2", "b")).is_healthy());
        assert!(!state(status("1", "b")).is_healthy());
        assert!(!state(status("2", "a")).is_healthy());
    }

    #[test]
    fn an_aborted_rollout_is_not_taken_for_one_that_waits() {
        let status = |abort: bool| {
            json!({
                "phase": "Paused", "observedGeneration": "2", "abort": abort,
                "pauseConditions": [{"reason": "CanaryPauseStep"}],
            })
        };
        assert!(state(status(false)).is_paused());
        assert!(!state(status(true)).is_paused());
    }
}
