//! `lint`: prints what is wrong in manifests, one line each.

use std::process::ExitCode;

use anyhow::Result;

use super::check::{self, Report};
use super::manifest;
use crate::args::LintArgs;
use crate::output;
use crate::paint::{Paint, Tone};

/// Carries out `lint`; exit code 1 when something is wrong.
pub(crate) fn run(args: &LintArgs, paint: Paint) -> Result<ExitCode> {
    let manifests = manifest::read(&args.files)?;
    let report = check::all(&manifests);
    output::print(&text(&report, paint))?;
    Ok(if report.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

fn text(report: &Report, paint: Paint) -> String {
    let mut out = String::new();
    for problem in &report.problems {
        out += &format!("{} {problem}\n", paint.tone(Some(Tone::Bad), "✖"));
    }
    for (what, by) in &report.missing {
        out += &format!("• {by}: {what} is not among the files and was not checked\n");
    }
    for note in &report.notes {
        out += &format!("• {note}\n");
    }
    let objects = |number: usize| match number {
        1 => "1 object".to_owned(),
        number => format!("{number} objects"),
    };
    let checked = objects(report.checked);
    out += &match report.problems.len() {
        0 => format!(
            "{} {checked} checked, nothing is wrong\n",
            paint.tone(Some(Tone::Good), "✔")
        ),
        1 => format!("{checked} checked, 1 problem\n"),
        number => format!("{checked} checked, {number} problems\n"),
    };
    out
}
