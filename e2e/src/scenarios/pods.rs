//! What happens to pods: restarts under a disruption budget, images that are not there, pods that crash, metadata of
//! pods that live.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::Stage;
use super::canary::{paused, sizes};
use super::fixtures::rollout;
use super::watch::{healthy, observed, pods, ready, reason, rollouts};
use crate::cluster::BUSYBOX_IMAGE;
use crate::demo::stage::{number, text};
use crate::wait::eventually;

/// An image that no registry has: nothing listens there.
const NO_IMAGE: &str = "127.0.0.1:1/nothing:1";

/// The Rollout itself would let all pods go at once; the budget lets one go at a time.
pub(super) async fn restart(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("restart").await?;
    let name = namespace.name();
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "web" },
        "spec": { "minAvailable": 3, "selector": { "matchLabels": { "app": "web" } } }
    });
    namespace.apply_yaml(&budget.to_string()).await?;
    let strategy = "canary:\n  maxUnavailable: 100%\n  maxSurge: 0\n  steps:\n    - setWeight: 50";
    namespace.apply_yaml(&rollout(4, strategy)).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    let before = names(&stage.living_pods(name).await?);
    // Instants of the API are whole seconds: the pods are older than the next one.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let now = text(
        &json!({ "now": jiff::Timestamp::now().round(jiff::Unit::Second)? }),
        "/now",
    );
    stage
        .patch(
            name,
            &rollouts(),
            "web",
            &json!({ "spec": { "restartAt": now } }),
        )
        .await?;
    let began = Instant::now();
    loop {
        let pods = stage.living_pods(name).await?;
        let serving = pods.iter().filter(|pod| ready(pod)).count();
        ensure!(
            serving >= 3,
            "{serving} pods serve, below the budget of 3, after {} s",
            began.elapsed().as_secs()
        );
        let rollout = stage.get(name, &rollouts(), "web").await?;
        if text(&rollout, "/status/restartedAt") == now && healthy(&rollout) && serving == 4 {
            break;
        }
        ensure!(
            began.elapsed() < Duration::from_secs(150),
            "not over: {}",
            rollout["status"]
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let after = names(&stage.living_pods(name).await?);
    ensure!(
        before.keys().all(|pod| !after.contains_key(pod)),
        "pods from before the restart live: {before:?}, {after:?}"
    );
    let sizes = sizes(&stage, name).await?;
    ensure!(sizes == [4], "another set was made: {sizes:?}");
    Ok(())
}

/// An image that cannot be pulled: the update is stuck and says so, the stable pods serve, a good image gets it going.
pub(super) async fn image_is_missing(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("noimage").await?;
    let name = namespace.name();
    stuck(&stage, &namespace, NO_IMAGE, false).await?;
    let rollout = stage.get(name, &rollouts(), "web").await?;
    ensure!(
        rollout.pointer("/status/abort").is_none(),
        "aborted without progressDeadlineAbort: {}",
        rollout["status"]
    );
    stage.update(name, "v2").await?;
    stage
        .rollout_until(name, "the pause of the good update", 60, paused)
        .await?;
    stage.promote(name).await?;
    stage
        .rollout_until(name, "v2 to be healthy", 60, healthy)
        .await?;
    Ok(())
}

/// Pods that crash, and `progressDeadlineAbort`: the update is aborted and leaves nothing.
pub(super) async fn pods_crash(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("crash").await?;
    let name = namespace.name();
    // A shell without input ends at once.
    stuck(&stage, &namespace, BUSYBOX_IMAGE, true).await?;
    let rollout = stage
        .rollout_until(name, "the abort", 20, |rollout| {
            rollout.pointer("/status/abort") == Some(&json!(true))
                && text(rollout, "/status/phase") == "Degraded"
        })
        .await?;
    ensure!(
        text(&rollout, "/status/stableRS") != text(&rollout, "/status/currentPodHash"),
        "the crashing set is stable: {}",
        rollout["status"]
    );
    eventually("the stable set alone", Duration::from_secs(40), || async {
        let sizes = sizes(&stage, name).await?;
        let pods = stage.living_pods(name).await?;
        let serving = pods.iter().filter(|pod| ready(pod)).count();
        ensure!(
            sizes == [3] && serving == 3 && pods.len() == 3,
            "sets of {sizes:?}, {serving} pods of {} serve",
            pods.len()
        );
        Ok(())
    })
    .await
}

/// Updates to an image that never gets ready, and waits until the deadline is over; the stable pods serve meanwhile.
async fn stuck(
    stage: &Stage,
    namespace: &crate::cluster::Namespace,
    image: &str,
    abort: bool,
) -> Result<()> {
    let name = namespace.name();
    let strategy = "canary:\n  maxSurge: 1\n  maxUnavailable: 0\n  steps:\n    - setWeight: 40\n    - pause: {}";
    let yaml = rollout(3, strategy).replace(
        "  replicas: 3\n",
        &format!("  replicas: 3\n  progressDeadlineSeconds: 8\n  progressDeadlineAbort: {abort}\n"),
    );
    namespace.apply_yaml(&yaml).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    stage.set_image(name, image).await?;
    let began = Instant::now();
    loop {
        let rollout = stage.get(name, &rollouts(), "web").await?;
        let why = reason(&rollout, "Progressing");
        let over = why == "ProgressDeadlineExceeded" || (abort && why == "RolloutAborted");
        if observed(&rollout) && over && text(&rollout, "/status/phase") == "Degraded" {
            break;
        }
        let pods = stage.living_pods(name).await?;
        let serving = pods.iter().filter(|pod| ready(pod)).count();
        ensure!(serving >= 3, "only {serving} pods serve");
        ensure!(
            began.elapsed() < Duration::from_secs(45),
            "the deadline of 8 s has no effect: {}",
            rollout["status"]
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(
        began.elapsed() >= Duration::from_secs(7),
        "given up after {} ms, with a deadline of 8 s",
        began.elapsed().as_millis()
    );
    Ok(())
}

/// The pods of a canary carry its metadata while it is one, without being made anew.
pub(super) async fn metadata(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("metadata").await?;
    let name = namespace.name();
    let strategy = "canary:\n  canaryMetadata:\n    labels:\n      role: canary\n    annotations:\n      told: canary\n  \
                    stableMetadata:\n    labels:\n      role: stable\n  steps:\n    - setWeight: 50\n    - pause: {}";
    namespace.apply_yaml(&rollout(2, strategy)).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    roles(&stage, name, &[("v1", "stable", ""), ("v1", "stable", "")]).await?;
    stage.update(name, "v2").await?;
    stage.rollout_until(name, "the pause", 60, paused).await?;
    let both = [("v1", "stable", ""), ("v2", "canary", "canary")];
    roles(&stage, name, &both).await?;
    let canary = stage.living_pods(name).await?;
    let canary = canary
        .iter()
        .find(|pod| text(pod, "/metadata/labels/role") == "canary")
        .map(|pod| text(pod, "/metadata/name"))
        .unwrap_or_default();
    stage.promote(name).await?;
    stage
        .rollout_until(name, "v2 to be healthy", 60, healthy)
        .await?;
    roles(&stage, name, &[("v2", "stable", ""), ("v2", "stable", "")]).await?;
    let pod = stage.get(name, &pods(), &canary).await?;
    ensure!(
        text(&pod, "/metadata/labels/role") == "stable"
            && number(&pod, "/status/containerStatuses/0/restartCount") == 0,
        "the canary's pod is not the stable one's: {}",
        pod["metadata"]
    );
    Ok(())
}

/// Waits until the pods have these versions, roles and words.
async fn roles(stage: &Stage, namespace: &str, wanted: &[(&str, &str, &str)]) -> Result<()> {
    eventually(
        "the metadata of the pods",
        Duration::from_secs(20),
        || async {
            let pods = stage.living_pods(namespace).await?;
            let mut roles: Vec<(String, String, String)> = pods
                .iter()
                .map(|pod| {
                    let image = text(pod, "/spec/containers/0/image");
                    let version = image.rsplit(':').next().unwrap_or_default().to_owned();
                    let role = text(pod, "/metadata/labels/role");
                    (version, role, text(pod, "/metadata/annotations/told"))
                })
                .collect();
            roles.sort_unstable();
            let same = roles.len() == wanted.len()
                && roles
                    .iter()
                    .zip(wanted)
                    .all(|((version, role, told), (a, b, c))| {
                        version == a && role == b && told == c
                    });
            ensure!(same, "{roles:?}, not {wanted:?}");
            Ok(())
        },
    )
    .await
}

/// Names of pods, with their uids.
fn names(pods: &[Value]) -> BTreeMap<String, String> {
    pods.iter()
        .map(|pod| (text(pod, "/metadata/name"), text(pod, "/metadata/uid")))
        .collect()
}
