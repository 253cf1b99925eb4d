//! Clients, kept for their connections: one for each kind of trust.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder};

use super::Failure;
use super::guard::{self, GuardedResolver};
use crate::aws::{Aws, AwsEnvironment};

/// Whom to trust with TLS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// The system's authorities. On a machine that has none, nobody is trusted, and `http` works all the same.
    System,
    /// The authorities of a PEM bundle, and nobody else.
    Only(String),
    /// Everybody, because the template says `insecure`.
    Everybody,
}

impl Trust {
    /// What a metric asks for.
    pub(crate) fn of(insecure: bool, ca_cert: Option<&str>) -> Self {
        match ca_cert.filter(|pem| !pem.trim().is_empty()) {
            _ if insecure => Self::Everybody,
            Some(pem) => Self::Only(pem.to_owned()),
            None => Self::System,
        }
    }
}

/// Redirects that are followed at most.
const REDIRECTS: usize = 5;
/// Clients that are kept at most; bundles come from templates.
const KEPT: usize = 32;
/// Until a connection is made; the timeout of the metric holds for everything together.
const CONNECT: Duration = Duration::from_secs(10);

/// The clients of a process.
#[derive(Debug)]
pub struct Clients {
    pub(crate) allow_link_local: bool,
    pub(crate) aws: Aws,
    kept: Mutex<BTreeMap<Trust, Client>>,
}

impl Clients {
    /// No clients yet.
    #[must_use]
    pub fn new(allow_link_local: bool) -> Self {
        // Another part of the process may have set one, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            allow_link_local,
            aws: Aws::default(),
            kept: Mutex::new(BTreeMap::new()),
        }
    }

    /// The same, with an environment that says where keys for AWS are.
    #[must_use]
    pub fn with_aws(self, environment: AwsEnvironment) -> Self {
        Self {
            aws: Aws::new(environment),
            ..self
        }
    }

    /// A client with that trust.
    pub(crate) fn get(&self, trust: &Trust) -> Result<Client, Failure> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = kept.get(trust) {
            return Ok(client.clone());
        }
        let client = self.build(trust)?;
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(trust.clone(), client.clone());
        Ok(client)
    }

    fn build(&self, trust: &Trust) -> Result<Client, Failure> {
        let failure = |error| Failure::permanent(format!("no HTTP client can be made: {error:?}"));
        match trust {
            Trust::System => self
                .builder()
                .build()
                .or_else(|_| self.builder().tls_certs_only([]).build())
                .map_err(failure),
            Trust::Only(pem) => {
                let certificates = Certificate::from_pem_bundle(pem.as_bytes())
                    .ok()
                    .filter(|certificates| !certificates.is_empty())
                    .ok_or_else(|| {
                        Failure::permanent("caCert: not a bundle of certificates in PEM form")
                    })?;
                self.builder()
                    .tls_certs_only(certificates)
                    .build()
                    .map_err(failure)
            }
            Trust::Everybody => self
                .builder()
                .tls_danger_accept_invalid_certs(true)
                .build()
                .map_err(failure),
        }
    }

    fn builder(&self) -> ClientBuilder {
        let builder = Client::builder()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(4)
            .redirect(self.redirects());
        if self.allow_link_local {
            builder
        } else {
            builder.dns_resolver(GuardedResolver)
        }
    }

    /// Redirects stay on their host, so that headers with secrets do too, and out of refused addresses.
    fn redirects(&self) -> Policy {
        let allow_link_local = self.allow_link_local;
        Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS {
                return attempt.error(format!("more than {REDIRECTS} redirects"));
            }
            if !allow_link_local && let Err(reason) = guard::check_host(attempt.url()) {
                return attempt.error(reason);
            }
            let from = attempt.previous().last().and_then(|url| url.host_str());
            if from != attempt.url().host_str() {
                return attempt.error("a redirect to another host is not followed");
            }
            attempt.follow()
        })
    }
}
