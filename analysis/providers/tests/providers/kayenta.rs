//! Kayenta: an analysis is started, looked at until it is complete, and judged by its score.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value as Json, json as value};
use sluice_analysis::{MeasureRequest, Outcome, Phase, SecretValues};
use sluice_analysis_providers::{Registry, RunIdentity, Settings};
use sluice_crds::analysis::{Measurement, Metric};

use super::support::{Server, failed, json, status};

const CONFIGS: &str =
    r#"[{"id":"1","name":"other","applications":["shop"]},{"id":"2","name":"my test"}]"#;

fn now() -> Timestamp {
    "2026-08-17T10:00:00Z".parse().unwrap()
}

fn settings(address: &str) -> Json {
    let side = |scope: &str| {
        value!({
            "scope": scope, "region": "eu", "step": 60,
            "start": "2026-08-17T09:00:00Z", "end": "2026-08-17T10:00:00Z",
        })
    };
    value!({
        "address": address, "application": "shop", "canaryConfigName": "my test",
        "metricsAccountName": "prom", "configurationAccountName": "config", "storageAccountName": "store",
        "threshold": { "pass": 90, "marginal": 75 },
        "scopes": [{ "name": "default", "controlScope": side("old"), "experimentScope": side("new") }],
    })
}

async fn measure(settings: Json, resume: Option<Measurement>) -> Outcome {
    let provider = serde_json::from_value(value!({ "kayenta": settings })).unwrap();
    let request = MeasureRequest {
        metric: Metric {
            name: "m".to_owned(),
            provider,
            ..Metric::default()
        },
        number: 1,
        resume,
        secrets: Vec::new(),
    };
    Registry::new(&Settings::default())
        .measure(
            &request,
            &SecretValues::new(),
            &RunIdentity::default(),
            now(),
        )
        .await
}

fn under_way(id: &str) -> Option<Measurement> {
    Some(Measurement {
        metadata: Some(BTreeMap::from([(
            "canaryExecutionId".to_owned(),
            id.to_owned(),
        )])),
        ..Measurement::default()
    })
}

/// What an analysis under way gives that Kayenta tells that about.
async fn looked_at(code: u16, answer: &'static str) -> Outcome {
    let server = Server::new(move |_| status(code, answer)).await;
    measure(settings(&server.address), under_way("exec/1")).await
}

