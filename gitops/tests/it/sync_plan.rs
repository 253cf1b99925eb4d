//! Phases, waves, hooks: what is done in which order, and what is waited for.

use proptest::prelude::*;
use proptest::sample::SizeRange;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::support::{Cluster, documents, placement, scope};
use sluice_crds::application::operation::SyncOperation;
use sluice_gitops::compare::{Comparison, LiveState};
use sluice_gitops::ignore::Rules;
use sluice_gitops::manifest;
use sluice_gitops::options::SyncOptions;
use sluice_gitops::sync_plan::{PlanInput, plan};

const AUTOMATED: &str = "{automated: {prune: true, selfHeal: true}, retry: {limit: 0}}";

/// One line for each object: kind, name, wave, hook, delete policy.
fn manifests(lines: &[(&str, &str, i64, &str, &str)]) -> String {
    let mut text = String::new();
    for (kind, name, wave, hook, policy) in lines {
        let api = match *kind {
            "Job" => "batch/v1",
            "Deployment" => "apps/v1",
            "Rollout" => "argoproj.io/v1alpha1",
            "ClusterRole" => "rbac.authorization.k8s.io/v1",
            _ => "v1",
        };
        let mut annotations = format!("argocd.argoproj.io/sync-wave: '{wave}'");
        if !hook.is_empty() {
            write!(annotations, ", argocd.argoproj.io/hook: '{hook}'").unwrap();
        }
        if !policy.is_empty() {
            write!(
                annotations,
                ", argocd.argoproj.io/hook-delete-policy: '{policy}'"
            )
            .unwrap();
        }
        writeln!(
            text,
            "---\napiVersion: {api}\nkind: {kind}\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\nspec: {{replicas: 1}}"
        )
        .unwrap();
    }
    text
}

fn order_of(text: &[Value]) -> Vec<String> {
    let targets = manifest::targets(text, &placement(), &scope()).expect("manifests are objects");
    let plan = plan(&PlanInput {
        targets: &targets,
        comparison: &Comparison::default(),
        live: &LiveState::default(),
        placement: &placement(),
        options: &SyncOptions::default(),
        operation: &SyncOperation::default(),
        rules: &Rules::default(),
        revision: "abcdef0123",
        started_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        retry: 0,
        held: &BTreeSet::new(),
        results: &[],
    });
    plan.tasks
        .iter()
        .map(|task| {
            format!(
                "{} {} {}/{}",
                task.phase, task.wave, task.key.kind.kind, task.key.name
            )
        })
        .collect()
}

#[test]
fn tasks_are_ordered_by_phase_wave_kind_and_name() {
    let text = manifests(&[
        ("Rollout", "z", 0, "", ""),
        ("Deployment", "b", 0, "", ""),
        ("Deployment", "a", 0, "", ""),
        ("ConfigMap", "m", 0, "", ""),
        ("Service", "s", 0, "", ""),
        ("ClusterRole", "r", 0, "", ""),
        ("ConfigMap", "late", 1, "", ""),
        ("ConfigMap", "early", -1, "", ""),
        ("Job", "after", 0, "PostSync", ""),
        ("Job", "fail", 0, "SyncFail", ""),
        ("Job", "before", 5, "PreSync", ""),
        ("Job", "both", 0, "PreSync,PostSync", ""),
    ]);
    assert_eq!(
        order_of(&documents(&text)),
        [
            "PreSync 0 Job/both",
            "PreSync 5 Job/before",
            "Sync -1 ConfigMap/early",
            "Sync 0 ConfigMap/m",
            "Sync 0 ClusterRole/r",
            "Sync 0 Service/s",
            "Sync 0 Deployment/a",
            "Sync 0 Deployment/b",
            "Sync 0 Rollout/z",
            "Sync 1 ConfigMap/late",
            "PostSync 0 Job/after",
            "PostSync 0 Job/both",
            "SyncFail 0 Job/fail",
        ]
    );
}

#[test]
fn namespaces_and_definitions_come_before_what_needs_them() {
    let text = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: other, annotations: {argocd.argoproj.io/sync-wave: '3'}}\n\
---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: other, annotations: {argocd.argoproj.io/sync-wave: '-2'}}\n\
---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.com}\nspec: {group: example.com, scope: Namespaced, names: {kind: Thing}}\n\
---\napiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t, annotations: {argocd.argoproj.io/sync-wave: '-1'}}\n";
    assert_eq!(
        order_of(&documents(text)),
        [
            "Sync -2 Namespace/other",
            "Sync -2 ConfigMap/a",
            "Sync -1 CustomResourceDefinition/things.example.com",
            "Sync -1 Thing/t",
        ]
    );
}

