//! What the gateways of a route can, as their GatewayClass says in `status.supportedFeatures`.
//!
//! Copying requests is an extended feature of the Gateway API: an implementation without it answers every request that such
//! a rule takes with an error, and need not say so in the status of the route (Traefik does not). So a mirror route is
//! made only when no class is known to lack it. A class that lists no features at all tells nothing.

use serde_json::Value;
use sluice_crds::rollout::Rollout;
use sluice_crds::split::{RouteKind, SplitRoute, routes_of};

use crate::Lookup;
use crate::object::{ObjectRef, list, text};

const GROUP: &str = "gateway.networking.k8s.io";
const VERSION: &str = "gateway.networking.k8s.io/v1";
/// Features by their names in the conformance profiles of the Gateway API.
const MIRROR: &str = "HTTPRouteRequestMirror";
const MIRROR_PERCENT: &str = "HTTPRouteRequestPercentageMirror";

/// The mirror routes of the Rollout's steps.
fn mirrors(rollout: &Rollout) -> Vec<SplitRoute> {
    let steps = rollout.spec.canary().into_iter().flat_map(|it| it.steps());
    let routes = steps.flat_map(routes_of);
    routes
        .filter(|route| matches!(route.kind, RouteKind::Mirror { .. }))
        .collect()
}

/// Objects that tell whether the routes of the Rollout's steps can be made: Gateways, and the classes of those that are
/// found. None when no step mirrors.
pub(crate) fn told_by(
    rollout: &Rollout,
    route: &Value,
    objects: &Lookup<'_, '_>,
) -> Vec<ObjectRef> {
    if mirrors(rollout).is_empty() {
        return Vec::new();
    }
    let mut told = gateways(route);
    let classes: Vec<ObjectRef> = told
        .iter()
        .filter_map(|gateway| class(objects(gateway)?))
        .collect();
    told.extend(classes);
    told
}

/// Why the Rollout's mirror routes would answer requests with errors, for a person.
pub(super) fn problem(
    rollout: &Rollout,
    route: &Value,
    objects: &Lookup<'_, '_>,
) -> Option<String> {
    let mirrors = mirrors(rollout);
    if mirrors.is_empty() {
        return None;
    }
    let gateways = gateways(route);
    let classes = gateways
        .iter()
        .filter_map(|gateway| objects(&class(objects(gateway)?)?));
    for class in classes {
        for mirror in &mirrors {
            if let Some(feature) = lacking(class, &mirror.kind) {
                return Some(format!(
                    "route {}: GatewayClass {} does not list {feature} in status.supportedFeatures, so its gateways would \
                     answer the requests that are to be mirrored with errors: leave setMirrorRoute out, or use a gateway \
                     that can",
                    mirror.name,
                    text(class, &["metadata", "name"]).unwrap_or_default(),
                ));
            }
        }
    }
    None
}

/// The feature that a route needs and a class does not list; nothing when the class lists none at all.
fn lacking(class: &Value, kind: &RouteKind) -> Option<&'static str> {
    let listed = list(class, &["status", "supportedFeatures"]);
    // Objects since v1.2 of the API, before that texts.
    let lists = |feature: &str| {
        let mut names = listed
            .iter()
            .filter_map(|it| text(it, &["name"]).or(it.as_str()));
        names.any(|name| name == feature)
    };
    let RouteKind::Mirror { percentage, .. } = kind else {
        return None;
    };
    if listed.is_empty() {
        return None;
    }
    let percent = percentage.is_some_and(|percentage| percentage < 100);
    let needed = [Some(MIRROR), percent.then_some(MIRROR_PERCENT)];
    needed.into_iter().flatten().find(|feature| !lists(feature))
}

/// The Gateways that a route names as its parents.
fn gateways(route: &Value) -> Vec<ObjectRef> {
    let own = text(route, &["metadata", "namespace"]).unwrap_or_default();
    list(route, &["spec", "parentRefs"])
        .iter()
        .filter(|parent| {
            matches!(text(parent, &["kind"]), None | Some("Gateway"))
                && matches!(text(parent, &["group"]), None | Some(GROUP))
        })
        .filter_map(|parent| {
            Some(ObjectRef {
                api_version: VERSION.to_owned(),
                kind: "Gateway".to_owned(),
                plural: "gateways".to_owned(),
                namespace: text(parent, &["namespace"]).unwrap_or(own).to_owned(),
                name: text(parent, &["name"])?.to_owned(),
            })
        })
        .collect()
}

