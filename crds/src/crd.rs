//! The CustomResourceDefinitions, as they are installed.
//!
//! [`all`] takes what is derived from the types and makes it fit for an API server:
//!
//! * nothing is defaulted, nothing is nullable and no field is required by the schema: what a person wrote is what is
//!   stored (`null` for a typed field is refused, as upstream);
//! * what is provably wrong is refused when it is written ([`RULES`]). Everything that depends on other objects, or that
//!   upstream takes and only complains about later, is left to the controller's conditions;
//! * the objects survive `helm uninstall`.
//!
//! The pod template is preserved and not expanded, which keeps each definition far below the 256 KB that
//! `kubectl apply` can annotate. `crds/yaml` and the chart `sluice-crds` are made from here by `cargo xtask gen`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
    ValidationRule,
};
use kube::CustomResourceExt;

use crate::analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
use crate::app_project::AppProject;
use crate::application::Application;
use crate::experiment::Experiment;
use crate::rollout::Rollout;

/// Annotation that keeps Helm from deleting the definitions, and every object of them, with the release.
const KEEP: (&str, &str) = ("helm.sh/resource-policy", "keep");

/// What `kubectl explain` says first about kinds whose root type is derived.
const ABOUT: [(&str, &str); 3] = [
    (
        "Rollout",
        "A workload whose new revisions arrive a little at a time.",
    ),
    (
        "AnalysisTemplate",
        "Metrics that analysis runs of its namespace measure.",
    ),
    (
        "ClusterAnalysisTemplate",
        "Metrics that analysis runs of all namespaces measure.",
    ),
];

/// A rule of the Common Expression Language, checked by the API server on every write.
struct Rule {
    /// Kind that it belongs to.
    kind: &'static str,
    /// Path of the object that is `self`; `[]` stands for the elements of a list.
    path: &'static str,
    /// What must hold.
    rule: &'static str,
    /// What the API server says when it does not.
    message: &'static str,
}

/// A limit that lets the API server estimate what a rule costs; far above what anybody writes.
struct Limit {
    kind: &'static str,
    /// Path of the list, map or text.
    path: &'static str,
    /// Most elements, entries or bytes.
    most: i64,
}

const ONE_STRATEGY: &str = "has(self.canary) != has(self.blueGreen)";

const SELECTOR: &str =
    "!has(oldSelf.selector) || (has(self.selector) && self.selector == oldSelf.selector)";

/// A step does one of the first four things; the others may stand beside it, and beside each other, as upstream.
const STEP_KEYS: &str = "[has(self.setWeight), has(self.pause), has(self.experiment), has(self.analysis)]\
     .filter(key, key).size() <= 1 && (has(self.setWeight) || has(self.pause) || has(self.experiment) || \
     has(self.analysis) || has(self.setCanaryScale) || has(self.setHeaderRoute) || has(self.setMirrorRoute) || \
     has(self.plugin))";

const WEIGHTS: &str = "!has(self.steps) || self.steps.all(step, !has(step.setWeight) || (step.setWeight >= 0 && \
     step.setWeight <= (has(self.trafficRouting) && has(self.trafficRouting.maxTrafficWeight) \
     ? self.trafficRouting.maxTrafficWeight : 100)))";

const TEMPLATE_OR_REFERENCE: &str = "!has(self.workloadRef) || !has(self.template) || !has(self.template.metadata) || \
     ((!has(self.template.metadata.labels) || self.template.metadata.labels.size() == 0) && \
     (!has(self.template.metadata.annotations) || self.template.metadata.annotations.size() == 0))";

const ONE_PROVIDER: &str = "[has(self.prometheus), has(self.web), has(self.job), has(self.kayenta), has(self.wavefront), \
     has(self.newRelic), has(self.datadog), has(self.cloudWatch), has(self.graphite), has(self.influxdb), \
     has(self.skywalking), has(self.plugin)].exists_one(provider, provider)";

const ONE_VALUE: &str = "!(has(self.value) && has(self.valueFrom))";

