//! Signing in: basic authentication, OAuth 2 client credentials, and signatures for AWS.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Url};
use serde::Deserialize;
use sluice_analysis::SecretValues;
use sluice_crds::analysis::{Authentication, OAuth2, Sigv4};

use super::{Clients, Failure, Trust, address, origin, send};
use crate::aws::{Identity, Role, Signer, region_name};

/// What a request is signed in with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// Nothing.
    None,
    /// User and password.
    Basic(String, String),
    /// A token.
    Bearer(String),
    /// A signature over the request.
    Signature(Box<Signer>),
}

/// Shows the kind only.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic(..) => "Basic(*****)",
            Self::Bearer(_) => "Bearer(*****)",
            Self::Signature(_) => "Signature(*****)",
        })
    }
}

impl Credentials {
    /// What no message may show although the server may repeat it. User, password and token are in the metric, or were
    /// made for one request.
    pub(crate) fn secrets(&self) -> Option<SecretValues> {
        match self {
            Self::Signature(signer) => Some(signer.keys.secrets()),
            _ => None,
        }
    }

    /// Signs a request in, whose address and body are final.
    pub(crate) fn apply(&self, request: RequestBuilder) -> Result<RequestBuilder, Failure> {
        Ok(match self {
            Self::None => request,
            Self::Basic(user, password) => request.basic_auth(user, Some(password)),
            Self::Bearer(token) => request.bearer_auth(token),
            Self::Signature(signer) => {
                let (client, built) = request.build_split();
                let mut built = built.map_err(|error| {
                    let error = error.without_url();
                    Failure::permanent(format!("the request cannot be made: {error}"))
                })?;
                signer.sign(&mut built)?;
                RequestBuilder::from_parts(client, built)
            }
        })
    }
}

/// The signer for a metric that asks for one.
async fn signer(clients: &Clients, sigv4: &Sigv4, now: Timestamp) -> Result<Signer, Failure> {
    const FIELD: &str = "authentication.sigv4.region";
    let set = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let region = set(&sigv4.region)
        .or_else(|| clients.aws.environment.region().map(str::to_owned))
        .ok_or_else(|| {
            Failure::permanent(format!(
                "{FIELD} is needed, since the controller's environment has no AWS_REGION"
            ))
        })?;
    region_name(FIELD, &region)?;
    let who = Identity {
        profile: set(&sigv4.profile),
        role: set(&sigv4.role_arn).map(|arn| Role {
            arn,
            region: region.clone(),
        }),
    };
    let client = clients.get(&Trust::System)?;
    let keys = clients.aws.keys(&client, &who, now).await;
    Ok(Signer {
        keys: keys.map_err(|failure| failure.within("authentication.sigv4"))?,
        region,
        service: "aps",
        now,
    })
}

/// Gets the credentials that a metric asks for; for OAuth 2 that is a request of its own.
pub(crate) async fn authorize(
    clients: &Clients,
    client: &Client,
    authentication: Option<&Authentication>,
    timeout: Duration,
    now: Timestamp,
) -> Result<Credentials, Failure> {
    let Some(authentication) = authentication else {
        return Ok(Credentials::None);
    };
    let sigv4 = authentication
        .sigv4
        .as_ref()
        .filter(|sigv4| **sigv4 != Sigv4::default());
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
    if [basic.is_some(), oauth2.is_some(), sigv4.is_some()]
        .iter()
        .filter(|given| **given)
        .count()
        > 1
    {
        return Err(Failure::permanent(
            "authentication: basicAuth, oauth2 and sigv4 exclude each other",
        ));
    }
    if let Some(sigv4) = sigv4 {
        let signer = signer(clients, sigv4, now).await?;
        return Ok(Credentials::Signature(Box::new(signer)));
    }
    match (basic, oauth2) {
        (Some(basic), _) => Ok(Credentials::Basic(
            basic.username.clone().unwrap_or_default(),
            basic.password.clone().unwrap_or_default(),
        )),
        (None, Some(oauth2)) => token(client, oauth2, timeout, clients.allow_link_local).await,
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
