//! Events in the order that other tools know.

use serde_json::json;

use crate::fixtures::{Cluster, rollout};

#[test]
fn update_abort_retry_and_promotion_tell_the_known_sequence() {
    let steps = json!([{ "setWeight": 50 }, { "pause": { "duration": "3s" } }]);
    let mut cluster = Cluster::new(rollout(1, steps, false));
    cluster.settle();
    cluster.set_image("web:2");
    cluster.settle();
    cluster.abort();
    cluster.settle();
    cluster.retry();
    cluster.settle();
    cluster.wait(3);
    cluster.settle();
    assert_eq!(cluster.phase(), "Healthy");
    assert_eq!(
        cluster.event_reasons(),
        [
            "RolloutAddedToInformer",
            "RolloutUpdated",
            "NewReplicaSetCreated",
            "RolloutNotCompleted",
            "ScalingReplicaSet",
            "RolloutCompleted",
            "RolloutUpdated",
            "NewReplicaSetCreated",
            "RolloutNotCompleted",
            "ScalingReplicaSet",
            "RolloutStepCompleted",
            "RolloutPaused",
            "ScalingReplicaSet",
            "RolloutAborted",
            "ScalingReplicaSet",
            "RolloutStepCompleted",
            "RolloutPaused",
            "RolloutStepCompleted",
            "RolloutResumed",
            "ScalingReplicaSet",
            "RolloutCompleted",
        ]
    );
}

#[test]
fn messages_name_revisions_sizes_and_causes() {
    let mut cluster = Cluster::deployed(rollout(
        1,
        json!([{ "setWeight": 50 }, { "pause": { "duration": "3s" } }]),
        true,
    ));
    cluster.set_image("web:2");
    cluster.settle();
    cluster.wait(3);
    cluster.settle();
    let hash = |image: &str| cluster.set(image).hash().unwrap().to_owned();
    let (one, two) = (hash("web:1"), hash("web:2"));
    let messages: Vec<&str> = cluster
        .events
        .iter()
        .map(|event| event.message.as_str())
        .collect();
    assert_eq!(
        messages,
        [
            "Rollout updated to revision 2".to_owned(),
            format!("Created ReplicaSet web-{two} (revision 2)"),
            format!("Rollout not completed, started update to revision 2 ({two})"),
            format!("Scaled up ReplicaSet web-{two} (revision 2) from 0 to 1"),
            format!("Switched selector for service 'web-canary' from '{one}' to '{two}'"),
            "Traffic weight updated from 0 to 50".to_owned(),
            "Rollout step 1/2 completed (setWeight: 50)".to_owned(),
            "Rollout is paused (CanaryPauseStep)".to_owned(),
            "Rollout step 2/2 completed (pause: 3s)".to_owned(),
            "Rollout is resumed".to_owned(),
            "Traffic weight updated from 50 to 100".to_owned(),
            format!("Rollout completed update to revision 2 ({two}): Completed all 2 canary steps"),
            format!("Switched selector for service 'web-stable' from '{one}' to '{two}'"),
            "Traffic weight updated from 100 to 0".to_owned(),
        ]
    );
}
