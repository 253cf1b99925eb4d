//! `app`: Applications, through the same fields and annotations that Argo CD's CLI uses.

mod diff;
mod show;
mod sync;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_crds::names;

use crate::args::App;
use crate::cluster::{self, Cluster};
use crate::get::owned::text;

/// Carries out `app …`. `anywhere`: no namespace was given, so the Application may be in any.
pub(crate) async fn run(cluster: &Cluster, anywhere: bool, command: &App) -> Result<ExitCode> {
    match command {
        App::List {
            all_namespaces,
            output,
        } => {
            show::list(cluster, *all_namespaces, *output).await?;
        }
        App::Get {
            name,
            refresh,
            hard_refresh,
            output,
        } => {
            let cluster = locate(cluster, anywhere, name).await?;
            if *refresh || *hard_refresh {
                self::refresh(&cluster, name, *hard_refresh).await?;
            }
            show::one(&cluster, name, *output).await?;
        }
        App::Sync {
            name,
            revision,
            prune,
            dry_run,
            asynchronous,
            timeout,
        } => {
            let cluster = locate(cluster, anywhere, name).await?;
            let order = sync::Order {
                revision: revision.clone(),
                prune: *prune,
                dry_run: *dry_run,
            };
            let wait = (!asynchronous).then(|| Duration::from_secs(*timeout));
            sync::run(&cluster, name, &order, wait).await?;
        }
        App::Diff {
            name,
            revision,
            summary,
        } => {
            let cluster = locate(cluster, anywhere, name).await?;
            return diff::run(&cluster, name, revision.as_deref(), *summary).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The namespace of an Application: the present one, else the only one that has it.
async fn locate(cluster: &Cluster, anywhere: bool, name: &str) -> Result<Cluster> {
    let named = ListParams::default().fields(&format!("metadata.name={name}"));
    let here = cluster.list(&cluster::APPLICATIONS, &named).await?;
    if !anywhere || !here.is_empty() {
        return Ok(cluster.clone());
    }
    // Somebody who may not look further gets the answer for this namespace.
    let found = cluster
        .list_everywhere(&cluster::APPLICATIONS, &named)
        .await
        .unwrap_or_default();
    let namespaces: Vec<&str> = found
        .iter()
        .map(|found| text(found, "/metadata/namespace"))
        .collect();
    match namespaces.as_slice() {
        [] => Ok(cluster.clone()),
        [only] => Ok(Cluster {
            namespace: (*only).to_owned(),
            ..cluster.clone()
        }),
        several => bail!(
            "several namespaces have an Application {name:?}: {}; choose one with --namespace",
            several.join(", ")
        ),
    }
}

async fn read(cluster: &Cluster, name: &str) -> Result<Value> {
    cluster.get(&cluster::APPLICATIONS, name).await
}

/// Asks the controller to compare, and waits until it has (it removes the annotation).
async fn refresh(cluster: &Cluster, name: &str, hard: bool) -> Result<()> {
    let kind = if hard { "hard" } else { "normal" };
    let patch = json!({ "metadata": { "annotations": { names::REFRESH: kind } } });
    let api = cluster.api(&cluster::APPLICATIONS);
    // An object that is not there is said in our own words by the read below.
    if let Err(error) = api
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
    {
        read(cluster, name).await?;
        return Err(error.into());
    }
    let began = Instant::now();
    loop {
        let application = read(cluster, name).await?;
        let annotations = application.pointer("/metadata/annotations");
        if annotations
            .and_then(|annotations| annotations.get(names::REFRESH))
            .is_none()
        {
            return Ok(());
        }
        if began.elapsed() > Duration::from_secs(60) {
            bail!("the controller has not refreshed {name} within 60 s: is it running?");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The elements of a list at a JSON pointer.
fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
