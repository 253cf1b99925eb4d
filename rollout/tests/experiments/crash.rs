//! A crash after any write, another order of what was observed, and rest at the end.

use serde_json::{Value, json};

use crate::fixtures::{Cluster, spec};

fn stories() -> Vec<(&'static str, Cluster)> {
    let analysis = |name: &str, required: bool| {
        json!({ "name": name, "templateName": name, "requiredForCompletion": required,
            "args": [{ "name": "at", "value": "{{experiment.availableAt}} {{templates.new.podTemplateHash}}" }] })
    };
    let both: Value = json!([analysis("errors", true), analysis("latency", false)]);
    let mut served = spec(json!({ "duration": "1m", "analyses": both }));
    served["templates"][0]["service"] = json!({});
    served["templates"][1]["service"] = json!({ "name": "mine" });
    let mut good = Cluster::new(served.clone());
    good.verdicts.insert("errors", ("Successful", ""));
    let mut bad = Cluster::new(served.clone());
    bad.verdicts.insert("errors", ("Failed", "too many"));
    let mut broken = Cluster::new(served);
    broken.broken.push("new");
    let timed = Cluster::new(spec(json!({
        "duration": "1m", "scaleDownDelaySeconds": 0, "analyses": [analysis("errors", false)]
    })));
    vec![
        ("required", good),
        ("failed", bad),
        ("broken", broken),
        ("timed", timed),
    ]
}

#[test]
fn a_crash_after_any_write_leads_to_the_same_end() {
    for (name, start) in stories() {
        let mut whole = start.clone();
        whole.run_to_the_end();
        let expected = whole.end();
        let mut main = start;
        let mut crashes = 0;
        for _ in 0..100 {
            let writes = main.plan().effects.len();
            for done in 0..=writes {
                let mut crashed = main.clone();
                crashed.crash_after(done);
                crashed.run_to_the_end();
                assert_eq!(crashed.end(), expected, "{name}: {done} of {writes}");
                crashes += 1;
            }
            let written = main.pass();
            if !main.tick() && !written {
                match main.plan().wake_at {
                    Some(at) if at > main.now => main.now = at,
                    _ => break,
                }
            }
        }
        assert_eq!(main.end(), expected, "{name}");
        assert!(crashes > 10, "{name}: {crashes}");
    }
}

#[test]
fn crashing_after_every_single_write_leads_to_the_same_end() {
    for (name, start) in stories() {
        let mut whole = start.clone();
        whole.run_to_the_end();
        let mut crashing = start;
        for _ in 0..300 {
            let plan = crashing.plan();
            let at_rest = plan.effects.is_empty()
                && Some(&plan.status) == crashing.experiment.status.as_ref();
            crashing.crash_after(1);
            if at_rest && !crashing.tick() {
                match plan.wake_at {
                    Some(at) if at > crashing.now => crashing.now = at,
                    _ => break,
                }
            }
        }
        assert_eq!(crashing.end(), whole.end(), "{name}");
    }
}

#[test]
fn the_order_of_what_was_observed_makes_no_difference() {
    for (name, mut cluster) in stories() {
        for _ in 0..60 {
            let plan = cluster.plan();
            let mut other = cluster.clone();
            other.sets.reverse();
            other.runs.reverse();
            other.services.reverse();
            assert_eq!(other.plan(), plan, "{name}");
            let written = cluster.pass();
            if !cluster.tick() && !written {
                match plan.wake_at {
                    Some(at) if at > cluster.now => cluster.now = at,
                    _ => break,
                }
            }
        }
    }
}

#[test]
fn what_has_ended_rests() {
    for (name, mut cluster) in stories() {
        cluster.run_to_the_end();
        for seconds in [0, 1, 3600, 864_000] {
            cluster.wait(seconds);
            cluster.settle();
            let plan = cluster.plan();
            assert!(plan.effects.is_empty() && plan.events.is_empty(), "{name}");
            assert_eq!(plan.wake_at, None, "{name}");
        }
    }
}
