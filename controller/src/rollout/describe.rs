//! Effects in words, for the decision log and the process log.

use sluice_rollout::Effect;

/// One sentence for one effect.
pub(crate) fn effect(effect: &Effect) -> String {
    match effect {
        Effect::SetReplicas { replicas } => format!("Set spec.replicas to {replicas}"),
        Effect::AnnotateRollout { annotations } => {
            let keys: Vec<&str> = annotations.keys().map(String::as_str).collect();
            format!("Annotate the Rollout: {}", keys.join(", "))
        }
        Effect::CreateReplicaSet(set) => format!("Create ReplicaSet {}", set.name),
        Effect::ScaleReplicaSet { name, from, to, .. } if from == to => {
            format!("Update ReplicaSet {name} at {to} pods")
        }
        Effect::ScaleReplicaSet { name, from, to, .. } => {
            format!("Scale ReplicaSet {name} from {from} to {to}")
        }
        Effect::UpdateReplicaSet {
            name,
            adopt: Some(_),
            ..
        } => format!("Take over ReplicaSet {name}"),
        Effect::UpdateReplicaSet { name, .. } => format!("Update ReplicaSet {name}"),
        Effect::DeleteReplicaSet { name, .. } => format!("Delete ReplicaSet {name}"),
        Effect::PatchPod { name, .. } => format!("Label Pod {name}"),
        Effect::EvictPod { name, .. } => format!("Evict Pod {name}"),
        Effect::ScaleWorkload { name, from, to, .. } => {
            format!("Scale Deployment {name} from {from} to {to}")
        }
        Effect::SelectPods {
            service,
            hash: Some(hash),
            ..
        } => {
            format!("Point Service {service} at revision {hash}")
        }
        Effect::SelectPods {
            service,
            hash: None,
            ..
        } => format!("Point Service {service} at all revisions"),
        Effect::SetTraffic(split) => format!("Tell the routers: {split}"),
        Effect::CreateAnalysisRun(run) => {
            format!(
                "Create AnalysisRun {}",
                run.metadata.name.as_deref().unwrap_or_default()
            )
        }
        Effect::TerminateAnalysisRun { name } => format!("Terminate AnalysisRun {name}"),
        Effect::DeleteAnalysisRun { name, .. } => format!("Delete AnalysisRun {name}"),
        Effect::CreateExperiment(experiment) => {
            let name = experiment.metadata.name.as_deref().unwrap_or_default();
            format!("Create Experiment {name}")
        }
        Effect::TerminateExperiment { name } => format!("Terminate Experiment {name}"),
        Effect::DeleteExperiment { name, .. } => format!("Delete Experiment {name}"),
    }
}
