//! Orders: promote, abort, retry, pause, restart, terminate. Each is a patch that other tools issue too, byte for byte.
//!
//! The patches are made by pure functions ([`promotion`]); this file sends them.

use anyhow::{Result, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::rollout::Rollout;
use sluice_crds::rollout::steps::StepKind;

use crate::args::{PromoteArgs, RestartArgs};
use crate::cluster::resource::{self, Kind};
use crate::get::snapshot::{list, read_rollout};
use crate::output;

/// Sends the status part of a patch to the status subresource, and the rest to the object.
async fn patch(client: &Client, namespace: &str, kind: &Kind, name: &str, patch: &Value) -> Result<()> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind.api());
    let parameters = PatchParams::default();
    if let Some(spec) = patch.get("spec") {
        api.patch(name, &parameters, &Patch::Merge(json!({ "spec": spec }))).await?;
    }
    if let Some(status) = patch.get("status") {
        let status = json!({ "status": status });
        match api.patch_status(name, &parameters, &Patch::Merge(&status)).await {
            // A CRD without the subresource, as old installations have it.
            Err(kube::Error::Api(error)) if error.code == 404 => {
                api.patch(name, &parameters, &Patch::Merge(&status)).await?;
            }
            outcome => {
                outcome?;
            }
        }
    }
    Ok(())
}

async fn order(client: &Client, namespace: &str, names: &[String], body: Value, done: &str) -> Result<()> {
    for name in names {
        read_rollout(client, namespace, name).await?;
        patch(client, namespace, &resource::ROLLOUTS, name, &body).await?;
        output::print(&format!("rollout '{name}' {done}\n"))?;
    }
    Ok(())
}

/// `abort`.
pub(crate) async fn abort(client: &Client, namespace: &str, names: &[String]) -> Result<()> {
    order(client, namespace, names, json!({ "status": { "abort": true } }), "aborted").await
}

/// `retry rollout`.
pub(crate) async fn retry(client: &Client, namespace: &str, names: &[String]) -> Result<()> {
    order(client, namespace, names, json!({ "status": { "abort": false } }), "retried").await
}

/// `pause`.
pub(crate) async fn pause(client: &Client, namespace: &str, names: &[String]) -> Result<()> {
    order(client, namespace, names, json!({ "spec": { "paused": true } }), "paused").await
}

/// `restart`.
pub(crate) async fn restart(client: &Client, namespace: &str, args: &RestartArgs) -> Result<()> {
    let delay = SignedDuration::from_secs(i64::try_from(args.delay)?);
    let at = Timestamp::now().checked_add(delay)?.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let body = json!({ "spec": { "restartAt": at } });
    let done = if args.delay == 0 {
        "restarts now".to_owned()
    } else {
        format!("restarts in {} s", args.delay)
    };
    order(client, namespace, &args.names, body, &done).await
}

/// `terminate analysisrun`.
pub(crate) async fn terminate_analysis_run(client: &Client, namespace: &str, name: &str) -> Result<()> {
    let body = json!({ "spec": { "terminate": true } });
    patch(client, namespace, &resource::ANALYSIS_RUNS, name, &body).await?;
    output::print(&format!("analysisRun '{name}' terminated\n"))
}

/// `promote`.
pub(crate) async fn promote(client: &Client, namespace: &str, args: &PromoteArgs) -> Result<()> {
    ensure!(!(args.full && args.skip_current_step), "--full and --skip-current-step exclude each other");
    let name = &args.name;
    let rollout = read_rollout(client, namespace, name).await?;
    let how = match (args.full, args.skip_current_step) {
        (true, _) => Promote::Full,
        (false, true) => Promote::SkipStep,
        (false, false) => Promote::GoOn,
    };
    let run = match step_run_name(&rollout) {
        Some(run) => list(client, namespace, &resource::ANALYSIS_RUNS, None)
            .await?
            .into_iter()
            .find(|found| found.pointer("/metadata/name").and_then(Value::as_str) == Some(run.as_str()))
            .and_then(|found| serde_json::from_value::<AnalysisRun>(found).ok()),
        None => None,
    };
    let Some(body) = promotion(&rollout, run.as_ref(), how)? else {
        return output::print(&format!("rollout '{name}' is fully promoted already\n"));
    };
    patch(client, namespace, &resource::ROLLOUTS, name, &body).await?;
    let done = if args.full { "fully promoted" } else { "promoted" };
    output::print(&format!("rollout '{name}' {done}\n"))
}

