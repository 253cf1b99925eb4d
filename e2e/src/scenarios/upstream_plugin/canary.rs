//! Every command about a Rollout, on a canary with an HTTPRoute.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::super::Stage;
use super::super::canary::paused;
use super::super::fixtures::{self, rollout, routed, services};
use super::super::watch::{healthy, http_routes, observed, ready, replica_sets};
use super::Plugins;
use crate::demo::stage::{number, text};
use crate::install::MODULES;
use crate::product::checkout;
use crate::wait::eventually;

const STEPS: &str = "- setWeight: 20\n- pause: {}\n- setWeight: 60\n- pause: {}";
const DELAYS: &str = "scaleDownDelaySeconds: 3\nabortScaleDownDelaySeconds: 3";

/// `status`, `set image`, `get`, `list`, `promote`, `abort`, `retry`, `pause`, `restart`, `undo`, `lint`, `version`.
pub(in super::super) async fn canary(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("argo-canary").await?;
    let name = namespace.name();
    let story = Story {
        plugins: Plugins::new(&stage, name)?,
        stage: &stage,
        name,
    };
    story.offline().await?;
    namespace.apply_yaml(&services()).await?;
    namespace
        .apply_yaml(&fixtures::http_route(&format!("{name}.local")))
        .await?;
    namespace
        .apply_yaml(&rollout(2, &routed(name, STEPS, DELAYS)))
        .await?;
    story.plugins.status().await?;
    let v1 = story.stands("v1").await?;
    let v2 = story.update().await.context("the update to v2")?;
    story.pause().await.context("a pause by hand")?;
    story.restart().await.context("the restart")?;
    story.undo(&v1, &v2).await.context("back and forth")
}

struct Story<'a> {
    plugins: Plugins<'a>,
    stage: &'a Stage,
    name: &'a str,
}

