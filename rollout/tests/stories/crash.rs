//! A crash after any write, another order of what was observed, and rest at the end.

use serde_json::json;

use crate::fixtures::scenes::with_managed_routes;
use crate::fixtures::{Cluster, analysis, blue_green, rollout};

/// A cluster before something happens, what happens, and the end that is waited for.
struct Story {
    name: &'static str,
    start: Cluster,
    happens: fn(&mut Cluster),
    end: fn(&Cluster) -> bool,
}

fn object(routed: bool) -> serde_json::Value {
    let steps = json!([
        { "setWeight": 25 }, { "pause": { "duration": 10 } }, { "analysis": analysis("errors") }, { "setWeight": 50 }
    ]);
    let mut object = rollout(4, steps, routed);
    object["spec"]["strategy"]["canary"]["analysis"] = analysis("latency");
    object["spec"]["revisionHistoryLimit"] = json!(1);
    object
}

fn good(cluster: &mut Cluster) {
    cluster.verdicts.insert("errors".into(), ("Successful", ""));
    cluster.set_image("web:2");
}

fn bad(cluster: &mut Cluster) {
    cluster
        .verdicts
        .insert("errors".into(), ("Failed", "too many"));
    cluster.set_image("web:2");
}

fn stories() -> Vec<Story> {
    let mut stories = Vec::new();
    for routed in [true, false] {
        let templates =
            json!([{ "name": "new", "specRef": "canary" }, { "name": "old", "specRef": "stable" }]);
        let experiment = json!({ "duration": "1m", "templates": templates });
        let steps = json!([{ "setWeight": 25 }, { "experiment": experiment }, { "setWeight": 50 }]);
        let start = Cluster::deployed(rollout(4, steps, routed));
        stories.push(Story {
            name: "experiment",
            start: start.clone(),
            happens: |cluster| {
                cluster
                    .verdicts
                    .insert("experiment".into(), ("Successful", ""));
                cluster.set_image("web:2");
            },
            end: |cluster| cluster.phase() == "Healthy" && cluster.pods("web:1") == 0,
        });
        stories.push(Story {
            name: "failed experiment",
            start,
            happens: |cluster| {
                cluster
                    .verdicts
                    .insert("experiment".into(), ("Failed", "slow"));
                cluster.set_image("web:2");
            },
            end: |cluster| cluster.phase() == "Degraded" && cluster.pods("web:2") == 0,
        });
        let promoted: fn(&Cluster) -> bool = |cluster| {
            cluster.phase() == "Healthy"
                && cluster.stable() == "web:2"
                && cluster.pods("web:1") == 0
        };
        let aborted: fn(&Cluster) -> bool =
            |cluster| cluster.phase() == "Degraded" && cluster.pods("web:2") == 0;
        stories.push(Story {
            name: "first deployment",
            start: Cluster::new(object(routed)),
            happens: |_| {},
            end: |cluster| cluster.phase() == "Healthy",
        });
        let start = Cluster::deployed(object(routed));
        stories.push(Story {
            name: "update",
            start: start.clone(),
            happens: good,
            end: promoted,
        });
        stories.push(Story {
            name: "failed analysis",
            start: start.clone(),
            happens: bad,
            end: aborted,
        });
        stories.push(Story {
            name: "fixed",
            start: {
                let mut cluster = start.clone();
                bad(&mut cluster);
                cluster.run_until("aborted", aborted);
                cluster
            },
            happens: |cluster| {
                cluster.verdicts.insert("errors".into(), ("Successful", ""));
                cluster.set_image("web:4");
            },
            end: |cluster| {
                cluster.phase() == "Healthy"
                    && cluster.pods("web:4") == 4
                    && cluster.pods("web:1") == 0
            },
        });
        stories.push(Story {
            name: "changed mind",
            start: {
                let mut cluster = start.clone();
                cluster.set_image("web:2");
                cluster.settle();
                cluster
            },
            happens: |cluster| {
                cluster.verdicts.insert("errors".into(), ("Successful", ""));
                cluster.set_image("web:3");
                cluster.scale(6);
            },
            end: |cluster| {
                cluster.phase() == "Healthy"
                    && cluster.pods("web:3") == 6
                    && cluster.pods("web:1") == 0
            },
        });
        stories.push(Story {
            name: "promoted in full",
            start: {
                let mut cluster = start;
                cluster.set_image("web:2");
                cluster.settle();
                cluster
            },
            happens: Cluster::promote_fully,
            end: promoted,
        });
    }
    let header = json!([{ "headerName": "X-Beta", "headerValue": { "exact": "yes" } }]);
    let steps = json!([
        { "setCanaryScale": { "replicas": 1 } }, { "setHeaderRoute": { "name": "beta", "match": header } },
        { "setMirrorRoute": { "name": "urgent", "match": [{ "path": { "prefix": "/" } }] } },
        { "analysis": analysis("errors") }, { "setHeaderRoute": { "name": "beta" } }, { "setWeight": 50 }
    ]);
    let start = with_managed_routes(steps);
    stories.push(Story {
        name: "header and mirror routes",
        start: start.clone(),
        happens: good,
        end: |cluster| cluster.phase() == "Healthy" && cluster.pods("web:1") == 0 && bare(cluster),
    });
    stories.push(Story {
        name: "header and mirror routes, failed analysis",
        start,
        happens: bad,
        end: |cluster| cluster.phase() == "Degraded" && cluster.pods("web:2") == 0 && bare(cluster),
    });
    stories.extend(blue_green_stories());
    stories
}

