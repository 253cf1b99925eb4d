//! Blue-green updates with real requests to both Services.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Stage;
use super::canary::paused;
use super::fixtures::{job_analysis, rollout, services};
use super::visitor::Visitor;
use super::watch::{analysis_runs, healthy, replica_sets, rollouts};
use crate::demo::stage::{number, text};
use crate::wait::eventually;

/// The Services are the ones of a canary: `web-stable` is the active one, `web-canary` the preview.
const MANUAL: &str = "blueGreen:\n  activeService: web-stable\n  previewService: web-canary\n  \
                      autoPromotionEnabled: false\n  previewReplicaCount: 1\n  scaleDownDelaySeconds: 6";

/// Nothing of the new version is seen by the users before it is promoted, nothing of the old one after it, and no
/// request is lost in between; the old set stays for its delay.
pub(super) async fn manual(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("bluegreen").await?;
    let name = namespace.name();
    namespace.apply_yaml(&services()).await?;
    namespace.apply_yaml(&rollout(2, MANUAL)).await?;
    let first = stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    let old = format!("web-{}", text(&first, "/status/currentPodHash"));
    let active = Visitor::start(&stage, name, "web-stable").await?;
    let preview = Visitor::start(&stage, name, "web-canary").await?;
    stage.update(name, "v2").await?;
    let waits = stage
        .rollout_until(name, "the pause before the promotion", 60, paused)
        .await?;
    ensure!(
        text(&waits, "/status/pauseConditions/0/reason") == "BlueGreenPause",
        "another pause: {}",
        waits["status"]
    );
    let new = format!("web-{}", text(&waits, "/status/currentPodHash"));
    let set = stage.get(name, &replica_sets(), &new).await?;
    ensure!(
        number(&set, "/spec/replicas") == 1,
        "the preview has {} pods, not the 1 of previewReplicaCount",
        set["spec"]["replicas"]
    );
    // The preview selects the new set before that has a pod, as it always has.
    preview.reaches("v2").await.context("preview")?;
    active.only("v1").context("active before the promotion")?;
    stage.promote(name).await?;
    active.turns_to("v2").await.context("active")?;
    // All of the new pods serve, and the old ones are still there to go back to.
    let set = stage.get(name, &replica_sets(), &new).await?;
    ensure!(
        number(&set, "/status/availableReplicas") == 2,
        "the active Service was turned to a set that is not complete: {}",
        set["status"]
    );
    let set = stage.get(name, &replica_sets(), &old).await?;
    ensure!(
        number(&set, "/spec/replicas") == 2,
        "the old set is gone before its delay: {}",
        set["spec"]["replicas"]
    );
    stage
        .rollout_until(name, "v2 to be healthy", 30, healthy)
        .await?;
    let gone = |set: &Value| number(set, "/spec/replicas") == 0;
    stage
        .until(
            name,
            &replica_sets(),
            &old,
            "the old set to be scaled down",
            30,
            gone,
        )
        .await?;
    active.only("v2").context("active after the promotion")?;
    Ok(())
}

/// A pre-promotion analysis that fails: the users never see the new version.
pub(super) async fn pre_promotion_fails(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("prepromo").await?;
    let name = namespace.name();
    let strategy = "blueGreen:\n  activeService: web-stable\n  previewService: web-canary\n  \
                    abortScaleDownDelaySeconds: 3\n  prePromotionAnalysis:\n    templates:\n      - templateName: smoke";
    namespace.apply_yaml(&services()).await?;
    let smoke = job_analysis(
        "smoke",
        &[("smoke", "sleep 2; echo it does not work; exit 3")],
    );
    namespace.apply_yaml(&smoke).await?;
    namespace.apply_yaml(&rollout(2, strategy)).await?;
    let first = stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    let active = Visitor::start(&stage, name, "web-stable").await?;
    stage.update(name, "v2").await?;
    let rollout = stage.aborted_over(name, "smoke").await?;
    let runs = stage.list(name, &analysis_runs()).await?;
    ensure!(
        runs.len() == 1 && text(&runs[0], "/status/phase") == "Failed",
        "no failed run: {runs:?}"
    );
    let new = format!("web-{}", text(&rollout, "/status/currentPodHash"));
    let gone = |set: &Value| number(set, "/spec/replicas") == 0;
    stage
        .until(
            name,
            &replica_sets(),
            &new,
            "the aborted set to be scaled down",
            30,
            gone,
        )
        .await?;
    active.only("v1").context("active after the abort")?;
    ensure!(
        text(&rollout, "/status/stableRS") == text(&first, "/status/stableRS"),
        "another set is stable: {}",
        rollout["status"]
    );
    // Going back to what runs ends it well, without a pod that restarts.
    stage.update(name, "v1").await?;
    stage
        .rollout_until(name, "v1 to be healthy again", 30, healthy)
        .await?;
    active.only("v1").context("active in the end")?;
    Ok(())
}

