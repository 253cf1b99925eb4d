//! The plugin of Argo Rollouts itself, built from its Go sources, on Rollouts that Sluice drives: each command is
//! understood as under Argo Rollouts, and its views show the same as those of our own plugin.
//!
//! | file | |
//! |---|---|
//! | `canary` | every command about a Rollout, on a canary with an HTTPRoute |
//! | `blue_green` | those that a blue-green understands in another way |
//! | `measurements` | Experiments and AnalysisRuns |
//! | `views` | what two plugins print, compared |

mod blue_green;
mod canary;
mod measurements;
mod views;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Stage;
use super::plugin::Plugin;
use crate::install::Program;
use crate::product::images::DEMO_APP;
use crate::wait::eventually;

pub(super) use blue_green::blue_green;
pub(super) use canary::canary;
pub(super) use measurements::measurements;

/// How long the views of the two plugins may differ: they are made one after the other, and pods come and go.
const SETTLED: Duration = Duration::from_secs(20);

/// What upstream's `status` dies of when something changes while it ends: it closes the channel of its own updates.
const STATUS_RACE: &str = "send on closed channel";

/// The plugin of Argo Rollouts, and ours beside it.
struct Plugins<'a> {
    argo: Plugin<'a>,
    sluice: Plugin<'a>,
}

impl<'a> Plugins<'a> {
    fn new(stage: &'a Stage, namespace: &'a str) -> Result<Self> {
        let plugin = |program| Plugin {
            stage,
            program,
            namespace,
        };
        let program = stage.cluster.tools().path(Program::ArgoRolloutsPlugin)?;
        Ok(Self {
            argo: plugin(program),
            sluice: plugin(&stage.programs.plugin),
        })
    }

    /// Runs the plugin of Argo Rollouts with arguments that are parted by blanks; returns what it prints.
    async fn argo(&self, line: &str) -> Result<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.argo.run(&words).await
    }

    /// `set image` of the container `web`, or of `*`, all.
    async fn set_image(&self, container: &str, version: &str) -> Result<String> {
        self.argo(&format!("set image web {container}={DEMO_APP}:{version}"))
            .await
    }

    /// Waits with `status` until the Rollout is healthy.
    async fn status(&self) -> Result<()> {
        let line = "status web --timeout 90s";
        let said = match self.argo(line).await {
            Err(error) if error.to_string().contains(STATUS_RACE) => self.argo(line).await?,
            said => said?,
        };
        let last = said.lines().last().unwrap_or_default();
        ensure!(last == "Healthy", "`{line}` says {said:?}");
        Ok(())
    }

    /// Checks that `get rollout` shows these parts, and that both plugins show the same header and the same tree.
    async fn get_rollout(&self, parts: &[&str]) -> Result<()> {
        let what = "both plugins to show the same Rollout";
        eventually(what, SETTLED, || async {
            let (theirs, ours) = self.both("get rollout web --no-color").await?;
            for part in parts {
                ensure!(theirs.contains(part), "no {part:?} in\n{theirs}");
            }
            views::same(&views::header(&theirs), &views::header(&ours))?;
            views::same(&views::tree(&theirs), &views::tree(&ours))
        })
        .await
    }

    /// Checks that `get experiment` shows these parts, and that both plugins show the same header. In the tree ours
    /// tells more.
    async fn get_experiment(&self, name: &str, parts: &[&str]) -> Result<()> {
        let what = "both plugins to show the same Experiment";
        eventually(what, SETTLED, || async {
            let (theirs, ours) = self
                .both(&format!("get experiment {name} --no-color"))
                .await?;
            for part in parts {
                ensure!(theirs.contains(part), "no {part:?} in\n{theirs}");
            }
            views::same(&views::header(&theirs), &views::header(&ours))
        })
        .await
    }

    /// Checks that a list has a row that begins with these words, and that both plugins print the same table.
    async fn list(&self, what: &str, row: &[&str]) -> Result<()> {
        eventually("both plugins to list the same", SETTLED, || async {
            let (theirs, ours) = self.both(&format!("list {what}")).await?;
            let table = views::rows(&theirs);
            let known = table.iter().any(|words| {
                words
                    .iter()
                    .map(String::as_str)
                    .take(row.len())
                    .eq(row.iter().copied())
            });
            ensure!(known, "no row {row:?} in\n{theirs}");
            views::same(&table, &views::rows(&ours))
        })
        .await
    }

    /// What both print: the plugin of Argo Rollouts, and ours.
    async fn both(&self, line: &str) -> Result<(String, String)> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let theirs = self.argo.run(&words).await.context("Argo Rollouts")?;
        let ours = self.sluice.run(&words).await.context("Sluice")?;
        Ok((theirs, ours))
    }
}
