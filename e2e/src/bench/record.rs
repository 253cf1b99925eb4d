//! The page that keeps the figures, `docs/performance.md`, and the machine that they are from.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::table::{self, Outcome};
use super::{MEASUREMENTS, Settings};

/// The page, below the checkout.
const PAGE: &str = "docs/performance.md";
/// Between these two lines everything is made by the benchmark.
const BEGIN: &str = "<!-- made by cargo xtask bench --record: begin -->";
/// See [`BEGIN`].
const END: &str = "<!-- made by cargo xtask bench --record: end -->";

/// The machine, without names or dates.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory in GiB, rounded.
    pub memory: u64,
    /// Processes that ran or waited for a core in the minute before.
    pub load: f64,
}

impl Machine {
    /// Looks at this machine.
    #[must_use]
    pub fn look() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let load = read("/proc/loadavg");
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory(&read("/proc/meminfo")),
            load: load
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or(0.0),
        }
    }

    /// Whether others use it so much that figures will be worse for it.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no machine has 2^52 cores")]
    pub fn is_busy(&self) -> bool {
        self.load > self.cores as f64 / 2.0
    }

    /// One sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let busy = if self.is_busy() {
            ", busy with other work"
        } else {
            ""
        };
        format!(
            "{} cores and {} GiB for everything: API server, etcd, controllers, simulated nodes, the benchmark \
             itself (load before: {:.1}{busy})",
            self.cores, self.memory, self.load
        )
    }

    /// For other programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({"cores": self.cores, "memoryGiB": self.memory, "loadBefore": self.load})
    }
}

/// Total memory in GiB, from `/proc/meminfo`; zero when it does not say.
fn memory(meminfo: &str) -> u64 {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kibibytes: u64 = number.and_then(|number| number.parse().ok()).unwrap_or(0);
    (kibibytes + (1 << 19)) >> 20
}

/// Puts the figures into the page; returns its path.
///
/// # Errors
/// When the page cannot be read or written, or has no place for them.
pub fn write(
    root: &Path,
    command: &str,
    settings: &Settings,
    machine: &Machine,
    outcomes: &[Outcome],
) -> Result<PathBuf> {
    let path = root.join(PAGE);
    let page = std::fs::read_to_string(&path).with_context(|| format!("cannot read {PAGE}"))?;
    let section = section(command, settings, machine, outcomes);
    let page = replace(&page, &section)
        .with_context(|| format!("{PAGE} lacks the lines `{BEGIN}` and `{END}`"))?;
    std::fs::write(&path, page).with_context(|| format!("cannot write {PAGE}"))?;
    Ok(path)
}

fn section(command: &str, settings: &Settings, machine: &Machine, outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "Made by `{command}` on {}.\n\n{}\n",
        machine.sentence(),
        table::markdown(outcomes)
    );
    for measurement in MEASUREMENTS {
        if outcomes
            .iter()
            .any(|outcome| outcome.measurement == measurement.name)
        {
            text += &format!(
                "* **{}**: {}\n",
                measurement.name,
                (measurement.about)(settings)
            );
        }
    }
    text
}

/// The page with `section` between the markers; nothing when it does not have both, in their order.
fn replace(page: &str, section: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!(
        "{before}{BEGIN}\n\n{}\n\n{END}{after}",
        section.trim_end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let page = format!("# Figures\n\n{BEGIN}\nold\n{END}\n\nMore.\n");
        let new = replace(&page, "new\n").unwrap();
        assert_eq!(
            new,
            format!("# Figures\n\n{BEGIN}\n\nnew\n\n{END}\n\nMore.\n")
        );
        assert_eq!(replace(&new, "new\n").unwrap(), new);
    }

    #[test]
    fn a_page_without_markers_in_their_order_is_left_alone() {
        assert!(replace("# Figures\n", "new").is_none());
        assert!(replace(&format!("{END}\n{BEGIN}\n"), "new").is_none());
    }

    #[test]
    fn memory_is_rounded_to_what_was_bought() {
        assert_eq!(memory("MemTotal:       24603312 kB\nMemFree: 1 kB\n"), 23);
        assert_eq!(memory(""), 0);
    }
}
