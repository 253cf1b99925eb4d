//! The simulated API server gives the same answers as a real one: random sequences of the requests that the engines, the
//! controllers and the tools around them send are played on both, and compared after each request.
//!
//! | what | file |
//! |---|---|
//! | what may be asked | `kinds.yaml`, `metadata.yaml`, `kinds` |
//! | one request | `step` |
//! | sequences from seeds | `generate` |
//! | the two servers | `servers` |
//! | uids and versions of one in words of both; what is not compared | `names` |
//! | a sequence on both | `play` |
//! | sequences that once told the two apart | `known.yaml` |
//!
//! A sequence that tells them apart is made small and printed; with a word on why it goes into `known.yaml` when the store is mended.

mod generate;
mod kinds;
mod names;
mod play;
mod servers;
mod step;

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use kube::Client;
use serde::Deserialize;
use serde_json::Value;
use sluice_e2e::cluster::{apply, control_plane};
use sluice_e2e::install;
use sluice_e2e::progress::Reporter;
use sluice_simulation::shrink;

use kinds::Kinds;
use play::{Counts, Difference, play};
use step::{Class, Step};

/// Random sequences.
const SEQUENCES: u64 = 200;
/// Requests of each.
const LENGTH: usize = 40;
/// Sequences at a time: the real server spends most of a request on waiting for etcd.
const AT_A_TIME: usize = 4;
/// Differences, each of another sort, that are printed with a small sequence.
const SHOWN: usize = 12;

/// A sequence that once told the servers apart.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    #[serde(rename = "why")]
    _why: String,
    steps: Vec<Step>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the programs of `cargo xtask install`"]
async fn the_simulated_api_server_answers_as_the_real_one() -> Result<()> {
    let kinds: &'static Kinds = Box::leak(Box::new(Kinds::load()?));
    let plane = control_plane(false).await?;
    let client = plane.client().await?;
    definitions(&client).await?;

    // Another stretch of seeds can be asked for.
    let first = match std::env::var("SLUICE_STORE_SEED") {
        Ok(seed) => seed.parse().context("SLUICE_STORE_SEED is no number")?,
        Err(_) => 0,
    };
    let began = Instant::now();
    let known: Vec<Known> =
        serde_saphyr::from_str(include_str!("known.yaml")).context("known.yaml")?;
    let random = (first..first + SEQUENCES).map(|seed| generate::sequence(kinds, seed, LENGTH));
    let sequences: Vec<Vec<Step>> = known.into_iter().map(|it| it.steps).chain(random).collect();
    let count = sequences.len();
    let played = futures::stream::iter(sequences)
        .map(|steps| {
            let client = client.clone();
            async move {
                let (counts, difference) = play(kinds, &client, &steps).await?;
                anyhow::Ok((steps, counts, difference))
            }
        })
        .buffered(AT_A_TIME);
    let played: Vec<(Vec<Step>, Counts, Option<Difference>)> = played.try_collect().await?;

    let mut counts = Counts::default();
    let mut differences = Vec::new();
    for (steps, own, difference) in played {
        counts.add(&own);
        differences.extend(difference.map(|it| (steps, it)));
    }
    let requests: u64 = counts.0.values().sum();
    let took = began.elapsed().as_secs();
    println!("{count} sequences, {requests} requests in {took} s:\n{counts}");
    let mut kinds_of = BTreeSet::new();
    let others = differences
        .iter()
        .filter(|(_, it)| kinds_of.insert(it.signature()));
    for (steps, difference) in others.take(SHOWN) {
        let small = smallest(kinds, &client, steps, difference).await?;
        println!("{difference}\n{}\n", step::list(&small));
    }
    ensure!(
        differences.is_empty(),
        "{} of {count} sequences tell the two servers apart",
        differences.len()
    );
    for class in [
        Class::NotFound,
        Class::AlreadyExists,
        Class::Conflict,
        Class::Invalid,
    ] {
        let seen = counts.0.keys().any(|(_, seen)| *seen == Some(class));
        ensure!(seen, "no request was refused as {class:?}");
    }
    Ok(())
}

/// The smallest part of a sequence that still tells the servers apart in the same way.
async fn smallest(
    kinds: &'static Kinds,
    client: &Client,
    steps: &[Step],
    difference: &Difference,
) -> Result<Vec<Step>> {
    let runtime = tokio::runtime::Handle::current();
    let mut failed = None;
    let small = tokio::task::block_in_place(|| {
        shrink::smallest(steps, |steps| {
            match runtime.block_on(play(kinds, client, steps)) {
                Ok((_, found)) => found.is_some_and(|it| it.signature() == difference.signature()),
                Err(error) => {
                    failed = Some(error);
                    false
                }
            }
        })
    });
    failed.map_or(Ok(small), Err)
}

/// Installs the definitions of the kinds that are not built in, and waits until they are served.
async fn definitions(client: &Client) -> Result<()> {
    let mut crds: Vec<Value> = sluice_crds::crd::all()
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()?;
    let manifests = install::manifests(&Reporter::silent()).await?;
    let routes = manifests.crds.into_iter().find(|crd| {
        crd.pointer("/metadata/name").and_then(Value::as_str)
            == Some("httproutes.gateway.networking.k8s.io")
    });
    crds.push(routes.context("the installed manifests hold no HTTPRoute")?);
    apply::crds(client, &crds).await
}
