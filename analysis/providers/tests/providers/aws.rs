//! Keys of AWS: each source, how long they are kept, and that nothing shows them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::http::Response;
use serde_json::json as value;
use sluice_analysis::{MeasureRequest, Outcome, SecretValues};
use sluice_analysis_providers::{AwsEnvironment, Registry, RunIdentity, Settings};
use sluice_crds::analysis::{Authentication, Metric, Sigv4};

use super::support::{Asked, Server, failed, json, prometheus, shown, status};

const SCALAR: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#;
const EXPIRES: &str = "2026-08-17T11:00:00Z";
/// What no message may show.
const SECRETS: [&str; 4] = [
    "s3cr3t-key",
    "s3cr3t-session",
    "s3cr3t-token",
    "s3cr3t-lent",
];

fn environment(variables: &[(&str, &str)]) -> AwsEnvironment {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    AwsEnvironment::read(|name| variables.get(name).map(|value| (*value).to_owned()))
}

fn registry(variables: &[(&str, &str)]) -> Registry {
    Registry::new(&Settings {
        aws: environment(variables),
        ..Settings::default()
    })
}

/// A query that is signed.
fn signed(server: &Server, change: impl FnOnce(&mut Sigv4)) -> Metric {
    let mut sigv4 = Sigv4 {
        region: Some("eu-west-1".to_owned()),
        ..Sigv4::default()
    };
    change(&mut sigv4);
    prometheus(&server.address, |prometheus| {
        prometheus.authentication = Some(Authentication {
            sigv4: Some(sigv4),
            ..Authentication::default()
        });
    })
}

async fn at(time: &str, registry: &Registry, metric: &Metric) -> Outcome {
    let request = MeasureRequest {
        metric: metric.clone(),
        number: 1,
        resume: None,
        secrets: Vec::new(),
    };
    let now = format!("2026-08-17T{time}Z").parse().unwrap();
    let run = RunIdentity::default();
    registry
        .measure(&request, &SecretValues::new(), &run, now)
        .await
}

/// Keys as the container and the machine give them.
fn lent(access_key: &str) -> Response<Body> {
    json(
        &value!({
            "Code": "Success", "AccessKeyId": access_key, "SecretAccessKey": "s3cr3t-lent",
            "Token": "s3cr3t-session", "Expiration": EXPIRES,
        })
        .to_string(),
    )
}

/// The same from STS.
fn assumed(access_key: &str) -> Response<Body> {
    json(&format!(
        "<AssumeRoleResponse><AssumeRoleResult><AssumedRoleUser><Arn>a</Arn></AssumedRoleUser><Credentials>\
         <AccessKeyId>{access_key}</AccessKeyId><SecretAccessKey>s3cr3t-lent</SecretAccessKey>\
         <SessionToken>s3cr3t-session</SessionToken><Expiration>{EXPIRES}</Expiration>\
         </Credentials></AssumeRoleResult></AssumeRoleResponse>"
    ))
}

