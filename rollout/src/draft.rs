//! The plan while it is being made.
//!
//! Parts of a decision add to it in any order; [`Slot`] and [`EventSlot`] put effects and events into the order that
//! makes every prefix safe, and that other tools know. Each object is written at most once in a plan, since the write
//! changes its resourceVersion.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use sluice_crds::names;
use sluice_crds::rollout::RolloutStatus;

use crate::metadata;
use crate::plan::{Effect, EventNote, EventType, Plan, Precondition};
use crate::reason::Reason;
use crate::world::{ReplicaSet, World};

/// Order of effects: traffic away from danger, capacity, traffic towards it, and only then what takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    /// Less traffic for the canary side.
    LowerTraffic,
    /// A new ReplicaSet, with no pods.
    Create,
    /// A ReplicaSet gets an owner.
    Adopt,
    /// More pods.
    ScaleUp,
    /// Selectors of Services.
    Services,
    /// More traffic for the canary side.
    RaiseTraffic,
    /// A measurement begins.
    CreateRun,
    /// A measurement ends.
    TerminateRun,
    /// Fewer pods.
    ScaleDown,
    /// Metadata of live pods.
    Pods,
    /// Annotations of ReplicaSets, among them the deadlines of those that will go.
    Annotate,
    /// Pods are replaced.
    Evict,
    /// What is over its limit goes.
    Delete,
}

/// Order of events within one plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EventSlot {
    Added,
    Updated,
    Created,
    NotCompleted,
    Skipped,
    Steps,
    ScaledUp,
    ScaledDown,
    Service,
    Traffic,
    Analysis,
    Aborted,
    Completed,
}

/// What is to become of one ReplicaSet.
#[derive(Debug, Clone, Default)]
pub(crate) struct SetEdit {
    /// Pods wanted.
    pub(crate) to: Option<i32>,
    /// Annotations to set or, with `None`, to remove.
    pub(crate) annotations: BTreeMap<String, Option<String>>,
    /// Whether the Rollout becomes its owner.
    pub(crate) adopt: bool,
    /// New `spec.minReadySeconds`.
    pub(crate) min_ready_seconds: Option<i32>,
    /// Merge patch of the pod template. It waits while the set is scaled or taken over.
    pub(crate) template: Option<Value>,
    /// Annotations that are written together with the template, or not at all.
    pub(crate) with_template: BTreeMap<String, Option<String>>,
}

impl SetEdit {
    pub(crate) fn annotate(&mut self, key: &str, value: String) {
        self.annotations.insert(key.to_owned(), Some(value));
    }

    pub(crate) fn remove_annotation(&mut self, key: &str) {
        self.annotations.insert(key.to_owned(), None);
    }

    /// Adds to the patch of the template.
    pub(crate) fn merge_template(&mut self, patch: Value) {
        metadata::merge(self.template.get_or_insert(Value::Null), patch);
    }
}

/// A plan in the making.
pub(crate) struct Draft {
    /// The status that the Rollout should have.
    pub(crate) status: RolloutStatus,
    /// Why nothing moves although it should, in one sentence for `status.message`.
    pub(crate) hold: Option<String>,
    /// Whether an analysis that decides cannot measure now.
    pub(crate) metrics_out: bool,
    /// Why the update is given up in this very decision.
    pub(crate) abort_cause: Option<String>,
    effects: Vec<(Slot, Effect)>,
    sets: BTreeMap<String, SetEdit>,
    rollout_annotations: BTreeMap<String, Option<String>>,
    events: Vec<(EventSlot, EventNote)>,
    reasons: Vec<Reason>,
    wake_at: Option<Timestamp>,
}

impl Draft {
    pub(crate) fn new(world: &World<'_>) -> Self {
        Self {
            status: world.rollout.status.clone().unwrap_or_default(),
            hold: None,
            metrics_out: false,
            abort_cause: None,
            effects: Vec::new(),
            sets: BTreeMap::new(),
            rollout_annotations: BTreeMap::new(),
            events: Vec::new(),
            reasons: Vec::new(),
            wake_at: None,
        }
    }

    pub(crate) fn effect(&mut self, slot: Slot, effect: Effect) {
        self.effects.push((slot, effect));
    }

    /// The edit of a ReplicaSet.
    pub(crate) fn set(&mut self, set: &ReplicaSet) -> &mut SetEdit {
        self.sets.entry(set.name.clone()).or_default()
    }

    /// Forgets the edit of a ReplicaSet that is deleted instead.
    pub(crate) fn drop_edit(&mut self, set: &ReplicaSet) {
        self.sets.remove(&set.name);
    }

    /// Whether the plan writes anything but annotations so far.
    pub(crate) fn changes_anything(&self, world: &World<'_>) -> bool {
        let resized = |set: &ReplicaSet| {
            let edit = self.sets.get(&set.name);
            edit.is_some_and(|edit| edit.adopt || edit.to.is_some_and(|to| to != set.replicas))
        };
        !self.effects.is_empty() || world.replica_sets.iter().any(resized)
    }

