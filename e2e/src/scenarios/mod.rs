//! What must hold on a real cluster: one function each, in a namespace of its own, side by side.
//!
//! [`all`] lists them; [`run`] plays them and prints one line for each: four at a time, then the fleets that change
//! hands, then, alone, those that stop a part of the cluster or the controller.

mod adoption;
mod analysis;
mod autoscaling;
mod bad_input;
mod blue_green;
mod canary;
mod examples;
mod experiments;
mod fixtures;
mod gitops;
mod measurements;
mod outages;
mod plugin;
mod pods;
mod routers;
mod sharding;
mod sides;
mod strategies;
mod upstream_plugin;
mod visitor;
mod watch;
mod workloads;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::StreamExt;
use futures::stream;

pub use adoption::record as record_adoption;

use crate::cluster::Cluster;
use crate::install::{self, Profile};
use crate::product::build::Programs;
use crate::progress::{Reporter, seconds};

/// What every scenario gets.
pub struct Stage {
    /// The cluster, with Sluice on it.
    pub cluster: Cluster,
    /// Client with the rights of an administrator.
    pub client: kube::Client,
    /// The programs that were built.
    pub programs: Programs,
}

type Work = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A scenario.
pub struct Scenario {
    name: &'static str,
    /// Whether it disturbs the others.
    alone: bool,
    /// Whether it starts so many pods that others would feel it.
    fleet: bool,
    /// What it needs beside a cluster.
    needs: Profile,
    limit: Duration,
    play: fn(Arc<Stage>) -> Work,
}

macro_rules! scenario {
    ($name:literal, $seconds:literal, $function:path) => {
        Scenario {
            name: $name,
            alone: false,
            fleet: false,
            needs: Profile::Full,
            limit: Duration::from_secs($seconds),
            play: |stage| Box::pin($function(stage)),
        }
    };
    (alone $name:literal, $seconds:literal, $function:path) => {
        Scenario {
            alone: true,
            ..scenario!($name, $seconds, $function)
        }
    };
}

/// A scenario that needs a program of Argo Rollouts.
fn argo_rollouts(scenario: Scenario) -> Scenario {
    Scenario {
        needs: Profile::Adoption,
        ..scenario
    }
}

/// A scenario in which a fleet changes hands.
fn adoption(scenario: Scenario) -> Scenario {
    Scenario {
        fleet: true,
        ..argo_rollouts(scenario)
    }
}

