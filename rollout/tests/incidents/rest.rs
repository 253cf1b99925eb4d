//! R14, R29: a Rollout with nothing to do writes nothing and does not wake up; and what clocks do.

use jiff::SignedDuration;
use serde_json::json;
use sluice_crds::names;
use sluice_crds::rollout::status::PauseCondition;

use crate::fixtures::scenes::paused_at_half;
use crate::fixtures::{Cluster, rollout};

/// Writes nothing and says nothing however often it is looked at, and does not ask to be looked at before its time.
fn assert_rests(cluster: &mut Cluster) {
    for seconds in [0, 1, 60, 86_400] {
        cluster.wait(seconds);
        cluster.settle();
        let plan = cluster.plan();
        assert!(plan.wake_at.is_none_or(|at| at > cluster.now), "{plan:?}");
        let (log, events) = (cluster.log.len(), cluster.events.len());
        for _ in 0..5 {
            assert!(!cluster.pass(), "{}", cluster.describe());
        }
        assert_eq!((cluster.log.len(), cluster.events.len()), (log, events));
    }
}

/// argo-rollouts#3064: promoted in full, then aborted: two orders that each undid the other's.
#[test]
fn r14_an_abort_after_a_full_promotion_comes_to_rest() {
    for routed in [false, true] {
        let steps = json!([{ "setWeight": 50 }, { "pause": {} }]);
        let mut cluster = Cluster::deployed(rollout(4, steps, routed));
        cluster.set_image("web:2");
        cluster.settle();
        cluster.promote_fully();
        cluster.run_until("promoted", |cluster| cluster.stable() == "web:2");
        cluster.patch_status(|status| {
            status.abort = Some(true);
            status.promote_full = Some(true);
        });
        assert_rests(&mut cluster);
        assert_eq!((cluster.phase(), cluster.pods("web:2")), ("Healthy", 4));
        assert_eq!(
            (cluster.status().abort, cluster.status().promote_full),
            (None, None)
        );
    }
}

/// argo-rollouts#4134: a pause was left in the status of an update that had ended; paused and completed at once, it was
/// looked at again and again.
#[test]
fn r14_a_pause_that_is_left_over_comes_to_rest() {
    let left = |cluster: &Cluster| PauseCondition {
        reason: "CanaryPauseStep".to_owned(),
        start_time: Some(sluice_crds::Time(cluster.now)),
    };
    let ends: [fn(&mut Cluster); 2] = [
        |cluster| cluster.set_image("web:1"),
        |cluster| cluster.patch_status(|status| status.current_step_index = Some(2)),
    ];
    for end in ends {
        let mut cluster = paused_at_half();
        end(&mut cluster);
        cluster.run_until("done", |cluster| cluster.phase() == "Healthy");
        let pause = left(&cluster);
        cluster.patch_status(|status| {
            status.pause_conditions = Some(vec![pause]);
            status.controller_pause = Some(true);
        });
        assert_rests(&mut cluster);
        assert_eq!(cluster.phase(), "Healthy");
        assert_eq!(cluster.status().pause_conditions, None);
    }
}

fn two_pauses() -> Cluster {
    let steps = json!([
        { "setWeight": 25 }, { "pause": { "duration": "1m" } }, { "setWeight": 50 }, { "pause": { "duration": "1m" } }
    ]);
    let mut cluster = Cluster::deployed(rollout(4, steps, true));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!((cluster.step(), cluster.weight()), (1, 25));
    cluster
}

/// A clock that is set back, or another machine whose clock is behind: the pause lasts until the minute that was written.
#[test]
fn r29_a_clock_that_is_set_back_does_not_end_a_pause() {
    let mut cluster = two_pauses();
    let until = cluster.now + SignedDuration::from_secs(60);
    cluster.wait(-3600);
    cluster.settle();
    assert_eq!((cluster.step(), cluster.plan().wake_at), (1, Some(until)));
    cluster.wait(3600 + 59);
    cluster.settle();
    assert_eq!(cluster.step(), 1);
    cluster.wait(1);
    cluster.settle();
    assert_eq!((cluster.step(), cluster.weight()), (3, 50));
}

/// A clock that jumps ahead ends the pause that it is in, and not the next one too.
#[test]
fn r29_a_clock_that_jumps_ahead_ends_one_pause_only() {
    let mut cluster = two_pauses();
    cluster.wait(86_400);
    cluster.settle();
    assert_eq!((cluster.step(), cluster.weight()), (3, 50));
    let wake = cluster.plan().wake_at.unwrap();
    assert_eq!(wake.duration_since(cluster.now).as_secs(), 60);
}

/// Times are instants: that somebody wrote one in the offset of a summer changes nothing.
#[test]
fn r29_a_deadline_in_another_offset_is_the_same_instant() {
    let mut cluster = paused_at_half();
    cluster.abort();
    cluster.settle();
    for set in &mut cluster.sets {
        if let Some(deadline) = set.annotations.get_mut(names::SCALE_DOWN_DEADLINE) {
            assert_eq!(deadline, "2026-11-21T12:00:30Z");
            *deadline = "2026-11-21T14:00:30+02:00".to_owned();
        }
    }
    cluster.wait(29);
    cluster.settle();
    assert_eq!(cluster.pods("web:2"), 2);
    cluster.wait(1);
    cluster.settle();
    assert_eq!(cluster.pods("web:2"), 0);
}

/// A pause of less than nothing is refused and named; nothing is deployed on it.
#[test]
fn r29_a_negative_duration_is_refused_by_field() {
    for duration in [json!(-5), json!("-5s"), json!("-1h30m")] {
        let steps = json!([{ "setWeight": 50 }, { "pause": { "duration": duration } }]);
        let mut cluster = Cluster::new(rollout(2, steps, false));
        cluster.settle();
        let field = "spec.strategy.canary.steps[1].pause.duration: Invalid value";
        assert!(cluster.message().contains(field), "{}", cluster.message());
        assert!(cluster.sets.is_empty());
    }
}
