//! Applications from the first look at Git to the end.

use crate::support::{Cluster, yaml};
use serde_json::{Value, json};
use sluice_crds::application::operation::{Operation, SyncOperation};
use sluice_crds::names;
use sluice_gitops::application::EffectFailure;
use sluice_gitops::compare::PredictionError;
use sluice_gitops::key::Key;

const AUTOMATED: &str = "{automated: {prune: true, selfHeal: true}}";
const MAP: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: '1'}}";
const TWO: &str = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '1'}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {x: '1'}\n";

#[test]
fn automated_sync_applies_what_git_says_and_then_rests() {
    let mut cluster = Cluster::new(AUTOMATED, TWO);
    cluster.settle();
    assert_eq!(
        (cluster.sync(), cluster.health(), cluster.phase()),
        ("Synced", "Healthy", "Succeeded")
    );
    assert_eq!(cluster.message(), "successfully synced (all tasks run)");
    assert_eq!(cluster.log, ["apply /ConfigMap/a", "apply /ConfigMap/b"]);
    let map = cluster.live("ConfigMap", "a").unwrap();
    assert_eq!(map["metadata"]["namespace"], "shop");
    assert_eq!(
        map["metadata"]["annotations"][names::TRACKING_ID],
        "web:/ConfigMap:shop/a"
    );
    let status = cluster.status();
    let history = status.history.as_ref().unwrap();
    assert_eq!(
        (history.len(), history[0].id, history[0].revision.as_deref()),
        (1, 0, Some("c1"))
    );
    assert!(cluster.app.operation.is_none());
    // Later looks write nothing.
    cluster.pass(3600);
    assert!(!cluster.turn());
}

#[test]
fn without_automation_the_difference_is_only_told() {
    let mut cluster = Cluster::new("{}", MAP);
    cluster.settle();
    assert_eq!((cluster.sync(), cluster.health()), ("OutOfSync", "Missing"));
    assert!(cluster.log.is_empty());
}

#[test]
fn a_person_syncs_by_setting_the_operation() {
    let mut cluster = Cluster::new("{}", MAP);
    cluster.app.operation = Some(Operation {
        sync: Some(SyncOperation::default()),
        ..Operation::default()
    });
    cluster.settle();
    assert_eq!((cluster.sync(), cluster.phase()), ("Synced", "Succeeded"));
    let result = cluster
        .status()
        .operation_state
        .as_ref()
        .unwrap()
        .sync_result
        .as_ref()
        .unwrap();
    assert_eq!(result.revision, "c1");
    let resources = result.resources.as_ref().unwrap();
    assert_eq!(
        resources[0].message.as_deref(),
        Some("configmap/a serverside-applied")
    );
    assert_eq!(resources[0].status.as_deref(), Some("Synced"));
}

#[test]
fn a_person_can_sync_to_an_older_revision() {
    let mut cluster = Cluster::new("{}", MAP);
    cluster.push(
        "c2",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: '2'}}",
    );
    cluster.app.operation = Some(Operation {
        sync: Some(SyncOperation {
            revision: Some("c1".to_owned()),
            ..SyncOperation::default()
        }),
        ..Operation::default()
    });
    cluster.settle();
    assert_eq!(cluster.live("ConfigMap", "a").unwrap()["data"]["x"], "1");
    assert_eq!(
        (cluster.sync(), cluster.phase()),
        ("OutOfSync", "Succeeded")
    );
    assert_eq!(
        cluster.status().history.as_ref().unwrap()[0]
            .revision
            .as_deref(),
        Some("c1")
    );
}

#[test]
fn a_dry_run_changes_nothing() {
    let mut cluster = Cluster::new("{}", MAP);
    cluster.app.operation = Some(Operation {
        sync: Some(SyncOperation {
            dry_run: Some(true),
            ..SyncOperation::default()
        }),
        ..Operation::default()
    });
    cluster.settle();
    assert_eq!(
        (cluster.sync(), cluster.phase()),
        ("OutOfSync", "Succeeded")
    );
    assert!(cluster.live("ConfigMap", "a").is_none());
    assert!(cluster.status().history.is_none());
}

