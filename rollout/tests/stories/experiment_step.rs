//! The `experiment` step of a canary: what it makes, and what its end means.

use serde_json::{Value, json};
use sluice_rollout::Effect;

use crate::fixtures::{Cluster, rollout};

fn step(templates: Value) -> Value {
    json!({ "experiment": {
        "duration": "5m",
        "templates": templates,
        "analyses": [{ "name": "errors", "templateName": "errors",
            "args": [{ "name": "hash", "value": "{{templates.new.podTemplateHash}}" }] }],
        "scaleDownDelaySeconds": 7
    } })
}

fn templates() -> Value {
    json!([
        { "name": "old", "specRef": "stable", "replicas": 1, "metadata": { "labels": { "app": "old" } } },
        { "name": "new", "specRef": "canary", "metadata": { "labels": { "app": "new" }, "annotations": { "a": "b" } } }
    ])
}

fn cluster(routed: bool) -> Cluster {
    let steps =
        json!([{ "setWeight": 10 }, step(templates()), { "setWeight": 50 }, { "pause": {} }]);
    let mut cluster = Cluster::deployed(rollout(10, steps, routed));
    cluster.set_image("web:2");
    cluster
}

#[test]
fn a_step_makes_its_experiment_and_goes_on_when_it_is_successful() {
    let mut cluster = cluster(true);
    cluster.edit(|rollout| rollout.spec.progress_deadline_seconds = Some(450));
    cluster.settle();
    assert_eq!((cluster.step(), cluster.weight()), (1, 10));
    assert_eq!(cluster.log.last().unwrap(), "experiment web-web:2-2-1");
    assert!(cluster.event_reasons().contains(&"ExperimentCreated"));
    let experiment = &cluster.experiments[0];
    assert_eq!(experiment.metadata.namespace.as_deref(), Some("shop"));
    let labels = experiment.metadata.labels.as_ref().unwrap();
    assert_eq!(
        Some(labels["rollouts-pod-template-hash"].as_str()),
        cluster.set("web:2").hash()
    );
    assert_eq!(
        experiment.metadata.annotations.as_ref().unwrap()["rollout.argoproj.io/revision"],
        "2"
    );
    assert_eq!(experiment.spec.scale_down_delay_seconds, Some(7));
    assert_eq!(experiment.spec.progress_deadline_seconds, Some(450));
    let templates = experiment.spec.templates.as_ref().unwrap();
    let images: Vec<String> = templates
        .iter()
        .map(|template| template.template.as_ref().unwrap().images()[0].1.clone())
        .collect();
    assert_eq!(images, ["web:1", "web:2"]);
    let new = &templates[1];
    let pods = new.template.as_ref().unwrap();
    assert_eq!(pods.labels(), [("app".to_owned(), "new".to_owned())].into());
    assert_eq!(pods.annotations()["a"], "b");
    let selector = new
        .selector
        .as_ref()
        .unwrap()
        .match_labels
        .as_ref()
        .unwrap();
    assert_eq!(selector["app"], "new");
    assert_eq!(new.service, None);
    let canary = cluster.status().canary.clone().unwrap();
    assert_eq!(canary.current_experiment, experiment.metadata.name);

    cluster.wait(100_000);
    cluster.settle();
    assert_eq!(
        cluster.phase(),
        "Progressing",
        "an experiment takes its time"
    );
    cluster
        .verdicts
        .insert("experiment".into(), ("Successful", ""));
    cluster.settle();
    assert_eq!((cluster.step(), cluster.weight()), (3, 50));
    assert_eq!(cluster.experiments.len(), 1);
    let canary = cluster.status().canary.clone().unwrap();
    assert_eq!(canary.current_experiment, None);
}

#[test]
fn a_failed_experiment_aborts_and_a_retry_makes_another() {
    let mut cluster = cluster(true);
    cluster
        .verdicts
        .insert("experiment".into(), ("Failed", "too slow"));
    cluster.settle();
    assert_eq!(
        cluster.message(),
        "RolloutAborted: Rollout aborted update to revision 2: Experiment analysis phase is error/failed: too slow"
    );
    assert_eq!(cluster.weights, [10, 0]);
    cluster
        .verdicts
        .insert("experiment".into(), ("Successful", ""));
    cluster.retry();
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.step()), ("Paused", 3));
    let names: Vec<&str> = cluster
        .experiments
        .iter()
        .map(|it| it.metadata.name.as_deref().unwrap())
        .collect();
    assert!(names[1].ends_with("-2-1-1"), "{names:?}");
}

