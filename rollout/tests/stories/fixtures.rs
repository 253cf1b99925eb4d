//! A cluster as plain data, and a loop that decides, applies effects, and lets pods become ready, until nothing changes.
//!
//! Every effect is checked against the safety invariants before it is applied. Nothing here knows what a right decision
//! is; the stories say it.

mod api;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sluice_analysis::template::Templates;
use sluice_crds::analysis::{AnalysisRun, AnalysisTemplateSpec};
use sluice_crds::experiment::Experiment;
use sluice_crds::names;
use sluice_crds::pod_template::PodTemplate;
use sluice_crds::rollout::{Rollout, RolloutStatus};
use sluice_crds::split::{ObservedSplit, ShownRoutes};
use sluice_rollout::{
    EventNote, Plan, Pod, ReplicaSet, Service, Settings, World, decide, invariants,
};

/// How an AnalysisRun comes out, by the name of its first template's metric.
pub(crate) type Verdicts = BTreeMap<String, (&'static str, &'static str)>;

/// The cluster.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) rollout: Rollout,
    pub(crate) sets: Vec<ReplicaSet>,
    pub(crate) services: BTreeMap<String, Service>,
    /// The workload that is referred to.
    pub(crate) workload: Option<Value>,
    /// Whether disruption budgets refuse evictions.
    pub(crate) disruption_refused: bool,
    /// The live pods.
    pub(crate) live: Vec<Pod>,
    pub(crate) runs: Vec<AnalysisRun>,
    pub(crate) experiments: Vec<Experiment>,
    pub(crate) templates: Templates,
    /// What each router says; empty without traffic routing.
    pub(crate) routes: Vec<Result<i32, String>>,
    pub(crate) accepted: Option<bool>,
    /// The header and mirror routes that each router shows; `None` when they carry none.
    pub(crate) managed: Option<ShownRoutes>,
    /// Services of experiments that the routes have, with their weights.
    pub(crate) shares: Vec<(String, i32)>,
    pub(crate) now: Timestamp,
    /// Images whose pods never become ready.
    pub(crate) broken: Vec<&'static str>,
    /// Images of which only so many pods become ready.
    pub(crate) few: BTreeMap<&'static str, i32>,
    /// Phase and message that a run gets, by metric; without an entry it stays Running.
    pub(crate) verdicts: Verdicts,
    pub(crate) events: Vec<EventNote>,
    /// Every split that was told, in order.
    pub(crate) weights: Vec<i32>,
    /// Every effect, in order, in one word each with its object.
    pub(crate) log: Vec<String>,
    version: u64,
}

/// A Rollout of `replicas` pods with these steps; `routed` gives it a router and two Services.
pub(crate) fn rollout(replicas: i32, steps: Value, routed: bool) -> Value {
    let mut canary = json!({ "steps": steps });
    if routed {
        canary["canaryService"] = json!("web-canary");
        canary["stableService"] = json!("web-stable");
        canary["trafficRouting"] = json!({ "nginx": { "stableIngress": "web" } });
    }
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": { "name": "web", "namespace": "shop", "uid": "rollout-uid", "generation": 1 },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": "web:1" }] }
            },
            "strategy": { "canary": canary }
        }
    })
}

/// A Rollout of `replicas` pods with a preview Service and these further fields of `blueGreen`.
pub(crate) fn blue_green(replicas: i32, fields: Value) -> Value {
    let mut object = rollout(replicas, json!([]), false);
    let mut strategy = json!({ "activeService": "web-active", "previewService": "web-preview" });
    for (key, value) in fields.as_object().unwrap() {
        strategy[key] = value.clone();
    }
    object["spec"]["strategy"] = json!({ "blueGreen": strategy });
    object
}

/// The same as the analysis of a step or of the background.
pub(crate) fn analysis(template: &str) -> Value {
    json!({ "templates": [{ "templateName": template }] })
}

