//! Random runs: what people, pods, caches and faults do, in an order that depends on a seed only.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::controller::{Controller, Faults, Pass, Write};
use crate::metrics::Metrics;
use crate::oracle::{Broken, Oracle};
use crate::random::Random;
use crate::store::{Expected, Key, Part, Store};

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The cache of one kind receives some changes.
    Deliver {
        /// Index into [`KINDS`].
        kind: usize,
        /// How many changes at most.
        changes: usize,
    },
    /// The cache receives everything.
    CatchUp,
    /// The controller looks at one object.
    Pass {
        /// Which of the objects it knows, modulo their number.
        nth: usize,
        /// What goes wrong.
        crash_before: Option<usize>,
        /// What goes wrong.
        lose_answer: Option<usize>,
    },
    /// The controller is killed and starts anew.
    Restart,
    /// ReplicaSets make and lose pods, and count them.
    Workloads,
    /// Time passes.
    Advance {
        /// Seconds.
        seconds: i64,
    },
    /// All pods of one ReplicaSet crash.
    CrashPods {
        /// Which ReplicaSet, modulo their number.
        nth: usize,
    },
    /// Prometheus goes away and disruption budgets refuse evictions, or both are over.
    Outage(bool),
    /// A person, or Git, changes the Rollout.
    Order(Order),
}

/// What people ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A new image, by number.
    Image(u64),
    /// `abort`.
    Abort,
    /// `retry`.
    Retry,
    /// `promote`.
    Promote,
    /// `promote --full`.
    PromoteFull,
    /// `spec.replicas`.
    Scale(i32),
    /// `spec.paused`.
    Pause(bool),
    /// `restart`.
    Restart,
    /// Another strategy, by number, where the fixture has several.
    Strategy(usize),
    /// An annotation that means nothing: the resourceVersion changes.
    Touch,
}

/// Kinds whose caches lag on their own.
pub const KINDS: [&str; 6] = [
    "Rollout",
    "ReplicaSet",
    "Service",
    "HTTPRoute",
    "AnalysisRun",
    "Deployment",
];

/// Makes a schedule.
#[must_use]
pub fn random(seed: u64, length: usize) -> Vec<Step> {
    let mut random = Random::new(seed);
    (0..length).map(|_| step(&mut random)).collect()
}

fn step(random: &mut Random) -> Step {
    let small = |random: &mut Random, bound| usize::try_from(random.below(bound)).unwrap_or(0);
    match random.below(100) {
        0..15 => Step::Deliver {
            kind: small(random, 6),
            changes: 1 + small(random, 3),
        },
        15..30 => Step::CatchUp,
        30..62 => {
            let crash_before = random.one_in(6).then(|| small(random, 6));
            let lose_answer = random.one_in(12).then(|| small(random, 4));
            Step::Pass {
                nth: small(random, 4),
                crash_before,
                lose_answer,
            }
        }
        62..77 => Step::Workloads,
        77..86 => Step::Advance {
            seconds: 1 + i64::try_from(random.below(12)).unwrap_or(0),
        },
        86..88 => Step::Restart,
        88..90 => Step::CrashPods {
            nth: small(random, 3),
        },
        90..92 => Step::Outage(random.one_in(2)),
        _ => Step::Order(match random.below(16) {
            0..5 => Order::Image(random.below(4)),
            5..7 => Order::Abort,
            7..8 => Order::Retry,
            8..10 => Order::Promote,
            10..11 => Order::PromoteFull,
            11..13 => Order::Scale(i32::try_from(random.below(7)).unwrap_or(1)),
            13..14 => Order::Pause(random.one_in(2)),
            14..15 => Order::Strategy(small(random, 3)),
            15..16 if random.one_in(2) => Order::Restart,
            _ => Order::Touch,
        }),
    }
}

/// A cluster with one Rollout and the controller that looks after it.
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
    rollout: Key,
    workload: Option<Key>,
    oracle: Oracle,
    /// Decisions so far.
    pub decisions: u64,
}

impl Cluster {
    /// A cluster with these objects, one of which is the Rollout.
    #[must_use]
    pub fn new(objects: &[Value], metrics: Metrics, now: Timestamp) -> Self {
        let mut store = Store::new(now);
        let mut rollout = Key::new("Rollout", "", "");
        let mut workload = None;
        for object in objects {
            if Key::of(object).kind == "Rollout" {
                rollout = Key::of(object);
            }
            if Key::of(object).kind == "Deployment" {
                workload = Some(Key::of(object));
            }
            // Two objects of one name would be a defect of the fixture; the run shows it at once.
            let _ = store.create(object.clone());
        }
        Self {
            store,
            controller: Controller::default(),
            metrics,
            strategies: Vec::new(),
            rollout,
            workload,
            oracle: Oracle::default(),
            decisions: 0,
        }
    }

    /// The Rollout as it is now.
    #[must_use]
    pub fn rollout(&self) -> Option<&Value> {
        self.store.get(&self.rollout)
    }

    /// Lets one thing happen.
    ///
    /// # Errors
    /// When a promise is broken.
    pub fn step(&mut self, step: Step) -> Result<(), Broken> {
        match step {
            Step::Deliver { kind, changes } => {
                if let Some(kind) = KINDS.get(kind) {
                    self.controller.view.deliver(&self.store, kind, changes);
                }
            }
            Step::CatchUp => self.controller.view.catch_up(&self.store),
            Step::Pass {
                nth,
                crash_before,
                lose_answer,
            } => {
                let keys = self.controller.keys();
                if let Some(key) = nth.checked_rem(keys.len()).and_then(|nth| keys.get(nth)) {
                    self.pass(
                        key,
                        Faults {
                            crash_before,
                            lose_answer,
                        },
                    )?;
                }
            }
            Step::Restart => self.controller.restart(&self.store),
            Step::Workloads => self.metrics.workloads.reconcile(&mut self.store),
            Step::Advance { seconds } => self.advance(SignedDuration::from_secs(seconds)),
            Step::CrashPods { nth } => {
                let sets: Vec<Value> = self.store.list("ReplicaSet").cloned().collect();
                if let Some(set) = nth.checked_rem(sets.len()).and_then(|nth| sets.get(nth)) {
                    self.metrics.workloads.crash(set, self.store.now);
                }
            }
            Step::Outage(outage) => self.disturb(outage),
            Step::Order(order) => self.order(order),
        }
        Ok(())
    }