#[test]
fn an_inconclusive_experiment_waits_for_a_person_who_promotes() {
    let mut cluster = cluster(false);
    cluster
        .verdicts
        .insert("experiment".into(), ("Inconclusive", ""));
    cluster.settle();
    assert_eq!(
        (cluster.phase(), cluster.message()),
        ("Paused", "InconclusiveExperiment")
    );
    cluster.wait(1_000);
    cluster.settle();
    assert_eq!(cluster.step(), 1, "time does not help");
    cluster.promote();
    cluster.settle();
    assert_eq!((cluster.phase(), cluster.step()), ("Paused", 3));
    assert_eq!(cluster.message(), "CanaryPauseStep");
}

#[test]
fn skipping_the_step_ends_the_experiment_and_its_pause() {
    let mut cluster = cluster(true);
    cluster.settle();
    cluster.patch_status(|status| status.current_step_index = Some(2));
    cluster.settle();
    assert_eq!(cluster.step(), 3);
    assert_eq!(cluster.experiments[0].spec.terminate, Some(true));

    let mut cluster = self::cluster(true);
    cluster
        .verdicts
        .insert("experiment".into(), ("Inconclusive", ""));
    cluster.settle();
    cluster.patch_status(|status| status.current_step_index = Some(2));
    cluster.settle();
    assert_eq!((cluster.message(), cluster.step()), ("CanaryPauseStep", 3));
}

#[test]
fn an_abort_a_full_promotion_and_a_new_revision_end_the_experiment() {
    for end in [
        Cluster::abort,
        Cluster::promote_fully,
        (|cluster| cluster.set_image("web:3")) as fn(&mut Cluster),
    ] {
        let mut cluster = cluster(true);
        cluster.settle();
        assert_eq!(cluster.experiments[0].spec.terminate, None);
        end(&mut cluster);
        cluster.settle();
        assert_eq!(cluster.experiments[0].spec.terminate, Some(true));
        let canary = cluster.status().canary.clone().unwrap();
        assert_ne!(
            canary.current_experiment,
            cluster.experiments[0].metadata.name
        );
    }
}

#[test]
fn templates_with_a_weight_get_their_share_from_stable_while_the_experiment_runs() {
    let templates = json!([
        { "name": "old", "specRef": "stable", "weight": 5 },
        { "name": "new", "specRef": "canary", "weight": 5, "service": { "name": "new" } }
    ]);
    let steps = json!([{ "setWeight": 10 }, step(templates), { "setWeight": 50 }, { "pause": {} }]);
    let mut object = rollout(10, steps, true);
    // A router that can: nginx refuses the weight.
    object["spec"]["strategy"]["canary"]["trafficRouting"] = json!({ "plugins": { "x/y": {} } });
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.settle();
    let weights = |cluster: &Cluster| cluster.status().canary.clone().unwrap().weights.unwrap();
    let told = weights(&cluster);
    let additional = told.additional.unwrap();
    assert_eq!((told.canary.weight, told.stable.weight), (10, 80));
    let shares: Vec<(i32, &str)> = additional
        .iter()
        .map(|one| (one.weight, one.pod_template_hash.as_deref().unwrap()))
        .collect();
    assert_eq!(shares, [(5, "hash-old"), (5, "hash-new")]);
    cluster
        .verdicts
        .insert("experiment".into(), ("Successful", ""));
    cluster.settle();
    let told = weights(&cluster);
    assert_eq!(told.additional, None);
    assert_eq!((told.canary.weight, told.stable.weight), (50, 50));

    cluster.abort();
    cluster.settle();
    assert_eq!(cluster.weight(), 0);
}

#[test]
fn an_abort_takes_the_share_of_the_experiment_away() {
    let templates = json!([{ "name": "new", "specRef": "canary", "weight": 5 }]);
    let steps = json!([step(templates), { "pause": {} }]);
    let mut object = rollout(10, steps, true);
    object["spec"]["strategy"]["canary"]["trafficRouting"] = json!({ "plugins": { "x/y": {} } });
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.settle();
    let weights = |cluster: &Cluster| cluster.status().canary.clone().unwrap().weights.unwrap();
    assert_eq!(weights(&cluster).stable.weight, 95);
    cluster.abort();
    cluster.settle();
    assert_eq!(weights(&cluster).additional, None);
    assert_eq!(weights(&cluster).stable.weight, 100);
}

