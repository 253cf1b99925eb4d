//! A Rollout that changes its strategy, or goes back, or keeps more revisions than it should.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::Stage;
use super::canary::{paused, sizes};
use super::fixtures::{rollout, services};
use super::visitor::Visitor;
use super::watch::{healthy, observed, replica_sets, rollouts};
use crate::demo::stage::{number, text};
use crate::wait::eventually;

const CANARY: &str = "canary:\n  maxSurge: 1\n  maxUnavailable: 0\n  canaryService: web-canary\n  \
                      stableService: web-stable\n  steps:\n    - setWeight: 50\n    - pause: {}";

const BLUE_GREEN: &str = "blueGreen:\n  activeService: web-stable\n  previewService: web-canary\n  \
                          autoPromotionEnabled: false\n  scaleDownDelaySeconds: 2";

/// Canary to blue-green in the middle of an update, and back at rest, while somebody uses the stable Service.
pub(super) async fn there_and_back(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("strategy").await?;
    let name = namespace.name();
    namespace.apply_yaml(&services()).await?;
    namespace.apply_yaml(&rollout(2, CANARY)).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    let user = Visitor::start(&stage, name, "web-stable").await?;

    stage.update(name, "v2").await?;
    stage.rollout_until(name, "the pause", 60, paused).await?;
    change(&stage, name, BLUE_GREEN).await?;
    let waits = |rollout: &Value| {
        paused(rollout) && text(rollout, "/status/pauseConditions/0/reason") == "BlueGreenPause"
    };
    stage
        .rollout_until(name, "the update to wait as a blue-green", 60, waits)
        .await?;
    user.only("v1").context("before the promotion")?;
    stage.promote(name).await?;
    user.turns_to("v2").await?;
    stage
        .rollout_until(name, "v2 to be healthy", 60, healthy)
        .await?;

    change(&stage, name, CANARY).await?;
    stage
        .rollout_until(name, "the canary to be healthy", 60, healthy)
        .await?;
    stage.update(name, "v1").await?;
    stage
        .rollout_until(name, "the pause of the canary", 60, paused)
        .await?;
    stage.promote(name).await?;
    stage
        .rollout_until(name, "v1 to be healthy again", 60, healthy)
        .await?;
    user.turns_to("v1").await?;
    ensure!(
        sizes(&stage, name).await? == [2],
        "more than the stable set is left"
    );
    Ok(())
}

async fn change(stage: &Stage, namespace: &str, strategy: &str) -> Result<()> {
    let strategies = crate::cluster::parse(strategy)?;
    let mut patch = json!({ "canary": null, "blueGreen": null });
    for (key, value) in strategies
        .first()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        patch[key.as_str()] = value.clone();
    }
    let patch = json!({ "spec": { "strategy": patch } });
    stage.patch(namespace, &rollouts(), "web", &patch).await
}

/// Within the window, an older revision is gone back to without its steps; beyond it, with them. The pods of a new
/// revision keep off the nodes of the stable one for as long as it is new.
pub(super) async fn rollback_window(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("window").await?;
    let name = namespace.name();
    let strategy = format!(
        "{}\n  antiAffinity:\n    preferredDuringSchedulingIgnoredDuringExecution:\n      weight: 1",
        CANARY.replace(
            "  canaryService: web-canary\n  stableService: web-stable\n",
            ""
        )
    );
    let mut object = crate::cluster::parse(&rollout(2, &strategy))?;
    object[0]["spec"]["rollbackWindow"] = json!({ "revisions": 2 });
    namespace.apply_yaml(&object[0].to_string()).await?;
    let first = stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    for version in ["v2", "v3"] {
        // Instants of the API are whole seconds; the window counts sets by them.
        tokio::time::sleep(Duration::from_secs(1)).await;
        stage.update(name, version).await?;
        let rollout = stage.rollout_until(name, "the pause", 60, paused).await?;
        ensure!(
            keeps_off(&stage, name, &rollout).await? == text(&rollout, "/status/stableRS"),
            "the new pods do not keep off the stable ones"
        );
        stage.promote(name).await?;
        stage
            .rollout_until(name, "the update to be healthy", 60, healthy)
            .await?;
    }
    // v2 lies between v1 and v3: one revision, fewer than two.
    stage.update(name, "v1").await?;
    let back = stage
        .rollout_until(name, "v1 to be healthy without a pause", 60, healthy)
        .await?;
    ensure!(
        text(&back, "/status/stableRS") == text(&first, "/status/stableRS"),
        "another set is stable: {}",
        back["status"]
    );
    ensure!(
        keeps_off(&stage, name, &back).await?.is_empty(),
        "stable pods still keep off others"
    );
    // Forward is no rollback.
    stage.update(name, "v2").await?;
    stage
        .rollout_until(name, "the pause of an update forward", 60, paused)
        .await?;
    Ok(())
}

/// The revision that pods of the present one keep off from; empty when there is none.
async fn keeps_off(stage: &Stage, namespace: &str, rollout: &Value) -> Result<String> {
    let set = format!("web-{}", text(rollout, "/status/currentPodHash"));
    let set = stage.get(namespace, &replica_sets(), &set).await?;
    let terms = "/spec/template/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution";
    Ok(text(
        &set,
        &format!("{terms}/0/podAffinityTerm/labelSelector/matchExpressions/0/values/0"),
    ))
}

/// Of the revisions that wait for their delay only as many stay as the limit says.
pub(super) async fn delayed_revisions(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("delays").await?;
    let name = namespace.name();
    let strategy = "blueGreen:\n  activeService: web-stable\n  scaleDownDelaySeconds: 600\n  scaleDownDelayRevisionLimit: 1";
    namespace.apply_yaml(&services()).await?;
    namespace.apply_yaml(&rollout(1, strategy)).await?;
    let mut sets = Vec::new();
    for version in ["v1", "v2", "v3"] {
        if version != "v1" {
            stage.update(name, version).await?;
        }
        let rollout = stage
            .rollout_until(name, "the version to be healthy", 90, healthy)
            .await?;
        sets.push(format!("web-{}", text(&rollout, "/status/stableRS")));
    }
    eventually(
        "one old revision to stay",
        Duration::from_secs(30),
        || async {
            let mut replicas = Vec::new();
            for set in &sets {
                let set = stage.get(name, &replica_sets(), set).await?;
                replicas.push(number(&set, "/spec/replicas"));
            }
            ensure!(replicas == [0, 1, 1], "v1, v2, v3 have {replicas:?} pods");
            Ok(())
        },
    )
    .await?;
    // The one that stayed is gone back to at once, under its own name.
    stage.update(name, "v2").await?;
    let back = |rollout: &Value| {
        observed(rollout)
            && healthy(rollout)
            && sets.get(1) == Some(&format!("web-{}", text(rollout, "/status/stableRS")))
    };
    stage.rollout_until(name, "v2 at once", 10, back).await?;
    Ok(())
}
