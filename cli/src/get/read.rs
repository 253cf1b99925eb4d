//! Reads what belongs to a Rollout, at once, and only what its selector, its uid and its names lead to.
//!
//! A person who may not read all of it still sees the rest: what is missing becomes an [`Unread`].

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use futures::future::{join_all, join3, join4};
use kube::api::ListParams;
use kube::core::Selector;
use serde_json::Value;
use sluice_crds::LabelSelector;
use sluice_crds::decode;
use sluice_crds::experiment::Experiment;
use sluice_crds::names;
use sluice_crds::rollout::Rollout;

use super::owned::{Unread, text};
use super::snapshot::{self, Snapshot, application_of};
use crate::cluster::{self, Cluster, Kind};
use crate::failure;

/// Reads a Rollout and everything below it.
/// The workload of `spec.workloadRef` is not read, so what is decided about such a Rollout is not shown.
///
/// # Errors
/// When the Rollout cannot be read or decoded.
pub(crate) async fn read(cluster: &Cluster, name: &str) -> Result<Snapshot> {
    let object = cluster.get(&cluster::ROLLOUTS, name).await?;
    let rollout = decode(cluster, name, &object)?;
    let experiments = if has_experiments(&rollout) {
        several(cluster, &cluster::EXPERIMENTS, &[None], true).await
    } else {
        Part::default()
    };
    let below = below(&rollout, &decoded(&experiments.0));
    let decides = true;
    let runs = [runs(&rollout)];
    let (sets, pods, runs, services) = join4(
        several(cluster, &cluster::REPLICA_SETS, &below, decides),
        several(cluster, &cluster::PODS, &below, !decides),
        several(cluster, &cluster::ANALYSIS_RUNS, &runs, decides),
        services(cluster, rollout.spec.service_names()),
    )
    .await;
    let (templates, routes, application) = join3(
        async {
            match rollout.spec.analysis_templates().next() {
                Some(_) => templates(cluster).await,
                None => Part::default(),
            }
        },
        routes(cluster, &rollout),
        application(cluster, &rollout),
    )
    .await;
    let mut objects = Vec::new();
    let mut unread = Vec::new();
    for part in [
        sets,
        pods,
        runs,
        experiments,
        services,
        templates,
        routes,
        application,
    ] {
        objects.extend(part.0);
        unread.extend(part.1);
    }
    if rollout.spec.workload_ref.is_some() {
        unread.push(Unread {
            what: "the workload of spec.workloadRef".to_owned(),
            why: "this view does not follow it".to_owned(),
            decides,
        });
    }
    Snapshot::of(&object, &objects, unread).with_context(|| {
        format!(
            "what belongs to Rollout {}/{name} cannot be read",
            cluster.namespace
        )
    })
}

/// Reads a Rollout alone.
///
/// # Errors
/// When it does not exist (the message names it and its namespace), or cannot be decoded.
pub(crate) async fn read_rollout(cluster: &Cluster, name: &str) -> Result<Rollout> {
    let object = cluster.get(&cluster::ROLLOUTS, name).await?;
    decode(cluster, name, &object)
}

fn decode(cluster: &Cluster, name: &str, object: &Value) -> Result<Rollout> {
    decode::decode(object)
        .with_context(|| format!("Rollout {}/{name} cannot be read", cluster.namespace))
}

/// Whether the Rollout makes Experiments, or made the present one.
pub(super) fn has_experiments(rollout: &Rollout) -> bool {
    let canary = rollout.spec.canary();
    let mut steps = canary.into_iter().flat_map(|canary| canary.steps());
    let status = rollout.status.as_ref().and_then(|it| it.canary.as_ref());
    steps.any(|step| step.experiment.is_some())
        || status.is_some_and(|status| status.current_experiment.is_some())
}

