//! What an order of the engine does, in words for a person. Pure.

use sluice_rollout::Effect;

/// What an effect does, for a person.
pub(super) fn text(effect: &Effect) -> String {
    match effect {
        Effect::SetReplicas { replicas } => format!("spec.replicas becomes {replicas}"),
        Effect::AnnotateRollout { .. } => "the Rollout's annotations change".to_owned(),
        Effect::CreateReplicaSet(set) => format!("ReplicaSet {} is made", set.name),
        Effect::ScaleReplicaSet { name, from, to, .. } if from == to => {
            format!("ReplicaSet {name} changes")
        }
        Effect::ScaleReplicaSet { name, from, to, .. } => {
            format!("{name} goes from {from} to {to} pods")
        }
        Effect::UpdateReplicaSet {
            name,
            adopt: Some(_),
            ..
        } => format!("ReplicaSet {name} is taken over"),
        Effect::UpdateReplicaSet { name, .. } => format!("ReplicaSet {name} changes"),
        Effect::DeleteReplicaSet { name, .. } => format!("ReplicaSet {name} is deleted"),
        Effect::PatchPod { name, .. } => format!("Pod {name} gets the metadata of its role"),
        Effect::EvictPod { name, .. } => format!("Pod {name} is evicted"),
        Effect::ScaleWorkload { name, from, to, .. } => {
            format!("Deployment {name} goes from {from} to {to} pods")
        }
        Effect::SelectPods {
            service,
            hash: Some(hash),
            ..
        } => {
            format!("Service {service} points at revision {hash}")
        }
        Effect::SelectPods {
            service,
            hash: None,
            ..
        } => format!("Service {service} points at all pods"),
        Effect::SetTraffic(split) => format!("the routers are told: {split}"),
        Effect::CreateAnalysisRun(run) => {
            format!(
                "AnalysisRun {} begins",
                run.metadata.name.as_deref().unwrap_or_default()
            )
        }
        Effect::TerminateAnalysisRun { name } => format!("AnalysisRun {name} is ended"),
        Effect::DeleteAnalysisRun { name, .. } => format!("AnalysisRun {name} is deleted"),
        Effect::CreateExperiment(experiment) => {
            let name = experiment.metadata.name.as_deref().unwrap_or_default();
            format!("Experiment {name} begins")
        }
        Effect::TerminateExperiment { name } => format!("Experiment {name} is ended"),
        Effect::DeleteExperiment { name, .. } => format!("Experiment {name} is deleted"),
    }
}
