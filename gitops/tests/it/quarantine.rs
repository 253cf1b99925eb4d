//! A rendering whose Rollout was aborted is not tried again until Git brings something else.

use crate::support::Cluster;
use proptest::prelude::*;
use serde_json::json;
use sluice_crds::application::operation::{Operation, SyncOperation};
use sluice_crds::names;
use sluice_gitops::quarantine::{self, Record};

const AUTOMATED: &str = "{automated: {prune: true, selfHeal: true}}";

/// A Rollout with an image, and a ConfigMap with a value.
fn manifests(image: &str, value: &str) -> String {
    format!(
        "---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{name: web}}\nspec:\n  replicas: 3\n  \
         template: {{spec: {{containers: [{{name: web, image: '{image}'}}]}}}}\n---\napiVersion: v1\nkind: ConfigMap\n\
         metadata: {{name: settings}}\ndata: {{x: '{value}'}}\n"
    )
}

fn image(cluster: &Cluster) -> &str {
    cluster.live("Rollout", "web").unwrap()["spec"]["template"]["spec"]["containers"][0]["image"]
        .as_str()
        .unwrap()
}

/// What the Rollout's controller says when a revision was promoted.
fn promoted(cluster: &mut Cluster, hash: &str) {
    cluster.edit("Rollout", "web", |rollout| {
        rollout["status"] = json!({
            "observedGeneration": rollout["metadata"]["generation"].to_string(),
            "phase": "Healthy",
            "currentPodHash": hash,
            "stableRS": hash,
        });
    });
}

/// What it says when one was aborted.
fn aborted(cluster: &mut Cluster, hash: &str, stable: &str, at: &str) {
    cluster.edit("Rollout", "web", |rollout| {
        rollout["status"] = json!({
            "observedGeneration": rollout["metadata"]["generation"].to_string(),
            "phase": "Degraded",
            "message": "RolloutAborted: metric \"success-rate\" assessed Failed due to failed (3) > failureLimit (2)",
            "abort": true,
            "abortedAt": at,
            "currentPodHash": hash,
            "stableRS": stable,
            "conditions": [{"type": "Progressing", "status": "False", "reason": "RolloutAborted", "message": "aborted"}],
        });
    });
}

/// v1 is promoted, v2 is aborted.
fn after_abort() -> Cluster {
    let mut cluster = Cluster::new(AUTOMATED, &manifests("v1", "1"));
    cluster.settle();
    promoted(&mut cluster, "hash1");
    cluster.settle();
    cluster.push("c2", &manifests("v2", "1"));
    cluster.settle();
    assert_eq!(image(&cluster), "v2");
    aborted(&mut cluster, "hash2", "hash1", "2026-01-01T00:01:00Z");
    cluster.settle();
    cluster.log.clear();
    cluster
}

fn records(cluster: &Cluster) -> Vec<Record> {
    quarantine::parse(cluster.annotation(names::QUARANTINE)).unwrap()
}

#[test]
fn an_abort_is_recorded_with_its_evidence() {
    let cluster = after_abort();
    let records = records(&cluster);
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(
        (
            record.revision.as_str(),
            record.rollout.as_str(),
            record.pod_hash.as_str()
        ),
        ("c2", "web", "hash2")
    );
    assert_eq!(record.at.to_string(), "2026-01-01T00:01:00Z");
    let condition = cluster.condition("Quarantined").unwrap();
    for part in [
        "Revision c2 is quarantined",
        "shop/web",
        "failed (3) > failureLimit (2)",
        names::LIFT_QUARANTINE,
    ] {
        assert!(condition.contains(part), "{condition}");
    }
    assert!(
        cluster
            .events
            .iter()
            .any(|event| event.starts_with("Quarantined: Revision c2"))
    );
    assert_eq!((cluster.sync(), cluster.health()), ("Synced", "Degraded"));
    // The live spec of an aborted Rollout is left as it is.
    assert_eq!(image(&cluster), "v2");
}

