//! `explain`: why a Rollout is where it is, as a chain of causes, and what comes next.

use anyhow::Result;
use jiff::Timestamp;
use kube::Client;
use serde_json::Value;

use crate::cluster::resource;
use crate::get::render;
use crate::get::snapshot::{Snapshot, list};
use crate::get::tree;
use crate::output;

/// Carries out `explain`.
pub(crate) async fn run(client: &Client, namespace: &str, names: &[String]) -> Result<()> {
    for name in names {
        let snapshot = Snapshot::read(client, namespace, name).await?;
        let events = list(client, namespace, &resource::EVENTS, None).await?;
        output::print(&text(&snapshot, &events, Timestamp::now()))?;
    }
    Ok(())
}

fn text(snapshot: &Snapshot, events: &[Value], now: Timestamp) -> String {
    let rollout = &snapshot.rollout;
    let status = rollout.status.clone().unwrap_or_default();
    let name = rollout.metadata.name.clone().unwrap_or_default();
    let mut out = format!("{name}: {}\n", render::decision(snapshot, now));

    out.push_str("\nBecause\n");
    for condition in status.conditions.iter().flatten() {
        out.push_str(&format!(
            "  {}={} ({}) {}\n",
            condition.kind, condition.status, condition.reason, condition.message
        ));
    }
    for set in &snapshot.replica_sets {
        if set.replicas > 0 || set.current > 0 {
            out.push_str(&format!(
                "  {}: {} of {} pods available{}\n",
                set.name,
                set.available,
                set.replicas,
                set.failure.as_ref().map_or_else(String::new, |failure| format!(" ({failure})"))
            ));
        }
    }
    for run in &snapshot.runs {
        let Some(state) = &run.status else { continue };
        let current = status.current_pod_hash.as_deref();
        let labels = run.metadata.labels.clone().unwrap_or_default();
        if labels.get(sluice_crds::names::POD_TEMPLATE_HASH).map(String::as_str) != current {
            continue;
        }
        let run_name = run.metadata.name.clone().unwrap_or_default();
        let message = state.message.clone().unwrap_or_default();
        out.push_str(&format!("  {run_name} is {}: {message}\n", state.phase));
        for result in state.metric_results.iter().flatten() {
            let last = result.measurements.iter().flatten().last();
            let value = last.and_then(|last| last.value.clone()).unwrap_or_default();
            out.push_str(&format!(
                "    {}: {} (last value {value}; {} successful, {} failed, {} errors) {}\n",
                result.name,
                result.phase,
                result.successful.unwrap_or(0),
                result.failed.unwrap_or(0),
                result.error.unwrap_or(0),
                result.message.clone().unwrap_or_default()
            ));
        }
    }

    let uid = rollout.metadata.uid.as_deref();
    let mut own: Vec<&Value> = events
        .iter()
        .filter(|event| event.pointer("/involvedObject/uid").and_then(Value::as_str) == uid)
        .collect();
    own.sort_by_key(|event| when(event));
    if !own.is_empty() {
        out.push_str("\nWhat happened last\n");
    }
    for event in own.iter().rev().take(8).rev() {
        let age = tree::age(when(event).parse().ok(), now);
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        out.push_str(&format!("  {age:>6} ago  {}: {}\n", text("/reason"), text("/message")));
    }
    out
}

fn when(event: &Value) -> String {
    ["/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"]
        .iter()
        .find_map(|pointer| event.pointer(pointer)?.as_str())
        .unwrap_or_default()
        .to_owned()
}
