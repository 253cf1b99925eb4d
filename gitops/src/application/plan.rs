//! What a decision wants written, and how what became of it is written down.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde_json::Value;
use sluice_crds::application::status::OperationState;
use sluice_crds::application::{Application, ApplicationStatus, Operation};

use super::operation::Started;
use super::world::RenderRequest;
use crate::auto_sync::Closed;
use crate::key::Key;
use crate::options::Propagation;

/// The outcome of one decision.
///
/// The shell fetches `needs` (and decides again) or else runs `effects` in order, hands what became of them to
/// [`AppPlan::settle`], and writes `status`, `operation`, `annotations` and `finalizers` as **one** minimal merge patch
/// with the Application's resourceVersion; not at all when nothing changed. Then it emits `events`.
#[derive(Debug, Clone, PartialEq)]
pub struct AppPlan {
    /// Writes to the cluster, in order; each can be repeated.
    pub effects: Vec<AppEffect>,
    /// The complete status that the Application should have.
    pub status: ApplicationStatus,
    /// What becomes of the top-level `operation`.
    pub operation: OperationChange,
    /// Annotations of the Application to set, or to remove with `None`.
    pub annotations: BTreeMap<String, Option<String>>,
    /// `metadata.finalizers`, when they change.
    pub finalizers: Option<Vec<String>>,
    /// Kubernetes Events, in order.
    pub events: Vec<EventNote>,
    /// When to decide again if nothing happens, apart from looks at Git.
    pub wake_at: Option<Timestamp>,
    /// One value for each guard that was decided.
    pub reasons: Vec<AppReason>,
    /// Renderings without which the decision could not go on.
    pub needs: Vec<RenderRequest>,
    /// What the effects belong to.
    pub(crate) started: Option<Box<Started>>,
}

/// What becomes of the top-level `operation`.
#[derive(Debug, Clone, PartialEq)]
pub enum OperationChange {
    /// It stays.
    Keep,
    /// It is done.
    Clear,
    /// A sync is ordered.
    Set(Box<Operation>),
}

/// One write to the cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum AppEffect {
    /// Applies an object, server-side, as field manager `argocd-controller`, taking over conflicting fields.
    Apply(Box<Apply>),
    /// Deletes an object. One that is gone already is fine.
    Delete {
        /// Which object.
        key: Key,
        /// Its `apiVersion`.
        api_version: String,
        /// uid that it must still have; `None` when it was not seen.
        uid: Option<String>,
        /// What happens to objects that depend on it.
        propagation: Propagation,
        /// Its finalizers without the one that keeps hooks, when it has that one: they are written before.
        finalizers: Option<Vec<String>>,
    },
}

/// How an object is applied.
#[derive(Debug, Clone, PartialEq)]
pub struct Apply {
    /// Which object.
    pub key: Key,
    /// Its `apiVersion`.
    pub api_version: String,
    /// The object.
    pub object: Value,
    /// Replace the whole object (create it when it is not there) instead of applying fields.
    pub replace: bool,
    /// Delete and create again when it cannot be applied.
    pub force: bool,
    /// Refuse unknown fields.
    pub validate: bool,
    /// Only ask what would happen.
    pub dry_run: bool,
    /// `metadata.managedFields` to write first, with fields taken over from client-side apply.
    pub managed_fields: Option<Vec<Value>>,
    /// Whether it may only be applied to the live object in `resource_version`.
    pub fenced: bool,
    /// resourceVersion of the live object, for `fenced`, `replace` and `managed_fields`.
    pub resource_version: Option<String>,
}

/// What became of an effect.
pub type Outcome = Result<(), EffectFailure>;

/// Why an effect was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectFailure {
    /// In the server's words; no secrets.
    pub message: String,
    /// Whether trying again without a change may help (no answer, too many requests, a conflict).
    pub transient: bool,
}

/// A Kubernetes Event about the Application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventNote {
    /// Whether a person may want to look.
    pub is_warning: bool,
    /// One word, as other tools know it.
    pub reason: &'static str,
    /// One sentence.
    pub message: String,
}

impl EventNote {
    /// As expected.
    #[must_use]
    pub fn normal(reason: &'static str, message: String) -> Self {
        Self {
            is_warning: false,
            reason,
            message,
        }
    }

    /// A person may want to look.
    #[must_use]
    pub fn warning(reason: &'static str, message: String) -> Self {
        Self {
            is_warning: true,
            reason,
            message,
        }
    }
}

