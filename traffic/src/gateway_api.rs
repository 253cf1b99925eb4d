//! Gateway API: the weights of `backendRefs` in HTTPRoutes, GRPCRoutes, TCPRoutes and TLSRoutes.
//!
//! The Rollout names the routes under `trafficRouting.plugins["argoproj-labs/gatewayAPI"]` (see [`config`]). In each
//! route, every rule that has backendRefs to both Services splits the traffic; other rules are left alone. A backend
//! is one of the two when it is a Service with that name in the Rollout's namespace: a route of another namespace
//! must say `namespace` in its backendRefs, so its owner has agreed.
//!
//! A template of an experiment with a weight is a further backendRef of those rules (see [`experiments`]).
//! Header and mirror routes are further rules at the head of the list (see [`managed`]), mirror routes only where the
//! gateways can make them (see [`capability`]). While the canary has traffic the
//! route carries a label and an annotation (see [`in_progress`]).

mod capability;
pub(crate) mod config;
mod in_progress;
mod managed;
mod matching;

use serde_json::Value;
use sluice_crds::rollout::Rollout;
use sluice_crds::split::{ObservedSplit, ShownRoutes, Split, SplitRoute};

use crate::Lookup;
use crate::edit::{Operations, RouteEdit};
use crate::experiments;
use crate::object::{ObjectRef, at, list, resource_version, text, uid};
use crate::sides::Sides;
use crate::spec::{Ranked, namespace};
use crate::weights::{NoPair, Pair, Role, Share};
pub(crate) use in_progress::Mark;
pub(crate) use managed::Owner;

/// A route that a Rollout names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The route.
    pub(crate) object: ObjectRef,
    /// Field that names it.
    pub(crate) field: String,
    /// Only the rules with these names; empty means every rule.
    pub(crate) rule_names: Vec<String>,
    /// Label and annotation while the canary has traffic; `None` when disabled.
    pub(crate) mark: Option<Mark>,
    /// The Rollout, whose header and mirror routes are told by its name.
    pub(crate) owner: Owner,
    /// Whether it gets header and mirror routes.
    pub(crate) header_routes: bool,
}

/// One rule that splits the traffic.
pub(crate) struct SplitRule<'a> {
    /// Its index in `spec.rules`.
    pub(crate) index: usize,
    /// The rule.
    pub(crate) rule: &'a Value,
    /// Its `backendRefs`.
    pub(crate) backends: &'a [Value],
    /// The two backends.
    pub(crate) pair: Pair,
}