/// Whether no router has header or mirror routes.
fn bare(cluster: &Cluster) -> bool {
    let managed = cluster.managed.as_ref().unwrap();
    managed.intact && managed.routes.is_empty()
}

fn blue_green_stories() -> Vec<Story> {
    let mut object = blue_green(
        4,
        serde_json::json!({
            "previewReplicaCount": 1, "autoPromotionSeconds": 10, "scaleDownDelaySeconds": 7,
            "prePromotionAnalysis": analysis("errors"), "postPromotionAnalysis": analysis("latency")
        }),
    );
    object["spec"]["revisionHistoryLimit"] = json!(1);
    let start = Cluster::deployed(object);
    let over = |cluster: &Cluster| cluster.phase() == "Healthy" && cluster.pods("web:1") == 0;
    vec![
        Story {
            name: "blue-green update",
            start: start.clone(),
            happens: |cluster| {
                good(cluster);
                cluster
                    .verdicts
                    .insert("latency".into(), ("Successful", ""));
            },
            end: over,
        },
        Story {
            name: "blue-green, failed after the switch",
            start: start.clone(),
            happens: |cluster| {
                good(cluster);
                cluster
                    .verdicts
                    .insert("latency".into(), ("Failed", "slow"));
            },
            end: |cluster| {
                cluster.phase() == "Degraded"
                    && cluster.pods("web:2") == 0
                    && cluster.selected("web-active") == "web:1"
            },
        },
        Story {
            name: "blue-green, failed before the switch",
            start: start.clone(),
            happens: bad,
            end: |cluster| cluster.phase() == "Degraded" && cluster.pods("web:2") == 0,
        },
        Story {
            name: "blue-green, changed mind after the switch",
            start: {
                let mut cluster = start.clone();
                good(&mut cluster);
                cluster.run_until("switched", |cluster| {
                    cluster.selected("web-active") == "web:2"
                });
                cluster
            },
            happens: |cluster| {
                cluster
                    .verdicts
                    .insert("latency".into(), ("Successful", ""));
                cluster.set_image("web:3");
                cluster.scale(6);
            },
            end: |cluster| {
                cluster.phase() == "Healthy"
                    && cluster.pods("web:3") == 6
                    && cluster.pods("web:1") + cluster.pods("web:2") == 0
            },
        },
        Story {
            name: "blue-green, promoted in full",
            start: {
                let mut cluster = start.clone();
                cluster.set_image("web:2");
                cluster.settle();
                cluster
            },
            happens: Cluster::promote_fully,
            end: over,
        },
        Story {
            name: "blue-green, back at once",
            start: {
                let mut cluster = start;
                good(&mut cluster);
                cluster
                    .verdicts
                    .insert("latency".into(), ("Successful", ""));
                cluster.run_until("promoted", |cluster| {
                    cluster.phase() == "Healthy" && cluster.stable() == "web:2"
                });
                cluster
            },
            happens: |cluster| cluster.set_image("web:1"),
            end: |cluster| cluster.phase() == "Healthy" && cluster.pods("web:2") == 0,
        },
    ]
}

