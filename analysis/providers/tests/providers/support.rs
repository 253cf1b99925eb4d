//! A server on loopback that remembers what it was asked, and a registry that asks it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use sluice_analysis::{MeasureRequest, Outcome, SecretValues};
use sluice_analysis_providers::{Registry, RunIdentity, Settings};
use sluice_crds::analysis::{Metric, MetricProvider, PrometheusProvider, WebProvider};
use tokio::net::TcpListener;

/// What a server was asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Asked {
    /// A field of a form in the body.
    pub(crate) fn form(&self, key: &str) -> Option<String> {
        pairs(&self.body, key)
    }

    /// A parameter of the address.
    pub(crate) fn parameter(&self, key: &str) -> Option<String> {
        pairs(&self.query, key)
    }
}

fn pairs(text: &str, key: &str) -> Option<String> {
    let url = reqwest::Url::parse(&format!("http://x/?{text}")).unwrap();
    url.query_pairs()
        .find(|(known, _)| known == key)
        .map(|(_, value)| value.into_owned())
}

pub(crate) struct Server {
    /// `http://127.0.0.1:PORT`.
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers everything with what `answer` makes of it.
    pub(crate) async fn new(
        answer: impl Fn(&Asked) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let log = Arc::clone(&asked);
        let router = Router::new().fallback(move |request: Request| {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, 1 << 20).await.unwrap();
                let asked = Asked {
                    method: parts.method.to_string(),
                    path: parts.uri.path().to_owned(),
                    query: parts.uri.query().unwrap_or_default().to_owned(),
                    headers: parts
                        .headers
                        .iter()
                        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
                        .collect(),
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                log.lock().unwrap().push(asked.clone());
                answer(&asked)
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) fn json(text: &str) -> Response<Body> {
    status(200, text)
}

pub(crate) fn status(code: u16, text: &str) -> Response<Body> {
    Response::builder()
        .status(StatusCode::from_u16(code).unwrap())
        .body(Body::from(text.to_owned()))
        .unwrap()
}

pub(crate) fn prometheus(address: &str, change: impl FnOnce(&mut PrometheusProvider)) -> Metric {
    let mut prometheus = PrometheusProvider {
        address: Some(address.to_owned()),
        query: Some("up{job=\"web\"}".to_owned()),
        ..PrometheusProvider::default()
    };
    change(&mut prometheus);
    Metric {
        name: "rate".to_owned(),
        provider: MetricProvider {
            prometheus: Some(prometheus),
            ..MetricProvider::default()
        },
        ..Metric::default()
    }
}

pub(crate) fn web(url: &str, change: impl FnOnce(&mut WebProvider)) -> Metric {
    let mut web = WebProvider {
        url: url.to_owned(),
        ..WebProvider::default()
    };
    change(&mut web);
    Metric {
        name: "web".to_owned(),
        provider: MetricProvider {
            web: Some(web),
            ..MetricProvider::default()
        },
        ..Metric::default()
    }
}

pub(crate) async fn measure_with(settings: &Settings, metric: Metric) -> Outcome {
    let request = MeasureRequest {
        metric,
        number: 1,
        resume: None,
        secrets: Vec::new(),
    };
    Registry::new(settings)
        .measure(
            &request,
            &SecretValues::new(),
            &RunIdentity::default(),
            "2026-08-17T10:00:00Z".parse().unwrap(),
        )
        .await
}

pub(crate) async fn measure(metric: Metric) -> Outcome {
    measure_with(&Settings::default(), metric).await
}

/// The value as text, of an outcome that has one.
#[track_caller]
pub(crate) fn shown(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Value { display, .. } => display,
        other => panic!("no value: {other:?}"),
    }
}

/// Message and whether trying again may help, of an error.
#[track_caller]
pub(crate) fn failed(outcome: &Outcome) -> (&str, bool) {
    match outcome {
        Outcome::Error { message, transient } => (message, *transient),
        other => panic!("no error: {other:?}"),
    }
}
