//! Reads `spec.strategy.canary.trafficRouting`: which routers there are, and which fields cannot be driven.

use sluice_crds::rollout::Rollout;
use sluice_crds::rollout::canary::CanaryStrategy;
use sluice_crds::rollout::traffic_routing::{GATEWAY_API_PLUGIN, TrafficRouting};
use sluice_crds::split::{ObservedSplit, Split};

use crate::Lookup;
use crate::edit::RouteEdit;
use crate::gateway_api::{self, Route};
use crate::nginx::{self, CanaryIngress};
use crate::object::{FieldError, RouterObject};
use crate::sides::Sides;
use crate::traefik::{self, WeightedService};
use crate::weights::LARGEST;

const CANARY: &str = "spec.strategy.canary";
pub(crate) const FIELD: &str = "spec.strategy.canary.trafficRouting";
const SUPPORTED: &str = "nginx, traefik and plugins[\"argoproj-labs/gatewayAPI\"]";

/// Everything that a Rollout says about its routers.
#[derive(Debug, Default)]
pub(crate) struct Spec {
    /// The routers that can be driven, in the order of the API.
    pub(crate) routers: Vec<Router>,
    /// The fields that cannot.
    pub(crate) errors: Vec<FieldError>,
}

/// One place that carries weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Router {
    /// A canary Ingress beside a stable one.
    Nginx(CanaryIngress),
    /// A TraefikService.
    Traefik(WeightedService),
    /// A Gateway API route.
    Gateway(Route),
}

/// An edit and whether it gives the canary more traffic.
#[derive(Debug)]
pub(crate) struct Ranked {
    pub(crate) edit: RouteEdit,
    pub(crate) raises_canary: bool,
}

impl Router {
    pub(crate) fn objects(&self) -> Vec<RouterObject> {
        let (object, field) = match self {
            Router::Nginx(ingress) => return ingress.objects().to_vec(),
            Router::Traefik(service) => (&service.object, &service.field),
            Router::Gateway(route) => (&route.object, &route.field),
        };
        vec![RouterObject {
            object: object.clone(),
            field: field.clone(),
            managed: false,
        }]
    }

    pub(crate) fn observe<'a>(
        &self,
        rollout: &Rollout,
        sides: &Sides,
        objects: &Lookup<'_, 'a>,
        max: i32,
    ) -> Vec<ObservedSplit> {
        match self {
            Router::Nginx(ingress) => vec![ingress.observe(rollout, sides, objects, max)],
            Router::Traefik(service) => vec![service.observe(sides, objects, max)],
            Router::Gateway(route) => route.observe(rollout, sides, objects, max),
        }
    }

    pub(crate) fn edits<'a>(
        &self,
        rollout: &Rollout,
        split: &Split,
        objects: &Lookup<'_, 'a>,
    ) -> Option<Ranked> {
        let sides = Sides {
            canary: split.canary_service.clone(),
            stable: split.stable_service.clone(),
        };
        match self {
            Router::Nginx(ingress) => ingress.edits(rollout, &sides, split, objects),
            Router::Traefik(service) => service.edits(&sides, split, objects),
            Router::Gateway(route) => route.edits(rollout, &sides, split, objects),
        }
    }

    pub(crate) fn removal<'a>(
        &self,
        rollout: &Rollout,
        sides: &Sides,
        objects: &Lookup<'_, 'a>,
    ) -> Option<RouteEdit> {
        if let Router::Nginx(ingress) = self {
            return ingress.removal(rollout, objects);
        }
        let nothing = Split {
            max: rollout
                .spec
                .canary()
                .map_or(100, CanaryStrategy::max_weight)
                .max(1),
            canary: 0,
            canary_service: sides.canary.clone(),
            stable_service: sides.stable.clone(),
            canary_hash: None,
            stable_hash: None,
            additional: Vec::new(),
            routes: Vec::new(),
        };
        self.edits(rollout, &nothing, objects)
            .map(|ranked| ranked.edit)
    }
}

/// The Rollout's namespace; `default` when it has none, as for the API server.
pub(crate) fn namespace(rollout: &Rollout) -> String {
    let namespace = rollout.metadata.namespace.clone();
    namespace
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or_else(|| "default".to_owned())
}

/// Reads a Rollout; empty without traffic routing.
pub(crate) fn read(rollout: &Rollout) -> Spec {
    let mut spec = Spec::default();
    let Some(canary) = rollout.spec.canary() else {
        return spec;
    };
    let Some(routing) = &canary.traffic_routing else {
        return spec;
    };
    spec.read_routers(rollout, routing);
    spec.check_services(canary);
    spec.check_steps(canary);
    spec.check_managed_routes(routing);
    if let Some(max) = routing.max_traffic_weight
        && !(1..=LARGEST).contains(&i64::from(max))
    {
        spec.refuse(
            &format!("{FIELD}.maxTrafficWeight"),
            format!("must be 1 to {LARGEST}, not {max}"),
        );
    }
    spec
}

