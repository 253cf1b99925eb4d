//! A Rollout that cannot be carried out: nothing moves, and a condition says which field is why.
//!
//! One thing goes on, because a mistake in the spec must not disarm it: an update that is under way can still be given
//! up, by a person or by its analyses, and traffic then leaves it.

use jiff::{SignedDuration, Timestamp};

use crate::conditions::{self, INVALID_SPEC};
use crate::draft::Draft;
use crate::plan::Plan;
use crate::reason::Reason;
use crate::seen::Seen;
use crate::validation::{self, FieldError};
use crate::world::World;
use crate::{abort, analysis, blue_green, experiment_step, phase, time, update, weight};

/// Seconds until the things that the spec refers to are looked at again.
const AGAIN: i64 = 20;

/// The plan for an invalid Rollout.
pub(crate) fn plan(
    world: &World<'_>,
    now: Timestamp,
    problems: &[FieldError],
    mut draft: Draft,
) -> Plan {
    keep_the_way_back(world, now, &mut draft);
    for problem in problems {
        draft.reason(Reason::InvalidSpec {
            field: problem.field.clone(),
            message: problem.message.clone(),
        });
    }
    if let Some(first) = problems.first() {
        let name = world.rollout.metadata.name.as_deref().unwrap_or_default();
        let message = validation::condition_message(name, first);
        if draft
            .status
            .condition(INVALID_SPEC)
            .is_some_and(|known| known.message != message)
        {
            conditions::remove(&mut draft.status, INVALID_SPEC);
        }
        conditions::set(
            &mut draft.status,
            now,
            (INVALID_SPEC, "True", INVALID_SPEC),
            message,
        );
    }
    draft.status.observed_generation = world
        .rollout
        .metadata
        .generation
        .map(|number| number.to_string());
    draft.hold = None;
    phase::update(world, &mut draft);
    draft.wake(time::plus(now, SignedDuration::from_secs(AGAIN)));
    draft.finish(world)
}

fn keep_the_way_back(world: &World<'_>, now: Timestamp, draft: &mut Draft) {
    let Some(seen) = Seen::of(world, now) else {
        return;
    };
    if seen.update().is_none() || update::of_template(&seen) {
        return;
    }
    abort::orders(&seen, draft);
    analysis::judge(&seen, draft);
    experiment_step::judge(&seen, draft);
    if draft.status.aborted() {
        conditions::aborted(&seen, draft);
    }
    // The Service that the traffic leaves may be what is missing, not the one that it goes to.
    let named = seen.canary_service_name().is_some() && seen.stable_service().is_some();
    if draft.status.aborted() && seen.route.is_some() && world.traffic.is_ok() && named {
        weight::reconcile(&seen, draft);
    }
    if draft.status.aborted() {
        blue_green::services::return_to_stable(&seen, draft);
    }
}
