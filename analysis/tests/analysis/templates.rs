//! From templates to the spec of a run.

use sluice_analysis::{FieldError, Templates, build_run_spec};
use sluice_crds::analysis::{
    AnalysisRunSpec, AnalysisTemplateRef, AnalysisTemplateSpec, Argument,
    ClusterAnalysisTemplateSpec, DryRun, MeasurementRetention, Metric, SecretKeyRef, ValueFrom,
};

use super::support::{argument, metric};

fn named(name: &str) -> AnalysisTemplateRef {
    AnalysisTemplateRef {
        template_name: Some(name.to_owned()),
        cluster_scope: None,
    }
}

fn cluster(name: &str) -> AnalysisTemplateRef {
    AnalysisTemplateRef {
        template_name: Some(name.to_owned()),
        cluster_scope: Some(true),
    }
}

fn template(metrics: &[&str], templates: &[AnalysisTemplateRef]) -> AnalysisTemplateSpec {
    AnalysisTemplateSpec {
        metrics: (!metrics.is_empty()).then(|| metrics.iter().map(|name| metric(name)).collect()),
        templates: (!templates.is_empty()).then(|| templates.to_vec()),
        ..AnalysisTemplateSpec::default()
    }
}

fn cluster_template(
    metrics: &[&str],
    templates: &[AnalysisTemplateRef],
) -> ClusterAnalysisTemplateSpec {
    let AnalysisTemplateSpec {
        metrics,
        args,
        dry_run,
        measurement_retention,
        templates,
    } = template(metrics, templates);
    ClusterAnalysisTemplateSpec {
        metrics,
        args,
        dry_run,
        measurement_retention,
        templates,
    }
}

fn declared(name: &str) -> Argument {
    Argument {
        name: name.to_owned(),
        ..Argument::default()
    }
}

fn build(
    templates: &Templates,
    refs: &[AnalysisTemplateRef],
    args: &[Argument],
) -> Result<AnalysisRunSpec, FieldError> {
    build_run_spec(refs, templates, args, &[], &[])
}

fn metric_names(spec: &AnalysisRunSpec) -> Vec<&str> {
    spec.metrics
        .iter()
        .flatten()
        .map(|metric| metric.name.as_str())
        .collect()
}

#[test]
fn templates_of_templates_are_flattened_each_once_and_in_order() {
    let mut templates = Templates::new();
    templates.insert(
        "a",
        template(&["a1", "a2"], &[named("b"), cluster("shared")]),
    );
    templates.insert("b", template(&["b1"], &[cluster("shared")]));
    templates.insert("only-refs", template(&[], &[named("a")]));
    templates.insert_cluster("shared", cluster_template(&["s1"], &[]));
    let spec = build(&templates, &[named("only-refs"), named("b")], &[]).unwrap();
    assert_eq!(metric_names(&spec), ["a1", "a2", "b1", "s1"]);
}

#[test]
fn a_cycle_of_templates_ends_where_it_closes() {
    let mut templates = Templates::new();
    templates.insert("a", template(&["a1"], &[named("b"), named("a")]));
    templates.insert("b", template(&["b1"], &[named("a")]));
    let spec = build(&templates, &[named("a")], &[]).unwrap();
    assert_eq!(metric_names(&spec), ["a1", "b1"]);
}

#[test]
fn a_deep_nesting_of_templates_is_no_danger() {
    let mut templates = Templates::new();
    for index in 0..20_000 {
        let next = named(&format!("t{}", index + 1));
        templates.insert(format!("t{index}"), template(&[], &[next]));
    }
    templates.insert("t20000", template(&["last"], &[]));
    let spec = build(&templates, &[named("t0")], &[]).unwrap();
    assert_eq!(metric_names(&spec), ["last"]);
}

#[test]
fn a_template_that_does_not_exist_is_named_with_who_names_it() {
    let mut templates = Templates::new();
    templates.insert("a", template(&["a1"], &[cluster("gone")]));
    let error = build(&templates, &[named("a"), named("nope")], &[]).unwrap_err();
    assert_eq!(error.field, "templates[0].templateName");
    assert_eq!(
        error.message,
        "ClusterAnalysisTemplate 'gone' not found (named by AnalysisTemplate a)"
    );
    let error = build(&Templates::new(), &[named("nope")], &[]).unwrap_err();
    assert_eq!(error.message, "AnalysisTemplate 'nope' not found");
    assert_eq!(
        error.under("spec.strategy.canary.analysis").to_string(),
        "spec.strategy.canary.analysis.templates[0].templateName: AnalysisTemplate 'nope' not found"
    );
    assert_eq!(
        build(&Templates::new(), &[], &[]).unwrap_err().field,
        "templates"
    );
}

