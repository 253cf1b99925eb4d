//! What is put into templates and live pods beside the template of the Rollout: metadata of roles, anti-affinity.

use serde_json::{Value, json};
use sluice_crds::names;

use crate::fixtures::{Cluster, blue_green, rollout};

fn with_roles(routed: bool) -> Value {
    let mut object = rollout(2, json!([{ "setWeight": 50 }, { "pause": {} }]), routed);
    let canary = &mut object["spec"]["strategy"]["canary"];
    canary["canaryMetadata"] =
        json!({ "labels": { "role": "canary" }, "annotations": { "only": "canary" } });
    canary["stableMetadata"] = json!({ "labels": { "role": "stable" } });
    object
}

/// `role` labels of the live pods of an image and of its set's template, and whether all have the annotation `only`.
fn roles(cluster: &Cluster, image: &str) -> (Vec<String>, Option<String>, bool) {
    let set = cluster.set(image);
    let pods = cluster
        .live
        .iter()
        .filter(|pod| pod.owner.as_ref() == Some(&set.uid));
    let all: Vec<_> = pods.collect();
    (
        all.iter()
            .map(|pod| pod.labels.get("role").cloned().unwrap_or_default())
            .collect(),
        set.template.labels().get("role").cloned(),
        !all.is_empty() && all.iter().all(|pod| pod.annotations.contains_key("only")),
    )
}

#[test]
fn pods_have_the_metadata_of_their_role_and_change_it_with_the_role() {
    let mut cluster = Cluster::deployed(with_roles(true));
    let stable = (
        vec!["stable".to_owned(); 2],
        Some("stable".to_owned()),
        false,
    );
    assert_eq!(roles(&cluster, "web:1"), stable);
    let born: Vec<String> = cluster.live.iter().map(|pod| pod.uid.clone()).collect();
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(
        roles(&cluster, "web:2"),
        (vec!["canary".to_owned()], Some("canary".to_owned()), true)
    );
    assert_eq!(roles(&cluster, "web:1"), stable);
    cluster.promote();
    cluster.settle();
    assert_eq!(cluster.stable(), "web:2");
    assert_eq!(roles(&cluster, "web:2"), stable);
    let old = roles(&cluster, "web:1");
    assert_eq!(old, (vec![String::new(); 2], None, false));
    let kept = cluster.live.iter().filter(|pod| born.contains(&pod.uid));
    assert_eq!(kept.count(), 2, "no pod was restarted for it");
    let set = cluster.set("web:2");
    assert_eq!(
        set.annotations[names::EPHEMERAL_METADATA],
        r#"{"labels":{"role":"stable"}}"#
    );
    assert!(
        !cluster
            .set("web:1")
            .annotations
            .contains_key(names::EPHEMERAL_METADATA)
    );
}

#[test]
fn metadata_that_leaves_the_spec_leaves_the_pods() {
    let mut cluster = Cluster::deployed(with_roles(false));
    cluster.edit_canary(|canary| {
        (canary.canary_metadata, canary.stable_metadata) = (None, None);
    });
    cluster.settle();
    assert_eq!(
        roles(&cluster, "web:1"),
        (vec![String::new(); 2], None, false)
    );
}

#[test]
fn a_hash_is_the_same_with_and_without_metadata_and_anti_affinity() {
    let mut object = with_roles(false);
    object["spec"]["strategy"]["canary"]["antiAffinity"] =
        json!({ "requiredDuringSchedulingIgnoredDuringExecution": {} });
    let mut with = Cluster::deployed(object);
    let mut without = Cluster::deployed(rollout(2, json!([]), false));
    for cluster in [&mut with, &mut without] {
        cluster.set_image("web:2");
        cluster.settle();
    }
    assert_eq!(with.set("web:2").hash(), without.set("web:2").hash());
}

