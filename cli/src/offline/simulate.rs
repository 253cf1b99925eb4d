//! `simulate`: the run of an update in virtual time, as a timeline.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use sluice_crds::decode;
use sluice_crds::duration;
use sluice_crds::names::GROUP;
use sluice_crds::rollout::Rollout;
use sluice_gitops_sources::yaml;
use sluice_simulation::timeline::{self, Moment, Question, Timeline};

use super::check::{self, Report, in_namespace};
use super::manifest::{self, Manifest};
use super::stand_in;
use crate::args::SimulateArgs;
use crate::get::snapshot;
use crate::invocation::Plugin;
use crate::output;
use crate::paint::{Paint, Tone};

/// Carries out `simulate`.
pub(crate) fn run(args: &SimulateArgs, plugin: Plugin, paint: Paint) -> Result<()> {
    let manifests = manifest::read(&args.files)?;
    let (objects, assumed) = cluster(&manifests)?;
    let span = |field: &str, text: &str| -> Result<SignedDuration> {
        let span = duration::parse(text).with_context(|| format!("--{field}"))?;
        ensure!(!span.is_negative(), "--{field}: {text} is negative");
        Ok(span)
    };
    let question = Question {
        fail_from: args
            .fail_from
            .as_deref()
            .map(|text| span("fail-from", text))
            .transpose()?,
        metrics: match &args.metrics {
            Some(file) => metrics(file, &manifests)?,
            None => BTreeMap::new(),
        },
        ready_after: span("ready-after", &args.ready_after)?,
    };
    let played = Played {
        timeline: timeline::run(&objects, &question)?,
        assumed,
    };
    match args.output {
        Some(format) => output::object(&as_json(&played), format),
        None => output::print(&text(&played, plugin, paint)),
    }
}

/// What was played.
struct Played {
    timeline: Timeline,
    /// Objects that were not among the files.
    assumed: Vec<String>,
}

/// The objects to play with, and which of them are assumed.
fn cluster(manifests: &[Manifest]) -> Result<(Vec<Value>, Vec<String>)> {
    let report = check::all(manifests);
    if !report.problems.is_empty() {
        let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        bail!("{}", problems.join("\n       "));
    }
    let rollouts: Vec<&Manifest> = manifests
        .iter()
        .filter(|one| one.is(GROUP, "Rollout"))
        .collect();
    let [manifest] = rollouts.as_slice() else {
        let places: Vec<String> = rollouts.iter().map(ToString::to_string).collect();
        bail!(
            "a simulation needs exactly one Rollout, and the files hold {}: {}",
            rollouts.len(),
            if places.is_empty() {
                "none".to_owned()
            } else {
                places.join(", ")
            }
        );
    };
    let rollout: Rollout = check::at_home(decode::decode(&manifest.value)?);
    let namespace = rollout.metadata.namespace.clone().unwrap_or_default();
    let mut objects: Vec<Value> = manifests
        .iter()
        .map(|one| in_namespace(&one.value, &namespace))
        .collect();
    let assumed = assume(&rollout, &report, &mut objects)?;
    Ok((objects, assumed))
}

/// Adds the Services and HTTPRoutes that are named and not among the files.
fn assume(rollout: &Rollout, report: &Report, objects: &mut Vec<Value>) -> Result<Vec<String>> {
    let routes = snapshot::referenced(rollout);
    let mut assumed = Vec::new();
    for (what, by) in &report.missing {
        let (kind, name) = what.split_once(' ').unwrap_or((what, ""));
        let route = routes.iter().find(|route| route.to_string() == *what);
        let object = match (kind, route) {
            ("Service", _) => stand_in::service_object(rollout, name),
            ("HTTPRoute" | "GRPCRoute" | "TCPRoute" | "TLSRoute", Some(route)) => {
                stand_in::route_object(rollout, route)
            }
            ("AppProject", _) => continue,
            _ => {
                return Err(anyhow!(
                    "{by} names {what}, which is not among the files: add it with -f"
                ));
            }
        };
        objects.push(object);
        assumed.push(what.clone());
    }
    Ok(assumed)
}

