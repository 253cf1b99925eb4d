//! A team stops Argo Rollouts and starts Sluice, and back again: no pod restarts, no manifest changes, and whatever was
//! under way is finished by the other one.
//!
//! The real controller of Argo Rollouts runs as a process; Sluice in a pod, from its chart.
//!
//! | file | |
//! |---|---|
//! | `fleet` | the Rollouts, one for each phase |
//! | `acts` | what is done to them |
//! | `phases` | how the phases look |
//! | `templates` | pods, Services, analyses |
//! | `controllers` | the two controllers |
//! | `look` | what must not change when they change hands |
//! | `record` | the fixtures of the tests that need no cluster |

mod acts;
mod controllers;
mod fleet;
mod look;
mod phases;
mod record;
mod templates;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::future::join_all;
use serde_json::Value;

use super::Stage;
use super::watch::healthy;
use crate::cluster::Namespace;
use acts::Act;
use controllers::{Controller, EndsWith};
use fleet::Member;

/// Argo Rollouts drives every Rollout into its phase; Sluice takes over and finishes them.
pub(super) async fn taken_over(stage: Arc<Stage>) -> Result<()> {
    change_hands(
        &stage,
        "adopted",
        Controller::ArgoRollouts,
        Controller::Sluice,
    )
    .await
}

/// Sluice drives every Rollout into its phase; Argo Rollouts takes over and finishes them.
pub(super) async fn handed_back(stage: Arc<Stage>) -> Result<()> {
    change_hands(
        &stage,
        "returned",
        Controller::Sluice,
        Controller::ArgoRollouts,
    )
    .await
}

/// Writes the fixtures: every phase, as Argo Rollouts leaves it.
///
/// # Errors
/// When a Rollout does not get into its phase, or a file cannot be written.
pub async fn record(stage: &Stage) -> Result<()> {
    let namespace = stage.cluster.namespace("record").await?;
    let _ends = EndsWith(stage, namespace.name());
    let fleet = fleet::all(&format!("{}.local", namespace.name()));
    drive(stage, &namespace, &fleet, Controller::ArgoRollouts).await?;
    Controller::ArgoRollouts
        .stop(stage, namespace.name())
        .await?;
    record::write(stage, namespace.name(), &fleet).await
}

async fn change_hands(
    stage: &Stage,
    prefix: &str,
    first: Controller,
    second: Controller,
) -> Result<()> {
    let namespace = stage.cluster.namespace(prefix).await?;
    let name = namespace.name();
    let _ends = EndsWith(stage, name);
    let fleet = fleet::all(&format!("{name}.local"));
    let outcome = async {
        drive(stage, &namespace, &fleet, first).await?;
        first.stop(stage, name).await?;
        let before = look::look(stage, name).await?;
        second.start(stage, name).await?;
        let after = look::look(stage, name).await?;
        // Both are told: a difference says why a Rollout is not finished, and the other way round.
        let same = look::compare(&before, &after);
        let finished = all_of(&fleet, |member| {
            acts::play(stage, name, member.name, &member.finish)
        })
        .await;
        match (same, finished) {
            (Ok(()), finished) => finished,
            (same, Ok(())) => same,
            (Err(same), Err(finished)) => bail!("{same:#}\n          {finished:#}"),
        }
    }
    .await;
    // Its ClusterRole does not go with the namespace.
    let gone = super::sharding::uninstall(stage, name).await;
    outcome.and(gone)
}

/// Deploys the fleet under a controller and drives every member into its phase.
async fn drive(
    stage: &Stage,
    namespace: &Namespace,
    fleet: &[Member],
    controller: Controller,
) -> Result<()> {
    let name = namespace.name();
    let apply = async |objects: Vec<Value>| {
        // JSON is YAML.
        let all: Vec<String> = objects.iter().map(Value::to_string).collect();
        namespace.apply_yaml(&all.join("\n---\n")).await
    };
    apply(templates::analyses(&stage.cluster.prometheus_url(), name)).await?;
    let mut manifests = Vec::new();
    for member in fleet {
        manifests.extend(member.manifests(name));
    }
    apply(manifests).await?;
    controller.start(stage, name).await?;
    all_of(fleet, |member| async {
        let first = [Act::Until("v1 to be healthy", healthy)];
        acts::play(stage, name, member.name, &first).await
    })
    .await?;
    let (late, early): (Vec<&Member>, Vec<&Member>) = fleet.iter().partition(|member| member.late);
    for group in [early, late] {
        all_of(group, |member| {
            acts::play(stage, name, member.name, &member.drive)
        })
        .await
        .context("into its phase")?;
    }
    at_rest(stage, name).await
}

/// Waits until the controller has written what belongs to the phases, so that it is not stopped between two writes.
async fn at_rest(stage: &Stage, namespace: &str) -> Result<()> {
    let mut last = look::look(stage, namespace).await?;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = look::look(stage, namespace).await?;
        if now == last {
            return Ok(());
        }
        last = now;
    }
    bail!("the fleet does not come to rest")
}

/// Does the same for every member, side by side; the error names all that failed.
async fn all_of<'a, F>(
    fleet: impl IntoIterator<Item = &'a Member>,
    work: impl Fn(&'a Member) -> F,
) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    let outcomes = join_all(fleet.into_iter().map(work)).await;
    let failures: Vec<String> = outcomes
        .into_iter()
        .filter_map(|outcome| outcome.err().map(|error| format!("{error:#}")))
        .collect();
    if !failures.is_empty() {
        bail!("{}", failures.join("\n          "));
    }
    Ok(())
}
