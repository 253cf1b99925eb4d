//! AWS Signature Version 4.

use jiff::Timestamp;
use reqwest::{Request, Url};
use ring::{digest, hmac};

use super::AwsKeys;
use crate::http::Failure;

/// What a request is signed with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Signer {
    pub(crate) keys: AwsKeys,
    pub(crate) region: String,
    pub(crate) service: &'static str,
    pub(crate) now: Timestamp,
}

impl Signer {
    /// Adds the headers of the signature to a request whose address and body are final.
    ///
    /// # Errors
    /// When a header cannot be written, which only strange keys lead to.
    pub(crate) fn sign(&self, request: &mut Request) -> Result<(), Failure> {
        let time = self.now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let body = request.body().and_then(|body| body.as_bytes());
        let signature = self.authorization(
            request.method().as_str(),
            request.url(),
            body.unwrap_or_default(),
            &time,
        );
        let mut add = |name: &'static str, text: &str| {
            let mut value = text.parse::<reqwest::header::HeaderValue>().map_err(|_| {
                Failure::permanent(format!(
                    "AWS keys: they cannot be written into the header {name}"
                ))
            })?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
            Ok::<(), Failure>(())
        };
        add("x-amz-date", &time)?;
        if let Some(token) = &self.keys.session_token {
            add("x-amz-security-token", token)?;
        }
        add("authorization", &signature)
    }

    fn authorization(&self, method: &str, url: &Url, body: &[u8], time: &str) -> String {
        let date = time.get(..8).unwrap_or_default();
        let mut headers = format!("host:{}\nx-amz-date:{time}\n", host(url));
        let mut names = "host;x-amz-date".to_owned();
        if let Some(token) = &self.keys.session_token {
            headers.push_str(&format!("x-amz-security-token:{token}\n"));
            names.push_str(";x-amz-security-token");
        }
        let canonical = format!(
            "{method}\n{}\n{}\n{headers}\n{names}\n{}",
            encode(url.path(), true),
            query(url),
            hash(body)
        );
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let text = format!(
            "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
            hash(canonical.as_bytes())
        );
        let first = format!("AWS4{}", self.keys.secret_key);
        let key = [date, &self.region, self.service, "aws4_request"]
            .iter()
            .fold(first.into_bytes(), |key, part| mac(&key, part.as_bytes()));
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            self.keys.access_key,
            hex(&mac(&key, text.as_bytes()))
        )
    }
}

fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The parameters in the order of their encoded names.
fn query(url: &Url) -> String {
    let mut pairs: Vec<String> = url
        .query_pairs()
        .map(|(key, value)| format!("{}={}", encode(&key, false), encode(&value, false)))
        .collect();
    pairs.sort();
    pairs.join("&")
}

/// Everything but letters, digits and `-_.~` in percent form; a path keeps its slashes.
fn encode(text: &str, path: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || path && byte == b'/';
        if plain {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn mac(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, bytes).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer {
            keys: AwsKeys {
                access_key: "AKIDEXAMPLE".to_owned(),
                secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
                session_token: None,
            },
            region: "us-east-1".to_owned(),
            service: "service",
            now: "2015-08-30T12:36:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn signatures_are_those_of_the_published_test_suite() {
        for (address, expected) in [
            (
                "https://example.amazonaws.com/",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "https://example.amazonaws.com/?Param2=value2&Param1=value1",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ] {
            let url = Url::parse(address).unwrap();
            let authorization = signer().authorization("GET", &url, b"", "20150830T123600Z");
            assert_eq!(
                authorization,
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature={expected}"
                )
            );
        }
    }

    #[test]
    fn keys_are_not_shown() {
        assert_eq!(format!("{:?}", signer().keys), "AwsKeys(*****)");
    }
}
