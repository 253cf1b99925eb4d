//! What an AppProject permits, with upstream's words for what it does not.

use sluice_crds::app_project::{
    AppProject, AppProjectSpec, ClusterResourceRule, GroupKind as Rule, ProjectDestination,
};
use sluice_crds::application::{Application, Destination, IN_CLUSTER_NAME, IN_CLUSTER_SERVER};

use crate::glob::{matches, matches_or_denies, permitted};
use crate::key::Key;
use crate::repo_url;

/// The project that is used when there is no AppProject named `default`: everything is permitted.
#[must_use]
pub fn implicit_default() -> AppProject {
    let mut project = AppProject::default();
    project.metadata.name = Some("default".to_owned());
    project.spec = AppProjectSpec {
        source_repos: Some(vec!["*".to_owned()]),
        destinations: Some(vec![ProjectDestination {
            server: Some("*".to_owned()),
            namespace: Some("*".to_owned()),
            name: None,
        }]),
        cluster_resource_whitelist: Some(vec![ClusterResourceRule {
            group: "*".to_owned(),
            kind: "*".to_owned(),
            name: None,
        }]),
        ..AppProjectSpec::default()
    };
    project
}

fn name(project: &AppProject) -> &str {
    project.metadata.name.as_deref().unwrap_or("")
}

/// Checks an Application against its project. `control_namespace` is the controller's: Applications there may use
/// every project.
///
/// Returns one sentence for each violation; none when the Application is permitted.
#[must_use]
pub fn violations(app: &Application, project: &AppProject, control_namespace: &str) -> Vec<String> {
    let mut violations = Vec::new();
    let app_namespace = app.metadata.namespace.as_deref().unwrap_or("");
    if app_namespace != control_namespace
        && !project
            .spec
            .source_namespaces
            .iter()
            .flatten()
            .any(|pattern| pattern == "*" || matches(pattern, app_namespace, None))
    {
        violations.push(format!(
            "application '{}' in namespace '{app_namespace}' is not permitted to use project '{}'",
            app.metadata.name.as_deref().unwrap_or(""),
            name(project)
        ));
    }
    for source in app.spec.sources() {
        if !permits_repository(project, &source.repo_url) {
            violations.push(format!(
                "application repo {} is not permitted in project '{}'",
                source.repo_url,
                name(project)
            ));
        }
    }
    let destination = &app.spec.destination;
    if !permits_destination(project, destination, destination.namespace()) {
        violations.push(format!(
            "application destination server '{}' and namespace '{}' do not match any of the allowed destinations in project '{}'",
            server(destination).0,
            destination.namespace(),
            name(project)
        ));
    }
    if project.spec.permit_only_project_scoped_clusters == Some(true) {
        violations.push(format!(
            "project '{}' permits only its own clusters (spec.permitOnlyProjectScopedClusters), and the controller's own cluster belongs to no project",
            name(project)
        ));
    }
    for (field, set) in [
        (
            "signatureKeys",
            project
                .spec
                .signature_keys
                .as_ref()
                .is_some_and(|keys| !keys.is_empty()),
        ),
        ("sourceIntegrity", project.spec.source_integrity.is_some()),
    ] {
        if set {
            violations.push(format!(
                "project '{}' demands verified commits (spec.{field}), which this controller cannot verify",
                name(project)
            ));
        }
    }
    violations
}

/// Fields of a project that are accepted and have no effect here; one sentence for each that is set.
#[must_use]
pub fn without_effect(project: &AppProject) -> Vec<String> {
    let mut notes = Vec::new();
    if project.spec.orphaned_resources.is_some() {
        notes.push(format!(
            "project '{}': spec.orphanedResources has no effect, orphaned objects are not looked for",
            name(project)
        ));
    }
    if project
        .spec
        .destination_service_accounts
        .as_ref()
        .is_some_and(|list| !list.is_empty())
    {
        notes.push(format!(
            "project '{}': spec.destinationServiceAccounts has no effect, the controller acts as itself",
            name(project)
        ));
    }
    notes
}

