//! Diaries of blue-green updates.

use insta::assert_snapshot;
use serde_json::json;

use crate::fixtures::{Cluster, analysis, blue_green};

#[test]
fn the_first_deployment_and_an_update_that_promotes_itself() {
    let mut cluster = Cluster::new(blue_green(2, json!({ "scaleDownDelaySeconds": 30 })));
    cluster.then("a new Rollout", |_| ());
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.later(30);
    cluster.then("the image is set again", |it| it.set_image("web:3"));
    cluster.then("and at once back", |it| it.set_image("web:2"));
    cluster.later(30);
    assert_snapshot!(cluster.told());
}

#[test]
fn a_person_promotes_the_preview() {
    let mut cluster = Cluster::deployed(blue_green(
        4,
        json!({ "autoPromotionEnabled": false, "previewReplicaCount": 1, "scaleDownDelayRevisionLimit": 1 }),
    ));
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.then("it is scaled to 6", |it| it.scale(6));
    cluster.then("a person promotes", Cluster::promote);
    cluster.then("the next image is set", |it| it.set_image("web:3"));
    cluster.then("a person promotes fully", Cluster::promote_fully);
    cluster.later(30);
    assert_snapshot!(cluster.told());
}

#[test]
fn the_preview_is_promoted_after_a_while() {
    let mut cluster = Cluster::deployed(blue_green(2, json!({ "autoPromotionSeconds": 45 })));
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.later(44);
    cluster.later(1);
    assert_snapshot!(cluster.told());
}

#[test]
fn measurements_before_and_after_the_promotion() {
    let mut cluster = Cluster::deployed(blue_green(
        2,
        json!({
            "prePromotionAnalysis": analysis("errors"), "postPromotionAnalysis": analysis("latency"),
            "abortScaleDownDelaySeconds": 10
        }),
    ));
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.then("there are few errors", |it| {
        it.verdicts.insert("errors".to_owned(), ("Successful", ""));
    });
    cluster.then("it is slow", |it| {
        it.verdicts.insert(
            "latency".to_owned(),
            ("Failed", "Metric \"latency\" assessed Failed"),
        );
    });
    cluster.later(10);
    cluster.then("a person retries, and it is fast", |it| {
        it.verdicts.insert("latency".to_owned(), ("Successful", ""));
        it.retry();
    });
    cluster.later(30);
    assert_snapshot!(cluster.told());
}

#[test]
fn an_abort_before_the_promotion_and_one_after_it() {
    let mut cluster = Cluster::deployed(blue_green(
        2,
        json!({ "autoPromotionEnabled": false, "postPromotionAnalysis": analysis("latency") }),
    ));
    cluster.then("the image is set", |it| it.set_image("web:2"));
    cluster.then("a person aborts", Cluster::abort);
    cluster.later(30);
    cluster.then("a person retries", Cluster::retry);
    cluster.then("a person promotes", Cluster::promote);
    cluster.then("a person aborts", Cluster::abort);
    cluster.later(30);
    assert_snapshot!(cluster.told());
}

#[test]
fn pods_that_never_come_hold_the_promotion() {
    let mut object = blue_green(2, json!({}));
    object["spec"]["progressDeadlineSeconds"] = json!(60);
    let mut cluster = Cluster::deployed(object);
    cluster.broken.push("web:2");
    cluster.then("a broken image is set", |it| it.set_image("web:2"));
    cluster.later(61);
    cluster.then("the image is set back", |it| it.set_image("web:1"));
    cluster.later(30);
    assert_snapshot!(cluster.told());
}
