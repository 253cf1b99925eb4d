//! `app`: Applications, through the same fields and annotations that Argo CD's CLI uses.

mod diff;
mod show;
mod sync;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_crds::names;

use crate::args::App;
use crate::cluster::resource;

/// Carries out `app …`.
pub(crate) async fn run(client: &Client, namespace: &str, command: &App) -> Result<ExitCode> {
    match command {
        App::List { all_namespaces, output } => {
            show::list(client, namespace, *all_namespaces, *output).await?;
        }
        App::Get { name, refresh, hard_refresh, output } => {
            if *refresh || *hard_refresh {
                self::refresh(client, namespace, name, *hard_refresh).await?;
            }
            show::one(client, namespace, name, *output).await?;
        }
        App::Sync { name, revision, prune, dry_run, asynchronous, timeout } => {
            let order = sync::Order {
                revision: revision.clone(),
                prune: *prune,
                dry_run: *dry_run,
            };
            let wait = (!asynchronous).then(|| Duration::from_secs(*timeout));
            sync::run(client, namespace, name, &order, wait).await?;
        }
        App::Diff { name } => {
            refresh(client, namespace, name, false).await?;
            return diff::run(client, namespace, name).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn api(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource::APPLICATIONS.api())
}

async fn read(client: &Client, namespace: &str, name: &str) -> Result<Value> {
    let found = api(client, namespace).get_opt(name).await?.with_context(|| {
        format!("applications.argoproj.io \"{name}\" not found in namespace {namespace}")
    })?;
    Ok(serde_json::to_value(found)?)
}

/// Asks the controller to compare, and waits until it has (it removes the annotation).
async fn refresh(client: &Client, namespace: &str, name: &str, hard: bool) -> Result<()> {
    let kind = if hard { "hard" } else { "normal" };
    let patch = json!({ "metadata": { "annotations": { names::REFRESH: kind } } });
    api(client, namespace).patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    let began = Instant::now();
    loop {
        let application = read(client, namespace, name).await?;
        let annotations = application.pointer("/metadata/annotations");
        if annotations.and_then(|annotations| annotations.get(names::REFRESH)).is_none() {
            return Ok(());
        }
        if began.elapsed() > Duration::from_secs(60) {
            bail!("the controller has not refreshed {name} within 60 s: is it running?");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
