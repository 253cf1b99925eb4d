//! What a Rollout names and the files do not hold, assumed to be there and right. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sluice_analysis::template::TemplateLookup;
use sluice_crds::analysis::{AnalysisTemplateSpec, Argument, Metric, SecretKeyRef, ValueFrom};
use sluice_crds::rollout::Rollout;
use sluice_rollout::Service;
use sluice_traffic::ObjectRef;

/// A Service that fits.
pub(super) fn service(name: &str) -> Service {
    Service {
        name: name.to_owned(),
        uid: name.to_owned(),
        resource_version: String::new(),
        annotations: BTreeMap::new(),
        selector: BTreeMap::new(),
    }
}

/// The object of a Service that selects the pods of a Rollout.
pub(super) fn service_object(rollout: &Rollout, name: &str) -> Value {
    let selector = rollout
        .spec
        .selector
        .as_ref()
        .and_then(|selector| selector.match_labels.clone());
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "namespace": rollout.metadata.namespace },
        "spec": { "selector": selector, "ports": [{ "port": 80 }] }
    })
}

/// A route with both Services of a Rollout as backends.
pub(super) fn route_object(rollout: &Rollout, route: &ObjectRef) -> Value {
    let canary = rollout.spec.canary();
    let backend = |name: Option<&String>, weight: i32| json!({ "name": name, "namespace": rollout.metadata.namespace, "port": 80, "weight": weight });
    let stable = backend(
        canary.and_then(|canary| canary.stable_service.as_ref()),
        100,
    );
    let new = backend(canary.and_then(|canary| canary.canary_service.as_ref()), 0);
    json!({
        "apiVersion": route.api_version,
        "kind": route.kind,
        "metadata": { "name": route.name, "namespace": route.namespace },
        "spec": { "rules": [{ "backendRefs": [stable, new] }] }
    })
}

/// An argument whose value is known only when a run is made.
pub(super) fn argument(argument: &Argument) -> Argument {
    if argument.value.is_some() || argument.value_from.is_some() {
        return argument.clone();
    }
    let secret = SecretKeyRef {
        name: "later".to_owned(),
        key: "later".to_owned(),
    };
    Argument {
        value_from: Some(ValueFrom {
            secret_key_ref: Some(secret),
            field_ref: None,
        }),
        ..argument.clone()
    }
}

/// Templates of the files, and one that fits for every other name.
#[derive(Default)]
pub(super) struct Templates {
    /// By whether it is a ClusterAnalysisTemplate, and name.
    templates: BTreeMap<(bool, String), AnalysisTemplateSpec>,
}

impl Templates {
    /// Adds a template.
    pub(super) fn insert(&mut self, cluster: bool, name: &str, spec: AnalysisTemplateSpec) {
        self.templates.insert((cluster, name.to_owned()), spec);
    }

    /// Adds one that fits, unless there is one; returns whether it was missing.
    pub(super) fn assume(&mut self, cluster: bool, name: &str) -> bool {
        let key = (cluster, name.to_owned());
        if self.templates.contains_key(&key) {
            return false;
        }
        let metric = Metric {
            name: format!("assumed-{cluster}-{name}"),
            success_condition: Some("true".to_owned()),
            provider: serde_json::from_value(json!({ "prometheus": { "query": "up" } }))
                .unwrap_or_default(),
            ..Metric::default()
        };
        let spec = AnalysisTemplateSpec {
            metrics: Some(vec![metric]),
            ..Default::default()
        };
        self.templates.insert(key, spec);
        true
    }

    /// A template.
    pub(super) fn get(&self, cluster: bool, name: &str) -> Option<&AnalysisTemplateSpec> {
        self.templates.get(&(cluster, name.to_owned()))
    }
}

impl TemplateLookup for Templates {
    fn template(&self, name: &str) -> Option<&AnalysisTemplateSpec> {
        self.get(false, name)
    }

    fn cluster_template(&self, name: &str) -> Option<&AnalysisTemplateSpec> {
        self.get(true, name)
    }
}
