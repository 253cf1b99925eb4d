//! `rollout_info` and its companions: made from the cache when the metrics page is asked for.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use sluice_crds::rollout::RolloutStatus;
use sluice_runtime::Cache;
use sluice_runtime::exposition::Page;
use sluice_runtime::telemetry::Metrics;

/// The few fields that the page shows; what does not decode is shown as unknown.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Slim {
    spec: SlimSpec,
    status: Value,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SlimSpec {
    replicas: Value,
    paused: Value,
    strategy: Value,
}

struct Row {
    namespace: Arc<str>,
    name: Arc<str>,
    strategy: &'static str,
    router: String,
    phase: &'static str,
    counts: [(&'static str, f64); 4],
}

/// Adds the Rollouts of a cache to the page.
pub(crate) fn register(metrics: &Metrics, rollouts: &Arc<Cache>) {
    let rollouts = Arc::clone(rollouts);
    metrics.collect(Box::new(move |page| render(page, &rollouts)));
}

fn render(page: &mut Page, rollouts: &Cache) {
    let rows: Vec<Row> = rollouts
        .all()
        .iter()
        .map(|object| row(&object.key, object.decode::<Slim>().unwrap_or_default()))
        .collect();
    if rows.is_empty() {
        return;
    }
    page.family(
        "rollout_info",
        "gauge",
        "Rollouts, with their strategy and phase.",
    );
    for row in &rows {
        let labels = [
            ("namespace", &*row.namespace),
            ("name", &*row.name),
            ("strategy", row.strategy),
            ("traffic_router", &row.router),
            ("phase", row.phase),
        ];
        page.sample("rollout_info", &labels, 1.0);
    }
    for (index, help) in [
        "Pods that the Rollout wants.",
        "Pods that are available.",
        "Pods that are wanted and not available.",
        "Pods of the current revision.",
    ]
    .iter()
    .enumerate()
    {
        let mut begun = false;
        for row in &rows {
            let Some((name, value)) = row.counts.get(index) else {
                continue;
            };
            let name = format!("rollout_info_replicas_{name}");
            if !begun {
                page.family(&name, "gauge", help);
                begun = true;
            }
            page.sample(
                &name,
                &[("namespace", &row.namespace), ("name", &row.name)],
                *value,
            );
        }
    }
}

fn row(key: &sluice_runtime::Key, slim: Slim) -> Row {
    let status: RolloutStatus = serde_json::from_value(slim.status).unwrap_or_default();
    let desired = slim.spec.replicas.as_f64().unwrap_or(1.0);
    let available = f64::from(status.available_replicas.unwrap_or(0));
    let canary = slim.spec.strategy.get("canary");
    let strategy = match (canary, slim.spec.strategy.get("blueGreen")) {
        (Some(_), _) => "canary",
        (None, Some(_)) => "blueGreen",
        (None, None) => "none",
    };
    Row {
        namespace: Arc::clone(&key.namespace),
        name: Arc::clone(&key.name),
        strategy,
        router: router(canary.and_then(|canary| canary.get("trafficRouting"))),
        phase: phase(&status, slim.spec.paused == Value::Bool(true)),
        counts: [
            ("desired", desired),
            ("available", available),
            ("unavailable", (desired - available).max(0.0)),
            ("updated", f64::from(status.updated_replicas.unwrap_or(0))),
        ],
    }
}

/// The names that upstream gives its routers; plugins by their own name.
fn router(routing: Option<&Value>) -> String {
    let Some(routing) = routing.and_then(Value::as_object) else {
        return String::new();
    };
    for (field, name) in [
        ("alb", "ALB"),
        ("ambassador", "Ambassador"),
        ("istio", "Istio"),
        ("nginx", "Nginx"),
        ("smi", "SMI"),
        ("appMesh", "AppMesh"),
        ("traefik", "Traefik"),
        ("apisix", "Apisix"),
    ] {
        if routing.get(field).is_some_and(|value| !value.is_null()) {
            return name.to_owned();
        }
    }
    let plugin = routing
        .get("plugins")
        .and_then(Value::as_object)
        .and_then(|plugins| plugins.keys().next());
    plugin.cloned().unwrap_or_default()
}

/// The phases of the metric, which are older than the phases of the status.
fn phase(status: &RolloutStatus, paused: bool) -> &'static str {
    let is = |kind: &str, value: &str| {
        status
            .condition(kind)
            .is_some_and(|condition| condition.status == value)
    };
    let progressing = status
        .condition("Progressing")
        .map_or("", |condition| condition.reason.as_str());
    if is("InvalidSpec", "True") {
        "InvalidSpec"
    } else if progressing == "RolloutAborted" {
        "Abort"
    } else if progressing == "ProgressDeadlineExceeded" {
        "Timeout"
    } else if is("ReplicaFailure", "True") {
        "Error"
    } else if paused
        || status
            .pause_conditions
            .as_ref()
            .is_some_and(|list| !list.is_empty())
    {
        "Paused"
    } else if status.phase.as_deref() == Some("Healthy") {
        "Completed"
    } else {
        "Progressing"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluice_runtime::Object;
    use sluice_runtime::kind::ROLLOUT;

    use super::*;

    #[test]
    fn a_rollout_is_shown_while_it_exists() {
        let cache = Cache::new(ROLLOUT.clone());
        let rollout = json!({
            "metadata": {"name": "web", "namespace": "a", "uid": "u", "resourceVersion": "1"},
            "spec": {"replicas": 5, "strategy": {"canary": {"trafficRouting": {"nginx": {}}}}},
            "status": {"availableReplicas": 4, "updatedReplicas": 1, "pauseConditions": [{"reason": "CanaryPauseStep"}]}
        });
        cache.apply(Object::from_value(&rollout).unwrap());
        let text = |cache: &Cache| {
            let mut page = Page::default();
            render(&mut page, cache);
            page.into_text()
        };
        let page = text(&cache);
        for line in [
            "rollout_info{namespace=\"a\",name=\"web\",strategy=\"canary\",traffic_router=\"Nginx\",phase=\"Paused\"} 1",
            "rollout_info_replicas_desired{namespace=\"a\",name=\"web\"} 5",
            "rollout_info_replicas_unavailable{namespace=\"a\",name=\"web\"} 1",
            "rollout_info_replicas_updated{namespace=\"a\",name=\"web\"} 1",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
        cache.remove(&sluice_runtime::Key::new("a", "web"), None);
        assert_eq!(text(&cache), "");
    }
}