#[test]
fn terms_of_people_stay_beside_the_one_that_is_put_in() {
    let kind = "requiredDuringSchedulingIgnoredDuringExecution";
    let own = json!({
        "topologyKey": "zone", "labelSelector": { "matchLabels": { "app": "noisy" } }
    });
    let mut object = rollout(2, json!([{ "setWeight": 50 }, { "pause": {} }]), false);
    object["spec"]["strategy"]["canary"]["antiAffinity"] = json!({ kind: {} });
    let mut cluster = Cluster::deployed(object);
    let terms = |cluster: &Cluster| {
        let set = serde_json::to_value(&cluster.set("web:2").template).unwrap();
        let terms = &set["spec"]["affinity"]["podAntiAffinity"][kind];
        terms.as_array().cloned().unwrap_or_default()
    };
    let template = json!({
        "metadata": { "labels": { "app": "web" } },
        "spec": {
            "containers": [{ "name": "web", "image": "web:2" }],
            "affinity": { "podAntiAffinity": { kind: [own] } }
        }
    });
    cluster.edit(|rollout| rollout.spec.template = serde_json::from_value(template).unwrap());
    cluster.settle();
    let with = terms(&cluster);
    assert_eq!((with.len(), &with[0]), (2, &own));
    assert_eq!(cluster.phase(), "Paused");
    cluster.promote();
    cluster.settle();
    assert_eq!(terms(&cluster), [own]);
}

#[test]
fn the_roles_of_a_blue_green_are_preview_and_active() {
    let mut cluster = Cluster::deployed(blue_green(
        2,
        json!({
            "autoPromotionEnabled": false,
            "previewMetadata": { "labels": { "role": "preview" } },
            "activeMetadata": { "labels": { "role": "active" } }
        }),
    ));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(roles(&cluster, "web:1").0, ["active", "active"]);
    assert_eq!(roles(&cluster, "web:2").0, ["preview", "preview"]);
    cluster.promote();
    cluster.settle();
    assert_eq!(roles(&cluster, "web:2").0, ["active", "active"]);
}

#[test]
fn a_label_of_the_template_is_not_taken_away_with_a_role() {
    let mut object = rollout(2, json!([{ "setWeight": 50 }, { "pause": {} }]), false);
    object["spec"]["template"]["metadata"]["labels"]["role"] = json!("mine");
    object["spec"]["strategy"]["canary"]["stableMetadata"] =
        json!({ "labels": { "role": "stable" } });
    let mut cluster = Cluster::deployed(object);
    cluster.edit(|rollout| {
        let template = rollout.spec.template.as_mut().unwrap();
        template.fields_mut()["spec"]["containers"][0]["image"] = json!("web:2");
    });
    cluster.settle();
    assert_eq!(roles(&cluster, "web:2").0, ["mine"]);
    assert_eq!(roles(&cluster, "web:1").0[0], "stable");
}

#[test]
fn a_label_of_the_selector_is_refused_as_metadata_of_a_role() {
    let mut object = rollout(2, json!([]), false);
    object["spec"]["strategy"]["canary"]["canaryMetadata"] =
        json!({ "labels": { "app": "other" } });
    let mut cluster = Cluster::new(object);
    cluster.settle();
    assert!(
        cluster
            .message()
            .contains("spec.strategy.canary.canaryMetadata.labels"),
        "{}",
        cluster.message()
    );
}

#[test]
fn new_pods_keep_off_the_nodes_of_the_stable_revision_until_theirs_is_stable() {
    for (kind, list) in [
        (
            json!({ "requiredDuringSchedulingIgnoredDuringExecution": {} }),
            "requiredDuringSchedulingIgnoredDuringExecution",
        ),
        (
            json!({ "preferredDuringSchedulingIgnoredDuringExecution": { "weight": 7 } }),
            "preferredDuringSchedulingIgnoredDuringExecution",
        ),
    ] {
        let mut object = rollout(2, json!([{ "setWeight": 50 }, { "pause": {} }]), true);
        object["spec"]["strategy"]["canary"]["antiAffinity"] = kind;
        let mut cluster = Cluster::deployed(object);
        let stable = cluster.set("web:1").hash().unwrap().to_owned();
        assert!(
            cluster
                .set("web:1")
                .template
                .pointer("/spec/affinity")
                .is_none()
        );
        cluster.set_image("web:2");
        cluster.settle();
        let set = cluster.set("web:2");
        let terms = set
            .template
            .pointer(&format!("/spec/affinity/podAntiAffinity/{list}"))
            .unwrap();
        let term = terms[0].get("podAffinityTerm").unwrap_or(&terms[0]);
        assert_eq!(
            term,
            &json!({
                "labelSelector": { "matchExpressions": [
                    { "key": names::POD_TEMPLATE_HASH, "operator": "In", "values": [stable] }
                ] },
                "namespaces": ["shop"],
                "topologyKey": "kubernetes.io/hostname"
            })
        );
        cluster.promote();
        cluster.settle();
        assert!(
            cluster
                .set("web:2")
                .template
                .pointer("/spec/affinity")
                .is_none(),
            "{}",
            cluster.describe()
        );
    }
}

