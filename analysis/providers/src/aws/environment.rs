//! What the controller's environment says about AWS, under the names of its SDKs.

use std::collections::BTreeMap;
use std::fmt;

use super::AwsKeys;
use crate::http::Failure;

/// The variables that are read.
const NAMES: [&str; 22] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_CLOUDWATCH",
    "AWS_ENDPOINT_URL_STS",
    "HOME",
];

/// Variables about AWS. An empty one is as good as none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AwsEnvironment(BTreeMap<&'static str, String>);

/// Shows the names only, since some values are secret.
impl fmt::Debug for AwsEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl AwsEnvironment {
    /// Reads the variables that matter.
    #[must_use]
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = NAMES.into_iter().filter_map(|name| {
            let value = variable(name).filter(|value| !value.is_empty())?;
            Some((name, value))
        });
        Self(set.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// `AWS_REGION`.
    pub(crate) fn region(&self) -> Option<&str> {
        self.get("AWS_REGION").or(self.get("AWS_DEFAULT_REGION"))
    }

    /// Address of a service, and where it comes from: `variable`, `AWS_ENDPOINT_URL`, or the region. `service` is its name
    /// in addresses.
    pub(crate) fn endpoint(
        &self,
        service: &str,
        variable: &'static str,
        region: &str,
    ) -> (&'static str, String) {
        for name in [variable, "AWS_ENDPOINT_URL"] {
            if let Some(address) = self.get(name) {
                return (name, address.to_owned());
            }
        }
        let domain = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        ("AWS_REGION", format!("https://{service}.{region}.{domain}"))
    }

    /// `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, when both are there.
    pub(super) fn keys(&self) -> Option<AwsKeys> {
        Some(AwsKeys {
            access_key: self.get("AWS_ACCESS_KEY_ID")?.to_owned(),
            secret_key: self.get("AWS_SECRET_ACCESS_KEY")?.to_owned(),
            session_token: self.get("AWS_SESSION_TOKEN").map(str::to_owned),
        })
    }
}

/// A region becomes part of a host's name, and metrics may name one.
///
/// # Errors
/// When it could lead anywhere else than to AWS.
pub(crate) fn region_name<'a>(field: &str, text: &'a str) -> Result<&'a str, Failure> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !text.is_empty() && text.len() <= 32 && text.bytes().all(plain) {
        return Ok(text);
    }
    Err(Failure::permanent(format!(
        "{field} is not the name of a region, such as eu-central-1"
    )))
}
