//! Server-side apply of whatever objects: manifests of tests, and what the cluster itself needs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::{ApiCapabilities, Scope, pinned_kind};
use kube::{Api, Client};
use serde_json::Value;

use crate::wait::eventually;

/// The field manager under which everything is applied.
const MANAGER: &str = "sluice-e2e";

/// Reads all documents of a YAML text.
///
/// # Errors
/// When it is no YAML.
pub fn parse(yaml: &str) -> Result<Vec<Value>> {
    serde_saphyr::from_multiple(yaml).context("the manifest is no YAML")
}

/// Applies objects in their order. Those without a namespace go into `namespace`, or `default`.
///
/// # Errors
/// When the API server refuses one; the error names it.
pub async fn objects(client: &Client, objects: &[Value], namespace: Option<&str>) -> Result<()> {
    let mut known = BTreeMap::new();
    for object in objects {
        let target = Target::find(client, object, namespace, &mut known).await?;
        let params = PatchParams::apply(MANAGER).force();
        target
            .api
            .patch(&target.name, &params, &Patch::Apply(object))
            .await
            .with_context(|| format!("cannot apply {}", target.label))?;
    }
    Ok(())
}

/// Deletes objects in reverse order; those that are not there are fine.
///
/// # Errors
/// When the API server refuses.
pub async fn delete(client: &Client, objects: &[Value], namespace: Option<&str>) -> Result<()> {
    let mut known = BTreeMap::new();
    for object in objects.iter().rev() {
        let target = Target::find(client, object, namespace, &mut known).await?;
        match target
            .api
            .delete(&target.name, &DeleteParams::default())
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => {
                other.with_context(|| format!("cannot delete {}", target.label))?;
            }
        }
    }
    Ok(())
}

/// Applies CRDs side by side, and waits until the API server serves them.
///
/// # Errors
/// When one is refused, or not established after half a minute.
pub async fn crds(client: &Client, crds: &[Value]) -> Result<()> {
    let api: &Api<CustomResourceDefinition> = &Api::all(client.clone());
    futures::stream::iter(crds)
        .map(|crd| async move {
            let name = crd["metadata"]["name"]
                .as_str()
                .context("a CRD has no name")?;
            let params = PatchParams::apply(MANAGER).force();
            let patched = api.patch(name, &params, &Patch::Apply(crd)).await;
            patched.with_context(|| format!("cannot apply the CRD {name}"))?;
            eventually(
                &format!("the CRD {name}"),
                Duration::from_secs(30),
                || async {
                    let status = api.get(name).await?.status.unwrap_or_default();
                    let established = status.conditions.into_iter().flatten().any(|condition| {
                        condition.type_ == "Established" && condition.status == "True"
                    });
                    if established {
                        Ok(())
                    } else {
                        bail!("it is not established")
                    }
                },
            )
            .await
        })
        .buffer_unordered(8)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(())
}

/// Where one object goes.
struct Target {
    api: Api<DynamicObject>,
    name: String,
    label: String,
}

impl Target {
    async fn find(
        client: &Client,
        object: &Value,
        namespace: Option<&str>,
        known: &mut BTreeMap<String, (ApiResource, ApiCapabilities)>,
    ) -> Result<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
        let name = text(&object["metadata"]["name"]);
        if version.is_empty() || kind.is_empty() || name.is_empty() {
            bail!("an object lacks apiVersion, kind or metadata.name: {object}");
        }
        let key = format!("{version}/{kind}");
        if !known.contains_key(&key) {
            let (group, version) = version.split_once('/').unwrap_or(("", &version));
            let gvk = GroupVersionKind::gvk(group, version, &kind);
            let found = pinned_kind(client, &gvk)
                .await
                .with_context(|| format!("the API server knows no {key}"))?;
            known.insert(key.clone(), found);
        }
        let (resource, capabilities) = known.get(&key).context("just inserted")?;
        let own = object["metadata"]["namespace"].as_str();
        let (api, label) = match capabilities.scope {
            Scope::Cluster => (
                Api::all_with(client.clone(), resource),
                format!("{kind} {name}"),
            ),
            Scope::Namespaced => {
                let namespace = own.or(namespace).unwrap_or("default");
                let api = Api::namespaced_with(client.clone(), namespace, resource);
                (api, format!("{kind} {namespace}/{name}"))
            }
        };
        Ok(Self { api, name, label })
    }
}
