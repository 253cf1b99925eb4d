//! `pingPong`: two Services that swap the stable role at each promotion.

use serde_json::{Value, json};

use crate::fixtures::{Cluster, rollout};

fn paired() -> Value {
    let mut object = rollout(4, json!([{ "setWeight": 25 }, { "pause": {} }]), true);
    object["spec"]["strategy"]["canary"] = json!({
        "pingPong": { "pingService": "ping", "pongService": "pong" },
        "trafficRouting": { "plugins": { "argoproj-labs/gatewayAPI": { "httpRoute": "web" } } },
        "steps": [{ "setWeight": 25 }, { "pause": {} }]
    });
    object
}

fn stable(cluster: &Cluster) -> String {
    let canary = cluster.status().canary.clone().unwrap();
    canary.stable_ping_pong.unwrap()
}

#[test]
fn the_roles_swap_at_each_promotion_and_no_traffic_is_moved_back() {
    let mut cluster = Cluster::deployed(paired());
    assert_eq!(stable(&cluster), "ping");
    assert_eq!(cluster.selected("ping"), "web:1");
    assert_eq!(cluster.weight(), 0);
    for (image, old, role, canary) in [
        ("web:2", "web:1", "pong", "ping"),
        ("web:3", "web:2", "ping", "pong"),
    ] {
        cluster.log.clear();
        cluster.set_image(image);
        cluster.settle();
        assert_eq!((cluster.weight(), cluster.step()), (25, 1));
        assert_eq!(cluster.selected(role), image);
        assert_eq!(cluster.selected(canary), old);
        cluster.promote();
        cluster.settle();
        assert_eq!(
            (cluster.phase(), stable(&cluster).as_str()),
            ("Healthy", role)
        );
        assert_eq!(cluster.weight(), 0);
        assert_eq!(cluster.selected(role), image);
        assert_eq!(cluster.selected(canary), image, "{:?}", cluster.log);
        let told: Vec<&String> = cluster
            .log
            .iter()
            .filter(|line| line.starts_with("weight"))
            .collect();
        assert_eq!(told, ["weight 25", "weight 100"]);
        cluster.wait(30);
        cluster.settle();
        assert_eq!(cluster.pods(old), 0);
    }
}

#[test]
fn an_abort_leaves_the_roles() {
    let mut cluster = Cluster::deployed(paired());
    cluster.set_image("web:2");
    cluster.settle();
    cluster.abort();
    cluster.settle();
    assert_eq!((cluster.weight(), stable(&cluster).as_str()), (0, "ping"));
    assert_eq!(cluster.selected("ping"), "web:1");
}

#[test]
fn a_full_promotion_in_the_middle_takes_the_traffic_along() {
    let mut cluster = Cluster::deployed(paired());
    cluster.set_image("web:2");
    cluster.settle();
    cluster.promote_fully();
    cluster.settle();
    assert_eq!(
        (cluster.phase(), stable(&cluster).as_str()),
        ("Healthy", "pong")
    );
    assert_eq!(cluster.weight(), 0);
    assert_eq!(cluster.selected("pong"), "web:2");
}

/// Deployed with these steps, then the update to `image` until it waits.
fn waiting(mut cluster: Cluster, image: &str, weight: i32) -> Cluster {
    cluster.edit_canary(|canary| {
        let steps = json!([{ "setWeight": weight }, { "pause": {} }]);
        canary.steps = serde_json::from_value(steps).unwrap();
    });
    cluster.set_image(image);
    cluster.settle();
    assert_eq!((cluster.weight(), cluster.phase()), (weight, "Paused"));
    cluster
}

/// The status is gone; what happens then.
fn after_the_loss(mut cluster: Cluster) -> Cluster {
    cluster.rollout.status = None;
    cluster.log.clear();
    cluster.settle();
    cluster
}

fn moved(cluster: &Cluster) -> Vec<&String> {
    let moves = |line: &&String| {
        ["weight", "select", "scale"]
            .iter()
            .any(|word| line.starts_with(word))
    };
    cluster.log.iter().filter(moves).collect()
}

#[test]
fn a_lost_status_at_rest_is_found_again_and_nothing_moves() {
    let mut cluster = Cluster::deployed(paired());
    for (image, role) in [("web:2", "pong"), ("web:3", "ping")] {
        cluster.set_image(image);
        cluster.settle();
        cluster.promote();
        cluster.settle();
        cluster = after_the_loss(cluster);
        assert_eq!(moved(&cluster), [""; 0]);
        assert_eq!(
            (cluster.phase(), stable(&cluster).as_str()),
            ("Healthy", role)
        );
        assert_eq!(cluster.stable(), image);
    }
}

/// A canary with most of the traffic is still nobody's stable revision.
#[test]
fn a_status_that_is_lost_in_the_middle_is_found_again_and_the_weight_stays() {
    for weight in [25, 75, 100] {
        let cluster = waiting(Cluster::deployed(paired()), "web:2", weight);
        let cluster = after_the_loss(cluster);
        assert_eq!(moved(&cluster), [""; 0], "at {weight}");
        assert_eq!(
            (cluster.phase(), stable(&cluster).as_str(), cluster.weight()),
            ("Paused", "ping", weight)
        );
        assert_eq!(cluster.stable(), "web:1");
    }
}