fn written(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Scope of the key that a request was signed with: `AKID/20260817/eu-west-1/aps`.
fn scope(asked: &Asked) -> &str {
    let header = asked.headers["authorization"].as_str();
    let scope = header.strip_prefix("AWS4-HMAC-SHA256 Credential=").unwrap();
    scope.split_once("/aws4_request").unwrap().0
}

#[track_caller]
fn hides(outcome: &Outcome) -> (&str, bool) {
    let (message, transient) = failed(outcome);
    for secret in SECRETS {
        assert!(!message.contains(secret), "{message}");
    }
    (message, transient)
}

#[tokio::test]
async fn a_query_is_signed_over_its_body_with_the_keys_of_the_environment() {
    let server = Server::new(|_| json(SCALAR)).await;
    let registry = registry(&[
        ("AWS_ACCESS_KEY_ID", "ENV"),
        ("AWS_SECRET_ACCESS_KEY", "s3cr3t-key"),
        ("AWS_SESSION_TOKEN", "s3cr3t-session"),
        ("AWS_REGION", "us-west-2"),
    ]);
    assert_eq!(
        shown(&at("10:00:00", &registry, &signed(&server, |_| {})).await),
        "1"
    );
    let asked = &server.asked()[0];
    assert_eq!(scope(asked), "ENV/20260817/eu-west-1/aps");
    assert_eq!(asked.headers["x-amz-date"], "20260817T100000Z");
    assert_eq!(asked.headers["x-amz-security-token"], "s3cr3t-session");
    assert!(
        asked.headers["authorization"]
            .contains("SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=")
    );
    assert!(asked.form("query").is_some());
    // A field that is empty says nothing; without a region a metric has that of the controller.
    let metric = signed(&server, |sigv4| {
        sigv4.region = Some(String::new());
        sigv4.role_arn = Some(String::new());
    });
    shown(&at("10:00:00", &registry, &metric).await);
    assert_eq!(scope(&server.asked()[1]), "ENV/20260817/us-west-2/aps");
}

#[tokio::test]
async fn the_token_of_the_service_account_is_given_for_a_role() {
    let server = Server::new(|asked| match asked.path.as_str() {
        "/" => assumed("IRSA"),
        _ => json(SCALAR),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(&[
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            &written(folder.path(), "token", "s3cr3t-token\n"),
        ),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/metrics"),
        ("AWS_ROLE_SESSION_NAME", "me"),
        ("AWS_ENDPOINT_URL_STS", &server.address),
    ]);
    assert_eq!(
        shown(&at("10:00:00", &registry, &signed(&server, |_| {})).await),
        "1"
    );
    let asked = server.asked();
    for (field, expected) in [
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", "arn:aws:iam::1:role/metrics"),
        ("RoleSessionName", "me"),
        ("WebIdentityToken", "s3cr3t-token"),
    ] {
        assert_eq!(asked[0].form(field).as_deref(), Some(expected));
    }
    assert!(!asked[0].headers.contains_key("authorization"));
    assert_eq!(scope(&asked[1]), "IRSA/20260817/eu-west-1/aps");
    assert_eq!(asked[1].headers["x-amz-security-token"], "s3cr3t-session");
}

#[tokio::test]
async fn the_role_of_a_metric_is_assumed_with_the_keys_found() {
    let server = Server::new(|asked| match asked.path.as_str() {
        "/" => assumed("ROLE"),
        _ => json(SCALAR),
    })
    .await;
    let registry = registry(&[
        ("AWS_ACCESS_KEY_ID", "ENV"),
        ("AWS_SECRET_ACCESS_KEY", "s3cr3t-key"),
        ("AWS_REGION", "us-west-2"),
        ("AWS_ENDPOINT_URL", &server.address),
    ]);
    let role = signed(&server, |sigv4| {
        sigv4.role_arn = Some("arn:role".to_owned())
    });
    assert_eq!(shown(&at("10:00:00", &registry, &role).await), "1");
    let asked = server.asked();
    assert_eq!(asked[0].form("Action").as_deref(), Some("AssumeRole"));
    assert_eq!(asked[0].form("RoleArn").as_deref(), Some("arn:role"));
    assert_eq!(asked[0].form("RoleSessionName").as_deref(), Some("sluice"));
    assert_eq!(scope(&asked[0]), "ENV/20260817/eu-west-1/sts");
    assert_eq!(scope(&asked[1]), "ROLE/20260817/eu-west-1/aps");
    // The keys of the role are kept for the role only.
    shown(&at("10:01:00", &registry, &role).await);
    shown(&at("10:01:00", &registry, &signed(&server, |_| {})).await);
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    assert_eq!(scope(&asked[2]), "ROLE/20260817/eu-west-1/aps");
    assert_eq!(scope(&asked[3]), "ENV/20260817/eu-west-1/aps");
}

#[tokio::test]
async fn the_machine_is_asked_with_a_token_of_its_own() {
    let server = Server::new(|asked| {
        let token = asked.headers.get("x-aws-ec2-metadata-token");
        match (asked.method.as_str(), asked.path.as_str()) {
            ("PUT", "/latest/api/token") => json("s3cr3t-token"),
            (_, "/api/v1/query") => json(SCALAR),
            _ if token.map(String::as_str) != Some("s3cr3t-token") => status(401, ""),
            (_, "/latest/meta-data/iam/security-credentials/") => json("node-role\n"),
            (_, "/latest/meta-data/iam/security-credentials/node-role") => lent("NODE"),
            _ => status(404, ""),
        }
    })
    .await;
    let registry = registry(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &server.address)]);
    assert_eq!(
        shown(&at("10:00:00", &registry, &signed(&server, |_| {})).await),
        "1"
    );
    let asked = server.asked();
    assert_eq!(
        asked[0].headers["x-aws-ec2-metadata-token-ttl-seconds"],
        "60"
    );
    assert_eq!(asked.len(), 4);
    assert_eq!(scope(&asked[3]), "NODE/20260817/eu-west-1/aps");
}

