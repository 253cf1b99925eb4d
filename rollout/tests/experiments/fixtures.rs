//! A cluster with one Experiment as plain data, and a loop that decides, applies effects, and lets pods become ready.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sluice_analysis::template::Templates;
use sluice_crds::Time;
use sluice_crds::analysis::{AnalysisRun, MetricResult};
use sluice_crds::experiment::{Experiment, ExperimentSpec, ExperimentStatus};
use sluice_rollout::experiment::{
    Effect, NewService, OwnedService, Plan, Refused, World, decide, request,
};
use sluice_rollout::{EventNote, Reason, ReplicaSet, Settings};

/// The cluster.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) experiment: Experiment,
    pub(crate) sets: Vec<ReplicaSet>,
    pub(crate) services: Vec<OwnedService>,
    pub(crate) made: Vec<NewService>,
    pub(crate) runs: Vec<AnalysisRun>,
    pub(crate) templates: Templates,
    pub(crate) routed: BTreeSet<String>,
    pub(crate) refused: Vec<Refused>,
    pub(crate) now: Timestamp,
    /// `--instance-id`.
    pub(crate) instance_id: String,
    /// Templates whose pods never become ready.
    pub(crate) broken: Vec<&'static str>,
    /// Phase and message that a run gets, by metric; without an entry it stays Running.
    pub(crate) verdicts: BTreeMap<&'static str, (&'static str, &'static str)>,
    pub(crate) events: Vec<EventNote>,
    pub(crate) rollout_events: Vec<EventNote>,
    /// Every effect, in order.
    pub(crate) log: Vec<String>,
    version: u64,
}

/// One template with a port.
pub(crate) fn template(name: &str) -> Value {
    json!({
        "name": name,
        "selector": { "matchLabels": { "app": name } },
        "template": {
            "metadata": { "labels": { "app": name } },
            "spec": { "containers": [{ "name": "web", "image": format!("web:{name}"),
                "ports": [{ "containerPort": 8080 }] }] }
        }
    })
}

/// A spec with the templates `old` and `new` and whatever is added.
pub(crate) fn spec(more: Value) -> Value {
    let mut spec = json!({ "templates": [template("old"), template("new")] });
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec
}

