//! Changes of the pod template: `undo` and `set image`.

use anyhow::{Context, Result, anyhow, bail, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use sluice_crds::names;
use sluice_crds::pod_template::PodTemplate;
use sluice_rollout::ReplicaSet;

use crate::args::{SetImageArgs, UndoArgs};
use crate::cluster::{self, Cluster};
use crate::get::read;
use crate::output;

/// Attempts at a change that others get in the way of.
const ATTEMPTS: usize = 5;

/// `undo`: the template of an earlier revision becomes the template again.
pub(crate) async fn undo(cluster: &Cluster, args: &UndoArgs) -> Result<()> {
    let snapshot = read::read(cluster, &args.name).await?;
    ensure!(
        snapshot.rollout.spec.workload_ref.is_none(),
        "the template of {} is in the workload that spec.workloadRef names: undo it there",
        args.name
    );
    let sets: Vec<&ReplicaSet> = snapshot.owned.replica_sets().collect();
    let set = earlier(&sets, args.to_revision)?;
    let template = without_hash(&set.template);
    if snapshot.rollout.spec.template.as_ref() == Some(&template) {
        let revision = set.revision();
        return output::print(&format!(
            "skipped rollback (current template already matches revision {revision})\n"
        ));
    }
    let patch: json_patch::Patch = serde_json::from_value(json!([
        { "op": "replace", "path": "/spec/template", "value": template }
    ]))?;
    let patch = Patch::<()>::Json(patch);
    cluster
        .api(&cluster::ROLLOUTS)
        .patch(&args.name, &PatchParams::default(), &patch)
        .await?;
    output::print(&format!("rollout '{}' undo\n", args.name))
}

fn without_hash(template: &PodTemplate) -> PodTemplate {
    let mut template = template.clone();
    template.remove_label(names::POD_TEMPLATE_HASH);
    template
}

/// The ReplicaSet of a revision; of the one before the newest for 0.
fn earlier<'a>(sets: &[&'a ReplicaSet], revision: i64) -> Result<&'a ReplicaSet> {
    let mut sorted = sets.to_vec();
    sorted.sort_by_key(|set| std::cmp::Reverse(set.revision()));
    if revision == 0 {
        return sorted
            .get(1)
            .copied()
            .context("there is no earlier revision to go back to");
    }
    let known: Vec<String> = sorted
        .iter()
        .map(|set| set.revision().to_string())
        .collect();
    sorted
        .into_iter()
        .find(|set| set.revision() == revision)
        .with_context(|| format!("there is no revision {revision}, only {}", known.join(", ")))
}

/// `set image`.
pub(crate) async fn set_image(cluster: &Cluster, args: &SetImageArgs) -> Result<()> {
    let mut wanted = Vec::new();
    for assignment in &args.images {
        let parts = assignment
            .split_once('=')
            .filter(|(container, image)| !container.is_empty() && !image.is_empty());
        wanted.push(parts.with_context(|| format!("{assignment:?} is not CONTAINER=IMAGE"))?);
    }
    let api = cluster.api(&cluster::ROLLOUTS);
    for attempt in 1.. {
        let mut object = cluster.get(&cluster::ROLLOUTS, &args.name).await?;
        for (container, image) in &wanted {
            replace_image(&mut object, container, image)?;
        }
        // The whole list is written, so it must still be the one that was read.
        let patch = json!({
            "metadata": { "resourceVersion": object.pointer("/metadata/resourceVersion") },
            "spec": { "template": object.pointer("/spec/template") }
        });
        match api
            .patch(&args.name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
        {
            Ok(_) => break,
            Err(kube::Error::Api(status)) if status.code == 409 && attempt < ATTEMPTS => {}
            Err(error) => return Err(anyhow!(error).context(format!("rollout {:?}", args.name))),
        }
    }
    output::print(&format!("rollout \"{}\" image updated\n", args.name))
}

fn replace_image(rollout: &mut Value, container: &str, image: &str) -> Result<()> {
    if rollout
        .pointer("/spec/workloadRef")
        .is_some_and(|reference| !reference.is_null())
    {
        bail!("the template is in the workload that spec.workloadRef names: set the image there");
    }
    let mut found = false;
    let mut known = Vec::new();
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        let list = rollout
            .pointer_mut(&format!("/spec/template/spec/{field}"))
            .and_then(Value::as_array_mut);
        for entry in list.into_iter().flatten() {
            let name = entry
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            if name == container || container == "*" {
                found = true;
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("image".to_owned(), json!(image));
                }
            }
            known.push(name);
        }
    }
    let known = known.join(", ");
    ensure!(
        found,
        "unable to find container named {container:?}: there are {known}"
    );
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
        let images = |rollout: &Value| -> Vec<String> {
            let containers = rollout.pointer("/spec/template/spec/containers").unwrap();
            let containers = containers.as_array().unwrap().iter();
            containers
                .map(|one| one["image"].as_str().unwrap().to_owned())
                .collect()
        };
        replace_image(&mut rollout, "web", "web:2").unwrap();
        assert_eq!(images(&rollout), ["web:2", "proxy:1"]);
        replace_image(&mut rollout, "*", "x").unwrap();
        assert_eq!(images(&rollout), ["x", "x"]);
        let error = replace_image(&mut rollout, "db", "x")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "unable to find container named \"db\": there are web, proxy"
        );
    }

    #[test]
    fn undo_goes_to_the_revision_before_or_to_the_one_that_is_named() {
        let set = |name: &str, revision: &str| {
            ReplicaSet::from_object(&json!({
                "metadata": { "name": name, "annotations": { "rollout.argoproj.io/revision": revision } },
                "spec": { "template": {} }
            }))
            .unwrap()
        };
        let all = [set("a", "7"), set("c", "9"), set("b", "8")];
        let all: Vec<&ReplicaSet> = all.iter().collect();
        assert_eq!(earlier(&all, 0).unwrap().name, "b");
        assert_eq!(earlier(&all, 7).unwrap().name, "a");
        let error = earlier(&all, 3).unwrap_err().to_string();
        assert_eq!(error, "there is no revision 3, only 9, 8, 7");
        assert!(earlier(&all[..1], 0).is_err());
    }
}
