//! What a decision about an Experiment wants written.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::experiment::ExperimentStatus;

use crate::plan::{EventNote, NewReplicaSet, Precondition};
use crate::reason::Reason;

/// The outcome of one decision.
///
/// The executor runs `effects` in order, then writes `status` as a minimal merge patch with the Experiment's
/// resourceVersion (not at all when nothing changed), then emits `events`. A creation that the API refuses for good is
/// told to the next decision as [`super::Refused`]; any other failure drops the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Writes, in order; every prefix is safe.
    pub effects: Vec<Effect>,
    /// The complete status that the Experiment should have.
    pub status: ExperimentStatus,
    /// Kubernetes Events about the Experiment, in order.
    pub events: Vec<EventNote>,
    /// Those of them that are also told about the Rollout that owns the Experiment.
    pub rollout_events: Vec<EventNote>,
    /// When to decide again if nothing happens; `None` when only a change can matter.
    pub wake_at: Option<Timestamp>,
    /// One value for each guard that was decided.
    pub reasons: Vec<Reason>,
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Creates a ReplicaSet, owned by the Experiment, with zero pods. `AlreadyExists` is fine if the existing one is owned
    /// by the Experiment and carries the same hash label.
    CreateReplicaSet(Box<NewReplicaSet>),
    /// Sets `spec.replicas` of a ReplicaSet.
    ScaleReplicaSet {
        /// Its name.
        name: String,
        /// What it must still be.
        precondition: Precondition,
        /// Pods now.
        from: i32,
        /// Pods wanted.
        to: i32,
    },
    /// Sets annotations of a ReplicaSet, or removes those with `None`.
    AnnotateReplicaSet {
        /// Its name.
        name: String,
        /// What it must still be.
        precondition: Precondition,
        /// Annotations by key.
        annotations: BTreeMap<String, Option<String>>,
    },
    /// Creates a Service, owned by the Experiment. `AlreadyExists` is fine if it is owned by the Experiment.
    CreateService(NewService),
    /// Deletes a Service of the Experiment.
    DeleteService {
        /// Its name.
        name: String,
        /// What it must still be.
        precondition: Precondition,
    },
    /// Creates an AnalysisRun, owned by the Experiment. `AlreadyExists` is fine if it is owned by the Experiment.
    CreateAnalysisRun(Box<AnalysisRun>),
    /// Orders an AnalysisRun to stop.
    TerminateAnalysisRun {
        /// Its name.
        name: String,
    },
}

crate::names::variants!(Effect {
    CreateReplicaSet,
    ScaleReplicaSet,
    AnnotateReplicaSet,
    CreateService,
    DeleteService,
    CreateAnalysisRun,
    TerminateAnalysisRun,
});

/// A Service to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewService {
    /// Its name.
    pub name: String,
    /// Annotations: the Experiment and the template.
    pub annotations: BTreeMap<String, String>,
    /// `spec.selector`: the labels of the ReplicaSet, hash included.
    pub selector: BTreeMap<String, String>,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
}

/// One port of a Service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServicePort {
    /// `port` and `targetPort`.
    pub port: i32,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// `name`.
    pub name: Option<String>,
}
