//! The language between the engine, which wants a split of traffic, and the routers, which make it.
//!
//! The engine says *what* (a [`Split`]); `sluice-traffic` turns it into edits of router objects and reads back what
//! those objects say now (an [`ObservedSplit`]). Neither knows the other.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::rollout::steps::{HeaderRoutingMatch, RouteMatch, StringMatch};
use crate::rollout::{CanaryStep, CanaryStrategy};

/// The split of traffic that a Rollout wants at one moment.
///
/// Weights are parts of `max`; `canary` is in `0..=max` and the stable side gets the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// `maxTrafficWeight`, 100 unless the router is told otherwise.
    pub max: i32,
    /// Weight of the canary side.
    pub canary: i32,
    /// Name of the Service of the canary side.
    pub canary_service: String,
    /// Name of the Service of the stable side.
    pub stable_service: String,
    /// Pod-template hash behind the canary side; `None` while there is no canary.
    pub canary_hash: Option<String>,
    /// Pod-template hash behind the stable side; `None` before the first promotion.
    pub stable_hash: Option<String>,
    /// Further destinations (experiment templates), each with a weight taken from the stable side.
    pub additional: Vec<WeightedService>,
    /// Header and mirror routes that must exist, highest priority first; all others of the Rollout must not.
    #[serde(default)]
    pub routes: Vec<SplitRoute>,
}

impl Split {
    /// Weight of the stable side: what the canary and the additional destinations leave.
    #[must_use]
    pub fn stable(&self) -> i32 {
        let additional: i32 = self
            .additional
            .iter()
            .map(|destination| destination.weight)
            .sum();
        (self.max - self.canary - additional).max(0)
    }
}

/// One further destination of a [`Split`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightedService {
    /// Name of the Service.
    pub service: String,
    /// Its pod-template hash.
    pub hash: String,
    /// Its weight, a part of `Split::max`.
    pub weight: i32,
    /// The ports of the Service, in the order of its containers. A router whose backends name a port takes the canary's
    /// when it is among them, else the first.
    #[serde(default)]
    pub ports: Vec<i32>,
}

/// A route of a [`Split`] beside its weights: one of `trafficRouting.managedRoutes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRoute {
    /// Its name in `managedRoutes`.
    pub name: String,
    /// What it does.
    pub kind: RouteKind,
}

/// What a [`SplitRoute`] does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RouteKind {
    /// Requests with all of these headers go to the canary side, whatever its weight (`setHeaderRoute`).
    Header(Vec<HeaderRoutingMatch>),
    /// Requests that one of the matches fits are split as all others are, and copied to the canary side as well
    /// (`setMirrorRoute`).
    Mirror {
        /// Which requests.
        matches: Vec<RouteMatch>,
        /// How many of them, 0 to 100; `None` means all.
        percentage: Option<i32>,
    },
}

/// The routes that a step makes; none for one that makes none or takes one away.
#[must_use]
pub fn routes_of(step: &CanaryStep) -> Vec<SplitRoute> {
    let header = step.set_header_route.as_ref().map(|step| {
        let matches = step.matches.clone().unwrap_or_default();
        (&step.name, !matches.is_empty(), RouteKind::Header(matches))
    });
    let mirror = step.set_mirror_route.as_ref().map(|step| {
        let matches = step.matches.clone().unwrap_or_default();
        let percentage = step.percentage;
        let makes = !matches.is_empty();
        (
            &step.name,
            makes,
            RouteKind::Mirror {
                matches,
                percentage,
            },
        )
    });
    header
        .into_iter()
        .chain(mirror)
        .filter(|(_, makes, _)| *makes)
        .map(|(name, _, kind)| SplitRoute {
            name: name.clone().unwrap_or_default(),
            kind,
        })
        .collect()
}

/// The header and mirror routes that the steps of a canary ask for, up to and with the one at `index`, highest priority
/// first: of the steps that name a route the last one makes it, or takes it away with an empty match.
#[must_use]
pub fn routes_after(canary: &CanaryStrategy, index: usize) -> Vec<SplitRoute> {
    let mut made: BTreeMap<String, SplitRoute> = BTreeMap::new();
    for step in canary.steps().iter().take(index.saturating_add(1)) {
        let header = step.set_header_route.as_ref().map(|it| &it.name);
        let mirror = step.set_mirror_route.as_ref().map(|it| &it.name);
        for name in header.into_iter().chain(mirror).flatten() {
            made.remove(name);
        }
        made.extend(
            routes_of(step)
                .into_iter()
                .map(|route| (route.name.clone(), route)),
        );
    }
    let routing = canary.traffic_routing.as_ref();
    routing
        .and_then(|routing| routing.managed_routes.as_ref())
        .into_iter()
        .flatten()
        .filter_map(|route| made.remove(route.name.as_deref()?))
        .collect()
}

