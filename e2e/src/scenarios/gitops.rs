//! The sync loop on real Git repositories.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::Stage;
use super::bad_input::application;
use super::fixtures::{self, rollout, routed, services};
use super::watch::{applications, condition, healthy, rollouts};
use crate::demo::stage::{kind, number, text};
use crate::wait::eventually;

fn config_map(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: \"{value}\"\n"
    )
}

fn config_maps() -> kube::api::ApiResource {
    kind("", "v1", "ConfigMap", "configmaps")
}

/// Whether an Application is as Git says, by an operation that went well.
pub(super) fn synced(application: &Value) -> bool {
    text(application, "/status/sync/status") == "Synced"
        && text(application, "/status/operationState/phase") == "Succeeded"
}

/// Drift is healed at once, what a Rollout drives is no drift, and what Git no longer has is deleted.
pub(super) async fn drift(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("drift").await?;
    let name = namespace.name();
    let repository = stage.cluster.repository(name).await?;
    let strategy = routed(name, "- setWeight: 20\n- pause: {}", "");
    let files = [
        ("web/rollout.yaml", rollout(2, &strategy)),
        ("web/services.yaml", services()),
        (
            "web/route.yaml",
            fixtures::http_route(&format!("{name}.local")),
        ),
        ("web/settings.yaml", config_map("settings", "one")),
        ("web/old.yaml", config_map("old", "x")),
    ];
    let files: Vec<(&str, Option<&str>)> = files
        .iter()
        .map(|(path, text)| (*path, Some(text.as_str())))
        .collect();
    repository.push("v1", &files).await?;
    let app = application(name, &repository.url, "web", name);
    stage.cluster.apply_yaml(&app.to_string()).await?;
    stage
        .rollout_until(name, "v1 to be healthy", 120, healthy)
        .await?;
    stage
        .until(
            "sluice",
            &applications(),
            name,
            "the Application to be synced",
            60,
            synced,
        )
        .await?;

    let drifted = json!({ "data": { "value": "two" } });
    stage
        .patch(name, &config_maps(), "settings", &drifted)
        .await?;
    let healed = |map: &Value| text(map, "/data/value") == "one";
    stage
        .until(
            name,
            &config_maps(),
            "settings",
            "the drift to be healed",
            30,
            healed,
        )
        .await?;

    let v2 = rollout(2, &strategy).replace(":v1", ":v2");
    repository
        .push(
            "v2",
            &[("web/rollout.yaml", Some(&v2)), ("web/old.yaml", None)],
        )
        .await?;
    refresh(&stage, name).await?;
    stage
        .rollout_until(name, "the pause at 20 %", 60, super::canary::paused)
        .await?;
    let gone = eventually(
        "the pruned ConfigMap to go",
        Duration::from_secs(30),
        || async {
            match stage.get(name, &config_maps(), "old").await {
                Ok(_) => bail!("it is still there"),
                Err(_) => Ok(()),
            }
        },
    );
    gone.await?;
    // Two comparisons in the middle of the canary: the weights differ from Git, and that is no drift.
    for _ in 0..2 {
        refresh(&stage, name).await?;
        let application = stage.get("sluice", &applications(), name).await?;
        ensure!(
            synced(&application),
            "weights count as drift: {}",
            application["status"]["resources"]
        );
        let route = kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes");
        let route = stage.get(name, &route, "web").await?;
        let weight = number(&route, "/spec/rules/0/backendRefs/1/weight");
        ensure!(
            weight == 20,
            "the sync loop has set the canary's weight to {weight}"
        );
    }
    stage
        .patch_status(
            name,
            &rollouts(),
            "web",
            &json!({ "status": { "pauseConditions": null } }),
        )
        .await?;
    stage
        .rollout_until(name, "v2 to be healthy", 90, healthy)
        .await?;
    stage.delete("sluice", &applications(), name).await
}

/// A kustomization and a chart.
pub(super) async fn renderers(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("render").await?;
    let name = namespace.name();
    let repository = stage.cluster.repository(name).await?;
    repository
        .push(
            "a kustomization and a chart",
            &[
                ("kustomize/map.yaml", Some(&config_map("settings", "base"))),
                ("kustomize/kustomization.yaml", Some("resources:\n  - map.yaml\n")),
                ("chart/Chart.yaml", Some("apiVersion: v2\nname: chart\nversion: 0.1.0\n")),
                ("chart/values.yaml", Some("value: default\n")),
                ("chart/values-prod.yaml", Some("value: prod\n")),
                (
                    "chart/templates/map.yaml",
                    Some("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-chart\ndata:\n  value: {{ .Values.value }}-{{ .Values.tag }}\n"),
                ),
            ],
        )
        .await?;
    let mut kustomize = application(&format!("{name}-k"), &repository.url, "kustomize", name);
    kustomize["spec"]["source"]["kustomize"] =
        json!({ "namePrefix": "pre-", "commonLabels": { "team": "web" } });
    let mut helm = application(&format!("{name}-h"), &repository.url, "chart", name);
    helm["spec"]["source"]["helm"] = json!({
        "releaseName": "shop", "valueFiles": ["values-prod.yaml"],
        "parameters": [{ "name": "tag", "value": "2.1.3" }]
    });
    for app in [&kustomize, &helm] {
        stage.cluster.apply_yaml(&app.to_string()).await?;
    }
    let labelled = |map: &Value| text(map, "/metadata/labels/team") == "web";
    stage
        .until(
            name,
            &config_maps(),
            "pre-settings",
            "the kustomized ConfigMap",
            60,
            labelled,
        )
        .await?;
    let valued = |map: &Value| text(map, "/data/value") == "prod-2.1.3";
    stage
        .until(
            name,
            &config_maps(),
            "shop-chart",
            "the ConfigMap of the chart",
            60,
            valued,
        )
        .await?;
    for suffix in ["k", "h"] {
        let app = format!("{name}-{suffix}");
        stage
            .until(
                "sluice",
                &applications(),
                &app,
                "it to be synced",
                60,
                synced,
            )
            .await?;
        stage.delete("sluice", &applications(), &app).await?;
    }
    Ok(())
}

