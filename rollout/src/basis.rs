//! What follows from the spec and from what it names alone, however far the update is: whether the Rollout can be carried
//! out, and the hashes of its template and of its steps.
//!
//! This is the costly part of a decision, and it seldom changes. A decision makes it when it is not given; a shell that
//! looks at the same Rollout again, or checks every effect of a plan, keeps it ([`World::basis`]).

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use sluice_crds::pod_template::PodTemplate;
use sluice_crds::rollout::Rollout;

use crate::validation::{self, FieldError};
use crate::world::World;
use crate::{hash, workload};

/// What a Rollout without a template has.
pub(crate) static NO_TEMPLATE: LazyLock<PodTemplate> = LazyLock::new(PodTemplate::default);

/// What decisions about a Rollout rest on while neither its name nor its spec, nor the Services, the analysis templates
/// and the workload that it names change, nor what of its `trafficRouting` cannot be driven.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// Everything that is wrong with the Rollout, the first to be shown first.
    pub(crate) problems: Vec<FieldError>,
    of_spec: Arc<OfSpec>,
}

/// The part that the spec and the workload decide alone.
#[derive(Debug, PartialEq)]
struct OfSpec {
    problems: Vec<FieldError>,
    hashes: Hashes,
}

impl Basis {
    /// The basis of decisions about a world.
    #[must_use]
    pub fn of(world: &World<'_>) -> Self {
        Self::of_resolved(world, &workload::resolved(world))
    }

    /// The same, for a Rollout whose template was found already.
    pub(crate) fn of_resolved(world: &World<'_>, resolved: &Rollout) -> Self {
        let of_spec = Arc::new(OfSpec {
            problems: validation::of_spec(&world.rollout.spec),
            hashes: Hashes::of(resolved),
        });
        Self::with(of_spec, world, resolved)
    }

    /// The basis for a world in which neither the spec nor the workload is another one: what else the Rollout names is
    /// looked at again.
    #[must_use]
    pub fn again(&self, world: &World<'_>) -> Self {
        Self::with(Arc::clone(&self.of_spec), world, &workload::resolved(world))
    }

    fn with(of_spec: Arc<OfSpec>, world: &World<'_>, resolved: &Rollout) -> Self {
        Self {
            problems: validation::with_references(of_spec.problems.clone(), world, resolved),
            of_spec,
        }
    }
}

/// What names the revision that the spec asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hashes {
    /// The canonical form of the pod template.
    pub(crate) template: Vec<u8>,
    /// Digest of that form.
    pub(crate) digest: String,
    /// What tells the steps apart from others; `None` for a blue-green, which has none.
    pub(crate) steps: Option<String>,
}

impl Hashes {
    fn of(rollout: &Rollout) -> Self {
        let spec = &rollout.spec;
        let template = hash::pod_template_json(spec.template.as_ref().unwrap_or(&NO_TEMPLATE));
        Self {
            digest: hash::digest_of_json(&template),
            template,
            steps: spec.canary().map(|canary| hash::steps_hash(canary.steps())),
        }
    }

    /// Those of a world whose Rollout has its template.
    pub(crate) fn in_world<'a>(world: &World<'a>) -> Cow<'a, Self> {
        match world.basis {
            Some(basis) => Cow::Borrowed(&basis.of_spec.hashes),
            None => Cow::Owned(Self::of(world.rollout)),
        }
    }
}
