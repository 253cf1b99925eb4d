//! Signing in.

use sluice_analysis::{MeasureRequest, SecretArgument, SecretValues};
use sluice_analysis_providers::{Registry, RunIdentity, Settings};
use sluice_crds::analysis::{Authentication, BasicAuth, OAuth2, SecretKeyRef, Sigv4};

use super::support::{Server, failed, json, measure, prometheus, shown, status, web};

const SCALAR: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}"#;

fn basic(username: &str, password: &str) -> Authentication {
    Authentication {
        basic_auth: Some(BasicAuth {
            username: Some(username.to_owned()),
            password: Some(password.to_owned()),
        }),
        ..Authentication::default()
    }
}

fn oauth2(token_url: String) -> Authentication {
    Authentication {
        oauth2: Some(OAuth2 {
            token_url: Some(token_url),
            client_id: Some("me".to_owned()),
            client_secret: Some("s3cr3t".to_owned()),
            scopes: Some(vec!["a".to_owned(), "b".to_owned()]),
        }),
        ..Authentication::default()
    }
}

#[tokio::test]
async fn user_and_password_come_from_secrets() {
    let server = Server::new(|_| json(SCALAR)).await;
    let metric = prometheus(&server.address, |prometheus| {
        prometheus.authentication = Some(basic("{{args.user}}", "{{ args.password }}"));
    });
    let secret = |name: &str| SecretArgument {
        argument: name.to_owned(),
        key: SecretKeyRef::default(),
    };
    let request = MeasureRequest {
        metric,
        number: 1,
        resume: None,
        secrets: vec![secret("user"), secret("password")],
    };
    let secrets: SecretValues = [("user", "aladdin"), ("password", "opensesame")]
        .into_iter()
        .collect();
    let registry = Registry::new(&Settings::default());
    let now = "2026-08-17T10:00:00Z".parse().unwrap();
    let run = RunIdentity::default();
    let outcome = registry.measure(&request, &secrets, &run, now).await;
    assert_eq!(shown(&outcome), "1");
    assert_eq!(
        server.asked()[0].headers["authorization"],
        "Basic YWxhZGRpbjpvcGVuc2VzYW1l"
    );
    // Without the values nothing is sent.
    let outcome = registry
        .measure(&request, &SecretValues::new(), &run, now)
        .await;
    assert!(failed(&outcome).0.contains("failed to resolve {{args."));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_token_is_fetched_with_client_credentials() {
    let server = Server::new(|asked| match asked.path.as_str() {
        "/token" => json(r#"{"access_token":"t0k3n","token_type":"Bearer"}"#),
        _ => json(SCALAR),
    })
    .await;
    let outcome = measure(prometheus(&server.address, |prometheus| {
        prometheus.authentication = Some(oauth2(format!("{}/token", server.address)));
    }))
    .await;
    assert_eq!(shown(&outcome), "1");
    let asked = server.asked();
    assert_eq!(asked[0].headers["authorization"], "Basic bWU6czNjcjN0");
    assert_eq!(
        asked[0].form("grant_type").as_deref(),
        Some("client_credentials")
    );
    assert_eq!(asked[0].form("scope").as_deref(), Some("a b"));
    assert_eq!(asked[1].headers["authorization"], "Bearer t0k3n");
}

#[tokio::test]
async fn a_server_that_wants_the_client_in_the_body_gets_it_there() {
    let server = Server::new(|asked| match asked.path.as_str() {
        "/token" if asked.form("client_secret").is_some() => json(r#"{"access_token":"t0k3n"}"#),
        "/token" => status(401, "no"),
        _ => json(SCALAR),
    })
    .await;
    let outcome = measure(prometheus(&server.address, |prometheus| {
        prometheus.authentication = Some(oauth2(format!("{}/token", server.address)));
    }))
    .await;
    assert_eq!(shown(&outcome), "1");
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_token_that_is_not_given_is_an_error_without_the_secret() {
    for (code, body, expected, again) in [
        (403, "no", "answers 403 Forbidden", false),
        (500, "no", "answers 500", true),
        (200, "{}", "without an access_token", false),
    ] {
        let server = Server::new(move |_| status(code, body)).await;
        let outcome = measure(prometheus(&server.address, |prometheus| {
            prometheus.authentication = Some(oauth2(format!("{}/token", server.address)));
        }))
        .await;
        let (message, transient) = failed(&outcome);
        assert!(
            message.contains(expected) && !message.contains("s3cr3t"),
            "{message}"
        );
        assert_eq!(transient, again, "{message}");
    }
    let outcome = measure(prometheus("http://127.0.0.1:1", |prometheus| {
        prometheus.authentication = Some(oauth2("http://169.254.169.254/token".to_owned()));
    }))
    .await;
    assert!(failed(&outcome).0.contains("is not an address for metrics"));
}

#[tokio::test]
async fn there_is_one_way_to_sign_in() {
    let mut both = basic("a", "b");
    both.oauth2 = oauth2("http://127.0.0.1:1/".to_owned()).oauth2;
    both.sigv4 = Some(Sigv4 {
        region: Some("eu-west-1".to_owned()),
        ..Sigv4::default()
    });
    let outcome = measure(prometheus("http://127.0.0.1:1", |prometheus| {
        prometheus.authentication = Some(both);
    }))
    .await;
    let expected = "authentication: basicAuth, oauth2 and sigv4 exclude each other";
    assert_eq!(failed(&outcome), (expected, false));
}

#[tokio::test]
async fn only_prometheus_is_signed_for_aws() {
    let outcome = measure(web("http://127.0.0.1:1", |web| {
        web.authentication = Some(Authentication {
            sigv4: Some(Sigv4 {
                region: Some("eu-west-1".to_owned()),
                ..Sigv4::default()
            }),
            ..Authentication::default()
        });
    }))
    .await;
    assert!(failed(&outcome).0.starts_with("web.authentication.sigv4"));
}
