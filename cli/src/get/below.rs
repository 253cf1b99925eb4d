//! What stands below the tree, which only Sluice can say: decision, analysis, traffic, Git, what comes next.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use sluice_crds::names;
use sluice_crds::split::{ObservedSplit, ShownRoutes, SplitRoute};

use super::age::{moment, short};
use super::forecast::{self, End};
use super::owned::{Unread, text};
use super::snapshot::{Snapshot, application_of};
use super::{decision, header, measured, weights};

/// All lines.
pub(crate) fn lines(snapshot: &Snapshot, now: Timestamp) -> String {
    let plan = snapshot.plan(now);
    let mut out = header::line(
        "Decision:",
        &decision::sentence(snapshot, plan.as_ref(), now),
    );
    let analysis = snapshot.current_runs().filter(|run| {
        run.status
            .as_ref()
            .is_none_or(|status| status.phase != "Successful")
    });
    out += &self::analysis(analysis.flat_map(measured::lines));
    out += &header::lines("Traffic:", traffic(snapshot));
    if let Some(line) = git(snapshot) {
        out += &header::line("Git:", &line);
    }
    for line in quarantine(snapshot) {
        out += &header::line("Quarantine:", &line);
    }
    if let Some(line) = next(snapshot, now) {
        out += &header::line("Next:", &line);
    }
    out + &unread(&snapshot.unread)
}

/// What was measured.
pub(super) fn analysis(lines: impl Iterator<Item = String>) -> String {
    header::lines("Analysis:", lines)
}

/// What could not be read, and why.
pub(super) fn unread(parts: &[Unread]) -> String {
    let line = |it: &Unread| header::line("Not shown:", &format!("{} ({})", it.what, it.why));
    parts.iter().map(line).collect()
}

/// What the routers were told, and what each shows; then the header and mirror routes, wanted and there.
pub(crate) fn traffic(snapshot: &Snapshot) -> Vec<String> {
    let shown = weights::shown(snapshot);
    if shown.is_empty() {
        return Vec::new();
    }
    let told = weights::told(&snapshot.rollout).map_or_else(
        || "not set yet".to_owned(),
        |told| {
            let beside = weights::told_beside(&snapshot.rollout);
            format!("set {}", shares(snapshot, told, &beside))
        },
    );
    let mut parts = vec![told];
    for router in &shown {
        parts.push(match &router.canary {
            Ok(weight) => {
                let shares = shares(snapshot, *weight, &router.additional);
                format!("{} shows {shares}", router.object)
            }
            Err(why) => format!("{}: {why}", router.object),
        });
        if router.accepted == Some(false) {
            parts.push("its router has not accepted it".to_owned());
        }
    }
    let routes = routes(&weights::routes(&snapshot.rollout), &shown);
    std::iter::once(parts.join(", ")).chain(routes).collect()
}

/// The share of the canary, and those of the experiment templates beside it.
fn shares(snapshot: &Snapshot, canary: i32, beside: &[(String, i32)]) -> String {
    let templates = snapshot.experiments.iter().flat_map(|view| {
        let status = view.experiment.status.as_ref();
        let templates = status.and_then(|status| status.template_statuses.as_ref());
        templates.into_iter().flatten()
    });
    let served: BTreeMap<&str, &str> = templates
        .filter_map(|template| Some((template.service_name.as_deref()?, template.name.as_str())))
        .collect();
    let mut out = format!("{canary} %");
    for (service, weight) in beside {
        // A Service is named by the template that it belongs to, as in the tree.
        let name = served.get(service.as_str());
        let name = name.map_or_else(|| service.clone(), |template| format!("Σ:{template}"));
        out += &format!(" + {weight} % {name}");
    }
    out
}

