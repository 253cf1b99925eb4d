//! A cluster with one Rollout, or one Experiment, and the controller that looks after it: lets things happen, and has every
//! transition judged. How it comes to rest is in `rest`.

mod rest;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::controller::{Around, Controller, Faults, Pass, Write};
use crate::coverage::Coverage;
use crate::metrics::Metrics;
use crate::oracle::pace::Pace;
use crate::oracle::{Broken, Oracle};
use crate::schedule::{Fault, KINDS, Order, Outage, Step, Target};
use crate::store::{Change, Key, Object, Refusal, Store};

/// A cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The API server.
    pub store: Store,
    /// The controller.
    pub controller: Controller,
    /// Prometheus and the pods.
    pub metrics: Metrics,
    /// Strategies that [`Order::Strategy`] chooses from.
    pub strategies: Vec<Value>,
    /// What occurred so far.
    pub coverage: Coverage,
    /// Whether updates to good images must end well once faults have stopped.
    pub ends_well: bool,
    main: Key,
    workload: Option<Key>,
    routes: Vec<(Key, Value)>,
    oracle: Oracle,
    pace: Pace,
    api_down: bool,
    quota: bool,
}

impl Cluster {
    /// A cluster with these objects. The first Rollout among them, or the first Experiment if there is none, is what the
    /// cluster is about.
    #[must_use]
    pub fn new(objects: &[Value], metrics: Metrics, now: Timestamp) -> Self {
        let mut store = Store::new(now);
        let keys: Vec<Key> = objects.iter().map(Key::of).collect();
        let first = |kinds: &[&str]| {
            let mut found = keys.iter().filter(|key| kinds.contains(&key.kind.as_str()));
            found.next().cloned()
        };
        let main = first(&["Rollout"]).or_else(|| first(&["Experiment"]));
        let main = main.unwrap_or_else(|| Key::new("Rollout", "", ""));
        let mut routes = Vec::new();
        for object in objects {
            if Key::of(object).kind == "HTTPRoute" {
                routes.push((Key::of(object), object["spec"].clone()));
            }
            // Two objects of one name would be a defect of the fixture; the run shows it at once.
            let _ = store.create(object.clone());
        }
        let workload = main.kind == "Rollout" && !main.name.is_empty();
        Self {
            workload: first(&["Deployment", "PodTemplate"]).filter(|_| workload),
            oracle: Oracle::new(main.clone()),
            store,
            controller: Controller::default(),
            metrics,
            strategies: Vec::new(),
            coverage: Coverage::default(),
            ends_well: true,
            main,
            routes,
            pace: Pace::default(),
            api_down: false,
            quota: false,
        }
    }

    /// Names objects that nobody may touch.
    #[must_use]
    pub fn with_bystanders(mut self, keys: &[Key]) -> Self {
        self.oracle.bystanders = keys.iter().cloned().collect();
        self
    }

    /// The Rollout as it is now.
    #[must_use]
    pub fn rollout(&self) -> Option<&Value> {
        self.store.get(&self.main)
    }

    /// The Rollout, or the Experiment, that the cluster is about.
    #[must_use]
    pub fn main(&self) -> Option<&Arc<Object>> {
        self.store.object(&self.main)
    }

    /// Lets one thing happen.
    ///
    /// # Errors
    /// When a promise is broken.
    pub fn step(&mut self, step: Step) -> Result<(), Broken> {
        match step {
            Step::Deliver { kind, changes } => {
                if let Some(kind) = KINDS.get(kind).filter(|_| !self.api_down) {
                    self.controller.view.deliver(&self.store, kind, changes);
                }
            }
            Step::CatchUp => self.catch_up(),
            Step::Relist => {
                self.coverage.fault("relist");
                self.controller.relist(&self.store);
            }
            Step::Pass { nth, fault } => {
                let keys = self.controller.keys();
                if let Some(key) = nth.checked_rem(keys.len()).and_then(|nth| keys.get(nth)) {
                    self.pass(key, fault)?;
                }
            }
            Step::Due => {
                self.hear();
                for key in self.controller.take_due(&self.store) {
                    self.pass(&key, None)?;
                }
            }
            Step::Restart => {
                self.coverage.fault("restart");
                self.controller.restart(&self.store);
            }
            Step::Workloads => self.metrics.workloads.reconcile(&mut self.store),
            Step::Advance { seconds } => self.advance(SignedDuration::from_secs(seconds)),
            Step::Clock { ahead } => {
                self.coverage.fault("clock jump");
                self.controller.skew = SignedDuration::from_secs(ahead);
            }
            Step::CrashPods { nth } => {
                let sets: Vec<Arc<Object>> = self.store.objects("ReplicaSet").cloned().collect();
                if let Some(set) = nth.checked_rem(sets.len()).and_then(|nth| sets.get(nth)) {
                    self.coverage.fault("crash of pods");
                    self.metrics.workloads.crash(set, self.store.now);
                }
            }
            Step::Outage(outage, begins) => self.disturb(outage, begins),
            Step::Order(order) => self.order(order),
        }
        Ok(())
    }

