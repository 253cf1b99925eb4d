//! The gates of automated sync, one by one.

use crate::support::{application, yaml};
use jiff::Timestamp;
use serde_json::json;
use sluice_crds::application::Application;
use sluice_crds::application::Operation;
use sluice_gitops::auto_sync::{Closed, Gates, Verdict, decide};
use sluice_gitops::compare::{Comparison, ResourceState, SyncCode};
use sluice_gitops::key::Key;
use sluice_gitops::quarantine::Hold;

fn state(name: &str, sync: SyncCode, pruning: bool) -> ResourceState {
    ResourceState {
        key: Key::new("", "ConfigMap", "shop", name),
        version: "v1".to_owned(),
        wave: 0,
        sync,
        wanted: !pruning,
        live: true,
        health: None,
        changes: Vec::new(),
        requires_pruning: pruning,
        requires_confirmation: false,
        extraneous_is_fine: false,
    }
}

fn comparison(resources: Vec<ResourceState>) -> Comparison {
    let sync = resources
        .iter()
        .map(|resource| resource.sync)
        .max()
        .unwrap_or_default();
    Comparison {
        resources,
        sync,
        conditions: Vec::new(),
    }
}

fn different() -> Comparison {
    comparison(vec![
        state("a", SyncCode::OutOfSync, false),
        state("b", SyncCode::Synced, false),
    ])
}

fn verdict(app: &Application, comparison: &Comparison) -> Verdict {
    gate(app, comparison, &Hold::default(), Ok(()))
}

fn gate(
    app: &Application,
    comparison: &Comparison,
    hold: &Hold,
    window: Result<(), &str>,
) -> Verdict {
    let now: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
    decide(&Gates {
        app,
        comparison,
        revisions: &["c2".to_owned()],
        hold,
        window,
        now,
    })
}

/// An Application whose last sync was to a revision and ended in a phase at 00:00:09.
fn after(policy: &str, revision: &str, phase: &str, heals: i64) -> Application {
    let mut app = application(policy);
    let source = app.spec.source.clone();
    app.status = serde_json::from_value(json!({"operationState": {
        "phase": phase,
        "message": "why",
        "operation": {"sync": {"autoHealAttemptsCount": heals}},
        "startedAt": "2026-01-01T00:00:08Z",
        "finishedAt": "2026-01-01T00:00:09Z",
        "syncResult": {"revision": revision, "source": source},
    }}))
    .unwrap();
    app
}

fn started(verdict: Verdict) -> Operation {
    match verdict {
        Verdict::Start(operation) => *operation,
        other => panic!("{other:?}"),
    }
}

#[test]
fn sync_must_be_automated() {
    for policy in ["{}", "{automated: {enabled: false}}"] {
        let verdict = verdict(&application(policy), &different());
        assert_eq!(verdict, Verdict::Nothing(Closed::NotAutomated), "{policy}");
    }
    let operation = started(verdict(&application("{automated: {}}"), &different()));
    let sync = operation.sync.unwrap();
    assert_eq!((sync.revision.as_deref(), sync.prune), (Some("c2"), None));
    assert_eq!(operation.initiated_by.unwrap().automated, Some(true));
    assert_eq!(operation.retry.unwrap().limit, Some(5));
}

#[test]
fn the_retry_policy_of_the_application_is_used() {
    let app =
        application("{automated: {prune: true}, retry: {limit: 2}, syncOptions: [PruneLast=true]}");
    let operation = started(verdict(&app, &different()));
    assert_eq!(operation.retry.unwrap().limit, Some(2));
    let sync = operation.sync.unwrap();
    assert_eq!(sync.prune, Some(true));
    assert_eq!(sync.sync_options.unwrap(), ["PruneLast=true"]);
}

#[test]
fn nothing_starts_while_something_runs_or_the_application_goes() {
    let mut app = application("{automated: {}}");
    app.operation = Some(Operation::default());
    assert_eq!(verdict(&app, &different()), Verdict::Nothing(Closed::Busy));
    let mut app = application("{automated: {}}");
    app.metadata.deletion_timestamp = Some(sluice_crds::Time(Timestamp::UNIX_EPOCH));
    assert_eq!(
        verdict(&app, &different()),
        Verdict::Nothing(Closed::Deleting)
    );
}

