//! R6, R24, R25, R30: a controller that sees an old world, that died in the middle, or whose Rollout was lost.

use serde_json::json;
use sluice_crds::Time;
use sluice_rollout::{Effect, Precondition};

use crate::fixtures::scenes::{paused_at_half, taken_over};
use crate::fixtures::{Cluster, rollout};
use crate::way;

fn update() -> Cluster {
    let steps = json!([{ "setWeight": 50 }, { "pause": { "duration": 10 } }]);
    let mut cluster = Cluster::deployed(rollout(4, steps, true));
    cluster.set_image("web:2");
    cluster
}

/// What an effect on an existing object requires of it, and the version that the object has in `cluster`.
fn fence<'a>(effect: &'a Effect, cluster: &'a Cluster) -> Option<(&'a Precondition, &'a str)> {
    match effect {
        Effect::ScaleReplicaSet {
            name, precondition, ..
        }
        | Effect::UpdateReplicaSet {
            name, precondition, ..
        } => {
            let set = cluster.sets.iter().find(|set| set.name == *name)?;
            Some((precondition, &set.resource_version))
        }
        Effect::SelectPods {
            service,
            precondition,
            ..
        } => Some((precondition, &cluster.services[service].resource_version)),
        _ => None,
    }
}

/// argo-rollouts#3091, #3200, #3216, #3237, #4044, #4786, #4805, #4855: a decision on a cache that was behind scaled the
/// wrong set, made one twice, or wrote over what was newer. Here every decision of an update is made once more on each
/// view that is older than the cluster.
#[test]
fn r06_what_is_decided_on_an_old_view_is_refused_by_its_fences() {
    let states = way(update());
    assert_eq!(states.last().unwrap().stable(), "web:2");
    let mut refused = 0;
    for (index, view) in states.iter().enumerate() {
        for effect in view.plan().effects {
            for now in &states[index..] {
                if let Effect::CreateReplicaSet(new) = &effect {
                    let known = now.sets.iter().find(|set| set.name == new.name);
                    let others = now.sets.len() - usize::from(known.is_some());
                    assert_eq!(others, 1, "one set for each template: {}", now.describe());
                }
                let (Some((required, was)), Some((_, is))) =
                    (fence(&effect, view), fence(&effect, now))
                else {
                    continue;
                };
                if was != is {
                    assert_ne!(required.resource_version, is, "{effect:?}");
                    refused += 1;
                }
                assert!(!required.uid.is_empty());
            }
        }
    }
    assert!(refused > 20, "{refused}");
}

/// flagger#1562: the deletion of the owner put everything back first, and there was nobody to serve meanwhile. Pods of a
/// Rollout that is being deleted are the garbage collector's.
#[test]
fn r24_a_rollout_that_is_being_deleted_moves_nothing() {
    for mut state in way(update()) {
        state.rollout.metadata.deletion_timestamp = Some(Time(state.now));
        let plan = state.plan();
        assert_eq!(plan.effects, []);
        assert_eq!(Some(plan.status), state.rollout.status);
    }
}

/// The same when the pods are to stay: deleted without them, and made anew from Git.
#[test]
fn r24_a_rollout_that_comes_back_takes_over_what_was_left() {
    let mut cluster = paused_at_half();
    for set in &mut cluster.sets {
        set.owner = None;
    }
    cluster.rollout.metadata.uid = Some("another".to_owned());
    cluster.rollout.metadata.annotations = None;
    cluster.rollout.status = None;
    cluster.weights.clear();
    cluster.settle();
    assert_eq!((cluster.pods("web:1"), cluster.pods("web:2")), (4, 2));
    assert_eq!(
        (cluster.stable().as_str(), cluster.phase(), cluster.weight()),
        ("web:1", "Paused", 50)
    );
    let scaled = cluster.log.iter().any(|line| line.starts_with("scale"));
    assert!(!scaled, "{:?}", cluster.log);
}

/// flagger#1577: after a restore the image that stood in Git, half way through its update, counted as the first one and
/// was put in everywhere. The stable Service still knows better.
#[test]
fn r25_a_lost_status_is_found_again_in_the_stable_service() {
    let mut cluster = taken_over(false);
    cluster.settle();
    assert!(cluster.log.is_empty(), "{:?}", cluster.log);
    assert_eq!(cluster.phase(), "Healthy");
    cluster.set_image("web:2");
    cluster.settle();
    cluster.rollout.status = None;
    cluster.settle();
    assert_eq!(
        (cluster.stable().as_str(), cluster.weight(), cluster.phase()),
        ("web:1", 50, "Paused")
    );
}

/// An outage of the API server in the middle of a change of the weight: one router was told, the other was not, and the
/// controller that knew died.
#[test]
fn r30_a_change_of_the_weight_that_was_cut_off_is_gone_on_from() {
    let states = way({
        let mut cluster = update();
        cluster.routes = vec![Ok(0), Ok(0)];
        cluster
    });
    let mut cut = 0;
    for state in &states {
        let told = |effect: &Effect| matches!(effect, Effect::SetTraffic(_));
        let Some(at) = state.plan().effects.iter().position(told) else {
            continue;
        };
        let mut cluster = state.clone();
        cluster.crash_after(at + 1);
        assert_ne!(cluster.routes, state.routes);
        cluster.routes[1] = state.routes[1].clone();
        cut += 1;
        // Nothing goes on while they differ.
        let step = cluster.step();
        cluster.pass();
        assert_eq!(cluster.step(), step, "{}", cluster.describe());
        assert_eq!(cluster.routes[0], cluster.routes[1]);
        cluster.run_until("promoted", |cluster| cluster.phase() == "Healthy");
        assert_eq!(cluster.routes, [Ok(0), Ok(0)]);
        assert_eq!(cluster.stable(), "web:2");
    }
    assert_eq!(cut, 3, "up, up, and back");
}
