//! `simulate`: the run of an update in virtual time, as a timeline. No cluster is needed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use sluice_crds::duration;
use sluice_simulation::timeline::{self, Moment, Question, Timeline};

use crate::args::{Format, SimulateArgs};
use crate::output;
use crate::paint::{Paint, Tone};

/// Largest file that is read.
const LIMIT: u64 = 10 * 1024 * 1024;

/// Carries out `simulate`.
pub(crate) fn run(args: &SimulateArgs) -> Result<()> {
    let mut manifests = Vec::new();
    for file in &args.files {
        manifests.extend(documents(file)?);
    }
    let span = |field: &str, text: &str| -> Result<SignedDuration> {
        duration::parse(text).with_context(|| format!("--{field}"))
    };
    let question = Question {
        fail_from: args.fail_from.as_deref().map(|text| span("fail-from", text)).transpose()?,
        metrics: match &args.metrics {
            Some(file) => metrics(file)?,
            None => BTreeMap::new(),
        },
        ready_after: span("ready-after", &args.ready_after)?,
    };
    let timeline = timeline::run(&manifests, &question)?;
    match args.output {
        Some(format) => output::object(&as_json(&timeline), format),
        None => output::print(&text(&timeline, Paint::stdout(false))),
    }
}

fn read(file: &Path) -> Result<String> {
    let size = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    anyhow::ensure!(size <= LIMIT, "{} has {size} bytes, more than {LIMIT}", file.display());
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn documents(file: &Path) -> Result<Vec<Value>> {
    let text = read(file)?;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
        .with_context(|| format!("{} is not valid YAML", file.display()))?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

#[derive(Deserialize)]
struct Sample {
    at: String,
    value: f64,
}

fn metrics(file: &Path) -> Result<BTreeMap<String, Vec<(SignedDuration, f64)>>> {
    let text = read(file)?;
    let read: BTreeMap<String, Vec<Sample>> = serde_saphyr::from_str(&text).with_context(|| {
        format!("{} must map metric names to lists of {{at: 30s, value: 0.97}}", file.display())
    })?;
    let mut metrics = BTreeMap::new();
    for (name, samples) in read {
        let mut values = Vec::new();
        for sample in samples {
            let at = duration::parse(&sample.at)
                .with_context(|| format!("{}: {name}", file.display()))?;
            values.push((at, sample.value));
        }
        values.sort_by_key(|(at, _)| *at);
        metrics.insert(name, values);
    }
    Ok(metrics)
}

fn text(timeline: &Timeline, paint: Paint) -> String {
    let mut out = String::from("     TIME  WEIGHT   NEW    OLD    WHAT HAPPENS\n");
    for moment in &timeline.moments {
        let Moment { at, what, warning, weight, new_pods, old_pods } = moment;
        let weight = weight.map_or_else(|| "-".to_owned(), |weight| format!("{weight} %"));
        let what = if *warning { paint.tone(Tone::Bad, what) } else { what.clone() };
        out.push_str(&format!(
            "{:>9}  {weight:>6}  {:>5}  {:>5}   {what}\n",
            duration::format(*at),
            format!("{}/{}", new_pods.0, new_pods.1),
            format!("{}/{}", old_pods.0, old_pods.1),
        ));
    }
    let end = format!("{} after {}", timeline.phase, duration::format(timeline.took));
    out.push_str(&format!("\n{}", paint.phase(&timeline.phase, &end)));
    if !timeline.message.is_empty() {
        out.push_str(&format!(": {}", timeline.message));
    }
    if timeline.waits {
        out.push_str("\nIt waits for a person: kubectl sluice promote, or abort.");
    }
    out.push('\n');
    out
}

fn as_json(timeline: &Timeline) -> Value {
    let moments: Vec<Value> = timeline
        .moments
        .iter()
        .map(|moment| {
            json!({
                "seconds": moment.at.as_secs(),
                "what": moment.what,
                "warning": moment.warning,
                "weight": moment.weight,
                "newPods": { "ready": moment.new_pods.0, "wanted": moment.new_pods.1 },
                "oldPods": { "ready": moment.old_pods.0, "wanted": moment.old_pods.1 },
            })
        })
        .collect();
    json!({
        "moments": moments,
        "phase": timeline.phase,
        "message": timeline.message,
        "seconds": timeline.took.as_secs(),
        "waitsForPerson": timeline.waits,
    })
}

