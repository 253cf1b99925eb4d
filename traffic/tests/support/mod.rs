//! A store of objects that carries edits out as the API server does, for tests.

use serde_json::{Value, json};
use sluice_crds::decode::decode;
use sluice_crds::rollout::Rollout;
use sluice_crds::split::{ObservedSplit, Split};
use sluice_traffic::{ObjectRef, Patch, RouteEdit};

/// Objects, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Store(pub(crate) Vec<Value>);

impl Store {
    pub(crate) fn get(&self, object: &ObjectRef) -> Option<&Value> {
        self.0.iter().find(|candidate| object.names(candidate))
    }

    pub(crate) fn observe(&self, rollout: &Rollout, max: i32) -> Vec<ObservedSplit> {
        sluice_traffic::observe(rollout, &|object| self.get(object), max)
    }

    pub(crate) fn edits(&self, rollout: &Rollout, split: &Split) -> Vec<RouteEdit> {
        sluice_traffic::edits(rollout, split, &|object| self.get(object))
    }

    pub(crate) fn removal(&self, rollout: &Rollout) -> Vec<RouteEdit> {
        sluice_traffic::removal(rollout, &|object| self.get(object))
    }

    /// Carries an edit out. Fails as the API server does when a fence does not hold.
    pub(crate) fn apply(&mut self, edit: &RouteEdit) -> Result<(), String> {
        let place = self
            .0
            .iter()
            .position(|candidate| edit.object().names(candidate));
        match (edit, place) {
            (
                RouteEdit::Create {
                    manifest, object, ..
                },
                None,
            ) => {
                assert!(object.names(manifest), "{manifest} is {object}");
                let mut manifest = manifest.clone();
                manifest["metadata"]["uid"] = json!(format!("uid-of-{}", object.name));
                manifest["metadata"]["resourceVersion"] = json!("1");
                self.0.push(manifest);
            }
            (RouteEdit::Create { object, .. }, Some(_)) => return Err(format!("{object} exists")),
            (edit, None) => return Err(format!("{} does not exist", edit.object())),
            (
                RouteEdit::Delete {
                    uid,
                    resource_version,
                    ..
                },
                Some(place),
            ) => {
                assert_eq!(self.0[place]["metadata"]["uid"], json!(uid));
                assert_eq!(
                    self.0[place]["metadata"]["resourceVersion"],
                    json!(resource_version)
                );
                self.0.remove(place);
            }
            (
                RouteEdit::Patch {
                    patch: Patch::Merge(patch),
                    ..
                },
                Some(place),
            ) => {
                for key in ["uid", "resourceVersion"] {
                    if self.0[place]["metadata"][key] != patch["metadata"][key] {
                        return Err(format!("conflict: {key} has changed"));
                    }
                }
                json_patch::merge(&mut self.0[place], patch);
            }
            (
                RouteEdit::Patch {
                    patch: Patch::Json(patch),
                    ..
                },
                Some(place),
            ) => {
                let patch: json_patch::Patch = serde_json::from_value(patch.clone()).unwrap();
                json_patch::patch(&mut self.0[place], &patch).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    pub(crate) fn apply_all(&mut self, edits: &[RouteEdit]) {
        for edit in edits {
            self.apply(edit)
                .unwrap_or_else(|error| panic!("{}: {error}", edit.summary()));
        }
    }
}

/// A Rollout from its JSON.
pub(crate) fn rollout(object: &Value) -> Rollout {
    decode(object).unwrap_or_else(|error| panic!("{error}"))
}

/// The split that gives the canary so many parts of the Rollout's `maxTrafficWeight`.
pub(crate) fn split(rollout: &Rollout, canary: i32) -> Split {
    let strategy = rollout.spec.canary().expect("a canary");
    Split {
        max: strategy.max_weight(),
        canary,
        canary_service: strategy.canary_service.clone().unwrap_or_default(),
        stable_service: strategy.stable_service.clone().unwrap_or_default(),
        canary_hash: Some("canary".to_owned()),
        stable_hash: Some("stable".to_owned()),
        additional: Vec::new(),
        routes: Vec::new(),
    }
}

/// A Rollout `web` in namespace `shop` with these routers.
pub(crate) fn rollout_with(routing: Value) -> Rollout {
    rollout(&json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "shop", "uid": "uid-of-rollout"},
        "spec": {"strategy": {"canary": {
            "canaryService": "web-canary",
            "stableService": "web-stable",
            "trafficRouting": routing,
        }}},
    }))
}

/// The settings of the Gateway API plugin.
pub(crate) fn gateway_api(settings: Value) -> Value {
    json!({"plugins": {"argoproj-labs/gatewayAPI": settings}})
}
