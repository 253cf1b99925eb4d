//! Health: how an object is, told from the object alone.
//!
//! Input: a live object. Output: a code and one sentence, or `None` for kinds whose health cannot be told (they count
//! as healthy). [`application`] puts the objects of an Application together.

mod argo;
mod network;
mod rollout;
mod storage;
mod workloads;

use std::fmt;

use serde_json::Value;

use crate::key::{Key, annotation, api_version, is_deleting, text};

/// How an object is. The order is from best to worst.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// It does what it should.
    #[default]
    Healthy,
    /// It waits on purpose.
    Suspended,
    /// It is getting there.
    Progressing,
    /// It is not there.
    Missing,
    /// It failed, or cannot get there in time.
    Degraded,
    /// It cannot be told.
    Unknown,
}

impl Code {
    /// Name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Suspended => "Suspended",
            Self::Progressing => "Progressing",
            Self::Missing => "Missing",
            Self::Degraded => "Degraded",
            Self::Unknown => "Unknown",
        }
    }

    /// From its name in the API; a name that is not known is `Unknown`.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "Healthy" => Self::Healthy,
            "Suspended" => Self::Suspended,
            "Progressing" => Self::Progressing,
            "Missing" => Self::Missing,
            "Degraded" => Self::Degraded,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A code and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// How it is.
    pub code: Code,
    /// One sentence; may be empty.
    pub message: String,
}

impl Health {
    /// A health with a message.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Healthy, with nothing to say.
    #[must_use]
    pub fn healthy() -> Self {
        Self::default()
    }
}

/// Finalizer by which upstream keeps hooks until it has seen how they ended.
pub const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";

/// The health of a live object; `None` for kinds whose health cannot be told.
#[must_use]
pub fn of(object: &Value) -> Option<Health> {
    let held_by_hook = crate::key::list(object, "/metadata/finalizers")
        .iter()
        .any(|finalizer| finalizer.as_str() == Some(HOOK_FINALIZER));
    if is_deleting(object) && !held_by_hook {
        return Some(Health::new(Code::Progressing, "Pending deletion"));
    }
    let (group, version) = api_version(object);
    match (group, text(object, "/kind")) {
        ("apps", "Deployment") => Some(workloads::deployment(object)),
        ("apps", "StatefulSet") => Some(workloads::stateful_set(object)),
        ("apps", "ReplicaSet") => Some(workloads::replica_set(object)),
        ("apps", "DaemonSet") => Some(workloads::daemon_set(object)),
        ("", "Pod") => Some(workloads::pod(object)),
        ("batch", "Job") => Some(workloads::job(object)),
        ("", "Service") => Some(network::service(object)),
        ("networking.k8s.io" | "extensions", "Ingress") => Some(network::ingress(object)),
        ("gateway.networking.k8s.io", "HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute") => {
            Some(network::route(object))
        }
        ("gateway.networking.k8s.io", "Gateway" | "GatewayClass") => Some(network::gateway(object)),
        ("", "PersistentVolumeClaim") => Some(storage::claim(object)),
        ("autoscaling", "HorizontalPodAutoscaler") => {
            Some(workloads::autoscaler(object, version == "v1"))
        }
        ("apiregistration.k8s.io", "APIService") => Some(storage::api_service(object)),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => Some(storage::definition(object)),
        ("argoproj.io", "Rollout") => Some(rollout::health(object)),
        ("argoproj.io", "AnalysisRun") => Some(argo::analysis_run(object)),
        ("argoproj.io", "Experiment") => Some(argo::experiment(object)),
        ("argoproj.io", "Application") => Some(argo::application(object)),
        ("argoproj.io", "Workflow") => Some(argo::workflow(object)),
        _ => None,
    }
}

/// One object of an Application, as its health counts.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Which object.
    pub key: &'a Key,
    /// The live object; `None` when it is missing.
    pub live: Option<&'a Value>,
    /// Its health; `None` when it cannot be told.
    pub health: Option<&'a Health>,
}

/// The health of an Application: the worst of its objects, hooks excluded by the caller. `itself` is the
/// Application's own key, for one that manages itself.
///
/// Missing objects only count when all are missing. The message names up to three objects that are to blame.
#[must_use]
pub fn application<'a>(members: impl IntoIterator<Item = Member<'a>>, itself: &Key) -> Health {
    let (mut worst, mut causes) = (Code::Healthy, Vec::new());
    let (mut all, mut missing) = (0_u32, 0_u32);
    for member in members {
        if member.key == itself {
            continue;
        }
        let Some(live) = member.live else {
            all += 1;
            missing += 1;
            continue;
        };
        if annotation(live, "argocd.argoproj.io/ignore-healthcheck") == Some("true") {
            continue;
        }
        all += 1;
        let Some(health) = member.health else {
            continue;
        };
        let child = member.key.kind.group == "argoproj.io" && member.key.kind.kind == "Application";
        if child && matches!(health.code, Code::Missing | Code::Unknown) {
            continue;
        }
        if health.code > worst {
            worst = health.code;
            causes.clear();
        }
        if health.code == worst && worst != Code::Healthy {
            causes.push(if health.message.is_empty() {
                member.key.short()
            } else {
                format!("{}: {}", member.key.short(), health.message)
            });
        }
    }
    if all > 0 && all == missing {
        return Health::new(Code::Missing, "");
    }
    causes.truncate(3);
    let message = if causes.is_empty() {
        String::new()
    } else {
        format!("Caused by {}", causes.join("; "))
    };
    Health::new(worst, message)
}

/// The condition of a type in `status.conditions`.
fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    crate::key::list(object, "/status/conditions")
        .iter()
        .find(|condition| text(condition, "/type") == kind)
}

/// Whether a condition has a status.
fn is(condition: &Value, status: &str) -> bool {
    text(condition, "/status") == status
}

/// The message of a condition.
fn message(condition: &Value) -> &str {
    text(condition, "/message")
}
