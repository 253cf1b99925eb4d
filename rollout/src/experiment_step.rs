//! The `experiment` step of a canary: the Experiment that it makes, and what its end means.
//!
//! An Experiment counts for a step when its name is `<rollout>-<hash>-<revision>-<step>[-N]` and it belongs to the present
//! attempt, as an AnalysisRun does. Of several the last one counts. So nothing has to be remembered in the status between
//! making one and looking at it.
//!
//! * Successful: the step is done. Failed, Error: abort. Inconclusive: pause for a person, who goes on by promoting.
//! * While it runs, its templates with a weight get that share of the traffic from the stable side.
//! * An Experiment of a step that is no longer worked on is told to end; finished ones are kept as AnalysisRuns are.

use std::collections::BTreeMap;

use sluice_analysis::phase::Phase;
use sluice_crds::ObjectMeta;
use sluice_crds::experiment::{
    Experiment, ExperimentAnalysis, ExperimentSpec, ExperimentTemplate, ExperimentTemplateService,
    ExperimentTemplateStatus,
};
use sluice_crds::names;
use sluice_crds::rollout::RolloutStatus;
use sluice_crds::rollout::steps::{ExperimentStep, ExperimentStepTemplate, StepKind};
use sluice_crds::split::WeightedService;

use crate::draft::{Draft, EventSlot, Slot};
use crate::experiment::ports;
use crate::plan::{Effect, EventType, Precondition};
use crate::reason::Reason;
use crate::seen::Seen;
use crate::steps::{self, Progress};
use crate::validation::FieldError;
use crate::world::ReplicaSet;
use crate::{abort, arguments, hash, pause, run};

/// Pause reason of an experiment that came out neither good nor bad.
pub(crate) const INCONCLUSIVE: &str = "InconclusiveExperiment";

/// Name of an Experiment.
pub(crate) fn name(experiment: &Experiment) -> &str {
    experiment.metadata.name.as_deref().unwrap_or_default()
}

fn phase(experiment: &Experiment) -> Phase {
    let status = experiment.status.as_ref();
    Phase::parse(
        status
            .and_then(|status| status.phase.as_deref())
            .unwrap_or_default(),
    )
}

fn message(experiment: &Experiment) -> String {
    experiment
        .status
        .as_ref()
        .and_then(|status| status.message.clone())
        .unwrap_or_default()
}

/// Whether experiments have a say now.
fn decides(seen: &Seen<'_>, status: &RolloutStatus) -> bool {
    seen.update().is_some() && !status.aborted() && !status.promoting_fully()
}

/// The experiment step that is worked on, with its index.
fn present<'a>(seen: &Seen<'a>, status: &RolloutStatus) -> Option<(usize, &'a ExperimentStep)> {
    let index = steps::index(status, seen.steps());
    match steps::current(status, seen.steps()) {
        Some(StepKind::Experiment(step)) => Some((index, step)),
        _ => None,
    }
}

fn base_name(seen: &Seen<'_>, index: usize) -> String {
    let revision = seen.sets.revision();
    format!("{}-{}-{revision}-{index}", seen.name(), seen.sets.hash)
}

/// Which Experiment of a step it is: 0 for `base`, N for `base-N`; `None` for one of another step or revision.
fn number(experiment: &Experiment, base: &str) -> Option<u32> {
    match name(experiment).strip_prefix(base)? {
        "" => Some(0),
        rest => rest.strip_prefix('-')?.parse().ok().filter(|it| *it > 0),
    }
}

/// The Experiment that counts for a step: the last one of the present attempt.
fn current<'a>(seen: &Seen<'a>, status: &RolloutStatus, index: usize) -> Option<&'a Experiment> {
    let base = base_name(seen, index);
    let attempt = run::attempt(status);
    let canary = seen.world.rollout.status.as_ref()?.canary.as_ref();
    let known = canary.and_then(|canary| canary.current_experiment.as_deref());
    seen.world
        .experiments
        .iter()
        .filter_map(|experiment| Some((number(experiment, &base)?, experiment)))
        .filter(|(_, experiment)| {
            let annotations = experiment.metadata.annotations.as_ref();
            match annotations.and_then(|all| all.get(names::ATTEMPT)) {
                Some(of) => *of == attempt,
                // Made by another controller: it is the one that the status names.
                None => known == Some(name(experiment)),
            }
        })
        .max_by_key(|(number, _)| *number)
        .map(|(_, experiment)| experiment)
}

