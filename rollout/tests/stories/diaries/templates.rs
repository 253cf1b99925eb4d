//! Diaries of what is put into templates and live pods.

use insta::assert_snapshot;
use serde_json::json;

use crate::fixtures::{Cluster, blue_green, rollout};

#[test]
fn pods_are_marked_by_their_role_and_kept_apart() {
    let mut object = rollout(2, json!([{ "setWeight": 50 }, { "pause": {} }]), true);
    let canary = &mut object["spec"]["strategy"]["canary"];
    canary["canaryMetadata"] =
        json!({ "labels": { "role": "canary" }, "annotations": { "only": "canary" } });
    canary["stableMetadata"] = json!({ "labels": { "role": "stable" } });
    canary["antiAffinity"] =
        json!({ "preferredDuringSchedulingIgnoredDuringExecution": { "weight": 10 } });
    let mut cluster = Cluster::new(object);
    cluster.then("a new Rollout", |_| ());
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.then("a person promotes", Cluster::promote);
    cluster.later(30);
    assert_snapshot!(cluster.told());
}

#[test]
fn preview_and_active_pods_are_marked() {
    let mut cluster = Cluster::deployed(blue_green(
        2,
        json!({
            "autoPromotionEnabled": false,
            "previewMetadata": { "labels": { "role": "preview" } },
            "activeMetadata": { "labels": { "role": "active" } },
            "antiAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {} }
        }),
    ));
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.then("a person promotes", Cluster::promote);
    cluster.later(30);
    assert_snapshot!(cluster.told());
}