#[test]
fn a_set_of_another_hash_format_is_known_though_something_was_injected_into_it() {
    let mut object = with_roles(false);
    object["spec"]["strategy"]["canary"]["antiAffinity"] =
        json!({ "requiredDuringSchedulingIgnoredDuringExecution": {} });
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.settle();
    let hash = cluster.set("web:2").hash().unwrap().to_owned();
    for set in &mut cluster.sets {
        if set.hash() == Some(hash.as_str()) {
            set.labels
                .insert(names::POD_TEMPLATE_HASH.to_owned(), "upstream".to_owned());
            set.template.set_label(names::POD_TEMPLATE_HASH, "upstream");
        }
    }
    cluster.patch_status(|status| status.current_pod_hash = Some("upstream".to_owned()));
    cluster.settle();
    assert_eq!(cluster.sets.len(), 2, "{}", cluster.describe());
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// Whether the pods of an image keep off the nodes of others.
fn keeps_off(cluster: &Cluster, image: &str) -> bool {
    let template = &cluster.set(image).template;
    template.pointer("/spec/affinity").is_some()
}

#[test]
fn anti_affinity_comes_and_goes_with_the_spec_in_the_middle_of_an_update() {
    let steps = json!([{ "setWeight": 50 }, { "pause": {} }]);
    let mut cluster = Cluster::deployed(rollout(2, steps, true));
    cluster.set_image("web:2");
    cluster.settle();
    assert!(!keeps_off(&cluster, "web:2"));
    for asked in [true, false] {
        cluster.edit_canary(|canary| {
            canary.anti_affinity =
                asked.then(|| serde_json::from_value(json!({ REQUIRED: {} })).unwrap());
        });
        cluster.settle();
        assert_eq!(keeps_off(&cluster, "web:2"), asked);
        assert!(!keeps_off(&cluster, "web:1"));
    }
}

#[test]
fn what_was_put_in_and_the_record_of_it_are_put_back() {
    let whole = Cluster::deployed(with_roles(true));
    let (set, record) = (whole.set("web:1").clone(), names::EPHEMERAL_METADATA);
    let told = r#"{"labels":{"role":"stable"}}"#;
    for (label, written) in [
        (None, Some(told)),
        (Some("other"), Some(told)),
        (Some("stable"), None),
        (Some("stable"), Some(r#"{"labels":{"role":"other"}}"#)),
    ] {
        let mut cluster = whole.clone();
        let changed = &mut cluster.sets[0];
        match label {
            Some(label) => changed.template.set_label("role", label),
            None => changed.template.remove_label("role"),
        }
        changed.annotations.remove(record);
        if let Some(written) = written {
            let key = record.to_owned();
            changed.annotations.insert(key, written.to_owned());
        }
        cluster.settle();
        let now = cluster.set("web:1");
        assert_eq!(now.template, set.template, "{label:?} {written:?}");
        assert_eq!(now.annotations[record], told, "{label:?} {written:?}");
    }
}

#[test]
fn one_plan_changes_at_most_fifty_pods_and_the_next_one_goes_on() {
    let mut cluster = Cluster::deployed(with_roles(true));
    let pod = cluster.live[0].clone();
    for number in 0..60 {
        let mut pod = pod.clone();
        pod.name = format!("bare-{number}");
        pod.uid = format!("uid-{}", pod.name);
        pod.labels.remove("role");
        cluster.live.push(pod);
    }
    for expected in [50, 10, 0] {
        cluster.log.clear();
        cluster.pass();
        let patched = cluster.log.iter().filter(|line| *line == "patch pod");
        assert_eq!(patched.count(), expected);
    }
}