impl Cluster {
    /// A cluster in which nothing has happened yet.
    pub(crate) fn new(spec: Value) -> Self {
        let spec: ExperimentSpec = serde_json::from_value(spec).unwrap();
        let mut experiment = Experiment::new("exp", spec);
        experiment.metadata.namespace = Some("shop".to_owned());
        experiment.metadata.uid = Some("experiment-uid".to_owned());
        experiment.metadata.resource_version = Some("1".to_owned());
        let mut templates = Templates::new();
        for metric in ["errors", "latency"] {
            let spec = json!({
                "args": [{ "name": "at", "value": "never" }],
                "metrics": [{ "name": metric, "successCondition": "result < 0.01",
                    "provider": { "prometheus": { "address": "http://prometheus", "query": "{{args.at}}" } } }]
            });
            templates.insert(metric, serde_json::from_value(spec).unwrap());
        }
        Self {
            experiment,
            sets: Vec::new(),
            services: Vec::new(),
            made: Vec::new(),
            runs: Vec::new(),
            templates,
            routed: BTreeSet::new(),
            refused: Vec::new(),
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
            instance_id: String::new(),
            broken: Vec::new(),
            verdicts: BTreeMap::new(),
            events: Vec::new(),
            rollout_events: Vec::new(),
            log: Vec::new(),
            version: 1,
        }
    }

    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now = self
            .now
            .checked_add(SignedDuration::from_secs(seconds))
            .unwrap();
    }

    pub(crate) fn terminate(&mut self) {
        self.experiment.spec.terminate = Some(true);
    }

    pub(crate) fn plan(&self) -> Plan {
        let settings = Settings {
            instance_id: self.instance_id.clone(),
        };
        let world = World {
            experiment: &self.experiment,
            replica_sets: &self.sets,
            services: &self.services,
            analysis_runs: &self.runs,
            templates: &self.templates,
            routed: &self.routed,
            refused: &self.refused,
            settings: &settings,
        };
        let plan = decide(&world, self.now);
        let before = self.experiment.status.clone().unwrap_or_default();
        let writes = !plan.effects.is_empty() || plan.status != before;
        assert!(!writes || !plan.reasons.contains(&Reason::Settled));
        plan
    }

    /// Decides and applies, once; true when something was written.
    pub(crate) fn pass(&mut self) -> bool {
        let plan = self.plan();
        for effect in &plan.effects {
            self.apply(effect);
        }
        self.events.extend(plan.events.iter().cloned());
        self.rollout_events
            .extend(plan.rollout_events.iter().cloned());
        self.write(&plan.status) || !plan.effects.is_empty()
    }

    /// Decides and applies the first `writes` writes only, as a crash would leave it.
    pub(crate) fn crash_after(&mut self, writes: usize) {
        let plan = self.plan();
        for effect in plan.effects.iter().take(writes) {
            self.apply(effect);
        }
        if writes > plan.effects.len() {
            self.write(&plan.status);
        }
    }

    fn write(&mut self, status: &ExperimentStatus) -> bool {
        if self.experiment.status.as_ref() == Some(status) {
            return false;
        }
        let text = serde_json::to_string(status).unwrap();
        self.experiment.status = Some(serde_json::from_str(&text).unwrap());
        assert_eq!(self.experiment.status.as_ref(), Some(status));
        true
    }

    /// Pods appear and become available; runs get their verdict. True when something changed.
    pub(crate) fn tick(&mut self) -> bool {
        let mut moved = false;
        for set in &mut self.sets {
            let broken = self
                .broken
                .iter()
                .any(|name| set.name == format!("exp-{name}"));
            let ready = if broken { 0 } else { set.replicas };
            if (set.current, set.available) != (set.replicas, ready) {
                (set.current, set.ready, set.available) = (set.replicas, ready, ready);
                self.version += 1;
                set.resource_version = self.version.to_string();
                moved = true;
            }
        }
        for run in &mut self.runs {
            let metric = run.spec.metrics.as_ref().unwrap()[0].name.clone();
            let status = run.status.get_or_insert_default();
            let (phase, message) = match self.verdicts.get(metric.as_str()) {
                Some(verdict) => *verdict,
                None if run.spec.terminate == Some(true) => ("Successful", "Run Terminated"),
                None => ("Running", ""),
            };
            let measured = self.verdicts.contains_key(metric.as_str());
            if ["", "Running"].contains(&status.phase.as_str()) && status.phase != phase {
                status.phase = phase.to_owned();
                status.message = (!message.is_empty()).then(|| message.to_owned());
                status.metric_results = measured.then(|| {
                    vec![MetricResult {
                        name: metric,
                        count: Some(1),
                        ..MetricResult::default()
                    }]
                });
                moved = true;
            }
        }
        moved
    }

    fn apply(&mut self, effect: &Effect) {
        self.version += 1;
        let version = self.version.to_string();
        // Every effect is a request that names what it is for.
        assert!(!format!("{:?}", request::of_effect(&self.experiment, effect)).is_empty());
        match effect {
            Effect::CreateReplicaSet(new) => {
                self.log.push(format!("create {}", new.name));
                if self.sets.iter().any(|set| set.name == new.name) {
                    return;
                }
                self.sets.push(ReplicaSet {
                    name: new.name.clone(),
                    uid: format!("uid-{}", new.name),
                    resource_version: version,
                    created: self.now,
                    deleting: false,
                    labels: new.labels.clone(),
                    annotations: new.annotations.clone(),
                    owner: self.experiment.metadata.uid.clone(),
                    other_owners: Vec::new(),
                    replicas: 0,
                    min_ready_seconds: new.min_ready_seconds,
                    template: new.template.clone(),
                    current: 0,
                    ready: 0,
                    available: 0,
                    failure: None,
                });
            }
            Effect::ScaleReplicaSet {
                name,
                precondition,
                from,
                to,
            } => {
                self.log.push(format!("scale {name} {from} -> {to}"));
                let set = self.sets.iter_mut().find(|set| set.name == *name).unwrap();
                assert_eq!(set.resource_version, precondition.resource_version);
                set.replicas = *to;
                set.available = set.available.min(*to);
                set.resource_version = version;
            }
            Effect::AnnotateReplicaSet {
                name,
                precondition,
                annotations,
            } => {
                self.log.push(format!("annotate {name}"));
                let set = self.sets.iter_mut().find(|set| set.name == *name).unwrap();
                assert_eq!(set.resource_version, precondition.resource_version);
                for (key, value) in annotations {
                    set.annotations.insert(key.clone(), value.clone().unwrap());
                }
                set.resource_version = version;
            }
            Effect::CreateService(new) => {
                self.log.push(format!("service {}", new.name));
                if self.services.iter().any(|known| known.name == new.name) {
                    return;
                }
                self.made.push(new.clone());
                self.services.push(OwnedService {
                    name: new.name.clone(),
                    uid: format!("uid-{}", new.name),
                    resource_version: version,
                    annotations: new.annotations.clone(),
                    deleting: false,
                });
            }
            Effect::DeleteService { name, .. } => {
                self.log.push(format!("delete service {name}"));
                self.services.retain(|service| service.name != *name);
            }
            Effect::CreateAnalysisRun(run) => {
                let name = run.metadata.name.clone().unwrap();
                self.log.push(format!("measure {name}"));
                let mut known = self.runs.iter();
                if known.any(|known| known.metadata.name == run.metadata.name) {
                    return;
                }
                let mut run = (**run).clone();
                run.metadata.creation_timestamp = Some(Time(self.now));
                self.runs.push(run);
            }
            Effect::TerminateAnalysisRun { name } => {
                self.log.push(format!("terminate {name}"));
                let mut runs = self.runs.iter_mut();
                let run = runs.find(|run| run.metadata.name.as_ref() == Some(name));
                run.unwrap().spec.terminate = Some(true);
            }
        }
    }

    /// Passes and pods, until nothing changes; time stands still.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100 {
            let written = self.pass();
            let moved = self.tick();
            if !written && !moved {
                let plan = self.plan();
                assert!(plan.effects.is_empty() && plan.events.is_empty());
                return;
            }
        }
        panic!("it does not come to rest\n{:#?}", self.plan());
    }

    /// Settles, then jumps to the next time that the plan asks for, until it is over and its pods are gone.
    pub(crate) fn run_to_the_end(&mut self) {
        for _ in 0..50 {
            self.settle();
            let gone = self.sets.iter().all(|set| set.replicas == 0);
            if gone && self.status().phase.as_deref().is_some_and(over) {
                return;
            }
            match self.plan().wake_at {
                Some(at) if at > self.now => self.now = at,
                _ => break,
            }
        }
        panic!("it does not end\n{:#?}", self.status());
    }

    pub(crate) fn status(&self) -> &ExperimentStatus {
        self.experiment.status.as_ref().unwrap()
    }

    pub(crate) fn phase(&self) -> &str {
        self.status().phase.as_deref().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.status().message.as_deref().unwrap_or_default()
    }

    pub(crate) fn template(&self, name: &str) -> (&str, &str) {
        let mut all = self.status().template_statuses.iter().flatten();
        let status = all.find(|status| status.name == name).unwrap();
        (
            status.status.as_deref().unwrap_or_default(),
            status.message.as_deref().unwrap_or_default(),
        )
    }

    pub(crate) fn analysis(&self, name: &str) -> (&str, &str) {
        let mut all = self.status().analysis_runs.iter().flatten();
        let status = all.find(|status| status.name == name).unwrap();
        (
            status.phase.as_str(),
            status.message.as_deref().unwrap_or_default(),
        )
    }

    pub(crate) fn event_reasons(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.reason).collect()
    }

    pub(crate) fn messages(&self) -> Vec<&str> {
        self.events
            .iter()
            .map(|event| event.message.as_str())
            .collect()
    }

    /// The state without what may differ between two ways to the same end: times, versions.
    pub(crate) fn end(&self) -> Value {
        let status = self.status();
        let templates: Vec<Value> = status
            .template_statuses
            .iter()
            .flatten()
            .map(|it| json!([it.name, it.status, it.message, it.replicas, it.service_name]))
            .collect();
        json!({
            "phase": status.phase, "message": status.message, "templates": templates,
            "runs": status.analysis_runs,
            "sets": self.sets.iter().map(|set| (&set.name, set.replicas)).collect::<BTreeMap<_, _>>(),
            "services": self.services.iter().map(|it| &it.name).collect::<BTreeSet<_>>(),
            "made": self.runs.iter().map(|run| (run.metadata.name.clone().unwrap(), run.spec.terminate))
                .collect::<BTreeMap<_, _>>(),
        })
    }
}

/// Whether a phase is final.
pub(crate) fn over(phase: &str) -> bool {
    ["Successful", "Failed", "Error", "Inconclusive"].contains(&phase)
}