/// Whether a repository may be used.
#[must_use]
pub fn permits_repository(project: &AppProject, url: &str) -> bool {
    let patterns: Vec<String> = project
        .spec
        .source_repos
        .iter()
        .flatten()
        .map(|pattern| match pattern.strip_prefix('!') {
            Some(denied) => format!("!{}", repo_url::normalize(denied)),
            None => repo_url::normalize(pattern),
        })
        .collect();
    permitted(
        patterns.iter().map(String::as_str),
        &repo_url::normalize(url),
        Some('/'),
    )
}

/// URL and name of a destination's cluster; the own cluster has both, however it was written.
fn server(destination: &Destination) -> (&str, &str) {
    if destination.is_in_cluster() {
        (IN_CLUSTER_SERVER, IN_CLUSTER_NAME)
    } else {
        (
            destination.server.as_deref().unwrap_or(""),
            destination.name.as_deref().unwrap_or(""),
        )
    }
}

/// Whether objects may go into a namespace of a destination's cluster.
#[must_use]
pub fn permits_destination(project: &AppProject, to: &Destination, namespace: &str) -> bool {
    let (server, name) = server(to);
    let denies = |pattern: &str| pattern.starts_with('!');
    let mut permitted = false;
    for rule in project.spec.destinations.iter().flatten() {
        let rule_server = rule.server.as_deref().unwrap_or("");
        let rule_name = rule.name.as_deref().unwrap_or("");
        let rule_namespace = rule.namespace.as_deref().unwrap_or("");
        let by_name = !name.is_empty() && matches_or_denies(rule_name, name, None);
        let by_server = !server.is_empty() && matches_or_denies(rule_server, server, None);
        let by_namespace = matches_or_denies(rule_namespace, namespace, None);
        if (by_server || by_name) && by_namespace {
            permitted = true;
        } else if by_namespace && (denies(rule_name) || denies(rule_server))
            || (by_server || by_name) && denies(rule_namespace)
        {
            return false;
        }
    }
    permitted
}

/// Why an object may not be applied or deleted; `None` when it may.
///
/// `namespaced` says whether objects of its kind have a namespace.
#[must_use]
pub fn forbids_object(
    project: &AppProject,
    destination: &Destination,
    key: &Key,
    namespaced: bool,
) -> Option<String> {
    if !permits_kind(project, key, namespaced) {
        return Some(format!(
            "resource {}:{} is not permitted in project {}",
            key.kind.group,
            key.kind.kind,
            name(project)
        ));
    }
    (namespaced && !permits_destination(project, destination, &key.namespace)).then(|| {
        format!(
            "namespace {} is not permitted in project '{}'",
            key.namespace,
            name(project)
        )
    })
}

fn permits_kind(project: &AppProject, key: &Key, namespaced: bool) -> bool {
    let spec = &project.spec;
    let in_rules = |rules: &[Rule]| rules.iter().any(|rule| matches_kind(rule, key));
    let in_cluster_rules = |rules: &Option<Vec<ClusterResourceRule>>| {
        rules.iter().flatten().any(|rule| {
            glob_or_all(&rule.group, &key.kind.group)
                && glob_or_all(&rule.kind, &key.kind.kind)
                && rule
                    .name
                    .as_deref()
                    .is_none_or(|name| name.is_empty() || glob_or_all(name, &key.name))
        })
    };
    if namespaced {
        let listed = spec
            .namespace_resource_whitelist
            .as_deref()
            .is_none_or(in_rules);
        listed
            && !spec
                .namespace_resource_blacklist
                .as_deref()
                .is_some_and(in_rules)
    } else {
        in_cluster_rules(&spec.cluster_resource_whitelist)
            && !in_cluster_rules(&spec.cluster_resource_blacklist)
    }
}

fn matches_kind(rule: &Rule, key: &Key) -> bool {
    glob_or_all(&rule.group, &key.kind.group) && glob_or_all(&rule.kind, &key.kind.kind)
}

fn glob_or_all(pattern: &str, text: &str) -> bool {
    pattern == "*" || matches(pattern, text, None)
}