/// How far a promotion goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promote {
    GoOn,
    SkipStep,
    Full,
}

/// The patch of a promotion; `None` when there is nothing to promote.
fn promotion(rollout: &Rollout, step_run: Option<&AnalysisRun>, how: Promote) -> Result<Option<Value>> {
    let status = rollout.status.clone().unwrap_or_default();
    if how == Promote::Full {
        if status.current_pod_hash == status.stable_rs {
            return Ok(None);
        }
        return Ok(Some(json!({ "status": { "promoteFull": true } })));
    }
    let steps = rollout.spec.canary().map(|canary| canary.steps().len()).unwrap_or_default();
    let index = status.current_step_index.unwrap_or(0);
    let next = (usize::try_from(index).unwrap_or(0) < steps).then_some(index + 1);
    if how == Promote::SkipStep {
        let Some(next) = next else {
            bail!("cannot skip a step: the Rollout has no step left (step {index} of {steps})");
        };
        return Ok(Some(json!({ "status": { "pauseConditions": null, "currentStepIndex": next } })));
    }
    let waits = status.pause_conditions.as_ref().is_some_and(|list| !list.is_empty());
    let unpause = (rollout.spec.paused == Some(true)).then(|| json!({ "paused": false }));
    let inconclusive = step_run
        .and_then(|run| run.status.as_ref())
        .is_some_and(|run| run.phase == "Inconclusive");
    let change = if waits && inconclusive && status.controller_pause == Some(true) {
        match next {
            Some(next) => Some(json!({
                "pauseConditions": null, "controllerPause": false, "currentStepIndex": next
            })),
            None => Some(json!({ "pauseConditions": null })),
        }
    } else if waits {
        Some(json!({ "pauseConditions": null }))
    } else if unpause.is_none() {
        next.map(|next| json!({ "pauseConditions": null, "currentStepIndex": next }))
    } else {
        None
    };
    let mut body = serde_json::Map::new();
    if let Some(spec) = unpause {
        body.insert("spec".to_owned(), spec);
    }
    if let Some(status) = change {
        body.insert("status".to_owned(), status);
    }
    Ok(Some(Value::Object(body)).filter(|body| body.as_object().is_some_and(|body| !body.is_empty())))
}

fn step_run_name(rollout: &Rollout) -> Option<String> {
    let status = rollout.status.as_ref()?;
    let index = usize::try_from(status.current_step_index?).ok()?;
    match rollout.spec.canary()?.steps().get(index)?.kind()? {
        StepKind::Analysis(_) => {
            Some(status.canary.as_ref()?.current_step_analysis_run_status.as_ref()?.name.clone())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(status: Value, paused: bool) -> Rollout {
        serde_json::from_value(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": { "name": "guestbook" },
            "spec": {
                "paused": paused,
                "strategy": { "canary": { "steps": [
                    { "setWeight": 10 }, { "pause": {} }, { "setWeight": 50 }
                ] } }
            },
            "status": status
        }))
        .unwrap()
    }

    #[test]
    fn a_pause_is_ended_by_removing_its_conditions() {
        let paused = json!({
            "currentStepIndex": 1, "controllerPause": true,
            "pauseConditions": [{ "reason": "CanaryPauseStep", "startTime": "2026-01-01T00:00:00Z" }]
        });
        assert_eq!(
            promotion(&rollout(paused, false), None, Promote::GoOn).unwrap(),
            Some(json!({ "status": { "pauseConditions": null } }))
        );
    }

    #[test]
    fn without_a_pause_the_step_is_skipped() {
        let body = promotion(&rollout(json!({ "currentStepIndex": 0 }), false), None, Promote::GoOn);
        let expected = json!({ "status": { "pauseConditions": null, "currentStepIndex": 1 } });
        assert_eq!(body.unwrap(), Some(expected));
    }

    #[test]
    fn a_manual_pause_is_ended_in_the_spec() {
        let body = promotion(&rollout(json!({ "currentStepIndex": 0 }), true), None, Promote::GoOn);
        assert_eq!(body.unwrap(), Some(json!({ "spec": { "paused": false } })));
    }

    #[test]
    fn what_is_promoted_already_is_left_alone() {
        let status = json!({ "currentPodHash": "a", "stableRS": "a" });
        assert_eq!(promotion(&rollout(status, false), None, Promote::Full).unwrap(), None);
    }
}
