//! Each oracle bites: an engine with a deliberate defect breaks the promise, and is caught.

use jiff::{SignedDuration, Timestamp};
use sluice_rollout::plan::Precondition;
use sluice_rollout::{Effect, Plan, ReplicaSet, World, decide, experiment};
use sluice_simulation::controller::engine::Engine;
use sluice_simulation::oracle::Broken;
use sluice_simulation::schedule::Step;
use sluice_simulation::schedule::{self, Order};
use sluice_simulation::store::Key;
use sluice_simulation::{cluster::Cluster, fixtures};

/// What a defective engine does to the plan of the real one.
type Distort = fn(&World<'_>, Timestamp) -> Plan;

/// The real engine, and an executor that lets everything through.
fn unguarded(rollout: Distort) -> Engine {
    Engine {
        rollout,
        check: |_, _| Ok(()),
        ..Engine::default()
    }
}

fn guarded(rollout: Distort) -> Engine {
    Engine {
        rollout,
        ..Engine::default()
    }
}

fn broken(mut cluster: Cluster, engine: Engine, orders: &[Order]) -> Option<Broken> {
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

fn bites(promise: &str, fixture: &str, engine: Engine, orders: &[Order]) {
    let broken = broken(fixtures::deployed(fixture), engine, orders);
    assert_eq!(
        broken.as_ref().map(|it| it.promise),
        Some(promise),
        "{broken:?}"
    );
}

fn precondition(set: &ReplicaSet) -> Precondition {
    Precondition {
        uid: set.uid.clone(),
        resource_version: set.resource_version.clone(),
    }
}

fn take_away(set: &ReplicaSet) -> Effect {
    Effect::ScaleReplicaSet {
        name: set.name.clone(),
        precondition: precondition(set),
        from: set.replicas,
        to: 0,
        annotations: Default::default(),
    }
}

/// Points a Service at a set.
fn point(world: &World<'_>, service: &str, set: &ReplicaSet) -> Option<Effect> {
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

fn hash_of<'a>(world: &'a World<'_>, stable: bool) -> Option<&'a str> {
    let status = world.rollout.status.as_ref()?;
    if stable {
        status.stable_rs.as_deref()
    } else {
        status.current_pod_hash.as_deref()
    }
}

fn set<'a>(world: &'a World<'_>, stable: bool) -> Option<&'a ReplicaSet> {
    let hash = hash_of(world, stable)?;
    world
        .replica_sets
        .iter()
        .find(|set| set.hash() == Some(hash))
}

fn updating(world: &World<'_>) -> bool {
    hash_of(world, true) != hash_of(world, false)
}

fn aborted(world: &World<'_>) -> bool {
    world
        .rollout
        .status
        .as_ref()
        .is_some_and(|it| it.abort == Some(true))
}

/// The new set, and only it, has effects instead of those of the real plan.
fn instead(world: &World<'_>, now: Timestamp, effect: Option<Effect>) -> Plan {
    let mut plan = decide(world, now);
    if let Some(effect) = effect {
        plan.effects = vec![effect];
    }
    plan
}

fn without(world: &World<'_>, now: Timestamp, drop: fn(&Effect) -> bool) -> Plan {
    let mut plan = decide(world, now);
    plan.effects.retain(|effect| !drop(effect));
    plan
}

fn scales_stable_away(world: &World<'_>, now: Timestamp) -> Plan {
    let stable = set(world, true).filter(|set| updating(world) && set.replicas > 0);
    instead(world, now, stable.map(take_away))
}

#[test]
fn what_the_invariants_refuse_is_not_decided() {
    let promise = "nothing unsafe is decided";
    let orders = [Order::Image(1)];
    bites(
        promise,
        "routed-steps",
        guarded(scales_stable_away),
        &orders,
    );
    bites(promise, "blue-green", guarded(scales_stable_away), &orders);
}

#[test]
fn weights_sum_to_the_maximum() {
    let engine = unguarded(|world, now| {
        let mut plan = decide(world, now);
        for effect in &mut plan.effects {
            if let Effect::SetTraffic(split) = effect {
                split.max = 50;
            }
        }
        plan
    });
    bites(
        "weights sum to the maximum",
        "routed-steps",
        engine,
        &[Order::Image(1)],
    );
}

#[test]
fn an_abort_never_raises_the_canary() {
    let engine = unguarded(|world, now| {
        let mut plan = decide(world, now);
        for effect in &mut plan.effects {
            if let Effect::SetTraffic(split) = effect
                && aborted(world)
            {
                split.canary = 90;
                split.canary_hash = hash_of(world, false).map(str::to_owned);
            }
        }
        plan
    });
    let touch = Order::Touch;
    let orders = [
        Order::Image(1),
        touch,
        touch,
        touch,
        touch,
        Order::Abort,
        touch,
    ];
    bites(
        "an abort never raises the canary",
        "routed-steps",
        engine,
        &orders,
    );
}

#[test]
fn nothing_that_gets_traffic_is_scaled_away() {
    let engine = unguarded(scales_stable_away);
    let promise = "nothing that gets traffic is scaled away";
    bites(promise, "routed-steps", engine, &[Order::Image(1)]);
}

#[test]
fn traffic_is_not_sent_to_a_revision_without_pods() {
    let engine = unguarded(|world, now| {
        let new = set(world, false).filter(|set| updating(world) && set.replicas == 0);
        instead(world, now, new.and_then(|new| point(world, "stable", new)))
    });
    let promise = "traffic is not sent to a revision without pods";
    bites(promise, "routed-steps", engine, &[Order::Image(1)]);
}

#[test]
fn a_workload_makes_no_more_room_than_is_taken() {
    let engine = unguarded(|world, now| {
        let text = |pointer: &str| {
            let value = world.workload.and_then(|it| it.pointer(pointer)?.as_str());
            value.unwrap_or_default().to_owned()
        };
        let all = Effect::ScaleWorkload {
            name: text("/metadata/name"),
            precondition: Precondition {
                uid: text("/metadata/uid"),
                resource_version: text("/metadata/resourceVersion"),
            },
            from: 4,
            to: 0,
        };
        instead(world, now, Some(all))
    });
    let cluster = fixtures::cluster("workload-progressively");
    let broken = broken(cluster, engine, &[Order::Touch]);
    assert_eq!(
        broken.map(|it| it.promise),
        Some("a workload that is taken over makes no more room than is taken")
    );
}

#[test]
fn the_active_service_never_selects_what_is_scaled_away() {
    let engine = unguarded(scales_stable_away);
    let promise = "the active Service never selects what is scaled away";
    bites(promise, "blue-green", engine, &[Order::Image(1)]);
}

#[test]
fn an_update_that_is_given_up_is_not_switched_to() {
    let engine = unguarded(|world, now| {
        let new = set(world, false).filter(|_| aborted(world) && updating(world));
        instead(world, now, new.and_then(|new| point(world, "active", new)))
    });
    let orders = [Order::Image(1), Order::Touch, Order::Abort];
    let promise = "an update that is given up is not switched to";
    bites(promise, "blue-green-by-hand", engine, &orders);
}

#[test]
fn a_new_revision_is_whole_when_it_is_switched_to() {
    let engine = unguarded(|world, now| {
        let new = set(world, false).filter(|new| updating(world) && new.replicas == 1);
        instead(world, now, new.and_then(|new| point(world, "active", new)))
    });
    let promise = "a new revision is whole when it is switched to";
    bites(promise, "blue-green", engine, &[Order::Image(1)]);
}

#[test]
fn what_belongs_to_others_is_left_alone() {
    let engine = unguarded(|world, now| {
        let stable = set(world, true);
        instead(
            world,
            now,
            stable.and_then(|set| point(world, "preview", set)),
        )
    });
    let others = [Key::new("Service", "default", "preview")];
    let cluster = fixtures::cluster("blue-green").with_bystanders(&others);
    let broken = broken(cluster, engine, &[Order::Touch]);
    assert_eq!(
        broken.map(|it| it.promise),
        Some("what belongs to others is left alone")
    );
}

#[test]
fn what_rests_has_a_final_phase_for_the_last_spec_and_for_a_reason() {
    let progressing = guarded(|world, now| {
        let mut plan = decide(world, now);
        plan.status.phase = Some("Progressing".to_owned());
        plan
    });
    bites(
        "a run comes to rest in a final phase",
        "basic",
        progressing,
        &[],
    );
    let forgetful = guarded(|world, now| {
        let mut plan = decide(world, now);
        plan.status.observed_generation = None;
        plan
    });
    bites("the last spec was observed", "basic", forgetful, &[]);
    let degraded = guarded(|world, now| {
        let mut plan = decide(world, now);
        plan.status.phase = Some("Degraded".to_owned());
        plan.status.message = None;
        plan
    });
    bites(
        "a Rollout is Degraded only for a reason",
        "basic",
        degraded,
        &[],
    );
}

#[test]
fn what_rests_has_its_traffic_on_the_stable_side() {
    let lowers: Distort = |world, now| {
        without(
            world,
            now,
            |effect| matches!(effect, Effect::SetTraffic(split) if split.canary == 0),
        )
    };
    let orders = [Order::Image(1), Order::Touch, Order::Touch, Order::Abort];
    let promise = "at rest all traffic is on the stable side";
    bites(promise, "routed-steps", guarded(lowers), &orders);
    let routes: Distort = |world, now| {
        let mut plan = decide(world, now);
        let shown = world
            .traffic
            .ok()
            .and_then(|all| all.first()?.routes.clone());
        for effect in &mut plan.effects {
            if let (Effect::SetTraffic(split), Some(shown)) = (effect, &shown)
                && split.routes.is_empty()
            {
                split.routes.clone_from(&shown.routes);
            }
        }
        plan
    };
    let promise = "at rest no header or mirror route is left";
    bites(promise, "headers", unguarded(routes), &orders);
    let other: Distort = |world, now| {
        let mut plan = decide(world, now);
        plan.status.stable_rs = Some("other".to_owned());
        plan
    };
    let promise = "at rest the active Service selects the stable revision";
    bites(promise, "blue-green-plain", guarded(other), &[]);
}

#[test]
fn what_rests_measures_nothing() {
    let engine = guarded(|world, now| {
        without(world, now, |effect| {
            matches!(effect, Effect::TerminateAnalysisRun { .. })
        })
    });
    let orders = [
        Order::Image(1),
        Order::Touch,
        Order::Touch,
        Order::Touch,
        Order::Abort,
    ];
    bites("at rest nothing is measured", "threshold", engine, &orders);
}

#[test]
fn what_rests_has_its_pods_with_their_metadata_and_restarted() {
    let unmarked = guarded(|world, now| {
        without(world, now, |effect| {
            matches!(effect, Effect::PatchPod { .. })
        })
    });
    let promise = "at rest every pod has the metadata of its role";
    bites(promise, "blue-green-analysed", unmarked, &[Order::Image(1)]);
    let running = guarded(|world, now| {
        let mut plan = decide(world, now);
        plan.effects
            .retain(|effect| !matches!(effect, Effect::EvictPod { .. }));
        plan.status.restarted_at = None;
        plan.status.phase = Some("Healthy".to_owned());
        plan
    });
    bites(
        "at rest every restart is done",
        "rolling",
        running,
        &[Order::Restart],
    );
    let few = guarded(|world, now| {
        let mut plan = decide(world, now);
        let down = |effect: &Effect| matches!(effect, Effect::ScaleReplicaSet { from, to, .. } if from > to);
        plan.effects.retain(|effect| !down(effect));
        plan.status.phase = Some("Healthy".to_owned());
        plan
    });
    let promise = "a healthy Rollout has the pods that it wants";
    bites(promise, "basic", few, &[Order::Scale(1)]);
}

#[test]
fn what_rests_keeps_no_more_than_it_may() {
    let hoards = guarded(|world, now| {
        without(world, now, |effect| {
            matches!(effect, Effect::DeleteReplicaSet { .. })
        })
    });
    let mut orders = Vec::new();
    for image in [1, 2, 3, 1, 2] {
        orders.push(Order::Image(image));
        orders.extend([Order::Touch; 5]);
    }
    let promise = "no more old revisions are kept than the history limit says";
    bites(promise, "rolling", hoards, &orders);
    let keeps = guarded(|world, now| {
        without(world, now, |effect| {
            matches!(effect, Effect::SelectPods { hash: None, .. })
        })
    });
    let promise = "no Service stays behind that the strategy names no more";
    bites(promise, "switching", keeps, &[Order::Strategy(2)]);
}

type DistortExperiment = fn(&experiment::World<'_>, Timestamp) -> experiment::Plan;

fn with_experiment(experiment: DistortExperiment) -> Engine {
    Engine {
        experiment,
        ..Engine::default()
    }
}

fn dropping(
    world: &experiment::World<'_>,
    now: Timestamp,
    drop: fn(&experiment::Effect) -> bool,
) -> experiment::Plan {
    let mut plan = experiment::decide(world, now);
    plan.effects.retain(|effect| !drop(effect));
    plan
}

#[test]
fn an_experiment_leaves_nothing_behind_and_ends() {
    use experiment::Effect;
    let engines: [(&str, &str, DistortExperiment); 4] = [
        (
            "an Experiment that is over has no pods",
            "experiment",
            |world, now| {
                dropping(world, now, |effect| {
                    matches!(effect, Effect::ScaleReplicaSet { to: 0, .. })
                })
            },
        ),
        (
            "an Experiment that is over has no Services",
            "experiment",
            |world, now| {
                dropping(world, now, |effect| {
                    matches!(effect, Effect::DeleteService { .. })
                })
            },
        ),
        (
            "an Experiment that is over measures nothing",
            "experiment",
            |world, now| {
                dropping(world, now, |effect| {
                    matches!(effect, Effect::TerminateAnalysisRun { .. })
                })
            },
        ),
        ("an Experiment ends", "experiment-open", |world, now| {
            let mut plan = experiment::decide(world, now);
            plan.status.phase = Some("Running".to_owned());
            plan
        }),
    ];
    for (promise, fixture, engine) in engines {
        let broken = broken(fixtures::cluster(fixture), with_experiment(engine), &[]);
        assert_eq!(
            broken.as_ref().map(|it| it.promise),
            Some(promise),
            "{broken:?}"
        );
    }
}

#[test]
fn an_update_ends_as_it_should() {
    let pessimist = guarded(|world, now| {
        let mut plan = decide(world, now);
        if updating(world) {
            plan.status.abort = Some(true);
            plan.status.phase = Some("Degraded".to_owned());
        }
        plan
    });
    let promise = "once faults have stopped an update ends as it should";
    bites(promise, "basic", pessimist, &[Order::Image(1)]);
    let optimist = guarded(|world, now| {
        let mut plan = decide(world, now);
        let up = |effect: &Effect| matches!(effect, Effect::ScaleReplicaSet { from, to, .. } if to > from);
        plan.effects.retain(|effect| !up(effect));
        plan.status.phase = Some("Healthy".to_owned());
        plan
    });
    let promise = "an update whose pods never come up ends Degraded";
    bites(promise, "blue-green-plain", optimist, &[Order::Image(4)]);
}

#[test]
fn what_rests_needs_no_further_look_and_no_order() {
    let sleeper = guarded(|world, now| {
        let mut plan = decide(world, now);
        plan.wake_at = None;
        plan
    });
    let promise = "a look at what rests changes nothing";
    bites(promise, "basic", sleeper, &[Order::Image(1)]);
    let picky = guarded(|world, now| {
        let mut plan = decide(world, now);
        plan.status.message = world.replica_sets.first().map(|set| set.name.clone());
        plan
    });
    let promise = "a decision does not depend on the order of what is seen";
    bites(promise, "rolling", picky, &[Order::Image(1)]);
}

#[test]
fn nothing_runs_hot() {
    let flips = guarded(|world, now| {
        let mut plan = decide(world, now);
        let before = world.rollout.status.as_ref().and_then(|it| it.hpa_replicas);
        plan.status.hpa_replicas = Some(if before == Some(1) { 2 } else { 1 });
        plan
    });
    bites("nothing is written again and again", "basic", flips, &[]);
    let late = guarded(|world, now| {
        let mut plan = decide(world, now);
        plan.wake_at = now.checked_sub(SignedDuration::from_secs(1)).ok();
        plan
    });
    bites(
        "nobody asks to be looked at in the past",
        "basic",
        late,
        &[],
    );
    let nervous = guarded(|world, now| {
        let mut plan = decide(world, now);
        plan.wake_at = now.checked_add(SignedDuration::from_secs(1)).ok();
        plan
    });
    bites(
        "nothing is looked at again and again",
        "basic",
        nervous,
        &[],
    );
    let restless = guarded(|world, now| {
        let mut plan = decide(world, now);
        plan.status.hpa_replicas = i32::try_from(now.as_second() % 1_000_000).ok();
        plan.wake_at = now.checked_add(SignedDuration::from_secs(10)).ok();
        plan
    });
    bites("a run comes to rest", "basic", restless, &[]);
}