#[tokio::test]
async fn cloud_watch_finds_its_keys_in_the_same_places() {
    let server = Server::new(|asked| match asked.path.as_str() {
        "/v1/credentials" => lent("POD"),
        _ => json(r#"{"MetricDataResults":[]}"#),
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(&[
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            &format!("{}/v1/credentials", server.address),
        ),
        (
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            &written(folder.path(), "token", "s3cr3t-token"),
        ),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ENDPOINT_URL", &server.address),
    ]);
    let metric = Metric {
        provider: serde_json::from_value(value!({ "cloudWatch": {} })).unwrap(),
        ..Metric::default()
    };
    shown(&at("10:00:00", &registry, &metric).await);
    let asked = server.asked();
    assert_eq!(asked[0].headers["authorization"], "s3cr3t-token");
    assert_eq!(scope(&asked[1]), "POD/20260817/eu-central-1/monitoring");
}

#[tokio::test]
async fn a_profile_is_read_from_the_shared_files_each_time() {
    let server = Server::new(|_| json(SCALAR)).await;
    let folder = tempfile::tempdir().unwrap();
    let keys = |name: &str| {
        let text =
            format!("[{name}]\naws_access_key_id = {name}\naws_secret_access_key = s3cr3t-key\n");
        written(folder.path(), "credentials", &text)
    };
    let registry = registry(&[
        ("AWS_SHARED_CREDENTIALS_FILE", &keys("team")),
        ("AWS_ACCESS_KEY_ID", "ENV"),
        ("AWS_SECRET_ACCESS_KEY", "s3cr3t-key"),
    ]);
    let of = |profile: &str| {
        let profile = Some(profile.to_owned());
        signed(&server, |sigv4| sigv4.profile = profile)
    };
    shown(&at("10:00:00", &registry, &of("team")).await);
    assert_eq!(scope(&server.asked()[0]), "team/20260817/eu-west-1/aps");
    keys("other");
    shown(&at("10:00:00", &registry, &of("other")).await);
    let outcome = at("10:00:00", &registry, &of("team")).await;
    let expected =
        "authentication.sigv4: profile: the controller's AWS files have no profile team: ";
    assert!(hides(&outcome).0.starts_with(expected), "{outcome:?}");
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn keys_are_kept_until_shortly_before_they_expire() {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let server = Server::new(move |asked| match asked.path.as_str() {
        "/keys" if is_down.load(Ordering::SeqCst) => status(503, "s3cr3t-lent"),
        "/keys" => lent("POD"),
        _ => json(SCALAR),
    })
    .await;
    let uri = format!("{}/keys", server.address);
    let registry = registry(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri)]);
    let metric = signed(&server, |_| {});
    let fetched = || {
        let asked = server.asked();
        asked.iter().filter(|asked| asked.path == "/keys").count()
    };
    // Two at once are one request.
    let (one, other) = tokio::join!(
        at("10:00:00", &registry, &metric),
        at("10:00:00", &registry, &metric)
    );
    assert_eq!((shown(&one), shown(&other), fetched()), ("1", "1", 1));
    shown(&at("10:54:59", &registry, &metric).await);
    assert_eq!(fetched(), 1);
    shown(&at("10:55:00", &registry, &metric).await);
    assert_eq!(fetched(), 2);
    // Keys that cannot be replaced hold to their end.
    down.store(true, Ordering::SeqCst);
    shown(&at("10:59:59", &registry, &metric).await);
    assert_eq!(fetched(), 3);
    let outcome = at("11:00:00", &registry, &metric).await;
    let (message, transient) = hides(&outcome);
    assert!(transient && message.contains("answers 503"), "{message}");
}

#[tokio::test]
async fn a_refusal_of_aws_is_told_without_what_was_sent() {
    let sts = |code: u16, name: &'static str| {
        Server::new(move |asked| {
            let token = asked.form("WebIdentityToken").unwrap_or_default();
            status(
                code,
                &format!(
                    "<ErrorResponse><Error><Code>{name}</Code><Message>not {token}</Message></Error></ErrorResponse>"
                ),
            )
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let token = written(folder.path(), "token", "s3cr3t-token");
    let empty = written(folder.path(), "empty", "\n");
    let gone = folder.path().join("gone");
    for (server, file, expected, again) in [
        (
            sts(403, "AccessDenied").await,
            token.as_str(),
            "answers 403 Forbidden AccessDenied: not *****",
            false,
        ),
        (sts(400, "IDPCommunicationError").await, &token, "400", true),
        (sts(500, "Internal").await, &token, "500", true),
        (sts(200, "Odd").await, &token, "without Credentials", false),
        (sts(200, "").await, &empty, "there is no token in", false),
        (
            sts(200, "").await,
            gone.to_str().unwrap(),
            "AWS_WEB_IDENTITY_TOKEN_FILE: there is no token in",
            false,
        ),
    ] {
        let registry = registry(&[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file),
            ("AWS_ROLE_ARN", "arn:role"),
            ("AWS_ENDPOINT_URL_STS", &server.address),
        ]);
        let outcome = at("10:00:00", &registry, &signed(&server, |_| {})).await;
        let (message, transient) = hides(&outcome);
        assert!(
            message.starts_with("authentication.sigv4: AWS_") && message.contains(expected),
            "{message}"
        );
        assert_eq!(transient, again, "{message}");
    }
}

#[tokio::test]
async fn an_answer_that_repeats_keys_does_not_show_them() {
    let explains = |_: &Asked| {
        status(
            403,
            r#"{"message":"x-amz-security-token:s3cr3t-session s3cr3t-key"}"#,
        )
    };
    let server = Server::new(explains).await;
    let registry = registry(&[
        ("AWS_ACCESS_KEY_ID", "ENV"),
        ("AWS_SECRET_ACCESS_KEY", "s3cr3t-key"),
        ("AWS_SESSION_TOKEN", "s3cr3t-session"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ENDPOINT_URL", &server.address),
    ]);
    let outcome = at("10:00:00", &registry, &signed(&server, |_| {})).await;
    assert!(hides(&outcome).0.contains("403"), "{outcome:?}");
    let metric = Metric {
        provider: serde_json::from_value(value!({ "cloudWatch": {} })).unwrap(),
        ..Metric::default()
    };
    let outcome = at("10:00:00", &registry, &metric).await;
    assert!(
        hides(&outcome).0.contains("x-amz-security-token:*****"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn what_is_missing_is_said_with_what_to_do() {
    let server = Server::new(|asked| match asked.path.as_str() {
        "/keys" => json(r#"{"AccessKeyId":"s3cr3t-lent","SecretAccessKey":7}"#),
        "/denied" => status(403, "s3cr3t-lent"),
        _ => status(404, ""),
    })
    .await;
    let below = |path: &str| format!("{}{path}", server.address);
    let (keys, denied) = (below("/keys"), below("/denied"));
    for (variables, expected, again) in [
        (
            vec![("AWS_EC2_METADATA_DISABLED", "true")],
            "AWS_EC2_METADATA_DISABLED keeps it from asking the machine: set AWS_ACCESS_KEY_ID",
            false,
        ),
        (
            vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.address.as_str())],
            "answers 404 Not Found: set AWS_ACCESS_KEY_ID",
            false,
        ),
        (
            vec![("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")],
            "unreachable at http://127.0.0.1:1",
            true,
        ),
        (
            vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", keys.as_str())],
            "answers without AccessKeyId",
            false,
        ),
        (
            vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", denied.as_str())],
            "answers 403 Forbidden: check that",
            false,
        ),
        (
            vec![
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", keys.as_str()),
                (
                    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                    "s3cr3t-token\ns3cr3t-token",
                ),
            ],
            "AWS_CONTAINER_AUTHORIZATION_TOKEN is not text that a header can hold",
            false,
        ),
    ] {
        let outcome = at("10:00:00", &registry(&variables), &signed(&server, |_| {})).await;
        let (message, transient) = hides(&outcome);
        assert!(message.contains(expected), "{message}");
        assert_eq!(transient, again, "{message}");
    }
    // Nothing was sent to Prometheus.
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| !asked.path.contains("query"))
    );
}

#[tokio::test]
async fn a_region_leads_nowhere_else() {
    let server = Server::new(|_| json(SCALAR)).await;
    for region in [
        "example.com/",
        "eu-west-1.example.com",
        "EU",
        &"a".repeat(33),
    ] {
        let registry = registry(&[
            ("AWS_ACCESS_KEY_ID", "ENV"),
            ("AWS_SECRET_ACCESS_KEY", "s3cr3t-key"),
        ]);
        let metric = signed(&server, |sigv4| {
            sigv4.region = Some(region.to_owned());
            sigv4.role_arn = Some("arn:role".to_owned());
        });
        let outcome = at("10:00:00", &registry, &metric).await;
        let expected =
            "authentication.sigv4.region is not the name of a region, such as eu-central-1";
        assert_eq!(hides(&outcome), (expected, false));
    }
    // Without any, and with something else to say.
    let metric = signed(&server, |sigv4| {
        sigv4.region = None;
        sigv4.role_arn = Some("arn:role".to_owned());
    });
    let outcome = at("10:00:00", &registry(&[]), &metric).await;
    assert!(
        hides(&outcome)
            .0
            .starts_with("authentication.sigv4.region is needed")
    );
    assert!(server.asked().is_empty());
}

#[test]
fn an_environment_shows_the_names_of_its_variables_only() {
    let environment = environment(&[
        ("AWS_SECRET_ACCESS_KEY", "s3cr3t-key"),
        ("AWS_REGION", ""),
        ("PATH", "/bin"),
    ]);
    assert_eq!(format!("{environment:?}"), r#"{"AWS_SECRET_ACCESS_KEY"}"#);
}
