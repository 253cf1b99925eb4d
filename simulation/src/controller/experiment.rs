//! The Experiment loop: a creation that the API refuses for good is told to the engine at once.

use jiff::Timestamp;
use sluice_rollout::experiment::{Effect, Plan, Refused, request};
use sluice_rollout::request::Request;

use super::act::{Act, Write};
use super::observe::Seen;
use super::{Controller, Pass};
use crate::store::{Object, Refusal};

/// Refusals that one pass takes in; each is another object.
const REFUSALS: usize = 32;

impl Controller {
    pub(super) fn experiment(
        &mut self,
        object: &Object,
        seen: &mut Seen,
        act: &mut Act<'_>,
    ) -> Result<Option<Timestamp>, Pass> {
        let Some(experiment) = object.experiment() else {
            return Err(Pass::Gone);
        };
        seen.experiment(&self.view, object);
        let mut refused: Vec<Refused> = Vec::new();
        loop {
            let world = seen.experiment_world(experiment, &refused, &self.settings);
            let plan = (self.engine.experiment)(&world, act.now);
            act.coverage.experiment(&plan);
            match carry_out(object, &plan, act) {
                Ok(()) => {
                    let now = act.now;
                    self.events
                        .extend(plan.events.into_iter().map(|event| (now, event)));
                    return Ok(plan.wake_at);
                }
                Err(Stopped::Refused(one)) if refused.len() < REFUSALS => refused.push(one),
                Err(Stopped::Refused(one)) => {
                    let key = object.key.as_ref().clone();
                    return Err(Pass::Refused(Refusal::Invalid(key, one.message)));
                }
                Err(Stopped::Pass(pass)) => return Err(pass),
            }
        }
    }
}

enum Stopped {
    Refused(Refused),
    Pass(Pass),
}

impl From<Pass> for Stopped {
    fn from(pass: Pass) -> Self {
        Self::Pass(pass)
    }
}

fn carry_out(object: &Object, plan: &Plan, act: &mut Act<'_>) -> Result<(), Stopped> {
    let Some(experiment) = object.experiment() else {
        return Ok(());
    };
    for effect in &plan.effects {
        act.coverage.experiment_effect(effect);
        let request = request::of_effect(experiment, effect);
        match act.send(&Write::Experiment(effect.clone()), &request) {
            Ok(_) => {}
            Err(Pass::Refused(refusal)) => return Err(of_refusal(&request, effect, refusal)),
            Err(pass) => return Err(pass.into()),
        }
    }
    let status = experiment.status.as_ref();
    act.status(&Write::Status, object, object.version, status, &plan.status)?;
    Ok(())
}

/// What a refused write means: a creation that will go on being refused is an answer, everything else a reason to look
/// again.
fn of_refusal(request: &Request, effect: &Effect, refusal: Refusal) -> Stopped {
    let taken = matches!(refusal, Refusal::AlreadyExists(_));
    let lasting = taken || matches!(refusal, Refusal::Invalid(..) | Refusal::Forbidden(_));
    let Request::Create { target, .. } = request else {
        return Stopped::Pass(Pass::Refused(refusal));
    };
    let made = matches!(
        effect,
        Effect::CreateReplicaSet(_) | Effect::CreateService(_) | Effect::CreateAnalysisRun(_)
    );
    if !lasting || !made {
        return Stopped::Pass(Pass::Refused(refusal));
    }
    Stopped::Refused(Refused {
        kind: target.kind,
        name: target.name.clone(),
        message: refusal.to_string(),
        taken,
    })
}
