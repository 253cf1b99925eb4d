//! Experiments in `get rollout` and `get experiment`, over a Rollout at an experiment step: these snapshots are their
//! layout.

use serde_json::{Value, json};
use sluice_crds::split::{Split, WeightedService};
use sluice_gitops_sources::yaml;
use sluice_traffic::{ObjectRef, Patch, RouteEdit};

use super::ExperimentView;
use crate::fake;
use crate::get::snapshot::Snapshot;
use crate::get::tests::{now, patch, snapshot};
use crate::get::{View, weights};
use crate::paint::Paint;

/// A Rollout at an experiment step and what belongs to it; its HTTPRoute is as the product writes it.
pub(crate) fn fixture() -> Vec<Value> {
    let documents = yaml::parse(include_str!("web.yaml"), yaml::Budget::default()).unwrap();
    let mut objects: Vec<Value> = documents.into_iter().map(|one| one.value).collect();
    let snapshot = snapshot(&objects);
    let beside = weights::told_beside(&snapshot.rollout);
    let split = Split {
        max: 100,
        canary: 20,
        canary_service: "web-canary".to_owned(),
        stable_service: "web-stable".to_owned(),
        canary_hash: Some("6fbd9".to_owned()),
        stable_hash: Some("5c4d8".to_owned()),
        additional: beside
            .into_iter()
            .map(|(service, weight)| WeightedService {
                service,
                hash: String::new(),
                weight,
                ports: vec![80],
            })
            .collect(),
        routes: weights::routes(&snapshot.rollout),
    };
    tell(&mut objects, &snapshot, &split);
    objects
}

/// Carries out what the routers are to be told.
fn tell(objects: &mut [Value], snapshot: &Snapshot, split: &Split) {
    let routes = snapshot.routes.clone();
    let lookup = |wanted: &ObjectRef| routes.iter().find(|route| wanted.names(route));
    for edit in sluice_traffic::edits(&snapshot.rollout, split, &lookup) {
        let RouteEdit::Patch {
            object,
            patch: Patch::Json(operations),
            ..
        } = edit
        else {
            panic!("{edit:?}");
        };
        let route = objects.iter_mut().find(|it| object.names(it)).unwrap();
        let operations: json_patch::Patch = serde_json::from_value(operations).unwrap();
        json_patch::patch(route, &operations).unwrap();
    }
}

fn of_rollout(objects: &[Value]) -> String {
    snapshot(objects).text(now(), Paint::new(false))
}

fn experiment(objects: &[Value]) -> ExperimentView {
    let experiment = objects.iter().find(|it| it["kind"] == "Experiment");
    ExperimentView::of(experiment.unwrap(), objects, Vec::new()).unwrap()
}

fn of_experiment(objects: &[Value]) -> String {
    experiment(objects).text(now(), Paint::new(false))
}

#[test]
fn a_rollout_at_an_experiment_step_shows_the_experiment_its_shares_and_its_routes() {
    insta::assert_snapshot!(of_rollout(&fixture()));
}

#[test]
fn an_experiment_shows_its_templates_with_pods_its_analysis_and_how_long_it_runs() {
    insta::assert_snapshot!(of_experiment(&fixture()));
}

#[test]
fn a_fixture_that_is_at_rest_has_nothing_to_be_done() {
    let objects = fixture();
    assert_eq!(snapshot(&objects).plan(now()).unwrap().effects, []);
    assert_eq!(experiment(&objects).plan(now()).unwrap().effects, []);
}

#[test]
fn an_experiment_that_has_failed_says_why_and_how_long_its_pods_stay() {
    let mut objects = fixture();
    let failed = json!({ "status": { "phase": "Failed", "message": "Metric \"error-rate\" assessed Failed",
        "analysisRuns": [{ "name": "errors", "analysisRun": "web-6fbd9-2-2-errors", "phase": "Failed" }],
        "templateStatuses": [
            { "name": "baseline", "status": "Successful" }, { "name": "candidate", "status": "Successful" }
        ] } });
    patch(&mut objects, "Experiment", "web-6fbd9-2-2", &failed);
    for set in ["web-6fbd9-2-2-baseline", "web-6fbd9-2-2-candidate"] {
        let until = json!({ "scale-down-deadline": "2026-03-01T12:00:45Z" });
        let deadline = json!({ "metadata": { "annotations": until } });
        patch(&mut objects, "ReplicaSet", set, &deadline);
    }
    let text = of_experiment(&objects);
    assert!(
        text.contains(
            "Status:          ✖ Failed\nMessage:         Metric \"error-rate\" assessed Failed\n"
        ),
        "{text}"
    );
    assert!(text.contains("Σ:baseline,delay:25s"), "{text}");
    assert!(
        text.contains(
            "Decision:        failed: Metric \"error-rate\" assessed Failed; web-6fbd9-2-2-baseline is kept for another 25s"
        ),
        "{text}"
    );
    assert!(!text.contains("remaining:"), "{text}");
}

