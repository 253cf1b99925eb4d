//! References and fields that this build does not carry out: what a Rollout is refused for besides its own spec.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sluice_analysis::Templates;
use sluice_crds::rollout::Rollout;
use sluice_rollout::validation::{FieldError, condition_message, validate};
use sluice_rollout::{Service, Settings, World};

/// What surrounds a Rollout.
struct Around {
    services: BTreeMap<String, Service>,
    templates: Templates,
    routers: Vec<(String, String)>,
    workload: Option<Value>,
}

impl Around {
    /// Two fitting Services and three templates: `once`, `forever`, and `needs` with an argument.
    fn new() -> Self {
        let mut templates = Templates::new();
        let query = json!({"prometheus": {"query": "up{app='{{args.app}}'}"}});
        let metric = json!({"name": "m", "provider": {"web": {"url": "http://x"}}});
        let mut forever = metric.clone();
        forever["name"] = json!("f");
        forever["interval"] = json!("1m");
        for (name, spec) in [
            ("once", json!({"metrics": [metric]})),
            ("forever", json!({"metrics": [forever]})),
            (
                "needs",
                json!({"args": [{"name": "app"}], "metrics": [{"name": "n", "provider": query}]}),
            ),
            (
                "nested",
                json!({"templates": [{"templateName": "missing"}], "metrics": [metric]}),
            ),
        ] {
            templates.insert(name, serde_json::from_value(spec).expect("a template"));
        }
        let services = ["web-stable", "web-canary"]
            .map(|name| {
                let object = json!({
                    "metadata": {"name": name},
                    "spec": {"selector": {"app": "web", "rollouts-pod-template-hash": "abc"}}
                });
                (name.to_owned(), Service::from_object(&object))
            })
            .into();
        Self {
            services,
            templates,
            routers: Vec::new(),
            workload: None,
        }
    }

    fn errors(&self, canary: Value) -> Vec<FieldError> {
        self.errors_of(json!({
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]}
            },
            "strategy": {"canary": canary}
        }))
    }

    fn errors_of(&self, spec: Value) -> Vec<FieldError> {
        let rollout: Rollout = serde_json::from_value(json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": {"name": "web"},
            "spec": spec
        }))
        .expect("a Rollout");
        validate(&World {
            rollout: &rollout,
            replica_sets: &[],
            services: &self.services,
            pods: &[],
            analysis_runs: &[],
            experiments: &[],
            templates: &self.templates,
            traffic: if self.routers.is_empty() {
                Ok(&[])
            } else {
                Err(&self.routers)
            },
            workload: self.workload.as_ref(),
            settings: &Settings {
                instance_id: String::new(),
            },
            basis: None,
        })
    }

    fn texts(&self, canary: Value) -> Vec<String> {
        self.errors(canary)
            .iter()
            .map(ToString::to_string)
            .collect()
    }
}

fn services() -> Value {
    json!({"stableService": "web-stable", "canaryService": "web-canary"})
}

fn step(analysis: Value) -> Value {
    json!({"steps": [{"setWeight": 5}, {"analysis": analysis}]})
}

#[test]
fn what_fits_together_is_fine() {
    let around = Around::new();
    let mut canary = services();
    canary["steps"] = json!([
        {"setWeight": 5},
        {"analysis": {"templates": [{"templateName": "once"}]}},
        {"analysis": {
            "templates": [{"templateName": "needs"}],
            "args": [{"name": "app", "valueFrom": {"podTemplateHashValue": "Latest"}}]
        }},
        {"pause": {"duration": "5m"}}
    ]);
    canary["analysis"] = json!({"templates": [{"templateName": "forever"}], "startingStep": 1});
    assert_eq!(around.texts(canary), Vec::<String>::new());
}

#[test]
fn a_service_that_does_not_exist_is_named() {
    let mut around = Around::new();
    around.services.remove("web-stable");
    assert_eq!(
        around.texts(services()),
        [
            "spec.strategy.canary.stableService: Invalid value: \"web-stable\": service \"web-stable\" not found"
        ]
    );
}

#[test]
fn a_service_must_select_the_pods() {
    let mut around = Around::new();
    let service = around.services.get_mut("web-canary").unwrap();
    service
        .selector
        .insert("tier".to_owned(), "front".to_owned());
    assert_eq!(
        around.texts(services()),
        [
            "spec.strategy.canary.canaryService: Invalid value: \"web-canary\": \
          Service \"web-canary\" has unmatch label \"tier\" in rollout"
        ]
    );
}

