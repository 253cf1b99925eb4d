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
