//! Which Application an object belongs to: the tracking annotation
//! `<app>:<group>/<kind>:<namespace>/<name>`.
//!
//! The annotation must point at the object that carries it. One that was copied along with other annotations (by an
//! operator, or by `kubectl get -o yaml | kubectl apply`) does not, and such an object belongs to nobody.

use serde_json::Value;
use sluice_crds::names;

use crate::key::{Key, annotation};

/// Name of an Application in tracking annotations: its own name, with its namespace before it when it is not in the
/// controller's namespace.
#[must_use]
pub fn app_name(namespace: &str, name: &str, control_namespace: &str) -> String {
    if namespace.is_empty() || namespace == control_namespace {
        name.to_owned()
    } else {
        format!("{namespace}_{name}")
    }
}

/// The annotation's value for an object. Cluster-wide objects carry the destination's namespace in it, as upstream.
#[must_use]
pub fn id(app: &str, key: &Key, default_namespace: &str) -> String {
    let namespace = if key.namespace.is_empty() {
        default_namespace
    } else {
        key.namespace.as_str()
    };
    format!("{app}:{}:{namespace}/{}", key.kind, key.name)
}

/// The name of the Application that an object says it belongs to, if the annotation points at the object itself.
#[must_use]
pub fn owner(object: &Value) -> Option<&str> {
    owner_of(annotation(object, names::TRACKING_ID)?, &Key::of(object))
}

/// As [`owner`], for an annotation's value and the key of the object that carries it.
#[must_use]
pub fn owner_of<'a>(value: &'a str, key: &Key) -> Option<&'a str> {
    let (app, rest) = value.split_once(':')?;
    let (kind, place) = rest.split_once(':')?;
    let (group, kind) = kind.rsplit_once('/')?;
    let (namespace, name) = place.split_once('/')?;
    let itself = group == key.kind.group
        && kind == key.kind.kind
        && name == key.name
        && (key.namespace.is_empty() || namespace == key.namespace);
    (itself && !app.is_empty()).then_some(app)
}

/// Whether objects of the kind are stamped. Definitions are not: they outlive Applications.
#[must_use]
pub fn is_stamped(key: &Key) -> bool {
    key.kind.kind != "CustomResourceDefinition"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_from_the_object_that_carries_it() {
        let key = Key::new("apps", "Deployment", "web", "api");
        let value = id("shop", &key, "elsewhere");
        assert_eq!(value, "shop:apps/Deployment:web/api");
        assert_eq!(owner_of(&value, &key), Some("shop"));
    }

    #[test]
    fn a_cluster_wide_object_carries_the_destination_namespace() {
        let key = Key::new("rbac.authorization.k8s.io", "ClusterRole", "", "reader");
        let value = id("argocd_shop", &key, "web");
        assert_eq!(
            value,
            "argocd_shop:rbac.authorization.k8s.io/ClusterRole:web/reader"
        );
        assert_eq!(owner_of(&value, &key), Some("argocd_shop"));
    }

    #[test]
    fn the_core_group_has_an_empty_name() {
        let key = Key::new("", "Service", "web", "api");
        assert_eq!(id("shop", &key, ""), "shop:/Service:web/api");
        assert_eq!(owner_of("shop:/Service:web/api", &key), Some("shop"));
    }

    #[test]
    fn a_copied_annotation_owns_nothing() {
        let key = Key::new("apps", "ReplicaSet", "web", "api-123");
        for value in [
            "shop:apps/Deployment:web/api",
            "shop",
            "",
            "shop:apps:web/api-123",
            ":apps/ReplicaSet:web/api-123",
        ] {
            assert_eq!(owner_of(value, &key), None, "{value}");
        }
    }

    #[test]
    fn an_application_outside_the_control_namespace_carries_its_namespace() {
        assert_eq!(app_name("argocd", "a", "argocd"), "a");
        assert_eq!(app_name("team", "a", "argocd"), "team_a");
    }
}
