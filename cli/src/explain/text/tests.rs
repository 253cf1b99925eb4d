//! `explain` over the fixture of `get rollout`.

use serde_json::json;

use super::super::decisions::{Entry, Log};
use super::View;
use crate::get::experiment;
use crate::get::tests::{aborted, fixture, now, snapshot};

#[test]
fn a_pause_is_explained_with_its_steps_what_it_rests_on_and_what_comes_next() {
    let view = View {
        snapshot: &snapshot(&fixture()),
        events: Ok(vec![
            json!({ "reason": "RolloutPaused", "message": "Rollout is paused (CanaryPauseStep)",
                    "lastTimestamp": "2026-03-01T12:00:00Z", "count": 1 }),
            json!({ "reason": "RolloutUpdated", "message": "Rollout updated to revision 2",
                    "lastTimestamp": "2026-03-01T11:59:50Z" }),
        ]),
        decisions: Err("no running pod has the label app.kubernetes.io/name=sluice".to_owned()),
        typed: "kubectl sluice",
    };
    insta::assert_snapshot!(view.text(now()));
}

#[test]
fn an_abort_is_explained_with_its_evidence_and_the_decisions_of_the_controller() {
    let entry = |at: &str, last: &str, count, reason: &str, effects: &[&str]| Entry {
        at: at.parse().unwrap(),
        last: last.parse().unwrap(),
        count,
        reasons: vec![reason.to_owned()],
        effects: effects.iter().map(|effect| (*effect).to_owned()).collect(),
        outcome: "done".to_owned(),
    };
    let entries = vec![
        entry(
            "2026-03-01T12:00:00Z",
            "2026-03-01T12:00:12Z",
            5,
            "Paused at step 1 until 2026-03-01T12:01:00Z",
            &[],
        ),
        entry(
            "2026-03-01T12:00:15Z",
            "2026-03-01T12:00:15Z",
            1,
            "Aborted: Background analysis phase error/failed",
            &["Tell the routers: canary 0 of 100, stable 100"],
        ),
    ];
    let view = View {
        snapshot: &snapshot(&aborted()),
        events: Ok(Vec::new()),
        decisions: Ok(Log {
            pod: "sluice/sluice-7d9".to_owned(),
            entries,
        }),
        typed: "kubectl argo rollouts",
    };
    insta::assert_snapshot!(view.text(now()));
}

#[test]
fn an_experiment_step_is_explained_with_its_templates_shares_and_routes() {
    let view = View {
        snapshot: &snapshot(&experiment::tests::fixture()),
        events: Ok(Vec::new()),
        decisions: Err("no running pod has the label app.kubernetes.io/name=sluice".to_owned()),
        typed: "kubectl sluice",
    };
    insta::assert_snapshot!(view.text(now()));
}
