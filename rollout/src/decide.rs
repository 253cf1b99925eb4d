//! The story of one decision.

use jiff::Timestamp;

use crate::basis::Basis;
use crate::draft::{Draft, EventSlot};
use crate::plan::{Effect, EventType, Plan};
use crate::revision;
use crate::seen::Seen;
use crate::world::World;
use crate::{
    abort, analysis, anti_affinity, blue_green, conditions, counts, deadline, duration,
    experiment_step, history, invalid, metadata, pause, phase, ping_pong, promote, replicas,
    restart, services, steps, time, update, weight, workload,
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
    let resolved = workload::resolved(world);
    let made;
    let basis = match world.basis {
        Some(known) => known,
        None => {
            made = Basis::of_resolved(world, &resolved);
            &made
        }
    };
    let problems = &basis.problems;
    // From here on the template is that of the workload, if one is named.
    let world = &World {
        rollout: &resolved,
        basis: Some(basis),
        ..*world
    };
    // Who is who?
    let seen = match Seen::of(world, now) {
        Some(seen) if problems.is_empty() => seen,
        _ => return invalid::plan(world, now, problems, draft),
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

    match ping_pong::roles(&seen) {
        ping_pong::Roles::AsTheStatusSays => {}
        ping_pong::Roles::Found(hash, role) => {
            // The routes are read by it, so the next decision begins with it.
            draft.status.stable_rs = Some(hash);
            let canary = draft.status.canary.get_or_insert_default();
            canary.stable_ping_pong = Some(role.to_owned());
            return draft.finish(world);
        }
        ping_pong::Roles::Lost(problem) => return invalid::plan(world, now, &[problem], draft),
    }

    // What is new?
    let changes = update::changes(&seen);
    revision::sync(&seen, &mut draft);
    counts::update(&seen, &mut draft.status);
    update::begin(&seen, &changes, &mut draft);

    // Is there a reason to stop?
    abort::orders(&seen, &mut draft);
    analysis::judge(&seen, &mut draft);
    experiment_step::judge(&seen, &mut draft);
    deadline::enforce(&seen, &mut draft);

    // How far are we?
    let blue_green = seen.blue_green.is_some();
    let advanced = if blue_green {
        blue_green::gate::advance(&seen, &mut draft)
    } else {
        let advanced = steps::advance(&seen, &mut draft);
        pause::tidy(&seen, &mut draft);
        advanced
    };

    // What has to be written for that? A step forward is in the status before anything is done about it: otherwise a
    // crash in between would make the step before it look unfinished, and take back what was done.
    services::let_go(&seen, &mut draft);
    if !advanced && blue_green {
        blue_green::services::reconcile(&seen, &mut draft);
        blue_green::replicas::reconcile(&seen, &mut draft);
    } else if !advanced {
        weight::reconcile(&seen, &mut draft);
        services::reconcile(&seen, &mut draft);
        replicas::reconcile(&seen, &mut draft);
    }
    analysis::reconcile(&seen, &mut draft, advanced);
    experiment_step::reconcile(&seen, &mut draft, advanced);
    if !advanced {
        promote::when_due(&seen, &mut draft);
    }
    ping_pong::mark(&seen, &mut draft);
    metadata::reconcile(&seen, &mut draft);
    anti_affinity::reconcile(&seen, &mut draft);
    workload::reconcile(&seen, &mut draft);
    history::clean(&seen, &mut draft);
    restart::reconcile(&seen, &mut draft);

    // What is there to say about it?
    duration::follow(&seen, &mut draft);
    conditions::update(&seen, &changes, &mut draft);
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