#[test]
fn a_hook_without_a_name_gets_one_from_the_revision_and_the_start() {
    let text = "{apiVersion: batch/v1, kind: Job, metadata: {generateName: migrate-, annotations: {argocd.argoproj.io/hook: PreSync}}}";
    assert_eq!(
        order_of(&documents(text)),
        ["PreSync 0 Job/migrate-abcdef0-presync-1767225600"]
    );
}

fn healthy(cluster: &mut Cluster, name: &str) {
    cluster.edit("Deployment", name, |object| {
        object["status"] = json!({"observedGeneration": object["metadata"]["generation"], "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1});
    });
}

fn finished(cluster: &mut Cluster, name: &str, kind: &str) {
    cluster.edit(
        "Job",
        name,
        |job| {
            job["status"] =
                json!({"conditions": [{"type": kind, "status": "True", "message": "said the job"}]})
        },
    );
}

#[test]
fn a_wave_waits_for_the_health_of_the_one_before() {
    let mut cluster = Cluster::new(
        AUTOMATED,
        &manifests(&[
            ("Deployment", "db", 0, "", ""),
            ("Deployment", "web", 1, "", ""),
        ]),
    );
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "waiting for healthy state of apps/Deployment/db"
    );
    assert!(cluster.live("Deployment", "web").is_none());
    healthy(&mut cluster, "db");
    cluster.settle();
    // The last wave is not waited for.
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Succeeded", "successfully synced (all tasks run)")
    );
    assert_eq!(cluster.health(), "Progressing");
}

#[test]
fn one_wave_without_hooks_never_waits() {
    let mut cluster = Cluster::new(
        AUTOMATED,
        &manifests(&[("Deployment", "a", 0, "", ""), ("Rollout", "b", 0, "", "")]),
    );
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.sync()), ("Succeeded", "Synced"));
}

#[test]
fn a_wave_that_fails_stops_the_sync() {
    let mut cluster = Cluster::new(
        AUTOMATED,
        &manifests(&[
            ("Deployment", "db", 0, "", ""),
            ("Deployment", "web", 1, "", ""),
        ]),
    );
    cluster.settle();
    cluster.edit("Deployment", "db", |object| {
        object["status"] = json!({"observedGeneration": 9, "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]});
    });
    cluster.settle();
    assert_eq!(cluster.phase(), "Failed");
    assert_eq!(
        cluster.message(),
        "one or more synchronization tasks completed unsuccessfully, reason: Deployment \"db\" exceeded its progress deadline"
    );
    assert!(cluster.live("Deployment", "web").is_none());
}

#[test]
fn hooks_run_before_and_after_and_are_waited_for() {
    let mut cluster = Cluster::new(
        AUTOMATED,
        &manifests(&[
            ("Job", "before", 0, "PreSync", "HookSucceeded"),
            ("Deployment", "web", 0, "", ""),
            ("Job", "after", 0, "PostSync", ""),
        ]),
    );
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "waiting for completion of hook batch/Job/before"
    );
    finished(&mut cluster, "before", "Complete");
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "waiting for healthy state of apps/Deployment/web"
    );
    healthy(&mut cluster, "web");
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "waiting for completion of hook batch/Job/after"
    );
    finished(&mut cluster, "after", "Complete");
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Succeeded", "successfully synced (no more tasks)")
    );
    // HookSucceeded deletes at the end; the default keeps the hook until the next time.
    assert!(cluster.live("Job", "before").is_none());
    assert!(cluster.live("Job", "after").is_some());
    assert_eq!(cluster.sync(), "Synced");
}

#[test]
fn a_hook_of_an_earlier_sync_is_deleted_before_it_runs_again() {
    let text = |x: i64| {
        manifests(&[
            ("Job", "before", 0, "PreSync", ""),
            ("ConfigMap", "a", x, "", ""),
        ])
    };
    let mut cluster = Cluster::new(AUTOMATED, &text(0));
    cluster.settle();
    finished(&mut cluster, "before", "Complete");
    cluster.settle();
    cluster.log.clear();
    cluster.pass(100);
    cluster.push("c2", &text(1));
    cluster.settle();
    assert_eq!(
        cluster.log,
        ["delete batch/Job/before", "apply batch/Job/before"]
    );
    assert_eq!(
        cluster.message(),
        "waiting for completion of hook batch/Job/before"
    );
}

