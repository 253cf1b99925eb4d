//! Many Rollouts updated at once: how long it takes, what it costs, and how fast cause is followed by effect.
//!
//! The cause is the status of a ReplicaSet that says that more of its pods are available; the effect is the next weight
//! on the Rollout's router. Both moments are those at which this program sees them through its own watches.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use kube::api::DynamicObject;
use serde_json::Value;

use super::figures::{Figure, Latencies, Unit};
use super::fleet::{Fleet, PATIENCE};
use super::manifests::replica_sets;
use super::rest::megabytes;
use super::watch::{Seen, Watch};

/// Old ReplicaSets keep their pods for 30 s after the promotion; what follows then belongs to the update too.
const SCALE_DOWN: Duration = Duration::from_secs(45);

/// A ReplicaSet: its Rollout, its own name, and how many of its pods are available.
type Pods = (String, String, i64);

/// Measures it.
///
/// # Errors
/// When not all Rollouts come to the end of their update.
#[expect(
    clippy::cast_precision_loss,
    reason = "there are far fewer than 2^52 Rollouts"
)]
pub async fn measure(fleet: &mut Fleet) -> Result<Vec<Figure>> {
    let (stage, controller) = (&fleet.stage, fleet.controller()?);
    let names = fleet.updated();
    let router = stage.settings.router;
    let mut rollouts = stage.watch_rollouts();
    let mut pods = Watch::start(stage.api(&replica_sets()), available);
    let mut weights = Watch::start(stage.api(&router.resource()), move |object| {
        router.weight(object)
    });
    // What is there already has been seen when the clock starts.
    tokio::time::sleep(Duration::from_secs(3)).await;
    rollouts.drain();

    controller.forget_peak();
    let requests = controller.requests().await?;
    let before = controller.usage()?;
    let began = Instant::now();
    let update = stage.for_each("update", names, |_, name| async move {
        stage.update(&name, "v2").await
    });
    // They move together: the first is promoted not long before the last.
    let patience = PATIENCE + Duration::from_secs(1) * u32::try_from(names.len())?;
    let patient = stage.all_healthy("promoted", &mut rollouts, names, patience, |_| true);
    let ((), last) = tokio::try_join!(update, patient)?;
    let total = last.duration_since(began);
    let step = stage.reporter.step("old pods go");
    tokio::time::sleep(SCALE_DOWN).await;
    step.done("");

    let after = controller.usage()?;
    let requests = difference(&controller.requests().await?, &requests);
    let count = names.len() as f64;
    let latencies = reactions(&pods.drain(), &weights.drain());
    let mut figures = vec![
        Figure::new("total time", total.as_secs_f64(), Unit::Seconds),
        Figure::new(
            "processor time",
            after.cpu_seconds - before.cpu_seconds,
            Unit::Seconds,
        ),
        Figure::new(
            "most resident memory",
            megabytes(after.peak),
            Unit::Megabytes,
        ),
    ];
    figures.extend(latencies.figures("pod available → next weight", None, None));
    let all: f64 = requests.values().sum();
    figures.push(Figure::new(
        "API requests per Rollout",
        all / count,
        Unit::Count,
    ));
    figures.extend(requests.iter().map(|(verb, number)| {
        Figure::new(
            format!("API requests per Rollout, {verb}"),
            number / count,
            Unit::Count,
        )
    }));
    Ok(figures)
}

fn available(set: &DynamicObject) -> Option<Pods> {
    let owner = set.metadata.owner_references.as_ref()?.first()?;
    let number = set.data.pointer("/status/availableReplicas");
    Some((
        owner.name.clone(),
        set.metadata.name.clone()?,
        number.and_then(Value::as_i64).unwrap_or(0),
    ))
}

/// How much each number of requests has grown; those that have not are left out.
fn difference(
    after: &BTreeMap<String, f64>,
    before: &BTreeMap<String, f64>,
) -> BTreeMap<String, f64> {
    let grown = after.iter().map(|(verb, number)| {
        let old = before.get(verb).copied().unwrap_or(0.0);
        (verb.clone(), number - old)
    });
    // Leases are renewed and watches resumed by the clock, whatever is updated.
    let by_clock = |what: &str| what.ends_with(" leases") || what.starts_with("watch ");
    let counts = |(what, number): &(String, f64)| *number > 0.0 && !by_clock(what);
    grown.filter(counts).collect()
}

/// For each new weight that followed more available pods, the time since the last of these.
fn reactions(pods: &[Seen<Pods>], weights: &[Seen<(String, i64)>]) -> Latencies {
    enum Event<'a> {
        Pods(&'a str, i64),
        Weight(i64),
    }
    let mut events: BTreeMap<&str, Vec<(Instant, Event<'_>)>> = BTreeMap::new();
    for Seen {
        at,
        what: (rollout, set, number),
    } in pods
    {
        let event = Event::Pods(set, *number);
        events.entry(rollout).or_default().push((*at, event));
    }
    for Seen {
        at,
        what: (rollout, weight),
    } in weights
    {
        let event = Event::Weight(*weight);
        events.entry(rollout).or_default().push((*at, event));
    }
    let mut latencies = Vec::new();
    for mut story in events.into_values() {
        story.sort_by_key(|(at, _)| *at);
        let mut numbers: BTreeMap<&str, i64> = BTreeMap::new();
        let mut last_weight = None;
        let mut cause = None;
        for (at, event) in story {
            match event {
                Event::Pods(set, number) => {
                    let old = numbers.insert(set, number);
                    if number > old.unwrap_or(0) {
                        cause = Some(at);
                    }
                }
                // The first look at an object is no change.
                Event::Weight(weight) => {
                    let old = last_weight.replace(weight);
                    if old.is_some_and(|old| old != weight) {
                        latencies.extend(cause.take().map(|cause| at.duration_since(cause)));
                    } else if old.is_none() {
                        cause = None;
                    }
                }
            }
        }
    }
    latencies.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_the_time_from_the_last_pod_to_the_next_weight() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let pods = |milliseconds, set: &str, number| Seen {
            at: at(milliseconds),
            what: ("app".to_owned(), set.to_owned(), number),
        };
        let weight = |milliseconds, weight| Seen {
            at: at(milliseconds),
            what: ("app".to_owned(), weight),
        };
        let all_pods = [
            pods(0, "old", 4),
            pods(100, "new", 1),
            pods(110, "new", 2),
            pods(300, "old", 0),
            pods(400, "new", 3),
        ];
        let all_weights = [
            weight(1, 0),
            // Seen again without a change.
            weight(105, 0),
            weight(118, 20),
            // No pod became available for this one.
            weight(200, 40),
            weight(430, 60),
        ];
        let latencies = reactions(&all_pods, &all_weights);
        assert_eq!(latencies.count(), 2);
        assert_eq!(latencies.percentile(50), Duration::from_millis(8));
        assert_eq!(latencies.longest(), Duration::from_millis(30));
    }

    #[test]
    fn only_what_has_grown_counts() {
        let numbers = |get: f64, patch: f64| {
            BTreeMap::from([("get".to_owned(), get), ("patch".to_owned(), patch)])
        };
        let grown = difference(&numbers(5.0, 9.0), &numbers(5.0, 2.0));
        assert_eq!(grown, BTreeMap::from([("patch".to_owned(), 7.0)]));
    }
}
