//! Traefik: the weights of a `TraefikService` of kind weighted round robin.
//!
//! The Rollout names it in `trafficRouting.traefik.weightedTraefikServiceName`; its `spec.weighted.services` must list
//! the canary and the stable Service by name. A template of an experiment with a weight is a further item of that list (see
//! [`experiments`]). Nothing else of it is touched.

use serde_json::Value;
use sluice_crds::rollout::Rollout;
use sluice_crds::rollout::traffic_routing::TraefikTrafficRouting;
use sluice_crds::split::{ObservedSplit, Split};

use crate::Lookup;
use crate::edit::{Operations, RouteEdit};
use crate::experiments;
use crate::object::{FieldError, ObjectRef, list, resource_version, text, uid};
use crate::sides::Sides;
use crate::spec::{Ranked, namespace};
use crate::weights::{NoPair, Pair, Role, Share};

/// Where the weights are, as a JSON Pointer.
const SERVICES: &str = "/spec/weighted/services";

/// A TraefikService that a Rollout names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WeightedService {
    pub(crate) object: ObjectRef,
    pub(crate) field: String,
    /// Name of the Rollout among those that have added experiments.
    pub(crate) key: String,
}

/// Reads `trafficRouting.traefik`.
pub(crate) fn read(
    rollout: &Rollout,
    traefik: &TraefikTrafficRouting,
    field: &str,
) -> Result<WeightedService, FieldError> {
    let field = format!("{field}.weightedTraefikServiceName");
    match traefik.weighted_traefik_service_name.as_deref() {
        None | Some("") => Err(FieldError {
            field,
            message: "required: the name of the TraefikService that lists both Services".to_owned(),
        }),
        Some(name) => Ok(WeightedService {
            object: ObjectRef {
                api_version: "traefik.io/v1alpha1".to_owned(),
                kind: "TraefikService".to_owned(),
                plural: "traefikservices".to_owned(),
                namespace: namespace(rollout),
                name: name.to_owned(),
            },
            field,
            key: experiments::key(rollout),
        }),
    }
}

/// The list of weighted services.
pub(crate) fn services(object: &Value) -> &[Value] {
    list(object, &["spec", "weighted", "services"])
}

impl WeightedService {
    /// The Rollout's items of the list.
    pub(crate) fn find(&self, object: &Value, sides: &Sides) -> Result<Pair, NoPair> {
        let added = experiments::added(object, &self.key);
        Pair::find(services(object), |item| {
            let namespace = text(item, &["namespace"]);
            match text(item, &["name"]) {
                _ if namespace.is_some_and(|other| other != self.object.namespace) => Role::Other,
                Some(name) if name == sides.canary => Role::Canary,
                Some(name) if name == sides.stable => Role::Stable,
                Some(name) if added.iter().any(|known| known == name) => Role::Experiment,
                _ => Role::Other,
            }
        })
    }

    fn pair(&self, object: &Value, sides: &Sides) -> Result<Pair, String> {
        self.find(object, sides).map_err(|missing| {
            let add = |name: &str| {
                format!("spec.weighted.services does not list Service {name}: add it, with its port")
            };
            match missing {
                NoPair::OnlyStable => add(&sides.canary),
                NoPair::OnlyCanary => add(&sides.stable),
                NoPair::Neither => format!(
                    "spec.weighted.services lists neither Service {} nor Service {}: add both, with \
                     their ports",
                    sides.stable, sides.canary
                ),
                NoPair::CanaryTwice => twice(&sides.canary),
                NoPair::StableTwice => twice(&sides.stable),
            }
        })
    }

    pub(crate) fn observe<'a>(
        &self,
        sides: &Sides,
        objects: &Lookup<'_, 'a>,
        max: i32,
    ) -> ObservedSplit {
        let missing = || format!("{} does not exist: create it", self.object);
        let pair = objects(&self.object)
            .ok_or_else(missing)
            .and_then(|object| self.pair(object, sides));
        let canary = pair.as_ref().map_err(Clone::clone);
        let canary = canary.and_then(|pair| pair.observed(max));
        ObservedSplit {
            object: self.object.to_string(),
            field: self.field.clone(),
            canary,
            accepted: None,
            routes: None,
            additional: pair.map_or_else(|_| Vec::new(), |pair| pair.observed_experiments(max)),
        }
    }

    pub(crate) fn edits<'a>(
        &self,
        sides: &Sides,
        split: &Split,
        objects: &Lookup<'_, 'a>,
    ) -> Option<Ranked> {
        let object = objects(&self.object)?;
        let pair = self.pair(object, sides).ok()?;
        let mut operations = Operations::default();
        let share = Share::of(split);
        let mut words = pair.set(&mut operations, SERVICES, services(object), &share);
        if pair.can_express(&share)
            && experiments::remember(&mut operations, object, &self.key, &share.experiments)
        {
            words.get_or_insert_with(|| "note of experiments".to_owned());
        }
        let words = words?;
        Some(Ranked {
            raises_canary: pair.raises(split.canary, split.max),
            edit: RouteEdit::Patch {
                object: self.object.clone(),
                uid: uid(object),
                resource_version: resource_version(object),
                patch: operations.into_patch(object),
                summary: format!("{}: {words}", self.object),
            },
        })
    }
}

fn twice(service: &str) -> String {
    format!("spec.weighted.services lists Service {service} twice: keep one of them")
}
