//! What is kept of the past: ReplicaSets for an undo, finished AnalysisRuns for a look.

use sluice_analysis::phase::Phase;
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::rollout::RolloutStatus;

use crate::draft::{Draft, Slot};
use crate::plan::{Effect, Precondition};
use crate::run;
use crate::seen::Seen;
use crate::world::ReplicaSet;

/// Finished runs that are kept of each sort unless the spec says otherwise.
pub(crate) const RUNS: i32 = 5;

/// Deletes what is over the limits.
pub(crate) fn clean(seen: &Seen<'_>, draft: &mut Draft) {
    replica_sets(seen, draft);
    analysis_runs(seen, draft);
}

/// The oldest sets without pods that nothing refers to.
fn replica_sets(seen: &Seen<'_>, draft: &mut Draft) {
    let limit = usize::try_from(seen.world.rollout.spec.revision_history_limit()).unwrap_or(0);
    let referenced = |set: &ReplicaSet| {
        let mut services = seen.world.services.values();
        services.any(|service| service.hash() == set.hash())
    };
    // Until the status says that another revision is stable, a crash would need this one back.
    let status = seen.world.rollout.status.as_ref();
    let stable = status.and_then(|status| status.stable_rs.as_deref());
    let owned = seen
        .sets
        .older
        .iter()
        .filter(|set| set.owner.is_some() && set.hash() != stable);
    // Newest first.
    let empty = owned.filter(|set| set.replicas == 0 && set.current == 0 && !referenced(set));
    for set in empty.skip(limit) {
        let precondition = Precondition {
            uid: set.uid.clone(),
            resource_version: set.resource_version.clone(),
        };
        draft.drop_edit(set);
        draft.effect(
            Slot::Delete,
            Effect::DeleteReplicaSet {
                name: set.name.clone(),
                precondition,
            },
        );
    }
}

/// Finished runs: of sets that are gone, and the oldest over the limit of their sort.
fn analysis_runs(seen: &Seen<'_>, draft: &mut Draft) {
    let limits = seen.world.rollout.spec.analysis.as_ref();
    let limit = |limit: Option<i32>| usize::try_from(limit.unwrap_or(RUNS)).unwrap_or(0);
    let good = limit(limits.and_then(|limits| limits.successful_run_history_limit));
    let bad = limit(limits.and_then(|limits| limits.unsuccessful_run_history_limit));
    let mut finished: Vec<(&AnalysisRun, Phase)> = seen
        .world
        .analysis_runs
        .iter()
        .filter_map(|run| Some((run, Phase::parse(&run.status.as_ref()?.phase))))
        .filter(|(run, phase)| phase.completed() && !is_present(&draft.status, run))
        .filter(|(run, _)| run.metadata.deletion_timestamp.is_none())
        .collect();
    finished.sort_by(|(a, _), (b, _)| {
        let created =
            |run: &AnalysisRun| run.metadata.creation_timestamp.as_ref().map(|time| time.0);
        created(b)
            .cmp(&created(a))
            .then_with(|| run::name(b).cmp(run::name(a)))
    });
    let (mut kept_good, mut kept_bad) = (0, 0);
    for (run, phase) in finished {
        let (kept, limit) = if phase == Phase::Successful {
            (&mut kept_good, good)
        } else {
            (&mut kept_bad, bad)
        };
        let orphaned = !has_set(seen, run);
        if !orphaned && *kept < limit {
            *kept += 1;
            continue;
        }
        let precondition = Precondition {
            uid: run.metadata.uid.clone().unwrap_or_default(),
            resource_version: run.metadata.resource_version.clone().unwrap_or_default(),
        };
        let name = run::name(run).to_owned();
        draft.effect(
            Slot::Delete,
            Effect::DeleteAnalysisRun { name, precondition },
        );
    }
}

/// Whether the status names a run: its verdict may still matter.
fn is_present(status: &RolloutStatus, run: &AnalysisRun) -> bool {
    let canary = status.canary.as_ref();
    let background =
        canary.and_then(|canary| canary.current_background_analysis_run_status.as_ref());
    let step = canary.and_then(|canary| canary.current_step_analysis_run_status.as_ref());
    let blue_green = status.blue_green.as_ref();
    let before = blue_green.and_then(|state| state.pre_promotion_analysis_run_status.as_ref());
    let after = blue_green.and_then(|state| state.post_promotion_analysis_run_status.as_ref());
    [background, step, before, after]
        .into_iter()
        .flatten()
        .any(|known| known.name == run::name(run))
}

/// Whether the ReplicaSet that a run judged is still there.
fn has_set(seen: &Seen<'_>, run: &AnalysisRun) -> bool {
    let labels = run.metadata.labels.as_ref();
    let hash = labels.and_then(|labels| labels.get(sluice_crds::names::POD_TEMPLATE_HASH));
    hash.is_none_or(|hash| {
        seen.sets.new.is_none() || seen.sets.all().any(|set| set.hash() == Some(hash.as_str()))
    })
}
