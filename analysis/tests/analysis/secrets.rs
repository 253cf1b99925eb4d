//! Secret values reach the provider, and nothing that people read.

use sluice_analysis::{Circumstances, MeasureRequest, Outcome, SecretValues, absorb_with, decide};
use sluice_crds::analysis::{
    AnalysisRun, Argument, Metric, SecretKeyRef, ValueFrom, WebHeader, WebProvider,
};

use super::support::{at, run};

const TOKEN: &str = "s3cr3t-token";

fn secret_run() -> AnalysisRun {
    let mut run = run(vec![Metric {
        name: "web".to_owned(),
        success_condition: Some("result == \"{{args.token}}\"".to_owned()),
        provider: sluice_crds::analysis::MetricProvider {
            web: Some(WebProvider {
                url: "http://{{args.host}}/".to_owned(),
                headers: Some(vec![WebHeader {
                    key: "Authorization".to_owned(),
                    value: Some("Bearer {{ args.token }}".to_owned()),
                    value_from: None,
                }]),
                ..WebProvider::default()
            }),
            ..sluice_crds::analysis::MetricProvider::default()
        },
        ..Metric::default()
    }]);
    run.spec.args = Some(vec![
        super::support::argument("host", "metrics"),
        Argument {
            name: "token".to_owned(),
            value: None,
            value_from: Some(ValueFrom {
                secret_key_ref: Some(SecretKeyRef {
                    name: "api".to_owned(),
                    key: "token".to_owned(),
                }),
                field_ref: None,
            }),
        },
    ]);
    run
}

fn request(run: &AnalysisRun) -> MeasureRequest {
    decide(run, &std::collections::BTreeSet::new(), at(0))
        .measure
        .into_iter()
        .next()
        .unwrap()
}

#[test]
fn a_request_names_the_secrets_that_it_needs_and_holds_none() {
    let request = request(&secret_run());
    assert_eq!(request.secrets.len(), 1);
    assert_eq!(request.secrets[0].argument, "token");
    assert_eq!(request.secrets[0].key.name, "api");
    let web = request.metric.provider.web.as_ref().unwrap();
    assert_eq!(web.url, "http://metrics/");
    let secrets: SecretValues = [("token", TOKEN)].into_iter().collect();
    let resolved = request.resolve(&secrets).unwrap();
    let header = &resolved.provider.web.unwrap().headers.unwrap()[0];
    assert_eq!(header.value.as_deref(), Some("Bearer s3cr3t-token"));
    assert!(request.resolve(&SecretValues::new()).is_err());
}

#[test]
fn nothing_that_is_written_or_told_holds_a_secret() {
    let run = secret_run();
    let secrets: SecretValues = [("token", TOKEN)].into_iter().collect();
    let circumstances = Circumstances {
        started_at: None,
        secrets: Some(&secrets),
    };
    for outcome in [
        Outcome::Error {
            message: format!("GET http://metrics/?t={TOKEN} failed"),
            transient: true,
        },
        Outcome::Value {
            value: TOKEN.into(),
            display: TOKEN.to_owned(),
            metadata: [("echo".to_owned(), format!("<{TOKEN}>"))].into(),
        },
        Outcome::Finished {
            phase: sluice_analysis::Phase::Failed,
            value: Some(TOKEN.to_owned()),
            message: Some(TOKEN.to_owned()),
            metadata: std::collections::BTreeMap::new(),
        },
    ] {
        let plan = absorb_with(&run, "web", outcome, circumstances, at(1));
        let told = format!("{plan:?} {:?}", plan.reasons);
        assert!(!told.contains(TOKEN), "{told}");
        assert!(told.contains("*****"));
    }
}

#[test]
fn a_condition_may_use_a_secret() {
    let run = secret_run();
    let value = || Outcome::Value {
        value: TOKEN.into(),
        display: TOKEN.to_owned(),
        metadata: std::collections::BTreeMap::new(),
    };
    let secrets: SecretValues = [("token", TOKEN)].into_iter().collect();
    let known = Circumstances {
        started_at: None,
        secrets: Some(&secrets),
    };
    let plan = absorb_with(&run, "web", value(), known, at(1));
    assert_eq!(plan.status.phase, "Successful");
    // Without its value there is no verdict.
    let plan = absorb_with(&run, "web", value(), Circumstances::default(), at(1));
    assert_eq!(plan.status.phase, "Running");
    let message = format!("{:?}", plan.status);
    assert!(
        message.contains("metric web: failed to resolve {{args.token}}"),
        "{message}"
    );
}

#[test]
fn a_condition_of_failure_may_use_a_secret_too() {
    let mut run = secret_run();
    let metric = &mut run.spec.metrics.as_mut().unwrap()[0];
    metric.success_condition = None;
    metric.failure_condition = Some("result == \"{{args.token}}\"".to_owned());
    let secrets: SecretValues = [("token", TOKEN)].into_iter().collect();
    let known = Circumstances {
        started_at: None,
        secrets: Some(&secrets),
    };
    for (value, phase) in [(TOKEN, "Failed"), ("another", "Successful")] {
        let outcome = Outcome::Value {
            value: value.into(),
            display: value.to_owned(),
            metadata: std::collections::BTreeMap::new(),
        };
        let plan = absorb_with(&run, "web", outcome, known, at(1));
        assert_eq!(plan.status.phase, phase, "{value}");
    }
}

#[test]
fn the_longest_secret_is_hidden_first_and_debug_shows_names_only() {
    let secrets: SecretValues = [("a", "abc"), ("b", "abcdef"), ("c", "")]
        .into_iter()
        .collect();
    assert_eq!(secrets.redact("x abcdef abc ab"), "x ***** ***** ab");
    assert_eq!(
        format!("{secrets:?}"),
        r#"{"a": "*****", "b": "*****", "c": "*****"}"#
    );
}
