//! The safety invariants on single effects, as the executor asks them: what must not happen is refused by name, and what
//! is nearly the same is not.

use serde_json::json;
use sluice_crds::rollout::WorkloadRef;
use sluice_crds::split::{Split, SplitRoute, WeightedService};
use sluice_rollout::plan::Precondition;
use sluice_rollout::{Effect, World, invariants};

use crate::fixtures::scenes::{deployment, header_step, referring, with_managed_routes};
use crate::fixtures::{Cluster, blue_green, rollout};

/// The invariant that an effect violates now.
fn refused(cluster: &Cluster, effect: &Effect) -> Option<&'static str> {
    cluster
        .observed(|world| invariants::check(world, effect))
        .err()
        .map(|violation| {
            assert!(!violation.detail.is_empty(), "{violation}");
            violation.invariant
        })
}

fn split(cluster: &Cluster, canary: i32) -> Split {
    let hash = |image: &str| {
        let mut sets = cluster.sets.iter();
        sets.find(|set| set.template.images()[0].1 == image)
            .and_then(|set| set.hash().map(str::to_owned))
    };
    Split {
        max: 100,
        canary,
        canary_service: "web-canary".to_owned(),
        stable_service: "web-stable".to_owned(),
        canary_hash: hash("web:2"),
        stable_hash: hash("web:1"),
        additional: Vec::new(),
        routes: Vec::new(),
    }
}

fn tell(cluster: &Cluster, canary: i32) -> Effect {
    Effect::SetTraffic(split(cluster, canary))
}

fn seen() -> Precondition {
    Precondition {
        uid: String::new(),
        resource_version: String::new(),
    }
}

fn scale(cluster: &Cluster, image: &str, to: i32) -> Effect {
    let set = cluster.set(image);
    Effect::ScaleReplicaSet {
        name: set.name.clone(),
        precondition: seen(),
        from: set.replicas,
        to,
        annotations: [].into(),
    }
}

fn select(service: &str, hash: Option<&str>) -> Effect {
    Effect::SelectPods {
        service: service.to_owned(),
        precondition: seen(),
        hash: hash.map(str::to_owned),
    }
}

/// Paused with half of the traffic on web:2.
fn at_half() -> Cluster {
    let mut cluster =
        Cluster::deployed(rollout(4, json!([{"setWeight": 50}, {"pause": {}}]), true));
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!(cluster.weight(), 50);
    cluster
}

#[test]
fn weights_are_parts_of_a_whole() {
    let cluster = at_half();
    let whole = Some("weights are parts of a whole");
    assert_eq!(refused(&cluster, &tell(&cluster, 60)), None);
    assert_eq!(refused(&cluster, &tell(&cluster, 101)), whole);
    assert_eq!(refused(&cluster, &tell(&cluster, -1)), whole);
    let other_maximum = Effect::SetTraffic(Split {
        max: 1000,
        ..split(&cluster, 50)
    });
    assert_eq!(refused(&cluster, &other_maximum), whole);
    let too_much = Effect::SetTraffic(Split {
        additional: vec![WeightedService {
            service: "x".to_owned(),
            hash: String::new(),
            weight: 51,
            ports: Vec::new(),
        }],
        ..split(&cluster, 50)
    });
    assert_eq!(refused(&cluster, &too_much), whole);
}

#[test]
fn experiments_get_traffic_only_while_their_pods_are_available() {
    let cluster = at_half();
    let unknown = Effect::SetTraffic(Split {
        additional: vec![WeightedService {
            service: "x".to_owned(),
            hash: String::new(),
            weight: 5,
            ports: Vec::new(),
        }],
        ..split(&cluster, 50)
    });
    let invariant = "experiments get traffic only while their pods are available";
    assert_eq!(refused(&cluster, &unknown), Some(invariant));
}

#[test]
fn traffic_goes_to_available_pods_on_both_sides() {
    let mut cluster = at_half();
    cluster.broken = vec!["web:2"];
    for set in &mut cluster.sets {
        if set.template.images()[0].1 == "web:2" {
            (set.ready, set.available) = (0, 0);
        }
    }
    let invariant = "no traffic for a canary without available pods";
    assert_eq!(refused(&cluster, &tell(&cluster, 50)), Some(invariant));
    assert_eq!(refused(&cluster, &tell(&cluster, 0)), None);

    let mut cluster = at_half();
    for set in &mut cluster.sets {
        if set.template.images()[0].1 == "web:1" {
            (set.ready, set.available) = (0, 0);
        }
    }
    let invariant = "no traffic for a stable side without available pods";
    assert_eq!(refused(&cluster, &tell(&cluster, 0)), Some(invariant));
    assert_eq!(refused(&cluster, &tell(&cluster, 50)), None);
}

