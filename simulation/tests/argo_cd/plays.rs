//! The moments: clusters in the middle of something, found by playing what people do.

use std::collections::BTreeMap;

use serde_json::Value;
use sluice_crds::pointer::text;
use sluice_simulation::cluster::Cluster;
use sluice_simulation::fixtures;
use sluice_simulation::schedule::{Order, Outage, Step};
use sluice_simulation::store::{Expected, Key};

/// A cluster, and an object in it that looks like none before.
pub(crate) struct Moment {
    /// Fixture, number in it, kind, phase, flags.
    pub(crate) name: String,
    /// The whole object.
    pub(crate) object: Value,
    pub(crate) cluster: Cluster,
}

/// What is done, before the cluster is left to itself.
#[derive(Clone, Copy)]
enum Act {
    /// Nothing.
    Wait,
    Order(Order),
    /// Prometheus goes away.
    Outage,
    /// From now on every request fails.
    Fail,
    /// Goes on only until something is about to be measured.
    UntilRun,
    /// The workload that is referred to is deleted.
    Delete,
}

use Act::{Delete, Wait};

const ABORT: Act = Act::Order(Order::Abort);
const PROMOTE: Act = Act::Order(Order::Promote);
const PAUSE: Act = Act::Order(Order::Pause(true));
const GO_ON: Act = Act::Order(Order::Pause(false));
/// A good image.
const GOOD: Act = image(1);
/// An image that fails 30 % of its requests.
const BAD: Act = image(2);
/// An image whose pods never become ready.
const BROKEN: Act = image(4);

const fn image(number: u64) -> Act {
    Act::Order(Order::Image(number))
}

/// Fixtures, and what is done on each.
const PLAYS: &[(&str, &[Act])] = &[
    ("basic", &[Wait, GOOD, BROKEN, Act::Order(Order::Undo)]),
    (
        "routed-steps",
        &[
            Wait,
            GOOD,
            PAUSE,
            GO_ON,
            ABORT,
            Act::Order(Order::Retry),
            Act::Order(Order::PromoteFull),
            Act::Order(Order::Mistake(true)),
            Act::Order(Order::Mistake(false)),
            BAD,
            PROMOTE,
            ABORT,
        ],
    ),
    ("routed-analysed", &[Wait, BAD]),
    ("routed-analysed", &[Wait, Act::Outage, GOOD]),
    ("dynamic", &[Wait, GOOD, PROMOTE]),
    ("deadline", &[Wait, BROKEN]),
    ("headers", &[Wait, GOOD, ABORT]),
    (
        "ping-pong",
        &[Wait, GOOD, PROMOTE, Act::Order(Order::Restart)],
    ),
    ("threshold", &[Wait, BROKEN, GOOD, PROMOTE]),
    ("rolling", &[Wait, GOOD, Act::Order(Order::Scale(0))]),
    ("experiment-step", &[Wait, GOOD, BAD]),
    ("experiment-step", &[Wait, Act::Outage, GOOD]),
    ("blue-green", &[Wait, GOOD]),
    ("blue-green-by-hand", &[Wait, GOOD, PROMOTE, BAD, ABORT]),
    ("blue-green-analysed", &[Wait, GOOD, BAD]),
    ("blue-green-plain", &[Wait, GOOD, PAUSE, BROKEN]),
    ("workload-progressively", &[Wait, GOOD, Delete]),
    ("workload-on-success", &[Wait, GOOD]),
    ("workload-pod-template", &[Wait, GOOD]),
    ("experiment", &[Wait]),
    ("experiment-required", &[Act::Fail]),
    (
        "experiment-required",
        &[Act::UntilRun, Act::Order(Order::TerminateRun(0))],
    ),
    (
        "experiment-open",
        &[Wait, Act::Order(Order::TerminateExperiment(0))],
    ),
];

/// All moments, in order.
pub(crate) fn moments() -> Vec<Moment> {
    let mut collected = Collected::default();
    for (fixture, acts) in PLAYS {
        let mut cluster = fixtures::cluster(fixture);
        for act in *acts {
            perform(&mut cluster, *act);
            collected.look(fixture, &cluster);
            if !matches!(act, Act::UntilRun) {
                go(&mut cluster, |cluster| collected.look(fixture, cluster));
            }
        }
    }
    collected.moments
}