/// Abort or pause, as the Experiment of the present step says.
pub(crate) fn judge(seen: &Seen<'_>, draft: &mut Draft) {
    if !decides(seen, &draft.status) {
        return;
    }
    let Some((index, _)) = present(seen, &draft.status) else {
        return;
    };
    let Some(experiment) = current(seen, &draft.status, index) else {
        return;
    };
    match phase(experiment) {
        phase @ (Phase::Failed | Phase::Error) => {
            let message = message(experiment);
            let mut cause = "Experiment analysis phase is error/failed".to_owned();
            if !message.is_empty() {
                cause = format!("{cause}: {message}");
            }
            draft.reason(Reason::ExperimentFailed {
                experiment: name(experiment).to_owned(),
                phase: phase.to_string(),
                message,
            });
            abort::give_up(seen, draft, cause);
        }
        Phase::Inconclusive if !pause::resumed(&draft.status) => {
            pause::add(seen, draft, INCONCLUSIVE);
        }
        _ => {}
    }
}

/// The `experiment` step at `index`.
pub(crate) fn step(seen: &Seen<'_>, draft: &mut Draft, index: usize) -> Progress {
    let Some(experiment) = current(seen, &draft.status, index) else {
        return Progress::Waits;
    };
    match phase(experiment) {
        Phase::Successful => Progress::Done,
        // A person has seen it, and went on.
        Phase::Inconclusive if pause::resumed(&draft.status) => {
            pause::clear(&mut draft.status);
            Progress::Done
        }
        Phase::Inconclusive => {
            draft.reason(Reason::PausedForPerson {
                reason: INCONCLUSIVE.to_owned(),
            });
            Progress::Waits
        }
        _ => {
            draft.reason(Reason::ExperimentRunning {
                experiment: name(experiment).to_owned(),
                message: message(experiment),
            });
            Progress::Waits
        }
    }
}

/// Makes the Experiment that should exist, ends those that should not, forgets old ones, and writes the present one into
/// the status. Nothing is made for a step that the status does not name yet.
pub(crate) fn reconcile(seen: &Seen<'_>, draft: &mut Draft, advanced: bool) {
    let step = present(seen, &draft.status).filter(|_| decides(seen, &draft.status));
    if step.is_none() {
        // The pause belongs to a step that somebody went over.
        pause::remove(&mut draft.status, INCONCLUSIVE);
    }
    let mut kept: Option<String> = None;
    if let Some((index, step)) = step {
        kept = current(seen, &draft.status, index).map(|it| name(it).to_owned());
        if kept.is_none() && !advanced && !seen.scaling_rests(&draft.status) {
            kept = begin(seen, draft, index, step);
        }
    }
    if kept.is_some() || draft.status.canary.is_some() {
        let canary = draft.status.canary.get_or_insert_default();
        canary.current_experiment.clone_from(&kept);
    }
    let mut open: Vec<&Experiment> = seen
        .world
        .experiments
        .iter()
        .filter(|it| !phase(it).completed() && it.spec.terminate != Some(true))
        .filter(|it| it.metadata.deletion_timestamp.is_none())
        .filter(|it| Some(name(it)) != kept.as_deref())
        .collect();
    open.sort_by(|a, b| name(a).cmp(name(b)));
    for experiment in open {
        let name = name(experiment).to_owned();
        draft.effect(Slot::TerminateRun, Effect::TerminateExperiment { name });
    }
    forget(seen, draft, kept.as_deref());
}

