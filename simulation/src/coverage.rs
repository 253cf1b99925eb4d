//! What occurred in the schedules that were played: effects, reasons, phases, faults. A breadth that is claimed is counted.

use std::collections::BTreeMap;

use sluice_analysis::phase::Phase;
use sluice_analysis::plan::RunPlan;
use sluice_rollout::{Effect, Plan, experiment};

/// Counts by name.
pub type Counts = BTreeMap<&'static str, u64>;

/// What occurred, and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Decisions: calls of an engine on a world that was observed, by kind of the object.
    pub decisions: Counts,
    /// Effects of Rollouts that were to be carried out.
    pub effects: Counts,
    /// Effects of Experiments that were to be carried out.
    pub experiment_effects: Counts,
    /// Reasons of Rollouts and Experiments.
    pub reasons: Counts,
    /// Phases that decisions gave Rollouts, Experiments and runs, as in `Rollout Paused`.
    pub phases: Counts,
    /// What went wrong.
    pub faults: Counts,
    /// What people did.
    pub orders: Counts,
}

fn count(counts: &mut Counts, name: &'static str) {
    *counts.entry(name).or_default() += 1;
}

impl Coverage {
    /// Decisions of every kind.
    #[must_use]
    pub fn all_decisions(&self) -> u64 {
        self.decisions.values().sum()
    }

    /// Adds what occurred elsewhere.
    pub fn add(&mut self, other: &Self) {
        let parts = [
            (&mut self.decisions, &other.decisions),
            (&mut self.effects, &other.effects),
            (&mut self.experiment_effects, &other.experiment_effects),
            (&mut self.reasons, &other.reasons),
            (&mut self.phases, &other.phases),
            (&mut self.faults, &other.faults),
            (&mut self.orders, &other.orders),
        ];
        for (mine, theirs) in parts {
            for (name, number) in theirs {
                *mine.entry(name).or_default() += number;
            }
        }
    }

    pub(crate) fn rollout(&mut self, plan: &Plan) {
        count(&mut self.decisions, "Rollout");
        for reason in &plan.reasons {
            count(&mut self.reasons, reason.name());
        }
        let phase = match plan.status.phase.as_deref() {
            Some("Healthy") => "Rollout Healthy",
            Some("Paused") => "Rollout Paused",
            Some("Progressing") => "Rollout Progressing",
            Some("Degraded") => "Rollout Degraded",
            Some(_) => "Rollout of another phase",
            None => "Rollout without a phase",
        };
        count(&mut self.phases, phase);
    }

    pub(crate) fn effect(&mut self, effect: &Effect) {
        count(&mut self.effects, effect.name());
    }

    pub(crate) fn experiment(&mut self, plan: &experiment::Plan) {
        count(&mut self.decisions, "Experiment");
        for reason in &plan.reasons {
            count(&mut self.reasons, reason.name());
        }
        let phase = plan.status.phase.as_deref().map(Phase::parse);
        let phase = match phase {
            Some(Phase::Pending) => "Experiment Pending",
            Some(Phase::Running) => "Experiment Running",
            Some(Phase::Successful) => "Experiment Successful",
            Some(Phase::Failed) => "Experiment Failed",
            Some(Phase::Error) => "Experiment Error",
            Some(Phase::Inconclusive) => "Experiment Inconclusive",
            None => "Experiment without a phase",
        };
        count(&mut self.phases, phase);
    }

    pub(crate) fn experiment_effect(&mut self, effect: &experiment::Effect) {
        count(&mut self.experiment_effects, effect.name());
    }

    pub(crate) fn run(&mut self, plan: &RunPlan) {
        count(&mut self.decisions, "AnalysisRun");
        let phase = match Phase::parse(&plan.status.phase) {
            Phase::Pending => "AnalysisRun Pending",
            Phase::Running => "AnalysisRun Running",
            Phase::Successful => "AnalysisRun Successful",
            Phase::Failed => "AnalysisRun Failed",
            Phase::Error => "AnalysisRun Error",
            Phase::Inconclusive => "AnalysisRun Inconclusive",
        };
        count(&mut self.phases, phase);
    }

    pub(crate) fn fault(&mut self, name: &'static str) {
        count(&mut self.faults, name);
    }

    pub(crate) fn order(&mut self, name: &'static str) {
        count(&mut self.orders, name);
    }
}
