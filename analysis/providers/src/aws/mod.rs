//! Keys of AWS, found where its SDKs find them, and signatures with them.
//!
//! The first source that is set up is the one that is asked, and what it says holds: keys in the environment, web identity
//! (IRSA), the profile of the shared files, the container (ECS, EKS Pod Identity), the machine (IMDSv2). A metric may name
//! a profile, which then comes first, and a role that is assumed with the keys found. Which source it is, is decided in
//! [`plan`] without any request.
//!
//! Keys that expire are kept until shortly before. Others are read again each time, so that files may change.
//!
//! The addresses of the container and of the machine are those that `http::guard` refuses. They come from the
//! controller's environment and from the conventions of AWS, never from a metric, and are asked by a client of their own
//! ([`nearby`]).

mod container;
mod environment;
mod instance;
mod nearby;
mod plan;
mod profile;
mod sigv4;
mod sts;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use reqwest::Client;

pub use environment::AwsEnvironment;
pub(crate) use environment::region_name;
pub(crate) use sigv4::Signer;
use sluice_analysis::SecretValues;

use crate::http::Failure;
use plan::{Plan, Source};

/// Keys are replaced when they have less than this left.
const EARLY: SignedDuration = SignedDuration::from_mins(5);
/// Identities whose keys are kept at most; their names come from templates.
const KEPT: usize = 64;

/// Keys of an AWS account.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AwsKeys {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    /// For keys that are lent.
    pub(crate) session_token: Option<String>,
}

/// Shows nothing but that there are keys.
impl fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsKeys(*****)")
    }
}

impl AwsKeys {
    /// What nothing may show: AWS repeats the token when it explains why a signature does not match.
    pub(crate) fn secrets(&self) -> SecretValues {
        let token = self.session_token.as_deref().unwrap_or_default();
        [("key", self.secret_key.as_str()), ("token", token)]
            .into_iter()
            .collect()
    }
}

/// Keys, and until when they are good.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lent {
    keys: AwsKeys,
    /// `None`: until somebody changes them.
    expires_at: Option<Timestamp>,
}

impl Lent {
    /// Whether they are good for so much longer.
    fn lasts(&self, now: Timestamp, longer: SignedDuration) -> bool {
        self.expires_at
            .is_none_or(|at| at.duration_since(now) > longer)
    }
}

/// Whose keys a metric wants; by default those of the controller.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    /// A profile of the shared files.
    pub(crate) profile: Option<String>,
    /// A role that is assumed on top.
    pub(crate) role: Option<Role>,
}

/// A role that is assumed on top.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Role {
    pub(crate) arn: String,
    /// Region whose STS is asked.
    pub(crate) region: String,
}

type Slot = Arc<tokio::sync::Mutex<Option<Lent>>>;

/// The keys of the process.
#[derive(Debug, Default)]
pub(crate) struct Aws {
    pub(crate) environment: AwsEnvironment,
    kept: Mutex<BTreeMap<Identity, Slot>>,
}

impl Aws {
    pub(crate) fn new(environment: AwsEnvironment) -> Self {
        Self {
            environment,
            kept: Mutex::default(),
        }
    }

    /// Keys that are good now. `client` reaches STS.
    ///
    /// Only one request for the keys of an identity is under way at a time. Keys that cannot be replaced are used until
    /// they expire.
    ///
    /// # Errors
    /// Which source has none and what to do, without anything secret.
    pub(crate) async fn keys(
        &self,
        client: &Client,
        who: &Identity,
        now: Timestamp,
    ) -> Result<AwsKeys, Failure> {
        let slot = self.slot(who);
        let mut kept = slot.lock().await;
        if let Some(lent) = kept.as_ref().filter(|lent| lent.lasts(now, EARLY)) {
            return Ok(lent.keys.clone());
        }
        match self.ask(client, who, now).await {
            Ok(lent) => {
                let keys = lent.keys.clone();
                *kept = Some(lent).filter(|lent| lent.expires_at.is_some());
                Ok(keys)
            }
            Err(failure) => {
                let left = kept
                    .as_ref()
                    .filter(|lent| lent.lasts(now, SignedDuration::ZERO))
                    .ok_or(failure.clone())?;
                tracing::warn!(%failure, "keys for AWS cannot be replaced; those that are there still hold");
                Ok(left.keys.clone())
            }
        }
    }

    fn slot(&self, who: &Identity) -> Slot {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT && !kept.contains_key(who) {
            kept.clear();
        }
        Arc::clone(kept.entry(who.clone()).or_default())
    }

    async fn ask(&self, client: &Client, who: &Identity, now: Timestamp) -> Result<Lent, Failure> {
        let profiles = profile::read(&self.environment).await?;
        let Plan { source, roles } = plan::plan(&self.environment, &profiles, who)?;
        let sts = sts::Sts {
            client,
            environment: &self.environment,
            now,
        };
        let mut lent = match source {
            Source::Keys(keys) => Lent {
                keys,
                expires_at: None,
            },
            Source::WebIdentity(identity) => sts.assume_with_web_identity(&identity).await?,
            Source::Container => container::keys(&self.environment).await?,
            Source::Instance => instance::keys(&self.environment).await?,
        };
        for role in &roles {
            lent = sts.assume(role, lent.keys).await?;
        }
        Ok(lent)
    }
}
