//! Random runs: what people, pods, caches and faults do, in an order that depends on a seed only.

mod order;

use crate::cluster::Cluster;
use crate::coverage::Coverage;
use crate::oracle::Broken;
use crate::random::Random;
pub use order::Order;
pub(crate) use order::Target;

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The cache of one kind receives some changes.
    Deliver {
        /// Index into [`KINDS`].
        kind: usize,
        /// How many changes at most.
        changes: usize,
    },
    /// The cache receives everything.
    CatchUp,
    /// All watches break off, and everything is listed anew.
    Relist,
    /// The controller looks at one object.
    Pass {
        /// Which of the objects it knows, modulo their number.
        nth: usize,
        /// What goes wrong.
        fault: Option<Fault>,
    },
    /// The controller looks at everything that is due.
    Due,
    /// The controller is killed and starts anew.
    Restart,
    /// ReplicaSets make and lose pods, and count them.
    Workloads,
    /// Time passes.
    Advance {
        /// Seconds.
        seconds: i64,
    },
    /// The controller's clock jumps: it is so far ahead of the cluster's from now on.
    Clock {
        /// Seconds; negative when it is behind.
        ahead: i64,
    },
    /// All pods of one ReplicaSet crash.
    CrashPods {
        /// Which ReplicaSet, modulo their number.
        nth: usize,
    },
    /// Something is out of order, or in order again.
    Outage(Outage, bool),
    /// A person, or Git, changes something.
    Order(Order),
}

/// What goes wrong in one pass, at the write with a number from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The controller dies before it.
    CrashBefore(usize),
    /// It is carried out, and the answer is lost.
    LoseAnswer(usize),
    /// From it on, the API server does not answer.
    SilentFrom(usize),
}

/// What can be out of order for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// Prometheus does not answer.
    Metrics,
    /// The API server does not answer, and its watches are silent.
    Api,
    /// Disruption budgets refuse evictions.
    Evictions,
    /// A quota refuses everything that is to be made.
    Quota,
}

/// Everything that can be out of order.
pub const OUTAGES: [Outage; 4] = [
    Outage::Metrics,
    Outage::Api,
    Outage::Evictions,
    Outage::Quota,
];

/// Kinds whose caches lag on their own.
pub const KINDS: [&str; 8] = [
    "Rollout",
    "ReplicaSet",
    "Service",
    "HTTPRoute",
    "AnalysisRun",
    "Experiment",
    "Deployment",
    "AnalysisTemplate",
];

/// Makes a schedule.
#[must_use]
pub fn random(seed: u64, length: usize) -> Vec<Step> {
    let mut random = Random::new(seed);
    (0..length).map(|_| step(&mut random)).collect()
}

fn step(random: &mut Random) -> Step {
    match random.below(100) {
        0..12 => Step::Deliver {
            kind: random.index(KINDS.len()),
            changes: 1 + random.index(3),
        },
        12..24 => Step::CatchUp,
        24..25 => Step::Relist,
        25..45 => Step::Pass {
            nth: random.index(5),
            fault: fault(random),
        },
        45..58 => Step::Due,
        58..72 => Step::Workloads,
        72..83 => Step::Advance {
            seconds: 1 + i64::try_from(random.below(12)).unwrap_or(0),
        },
        83..85 => Step::Restart,
        85..86 => Step::Clock {
            ahead: random.pick(&[0, -40, -5, 30]).copied().unwrap_or(0),
        },
        86..88 => Step::CrashPods {
            nth: random.index(3),
        },
        88..90 => {
            let outage = random.pick(&OUTAGES).copied().unwrap_or(Outage::Api);
            Step::Outage(outage, random.one_in(3))
        }
        _ => Step::Order(Order::random(random)),
    }
}

fn fault(random: &mut Random) -> Option<Fault> {
    Some(match random.below(24) {
        0..4 => Fault::CrashBefore(random.index(6)),
        4..6 => Fault::LoseAnswer(random.index(4)),
        6..8 => Fault::SilentFrom(random.index(5)),
        _ => return None,
    })
}

/// Plays a schedule, then lets the cluster come to rest; and, in copies of it, has the Rollout deleted or its status lost
/// instead.
///
/// # Errors
/// With the broken promise and the number of steps that were played.
pub fn play(cluster: &mut Cluster, steps: &[Step]) -> Result<(), (usize, Broken)> {
    for (number, step) in steps.iter().enumerate() {
        cluster.step(*step).map_err(|broken| (number + 1, broken))?;
    }
    for end in [Cluster::end_by_deletion, Cluster::lose_status] {
        let mut copy = cluster.clone();
        copy.coverage = Coverage::default();
        end(&mut copy).map_err(|broken| (steps.len(), broken))?;
        cluster.coverage.add(&copy.coverage);
    }
    cluster.end_well().map_err(|broken| (steps.len(), broken))
}
