//! Kubernetes Events (`v1`), as other tools read them.
//!
//! [`Events::emit`] puts a note into a bounded queue and returns; a task of its own writes the notes in order, so events
//! never hold up a loop. When the queue is full, the note is dropped and counted. An event that repeats within an hour
//! raises the count of the one that was written before; a warning that repeats faster than every five seconds is
//! counted in memory in between. One object may write [`BURST`] events and then one every
//! [`REFILL`]: a broken object cannot flood the API.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::execute::{Executor, Must, WriteError};
use crate::kind::{EVENT, Kind};
use crate::object::Key;

/// `source.component` of events of the Rollout and analysis loops; the name that upstream uses.
pub const ROLLOUTS_COMPONENT: &str = "rollouts-controller";
const QUEUE: usize = 2_000;
const REMEMBERED: usize = 4_096;
const REPEAT_WITHIN: Duration = Duration::from_secs(3_600);
/// A warning that repeats faster than this is counted here and written with the next one.
const WARNING_PERIOD: Duration = Duration::from_secs(5);
/// Events that one object may write in a row.
pub const BURST: u32 = 100;
/// After a burst, one event in this time.
pub const REFILL: Duration = Duration::from_secs(10);
const MAX_MESSAGE: usize = 1_000;

/// Normal or Warning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// As expected.
    Normal,
    /// A person may want to look.
    Warning,
}

impl Severity {
    /// As in the field `type`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        }
    }
}

/// The object that an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Involved {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub key: Key,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion, for readers; equal events are recognised without it.
    pub resource_version: String,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub involved: Involved,
    /// `source.component`.
    pub component: &'static str,
    /// Normal or Warning.
    pub severity: Severity,
    /// One word.
    pub reason: String,
    /// One sentence; cut at 1,000 characters.
    pub message: String,
}

/// Where notes are put; cheap to clone.
#[derive(Clone)]
pub struct Events {
    sender: mpsc::Sender<Note>,
}

impl Events {
    /// The queue, and the task that writes; run it until it returns.
    #[must_use]
    pub fn new(executor: Executor, clock: Arc<dyn Clock>) -> (Self, Writer) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer = Writer {
            receiver,
            executor,
            clock,
            written: HashMap::new(),
            budgets: HashMap::new(),
            sequence: 0,
        };
        (Self { sender }, writer)
    }

    /// Puts a note into the queue; never waits.
    pub fn emit(&self, note: Note) {
        if self.sender.try_send(note).is_err() {
            metrics::counter!("sluice_events_dropped_total", "cause" => "queue_full").increment(1);
        }
    }
}

#[derive(PartialEq, Eq, Hash)]
struct Same {
    kind: Kind,
    uid: String,
    severity: Severity,
    reason: String,
    message: String,
}

struct Before {
    name: String,
    count: i64,
    at: Instant,
}

struct Budget {
    left: u32,
    since: Instant,
}

/// Writes the notes.
pub struct Writer {
    receiver: mpsc::Receiver<Note>,
    executor: Executor,
    clock: Arc<dyn Clock>,
    written: HashMap<Same, Before>,
    budgets: HashMap<String, Budget>,
    sequence: u64,
}

