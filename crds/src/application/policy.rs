//! `spec.syncPolicy`: when and how the objects are applied.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::duration;

/// `spec.syncPolicy`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncPolicy {
    /// Sync without being asked; absent means only when asked.
    pub automated: Option<AutomatedSync>,
    /// Options, each `Name=value`.
    pub sync_options: Option<Vec<String>>,
    /// What to do when a sync fails.
    pub retry: Option<RetryStrategy>,
    /// Labels and annotations of the namespace that `CreateNamespace=true` makes.
    pub managed_namespace_metadata: Option<ManagedNamespaceMetadata>,
}

/// `syncPolicy.automated`. `{}` means on, without prune and without self-heal.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AutomatedSync {
    /// Delete what is no longer in Git. Default false.
    pub prune: Option<bool>,
    /// Undo changes that were made in the cluster. Default false.
    pub self_heal: Option<bool>,
    /// Allow a sync that deletes everything. Default false.
    pub allow_empty: Option<bool>,
    /// Default true.
    pub enabled: Option<bool>,
}

impl AutomatedSync {
    /// Whether automated sync is on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// `prune`, default false.
    #[must_use]
    pub fn prune(&self) -> bool {
        self.prune.unwrap_or(false)
    }

    /// `selfHeal`, default false.
    #[must_use]
    pub fn self_heal(&self) -> bool {
        self.self_heal.unwrap_or(false)
    }

    /// `allowEmpty`, default false.
    #[must_use]
    pub fn allow_empty(&self) -> bool {
        self.allow_empty.unwrap_or(false)
    }
}

/// `syncPolicy.retry` and `operation.retry`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetryStrategy {
    /// Number of retries; negative means no limit, absent means none.
    pub limit: Option<i64>,
    /// How long to wait between them.
    pub backoff: Option<Backoff>,
    /// Take the newest revision on each retry instead of the one that failed.
    pub refresh: Option<bool>,
}

/// Waiting time that grows by a factor.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backoff {
    /// First wait. Default `5s`; a bare number is seconds.
    pub duration: Option<String>,
    /// Factor for each further wait. Default 2.
    pub factor: Option<i64>,
    /// Longest wait. Default `3m`.
    pub max_duration: Option<String>,
}

impl Backoff {
    /// First wait.
    ///
    /// # Errors
    /// When the text is not a duration.
    pub fn duration(&self) -> Result<SignedDuration, duration::DurationError> {
        parse_or(self.duration.as_deref(), SignedDuration::from_secs(5))
    }

    /// Longest wait.
    ///
    /// # Errors
    /// When the text is not a duration.
    pub fn max_duration(&self) -> Result<SignedDuration, duration::DurationError> {
        parse_or(self.max_duration.as_deref(), SignedDuration::from_secs(180))
    }

    /// Factor; at least 1.
    #[must_use]
    pub fn factor(&self) -> i64 {
        self.factor.unwrap_or(2).max(1)
    }
}

fn parse_or(
    text: Option<&str>,
    default: SignedDuration,
) -> Result<SignedDuration, duration::DurationError> {
    match text {
        None | Some("") => Ok(default),
        Some(text) => match text.parse::<u32>() {
            Ok(seconds) => Ok(SignedDuration::from_secs(i64::from(seconds))),
            Err(_) => duration::parse(text),
        },
    }
}

/// Labels and annotations for the namespace.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedNamespaceMetadata {
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations.
    pub annotations: Option<BTreeMap<String, String>>,
}
