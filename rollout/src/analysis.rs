//! AnalysisRuns of an update: which should exist, which one counts, what its verdict means.
//!
//! A run counts for an update when its name is `<rollout>-<hash>-<revision>[-<step>][.N]` and it belongs to the present
//! attempt: a retry after an abort and a change of the steps begin a new one, written in an annotation of the run. Of
//! several the last one counts. So nothing has to be remembered in the status between making a run and looking at it.
//!
//! * Failed, Error: abort. Inconclusive: pause for a person. Successful: the step is done.
//! * Errors in a row while a run is still running are a hold, not a verdict: steps wait and the message says so.

use sluice_analysis::phase::Phase;
use sluice_crds::analysis::AnalysisRun;
use sluice_crds::names;
use sluice_crds::rollout::RolloutStatus;
use sluice_crds::rollout::canary::RolloutAnalysis;
use sluice_crds::rollout::status::AnalysisRunReference;

use crate::draft::{Draft, EventSlot, Slot};
use crate::plan::{Effect, EventType};
use crate::reason::Reason;
use crate::replicas::available;
use crate::seen::Seen;
use crate::steps::{self, Progress};
use crate::world::ReplicaSet;
use crate::{abort, blue_green, pause, run};

/// Errors in a row that a metric is allowed unless it says otherwise.
const ERROR_LIMIT: i32 = 4;

/// Which analysis a run belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Beside the steps.
    Background,
    /// Of one step.
    Step(usize),
    /// Before the switch of a blue-green.
    PrePromotion,
    /// After the switch of a blue-green.
    PostPromotion,
}

impl Kind {
    /// Value of the `rollout-type` label.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Kind::Background => "Background",
            Kind::Step(_) => "Step",
            Kind::PrePromotion => "PrePromotion",
            Kind::PostPromotion => "PostPromotion",
        }
    }

    fn subject(self) -> &'static str {
        match self {
            Kind::Background => "Background analysis",
            Kind::Step(_) => "Step-based analysis",
            Kind::PrePromotion => "Blue/green pre-promotion analysis",
            Kind::PostPromotion => "Blue/green post-promotion analysis",
        }
    }

    /// What the status says of the present run of this kind.
    fn reference(self, status: &RolloutStatus) -> Option<&AnalysisRunReference> {
        let (canary, blue_green) = (status.canary.as_ref(), status.blue_green.as_ref());
        match self {
            Kind::Background => canary?.current_background_analysis_run_status.as_ref(),
            Kind::Step(_) => canary?.current_step_analysis_run_status.as_ref(),
            Kind::PrePromotion => blue_green?.pre_promotion_analysis_run_status.as_ref(),
            Kind::PostPromotion => blue_green?.post_promotion_analysis_run_status.as_ref(),
        }
    }

    /// What the Rollout says is to be measured at a step.
    pub(crate) fn defined<'a>(self, seen: &Seen<'a>, index: usize) -> Option<&'a RolloutAnalysis> {
        match self {
            Kind::Background => {
                let background = seen.canary.analysis.as_ref()?;
                let starts = usize::try_from(background.starting_step.unwrap_or(0)).unwrap_or(0);
                (index >= starts).then_some(&background.analysis)
            }
            Kind::Step(step) => seen.steps().get(step)?.analysis.as_ref(),
            Kind::PrePromotion => seen.blue_green?.pre_promotion_analysis.as_ref(),
            Kind::PostPromotion => seen.blue_green?.post_promotion_analysis.as_ref(),
        }
    }
}

/// The analyses that may have a say: of a canary the one in the background and that of the present step, of a blue-green
/// those before and after the switch.
fn kinds(seen: &Seen<'_>, index: usize) -> [Kind; 2] {
    match seen.blue_green {
        Some(_) => [Kind::PrePromotion, Kind::PostPromotion],
        None => [Kind::Background, Kind::Step(index)],
    }
}

