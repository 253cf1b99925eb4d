//! What a decision wants written: an ordered list of effects, the new status, events, and when to look again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::experiment::Experiment;
use sluice_crds::pod_template::PodTemplate;
use sluice_crds::rollout::RolloutStatus;
use sluice_crds::split::Split;

use crate::reason::Reason;

/// The outcome of one decision.
///
/// The executor runs `effects` in order and stops at the first that fails, then writes `status` as a minimal merge
/// patch with the Rollout's resourceVersion (not at all when nothing changed), then emits `events`. A plan that was
/// stopped is dropped: the world is observed again and decided again.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Writes, in order; every prefix is safe.
    pub effects: Vec<Effect>,
    /// The complete status that the Rollout should have.
    pub status: RolloutStatus,
    /// Kubernetes Events, in order.
    pub events: Vec<EventNote>,
    /// When to decide again if nothing happens; `None` when only a change can matter.
    pub wake_at: Option<Timestamp>,
    /// One value for each guard that was decided.
    pub reasons: Vec<Reason>,
}

/// What an existing object must still be when it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Fills a spec field that was absent with its default (`replicas: 1`, which autoscalers need).
    SetReplicas {
        /// Number of pods.
        replicas: i32,
    },
    /// Merges annotations (and removes those with `None`) on the Rollout itself.
    AnnotateRollout {
        /// Annotations by key.
        annotations: BTreeMap<String, Option<String>>,
    },
    /// Creates a ReplicaSet, owned by the Rollout, with zero pods. `AlreadyExists` is fine if the existing one is owned
    /// by the Rollout and carries the same hash label; otherwise the plan stops and the next decision sees it.
    CreateReplicaSet(Box<NewReplicaSet>),
    /// Sets `spec.replicas` of a ReplicaSet, together with annotations.
    ScaleReplicaSet {
        /// Its name.
        name: String,
        /// What it must still be.
        precondition: Precondition,
        /// Pods now.
        from: i32,
        /// Pods wanted.
        to: i32,
        /// Annotations to set, or to remove with `None`.
        annotations: BTreeMap<String, Option<String>>,
    },
    /// Changes metadata of a ReplicaSet, and takes it over when it has no owner.
    UpdateReplicaSet {
        /// Its name.
        name: String,
        /// What it must still be.
        precondition: Precondition,
        /// Annotations to set, or to remove with `None`.
        annotations: BTreeMap<String, Option<String>>,
        /// Whether the Rollout becomes its controlling owner; then the owner references beside that, which stay.
        adopt: Option<Vec<Value>>,
        /// A new `spec.minReadySeconds`.
        min_ready_seconds: Option<i32>,
        /// A merge patch (RFC 7386) of `spec.template`: what is injected there. Pods that run are not restarted by it.
        template: Option<Value>,
    },
    /// Deletes a ReplicaSet that has no pods.
    DeleteReplicaSet {
        /// Its name.
        name: String,
        /// What it must still be.
        precondition: Precondition,
    },
    /// Changes labels and annotations of a live pod. One that is gone or replaced is fine.
    PatchPod {
        /// Its name.
        name: String,
        /// The uid that it must still have.
        uid: String,
        /// Labels to set, or to remove with `None`.
        labels: BTreeMap<String, Option<String>>,
        /// Annotations to set, or to remove with `None`.
        annotations: BTreeMap<String, Option<String>>,
    },
    /// Asks for the eviction of a pod, which disruption budgets may refuse: that is fine, and so is one that is gone or
    /// replaced.
    EvictPod {
        /// Its name.
        name: String,
        /// The uid that it must still have.
        uid: String,
    },
    /// Takes pods away from the Deployment that `workloadRef` names.
    ScaleWorkload {
        /// Its name.
        name: String,
        /// What it must still be.
        precondition: Precondition,
        /// Pods now.
        from: i32,
        /// Pods wanted.
        to: i32,
    },
    /// Points a Service at one revision (or at all pods, with `None`), and marks it as managed.
    SelectPods {
        /// Name of the Service.
        service: String,
        /// What it must still be.
        precondition: Precondition,
        /// Pod-template hash for its selector.
        hash: Option<String>,
    },
    /// Tells the routers the split. One effect, though it may be several objects: each of them is told the same.
    SetTraffic(Split),
    /// Creates an AnalysisRun, owned by the Rollout. `AlreadyExists` is fine if it is owned by the Rollout.
    CreateAnalysisRun(Box<AnalysisRun>),
    /// Orders an AnalysisRun to stop.
    TerminateAnalysisRun {
        /// Its name.
        name: String,
    },
    /// Deletes a finished AnalysisRun.
    DeleteAnalysisRun {
        /// Its name.
        name: String,
        /// What it must still be.
        precondition: Precondition,
    },
    /// Creates an Experiment, owned by the Rollout. `AlreadyExists` is fine if it is owned by the Rollout.
    CreateExperiment(Box<Experiment>),
    /// Orders an Experiment to stop.
    TerminateExperiment {
        /// Its name.
        name: String,
    },
    /// Deletes a finished Experiment, and with it what it owns.
    DeleteExperiment {
        /// Its name.
        name: String,
        /// What it must still be.
        precondition: Precondition,
    },
}

crate::names::variants!(Effect {
    SetReplicas,
    AnnotateRollout,
    CreateReplicaSet,
    ScaleReplicaSet,
    UpdateReplicaSet,
    DeleteReplicaSet,
    PatchPod,
    EvictPod,
    ScaleWorkload,
    SelectPods,
    SetTraffic,
    CreateAnalysisRun,
    TerminateAnalysisRun,
    DeleteAnalysisRun,
    CreateExperiment,
    TerminateExperiment,
    DeleteExperiment,
});

/// A ReplicaSet to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewReplicaSet {
    /// `<rollout>-<hash>`.
    pub name: String,
    /// The pod-template hash: label of the set and of its pods, and part of its selector.
    pub hash: String,
    /// Labels of the set.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the set.
    pub annotations: BTreeMap<String, String>,
    /// `spec.selector`, hash included.
    pub selector: sluice_crds::LabelSelector,
    /// `spec.template`, hash label included.
    pub template: PodTemplate,
    /// `spec.minReadySeconds`.
    pub min_ready_seconds: i32,
}

/// A Kubernetes Event about the Rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventNote {
    /// Normal or Warning.
    pub kind: EventType,
    /// One word, as other tools know it (`RolloutUpdated`, `ScalingReplicaSet`, …).
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
}

/// `type` of an Event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// As expected.
    Normal,
    /// A person may want to look.
    Warning,
}
