//! Conditions, in the words that other tools read.
//!
//! A condition whose status and reason stay the same is left as it is; `lastTransitionTime` moves only with the status.
//! A condition that changes goes to the end of the list, which is the order in which readers look for the first match.

use jiff::Timestamp;
use sluice_crds::rollout::RolloutStatus;
use sluice_crds::rollout::status::RolloutCondition;

use crate::deadline;
use crate::draft::{Draft, EventSlot};
use crate::plan::EventType;
use crate::replicas::{available, max_unavailable};
use crate::seen::Seen;
use crate::update::Changes;
use crate::world::ReplicaSet;
use crate::{pause, steps, time};

pub(crate) const PROGRESSING: &str = "Progressing";
pub(crate) const INVALID_SPEC: &str = "InvalidSpec";
const PAUSED: &str = "Paused";
const HEALTHY: &str = "Healthy";
const COMPLETED: &str = "Completed";
const AVAILABLE: &str = "Available";
const REPLICA_FAILURE: &str = "ReplicaFailure";

pub(crate) const ROLLOUT_ABORTED: &str = "RolloutAborted";
pub(crate) const ROLLOUT_PAUSED: &str = "RolloutPaused";
pub(crate) const DEADLINE_EXCEEDED: &str = "ProgressDeadlineExceeded";
pub(crate) const SET_AVAILABLE: &str = "NewReplicaSetAvailable";
const TRAFFIC_ERROR: &str = "TrafficRoutingError";

/// Sets a condition; true when it changed.
pub(crate) fn set(
    status: &mut RolloutStatus,
    now: Timestamp,
    (kind, value, reason): (&str, &str, &str),
    message: impl Into<String>,
) -> bool {
    let known = status.condition(kind);
    if known.is_some_and(|known| known.status == value && known.reason == reason) {
        return false;
    }
    let since = known
        .filter(|known| known.status == value)
        .and_then(|known| known.last_transition_time.clone())
        .unwrap_or_else(|| time::api(now));
    let condition = RolloutCondition {
        kind: kind.to_owned(),
        status: value.to_owned(),
        last_update_time: Some(time::api(now)),
        last_transition_time: Some(since),
        reason: reason.to_owned(),
        message: message.into(),
    };
    remove(status, kind);
    status.conditions.get_or_insert_default().push(condition);
    true
}

/// Removes a condition.
pub(crate) fn remove(status: &mut RolloutStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.kind != kind);
    }
}

/// Writes every condition of a valid Rollout, and the events that tell of their changes.
pub(crate) fn update(seen: &Seen<'_>, changes: &Changes, draft: &mut Draft) {
    remove(&mut draft.status, INVALID_SPEC);
    let healthy = is_healthy(seen, &draft.status);
    let became_unhealthy = health(seen, healthy, draft);
    completion(seen, draft);
    let was_paused = is_true(&draft.status, PAUSED);
    progress(seen, changes, healthy, became_unhealthy, draft);
    paused(seen, was_paused, draft);
    availability(seen, draft);
    failures(seen, draft);
}

fn is_true(status: &RolloutStatus, kind: &str) -> bool {
    status
        .condition(kind)
        .is_some_and(|condition| condition.status == "True")
}

fn is_paused(seen: &Seen<'_>, status: &RolloutStatus) -> bool {
    seen.paused_by_hand() || pause::paused(status)
}

/// Whether the present revision is stable and has all of its pods, none of which is about to go.
pub(crate) fn whole(seen: &Seen<'_>, status: &RolloutStatus) -> bool {
    let stays = |new: &ReplicaSet| available(new) >= seen.replicas;
    is_healthy(seen, status) && seen.sets.new.is_some_and(stays)
}

fn is_healthy(seen: &Seen<'_>, status: &RolloutStatus) -> bool {
    let all = Some(seen.replicas);
    if seen.blue_green.is_some() {
        // Old sets may still wait for their end.
        let selected = |service: Option<&crate::world::Service>| {
            service.is_none_or(|service| service.hash() == Some(seen.sets.hash.as_str()))
        };
        return status.updated_replicas == all
            && status.available_replicas == all
            && selected(seen.active_service())
            && selected(seen.preview_service())
            && is_complete(status);
    }
    status.updated_replicas == all
        && status.available_replicas == all
        && status.replicas == all
        && steps::all_done(status, seen.steps())
        && is_complete(status)
}

