//! What Sluice costs with one Application and one Rollout that nobody touches.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::figures::Figure;
use super::git;
use super::manifests::{Shape, application};
use super::rest::{self, Targets};
use super::stage::{NAMESPACE, RolloutState, Stage};
use crate::cluster;

/// Promised for one application.
const TARGETS: Targets = Targets {
    megabytes: 50.0,
    percent: 1.0,
};

/// Measures it.
///
/// # Errors
/// When the Rollout does not come up.
pub async fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let controller = stage.controller().await?;
    let repository = git::serve(&stage.cluster).await?;
    let shape = Shape {
        replicas: 2,
        steps: json!([{"setWeight": 20}, {"pause": {}}]),
        router: Some(stage.settings.router),
        analysis: None,
    };
    // A list of JSON documents is YAML.
    let documents = shape.objects(NAMESPACE, "app");
    let documents: Vec<String> = documents.iter().map(Value::to_string).collect();
    let text = documents.join("\n---\n");
    repository
        .push("v1", &[("app/app.yaml", Some(&text))])
        .await?;
    let mut rollouts = stage.watch_rollouts();
    let app = application(&repository.url, NAMESPACE);
    cluster::apply::objects(&stage.client, &[app], None).await?;
    rollouts
        .until(
            "the Rollout from Git",
            Duration::from_secs(60),
            RolloutState::is_healthy,
        )
        .await?;
    rest::observe(stage, &controller, TARGETS).await
}
