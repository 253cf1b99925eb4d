//! R17: what is not there is named, and never a crash.

use serde_json::json;
use sluice_analysis::template::Templates;

use crate::fixtures::Cluster;
use crate::fixtures::scenes::{measured_beside_the_steps, referring};

/// Takes something away.
type Take = fn(&mut Cluster);

/// argo-rollouts#4208: the workload that the template comes from was deleted, and the controller went down with it.
#[test]
fn r17_a_workload_that_is_missing_is_named_and_nothing_moves() {
    let mut cluster = referring("onsuccess");
    cluster.settle();
    cluster.workload = None;
    cluster.log.clear();
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "InvalidSpec: The Rollout \"web\" is invalid: spec.workloadRef.name: Invalid value: \"old\": \
         Deployment \"old\" not found"
    );
    assert!(cluster.log.is_empty(), "{:?}", cluster.log);
    assert_eq!(cluster.pods("web:1"), 4);
}

/// The rest of that kind: one thing after the other is taken away in the middle of an update.
#[test]
fn r17_whatever_is_taken_away_the_pods_that_serve_stay() {
    let absent: [(&str, Take); 9] = [
        ("services", |cluster| cluster.services.clear()),
        ("routers", |cluster| cluster.routes.clear()),
        ("templates", |cluster| cluster.templates = Templates::new()),
        ("runs", |cluster| cluster.runs.clear()),
        ("results", |cluster| {
            cluster.runs.iter_mut().for_each(|run| run.status = None);
        }),
        ("the strategy", |cluster| {
            cluster.edit(|rollout| rollout.spec.strategy = None);
        }),
        ("the canary's fields", |cluster| {
            cluster.set_strategy(json!({ "canary": {} }));
        }),
        ("the template", |cluster| {
            cluster.edit(|rollout| rollout.spec.template = None);
        }),
        ("the selector", |cluster| {
            cluster.edit(|rollout| rollout.spec.selector = None);
        }),
    ];
    for (what, take) in absent {
        let mut cluster = measured_beside_the_steps();
        cluster.settle();
        assert_eq!((cluster.weight(), cluster.runs.len()), (10, 1));
        take(&mut cluster);
        cluster.settle();
        let serving: i32 = cluster.sets.iter().map(|set| set.available).sum();
        assert!(serving >= 10, "without {what}: {}", cluster.describe());
    }
}
