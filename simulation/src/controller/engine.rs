//! The functions that decide. A test may put others in their place, to see that an oracle notices.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use sluice_analysis::plan::RunPlan;
use sluice_crds::analysis::AnalysisRun;
use sluice_rollout::gone::{self, Release};
use sluice_rollout::invariants::{self, Violation};
use sluice_rollout::{Effect, Plan, Service, World, experiment};

/// What is in flight while a run is decided on.
pub type InFlight = BTreeSet<String>;

/// A function like [`gone::release`].
pub type ReleaseServices =
    fn(&str, &str, &[Service], &dyn Fn(&str) -> Option<Value>) -> Vec<Release>;

/// The engines.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    /// Decides about a Rollout.
    pub rollout: fn(&World<'_>, Timestamp) -> Plan,
    /// Decides about an Experiment.
    pub experiment: fn(&experiment::World<'_>, Timestamp) -> experiment::Plan,
    /// Decides about an AnalysisRun.
    pub run: fn(&AnalysisRun, &InFlight, Timestamp) -> RunPlan,
    /// Decides about the Services of a Rollout that is gone.
    pub release: ReleaseServices,
    /// What is asked before an effect is carried out: the executor's last guard.
    pub check: fn(&World<'_>, &Effect) -> Result<(), Violation>,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            rollout: sluice_rollout::decide,
            experiment: experiment::decide,
            run: sluice_analysis::run::decide,
            release: gone::release,
            check: invariants::check,
        }
    }
}
