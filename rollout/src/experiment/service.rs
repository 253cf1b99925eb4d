//! The Service of a template: made when the template has pods to be reached, deleted when it has none any more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sluice_crds::experiment::{ExperimentTemplate, ExperimentTemplateStatus};
use sluice_crds::names;

use super::decide::Seen;
use super::draft::{Draft, Slot};
use super::plan::{Effect, NewService, ServicePort};
use super::world::OwnedService;
use crate::hash::whole;
use crate::plan::Precondition;
use crate::world::ReplicaSet;

/// The name of a template's Service; `None` when it wants none.
pub(super) fn name(template: &ExperimentTemplate, set: &ReplicaSet) -> Option<String> {
    let service = template.service.as_ref()?;
    let given = service.name.as_ref().filter(|name| !name.is_empty());
    Some(given.unwrap_or(&set.name).clone())
}

/// Makes, names and deletes the Service of a template. `desired` is the number of pods that the template is to have.
///
/// Gives the message of what the API refused.
pub(super) fn reconcile(
    seen: &Seen<'_>,
    template: &ExperimentTemplate,
    set: Option<&ReplicaSet>,
    desired: i32,
    status: &mut ExperimentTemplateStatus,
    draft: &mut Draft,
) -> Option<String> {
    let wanted = set.and_then(|set| name(template, set));
    let mut owned: Vec<&OwnedService> = seen
        .world
        .services
        .iter()
        .filter(|service| service.template() == Some(template.name.as_str()) && !service.deleting)
        .collect();
    owned.sort_by(|a, b| a.name.cmp(&b.name));
    let present = owned
        .iter()
        .copied()
        .find(|service| Some(&service.name) == wanted.as_ref());
    let idle = desired == 0 && set.is_none_or(|set| set.replicas == 0);
    for service in owned {
        let superfluous = template.service.is_none()
            || idle
            || wanted
                .as_ref()
                .is_some_and(|wanted| *wanted != service.name);
        if superfluous {
            delete(seen, service, draft);
        }
    }
    let (Some(set), Some(wanted)) = (set, wanted.filter(|_| desired > 0)) else {
        let kept = present.filter(|_| !idle);
        status.service_name = kept.map(|service| service.name.clone());
        status.pod_template_hash = kept.and(set).and_then(|set| set.hash()).map(str::to_owned);
        return None;
    };
    status.service_name = Some(wanted.clone());
    status.pod_template_hash = set.hash().map(str::to_owned);
    if present.is_some() {
        return None;
    }
    let ports = ports(set.template.fields().get("spec"));
    if ports.is_empty() {
        // As upstream, which makes none; it says so here.
        status.service_name = None;
        status.pod_template_hash = None;
        status.message = Some(format!(
            "Template '{}' has no Service, since no container of it names a port",
            template.name
        ));
        return None;
    }
    let refused = seen
        .world
        .refused
        .iter()
        .find(|refused| refused.kind == "Service" && refused.name == wanted);
    if let Some(refused) = refused {
        status.service_name = None;
        status.pod_template_hash = None;
        return Some(format!(
            "Failed to create Service {wanted} for template '{}': {}",
            template.name, refused.message
        ));
    }
    draft.effect(
        Slot::CreateService,
        Effect::CreateService(NewService {
            name: wanted,
            annotations: annotations(seen.name, &template.name),
            selector: set.labels.clone(),
            ports,
        }),
    );
    None
}

/// Deletes the Services of templates that are no longer in the spec.
pub(super) fn forget(seen: &Seen<'_>, draft: &mut Draft) {
    for service in seen.world.services {
        let mut templates = seen.spec.templates.iter().flatten();
        let known = templates.any(|template| service.template() == Some(template.name.as_str()));
        if !known && !service.deleting {
            delete(seen, service, draft);
        }
    }
}

/// Deletes a Service, unless requests are routed to it.
fn delete(seen: &Seen<'_>, service: &OwnedService, draft: &mut Draft) {
    if seen.world.routed.contains(&service.name) {
        return;
    }
    let precondition = Precondition {
        uid: service.uid.clone(),
        resource_version: service.resource_version.clone(),
    };
    let name = service.name.clone();
    draft.effect(
        Slot::DeleteService,
        Effect::DeleteService { name, precondition },
    );
}

/// Annotations of what belongs to a template.
pub(super) fn annotations(experiment: &str, template: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (names::EXPERIMENT_NAME.to_owned(), experiment.to_owned()),
        (names::EXPERIMENT_TEMPLATE.to_owned(), template.to_owned()),
    ])
}

/// The ports of all containers of a pod spec, each once. Several must have names, so one without gets one.
pub(crate) fn ports(pods: Option<&Value>) -> Vec<ServicePort> {
    let containers = pods.and_then(|pods| pods.get("containers"));
    let written = containers
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|container| container.get("ports")?.as_array())
        .flatten();
    let mut seen = BTreeSet::new();
    let mut ports: Vec<ServicePort> = written
        .filter_map(|port| {
            let text = |key: &str| port.get(key).and_then(Value::as_str).map(str::to_owned);
            Some(ServicePort {
                port: i32::try_from(whole(port.get("containerPort")?.as_number()?)?).ok()?,
                protocol: text("protocol").unwrap_or_else(|| "TCP".to_owned()),
                name: text("name").filter(|name| !name.is_empty()),
            })
        })
        .filter(|port| seen.insert((port.port, port.protocol.clone())))
        .collect();
    if ports.len() > 1 {
        for port in ports.iter_mut().filter(|port| port.name.is_none()) {
            port.name = Some(format!("{}-{}", port.protocol.to_lowercase(), port.port));
        }
    }
    ports
}
