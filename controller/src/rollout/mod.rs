//! The Rollout loop: for each Rollout observe → decide → act.
//!
//! | step | file |
//! |---|---|
//! | what wakes it | [`watches`], with [`references`] for objects that a Rollout only names, [`urgent`] for what goes first |
//! | observe: caches → `World` | [`observe`] |
//! | decide | `sluice_rollout::decide`, pure |
//! | act: effects, status, events | [`act`], with [`route`] for the routers, [`counts`] for what is not worth a write of its own |
//! | a Rollout that cannot be decoded | [`malformed`] |
//! | what is shown about it | [`describe`] (decision log), [`info`] (metrics) |
//!
//! One Rollout is worked on by one worker at a time; nothing is remembered between two passes but what may be forgotten:
//! our own writes that the watch does not show yet, and how long counts have waited to be written.

mod act;
mod counts;
mod describe;
mod info;
mod malformed;
mod observe;
mod references;
mod route;
mod urgent;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use sluice_rollout::{Plan, Settings};
use sluice_runtime::decision_log::Decision;
use sluice_runtime::events::{Involved, Note, ROLLOUTS_COMPONENT, Severity};
use sluice_runtime::freshness::{Freshness, Gate};
use sluice_runtime::kind::ROLLOUT;
use sluice_runtime::series::Family;
use sluice_runtime::{Context, Key, Next, Object, Queue};
use tokio::time::Instant;

use crate::config::Config;
use counts::Counts;
use observe::{Observed, Sight};
use watches::Watches;

/// Kind under which decisions are logged.
const KIND: &str = "Rollout";
/// Shortest wait before a decision that asks for a moment that has come already.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
/// How long an object that is not observable yet (a cache is being filled) is left alone.
const NOT_YET: Duration = Duration::from_millis(50);

/// The loop.
pub(crate) struct Rollouts {
    ctx: Context,
    queue: Queue<Key>,
    watches: Watches,
    freshness: Freshness,
    counts: Counts,
    settings: Settings,
    resync: Duration,
}

impl Rollouts {
    /// Starts the caches that the loop needs.
    pub(crate) fn start(ctx: &Context, config: &Config) -> Arc<Self> {
        let queue = Queue::new("Rollouts");
        let watches = Watches::start(&ctx.caches, &queue, config);
        info::register(&ctx.metrics, &watches.rollouts);
        Arc::new(Self {
            ctx: ctx.clone(),
            queue,
            watches,
            freshness: Freshness::default(),
            counts: Counts::default(),
            settings: Settings {
                instance_id: config.instance_id.clone(),
            },
            resync: config.resync,
        })
    }

    /// Works on Rollouts until the context's `stop`, then finishes what is under way.
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
        let Some(object) = self.watches.rollouts.get(key) else {
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
        let object = self.watches.rollouts.get(key).unwrap_or(object);
        let started = Instant::now();
        let next = match observe::observe(&self.watches, &self.ctx.caches, &object) {
            Sight::NotYet => return Next::After(NOT_YET),
            Sight::Unreadable(why) => self.failed(&object, "ReconciliationError", &why),
            Sight::Malformed(error) => self.report_malformed(&object, &error).await,
            Sight::Complete(observed) => self.pass(&observed).await,
        };
        let objects = &self.ctx.metrics.objects;
        objects.observe(Family::RolloutReconcile, key, started.elapsed());
        if next == Next::Retry {
            objects.count(Family::RolloutReconcileError, key, &[]);
        }
        next
    }

    /// Decides once and acts on it.
    async fn pass(&self, observed: &Observed) -> Next {
        let now = self.ctx.clock.now();
        let plan = observed.with_world(&self.settings, |world| sluice_rollout::decide(world, now));
        let key = &observed.object.key;
        if plan.effects.is_empty() && plan.events.is_empty() {
            let known = observed.rollout.status.as_ref();
            if let Some(wait) = self.counts.wait(key, known, &plan.status, Instant::now()) {
                return Next::After(wait.min(self.until_next(key, &plan)));
            }
        }
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
        if decision.effects.is_empty() {
            tracing::debug!(rollout = %key, reasons = ?decision.reasons, wake_at = ?plan.wake_at, "decided");
        } else {
            tracing::info!(
                rollout = %key, reasons = ?decision.reasons, effects = ?decision.effects,
                outcome = decision.outcome, "decided"
            );
        }
        self.ctx.decisions.record(KIND, key, decision);
        match outcome {
            Ok(()) => Next::After(self.until_next(key, &plan)),
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

    /// How long until the Rollout is looked at again if nothing changes.
    fn until_next(&self, key: &Key, plan: &Plan) -> Duration {
        // A little different for each object, so that they do not all come at once.
        let spread = u32::from(
            key.name
                .bytes()
                .fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)),
        );
        let resync = self.resync + self.resync * spread / 2_560;
        let wake = plan
            .wake_at
            .map_or(resync, |at| self.ctx.clock.until(at).max(SHORTEST_WAIT));
        wake.min(resync)
    }

    fn failed(&self, object: &Object, reason: &str, message: &str) -> Next {
        tracing::warn!(rollout = %object.key, reason, message, "stopped");
        self.emit(object, Severity::Warning, reason, message);
        Next::Retry
    }

    /// Emits an Event about a Rollout.
    fn emit(&self, object: &Object, severity: Severity, reason: &str, message: &str) {
        let labels = [("type", severity.as_str()), ("reason", reason)];
        self.ctx
            .metrics
            .objects
            .count(Family::RolloutEvents, &object.key, &labels);
        self.ctx.events.emit(Note {
            involved: Involved {
                kind: ROLLOUT.clone(),
                key: object.key.clone(),
                uid: object.uid.to_string(),
                resource_version: object.resource_version.to_string(),
            },
            component: ROLLOUTS_COMPONENT,
            severity,
            reason: reason.to_owned(),
            message: message.to_owned(),
        });
    }

    /// Drops what is remembered of a Rollout that is gone.
    fn forget(&self, key: &Key) {
        self.freshness.forget(key);
        self.counts.forget(key);
        self.watches
            .references
            .set(key, std::collections::BTreeSet::new());
        self.ctx.decisions.forget(KIND, key);
        let families = [
            Family::RolloutReconcile,
            Family::RolloutReconcileError,
            Family::RolloutEvents,
        ];
        self.ctx.metrics.objects.forget(key, &families);
    }
}