#[test]
fn pods_of_an_experiment_never_carry_the_hash_of_a_side() {
    let plain =
        json!([{ "name": "new", "specRef": "canary" }, { "name": "old", "specRef": "stable" }]);
    let steps = json!([step(plain), { "pause": {} }]);
    let mut cluster = Cluster::deployed(rollout(4, steps, false));
    cluster.set_image("web:2");
    cluster.settle();
    for template in cluster.experiments[0].spec.templates.iter().flatten() {
        let pods = template.template.as_ref().unwrap();
        let hash = sluice_rollout::hash::pod_template_hash(pods, None);
        assert!(cluster.sets.iter().all(|set| set.hash() != Some(&hash)));
    }
}

#[test]
fn old_experiments_are_forgotten_beyond_the_limit() {
    let steps = json!([step(templates()), { "pause": {} }]);
    let mut object = rollout(4, steps, false);
    object["spec"]["analysis"] =
        json!({ "successfulRunHistoryLimit": 1, "unsuccessfulRunHistoryLimit": 1 });
    let mut cluster = Cluster::deployed(object);
    cluster.verdicts.insert("experiment".into(), ("Failed", ""));
    cluster.set_image("web:2");
    for _ in 0..4 {
        cluster.settle();
        cluster.wait(1);
        cluster.retry();
    }
    cluster.settle();
    let failed = cluster.experiments.len();
    assert_eq!(failed, 1, "{:?}", cluster.log);
    cluster
        .verdicts
        .insert("experiment".into(), ("Successful", ""));
    cluster.set_image("web:3");
    cluster.settle();
    assert_eq!(cluster.phase(), "Paused");
    assert!(cluster.experiments.len() <= 2);
}

#[test]
fn an_experiment_of_another_controller_is_taken_over_by_the_status() {
    let mut cluster = cluster(true);
    cluster.settle();
    let experiment = &mut cluster.experiments[0];
    let annotations = experiment.metadata.annotations.as_mut().unwrap();
    annotations.remove("sluice.dev/attempt");
    cluster.settle();
    assert_eq!(cluster.experiments.len(), 1);
    cluster
        .verdicts
        .insert("experiment".into(), ("Successful", ""));
    cluster.settle();
    assert_eq!(cluster.step(), 3);
}

#[test]
fn traffic_leaves_an_experiment_before_anything_else_and_comes_to_it_last() {
    let templates = json!([{ "name": "new", "specRef": "canary", "weight": 5 }]);
    let steps = json!([{ "setWeight": 10 }, step(templates), { "pause": {} }]);
    let mut object = rollout(10, steps, true);
    object["spec"]["strategy"]["canary"]["trafficRouting"] = json!({ "plugins": { "x/y": {} } });
    let mut cluster = Cluster::deployed(object);
    cluster.set_image("web:2");
    cluster.settle();
    let name = cluster.shares[0].0.clone();
    assert_eq!(cluster.shares, [(name.clone(), 5)]);
    // Pods are to come in the same plan.
    cluster.scale(20);
    for (shown, last) in [(0, true), (3, true), (9, false)] {
        cluster.shares = vec![(name.clone(), shown)];
        cluster.shares.retain(|(_, weight)| *weight > 0);
        let effects = cluster.plan().effects;
        let at = |what: &str| {
            let mut all = effects.iter().map(|effect| format!("{effect:?}"));
            all.position(|effect| effect.starts_with(what)).unwrap()
        };
        let (traffic, pods) = (at("SetTraffic"), at("ScaleReplicaSet"));
        assert_eq!(traffic > pods, last, "{shown}: {effects:?}");
    }
    // It is over, and its share goes.
    cluster.shares = vec![(name, 5)];
    for experiment in &mut cluster.experiments {
        experiment.status.as_mut().unwrap().template_statuses = None;
    }
    let effects = cluster.plan().effects;
    assert!(
        format!("{:?}", effects[0]).starts_with("SetTraffic"),
        "{effects:?}"
    );
}

