//! Reads what belongs to an Experiment, at once, and only what its templates, its uid and its names lead to. A person who
//! may not read all of it still sees the rest.

use anyhow::{Context, Result};
use futures::future::{join, join4};
use kube::core::Selector;
use serde_json::Value;
use sluice_crds::decode;
use sluice_crds::experiment::Experiment;

use super::ExperimentView;
use crate::cluster::{self, Cluster};
use crate::get::owned::text;
use crate::get::read::{Part, services, several, templates, unique, unread};

/// Reads an Experiment and everything below it.
///
/// # Errors
/// When the Experiment cannot be read or decoded.
pub(in crate::get) async fn read(cluster: &Cluster, name: &str) -> Result<ExperimentView> {
    let cannot = || format!("Experiment {}/{name} cannot be read", cluster.namespace);
    let object = cluster.get(&cluster::EXPERIMENTS, name).await?;
    let experiment: Experiment = decode::decode(&object).with_context(cannot)?;
    let below = below(&experiment);
    let measures = experiment.spec.analyses.iter().flatten().next().is_some();
    let decides = true;
    let (sets, pods, services, owner) = join4(
        several(cluster, &cluster::REPLICA_SETS, &below, decides),
        several(cluster, &cluster::PODS, &below, !decides),
        services(cluster, service_names(&experiment)),
        owner(cluster, &object),
    )
    .await;
    let (runs, templates) = if measures {
        join(
            // Its runs have no label that could be asked for.
            several(cluster, &cluster::ANALYSIS_RUNS, &[None], decides),
            templates(cluster),
        )
        .await
    } else {
        (Part::default(), Part::default())
    };
    let mut objects = Vec::new();
    let mut unread = Vec::new();
    for part in [sets, pods, services, owner, runs, templates] {
        objects.extend(part.0);
        unread.extend(part.1);
    }
    ExperimentView::of(&object, &objects, unread)
        .with_context(|| format!("what belongs to {}", cannot()))
}

/// Label selectors of its ReplicaSets and pods.
pub(in crate::get) fn below(experiment: &Experiment) -> Vec<Option<String>> {
    let templates = experiment.spec.templates.iter().flatten();
    // A template without a usable selector has no pods: it asks for nothing, and not for everything.
    let selectors = templates.filter_map(|template| template.selector.clone());
    unique(
        selectors
            .filter(|selector| Selector::try_from(selector.clone()).is_ok())
            .map(Some),
    )
}

/// The names of the Services of its templates.
fn service_names(experiment: &Experiment) -> Vec<String> {
    let name = experiment.metadata.name.as_deref().unwrap_or_default();
    let templates = experiment.spec.templates.iter().flatten();
    templates
        .filter_map(|template| {
            let given = template.service.as_ref()?.name.clone();
            let given = given.filter(|given| !given.is_empty());
            Some(given.unwrap_or_else(|| format!("{name}-{}", template.name)))
        })
        .collect()
}

/// The Rollout that made it: its status says whether requests are routed to the templates.
async fn owner(cluster: &Cluster, experiment: &Value) -> Part {
    let owners = experiment
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    let owner = owners
        .into_iter()
        .flatten()
        .find(|owner| text(owner, "/kind") == "Rollout");
    let mut part = Part::default();
    let Some(owner) = owner else {
        return part;
    };
    let name = text(owner, "/name");
    match cluster.api(&cluster::ROLLOUTS).get_opt(name).await {
        Ok(found) => part
            .0
            .extend(found.and_then(|found| serde_json::to_value(found).ok())),
        Err(error) => part
            .1
            .push(unread(&format!("Rollout {name}"), &error, true)),
    }
    part
}
