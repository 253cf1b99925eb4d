//! What holds for every run and every course of events.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use sluice_analysis::{Outcome, Phase, absorb, decide};
use sluice_crds::IntOrString;
use sluice_crds::analysis::{AnalysisRun, AnalysisRunSpec, DryRun, Metric};

use super::support::{at, error, metric, value};

/// The same cases every time, unless `PROPTEST_RNG_SEED` and `PROPTEST_CASES` ask for others.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig {
        cases: asked.cases.max(1_000),
        rng_seed: match asked.rng_seed {
            RngSeed::Random => RngSeed::Fixed(20_260_817),
            fixed @ RngSeed::Fixed(_) => fixed,
        },
        failure_persistence: None,
        ..asked
    }
}

const NAMES: [&str; 3] = ["a", "b", "c"];

fn metrics() -> impl Strategy<Value = Metric> {
    let limit = || prop::option::of(0..3i32);
    (
        (limit(), limit(), limit(), limit()),
        prop::option::of(1..5i32),
        prop::bool::ANY,
        prop::option::of(1..20i32),
    )
        .prop_map(
            |((failure, inconclusive, errors, successes), count, endless, delay)| {
                let number = |limit: Option<i32>| limit.map(IntOrString::Int);
                let least =
                    failure.unwrap_or(0) + successes.unwrap_or(0) + inconclusive.unwrap_or(0);
                Metric {
                    failure_condition: Some("result[0] < 0.5".to_owned()),
                    interval: Some("10s".to_owned()),
                    count: if endless {
                        None
                    } else {
                        number(count.map(|count| count.max(least)))
                    },
                    failure_limit: number(failure),
                    inconclusive_limit: number(inconclusive),
                    consecutive_error_limit: number(errors),
                    consecutive_success_limit: number(successes),
                    initial_delay: delay.map(|delay| format!("{delay}s")),
                    ..metric("")
                }
            },
        )
}

fn runs() -> impl Strategy<Value = AnalysisRun> {
    (
        prop::collection::vec(metrics(), 1..=3),
        prop::option::of(prop::sample::select(&NAMES[..1])),
    )
        .prop_map(|(metrics, dry)| {
            let metrics = metrics
                .into_iter()
                .zip(NAMES)
                .map(|(metric, name)| Metric {
                    name: name.to_owned(),
                    ..metric
                })
                .collect();
            AnalysisRun::new(
                "run",
                AnalysisRunSpec {
                    metrics: Some(metrics),
                    dry_run: dry.map(|name| {
                        vec![DryRun {
                            metric_name: name.to_owned(),
                        }]
                    }),
                    ..AnalysisRunSpec::default()
                },
            )
        })
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(value(0.99)),
        2 => Just(value(0.7)),
        2 => Just(value(0.1)),
        2 => Just(error("connection refused")),
        1 => Just(Outcome::Resume { resume_at: None, metadata: std::collections::BTreeMap::new() }),
    ]
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Happening {
    /// Time passes.
    Later(i64),
    /// An outcome of the metric with this index arrives, asked for or not.
    Arrives(usize, Outcome),
    /// The run is told to end.
    Terminate,
    /// The controller is restarted: nothing is in flight any more.
    Restart,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    prop::collection::vec(
        prop_oneof![
            4 => (0..30i64).prop_map(Happening::Later),
            6 => (0..3usize, outcomes()).prop_map(|(index, outcome)| Happening::Arrives(index, outcome)),
            1 => Just(Happening::Restart),
            1 => Just(Happening::Terminate),
        ],
        1..40,
    )
}

