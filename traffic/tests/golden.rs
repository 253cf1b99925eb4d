//! Golden files: `golden/<router>/<case>/` holds what is given (`rollout.yaml`, `wanted.yaml`, `before.yaml`) and what
//! must come out (`edits.yaml`: what was observed, what was written, what was observed then; `after.yaml`: the
//! objects). `UPDATE_GOLDEN=1 cargo test -p sluice-traffic --test golden` writes the latter again; read the difference.
//!
//! `wanted.yaml` is one of `{canary: N}` (with `routes` in the words of the steps that make them), `{removal: true}`, `{service: NAME, select: HASH}`, `{service: NAME, release:
//! true}`.

#![expect(clippy::disallowed_methods, reason = "golden files are files")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says no more than where it failed"
)]

#[expect(dead_code, reason = "other test files use the rest")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sluice_crds::rollout::CanaryStep;
use sluice_crds::split::{ObservedSplit, ShownRoutes, routes_of};
use sluice_traffic::{Patch, RouteEdit, service};
use support::Store;

fn cases() -> Vec<PathBuf> {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folders(&root)
        .iter()
        .flat_map(|router| folders(router))
        .collect()
}

fn read(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

fn documents(objects: &[Value]) -> String {
    let texts: Vec<String> = objects
        .iter()
        .map(|object| serde_saphyr::to_string(object).unwrap())
        .collect();
    texts.join("---\n")
}

fn observed(splits: &[ObservedSplit]) -> Value {
    let none = ShownRoutes {
        intact: true,
        ..ShownRoutes::default()
    };
    splits
        .iter()
        .map(|split| {
            let canary = match &split.canary {
                Ok(weight) => json!(weight),
                Err(reason) => json!({"error": reason}),
            };
            let mut entry = json!({
                "object": split.object,
                "field": split.field,
                "canary": canary,
                "accepted": split.accepted,
            });
            if let Some(shown) = split.routes.as_ref().filter(|it| **it != none) {
                let names: Vec<&str> = shown.routes.iter().map(|it| it.name.as_str()).collect();
                entry["routes"] =
                    json!({"names": names, "intact": shown.intact, "problem": shown.problem});
            }
            entry
        })
        .collect()
}

fn written(edit: &RouteEdit) -> Value {
    let (verb, body) = match edit {
        RouteEdit::Patch {
            patch: Patch::Json(patch),
            ..
        } => ("json patch", patch.clone()),
        RouteEdit::Patch {
            patch: Patch::Merge(patch),
            ..
        } => ("merge patch", patch.clone()),
        RouteEdit::Create { manifest, .. } => ("create", manifest.clone()),
        RouteEdit::Delete {
            uid,
            resource_version,
            ..
        } => (
            "delete",
            json!({"uid": uid, "resourceVersion": resource_version}),
        ),
    };
    let object = edit.object();
    json!({
        "object": format!("{} {}", object.api_version, object),
        "summary": edit.summary(),
        verb: body,
    })
}

fn check(path: &Path, text: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, text).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected != text {
        wrong.push(format!(
            "{}:\n--- expected\n{expected}--- got\n{text}",
            path.display()
        ));
    }
}

#[test]
fn every_case_gives_the_recorded_edits_and_objects() {
    let mut wrong = Vec::new();
    let cases = cases();
    assert!(cases.len() > 20, "only {} cases found", cases.len());
    for case in cases {
        let rollout = support::rollout(&read(&case.join("rollout.yaml"))[0]);
        let wanted = &read(&case.join("wanted.yaml"))[0];
        let mut store = Store(read(&case.join("before.yaml")));
        let max = rollout.spec.canary().unwrap().max_weight();
        let before = store.observe(&rollout, max);
        let again = |store: &Store| -> Vec<RouteEdit> {
            if let Some(name) = wanted["service"].as_str() {
                let object = store
                    .0
                    .iter()
                    .find(|object| object["metadata"]["name"] == name)
                    .unwrap();
                match wanted["select"].as_str() {
                    Some(hash) => service::select(object, "web", hash),
                    None => service::release(object, "web"),
                }
                .into_iter()
                .collect()
            } else if wanted["removal"] == json!(true) {
                store.removal(&rollout)
            } else {
                let canary = i32::try_from(wanted["canary"].as_i64().unwrap()).unwrap();
                let mut split = support::split(&rollout, canary);
                let steps = wanted.get("routes").cloned().unwrap_or_else(|| json!([]));
                let steps: Vec<CanaryStep> = serde_json::from_value(steps).unwrap();
                split.routes = steps.iter().flat_map(routes_of).collect();
                store.edits(&rollout, &split)
            }
        };
        let edits = again(&store);
        store.apply_all(&edits);
        assert_eq!(
            again(&store),
            [],
            "{}: a second time there is nothing to do",
            case.display()
        );
        let after = store.observe(&rollout, max);
        let refused = sluice_traffic::referenced(&rollout)
            .err()
            .unwrap_or_default();
        let report = json!({
            "refused": refused.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "before": observed(&before),
            "edits": edits.iter().map(written).collect::<Vec<_>>(),
            "after": observed(&after),
        });
        check(&case.join("edits.yaml"), &documents(&[report]), &mut wrong);
        check(&case.join("after.yaml"), &documents(&store.0), &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
