//! Health of what leads traffic to pods.

use serde_json::Value;

use super::{Code, Health, condition, is, message};
use crate::key::{list, number, text};

fn has_address(object: &Value) -> bool {
    !list(object, "/status/loadBalancer/ingress").is_empty()
}

pub(super) fn service(object: &Value) -> Health {
    if text(object, "/spec/type") == "LoadBalancer" && !has_address(object) {
        return Health::new(Code::Progressing, "");
    }
    Health::healthy()
}

pub(super) fn ingress(object: &Value) -> Health {
    if has_address(object) {
        Health::healthy()
    } else {
        Health::new(Code::Progressing, "")
    }
}

/// A route is healthy when every parent has accepted it and resolved its references.
pub(super) fn route(object: &Value) -> Health {
    let parents = list(object, "/status/parents");
    if parents.is_empty() {
        return Health::new(
            Code::Progressing,
            "Waiting for a parent to accept the route",
        );
    }
    let generation = number(object, "/metadata/generation").unwrap_or(0);
    let mut waiting = None;
    for parent in parents {
        let name = text(parent, "/parentRef/name");
        for kind in ["Accepted", "ResolvedRefs"] {
            let found = list(parent, "/conditions")
                .iter()
                .find(|c| text(c, "/type") == kind);
            match found {
                Some(condition)
                    if number(condition, "/observedGeneration")
                        .is_some_and(|seen| seen < generation) =>
                {
                    waiting = Some(format!("Waiting for parent {name} to observe the route"));
                }
                Some(condition) if is(condition, "False") => {
                    return Health::new(
                        Code::Degraded,
                        format!("Parent {name}: {}", message(condition)),
                    );
                }
                Some(condition) if is(condition, "True") => {}
                _ if kind == "Accepted" => {
                    waiting = Some(format!("Waiting for parent {name} to accept the route"));
                }
                _ => {}
            }
        }
    }
    waiting.map_or_else(Health::healthy, |message| {
        Health::new(Code::Progressing, message)
    })
}

pub(super) fn gateway(object: &Value) -> Health {
    for kind in ["Accepted", "Programmed"] {
        match condition(object, kind) {
            Some(condition) if is(condition, "False") => {
                // A gateway is first told that it waits, by `False` with this reason.
                let pending = text(condition, "/reason") == "Pending";
                let code = if pending {
                    Code::Progressing
                } else {
                    Code::Degraded
                };
                return Health::new(code, message(condition));
            }
            Some(condition) if is(condition, "True") => {}
            _ if kind == "Accepted" => {
                return Health::new(Code::Progressing, "Waiting for a controller");
            }
            _ => {}
        }
    }
    Health::healthy()
}