fn check_counters(run: &AnalysisRun) -> Result<(), TestCaseError> {
    let status = run.status.as_ref().unwrap();
    for result in status.metric_results.iter().flatten() {
        let of = |number: Option<i32>| number.unwrap_or(0);
        prop_assert_eq!(
            of(result.count),
            of(result.successful) + of(result.failed) + of(result.inconclusive)
        );
        prop_assert!(of(result.consecutive_error) <= of(result.error));
        prop_assert!(of(result.consecutive_success) <= of(result.successful));
        prop_assert!(result.measurements.as_ref().unwrap().len() <= 10);
        let open = result
            .measurements
            .iter()
            .flatten()
            .filter(|measurement| !Phase::parse(&measurement.phase).completed())
            .count();
        prop_assert!(open <= 1);
    }
    let completed = Phase::parse(&status.phase).completed();
    prop_assert_eq!(completed, status.completed_at.is_some());
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn counters_add_up_and_a_finished_run_never_changes(run in runs(), happenings in happenings()) {
        let mut run = run;
        let mut seconds = 0;
        let mut in_flight = BTreeSet::new();
        let mut finished: Option<AnalysisRun> = None;
        for happening in happenings {
            match happening {
                Happening::Later(more) => seconds += more,
                Happening::Arrives(index, outcome) => {
                    in_flight.remove(NAMES[index]);
                    let plan = absorb(&run, NAMES[index], outcome, at(seconds));
                    prop_assert!(plan.measure.is_empty() && plan.cancel.is_empty());
                    run.status = Some(plan.status);
                }
                Happening::Terminate if finished.is_none() => run.spec.terminate = Some(true),
                Happening::Terminate => {}
                Happening::Restart => in_flight.clear(),
            }
            let plan = decide(&run, &in_flight, at(seconds));
            // The same input, the same plan.
            prop_assert_eq!(&plan, &decide(&run, &in_flight, at(seconds)));
            for request in &plan.measure {
                prop_assert!(in_flight.insert(request.metric.name.clone()), "asked twice");
            }
            for cancel in &plan.cancel {
                in_flight.remove(&cancel.metric);
            }
            run.status = Some(plan.status);
            // Deciding again, with the requests in flight, changes and asks nothing.
            let again = decide(&run, &in_flight, at(seconds));
            prop_assert_eq!(Some(&again.status), run.status.as_ref());
            prop_assert!(again.measure.is_empty() && again.events.is_empty());
            if let Some(wake_at) = again.wake_at {
                prop_assert!(wake_at > at(seconds));
            }
            check_counters(&run)?;
            let status: sluice_crds::analysis::AnalysisRunStatus =
                serde_json::from_value(serde_json::to_value(&run.status).unwrap()).unwrap();
            prop_assert_eq!(Some(&status), run.status.as_ref());
            if let Some(finished) = &finished {
                prop_assert_eq!(&run, finished);
            } else if Phase::parse(&status.phase).completed() {
                prop_assert!(in_flight.is_empty() || plan.cancel.len() >= in_flight.len());
                finished = Some(run.clone());
            }
        }
    }

    #[test]
    fn the_verdict_does_not_depend_on_the_order_in_which_outcomes_arrive(
        run in runs(),
        outcomes in prop::collection::vec(outcomes(), 3),
        order in Just(NAMES.to_vec()).prop_shuffle(),
    ) {
        let verdict = |order: &[&str]| {
            let mut run = run.clone();
            for metric in run.spec.metrics.iter_mut().flatten() {
                metric.initial_delay = None;
            }
            let first = decide(&run, &BTreeSet::new(), at(0));
            run.status = Some(first.status);
            let mut in_flight: BTreeSet<String> =
                first.measure.iter().map(|request| request.metric.name.clone()).collect();
            for name in order {
                if !in_flight.remove(*name) {
                    continue;
                }
                let index = NAMES.iter().position(|known| known == name).unwrap();
                run.status = Some(absorb(&run, name, outcomes[index].clone(), at(1)).status);
                let plan = decide(&run, &in_flight, at(1));
                for cancel in &plan.cancel {
                    in_flight.remove(&cancel.metric);
                }
                run.status = Some(plan.status);
            }
            let status = run.status.unwrap();
            (status.phase.clone(), status.completed_at)
        };
        prop_assert_eq!(verdict(&NAMES), verdict(&order));
    }

    #[test]
    fn any_text_is_refused_or_evaluated_and_never_panics(text in "[ -~]{0,60}", number in any::<f64>()) {
        use sluice_analysis::condition::Condition;
        use sluice_analysis::expression::Value;
        if let Ok(condition) = Condition::parse(&text) {
            let _ = condition.evaluate(&Value::numbers([number]), at(0));
            let _ = condition.comparison(&Value::numbers([number]), at(0));
        }
    }

    #[test]
    fn any_row_of_tokens_is_refused_or_evaluated_and_never_panics(
        tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..24)
    ) {
        use sluice_analysis::condition::Condition;
        use sluice_analysis::expression::Value;
        let text = tokens.join(" ");
        if let Ok(condition) = Condition::parse(&text) {
            let _ = condition.evaluate(&Value::numbers([0.5, f64::NAN]), at(0));
            let _ = condition.comparison(&Value::Nil, at(0));
        }
    }
}

/// Pieces of expressions.
const TOKENS: &[&str] = &[
    "result",
    "result[0]",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "1",
    "0.5",
    "-",
    "+",
    "*",
    "/",
    "%",
    "**",
    "..",
    "==",
    "<",
    ">=",
    "and",
    "or",
    "not",
    "!",
    "in",
    "contains",
    "matches",
    "'a'",
    "\"[\"",
    "?",
    ":",
    "??",
    "?.",
    ".x",
    "|",
    "#",
    "#acc",
    "nil",
    "true",
    "false",
    ",",
    ";",
    "let x =",
    "x",
    "all(result, # > 0)",
    "map(result, #)",
    "len(result)",
    "sum(",
    "max(",
    "reduce(",
    "sort(",
    "string(",
    "int(",
    "now()",
    "duration('1h')",
    ".Seconds()",
    "if",
    "else",
];