#[test]
fn a_service_follows_one_rollout() {
    let mut around = Around::new();
    let service = around.services.get_mut("web-canary").unwrap();
    let key = sluice_crds::names::MANAGED_BY_ROLLOUTS;
    service.annotations.insert(key.to_owned(), "web".to_owned());
    assert_eq!(around.texts(services()), Vec::<String>::new());
    let service = around.services.get_mut("web-canary").unwrap();
    service
        .annotations
        .insert(key.to_owned(), "shop".to_owned());
    assert_eq!(
        around.texts(services()),
        [
            "spec.strategy.canary.canaryService: Invalid value: \"web-canary\": \
          Service \"web-canary\" is managed by another Rollout"
        ]
    );
}

#[test]
fn templates_must_exist() {
    let around = Around::new();
    for (reference, error) in [
        (
            json!({"templateName": "gone"}),
            "templates[0].templateName: Invalid value: \"gone\": AnalysisTemplate 'gone' not found",
        ),
        (
            json!({"templateName": "once", "clusterScope": true}),
            "templates[0].templateName: Invalid value: \"once\": ClusterAnalysisTemplate 'once' not found",
        ),
        (
            json!({"templateName": "nested"}),
            "templates[0].templateName: Invalid value: \"nested\": AnalysisTemplate 'missing' not found \
             (named by AnalysisTemplate nested)",
        ),
    ] {
        assert_eq!(
            around.texts(step(json!({"templates": [reference]}))),
            [format!("spec.strategy.canary.steps[1].analysis.{error}")]
        );
        assert_eq!(
            around.texts(json!({"analysis": {"templates": [reference]}})),
            [format!("spec.strategy.canary.analysis.{error}")]
        );
    }
}

#[test]
fn an_analysis_names_a_template() {
    let errors = Around::new().texts(step(json!({})));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0]
            .starts_with("spec.strategy.canary.steps[1].analysis.templates: no template is named")
    );
}

#[test]
fn a_step_may_not_measure_for_ever_but_the_background_may() {
    let around = Around::new();
    let errors = around.texts(step(json!({"templates": [{"templateName": "forever"}]})));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("steps[1].analysis") && errors[0].contains("runs indefinitely"),
        "{errors:?}"
    );
    let background = json!({"analysis": {"templates": [{"templateName": "forever"}]}});
    assert_eq!(around.texts(background), Vec::<String>::new());
}

#[test]
fn an_argument_must_have_a_value() {
    let around = Around::new();
    let sourceless = json!({"templates": [{"templateName": "needs"}], "args": [{"name": "app"}]});
    assert!(around.texts(step(sourceless))[0].contains("args.app was not resolved"));
    let errors = around.texts(step(json!({"templates": [{"templateName": "needs"}]})));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("args.app was not resolved"),
        "{errors:?}"
    );
}

#[test]
fn routers_that_cannot_be_driven_are_passed_on() {
    let mut around = Around::new();
    let field = "spec.strategy.canary.trafficRouting.istio";
    around.routers = vec![(field.to_owned(), "this router is not supported".to_owned())];
    let mut canary = services();
    canary["trafficRouting"] = json!({"istio": {"virtualService": {"name": "v"}}});
    assert_eq!(
        around.texts(canary),
        [format!("{field}: this router is not supported")]
    );
}