/// All scenarios.
#[must_use]
pub fn all() -> Vec<Scenario> {
    vec![
        scenario!(
            "an HTTPRoute splits real traffic as told",
            240,
            routers::http_route
        ),
        scenario!(
            "an nginx canary Ingress splits real traffic as told",
            240,
            routers::nginx
        ),
        scenario!(
            "a TraefikService splits real traffic as told",
            240,
            routers::traefik
        ),
        scenario!(
            "a canary without routing goes step by step by pods",
            180,
            canary::basic
        ),
        scenario!(
            "abort by hand, retry, promote and undo through the plugin",
            300,
            plugin::operations
        ),
        argo_rollouts(scenario!(
            "the plugin of Argo Rollouts itself drives a canary",
            300,
            upstream_plugin::canary
        )),
        argo_rollouts(scenario!(
            "the plugin of Argo Rollouts itself drives a blue-green",
            300,
            upstream_plugin::blue_green
        )),
        argo_rollouts(scenario!(
            "the plugin of Argo Rollouts itself ends and retries measurements",
            300,
            upstream_plugin::measurements
        )),
        scenario!(
            "a going back to the stable revision skips the steps",
            180,
            canary::fast_track
        ),
        scenario!(
            "a Rollout is scaled in the middle of a pause",
            180,
            canary::scaled_in_a_pause
        ),
        scenario!(
            "blue-green: users see the new version when it is promoted",
            240,
            blue_green::manual
        ),
        scenario!(
            "blue-green: a failed pre-promotion analysis stays unseen",
            240,
            blue_green::pre_promotion_fails
        ),
        scenario!(
            "blue-green: promoted by time, and back at once",
            240,
            blue_green::automatic
        ),
        scenario!(
            "blue-green: a failed post-promotion analysis turns back",
            240,
            blue_green::post_promotion_fails
        ),
        scenario!(
            "an experiment of two templates comes and goes",
            300,
            experiments::step
        ),
        scenario!(
            "an experiment that fails aborts the update",
            240,
            experiments::fails
        ),
        scenario!(
            "Jobs that succeed let an update through",
            240,
            analysis::jobs_succeed
        ),
        scenario!(
            "a Job that fails aborts an update",
            240,
            analysis::a_job_fails
        ),
        scenario!(
            "a long Job ends with the update that it measures",
            240,
            analysis::a_long_job_is_ended
        ),
        scenario!(
            "a Deployment is taken over without a gap",
            300,
            workloads::deployment_is_taken_over
        ),
        scenario!(
            "a Deployment shrinks pod by pod as its Rollout grows",
            240,
            workloads::deployment_shrinks_as_the_rollout_grows
        ),
        scenario!(
            "a ReplicaSet and a PodTemplate say what pods are like",
            300,
            workloads::other_workloads
        ),
        scenario!(
            "a Rollout is deleted, and its Services serve a Deployment",
            240,
            workloads::back_to_a_deployment
        ),
        scenario!(
            "a restart evicts pods one by one, as their budget allows",
            300,
            pods::restart
        ),
        scenario!(
            "an image that cannot be pulled: deadline, no harm",
            300,
            pods::image_is_missing
        ),
        scenario!("pods that crash: deadline and abort", 300, pods::pods_crash),
        scenario!(
            "living pods carry the metadata of their role",
            240,
            pods::metadata
        ),
        scenario!(
            "an autoscaler scales in a pause and after an abort",
            300,
            autoscaling::pause_and_abort
        ),
        scenario!(
            "a second Sluice, by instance id, needs its own rights only",
            400,
            sharding::own_rights_suffice
        ),
        scenario!(
            "chosen requests reach the canary by their header",
            240,
            sides::header
        ),
        scenario!(
            "requests are mirrored only where the gateway can do it",
            240,
            sides::mirror
        ),
        scenario!(
            "two Services swap roles while stable shrinks and grows",
            300,
            sides::ping_pong
        ),
        scenario!(
            "a canary larger than its weight, until it is steady",
            300,
            sides::scaled_and_steady
        ),
        scenario!(
            "canary to blue-green and back, and no request fails",
            300,
            strategies::there_and_back
        ),
        scenario!(
            "a rollback within its window skips the steps",
            300,
            strategies::rollback_window
        ),
        scenario!(
            "of the revisions in their delay one stays",
            240,
            strategies::delayed_revisions
        ),
        scenario!(
            "an analysis over HTTP hides its secret and ends by hand",
            300,
            measurements::over_http
        ),
        scenario!(
            "a run goes when its time is over, with its Job",
            120,
            measurements::expires
        ),
        adoption(scenario!(
            "taken over from Argo Rollouts in every phase",
            600,
            adoption::taken_over
        )),
        adoption(scenario!(
            "handed back to Argo Rollouts in every phase",
            600,
            adoption::handed_back
        )),
        scenario!(
            "bad input gets a condition that names the field",
            180,
            bad_input::rollouts
        ),
        scenario!(
            "bad Applications get a condition, the others go on",
            240,
            bad_input::sources
        ),
        scenario!(
            "drift is healed, weights are not drift, pruning works",
            300,
            gitops::drift
        ),
        scenario!(
            "Kustomize and Helm sources are rendered and synced",
            240,
            gitops::renderers
        ),
        scenario!(
            "what the AppProject forbids is refused",
            180,
            gitops::project
        ),
        scenario!("from a webhook to applied objects", 120, gitops::webhook),
        scenario!(
            "the examples of all routers are deployed and updated",
            400,
            examples::rollouts_of_all_routers
        ),
        scenario!(
            "the examples' analysis templates are accepted",
            60,
            examples::templates
        ),
        scenario!(
            "the examples' Applications are synced and healthy",
            400,
            examples::applications_of_all_kinds
        ),
        scenario!(alone "Prometheus stops in the middle of an analysis: hold, no abort", 240, outages::prometheus),
        scenario!(alone "the Git server stops: the last good state stays", 240, outages::git),
        scenario!(alone "the controller is killed at ten moments of a canary", 900, outages::kills),
    ]
}

/// Plays the scenarios whose name contains `only`; returns how many passed and failed.
///
/// # Errors
/// When the stage cannot be reached at all.
pub async fn run(stage: Arc<Stage>, only: &str) -> Result<(usize, usize)> {
    let chosen: Vec<Scenario> = all()
        .into_iter()
        .filter(|scenario| scenario.name.contains(only))
        .collect();
    if chosen.iter().any(|one| one.needs == Profile::Adoption) {
        install::install(Profile::Adoption, &Reporter::terminal()).await?;
    }
    let (alone, together): (Vec<_>, Vec<_>) =
        chosen.into_iter().partition(|scenario| scenario.alone);
    // Fifty pods that start at once would be seen by those that count every request.
    let (fleets, together): (Vec<_>, Vec<_>) =
        together.into_iter().partition(|scenario| scenario.fleet);
    let mut outcomes = Vec::new();
    for group in [together, fleets] {
        let group = stream::iter(group).map(|scenario| play(stage.clone(), scenario));
        outcomes.extend(group.buffer_unordered(4).collect::<Vec<bool>>().await);
    }
    for scenario in alone {
        outcomes.push(play(stage.clone(), scenario).await);
    }
    let passed = outcomes.iter().filter(|passed| **passed).count();
    Ok((passed, outcomes.len() - passed))
}

async fn play(stage: Arc<Stage>, scenario: Scenario) -> bool {
    let began = Instant::now();
    let task = tokio::spawn((scenario.play)(stage));
    let abort = task.abort_handle();
    let outcome = match tokio::time::timeout(scenario.limit, task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(anyhow::anyhow!("{panic}")),
        Err(elapsed) => {
            abort.abort();
            Err(elapsed).context(format!("not over after {} s", scenario.limit.as_secs()))
        }
    };
    let time = seconds(began.elapsed());
    match outcome {
        Ok(()) => {
            println!("  ok      {:<66} {time:>8}", scenario.name);
            true
        }
        Err(error) => {
            println!(
                "  FAILED  {:<66} {time:>8}\n          {error:#}",
                scenario.name
            );
            false
        }
    }
}
