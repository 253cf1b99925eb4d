//! The Rollout loop: for each Rollout observe → decide → act.
//!
//! | step | file |
//! |---|---|
//! | what wakes it | [`watches`], with [`references`] for objects that a Rollout only names, [`urgent`] for what goes first |
//! | observe: caches → `World` | [`observe`] |
//! | decide | `sluice_rollout::decide`, pure |
//! | act: effects, status, events | [`act`], with [`route`] for the routers |
//! | a Rollout that cannot be decoded | [`malformed`] |
//! | a Rollout that is gone: the Services that it managed | [`gone`], with the index [`managed`] |
//! | what is shown about it | [`describe`] (decision log), [`info`] (metrics) |
//!
//! What wakes a worker and what it waits for is in [`crate::reconcile`]. Nothing is remembered between two passes but what
//! may be forgotten: our own writes that the watch does not show yet.

mod act;
mod describe;
mod gone;
mod info;
mod malformed;
mod managed;
mod observe;
mod references;
mod route;
mod urgent;
mod watches;

use std::sync::Arc;

use sluice_rollout::Settings;
use sluice_runtime::decision_log::Decision;
use sluice_runtime::events::Severity;
use sluice_runtime::kind::ROLLOUT;
use sluice_runtime::series::Family;
use sluice_runtime::{Context, Key, Kind, Next, Object, Queue};

use crate::config::Config;
use crate::reconcile::{self, Core, NOT_YET, Reconcile};
use observe::{Observed, Sight};
use watches::Watches;

/// The loop.
pub(crate) struct Rollouts {
    core: Core,
    watches: Watches,
    settings: Settings,
}

impl Reconcile for Rollouts {
    const KIND: &'static Kind = &ROLLOUT;
    const FAMILIES: &'static [Family] = &[
        Family::RolloutReconcile,
        Family::RolloutReconcileError,
        Family::RolloutEvents,
    ];

    fn core(&self) -> &Core {
        &self.core
    }

    async fn pass(&self, object: &Arc<Object>) -> Next {
        match observe::observe(&self.watches, &self.core.ctx.caches, object) {
            Sight::NotYet => Next::After(NOT_YET),
            Sight::Unreadable(why) => self.failed(object, "ReconciliationError", &why),
            Sight::Malformed(error) => self.report_malformed(object, &error).await,
            Sight::Complete(observed) => self.decide_and_act(&observed).await,
        }
    }

    fn forget(&self, key: &Key) {
        let none = std::collections::BTreeSet::new();
        self.watches.references.set(key, none);
    }

    async fn gone(&self, key: &Key) -> Next {
        self.release_services(key).await
    }
}

impl Rollouts {
    /// Starts the caches that the loop needs.
    pub(crate) fn start(ctx: &Context, config: &Config) -> Arc<Self> {
        let queue = Queue::new("Rollouts");
        let watches = Watches::start(&ctx.caches, &queue, config);
        info::register(&ctx.metrics, &watches.rollouts);
        Arc::new(Self {
            core: Core::new(ctx, queue, &watches.rollouts, config.resync),
            watches,
            settings: Settings {
                instance_id: config.instance_id.clone(),
            },
        })
    }

    /// Decides once and acts on it.
    async fn decide_and_act(&self, observed: &Observed) -> Next {
        let now = self.core.ctx.clock.now();
        let plan = observed.with_world(&self.settings, |world| sluice_rollout::decide(world, now));
        let key = &observed.object.key;
        let effects: Vec<String> = plan.effects.iter().map(describe::effect).collect();
        let outcome = act::act(self, observed, &plan).await;
        let decision = Decision {
            at: now,
            resource_version: observed.object.resource_version.to_string(),
            reasons: plan.reasons.iter().map(ToString::to_string).collect(),
            effects,
            outcome: match &outcome {
                Ok(()) => "done".to_owned(),
                Err(stopped) => stopped.to_string(),
            },
            wake_at: plan.wake_at,
        };
        self.core.decided(&ROLLOUT, key, decision);
        match outcome {
            Ok(()) => Next::After(self.core.until_next(key, plan.wake_at)),
            // Somebody else wrote: what they wrote is on its way through the watch.
            Err(act::Stopped::Again(_)) => Next::After(NOT_YET),
            Err(act::Stopped::Refused(message)) => {
                self.failed(&observed.object, "SafetyInvariantViolated", &message)
            }
            Err(act::Stopped::Failed(error)) => {
                self.failed(&observed.object, "ReconciliationError", &error.to_string())
            }
        }
    }

    fn failed(&self, object: &Object, reason: &str, message: &str) -> Next {
        tracing::warn!(rollout = %object.key, reason, message, "stopped");
        self.emit(object, Severity::Warning, reason, message);
        Next::Retry
    }

    /// Emits an Event about a Rollout.
    fn emit(&self, object: &Object, severity: Severity, reason: &str, message: &str) {
        let labels = [("type", severity.as_str()), ("reason", reason)];
        let metrics = &self.core.ctx.metrics.objects;
        metrics.count(Family::RolloutEvents, &object.key, &labels);
        let rollout = reconcile::involved(&ROLLOUT, object);
        self.core.emit(rollout, severity, reason, message);
    }
}
