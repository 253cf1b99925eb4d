//! Engines with a defect, made from the real one.

use jiff::Timestamp;
use sluice_rollout::plan::Precondition;
use sluice_rollout::{Effect, Plan, ReplicaSet, World, decide};
use sluice_simulation::cluster::Cluster;
use sluice_simulation::controller::engine::Engine;
use sluice_simulation::fixtures;
use sluice_simulation::oracle::Broken;
use sluice_simulation::schedule::{self, Order, Step};

/// What a defective engine does to the plan of the real one.
pub(crate) type Distort = fn(&World<'_>, Timestamp) -> Plan;

/// The real engine, and an executor that lets everything through.
pub(crate) fn unguarded(rollout: Distort) -> Engine {
    Engine {
        rollout,
        check: |_, _| Ok(()),
        ..Engine::default()
    }
}

pub(crate) fn guarded(rollout: Distort) -> Engine {
    Engine {
        rollout,
        ..Engine::default()
    }
}

pub(crate) fn broken(mut cluster: Cluster, engine: Engine, orders: &[Order]) -> Option<Broken> {
    cluster.controller.engine = engine;
    let look = [Step::Workloads, Step::CatchUp, Step::Due];
    let after = [
        look,
        look,
        [Step::Advance { seconds: 3 }, look[0], look[1]],
        look,
    ];
    let steps: Vec<Step> = orders
        .iter()
        .flat_map(|order| {
            std::iter::once(Step::Order(*order)).chain(after.iter().flatten().copied())
        })
        .collect();
    schedule::play(&mut cluster, &steps)
        .err()
        .map(|(_, broken)| broken)
}

pub(crate) fn bites(promise: &str, fixture: &str, engine: Engine, orders: &[Order]) {
    let broken = broken(fixtures::deployed(fixture), engine, orders);
    assert_eq!(
        broken.as_ref().map(|it| it.promise),
        Some(promise),
        "{broken:?}"
    );
}

pub(crate) fn precondition(set: &ReplicaSet) -> Precondition {
    Precondition {
        uid: set.uid.clone(),
        resource_version: set.resource_version.clone(),
    }
}

pub(crate) fn take_away(set: &ReplicaSet) -> Effect {
    Effect::ScaleReplicaSet {
        name: set.name.clone(),
        precondition: precondition(set),
        from: set.replicas,
        to: 0,
        annotations: Default::default(),
    }
}

/// Points a Service at a set.
pub(crate) fn point(world: &World<'_>, service: &str, set: &ReplicaSet) -> Option<Effect> {
    let service = world.services.get(service)?;
    (service.hash() != set.hash()).then(|| Effect::SelectPods {
        service: service.name.clone(),
        precondition: Precondition {
            uid: service.uid.clone(),
            resource_version: service.resource_version.clone(),
        },
        hash: set.hash().map(str::to_owned),
    })
}

pub(crate) fn hash_of<'a>(world: &'a World<'_>, stable: bool) -> Option<&'a str> {
    let status = world.rollout.status.as_ref()?;
    if stable {
        status.stable_rs.as_deref()
    } else {
        status.current_pod_hash.as_deref()
    }
}

pub(crate) fn set<'a>(world: &'a World<'_>, stable: bool) -> Option<&'a ReplicaSet> {
    let hash = hash_of(world, stable)?;
    world
        .replica_sets
        .iter()
        .find(|set| set.hash() == Some(hash))
}

pub(crate) fn updating(world: &World<'_>) -> bool {
    hash_of(world, true) != hash_of(world, false)
}

pub(crate) fn aborted(world: &World<'_>) -> bool {
    world
        .rollout
        .status
        .as_ref()
        .is_some_and(|it| it.abort == Some(true))
}

/// The new set, and only it, has effects instead of those of the real plan.
pub(crate) fn instead(world: &World<'_>, now: Timestamp, effect: Option<Effect>) -> Plan {
    let mut plan = decide(world, now);
    if let Some(effect) = effect {
        plan.effects = vec![effect];
    }
    plan
}

pub(crate) fn without(world: &World<'_>, now: Timestamp, drop: fn(&Effect) -> bool) -> Plan {
    let mut plan = decide(world, now);
    plan.effects.retain(|effect| !drop(effect));
    plan
}

pub(crate) fn scales_stable_away(world: &World<'_>, now: Timestamp) -> Plan {
    let stable = set(world, true).filter(|set| updating(world) && set.replicas > 0);
    instead(world, now, stable.map(take_away))
}