impl Writer {
    /// Writes until `stop`, then what is in the queue still, for at most two seconds.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                note = self.receiver.recv() => match note {
                    Some(note) => self.write(note).await,
                    None => return,
                },
            }
        }
        let rest = async {
            while let Ok(note) = self.receiver.try_recv() {
                self.write(note).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), rest).await;
    }

    async fn write(&mut self, mut note: Note) {
        if let Some((end, _)) = note.message.char_indices().nth(MAX_MESSAGE) {
            note.message.truncate(end);
        }
        let same = Same {
            kind: note.involved.kind.clone(),
            uid: note.involved.uid.clone(),
            severity: note.severity,
            reason: note.reason.clone(),
            message: note.message.clone(),
        };
        if let Some(before) = self.written.get_mut(&same)
            && note.severity == Severity::Warning
            && before.at.elapsed() < WARNING_PERIOD
        {
            before.count += 1;
            return;
        }
        if !self.within_budget(&note) {
            metrics::counter!("sluice_events_dropped_total", "cause" => "too_many").increment(1);
            return;
        }
        let outcome = match self.written.get(&same) {
            Some(before) if before.at.elapsed() < REPEAT_WITHIN => {
                let (name, count) = (before.name.clone(), before.count + 1);
                match self.repeat(&note, &name, count).await {
                    // It was deleted in the meantime.
                    Err(WriteError::Gone(_)) => self.create(&note).await,
                    other => other.map(|()| (name, count)),
                }
            }
            _ => self.create(&note).await,
        };
        match outcome {
            Ok((name, count)) => {
                if self.written.len() >= REMEMBERED {
                    self.forget_oldest();
                }
                self.written.insert(
                    same,
                    Before {
                        name,
                        count,
                        at: Instant::now(),
                    },
                );
            }
            Err(error) => {
                metrics::counter!("sluice_events_dropped_total", "cause" => error.label())
                    .increment(1);
                tracing::debug!(%error, reason = note.reason, "event was not written");
            }
        }
    }

    async fn repeat(&self, note: &Note, name: &str, count: i64) -> Result<(), WriteError> {
        let patch = json!({"count": count, "lastTimestamp": self.now()});
        let key = Key::new(namespace_of(note), name);
        self.executor
            .merge(&EVENT, &key, &Must::exist(), patch)
            .await
            .map(|_| ())
    }

    async fn create(&mut self, note: &Note) -> Result<(String, i64), WriteError> {
        self.sequence += 1;
        let mut hash = DefaultHasher::new();
        (
            std::process::id(),
            self.clock.now().as_nanosecond(),
            self.sequence,
        )
            .hash(&mut hash);
        // A name must stay under 254 characters, and that of the object may have that many already.
        let stem: String = note.involved.key.name.chars().take(230).collect();
        let name = format!(
            "{}.{:016x}",
            stem.trim_end_matches(['.', '-']),
            hash.finish()
        );
        let event = event(note, &name, &self.now());
        self.executor
            .create(&EVENT, namespace_of(note), &event)
            .await?;
        Ok((name, 1))
    }

    fn now(&self) -> String {
        let now = self.clock.now();
        now.round(jiff::Unit::Second).unwrap_or(now).to_string()
    }

    fn within_budget(&mut self, note: &Note) -> bool {
        let now = Instant::now();
        if self.budgets.len() >= REMEMBERED {
            let full = REFILL * BURST;
            self.budgets
                .retain(|_, budget| now.duration_since(budget.since) < full);
        }
        let budget = self
            .budgets
            .entry(note.involved.uid.clone())
            .or_insert(Budget {
                left: BURST,
                since: now,
            });
        let periods = now.duration_since(budget.since).as_secs() / REFILL.as_secs();
        if periods > 0 {
            budget.left = budget
                .left
                .saturating_add(u32::try_from(periods).unwrap_or(BURST))
                .min(BURST);
            budget.since = now;
        }
        let allowed = budget.left > 0;
        budget.left = budget.left.saturating_sub(1);
        allowed
    }

    fn forget_oldest(&mut self) {
        let mut ages: Vec<Instant> = self.written.values().map(|before| before.at).collect();
        ages.sort_unstable();
        // A quarter at a time, so that the sorting is paid seldom.
        if let Some(limit) = ages.get(ages.len() / 4).copied() {
            self.written.retain(|_, before| before.at > limit);
        }
    }
}

/// Events about objects of the cluster live in `default`.
fn namespace_of(note: &Note) -> &str {
    match &*note.involved.key.namespace {
        "" => "default",
        namespace => namespace,
    }
}

fn event(note: &Note, name: &str, now: &str) -> Value {
    let involved = &note.involved;
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace_of(note)},
        "involvedObject": {
            "apiVersion": involved.kind.api_version(),
            "kind": involved.kind.kind,
            "namespace": &*involved.key.namespace,
            "name": &*involved.key.name,
            "uid": involved.uid,
            "resourceVersion": involved.resource_version,
        },
        "reason": note.reason,
        "message": note.message,
        "type": note.severity.as_str(),
        "source": {"component": note.component},
        "reportingComponent": note.component,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    })
}