/// A project that allows one repository and one namespace.
pub(super) async fn project(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("project").await?;
    let name = namespace.name();
    let repository = stage.cluster.repository(name).await?;
    repository
        .push(
            "map",
            &[("map/map.yaml", Some(&config_map("settings", "x")))],
        )
        .await?;
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": { "name": name, "namespace": "sluice" },
        "spec": {
            "sourceRepos": [repository.url],
            "destinations": [{ "server": "https://kubernetes.default.svc", "namespace": name }]
        }
    });
    stage.cluster.apply_yaml(&project.to_string()).await?;
    let mut allowed = application(&format!("{name}-ok"), &repository.url, "map", name);
    let mut elsewhere = application(&format!("{name}-ns"), &repository.url, "map", "default");
    let mut foreign = application(
        &format!("{name}-repo"),
        "https://example.com/other.git",
        "map",
        name,
    );
    for app in [&mut allowed, &mut elsewhere, &mut foreign] {
        app["spec"]["project"] = json!(name);
        stage.cluster.apply_yaml(&app.to_string()).await?;
    }
    stage
        .until(
            "sluice",
            &applications(),
            &format!("{name}-ok"),
            "what is allowed to sync",
            60,
            synced,
        )
        .await?;
    for (suffix, why) in [
        ("ns", "do not match any of the allowed destinations"),
        ("repo", "is not permitted"),
    ] {
        let refused = |app: &Value| condition(app, "InvalidSpecError").contains(why);
        let app = format!("{name}-{suffix}");
        stage
            .until("sluice", &applications(), &app, "the refusal", 60, refused)
            .await?;
    }
    let left = stage.list("default", &config_maps()).await?;
    ensure!(
        left.iter()
            .all(|map| text(map, "/metadata/name") != "settings"),
        "the ConfigMap was applied to a namespace that the project forbids"
    );
    for suffix in ["ok", "ns", "repo"] {
        stage
            .delete("sluice", &applications(), &format!("{name}-{suffix}"))
            .await?;
    }
    Ok(())
}

/// A webhook brings a commit to the cluster in seconds, though the poll interval is minutes.
pub(super) async fn webhook(stage: Arc<Stage>) -> Result<()> {
    let namespace = stage.cluster.namespace("hook").await?;
    let name = namespace.name();
    let repository = stage.cluster.repository(name).await?;
    repository
        .push(
            "one",
            &[("map/map.yaml", Some(&config_map("settings", "one")))],
        )
        .await?;
    stage
        .cluster
        .apply_yaml(&application(name, &repository.url, "map", name).to_string())
        .await?;
    stage
        .until(
            "sluice",
            &applications(),
            name,
            "the first sync",
            60,
            synced,
        )
        .await?;
    let url = crate::product::deploy::webhook(&stage.client, "sluice").await?;
    let url = url.context("the chart has no Service with a port named webhook")?;
    let sha = repository
        .push(
            "two",
            &[("map/map.yaml", Some(&config_map("settings", "two")))],
        )
        .await?;
    let began = Instant::now();
    let payload = json!({
        "ref": "refs/heads/main", "after": sha,
        "repository": { "clone_url": repository.url, "html_url": repository.url, "default_branch": "main" },
        "commits": [{ "added": [], "removed": [], "modified": ["map/map.yaml"] }]
    });
    let answer = reqwest::Client::new()
        .post(url)
        .header("X-GitHub-Event", "push")
        .json(&payload)
        .send()
        .await?;
    ensure!(
        answer.status().is_success(),
        "the webhook answers {}",
        answer.status()
    );
    let applied = |map: &Value| text(map, "/data/value") == "two";
    stage
        .until(
            name,
            &config_maps(),
            "settings",
            "the commit of the webhook",
            20,
            applied,
        )
        .await?;
    println!(
        "          webhook to applied object: {} ms",
        began.elapsed().as_millis()
    );
    stage.delete("sluice", &applications(), name).await
}

/// Asks for a comparison and waits for it.
pub(super) async fn refresh(stage: &Stage, name: &str) -> Result<()> {
    let annotation =
        json!({ "metadata": { "annotations": { "argocd.argoproj.io/refresh": "normal" } } });
    stage
        .patch("sluice", &applications(), name, &annotation)
        .await?;
    let done = |application: &Value| {
        application
            .pointer("/metadata/annotations/argocd.argoproj.io~1refresh")
            .is_none()
    };
    stage
        .until("sluice", &applications(), name, "the refresh", 30, done)
        .await?;
    Ok(())
}
