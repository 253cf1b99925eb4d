//! What must hold when nothing happens any more: the promises of liveness.

use serde_json::Value;
use sluice_analysis::phase::Phase;
use sluice_crds::names::MANAGED_BY_ROLLOUTS;
use sluice_crds::rollout::{Rollout, RolloutStatus};

use super::canary::{Weights, route, sides};
use super::{Broken, hash_of, pods, replicas_of, selected};
use crate::metrics::Metrics;
use crate::store::{Key, Object, Store};
use crate::workload::Workloads;

pub(super) fn require(
    holds: bool,
    promise: &'static str,
    seen: impl FnOnce() -> String,
) -> Result<(), Broken> {
    if holds {
        Ok(())
    } else {
        Err(Broken {
            promise,
            seen: seen(),
        })
    }
}

/// Judges what rests, whether it is done or waits for somebody.
///
/// # Errors
/// The promise that does not hold.
pub fn judge(store: &Store, main: &Key, workloads: &Workloads) -> Result<(), Broken> {
    let Some(object) = store.object(main) else {
        return Ok(());
    };
    if object.experiment().is_some() {
        return experiment(store, object);
    }
    let Some(rollout) = object.rollout() else {
        return Ok(());
    };
    let status = rollout.status.clone().unwrap_or_default();
    let phase = status.phase.clone().unwrap_or_default();
    let message = status.message.clone().unwrap_or_default();
    require(
        matches!(phase.as_str(), "Healthy" | "Paused" | "Degraded"),
        "a run comes to rest in a final phase",
        || format!("{phase}: {message}"),
    )?;
    let generation = rollout.metadata.generation.unwrap_or(0).to_string();
    require(
        status.observed_generation.as_deref() == Some(generation.as_str()),
        "the last spec was observed",
        || format!("{:?}, generation {generation}", status.observed_generation),
    )?;
    require(
        phase != "Degraded" || status.aborted() || message.contains("ProgressDeadlineExceeded"),
        "a Rollout is Degraded only for a reason",
        || message.clone(),
    )?;
    let settled = phase == "Healthy" || status.aborted();
    // A router is not sent to a stable side on which nobody answers.
    let stable = status.stable_rs.as_deref().unwrap_or_default();
    let answers = |set: &Object| {
        hash_of(set) == stable && set.replica_set().is_some_and(|set| set.available > 0)
    };
    if settled && store.objects("ReplicaSet").any(|set| answers(set)) {
        traffic(store, rollout)?;
    }
    if settled {
        if let Some(strategy) = rollout.spec.blue_green() {
            let active = strategy.active_service.as_deref().unwrap_or_default();
            let hash = selected(store, main, active).map(|set| hash_of(set).to_owned());
            require(
                hash == status.stable_rs,
                "at rest the active Service selects the stable revision",
                || format!("{hash:?} ≠ {:?}", status.stable_rs),
            )?;
        }
        runs_are_over(store, rollout)?;
    }
    if phase == "Healthy" {
        healthy(store, rollout, &status, workloads)?;
    }
    Ok(())
}

/// No traffic for the canary side, in whatever form.
fn traffic(store: &Store, rollout: &Rollout) -> Result<(), Broken> {
    let (Some((canary, stable)), Some(key)) = (sides(rollout), route(rollout)) else {
        return Ok(());
    };
    let Some(route) = store.object(&key) else {
        return Ok(());
    };
    let weights = Weights::of(route, canary, stable);
    require(
        weights.is_none_or(|weights| weights.canary == 0),
        "at rest all traffic is on the stable side",
        || format!("{weights:?}"),
    )?;
    let rules = route.at("/spec/rules");
    let rules = rules.and_then(Value::as_array).map_or(0, Vec::len);
    require(
        rules == 1,
        "at rest no header or mirror route is left",
        || format!("{rules} rules"),
    )
}

fn runs_are_over(store: &Store, rollout: &Rollout) -> Result<(), Broken> {
    let uid = rollout.metadata.uid.as_deref().unwrap_or_default();
    let open = |object: &&std::sync::Arc<Object>| {
        object.owner() == uid
            && !Phase::parse(object.text("/status/phase")).completed()
            && object.at("/spec/terminate") != Some(&Value::Bool(true))
    };
    for kind in ["AnalysisRun", "Experiment"] {
        let left = store.objects(kind).find(open);
        require(left.is_none(), "at rest nothing is measured", || {
            left.map(|it| it.key.to_string()).unwrap_or_default()
        })?;
    }
    Ok(())
}