#[test]
fn two_metrics_with_one_name_are_refused_with_both_templates() {
    let mut templates = Templates::new();
    templates.insert("a", template(&["rate"], &[]));
    templates.insert("b", template(&["rate"], &[]));
    let error = build(&templates, &[named("a"), named("b")], &[]).unwrap_err();
    assert_eq!(error.field, "templates[1]");
    assert_eq!(
        error.message,
        "two metrics have the same name 'rate': one in AnalysisTemplate a, one in AnalysisTemplate b"
    );
}

#[test]
fn given_arguments_replace_defaults_and_others_are_left_out() {
    let mut templates = Templates::new();
    let mut spec = template(&["rate"], &[]);
    spec.args = Some(vec![
        argument("keep", "default"),
        argument("replace", "default"),
        declared("required"),
    ]);
    templates.insert("a", spec);
    let given = [
        argument("replace", "mine"),
        argument("required", "given"),
        argument("unknown", "x"),
    ];
    let built = build(&templates, &[named("a")], &given).unwrap();
    assert_eq!(
        built.args.unwrap(),
        [
            argument("keep", "default"),
            argument("replace", "mine"),
            argument("required", "given"),
        ]
    );
    let error = build(&templates, &[named("a")], &[]).unwrap_err();
    assert_eq!(error.field, "args");
    assert!(
        error.message.starts_with(
            "args.required was not resolved: give it a value, since AnalysisTemplate a"
        ),
        "{error}"
    );
}

#[test]
fn a_given_secret_replaces_a_default_value() {
    let mut templates = Templates::new();
    let mut spec = template(&["rate"], &[]);
    spec.args = Some(vec![argument("token", "none")]);
    templates.insert("a", spec);
    let secret = Argument {
        name: "token".to_owned(),
        value: None,
        value_from: Some(ValueFrom {
            secret_key_ref: Some(SecretKeyRef {
                name: "s".to_owned(),
                key: "k".to_owned(),
            }),
            field_ref: None,
        }),
    };
    let built = build(&templates, &[named("a")], std::slice::from_ref(&secret)).unwrap();
    assert_eq!(built.args.unwrap(), [secret]);
}

#[test]
fn one_argument_in_two_templates_must_have_one_value() {
    let with = |argument: Argument, metric: &str| AnalysisTemplateSpec {
        args: Some(vec![argument]),
        ..template(&[metric], &[])
    };
    let mut templates = Templates::new();
    templates.insert("a", with(argument("host", "x"), "a1"));
    templates.insert("same", with(argument("host", "x"), "b1"));
    templates.insert("none", with(declared("host"), "c1"));
    templates.insert("other", with(argument("host", "y"), "d1"));
    assert!(build(&templates, &[named("a"), named("same"), named("none")], &[]).is_ok());
    assert!(build(&templates, &[named("none"), named("a")], &[]).is_ok());
    let error = build(&templates, &[named("a"), named("other")], &[]).unwrap_err();
    assert_eq!(
        error.message,
        "argument 'host' is specified multiple times with different values: in AnalysisTemplate a and in AnalysisTemplate other"
    );
}

#[test]
fn rules_of_the_caller_come_before_rules_of_the_templates() {
    let rule = |name: &str| DryRun {
        metric_name: name.to_owned(),
    };
    let keep = |name: &str, limit| MeasurementRetention {
        metric_name: name.to_owned(),
        limit,
    };
    let mut spec = template(&["rate", "latency"], &[]);
    spec.dry_run = Some(vec![rule("rate"), rule("lat.*")]);
    spec.measurement_retention = Some(vec![keep("rate", 5)]);
    let mut templates = Templates::new();
    templates.insert("a", spec);
    let built = build_run_spec(
        &[named("a")],
        &templates,
        &[],
        &[rule("lat.*")],
        &[keep("rate", 50)],
    )
    .unwrap();
    assert_eq!(built.dry_run.unwrap(), [rule("lat.*"), rule("rate")]);
    assert_eq!(built.measurement_retention.unwrap(), [keep("rate", 50)]);
    let error = build_run_spec(&[named("a")], &templates, &[], &[rule("nope")], &[]).unwrap_err();
    assert!(
        error
            .message
            .contains("dryRun[0].metricName: Dry-Run metric rule 'nope' matches no metric")
    );
}

#[test]
fn a_metric_that_is_not_valid_is_named_with_its_template() {
    let mut templates = Templates::new();
    templates.insert("good", template(&["a"], &[]));
    templates.insert(
        "bad",
        AnalysisTemplateSpec {
            metrics: Some(vec![Metric {
                success_condition: Some("result[0] >= ".to_owned()),
                ..metric("b")
            }]),
            ..AnalysisTemplateSpec::default()
        },
    );
    let error = build(&templates, &[named("good"), named("bad")], &[]).unwrap_err();
    assert_eq!(error.field, "templates");
    assert!(
        error.message.starts_with(
            "AnalysisTemplate bad: metrics[1].successCondition: condition \"result[0] >= \" cannot be read: unexpected \
             end of expression"
        ),
        "{error}"
    );
}
