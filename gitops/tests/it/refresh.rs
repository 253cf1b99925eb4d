//! When Git is looked at again.

use crate::support::application;
use jiff::{SignedDuration, Timestamp};
use sluice_crds::application::operation::{Operation, SyncOperation};
use sluice_crds::names;
use sluice_gitops::refresh::{Interval, Level, Memory, level, next};

const INTERVAL: Interval = Interval {
    every: SignedDuration::from_secs(180),
    jitter: SignedDuration::ZERO,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn memory() -> Memory {
    Memory {
        asked_at: Some(at(0)),
        sources: application("{}").spec.sources().to_vec(),
        ..Memory::default()
    }
}

#[test]
fn git_is_looked_at_first_and_then_every_interval() {
    let app = application("{}");
    assert_eq!(
        level(&app, &Memory::default(), INTERVAL, at(0)),
        Level::Latest
    );
    assert_eq!(level(&app, &memory(), INTERVAL, at(179)), Level::Known);
    assert_eq!(level(&app, &memory(), INTERVAL, at(180)), Level::Latest);
}

#[test]
fn people_and_webhooks_can_ask_for_more() {
    let mut app = application("{}");
    for (value, expected) in [
        ("normal", Level::Latest),
        ("hard", Level::Hard),
        ("", Level::Latest),
    ] {
        app.metadata.annotations = Some([(names::REFRESH.to_owned(), value.to_owned())].into());
        assert_eq!(level(&app, &memory(), INTERVAL, at(1)), expected, "{value}");
    }
    let asked = Memory {
        requested: Some(Level::Latest),
        ..memory()
    };
    assert_eq!(
        level(&application("{}"), &asked, INTERVAL, at(1)),
        Level::Latest
    );
}

#[test]
fn another_source_is_looked_at_at_once() {
    let mut app = application("{}");
    app.spec.source.as_mut().unwrap().path = Some("elsewhere".to_owned());
    assert_eq!(level(&app, &memory(), INTERVAL, at(1)), Level::Latest);
}

#[test]
fn an_order_for_the_newest_revision_looks_once() {
    let mut app = application("{}");
    let mut order = Operation {
        sync: Some(SyncOperation::default()),
        ..Operation::default()
    };
    app.operation = Some(order.clone());
    assert_eq!(level(&app, &memory(), INTERVAL, at(1)), Level::Latest);
    app.status = serde_json::from_value(
        serde_json::json!({"operationState": {"operation": order, "phase": "Running"}}),
    )
    .unwrap();
    assert_eq!(level(&app, &memory(), INTERVAL, at(1)), Level::Known);
    order.sync.as_mut().unwrap().revision = Some("c1".to_owned());
    app.operation = Some(order);
    assert_eq!(level(&app, &memory(), INTERVAL, at(1)), Level::Known);
}

#[test]
fn after_a_failure_git_is_asked_again_soon() {
    let app = application("{}");
    for (failures, wait) in [(1, 3), (2, 6), (3, 12), (4, 24), (5, 30), (100, 30)] {
        let memory = Memory {
            failures,
            ..memory()
        };
        assert_eq!(next(&app, &memory, INTERVAL), Some(at(wait)), "{failures}");
    }
}

#[test]
fn applications_spread_their_looks_over_the_jitter() {
    let interval = Interval {
        every: SignedDuration::from_secs(120),
        jitter: SignedDuration::from_secs(60),
    };
    let mut times = std::collections::BTreeSet::new();
    for n in 0..50 {
        let mut app = application("{}");
        app.metadata.name = Some(format!("app-{n}"));
        let time = next(&app, &memory(), interval).unwrap();
        assert!(time >= at(120) && time < at(180));
        assert_eq!(
            next(&app, &memory(), interval),
            Some(time),
            "always the same"
        );
        times.insert(time);
    }
    assert!(times.len() > 40);
}