const RULES: &[Rule] = &[
    Rule {
        kind: "Rollout",
        path: "spec.strategy",
        rule: ONE_STRATEGY,
        message: "exactly one of canary and blueGreen must be set",
    },
    Rule {
        kind: "Rollout",
        path: "spec.strategy.canary",
        rule: WEIGHTS,
        message: "setWeight of a step must be 0 to 100, or to trafficRouting.maxTrafficWeight",
    },
    Rule {
        kind: "Rollout",
        path: "spec.strategy.canary.steps[]",
        rule: STEP_KEYS,
        message: "a step must do something, and only one of setWeight, pause, analysis and experiment",
    },
    Rule {
        kind: "Rollout",
        path: "spec",
        rule: SELECTOR,
        message: "spec.selector is immutable",
    },
    Rule {
        kind: "Rollout",
        path: "spec",
        rule: TEMPLATE_OR_REFERENCE,
        message: "template must be empty when workloadRef is set",
    },
    Rule {
        kind: "AnalysisTemplate",
        path: "spec.metrics[].provider",
        rule: ONE_PROVIDER,
        message: "a metric must have exactly one provider",
    },
    Rule {
        kind: "ClusterAnalysisTemplate",
        path: "spec.metrics[].provider",
        rule: ONE_PROVIDER,
        message: "a metric must have exactly one provider",
    },
    Rule {
        kind: "AnalysisRun",
        path: "spec.metrics[].provider",
        rule: ONE_PROVIDER,
        message: "a metric must have exactly one provider",
    },
    Rule {
        kind: "AnalysisTemplate",
        path: "spec.args[]",
        rule: ONE_VALUE,
        message: "an argument has a value or a valueFrom, not both",
    },
    Rule {
        kind: "ClusterAnalysisTemplate",
        path: "spec.args[]",
        rule: ONE_VALUE,
        message: "an argument has a value or a valueFrom, not both",
    },
];

const LIMITS: &[Limit] = &[
    Limit {
        kind: "Rollout",
        path: "spec.strategy.canary.steps",
        most: 1000,
    },
    Limit {
        kind: "Rollout",
        path: "spec.selector.matchLabels",
        most: 100,
    },
    Limit {
        kind: "Rollout",
        path: "spec.selector.matchLabels{}",
        most: 63,
    },
    Limit {
        kind: "Rollout",
        path: "spec.selector.matchExpressions",
        most: 100,
    },
    Limit {
        kind: "Rollout",
        path: "spec.selector.matchExpressions[].key",
        most: 317,
    },
    Limit {
        kind: "Rollout",
        path: "spec.selector.matchExpressions[].operator",
        most: 63,
    },
    Limit {
        kind: "Rollout",
        path: "spec.selector.matchExpressions[].values",
        most: 100,
    },
    Limit {
        kind: "Rollout",
        path: "spec.selector.matchExpressions[].values[]",
        most: 63,
    },
    Limit {
        kind: "AnalysisTemplate",
        path: "spec.metrics",
        most: 1000,
    },
    Limit {
        kind: "ClusterAnalysisTemplate",
        path: "spec.metrics",
        most: 1000,
    },
    Limit {
        kind: "AnalysisRun",
        path: "spec.metrics",
        most: 10_000,
    },
    Limit {
        kind: "AnalysisTemplate",
        path: "spec.args",
        most: 1000,
    },
    Limit {
        kind: "ClusterAnalysisTemplate",
        path: "spec.args",
        most: 1000,
    },
];

/// Every definition, in the order in which the API describes the kinds.
///
/// # Panics
/// Never: the schemas are made from types that are fixed when the crate is compiled, and a test makes each.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    [
        Rollout::crd(),
        AnalysisTemplate::crd(),
        ClusterAnalysisTemplate::crd(),
        AnalysisRun::crd(),
        Experiment::crd(),
        Application::crd(),
        AppProject::crd(),
    ]
    .map(finish)
    .into()
}

fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    let (key, value) = KEEP;
    crd.metadata
        .annotations
        .get_or_insert_default()
        .insert(key.to_owned(), value.to_owned());
    let kind = crd.spec.names.kind.clone();
    let about = ABOUT
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, about)| *about);
    for version in &mut crd.spec.versions {
        let schema = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut());
        if let Some(schema) = schema {
            if let Some(about) = about {
                schema.description = Some(about.to_owned());
            }
            plain(schema);
            say_once(schema);
            describe_template(schema);
            for limit in LIMITS.iter().filter(|limit| limit.kind == kind) {
                if let Some(schema) = at(schema, limit.path) {
                    bound(schema, limit.most);
                }
            }
            for rule in RULES.iter().filter(|rule| rule.kind == kind) {
                if let Some(schema) = at(schema, rule.path) {
                    schema
                        .x_kubernetes_validations
                        .get_or_insert_default()
                        .push(ValidationRule {
                            rule: rule.rule.to_owned(),
                            message: Some(rule.message.to_owned()),
                            ..ValidationRule::default()
                        });
                }
            }
        }
    }
    crd
}

/// Takes defaults, `nullable` and `required` away below the root (what must be there is said by rules and conditions,
/// which can say more), and says of maps of anything that they are preserved: rules cannot see
/// them otherwise.
fn plain(schema: &mut JSONSchemaProps) {
    for_each_below(schema, &mut |below| {
        below.default = None;
        below.nullable = None;
        below.required = None;
        if let Some(JSONSchemaPropsOrBool::Schema(values)) = &below.additional_properties
            && values.type_.is_none()
            && values.x_kubernetes_preserve_unknown_fields == Some(true)
        {
            below.additional_properties = None;
            below.x_kubernetes_preserve_unknown_fields = Some(true);
        }
    });
}

/// Keeps the descriptions of a part that occurs several times (the sources of an Application) only where it occurs first;
/// `spec` comes before the rest.
fn say_once(schema: &mut JSONSchemaProps) {
    let mut said = BTreeSet::new();
    let mut parts: Vec<_> = schema.properties.iter_mut().flatten().collect();
    parts.sort_by_key(|(name, _)| *name != "spec");
    for (_, part) in parts {
        say_or_skip(part, &mut said);
    }
}

fn say_or_skip(schema: &mut JSONSchemaProps, said: &mut BTreeSet<String>) {
    if let Some(properties) = &schema.properties {
        let text = serde_json::to_string(properties).unwrap_or_default();
        if !said.insert(text) {
            return for_each_below(schema, &mut |below| below.description = None);
        }
    }
    for child in children(schema) {
        say_or_skip(child, said);
    }
}

/// The schemas of the fields, of the elements and of the values.
fn children(schema: &mut JSONSchemaProps) -> impl Iterator<Item = &mut JSONSchemaProps> {
    let items = match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(schema)) => std::slice::from_mut(schema.as_mut()),
        Some(JSONSchemaPropsOrArray::Schemas(schemas)) => schemas.as_mut_slice(),
        None => &mut [],
    };
    let values = match &mut schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(schema)) => Some(schema.as_mut()),
        _ => None,
    };
    let fields = schema
        .properties
        .iter_mut()
        .flatten()
        .map(|(_, schema)| schema);
    fields.chain(items).chain(values)
}

fn for_each_below(schema: &mut JSONSchemaProps, change: &mut impl FnMut(&mut JSONSchemaProps)) {
    for child in children(schema) {
        change(child);
        for_each_below(child, change);
    }
}

/// Gives the pod template's labels and annotations a type, so that rules can look at them. A client that is written in
/// Go may send them, and the whole metadata, as `null`.
fn describe_template(schema: &mut JSONSchemaProps) {
    let Some(template) = at(schema, "spec.template") else {
        return;
    };
    let texts = JSONSchemaProps {
        type_: Some("object".to_owned()),
        nullable: Some(true),
        additional_properties: Some(JSONSchemaPropsOrBool::Schema(Box::new(JSONSchemaProps {
            type_: Some("string".to_owned()),
            ..JSONSchemaProps::default()
        }))),
        ..JSONSchemaProps::default()
    };
    let metadata = JSONSchemaProps {
        type_: Some("object".to_owned()),
        nullable: Some(true),
        x_kubernetes_preserve_unknown_fields: Some(true),
        properties: Some(BTreeMap::from([
            ("labels".to_owned(), texts.clone()),
            ("annotations".to_owned(), texts),
        ])),
        ..JSONSchemaProps::default()
    };
    template
        .properties
        .get_or_insert_default()
        .insert("metadata".to_owned(), metadata);
}

