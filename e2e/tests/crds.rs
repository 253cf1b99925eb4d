//! The generated definitions on a real API server: installed by server-side apply, they take what people write, store it
//! as it was written, and refuse what is provably wrong.

use anyhow::{Context, Result, ensure};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::Scope;
use serde::Deserialize;
use serde_json::{Value, json};
use sluice_e2e::cluster::{ControlPlane, control_plane};

const RULES: &str = include_str!("../../crds/tests/rules.yaml");

#[derive(Deserialize)]
struct Case {
    name: String,
    /// A part of the API server's message; absent when the object must be taken.
    refused: Option<String>,
    object: Value,
}

async fn with_definitions() -> Result<(ControlPlane, Client)> {
    let plane = control_plane(false).await?;
    let crds: Vec<Value> = sluice_crds::crd::all()
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()?;
    let client = plane.client().await?;
    sluice_e2e::cluster::apply::crds(&client, &crds).await?;
    Ok((plane, client))
}

/// Where objects of a kind go; `default` for those with a namespace.
fn api(client: &Client, object: &Value) -> Result<Api<DynamicObject>> {
    let kind = object["kind"].as_str().context("an object has no kind")?;
    let crd = sluice_crds::crd::all()
        .into_iter()
        .find(|crd| crd.spec.names.kind == kind)
        .with_context(|| format!("there is no kind {kind}"))?;
    let group = GroupVersionKind::gvk(sluice_crds::names::GROUP, sluice_crds::names::VERSION, kind);
    let resource = ApiResource::from_gvk_with_plural(&group, &crd.spec.names.plural);
    let scope = if crd.spec.scope == "Cluster" {
        Scope::Cluster
    } else {
        Scope::Namespaced
    };
    Ok(match scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), "default", &resource),
    })
}

#[tokio::test]
#[ignore = "needs the programs of `cargo xtask install`"]
async fn what_people_write_is_stored_and_what_is_provably_wrong_is_refused() -> Result<()> {
    let (_plane, client) = with_definitions().await?;
    let cases: Vec<Case> = serde_saphyr::from_multiple(RULES)?;
    ensure!(cases.len() >= 25, "{} cases", cases.len());
    for case in cases {
        let api = api(&client, &case.object)?;
        let object: DynamicObject = serde_json::from_value(case.object.clone())?;
        let created = api.create(&PostParams::default(), &object).await;
        match (&case.refused, created) {
            (None, created) => {
                let stored = created.with_context(|| case.name.clone())?;
                let stored = serde_json::to_value(&stored)?;
                for key in ["spec", "status", "operation"] {
                    ensure!(
                        stored.get(key) == case.object.get(key),
                        "{}: {key}: {stored}",
                        case.name
                    );
                }
                let name = object.metadata.name.unwrap_or_default();
                api.delete(&name, &DeleteParams::default().grace_period(0))
                    .await?;
                if object.metadata.finalizers.is_some() {
                    let none = json!({"metadata": {"finalizers": null}});
                    api.patch(&name, &PatchParams::default(), &Patch::Merge(none))
                        .await?;
                }
            }
            (Some(_), Ok(_)) => anyhow::bail!("{}: it was taken", case.name),
            (Some(part), Err(kube::Error::Api(status))) => {
                ensure!(
                    status.message.contains(part),
                    "{}: {}",
                    case.name,
                    status.message
                );
            }
            (Some(_), Err(other)) => return Err(other).context(case.name),
        }
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the programs of `cargo xtask install`"]
async fn the_selector_stays_and_the_subresources_are_those_of_upstream() -> Result<()> {
    let (_plane, client) = with_definitions().await?;
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"},
        "spec": {"replicas": 2, "strategy": {"canary": {}}},
        "status": {"phase": "Healthy"}
    });
    let rollouts = api(&client, &rollout)?;
    let merge = PatchParams::default();
    let created = rollouts
        .create(&PostParams::default(), &serde_json::from_value(rollout)?)
        .await?;
    ensure!(
        created.data.get("status").is_none(),
        "the status was written with the object"
    );

    let selector = |app: &str| json!({"spec": {"selector": {"matchLabels": {"app": app}}}});
    rollouts
        .patch("web", &merge, &Patch::Merge(selector("web")))
        .await?;
    let changed = rollouts
        .patch("web", &merge, &Patch::Merge(selector("shop")))
        .await;
    let message = changed
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default();
    ensure!(
        message.contains("spec.selector is immutable"),
        "{message:?}"
    );
    let removed = rollouts
        .patch(
            "web",
            &merge,
            &Patch::Merge(json!({"spec": {"selector": null}})),
        )
        .await;
    ensure!(removed.is_err(), "the selector was taken away");

    let status =
        json!({"status": {"HPAReplicas": 2, "selector": "app=web", "observedGeneration": "1"}});
    rollouts
        .patch_status("web", &merge, &Patch::Merge(status))
        .await?;
    let scale = rollouts.get_scale("web").await?;
    let seen = scale.status.context("the scale has no status")?;
    ensure!(
        seen.replicas == 2 && seen.selector.as_deref() == Some("app=web"),
        "{seen:?}"
    );
    let five = json!({"spec": {"replicas": 5}});
    rollouts
        .patch_scale("web", &merge, &Patch::Merge(five))
        .await?;
    ensure!(rollouts.get("web").await?.data["spec"]["replicas"] == 5);

    // Both controllers, and other tools, patch the status of these kinds on the main resource.
    for (kind, spec) in [
        (
            "AnalysisRun",
            json!({"metrics": [{"name": "m", "provider": {"web": {"url": "http://x"}}}]}),
        ),
        ("Experiment", json!({"templates": []})),
        (
            "Application",
            json!({"project": "default", "destination": {"namespace": "default"}}),
        ),
    ] {
        let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": "a"}, "spec": spec});
        let api = api(&client, &object)?;
        api.create(&PostParams::default(), &serde_json::from_value(object)?)
            .await?;
        let status = match kind {
            "Application" => json!({"status": {"sync": {"status": "Synced"}}}),
            _ => json!({"status": {"phase": "Running"}}),
        };
        let patched = api
            .patch("a", &merge, &Patch::Merge(status.clone()))
            .await?;
        ensure!(
            patched.data.get("status") == status.get("status"),
            "{kind}: {:?}",
            patched.data
        );
    }
    Ok(())
}