/// Makes the Experiment of a step, under the first name that is free.
fn begin(
    seen: &Seen<'_>,
    draft: &mut Draft,
    index: usize,
    step: &ExperimentStep,
) -> Option<String> {
    match build(seen, &draft.status, index, step) {
        Ok(experiment) => {
            let name = name(&experiment).to_owned();
            draft.event(
                EventSlot::Analysis,
                EventType::Normal,
                "ExperimentCreated",
                format!("Created Experiment '{name}'"),
            );
            draft.reason(Reason::ExperimentRunning {
                experiment: name.clone(),
                message: String::new(),
            });
            let effect = Effect::CreateExperiment(Box::new(experiment));
            draft.effect(Slot::CreateRun, effect);
            Some(name)
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

fn build(
    seen: &Seen<'_>,
    status: &RolloutStatus,
    index: usize,
    step: &ExperimentStep,
) -> Result<Experiment, FieldError> {
    let field = format!("spec.strategy.canary.steps[{index}].experiment");
    let mut templates = Vec::new();
    for (index, template) in step.templates.iter().flatten().enumerate() {
        templates.push(self::template(
            seen,
            template,
            &format!("{field}.templates[{index}]"),
        )?);
    }
    let mut analyses = Vec::new();
    for (index, analysis) in step.analyses.iter().flatten().enumerate() {
        let field = format!("{field}.analyses[{index}]");
        let given = analysis.args.as_deref().unwrap_or_default();
        let args = arguments::resolve(seen, given, &field)?;
        analyses.push(ExperimentAnalysis {
            name: analysis.name.clone(),
            template_name: analysis.template_name.clone(),
            cluster_scope: analysis.cluster_scope,
            args: (!args.is_empty()).then_some(args),
            required_for_completion: analysis.required_for_completion,
        });
    }
    let spec = &seen.world.rollout.spec;
    let revision = seen.sets.revision().to_string();
    let mut labels: BTreeMap<String, String> = seen
        .world
        .rollout
        .metadata
        .labels
        .clone()
        .unwrap_or_default();
    labels.insert(names::POD_TEMPLATE_HASH.to_owned(), seen.sets.hash.clone());
    if !seen.world.settings.instance_id.is_empty() {
        let id = seen.world.settings.instance_id.clone();
        labels.insert(names::INSTANCE_ID.to_owned(), id);
    }
    let annotations = BTreeMap::from([
        (names::REVISION.to_owned(), revision),
        (names::ATTEMPT.to_owned(), run::attempt(status)),
    ]);
    Ok(Experiment {
        metadata: ObjectMeta {
            name: Some(free_name(seen, index)),
            namespace: seen.world.rollout.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec: ExperimentSpec {
            templates: Some(templates),
            duration: step.duration.clone(),
            progress_deadline_seconds: spec.progress_deadline_seconds,
            analyses: (!analyses.is_empty()).then_some(analyses),
            scale_down_delay_seconds: step.scale_down_delay_seconds,
            dry_run: step.dry_run.clone(),
            analysis_run_metadata: step.analysis_run_metadata.clone(),
            ..ExperimentSpec::default()
        },
        status: None,
    })
}

fn free_name(seen: &Seen<'_>, index: usize) -> String {
    let base = base_name(seen, index);
    let taken = seen
        .world
        .experiments
        .iter()
        .filter_map(|experiment| number(experiment, &base));
    match taken.max() {
        None => base,
        Some(last) => format!("{base}-{}", last.saturating_add(1)),
    }
}

/// One template: the pods of a side, with labels and annotations of their own.
fn template(
    seen: &Seen<'_>,
    step: &ExperimentStepTemplate,
    field: &str,
) -> Result<ExperimentTemplate, FieldError> {
    let side: Option<&ReplicaSet> = match step.spec_ref.as_str() {
        "canary" => seen.sets.new,
        "stable" => seen.sets.stable,
        _ => None,
    };
    let Some(set) = side else {
        return Err(FieldError {
            field: format!("{field}.specRef"),
            message: "Invalid template step SpecRef: must be canary or stable".to_owned(),
        });
    };
    let mut pods = set.template.clone();
    let mut selector = match &step.selector {
        Some(selector) => selector.clone(),
        None => {
            let own = seen.world.rollout.spec.selector.clone();
            own.unwrap_or_default()
        }
    };
    let metadata = step.metadata.as_ref();
    for (key, value) in metadata
        .and_then(|it| it.labels.as_ref())
        .into_iter()
        .flatten()
    {
        pods.set_label(key, value);
        let labels = selector.match_labels.get_or_insert_default();
        labels.insert(key.clone(), value.clone());
    }
    for (key, value) in metadata
        .and_then(|it| it.annotations.as_ref())
        .into_iter()
        .flatten()
    {
        pods.set_annotation(key, value);
    }
    // Pods with the hash of a side would get its requests, unseen by everybody who counts them.
    pods.remove_label(names::POD_TEMPLATE_HASH);
    let own = hash::pod_template_hash(&pods, None);
    if seen.sets.all().any(|set| set.hash() == Some(&own)) {
        pods.set_annotation(names::EXPERIMENT_TEMPLATE, &step.name);
    }
    let given = step
        .service
        .as_ref()
        .and_then(|service| service.get("name")?.as_str());
    let service = (step.weight.is_some() || step.service.is_some()).then(|| {
        let name = given.filter(|name| !name.is_empty()).map(str::to_owned);
        ExperimentTemplateService { name }
    });
    Ok(ExperimentTemplate {
        name: step.name.clone(),
        replicas: step.replicas,
        min_ready_seconds: (set.min_ready_seconds != 0).then_some(set.min_ready_seconds),
        selector: Some(selector),
        template: Some(pods),
        service,
    })
}

/// What an Experiment says of its templates.
pub(crate) fn templates(
    experiment: &Experiment,
) -> impl Iterator<Item = &ExperimentTemplateStatus> {
    let status = experiment.status.as_ref();
    let statuses = status.and_then(|status| status.template_statuses.as_ref());
    statuses.into_iter().flatten()
}

/// Where requests go besides the two sides: templates of the running Experiment that have a weight
/// and available pods.
pub(crate) fn destinations(seen: &Seen<'_>, status: &RolloutStatus) -> Vec<WeightedService> {
    let Some((index, step)) = present(seen, status).filter(|_| decides(seen, status)) else {
        return Vec::new();
    };
    let running = current(seen, status, index).filter(|it| phase(it) == Phase::Running);
    let Some(running) = running else {
        return Vec::new();
    };
    let made = |name: &str| {
        let mut templates = running.spec.templates.iter().flatten();
        templates
            .find(|template| template.name == name)?
            .template
            .as_ref()
    };
    templates(running)
        .filter(|known| known.available_replicas > 0)
        .filter_map(|known| {
            let mut templates = step.templates.iter().flatten();
            let template = templates.find(|template| template.name == known.name)?;
            let ports =
                made(&known.name).map_or_else(Vec::new, |it| ports(it.fields().get("spec")));
            Some(WeightedService {
                service: known.service_name.clone()?,
                hash: known.pod_template_hash.clone()?,
                weight: template.weight.filter(|weight| *weight > 0)?,
                ports: ports.iter().map(|port| port.port).collect(),
            })
        })
        .collect()
}

/// Deletes finished Experiments: those whose revision is gone, and the oldest over the limit of their sort.
fn forget(seen: &Seen<'_>, draft: &mut Draft, kept: Option<&str>) {
    let limits = seen.world.rollout.spec.analysis.as_ref();
    let limit =
        |limit: Option<i32>| usize::try_from(limit.unwrap_or(crate::history::RUNS)).unwrap_or(0);
    let good = limit(limits.and_then(|limits| limits.successful_run_history_limit));
    let bad = limit(limits.and_then(|limits| limits.unsuccessful_run_history_limit));
    let mut finished: Vec<&Experiment> = seen
        .world
        .experiments
        .iter()
        .filter(|it| phase(it).completed() && Some(name(it)) != kept)
        .filter(|it| it.metadata.deletion_timestamp.is_none())
        .collect();
    finished.sort_by(|a, b| {
        let created = |it: &Experiment| it.metadata.creation_timestamp.as_ref().map(|at| at.0);
        created(b)
            .cmp(&created(a))
            .then_with(|| name(b).cmp(name(a)))
    });
    let (mut kept_good, mut kept_bad) = (0, 0);
    for experiment in finished {
        let (kept, limit) = if phase(experiment) == Phase::Successful {
            (&mut kept_good, good)
        } else {
            (&mut kept_bad, bad)
        };
        let labels = experiment.metadata.labels.as_ref();
        let hash = labels.and_then(|labels| labels.get(names::POD_TEMPLATE_HASH));
        let orphaned = seen.sets.new.is_some()
            && hash.is_some_and(|hash| !seen.sets.all().any(|set| set.hash() == Some(hash)));
        if !orphaned && *kept < limit {
            *kept += 1;
            continue;
        }
        let metadata = &experiment.metadata;
        let precondition = Precondition {
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
        };
        let name = name(experiment).to_owned();
        draft.effect(
            Slot::Delete,
            Effect::DeleteExperiment { name, precondition },
        );
    }
}
