//! The web backend, JSON paths, and backends that are not there.

use serde_json::json as value;
use sluice_analysis::Outcome;
use sluice_analysis::expression::Value;
use sluice_analysis_providers::web::JsonPath;
use sluice_crds::analysis::{Metric, MetricProvider};

use super::support::{Server, failed, json, measure, shown, status, web};

#[tokio::test]
async fn a_part_of_a_json_answer_is_the_result() {
    let server = Server::new(|_| {
        json(r#"{"data":{"ok":true,"rows":[{"rate":0.5},{"rate":1}],"name":"x"}}"#)
    })
    .await;
    for (path, display) in [
        ("{$.data.ok}", "true"),
        ("{.data.rows[1].rate}", "1"),
        ("{$.data.rows[-2]['rate']}", "0.5"),
        ("$.data.name", "x"),
        ("{$.data.rows[0]}", r#"{"rate":0.5}"#),
    ] {
        let outcome = measure(web(&server.address, |web| {
            web.json_path = Some(path.to_owned())
        }))
        .await;
        assert_eq!(shown(&outcome), display, "{path}");
    }
    let outcome = measure(web(&server.address, |_| {})).await;
    assert!(matches!(
        outcome,
        Outcome::Value {
            value: Value::Map(_),
            ..
        }
    ));
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_a_text() {
    let server = Server::new(|_| json("all is well")).await;
    let outcome = measure(web(&server.address, |_| {})).await;
    assert!(
        matches!(&outcome, Outcome::Value { value, .. } if *value == Value::from("all is well"))
    );
    let outcome = measure(web(&server.address, |web| {
        web.json_path = Some("{$.a}".into())
    }))
    .await;
    assert!(failed(&outcome).0.contains("something else than JSON"));
}

#[tokio::test]
async fn a_body_is_sent_with_post_and_put_only() {
    let server = Server::new(|_| json("1")).await;
    let outcome = measure(web(&server.address, |web| {
        web.method = Some("POST".into());
        web.json_body = Some(value!({"a": 1}));
    }))
    .await;
    assert_eq!(shown(&outcome), "1");
    let asked = &server.asked()[0];
    assert_eq!(
        (asked.method.as_str(), asked.body.as_str()),
        ("POST", r#"{"a":1}"#)
    );
    assert_eq!(asked.headers["content-type"], "application/json");
    measure(web(&server.address, |web| {
        web.method = Some("PUT".into());
        web.body = Some("text".into());
    }))
    .await;
    assert_eq!(server.asked()[1].body, "text");
    assert!(!server.asked()[1].headers.contains_key("content-type"));
    for (method, body, json_body, expected) in [
        ("GET", Some("x"), None, "need the method POST or PUT"),
        ("POST", Some("x"), Some(value!(1)), "exclude each other"),
        ("DELETE", None, None, "web.method must be GET, POST or PUT"),
    ] {
        let outcome = measure(web(&server.address, |web| {
            web.method = Some(method.into());
            web.body = body.map(str::to_owned);
            web.json_body = json_body;
        }))
        .await;
        assert!(failed(&outcome).0.contains(expected), "{outcome:?}");
    }
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn anything_but_success_is_an_error() {
    for (code, again) in [(500, true), (404, false)] {
        let server = Server::new(move |_| status(code, "1")).await;
        let outcome = measure(web(&server.address, |_| {})).await;
        let (message, transient) = failed(&outcome);
        assert!(
            message.contains(&format!("received non 2xx response code: {code}")),
            "{message}"
        );
        assert_eq!(transient, again);
    }
}

#[tokio::test]
async fn a_long_value_is_shown_in_part_and_judged_as_a_whole() {
    let server = Server::new(|_| json(&"ä".repeat(2_000))).await;
    let outcome = measure(web(&server.address, |_| {})).await;
    assert_eq!(shown(&outcome).chars().count(), 513);
    assert!(
        matches!(&outcome, Outcome::Value { value: Value::String(text), .. } if text.len() == 4_000)
    );
}

#[tokio::test]
async fn a_backend_that_is_not_built_in_is_named() {
    let provider = |provider: MetricProvider| Metric {
        name: "m".to_owned(),
        provider,
        ..Metric::default()
    };
    let settings = || Some(serde_json::Map::new());
    for (metric, expected) in [
        (
            provider(MetricProvider {
                plugin: Some(
                    [("acme/judge".to_owned(), value!({}))]
                        .into_iter()
                        .collect(),
                ),
                ..MetricProvider::default()
            }),
            "metric provider plugin acme/judge is not built",
        ),
        (provider(MetricProvider::default()), "names no provider"),
        (
            provider(MetricProvider {
                datadog: settings(),
                wavefront: settings(),
                ..MetricProvider::default()
            }),
            "names several providers: wavefront, datadog",
        ),
    ] {
        let outcome = measure(metric).await;
        let (message, transient) = failed(&outcome);
        assert!(message.contains(expected) && !transient, "{message}");
    }
}

#[test]
fn a_path_leads_to_one_value_or_is_refused() {
    let document = value!({"a": {"b-c": [1, 2, {"x.y": 3}]}});
    for (path, expected) in [
        ("", Some(document.clone())),
        ("{}", Some(document.clone())),
        ("{$}", Some(document.clone())),
        ("{.a.b-c[0]}", Some(value!(1))),
        ("{$.a['b-c'][2][\"x.y\"]}", Some(value!(3))),
        ("{ $.a.b-c[-1] }", Some(value!({"x.y": 3}))),
        ("{$.a.nope}", None),
        ("{$.a.b-c[9]}", None),
        ("{$.a.b-c[-9]}", None),
        ("{$[0]}", None),
    ] {
        let found = JsonPath::parse(path).unwrap();
        assert_eq!(found.find(&document).ok(), expected.as_ref(), "{path}");
    }
    for wrong in [
        "{$.a[*]}",
        "{$..a}",
        "{$.a[0:2]}",
        "{$.a[?(@.x)]}",
        "x{.a}",
        "{$.}",
        "{$.a[}",
        "{$['a}",
    ] {
        assert!(JsonPath::parse(wrong).is_err(), "{wrong}");
    }
}
