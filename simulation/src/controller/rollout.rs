//! The Rollout loop.

use std::sync::Arc;

use jiff::Timestamp;
use sluice_crds::rollout::RolloutStatus;
use sluice_rollout::{Effect, request};

use super::act::{Act, Write};
use super::observe::{self, Seen};
use super::{Controller, Pass};
use crate::requests;
use crate::store::Object;
use crate::workload::Workloads;

impl Controller {
    pub(super) fn rollout(
        &mut self,
        object: &Object,
        seen: &mut Seen,
        workloads: &mut Workloads,
        act: &mut Act<'_>,
    ) -> Result<Option<Timestamp>, Pass> {
        let Some(rollout) = object.rollout() else {
            return Err(Pass::Gone);
        };
        let view = &self.view;
        seen.rollout(view, object, rollout, workloads, &self.settings);
        let world = seen.world(rollout, &self.settings);
        let plan = (self.engine.rollout)(&world, act.now);
        act.coverage.rollout(&plan);

        let aborted = rollout.status.as_ref().is_some_and(RolloutStatus::aborted);
        let lookup = |it: &sluice_traffic::ObjectRef| observe::route(view, it);
        let mut version = object.version;
        for effect in &plan.effects {
            if let Err(violation) = (self.engine.check)(&world, effect) {
                return Err(Pass::Unsafe(violation.to_string()));
            }
            act.coverage.effect(effect);
            let what = Write::Effect {
                effect: effect.clone(),
                aborted,
                replicas: rollout.spec.replicas(),
            };
            match effect {
                Effect::SetTraffic(split) => {
                    for edit in sluice_traffic::edits(rollout, split, &lookup) {
                        act.write(
                            &what,
                            || requests::route_key(&edit),
                            |store| requests::edit_route(store, &edit),
                        )?;
                    }
                }
                Effect::EvictPod { name, uid } => {
                    act.touch(name)?;
                    if !workloads.evict(uid) {
                        act.coverage.fault("refused eviction");
                    }
                }
                Effect::PatchPod {
                    name,
                    uid,
                    labels,
                    annotations,
                } => {
                    act.touch(name)?;
                    workloads.patch(uid, labels, annotations);
                }
                _ => {
                    let Some(request) = request::of_effect(rollout, effect, &version.to_string())
                    else {
                        continue;
                    };
                    let written = act.send(&what, &request)?;
                    if let Some(written) = written.filter(|it| *it.key == *object.key) {
                        version = written.version;
                    }
                }
            }
        }
        if let Some(request) = request::of_status(rollout, &plan.status, &version.to_string()) {
            act.send(&Write::Status, &request)?;
        }
        let now = act.now;
        let wake = plan.wake_at;
        self.events
            .extend(plan.events.into_iter().map(|event| (now, event)));
        Ok(wake)
    }

    /// Decides about a Rollout with everything seen in another order and nothing remembered; `None` when the decisions are the same.
    #[must_use]
    pub fn depends_on_order(
        &self,
        object: &Arc<Object>,
        now: Timestamp,
        workloads: &Workloads,
    ) -> Option<String> {
        let rollout = object.rollout()?;
        // What is kept between looks must be what would be made anew.
        let mut seen = self.seen.get(&object.key).cloned().unwrap_or_default();
        seen.rollout(&self.view, object, rollout, workloads, &self.settings);
        let plan = (self.engine.rollout)(&seen.world(rollout, &self.settings), now);
        let other = seen.reversed();
        let other = (self.engine.rollout)(&other.world(rollout, &self.settings), now);
        (plan != other).then(|| format!("{plan:?} ≠ {other:?}"))
    }
}