#[test]
fn routes_that_somebody_took_away_are_seen_beside_those_that_are_wanted() {
    let mut objects = fixture();
    let route = objects.iter_mut().find(|it| it["kind"] == "HTTPRoute");
    let rules = route.unwrap()["spec"]["rules"].as_array_mut().unwrap();
    rules.remove(0);
    let text = of_rollout(&objects);
    assert!(
        text.contains(
            "route wanted: beta (header x-beta = yes), HTTPRoute demo/web differs from what it was told"
        ),
        "{text}"
    );
    assert!(text.contains("Decision:"), "{text}");
}

#[test]
fn an_experiment_that_cannot_be_read_is_named_and_the_rest_is_shown() {
    let mut objects = fixture();
    let broken = json!({ "spec": { "templates": 3 } });
    patch(&mut objects, "Experiment", "web-6fbd9-2-2", &broken);
    let text = of_rollout(&objects);
    assert!(
        text.contains("Not shown:       Experiment web-6fbd9-2-2 ("),
        "{text}"
    );
    assert!(text.contains("⧉ web-6fbd9 "), "{text}");
}

#[tokio::test]
async fn pods_of_templates_are_asked_for_by_their_own_labels() {
    let objects = fixture();
    let (cluster, record) = fake::cluster(move |line, _| {
        let of = |kind: &str, app: &str| -> Vec<Value> {
            objects
                .iter()
                .filter(|it| it["kind"] == kind)
                .filter(|it| app.is_empty() || it["metadata"]["labels"]["app"] == app)
                .cloned()
                .collect()
        };
        let app = line
            .split("labelSelector=app%3D")
            .nth(1)
            .unwrap_or_default();
        match line {
            line if line.contains("/rollouts/web") => (200, of("Rollout", "")[0].clone()),
            line if line.contains("/experiments/web") => (200, of("Experiment", "")[0].clone()),
            line if line.contains("/experiments?") => fake::list(&of("Experiment", "")),
            line if line.contains("/replicasets?") => fake::list(&of("ReplicaSet", app)),
            line if line.contains("/analysisruns?") => fake::list(&of("AnalysisRun", "")),
            line if line.contains("/analysistemplates?") => fake::list(&of("AnalysisTemplate", "")),
            line if line.contains("/httproutes/web") => (200, of("HTTPRoute", "")[0].clone()),
            line if line.contains("/services/") => {
                let services = of("Service", "");
                let named = |it: &&Value| line.ends_with(it["metadata"]["name"].as_str().unwrap());
                (200, services.iter().find(named).unwrap().clone())
            }
            _ => fake::list(&[]),
        }
    });
    let rollout = Snapshot::read(&cluster, "web").await.unwrap();
    assert_eq!(rollout.owned.sets.len(), 2);
    assert_eq!(rollout.experiments[0].owned.sets.len(), 2);
    assert_eq!(rollout.experiments[0].owned.runs.len(), 1);
    assert_eq!(rollout.unread, []);
    let view = ExperimentView::read(&cluster, "web-6fbd9-2-2")
        .await
        .unwrap();
    assert_eq!(view.owned.sets.len(), 2);
    assert_eq!(view.unread, []);
    assert_eq!(view.plan(now()).unwrap().effects, []);
    assert_eq!(record.writes(), []);
    let watched: Vec<Option<String>> = View::below(&rollout).into_iter().map(|it| it.1).collect();
    let app = |name: &str| Some(format!("app={name}"));
    for name in ["web", "web-baseline", "web-candidate"] {
        let times = watched.iter().filter(|it| **it == app(name)).count();
        assert_eq!(times, 2, "{name}: {watched:?}");
    }
}
