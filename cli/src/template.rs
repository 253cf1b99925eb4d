//! Changes of the pod template: `undo` and `set image`.

use anyhow::{Context, Result, bail, ensure};
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use sluice_crds::names;
use sluice_rollout::ReplicaSet;

use crate::args::{SetImageArgs, UndoArgs};
use crate::cluster::resource;
use crate::get::snapshot::Snapshot;
use crate::output;

/// `undo`: the template of an earlier revision becomes the template again.
pub(crate) async fn undo(client: &Client, namespace: &str, args: &UndoArgs) -> Result<()> {
    let snapshot = Snapshot::read(client, namespace, &args.name).await?;
    ensure!(
        snapshot.rollout.spec.workload_ref.is_none(),
        "the template of {} is in the workload that spec.workloadRef names: undo it there",
        args.name
    );
    let set = earlier(&snapshot.replica_sets, args.to_revision)?;
    let mut template = set.template.clone();
    template.remove_label(names::POD_TEMPLATE_HASH);
    let patch: json_patch::Patch = serde_json::from_value(json!([
        { "op": "replace", "path": "/spec/template", "value": template }
    ]))?;
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &resource::ROLLOUTS.api());
    api.patch(&args.name, &PatchParams::default(), &Patch::<()>::Json(patch)).await?;
    output::print(&format!("rollout '{}' undo\n", args.name))
}

/// The ReplicaSet of a revision; of the one before the newest for 0.
fn earlier(sets: &[ReplicaSet], revision: i64) -> Result<&ReplicaSet> {
    let mut sorted: Vec<&ReplicaSet> = sets.iter().collect();
    sorted.sort_by_key(|set| std::cmp::Reverse(set.revision()));
    if revision == 0 {
        return sorted.get(1).copied().context("there is no earlier revision to go back to");
    }
    let known: Vec<String> = sorted.iter().map(|set| set.revision().to_string()).collect();
    sorted
        .into_iter()
        .find(|set| set.revision() == revision)
        .with_context(|| format!("no revision {revision}: there are {}", known.join(", ")))
}

/// `set image`.
pub(crate) async fn set_image(client: &Client, namespace: &str, args: &SetImageArgs) -> Result<()> {
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), namespace, &resource::ROLLOUTS.api());
    let object = api
        .get_opt(&args.name)
        .await?
        .with_context(|| format!("rollouts.argoproj.io \"{}\" not found", args.name))?;
    let mut object = serde_json::to_value(object)?;
    for assignment in &args.images {
        let (container, image) = assignment
            .split_once('=')
            .with_context(|| format!("{assignment:?} is not CONTAINER=IMAGE"))?;
        replace_image(&mut object, container, image)?;
    }
    let patch = json!({
        "metadata": { "resourceVersion": object.pointer("/metadata/resourceVersion") },
        "spec": { "template": object.pointer("/spec/template") }
    });
    api.patch(&args.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    output::print(&format!("rollout \"{}\" image updated\n", args.name))
}

fn replace_image(rollout: &mut Value, container: &str, image: &str) -> Result<()> {
    if rollout.pointer("/spec/workloadRef").is_some_and(|reference| !reference.is_null()) {
        bail!("the template is in the workload that spec.workloadRef names: set the image there");
    }
    let mut found = false;
    let mut known = Vec::new();
    for field in ["initContainers", "containers"] {
        let list = rollout
            .pointer_mut(&format!("/spec/template/spec/{field}"))
            .and_then(Value::as_array_mut);
        for entry in list.into_iter().flatten() {
            let name = entry.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            if name == container || container == "*" {
                found = true;
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("image".to_owned(), json!(image));
                }
            }
            known.push(name);
        }
    }
    ensure!(found, "no container {container:?}: there are {}", known.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_set_by_container_or_for_all_and_a_wrong_name_lists_the_right_ones() {
        let mut rollout = json!({ "spec": { "template": { "spec": { "containers": [
            { "name": "web", "image": "web:1" }, { "name": "proxy", "image": "proxy:1" }
        ] } } } });
        replace_image(&mut rollout, "web", "web:2").unwrap();
        assert_eq!(rollout.pointer("/spec/template/spec/containers/0/image"), Some(&json!("web:2")));
        assert_eq!(rollout.pointer("/spec/template/spec/containers/1/image"), Some(&json!("proxy:1")));
        replace_image(&mut rollout, "*", "x").unwrap();
        assert_eq!(rollout.pointer("/spec/template/spec/containers/1/image"), Some(&json!("x")));
        let error = replace_image(&mut rollout, "db", "x").unwrap_err().to_string();
        assert_eq!(error, "no container \"db\": there are web, proxy");
    }
}
