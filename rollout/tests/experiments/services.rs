//! Services of templates.

use serde_json::{Value, json};
use sluice_rollout::experiment::Refused;

use crate::fixtures::{Cluster, spec};

fn with_service(service: Value) -> Cluster {
    let mut spec = spec(json!({ "duration": "1m", "scaleDownDelaySeconds": 5 }));
    spec["templates"][0]["service"] = service;
    Cluster::new(spec)
}

#[test]
fn a_service_is_named_like_its_set_and_selects_its_pods() {
    let mut cluster = with_service(json!({}));
    cluster.settle();
    let service = &cluster.made[0];
    assert_eq!(service.name, "exp-old");
    assert_eq!(service.selector, cluster.sets[0].labels);
    assert_eq!(
        service.annotations["experiment.argoproj.io/template-name"],
        "old"
    );
    assert_eq!(service.ports[0].port, 8080);
    let status = &cluster.status().template_statuses.as_ref().unwrap()[0];
    assert_eq!(status.service_name.as_deref(), Some("exp-old"));
    assert_eq!(status.pod_template_hash.as_deref(), cluster.sets[0].hash());
    cluster.run_to_the_end();
    assert!(cluster.services.is_empty(), "it goes with its pods");
    let status = &cluster.status().template_statuses.as_ref().unwrap()[0];
    assert_eq!(status.service_name, None);
}

#[test]
fn a_service_may_have_a_name_of_its_own_and_another_one_later() {
    let mut cluster = with_service(json!({ "name": "mine" }));
    cluster.settle();
    assert_eq!(cluster.services[0].name, "mine");
    cluster.experiment.spec.templates.as_mut().unwrap()[0]
        .service
        .as_mut()
        .unwrap()
        .name = Some("other".to_owned());
    cluster.settle();
    let names: Vec<&str> = cluster.services.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["other"]);
    cluster.experiment.spec.templates.as_mut().unwrap()[0].service = None;
    cluster.settle();
    assert!(cluster.services.is_empty());
}

#[test]
fn the_service_of_a_template_that_left_the_spec_is_deleted() {
    let mut cluster = with_service(json!({}));
    cluster.settle();
    cluster
        .experiment
        .spec
        .templates
        .as_mut()
        .unwrap()
        .remove(0);
    cluster.settle();
    assert!(cluster.services.is_empty());
}

#[test]
fn several_ports_have_names_and_each_port_comes_once() {
    let mut spec = spec(json!({ "duration": "1m" }));
    spec["templates"][0]["service"] = json!({});
    spec["templates"][0]["template"]["spec"]["containers"] = json!([
        { "name": "a", "image": "a", "ports": [{ "containerPort": 80, "name": "http" }, { "containerPort": 53, "protocol": "UDP" }] },
        { "name": "b", "image": "b", "ports": [{ "containerPort": 80 }, { "containerPort": 53 }] }
    ]);
    let mut cluster = Cluster::new(spec);
    cluster.settle();
    let ports: Vec<String> = cluster.made[0]
        .ports
        .iter()
        .map(|port| {
            format!(
                "{} {} {}",
                port.protocol,
                port.port,
                port.name.as_deref().unwrap()
            )
        })
        .collect();
    assert_eq!(ports, ["TCP 80 http", "UDP 53 udp-53", "TCP 53 tcp-53"]);
}

#[test]
fn without_ports_there_is_no_service_and_the_status_says_why() {
    let mut spec = spec(json!({ "duration": "1m" }));
    spec["templates"][0]["service"] = json!({});
    spec["templates"][0]["template"]["spec"]["containers"] = json!([{ "name": "a", "image": "a" }]);
    let mut cluster = Cluster::new(spec);
    cluster.settle();
    assert!(cluster.services.is_empty());
    assert_eq!(
        cluster.template("old"),
        (
            "Running",
            "Template 'old' has no Service, since no container of it names a port"
        )
    );
}

#[test]
fn a_service_that_the_api_refuses_is_an_error_of_the_template() {
    let mut cluster = with_service(json!({ "name": "taken" }));
    cluster.refused.push(Refused {
        kind: "Service",
        name: "taken".to_owned(),
        message: "services \"taken\" already exists".to_owned(),
        taken: true,
    });
    cluster.settle();
    assert_eq!(
        cluster.template("old"),
        (
            "Error",
            "Failed to create Service taken for template 'old': services \"taken\" already exists"
        )
    );
    assert_eq!(cluster.phase(), "Error");
}

#[test]
fn a_service_stays_until_the_last_of_its_pods_is_gone() {
    let mut cluster = with_service(json!({}));
    cluster.settle();
    let told = |cluster: &Cluster| {
        let status = cluster.status().template_statuses.clone().unwrap();
        (cluster.services.len(), status[0].service_name.clone())
    };
    let there = (1, Some("exp-old".to_owned()));
    assert_eq!(told(&cluster), there);
    cluster.wait(60);
    cluster.settle();
    assert_eq!(
        (cluster.phase(), told(&cluster)),
        ("Successful", there.clone())
    );
    let status = cluster.status().template_statuses.clone().unwrap();
    assert_eq!(
        status[0].pod_template_hash.as_deref(),
        cluster.sets[0].hash()
    );
    // Pods that are not available may be again.
    cluster.broken.push("old");
    cluster.settle();
    assert_eq!(cluster.sets[0].available, 0);
    assert_eq!(told(&cluster), there);
    cluster.wait(5);
    cluster.settle();
    assert_eq!(told(&cluster), (0, None));
}

#[test]
fn a_single_port_needs_no_name_and_may_be_written_with_a_fraction_of_zero() {
    let mut cluster = with_service(json!({}));
    let template = &mut cluster.experiment.spec.templates.as_mut().unwrap()[0];
    let pods = template.template.as_mut().unwrap();
    pods.fields_mut()["spec"]["containers"][0]["ports"][0]["containerPort"] = json!(80.0);
    cluster.settle();
    let ports = &cluster.made[0].ports;
    assert_eq!((ports.len(), ports[0].port, &ports[0].name), (1, 80, &None));
}

#[test]
fn what_the_api_refuses_of_others_is_no_error_of_this_service() {
    for (kind, name) in [("Service", "exp-new"), ("AnalysisRun", "exp-old")] {
        let mut cluster = with_service(json!({}));
        let refused = Refused {
            kind,
            name: name.to_owned(),
            message: "no".to_owned(),
            taken: false,
        };
        assert_eq!(refused.to_string(), format!("{kind} {name} is refused: no"));
        cluster.refused.push(refused);
        cluster.settle();
        assert_eq!(cluster.template("old"), ("Running", ""));
        assert_eq!(cluster.services.len(), 1);
    }
}
