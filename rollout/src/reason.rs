//! Why: one value for each guard that a decision passed or stopped at.
//!
//! `explain`, the sentence in the live view, the decision log and the test snapshots are all made from these. A
//! sentence has the shape *value, operator, limit*.

use std::cmp::Ordering;
use std::fmt;

use jiff::Timestamp;

/// One guard and how it was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The spec cannot be carried out.
    InvalidSpec {
        /// Field, as in `spec.strategy.canary.steps[1].setWeight`.
        field: String,
        /// What is wrong.
        message: String,
    },
    /// Waiting for a set to have its pods, no more and no fewer.
    PodsNotAvailable {
        /// ReplicaSet.
        replica_set: String,
        /// Available pods.
        available: i32,
        /// Pods needed.
        needed: i32,
    },
    /// Waiting for routers to show a weight.
    TrafficNotMoved {
        /// Router object.
        object: String,
        /// Weight that it shows.
        shown: i32,
        /// Weight that it was told.
        wanted: i32,
    },
    /// Waiting for routers to show header and mirror routes.
    RoutesNotShown {
        /// Router object.
        object: String,
        /// Names of the routes that it is to have, highest priority first.
        wanted: Vec<String>,
    },
    /// Header and mirror routes change.
    RoutesChange {
        /// Names of those that are to exist, highest priority first.
        to: Vec<String>,
    },
    /// Waiting in a timed pause.
    PausedUntil {
        /// Step index, from 0.
        step: i32,
        /// End of the pause.
        until: Timestamp,
    },
    /// Waiting for a person.
    PausedForPerson {
        /// Pause reason of the API.
        reason: String,
    },
    /// Waiting for an analysis.
    AnalysisRunning {
        /// The run.
        run: String,
        /// What it says.
        message: String,
    },
    /// An analysis ended badly.
    AnalysisFailed {
        /// The run.
        run: String,
        /// Its phase.
        phase: String,
        /// What it says: value, operator, limit.
        message: String,
    },
    /// The weight changes.
    WeightChanges {
        /// Weight before.
        from: i32,
        /// Weight after.
        to: i32,
        /// Why.
        because: String,
    },
    /// A step is done.
    StepCompleted {
        /// Step index, from 0.
        step: i32,
        /// Number of steps.
        of: i32,
    },
    /// The update is given up.
    Aborted {
        /// Why.
        because: String,
    },
    /// The new revision becomes the stable one.
    Promoted {
        /// Why.
        because: String,
    },
    /// An old ReplicaSet waits before it is taken away.
    ScaleDownDelayed {
        /// ReplicaSet.
        replica_set: String,
        /// When it goes.
        until: Timestamp,
    },
    /// A safety invariant would not hold, so the effect is left out.
    HeldForSafety {
        /// The invariant.
        invariant: &'static str,
        /// The values.
        detail: String,
    },
    /// No progress for longer than the deadline.
    DeadlineExceeded {
        /// `progressDeadlineSeconds`.
        seconds: i32,
    },
    /// Pods are replaced for `restartAt`.
    Restarting {
        /// Pods from before that instant.
        left: i32,
        /// How many may go now.
        at_once: i32,
    },
    /// The Deployment that the template comes from makes room.
    WorkloadScaled {
        /// Pods before.
        from: i32,
        /// Pods after.
        to: i32,
    },
    /// Waiting for a plugin step.
    PluginRunning {
        /// Its name.
        plugin: String,
        /// What it waits for.
        message: String,
    },
    /// An Experiment runs for its duration.
    ExperimentRuns {
        /// When that is over.
        until: Timestamp,
    },
    /// Waiting for an Experiment.
    ExperimentRunning {
        /// The Experiment.
        experiment: String,
        /// What it says.
        message: String,
    },
    /// An Experiment ended badly.
    ExperimentFailed {
        /// The Experiment.
        experiment: String,
        /// Its phase.
        phase: String,
        /// What it says.
        message: String,
    },
    /// There is nothing to do.
    Settled,
}