#[test]
fn an_experiment_step_is_refused_for_what_its_experiment_would_be() {
    let around = Around::new();
    let experiment = |experiment: Value| {
        let mut canary = services();
        canary["trafficRouting"] = json!({"plugins": {"x/y": {}}});
        canary["steps"] = json!([{"setWeight": 90}, {"experiment": experiment}]);
        around.texts(canary)
    };
    let good = json!({
        "duration": "5m",
        "templates": [{"name": "a", "specRef": "stable", "weight": 5}, {"name": "b", "specRef": "canary", "weight": 5}],
        "analyses": [{"name": "x", "templateName": "needs",
            "args": [{"name": "app", "value": "{{templates.a.podTemplateHash}}"}]}],
        "dryRun": [{"metricName": "n"}]
    });
    assert_eq!(experiment(good.clone()), Vec::<String>::new());
    let field = "spec.strategy.canary.steps[1].experiment";
    for (pointer, value, expected) in [
        (
            "/duration",
            json!("soon"),
            format!("{field}.duration: Invalid value: \"soon\": "),
        ),
        (
            "/templates",
            json!([]),
            format!("{field}.templates: Required value: name at least one"),
        ),
        (
            "/templates/1/name",
            json!("a"),
            format!("{field}.templates[1].name: Duplicate value: \"a\""),
        ),
        (
            "/templates/1/name",
            json!(""),
            format!("{field}.templates[1].name: Required value"),
        ),
        (
            "/templates/0/specRef",
            json!("new"),
            format!(
                "{field}.templates[0].specRef: Unsupported value: \"new\": supported values: \"canary\", \"stable\""
            ),
        ),
        (
            "/templates/1/weight",
            json!(6),
            format!(
                "{field}.templates[1].weight: Invalid value: 6: the weights of this step and of the canary sum to 101"
            ),
        ),
        (
            "/analyses/0/name",
            json!(""),
            format!("{field}.analyses[0].name: Required value"),
        ),
        (
            "/analyses/0/templateName",
            json!("gone"),
            format!("{field}.analyses[0].templates[0].templateName: Invalid value: \"gone\": "),
        ),
        (
            "/dryRun/0/metricName",
            json!("gone"),
            format!(
                "{field}.analyses[0].templates: dryRun[0].metricName: Dry-Run metric rule 'gone'"
            ),
        ),
    ] {
        let mut wrong = good.clone();
        *wrong.pointer_mut(pointer).expect("a field") = value;
        let texts = experiment(wrong);
        assert!(
            texts.iter().any(|text| text.starts_with(&expected)),
            "{expected}: {texts:?}"
        );
    }
}

#[test]
fn header_and_mirror_steps_are_accepted_when_the_routers_carry_them() {
    let mut canary = services();
    canary["trafficRouting"] = json!({
        "plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "web"}},
        "managedRoutes": [{"name": "h"}]
    });
    canary["steps"] = json!([
        {"pause": {}},
        {"setCanaryScale": {"replicas": 1}},
        {"setHeaderRoute": {"name": "h"}},
        {"setMirrorRoute": {"name": "h"}},
        {"pause": {}}
    ]);
    assert_eq!(Around::new().errors(canary), []);
}

#[test]
fn a_wrong_type_in_the_template_is_named() {
    let errors = Around::new().errors_of(json!({
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": "http"}]}]}
        },
        "strategy": {"canary": {}}
    }));
    assert_eq!(
        condition_message("web", &errors[0]),
        "The Rollout \"web\" is invalid: spec.template.spec.containers[0].ports[0].containerPort: \
         Invalid value: \"http\": must be a 32-bit whole number"
    );
}

fn template() -> Value {
    json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]}
    })
}

#[test]
fn as_many_old_sets_may_wait_as_are_kept() {
    for (limit, errors) in [(2, 0), (3, 0), (4, 1)] {
        let strategy = json!({"activeService": "web-stable", "scaleDownDelayRevisionLimit": limit});
        let told = Around::new().errors_of(json!({
            "revisionHistoryLimit": 3, "selector": {"matchLabels": {"app": "web"}},
            "template": template(), "strategy": {"blueGreen": strategy}
        }));
        assert_eq!(told.len(), errors, "{told:?}");
    }
}

#[test]
fn a_part_of_the_pods_is_one_that_can_be_reached() {
    let field = "spec.strategy.canary.replicaProgressThreshold";
    let amount = "must be 1 or more, and for type Percent 100 or less";
    for (kind, value, told) in [
        ("Percent", json!(1), None),
        ("Percent", json!(100), None),
        ("Pods", json!(101), None),
        (
            "Percent",
            json!(101),
            Some(format!("{field}.value: Invalid value: 101: {amount}")),
        ),
        (
            "Pods",
            json!(0),
            Some(format!("{field}.value: Invalid value: 0: {amount}")),
        ),
        (
            "Pods",
            json!(null),
            Some(format!("{field}.value: Invalid value: 0: {amount}")),
        ),
        (
            "Half",
            json!(1),
            Some(format!("{field}.type: Unsupported value: \"Half\"")),
        ),
    ] {
        let threshold = json!({"type": kind, "value": value});
        let errors = Around::new().texts(json!({"replicaProgressThreshold": threshold}));
        assert_eq!(errors.len(), usize::from(told.is_some()), "{errors:?}");
        let told = told.unwrap_or_default();
        assert!(
            errors.iter().all(|error| error.starts_with(&told)),
            "{errors:?}"
        );
    }
}

