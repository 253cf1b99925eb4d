//! The settings under `trafficRouting.plugins["argoproj-labs/gatewayAPI"]`, as that plugin documents them.
//!
//! | key | meaning |
//! |---|---|
//! | `httpRoute`, `grpcRoute`, `tcpRoute`, `tlsRoute` | name of one route |
//! | `httpRouteRuleName`, … | only the rule with this name of that route |
//! | `httpRoutes`, `grpcRoutes`, `tcpRoutes`, `tlsRoutes` | list of `{name, ruleName, useHeaderRoutes}` |
//! | `namespace` | of the routes; default: the Rollout's |
//! | `disableInProgressLabel`, `inProgressLabelKey`, `inProgressLabelValue`, `activeRolloutsAnnotationKey` | the mark |
//! | `configMap` | where the plugin keeps its notes about header routes; there are none to keep |
//!
//! `useHeaderRoutes` says which routes of a list get the header and mirror routes of `setHeaderRoute` and
//! `setMirrorRoute` steps; a single `httpRoute` or `grpcRoute` gets them. Route selectors (`httpRouteSelector`, …) and unknown keys are refused.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use sluice_crds::rollout::Rollout;

use super::{Mark, Owner, Route};
use crate::object::{FieldError, ObjectRef};
use crate::spec::namespace;

/// A kind of route: prefix of the settings' keys, kind, plural.
const KINDS: [(&str, &str, &str); 4] = [
    ("httpRoute", "HTTPRoute", "httproutes"),
    ("grpcRoute", "GRPCRoute", "grpcroutes"),
    ("tcpRoute", "TCPRoute", "tcproutes"),
    ("tlsRoute", "TLSRoute", "tlsroutes"),
];

/// Reads the settings. `field` is their path. What can be read is returned beside the errors.
pub(crate) fn read(
    rollout: &Rollout,
    settings: &Value,
    field: &str,
) -> (Vec<Route>, Vec<FieldError>) {
    let Some(settings) = settings.as_object() else {
        let message = "must be a map of settings, as in {httpRoute: web}".to_owned();
        return (
            Vec::new(),
            vec![FieldError {
                field: field.to_owned(),
                message,
            }],
        );
    };
    let mut reader = Reader {
        field,
        settings,
        used: BTreeSet::new(),
        errors: Vec::new(),
    };
    let routes = reader.routes(rollout);
    reader.refuse_the_rest();
    (routes, reader.errors)
}

struct Reader<'a> {
    field: &'a str,
    settings: &'a Map<String, Value>,
    used: BTreeSet<String>,
    errors: Vec<FieldError>,
}

impl<'a> Reader<'a> {
    fn error(&mut self, key: &str, message: impl Into<String>) {
        self.errors.push(FieldError {
            field: format!("{}.{key}", self.field),
            message: message.into(),
        });
    }