#[test]
fn what_git_no_longer_has_is_pruned_when_that_is_automated() {
    for (policy, pruned) in [(AUTOMATED, true), ("{automated: {}}", false)] {
        let mut cluster = Cluster::new(policy, TWO);
        cluster.settle();
        cluster.push("c2", MAP);
        cluster.settle();
        assert_eq!(cluster.live("ConfigMap", "b").is_none(), pruned, "{policy}");
        assert_eq!(cluster.sync(), if pruned { "Synced" } else { "OutOfSync" });
    }
}

#[test]
fn objects_that_belong_to_nobody_or_to_others_are_not_pruned() {
    let mut cluster = Cluster::new(AUTOMATED, MAP);
    for (name, tracking) in [
        ("untracked", None),
        ("other", Some("api:/ConfigMap:shop/other")),
        ("copied", Some("web:/ConfigMap:shop/a")),
    ] {
        let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}});
        if let Some(tracking) = tracking {
            object["metadata"]["annotations"] = json!({names::TRACKING_ID: tracking});
        }
        cluster.put(object);
    }
    cluster.settle();
    assert_eq!(cluster.sync(), "Synced");
    for name in ["untracked", "other", "copied"] {
        assert!(cluster.live("ConfigMap", name).is_some(), "{name}");
    }
}

#[test]
fn a_rendering_without_objects_does_not_wipe_everything_out() {
    let mut cluster = Cluster::new(AUTOMATED, TWO);
    cluster.settle();
    cluster.commits.insert("c2".to_owned(), Vec::new());
    cluster.head = "c2".to_owned();
    cluster.settle();
    assert!(cluster.live("ConfigMap", "a").is_some());
    assert!(
        cluster
            .condition("SyncError")
            .unwrap()
            .contains("auto-sync will wipe out all resources")
    );

    let mut cluster = Cluster::new("{automated: {prune: true, allowEmpty: true}}", TWO);
    cluster.settle();
    cluster.commits.insert("c2".to_owned(), Vec::new());
    cluster.head = "c2".to_owned();
    cluster.settle();
    assert!(cluster.live("ConfigMap", "a").is_none());
}

#[test]
fn drift_is_healed_at_once_and_then_with_growing_patience() {
    let mut cluster = Cluster::new(AUTOMATED, TWO);
    cluster.settle();
    let drift = |cluster: &mut Cluster| {
        cluster.edit("ConfigMap", "a", |map| map["data"]["x"] = json!("drift"));
        cluster.log.clear();
    };
    drift(&mut cluster);
    cluster.settle();
    // A partial sync: only what differs, no history entry.
    assert_eq!(cluster.log, ["apply /ConfigMap/a"]);
    assert_eq!(cluster.status().history.as_ref().unwrap().len(), 1);
    drift(&mut cluster);
    cluster.settle();
    assert!(
        cluster.log.is_empty(),
        "the second attempt waits two seconds"
    );
    cluster.pass(2);
    cluster.settle();
    assert_eq!(cluster.log, ["apply /ConfigMap/a"]);
    drift(&mut cluster);
    cluster.pass(5);
    cluster.settle();
    assert!(
        cluster.log.is_empty(),
        "the third attempt waits six seconds"
    );
    cluster.pass(1);
    cluster.settle();
    assert_eq!(cluster.log, ["apply /ConfigMap/a"]);
}

#[test]
fn drift_is_only_told_without_self_heal() {
    let mut cluster = Cluster::new("{automated: {}}", MAP);
    cluster.settle();
    cluster.edit("ConfigMap", "a", |map| map["data"]["x"] = json!("drift"));
    cluster.settle();
    assert_eq!(cluster.sync(), "OutOfSync");
    assert_eq!(
        cluster.live("ConfigMap", "a").unwrap()["data"]["x"],
        "drift"
    );
}

/// argo-cd#22151: self-heal took away what a controller had added, which added it again.
#[test]
fn r27_what_others_add_is_no_drift() {
    let mut cluster = Cluster::new(AUTOMATED, MAP);
    cluster.settle();
    cluster.edit("ConfigMap", "a", |map| {
        map["metadata"]["labels"] = json!({"added": "by-other"})
    });
    assert!(!cluster.turn());
    assert_eq!(cluster.sync(), "Synced");
}

