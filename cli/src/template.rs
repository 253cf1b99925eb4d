//! Changes of the pod template: `undo` and `set image`.

use anyhow::{Context, Result, anyhow, bail, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use sluice_crds::names;
use sluice_crds::pod_template::PodTemplate;
use sluice_rollout::ReplicaSet;

use crate::args::{SetImageArgs, UndoArgs};
use crate::cluster::{self, Cluster, Kind};
use crate::get::read;
use crate::output;

/// Attempts at a change that others get in the way of.
const ATTEMPTS: usize = 5;

/// Where the template of a Rollout is: in itself, or in the workload that `spec.workloadRef` names.
#[derive(Debug)]
struct Holder {
    kind: &'static Kind,
    name: String,
    /// JSON pointer to the template.
    template: &'static str,
}

impl Holder {
    fn of(rollout: &Value, name: &str) -> Result<Self> {
        let text = |field: &str| {
            let reference = rollout.pointer("/spec/workloadRef");
            reference.and_then(|reference| reference.get(field)?.as_str())
        };
        let (kind, template) = match text("kind") {
            None => (&cluster::ROLLOUTS, "/spec/template"),
            Some("Deployment") => (&cluster::DEPLOYMENTS, "/spec/template"),
            Some("ReplicaSet") => (&cluster::REPLICA_SETS, "/spec/template"),
            Some("PodTemplate") => (&cluster::POD_TEMPLATES, "/template"),
            Some(other) => bail!(
                "spec.workloadRef.kind of rollout {name:?} is {other:?}: it must be Deployment, ReplicaSet or PodTemplate"
            ),
        };
        let name = text("name").unwrap_or(name).to_owned();
        Ok(Self {
            kind,
            name,
            template,
        })
    }

    /// Replaces the template in the object as it was read; somebody else's change in between is a conflict.
    async fn write(&self, cluster: &Cluster, object: &Value, template: &Value) -> kube::Result<()> {
        let version = object.pointer("/metadata/resourceVersion");
        let patch: Result<json_patch::Patch, _> = serde_json::from_value(json!([
            { "op": "test", "path": "/metadata/resourceVersion", "value": version },
            { "op": "replace", "path": self.template, "value": template }
        ]));
        let patch = Patch::<()>::Json(patch.map_err(kube::Error::SerdeError)?);
        let api = cluster.api(self.kind);
        let parameters = PatchParams::default();
        api.patch(&self.name, &parameters, &patch).await.map(|_| ())
    }
}

/// `undo`: the template of an earlier revision becomes the template again.
pub(crate) async fn undo(cluster: &Cluster, args: &UndoArgs) -> Result<()> {
    let snapshot = read::read(cluster, &args.name).await?;
    let sets: Vec<&ReplicaSet> = snapshot.owned.replica_sets().collect();
    let set = earlier(&sets, args.to_revision)?;
    let wanted = json!(without_hash(&set.template));
    let matches = |template: &Value| {
        let template = serde_json::from_value::<PodTemplate>(template.clone());
        template.is_ok_and(|template| json!(template) == wanted)
    };
    let changed = change(cluster, &args.name, |template| {
        let changes = !matches(template);
        *template = wanted.clone();
        Ok(changes)
    })
    .await?;
    if !changed {
        let revision = set.revision();
        return output::print(&format!(
            "skipped rollback (current template already matches revision {revision})\n"
        ));
    }
    output::print(&format!("rollout '{}' undo\n", args.name))
}

/// Reads the template of a Rollout, lets `edit` change it, and writes it if `edit` says so; again when somebody else
/// wrote in between. True when it was written.
async fn change(
    cluster: &Cluster,
    name: &str,
    mut edit: impl FnMut(&mut Value) -> Result<bool>,
) -> Result<bool> {
    for attempt in 1.. {
        let rollout = cluster.get(&cluster::ROLLOUTS, name).await?;
        let holder = Holder::of(&rollout, name)?;
        let object = if holder.kind == &cluster::ROLLOUTS {
            rollout
        } else {
            cluster.get(holder.kind, &holder.name).await?
        };
        let mut template = object.pointer(holder.template).cloned().unwrap_or_default();
        if !edit(&mut template)? {
            return Ok(false);
        }
        match holder.write(cluster, &object, &template).await {
            Ok(()) => break,
            Err(error) if got_in_the_way(&error) && attempt < ATTEMPTS => {}
            Err(error) => {
                let kind = holder.kind.api().kind.to_lowercase();
                let place = format!("{kind} {:?}", holder.name);
                return Err(anyhow!(error).context(place));
            }
        }
    }
    Ok(true)
}

/// Whether a patch failed since the object is another one by now. The API server answers 422 to a test that does not fit,
/// without naming a field, as it always does for a template that is refused for its content.
fn got_in_the_way(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    let details = status.details.as_ref();
    let names_a_field = details.is_some_and(|details| !details.causes.is_empty());
    status.code == 409 || (status.code == 422 && !names_a_field)
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
    change(cluster, &args.name, |template| {
        for (container, image) in &wanted {
            replace_image(template, container, image)?;
        }
        Ok(true)
    })
    .await?;
    output::print(&format!("rollout \"{}\" image updated\n", args.name))
}

fn replace_image(template: &mut Value, container: &str, image: &str) -> Result<()> {
    let mut found = false;
    let mut known = Vec::new();
    for field in ["initContainers", "containers", "ephemeralContainers"] {
        let list = template
            .pointer_mut(&format!("/spec/{field}"))
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
        let mut template = json!({ "spec": { "containers": [
            { "name": "web", "image": "web:1" }, { "name": "proxy", "image": "proxy:1" }
        ] } });
        let images = |template: &Value| -> Vec<String> {
            let containers = template.pointer("/spec/containers").unwrap();
            let containers = containers.as_array().unwrap().iter();
            containers
                .map(|one| one["image"].as_str().unwrap().to_owned())
                .collect()
        };
        replace_image(&mut template, "web", "web:2").unwrap();
        assert_eq!(images(&template), ["web:2", "proxy:1"]);
        replace_image(&mut template, "*", "x").unwrap();
        assert_eq!(images(&template), ["x", "x"]);
        let error = replace_image(&mut template, "db", "x")
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "unable to find container named \"db\": there are web, proxy"
        );
    }

    #[test]
    fn the_template_is_in_the_rollout_or_in_the_workload_that_it_names() {
        let holder =
            |reference: Value| Holder::of(&json!({ "spec": { "workloadRef": reference } }), "web");
        for (kind, expected, template) in [
            ("Deployment", &cluster::DEPLOYMENTS, "/spec/template"),
            ("ReplicaSet", &cluster::REPLICA_SETS, "/spec/template"),
            ("PodTemplate", &cluster::POD_TEMPLATES, "/template"),
        ] {
            let found = holder(json!({ "kind": kind, "name": "old" })).unwrap();
            assert_eq!(found.kind, expected);
            assert_eq!((found.name.as_str(), found.template), ("old", template));
        }
        let own = holder(Value::Null).unwrap();
        assert_eq!((own.kind, own.name.as_str()), (&cluster::ROLLOUTS, "web"));
        let error = holder(json!({ "kind": "StatefulSet", "name": "db" })).unwrap_err();
        assert!(
            error.to_string().contains("spec.workloadRef.kind"),
            "{error}"
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
