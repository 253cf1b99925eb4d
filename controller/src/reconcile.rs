//! What the loops of Rollouts, Experiments and AnalysisRuns share: workers take objects from a queue; one that the cache
//! does not show as it was written last waits; the rest is the loop's own [`Reconcile::pass`].
//!
//! One object is worked on by one worker at a time.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sluice_rollout::EventType;
use sluice_runtime::decision_log::Decision;
use sluice_runtime::events::{Involved, Note, ROLLOUTS_COMPONENT, Severity};
use sluice_runtime::freshness::{Freshness, Gate};
use sluice_runtime::series::Family;
use sluice_runtime::{Cache, Context, Key, Kind, Next, Object, Queue, Written};
use tokio::time::Instant;

/// Shortest wait before a decision that asks for a moment that has come already.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);
/// How long an object that is not observable yet (a cache is being filled, somebody else wrote) is left alone.
pub(crate) const NOT_YET: Duration = Duration::from_millis(50);

/// What every loop has.
pub(crate) struct Core {
    pub ctx: Context,
    pub queue: Queue<Key>,
    /// The objects that are reconciled.
    pub objects: Arc<Cache>,
    pub freshness: Freshness,
    /// How long an object is left alone at most.
    pub resync: Duration,
}

impl Core {
    /// Reconciles the objects of a cache, whose keys the queue gets.
    pub(crate) fn new(
        ctx: &Context,
        queue: Queue<Key>,
        objects: &Arc<Cache>,
        resync: Duration,
    ) -> Self {
        Self {
            ctx: ctx.clone(),
            queue,
            objects: Arc::clone(objects),
            freshness: Freshness::default(),
            resync,
        }
    }

    /// How long until an object is looked at again if nothing changes: until `wake_at`, and the resync at most, which is a
    /// little different for each object, so that they do not all come at once.
    pub(crate) fn until_next(&self, key: &Key, wake_at: Option<Timestamp>) -> Duration {
        let letters = key.name.bytes();
        let spread = letters.fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        let resync = self.resync + self.resync * u32::from(spread) / 2_560;
        let wake = wake_at.map(|at| self.ctx.clock.until(at).max(SHORTEST_WAIT));
        wake.map_or(resync, |wake| wake.min(resync))
    }

    /// Keeps a decision for those who ask why.
    pub(crate) fn decided(&self, kind: &Kind, key: &Key, decision: Decision) {
        if decision.effects.is_empty() {
            tracing::debug!(
                kind = %kind.kind, object = %key, reasons = ?decision.reasons, wake_at = ?decision.wake_at,
                "decided"
            );
        } else {
            tracing::info!(
                kind = %kind.kind, object = %key, reasons = ?decision.reasons, effects = ?decision.effects,
                outcome = decision.outcome, "decided"
            );
        }
        self.ctx.decisions.record(&kind.kind, key, decision);
    }

    /// Remembers a write to the object that is worked on.
    pub(crate) fn wrote(&self, key: &Key, written: &Written) {
        let (uid, version) = (&written.uid, &written.resource_version);
        self.freshness
            .wrote(key, &self.objects, key.clone(), uid, version);
    }

    /// Emits an Event about an object.
    pub(crate) fn emit(&self, involved: Involved, severity: Severity, reason: &str, message: &str) {
        self.ctx.events.emit(Note {
            involved,
            component: ROLLOUTS_COMPONENT,
            severity,
            reason: reason.to_owned(),
            message: message.to_owned(),
        });
    }
}

/// An object as Events name it.
pub(crate) fn involved(kind: &Kind, object: &Object) -> Involved {
    Involved {
        kind: kind.clone(),
        key: object.key.clone(),
        uid: object.uid.to_string(),
        resource_version: object.resource_version.to_string(),
    }
}

/// How an Event of an engine is marked.
pub(crate) fn severity(kind: EventType) -> Severity {
    match kind {
        EventType::Normal => Severity::Normal,
        EventType::Warning => Severity::Warning,
    }
}

/// A loop over the objects of one kind.
pub(crate) trait Reconcile: Send + Sync + Sized + 'static {
    /// The kind.
    const KIND: &'static Kind;
    /// Metrics of single objects: how long a pass took, which ones failed, and whatever else is counted for one.
    const FAMILIES: &'static [Family];

    /// What every loop has.
    fn core(&self) -> &Core;

    /// Looks at an object whose cache is fresh, decides and acts.
    fn pass(&self, object: &Arc<Object>) -> impl Future<Output = Next> + Send;

    /// Drops what the loop itself remembers of an object that is gone or on its way out.
    fn forget(&self, key: &Key);

    /// Looks after what an object has left behind that is not in the cache any more, or never was.
    fn gone(&self, _key: &Key) -> impl Future<Output = Next> + Send {
        std::future::ready(Next::Done)
    }
}

/// Works on objects until the context's `stop`, then finishes what is under way.
pub(crate) async fn run<R: Reconcile>(reconciler: &Arc<R>, workers: usize) {
    let core = reconciler.core();
    let this = Arc::clone(reconciler);
    core.queue
        .run(workers, core.ctx.stop.clone(), move |key| {
            let this = Arc::clone(&this);
            async move { reconcile(&*this, &key).await }
        })
        .await;
}

async fn reconcile<R: Reconcile>(reconciler: &R, key: &Key) -> Next {
    let core = reconciler.core();
    let metrics = &core.ctx.metrics.objects;
    let cached = core.objects.get(key);
    let is_gone = cached.is_none();
    let Some(object) = cached.filter(|object| !object.deleting) else {
        reconciler.forget(key);
        core.freshness.forget(key);
        core.ctx.decisions.forget(&R::KIND.kind, key);
        metrics.forget(key, R::FAMILIES);
        return if is_gone {
            reconciler.gone(key).await
        } else {
            Next::Done
        };
    };
    if let Gate::Stale(wait) = core.freshness.check(&core.ctx.api, key).await {
        return Next::After(wait);
    }
    // The gate may have read the object anew.
    let object = core.objects.get(key).unwrap_or(object);
    let started = Instant::now();
    let next = reconciler.pass(&object).await;
    let mut families = R::FAMILIES.iter();
    if let Some(time) = families.next() {
        metrics.observe(*time, key, started.elapsed());
    }
    if let (Next::Retry, Some(errors)) = (next, families.next()) {
        metrics.count(*errors, key, &[]);
    }
    next
}
