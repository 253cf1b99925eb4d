//! The selector and the pod template: names, numbers, times, volumes.

use serde_json::{Value, json};
use sluice_crds::rollout::Rollout;

use crate::errors_of_one_alone;

fn errors_of(spec: Value) -> Vec<String> {
    let rollout: Rollout = serde_json::from_value(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "web"}, "spec": spec
    }))
    .expect("a Rollout");
    let errors = errors_of_one_alone(&rollout);
    errors.iter().map(ToString::to_string).collect()
}

fn of_template(template: Value) -> Vec<String> {
    errors_of(json!({
        "selector": {"matchLabels": {"app": "web"}}, "template": template,
        "strategy": {"canary": {}}
    }))
}

fn template() -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]}
    })
}

#[test]
fn names_have_the_length_and_the_characters_that_kubernetes_allows() {
    let a = |length: usize| "a".repeat(length);
    let long = |most: usize| format!("must be no more than {most} characters");
    let label = |key: String, value: &str| {
        let mut template = template();
        template["metadata"]["labels"][key] = json!(value);
        template
    };
    let container = |name: String| {
        let mut template = template();
        template["spec"]["containers"][0]["name"] = json!(name);
        template
    };
    let port = |name: String| {
        let mut template = template();
        template["spec"]["containers"][0]["ports"] =
            json!([{"containerPort": 80, "protocol": "TCP", "name": name}]);
        template
    };
    let dots = |length: usize| format!("{}/x", ["a"; 127].join(".") + &a(length - 253));
    let fine = String::new();
    for (template, told) in [
        (label(a(63), "x"), fine.clone()),
        (label(a(64), "x"), long(63)),
        (label(a(65), "x"), long(63)),
        (label("x".to_owned(), &a(63)), fine.clone()),
        (label("x".to_owned(), &a(64)), long(63)),
        (label("x".to_owned(), &a(65)), long(63)),
        (label(dots(253), "x"), fine.clone()),
        (label(dots(254), "x"), long(253)),
        (label(dots(255), "x"), long(253)),
        (
            label("x".to_owned(), "-a"),
            "a valid label must be".to_owned(),
        ),
        (
            label("x".to_owned(), "a-"),
            "a valid label must be".to_owned(),
        ),
        (
            label("x".to_owned(), "a b"),
            "a valid label must be".to_owned(),
        ),
        (container(a(63)), fine.clone()),
        (container(a(64)), long(63)),
        (container(a(65)), long(63)),
        (
            container("a.b".to_owned()),
            "must not contain dots".to_owned(),
        ),
        (port(a(15)), fine.clone()),
        (port(a(16)), long(15)),
        (port(a(17)), long(15)),
        (
            port("-a".to_owned()),
            "must not begin or end with a hyphen".to_owned(),
        ),
        (
            port("a-".to_owned()),
            "must not begin or end with a hyphen".to_owned(),
        ),
        (
            port("a--b".to_owned()),
            "must not contain consecutive hyphens".to_owned(),
        ),
        (
            port("80".to_owned()),
            "must contain at least one letter (a-z)".to_owned(),
        ),
        (
            port("a_b".to_owned()),
            "must contain only alpha-numeric characters".to_owned(),
        ),
    ] {
        let errors = of_template(template.clone());
        assert_eq!(errors.is_empty(), told.is_empty(), "{template}: {errors:?}");
        assert!(
            errors.iter().all(|error| error.contains(&told)),
            "{told}: {errors:?}"
        );
    }
}

#[test]
fn numbers_and_times_of_the_template_must_fit_their_fields() {
    let probe = |port: Value| {
        json!({"containers": [{"name": "web", "image": "web:1",
        "livenessProbe": {"httpGet": {"port": port}}}]})
    };
    let grace = |seconds: Value| {
        json!({"terminationGracePeriodSeconds": seconds,
        "containers": [{"name": "web", "image": "web:1"}]})
    };
    let ports = |port: Value| {
        json!({"containers": [{"name": "web", "image": "web:1",
        "ports": [{"containerPort": port, "protocol": "TCP"}]}]})
    };
    let long = "x".repeat(70);
    for (spec, told) in [
        (ports(json!(80.0)), None),
        (
            ports(json!(80.5)),
            Some("80.5: must be a 32-bit whole number".to_owned()),
        ),
        (
            ports(json!(3e9)),
            Some("must be a 32-bit whole number".to_owned()),
        ),
        (
            ports(json!(1e30)),
            Some("must be a 32-bit whole number".to_owned()),
        ),
        (grace(json!(30)), None),
        (
            grace(json!(30.5)),
            Some("30.5: must be a whole number".to_owned()),
        ),
        (
            grace(json!(1e30)),
            Some("must be a whole number".to_owned()),
        ),
        (probe(json!("http")), None),
        (
            probe(json!(80.5)),
            Some("80.5: must be a whole number or a string".to_owned()),
        ),
        (
            probe(json!(3e9)),
            Some("must be a whole number or a string".to_owned()),
        ),
        // With its quotes it is as long as it may be.
        (
            ports(json!(long[..58])),
            Some(format!("\"{}\": must be", &long[..58])),
        ),
        (
            ports(json!(long[..59])),
            Some(format!("\"{}…: must be", &long[..56])),
        ),
        (
            ports(json!(long)),
            Some(format!("\"{}…: must be", &long[..56])),
        ),
    ] {
        let mut template = template();
        template["spec"] = spec;
        let errors = of_template(template);
        match told {
            None => assert_eq!(errors, Vec::<String>::new()),
            Some(told) => assert!(
                errors.iter().any(|it| it.contains(&told)),
                "{told}: {errors:?}"
            ),
        }
    }
    let mut template = template();
    for (time, errors) in [("2026-11-21T12:00:00Z", 0), ("soon", 1)] {
        template["metadata"]["creationTimestamp"] = json!(time);
        let told = of_template(template.clone());
        assert_eq!(told.len(), errors, "{told:?}");
    }
}

#[test]
fn a_volume_has_one_source_and_null_is_none() {
    for (volume, errors) in [
        (json!({"name": "v", "emptyDir": {}}), 0),
        (
            json!({"name": "v", "emptyDir": null, "configMap": {"name": "c"}}),
            0,
        ),
        (
            json!({"name": "v", "emptyDir": {}, "configMap": {"name": "c"}}),
            1,
        ),
    ] {
        let mut template = template();
        template["spec"]["volumes"] = json!([volume]);
        let told = of_template(template);
        assert_eq!(told.len(), errors, "{told:?}");
    }
}

#[test]
fn an_operator_that_needs_no_values_has_none() {
    for (operator, values, told) in [
        ("Exists", json!(null), None),
        ("DoesNotExist", json!([]), None),
        ("In", json!(["web"]), None),
        ("Exists", json!(["web"]), Some("may not be specified when")),
        ("In", json!([]), Some("must be specified when")),
        ("Near", json!([]), Some("not a valid selector operator")),
    ] {
        let key = if operator == "DoesNotExist" {
            "other"
        } else {
            "app"
        };
        let errors = errors_of(json!({
            "selector": {
                "matchLabels": {"app": "web"},
                "matchExpressions": [{"key": key, "operator": operator, "values": values}]
            },
            "template": template(), "strategy": {"canary": {}}
        }));
        match told {
            None => assert_eq!(errors, Vec::<String>::new(), "{operator}"),
            Some(told) => assert!(errors[0].contains(told), "{errors:?}"),
        }
    }
}
