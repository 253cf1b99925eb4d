//! `get experiment`: an Experiment with its ReplicaSets, pods and analyses. It shares header, tree and watch with
//! `get rollout`, whose tree shows the Experiments of its steps with [`view`] too.

pub(super) mod read;
pub(crate) mod view;

pub(crate) use view::ExperimentView;

use jiff::Timestamp;

use super::{below, decision, header, measured, tree};
use crate::paint::Paint;

/// The whole view.
pub(crate) fn text(view: &ExperimentView, now: Timestamp, paint: Paint) -> String {
    let mut out = header::beginning(&view.experiment.metadata, &view.state(), paint);
    out += &header::images(&header::images_of_experiment(view), paint);
    let tree = tree::experiment(view, now, paint);
    out += &format!("\n{tree}\n");
    out += &header::line("Decision:", &decision::of_experiment(view, now));
    out += &below::analysis(view.owned.runs.iter().flat_map(measured::lines));
    out + &below::unread(&view.unread)
}

#[cfg(test)]
pub(crate) mod tests;
