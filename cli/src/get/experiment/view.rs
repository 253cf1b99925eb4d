//! An Experiment and what it owns, as plain data. Pure; [`super::read`] fills it from a cluster.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;
use sluice_analysis::template::Templates;
use sluice_crds::decode::{self, DecodeError};
use sluice_crds::duration;
use sluice_crds::experiment::Experiment;
use sluice_crds::names;
use sluice_crds::rollout::Rollout;
use sluice_rollout::ReplicaSet;
use sluice_rollout::experiment::{self, OwnedService, Plan, World};

use crate::get::header::State;
use crate::get::owned::{Owned, Unread, is_owned, of_kind};
use crate::get::snapshot;
use crate::get::status;

/// An Experiment and what it owns.
pub(crate) struct ExperimentView {
    /// The Experiment.
    pub experiment: Experiment,
    /// Its ReplicaSets, their pods, and its AnalysisRuns.
    pub owned: Owned,
    services: Vec<OwnedService>,
    templates: Templates,
    /// Services to which the Rollout that owns it says that requests are routed.
    routed: BTreeSet<String>,
    /// What could not be read.
    pub unread: Vec<Unread>,
}

impl ExperimentView {
    /// Picks what belongs to an Experiment out of objects of all kinds.
    ///
    /// # Errors
    /// When the Experiment or one of its ReplicaSets cannot be decoded; the error names the field.
    pub(crate) fn of(
        object: &Value,
        objects: &[Value],
        unread: Vec<Unread>,
    ) -> Result<Self, DecodeError> {
        let experiment: Experiment = decode::decode(object)?;
        let uid = experiment.metadata.uid.clone().unwrap_or_default();
        let namespace = experiment.metadata.namespace.clone().unwrap_or_default();
        let services = of_kind(objects, "Service", &namespace)
            .filter(|service| is_owned(service, &uid))
            .map(OwnedService::from_object)
            .collect();
        let owner = of_kind(objects, "Rollout", &namespace).find(|rollout| {
            let rollout = rollout.pointer("/metadata/uid").and_then(Value::as_str);
            rollout.is_some_and(|uid| is_owned(object, uid))
        });
        Ok(Self {
            owned: Owned::of(&uid, &namespace, objects)?,
            services,
            templates: snapshot::templates(objects, &namespace),
            routed: owner.map_or_else(BTreeSet::new, routed),
            experiment,
            unread,
        })
    }

    /// `metadata.name`.
    pub(crate) fn name(&self) -> &str {
        self.experiment.metadata.name.as_deref().unwrap_or_default()
    }

    /// By age, the oldest first, then by name.
    pub(crate) fn order(&self) -> (Option<Timestamp>, String) {
        (self.created(), self.name().to_owned())
    }

    /// `metadata.creationTimestamp`.
    pub(crate) fn created(&self) -> Option<Timestamp> {
        let created = self.experiment.metadata.creation_timestamp.as_ref();
        created.map(|time| time.0)
    }

    /// The revision of the Rollout for which it was made; 0 for one of its own.
    pub(crate) fn revision(&self) -> i64 {
        let annotations = self.experiment.metadata.annotations.as_ref();
        annotations
            .and_then(|annotations| annotations.get(names::REVISION))
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    /// Phase and message.
    pub(crate) fn state(&self) -> State {
        let status = self.experiment.status.clone().unwrap_or_default();
        let phase = phase(&self.experiment).to_owned();
        State {
            icon: status::of_analysis(&phase),
            phase,
            message: status.message.unwrap_or_default(),
        }
    }

    /// What the engine decides about this view now: the same function as in the controller. `None` when something that
    /// it depends on could not be read.
    pub(crate) fn plan(&self, now: Timestamp) -> Option<Plan> {
        if self.unread.iter().any(|unread| unread.decides) {
            return None;
        }
        let sets: Vec<ReplicaSet> = self.owned.replica_sets().cloned().collect();
        let settings = snapshot::settings(&self.experiment.metadata);
        let world = World {
            experiment: &self.experiment,
            replica_sets: &sets,
            services: &self.services,
            analysis_runs: &self.owned.runs,
            templates: &self.templates,
            routed: &self.routed,
            refused: &[],
            settings: &settings,
        };
        Some(experiment::decide(&world, now))
    }
}

/// The phase of an Experiment; `Pending` before the first look.
pub(crate) fn phase(experiment: &Experiment) -> &str {
    let status = experiment.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    phase.filter(|phase| !phase.is_empty()).unwrap_or("Pending")
}

/// Whether that phase is the last one.
pub(crate) fn is_over(experiment: &Experiment) -> bool {
    !matches!(phase(experiment), "Pending" | "Running")
}

/// When the duration of an Experiment is over; `None` before it runs, when it has ended, or without a duration.
pub(crate) fn ends(experiment: &Experiment) -> Option<Timestamp> {
    let status = experiment
        .status
        .as_ref()
        .filter(|_| !is_over(experiment))?;
    let length = duration::parse(experiment.spec.duration.as_deref()?).ok()?;
    status.available_at.as_ref()?.0.checked_add(length).ok()
}

/// Services of experiments to which a Rollout sends requests, as its status says.
fn routed(rollout: &Value) -> BTreeSet<String> {
    let status = decode::decode::<Rollout>(rollout)
        .ok()
        .and_then(|rollout| rollout.status);
    status.map_or_else(BTreeSet::new, |status| status.routed_experiments())
}
