//! From rendered manifests to targets.

use crate::support::{documents, placement, scope, yaml};
use serde_json::json;
use sluice_crds::names;
use sluice_gitops::key::Key;
use sluice_gitops::manifest::{Placement, targets};

#[test]
fn namespaces_are_filled_in_and_taken_away_by_scope() {
    let text = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b, namespace: other}\n\
---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: c, namespace: wrong}\n---\napiVersion: example.com/v1\nkind: Unknown\nmetadata: {name: d}\n";
    let targets = targets(&documents(text), &placement(), &scope()).unwrap();
    let keys: Vec<_> = targets
        .objects
        .iter()
        .map(|target| target.key.to_string())
        .collect();
    assert_eq!(
        keys,
        [
            "/ConfigMap/other/b",
            "/ConfigMap/shop/a",
            "example.com/Unknown/shop/d",
            "rbac.authorization.k8s.io/ClusterRole//c"
        ]
    );
    let role = &targets.objects[3].object;
    assert_eq!(role["metadata"].get("namespace"), None);
    assert_eq!(
        role["metadata"]["annotations"][names::TRACKING_ID],
        "web:rbac.authorization.k8s.io/ClusterRole:shop/c"
    );
}

#[test]
fn the_scope_of_a_kind_can_come_from_a_definition_in_the_same_rendering() {
    let text = "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.com}\nspec: {group: example.com, scope: Cluster, names: {kind: Thing}}\n\
---\napiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\n";
    let targets = targets(&documents(text), &placement(), &scope()).unwrap();
    assert!(
        targets
            .plain(&Key::new("example.com", "Thing", "", "t"))
            .is_some()
    );
    // Definitions outlive Applications and are not stamped.
    let definition = &targets.objects[0];
    assert_eq!(definition.object["metadata"].get("annotations"), None);
}

#[test]
fn lists_are_taken_apart_and_the_last_of_two_wins() {
    let list = yaml(
        "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: '1'}}, \
         {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: '2'}}]}",
    );
    let targets = targets(&[list], &placement(), &scope()).unwrap();
    assert_eq!(targets.objects.len(), 1);
    assert_eq!(targets.objects[0].object["data"]["x"], "2");
    assert_eq!(
        targets.warnings,
        [(
            "RepeatedResourceWarning",
            "Resource /ConfigMap/shop/a appeared 2 times among application resources.".to_owned()
        )]
    );
}

#[test]
fn what_the_cluster_makes_itself_is_left_out_and_told() {
    let text = "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a}}";
    let targets = targets(&documents(text), &placement(), &scope()).unwrap();
    assert!(targets.objects.is_empty());
    assert_eq!(targets.warnings[0].0, "ExcludedResourceWarning");
}

#[test]
fn a_status_in_git_is_not_applied() {
    let text = "{apiVersion: v1, kind: Service, metadata: {name: a}, status: {loadBalancer: {}}}";
    let targets = targets(&documents(text), &placement(), &scope()).unwrap();
    assert_eq!(targets.objects[0].object.get("status"), None);
}

#[test]
fn every_manifest_that_is_no_object_is_named() {
    for (manifest, problem) in [
        (json!("text"), "manifest 1: it is not a mapping"),
        (
            json!({"kind": "A", "metadata": {"name": "a"}}),
            "manifest 1 (A a): apiVersion is missing",
        ),
        (
            json!({"apiVersion": "v1", "metadata": {"name": "a"}}),
            "manifest 1 ( a): kind is missing",
        ),
        (
            json!({"apiVersion": 1, "kind": "A", "metadata": {"name": "a"}}),
            "manifest 1 (A a): apiVersion must be a non-empty string",
        ),
        (
            json!({"apiVersion": "v1", "kind": "A"}),
            "manifest 1 (A ): metadata is missing",
        ),
        (
            json!({"apiVersion": "v1", "kind": "A", "metadata": {}}),
            "manifest 1 (A ): metadata.name is missing",
        ),
        (
            json!({"apiVersion": "v1", "kind": "A", "metadata": {"generateName": "a-"}}),
            "manifest 1 (A ): metadata.name is missing",
        ),
        (
            json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": 5}}),
            "manifest 1 (A ): metadata.name must be a string",
        ),
        (
            json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "labels": {"x": true}}}),
            "manifest 1 (A a): metadata.labels[\"x\"] must be a string",
        ),
        (
            json!({"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "annotations": []}}),
            "manifest 1 (A a): metadata.annotations must be a mapping",
        ),
    ] {
        let error = targets(&[manifest], &placement(), &scope()).unwrap_err();
        assert_eq!(error.to_string(), problem);
    }
}

#[test]
fn the_digest_is_of_the_rendering_and_not_of_the_place() {
    let text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";
    let here = targets(&documents(text), &placement(), &scope()).unwrap();
    let elsewhere = Placement {
        app: "other".to_owned(),
        namespace: "other".to_owned(),
    };
    let there = targets(&documents(text), &elsewhere, &scope()).unwrap();
    assert_eq!(here.digest, there.digest);
}

#[test]
fn without_a_namespace_anywhere_none_is_made_up() {
    let nowhere = Placement {
        app: "web".to_owned(),
        namespace: String::new(),
    };
    let text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: ''}}";
    let targets = targets(&documents(text), &nowhere, &scope()).unwrap();
    assert_eq!(targets.objects[0].object["metadata"].get("namespace"), None);
}
