//! The charts: linted, rendered as people install them, and every rendered document a manifest.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sluice_e2e::cluster::parse;
use sluice_e2e::command::Command;
use sluice_e2e::install::{Program, Toolbox};

use crate::test::Count;

/// Ways to install `charts/sluice`: what it is for, and the values.
const WAYS: [(&str, &str); 8] = [
    ("the defaults", ""),
    ("one namespace", "namespaced=true"),
    ("two replicas", "replicas=2"),
    ("a Prometheus operator", "serviceMonitor.enabled=true"),
    ("no sync loop", "controllers.applications=false"),
    ("a sync loop with few rights", "gitops.clusterAdmin=false"),
    ("Jobs in a namespace", "analysisJobs.namespace=jobs"),
    ("Jobs elsewhere", "analysisJobs.kubeconfigSecret=jobs"),
];

/// Lints and renders.
///
/// # Errors
/// When helm is missing, or refuses; the error holds what it said.
pub(crate) async fn check(root: &Path) -> Result<Count> {
    let toolbox = Toolbox::locate()?;
    let helm = toolbox.path(Program::Helm)?;
    let charts = root.join("charts");
    let mut passed = 0;
    for chart in ["sluice", "sluice-crds"] {
        let lint = Command::new(helm).args(["lint", "--strict"]);
        lint.arg(charts.join(chart)).run().await?;
        passed += 1;
    }
    for (way, values) in WAYS {
        let template = Command::new(helm)
            .args(["template", "sluice"])
            .arg(charts.join("sluice"))
            .args(["--namespace", "sluice", "--set", values]);
        let text = template.run().await.with_context(|| way.to_owned())?;
        let objects = parse(&text).with_context(|| format!("{way}: what helm rendered"))?;
        hardened(&objects).with_context(|| way.to_owned())?;
        passed += 1;
    }
    Ok(Count { passed, failed: 0 })
}

/// The controller's pod runs as nobody, cannot write to its image, and has no capability.
fn hardened(objects: &[Value]) -> Result<()> {
    let deployment = objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .context("no Deployment was rendered")?;
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0]["securityContext"];
    let not_root = [&pod["securityContext"], container]
        .iter()
        .any(|context| context["runAsNonRoot"] == true);
    ensure!(not_root, "the pod may run as root");
    ensure!(
        container["readOnlyRootFilesystem"] == true,
        "the pod can write to its image"
    );
    ensure!(
        container["allowPrivilegeEscalation"] == false
            && container["capabilities"]["drop"][0] == "ALL",
        "the pod has privileges: {container}"
    );
    Ok(())
}