/// Abort, pause or hold, as the runs of the present step and the one in the background say.
pub(crate) fn judge(seen: &Seen<'_>, draft: &mut Draft) {
    let index = steps::index(&draft.status, seen.steps());
    for kind in kinds(seen, index) {
        if !decides(seen, &draft.status) || kind.defined(seen, index).is_none() {
            continue;
        }
        let Some(run) = current(seen, &draft.status, kind) else {
            continue;
        };
        tell_phase(seen, draft, kind, run);
        let name = run::name(run).to_owned();
        match verdict(run) {
            phase @ (Phase::Failed | Phase::Error) => {
                let message = message(run);
                let details = if message.is_empty() {
                    message.clone()
                } else {
                    format!(": {message}")
                };
                draft.reason(Reason::AnalysisFailed {
                    run: name,
                    phase: phase.to_string(),
                    message,
                });
                abort::give_up(
                    seen,
                    draft,
                    format!("{} phase error/failed{details}", kind.subject()),
                );
            }
            Phase::Inconclusive if !went_on(seen, kind, run) => {
                pause::add(seen, draft, pause::INCONCLUSIVE);
            }
            Phase::Inconclusive | Phase::Successful => {}
            Phase::Pending | Phase::Running => {
                if let Some(outage) = outage(run) {
                    draft
                        .hold
                        .get_or_insert(format!("holding: {name} cannot measure: {outage}"));
                    draft.reason(Reason::AnalysisRunning {
                        run: name,
                        message: outage,
                    });
                    draft.metrics_out = true;
                }
            }
        }
    }
}

/// The `analysis` step at `index`.
pub(crate) fn step(seen: &Seen<'_>, draft: &mut Draft, index: usize) -> Progress {
    let Some(run) = current(seen, &draft.status, Kind::Step(index)) else {
        return Progress::Waits;
    };
    if verdict(run) == Phase::Successful {
        tell_phase(seen, draft, Kind::Step(index), run);
        return Progress::Done;
    }
    let message = outage(run).unwrap_or_else(|| message(run));
    draft.reason(Reason::AnalysisRunning {
        run: run::name(run).to_owned(),
        message,
    });
    Progress::Waits
}

/// Whether an analysis of a blue-green is done with: it is not asked for, or its run came out well.
pub(crate) fn passed(seen: &Seen<'_>, draft: &mut Draft, kind: Kind) -> bool {
    if kind.defined(seen, 0).is_none() {
        return true;
    }
    let Some(run) = current(seen, &draft.status, kind) else {
        return false;
    };
    let passed = verdict(run) == Phase::Successful;
    if !passed {
        let message = outage(run).unwrap_or_else(|| message(run));
        draft.reason(Reason::AnalysisRunning {
            run: run::name(run).to_owned(),
            message,
        });
    }
    passed
}

/// Makes the runs that should exist, ends those that should not, and writes the present ones into the status. Nothing is
/// made for a step that the status does not name yet.
pub(crate) fn reconcile(seen: &Seen<'_>, draft: &mut Draft, advanced: bool) {
    let index = steps::index(&draft.status, seen.steps());
    let mut present: Vec<&str> = Vec::new();
    let mut references = [None, None];
    for (reference, kind) in references.iter_mut().zip(kinds(seen, index)) {
        let Some(defined) = kind
            .defined(seen, index)
            .filter(|_| decides(seen, &draft.status))
        else {
            continue;
        };
        let run = current(seen, &draft.status, kind);
        let over =
            run.is_some_and(|run| verdict(run) == Phase::Inconclusive && went_on(seen, kind, run));
        let begins = (run.is_none() || over) && !advanced && may_begin(seen, draft, kind);
        let begun = if begins {
            begin(seen, draft, kind, defined)
        } else {
            None
        };
        // One that is over is still named, since that tells that a person has seen it.
        present.extend(run.map(run::name));
        *reference = begun.or_else(|| run.map(reference_to));
    }
    let [first, second] = references;
    if seen.blue_green.is_some() {
        let state = draft.status.blue_green.get_or_insert_default();
        state.pre_promotion_analysis_run_status = first;
        state.post_promotion_analysis_run_status = second;
    } else if first.is_some() || second.is_some() || draft.status.canary.is_some() {
        let canary = draft.status.canary.get_or_insert_default();
        canary.current_background_analysis_run_status = first;
        canary.current_step_analysis_run_status = second;
    }
    let mut ends: Vec<&str> = seen
        .world
        .analysis_runs
        .iter()
        .filter(|run| is_open(run))
        .map(run::name)
        .collect();
    ends.retain(|name| !present.contains(name));
    ends.sort_unstable();
    for name in ends {
        draft.effect(
            Slot::TerminateRun,
            Effect::TerminateAnalysisRun {
                name: name.to_owned(),
            },
        );
    }
}