/// The class of a Gateway.
fn class(gateway: &Value) -> Option<ObjectRef> {
    Some(ObjectRef {
        api_version: VERSION.to_owned(),
        kind: "GatewayClass".to_owned(),
        plural: "gatewayclasses".to_owned(),
        namespace: String::new(),
        name: text(gateway, &["spec", "gatewayClassName"])?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rollout(steps: Value) -> Rollout {
        serde_json::from_value(json!({
            "metadata": { "name": "web", "namespace": "shop" },
            "spec": { "strategy": { "canary": { "steps": steps } } }
        }))
        .unwrap()
    }

    fn mirroring(percentage: Option<i32>) -> Rollout {
        let matches = json!([{ "path": { "prefix": "/" } }]);
        rollout(json!([{ "setMirrorRoute": {
            "name": "copies", "match": matches, "percentage": percentage
        } }]))
    }

    fn route() -> Value {
        json!({
            "metadata": { "namespace": "shop", "name": "web" },
            "spec": { "parentRefs": [
                { "name": "mesh", "kind": "Service", "group": "" },
                { "name": "edge", "namespace": "gateways" },
            ] }
        })
    }

    /// What is said about a Rollout whose gateway is of a class with these features.
    fn said(rollout: &Rollout, features: Value) -> Option<String> {
        let gateway = json!({ "spec": { "gatewayClassName": "fast" } });
        let class = json!({
            "metadata": { "name": "fast" }, "status": { "supportedFeatures": features }
        });
        let objects = |wanted: &ObjectRef| match (&*wanted.kind, &*wanted.namespace, &*wanted.name)
        {
            ("Gateway", "gateways", "edge") => Some(&gateway),
            ("GatewayClass", "", "fast") => Some(&class),
            _ => None,
        };
        problem(rollout, &route(), &objects)
    }

    #[test]
    fn a_class_that_lists_features_without_mirroring_is_a_problem_that_names_both() {
        let other = json!([{ "name": "Gateway" }, { "name": "HTTPRoute" }]);
        let told = said(&mirroring(None), other).unwrap();
        assert!(
            told.contains("GatewayClass fast") && told.contains(MIRROR),
            "{told}"
        );
        assert!(told.starts_with("route copies:"), "{told}");
        assert_eq!(said(&mirroring(None), json!([{ "name": MIRROR }])), None);
        // As texts, and what says nothing.
        assert_eq!(said(&mirroring(None), json!([MIRROR])), None);
        for nothing in [json!([]), json!(null), json!("all")] {
            assert_eq!(said(&mirroring(None), nothing), None);
        }
    }

    #[test]
    fn a_part_of_the_requests_is_a_feature_of_its_own() {
        let features = json!([{ "name": MIRROR }]);
        let told = said(&mirroring(Some(50)), features.clone()).unwrap();
        assert!(told.contains(MIRROR_PERCENT), "{told}");
        assert_eq!(said(&mirroring(Some(100)), features), None);
        let both = json!([{ "name": MIRROR }, { "name": MIRROR_PERCENT }]);
        assert_eq!(said(&mirroring(Some(50)), both), None);
    }

    #[test]
    fn gateways_and_then_their_classes_are_asked_for_and_only_by_those_who_mirror() {
        let gateway = json!({ "spec": { "gatewayClassName": "fast" } });
        let names = |rollout: &Rollout, known: bool| -> Vec<String> {
            let objects =
                |wanted: &ObjectRef| (known && wanted.kind == "Gateway").then_some(&gateway);
            let told = told_by(rollout, &route(), &objects);
            told.iter().map(ToString::to_string).collect()
        };
        assert_eq!(names(&mirroring(None), false), ["Gateway gateways/edge"]);
        assert_eq!(
            names(&mirroring(None), true),
            ["Gateway gateways/edge", "GatewayClass /fast"]
        );
        let weights = rollout(json!([{ "setWeight": 20 }]));
        assert!(names(&weights, true).is_empty());
        assert_eq!(said(&weights, json!([{ "name": "HTTPRoute" }])), None);
    }
}