impl Cluster {
    /// A cluster in which nothing has happened yet.
    pub(crate) fn new(rollout: Value) -> Self {
        let routed = rollout
            .pointer("/spec/strategy/canary/trafficRouting")
            .is_some();
        let mut cluster = Self {
            rollout: serde_json::from_value(rollout).unwrap(),
            sets: Vec::new(),
            services: BTreeMap::new(),
            workload: None,
            disruption_refused: false,
            live: Vec::new(),
            runs: Vec::new(),
            experiments: Vec::new(),
            templates: Templates::new(),
            routes: if routed { vec![Ok(0)] } else { Vec::new() },
            accepted: None,
            managed: None,
            shares: Vec::new(),
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
            broken: Vec::new(),
            few: BTreeMap::new(),
            verdicts: Verdicts::new(),
            events: Vec::new(),
            weights: Vec::new(),
            log: Vec::new(),
            version: 1,
        };
        cluster.touch_rollout();
        let strategy = cluster.rollout.spec.strategy.clone().unwrap();
        let canary = strategy.canary.unwrap_or_default();
        let blue_green = strategy.blue_green.unwrap_or_default();
        let pair = canary.ping_pong.unwrap_or_default();
        for name in [
            canary.canary_service,
            canary.stable_service,
            blue_green.active_service,
            blue_green.preview_service,
            pair.ping_service,
            pair.pong_service,
        ]
        .into_iter()
        .flatten()
        {
            cluster.add_service(&name);
        }
        for metric in ["errors", "latency"] {
            cluster.add_template(metric);
        }
        cluster
    }

    /// A cluster in which `web:1` is promoted, with a clean record.
    pub(crate) fn deployed(rollout: Value) -> Self {
        let mut cluster = Self::new(rollout);
        cluster.settle();
        assert_eq!(cluster.phase(), "Healthy", "{}", cluster.describe());
        cluster.events.clear();
        cluster.weights.clear();
        cluster.log.clear();
        cluster
    }

    pub(crate) fn add_service(&mut self, name: &str) {
        let object = json!({
            "metadata": { "name": name, "uid": format!("uid-{name}"), "resourceVersion": "1" },
            "spec": { "selector": { "app": "web" } }
        });
        self.services
            .insert(name.to_owned(), Service::from_object(&object));
    }

    fn add_template(&mut self, metric: &str) {
        let spec = json!({ "metrics": [{
            "name": metric, "interval": "10s", "count": 3, "successCondition": "result < 0.01",
            "provider": { "prometheus": { "address": "http://prometheus", "query": "errors" } }
        }] });
        self.templates.insert(
            metric,
            serde_json::from_value::<AnalysisTemplateSpec>(spec).unwrap(),
        );
    }

    fn version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    fn touch_rollout(&mut self) {
        let version = self.version();
        self.rollout.metadata.resource_version = Some(version);
    }