#[test]
fn ignored_differences_do_not_count() {
    let mut cluster = Cluster::new(AUTOMATED, MAP);
    cluster.app.spec.ignore_differences =
        serde_json::from_value(yaml("[{kind: ConfigMap, jsonPointers: [/data/x]}]")).unwrap();
    cluster.settle();
    cluster.edit("ConfigMap", "a", |map| map["data"]["x"] = json!("drift"));
    cluster.log.clear();
    cluster.settle();
    assert_eq!(cluster.sync(), "Synced");
    assert!(cluster.log.is_empty());
}

#[test]
fn a_sync_that_fails_is_retried_five_times_and_then_waits_for_another_commit() {
    let mut cluster = Cluster::new("{automated: {selfHeal: true}}", MAP);
    let key = Key::new("", "ConfigMap", "shop", "a");
    let failure = EffectFailure {
        message: "admission webhook said no".to_owned(),
        transient: false,
    };
    cluster.refused.insert(key.clone(), failure);
    for attempt in 1..=5 {
        cluster.settle();
        assert_eq!(cluster.phase(), "Running", "attempt {attempt}");
        assert!(
            cluster.message().contains(&format!(
                "admission webhook said no. Retrying attempt #{attempt} at"
            )),
            "{}",
            cluster.message()
        );
        cluster.pass(180);
    }
    cluster.settle();
    assert_eq!(cluster.phase(), "Failed");
    assert_eq!(
        cluster.message(),
        "one or more objects failed to apply, reason: admission webhook said no"
    );
    assert_eq!(
        cluster.condition("SyncError"),
        Some(
            "Failed last sync attempt to [c1]: one or more objects failed to apply, reason: admission webhook said no"
        )
    );
    cluster.refused.clear();
    cluster.pass(3600);
    cluster.settle();
    assert_eq!(cluster.sync(), "OutOfSync");
    cluster.push("c2", MAP);
    cluster.settle();
    assert_eq!(cluster.sync(), "Synced");
    assert_eq!(cluster.condition("SyncError"), None);
}

/// argo-cd#11494: the retries of a commit that cannot be applied kept the one from being applied that mends it.
#[test]
fn r26_a_newer_commit_does_not_wait_for_the_retries_of_an_older_one() {
    let mut cluster = Cluster::new(AUTOMATED, MAP);
    let key = Key::new("", "ConfigMap", "shop", "a");
    cluster.refused.insert(
        key,
        EffectFailure {
            message: "no".to_owned(),
            transient: false,
        },
    );
    cluster.settle();
    assert_eq!(cluster.phase(), "Running");
    cluster.refused.clear();
    cluster.push(
        "c2",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: '2'}}",
    );
    cluster.settle();
    assert_eq!((cluster.sync(), cluster.phase()), ("Synced", "Succeeded"));
    assert_eq!(cluster.live("ConfigMap", "a").unwrap()["data"]["x"], "2");
}

#[test]
fn an_answer_that_does_not_come_is_waited_for() {
    let mut cluster = Cluster::new(AUTOMATED, TWO);
    let key = Key::new("", "ConfigMap", "shop", "b");
    cluster.refused.insert(
        key,
        EffectFailure {
            message: "timeout".to_owned(),
            transient: true,
        },
    );
    for _ in 0..5 {
        cluster.turn();
    }
    assert_eq!(cluster.phase(), "Running");
    cluster.refused.clear();
    cluster.settle();
    assert_eq!((cluster.sync(), cluster.phase()), ("Synced", "Succeeded"));
}

#[test]
fn one_object_that_the_server_refuses_keeps_the_others_from_being_applied() {
    let mut cluster = Cluster::new("{automated: {}, retry: {limit: 0}}", TWO);
    cluster.rejected.insert(
        Key::new("", "ConfigMap", "shop", "b"),
        PredictionError::Rejected(".data.x: expected string, got 1".to_owned()),
    );
    cluster.settle();
    assert_eq!(cluster.phase(), "Failed");
    assert!(
        cluster
            .message()
            .starts_with("one or more objects failed to apply (dry run)")
    );
    assert!(
        cluster
            .message()
            .contains("/ConfigMap/b: .data.x: expected string")
    );
    assert!(cluster.live("ConfigMap", "a").is_none());
}