#[test]
fn a_hook_that_fails_runs_sync_fail_hooks_and_ends_the_sync() {
    let mut cluster = Cluster::new(
        AUTOMATED,
        &manifests(&[
            ("Job", "before", 0, "PreSync", "HookFailed"),
            ("ConfigMap", "a", 0, "", ""),
            ("Job", "rescue", 0, "SyncFail", ""),
        ]),
    );
    cluster.settle();
    assert!(cluster.live("Job", "rescue").is_none());
    finished(&mut cluster, "before", "Failed");
    cluster.settle();
    assert!(cluster.live("Job", "rescue").is_some());
    assert_eq!(cluster.phase(), "Running");
    finished(&mut cluster, "rescue", "Complete");
    cluster.settle();
    assert_eq!(cluster.phase(), "Failed");
    assert_eq!(
        cluster.message(),
        "one or more synchronization tasks completed unsuccessfully, reason: said the job"
    );
    assert!(
        cluster.live("Job", "before").is_none(),
        "HookFailed deletes it"
    );
    assert!(cluster.live("ConfigMap", "a").is_none());
}

#[test]
fn a_long_canary_does_not_keep_a_newer_commit_waiting() {
    let text = |image: &str| {
        format!(
            "---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{name: web}}\nspec: {{template: {{spec: {{containers: [{{name: web, image: {image}}}]}}}}}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: late, annotations: {{argocd.argoproj.io/sync-wave: '1'}}}}\n"
        )
    };
    let mut cluster = Cluster::new(AUTOMATED, &text("v1"));
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "waiting for healthy state of argoproj.io/Rollout/web"
    );
    cluster.push("c2", &text("v2"));
    cluster.settle();
    let image = &cluster.live("Rollout", "web").unwrap()["spec"]["template"]["spec"]["containers"]
        [0]["image"];
    assert_eq!(image, "v2");
    assert!(
        cluster
            .events
            .iter()
            .any(|event| event.contains("superseded by revision c2"))
    );
}

#[test]
fn pruning_goes_in_reverse_waves_and_last_when_that_is_wanted() {
    let all = [
        ("ConfigMap", "first", 0, "", ""),
        ("ConfigMap", "second", 1, "", ""),
        ("ConfigMap", "stays", 5, "", ""),
    ];
    for (policy, expected) in [
        (
            "{automated: {prune: true}}",
            [
                "delete /ConfigMap/second",
                "delete /ConfigMap/first",
                "apply /ConfigMap/stays",
            ],
        ),
        (
            "{automated: {prune: true}, syncOptions: [PruneLast=true]}",
            [
                "apply /ConfigMap/stays",
                "delete /ConfigMap/first",
                "delete /ConfigMap/second",
            ],
        ),
    ] {
        let mut cluster = Cluster::new(policy, &manifests(&all));
        cluster.settle();
        cluster.log.clear();
        cluster.push("c2", &manifests(&all[2..]));
        cluster.settle();
        assert_eq!(cluster.log, expected, "{policy}");
    }
}

#[test]
fn objects_can_refuse_to_be_pruned_or_ask_first() {
    let text = |annotation: &str| {
        format!(
            "{}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: b, annotations: {{argocd.argoproj.io/sync-options: {annotation}}}}}\n",
            manifests(&[("ConfigMap", "a", 0, "", "")])
        )
    };
    let mut cluster = Cluster::new("{automated: {prune: true}}", &text("Prune=false"));
    cluster.settle();
    cluster.push("c2", &manifests(&[("ConfigMap", "a", 0, "", "")]));
    cluster.settle();
    assert!(cluster.live("ConfigMap", "b").is_some());
    let result = cluster
        .status()
        .operation_state
        .as_ref()
        .unwrap()
        .sync_result
        .as_ref()
        .unwrap();
    let skipped = result
        .resources
        .as_ref()
        .unwrap()
        .iter()
        .find(|r| r.name == "b")
        .unwrap();
    assert_eq!(
        (skipped.status.as_deref(), skipped.message.as_deref()),
        (Some("PruneSkipped"), Some("ignored (no prune)"))
    );

    let mut cluster = Cluster::new("{automated: {prune: true}}", &text("Prune=confirm"));
    cluster.settle();
    cluster.push("c2", &manifests(&[("ConfigMap", "a", 0, "", "")]));
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "waiting for pruning confirmation of /ConfigMap/b"
    );
    cluster.pass(60);
    cluster.annotate(
        "argocd.argoproj.io/deletion-approved",
        &cluster.now.to_string(),
    );
    cluster.settle();
    assert!(cluster.live("ConfigMap", "b").is_none());
    assert_eq!(cluster.phase(), "Succeeded");
}