/// Label selectors of the ReplicaSets and pods of a Rollout, and of those that its Experiments have and will have. A
/// `None` selects everything.
pub(super) fn below(rollout: &Rollout, experiments: &[Experiment]) -> Vec<Option<String>> {
    let spec = &rollout.spec;
    let base = spec.selector.as_ref();
    let steps = spec.canary().into_iter().flat_map(|canary| canary.steps());
    let made = steps
        .filter_map(|step| step.experiment.as_ref()?.templates.as_ref())
        .flatten()
        .map(|template| {
            let mut selector = template.selector.clone().or_else(|| spec.selector.clone());
            let labels = template.metadata.as_ref().and_then(|it| it.labels.clone());
            if let Some(selector) = &mut selector {
                let all = selector.match_labels.get_or_insert_default();
                all.extend(labels.into_iter().flatten());
            }
            selector
        });
    let of_experiments = experiments
        .iter()
        .flat_map(|experiment| experiment.spec.templates.iter().flatten())
        .map(|template| template.selector.clone());
    let others = made
        .chain(of_experiments)
        .filter(|selector| !is_narrower(selector.as_ref(), base));
    unique(std::iter::once(base.cloned()).chain(others))
}

/// Whether all that a selector selects is selected by another one, as far as their labels show.
fn is_narrower(selector: Option<&LabelSelector>, other: Option<&LabelSelector>) -> bool {
    let (Some(selector), Some(other)) = (selector, other) else {
        return other.is_none();
    };
    let labels = |it: &LabelSelector| it.match_labels.clone().unwrap_or_default();
    let own = labels(selector);
    other.match_expressions.is_none()
        && labels(other)
            .iter()
            .all(|(key, value)| own.get(key) == Some(value))
}

/// Selectors as the API server takes them, each once; all of them are one if one selects everything.
pub(super) fn unique(
    selectors: impl Iterator<Item = Option<LabelSelector>>,
) -> Vec<Option<String>> {
    let texts: BTreeSet<Option<String>> = selectors
        .map(|selector| match selector.map(Selector::try_from) {
            Some(Ok(selector)) => ListParams::default().labels_from(&selector).label_selector,
            _ => None,
        })
        .collect();
    if texts.contains(&None) {
        return vec![None];
    }
    texts.into_iter().collect()
}

/// Label selector of the AnalysisRuns of a Rollout and of its Experiments, whose runs have no label that could be
/// asked for.
pub(super) fn runs(rollout: &Rollout) -> Option<String> {
    (!has_experiments(rollout)).then(|| names::POD_TEMPLATE_HASH.to_owned())
}

/// Experiments that can be decoded.
fn decoded(objects: &[Value]) -> Vec<Experiment> {
    let experiments = objects.iter().map(decode::decode);
    experiments.filter_map(Result::ok).collect()
}

/// Objects, and what could not be read.
pub(super) type Part = (Vec<Value>, Vec<Unread>);

/// The objects of a kind that one of the label selectors selects, each once.
pub(super) async fn several(
    cluster: &Cluster,
    kind: &Kind,
    selectors: &[Option<String>],
    decides: bool,
) -> Part {
    let found = join_all(selectors.iter().map(|selector| async move {
        let parameters = ListParams {
            label_selector: selector.clone(),
            ..ListParams::default()
        };
        cluster.list(kind, &parameters).await
    }))
    .await;
    let mut part = Part::default();
    let mut known = BTreeSet::new();
    for found in found {
        match found {
            Ok(objects) => part.0.extend(
                objects
                    .into_iter()
                    .filter(|object| known.insert(text(object, "/metadata/name").to_owned())),
            ),
            Err(error) => {
                part.1 = vec![unread(&kind.name(), &error, decides)];
            }
        }
    }
    part
}

pub(super) fn unread(what: &str, error: &kube::Error, decides: bool) -> Unread {
    Unread {
        what: what.to_owned(),
        why: failure::of_client(error),
        decides,
    }
}

/// The Services with these names.
pub(super) async fn services(
    cluster: &Cluster,
    names: impl IntoIterator<Item = impl AsRef<str>>,
) -> Part {
    let named: Vec<_> = names.into_iter().collect();
    let api = cluster.api(&cluster::SERVICES);
    let mut part = Part::default();
    let found = join_all(named.iter().map(|name| api.get_opt(name.as_ref()))).await;
    for (name, found) in named.iter().zip(found) {
        match found {
            Ok(service) => part
                .0
                .extend(service.and_then(|found| serde_json::to_value(found).ok())),
            Err(error) => part
                .1
                .push(unread(&format!("Service {}", name.as_ref()), &error, true)),
        }
    }
    part
}