    pub(crate) fn annotate_rollout(&mut self, key: &str, value: &str) {
        self.rollout_annotations
            .insert(key.to_owned(), Some(value.to_owned()));
    }

    pub(crate) fn event(
        &mut self,
        slot: EventSlot,
        kind: EventType,
        reason: &'static str,
        message: String,
    ) {
        self.events.push((
            slot,
            EventNote {
                kind,
                reason,
                message,
            },
        ));
    }

    pub(crate) fn reason(&mut self, reason: Reason) {
        self.reasons.push(reason);
    }

    /// Asks for another look at `at` at the latest.
    pub(crate) fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// A plan that only fills a default into the spec; the next decision sees it filled.
    pub(crate) fn only(self, world: &World<'_>, effect: Effect) -> Plan {
        Plan {
            effects: vec![effect],
            status: world.rollout.status.clone().unwrap_or_default(),
            events: Vec::new(),
            wake_at: None,
            reasons: self.reasons,
        }
    }

    /// The plan.
    pub(crate) fn finish(mut self, world: &World<'_>) -> Plan {
        self.turn_edits_into_effects(world);
        self.effects.sort_by_key(|(slot, _)| *slot);
        self.events.sort_by_key(|(slot, _)| *slot);
        let mut effects: Vec<Effect> = self.effects.into_iter().map(|(_, effect)| effect).collect();
        let same = match &world.rollout.status {
            Some(status) => self.status == *status,
            None => self.status == RolloutStatus::default(),
        };
        if effects.is_empty() && same {
            // Annotating the Rollout changes its resourceVersion, so it does not go with a write of its status.
            effects.extend(annotation_effect(world, self.rollout_annotations));
            if effects.is_empty() && self.reasons.is_empty() {
                self.reasons.push(Reason::Settled);
            }
        }
        Plan {
            effects,
            status: self.status,
            events: self.events.into_iter().map(|(_, event)| event).collect(),
            wake_at: self.wake_at,
            reasons: self.reasons,
        }
    }

    fn turn_edits_into_effects(&mut self, world: &World<'_>) {
        for (name, edit) in std::mem::take(&mut self.sets) {
            let Some(set) = world.replica_sets.iter().find(|set| set.name == name) else {
                continue;
            };
            let precondition = Precondition {
                uid: set.uid.clone(),
                resource_version: set.resource_version.clone(),
            };
            let mut annotations = edit.annotations;
            annotations.retain(|key, value| set.annotations.get(key) != value.as_ref());
            let to = edit.to.filter(|to| *to != set.replicas && !edit.adopt);
            if let Some(to) = to {
                let from = set.replicas;
                let (slot, event, direction) = if to > from {
                    (Slot::ScaleUp, EventSlot::ScaledUp, "up")
                } else {
                    (Slot::ScaleDown, EventSlot::ScaledDown, "down")
                };
                let revision = set.revision();
                let message = format!(
                    "Scaled {direction} ReplicaSet {name} (revision {revision}) from {from} to {to}"
                );
                self.event(event, EventType::Normal, "ScalingReplicaSet", message);
                if let Some(replicas) = world.rollout.spec.replicas.map(|replicas| replicas.max(0))
                {
                    annotations.insert(
                        names::DESIRED_REPLICAS.to_owned(),
                        Some(replicas.to_string()),
                    );
                }
                let effect = Effect::ScaleReplicaSet {
                    name,
                    precondition,
                    from,
                    to,
                    annotations,
                };
                self.effect(slot, effect);
            } else if edit.adopt
                || !annotations.is_empty()
                || edit.min_ready_seconds.is_some()
                || edit.template.is_some()
            {
                let template = edit.template.filter(|_| !edit.adopt);
                if template.is_some() {
                    let mut with = edit.with_template;
                    with.retain(|key, value| set.annotations.get(key) != value.as_ref());
                    annotations.append(&mut with);
                }
                let slot = if edit.adopt {
                    Slot::Adopt
                } else {
                    Slot::Annotate
                };
                let effect = Effect::UpdateReplicaSet {
                    name,
                    precondition,
                    annotations,
                    adopt: edit.adopt.then(|| set.other_owners.clone()),
                    min_ready_seconds: edit.min_ready_seconds,
                    template,
                };
                self.effect(slot, effect);
            }
        }
    }
}

fn annotation_effect(
    world: &World<'_>,
    mut annotations: BTreeMap<String, Option<String>>,
) -> Option<Effect> {
    let present = world
        .rollout
        .metadata
        .annotations
        .clone()
        .unwrap_or_default();
    annotations.retain(|key, value| present.get(key) != value.as_ref());
    (!annotations.is_empty()).then_some(Effect::AnnotateRollout { annotations })
}
