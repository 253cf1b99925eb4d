//! The Experiment loop: for each Experiment observe → decide → act.
//!
//! | step | file |
//! |---|---|
//! | what wakes it; observe: caches → `World` | [`observe`] |
//! | decide | `sluice_rollout::experiment::decide`, pure |
//! | act: effects, status, events | [`act`] |
//! | metrics | [`info`] |
//!
//! A creation that the API refuses for good (quota, a name that is taken, a template that it does not accept) is told to
//! the engine at once, which makes it the status of the template; nothing else is remembered between two passes.

mod act;
mod info;
mod observe;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sluice_crds::decode::DecodeError;
use sluice_rollout::Settings;
use sluice_rollout::experiment::Refused;
use sluice_runtime::decision_log::Decision;
use sluice_runtime::events::{Involved, Note, ROLLOUTS_COMPONENT, Severity};
use sluice_runtime::freshness::{Freshness, Gate};
use sluice_runtime::kind::EXPERIMENT;
use sluice_runtime::series::Family;
use sluice_runtime::{Context, Key, Must, Next, Object, Queue, WriteError};
use tokio::time::Instant;

use crate::config::Config;
use act::Stopped;
use observe::{Observed, Sight, Watches};

/// Name under which the caches are known; the Rollout loop uses the same ones.
const USAGE: &str = crate::analysis::USAGE;
const KIND: &str = "Experiment";
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
/// How long an object that is not observable yet is left alone.
const NOT_YET: Duration = Duration::from_millis(50);
/// Refusals that one pass takes in; each is another object.
const REFUSALS: usize = 32;

/// The loop.
pub(crate) struct Experiments {
    ctx: Context,
    queue: Queue<Key>,
    watches: Watches,
    freshness: Freshness,
    settings: Settings,
    resync: Duration,
}

impl Experiments {
    /// Starts the caches that the loop needs.
    pub(crate) fn start(ctx: &Context, config: &Config) -> Arc<Self> {
        let queue = Queue::new("Experiments");
        let watches = Watches::start(&ctx.caches, &queue, config);
        info::register(&ctx.metrics, &watches.experiments);
        Arc::new(Self {
            ctx: ctx.clone(),
            queue,
            watches,
            freshness: Freshness::default(),
            settings: Settings {
                instance_id: config.instance_id.clone(),
            },
            resync: config.resync,
        })
    }

    /// Works on Experiments until the context's `stop`, then finishes what is under way.
    pub(crate) async fn run(self: Arc<Self>, workers: usize) {
        let this = Arc::clone(&self);
        self.queue
            .run(workers, self.ctx.stop.clone(), move |key| {
                let this = Arc::clone(&this);
                async move { this.reconcile(&key).await }
            })
            .await;
    }

    async fn reconcile(&self, key: &Key) -> Next {
        let Some(object) = self.watches.experiments.get(key) else {
            self.forget(key);
            return Next::Done;
        };
        if object.deleting {
            return Next::Done;
        }
        if let Gate::Stale(wait) = self.freshness.check(&self.ctx.api, key).await {
            return Next::After(wait);
        }
        // The gate may have read the object anew.
        let object = self.watches.experiments.get(key).unwrap_or(object);
        let started = Instant::now();
        let next = match observe::observe(&self.watches, &object) {
            Sight::NotYet => return Next::After(NOT_YET),
            Sight::Unreadable(why) => self.failed(&object, &why),
            Sight::Malformed(error) => self.report_malformed(&object, &error).await,
            Sight::Complete(observed) => self.pass(&observed).await,
        };
        let objects = &self.ctx.metrics.objects;
        objects.observe(Family::ExperimentReconcile, key, started.elapsed());
        if next == Next::Retry {
            objects.count(Family::ExperimentReconcileError, key, &[]);
        }
        next
    }

    /// Decides and acts; decides again with what the API refused.
    async fn pass(&self, observed: &Observed) -> Next {
        let mut refused: Vec<Refused> = Vec::new();
        loop {
            let now = self.ctx.clock.now();
            let plan = observed.decide(&self.settings, &refused, now);
            let outcome = act::act(self, observed, &plan).await;
            let decision = Decision {
                at: now,
                resource_version: observed.object.resource_version.to_string(),
                reasons: plan.reasons.iter().map(ToString::to_string).collect(),
                effects: plan.effects.iter().map(act::describe).collect(),
                outcome: outcome
                    .as_ref()
                    .map_or_else(ToString::to_string, |()| "done".to_owned()),
                wake_at: plan.wake_at,
            };
            let key = &observed.object.key;
            tracing::debug!(experiment = %key, reasons = ?decision.reasons, effects = ?decision.effects, "decided");
            self.ctx.decisions.record(KIND, key, decision);
            return match outcome {
                Ok(()) => {
                    let wake = plan
                        .wake_at
                        .map(|at| self.ctx.clock.until(at).max(SHORTEST_WAIT));
                    Next::After(wake.unwrap_or(self.resync).min(self.resync))
                }
                Err(Stopped::Refused(one)) if refused.len() < REFUSALS => {
                    refused.push(one);
                    continue;
                }
                Err(Stopped::Refused(one)) => self.failed(&observed.object, &one.message),
                Err(Stopped::Again(_)) => Next::After(NOT_YET),
                Err(Stopped::Failed(error)) => self.failed(&observed.object, &error.to_string()),
            };
        }
    }

