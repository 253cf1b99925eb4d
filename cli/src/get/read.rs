//! Reads what belongs to a Rollout, at once, and only what its selector, its uid and its names lead to.
//!
//! A person who may not read all of it still sees the rest: what is missing becomes an [`Unread`].

use anyhow::{Context, Result};
use futures::future::{join_all, join3, join4};
use kube::api::ListParams;
use kube::core::Selector;
use serde_json::Value;
use sluice_crds::decode;
use sluice_crds::names;
use sluice_crds::rollout::{CanaryStep, Rollout};

use super::snapshot::{self, Snapshot, Unread, application_of};
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
    let below = below(&rollout);
    let runs = ListParams::default().labels(names::POD_TEMPLATE_HASH);
    let decides = true;
    let made_by_steps = |step: &CanaryStep| step.experiment.is_some();
    let steps = rollout
        .spec
        .canary()
        .into_iter()
        .flat_map(|canary| canary.steps());
    let experiments = if steps.into_iter().any(made_by_steps) {
        several(
            cluster,
            &cluster::EXPERIMENTS,
            &ListParams::default(),
            decides,
        )
        .await
    } else {
        Part::default()
    };
    let (sets, pods, runs, services) = join4(
        several(cluster, &cluster::REPLICA_SETS, &below, decides),
        several(cluster, &cluster::PODS, &below, !decides),
        several(cluster, &cluster::ANALYSIS_RUNS, &runs, decides),
        services(cluster, &rollout),
    )
    .await;
    let (templates, routes, application) = join3(
        templates(cluster, &rollout),
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

/// Selects what a Rollout's selector selects.
pub(super) fn below(rollout: &Rollout) -> ListParams {
    match rollout.spec.selector.clone().map(Selector::try_from) {
        Some(Ok(selector)) => ListParams::default().labels_from(&selector),
        _ => ListParams::default(),
    }
}

type Part = (Vec<Value>, Vec<Unread>);

async fn several(cluster: &Cluster, kind: &Kind, parameters: &ListParams, decides: bool) -> Part {
    match cluster.list(kind, parameters).await {
        Ok(objects) => (objects, Vec::new()),
        Err(error) => (Vec::new(), vec![unread(&kind.name(), &error, decides)]),
    }
}

fn unread(what: &str, error: &kube::Error, decides: bool) -> Unread {
    Unread {
        what: what.to_owned(),
        why: failure::of_client(error),
        decides,
    }
}

/// The Services that the strategy names.
async fn services(cluster: &Cluster, rollout: &Rollout) -> Part {
    let named = rollout.spec.service_names();
    let api = cluster.api(&cluster::SERVICES);
    let mut part = Part::default();
    let found = join_all(named.iter().map(|name| api.get_opt(name))).await;
    for (name, found) in named.iter().zip(found) {
        match found {
            Ok(service) => part
                .0
                .extend(service.and_then(|found| serde_json::to_value(found).ok())),
            Err(error) => part
                .1
                .push(unread(&format!("Service {name}"), &error, true)),
        }
    }
    part
}

/// The templates of the namespace, and those of the cluster if the Rollout names one; nothing without analysis.
async fn templates(cluster: &Cluster, rollout: &Rollout) -> Part {
    if rollout.spec.analysis_templates().next().is_none() {
        return Part::default();
    }
    let all = ListParams::default();
    let mut part = several(cluster, &cluster::ANALYSIS_TEMPLATES, &all, true).await;
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
        assert_eq!(snapshot.sets.len(), 2);
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
