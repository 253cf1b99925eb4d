//! Act: carries out a plan, in its order — effects, status, events — and stops at the first write that is not confirmed.
//! Before each effect the safety invariants are checked once more, by code that knows nothing of how it was decided.
//!
//! Stopping anywhere is safe: every prefix of a plan is. What was written is remembered by the freshness gate, so the
//! next decision is made on a view that shows it.

use std::sync::Arc;

use sluice_rollout::request;
use sluice_rollout::{Effect, Plan, World, invariants};
use sluice_runtime::Cache;
use sluice_runtime::kind::{ANALYSIS_RUN, EXPERIMENT, Kind, REPLICA_SET, ROLLOUT, SERVICE};

use super::observe::Observed;
use super::watches::Watches;
use super::{Rollouts, describe, route};
use crate::reconcile::severity;
use crate::write::Writer;

/// Why the rest of a plan was left; a refusal names the safety invariant that would not hold.
pub(super) type Stopped = crate::stopped::Stopped<String>;

/// Carries out a plan.
pub(crate) async fn act(
    rollouts: &Rollouts,
    observed: &Observed,
    plan: &Plan,
) -> Result<(), Stopped> {
    let cache = |kind: &Kind| cache_of(rollouts, kind);
    let writer = Writer {
        ctx: &rollouts.core.ctx,
        freshness: &rollouts.core.freshness,
        work: &observed.object,
        cache: &cache,
    };
    // Moved on by our own writes to the Rollout.
    let mut version = observed.object.resource_version.to_string();
    for effect in &plan.effects {
        let check = |world: &World<'_>| invariants::check(world, effect);
        if let Err(violation) = observed.with_world(&rollouts.settings, check) {
            metrics::counter!("sluice_refused_effects_total", "invariant" => violation.invariant)
                .increment(1);
            let effect = describe::effect(effect);
            return Err(Stopped::Refused(format!(
                "{effect}: refused, since {violation}"
            )));
        }
        if let Effect::SetTraffic(split) = effect {
            route::set_traffic(rollouts, observed, split).await?;
            continue;
        }
        let Some(request) = request::of_effect(&observed.rollout, effect, &version) else {
            continue;
        };
        let own = matches!(
            effect,
            Effect::SetReplicas { .. } | Effect::AnnotateRollout { .. }
        );
        let written = writer.send(request).await?;
        if let Some(written) = written.filter(|_| own) {
            version = written.resource_version;
        }
    }
    if let Some(request) = request::of_status(&observed.rollout, &plan.status, &version) {
        writer.send(request).await?;
    }
    for event in &plan.events {
        let severity = severity(event.kind);
        rollouts.emit(&observed.object, severity, event.reason, &event.message);
    }
    Ok(())
}

/// The cache that shows what was written; of kinds that are watched only when they are named, if they are.
fn cache_of(rollouts: &Rollouts, kind: &Kind) -> Option<Arc<Cache>> {
    let watches = &rollouts.watches;
    let known = [
        (&ROLLOUT, &watches.rollouts),
        (&REPLICA_SET, &watches.replica_sets),
        (&SERVICE, &watches.services),
        (&ANALYSIS_RUN, &watches.runs),
        (&EXPERIMENT, &watches.experiments),
    ];
    known
        .into_iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, cache)| Arc::clone(cache))
        .or_else(|| Watches::named_if_started(&rollouts.core.ctx.caches, kind))
}
