//! What is left of a Rollout that is gone: Services that select one of its revisions, and say that it manages them.
//!
//! Whoever goes back to a Deployment would get no requests through such a Service, and no other Rollout may take it. So it
//! serves from every pod again and says nothing any more. While pods that it selects are still wanted, nothing is
//! touched: the garbage collector is on its way, or the pods were left on purpose, and a Rollout that comes back takes
//! them over as they are.

use serde_json::Value;
use sluice_crds::pointer::at;

use crate::plan::{EventNote, EventType, Precondition};
use crate::request::{self, Request};
use crate::services;
use crate::world::Service;

/// One Service that is to be let go.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    /// What is written.
    pub request: Request,
    /// What is said about the Service.
    pub event: EventNote,
}

/// What is to be written once it is certain that there is no Rollout of this name in the namespace.
///
/// `services` are those whose annotation names the Rollout; `replica_set` gives an `apps/v1` ReplicaSet of the namespace
/// by its name.
#[must_use]
pub fn release(
    namespace: &str,
    rollout: &str,
    services: &[Service],
    replica_set: &dyn Fn(&str) -> Option<Value>,
) -> Vec<Release> {
    let is_kept = |service: &&Service| {
        let set = service.hash().map(|hash| format!("{rollout}-{hash}"));
        set.and_then(|name| replica_set(&name))
            .is_some_and(|set| keeps_pods(&set, rollout))
    };
    let free = services.iter().filter(|service| !is_kept(service));
    free.map(|service| {
        let from = service.hash().unwrap_or_default();
        let fence = Precondition {
            uid: service.uid.clone(),
            resource_version: service.resource_version.clone(),
        };
        Release {
            request: request::select_pods(namespace, &service.name, &fence, None),
            event: EventNote {
                kind: EventType::Normal,
                reason: services::SWITCHED,
                message: services::switched(&service.name, from, ""),
            },
        }
    })
    .collect()
}

/// Whether a ReplicaSet still wants pods and nobody but the Rollout has taken it over.
fn keeps_pods(set: &Value, rollout: &str) -> bool {
    let owners = at(set, "/metadata/ownerReferences");
    let mut owners = owners.and_then(Value::as_array).into_iter().flatten();
    let owner = owners.find(|owner| owner["controller"] == true);
    let is_ours = owner.is_none_or(|it| it["kind"] == "Rollout" && it["name"] == rollout);
    let deleting = at(set, "/metadata/deletionTimestamp");
    let replicas = at(set, "/spec/replicas").and_then(Value::as_i64);
    is_ours && deleting.is_none_or(Value::is_null) && replicas.unwrap_or(1) > 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sluice_crds::names::{MANAGED_BY_ROLLOUTS, POD_TEMPLATE_HASH};

    use super::*;

    fn service(hash: Option<&str>) -> Service {
        let hash = hash.map(|hash| (POD_TEMPLATE_HASH.to_owned(), hash.to_owned()));
        Service {
            name: "web-stable".to_owned(),
            uid: "u-1".to_owned(),
            resource_version: "7".to_owned(),
            annotations: [(MANAGED_BY_ROLLOUTS.to_owned(), "web".to_owned())].into(),
            selector: hash.into_iter().collect(),
        }
    }

    fn released(service: Service, set: Option<Value>) -> bool {
        let find = |name: &str| set.clone().filter(|_| name == "web-abc");
        !release("shop", "web", &[service], &find).is_empty()
    }

    #[test]
    fn a_service_without_its_pods_serves_from_every_pod_and_is_managed_by_nobody() {
        let all = release("shop", "web", &[service(Some("abc"))], &|_| None);
        let [release] = &all[..] else {
            unreachable!("{all:?}")
        };
        let Request::Merge { target, patch, .. } = &release.request else {
            unreachable!("{release:?}")
        };
        assert_eq!(
            (target.plural, &*target.namespace, &*target.name),
            ("services", "shop", "web-stable")
        );
        let expected = json!({
            "metadata": {
                "uid": "u-1", "resourceVersion": "7", "annotations": { MANAGED_BY_ROLLOUTS: null }
            },
            "spec": { "selector": { POD_TEMPLATE_HASH: null } }
        });
        assert_eq!(*patch, expected);
        let told = "Switched selector for service 'web-stable' from 'abc' to ''";
        assert_eq!(release.event.message, told);
    }

    #[test]
    fn a_service_stays_while_pods_that_it_selects_are_wanted() {
        let set = |owners: Value, replicas: Option<i32>| {
            Some(json!({
                "metadata": { "ownerReferences": owners }, "spec": { "replicas": replicas }
            }))
        };
        let abc = || service(Some("abc"));
        let owned_by =
            |kind: &str, name: &str| json!([{ "kind": kind, "name": name, "controller": true }]);
        // Left on purpose; or the garbage collector has not come yet.
        assert!(!released(abc(), set(json!([]), Some(2))));
        assert!(!released(abc(), set(json!([]), None)));
        assert!(!released(abc(), set(owned_by("Rollout", "web"), Some(2))));
        // No pods any more, or somebody else's.
        assert!(released(abc(), set(owned_by("Rollout", "web"), Some(0))));
        assert!(released(abc(), set(owned_by("Rollout", "other"), Some(2))));
        assert!(released(abc(), set(owned_by("Deployment", "web"), Some(2))));
        let mut leaving = set(json!([]), Some(2)).unwrap_or_default();
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(released(abc(), Some(leaving)));
        // Another revision is none of its business, and without a hash no pods are.
        assert!(released(service(Some("def")), set(json!([]), Some(2))));
        assert!(released(service(None), set(json!([]), Some(2))));
    }
}
