//! Traefik: the weights of a `TraefikService` of kind weighted round robin.
//!
//! The Rollout names it in `trafficRouting.traefik.weightedTraefikServiceName`; its `spec.weighted.services` must list
//! the canary and the stable Service by name. Nothing else of it is touched.

use serde_json::Value;
use sluice_crds::rollout::Rollout;
use sluice_crds::rollout::traffic_routing::TraefikTrafficRouting;
use sluice_crds::split::{ObservedSplit, Split};

use crate::Lookup;
use crate::edit::{Operations, RouteEdit};
use crate::object::{FieldError, ObjectRef, list, resource_version, text, uid};
use crate::sides::Sides;
use crate::spec::{Ranked, namespace};
use crate::weights::{NoPair, Pair, Role};

/// Where the weights are, as a JSON Pointer.
const SERVICES: &str = "/spec/weighted/services";

/// A TraefikService that a Rollout names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WeightedService {
    pub(crate) object: ObjectRef,
    pub(crate) field: String,
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
        }),
    }
}

/// The list of weighted services.
pub(crate) fn services(object: &Value) -> &[Value] {
    list(object, &["spec", "weighted", "services"])
}

/// What an item of that list is to the Rollout, whose namespace is given.
pub(crate) fn role(item: &Value, sides: &Sides, namespace: &str) -> Role {
    let elsewhere = text(item, &["namespace"]).is_some_and(|other| other != namespace);
    match text(item, &["name"]) {
        Some(name) if !elsewhere && name == sides.canary => Role::Canary,
        Some(name) if !elsewhere && name == sides.stable => Role::Stable,
        _ => Role::Other,
    }
}

impl WeightedService {
    fn pair(&self, object: &Value, sides: &Sides) -> Result<Pair, String> {
        let namespace = &self.object.namespace;
        Pair::find(services(object), |item| role(item, sides, namespace)).map_err(|missing| {
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
        let canary = match objects(&self.object) {
            None => Err(format!("{} does not exist: create it", self.object)),
            Some(object) => self.pair(object, sides).and_then(|pair| pair.observed(max)),
        };
        ObservedSplit {
            object: self.object.to_string(),
            field: self.field.clone(),
            canary,
            accepted: None,
            routes: None,
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
        let words = pair.set(
            &mut operations,
            SERVICES,
            services(object),
            split.canary,
            split.max,
        )?;
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
