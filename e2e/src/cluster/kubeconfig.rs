//! A kubeconfig for each client, with its certificate inside.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::layout::{Layout, write_secret};
use super::pki::CLIENTS;

/// Writes the kubeconfig of every client for the API server at `server`.
pub(super) fn ensure(layout: &Layout, server: &str) -> Result<()> {
    for client in CLIENTS {
        let text = render(layout, server, client.file)?;
        write_secret(&layout.kubeconfig_of(client.file), &text)?;
        if client.file == "admin" {
            write_secret(&layout.kubeconfig(), &text)?;
        }
    }
    Ok(())
}

fn render(layout: &Layout, server: &str, client: &str) -> Result<String> {
    let encoded = |file: String| -> Result<String> {
        let path = layout.pki(&file);
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(STANDARD.encode(bytes))
    };
    // JSON is YAML, and every reader of a kubeconfig takes it.
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "sluice",
        "clusters": [{"name": "sluice", "cluster": {
            "server": server,
            "certificate-authority-data": encoded("ca.crt".to_owned())?,
        }}],
        "users": [{"name": client, "user": {
            "client-certificate-data": encoded(format!("{client}.crt"))?,
            "client-key-data": encoded(format!("{client}.key"))?,
        }}],
        "contexts": [{"name": "sluice", "context": {
            "cluster": "sluice", "user": client, "namespace": "default",
        }}],
    });
    serde_saphyr::to_string(&config).context("cannot write a kubeconfig")
}
