//! The table of all figures: aligned text for a terminal, Markdown for the documentation, JSON for programs.

use serde_json::{Value, json};

use super::figures::Figure;

/// What one measurement gave, for one controller.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The measurement's name.
    pub measurement: &'static str,
    /// The controller that was measured.
    pub controller: String,
    /// Its figures, or why there are none.
    pub figures: Result<Vec<Figure>, String>,
}

/// A row: one figure of one measurement, with a column for each controller.
struct Row<'a> {
    measurement: &'static str,
    figure: &'a Figure,
    values: Vec<String>,
    holds: Option<bool>,
}

/// Rows in the order in which figures first appear; the target is judged for the first controller.
fn rows<'a>(outcomes: &'a [Outcome], controllers: &[&str]) -> Vec<Row<'a>> {
    let figures = |outcome: &'a Outcome| outcome.figures.iter().flatten();
    let mut rows: Vec<Row<'a>> = Vec::new();
    for outcome in outcomes {
        for figure in figures(outcome) {
            let known = rows.iter().any(|row| {
                row.measurement == outcome.measurement && row.figure.what == figure.what
            });
            if known {
                continue;
            }
            let of = |controller: &&str| {
                outcomes
                    .iter()
                    .filter(|other| {
                        other.measurement == outcome.measurement && other.controller == *controller
                    })
                    .flat_map(figures)
                    .find(|other| other.what == figure.what)
            };
            rows.push(Row {
                measurement: outcome.measurement,
                figure,
                values: controllers
                    .iter()
                    .map(|name| {
                        of(name)
                            .map_or_else(|| "–".to_owned(), |found| found.unit.show(found.value))
                    })
                    .collect(),
                holds: controllers.first().and_then(of).and_then(Figure::holds),
            });
        }
    }
    rows
}

/// The controllers, in the order in which they were measured.
fn controllers(outcomes: &[Outcome]) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for outcome in outcomes {
        if !names.contains(&outcome.controller.as_str()) {
            names.push(&outcome.controller);
        }
    }
    names
}

/// Headings and cells, the headings first.
fn cells(outcomes: &[Outcome]) -> Vec<Vec<String>> {
    let controllers = controllers(outcomes);
    let mut heading = vec!["measurement".to_owned(), "what".to_owned()];
    heading.extend(controllers.iter().map(|name| (*name).to_owned()));
    heading.extend(["target".to_owned(), "holds".to_owned()]);
    let mut lines = vec![heading];
    for row in rows(outcomes, &controllers) {
        let target = row.figure.target;
        let mut line = vec![row.measurement.to_owned(), row.figure.what.clone()];
        line.extend(row.values);
        line.push(target.map_or_else(String::new, |target| {
            format!("< {}", row.figure.unit.show(target))
        }));
        line.push(match row.holds {
            Some(true) => "yes".to_owned(),
            Some(false) => "NO".to_owned(),
            None => String::new(),
        });
        lines.push(line);
    }
    lines
}

/// The table for a terminal.
#[must_use]
pub fn text(outcomes: &[Outcome]) -> String {
    let lines = cells(outcomes);
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let mut text = String::new();
    for line in &lines {
        let padded: Vec<String> = line
            .iter()
            .enumerate()
            .map(|(column, cell)| format!("{cell:<width$}", width = width(column)))
            .collect();
        text += padded.join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// The table for a page.
#[must_use]
pub fn markdown(outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    for (index, line) in cells(outcomes).iter().enumerate() {
        text += &format!("| {} |\n", line.join(" | "));
        if index == 0 {
            text += &format!("|{}\n", "---|".repeat(line.len()));
        }
    }
    text
}

/// The outcomes for other programs.
#[must_use]
pub fn json(outcomes: &[Outcome]) -> Value {
    outcomes
        .iter()
        .map(|outcome| {
            json!({
                "measurement": outcome.measurement,
                "controller": outcome.controller,
                "figures": outcome.figures.iter().flatten().map(Figure::json).collect::<Value>(),
                "error": outcome.figures.as_ref().err(),
            })
        })
        .collect()
}

/// One sentence on the targets: how many hold, and that a busy machine is a reason.
#[must_use]
pub fn verdict(outcomes: &[Outcome]) -> String {
    let rows = rows(outcomes, &controllers(outcomes));
    let missed: Vec<&str> = rows
        .iter()
        .filter(|row| row.holds == Some(false))
        .map(|row| row.figure.what.as_str())
        .collect();
    let held = rows.iter().filter(|row| row.holds == Some(true)).count();
    if missed.is_empty() && held == 0 {
        "None of these figures has a target.".to_owned()
    } else if missed.is_empty() {
        format!("All {held} targets hold.")
    } else {
        format!(
            "{held} targets hold; MISSED: {}. On a machine that does other work, measure again when it is quiet.",
            missed.join("; ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Unit;

    fn outcomes() -> Vec<Outcome> {
        let outcome = |measurement, controller: &str, figures| Outcome {
            measurement,
            controller: controller.to_owned(),
            figures,
        };
        let memory = |value| Figure::new("resident memory", value, Unit::Megabytes).under(50.0);
        let requests = |value| Figure::new("requests", value, Unit::PerSecond);
        vec![
            outcome("idle", "sluice", Ok(vec![memory(17.0), requests(0.5)])),
            outcome("fleet", "sluice", Ok(vec![memory(61.0)])),
            outcome("idle", "other", Ok(vec![memory(80.0)])),
            outcome("fleet", "other", Err("it ended".to_owned())),
        ]
    }

    #[test]
    fn each_controller_has_a_column_and_each_figure_a_row() {
        let expected = "\
measurement  what             sluice  other  target   holds
idle         resident memory  17 MB   80 MB  < 50 MB  yes
idle         requests         0.50/s  –
fleet        resident memory  61 MB   –      < 50 MB  NO
";
        assert_eq!(text(&outcomes()), expected);
    }

    #[test]
    fn the_page_gets_the_same_cells() {
        let page = markdown(&outcomes()[..1]);
        let expected = "\
| measurement | what | sluice | target | holds |
|---|---|---|---|---|
| idle | resident memory | 17 MB | < 50 MB | yes |
| idle | requests | 0.50/s |  |  |
";
        assert_eq!(page, expected);
    }

    #[test]
    fn missed_targets_are_named_and_the_other_controller_is_not_judged() {
        let verdict = verdict(&outcomes());
        assert!(
            verdict.starts_with("1 targets hold; MISSED: resident memory."),
            "{verdict}"
        );
        assert_eq!(super::verdict(&outcomes()[..1]), "All 1 targets hold.");
        assert_eq!(super::verdict(&[]), "None of these figures has a target.");
    }

    #[test]
    fn programs_are_told_of_failures_too() {
        let all = json(&outcomes());
        assert_eq!(all[0]["figures"][0]["holds"], json!(true));
        assert_eq!(all[3]["error"], json!("it ended"));
    }
}
