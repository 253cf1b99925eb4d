//! What people and other programs ask for, as they ask for it: patches as `kubectl argo rollouts`, an autoscaler and Git
//! send them.

use serde_json::{Value, json};
use sluice_crds::names::{POD_TEMPLATE_HASH, REVISION};

use crate::random::Random;
use crate::store::{Expected, Key, Object, Part, Store};

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A new image, by number.
    Image(u64),
    /// `undo`: the image of the revision before.
    Undo,
    /// `abort`.
    Abort,
    /// `retry`.
    Retry,
    /// `promote`.
    Promote,
    /// `promote --full`.
    PromoteFull,
    /// `promote --skip-current-step`.
    SkipStep,
    /// `promote --skip-all-steps`.
    SkipAll,
    /// `spec.replicas`, as an autoscaler writes it.
    Scale(i32),
    /// `spec.paused`.
    Pause(bool),
    /// `restart`.
    Restart,
    /// Another strategy, by number, where the fixture has several.
    Strategy(usize),
    /// A spec that cannot be carried out, or one that can again.
    Mistake(bool),
    /// The route as it is in Git: everything to stable.
    ResetRoute,
    /// An AnalysisRun is told to end, by its place among all, modulo their number.
    TerminateRun(usize),
    /// An AnalysisRun is deleted, by its place among all, modulo their number.
    DeleteRun(usize),
    /// An Experiment is told to end, by its place among all, modulo their number.
    TerminateExperiment(usize),
    /// An annotation that means nothing: the resourceVersion changes.
    Touch,
}

/// What an order is carried out on.
pub(crate) struct Target<'a> {
    pub(crate) store: &'a mut Store,
    pub(crate) rollout: Option<&'a Key>,
    /// The object that holds the template, when that is not the Rollout.
    pub(crate) workload: Option<&'a Key>,
    pub(crate) strategies: &'a [Value],
    /// `spec` of the routes, as it is in Git.
    pub(crate) routes: &'a [(Key, Value)],
}

impl Order {
    pub(super) fn random(random: &mut Random) -> Self {
        match random.below(38) {
            0..9 => Self::Image(random.below(5)),
            9..10 => Self::Undo,
            10..13 => Self::Abort,
            13..15 => Self::Retry,
            15..19 => Self::Promote,
            19..20 => Self::PromoteFull,
            20..21 => Self::SkipStep,
            21..22 => Self::SkipAll,
            22..25 => Self::Scale(i32::try_from(random.below(7)).unwrap_or(1)),
            25..26 => Self::Pause(random.one_in(2)),
            26..27 => Self::Restart,
            27..29 => Self::Strategy(random.index(3)),
            29..30 => Self::Mistake(random.one_in(2)),
            30..33 => Self::ResetRoute,
            33..36 => match random.below(3) {
                0 => Self::TerminateRun(random.index(4)),
                1 => Self::DeleteRun(random.index(4)),
                _ => Self::TerminateExperiment(random.index(2)),
            },
            _ => Self::Touch,
        }
    }