/// One write at a time at most: runs the story, and at each decision also the same from every crash within it.
#[test]
fn a_crash_after_any_write_leads_to_the_same_end() {
    for story in stories() {
        let mut whole = story.start.clone();
        (story.happens)(&mut whole);
        let mut main = whole.clone();
        whole.run_until(story.name, story.end);
        let expected = whole.end();
        let mut crashes = 0;
        for _ in 0..200 {
            let writes = main.plan().effects.len();
            for done in 0..=writes {
                let mut crashed = main.clone();
                crashed.crash_after(done);
                crashed.run_until(story.name, story.end);
                assert_eq!(
                    crashed.end(),
                    expected,
                    "{}: crash after {done} of {writes}",
                    story.name
                );
                crashes += 1;
            }
            let written = main.pass();
            let moved = main.tick();
            if !written && !moved {
                let plan = main.plan();
                match plan.wake_at {
                    Some(at) if at > main.now && !(story.end)(&main) => main.now = at,
                    _ => break,
                }
            }
        }
        assert!(crashes > 5, "{}: {crashes}", story.name);
    }
}

/// A crash after every write: each decision gets only its first write done.
#[test]
fn crashing_after_every_single_write_leads_to_the_same_end() {
    for story in stories() {
        let mut whole = story.start.clone();
        (story.happens)(&mut whole);
        let mut crashing = whole.clone();
        whole.run_until(story.name, story.end);
        for _ in 0..400 {
            let plan = crashing.plan();
            let at_rest =
                plan.effects.is_empty() && Some(&plan.status) == crashing.rollout.status.as_ref();
            crashing.crash_after(1);
            if at_rest && !crashing.tick() {
                match plan.wake_at {
                    Some(at) if at > crashing.now && !(story.end)(&crashing) => crashing.now = at,
                    _ => break,
                }
            }
        }
        assert_eq!(crashing.end(), whole.end(), "{}", story.name);
    }
}

#[test]
fn the_order_of_what_was_observed_makes_no_difference() {
    for story in stories() {
        let mut cluster = story.start.clone();
        (story.happens)(&mut cluster);
        for _ in 0..100 {
            let plan = cluster.plan();
            let mut other = cluster.clone();
            other.sets.reverse();
            other.runs.reverse();
            other.routes.reverse();
            assert_eq!(other.plan(), plan, "{}", story.name);
            if !cluster.pass() && !cluster.tick() {
                match plan.wake_at {
                    Some(at) if at > cluster.now => cluster.now = at,
                    _ => break,
                }
            }
        }
    }
}

#[test]
fn at_rest_nothing_is_written_however_often_it_is_looked_at() {
    for story in stories() {
        let mut cluster = story.start.clone();
        (story.happens)(&mut cluster);
        cluster.run_until(story.name, story.end);
        for seconds in [0, 1, 59, 3600, 864_000] {
            cluster.wait(seconds);
            cluster.settle();
            let plan = cluster.plan();
            assert_eq!(
                (plan.effects.len(), plan.events.len()),
                (0, 0),
                "{}",
                story.name
            );
            assert_eq!(Some(&plan.status), cluster.rollout.status.as_ref());
        }
    }
}
