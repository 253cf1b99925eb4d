//! Writing to standard output: a reader that has gone away is not an error.

use std::io::Write;

use anyhow::Result;
use serde_json::Value;

use crate::args::Format;

/// Prints text as it is.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Prints an object of the API.
pub(crate) fn object(object: &Value, format: Format) -> Result<()> {
    match format {
        Format::Json => print(&format!("{object:#}\n")),
        Format::Yaml => print(&serde_saphyr::to_string(object)?),
    }
}

/// Prints rows in columns, with two blanks between them.
pub(crate) fn columns(rows: &[Vec<String>]) -> Result<()> {
    let mut widths = Vec::new();
    for row in rows {
        for (index, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(index) {
                Some(widest) if *widest >= width => {}
                Some(widest) => *widest = width,
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.chars().count() + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    print(&out)
}