/// A post-promotion analysis that fails: the users are back on the old version, none of their requests is lost on the way
/// there or back, and the pods of each side carry the label of their role all the while.
pub(super) async fn post_promotion_fails(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("postpromo").await?;
    let name = namespace.name();
    let strategy = "blueGreen:\n  activeService: web-stable\n  previewService: web-canary\n  \
                    autoPromotionEnabled: false\n  abortScaleDownDelaySeconds: 3\n  \
                    activeMetadata:\n    labels:\n      role: active\n  previewMetadata:\n    labels:\n      role: preview\n  \
                    postPromotionAnalysis:\n    templates:\n      - templateName: complaints";
    namespace.apply_yaml(&services()).await?;
    let complaints = job_analysis("complaints", &[("complaints", "sleep 4; exit 1")]);
    namespace.apply_yaml(&complaints).await?;
    namespace.apply_yaml(&rollout(2, strategy)).await?;
    let first = stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    let stable = text(&first, "/status/stableRS");
    let active = Visitor::start(&stage, name, "web-stable").await?;
    stage.update(name, "v2").await?;
    let waits = stage
        .rollout_until(name, "the pause before the promotion", 60, paused)
        .await?;
    let new = text(&waits, "/status/currentPodHash");
    roles(&stage, name, &[(&stable, "active"), (&new, "preview")]).await?;
    stage.promote(name).await?;
    active.turns_to("v2").await.context("the promotion")?;
    stage.aborted_over(name, "complaints").await?;
    active.turns_to("v1").await.context("the way back")?;
    let gone = |set: &Value| number(set, "/spec/replicas") == 0;
    let what = "the aborted set to be scaled down";
    stage
        .until(name, &replica_sets(), &format!("web-{new}"), what, 30, gone)
        .await?;
    active.only("v1").context("active in the end")?;
    roles(&stage, name, &[(&stable, "active")]).await
}

/// Waits until the living pods of each revision, by its hash, carry the label of their role, and there are no others.
async fn roles(stage: &Stage, namespace: &str, wanted: &[(&str, &str)]) -> Result<()> {
    let what = format!("the roles {wanted:?}");
    eventually(&what, Duration::from_secs(30), || async {
        let mut shown = BTreeSet::new();
        for pod in stage.living_pods(namespace).await? {
            let label = |key: &str| text(&pod, &format!("/metadata/labels/{key}"));
            // Pods of Jobs are no pods of the app.
            if label("app") == "web" {
                shown.insert((label("rollouts-pod-template-hash"), label("role")));
            }
        }
        let wanted = wanted
            .iter()
            .map(|(hash, role)| ((*hash).to_owned(), (*role).to_owned()));
        ensure!(shown == wanted.collect(), "{shown:?}");
        Ok(())
    })
    .await
}

/// Promotes by itself after its time, and a set that still runs is gone back to at once.
pub(super) async fn automatic(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("autopromo").await?;
    let name = namespace.name();
    let strategy = "blueGreen:\n  activeService: web-stable\n  autoPromotionSeconds: 8\n  scaleDownDelaySeconds: 600";
    namespace.apply_yaml(&services()).await?;
    namespace.apply_yaml(&rollout(2, strategy)).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 90, healthy)
        .await?;
    let active = Visitor::start(&stage, name, "web-stable").await?;
    stage.update(name, "v2").await?;
    stage
        .rollout_until(name, "the pause before the promotion", 60, paused)
        .await?;
    active.only("v1").context("active before the promotion")?;
    active.turns_to("v2").await.context("active")?;
    stage
        .rollout_until(name, "v2 to be healthy", 30, healthy)
        .await?;
    stage.update(name, "v1").await?;
    eventually(
        "the active Service to select the set that still runs",
        Duration::from_secs(5),
        || async {
            let rollout = stage.get(name, &rollouts(), "web").await?;
            ensure!(healthy(&rollout), "{}", rollout["status"]);
            Ok(())
        },
    )
    .await?;
    active.turns_to("v1").await.context("going back")?;
    Ok(())
}
