//! What must hold when nothing happens any more, and how often something is looked at.

use jiff::{SignedDuration, Timestamp};
use sluice_rollout::{Effect, decide, experiment};
use sluice_simulation::controller::engine::Engine;
use sluice_simulation::fixtures;
use sluice_simulation::schedule::Order;

use crate::defects::{Distort, bites, broken, guarded, unguarded, updating, without};

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
