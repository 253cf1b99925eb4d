//! How a cluster comes to rest: without faults, and with a person who brings to its end what is under way.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Cluster;
use crate::oracle::{Broken, left, rest};
use crate::schedule::{OUTAGES, Order};
use crate::store::{Expected, Part};

/// Rounds after which a cluster that does not come to rest never will.
const ROUNDS: usize = 4_000;
/// Seconds, and looks, without a change of what the cluster is about, after which it rests although something in it goes
/// on: a measurement in the background, say.
const QUIET: (i64, u32) = (200, 24);
/// When a look at what rests must still change nothing.
const LATER: SignedDuration = SignedDuration::from_hours(1);
/// Acts of a person that bring an update to its end.
const ACTS: usize = 24;

impl Cluster {
    /// Ends all faults, and what people left half done.
    fn calm(&mut self) {
        for outage in OUTAGES {
            self.disturb(outage, false);
        }
        self.controller.skew = SignedDuration::ZERO;
        let main = self.main().cloned();
        let spec = |pointer: &str| main.as_ref().and_then(|it| it.at(pointer));
        if spec("/spec/paused") == Some(&Value::Bool(true)) {
            self.order(Order::Pause(false));
        }
        let limit = spec("/spec/revisionHistoryLimit").and_then(Value::as_i64);
        if limit.is_some_and(|limit| limit < 0) {
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
        // While something goes on, only what the cluster is about has to stay as it is.
        let done = self.next_due().is_none();
        let version = |it: &Self| match it.main() {
            Some(main) if !done => main.version,
            _ => it.store.version(),
        };
        let before = version(self);
        let now = self.store.now;
        if done {
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
        if version(self) == before {
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
            let main = self.main();
            let phase = main.map_or("", |it| it.text("/status/phase"));
            let abort = main.and_then(|it| it.at("/status/abort"));
            let aborted = abort == Some(&Value::Bool(true));
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

    /// A person deletes the Rollout in the middle of whatever it does, and its pods with it; or leaves the pods, and deletes
    /// them later. In the end no Service waits for pods that nobody makes.
    ///
    /// # Errors
    /// When it does not come to rest, or what is left there is not as promised.
    pub fn end_by_deletion(&mut self) -> Result<(), Broken> {
        for outage in OUTAGES {
            self.disturb(outage, false);
        }
        self.controller.skew = SignedDuration::ZERO;
        let leaves_pods = self.store.version().is_multiple_of(3);
        if leaves_pods {
            self.leave_sets();
        }
        // What is gone already is gone.
        let _ = self.store.delete(&self.main, &Expected::default());
        self.store.collect_garbage();
        if self.store.version().is_multiple_of(2) {
            self.controller.restart(&self.store);
        }
        let before = left::selections(&self.store);
        self.settle_down()?;
        if leaves_pods {
            left::judge_left(&self.store, &before)?;
            let sets: Vec<_> = self.store.objects("ReplicaSet").cloned().collect();
            for set in sets {
                let _ = self.store.delete(&set.key, &Expected::default());
            }
            self.settle_down()?;
        }
        left::judge_gone(&self.store, &self.main)
    }

    /// The status of the Rollout is lost while no controller runs, as after a restore from a backup. What is stable is found
    /// again in the Services.
    ///
    /// # Errors
    /// When another revision counts as stable then, it does not come to rest, or what rests there is not as promised.
    pub fn lose_status(&mut self) -> Result<(), Broken> {
        let judged = left::was_stable(&self.store, &self.main);
        let (patch, expected) = (json!({ "status": null }), Expected::default());
        // An Experiment without a status is a new one.
        if judged.is_empty()
            || self
                .store
                .merge(&self.main, Part::Status, &expected, &patch)
                .is_err()
        {
            return Ok(());
        }
        self.calm();
        self.settle()?;
        left::judge_found(&self.store, &self.main, &judged)?;
        self.settle_down()?;
        rest::judge(&self.store, &self.main, &self.metrics.workloads)
    }

    /// Takes the owner away from the ReplicaSets of the Rollout, as a deletion does that leaves them.
    fn leave_sets(&mut self) {
        let uid = self.main().map(|main| main.uid().to_owned());
        let sets: Vec<_> = self.store.objects("ReplicaSet").cloned().collect();
        for set in sets
            .iter()
            .filter(|set| Some(set.owner()) == uid.as_deref())
        {
            let patch = json!({ "metadata": { "ownerReferences": null } });
            let expected = Expected::default();
            let _ = self.store.merge(&set.key, Part::Main, &expected, &patch);
        }
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
