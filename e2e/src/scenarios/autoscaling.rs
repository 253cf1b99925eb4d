//! A real HorizontalPodAutoscaler scales a Rollout through its scale subresource: in a pause and after an abort.
//!
//! There are no metrics on the cluster. Below its minimum an autoscaler needs none, so its minimum is what is changed.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::Stage;
use super::canary::{paused, sizes};
use super::fixtures::rollout;
use super::watch::{healthy, observed, rollouts};
use crate::demo::stage::{kind, number, text};
use crate::wait::eventually;

const STEPS: &str =
    "canary:\n  maxSurge: 1\n  maxUnavailable: 0\n  steps:\n    - setWeight: 50\n    - pause: {}";

/// Both sides grow in the pause, the stable one alone after the abort.
pub(super) async fn pause_and_abort(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("hpa").await?;
    let name = namespace.name();
    namespace.apply_yaml(&rollout(2, STEPS)).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    let autoscaler = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "web" },
        "spec": {
            "scaleTargetRef": { "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web" },
            "minReplicas": 2, "maxReplicas": 10,
            "metrics": [{
                "type": "Resource",
                "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 50 } }
            }]
        }
    });
    namespace.apply_yaml(&autoscaler.to_string()).await?;
    stage.update(name, "v2").await?;
    stage.rollout_until(name, "the pause", 60, paused).await?;
    at_least(&stage, name, 4).await?;
    let grown =
        |rollout: &Value| paused(rollout) && number(rollout, "/status/availableReplicas") == 4;
    stage
        .rollout_until(name, "four pods in the same pause", 60, grown)
        .await?;
    sized(&stage, name, &[2, 2]).await?;
    // What the autoscaler reads of it.
    let path = format!("/apis/argoproj.io/v1alpha1/namespaces/{name}/rollouts/web/scale");
    let scale = namespace.kubectl(&["get", "--raw", &path]).await?;
    let scale: Value = serde_json::from_str(&scale).context("the scale subresource is no JSON")?;
    ensure!(
        number(&scale, "/status/replicas") == 4 && !text(&scale, "/status/selector").is_empty(),
        "the scale subresource says {scale}"
    );
    let abort = json!({ "status": { "abort": true } });
    stage.patch_status(name, &rollouts(), "web", &abort).await?;
    at_least(&stage, name, 6).await?;
    let grown = |rollout: &Value| {
        observed(rollout)
            && text(rollout, "/status/phase") == "Degraded"
            && number(rollout, "/status/availableReplicas") == 6
    };
    stage
        .rollout_until(name, "six pods after the abort", 60, grown)
        .await?;
    sized(&stage, name, &[6]).await?;
    Ok(())
}

/// Moves the minimum, and waits until the autoscaler has scaled.
async fn at_least(stage: &Stage, namespace: &str, minimum: i32) -> Result<()> {
    let autoscalers = kind(
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
    );
    let patch = json!({ "spec": { "minReplicas": minimum } });
    stage.patch(namespace, &autoscalers, "web", &patch).await?;
    let what = format!("the autoscaler to ask for {minimum} pods");
    // It looks every 15 s.
    stage
        .rollout_until(namespace, &what, 45, |rollout| {
            number(rollout, "/spec/replicas") == minimum
        })
        .await?;
    Ok(())
}

async fn sized(stage: &Stage, namespace: &str, wanted: &[i32]) -> Result<()> {
    eventually("the sizes of the sets", Duration::from_secs(30), || async {
        let sizes = sizes(stage, namespace).await?;
        ensure!(sizes == wanted, "{sizes:?}, not {wanted:?}");
        Ok(())
    })
    .await
}
