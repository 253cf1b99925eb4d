//! Act: carries out a plan, in its order — effects, status, events — and stops at the first write that is not confirmed.
//! Stopping anywhere is safe: every prefix of a plan is.

use std::sync::Arc;

use serde_json::{Value, json};
use sluice_rollout::experiment::{Effect, Plan, Refused, request};
use sluice_rollout::request::Request;
use sluice_runtime::events::Involved;
use sluice_runtime::kind::{ANALYSIS_RUN, EXPERIMENT, Kind, REPLICA_SET, ROLLOUT, SERVICE};
use sluice_runtime::{Cache, Key, Must, WriteError};

use super::Experiments;
use super::observe::Observed;
use crate::reconcile::severity;
use crate::write::Writer;

/// Why the rest of a plan was left; a refusal is an object that the API will go on not making.
pub(super) type Stopped = crate::stopped::Stopped<Refused>;

/// Carries out a plan.
pub(super) async fn act(
    experiments: &Experiments,
    observed: &Observed,
    plan: &Plan,
) -> Result<(), Stopped> {
    let cache = |kind: &Kind| cache_of(experiments, kind);
    let writer = Writer {
        ctx: &experiments.core.ctx,
        freshness: &experiments.core.freshness,
        work: &observed.object,
        cache: &cache,
    };
    for effect in &plan.effects {
        send(&writer, request::of_effect(&observed.experiment, effect)).await?;
    }
    status(experiments, observed, plan).await?;
    for event in &plan.events {
        experiments.emit(
            &observed.object,
            severity(event.kind),
            event.reason,
            &event.message,
        );
    }
    let owner = observed.object.owner.as_ref();
    if let Some(owner) = owner.filter(|owner| &*owner.kind == "Rollout") {
        for event in &plan.rollout_events {
            let rollout = Involved {
                kind: ROLLOUT.clone(),
                key: Key::new(&observed.object.key.namespace, &owner.name),
                uid: owner.uid.to_string(),
                resource_version: String::new(),
            };
            let severity = severity(event.kind);
            experiments
                .core
                .emit(rollout, severity, event.reason, &event.message);
        }
    }
    Ok(())
}

/// What the API refuses to make is no failure of this pass alone: the Experiment ends with it.
async fn send(writer: &Writer<'_>, request: Request) -> Result<(), Stopped> {
    let made = match &request {
        Request::Create { target, .. } => Some((target.kind, target.name.clone())),
        _ => None,
    };
    let (error, (kind, name)) = match (writer.send(request).await, made) {
        (Ok(_), _) => return Ok(()),
        (Err(error), Some(made)) => (error, made),
        (Err(error), None) => return Err(error.into()),
    };
    let taken = matches!(error, WriteError::AlreadyExists(_));
    if taken || matches!(error, WriteError::Invalid(_) | WriteError::Denied(_)) {
        return Err(Stopped::Refused(Refused {
            kind,
            name,
            message: error.to_string(),
            taken,
        }));
    }
    Err(error.into())
}

async fn status(
    experiments: &Experiments,
    observed: &Observed,
    plan: &Plan,
) -> Result<(), Stopped> {
    // Compared as types, so that fields which this build does not know are left as they are.
    let before = observed.experiment.status.as_ref();
    let old = before.map_or(Value::Null, |status| json!(status));
    let object = &observed.object;
    let must = Must::be(&*object.uid, &*object.resource_version);
    let executor = &experiments.core.ctx.executor;
    let written = executor
        .status(&EXPERIMENT, &object.key, &must, &old, &json!(plan.status))
        .await?;
    if let Some(written) = written {
        experiments.core.wrote(&object.key, &written);
    }
    Ok(())
}

fn cache_of(experiments: &Experiments, kind: &Kind) -> Option<Arc<Cache>> {
    let watches = &experiments.watches;
    let known = [
        (&REPLICA_SET, &watches.replica_sets),
        (&SERVICE, &watches.services),
        (&ANALYSIS_RUN, &watches.runs),
    ];
    let found = known.into_iter().find(|(known, _)| *known == kind);
    found.map(|(_, cache)| Arc::clone(cache))
}

/// One sentence for one effect.
pub(super) fn describe(effect: &Effect) -> String {
    match effect {
        Effect::CreateReplicaSet(set) => format!("Create ReplicaSet {}", set.name),
        Effect::ScaleReplicaSet { name, from, to, .. } => {
            format!("Scale ReplicaSet {name} from {from} to {to}")
        }
        Effect::AnnotateReplicaSet { name, .. } => format!("Annotate ReplicaSet {name}"),
        Effect::CreateService(service) => format!("Create Service {}", service.name),
        Effect::DeleteService { name, .. } => format!("Delete Service {name}"),
        Effect::CreateAnalysisRun(run) => {
            let name = run.metadata.name.as_deref().unwrap_or_default();
            format!("Create AnalysisRun {name}")
        }
        Effect::TerminateAnalysisRun { name } => format!("Terminate AnalysisRun {name}"),
    }
}