impl Route {
    /// The rules of the route that this Rollout drives.
    pub(crate) fn rules<'a>(
        &self,
        route: &'a Value,
        sides: &Sides,
        services_in: &str,
    ) -> Result<Vec<SplitRule<'a>>, String> {
        let mut found = Vec::new();
        let mut problem: Option<String> = None;
        let own = self.owner.rules(route);
        let added = experiments::added(route, &self.owner.key());
        for (index, rule) in list(route, &["spec", "rules"]).iter().enumerate() {
            if own.contains(&index) {
                continue;
            }
            let name = text(rule, &["name"]).unwrap_or_default();
            if !self.rule_names.is_empty() && !self.rule_names.iter().any(|known| known == name) {
                continue;
            }
            let backends = list(rule, &["backendRefs"]);
            let role = |item: &Value| self.role(item, sides, &added, services_in);
            match Pair::find(backends, role) {
                Ok(pair) => found.push(SplitRule {
                    index,
                    rule,
                    backends,
                    pair,
                }),
                Err(NoPair::Neither) => {}
                Err(NoPair::OnlyStable) => {
                    problem.get_or_insert_with(|| {
                        half(index, &sides.stable, &sides.canary, " and weight 0")
                    });
                }
                Err(NoPair::OnlyCanary) => {
                    problem.get_or_insert_with(|| half(index, &sides.canary, &sides.stable, ""));
                }
                Err(NoPair::CanaryTwice) => return Err(twice(index, &sides.canary)),
                Err(NoPair::StableTwice) => return Err(twice(index, &sides.stable)),
            }
        }
        let unmatched = self.rule_names.iter().find(|name| {
            !found
                .iter()
                .any(|rule| text(rule.rule, &["name"]) == Some(name.as_str()))
        });
        if !found.is_empty() && unmatched.is_none() {
            return Ok(found);
        }
        let which = unmatched.map_or_else(
            || "no rule has".to_owned(),
            |name| format!("no rule with the name {name} has"),
        );
        Err(problem.unwrap_or_else(|| {
            format!(
                "{which} backendRefs to Service {} and Service {} of namespace {services_in}: add both \
                 to one rule",
                sides.stable, sides.canary
            )
        }))
    }

    /// What a backendRef is to the Rollout.
    fn role(&self, item: &Value, sides: &Sides, experiments: &[String], services_in: &str) -> Role {
        let is_service = matches!(text(item, &["kind"]), None | Some("Service"))
            && matches!(text(item, &["group"]), None | Some(""));
        let namespace = text(item, &["namespace"]).unwrap_or(&self.object.namespace);
        match text(item, &["name"]) {
            Some(name) if is_service && namespace == services_in => {
                if name == sides.canary {
                    Role::Canary
                } else if name == sides.stable {
                    Role::Stable
                } else if experiments.iter().any(|known| known == name) {
                    Role::Experiment
                } else {
                    Role::Other
                }
            }
            _ => Role::Other,
        }
    }

    /// Further objects that tell whether the header and mirror routes of the steps can be made.
    pub(crate) fn told_by(&self, rollout: &Rollout, objects: &Lookup<'_, '_>) -> Vec<ObjectRef> {
        let route = objects(&self.object).filter(|_| self.header_routes);
        route.map_or_else(Vec::new, |route| {
            capability::told_by(rollout, route, objects)
        })
    }

    pub(crate) fn observe<'a>(
        &self,
        rollout: &Rollout,
        sides: &Sides,
        objects: &Lookup<'_, 'a>,
        max: i32,
    ) -> Vec<ObservedSplit> {
        let shown = |route: &Value, rules: &[SplitRule<'_>]| {
            let mut shown = self.shown(route, rules)?;
            if self.header_routes {
                let cannot = || capability::problem(rollout, route, objects);
                shown.problem = managed::problem(rollout, rules).or_else(cannot);
            }
            Some(shown)
        };
        let entry = |object: String, canary, accepted, routes| ObservedSplit {
            object,
            field: self.field.clone(),
            canary,
            accepted,
            routes,
            additional: Vec::new(),
        };
        let Some(route) = objects(&self.object) else {
            let missing = format!("{} does not exist: create it", self.object);
            return vec![entry(self.object.to_string(), Err(missing), None, None)];
        };
        let accepted = accepted(route);
        match self.rules(route, sides, &namespace(rollout)) {
            Err(reason) => {
                let routes = shown(route, &[]);
                vec![entry(
                    self.object.to_string(),
                    Err(reason),
                    accepted,
                    routes,
                )]
            }
            Ok(rules) => {
                let routes = shown(route, &rules);
                let single = rules.len() == 1;
                rules
                    .iter()
                    .map(|rule| {
                        let object = if single {
                            self.object.to_string()
                        } else {
                            format!("{} rule {}", self.object, rule.label())
                        };
                        let canary = rule
                            .pair
                            .observed(max)
                            .map_err(|reason| format!("rule {}: {reason}", rule.label()));
                        ObservedSplit {
                            additional: rule.pair.observed_experiments(max),
                            ..entry(object, canary, accepted, routes.clone())
                        }
                    })
                    .collect()
            }
        }
    }

    pub(crate) fn edits<'a>(
        &self,
        rollout: &Rollout,
        sides: &Sides,
        split: &Split,
        objects: &Lookup<'_, 'a>,
    ) -> Option<Ranked> {
        let route = objects(&self.object)?;
        // A route that cannot be understood loses what was added to it, and is left alone otherwise.
        let rules = self.rules(route, sides, &namespace(rollout));
        let rules = rules.unwrap_or_default();
        let (wanted, max) = (split.canary, split.max);
        let share = &Share::of(split);
        let raises_canary = rules.iter().any(|rule| rule.pair.raises(wanted, max));
        let expressible = rules
            .iter()
            .filter(|rule| rule.pair.can_express(share))
            .count();
        let moves = expressible > 0 && (!raises_canary || expressible == rules.len());
        let mut operations = Operations::default();
        let mut words: Vec<String> = Vec::new();
        for rule in rules.iter().filter(|_| moves) {
            let list = format!("/spec/rules/{}/backendRefs", rule.index);
            let change = rule.pair.set(&mut operations, &list, rule.backends, share);
            if !words.iter().any(|known| Some(known) == change.as_ref()) {
                words.extend(change);
            }
        }
        let routes: &[SplitRoute] = match moves && self.header_routes {
            true => &split.routes,
            false => &[],
        };
        words.extend(
            self.owner
                .set(&mut operations, route, &rules, routes, share),
        );
        let key = self.owner.key();
        if moves && experiments::remember(&mut operations, route, &key, &share.experiments) {
            let none = words.is_empty();
            words.extend(none.then(|| "note of experiments".to_owned()));
        }
        if let Some(mark) = self.mark.as_ref().filter(|_| !rules.is_empty()) {
            let active = wanted > 0 || !routes.is_empty() || !share.experiments.is_empty();
            if moves {
                words.extend(mark.set(&mut operations, route, rollout, active));
            }
        }
        if operations.is_empty() {
            return None;
        }
        Some(Ranked {
            raises_canary,
            edit: RouteEdit::Patch {
                object: self.object.clone(),
                uid: uid(route),
                resource_version: resource_version(route),
                patch: operations.into_patch(route),
                summary: format!("{}: {}", self.object, words.join(", ")),
            },
        })
    }
}

