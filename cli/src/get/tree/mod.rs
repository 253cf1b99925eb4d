//! The trees of `get`: [`nodes`] makes them of what was read, [`draw`] draws them. Pure.

mod draw;
mod nodes;

use jiff::Timestamp;

use super::experiment::ExperimentView;
use super::snapshot::Snapshot;
use crate::paint::Paint;

/// The tree of a Rollout as text.
pub(super) fn rollout(snapshot: &Snapshot, now: Timestamp, paint: Paint) -> String {
    draw::text(&nodes::rollout(snapshot, now), paint)
}

/// The tree of an Experiment as text.
pub(super) fn experiment(view: &ExperimentView, now: Timestamp, paint: Paint) -> String {
    draw::text(&nodes::experiment(view, now), paint)
}