#[tokio::test]
async fn an_analysis_is_started_with_the_config_of_that_name() {
    let server = Server::new(|asked| match asked.method.as_str() {
        "GET" => json(CONFIGS),
        _ => json(r#"{"canaryExecutionId":"exec-1"}"#),
    })
    .await;
    let outcome = measure(settings(&format!("{}/kayenta/", server.address)), None).await;
    let expected = Outcome::Resume {
        resume_at: Some("2026-08-17T10:00:15Z".parse().unwrap()),
        metadata: under_way("exec-1").unwrap().metadata.unwrap(),
    };
    assert_eq!(outcome, expected);
    let asked = server.asked();
    assert_eq!(asked[0].path, "/kayenta/canaryConfig");
    assert_eq!(
        asked[0].query,
        "application=shop&configurationAccountName=config"
    );
    assert_eq!(asked[1].method, "POST");
    assert_eq!(asked[1].path, "/kayenta/canary/2");
    assert_eq!(
        asked[1].query,
        "application=shop&metricsAccountName=prom&configurationAccountName=config&storageAccountName=store"
    );
    assert_eq!(asked[1].headers["content-type"], "application/json");
    let written = settings("");
    assert_eq!(
        serde_json::from_str::<Json>(&asked[1].body).unwrap(),
        value!({
            "thresholds": { "pass": 90, "marginal": 75 },
            "scopes": { "default": {
                "controlScope": written["scopes"][0]["controlScope"],
                "experimentScope": written["scopes"][0]["experimentScope"],
            } },
        })
    );
}

#[tokio::test]
async fn accounts_that_are_not_named_are_left_to_kayenta() {
    let server = Server::new(|asked| match asked.method.as_str() {
        "GET" => json(CONFIGS),
        _ => json(r#"{"canaryExecutionId":"exec-1"}"#),
    })
    .await;
    let mut settings = settings(&server.address);
    for account in ["metrics", "configuration", "storage"] {
        settings[format!("{account}AccountName")] = value!("");
    }
    let outcome = measure(settings, None).await;
    assert!(matches!(outcome, Outcome::Resume { .. }), "{outcome:?}");
    for asked in server.asked() {
        assert_eq!(asked.query, "application=shop");
    }
}

#[tokio::test]
async fn an_analysis_under_way_is_looked_at_again() {
    let server = Server::new(|_| json(r#"{"complete":false,"status":"running"}"#)).await;
    let outcome = measure(settings(&server.address), under_way("exec/1")).await;
    let expected = Outcome::Resume {
        resume_at: Some("2026-08-17T10:00:15Z".parse().unwrap()),
        metadata: BTreeMap::new(),
    };
    assert_eq!(outcome, expected);
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].method.as_str(), asked[0].path.as_str()),
        ("GET", "/canary/exec%2F1")
    );
}

#[tokio::test]
async fn the_score_is_judged_by_the_thresholds_in_whole_points() {
    for (score, phase, shown) in [
        ("100", Phase::Successful, "100"),
        ("90", Phase::Successful, "90"),
        ("89.9", Phase::Inconclusive, "89"),
        ("75.0", Phase::Inconclusive, "75"),
        ("74.99", Phase::Failed, "74"),
        ("0", Phase::Failed, "0"),
    ] {
        let server = Server::new(move |_| {
            json(&format!(
                r#"{{"complete":true,"status":"succeeded","result":{{"judgeResult":{{"score":{{"score":{score}}}}}}}}}"#
            ))
        })
        .await;
        let outcome = measure(settings(&server.address), under_way("exec-1")).await;
        let expected = Outcome::Finished {
            phase,
            value: Some(shown.to_owned()),
            message: None,
            metadata: BTreeMap::new(),
        };
        assert_eq!(outcome, expected);
    }
}

#[tokio::test]
async fn an_analysis_that_gives_no_score_is_an_error() {
    for (code, answer, expected, again) in [
        (
            200,
            r#"{"complete":true,"status":"terminal"}"#,
            "without a score, as terminal",
            false,
        ),
        (
            200,
            r#"{"status":"running"}"#,
            "does not say whether the analysis exec/1 is complete",
            false,
        ),
        (404, "gone", "404 from Kayenta", false),
        (500, "down", "500 from Kayenta", true),
        (200, "<html>", "something else than JSON", false),
    ] {
        let outcome = looked_at(code, answer).await;
        let (message, transient) = failed(&outcome);
        assert!(message.contains(expected), "{message}");
        assert_eq!(transient, again, "{message}");
    }
    let outcome = measure(settings("http://127.0.0.1:1"), Some(Measurement::default())).await;
    assert!(failed(&outcome).0.contains("has no canaryExecutionId"));
}

#[tokio::test]
async fn an_analysis_that_cannot_be_started_is_an_error() {
    for (configs, started, expected, requests) in [
        (
            "[]",
            "{}",
            "kayenta.canaryConfigName: Kayenta has no canary config my test for the application shop",
            1,
        ),
        ("{}", "{}", "without a list of canary configs", 1),
        (CONFIGS, "{}", "answers without canaryExecutionId", 2),
        (
            CONFIGS,
            r#"{"canaryExecutionId":""}"#,
            "answers without canaryExecutionId",
            2,
        ),
    ] {
        let server = Server::new(move |asked| match asked.method.as_str() {
            "GET" => json(configs),
            _ => json(started),
        })
        .await;
        let outcome = measure(settings(&server.address), None).await;
        let (message, transient) = failed(&outcome);
        assert!(message.contains(expected) && !transient, "{message}");
        assert_eq!(server.asked().len(), requests);
    }
    let server = Server::new(|asked| match asked.method.as_str() {
        "GET" => json(CONFIGS),
        _ => status(503, "busy"),
    })
    .await;
    let outcome = measure(settings(&server.address), None).await;
    assert!(failed(&outcome).1, "{outcome:?}");
}

#[tokio::test]
async fn what_is_written_wrong_is_named_and_nothing_is_asked() {
    let server = Server::new(|_| json(CONFIGS)).await;
    let with = |pointer: &str, set: Json| {
        let mut settings = settings(&server.address);
        match settings.pointer_mut(pointer) {
            Some(place) => *place = set,
            None => settings[pointer] = set,
        }
        settings
    };
    let twice = settings("")["scopes"][0].clone();
    for (settings, expected) in [
        (
            with("thresholds", value!({})),
            "kayenta: unknown field `thresholds`",
        ),
        (
            with("/scopes/0/controlScope", value!({})),
            "kayenta: missing field `scope`",
        ),
        (
            with("/threshold", value!({ "pass": 90 })),
            "kayenta: missing field `marginal`",
        ),
        (
            with("/scopes", value!([twice, twice])),
            "kayenta.scopes[1].name: there are two scopes default",
        ),
        (
            with("/address", value!("http://169.254.169.254")),
            "kayenta.address: 169.254.169.254",
        ),
    ] {
        let outcome = measure(settings, None).await;
        assert!(failed(&outcome).0.starts_with(expected), "{outcome:?}");
    }
    assert!(server.asked().is_empty());
}