/// The header and mirror routes that the steps ask for, and what each router object has of them; `None` without any.
fn routes(wanted: &[SplitRoute], shown: &[ObservedSplit]) -> Option<String> {
    let carriers: Vec<(&str, &ShownRoutes)> = shown
        .iter()
        .filter_map(|router| Some((router.object.as_str(), router.routes.as_ref()?)))
        .collect();
    let clean = |routes: &ShownRoutes| {
        routes.routes.is_empty() && routes.intact && routes.problem.is_none()
    };
    if wanted.is_empty() && carriers.iter().all(|(_, routes)| clean(routes)) {
        return None;
    }
    let mut parts = vec![match wanted {
        [] => "no header or mirror route wanted".to_owned(),
        [one] => format!("route wanted: {one}"),
        several => format!("routes wanted: {}", listed(several)),
    }];
    for (object, has) in carriers {
        parts.push(match (&has.problem, has.routes == wanted, has.intact) {
            (Some(problem), ..) => format!("{object} cannot have them: {problem}"),
            (None, true, true) if wanted.is_empty() => format!("{object} has none"),
            (None, true, true) if wanted.len() == 1 => format!("{object} has it"),
            (None, true, true) => format!("{object} has them"),
            (None, _, false) => format!("{object} differs from what it was told"),
            (None, false, true) if has.routes.is_empty() => format!("{object} has none"),
            (None, false, true) => format!("{object} has: {}", listed(&has.routes)),
        });
    }
    if parts.len() == 1 && !wanted.is_empty() {
        parts.push("no router object carries routes".to_owned());
    }
    Some(parts.join(", "))
}

fn listed(routes: &[SplitRoute]) -> String {
    let words: Vec<String> = routes.iter().map(ToString::to_string).collect();
    words.join("; ")
}

fn git(snapshot: &Snapshot) -> Option<String> {
    let annotations = snapshot.rollout.metadata.annotations.as_ref();
    let revision = annotations.and_then(|annotations| annotations.get(names::GIT_REVISION));
    let application = application_of(&snapshot.rollout);
    if revision.is_none() && application.is_none() {
        return None;
    }
    let revision = revision.map_or_else(
        || "revision unknown".to_owned(),
        |revision| commit(revision),
    );
    let Some(name) = application else {
        return Some(revision);
    };
    let Some(found) = &snapshot.application else {
        return Some(format!("{revision} (Application {})", name.name));
    };
    let head = text(found, "/status/sync/revision");
    let sync = text(found, "/status/sync/status");
    let head = if head.is_empty() {
        String::new()
    } else {
        format!(" with {}", commit(head))
    };
    Some(format!(
        "{revision} (Application {}/{}: {sync}{head})",
        text(found, "/metadata/namespace"),
        name.name
    ))
}

/// What the Application says of revisions that are not tried again.
pub(crate) fn quarantine(snapshot: &Snapshot) -> Vec<String> {
    let conditions = snapshot
        .application
        .as_ref()
        .and_then(|application| application.pointer("/status/conditions")?.as_array());
    conditions
        .into_iter()
        .flatten()
        .filter(|condition| text(condition, "/type") == "Quarantined")
        .map(|condition: &Value| text(condition, "/message").to_owned())
        .collect()
}

fn next(snapshot: &Snapshot, now: Timestamp) -> Option<String> {
    let forecast = forecast::of(snapshot, now)?;
    let mut out = match forecast.ends {
        Some((what, until)) if until > now => {
            let left = short(until.duration_since(now));
            format!(
                "{} the {what} ends (in {left}), then {}",
                moment(until, now),
                forecast.then
            )
        }
        Some((what, _)) => format!("the {what} is over, then {}", forecast.then),
        None => format!("then {}", forecast.then),
    };
    match forecast.end {
        End::NotBefore(at) => out += &format!("; done at {} at the earliest", moment(at, now)),
        End::Person(step) => out += &format!("; waits for a person at step {step}"),
        End::Open => {}
    }
    Some(out)
}

/// The first letters of a commit, enough to find it; other revisions as they are.
pub(crate) fn commit(revision: &str) -> String {
    let is_commit = revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_commit {
        revision.chars().take(7).collect()
    } else {
        revision.to_owned()
    }
}
