//! The `job` provider: what its Job looks like, and what the Job's state means.

use serde_json::{Value, json};
use sluice_analysis::job::Place;
use sluice_analysis::{Outcome, Phase, job};
use sluice_crds::Time;
use sluice_crds::analysis::{AnalysisRun, Measurement, Metric};

use crate::support::{Story, at, metric, phase, result, run};

fn job_metric(provider: Value) -> Metric {
    serde_json::from_value(json!({ "name": "smoke", "provider": { "job": provider } })).unwrap()
}

fn owner() -> AnalysisRun {
    let mut owner = run(vec![]);
    owner.metadata.namespace = Some("shop".to_owned());
    owner.metadata.uid = Some("0d7c1b70-1a7b-4a46-9f39-0f2e0d6a5c11".to_owned());
    owner
}

fn made(run: &AnalysisRun, metric: &Metric) -> Result<Value, String> {
    job::object(run, metric, 1, &Place::default(), None)
}

fn smoke() -> Metric {
    job_metric(json!({ "spec": { "template": { "spec": {} } } }))
}

#[test]
fn a_job_has_the_name_the_marks_and_the_owner_that_others_know() {
    let metric = job_metric(json!({
        "metadata": { "labels": { "team": "a" }, "annotations": { "why": "b" } },
        "spec": { "backoffLimit": 1, "template": { "spec": { "restartPolicy": "Never",
            "containers": [{ "name": "c", "image": "i" }] } } }
    }));
    let object = job::object(&owner(), &metric, 3, &Place::default(), Some("me")).unwrap();
    insta::assert_json_snapshot!(object);
    assert!(job::is_ours(
        &object,
        owner().metadata.uid.as_ref().unwrap(),
        "smoke"
    ));
    assert!(!job::is_ours(&object, "other", "smoke"));
    assert!(!job::is_ours(
        &object,
        owner().metadata.uid.as_ref().unwrap(),
        "smoke-2"
    ));
}