#[test]
fn of_two_revisions_that_were_stable_the_one_with_the_traffic_is() {
    let mut cluster = waiting(Cluster::deployed(paired()), "web:2", 25);
    cluster.promote();
    cluster.settle();
    for weight in [25, 75] {
        let cluster = after_the_loss(waiting(cluster.clone(), "web:1", weight));
        let expected = if weight < 50 { "web:2" } else { "web:1" };
        assert_eq!(cluster.stable(), expected);
    }
    // One that was given up since is not taken for stable, whatever it gets.
    let mut cluster = waiting(cluster, "web:1", 75);
    cluster.abort();
    cluster.settle();
    cluster.retry();
    cluster.settle();
    assert_eq!(cluster.weight(), 75);
    assert_eq!(after_the_loss(cluster).stable(), "web:2");
}

#[test]
fn going_back_to_stable_is_gone_on_with() {
    let mut cluster = waiting(Cluster::deployed(paired()), "web:2", 75);
    cluster.set_image("web:1");
    cluster.pass();
    let cluster = after_the_loss(cluster);
    assert_eq!(
        (cluster.stable().as_str(), cluster.weight(), cluster.phase()),
        ("web:1", 0, "Healthy")
    );
}

/// As after an installation of another controller, which leaves no marks.
#[test]
fn what_cannot_be_told_is_held_until_a_person_says_it() {
    let mut cluster = waiting(Cluster::deployed(paired()), "web:2", 75);
    let stable_hash = cluster.status().stable_rs.clone();
    for set in &mut cluster.sets {
        set.annotations.remove(sluice_crds::names::WAS_STABLE);
    }
    let mut cluster = after_the_loss(cluster);
    assert_eq!(cluster.log, [""; 0]);
    assert_eq!(cluster.phase(), "Degraded");
    let message = cluster.message().to_owned();
    for part in [
        "pingPong",
        "status.stableRS",
        "status.canary.stablePingPong",
    ] {
        assert!(message.contains(part), "{message}");
    }
    cluster.patch_status(|status| {
        status.stable_rs = stable_hash;
        status.canary.get_or_insert_default().stable_ping_pong = Some("ping".to_owned());
    });
    cluster.settle();
    assert_eq!(moved(&cluster), [""; 0]);
    assert_eq!(
        (cluster.stable().as_str(), cluster.weight(), cluster.phase()),
        ("web:1", 75, "Paused")
    );
}

#[test]
fn routes_that_cannot_be_read_are_waited_for() {
    let mut cluster = Cluster::deployed(paired());
    let route = std::mem::replace(&mut cluster.routes[0], Err("it is gone".to_owned()));
    let mut cluster = after_the_loss(cluster);
    assert!(cluster.message().contains("most of the traffic"));
    cluster.routes[0] = route;
    cluster.settle();
    assert_eq!((moved(&cluster), cluster.phase()), (vec![], "Healthy"));
    assert_eq!(stable(&cluster), "ping");
}

#[test]
fn one_half_of_a_lost_status_is_found_by_the_other() {
    let ping = waiting(Cluster::deployed(paired()), "web:2", 75);
    let mut pong = ping.clone();
    pong.promote();
    pong.settle();
    let pong = waiting(pong, "web:3", 75);
    for (cluster, role) in [(ping, "ping"), (pong, "pong")] {
        let whole = |cluster: &Cluster| (cluster.stable(), stable(cluster), cluster.weight());
        let expected = whole(&cluster);
        assert_eq!(expected.1, role);
        let mut role_lost = cluster.clone();
        role_lost.patch_status(|status| status.canary = None);
        role_lost.settle();
        assert_eq!(whole(&role_lost), expected);
        let mut revision_lost = cluster;
        revision_lost.patch_status(|status| status.stable_rs = None);
        revision_lost.settle();
        assert_eq!(whole(&revision_lost), expected);
    }
}

/// Only this Service of the pair selects a revision, and no set has a mark: as just after a first promotion.
fn selected_by_one_alone(mut cluster: Cluster, one: &str) -> Cluster {
    for set in &mut cluster.sets {
        set.annotations.remove(sluice_crds::names::WAS_STABLE);
    }
    for service in cluster.services.values_mut() {
        if service.name == one {
            continue;
        }
        service
            .selector
            .remove(sluice_crds::names::POD_TEMPLATE_HASH);
        service
            .annotations
            .remove(sluice_crds::names::MANAGED_BY_ROLLOUTS);
    }
    cluster
}

#[test]
fn the_only_revision_that_a_service_selects_stays_when_all_is_forgotten_and_the_template_is_new() {
    for role in ["ping", "pong"] {
        let mut cluster = selected_by_one_alone(Cluster::deployed(paired()), role);
        cluster.set_image("web:2");
        cluster.rollout.status = None;
        cluster.pass();
        assert_eq!(
            (cluster.stable().as_str(), stable(&cluster).as_str()),
            ("web:1", role)
        );
    }
}

#[test]
fn a_revision_of_the_template_is_not_stable_because_a_service_selects_it() {
    for role in ["ping", "pong"] {
        let mut cluster = selected_by_one_alone(Cluster::deployed(paired()), role);
        cluster.rollout.status = None;
        cluster.sets[0].available = 0;
        cluster.pass();
        assert_eq!(cluster.status().stable_rs, None, "{role}");
    }
}

/// The status knows of an update and of nothing stable: its first deployment was overtaken by another version.
#[test]
fn an_overtaken_first_deployment_is_not_stable_because_a_service_selects_it() {
    for role in ["ping", "pong"] {
        let mut cluster = selected_by_one_alone(Cluster::deployed(paired()), role);
        cluster.patch_status(|status| (status.stable_rs, status.canary) = (None, None));
        cluster.set_image("web:2");
        cluster.pass();
        assert_eq!(cluster.status().stable_rs, None, "{role}");
    }
}
