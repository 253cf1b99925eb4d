//! The patches of `promote`: those that other tools issue too, byte for byte. Pure.

use anyhow::{Result, bail};
use serde_json::{Value, json};
use sluice_crds::rollout::Rollout;

/// How far a promotion goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promote {
    /// Past what is waited for now.
    GoOn,
    /// Past the current step, whatever it is (deprecated).
    SkipStep,
    /// Past all steps (deprecated).
    SkipAllSteps,
    /// To the end, at once.
    Full,
}

/// What is written: the status first, so that the controller does not go on before it knows how.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Patches {
    /// For the status subresource.
    pub status: Option<Value>,
    /// For the object.
    pub spec: Option<Value>,
}

impl Patches {
    /// Whether there is nothing to promote.
    pub(crate) fn is_empty(&self) -> bool {
        self.status.is_none() && self.spec.is_none()
    }
}

/// Finds the patches of a promotion.
///
/// # Errors
/// When steps are to be skipped and there are none.
pub(crate) fn patches(rollout: &Rollout, how: Promote) -> Result<Patches> {
    let status = rollout.status.clone().unwrap_or_default();
    let steps = rollout
        .spec
        .canary()
        .map(|canary| canary.steps().len())
        .unwrap_or_default();
    let last = i32::try_from(steps)?;
    let next = (status.current_step_index.unwrap_or(0) + 1).min(last);
    let unpaused =
        (rollout.spec.paused == Some(true)).then(|| json!({ "spec": { "paused": false } }));
    match how {
        Promote::SkipStep | Promote::SkipAllSteps => {
            if rollout.spec.blue_green().is_some() {
                bail!("Cannot skip steps of a bluegreen rollout. Run without a flags");
            }
            if steps == 0 {
                bail!("Cannot skip steps of a rollout without steps");
            }
            let index = if how == Promote::SkipStep { next } else { last };
            let status = json!({ "status": { "currentStepIndex": index } });
            Ok(Patches {
                status: Some(status),
                spec: None,
            })
        }
        Promote::Full => {
            let unfinished = status.current_pod_hash != status.stable_rs;
            let full = unfinished.then(|| json!({ "status": { "promoteFull": true } }));
            Ok(Patches {
                status: full,
                spec: unpaused,
            })
        }
        Promote::GoOn => {
            let waits = status
                .pause_conditions
                .as_ref()
                .is_some_and(|list| !list.is_empty());
            let run = status.canary.as_ref().and_then(|canary| {
                canary
                    .current_step_analysis_run_status
                    .as_ref()?
                    .status
                    .as_deref()
            });
            let inconclusive = run == Some("Inconclusive") && status.controller_pause == Some(true);
            let change = if waits && inconclusive && steps > 0 {
                Some(json!({
                    "pauseConditions": null, "controllerPause": false, "currentStepIndex": next
                }))
            } else if waits {
                Some(json!({ "pauseConditions": null }))
            } else if steps > 0 {
                Some(json!({ "pauseConditions": null, "currentStepIndex": next }))
            } else {
                None
            };
            let change = change.map(|change| json!({ "status": change }));
            Ok(Patches {
                status: change,
                spec: unpaused,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(status: Value, paused: bool) -> Rollout {
        serde_json::from_value(json!({
            "metadata": { "name": "guestbook" },
            "spec": {
                "paused": paused,
                "strategy": { "canary": { "steps": [
                    { "setWeight": 10 }, { "pause": {} }, { "setWeight": 50 }
                ] } }
            },
            "status": status
        }))
        .unwrap()
    }

    fn go_on(status: Value, paused: bool) -> Patches {
        patches(&rollout(status, paused), Promote::GoOn).unwrap()
    }

    #[test]
    fn a_pause_is_ended_by_removing_its_conditions() {
        let waiting = json!({
            "currentStepIndex": 1, "controllerPause": true,
            "pauseConditions": [{ "reason": "CanaryPauseStep", "startTime": "2026-01-01T00:00:00Z" }]
        });
        let status = Some(json!({ "status": { "pauseConditions": null } }));
        assert_eq!(go_on(waiting, false), Patches { status, spec: None });
    }

    #[test]
    fn an_inconclusive_analysis_is_passed_together_with_its_pause() {
        let waiting = json!({
            "currentStepIndex": 0, "controllerPause": true,
            "pauseConditions": [{ "reason": "InconclusiveAnalysisRun" }],
            "canary": { "currentStepAnalysisRunStatus": { "name": "run", "status": "Inconclusive" } }
        });
        let status = Some(json!({ "status": {
            "pauseConditions": null, "controllerPause": false, "currentStepIndex": 1
        } }));
        assert_eq!(go_on(waiting, false), Patches { status, spec: None });
    }

    #[test]
    fn without_a_pause_the_step_is_passed_and_never_more_than_the_last() {
        let step = |index: i32| {
            Some(json!({ "status": { "pauseConditions": null, "currentStepIndex": index } }))
        };
        for (index, next) in [(0, 1), (2, 3), (3, 3)] {
            let patches = go_on(json!({ "currentStepIndex": index }), false);
            assert_eq!(
                patches,
                Patches {
                    status: step(next),
                    spec: None
                }
            );
        }
    }

    #[test]
    fn a_pause_by_hand_is_ended_in_the_spec() {
        let patches = go_on(
            json!({ "pauseConditions": [{ "reason": "CanaryPauseStep" }] }),
            true,
        );
        assert_eq!(patches.spec, Some(json!({ "spec": { "paused": false } })));
        assert_eq!(
            patches.status,
            Some(json!({ "status": { "pauseConditions": null } }))
        );
    }

    #[test]
    fn full_promotion_of_what_is_stable_writes_nothing() {
        let full = |status: Value| patches(&rollout(status, false), Promote::Full).unwrap();
        assert!(full(json!({ "currentPodHash": "a", "stableRS": "a" })).is_empty());
        let status = Some(json!({ "status": { "promoteFull": true } }));
        let unfinished = full(json!({ "currentPodHash": "b", "stableRS": "a" }));
        assert_eq!(unfinished, Patches { status, spec: None });
    }

    #[test]
    fn the_deprecated_flags_set_the_index_of_the_step() {
        let index = |how| {
            patches(&rollout(json!({ "currentStepIndex": 0 }), false), how)
                .unwrap()
                .status
        };
        assert_eq!(
            index(Promote::SkipStep),
            Some(json!({ "status": { "currentStepIndex": 1 } }))
        );
        assert_eq!(
            index(Promote::SkipAllSteps),
            Some(json!({ "status": { "currentStepIndex": 3 } }))
        );
        let bare = serde_json::from_value(
            json!({ "metadata": {}, "spec": { "strategy": { "canary": {} } } }),
        )
        .unwrap();
        assert!(patches(&bare, Promote::SkipStep).is_err());
        assert!(patches(&bare, Promote::GoOn).unwrap().is_empty());
    }
}
