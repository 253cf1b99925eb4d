//! What stands below the tree, which only Sluice can say: decision, analysis, traffic, Git, what comes next.

use jiff::Timestamp;
use serde_json::Value;
use sluice_crds::names;

use super::age::{moment, short};
use super::forecast::{self, End};
use super::snapshot::{Snapshot, application_of, text};
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
    for (index, line) in analysis.flat_map(measured::lines).enumerate() {
        out += &header::line(if index == 0 { "Analysis:" } else { "" }, &line);
    }
    if let Some(line) = traffic(snapshot) {
        out += &header::line("Traffic:", &line);
    }
    if let Some(line) = git(snapshot) {
        out += &header::line("Git:", &line);
    }
    for line in quarantine(snapshot) {
        out += &header::line("Quarantine:", &line);
    }
    if let Some(line) = next(snapshot, now) {
        out += &header::line("Next:", &line);
    }
    for unread in &snapshot.unread {
        out += &header::line("Not shown:", &format!("{} ({})", unread.what, unread.why));
    }
    out
}

/// What the routers were told, and what each shows.
pub(crate) fn traffic(snapshot: &Snapshot) -> Option<String> {
    let shown = weights::shown(snapshot);
    if shown.is_empty() {
        return None;
    }
    let told = weights::told(&snapshot.rollout)
        .map_or_else(|| "not set yet".to_owned(), |told| format!("set {told} %"));
    let mut parts = vec![told];
    for router in shown {
        parts.push(match router.canary {
            Ok(weight) => format!("{} shows {weight} %", router.object),
            Err(why) => format!("{}: {why}", router.object),
        });
        if router.accepted == Some(false) {
            parts.push("its router has not accepted it".to_owned());
        }
    }
    Some(parts.join(", "))
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
    let forecast = forecast::of(&snapshot.rollout, now)?;
    let mut out = match forecast.pause_ends {
        Some(until) if until > now => {
            let left = short(until.duration_since(now));
            format!(
                "{} the pause ends (in {left}), then {}",
                moment(until, now),
                forecast.then
            )
        }
        Some(_) => format!("the pause is over, then {}", forecast.then),
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
