//! Keys of the machine's role, from the metadata service of EC2 (IMDSv2).

use reqwest::{Client, Url};

use super::{AwsEnvironment, Lent, nearby};
use crate::http::{self, Answer, Failure, address, origin};

const WHO: &str = "the EC2 metadata service";
const ROLES: &str = "latest/meta-data/iam/security-credentials/";
/// What would give the controller keys.
const INSTEAD: &str = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the controller's environment, or give its \
    service account a role (IRSA, EKS Pod Identity)";

/// Asks for the keys of the machine's role.
pub(super) async fn keys(environment: &AwsEnvironment) -> Result<Lent, Failure> {
    let disabled = environment.get("AWS_EC2_METADATA_DISABLED");
    if disabled.is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Err(Failure::permanent(format!(
            "the controller has no AWS keys, and AWS_EC2_METADATA_DISABLED keeps it from asking the machine: {INSTEAD}"
        )));
    }
    let machine = Machine::new(environment)?;
    let token = machine.token().await?;
    let roles = machine.get(&token, ROLES).await?;
    let roles = String::from_utf8_lossy(&roles.body).into_owned();
    let role = roles.lines().next().unwrap_or_default().trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    if role.is_empty() || !role.bytes().all(plain) {
        return Err(Failure::permanent(format!(
            "{WHO} at {} names no role: {INSTEAD}, or the machine an instance profile",
            machine.origin
        )));
    }
    let answer = machine.get(&token, &format!("{ROLES}{role}")).await?;
    let who = format!("{WHO} at {}, asked for the role {role},", machine.origin);
    nearby::keys(&who, &answer.body)
}

struct Machine {
    client: Client,
    base: Url,
    origin: String,
}

impl Machine {
    fn new(environment: &AwsEnvironment) -> Result<Self, Failure> {
        let mode = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
        let usual = if mode.is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6")) {
            "http://[fd00:ec2::254]"
        } else {
            "http://169.254.169.254"
        };
        const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
        // From the environment, so link-local addresses are allowed.
        let base = address(ENDPOINT, environment.get(ENDPOINT).unwrap_or(usual), true)?;
        Ok(Self {
            client: nearby::client()?,
            origin: origin(&base),
            base,
        })
    }

    fn below(&self, path: &str) -> Result<Url, Failure> {
        self.base
            .join(path)
            .map_err(|error| Failure::permanent(format!("{WHO}: not an address: {error}")))
    }

    /// The token of the session, without which IMDSv2 answers nothing.
    async fn token(&self) -> Result<String, Failure> {
        let request = self
            .client
            .put(self.below("latest/api/token")?)
            .header("x-aws-ec2-metadata-token-ttl-seconds", "60")
            .header("content-length", "0");
        let answer = http::send(WHO, &self.origin, request).await;
        // Answers to pods are dropped on the way where the limit is one hop; elsewhere there is no such service.
        let answer = answer.map_err(|failure| Failure {
            message: format!(
                "the controller has no AWS keys, and {}: {INSTEAD}; on EC2, the machine's hop limit must be 2",
                failure.message
            ),
            ..failure
        })?;
        self.checked(&answer)?;
        Ok(String::from_utf8_lossy(&answer.body).trim().to_owned())
    }

    async fn get(&self, token: &str, path: &str) -> Result<Answer, Failure> {
        let headers = nearby::header(
            "the token of the EC2 metadata service",
            "x-aws-ec2-metadata-token",
            token,
        )?;
        let request = self.client.get(self.below(path)?).headers(headers);
        let answer = http::send(WHO, &self.origin, request).await?;
        self.checked(&answer)?;
        Ok(answer)
    }

    fn checked(&self, answer: &Answer) -> Result<(), Failure> {
        if answer.status.is_success() {
            return Ok(());
        }
        Err(Failure {
            message: format!(
                "the controller has no AWS keys, and {WHO} at {} answers {}: {INSTEAD}, or the machine an instance profile",
                self.origin, answer.status
            ),
            transient: answer.status.is_server_error(),
        })
    }
}
