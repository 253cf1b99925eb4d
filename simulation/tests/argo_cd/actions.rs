//! Every action that Argo CD offers at a moment, carried out: its patch is sent as Argo CD sends it, first to the status,
//! then to the rest, and the cluster is let go.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sluice_crds::pointer::text;
use sluice_simulation::cluster::Cluster;
use sluice_simulation::store::{Expected, Key, Part};

use crate::plays::{Moment, go, moments};

const VECTORS: &str = include_str!("../../../e2e/vectors/health/vectors.json");

#[derive(Deserialize)]
struct Vector {
    name: String,
    #[serde(default)]
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct Action {
    name: String,
    #[serde(default)]
    disabled: bool,
    /// What the action is; empty when it changes nothing.
    #[serde(default)]
    patch: serde_json::Map<String, Value>,
    /// The script fails, with these words.
    #[serde(default)]
    error: String,
}

fn merge(cluster: &mut Cluster, key: &Key, part: Part, patch: &Value) {
    let sent = cluster.store.merge(key, part, &Expected::default(), patch);
    sent.unwrap_or_else(|refusal| panic!("{key}: {refusal}"));
}

/// Sends a patch in the two parts in which Argo CD sends it.
fn send(cluster: &mut Cluster, key: &Key, patch: &Value) {
    if patch.get("status").is_some() {
        merge(cluster, key, Part::Status, patch);
    }
    let mut rest = patch.clone();
    rest.as_object_mut().unwrap().remove("status");
    if rest != json!({}) {
        merge(cluster, key, Part::Main, &rest);
    }
}

/// An action that was carried out.
struct Done<'a> {
    before: &'a Value,
    /// The object after each round.
    way: Vec<Value>,
}

impl Done<'_> {
    fn end(&self) -> &Value {
        self.way.last().unwrap()
    }

    /// Whether the object was that way before the action, or whether its update is bound to fail.
    fn was(&self, what: &str) -> bool {
        let before = self.before;
        let generation = before["metadata"]["generation"].to_string();
        match what {
            "aborted" => before["status"]["abort"] == true,
            "about to be aborted" => {
                before["status"]["abort"] == true && before["status"]["phase"] != "Degraded"
            }
            "never stable" => before["status"].get("stableRS").is_none(),
            "not measurable" => text(before, "/status/message").contains("cannot measure"),
            "paused by hand" => before["spec"]["paused"] == true,
            "unobserved" => text(before, "/status/observedGeneration") != generation,
            "invalid" => text(before, "/status/message").starts_with("InvalidSpec"),
            "broken" => {
                let image = text(before, "/spec/template/spec/containers/0/image");
                image == "app:4"
            }
            what => panic!("{what}"),
        }
    }

    fn same(&self, pointer: &str) -> Result<(), String> {
        let (before, after) = (self.before.pointer(pointer), self.end().pointer(pointer));
        if before == after {
            return Ok(());
        }
        Err(format!("{pointer}: {before:?} became {after:?}"))
    }

    fn ends(&self, pointer: &str, expected: &Value) -> Result<(), String> {
        let found = self.end().pointer(pointer).unwrap_or(&Value::Null);
        if found == expected {
            return Ok(());
        }
        Err(format!("{pointer} is {found}, and not {expected}"))
    }

    fn passes(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Result<(), String> {
        let phases: Vec<&str> = self
            .way
            .iter()
            .map(|it| text(it, "/status/phase"))
            .collect();
        let found = self.way.iter().any(holds);
        found
            .then_some(())
            .ok_or_else(|| format!("never {what}: {phases:?}"))
    }

    /// What the action promises.
    fn kept(&self, action: &Action) -> Result<(), String> {
        if action.name == "terminate" {
            let open = ["", "Pending", "Running"];
            let ended = |it: &Value| !open.contains(&text(it, "/status/phase"));
            return self.passes("at its end", ended);
        }
        if self.was("unobserved") || self.was("invalid") {
            // Another spec, or none, decides what becomes of it: it comes to rest, with no promise broken.
            return Ok(());
        }
        let index = |it: &Value| it["status"]["currentStepIndex"].as_i64().unwrap_or(-1);
        match action.name.as_str() {
            "abort" if self.was("never stable") => {
                // There is nothing to go back to; the first deployment goes on.
                self.ends("/status/abort", &Value::Null)?;
                self.ends("/status/phase", &json!("Healthy"))
            }
            "abort" => {
                self.ends("/status/abort", &json!(true))?;
                self.same("/status/stableRS")?;
                if let Some(weight) = self.end().pointer("/status/canary/weights/canary/weight") {
                    assert_eq!(*weight, 0);
                }
                if self.was("paused by hand") {
                    return Ok(());
                }
                self.ends("/status/phase", &json!("Degraded"))
            }
            "retry" => {
                let begins = |it: &Value| {
                    it["status"].get("abort").is_none() && it["status"]["phase"] != "Degraded"
                };
                self.passes("begun again", begins)
            }
            "promote-full" if self.was("about to be aborted") => {
                self.same("/status/stableRS")?;
                self.ends("/status/phase", &json!("Degraded"))
            }
            "promote-full" if self.was("broken") || self.was("paused by hand") => {
                self.same("/status/stableRS")
            }
            "promote-full" => {
                let current = self.end()["status"]["currentPodHash"].clone();
                self.ends("/status/stableRS", &current)?;
                self.ends("/status/promoteFull", &Value::Null)?;
                self.ends("/status/phase", &json!("Healthy"))
            }
            "resume" => {
                self.passes("out of the pause", |it| it["status"]["phase"] != "Paused")?;
                let paused = self.end().pointer("/spec/paused");
                assert_ne!(paused, Some(&json!(true)));
                Ok(())
            }
            "skip-current-step" if self.was("aborted") => {
                self.ends("/status/phase", &json!("Degraded"))?;
                self.same("/status/stableRS")
            }
            "skip-current-step" => {
                let from = index(self.before);
                let kept = self.way.iter().take(3).all(|it| index(it) > from);
                kept.then_some(())
                    .ok_or_else(|| "the step was gone back to".to_owned())
            }
            "pause" => {
                self.same("/status/stableRS")?;
                if self.was("not measurable") {
                    // Measurements go on beside a pause, and an update that fails them is given up in spite of it.
                    return self.ends("/status/abort", &json!(true));
                }
                self.same("/status/currentStepIndex")?;
                self.ends("/status/phase", &json!("Paused"))
            }
            "restart" if self.was("paused by hand") || self.was("broken") => Ok(()),
            "restart" => {
                let at = self.end()["spec"]["restartAt"].clone();
                self.ends("/status/restartedAt", &at)
            }
            name => Err(format!("{name} is an action that nothing is known of")),
        }
    }
}

