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

use serde_json::Value;
use sluice_crds::decode::DecodeError;
use sluice_rollout::Settings;
use sluice_rollout::experiment::Refused;
use sluice_runtime::decision_log::Decision;
use sluice_runtime::events::Severity;
use sluice_runtime::kind::EXPERIMENT;
use sluice_runtime::series::Family;
use sluice_runtime::{Context, Key, Kind, Must, Next, Object, Queue, WriteError};

use crate::config::Config;
use crate::malformed::with_condition;
use crate::reconcile::{self, Core, NOT_YET, Reconcile};
use act::Stopped;
use observe::{Observed, Sight, Watches};

/// Name under which the caches are known; the Rollout loop uses the same ones.
const USAGE: &str = crate::analysis::USAGE;
/// Refusals that one pass takes in; each is another object.
const REFUSALS: usize = 32;

/// The loop.
pub(crate) struct Experiments {
    core: Core,
    watches: Watches,
    settings: Settings,
}

impl Reconcile for Experiments {
    const KIND: &'static Kind = &EXPERIMENT;
    const FAMILIES: &'static [Family] = &[
        Family::ExperimentReconcile,
        Family::ExperimentReconcileError,
    ];

    fn core(&self) -> &Core {
        &self.core
    }

    async fn pass(&self, object: &Arc<Object>) -> Next {
        match observe::observe(&self.watches, object) {
            Sight::NotYet => Next::After(NOT_YET),
            Sight::Unreadable(why) => self.failed(object, &why),
            Sight::Malformed(error) => self.report_malformed(object, &error).await,
            Sight::Complete(observed) => self.decide_and_act(&observed).await,
        }
    }

    fn forget(&self, _key: &Key) {}
}

impl Experiments {
    /// Starts the caches that the loop needs.
    pub(crate) fn start(ctx: &Context, config: &Config) -> Arc<Self> {
        let queue = Queue::new("Experiments");
        let watches = Watches::start(&ctx.caches, &queue, config);
        info::register(&ctx.metrics, &watches.experiments);
        Arc::new(Self {
            core: Core::new(ctx, queue, &watches.experiments, config.resync),
            watches,
            settings: Settings {
                instance_id: config.instance_id.clone(),
            },
        })
    }

    /// Decides and acts; decides again with what the API refused.
    async fn decide_and_act(&self, observed: &Observed) -> Next {
        let mut refused: Vec<Refused> = Vec::new();
        loop {
            let now = self.core.ctx.clock.now();
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
            self.core.decided(&EXPERIMENT, key, decision);
            return match outcome {
                Ok(()) => Next::After(self.core.until_next(key, plan.wake_at)),
                Err(Stopped::Refused(one)) if refused.len() < REFUSALS => {
                    refused.push(one);
                    continue;
                }
                Err(Stopped::Refused(one)) => self.failed(&observed.object, &one.to_string()),
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
        let experiment = reconcile::involved(&EXPERIMENT, object);
        self.core.emit(experiment, severity, reason, message);
    }

    /// Writes a condition that names the field which cannot be decoded, unless it is there.
    async fn report_malformed(&self, object: &Object, error: &DecodeError) -> Next {
        let value = object.value();
        let old = value.get("status").cloned().unwrap_or(Value::Null);
        let message = format!("{}: {}", error.field, error.reason);
        let now = self.core.ctx.clock.now();
        let new = with_condition(&old, "InvalidExperimentSpec", &message, now);
        let must = Must::be(&*object.uid, &*object.resource_version);
        let executor = &self.core.ctx.executor;
        match executor
            .status(&EXPERIMENT, &object.key, &must, &old, &new)
            .await
        {
            Ok(None) | Err(WriteError::Conflict(_) | WriteError::Gone(_)) => {}
            Ok(Some(written)) => {
                self.core.wrote(&object.key, &written);
                self.emit(object, Severity::Warning, "InvalidSpec", &message);
            }
            Err(error) => return self.failed(object, &error.to_string()),
        }
        // Only a change of the object can help.
        Next::Done
    }
}
