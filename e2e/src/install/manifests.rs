//! Manifests that are files of Go modules: Gateway API's and Traefik's CRDs, and kwok's stages.
//!
//! They are fetched by `go mod download` at the versions that the binaries are built at, so a router and its CRDs
//! cannot drift apart. The CRDs are kept as JSON in the cache: reading megabytes of YAML at each start is slow.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::programs::{MODULES, Module};
use super::{build, cache};
use crate::command::Command;
use crate::progress::Reporter;

/// What was fetched.
#[derive(Clone, Debug)]
pub struct Manifests {
    /// CustomResourceDefinitions of Gateway API (standard channel) and of Traefik.
    pub crds: Vec<Value>,
    /// kwok's stage files for nodes and pods, in the order in which they are given to it.
    pub kwok_stages: Vec<PathBuf>,
}

/// Traefik's CRDs, inside its module.
const TRAEFIK_CRDS: &str =
    "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml";

/// Gateway API's CRDs, inside its module.
const GATEWAY_CRDS: &str = "config/crd/standard";

/// kwok's stages that make nodes and pods ready at once, inside its module.
const KWOK_STAGES: &[&str] = &[
    "kustomize/stage/node/fast/node-initialize.yaml",
    "kustomize/stage/node/heartbeat/node-heartbeat.yaml",
    "kustomize/stage/pod/fast/pod-ready.yaml",
    "kustomize/stage/pod/fast/pod-complete.yaml",
    "kustomize/stage/pod/fast/pod-delete.yaml",
];

/// Fetches what is not in the cache yet, and reads it.
pub(super) async fn ensure(reporter: &Reporter) -> Result<Manifests> {
    let (traefik, kwok) = (module("traefik")?, module("kwok")?);
    let folder = cache::folder()?.join(format!("manifests-{}-{}", traefik.key()?, kwok.key()?));
    let crds = folder.join("crds.json");
    if !crds.is_file() {
        let _lock = cache::lock().await?;
        if !crds.is_file() {
            let step = reporter.step("fetch manifests");
            let count = fetch(traefik, kwok, &folder).await?;
            step.done(format!("{count} CRDs"));
        }
    }
    let text = std::fs::read_to_string(&crds)
        .with_context(|| format!("cannot read {}", crds.display()))?;
    let crds = serde_json::from_str(&text).context("the cached CRDs are damaged")?;
    let kwok_stages = KWOK_STAGES
        .iter()
        .map(|stage| folder.join(file_name(stage)))
        .collect();
    Ok(Manifests { crds, kwok_stages })
}

async fn fetch(traefik: &Module, kwok: &Module, folder: &Path) -> Result<usize> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let kwok_sources = download(kwok, kwok.upstream).await?;
    for stage in KWOK_STAGES {
        copy(&kwok_sources.join(stage), &folder.join(file_name(stage)))?;
    }
    let gateway_sources = download(traefik, "sigs.k8s.io/gateway-api")
        .await?
        .join(GATEWAY_CRDS);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&gateway_sources)
        .with_context(|| format!("cannot read {}", gateway_sources.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    files.sort();
    files.push(
        download(traefik, traefik.upstream)
            .await?
            .join(TRAEFIK_CRDS),
    );
    let mut crds = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text)
            .with_context(|| format!("cannot parse {}", file.display()))?;
        crds.extend(
            objects
                .into_iter()
                .filter(|o| o["kind"] == "CustomResourceDefinition"),
        );
    }
    if crds.is_empty() {
        bail!("no CRD in {}", gateway_sources.display());
    }
    // Under its final name only when it is whole: its presence means that everything else is there too.
    let scratch = folder.join("crds.json.new");
    std::fs::write(&scratch, serde_json::to_vec(&crds)?)
        .and_then(|()| std::fs::rename(&scratch, folder.join("crds.json")))
        .context("cannot write the cached CRDs")?;
    Ok(crds.len())
}

/// Downloads a module at the version that `pins` selects, and returns its folder in Go's module cache.
async fn download(pins: &Module, module: &str) -> Result<PathBuf> {
    let output = Command::new(build::go().await?)
        .args(["mod", "download", "-json", module])
        .dir(&pins.folder())
        .env("GOFLAGS", "-mod=readonly")
        .limit(Duration::from_secs(300))
        .run()
        .await?;
    let answer: Value = serde_json::from_str(&output).context("go mod download printed no JSON")?;
    match answer["Dir"].as_str() {
        Some(dir) => Ok(PathBuf::from(dir)),
        None => bail!("go mod download {module}: {}", answer["Error"]),
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    // Read and written, not copied: files in Go's module cache are read-only, and copies would be too.
    let text = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    std::fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn module(name: &str) -> Result<&'static Module> {
    let found = MODULES.iter().find(|module| module.name == name);
    found.with_context(|| format!("no Go module {name}"))
}
