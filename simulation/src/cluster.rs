//! A cluster with one Rollout, or one Experiment, and the controller that looks after it: lets things happen, and has every
//! transition judged.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::controller::{Around, Controller, Faults, Pass, Write};
use crate::coverage::Coverage;
use crate::metrics::Metrics;
use crate::oracle::pace::Pace;
use crate::oracle::{Broken, Oracle, rest};
use crate::schedule::{Fault, KINDS, Order, Outage, Step, Target};
use crate::store::{Change, Key, Object, Refusal, Store};

/// Rounds after which a cluster that does not come to rest never will.
const ROUNDS: usize = 4_000;
/// Seconds, and looks, without a change of what the cluster is about, after which it rests although something in it goes
/// on: a measurement in the background, say.
const QUIET: (i64, u32) = (200, 24);
/// When a look at what rests must still change nothing.
const LATER: SignedDuration = SignedDuration::from_hours(1);
/// Acts of a person that bring an update to its end.
const ACTS: usize = 24;

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
                    self.metrics.workloads.crash(set.value(), self.store.now);
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

    /// Ends all faults, and what people left half done.
    fn calm(&mut self) {
        for outage in [
            Outage::Metrics,
            Outage::Api,
            Outage::Evictions,
            Outage::Quota,
        ] {
            self.disturb(outage, false);
        }
        self.controller.skew = SignedDuration::ZERO;
        let spec = |pointer: &str| self.rollout().and_then(|it| it.pointer(pointer)).cloned();
        if spec("/spec/paused") == Some(Value::Bool(true)) {
            self.order(Order::Pause(false));
        }
        let limit = self
            .rollout()
            .and_then(|it| it.pointer("/spec/revisionHistoryLimit"));
        if limit.and_then(Value::as_i64).is_some_and(|limit| limit < 0) {
            self.order(Order::Mistake(false));
        }
        self.controller.restart(&self.store);
    }

    /// Ends all faults and lets the cluster come to rest; then judges it.
    ///
    /// # Errors
    /// When it does not come to rest, or what rests there is not as promised.
    pub fn come_to_rest(&mut self) -> Result<(), Broken> {
        self.calm();
        self.settle_down()?;
        rest::judge(&self.store, &self.main, &self.metrics.workloads)?;
        self.look_again()
    }

    fn settle_down(&mut self) -> Result<(), Broken> {
        let version = |it: &Self| it.main().map(|main| main.version);
        let (mut known, mut since, mut looks) = (version(self), self.store.now, 0);
        for _ in 0..ROUNDS {
            let changes = self.settle()?;
            if version(self) != known {
                (known, since, looks) = (version(self), self.store.now, 0);
            }
            if changes > 0 {
                continue;
            }
            // Nothing to do now: on to the next moment at which something is due.
            let Some(at) = self.next_due() else {
                return Ok(());
            };
            looks += 1;
            if at.duration_since(since).as_secs() > QUIET.0 && looks > QUIET.1 {
                return Ok(());
            }
            self.store.now = at;
        }
        let last = self.rollout().map(|rollout| rollout["status"].to_string());
        Err(Broken {
            promise: "a run comes to rest",
            seen: last.unwrap_or_default(),
        })
    }

    /// A further look at what rests changes nothing, even much later when nobody asked to be woken until then, and finds the
    /// same in whatever order it is listed.
    fn look_again(&mut self) -> Result<(), Broken> {
        let before = self.main().map(|main| main.version);
        let now = self.store.now;
        if self.next_due().is_none() {
            self.advance(LATER);
        }
        for key in self.controller.keys() {
            self.pass(&key, None)?;
        }
        self.store.now = now;
        if let Some(main) = self.main().cloned() {
            let now = self.controller.now(&self.store);
            let workloads = &self.metrics.workloads;
            if let Some(seen) = self.controller.depends_on_order(&main, now, workloads) {
                return Err(Broken {
                    promise: "a decision does not depend on the order of what is seen",
                    seen,
                });
            }
        }
        if self.main().map(|main| main.version) == before {
            return Ok(());
        }
        let status = self.rollout().map(|rollout| rollout["status"].to_string());
        Err(Broken {
            promise: "a look at what rests changes nothing",
            seen: status.unwrap_or_default(),
        })
    }

    /// Ends all faults, and lets a person bring to its end what is under way: promote what is paused, retry what was
    /// given up.
    ///
    /// # Errors
    /// When it does not come to rest, what rests there is not as promised, or it does not end as it should.
    pub fn end_well(&mut self) -> Result<(), Broken> {
        self.come_to_rest()?;
        let mut retried = false;
        for _ in 0..ACTS {
            let phase = self.rollout().map(|it| it["status"]["phase"].clone());
            let phase = phase.as_ref().and_then(Value::as_str).unwrap_or_default();
            let aborted = self
                .rollout()
                .is_some_and(|it| it["status"]["abort"] == true);
            match phase {
                "Paused" => self.order(Order::Promote),
                "Degraded" if aborted && !retried => {
                    retried = true;
                    self.order(Order::Retry);
                }
                "Running" | "Pending" => self.order(Order::TerminateExperiment(0)),
                _ => break,
            }
            self.settle_down()?;
            rest::judge(&self.store, &self.main, &self.metrics.workloads)?;
        }
        rest::judge_end(&self.store, &self.main, &self.metrics, self.ends_well)
    }

    /// The next moment at which something is due, after now.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        let next = [
            self.controller.next_wake(),
            self.metrics.workloads.next_change(&self.store),
        ];
        next.into_iter()
            .flatten()
            .filter(|at| *at > self.store.now)
            .min()
    }

    /// One round of everything that is due, without faults; returns the number of changes.
    ///
    /// # Errors
    /// When a promise is broken.
    pub fn settle(&mut self) -> Result<u64, Broken> {
        let before = self.store.version();
        self.metrics.workloads.reconcile(&mut self.store);
        self.catch_up();
        self.hear();
        for key in self.controller.take_due(&self.store) {
            self.catch_up();
            let pass = self.pass(&key, None)?;
            let now = self.store.now;
            let wake = self.controller.wake_of(&key);
            self.pace.note(&key, &pass, wake, now)?;
        }
        Ok(self.store.version() - before)
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