#[test]
fn the_canarys_share_rises_only_when_everything_is_well() {
    let mut cluster = at_half();
    cluster.patch_status(|status| status.abort = Some(true));
    let invariant = "an abort never raises the canary's share";
    assert_eq!(refused(&cluster, &tell(&cluster, 51)), Some(invariant));
    assert_eq!(refused(&cluster, &tell(&cluster, 0)), None);
    // The same when the template is that of a workload.
    cluster.edit(|rollout| {
        rollout.spec.template = None;
        rollout.spec.workload_ref = Some(WorkloadRef {
            kind: Some("Deployment".to_owned()),
            name: Some("old".to_owned()),
            ..WorkloadRef::default()
        });
    });
    cluster.workload = Some(deployment("web:2", 1, 0));
    assert_eq!(refused(&cluster, &tell(&cluster, 51)), Some(invariant));

    let mut cluster = at_half();
    cluster.routes.push(Err("is gone".to_owned()));
    let invariant = "the canary's share rises only on routes that can be read";
    assert_eq!(refused(&cluster, &tell(&cluster, 51)), Some(invariant));

    let mut cluster = at_half();
    let stable = cluster.stable();
    let service = cluster.services.get_mut("web-canary").unwrap();
    service
        .selector
        .insert("rollouts-pod-template-hash".to_owned(), stable);
    let invariant = "the canary's share rises only if its Service selects it";
    assert_eq!(refused(&cluster, &tell(&cluster, 51)), Some(invariant));
}

#[test]
fn header_and_mirror_routes_come_only_to_a_canary_that_serves() {
    let mut cluster = with_managed_routes(json!([header_step("beta", "yes"), {"pause": {}}]));
    cluster.set_image("web:2");
    cluster.patch_status(|status| status.abort = Some(true));
    let route: SplitRoute =
        serde_json::from_value(json!({"name": "beta", "kind": {"header": []}})).unwrap();
    let with_route = Effect::SetTraffic(Split {
        routes: vec![route],
        ..split(&cluster, 0)
    });
    let invariant = "header and mirror routes come only to a canary that its Service selects";
    assert_eq!(refused(&cluster, &with_route), Some(invariant));
}

#[test]
fn pods_that_are_needed_stay() {
    let cluster = at_half();
    let invariant = "no pod goes that the routed traffic needs";
    assert_eq!(
        refused(&cluster, &scale(&cluster, "web:1", 1)),
        Some(invariant)
    );
    assert_eq!(refused(&cluster, &scale(&cluster, "web:1", 2)), None);
    assert_eq!(
        refused(&cluster, &scale(&cluster, "web:2", 0)),
        Some(invariant)
    );

    let mut by_pods =
        Cluster::deployed(rollout(4, json!([{"setWeight": 50}, {"pause": {}}]), false));
    by_pods.set_image("web:2");
    by_pods.settle();
    let invariant = "available pods stay above replicas - maxUnavailable";
    assert_eq!(
        refused(&by_pods, &scale(&by_pods, "web:1", 0)),
        Some(invariant)
    );
}

#[test]
fn services_leave_available_pods_only_for_available_pods() {
    let cluster = at_half();
    let invariant = "a Service leaves available pods only for available pods";
    assert_eq!(
        refused(&cluster, &select("web-stable", Some("nobody"))),
        Some(invariant)
    );
    let invariant = "a Service that the strategy names keeps selecting one revision";
    assert_eq!(
        refused(&cluster, &select("web-stable", None)),
        Some(invariant)
    );
    assert_eq!(refused(&cluster, &select("left-behind", None)), None);

    let mut preview = Cluster::deployed(blue_green(3, json!({"autoPromotionEnabled": false})));
    preview.set_image("web:2");
    preview.settle();
    let new = preview.set("web:2").hash().unwrap().to_owned();
    assert_eq!(
        refused(&preview, &select("web-active", Some(&new))),
        None,
        "it is whole"
    );
    assert_eq!(
        refused(&preview, &select("web-preview", Some("nobody"))),
        None,
        "a preview may be empty"
    );
    preview
        .sets
        .iter_mut()
        .find(|set| set.hash() == Some(&new))
        .unwrap()
        .available = 2;
    let invariant =
        "the active Service goes to a new revision only when that is whole and not given up";
    assert_eq!(
        refused(&preview, &select("web-active", Some(&new))),
        Some(invariant)
    );
}

