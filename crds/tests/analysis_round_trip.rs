//! Templates, runs and experiments come out of decode and encode as they went in.

use kube::CustomResourceExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sluice_crds::analysis::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate};
use sluice_crds::decode;
use sluice_crds::experiment::Experiment;

#[track_caller]
fn is_unchanged<T: DeserializeOwned + Serialize>(text: &str) -> T {
    let manifest: Value = serde_saphyr::from_str(text).expect("test manifest is YAML");
    let decoded: T = decode::decode(&manifest).expect("manifest decodes");
    assert_eq!(
        serde_json::to_value(&decoded).expect("it can be written"),
        manifest
    );
    decoded
}

#[test]
fn a_template_with_every_field_is_unchanged() {
    let text = include_str!("analysis/template-all-fields.yaml");
    let template = is_unchanged::<AnalysisTemplate>(text);
    let kinds: Vec<_> = template
        .spec
        .metrics
        .iter()
        .flatten()
        .flat_map(|metric| metric.provider.kinds())
        .collect();
    assert_eq!(
        kinds,
        [
            "prometheus",
            "web",
            "web",
            "job",
            "datadog",
            "newRelic",
            "wavefront",
            "cloudWatch",
            "graphite",
            "influxdb",
            "skywalking",
            "kayenta",
            "plugin",
        ]
    );
    is_unchanged::<ClusterAnalysisTemplate>(
        &text.replace("kind: AnalysisTemplate", "kind: ClusterAnalysisTemplate"),
    );
}

#[test]
fn a_run_with_every_field_is_unchanged() {
    is_unchanged::<AnalysisRun>(include_str!("analysis/run-all-fields.yaml"));
}

#[test]
fn an_experiment_with_every_field_is_unchanged() {
    let experiment =
        is_unchanged::<Experiment>(include_str!("analysis/experiment-all-fields.yaml"));
    assert_eq!(experiment.spec.progress_deadline_seconds(), 30);
    assert_eq!(Experiment::default().spec.scale_down_delay_seconds(), 30);
}

#[test]
fn a_wrong_type_is_refused_with_its_field() {
    let text = include_str!("analysis/run-all-fields.yaml").replace("limit: 3", "limit: many");
    let manifest: Value = serde_saphyr::from_str(&text).unwrap();
    let error = decode::decode::<AnalysisRun>(&manifest).unwrap_err();
    assert_eq!(error.field, "spec.measurementRetention[0].limit");
}

#[test]
fn the_kinds_have_the_names_scopes_and_subresources_of_upstream() {
    for (crd, short, scope) in [
        (AnalysisRun::crd(), "ar", "Namespaced"),
        (AnalysisTemplate::crd(), "at", "Namespaced"),
        (ClusterAnalysisTemplate::crd(), "cat", "Cluster"),
        (Experiment::crd(), "exp", "Namespaced"),
    ] {
        let kind = &crd.spec.names.kind;
        assert_eq!(
            crd.spec.names.short_names.as_deref().unwrap(),
            [short],
            "{kind}"
        );
        assert_eq!(crd.spec.scope, scope, "{kind}");
        assert!(crd.spec.versions[0].subresources.is_none(), "{kind}");
        let size = serde_json::to_string(&crd).unwrap().len();
        assert!(size < 64 * 1024, "{kind}: {size} bytes");
    }
}
