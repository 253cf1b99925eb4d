//! The Prometheus backend.

use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use sluice_analysis::Outcome;
use sluice_analysis::expression::Value;
use sluice_analysis_providers::Settings;
use sluice_crds::analysis::{PrometheusRangeQuery, WebHeader};

use super::support::{Server, failed, json, measure, measure_with, prometheus, shown, status};

const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
    {"metric":{"job":"web"},"value":[1692266400.123,"0.95"]},{"metric":{},"value":[1692266400,"NaN"]}]}}"#;

#[tokio::test]
async fn a_vector_is_a_list_of_numbers_and_nan_is_kept() {
    let server = Server::new(|_| json(VECTOR)).await;
    let outcome = measure(prometheus(&server.address, |_| {})).await;
    assert_eq!(shown(&outcome), "[0.95,NaN]");
    let Outcome::Value {
        value: Value::Array(numbers),
        ..
    } = &outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!(numbers[0], Value::Float(0.95));
    assert!(matches!(numbers[1], Value::Float(number) if number.is_nan()));
    let asked = &server.asked()[0];
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("POST", "/api/v1/query")
    );
    assert_eq!(asked.form("query").as_deref(), Some("up{job=\"web\"}"));
    assert_eq!(asked.form("timeout").as_deref(), Some("30s"));
}

#[tokio::test]
async fn a_scalar_is_a_number_and_an_empty_vector_an_empty_list() {
    for (data, value, display) in [
        (
            r#"{"resultType":"scalar","result":[1,"+Inf"]}"#,
            Value::Float(f64::INFINITY),
            "+Inf",
        ),
        (
            r#"{"resultType":"scalar","result":[1,"1e-3"]}"#,
            Value::Float(0.001),
            "0.001",
        ),
        (
            r#"{"resultType":"vector","result":[]}"#,
            Value::numbers([]),
            "[]",
        ),
    ] {
        let body = format!(r#"{{"status":"success","data":{data}}}"#);
        let server = Server::new(move |_| json(&body)).await;
        let outcome = measure(prometheus(&server.address, |_| {})).await;
        assert_eq!(shown(&outcome), display);
        assert!(matches!(outcome, Outcome::Value { value: found, .. } if found == value));
    }
}

/// flagger#1637: a range vector where an instant one was expected.
#[tokio::test]
async fn r17_a_range_vector_gives_the_numbers_of_all_its_series() {
    let server = Server::new(|_| {
        json(
            r#"{"status":"success","warnings":["slow"],"data":{"resultType":"matrix","result":[
            {"metric":{},"values":[[1,"1"],[2,"2"]]},{"metric":{},"values":[[1,"3"]]}]}}"#,
        )
    })
    .await;
    let outcome = measure(prometheus(&server.address, |prometheus| {
        prometheus.range_query = Some(PrometheusRangeQuery {
            start: Some("now() - duration(\"5m\")".to_owned()),
            end: Some("now()".to_owned()),
            step: Some("1m".to_owned()),
        });
    }))
    .await;
    assert_eq!(shown(&outcome), "[1,2,3]");
    assert!(matches!(&outcome, Outcome::Value { metadata, .. } if metadata["warnings"] == "slow"));
    let asked = &server.asked()[0];
    assert_eq!(asked.path, "/api/v1/query_range");
    assert_eq!(asked.form("start").as_deref(), Some("1786960500"));
    assert_eq!(asked.form("end").as_deref(), Some("1786960800"));
    assert_eq!(asked.form("step").as_deref(), Some("60"));
}

#[tokio::test]
async fn a_wrong_range_is_refused_with_its_field() {
    let range = |start: &str, end: &str, step: &str| PrometheusRangeQuery {
        start: Some(start.to_owned()),
        end: Some(end.to_owned()),
        step: Some(step.to_owned()),
    };
    for (range, expected) in [
        (
            range("5", "now()", "1m"),
            "rangeQuery.start: expected time.Time, but got int",
        ),
        (
            range("now()", "result", "1m"),
            "rangeQuery.end: unknown name result",
        ),
        (
            range("now()", "now()", "x"),
            "rangeQuery.step: invalid duration",
        ),
        (
            range("now()", "now()", "0s"),
            "rangeQuery.step must be longer than nothing",
        ),
        (
            range("now()", "now() - duration('1h')", "1m"),
            "is before the start",
        ),
    ] {
        let outcome = measure(prometheus("http://127.0.0.1:1", |prometheus| {
            prometheus.range_query = Some(range);
        }))
        .await;
        let (message, transient) = failed(&outcome);
        assert!(message.contains(expected) && !transient, "{message}");
    }
}