    /// What a person or Git changes.
    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut Rollout)) {
        edit(&mut self.rollout);
        self.rollout.metadata.generation =
            self.rollout.metadata.generation.map(|number| number + 1);
        self.touch_rollout();
    }

    pub(crate) fn set_image(&mut self, image: &str) {
        let template: PodTemplate = serde_json::from_value(json!({
            "metadata": { "labels": { "app": "web" } },
            "spec": { "containers": [{ "name": "web", "image": image }] }
        }))
        .unwrap();
        self.edit(|rollout| rollout.spec.template = Some(template));
    }

    pub(crate) fn scale(&mut self, replicas: i32) {
        self.edit(|rollout| rollout.spec.replicas = Some(replicas));
    }

    /// Another strategy, as JSON.
    pub(crate) fn set_strategy(&mut self, strategy: Value) {
        let strategy = serde_json::from_value(strategy).unwrap();
        self.edit(|rollout| rollout.spec.strategy = Some(strategy));
    }

    /// What the command line writes into the status.
    pub(crate) fn patch_status(&mut self, patch: impl FnOnce(&mut RolloutStatus)) {
        patch(self.rollout.status.as_mut().unwrap());
        self.touch_rollout();
    }

    pub(crate) fn abort(&mut self) {
        self.patch_status(|status| status.abort = Some(true));
    }

    pub(crate) fn retry(&mut self) {
        self.patch_status(|status| status.abort = Some(false));
    }

    /// `promote`: goes on from a pause, or over the step.
    pub(crate) fn promote(&mut self) {
        self.patch_status(|status| {
            if status.pause_conditions.take().is_none() {
                status.current_step_index = status.current_step_index.map(|index| index + 1);
            }
        });
    }

    pub(crate) fn promote_fully(&mut self) {
        self.patch_status(|status| status.promote_full = Some(true));
    }

    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now = self
            .now
            .checked_add(SignedDuration::from_secs(seconds))
            .unwrap();
    }

    /// One decision on the cluster as it is.
    pub(crate) fn plan(&self) -> Plan {
        let observed: Vec<ObservedSplit> = self
            .routes
            .iter()
            .enumerate()
            .map(|(index, canary)| ObservedSplit {
                object: format!("Ingress shop/web-{index}"),
                field: "spec.strategy.canary.trafficRouting.nginx.stableIngress".to_owned(),
                canary: canary.clone().map(|weight| self.of_canary(weight)),
                accepted: self.accepted,
                routes: self.managed.clone(),
                additional: self.shares.clone(),
            })
            .collect();
        self.with_world(&observed, |world| {
            let plan = decide(world, self.now);
            for effect in &plan.effects {
                if let Err(violation) = invariants::check(world, effect) {
                    panic!("{violation}\n{effect:?}\n{}", self.describe());
                }
            }
            plan
        })
    }

    /// Routes hold the weight of the canary Service, or of ping: which is the canary's while pong is stable.
    pub(crate) fn of_canary(&self, weight: i32) -> i32 {
        let canary = self
            .rollout
            .status
            .as_ref()
            .and_then(|it| it.canary.as_ref());
        let pair = self
            .rollout
            .spec
            .canary()
            .and_then(|it| it.ping_pong.as_ref());
        let stable = canary.and_then(|canary| canary.stable_ping_pong.as_deref());
        if pair.is_some() && stable == Some("ping") {
            100 - weight
        } else {
            weight
        }
    }

    pub(crate) fn with_world<T>(
        &self,
        observed: &[ObservedSplit],
        ask: impl FnOnce(&World<'_>) -> T,
    ) -> T {
        let settings = Settings {
            instance_id: String::new(),
        };
        ask(&World {
            rollout: &self.rollout,
            replica_sets: &self.sets,
            services: &self.services,
            pods: &self.live,
            analysis_runs: &self.runs,
            experiments: &self.experiments,
            templates: &self.templates,
            traffic: Ok(observed),
            workload: self.workload.as_ref(),
            settings: &settings,
        })
    }

    /// Decides and applies, once; true when something was written.
    pub(crate) fn pass(&mut self) -> bool {
        let plan = self.plan();
        for effect in &plan.effects {
            self.apply(effect);
        }
        let changed = self.finish(&plan);
        changed || !plan.effects.is_empty()
    }

    /// Decides and applies the first `writes` writes only (effects, then the status), as a crash would leave it.
    pub(crate) fn crash_after(&mut self, writes: usize) {
        let plan = self.plan();
        for effect in plan.effects.iter().take(writes) {
            self.apply(effect);
        }
        if writes > plan.effects.len() {
            self.write_status(&plan.status);
        }
    }

    fn finish(&mut self, plan: &Plan) -> bool {
        self.events.extend(plan.events.iter().cloned());
        self.write_status(&plan.status)
    }

    fn write_status(&mut self, status: &RolloutStatus) -> bool {
        if self.rollout.status.as_ref() == Some(status) {
            return false;
        }
        // As it comes back from the API.
        let text = serde_json::to_string(status).unwrap();
        self.rollout.status = Some(serde_json::from_str(&text).unwrap());
        assert_eq!(
            self.rollout.status.as_ref(),
            Some(status),
            "the status survives the API"
        );
        self.touch_rollout();
        true
    }

    /// Passes and pods, until nothing changes; time stands still.
    pub(crate) fn settle(&mut self) {
        for _ in 0..300 {
            let written = self.pass();
            let moved = self.tick();
            if !written && !moved {
                let plan = self.plan();
                assert!(
                    plan.effects.is_empty() && plan.events.is_empty(),
                    "{plan:?}"
                );
                return;
            }
        }
        panic!(
            "it does not come to rest\n{}\n{:#?}",
            self.describe(),
            self.plan()
        );
    }

    /// Settles, then jumps to the next time that the plan asks for, until `until` holds.
    pub(crate) fn run_until(&mut self, what: &str, until: impl Fn(&Self) -> bool) {
        for _ in 0..100 {
            self.settle();
            if until(self) {
                return;
            }
            let wake = self.plan().wake_at;
            match wake {
                Some(at) if at > self.now => self.now = at,
                _ => break,
            }
        }
        panic!("never: {what}\n{}", self.describe());
    }

    fn image_of(&self, template: &PodTemplate) -> String {
        template
            .images()
            .first()
            .map(|(_, image)| image.clone())
            .unwrap_or_default()
    }

    fn image(&self, set: &str) -> String {
        let set = self.sets.iter().find(|other| other.name == set).unwrap();
        self.image_of(&set.template)
    }

    fn image_of_hash(&self, hash: &str) -> String {
        self.sets
            .iter()
            .find(|set| set.hash() == Some(hash))
            .map(|set| self.image_of(&set.template))
            .unwrap()
    }

    /// A name with the images in place of hashes.
    fn short(&self, name: &str) -> String {
        let mut name = name.to_owned();
        for set in &self.sets {
            name = name.replace(set.hash().unwrap(), &self.image_of(&set.template));
        }
        name
    }

    pub(crate) fn status(&self) -> &RolloutStatus {
        self.rollout.status.as_ref().unwrap()
    }

    pub(crate) fn phase(&self) -> &str {
        self.status().phase.as_deref().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.status().message.as_deref().unwrap_or_default()
    }

    pub(crate) fn step(&self) -> i32 {
        self.status().current_step_index.unwrap_or(-1)
    }

    pub(crate) fn weight(&self) -> i32 {
        self.of_canary(*self.routes.first().unwrap().as_ref().unwrap())
    }

    /// The set of an image.
    pub(crate) fn set(&self, image: &str) -> &ReplicaSet {
        self.sets
            .iter()
            .find(|set| self.image_of(&set.template) == image)
            .unwrap()
    }

    /// The revision that an image has, or would get.
    pub(crate) fn set_revision(&self, image: &str) -> i64 {
        let others = self
            .sets
            .iter()
            .filter(|set| self.image_of(&set.template) != image);
        let next = others.map(ReplicaSet::revision).max().unwrap_or(0) + 1;
        let own = self
            .sets
            .iter()
            .find(|set| self.image_of(&set.template) == image);
        next.max(own.map_or(0, ReplicaSet::revision))
    }

    /// Pods of an image; 0 without a set.
    pub(crate) fn pods(&self, image: &str) -> i32 {
        self.sets
            .iter()
            .find(|set| self.image_of(&set.template) == image)
            .map_or(0, |set| set.replicas)
    }

    pub(crate) fn stable(&self) -> String {
        self.image_of_hash(self.status().stable_rs.as_deref().unwrap())
    }

    /// The image that a Service selects.
    pub(crate) fn selected(&self, service: &str) -> String {
        self.services[service]
            .hash()
            .map_or_else(String::new, |hash| self.image_of_hash(hash))
    }

    pub(crate) fn reason(&self, condition: &str) -> &str {
        self.status()
            .condition(condition)
            .map_or("", |condition| condition.reason.as_str())
    }

    pub(crate) fn event_reasons(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.reason).collect()
    }

    pub(crate) fn describe(&self) -> String {
        let sets: Vec<String> = self
            .sets
            .iter()
            .map(|set| {
                format!(
                    "{} r{} {}/{}",
                    self.image_of(&set.template),
                    set.revision(),
                    set.available,
                    set.replicas
                )
            })
            .collect();
        format!(
            "sets {sets:?} routes {:?} log {:?}\nstatus {}",
            self.routes,
            self.log,
            serde_json::to_string_pretty(&self.rollout.status).unwrap()
        )
    }

    /// The state with everything that may differ between two ways to the same end left out: times, versions.
    pub(crate) fn end(&self) -> Value {
        let sets: BTreeMap<String, (i32, i64, bool)> = self
            .sets
            .iter()
            .map(|set| {
                let waits = set.annotations.contains_key(names::SCALE_DOWN_DEADLINE);
                (set.name.clone(), (set.replicas, set.revision(), waits))
            })
            .collect();
        let services: BTreeMap<&String, Option<&str>> = self
            .services
            .iter()
            .map(|(name, service)| (name, service.hash()))
            .collect();
        let runs: BTreeMap<String, (Option<bool>, String)> = self
            .runs
            .iter()
            .map(|run| {
                let phase = run
                    .status
                    .as_ref()
                    .map(|status| status.phase.clone())
                    .unwrap_or_default();
                (
                    run.metadata.name.clone().unwrap(),
                    (run.spec.terminate, phase),
                )
            })
            .collect();
        let experiments: BTreeMap<String, (Option<bool>, Option<String>)> = self
            .experiments
            .iter()
            .map(|experiment| {
                let status = experiment.status.as_ref();
                let phase = status.and_then(|status| status.phase.clone());
                let name = experiment.metadata.name.clone().unwrap();
                (name, (experiment.spec.terminate, phase))
            })
            .collect();
        let status = self.status();
        json!({
            "sets": sets, "services": services, "runs": runs, "routes": self.routes,
            "experiments": experiments,
            "phase": status.phase, "message": status.message, "step": status.current_step_index,
            "stable": status.stable_rs, "current": status.current_pod_hash, "abort": status.abort,
            "pauses": status.pause_conditions.iter().flatten().map(|pause| &pause.reason).collect::<Vec<_>>(),
            "conditions": status.conditions.iter().flatten()
                .map(|condition| (&condition.kind, (&condition.status, &condition.reason)))
                .collect::<BTreeMap<_, _>>(),
        })
    }
}