crate::names::variants!(Reason {
    InvalidSpec,
    PodsNotAvailable,
    TrafficNotMoved,
    RoutesNotShown,
    RoutesChange,
    PausedUntil,
    PausedForPerson,
    AnalysisRunning,
    AnalysisFailed,
    WeightChanges,
    StepCompleted,
    Aborted,
    Promoted,
    ScaleDownDelayed,
    HeldForSafety,
    DeadlineExceeded,
    Restarting,
    WorkloadScaled,
    PluginRunning,
    ExperimentRuns,
    ExperimentRunning,
    ExperimentFailed,
    Settled,
});

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::InvalidSpec { field, message } => write!(f, "Invalid: {field}: {message}"),
            Reason::PodsNotAvailable {
                replica_set,
                available,
                needed,
            } => match available.cmp(needed) {
                Ordering::Less => write!(
                    f,
                    "Waiting for pods of {replica_set}: {available} available < {needed} needed"
                ),
                Ordering::Equal => {
                    write!(
                        f,
                        "Waiting for {replica_set} to have its size: {available} available as needed"
                    )
                }
                Ordering::Greater => write!(
                    f,
                    "Waiting for {replica_set} to be scaled down: {available} available > {needed} wanted"
                ),
            },
            Reason::TrafficNotMoved {
                object,
                shown,
                wanted,
            } => {
                write!(
                    f,
                    "Waiting for {object}: weight {shown} shown, {wanted} wanted"
                )
            }
            Reason::RoutesNotShown { object, wanted } => {
                write!(
                    f,
                    "Waiting for {object}: header and mirror routes wanted: {}",
                    listed(wanted)
                )
            }
            Reason::RoutesChange { to } => {
                write!(f, "Header and mirror routes: {}", listed(to))
            }
            Reason::PausedUntil { step, until } => {
                write!(f, "Paused at step {step} until {until}")
            }
            Reason::PausedForPerson { reason } => {
                write!(f, "Paused ({reason}) until somebody promotes or aborts")
            }
            Reason::AnalysisRunning { run, message } if message.is_empty() => {
                write!(f, "Waiting for analysis {run}")
            }
            Reason::AnalysisRunning { run, message } => {
                write!(f, "Waiting for analysis {run}: {message}")
            }
            Reason::AnalysisFailed {
                run,
                phase,
                message,
            } => {
                write!(f, "Analysis {run} is {phase}: {message}")
            }
            Reason::WeightChanges { from, to, because } => {
                write!(f, "Canary weight {from} -> {to}: {because}")
            }
            Reason::StepCompleted { step, of } => write!(f, "Step {}/{of} completed", step + 1),
            Reason::Aborted { because } => write!(f, "Aborted: {because}"),
            Reason::Promoted { because } => write!(f, "Promoted: {because}"),
            Reason::ScaleDownDelayed { replica_set, until } => {
                write!(f, "{replica_set} is kept until {until}")
            }
            Reason::HeldForSafety { invariant, detail } => {
                write!(f, "Held for safety ({invariant}): {detail}")
            }
            Reason::DeadlineExceeded { seconds } => {
                write!(
                    f,
                    "No progress for more than {seconds} s (progressDeadlineSeconds)"
                )
            }
            Reason::Restarting { left, at_once } => {
                write!(
                    f,
                    "Restarting: {left} pods from before restartAt, {at_once} may go now"
                )
            }
            Reason::WorkloadScaled { from, to } => {
                write!(
                    f,
                    "The referenced Deployment makes room: {from} -> {to} pods"
                )
            }
            Reason::PluginRunning { plugin, message } => {
                write!(f, "Waiting for {plugin}: {message}")
            }
            Reason::ExperimentRuns { until } => write!(f, "The experiment runs until {until}"),
            Reason::ExperimentRunning {
                experiment,
                message,
            } if message.is_empty() => {
                write!(f, "Waiting for experiment {experiment}")
            }
            Reason::ExperimentRunning {
                experiment,
                message,
            } => {
                write!(f, "Waiting for experiment {experiment}: {message}")
            }
            Reason::ExperimentFailed {
                experiment,
                phase,
                message,
            } => {
                write!(f, "Experiment {experiment} is {phase}: {message}")
            }
            Reason::Settled => write!(f, "Nothing to do"),
        }
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}

#[cfg(test)]
#[path = "reason_tests.rs"]
mod tests;
