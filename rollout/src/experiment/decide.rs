//! The story of one decision about an Experiment.

use jiff::Timestamp;
use sluice_crds::experiment::ExperimentSpec;

use super::draft::Draft;
use super::plan::Plan;
use super::world::World;
use super::{analyses, conditions, templates, validation, verdict};
use crate::time;

/// The facts of one pass.
pub(super) struct Seen<'a> {
    pub(super) world: &'a World<'a>,
    /// Whole seconds.
    pub(super) now: Timestamp,
    pub(super) spec: &'a ExperimentSpec,
    /// Name of the Experiment.
    pub(super) name: &'a str,
}

impl<'a> Seen<'a> {
    fn new(world: &'a World<'a>, now: Timestamp) -> Self {
        let metadata = &world.experiment.metadata;
        Self {
            world,
            now,
            spec: &world.experiment.spec,
            name: metadata.name.as_deref().unwrap_or_default(),
        }
    }
}

/// What to do next for one Experiment.
///
/// Total: every world has a plan. The same world at the same second gives the same plan, in whatever order its lists are.
#[must_use]
pub fn decide(world: &World<'_>, now: Timestamp) -> Plan {
    let seen = Seen::new(world, time::whole_seconds(now));
    let mut draft = Draft::new(world);
    if world.experiment.metadata.deletion_timestamp.is_some() {
        return draft.finish(world);
    }
    let problem = validation::problem(seen.name, seen.spec);
    conditions::valid(&seen, problem.as_ref(), &mut draft);
    // A mistake in the spec does not disarm the order to stop.
    if problem.is_some() && !verdict::told_to_end(&seen, &draft.status) {
        return draft.finish(world);
    }
    analyses::observe(&seen, &mut draft);
    let ending = verdict::ending(&seen, &draft.status);
    templates::reconcile(&seen, ending, &mut draft);
    analyses::reconcile(&seen, ending, &mut draft);
    verdict::update(&seen, &mut draft);
    conditions::progress(&seen, &mut draft);
    draft.finish(world)
}