#[test]
fn the_recorded_revision_is_the_one_that_brought_the_template() {
    let mut cluster = Cluster::new(AUTOMATED, &manifests("v1", "1"));
    cluster.settle();
    promoted(&mut cluster, "hash1");
    cluster.push("c2", &manifests("v2", "1"));
    cluster.settle();
    cluster.push("c3", &manifests("v2", "2"));
    cluster.settle();
    aborted(&mut cluster, "hash2", "hash1", "2026-01-01T00:01:00Z");
    cluster.settle();
    assert_eq!(records(&cluster)[0].revision, "c2");
}

#[test]
fn nothing_is_written_while_the_head_stays_quarantined() {
    let mut cluster = after_abort();
    for _ in 0..3 {
        cluster.pass(180);
        assert!(!cluster.turn());
    }
}

#[test]
fn a_commit_that_changes_nothing_in_the_rendering_does_not_try_again() {
    let mut cluster = after_abort();
    cluster.push("c3", &manifests("v2", "1"));
    // Even if the Rollout drifts, the quarantined template is not applied again.
    cluster.edit("Rollout", "web", |rollout| {
        rollout["spec"]["template"]["spec"]["containers"][0]["image"] = json!("v1");
    });
    cluster.settle();
    assert!(cluster.log.is_empty());
    assert_eq!(image(&cluster), "v1");
    assert_eq!(records(&cluster).len(), 1);
    assert_eq!(
        cluster.status().sync.as_ref().unwrap().revision.as_deref(),
        Some("c3")
    );
}

#[test]
fn other_objects_are_still_synced_while_the_rollout_is_held() {
    let mut cluster = after_abort();
    cluster.push("c3", &manifests("v2", "2"));
    cluster.edit("Rollout", "web", |rollout| {
        rollout["spec"]["replicas"] = json!(7)
    });
    cluster.settle();
    assert_eq!(cluster.log, ["apply /ConfigMap/settings"]);
    assert_eq!(
        cluster.live("ConfigMap", "settings").unwrap()["data"]["x"],
        "2"
    );
    assert_eq!(
        cluster.live("Rollout", "web").unwrap()["spec"]["replicas"],
        7
    );
    assert_eq!(records(&cluster).len(), 1);
}

#[test]
fn drift_of_other_objects_is_healed_during_quarantine() {
    let mut cluster = after_abort();
    cluster.edit("ConfigMap", "settings", |map| {
        map["data"]["x"] = json!("drift")
    });
    cluster.settle();
    assert_eq!(cluster.log, ["apply /ConfigMap/settings"]);
}

#[test]
fn another_template_lifts_the_quarantine_at_once() {
    let mut cluster = after_abort();
    cluster.push("c3", &manifests("v3", "1"));
    cluster.settle();
    assert_eq!(image(&cluster), "v3");
    assert_eq!(cluster.annotation(names::QUARANTINE), None);
    assert_eq!(cluster.condition("Quarantined"), None);
    assert_eq!(cluster.sync(), "Synced");
    assert!(
        cluster
            .events
            .iter()
            .any(|event| event.starts_with("QuarantineLifted"))
    );
}

#[test]
fn a_person_lifts_it_by_annotation_and_the_same_abort_is_not_recorded_again() {
    let mut cluster = after_abort();
    cluster.annotate(names::LIFT_QUARANTINE, "yes");
    cluster.settle();
    assert_eq!(cluster.annotation(names::LIFT_QUARANTINE), None);
    assert_eq!(cluster.condition("Quarantined"), None);
    assert!(records(&cluster).iter().all(|record| !record.holds()));
    // Retried and aborted again: that is another abort.
    cluster.pass(60);
    aborted(&mut cluster, "hash2", "hash1", "2026-01-01T00:09:00Z");
    cluster.settle();
    assert!(cluster.condition("Quarantined").is_some());
    assert!(records(&cluster)[0].holds());
}

#[test]
fn a_retry_that_goes_well_lifts_it() {
    let mut cluster = after_abort();
    promoted(&mut cluster, "hash2");
    cluster.settle();
    assert_eq!(cluster.annotation(names::QUARANTINE), None);
    assert_eq!(
        (
            cluster.sync(),
            cluster.health(),
            cluster.condition("Quarantined")
        ),
        ("Synced", "Healthy", None)
    );
}