/// An update whose experiment gives these templates their shares, at the moment at which it runs.
fn with_shares(templates: Value, ports: [i32; 2]) -> Cluster {
    let steps = json!([{ "setWeight": 10 }, step(templates), { "setWeight": 50 }, { "pause": {} }]);
    let mut object = rollout(10, steps, true);
    object["spec"]["strategy"]["canary"]["trafficRouting"] = json!({ "plugins": { "x/y": {} } });
    let template = |image: &str, port: i32| {
        json!({
            "metadata": { "labels": { "app": "web" } },
            "spec": { "containers": [{ "name": "web", "image": image, "ports": [{ "containerPort": port }] }] }
        })
    };
    object["spec"]["template"] = template("web:1", ports[0]);
    let mut cluster = Cluster::deployed(object);
    let next = serde_json::from_value(template("web:2", ports[1])).unwrap();
    cluster.edit(|rollout| rollout.spec.template = Some(next));
    cluster.pass_until("the experiment", |it| !it.experiments.is_empty());
    cluster.log.clear();
    cluster
}

fn two_with_shares() -> Value {
    json!([
        { "name": "old", "specRef": "stable", "weight": 5 },
        { "name": "new", "specRef": "canary", "weight": 5, "service": { "name": "beta" } },
        { "name": "none", "specRef": "canary", "weight": 0 }
    ])
}

#[test]
fn shares_go_to_the_ports_of_the_template_and_only_to_available_pods() {
    let mut cluster = with_shares(two_with_shares(), [8080, 9090]);
    let shares = |cluster: &Cluster| -> Vec<(String, Vec<i32>)> {
        let plan = cluster.plan();
        let told = plan.effects.iter().find_map(|effect| match effect {
            Effect::SetTraffic(split) => Some(split.additional.clone()),
            _ => None,
        });
        let told = told.unwrap_or_default();
        told.into_iter().map(|it| (it.hash, it.ports)).collect()
    };
    let (old, new) = (
        ("hash-old".to_owned(), vec![8080]),
        ("hash-new".to_owned(), vec![9090]),
    );
    assert_eq!(shares(&cluster), [old, new.clone()]);
    let status = cluster.experiments[0].status.as_mut().unwrap();
    status.template_statuses.as_mut().unwrap()[0].available_replicas = 0;
    assert_eq!(shares(&cluster), [new]);
    let templates = cluster.experiments[0].spec.templates.as_ref().unwrap();
    let names: Vec<Option<String>> = templates
        .iter()
        .map(|it| it.service.as_ref().unwrap().name.clone())
        .collect();
    assert_eq!(names, [None, Some("beta".to_owned()), None]);
}

#[test]
fn shares_come_after_the_pods_that_grow_and_go_before_them() {
    let mut cluster = with_shares(two_with_shares(), [80, 80]);
    cluster.scale(20);
    cluster.pass();
    assert_eq!(
        cluster.log,
        ["scale web:2 1 -> 2", "scale web:1 10 -> 20", "weight 10"]
    );
    assert_eq!(cluster.shares.len(), 2);
    cluster.settle();
    cluster.log.clear();
    let verdict = ("Successful", "");
    cluster.verdicts.insert("experiment".into(), verdict);
    cluster.settle();
    assert_eq!(
        cluster.log[..2],
        ["weight 10", "scale web:2 2 -> 10"],
        "{:?}",
        cluster.log
    );
}

#[test]
fn finished_experiments_are_kept_as_many_as_the_limits_of_their_sort_say() {
    let limited = || {
        let mut cluster = cluster(true);
        let limits = json!({ "successfulRunHistoryLimit": 1, "unsuccessfulRunHistoryLimit": 0 });
        cluster.edit(|rollout| rollout.spec.analysis = serde_json::from_value(limits).unwrap());
        cluster
    };
    let mut cluster = limited();
    let mut comes_out = |phase: &'static str| {
        cluster.verdicts.insert("experiment".into(), (phase, ""));
        cluster.retry();
        cluster.settle();
        cluster.experiments.len()
    };
    assert_eq!(comes_out("Failed"), 0);
    assert_eq!(comes_out("Successful"), 1);

    // The one that is looked at is no history.
    let mut cluster = limited();
    let verdict = ("Inconclusive", "");
    cluster.verdicts.insert("experiment".into(), verdict);
    cluster.settle();
    assert_eq!(cluster.message(), "InconclusiveExperiment");
    assert_eq!(cluster.experiments.len(), 1);
}
