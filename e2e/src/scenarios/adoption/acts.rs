//! What is done to a member of the fleet, and what is waited for: one value each, so that a life is a list.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::super::Stage;
use super::super::watch::{healthy, pods, replica_sets, rollouts};
use super::templates::{GATE, VERSION};
use crate::demo::stage::{kind, number, text};
use crate::wait::eventually;

/// How long anything may take, with the whole fleet on two cores.
const LIMIT: u64 = 150;

/// One act.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// Changes the Rollout to a version.
    Update(&'static str),
    /// The same, with pods that are not ready before [`Act::LetReady`].
    UpdateUnready(&'static str),
    /// Changes the Deployment that the Rollout refers to.
    UpdateDeployment(&'static str),
    /// Waits until the Rollout looks like that; the text names it.
    Until(&'static str, fn(&Value) -> bool),
    /// Ends a pause, as the plugin does.
    Promote,
    /// Promotes past all steps, as the plugin does.
    PromoteFully,
    /// Aborts, as the plugin does.
    Abort,
    /// Tries again, as the plugin does.
    Retry,
    /// Sets `spec.paused`.
    Hold(bool),
    /// Sets `spec.replicas`.
    Scale(i32),
    /// Lets the pods of [`Act::UpdateUnready`] be ready, those too that come while it waits for the end of the update.
    LetReady,
    /// Waits until the Job of the member's analysis is there.
    JobWaits,
    /// Lets that Job run.
    OpenGate,
    /// Waits until the Rollout is healthy, and no sooner than so many seconds after its pause began.
    TimedPauseEnds(i64),
    /// Waits until the set that is not stable has no pods.
    OldSetGoes,
}

/// Does one act after the other for the Rollout `name`.
pub(super) async fn play(stage: &Stage, namespace: &str, name: &str, acts: &[Act]) -> Result<()> {
    for act in acts {
        one(stage, namespace, name, *act)
            .await
            .with_context(|| format!("Rollout {name}"))?;
    }
    Ok(())
}

async fn one(stage: &Stage, namespace: &str, name: &str, act: Act) -> Result<()> {
    let patch = async |patch: Value| stage.patch(namespace, &rollouts(), name, &patch).await;
    let status = async |patch: Value| {
        let patch = json!({ "status": patch });
        stage
            .patch_status(namespace, &rollouts(), name, &patch)
            .await
    };
    match act {
        Act::Update(version) => update(stage, namespace, name, version, false).await,
        Act::UpdateUnready(version) => update(stage, namespace, name, version, true).await,
        Act::UpdateDeployment(version) => {
            let deployments = kind("apps", "v1", "Deployment", "deployments");
            let deployment = stage.get(namespace, &deployments, name).await?;
            let template = changed(&deployment, version)?;
            let change = json!({ "spec": { "template": template } });
            stage.patch(namespace, &deployments, name, &change).await
        }
        Act::Until(what, done) => until(stage, namespace, name, what, done).await.map(|_| ()),
        Act::Promote => status(json!({ "pauseConditions": null })).await,
        Act::PromoteFully => status(json!({ "promoteFull": true })).await,
        Act::Abort => status(json!({ "abort": true })).await,
        Act::Retry => status(json!({ "abort": false })).await,
        Act::Hold(paused) => patch(json!({ "spec": { "paused": paused } })).await,
        Act::Scale(replicas) => patch(json!({ "spec": { "replicas": replicas } })).await,
        Act::LetReady => let_ready(stage, namespace, name).await,
        Act::JobWaits => job(stage, namespace, name).await.map(|_| ()),
        Act::OpenGate => {
            let job = job(stage, namespace, name).await?;
            let run = json!({ "spec": { "suspend": false } });
            stage.patch(namespace, &jobs(), &job, &run).await
        }
        Act::TimedPauseEnds(seconds) => timed_pause_ends(stage, namespace, name, seconds).await,
        Act::OldSetGoes => {
            let what = format!("the old set of {name} to have no pods");
            eventually(&what, Duration::from_secs(LIMIT), || async {
                let rollout = stage.get(namespace, &rollouts(), name).await?;
                ensure!(healthy(&rollout), "{}", rollout["status"]);
                let sets = stage.list(namespace, &replica_sets()).await?;
                let sizes: Vec<i32> = sets
                    .iter()
                    .filter(|set| text(set, "/spec/selector/matchLabels/app") == name)
                    .map(|set| number(set, "/spec/replicas"))
                    .filter(|size| *size > 0)
                    .collect();
                ensure!(sizes == [2], "the sets have {sizes:?} pods");
                Ok(())
            })
            .await
        }
    }
}

async fn until(
    stage: &Stage,
    namespace: &str,
    name: &str,
    what: &str,
    done: impl Fn(&Value) -> bool,
) -> Result<Value> {
    stage
        .until(namespace, &rollouts(), name, what, LIMIT, done)
        .await
}

async fn update(
    stage: &Stage,
    namespace: &str,
    name: &str,
    version: &str,
    unready: bool,
) -> Result<()> {
    let rollout = stage.get(namespace, &rollouts(), name).await?;
    let mut template = changed(&rollout, version)?;
    if unready {
        template["spec"]["readinessGates"] = json!([{ "conditionType": GATE }]);
    }
    let patch = json!({ "spec": { "template": template } });
    stage.patch(namespace, &rollouts(), name, &patch).await
}

/// The template of an object, at another version.
fn changed(object: &Value, version: &str) -> Result<Value> {
    let mut template = object
        .pointer("/spec/template")
        .cloned()
        .context("no template")?;
    let value = template.pointer_mut(VERSION).context("no version")?;
    *value = json!(version);
    Ok(template)
}

async fn let_ready(stage: &Stage, namespace: &str, name: &str) -> Result<()> {
    let api: Api<DynamicObject> = Api::namespaced_with(stage.client.clone(), namespace, &pods());
    let condition = json!({ "type": GATE, "status": "True", "reason": "LetReady" });
    let patch = Patch::Strategic(json!({ "status": { "conditions": [condition] } }));
    let what = format!("the update of {name} to end");
    eventually(&what, Duration::from_secs(LIMIT), || async {
        for pod in stage.living_pods(namespace).await? {
            let gated = pod.pointer("/spec/readinessGates/0").is_some();
            let let_in = pod.to_string().contains("\"LetReady\"");
            if text(&pod, "/metadata/labels/app") == name && gated && !let_in {
                api.patch_status(
                    &text(&pod, "/metadata/name"),
                    &PatchParams::default(),
                    &patch,
                )
                .await?;
            }
        }
        let rollout = stage.get(namespace, &rollouts(), name).await?;
        ensure!(healthy(&rollout), "{}", rollout["status"]);
        Ok(())
    })
    .await
}

fn jobs() -> kube::api::ApiResource {
    kind("batch", "v1", "Job", "jobs")
}

/// Name of the Job that an analysis of the member has made.
async fn job(stage: &Stage, namespace: &str, name: &str) -> Result<String> {
    let what = format!("the Job of {name}");
    eventually(&what, Duration::from_secs(LIMIT), || async {
        let all = stage.list(namespace, &jobs()).await?;
        let of_member = all.iter().find(|job| {
            text(job, "/metadata/annotations/analysisrun.argoproj.io~1name")
                .starts_with(&format!("{name}-"))
        });
        let job = of_member.context("there is none")?;
        Ok(text(job, "/metadata/name"))
    })
    .await
}

async fn timed_pause_ends(stage: &Stage, namespace: &str, name: &str, seconds: i64) -> Result<()> {
    let rollout = stage.get(namespace, &rollouts(), name).await?;
    let began: jiff::Timestamp = text(&rollout, "/status/pauseConditions/0/startTime")
        .parse()
        .with_context(|| format!("it is in no pause any more: {}", rollout["status"]))?;
    until(
        stage,
        namespace,
        name,
        "the end of the timed pause",
        healthy,
    )
    .await?;
    let lasted = jiff::Timestamp::now().duration_since(began).as_secs();
    ensure!(
        (seconds..seconds + 40).contains(&lasted),
        "the pause of {seconds} s was over after {lasted} s"
    );
    Ok(())
}