#[test]
fn a_manifest_that_is_no_object_is_named_and_nothing_is_deleted() {
    let mut cluster = Cluster::new(AUTOMATED, TWO);
    cluster.settle();
    cluster.push("c2", "{apiVersion: v1, kind: ConfigMap, data: {x: '1'}}");
    cluster.settle();
    assert_eq!(cluster.sync(), "Unknown");
    assert_eq!(
        cluster.condition("ComparisonError"),
        Some("manifest 1 (ConfigMap ): metadata is missing")
    );
    assert!(cluster.live("ConfigMap", "a").is_some() && cluster.live("ConfigMap", "b").is_some());
    cluster.push("c3", TWO);
    cluster.settle();
    assert_eq!((cluster.sync(), cluster.conditions().len()), ("Synced", 0));
}

#[test]
fn while_git_is_away_the_last_state_is_kept_and_healed() {
    let mut cluster = Cluster::new(AUTOMATED, MAP);
    cluster.settle();
    cluster.git_down = true;
    cluster.settle();
    assert_eq!(cluster.sync(), "Synced");
    assert_eq!(
        cluster.condition("ComparisonError"),
        Some("repository cannot be reached")
    );
    cluster.edit("ConfigMap", "a", |map| map["data"]["x"] = json!("drift"));
    cluster.settle();
    assert_eq!(cluster.live("ConfigMap", "a").unwrap()["data"]["x"], "1");
    cluster.git_down = false;
    cluster.settle();
    assert_eq!((cluster.sync(), cluster.conditions().len()), ("Synced", 0));
}

#[test]
fn an_order_for_the_newest_revision_waits_until_git_is_back() {
    let mut cluster = Cluster::new("{}", MAP);
    cluster.settle();
    cluster.git_down = true;
    cluster.app.operation = Some(Operation {
        sync: Some(SyncOperation::default()),
        ..Operation::default()
    });
    for _ in 0..5 {
        cluster.turn();
        cluster.pass(5);
    }
    assert_eq!(cluster.phase(), "Running");
    assert!(
        cluster.message().contains("waiting for Git"),
        "{}",
        cluster.message()
    );
    cluster.git_down = false;
    cluster.settle();
    assert_eq!((cluster.sync(), cluster.phase()), ("Synced", "Succeeded"));
}

#[test]
fn a_spec_that_cannot_be_carried_out_is_refused_by_field() {
    for (change, text) in [
        (
            "{source: {plugin: {name: x}}}",
            "spec.source.plugin is not supported",
        ),
        (
            "{source: {helm: {}, kustomize: {}}}",
            "multiple application sources defined: helm,kustomize",
        ),
        (
            "{source: {path: ''}}",
            "spec.source.path or spec.source.chart are required",
        ),
        (
            "{sourceHydrator: {}}",
            "spec.sourceHydrator is not supported",
        ),
        (
            "{destination: {server: 'https://elsewhere'}}",
            "cluster https://elsewhere is not configured",
        ),
        (
            "{destination: {name: in-cluster}}",
            "can't have both name and server",
        ),
        (
            "{project: team}",
            "Application referencing project team which does not exist",
        ),
        (
            "{syncPolicy: {syncOptions: [Magic=true]}}",
            "spec.syncPolicy.syncOptions: sync option \"Magic=true\" is not known",
        ),
        (
            "{syncPolicy: {retry: {backoff: {duration: soon}}}}",
            "spec.syncPolicy.retry.backoff.duration",
        ),
        (
            "{ignoreDifferences: [{kind: Secret, jqPathExpressions: ['.data | keys']}]}",
            "spec.ignoreDifferences[0].jqPathExpressions[0]: \".data | keys\"",
        ),
    ] {
        let mut cluster = Cluster::new(AUTOMATED, MAP);
        let mut value = serde_json::to_value(&cluster.app).unwrap();
        json_merge(&mut value["spec"], &yaml(change));
        cluster.app = serde_json::from_value(value).unwrap();
        cluster.settle();
        let message = cluster.condition("InvalidSpecError").unwrap_or_default();
        assert!(message.contains(text), "{change}: {message}");
        assert_eq!(
            (cluster.sync(), cluster.health()),
            ("Unknown", "Unknown"),
            "{change}"
        );
        assert!(cluster.log.is_empty(), "{change}");
        // An order ends with the reason.
        cluster.app.operation = Some(Operation {
            sync: Some(SyncOperation::default()),
            ..Operation::default()
        });
        cluster.settle();
        assert_eq!(cluster.phase(), "Error", "{change}");
        assert!(cluster.app.operation.is_none());
    }
}

