//! The analyses of an Experiment: each is an AnalysisRun, made when every template was available, ended with it.
//!
//! The run of an analysis is the one that the status names or, after a crash between making it and writing that down,
//! the last one with its name, `<experiment>-<analysis>[.N]`, that is still open or belongs to the present attempt. An
//! experiment that is retried has lost its status: what it measured before does not count. Verdicts are final.

use std::collections::BTreeMap;

use sluice_analysis::phase::Phase;
use sluice_analysis::template::build_run_spec;
use sluice_crds::ObjectMeta;
use sluice_crds::analysis::{AnalysisRun, AnalysisTemplateRef};
use sluice_crds::experiment::{ExperimentAnalysis, ExperimentAnalysisRunStatus};
use sluice_crds::names;

use super::arguments;
use super::decide::Seen;
use super::draft::{Draft, EventSlot, Slot, analysis_status};
use super::plan::Effect;
use super::verdict::Ending;
use crate::analysis::{is_open, message, verdict};
use crate::plan::EventType;
use crate::reason::Reason;
use crate::run::{name as name_of, number};
use crate::time;

/// Takes in what the runs say.
pub(super) fn observe(seen: &Seen<'_>, draft: &mut Draft) {
    for analysis in seen.spec.analyses.iter().flatten() {
        let known = known(draft, analysis);
        if Phase::parse(&known.phase).completed() {
            continue;
        }
        let next = match run_of(seen, analysis, &known) {
            Some(run) => ExperimentAnalysisRunStatus {
                analysis_run: name_of(run).to_owned(),
                phase: verdict(run).as_str().to_owned(),
                message: Some(message(run)).filter(|message| !message.is_empty()),
                ..known.clone()
            },
            None if known.analysis_run.is_empty() => continue,
            None => ExperimentAnalysisRunStatus {
                phase: Phase::Error.as_str().to_owned(),
                message: Some(format!(
                    "analysisruns.argoproj.io \"{}\" not found",
                    known.analysis_run
                )),
                ..known.clone()
            },
        };
        set(draft, &known, next);
    }
}

/// Makes the runs that should exist, and ends those that should not.
pub(super) fn reconcile(seen: &Seen<'_>, ending: Option<Ending>, draft: &mut Draft) {
    if ending.is_some() {
        terminate(seen, draft);
        return;
    }
    // What was written before: the arguments of a run may hold that moment.
    let before = seen.world.experiment.status.as_ref();
    let available = before.is_some_and(|status| status.available_at.is_some());
    for analysis in seen.spec.analyses.iter().flatten() {
        let known = known(draft, analysis);
        if !known.analysis_run.is_empty() || Phase::parse(&known.phase).completed() {
            if !Phase::parse(&known.phase).completed() {
                draft.reason(Reason::AnalysisRunning {
                    run: known.analysis_run,
                    message: known.message.unwrap_or_default(),
                });
            }
            continue;
        }
        let failed = |why: String| ExperimentAnalysisRunStatus {
            phase: Phase::Error.as_str().to_owned(),
            message: Some(why),
            ..known.clone()
        };
        if !available {
            if let Some(why) = missing(seen, analysis) {
                set(draft, &known, failed(why));
            }
            continue;
        }
        match build(seen, analysis) {
            Ok(run) => {
                let next = ExperimentAnalysisRunStatus {
                    analysis_run: name_of(&run).to_owned(),
                    phase: Phase::Pending.as_str().to_owned(),
                    ..known.clone()
                };
                draft.effect(Slot::CreateRun, Effect::CreateAnalysisRun(Box::new(run)));
                set(draft, &known, next);
            }
            Err(error) => {
                let why = format!(
                    "Failed to create AnalysisRun for analysis '{}': {error}",
                    analysis.name
                );
                set(draft, &known, failed(why));
            }
        }
    }
}

/// Ends every run that is still open.
fn terminate(seen: &Seen<'_>, draft: &mut Draft) {
    let mut open: Vec<&AnalysisRun> = seen
        .world
        .analysis_runs
        .iter()
        .filter(|run| is_open(run))
        .collect();
    open.sort_by(|a, b| name_of(a).cmp(name_of(b)));
    for run in open {
        let name = name_of(run).to_owned();
        let of = draft
            .status
            .analysis_runs
            .iter()
            .flatten()
            .find(|known| known.analysis_run == name)
            .map_or("", |known| known.name.as_str());
        let message = format!("Terminating {of} ({name})");
        draft.event(
            EventSlot::Terminating,
            EventType::Normal,
            "AnalysisRunTerminating",
            message,
        );
        draft.effect(Slot::TerminateRun, Effect::TerminateAnalysisRun { name });
    }
}

fn known(draft: &Draft, analysis: &ExperimentAnalysis) -> ExperimentAnalysisRunStatus {
    analysis_status(&draft.status, &analysis.name)
        .cloned()
        .unwrap_or_else(|| ExperimentAnalysisRunStatus {
            name: analysis.name.clone(),
            ..ExperimentAnalysisRunStatus::default()
        })
}

/// Writes the state of an analysis, and tells of a phase that is new.
fn set(draft: &mut Draft, before: &ExperimentAnalysisRunStatus, next: ExperimentAnalysisRunStatus) {
    if before.phase != next.phase {
        let phase = Phase::parse(&next.phase);
        let reason = match phase {
            Phase::Pending => "AnalysisRunPending",
            Phase::Running => "AnalysisRunRunning",
            Phase::Successful => "AnalysisRunSuccessful",
            Phase::Failed => "AnalysisRunFailed",
            Phase::Error => "AnalysisRunError",
            Phase::Inconclusive => "AnalysisRunInconclusive",
        };
        let kind = if phase.bad() {
            EventType::Warning
        } else {
            EventType::Normal
        };
        let mut message = format!(
            "AnalysisRun '{}' transitioned from {} -> {phase}",
            next.name, before.phase
        );
        if let Some(why) = &next.message {
            message = format!("{message}: {why}");
        }
        draft.event(EventSlot::Analysis, kind, reason, message);
    }
    draft.set_analysis(next);
}

