//! A run in virtual time: decides, measures with canned outcomes, and absorbs, as a shell does.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use sluice_analysis::expression::Value;
use sluice_analysis::{Outcome, Phase, RunPlan, absorb, decide};
use sluice_crds::IntOrString;
use sluice_crds::analysis::{
    AnalysisRun, AnalysisRunSpec, AnalysisRunStatus, Argument, Metric, MetricProvider,
    MetricResult, PrometheusProvider,
};

/// A moment, and seconds after it.
pub(crate) fn at(seconds: i64) -> Timestamp {
    "2026-08-17T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

/// A Prometheus metric with a condition of 0.95 or more.
pub(crate) fn metric(name: &str) -> Metric {
    Metric {
        name: name.to_owned(),
        success_condition: Some("result[0] >= 0.95".to_owned()),
        provider: MetricProvider {
            prometheus: Some(PrometheusProvider {
                query: Some("up".to_owned()),
                ..PrometheusProvider::default()
            }),
            ..MetricProvider::default()
        },
        ..Metric::default()
    }
}

/// The same, measured every `interval`, `count` times (0: without end).
pub(crate) fn repeated(name: &str, interval: &str, count: i32) -> Metric {
    Metric {
        interval: Some(interval.to_owned()),
        count: (count > 0).then_some(IntOrString::Int(count)),
        ..metric(name)
    }
}

pub(crate) fn run(metrics: Vec<Metric>) -> AnalysisRun {
    AnalysisRun::new(
        "web-1",
        AnalysisRunSpec {
            metrics: Some(metrics),
            ..AnalysisRunSpec::default()
        },
    )
}

pub(crate) fn argument(name: &str, value: &str) -> Argument {
    Argument {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    }
}

pub(crate) fn value(number: f64) -> Outcome {
    Outcome::Value {
        value: Value::numbers([number]),
        display: format!("[{number}]"),
        metadata: std::collections::BTreeMap::new(),
    }
}

pub(crate) fn error(message: &str) -> Outcome {
    Outcome::Error {
        message: message.to_owned(),
        transient: true,
    }
}

pub(crate) fn status(run: &AnalysisRun) -> AnalysisRunStatus {
    run.status.clone().unwrap_or_default()
}

pub(crate) fn phase(run: &AnalysisRun) -> Phase {
    Phase::parse(&status(run).phase)
}

pub(crate) fn result(run: &AnalysisRun, metric: &str) -> MetricResult {
    status(run)
        .metric_results
        .unwrap_or_default()
        .into_iter()
        .find(|result| result.name == metric)
        .unwrap_or_default()
}

/// A run, its clock, and the events so far.
pub(crate) struct Story {
    pub(crate) run: AnalysisRun,
    pub(crate) seconds: i64,
    pub(crate) events: Vec<String>,
    pub(crate) in_flight: BTreeSet<String>,
}

impl Story {
    pub(crate) fn new(run: AnalysisRun) -> Self {
        Self {
            run,
            seconds: 0,
            events: Vec::new(),
            in_flight: BTreeSet::new(),
        }
    }

    fn take(&mut self, plan: &RunPlan) {
        self.run.status = Some(plan.status.clone());
        self.events.extend(plan.events.iter().map(|event| {
            format!(
                "{} {}: {}",
                event.kind.as_str(),
                event.reason,
                event.message
            )
        }));
    }

    /// Decides at the story's time, and takes the status over.
    pub(crate) fn decide(&mut self) -> RunPlan {
        let plan = decide(&self.run, &self.in_flight, at(self.seconds));
        self.take(&plan);
        plan
    }

    /// Absorbs an outcome, and takes the status over.
    pub(crate) fn absorb(&mut self, metric: &str, outcome: Outcome) -> RunPlan {
        self.in_flight.remove(metric);
        let plan = absorb(&self.run, metric, outcome, at(self.seconds));
        self.take(&plan);
        plan
    }

    /// Decides, and answers every request with the outcome that `answer` gives for the metric and the number.
    pub(crate) fn step(&mut self, answer: &mut dyn FnMut(&str, u32) -> Outcome) -> RunPlan {
        let plan = self.decide();
        for request in &plan.measure {
            let name = request.metric.name.clone();
            let outcome = answer(&name, request.number);
            self.absorb(&name, outcome);
        }
        if plan.measure.is_empty() {
            plan
        } else {
            self.decide()
        }
    }

    /// Goes from wake-up to wake-up until the run has ended or the time is over.
    pub(crate) fn play(&mut self, until: i64, answer: &mut dyn FnMut(&str, u32) -> Outcome) {
        loop {
            let plan = self.step(answer);
            let Some(wake_at) = plan.wake_at else { return };
            let next = (wake_at.as_second() - at(0).as_second()).max(self.seconds);
            if phase(&self.run).completed() || next > until {
                return;
            }
            self.seconds = next;
        }
    }
}