fn json_merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                json_merge(into.entry(key.clone()).or_insert(json!({})), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

#[test]
fn what_the_project_forbids_is_not_applied() {
    let mut cluster = Cluster::new("{automated: {}, retry: {limit: 0}}", TWO);
    cluster.project = serde_json::from_value(yaml(
        "{metadata: {name: default}, spec: {sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}], \
         namespaceResourceBlacklist: [{group: '', kind: ConfigMap}]}}",
    ))
    .unwrap();
    cluster.app.operation = Some(Operation {
        sync: Some(SyncOperation::default()),
        ..Operation::default()
    });
    cluster.settle();
    assert_eq!((cluster.sync(), cluster.phase()), ("Unknown", "Failed"));
    assert!(
        cluster
            .message()
            .contains("resource :ConfigMap is not permitted in project default")
    );
    assert!(cluster.log.is_empty());
}

#[test]
fn the_namespace_is_made_when_that_is_wanted() {
    let mut cluster = Cluster::new(
        "{automated: {}, syncOptions: [CreateNamespace=true], managedNamespaceMetadata: {labels: {team: web}}}",
        MAP,
    );
    cluster.remove("Namespace", "shop");
    cluster.settle();
    assert_eq!((cluster.sync(), cluster.phase()), ("Synced", "Succeeded"));
    assert_eq!(cluster.log, ["apply /Namespace/shop", "apply /ConfigMap/a"]);
    assert_eq!(
        cluster.live("Namespace", "shop").unwrap()["metadata"]["labels"]["team"],
        "web"
    );

    // Other labels are a difference, and the namespace is not deleted when the labels go.
    let labels = |text: &str| serde_json::from_value(yaml(text)).unwrap();
    let policy = cluster.app.spec.sync_policy.as_mut().unwrap();
    policy.managed_namespace_metadata = labels("{labels: {team: api}}");
    cluster.push("c2", MAP);
    cluster.settle();
    assert_eq!(
        cluster.live("Namespace", "shop").unwrap()["metadata"]["labels"]["team"],
        "api"
    );
    let policy = cluster.app.spec.sync_policy.as_mut().unwrap();
    policy.managed_namespace_metadata = None;
    cluster.push("c3", MAP);
    cluster.settle();
    assert!(cluster.live("Namespace", "shop").is_some());
    assert_eq!(cluster.sync(), "Synced");

    let mut cluster = Cluster::new("{automated: {}, retry: {limit: 0}}", MAP);
    cluster.remove("Namespace", "shop");
    cluster.settle();
    assert_eq!(cluster.phase(), "Failed");
    assert!(
        cluster.message().contains("namespaces \"shop\" not found"),
        "{}",
        cluster.message()
    );
}

#[test]
fn a_refresh_is_acknowledged_by_removing_the_annotation() {
    let mut cluster = Cluster::new(AUTOMATED, MAP);
    cluster.settle();
    let before = cluster.status().reconciled_at.clone();
    cluster.pass(60);
    cluster.annotate(names::REFRESH, "normal");
    cluster.settle();
    assert_eq!(cluster.annotation(names::REFRESH), None);
    assert_ne!(cluster.status().reconciled_at, before);
}

#[test]
fn an_application_can_be_left_alone() {
    let mut cluster = Cluster::new(AUTOMATED, MAP);
    cluster.annotate(names::SKIP_RECONCILE, "true");
    assert!(!cluster.turn());
}

#[test]
fn conditions_of_others_stay() {
    let mut cluster = Cluster::new(AUTOMATED, MAP);
    cluster.app.status =
        serde_json::from_value(yaml("{conditions: [{type: TheirWarning, message: hello}]}"))
            .unwrap();
    cluster.settle();
    assert_eq!(cluster.conditions(), ["TheirWarning"]);
}

#[test]
fn the_history_is_bounded() {
    let mut cluster = Cluster::new(AUTOMATED, MAP);
    cluster.app.spec.revision_history_limit = Some(2);
    cluster.settle();
    for n in 2..=4 {
        cluster.push(
            &format!("c{n}"),
            &format!(
                "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {{x: '{n}'}}}}"
            ),
        );
        cluster.settle();
    }
    let history = cluster.status().history.as_ref().unwrap();
    let entries: Vec<_> = history
        .iter()
        .map(|entry| (entry.id, entry.revision.as_deref().unwrap()))
        .collect();
    assert_eq!(entries, [(2, "c3"), (3, "c4")]);
}

#[test]
fn a_running_sync_can_be_terminated() {
    let job = "---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, annotations: {argocd.argoproj.io/hook: PreSync}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let mut cluster = Cluster::new(AUTOMATED, job);
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "waiting for completion of hook batch/Job/migrate"
    );
    cluster
        .app
        .status
        .as_mut()
        .unwrap()
        .operation_state
        .as_mut()
        .unwrap()
        .phase = "Terminating".to_owned();
    cluster.app.spec.sync_policy = None;
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Failed", "Operation terminated")
    );
    assert!(cluster.live("Job", "migrate").is_none());
    assert!(cluster.live("ConfigMap", "a").is_none());
}

