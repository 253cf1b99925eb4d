//! HTTP as backends use it: guarded addresses, bounded answers, one timeout for everything, and failures that say what
//! to do and hold no address beyond the host.

mod auth;
mod client;
mod failure;
pub mod guard;

pub(crate) use auth::{Credentials, authorize};
pub use client::{Clients, Trust};
pub use failure::Failure;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use sluice_crds::analysis::WebHeader;

/// Bytes of an answer that are read at most.
pub const MOST_BYTES: usize = 10 * 1024 * 1024;

/// An answer that was read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The same without the secrets of whoever asked, if it explains why there is nothing.
    pub(crate) fn hiding(self, credentials: &Credentials) -> Self {
        match credentials.secrets() {
            Some(secrets) if !self.status.is_success() => Self {
                body: secrets
                    .redact(&String::from_utf8_lossy(&self.body))
                    .into_bytes(),
                ..self
            },
            _ => self,
        }
    }
}

/// Sends a request and reads the answer, up to [`MOST_BYTES`].
pub(crate) async fn send(
    who: &str,
    origin: &str,
    request: RequestBuilder,
) -> Result<Answer, Failure> {
    let response = request
        .send()
        .await
        .map_err(|error| Failure::of_request(who, origin, error))?;
    let status = response.status();
    let body = read(who, origin, response).await?;
    Ok(Answer { status, body })
}

async fn read(who: &str, origin: &str, mut response: Response) -> Result<Vec<u8>, Failure> {
    let too_large = || {
        Failure::permanent(format!(
            "{who} at {origin} answers with more than {} MiB: ask for less",
            MOST_BYTES / 1024 / 1024
        ))
    };
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| Failure::of_request(who, origin, error))?
    {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Reads an address that a person wrote, and checks what can be checked before the name is looked up.
pub(crate) fn address(field: &str, text: &str, allow_link_local: bool) -> Result<Url, Failure> {
    let url = Url::parse(text)
        .map_err(|error| Failure::permanent(format!("{field}: not an address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Failure::permanent(format!(
            "{field}: the scheme must be http or https, not {}",
            url.scheme()
        )));
    }
    if !allow_link_local {
        guard::check_host(&url)
            .map_err(|reason| Failure::permanent(format!("{field}: {reason}")))?;
    }
    Ok(url)
}

/// The address as it is shown: without user, path and query, which may hold secrets.
pub(crate) fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{}://{host}:{port}", url.scheme()),
        None => format!("{}://{host}", url.scheme()),
    }
}

/// The headers that a metric asks for.
pub(crate) fn headers(written: Option<&Vec<WebHeader>>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (index, header) in written.into_iter().flatten().enumerate() {
        let field = format!("headers[{index}]");
        if header.value_from.is_some() {
            return Err(Failure::permanent(format!(
                "{field}.valueFrom is not read: use value with an argument that has valueFrom.secretKeyRef"
            )));
        }
        let name = HeaderName::from_bytes(header.key.as_bytes())
            .map_err(|_| Failure::permanent(format!("{field}.key is not a header name")))?;
        // The value may be a secret: it is not shown.
        let mut value = HeaderValue::from_str(header.value.as_deref().unwrap_or_default())
            .map_err(|_| Failure::permanent(format!("{field}.value is not a header value")))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}
