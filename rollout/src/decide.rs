//! The story of one decision.

use jiff::Timestamp;

use crate::draft::{Draft, EventSlot};
use crate::plan::{Effect, EventType, Plan};
use crate::revision::{self, Sets};
use crate::seen::Seen;
use crate::world::World;
use crate::{
    abort, analysis, conditions, counts, deadline, duration, experiment_step, history, invalid,
    pause, phase, promote, replicas, services, steps, time, update, weight,
};

/// What to do next for one Rollout.
///
/// Total: every world has a plan. It goes as far as it safely can; what has to be observed first is left to the next
/// decision. The same world at the same second gives the same plan, in whatever order its lists are.
#[must_use]
pub fn decide(world: &World<'_>, now: Timestamp) -> Plan {
    let now = time::whole_seconds(now);
    let mut draft = Draft::new(world);
    if world.rollout.metadata.deletion_timestamp.is_some() {
        return draft.finish(world);
    }
    greet(world, &mut draft);
    let problems = invalid::problems(world);
    let canary = match world.rollout.spec.canary() {
        Some(canary) if problems.is_empty() => canary,
        _ => return invalid::plan(world, now, &problems, draft),
    };
    if world.rollout.spec.replicas.is_none() {
        // Autoscalers read it.
        return draft.only(
            world,
            Effect::SetReplicas {
                replicas: world.rollout.spec.replicas(),
            },
        );
    }

    // Who is who, and what is new.
    let seen = Seen::new(world, canary, Sets::find(world), now);
    let changes = update::changes(&seen);
    revision::sync(&seen, &mut draft);
    counts::update(&seen, &mut draft.status);
    update::begin(&seen, &mut draft);

    // Is there a reason to stop?
    abort::orders(&seen, &mut draft);
    analysis::judge(&seen, &mut draft);
    experiment_step::judge(&seen, &mut draft);
    deadline::enforce(&seen, &mut draft);

    // How far are we?
    let advanced = steps::advance(&seen, &mut draft);
    pause::tidy(&seen, &mut draft);

    // What has to be written for that? A step forward is in the status before anything is done about it: otherwise a
    // crash in between would make the step before it look unfinished, and take back what was done.
    if !advanced {
        weight::reconcile(&seen, &mut draft);
        services::reconcile(&seen, &mut draft);
        replicas::reconcile(&seen, &mut draft);
    }
    analysis::reconcile(&seen, &mut draft, advanced);
    experiment_step::reconcile(&seen, &mut draft, advanced);
    if !advanced {
        promote::when_due(&seen, &mut draft);
    }
    history::clean(&seen, &mut draft);

    // What is there to say about it?
    duration::follow(&seen, &mut draft);
    conditions::update(&seen, changes, &mut draft);
    phase::update(world, &mut draft);
    draft.finish(world)
}

/// The first event of a Rollout that was never looked at.
fn greet(world: &World<'_>, draft: &mut Draft) {
    let status = world.rollout.status.as_ref();
    if status
        .is_none_or(|status| status.observed_generation.is_none() && status.conditions.is_none())
    {
        let metadata = &world.rollout.metadata;
        let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
        let message = format!(
            "{}/{}",
            namespace.unwrap_or_default(),
            name.unwrap_or_default()
        );
        let message = format!("Rollout resource added to informer: {message}");
        draft.event(
            EventSlot::Added,
            EventType::Normal,
            "RolloutAddedToInformer",
            message,
        );
    }
}
