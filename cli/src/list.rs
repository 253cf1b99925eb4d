//! `list rollouts`.

use std::time::Duration;

use anyhow::Result;
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::{Value, json};
use sluice_crds::rollout::Rollout;

use crate::args::ListArgs;
use crate::cluster::resource;
use crate::get::{status, tree};
use crate::output;

/// Carries out `list rollouts`.
pub(crate) async fn run(client: &Client, namespace: &str, args: &ListArgs) -> Result<()> {
    let resource = resource::ROLLOUTS.api();
    let api: Api<DynamicObject> = if args.all_namespaces {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, &resource)
    };
    let mut shown = Vec::new();
    loop {
        let list = api.list(&ListParams::default()).await?;
        let mut items = Vec::new();
        for object in list.items {
            if args.name.is_none() || args.name == object.metadata.name {
                items.push(serde_json::to_value(object)?);
            }
        }
        if let Some(format) = args.output {
            return output::object(&json!({ "apiVersion": "v1", "kind": "List", "items": items }), format);
        }
        let rows = rows(&items, args.all_namespaces);
        if rows.len() == 1 && !args.watch {
            return output::print(&format!("No rollouts found in {namespace} namespace.\n"));
        }
        if rows != shown {
            output::columns(&rows)?;
            shown = rows;
        }
        if !args.watch {
            return Ok(());
        }
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

fn rows(items: &[Value], with_namespace: bool) -> Vec<Vec<String>> {
    let title = ["NAME", "STRATEGY", "STATUS", "STEP", "SET-WEIGHT", "READY", "DESIRED", "UP-TO-DATE", "AVAILABLE"];
    let mut title: Vec<String> = title.iter().map(|text| (*text).to_owned()).collect();
    if with_namespace {
        title.insert(0, "NAMESPACE".to_owned());
    }
    let mut rows = vec![title];
    for item in items {
        let text = |pointer: &str| {
            item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let mut row = match serde_json::from_value::<Rollout>(item.clone()) {
            Ok(rollout) => row(&rollout),
            // A Rollout that cannot be decoded is shown all the same: somebody has to find it.
            Err(_) => vec![text("/metadata/name"), "-".to_owned(), "✖ InvalidSpec".to_owned()],
        };
        if with_namespace {
            row.insert(0, text("/metadata/namespace"));
        }
        rows.push(row);
    }
    rows
}

fn row(rollout: &Rollout) -> Vec<String> {
    let state = rollout.status.clone().unwrap_or_default();
    let (phase, _) = status::of(rollout);
    let (strategy, step, weight) = match rollout.spec.canary() {
        Some(canary) => {
            let steps = canary.steps().len();
            let step = if steps == 0 {
                "-".to_owned()
            } else {
                format!("{}/{steps}", state.current_step_index.unwrap_or(0))
            };
            let weights = state.canary.as_ref().and_then(|canary| canary.weights.as_ref());
            let weight = weights.map_or_else(|| "-".to_owned(), |weights| weights.canary.weight.to_string());
            ("Canary", step, weight)
        }
        None => ("BlueGreen", "-".to_owned(), "-".to_owned()),
    };
    let count = |count: Option<i32>| count.unwrap_or(0).to_string();
    vec![
        rollout.metadata.name.clone().unwrap_or_default(),
        strategy.to_owned(),
        format!("{} {phase}", tree::icon(&phase)),
        step,
        weight,
        format!("{}/{}", count(state.ready_replicas), count(state.replicas)),
        rollout.spec.replicas().to_string(),
        count(state.updated_replicas),
        count(state.available_replicas),
    ]
}
