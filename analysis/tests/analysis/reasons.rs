//! Reasons in words, and the odd ends of arguments.

use serde_json::json;
use sluice_analysis::args::{ArgError, resolve_metric, secret_arguments};
use sluice_analysis::reason::{Counter, Reason, Wait};
use sluice_analysis::{Phase, Reason as _Reason};
use sluice_crds::analysis::{Metric, ValueFrom};
use sluice_crds::rollout::canary::FieldRef;

use crate::support::{argument, at};

#[test]
fn every_reason_is_a_sentence() {
    let metric = || "rate".to_owned();
    let mut sentences: Vec<String> = [
        Wait::InitialDelay,
        Wait::Interval,
        Wait::Retry,
        Wait::Resume,
    ]
    .into_iter()
    .map(|cause| {
        let until = at(10);
        Reason::Waiting {
            metric: metric(),
            until,
            cause,
        }
        .to_string()
    })
    .collect();
    let further = [
        Reason::Invalid {
            message: "no metrics specified".to_owned(),
        },
        Reason::InFlight {
            metric: metric(),
            number: 2,
        },
        Reason::Measured {
            metric: metric(),
            number: 3,
            phase: Phase::Failed,
            comparison: None,
            value: "x".to_owned(),
            failed: 1,
            failure_limit: -1,
        },
        Reason::LimitExceeded {
            metric: metric(),
            counter: Counter::Failed,
            value: 3,
            limit: 2,
            phase: Phase::Failed,
            dry_run: true,
        },
        Reason::Reached {
            metric: metric(),
            counter: Counter::Measurements,
            value: 5,
            limit: 5,
            phase: Phase::Successful,
        },
        Reason::Terminating { by: None },
        Reason::Terminating { by: Some(metric()) },
        Reason::Finished {
            phase: Phase::Successful,
            message: String::new(),
        },
        Reason::Finished {
            phase: Phase::Failed,
            message: "why".to_owned(),
        },
        Reason::Kept { until: at(60) },
        Reason::Expired {
            completed_at: at(0),
            seconds: 60,
        },
    ];
    sentences.extend(further.iter().map(_Reason::to_string));
    insta::assert_snapshot!(sentences.join("\n"));
}

fn metric(query: &str) -> Metric {
    serde_json::from_value(json!({
        "name": "m", "provider": { "web": { "url": query } }
    }))
    .unwrap()
}

#[test]
fn tags_that_lead_nowhere_are_errors() {
    let args = [argument("a", "1")];
    for tag in ["{{other.a}}", "{{args.b}}", "{{a}}"] {
        let error = resolve_metric(&metric(tag), &args).unwrap_err();
        assert!(matches!(error, ArgError::Unresolved { .. }), "{error}");
    }
    let error = resolve_metric(&metric("before {{args.a"), &args).unwrap_err();
    assert!(matches!(error, ArgError::Unclosed { .. }), "{error}");
    assert!(secret_arguments(&metric("{{open"), &args).is_empty());
    let mut bare = argument("c", "");
    bare.value = None;
    assert!(resolve_metric(&metric("{{args.c}}"), &[bare]).is_err());
    // Fields are read where the run is made; one that is still a reference here has no value.
    let mut field = argument("d", "");
    field.value = None;
    field.value_from = Some(ValueFrom {
        secret_key_ref: None,
        field_ref: Some(FieldRef {
            field_path: "metadata.name".to_owned(),
        }),
    });
    assert!(resolve_metric(&metric("{{args.d}}"), &[field]).is_err());
    let resolved = resolve_metric(&metric("{{ args.a }}{{args.a}}"), &args).unwrap();
    assert_eq!(resolved.provider.web.unwrap().url, "11");
}