#[derive(Deserialize)]
struct Sample {
    at: String,
    value: f64,
}

type Script = BTreeMap<String, Vec<(SignedDuration, f64)>>;

/// What the metrics say over time.
fn metrics(file: &Path, manifests: &[Manifest]) -> Result<Script> {
    let name = file.display();
    let written =
        yaml::parse_one(&manifest::content(file)?).map_err(|error| anyhow!("{name}: {error}"))?;
    let read: BTreeMap<String, Vec<Sample>> = decode::decode(&written).map_err(|error| {
        anyhow!(
            "{name}: {error}; it must map names of metrics to lists of {{at: 30s, value: 0.97}}"
        )
    })?;
    let templates = manifests
        .iter()
        .filter_map(|one| one.value.pointer("/spec/metrics")?.as_array());
    let known: Vec<&str> = templates
        .flatten()
        .filter_map(|metric| metric.get("name")?.as_str())
        .collect();
    let mut script = Script::new();
    for (metric, samples) in read {
        ensure!(
            known.contains(&metric.as_str()),
            "{name}: no template has a metric {metric:?}; there are {}",
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        );
        let mut values = Vec::new();
        for (index, sample) in samples.iter().enumerate() {
            let at = duration::parse(&sample.at)
                .with_context(|| format!("{name}: {metric}[{index}].at"))?;
            values.push((at, sample.value));
        }
        values.sort_by_key(|(at, _)| *at);
        script.insert(metric, values);
    }
    Ok(script)
}

fn text(played: &Played, plugin: Plugin, paint: Paint) -> String {
    let Played {
        timeline, assumed, ..
    } = played;
    let mut out = String::new();
    if !assumed.is_empty() {
        out += &format!(
            "Assumed, since they are not among the files: {}\n\n",
            assumed.join(", ")
        );
    }
    let routed = timeline
        .moments
        .iter()
        .any(|moment| moment.weight.is_some());
    // Share of the traffic, and pods that are ready of those that are wanted.
    let traffic = if routed { " TRAFFIC" } else { "" };
    out += &format!("    TIME{traffic}     NEW     OLD   WHAT HAPPENS\n");
    let mut last = None;
    for moment in &timeline.moments {
        let Moment {
            at,
            what,
            warning,
            weight,
            new_pods,
            old_pods,
        } = moment;
        // Columns that say the same as above are left empty: the eye finds the changes.
        let state = (at, weight, new_pods, old_pods);
        let mut columns = String::new();
        if last == Some(state) {
            columns += &" ".repeat(if routed { 32 } else { 24 });
        } else {
            columns += &format!("{:>8}", duration::format(*at));
            if routed {
                let weight = weight.map_or_else(|| "-".to_owned(), |weight| format!("{weight} %"));
                columns += &format!("{weight:>8}");
            }
            columns += &format!("{:>8}", format!("{}/{}", new_pods.0, new_pods.1));
            columns += &format!("{:>8}", format!("{}/{}", old_pods.0, old_pods.1));
            last = Some(state);
        }
        let tone = warning.then_some(Tone::Bad);
        out += &format!("{columns}   {}\n", paint.tone(tone, what));
    }
    let end = format!(
        "Ends {} after {}",
        timeline.phase,
        duration::format(timeline.took)
    );
    out += &format!("\n{}", paint.tone(Tone::of(&timeline.phase), &end));
    if !timeline.message.is_empty() {
        out += &format!(": {}", timeline.message);
    }
    if timeline.waits {
        let typed = plugin.typed();
        out += &format!("\nIt waits for a person: {typed} promote, or {typed} abort.");
    }
    out + "\n"
}

fn as_json(played: &Played) -> Value {
    let Played {
        timeline, assumed, ..
    } = played;
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
        "assumed": assumed,
    })
}
