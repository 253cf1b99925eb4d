//! Header and mirror routes: rules at the head of an HTTPRoute or GRPCRoute, made from the rules that split the traffic.
//!
//! Each route of a [`Split`](sluice_crds::split::Split) becomes one rule before each rule that splits. It is that rule
//! again (filters, timeouts, unknown fields and all) with the narrower matches of [`matching`], and
//! * for a header route, the canary's backend alone;
//! * for a mirror route, the same backends and weights, and a `RequestMirror` filter to the canary.
//!
//! The rules are known again by their name, `<namespace>.<rollout>.<route>.<number>`. A cluster whose Gateway API does
//! not keep names of rules drops it; then they are known by their matches and by how many backends
//! and filters they have, which an annotation remembers together with the routes that were told. Rules of other people are never touched.

use serde_json::{Map, Value, json};
use sluice_crds::names::MANAGED_ROUTES;
use sluice_crds::rollout::Rollout;
use sluice_crds::split::{RouteKind, ShownRoutes, SplitRoute};

use super::{SplitRule, matching};
use crate::edit::Operations;
use crate::metadata::{pointer, put};
use crate::object::{at, list, text};
use crate::spec::namespace;
use crate::weights::Share;

/// The most rules that the API accepts in a route.
const MOST: usize = 16;

/// Whose rules they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    namespace: String,
    name: String,
}

impl Owner {
    pub(crate) fn of(rollout: &Rollout) -> Self {
        Self {
            namespace: namespace(rollout),
            name: rollout.metadata.name.clone().unwrap_or_default(),
        }
    }

    /// `namespace/name`.
    pub(super) fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Indices of the rules that are this Rollout's header and mirror routes.
    pub(crate) fn rules(&self, route: &Value) -> Vec<usize> {
        let record = self.record(route);
        let remembered = record.as_ref().map_or(&[][..], |it| list(it, &["rules"]));
        let is_own = |rule: &Value| match text(rule, &["name"]) {
            Some(name) => self.named(name),
            None => remembered
                .iter()
                .any(|known| contains(&features(rule), known)),
        };
        let rules = list(route, &["spec", "rules"]).iter().enumerate();
        rules
            .filter(|(_, rule)| is_own(rule))
            .map(|(index, _)| index)
            .collect()
    }

    fn named(&self, name: &str) -> bool {
        let prefix = format!("{}.{}.", self.namespace, self.name);
        name.strip_prefix(&prefix)
            .and_then(|rest| rest.split_once('.'))
            .is_some_and(|(_, number)| number.parse::<usize>().is_ok())
    }

    /// What the annotation says about this Rollout.
    fn record(&self, route: &Value) -> Option<Value> {
        annotation(route)?.remove(&self.key())
    }