#[test]
fn what_plays_a_role_is_not_deleted() {
    let cluster = at_half();
    let delete = |image: &str| Effect::DeleteReplicaSet {
        name: cluster.set(image).name.clone(),
        precondition: seen(),
    };
    let invariant = "what is selected, stable, new, or has pods is not deleted";
    assert_eq!(refused(&cluster, &delete("web:1")), Some(invariant));
    assert_eq!(refused(&cluster, &delete("web:2")), Some(invariant));
}

#[test]
fn an_old_set_is_deleted_only_when_it_has_no_pods_and_no_service_selects_it() {
    let mut cluster = at_half();
    cluster.promote_fully();
    cluster.run_until("the old pods are gone", |it| it.pods("web:1") == 0);
    let delete = Effect::DeleteReplicaSet {
        name: cluster.set("web:1").name.clone(),
        precondition: seen(),
    };
    let invariant = "what is selected, stable, new, or has pods is not deleted";
    assert_eq!(refused(&cluster, &delete), None);
    let hash = cluster.set("web:1").hash().unwrap().to_owned();
    let old = |cluster: &Cluster| {
        let mut sets = cluster.sets.iter();
        sets.position(|set| set.hash() == Some(hash.as_str()))
            .unwrap()
    };
    let mut with_a_pod = cluster.clone();
    with_a_pod.sets[old(&cluster)].current = 1;
    assert_eq!(refused(&with_a_pod, &delete), Some(invariant));
    let mut to_grow = cluster.clone();
    to_grow.sets[old(&cluster)].replicas = 1;
    assert_eq!(refused(&to_grow, &delete), Some(invariant));
    let mut selected = cluster.clone();
    let service = selected.services.get_mut("web-canary").unwrap();
    service
        .selector
        .insert("rollouts-pod-template-hash".to_owned(), hash);
    assert_eq!(refused(&selected, &delete), Some(invariant));
}

#[test]
fn a_violation_says_what_does_not_hold_and_why() {
    let cluster = at_half();
    let violation = cluster.observed(|world| invariants::check(world, &tell(&cluster, 101)));
    assert_eq!(
        violation.unwrap_err().to_string(),
        "weights are parts of a whole: canary 101 + further [] of 100"
    );
}

#[test]
fn pods_keep_the_labels_that_select_them_and_go_only_when_one_may_be_missing() {
    let mut cluster = at_half();
    let label = |key: &str| Effect::PatchPod {
        name: "web-1".to_owned(),
        uid: "u".to_owned(),
        labels: [(key.to_owned(), None)].into(),
        annotations: [].into(),
    };
    let invariant = "labels by which pods are selected stay";
    assert_eq!(refused(&cluster, &label("app")), Some(invariant));
    assert_eq!(
        refused(&cluster, &label("rollouts-pod-template-hash")),
        Some(invariant)
    );
    assert_eq!(refused(&cluster, &label("role")), None);
    for set in &mut cluster.sets {
        set.available = 0;
    }
    let evict = Effect::EvictPod {
        name: "web-1".to_owned(),
        uid: "u".to_owned(),
    };
    let invariant = "no more pods are evicted than may be missing";
    assert_eq!(refused(&cluster, &evict), Some(invariant));
}

#[test]
fn routers_that_cannot_be_driven_may_send_everything_anywhere() {
    let cluster = at_half();
    let problems = [(
        "spec.strategy.canary.trafficRouting".to_owned(),
        "no".to_owned(),
    )];
    for image in ["web:1", "web:2"] {
        let away = scale(&cluster, image, 0);
        let told = cluster.observed(|world| {
            let world = World {
                traffic: Err(&problems),
                ..*world
            };
            invariants::check(&world, &away)
        });
        let invariant = "no pod goes that the routed traffic needs";
        assert_eq!(told.map_err(|it| it.invariant), Err(invariant), "{image}");
    }
}

