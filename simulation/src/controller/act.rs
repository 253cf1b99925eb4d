//! Carries writes out one after the other, and lets go wrong what is to go wrong.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use sluice_crds::merge_patch::merge_diff;
use sluice_rollout::Effect;
use sluice_rollout::request::Request;

use super::Pass;
use crate::coverage::Coverage;
use crate::requests::{self, Answer};
use crate::store::{Change, Expected, Key, Object, Part, Refusal, Store};

/// One thing that a loop does to the cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// An effect of a Rollout's plan.
    Effect {
        /// The effect.
        effect: Effect,
        /// Whether the decision knew of an abort; a cache may be behind the order of a person.
        aborted: bool,
        /// `spec.replicas`, as the decision knew it.
        replicas: i32,
    },
    /// An effect of an Experiment's plan.
    Experiment(sluice_rollout::experiment::Effect),
    /// The status of a Rollout or an Experiment.
    Status,
    /// The status of an AnalysisRun.
    RunStatus,
    /// Deletion of an AnalysisRun.
    RunDeletion,
    /// A Service of a Rollout that is gone.
    Release,
}

/// What is to go wrong in one pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Die before the write with this number.
    pub crash_before: Option<usize>,
    /// Carry the write with this number out, and answer with an error all the same.
    pub lose_answer: Option<usize>,
    /// From the write with this number on, the API server does not answer.
    pub silent_from: Option<usize>,
    /// Whether a quota refuses everything that is to be made.
    pub quota: bool,
}

/// Judges a write by the changes that it made.
pub type Observer<'a> = dyn FnMut(&Store, &Write, &[Change]) + 'a;

pub(super) struct Act<'a> {
    pub(super) store: &'a mut Store,
    /// The controller's clock.
    pub(super) now: Timestamp,
    pub(super) faults: Faults,
    pub(super) number: usize,
    pub(super) writes: usize,
    pub(super) wrote: Vec<(String, u64)>,
    pub(super) observe: &'a mut Observer<'a>,
    pub(super) coverage: &'a mut Coverage,
}

impl Act<'_> {
    /// Whether the process lives and the server answers for one more write.
    fn begin(&mut self, key: impl FnOnce() -> Key) -> Result<usize, Pass> {
        let number = self.number;
        self.number += 1;
        if self.faults.crash_before == Some(number) {
            return Err(Pass::Crashed(number));
        }
        if self.faults.silent_from.is_some_and(|from| number >= from) {
            self.coverage.fault("no answer from the API server");
            return Err(Pass::Refused(Refusal::Unavailable(key())));
        }
        Ok(number)
    }

    /// A write to a pod, which is no object of the store.
    pub(super) fn touch(&mut self, pod: &str) -> Result<(), Pass> {
        self.begin(|| Key::new("Pod", "", pod))?;
        self.writes += 1;
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        what: &Write,
        key: impl FnOnce() -> Key,
        send: impl FnOnce(&mut Store) -> Answer,
    ) -> Result<Option<Arc<Object>>, Pass> {
        let number = self.begin(key)?;
        let before = self.store.version();
        let answer = send(self.store);
        if self.store.version() != before {
            self.writes += 1;
            (self.observe)(self.store, what, self.store.changes_since(before));
        }
        let written = answer.map_err(Pass::Refused)?;
        if self.faults.lose_answer == Some(number) {
            self.coverage.fault("lost answer");
            let key = written.as_ref().map(|it| Key::clone(&it.key));
            let key = key.unwrap_or_else(|| Key::new("", "", ""));
            return Err(Pass::Refused(Refusal::Unavailable(key)));
        }
        if let Some(written) = &written {
            let kind = written.key.kind.clone();
            self.wrote.push((kind, written.version));
        }
        Ok(written)
    }

    /// Writes what differs in the status of an object whose kind has no status subresource; nothing when nothing does.
    pub(super) fn status<S: Clone + Default + PartialEq + Serialize>(
        &mut self,
        what: &Write,
        object: &Object,
        version: u64,
        old: Option<&S>,
        new: &S,
    ) -> Result<Option<Arc<Object>>, Pass> {
        if old == Some(new) {
            return Ok(None);
        }
        let old = json!(old.cloned().unwrap_or_default());
        let Some(difference) = merge_diff(&old, &json!(new)) else {
            return Ok(None);
        };
        let patch = json!({
            "metadata": { "uid": object.uid(), "resourceVersion": version.to_string() },
            "status": difference
        });
        self.write(
            what,
            || object.key.as_ref().clone(),
            |store| {
                let expected = Expected::default();
                store
                    .merge(&object.key, Part::Main, &expected, &patch)
                    .map(Some)
            },
        )
    }

    /// Sends a request of an engine: what exists and is ours counts as made, and what is to end and is gone has ended.
    pub(super) fn send(
        &mut self,
        what: &Write,
        request: &Request,
    ) -> Result<Option<Arc<Object>>, Pass> {
        let target = match request {
            Request::Create { target, .. }
            | Request::Merge { target, .. }
            | Request::Evict { target, .. }
            | Request::Delete { target, .. } => target,
        };
        let key = requests::key(target);
        if self.faults.quota && matches!(request, Request::Create { .. }) {
            self.coverage.fault("quota");
            return Err(Pass::Refused(Refusal::Forbidden(key)));
        }
        let answer = self.write(what, || key.clone(), |store| requests::send(store, request));
        match (answer, request) {
            (Err(Pass::Refused(Refusal::AlreadyExists(_))), Request::Create { object, .. }) => {
                self.adopt(&key, object)
            }
            (Err(Pass::Refused(Refusal::NotFound(_))), request) if ends(request) => Ok(None),
            (answer, _) => answer,
        }
    }

    fn adopt(&mut self, key: &Key, wanted: &Value) -> Result<Option<Arc<Object>>, Pass> {
        let found = self.store.object(key).cloned();
        match found.filter(|found| requests::is_ours(found, wanted)) {
            Some(found) => {
                self.coverage.fault("made already");
                self.wrote.push((found.key.kind.clone(), found.version));
                Ok(Some(found))
            }
            None => Err(Pass::Refused(Refusal::AlreadyExists(key.clone()))),
        }
    }
}

/// Whether a request tells a run or an Experiment to end.
fn ends(request: &Request) -> bool {
    matches!(request, Request::Merge { target, status: false, .. }
        if matches!(target.kind, "AnalysisRun" | "Experiment"))
}
