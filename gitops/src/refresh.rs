//! When to look at Git again.
//!
//! The shell keeps what it knows about the last look in a [`Memory`] and asks before each decision.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use sluice_crds::application::Application;
use sluice_crds::names;

use crate::key::Key;

/// How thoroughly to look. The order is from least to most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What is known of Git is good enough: compare with the cluster only.
    #[default]
    Known,
    /// Ask Git which commit the revision is now.
    Latest,
    /// The same, and render again even if the commit is known.
    Hard,
}

/// What the shell remembers about one Application.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// When Git was last asked, successfully or not.
    pub asked_at: Option<Timestamp>,
    /// How often in a row it did not answer.
    pub failures: u32,
    /// Sources that were asked for.
    pub sources: Vec<sluice_crds::application::ApplicationSource>,
    /// A webhook asked for a look.
    pub requested: Option<Level>,
}

/// How often to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Time between two looks.
    pub every: SignedDuration,
    /// Each Application adds its own share of this, so that they do not all ask at once.
    pub jitter: SignedDuration,
}

/// Whether to look at Git now.
#[must_use]
pub fn level(app: &Application, memory: &Memory, interval: Interval, now: Timestamp) -> Level {
    let annotated = app
        .metadata
        .annotations
        .as_ref()
        .and_then(|map| map.get(names::REFRESH));
    let asked = match annotated.map(String::as_str) {
        None => Level::Known,
        Some("hard") => Level::Hard,
        Some(_) => Level::Latest,
    };
    let asked = asked.max(memory.requested.unwrap_or_default());
    let due = next(app, memory, interval).is_none_or(|at| now >= at);
    if due || wants_newest(app) || memory.sources != app.spec.sources() {
        asked.max(Level::Latest)
    } else {
        asked
    }
}

/// Whether the Application holds an order to sync to the newest revision that has not been begun.
#[must_use]
pub fn wants_newest(app: &Application) -> bool {
    app.operation.as_ref().is_some_and(|operation| {
        let begun = app
            .status
            .as_ref()
            .and_then(|status| status.operation_state.as_ref())
            .is_some_and(|state| state.operation == *operation && state.finished_at.is_none());
        let pinned = operation.sync.as_ref().is_some_and(|sync| {
            sync.revision
                .as_deref()
                .is_some_and(|revision| !revision.is_empty())
                || sync.revisions.as_ref().is_some_and(|list| !list.is_empty())
        });
        !begun && !pinned
    })
}

/// When the next look is due; `None` when there was none yet.
///
/// After a failure it is soon, and later after each further one, so that an outage is over as soon as it is over.
#[must_use]
pub fn next(app: &Application, memory: &Memory, interval: Interval) -> Option<Timestamp> {
    let asked_at = memory.asked_at?;
    let every = if memory.failures == 0 {
        interval.every.saturating_add(share(app, interval.jitter))
    } else {
        crate::backoff::Growth {
            base: SignedDuration::from_secs(3),
            factor: 2,
            cap: interval.every.min(SignedDuration::from_secs(30)),
        }
        .wait(i64::from(memory.failures) - 1)
    };
    asked_at.saturating_add(every).ok()
}

/// This Application's share of the jitter: always the same, and spread evenly over many Applications.
fn share(app: &Application, jitter: SignedDuration) -> SignedDuration {
    let key = Key::new(
        names::GROUP,
        "Application",
        app.metadata.namespace.as_deref().unwrap_or(""),
        app.metadata.name.as_deref().unwrap_or(""),
    );
    let hash = Sha256::digest(key.to_string().as_bytes());
    let part = u16::from_be_bytes([
        hash.first().copied().unwrap_or(0),
        hash.get(1).copied().unwrap_or(0),
    ]);
    let millis = jitter.as_millis().max(0) * i128::from(part) / 65_536;
    SignedDuration::from_millis(i64::try_from(millis).unwrap_or(0))
}