#[test]
fn a_workload_shrinks_only_as_the_pods_of_the_rollout_become_available() {
    let cluster = referring("progressively");
    let shrink = |to: i32| Effect::ScaleWorkload {
        name: "legacy".to_owned(),
        precondition: seen(),
        from: 4,
        to,
    };
    let invariant = "the referenced workload shrinks only as the Rollout's pods become available";
    assert_eq!(refused(&cluster, &shrink(0)), Some(invariant));
    assert_eq!(refused(&cluster, &shrink(4)), None);
}

#[test]
fn a_header_route_needs_a_pod_that_answers() {
    let steps =
        json!([{"setCanaryScale": {"replicas": 1}}, header_step("beta", "yes"), {"pause": {}}]);
    let mut cluster = with_managed_routes(steps);
    cluster.set_image("web:2");
    cluster.settle();
    assert_eq!((cluster.weight(), cluster.pods("web:2")), (0, 1));
    let routes = cluster.managed.clone().unwrap().routes;
    assert_eq!(routes.len(), 1);
    let stays = Some("no pod goes that the routed traffic needs");
    for (intact, shown, replicas, expected) in [
        (true, true, 4, stays),
        (false, true, 4, stays),
        // What somebody changed may lead anywhere.
        (false, false, 4, stays),
        (true, false, 4, None),
        (true, true, 0, None),
    ] {
        let managed = cluster.managed.as_mut().unwrap();
        managed.intact = intact;
        managed.routes = if shown { routes.clone() } else { Vec::new() };
        cluster.scale(replicas);
        let to_nothing = scale(&cluster, "web:2", 0);
        let told = refused(&cluster, &to_nothing);
        assert_eq!(told, expected, "{intact} {shown} {replicas}");
    }
}

/// A Service of an experiment with a share of the traffic.
fn share(service: &str, weight: i32) -> WeightedService {
    WeightedService {
        service: service.to_owned(),
        hash: String::new(),
        weight,
        ports: Vec::new(),
    }
}

#[test]
fn only_the_service_of_a_template_with_available_pods_gets_a_share() {
    let mut cluster = at_half();
    let experiment = json!({
        "metadata": { "name": "measure", "namespace": "shop" },
        "spec": {},
        "status": { "phase": "Running", "templateStatuses": [
            { "name": "ready", "serviceName": "ready", "availableReplicas": 1 },
            { "name": "empty", "serviceName": "empty", "availableReplicas": 0 },
        ] }
    });
    cluster
        .experiments
        .push(serde_json::from_value(experiment).unwrap());
    let invariant = Some("experiments get traffic only while their pods are available");
    for (service, weight, expected) in [
        ("ready", 5, None),
        ("empty", 5, invariant),
        ("unknown", 5, invariant),
        ("empty", 0, None),
    ] {
        let told = Effect::SetTraffic(Split {
            additional: vec![share(service, weight)],
            ..split(&cluster, 50)
        });
        assert_eq!(refused(&cluster, &told), expected, "{service} {weight}");
    }
}

#[test]
fn a_route_that_is_shown_may_stay_and_another_one_comes_only_to_pods() {
    let steps = json!([{"setWeight": 50}, header_step("beta", "yes"), {"pause": {}}]);
    let mut cluster = with_managed_routes(steps);
    cluster.set_image("web:2");
    cluster.settle();
    let named = |name: &str| {
        let route: SplitRoute =
            serde_json::from_value(json!({"name": name, "kind": {"header": []}})).unwrap();
        route
    };
    let told = |canary: i32, names: &[&str]| {
        Effect::SetTraffic(Split {
            routes: names.iter().map(|name| named(name)).collect(),
            ..split(&cluster, canary)
        })
    };
    assert_eq!(refused(&cluster, &told(50, &["beta", "urgent"])), None);
    let mut without_pods = cluster.clone();
    without_pods.few.insert("web:2", 0);
    without_pods.tick();
    let invariant = "header and mirror routes come only to a canary that its Service selects";
    assert_eq!(refused(&without_pods, &told(0, &["beta"])), None);
    assert_eq!(
        refused(&without_pods, &told(0, &["beta", "urgent"])),
        Some(invariant)
    );
}

#[test]
fn where_no_pods_are_wanted_traffic_may_leave_for_nowhere() {
    let mut cluster = at_half();
    cluster.few.insert("web:1", 0);
    cluster.tick();
    let invariant = "no traffic for a stable side without available pods";
    assert_eq!(refused(&cluster, &tell(&cluster, 0)), Some(invariant));
    cluster.scale(0);
    assert_eq!(refused(&cluster, &tell(&cluster, 0)), None);
}