impl Spec {
    pub(crate) fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.errors.push(FieldError {
            field: field.to_owned(),
            message: message.into(),
        });
    }

    fn read_routers(&mut self, rollout: &Rollout, routing: &TrafficRouting) {
        let before = self.errors.len();
        if let Some(nginx) = &routing.nginx {
            let (ingresses, errors) = nginx::read(rollout, nginx, &format!("{FIELD}.nginx"));
            self.routers
                .extend(ingresses.into_iter().map(Router::Nginx));
            self.errors.extend(errors);
        }
        if let Some(traefik) = &routing.traefik {
            match traefik::read(rollout, traefik, &format!("{FIELD}.traefik")) {
                Ok(service) => self.routers.push(Router::Traefik(service)),
                Err(error) => self.errors.push(error),
            }
        }
        for (name, settings) in routing.plugins.iter().flatten() {
            let field = format!("{FIELD}.plugins[{name:?}]");
            if name == GATEWAY_API_PLUGIN {
                let (routes, errors) = gateway_api::config::read(rollout, settings, &field);
                self.routers.extend(routes.into_iter().map(Router::Gateway));
                self.errors.extend(errors);
            } else {
                self.refuse(
                    &field,
                    format!("unknown plugin; built in is {GATEWAY_API_PLUGIN}"),
                );
            }
        }
        for (key, present) in [
            ("istio", routing.istio.is_some()),
            ("alb", routing.alb.is_some()),
            ("smi", routing.smi.is_some()),
            ("ambassador", routing.ambassador.is_some()),
            ("appMesh", routing.app_mesh.is_some()),
            ("apisix", routing.apisix.is_some()),
        ] {
            if present {
                self.refuse(
                    &format!("{FIELD}.{key}"),
                    format!("this router is not supported; supported are {SUPPORTED}"),
                );
            }
        }
        if self.routers.is_empty() && self.errors.len() == before {
            self.refuse(FIELD, format!("names no router; supported are {SUPPORTED}"));
        }
    }

    fn check_services(&mut self, canary: &CanaryStrategy) {
        let required = "required with trafficRouting: the name of the Service that the routers send \
                        its side's traffic to";
        let absent = |name: &Option<String>| name.as_deref().is_none_or(str::is_empty);
        let (first, second) = match &canary.ping_pong {
            None => (
                ("canaryService", &canary.canary_service),
                ("stableService", &canary.stable_service),
            ),
            Some(pair) => {
                if self
                    .routers
                    .iter()
                    .any(|router| matches!(router, Router::Nginx(_)))
                {
                    self.refuse(
                        &format!("{CANARY}.pingPong"),
                        "not supported with nginx, whose stable Ingress names one stable Service: use \
                         canaryService and stableService",
                    );
                }
                (
                    ("pingPong.pingService", &pair.ping_service),
                    ("pingPong.pongService", &pair.pong_service),
                )
            }
        };
        for (key, name) in [first, second] {
            if absent(name) {
                self.refuse(&format!("{CANARY}.{key}"), required);
            }
        }
        if !absent(first.1) && first.1 == second.1 {
            self.refuse(
                &format!("{CANARY}.{}", first.0),
                format!(
                    "is the same Service as {}: the two sides need one each",
                    second.0
                ),
            );
        }
    }

    fn check_steps(&mut self, canary: &CanaryStrategy) {
        for (index, step) in canary.steps().iter().enumerate() {
            let field = format!("{CANARY}.steps[{index}]");
            if let Some(step) = &step.set_header_route {
                self.check_header_route(step, &format!("{field}.setHeaderRoute"));
            }
            if let Some(step) = &step.set_mirror_route {
                self.check_mirror_route(step, &format!("{field}.setMirrorRoute"));
            }
            let templates = step
                .experiment
                .as_ref()
                .and_then(|experiment| experiment.templates.as_ref());
            let nginx = self.routers.iter().any(|it| matches!(it, Router::Nginx(_)));
            for (number, template) in templates.into_iter().flatten().enumerate() {
                if nginx && template.weight.is_some() {
                    self.refuse(
                        &format!("{field}.experiment.templates[{number}].weight"),
                        "not supported with nginx, whose canary Ingress names one Service: remove the weight",
                    );
                }
            }
        }
    }
}
