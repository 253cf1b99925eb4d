//! What a run must look like.

use sluice_analysis::validate;
use sluice_crds::IntOrString;
use sluice_crds::analysis::{
    AnalysisRunSpec, Argument, JobProvider, Metric, SecretKeyRef, ValueFrom,
};

use super::support::{argument, metric, repeated};

fn number(number: i32) -> Option<IntOrString> {
    Some(IntOrString::Int(number))
}

#[test]
fn a_wrong_metric_is_refused_with_its_field() {
    let change = |change: fn(&mut Metric)| {
        let mut metric = repeated("rate", "10s", 5);
        change(&mut metric);
        metric
    };
    for (wrong, field, message) in [
        (
            change(|m| m.interval = None),
            "interval",
            "interval must be specified when count > 1",
        ),
        (
            change(|m| m.interval = Some("5 minutes".into())),
            "interval",
            "invalid interval string",
        ),
        (
            change(|m| m.initial_delay = Some("x".into())),
            "initialDelay",
            "invalid initialDelay string",
        ),
        (
            change(|m| m.failure_limit = number(6)),
            "count",
            "count must be >= failureLimit",
        ),
        (
            change(|m| m.inconclusive_limit = number(6)),
            "count",
            "count must be >= inconclusiveLimit",
        ),
        (
            change(|m| {
                m.failure_limit = number(3);
                m.consecutive_success_limit = number(3);
            }),
            "count",
            "count must be >= failureLimit + consecutiveSuccessLimit",
        ),
        (
            change(|m| m.failure_limit = number(-2)),
            "failureLimit",
            "failureLimit must be >= -1",
        ),
        (
            change(|m| m.inconclusive_limit = number(-1)),
            "inconclusiveLimit",
            "must be >= 0",
        ),
        (
            change(|m| m.consecutive_error_limit = number(-1)),
            "consecutiveErrorLimit",
            "must be >= 0",
        ),
        (
            change(|m| m.consecutive_success_limit = number(-1)),
            "consecutiveSuccessLimit",
            "must be >= 0",
        ),
        (change(|m| m.count = number(-1)), "count", "must be >= 0"),
        (
            change(|m| m.count = Some(IntOrString::String("many".into()))),
            "count",
            "must be a whole number",
        ),
        (change(|m| m.name.clear()), "name", "needs a name"),
        (
            change(|m| m.provider.prometheus = None),
            "provider",
            "no provider specified",
        ),
        (
            change(|m| m.provider.job = Some(JobProvider::default())),
            "provider",
            "multiple providers specified: prometheus, job",
        ),
        (
            change(|m| m.failure_condition = Some("1 +".into())),
            "failureCondition",
            "cannot be read",
        ),
        (
            change(|m| m.success_condition = Some("nope > 1".into())),
            "successCondition",
            "unknown name nope",
        ),
    ] {
        let error = validate::metrics(&[wrong]).expect_err(message);
        assert_eq!(error.field, format!("metrics[0].{field}"), "{error}");
        assert!(error.message.contains(message), "{error}");
    }
    assert_eq!(
        validate::metrics(&[]).unwrap_err().message,
        "no metrics specified"
    );
    let failures = Metric {
        failure_limit: number(6),
        ..repeated("rate", "10s", 5)
    };
    assert_eq!(
        validate::metrics(&[failures]).unwrap_err().message,
        "count must be >= failureLimit"
    );
    let twice = [metric("a"), metric("a")];
    assert_eq!(
        validate::metrics(&twice).unwrap_err().to_string(),
        "metrics[1].name: duplicate name 'a'"
    );
}

#[test]
fn what_upstream_takes_is_taken() {
    for metric in [
        metric("once"),
        repeated("endless", "1m", 0),
        Metric {
            count: number(0),
            ..metric("zero")
        },
        Metric {
            count: number(1),
            ..metric("one")
        },
        Metric {
            failure_limit: number(-1),
            ..repeated("unlimited", "1m30s", 3)
        },
        Metric {
            count: Some(IntOrString::String("3".into())),
            ..repeated("text", "1m", 0)
        },
        Metric {
            failure_limit: number(5),
            inconclusive_limit: number(5),
            ..repeated("limit-is-count", "1m", 5)
        },
    ] {
        validate::metrics(std::slice::from_ref(&metric)).unwrap();
    }
}

/// Counts and limits decide before any Secret is read, so one would be taken for absent.
#[test]
fn a_count_or_a_limit_from_a_secret_is_refused() {
    let from_secret = || Some(IntOrString::String("{{args.number}}".into()));
    let spec = |metric| AnalysisRunSpec {
        metrics: Some(vec![metric]),
        args: Some(vec![Argument {
            name: "number".to_owned(),
            value: None,
            value_from: Some(ValueFrom {
                secret_key_ref: Some(SecretKeyRef {
                    name: "numbers".to_owned(),
                    key: "number".to_owned(),
                }),
                field_ref: None,
            }),
        }]),
        ..AnalysisRunSpec::default()
    };
    for (wrong, field) in [
        (
            Metric {
                count: from_secret(),
                ..repeated("rate", "1m", 0)
            },
            "count",
        ),
        (
            Metric {
                failure_limit: from_secret(),
                ..repeated("rate", "1m", 0)
            },
            "failureLimit",
        ),
    ] {
        let error = validate::run_spec(&spec(wrong)).unwrap_err();
        assert_eq!(error.field, format!("metrics[0].{field}"));
    }
}

#[test]
fn the_analysis_of_a_step_must_end_by_itself() {
    let spec = |metrics| AnalysisRunSpec {
        metrics: Some(metrics),
        args: Some(vec![argument("count", "3")]),
        ..AnalysisRunSpec::default()
    };
    assert!(validate::finite(&spec(vec![metric("a"), repeated("b", "1m", 3)])).is_ok());
    let templated = Metric {
        count: Some(IntOrString::String("{{args.count}}".into())),
        ..repeated("c", "1m", 0)
    };
    assert!(validate::finite(&spec(vec![templated])).is_ok());
    // A count of nothing is no count.
    let zero = Metric {
        count: number(0),
        ..repeated("zero", "1m", 0)
    };
    assert!(validate::finite(&spec(vec![zero])).is_err());
    let error = validate::finite(&spec(vec![metric("a"), repeated("d", "1m", 0)])).unwrap_err();
    assert_eq!(error.field, "metrics[1].count");
    assert!(
        error
            .message
            .starts_with("InfiniteMetric: metric d runs indefinitely")
    );
}
