//! The text of `app diff` over observed objects.

use serde_json::json;
use sluice_gitops::compare::LiveState;
use sluice_gitops::key::GroupKind;
use sluice_gitops::scope::Scope;

use super::*;

fn outcome() -> Outcome {
    let placement = Placement {
        app: "web".to_owned(),
        namespace: "demo".to_owned(),
    };
    let scope = Scope::new([
        (GroupKind::new("", "ConfigMap"), true),
        (GroupKind::new("", "Secret"), true),
        (GroupKind::new("apps", "Deployment"), true),
    ]);
    let config = |value: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings" }, "data": { "mode": value } });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "password" }, "stringData": { "password": "hunter2" }
    });
    let deployment =
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "api" } });
    let rendered = [config("fast"), secret, deployment];
    let targets = manifest::targets(&rendered, &placement, &scope).unwrap();
    let mut live = LiveState {
        scope,
        ..LiveState::default()
    };
    let mut predictions = Predictions::new();
    let mut add = |target: &Value, live_object: Value, prediction: Prediction| {
        let key = Key::of(target);
        live.objects.insert(key.clone(), live_object);
        predictions.insert(key, prediction);
    };
    let settings = targets
        .plain(&Key::new("", "ConfigMap", "demo", "settings"))
        .unwrap()
        .object
        .clone();
    let mut slow = settings.clone();
    slow["data"]["mode"] = json!("slow");
    slow["data"]["old"] = json!("1");
    add(&settings, slow, Ok(settings.clone()));
    let api = targets
        .plain(&Key::new("apps", "Deployment", "demo", "api"))
        .unwrap()
        .object
        .clone();
    add(
        &api,
        api.clone(),
        Err(compare::PredictionError::Rejected(
            "spec.selector: field is immutable".to_owned(),
        )),
    );
    let mut former = config("x");
    former["metadata"] = json!({ "name": "former", "namespace": "demo", "annotations": {
        "argocd.argoproj.io/tracking-id": "web:/ConfigMap:demo/former"
    } });
    live.objects.insert(Key::of(&former), former);
    let comparison = compare::compare(
        &targets,
        &live,
        &predictions,
        &compare::Context {
            placement: &placement,
            destination: &Default::default(),
            project: &project::implicit_default(),
            rules: &Rules::default(),
            options: &SyncOptions::default(),
        },
    );
    let observed = Observed { live, predictions };
    Outcome {
        commit: "4f2c1a9e4f2c1a9e4f2c1a9e4f2c1a9e4f2c1a9e".to_owned(),
        targets,
        observed,
        comparison,
    }
}

#[test]
fn each_difference_is_shown_by_field_and_no_secret_is() {
    let (text, differs) = outcome().text();
    assert!(differs);
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn without_a_difference_it_is_said_what_it_was_compared_with() {
    let mut outcome = outcome();
    outcome.comparison = Comparison::default();
    assert_eq!(
        outcome.text(),
        ("No difference to 4f2c1a9.\n".to_owned(), false)
    );
}
