//! Roles, lent by AWS' Security Token Service: for the token of a service account, or with other keys.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Client;
use sluice_analysis::SecretValues;

use super::plan::{AssumedRole, WebIdentity};
use super::profile::text_of;
use super::{AwsEnvironment, AwsKeys, Lent, Signer, region_name};
use crate::http::{self, Credentials, Failure, address, origin};

const WHO: &str = "AWS STS";
const VERSION: &str = "2011-06-15";
const TIMEOUT: Duration = Duration::from_secs(10);
/// Characters of a message that are shown.
const SHOWN: usize = 300;
/// Where STS is asked when no region is set.
const DEFAULT_REGION: &str = "us-east-1";

pub(super) struct Sts<'a> {
    pub(super) client: &'a Client,
    pub(super) environment: &'a AwsEnvironment,
    pub(super) now: Timestamp,
}

impl Sts<'_> {
    /// The role of the controller's service account.
    pub(super) async fn assume_with_web_identity(
        &self,
        identity: &WebIdentity,
    ) -> Result<Lent, Failure> {
        const FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
        let path = &identity.token_file;
        // Read anew each time, since the cluster replaces it.
        let token = text_of(FILE, path).await?;
        let token = token.as_deref().map(str::trim).unwrap_or_default();
        if token.is_empty() {
            return Err(Failure::permanent(format!(
                "{FILE}: there is no token in {path}"
            )));
        }
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", VERSION),
            ("RoleArn", &identity.role_arn),
            ("RoleSessionName", &identity.session),
            ("WebIdentityToken", token),
        ];
        // The token goes nowhere that a metric names.
        let asked = Asked {
            field: &identity.field,
            region: None,
            form: &form,
            keys: None,
            secrets: [("token", token)].into_iter().collect(),
        };
        self.ask(asked).await
    }

    /// A role, with the keys that may assume it.
    pub(super) async fn assume(&self, role: &AssumedRole, keys: AwsKeys) -> Result<Lent, Failure> {
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", VERSION),
            ("RoleArn", role.arn.as_str()),
            ("RoleSessionName", role.session.as_str()),
        ];
        form.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
        let asked = Asked {
            field: &role.field,
            region: role.region.as_deref(),
            form: &form,
            secrets: keys.secrets(),
            keys: Some(keys),
        };
        self.ask(asked).await
    }

    async fn ask(&self, asked: Asked<'_>) -> Result<Lent, Failure> {
        let region = asked.region.or(self.environment.region());
        let region = region_name("the region for AWS STS", region.unwrap_or(DEFAULT_REGION))?;
        let (variable, text) = self
            .environment
            .endpoint("sts", "AWS_ENDPOINT_URL_STS", region);
        let url = address(variable, &text, false)?;
        let origin = origin(&url);
        let request = self.client.post(url).form(asked.form).timeout(TIMEOUT);
        let credentials = asked.keys.map_or(Credentials::None, |keys| {
            Credentials::Signature(Box::new(Signer {
                keys,
                region: region.to_owned(),
                service: "sts",
                now: self.now,
            }))
        });
        let answer = http::send(WHO, &origin, credentials.apply(request)?).await?;
        let body = String::from_utf8_lossy(&answer.body);
        if answer.status.is_success() {
            return lent(&body).ok_or_else(|| {
                Failure::permanent(format!(
                    "{}: {WHO} at {origin} answers without Credentials",
                    asked.field
                ))
            });
        }
        let code = element(&body, "Code").unwrap_or_default();
        let message = asked
            .secrets
            .redact(element(&body, "Message").unwrap_or_default());
        let message: String = message.chars().take(SHOWN).collect();
        let busy = [
            "Throttling",
            "RequestLimitExceeded",
            "IDPCommunicationError",
        ];
        Err(Failure {
            message: format!(
                "{}: {WHO} at {origin} answers {} {code}: {message}",
                asked.field, answer.status
            ),
            transient: answer.status.is_server_error()
                || answer.status.as_u16() == 429
                || busy.contains(&code),
        })
    }
}

struct Asked<'a> {
    field: &'a str,
    region: Option<&'a str>,
    form: &'a [(&'a str, &'a str)],
    /// What the request is signed with.
    keys: Option<AwsKeys>,
    /// What no message may show.
    secrets: SecretValues,
}

fn lent(body: &str) -> Option<Lent> {
    let credentials = element(body, "Credentials")?;
    let text = |name| element(credentials, name).map(str::to_owned);
    Some(Lent {
        keys: AwsKeys {
            access_key: text("AccessKeyId")?,
            secret_key: text("SecretAccessKey")?,
            session_token: Some(text("SessionToken")?),
        },
        expires_at: Some(element(credentials, "Expiration")?.parse().ok()?),
    })
}

/// What is inside the first element of that name. Answers of STS have no attributes there, and keys, tokens and times no
/// characters that XML writes in another way.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (inside, _) = rest.split_once(&format!("</{name}>"))?;
    Some(inside.trim())
}