    /// The routes that were told last, and whether the rules are as they must be for them.
    pub(super) fn shown(&self, route: &Value, rules: &[SplitRule<'_>]) -> ShownRoutes {
        let told = self
            .record(route)
            .and_then(|mut record| Some(record.get_mut("routes")?.take()));
        let routes: Vec<SplitRoute> = told
            .and_then(|told| serde_json::from_value(told).ok())
            .unwrap_or_default();
        let all = list(route, &["spec", "rules"]);
        let live: Vec<&Value> = self
            .rules(route)
            .iter()
            .filter_map(|index| all.get(*index))
            .collect();
        let intact = self
            .derive(rules, &routes, None)
            .is_ok_and(|wanted| same(&live, &wanted));
        ShownRoutes {
            routes,
            intact,
            problem: None,
        }
    }

    /// Adds the operations that make the rules those of `routes`, with these shares of the traffic. Returns the
    /// change in words. Routes that the Gateway API cannot express are left out, all of them.
    pub(super) fn set(
        &self,
        operations: &mut Operations,
        route: &Value,
        rules: &[SplitRule<'_>],
        routes: &[SplitRoute],
        share: &Share,
    ) -> Option<String> {
        let (routes, wanted) = match self.derive(rules, routes, Some(share)) {
            Ok(wanted) => (routes, wanted),
            Err(_) => (&[][..], Vec::new()),
        };
        let own = self.rules(route);
        let all = list(route, &["spec", "rules"]);
        let live: Vec<&Value> = own.iter().filter_map(|index| all.get(*index)).collect();
        let mut words = None;
        if !same(&live, &wanted) {
            for index in own.iter().rev() {
                operations.remove(&format!("/spec/rules/{index}"), all.get(*index)?);
            }
            for rule in rules {
                operations.test(&format!("/spec/rules/{}", rule.index), rule.rule);
            }
            for rule in wanted.iter().rev() {
                operations.prepend("/spec/rules", rule.clone());
            }
            let names: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
            words = Some(match names.is_empty() {
                true => "header and mirror routes removed".to_owned(),
                false => format!("header and mirror routes: {}", names.join(", ")),
            });
        }
        let changed = self.remember(operations, route, routes, &wanted);
        words.or_else(|| changed.then(|| "note of header and mirror routes".to_owned()))
    }

    fn remember(
        &self,
        operations: &mut Operations,
        route: &Value,
        routes: &[SplitRoute],
        wanted: &[Value],
    ) -> bool {
        let now = at(route, &["metadata", "annotations", MANAGED_ROUTES]);
        let mut record = annotation(route).unwrap_or_default();
        if routes.is_empty() {
            if record.remove(&self.key()).is_none() {
                return false;
            }
        } else {
            let rules: Vec<Value> = wanted.iter().map(features).collect();
            let entry = json!({"routes": routes, "rules": rules});
            if record.insert(self.key(), entry.clone()) == Some(entry) {
                return false;
            }
        }
        if record.is_empty()
            && let Some(now) = now
        {
            operations.remove(&pointer("annotations", MANAGED_ROUTES), now);
            return true;
        }
        let text = Value::Object(record).to_string();
        put(operations, route, "annotations", MANAGED_ROUTES, &text)
    }

    /// The rules that routes mean, highest priority first. Without a share, at the one that the rules have now.
    fn derive(
        &self,
        rules: &[SplitRule<'_>],
        routes: &[SplitRoute],
        share: Option<&Share>,
    ) -> Result<Vec<Value>, String> {
        let mut found = Vec::new();
        for route in routes {
            let mut number = 0;
            for rule in rules {
                let matches = matching::both(rule.rule, &route.kind)
                    .map_err(|reason| format!("route {}: {reason}", route.name))?;
                if matches.is_empty() {
                    continue;
                }
                let name = format!("{}.{}.{}.{number}", self.namespace, self.name, route.name);
                found.push(rule_of(rule, route, name, matches, share));
                number += 1;
            }
            if number == 0 && !rules.is_empty() {
                return Err(format!(
                    "route {}: no rule that splits the traffic takes a request that it matches",
                    route.name
                ));
            }
        }
        Ok(found)
    }
}

/// Why the routes of the Rollout's steps cannot be made from these rules.
pub(super) fn problem(rollout: &Rollout, rules: &[SplitRule<'_>]) -> Option<String> {
    let owner = Owner::of(rollout);
    let steps = rollout.spec.canary()?.steps().iter();
    let routes: Vec<SplitRoute> = steps.flat_map(sluice_crds::split::routes_of).collect();
    if let Err(reason) = owner.derive(rules, &routes, None) {
        return Some(reason);
    }
    let names: std::collections::BTreeSet<&str> =
        routes.iter().map(|route| route.name.as_str()).collect();
    let most = rules.len().saturating_mul(names.len().saturating_add(1));
    (most > MOST && !names.is_empty()).then(|| {
        format!(
            "{} header and mirror routes before each of {} rules are more than the {MOST} rules that \
             the Gateway API allows",
            names.len(),
            rules.len()
        )
    })
}

fn rule_of(
    rule: &SplitRule<'_>,
    route: &SplitRoute,
    name: String,
    matches: Vec<Value>,
    share: Option<&Share>,
) -> Value {
    let mut made = rule.rule.clone();
    let Some(fields) = made.as_object_mut() else {
        return made;
    };
    fields.insert("name".to_owned(), Value::from(name));
    fields.insert("matches".to_owned(), Value::from(matches));
    let canary = rule.backends.get(rule.pair.canary_index());
    let mut backends = rule.backends.to_vec();
    match &route.kind {
        RouteKind::Header(_) => {
            backends = canary.cloned().into_iter().collect();
            if let Some(fields) = backends.first_mut().and_then(Value::as_object_mut) {
                fields.insert("weight".to_owned(), Value::from(1));
            }
        }
        RouteKind::Mirror { percentage, .. } => {
            if let Some(listed) = share.and_then(|share| rule.pair.listed(rule.backends, share)) {
                backends = listed;
            }
            let mut reference = Map::new();
            for key in ["group", "kind", "name", "namespace", "port"] {
                if let Some(value) = canary.and_then(|canary| canary.get(key)) {
                    reference.insert(key.to_owned(), value.clone());
                }
            }
            let mut mirror = json!({ "backendRef": reference });
            if let (Some(percentage), Some(mirror)) = (percentage, mirror.as_object_mut()) {
                mirror.insert("percent".to_owned(), Value::from(*percentage));
            }
            let mut filters = list(rule.rule, &["filters"]).to_vec();
            filters.push(json!({"type": "RequestMirror", "requestMirror": mirror}));
            fields.insert("filters".to_owned(), Value::from(filters));
        }
    }
    fields.insert("backendRefs".to_owned(), Value::from(backends));
    made
}

/// By what a rule without a name is known again. One that splits the traffic differs from those that are made of it: it
/// has more backends than a header route, and fewer filters than a mirror route.
fn features(rule: &Value) -> Value {
    json!({
        "matches": rule.get("matches").unwrap_or(&Value::Null),
        "backends": list(rule, &["backendRefs"]).len(),
        "filters": list(rule, &["filters"]).len(),
    })
}

/// Takes the annotation apart; one that is no map of texts counts as absent.
fn annotation(route: &Value) -> Option<Map<String, Value>> {
    let text = text(route, &["metadata", "annotations", MANAGED_ROUTES])?;
    serde_json::from_str(text).ok()
}

/// Whether the rules are the wanted ones, in that order.
fn same(live: &[&Value], wanted: &[Value]) -> bool {
    live.len() == wanted.len()
        && live.iter().zip(wanted).all(|(live, wanted)| {
            let mut wanted = wanted.clone();
            if let (None, Some(fields)) = (live.get("name"), wanted.as_object_mut()) {
                fields.remove("name");
            }
            contains(live, &wanted)
        })
}

/// Whether a value has everything of another; the API server adds defaults to what was written.
fn contains(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| live.get(key).is_some_and(|live| contains(live, wanted))),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len()
                && live
                    .iter()
                    .zip(wanted)
                    .all(|(live, wanted)| contains(live, wanted))
        }
        _ => live == wanted,
    }
}
