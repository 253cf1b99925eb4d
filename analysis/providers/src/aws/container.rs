//! Keys of the container: EKS Pod Identity (`AWS_CONTAINER_CREDENTIALS_FULL_URI`) and ECS
//! (`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`).

use std::net::IpAddr;

use reqwest::Url;
use reqwest::header::HeaderMap;

use super::profile::text_of;
use super::{AwsEnvironment, Lent, nearby};
use crate::http::{self, Failure, origin};

const WHO: &str = "the AWS credentials service of the container";
const ECS: &str = "http://169.254.170.2";
/// ECS, and EKS in both families: besides the container itself, the only ones to which a token goes without TLS.
const KNOWN: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// Asks for the keys of the container.
pub(super) async fn keys(environment: &AwsEnvironment) -> Result<Lent, Failure> {
    let url = address(environment)?;
    let origin = origin(&url);
    let request = nearby::client()?
        .get(url)
        .headers(authorization(environment).await?);
    let answer = http::send(WHO, &origin, request).await?;
    if !answer.status.is_success() {
        return Err(Failure {
            message: format!(
                "{WHO} at {origin} answers {}: check that the controller's service account has a Pod Identity \
                 association, or the task a role",
                answer.status
            ),
            transient: answer.status.is_server_error() || answer.status.as_u16() == 429,
        });
    }
    nearby::keys(&format!("{WHO} at {origin}"), &answer.body)
}

fn address(environment: &AwsEnvironment) -> Result<Url, Failure> {
    const RELATIVE: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    const FULL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    let parse = |field: &str, text: &str| {
        Url::parse(text)
            .map_err(|error| Failure::permanent(format!("{field}: not an address: {error}")))
    };
    if let Some(path) = environment.get(RELATIVE) {
        if !path.starts_with('/') {
            return Err(Failure::permanent(format!("{RELATIVE} must begin with /")));
        }
        return parse(RELATIVE, &format!("{ECS}{path}"));
    }
    let full = environment
        .get(FULL)
        .ok_or_else(|| Failure::permanent(format!("neither {RELATIVE} nor {FULL} is set")))?;
    let url = parse(FULL, full)?;
    let host = url.host_str().unwrap_or_default();
    let number: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let near = host == "localhost"
        || number.is_some_and(|it| it.is_loopback() || KNOWN.contains(&it.to_string().as_str()));
    match url.scheme() {
        "https" => Ok(url),
        "http" if near => Ok(url),
        _ => Err(Failure::permanent(format!(
            "{FULL}: without https only the container itself and the addresses of ECS and EKS are asked, not {host}"
        ))),
    }
}

/// The token, read anew each time since EKS replaces it.
async fn authorization(environment: &AwsEnvironment) -> Result<HeaderMap, Failure> {
    const FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    const TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    let (field, token) = match (environment.get(FILE), environment.get(TOKEN)) {
        (Some(path), _) => {
            let token = text_of(FILE, path).await?;
            let gone = || Failure::permanent(format!("{FILE}: {path} is not there"));
            (FILE, token.ok_or_else(gone)?)
        }
        (None, Some(token)) => (TOKEN, token.to_owned()),
        (None, None) => return Ok(HeaderMap::new()),
    };
    nearby::header(field, "authorization", token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_without_tls_only_to_the_addresses_of_aws() {
        let address = |name: &'static str, value: &str| {
            let value = value.to_owned();
            address(&AwsEnvironment::read(|key| {
                (key == name).then(|| value.clone())
            }))
        };
        let full = |value| address("AWS_CONTAINER_CREDENTIALS_FULL_URI", value);
        for allowed in [
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1/credentials",
            "http://127.0.0.1:1/",
            "http://localhost/",
            "https://example.com/",
        ] {
            assert!(full(allowed).is_ok(), "{allowed}");
        }
        for refused in [
            "http://example.com/",
            "http://169.254.169.254/",
            "http://127.0.0.1.example.com/",
            "ftp://127.0.0.1/",
            "/v1",
        ] {
            let failure = full(refused).unwrap_err();
            assert!(
                failure
                    .message
                    .starts_with("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
                "{}",
                failure.message
            );
        }
        let relative = |value| address("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", value);
        let url = relative("/v2/id").unwrap();
        assert_eq!(url.as_str(), "http://169.254.170.2/v2/id");
        assert!(relative("@example.com/").is_err());
    }
}