#[test]
fn shares_of_an_experiment_need_a_router_that_can_split_so_finely() {
    let istio = json!({"istio": {"virtualService": {"name": "v"}}});
    for (routing, able) in [
        (json!({"alb": {"ingress": "i", "servicePort": 80}}), true),
        (json!({"smi": {}}), true),
        (istio, true),
        (
            json!({"traefik": {"weightedTraefikServiceName": "t"}}),
            true,
        ),
        (json!({"plugins": {"x/y": {}}}), true),
        (json!({"nginx": {"stableIngress": "i"}}), false),
        (Value::Null, false),
    ] {
        let mut canary = services();
        canary["trafficRouting"] = routing.clone();
        canary["steps"] = json!([{"experiment": {
            "duration": "5m", "templates": [{"name": "a", "specRef": "canary", "weight": 5}]
        }}]);
        let errors = Around::new().texts(canary);
        let told = errors
            .iter()
            .any(|error| error.contains("Experiment template weight"));
        assert_eq!(told, !able, "{routing}: {errors:?}");
    }
}

#[test]
fn a_load_balancer_of_aws_compares_whole_headers_only() {
    for (value, fine) in [
        (json!({"exact": "yes"}), true),
        (json!({"exact": ""}), false),
        (json!({"prefix": "y"}), false),
        (json!({"exact": "yes", "regex": "y.*"}), false),
    ] {
        let mut canary = services();
        canary["trafficRouting"] =
            json!({"alb": {"ingress": "i", "servicePort": 80}, "managedRoutes": [{"name": "h"}]});
        canary["steps"] = json!([{"setHeaderRoute": {
            "name": "h", "match": [{"headerName": "x", "headerValue": value}]
        }}]);
        let errors = Around::new().texts(canary);
        assert_eq!(errors.is_empty(), fine, "{value}: {errors:?}");
    }
}

#[test]
fn what_an_experiment_needs_must_end_by_itself() {
    for (required, errors) in [(json!(true), 1), (json!(false), 0), (Value::Null, 0)] {
        let mut canary = services();
        canary["steps"] = json!([{"experiment": {
            "templates": [{"name": "a", "specRef": "canary"}],
            "analyses": [{"name": "x", "templateName": "forever", "requiredForCompletion": required}]
        }}]);
        let told = Around::new().texts(canary);
        assert_eq!(told.len(), errors, "{told:?}");
        assert!(
            told.iter().all(|error| error.contains("runs indefinitely")),
            "{told:?}"
        );
    }
}

#[test]
fn a_router_adds_nothing_to_a_field_that_is_wrong_already() {
    let mut around = Around::new();
    around.services.remove("web-stable");
    let field = "spec.strategy.canary.stableService";
    let other = "spec.strategy.canary.trafficRouting.plugins";
    for field in [field, other] {
        around
            .routers
            .push((field.to_owned(), "cannot be driven".to_owned()));
    }
    let mut canary = services();
    canary["trafficRouting"] = json!({"plugins": {"x/y": {}}});
    let errors = around.texts(canary);
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with(field) && errors[0].ends_with("not found"));
    assert_eq!(errors[1], format!("{other}: cannot be driven"));
}

#[test]
fn a_workload_is_told_once_what_is_wrong_with_it() {
    let deployment = json!({"spec": {
        "selector": {"matchLabels": {"app": "web"}}, "template": template()
    }});
    let bare = json!({"template": {"spec": template()["spec"]}});
    let named =
        |kind: &str, name: &str| json!({"apiVersion": "apps/v1", "kind": kind, "name": name});
    for (reference, workload, told) in [
        (named("Deployment", "old"), Some(deployment.clone()), None),
        (
            named("Deployment", "old"),
            None,
            Some("Deployment \"old\" not found"),
        ),
        (named("StatefulSet", "old"), None, Some("StatefulSet")),
        (named("Deployment", ""), None, Some("spec.workloadRef.name")),
        (
            named("PodTemplate", "old"),
            Some(bare),
            Some("the selector of PodTemplate \"old\" is empty"),
        ),
    ] {
        let mut around = Around::new();
        around.workload = workload;
        let errors =
            around.errors_of(json!({"workloadRef": reference, "strategy": {"canary": {}}}));
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), usize::from(told.is_some()), "{texts:?}");
        assert!(
            texts
                .iter()
                .all(|text| text.contains(told.unwrap_or_default())),
            "{texts:?}"
        );
    }
}