#[test]
fn a_job_without_a_pod_template_is_refused_in_words() {
    for (provider, expected) in [
        (json!({}), "job.spec is missing"),
        (json!({ "spec": {} }), "job.spec.template is missing"),
    ] {
        let error = made(&owner(), &job_metric(provider)).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    assert!(made(&owner(), &metric("rate")).is_err());
}

#[test]
fn names_fit_into_a_label() {
    let uid = owner().metadata.uid.unwrap();
    assert_eq!(job::name("u", "smoke", 1), "u.smoke.1");
    assert_eq!(job::name("u", "smoke-", 1), "u.smoke.1");
    let long = job::name(&uid, "a-metric-with-a-very-long-name-indeed", 12);
    assert!(long.len() <= 63 && long.ends_with(".12"), "{long}");
    assert_eq!(
        job::name(&uid, "abcdefghijklmnopqrstuvw-x-and-more", 1),
        format!("{uid}.abcdefghijklmnopqrstuvw.1")
    );
    let strange = job::name(&uid, "ääääääääääääääääääääääää", 1);
    assert!(strange.len() <= 63, "{strange}");
}

fn measurement() -> Measurement {
    Measurement {
        started_at: Some(Time(at(0))),
        ..Measurement::default()
    }
}

#[test]
fn the_longer_a_job_runs_the_more_rarely_it_is_looked_at() {
    for (seconds, wait) in [
        (0, 1),
        (1, 1),
        (7, 3),
        (8, 4),
        (5_000, 100),
        (31_536_000, 3_600),
    ] {
        let Outcome::Resume { resume_at, .. } =
            job::observe(&json!({}), &[], &measurement(), at(seconds))
        else {
            panic!("running");
        };
        assert_eq!(resume_at, Some(at(seconds + wait)), "after {seconds} s");
    }
}

fn condition(kind: &str, status: &str) -> Value {
    json!({ "status": { "conditions": [
        { "type": kind, "status": status, "reason": "BackoffLimitExceeded", "message": "too often" }
    ] } })
}

#[test]
fn the_end_of_a_job_is_the_verdict() {
    let look = |job: Value| job::observe(&job, &[], &measurement(), at(8));
    for (object, expected, why) in [
        (condition("Complete", "True"), Phase::Successful, None),
        (
            condition("Failed", "True"),
            Phase::Failed,
            Some("BackoffLimitExceeded: too often"),
        ),
    ] {
        let Outcome::Finished { phase, message, .. } = look(object) else {
            panic!("finished");
        };
        assert_eq!((phase, message.as_deref()), (expected, why));
    }
    for running in [
        json!({}),
        condition("Complete", "False"),
        condition("Suspended", "True"),
    ] {
        let Outcome::Resume { resume_at, .. } = look(running) else {
            panic!("running");
        };
        assert_eq!(resume_at, Some(at(12)), "after the root of twice 8 seconds");
    }
}

/// argo-rollouts#4602: a Job whose image could not be pulled had measured nothing, and counted as good.
#[test]
fn r15_an_image_that_cannot_be_pulled_is_inconclusive_and_other_waiting_is_not() {
    let pod = |key: &str, reason: &str| {
        json!({ "metadata": { "name": "p" }, "status": { key: [
            { "name": "c", "state": { "waiting": { "reason": reason, "message": "no such image" } } } ] } })
    };
    for (key, reason, given_up) in [
        ("containerStatuses", "ErrImagePull", true),
        ("initContainerStatuses", "ImagePullBackOff", true),
        ("containerStatuses", "InvalidImageName", true),
        ("containerStatuses", "ContainerCreating", false),
        ("containerStatuses", "CrashLoopBackOff", false),
    ] {
        match job::observe(&json!({}), &[pod(key, reason)], &measurement(), at(1)) {
            Outcome::Finished { phase, message, .. } => {
                assert!(given_up, "{reason}");
                assert_eq!(phase, Phase::Inconclusive);
                let expected =
                    format!("Pod p, container c has terminal error ({reason}): no such image");
                assert_eq!(message, Some(expected));
            }
            _ => assert!(!given_up, "{reason}"),
        }
    }
}

#[test]
fn a_long_job_is_looked_at_again_and_counts_once() {
    let mut story = Story::new(run(vec![metric("job")]));
    let plan = story.decide();
    assert_eq!(plan.measure[0].resume, None);
    story.absorb("job", job::begun("the-job", "shop", at(0)));
    let known = result(&story.run, "job").measurements.unwrap()[0].clone();
    assert_eq!(job::of_measurement(&known), Some("the-job"));
    assert_eq!(job::of_measurement(&Measurement::default()), None);
    for seconds in [1, 60, 3_600, 90_000] {
        story.seconds = seconds;
        let plan = story.decide();
        let resume = plan.measure[0].resume.clone().unwrap();
        assert_eq!(job::of_measurement(&resume), Some("the-job"));
        assert_eq!(plan.measure[0].number, 1);
        story.absorb("job", job::observe(&json!({}), &[], &resume, at(seconds)));
        assert_eq!(phase(&story.run), Phase::Running);
    }
    let done = job::observe(&condition("Failed", "True"), &[], &known, at(90_010));
    story.absorb("job", done);
    assert_eq!(phase(&story.run), Phase::Failed);
    let counted = result(&story.run, "job");
    assert_eq!((counted.count, counted.failed), (Some(1), Some(1)));
}

/// The owner, the namespace, and the mark of the maker of a Job that is made in a place.
fn marks(place: &Place) -> (bool, String, Option<String>) {
    let object = job::object(&owner(), &smoke(), 1, place, Some("me")).unwrap();
    let metadata = &object["metadata"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    (
        metadata["ownerReferences"].is_array(),
        text(&metadata["namespace"]).unwrap(),
        text(&metadata["annotations"]["sluice.dev/made-by"]),
    )
}

#[test]
fn a_job_has_its_run_as_the_owner_only_in_the_namespace_of_the_run() {
    let me = || Some("me".to_owned());
    for (namespace, other_cluster, expected) in [
        (None, false, (true, "shop", None)),
        (Some("shop"), false, (true, "shop", None)),
        (Some("jobs"), false, (false, "jobs", me())),
        (None, true, (false, "shop", me())),
        (Some("shop"), true, (false, "shop", me())),
        (Some("jobs"), true, (false, "jobs", me())),
    ] {
        let place = Place {
            namespace: namespace.map(str::to_owned),
            other_cluster,
        };
        let (owned, at, maker) = expected;
        assert_eq!(marks(&place), (owned, at.to_owned(), maker), "{place:?}");
        assert_eq!(place.owned_by(&owner()), owned);
        assert_eq!(place.is_elsewhere(), place != Place::default());
    }
}

#[test]
fn whose_a_job_is_its_owner_tells_and_without_one_its_marks() {
    let place = Place {
        namespace: Some("jobs".to_owned()),
        other_cluster: true,
    };
    let run = owner();
    let uid = run.metadata.uid.clone().unwrap();
    let ours = job::object(&run, &smoke(), 1, &place, Some("me")).unwrap();
    let found = job::run_of(&ours).unwrap();
    assert_eq!(Some(&found.name), run.metadata.name.as_ref());
    assert_eq!((found.namespace.as_str(), &found.uid), ("shop", &uid));
    assert_eq!((found.owned, found.maker.as_deref()), (false, Some("me")));
    assert!(job::is_ours(&ours, &uid, "smoke"));
    assert!(!job::is_ours(&ours, "other", "smoke"));
    assert!(!job::is_ours(&ours, &uid, "smoke-2"));
    let unmarked = job::object(&run, &smoke(), 1, &place, None).unwrap();
    assert_eq!(job::run_of(&unmarked).unwrap().maker, None);
    let owned = job::run_of(&made(&run, &smoke()).unwrap()).unwrap();
    assert!(owned.owned && owned.namespace == "shop" && owned.uid == uid);

    type Change = fn(&mut Value);
    let others: [Change; 6] = [
        |job| job["metadata"]["labels"] = json!({}),
        |job| job["metadata"]["annotations"]["analysisrun.argoproj.io/name"] = json!("../x"),
        |job| job["metadata"]["annotations"]["analysisrun.argoproj.io/namespace"] = json!("a/b"),
        |job| job["metadata"]["annotations"] = json!({}),
        // Owned by something else, whatever its label says.
        |job| {
            job["metadata"]["ownerReferences"] =
                json!([{ "kind": "CronJob", "name": "c", "uid": "c", "controller": true }]);
        },
        |job| *job = json!("no object"),
    ];
    for change in others {
        let mut other = ours.clone();
        change(&mut other);
        assert_eq!(job::run_of(&other), None, "{other}");
        assert!(!job::is_ours(&other, &uid, "smoke"));
    }
}

#[test]
fn a_measurement_says_where_its_job_is_in_names_that_are_names() {
    let with = |name: &str, namespace: &str| {
        serde_json::from_value::<Measurement>(json!({
            "phase": "Running", "metadata": { "job-name": name, "job-namespace": namespace }
        }))
        .unwrap()
    };
    let known = with("u.smoke.1", "jobs");
    assert_eq!(job::of_measurement(&known), Some("u.smoke.1"));
    assert_eq!(job::namespace_of_measurement(&known), Some("jobs"));
    assert_eq!(job::namespace_of_measurement(&Measurement::default()), None);
    for strange in ["", "..", "a/b", "a?b", "a%2fb"] {
        let measurement = with(strange, strange);
        assert_eq!(job::of_measurement(&measurement), None, "{strange}");
        assert_eq!(job::namespace_of_measurement(&measurement), None);
    }
}