/// Whether analyses have a say now.
fn decides(seen: &Seen<'_>, status: &RolloutStatus) -> bool {
    seen.update().is_some()
        && !status.aborted()
        && !status.promoting_fully()
        && blue_green::fast(seen, status).is_none()
}

/// Whether a new run may begin: not while a person holds the Rollout, and in the background not before there is
/// something to measure — available pods of the new revision and, if it should have traffic, traffic.
fn may_begin(seen: &Seen<'_>, draft: &Draft, kind: Kind) -> bool {
    if seen.scaling_rests(&draft.status) {
        return false;
    }
    let steps = seen.steps();
    let has_traffic = seen.route.as_ref().is_none_or(|route| {
        let index = steps::index(&draft.status, steps);
        steps::weight_at(steps, index, seen.max_weight) == 0 || route.lowest > 0
    });
    match kind {
        Kind::Background => seen.sets.new.is_some_and(|new| available(new) > 0) && has_traffic,
        Kind::Step(_) => true,
        Kind::PrePromotion => {
            let size = seen.blue_green.map_or(0, |strategy| {
                blue_green::replicas::preview_size(seen, strategy)
            });
            let passed = blue_green::switched(seen) || blue_green::gate_passed(&draft.status);
            !passed && seen.sets.new.is_some_and(|new| available(new) >= size)
        }
        Kind::PostPromotion => {
            // Of a Rollout that is scaled to nothing there will never be a pod to wait for.
            let answers = |new: &ReplicaSet| available(new) > 0 || seen.replicas == 0;
            blue_green::switched(seen) && seen.sets.new.is_some_and(answers)
        }
    }
}

fn begin(
    seen: &Seen<'_>,
    draft: &mut Draft,
    kind: Kind,
    defined: &RolloutAnalysis,
) -> Option<AnalysisRunReference> {
    match run::build(seen, &draft.status, kind, defined) {
        Ok(run) => {
            let reference = reference_to(&run);
            draft.effect(Slot::CreateRun, Effect::CreateAnalysisRun(Box::new(run)));
            draft.reason(Reason::AnalysisRunning {
                run: reference.name.clone(),
                message: String::new(),
            });
            Some(reference)
        }
        Err(error) => {
            draft.hold.get_or_insert(format!("holding: {error}"));
            draft.reason(Reason::InvalidSpec {
                field: error.field,
                message: error.message,
            });
            None
        }
    }
}

/// The run that counts: the last one of this kind in the present attempt.
fn current<'a>(seen: &Seen<'a>, status: &RolloutStatus, kind: Kind) -> Option<&'a AnalysisRun> {
    let base = run::base_name(seen, kind);
    let attempt = run::attempt(status);
    let known = seen
        .world
        .rollout
        .status
        .as_ref()
        .and_then(|status| kind.reference(status));
    let runs = seen
        .world
        .analysis_runs
        .iter()
        .filter_map(|run| Some((run::number(run, &base)?, run)));
    runs.filter(|(_, run)| {
        match run
            .metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get(names::ATTEMPT))
        {
            Some(of) => *of == attempt,
            // Made by another controller: it is the one that the status names.
            None => known.is_some_and(|known| known.name == run::name(run)),
        }
    })
    .max_by_key(|(number, _)| *number)
    .map(|(_, run)| run)
}

/// Whether a person has seen the inconclusive run and went on: the pause that was written together with its phase is
/// gone.
fn went_on(seen: &Seen<'_>, kind: Kind, run: &AnalysisRun) -> bool {
    let Some(before) = &seen.world.rollout.status else {
        return false;
    };
    let known = kind.reference(before).is_some_and(|known| {
        known.name == run::name(run)
            && known.status.as_deref() == Some(Phase::Inconclusive.as_str())
    });
    known && !pause::waits_on_inconclusive(before)
}

