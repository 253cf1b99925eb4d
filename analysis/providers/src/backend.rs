//! What backends of other makers share: settings that are read strictly, credentials, and answers as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{RequestBuilder, Url};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use sluice_analysis::expression::{NumberText, Value};
use sluice_analysis::{Outcome, SecretValues};
use sluice_crds::duration;

use crate::http::{self, Clients, Failure, Trust, address, origin};

/// Characters of a foreign answer that a message shows.
const SHOWN: usize = 300;

/// Values of a Secret by key. They are not shown.
pub type Credentials = BTreeMap<String, String>;

/// The Secret with the credentials of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialsRef {
    /// Its name.
    pub secret: String,
    /// In the namespace of the run; otherwise in that of the controller.
    pub of_run: bool,
}

impl CredentialsRef {
    pub(crate) fn of_controller(secret: &str) -> Self {
        Self {
            secret: secret.to_owned(),
            of_run: false,
        }
    }
}

/// Reads the settings of a backend. A field that it does not have is an error: nothing is ignored.
pub(crate) fn settings<T: DeserializeOwned>(
    kind: &str,
    written: Option<&Map<String, Json>>,
) -> Result<T, Failure> {
    let written = written
        .ok_or_else(|| Failure::permanent(format!("the metric has no {kind} provider")))?
        .clone();
    serde_json::from_value(Json::Object(written))
        .map_err(|error| Failure::permanent(format!("{kind}: {error}")))
}

/// A credential that must be there.
pub(crate) fn needed<'a>(
    kind: &str,
    credentials: Option<&'a Credentials>,
    key: &str,
) -> Result<&'a str, Failure> {
    credentials
        .and_then(|credentials| credentials.get(key))
        .map(|value| value.trim())
        .filter(|value| !value.is_empty())
        .ok_or_else(|| Failure::permanent(format!("{kind}: the Secret has no key {key}")))
}

/// Reads a Go duration of the settings.
pub(crate) fn period(
    field: &str,
    text: Option<&str>,
    default: Duration,
) -> Result<Duration, Failure> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(default);
    };
    let parsed =
        duration::parse(text).map_err(|error| Failure::permanent(format!("{field}: {error}")))?;
    Duration::try_from(parsed)
        .ok()
        .filter(|period| !period.is_zero())
        .ok_or_else(|| Failure::permanent(format!("{field} must be longer than nothing")))
}

/// One server, reached through the guarded client.
pub(crate) struct Server {
    who: &'static str,
    pub(crate) client: reqwest::Client,
    pub(crate) base: Url,
    /// What no message may show although the server may repeat it.
    secrets: SecretValues,
}

impl Server {
    pub(crate) fn new(
        who: &'static str,
        clients: &Arc<Clients>,
        field: &str,
        text: &str,
    ) -> Result<Self, Failure> {
        Ok(Self {
            who,
            base: address(field, text, clients.allow_link_local)?,
            client: clients.get(&Trust::System)?,
            secrets: SecretValues::new(),
        })
    }

    /// The same; what is secret is not shown where the server repeats it.
    pub(crate) fn hiding(self, secrets: SecretValues) -> Self {
        Self { secrets, ..self }
    }

    /// An address below the base, which may have a path of its own.
    pub(crate) fn below(&self, path: &[&str]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        url.set_query(None);
        url.path_segments_mut()
            .map_err(|()| Failure::permanent(format!("{}: not an address of a server", self.who)))?
            .pop_if_empty()
            .extend(path);
        Ok(url)
    }

    /// Sends a request; an answer that is not 2xx is a failure that shows its beginning.
    pub(crate) async fn ask(&self, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        let origin = origin(&self.base);
        let answer = http::send(self.who, &origin, request).await?;
        let code = answer.status.as_u16();
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        let body: String = self
            .secrets
            .redact(&String::from_utf8_lossy(&answer.body))
            .chars()
            .take(SHOWN)
            .collect();
        let what = if matches!(code, 401 | 403) {
            "authentication error response code"
        } else {
            "non 2xx response code"
        };
        Err(Failure {
            message: format!(
                "received {what}: {code} from {} at {origin}: {body}",
                self.who
            ),
            transient: answer.status.is_server_error() || code == 429,
        })
    }

    /// Sends a request whose answer is JSON.
    pub(crate) async fn ask_json(&self, request: RequestBuilder) -> Result<Json, Failure> {
        let body = self.ask(request).await?;
        serde_json::from_slice(&body).map_err(|error| {
            Failure::permanent(format!(
                "{} at {} answers with something else than JSON: {error}",
                self.who,
                origin(&self.base)
            ))
        })
    }
}

/// An outcome with that value.
pub(crate) fn value(value: Value, display: String) -> Outcome {
    Outcome::Value {
        value,
        display,
        metadata: BTreeMap::new(),
    }
}

/// `[a,b]`.
pub(crate) fn list(numbers: &[f64]) -> String {
    let texts: Vec<String> = numbers
        .iter()
        .map(|number| NumberText(*number).to_string())
        .collect();
    format!("[{}]", texts.join(","))
}
