//! Signing in: basic authentication, and OAuth 2 client credentials.

use std::fmt;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use sluice_crds::analysis::{Authentication, OAuth2};

use super::{Failure, address, origin, send};

/// What a request is signed in with.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    None,
    /// User and password.
    Basic(String, String),
    /// A token.
    Bearer(String),
}

/// Shows the kind only.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic(..) => "Basic(*****)",
            Self::Bearer(_) => "Bearer(*****)",
        })
    }
}

impl Credentials {
    pub(crate) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Basic(user, password) => request.basic_auth(user, Some(password)),
            Self::Bearer(token) => request.bearer_auth(token),
        }
    }
}

/// Refuses what needs the credential chain of AWS.
pub(crate) fn refuse_sigv4(authentication: Option<&Authentication>) -> Result<(), Failure> {
    let sigv4 = authentication.and_then(|authentication| authentication.sigv4.as_ref());
    match sigv4 {
        Some(sigv4) if *sigv4 != sluice_crds::analysis::Sigv4::default() => {
            Err(Failure::permanent(
                "authentication.sigv4: requests are not signed for AWS by this controller: put a signing proxy before the \
             workspace and name its address",
            ))
        }
        _ => Ok(()),
    }
}

/// Gets the credentials that a metric asks for; for OAuth 2 that is a request of its own.
pub(crate) async fn authorize(
    client: &Client,
    authentication: Option<&Authentication>,
    timeout: Duration,
    allow_link_local: bool,
) -> Result<Credentials, Failure> {
    refuse_sigv4(authentication)?;
    let Some(authentication) = authentication else {
        return Ok(Credentials::None);
    };
    let basic = authentication
        .basic_auth
        .as_ref()
        .filter(|basic| basic.username.is_some() || basic.password.is_some());
    let oauth2 = authentication.oauth2.as_ref().filter(|oauth2| {
        oauth2
            .token_url
            .as_deref()
            .is_some_and(|token_url| !token_url.is_empty())
    });
    match (basic, oauth2) {
        (Some(_), Some(_)) => Err(Failure::permanent(
            "authentication: basicAuth and oauth2 exclude each other",
        )),
        (Some(basic), None) => Ok(Credentials::Basic(
            basic.username.clone().unwrap_or_default(),
            basic.password.clone().unwrap_or_default(),
        )),
        (None, Some(oauth2)) => token(client, oauth2, timeout, allow_link_local).await,
        (None, None) => Ok(Credentials::None),
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
}

/// RFC 6749, 4.4. The client signs in with a header, which every server must take, and in the body if this one does not.
async fn token(
    client: &Client,
    oauth2: &OAuth2,
    timeout: Duration,
    allow_link_local: bool,
) -> Result<Credentials, Failure> {
    const WHO: &str = "the OAuth 2 token server";
    let url = address(
        "authentication.oauth2.tokenUrl",
        oauth2.token_url.as_deref().unwrap_or_default(),
        allow_link_local,
    )?;
    let id = oauth2.client_id.as_deref().unwrap_or_default();
    let secret = oauth2.client_secret.as_deref().unwrap_or_default();
    if id.is_empty() || secret.is_empty() {
        return Err(Failure::permanent(
            "authentication.oauth2: clientId and clientSecret are needed",
        ));
    }
    let scopes = oauth2.scopes.as_deref().unwrap_or_default().join(" ");
    let mut form = vec![("grant_type", "client_credentials")];
    if !scopes.is_empty() {
        form.push(("scope", &scopes));
    }
    let request = |url: &Url| client.post(url.clone()).timeout(timeout);
    let origin = origin(&url);
    let with_header = request(&url).basic_auth(id, Some(secret)).form(&form);
    let mut answer = send(WHO, &origin, with_header).await?;
    if matches!(answer.status.as_u16(), 400 | 401) {
        form.extend([("client_id", id), ("client_secret", secret)]);
        answer = send(WHO, &origin, request(&url).form(&form)).await?;
    }
    if !answer.status.is_success() {
        let message = format!("{WHO} at {origin} answers {}", answer.status);
        return Err(Failure {
            message,
            transient: answer.status.is_server_error(),
        });
    }
    let answer: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|_| {
        Failure::permanent(format!("{WHO} at {origin} answers without an access_token"))
    })?;
    Ok(Credentials::Bearer(answer.access_token))
}