fn base(seen: &Seen<'_>, analysis: &ExperimentAnalysis) -> String {
    format!("{}-{}", seen.name, analysis.name)
}

/// The run of an analysis.
fn run_of<'a>(
    seen: &Seen<'a>,
    analysis: &ExperimentAnalysis,
    known: &ExperimentAnalysisRunStatus,
) -> Option<&'a AnalysisRun> {
    let runs = seen.world.analysis_runs;
    if !known.analysis_run.is_empty() {
        return runs.iter().find(|run| name_of(run) == known.analysis_run);
    }
    let base = base(seen, analysis);
    // `a.1` may be the second run of the analysis `a`, or the first of one that is called so.
    let anothers = |run: &AnalysisRun| {
        let others = seen.spec.analyses.iter().flatten();
        others
            .filter(|other| other.name != analysis.name)
            .any(|other| name_of(run) == self::base(seen, other))
    };
    runs.iter()
        .filter(|run| !anothers(run) && (is_open(run) || is_of_attempt(seen, run)))
        .filter_map(|run| Some((number(run, &base)?, run)))
        .max_by_key(|(number, _)| *number)
        .map(|(_, run)| run)
}

/// The attempt that is under way: the moment at which every template was available, which is written before a run is made
/// and which a retry takes away; see [`names::ATTEMPT`].
fn attempt(seen: &Seen<'_>) -> Option<String> {
    let status = seen.world.experiment.status.as_ref()?;
    let available = status.available_at.as_ref()?;
    Some(time::text(available.0))
}

fn is_of_attempt(seen: &Seen<'_>, run: &AnalysisRun) -> bool {
    let annotations = run.metadata.annotations.as_ref();
    let of = annotations.and_then(|all| all.get(names::ATTEMPT));
    of.is_some() && of == attempt(seen).as_ref()
}

fn reference(analysis: &ExperimentAnalysis) -> AnalysisTemplateRef {
    AnalysisTemplateRef {
        template_name: Some(analysis.template_name.clone()),
        cluster_scope: analysis.cluster_scope,
    }
}

/// Why an analysis could not be made later on: its template does not exist.
fn missing(seen: &Seen<'_>, analysis: &ExperimentAnalysis) -> Option<String> {
    let name = &analysis.template_name;
    let (kind, resource, found) = if analysis.cluster_scope == Some(true) {
        let found = seen.world.templates.cluster_template(name);
        ("ClusterAnalysisTemplate", "clusteranalysistemplate", found)
    } else {
        let found = seen.world.templates.template(name);
        ("AnalysisTemplate", "analysistemplate", found)
    };
    found.is_none().then(|| {
        format!(
            "{kind} verification failed for analysis '{}': {resource}.argoproj.io \"{name}\" not found",
            analysis.name
        )
    })
}

/// A new run, under the first name that is free.
fn build(seen: &Seen<'_>, analysis: &ExperimentAnalysis) -> Result<AnalysisRun, String> {
    let args = arguments::resolve(seen, analysis.args.as_deref().unwrap_or_default())?;
    let spec = build_run_spec(
        &[reference(analysis)],
        seen.world.templates,
        &args,
        seen.spec.dry_run.as_deref().unwrap_or_default(),
        seen.spec
            .measurement_retention
            .as_deref()
            .unwrap_or_default(),
    )
    .map_err(|error| error.to_string())?;
    let name = free_name(seen, analysis)?;
    let metadata = seen.spec.analysis_run_metadata.as_ref();
    let mut labels = metadata
        .and_then(|metadata| metadata.labels.clone())
        .unwrap_or_default();
    if !seen.world.settings.instance_id.is_empty() {
        labels.insert(
            names::INSTANCE_ID.to_owned(),
            seen.world.settings.instance_id.clone(),
        );
    }
    let mut annotations = metadata
        .and_then(|metadata| metadata.annotations.clone())
        .unwrap_or_default();
    if let Some(attempt) = attempt(seen) {
        annotations.insert(names::ATTEMPT.to_owned(), attempt);
    }
    let some = |map: BTreeMap<String, String>| (!map.is_empty()).then_some(map);
    Ok(AnalysisRun {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: seen.world.experiment.metadata.namespace.clone(),
            labels: some(labels),
            annotations: some(annotations),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    })
}

/// `<experiment>-<analysis>`, or with `.N` when that is taken: by somebody else, by an earlier attempt, or by the first run
/// of an analysis that is called so.
fn free_name(seen: &Seen<'_>, analysis: &ExperimentAnalysis) -> Result<String, String> {
    let base = base(seen, analysis);
    let used = |name: &str| {
        let others = seen.spec.analyses.iter().flatten();
        seen.world
            .analysis_runs
            .iter()
            .any(|run| name_of(run) == name)
            || others
                .filter(|other| other.name != analysis.name)
                .any(|other| name == self::base(seen, other))
    };
    let mut name = base.clone();
    let mut next = 1;
    loop {
        let refused = seen
            .world
            .refused
            .iter()
            .find(|refused| refused.kind == "AnalysisRun" && refused.name == name);
        match refused {
            Some(refused) if !refused.taken => return Err(refused.message.clone()),
            None if !used(&name) => return Ok(name),
            _ => {
                name = format!("{base}.{next}");
                next += 1;
            }
        }
    }
}