    /// The word for it in counts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Image(_) => "image",
            Self::Undo => "undo",
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::Promote => "promote",
            Self::PromoteFull => "promote --full",
            Self::SkipStep => "skip a step",
            Self::SkipAll => "skip all steps",
            Self::Scale(_) => "scale",
            Self::Pause(true) => "pause",
            Self::Pause(false) => "go on",
            Self::Restart => "restart",
            Self::Strategy(_) => "another strategy",
            Self::Mistake(true) => "invalid spec",
            Self::Mistake(false) => "valid spec",
            Self::ResetRoute => "reset the route",
            Self::TerminateRun(_) => "terminate a run",
            Self::DeleteRun(_) => "delete a run",
            Self::TerminateExperiment(_) => "terminate an experiment",
            Self::Touch => "touch",
        }
    }

    /// Carries it out. What cannot be (there is no such object) is nothing: people err.
    pub(crate) fn carry_out(self, target: Target<'_>) {
        let store = target.store;
        match self {
            Self::ResetRoute => {
                for (route, spec) in target.routes {
                    let edit = |object: &mut Value| object["spec"] = spec.clone();
                    let _ = store.edit(route, Part::Main, &Expected::default(), edit);
                }
                return;
            }
            Self::TerminateRun(nth) => return terminate(store, "AnalysisRun", nth),
            Self::TerminateExperiment(nth) => return terminate(store, "Experiment", nth),
            Self::DeleteRun(nth) => {
                if let Some(key) = pick(store, "AnalysisRun", nth) {
                    let _ = store.delete(&key, &Expected::default());
                }
                return;
            }
            _ => {}
        }
        let Some(rollout) = target.rollout else {
            return;
        };
        let Some(object) = store.object(rollout) else {
            return;
        };
        match self {
            Self::Image(number) => {
                let place = target.workload.unwrap_or(rollout);
                return image(store, place, &format!("app:{number}"));
            }
            Self::Undo => {
                let place = target.workload.unwrap_or(rollout);
                if let Some(before) = image_before(store, object) {
                    image(store, place, &before);
                }
                return;
            }
            Self::Strategy(number) => {
                let Some(strategy) = target.strategies.get(number).cloned() else {
                    return;
                };
                let edit = |object: &mut Value| {
                    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
                        spec.insert("strategy".to_owned(), strategy);
                    }
                };
                let _ = store.edit(rollout, Part::Main, &Expected::default(), edit);
                return;
            }
            _ => {}
        }
        let Some((part, patch)) = self.patch(store, object) else {
            return;
        };
        let _ = store.merge(rollout, part, &Expected::default(), &patch);
        if matches!(self, Self::Promote | Self::PromoteFull) && patch_unpauses(store, rollout) {
            let patch = json!({ "spec": { "paused": false } });
            let _ = store.merge(rollout, Part::Main, &Expected::default(), &patch);
        }
    }

    /// The patch of the Rollout.
    fn patch(self, store: &Store, object: &Object) -> Option<(Part, Value)> {
        let spec = |spec: Value| Some((Part::Main, json!({ "spec": spec })));
        let status = |status: Value| Some((Part::Status, json!({ "status": status })));
        let steps = object.at("/spec/strategy/canary/steps");
        let last = steps.and_then(Value::as_array).map_or(0, Vec::len);
        let index = object.at("/status/currentStepIndex");
        let index = index.and_then(Value::as_u64).unwrap_or(0);
        let next = usize::try_from(index + 1).unwrap_or(last).min(last);
        match self {
            Self::Abort => status(json!({ "abort": true })),
            Self::Retry => status(json!({ "abort": false })),
            Self::Promote => {
                let pauses = object.at("/status/pauseConditions");
                let waits = pauses
                    .and_then(Value::as_array)
                    .is_some_and(|it| !it.is_empty());
                let run = object.text("/status/canary/currentStepAnalysisRunStatus/status");
                let by_us = object.at("/status/controllerPause") == Some(&json!(true));
                if waits && run == "Inconclusive" && by_us && last > 0 {
                    status(json!({
                        "pauseConditions": null, "controllerPause": false, "currentStepIndex": next
                    }))
                } else if waits || last == 0 {
                    status(json!({ "pauseConditions": null }))
                } else {
                    status(json!({ "pauseConditions": null, "currentStepIndex": next }))
                }
            }
            Self::PromoteFull => {
                let unfinished =
                    object.text("/status/currentPodHash") != object.text("/status/stableRS");
                let full = unfinished.then(|| json!({ "promoteFull": true }))?;
                status(full)
            }
            Self::SkipStep if last > 0 => status(json!({ "currentStepIndex": next })),
            Self::SkipAll if last > 0 => status(json!({ "currentStepIndex": last })),
            Self::Scale(replicas) => spec(json!({ "replicas": replicas })),
            Self::Pause(paused) => spec(json!({ "paused": paused })),
            Self::Restart => {
                let now = store.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                spec(json!({ "restartAt": now }))
            }
            Self::Mistake(wrong) => {
                let limit = if wrong { -1 } else { 2 };
                spec(json!({ "revisionHistoryLimit": limit }))
            }
            Self::Touch => {
                let version = store.version().to_string();
                let patch = json!({ "metadata": { "annotations": { "touched": version } } });
                Some((Part::Main, patch))
            }
            _ => None,
        }
    }
}

fn patch_unpauses(store: &Store, rollout: &Key) -> bool {
    let object = store.object(rollout);
    object.and_then(|it| it.at("/spec/paused")) == Some(&json!(true))
}

fn keys(store: &Store, kind: &str) -> Vec<Key> {
    store
        .objects(kind)
        .map(|it| it.key.as_ref().clone())
        .collect()
}

fn pick(store: &Store, kind: &str, nth: usize) -> Option<Key> {
    let keys = keys(store, kind);
    keys.get(nth.checked_rem(keys.len())?).cloned()
}

fn terminate(store: &mut Store, kind: &str, nth: usize) {
    if let Some(key) = pick(store, kind, nth) {
        let patch = json!({ "spec": { "terminate": true } });
        let _ = store.merge(&key, Part::Main, &Expected::default(), &patch);
    }
}

fn image(store: &mut Store, place: &Key, image: &str) {
    let pointer = if place.kind == "PodTemplate" {
        "/template/spec/containers/0/image"
    } else {
        "/spec/template/spec/containers/0/image"
    };
    let edit = |object: &mut Value| {
        if let Some(value) = object.pointer_mut(pointer) {
            *value = json!(image);
        }
    };
    let _ = store.edit(place, Part::Main, &Expected::default(), edit);
}

/// The image of the newest revision but the present one.
fn image_before(store: &Store, rollout: &Object) -> Option<String> {
    let uid = rollout.uid();
    let present = rollout.text("/status/currentPodHash");
    let sets = store
        .objects("ReplicaSet")
        .filter(|set| set.owner() == uid && set.label(POD_TEMPLATE_HASH) != present);
    let revision = |set: &Object| {
        let annotations = set.at("/metadata/annotations");
        let revision = annotations.and_then(|it| it.get(REVISION)?.as_str());
        revision.and_then(|it| it.parse::<i64>().ok()).unwrap_or(0)
    };
    let before = sets.max_by_key(|set| revision(set))?;
    let image = before.text("/spec/template/spec/containers/0/image");
    Some(image.to_owned())
}