fn healthy(
    store: &Store,
    rollout: &Rollout,
    status: &RolloutStatus,
    workloads: &Workloads,
) -> Result<(), Broken> {
    let uid = rollout.metadata.uid.as_deref().unwrap_or_default();
    let stable = rollout
        .spec
        .canary()
        .and_then(|it| it.stable_metadata.as_ref());
    let active = rollout
        .spec
        .blue_green()
        .and_then(|it| it.active_metadata.as_ref());
    let role = stable.or(active);
    let wanted = role.and_then(|role| role.labels.as_ref()?.get("role"));
    let own = |owner: Option<&String>| {
        store
            .objects("ReplicaSet")
            .any(|set| set.owner() == uid && owner.is_some_and(|owner| owner == set.uid()))
    };
    let other = workloads
        .pods()
        .into_iter()
        .find(|pod| pod.labels.get("role") != wanted && own(pod.owner.as_ref()));
    require(
        other.is_none(),
        "at rest every pod has the metadata of its role",
        || format!("{other:?}, not {wanted:?}"),
    )?;
    let restart = &rollout.spec.restart_at;
    require(
        *restart == status.restarted_at,
        "at rest every restart is done",
        || format!("{restart:?} ≠ {:?}", status.restarted_at),
    )?;
    let pods = pods(store, rollout);
    require(
        pods == i64::from(rollout.spec.replicas()),
        "a healthy Rollout has the pods that it wants",
        || format!("{pods} ≠ {}", rollout.spec.replicas()),
    )?;
    let current = status.current_pod_hash.as_deref().unwrap_or_default();
    let chosen = |set: &Object| {
        let mut services = store.objects("Service").filter_map(|it| it.service());
        services.any(|service| service.hash() == Some(hash_of(set)))
    };
    let idle = |set: &&std::sync::Arc<Object>| {
        set.owner() == uid && replicas_of(set) == 0 && hash_of(set) != current && !chosen(set)
    };
    let old = store.objects("ReplicaSet").filter(idle).count();
    let limit = usize::try_from(rollout.spec.revision_history_limit()).unwrap_or(0);
    require(
        old <= limit,
        "no more old revisions are kept than the history limit says",
        || format!("{old} > {limit}"),
    )?;
    let named = rollout.spec.service_names();
    let left = store.objects("Service").find(|service| {
        let annotations = service.at("/metadata/annotations");
        let manager = annotations.and_then(|it| it.get(MANAGED_BY_ROLLOUTS)?.as_str());
        manager == rollout.metadata.name.as_deref() && !named.contains(service.key.name.as_str())
    });
    require(
        left.is_none(),
        "no Service stays behind that the strategy names no more",
        || left.map(|it| it.key.to_string()).unwrap_or_default(),
    )
}

/// An Experiment that is over leaves nothing behind.
fn experiment(store: &Store, object: &Object) -> Result<(), Broken> {
    let phase = Phase::parse(object.text("/status/phase"));
    let sets = store
        .objects("ReplicaSet")
        .filter(|set| set.owner() == object.uid());
    let pods: i64 = sets.map(|set| replicas_of(set)).sum();
    require(
        !phase.completed() || pods == 0,
        "an Experiment that is over has no pods",
        || format!("{phase}, {pods} pods"),
    )?;
    let mut services = store
        .objects("Service")
        .filter(|service| service.owner() == object.uid());
    let service = services.next();
    require(
        !phase.completed() || service.is_none(),
        "an Experiment that is over has no Services",
        || service.map(|it| it.key.to_string()).unwrap_or_default(),
    )?;
    let mut runs = store.objects("AnalysisRun");
    let open = runs.find(|run| {
        run.owner() == object.uid() && !Phase::parse(run.text("/status/phase")).completed()
    });
    require(
        !phase.completed() || open.is_none(),
        "an Experiment that is over measures nothing",
        || open.map(|it| it.key.to_string()).unwrap_or_default(),
    )
}

/// Judges how it ended, after a person has promoted and retried what there was to promote and to retry.
///
/// # Errors
/// When an update to a good image did not become healthy, or one whose pods never come up did.
pub fn judge_end(
    store: &Store,
    main: &Key,
    metrics: &Metrics,
    ends_well: bool,
) -> Result<(), Broken> {
    let Some(object) = store.object(main) else {
        return Ok(());
    };
    let phase = object.text("/status/phase");
    let message = object.text("/status/message");
    if object.rollout().is_none() {
        return require(
            Phase::parse(phase).completed(),
            "an Experiment ends",
            || format!("{phase}: {message}"),
        );
    }
    let current = object.text("/status/currentPodHash");
    let set = store
        .objects("ReplicaSet")
        .find(|set| set.owner() == object.uid() && hash_of(set) == current);
    let behaviour = set.map(|set| metrics.workloads.behaviour(set));
    let behaviour = behaviour.unwrap_or_default();
    if behaviour.ready_after.is_none() {
        let replicas = object.at("/spec/replicas");
        let none = replicas.and_then(Value::as_i64) == Some(0);
        return require(
            phase == "Degraded" || (phase == "Healthy" && none),
            "an update whose pods never come up ends Degraded",
            || format!("{phase}: {message}"),
        );
    }
    // One that is compared with, or can only replace, pods that never come up may fail for that.
    let stable = object.text("/status/stableRS");
    let stable = store
        .objects("ReplicaSet")
        .find(|set| hash_of(set) == stable);
    let stable = stable.map(|set| metrics.workloads.behaviour(set));
    let compared = stable.is_none_or(|stable| stable.ready_after.is_some());
    let good = behaviour.error_rate == 0.0 && ends_well && compared;
    require(
        phase == "Healthy" || (!good && matches!(phase, "Degraded" | "Paused")),
        "once faults have stopped an update ends as it should",
        || format!("{phase}: {message}"),
    )
}
