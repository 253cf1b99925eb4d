//! Installs Sluice with its own charts, as a person would.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{checkout, images};
use crate::command::Command;

/// Installs or upgrades the CRDs and Sluice, and waits until it is ready.
///
/// `helm` is the program. The image keeps its name and tag when it is built anew, so `image_digest` is what makes the pods
/// of the old one go.
///
/// # Errors
/// When helm fails; the error holds what it said.
pub async fn install(
    helm: &Path,
    kubeconfig: &Path,
    namespace: &str,
    image_digest: Option<&str>,
) -> Result<()> {
    let charts = checkout()?.join("charts");
    let run = |release: &str, chart: &str, values: Vec<String>| {
        Command::new(helm)
            .args(["upgrade", "--install", release])
            .arg(charts.join(chart))
            .args([
                "--namespace",
                namespace,
                "--create-namespace",
                "--wait",
                "--timeout",
                "120s",
            ])
            .args(values.iter().flat_map(|value| ["--set", value.as_str()]))
            .env("KUBECONFIG", kubeconfig)
            .limit(Duration::from_secs(180))
            .run()
    };
    run("sluice-crds", "sluice-crds", Vec::new())
        .await
        .context("cannot install the CRDs")?;
    let mut all = vec![
        format!("image.repository={}", images::SLUICE),
        format!("image.tag={}", images::TAG),
        "image.pullPolicy=IfNotPresent".to_owned(),
    ];
    all.extend(image_digest.map(|digest| format!("podAnnotations.image-digest={digest}")));
    run("sluice", "sluice", all)
        .await
        .context("cannot install Sluice")?;
    Ok(())
}

/// Where a Git server tells Sluice of a push: the webhook's Service, which this machine reaches by its address.
///
/// # Errors
/// When the API server does not answer.
pub async fn webhook(client: &kube::Client, namespace: &str) -> Result<Option<String>> {
    let services: kube::Api<k8s_openapi::api::core::v1::Service> =
        kube::Api::namespaced(client.clone(), namespace);
    for service in services.list(&kube::api::ListParams::default()).await? {
        let spec = service.spec.unwrap_or_default();
        let port = spec
            .ports
            .iter()
            .flatten()
            .find(|port| port.name.as_deref() == Some("webhook"));
        if let (Some(port), Some(address)) = (port, spec.cluster_ip) {
            return Ok(Some(format!("http://{address}:{}/api/webhook", port.port)));
        }
    }
    Ok(None)
}