    /// One pass of the controller over one object.
    ///
    /// # Errors
    /// When a promise is broken.
    pub fn pass(&mut self, key: &Key, faults: Faults) -> Result<Pass, Broken> {
        self.decisions += 1;
        let oracle = &mut self.oracle;
        let mut broken = None;
        let mut observe = |store: &Store, write: &Write| {
            if broken.is_none() {
                broken = oracle.after(store, write);
            }
        };
        let pass = self.controller.pass(
            key,
            &mut self.store,
            &mut self.metrics,
            faults,
            &mut observe,
        );
        self.store.collect_garbage();
        if let Pass::Crashed(_) = pass {
            self.controller.restart(&self.store);
        }
        broken.map_or(Ok(pass), Err)
    }

    /// Neither metrics nor evictions, or both again.
    fn disturb(&mut self, outage: bool) {
        self.metrics.outage = outage;
        self.metrics.workloads.refuses_evictions = outage;
    }

    fn advance(&mut self, by: SignedDuration) {
        if let Ok(now) = self.store.now.checked_add(by) {
            self.store.now = now;
        }
    }

    /// Carries out an order of a person.
    pub fn order(&mut self, order: Order) {
        let spec = |spec: Value| (Part::Main, json!({ "spec": spec }));
        let status = |status: Value| (Part::Status, json!({ "status": status }));
        let (part, patch) = match order {
            Order::Image(number) => {
                let image = format!("app:{number}");
                let edit = |object: &mut Value| {
                    if let Some(value) =
                        object.pointer_mut("/spec/template/spec/containers/0/image")
                    {
                        *value = json!(image);
                    }
                };
                // Where the template comes from another object, that one is changed.
                let target = self.workload.as_ref().unwrap_or(&self.rollout);
                let _ = self
                    .store
                    .edit(target, Part::Main, &Expected::default(), edit);
                return;
            }
            Order::Abort => status(json!({ "abort": true })),
            Order::Retry => status(json!({ "abort": false })),
            Order::Promote => status(json!({ "pauseConditions": null })),
            Order::PromoteFull => status(json!({ "promoteFull": true })),
            Order::Scale(replicas) => spec(json!({ "replicas": replicas })),
            Order::Pause(paused) => spec(json!({ "paused": paused })),
            Order::Strategy(number) => {
                let Some(strategy) = self.strategies.get(number).cloned() else {
                    return;
                };
                let edit = |object: &mut Value| {
                    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
                        spec.insert("strategy".to_owned(), strategy);
                    }
                };
                let _ = self
                    .store
                    .edit(&self.rollout, Part::Main, &Expected::default(), edit);
                return;
            }
            Order::Restart => {
                let now = self.store.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                spec(json!({ "restartAt": now }))
            }
            Order::Touch => {
                let version = self.store.version().to_string();
                (
                    Part::Main,
                    json!({ "metadata": { "annotations": { "touched": version } } }),
                )
            }
        };
        // The Rollout of a schedule is never deleted, so the patch finds it.
        let _ = self
            .store
            .merge(&self.rollout, part, &Expected::default(), &patch);
    }

    /// Ends all faults and lets the cluster come to rest; then judges it.
    ///
    /// # Errors
    /// When it does not come to rest, or what rests there is not as promised.
    pub fn come_to_rest(&mut self) -> Result<(), Broken> {
        self.disturb(false);
        self.order(Order::Pause(false));
        self.controller.restart(&self.store);
        for _ in 0..4_000 {
            if self.settle()? > 0 {
                continue;
            }
            // Nothing to do now: on to the next moment at which something is due.
            match self.next_due() {
                Some(at) => self.store.now = at,
                None => {
                    let pods = self.metrics.workloads.pods();
                    let broken = self.oracle.at_rest(&self.store, &pods);
                    return broken.map_or(Ok(()), Err);
                }
            }
        }
        let last = self
            .rollout()
            .map(|rollout| rollout["status"].to_string())
            .unwrap_or_default();
        Err(Broken {
            promise: "a run comes to rest",
            seen: last,
        })
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

    /// One round of everything without faults; returns the number of changes.
    ///
    /// # Errors
    /// When a promise is broken.
    pub fn settle(&mut self) -> Result<u64, Broken> {
        let before = self.store.version();
        self.metrics.workloads.reconcile(&mut self.store);
        self.controller.view.catch_up(&self.store);
        for key in self.controller.keys() {
            self.controller.view.catch_up(&self.store);
            self.pass(&key, Faults::default())?;
        }
        Ok(self.store.version() - before)
    }
}

/// Plays a schedule, then lets the cluster come to rest. Returns the number of decisions.
///
/// # Errors
/// With the broken promise and the number of steps that were played.
pub fn play(cluster: &mut Cluster, steps: &[Step]) -> Result<u64, (usize, Broken)> {
    for (number, step) in steps.iter().enumerate() {
        cluster.step(*step).map_err(|broken| (number + 1, broken))?;
    }
    cluster
        .come_to_rest()
        .map_err(|broken| (steps.len(), broken))?;
    Ok(cluster.decisions)
}