impl Route {
    /// The header and mirror routes that the route has; `None` when it gets none and has none.
    fn shown(&self, route: &Value, rules: &[SplitRule<'_>]) -> Option<ShownRoutes> {
        let shown = self.owner.shown(route, rules);
        let nothing = shown.routes.is_empty() && shown.intact;
        (self.header_routes || !nothing).then_some(shown)
    }
}

impl SplitRule<'_> {
    /// The rule's name, or its index counted from 0 as in paths of fields.
    fn label(&self) -> String {
        text(self.rule, &["name"]).map_or_else(|| self.index.to_string(), str::to_owned)
    }
}

/// What the gateways of a route report.
///
/// False when one of them says `Accepted: False` or `ResolvedRefs: False`; true when all of them say True of the
/// generation that the object has now; `None` when some say nothing, or only about an earlier generation.
fn accepted(route: &Value) -> Option<bool> {
    let generation = at(route, &["metadata", "generation"]).and_then(Value::as_i64);
    let parents = list(route, &["status", "parents"]);
    let mut all_current = !parents.is_empty();
    for parent in parents {
        for kind in ["Accepted", "ResolvedRefs"] {
            let condition = list(parent, &["conditions"])
                .iter()
                .find(|condition| text(condition, &["type"]) == Some(kind));
            let observed = condition
                .and_then(|condition| at(condition, &["observedGeneration"]))
                .and_then(Value::as_i64);
            match condition.and_then(|condition| text(condition, &["status"])) {
                Some("False") => return Some(false),
                Some("True") => {
                    all_current &= generation.is_none()
                        || observed.is_none_or(|observed| Some(observed) >= generation);
                }
                _ => all_current = false,
            }
        }
    }
    all_current.then_some(true)
}

fn half(index: usize, present: &str, missing: &str, weight: &str) -> String {
    format!(
        "rule {index} has a backendRef to Service {present} but none to Service {missing}: add one to \
         Service {missing} with its port{weight}"
    )
}

fn twice(index: usize, service: &str) -> String {
    format!("rule {index} has two backendRefs to Service {service}: keep one of them")
}