#[test]
fn an_abort_of_a_template_that_git_did_not_bring_is_not_recorded() {
    let mut cluster = Cluster::new("{automated: {}}", &manifests("v1", "1"));
    cluster.settle();
    promoted(&mut cluster, "hash1");
    cluster.edit("Rollout", "web", |rollout| {
        rollout["spec"]["template"]["spec"]["containers"][0]["image"] = json!("by-hand");
    });
    aborted(&mut cluster, "hashX", "hash1", "2026-01-01T00:01:00Z");
    cluster.settle();
    assert_eq!(cluster.annotation(names::QUARANTINE), None);
}

#[test]
fn an_abort_that_the_controller_has_not_carried_out_is_not_recorded() {
    let mut cluster = after_abort();
    cluster.push("c3", &manifests("v3", "1"));
    cluster.settle();
    // The status still speaks about the generation before.
    aborted(&mut cluster, "hash3", "hash1", "2026-01-01T00:02:00Z");
    cluster.edit("Rollout", "web", |rollout| {
        rollout["status"]["observedGeneration"] = json!("1")
    });
    cluster.settle();
    assert_eq!(cluster.annotation(names::QUARANTINE), None);
}

/// flagger#1577: after a rebuild the image that had just been given up was deployed everywhere as the first one.
#[test]
fn r25_a_rollout_that_is_gone_comes_back_from_the_last_good_revision() {
    let mut cluster = after_abort();
    cluster.remove("Rollout", "web");
    cluster.settle();
    assert_eq!(image(&cluster), "v1");
    assert_eq!(cluster.phase(), "Succeeded");
    let result = cluster
        .status()
        .operation_state
        .as_ref()
        .unwrap()
        .sync_result
        .as_ref()
        .unwrap();
    assert_eq!(result.revision, "c1");
    assert!(
        cluster.condition("Quarantined").is_some(),
        "the head is still held"
    );
    // It stays so, and a fix goes through.
    cluster.pass(600);
    promoted(&mut cluster, "hash1");
    cluster.settle();
    assert_eq!(image(&cluster), "v1");
    cluster.push("c3", &manifests("v3", "1"));
    cluster.settle();
    assert_eq!((image(&cluster), cluster.sync()), ("v3", "Synced"));
}

#[test]
fn without_a_good_revision_a_gone_rollout_is_told() {
    let mut cluster = Cluster::new(AUTOMATED, &manifests("v1", "1"));
    cluster.settle();
    aborted(&mut cluster, "hash1", "", "2026-01-01T00:01:00Z");
    cluster.settle();
    cluster.remove("Rollout", "web");
    cluster.settle();
    assert!(
        cluster
            .condition("SyncError")
            .unwrap()
            .contains("no earlier revision in the history is good")
    );
    assert!(cluster.live("Rollout", "web").is_none());
}

#[test]
fn a_last_good_revision_that_cannot_be_applied_is_not_tried_forever() {
    let mut cluster = after_abort();
    cluster.remove("Rollout", "web");
    let key = sluice_gitops::key::Key::new("argoproj.io", "Rollout", "shop", "web");
    let failure = sluice_gitops::application::EffectFailure {
        message: "no".to_owned(),
        transient: false,
    };
    cluster.refused.insert(key, failure);
    for _ in 0..8 {
        cluster.settle();
        cluster.pass(200);
    }
    assert_eq!(cluster.phase(), "Failed");
    assert!(
        cluster
            .condition("SyncError")
            .unwrap()
            .contains("the last good revision: ")
    );
    assert!(!cluster.turn());
}

#[test]
fn a_person_may_sync_whatever_is_quarantined() {
    let mut cluster = after_abort();
    cluster.edit("Rollout", "web", |rollout| {
        rollout["spec"]["replicas"] = json!(7)
    });
    cluster.app.operation = Some(Operation {
        sync: Some(SyncOperation::default()),
        ..Operation::default()
    });
    cluster.settle();
    assert_eq!(
        cluster.live("Rollout", "web").unwrap()["spec"]["replicas"],
        3
    );
    assert_eq!(cluster.phase(), "Succeeded");
}

