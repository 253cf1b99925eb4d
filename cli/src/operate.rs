//! Orders: promote, abort, retry, pause, restart, terminate. Each is a patch that other tools issue too, byte for byte.

use anyhow::{Result, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use sluice_crds::duration;
use sluice_crds::rollout::Rollout;

use crate::args::{PromoteArgs, RestartArgs};
use crate::cluster::{self, Cluster, Kind};
use crate::failure;
use crate::get::read::read_rollout;
use crate::offline::check;
use crate::output;
use crate::promotion::{self, Promote};

/// Merges a patch into an object.
async fn merge(cluster: &Cluster, kind: &Kind, name: &str, patch: &Value) -> Result<()> {
    let patch = Patch::Merge(patch);
    match cluster
        .api(kind)
        .patch(name, &PatchParams::default(), &patch)
        .await
    {
        Ok(_) => Ok(()),
        Err(error) => Err(said(kind, name, &cluster.namespace, error)),
    }
}

/// Merges a patch into the status of an object: in its subresource, or in the object where the CRD has none, as old
/// installations have it.
async fn merge_status(cluster: &Cluster, kind: &Kind, name: &str, patch: &Value) -> Result<()> {
    let api = cluster.api(kind);
    match api
        .patch_status(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
    {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => {
            merge(cluster, kind, name, patch).await
        }
        Err(error) => Err(said(kind, name, &cluster.namespace, error)),
    }
}

fn said(kind: &Kind, name: &str, namespace: &str, error: kube::Error) -> anyhow::Error {
    match &error {
        kube::Error::Api(status) if status.is_not_found() && !failure::is_unserved(status) => {
            anyhow!(
                "{} {name:?} not found in namespace {namespace}",
                kind.name()
            )
        }
        _ => anyhow!(error).context(format!("{} {name:?}", kind.name())),
    }
}

async fn order_status(cluster: &Cluster, names: &[String], patch: Value, done: &str) -> Result<()> {
    for name in names {
        merge_status(cluster, &cluster::ROLLOUTS, name, &patch).await?;
        output::print(&format!("rollout '{name}' {done}\n"))?;
    }
    Ok(())
}

/// Merges a patch into several objects, and says what was done to each.
async fn order(
    cluster: &Cluster,
    kind: &Kind,
    names: &[String],
    patch: Value,
    done: fn(&str) -> String,
) -> Result<()> {
    for name in names {
        merge(cluster, kind, name, &patch).await?;
        output::print(&done(name))?;
    }
    Ok(())
}

/// `abort`.
pub(crate) async fn abort(cluster: &Cluster, names: &[String]) -> Result<()> {
    order_status(
        cluster,
        names,
        json!({ "status": { "abort": true } }),
        "aborted",
    )
    .await
}

/// `retry rollout`.
pub(crate) async fn retry(cluster: &Cluster, names: &[String]) -> Result<()> {
    order_status(
        cluster,
        names,
        json!({ "status": { "abort": false } }),
        "retried",
    )
    .await
}

/// `pause`.
pub(crate) async fn pause(cluster: &Cluster, names: &[String]) -> Result<()> {
    order(
        cluster,
        &cluster::ROLLOUTS,
        names,
        json!({ "spec": { "paused": true } }),
        |name| format!("rollout '{name}' paused\n"),
    )
    .await
}

/// `restart`.
pub(crate) async fn restart(cluster: &Cluster, args: &RestartArgs) -> Result<()> {
    let delay = SignedDuration::from_secs(i64::try_from(args.delay)?);
    let at = Timestamp::now()
        .checked_add(delay)?
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let patch = json!({ "spec": { "restartAt": at } });
    for name in &args.names {
        accepts_restart(cluster, name, &patch).await?;
        merge(cluster, &cluster::ROLLOUTS, name, &patch).await?;
        output::print(&format!(
            "rollout '{name}' restarts in {}\n",
            duration::format(delay)
        ))?;
    }
    Ok(())
}

/// A field that the engine refuses would make a healthy Rollout invalid: it is not written.
async fn accepts_restart(cluster: &Cluster, name: &str, patch: &Value) -> Result<()> {
    let mut object = serde_json::to_value(read_rollout(cluster, name).await?)?;
    json_patch::merge(&mut object, patch);
    let patched: Rollout = serde_json::from_value(object)?;
    match check::refusal(&patched, "spec.restartAt") {
        None => Ok(()),
        Some(why) => bail!("Rollout {name} was left as it is: spec.restartAt: {why}"),
    }
}

/// `terminate analysisrun`.
pub(crate) async fn terminate_analysis_runs(cluster: &Cluster, names: &[String]) -> Result<()> {
    order(
        cluster,
        &cluster::ANALYSIS_RUNS,
        names,
        json!({ "spec": { "terminate": true } }),
        |name| format!("analysisRun '{name}' terminated\n"),
    )
    .await
}

/// `terminate experiment`.
pub(crate) async fn terminate_experiments(cluster: &Cluster, names: &[String]) -> Result<()> {
    order(
        cluster,
        &cluster::EXPERIMENTS,
        names,
        json!({ "spec": { "terminate": true } }),
        |name| format!("experiment '{name}' terminated\n"),
    )
    .await
}

/// `retry experiment`: without a status it begins anew. Experiments have no status subresource.
pub(crate) async fn retry_experiments(cluster: &Cluster, names: &[String]) -> Result<()> {
    order(
        cluster,
        &cluster::EXPERIMENTS,
        names,
        json!({ "status": null }),
        |name| format!("experiment '{name}' retried\n"),
    )
    .await
}

/// `promote`.
pub(crate) async fn promote(cluster: &Cluster, args: &PromoteArgs) -> Result<()> {
    let how = match (args.full, args.skip_all_steps, args.skip_current_step) {
        (true, _, _) => Promote::Full,
        (_, true, _) => Promote::SkipAllSteps,
        (_, _, true) => Promote::SkipStep,
        _ => Promote::GoOn,
    };
    match how {
        Promote::SkipStep => {
            output::complain("--skip-current-step is deprecated: use promote without it")
        }
        Promote::SkipAllSteps => output::complain("--skip-all-steps is deprecated: use --full"),
        Promote::GoOn | Promote::Full => {}
    }
    let name = &args.name;
    let rollout = read_rollout(cluster, name).await?;
    let patches = promotion::patches(&rollout, how)?;
    if patches.is_empty() {
        let why = match how {
            Promote::Full => "is fully promoted already",
            _ => "does not wait for anybody, and has no steps",
        };
        return output::print(&format!("rollout '{name}' {why}\n"));
    }
    if let Some(patch) = &patches.status {
        merge_status(cluster, &cluster::ROLLOUTS, name, patch).await?;
    }
    if let Some(patch) = &patches.spec {
        merge(cluster, &cluster::ROLLOUTS, name, patch).await?;
    }
    let done = if how == Promote::Full {
        "fully promoted"
    } else {
        "promoted"
    };
    output::print(&format!("rollout '{name}' {done}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{self, Answer, Record};
    use crate::get::tests::fixture;

    fn rollout() -> Value {
        fixture().remove(0)
    }

    fn server(status_subresource: bool, rollout: Value) -> (Cluster, Record) {
        fake::cluster(move |line, _| -> Answer {
            match line {
                line if line.contains("/status?") && !status_subresource => {
                    fake::not_found("the server could not find it")
                }
                line if line.contains("rollouts/web") => (200, rollout.clone()),
                _ => fake::not_found("rollouts.argoproj.io \"nobody\""),
            }
        })
    }

    fn paths(record: &Record) -> Vec<(String, Value)> {
        let short = |line: String| {
            line.split('?')
                .next()
                .unwrap_or_default()
                .replace("/apis/argoproj.io/v1alpha1/namespaces/demo/", "")
        };
        record
            .writes()
            .into_iter()
            .map(|(line, body)| (short(line), body))
            .collect()
    }

    fn promotion(full: bool) -> PromoteArgs {
        PromoteArgs {
            name: "web".to_owned(),
            full,
            skip_current_step: false,
            skip_all_steps: false,
        }
    }

    #[tokio::test]
    async fn an_abort_goes_to_the_status() {
        let (cluster, record) = server(true, rollout());
        abort(&cluster, &["web".to_owned()]).await.unwrap();
        assert_eq!(
            paths(&record),
            [(
                "PATCH rollouts/web/status".to_owned(),
                json!({ "status": { "abort": true } })
            )]
        );
    }

    #[tokio::test]
    async fn without_the_subresource_the_object_is_patched() {
        let (cluster, record) = server(false, rollout());
        retry(&cluster, &["web".to_owned()]).await.unwrap();
        let body = json!({ "status": { "abort": false } });
        assert_eq!(
            paths(&record),
            [
                ("PATCH rollouts/web/status".to_owned(), body.clone()),
                ("PATCH rollouts/web".to_owned(), body)
            ]
        );
    }

    #[tokio::test]
    async fn orders_to_experiments_and_runs_go_to_the_object() {
        let (cluster, record) = fake::cluster(|_, body| (200, body.clone()));
        let names = ["one".to_owned(), "two".to_owned()];
        terminate_experiments(&cluster, &names[..1]).await.unwrap();
        retry_experiments(&cluster, &names).await.unwrap();
        terminate_analysis_runs(&cluster, &names[..1])
            .await
            .unwrap();
        let of = |path: &str, body: Value| (format!("PATCH {path}"), body);
        assert_eq!(
            paths(&record),
            [
                of("experiments/one", json!({ "spec": { "terminate": true } })),
                of("experiments/one", json!({ "status": null })),
                of("experiments/two", json!({ "status": null })),
                of("analysisruns/one", json!({ "spec": { "terminate": true } })),
            ]
        );
    }

    #[tokio::test]
    async fn a_promotion_writes_the_status_before_it_ends_a_pause_by_hand() {
        let mut object = rollout();
        object["spec"]["paused"] = json!(true);
        let (cluster, record) = server(true, object);
        promote(&cluster, &promotion(false)).await.unwrap();
        assert_eq!(
            paths(&record),
            [
                (
                    "PATCH rollouts/web/status".to_owned(),
                    json!({ "status": { "pauseConditions": null } })
                ),
                (
                    "PATCH rollouts/web".to_owned(),
                    json!({ "spec": { "paused": false } })
                ),
            ]
        );
    }

    #[tokio::test]
    async fn a_rollout_that_is_not_there_is_named_with_its_namespace() {
        let (cluster, record) = server(true, rollout());
        let error = abort(&cluster, &["nobody".to_owned()]).await.unwrap_err();
        assert_eq!(
            failure::sentence(&error),
            "rollouts.argoproj.io \"nobody\" not found in namespace demo"
        );
        let mut args = promotion(true);
        args.name = "nobody".to_owned();
        let error = promote(&cluster, &args).await.unwrap_err();
        assert_eq!(
            failure::sentence(&error),
            "rollouts.argoproj.io \"nobody\" not found in namespace demo"
        );
        assert!(
            record
                .writes()
                .iter()
                .all(|(line, _)| line.contains("nobody"))
        );
    }

    #[tokio::test]
    async fn a_field_that_would_make_the_rollout_invalid_is_not_written() {
        let (cluster, record) = server(true, rollout());
        let args = RestartArgs {
            names: vec!["web".to_owned()],
            delay: 0,
        };
        let outcome = restart(&cluster, &args).await;
        let mut patched: Rollout = serde_json::from_value(rollout()).unwrap();
        patched.spec.restart_at =
            Some(serde_json::from_value(json!("2026-03-01T12:00:00Z")).unwrap());
        match check::refusal(&patched, "spec.restartAt") {
            None => {
                outcome.unwrap();
                assert!(record.writes()[0].1["spec"]["restartAt"].is_string());
            }
            Some(_) => {
                let error = failure::sentence(&outcome.unwrap_err());
                assert!(
                    error.starts_with("Rollout web was left as it is: spec.restartAt: "),
                    "{error}"
                );
                assert_eq!(record.writes(), []);
            }
        }
    }
}
