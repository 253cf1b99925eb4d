//! Which header and mirror routes can be made: `managedRoutes`, and the `setHeaderRoute` and `setMirrorRoute` steps.
//!
//! HTTPRoutes carry both, GRPCRoutes header routes. A Rollout that has another router beside them cannot use the steps:
//! the requests that come through that one would not be taken.

use std::collections::BTreeSet;

use sluice_crds::rollout::steps::{SetHeaderRoute, SetMirrorRoute, StringMatch};
use sluice_crds::rollout::traffic_routing::TrafficRouting;

use crate::spec::{FIELD, Router, Spec};

impl Spec {
    pub(crate) fn check_managed_routes(&mut self, routing: &TrafficRouting) {
        let routes = routing.managed_routes.as_deref().unwrap_or_default();
        if routes.is_empty() {
            return;
        }
        let field = format!("{FIELD}.managedRoutes");
        if let Some(why) = self.no_carrier(false) {
            return self.refuse(&field, format!("{why}: remove it"));
        }
        let mut names = BTreeSet::new();
        for (index, route) in routes.iter().enumerate() {
            let name = route.name.as_deref().unwrap_or_default();
            let field = format!("{field}[{index}].name");
            if !is_label(name) {
                let message = "must be a DNS label (lower-case letters, digits and dashes, at most 63), \
                               since it becomes a part of the names of rules";
                self.refuse(&field, message);
            } else if !names.insert(name) {
                self.refuse(&field, format!("{name} is listed already"));
            }
        }
    }

    pub(crate) fn check_header_route(&mut self, step: &SetHeaderRoute, field: &str) {
        if let Some(why) = self.no_carrier(false) {
            return self.refuse(field, format!("{why}: remove the step"));
        }
        let mut names = BTreeSet::new();
        for (index, header) in step.matches.iter().flatten().enumerate() {
            let name = header.header_name.as_deref().unwrap_or_default();
            self.check_header(
                name,
                &mut names,
                &format!("{field}.match[{index}].headerName"),
            );
        }
    }

    pub(crate) fn check_mirror_route(&mut self, step: &SetMirrorRoute, field: &str) {
        if let Some(why) = self.no_carrier(true) {
            return self.refuse(field, format!("{why}: remove the step"));
        }
        if let Some(percentage) = step.percentage.filter(|it| !(0..=100).contains(it)) {
            let field = format!("{field}.percentage");
            self.refuse(&field, format!("must be 0 to 100, not {percentage}"));
        }
        for (index, request) in step.matches.iter().flatten().enumerate() {
            let field = format!("{field}.match[{index}]");
            if let Some(method) = &request.method
                && !given(&method.exact).is_some_and(|method| METHODS.contains(&method))
            {
                let methods = METHODS.join(", ");
                let message = format!(
                    "the Gateway API matches methods as they are: set exact to one of {methods}"
                );
                self.refuse(&format!("{field}.method"), message);
            }
            if let Some(path) = &request.path
                && !starts_at_root(path)
            {
                self.refuse(&format!("{field}.path"), "must begin with /");
            }
            let mut names = BTreeSet::new();
            for (name, _) in request.headers.iter().flatten() {
                self.check_header(name, &mut names, &format!("{field}.headers[{name:?}]"));
            }
        }
    }

    fn check_header(&mut self, name: &str, names: &mut BTreeSet<String>, field: &str) {
        let fits =
            |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
        if name.is_empty() || name.len() > 256 || !name.chars().all(fits) {
            self.refuse(field, "must be the name of a header");
        } else if !names.insert(name.to_ascii_lowercase()) {
            self.refuse(field, format!("{name} is matched already"));
        }
    }

    /// Why no router of the Rollout takes header routes, or mirror routes; `None` when they do.
    fn no_carrier(&self, mirror: bool) -> Option<&'static str> {
        let carries = |router: &Router| match router {
            Router::Gateway(route) => route.header_routes,
            _ => false,
        };
        let is = |router: &Router, kind: &str| match router {
            Router::Gateway(route) => route.object.kind == kind,
            _ => false,
        };
        let gateway = |router: &Router| matches!(router, Router::Gateway(_));
        if !self.routers.iter().all(gateway) {
            return Some("nginx and traefik do not carry header and mirror routes");
        }
        if !self.routers.iter().any(carries) {
            return Some(
                "header and mirror routes are carried by HTTPRoutes and GRPCRoutes, those of a list with \
                 useHeaderRoutes: true, and this Rollout names none",
            );
        }
        let unable = |router: &Router| carries(router) && !is(router, "HTTPRoute");
        (mirror && self.routers.iter().any(unable))
            .then_some("GRPCRoutes do not carry mirror routes")
    }
}

/// The methods that the Gateway API knows.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn starts_at_root(path: &StringMatch) -> bool {
    let plain = given(&path.exact).or(given(&path.prefix));
    plain.is_none_or(|path| path.starts_with('/'))
}

fn is_label(name: &str) -> bool {
    let fits =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    (1..=63).contains(&name.len())
        && name.chars().all(fits)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