impl Story<'_> {
    /// What needs no cluster: the version that is pinned, and examples that it accepts.
    async fn offline(&self) -> Result<()> {
        let module = MODULES.iter().find(|module| module.name == "argo-rollouts");
        let version = module.context("no module argo-rollouts")?.version()?;
        let said = self.plugins.argo("version --short").await?;
        ensure!(said.contains(&version), "not {version}: {said}");
        for example in ["canary-basic", "canary-gateway", "canary-nginx", "demo"] {
            let path = checkout()?.join(format!("examples/{example}/rollout.yaml"));
            self.plugins
                .argo(&format!("lint -f {}", path.display()))
                .await?;
        }
        Ok(())
    }

    /// To v2: a step, an abort, once more, and to the end at once. Returns the hash of v2.
    async fn update(&self) -> Result<String> {
        let plugins = &self.plugins;
        plugins.set_image("web", "v2").await?;
        let rollout = self.pauses_at(20).await?;
        plugins
            .get_rollout(&[
                "Status:          ॥ Paused",
                "Message:         CanaryPauseStep",
                "Strategy:        Canary",
                "  Step:          1/4",
                "  SetWeight:     20",
                "  ActualWeight:  20",
                "demo-app:v1 (stable)",
                "demo-app:v2 (canary)",
                "  Desired:       2",
                "  Updated:       1",
                "# revision:1",
                "# revision:2",
            ])
            .await?;
        let row = ["web", "Canary", "Paused", "1/4", "20", "3/3", "2", "1", "3"];
        plugins.list("rollouts", &row).await?;
        let said = plugins.argo("status web --watch=false").await?;
        ensure!(said.trim() == "Paused - CanaryPauseStep", "{said:?}");

        plugins.argo("promote web").await?;
        self.pauses_at(60).await?;
        plugins
            .get_rollout(&["  Step:          3/4", "  ActualWeight:  60"])
            .await?;

        plugins.argo("abort web").await?;
        let aborted =
            |rollout: &Value| observed(rollout) && text(rollout, "/status/phase") == "Degraded";
        self.until("the abort", aborted).await?;
        self.routes(0).await?;
        let error = plugins.argo("status web --timeout 5s").await.err();
        let error = error.context("`status` of a degraded Rollout ends well")?;
        ensure!(format!("{error:#}").contains("RolloutAborted"), "{error:#}");
        plugins
            .get_rollout(&["Status:          ✖ Degraded", "ScaledDown"])
            .await?;

        plugins.argo("retry rollout web").await?;
        self.pauses_at(20).await.context("after the retry")?;
        plugins.argo("promote web --full").await?;
        self.until("v2 to be healthy", healthy).await?;
        let v2 = self.stands("v2").await?;
        ensure!(
            v2 == text(&rollout, "/status/currentPodHash"),
            "v2 has another ReplicaSet than before the abort"
        );
        plugins
            .get_rollout(&["Status:          ✔ Healthy", "  Step:          4/4"])
            .await?;
        Ok(v2)
    }

    async fn pause(&self) -> Result<()> {
        self.plugins.argo("pause web").await?;
        let held =
            |rollout: &Value| observed(rollout) && text(rollout, "/status/phase") == "Paused";
        self.until("the pause by hand", held).await?;
        self.plugins
            .get_rollout(&["Message:         manually paused"])
            .await?;
        self.plugins.argo("promote web").await?;
        self.until("its end", healthy).await?;
        Ok(())
    }

    /// All pods are replaced, and the Rollout says when that was ordered.
    async fn restart(&self) -> Result<()> {
        // Instants of the API are whole seconds, and a pod of the very second is not older than the restart.
        let before = eventually("pods of a past second", Duration::from_secs(5), || async {
            let pods = self.stage.living_pods(self.name).await?;
            let now = jiff::Timestamp::now();
            for pod in &pods {
                let created: jiff::Timestamp = text(pod, "/metadata/creationTimestamp").parse()?;
                ensure!(
                    now.as_second() > created.as_second(),
                    "a pod is of this second"
                );
            }
            Ok(names(&pods))
        })
        .await?;
        self.plugins.argo("restart web").await?;
        let restarted = |rollout: &Value| {
            let ordered = text(rollout, "/spec/restartAt");
            healthy(rollout)
                && !ordered.is_empty()
                && text(rollout, "/status/restartedAt") == ordered
        };
        self.until("the end of the restart", restarted).await?;
        eventually("two new pods", Duration::from_secs(30), || async {
            let pods = self.stage.living_pods(self.name).await?;
            let stayed: Vec<_> = names(&pods).intersection(&before).cloned().collect();
            ensure!(stayed.is_empty(), "{stayed:?} are still there");
            let serve = pods.iter().filter(|pod| ready(pod)).count();
            ensure!(serve == 2, "{serve} pods serve");
            Ok(())
        })
        .await
    }

    /// To the revision before, and to one by its number: both have their ReplicaSets already.
    async fn undo(&self, v1: &str, v2: &str) -> Result<()> {
        let plugins = &self.plugins;
        plugins.argo("undo web").await?;
        let rollout = self.pauses_at(20).await?;
        ensure!(
            text(&rollout, "/status/currentPodHash") == v1,
            "v1 got another ReplicaSet than its own: {}",
            rollout["status"]
        );
        plugins
            .get_rollout(&[
                "demo-app:v1 (canary)",
                "demo-app:v2 (stable)",
                "# revision:3",
            ])
            .await?;
        plugins.argo("promote web --full").await?;
        self.until("v1 to be healthy", healthy).await?;
        ensure!(self.stands("v1").await? == v1, "another set is stable");

        plugins.argo("undo web --to-revision=2").await?;
        self.pauses_at(20).await?;
        for weight in [60, 0] {
            plugins.argo("promote web").await?;
            if weight > 0 {
                self.pauses_at(weight).await?;
            }
        }
        self.until("v2 to be healthy", healthy).await?;
        ensure!(self.stands("v2").await? == v2, "another set is stable");
        let sets = self.stage.list(self.name, &replica_sets()).await?;
        ensure!(
            sets.len() == 2,
            "{} ReplicaSets of two templates",
            sets.len()
        );
        plugins.get_rollout(&["# revision:4"]).await?;
        plugins.status().await
    }

    /// Waits for the pause at a weight, which the route has then.
    async fn pauses_at(&self, weight: i32) -> Result<Value> {
        let there = |rollout: &Value| {
            paused(rollout) && number(rollout, "/status/canary/weights/canary/weight") == weight
        };
        let what = format!("the pause at {weight} %");
        let rollout = self.until(&what, there).await?;
        self.routes(weight).await?;
        Ok(rollout)
    }

    /// The image that is stable has all of the traffic; returns the hash of its ReplicaSet.
    async fn stands(&self, version: &str) -> Result<String> {
        let rollout = self.until("its end", healthy).await?;
        let image = text(&rollout, "/spec/template/spec/containers/0/image");
        let stable = text(&rollout, "/status/stableRS");
        ensure!(
            image.ends_with(version) && stable == text(&rollout, "/status/currentPodHash"),
            "{image} is wanted, not {version}, or it is not stable: {}",
            rollout["status"]
        );
        self.routes(0).await?;
        Ok(stable)
    }

    /// Waits until the HTTPRoute gives the canary a weight, and the rest to stable.
    async fn routes(&self, weight: i32) -> Result<()> {
        let told = |route: &Value| {
            number(route, "/spec/rules/0/backendRefs/1/weight") == weight
                && number(route, "/spec/rules/0/backendRefs/0/weight") == 100 - weight
        };
        let what = format!("{weight} % on the route");
        self.stage
            .until(self.name, &http_routes(), "web", &what, 10, told)
            .await?;
        Ok(())
    }

    async fn until(&self, what: &str, done: impl Fn(&Value) -> bool) -> Result<Value> {
        self.stage.rollout_until(self.name, what, 60, done).await
    }
}

fn names(pods: &[Value]) -> BTreeSet<String> {
    pods.iter().map(|pod| text(pod, "/metadata/name")).collect()
}