fn is_complete(status: &RolloutStatus) -> bool {
    status
        .stable_rs
        .as_ref()
        .is_some_and(|stable| !stable.is_empty())
        && status.stable_rs == status.current_pod_hash
}

/// True when the Rollout was healthy until now.
fn health(seen: &Seen<'_>, healthy: bool, draft: &mut Draft) -> bool {
    let status = &mut draft.status;
    if healthy && !is_paused(seen, status) {
        set(
            status,
            seen.now,
            (HEALTHY, "True", "RolloutHealthy"),
            "Rollout is healthy",
        );
        return false;
    }
    let known = status.condition(HEALTHY).is_some();
    known
        && set(
            status,
            seen.now,
            (HEALTHY, "False", "RolloutHealthy"),
            "Rollout is not healthy",
        )
}

fn completion(seen: &Seen<'_>, draft: &mut Draft) {
    let (hash, revision) = (&seen.sets.hash, seen.sets.revision());
    if is_complete(&draft.status) {
        set(
            &mut draft.status,
            seen.now,
            (COMPLETED, "True", "RolloutCompleted"),
            "RolloutCompleted",
        );
        return;
    }
    let first = seen.sets.stable.is_none() && draft.status.condition(COMPLETED).is_none();
    if first && seen.blue_green.is_some() {
        // Other tools expect no event about the first deployment of a blue-green.
        return;
    }
    let message = format!("Rollout not completed, started update to revision {revision} ({hash})");
    if set(
        &mut draft.status,
        seen.now,
        (COMPLETED, "False", "RolloutCompleted"),
        message.clone(),
    ) {
        draft.event(
            EventSlot::NotCompleted,
            EventType::Normal,
            "RolloutNotCompleted",
            message,
        );
    }
}

/// Progressing of an update that was given up, with the cause when it is given up now.
pub(crate) fn aborted(seen: &Seen<'_>, draft: &mut Draft) {
    let mut message = format!(
        "Rollout aborted update to revision {}",
        seen.sets.revision()
    );
    if let Some(cause) = &draft.abort_cause {
        if !cause.is_empty() {
            message = format!("{message}: {cause}");
        }
        // Again, with another cause.
        remove(&mut draft.status, PROGRESSING);
    }
    if set(
        &mut draft.status,
        seen.now,
        (PROGRESSING, "False", ROLLOUT_ABORTED),
        message.clone(),
    ) {
        draft.event(
            EventSlot::Aborted,
            EventType::Warning,
            ROLLOUT_ABORTED,
            message,
        );
    }
}

