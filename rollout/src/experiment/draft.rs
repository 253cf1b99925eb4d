//! The plan of an Experiment while it is being made: parts add to it in any order, slots put it into the order in which
//! every prefix is safe and which other tools know.

use jiff::Timestamp;
use sluice_crds::Time;
use sluice_crds::experiment::{
    ExperimentAnalysisRunStatus, ExperimentStatus, ExperimentTemplateStatus,
};

use super::plan::{Effect, Plan};
use super::world::World;
use crate::plan::{EventNote, EventType};
use crate::reason::Reason;

/// Order of effects: what runs, what measures it, the end of measuring, and only then the end of what ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    Create,
    ScaleUp,
    CreateService,
    CreateRun,
    TerminateRun,
    Annotate,
    ScaleDown,
    DeleteService,
}

/// Order of events within one plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EventSlot {
    Scaling,
    Template,
    Terminating,
    Analysis,
    Experiment,
}

/// A plan in the making.
pub(super) struct Draft {
    /// The status that the Experiment should have.
    pub(super) status: ExperimentStatus,
    effects: Vec<(Slot, Effect)>,
    events: Vec<(EventSlot, EventNote)>,
    rollout_events: Vec<EventNote>,
    reasons: Vec<Reason>,
    wake_at: Option<Timestamp>,
}

impl Draft {
    pub(super) fn new(world: &World<'_>) -> Self {
        Self {
            status: world.experiment.status.clone().unwrap_or_default(),
            effects: Vec::new(),
            events: Vec::new(),
            rollout_events: Vec::new(),
            reasons: Vec::new(),
            wake_at: None,
        }
    }

    pub(super) fn effect(&mut self, slot: Slot, effect: Effect) {
        self.effects.push((slot, effect));
    }

    pub(super) fn event(
        &mut self,
        slot: EventSlot,
        kind: EventType,
        reason: &'static str,
        message: String,
    ) {
        let note = EventNote {
            kind,
            reason,
            message,
        };
        if slot == EventSlot::Analysis {
            self.rollout_events.push(note.clone());
        }
        self.events.push((slot, note));
    }

    pub(super) fn reason(&mut self, reason: Reason) {
        self.reasons.push(reason);
    }

    /// Asks for another look at `at` at the latest.
    pub(super) fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Replaces the status of a template, or adds it.
    pub(super) fn set_template(&mut self, status: ExperimentTemplateStatus) {
        let statuses = self.status.template_statuses.get_or_insert_default();
        match statuses.iter_mut().find(|known| known.name == status.name) {
            Some(known) => *known = status,
            None => statuses.push(status),
        }
    }

    /// Replaces the status of an analysis, or adds it.
    pub(super) fn set_analysis(&mut self, status: ExperimentAnalysisRunStatus) {
        let statuses = self.status.analysis_runs.get_or_insert_default();
        match statuses.iter_mut().find(|known| known.name == status.name) {
            Some(known) => *known = status,
            None => statuses.push(status),
        }
    }

    pub(super) fn finish(mut self, world: &World<'_>) -> Plan {
        self.effects.sort_by_key(|(slot, _)| *slot);
        self.events.sort_by_key(|(slot, _)| *slot);
        let before = world.experiment.status.clone().unwrap_or_default();
        if self.effects.is_empty() && self.status == before && self.reasons.is_empty() {
            self.reasons.push(Reason::Settled);
        }
        Plan {
            effects: self.effects.into_iter().map(|(_, effect)| effect).collect(),
            status: self.status,
            events: self.events.into_iter().map(|(_, event)| event).collect(),
            rollout_events: self.rollout_events,
            wake_at: self.wake_at,
            reasons: self.reasons,
        }
    }
}

/// The status of a template, as it was or will be.
pub(super) fn template_status<'a>(
    status: &'a ExperimentStatus,
    name: &str,
) -> Option<&'a ExperimentTemplateStatus> {
    status
        .template_statuses
        .iter()
        .flatten()
        .find(|status| status.name == name)
}

/// The status of an analysis, as it was or will be.
pub(super) fn analysis_status<'a>(
    status: &'a ExperimentStatus,
    name: &str,
) -> Option<&'a ExperimentAnalysisRunStatus> {
    status
        .analysis_runs
        .iter()
        .flatten()
        .find(|status| status.name == name)
}

/// An instant of the status.
pub(super) fn instant(time: Option<&Time>) -> Option<Timestamp> {
    time.map(|time| time.0)
}