fn perform(cluster: &mut Cluster, act: Act) {
    match act {
        Wait => {}
        Act::Order(order) => cluster.order(order),
        Act::Outage => {
            let outage = Step::Outage(Outage::Metrics, true);
            cluster.step(outage).unwrap();
        }
        Act::Fail => cluster.metrics.fail_from = Some(cluster.store.now),
        Act::UntilRun => {
            while cluster.store.list("AnalysisRun").next().is_none() {
                let changes = cluster.settle().unwrap_or_else(|it| panic!("{it:?}"));
                if changes == 0 {
                    cluster.store.now = cluster.next_due().unwrap();
                }
            }
        }
        Delete => {
            let key = Key::new("Deployment", "default", "old");
            cluster.store.delete(&key, &Expected::default()).unwrap();
        }
    }
}

/// Lets a cluster go until nothing happens any more to what it is about, and shows it after each round.
pub(crate) fn go(cluster: &mut Cluster, mut look: impl FnMut(&Cluster)) {
    /// Seconds without a change, after which what still goes on is a measurement beside it.
    const QUIET: i64 = 200;
    let version = |cluster: &Cluster| cluster.main().map(|main| main.version);
    let (mut known, mut since) = (version(cluster), cluster.store.now);
    for _ in 0..2_000 {
        let changes = cluster
            .settle()
            .unwrap_or_else(|broken| panic!("{broken:?}"));
        look(cluster);
        if version(cluster) != known {
            (known, since) = (version(cluster), cluster.store.now);
        }
        if changes > 0 {
            continue;
        }
        match cluster.next_due() {
            Some(at) if at.duration_since(since).as_secs() <= QUIET => cluster.store.now = at,
            _ => return,
        }
    }
    panic!("it does not come to rest: {:?}", cluster.main());
}

#[derive(Default)]
struct Collected {
    moments: Vec<Moment>,
    /// What looks different to Argo CD.
    seen: BTreeMap<String, usize>,
    /// Moments of each fixture.
    numbers: BTreeMap<String, usize>,
}

impl Collected {
    fn look(&mut self, fixture: &str, cluster: &Cluster) {
        let kinds = ["Rollout", "AnalysisRun", "Experiment"];
        for kind in kinds {
            for object in cluster.store.list(kind) {
                let count = self.seen.entry(look_of(object)).or_default();
                *count += 1;
                if *count > 1 {
                    continue;
                }
                let number = self.numbers.entry(fixture.to_owned()).or_default();
                *number += 1;
                let phase = match text(object, "/status/phase") {
                    "" => "without a phase",
                    phase => phase,
                };
                let mut words = vec![kind, phase];
                words.extend(flags(object));
                self.moments.push(Moment {
                    name: format!("{fixture} {number}: {}", words.join(", ")),
                    object: object.clone(),
                    cluster: cluster.clone(),
                });
            }
        }
    }
}

/// Orders and states of a Rollout that Argo CD's scripts look at.
fn flags(object: &Value) -> Vec<&'static str> {
    if text(object, "/kind") != "Rollout" {
        return Vec::new();
    }
    let has = |pointer: &str| object.pointer(pointer).is_some();
    let flag = |pointer: &str| object.pointer(pointer) == Some(&Value::Bool(true));
    let generation = object["metadata"]["generation"].to_string();
    let observed = text(object, "/status/observedGeneration") == generation;
    let flags = [
        ("blue-green", has("/spec/strategy/blueGreen")),
        ("of a workload", has("/spec/workloadRef")),
        ("aborted", flag("/status/abort")),
        ("to be paused", flag("/spec/paused")),
        ("at a pause", has("/status/pauseConditions/0")),
        ("unobserved", !observed),
    ];
    let set = flags.into_iter().filter(|(_, set)| *set);
    set.map(|(name, _)| name).collect()
}

/// What Argo CD can tell two objects apart by: kind, phase, message without its numbers and names, and the flags.
fn look_of(object: &Value) -> String {
    let mut parts = vec![text(object, "/kind"), text(object, "/status/phase")];
    parts.extend(flags(object));
    format!("{parts:?} {}", sentence(text(object, "/status/message")))
}

/// A message without words that have a digit in them, and without what is quoted.
fn sentence(message: &str) -> String {
    let words = message.split_whitespace();
    let named = |word: &&str| !word.contains(|it: char| it.is_ascii_digit() || "\"'".contains(it));
    words.filter(named).collect::<Vec<_>>().join(" ")
}