/// The phase of a run. One that was ended before it measured anything has not succeeded: nobody knows.
pub(crate) fn verdict(run: &AnalysisRun) -> Phase {
    let status = run.status.as_ref();
    let phase = status.map_or(Phase::Pending, |status| Phase::parse(&status.phase));
    let ended = run.spec.terminate == Some(true);
    let mut results = status
        .and_then(|status| status.metric_results.as_ref())
        .into_iter()
        .flatten();
    let measured = results.any(|result| result.count.unwrap_or(0) > 0);
    if phase == Phase::Successful && ended && !measured {
        Phase::Inconclusive
    } else {
        phase
    }
}

/// What a run says of itself.
pub(crate) fn message(run: &AnalysisRun) -> String {
    run.status
        .as_ref()
        .and_then(|status| status.message.clone())
        .unwrap_or_default()
}

/// Whether a run is neither over nor told to end.
pub(crate) fn is_open(run: &AnalysisRun) -> bool {
    let over = run
        .status
        .as_ref()
        .is_some_and(|status| Phase::parse(&status.phase).completed());
    !over && run.spec.terminate != Some(true) && run.metadata.deletion_timestamp.is_none()
}

/// Metrics that decide and could not be measured the last time, with the limit at which the run gives up.
fn outage(run: &AnalysisRun) -> Option<String> {
    let results = run.status.as_ref()?.metric_results.as_ref()?;
    let out: Vec<String> = results
        .iter()
        .filter(|result| result.dry_run != Some(true) && !Phase::parse(&result.phase).completed())
        .filter_map(|result| {
            let errors = result.consecutive_error.filter(|errors| *errors > 0)?;
            let metric = run
                .spec
                .metrics
                .iter()
                .flatten()
                .find(|metric| metric.name == result.name);
            let limit = metric
                .and_then(|metric| metric.consecutive_error_limit.as_ref())
                .and_then(|limit| match limit {
                    sluice_crds::IntOrString::Int(limit) => Some(*limit),
                    sluice_crds::IntOrString::String(text) => text.parse().ok(),
                })
                .unwrap_or(ERROR_LIMIT);
            let last = result.measurements.iter().flatten().next_back();
            let why = last
                .and_then(|last| last.message.as_deref())
                .unwrap_or("no answer");
            Some(format!(
                "{}: {errors} errors in a row (allowed: {limit}): {why}",
                result.name
            ))
        })
        .collect();
    (!out.is_empty()).then(|| out.join("; "))
}

fn reference_to(run: &AnalysisRun) -> AnalysisRunReference {
    AnalysisRunReference {
        name: run::name(run).to_owned(),
        status: Some(verdict(run).as_str().to_owned()),
        message: Some(message(run)).filter(|message| !message.is_empty()),
    }
}

/// An event for a phase that the status does not know yet.
fn tell_phase(seen: &Seen<'_>, draft: &mut Draft, kind: Kind, run: &AnalysisRun) {
    let before = seen
        .world
        .rollout
        .status
        .as_ref()
        .and_then(|status| kind.reference(status));
    let before = before
        .filter(|known| known.name == run::name(run))
        .and_then(|known| known.status.as_deref());
    let phase = verdict(run);
    if before == Some(phase.as_str()) {
        return;
    }
    let reason = match phase {
        Phase::Pending => return,
        Phase::Successful => "AnalysisRunSuccessful",
        Phase::Running => "AnalysisRunRunning",
        Phase::Inconclusive => "AnalysisRunInconclusive",
        Phase::Error => "AnalysisRunError",
        Phase::Failed => "AnalysisRunFailed",
    };
    let severity = if phase.bad() {
        EventType::Warning
    } else {
        EventType::Normal
    };
    let message = format!(
        "{} Analysis Run '{}' Status New: '{phase}' Previous: '{}'",
        kind.label(),
        run::name(run),
        before.unwrap_or_default()
    );
    draft.event(EventSlot::Analysis, severity, reason, message);
}