/// The patch of an action; a restart is asked for now, and not when the vector was made.
fn patch_now(action: &Action, now: Timestamp) -> Value {
    let mut patch = Value::Object(action.patch.clone());
    if let Some(at) = patch.pointer_mut("/spec/restartAt") {
        const FORMAT: &str = "%Y-%m-%dT%H:%M:%SZ";
        let written = at.as_str().unwrap();
        let parsed: Timestamp = written.parse().unwrap();
        assert_eq!(written, parsed.strftime(FORMAT).to_string());
        *at = json!(now.strftime(FORMAT).to_string());
    }
    patch
}

fn carry_out(moment: &Moment, action: &Action) -> Result<(), String> {
    let mut cluster = moment.cluster.clone();
    let key = Key::of(&moment.object);
    let patch = patch_now(action, cluster.store.now);
    send(&mut cluster, &key, &patch);
    let mut way = Vec::new();
    go(&mut cluster, |cluster| {
        // Runs that nobody needs any more are deleted.
        way.extend(cluster.store.get(&key).cloned());
    });
    let done = Done {
        before: &moment.object,
        way,
    };
    done.kept(action)
}

#[test]
fn every_action_that_argo_cd_offers_does_what_it_says() {
    let vectors: Vec<Vector> = serde_json::from_str(VECTORS).unwrap();
    let vectors: BTreeMap<&str, &Vector> =
        vectors.iter().map(|it| (it.name.as_str(), it)).collect();
    let mut carried_out: BTreeMap<&str, u32> = BTreeMap::new();
    let mut failures = Vec::new();
    for moment in moments() {
        let Some(vector) = vectors.get(moment.name.as_str()) else {
            panic!("no answer for {}: run e2e/vectors/health", moment.name);
        };
        for action in vector.actions.iter().filter(|action| !action.disabled) {
            // The one script that can fail asks for the step of a Rollout that has not come to one.
            if !action.error.is_empty() {
                assert_eq!(action.name, "skip-current-step", "{}", action.error);
                assert!(moment.object["status"].get("currentStepIndex").is_none());
                continue;
            }
            *carried_out.entry(&action.name).or_default() += 1;
            if let Err(why) = carry_out(&moment, action) {
                failures.push(format!("{}: {}: {why}", moment.name, action.name));
            }
        }
    }
    println!("{carried_out:?}");
    assert!(
        failures.is_empty(),
        "{} of {carried_out:?}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    for name in [
        "abort",
        "pause",
        "promote-full",
        "restart",
        "resume",
        "retry",
        "skip-current-step",
        "terminate",
    ] {
        let count = carried_out.get(name).copied().unwrap_or_default();
        assert!(count > 0, "{name} was never carried out");
    }
}