#[test]
fn removing_the_rollout_from_git_lifts_it() {
    let mut cluster = after_abort();
    cluster.push(
        "c3",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {x: '1'}}",
    );
    cluster.settle();
    assert_eq!(cluster.annotation(names::QUARANTINE), None);
    assert!(cluster.live("Rollout", "web").is_none());
}

#[test]
fn an_unreadable_annotation_is_dropped_and_told() {
    let mut cluster = Cluster::new(AUTOMATED, &manifests("v1", "1"));
    cluster.annotate(names::QUARANTINE, "{nonsense");
    cluster.turn();
    assert_eq!(cluster.annotation(names::QUARANTINE), None);
    assert!(
        cluster
            .condition("UnknownError")
            .unwrap()
            .contains("not readable")
    );
    cluster.settle();
    assert_eq!(
        (cluster.sync(), cluster.condition("UnknownError")),
        ("Synced", None)
    );
}

#[test]
fn the_template_of_a_referenced_workload_is_held_as_well() {
    let both = |image: &str, value: &str| {
        format!(
            "---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{name: web}}\nspec: {{workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}}}\n\
             ---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {{replicas: 0, template: {{spec: {{containers: [{{name: web, image: '{image}'}}]}}}}}}\n\
             ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{x: '{value}'}}\n"
        )
    };
    let mut cluster = Cluster::new(AUTOMATED, &both("v1", "1"));
    cluster.settle();
    cluster.push("c2", &both("v2", "1"));
    cluster.settle();
    aborted(&mut cluster, "hash2", "hash1", "2026-01-01T00:01:00Z");
    cluster.settle();
    assert!(
        records(&cluster).is_empty(),
        "the Rollout has not said which workload it speaks about"
    );
    let generation =
        cluster.live("Deployment", "web").unwrap()["metadata"]["generation"].to_string();
    cluster.edit("Rollout", "web", |rollout| {
        rollout["status"]["workloadObservedGeneration"] = json!(generation);
    });
    cluster.settle();
    assert_eq!(records(&cluster).len(), 1);
    cluster.log.clear();
    cluster.edit("Deployment", "web", |object| {
        object["spec"]["replicas"] = json!(2)
    });
    cluster.push("c3", &both("v2", "2"));
    cluster.settle();
    // The Rollout's own object has nothing to hold; the workload that carries the template has.
    assert_eq!(
        cluster.live("Deployment", "web").unwrap()["spec"]["replicas"],
        2
    );
    assert_eq!(
        cluster.live("ConfigMap", "settings").unwrap()["data"]["x"],
        "2"
    );
    cluster.push("c4", &both("v3", "2"));
    cluster.settle();
    assert_eq!(cluster.annotation(names::QUARANTINE), None);
    assert_eq!(
        cluster.live("Deployment", "web").unwrap()["spec"]["replicas"],
        0
    );
}

proptest! {
    /// Whatever happens in whatever order: after an abort the quarantined image is never applied again by itself, and
    /// the loop comes to rest.
    #[test]
    fn a_quarantined_template_is_never_applied_by_automation(steps in proptest::collection::vec(0_u8..6, 1..12)) {
        let mut cluster = after_abort();
        let mut commit = 2;
        let mut value = 1;
        for step in steps {
            match step {
                0 => { commit += 1; cluster.push(&format!("c{commit}"), &manifests("v2", &value.to_string())); }
                1 => { commit += 1; value += 1; cluster.push(&format!("c{commit}"), &manifests("v2", &value.to_string())); }
                2 => cluster.remove("Rollout", "web"),
                3 => cluster.edit("ConfigMap", "settings", |map| map["data"]["x"] = json!("drift")),
                4 => cluster.pass(400),
                _ => if cluster.live("Rollout", "web").is_some() {
                    cluster.edit("Rollout", "web", |rollout| {
                        rollout["spec"]["template"]["spec"]["containers"][0]["image"] = json!("v1");
                    });
                },
            }
            let bad_before = cluster.live("Rollout", "web").is_some_and(|_| image(&cluster) == "v2");
            cluster.settle();
            let bad_after = cluster.live("Rollout", "web").is_some_and(|_| image(&cluster) == "v2");
            prop_assert!(!bad_after || bad_before);
            prop_assert!(records(&cluster)[0].holds());
            prop_assert!(!cluster.turn());
        }
    }
}
