//! Leader election against an API server in memory.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{FakeApi, Fault};
use jiff::Timestamp;
use serde_json::json;
use sluice_runtime::clock::{Clock, TokioClock};
use sluice_runtime::kind::LEASE;
use sluice_runtime::leader::{Held, Leader};
use sluice_runtime::lease::Timing;
use sluice_runtime::{Fence, Key};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

fn candidate(server: &FakeApi, me: &str) -> (Leader, Fence) {
    let fence = Fence::shut();
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(
        Timestamp::from_second(1_800_000_000).unwrap(),
    ));
    let key = Key::new("argo-rollouts", "argo-rollouts-controller-lock");
    let leader = Leader::new(
        server.api(),
        fence.clone(),
        clock,
        Timing::default(),
        key,
        me.to_owned(),
    );
    (leader, fence)
}

fn holder(server: &FakeApi) -> String {
    let lease = server
        .get(&LEASE, "argo-rollouts", "argo-rollouts-controller-lock")
        .unwrap();
    lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_first_candidate_leads_at_once_and_renews() {
    let server = FakeApi::with(&[&LEASE]);
    let (mut leader, fence) = candidate(&server, "one");
    assert!(leader.acquire(&CancellationToken::new()).await);
    assert!(fence.is_open());
    let release = CancellationToken::new();
    let (token, kept) = (release.clone(), fence.clone());
    let held = tokio::spawn(async move { leader.hold(&token).await });
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(kept.is_open());
    release.cancel();
    assert_eq!(held.await.unwrap(), Held::Released);
    assert!(!fence.is_open());
    assert_eq!(holder(&server), "");
}

#[tokio::test(start_paused = true)]
async fn the_second_candidate_takes_over_at_once_after_a_release() {
    let server = FakeApi::with(&[&LEASE]);
    let (mut one, _) = candidate(&server, "one");
    let (mut two, two_fence) = candidate(&server, "two");
    let stop = CancellationToken::new();
    assert!(one.acquire(&stop).await);
    let release = CancellationToken::new();
    let token = release.clone();
    tokio::spawn(async move { one.hold(&token).await });
    let waiting = tokio::spawn(async move { two.acquire(&CancellationToken::new()).await });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!two_fence.is_open());
    release.cancel();
    let before = Instant::now();
    assert!(waiting.await.unwrap());
    assert!(
        before.elapsed() <= Duration::from_millis(4_500),
        "{:?}",
        before.elapsed()
    );
    assert_eq!(holder(&server), "two");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_died_is_replaced_after_its_lease() {
    let server = FakeApi::with(&[&LEASE]);
    let (mut one, _) = candidate(&server, "one");
    assert!(one.acquire(&CancellationToken::new()).await);
    let (mut two, _) = candidate(&server, "two");
    let before = Instant::now();
    assert!(two.acquire(&CancellationToken::new()).await);
    let waited = before.elapsed();
    assert!(
        waited >= Duration::from_secs(15) && waited <= Duration::from_secs(21),
        "{waited:?}"
    );
}

/// argo-rollouts#2291: two leaders at once.
#[tokio::test(start_paused = true)]
async fn r18_a_leader_that_cannot_renew_stops_before_another_may_begin() {
    let server = FakeApi::with(&[&LEASE]);
    let (mut leader, fence) = candidate(&server, "one");
    assert!(leader.acquire(&CancellationToken::new()).await);
    let acquired = Instant::now();
    server.fail("PATCH", "leases", 1_000, Fault::Hang);
    assert_eq!(leader.hold(&CancellationToken::new()).await, Held::Lost);
    assert!(!fence.is_open());
    assert!(
        acquired.elapsed() <= Duration::from_secs(10),
        "{:?}",
        acquired.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_does_not_cost_the_lead() {
    let server = FakeApi::with(&[&LEASE]);
    let (mut leader, fence) = candidate(&server, "one");
    assert!(leader.acquire(&CancellationToken::new()).await);
    server.fail("PATCH", "leases", 3, Fault::Answer(503, vec![], ""));
    let release = CancellationToken::new();
    let token = release.clone();
    let held = tokio::spawn(async move { leader.hold(&token).await });
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(fence.is_open());
    release.cancel();
    assert_eq!(held.await.unwrap(), Held::Released);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_taken_away_is_lost_at_the_next_renewal() {
    let server = FakeApi::with(&[&LEASE]);
    let (mut leader, fence) = candidate(&server, "one");
    assert!(leader.acquire(&CancellationToken::new()).await);
    server.edit(
        &LEASE,
        "argo-rollouts",
        "argo-rollouts-controller-lock",
        |lease| {
            lease["spec"]["holderIdentity"] = json!("thief");
        },
    );
    assert_eq!(leader.hold(&CancellationToken::new()).await, Held::Lost);
    assert!(!fence.is_open());
    assert_eq!(holder(&server), "thief");
}

#[tokio::test(start_paused = true)]
async fn a_renewal_whose_answer_was_lost_does_not_cost_the_lead() {
    let server = FakeApi::with(&[&LEASE]);
    let (mut leader, fence) = candidate(&server, "one");
    assert!(leader.acquire(&CancellationToken::new()).await);
    server.fail("PATCH", "leases", 1, Fault::LoseAnswer);
    let release = CancellationToken::new();
    let token = release.clone();
    let held = tokio::spawn(async move { leader.hold(&token).await });
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(fence.is_open());
    release.cancel();
    held.await.unwrap();
}