    fn failed(&self, object: &Object, message: &str) -> Next {
        tracing::warn!(experiment = %object.key, message, "stopped");
        self.emit(object, Severity::Warning, "ReconciliationError", message);
        Next::Retry
    }

    /// Emits an Event about an Experiment.
    fn emit(&self, object: &Object, severity: Severity, reason: &str, message: &str) {
        let involved = Involved {
            kind: EXPERIMENT.clone(),
            key: object.key.clone(),
            uid: object.uid.to_string(),
            resource_version: object.resource_version.to_string(),
        };
        self.emit_about(involved, severity, reason, message);
    }

    fn emit_about(&self, involved: Involved, severity: Severity, reason: &str, message: &str) {
        self.ctx.events.emit(Note {
            involved,
            component: ROLLOUTS_COMPONENT,
            severity,
            reason: reason.to_owned(),
            message: message.to_owned(),
        });
    }

    /// Writes a condition that names the field which cannot be decoded, unless it is there.
    async fn report_malformed(&self, object: &Object, error: &DecodeError) -> Next {
        let value = object.value();
        let old = value.get("status").cloned().unwrap_or(Value::Null);
        let new = with_condition(&old, error, self.ctx.clock.now());
        let must = Must::be(&*object.uid, &*object.resource_version);
        let executor = &self.ctx.executor;
        match executor
            .status(&EXPERIMENT, &object.key, &must, &old, &new)
            .await
        {
            Ok(None) | Err(WriteError::Conflict(_) | WriteError::Gone(_)) => {}
            Ok(Some(written)) => {
                let target = object.key.clone();
                let (uid, version) = (&written.uid, &written.resource_version);
                self.freshness
                    .wrote(&object.key, &self.watches.experiments, target, uid, version);
                let message = format!("{}: {}", error.field, error.reason);
                self.emit(object, Severity::Warning, "InvalidSpec", &message);
            }
            Err(error) => return self.failed(object, &error.to_string()),
        }
        // Only a change of the object can help.
        Next::Done
    }

    /// Drops what is remembered of an Experiment that is gone.
    fn forget(&self, key: &Key) {
        self.freshness.forget(key);
        self.ctx.decisions.forget(KIND, key);
        let families = [
            Family::ExperimentReconcile,
            Family::ExperimentReconcileError,
        ];
        self.ctx.metrics.objects.forget(key, &families);
    }
}

/// The status with the condition, edited as JSON since it may be what cannot be decoded.
fn with_condition(old: &Value, error: &DecodeError, now: Timestamp) -> Value {
    let message = format!("{}: {}", error.field, error.reason);
    let now = Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string();
    let mut status = if old.is_object() {
        old.clone()
    } else {
        json!({})
    };
    let known = status.get("conditions").and_then(Value::as_array);
    let mut conditions: Vec<Value> = known.cloned().unwrap_or_default();
    let ours = |condition: &Value| condition["type"] == "InvalidExperimentSpec";
    let same = |condition: &Value| ours(condition) && condition["message"] == *message;
    if !conditions.iter().any(same) {
        conditions.retain(|condition| !ours(condition));
        conditions.push(json!({
            "type": "InvalidExperimentSpec", "status": "True", "reason": "InvalidSpec", "message": message,
            "lastUpdateTime": now, "lastTransitionTime": now,
        }));
    }
    status["conditions"] = Value::Array(conditions);
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_names_the_field_and_is_written_once() {
        let error = DecodeError {
            field: "spec.templates[0].replicas".to_owned(),
            reason: "invalid type".to_owned(),
        };
        let old = json!({"conditions": [{"type": "Progressing"}], "phase": "Running"});
        let first = with_condition(&old, &error, Timestamp::UNIX_EPOCH);
        assert_eq!(
            first["conditions"][1]["message"],
            "spec.templates[0].replicas: invalid type"
        );
        assert_eq!(first["phase"], "Running");
        let later = Timestamp::from_second(9).unwrap();
        assert_eq!(with_condition(&first, &error, later), first);
        assert!(with_condition(&json!("x"), &error, later).is_object());
    }
}