/// flagger#1552, #1939: the finalizer was gone before what it stands for was done.
#[test]
fn r23_the_finalizer_goes_after_the_objects_wave_by_wave_from_the_highest() {
    let manifests = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {argocd.argoproj.io/sync-wave: '1'}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, annotations: {argocd.argoproj.io/sync-options: Delete=false}}\n";
    let mut cluster = Cluster::new(AUTOMATED, manifests);
    cluster.settle();
    cluster.log.clear();
    cluster.app.metadata.deletion_timestamp = Some(sluice_crds::Time(cluster.now));
    cluster.app.metadata.finalizers = Some(vec![
        names::RESOURCES_FINALIZER.to_owned(),
        "other/finalizer".to_owned(),
    ]);
    for _ in 0..5 {
        cluster.turn();
    }
    assert_eq!(cluster.log, ["delete /ConfigMap/a", "delete /ConfigMap/b"]);
    assert_eq!(
        cluster.app.metadata.finalizers.as_deref(),
        Some(&["other/finalizer".to_owned()][..])
    );
    assert!(cluster.live("ConfigMap", "kept").is_some());
}

#[test]
fn without_a_finalizer_the_objects_stay() {
    let mut cluster = Cluster::new(AUTOMATED, MAP);
    cluster.settle();
    cluster.app.metadata.deletion_timestamp = Some(sluice_crds::Time(cluster.now));
    assert!(!cluster.turn());
    assert!(cluster.live("ConfigMap", "a").is_some());
}

#[test]
fn a_crash_between_any_two_writes_ends_the_same() {
    let manifests = "---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, annotations: {argocd.argoproj.io/hook: PreSync, argocd.argoproj.io/hook-delete-policy: 'BeforeHookCreation,HookSucceeded'}}\nspec: {}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n";
    for crash in 0..6 {
        let mut cluster = Cluster::new(AUTOMATED, manifests);
        cluster.crash_after = Some(crash);
        let mut created = 0;
        for _ in 0..40 {
            cluster.turn();
            cluster.pass(1);
            if cluster
                .live("Job", "migrate")
                .is_some_and(|job| job["status"].is_null())
            {
                cluster.edit("Job", "migrate", |job| {
                    job["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]});
                });
                created += 1;
            }
        }
        assert_eq!(
            (cluster.sync(), cluster.phase()),
            ("Synced", "Succeeded"),
            "crash after {crash}"
        );
        assert_eq!(created, 1, "the hook runs once, crash after {crash}");
        assert!(
            cluster.live("Job", "migrate").is_none(),
            "crash after {crash}"
        );
        assert_eq!(
            cluster.status().history.as_ref().unwrap().len(),
            1,
            "crash after {crash}"
        );
    }
}

#[test]
fn events_tell_what_happened() {
    let mut cluster = Cluster::new(AUTOMATED, MAP);
    cluster.settle();
    for expected in [
        "OperationStarted: Initiated automated sync to 'c1'",
        "OperationCompleted: Sync operation to c1 succeeded",
        "ResourceUpdated: Updated sync status: OutOfSync -> Synced",
        "ResourceUpdated: Updated health status: Missing -> Healthy",
    ] {
        assert!(
            cluster.events.iter().any(|event| event == expected),
            "{expected} in {:#?}",
            cluster.events
        );
    }
}