fn bound(schema: &mut JSONSchemaProps, most: i64) {
    match schema.type_.as_deref() {
        Some("array") => schema.max_items = Some(most),
        Some("object") => schema.max_properties = Some(most),
        _ => schema.max_length = Some(most),
    }
}

/// The schema at a path such as `spec.metrics[].provider`; `[]` are the elements of a list, `{}` the values of a map.
fn at<'a>(schema: &'a mut JSONSchemaProps, path: &str) -> Option<&'a mut JSONSchemaProps> {
    let mut here = schema;
    for part in path.split('.') {
        let name = part.trim_end_matches(['[', ']', '{', '}']);
        here = here.properties.as_mut()?.get_mut(name)?;
        if part.ends_with("[]") {
            let Some(JSONSchemaPropsOrArray::Schema(items)) = here.items.as_mut() else {
                return None;
            };
            here = items;
        } else if part.ends_with("{}") {
            let Some(JSONSchemaPropsOrBool::Schema(values)) = here.additional_properties.as_mut()
            else {
                return None;
            };
            here = values;
        }
    }
    Some(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(crd: &mut CustomResourceDefinition) -> &mut JSONSchemaProps {
        crd.spec.versions[0]
            .schema
            .as_mut()
            .unwrap()
            .open_api_v3_schema
            .as_mut()
            .unwrap()
    }

    #[test]
    fn every_rule_and_every_limit_has_its_place() {
        let mut all = all();
        for (kind, path) in RULES
            .iter()
            .map(|rule| (rule.kind, rule.path))
            .chain(LIMITS.iter().map(|limit| (limit.kind, limit.path)))
        {
            let crd = all
                .iter_mut()
                .find(|crd| crd.spec.names.kind == kind)
                .unwrap();
            assert!(at(schema(crd), path).is_some(), "{kind} {path}");
        }
    }

    #[test]
    fn each_definition_is_small() {
        for crd in all() {
            let size = serde_json::to_string(&crd).unwrap().len();
            assert!(size < 100_000, "{}: {size} bytes", crd.spec.names.kind);
        }
    }

    #[test]
    fn subresources_and_names_are_those_of_upstream() {
        let described: Vec<String> = all()
            .iter()
            .map(|crd| {
                let version = &crd.spec.versions[0];
                let subresources = version.subresources.as_ref();
                format!(
                    "{} {} {} status={} scale={}",
                    crd.spec.names.kind,
                    crd.spec
                        .names
                        .short_names
                        .clone()
                        .unwrap_or_default()
                        .join(","),
                    crd.spec.scope,
                    subresources.is_some_and(|s| s.status.is_some()),
                    subresources.is_some_and(|s| s.scale.is_some()),
                )
            })
            .collect();
        assert_eq!(
            described,
            [
                "Rollout ro Namespaced status=true scale=true",
                "AnalysisTemplate at Namespaced status=false scale=false",
                "ClusterAnalysisTemplate cat Cluster status=false scale=false",
                "AnalysisRun ar Namespaced status=false scale=false",
                "Experiment exp Namespaced status=false scale=false",
                "Application app,apps Namespaced status=false scale=false",
                "AppProject appproj,appprojs Namespaced status=false scale=false",
            ]
        );
    }

    #[test]
    fn nothing_is_defaulted() {
        for crd in all() {
            let text = serde_json::to_string(&crd).unwrap();
            assert!(!text.contains("\"default\":"), "{}", crd.spec.names.kind);
        }
    }
}
