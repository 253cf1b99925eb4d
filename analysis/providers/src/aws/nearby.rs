//! What the container and the machine are asked: addresses that are never taken from a metric, through a client that
//! neither resolves them under the guard for metrics nor sends them through a proxy, and follows no redirect.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use serde::Deserialize;

use super::{AwsKeys, Lent};
use crate::http::Failure;

/// It is one hop away, or not there at all.
const CONNECT: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);

/// A client for one round of questions.
pub(super) fn client() -> Result<Client, Failure> {
    let builder = || -> ClientBuilder {
        Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .timeout(TIMEOUT)
    };
    builder()
        .build()
        .or_else(|_| builder().tls_certs_only([]).build())
        .map_err(|error| Failure::permanent(format!("no HTTP client can be made: {error:?}")))
}

/// A header whose value is not shown.
pub(super) fn header(what: &str, name: &'static str, value: &str) -> Result<HeaderMap, Failure> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Failure::permanent(format!("{what} is not text that a header can hold")))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(
        reqwest::header::HeaderName::from_static(name),
        value,
    )]))
}

/// The answer of both.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: Timestamp,
}

/// Reads keys. What an answer that cannot be read says is not shown, since it may hold keys.
pub(super) fn keys(who: &str, body: &[u8]) -> Result<Lent, Failure> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| {
        Failure::permanent(format!(
            "{who} answers without AccessKeyId, SecretAccessKey, Token and Expiration"
        ))
    })?;
    Ok(Lent {
        keys: AwsKeys {
            access_key: answer.access_key_id,
            secret_key: answer.secret_access_key,
            session_token: Some(answer.token),
        },
        expires_at: Some(answer.expiration),
    })
}