/// The analysis templates of the namespace, and those of the cluster.
pub(crate) async fn templates(cluster: &Cluster) -> Part {
    let all = ListParams::default();
    let mut part = several(cluster, &cluster::ANALYSIS_TEMPLATES, &[None], true).await;
    // A template of the namespace may name one of the cluster.
    match cluster
        .list_everywhere(&cluster::CLUSTER_ANALYSIS_TEMPLATES, &all)
        .await
    {
        Ok(objects) => part.0.extend(objects),
        Err(error) => {
            let what = cluster::CLUSTER_ANALYSIS_TEMPLATES.name();
            part.1.push(unread(&what, &error, true));
        }
    }
    part
}

async fn routes(cluster: &Cluster, rollout: &Rollout) -> Part {
    let mut part = Part::default();
    let wanted = snapshot::referenced(rollout);
    let found = join_all(
        wanted
            .iter()
            .map(|object| cluster::find(&cluster.client, object)),
    )
    .await;
    for (object, found) in wanted.iter().zip(found) {
        match found {
            Ok(route) => part.0.extend(route),
            Err(error) => part.1.push(unread(&object.to_string(), &error, true)),
        }
    }
    part
}

async fn application(cluster: &Cluster, rollout: &Rollout) -> Part {
    let Some(wanted) = application_of(rollout) else {
        return Part::default();
    };
    let named = ListParams::default().fields(&format!("metadata.name={}", wanted.name));
    match cluster
        .list_everywhere(&cluster::APPLICATIONS, &named)
        .await
    {
        Ok(objects) => (objects, Vec::new()),
        Err(error) => (
            Vec::new(),
            vec![unread(
                &format!("Application {}", wanted.name),
                &error,
                false,
            )],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;
    use crate::get::tests::fixture;

    #[tokio::test]
    async fn what_belongs_to_a_rollout_is_read_by_selector_and_name_and_a_refusal_hides_only_its_part()
     {
        let objects = fixture();
        let (cluster, record) = fake::cluster(move |line, _| {
            let of = |kind: &str| -> Vec<Value> {
                objects
                    .iter()
                    .filter(|object| object["kind"] == kind)
                    .cloned()
                    .collect()
            };
            match line {
                line if line.contains("rollouts/web") => (200, objects[0].clone()),
                line if line.contains("/replicasets?") => {
                    assert!(line.contains("labelSelector=app%3Dweb"), "{line}");
                    fake::list(&of("ReplicaSet"))
                }
                line if line.contains("/pods?") => {
                    fake::failure(403, "Forbidden", "pods is forbidden")
                }
                line if line.contains("/services/web-stable") => (200, of("Service")[0].clone()),
                line if line.contains("/services/web-canary") => (200, of("Service")[1].clone()),
                line if line.contains("/httproutes/web") => (200, of("HTTPRoute")[0].clone()),
                line if line.contains("/applications?") => {
                    assert!(line.contains("fieldSelector=metadata.name%3Dweb"), "{line}");
                    fake::list(&of("Application"))
                }
                line if line.contains("/analysisruns?") => fake::list(&[]),
                _ => fake::not_found(line),
            }
        });
        let snapshot = read(&cluster, "web").await.unwrap();
        assert_eq!(snapshot.owned.sets.len(), 2);
        assert_eq!(snapshot.routes.len(), 1);
        assert!(snapshot.application.is_some());
        assert_eq!(snapshot.unread.len(), 1);
        assert_eq!(snapshot.unread[0].what, "pods");
        assert!(!snapshot.unread[0].decides);
        assert_eq!(record.writes(), []);
        let plan = snapshot.plan(crate::get::tests::now()).unwrap();
        assert_eq!(plan.effects, []);
    }

    #[tokio::test]
    async fn a_cluster_without_the_kind_says_so() {
        let (cluster, _) =
            fake::cluster(|_, _| (404, Value::String("404 page not found".to_owned())));
        let error = read(&cluster, "web").await.err().unwrap();
        let text = failure::sentence(&error);
        assert!(
            text.contains("are the CustomResourceDefinitions of Sluice installed?"),
            "{text}"
        );
    }
}