fn progress(
    seen: &Seen<'_>,
    changes: &Changes,
    healthy: bool,
    became_unhealthy: bool,
    draft: &mut Draft,
) {
    let name = seen
        .sets
        .new
        .map(|new| format!("ReplicaSet \"{}\"", new.name));
    let subject = name.unwrap_or_else(|| format!("Rollout \"{}\"", seen.name()));
    let before = draft.status.condition(PROGRESSING).cloned();
    let was = |reason: &str| {
        before
            .as_ref()
            .is_some_and(|before| before.reason == reason)
    };
    let status = &mut draft.status;
    let now = seen.now;
    if status.aborted() {
        aborted(seen, draft);
        return;
    }
    if changes.template {
        let hash = &seen.sets.hash;
        let (reason, message) = match seen.sets.new {
            Some(new) => (
                "FoundNewReplicaSet",
                format!("Found new replica set \"{}\"", new.name),
            ),
            None => (
                "NewReplicaSetCreated",
                format!("Created new replica set \"{}-{hash}\"", seen.name()),
            ),
        };
        remove(status, PROGRESSING);
        set(status, now, (PROGRESSING, "True", reason), message);
        return;
    }
    if is_paused(seen, status) {
        set(
            status,
            now,
            (PROGRESSING, "Unknown", ROLLOUT_PAUSED),
            "Rollout is paused",
        );
        return;
    }
    if healthy {
        set(
            status,
            now,
            (PROGRESSING, "True", SET_AVAILABLE),
            format!("{subject} has successfully progressed."),
        );
        return;
    }
    if was(ROLLOUT_PAUSED) {
        set(
            status,
            now,
            (PROGRESSING, "Unknown", "RolloutResumed"),
            "Rollout is resumed",
        );
        return;
    }
    if was(ROLLOUT_ABORTED) {
        set(
            status,
            now,
            (PROGRESSING, "Unknown", "RolloutRetry"),
            "Retrying Rollout",
        );
        return;
    }
    if was(SET_AVAILABLE) {
        // The update is over; what moves now is scaling or failing pods. The clock starts when it ceases to be healthy.
        if became_unhealthy {
            let message = format!("{subject} is not available");
            set(
                status,
                now,
                (PROGRESSING, "True", "ReplicaSetNotAvailable"),
                message,
            );
        }
        return;
    }
    if deadline::progressed(seen, status) {
        if let Some(conditions) = &mut status.conditions {
            // Refreshed even when nothing but the time changes.
            conditions
                .retain(|condition| condition.kind != PROGRESSING || condition.status != "True");
        }
        let kept = before.as_ref().filter(|before| before.status == "True");
        set(
            status,
            now,
            (PROGRESSING, "True", "ReplicaSetUpdated"),
            format!("{subject} is progressing."),
        );
        if let (Some(since), Some(conditions)) = (
            kept.and_then(|kept| kept.last_transition_time.clone()),
            &mut status.conditions,
        ) && let Some(condition) = conditions.last_mut()
        {
            condition.last_transition_time = Some(since);
        }
        return;
    }
    if deadline::exceeded(seen, status) {
        let message = format!("{subject} has timed out progressing.");
        if set(
            status,
            now,
            (PROGRESSING, "False", DEADLINE_EXCEEDED),
            message.clone(),
        ) {
            draft.event(
                EventSlot::Aborted,
                EventType::Warning,
                DEADLINE_EXCEEDED,
                message,
            );
        }
        return;
    }
    if let Some(problem) = seen.route.as_ref().and_then(crate::seen::Route::problem) {
        let same = before
            .as_ref()
            .is_some_and(|before| before.message == problem);
        if was(TRAFFIC_ERROR) && !same {
            remove(status, PROGRESSING);
        }
        if set(
            status,
            now,
            (PROGRESSING, "True", TRAFFIC_ERROR),
            problem.clone(),
        ) {
            draft.event(
                EventSlot::Traffic,
                EventType::Warning,
                TRAFFIC_ERROR,
                problem,
            );
        }
    } else if was(TRAFFIC_ERROR) || before.is_none() {
        set(
            status,
            now,
            (PROGRESSING, "True", "ReplicaSetUpdated"),
            format!("{subject} is progressing."),
        );
    }
    if let Some(at) = deadline::at(seen, &draft.status) {
        draft.wake(time::plus_seconds(at, 1));
    }
}

fn paused(seen: &Seen<'_>, was_paused: bool, draft: &mut Draft) {
    let status = &mut draft.status;
    let paused = is_paused(seen, status);
    if paused == was_paused {
        return;
    }
    let value = if paused { "True" } else { "False" };
    set(
        status,
        seen.now,
        (PAUSED, value, ROLLOUT_PAUSED),
        if paused {
            "Rollout is paused"
        } else {
            "Rollout is not paused"
        },
    );
    if paused {
        let why = status
            .pause_conditions
            .iter()
            .flatten()
            .next()
            .map(|condition| condition.reason.as_str());
        let message = format!("Rollout is paused ({})", why.unwrap_or("spec.paused"));
        draft.event(EventSlot::Steps, EventType::Normal, ROLLOUT_PAUSED, message);
    } else if !status.aborted() {
        draft.event(
            EventSlot::Steps,
            EventType::Normal,
            "RolloutResumed",
            "Rollout is resumed".to_owned(),
        );
    }
}

fn availability(seen: &Seen<'_>, draft: &mut Draft) {
    let least = seen.replicas - max_unavailable(seen);
    let (value, message) = if draft.status.available_replicas.unwrap_or(0) >= least {
        ("True", "Rollout has minimum availability")
    } else {
        ("False", "Rollout does not have minimum availability")
    };
    set(
        &mut draft.status,
        seen.now,
        (AVAILABLE, value, "AvailableReason"),
        message,
    );
}

/// The first set that cannot make its pods, the new one before the others.
fn failures(seen: &Seen<'_>, draft: &mut Draft) {
    match seen.sets.all().find_map(|set| set.failure.as_ref()) {
        Some(message) => {
            if draft
                .status
                .condition(REPLICA_FAILURE)
                .is_some_and(|known| known.message != *message)
            {
                remove(&mut draft.status, REPLICA_FAILURE);
            }
            set(
                &mut draft.status,
                seen.now,
                (REPLICA_FAILURE, "True", "FailedCreate"),
                message.clone(),
            );
        }
        None => remove(&mut draft.status, REPLICA_FAILURE),
    }
}