/// One guard and how it was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppReason {
    /// `argocd.argoproj.io/skip-reconcile` is set.
    Skipped,
    /// The spec cannot be carried out.
    InvalidSpec {
        /// What is wrong.
        message: String,
    },
    /// Git was not looked at yet.
    WaitingForGit,
    /// Git, or what it holds, gave no rendering.
    GitFailed {
        /// Why.
        message: String,
    },
    /// The cluster is not as Git says.
    OutOfSync {
        /// Number of objects that differ.
        objects: u32,
        /// Commit that was compared with.
        revision: String,
    },
    /// A revision is not tried again.
    Quarantined {
        /// Commit.
        revision: String,
        /// Name of the Rollout.
        rollout: String,
        /// Why it was aborted.
        evidence: String,
    },
    /// A sync was ordered.
    SyncStarted {
        /// Commit.
        revision: String,
    },
    /// A sync waits.
    SyncWaits {
        /// For what.
        message: String,
    },
    /// A sync is over.
    SyncDone {
        /// How it ended.
        phase: &'static str,
        /// One sentence.
        message: String,
    },
    /// Automated sync does not go on by itself.
    SyncRefused {
        /// Why.
        message: String,
    },
    /// A sync window forbids it.
    Window {
        /// Which.
        why: String,
    },
    /// Self-heal waits between two attempts.
    HealLater {
        /// Until when.
        at: Timestamp,
    },
    /// Nothing is to be synced.
    Gate {
        /// Which gate was closed.
        closed: Closed,
    },
    /// The Application is being deleted.
    Deleting {
        /// What is waited for.
        message: String,
    },
}

impl fmt::Display for AppReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped => f.write_str("left alone: argocd.argoproj.io/skip-reconcile is set"),
            Self::InvalidSpec { message } => write!(f, "invalid spec: {message}"),
            Self::WaitingForGit => f.write_str("waiting for the first look at Git"),
            Self::GitFailed { message } => write!(f, "no rendering: {message}"),
            Self::OutOfSync { objects, revision } => {
                write!(f, "{objects} objects differ from {revision}")
            }
            Self::Quarantined {
                revision,
                rollout,
                evidence,
            } => {
                write!(
                    f,
                    "revision {revision} of {rollout} is quarantined: {evidence}"
                )
            }
            Self::SyncStarted { revision } => write!(f, "sync to {revision} ordered"),
            Self::SyncWaits { message } => f.write_str(message),
            Self::SyncDone { phase, message } => write!(f, "sync {phase}: {message}"),
            Self::SyncRefused { message } => f.write_str(message),
            Self::Window { why } => write!(f, "no sync now: {why}"),
            Self::HealLater { at } => write!(f, "self-heal waits until {at}"),
            Self::Gate { closed } => f.write_str(match closed {
                Closed::NotAutomated => "no sync: it is not automated",
                Closed::Busy => "no sync: one is running",
                Closed::Deleting => "no sync: the Application is being deleted",
                Closed::NotOutOfSync => "no sync: nothing differs",
                Closed::OnlyPruning => "no sync: only deletions are left, and prune is off",
                Closed::NoSelfHeal => "no sync: this revision was applied, and selfHeal is off",
                Closed::Quarantined => "no sync: the rendering is quarantined",
                Closed::Window(_) => "no sync: a sync window forbids it",
            }),
            Self::Deleting { message } => write!(f, "deleting: {message}"),
        }
    }
}

impl AppPlan {
    /// The plan that changes nothing.
    #[must_use]
    pub fn unchanged(app: &Application) -> Self {
        Self {
            effects: Vec::new(),
            status: super::status_of(app),
            operation: OperationChange::Keep,
            annotations: BTreeMap::new(),
            finalizers: None,
            events: Vec::new(),
            wake_at: None,
            reasons: Vec::new(),
            needs: Vec::new(),
            started: None,
        }
    }

    /// Whether there is anything to write.
    #[must_use]
    pub fn is_noop(&self, app: &Application) -> bool {
        self.effects.is_empty()
            && self.operation == OperationChange::Keep
            && self.annotations.is_empty()
            && self.finalizers.is_none()
            && self.status == super::status_of(app)
    }

    /// Wakes no later than this.
    pub(crate) fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |known| known.min(at)));
    }

    /// Writes down what became of the effects: one outcome for each effect that was tried, in order.
    ///
    /// Afterwards the plan has no effects left, and its status says what was done.
    #[must_use]
    pub fn settle(mut self, outcomes: &[Outcome], now: Timestamp) -> Self {
        let effects = std::mem::take(&mut self.effects);
        if let Some(started) = self.started.take() {
            super::operation::settle(&mut self, *started, outcomes, now);
        } else if outcomes.len() < effects.len() || outcomes.iter().any(Result::is_err) {
            // Deletions of hooks and of the Application's objects: seen again, they are decided again.
            self.wake(super::in_a_while(now, 2));
        }
        self
    }

    /// The operation state that the plan writes.
    pub(crate) fn state(&mut self) -> Option<&mut OperationState> {
        self.status.operation_state.as_mut()
    }
}