#[test]
fn only_out_of_sync_counts() {
    let app = application("{automated: {}}");
    for sync in [SyncCode::Synced, SyncCode::Unknown] {
        let verdict = verdict(&app, &comparison(vec![state("a", sync, false)]));
        assert_eq!(verdict, Verdict::Nothing(Closed::NotOutOfSync));
    }
}

#[test]
fn deletions_alone_need_prune() {
    let found = comparison(vec![
        state("a", SyncCode::OutOfSync, true),
        state("b", SyncCode::Synced, false),
    ]);
    let app = application("{automated: {}}");
    assert_eq!(verdict(&app, &found), Verdict::Nothing(Closed::OnlyPruning));
    started(verdict(&application("{automated: {prune: true}}"), &found));
}

#[test]
fn a_revision_that_failed_is_not_tried_again_even_with_self_heal() {
    for phase in ["Failed", "Error"] {
        let verdict = verdict(
            &after("{automated: {selfHeal: true}}", "c2", phase, 0),
            &different(),
        );
        assert_eq!(
            verdict,
            Verdict::Refused("Failed last sync attempt to [c2]: why".to_owned())
        );
    }
    started(verdict(
        &after("{automated: {}}", "c1", "Failed", 0),
        &different(),
    ));
}

#[test]
fn other_parameters_are_another_attempt() {
    let mut app = after("{automated: {}}", "c2", "Failed", 0);
    app.spec.source.as_mut().unwrap().helm =
        serde_json::from_value(yaml("{parameters: [{name: tag, value: '2'}]}")).unwrap();
    started(verdict(&app, &different()));
}

#[test]
fn a_revision_that_was_applied_is_healed_only_when_that_is_wanted() {
    let app = after("{automated: {}}", "c2", "Succeeded", 0);
    assert_eq!(
        verdict(&app, &different()),
        Verdict::Nothing(Closed::NoSelfHeal)
    );
    let app = after("{automated: {selfHeal: true}}", "c2", "Succeeded", 0);
    let sync = started(verdict(&app, &different())).sync.unwrap();
    let resources = sync.resources.unwrap();
    assert_eq!((resources.len(), resources[0].name.as_str()), (1, "a"));
    assert_eq!(
        (
            resources[0].group.as_deref(),
            resources[0].namespace.as_deref()
        ),
        (None, None)
    );
    assert_eq!(sync.auto_heal_attempts_count, Some(1));
}

#[test]
fn healing_waits_longer_each_time() {
    for (heals, wait) in [
        (0, None),
        (1, Some(2)),
        (2, Some(6)),
        (3, Some(18)),
        (9, Some(300)),
    ] {
        let app = after("{automated: {selfHeal: true}}", "c2", "Succeeded", heals);
        let finished: Timestamp = "2026-01-01T00:00:09Z".parse().unwrap();
        match (verdict(&app, &different()), wait) {
            (Verdict::Start(_), None) => {}
            (Verdict::Later(at), Some(wait)) => {
                assert_eq!(at.duration_since(finished).as_secs(), wait, "{heals}");
            }
            (other, _) => panic!("{heals}: {other:?}"),
        }
    }
}

#[test]
fn a_sync_must_not_wipe_everything_out() {
    let found = comparison(vec![state("a", SyncCode::OutOfSync, true)]);
    assert_eq!(
        verdict(&application("{automated: {prune: true}}"), &found),
        Verdict::Refused(
            "Skipping sync attempt to [c2]: auto-sync will wipe out all resources".to_owned()
        )
    );
    started(verdict(
        &application("{automated: {prune: true, allowEmpty: true}}"),
        &found,
    ));
}

#[test]
fn a_window_that_is_shut_keeps_a_sync_from_starting() {
    let app = application("{automated: {}}");
    assert_eq!(
        gate(&app, &different(), &Hold::default(), Err("night")),
        Verdict::Nothing(Closed::Window("night".to_owned()))
    );
}

#[test]
fn a_quarantined_rendering_is_not_tried() {
    let hold = Hold {
        rendering: true,
        ..Hold::default()
    };
    let app = after("{automated: {selfHeal: true}}", "c1", "Succeeded", 0);
    assert_eq!(
        gate(&app, &different(), &hold, Ok(())),
        Verdict::Nothing(Closed::Quarantined)
    );
    // Not retried either, and no error: the quarantine says it all.
    let app = after("{automated: {selfHeal: true}}", "c2", "Failed", 0);
    assert_eq!(
        gate(&app, &different(), &hold, Ok(())),
        Verdict::Nothing(Closed::Quarantined)
    );
}