    fn catch_up(&mut self) {
        if !self.api_down {
            self.controller.view.catch_up(&self.store);
            // What every watch has seen is asked for by nobody.
            self.store.compact(self.store.version());
        }
    }

    /// Wakes what the caches and the pods tell of.
    fn hear(&mut self) {
        self.controller.wake_for_news();
        if self.metrics.workloads.take_changed() {
            self.controller.wake_rollouts();
        }
    }

    /// One pass of the controller over one object.
    ///
    /// # Errors
    /// When a promise is broken.
    pub fn pass(&mut self, key: &Arc<Key>, fault: Option<Fault>) -> Result<Pass, Broken> {
        let mut faults = Faults {
            silent_from: self.api_down.then_some(0),
            quota: self.quota,
            ..Faults::default()
        };
        match fault {
            Some(Fault::CrashBefore(number)) => faults.crash_before = Some(number),
            Some(Fault::LoseAnswer(number)) => faults.lose_answer = Some(number),
            Some(Fault::SilentFrom(number)) => {
                faults.silent_from.get_or_insert(number);
            }
            None => {}
        }
        let oracle = &self.oracle;
        let mut broken = None;
        let mut observe = |store: &Store, write: &Write, changes: &[Change]| {
            if broken.is_none() {
                broken = oracle.after(store, write, changes);
            }
        };
        let around = Around {
            store: &mut self.store,
            metrics: &mut self.metrics,
            faults,
            observe: &mut observe,
            coverage: &mut self.coverage,
        };
        let pass = self.controller.pass(key, around);
        self.store.collect_garbage();
        match &pass {
            Pass::Crashed(_) => {
                self.coverage.fault("crash");
                self.controller.restart(&self.store);
            }
            Pass::Refused(refusal) => self.coverage.fault(refused(refusal)),
            Pass::Unsafe(what) => {
                return Err(Broken {
                    promise: "nothing unsafe is decided",
                    seen: what.clone(),
                });
            }
            _ => {}
        }
        broken.map_or(Ok(pass), Err)
    }

    fn disturb(&mut self, outage: Outage, begins: bool) {
        match outage {
            Outage::Metrics => self.metrics.outage = begins,
            Outage::Api => self.api_down = begins,
            Outage::Evictions => self.metrics.workloads.refuses_evictions = begins,
            Outage::Quota => self.quota = begins,
        }
    }

    fn advance(&mut self, by: SignedDuration) {
        if let Ok(now) = self.store.now.checked_add(by) {
            self.store.now = now;
        }
    }

    /// Carries out an order of a person.
    pub fn order(&mut self, order: Order) {
        self.coverage.order(order.name());
        self.pace = Pace::default();
        order.carry_out(Target {
            store: &mut self.store,
            rollout: Some(&self.main).filter(|main| main.kind == "Rollout"),
            workload: self.workload.as_ref(),
            strategies: &self.strategies,
            routes: &self.routes,
        });
        self.store.collect_garbage();
    }
}

fn refused(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::NotFound(_) => "not found",
        Refusal::AlreadyExists(_) => "already exists",
        Refusal::Conflict(_) => "conflict",
        Refusal::Invalid(..) => "refused as invalid",
        Refusal::Forbidden(_) => "refused by a quota",
        Refusal::Unavailable(_) => "dropped plan",
    }
}
