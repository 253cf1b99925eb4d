//! Prometheus outside of the pods, scraping every second.
//!
//! Targets: pods with the annotation `prometheus.io/scrape: "true"` (port and path by `prometheus.io/port` and
//! `prometheus.io/path`), Sluice's own pods (label `app.kubernetes.io/name: sluice`, a port named `metrics`), Traefik.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::layout::{NODE_ADDRESS, write};
use super::outside::{self, Port};
use super::process::Launch;
use super::{Cluster, apply, discovery};

/// The process's name.
pub(super) const NAME: &str = "prometheus";

/// Starts Prometheus and waits until it answers queries. Pods find it as `prometheus.monitoring:9090`.
pub(super) async fn start(cluster: &Cluster, xtask: &Path) -> Result<()> {
    let step = cluster.reporter.step(NAME);
    discovery::start(cluster, xtask)?;
    let config = cluster.layout.path("prometheus.yaml");
    // JSON is YAML.
    write(&config, &format!("{:#}\n", configuration(cluster)))?;
    let port = cluster.info.ports.prometheus;
    cluster.processes.ensure(
        Launch::new(NAME, Path::new("/usr/bin/prometheus"))
            .file("config.file", &config)
            .file("storage.tsdb.path", &cluster.layout.path("prometheus"))
            .flag("storage.tsdb.retention.time", "12h")
            .flag("web.listen-address", format_args!("{NODE_ADDRESS}:{port}"))
            .flag("log.level", "warn"),
    )?;
    let ports = [Port {
        name: "http",
        protocol: "TCP",
        service: 9090,
        process: port,
    }];
    let objects = outside::service("monitoring", "prometheus", None, &ports);
    apply::objects(&cluster.client().await?, &objects, None).await?;
    let url = format!("{}/-/ready", cluster.info.prometheus_url());
    cluster.healthy(NAME, &url, Duration::from_secs(30)).await?;
    step.done(cluster.info.prometheus_url());
    Ok(())
}

fn configuration(cluster: &Cluster) -> Value {
    let pods = json!([{"files": [discovery::file(cluster)]}]);
    let meta = |name: &str| format!("__meta_kubernetes_pod_{name}");
    let keep = |source: String, regex: &str| json!({"source_labels": [source], "regex": regex, "action": "keep"});
    let copy =
        |source: String, target: &str| json!({"source_labels": [source], "target_label": target});
    // Labels of the pod become labels of its series: queries tell canary and stable apart by them.
    let identity = [
        keep(meta("phase"), "Running"),
        json!({"action": "labelmap", "regex": "__meta_kubernetes_pod_label_(.+)"}),
        copy("__meta_kubernetes_namespace".to_owned(), "namespace"),
        copy(meta("name"), "pod"),
    ];
    let mut annotated = vec![
        keep(meta("annotation_prometheus_io_scrape"), "true"),
        json!({
            "source_labels": [meta("annotation_prometheus_io_path")],
            "regex": "(.+)", "target_label": "__metrics_path__",
        }),
        json!({
            "source_labels": [meta("ip"), meta("annotation_prometheus_io_port")],
            "separator": ":", "regex": "(.+:[0-9]+)", "target_label": "__address__",
        }),
    ];
    annotated.extend(identity.clone());
    let mut sluice = vec![
        keep(meta("label_app_kubernetes_io_name"), "sluice"),
        keep(meta("container_port_name"), "metrics"),
    ];
    sluice.extend(identity);
    let traefik = format!("{NODE_ADDRESS}:{}", cluster.info.ports.traefik);
    json!({
        "global": {
            "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s",
        },
        "scrape_configs": [
            {"job_name": "pods", "file_sd_configs": pods, "relabel_configs": annotated},
            {"job_name": "sluice", "file_sd_configs": pods, "relabel_configs": sluice},
            {"job_name": "traefik", "static_configs": [{"targets": [traefik]}]},
        ],
    })
}