    /// The value of a key; null counts as absent.
    fn value(&mut self, key: &str) -> Option<&'a Value> {
        self.used.insert(key.to_owned());
        self.settings.get(key).filter(|value| !value.is_null())
    }

    /// A text; empty counts as absent, as it does for the plugin.
    fn text(&mut self, key: &str) -> Option<&'a str> {
        let value = self.value(key)?;
        if value.as_str().is_none() {
            self.error(key, format!("must be a text, not {value}"));
        }
        value.as_str().filter(|text| !text.is_empty())
    }

    fn boolean(&mut self, key: &str) -> bool {
        let Some(value) = self.value(key) else {
            return false;
        };
        if value.as_bool().is_none() {
            self.error(key, format!("must be true or false, not {value}"));
        }
        value.as_bool().unwrap_or(false)
    }

    fn mark(&mut self) -> Option<Mark> {
        let disabled = self.boolean("disableInProgressLabel");
        let default = Mark::default();
        let label = self
            .text("inProgressLabelKey")
            .map_or(default.label, str::to_owned);
        let value = self
            .text("inProgressLabelValue")
            .map_or(default.value, str::to_owned);
        let annotation = self
            .text("activeRolloutsAnnotationKey")
            .map_or(default.annotation, str::to_owned);
        (!disabled).then_some(Mark {
            label,
            value,
            annotation,
        })
    }

    fn routes(&mut self, rollout: &Rollout) -> Vec<Route> {
        let in_namespace = self
            .text("namespace")
            .map_or_else(|| namespace(rollout), str::to_owned);
        let mark = self.mark();
        self.text("configMap");
        let mut routes: Vec<Route> = Vec::new();
        let before = self.errors.len();
        for (prefix, kind, plural) in KINDS {
            for (key, name, rule_name, header_routes) in self.named(prefix) {
                let object = ObjectRef {
                    api_version: "gateway.networking.k8s.io/v1".to_owned(),
                    kind: kind.to_owned(),
                    plural: plural.to_owned(),
                    namespace: in_namespace.clone(),
                    name: name.to_owned(),
                };
                let rule_names: Vec<String> = rule_name.map(str::to_owned).into_iter().collect();
                match routes.iter_mut().find(|known| known.object == object) {
                    Some(known)
                        if known.rule_names.is_empty()
                            || rule_names.is_empty()
                            || rule_names
                                .iter()
                                .any(|name| known.rule_names.contains(name)) =>
                    {
                        let first = known.field.clone();
                        self.error(&key, format!("{name} is named by {first} already"));
                    }
                    Some(known) => {
                        known.rule_names.extend(rule_names);
                        known.header_routes |= header_routes;
                    }
                    None => routes.push(Route {
                        object,
                        field: format!("{}.{key}", self.field),
                        rule_names,
                        mark: mark.clone(),
                        owner: Owner::of(rollout),
                        header_routes: header_routes && ["HTTPRoute", "GRPCRoute"].contains(&kind),
                    }),
                }
            }
            let selector = format!("{prefix}Selector");
            if self.value(&selector).is_some() {
                self.error(
                    &selector,
                    format!("selecting routes by label is not supported: list them in {prefix}s"),
                );
            }
        }
        if routes.is_empty() && self.errors.len() == before {
            self.errors.push(FieldError {
                field: self.field.to_owned(),
                message:
                    "names no route: set httpRoute, httpRoutes, grpcRoute, grpcRoutes, tcpRoute, \
                          tcpRoutes, tlsRoute or tlsRoutes"
                        .to_owned(),
            });
        }
        routes
    }

    /// The routes of one kind: key, name, rule name, whether they get header and mirror routes.
    fn named(&mut self, prefix: &str) -> Vec<(String, &'a str, Option<&'a str>, bool)> {
        let rule_name = self.text(&format!("{prefix}RuleName"));
        let mut found: Vec<_> = self
            .text(prefix)
            .map(|name| (prefix.to_owned(), name, rule_name, true))
            .into_iter()
            .collect();
        if found.is_empty() && rule_name.is_some() {
            self.error(
                &format!("{prefix}RuleName"),
                format!("names a rule of {prefix}, which is not set"),
            );
        }
        let list = format!("{prefix}s");
        let Some(value) = self.value(&list) else {
            return found;
        };
        let Some(items) = value.as_array() else {
            self.error(
                &list,
                format!("must be a list, as in [{{name: web}}], not {value}"),
            );
            return found;
        };
        for (index, item) in items.iter().enumerate() {
            let path = format!("{list}[{index}]");
            let Some(item) = item.as_object() else {
                self.error(
                    &path,
                    format!("must be a map, as in {{name: web}}, not {item}"),
                );
                continue;
            };
            for (key, value) in item {
                let fits = match key.as_str() {
                    "name" | "ruleName" => value.is_string() || value.is_null(),
                    "useHeaderRoutes" => value.is_boolean() || value.is_null(),
                    _ => {
                        let known = "name, ruleName, useHeaderRoutes";
                        self.error(
                            &format!("{path}.{key}"),
                            format!("unknown setting; known are {known}"),
                        );
                        continue;
                    }
                };
                if !fits {
                    self.error(
                        &format!("{path}.{key}"),
                        format!("has a wrong type: {value}"),
                    );
                }
            }
            let text = |key: &str| {
                item.get(key)
                    .and_then(Value::as_str)
                    .filter(|text| !text.is_empty())
            };
            match text("name") {
                Some(name) => {
                    let header_routes = item.get("useHeaderRoutes") == Some(&Value::Bool(true));
                    found.push((
                        format!("{path}.name"),
                        name,
                        text("ruleName"),
                        header_routes,
                    ));
                }
                None => self.error(&format!("{path}.name"), "required: the name of the route"),
            }
        }
        found
    }

    fn refuse_the_rest(&mut self) {
        let unknown: Vec<String> = self
            .settings
            .keys()
            .filter(|key| !self.used.contains(*key))
            .cloned()
            .collect();
        for key in unknown {
            self.error(
                &key,
                "unknown setting; known are httpRoute(s), grpcRoute(s), tcpRoute(s), tlsRoute(s), \
                 …RouteRuleName, namespace, configMap, disableInProgressLabel, inProgressLabelKey, \
                 inProgressLabelValue, activeRolloutsAnnotationKey",
            );
        }
    }
}