#[tokio::test]
async fn headers_and_a_base_path_are_kept_and_get_is_used_where_post_is_not_taken() {
    let server = Server::new(|asked| match asked.method.as_str() {
        "GET" => json(VECTOR),
        _ => status(405, "no"),
    })
    .await;
    let address = format!("{}/prom/", server.address);
    let outcome = measure(prometheus(&address, |prometheus| {
        prometheus.headers = Some(vec![WebHeader {
            key: "X-Scope-OrgID".to_owned(),
            value: Some("tenant_a".to_owned()),
            value_from: None,
        }]);
        prometheus.timeout = Some(7);
    }))
    .await;
    assert_eq!(shown(&outcome), "[0.95,NaN]");
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].path, "/prom/api/v1/query");
    assert_eq!(
        asked[1].parameter("query").as_deref(),
        Some("up{job=\"web\"}")
    );
    assert_eq!(asked[1].parameter("timeout").as_deref(), Some("7s"));
    assert!(
        asked
            .iter()
            .all(|asked| asked.headers["x-scope-orgid"] == "tenant_a")
    );
}

#[tokio::test]
async fn the_controllers_address_is_used_when_the_metric_has_none() {
    let server = Server::new(|_| json(VECTOR)).await;
    let settings = Settings {
        prometheus_address: Some(server.address.clone()),
        allow_link_local: false,
        ..Settings::default()
    };
    let metric = || prometheus("", |_| {});
    assert_eq!(
        shown(&measure_with(&settings, metric()).await),
        "[0.95,NaN]"
    );
    let outcome = measure(metric()).await;
    let (message, transient) = failed(&outcome);
    assert!(message.contains("neither the metric nor the controller says where Prometheus is"));
    assert!(!transient);
}

#[tokio::test]
async fn a_query_that_is_refused_is_told_apart_from_a_server_in_trouble() {
    for (code, body, message, again) in [
        (
            400,
            r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected end"}"#,
            "Prometheus refuses the query: bad_data: parse error: unexpected end",
            false,
        ),
        (
            503,
            r#"{"status":"error","errorType":"unavailable","error":"starting"}"#,
            "Prometheus refuses the query: unavailable: starting",
            true,
        ),
        (502, "<html>", "Prometheus answers 502 Bad Gateway", true),
        (404, "<html>", "Prometheus answers 404 Not Found", false),
        (200, "<html>", "something else than a query result", false),
        (200, r#"{"status":"success"}"#, "without data", false),
        (
            200,
            r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#,
            "answers with the text \"x\"",
            false,
        ),
        (
            200,
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}}"#,
            "native histogram",
            false,
        ),
    ] {
        let server = Server::new(move |_| status(code, body)).await;
        let outcome = measure(prometheus(&server.address, |_| {})).await;
        let (found, transient) = failed(&outcome);
        assert!(found.contains(message), "{found}");
        assert_eq!(transient, again, "{found}");
    }
}

/// A backend that is dead from the start.
#[tokio::test]
async fn r20_a_server_that_is_down_is_an_error_that_names_its_host_only() {
    let outcome = measure(prometheus(
        "http://user:pass@127.0.0.1:1/secret?x=y",
        |_| {},
    ))
    .await;
    let (message, transient) = failed(&outcome);
    assert!(
        message.starts_with("Prometheus unreachable at http://127.0.0.1:1: ") && transient,
        "{message}"
    );
    assert!(
        !message.contains("pass") && !message.contains("secret"),
        "{message}"
    );
}

#[tokio::test]
async fn a_slow_server_is_given_up_at_the_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let begun = std::time::Instant::now();
    // It takes the connection and never answers.
    let (outcome, _) = tokio::join!(
        measure(prometheus(&address, |prometheus| prometheus.timeout = Some(1))),
        listener.accept()
    );
    let (message, transient) = failed(&outcome);
    assert_eq!(
        message,
        format!("Prometheus at {address} did not answer in time")
    );
    assert!(transient);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = Server::new(|_| Response::new(Body::from(vec![b' '; 11 * 1024 * 1024]))).await;
    let outcome = measure(prometheus(&server.address, |_| {})).await;
    let (message, _) = failed(&outcome);
    assert!(
        message.contains("answers with more than 10 MiB"),
        "{message}"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_metric_is_said_before_anything_is_sent() {
    for (metric, expected) in [
        (
            prometheus("ftp://x", |_| {}),
            "prometheus.address: the scheme must be http or https",
        ),
        (
            prometheus("nonsense", |_| {}),
            "prometheus.address: not an address",
        ),
        (
            prometheus("http://x", |p| p.query = None),
            "prometheus.query is empty",
        ),
        (
            prometheus("http://x", |p| p.timeout = Some(-1)),
            "prometheus.timeout must not be negative",
        ),
        (
            prometheus("https://x", |p| p.ca_cert = Some("x".into())),
            "caCert: not a bundle",
        ),
        (
            prometheus("http://x", |p| {
                p.headers = Some(vec![WebHeader {
                    key: "a b".into(),
                    value: Some("s3cr3t".into()),
                    value_from: None,
                }]);
            }),
            "headers[0].key is not a header name",
        ),
    ] {
        let outcome = measure(metric).await;
        let (message, transient) = failed(&outcome);
        assert!(message.contains(expected), "{message}");
        assert!(!transient);
    }
}
