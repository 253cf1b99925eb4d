//! Writes the fleet, as Argo Rollouts leaves it, into `e2e/fixtures/adoption`: one file for each member, one object a
//! line, without what changes from run to run for no reason.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::super::Stage;
use super::fleet::{LABEL, Member};
use super::look::kinds;
use crate::demo::stage::text;
use crate::product::checkout;

/// The namespace that the objects have in the record.
const NAMESPACE: &str = "fleet";

/// Writes one file for each member.
pub(super) async fn write(stage: &Stage, namespace: &str, fleet: &[Member]) -> Result<()> {
    let folder = checkout()?.join("e2e/fixtures/adoption");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let mut objects = Vec::new();
    for resource in kinds() {
        for mut object in stage.list(namespace, &resource).await? {
            object["apiVersion"] = json!(resource.api_version);
            object["kind"] = json!(resource.kind);
            objects.push(object);
        }
    }
    for member in fleet {
        let path = folder.join(format!("{}.json", member.name));
        let lines: Vec<String> = objects
            .iter()
            .filter(|object| belongs(object, member))
            .map(|object| format!("    {}", compact(object, namespace)))
            .collect();
        let now = jiff::Timestamp::now().round(jiff::Unit::Second)?;
        let text = format!(
            "{{\n  \"now\": \"{now}\",\n  \"objects\": [\n{}\n  ]\n}}\n",
            lines.join(",\n")
        );
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Whether an object is a member's, or one that all have in common.
fn belongs(object: &Value, member: &Member) -> bool {
    match text(object, "/kind").as_str() {
        "AnalysisTemplate" => true,
        "Job" => member.owns(&text(
            object,
            "/metadata/annotations/analysisrun.argoproj.io~1name",
        )),
        "Pod" => {
            text(object, &format!("/metadata/labels/{}", LABEL.0)) == LABEL.1
                && text(object, "/metadata/labels/app") == member.name
        }
        _ => member.owns(&text(object, "/metadata/name")),
    }
}

/// The object without noise, in the namespace of the record.
fn compact(object: &Value, namespace: &str) -> String {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    if text(&object, "/kind") == "Pod" {
        let status = json!({
            "phase": object["status"]["phase"],
            "restartCount": object.pointer("/status/containerStatuses/0/restartCount")
        });
        object["status"] = status;
        if let Some(pod) = object.as_object_mut() {
            pod.remove("spec");
        }
    }
    object.to_string().replace(namespace, NAMESPACE)
}
