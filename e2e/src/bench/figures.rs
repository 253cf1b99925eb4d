//! What a measurement gives: figures with a unit and, where one was promised, a target.
//!
//! A target is an upper bound; a figure without one is there to be known. Nothing here reads a clock or a file.

use std::time::Duration;

use serde_json::{Value, json};

/// The unit of a figure; it says how the figure is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// Millions of bytes.
    Megabytes,
    /// Percent of one core.
    PercentOfACore,
    /// A rate: so many a second.
    PerSecond,
    /// A plain number.
    Count,
}

impl Unit {
    /// As it stands behind a number; empty for a plain number.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Unit::Milliseconds => "ms",
            Unit::Seconds => "s",
            Unit::Megabytes => "MB",
            Unit::PercentOfACore => "% of a core",
            Unit::PerSecond => "/s",
            Unit::Count => "",
        }
    }

    /// A value with its unit, with as many digits as can be meant.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        let number = match self {
            Unit::Milliseconds if value < 10.0 => format!("{value:.1}"),
            Unit::Milliseconds | Unit::Megabytes => format!("{value:.0}"),
            Unit::PercentOfACore | Unit::PerSecond => format!("{value:.2}"),
            Unit::Seconds | Unit::Count => format!("{value:.1}"),
        };
        let space = if matches!(self, Unit::Count | Unit::PerSecond) {
            ""
        } else {
            " "
        };
        format!("{number}{space}{}", self.symbol())
    }
}

/// One measured number.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was measured, as a person reads it: `abort by hand → weight 0, p99`.
    pub what: String,
    /// The number, in `unit`.
    pub value: f64,
    /// Its unit.
    pub unit: Unit,
    /// What it should stay under.
    pub target: Option<f64>,
}

impl Figure {
    /// A figure without a target.
    #[must_use]
    pub fn new(what: impl Into<String>, value: f64, unit: Unit) -> Self {
        Self {
            what: what.into(),
            value,
            unit,
            target: None,
        }
    }

    /// The same with an upper bound.
    #[must_use]
    pub fn under(mut self, target: f64) -> Self {
        self.target = Some(target);
        self
    }

    /// Whether it is under its target; nothing when it has none.
    #[must_use]
    pub fn holds(&self) -> Option<bool> {
        self.target.map(|target| self.value < target)
    }

    /// The figure for other programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "what": self.what,
            "value": self.value,
            "unit": self.unit.symbol(),
            "target": self.target,
            "holds": self.holds(),
        })
    }
}

/// Durations, sorted, to take percentiles from.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<Duration>);

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(durations: I) -> Self {
        let mut all: Vec<Duration> = durations.into_iter().collect();
        all.sort_unstable();
        Self(all)
    }
}

impl Latencies {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest duration that at least `percent` (0 to 100) of all do not exceed; zero when there is none.
    ///
    /// The rank is not interpolated: what is printed did happen.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent.min(100)).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    /// The longest; zero when there is none.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.percentile(100)
    }

    /// Median, 99th percentile and maximum of `what`, in milliseconds, with targets of the first two.
    #[must_use]
    pub fn figures(&self, what: &str, p50: Option<f64>, p99: Option<f64>) -> Vec<Figure> {
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let figure = |word: &str, duration: Duration, target: Option<f64>| Figure {
            target,
            ..Figure::new(
                format!("{what}, {word}"),
                milliseconds(duration),
                Unit::Milliseconds,
            )
        };
        vec![
            figure("p50", self.percentile(50), p50),
            figure("p99", self.percentile(99), p99),
            figure("max", self.longest(), None),
        ]
    }

    /// One line for a person.
    #[must_use]
    pub fn summary(&self) -> String {
        let show = |duration: Duration| Unit::Milliseconds.show(duration.as_secs_f64() * 1000.0);
        format!(
            "p50 {}, p99 {}, max {} ({} rounds)",
            show(self.percentile(50)),
            show(self.percentile(99)),
            show(self.longest()),
            self.count()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(milliseconds: impl IntoIterator<Item = u64>) -> Latencies {
        milliseconds
            .into_iter()
            .map(Duration::from_millis)
            .collect()
    }

    #[test]
    fn percentiles_are_durations_that_were_seen() {
        let hundred = latencies((1..=100).rev());
        assert_eq!(hundred.percentile(50), Duration::from_millis(50));
        assert_eq!(hundred.percentile(99), Duration::from_millis(99));
        assert_eq!(hundred.longest(), Duration::from_millis(100));
        let three = latencies([7, 1, 30]);
        assert_eq!(three.percentile(50), Duration::from_millis(7));
        assert_eq!(three.percentile(99), Duration::from_millis(30));
        assert_eq!(three.percentile(0), Duration::from_millis(1));
    }

    #[test]
    fn nothing_measured_is_zero_and_no_panic() {
        assert_eq!(latencies([]).percentile(99), Duration::ZERO);
        assert_eq!(latencies([]).count(), 0);
    }

    #[test]
    fn a_figure_holds_when_it_is_under_its_target() {
        let figure = Figure::new("memory", 49.9, Unit::Megabytes);
        assert_eq!(figure.holds(), None);
        assert_eq!(figure.clone().under(50.0).holds(), Some(true));
        assert_eq!(figure.under(49.9).holds(), Some(false));
    }

    #[test]
    fn values_are_shown_with_the_digits_that_can_be_meant() {
        assert_eq!(Unit::Milliseconds.show(8.349), "8.3 ms");
        assert_eq!(Unit::Milliseconds.show(83.49), "83 ms");
        assert_eq!(Unit::Megabytes.show(17.4), "17 MB");
        assert_eq!(Unit::PercentOfACore.show(0.051), "0.05 % of a core");
        assert_eq!(Unit::PerSecond.show(0.5), "0.50/s");
        assert_eq!(Unit::Count.show(21.04), "21.0");
    }

    #[test]
    fn only_the_first_two_of_the_three_have_targets() {
        let figures = latencies([5, 200]).figures("abort", Some(10.0), Some(100.0));
        let holds: Vec<Option<bool>> = figures.iter().map(Figure::holds).collect();
        assert_eq!(holds, [Some(true), Some(false), None]);
        assert_eq!(figures[1].what, "abort, p99");
    }
}