#[test]
fn only_what_differs_is_applied_when_that_is_wanted() {
    let mut cluster = Cluster::new(
        "{automated: {}, syncOptions: [ApplyOutOfSyncOnly=true]}",
        &manifests(&[("ConfigMap", "a", 0, "", ""), ("ConfigMap", "b", 0, "", "")]),
    );
    cluster.settle();
    cluster.log.clear();
    cluster.push(
        "c2",
        &manifests(&[("ConfigMap", "a", 0, "", ""), ("ConfigMap", "b", 3, "", "")]),
    );
    cluster.settle();
    assert_eq!(cluster.log, ["apply /ConfigMap/b"]);
}

fn object() -> impl Strategy<Value = (String, String, i64, String)> {
    (
        prop_oneof![
            "ConfigMap",
            "Service",
            "Deployment",
            "Job",
            "Namespace",
            "Rollout",
            "ClusterRole"
        ],
        "[a-c]",
        -2_i64..3,
        prop_oneof!["", "PreSync", "PostSync", "SyncFail", "Sync"],
    )
        .prop_map(|(kind, name, wave, hook)| (kind, name, wave, hook))
}

proptest! {
    #[test]
    fn the_order_does_not_depend_on_the_order_of_the_rendering(
        objects in proptest::collection::vec(object(), SizeRange::from(0..14)),
        seed in any::<u64>(),
    ) {
        // The last of two manifests for one object wins, so each object is there once.
        let unique: BTreeMap<_, _> = objects.into_iter().map(|(kind, name, wave, hook)| ((kind, name, hook), wave)).collect();
        let lines: Vec<_> = unique.iter().map(|((kind, name, hook), wave)| (kind.as_str(), name.as_str(), *wave, hook.as_str(), "")).collect();
        let one = documents(&manifests(&lines));
        let mut other = one.clone();
        let mut state = seed | 1;
        for at in (1..other.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let with = usize::try_from(state >> 33).unwrap() % (at + 1);
            other.swap(at, with);
        }
        // Two hooks of one name differ in their moment only; they are one object, and then the last one wins.
        let names: BTreeSet<_> = unique.keys().map(|(kind, name, hook)| (kind, name, hook.is_empty())).collect();
        prop_assume!(names.len() == unique.len());
        prop_assert_eq!(order_of(&one), order_of(&other));
        let digest = |text: &[Value]| manifest::targets(text, &placement(), &scope()).unwrap().digest;
        prop_assert_eq!(digest(&one), digest(&other));
    }

    /// With objects that become healthy by themselves, every set of waves ends in Synced, and then nothing is written.
    #[test]
    fn every_plan_comes_to_rest(objects in proptest::collection::vec(object(), SizeRange::from(1..8))) {
        let unique: BTreeMap<_, _> = objects.into_iter().map(|(kind, name, wave, hook)| ((kind, name), (wave, hook))).collect();
        let lines: Vec<_> = unique.iter().map(|((kind, name), (wave, hook))| (kind.as_str(), name.as_str(), *wave, hook.as_str(), "")).collect();
        let mut cluster = Cluster::new(AUTOMATED, &manifests(&lines));
        for _ in 0..60 {
            cluster.turn();
            cluster.pass(1);
            let keys: Vec<_> = cluster.objects.keys().cloned().collect();
            for key in keys {
                let object = cluster.objects.get_mut(&key).unwrap();
                match key.kind.kind.as_str() {
                    "Job" => object["status"] = json!({"conditions": [{"type": "Complete", "status": "True"}]}),
                    "Deployment" => object["status"] = json!({"observedGeneration": object["metadata"]["generation"], "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}),
                    "Rollout" => object["status"] = json!({"observedGeneration": object["metadata"]["generation"], "phase": "Healthy"}),
                    _ => {}
                }
            }
        }
        prop_assert!(!cluster.turn(), "{} {}", cluster.phase(), cluster.message());
        prop_assert_eq!(cluster.sync(), "Synced");
        prop_assert_eq!(cluster.health(), "Healthy");
    }
}