/// As in `canary 20 of 100, stable 75, web-2-1-baseline 5, routes beta, shadow`.
impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (canary, max, stable) = (self.canary, self.max, self.stable());
        write!(f, "canary {canary} of {max}, stable {stable}")?;
        for WeightedService {
            service, weight, ..
        } in &self.additional
        {
            write!(f, ", {service} {weight}")?;
        }
        let mut before = ", routes ";
        for route in &self.routes {
            write!(f, "{before}{}", route.name)?;
            before = ", ";
        }
        Ok(())
    }
}

/// As in `beta (header x-beta = yes)` or `shadow (mirrors 25 % of requests with path = /api…)`.
impl fmt::Display for SplitRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions: Vec<String> = match &self.kind {
            RouteKind::Header(matches) => matches.iter().map(header).collect(),
            RouteKind::Mirror { matches, .. } => matches.iter().map(request).collect(),
        };
        write!(f, "{} (", self.name)?;
        match &self.kind {
            RouteKind::Header(_) => write!(f, "{}", conditions.join(" and "))?,
            RouteKind::Mirror { percentage, .. } => {
                let share = percentage.unwrap_or(100);
                write!(f, "mirrors {share} % of {}", conditions.join(" or "))?;
            }
        }
        f.write_str(")")
    }
}

fn header(it: &HeaderRoutingMatch) -> String {
    let name = it.header_name.as_deref().unwrap_or_default();
    format!("header {name} {}", value(it.header_value.as_ref()))
}

/// The conditions of one match of a mirror route; one without any fits all requests.
fn request(it: &RouteMatch) -> String {
    let headers = it.headers.iter().flatten();
    let parts: Vec<String> = [("method", &it.method), ("path", &it.path)]
        .into_iter()
        .filter_map(|(what, text)| Some(format!("{what} {}", value(Some(text.as_ref()?)))))
        .chain(headers.map(|(name, text)| format!("header {name} {}", value(Some(text)))))
        .collect();
    if parts.is_empty() {
        "all requests".to_owned()
    } else {
        format!("requests with {}", parts.join(" and "))
    }
}

fn value(it: Option<&StringMatch>) -> String {
    let Some(it) = it else {
        return "has any value".to_owned();
    };
    match (&it.exact, &it.prefix, &it.regex) {
        (Some(exact), ..) => format!("= {exact}"),
        (_, Some(prefix), _) => format!("= {prefix}…"),
        (.., Some(regex)) => format!("~ {regex}"),
        _ => "has any value".to_owned(),
    }
}

/// The header and mirror routes of a Rollout that one router object has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRoutes {
    /// Those that were told last, highest priority first.
    pub routes: Vec<SplitRoute>,
    /// Whether the object has exactly what they mean, and nothing left of others.
    pub intact: bool,
    /// Why the object cannot have the routes of the Rollout's steps, in words for a person.
    pub problem: Option<String>,
}

/// What one router object says now, or one rule of it when several of its rules split the traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedSplit {
    /// The object, as in `HTTPRoute default/web` or `HTTPRoute default/web rule api`.
    pub object: String,
    /// Field of the Rollout that names it, as in `spec.strategy.canary.trafficRouting.nginx.stableIngress`.
    pub field: String,
    /// The canary weight that it carries, scaled to `Split::max`; `Err` says why it cannot be read (object or
    /// backend missing, malformed) in words for the person who wrote the manifest.
    pub canary: Result<i32, String>,
    /// False when the router itself reports that it has not taken the object over (for example an HTTPRoute whose
    /// `Accepted` condition is False); `None` when the router says nothing.
    pub accepted: Option<bool>,
    /// The header and mirror routes that it has; `None` for an object that carries none.
    #[serde(default)]
    pub routes: Option<ShownRoutes>,
    /// The further destinations that it has: each Service with its weight, scaled to `Split::max`, in the order of names.
    #[serde(default)]
    pub additional: Vec<(String, i32)>,
}
